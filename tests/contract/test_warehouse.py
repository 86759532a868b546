"""The contract of the warehouses, checked on each of them.

BigQuery's own clients talk to the stand-in of `tests/support/bigquery_server.py`; with TICKERCAST_TEST_PROJECT set and
credentials at hand the same tests run on Google Cloud, in a dataset that is created and deleted for each.
"""

import shutil
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery
from tests.support.warehouse_rows import AT, append, digest, forecast, ingestion, price, score, span

from tickercast import logs
from tickercast.backends.warehouse.bigquery import BigQueryWarehouse
from tickercast.backends.warehouse.duckdb import DuckDBWarehouse
from tickercast.backends.warehouse.sql import read_rewrites
from tickercast.config import resource
from tickercast.errors import (
    Outdated,
    Permanent,
    SchemaMismatch,
    TickercastError,
    UsageError,
    WarehouseUnavailable,
)
from tickercast.ports import Between, QueryLimits, Warehouse

FIRST_RELEASE = Path(__file__).parents[1] / "support" / "first_edition"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@pytest.fixture(params=["duckdb", "bigquery", "bigquery on Google Cloud"])
def open_warehouse(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[Path], Warehouse]]:
    """Opens the same warehouse, empty at first, with the tables and views of a folder."""
    match request.param:
        case "duckdb":
            yield lambda sql: DuckDBWarehouse(tmp_path / "warehouse.duckdb", sql)
        case "bigquery":
            emulator = request.getfixturevalue("bigquery_server").url
            with dataset("test-project", emulator) as name:
                yield lambda sql: BigQueryWarehouse("test-project", name, sql, emulator=emulator)
        case _:
            project = request.getfixturevalue("google_project")
            with dataset(project) as name:
                yield lambda sql: BigQueryWarehouse(project, name, sql)


def unused() -> str:
    """A name for a dataset."""
    return f"tickercast_test_{uuid.uuid4().hex}"


@contextmanager
def dataset(project: str, emulator: str = "") -> Iterator[str]:
    name = unused()
    yield name
    client = bigquery.Client(project, credentials=AnonymousCredentials() if emulator else None)
    client.delete_dataset(name, delete_contents=True, not_found_ok=True)
    client.close()


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    """A folder with our tables and no views."""
    shutil.copytree(resource("sql") / "tables", tmp_path / "ours" / "tables")
    return tmp_path / "ours"


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Names files for what was provisioned once, to be copied: DuckDB's own, or one with the name of a dataset."""
    folder = tmp_path_factory.mktemp("provisioned")
    return lambda name: folder / name


@pytest.fixture
def provisioned(
    request: pytest.FixtureRequest,
    open_warehouse: Callable[[Path], Warehouse],
    tmp_path: Path,
    kept: Callable[[str], Path],
) -> Callable[[Path, str], Warehouse]:
    """Provisions an empty warehouse from a folder; where no service does it, from the second on as a copy."""

    def provision(sql: Path, name: str) -> Warehouse:
        made = open_warehouse(sql)
        engine, dataset = request.node.callspec.params["open_warehouse"], made.url.rpartition("/")[2]
        first, file = kept(f"{name} of {engine}"), tmp_path / "warehouse.duckdb"
        match engine, first.exists():
            case "duckdb", True:
                shutil.copyfile(first, file)
            case "duckdb", False:
                made.provision()
                shutil.copyfile(file, first)
            case "bigquery", True:
                request.getfixturevalue("bigquery_server").engine.copy("test-project", first.read_text(), dataset)
            case "bigquery", False:
                made.provision()
                first.write_text(unused())
                request.getfixturevalue("bigquery_server").engine.copy("test-project", dataset, first.read_text())
            case _:
                made.provision()
        return made

    return provision


@pytest.fixture
def warehouse(provisioned: Callable[[Path, str], Warehouse], tables: Path) -> Warehouse:
    return provisioned(tables, "tables")


@pytest.fixture
def views(provisioned: Callable[[Path, str], Warehouse]) -> Warehouse:
    """A warehouse with all of our views."""
    return provisioned(resource("sql"), "views")


@pytest.fixture
def sql(tmp_path: Path) -> Path:
    """A folder with one table and one view."""
    folder = tmp_path / "sql"
    (folder / "tables").mkdir(parents=True)
    (folder / "views").mkdir()
    write_table(folder, "symbol STRING NOT NULL, close FLOAT64")
    (folder / "views" / "dear.sql").write_text("CREATE OR REPLACE VIEW dear AS\nSELECT * FROM bars WHERE close > 10")
    return folder


def write_table(sql: Path, columns: str) -> None:
    (sql / "tables" / "bars.sql").write_text(f"CREATE TABLE IF NOT EXISTS bars ({columns})")


def write_migration(sql: Path, text: str) -> None:
    (sql / "migrations").mkdir(exist_ok=True)
    (sql / "migrations" / "bars.sql").write_text(text)


def test_provisioning_again_changes_nothing(views: Warehouse, open_warehouse: Callable[[Path], Warehouse]) -> None:
    append(views, "prices", [price()], "k")
    assert views.provision() == []
    assert open_warehouse(resource("sql")).provision() == []
    assert len(views.read("prices")) == 1


def test_an_append_with_a_known_key_changes_nothing(warehouse: Warehouse) -> None:
    assert append(warehouse, "prices", [price()], "prices/bucket/MSFT.csv#1")
    assert not append(warehouse, "prices", [price(close=1.0)], "prices/bucket/MSFT.csv#1")
    assert list(warehouse.read("prices")["close"]) == [343.77]


def test_a_revision_changes_with_every_append_to_its_table_and_with_no_other(warehouse: Warehouse) -> None:
    seen = [warehouse.revision("prices")]
    for day in (20, 21):
        append(warehouse, "prices", [price(day=day)], f"k{day}")
        seen.append(warehouse.revision("prices"))
    assert len(set(seen)) == 3
    append(warehouse, "prices", [price(day=21)], "k21")
    ledger = warehouse.revision("ingestions")
    assert (warehouse.revision("prices"), warehouse.revision("ingestions")) == (seen[-1], ledger)


def test_a_revision_of_a_value_changes_with_the_appends_of_its_rows_alone(warehouse: Warehouse) -> None:
    assert warehouse.revisions("prices", by="symbol") == {}
    append(warehouse, "prices", [price(symbol="MSFT"), price(symbol="AAPL")], "k1")
    before = warehouse.revisions("prices", by="symbol")
    append(warehouse, "prices", [price(symbol="MSFT", day=20)], "k2")
    after = warehouse.revisions("prices", by="symbol")
    assert set(before) == set(after) == {"MSFT", "AAPL"}
    assert (before["AAPL"] == after["AAPL"], before["MSFT"] == after["MSFT"]) == (True, False)


def test_an_append_that_fails_leaves_neither_rows_nor_key(warehouse: Warehouse) -> None:
    with pytest.raises(SchemaMismatch, match="NOT NULL"):
        append(warehouse, "prices", [price(), price(day=20, symbol=None)], "k")
    assert warehouse.read("prices").empty
    assert append(warehouse, "prices", [price()], "k")


def test_one_of_many_appends_with_the_same_key_is_stored(warehouse: Warehouse) -> None:
    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(lambda _: append(warehouse, "prices", [price()], "k"), range(16)))
    assert sum(taken) == 1
    assert len(warehouse.read("prices")) == 1


