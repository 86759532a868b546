"""The distribution of a portfolio's value, from joint paths of its holdings.

>>> parts = np.array([[-10.0, 0.0, 10.0, 20.0], [-10.0, -5.0, 0.0, 5.0]])
>>> found = risk(parts.sum(axis=0), 0.5)
>>> found.value_at_risk, found.expected_shortfall, shares(parts, found.worst).tolist()
(-2.5, 12.5, [5.0, 7.5])
>>> round(kupiec(18, 250, 0.05), 3), round(kupiec(30, 250, 0.05), 5)
(0.133, 1e-05)
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tickercast.domain.outlook.paths import levels_of

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Risk:
    """The value at risk and the expected shortfall at one step.

    Attributes:
        level: the confidence, such as 0.95.
        value_at_risk: the loss that is exceeded with a chance of 1 − level, in currency; negative where even that is a
            gain.
        expected_shortfall: the mean loss of the paths that lose more than that.
        worst: the numbers of those paths, the worst first.
    """

    level: float
    value_at_risk: float
    expected_shortfall: float
    worst: NDArray[np.intp]


def risk(values: Floats, level: float) -> Risk:
    """Value at risk and expected shortfall of the gains `(paths,)` of one step.

    The n-th worst path lies at n/(paths + 1), so those beyond the value at risk lie at half of 1 − level on average, as
    the tail does; with the path at the value at risk among them, the shortfall would be too small.
    """
    at = round((1 - level) * (len(values) + 1), 6)
    worst = np.argsort(values)[: max(1, math.ceil(at) - 1)]
    return Risk(level, -float(levels_of(values, 1 - level)), -float(values[worst].mean()), worst)


def shares(parts: Floats, tail: NDArray[np.intp]) -> Floats:
    """The part of each holding in the expected shortfall; they add up to it (Euler's rule).

    Args:
        parts: `(n, paths)`, the gains of each holding at one step, in currency.
        tail: the worst paths.

    Returns:
        `(n,)`, in currency.
    """
    found: Floats = -parts[:, tail].mean(axis=1)
    return found


def correlation(moves: Floats) -> Floats:
    """The correlation of log-returns `(n, paths)`: `(n, n)`; 0 where one does not move."""
    centred = moves - moves.mean(axis=1, keepdims=True)
    norms = np.sqrt((centred**2).sum(axis=1))
    scaled = np.divide(centred, norms[:, None], out=np.zeros_like(centred), where=norms[:, None] > 0)
    found: Floats = scaled @ scaled.T
    return found


def kupiec(breaches: int, days: int, chance: float) -> float:
    """The p-value that breaches come with a chance (Kupiec, Journal of Derivatives 1995)."""
    share = breaches / days if days else chance
    ratio = 2 * (_likelihood(breaches, days, share) - _likelihood(breaches, days, chance))
    return _chi2(ratio)


def christoffersen(breached: NDArray[np.bool_]) -> float:
    """The p-value that a breach does not make the next one likelier (Christoffersen, Int. Economic Review 1998).

    Args:
        breached: `(days,)`, whether each day's loss exceeded its value at risk, in order of time, without overlap.
    """
    before, after = breached[:-1], breached[1:]
    pairs = [(int((after & (before == first)).sum()), int((before == first).sum())) for first in (False, True)]
    total = (sum(hits for hits, _ in pairs), sum(days for _, days in pairs))
    apart = sum(_likelihood(hits, days, hits / days) for hits, days in pairs if days)
    together = _likelihood(*total, total[0] / total[1]) if total[1] else 0.0
    return _chi2(2 * (apart - together))


def _likelihood(hits: int, days: int, chance: float) -> float:
    """The logarithm of the likelihood of independent hits."""
    return sum(count * math.log(p) for count, p in ((hits, chance), (days - hits, 1 - chance)) if count)


def _chi2(statistic: float) -> float:
    """The chance that a χ² of one degree of freedom is larger."""
    return math.erfc(math.sqrt(max(statistic, 0.0) / 2))
