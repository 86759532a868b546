"""Translation of Cloud Storage's errors to those of tickercast."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from urllib.parse import urlsplit

import requests
import urllib3.exceptions
from google.api_core import exceptions as api
from google.auth import exceptions as auth
from google.cloud.storage.exceptions import DataCorruption, InvalidPathError, InvalidResponse

from tickercast.backends.object_store import sentences as said
from tickercast.errors import (
    EngineUnusable,
    ObjectNotFound,
    PreconditionFailed,
    StoreUnavailable,
    TickercastError,
    UsageError,
)
from tickercast.plain import shortened

_VENDOR_ERRORS = (
    api.GoogleAPIError,
    auth.GoogleAuthError,
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    ConnectionError,
    DataCorruption,
    InvalidPathError,
    InvalidResponse,
)

_TRANSLATIONS: Sequence[tuple[tuple[type[BaseException], ...], str, type[TickercastError], str]] = (
    (
        (auth.DefaultCredentialsError, auth.RefreshError, api.Unauthorized),
        "",
        EngineUnusable,
        "{url} needs valid credentials, and none were found: {message}. Run `gcloud auth application-default login`, "
        "or give the function a service account.",
    ),
    (
        (api.Forbidden,),
        "(?i)billing",
        EngineUnusable,
        "{url} belongs to a project without billing: {message}. Enable it there.",
    ),
    (
        (api.Forbidden,),
        "(?i)rate ?limit",
        StoreUnavailable,
        said.TOO_MANY,
    ),
    (
        (api.Forbidden,),
        "",
        EngineUnusable,
        "{url} refuses access to {target}: {message}. Grant the role Storage Object User on the bucket.",
    ),
    (
        (api.NotFound,),
        "(?i)bucket does not exist",
        EngineUnusable,
        said.NO_BUCKET,
    ),
    (
        (api.NotFound,),
        "",
        ObjectNotFound,
        said.NOT_THERE,
    ),
    (
        (api.PreconditionFailed,),
        "",
        PreconditionFailed,
        said.ANOTHER_GENERATION,
    ),
    (
        (api.BadRequest, DataCorruption),
        "(?i)crc32c|checksum",
        StoreUnavailable,
        said.DAMAGED,
    ),
    (
        (api.BadRequest,),
        "",
        UsageError,
        said.NOT_ACCEPTED,
    ),
)
"""The first match counts: error types, a pattern for their message, our error, and its text."""


@contextmanager
def translated(url: str, target: str) -> Iterator[None]:
    """Raise the vendor errors of the block as errors of tickercast.

    Args:
        url: the bucket, for the message.
        target: the object, for the message.

    Raises:
        EngineUnusable: the bucket is closed to us, until somebody acts.
        ObjectNotFound, PreconditionFailed, UsageError: trying again cannot help.
        StoreUnavailable: trying again may help.
    """
    try:
        yield
    except _VENDOR_ERRORS as error:
        root = _root_cause(error)
        message = _message(root)
        kind, text = _translation(root, message)
        raise kind(text.format(url=url, target=target, message=message)) from error


def _translation(error: BaseException, message: str) -> tuple[type[TickercastError], str]:
    for types, pattern, kind, text in _TRANSLATIONS:
        if isinstance(error, types) and re.search(pattern, message):
            return kind, text
    return StoreUnavailable, said.NO_ANSWER


def _message(error: BaseException) -> str:
    """The message of an error in one line, without the request that caused it."""
    if isinstance(error, requests.RequestException) and error.request is not None:
        return f"{type(error).__name__} at {urlsplit(error.request.url).netloc!s}"
    response = getattr(error, "response", None)
    text = str(error) if response is None or isinstance(error, DataCorruption) else _body(response)
    return shortened(text, 300)


def _body(response: requests.Response) -> str:
    """The message in a response: JSON, or plain text where content was requested."""
    try:
        return str(response.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return response.text or f"{response.status_code} {response.reason}"


def _root_cause(error: BaseException) -> BaseException:
    """The underlying error: an expired deadline wraps the last one."""
    cause = getattr(error, "cause", None)
    return cause if isinstance(cause, _VENDOR_ERRORS) else error
