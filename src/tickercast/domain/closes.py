"""The times from which stored closes were known, where rows of earlier releases do not say them."""

import numpy as np
import pandas as pd

from tickercast.domain.frequency import Frequency


def with_closes(rows: pd.DataFrame, frequency: Frequency) -> pd.DataFrame:
    """Stored bars with `closed_at` in every row: daily rows of earlier releases get it from the calendar.

    Args:
        rows: stored bars with `symbol`, `session_date` and `closed_at`, UTC.
        frequency: the frequency of the bars.

    Raises:
        CalendarError: the exchange of a symbol is not known.
    """
    unknown = rows["closed_at"].isna()
    if not unknown.any():
        return rows
    numbers, symbols = pd.factorize(rows.loc[unknown, "symbol"])
    days = rows.loc[unknown, "session_date"].to_numpy().astype("datetime64[D]")
    closes = pd.DatetimeIndex(frequency.closes(list(symbols), numbers.astype(np.int64), days)).tz_localize("UTC")
    made = pd.Series(closes, rows.index[unknown], dtype=rows["closed_at"].dtype)
    return rows.assign(closed_at=rows["closed_at"].fillna(made))
