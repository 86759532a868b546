"""Backfill: make the forecasts that would have been made on past sessions, or hours.

Each origin is a file of its own and follows the path of every other file; its name tells the function that it is a
backfill, for which the function chooses a model that has not seen the date (see `jobs.serving.past_models`). Origins
in the ledger are not sent again, so that the same command resumes an interrupted backfill.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import pandas as pd

from tickercast.domain import objects
from tickercast.domain.calendar import check_range, newest_closed, sessions_between
from tickercast.domain.forecast import Origin, Role
from tickercast.domain.frequency import DAILY, Frequency, stamp
from tickercast.domain.learning.market import FetchedBars
from tickercast.errors import CalendarError, Permanent
from tickercast.jobs.requests.results import NO_PATIENCE, Patience, wait_for_ledger
from tickercast.jobs.requests.upload import Upload, batches, upload
from tickercast.ports import MarketData, ObjectStore, Warehouse
from tickercast.reading.ledger import UNACCOUNTED, entries

ORIGINS_A_PART = {"1d": 20, "1h": 168}
"""Files of a part, whose bars are fetched at once: they share all but a month of their three years, or a week."""


@dataclass(frozen=True)
class Part:
    """Origins whose bars one worker fetches at once and sends in files of one origin each.

    Attributes:
        symbols: all symbols of the part, up to 500.
        origins: the sessions, or the ends of hours (UTC, naive), oldest first, each with the symbols that are sent.
        frequency: the frequency of the bars.
    """

    symbols: tuple[str, ...]
    origins: tuple[tuple[date, tuple[str, ...]], ...]
    frequency: Frequency = DAILY

    def __len__(self) -> int:
        return len(self.origins)

    def __str__(self) -> str:
        return f"{stamp(self.origins[0][0])} to {stamp(self.origins[-1][0])}, {len(self.symbols)} symbols"


@dataclass(frozen=True)
class BackfillPlan:
    """The work of a backfill.

    Attributes:
        parts: the origins to send.
        forecast_before: pairs of symbol and origin that the ledger holds a forecast of.
        rejected_before: pairs that an earlier backfill sent and the function rejected.
        failures: the reason for each symbol that cannot be backfilled at all.
    """

    parts: tuple[Part, ...]
    forecast_before: int = 0
    rejected_before: int = 0
    failures: Mapping[str, Permanent] = field(default_factory=dict)


@dataclass(frozen=True)
class Backfilled:
    """The result of one symbol at one origin.

    Attributes:
        symbol: the series.
        as_of: the session, or the end of the hour.
        status: the status in the ledger; `failed` if there were no bars to send; or `unaccounted`.
        reason: why it is not forecast, or a remark on the forecast.
        model_has_seen: whether the model was trained on the date.
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
    frequency: Frequency = DAILY,
) -> BackfillPlan:
    """Find the sessions of each symbol's exchange, or the hours, that have not been forecast from.

    Args:
        symbols: the symbols, as Yahoo spells them, without duplicates.
        first: the first date, inclusive.
        last: the last date, inclusive.
        every: forecast from every N-th session or hour, beginning with the first.
        warehouse: where the ledger is.
        now: the time; a session or hour that has not closed is left out.
        simulated: whether the bars are simulated; then forecasts of real ones do not count, and the reverse.
        frequency: the frequency of the bars.

    Raises:
        UsageError: the dates are in the wrong order.
        WarehouseUnavailable: try again.
    """
    check_range(first, last)
    ledger = warehouse.read("ingestions", {"symbol": list(symbols), "frequency": frequency.name})
    forecast, rejected = _forecast(ledger, simulated, frequency), _rejected(ledger)
    parts: list[Part] = []
    wanted: set[tuple[str, date]] = set()
    failures: dict[str, Permanent] = {}
    for batch in batches(symbols):
        pending: dict[date, list[str]] = {}
        for symbol in batch:
            try:
                origins = _origins(symbol, first, last, now, frequency)[::every]
            except CalendarError as error:
                failures[symbol] = error
                continue
            wanted |= {(symbol, day) for day in origins}
            for day in origins:
                if (symbol, day) not in forecast | rejected:
                    pending.setdefault(day, []).append(symbol)
        parts += _parts(pending, frequency)
    return BackfillPlan(tuple(parts), len(wanted & forecast), len(wanted & rejected - forecast), failures)


