"""Shared parts of venues over HTTP: a session that sends nothing twice, ends in time and reaches one place alone.

>>> origin_of("https://venue.example", "")
'https://venue.example'
>>> origin_of("https://venue.example", "https://live.example")
Traceback (most recent call last):
    ...
tickercast.errors.UsageError: The stand-in of a venue is 'https://live.example': http://127.0.0.1:PORT was needed...
>>> as_far_as_reported(Status.FILLED, Decimal(10), Decimal(4))
(<Status.PARTIALLY_FILLED: 'partially_filled'>, Decimal('4'))
"""

import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3.exceptions
from requests.adapters import HTTPAdapter

from tickercast.domain.text import shown
from tickercast.domain.trading.orders import Status
from tickercast.errors import BrokerUnavailable, StatusUnknown, TickercastError, UsageError

TIMEOUT_S = (4.0, 10.0)
"""Seconds to connect, and to wait for each part of an answer."""

UNREADABLE = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError)
"""The errors of reading an answer that is not what was asked for; a `json` that is none is a ValueError."""

_STAND_IN = re.compile(r"http://127\.0\.0\.1:\d{1,5}")
_LONGEST_WORDS = 160


class _Bounded(HTTPAdapter):
    """Sends each request once, with a timeout, to the origins that it is for."""

    def __init__(self, origins: Collection[str], timeout: tuple[float, float]) -> None:
        self._origins, self._timeout = frozenset(origins), timeout
        super().__init__(max_retries=0)

    def send(self, request: requests.PreparedRequest, *given: Any, **options: Any) -> requests.Response:
        parts = urlsplit(str(request.url))
        origin = f"{parts.scheme}://{parts.netloc}"
        if origin not in self._origins:
            raise UsageError(
                f"A request to {shown(origin, 80)} was about to be sent, and only "
                f"{' and '.join(sorted(self._origins))} may be reached from here. Report this."
            )
        return super().send(request, *given, **options | {"timeout": self._timeout})


def session(origins: Collection[str], timeout: tuple[float, float] = TIMEOUT_S) -> requests.Session:
    """A session that reaches these origins alone, repeats nothing and gives nobody the logins of `.netrc`."""
    made = requests.Session()
    made.auth = lambda request: request
    made.trust_env = not any(_STAND_IN.fullmatch(origin) for origin in origins)  # proxies are for other machines
    for scheme in ("https://", "http://"):
        made.mount(scheme, _Bounded(origins, timeout))
    return made


def origin_of(venue: str, stand_in: str) -> str:
    """The origin of a venue, or that of its stand-in in a test.

    Raises:
        UsageError: the stand-in is not on this machine.
    """
    if stand_in and not _STAND_IN.fullmatch(stand_in):
        raise UsageError(
            f"The stand-in of a venue is {shown(stand_in, 80)!r}: http://127.0.0.1:PORT was needed, since no other "
            "place than the venue itself may be reached. Leave it out."
        )
    return stand_in or venue


@contextmanager
def asking(venue: str, client_id: str = "") -> Iterator[None]:
    """Turn what the transport and the reading of an answer raise into errors of ours.

    Args:
        venue: the name of the venue in a sentence.
        client_id: the client id of the order that is sent; empty for a question.

    Raises:
        StatusUnknown: an order was sent, and it has no answer that can be read.
        BrokerUnavailable: no answer to a question can be read, or the order was not sent.
    """
    try:
        yield
    except TickercastError:
        raise
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, *UNREADABLE) as error:
        raise _unanswered(venue, error, client_id) from None


def _unanswered(venue: str, error: Exception, client_id: str) -> BrokerUnavailable:
    if isinstance(error, requests.Timeout):
        reason = "no answer came in time"
    elif isinstance(error, requests.RequestException) and not isinstance(error, requests.JSONDecodeError):
        reason = f"the connection failed ({type(error).__name__})"
    else:
        reason = f"its answer cannot be read ({type(error).__name__})"
    if client_id and _was_never_sent(error):
        return BrokerUnavailable(f"{venue} cannot be reached, and order {client_id} was not sent. Try again later.")
    return unknown(venue, reason, client_id) if client_id else silent(venue, reason)


def silent(venue: str, reason: str) -> BrokerUnavailable:
    """The error of a question that was not answered."""
    return BrokerUnavailable(f"{venue} does not answer: {reason}. Try again later.")


def unknown(venue: str, reason: str, client_id: str) -> StatusUnknown:
    """The error of an order that may have arrived."""
    return StatusUnknown(
        f"Whether {venue} has taken order {client_id} is not known: {reason}. Ask for the order by its id before "
        "anything else; it is not sent again by itself."
    )


def paused(venue: str, until: str) -> BrokerUnavailable:
    """The error of a venue that was asked too often.

    Args:
        venue: the name of the venue in a sentence.
        until: `Retry-After` or the like, in seconds from now or since 1970; else empty.
    """
    again = "in a minute"
    if re.fullmatch(r"\d{1,7}", until):
        again = f"in {until} s"
    elif re.fullmatch(r"\d{8,11}", until):
        again = f"at {datetime.fromtimestamp(int(until), UTC):%H:%M:%S} UTC"
    return BrokerUnavailable(f"{venue} was asked too often and refuses to look at more. Try again {again}.")


def words(text: object, *secrets: str) -> str:
    """The words of a venue, safe to quote: one line without any of the keys."""
    said = " ".join(str(text).split())
    for secret in secrets:
        said = said.replace(secret, "***")
    return shown(said, _LONGEST_WORDS).rstrip(".")


def status_of(said: str, known: Mapping[str, Status], venue: str) -> tuple[Status, str]:
    """An order's status in a venue's word, and the reason; one that the venue has added may still be filled.

    Args:
        said: the word of the venue.
        known: the meaning of its words.
        venue: the name of the venue in a sentence.

    >>> status_of("odd", {"new": Status.ACCEPTED}, "Alpaca")
    (<Status.ACCEPTED: 'accepted'>, "Alpaca says 'odd', which is not known here and counts as open")
    """
    if said not in known:
        return Status.ACCEPTED, f"{venue} says {shown(said, 40)!r}, which is not known here and counts as open"
    return known[said], f"{venue} gives no reason" if known[said] is Status.REJECTED else ""


def as_far_as_reported(status: Status, filled: Decimal, reported: Decimal) -> tuple[Status, Decimal]:
    """Status and quantity filled of an order, as far as the venue has reported its fills, which may come later.

    An order ends when its last fill is reported, so that whoever asks until then misses none.

    Args:
        status: the status of the order.
        filled: the quantity that the order says is filled.
        reported: the quantity of the fills that are known.
    """
    if reported >= filled:
        return status, reported
    return (Status.PARTIALLY_FILLED if reported else Status.ACCEPTED), reported


def moment(text: str) -> datetime:
    """A venue's time, in UTC; fractions of a microsecond are dropped."""
    seen = datetime.fromisoformat(text)
    if seen.utcoffset() is None:
        raise ValueError(text)
    return seen.astimezone(UTC)


def milliseconds(since_1970: int) -> datetime:
    """A venue's time in milliseconds, in UTC."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=since_1970)


def decimal(value: object) -> Decimal:
    """A number of an answer, exactly as it was written.

    Raises:
        ValueError, ArithmeticError: the text is no finite number.
    """
    number = Decimal(str(value))
    if not number.is_finite():
        raise ValueError(value)
    return number


def _was_never_sent(error: Exception) -> bool:
    """Whether no connection came about; all other failures may have come after the request."""
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(error, requests.ConnectTimeout) or isinstance(reason, urllib3.exceptions.NewConnectionError)