def test_writers_with_different_keys_are_all_stored(open_warehouse: Callable[[Path], Warehouse], sql: Path) -> None:
    writers = [open_warehouse(sql), open_warehouse(sql)]
    assert sorted(name for writer in writers for name in writer.provision()) == ["bars", "dear"]

    def write(number: int) -> bool:
        return append(writers[number % 2], "bars", [{"symbol": f"S{number}", "close": 1.0}], f"key {number}")

    with ThreadPoolExecutor(2) as pool:
        assert all(pool.map(write, range(10)))
    assert len(writers[0].read("bars")) == 10


def test_a_hundred_concurrent_events_some_of_them_twice_are_each_stored_once(warehouse: Warehouse) -> None:
    def handle(number: int) -> bool:
        symbol = f"S{number % 100}"
        return append(warehouse, "prices", [price(symbol), price(symbol, day=20)], f"prices/bucket/{symbol}.csv#1")

    with ThreadPoolExecutor(25) as pool:
        taken = list(pool.map(handle, range(110)))
    assert sum(taken) == 100
    stored = warehouse.read("prices")
    assert len(stored) == 200
    assert not stored.duplicated(["symbol", "session_date"]).any()


def test_texts_may_come_as_categories(warehouse: Warehouse) -> None:
    rows = pd.DataFrame([price("MSFT"), price("META")])
    assert warehouse.append("prices", rows.astype({"symbol": "category", "object": "category"}), key="k")
    found = warehouse.read("prices").sort_values("symbol")
    assert list(found["symbol"]) == ["META", "MSFT"]
    assert list(found["object"]) == ["ohlc/2023-07-22/META.csv", "ohlc/2023-07-22/MSFT.csv"]


def test_arrow_is_stored_as_pandas_is(warehouse: Warehouse) -> None:
    rows = pd.DataFrame([price("MSFT", volume=None), price("META")])
    table = pa.Table.from_pandas(rows.astype({"symbol": "category", "object": "category"}), preserve_index=False)
    assert append(warehouse, "prices", [price("MSFT", volume=None), price("META")], "pandas")
    before = warehouse.read("prices")
    assert warehouse.append("prices", table, key="arrow")
    assert not warehouse.append("prices", table, key="arrow")
    assert not warehouse.append("prices", table.slice(0, 0), key="none")
    after = warehouse.read("prices").sort_values("symbol", kind="stable").reset_index(drop=True)
    twice = pd.concat([before, before]).sort_values("symbol", kind="stable").reset_index(drop=True)
    pd.testing.assert_frame_equal(after, twice)


def test_arrow_that_does_not_fit_leaves_the_key_free(warehouse: Warehouse) -> None:
    whole = pa.Table.from_pandas(pd.DataFrame([price()]), preserve_index=False)
    for bad in (
        whole.append_column("nonsense", pa.array([1])),
        whole.drop_columns("close"),
        whole.set_column(whole.column_names.index("close"), "close", pa.array(["dear"])),
    ):
        with pytest.raises(SchemaMismatch):
            warehouse.append("prices", bad, key="k")
    assert warehouse.append("prices", whole, key="k")


def test_no_rows_leave_the_key_free(warehouse: Warehouse) -> None:
    assert not warehouse.append("prices", pd.DataFrame([price()]).iloc[:0], key="k")
    assert append(warehouse, "prices", [price()], "k")


def test_any_text_is_a_key(warehouse: Warehouse) -> None:
    keys = ["prices/bucket/ohlc/2023-07-22/BRK-B.csv#1", "prices/bucket/ohlc/2023-07-22/BRK-B.csv#2", "Ü 'x'; --" * 200]
    for key in keys:
        assert append(warehouse, "prices", [price()], key)
        assert not append(warehouse, "prices", [price()], key)


def test_types_come_back_as_they_went_in(warehouse: Warehouse) -> None:
    first = price(volume=np.nan, object="Ü 'x'\n\\", ingested_at=AT.replace(microsecond=123456))
    append(warehouse, "prices", [first, price(day=20, close=0.1, generation="Ü-9")], "k")
    read = warehouse.read("prices").sort_values("session_date")
    assert list(read["session_date"].dt.date) == [date(2023, 7, 20), date(2023, 7, 21)]
    assert list(read["generation"]) == ["Ü-9", "1"]
    assert list(read["volume"].isna()) == [False, True]
    assert list(read["close"]) == [0.1, 343.77]
    assert list(read["object"])[1] == "Ü 'x'\n\\"
    assert list(read["ingested_at"]) == [AT, AT.replace(microsecond=123456)]
    append(warehouse, "digests", [digest(), digest("META", digest=2**63 - 1)], "digests")
    assert list(warehouse.read("digests").sort_values("symbol")["digest"]) == [2**63 - 1, -(2**63)]


def test_lists_come_back_as_they_went_in_from_pandas_and_from_arrow(warehouse: Warehouse) -> None:
    given = [[-0.1, 0.0, 1 / 3], [], None]
    rows = [forecast(step=step, quantiles=values) for step, values in enumerate(given, start=1)]
    append(warehouse, "forecasts", rows, "pandas")
    more = pa.Table.from_pandas(pd.DataFrame(rows).assign(symbol="META"), preserve_index=False)
    assert warehouse.append("forecasts", more, key="arrow")
    for symbol in ("MSFT", "META"):
        found = warehouse.read("forecasts", {"symbol": symbol}).sort_values("step")["quantiles"]
        assert [list(one) if isinstance(one, np.ndarray) else [] for one in found] == [values or [] for values in given]


@pytest.mark.parametrize("rows", [0, 1])
def test_every_engine_gives_the_same_dtypes_even_where_nothing_is_found(warehouse: Warehouse, rows: int) -> None:
    append(warehouse, "forecasts", [forecast()], "k")
    found = warehouse.read("forecasts", {"symbol": "MSFT" if rows else "META"})
    assert len(found) == rows
    assert found.dtypes.astype(str).replace("object", "str").to_dict() == {
        **dict.fromkeys(("symbol", "frequency", "model_name", "model_version", "role", "origin", "object"), "str"),
        **dict.fromkeys(("generation", "quantiles"), "str"),
        **dict.fromkeys(("cutoff", "target_date"), "datetime64[us]"),
        "step": "int64",
        **dict.fromkeys(("last_close", "close_median", "close_lo_80", "close_hi_80", "close_lo_95"), "float64"),
        "close_hi_95": "float64",
        **dict.fromkeys(("simulated", "model_has_seen", "doubtful"), "bool"),
        **dict.fromkeys(("cutoff_at", "target_at", "written_at", "created_at"), "datetime64[us, UTC]"),
    }


