"""Market data from Yahoo Finance, through yfinance.

yfinance reports problems as exceptions of three libraries, log lines and empty columns. They are translated here to the
errors of `tickercast.errors`; nothing else reaches the user's screen. yfinance keeps time zones and cookies in files of
its own, whose damage would fail every later call and of which one is a pickle: none of them is read or written.
"""

import json
import logging
import queue
import re
import threading
import time
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from types import ModuleType
from typing import Any, Generic, TypeVar
from urllib.parse import urlsplit

import pandas as pd

from tickercast.domain.bars import Bars, Reading
from tickercast.domain.calendar import time_zone
from tickercast.domain.files.price_files import Window, read_frame
from tickercast.domain.findings import Finding
from tickercast.errors import (
    CalendarError,
    InvalidBars,
    NoRecentBars,
    Permanent,
    RateLimited,
    SourceUnavailable,
    UnknownSymbol,
    UsageError,
)

_PAUSES_S = 0.5, 1.0  # before what has had no answer is asked for again
_CONNECT_S, _ANSWER_S, _COOKIE_S = 4.0, 10.0, 3.0
_PATIENCE, _PATIENCE_WITH_STRANGERS = 4, 1  # consecutive timeouts of a host that has answered before, or never has
_GIVE_UP = 20
"""Symbols in a row without an answer after which nothing more is asked."""
_REFUSED_FOR = timedelta(minutes=1)
_ABOUT_THE_REQUEST = (200, 400, 404, 422)
"""Statuses of an answer about the symbol or the dates; any other says that Yahoo cannot or will not answer now."""
_NOT_THERE = re.compile(
    r"resolve (host|proxy)|refused|unreachable|failed to (connect|establish)|(couldn't|could not) connect",
    re.IGNORECASE,
)
_COOKIE_HOST = "fc.yahoo.com"
_OTHER_SOURCES = "--source sample, --source FOLDER or --source simulated"


@dataclass(frozen=True)
class NoAnswer:
    """The reason for a missing answer, where asking again may help."""

    reason: str


T = TypeVar("T")

_Answer = pd.DataFrame | Permanent | NoAnswer


