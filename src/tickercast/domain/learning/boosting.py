"""The hyperparameters of boosted trees, and the windows that they learn from and are measured on."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

PURGE = 24
"""Hours between the last answer that a model learns from and the first question that it is asked."""


@dataclass(frozen=True)
class Boosting:
    """The hyperparameters of the direction model; the defaults were chosen on the months before July 2022.

    Attributes:
        trees: the number of trees.
        depth: the depth of each tree.
        rate: the learning rate.
        rows: the share of hours that a tree learns from.
        columns: the share of inputs that a tree may use.
        least_weight: the least weight of a leaf, about a quarter of its hours.
        least_gain: the least gain of a split.
        l1: the penalty on the size of leaves.
        l2: the penalty on the square of that size.
        days: the length of the sliding training window, in days.
    """

    trees: int = 60
    depth: int = 2
    rate: float = 0.05
    rows: float = 0.8
    columns: float = 0.8
    least_weight: float = 10.0
    least_gain: float = 0.0
    l1: float = 1e-3
    l2: float = 1.0
    days: int = 180


USUAL = Boosting(trees=200, depth=4, rate=0.1, days=365)
"""The usual choice, with which a search of the usual ranges begins."""


@dataclass(frozen=True)
class Fold:
    """A window to learn from and the month that follows.

    Attributes:
        learn_after: the end of the hour before the window.
        learn_until: the moment by which the last answer was known.
        ask_from: the end of the first hour that is forecast from.
        ask_until: the end of the hour after the last.
    """

    learn_after: np.datetime64
    learn_until: np.datetime64
    ask_from: np.datetime64
    ask_until: np.datetime64


def monthly_folds(first: np.datetime64, end: np.datetime64, days: int) -> Iterator[Fold]:
    """Slide a window of fixed length to each month.

    Args:
        first: the first month.
        end: the month after the last.
        days: the length of the window, in days.

    >>> [fold] = monthly_folds(np.datetime64("2022-07"), np.datetime64("2022-08"), 30)
    >>> str(fold.learn_after), str(fold.learn_until), str(fold.ask_from)
    ('2022-05-31T00', '2022-06-30T00', '2022-07-01T00')
    """
    for month in np.arange(first.astype("datetime64[M]"), end.astype("datetime64[M]")):
        ask_from = month.astype("datetime64[h]")
        until = ask_from - np.timedelta64(PURGE, "h")
        yield Fold(until - np.timedelta64(24 * days, "h"), until, ask_from, (month + 1).astype("datetime64[h]"))
