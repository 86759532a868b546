"""The σ of the coming hours: by a regression on past variances, or by two moving averages, both with a season."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tickercast.domain.bars import Bars
from tickercast.domain.forecast import QUANTILES
from tickercast.domain.hourly import hour_features
from tickercast.domain.hourly.hour_features import Floats, Panel, Rows
from tickercast.domain.hourly.hour_tables import HourTables
from tickercast.domain.hourly.hours import HORIZON, WANTED, WEEK, cells, grid, utc
from tickercast.errors import TooFewSessions

YEAR = 365 * 24
"""Hours that the tables are learned from."""

LEAST_FIT = 60 * 24
"""The fewest hours that tables can be learned from."""

DECAYS = (0.94, 0.995)
"""The decay factors of the simple model's two moving averages: a day and a week."""

RIDGE = 100.0
"""The penalty on the weights of standardised inputs. From 10 to 1,000 the loss changes by less than 0.0002."""

ROOTS = np.sqrt(np.arange(1, HORIZON + 1))

_SHRINKAGE = 100  # observations that a cell of the season needs to count as much as its group
_HIGHEST = 0.999  # quantile at which the season's observations are clipped
_BOUND = 4.0  # bound of a standardised input, so that a coin unlike those learned from is not extrapolated to
_TINY = 1e-14
_MEDIAN = QUANTILES.index(0.5)


@dataclass(frozen=True)
class Volatility:
    """The tables as arrays, and the σ that they give.

    Attributes:
        tables: the tables that were learned.
    """

    tables: HourTables

    @cached_property
    def season(self) -> Floats:
        """`(168,)`, the multipliers of an hour's variance."""
        return np.array(self.tables.season)

    @cached_property
    def har_quantiles(self) -> Floats:
        """`(HORIZON, quantiles)`, of returns over `har_sigma`."""
        return np.array(self.tables.har)

    @cached_property
    def simple_quantiles(self) -> Floats:
        """`(HORIZON, quantiles)`, of returns over `simple_sigma`."""
        return np.array(self.tables.simple)

    def panel(self, bars: Bars) -> Panel:
        """The measures of a series, free of this season."""
        return hour_features.panel(bars, self.season)

    def har_sigma(self, panel: Panel, rows: Rows) -> Floats:
        """σ of the return over each number of steps, by the regression: `(rows, HORIZON)`."""
        inputs = hour_features.inputs(panel, rows)
        scaled = ((inputs - np.array(self.tables.centre)) * np.array(self.tables.scale)).clip(-_BOUND, _BOUND)
        weights = np.array(self.tables.weights)
        sigma: Floats = np.sqrt(np.exp(_log_level(inputs, scaled, weights)) * panel.ahead(rows))
        return sigma


def _log_level(inputs: Floats, scaled: Floats, weights: Floats) -> Floats:
    """The regression's answer, `(rows, HORIZON)`, summed input by input.

    A product of matrices rounds by the number of rows, so that a forecast would depend on those made beside it.
    """
    total = weights[:, 0] + inputs[:, [_LEVEL]]
    for number in range(scaled.shape[1]):
        total = total + scaled[:, [number]] * weights[:, number + 1]
    return total


_LEVEL = hour_features.INPUTS.index(hour_features.LEVEL)


def simple_sigma(panel: Panel, rows: Rows) -> Floats:
    """σ of the return over each number of steps: two moving averages of squared returns, halved, times the season."""
    level = np.mean([hour_features.ewma(panel.squared, decay)[rows] for decay in DECAYS], axis=0)
    sigma: Floats = np.sqrt((level + _TINY)[:, None] * panel.ahead(rows))
    return sigma


# ---------------------------------------------------------------- learning


def fit(series: Sequence[Bars], through: np.datetime64, *, hours: int = YEAR) -> HourTables:
    """Learn the tables from the hours that end by `through`, all series together.

    Args:
        series: hourly bars; what ends after `through` is not used.
        through: the end of the last hour that may be used.
        hours: the number of hours to learn from, counted back from `through`.

    Raises:
        TooFewSessions: these hours hold fewer than `LEAST_FIT` origins, each with its history and its targets.
    """
    first = through - np.timedelta64(hours, "h")
    known = [bars for bars in (_through(bars, through) for bars in series) if len(bars) >= WANTED + LEAST_FIT]
    season = fit_season(known, first)
    panels = [hour_features.panel(bars, season) for bars in known]
    origins = [_origins(panel, first) for panel in panels]
    count = sum(map(len, origins))
    if count < LEAST_FIT:
        symbols, newest = ", ".join(bars.symbol for bars in series)[:80], max(bars.ends[-1] for bars in series)
        raise TooFewSessions(
            f"Tables can be learned from {count:,} of the hours after {utc(first)} up to {utc(through)} UTC, and the "
            f"newest bar of {symbols} ends at {utc(newest)}: at least {LEAST_FIT:,} hours that move, with {WANTED} "
            f"before and {HORIZON} after them, were needed. Give bars that begin earlier or end later, or name "
            "another date."
        )
    inputs, log_level, ahead, moves, sigma60, simple = (
        np.concatenate(parts)
        for parts in zip(*(_examples(panel, rows) for panel, rows in zip(panels, origins, strict=True)), strict=True)
    )
    centre, scale = inputs.mean(axis=0), 1 / np.maximum(inputs.std(axis=0), 1e-6)
    scaled = ((inputs - centre) * scale).clip(-_BOUND, _BOUND)
    weights = _ridge(scaled, log_level - inputs[:, [_LEVEL]])
    fitted = np.exp(_log_level(inputs, scaled, weights))
    unit = sigma60[:, None] * ROOTS
    return HourTables(
        season=_row(season),
        centre=_row(centre),
        scale=_row(scale),
        weights=tuple(map(_row, weights)),
        har=_quantiles(moves, np.sqrt(fitted * ahead), unit),
        simple=_quantiles(moves, simple, unit),
    )


