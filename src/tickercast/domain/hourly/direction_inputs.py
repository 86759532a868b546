"""The inputs of the model of the next hour's direction: ten usual indicators, and our own, without units.

Moving averages over 5 to 20 hours, RSI and MFI over 7 to 21 are the indicators that such models are usually given. Ours
are moves over some hours in units of the week's σ, where in its range the last hour closed, and the ratios of the
hourly models.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tickercast.domain.bars import Bars
from tickercast.domain.hourly import hour_features, hours
from tickercast.domain.hourly.hour_features import Floats, Rows
from tickercast.domain.hourly.hours import Grid

AVERAGES, STRENGTHS, FLOWS = (5, 10, 15, 20), (7, 14, 21), (7, 14, 21)
"""The spans of the moving averages, of RSI and of MFI, in hours."""

SPANS = (2, 3, 6, 12)
"""Hours of the moves that the hourly models' inputs do not have."""

INDICATORS = (
    *(f"average_{span}" for span in AVERAGES),
    *(f"rsi_{span}" for span in STRENGTHS),
    *(f"mfi_{span}" for span in FLOWS),
)
"""The ten usual indicators."""

INPUTS = (
    *INDICATORS,
    *(f"move_{span}" for span in SPANS),
    "place_in_range",
    *(name for name in hour_features.INPUTS if name != hour_features.LEVEL),
)
"""All inputs, in their order."""

LEAST = hours.WANTED
"""The shortest history that has all inputs, in hours."""


@dataclass(frozen=True)
class Questions:
    """Hours with their inputs and what followed.

    Attributes:
        symbol: the series.
        closed_at: `(n,)`, the ends of the hours from which the next one is forecast, UTC.
        inputs: `(n, len(INPUTS))`.
        move: `(n,)`, the log-return of the next hour.
        sigma: `(n,)`, the week's σ of an hour.
    """

    symbol: str
    closed_at: NDArray[np.datetime64]
    inputs: NDArray[np.float32]
    move: Floats
    sigma: Floats

    def __len__(self) -> int:
        return len(self.move)

    @property
    def up(self) -> NDArray[np.bool_]:
        """`(n,)`, whether the next hour closed above this one."""
        return self.move > 0

    def only(self, chosen: NDArray[np.bool_]) -> "Questions":
        """A selection of the hours."""
        return Questions(
            self.symbol, self.closed_at[chosen], self.inputs[chosen], self.move[chosen], self.sigma[chosen]
        )

    def between(self, after: np.datetime64, until: np.datetime64) -> "Questions":
        """The hours whose answer was known by `until`, from those that ended at `after` on."""
        answered_at = self.closed_at + np.timedelta64(1, "h")
        return self.only((self.closed_at >= after) & (answered_at <= until))


@dataclass(frozen=True)
class Asked:
    """Direction forecasts, and what followed.

    Attributes:
        closed_at: `(n,)`, the ends of the hours from which the next one was forecast, UTC.
        probability: `(n,)`, that it closes higher.
        move: `(n,)`, its log-return.
    """

    closed_at: NDArray[np.datetime64]
    probability: Floats
    move: Floats

    def __len__(self) -> int:
        return len(self.move)

    @property
    def up(self) -> NDArray[np.bool_]:
        """`(n,)`, whether the next hour closed higher."""
        return self.move > 0

    @classmethod
    def of(cls, asked: Questions, probability: Floats) -> "Asked":
        """The forecasts of some hours."""
        return cls(asked.closed_at, probability, asked.move)

    @classmethod
    def joined(cls, parts: Sequence["Asked"]) -> "Asked":
        """Several as one; none is empty."""
        empty = cls(np.empty(0, "datetime64[h]"), np.empty(0), np.empty(0))
        every = [empty, *parts]
        return cls(*(np.concatenate([getattr(part, name) for part in every]) for name in cls.__dataclass_fields__))


