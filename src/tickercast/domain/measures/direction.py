"""Scores of a direction forecast, its verdict, and the rules that say when to retrain.

A forecast is the probability that the next hour closes higher. Whoever knows nothing says .5, whose Brier score is .25.

>>> round(scores(np.array([0.6, 0.4]), np.array([True, False])).brier, 6)
0.16
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tickercast.domain.measures import bootstrap
from tickercast.errors import UsageError

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Interval = tuple[float, float, float]

DIRECTION = "xgb-direction"
"""The name of the registered model."""

COIN = 0.25
"""The Brier score of a coin: of .5 for every hour."""

BINS = 10
"""Groups of equal size in which stated and observed frequencies are compared."""

DRAWS = 1000
"""The number of draws of the bootstrap."""

_SEED = 0
_PERFECT = 200  # draws of what would come true if every probability were right


@dataclass(frozen=True)
class Bin:
    """A group of forecasts.

    Attributes:
        n: the number of forecasts in the group.
        stated: the mean stated value, a probability or a size.
        observed: the share of hours that closed higher, or of right directions.
    """

    n: int
    stated: float
    observed: float


@dataclass(frozen=True)
class Scores:
    """The measures of some forecasts.

    Attributes:
        n: forecasts.
        brier: mean squared error of the probability (Brier, Monthly Weather Review 1950).
        log_loss: mean negative logarithm of the probability of what happened, in nats.
        accuracy: share of right directions, up being forecast from .5 on.
        always_up: share of hours that closed higher: what always saying up would get.
        calibration_error: mean distance of stated and observed frequency over the groups, weighted by size (Naeini,
            Cooper and Hauskrecht, AAAI 2015). A perfect model shows some, too: see `expected_calibration_error`.
        reliability: the groups, by stated probability.
    """

    n: int
    brier: float
    log_loss: float
    accuracy: float
    always_up: float
    calibration_error: float
    reliability: tuple[Bin, ...]

    def figures(self) -> dict[str, float]:
        """The measures without the groups."""
        return {name: float(value) for name, value in asdict(self).items() if name != "reliability"}


def scores(probability: Floats, up: Bools) -> Scores:
    """Score forecasts.

    Args:
        probability: `(n,)`, the probability that the next hour closes higher.
        up: `(n,)`, whether the hour closed higher.

    Raises:
        ValueError: no forecast was given.
    """
    if not len(up):
        raise ValueError("no forecast was given, and at least one was needed")
    stated = np.asarray(probability, np.float64)
    groups = reliability(stated, up)
    of_what_happened = np.where(up, stated, 1 - stated).clip(1e-12, 1)
    return Scores(
        n=len(up),
        brier=float(np.mean((stated - up) ** 2)),
        log_loss=float(-np.log(of_what_happened).mean()),
        accuracy=float(right(stated, up).mean()),
        always_up=float(np.mean(up)),
        calibration_error=sum(group.n * abs(group.stated - group.observed) for group in groups) / len(up),
        reliability=groups,
    )


def right(probability: Floats, up: Bools) -> Bools:
    """Whether the likelier direction came: `(n,)`."""
    hit: Bools = (probability >= 0.5) == up
    return hit


def reliability(probability: Floats, up: Bools, bins: int = BINS) -> tuple[Bin, ...]:
    """Stated and observed frequency in groups of equal size, by stated probability."""
    order = np.argsort(probability, kind="stable")
    return tuple(
        Bin(len(rows), float(probability[rows].mean()), float(up[rows].mean()))
        for rows in np.array_split(order, min(bins, len(up)))
    )


def hit_rate_by_size(probability: Floats, up: Bools, size: Floats, edges: Sequence[float]) -> tuple[Bin, ...]:
    """The share of right directions by the size of the move that followed.

    Accuracy weighs a move of a hundredth of a percent like a crash; a model may be right in the small moves, wrong in
    the large ones, and lose by it.

    Args:
        probability: `(n,)`.
        up: `(n,)`.
        size: `(n,)`, of the moves, above zero.
        edges: between the groups, rising, in the unit of `size`.

    Returns:
        One group more than there are edges; `stated` is the mean size.
    """
    group = np.searchsorted(edges, size, side="right")
    hit = right(probability, up)
    return tuple(
        Bin(
            int(rows.sum()),
            float(size[rows].mean()) if rows.any() else 0.0,
            float(hit[rows].mean()) if rows.any() else 0.0,
        )
        for rows in (group == number for number in range(len(edges) + 1))
    )


def brier_interval(
    probability: Floats, up: Bools, closed_at: NDArray[np.datetime64], *, draws: int = DRAWS
) -> Interval:
    """The Brier score and its 95% interval, from a bootstrap over days: errors of a day's hours are dependent."""
    return _daily_interval((np.asarray(probability, np.float64) - up) ** 2, closed_at, draws)


