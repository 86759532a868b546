"""Hourly bars of a simulated coin, by seed, with a gap, as a table, and as a source."""

from collections.abc import Sequence
from datetime import date

import numpy as np
import pandas as pd

from tickercast.backends.market_data.simulated_hours import walk
from tickercast.domain.bars import Bars, Reading
from tickercast.domain.frequency import HOURLY
from tickercast.domain.hourly.hours import hourly_bars

FIRST = date(2022, 1, 3)  # a Monday


def make_hours(symbol: str = "BTCUSDT", *, hours: int = 900, seed: int = 7, first: date = FIRST) -> Bars:
    """`hours` bars from the first hour of a day on: wild from 13 to 17 UTC, calm at weekends."""
    return hourly_bars(symbol, *walk(seed, hours, first))


def without(bars: Bars, start: int, end: int) -> Bars:
    """The same bars without the rows from `start` to before `end`."""
    kept = np.delete(np.arange(len(bars)), np.arange(start, end))
    return Bars(bars.symbol, {name: values[kept] for name, values in bars.columns.items()})


def table(bars: Bars, column: str = "date") -> pd.DataFrame:
    """The bars as a user's file has them, with the moments at which hours open."""
    opened = pd.to_datetime(bars.columns["closed_at"] - np.timedelta64(1, "h")).tz_localize("UTC")
    return pd.DataFrame(
        {column: opened, **{name: bars.columns[name] for name in ("open", "high", "low", "close", "volume")}}
    )


class Memory:
    """A source that holds some series."""

    name, simulated = "memory", False

    def __init__(self, series: Sequence[Bars]) -> None:
        self._series = {bars.symbol: bars for bars in series}

    def symbols(self) -> list[str]:
        return list(self._series)

    def fetch(self, symbols: Sequence[str], first: date, last: date, *, advance: object) -> Reading:
        return Reading({symbol: self._series[symbol].since(first).through(last) for symbol in symbols})


def assert_same(found: Bars, wanted: Bars) -> None:
    """The same hours with the same values."""
    assert found.frequency == HOURLY
    for name, values in wanted.columns.items():
        if values.dtype == np.float64:
            np.testing.assert_allclose(found.columns[name], values, rtol=1e-12)
        else:
            np.testing.assert_array_equal(found.columns[name], values)