def questions(bars: Bars) -> Questions:
    """Every hour of a series that has a history of `LEAST` hours before it and a bar after it."""
    panel = hour_features.panel(bars, np.ones(hours.WEEK))
    rows = panel.grid.rows[panel.grid.rows >= LEAST - 1]
    move = panel.moves(rows, 1)[:, 0]
    rows, move = rows[np.isfinite(move)], move[np.isfinite(move)]
    return Questions(bars.symbol, panel.grid.closed_at[rows], _inputs(panel, rows), move, _sigma(panel)[rows])


def inputs_at(bars: Bars, at: Rows) -> NDArray[np.float32]:
    """The inputs at some bars: `(at, len(INPUTS))`."""
    panel = hour_features.panel(bars, np.ones(hours.WEEK))
    return _inputs(panel, panel.grid.rows[at])


def _inputs(panel: hour_features.Panel, rows: Rows) -> NDArray[np.float32]:
    made, sigma = panel.grid, _sigma(panel)
    spread = np.log(made.high / made.low)
    own = hour_features.inputs(panel, rows)
    kept = [number for number, name in enumerate(hour_features.INPUTS) if name != hour_features.LEVEL]
    columns = [
        *(np.log(made.close / _average(made.close, span)) / (sigma * np.sqrt(span)) for span in AVERAGES),
        *(relative_strength(made.close, span) / 100 - 0.5 for span in STRENGTHS),
        *(money_flow(made, span) / 100 - 0.5 for span in FLOWS),
        *((panel.log_close - hour_features.lagged(panel.log_close, span)) / (sigma * np.sqrt(span)) for span in SPANS),
        np.where(spread > 0, np.log(made.close / made.low) / np.where(spread > 0, spread, 1), 0.5) - 0.5,
    ]
    ours = np.stack([column[rows] for column in columns], axis=1).clip(-8, 8)
    return np.concatenate([ours, own[:, kept]], axis=1).astype(np.float32)


def _sigma(panel: hour_features.Panel) -> Floats:
    sigma: Floats = np.sqrt(np.maximum(hour_features.mean(panel.variance, hours.WEEK), 1e-14))
    return sigma


def _average(values: Floats, span: int) -> Floats:
    return hour_features.mean(values, span)


def relative_strength(close: Floats, span: int) -> Floats:
    """Wilder's relative strength index (New Concepts in Technical Trading Systems, 1978): `(n,)`, 0 to 100.

    50 where nothing moved, and for the first `span` values.
    """
    change = np.diff(close, prepend=close[0])
    up, down = (_wilder(np.maximum(side, 0), span) for side in (change, -change))
    moved = up + down
    strength: Floats = np.where(moved > 0, 100 * up / np.where(moved > 0, moved, 1), 50.0)
    strength[:span] = 50
    return strength


def money_flow(made: Grid, span: int) -> Floats:
    """The money flow index: `(n,)`, 0 to 100; 50 where no money flowed, and for the first `span` values.

    Like RSI, but by sums of typical price times volume over `span` hours whose typical price rose or fell.
    """
    typical = (made.high + made.low + made.close) / 3
    flow, change = typical * made.volume, np.diff(typical, prepend=typical[0])
    risen, fallen = (hour_features.rolling(np.where(side, flow, 0.0), span) for side in (change > 0, change < 0))
    risen, fallen = np.maximum(risen, 0), np.maximum(fallen, 0)
    total = risen + fallen
    index: Floats = np.where(total > 0, 100 * risen / np.where(total > 0, total, 1), 50.0)
    index[:span] = 50
    return index


def _wilder(values: Floats, span: int) -> Floats:
    """Wilder's average, which begins with the mean of the first `span` changes."""
    smoothed = np.zeros(len(values))
    if len(values) > span:
        level = float(values[1 : span + 1].mean())
        smoothed[span] = level
        for row, value in enumerate(values[span + 1 :].tolist(), start=span + 1):
            level += (value - level) / span
            smoothed[row] = level
    return smoothed
