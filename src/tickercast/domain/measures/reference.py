"""A model's reference: a sample of its training data, and the limits where drift begins.

The limits are found in the training itself. At every fifth session, or every day of hours, symbols are drawn at
random, as many as may be watched later, and their last bars are compared with the sample as on a later day. The limit
of a measure is its 95% quantile over these windows times one factor, which all measures share: the one that leaves a
share `FALSE_ALARMS` of the windows with any measure beyond its limit (the step-down idea of Westfall and Young,
Resampling-Based Multiple Testing, 1993: correlated measures cost less than Bonferroni would charge).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from tickercast.domain.asset_classes import is_stock
from tickercast.domain.bars import STALE_AFTER, Bars
from tickercast.domain.forecast import LEVELS, QUANTILES, RollingPredictor, checked, stored
from tickercast.domain.hourly import hour_features, hours
from tickercast.domain.learning import features
from tickercast.domain.learning.features import HORIZON
from tickercast.domain.measures.drift import MARGINS, OF_DAYS, OF_HOURS, Floats, Reference, Watched, distances
from tickercast.domain.measures.metrics import covered, pinball
from tickercast.errors import TooFewSessions

FALSE_ALARMS = 0.025
"""The share of the training's windows that have any measure beyond its limit."""

SIZES = (1, 2, 5, 10, 20, 50, 100)
"""Numbers of symbols for which limits are found."""

ROWS = 700
"""The rows of the sample."""

MOST_SYMBOLS = 100
"""The most symbols that are used; of more, every N-th is."""

MIN_WINDOWS = 40
"""Fewer have no 97.5% quantile."""

_DIGITS = 3
_USUAL = 0.95
_LEVELS = np.array(list(LEVELS.values()))
_GAUSSIAN = np.array([NormalDist().inv_cdf(level) for level in _LEVELS])
_LOW_80, _HIGH_80 = QUANTILES.index(0.1), QUANTILES.index(0.9)
_LOW_95, _HIGH_95 = QUANTILES.index(0.025), QUANTILES.index(0.975)
_LOSS, _WALK, _INSIDE = range(3)


def learners(symbols: Iterable[str]) -> list[str]:
    """The symbols that train a network: stocks, or all if there are none.

    >>> learners(["MSFT", "BTC-USD"]), learners(["BTC-USD"])
    (['MSFT'], ['BTC-USD'])
    """
    given = list(symbols)
    return [symbol for symbol in given if is_stock(symbol)] or given


@dataclass(frozen=True)
class Observed:
    """A model's inputs, forecasts and performance at the last bars of one series.

    Attributes:
        symbol: the series.
        session_dates: `(n,)`, its sessions, or the ends of its hours.
        values: `(n, columns)`, those of `drift.Watched`.
        fared: `(n, 3)`: means over the steps of the loss of the stored quantiles and of the random walk's, both in
            units of σ60·√step, and of whether the 80% interval covered the close; NaN where a close is not known yet.
    """

    symbol: str
    session_dates: NDArray[np.datetime64]
    values: Floats
    fared: Floats


def observe(bars: Bars, model: RollingPredictor, last: int | None = None) -> Observed:
    """Observe a model at the last sessions of a series; at all possible ones if no number is given.

    Raises:
        TooFewSessions: the series is too short.
        UsageError: no forecasts can be made of what the model gives.
    """
    first = model.min_sessions - 1 if last is None else max(len(bars) - last, 0)
    features.check_length([bars], model.min_sessions + (last or 1) - 1)
    panel, at = features.panel(bars), np.arange(first, len(bars))
    quantiles = checked(model, model.predict_at(bars, at), len(at))
    widths = quantiles[..., _HIGH_95] - quantiles[..., _LOW_95]
    values = np.concatenate([panel.steps[at], panel.statics[at], widths], axis=1).astype(np.float64)
    dates = bars.columns["session_date"][at]
    return Observed(bars.symbol, dates, values, _fared(panel, at, quantiles))


