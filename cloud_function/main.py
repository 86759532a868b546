"""The forecast function: CloudEvent in, acknowledged or to be delivered again.

Cloud Run functions and functions-framework on a laptop run this same file. What is wrong with a file is an
outcome, stored and acknowledged; what keeps the function from storing it is raised, so that the platform
delivers the event again.
"""

import functools
import logging

import functions_framework
from cloudevents.http import CloudEvent
from werkzeug.exceptions import ServiceUnavailable

from tickercast import bootstrap
from tickercast.errors import TickercastError, UsageError

log = logging.getLogger("tickercast.function")
function = functools.cache(bootstrap.function)


@functions_framework.cloud_event
def forecast(event: CloudEvent) -> None:
    """Forecasts every symbol in the CSV whose upload the event announces."""
    try:
        finalized = bootstrap.object_finalized(event.get_attributes(), event.get_data() or {})
    except UsageError as error:
        log.error("%s", error)
        return
    try:
        outcome = function()(finalized)
    except TickercastError as error:
        raise ServiceUnavailable(str(error)) from error
    for symbol, reason in outcome.failures.items():
        log.warning("%s %s: %s", outcome.status, symbol or finalized.name, reason)