def _origins(symbol: str, first: date, last: date, now: datetime, frequency: Frequency) -> Sequence[date]:
    """The origins of a symbol: its sessions that have closed, or the ends of the hours that open on these dates."""
    if frequency.is_daily:
        return sessions_between(symbol, first, min(last, newest_closed(symbol, now) or date.min))
    begin = datetime.combine(first, datetime.min.time())
    end = min(datetime.combine(last, datetime.min.time()) + timedelta(days=1), now.astimezone(UTC).replace(tzinfo=None))
    return [begin + timedelta(hours=hour) for hour in range(1, (end - begin) // timedelta(hours=1) + 1)]


def send_part(
    part: Part,
    *,
    source: MarketData,
    store: ObjectStore,
    warehouse: Warehouse,
    now: datetime,
    patience: Patience = NO_PATIENCE,
    advance: Callable[[int], None] = lambda _: None,
    is_over: Callable[[], bool] = lambda: False,
) -> list[Backfilled]:
    """Fetch the bars of a part, send its files one after another, and read their results.

    Args:
        part: a part of a plan.
        source: where the bars come from.
        store: where the files go.
        warehouse: where the function stores.
        now: the time.
        patience: the time limit for waiting for the function, for all files together.
        advance: called with 1 for each file sent.
        is_over: asked before each file; once it answers yes, no further file is begun.

    Raises:
        Transient: try again; files that were sent are in the ledger.
    """
    if is_over():
        return []
    (first, _), (last, _) = part.origins[0], part.origins[-1]
    frequency = part.frequency
    reading = source.fetch(part.symbols, _day(first - frequency.lookback), _day(last), advance=lambda _: None)
    held = FetchedBars(source.name, source.simulated, reading)
    sent: list[tuple[date, Upload]] = []
    for day, symbols in part.origins:
        if is_over():
            break
        made = upload(symbols, day, source=held, store=store, now=now, origin=Origin.BACKFILL, frequency=frequency)
        sent.append((day, made))
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


def _day(moment: date) -> date:
    return moment.date() if isinstance(moment, datetime) else moment


def _parts(pending: Mapping[date, Sequence[str]], frequency: Frequency) -> Iterator[Part]:
    ends, count = sorted(pending), ORIGINS_A_PART[frequency.name]
    for start in range(0, len(ends), count):
        origins = tuple((end, tuple(pending[end])) for end in ends[start : start + count])
        yield Part(tuple(dict.fromkeys(symbol for _, symbols in origins for symbol in symbols)), origins, frequency)


def _forecast(ledger: pd.DataFrame, simulated: bool, frequency: Frequency) -> set[tuple[str, date]]:
    """The origins that were forecast from, and those in the file's name, in case the source had no such bar."""
    done = ledger[ledger["status"].eq("forecast") & ledger["simulated"].eq(simulated)]
    cutoffs = done["cutoff"].dt.date if frequency.is_daily else done["cutoff_at"].dt.tz_convert(None).dt.to_pydatetime()
    return set(zip(done["symbol"], cutoffs, strict=True)) | _backfilled(done)


def _rejected(ledger: pd.DataFrame) -> set[tuple[str, date]]:
    return _backfilled(ledger[ledger["status"].eq("rejected")])


def _backfilled(ledger: pd.DataFrame) -> set[tuple[str, date]]:
    sent = ledger[ledger["origin"].eq(Origin.BACKFILL)]
    return {(symbol, objects.parse(name).as_of) for symbol, name in zip(sent["symbol"], sent["object"], strict=True)}
