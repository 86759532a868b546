"""A measure with its 95% interval: as the figures of a card, and in words.

Over too short a time there is no interval: its ends are 0 and ∞ then, by which nothing is shown to be better or worse.
As figures both ends are there, or neither is.

>>> figures("sp_vs_ewma_t", (0.98, 0.97, 0.99))
{'sp_vs_ewma_t': 0.98, 'sp_vs_ewma_t_lo': 0.97, 'sp_vs_ewma_t_hi': 0.99}
>>> figures("sp_vs_ewma_t", (0.98, 0.0, math.inf))
{'sp_vs_ewma_t': 0.98}
>>> interval_of({"sp_vs_ewma_t": 0.98}, "sp_vs_ewma_t")
(0.98, 0.0, inf)
"""

import math
from collections.abc import Mapping, Sequence

Interval = tuple[float, float, float]
"""A measure, such as a ratio of losses, and the ends of its 95% interval."""

TOO_SHORT = "too short a time for an interval"
"""The reason why there is no interval."""


def is_known(interval: Interval) -> bool:
    """Whether there is an interval: the time was not too short for one."""
    return math.isfinite(interval[2])


def figures(name: str, interval: Interval) -> dict[str, float]:
    """The figures of a measure: under its name and, if there is an interval, its ends under `…_lo` and `…_hi`."""
    value, low, high = interval
    return {name: value} | ({f"{name}_lo": low, f"{name}_hi": high} if is_known(interval) else {})


def interval_of(known: Mapping[str, float], name: str) -> Interval:
    """The measure of a name with its interval, out of figures that hold it; one end alone is no interval."""
    low, high = known.get(f"{name}_lo"), known.get(f"{name}_hi")
    return (known[name], 0.0, math.inf) if low is None or high is None else (known[name], low, high)


def in_words(interval: Interval, borders: Sequence[float] = (1,)) -> str:
    """The interval in words: `0.980 [0.970, 0.990]`; over too short a time there is none.

    Args:
        interval: the measure.
        borders: what a decision compares it with. A figure has as many decimals as show on which side of these it is.

    >>> in_words((0.98, 0.966, 0.99996))
    '0.980 [0.966, 0.99996]'
    """
    value, low, high = (_figure(figure, borders) if math.isfinite(figure) else "" for figure in interval)
    return f"{value} [{low}, {high}]" if is_known(interval) else f"{value} ({TOO_SHORT})"


def _figure(figure: float, borders: Sequence[float]) -> str:
    def sides(number: float) -> list[tuple[bool, bool]]:
        return [(number < border, number > border) for border in borders]

    written = [f"{figure:.{decimals}f}" for decimals in range(3, 10)]
    return next((each for each in written if sides(float(each)) == sides(figure)), written[0])
