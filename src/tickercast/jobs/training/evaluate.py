"""Measure a model on rolling origins, beside what users would pick instead."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta

import pandas as pd

from tickercast.domain.bars import History
from tickercast.domain.evaluation import backtest as run
from tickercast.domain.forecast import HORIZON, Predictor
from tickercast.errors import NoRecentBars, Permanent
from tickercast.ports import MarketData

_EARLIEST = date(1990, 1, 1)
_AFTERMATH = timedelta(days=40)  # in which ten sessions of any exchange take place

Peers = Callable[[Sequence[History], date], Sequence[Predictor]]
"""Makes the models to compare with, from histories of which nothing after the date may be used."""


def backtest(
    source: MarketData,
    symbols: Sequence[str],
    first: date,
    last: date,
    *,
    models: Mapping[str, Predictor],
    peers: Peers,
    every: int = HORIZON,
    windows: int | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    on_failure: Callable[[str, Permanent], None] = lambda symbol, reason: None,
) -> Mapping[str, pd.DataFrame]:
    """Forecasts from every `every`-th session and returns the losses of each model, the judged ones first.

    Args:
        source: where the bars come from; those before `first` are used as far as there are any.
        symbols: what to forecast.
        first: the first date that may be an origin.
        last: the last date that may be an origin.
        models: what is judged, by name; the first is told of at length.
        peers: what else it is compared with.
        every: sessions from one origin to the next.
        windows: how many of the origins to forecast from, drawn at random, the same for all models; None means all.
        on_progress: called with the forecasts made and their total.
        on_failure: called with each symbol that the source could not give, and why.

    Raises:
        NoRecentBars: no symbol can be forecast in that range.
        Permanent: a slow peer could not be fitted at an origin.
        SourceUnavailable, UsageError: the source as a whole cannot be read.
    """
    reading = source.fetch(symbols, _EARLIEST, last + _AFTERMATH, advance=lambda _: None)
    for symbol, reason in reading.failures.items():
        on_failure(symbol, reason)
    histories = list(reading.histories.values())
    others = {peer.name: peer for peer in peers(histories, first - timedelta(days=1))}
    tables = run(
        {**models, **others, **models},
        histories,
        first,
        last,
        every=every,
        windows=windows,
        on_progress=on_progress,
    )
    if any(table.empty for table in tables.values()):
        needed = max(one.min_sessions for one in [*models.values(), *others.values()])
        raise NoRecentBars(
            f"No session of the {len(symbols)} symbol(s) from {first} to {last} has a history of "
            f"{needed} sessions before it and {HORIZON} sessions after it "
            f"in {source.name}. Name other dates, or data that begins earlier."
        )
    return tables
