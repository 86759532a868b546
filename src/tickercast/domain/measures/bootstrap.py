"""Intervals from a bootstrap over blocks of time, which are too narrow where blocks are few."""

import math
from statistics import NormalDist

FEW = 20
"""Blocks from which the percentiles of a bootstrap are taken as they are."""

LEAST = 5
"""The fewest blocks of a bootstrap: of fewer, even the best and the worst draw lie too close together."""

_NORMAL = NormalDist()


def ends(blocks: int) -> tuple[float, float]:
    """The probabilities of the quantiles of a bootstrap at which a 95% interval begins and ends.

    Those of few blocks are expanded.

    Args:
        blocks: the number of blocks drawn; an interval from fewer than `LEAST` means nothing.

    >>> ends(20), [round(ends(blocks)[0], 4) for blocks in (8, 5)]
    ((0.025, 0.975), [0.0057, 0.001])
    """
    return (0.025, 0.975) if blocks >= FEW else expanded(blocks)


def expanded(blocks: int) -> tuple[float, float]:
    """The same, expanded to the reach of Student's t (Hesterberg, The American Statistician 2015).

    Args:
        blocks: the number of blocks drawn.
    """
    low = _NORMAL.cdf(-math.sqrt(blocks / (blocks - 1)) * student(0.975, blocks - 1)) if blocks > 1 else 0.0
    return low, 1 - low


def student(level: float, freedom: int) -> float:
    """A quantile of Student's t, by the expansion of Fisher and Cornish.

    >>> round(student(0.975, 7), 2), round(student(0.975, 100), 3)
    (2.36, 1.984)
    """
    z = _NORMAL.inv_cdf(level)
    terms = [
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
    ]
    return float(z + sum(term / freedom**power for power, term in enumerate(terms, start=1)))
