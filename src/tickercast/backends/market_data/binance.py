"""Hourly bars from Binance's public klines over HTTP; no account is needed.

`GET /api/v3/klines` gives at most a thousand bars, oldest first, so a range is read page by page. Every request has a
weight, and the answers say how much of a minute's allowance is used: when little is left, the rest of the minute is
waited for. 429 asks for a pause, 418 is a ban of this address, 451 refuses the region.
"""

import re
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from http import HTTPStatus

import numpy as np
import requests

from tickercast import config
from tickercast.domain.bars import Bars, Reading
from tickercast.domain.hourly.hour_features import Floats
from tickercast.domain.hourly.hours import PRICES, finished, hourly_bars
from tickercast.domain.text import shown
from tickercast.errors import InvalidBars, NoRecentBars, Permanent, SourceUnavailable, UnknownSymbol, UsageError

URL = "https://data-api.binance.vision"
"""Binance's address for market data alone."""

LIMIT = 1000
"""Bars of a page."""

ALLOWANCE = 6000
"""Weight that an address may use in a minute."""

_RESERVE = 0.2  # the share of the allowance that is left to others at this address
_USED = "X-MBX-USED-WEIGHT-1M"
_HOUR_MS = 3_600_000
_ATTEMPTS = 5
_LONGEST_PAUSE_S = 120.0
_TIMEOUT_S = (4.0, 10.0)
_INVALID_SYMBOL, _ILLEGAL_CHARACTERS = -1121, -1100
_OTHERS = "--source FOLDER with files of Binance's archive"


