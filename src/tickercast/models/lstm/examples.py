"""The examples that a network learns from: origins with their inputs and the returns that followed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tickercast.domain.bars import Bars
from tickercast.domain.events import ResultsDays
from tickercast.domain.learning import features
from tickercast.domain.learning.features import HORIZON
from tickercast.domain.learning.recipe import Recipe
from tickercast.domain.learning.results_features import results_features
from tickercast.errors import TooFewSessions

Floats32 = NDArray[np.float32]

NEEDED = features.MIN_SESSIONS + HORIZON
"""The shortest series that yields an example, in sessions."""


@dataclass(frozen=True)
class Examples:
    """Origins with their inputs and the returns that followed.

    Attributes:
        steps: `(n, WINDOW, features)`.
        statics: `(n, statics)`.
        results: `(n, len(VIEWS), results features)`; see `VIEWS`.
        sigma: `(n,)`, σEWMA, RiskMetrics σ of a session's log-return.
        returns: `(n, HORIZON)`, the log-returns that followed, in units of σEWMA·√step.
        volatility: `(n, HORIZON)`, log of the range volatility up to each step over σEWMA.
        weight: `(n,)`, σEWMA/σ60: turns the loss into the scaled pinball of `domain.measures.metrics`.
        day: `(n,)`, the number of the origin's session among those of all symbols, from the first origin on.
    """

    steps: Floats32
    statics: Floats32
    results: Floats32
    sigma: NDArray[np.float64]
    returns: Floats32
    volatility: Floats32
    weight: Floats32
    day: NDArray[np.intp]

    def __len__(self) -> int:
        return len(self.day)

    def __getitem__(self, rows: NDArray[Any] | slice) -> "Examples":
        return Examples(*(getattr(self, name)[rows] for name in _FIELDS))


_FIELDS = tuple(Examples.__dataclass_fields__)


VIEWS = PREDICTED, ANNOUNCED = range(2)
"""The two views of the coming results day in an example: predicted from past ones, or announced beforehand."""


def examples(
    series: Sequence[Bars], trained_through: date, results: Mapping[str, ResultsDays] | None = None
) -> Examples:
    """Cut every series into examples whose ten targets all lie on or before `trained_through`.

    Args:
        series: the series.
        trained_through: the last date that is used.
        results: the results days by symbol.

    Raises:
        TooFewSessions: no series is long enough.
    """
    known = [bars.through(trained_through) for bars in series]
    known = [bars for bars in known if len(bars) >= NEEDED]
    if not known:
        raise TooFewSessions(
            f"None of {len(series)} symbol(s) has {NEEDED} sessions on or before {trained_through}: at least one "
            "was needed to train. Give earlier dates or other symbols."
        )
    calendar = np.unique(np.concatenate([bars.columns["session_date"] for bars in known]))
    parts = [_examples(bars, calendar, (results or {}).get(bars.symbol)) for bars in known]
    joined = Examples(*(np.concatenate([getattr(part, name) for part in parts]) for name in _FIELDS))
    return replace(joined, day=joined.day - joined.day.min())


def _examples(bars: Bars, calendar: NDArray[np.datetime64], days: ResultsDays | None) -> Examples:
    panel = features.panel(bars)
    origins = np.arange(features.MIN_SESSIONS - 1, len(bars) - HORIZON)
    steps = np.arange(1, HORIZON + 1)
    ahead = origins[:, None] + steps
    sigma = panel.sigma_ewma[origins, None]
    moves = panel.log_close[ahead] - panel.log_close[origins, None]
    variance = np.cumsum(panel.range_variance[ahead], axis=1) / steps
    return Examples(
        panel.windows(origins),
        panel.statics[origins],
        np.stack([_results(bars, panel, origins, view) for view in _views(days)], axis=1),
        panel.sigma_ewma[origins],
        (moves / (sigma * np.sqrt(steps))).clip(-25, 25).astype(np.float32),
        (0.5 * np.log(variance / sigma**2 + 1e-4)).astype(np.float32),
        (panel.sigma_ewma / panel.sigma60)[origins].astype(np.float32),
        np.searchsorted(calendar, bars.columns["session_date"])[origins],
    )


def _results(bars: Bars, panel: features.Panel, origins: NDArray[np.intp], days: ResultsDays | None) -> Floats32:
    return results_features(bars, origins, panel.sigma60[origins], panel.sigma_ewma[origins], days)


def _views(days: ResultsDays | None) -> list[ResultsDays | None]:
    """The results days as `VIEWS` knows them."""
    return [None] * len(VIEWS) if days is None else [days.reported(), days.announced()]


def split(day: NDArray[np.intp], fold: int, recipe: Recipe) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Divide examples into those to train on and those to validate with, both `(n,)`.

    Whole blocks of sessions are held out for validation. Examples within `WINDOW + HORIZON` sessions of a block are
    used for neither, so that no targets of one side lie in windows of the other (purging: López de Prado, Advances in
    Financial Machine Learning, 2018).
    """
    held: NDArray[np.bool_] = np.arange(day.max() + 1) // recipe.block % recipe.folds == fold % recipe.folds
    purge = features.WINDOW + HORIZON
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(held, purge), 2 * purge + 1)
    near: NDArray[np.bool_] = np.asarray(windows.any(axis=-1))
    return ~near[day], held[day]


def batches(count: int, size: int) -> Iterator[slice]:
    """Slices of `size` that cover `count` rows in order; the last may be shorter."""
    return (slice(start, start + size) for start in range(0, count, size))
