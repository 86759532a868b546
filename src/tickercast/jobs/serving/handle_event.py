"""Handle one event: read the file, forecast each symbol in it, store everything, and enter it in the ledger.

Every event ends in the ledger exactly once, and whatever the ledger holds stays: a duplicate changes nothing, even if
the code or the model has changed since. A replay is a new write, and so another event.
"""

import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from tickercast import config, traffic
from tickercast.domain import objects
from tickercast.domain.bars import Bars, Reading
from tickercast.domain.cards.model_card import class_findings, folder
from tickercast.domain.events import ResultsDay, ResultsDays
from tickercast.domain.files.event_files import read_events
from tickercast.domain.files.price_files import Window, read_prices
from tickercast.domain.findings import Finding, sentence
from tickercast.domain.forecast import Origin, Prediction, Role, Served, informed, rows
from tickercast.domain.frequency import DAILY, Frequency, stamp
from tickercast.domain.quality import findings_of
from tickercast.domain.text import shown
from tickercast.errors import (
    EndsItsProcess,
    InvalidBars,
    InvalidName,
    ModelUnavailable,
    NeverWritten,
    ObjectNotFound,
    Permanent,
    PreconditionFailed,
    TickercastError,
    TooFewSessions,
    UsageError,
    without_frames,
)
from tickercast.jobs.serving.attempts import noted
from tickercast.jobs.serving.companions import LogReturns, predict_beside
from tickercast.jobs.serving.directions import Asked, DirectionPredictor, predict_directions
from tickercast.jobs.serving.known_results import known_results
from tickercast.jobs.serving.past_models import Lineup
from tickercast.jobs.serving.reasons import bounded
from tickercast.jobs.serving.score import score
from tickercast.jobs.serving.store_bars import news, spans
from tickercast.jobs.serving.store_events import new_events
from tickercast.jobs.serving.stored_rows import File, Stored
from tickercast.jobs.serving.trial import answers, serve_another
from tickercast.ports import ObjectFinalized, ObjectStore, Warehouse
from tickercast.reading.events import expected_days

log = logging.getLogger(__name__)

_MEGABYTE = 1_000_000
_LEDGER = pa.schema(
    {
        "symbol": pa.string(),
        "status": pa.string(),
        "reason": pa.string(),
        "findings": pa.string(),
        "simulated": pa.bool_(),
        "rows": pa.int64(),
        "rows_new": pa.int64(),
        "cutoff": pa.date32(),
        "cutoff_at": pa.timestamp("us", "UTC"),
        "model_version": pa.string(),
        "results_date": pa.date32(),
        "results_session": pa.string(),
        "results_predicted": pa.bool_(),
    }
)


@dataclass(frozen=True)
class Limits:
    """The limits of what is handled.

    Attributes:
        largest_file: bytes, unpacked; a larger file is rejected unread.
        oldest_event: the age, counted from its write, at which an event that fails is given up.
        companions: the time limit for all companions of one event together.
    """

    largest_file: int = 64 * _MEGABYTE
    oldest_event: timedelta = timedelta(hours=24)
    companions: timedelta = timedelta(seconds=60)


@dataclass(frozen=True)
class Series:
    """One symbol, ready to be forecast.

    Attributes:
        bars: all bars in the file; they are stored.
        known: the bars up to the cutoff, from which the forecast is made.
        findings: the oddities of the bars.
        results: the results day inside the horizon, as far as it was known at the cutoff.
    """

    bars: Bars
    known: Bars
    findings: Sequence[Finding] = ()
    results: ResultsDay | None = None

    @property
    def is_doubtful(self) -> bool:
        """Whether a finding touches the width of the forecast."""
        return bool(self.findings) and any(found.touches_width for found in self.findings)


@dataclass(frozen=True)
class Outcome:
    """The outcome of an event; all are empty if the object is no file that is handled.

    Attributes:
        series: the symbols that were forecast.
        failures: the reason for each that was not, of at most a hundred; the key None stands for the whole file, or for
            the rest of it.
        status: the ledger's word for those failures, `rejected` or `superseded`. The ledger holds neither those of an
            event that was `ignored`, nor a second time those of a `duplicate`.
        lineup: the models that forecast.
        origin: the purpose of the request: live or a backfill.
        events: the rows of a file of events.
        frequency: the frequency of the bars.
    """

    series: Sequence[Series] = ()
    failures: Mapping[str | None, Permanent] = field(default_factory=dict)
    status: str = "rejected"
    lineup: Lineup = field(default_factory=lambda: Lineup(()))
    origin: Origin = Origin.LIVE
    events: pa.Table | None = None
    frequency: Frequency = DAILY

    def __post_init__(self) -> None:
        without_frames(*self.failures.values())


