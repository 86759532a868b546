"""Google's errors become ours, once and at the edge: by reason code where there is one, else by type."""

import concurrent.futures
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pandas_gbq.exceptions as gbq
import requests
from google.api_core import exceptions as api
from google.auth import exceptions as auth

from tickercast.errors import SchemaMismatch, TickercastError, UsageError, WarehouseUnavailable

_PASSING_REASONS = {
    "rateLimitExceeded",
    "backendError",
    "internalError",
    "badGateway",
    "jobBackendError",
    "jobInternalError",
    "jobRateLimitExceeded",
}
_PASSING_TYPES = (
    api.TooManyRequests,
    api.ServerError,
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
    auth.TransportError,
)
_ALL = (
    api.GoogleAPIError,
    auth.GoogleAuthError,
    requests.RequestException,
    concurrent.futures.TimeoutError,
    gbq.AccessDenied,
    gbq.GenericGBQException,
    gbq.InvalidSchema,
    gbq.QueryTimeout,
    gbq.TableCreationError,
)

_SENTENCES: Sequence[tuple[tuple[type[BaseException], ...], str, type[TickercastError], str]] = (
    (
        (api.GoogleAPICallError,),
        "^quotaExceeded:",
        WarehouseUnavailable,
        "{url} has used up a daily quota: {said}. It fills up again within 24 hours: send fewer files with more "
        "symbols each (--symbols-file), and try again then.",
    ),
    (
        (api.GoogleAPICallError,),
        "^billingNotEnabled:",
        UsageError,
        "{url} belongs to a project without billing: {said}. Enable it there.",
    ),
    (
        (auth.DefaultCredentialsError, auth.RefreshError, api.Unauthorized, gbq.AccessDenied),
        "",
        UsageError,
        "{url} needs valid credentials, and none were found: {said}. Run `gcloud auth application-default login`, "
        "or give the function a service account.",
    ),
    (
        (api.Forbidden,),
        "",
        UsageError,
        "{url} refuses access: {said}. Grant the roles BigQuery Data Editor and BigQuery Job User on the project.",
    ),
    (
        (api.NotFound,),
        "(?i)not found: project",
        UsageError,
        "{url} is in a project that was not found: {said}. Correct TICKERCAST_WAREHOUSE.",
    ),
    (
        (api.NotFound,),
        "",
        WarehouseUnavailable,
        "{url} has not been set up, or lies in another location: {said}. Run any forecast, or correct "
        "TICKERCAST_WAREHOUSE.",
    ),
    (
        (api.BadRequest, gbq.InvalidSchema),
        "",
        SchemaMismatch,
        "What was asked does not fit the tables of {url}: {said}.",
    ),
    (
        (api.PreconditionFailed,),
        "",
        WarehouseUnavailable,
        "{url} was changed by somebody else at this moment: {said}. Try again.",
    ),
    (
        (concurrent.futures.TimeoutError, gbq.QueryTimeout),
        "",
        WarehouseUnavailable,
        "{url} has worked on the job for {patience_s:.0f} s and is not done. Try again: what it stores in the meantime "
        "is not stored twice.",
    ),
)
"""The first that fits is said: types, a pattern for «reason: message», our error, and its text."""


@contextmanager
def translated(url: str, patience_s: float) -> Iterator[None]:
    """Raise what goes wrong inside as one of our errors.

    Args:
        url: the warehouse, for the message.
        patience_s: how long a job was waited for.

    Raises:
        UsageError, SchemaMismatch: trying again cannot help.
        WarehouseUnavailable: it may.
    """
    try:
        yield
    except _ALL as error:
        root = _root(error)
        kind, sentence = _answer(root)
        raise kind(sentence.format(url=url, said=one_line(root), patience_s=patience_s)) from error


def passes(error: BaseException) -> bool:
    """Whether the same request may succeed in a moment; a daily quota does not fill up in one."""
    reason = _reason(error)
    return reason in _PASSING_REASONS or (isinstance(error, _PASSING_TYPES) and reason != "quotaExceeded")


def one_line(error: BaseException) -> str:
    """What an error says, without the request that it was the answer to."""
    if isinstance(error, requests.RequestException) and error.request is not None:
        return f"{type(error).__name__} at {urlsplit(error.request.url).netloc!s}"
    said = _detail(error).get("message") or getattr(error, "message", None) or str(error)
    return " ".join(str(said).split())[:300].rstrip(".")


def _answer(error: BaseException) -> tuple[type[TickercastError], str]:
    seen = f"{_reason(error)}: {one_line(error)}"
    if not passes(error):
        for types, pattern, kind, sentence in _SENTENCES:
            if isinstance(error, types) and re.search(pattern, seen):
                return kind, sentence
    return WarehouseUnavailable, "{url} does not answer: {said}. Check the network, then try again."


def _reason(error: BaseException) -> str:
    """The reason code, which says more than the status does: 403 stands for no right and for too many requests."""
    return str(_detail(error).get("reason", ""))


def _detail(error: BaseException) -> Mapping[str, Any]:
    first = next(iter(getattr(error, "errors", None) or ()), None)
    return first if isinstance(first, Mapping) else {}


def _root(error: BaseException) -> BaseException:
    """What went wrong in the first place: the vendor's layers wrap each other's errors."""
    inner = error.__cause__ or error.__context__ if isinstance(error, ValueError) else getattr(error, "cause", None)
    return _root(inner) if isinstance(inner, _ALL) else error
