"""Market data from Yahoo Finance, through yfinance.

yfinance reports problems as log lines and empty columns. They are translated here to the errors of
`tickercast.errors`; nothing else reaches the user's screen.
"""

import json
import logging
import re
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from types import ModuleType
from typing import TypeVar
from urllib.parse import urlsplit

import pandas as pd
from tenacity import Retrying, retry_if_result, stop_after_attempt, wait_exponential

from tickercast.domain.bars import Bars, Reading
from tickercast.domain.findings import Finding
from tickercast.domain.price_files import Window, read_frame
from tickercast.errors import InvalidBars, NoRecentBars, Permanent, SourceUnavailable, UnknownSymbol, UsageError

_BATCH = 50  # symbols in a download; the progress bar advances after each download
_ATTEMPTS = 3
_PROBES = 3  # symbols without an answer that an attempt diagnoses; the rest are given the last reason
_CONNECT_S, _ANSWER_S = 4.0, 10.0
_PATIENCE, _PATIENCE_WITH_STRANGERS = 4, 1  # consecutive timeouts of a host that has answered before, or never has
_OTHER_SOURCES = "--source sample, --source FOLDER or --source simulated"


@dataclass(frozen=True)
class _NoAnswer:
    """The reason for a missing answer, where asking again may help."""

    reason: str


_Answer = pd.DataFrame | Permanent | _NoAnswer
_Response = TypeVar("_Response")


