"""The market data that is installed."""

from collections.abc import Mapping, Sequence
from datetime import date

import numpy as np
import pandas as pd
import pytest

from tickercast.backends.market_data.sample import SYMBOLS, Sample
from tickercast.domain.bars import Bars, Reading
from tickercast.domain.calendar import sessions_between
from tickercast.errors import NoRecentBars, UnknownSymbol

EVERYTHING = (date(2000, 1, 1), date(2020, 1, 1))


def fetch(symbols: Sequence[str], first: date, last: date) -> Reading:
    return Sample().fetch(symbols, first, last, advance=lambda _: None)


@pytest.fixture(scope="module")
def series() -> Mapping[str, Bars]:
    return fetch(SYMBOLS, *EVERYTHING).bars


def bar(bars: Bars, day: str) -> pd.Series:
    return bars.frame.set_index("session_date").loc[day]


def test_the_sample_holds_five_stocks_without_a_bad_bar_or_a_missing_session(series: Mapping[str, Bars]) -> None:
    assert set(series) == set(SYMBOLS)
    for symbol, bars in series.items():
        days = tuple(bars.frame["session_date"].dt.date)
        assert days == sessions_between(symbol, days[0], days[-1])


@pytest.mark.parametrize(
    ("symbol", "split", "before"),
    [
        ("AAPL", "2000-06-21", "2000-06-20"),
        ("AAPL", "2005-02-28", "2005-02-25"),
        ("MSFT", "2003-02-18", "2003-02-14"),
    ],
)
def test_a_split_leaves_no_jump_in_price_or_volume(
    series: Mapping[str, Bars], symbol: str, split: str, before: str
) -> None:
    old, new = bar(series[symbol], before), bar(series[symbol], split)

    assert abs(np.log(new["close"] / old["close"])) < 0.1
    assert 0.4 < new["volume"] / old["volume"] < 2.5


def test_prices_and_volumes_before_a_split_are_in_new_shares(series: Mapping[str, Bars]) -> None:
    first = bar(series["AAPL"], "2000-03-01")

    assert first["close"] == pytest.approx(130.31 / 4, rel=1e-4)
    assert bar(series["MSFT"], "2003-02-14")["close"] == pytest.approx(48.30 / 2, rel=1e-4)


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_the_adjusted_close_ends_at_the_last_close_and_never_leaves_it_by_more_than_dividends(
    series: Mapping[str, Bars], symbol: str
) -> None:
    bars = series[symbol].frame
    gap = np.log(bars["adj_close"]).diff() - np.log(bars["close"]).diff()

    assert bars["adj_close"].iloc[-1] == pytest.approx(bars["close"].iloc[-1])
    assert gap.abs().max() < 0.11


def test_a_special_dividend_is_not_taken_for_a_split(series: Mapping[str, Bars]) -> None:
    assert bar(series["MSFT"], "2004-11-12")["close"] == pytest.approx(29.97)
    assert bar(series["MSFT"], "2004-11-15")["close"] == pytest.approx(27.39)


def test_only_the_range_asked_for_is_given() -> None:
    bars = fetch(["MSFT"], date(2010, 1, 1), date(2012, 7, 22)).bars["MSFT"]

    assert bars.frame["session_date"].iloc[0].date() == date(2010, 1, 4)
    assert bars.cutoff == date(2012, 7, 20)
    assert bars.frame.index[0] == 0


def test_an_unknown_symbol_is_told_what_the_sample_holds() -> None:
    failure = fetch(["NVDA", "MSFT"], *EVERYTHING).failures["NVDA"]

    assert isinstance(failure, UnknownSymbol)
    assert all(word in str(failure) for word in ("NVDA", *SYMBOLS, "--source yahoo", "--source simulated"))


@pytest.mark.parametrize(
    ("first", "last"), [(date(2020, 7, 22), date(2023, 7, 22)), (date(1990, 1, 1), date(1999, 1, 1))]
)
def test_a_range_that_the_sample_does_not_cover_is_told_what_it_covers(first: date, last: date) -> None:
    failure = fetch(["MSFT"], first, last).failures["MSFT"]

    assert isinstance(failure, NoRecentBars)
    assert all(word in str(failure) for word in ("2000-03-01", "2013-03-01", str(last), "--source"))


def test_a_date_before_the_first_bar_is_all_that_is_named_of_what_was_needed() -> None:
    failure = fetch(["FB"], date(1990, 1, 1), date(2012, 1, 1)).failures["FB"]

    assert "from 2012-05-18 to 2013-03-01, and a bar on or before 2012-01-01 was needed" in str(failure)
    assert "1990" not in str(failure)  # how far back a job reads is not what its caller asked for


def test_progress_counts_every_symbol_once() -> None:
    advanced = []

    Sample().fetch(["MSFT", "NVDA"], *EVERYTHING, advance=advanced.append)

    assert sum(advanced) == 2
