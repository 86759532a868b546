"""The verdict about drift of many days in a row, as the job gives it, without a warehouse."""

from collections.abc import Sequence
from datetime import date

import numpy as np
import pandas as pd

from tickercast.domain.learning.features import HORIZON
from tickercast.domain.measures.drift import (
    ORIGINS,
    WINDOW,
    DriftFinding,
    Reference,
    fared_columns,
    judge_distances,
    judge_performance,
)
from tickercast.domain.measures.reference import Observed


def judged(
    reference: Reference,
    watched: Sequence[Observed],
    first: date,
    last: date,
    backtest: float | None = None,
    *,
    every: int = 1,
) -> dict[date, list[DriftFinding]]:
    """The findings of each `every`-th session from `first` to `last`; all symbols need enough of them before."""
    sessions = np.unique(np.concatenate([one.session_dates for one in watched]))
    inside = (sessions >= np.datetime64(first)) & (sessions <= np.datetime64(last))
    return {day.item(): _findings(reference, watched, day, backtest) for day in sessions[inside][::every]}


def alarms(days: dict[date, list[DriftFinding]]) -> list[date]:
    """The days on which anything has drifted."""
    return [day for day, findings in days.items() if any(finding.drifted for finding in findings)]


def _findings(
    reference: Reference, watched: Sequence[Observed], day: np.datetime64, backtest: float | None
) -> list[DriftFinding]:
    ends = [(one, int(np.searchsorted(one.session_dates, day, side="right"))) for one in watched]
    seen = np.concatenate([one.values[end - WINDOW : end] for one, end in ends])
    resolved = np.concatenate([one.fared[end - HORIZON - ORIGINS : end - HORIZON] for one, end in ends])
    fared = fared_columns(pd.DataFrame(resolved, columns=["loss", "walk_loss", "inside_80"]))
    ratio, coverage = fared.mean()
    expected = reference.walk_ratio if backtest is None else backtest
    performance = judge_performance(reference, ratio, coverage, len(watched), expected)
    return judge_distances(reference, seen, len(watched)) + performance
