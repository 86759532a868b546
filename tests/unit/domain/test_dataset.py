"""Bars are told apart by one hash, which depends on what they are and on nothing else."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from tickercast.domain.bars import Bars
from tickercast.domain.learning.dataset import dataset
from tickercast.errors import TooFewSessions

LAST = date(2023, 7, 21)


@pytest.fixture
def series(make_bars: Callable[..., Bars]) -> list[Bars]:
    return [make_bars("MSFT", sessions=100), make_bars("AAPL", sessions=50, seed=8)]


def test_a_dataset_tells_symbols_dates_and_rows(series: list[Bars]) -> None:
    made = dataset("sample", series, LAST)
    assert (made.source, made.symbols, made.rows) == ("sample", ("AAPL", "MSFT"), 150)
    assert (made.first, made.last) == (series[0].frame["session_date"].iloc[0].date(), LAST)
    assert len(made.sha256) == 64


def test_a_dataset_of_an_evaluation_begins_where_that_begins(series: list[Bars]) -> None:
    made = dataset("sample", series, LAST, since=date(2023, 7, 17))
    assert (made.first, made.last, made.symbols, made.rows) == (date(2023, 7, 17), LAST, ("AAPL", "MSFT"), 10)
    assert made.sha256 == dataset("sample", [bars.since(made.first) for bars in series], LAST).sha256
    with pytest.raises(TooFewSessions, match="sample has no bar from 2023-07-22 to 2023-07-24"):
        dataset("sample", series, date(2023, 7, 24), since=date(2023, 7, 22))


def test_the_hash_of_known_bars_is_the_same_on_every_machine(make_bars: Callable[..., Bars]) -> None:
    bars = make_bars(sessions=3).frame.assign(
        open=[1.0, 2, 3], high=4.0, low=0.5, close=[2.0, 3, 1], adj_close=[2.0, 3, 1], volume=[7.0, np.nan, 9]
    )
    known = "52f0f798f4359b7ee6b23599a5d81c3e0070da962995970635b707fa4aaa017b"
    assert dataset("any", [Bars("MSFT", bars)], LAST).sha256 == known


def test_neither_the_order_nor_the_type_nor_later_bars_change_the_hash(series: list[Bars]) -> None:
    first, second = series
    through = date(2023, 7, 14)
    made = dataset("sample", series, through).sha256
    other = second.frame.assign(session_date=second.frame["session_date"].astype("datetime64[ns]"))
    cut = first.frame[first.frame["session_date"] <= np.datetime64(through)]
    assert dataset("a folder", [replace(second, columns=other), replace(first, columns=cut)], through).sha256 == made


@pytest.mark.parametrize("column", ["open", "high", "low", "close", "adj_close", "volume"])
def test_one_other_value_changes_the_hash(series: list[Bars], column: str) -> None:
    first, second = series
    bars = second.frame.copy()
    bars.loc[7, column] = np.nextafter(bars.loc[7, column], np.inf)
    assert dataset("", [first, replace(second, columns=bars)], LAST).sha256 != dataset("", series, LAST).sha256


def test_another_symbol_or_date_changes_the_hash(series: list[Bars]) -> None:
    first, second = series
    made = dataset("", series, LAST).sha256
    assert dataset("", [first, replace(second, symbol="IBM")], LAST).sha256 != made
    moved = second.frame.assign(session_date=second.frame["session_date"] - np.timedelta64(7, "D"))
    assert dataset("", [first, replace(second, columns=moved)], LAST).sha256 != made


def test_no_bars_are_no_dataset(series: list[Bars]) -> None:
    with pytest.raises(TooFewSessions, match="sample has no bar on or before 1999-12-31"):
        dataset("sample", series, date(1999, 12, 31))
