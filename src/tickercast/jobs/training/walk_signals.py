"""Walk strategies forward over bars that were never forecast: make each signal from the bars up to its origin."""

from collections.abc import Callable
from datetime import date

import numpy as np
from numpy.typing import NDArray

from tickercast.domain.bars import Bars
from tickercast.domain.forecast import Predictor, RollingPredictor, checked
from tickercast.domain.frequency import Ends
from tickercast.domain.trading.signals import FIELDS, Floats, Signals, last_steps

Rows = NDArray[np.intp]

Chance = Callable[[Bars, Rows], Floats]
"""The chance that the bar after each of some rows closes higher: `(rows,)`."""


def walk_signals(
    bars: Bars,
    origins: Ends,
    *,
    model: Predictor | None = None,
    trend: Predictor | None = None,
    chance: Chance | None = None,
    least: int = 0,
    seen_through: date | None = None,
    on_progress: Callable[[int], None] = lambda count: None,
) -> Signals:
    """Make the signals of one symbol at some moments.

    Args:
        bars: the bars of the symbol, from well before the first of them. After a gap of more than a month they begin
            again: nothing before it is read.
        origins: the ends of the bars after which strategies decide; the symbol may lack some.
        model: forecasts the distribution; None: there is none.
        trend: the model whose median is the trend line; None: there is none.
        chance: gives the chance that the next bar closes higher; None: there is none.
        least: the bars that `chance` needs.
        seen_through: the last date that any of them was trained on.
        on_progress: called with the signals made since the last call.
    """
    needed = max([least, *(each.min_sessions for each in (model, trend) if each)])
    parts = []
    for stretch in bars.stretches:
        [at] = np.nonzero(np.isin(stretch.ends, origins))
        at = at[stretch.spans[at] >= needed]
        values = {name: np.full(len(at), np.nan) for name in FIELDS}
        if trend is not None and len(at):
            made = last_steps(_quantiles(trend, stretch, at, on_progress))
            values |= {"trend": made["expected"], "steps": made["steps"]}
        if model is not None and len(at):
            values |= last_steps(_quantiles(model, stretch, at, on_progress))
        if chance is not None and len(at):
            values["prob_up"] = chance(stretch, at)
        parts.append((stretch.ends[at], stretch.columns["session_date"][at], values))
    ends, days = (np.concatenate([part[column] for part in parts]) for column in (0, 1))
    joined = {name: np.concatenate([values[name] for _, _, values in parts]) for name in FIELDS}
    seen = days <= np.datetime64(seen_through, "D") if seen_through else np.zeros(len(days), bool)
    return Signals(bars.symbol, ends, joined, seen, np.ones(len(days), bool))


def _quantiles(model: Predictor, bars: Bars, at: Rows, on_progress: Callable[[int], None]) -> Floats:
    parts = []
    for some in np.array_split(at, max(len(at) // 256, 1)):
        if isinstance(model, RollingPredictor):
            parts.append(checked(model, model.predict_at(bars, some), len(some)))
            on_progress(len(some))
        else:
            for row in some:
                parts.append(checked(model, model.predict([bars.rows(0, int(row) + 1)]), 1))
                on_progress(1)
    return np.concatenate(parts)