@pytest.mark.parametrize("rows", [0, 3])
def test_a_stream_has_the_rows_and_types_of_a_whole_reading(warehouse: Warehouse, rows: int) -> None:
    given = [forecast(step=step, quantiles=[0.1, step / 7]) for step in range(1, rows + 1)]
    append(warehouse, "forecasts", [*given, forecast("META")], "k")
    limits, where = QueryLimits(60, 256), {"symbol": "MSFT", "cutoff": Between(None, date(2023, 7, 21))}
    with warehouse.stream("forecasts", where, limits=limits) as reader:
        assert {
            field.name: str(field.type).replace("element", "l").replace("item", "l") for field in reader.schema
        } == {
            **dict.fromkeys(("symbol", "frequency", "model_name", "model_version", "role", "origin"), "string"),
            **dict.fromkeys(("object", "generation"), "string"),
            **dict.fromkeys(("cutoff", "target_date"), "date32[day]"),
            "step": "int64",
            **dict.fromkeys(("last_close", "close_median", "close_lo_80", "close_hi_80"), "double"),
            **dict.fromkeys(("close_lo_95", "close_hi_95"), "double"),
            "quantiles": "list<l: double>",
            **dict.fromkeys(("simulated", "model_has_seen", "doubtful"), "bool"),
            **dict.fromkeys(("cutoff_at", "target_at", "written_at", "created_at"), "timestamp[us, tz=UTC]"),
        }
        found = reader.read_all()
    whole = warehouse.read_arrow("forecasts", where)
    assert found.num_rows == whole.num_rows == rows
    assert found.sort_by("step").to_pylist() == whole.sort_by("step").to_pylist()


def test_a_writer_does_not_wait_for_a_stream(warehouse: Warehouse) -> None:
    append(warehouse, "prices", [price()], "one")
    with warehouse.stream("prices", limits=QueryLimits(60, 256)) as reader:
        append(warehouse, "prices", [price("META")], "two")
        assert reader.read_all().num_rows == 1
    assert len(warehouse.read("prices")) == 2


def test_what_is_missing_is_null(warehouse: Warehouse) -> None:
    assert append(warehouse, "ingestions", [ingestion(reason="why", cutoff=None)], "k")
    read = warehouse.read("ingestions")
    assert read[["symbol", "cutoff", "model_version", "event_id"]].isna().all(axis=None)
    assert read["cutoff"].dtype == "datetime64[us]"
    assert list(read["reason"]) == ["why"]


def test_rows_are_read_by_value_and_by_list_of_values(warehouse: Warehouse) -> None:
    append(warehouse, "prices", [price(symbol) for symbol in ("MSFT", "META", "MMM", "'; DROP TABLE prices; --")], "k")
    assert len(warehouse.read("prices", {"symbol": ["MSFT", "META"], "session_date": date(2023, 7, 21)})) == 2
    assert len(warehouse.read("prices", {"symbol": "'; DROP TABLE prices; --"})) == 1
    assert warehouse.read("prices", {"symbol": []}).empty
    assert len(warehouse.read("prices", {"generation": "1", "close": 343.77, "ingested_at": AT})) == 4


def test_rows_are_read_by_ranges_whose_ends_are_included_or_open(warehouse: Warehouse) -> None:
    rows = [price(symbol, day=day, close=float(day)) for symbol in ("META", "MSFT") for day in (18, 19, 20, 21)]
    append(warehouse, "prices", rows, "k")

    def days(first: Any, last: Any, column: str = "session_date", **where: Any) -> list[int]:
        found = warehouse.read("prices", {"symbol": "MSFT", column: Between(first, last), **where})
        return sorted(found["session_date"].dt.day)

    assert days(date(2023, 7, 19), date(2023, 7, 20)) == [19, 20]
    assert days(date(2023, 7, 20), None) == [20, 21]
    assert days(None, date(2023, 7, 18)) == [18]
    assert days(None, None) == [18, 19, 20, 21]
    assert days(date(2023, 7, 20), date(2023, 7, 19)) == []
    assert days(19.5, 20.0, "close") == [20]
    assert days(AT, None, "ingested_at", session_date=Between(date(2023, 7, 21), None)) == [21]
    assert days(AT + timedelta(microseconds=1), None, "ingested_at") == []
    between = {"symbol": Between("META", "META"), "session_date": [date(2023, 7, 18), date(2023, 7, 21)]}
    assert sorted(warehouse.read("prices", between)["close"]) == [18.0, 21.0]
    ranges = [Between(None, date(2023, 7, 18)), Between(date(2023, 7, 20), date(2023, 7, 20))]
    assert sorted(warehouse.read("prices", {"symbol": "META", "session_date": ranges})["close"]) == [18.0, 20.0]
    assert sorted(warehouse.read("prices", {"symbol": "META", "session_date": ranges[:1]})["close"]) == [18.0]


def test_texts_with_breaks_are_found_in_a_list(warehouse: Warehouse) -> None:
    append(warehouse, "prices", [price(name) for name in ("A", "B", "A\nB")], "k")
    for wanted in (["A", "B"], ["A", "A\nB"], ["A\nB", "C"]):
        found = warehouse.read("prices", {"symbol": wanted})
        assert sorted(found["symbol"]) == sorted(name for name in wanted if name != "C")


def test_tables_whose_keys_are_known_in_part_get_what_they_lack(warehouse: Warehouse) -> None:
    rows = pd.DataFrame([price()])
    assert append(warehouse, "prices", [price()], "prices/k")
    other = pd.DataFrame([{**price(), "first_session": date(2023, 7, 21), "last_session": date(2023, 7, 21)}])
    spans = other[["symbol", "frequency", "first_session", "last_session", "simulated", "object", "generation"]]
    spans = spans.assign(written_at=AT, announced_at=AT)
    warehouse.append_together({"prices": rows, "spans": spans}, key="k")
    warehouse.append_together({"prices": rows, "spans": spans}, key="k")
    assert (len(warehouse.read("prices")), len(warehouse.read("spans"))) == (1, 1)


def test_only_the_columns_that_are_wanted_are_read_in_their_order(views: Warehouse) -> None:
    append(views, "spans", [span()], "spans")
    append(views, "prices", [price(), price(day=20, close=1.0)], "k")
    for name in ("prices", "latest_prices"):
        found = views.read(name, {"session_date": Between(None, date(2023, 7, 20))}, ["close", "symbol"])
        assert list(found.columns) == ["close", "symbol"]
        assert found.to_dict("records") == [{"close": 1.0, "symbol": "MSFT"}]
        assert list(views.read(name, {"symbol": "META"}, ["volume"]).columns) == ["volume"]
    with pytest.raises(SchemaMismatch, match="colour"):
        views.read("prices", columns=["colour"])


def test_rows_of_several_tables_are_appended_together_and_each_once(warehouse: Warehouse) -> None:
    rows = {"prices": pd.DataFrame([price(), price(day=20)]), "forecasts": pd.DataFrame([forecast()])}
    assert append(warehouse, "forecasts", [forecast("META")], "forecasts/bucket/MSFT.csv#1")  # cut off after one table
    for _ in range(2):
        warehouse.append_together(rows, key="bucket/MSFT.csv#1")
        assert len(warehouse.read("prices")) == 2
        assert list(warehouse.read("forecasts")["symbol"]) == ["META"]
    assert not append(warehouse, "prices", [price("MMM")], "prices/bucket/MSFT.csv#1")
    warehouse.append_together(rows, key="bucket/MSFT.csv#2")
    assert (len(warehouse.read("prices")), len(warehouse.read("forecasts"))) == (4, 2)