class Yahoo:
    """Daily bars of Yahoo Finance: adjusted for splits, and `adj_close` for dividends too."""

    name = "yahoo"
    simulated = False

    def __init__(
        self,
        *,
        sleep: Callable[[float], None] = time.sleep,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._sleep = sleep
        self._now = now

    def symbols(self) -> Sequence[str]:
        """Refuse to list symbols: Yahoo has no list of them.

        Raises:
            UsageError: always.
        """
        raise UsageError("The source yahoo cannot list its symbols. Name some, or give a file of symbols.")

    def fetch(self, symbols: Sequence[str], first: date, last: date, *, advance: Callable[[int], None]) -> Reading:
        """Download the bars, 50 symbols at a time; see `ports.MarketData`."""
        answers: dict[str, _Answer] = {}
        with _quiet_yfinance() as yfinance:
            client = _Client(yfinance, first, last)
            for start in range(0, len(symbols), _BATCH):
                batch = symbols[start : start + _BATCH]
                answers |= self._ask(client, batch)
                advance(len(batch))
                if all(isinstance(answers[symbol], _NoAnswer) for symbol in batch):
                    break  # if a whole batch gets no answer, the others are not asked for
        unasked = [symbol for symbol in symbols if symbol not in answers]
        if unasked:
            advance(len(unasked))
        answers |= dict.fromkeys(unasked, _NoAnswer("it did not answer for the symbols before"))
        return _reading(answers, Window(first, last, self._now()))

    def _ask(self, client: "_Client", symbols: Sequence[str]) -> dict[str, _Answer]:
        answers: dict[str, _Answer] = {symbol: _NoAnswer("it was not asked") for symbol in symbols}

        def ask_again() -> bool:
            answers.update(client.download([symbol for symbol in symbols if isinstance(answers[symbol], _NoAnswer)]))
            return any(isinstance(answer, _NoAnswer) for answer in answers.values())

        Retrying(
            retry=retry_if_result(bool),
            stop=stop_after_attempt(_ATTEMPTS),
            wait=wait_exponential(multiplier=0.5),
            sleep=self._sleep,
            retry_error_callback=lambda _: None,
        )(ask_again)
        return answers


class _Client:
    """Downloads one range of dates through yfinance."""

    def __init__(self, yfinance: ModuleType, first: date, last: date) -> None:
        self._yfinance = yfinance
        self._session = _impatient_session()
        self._range = f"between {first} and {last}"
        self._options = {
            "start": first.isoformat(),
            "end": (last + timedelta(days=1)).isoformat(),  # exclusive at Yahoo
            "auto_adjust": False,
            "actions": False,
            "timeout": _ANSWER_S,
        }

    def download(self, symbols: Sequence[str]) -> dict[str, _Answer]:
        table = self._yfinance.download(
            list(symbols), threads=True, progress=False, session=self._session, **self._options
        )
        answers: dict[str, _Answer] = {}
        unanswered: list[_NoAnswer] = []
        for symbol in symbols:
            rows = _complete(table.xs(symbol, axis="columns", level="Ticker"))
            answer = rows if len(rows) else self._diagnose(symbol) if len(unanswered) < _PROBES else unanswered[-1]
            unanswered += [answer] if isinstance(answer, _NoAnswer) else []
            answers[symbol] = answer
        return answers

    def _diagnose(self, symbol: str) -> _Answer:
        errors = self._yfinance.exceptions
        try:
            rows = _complete(self._yfinance.Ticker(symbol, session=self._session).history(**self._options))
        except errors.YFTickerMissingError as error:
            known = isinstance(error, errors.YFPricesMissingError) and "delisted" not in error.rationale
            return self._no_bars(symbol) if known else _unknown(symbol)
        except (OSError, json.JSONDecodeError, errors.YFRateLimitError, errors.YFDataException) as error:
            return _unknown(symbol) if _status(error) == 404 else _NoAnswer(_reason(error))
        except Exception as error:
            return InvalidBars(
                f"Yahoo's answer for {symbol} cannot be read ({type(error).__name__}: {_one_line(error)}). "
                f"Upgrade yfinance, or name another source: {_OTHER_SOURCES}."
            )
        return rows if len(rows) else self._no_bars(symbol)

    def _no_bars(self, symbol: str) -> NoRecentBars:
        return NoRecentBars(f"Yahoo has no bar of {symbol} {self._range}: one was needed. Name another date.")


def _reading(answers: Mapping[str, _Answer], window: Window) -> Reading:
    unanswered = [answer for answer in answers.values() if isinstance(answer, _NoAnswer)]
    if unanswered and len(unanswered) == len(answers):
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
        elif isinstance(answer, _NoAnswer):
            failures[symbol] = _no_answer(symbol, answer)
        else:
            failures[symbol] = answer
    return Reading(series, failures, findings)


def _no_answer(symbol: str, missing: _NoAnswer) -> NoRecentBars:
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
    if "Too Many Requests" in str(error):
        return "too many requests from this address"
    curl = re.search(r"curl: \(\d+\) (.+?)\.? See http", _one_line(error))
    return curl.group(1) if curl else _one_line(error).rstrip(".")


def _status(error: Exception) -> int | None:
    return getattr(getattr(error, "response", None), "status_code", None)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


@contextmanager
def _quiet_yfinance() -> Iterator[ModuleType]:
    """Import yfinance, and keep it from logging, warning and hiding exceptions inside the block."""
    loggers = [logging.getLogger(name) for name in ("yfinance", "bs4", "peewee")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import yfinance  # takes a third of a second

        warnings.simplefilter("ignore")  # the import has enabled its own warnings
        hidden = yfinance.config.debug.hide_exceptions
        yfinance.config.debug.hide_exceptions = False
        try:
            yield yfinance
        finally:
            yfinance.config.debug.hide_exceptions = hidden
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


def _impatient_session() -> object:
    """Create a session that gives up on a host that never answers; yfinance alone waits 70 s each time."""
    try:
        from curl_cffi import requests
    except ImportError:  # yfinance then uses a session of its own
        return None
    session: requests.Session[requests.Response] = requests.Session(impersonate="chrome")
    session.request = _impatient(session.request, requests.exceptions.Timeout)  # type: ignore[method-assign]
    return session


def _impatient(send: Callable[..., _Response], timed_out: type[Exception]) -> Callable[..., _Response]:
    patience: dict[str | None, int] = {}

    def request(method: str, url: str, **options: object) -> _Response:
        host = urlsplit(url).hostname
        if patience.setdefault(host, _PATIENCE_WITH_STRANGERS) <= 0:
            raise timed_out(f"{host} does not answer")
        try:
            response = send(method, url, **(options | {"timeout": (_CONNECT_S, _ANSWER_S)}))
        except timed_out:
            patience[host] -= 1
            raise
        patience[host] = _PATIENCE
        return response

    return request
