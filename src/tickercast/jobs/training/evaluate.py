"""Evaluate models on rolling origins, beside the baselines."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from numbers import Integral

import pandas as pd

from tickercast.domain.bars import Bars, series_of
from tickercast.domain.calendar import check_every, check_range
from tickercast.domain.events import ResultsDays
from tickercast.domain.forecast import Predictor
from tickercast.domain.frequency import DAILY
from tickercast.domain.measures.evaluation import Spread, labelled, rolling_losses, rolling_origins, why_no_origin
from tickercast.errors import NoRecentBars, Permanent, UsageError
from tickercast.ports import MarketData

_EARLIEST = date(1990, 1, 1)
_AFTERMATH = timedelta(days=40)  # long enough for ten sessions of any exchange

Baselines = Callable[[Sequence[Bars], date], Sequence[Predictor]]
"""Creates the baselines from series; nothing after the date may be used."""


def evaluate(
    source: MarketData,
    symbols: Sequence[str],
    first: date,
    last: date,
    *,
    models: Mapping[str, Predictor],
    baselines: Baselines,
    every: int = DAILY.horizon,
    windows: int | None = None,
    results: Mapping[str, ResultsDays] | None = None,
    spread: Spread | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    on_failure: Callable[[str, Permanent], None] = lambda symbol, reason: None,
) -> Mapping[str, pd.DataFrame]:
    """Forecast from every `every`-th session and return the losses of each model, the baselines last.

    Args:
        source: where the bars come from; those before `first` are used as far as there are any.
        symbols: the symbols to forecast.
        first: the first date that may be an origin.
        last: the last date that may be an origin.
        models: the models to evaluate, by label; a report is about the first.
        baselines: the models that they are compared with.
        every: sessions from one origin to the next.
        windows: the number of origins to draw at random, the same for all models; None means all.
        results: the results days by symbol; see `domain.measures.evaluation.rolling_losses`.
        spread: makes the forecasts elsewhere; see `domain.measures.evaluation.rolling_losses`.
        on_progress: called with the forecasts made and their total.
        on_failure: called with each symbol that is left out, and why.

    Raises:
        NoRecentBars: no symbol can be forecast in that range.
        UsageError: `first` is after `last`, or `every` or `windows` is below 1.
        Permanent: no symbol can be read, with the reason of the first; or a statistical model could not be fitted at an
            origin.
        SourceUnavailable, UsageError: the source as a whole cannot be read.
    """
    check_range(first, last)
    check_every(every)
    if windows is not None and (not isinstance(windows, Integral) or windows < 1):
        raise UsageError(
            f"{str(windows)[:20]} origins were asked for: 1 or more were needed, as a whole number. Name another "
            "number, or leave it out for all."
        )
    reading = source.fetch(symbols, _EARLIEST, last + _AFTERMATH, advance=lambda _: None)
    series = series_of(reading, on_failure)
    others = labelled(baselines(series, first - timedelta(days=1)))
    tables = rolling_losses(
        {**models, **others, **models},
        series,
        first,
        last,
        every=every,
        windows=windows,
        results=results,
        spread=spread,
        on_progress=on_progress,
    )
    compared = [*models.values(), *others.values()]
    steps = {"every": every, "needed": max(one.min_sessions for one in compared), "horizon": compared[0].horizon}
    if any(table.empty for table in tables.values()):
        raise NoRecentBars(
            f"No origin of the {len(symbols)} symbol(s) lies from {first} to {last} in {source.name}: "
            f"{why_no_origin(series[0], first, last, **steps)}. Name other dates, or a source with more."
        )
    evaluated = set(next(iter(tables.values()))["symbol"])
    for bars in series:
        if bars.symbol not in evaluated:
            found = len(rolling_origins(bars, first, last, **steps).positions)
            why = (
                f"none of the {found:,} origins of {bars.symbol} from {first} to {last} was drawn. Draw more"
                if found
                else f"no origin lies from {first} to {last}: {why_no_origin(bars, first, last, **steps)}. Name "
                "other dates"
            )
            on_failure(bars.symbol, NoRecentBars(f"{why[0].upper()}{why[1:]}."))
    return tables
