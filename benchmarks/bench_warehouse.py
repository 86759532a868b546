"""Time the views on DuckDB, with 500 symbols × 20 years and a million forecasts, and how times grow with rows.

The rows are simulated random walks. A query is timed from a closed file to a pandas frame, as in the dashboard. Memory
is the peak of the process.

BigQuery bills bytes, not seconds. A refresh of the dashboard for one symbol reads the columns that the views name, of
every month, since indicators look back over all of them. The bytes are counted with BigQuery's sizes of types: at most
all rows (a month of 500 symbols is smaller than the blocks that clustering could skip), at least the symbol's rows, and
never less than ten megabytes a table, BigQuery's minimum.
"""

import resource as limits
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd

from benchmarks import report
from tickercast import config
from tickercast.backends.warehouse.duckdb import DuckDBWarehouse
from tickercast.backends.warehouse.sql import read_rewrites, to_duckdb

SYMBOLS, SESSIONS, CUTOFFS = 500, 5040, 100
LAST = "2023-07-21"
RUNS = 5
AT = datetime(2023, 7, 22, tzinfo=UTC)
FILE = "ohlc/2023-07-21/batch-0001.csv"

_ONE_SYMBOL = {"symbol": "S7"}


def main() -> None:
    """Fill warehouses of two sizes and write `warehouse.json`."""
    with tempfile.TemporaryDirectory() as folder:
        whole = filled(Path(folder) / "whole.duckdb", SYMBOLS)
        half = filled(Path(folder) / "half.duckdb", SYMBOLS // 2)
        figures = {
            "prices_rows": SYMBOLS * SESSIONS,
            "forecasts_rows": SYMBOLS * CUTOFFS * 20,
            **_timed(whole, "indicators_one_symbol_s", lambda tables: tables.read("indicators", _ONE_SYMBOL)),
            **_timed(
                whole, "predicted_prices_one_symbol_s", lambda tables: tables.read("predicted_prices", _ONE_SYMBOL)
            ),
            **_timed(whole, "forecast_skill_s", lambda tables: tables.read("forecast_skill")),
            **_timed(whole, "indicators_s", lambda tables: tables.read("indicators")),
            "indicators_doubling": _ratio(whole, half, "indicators"),
            "forecast_skill_doubling": _ratio(whole, half, "forecast_skill"),
            **_scanned(whole),
            "memory_mb": limits.getrusage(limits.RUSAGE_SELF).ru_maxrss / 1000,
        }
    report.write("warehouse", figures)


def filled(path: Path, symbols: int, sessions: int = SESSIONS, cutoffs: int = CUTOFFS) -> DuckDBWarehouse:
    """Create a warehouse of symbols, by default with twenty years of bars and a hundred forecasts each."""
    warehouse = DuckDBWarehouse(path, config.resource("sql"))
    warehouse.provision()
    random = np.random.default_rng(0)
    days = pd.bdate_range(end=LAST, periods=sessions)
    with duckdb.connect(path) as connection:
        for first in range(0, symbols, 50):
            names = [f"S{number}" for number in range(first, min(first + 50, symbols))]
            connection.register("bars", _bars(random, names, days))
            connection.execute("INSERT INTO prices BY NAME SELECT * FROM bars")
            connection.execute(_FORECASTS, [cutoffs])
        connection.execute("INSERT INTO ingestions BY NAME " + _LEDGER)
        connection.execute("INSERT INTO spans BY NAME " + _SPANS)
        for table in ("scores", "skill_blocks", "forecast_counts"):
            connection.execute(f"INSERT INTO {table} BY NAME {to_duckdb(_rewrites()[table])}")
    return warehouse


def _bars(random: np.random.Generator, names: list[str], sessions: pd.DatetimeIndex) -> pd.DataFrame:
    close = 100 * np.exp(np.cumsum(0.02 * random.standard_normal((len(names), len(sessions))), axis=1)).ravel()
    table: dict[str, Any] = {
        "symbol": np.repeat(names, len(sessions)),
        "session_date": np.tile(sessions.values, len(names)),
        "open": close,
        "high": close * 1.01,
        "low": close * 0.99,
        "close": close,
        "adj_close": close,
        "volume": 1e6,
    }
    named: dict[str, Any] = {"object": FILE, "generation": "1", "written_at": AT}
    return pd.DataFrame(table).assign(frequency="1d", simulated=False, origin="live", **named, ingested_at=AT)


_FORECASTS = """
INSERT INTO forecasts BY NAME
WITH numbered AS (
  SELECT *, row_number() OVER (PARTITION BY symbol ORDER BY session_date DESC) AS back,
  FROM bars
)
SELECT
  origin.symbol, '1d' AS frequency, origin.session_date AS cutoff, step,
  target.session_date AS target_date, origin.close AS last_close,
  origin.close AS close_median,
  origin.close * exp(-0.026 * width * sqrt(step)) AS close_lo_80,
  origin.close * exp(0.026 * width * sqrt(step)) AS close_hi_80,
  origin.close * exp(-0.04 * width * sqrt(step)) AS close_lo_95,
  origin.close * exp(0.04 * width * sqrt(step)) AS close_hi_95,
  model_name, '1' AS model_version, role, 'live' AS origin, FALSE AS simulated, FALSE AS model_has_seen,
  FALSE AS doubtful,
  origin.object, '1' AS generation, origin.written_at, origin.ingested_at AS created_at
FROM numbered AS origin
CROSS JOIN (VALUES ('tickercast-lstm', 'champion', 1.0), ('random-walk', 'baseline', 1.05))
  AS model (model_name, role, width)
CROSS JOIN range(1, 11) AS steps (step)
INNER JOIN numbered AS target ON target.symbol = origin.symbol AND target.back = origin.back - step
WHERE origin.back > 10 AND origin.back <= 10 + 10 * $1 AND origin.back % 10 = 1
"""

_LEDGER = """
SELECT DISTINCT
  object, generation, written_at, symbol, '1d' AS frequency, 'forecast' AS status, NULL AS reason,
  'live' AS origin, FALSE AS simulated, 5040 AS rows, 5040 AS rows_new, DATE '2023-07-21' AS cutoff,
  '1' AS model_version, 'event' AS event_id, ingested_at AS received_at, 1.0 AS duration_ms
FROM prices
"""


_SPANS = """
SELECT
  symbol, frequency, MIN(session_date) AS first_session, MAX(session_date) AS last_session, simulated,
  object, generation, written_at, MIN(ingested_at) AS announced_at
FROM prices
GROUP BY ALL
"""


def _rewrites() -> dict[str, str]:
    return read_rewrites(config.resource("sql"))


def _timed(warehouse: DuckDBWarehouse, name: str, work: Callable[[DuckDBWarehouse], Any]) -> dict[str, float]:
    return {name: statistics.median(_seconds(lambda: work(warehouse)) for _ in range(RUNS))}


def _ratio(whole: DuckDBWarehouse, half: DuckDBWarehouse, view: str) -> float:
    pairs = [(_seconds(lambda: whole.read(view)), _seconds(lambda: half.read(view))) for _ in range(3)]
    return statistics.median(one / other for one, other in pairs)


_TEXTS = {
    "prices": ("symbol", "frequency", "object", "generation"),
    "forecasts": ("symbol", "frequency", "object", "generation", "model_name", "model_version", "role", "origin"),
    "spans": ("symbol", "frequency"),
}
"""The text columns that the views name."""

_FIXED = {"prices": 10 * 8 + 1, "forecasts": 14 * 8 + 2, "spans": 1}
"""The bytes a row of the other columns that the views name: dates, times and numbers take eight, truth values one."""


def _scanned(warehouse: DuckDBWarehouse) -> dict[str, float]:
    whole = [_megabytes(warehouse, table, "TRUE") for table in _TEXTS]
    one = [_megabytes(warehouse, table, "symbol = 'S7'") for table in _TEXTS]
    return {"bigquery_refresh_mb_most": sum(whole), "bigquery_refresh_mb_least": sum(max(10.0, mb) for mb in one)}


def _megabytes(warehouse: DuckDBWarehouse, table: str, where: str) -> float:
    size = " + ".join(f"2 + LENGTH({name})" for name in _TEXTS[table])
    found = warehouse.query(f"SELECT SUM({size} + {_FIXED[table]}) / 1e6 AS mb FROM {table} WHERE {where}")  # noqa: S608
    return float(found["mb"].iloc[0])


def _seconds(work: Callable[[], Any]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