class Yahoo:
    """Daily bars of Yahoo Finance: adjusted for splits, and `adj_close` for dividends too.

    Args:
        at_once: the most requests under way at a time.
        pause_s: between the starts of two requests.
        sleep: waits.
        now: the clock.
    """

    name = "yahoo"
    simulated = False

    def __init__(
        self,
        *,
        at_once: int = 4,
        pause_s: float = 0.0,
        sleep: Callable[[float], None] = time.sleep,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._at_once, self._pause_s = at_once, pause_s
        self._sleep = sleep
        self._now = now
        self._refused: tuple[datetime, RateLimited] | None = None

    def symbols(self) -> Sequence[str]:
        """Refuse to list symbols: Yahoo has no list of them.

        Raises:
            UsageError: always.
        """
        raise UsageError("The source yahoo cannot list its symbols. Name some, or give a file of symbols.")

    def fetch(self, symbols: Sequence[str], first: date, last: date, *, advance: Callable[[int], None]) -> Reading:
        """Download the bars; see `ports.MarketData`."""
        if self._refused and self._now() < self._refused[0] + _REFUSED_FOR:
            raise self._refused[1]
        with quiet_yfinance(time_zones(symbols)) as yfinance:
            client = _Downloads(yfinance, first, last, self._at_once, self._pause_s, self._sleep)
            answers = client.ask_all(symbols, advance)
        try:
            return _reading(answers, client.wire, Window(first, last, self._now()))
        except RateLimited as error:
            self._refused = self._now(), error
            raise


class Client(ABC, Generic[T]):
    """Asks Yahoo about symbols through yfinance; a subclass says what.

    Attributes:
        wire: the transport of the requests.
    """

    def __init__(self, yfinance: ModuleType, at_once: int, pause_s: float, sleep: Callable[[float], None]) -> None:
        self._yfinance = yfinance
        self._session = yfinance.data.new_session()
        self.wire = _Wire(
            self._session.request,
            yfinance.data.requests.exceptions.Timeout,
            yfinance.exceptions.YFRateLimitError,
            pause_s,
            sleep,
        )
        self._session.request = self.wire
        self._at_once = at_once
        self._sleep = sleep
        self._silent = 0

    @abstractmethod
    def ask_for(self, symbol: str) -> T | Permanent:
        """Ask for one symbol; whatever yfinance raises is translated."""

    @abstractmethod
    def missing(self, symbol: str, *, is_known: bool) -> Permanent:
        """Say that Yahoo has nothing about a symbol, which it knows or perhaps not."""

    def ask_all(self, symbols: Sequence[str], advance: Callable[[int], None]) -> "dict[str, T | Permanent | NoAnswer]":
        """Ask for symbols, and again for those without an answer, until Yahoo refuses or is given up."""
        answers = self.ask(symbols[:1], advance)  # alone: if nothing answers, or it is a refusal, that was all
        if not self.wire.closed:
            answers |= self.ask(symbols[1:], advance)
        for pause in _PAUSES_S:
            missing = [symbol for symbol in symbols if isinstance(answers.get(symbol), NoAnswer)]
            if not missing or self.wire.closed:
                break
            self._sleep(pause)
            answers |= self.ask(missing, lambda _: None)
        unasked = [symbol for symbol in symbols if symbol not in answers]
        if unasked:
            advance(len(unasked))
        return answers | dict.fromkeys(unasked, NoAnswer(self.wire.closed))

    def ask(self, symbols: Sequence[str], advance: Callable[[int], None]) -> "dict[str, T | Permanent | NoAnswer]":
        """Ask for symbols in a few threads, which do not outlive an interrupted process."""
        self._yfinance.data.YfData.cache_get.cache_clear()  # it keeps failures, too
        wanted: queue.SimpleQueue[str] = queue.SimpleQueue()
        found: queue.SimpleQueue[tuple[str, T | Permanent | NoAnswer] | BaseException] = queue.SimpleQueue()
        for symbol in symbols:
            wanted.put(symbol)

        def work() -> None:
            try:
                while True:
                    symbol = wanted.get_nowait()
                    answer = self._answer(symbol)
                    self._count(answer)
                    found.put((symbol, answer))
            except queue.Empty:
                pass
            except BaseException as error:  # raised again where the answers are awaited
                found.put(error)

        for _ in range(min(self._at_once, len(symbols))):
            threading.Thread(target=work, daemon=True).start()
        answers: dict[str, T | Permanent | NoAnswer] = {}
        for _ in symbols:
            done = found.get()
            if isinstance(done, BaseException):
                raise done
            answers |= [done]
            advance(1)
        return answers

    def _count(self, answer: T | Permanent | NoAnswer) -> None:
        self._silent = self._silent + 1 if isinstance(answer, NoAnswer) else 0
        if self._silent >= _GIVE_UP:
            self.wire.close("it did not answer for the symbols before")

    def _answer(self, symbol: str) -> T | Permanent | NoAnswer:
        errors = self._yfinance.exceptions
        self.wire.status = 0
        try:
            return self.ask_for(symbol)
        except errors.YFRateLimitError:
            return NoAnswer(self.wire.closed or "too many requests from this address")
        except Exception as error:
            if self.wire.status not in (0, *_ABOUT_THE_REQUEST):
                return NoAnswer(f"it answered with status {self.wire.status}")
            return self._translated(symbol, error)

    def _translated(self, symbol: str, error: Exception) -> Permanent | NoAnswer:
        errors = self._yfinance.exceptions
        if isinstance(error, errors.YFTickerMissingError):
            known = isinstance(error, errors.YFPricesMissingError) and "delisted" not in error.rationale
            return self.missing(symbol, is_known=known)
        if self.wire.status == 404 or (isinstance(error, ValueError) and "Invalid ISIN" in str(error)):
            return self.missing(symbol, is_known=False)
        if isinstance(error, (OSError, json.JSONDecodeError, errors.YFDataException)):
            reason = _reason(error)
            if _NOT_THERE.search(reason) and not self.wire.has_answered:
                self.wire.close(reason)
            return NoAnswer(reason)
        return InvalidBars(
            f"Yahoo's answer for {symbol} cannot be read ({type(error).__name__}: {_one_line(error)}). "
            f"Upgrade yfinance, or name another source: {_OTHER_SOURCES}."
        )


class _Downloads(Client[pd.DataFrame]):
    """Downloads the bars of one range of dates."""

    def __init__(
        self,
        yfinance: ModuleType,
        first: date,
        last: date,
        at_once: int,
        pause_s: float,
        sleep: Callable[[float], None],
    ) -> None:
        super().__init__(yfinance, at_once, pause_s, sleep)
        self._range = f"between {first} and {last}"
        self._options = {
            "start": first.isoformat(),
            "end": (last + timedelta(days=1)).isoformat(),  # exclusive at Yahoo
            "auto_adjust": False,
            "actions": False,
            "timeout": _ANSWER_S,
        }

    def ask_for(self, symbol: str) -> pd.DataFrame | Permanent:
        """The bars of one symbol."""
        rows = self._yfinance.Ticker(symbol, session=self._session).history(**self._options)
        rows.index = rows.index.tz_localize(None)
        rows = _complete(rows)
        return rows if len(rows) else self.missing(symbol, is_known=True)

    def missing(self, symbol: str, *, is_known: bool) -> Permanent:
        """Say that there are no bars."""
        if not is_known:
            return _unknown(symbol)
        return NoRecentBars(f"Yahoo has no bar of {symbol} {self._range}: one was needed. Name another date.")


class _Wire:
    """Sends every request to Yahoo: bounded in time, with pauses, and none once Yahoo has refused one or is not there.

    Attributes:
        closed: why nothing more is sent; empty while something is.
        refused: whether that is because Yahoo has refused us.
        has_answered: whether Yahoo has answered about any symbol.
    """

    def __init__(
        self,
        send: Callable[..., Any],
        timed_out: type[Exception],
        rate_limited: type[Exception],
        pause_s: float,
        sleep: Callable[[float], None],
    ) -> None:
        self._send, self._timed_out, self._rate_limited = send, timed_out, rate_limited
        self._pause_s, self._sleep = pause_s, sleep
        self._starting = threading.Lock()
        self._patience: dict[str | None, int] = {}
        self._no_crumb = False
        self._cookie: Any = None
        self._of_thread = threading.local()
        self.closed = ""
        self.refused = self.has_answered = False

    @property
    def status(self) -> int:
        """The status of the last answer about a symbol that this thread got; 0 where it got none."""
        return getattr(self._of_thread, "status", 0)

    @status.setter
    def status(self, status: int) -> None:
        self._of_thread.status = status

    def close(self, reason: str) -> None:
        """Send nothing more."""
        self.closed = self.closed or reason

    def __call__(self, method: str, url: str, **options: object) -> Any:
        parts = urlsplit(url)
        host, is_crumb = parts.hostname, parts.path.endswith("getcrumb")
        if self.closed or (is_crumb and self._no_crumb):
            raise self._rate_limited
        about_symbols = parts.path.startswith(("/v1/finance/", "/v8/", "/v10/"))
        if host == _COOKIE_HOST and self._cookie is not None:  # asked for before each symbol, and kept by the session
            return self._cookie
        if self._patience.setdefault(host, _PATIENCE_WITH_STRANGERS) <= 0:
            raise self._timed_out(f"{host} does not answer")
        limits = (_CONNECT_S, _ANSWER_S) if about_symbols else (_COOKIE_S, _COOKIE_S)
        self._wait_for_turn()
        try:
            response = self._send(method, url, **(options | {"timeout": limits}))
        except self._timed_out:
            self._patience[host] -= 1
            raise
        self._patience[host] = _PATIENCE
        if response.status_code == 429:
            if is_crumb:  # bars may be had without one
                self._no_crumb = True
            else:
                self.refused = True
                self.close("too many requests from this address")
            raise self._rate_limited
        if host == _COOKIE_HOST:
            self._cookie = response
        if about_symbols:
            self.status = response.status_code
            self.has_answered = self.has_answered or response.status_code in _ABOUT_THE_REQUEST
        return response

    def _wait_for_turn(self) -> None:
        if self._pause_s:
            with self._starting:
                self._sleep(self._pause_s)


def _reading(answers: Mapping[str, _Answer], wire: _Wire, window: Window) -> Reading:
    unanswered = [answer for answer in answers.values() if isinstance(answer, NoAnswer)]
    if unanswered and len(unanswered) == len(answers):
        if wire.refused:
            raise RateLimited(
                "Yahoo refuses further requests from this address for some time (429 Too Many Requests), and none was "
                "sent after the refusal. Wait an hour, then run the same command again, or name another source: "
                f"{_OTHER_SOURCES}."
            )
        raise SourceUnavailable(
            f"Yahoo does not answer ({unanswered[0].reason}). Check the network and try again later, or name another "
            f"source: {_OTHER_SOURCES}."
        )
    series: dict[str, Bars] = {}
    failures: dict[str, Permanent] = {}
    findings: dict[str, Sequence[Finding]] = {}
    for symbol, answer in answers.items():
        if isinstance(answer, pd.DataFrame):
            reading = read_frame(answer, symbol=symbol, window=window)
            series |= reading.bars
            failures |= reading.failures
            findings |= reading.findings
        elif isinstance(answer, NoAnswer) and wire.refused:
            failures[symbol] = NoRecentBars(
                f"Yahoo refused further requests (429 Too Many Requests) when {len(answers) - len(unanswered)} of "
                f"{len(answers)} symbols had their answer. Wait an hour, then run the same command again."
            )
        elif isinstance(answer, NoAnswer):
            failures[symbol] = _no_answer(symbol, answer)
        else:
            failures[symbol] = answer
    return Reading(series, failures, findings)


def _no_answer(symbol: str, missing: NoAnswer) -> NoRecentBars:
    return NoRecentBars(
        f"Yahoo gave no bar of {symbol} ({missing.reason}) although it answered for others. "
        f"Run the command again for {symbol}."
    )


def _unknown(symbol: str) -> UnknownSymbol:
    return UnknownSymbol(
        f"Yahoo does not know {symbol}: a symbol as Yahoo spells it was needed (MSFT, BRK-B, VOD.L, ETH-USD). "
        "Look it up at finance.yahoo.com/lookup."
    )


def _complete(rows: pd.DataFrame) -> pd.DataFrame:
    # A day without any price is one of another symbol of the same answer.
    rows = rows.dropna(subset=["Open", "High", "Low", "Close"], how="all").rename_axis("Date").reset_index()
    return rows.assign(**{"Adj Close": rows["Adj Close"].fillna(rows["Close"])})


def _reason(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return "its answer is not JSON"
    curl = re.search(r"curl: \(\d+\) (.+?)\.? See http", _one_line(error))
    return curl.group(1) if curl else _one_line(error).rstrip(".")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def time_zones(symbols: Sequence[str]) -> dict[str, str]:
    """The time zones that need not be asked for; Yahoo's own for indices, currencies and futures may differ."""
    zones: dict[str, str] = {}
    for symbol in symbols:
        if not symbol.startswith("^") and "=" not in symbol:
            try:
                zones[symbol] = time_zone(symbol)
            except CalendarError:
                continue
    return zones


class _Zones:
    """Takes the place of yfinance's file of time zones.

    Args:
        known: time zones by symbol.
    """

    def __init__(self, known: Mapping[str, str]) -> None:
        self._known = dict(known)

    def lookup(self, symbol: str) -> str | None:
        return self._known.get(symbol)

    def store(self, symbol: str, zone: str | None) -> None:
        self._known |= {symbol: zone} if zone else {}


@contextmanager
def quiet_yfinance(zones: Mapping[str, str]) -> Iterator[ModuleType]:
    """Import yfinance, and keep it from logging, warning, hiding exceptions and keeping files inside the block."""
    loggers = [logging.getLogger(name) for name in ("yfinance", "bs4", "peewee")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import yfinance  # takes a third of a second
        from yfinance import cache

        warnings.simplefilter("ignore")  # the import has enabled its own warnings
        before = (
            yfinance.config.debug.hide_exceptions,
            cache._TzCacheManager._tz_cache,
            cache._CookieCacheManager._Cookie_cache,
            cache._ISINCacheManager._isin_cache,
        )
        yfinance.config.debug.hide_exceptions = False
        cache._TzCacheManager._tz_cache = _Zones(zones)
        cache._CookieCacheManager._Cookie_cache = cache._CookieCacheDummy()
        cache._ISINCacheManager._isin_cache = cache._ISINCacheDummy()
        try:
            yield yfinance
        finally:
            (
                yfinance.config.debug.hide_exceptions,
                cache._TzCacheManager._tz_cache,
                cache._CookieCacheManager._Cookie_cache,
                cache._ISINCacheManager._isin_cache,
            ) = before
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
