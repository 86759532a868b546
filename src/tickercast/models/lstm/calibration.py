"""The calibration: factors around the median that widen or narrow the networks' quantiles, fitted on unseen data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TypeAlias

import keras
import numpy as np
from numpy.typing import NDArray

from tickercast.domain.asset_classes import WITHOUT_DRIFT, asset_class
from tickercast.domain.bars import Bars
from tickercast.domain.forecast import QUANTILES
from tickercast.domain.learning.features import HORIZON
from tickercast.domain.measures.metrics import pinball
from tickercast.models.lstm.examples import NEEDED, Examples, batches, examples
from tickercast.models.lstm.network import compiled

Floats = NDArray[np.float64]
Table: TypeAlias = tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Fold:
    """One trained network, with its output for the blocks that it has not seen.

    Attributes:
        model: (steps, statics) to z.
        z: `(n, HORIZON, quantiles)`, its output for the validation examples.
        untrained: `(HORIZON, quantiles)`, its output before the training.
        validation: n examples.
        curves: each loss by epoch, under Keras's name; `val_…` is on the validation blocks.
    """

    model: keras.Model
    z: Floats
    untrained: Floats
    validation: Examples
    curves: Mapping[str, Sequence[float]]


def answer(model: keras.Model, sample: Examples, view: int | None = None) -> Floats:
    """Compute the network's z, `(n, HORIZON, quantiles)`.

    Args:
        model: the network.
        sample: n examples.
        view: the view of results days that it has, one of `examples.VIEWS`; None for none.
    """
    run, statics = compiled(model), sample.statics
    if model.inputs[1].shape[1] > statics.shape[1]:
        known = np.zeros_like(sample.results[:, 0]) if view is None else sample.results[:, view]
        statics = np.concatenate([statics, known], axis=1)
    parts = [run(sample.steps[rows], statics[rows]) for rows in batches(len(sample), 1024)]
    return np.concatenate(parts).astype(np.float64)


def calibration(folds: Sequence[Fold]) -> float:
    """The factor around the median that would have been best on the validation blocks, shrunk halfway to 1.

    The loss is convex in the factor, so that halving finds its lowest point on the grid.
    """
    factors = np.linspace(0.8, 1.3, 51)
    low, high = 0, len(factors) - 1
    while low < high:
        middle = (low + high) // 2
        here, next_one = (scaled_pinball(folds, float(factor)) for factor in factors[middle : middle + 2])
        low, high = (low, middle) if here <= next_one else (middle + 1, high)
    return round(float(1 + (factors[low] - 1) / 2), 4)


@dataclass(frozen=True)
class ClassCalibration:
    """The calibration of an asset class.

    Attributes:
        factors: `(HORIZON, quantiles)`, around the median.
        past: `(HORIZON, quantiles)`, the quantiles of its own past returns in units of σEWMA·√step, less the median.
        drift: the median log-return a session.
    """

    factors: Table
    past: Table
    drift: float


def calibrated(model: keras.Model, series: Sequence[Bars], trained_through: date) -> ClassCalibration | None:
    """The calibration of an asset class, from its last `_YEARS` years.

    The smoothed factors are shrunk towards 1: tails change from one market to the next (crypto's grew thinner after
    2020), the less can be told the fewer symbols there are.

    Returns:
        None with fewer than `_MIN_EXAMPLES` examples.
    """
    start = trained_through - _YEARS * timedelta(days=365)
    recent = [bars.since(start) for bars in series]
    if sum(max(len(bars.through(trained_through)) - NEEDED + 1, 0) for bars in recent) < _MIN_EXAMPLES:
        return None
    sample = examples(recent, trained_through)
    whole = examples(series, trained_through)
    drift = shrunk_drift(whole) if asset_class(series[0].symbol) not in WITHOUT_DRIFT else 0.0
    past = np.quantile(whole.returns.astype(np.float64), QUANTILES, axis=0).T
    factors = _smoothed(*_best_factors(answer(model, sample), sample, drift))
    share = len(series) / (len(series) + _SYMBOLS)
    past -= past[:, QUANTILES.index(0.5), None]
    return ClassCalibration(_table(1 + (factors - 1) * share), _table(past), drift)


def _table(values: Floats) -> Table:
    return tuple(tuple(row) for row in values.round(4).tolist())


def shrunk_drift(sample: Examples) -> float:
    """Two thirds of the median log-return a session, at the last step; 0 where it fell.

    What is traded today has survived, and so its past rose more than its future will. In units of its own volatility
    the drift would be the larger the wilder a symbol is, which no later years have shown.
    """
    moved = np.median(sample.returns[:, -1] * sample.sigma) / np.sqrt(HORIZON)
    return round(max(float(moved) * _DRIFT_SHARE, 0.0), 6)


def _smoothed(best: Floats, typical: Floats) -> Floats:
    """Regress the logarithm of the factors on 1, log step, t and t², with t growing towards the tails.

    Factors fitted to each step and quantile alone are noisy. Crypto has heavier tails than stocks, the more so the
    further ahead; of the forms tried, this one did best on held-out blocks of crypto sessions (2014 to 2020).

    Args:
        best: `(HORIZON, quantiles)`, the factors.
        typical: `(HORIZON, quantiles)`, the distances from the median that they scale.
    """
    middle = QUANTILES.index(0.5)
    step, level = (grid.ravel() for grid in np.meshgrid(np.arange(1, HORIZON + 1), QUANTILES, indexing="ij"))
    tail = -np.log(1 - np.abs(2 * level - 1))
    terms = np.stack([np.ones_like(tail), np.log(step), tail, tail**2], axis=1)
    weight = np.sqrt(typical.ravel())[:, None]
    fitted = np.linalg.lstsq(terms * weight, np.log(best).reshape(-1, 1) * weight, rcond=None)[0]
    reach = np.exp(terms @ fitted).reshape(best.shape) * typical
    reach[:, middle:] = np.maximum.accumulate(reach[:, middle:], axis=1)  # so that quantiles do not cross
    reach[:, middle::-1] = np.maximum.accumulate(reach[:, middle::-1], axis=1)
    factors: Floats = np.where(typical > 0, reach / np.where(typical > 0, typical, 1), 1.0).clip(0.5, 2)
    return factors


def _best_factors(z: Floats, sample: Examples, drift: float) -> tuple[Floats, Floats]:
    """The factor of each step and quantile that minimises its loss, and the mean distance that it scales.

    Let u be the distance of the actual return from the median, in units of the quantile's own distance. The loss is a
    weighted pinball loss of u, so its minimum is a weighted quantile of u.
    """
    middle = QUANTILES.index(0.5)
    distance = np.abs(z - z[:, :, middle, None])
    moved = sample.returns - drift * np.sqrt(np.arange(1, HORIZON + 1)) / sample.sigma[:, None]
    best = np.ones(z.shape[1:])
    for step, index in np.ndindex(best.shape):
        if index != middle:
            weight = sample.weight * distance[:, step, index]
            u = moved[:, step] / distance[:, step, index]
            order = np.argsort(u)
            share = np.cumsum(weight[order]) / weight.sum()
            found = u[order[min(int(np.searchsorted(share, QUANTILES[index])), len(u) - 1)]]
            best[step, index] = np.clip(found if index > middle else -found, 0.5, 2)
    return best, distance.mean(axis=0)


_YEARS, _SYMBOLS = 6, 2
_DRIFT_SHARE = 2 / 3
_MIN_EXAMPLES = 1000  # some years, to fit the four coefficients behind 130 factors


def scaled_pinball(folds: Sequence[Fold], factor: float) -> float:
    """Mean scaled pinball loss on the validation blocks, with all quantiles stretched around the median by `factor`."""
    middle = QUANTILES.index(0.5)
    found = []
    for fold in folds:
        median = fold.z[:, :, middle, None]
        found.append(example_losses(median + factor * (fold.z - median), fold.validation))
    return float(np.concatenate(found).mean())


def untrained_pinball(folds: Sequence[Fold]) -> float:
    """Mean scaled pinball loss on the validation blocks before any training."""
    return float(np.concatenate([example_losses(fold.untrained[None], fold.validation) for fold in folds]).mean())


def example_losses(z: Floats, sample: Examples) -> Floats:
    """Scaled pinball loss of each example, averaged over steps and quantiles: `(n,)`."""
    loss: Floats = pinball(sample.returns.astype(np.float64), z, np.array(QUANTILES)).mean(axis=(1, 2)) * sample.weight
    return loss
