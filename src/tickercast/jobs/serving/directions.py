"""Forecast the direction of the hour that follows each series, beside the champion, which it cannot fail."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tickercast.domain.bars import Bars
from tickercast.domain.findings import Finding, no_forecast
from tickercast.domain.forecast import Role
from tickercast.errors import Permanent

log = logging.getLogger(__name__)

_DIGITS = 6
_MOMENT = pa.timestamp("us", "UTC")
_HOUR = np.timedelta64(1, "h")


class DirectionPredictor(Protocol):
    """A model that says how likely the next bar closes higher."""

    @property
    def name(self) -> str:
        """The registered model's name."""

    @property
    def version(self) -> str:
        """The registered version."""

    @property
    def trained_through(self) -> date:
        """The last date that it has learned from."""

    def predict(self, series: Sequence[Bars]) -> NDArray[np.float64]:
        """The probability that the bar after the last one closes higher: `(series,)`.

        Raises:
            Permanent: a series is too short.
        """


@dataclass(frozen=True)
class ServedDirection:
    """A direction model that is served."""

    model: DirectionPredictor


@dataclass(frozen=True)
class Asked:
    """A series whose direction is asked for.

    Attributes:
        bars: hourly bars up to the cutoff.
        is_doubtful: whether a finding touches them.
    """

    bars: Bars
    is_doubtful: bool


def predict_directions(model: DirectionPredictor, asked: Sequence[Asked]) -> tuple[pa.Table, list[Finding]]:
    """Forecast the direction of the hour after each series.

    Returns:
        The rows of the table `directions` without the columns that name the file, and a finding for each series that
        has none.
    """
    made: list[tuple[Asked, float]] = []
    missing: list[Finding] = []
    for one in asked:
        answer = _answer(model, one.bars)
        if isinstance(answer, str):
            missing.append(no_forecast(one.bars.symbol, model.name, answer))
        else:
            made.append((one, answer))
    return _rows(model, made), missing


def _answer(model: DirectionPredictor, bars: Bars) -> float | str:
    """A probability, or why there is none."""
    try:
        probability = float(model.predict([bars])[0])
    except Permanent as error:
        return str(error)
    except Exception as error:  # any error of the package that the model uses
        log.warning("%s failed on %s", model.name, bars.symbol, exc_info=True)
        return f"{type(error).__name__}: {error}"
    return round(probability, _DIGITS) if 0 <= probability <= 1 else f"it answered {probability}, and no probability"


def _rows(model: DirectionPredictor, made: Sequence[tuple[Asked, float]]) -> pa.Table:
    series = [one.bars for one, _ in made]
    ends = np.array([bars.end for bars in series], "datetime64[us]")
    days = np.array([bars.cutoff for bars in series], "datetime64[D]")
    return pa.table(
        {
            "symbol": pa.array([bars.symbol for bars in series], pa.string()),
            "frequency": pa.array([bars.frequency.name for bars in series], pa.string()),
            "cutoff": pa.array(days),
            "cutoff_at": pa.array(ends, _MOMENT),
            "step": pa.array([1] * len(series), pa.int64()),
            "target_at": pa.array(ends + _HOUR, _MOMENT),
            "last_close": pa.array([bars.last_close for bars in series], pa.float64()),
            "prob_up": pa.array([probability for _, probability in made], pa.float64()),
            "model_name": pa.array([model.name] * len(series), pa.string()),
            "model_version": pa.array([model.version] * len(series), pa.string()),
            "role": pa.array([str(Role.COMPANION)] * len(series), pa.string()),
            "simulated": pa.array([bars.simulated for bars in series], pa.bool_()),
            "model_has_seen": pa.array([bars.cutoff <= model.trained_through for bars in series], pa.bool_()),
            "doubtful": pa.array([one.is_doubtful for one, _ in made], pa.bool_()),
        }
    )
