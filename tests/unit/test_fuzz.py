"""Whatever is sent: either bars that keep the contract, or one sentence."""

import json
import random
import time
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from functions_framework import create_app
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support import nasty

from tickercast import config
from tickercast.app import App
from tickercast.domain.bars import Reading
from tickercast.domain.files.event_files import read_events
from tickercast.domain.files.price_files import read_prices
from tickercast.domain.symbols import parse_symbol
from tickercast.errors import Permanent
from tickercast.ports import FINALIZED, Warehouse

LONGEST_SENTENCE = 600
WRITTEN = datetime(2023, 7, 22, tzinfo=UTC)


def read(data: bytes, symbol: str | None) -> Reading:
    """Read a file; the reason why it is refused has to be one sentence."""
    try:
        reading = read_prices(data, symbol=symbol or "")
    except Permanent as error:
        reading = Reading(failures={"": error})
    for failure in reading.failures.values():
        assert 20 < len(str(failure)) < LONGEST_SENTENCE
        assert str(failure).isprintable(), str(failure)
    return reading


def keeps_the_contract(reading: Reading) -> bool:
    for symbol, bars in reading.bars.items():
        frame = bars.frame
        prices = frame[["open", "high", "low", "close", "adj_close"]].to_numpy(float)
        slack = 1e-4 * frame["close"]
        assert parse_symbol(symbol) == symbol == bars.symbol
        assert len(frame) > 0
        assert frame["session_date"].is_monotonic_increasing
        assert frame["session_date"].is_unique
        assert frame["session_date"].dt.year.between(1900, 2100).all()
        assert np.isfinite(prices).all()
        assert (prices > 0).all()
        assert (frame["low"] <= frame[["open", "close"]].min(axis=1) + slack).all()
        assert (frame["high"] >= frame[["open", "close"]].max(axis=1) - slack).all()
        assert (frame["volume"].isna() | frame["volume"].between(0, np.finfo(float).max)).all()
    return not set(reading.bars) & set(reading.failures)


@settings(max_examples=400, deadline=None, derandomize=True)
@given(st.randoms(use_true_random=False), st.sampled_from([None, "MSFT"]))
def test_a_mutated_file_gives_bars_that_keep_the_contract_or_a_sentence(
    chance: random.Random, symbol: str | None
) -> None:
    assert keeps_the_contract(read(nasty.mutated(chance), symbol))


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: f"Date,Open,High,Low,Close\n{text}".encode()))
def test_bytes_of_any_kind_give_bars_that_keep_the_contract_or_a_sentence(data: bytes) -> None:
    assert keeps_the_contract(read(data, "MSFT"))


_WORDS = st.sampled_from(
    ["symbol", "date", "session", "known_at", "MSFT", "2023-07-25", "after", "", ",", "\n", '"', "\r"]
)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.binary(max_size=200) | st.lists(_WORDS | st.text(max_size=5), max_size=30).map(lambda t: "".join(t).encode()))
def test_a_file_of_events_gives_events_or_a_sentence(data: bytes) -> None:
    for content in (data, b"symbol,date,session,known_at\nMSFT,2023-07-25,after,\n" + data):
        rows, refused = read_or_refuse(content)
        if refused:
            assert 20 < len(refused) < LONGEST_SENTENCE
            assert refused.isprintable(), refused
        else:
            assert rows
            assert all(row["symbol"] == parse_symbol(row["symbol"]) and row["known_at"] <= WRITTEN for row in rows)


def read_or_refuse(content: bytes) -> tuple[list[dict[str, Any]], str]:
    try:
        return read_events(content, "events/mine.csv", WRITTEN).to_pylist(), ""
    except Permanent as error:
        return [], str(error)


@pytest.mark.parametrize("column", [0, 4, 5, 6, 7])
def test_no_cell_breaks_the_reader(column: int) -> None:
    for cell in nasty.CELLS:
        row = ["2023-07-21", "10", "12", "9", "11", "11", "1000", "MSFT"]
        row[column] = cell
        assert keeps_the_contract(read(f"{nasty.HEADER}\n{','.join(row)}\n".encode(), None))


@pytest.mark.parametrize("case", nasty.FILES)
def test_no_file_breaks_the_reader_or_takes_it_long(case: str) -> None:
    data = nasty.FILES[case]()
    started = time.process_time()
    reading = read(data, "MSFT")
    assert time.process_time() - started < 5
    assert keeps_the_contract(reading)


@pytest.mark.parametrize("other", ["mſft", "ＭＳＦＴ", "MS\u200bFT", "МSFT"])
def test_no_row_of_a_symbol_that_only_looks_like_another_becomes_one_of_it(other: str) -> None:
    rows = f"{nasty.GOOD}2023-06-30,10,12,9,11,11,1000,{other}\n"
    reading = read(rows.encode(), None)
    assert list(reading.bars) == ["MSFT"]
    assert len(reading.bars["MSFT"]) == len(nasty.GOOD.splitlines()) - 1
    assert len(reading.failures) == 1


def test_a_reason_holds_nothing_that_moves_a_terminals_cursor_or_turns_text_around() -> None:
    file = f"{nasty.HEADER}\n\x1b[2J,1,1,1,1,1,1,A\n2023-07-21,1,1,1,1,1,1,\u202e\x1b[31m\n"
    failures = read(file.encode(), None).failures
    assert list(failures) == ["A", "\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}[31m"]


WORDS = st.sampled_from(
    [
        "bucket",
        "ohlc/2023-07-22/MSFT.csv",
        "ohlc/../x.csv",
        "ohlc/2023-07-22/;DROP TABLE.csv",
        "",
        "0",
        "-1",
        "\u202e.csv",
    ]
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
FIELDS = ("bucket", "name", "generation", "size", "timeCreated")
DATA = (
    st.fixed_dictionaries({}, optional={name: ANYTHING | WORDS | st.integers(0, 2**70) for name in FIELDS}) | ANYTHING
)
HEADERS = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=30)


@pytest.fixture
def door(workspace: Path) -> tuple[Any, Warehouse]:
    source = config.resource("cloud_function") / "main.py"
    return create_app("forecast", str(source), "cloudevent").test_client(), App().warehouse


@settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(DATA, HEADERS, st.just(FINALIZED) | HEADERS, HEADERS)
def test_no_event_whatever_breaks_the_function(
    door: tuple[Any, Warehouse], data: object, event_id: str, kind: str, moment: str
) -> None:
    client, _ = door
    headers = {"ce-id": event_id, "ce-type": kind, "ce-time": moment, "ce-source": "x", "ce-specversion": "1.0"}
    answer = client.post("/", headers=headers, data=json.dumps(data), content_type="application/json")
    unreadable = not isinstance(data, dict)  # as a part of a body is, which has to come again
    assert answer.status_code in ((200, 400) if unreadable else (200,)), answer.get_data(as_text=True)


def test_an_event_with_an_odd_field_is_acknowledged_and_leaves_no_price(door: tuple[Any, Warehouse]) -> None:
    client, warehouse = door
    for name, member in product(FIELDS, [None, [], {}, "", "x", -1, 2**64, True]):
        data = {"bucket": "bucket", "name": "ohlc/2023-07-22/MSFT.csv", "generation": 1} | {name: member}
        headers = {"ce-id": "1", "ce-type": FINALIZED, "ce-source": "x", "ce-specversion": "1.0"}
        assert client.post("/", headers=headers, json=data).status_code == 200
    assert warehouse.read("prices").empty
