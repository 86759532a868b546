"""The forecast function: an event of a bucket in, acknowledged or to be delivered again.

Cloud Run functions and functions-framework on a laptop run this same file. A bad file is an outcome, stored and
acknowledged; whatever keeps the function from storing it is raised, so that the platform delivers the event again. The
outcome of each symbol is one line in the log.
"""

import functools
import logging
import time
from collections.abc import Mapping
from typing import Any

import functions_framework
from flask import Request, abort
from werkzeug.exceptions import BadRequest, MethodNotAllowed, ServiceUnavailable

from tickercast import engines, logs, memory
from tickercast.app import App, answers, callers
from tickercast.errors import EventUnreadable, TickercastError, UsageError

log = logging.getLogger("tickercast.function")

memory.share_one_arena()

service = functools.cache(answers.service)
"""The application, opened at the first event: the platform may fork after it has loaded this file."""


@functions_framework.http
def forecast(request: Request) -> str:
    """Forecast every symbol in the file whose upload the event announces."""
    started = time.perf_counter()
    if request.method != "POST":
        raise MethodNotAllowed(["POST"])
    with logs.fields(trace=logs.trace_id(request.headers)):
        try:
            app = service()
        except TickercastError as error:
            raise ServiceUnavailable(str(error)) from error
        refused = callers.refused(dict(request.headers), app.settings)
        if refused:
            log.warning("refused: %s", refused)
            abort(refused.status, str(refused))
        try:
            attributes, data = engines.read_event(dict(request.headers), request.get_data())
        except EventUnreadable as error:
            log.error("%s", error)
            raise BadRequest(str(error)) from error
        except TickercastError as error:
            raise ServiceUnavailable(str(error)) from error
        with logs.fields(event_id=attributes["id"]):
            _handle(app, attributes, data, started)
    return "OK"


def _handle(app: App, attributes: Mapping[str, Any], data: Mapping[str, Any], started: float) -> None:
    try:
        finalized = engines.object_finalized(attributes, data)
    except UsageError as error:
        log.error("%s", error)
        return
    try:
        answers.answer(app, finalized, started)
    except TickercastError as error:
        raise ServiceUnavailable(str(error)) from error
