"""Yahoo's answers are canned. Where a test does not fake yfinance, the real one works on it."""

import json
import logging
import threading
import warnings
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
import requests as plain_requests
from curl_cffi import requests

from tickercast.backends.market_data.yahoo import _PATIENCE, Yahoo, _Wire
from tickercast.domain.bars import Reading
from tickercast.errors import InvalidBars, NoRecentBars, Permanent, RateLimited, SourceUnavailable, UnknownSymbol

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import yfinance

FIRST, LAST = date(2023, 7, 1), date(2023, 7, 21)
NOT_FOUND = {"code": "Not Found", "description": "No data found, symbol may be delisted"}
OUT_OF_RANGE = {"code": "Bad Request", "description": "Data doesn't exist for startDate = 1, endDate = 2"}
UNAUTHORIZED = json.dumps(
    {"chart": {"result": None, "error": {"code": "Unauthorized", "description": "Invalid Crumb"}}}
)
NO_HOST = requests.exceptions.DNSError(
    "Failed to perform, curl: (6) Could not resolve host: query2.finance.yahoo.com. See https://curl.se/libcurl first."
)


def fetch(symbols: Sequence[str], waits: list[float] | None = None) -> Reading:
    sleep = (waits if waits is not None else []).append
    return Yahoo(sleep=sleep).fetch(symbols, FIRST, LAST, advance=lambda _: None)


# Faked yfinance: what is asked of it, and what is made of its answer.


def table(*closes: float) -> pd.DataFrame:
    dates = pd.DatetimeIndex(["2023-07-20", "2023-07-21"], name="Date", tz="America/New_York")
    return pd.DataFrame(dict.fromkeys(("Adj Close", "Close", "High", "Low", "Open", "Volume"), closes), dates)


@pytest.fixture
def histories(monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, Any]]:
    """Replace Yahoo by one that knows every symbol; a negative price for OLD. Returns what was asked for by symbol."""
    asked: dict[str, dict[str, Any]] = {}

    def ticker(symbol: str, **_: Any) -> Any:
        def history(**options: Any) -> pd.DataFrame:
            asked[symbol] = options
            return table(11.0, -12.0 if symbol == "OLD" else 12.0)

        return SimpleNamespace(history=history)

    monkeypatch.setattr(yfinance, "Ticker", ticker)
    return asked


def test_each_symbol_is_asked_for_once_with_an_exclusive_end_and_unadjusted_prices(histories: dict[str, Any]) -> None:
    reading = fetch(["MSFT", "AAPL", "BRK-B"])

    assert set(histories) == {"MSFT", "AAPL", "BRK-B"} == set(reading.bars)
    assert all((asked["start"], asked["end"]) == ("2023-07-01", "2023-07-22") for asked in histories.values())
    assert all(asked["auto_adjust"] is False for asked in histories.values())
    assert reading.bars["AAPL"].cutoff == LAST


def test_a_symbol_that_is_named_twice_is_not_waited_for_forever(histories: dict[str, Any]) -> None:
    assert set(fetch(["AAPL", "MSFT", "MSFT"]).bars) == {"AAPL", "MSFT"}


def test_progress_advances_with_each_symbol(histories: dict[str, Any]) -> None:
    advanced: list[int] = []

    Yahoo().fetch([f"S{number}" for number in range(30)], FIRST, LAST, advance=advanced.append)

    assert advanced == [1] * 30


def test_a_bad_bar_costs_only_its_own_symbol(histories: dict[str, Any]) -> None:
    reading = fetch(["MSFT", "OLD"])

    assert set(reading.bars) == {"MSFT"}
    assert isinstance(reading.failures["OLD"], InvalidBars)


def test_yfinance_is_left_as_it_was(histories: dict[str, Any]) -> None:
    cache = yfinance.cache
    before = yfinance.config.debug.hide_exceptions, logging.getLogger("yfinance").level, cache.get_tz_cache()

    fetch(["MSFT"])

    after = yfinance.config.debug.hide_exceptions, logging.getLogger("yfinance").level, cache.get_tz_cache()
    assert after == before


