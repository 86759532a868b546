"""Rows of the warehouse's tables, as tests want them: all that a table needs, any of it replaced."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pandas as pd

from tickercast.backends.warehouse.sql import read_rewrites
from tickercast.config import resource
from tickercast.domain.forecast import LEVELS
from tickercast.ports import Warehouse

AT = datetime(2023, 7, 22, 12, tzinfo=UTC)


def written_at(generation: str) -> datetime:
    """Generations that are numbers follow each other by the minute."""
    return AT + timedelta(minutes=int(generation)) if generation.isdigit() else AT


def price(
    symbol: str = "MSFT", day: int = 21, close: float = 343.77, generation: str = "1", **more: Any
) -> dict[str, Any]:
    bar = dict.fromkeys(("open", "high", "low", "close", "adj_close"), close)
    return {
        "symbol": symbol,
        "frequency": "1d",
        "session_date": date(2023, 7, day),
        **bar,
        "volume": 1e6,
        "simulated": False,
        "object": f"ohlc/2023-07-22/{symbol}.csv",
        "generation": generation,
        "written_at": written_at(generation),
        "origin": "live",
        "ingested_at": AT,
    } | more


def forecast(
    symbol: str = "MSFT", cutoff: int = 21, step: int = 1, generation: str = "1", model_name: str = "lstm", **more: Any
) -> dict[str, Any]:
    closes = ("close_lo_95", "close_lo_80", "close_median", "close_hi_80", "close_hi_95")
    return {
        "symbol": symbol,
        "frequency": "1d",
        "cutoff": date(2023, 7, cutoff),
        "step": step,
        "target_date": date(2023, 7, cutoff + step),
        "last_close": 100.0,
        **dict(zip(closes, (90.0, 95.0, 100.0, 105.0, 110.0), strict=True)),
        "model_name": model_name,
        "model_version": "1",
        "role": "baseline" if model_name == "random-walk" else "champion",
        "origin": "live",
        "simulated": False,
        "model_has_seen": False,
        "doubtful": False,
        "object": f"ohlc/2023-07-22/{symbol}.csv",
        "generation": generation,
        "written_at": written_at(generation),
        "created_at": AT,
    } | more


def span(symbol: str = "MSFT", generation: str = "1", **more: Any) -> dict[str, Any]:
    return {
        "symbol": symbol,
        "frequency": "1d",
        "first_session": date(2022, 7, 21),
        "last_session": date(2023, 7, 21),
        "simulated": False,
        "object": f"ohlc/2023-07-22/{symbol}.csv",
        "generation": generation,
        "written_at": written_at(generation),
        "announced_at": AT,
    } | more


def ingestion(generation: str = "1", **more: Any) -> dict[str, Any]:
    """An entry of the ledger without what may be unknown."""
    return {
        "object": "o",
        "generation": generation,
        "written_at": written_at(generation),
        "frequency": "1d",
        "status": "rejected",
        "origin": "live",
        "rows": 0,
        "rows_new": 0,
        "received_at": AT,
        "duration_ms": 1.5,
    } | more


def score(symbol: str = "MSFT", revision: int = 1, **more: Any) -> dict[str, Any]:
    named = ("symbol", "frequency", "cutoff", "step", "target_date", "model_name", "model_version", "role")
    named += ("last_close", *LEVELS, "object", "generation", "written_at", "created_at")
    named += ("origin", "simulated", "model_has_seen", "doubtful")
    made = forecast(symbol)
    return {
        **{name: made[name] for name in named},
        "actual_close": 101.0,
        "walk_loss": 0.5,
        "scale": 0.5,
        "revision": revision,
        "basis": f"ohlc/2023-07-22/{symbol}.csv#{revision}",
        "scored_at": written_at(str(revision)),
    } | more


def digest(symbol: str = "MSFT", generation: str = "1", **more: Any) -> dict[str, Any]:
    return {
        "symbol": symbol,
        "frequency": "1d",
        "month": date(2023, 7, 1),
        "simulated": False,
        "bars": 15,
        "digest": -(2**63),
        "object": f"ohlc/2023-07-22/{symbol}.csv",
        "generation": generation,
        "written_at": written_at(generation),
    } | more


def score_all(warehouse: Warehouse) -> None:
    """Fill `scores` and `skill_blocks`, which are empty, from bars and forecasts that a test has appended."""
    rewrites = read_rewrites(resource("sql"))
    for table in ("scores", "skill_blocks"):
        warehouse.append(table, warehouse.query(rewrites[table]), key=f"{table}/migration")


def append(warehouse: Warehouse, table: str, rows: list[dict[str, Any]], key: str) -> bool:
    return warehouse.append(table, pd.DataFrame(rows), key=key)
