"""Catch up: upload the bars of every session that has not been forecast from, so that events make the forecasts."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

import pandas as pd

from tickercast.domain import objects
from tickercast.domain.bars import LOOKBACK, Bars
from tickercast.domain.frequency import DAILY
from tickercast.domain.learning.market import Market
from tickercast.errors import FunctionUnavailable, UsageError
from tickercast.jobs.requests.results import NO_PATIENCE, Answers, Patience, read_answers
from tickercast.jobs.requests.upload import Upload, batches, upload
from tickercast.ports import ObjectStore, Warehouse

_LEDGER = ["symbol", "status", "cutoff", "object", "simulated"]


@dataclass(frozen=True)
class CaughtUp:
    """The uploads of a day.

    Attributes:
        uploads: one an event, oldest sessions first; empty if nothing was new.
        sessions: the sessions that are forecast from, the oldest first.
    """

    uploads: Sequence[Upload] = field(default_factory=list)
    sessions: Sequence[date] = field(default_factory=list)


def catch_up(
    market: Market,
    *,
    store: ObjectStore,
    warehouse: Warehouse,
    now: datetime,
    advance: Callable[[int], None] = lambda _: None,
) -> CaughtUp:
    """Upload what is new; a repeated call uploads nothing.

    A symbol whose last forecast lies up to ten sessions back gets one for each session since, as it would have had on
    the day; a new symbol gets the newest. If a split has rebased a series, all of it is sent, so that no stored bar
    stays on the old basis.

    Raises:
        Transient: the store or the warehouse does not answer.
    """
    wanted = _wanted(market, warehouse)
    rebased = market.rebased()
    uploads = [
        (as_of, upload(part, as_of, source=market.source, store=store, now=now, lookback=lookback, advance=advance))
        for as_of in sorted(wanted)
        for lookback, part in _parts(wanted[as_of], rebased, as_of - market.first())
    ]
    sent = [(as_of, made) for as_of, made in uploads if made.object]
    return CaughtUp([made for _, made in sent], list(dict.fromkeys(as_of for as_of, _ in sent)))


def collect_results(
    caught_up: CaughtUp, market: Market, *, warehouse: Warehouse, patience: Patience = NO_PATIENCE
) -> tuple[Answers, list[FunctionUnavailable]]:
    """Wait for the answers to the uploads; see `jobs.requests.results.read_answers`."""
    if not caught_up.uploads:
        return Answers(), []
    return read_answers(caught_up.uploads, market.symbols, warehouse=warehouse, patience=patience)


def _wanted(market: Market, warehouse: Warehouse) -> dict[date, list[str]]:
    """The symbols to send, by the session that is forecast from."""
    ledger = warehouse.read("ingestions", {"symbol": market.symbols, "frequency": DAILY.name}, _LEDGER)
    answered = _newest(ledger[ledger["simulated"].eq(market.source.simulated)])
    refused = _refused(ledger)
    rebased = market.rebased()
    wanted: dict[date, list[str]] = {}
    for symbol, bars in market.source.reading.bars.items():
        for session in _sessions(bars, answered.get(symbol), symbol in rebased):
            if (symbol, session) not in refused:
                wanted.setdefault(session, []).append(symbol)
    return wanted


def _parts(symbols: Sequence[str], rebased: set[str], whole: timedelta) -> Iterator[tuple[timedelta, Sequence[str]]]:
    yield from ((LOOKBACK, part) for part in batches([symbol for symbol in symbols if symbol not in rebased]))
    yield from ((whole, [symbol]) for symbol in symbols if symbol in rebased)


def _sessions(bars: Bars, answered: date | None, rebased: bool) -> list[date]:
    if answered is None or (rebased and answered >= bars.cutoff):
        return [bars.cutoff]
    days: list[date] = bars.columns["session_date"][-DAILY.horizon :].tolist()
    return [day for day in days if day > answered]


def _newest(ledger: pd.DataFrame) -> dict[str, date]:
    forecast = ledger[ledger["status"] == "forecast"]
    newest = forecast.groupby("symbol")["cutoff"].max()
    return {str(symbol): cutoff.date() for symbol, cutoff in newest.items()}


def _refused(ledger: pd.DataFrame) -> set[tuple[str, date]]:
    """The sessions that the function has rejected for good: the same bars would only be rejected again."""
    rejected = ledger[ledger["status"] == "rejected"]
    found: set[tuple[str, date]] = set()
    for symbol, name in zip(rejected["symbol"], rejected["object"], strict=True):
        try:
            found.add((symbol, objects.parse(name).as_of))
        except UsageError:
            continue
    return found
