"""Hourly bars: the grid, its gaps, unfinished hours and the history that is needed."""

from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pytest
from tests.support.hourly import make_hours, without

from tickercast.domain.bars import Bars
from tickercast.domain.files.price_files import read_prices
from tickercast.domain.frequency import HOURLY
from tickercast.domain.hourly import hour_features
from tickercast.domain.hourly.hours import (
    PRICES,
    WANTED,
    cells,
    check_history,
    finished,
    gaps,
    grid,
    hourly_bars,
    next_hours,
    oddities,
    short_history,
)
from tickercast.domain.measures.evaluation import losses, rolling_origins
from tickercast.errors import InvalidBars, TooFewSessions

FLAT = np.ones(168)


def bars_at(moments: list[str], close: float = 1.0) -> Bars:
    closed_at = np.array(moments, "datetime64[m]")
    prices = dict.fromkeys(PRICES, np.full(len(moments), close))
    return hourly_bars("BTCUSDT", closed_at, prices, np.ones(len(moments)))


def test_hourly_bars_know_their_frequency_and_the_day_on_which_they_open() -> None:
    bars = bars_at(["2023-07-22T00:00", "2023-07-22T01:00"])
    assert bars.frequency == HOURLY
    assert bars.rows(0, 1).frequency == HOURLY
    assert [str(day) for day in bars.columns["session_date"]] == ["2023-07-21", "2023-07-22"]


@pytest.mark.parametrize(
    ("moments", "message"),
    [
        (["2023-07-22T00:30"], "ends at 2023-07-22 00:30: hourly bars that end on the hour"),
        (["2023-07-22T01:00", "2023-07-22T01:00"], "one bar an hour, in the order of time"),
        (["2023-07-22T02:00", "2023-07-22T01:00"], "ends at 2023-07-22 01:00 after the one of 2023-07-22 02:00"),
    ],
)
def test_moments_that_are_no_hours_are_a_sentence(moments: list[str], message: str) -> None:
    with pytest.raises(InvalidBars, match=message):
        bars_at(moments)


@pytest.mark.parametrize("price", [0.0, -1.0, np.nan, np.inf])
def test_a_price_that_is_none_is_a_sentence(price: float) -> None:
    with pytest.raises(InvalidBars, match=r"has the open .* in the hour that ends at 2023-07-22 01:00"):
        bars_at(["2023-07-22T01:00"], price)


def test_a_close_outside_of_low_and_high_is_a_sentence() -> None:
    prices = {name: np.array([price]) for name, price in zip(PRICES, (10.0, 12.0, 9.0, 13.0), strict=True)}
    with pytest.raises(
        InvalidBars, match="has open 10, high 12, low 9, close 13 in the hour that ends at 2023-07-22 01"
    ):
        hourly_bars("BTCUSDT", np.array(["2023-07-22T01"], "datetime64[h]"), prices, np.ones(1))


def test_an_unfinished_hour_is_dropped() -> None:
    bars = bars_at(["2023-07-22T13:00", "2023-07-22T14:00", "2023-07-22T15:00"])
    assert len(finished(bars, datetime(2023, 7, 22, 14, 0, tzinfo=UTC))) == 2
    assert len(finished(bars, datetime(2023, 7, 22, 14, 59, 59, tzinfo=UTC))) == 2
    assert len(finished(bars, datetime(2023, 7, 22, 13, 59, 59, tzinfo=UTC))) == 1


def test_the_first_hour_of_a_monday_is_cell_0_and_the_last_of_a_sunday_167() -> None:
    closed_at = np.array(["2023-07-24T01", "2023-07-24T00", "2023-07-25T01"], "datetime64[h]")
    assert cells(closed_at).tolist() == [0, 167, 24]


