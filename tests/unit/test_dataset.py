"""Bars are told apart by one hash, which depends on what they are and on nothing else."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from tickercast.domain.bars import History
from tickercast.domain.dataset import dataset
from tickercast.errors import TooFewSessions

LAST = date(2023, 7, 21)


@pytest.fixture
def histories(make_history: Callable[..., History]) -> list[History]:
    return [make_history("MSFT", sessions=100), make_history("AAPL", sessions=50, seed=8)]


def test_a_dataset_tells_symbols_dates_and_rows(histories: list[History]) -> None:
    made = dataset("sample", histories, LAST)
    assert (made.source, made.symbols, made.rows) == ("sample", ("AAPL", "MSFT"), 150)
    assert (made.first, made.last) == (histories[0].bars["session_date"].iloc[0].date(), LAST)
    assert len(made.sha256) == 64


def test_the_hash_of_known_bars_is_the_same_on_every_machine(make_history: Callable[..., History]) -> None:
    bars = make_history(sessions=3).bars.assign(
        open=[1.0, 2, 3], high=4.0, low=0.5, close=[2.0, 3, 1], adj_close=[2.0, 3, 1], volume=[7.0, np.nan, 9]
    )
    known = "52f0f798f4359b7ee6b23599a5d81c3e0070da962995970635b707fa4aaa017b"
    assert dataset("any", [History("MSFT", bars)], LAST).sha256 == known


def test_neither_the_order_nor_the_type_nor_later_bars_change_the_hash(histories: list[History]) -> None:
    first, second = histories
    through = date(2023, 7, 14)
    made = dataset("sample", histories, through).sha256
    other = second.bars.assign(session_date=second.bars["session_date"].astype("datetime64[ns]"))
    cut = first.bars[first.bars["session_date"] <= np.datetime64(through)]
    assert dataset("a folder", [replace(second, bars=other), replace(first, bars=cut)], through).sha256 == made


@pytest.mark.parametrize("column", ["open", "high", "low", "close", "adj_close", "volume"])
def test_one_other_value_changes_the_hash(histories: list[History], column: str) -> None:
    first, second = histories
    bars = second.bars.copy()
    bars.loc[7, column] = np.nextafter(bars.loc[7, column], np.inf)
    assert dataset("", [first, replace(second, bars=bars)], LAST).sha256 != dataset("", histories, LAST).sha256


def test_another_symbol_or_date_changes_the_hash(histories: list[History]) -> None:
    first, second = histories
    made = dataset("", histories, LAST).sha256
    assert dataset("", [first, replace(second, symbol="IBM")], LAST).sha256 != made
    moved = second.bars.assign(session_date=second.bars["session_date"] - np.timedelta64(7, "D"))
    assert dataset("", [first, replace(second, bars=moved)], LAST).sha256 != made


def test_no_bars_are_no_dataset(histories: list[History]) -> None:
    with pytest.raises(TooFewSessions, match="sample has no bar on or before 1999-12-31"):
        dataset("sample", histories, date(1999, 12, 31))
