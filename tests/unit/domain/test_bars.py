"""Bars as arrays, and several symbols below each other."""

import pickle
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from tests.support.hourly import make_hours

from tickercast.domain.bar_checks import check_bars
from tickercast.domain.bars import BAR_COLUMNS, Bars, Reading, bars_of, below_each_other, tails
from tickercast.domain.files.price_files import read_prices, to_parquet
from tickercast.errors import InvalidBars, NoRecentBars

MakeBars = Callable[..., Bars]

NOW = datetime(2023, 7, 22, tzinfo=UTC)


@pytest.fixture
def series(make_bars: MakeBars) -> list[Bars]:
    written = [make_bars(name, seed=seed, sessions=5 + seed) for seed, name in enumerate(["AAPL", "IBM", "MSFT"])]
    return list(read_prices(to_parquet(written)).bars.values())


@pytest.mark.parametrize(
    "pick",
    [
        lambda bars: bars,
        lambda bars: bars[1:],
        lambda bars: bars[:1],
        lambda bars: [bars[0], bars[2]],
        lambda bars: bars[::-1],
        lambda bars: [bars[0], bars[0]],
        lambda bars: [bars[0].rows(0, 3), bars[1]],
        lambda bars: [bars[0], bars[1].rows(0, 2)],
        lambda bars: [bars[0].rows(0, 0), *bars],
        lambda bars: [bars[0], bars[1].rows(0, 0), bars[2]],
        lambda bars: [Bars("IBM", bars[1].frame), bars[2]],
        lambda bars: [Bars("X", {name: values[::-1] for name, values in bars[0].columns.items()}), bars[1]],
        lambda bars: [Bars("X", {name: values[::-1] for name, values in bars[0].columns.items()})],
        lambda bars: [Bars("X", {name: values[::2] for name, values in bars[0].columns.items()})],
    ],
)
def test_bars_below_each_other_are_those_of_each_symbol(
    series: list[Bars], pick: Callable[[list[Bars]], list[Bars]]
) -> None:
    picked = pick(series)
    table = bars_of(picked)
    assert table["symbol"].to_pylist() == [bars.symbol for bars in picked for _ in range(len(bars))]
    for name in BAR_COLUMNS:
        expected = np.concatenate([bars.columns[name] for bars in picked])
        np.testing.assert_array_equal(table[name].to_numpy(), expected)


def test_an_unknown_volume_is_null(make_bars: MakeBars) -> None:
    bars = Bars("PEG", make_bars(sessions=3).frame.assign(volume=[1.0, np.nan, 0.0]), simulated=True)
    table = bars_of([bars])
    assert table["volume"].to_pylist() == [1.0, None, 0.0]
    assert table["simulated"].to_pylist() == [True] * 3
    assert pa.types.is_date32(table["session_date"].type)


def test_a_table_of_other_types_becomes_arrays_of_ours(make_bars: MakeBars) -> None:
    frame = make_bars(sessions=3).frame
    other = frame.astype({"session_date": "datetime64[ns]", "volume": "Int64"}).assign(more=1)
    bars = Bars("MSFT", other)
    assert list(bars.columns) == list(BAR_COLUMNS)
    assert bars.frame.equals(frame)
    assert bars.first == frame["session_date"].iloc[0].date()
    assert len(bars.through(bars.first)) == 1


def test_a_date_may_be_written(make_bars: MakeBars) -> None:
    bars, hours = make_bars(), make_hours()
    day = bars.ends[-3].item()
    for cut in (Bars.until, Bars.through, Bars.since):
        assert cut(bars, str(day)).ends.tolist() == cut(bars, day).ends.tolist()
    moment = hours.ends[-30].item()
    assert hours.until(f"{moment:%Y-%m-%d %H:%M}").end == hours.until(moment).end == moment
    assert hours.until(str(hours.first)).end == hours.through(str(hours.first)).end


def test_the_columns_of_a_file_are_not_copied(series: list[Bars]) -> None:
    whole, others = below_each_other(series), below_each_other([series[0], series[2]])

    for name in BAR_COLUMNS:
        assert np.shares_memory(whole[name], series[1].columns[name])
        assert not np.shares_memory(others[name], series[0].columns[name])
        assert not whole[name].flags.writeable
        assert not others[name].flags.writeable


@pytest.mark.parametrize("share", [False, True])
def test_the_tails_of_short_series_begin_with_their_first_bar(
    series: list[Bars], make_bars: MakeBars, share: bool
) -> None:
    series = [*series, series[1].rows(0, 3)] if share else [make_bars(), make_bars("META", sessions=3, seed=1)]
    for length in (2, 5):
        made = tails(series, ("close", "session_date"), length)
        for row, bars in enumerate(series):
            for name, values in made.items():
                column = bars.columns[name]
                filled = column[:1].repeat(max(length - len(bars), 0))
                np.testing.assert_array_equal(values[row], np.append(filled, column[-length:]))
    assert tails([], ("close",), 5)["close"].shape == (0, 5)


def test_bars_take_their_own_rows_alone_to_another_process(series: list[Bars]) -> None:
    bars = series[1].rows(1, 4)
    made = pickle.loads(pickle.dumps(bars))
    assert len(pickle.dumps(bars)) < len(pickle.dumps(series[2])) < 3_000
    assert (made.symbol, made.simulated, made.frequency) == (bars.symbol, bars.simulated, bars.frequency)
    for name in BAR_COLUMNS:
        np.testing.assert_array_equal(made.columns[name], bars.columns[name])


