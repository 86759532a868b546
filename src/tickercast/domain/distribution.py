"""A stored distribution at every probability: thirteen quantiles, and Student's t with five degrees of freedom between.

Quantiles are interpolated over the quantiles of Student's t, which makes a bell of them rather than a histogram; beyond
the first and the last they go on with the slope between 2.5% and 10%. What lies there is extrapolated.

>>> bell = 0.03 * student5(np.array(QUANTILES))
>>> np.round(quantile(bell, np.array([0.1, 0.6, 0.995])), 4).tolist()
[-0.0343, 0.0062, 0.0937]
>>> np.round(probability(bell, np.array([-0.0343, 0.0, 0.0937])), 3).tolist()
[0.1, 0.5, 0.995]
"""

import numpy as np
from numpy.typing import NDArray

from tickercast.domain.forecast import QUANTILES

Floats = NDArray[np.float64]

_SHOULDER = QUANTILES.index(0.1)
"""The quantile from which to the end the slope is taken that goes on beyond it; on the other side as well."""


def student5(levels: Floats) -> Floats:
    """Quantiles of Student's t with five degrees of freedom, scaled to unit variance.

    Its distribution function (see `_below`) is inverted by bisection over θ.

    >>> student5(np.array([0.1, 0.9, 0.975])).round(3).tolist()
    [-1.143, 1.143, 1.991]
    """
    low, high = np.full(levels.shape, -np.pi / 2), np.full(levels.shape, np.pi / 2)
    for _ in range(60):
        angle = (low + high) / 2
        below = _below(angle) < levels
        low, high = np.where(below, angle, low), np.where(below, high, angle)
    quantiles: Floats = np.sqrt(5) * np.tan((low + high) / 2) * np.sqrt(3 / 5)
    return quantiles


def _below(angle: Floats) -> Floats:
    """The distribution function: 1/2 + (θ + sin θ·(cos θ + 2/3·cos³ θ))/π at √5·tan θ.

    Source: Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.3.
    """
    cosine = np.cos(angle)
    below: Floats = 0.5 + (angle + np.sin(angle) * (cosine + 2 / 3 * cosine**3)) / np.pi
    return below


_FAR = 100.0  # standard deviations: the chance of more is 1e-10
_SCORES = np.concatenate([[-_FAR], student5(np.array(QUANTILES)), [_FAR]])


def quantile(quantiles: Floats, levels: Floats) -> Floats:
    """Interpolate stored quantiles at other probabilities.

    Args:
        quantiles: `(..., len(QUANTILES))`, ascending.
        levels: `(n,)`, probabilities between 0 and 1.

    Returns:
        `(..., n)`, in the unit of the quantiles.
    """
    knots, scores = _with_tails(quantiles), student5(levels)
    right = np.clip(np.searchsorted(_SCORES, scores), 1, len(_SCORES) - 1)
    share = (scores - _SCORES[right - 1]) / (_SCORES[right] - _SCORES[right - 1])
    found: Floats = knots[..., right - 1] * (1 - share) + knots[..., right] * share
    return found


def probability(quantiles: Floats, values: Floats) -> Floats:
    """The chance that the outcome is at most some values; where quantiles coincide, that after the jump.

    Args:
        quantiles: `(len(QUANTILES),)`, ascending.
        values: `(n,)`, in their unit.

    Returns:
        `(n,)`, between 0 and 1.
    """
    knots = _with_tails(quantiles)
    right = np.clip(np.searchsorted(knots, values, side="right"), 1, len(knots) - 1)
    width = knots[right] - knots[right - 1]
    share = np.clip(np.divide(values - knots[right - 1], width, out=np.ones_like(values), where=width > 0), 0, 1)
    scores = _SCORES[right - 1] * (1 - share) + _SCORES[right] * share
    below = _below(np.arctan(scores * np.sqrt(5 / 3) / np.sqrt(5)))
    chance: Floats = np.where(values < knots[0], 0.0, below)
    return chance


def expected_move(quantiles: Floats) -> Floats:
    """The mean size of the move, up or down, as a share of the last close.

    >>> bell = 0.03 * student5(np.array(QUANTILES))
    >>> round(float(expected_move(bell)), 4)
    0.022

    Args:
        quantiles: `(..., len(QUANTILES))`, log-returns, ascending.

    Returns:
        `(...)`.
    """
    found: Floats = np.abs(np.expm1(quantile(quantiles, _EVEN))).mean(axis=-1)
    return found


_EVEN = (np.arange(1000) + 0.5) / 1000


def _with_tails(quantiles: Floats) -> Floats:
    """The quantiles with one more at each end, far out: `(..., len(QUANTILES) + 2)`."""
    tails = []
    for first, last, end in ((0, _SHOULDER, 0), (-_SHOULDER - 1, -1, -1)):
        scores = _SCORES[1:-1]
        slope = (quantiles[..., last] - quantiles[..., first]) / (scores[last] - scores[first])
        tails.append(quantiles[..., end] + slope * (_SCORES[end] - scores[end]))
    low, high = tails
    return np.concatenate([low[..., None], quantiles, high[..., None]], axis=-1)
