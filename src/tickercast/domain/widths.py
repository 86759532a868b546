"""The width of the intervals of a symbol and of its asset class, learned from the forecasts that have come due.

A forecast that has come due says by how much its 80% interval would have had to be stretched to end at the close. Four
in five of these factors lie below the one that would have held 80%. A class takes it from the last year of all its
symbols, halfway; a symbol from its own last two years, the nearer the more of them there are.

>>> Widths(date(2023, 7, 21), {"fx": 0.9}, {"EURUSD=X": 0.85}).factors(["EURUSD=X", "JPY=X", "MSFT"]).tolist()
[0.85, 0.9, 1.0]
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

import numpy as np
from numpy.typing import NDArray

from tickercast.domain.asset_classes import asset_class
from tickercast.domain.bars import Bars
from tickercast.domain.forecast import QUANTILES, RollingPredictor

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]

OWN_SESSIONS, CLASS_SESSIONS = 500, 250
"""Sessions whose forecasts count for a symbol and for its class."""

EVERY = 5
"""Take the forecasts of every fifth session: neighbours share most of their steps."""

_LEVEL = 0.8
_LOW, _MEDIAN, _HIGH = (QUANTILES.index(level) for level in (0.1, 0.5, 0.9))
_CLASS_SHARE = 0.5
_OWN_SHARE = 0.6
_DOUBTFUL = 60  # sessions of its own at which a symbol's factor counts for half of what it may
_LEAST = 20  # forecasts of a class
_BOUNDS = 0.5, 2.0
_YEAR = np.timedelta64(365, "D")


@dataclass(frozen=True)
class Widths:
    """The factors around the median that were learned up to a date; whatever is not named has none.

    Attributes:
        through: the date of the last close they were learned from; None where nothing was learned.
        classes: by asset class.
        symbols: by symbol; they include that of the class.
    """

    through: date | None = None
    classes: Mapping[str, float] = field(default_factory=dict)
    symbols: Mapping[str, float] = field(default_factory=dict)

    def factors(self, symbols: Sequence[str]) -> Floats:
        """The factor of each symbol: `(n,)`."""
        if not self.classes and not self.symbols:
            return np.ones(len(symbols))
        return np.array([self.symbols.get(one) or self.classes.get(asset_class(one), 1.0) for one in symbols])


@dataclass(frozen=True)
class Due:
    """The forecasts of one symbol that have come due.

    Attributes:
        rows: `(n,)`, the rows of the bars that they were made at, in order.
        known_on: `(n,)`, datetime64[D], the session of their last step.
        stretch: `(n, horizon)`, what would have brought the end of each 80% interval to the close.
    """

    rows: Rows
    known_on: NDArray[np.datetime64]
    stretch: Floats


def forecasts_due(model: RollingPredictor, bars: Bars, first: int, last: int) -> Due:
    """Forecast again from every fifth session of a series, and compare with the closes that followed.

    Args:
        model: it forecasts with no factor of its own.
        bars: the series.
        first: the first row that may be an origin.
        last: the last row that may be known.
    """
    first = max(first, model.min_sessions - 1)
    rows = np.arange(-(-first // EVERY) * EVERY, last - model.horizon + 1, EVERY)
    log_close, dates = np.log(bars.columns["adj_close"]), bars.columns["session_date"]
    if not len(rows):
        return Due(rows, np.empty(0, "datetime64[D]"), np.empty((0, model.horizon)))
    quantiles = model.predict_at(bars, rows)
    moved = log_close[rows[:, None] + np.arange(1, model.horizon + 1)] - log_close[rows, None] - quantiles[..., _MEDIAN]
    below, above = (np.abs(quantiles[..., end] - quantiles[..., _MEDIAN]) for end in (_LOW, _HIGH))
    reach = np.maximum(np.where(moved > 0, above, below), 1e-12)
    return Due(rows, dates[rows + model.horizon].astype("datetime64[D]"), np.abs(moved) / reach)


def class_factor(due: Sequence[Due], day: np.datetime64) -> float:
    """The factor of a class on a day, from what its forecasts of the year before have come to."""
    found = [one.stretch[(one.known_on <= day) & (one.known_on > day - _YEAR)] for one in due]
    pooled = np.concatenate([part.ravel() for part in found]) if found else np.empty(0)
    if sum(map(len, found)) < _LEAST:
        return 1.0
    return float(np.clip(np.quantile(pooled, _LEVEL), *_BOUNDS) ** _CLASS_SHARE)


def symbol_factor(due: Due, row: int, of_class: float, horizon: int) -> float:
    """The factor of a symbol at a row of its bars, from its own forecasts up to there.

    Args:
        due: its forecasts.
        row: only closes up to it are known.
        of_class: the factor of its class, which it starts from.
        horizon: steps of a forecast.
    """
    start, end = np.searchsorted(due.rows, [row - horizon - OWN_SESSIONS, row - horizon], side="right")
    if start == end:
        return of_class
    own = float(np.clip(np.quantile(due.stretch[start:end], _LEVEL), *_BOUNDS))
    sessions = (end - start) * EVERY
    share = _OWN_SHARE * sessions / (sessions + _DOUBTFUL)
    return float(of_class ** (1 - share) * own**share)


def measure_widths(model: RollingPredictor, series: Sequence[Bars]) -> Widths:
    """Learn the factors at the end of each series.

    Args:
        model: the champion, without factors.
        series: bars of some three years or more; those that are too short are left out.
    """
    due = {bars.symbol: forecasts_due(model, bars, len(bars) - OWN_SESSIONS, len(bars) - 1) for bars in series}
    if not due:
        return Widths()
    through = max(bars.cutoff for bars in series)
    groups: dict[str, list[Due]] = {}
    for symbol, one in due.items():
        groups.setdefault(asset_class(symbol), []).append(one)
    classes = {name: round(class_factor(group, np.datetime64(through)), 4) for name, group in groups.items()}
    own = {
        bars.symbol: symbol_factor(due[bars.symbol], len(bars) - 1, classes[asset_class(bars.symbol)], model.horizon)
        for bars in series
    }
    return Widths(through, classes, {symbol: round(factor, 4) for symbol, factor in own.items()})


def rolling_factors(model: RollingPredictor, series: Sequence[Bars], at: Sequence[Rows]) -> list[Floats]:
    """The factor of each origin of several series, from what was known there; class factors are renewed monthly.

    Args:
        model: the champion, without factors.
        series: the series.
        at: the rows of the origins of each series, in order.

    Returns:
        `(n,)` for each series.
    """
    due = [
        forecasts_due(model, bars, int(rows[0]) - OWN_SESSIONS, int(rows[-1])) if len(rows) else None
        for bars, rows in zip(series, at, strict=True)
    ]
    groups: dict[str, list[Due]] = {}
    for bars, one in zip(series, due, strict=True):
        if one is not None:
            groups.setdefault(asset_class(bars.symbol), []).append(one)
    monthly: dict[tuple[str, np.datetime64], float] = {}

    def of_class(name: str, day: np.datetime64) -> float:
        month = day.astype("datetime64[M]")
        if (name, month) not in monthly:
            monthly[name, month] = class_factor(groups[name], month.astype("datetime64[D]") - 1)
        return monthly[name, month]

    return [
        np.array(
            [
                symbol_factor(one, int(row), of_class(asset_class(bars.symbol), day), model.horizon)
                for row, day in zip(rows, bars.columns["session_date"][rows], strict=True)
            ]
            if one is not None
            else []
        )
        for bars, rows, one in zip(series, at, due, strict=True)
    ]


def stretched(quantiles: Floats, factors: Floats) -> Floats:
    """Stretch quantiles around their median: `(n, horizon, quantiles)` by `(n,)`."""
    median = quantiles[..., _MEDIAN, None]
    return median + factors[:, None, None] * (quantiles - median)