def test_appending_nothing_together_leaves_the_keys_free(warehouse: Warehouse) -> None:
    none = pd.DataFrame([forecast()]).iloc[:0]
    warehouse.append_together({}, key="k")
    warehouse.append_together({"forecasts": none, "prices": pa.Table.from_pylist([price()])}, key="k")
    assert (len(warehouse.read("prices")), len(warehouse.read("forecasts"))) == (1, 0)
    assert append(warehouse, "forecasts", [forecast()], "forecasts/k")


def test_rows_of_several_tables_of_which_some_do_not_fit_are_complete_after_another_attempt(
    warehouse: Warehouse,
) -> None:
    good = {"prices": pd.DataFrame([price()]), "forecasts": pd.DataFrame([forecast()])}
    with pytest.raises(SchemaMismatch):
        warehouse.append_together(good | {"forecasts": pd.DataFrame([forecast(symbol=None)])}, key="k")
    assert warehouse.read("forecasts").empty
    warehouse.append_together(good, key="k")
    assert (len(warehouse.read("prices")), len(warehouse.read("forecasts"))) == (1, 1)


def test_calls_in_a_session_see_each_others_rows_and_so_do_calls_after_it(
    warehouse: Warehouse, open_warehouse: Callable[[Path], Warehouse], tables: Path
) -> None:
    for number in (1, 2):  # one session after another
        with warehouse.session(together=number == 1):
            assert append(warehouse, "prices", [price(f"A{number}")], f"a{number}")
            assert len(warehouse.read("prices", {"symbol": f"A{number}"})) == 1
            assert not append(warehouse, "prices", [price()], f"a{number}")
            warehouse.append_together({"prices": pd.DataFrame([price(f"B{number}")])}, key=f"b{number}")
            assert len(warehouse.query("SELECT * FROM prices")) == 2 * number
    assert len(open_warehouse(tables).read("prices")) == 4


def test_a_session_within_a_session_is_a_part_of_it(warehouse: Warehouse) -> None:
    with warehouse.session() as outer:
        with warehouse.session() as inner:
            assert append(warehouse, "prices", [price("A")], "a")
        assert inner is outer
        assert append(warehouse, "prices", [price("B")], "b")
        assert len(warehouse.read("prices")) == 2
    assert len(warehouse.read("prices")) == 2


def test_what_a_session_has_appended_stays_whatever_follows(warehouse: Warehouse) -> None:
    def work() -> None:
        with warehouse.session():
            assert append(warehouse, "prices", [price()], "k")
            append(warehouse, "prices", [price(symbol=None)], "bad")

    with pytest.raises(SchemaMismatch):
        work()
    assert not append(warehouse, "prices", [price()], "k")
    assert len(warehouse.read("prices")) == 1


def test_an_error_in_a_session_that_stores_together_undoes_its_appends_where_nobody_else_writes_and_else_leaves_them(
    warehouse: Warehouse,
) -> None:
    with warehouse.session() as alone:
        pass
    for wrong in (lambda: append(warehouse, "prices", [price(symbol=None)], "bad"), lambda: [][0]):
        key = str(wrong)

        def work(key: str = key, wrong: Callable[[], Any] = wrong) -> None:
            with warehouse.session(together=True):
                assert append(warehouse, "prices", [price()], key)
                wrong()

        with pytest.raises((SchemaMismatch, IndexError)):
            work()
        assert append(warehouse, "prices", [price()], key) is alone
    assert len(warehouse.read("prices")) == 2
    with warehouse.session():
        assert append(warehouse, "prices", [price()], "bad")


def test_a_session_that_stores_together_is_undone_by_a_call_that_failed_where_nobody_else_writes(
    warehouse: Warehouse,
) -> None:
    def work() -> None:
        with warehouse.session(together=True) as alone:
            assert append(warehouse, "prices", [price()], "k")
            with pytest.raises(SchemaMismatch):
                append(warehouse, "prices", [price(), price(symbol=None)], "bad")
        assert not alone

    with suppress(SchemaMismatch):
        work()
    append(warehouse, "prices", [price()], "k")
    assert len(warehouse.read("prices")) == 1


def test_sessions_of_several_threads_store_everything_once(warehouse: Warehouse) -> None:
    def handle(number: int) -> int:
        with warehouse.session():
            append(warehouse, "prices", [price(f"S{number % 8}")], f"prices/{number % 8}")
            return len(warehouse.read("prices", {"symbol": f"S{number % 8}"}))

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(handle, range(16))) == [1] * 16
    assert len(warehouse.read("prices")) == 8


def test_a_column_that_a_table_does_not_have_is_a_sentence(warehouse: Warehouse) -> None:
    with pytest.raises(SchemaMismatch, match=r"does not fit the tables of .*: .*ticker"):
        warehouse.read("prices", {"ticker": "MSFT"})
    with pytest.raises(SchemaMismatch, match="ticker"):
        append(warehouse, "prices", [price(ticker="MSFT")], "k")
    assert append(warehouse, "prices", [price()], "k")


@pytest.mark.parametrize("wrong", [{"close": "dear"}, {"session_date": "yesterday"}, {"simulated": "perhaps"}])
def test_a_value_of_another_type_is_refused_and_leaves_the_key_free(
    warehouse: Warehouse, wrong: dict[str, Any]
) -> None:
    with pytest.raises(SchemaMismatch, match="fit"):
        append(warehouse, "prices", [price() | wrong], "k")
    assert append(warehouse, "prices", [price()], "k")


def test_the_bar_that_was_written_last_is_the_latest_price(views: Warehouse) -> None:
    append(views, "spans", [span(), span("META")], "spans")
    newer = {"generation": "10", "written_at": AT}
    older = {"generation": "9", "written_at": AT - timedelta(days=1)}  # as a text it comes later
    append(views, "prices", [price(close=2.0, **newer), price(day=20, close=20.0, **newer)], "2")
    append(views, "prices", [price(close=1.0, **older), price("META", close=9.0, **older)], "1")
    latest = views.read("latest_prices").sort_values(["symbol", "session_date"])
    assert list(latest["symbol"]) == ["META", "MSFT", "MSFT"]
    assert list(latest["close"]) == [9.0, 20.0, 2.0]


def test_of_two_vintages_with_one_cutoff_the_one_written_last_is_kept_in_any_order(views: Warehouse) -> None:
    newer = [forecast(step=step, generation="10", written_at=AT, close_median=200.0) for step in (1, 2)]
    older = [forecast(step=step, generation="9", written_at=AT - timedelta(days=1)) for step in (1, 2)]
    append(views, "forecasts", newer, "2")
    append(views, "forecasts", older, "1")
    for view in ("forecast_history", "latest_forecasts"):
        assert list(views.read(view)["close_median"]) == [200.0, 200.0]


def test_the_latest_forecast_is_from_the_newest_cutoff_and_the_history_keeps_all(views: Warehouse) -> None:
    append(views, "forecasts", [forecast(cutoff=21), forecast(cutoff=21, model_name="random-walk")], "newer")
    append(views, "forecasts", [forecast(cutoff=14, generation="9")], "older cutoff, later file")
    assert list(views.read("latest_forecasts")["cutoff"].dt.day) == [21, 21]
    assert sorted(views.read("forecast_history")["cutoff"].dt.day) == [14, 21, 21]


