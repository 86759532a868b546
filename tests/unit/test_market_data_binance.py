"""Hourly bars from Binance, against a stand-in of its klines: pages, weights, pauses, bans and regions."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pytest
from tests.support.binance_server import BinanceServer, refusal
from tests.support.hourly import make_hours, without
from tests.support.stand_in import Answer, as_json

from tickercast import engines
from tickercast.backends import events
from tickercast.backends.market_data.binance import ALLOWANCE, Binance
from tickercast.backends.results_days.sec import Sec
from tickercast.config import Settings
from tickercast.domain.bars import Bars, Reading
from tickercast.errors import InvalidBars, NoRecentBars, SourceUnavailable, UnknownSymbol, UsageError

FIRST, LAST = date(2022, 1, 1), date(2022, 12, 31)
NOW = datetime(2022, 4, 1, 12, 30, 20, tzinfo=UTC)


def klines(bars: Bars) -> list[list[float]]:
    opened = (bars.columns["closed_at"] - np.timedelta64(1, "h")).astype("datetime64[ms]").astype(np.int64)
    columns = [bars.columns[name].round(8) for name in ("open", "high", "low", "close", "volume")]
    return [[float(value) for value in row] for row in zip(opened, *columns, strict=True)]


@pytest.fixture
def server() -> Iterator[BinanceServer]:
    made = BinanceServer()
    made.bars = {"BTCUSDT": klines(make_hours(hours=2125))}  # up to 2022-04-01 13:00, half an hour from now
    yield made
    made.close()


@pytest.fixture
def slept() -> list[float]:
    return []


@pytest.fixture
def fetch(server: BinanceServer, slept: list[float]) -> Callable[..., Reading]:
    def run(*symbols: str, first: date = FIRST, last: date = LAST) -> Reading:
        source = Binance(server.url, sleep=slept.append, now=lambda: NOW)
        return source.fetch(symbols or ("BTCUSDT",), first, last, advance=lambda _: None)

    return run


def test_a_range_is_read_page_by_page_without_the_unfinished_hour(
    server: BinanceServer, fetch: Callable[..., Reading]
) -> None:
    bars = fetch()["BTCUSDT"]
    assert len(server.requests) == 3  # 1,000, 1,000 and 125 bars
    assert {request["limit"] for request in server.requests} == {"1000"}
    assert len(bars) == 2124
    assert str(bars.columns["closed_at"][-1]) == "2022-04-01T12"
    wanted = make_hours(hours=2125).rows(0, 2124)
    for name in ("open", "high", "low", "close", "volume"):
        np.testing.assert_allclose(bars.columns[name], wanted.columns[name], atol=1e-8)


def test_an_unfinished_hour_that_changes_between_pages_changes_nothing(
    server: BinanceServer, fetch: Callable[..., Reading]
) -> None:
    before = fetch()["BTCUSDT"]

    def change() -> None:
        server.bars["BTCUSDT"][-1][4] *= 1.0001
        server.bars["BTCUSDT"][-1][2] *= 1.001

    server.on_request = change
    again = fetch()["BTCUSDT"]
    for name, values in before.columns.items():
        np.testing.assert_array_equal(again.columns[name], values)


def test_only_the_days_that_are_asked_for_are_read(server: BinanceServer, fetch: Callable[..., Reading]) -> None:
    bars = fetch(first=date(2022, 1, 10), last=date(2022, 1, 11))["BTCUSDT"]
    assert len(bars) == 48
    assert (bars.first, bars.cutoff) == (date(2022, 1, 10), date(2022, 1, 11))
    assert len(server.requests) == 1


def test_a_gap_is_left_to_whoever_forecasts(server: BinanceServer, fetch: Callable[..., Reading]) -> None:
    server.bars["BTCUSDT"] = klines(without(make_hours(hours=2125), 2000, 2003))
    found = fetch()
    assert len(found["BTCUSDT"]) == 2121
    assert not found.findings


def test_429_is_waited_for_as_long_as_it_says(
    server: BinanceServer, fetch: Callable[..., Reading], slept: list[float]
) -> None:
    server.failures = [refusal(429, 7), refusal(429)]
    assert len(fetch()["BTCUSDT"]) == 2124
    assert slept == [7.0, 60.0]


def test_a_pause_that_nobody_waits_for_is_a_sentence(server: BinanceServer, fetch: Callable[..., Reading]) -> None:
    server.failures = [refusal(429, 900)]
    with pytest.raises(SourceUnavailable, match="asks for a pause of 900 s"):
        fetch()


def test_a_ban_is_not_asked_against(server: BinanceServer, fetch: Callable[..., Reading], slept: list[float]) -> None:
    server.failures = [refusal(418, 300)]
    with pytest.raises(SourceUnavailable, match="banned this address for 300 s"):
        fetch()
    assert len(server.requests) == 1
    assert not slept


def test_a_region_that_is_refused_is_told_so(server: BinanceServer, fetch: Callable[..., Reading]) -> None:
    server.failures = [as_json({"code": 0, "msg": "Service unavailable from a restricted location"}, 451)]
    with pytest.raises(UsageError, match="refuses requests from this region"):
        fetch()
    assert len(server.requests) == 1


def test_the_rest_of_a_minute_is_waited_for_when_its_allowance_is_used(
    server: BinanceServer, fetch: Callable[..., Reading], slept: list[float]
) -> None:
    server.used = int(0.9 * ALLOWANCE)
    fetch(last=date(2022, 1, 20))
    assert slept == [pytest.approx(39.67, abs=0.4)]  # it is 20 s past


@pytest.mark.parametrize("failure", [refusal(500), refusal(503), None, refusal(408)], ids=["500", "503", "lost", "408"])
def test_a_fault_that_passes_is_asked_again(
    server: BinanceServer, fetch: Callable[..., Reading], slept: list[float], failure: Any
) -> None:
    server.failures = [failure, failure]
    assert len(fetch()["BTCUSDT"]) == 2124
    assert slept == [1.0, 2.0]


def test_a_fault_that_stays_is_a_sentence(server: BinanceServer, fetch: Callable[..., Reading]) -> None:
    server.failures = [refusal(503)] * 5
    with pytest.raises(SourceUnavailable, match="does not answer: HTTP 503"):
        fetch()


def test_a_network_that_is_down_is_a_sentence(slept: list[float]) -> None:
    source = Binance("http://127.0.0.1:9", sleep=slept.append)
    with pytest.raises(
        SourceUnavailable, match=r"does not answer: no connection \(ConnectionError\)\. Try again later"
    ):
        source.fetch(["BTCUSDT"], FIRST, LAST, advance=lambda _: None)
    assert slept == [1.0, 2.0, 4.0, 8.0]


def test_an_unknown_symbol_does_not_sink_the_others(server: BinanceServer, fetch: Callable[..., Reading]) -> None:
    found = fetch("BTC-USD", "NOPEUSDT", "BTCUSDT")
    assert list(found) == ["BTCUSDT"]
    for symbol in ("BTC-USD", "NOPEUSDT"):
        with pytest.raises(UnknownSymbol, match=f"does not know {symbol}: a pair in its own spelling"):
            found[symbol]
    assert "BTC-USD" not in {request["symbol"] for request in server.requests}


@pytest.mark.parametrize(
    "content", [b"<html>", b"{}", b"[1, 2]", b'[["x", 1, 1, 1, 1, 1]]', b'[[1640995200000, "1", "1", "1", null, "1"]]']
)
def test_an_answer_that_is_none_is_a_sentence(
    server: BinanceServer, fetch: Callable[..., Reading], content: bytes
) -> None:
    server.failures = [Answer(200, content)]
    with pytest.raises(InvalidBars, match="Binance"):
        fetch()["BTCUSDT"]


def test_a_page_that_goes_back_is_not_read_for_ever(server: BinanceServer, fetch: Callable[..., Reading]) -> None:
    server.failures = [Answer(200, b'[[1000, "1", "1", "1", "1", "1"]]')]
    with pytest.raises(InvalidBars, match="ends before it begins"):
        fetch()["BTCUSDT"]


def test_no_hour_in_the_range_is_a_sentence(fetch: Callable[..., Reading]) -> None:
    with pytest.raises(NoRecentBars, match="no finished hour of BTCUSDT from 2020-01-01"):
        fetch(first=date(2020, 1, 1), last=date(2020, 1, 2))["BTCUSDT"]


@pytest.mark.parametrize("proxy", ["http://", "ftp://host", "http://me:secret@a b"])
def test_a_proxy_that_is_no_address_is_named_at_once_by_all_who_ask_through_it(
    proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    monkeypatch.setenv("NO_PROXY", "")
    day, said = (
        date(2023, 7, 22),
        "^The proxy in HTTPS_PROXY is no address that requests can be sent through: http://HOST",
    )
    sec = Sec("Jane Doe jane@example.com", url="https://a.invalid", data_url="https://a.invalid")
    for ask in (
        lambda: Binance("https://a.invalid").fetch(["BTCUSDT"], day, day, advance=lambda _: None),
        lambda: sec.fetch(["MSFT"], day, advance=lambda _: None),
        lambda: events.ping("https://a.invalid"),
    ):
        with pytest.raises(UsageError, match=said) as refused:
            ask()
        assert "secret" not in str(refused.value)


def test_it_lists_no_symbols_and_asks_where_the_setting_says() -> None:
    source = engines.hourly_data("binance", Settings(binance_url="http://127.0.0.1:9"))
    assert isinstance(source, Binance)
    with pytest.raises(UsageError, match="does not list its symbols"):
        source.symbols()