def test_an_answer_that_yfinance_stumbles_over_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def history(**_: Any) -> pd.DataFrame:
        raise KeyError("currency")

    monkeypatch.setattr(yfinance, "Ticker", lambda *_, **__: SimpleNamespace(history=history))

    assert "KeyError: 'currency'" in str(fetch(["MSFT"]).failures["MSFT"])


# The real yfinance: what Yahoo says, and what becomes of it.


class Response:
    """The session's response to yfinance."""

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
    yfinance.data.SingletonMeta._instances.clear()  # and with it the crumb of another test

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
        ("HTML", lambda: Response(502, "<html>Bad gateway</html>"), NoRecentBars, ["status 502", "again for HTML"]),
        ("PAGE", lambda: Response(200, "<html>Consent</html>"), NoRecentBars, ["JSON", "again for PAGE"]),
        ("CRUMB", lambda: Response(401, UNAUTHORIZED), NoRecentBars, ["status 401", "again for CRUMB"]),
        ("SHUT", lambda: Response(403, "Forbidden"), NoRecentBars, ["status 403", "again for SHUT"]),
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
    ("answer", "words", "pauses"),
    [
        (refuse(NO_HOST), ["(Could not resolve host: query2.finance.yahoo.com)"], []),
        (refuse(ConnectionRefusedError(111, "Connection refused")), ["Connection refused"], []),
        (refuse(TimeoutError("timed out")), ["(timed out)"], [0.5, 1.0]),
        (lambda: Response(503, "busy"), ["status 503"], [0.5, 1.0]),
    ],
)
def test_silence_is_reported_once_at_once_if_nobody_is_there_and_else_after_two_short_waits(
    yahoo_says: Callable[..., None],
    capfd: pytest.CaptureFixture[str],
    answer: Answer,
    words: list[str],
    pauses: list[float],
) -> None:
    yahoo_says(MSFT=answer, AAPL=answer)
    waits: list[float] = []

    with pytest.raises(SourceUnavailable) as refused:
        fetch(["MSFT", "AAPL"], waits)

    assert all(word in str(refused.value) for word in [*words, "network", "--source sample", "--source simulated"])
    assert waits == pauses
    assert capfd.readouterr() == ("", "")


def test_what_failed_for_a_passing_reason_is_asked_for_again(yahoo_says: Callable[..., None]) -> None:
    busy = [Response(503, "busy")] * 2  # yfinance itself asks twice
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


# Requests are counted.


