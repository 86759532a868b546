import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest

from tickercast.backends.warehouse_duckdb import DuckDBWarehouse
from tickercast.config import resource
from tickercast.errors import SchemaMismatch, UsageError, WarehouseUnavailable
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
        "object": f"ohlc/2023-07-22/{symbol}.csv",
        "generation": generation,
        "ingested_at": AT,
    } | more


def forecast(
    symbol: str = "MSFT", cutoff: int = 21, step: int = 1, generation: int = 1, model_name: str = "lstm", **more: Any
) -> dict[str, Any]:
    closes = ("close_lo_95", "close_lo_80", "close_median", "close_hi_80", "close_hi_95")
    return {
        "symbol": symbol,
        "cutoff": date(2023, 7, cutoff),
        "step": step,
        "target_date": date(2023, 7, cutoff + step),
        "last_close": 100.0,
        **dict(zip(closes, (90.0, 95.0, 100.0, 105.0, 110.0), strict=True)),
        "model_name": model_name,
        "model_version": "1",
        "object": f"ohlc/2023-07-22/{symbol}.csv",
        "generation": generation,
        "created_at": AT,
    } | more


@pytest.fixture(params=["duckdb"])
def warehouse(request: pytest.FixtureRequest, tmp_path: Path) -> Warehouse:
    made: Warehouse
    match request.param:
        case "duckdb":
            made = DuckDBWarehouse(tmp_path / "warehouse.duckdb", resource("sql"))
    made.provision()
    return made


def append(warehouse: Warehouse, table: str, rows: list[dict[str, Any]], key: str) -> bool:
    return warehouse.append(table, pd.DataFrame(rows), key=key)


def test_provisioning_again_changes_nothing(warehouse: Warehouse) -> None:
    append(warehouse, "prices", [price()], "k")
    assert warehouse.provision() == []
    assert len(warehouse.read("prices")) == 1


def test_an_append_with_a_known_key_changes_nothing(warehouse: Warehouse) -> None:
    assert append(warehouse, "prices", [price()], "prices/bucket/MSFT.csv#1")
    assert not append(warehouse, "prices", [price(close=1.0)], "prices/bucket/MSFT.csv#1")
    assert list(warehouse.read("prices")["close"]) == [343.77]


def test_an_append_that_fails_leaves_neither_rows_nor_key(warehouse: Warehouse) -> None:
    with pytest.raises(SchemaMismatch, match="NOT NULL"):
        append(warehouse, "prices", [price(), price(day=20, symbol=None)], "k")
    assert warehouse.read("prices").empty
    assert append(warehouse, "prices", [price()], "k")


def test_one_of_many_appends_with_one_key_is_taken(warehouse: Warehouse) -> None:
    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(lambda _: append(warehouse, "prices", [price()], "k"), range(16)))
    assert sum(taken) == 1
    assert len(warehouse.read("prices")) == 1


def test_types_come_back_as_they_went_in(warehouse: Warehouse) -> None:
    append(warehouse, "prices", [price(volume=np.nan), price(day=20, generation=1690000000000000)], "k")
    read = warehouse.read("prices").sort_values("session_date")
    assert list(read["session_date"].dt.date) == [date(2023, 7, 20), date(2023, 7, 21)]
    assert list(read["generation"]) == [1690000000000000, 1]
    assert list(read["volume"].isna()) == [False, True]
    assert read["ingested_at"].iloc[0] == AT


def test_rows_are_read_by_value_and_by_list_of_values(warehouse: Warehouse) -> None:
    append(warehouse, "prices", [price(symbol) for symbol in ("MSFT", "META", "MMM", "'; DROP TABLE prices; --")], "k")
    assert len(warehouse.read("prices", {"symbol": ["MSFT", "META"], "session_date": date(2023, 7, 21)})) == 2
    assert len(warehouse.read("prices", {"symbol": "'; DROP TABLE prices; --"})) == 1
    assert warehouse.read("prices", {"symbol": []}).empty


def test_the_newest_generation_of_a_session_is_the_latest_price(warehouse: Warehouse) -> None:
    append(warehouse, "prices", [price(generation=2, close=2.0), price(day=20, generation=2, close=20.0)], "2")
    append(warehouse, "prices", [price(generation=1, close=1.0), price("META", generation=1, close=9.0)], "1")
    latest = warehouse.read("latest_prices").sort_values(["symbol", "session_date"])
    assert list(latest["symbol"]) == ["META", "MSFT", "MSFT"]
    assert list(latest["close"]) == [9.0, 20.0, 2.0]


def test_of_two_vintages_with_one_cutoff_the_newest_generation_is_kept_whatever_came_first(
    warehouse: Warehouse,
) -> None:
    newer = [forecast(step=step, generation=2, close_median=200.0) for step in (1, 2)]
    older = [forecast(step=step, generation=1) for step in (1, 2)]
    append(warehouse, "forecasts", newer, "2")
    append(warehouse, "forecasts", older, "1")
    for view in ("forecast_history", "latest_forecasts"):
        assert list(warehouse.read(view)["close_median"]) == [200.0, 200.0]


def test_the_latest_forecast_is_from_the_newest_cutoff_and_the_history_keeps_all(warehouse: Warehouse) -> None:
    append(warehouse, "forecasts", [forecast(cutoff=21), forecast(cutoff=21, model_name="random-walk")], "newer")
    append(warehouse, "forecasts", [forecast(cutoff=14, generation=9)], "older cutoff, later file")
    assert list(warehouse.read("latest_forecasts")["cutoff"].dt.day) == [21, 21]
    assert sorted(warehouse.read("forecast_history")["cutoff"].dt.day) == [14, 21, 21]


