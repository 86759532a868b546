"""Results days from the SEC's EDGAR: American companies announce results by an 8-K with item 2.02.

`company_tickers.json` gives a company's number, `submissions/CIK….json` its filings with the moment of acceptance. The
SEC asks programs to say who they are, and for at most ten requests a second (sec.gov/os/accessing-edgar-data).

The moments end in Z whatever clock they are of: for about a fifth of the companies it is New York's, for the others
UTC, and always the same one for a company. EDGAR takes filings from 6 to 22 o'clock in New York, so the filings that
one of the clocks would put into the night tell which it is. Where they do not, the session stays unknown, and the later
of the two moments counts.
"""

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo
from http import HTTPStatus
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import requests

from tickercast import config
from tickercast.domain.events import RESULTS, UNKNOWN, session_of
from tickercast.domain.files.event_files import SCHEMA
from tickercast.domain.text import shown
from tickercast.errors import NoResults, Permanent, RateLimited, SourceUnavailable, UnknownSymbol, UsageError
from tickercast.ports import ResultsReading

FORM, ITEM = "8-K", "2.02"
"""The filing that announces results, and its item: Results of Operations and Financial Condition."""

_NEW_YORK = ZoneInfo("America/New_York")
_OPENS, _CLOSES = 6, 22  # EDGAR's hours
_PAUSE_S = 0.12  # between the starts of requests: at most ten a second
_ATTEMPTS = 3
_TIMEOUT_S = (4.0, 20.0)
_AGENT = re.compile(r"[ -~]*\S+@\S+\.\S+[ -~]*")


