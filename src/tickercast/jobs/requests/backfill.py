"""Backfill: make the forecasts that would have been made on past sessions.

Each session is a file of its own and follows the path of every other file; its name tells the function that it is a
backfill, for which the function chooses a model that has not seen the date (see `jobs.serving.past_models`). Sessions
in the ledger are not sent again, so that the same command resumes an interrupted backfill.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

import pandas as pd

from tickercast.domain import objects
from tickercast.domain.bars import LOOKBACK
from tickercast.domain.calendar import newest_closed, sessions_between
from tickercast.domain.forecast import Origin, Role
from tickercast.domain.market import FetchedBars
from tickercast.errors import CalendarError, Permanent, UsageError
from tickercast.jobs.requests.results import NO_PATIENCE, Patience, wait_for_ledger
from tickercast.jobs.requests.upload import Upload, batches, upload
from tickercast.ports import MarketData, ObjectStore, Warehouse
from tickercast.reading.ledger import UNACCOUNTED, entries

ORIGINS_A_PART = 20
"""Files of a part, whose bars are fetched at once: they share all but a month of their three years."""


@dataclass(frozen=True)
class Part:
    """Sessions whose bars one worker fetches at once and sends in files of one session each.

    Attributes:
        symbols: all symbols of the part, up to 500.
        origins: the sessions, oldest first, each with the symbols that are sent.
    """

    symbols: tuple[str, ...]
    origins: tuple[tuple[date, tuple[str, ...]], ...]

    def __len__(self) -> int:
        return len(self.origins)

    def __str__(self) -> str:
        return f"{self.origins[0][0]} to {self.origins[-1][0]}, {len(self.symbols)} symbols"


@dataclass(frozen=True)
class BackfillPlan:
    """The work of a backfill.

    Attributes:
        parts: the sessions to send.
        forecast_before: pairs of symbol and session that the ledger holds a forecast of.
        rejected_before: pairs that an earlier backfill sent and the function rejected.
        failures: the reason for each symbol that cannot be backfilled at all.
    """

    parts: tuple[Part, ...]
    forecast_before: int = 0
    rejected_before: int = 0
    failures: Mapping[str, Permanent] = field(default_factory=dict)


@dataclass(frozen=True)
class Backfilled:
    """The result of one symbol at one session.

    Attributes:
        symbol: the series.
        as_of: the session.
        status: as the ledger has it, `failed` if there were no bars to send, or `unaccounted`.
        reason: why it is not forecast, or a remark on the forecast.
        model_has_seen: whether the model was trained on the session.
    """

    symbol: str
    as_of: date
    status: str
    reason: str = ""
    model_has_seen: bool = False


def plan_backfill(
    symbols: Sequence[str],
    first: date,
    last: date,
    *,
    every: int = 1,
    warehouse: Warehouse,
    now: datetime,
    simulated: bool = False,
) -> BackfillPlan:
    """Find the sessions of each symbol's exchange that have not been forecast from.

    Args:
        symbols: as Yahoo spells them, without duplicates.
        first: the first date, inclusive.
        last: the last date, inclusive.
        every: forecast from every N-th session, beginning with the first.
        warehouse: where the ledger is.
        now: the time; a session that has not closed is left out.
        simulated: whether the bars are simulated; then forecasts of real ones do not count, and the reverse.

    Raises:
        UsageError: the dates are in the wrong order.
        WarehouseUnavailable: try again.
    """
    if first > last:
        raise UsageError(f"{first} is after {last}: the first date must not be after the last. Swap them.")
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
    return BackfillPlan(tuple(parts), len(wanted & forecast), len(wanted & rejected - forecast), failures)


def send_part(
    part: Part,
    *,
    source: MarketData,
    store: ObjectStore,
    warehouse: Warehouse,
    now: datetime,
    patience: Patience = NO_PATIENCE,
    advance: Callable[[int], None] = lambda _: None,
) -> list[Backfilled]:
    """Fetch the bars of a part, send its files one after another, and read their results.

    Args:
        part: of a plan.
        source: where the bars come from.
        store: where the files go.
        warehouse: where the function stores.
        now: the time.
        patience: how long to wait for the function, for all files together.
        advance: called with 1 for each file sent.

    Raises:
        Transient: try again; files that were sent are in the ledger.
    """
    (first, _), (last, _) = part.origins[0], part.origins[-1]
    reading = source.fetch(part.symbols, first - LOOKBACK, last, advance=lambda _: None)
    held = FetchedBars(source.name, source.simulated, reading)
    sent: list[tuple[date, Upload]] = []
    for day, symbols in part.origins:
        sent.append((day, upload(symbols, day, source=held, store=store, now=now, origin=Origin.BACKFILL)))
        advance(1)
    return [made for day, uploaded in sent for made in _results(day, uploaded, warehouse, patience)]


def _results(day: date, uploaded: Upload, warehouse: Warehouse, patience: Patience) -> Iterator[Backfilled]:
    for symbol, why in uploaded.failures.items():
        yield Backfilled(symbol, day, "failed", str(why))
    if not uploaded.object:
        return
    file = {"object": uploaded.object, "generation": uploaded.generation}
    found = entries(wait_for_ledger(uploaded.object, uploaded.generation, warehouse=warehouse, patience=patience))
    stored = {entry.symbol: entry for entry in found}
    champions = warehouse.read("forecasts", {**file, "role": Role.CHAMPION, "step": 1})
    seen = set(champions[champions["model_has_seen"].astype(bool)]["symbol"])
    for symbol in uploaded.symbols:
        entry = stored.get(symbol, stored.get(None))
        if entry:
            yield Backfilled(symbol, day, entry.status, entry.reason, symbol in seen)
        else:
            yield Backfilled(symbol, day, UNACCOUNTED)


def _parts(pending: Mapping[date, Sequence[str]]) -> Iterator[Part]:
    days = sorted(pending)
    for start in range(0, len(days), ORIGINS_A_PART):
        origins = tuple((day, tuple(pending[day])) for day in days[start : start + ORIGINS_A_PART])
        yield Part(tuple(dict.fromkeys(symbol for _, symbols in origins for symbol in symbols)), origins)


def _forecast(ledger: pd.DataFrame, simulated: bool) -> set[tuple[str, date]]:
    """The sessions that were forecast from, and those in the file's name, in case the source had no bar of that day."""
    done = ledger[ledger["status"].eq("forecast") & ledger["simulated"].eq(simulated)]
    cutoffs = {(symbol, cutoff.date()) for symbol, cutoff in zip(done["symbol"], done["cutoff"], strict=True)}
    return cutoffs | _backfilled(done)


def _rejected(ledger: pd.DataFrame) -> set[tuple[str, date]]:
    return _backfilled(ledger[ledger["status"].eq("rejected")])


def _backfilled(ledger: pd.DataFrame) -> set[tuple[str, date]]:
    sent = ledger[ledger["origin"].eq(Origin.BACKFILL)]
    return {(symbol, objects.parse(name).as_of) for symbol, name in zip(sent["symbol"], sent["object"], strict=True)}
