"""The closes that the forecasts of the session before did not expect."""

from collections.abc import Mapping
from datetime import date, timedelta

import pandas as pd

from tickercast.domain.alerts import Anomaly
from tickercast.domain.calendar import LONGEST_CLOSURE, calendar_name, sessions_between
from tickercast.domain.frequency import DAILY
from tickercast.ports import Between, Warehouse

_COLUMNS = (
    "symbol",
    "cutoff",
    "target_date",
    "last_close",
    "actual_close",
    "close_lo_95",
    "close_hi_95",
    "sigmas",
    "market_sigmas",
)


def anomalies(warehouse: Warehouse, last: Mapping[str, date]) -> list[Anomaly]:
    """The rows of the view `anomalies` for one session of each symbol, by symbol.

    Args:
        warehouse: where it is.
        last: the session wanted, by symbol.

    Raises:
        WarehouseUnavailable: try again.
    """
    if not last:
        return []
    first, newest = min(last.values()), max(last.values())
    where = {
        "frequency": DAILY.name,
        "target_date": Between(first, newest),
        "cutoff": _cutoffs(last),  # the scores are partitioned by cutoff
    }
    rows = warehouse.read("anomalies", where, _COLUMNS).sort_values(["symbol", "cutoff"]).to_dict("records")
    return [
        Anomaly(
            symbol=row["symbol"],
            day=row["target_date"].date(),
            last_close=float(row["last_close"]),
            close=float(row["actual_close"]),
            low=float(row["close_lo_95"]),
            high=float(row["close_hi_95"]),
            sigmas=float(row["sigmas"]),
            market_sigmas=None if pd.isna(row["market_sigmas"]) else float(row["market_sigmas"]),
        )
        for row in rows
        if last.get(row["symbol"]) == row["target_date"].date() and pd.notna(row["sigmas"])
    ]


def _cutoffs(last: Mapping[str, date]) -> Between:
    """The sessions before those of the symbols, from which the first step leads there."""
    exchanges = {(calendar_name(symbol), day): symbol for symbol, day in last.items()}
    before = [
        sessions_between(symbol, day - LONGEST_CLOSURE, day - timedelta(days=1))[-1]
        for (_, day), symbol in exchanges.items()
    ]
    return Between(min(before), max(before))
