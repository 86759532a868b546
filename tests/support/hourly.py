"""Hourly bars of a simulated coin, by seed, and bars with a gap."""

from datetime import date

import numpy as np

from tickercast.backends.market_data.simulated_hours import walk
from tickercast.domain.bars import Bars
from tickercast.domain.hours import hourly_bars

FIRST = date(2022, 1, 3)  # a Monday


def make_hours(symbol: str = "BTCUSDT", *, hours: int = 900, seed: int = 7, first: date = FIRST) -> Bars:
    """`hours` bars from the first hour of a day on: wild from 13 to 17 UTC, calm at weekends."""
    return hourly_bars(symbol, *walk(seed, hours, first))


def without(bars: Bars, start: int, end: int) -> Bars:
    """The same bars without the rows from `start` to before `end`."""
    kept = np.delete(np.arange(len(bars)), np.arange(start, end))
    return Bars(bars.symbol, {name: values[kept] for name, values in bars.columns.items()})
