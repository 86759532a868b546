"""Send: upload the bars of every session that has not been forecast from, so that events make the forecasts."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

import pandas as pd

from tickercast.domain import objects
from tickercast.domain.bars import SIMULATED, History
from tickercast.domain.forecast import HORIZON
from tickercast.errors import FunctionUnavailable, UsageError
from tickercast.jobs.daily.fetch import Market
from tickercast.jobs.requests.ledger import NO_PATIENCE, Patience
from tickercast.jobs.requests.results import Collected, collect_all
from tickercast.jobs.requests.upload import LOOKBACK, Upload, batches, upload
from tickercast.ports import ObjectStore, Warehouse


@dataclass(frozen=True)
class Sent:
    """What was uploaded.

    Attributes:
        uploads: one an event, oldest sessions first; empty where nothing was new.
        missed: the sessions before the newest that were caught up with.
    """

    uploads: Sequence[Upload] = field(default_factory=list)
    missed: Sequence[date] = field(default_factory=list)


def send(
    market: Market,
    *,
    store: ObjectStore,
    warehouse: Warehouse,
    now: datetime,
    advance: Callable[[int], None] = lambda _: None,
) -> Sent:
    """Uploads what is new; done again, nothing is.

    A symbol whose last forecast lies back up to ten sessions gets one for each session since, as it would have had
    on the day; one that is new gets the newest. Where a split has rebased a history, all of it is sent, so that no
    stored bar stays on the old basis.

    Raises:
        Transient: the store or the warehouse does not answer.
    """
    wanted = _wanted(market, warehouse)
    rebased = market.rebased()
    uploads = [
        upload(part, as_of, source=market.source, store=store, now=now, lookback=lookback, advance=advance)
        for as_of in sorted(wanted)
        for lookback, part in _parts(wanted[as_of], rebased, as_of - market.first())
    ]
    return Sent([sent for sent in uploads if sent.object], [day for day in sorted(wanted) if day < market.day])


def stored(
    sent: Sent, market: Market, *, warehouse: Warehouse, patience: Patience = NO_PATIENCE
) -> tuple[Collected, list[FunctionUnavailable]]:
    """What the uploads led to; see `jobs.requests.results.collect_all`."""
    if not sent.uploads:
        return Collected(), []
    return collect_all(sent.uploads, market.symbols, warehouse=warehouse, patience=patience)


def _wanted(market: Market, warehouse: Warehouse) -> dict[date, list[str]]:
    """The symbols to send, by the session that is forecast from."""
    ledger = warehouse.read("ingestions", {"symbol": market.symbols})
    simulated = market.source.simulated
    answered = _newest(ledger[ledger["reason"].eq(SIMULATED).to_numpy() == simulated])
    refused = _refused(ledger)
    rebased = market.rebased()
    wanted: dict[date, list[str]] = {}
    for symbol, history in market.source.reading.histories.items():
        for session in _sessions(history, answered.get(symbol), symbol in rebased):
            if (symbol, session) not in refused:
                wanted.setdefault(session, []).append(symbol)
    return wanted


def _parts(symbols: Sequence[str], rebased: set[str], whole: timedelta) -> Iterator[tuple[timedelta, Sequence[str]]]:
    yield from ((LOOKBACK, part) for part in batches([symbol for symbol in symbols if symbol not in rebased]))
    yield from ((whole, [symbol]) for symbol in symbols if symbol in rebased)


def _sessions(history: History, answered: date | None, rebased: bool) -> list[date]:
    if answered is None or (rebased and answered >= history.cutoff):
        return [history.cutoff]
    days = history.bars["session_date"].iloc[-HORIZON:].dt.date
    return [day for day in days if day > answered]


def _newest(ledger: pd.DataFrame) -> dict[str, date]:
    forecast = ledger[ledger["status"] == "forecast"]
    newest = forecast.groupby("symbol")["cutoff"].max()
    return {str(symbol): cutoff.date() for symbol, cutoff in newest.items()}


def _refused(ledger: pd.DataFrame) -> set[tuple[str, date]]:
    """What the function has refused for good: to send the same bars again would only be refused again."""
    rejected = ledger[ledger["status"] == "rejected"]
    found: set[tuple[str, date]] = set()
    for symbol, name in zip(rejected["symbol"], rejected["object"], strict=True):
        try:
            found.add((symbol, objects.parse(name).as_of))
        except UsageError:
            continue
    return found