@traffic.counted()
def handle_event(
    event: ObjectFinalized,
    *,
    store: ObjectStore,
    warehouse: Warehouse,
    served: Callable[[Frequency], Sequence[Served]],
    past: Callable[[Frequency, date], Lineup],
    now: Callable[[], datetime],
    limits: Limits = Limits(),
    direction: Callable[[Frequency], DirectionPredictor | None] = lambda frequency: None,
) -> Outcome:
    """Handle one event; handled again, it changes nothing.

    Args:
        event: the finished write.
        store: where the file is, and where a rejected one is kept in quarantine.
        warehouse: where prices, forecasts and the ledger go.
        served: gives the models for bars of a frequency, the champion first.
        past: gives the models for a backfill, by its frequency and cutoff.
        now: the clock.
        limits: the limits beyond which events and files are refused.
        direction: gives the model of directions for bars of a frequency; None if none is served.

    Returns:
        The outcome for each symbol: a bad file is an outcome, not an error.

    Raises:
        TickercastError: nothing is lost, and the same event has to be delivered again.
    """
    received_at = now()
    if event.bucket != store.bucket:
        reason = UsageError(f"{event.name} is in the bucket {event.bucket}, and this function reads {store.bucket}.")
        return Outcome(failures={None: reason}, status="ignored")
    if not objects.is_upload(event.name):
        return Outcome()
    try:
        if _is_accounted_for(event, warehouse):
            return Outcome(status="duplicate")
        live = _live_generation(event, store)
        with noted(event, store, received_at) as ended:
            outcome = _decide(event, live, store, served, past, limits.largest_file, received_at)
            made, outcome = _predict(outcome, None if ended else limits.companions, warehouse)
            directions, outcome = _directions(outcome, direction)
            _store_outcome(event, outcome, made, store, warehouse, received_at, now, directions)
    except NeverWritten as error:
        return Outcome(failures={None: error}, status="ignored")
    except EndsItsProcess as error:
        outcome = _failed(event, error)
        _store_outcome(event, outcome, [], store, warehouse, received_at, now)
    except Exception as error:  # a bug must not be retried forever either
        if event.written_at is None or received_at - event.written_at <= limits.oldest_event:
            raise
        return _give_up(event, error, store, warehouse, received_at, now)
    return outcome


def _store_outcome(
    event: ObjectFinalized,
    outcome: Outcome,
    made: Sequence[Prediction],
    store: ObjectStore,
    warehouse: Warehouse,
    received_at: datetime,
    now: Callable[[], datetime],
    directions: pa.Table | None = None,
) -> None:
    if outcome.failures and outcome.status == "rejected":
        _quarantine(event, outcome, store, received_at)
    _append(event, _file(event, store, received_at), outcome, made, warehouse, received_at, now, directions)


def _is_accounted_for(event: ObjectFinalized, warehouse: Warehouse) -> bool:
    entry = {"object": event.name, "generation": event.generation}
    return bool(len(warehouse.read_arrow("ingestions", entry, ["status"])))


def _file(event: ObjectFinalized, store: ObjectStore, received_at: datetime) -> File:
    """Name the file; its time is the store's, since that in the event is of another clock."""
    try:
        written_at = store.written_at(event.name, generation=event.generation)
    except (ObjectNotFound, InvalidName):  # it is gone, or has a name that no object has
        written_at = event.written_at or received_at
    return File(event.name, event.generation, written_at)


def _live_generation(event: ObjectFinalized, store: ObjectStore) -> str:
    """The live generation of the object that an event names.

    Raises:
        NeverWritten: the store has never had the event's own: a row for it would make the real event a duplicate.
        EngineUnusable, StoreUnavailable: what it holds cannot be told; deliver the event again.
    """
    try:
        live = store.generation(event.name)
        if live != event.generation or not live:
            store.written_at(event.name, generation=event.generation)
    except InvalidName:  # nothing can be asked of it: no real event of it has another outcome
        return ""
    except ObjectNotFound as error:
        if live and not store.keeps_generations and _is_later(live, event, store):
            return live  # the newer write has replaced it, as far as can be told
        raise NeverWritten(
            f"{shown(event.name, 80)} at generation {event.generation} is announced, and {store.url} does not hold it: "
            "the event of a write was needed. Nothing is stored of it. Send the file again if it was deleted."
        ) from error
    return live


