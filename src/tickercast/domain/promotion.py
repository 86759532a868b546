"""Whether a challenger replaces the champion: decided by value, on evidence from the same origins.

The rule. A challenger is promoted if all of these hold:

1. there are at least `MIN_ORIGINS` paired origins, none of which it or the champion was trained on;
2. its loss is below the random walk's, and its 80 % intervals cover between 70 % and 90 %;
3. it is better than the champion, the whole 95 % interval of the ratio of their losses below 1; or it is not
   worse, the ratio at most 1 and the interval's end at most `1 + MARGIN`, and it has seen later dates.

>>> decide(Evidence(500, (0.98, 0.97, 0.99), (0.97, 0.95, 0.99), 0.79, 0)).reason
'better than the champion: ratio 0.980 [0.970, 0.990] over 500 origins'
>>> decide(Evidence(500, (1.01, 0.99, 1.03), (0.97, 0.95, 0.99), 0.79, 30)).promote
False
"""

from dataclasses import dataclass

MIN_ORIGINS = 100
"""Fewer say nothing: ten steps of one origin are nearly one observation."""

MARGIN = 0.01
"""How much worse a fresher challenger may turn out to be, at the end of the interval."""

COVERAGE_80 = (0.70, 0.90)
"""Outside of this an 80 % interval misleads, whatever its loss."""

Interval = tuple[float, float, float]
"""A ratio of losses, and the ends of its 95 % interval."""


@dataclass(frozen=True)
class Evidence:
    """What a paired backtest says.

    Attributes:
        origins: how many, all after what either model was trained on.
        vs_champion: the ratio of the challenger's loss to the champion's.
        vs_random_walk: the ratio of the challenger's loss to the random walk's.
        coverage_80: of the challenger's 80 % intervals.
        fresher_days: by which the challenger's training data reach further.
    """

    origins: int
    vs_champion: Interval
    vs_random_walk: Interval
    coverage_80: float
    fresher_days: int


@dataclass(frozen=True)
class Decision:
    """What is done, and why, in words with the numbers."""

    promote: bool
    reason: str


def decide(evidence: Evidence) -> Decision:
    """Applies the rule of this module."""
    low, high = COVERAGE_80
    ratio, _, end = evidence.vs_champion
    against = f"ratio {_said(evidence.vs_champion)} over {evidence.origins} origins"
    if evidence.origins < MIN_ORIGINS:
        return Decision(False, f"too few origins: {evidence.origins}, and at least {MIN_ORIGINS} were needed")
    if evidence.vs_random_walk[0] >= 1:
        return Decision(False, f"no better than the random walk: ratio {_said(evidence.vs_random_walk)}")
    if not low <= evidence.coverage_80 <= high:
        return Decision(
            False, f"its 80 % intervals cover {evidence.coverage_80:.1%}: {low:.0%} to {high:.0%} was needed"
        )
    if end < 1:
        return Decision(True, f"better than the champion: {against}")
    if ratio <= 1 and end <= 1 + MARGIN and evidence.fresher_days > 0:
        return Decision(True, f"not worse than the champion and {evidence.fresher_days} days fresher: {against}")
    return Decision(False, f"not shown to be better than the champion: {against}")


def _said(interval: Interval) -> str:
    return "{:.3f} [{:.3f}, {:.3f}]".format(*interval)