def test_predicted_prices_has_one_row_a_date_and_symbol(views: Warehouse) -> None:
    for symbol in ("MSFT", "META"):
        bars = [price(symbol, session_date=day.date()) for day in pd.bdate_range(end="2023-07-21", periods=120)]
        both = [forecast(symbol, step=step, model_name=name) for step in (1, 2) for name in ("lstm", "random-walk")]
        append(views, "spans", [span(symbol)], f"spans {symbol}")
        append(views, "prices", bars, f"prices {symbol}")
        append(views, "forecasts", both, f"forecasts {symbol}")
        append(views, "forecasts", [forecast(symbol, step=1, model_name="renamed", generation="0")], f"old {symbol}")
    wide = views.read("predicted_prices")
    assert not wide.duplicated(["symbol", "date"]).any()
    assert dict(wide.groupby("symbol")["is_forecast"].agg(lambda flags: (len(flags), int(flags.sum())))) == {
        "MSFT": (92, 2),
        "META": (92, 2),
    }
    assert wide[wide["is_forecast"]]["close"].isna().all()
    assert wide[~wide["is_forecast"]]["close_median"].isna().all()
    assert set(wide["model_name"]) == {"lstm"}


def test_a_warehouse_that_was_never_set_up_is_a_sentence(open_warehouse: Callable[[Path], Warehouse]) -> None:
    empty = open_warehouse(resource("sql"))
    with pytest.raises(WarehouseUnavailable, match="has not been set up"):
        empty.read("prices")
    with pytest.raises(WarehouseUnavailable, match="has not been set up"):
        append(empty, "prices", [price()], "k")


def test_an_older_table_gets_the_nullable_columns_that_it_lacks_and_keeps_its_rows(
    open_warehouse: Callable[[Path], Warehouse], sql: Path
) -> None:
    older = open_warehouse(sql)
    assert older.provision() == ["bars", "dear"]
    append(older, "bars", [{"symbol": "MSFT", "close": 343.77}], "1")
    write_table(
        sql,
        "symbol STRING NOT NULL, close FLOAT64, volume FLOAT64, seen_at TIMESTAMP, step INT64, moves ARRAY<FLOAT64>",
    )
    newer = open_warehouse(sql)
    full = {"symbol": "META", "close": 294.0, "volume": 1e6, "seen_at": AT, "step": 1, "moves": [0.1, -0.2]}
    with pytest.raises(Outdated, match=r"bars is missing or changed\. Run `tickercast provision`"):
        append(newer, "bars", [full], "2")
    assert newer.provision() == ["bars"]
    assert newer.provision() == []
    assert append(newer, "bars", [full], "2")
    assert not append(newer, "bars", [full], "1")
    assert append(older, "bars", [{"symbol": "MMM", "close": 104.0}], "3")
    read = newer.read("bars").sort_values("symbol")
    assert list(read["close"]) == [294.0, 104.0, 343.77]
    assert list(read["volume"].isna()) == [False, True, True]
    assert read["seen_at"].iloc[0] == AT
    assert list(read["moves"].iloc[0]) == [0.1, -0.2]
    assert set(newer.read("dear")["symbol"]) == {"META", "MMM", "MSFT"}