def _is_later(live: str, event: ObjectFinalized, store: ObjectStore) -> bool:
    """Whether a live generation was written after the moment that an event gives."""
    try:
        at = store.written_at(event.name, generation=live)
    except ObjectNotFound:  # replaced or deleted meanwhile
        return False
    return event.written_at is not None and at > event.written_at


def _decide(
    event: ObjectFinalized,
    live: str,
    store: ObjectStore,
    served: Callable[[Frequency], Sequence[Served]],
    past: Callable[[Frequency, date], Lineup],
    largest_file: int,
    now: datetime,
) -> Outcome:
    if objects.is_events(event.name):
        return _read_events(event, live, store, largest_file, now)
    try:
        described = objects.parse(event.name)
    except UsageError as error:
        return _failed(event, error)
    frequency, origin = described.frequency, described.origin
    lineup = Lineup(served(frequency))
    try:
        reading = _read(_content(event, live, store, largest_file), described, largest_file, now)
    except ObjectNotFound as error:
        return Outcome(failures={described.symbol: error}, status="superseded", origin=origin, frequency=frequency)
    except InvalidBars as error:
        return Outcome(failures={described.symbol: error}, origin=origin, frequency=frequency)
    if origin is Origin.BACKFILL:
        lineup = past(frequency, _earliest_cutoff(reading, described.as_of))
    found: list[Series] = []
    failures: dict[str | None, Permanent] = dict(reading.failures.items())
    needed = lineup.min_sessions
    for symbol, bars in reading.bars.items():
        try:
            found.append(_series(bars, described.as_of, needed, reading.findings.get(symbol, ())))
        except Permanent as error:
            failures[symbol] = error
    odd = _oddities([one.known for one in found], described, now)
    looked_over = [
        replace(one, findings=[*one.findings, *more]) if more else one for one, more in zip(found, odd, strict=True)
    ]
    return Outcome(looked_over, bounded(failures), lineup=lineup, origin=origin, frequency=frequency)


def _failed(event: ObjectFinalized, error: Permanent) -> Outcome:
    """The outcome of a file of which nothing could be read."""
    name = event.name
    return Outcome(failures={None: error}, origin=objects.origin_of(name), frequency=objects.frequency_of(name))


def _read(content: bytes, described: objects.PriceObject, largest_file: int, now: datetime) -> Reading:
    as_of, frequency = described.as_of, described.frequency
    window = Window(as_of - frequency.lookback, as_of, now)
    return read_prices(content, symbol=described.name, window=window, largest=largest_file, frequency=frequency)


def _oddities(series: Sequence[Bars], described: objects.PriceObject, now: datetime) -> Sequence[Sequence[Finding]]:
    as_of = described.as_of
    if not isinstance(as_of, datetime):
        return findings_of(series, as_of, now=now)
    from tickercast.domain.hourly.hours import oddities

    return [oddities(bars, min(as_of, now.astimezone(UTC).replace(tzinfo=None))) for bars in series]


def _read_events(event: ObjectFinalized, live: str, store: ObjectStore, largest_file: int, now: datetime) -> Outcome:
    try:
        objects.check_events(event.name)
    except UsageError as error:
        return _failed(event, error)
    try:
        content = _content(event, live, store, largest_file)
        return Outcome(events=read_events(content, event.name, _file(event, store, now).written_at))
    except ObjectNotFound as error:
        return Outcome(failures={None: error}, status="superseded")
    except InvalidBars as error:
        return Outcome(failures={None: error})


def _earliest_cutoff(reading: Reading, as_of: date) -> date:
    cutoffs = [as_of.date() if isinstance(as_of, datetime) else as_of]
    for bars in reading.bars.values():
        with suppress(Permanent):
            cutoffs.append(bars.until(as_of).cutoff)
    return min(cutoffs)


