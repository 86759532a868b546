"""Errors as RFC 9457 has them: `application/problem+json`, whose detail is our own sentence."""

import json
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from tickercast.api.wording import for_callers
from tickercast.domain.text import is_number, rounded, shown
from tickercast.errors import (
    CalendarError,
    InvalidBars,
    NoRecentBars,
    NoResults,
    ObjectNotFound,
    OutOfScope,
    QuotaSpent,
    RateLimited,
    TickercastError,
    TooFewSessions,
    Transient,
    Unauthenticated,
    UnknownSymbol,
    UsageError,
)

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
"""The content type of an error."""

_STATUS: Mapping[type[TickercastError], int] = {
    Unauthenticated: 401,
    OutOfScope: 403,
    ObjectNotFound: 404,
    QuotaSpent: 429,
    UsageError: 422,
    UnknownSymbol: 422,
    NoResults: 422,
    NoRecentBars: 422,
    InvalidBars: 422,
    TooFewSessions: 422,
    CalendarError: 422,
    TickercastError: 503,
}
"""The status of each error; that of the nearest class counts, and what the caller did not bring about is 503."""

_LENGTHS = {
    "string_too_long": "at most {max_length}",
    "string_too_short": "at least {min_length}",
    "too_long": "at most {max_length}",
    "too_short": "at least {min_length}",
}
_NEEDED = _LENGTHS | {
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "finite_number": "a finite number",
    "float_parsing": "a number",
    "float_type": "a number",
    "greater_than": "more than {gt}",
    "greater_than_equal": "at least {ge}",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a number of fewer digits",
    "int_type": "a whole number",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
    "list_type": "a list",
    "literal_error": "{expected}",
    "model_attributes_type": "an object",
    "model_type": "an object",
    "string_type": "a text",
    "string_unicode": "a text in UTF-8",
    "value_error": "{error}",
}
"""The need behind each type of error of pydantic, in place of its own message."""

_RETRY_AFTER_S, _RETRY_LIMITED_S = 5, 60


@dataclass
class Problem(Exception):
    """An error as it is answered.

    Attributes:
        status: the status of the answer.
        detail: the fault, the need and the remedy, in a sentence or two.
        headers: further headers of the answer.
    """

    status: int
    detail: str
    headers: Mapping[str, str] = field(default_factory=dict)

    def body(self, path: str) -> bytes:
        """The JSON of the answer."""
        values: dict[str, Any] = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            "instance": path,
        }
        return json.dumps(values, ensure_ascii=False).encode(errors="replace")


def of_error(error: TickercastError, addresses: Mapping[str, str]) -> Problem:
    """The problem of one of our errors.

    >>> of_error(Unauthenticated("The call has no token."), {}).headers
    {'WWW-Authenticate': 'Bearer realm="tickercast"'}
    >>> of_error(UsageError("duckdb:///srv/x.duckdb is full."), {"duckdb:///srv/x.duckdb": "the warehouse"}).detail
    'The warehouse is full.'
    >>> of_error(UsageError("a.json in file:///srv is damaged."), {"file:///srv": "the bucket"}).detail
    'a.json in the bucket is damaged.'

    Args:
        error: one of ours.
        addresses: the words that stand in place of the server's own addresses.
    """
    status = next(_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS)
    headers: dict[str, str] = {}
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = 'Bearer realm="tickercast"'
    if isinstance(error, Transient):
        headers["Retry-After"] = str(_RETRY_LIMITED_S if isinstance(error, RateLimited) else _RETRY_AFTER_S)
    detail = for_callers(str(error), addresses)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR and detail != str(error):
        log.warning("%s", error)  # for whoever runs the server
    return Problem(status, detail, headers)


def no_json() -> Problem:
    """The problem of a body that does not parse."""
    return Problem(400, "The body is no JSON: one object was needed. Correct it; /openapi.json describes it.")


def of_validation(errors: list[Any]) -> Problem:
    """The problem of a request that does not fit its description."""
    first = errors[0]
    where = shown(".".join(str(part) for part in first["loc"]) or "request", 80)
    if first["type"] == "json_invalid":
        return no_json()
    if first["loc"] == ("body",) and isinstance(first.get("input"), bytes):  # which FastAPI has not parsed
        return Problem(
            422, "The body was not read as JSON: the header Content-Type: application/json was needed. Send it along."
        )
    if first["type"] == "missing":
        return Problem(422, f"{where} is missing: it was needed. Add it; /openapi.json describes it.")
    if first["type"] == "extra_forbidden":
        seen = f"{where} has no meaning: a word that /openapi.json lists was needed."
        return Problem(422, f"{seen} Correct it, or leave it out.")
    limits = {name: _limit(value) for name, value in first.get("ctx", {}).items()}
    needed = _NEEDED.get(first["type"], "a value that fits its description").format(**limits)
    return Problem(422, f"{where} {_seen(first)}: {needed} was needed. Correct it; /openapi.json describes it.")


def _seen(error: Mapping[str, Any]) -> str:
    """The value in the place of the error as JSON has it, or, of a text, the text itself; or its length."""
    given = error["input"]
    if error["type"] in _LENGTHS:
        return f"has a length of {len(given):,}"
    return (
        f"is {repr(shown(given, 60)) if isinstance(given, str) else shown(json.dumps(given, ensure_ascii=False), 60)}"
    )


def _limit(value: object) -> str:
    return rounded(value, 15) if is_number(value) else str(value)


def refuse_repeated(body: bytes) -> None:
    """Refuse JSON in which an object has a word twice, of which parsers take the last; what is no JSON is let through.

    >>> refuse_repeated(b'{"bars": [{"open": 1}, {"open": 2}]}')
    >>> refuse_repeated(b'{"bars": [{"open": 1, "open": 2}]}')
    Traceback (most recent call last):
    tickercast.api.problems.Problem: (422, "body: 'open' is given 2 times in one object, and once was needed. ...")

    Raises:
        Problem: a word is there twice.
    """
    with suppress(ValueError, RecursionError):
        json.loads(body, object_pairs_hook=_refuse_repeated)


def _refuse_repeated(pairs: Sequence[tuple[str, object]]) -> None:
    if len({word for word, _ in pairs}) < len(pairs):
        [(word, count)] = Counter(word for word, _ in pairs).most_common(1)
        seen = repr(shown(word, 40))
        raise Problem(
            422, f"body: {seen} is given {count} times in one object, and once was needed. Leave out all but one."
        )