def accuracy_interval(
    probability: Floats, up: Bools, closed_at: NDArray[np.datetime64], *, draws: int = DRAWS
) -> Interval:
    """The share of right directions and its 95% interval, from a bootstrap over days."""
    return _daily_interval(right(probability, up).astype(np.float64), closed_at, draws)


def brier_difference(own: Floats, other: Floats, up: Bools, closed_at: NDArray[np.datetime64]) -> Interval:
    """The difference of one model's Brier score to another's, above 0 if worse, and its 95% interval over days."""
    return _daily_interval((own - up) ** 2 - (other - up) ** 2, closed_at)


def _daily_interval(values: Floats, closed_at: NDArray[np.datetime64], draws: int = DRAWS) -> Interval:
    days, day = np.unique((closed_at - np.timedelta64(1, "h")).astype("datetime64[D]"), return_inverse=True)
    sums, counts = np.bincount(day, values), np.bincount(day)
    drawn = np.random.default_rng(_SEED).multinomial(len(days), np.full(len(days), 1 / len(days)), draws)
    low, high = np.quantile((drawn @ sums) / (drawn @ counts), bootstrap.ends(len(days)))
    return float(values.mean()), float(low), float(high)


def break_even(probability: Floats, move: Floats, closed_at: NDArray[np.datetime64]) -> Interval:
    """The fee a side at which trading on the forecasts earns nothing, and its 95% interval, in basis points.

    It holds one unit of the likelier direction for each hour, so that a change of mind trades two. The bootstrap is
    over days.
    """
    side = np.where(probability >= 0.5, 1.0, -1.0)
    gained, traded = side * move, np.abs(np.diff(side, prepend=0.0))
    days, day = np.unique((closed_at - np.timedelta64(1, "h")).astype("datetime64[D]"), return_inverse=True)
    gains, trades = np.bincount(day, gained), np.bincount(day, traded)
    drawn = np.random.default_rng(_SEED).multinomial(len(days), np.full(len(days), 1 / len(days)), DRAWS)
    low, high = np.quantile((drawn @ gains) / np.maximum(drawn @ trades, 1), bootstrap.ends(len(days)))
    return float(1e4 * gained.sum() / traded.sum()), float(1e4 * low), float(1e4 * high)


def expected_calibration_error(probability: Floats) -> float:
    """The calibration error that the same probabilities would show if every one of them were right."""
    random = np.random.default_rng(_SEED)
    stated = np.asarray(probability, np.float64)
    return float(
        np.mean(
            [
                sum(
                    group.n * abs(group.stated - group.observed)
                    for group in reliability(stated, random.random(len(stated)) < stated)
                )
                / len(stated)
                for _ in range(_PERFECT)
            ]
        )
    )


