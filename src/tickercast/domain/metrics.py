"""Measures of a distribution forecast, named as in the literature; pure, one line each.

Quantiles lie on the last axis, everything before it broadcasts. Lower is better, except for coverage, which should
meet its nominal level.

>>> pinball(np.array(2.0), np.array([1.0, 3.0]), np.array([0.1, 0.9])).tolist()
[0.1, 0.09999999999999998]
>>> float(coverage(np.array([1.0, 2.0, 9.0]), np.array(0.0), np.array(2.0)))
0.6666666666666666
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def pinball(actual: Floats, quantiles: Floats, levels: Floats) -> Floats:
    """Loss of each quantile (Koenker and Bassett, Regression Quantiles, Econometrica 1978).

    Args:
        actual: `(...)`, what happened.
        quantiles: `(..., levels)`, in the unit of `actual`.
        levels: `(levels,)`, probabilities.

    Returns:
        `(..., levels)`, in the unit of `actual`.
    """
    error = actual[..., None] - quantiles
    loss: Floats = np.maximum(levels * error, (levels - 1) * error)
    return loss


def sp(actual: Floats, quantiles: Floats, levels: Floats, sigma: Floats) -> Floats:
    """Scaled pinball: the mean loss over all quantiles and steps, so that symbols and dates weigh alike.

    Twice the mean over evenly spread quantiles approximates the CRPS (Gneiting and Ranjan, JBES 2011).

    Args:
        actual: `(n, steps)`, log-returns from the origin.
        quantiles: `(n, steps, levels)`, log-returns.
        levels: `(levels,)`, probabilities.
        sigma: `(n,)`, volatility of a session known at the origin; step h is divided by sigma·√h.

    Returns:
        `(n,)`, without unit.
    """
    scale = sigma[:, None] * np.sqrt(np.arange(1, actual.shape[1] + 1))
    loss: Floats = (pinball(actual, quantiles, levels).mean(axis=-1) / scale).mean(axis=-1)
    return loss


def winkler(actual: Floats, low: Floats, high: Floats, level: float) -> Floats:
    """Interval score: width, and a penalty for what falls outside (Winkler, JASA 1972), in the unit of `actual`."""
    outside = np.maximum(low - actual, 0) + np.maximum(actual - high, 0)
    score: Floats = high - low + 2 / (1 - level) * outside
    return score


def coverage(actual: Floats, low: Floats, high: Floats) -> Floats:
    """Share of the steps, on the last axis, whose value fell into its interval, bounds included."""
    share: Floats = ((low <= actual) & (actual <= high)).mean(axis=-1)
    return share
