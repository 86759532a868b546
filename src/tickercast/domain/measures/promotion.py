"""Promotion and probation: which model is served, decided by value, on evidence.

**Promotion**, from a backtest of both on the same origins. A challenger replaces the champion if all of these hold:

1. there are at least `MIN_ORIGINS` paired origins, none of which it or the champion was trained on, over half a year or
   more: fewer blocks of time give no interval, and decide nothing;
2. its loss is below the random walk's, and its 80% intervals cover between 70% and 90%;
3. it is better than the champion, the whole 95% interval of the ratio of their losses below 1; or it is not
   worse, the ratio at most 1 and the interval's end at most `1 + MARGIN`, and it has seen later dates.

**Demotion**, from the same backtest. A champion that is shown to be worse than the best baseline, the whole interval of
the ratio above 1, is served no longer: the baseline takes its place, until a challenger is shown to be better than it.

**Probation**, from the closes that came true. The former champion goes on forecasting as the shadow for `PROBATION`
sessions. The new one is rolled back as soon as its realised loss is significantly above the shadow's, and confirmed if
that has not happened by then. Nothing is promoted during a probation, nor for `COOLING` sessions after a rollback.

**Training**. A challenger is tuned, not only refitted, if the champion's realised scores are bad or its inputs have
drifted.

>>> decide(Evidence(500, (0.98, 0.97, 0.99), (0.97, 0.95, 0.99), 0.79, 0)).reason
'better than the champion: ratio 0.980 [0.970, 0.990] over 500 origins'
>>> decide(Evidence(500, (1.01, 0.99, 1.03), (0.97, 0.95, 0.99), 0.79, 30)).promote
False
>>> same, worse = (1.0, 0.99, 1.02), (1.1, 1.05, 1.2)
>>> decide(Evidence(500, same, (0.97, 0.95, 0.99), 0.79, 0, "ewma-t", same, champion_vs_baseline=worse)).action
'demoted'
>>> review(Realised(8, 40, (1.3, 1.1, 1.5)), sessions=8)[0]
'rolled back'
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from tickercast.domain.measures.intervals import Interval, in_words

MIN_ORIGINS = 100
"""Fewer origins prove nothing: the steps of one origin are nearly one observation."""

MARGIN = 0.01
"""The margin by which a fresher challenger may turn out worse, at the end of the interval."""

NETWORK_MARGIN = 0.002
"""The margin by which an hourly network may be worse than `har-season` on the half-year before."""

COVERAGE_80 = (0.70, 0.90)
"""Outside this range an 80% interval misleads, whatever its loss."""

PROBATION = 20
"""Sessions for which a new champion is compared with the one that it replaced: ten full forecasts come true."""

COOLING = 10
"""Sessions after a rollback in which nothing is promoted: the length of a forecast."""

MIN_DATES = 5
"""The fewest target dates on which realised losses can be compared."""


@dataclass(frozen=True)
class Evidence:
    """The result of a paired evaluation.

    Attributes:
        origins: the number of origins, all after the training dates of both models.
        vs_champion: the ratio of the challenger's loss to that of the served model.
        vs_random_walk: the ratio of the challenger's loss to the random walk's.
        coverage_80: the coverage of the challenger's 80% intervals.
        fresher_days: the number of days by which the challenger's training data reach further; 0 where a baseline is
            served.
        baseline: the best baseline that can be served; the served one where one is; empty if none was evaluated.
        vs_baseline: the ratio of the challenger's loss to its loss.
        champion_vs_baseline: the ratio of the champion's loss to its loss; None where it is served already.
    """

    origins: int
    vs_champion: Interval
    vs_random_walk: Interval
    coverage_80: float
    fresher_days: int
    baseline: str = ""
    vs_baseline: Interval | None = None
    champion_vs_baseline: Interval | None = None

    @property
    def rival(self) -> str:
        """The model that the challenger is compared with: the champion, or the baseline that is served in its place."""
        return self.baseline if self.baseline and self.champion_vs_baseline is None else "the champion"


@dataclass(frozen=True)
class Decision:
    """A decision, and its reason in words with the numbers."""

    action: Literal["promoted", "kept", "demoted"]
    reason: str

    @property
    def promote(self) -> bool:
        """Whether the challenger is served."""
        return self.action == "promoted"


@dataclass(frozen=True)
class Realised:
    """The realised score of one model against another.

    Attributes:
        dates: target dates that both have forecast.
        origins: the number of pairs of a symbol and a cutoff.
        ratio: the ratio of the model's loss to the other's.
    """

    dates: int
    origins: int
    ratio: Interval


@dataclass(frozen=True)
class Condition:
    """The condition of the champion.

    Attributes:
        realised: the champion's loss against the random walk's over the last weeks; None if too few closes have come
            true.
        coverage_80: the coverage of its 80% intervals over the same weeks.
        drift: the drifted measures, in words.
        losses: the strategies on paper whose last results were bad, in words.
    """

    realised: Realised | None
    coverage_80: float
    drift: Sequence[str] = ()
    losses: Sequence[str] = ()


def decide(evidence: Evidence) -> Decision:
    """Apply the rules of promotion and demotion.

    Returns:
        The reason says what the challenger is, in words that follow "is"; that of a demotion is a sentence.
    """
    if evidence.origins < MIN_ORIGINS:
        return Decision(
            "kept", f"compared on too few origins: {evidence.origins}, and at least {MIN_ORIGINS} were needed"
        )
    naive, rival = evidence.champion_vs_baseline, evidence.vs_baseline
    if naive is None or rival is None or naive[1] <= 1:
        return _challenge(evidence, evidence.rival, evidence.vs_champion)
    challenged = _challenge(replace(evidence, fresher_days=0), evidence.baseline, rival)
    if challenged.promote:
        return challenged
    shown = f"ratio {in_words(naive)} over {evidence.origins} origins"
    return Decision(
        "demoted",
        f"the champion is shown to be worse than {evidence.baseline}: {shown}; the challenger is {challenged.reason}",
    )


def _challenge(evidence: Evidence, rival: str, ratio: Interval) -> Decision:
    """Whether the challenger takes the place of what it is compared with."""
    low, high = COVERAGE_80
    against = f"ratio {in_words(ratio, borders=(1, 1 + MARGIN))} over {evidence.origins} origins"
    if evidence.vs_random_walk[0] >= 1:
        return Decision("kept", f"no better than the random walk: ratio {in_words(evidence.vs_random_walk)}")
    if not low <= evidence.coverage_80 <= high:
        covered = f"its 80% intervals cover {evidence.coverage_80:.1%}, and {low:.0%} to {high:.0%} was needed"
        return Decision("kept", f"not calibrated: {covered}")
    if ratio[2] < 1:
        return Decision("promoted", f"better than {rival}: {against}")
    if ratio[0] <= 1 and ratio[2] <= 1 + MARGIN and evidence.fresher_days > 0:
        return Decision("promoted", f"not worse than {rival} and {evidence.fresher_days} days fresher: {against}")
    return Decision("kept", f"not shown to be better than {rival}: {against}")


def decide_network(before: Interval, after: Interval) -> Decision:
    """Apply the rule by which an hourly network replaces `har-season`.

    It has to be better on the half-year after its training, the whole interval below 1, and not worse on the half-year
    before, by a network that was trained without it. Blocks held out inside a training promise more than they keep.

    Args:
        before: the ratio of its loss to the regression's on the half-year before.
        after: the ratio on the half-year after.

    >>> decide_network((0.999, 0.992, 1.006), (0.997, 0.993, 1.001)).promote
    False
    """
    earlier = in_words(before, borders=(1, 1 + NETWORK_MARGIN))
    seen = f"ratio to har-season {in_words(after)} on the half-year after, {earlier} on the one before"
    if after[2] >= 1:
        return Decision("kept", f"not shown to be better than har-season: {seen}")
    if before[0] > 1 + NETWORK_MARGIN:
        return Decision("kept", f"worse than har-season on the half-year before: {seen}")
    return Decision("promoted", f"better than har-season: {seen}")


def decide_demotion(name: str, baseline: str, ratio: Interval) -> Decision:
    """Whether a champion of hourly bars is shown to be worse than the best baseline.

    Args:
        name: the champion.
        baseline: the best baseline.
        ratio: the champion's loss over the baseline's.

    >>> decide_demotion("har-season", "ewma-t", (1.02, 1.01, 1.03)).reason
    'har-season is shown to be worse than ewma-t: ratio 1.020 [1.010, 1.030]'
    """
    is_worse = ratio[1] > 1
    shown = f"{name} is {'' if is_worse else 'not '}shown to be worse than {baseline}: ratio {in_words(ratio)}"
    return Decision("demoted" if is_worse else "kept", shown)


def decide_rival(name: str, champion: str, ratio: Interval) -> Decision:
    """Whether a model of hourly bars takes the champion's place: the whole interval of the ratio has to be below 1."""
    better = ratio[2] < 1
    shown = f"{'' if better else 'not shown to be '}better than {champion}: ratio {in_words(ratio)}"
    return Decision("promoted" if better else "kept", f"{name} is {shown}")