def test_predicted_prices_has_one_row_a_date_and_symbol(warehouse: Warehouse) -> None:
    for symbol in ("MSFT", "META"):
        bars = [price(symbol, session_date=day.date()) for day in pd.bdate_range(end="2023-07-21", periods=120)]
        both = [forecast(symbol, step=step, model_name=name) for step in (1, 2) for name in ("lstm", "random-walk")]
        append(warehouse, "prices", bars, f"prices {symbol}")
        append(warehouse, "forecasts", both, f"forecasts {symbol}")
        append(warehouse, "forecasts", [forecast(symbol, step=1, model_name="renamed", generation=0)], f"old {symbol}")
    wide = warehouse.read("predicted_prices")
    assert not wide.duplicated(["symbol", "date"]).any()
    assert dict(wide.groupby("symbol")["is_forecast"].agg(lambda flags: (len(flags), int(flags.sum())))) == {
        "MSFT": (92, 2),
        "META": (92, 2),
    }
    assert wide[wide["is_forecast"]]["close"].isna().all()
    assert wide[~wide["is_forecast"]]["close_median"].isna().all()
    assert set(wide["model_name"]) == {"lstm"}


def test_a_warehouse_that_was_never_set_up_says_so(tmp_path: Path) -> None:
    with pytest.raises(WarehouseUnavailable, match="has not been set up"):
        DuckDBWarehouse(tmp_path / "empty.duckdb", resource("sql")).read("prices")


def test_a_file_of_another_kind_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not a database, and long enough to be read as one " * 100)
    with pytest.raises(UsageError, match="not a DuckDB file"):
        DuckDBWarehouse(tmp_path / "notes.txt", resource("sql")).provision()


def test_a_table_of_another_shape_is_refused_and_kept(tmp_path: Path) -> None:
    sql = tmp_path / "sql"
    (sql / "tables").mkdir(parents=True)
    (sql / "tables" / "prices.sql").write_text("CREATE TABLE IF NOT EXISTS prices (symbol STRING)")
    made = DuckDBWarehouse(tmp_path / "w.duckdb", sql)
    assert made.provision() == ["prices"]
    made.append("prices", pd.DataFrame({"symbol": ["MSFT"]}), key="k")
    (sql / "tables" / "prices.sql").write_text("CREATE TABLE IF NOT EXISTS prices (symbol STRING, close FLOAT64)")
    with pytest.raises(SchemaMismatch, match="prices"):
        made.provision()
    assert len(made.read("prices")) == 1


def test_a_changed_view_is_replaced(tmp_path: Path) -> None:
    sql = tmp_path / "sql"
    (sql / "views").mkdir(parents=True)
    (sql / "views" / "one.sql").write_text("CREATE OR REPLACE VIEW one AS SELECT 1 AS x")
    made = DuckDBWarehouse(tmp_path / "w.duckdb", sql)
    made.provision()
    (sql / "views" / "one.sql").write_text("CREATE OR REPLACE VIEW one AS SELECT 2 AS x")
    assert made.provision() == ["one"]
    assert list(made.read("one")["x"]) == [2]


WRITER = """
import sys, pandas as pd
from pathlib import Path
from tickercast.backends.warehouse_duckdb import DuckDBWarehouse
warehouse = DuckDBWarehouse(Path(sys.argv[1]), Path(sys.argv[2]))
warehouse.provision()
for number in range(20):
    row = {"object": "o", "generation": number, "status": "forecast", "rows": 0, "duration_ms": 0.0,
           "received_at": pd.Timestamp.now("UTC"), "event_id": sys.argv[3]}
    warehouse.append("ingestions", pd.DataFrame([row]), key=f"{sys.argv[3]}/{number}")
"""


def test_processes_that_write_at_the_same_time_wait_for_each_other(tmp_path: Path) -> None:
    path = tmp_path / "w.duckdb"
    command = [sys.executable, "-c", WRITER, str(path), str(resource("sql"))]
    writers = [subprocess.Popen([*command, name], stderr=subprocess.PIPE) for name in ("a", "b", "c")]
    for writer in writers:
        assert writer.communicate(timeout=120)[1] == b""
    written = DuckDBWarehouse(path, resource("sql")).read("ingestions")
    assert dict(written.groupby("event_id").size()) == {"a": 20, "b": 20, "c": 20}


def test_a_file_that_stays_locked_is_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "w.duckdb"
    DuckDBWarehouse(path, resource("sql")).provision()
    script = "import sys, duckdb; held = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"
    holder = subprocess.Popen(
        [sys.executable, "-c", script, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(WarehouseUnavailable, match="held by another process"):
            DuckDBWarehouse(path, resource("sql"), patience_s=0.2).read("prices")
        assert holder.stdin is not None
        holder.stdin.close()


def test_duckdb_gets_each_table_with_the_columns_that_its_file_names(tmp_path: Path) -> None:
    path = tmp_path / "w.duckdb"
    DuckDBWarehouse(path, resource("sql")).provision()
    with duckdb.connect(path) as connection:
        described = dict(connection.execute("SELECT column_name, column_type FROM (DESCRIBE forecasts)").fetchall())
    assert described["generation"] == "BIGINT"
    assert described["cutoff"] == "DATE"
    assert described["created_at"] == "TIMESTAMP WITH TIME ZONE"
