"""The forecast function: CloudEvent in, acknowledged or to be delivered again.

Cloud Run functions and functions-framework on a laptop run this same file. What is wrong with a file is an
outcome, stored and acknowledged; what keeps the function from storing it is raised, so that the platform
delivers the event again. Each symbol's outcome is one line in the log.
"""

import functools
import logging
import time
from collections.abc import Callable

import functions_framework
from cloudevents.http import CloudEvent
from flask import request
from werkzeug.exceptions import ServiceUnavailable

from tickercast import engines as bootstrap
from tickercast import logs
from tickercast.errors import TickercastError, UsageError
from tickercast.jobs.serving.handle_event import Outcome

log = logging.getLogger("tickercast.function")
function = functools.cache(bootstrap.function)


@functions_framework.cloud_event
def forecast(event: CloudEvent) -> None:
    """Forecasts every symbol in the CSV whose upload the event announces."""
    started = time.perf_counter()
    with logs.fields(trace=logs.trace_id(request.headers), event_id=event["id"]):
        try:
            answer = function()
        except TickercastError as error:
            raise ServiceUnavailable(str(error)) from error
        try:
            finalized = bootstrap.object_finalized(event.get_attributes(), event.get_data() or {})
        except UsageError as error:
            log.error("%s", error)
            return
        with logs.fields(object=finalized.name, generation=finalized.generation):
            _answer(functools.partial(answer, finalized), started)


def _answer(handle: Callable[[], Outcome], started: float) -> None:
    try:
        outcome = handle()
    except Exception as error:
        ours = isinstance(error, TickercastError)
        with logs.fields(status="retry", duration_ms=_ms_since(started)):
            log.error("%s", error, exc_info=not ours)
        if ours:
            raise ServiceUnavailable(str(error)) from error
        raise
    with logs.fields(duration_ms=_ms_since(started)):
        _log(outcome)


def _log(outcome: Outcome) -> None:
    if outcome.status == "duplicate":
        with logs.fields(status=outcome.status):
            log.info("the ledger accounts for this event already")
    for origin in outcome.origins:
        with logs.fields(symbol=origin.history.symbol, status="forecast"):
            log.info("%s is forecast from %s", origin.history.symbol, origin.known.cutoff)
    for symbol, reason in outcome.failures.items():
        with logs.fields(symbol=symbol, status=outcome.status):
            log.warning("%s: %s", outcome.status, reason)


def _ms_since(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 1)