def test_targets_are_counted_by_time() -> None:
    [targets] = next_hours(np.array(["2023-07-22T14"], "datetime64[h]"))
    assert (str(targets[0]), str(targets[-1]), len(targets)) == ("2023-07-22T15", "2023-07-23T14", 24)
    whole, cut = make_hours(hours=200), without(make_hours(hours=200), 110, 113)
    [origin] = rolling_origins(cut, date(2022, 1, 7), date(2022, 1, 7), every=12, needed=61, horizon=24).positions[:1]
    at = int(np.searchsorted(whole.columns["closed_at"], cut.columns["closed_at"][origin]))
    before = rolling_origins(whole, date(2022, 1, 7), date(2022, 1, 7), every=12, needed=61, horizon=24)
    after = rolling_origins(cut, date(2022, 1, 7), date(2022, 1, 7), every=12, needed=61, horizon=24)
    assert at == before.positions[0] == 107
    missing = np.isnan(after.actual[0])
    assert np.flatnonzero(missing).tolist() == [110 - 107 - 1 + k for k in range(3)]
    np.testing.assert_allclose(after.actual[0][~missing], before.actual[0][~missing])
    table = losses(after, np.zeros((len(after.positions), 24, 13)))
    assert 3 not in table["step"][table["cutoff"] == table["cutoff"].iloc[0]].tolist()
    assert np.isfinite(table["sp"]).all()


@pytest.mark.parametrize(
    ("missing", "check", "touches"), [(1, "filled", False), (6, "filled", False), (7, "gap", True)]
)
def test_up_to_six_hours_are_filled_and_more_are_a_finding(missing: int, check: str, touches: bool) -> None:
    [found] = gaps(without(make_hours(), 500, 500 + missing))
    assert (found.check, found.touches_width) == (check, touches)
    assert f"no bar for {missing} hour" in found.text


def _odd(bars: Bars) -> list[str]:
    end = bars.end
    assert isinstance(end, datetime)
    return [f"{found}{' (doubtful)' if found.touches_width else ''}" for found in oddities(bars, end)]


def _changed(bars: Bars, **columns: np.ndarray) -> Bars:
    return Bars(bars.symbol, {**bars.columns, **columns})


def test_a_move_of_forty_times_the_usual_is_a_jump_and_touches_the_width() -> None:
    bars = make_hours()
    assert _odd(bars) == []
    close = bars.columns["close"]
    assert _odd(_changed(bars, adj_close=np.where(np.arange(len(close)) < 100, 1.5 * close, close))) == []
    [found] = _odd(_changed(bars, adj_close=np.where(np.arange(len(close)) < 800, close, 1.5 * close)))
    assert found.startswith("jump: +5")
    assert " at 2022-02-05 08:00 UTC, " in found
    assert found.endswith(" times the usual (doubtful)")


@pytest.mark.parametrize(("still", "said"), [(6, []), (7, ["halted: no move for 7 hours from {} to {} (doubtful)"])])
def test_seven_hours_without_a_move_are_a_halt(still: int, said: list[str]) -> None:
    bars = make_hours()
    columns = {name: bars.columns[name].copy() for name in PRICES}
    for values in columns.values():
        values[700 : 700 + still] = bars.columns["close"][699]
    first, last = "2022-02-01 04:00 UTC", "2022-02-01 10:00 UTC"
    assert _odd(_changed(bars, **columns)) == [one.format(first, last) for one in said]


def test_hours_without_volume_are_said_of_series_that_have_any() -> None:
    bars = make_hours()
    silent = bars.columns["volume"].copy()
    silent[[700, 701]] = 0
    assert _odd(_changed(bars, volume=silent)) == [
        "no volume: nothing was traded at 2022-02-01 04:00 UTC, 2022-02-01 05:00 UTC (2 in 744 hours)"
    ]
    assert _odd(_changed(bars, volume=np.zeros(len(bars)))) == []


REAL = Path(__file__).parents[4] / "shared" / "data" / "crypto_hourly_2020_2023.parquet"


