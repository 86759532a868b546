"""The metrics on rows worked by hand."""

import numpy as np
import pytest

from tickercast.domain.measures.metrics import covered, pinball, winkler

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
