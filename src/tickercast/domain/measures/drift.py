"""Drift: whether the inputs, forecasts and performance of a model still resemble its training, decided by value.

The last `WINDOW` sessions of every watched symbol are compared with a sample of the training. Symbols move together and
volatility comes in waves, so that even in training any such window is far from the whole: tests that take rows as
independent would raise an alarm every day. A distance is drift if it is greater than the distances that windows of the
training itself had from the same sample; `domain.measures.reference` finds these limits, for all measures together, so
that at most one training window in forty would have been called drift by any of them.

>>> distances(np.array([[1.0], [3.0]]), np.array([[0.0], [2.0]])).tolist()
[1.0]
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from tickercast.domain.frequency import HOURLY, Frequency
from tickercast.domain.hourly import hour_features
from tickercast.domain.learning.features import HORIZON, STATIC_FEATURES, STEP_FEATURES
from tickercast.errors import BundleError

Floats = NDArray[np.float64]

WINDOW = 10
"""The last sessions of each symbol that are compared with the training."""

ORIGINS = 20
"""The last forecast origins, all their ten closes known, that performance is measured on."""

INPUTS = (*STEP_FEATURES, *STATIC_FEATURES)
"""The network's inputs at the last session."""

WIDTHS = tuple(f"width_{step}" for step in range(1, HORIZON + 1))
"""The measures of a forecast: the logarithm of the ratio of the ends of the 95% interval, by step."""

COLUMNS = (*INPUTS, *WIDTHS)
"""The columns that are compared by distance, in this order."""


@dataclass(frozen=True)
class Watched:
    """The inputs and measures in which models of one frequency are compared, and the number of bars.

    Attributes:
        inputs: the model's inputs.
        widths: measures of the 95% interval, by step.
        steps: the steps at which these widths are taken.
        window: the last bars of each symbol that are compared with the training.
        origins: the last forecast origins, all their closes known, that performance is measured on.
        horizon: the steps of a forecast.
        every: bars from one window of the training to the next, where limits are found.
        margin: the factor by which windows after a training may lie further from it than windows inside it.
    """

    inputs: tuple[str, ...]
    widths: tuple[str, ...]
    steps: tuple[int, ...]
    window: int
    origins: int
    horizon: int
    every: int
    margin: float = 1.0

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are compared by distance, in this order."""
        return (*self.inputs, *self.widths)


OF_DAYS = Watched(INPUTS, WIDTHS, tuple(range(1, HORIZON + 1)), WINDOW, ORIGINS, HORIZON, every=5)

_HOUR_STEPS = (1, 6, 12, 24)
OF_HOURS = Watched(
    inputs=tuple(name for name in hour_features.INPUTS if name != hour_features.LEVEL),
    widths=tuple(f"relative_width_{step}" for step in _HOUR_STEPS),
    steps=_HOUR_STEPS,
    window=168,
    origins=168,
    horizon=HOURLY.horizon,
    every=24,
    margin=1.25,
)
"""A week, so that each hour of it counts as much. The month's variance is left out, and widths are relative to it: the
models are, too, so that a calm month is no drift. A year of training holds but fifty weeks, hence the margin."""


def watched(frequency: Frequency) -> Watched:
    """The inputs and measures in which models of a frequency are compared."""
    return OF_DAYS if frequency.is_daily else OF_HOURS


LOSS, COVERAGE = "loss_to_walk", "coverage_80"
"""The measures of performance: the loss over the random walk's, and the share of closes inside the 80% interval."""

NOMINAL = 0.8
"""The nominal share."""

MARGINS = (LOSS, f"{COVERAGE}_below", f"{COVERAGE}_above")
"""The margins by which these may be worse than in the backtest: a share of the ratio, and shares of closes."""

AT_LEAST, AT_MOST = "at least", "at most"
"""The end of a performance finding's method: the side of its threshold that is good."""

DISTANCE = "Wasserstein distance (normed)"
"""Evidently's name for the method."""

_SMALLEST_DEVIATION = 0.001  # as Evidently has it


class Reference(BaseModel):
    """The reference of a version: a sample of its training, which later days are compared with.

    Attributes:
        symbols: the symbol of each sampled row.
        session_dates: the date of each sampled row; of an hour the date on which it ends.
        columns: the values of each of `Watched.columns` in the sampled rows.
        walk_ratio: the model's loss over the random walk's in training.
        coverage_80: the share of closes inside the 80% interval in training.
        limits: the limit of each of these columns and of `MARGINS`, by the number of watched symbols.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    symbols: tuple[str, ...]
    session_dates: tuple[date, ...]
    columns: Mapping[str, tuple[float, ...]]
    walk_ratio: float
    coverage_80: float
    limits: Mapping[int, Mapping[str, float]]

    def values(self, of: Watched = OF_DAYS) -> Floats:
        """The sample: `(rows, len(of.columns))`."""
        return np.array([self.columns[name] for name in of.columns]).T

    def limits_for(self, count: int) -> Mapping[str, float]:
        """The limits for a number of symbols: those of the next smaller number, which are wider."""
        return self.limits[max((size for size in self.limits if size <= count), default=min(self.limits))]


def reference_json(reference: Reference) -> bytes:
    """The content of a version's `reference.json`."""
    return reference.model_dump_json().encode() + b"\n"