def _fared(panel: features.Panel, at: NDArray[np.intp], quantiles: Floats) -> Floats:
    known = at + HORIZON < len(panel.log_close)
    steps, origins = np.arange(1, HORIZON + 1), at[known]
    moves = panel.log_close[origins[:, None] + steps] - panel.log_close[origins, None]
    unit = panel.sigma60[origins, None] * np.sqrt(steps)
    fared = np.full((len(at), 3), np.nan)
    fared[known] = _against(moves, quantiles[known], unit)
    return fared


def _against(moves: Floats, quantiles: Floats, unit: Floats) -> Floats:
    """The loss, the random walk's, and the share inside: `(n, 3)`, means over the steps."""
    own = pinball(moves, stored(quantiles), _LEVELS).mean(axis=-1) / unit
    walk = pinball(moves / unit, np.broadcast_to(_GAUSSIAN, (*moves.shape, len(_GAUSSIAN))), _LEVELS).mean(axis=-1)
    inside = covered(moves, quantiles[..., _LOW_80], quantiles[..., _HIGH_80])
    return np.stack([own.mean(axis=1), walk.mean(axis=1), inside.mean(axis=1)], axis=1)


def observe_hours(bars: Bars, model: RollingPredictor, season: Floats, last: int | None = None) -> Observed:
    """Observe a model of hourly bars at the last hours of a series; at all with a full history if no number is given.

    Args:
        bars: the series.
        model: the model.
        season: `(168,)`, of its tables.
        last: the number of hours.

    Raises:
        TooFewSessions: the series is too short.
        UsageError: no forecasts can be made of what the model gives.
    """
    needed = hours.WANTED + (last or 1) - 1
    if len(bars) < needed:
        raise TooFewSessions(f"{bars.symbol} has {len(bars)} hours of bars: at least {needed} were needed.")
    at = np.arange(hours.WANTED - 1 if last is None else len(bars) - last, len(bars))
    panel = hour_features.panel(bars, season)
    rows, quantiles = panel.grid.rows[at], checked(model, model.predict_at(bars, at), len(at))
    inputs = hour_features.inputs(panel, rows)
    level = inputs[:, [_LEVEL]] / 2
    steps = np.array(OF_HOURS.steps) - 1
    widths = np.log(quantiles[:, steps, _HIGH_95] - quantiles[:, steps, _LOW_95]) - level
    values = np.concatenate([np.delete(inputs, _LEVEL, axis=1), widths], axis=1)
    moves, sigma = panel.moves(rows), panel.sigma60[rows]
    known = np.isfinite(moves).all(axis=1) & (sigma > 0)
    fared = np.full((len(at), 3), np.nan)
    unit = sigma[known, None] * np.sqrt(np.arange(1, OF_HOURS.horizon + 1))
    fared[known] = _against(moves[known], quantiles[known], unit)
    return Observed(bars.symbol, bars.columns["closed_at"][at], values, fared)


_LEVEL = hour_features.INPUTS.index(hour_features.LEVEL)


# ---------------------------------------------------------------- the reference