class Sec:
    """The dates on which companies filed their results, with the moment from which each was known.

    Args:
        user_agent: the name of the client, with an e-mail address.
        url: the URL of the list of companies.
        data_url: the URL of the lists of filings.
        sleep: waits for some seconds.
        clock: seconds, never decreasing.

    Raises:
        UsageError: the user agent is missing or has no address.
    """

    name = "sec"
    is_file = False

    def __init__(
        self,
        user_agent: str,
        *,
        url: str,
        data_url: str,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not _AGENT.fullmatch(user_agent):
            seen = f"is {shown(user_agent, 60)!r}" if user_agent else "is not set"
            raise UsageError(
                f"TICKERCAST_SEC_USER_AGENT {seen}, and the SEC wants to know who asks: a name and an e-mail address "
                "were needed, as in 'Jane Doe jane@example.com'. Set it."
            )
        self._user_agent, self._sleep, self._clock = user_agent, sleep, clock
        self._url, self._data_url = url.rstrip("/"), data_url.rstrip("/")
        self._last = -_PAUSE_S

    def fetch(self, symbols: Sequence[str], since: date, *, advance: Callable[[int], None]) -> ResultsReading:
        """Read the filings of the companies, one after the other; see `ports.ResultsSource`.

        Once the SEC refuses or does not answer, nothing more is asked; what it has answered is kept.
        """
        rows: list[Mapping[str, Any]] = []
        failures: dict[str, Permanent] = {}
        with requests.Session() as session:
            session.headers["User-Agent"] = self._user_agent
            numbers = self._numbers(session)
            for place, symbol in enumerate(symbols):
                try:
                    rows += self._results(session, symbol, numbers, since)
                except SourceUnavailable as error:
                    if not place:
                        raise
                    late = symbols[place:]
                    failures |= {name: NoResults(f"{name} was not asked for: {error}") for name in late}
                    advance(len(late))
                    break
                except Permanent as error:
                    if isinstance(error, UsageError):
                        raise
                    failures[symbol] = error
                advance(1)
        return ResultsReading(pa.Table.from_pylist(rows, SCHEMA), failures)

    def _numbers(self, session: requests.Session) -> Mapping[str, int]:
        """The companies' numbers by symbol, which the SEC spells as Yahoo does."""
        address = f"{self._url}/files/company_tickers.json"
        listed = self._ask(session, address, "its list of companies")
        try:
            return {str(company["ticker"]).upper(): int(company["cik_str"]) for company in listed.values()}
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise self._unreadable("its list of companies") from error

    def _results(
        self, session: requests.Session, symbol: str, numbers: Mapping[str, int], since: date
    ) -> list[Mapping[str, Any]]:
        if symbol not in numbers:
            raise UnknownSymbol(
                f"The SEC lists no company {symbol}: the symbol of an American listing was needed. Leave it out, or "
                "name another source for it: --source yahoo or --source FILE."
            )
        filings = list(self._filings(session, symbol, numbers[symbol], since))
        clock = _clock_of([filing.accepted for filing in filings])
        found = [filing for filing in filings if filing.announces_results and filing.day >= since]
        if not found:
            raise NoResults(
                f"The SEC has no {FORM} with item {ITEM} of {symbol} since {since}. Name an earlier date with --since, "
                "or another source."
            )
        return [_row(symbol, filing, clock) for filing in found]

    def _filings(self, session: requests.Session, symbol: str, number: int, since: date) -> Iterator["_Filing"]:
        what = f"the filings of {symbol}"
        whole = self._ask(session, f"{self._data_url}/submissions/CIK{number:010d}.json", what)
        try:
            pages = [page["name"] for page in whole["filings"]["files"] if page["filingTo"] >= since.isoformat()]
            yield from _read(whole["filings"]["recent"])
            for page in pages:
                if not re.fullmatch(r"[\w.-]+", page):
                    raise ValueError(page)
                yield from _read(self._ask(session, f"{self._data_url}/submissions/{page}", what))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise NoResults(f"The SEC's answer about {what} cannot be read ({type(error).__name__}).") from error

    def _ask(self, session: requests.Session, url: str, what: str) -> Any:
        """An answer's JSON; asks again after a pause where the network or the SEC's servers fail."""
        reason = ""
        for attempt in range(_ATTEMPTS):
            self._wait_for_turn()
            try:
                answer = session.get(url, timeout=_TIMEOUT_S)
                if answer.status_code == HTTPStatus.OK:
                    return answer.json()
            except requests.JSONDecodeError as error:
                raise self._unreadable(what) from error
            except requests.Timeout:
                reason = f"no answer within {_TIMEOUT_S[1]:.0f} s"
            except requests.exceptions.InvalidURL as error:
                raise config.wrong_proxy() from error
            except requests.RequestException as error:
                reason = f"no connection ({type(error).__name__})"
            else:
                self._check(answer, what)
                reason = f"HTTP {answer.status_code}"
            if attempt < _ATTEMPTS - 1:
                self._sleep(2.0**attempt)
        raise SourceUnavailable(f"The SEC does not give {what}: {reason}. Try again later.")

    def _check(self, answer: requests.Response, what: str) -> None:
        """Raise what asking again would not mend.

        Raises:
            RateLimited: the SEC refuses this address for some time.
            NoResults: the SEC has no such company.
            UsageError: the SEC refuses the request.
        """
        status = answer.status_code
        if status in (HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS):
            raise RateLimited(
                f"The SEC refuses {what} to this address for some time (HTTP {status}): it wants to know who asks, and "
                "at most ten requests a second from all programs together. Check TICKERCAST_SEC_USER_AGENT, wait ten "
                "minutes, then run the same command again."
            )
        if status == HTTPStatus.NOT_FOUND:
            raise NoResults(f"The SEC does not have {what} (HTTP 404). Leave that out, or name another source.")
        if status < HTTPStatus.INTERNAL_SERVER_ERROR:
            raise UsageError(
                f"The SEC refuses the request for {what} (HTTP {status}): {shown(answer.text, 80)!r}. Check "
                "TICKERCAST_SEC_URL and TICKERCAST_SEC_DATA_URL."
            )

    def _wait_for_turn(self) -> None:
        wait = self._last + _PAUSE_S - self._clock()
        if wait > 0:
            self._sleep(wait)
        self._last = self._clock()

    def _unreadable(self, what: str) -> SourceUnavailable:
        return SourceUnavailable(
            f"The SEC answered with something else than {what}. Try again later; if it stays so, check "
            "TICKERCAST_SEC_URL and TICKERCAST_SEC_DATA_URL."
        )


@dataclass(frozen=True)
class _Filing:
    """A filing, accepted at a moment of which only the clock's face is known."""

    day: date
    accepted: datetime
    announces_results: bool


def _read(page: Mapping[str, Sequence[str]]) -> Iterator[_Filing]:
    columns = (page["filingDate"], page["acceptanceDateTime"], page["form"], page["items"])
    for day, accepted, form, items in zip(*columns, strict=True):
        face = datetime.fromisoformat(accepted).replace(tzinfo=None)
        yield _Filing(date.fromisoformat(day), face, form == FORM and ITEM in items.split(","))


def _clock_of(accepted: Sequence[datetime]) -> tzinfo | None:
    """The clock that a company's moments are of: by which fewer of them lie in the night; None if they are even."""
    as_utc = sum(not _is_open(face.replace(tzinfo=UTC).astimezone(_NEW_YORK)) for face in accepted)
    as_new_york = sum(not _is_open(face) for face in accepted)
    if as_utc == as_new_york:
        return None
    return UTC if as_utc < as_new_york else _NEW_YORK


def _is_open(moment: datetime) -> bool:
    return _OPENS <= moment.hour < _CLOSES


def _row(symbol: str, filing: _Filing, clock: tzinfo | None) -> Mapping[str, Any]:
    known_at = filing.accepted.replace(tzinfo=clock or _NEW_YORK).astimezone(UTC)
    day, session = session_of(symbol, known_at) if clock else (filing.day, UNKNOWN)
    return {
        "symbol": symbol,
        "date": day,
        "session": session,
        "kind": RESULTS,
        "source": Sec.name,
        "known_at": known_at,
    }
