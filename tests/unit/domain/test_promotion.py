"""The rules of a promotion."""

import pytest

from tickercast.domain.promotion import Evidence, decide

BETTER, ALIKE, WORSE = (0.98, 0.97, 0.99), (1.0, 0.992, 1.008), (1.02, 1.01, 1.03)
UNSURE = (0.99, 0.95, 1.03)


@pytest.mark.parametrize(
    ("origins", "vs_champion", "vs_random_walk", "coverage_80", "fresher_days", "promote", "why"),
    [
        (500, BETTER, BETTER, 0.8, 0, True, "better than the champion"),
        (500, BETTER, BETTER, 0.8, -90, True, "better than the champion"),
        (500, ALIKE, BETTER, 0.8, 30, True, "30 days fresher"),
        (500, ALIKE, BETTER, 0.8, 0, False, "not shown to be better"),
        (500, UNSURE, BETTER, 0.8, 30, False, "not shown to be better"),
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
