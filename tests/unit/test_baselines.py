"""The random walk's cone: centred on the last close, as wide as the last sixty returns say."""

from collections.abc import Callable

import numpy as np
import pytest

from tickercast.domain.bars import Bars
from tickercast.domain.forecast import stored
from tickercast.errors import TooFewSessions
from tickercast.models.baselines import RandomWalk


def test_the_median_is_the_last_close(make_bars: Callable[..., Bars]) -> None:
    assert not RandomWalk().predict([make_bars()])[:, :, 6].any()


def test_the_cone_is_gaussian_and_grows_with_the_root_of_the_step(make_bars: Callable[..., Bars]) -> None:
    bars = make_bars()
    sigma = np.sqrt(np.mean(np.diff(np.log(bars.frame["adj_close"].to_numpy()[-61:])) ** 2))
    first, fourth = stored(RandomWalk().predict([bars]))[0, [0, 3]]
    assert first == pytest.approx(sigma * np.array([0, -1.281552, 1.281552, -1.959964, 1.959964]))
    assert fourth == pytest.approx(2 * first)


def test_constant_prices_have_no_cone(make_bars: Callable[..., Bars]) -> None:
    bars = make_bars()
    assert not RandomWalk().predict([Bars("X", bars.frame.assign(adj_close=5.0))]).any()


def test_sixty_one_sessions_are_enough_and_sixty_are_not(make_bars: Callable[..., Bars]) -> None:
    assert RandomWalk().predict([make_bars(sessions=61)]).shape == (1, 10, 13)
    with pytest.raises(TooFewSessions, match="at least 61"):
        RandomWalk().predict([make_bars(sessions=60)])
