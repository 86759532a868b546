"""Simulated hourly bars of any symbol: volatility that clusters, and a season of the week's hours.

A symbol's path depends only on its name, so every range is a slice of the same path.
"""

import zlib
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime

import numpy as np
from numpy.typing import NDArray

from tickercast.backends.market_data.simulated import Generated
from tickercast.domain.bars import Bars
from tickercast.domain.hourly.hours import PRICES, cells, finished, hourly_bars
from tickercast.errors import NoRecentBars

EPOCH = date(2020, 1, 6)
"""The first day of a path, a Monday."""

SIGMA = 0.005
"""The usual σ of an hour's log-return."""

_STEPS = 30  # steps of the walk within an hour, so that ranges are those of a walk
_PERSISTENCE, _SHOCK = 0.98, 0.06  # the process of log σ, hour by hour
_LEVELS, _WALK, _VOLUMES = range(3)


class SimulatedHours(Generated):
    """Generated hourly bars."""

    def __init__(self, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._now = now

    def generated(self, symbol: str, first: date, last: date) -> Bars:
        """The finished hours of a range, of a path that begins at `EPOCH`."""
        end = min(last, self._now().date())
        count = max(24 * ((end - EPOCH).days + 1), 0)
        closed_at, prices, volume = walk(zlib.crc32(symbol.encode()), count)
        bars = finished(hourly_bars(symbol, closed_at, prices, volume, simulated=True), self._now())
        inside = bars.since(first).through(last)
        if not len(inside):
            raise NoRecentBars(
                f"No hour of {symbol} can be simulated between {first} and {last}: one between {EPOCH} and now was "
                "needed. Name other dates."
            )
        return inside


def season(closed_at: NDArray[np.datetime64]) -> NDArray[np.float64]:
    """The multipliers of an hour's variance: wild from 13 to 17 UTC, calm at weekends; `(n,)`."""
    hour, day = cells(closed_at) % 24, cells(closed_at) // 24
    return np.where((hour >= 13) & (hour < 17), 2.5, 0.8) * np.where(day >= 5, 0.5, 1.2)


def walk(
    seed: int, count: int, first: date = EPOCH
) -> tuple[NDArray[np.datetime64], Mapping[str, NDArray[np.float64]], NDArray[np.float64]]:
    """The first `count` hours of a path: their ends, prices and volumes, `(count,)` each.

    A longer path begins with the same hours.

    Args:
        seed: the seed of the path.
        count: the number of hours.
        first: the day on which the first hour opens.
    """
    closed_at: NDArray[np.datetime64] = np.datetime64(first, "h") + np.arange(1, count + 1)
    level, log_level = np.empty(count), 0.0
    for row, shock in enumerate(_stream(seed, _LEVELS).normal(0, _SHOCK, count).tolist()):
        log_level = _PERSISTENCE * log_level + shock
        level[row] = log_level
    sigma = SIGMA * np.sqrt(season(closed_at)) * np.exp(level)
    steps = _stream(seed, _WALK).normal(0, 1 / np.sqrt(_STEPS), (count, _STEPS)) * sigma[:, None]
    path = np.cumsum(steps, axis=1)
    log_close = np.log(20_000) + np.cumsum(path[:, -1])
    log_open = log_close - path[:, -1]
    within = np.concatenate([np.zeros((count, 1)), path], axis=1) + log_open[:, None]
    ends = (log_open, within.max(axis=1), within.min(axis=1), log_close)
    prices = {name: np.exp(values) for name, values in zip(PRICES, ends, strict=True)}
    return closed_at, prices, _stream(seed, _VOLUMES).lognormal(6, 0.5, count) * season(closed_at)


def _stream(seed: int, number: int) -> np.random.Generator:
    """A stream of its own for each kind of draw, since draws from a common one would depend on the path's length."""
    return np.random.default_rng([seed, number])