def test_rows_of_rows_are_those_of_a_slice(series: list[Bars]) -> None:
    bars = series[1]
    for start, end in ((0, 99), (2, 1), (99, 99), (1, 4), (-2, 3)):
        made = bars.rows(1, 5).rows(start, end)
        np.testing.assert_array_equal(made.columns["close"], bars.columns["close"][1:5][start:end])
        assert len(made) == len(bars.columns["close"][1:5][start:end])


# ---------------------------------------------------------------- bars of one's own


def one_other(values: Any, value: float) -> Any:
    """The same values, but for the last."""
    return np.append(values[:-1], value)


ODD: dict[str, tuple[str, Callable[[Any], Any], str]] = {
    "a close that is none": ("close", lambda one: one_other(one, np.nan), "the close nan in the bar of 2023-07-21: a"),
    "an infinite open": ("open", lambda one: one_other(one, np.inf), "the open inf in the bar of 2023-07-21: a number"),
    "an adjusted close of 0": (
        "adj_close",
        lambda one: one_other(one, 0),
        "the adj_close 0.0 in the bar of 2023-07-21",
    ),
    "a low below zero": ("low", lambda one: -one, "a number above zero was needed"),
    "a low that is high": ("low", lambda one: one * 2, "no more than open and close was needed"),
    "a high that is low": ("high", lambda one: one / 2, "no less than open and close was needed"),
    "a volume below zero": ("volume", lambda one: -one, "a number from zero on, or NaN, was needed"),
    "a volume without end": ("volume", lambda one: one * np.inf, "has the volume inf in the bar of"),
    "dates in no order": (
        "session_date",
        lambda one: one[::-1],
        "the bar of 2023-07-20 after that of 2023-07-21: bars",
    ),
    "doubled dates": (
        "session_date",
        lambda one: one.repeat(2)[: len(one)],
        "bars in the order of time, each once, were needed",
    ),
    "no date": ("session_date", lambda one: one_other(one, np.datetime64("NaT")), "has a bar without a date"),
    "dates of another type": (
        "session_date",
        lambda one: one.astype("datetime64[ns]"),
        "session_date of MSFT is an array of datetime64[ns]: an array of datetime64[D], one a bar, was needed",
    ),
    "texts": ("close", lambda one: one.astype(str), "close of MSFT is an array of <U32: an array of numbers"),
    "a list": ("close", list, "close of MSFT is a list: an array of numbers, one a bar, was needed"),
    "too few": ("high", lambda one: one[1:], "high of MSFT is an array of shape (4,) beside 5 dates"),
}


@pytest.mark.parametrize("case", ODD)
def test_bars_of_ones_own_that_no_file_would_give_are_refused(make_bars: MakeBars, case: str) -> None:
    name, change, said = ODD[case]
    columns = dict(make_bars(sessions=5).columns)
    with pytest.raises(InvalidBars) as refused:
        check_bars([Bars("MSFT", {**columns, name: change(columns[name])})], NOW)
    assert said in str(refused.value)


@pytest.mark.parametrize("name", ["first", "cutoff", "end", "last_close"])
def test_no_bars_have_no_ends(make_bars: MakeBars, name: str) -> None:
    with pytest.raises(NoRecentBars, match="MSFT has no bars: at least one was needed"):
        getattr(make_bars("MSFT").through("1990-01-01"), name)


def test_bars_without_a_column_or_a_symbol_are_refused(make_bars: MakeBars) -> None:
    bars, hours = make_bars(sessions=5), make_hours(hours=5)
    lacking = {name: values for name, values in bars.columns.items() if name != "volume"}
    with pytest.raises(InvalidBars, match="The table of MSFT has no column volume: session_date, open"):
        check_bars([Bars("MSFT", lacking)], NOW)
    for symbol in ("msft", "M S", 5):
        with pytest.raises(InvalidBars, match=f"Bars are of '{symbol}': a symbol in upper case was needed"):
            check_bars([Bars(symbol, bars.columns)], NOW)  # type: ignore[arg-type]
    with pytest.raises(InvalidBars, match="has the bar of 2022-01-03 03:00 UTC after that of 2022-01-03 04:00 UTC"):
        check_bars([Bars("BTCUSDT", {name: values[::-1] for name, values in hours.columns.items()})], NOW)


def test_bars_of_files_and_whole_numbers_are_in_order(series: list[Bars]) -> None:
    whole = {name: values if values.dtype.kind == "M" else np.full(5, 3) for name, values in series[0].columns.items()}
    check_bars([*series, series[0].rows(0, 0), make_hours(hours=5), Bars("MSFT", whole)], NOW)


def test_a_refused_symbol_is_not_in_a_reading_and_says_why_where_it_is_taken(make_bars: MakeBars) -> None:
    read, reason = make_bars("MSFT"), InvalidBars("META has no bar.")
    reading = Reading({"MSFT": read}, {"META": reason})
    assert [name in reading for name in ("MSFT", "META", "IBM")] == [True, False, False]
    assert [reading.get(name) for name in ("MSFT", "META", "IBM")] == [read, None, None]
    assert reading.get("META", read) is read
    with pytest.raises(InvalidBars, match="META has no bar"):
        reading["META"]
    with pytest.raises(KeyError):
        reading["IBM"]