def _content(event: ObjectFinalized, live: str, store: ObjectStore, largest_file: int) -> bytes:
    """Read the file, unless the size in the event is too large; its true size is checked after that."""
    if live != event.generation:
        became = f"overwritten by generation {live}" if live else "deleted"
        advice = "The newer one counts." if live else "Send it again if it is needed."
        raise ObjectNotFound(f"{event.name} at generation {event.generation} was {became} before it was read. {advice}")
    _check_size(event.name, event.size, largest_file)
    data = store.read(event.name, generation=event.generation)
    _check_size(event.name, len(data), largest_file)
    return data


def _check_size(name: str, size: int, largest: int) -> None:
    if size > largest:
        raise InvalidBars(
            f"{name} has {_megabytes(size)} MB, and at most {_megabytes(largest)} are read. Split it into several "
            "files, or raise TICKERCAST_MAX_FILE_MB and the function's memory."
        )


def _megabytes(size: int) -> str:
    found = size / _MEGABYTE
    return f"{found:,.1f}" if found >= 1 else f"{found:.2g}"


def _series(bars: Bars, as_of: date, min_sessions: int, left_out: Sequence[Finding]) -> Series:
    known, frequency = bars.until(as_of), bars.frequency
    if known.span < min_sessions:
        raise TooFewSessions(
            f"{bars.symbol} has {known.span} {frequency.noun}s up to {stamp(known.end)}, and the model needs "
            f"{min_sessions}. Name a later date, or send older {frequency.noun}s, too."
        )
    frequency.next_steps(bars.symbol, known.end, frequency.horizon)  # fails before all others are predicted
    return Series(bars, known, left_out)


def _append(
    event: ObjectFinalized,
    file: File,
    outcome: Outcome,
    made: Sequence[Prediction],
    warehouse: Warehouse,
    received_at: datetime,
    now: Callable[[], datetime],
    directions: pa.Table | None = None,
) -> None:
    """Store bars, forecasts, scores and, last, the ledger: everything that the ledger names has been stored."""
    key = f"{event.bucket}/{event.name}#{event.generation}"
    forecasts = {"forecasts": rows(made)} | (
        {"directions": directions} if directions is not None and len(directions) else {}
    )
    with warehouse.session(together=True) as alone:
        counts = _store(key, file, outcome, forecasts, warehouse, received_at, alone) if outcome.series else {}
        duration_ms = (now() - received_at).total_seconds() * 1000
        stored = _stored_rows(key, file, outcome.events, warehouse) if outcome.events is not None else []
        others = pa.Table.from_pylist([*stored, *_failed_rows(outcome)], _LEDGER)
        ledger = pa.concat_tables([_forecast_rows(outcome, counts), others])
        used = traffic.so_far()
        arrival = {
            **{"event_id": event.event_id, "received_at": received_at, "duration_ms": duration_ms},
            "memory_mib": pa.scalar(config.memory_mib(), pa.int64()),
            **{"bytes_loaded": used.loaded, "bytes_queried": used.queried},
        }
        whole = _named(ledger, file, frequency=outcome.frequency.name, origin=str(outcome.origin), **arrival)
        warehouse.append("ingestions", whole, key=f"ingestions/{key}")


def _store(
    key: str,
    file: File,
    outcome: Outcome,
    forecasts: Mapping[str, pa.Table],
    warehouse: Warehouse,
    received_at: datetime,
    alone: bool,
) -> Mapping[str, int]:
    """Store all but the ledger, and return how many bars were new, by symbol."""
    series = [one.bars for one in outcome.series]
    announced = _named(spans(series), file, announced_at=received_at)
    if not alone:
        warehouse.append("spans", announced, key=f"spans/{key}")
    stored = Stored(file, series, warehouse, alone=alone)
    found = news(file, series, stored, now=received_at)
    made = ({"spans": announced} if alone else {}) | {
        "prices": _named(found.prices, file, ingested_at=received_at),
        "digests": _named(found.digests, file),
        **{
            table: _named(forecast, file, origin=str(outcome.origin), created_at=received_at)
            for table, forecast in forecasts.items()
        },
    }
    warehouse.append_together(made, key=key)
    warehouse.append_together(score(file, found, stored.numbered(forecasts["forecasts"]), stored), key=key)
    return found.counts


