"""Files of hourly bars: read by the rules of daily ones, hour by hour."""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.support.hourly import assert_same, make_hours, table, without

from tickercast.domain.bars import Bars, Reading
from tickercast.domain.files.hour_files import hours_csv, hours_parquet, in_order
from tickercast.domain.files.price_files import Window, read_prices
from tickercast.domain.frequency import HOURLY
from tickercast.errors import InvalidBars, NoRecentBars

BARS = make_hours(hours=240)
TITLES = "date,open,high,low,close,volume\n"


def read(rows: pd.DataFrame | str, *, now: datetime | None = None) -> Reading:
    text = rows if isinstance(rows, str) else rows.to_csv(index=False)
    return read_prices(text.encode(), symbol="BTCUSDT", window=Window(now=now), frequency=HOURLY)


def refused(rows: pd.DataFrame | str) -> str:
    with pytest.raises(InvalidBars) as error:
        read(rows)["BTCUSDT"]
    return str(error.value)


def candles(every: str) -> pd.DataFrame:
    rows = table(BARS).set_index("date").resample(every)
    kept = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}
    return rows.agg(kept).ffill().reset_index()


def changed(row: int, factor: float) -> pd.DataFrame:
    rows = table(BARS)
    rows.loc[row, ["open", "high", "low", "close"]] *= factor
    return rows


@pytest.mark.parametrize("write", [hours_csv, hours_parquet])
def test_what_is_written_is_read_again(write: Callable[[Sequence[Bars]], bytes]) -> None:
    found = read_prices(write([BARS, make_hours("ETHUSDT", seed=1)]), frequency=HOURLY)
    assert_same(found["BTCUSDT"], BARS)
    assert list(found) == ["BTCUSDT", "ETHUSDT"]


@pytest.mark.parametrize(
    ("every", "apart"),
    [
        ("5min", "5 minute(s)"),
        ("30min", "30 minute(s)"),
        ("2h", "2 hours"),
        ("4h", "4 hours"),
        ("12h", "12 hours"),
        ("24h", "a day"),
    ],
)
def test_candles_of_another_length_are_no_hours(every: str, apart: str) -> None:
    assert refused(candles(every)).startswith(f"BTCUSDT has bars {apart} apart: hourly bars were needed. Export")


def test_candles_of_another_length_before_the_hours_that_are_used_are_no_hours() -> None:
    rows = pd.concat([candles("4h").assign(date=lambda rows: rows["date"] - pd.Timedelta("40D")), table(BARS)[-30:]])
    window = Window(datetime(2022, 1, 12), datetime(2022, 1, 13))
    found = read_prices(rows.to_csv(index=False).encode(), symbol="BTCUSDT", window=window, frequency=HOURLY)
    assert "4 hours apart" in str(found.failures["BTCUSDT"])


def test_an_hour_that_is_there_twice_with_other_prices_is_refused() -> None:
    twice = pd.concat([table(BARS), changed(239, 1.05)[239:], changed(100, 1.01)[100:101]])
    said = refused(twice)
    assert said.startswith("BTCUSDT has 2 duplicate hour(s) with different prices, first 2022-01-07 04:00 UTC: one bar")
    assert "write the moments in UTC" in said


def test_the_hour_that_clocks_repeat_in_autumn_is_refused() -> None:
    bars = make_hours(hours=240, first=date(2022, 11, 1))
    rows = table(bars)
    rows["date"] = rows["date"].dt.tz_convert("America/New_York").dt.tz_localize(None)
    assert "1 duplicate hour(s) with different prices, first 2022-11-06 01:00 UTC" in refused(rows)


def test_exact_repeats_are_left_out_and_said() -> None:
    found = read(pd.concat([table(BARS), table(BARS)[50:52]]))
    assert_same(found["BTCUSDT"], BARS)
    assert [str(one) for one in found.findings["BTCUSDT"]] == [
        "left out: 2 exact repeat(s) (2022-01-05 02:00 UTC, 2022-01-05 03:00 UTC)"
    ]


