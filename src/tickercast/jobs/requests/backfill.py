"""Backfill: make the forecasts that would have been made on past sessions.

Each origin is a file of its own, sent the way that every file goes; its name tells the function that it is for the
past, which then chooses a model that has not seen the date (see `jobs.serving.past_models`). What the ledger holds is
not sent again, so that a backfill which was stopped is gone on with by the same command.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

import pandas as pd

from tickercast.domain import objects
from tickercast.domain.bars import SIMULATED, History, Reading
from tickercast.domain.calendar import newest_closed, sessions_between
from tickercast.domain.model_card import HAS_SEEN
from tickercast.errors import CalendarError, Permanent, UsageError
from tickercast.jobs.requests.ledger import NO_PATIENCE, UNACCOUNTED, Patience, accounted, entries
from tickercast.jobs.requests.upload import LOOKBACK, Upload, batches, upload
from tickercast.ports import MarketData, ObjectStore, Warehouse

ORIGINS_A_PART = 20
"""Files of a part, whose bars are fetched in one go: they share all but a month of their three years."""


@dataclass(frozen=True)
class Part:
    """What is fetched in one go and sent in files of one origin each, by one worker.

    Attributes:
        symbols: all that are wanted, up to 500.
        origins: the sessions, oldest first, and for each those of the symbols that are sent.
    """

    symbols: tuple[str, ...]
    origins: tuple[tuple[date, tuple[str, ...]], ...]

    def __len__(self) -> int:
        return len(self.origins)

    def __str__(self) -> str:
        return f"{self.origins[0][0]} to {self.origins[-1][0]}, {len(self.symbols)} symbols"


@dataclass(frozen=True)
class Plan:
    """What there is to do.

    Attributes:
        parts: what is sent.
        forecast_before: pairs of symbol and session that the ledger holds a forecast from.
        rejected_before: those that an earlier backfill sent and the function rejected.
        failures: the reason for each symbol that cannot be backfilled at all.
    """

    parts: tuple[Part, ...]
    forecast_before: int = 0
    rejected_before: int = 0
    failures: Mapping[str, Permanent] = field(default_factory=dict)


@dataclass(frozen=True)
class Made:
    """What became of one symbol at one session.

    Attributes:
        symbol: the series.
        as_of: the session.
        status: as the ledger has it, `failed` where there were no bars to send, or `unaccounted`.
        reason: why it is not forecast, or what must be known of the forecast.
    """

    symbol: str
    as_of: date
    status: str
    reason: str = ""

    @property
    def has_seen(self) -> bool:
        """Whether the model was trained on what it has forecast."""
        return self.reason.startswith(HAS_SEEN)


def plan(
    symbols: Sequence[str],
    first: date,
    last: date,
    *,
    every: int = 1,
    warehouse: Warehouse,
    now: datetime,
    simulated: bool = False,
) -> Plan:
    """Finds the sessions of each symbol's exchange that have not been forecast from.

    Args:
        symbols: as Yahoo spells them, without duplicates.
        first: the first date, inclusive.
        last: the last date, inclusive.
        every: take the first session, and every so many-th after it.
        warehouse: where the ledger is.
        now: the time; a session that has not closed is left out.
        simulated: whether made-up bars are sent; then forecasts from real ones do not count, and the reverse.

    Raises:
        UsageError: the dates are in the wrong order.
        WarehouseUnavailable: try again.
    """
    if first > last:
        raise UsageError(f"{first} is after {last}: the first date was needed before the last. Exchange them.")
    ledger = warehouse.read("ingestions", {"symbol": list(symbols)})
    forecast, rejected = _forecast(ledger, simulated), _rejected(ledger)
    parts: list[Part] = []
    wanted: set[tuple[str, date]] = set()
    failures: dict[str, Permanent] = {}
    for batch in batches(symbols):
        pending: dict[date, list[str]] = {}
        for symbol in batch:
            try:
                newest = newest_closed(symbol, now) or date.min
                origins = sessions_between(symbol, first, min(last, newest))[::every]
            except CalendarError as error:
                failures[symbol] = error
                continue
            wanted |= {(symbol, day) for day in origins}
            for day in origins:
                if (symbol, day) not in forecast | rejected:
                    pending.setdefault(day, []).append(symbol)
        parts += _parts(pending)
    return Plan(tuple(parts), len(wanted & forecast), len(wanted & rejected - forecast), failures)


def send(
    part: Part,
    *,
    source: MarketData,
    store: ObjectStore,
    warehouse: Warehouse,
    now: datetime,
    patience: Patience = NO_PATIENCE,
    advance: Callable[[int], None] = lambda _: None,
) -> list[Made]:
    """Fetches the bars of a part, sends its files one after another, and reads what became of them.

    Args:
        part: of a plan.
        source: where the bars come from.
        store: where the files go.
        warehouse: where the function stores.
        now: the time.
        patience: how long to wait for the function, for all files together.
        advance: called with 1 for each file sent.

    Raises:
        Transient: try again; what has been sent is in the ledger.
    """
    (first, _), (last, _) = part.origins[0], part.origins[-1]
    held = _Held(source.name, source.fetch(part.symbols, first - LOOKBACK, last, advance=lambda _: None))
    sent: list[tuple[date, Upload]] = []
    for day, symbols in part.origins:
        sent.append((day, upload(symbols, day, source=held, store=store, now=now, for_the_past=True)))
        advance(1)
    return [made for day, uploaded in sent for made in _became(day, uploaded, warehouse, patience)]


class _Held:
    """Bars that have been fetched, as a source of the shorter histories within."""

    def __init__(self, name: str, reading: Reading) -> None:
        self.name = name
        self._reading = reading

    def fetch(self, symbols: Sequence[str], first: date, last: date, *, advance: Callable[[int], None]) -> Reading:
        histories: dict[str, History] = {}
        failures = {symbol: self._reading.failures[symbol] for symbol in symbols if symbol in self._reading.failures}
        for symbol in symbols:
            if symbol in self._reading.histories:
                try:
                    histories[symbol] = self._reading.histories[symbol].until(last).since(first)
                except Permanent as error:
                    failures[symbol] = error
        advance(len(symbols))
        return Reading(histories, failures)


def _became(day: date, uploaded: Upload, warehouse: Warehouse, patience: Patience) -> Iterator[Made]:
    for symbol, why in uploaded.failures.items():
        yield Made(symbol, day, "failed", str(why))
    if not uploaded.object:
        return
    found = entries(accounted(uploaded.object, uploaded.generation, warehouse=warehouse, patience=patience))
    stored = {entry.symbol: entry for entry in found}
    whole = stored.get(None)
    for symbol in uploaded.symbols:
        entry = stored.get(symbol, whole)
        yield Made(symbol, day, entry.status, entry.reason) if entry else Made(symbol, day, UNACCOUNTED)


def _parts(pending: Mapping[date, Sequence[str]]) -> Iterator[Part]:
    days = sorted(pending)
    for start in range(0, len(days), ORIGINS_A_PART):
        origins = tuple((day, tuple(pending[day])) for day in days[start : start + ORIGINS_A_PART])
        yield Part(tuple(dict.fromkeys(symbol for _, symbols in origins for symbol in symbols)), origins)


def _forecast(ledger: pd.DataFrame, simulated: bool) -> set[tuple[str, date]]:
    """By the cutoff, and by the date in the file's name, where the source had no bar of that day."""
    done = ledger[ledger["status"].eq("forecast") & ledger["reason"].eq(SIMULATED).eq(simulated)]
    cutoffs = {(symbol, cutoff.date()) for symbol, cutoff in zip(done["symbol"], done["cutoff"], strict=True)}
    return cutoffs | _sent_for_the_past(done)


def _rejected(ledger: pd.DataFrame) -> set[tuple[str, date]]:
    return _sent_for_the_past(ledger[ledger["status"].eq("rejected")])


def _sent_for_the_past(ledger: pd.DataFrame) -> set[tuple[str, date]]:
    found: set[tuple[str, date]] = set()
    for symbol, name in zip(ledger["symbol"], ledger["object"], strict=True):
        try:
            described = objects.parse(name)
        except UsageError:
            continue
        if described.is_backfill:
            found.add((symbol, described.as_of))
    return found
