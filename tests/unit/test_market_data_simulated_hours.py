"""Simulated hourly bars: any symbol, the same path for every range, no unfinished hour."""

from datetime import UTC, date, datetime

import numpy as np
import pytest

from tickercast import engines
from tickercast.backends.market_data.simulated_hours import EPOCH, SimulatedHours, season
from tickercast.config import Settings
from tickercast.domain.bars import Bars
from tickercast.domain.frequency import HOURLY
from tickercast.domain.hourly.hours import gaps
from tickercast.errors import NoRecentBars, UsageError

NOW = datetime(2020, 3, 1, 12, 30, tzinfo=UTC)


def fetch(symbol: str, first: date, last: date) -> Bars:
    return SimulatedHours(now=lambda: NOW).fetch([symbol], first, last, advance=lambda _: None)[symbol]


def test_every_range_is_a_slice_of_the_same_path() -> None:
    whole = fetch("BTCUSDT", EPOCH, date(2020, 3, 31))
    part = fetch("BTCUSDT", date(2020, 2, 1), date(2020, 2, 10))
    assert len(part) == 240
    start = int(np.searchsorted(whole.columns["closed_at"], part.columns["closed_at"][0]))
    for name, values in part.columns.items():
        np.testing.assert_array_equal(values, whole.columns[name][start : start + 240])
    assert (fetch("ETHUSDT", EPOCH, EPOCH).columns["close"] != whole.columns["close"][:24]).all()


def test_bars_are_marked_hourly_without_gaps_and_finished() -> None:
    bars = fetch("BTCUSDT", EPOCH, date(2030, 1, 1))
    assert bars.simulated
    assert bars.frequency == HOURLY
    assert str(bars.columns["closed_at"][-1]) == "2020-03-01T12"
    assert not list(gaps(bars))


def test_returns_have_the_season() -> None:
    bars = SimulatedHours().fetch(["BTCUSDT"], EPOCH, date(2022, 1, 1), advance=lambda _: None)["BTCUSDT"]
    squared = np.log(bars.columns["close"] / bars.columns["open"]) ** 2
    wild = season(bars.columns["closed_at"]) == 3
    calm = season(bars.columns["closed_at"]) == 0.4
    assert squared[wild].mean() / squared[calm].mean() == pytest.approx(7.5, rel=0.25)


def test_a_range_before_the_path_is_a_sentence_and_symbols_are_not_listed() -> None:
    with pytest.raises(NoRecentBars, match="No hour of BTCUSDT can be simulated between 2019-01-01"):
        fetch("BTCUSDT", date(2019, 1, 1), date(2019, 12, 31))
    source = engines.hourly_data("simulated", Settings())
    assert isinstance(source, SimulatedHours)
    with pytest.raises(UsageError, match="cannot list its symbols"):
        source.symbols()