def test_of_an_hour_in_several_files_the_last_one_counts() -> None:
    corrected = read(changed(200, 1.01)[200:])["BTCUSDT"]
    found = in_order([BARS.rows(0, 210), BARS.rows(190, 240), corrected])["BTCUSDT"]
    np.testing.assert_allclose(found.columns["close"][:200], BARS.columns["close"][:200])
    np.testing.assert_allclose(found.columns["close"][200:], corrected.columns["close"])
    assert_same(in_order([BARS.rows(100, 240), BARS.rows(0, 110)])["BTCUSDT"], BARS)


def test_a_price_that_the_hours_of_other_files_exclude_is_refused() -> None:
    wrong = read(changed(239, 100.0)[239:])["BTCUSDT"]
    with pytest.raises(InvalidBars, match="is 100 times the closes before it"):
        in_order([BARS.rows(0, 239), wrong])["BTCUSDT"]


def test_two_spellings_of_a_symbol_are_one() -> None:
    rows = table(BARS).assign(symbol=["BTCUSDT"] * 120 + ["btcusdt"] * 120)
    assert_same(read(rows)["BTCUSDT"], BARS)
    pair = table(BARS).assign(symbol="btc/usdt").to_csv(index=False).encode()
    assert list(read_prices(pair, frequency=HOURLY)) == ["BTC-USDT"]


@pytest.mark.parametrize("form", ["%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M", "%d-%b-%Y %H:%M:%S", "%d.%m.%Y %H:%M"])
def test_day_and_month_are_told_apart_by_the_days_above_twelve(form: str) -> None:
    bars = make_hours(hours=24 * 20)
    assert_same(read(table(bars).assign(date=lambda rows: rows["date"].dt.strftime(form)))["BTCUSDT"], bars)


def test_day_and_month_that_cannot_be_told_apart_are_refused() -> None:
    rows = table(BARS.rows(0, 200)).assign(date=lambda rows: rows["date"].dt.strftime("%d/%m/%Y %H:%M"))
    assert "date '03/01/2022 00:00' may be day/month or month/day" in refused(rows)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"{TITLES}yesterday,1,1,1,1,1\n", "date 'yesterday' is not a date (1 such row(s)): YYYY-MM-DD HH:MM was"),
        (f"{TITLES}2022-01-03 00:00,1,x,1,1,1\n", "high 'x' of 2022-01-03 00:00 UTC is not a price"),
        (f"{TITLES}2022-01-03 00:30,1,1,1,1,1\n", "the first at 2022-01-03 00:30:00 UTC: hourly bars that end on the"),
        ("a note\nanother,one\n1,2\n", "The file has no column Date, Open"),
        ("date,open\n2022-01-03 00:00,1\n", "The file has no column High, Low, Close"),
        (f"{TITLES}2022-01-03 00:00,1,1,1,1,1,2,3,4\n2022-01-03 01:00,1,1\n", "rows as long as the header were needed"),
        ("1.5,1,1,1,1,1\n", "The file has no header: it begins with"),
        (f"{TITLES}9999999999999999999,1,1,1,1,1\n", "is no session (1 such row(s)): a year from 1900 to 2100"),
    ],
)
def test_what_is_no_file_of_hours_is_said_in_our_own_words(text: str, words: str) -> None:
    assert words in refused(text)


@pytest.mark.parametrize("row", [100, 238, 239])
@pytest.mark.parametrize(("factor", "times"), [(100.0, "100"), (0.01, "1/100")])
def test_one_hour_in_another_unit_is_refused(row: int, factor: float, times: str) -> None:
    assert f"is {times} times the closes before it" in refused(changed(row, factor))


def test_a_close_five_times_those_around_it_is_left_out_and_refused_at_the_end() -> None:
    found = read(changed(100, 6.5))
    assert len(found["BTCUSDT"]) == 239
    assert [str(one) for one in found.findings["BTCUSDT"]] == [
        "left out: 1 zero or impossible bar(s) (2022-01-07 04:00 UTC)"
    ]
    assert "times the closes around it" in refused(changed(239, 6.5))


