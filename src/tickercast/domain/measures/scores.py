"""The score of a forecast, once its close has come true; the names are those of the view `score_revisions`.

>>> one = {name: np.array([value]) for name, value in zip(LEVELS, (101.0, 95.0, 105.0, 90.0, 110.0))}
>>> scored = errors(np.array([100.0]), one, np.array([102.0]))
>>> round(float(scored["absolute_error"][0]), 2), bool(scored["inside_80"][0])
(1.0, True)
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tickercast.domain.forecast import LEVELS, RANDOM_WALK

_COUNTS = ("inside_80", "inside_95", "direction_right", "direction_stated")

SUMS = ("n", "backfilled", *_COUNTS, "loss", "walk_loss", "error", "walk_error")
"""The columns of `skill_blocks` that add up."""

BLOCK_DAYS = 28
"""The days of cutoffs that a block holds."""

Values = Mapping[str, NDArray[Any]]


def errors(last_close: NDArray[np.float64], levels: Values, actual: NDArray[np.float64]) -> dict[str, NDArray[Any]]:
    """The errors of n forecasts, as the view `score_revisions` works them out.

    Args:
        last_close: `(n,)`, the closes at the cutoffs.
        levels: `(n,)` for each of `LEVELS`, in the same prices.
        actual: `(n,)`, the closes that came true, in the same prices.
    """
    move, median = np.log(actual / last_close), levels["close_median"]
    stated = median != last_close
    missed = {level: move - np.log(levels[name] / last_close) for name, level in LEVELS.items()}
    return {
        "loss": np.mean([np.maximum(miss, 0) - (1 - level) * miss for level, miss in missed.items()], axis=0),
        "absolute_error": np.abs(actual - median),
        "walk_error": np.abs(actual - last_close),
        "inside_80": (actual >= levels["close_lo_80"]) & (actual <= levels["close_hi_80"]),
        "inside_95": (actual >= levels["close_lo_95"]) & (actual <= levels["close_hi_95"]),
        "direction_right": stated & (np.sign(median - last_close) == np.sign(actual - last_close)),
        "direction_stated": stated,
    }


def addends(scores: Values) -> dict[str, NDArray[Any]]:
    """The summands that n scores add to `skill_blocks`: `has_scale` and `SUMS`.

    Args:
        scores: columns of `scores`, and `backfilled`; `scale` is NaN where the random walk has no forecast.
    """
    scored = errors(scores["last_close"], scores, scores["actual_close"])
    own, width = scores["model_name"] == RANDOM_WALK, np.log(scores["close_hi_80"] / scores["close_lo_80"])
    scale = np.where(own, width, scores["scale"])
    scale = np.where(scale > 0, scale, np.nan)
    relative = scores["last_close"] * scale
    sums = {
        "loss": scored["loss"] / scale,
        "walk_loss": np.where(own, scored["loss"], scores["walk_loss"]) / scale,
        "error": scored["absolute_error"] / relative,
        "walk_error": scored["walk_error"] / relative,
    }
    return {
        "has_scale": np.isfinite(scale),
        "n": np.ones(len(scale), np.int64),
        "backfilled": scores["backfilled"].astype(np.int64),
        **{name: scored[name].astype(np.int64) for name in _COUNTS},
        **{name: np.nan_to_num(values) for name, values in sums.items()},
    }
