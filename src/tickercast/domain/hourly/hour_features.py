"""The inputs of the hourly models: variances free of the season, in the series' own units.

The variance of an hour has a season of 168 hours: New York's mornings are wild, Sunday nights calm. Every measure here
is divided by it first. A missing hour has no measure: means skip it, and an EWMA carries its last value over it. The
first return after a gap spans several hours, so it is divided by the season of all of them.

Every value is a function of the bars up to its hour alone.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tickercast.domain.bars import Bars
from tickercast.domain.hourly.hours import HORIZON, WEEK, Grid, cells, grid, next_hours

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]

SIGMA_WINDOW = 60
"""Hours whose returns scale the losses, as sixty sessions do for daily bars."""

SPANS = (1, 3, 6, 24, 72, 168, 720)
"""Hours over which the range variance is averaged (the heterogeneous horizons of Corsi, Journal of Financial
Econometrics 2009)."""

INPUTS = (
    *(f"range_variance_{span}" for span in SPANS),
    "squared_return_6",
    "squared_return_24",
    "squared_return_168",
    "move_1",
    "abs_move_1",
    "move_24",
    "abs_move_24",
    "volume_1",
    "volume_3",
    "volume_6",
    "volume_24",
    "volume_168",
)
"""The inputs of the regression, in their order."""

LEVEL = "range_variance_720"
"""The one input that is not in the series' own units: the month's variance, which the others are relative to."""

_FLOOR = 1e-14  # the least variance of an hour: a σ of 1e-7
_VOLUME_SPANS = (1, 3, 6, 24, 168)
_MONTH = 720


@dataclass(frozen=True)
class Panel:
    """The measures of one series on its grid of hours, divided by the season.

    Attributes:
        grid: the hours.
        log_close: `(n,)`.
        variance: `(n,)`, the range variance of each hour over the season; NaN where there is no bar.
        squared: `(n,)`, the squared log-return since the bar before, over the season of the hours between; NaN where
            there is no bar, and at the first.
        sigma60: `(n,)`, root mean square of the last sixty hours' log-returns.
        season: `(168,)`, the multipliers of an hour's variance, 1 on average.
    """

    grid: Grid
    log_close: Floats
    variance: Floats
    squared: Floats
    sigma60: Floats
    season: Floats

    def ahead(self, rows: Rows, horizon: int = HORIZON) -> Floats:
        """The season from each row's hour to each step, summed over the hours: `(rows, horizon)`."""
        at = cells(next_hours(self.grid.closed_at[rows], horizon))
        return np.cumsum(self.season[at], axis=1)

    def moves(self, rows: Rows, horizon: int = HORIZON) -> Floats:
        """The log-returns that followed: `(rows, horizon)`; NaN where the hour has no bar, or is not there yet."""
        ahead = rows[:, None] + np.arange(1, horizon + 1)
        inside = np.minimum(ahead, len(self.log_close) - 1)
        known = (ahead < len(self.log_close)) & self.grid.observed[inside]
        return np.where(known, self.log_close[inside] - self.log_close[rows, None], np.nan)


def panel(bars: Bars, season: Floats) -> Panel:
    """Compute the measures of a series."""
    hours = grid(bars)
    log_close = np.log(hours.close)
    total = np.concatenate([[0.0], np.cumsum(season[hours.cell])])
    now = np.arange(len(log_close))
    between = total[now + 1] - total[np.maximum(now + 1 - hours.since, 0)]
    returns = np.diff(log_close, prepend=log_close[0])
    squared = np.where(hours.observed, returns**2 / between, np.nan)
    squared[0] = np.nan
    variance = np.where(hours.observed, range_variance(hours) / season[hours.cell], np.nan)
    plain = np.where(hours.observed, returns**2 / hours.since, np.nan)
    plain[0] = np.nan
    return Panel(hours, log_close, variance, squared, np.sqrt(mean(plain, SIGMA_WINDOW)), season)


def range_variance(hours: Grid) -> Floats:
    """The variance of each hour from its range: `(n,)`, of log-returns.

    Half Parkinson's estimate (Journal of Business 1980) more than Garman and Klass's (the same journal and year) where
    the latter is not below a tenth of the former, scaled so that it is unbiased for a driftless Brownian motion.
    """
    parkinson = np.log(hours.high / hours.low) ** 2 / (4 * np.log(2))
    garman_klass = 2 * np.log(2) * parkinson - (2 * np.log(2) - 1) * np.log(hours.close / hours.open) ** 2
    variance: Floats = (np.maximum(garman_klass, 0.1 * parkinson) + 0.5 * parkinson) / 1.5
    return variance


def inputs(made: Panel, rows: Rows) -> Floats:
    """The inputs of the regression at some rows: `(rows, len(INPUTS))`.

    All are relative to the variance of the last 720 hours, so that a calm coin and a wild one are alike.
    """
    month = _log(mean(made.variance, _MONTH))
    sigma = np.sqrt(np.maximum(mean(made.variance, WEEK), _FLOOR))
    moved = {span: (made.log_close - lagged(made.log_close, span)) / (sigma * np.sqrt(span)) for span in (1, 24)}
    volume = np.where(made.grid.observed, made.grid.volume, np.nan)
    usual = np.log1p(mean(volume, _MONTH))
    columns = [
        *(_log(mean(made.variance, span)) - month for span in SPANS[:-1]),
        month,
        *(_log(mean(made.squared, span)) - month for span in (6, 24, 168)),
        *(side(moved[span].clip(-8, 8)) for span in (1, 24) for side in (np.asarray, np.abs)),
        *(np.log1p(mean(volume, span)) - usual for span in _VOLUME_SPANS),
    ]
    return np.stack([column[rows] for column in columns], axis=1)


def mean(values: Floats, span: int) -> Floats:
    """The mean of the last `span` hours that have a value: `(n,)`; 0 where none has."""
    known = np.isfinite(values)
    sums, counts = (rolling(part, span) for part in (np.where(known, values, 0.0), known.astype(np.float64)))
    return np.maximum(sums, 0) / np.maximum(counts, 1)


def ewma(values: Floats, decay: float) -> Floats:
    """The exponentially weighted mean of the values so far, carried over missing ones: `(n,)`.

    The weights of a short past are scaled to 1, so that no first value has to be guessed.
    """
    known = np.isfinite(values)
    total, weight = np.zeros(len(values)), np.zeros(len(values))
    level = mass = 0.0
    for row, (there, value) in enumerate(zip(known.tolist(), values.tolist(), strict=True)):
        if there:
            level, mass = decay * level + (1 - decay) * value, decay * mass + (1 - decay)
        total[row], weight[row] = level, mass
    found: Floats = total / np.where(weight > 0, weight, 1)
    return found


def rolling(values: Floats, span: int) -> Floats:
    """The sum of the last `span` values, of fewer at the beginning: `(n,)`."""
    total = np.concatenate([[0.0], np.cumsum(values)])
    now = np.arange(1, len(values) + 1)
    found: Floats = total[now] - total[np.maximum(now - span, 0)]
    return found


def lagged(values: Floats, span: int) -> Floats:
    """The values `span` hours before, the first one where there is none: `(n,)`."""
    return values[np.maximum(np.arange(len(values)) - span, 0)]


def _log(variance: Floats) -> Floats:
    found: Floats = np.log(np.maximum(variance, 0) + _FLOOR)
    return found