@pytest.mark.parametrize(
    ("column", "value", "words"), [("volume", -5.0, "is not a volume"), ("low", 0.0, "is not a price")]
)
def test_values_that_cannot_be_are_refused(column: str, value: float, words: str) -> None:
    said = refused(table(BARS).assign(**{column: value}))
    assert f"{column} '{value}' of 2022-01-12 19:00 UTC {words}" in said


def test_a_crash_of_a_third_in_an_hour_is_a_move() -> None:
    rows = table(BARS)
    prices = ["open", "high", "low", "close"]
    before = rows.loc[199, "close"]
    rows.loc[200:, prices] *= 0.66
    rows.loc[200, ["open", "high"]] = before
    assert len(read(rows)["BTCUSDT"]) == 240


def test_rows_without_prices_are_left_out_and_said() -> None:
    rows = table(BARS)
    rows.loc[30, "close"] = np.nan
    found = read(rows)
    assert_same(found["BTCUSDT"], without(BARS, 30, 31))
    assert "1 row(s) without prices (2022-01-04 06:00 UTC)" in str(found.findings["BTCUSDT"][0])


@pytest.mark.parametrize(
    "write",
    [
        lambda rows: rows.to_csv(index=False, sep=";"),
        lambda rows: "https://www.example.org\n" + rows.to_csv(index=False),
        lambda rows: rows.assign(close=rows["close"].map("{:,.6f}".format)).to_csv(index=False),
        lambda rows: rows.assign(date=[f"{moment.timestamp():.1f}" for moment in rows["date"]]).to_csv(index=False),
        lambda rows: rows.assign(date=rows["date"].dt.tz_convert("Asia/Tokyo")).to_csv(index=False),
        lambda rows: rows.assign(
            time=rows["date"].dt.strftime("%H:%M"), date=rows["date"].dt.strftime("%Y.%m.%d")
        ).to_csv(index=False, sep="\t"),
    ],
    ids=["semicolons", "a line before", "thousands", "seconds", "a zone", "date and time"],
)
def test_a_file_is_read_whatever_its_spelling(write: Callable[[pd.DataFrame], str]) -> None:
    found = read(write(table(BARS)))["BTCUSDT"]
    np.testing.assert_array_equal(found.ends, BARS.ends)
    np.testing.assert_allclose(found.columns["close"], BARS.columns["close"], rtol=1e-6)


def test_hours_that_have_not_ended_are_left_out_and_days_far_ahead_refused() -> None:
    now = datetime(2022, 1, 12, 23, 30, tzinfo=UTC)
    found = read(table(BARS), now=now)
    assert str(found["BTCUSDT"].end) == "2022-01-12 23:00:00"
    assert [str(one) for one in found.findings["BTCUSDT"]] == [
        "left out: 1 hour(s) that had not ended (2022-01-12 23:00 UTC)"
    ]
    with pytest.raises(NoRecentBars, match=r"no hour that has ended: its first bar opens at 2022-01-12 23:00 UTC\."):
        read(table(BARS)[-1:], now=now)["BTCUSDT"]
    early = datetime(2022, 1, 4, tzinfo=UTC)
    with pytest.raises(InvalidBars, match=r"192 bar\(s\) of days that have not been, the first of 2022-01-05: bars"):
        read(table(BARS), now=early)["BTCUSDT"]


def test_an_adjusted_close_counts_for_nothing() -> None:
    rows = table(BARS).assign(**{"Adj Close": 1.0})
    assert_same(read(rows)["BTCUSDT"], BARS)


REAL = Path(__file__).parents[4] / "shared" / "data" / "crypto_hourly_2020_2023.parquet"


@pytest.mark.skipif(not REAL.exists(), reason="the real hours are not here")
def test_no_real_hour_is_refused_or_left_out() -> None:
    found = read_prices(REAL.read_bytes(), window=Window(datetime(2020, 1, 1), datetime(2023, 9, 1)), frequency=HOURLY)
    assert (sum(map(len, found.bars.values())), found.failures, found.findings) == (51_608, {}, {})
