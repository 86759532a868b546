"""Answer one event: read the file, forecast each symbol in it, store all, account for all.

Every event ends in the ledger exactly once, and whatever the ledger holds is left alone: a duplicate changes nothing,
whether the code or the model has changed since or not. A replay is a new write, and so another event.
"""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any

import pandas as pd

from tickercast.domain import objects
from tickercast.domain.bars import History, Reading, bars_of
from tickercast.domain.calendar import next_sessions
from tickercast.domain.forecast import HORIZON, Forecast, Predictor, rows
from tickercast.domain.price_files import read_csv
from tickercast.errors import (
    InvalidBars,
    ObjectNotFound,
    Permanent,
    PreconditionFailed,
    TickercastError,
    TooFewSessions,
    UsageError,
)
from tickercast.ports import ObjectFinalized, ObjectStore, Warehouse

log = logging.getLogger(__name__)

_MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Limits:
    """What is refused.

    Attributes:
        largest_file: bytes; a larger file is rejected unread.
        oldest_event: an event that still fails so long after its write is given up.
    """

    largest_file: int = 64 * _MEGABYTE
    oldest_event: timedelta = timedelta(hours=24)


@dataclass(frozen=True)
class Origin:
    """One symbol, ready to be forecast.

    Attributes:
        history: all bars that the file holds; they are stored.
        known: those up to the cutoff; they are forecast from.
        target_dates: the next ten sessions of the symbol's exchange.
    """

    history: History
    known: History
    target_dates: tuple[date, ...]


@dataclass(frozen=True)
class Outcome:
    """What became of an event; both empty where the object was none of ours.

    Attributes:
        origins: the symbols that were forecast.
        failures: the reason for each that was not; the key None stands for the whole file.
        status: what the ledger calls those failures, `rejected` or `superseded`. It holds neither those of an
            event that was `ignored`, nor a second time what a `duplicate` announced.
        note: what must be known of the models, where they are none of today's.
    """

    origins: Sequence[Origin] = ()
    failures: Mapping[str | None, Permanent] = field(default_factory=dict)
    status: str = "rejected"
    note: str = ""


Past = Callable[[date], tuple[Sequence[Predictor], str]]
"""Gives the models for an origin in the past, and what must be known of them."""


def forecast(
    event: ObjectFinalized,
    *,
    store: ObjectStore,
    warehouse: Warehouse,
    predictors: Callable[[], Sequence[Predictor]],
    past: Past,
    now: Callable[[], datetime],
    limits: Limits = Limits(),
) -> Outcome:
    """Handles one event; handled again, it changes nothing.

    Args:
        event: the finished write.
        store: where the file is, and where a rejected one is kept in quarantine.
        warehouse: where prices, forecasts and the ledger go.
        predictors: gives the models, the champion first.
        past: gives the models for a backfill, by its origin.
        now: the clock.
        limits: what is refused.

    Returns:
        What became of each symbol: a bad file is an outcome, not an error.

    Raises:
        TickercastError: nothing is lost, and the same event has to be delivered again.
    """
    received_at = now()
    if event.bucket != store.bucket:
        reason = UsageError(f"{event.name} is in the bucket {event.bucket}, and this function reads {store.bucket}.")
        return Outcome(failures={None: reason}, status="ignored")
    if not objects.is_prices(event.name):
        return Outcome()
    try:
        if _is_accounted_for(event, warehouse):
            return Outcome(status="duplicate")
        outcome, models = _decide(event, store, predictors, past, limits.largest_file)
        if outcome.failures and outcome.status == "rejected":
            _quarantine(event, outcome, store, received_at)
        _append(event, outcome, models, warehouse, received_at, now)
    except Exception as error:  # a fault of ours must not be retried for ever either
        if event.written_at is None or received_at - event.written_at <= limits.oldest_event:
            raise
        return _give_up(event, error, store, warehouse, received_at, now)
    return outcome


def _is_accounted_for(event: ObjectFinalized, warehouse: Warehouse) -> bool:
    return not warehouse.read("ingestions", {"object": event.name, "generation": event.generation}).empty


def _decide(
    event: ObjectFinalized,
    store: ObjectStore,
    predictors: Callable[[], Sequence[Predictor]],
    past: Past,
    largest_file: int,
) -> tuple[Outcome, Sequence[Predictor]]:
    try:
        described = objects.parse(event.name)
    except UsageError as error:
        return Outcome(failures={None: error}), []
    models = predictors()
    try:
        reading = read_csv(_content(event, store, largest_file), symbol=described.symbol)
    except ObjectNotFound as error:
        return Outcome(failures={described.symbol: error}, status="superseded"), models
    except InvalidBars as error:
        return Outcome(failures={described.symbol: error}), models
    note = ""
    if described.is_backfill:
        models, note = past(_earliest_cutoff(reading, described.as_of))
    outcome = _origins(reading, described.as_of, min_sessions=max(model.min_sessions for model in models))
    return replace(outcome, note=note), models


def _earliest_cutoff(reading: Reading, as_of: date) -> date:
    cutoffs = [as_of]
    for history in reading.histories.values():
        with suppress(Permanent):
            cutoffs.append(history.until(as_of).cutoff)
    return min(cutoffs)


def _content(event: ObjectFinalized, store: ObjectStore, largest_file: int) -> bytes:
    """The file, refused by the size that the event tells before it is read, and by its true size after that."""
    live = store.generation(event.name)
    if live != event.generation:
        became = f"overwritten by generation {live}" if live else "deleted"
        advice = "The newer one counts." if live else "Send it again if it is wanted."
        raise ObjectNotFound(f"{event.name} at generation {event.generation} was {became} before it was read. {advice}")
    _check_size(event.name, event.size, largest_file)
    data = store.read(event.name, generation=event.generation)
    _check_size(event.name, len(data), largest_file)
    return data


