"""Answer one event: read the file, forecast each symbol in it, store all, account for all."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

import pandas as pd

from tickercast.domain import objects
from tickercast.domain.calendar import next_sessions
from tickercast.domain.forecast import HORIZON, Forecast, Predictor
from tickercast.domain.history import History, read_csv
from tickercast.errors import ObjectNotFound, Permanent, TooFewSessions, UsageError
from tickercast.ports import ObjectFinalized, ObjectStore, Warehouse


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
        status: what the ledger calls those failures, `rejected` or `superseded`; `ignored` ones it does not hold.
    """

    origins: Sequence[Origin] = ()
    failures: Mapping[str | None, Permanent] = field(default_factory=dict)
    status: str = "rejected"


def forecast(
    event: ObjectFinalized,
    *,
    store: ObjectStore,
    warehouse: Warehouse,
    predictors: Callable[[], Sequence[Predictor]],
    now: Callable[[], datetime],
) -> Outcome:
    """Handles one event; handled again, it changes nothing.

    Args:
        event: the finished write.
        store: where the file is, and where a rejected one is kept in quarantine.
        warehouse: where prices, forecasts and the ledger go.
        predictors: gives the models, the champion first.
        now: the clock.

    Returns:
        What became of each symbol: a bad file is an outcome, not an error.

    Raises:
        Transient: nothing is lost, and the same event has to be delivered again.
    """
    received_at = now()
    if event.bucket != store.bucket:
        reason = UsageError(f"{event.name} is in the bucket {event.bucket}, and this function reads {store.bucket}.")
        return Outcome(failures={None: reason}, status="ignored")
    try:
        described = objects.parse(event.name)
    except UsageError as error:
        outcome, models = Outcome(failures={None: error}), []
    else:
        if described is None:
            return Outcome()
        models = list(predictors())
        outcome = _decide(event, described, store, min_sessions=max(model.min_sessions for model in models))
    if outcome.failures and outcome.status == "rejected":
        _quarantine(event, outcome, store)
    _append(event, outcome, models, warehouse, received_at, now)
    return outcome


def _decide(
    event: ObjectFinalized, described: objects.PriceObject, store: ObjectStore, *, min_sessions: int
) -> Outcome:
    try:
        reading = read_csv(store.read(event.name, generation=event.generation), symbol=described.symbol)
    except ObjectNotFound as error:
        return Outcome(failures={described.symbol: error}, status="superseded")
    except Permanent as error:
        return Outcome(failures={described.symbol: error})
    origins: list[Origin] = []
    failures: dict[str | None, Permanent] = dict(reading.failures.items())
    for symbol, history in reading.histories.items():
        try:
            origins.append(_origin(history, described.as_of, min_sessions))
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
        prices = pd.concat([origin.history.bars.assign(symbol=origin.history.symbol) for origin in outcome.origins])
        _once(warehouse, "prices", event, prices.assign(ingested_at=received_at))
        forecasts = pd.DataFrame([row for made in _predict(models, outcome.origins) for row in made.rows()])
        _once(warehouse, "forecasts", event, forecasts.assign(created_at=received_at))
    duration_ms = (now() - received_at).total_seconds() * 1000
    ledger = pd.DataFrame(_ledger(outcome, models))
    ledger = ledger.assign(event_id=event.event_id, received_at=received_at, duration_ms=duration_ms)
    _once(warehouse, "ingestions", event, ledger)


def _once(warehouse: Warehouse, table: str, event: ObjectFinalized, rows: pd.DataFrame) -> None:
    rows = rows.assign(object=event.name, generation=event.generation)
    warehouse.append(table, rows, key=f"{table}/{event.bucket}/{event.name}#{event.generation}")


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
            "reason": origin.history.source_note or None,
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


def _quarantine(event: ObjectFinalized, outcome: Outcome, store: ObjectStore) -> None:
    name = objects.quarantined(event.name, event.generation)
    reason = {
        "object": event.name,
        "generation": event.generation,
        "reasons": [{"symbol": symbol, "reason": str(error)} for symbol, error in outcome.failures.items()],
    }
    try:
        store.write(name, store.read(event.name, generation=event.generation))
    except (ObjectNotFound, UsageError):
        return  # nothing is left to be kept, or nothing can be kept under such a name: the ledger has the reason
    store.write(name.removesuffix(".csv") + ".reason.json", json.dumps(reason, indent=2).encode())
