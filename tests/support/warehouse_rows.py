"""Rows of the warehouse's tables, as tests want them: all columns filled, any of them replaced."""

from datetime import UTC, date, datetime
from typing import Any

import pandas as pd

from tickercast.ports import Warehouse

AT = datetime(2023, 7, 22, 12, tzinfo=UTC)


def price(
    symbol: str = "MSFT", day: int = 21, close: float = 343.77, generation: int = 1, **more: Any
) -> dict[str, Any]:
    bar = dict.fromkeys(("open", "high", "low", "close", "adj_close"), close)
    return {
        "symbol": symbol,
        "session_date": date(2023, 7, day),
        **bar,
        "volume": 1e6,
        "simulated": False,
        "object": f"ohlc/2023-07-22/{symbol}.csv",
        "generation": generation,
        "ingested_at": AT,
    } | more


def append(warehouse: Warehouse, table: str, rows: list[dict[str, Any]], key: str) -> bool:
    return warehouse.append(table, pd.DataFrame(rows), key=key)