def verdict(brier: Interval, always_up: float, accuracy: Interval) -> str:
    """Summarise the scores in a sentence."""
    low, high = brier[1:]
    if low > COIN:
        return f"worse than a coin: Brier score {_in_words(brier)}, and a coin has {COIN}"
    if high >= COIN:
        return f"not shown to be better than a coin: Brier score {_in_words(brier)}"
    best = max(always_up, 1 - always_up)
    if accuracy[1] <= best:
        return f"better than a coin by its Brier score, {_in_words(brier)}, but not more often right than one direction"
    return f"better than a coin: Brier score {_in_words(brier)}, right in {accuracy[0]:.1%} of hours"


def _in_words(interval: Interval) -> str:
    return "{:.4f} [{:.4f}, {:.4f}]".format(*interval)


# ---------------------------------------------------------------- when to retrain


@dataclass(frozen=True)
class RetrainBelow:
    """Retrain when fewer than a share of the last forecasts were right.

    The rule is offered because it is common. It sees a coin as bad: of `0.6/24`, 85% of the windows of a coin fire.

    Attributes:
        share: the least share of right directions, in (0, 1].
        last: the number of latest forecasts that are counted.
    """

    share: float
    last: int

    @classmethod
    def parse(cls, text: str) -> "RetrainBelow":
        """Read `SHARE/LAST`, for example `0.6/24`.

        Raises:
            UsageError: the text is no such rule.
        """
        share, _, last = text.partition("/")
        try:
            rule = cls(float(share), int(last))
        except ValueError:
            rule = cls(0, 0)
        if not (0 < rule.share <= 1 and 0 < rule.last <= 10_000):
            raise UsageError(
                f"{text[:40]!r} is not a rule for retraining: SHARE/LAST was needed, a share of right directions, or "
                "of gains on paper, between 0 and 1 and a number of them, such as 0.6/24. Correct it."
            )
        return rule

    @property
    def least(self) -> int:
        """The fewest right directions that are enough."""
        return int(np.ceil(round(self.share * self.last, 9)))

    def fires(self, hits: Sequence[bool] | Bools) -> bool:
        """Whether too few of the last forecasts were right; not before there are enough of them."""
        return len(hits) >= self.last and int(np.sum(hits[-self.last :])) < self.least


def retrain_on_evidence(probability: Floats, up: Bools, closed_at: NDArray[np.datetime64]) -> str:
    """The reason to retrain out of turn by the default rule: the whole interval of the Brier score is above a coin's.

    Returns:
        The reason with the numbers; empty if there is none, or there are fewer than five days.
    """
    if len(np.unique((closed_at - np.timedelta64(1, "h")).astype("datetime64[D]"))) < bootstrap.LEAST:
        return ""
    found = brier_interval(probability, up, closed_at)
    return f"its Brier score is {_in_words(found)}, above a coin's {COIN}" if found[1] > COIN else ""


def summary(
    probability: Floats, up: Bools, move: Floats, closed_at: NDArray[np.datetime64], edges: Sequence[float]
) -> dict[str, Any]:
    """Everything about some forecasts: scores, intervals, reliability, hit rates by size of move, and the verdict.

    Args:
        probability: `(n,)`.
        up: `(n,)`.
        move: `(n,)`, log-returns that followed.
        closed_at: `(n,)`, the ends of the hours from which they were forecast.
        edges: between the sizes of moves, of log-returns.
    """
    measured = scores(probability, up)
    brier, accuracy = brier_interval(probability, up, closed_at), accuracy_interval(probability, up, closed_at)
    fee = break_even(probability, move, closed_at)
    return {
        **measured.figures(),
        "brier_lo": brier[1],
        "brier_hi": brier[2],
        "accuracy_lo": accuracy[1],
        "accuracy_hi": accuracy[2],
        "break_even_bps": fee[0],
        "break_even_bps_lo": fee[1],
        "break_even_bps_hi": fee[2],
        "calibration_error_of_a_perfect_model": expected_calibration_error(probability),
        "reliability": [asdict(group) for group in measured.reliability],
        "hit_rate_by_size": [asdict(group) for group in hit_rate_by_size(probability, up, np.abs(move), edges)],
        "verdict": verdict(brier, measured.always_up, accuracy),
    }