def _check_size(name: str, size: int, largest: int) -> None:
    if size > largest:
        raise InvalidBars(
            f"{name} has {size / _MEGABYTE:,.1f} MB, and at most {largest / _MEGABYTE:,.1f} are read. Split it into "
            "several files, or raise TICKERCAST_MAX_FILE_MB and the function's memory."
        )


def _origins(reading: Reading, as_of: date, *, min_sessions: int) -> Outcome:
    origins: list[Origin] = []
    failures: dict[str | None, Permanent] = dict(reading.failures.items())
    for symbol, history in reading.histories.items():
        try:
            origins.append(_origin(history, as_of, min_sessions))
        except Permanent as error:
            failures[symbol] = error
    return Outcome(origins, failures)


def _origin(history: History, as_of: date, min_sessions: int) -> Origin:
    known = history.until(as_of)
    if len(known) < min_sessions:
        raise TooFewSessions(
            f"{history.symbol} has {len(known)} sessions up to {known.cutoff}, and the model needs {min_sessions}. "
            "Send a longer history."
        )
    return Origin(history, known, next_sessions(history.symbol, known.cutoff, HORIZON))


def _append(
    event: ObjectFinalized,
    outcome: Outcome,
    models: Sequence[Predictor],
    warehouse: Warehouse,
    received_at: datetime,
    now: Callable[[], datetime],
) -> None:
    """Stores prices, forecasts and, last, the ledger: what the ledger names is there."""
    if outcome.origins:
        histories = [origin.history for origin in outcome.origins]
        _once(warehouse, "prices", event, bars_of(histories).assign(ingested_at=received_at))
        forecasts = rows(_predict(models, outcome.origins))
        _once(warehouse, "forecasts", event, forecasts.assign(created_at=received_at))
    duration_ms = (now() - received_at).total_seconds() * 1000
    ledger = pd.DataFrame(_ledger(outcome, models))
    ledger = ledger.assign(event_id=event.event_id, received_at=received_at, duration_ms=duration_ms)
    _once(warehouse, "ingestions", event, ledger)


def _once(warehouse: Warehouse, table: str, event: ObjectFinalized, made: pd.DataFrame) -> None:
    whole = made.assign(object=pd.Categorical([event.name]).repeat(len(made)), generation=event.generation)
    warehouse.append(table, whole, key=f"{table}/{event.bucket}/{event.name}#{event.generation}")


def _predict(models: Sequence[Predictor], origins: Sequence[Origin]) -> list[Forecast]:
    known = [origin.known for origin in origins]
    return [
        Forecast(
            origin.known.symbol,
            origin.known.cutoff,
            origin.known.last_close,
            origin.target_dates,
            log_returns,
            model.name,
            model.version,
        )
        for model in models
        for origin, log_returns in zip(origins, model.predict(known), strict=True)
    ]


def _ledger(outcome: Outcome, models: Sequence[Predictor]) -> list[dict[str, Any]]:
    forecast_rows = [
        {
            "symbol": origin.history.symbol,
            "status": "forecast",
            "reason": origin.history.source_note or outcome.note or None,
            "rows": len(origin.history),
            "cutoff": origin.known.cutoff,
            "model_version": models[0].version,
        }
        for origin in outcome.origins
    ]
    failed_rows = [
        {
            "symbol": symbol,
            "status": outcome.status,
            "reason": str(error),
            "rows": 0,
            "cutoff": None,
            "model_version": None,
        }
        for symbol, error in outcome.failures.items()
    ]
    return forecast_rows + failed_rows


def _quarantine(event: ObjectFinalized, outcome: Outcome, store: ObjectStore, received_at: datetime) -> None:
    """Keeps the file first and its reason after: a file without a reason tells of a fault in between."""
    name = objects.quarantined(event.name, event.generation)
    reason = {
        "object": event.name,
        "generation": event.generation,
        "quarantined_at": received_at.isoformat(),
        "reasons": [{"symbol": symbol, "reason": str(error)} for symbol, error in outcome.failures.items()],
    }
    try:
        store.copy(event.name, name, generation=event.generation)
    except (ObjectNotFound, UsageError) as error:  # the ledger has the reason all the same
        log.warning("%s cannot be kept in quarantine: %s", event.name, error)
        return
    with suppress(PreconditionFailed):  # a delivery before this one came so far
        store.write(objects.reason_of(name), json.dumps(reason, indent=2).encode(), if_generation=0)


def _give_up(
    event: ObjectFinalized,
    error: Exception,
    store: ObjectStore,
    warehouse: Warehouse,
    received_at: datetime,
    now: Callable[[], datetime],
) -> Outcome:
    """Accounts for what cannot be handled; where the warehouse itself is down, the quarantine alone does.

    Raises:
        StoreUnavailable: not even that is possible; try again.
    """
    with suppress(TickercastError):
        if _is_accounted_for(event, warehouse):
            return Outcome(status="duplicate")
    said = str(error) if isinstance(error, TickercastError) else f"{type(error).__name__}: {error}."
    reason = Permanent(
        f"{event.name}, written {event.written_at:%Y-%m-%d %H:%M} UTC, failed for so long that it was given up: "
        f"{' '.join(said.split())} When that is mended: tickercast replay {event.name}."
    )
    outcome = Outcome(failures={None: reason})
    _quarantine(event, outcome, store, received_at)
    try:
        _append(event, outcome, [], warehouse, received_at, now)
    except TickercastError as failure:
        log.error("%s is in quarantine and not in the ledger: %s", event.name, failure)
    return outcome