def test_a_table_of_a_newer_release_is_refused_before_anything_is_announced_or_replaced(
    open_warehouse: Callable[[Path], Warehouse], sql: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    newer = shutil.copytree(sql, tmp_path / "newer")
    write_table(newer, "symbol STRING NOT NULL, close FLOAT64, novelty STRING")
    (newer / "views" / "dear.sql").write_text("CREATE OR REPLACE VIEW dear AS\nSELECT * FROM bars WHERE close > 20")
    assert open_warehouse(newer).provision() == ["bars", "dear"]
    append(open_warehouse(newer), "bars", [{"symbol": "MSFT", "close": 15.0, "novelty": "new"}], "1")
    (sql / "views" / "also.sql").write_text("CREATE OR REPLACE VIEW also AS\nSELECT * FROM bars")
    with pytest.raises(SchemaMismatch, match=r"novelty STRING was seen and the file has no such column\. .* that one;"):
        open_warehouse(sql).provision()
    assert told(caplog) == []
    assert open_warehouse(newer).pending() == {}
    assert open_warehouse(newer).read("dear").empty
    with pytest.raises(TickercastError, match="also"):
        open_warehouse(newer).read("also")


FILLS = "UPDATE bars SET dear = close > 100 WHERE dear IS NULL"
RENAMES = "-- Retires: ticker\nUPDATE bars SET symbol = ticker WHERE symbol IS NULL"


def closes(warehouse: Warehouse, column: str = "dear") -> dict[float, Any]:
    """The values of a column of `bars`, by the close of the row."""
    rows = warehouse.read("bars")
    return {
        row["close"]: None if pd.isna(row[column]) else row[column]
        for row in rows.sort_values("close").to_dict("records")
    }


def test_a_migration_fills_the_new_column_of_older_rows(open_warehouse: Callable[[Path], Warehouse], sql: Path) -> None:
    older = open_warehouse(sql)
    older.provision()
    append(older, "bars", [{"symbol": "MSFT", "close": 343.77}, {"symbol": "MMM", "close": 99.0}], "1")
    append(older, "bars", [{"symbol": "NONE", "close": None}], "2")
    write_table(sql, "symbol STRING NOT NULL, close FLOAT64, dear BOOL")
    write_migration(sql, FILLS)
    newer = open_warehouse(sql)
    assert newer.pending() == {"bars": "changed"}
    assert newer.provision() == ["bars"]
    found = newer.read("bars").sort_values("symbol")
    assert list(found["symbol"]) == ["MMM", "MSFT", "NONE"]
    assert list(found["dear"].astype(object).where(found["dear"].notna(), None)) == [False, True, None]
    assert not append(newer, "bars", [{"symbol": "MSFT", "close": 343.77, "dear": True}], "1")
    assert append(newer, "bars", [{"symbol": "META", "close": 50.0, "dear": True}], "3")  # its writer knows better
    assert newer.provision() == []
    assert open_warehouse(sql).provision() == []
    assert newer.read("bars", {"symbol": "META"})["dear"].item()
    assert newer.pending() == {}


def test_a_new_table_has_its_newest_shape_and_is_not_migrated(
    open_warehouse: Callable[[Path], Warehouse], sql: Path
) -> None:
    write_table(sql, "symbol STRING, close FLOAT64")
    write_migration(sql, RENAMES)
    made = open_warehouse(sql)
    assert made.provision() == ["bars", "dear"]
    assert append(made, "bars", [{"symbol": "MSFT", "close": 343.77}, {"symbol": None, "close": 1.0}], "1")
    assert closes(made, "symbol") == {1.0: None, 343.77: "MSFT"}


def test_a_migration_retires_the_column_that_it_has_read(
    open_warehouse: Callable[[Path], Warehouse], sql: Path
) -> None:
    write_table(sql, "ticker STRING NOT NULL, close FLOAT64")
    older = open_warehouse(sql)
    older.provision()
    append(older, "bars", [{"ticker": "MSFT", "close": 343.77}], "1")
    write_table(sql, "symbol STRING, close FLOAT64")
    write_migration(sql, RENAMES)
    newer = open_warehouse(sql)
    assert newer.provision() == ["bars"]
    assert set(newer.read("bars").columns) == {"symbol", "close"}
    assert closes(newer, "symbol") == {343.77: "MSFT"}
    assert append(newer, "bars", [{"symbol": "META", "close": 294.0}], "2")
    assert newer.provision() == []
    write_table(sql, "symbol STRING, close FLOAT64, volume FLOAT64")  # a later release, when the column is long gone
    assert newer.provision() == ["bars"]
    assert closes(newer, "symbol") == {294.0: "META", 343.77: "MSFT"}


@pytest.mark.parametrize(
    ("before", "after", "migration"),
    [
        ("symbol STRING NOT NULL, close FLOAT64", "symbol STRING NOT NULL, close FLOAT64, dear BOOL", FILLS),
        (
            "symbol STRING NOT NULL, close FLOAT64, cheap BOOL",
            "symbol STRING NOT NULL, close FLOAT64, dear BOOL",
            "-- Retires: cheap\nUPDATE bars SET dear = COALESCE(NOT cheap, close > 100) WHERE dear IS NULL",
        ),
    ],
)
def test_a_migration_interrupted_before_it_filled_anything_is_finished_by_the_next_call(
    open_warehouse: Callable[[Path], Warehouse], sql: Path, before: str, after: str, migration: str
) -> None:
    write_table(sql, before)
    older = open_warehouse(sql)
    older.provision()
    append(older, "bars", [{"symbol": "MSFT", "close": 343.77}, {"symbol": "MMM", "close": 99.0}], "1")
    write_table(sql, after)
    write_migration(sql, migration.replace("close", "colour"))  # refused, after the column was added
    newer = open_warehouse(sql)
    for _ in range(2):
        with pytest.raises(SchemaMismatch, match="colour"):
            newer.provision()
        assert newer.pending() == {"bars": "changed"}
        assert sorted(older.read("bars", columns=["close"])["close"]) == [99.0, 343.77]
    write_migration(sql, migration)
    assert newer.provision() == ["bars"]
    assert set(newer.read("bars").columns) == {"symbol", "close", "dear"}
    assert closes(newer) == {99.0: False, 343.77: True}
    assert newer.provision() == []


def test_a_repeated_migration_changes_nothing(open_warehouse: Callable[[Path], Warehouse], sql: Path) -> None:
    older = open_warehouse(sql)
    older.provision()
    append(older, "bars", [{"symbol": "MSFT", "close": 343.77}], "1")
    write_migration(sql, FILLS)
    for columns in ("dear BOOL", "dear BOOL, volume FLOAT64"):  # both releases run it
        write_table(sql, f"symbol STRING NOT NULL, close FLOAT64, {columns}")
        assert open_warehouse(sql).provision() == ["bars"]
        assert closes(older)[343.77] is True
        append(older, "bars", [{"symbol": "META", "close": 294.0, "dear": False}], "2")
    assert closes(older) == {294.0: False, 343.77: True}


def test_rows_of_the_first_release_become_those_of_today(open_warehouse: Callable[[Path], Warehouse]) -> None:
    """Our own migrations, over the tables and views of the first release."""
    older = open_warehouse(FIRST_RELEASE)
    older.provision()

    def first_release(row: dict[str, Any], object_name: str, **more: Any) -> dict[str, Any]:
        added = {"frequency", "written_at", "role", "origin", "simulated", "model_has_seen", "doubtful", "rows_new"}
        kept = {name: value for name, value in row.items() if name not in added}
        return kept | {"object": object_name, "generation": generations[object_name]} | more

    live, back, simulated, bad = "ohlc/d/MSFT.csv", "ohlc/d/backfill-MSFT.csv", "ohlc/d/FAKE.csv", "ohlc/d/bad.csv"
    at = {name: AT + timedelta(microseconds=number) for number, name in enumerate((live, back, simulated, bad))}
    generations = {name: (day - EPOCH) // timedelta(microseconds=1) for name, day in at.items()}
    entry = ingestion(status="forecast", rows=2)
    seen = "backfilled: the model has seen this date: it was trained through 2023-12-31"
    append(
        older,
        "ingestions",
        [
            first_release(entry, live, symbol="MSFT", reason=None),
            first_release(entry, back, symbol="MSFT", reason=seen),
            first_release(entry, simulated, symbol="FAKE", reason="simulated"),
            first_release(entry, bad, symbol=None, status="rejected", reason="no header"),
        ],
        "ingestions",
    )
    files = ((live, "MSFT"), (back, "MSFT"), (simulated, "FAKE"))
    bars = [first_release(price(symbol, day=day, close=10.0), name) for name, symbol in files for day in (20, 21)]
    earlier = first_release(price("MSFT", day=19, close=9.0), back)
    append(older, "prices", [*bars, earlier], "prices")
    names = ("tickercast-lstm", "random-walk", "shadow")
    made = [first_release(forecast(symbol, 20), name, model_name=model) for name, symbol in files for model in names]
    append(older, "forecasts", made, "forecasts")
    measured = {"day": date(2023, 7, 21), "kind": "input", "method": "psi", "score": 0.1, "threshold": 0.2}
    measured |= {"drifted": False, "model_name": "lstm", "model_version": "1", "report": None, "created_at": AT}
    notes = {"return": "simulated", "sigma": None, "volume_z": "few bars"}
    append(older, "drift", [measured | {"name": name, "note": note} for name, note in notes.items()], "drift")
    decided = {"day": date(2023, 7, 21), "kind": "promotion", "decision": "kept", "reason": "why", "origins": 9}
    decided |= {"model_name": "lstm", "champion_version": "1", "challenger_version": "2", "created_at": AT}
    append(older, "retrains", [decided], "retrains")

    newer = open_warehouse(resource("sql"))
    changed = set(newer.provision())
    assert changed >= {
        "drift",
        "forecasts",
        "ingestions",
        "prices",
        "retrains",
        "champion_forecasts",
        "spans",
        "scores",
    }
    assert newer.provision() == []
    for table in ("prices", "forecasts", "ingestions"):
        with pytest.raises(WarehouseUnavailable):
            newer.read(f"{table}_before")
    for table in ("prices", "forecasts", "ingestions", "spans"):
        rows = newer.read(table)
        assert set(rows["frequency"]) == {"1d"}, table
        assert list(rows["generation"]) == [str(generations[name]) for name in rows["object"]], table
        assert list(rows["written_at"]) == [at[name] for name in rows["object"]], table
    ledger = newer.read("ingestions").set_index("object")
    assert dict(ledger["origin"]) == dict.fromkeys(ledger.index, "live") | {back: "backfill"}
    forecast_of = ledger[ledger["status"] == "forecast"]
    assert dict(forecast_of["simulated"]) == {live: False, back: False, simulated: True}
    assert ledger["simulated"].isna().sum() == 1
    assert dict(ledger["reason"].fillna("-")) == {live: "-", back: seen, simulated: "-", bad: "no header"}
    prices = newer.read("prices").sort_values(["object", "session_date"])
    assert list(zip(prices["object"], prices["session_date"].dt.day, prices["close"], strict=True)) == [
        (simulated, 20, 10.0), (simulated, 21, 10.0), (live, 20, 10.0), (live, 21, 10.0), (back, 19, 9.0),
    ]  # fmt: skip
    assert list(prices["simulated"]) == [True, True, False, False, False]
    spans = newer.read("spans").set_index("object")
    assert dict(spans["simulated"]) == {live: False, back: False, simulated: True}
    assert dict(spans["first_session"].dt.day) == {live: 20, back: 19, simulated: 20}
    assert set(spans["last_session"].dt.day) == {21}
    found = newer.read("forecasts")
    roles = {"tickercast-lstm": {"champion", "shadow"}, "random-walk": {"baseline"}}
    assert {name: set(group["role"]) for name, group in found.groupby("model_name")} == roles
    assert len(found) == 9
    assert (found["simulated"] == (found["symbol"] == "FAKE")).all()
    assert (found["model_has_seen"] == ((found["object"] == back) & (found["role"] == "champion"))).all()
    assert (found["origin"] == found["object"].map({live: "live", back: "backfill", simulated: "live"})).all()
    scores = newer.read("scores")
    assert sorted(zip(scores["object"], scores["role"], strict=True)) == sorted(
        (name, role) for name in (live, simulated) for role in ("baseline", "champion", "shadow")
    )
    assert (scores["simulated"] == (scores["symbol"] == "FAKE")).all()
    assert set(newer.read("skill_blocks")["symbol"]) == {"MSFT", "*"}
    history = newer.read("forecast_history", {"simulated": False, "step": 1})
    assert newer.read("forecast_counts")["forecasts"].sum() == len(history) == 3
    drift = newer.read("drift")
    assert "note" not in drift
    assert dict(drift.set_index("name")["simulated"]) == {"return": True, "sigma": False, "volume_z": False}
    retrains = newer.read("retrains")
    assert "challenger_version" not in retrains
    assert list(retrains["candidate_version"]) == ["2"]


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ("symbol STRING NOT NULL, close FLOAT64, step INT64 NOT NULL", "step INT64 NOT NULL was needed"),
        ("symbol STRING NOT NULL, close INT64", "close FLOAT64 was seen and close INT64 was needed"),
        ("symbol STRING, close FLOAT64", "symbol STRING NOT NULL was seen and symbol STRING was needed"),
        ("symbol STRING NOT NULL", "close FLOAT64 was seen and the file has no such column"),
    ],
)
def test_a_table_of_another_shape_is_refused_and_kept(
    open_warehouse: Callable[[Path], Warehouse], sql: Path, columns: str, reason: str
) -> None:
    made = open_warehouse(sql)
    made.provision()
    append(made, "bars", [{"symbol": "MSFT", "close": 343.77}], "k")
    write_table(sql, columns)
    with pytest.raises(SchemaMismatch, match=reason):
        made.provision()
    assert list(made.read("bars", columns=["close"])["close"]) == [343.77]


