"""The start of the function, and its handling of one event with its lines in the log: the same on every platform."""

import logging
import time

from tickercast import config, logs
from tickercast.app import App
from tickercast.domain.frequency import stamp
from tickercast.errors import TickercastError
from tickercast.jobs.serving.handle_event import Outcome
from tickercast.ports import ObjectFinalized

log = logging.getLogger(logs.FUNCTION)


def service() -> App:
    """Open the application of a process that answers events, or of one that delivers its own to the function."""
    config.keep_files_private()
    app = App()
    app.set_up_logs(is_alone=not config.in_use())
    app.set_up_memory()
    return app


def answer(app: App, event: ObjectFinalized, started: float) -> Outcome:
    """Handle an event, and log the outcome of each symbol in one line.

    Args:
        app: the application.
        event: the finished write.
        started: the time at which its delivery came, by `time.perf_counter`.

    Raises:
        Exception: the event has to be delivered again; it is logged.
    """
    with logs.fields(object=event.name, generation=event.generation):
        try:
            outcome = app.handle(event)
        except Exception as error:
            with logs.fields(status="retry", duration_ms=_ms_since(started)):
                log.error("%s", error, exc_info=not isinstance(error, TickercastError))
            raise
        with logs.fields(duration_ms=_ms_since(started)):
            _log(outcome)
        return outcome


def _log(outcome: Outcome) -> None:
    if outcome.status == "duplicate":
        with logs.fields(status=outcome.status):
            log.info("the ledger accounts for this event already")
    for series in outcome.series:
        with logs.fields(symbol=series.bars.symbol, status="forecast"):
            log.info("%s is forecast from %s", series.bars.symbol, stamp(series.known.end))
    if outcome.events is not None:
        with logs.fields(status="stored"):
            log.info("%d events are stored", len(outcome.events))
    for symbol, reason in outcome.failures.items():
        with logs.fields(symbol=symbol, status=outcome.status):
            log.warning("%s: %s", outcome.status, reason)


def _ms_since(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 1)