class CountingYahoo:
    """Answers as Yahoo does, and counts: every request, and those for bars."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, answer: Callable[[str, int], Response]) -> None:
        self.urls: list[str] = []
        self._answer = answer
        yfinance.data.SingletonMeta._instances.clear()
        monkeypatch.setattr(requests.Session, "request", self._request)

    def charts(self) -> list[str]:
        return [url.rpartition("/")[2] for url in self.urls if "/chart/" in url]

    def _request(self, method: str, url: str, **options: Any) -> Response:
        self.urls.append(url)
        if "/chart/" not in url:
            return Response(200, "crumb") if "crumb" in url else Response(404, "{}")
        return self._answer(url.rpartition("/")[2], len(self.charts()))


SYMBOLS = [f"S{number}" for number in range(50)]


def test_fifty_symbols_take_a_request_each_since_their_time_zones_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    yahoo = CountingYahoo(monkeypatch, lambda *_: chart(11.0, 12.0))

    assert len(fetch(SYMBOLS).bars) == 50
    assert len(yahoo.charts()) == 50
    assert len(yahoo.urls) == 52  # a cookie and a crumb


def test_a_refusal_of_the_first_request_is_the_last_request(monkeypatch: pytest.MonkeyPatch) -> None:
    yahoo = CountingYahoo(monkeypatch, lambda *_: Response(429, "Too Many Requests"))
    waits: list[float] = []
    source = Yahoo(sleep=waits.append)

    for _ in range(2):  # nor does the next batch of the same run ask
        with pytest.raises(RateLimited, match=r"429 Too Many Requests.*Wait an hour, then run the same command again"):
            source.fetch(SYMBOLS, FIRST, LAST, advance=lambda _: None)

    assert len(yahoo.charts()) == 1
    assert len(yahoo.urls) == 3
    assert waits == []


def test_a_refusal_stops_the_run_and_keeps_what_was_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    yahoo = CountingYahoo(
        monkeypatch, lambda _, number: chart(11.0, 12.0) if number <= 20 else Response(429, "Too Many Requests")
    )

    reading = fetch(SYMBOLS)

    assert len(reading.bars) == 20
    assert len(yahoo.charts()) <= 24  # those that were under way
    assert len({str(reason) for reason in reading.failures.values()}) == 1
    assert "when 20 of 50 symbols had their answer" in str(reading.failures["S49"])


def test_nobody_else_is_asked_about_after_twenty_symbols_of_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    yahoo = CountingYahoo(monkeypatch, lambda *_: Response(500, "<html>Sorry</html>"))
    advanced: list[int] = []

    with pytest.raises(SourceUnavailable, match="status 500"):
        Yahoo(at_once=2, sleep=lambda _: None).fetch(
            [f"S{n}" for n in range(300)], FIRST, LAST, advance=advanced.append
        )

    assert len(set(yahoo.charts())) <= 22  # and those that were under way
    assert sum(advanced) == 300


def test_a_crumb_that_is_refused_does_not_stop_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    crumbs: list[str] = []

    def request(_session: object, method: str, url: str, **options: Any) -> Response:
        if "getcrumb" in url:
            crumbs.append(url)
            return Response(429, "Too Many Requests")
        return chart(11.0, 12.0) if "/chart/" in url else Response(404, "{}")

    yfinance.data.SingletonMeta._instances.clear()
    monkeypatch.setattr(requests.Session, "request", request)

    assert len(fetch(SYMBOLS).bars) == 50
    assert len(crumbs) == 1


def test_pauses_lie_between_requests_where_the_setting_asks_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    yahoo = CountingYahoo(monkeypatch, lambda *_: chart(11.0, 12.0))
    waits: list[float] = []

    Yahoo(pause_s=0.25, sleep=waits.append).fetch(["MSFT", "AAPL"], FIRST, LAST, advance=lambda _: None)

    assert waits == [0.25] * len(yahoo.urls)


def test_no_more_requests_are_under_way_than_the_setting_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    barrier, most = threading.Barrier(3, timeout=10), [0]
    under_way: set[int] = set()

    def answer(symbol: str, number: int) -> Response:
        under_way.add(threading.get_ident())
        most[0] = max(most[0], len(under_way))
        if number > 1:  # the first symbol goes alone
            barrier.wait()
        under_way.discard(threading.get_ident())
        return chart(11.0, 12.0)

    CountingYahoo(monkeypatch, answer)
    Yahoo(at_once=3).fetch(SYMBOLS[:7], FIRST, LAST, advance=lambda _: None)

    assert most[0] == 3


@pytest.mark.parametrize("name", ["tkr-tz.db", "cookies.db", "isin-tkr.db"])
def test_a_damaged_cache_file_of_yfinance_is_neither_read_nor_mended(
    yahoo_says: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / name).write_bytes(b"no database")
    for manager in ("_TzDBManager", "_CookieDBManager", "_ISINDBManager"):
        monkeypatch.setattr(getattr(yfinance.cache, manager), "_cache_dir", str(tmp_path))
        monkeypatch.setattr(getattr(yfinance.cache, manager), "_db", None)
    yahoo_says(MSFT=lambda: chart(11.0, 12.0))

    assert set(fetch(["MSFT"]).bars) == {"MSFT"}
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {name: b"no database"}


# An ISIN is looked up by Yahoo's search.

ISIN = "US5949181045"


@pytest.mark.parametrize(
    ("found", "error", "words"),
    [
        (Response(200, "<html>Sorry</html>"), NoRecentBars, "its answer is not JSON"),
        (Response(502, "<html>Sorry</html>"), NoRecentBars, "status 502"),
        (Response(200, '{"quotes": []}'), UnknownSymbol, "does not know US5949181045"),
        (None, NoRecentBars, "Could not resolve host"),
    ],
)
def test_an_isin_that_cannot_be_looked_up_costs_no_symbol_of_the_batch(
    monkeypatch: pytest.MonkeyPatch, found: Response | None, error: type[Permanent], words: str
) -> None:
    def request(_session: object, method: str, url: str, **options: Any) -> Response:
        if "/chart/" in url:
            return chart(11.0, 12.0)
        if "/search" in url:
            if found is None:
                raise NO_HOST
            return found
        return Response(200, "crumb") if "crumb" in url else Response(404, "{}")

    yfinance.data.SingletonMeta._instances.clear()
    monkeypatch.setattr(requests.Session, "request", request)

    reading = fetch(["MSFT", ISIN, "AAPL"])

    assert set(reading.bars) == {"MSFT", "AAPL"}
    assert type(reading.failures[ISIN]) is error
    assert words in str(reading.failures[ISIN])


# Every exception that the two libraries of HTTP and yfinance define ends in a sentence.


def exceptions(module: Any) -> list[type[Exception]]:
    found = [each for each in vars(module).values() if isinstance(each, type) and issubclass(each, Exception)]
    return [each for each in found if not issubclass(each, Warning)]


def made(kind: type[Exception]) -> Exception:
    for arguments in (("seen",), ("MSFT", "seen"), ("MSFT", "seen", "more"), ("seen", "", 0), ()):
        try:
            return kind(*arguments)
        except TypeError:
            continue
    raise AssertionError(kind)


@pytest.mark.parametrize(
    "kind",
    [
        *exceptions(requests.exceptions),
        *exceptions(plain_requests.exceptions),
        *exceptions(yfinance.exceptions),
        *(OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError),
    ],
    ids=lambda kind: f"{kind.__module__}.{kind.__name__}",
)
def test_every_exception_costs_its_symbol_alone_and_ends_in_a_sentence(
    yahoo_says: Callable[..., None], kind: type[Exception]
) -> None:
    yahoo_says(MSFT=lambda: chart(11.0, 12.0), BAD=refuse(made(kind)))

    reading = fetch(["MSFT", "BAD"])

    assert set(reading.bars) == {"MSFT"}
    assert str(reading.failures["BAD"]).endswith(".")
    assert "None" not in str(reading.failures["BAD"])


# A host that hangs must not hold the command up.


def test_a_host_that_never_answered_is_given_up_after_one_timeout_and_one_that_did_after_four() -> None:
    sent: list[str] = []
    silent = {"https://dead.com/v8/"}

    def send(_method: str, url: str, **options: Any) -> Response:
        sent.append(url)
        assert options["timeout"] == (4.0, 10.0)
        if url in silent:
            raise TimeoutError
        return Response(200, "")

    request = _Wire(send, TimeoutError, PermissionError, 0.0, lambda _: None)
    for _ in range(3):
        with pytest.raises(TimeoutError):
            request("GET", "https://dead.com/v8/", timeout=30)
    assert request("GET", "https://alive.com/v8/", timeout=30).status_code == 200
    silent.add("https://alive.com/v8/")
    for _ in range(2 * _PATIENCE):
        with pytest.raises(TimeoutError):
            request("GET", "https://alive.com/v8/", timeout=30)

    assert sent.count("https://dead.com/v8/") == 1
    assert sent.count("https://alive.com/v8/") == 1 + _PATIENCE
