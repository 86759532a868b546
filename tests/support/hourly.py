"""Hourly bars with a season and clustered volatility, drawn from a seed."""

from datetime import date

import numpy as np

from tickercast.domain.bars import Bars
from tickercast.domain.hours import PRICES, cells, hourly_bars

FIRST = date(2022, 1, 3)  # a Monday


def make_hours(symbol: str = "BTCUSDT", *, hours: int = 900, seed: int = 7, first: date = FIRST) -> Bars:
    """`hours` bars from the first hour of a day on: wild from 13 to 17 UTC, calm at weekends."""
    random = np.random.default_rng(seed)
    closed_at = np.datetime64(first, "h") + np.arange(1, hours + 1)
    hour, day = cells(closed_at) % 24, cells(closed_at) // 24
    season = np.where((hour >= 13) & (hour < 17), 2.5, 0.8) * np.where(day >= 5, 0.5, 1.2)
    level, log_level = np.empty(hours), 0.0
    for row, shock in enumerate(random.normal(0, 0.08, hours)):
        log_level = 0.98 * log_level + shock
        level[row] = np.exp(log_level)
    # The path within an hour: 30 steps, so that ranges are those of a walk.
    steps = random.normal(0, 1, (hours, 30)) * (0.005 * np.sqrt(season) * level)[:, None] / np.sqrt(30)
    path = np.cumsum(steps, axis=1)
    log_close = np.log(20_000) + np.cumsum(path[:, -1])
    log_open = log_close - path[:, -1]
    within = np.concatenate([np.zeros((hours, 1)), path], axis=1) + log_open[:, None]
    prices = dict(zip(PRICES, map(np.exp, (log_open, within.max(axis=1), within.min(axis=1), log_close)), strict=True))
    return hourly_bars(symbol, closed_at, prices, random.lognormal(6, 0.5, hours) * season)


def without(bars: Bars, start: int, end: int) -> Bars:
    """The same bars without the rows from `start` to before `end`."""
    kept = np.delete(np.arange(len(bars)), np.arange(start, end))
    return Bars(bars.symbol, {name: values[kept] for name, values in bars.columns.items()})
