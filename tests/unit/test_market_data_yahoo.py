"""What Yahoo would send is canned. Where a test does not fake yfinance, the real one works on it."""

import json
import logging
import warnings
from collections.abc import Callable, Sequence
from datetime import date
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from curl_cffi import requests

from tickercast.backends.market_data.yahoo import _PATIENCE, Yahoo, _impatient
from tickercast.domain.bars import Reading
from tickercast.errors import InvalidBars, NoRecentBars, SourceUnavailable, UnknownSymbol

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import yfinance

FIRST, LAST = date(2023, 7, 1), date(2023, 7, 21)
NOT_FOUND = {"code": "Not Found", "description": "No data found, symbol may be delisted"}
OUT_OF_RANGE = {"code": "Bad Request", "description": "Data doesn't exist for startDate = 1, endDate = 2"}
NO_HOST = requests.exceptions.DNSError(
    "Failed to perform, curl: (6) Could not resolve host: query2.finance.yahoo.com. See https://curl.se/libcurl first."
)


def fetch(symbols: Sequence[str], waits: list[float] | None = None) -> Reading:
    sleep = (waits if waits is not None else []).append
    return Yahoo(sleep=sleep).fetch(symbols, FIRST, LAST, advance=lambda _: None)


# Faked yfinance: what is asked of it, and what is made of its answer.


def table(closes: dict[str, list[float | None]]) -> pd.DataFrame:
    dates = pd.DatetimeIndex(["2023-07-20", "2023-07-21"], name="Date")
    titles = ("Adj Close", "Close", "High", "Low", "Open", "Volume")
    columns = {(title, symbol): values for title in titles for symbol, values in closes.items()}
    return pd.DataFrame(columns, index=dates, dtype="float64").rename_axis(columns=("Price", "Ticker"))


@pytest.fixture
def downloads(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], dict[str, Any]]]:
    """Replace the download by one that knows every symbol, and return its calls."""
    calls: list[tuple[list[str], dict[str, Any]]] = []

    def download(symbols: list[str], **options: Any) -> pd.DataFrame:
        calls.append((symbols, options))
        return table({symbol: [11.0, 12.0] for symbol in symbols})

    monkeypatch.setattr(yfinance, "download", download)
    return calls


def test_many_symbols_are_one_download_with_an_exclusive_end_and_unadjusted_prices(downloads: list[Any]) -> None:
    reading = fetch(["MSFT", "AAPL", "BRK-B"])

    [(symbols, options)] = downloads
    assert symbols == ["MSFT", "AAPL", "BRK-B"]
    assert (options["start"], options["end"]) == ("2023-07-01", "2023-07-22")
    assert options["auto_adjust"] is False
    assert options["progress"] is False
    assert set(reading.bars) == {"MSFT", "AAPL", "BRK-B"}
    assert reading.bars["AAPL"].cutoff == LAST


def test_progress_advances_after_each_download_of_fifty(downloads: list[Any]) -> None:
    advanced: list[int] = []

    Yahoo().fetch([f"S{number}" for number in range(120)], FIRST, LAST, advance=advanced.append)

    assert [len(symbols) for symbols, _ in downloads] == advanced == [50, 50, 20]


