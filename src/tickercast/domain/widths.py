"""The width of the intervals of a symbol and of its asset class, learned from the forecasts that have come due.

A forecast that has come due says by how much its 80% interval would have had to be stretched to end at the close. Four
in five of these factors lie below the one that would have held 80%. A class takes it from the last year of all its
symbols, up to halfway, and funds and indices are one class here; a symbol from its own last two years, the nearer the
more of them there are.

>>> widths = Widths(date(2023, 7, 21), {"fx": (0.9, 0.8)}, {"EURUSD=X": 0.5})
>>> widths.factors(["EURUSD=X", "JPY=X", "MSFT"], 2).tolist()
[[0.45, 0.4], [0.9, 0.8], [1.0, 1.0]]
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

import numpy as np
from numpy.typing import NDArray

from tickercast.domain.asset_classes import width_class
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
_CLASS_SHARE, _FEW = 0.5, 4  # symbols at which a class's factor counts for half of that: few say little of a class
_OWN_SHARE = 0.5
_DOUBTFUL = 60  # sessions of its own at which a symbol's factor counts for half of what it may
_LEAST = 20  # forecasts of a class
_BOUNDS = 0.5, 2.0
_YEAR = np.timedelta64(365, "D")


@dataclass(frozen=True)
class Widths:
    """The factors around the median that were learned up to a date; whatever is not named has none.

    Attributes:
        through: the date of the last close they were learned from; None where nothing was learned.
        classes: by `width_class`, for each step.
        symbols: by symbol, on top of that of its class.
    """

    through: date | None = None
    classes: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    symbols: Mapping[str, float] = field(default_factory=dict)

    def factors(self, symbols: Sequence[str], horizon: int) -> Floats:
        """The factor of each symbol and step: `(n, horizon)`."""
        if not self.classes:
            return np.ones((len(symbols), horizon))
        unknown = (1.0,) * horizon
        of_class = np.array([self.classes.get(width_class(one), unknown) for one in symbols]).reshape(-1, horizon)
        factors: Floats = of_class * np.array([self.symbols.get(one, 1.0) for one in symbols]).reshape(-1, 1)
        return factors


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


_NOTHING_DUE = Due(np.empty(0, np.intp), np.empty(0, "datetime64[D]"), np.empty((0, 1)))


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


def class_factors(due: Sequence[Due], day: np.datetime64, horizon: int) -> Floats:
    """The factor of each step of a class on a day, from what its forecasts of the year before have come to.

    Their logarithm is a line in the logarithm of the step, since factors fitted to each step alone are noisy.

    Args:
        due: the forecasts of its symbols.
        day: only closes up to it are known.
        horizon: steps of a forecast.

    Returns:
        `(horizon,)`.
    """
    found = [one.stretch[(one.known_on <= day) & (one.known_on > day - _YEAR)] for one in due]
    if sum(map(len, found)) < _LEAST:
        return np.ones(horizon)
    best = np.log(np.quantile(np.concatenate(found), _LEVEL, axis=0).clip(*_BOUNDS))
    steps = np.log(np.arange(1, horizon + 1))
    slope, level = np.polyfit(steps, best, 1)
    share = _CLASS_SHARE * len(due) / (len(due) + _FEW)
    factors: Floats = np.exp(share * (level + slope * steps))
    return factors


def symbol_factor(due: Due, row: int, of_class: Floats) -> float:
    """The factor of a symbol at a row of its bars on top of that of its class, from its own forecasts up to there.

    Args:
        due: its forecasts.
        row: only closes up to it are known.
        of_class: `(horizon,)`, the factors of its class.
    """
    horizon = len(of_class)
    start, end = np.searchsorted(due.rows, [row - horizon - OWN_SESSIONS, row - horizon], side="right")
    if start == end:
        return 1.0
    own = np.quantile(due.stretch[start:end] / of_class, _LEVEL).clip(*_BOUNDS)
    sessions = (end - start) * EVERY
    return float(own ** (_OWN_SHARE * sessions / (sessions + _DOUBTFUL)))


def measure_widths(model: RollingPredictor, series: Sequence[Bars], served: Widths = Widths()) -> Widths:
    """Learn the factors at the end of each series.

    Args:
        model: the champion, without factors.
        series: bars of some three years or more; of shorter ones less is learned.
        served: the factors so far. Other symbols keep theirs, and a class does if most of its symbols are others.
    """
    due = {bars.symbol: forecasts_due(model, bars, len(bars) - OWN_SESSIONS, len(bars) - 1) for bars in series}
    if not due:
        return served
    through, horizon = max(bars.cutoff for bars in series), model.horizon
    groups: dict[str, list[Due]] = {}
    for symbol, one in due.items():
        groups.setdefault(width_class(symbol), []).append(one)
    day = np.datetime64(through)
    others = Counter(width_class(symbol) for symbol in served.symbols if symbol not in due)
    classes = {name: np.array(factors) for name, factors in served.classes.items()} | {
        name: class_factors(group, day, horizon).round(4)
        for name, group in groups.items()
        if name not in served.classes or len(group) >= others[name]
    }
    own = {
        bars.symbol: round(symbol_factor(due[bars.symbol], len(bars) - 1, classes[width_class(bars.symbol)]), 4)
        for bars in series
    }
    learned = {name: tuple(factors.tolist()) for name, factors in classes.items()}
    return Widths(through, learned, {**served.symbols, **own})


def rolling_factors(model: RollingPredictor, series: Sequence[Bars], at: Sequence[Rows]) -> list[Floats]:
    """The factors at each origin of several series, from what was known there; those of classes are renewed monthly.

    Args:
        model: the champion, without factors.
        series: the series.
        at: the rows of the origins of each series, in order.

    Returns:
        `(n, horizon)` for each series.
    """
    due = [
        forecasts_due(model, bars, int(rows[0]) - OWN_SESSIONS, int(rows[-1])) if len(rows) else _NOTHING_DUE
        for bars, rows in zip(series, at, strict=True)
    ]
    groups: dict[str, list[Due]] = {}
    for bars, one in zip(series, due, strict=True):
        groups.setdefault(width_class(bars.symbol), []).append(one)
    monthly: dict[tuple[str, np.datetime64], Floats] = {}

    def of_class(name: str, day: np.datetime64) -> Floats:
        month = day.astype("datetime64[M]")
        if (name, month) not in monthly:
            known = month.astype("datetime64[D]") - np.timedelta64(1, "D")
            monthly[name, month] = class_factors([one for one in groups[name] if len(one.rows)], known, model.horizon)
        return monthly[name, month]

    found = []
    for bars, rows, one in zip(series, at, due, strict=True):
        days = bars.columns["session_date"][rows]
        shared = np.array([of_class(width_class(bars.symbol), day) for day in days]).reshape(-1, model.horizon)
        own = [symbol_factor(one, int(row), each) for row, each in zip(rows, shared, strict=True)]
        found.append(shared * np.array(own).reshape(-1, 1))
    return found


def stretched(quantiles: Floats, factors: Floats) -> Floats:
    """Stretch quantiles around their median: `(n, horizon, quantiles)` by `(n, horizon)`."""
    median = quantiles[..., _MEDIAN, None]
    return median + factors[..., None] * (quantiles - median)
