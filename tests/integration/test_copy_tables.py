"""`tickercast copy`: every row of a laptop's warehouse in BigQuery, and back."""

import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tests.support.bigquery_server import BigQueryServer

from tickercast import engines
from tickercast.app import App
from tickercast.backends.warehouse.bigquery import BigQueryWarehouse
from tickercast.backends.warehouse.duckdb import DuckDBWarehouse
from tickercast.backends.warehouse.sql import columns, read_objects
from tickercast.config import Settings, resource
from tickercast.errors import Outdated, UsageError, WarehouseUnavailable
from tickercast.jobs.operations import copy_tables
from tickercast.ports import Warehouse

FIRST_RELEASE = Path(__file__).parents[1] / "support" / "first_edition"
TABLES = [table for table in engines.dated_tables() if table.name in ("forecasts", "ingestions", "prices", "usage")]
VALUES: Mapping[str, list[Any]] = {
    "STRING": ["one", "zwölf"],
    "INT64": [1, 2],
    "FLOAT64": [0.1, -1e300],
    "BOOL": [True, False],
    "DATE": [date(2021, 3, 4), date(2026, 2, 28)],
    "TIMESTAMP": [datetime(2021, 3, 4, 23, 59, 59, 999_999, UTC), datetime(2026, 2, 28, tzinfo=UTC)],
    "ARRAY<FLOAT64>": [[0.5, 0.25], []],
}

Open = Callable[[str], DuckDBWarehouse]


@pytest.fixture
def sql(tmp_path: Path) -> Path:
    """Some of our tables, with every type, and no views, which take most of the time."""
    for kind in ("tables", "views"):
        (tmp_path / "sql" / kind).mkdir(parents=True)
    for name in (*(table.name for table in TABLES), "list_prices"):
        (tmp_path / "sql" / "tables" / f"{name}.sql").symlink_to(resource("sql") / "tables" / f"{name}.sql")
    return tmp_path / "sql"


@pytest.fixture
def at(tmp_path: Path, sql: Path) -> Open:
    return lambda name: DuckDBWarehouse(tmp_path / f"{name}.duckdb", sql)


@pytest.fixture
def laptop(at: Open) -> DuckDBWarehouse:
    """With three rows of each table, on two days; one has as few values as it may."""
    made = at("laptop")
    made.provision()
    for table in TABLES:
        full = pd.DataFrame({name: VALUES[kind] for name, kind in table.columns.items()})
        made.append(table.name, full, key=f"{table.name}/full")
        made.append(table.name, full.loc[:0, required(table.name)], key=f"{table.name}/least")
    return made


def required(table: str) -> list[str]:
    [found] = [found for found in read_objects(resource("sql")) if found.name == table]
    return [column.name for column in columns(found) if column.required]


def copy(
    source: Warehouse, target: Warehouse, on_chunk: Callable[[str, int], None] = lambda *_: None
) -> dict[str, int]:
    return copy_tables.copy_tables(source, target, TABLES, on_chunk=on_chunk)


def rows(warehouse: Warehouse) -> dict[str, list[str]]:
    return {
        table.name: sorted(
            repr({name: None if value == [] else value for name, value in row.items()})  # BigQuery has no NULL arrays
            for row in warehouse.read_arrow(table.name, columns=list(table.columns)).to_pylist()
        )
        for table in TABLES
    }


def test_every_row_of_every_table_goes_to_the_cloud_and_comes_back(
    laptop: DuckDBWarehouse, at: Open, sql: Path, bigquery_server: BigQueryServer
) -> None:
    cloud = BigQueryWarehouse("test-project", f"d{uuid.uuid4().hex}", sql, emulator=bigquery_server.url)
    assert copy(laptop, cloud) == {table.name: 3 for table in TABLES}
    assert rows(cloud) == rows(laptop)
    assert cloud.pending() == {}
    copy(cloud, at("back"))
    assert rows(at("back")) == rows(laptop)


def test_an_interrupted_copy_goes_on_and_a_second_one_changes_nothing(
    laptop: DuckDBWarehouse, at: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copy_tables, "_CHUNK_ROWS", 1)
    assert {kind for table in TABLES for kind in table.columns.values()} == VALUES.keys()
    seen: list[str] = []

    def stop(table: str, count: int) -> None:
        seen.append(table)
        if len(seen) == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        copy(laptop, at("copy"), stop)
    assert sum(copy(laptop, at("copy")).values()) == 3 * len(TABLES) - 8
    assert rows(at("copy")) == rows(laptop)
    assert set(copy(laptop, at("copy")).values()) == {0}


def test_a_warehouse_that_holds_other_rows_is_not_written_to(laptop: DuckDBWarehouse, at: Open) -> None:
    other = at("other")
    other.provision()
    row = pd.DataFrame({name: VALUES[kind][:1] for name, kind in TABLES[-1].columns.items()})
    other.append(TABLES[-1].name, row.assign(**{TABLES[-1].dated_by: date(2020, 1, 2)}), key="x")
    before = rows(other)
    with pytest.raises(UsageError, match=r"other.duckdb holds rows of \w+ that .* does not hold, and an empty"):
        copy(laptop, other)
    assert rows(other) == before


def test_what_cannot_be_copied_is_a_sentence(laptop: DuckDBWarehouse, at: Open, tmp_path: Path) -> None:
    older = DuckDBWarehouse(tmp_path / "older.duckdb", FIRST_RELEASE)
    older.provision()
    with pytest.raises(UsageError, match=r"older.duckdb is of another release, and an empty warehouse was needed"):
        copy(laptop, at("older"))
    with pytest.raises(Outdated, match=r"older.duckdb is of another release: .* differ\. Run `tickercast provision`"):
        copy(at("older"), at("copy"))
    with pytest.raises(UsageError, match="was to be copied into itself"):
        copy(laptop, at("laptop"))
    with pytest.raises(UsageError, match=r"nothing.duckdb holds no tables of tickercast"):
        copy(at("nothing"), at("copy"))
    assert not [*tmp_path.glob("nothing*"), *tmp_path.glob("copy*")]


def test_rows_that_arrive_meanwhile_are_noticed(laptop: DuckDBWarehouse, at: Open) -> None:
    def write(table: str, count: int) -> None:
        if table == "prices":
            laptop.append("prices", laptop.read_arrow("prices"), key="prices/again")

    with pytest.raises(WarehouseUnavailable, match=r"rows of prices in .* differ after the copy"):
        copy(laptop, at("copy"), write)


def test_the_app_copies_from_a_url(workspace: Path) -> None:
    first = App(Settings(source="sample"))
    first.provision()
    second = App(Settings(source="sample", warehouse=f"duckdb://{workspace}/second.duckdb"))
    assert set(second.copy_tables(first.tables.url).values()) == {0}
    assert second.tables.pending() == {}
    with pytest.raises(UsageError, match=r"'w.duckdb' was given, and duckdb://PATH or bigquery://PROJECT/DATASET"):
        second.copy_tables("w.duckdb")