def test_a_bad_bar_costs_only_its_own_symbol(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = table({"MSFT": [11.0, 12.0], "OLD": [11.0, -12.0]})
    monkeypatch.setattr(yfinance, "download", lambda *_, **__: broken)

    reading = fetch(["MSFT", "OLD"])

    assert set(reading.bars) == {"MSFT"}
    assert isinstance(reading.failures["OLD"], InvalidBars)


def test_yfinance_is_left_as_it_was(downloads: list[Any]) -> None:
    hidden, level = yfinance.config.debug.hide_exceptions, logging.getLogger("yfinance").level

    fetch(["MSFT"])

    assert (yfinance.config.debug.hide_exceptions, logging.getLogger("yfinance").level) == (hidden, level)


def test_an_answer_that_yfinance_stumbles_over_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def history(**_: Any) -> pd.DataFrame:
        raise KeyError("currency")

    monkeypatch.setattr(yfinance, "download", lambda *_, **__: table({"MSFT": [None, None]}))
    monkeypatch.setattr(yfinance, "Ticker", lambda *_, **__: SimpleNamespace(history=history))

    assert "KeyError: 'currency'" in str(fetch(["MSFT"]).failures["MSFT"])


# The real yfinance: what Yahoo says, and what becomes of it.


class Response:
    """What the session returns to yfinance."""

    def __init__(self, status: int, text: str) -> None:
        self.status_code, self.text, self.content, self.url = status, text, b"", "https://finance.yahoo.com"

    def json(self) -> Any:
        return json.loads(self.text)

    def raise_for_status(self) -> None:
        if self.status_code >= 400:
            raise requests.exceptions.HTTPError(f"HTTP Error {self.status_code}", 0, self)


def chart(*closes: float | None, error: dict[str, str] | None = None) -> Response:
    """A chart as Yahoo sends it: one bar for each close, from 2023-07-20 on."""
    if error:
        return Response(400, json.dumps({"chart": {"result": None, "error": error}}))
    hours = {"timezone": "EDT", "start": 1, "end": 2, "gmtoffset": -14400}
    day = {"pre": hours, "regular": hours, "post": hours}
    meta = {"currency": "USD", "exchangeTimezoneName": "America/New_York", "instrumentType": "EQUITY", "priceHint": 2}
    meta |= {"validRanges": ["1d", "max"], "currentTradingPeriod": day, "gmtoffset": -14400, "timezone": "EDT"}
    prices = dict.fromkeys(("open", "high", "low", "close"), closes) | {"volume": [100] * len(closes)}
    adjusted = [{"adjclose": [close and close / 2 for close in closes]}]
    times = [1689859800 + 86400 * number for number in range(len(closes))]
    result = {"meta": meta, "timestamp": times, "indicators": {"quote": [prices], "adjclose": adjusted}}
    return Response(200, json.dumps({"chart": {"result": [result], "error": None}}))


Answer = Callable[[], Response]


@pytest.fixture
def yahoo_says(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Cans what Yahoo answers for each symbol when asked for a range; it knows the time zone of all but NOPE."""
    monkeypatch.setattr(yfinance.cache._TzCacheManager, "_tz_cache", yfinance.cache._TzCacheDummy())
    monkeypatch.setattr(yfinance.cache._CookieCacheManager, "_Cookie_cache", yfinance.cache._CookieCacheDummy())
    yfinance.data.YfData.cache_get.cache_clear()

    def say(**answers: Answer) -> None:
        def request(_session: object, method: str, url: str, **options: Any) -> Response:
            symbol = url.rpartition("/")[2]
            if "/chart/" not in url:
                return Response(200, "crumb") if "crumb" in url else Response(404, "{}")
            if symbol == "NOPE":
                return chart(error=NOT_FOUND)
            return answers[symbol]() if "period1" in options["params"] else chart(1.0)

        monkeypatch.setattr(requests.Session, "request", request)

    return say


def refuse(error: Exception) -> Answer:
    def answer() -> Response:
        raise error

    return answer


def test_bars_are_read_and_rows_without_prices_dropped(yahoo_says: Callable[..., None]) -> None:
    yahoo_says(MSFT=lambda: chart(None, 12.0))

    bars = fetch(["MSFT"]).bars["MSFT"].frame

    assert bars["session_date"].dt.date.tolist() == [date(2023, 7, 21)]
    assert bars[["close", "adj_close", "volume"]].iloc[0].tolist() == [12.0, 6.0, 100.0]


@pytest.mark.parametrize(
    ("symbol", "answer", "error", "words"),
    [
        ("NOPE", chart, UnknownSymbol, ["does not know NOPE", "BRK-B", "finance.yahoo.com"]),
        ("GONE", lambda: chart(error=NOT_FOUND), UnknownSymbol, ["does not know GONE"]),
        ("LATE", lambda: chart(error=OUT_OF_RANGE), NoRecentBars, ["no bar of LATE", "2023-07-01", "2023-07-21"]),
        ("FLAT", lambda: chart(None, None), NoRecentBars, ["no bar of FLAT"]),
        ("BUSY", lambda: Response(429, "Too Many Requests"), NoRecentBars, ["too many requests", "again for BUSY"]),
        ("HTML", lambda: Response(502, "<html>Bad gateway</html>"), NoRecentBars, ["JSON", "again for HTML"]),
    ],
)
def test_a_symbol_without_bars_is_told_why_and_costs_no_other(
    yahoo_says: Callable[..., None], symbol: str, answer: Answer, error: type[Exception], words: list[str]
) -> None:
    yahoo_says(MSFT=lambda: chart(11.0, 12.0), **{symbol: answer})

    reading = fetch([symbol, "MSFT"])

    assert set(reading.bars) == {"MSFT"}
    assert type(reading.failures[symbol]) is error
    assert all(word in str(reading.failures[symbol]) for word in words)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (refuse(NO_HOST), ["(Could not resolve host: query2.finance.yahoo.com)"]),
        (refuse(TimeoutError("timed out")), ["(timed out)"]),
        (lambda: Response(429, "Too Many Requests"), ["too many requests"]),
    ],
)
def test_silence_is_reported_once_after_two_short_waits_and_nothing_else_is_said(
    yahoo_says: Callable[..., None], capfd: pytest.CaptureFixture[str], answer: Answer, words: list[str]
) -> None:
    yahoo_says(MSFT=answer, AAPL=answer)
    waits: list[float] = []

    with pytest.raises(SourceUnavailable) as refused:
        fetch(["MSFT", "AAPL"], waits)

    assert all(word in str(refused.value) for word in [*words, "network", "--source sample", "--source simulated"])
    assert waits == [0.5, 1.0]
    assert capfd.readouterr() == ("", "")


def test_nobody_else_is_asked_about_after_fifty_symbols_of_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def ticker(symbol: str, **_: Any) -> Any:
        asked.append(symbol)
        return SimpleNamespace(history=lambda **_: refuse(NO_HOST)())

    monkeypatch.setattr(yfinance, "download", lambda symbols, **_: table({symbol: [None, None] for symbol in symbols}))
    monkeypatch.setattr(yfinance, "Ticker", ticker)
    advanced: list[int] = []

    with pytest.raises(SourceUnavailable):
        Yahoo(sleep=lambda _: None).fetch([f"S{n}" for n in range(500)], FIRST, LAST, advance=advanced.append)

    assert len(asked) == 9  # three probes in each of three attempts
    assert sum(advanced) == 500


def test_what_failed_for_a_passing_reason_is_asked_for_again(yahoo_says: Callable[..., None]) -> None:
    busy = [Response(429, "Too Many Requests")] * 4  # yfinance itself asks twice, and so does the probe
    asked = {"MSFT": 0}

    def answer_for_msft() -> Response:
        asked["MSFT"] += 1
        return chart(11.0, 12.0)

    yahoo_says(AAPL=lambda: busy.pop() if busy else chart(11.0, 12.0), MSFT=answer_for_msft)
    waits: list[float] = []

    reading = fetch(["AAPL", "MSFT"], waits)

    assert set(reading.bars) == {"AAPL", "MSFT"}
    assert not reading.failures
    assert waits == [0.5]
    assert asked["MSFT"] == 1


# The session: a host that hangs must not hold the command up.


def test_a_host_that_never_answered_is_given_up_after_one_timeout_and_one_that_did_after_four() -> None:
    sent: list[str] = []
    silent = {"https://dead.com"}

    def send(_method: str, url: str, **options: Any) -> str:
        sent.append(url)
        assert options["timeout"] == (4.0, 10.0)
        if url in silent:
            raise TimeoutError
        return "answer"

    request = _impatient(send, TimeoutError)
    for _ in range(3):
        with pytest.raises(TimeoutError):
            request("GET", "https://dead.com", timeout=30)
    assert request("GET", "https://alive.com", timeout=30) == "answer"
    silent.add("https://alive.com")
    for _ in range(2 * _PATIENCE):
        with pytest.raises(TimeoutError):
            request("GET", "https://alive.com", timeout=30)

    assert sent.count("https://dead.com") == 1
    assert sent.count("https://alive.com") == 1 + _PATIENCE