def test_a_changed_view_is_replaced(open_warehouse: Callable[[Path], Warehouse], sql: Path) -> None:
    made = open_warehouse(sql)
    made.provision()
    append(made, "bars", [{"symbol": "MSFT", "close": 5.0}], "k")
    assert made.read("dear").empty
    (sql / "views" / "dear.sql").write_text("CREATE OR REPLACE VIEW dear AS\nSELECT * FROM bars WHERE close > 1")
    assert made.provision() == ["dear"]
    assert list(made.read("dear")["close"]) == [5.0]


def sorted_rows(warehouse: Warehouse, name: str) -> pd.DataFrame:
    rows = warehouse.read(name)
    return rows.sort_values(list(rows), key=lambda column: column.astype(str)).reset_index(drop=True)


def test_a_query_uses_the_plain_names_of_tables_and_views(views: Warehouse) -> None:
    append(views, "spans", [span(), span("META")], "spans")
    append(views, "prices", [price(), price("META", close=2.0), price(day=20, close=1.0)], "k")
    found = views.query(
        "WITH mine AS (SELECT * FROM latest_prices) SELECT symbol, MAX(close) AS top FROM mine GROUP BY 1"
    )
    assert dict(zip(found["symbol"], found["top"], strict=True)) == {"MSFT": 343.77, "META": 2.0}


def test_a_query_takes_its_values_as_parameters(views: Warehouse) -> None:
    awkward = "'; DROP TABLE prices; --"
    rows = [price(symbol, day=day, close=day) for symbol in ("MSFT", "META", awkward) for day in (19, 20, 21)]
    append(views, "spans", [span(symbol) for symbol in ("MSFT", "META", awkward)], "spans")
    append(views, "prices", rows, "k")

    def ask(condition: str, **parameters: Any) -> list[tuple[str, int]]:
        text = f"SELECT symbol, close FROM latest_prices WHERE {condition}"
        found = views.query(text, parameters)
        return [(symbol, int(close)) for symbol, close in zip(found["symbol"], found["close"], strict=True)]

    assert ask("symbol = @symbol AND close > @close", symbol="MSFT", close=20.5) == [("MSFT", 21)]
    assert ask("symbol = @symbol AND close > 20", symbol=awkward) == [(awkward, 21)]
    assert ask("session_date = @day ORDER BY symbol DESC", day=date(2023, 7, 20)) == [
        ("MSFT", 20),
        ("META", 20),
        (awkward, 20),
    ]
    listed = "symbol IN UNNEST(@symbols) AND session_date IN UNNEST(@days) ORDER BY symbol, close"
    days = [date(2023, 7, 19), date(2023, 7, 21)]
    assert ask(listed, symbols=["META", "UNHEARD"], days=days) == [("META", 19), ("META", 21)]
    assert ask(listed, symbols=[], days=days) == []
    assert ask("close >= 20 ORDER BY close DESC, symbol DESC LIMIT @n", n=2) == [("MSFT", 21), ("META", 21)]
    assert ask("ingested_at = @at AND simulated = @simulated AND close = 19", at=AT, simulated=True) == []
    assert len(ask("ingested_at = @at AND simulated = @simulated", at=AT, simulated=False)) == 9
    assert ask("symbol = @one AND symbol = @one AND @two AND close = 19", one="META", two=True) == [("META", 19)]


def test_parameters_keep_the_types_of_what_is_found(views: Warehouse) -> None:
    append(views, "forecasts", [forecast(step=step) for step in (1, 2)], "k")
    for cutoff, rows in ((date(2023, 7, 21), 2), (date(2023, 7, 14), 0)):
        found = views.query("SELECT * FROM forecasts WHERE cutoff = @cutoff LIMIT @n", {"cutoff": cutoff, "n": 5})
        assert len(found) == rows
        pd.testing.assert_series_equal(found.dtypes, views.read("forecasts", {"cutoff": cutoff}).dtypes)


def test_a_parameter_without_a_value_is_a_sentence(views: Warehouse) -> None:
    for parameters in (None, {}):
        with pytest.raises(Permanent, match="symbol"):
            views.query("SELECT * FROM prices WHERE symbol = @symbol", parameters)


def test_anything_but_one_query_is_refused_and_changes_nothing(warehouse: Warehouse) -> None:
    append(warehouse, "prices", [price()], "k")
    for text, complaint in (
        ("DROP TABLE prices", "is not one query"),
        ("DELETE FROM prices WHERE TRUE", "is not one query"),
        ("SELECT 1; SELECT 2", "is not one query"),
        ("SELEC 1", "cannot be read"),
        ("", "is not one query"),
    ):
        with pytest.raises(UsageError, match=complaint):
            warehouse.query(text)
        assert len(warehouse.read("prices")) == 1, text