def fit_season(series: Sequence[Bars], first: np.datetime64) -> Floats:
    """The multipliers of an hour's variance, 1 on average: `(168,)`.

    Each hour's range variance is taken relative to the week around it. A cell of the week is shrunk to its hour's mean
    over weekdays, Saturdays or Sundays.
    """
    total, count = np.zeros(WEEK), np.zeros(WEEK)
    for bars in series:
        cell, ratio = _relative_variance(bars, first)
        np.add.at(total, cell, ratio)
        np.add.at(count, cell, 1)
    cell = np.arange(WEEK)
    day = cell // 24
    group = cell % 24 * 3 + np.where(day < 5, 0, day - 4)
    group_mean = (np.bincount(group, total) / np.maximum(np.bincount(group, count), 1))[group]
    season = (total + _SHRINKAGE * group_mean) / (count + _SHRINKAGE)
    # An hour in which nothing was ever traded is not without risk, and a series that never moves has no season.
    season = np.maximum(season, max(1e-3 * season.mean(), _TINY))
    found: Floats = season / season.mean()
    return found


def _relative_variance(bars: Bars, first: np.datetime64) -> tuple[NDArray[np.intp], Floats]:
    hours = grid(bars)
    half = WEEK // 2
    variance = np.where(hours.observed, hour_features.range_variance(hours), np.nan)
    centred = np.roll(hour_features.mean(variance, WEEK), -half)  # the last half week has none
    inside = np.zeros(len(variance), bool)
    inside[half : len(variance) - half] = True
    used = inside & hours.observed & (hours.closed_at > first) & (centred > 0)
    ratio = variance[used] / centred[used]
    highest = np.quantile(ratio, _HIGHEST) if len(ratio) else 1.0
    return hours.cell[used], np.minimum(ratio, highest)


def _through(bars: Bars, through: np.datetime64) -> Bars:
    return bars.rows(0, int(np.searchsorted(bars.columns["closed_at"], through, "right")))


def _origins(panel: Panel, first: np.datetime64) -> Rows:
    rows = panel.grid.rows
    far = (rows >= WANTED - 1) & (rows + HORIZON < len(panel.log_close)) & (panel.grid.closed_at[rows] > first)
    moved = (panel.sigma60[rows] > 0) & (panel.squared[rows] >= 0)
    return rows[far & moved]


def _examples(panel: Panel, rows: Rows) -> tuple[Floats, ...]:
    """Inputs, log of the realised level, season ahead, returns, σ60 and the simple model's σ of some origins."""
    ahead = panel.ahead(rows)
    at = rows[:, None] + np.arange(1, HORIZON + 1)
    variance = np.where(np.isfinite(panel.variance), panel.variance, 0) * panel.season[cells(panel.grid.closed_at)]
    realised = np.cumsum(variance[at], axis=1)
    log_level = np.log(realised + _TINY) - np.log(ahead)
    return (
        hour_features.inputs(panel, rows),
        log_level,
        ahead,
        panel.moves(rows),
        panel.sigma60[rows],
        simple_sigma(panel, rows),
    )


def _ridge(inputs: Floats, targets: Floats) -> Floats:
    """The intercept and weights of a ridge regression for each target: `(targets, 1 + inputs)`."""
    known = np.column_stack([np.ones(len(inputs)), inputs])
    penalty = RIDGE * np.eye(known.shape[1])
    penalty[0, 0] = 0
    weights = np.linalg.solve(known.T @ known + penalty, known.T @ targets).T
    return np.asarray(weights, np.float64)


def _quantiles(moves: Floats, sigma: Floats, unit: Floats) -> tuple[tuple[float, ...], ...]:
    """The quantiles of returns over σ by step, each return weighted as its σ weighs in the scaled loss; the median 0.

    A median learned from a year of rising or falling prices costs more than it gains.
    """
    table = np.empty((HORIZON, len(QUANTILES)))
    for step in range(HORIZON):
        known = np.isfinite(moves[:, step])
        z, weight = moves[known, step] / sigma[known, step], sigma[known, step] / unit[known, step]
        order = np.argsort(z, kind="stable")
        share = np.cumsum(weight[order]) - weight[order] / 2
        table[step] = np.interp(QUANTILES, share / weight.sum(), z[order])
    table[:, :_MEDIAN] = np.minimum(table[:, :_MEDIAN], -1e-6)
    table[:, _MEDIAN] = 0
    table[:, _MEDIAN + 1 :] = np.maximum(table[:, _MEDIAN + 1 :], 1e-6)
    return tuple(map(_row, table))


def _row(values: Floats) -> tuple[float, ...]:
    return tuple(float(f"{value:.7g}") for value in values)
