"""The score of a forecast, once its close has come true; the names are those of the table `scores`.

>>> one = {name: np.array([value]) for name, value in zip(LEVELS, (101.0, 95.0, 105.0, 90.0, 110.0))}
>>> scored = errors(np.array([100.0]), one, np.array([0.02]))
>>> round(float(scored["actual_close"][0]), 2), bool(scored["inside_80"][0])
(102.02, True)
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tickercast.domain.forecast import LEVELS

SUMS = ("n", "backfilled", "inside_80", "inside_95", "direction_right", "loss", "walk_loss", "error", "walk_error")
"""The columns of `skill_blocks` that add up."""

BLOCK_DAYS = 28
"""The days of cutoffs that a block holds."""

_PINBALL = {
    "pinball_025": "close_lo_95",
    "pinball_100": "close_lo_80",
    "pinball_500": "close_median",
    "pinball_900": "close_hi_80",
    "pinball_975": "close_hi_95",
}

Values = Mapping[str, NDArray[Any]]


def errors(last_close: NDArray[np.float64], levels: Values, move: NDArray[np.float64]) -> dict[str, NDArray[Any]]:
    """The errors of n forecasts.

    Args:
        last_close: `(n,)`, the closes at the cutoffs.
        levels: `(n,)` for each of `LEVELS`, in the same prices.
        move: `(n,)`, the log-returns that came true.
    """
    actual, median = last_close * np.exp(move), levels["close_median"]
    made: dict[str, NDArray[Any]] = {}
    for name, level in _PINBALL.items():
        missed = move - np.log(levels[level] / last_close)
        made[name] = np.maximum(missed, 0) - (1 - LEVELS[level]) * missed
    return made | {
        "loss": np.mean([made[name] for name in _PINBALL], axis=0),
        "actual_close": actual,
        "absolute_error": np.abs(actual - median),
        "walk_error": np.abs(actual - last_close),
        "inside_80": (actual >= levels["close_lo_80"]) & (actual <= levels["close_hi_80"]),
        "inside_95": (actual >= levels["close_lo_95"]) & (actual <= levels["close_hi_95"]),
        "direction_right": np.sign(median - last_close) == np.sign(actual - last_close),
    }


def addends(scored: Values) -> dict[str, NDArray[Any]]:
    """What n scores add to `skill_blocks`: `has_scale` and `SUMS`.

    Args:
        scored: columns of `scores`; `scale` is NaN where the random walk has no forecast.
    """
    scale = np.where(scored["scale"] > 0, scored["scale"], np.nan)
    counts = {name: scored[name].astype(np.int64) for name in SUMS[1:5]}
    relative = scored["last_close"] * scale
    sums = {
        "loss": scored["loss"] / scale,
        "walk_loss": scored["walk_loss"] / scale,
        "error": scored["absolute_error"] / relative,
        "walk_error": scored["walk_error"] / relative,
    }
    return {
        "has_scale": np.isfinite(scale),
        "n": np.ones(len(scale), np.int64),
        **counts,
        **{name: np.nan_to_num(values) for name, values in sums.items()},
    }
