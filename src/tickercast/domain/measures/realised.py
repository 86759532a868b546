"""Realised losses: two models compared in pairs, date by date.

The losses of one target date share that day's news, and those of neighbouring dates share sessions, so that a date is
one observation and neighbours are correlated. The interval is Diebold and Mariano's for a ratio, with the long-run
variance by Bartlett's kernel over a horizon, and with critical values for a bandwidth that is a fixed share of the
sample (Kiefer and Vogelsang, Econometric Theory 2005, table 1): wide, as it must be, if there are few dates.

>>> rows = pd.DataFrame({"target_date": np.repeat(np.arange(40), 2), "own": 1.0, "other": [1.0, 3.0] * 40})
>>> ratio(rows, "own", "other")
(0.5, 0.5, 0.5)
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tickercast.domain.frequency import DAILY
from tickercast.domain.measures.intervals import Interval
from tickercast.domain.measures.promotion import MIN_DATES, Realised

_CRITICAL = (1.9600, 2.9694, 0.4160, -0.5324)  # factors of b⁰, b¹, b², b³: the 97.5% quantile with Bartlett's kernel


def realised(rows: pd.DataFrame, own: str, other: str, horizon: int = DAILY.horizon) -> Realised | None:
    """Compare two columns of losses; None if they cover fewer than `MIN_DATES` target dates.

    Args:
        rows: one a forecast step that came true: `symbol`, `cutoff`, `target_date` and both columns.
        own: the column of the judged model.
        other: the column of the model that it is compared with.
        horizon: steps of a forecast, over which errors are correlated.
    """
    dates = rows["target_date"].nunique()
    if dates < MIN_DATES:
        return None
    origins = len(rows[["symbol", "cutoff"]].drop_duplicates())
    return Realised(dates, origins, ratio(rows, own, other, horizon))


def ratio(rows: pd.DataFrame, own: str, other: str, horizon: int = DAILY.horizon) -> Interval:
    """The ratio of two sums of paired losses, and its 95% interval; see the module."""
    by_date = rows.groupby("target_date")[[own, other]].sum()
    losses, others = by_date[own].to_numpy(np.float64), by_date[other].to_numpy(np.float64)
    point = float(losses.sum() / others.sum())
    count = len(by_date)
    bandwidth = min(count, horizon)
    share = bandwidth / count
    critical = sum(factor * share**power for power, factor in enumerate(_CRITICAL))
    reach = critical * float(np.sqrt(count * _long_run_variance(losses - point * others, bandwidth)) / others.sum())
    return point, point - reach, point + reach


def _long_run_variance(residuals: NDArray[np.float64], bandwidth: int) -> float:
    """Bartlett's weights over lags below the bandwidth; residuals have mean zero."""
    total = float(residuals @ residuals)
    for lag in range(1, bandwidth):
        total += 2 * (1 - lag / bandwidth) * float(residuals[lag:] @ residuals[:-lag])
    return max(total, 0.0) / len(residuals)