class Binance:
    """Hourly bars, spelled as Binance spells its pairs: `BTCUSDT`.

    Args:
        url: the address of the API.
        sleep: waits for some seconds.
        now: the clock.
    """

    name = "binance"
    simulated = False

    def __init__(
        self,
        url: str = URL,
        *,
        sleep: Callable[[float], None] = time.sleep,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._url = url.rstrip("/")
        self._sleep = sleep
        self._now = now

    def symbols(self) -> Sequence[str]:
        """Refuse to list symbols: Binance has thousands.

        Raises:
            UsageError: always.
        """
        raise UsageError("The source binance does not list its symbols. Name some, such as BTCUSDT.")

    def fetch(self, symbols: Sequence[str], first: date, last: date, *, advance: Callable[[int], None]) -> Reading:
        """Read the finished hours of the symbols, page by page; see `ports.MarketData`."""
        series: dict[str, Bars] = {}
        failures: dict[str, Permanent] = {}
        with requests.Session() as session:
            for symbol in symbols:
                try:
                    series[symbol] = self._bars(session, symbol, first, last)
                except Permanent as error:
                    if isinstance(error, UsageError):
                        raise
                    failures[symbol] = error
                advance(1)
        return Reading(series, failures)

    def _bars(self, session: requests.Session, symbol: str, first: date, last: date) -> Bars:
        if not re.fullmatch(r"[A-Z0-9]{2,20}", symbol):
            raise self._unknown(symbol)
        values = np.concatenate([np.empty((0, 6)), *self._pages(session, symbol, first, last)])
        opened = values[:, 0].astype(np.int64).astype("datetime64[ms]")
        prices = {name: values[:, number] for number, name in enumerate(PRICES, start=1)}
        bars = finished(
            hourly_bars(symbol, np.add(opened, np.timedelta64(_HOUR_MS, "ms")), prices, values[:, 5]), self._now()
        )
        if not len(bars):
            raise NoRecentBars(
                f"Binance has no finished hour of {symbol} from {first} to {last}: at least one was needed. "
                "Name other dates."
            )
        return bars

    def _pages(self, session: requests.Session, symbol: str, first: date, last: date) -> Iterator[Floats]:
        start, end = _milliseconds(first), _milliseconds(last + timedelta(days=1)) - 1
        end = min(end, int(self._now().timestamp() * 1000))
        while start <= end:
            page = self._ask(session, symbol, {"startTime": start, "endTime": end, "limit": LIMIT})
            if not len(page):
                return
            yield page
            newest = int(page[-1, 0])
            if newest < start:
                raise InvalidBars(
                    f"Binance answered a page of {symbol} that ends before it begins. Try again later, or use "
                    f"{_OTHERS}."
                )
            start = newest + _HOUR_MS

    def _ask(self, session: requests.Session, symbol: str, range_: dict[str, int]) -> Floats:
        """One page; asks again after a pause where Binance or the network says so."""
        reason, parameters = "", {"symbol": symbol, "interval": "1h", **{name: str(n) for name, n in range_.items()}}
        for attempt in range(_ATTEMPTS):
            try:
                answer = session.get(f"{self._url}/api/v3/klines", params=parameters, timeout=_TIMEOUT_S)
            except requests.Timeout:
                reason, pause = f"no answer within {_TIMEOUT_S[1]:.0f} s", 2.0**attempt
            except requests.exceptions.InvalidURL as error:
                raise config.wrong_proxy() from error
            except requests.RequestException as error:
                reason, pause = f"no connection ({type(error).__name__})", 2.0**attempt
            else:
                if answer.status_code == HTTPStatus.OK:
                    page = self._page(answer, symbol)
                    self._spare(answer)
                    return page
                reason, pause = self._pause(answer, symbol, attempt)
            if attempt < _ATTEMPTS - 1:
                self._sleep(pause)
        raise SourceUnavailable(f"Binance at {self._url} does not answer: {reason}. Try again later, or use {_OTHERS}.")

    def _page(self, answer: requests.Response, symbol: str) -> Floats:
        """The klines of an answer: `(bars, 6)`, open time in milliseconds, prices and volume."""
        try:
            page = answer.json()
            if isinstance(page, list):
                return np.array([[float(value) for value in row[:6]] for row in page]).reshape(-1, 6)
        except (requests.JSONDecodeError, TypeError, ValueError):
            pass
        raise InvalidBars(
            f"Binance answered no klines of {symbol} but {shown(answer.text, 60)!r}. "
            f"Check that {self._url} is its address."
        )

    def _pause(self, answer: requests.Response, symbol: str, attempt: int) -> tuple[str, float]:
        """The reason why there is no page, and the seconds to wait before asking again.

        Raises:
            UnknownSymbol: Binance does not know the symbol.
            UsageError: Binance refuses this region, or the request.
            SourceUnavailable: Binance has banned this address, or asks for a longer pause than anybody waits for.
        """
        status, wait = answer.status_code, _retry_after(answer)
        if status == HTTPStatus.UNAVAILABLE_FOR_LEGAL_REASONS:
            raise UsageError(
                f"Binance at {self._url} refuses requests from this region (HTTP 451), and will go on doing so. "
                f"Use {_OTHERS}, or run this elsewhere."
            )
        if status == HTTPStatus.IM_A_TEAPOT:
            raise SourceUnavailable(
                f"Binance has banned this address for {wait or 120:.0f} s, since it asked too often. Wait that long, "
                "and ask for fewer symbols at a time."
            )
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            wait = wait or 60.0
            if wait > _LONGEST_PAUSE_S:
                raise SourceUnavailable(f"Binance asks for a pause of {wait:.0f} s (HTTP 429). Try again after that.")
            return "it asked for a pause again and again (HTTP 429)", wait
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.REQUEST_TIMEOUT:
            return f"HTTP {status}", min(wait or 2.0**attempt, _LONGEST_PAUSE_S)
        if _code(answer) in (_INVALID_SYMBOL, _ILLEGAL_CHARACTERS):
            raise self._unknown(symbol)
        raise UsageError(
            f"Binance at {self._url} refuses the request (HTTP {status}): {shown(answer.text, 100)!r}. "
            "Check TICKERCAST_BINANCE_URL."
        )

    def _spare(self, answer: requests.Response) -> None:
        """Wait for the next minute where most of this one's allowance is used."""
        used = answer.headers.get(_USED, "")
        if used.isdigit() and int(used) > (1 - _RESERVE) * ALLOWANCE:
            self._sleep(60.0 - self._now().timestamp() % 60)

    def _unknown(self, symbol: str) -> UnknownSymbol:
        return UnknownSymbol(
            f"Binance does not know {symbol[:40]}: a pair in its own spelling, such as BTCUSDT, was needed. Correct it."
        )


def _milliseconds(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1000)


def _retry_after(answer: requests.Response) -> float | None:
    text = answer.headers.get("Retry-After", "")
    return float(text) if re.fullmatch(r"\d{1,7}", text) else None


def _code(answer: requests.Response) -> int | None:
    try:
        body = answer.json()
    except requests.JSONDecodeError:
        return None
    return body.get("code") if isinstance(body, dict) else None
