"""Measures of a distribution forecast, named as in the literature; pure, one line each.

Quantiles lie on the last axis, everything before it broadcasts. Lower is better, except for coverage, which should
meet its nominal level.

>>> pinball(np.array(2.0), np.array([1.0, 3.0]), np.array([0.1, 0.9])).tolist()
[0.1, 0.09999999999999998]
>>> covered(np.array([1.0, 2.0, 9.0]), np.array(0.0), np.array(2.0)).tolist()
[True, True, False]
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def pinball(actual: Floats, quantiles: Floats, levels: Floats) -> Floats:
    """Loss of each quantile (Koenker and Bassett, Regression Quantiles, Econometrica 1978).

    Args:
        actual: `(...)`, the outcome.
        quantiles: `(..., levels)`, in the unit of `actual`.
        levels: `(levels,)`, probabilities.

    Returns:
        `(..., levels)`, in the unit of `actual`.
    """
    error = actual[..., None] - quantiles
    loss: Floats = np.maximum(levels * error, (levels - 1) * error)
    return loss


def winkler(actual: Floats, low: Floats, high: Floats, level: float) -> Floats:
    """Interval score: width, and a penalty for outcomes outside it (Winkler, JASA 1972), in the unit of `actual`."""
    outside = np.maximum(low - actual, 0) + np.maximum(actual - high, 0)
    score: Floats = high - low + 2 / (1 - level) * outside
    return score


def covered(actual: Floats, low: Floats, high: Floats) -> NDArray[np.bool_]:
    """Whether the outcome fell into its interval, bounds included; the mean is the coverage."""
    inside: NDArray[np.bool_] = (low <= actual) & (actual <= high)
    return inside
