"""The metrics on rows worked by hand."""

import numpy as np
import pytest

from tickercast.domain.forecast import LEVELS as LEVELS_STORED
from tickercast.domain.measures.metrics import covered, pinball, winkler
from tickercast.domain.measures.scores import errors

LEVELS = np.array([0.1, 0.5, 0.9])


def test_pinball_charges_the_level_above_and_its_complement_below() -> None:
    loss = pinball(np.array([4.0]), np.array([[1.0, 4.0, 6.0]]), LEVELS)
    assert loss[0] == pytest.approx([0.1 * 3, 0, 0.1 * 2])


def test_the_median_pays_half_the_absolute_error() -> None:
    assert pinball(np.array(2.0), np.array([5.0]), np.array([0.5])) == pytest.approx([1.5])


def test_winkler_is_the_width_inside_and_adds_a_penalty_outside() -> None:
    low, high = np.zeros(3), np.full(3, 2.0)
    # 95%: 2/0.05 = 40 a unit outside
    assert winkler(np.array([1.0, 2.5, -0.1]), low, high, 0.95) == pytest.approx([2, 2 + 20, 2 + 4])


def test_the_bounds_count_as_inside() -> None:
    inside = covered(np.array([0.0, 1.0, 2.0, 3.0]), np.zeros(4), np.full(4, 2.0))
    assert inside.tolist() == [True, True, True, False]


def test_a_score_counts_a_close_at_an_end_as_inside_and_no_direction_of_a_median_that_stays() -> None:
    last, median = np.full(4, 10.0), np.array([10.0, 10.0, 11.0, 11.0])
    levels = dict.fromkeys(LEVELS_STORED, median) | {
        **{name: np.full(4, 9.0) for name in ("close_lo_80", "close_lo_95")},
        **{name: np.full(4, 12.0) for name in ("close_hi_80", "close_hi_95")},
    }
    found = errors(last, levels, np.array([10.0, 9.0, 12.0, 8.0]))
    assert found["inside_80"].tolist() == found["inside_95"].tolist() == [True, True, True, False]
    assert found["direction_stated"].tolist() == [False, False, True, True]
    assert found["direction_right"].tolist() == [False, False, True, False]