def _stored_rows(key: str, file: File, events: pa.Table, warehouse: Warehouse) -> list[dict[str, Any]]:
    """Store what is new of a file of events, and account for the file."""
    found = new_events(file, events, warehouse)
    warehouse.append("events", _named(found, file), key=f"events/{key}")
    return [{"status": "stored", "reason": f"{len(events)} events, {len(found)} of them new", "rows": 0, "rows_new": 0}]


def _named(made: pa.Table, file: File, **same: Any) -> pa.Table:
    """Rows with the columns that name the file, and others that have one value."""
    for name, value in {**same, **file.columns}.items():
        made = made.append_column(name, _repeated(value, len(made)))
    return made


def _repeated(value: Any, count: int) -> pa.Array:
    return pa.DictionaryArray.from_arrays(np.zeros(count, np.int8), pa.array([value]))


def _predict(outcome: Outcome, deadline: timedelta | None, warehouse: Warehouse) -> tuple[list[Prediction], Outcome]:
    """The forecasts of all models, and the outcome with results days, and a finding where a companion made none."""
    made: list[Prediction] = []
    outcome = replace(outcome, series=[_with_class(one, outcome.lineup) for one in outcome.series])
    outcome, results = _with_results(outcome, warehouse)
    models = [replace(served, model=informed(served.model, results)) for served in outcome.lineup.models]
    companions = [served for served in models if served.role is Role.COMPANION]
    spans = [one.known.span for one in outcome.series]
    for served in models:
        if served.role is Role.COMPANION:
            continue
        needed = served.model.min_sessions
        ready = [one for one, span in zip(outcome.series, spans, strict=True) if span >= needed]
        returns = answers(served.model, [one.known for one in ready], _remedy(served, outcome))
        made += _predictions(served, ready, returns, outcome.lineup)
    known = [one.known for one in outcome.series]
    beside, missing = predict_beside(companions, known, deadline)
    for served, place, each in beside:
        made += _predictions(served, [outcome.series[place]], [each], outcome.lineup)
    return made, replace(outcome, series=[_with_missing(one, missing) for one in outcome.series])


def _remedy(served: Served, outcome: Outcome) -> str:
    """The remedy for a model that makes no forecasts; a backfill takes any version that is published."""
    if outcome.origin is Origin.LIVE:
        return serve_another(outcome.frequency)
    where = folder(served.model.name, served.model.version)
    return f"{serve_another(outcome.frequency)} Or delete {where} from the bucket, if it is not the one that is served."


def _directions(
    outcome: Outcome, direction: Callable[[Frequency], DirectionPredictor | None]
) -> tuple[pa.Table | None, Outcome]:
    """The forecasts of directions, and the outcome with a finding where there is none."""
    if not outcome.series:
        return None, outcome
    try:
        model = direction(outcome.frequency)
    except (Permanent, ModelUnavailable) as error:
        missing = [
            Finding(one.bars.symbol, "companion", f"no direction is forecast: {error}") for one in outcome.series
        ]
        return None, replace(outcome, series=[_with_missing(one, missing) for one in outcome.series])
    if model is None:
        return None, outcome
    made, missing = predict_directions(model, [Asked(one.known, one.is_doubtful) for one in outcome.series])
    return made, replace(outcome, series=[_with_missing(one, missing) for one in outcome.series])


def _predictions(
    served: Served, series: Sequence[Series], log_returns: Iterable[LogReturns], lineup: Lineup
) -> list[Prediction]:
    model, role = served.model, served.role
    name, version, horizon = model.name, model.version, model.horizon
    has_seen = role is Role.CHAMPION and lineup.champion_has_seen
    made = []
    for one, each in zip(series, log_returns, strict=True):
        bars, end, doubtful = one.known, one.known.end, one.is_doubtful
        targets = bars.frequency.next_steps(bars.symbol, end, horizon)
        known = bars.symbol, end, bars.last_close, targets, each
        made.append(Prediction(*known, name, version, role, bars.simulated, has_seen, doubtful, bars.frequency))
    return made


def _with_results(outcome: Outcome, warehouse: Warehouse) -> tuple[Outcome, Mapping[str, ResultsDays]]:
    """The outcome with the results day that each forecast expects, and all results days by symbol."""
    series = [one.known for one in outcome.series]
    results = known_results(series, warehouse) if outcome.frequency.is_daily else {}
    if not results:
        return outcome, results
    days = expected_days(series, results)
    known = [replace(one, results=day) for one, day in zip(outcome.series, days, strict=True)]
    return replace(outcome, series=known), results