def read_reference(data: bytes, of: Watched = OF_DAYS) -> Reference:
    """Read what `reference_json` wrote.

    Args:
        data: the content.
        of: the inputs and measures in which the model is compared.

    Raises:
        BundleError: the content does not parse, or was made for other columns.
    """
    try:
        read = Reference.model_validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        raise BundleError(
            f"reference.json does not parse: {'.'.join(map(str, first['loc'])) or 'the file'}: {first['msg']}. "
            "Serve another version."
        ) from error
    rows = {len(read.symbols), len(read.session_dates), *map(len, read.columns.values())}
    columns, limits = set(of.columns), {*of.columns, *MARGINS}
    if set(read.columns) != columns or len(rows) != 1 or any(set(one) != limits for one in read.limits.values()):
        raise BundleError(
            "reference.json was made for other inputs than this tickercast computes. Train a version with this "
            "release, or install the release that trained it."
        )
    return read


# ---------------------------------------------------------------- what is found


@dataclass(frozen=True)
class DriftFinding:
    """One measure of a day, as the table `drift` holds it.

    Attributes:
        kind: `input`, `prediction` or `performance`.
        name: the feature or measure.
        method: the distance, or the side on which the threshold lies.
        score: the value of the measure; see `significant`.
        threshold: where drift begins.
        drifted: whether the score is beyond it.
    """

    kind: str
    name: str
    method: str
    score: float
    threshold: float
    drifted: bool

    @property
    def reason(self) -> str:
        """The finding in words with its numbers."""
        if self.kind == "performance":
            side = self.method.rpartition(", ")[2]
            return f"{self.name} is {self.score:.3f}, and {side} {self.threshold:.3f} was expected"
        return f"{self.name} is {self.score:.2f} deviations from its training, and drift begins at {self.threshold:.2f}"


def judge_distances(reference: Reference, seen: Floats, count: int, of: Watched = OF_DAYS) -> list[DriftFinding]:
    """Compare the inputs and forecasts of the last bars with the training.

    Args:
        reference: the reference of the model's version.
        seen: `(rows, len(of.columns))`, the last bars of all symbols.
        count: the number of symbols.
        of: the inputs and measures that are compared.

    Returns:
        A finding for each of `of.columns`, in their order.
    """
    limits, found = reference.limits_for(count), map(significant, distances(seen, reference.values(of)).tolist())
    return [
        DriftFinding(
            "input" if name in of.inputs else "prediction", name, DISTANCE, score, limits[name], score >= limits[name]
        )
        for name, score in zip(of.columns, found, strict=True)
    ]


def significant(value: float) -> float:
    """Round to nine significant digits; the digits behind them depend on the order in which threads sum.

    >>> significant(0.9547924220802917) == significant(0.9547924220802919)
    True
    """
    return float(f"{value:.9g}")


def judge_performance(
    reference: Reference, ratio: float, coverage: float, count: int, backtest: float | None
) -> list[DriftFinding]:
    """Compare the realised performance with the backtest.

    Args:
        reference: the reference of the model's version.
        ratio: the sum of the forecasts' losses over that of the random walk's.
        coverage: the share of closes inside the 80% intervals.
        count: the number of symbols.
        backtest: the ratio to the random walk that a backtest found; without one, only the coverage is compared.
    """
    ratio, coverage = significant(ratio), significant(coverage)
    limits = reference.limits_for(count)
    below, above = (limits[name] for name in MARGINS[1:])
    low, high = NOMINAL - below, NOMINAL + above
    side, bound = (AT_LEAST, low) if coverage < NOMINAL else (AT_MOST, high)
    outside = not low <= coverage <= high
    found = [DriftFinding("performance", COVERAGE, f"share of closes inside, {side}", coverage, bound, outside)]
    if backtest is None:
        return found
    most = backtest * (1 + limits[LOSS])
    return [
        DriftFinding("performance", LOSS, f"mean ratio of losses, {AT_MOST}", ratio, most, ratio > most),
        *found,
    ]


def distances(seen: Floats, sample: Floats) -> Floats:
    """The Wasserstein-1 distance of each column from the sample's, in the sample's standard deviations.

    It is the area between the two distribution functions; Evidently calls it Wasserstein distance (normed).

    Args:
        seen: `(m, columns)`.
        sample: `(n, columns)`.

    Returns:
        `(columns,)`.
    """
    both = np.concatenate([np.sort(sample.T, axis=1), np.sort(seen.T, axis=1)], axis=1)
    order = both.argsort(axis=1, kind="stable")
    ours = np.cumsum(order >= len(sample), axis=1)
    theirs = np.arange(1, both.shape[1] + 1) - ours
    gap = np.abs(ours / len(seen) - theirs / len(sample))[:, :-1]
    area = (gap * np.diff(np.take_along_axis(both, order, axis=1), axis=1)).sum(axis=1)
    found: Floats = area / np.maximum(sample.std(axis=0), _SMALLEST_DEVIATION)
    return found


def furthest_first(found: Sequence[DriftFinding]) -> list[DriftFinding]:
    """Sort findings: drifted ones first, and each group by distance from its threshold."""
    return sorted(
        found, key=lambda each: (not each.drifted, abs(each.score / each.threshold - 1) * (-1) ** each.drifted)
    )


def reasons(found: Sequence[DriftFinding]) -> list[str]:
    """The drifted findings in words, the furthest beyond its threshold first."""
    return [each.reason for each in furthest_first(found) if each.drifted]


def fared_columns(fared: pd.DataFrame) -> pd.DataFrame:
    """The columns whose means are the ratio and the share that were judged.

    Args:
        fared: one row a forecast: `loss`, `walk_loss` and `inside_80`.

    Returns:
        One row a forecast: `LOSS` and `COVERAGE`.
    """
    return pd.DataFrame({LOSS: fared["loss"] / fared["walk_loss"].mean(), COVERAGE: fared["inside_80"]})