@pytest.mark.skipif(not REAL.exists(), reason="the real hours are not here")
def test_no_real_move_or_pause_of_hours_is_taken_for_an_error() -> None:
    for bars in read_prices(REAL.read_bytes(), frequency=HOURLY).bars.values():
        for end in range(WANTED, len(bars), WANTED // 2):
            found = oddities(bars.rows(0, end), bars.ends[end - 1].item())
            assert not {"jump", "halted"} & {one.check for one in found}


def test_a_gap_before_the_hours_that_are_read_is_no_finding() -> None:
    assert not list(gaps(without(make_hours(hours=1000), 100, 150)))


def test_a_filled_hour_has_the_last_close_and_moves_no_measure() -> None:
    bars = without(make_hours(), 850, 853)
    made = grid(bars)
    assert made.close[850:853].tolist() == [made.close[849]] * 3
    assert made.high[850:853].tolist() == [made.close[849]] * 3
    panel = hour_features.panel(bars, FLAT)
    assert np.isnan(panel.variance[850:853]).all()
    assert np.isnan(panel.squared[850:853]).all()
    carried = hour_features.ewma(panel.squared, 0.94)
    assert carried[852] == carried[849]


def test_the_first_return_after_a_gap_is_scaled_by_the_season_of_its_hours() -> None:
    season = np.linspace(0.5, 1.5, 168)
    bars = without(make_hours(), 850, 853)
    panel = hour_features.panel(bars, season)
    made = panel.grid
    moved = np.log(made.close[853] / made.close[849])
    assert panel.squared[853] == pytest.approx(moved**2 / season[made.cell[850:854]].sum())
    assert panel.squared[854] == pytest.approx(np.log(made.close[854] / made.close[853]) ** 2 / season[made.cell[854]])


def test_the_history_counts_hours_that_have_a_bar_or_are_filled() -> None:
    assert without(make_hours(hours=170), 50, 56).span == 170
    assert without(make_hours(hours=170), 50, 57).span == 163
    assert without(make_hours(hours=170), 50, 57).spans[[0, 49, 50, -1]].tolist() == [1, 50, 51, 163]
    assert without(make_hours(hours=1200), 3, 1197).span == 6
    with pytest.raises(TooFewSessions, match="has 6 hours of bars: at least 168 were needed"):
        check_history([without(make_hours(hours=1200), 3, 1197)])
    check_history([make_hours(hours=168)])
    with pytest.raises(TooFewSessions, match="has 167 hours of bars: at least 168 were needed"):
        check_history([make_hours(hours=167)])


@pytest.mark.parametrize(("hours", "doubtful"), [(743, False), (336, False), (335, True)])
def test_a_short_history_is_stated(hours: int, doubtful: bool) -> None:
    found = short_history(make_hours(hours=hours))
    assert found is not None
    assert f"{hours} hours of bars, and 744 were wanted" in str(found)
    assert found.touches_width is doubtful
    assert short_history(make_hours(hours=744)) is None


def test_the_range_variance_is_unbiased_for_a_walk() -> None:
    random = np.random.default_rng(0)
    path = np.cumsum(random.normal(0, 0.01 / np.sqrt(2000), (800, 2000)), axis=1)
    within = np.concatenate([np.zeros((800, 1)), path], axis=1)
    ends = (within[:, 0], within.max(axis=1), within.min(axis=1), within[:, -1])
    prices = dict(zip(PRICES, map(np.exp, ends), strict=True))
    closed_at = np.datetime64("2023-01-01T01", "h") + np.arange(800)
    made = grid(hourly_bars("BTCUSDT", closed_at, prices, np.ones(800)))
    assert hour_features.range_variance(made).mean() == pytest.approx(
        0.01**2, rel=0.1
    )  # some 4% less, for 2,000 steps an hour


def test_inputs_know_nothing_of_later_hours() -> None:
    bars = make_hours(hours=1000)
    whole, cut = hour_features.panel(bars, FLAT), hour_features.panel(bars.rows(0, 800), FLAT)
    rows = np.array([780, 799])
    np.testing.assert_array_equal(hour_features.inputs(whole, rows), hour_features.inputs(cut, rows))


def test_inputs_without_volume_are_finite() -> None:
    bars = make_hours()
    unknown = Bars("X", {**bars.columns, "volume": np.full(len(bars), np.nan)})
    inputs = hour_features.inputs(hour_features.panel(unknown, FLAT), np.array([850]))
    assert np.isfinite(inputs).all()
    assert not inputs[0, -5:].any()