def test_a_query_that_does_not_fit_the_tables_is_a_sentence(views: Warehouse) -> None:
    with pytest.raises(Permanent, match="colour"):
        views.query("SELECT colour FROM prices")


def test_pending_names_what_provisioning_would_change(open_warehouse: Callable[[Path], Warehouse], sql: Path) -> None:
    made = open_warehouse(sql)
    assert made.pending() == {"bars": "missing", "dear": "missing"}
    made.provision()
    assert made.pending() == {}
    (sql / "views" / "dear.sql").write_text("CREATE OR REPLACE VIEW dear AS\nSELECT * FROM bars WHERE close > 20")
    assert made.pending() == {"dear": "changed"}
    assert made.provision() == ["dear"]


def test_views_of_another_release_are_named_as_they_are_renewed_and_new_ones_are_not(
    open_warehouse: Callable[[Path], Warehouse], sql: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = open_warehouse(sql)
    made.provision()
    assert not told(caplog)
    for name, least in (("dear", 20), ("dearer", 30)):
        view = f"CREATE OR REPLACE VIEW {name} AS\nSELECT * FROM bars WHERE close > {least}"
        (sql / "views" / f"{name}.sql").write_text(view)
    made.provision()
    assert told(caplog) == [f"{made.url} has views of another release: renewing dear. No row changes."]


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The log lines about a migration."""
    return [record.getMessage() for record in caplog.records if record.name == logs.MIGRATION]


def test_tables_of_an_earlier_release_are_said_to_be_that_and_stay_so_until_they_are_provisioned(
    open_warehouse: Callable[[Path], Warehouse], caplog: pytest.LogCaptureFixture
) -> None:
    open_warehouse(FIRST_RELEASE).provision()
    newer = open_warehouse(resource("sql"))
    lacking = newer.pending()
    asked: list[Callable[[], Any]] = [
        newer.compact,
        lambda: newer.read("champion_forecasts"),
        lambda: newer.read("ingestions", {"object": ["a.csv"]}),
        lambda: newer.read_arrow("prices", {"symbol": "MSFT"}),
        lambda: newer.read_arrow("prices", {"frequency": "1d"}),
        lambda: newer.revision("scores"),
        lambda: newer.query("SELECT COUNT(*) FROM champion_forecasts"),
        lambda: newer.query("SELECT COUNT(*) FROM champion_forecasts", limits=QueryLimits(10.0, 500)),
        lambda: append(newer, "prices", [price()], "k"),
    ]
    for ask in asked:
        with pytest.raises(Outdated, match=r"missing or changed\. Run `tickercast provision`"):
            ask()
    with pytest.raises(Permanent, match=r"nowhere|colour"):
        newer.query("SELECT colour FROM (SELECT 1 AS one) AS nowhere")
    with pytest.raises(TickercastError, match="nothere") as wrong:
        newer.query("SELECT * FROM coverages_nothere")
    assert "provision" not in str(wrong.value)
    assert newer.pending() == lacking
    assert not told(caplog)
    newer.provision()
    assert told(caplog) == [
        f"{newer.url} is of an earlier release: migrating drift, forecasts, ingestions, prices, retrains. "
        "No row is lost; earlier releases may refuse the tables then.",
        f"{newer.url} has views of another release: renewing coverage, drift_daily, forecast_history, forecast_scores, "
        "forecast_skill, indicators, ingestion_health, latest_forecasts, latest_prices, model_history, "
        "predicted_prices, price_histogram. No row changes.",
    ]
    newer.provision()
    assert len(told(caplog)) == 2
    for ask in asked:
        ask()


def test_compacting_drops_replaced_rows_and_changes_no_view(views: Warehouse) -> None:
    append(views, "spans", [span()], "spans")
    days = pd.bdate_range(end="2023-07-21", periods=40)
    for generation, last in (("9", 30), ("10", 35), ("11", 40)):
        rows = [
            price(session_date=day.date(), close=float(number), generation=generation, object=f"ohlc/{generation}.csv")
            for number, day in enumerate(days[last - 30 : last])
        ]
        append(views, "prices", rows, f"prices {generation}")
        vintage = [forecast(step=step, generation=generation) for step in (1, 2)]
        append(views, "forecasts", vintage, f"forecasts {generation}")
        append(views, "digests", [digest(generation=generation)], f"digests {generation}")
        scored = [score(revision=int(generation), step=step) for step in (1, 2)]
        append(views, "scores", scored, f"scores {generation}")
    names = ("latest_prices", "forecast_history", "forecast_scores", "indicators")
    before = {name: sorted_rows(views, name) for name in names}
    assert views.compact() == {"digests": 2, "forecasts": 4, "prices": 50, "scores": 4}
    for name, was in before.items():
        pd.testing.assert_frame_equal(sorted_rows(views, name), was)
    assert list(views.read("digests")["generation"]) == ["11"]
    assert set(views.compact().values()) == {0}


def test_forecasts_that_were_counted_count_once_when_newer_ones_replace_them(views: Warehouse) -> None:
    def history() -> dict[str, tuple[int, int]]:
        read = views.read("model_history", {"frequency": "1d"})
        return dict(zip(read["model_version"], zip(read["symbols"], read["forecasts"], strict=True), strict=True))

    made = [forecast(step=1, symbol=symbol, cutoff=day) for symbol in ("A", "B") for day in (19, 20)]
    append(views, "forecasts", made, "made")
    assert history() == {"1": (2, 4)}
    views.compact()
    assert views.read("forecast_counts")["forecasts"].sum() == 4
    assert history() == {"1": (2, 4)}
    after = made[0]["created_at"] + timedelta(hours=1)
    later = {"generation": "2", "model_version": "2", "created_at": after}
    append(views, "forecasts", [made[0] | later, made[3] | later | {"cutoff": date(2023, 7, 21)}], "later")
    for _ in range(2):
        assert history() == {"1": (2, 3), "2": (2, 2)}
        views.compact()
    assert views.read("forecast_counts")["forecasts"].sum() == 5


def test_sums_that_were_added_up_are_not_added_again_when_the_clock_goes_back(views: Warehouse) -> None:
    first = score()["scored_at"]
    append(views, "scores", [score(step=step, scored_at=first + timedelta(days=step)) for step in (1, 2)], "scores")
    sums = views.query(read_rewrites(resource("sql"))["skill_blocks"])
    views.append("skill_blocks", sums[sums["grain"] == "both"].assign(grain=None), key="skill_blocks")
    views.compact()
    made = sorted_rows(views, "skill_blocks")
    assert dict(made.groupby("grain")["n"].sum()) == {"both": 2, "step": 2, "symbol": 2}
    views.compact(until=first + timedelta(days=1))
    pd.testing.assert_frame_equal(sorted_rows(views, "skill_blocks"), made)


def test_a_compacted_bar_does_not_come_back_with_its_event(views: Warehouse) -> None:
    old = [price(session_date=date(2023, 1, 2), close=1.0), price(session_date=date(2023, 5, 2))]
    append(views, "prices", old, "old")
    append(views, "prices", [price(session_date=date(2023, 1, 2), generation="2", object="new")], "new")
    assert views.compact()["prices"] == 1
    assert not append(views, "prices", old, "old")
    assert len(views.read("prices")) == 2