def _with_class(one: Series, lineup: Lineup) -> Series:
    found = class_findings(lineup.models[0].model, one.known.symbol)
    return replace(one, findings=[*one.findings, *found]) if found else one


def _with_missing(one: Series, missing: Sequence[Finding]) -> Series:
    own = [found for found in missing if found.symbol == one.known.symbol]
    return replace(one, findings=[*one.findings, *own]) if own else one


def _forecast_rows(outcome: Outcome, counts: Mapping[str, int]) -> pa.Table:
    series, frequency, lineup = outcome.series, outcome.frequency, outcome.lineup
    if not series:
        return _LEDGER.empty_table()
    cutoffs = frequency.ends([one.known.end for one in series])
    symbols = [one.bars.symbol for one in series]
    results = [one.results for one in series]
    columns = {
        "symbol": symbols,
        "status": pa.repeat("forecast", len(series)),
        "reason": pa.repeat(pa.scalar(lineup.note or None, pa.string()), len(series)),
        "findings": [sentence(one.findings) or None for one in series],
        "simulated": [one.bars.simulated for one in series],
        "rows": [len(one.bars) for one in series],
        "rows_new": [counts[symbol] for symbol in symbols],
        "cutoff": frequency.dates(cutoffs),
        "cutoff_at": frequency.closes(symbols, np.arange(len(symbols)), cutoffs),
        "model_version": pa.repeat(lineup.models[0].model.version, len(series)),
        "results_date": [day and day.day for day in results],
        "results_session": [day and day.session for day in results],
        "results_predicted": [day and day.is_predicted for day in results],
    }
    return pa.table(columns, _LEDGER)


def _failed_rows(outcome: Outcome) -> list[dict[str, Any]]:
    return [
        {
            "symbol": symbol,
            "status": outcome.status,
            "reason": str(error),
            "findings": None,
            "simulated": None,
            "rows": 0,
            "rows_new": 0,
            "cutoff": None,
            "cutoff_at": None,
            "model_version": None,
        }
        for symbol, error in outcome.failures.items()
    ]


def _quarantine(event: ObjectFinalized, outcome: Outcome, store: ObjectStore, received_at: datetime) -> None:
    """Keep the file first, then its reason: a file without a reason shows that there was a fault in between."""
    name = objects.quarantine_name(event.name, event.generation)
    reason = {
        "object": event.name,
        "generation": event.generation,
        "quarantined_at": received_at.isoformat(),
        "reasons": [{"symbol": symbol, "reason": str(error)} for symbol, error in outcome.failures.items()],
    }
    try:
        store.copy(event.name, name, generation=event.generation)
    except (ObjectNotFound, InvalidName) as error:  # the ledger still has the reason
        log.warning("%s cannot be kept in quarantine: %s", event.name, error)
        return
    with suppress(PreconditionFailed):  # an earlier delivery got this far
        store.write(objects.reason_of(name), json.dumps(reason, indent=2).encode(), if_generation="")


def _give_up(
    event: ObjectFinalized,
    error: Exception,
    store: ObjectStore,
    warehouse: Warehouse,
    received_at: datetime,
    now: Callable[[], datetime],
) -> Outcome:
    """Record an event that cannot be handled; if the warehouse is down, in quarantine only.

    Raises:
        StoreUnavailable: not even that is possible; try again.
    """
    with suppress(TickercastError):
        if _is_accounted_for(event, warehouse):
            return Outcome(status="duplicate")
    try:
        _live_generation(event, store)
    except NeverWritten as never:
        return Outcome(failures={None: never}, status="ignored")
    message = str(error) if isinstance(error, TickercastError) else f"{type(error).__name__}: {error}."
    reason = Permanent(
        f"{event.name}, written {event.written_at:%Y-%m-%d %H:%M} UTC, failed for so long that it was given up: "
        f"{' '.join(message.split())} When that is fixed: tickercast replay {event.name}."
    )
    outcome = _failed(event, reason)
    _quarantine(event, outcome, store, received_at)
    try:
        _append(
            event,
            File(event.name, event.generation, event.written_at or received_at),
            outcome,
            [],
            warehouse,
            received_at,
            now,
        )
    except TickercastError as failure:
        log.error("%s is in quarantine and not in the ledger: %s", event.name, failure)
    return outcome
