"""Translation of BigQuery's errors to those of tickercast: by reason code if there is one, else by type."""

import concurrent.futures
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pandas_gbq.exceptions as gbq
import requests
import urllib3.exceptions
from google.api_core import exceptions as api
from google.auth import exceptions as auth

from tickercast.errors import (
    EngineUnusable,
    NotSetUp,
    SchemaMismatch,
    TickercastError,
    UsageError,
    WarehouseUnavailable,
)
from tickercast.plain import shortened

_TRANSIENT_REASONS = {
    "rateLimitExceeded",
    "backendError",
    "internalError",
    "badGateway",
    "jobBackendError",
    "jobInternalError",
    "jobRateLimitExceeded",
}
_TRANSIENT_TYPES = (
    api.TooManyRequests,
    api.ServerError,
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
    auth.TransportError,
)
_VENDOR_ERRORS = (
    api.GoogleAPIError,
    auth.GoogleAuthError,
    requests.RequestException,
    concurrent.futures.TimeoutError,
    urllib3.exceptions.HTTPError,
    gbq.AccessDenied,
    gbq.DatasetCreationError,
    gbq.GenericGBQException,
    gbq.InvalidColumnOrder,
    gbq.InvalidIndexColumn,
    gbq.InvalidPageToken,
    gbq.InvalidPrivateKeyFormat,
    gbq.InvalidSchema,
    gbq.NotFoundException,
    gbq.QueryTimeout,
    gbq.TableCreationError,
)

_TRANSLATIONS: Sequence[tuple[tuple[type[BaseException], ...], str, type[TickercastError], str]] = (
    (
        (api.GoogleAPICallError,),
        "^quotaExceeded:",
        WarehouseUnavailable,
        "{url} has used up a daily quota: {message}. It fills up again within 24 hours: send fewer files with more "
        "symbols each (--symbols-file), and try again then.",
    ),
    (
        (api.GoogleAPICallError, gbq.GenericGBQException),
        r"bytesBilledLimitExceeded|exceeded limit for bytes billed",
        UsageError,
        "A query of {url} would be billed for more than the limit of {max_query_gb:,g} GB: {message}. Ask for fewer "
        "symbols, dates or columns, or raise TICKERCAST_MAX_QUERY_GB; nothing was billed.",
    ),
    (
        (api.GoogleAPICallError,),
        "^billingNotEnabled:",
        EngineUnusable,
        "{url} belongs to a project without billing: {message}. Enable it there.",
    ),
    (
        (auth.DefaultCredentialsError, auth.RefreshError, api.Unauthorized, gbq.AccessDenied),
        "",
        EngineUnusable,
        "{url} needs valid credentials, and none were found: {message}. Run `gcloud auth application-default login`, "
        "or give the function a service account.",
    ),
    (
        (api.Forbidden,),
        "",
        EngineUnusable,
        "{url} refuses access: {message}. Grant the roles BigQuery Data Editor and BigQuery Job User on the project.",
    ),
    (
        (api.NotFound,),
        "(?i)not found: project",
        EngineUnusable,
        "{url} is in a project that was not found: {message}. Correct TICKERCAST_WAREHOUSE.",
    ),
    (
        (api.NotFound,),
        "",
        NotSetUp,
        "{url} has not been set up, or lies in another location: {message}. Run any forecast, or correct "
        "TICKERCAST_WAREHOUSE.",
    ),
    (
        (api.BadRequest, gbq.InvalidSchema),
        "",
        SchemaMismatch,
        "The request does not fit the tables of {url}: {message}.",
    ),
    (
        (api.PreconditionFailed,),
        "",
        WarehouseUnavailable,
        "{url} was changed by another process at the same moment: {message}. Try again.",
    ),
    (
        (concurrent.futures.TimeoutError, gbq.QueryTimeout),
        "",
        WarehouseUnavailable,
        "{url} has worked on the job for {patience_s:.0f} s and has not finished. Try again: nothing is stored twice.",
    ),
)
"""The first match counts: error types, a pattern for "reason: message", our error, and its text."""


@contextmanager
def translated(url: str, patience_s: float, max_query_gb: float) -> Iterator[None]:
    """Raise the vendor errors of the block as errors of tickercast.

    Args:
        url: the warehouse, for the message.
        patience_s: the time limit of a job, for the message.
        max_query_gb: the gigabytes that a query may be billed for, for the message.

    Raises:
        EngineUnusable: the warehouse is closed to us, until somebody acts.
        UsageError, SchemaMismatch: trying again cannot help.
        WarehouseUnavailable: trying again may help.
    """
    try:
        yield
    except _VENDOR_ERRORS as error:
        root = _root_cause(error)
        kind, text = _translation(root)
        given = {"url": url, "message": one_line(root), "patience_s": patience_s, "max_query_gb": max_query_gb}
        raise kind(text.format(**given)) from error


def is_transient(error: BaseException) -> bool:
    """Whether the same request may succeed in a moment; a daily quota does not fill up in one."""
    reason = _reason(error)
    return reason in _TRANSIENT_REASONS or (isinstance(error, _TRANSIENT_TYPES) and reason != "quotaExceeded")


def one_line(error: BaseException) -> str:
    """The message of an error in one line, without the request that caused it."""
    if isinstance(error, requests.RequestException) and error.request is not None:
        return f"{type(error).__name__} at {urlsplit(error.request.url).netloc!s}"
    message = _detail(error).get("message") or getattr(error, "message", None) or str(error)
    return shortened(str(message), 300)


def _translation(error: BaseException) -> tuple[type[TickercastError], str]:
    seen = f"{_reason(error)}: {one_line(error)}"
    if not is_transient(error):
        for types, pattern, kind, text in _TRANSLATIONS:
            if isinstance(error, types) and re.search(pattern, seen):
                return kind, text
    return WarehouseUnavailable, "{url} does not answer: {message}. Check the network, then try again."


def _reason(error: BaseException) -> str:
    """The reason code, which says more than the status: 403 means no permission, or too many requests."""
    return str(_detail(error).get("reason", ""))


def _detail(error: BaseException) -> Mapping[str, Any]:
    first = next(iter(getattr(error, "errors", None) or ()), None)
    return first if isinstance(first, Mapping) else {}


def _root_cause(error: BaseException) -> BaseException:
    """The underlying error: the layers of the vendor wrap each other's errors."""
    inner = error.__cause__ or error.__context__ if isinstance(error, ValueError) else getattr(error, "cause", None)
    return _root_cause(inner) if isinstance(inner, _VENDOR_ERRORS) else error
