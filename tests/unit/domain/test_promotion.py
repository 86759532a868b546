"""The rules of a promotion."""

import math

import pytest

from tickercast.domain.measures.intervals import Interval
from tickercast.domain.measures.promotion import Evidence, decide

TOO_SHORT = (0.5, 0.0, math.inf)
BETTER, ALIKE, WORSE = (0.98, 0.97, 0.99), (1.0, 0.992, 1.008), (1.02, 1.01, 1.03)
UNSURE = (0.99, 0.95, 1.03)
BARELY_WORSE = (1.005, 1.0, 1.009)
READS_AFTER_IS = {"better", "not", "no", "compared"}


@pytest.mark.parametrize(
    ("origins", "vs_champion", "vs_random_walk", "coverage_80", "fresher_days", "promote", "why"),
    [
        (500, BETTER, BETTER, 0.8, 0, True, "better than the champion"),
        (500, BETTER, BETTER, 0.8, -90, True, "better than the champion"),
        (500, ALIKE, BETTER, 0.8, 30, True, "30 days fresher"),
        (500, ALIKE, BETTER, 0.8, 0, False, "not shown to be better"),
        (500, UNSURE, BETTER, 0.8, 30, False, "not shown to be better"),
        (500, BARELY_WORSE, BETTER, 0.8, 30, False, "not shown to be better"),
        (
            500,
            TOO_SHORT,
            BETTER,
            0.8,
            30,
            False,
            "0.500 (too short a time for an interval)",
        ),
        (500, WORSE, BETTER, 0.8, 900, False, "not shown to be better"),
        (500, BETTER, WORSE, 0.8, 30, False, "random walk"),
        (500, BETTER, ALIKE, 0.8, 30, False, "random walk"),
        (500, BETTER, BETTER, 0.69, 30, False, "cover 69.0%"),
        (500, BETTER, BETTER, 0.91, 30, False, "cover 91.0%"),
        (99, BETTER, BETTER, 0.8, 30, False, "too few origins: 99"),
        (100, BETTER, BETTER, 0.7, 30, True, "better than the champion"),
    ],
)
def test_the_rule_case_by_case(
    origins: int,
    vs_champion: tuple[float, float, float],
    vs_random_walk: tuple[float, float, float],
    coverage_80: float,
    fresher_days: int,
    promote: bool,
    why: str,
) -> None:
    decision = decide(Evidence(origins, vs_champion, vs_random_walk, coverage_80, fresher_days))
    assert decision.promote is promote
    assert why in decision.reason
    assert decision.reason.split()[0] in READS_AFTER_IS


@pytest.mark.parametrize(
    ("origins", "vs_champion", "vs_baseline", "champion_vs_baseline", "action", "why"),
    [
        (
            500,
            ALIKE,
            ALIKE,
            WORSE,
            "demoted",
            "the champion is shown to be worse than ewma-t: ratio 1.020 [1.010, 1.030]",
        ),
        (500, BETTER, ALIKE, WORSE, "demoted", "the challenger is not shown to be better than ewma-t"),
        (500, BETTER, BETTER, WORSE, "promoted", "better than ewma-t"),
        (500, BETTER, ALIKE, ALIKE, "promoted", "better than the champion"),
        (500, ALIKE, ALIKE, (1.01, 1.0, 1.02), "kept", "not shown to be better than the champion"),
        (500, ALIKE, ALIKE, (2.0, 0.0, math.inf), "kept", "not shown to be better than the champion"),
        (99, ALIKE, ALIKE, WORSE, "kept", "too few origins: 99"),
        (500, BETTER, BETTER, None, "promoted", "better than ewma-t"),
        (500, ALIKE, ALIKE, None, "kept", "not shown to be better than ewma-t"),
    ],
)
def test_a_champion_that_is_shown_to_be_worse_than_a_baseline_makes_place_for_it(
    origins: int,
    vs_champion: Interval,
    vs_baseline: Interval,
    champion_vs_baseline: Interval | None,
    action: str,
    why: str,
) -> None:
    """None: the baseline is served already, and the challenger is compared with it."""
    decision = decide(Evidence(origins, vs_champion, BETTER, 0.8, 0, "ewma-t", vs_baseline, champion_vs_baseline))
    assert decision.action == action
    assert why in decision.reason


def test_fresher_data_do_not_win_against_a_baseline() -> None:
    assert decide(Evidence(500, ALIKE, BETTER, 0.8, 30, "ewma-t", ALIKE, WORSE)).action == "demoted"


def test_a_challenger_that_is_not_calibrated_is_said_to_be_that_where_the_champion_is_demoted() -> None:
    decision = decide(Evidence(500, BETTER, BETTER, 0.596, 0, "ewma-t", BETTER, WORSE))
    said = "; the challenger is not calibrated: its 80% intervals cover 59.6%, and 70% to 90% was needed"
    assert decision.action == "demoted"
    assert decision.reason.endswith(said)


@pytest.mark.parametrize(
    ("ratio", "fresher", "said"),
    [
        ((0.98, 0.966, 0.99996), 0, "better than the champion: ratio 0.980 [0.966, 0.99996] over 500 origins"),
        ((0.98, 0.966, 1.00004), 0, "not shown to be better than the champion: ratio 0.980 [0.966, 1.00004] over"),
        ((0.99, 0.98, 1.0103), 9, "not shown to be better than the champion: ratio 0.990 [0.980, 1.0103] over"),
        ((1.0, 0.98, 1.01), 9, "not worse than the champion and 9 days fresher: ratio 1.000 [0.980, 1.010] over"),
    ],
)
def test_figures_at_the_border_have_the_decimals_that_show_why(
    ratio: tuple[float, float, float], fresher: int, said: str
) -> None:
    assert decide(Evidence(500, ratio, (0.97, 0.95, 0.99), 0.79, fresher)).reason.startswith(said)