def make_reference(observed: Sequence[Observed], *, sizes: Sequence[int] = SIZES, of: Watched = OF_DAYS) -> Reference:
    """Sample the training data of a model, and find where drift from it begins.

    Args:
        observed: every bar of the series that it was trained on.
        sizes: numbers of symbols that may be watched; those for which the training has too few windows are left out.
        of: the inputs and measures to compare.

    Raises:
        TooFewSessions: the training is too short to find limits.
    """
    used = observed[:: -(-len(observed) // MOST_SYMBOLS)]
    symbols = np.repeat([one.symbol for one in used], [len(one.values) for one in used])
    dates, values = (np.concatenate([getattr(one, name) for one in used]) for name in ("session_dates", "values"))
    rows = _spread(dates)
    sample = _rounded(values[rows])
    fared = np.concatenate([one.fared for one in used])
    loss, walk, inside = np.nansum(fared, axis=0)
    ratio, coverage = float(loss / walk), float(inside / np.isfinite(fared[:, _INSIDE]).sum())
    scores = {size: np.array(list(_windows(used, sample, size, (ratio, coverage), of))) for size in sizes}
    limits = {size: _limits(found, of) for size, found in scores.items() if len(found) >= MIN_WINDOWS}
    if not limits:
        raise TooFewSessions(
            f"The training has {max(map(len, scores.values()))} windows of {of.window} bars: at least {MIN_WINDOWS} "
            "were needed to measure drift against it. Train on earlier dates too."
        )
    return Reference(
        symbols=tuple(symbols[rows].tolist()),
        session_dates=tuple(dates[rows].astype("datetime64[D]").tolist()),
        columns=dict(zip(of.columns, map(tuple, sample.T.tolist()), strict=True)),
        walk_ratio=round(ratio, 4),
        coverage_80=round(coverage, 4),
        limits=limits,
    )


def _spread(dates: NDArray[np.datetime64]) -> NDArray[np.intp]:
    """Rows that lie as evenly over time as all do: `(ROWS,)`, or all if there are fewer."""
    order = np.lexsort((np.random.default_rng(0).random(len(dates)), dates))
    spread: NDArray[np.intp] = order[np.linspace(0, len(order) - 1, min(ROWS, len(order))).round().astype(np.intp)]
    return spread


def _rounded(values: Floats) -> Floats:
    return np.array([[float(f"{value:.{_DIGITS}g}") for value in row] for row in values.tolist()])


def _limits(scores: Floats, of: Watched) -> dict[str, float]:
    typical = np.maximum(np.quantile(scores, _USUAL, axis=0), np.finfo(np.float64).tiny)
    factor = np.quantile((scores / typical).max(axis=1), 1 - FALSE_ALARMS)
    limits = (float(f"{limit:.4g}") for limit in typical * factor * of.margin)
    return dict(zip((*of.columns, *MARGINS), limits, strict=True))


def _windows(
    used: Sequence[Observed], sample: Floats, size: int, usual: tuple[float, float], of: Watched
) -> Iterator[Floats]:
    """The measures of randomly drawn symbols at every so-many-th bar of the training: `(columns and margins,)` each."""
    random = np.random.default_rng(size)
    for day in np.unique(np.concatenate([one.session_dates for one in used]))[:: of.every]:
        ends = [int(np.searchsorted(one.session_dates, day, side="right")) for one in used]
        fit = [number for number, end in enumerate(ends) if _is_watched(used[number], end, day, of)]
        if len(fit) >= size:
            drawn = random.choice(fit, size, replace=False)
            seen = np.concatenate([used[one].values[ends[one] - of.window : ends[one]] for one in drawn])
            resolved = [slice(ends[one] - of.horizon - of.origins, ends[one] - of.horizon) for one in drawn]
            fared = np.concatenate([used[one].fared[rows] for one, rows in zip(drawn, resolved, strict=True)])
            yield np.concatenate([distances(seen, sample), _margins(fared, usual)])


def _is_watched(one: Observed, end: int, day: np.datetime64, of: Watched) -> bool:
    return end >= of.origins + of.horizon and bool(day - one.session_dates[end - 1] <= _STALE)


_STALE = np.timedelta64(STALE_AFTER // timedelta(days=1), "D")


def _margins(fared: Floats, usual: tuple[float, float]) -> Floats:
    """The margins by which a window performed worse than the whole, in the order of `MARGINS`: `(3,)`."""
    ratio = np.nansum(fared[:, _LOSS]) / np.nansum(fared[:, _WALK])
    below = usual[1] - np.nanmean(fared[:, _INSIDE])
    return np.array([ratio / usual[0] - 1, below, -below])
