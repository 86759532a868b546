"""Cloud Storage's errors become ours, once and at the edge."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from urllib.parse import urlsplit

import requests
from google.api_core import exceptions as api
from google.auth import exceptions as auth
from google.cloud.storage.exceptions import DataCorruption, InvalidResponse

from tickercast.errors import ObjectNotFound, PreconditionFailed, StoreUnavailable, TickercastError, UsageError

_ALL = (
    api.GoogleAPIError,
    auth.GoogleAuthError,
    requests.RequestException,
    ConnectionError,
    DataCorruption,
    InvalidResponse,
)

_SENTENCES: Sequence[tuple[tuple[type[BaseException], ...], str, type[TickercastError], str]] = (
    (
        (auth.DefaultCredentialsError, auth.RefreshError, api.Unauthorized),
        "",
        UsageError,
        "{url} needs valid credentials, and none were found: {said}. Run `gcloud auth application-default login`, "
        "or give the function a service account.",
    ),
    (
        (api.Forbidden,),
        "(?i)billing",
        UsageError,
        "{url} belongs to a project without billing: {said}. Enable it there.",
    ),
    (
        (api.Forbidden,),
        "(?i)rate ?limit",
        StoreUnavailable,
        "{url} is asked too often: {said}. Wait a minute, then try again.",
    ),
    (
        (api.Forbidden,),
        "",
        UsageError,
        "{url} refuses access to {what}: {said}. Grant the role Storage Object User on the bucket.",
    ),
    (
        (api.NotFound,),
        "(?i)bucket does not exist",
        UsageError,
        "{url} was not found: {said}. Make the bucket, or correct TICKERCAST_BUCKET.",
    ),
    (
        (api.NotFound,),
        "",
        ObjectNotFound,
        "{url} holds no {what}. Send it again.",
    ),
    (
        (api.PreconditionFailed,),
        "",
        PreconditionFailed,
        "{url} has another generation of {what}: {said}. Read it, then decide again.",
    ),
    (
        (api.BadRequest, DataCorruption),
        "(?i)crc32c|checksum",
        StoreUnavailable,
        "{what} was damaged on its way between here and {url}: its checksum is another. Try again.",
    ),
    (
        (api.BadRequest,),
        "",
        UsageError,
        "{url} does not take {what}: {said}. Correct the name, or TICKERCAST_BUCKET.",
    ),
)
"""The first that fits is said: types, a pattern for the message, our error, and its text."""


@contextmanager
def translated(url: str, what: str) -> Iterator[None]:
    """Raise what goes wrong inside as one of our errors.

    Args:
        url: the bucket, for the message.
        what: what was asked for, for the message.

    Raises:
        ObjectNotFound, PreconditionFailed, UsageError: trying again cannot help.
        StoreUnavailable: it may.
    """
    try:
        yield
    except _ALL as error:
        root = _root(error)
        said = _said(root)
        kind, sentence = _answer(root, said)
        raise kind(sentence.format(url=url, what=what, said=said)) from error


def _answer(error: BaseException, said: str) -> tuple[type[TickercastError], str]:
    for types, pattern, kind, sentence in _SENTENCES:
        if isinstance(error, types) and re.search(pattern, said):
            return kind, sentence
    return StoreUnavailable, "{url} does not answer: {said}. Check the network, then try again."


def _said(error: BaseException) -> str:
    """What an error says, in one line and without the request that it was the answer to."""
    if isinstance(error, requests.RequestException) and error.request is not None:
        return f"{type(error).__name__} at {urlsplit(error.request.url).netloc!s}"
    response = getattr(error, "response", None)
    text = str(error) if response is None or isinstance(error, DataCorruption) else _body(response)
    return " ".join(text.split())[:300].rstrip(".")


def _body(response: requests.Response) -> str:
    """Cloud Storage answers in JSON, and where content was asked for, in plain text."""
    try:
        return str(response.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return response.text or f"{response.status_code} {response.reason}"


def _root(error: BaseException) -> BaseException:
    """What went wrong in the first place: a deadline that has passed wraps the last error."""
    cause = getattr(error, "cause", None)
    return cause if isinstance(cause, _ALL) else error