def review(realised: Realised | None, sessions: int) -> tuple[Literal["rolled back", "confirmed", "waiting"], str]:
    """Apply the rule of probation.

    Args:
        realised: the champion's loss against its shadow's; None if too few closes have come true.
        sessions: the number of sessions since the champion was promoted.

    Returns:
        The action, and its reason.
    """
    if realised is not None:
        low = realised.ratio[1]
        against = f"ratio {in_words(realised.ratio)} over {realised.dates} dates and {realised.origins} origins"
        if low > 1:
            return "rolled back", f"its forecasts scored worse than those of the version it replaced: {against}"
        if sessions >= PROBATION:
            return "confirmed", f"{sessions} sessions without being shown to be worse: {against}"
        left = PROBATION - sessions
        return "waiting", f"on probation for {left} more session{'' if left == 1 else 's'}: {against}"
    if sessions >= 2 * PROBATION:
        return "confirmed", f"{sessions} sessions in which too few forecasts came true to compare"
    return "waiting", f"on probation: fewer than {MIN_DATES} dates have come true"


def standstill(*, on_probation: bool, since_rollback: int | None) -> str:
    """The reason why no challenger is wanted now; empty if one is.

    Args:
        on_probation: whether the champion has a shadow.
        since_rollback: sessions since the last rollback, None if there was none.
    """
    if on_probation:
        return "the champion is on probation"
    if since_rollback is not None and since_rollback < COOLING:
        return f"{since_rollback} sessions after a rollback, and {COOLING} were needed"
    return ""


def training(condition: Condition) -> tuple[Literal["refitted", "tuned"], str]:
    """Whether the next challenger is tuned, and why."""
    low, high = COVERAGE_80
    realised = condition.realised
    if realised is not None and realised.ratio[1] > 1:
        return "tuned", f"forecasts scored worse than the random walk's: ratio {in_words(realised.ratio)}"
    if realised is not None and realised.origins >= MIN_ORIGINS and not low <= condition.coverage_80 <= high:
        return "tuned", f"80% intervals covered {condition.coverage_80:.1%} over {realised.origins} forecasts"
    if condition.drift:
        return "tuned", f"drift: {'; '.join(condition.drift)}"
    if condition.losses:
        return "tuned", f"on paper: {'; '.join(condition.losses)}"
    return "refitted", "no reason for another recipe"
