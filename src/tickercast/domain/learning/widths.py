"""The width of the intervals of a symbol and of its asset class, learned from the forecasts that have come due.

A forecast that has come due says by how much its 80% interval would have had to be stretched to end at the close. Four
in five of these factors lie below the one that would have held 80%. A class takes it from the last year of all its
symbols, up to halfway, and funds and indices are one class here; a symbol from its own last two years, the nearer the
more of them there are. Steps that coming results reach have one more factor in a class, since moves on results days
grow and shrink by themselves: a power of what the results add to the volatility in the model's eyes.

>>> widths = Widths(date(2023, 7, 21), {"fx": (0.9, 0.8), "stock": (1.0, 1.0)}, {"EURUSD=X": 0.5}, {"stock": 0.1})
>>> lift = np.log([[1.0, 1.0], [1.0, 1.0], [1.0, 2.0]])
>>> widths.factors(["EURUSD=X", "JPY=X", "MSFT"], lift).round(3).tolist()
[[0.45, 0.4], [0.9, 0.8], [1.0, 1.072]]
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tickercast.domain.asset_classes import width_class
from tickercast.domain.bars import Bars
from tickercast.domain.forecast import QUANTILES, InformedPredictor, checked

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
_RESULTS_SHARE, _FEW_RESULTS = 0.5, 100  # forecasts with results at which these count for half of that
_BOUNDS = 0.5, 2.0
_LEAST_STRETCH = 1e-9
_YEAR = np.timedelta64(365, "D")


@dataclass(frozen=True)
class Widths:
    """The factors around the median that were learned up to a date; whatever is not named has none.

    Attributes:
        through: the date of the last close they were learned from; None where nothing was learned.
        classes: the factor of each step, by `width_class`.
        symbols: the factor of a symbol on top of that of its class, by symbol.
        results: the power to which the lift of coming results is raised, by `width_class`.
    """

    through: date | None = None
    classes: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    symbols: Mapping[str, float] = field(default_factory=dict)
    results: Mapping[str, float] = field(default_factory=dict)

    def factors(self, symbols: Sequence[str], lift: NDArray[np.floating]) -> Floats:
        """The factor of each symbol and step.

        Args:
            symbols: n of them.
            lift: `(n, horizon)`, as `InformedPredictor.results_lift` gives it.

        Returns:
            `(n, horizon)`.
        """
        if not self.classes:
            return np.ones(lift.shape)
        groups, unknown = [width_class(one) for one in symbols], (1.0,) * lift.shape[1]
        of_class = np.array([self.classes.get(group, unknown) for group in groups]).reshape(lift.shape)
        own = np.array([self.symbols.get(one, 1.0) for one in symbols]).reshape(-1, 1)
        power = np.array([self.results.get(group, 0.0) for group in groups]).reshape(-1, 1)
        factors: Floats = of_class * own * np.exp(power * lift)
        return factors


@dataclass(frozen=True)
class Due:
    """The forecasts of one symbol that have come due.

    Attributes:
        rows: `(n,)`, the rows of the bars that they were made at, in order.
        known_on: `(n,)`, datetime64[D], the session of their last step.
        stretch: `(n, horizon)`, what would have brought the end of each 80% interval to the close.
        lift: `(n, horizon)`, that of the results which were expected; see `InformedPredictor.results_lift`.
    """

    rows: Rows
    known_on: NDArray[np.datetime64]
    stretch: Floats
    lift: Floats

    def between(self, after: np.datetime64, day: np.datetime64) -> tuple[Floats, Floats]:
        """Stretch and lift of those that came due after a day, up to another one."""
        chosen = (self.known_on > after) & (self.known_on <= day)
        return self.stretch[chosen], self.lift[chosen]


def _nothing_due(horizon: int) -> Due:
    return Due(np.empty(0, np.intp), np.empty(0, "datetime64[D]"), np.empty((0, horizon)), np.empty((0, horizon)))


def forecasts_due(model: InformedPredictor, bars: Bars, first: int, last: int) -> Due:
    """Forecast again from every fifth session of a series, and compare with the closes that followed.

    Args:
        model: the model, without learned factors of its own.
        bars: the series.
        first: the first row that may be an origin.
        last: the last row that may be known.
    """
    first = max(first, model.min_sessions - 1)
    rows = np.arange(-(-first // EVERY) * EVERY, last - model.horizon + 1, EVERY)
    log_close, dates = np.log(bars.columns["adj_close"]), bars.columns["session_date"]
    if not len(rows):
        return _nothing_due(model.horizon)
    quantiles = checked(model, model.predict_at(bars, rows), len(rows))
    moved = log_close[rows[:, None] + np.arange(1, model.horizon + 1)] - log_close[rows, None] - quantiles[..., _MEDIAN]
    below, above = (np.abs(quantiles[..., end] - quantiles[..., _MEDIAN]) for end in (_LOW, _HIGH))
    reach = np.maximum(np.where(moved > 0, above, below), 1e-12)
    dated = dates[rows + model.horizon].astype("datetime64[D]")
    return Due(rows, dated, np.abs(moved) / reach, model.results_lift(bars, rows))


class ClassFactors(NamedTuple):
    """The learned factors of an asset class.

    Attributes:
        steps: `(horizon,)`, the factor of each step.
        results: the power of the lift.
    """

    steps: Floats
    results: float

    def at(self, lift: Floats) -> Floats:
        """The factors of n forecasts with their lifts, `(n, horizon)`."""
        factors: Floats = self.steps * np.exp(self.results * lift)
        return factors


def class_factors(due: Sequence[Due], day: np.datetime64, horizon: int) -> ClassFactors:
    """The factors of a class on a day, from what its forecasts of the year before have come to.

    The logarithm of those of the steps is a line in the logarithm of the step, since factors fitted to each step alone
    are noisy.

    Args:
        due: the forecasts of its symbols.
        day: only closes up to it are known.
        horizon: steps of a forecast.
    """
    found = [one.between(day - _YEAR, day) for one in due]
    if sum(len(stretch) for stretch, _ in found) < _LEAST:
        return ClassFactors(np.ones(horizon), 0.0)
    stretch, lift = (np.concatenate(parts) for parts in zip(*found, strict=True))
    best = np.log(np.quantile(stretch, _LEVEL, axis=0).clip(*_BOUNDS))
    steps = np.log(np.arange(1, horizon + 1))
    slope, level = np.polyfit(steps, best, 1)
    share = _CLASS_SHARE * len(due) / (len(due) + _FEW)
    factors = np.exp(share * (level + slope * steps))
    return ClassFactors(factors, _results_power(np.log((stretch / factors).clip(_LEAST_STRETCH)), lift))


def _results_power(missed: Floats, lift: Floats) -> float:
    """The power of the lift that would have held 80% where results were expected, as much as they hold elsewhere.

    It is the quantile regression through the origin of what the intervals missed on the lift.

    Args:
        missed: `(n, horizon)`, logarithms of the stretch that was still needed.
        lift: `(n, horizon)`.
    """
    reached = lift > 0
    count = int(reached.any(axis=1).sum())
    if count < _LEAST or reached.all():
        return 0.0
    weights = lift[reached]
    slopes = (missed[reached] - np.quantile(missed[~reached], _LEVEL)) / weights
    order = np.argsort(slopes)
    total = np.cumsum(weights[order])
    power = slopes[order][np.searchsorted(total, _LEVEL * total[-1])]
    return float(power.clip(-1.0, 1.0) * _RESULTS_SHARE * count / (count + _FEW_RESULTS))


def symbol_factor(due: Due, row: int, of_class: ClassFactors) -> float:
    """The factor of a symbol at a row of its bars on top of that of its class, from its own forecasts up to there.

    Args:
        due: the past forecasts of the symbol and their closes.
        row: only closes up to it are known.
        of_class: the factors of its class.
    """
    horizon = len(of_class.steps)
    start, end = np.searchsorted(due.rows, [row - horizon - OWN_SESSIONS, row - horizon], side="right")
    if start == end:
        return 1.0
    own = np.quantile(due.stretch[start:end] / of_class.at(due.lift[start:end]), _LEVEL).clip(*_BOUNDS)
    sessions = (end - start) * EVERY
    return float(own ** (_OWN_SHARE * sessions / (sessions + _DOUBTFUL)))


def measure_widths(model: InformedPredictor, series: Sequence[Bars], served: Widths = Widths()) -> Widths:
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
    classes = {
        name: ClassFactors(np.array(steps), served.results.get(name, 0.0)) for name, steps in served.classes.items()
    } | {
        name: _rounded(class_factors(group, day, horizon))
        for name, group in groups.items()
        if name not in served.classes or len(group) >= others[name]
    }
    own = {
        bars.symbol: round(symbol_factor(due[bars.symbol], len(bars) - 1, classes[width_class(bars.symbol)]), 4)
        for bars in series
    }
    return Widths(
        through,
        {name: tuple(found.steps.tolist()) for name, found in classes.items()},
        {**served.symbols, **own},
        {name: found.results for name, found in classes.items() if found.results},
    )


def _rounded(found: ClassFactors) -> ClassFactors:
    return ClassFactors(found.steps.round(4), round(found.results, 4))


def rolling_factors(model: InformedPredictor, series: Sequence[Bars], at: Sequence[Rows]) -> list[Floats]:
    """The factors at each origin of several series, from what was known there; those of classes are renewed monthly.

    Args:
        model: the champion, without factors.
        series: the series.
        at: the rows of the origins of each series, in order.

    Returns:
        `(n, horizon)` for each series.
    """
    nothing = _nothing_due(model.horizon)
    due = [
        forecasts_due(model, bars, int(rows[0]) - OWN_SESSIONS, int(rows[-1])) if len(rows) else nothing
        for bars, rows in zip(series, at, strict=True)
    ]
    groups: dict[str, list[Due]] = {}
    for bars, one in zip(series, due, strict=True):
        groups.setdefault(width_class(bars.symbol), []).append(one)
    monthly: dict[tuple[str, np.datetime64], ClassFactors] = {}

    def of_class(name: str, day: np.datetime64) -> ClassFactors:
        month = day.astype("datetime64[M]")
        if (name, month) not in monthly:
            known = month.astype("datetime64[D]") - np.timedelta64(1, "D")
            monthly[name, month] = class_factors([one for one in groups[name] if len(one.rows)], known, model.horizon)
        return monthly[name, month]

    found = []
    for bars, rows, one in zip(series, at, due, strict=True):
        days = bars.columns["session_date"][rows]
        lift = model.results_lift(bars, rows)
        found.append(np.empty((len(rows), model.horizon)))
        for place, (row, day) in enumerate(zip(rows, days, strict=True)):
            shared = of_class(width_class(bars.symbol), day)
            found[-1][place] = shared.at(lift[place]) * symbol_factor(one, int(row), shared)
    return found


def stretched(quantiles: Floats, factors: Floats) -> Floats:
    """Stretch quantiles around their median: `(n, horizon, quantiles)` by `(n, horizon)`."""
    median = quantiles[..., _MEDIAN, None]
    return median + factors[..., None] * (quantiles - median)
