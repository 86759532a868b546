"""The BigQuery engine over a network that fails, with quotas and jobs; its clients talk to a stand-in."""

import io
import json
import re
import shutil
import socket
import subprocess
import sys
import urllib.request
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from google.api_core.exceptions import BadRequest, Conflict, NotFound
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery
from tests.support.bigquery_server import BigQueryServer
from tests.support.warehouse_rows import append, price

from tickercast.backends.warehouse.bigquery import BigQueryWarehouse
from tickercast.config import resource
from tickercast.errors import EngineUnusable, SchemaMismatch, TickercastError, UsageError, WarehouseUnavailable
from tickercast.logs import MIGRATION, WAITING

INSERT = "bigquery.jobs.insert"
QUERY = "bigquery.jobs.query"


@pytest.fixture
def sql(tmp_path: Path) -> Path:
    """A folder with the table of prices, and one view."""
    (tmp_path / "sql" / "tables").mkdir(parents=True)
    (tmp_path / "sql" / "views").mkdir()
    shutil.copy(resource("sql") / "tables" / "prices.sql", tmp_path / "sql" / "tables")
    dear = "-- Dear ones of prices.\nCREATE OR REPLACE VIEW dear AS\nSELECT symbol FROM prices WHERE close > 10\n"
    (tmp_path / "sql" / "views" / "dear.sql").write_text(dear)
    return tmp_path / "sql"


@pytest.fixture
def open_warehouse(bigquery_server: BigQueryServer, sql: Path) -> Callable[..., BigQueryWarehouse]:
    name = f"d{uuid.uuid4().hex}"

    def make(**options: Any) -> BigQueryWarehouse:
        return BigQueryWarehouse("test-project", name, sql, **{"emulator": bigquery_server.url} | options)

    return make


@pytest.fixture
def warehouse(open_warehouse: Callable[..., BigQueryWarehouse]) -> BigQueryWarehouse:
    made = open_warehouse()
    made.provision()
    return made


@pytest.fixture
def client(bigquery_server: BigQueryServer) -> bigquery.Client:
    return bigquery.Client("test-project", credentials=AnonymousCredentials())


def stored(warehouse: BigQueryWarehouse) -> int:
    return len(warehouse.read("prices"))


def dataset(warehouse: BigQueryWarehouse) -> str:
    return warehouse.url.rpartition("/")[2]


# ---------------------------------------------------------------- provisioning


def test_tables_are_partitioned_by_month_clustered_and_described(
    warehouse: BigQueryWarehouse, client: bigquery.Client
) -> None:
    table = client.get_table(f"{dataset(warehouse)}.prices")
    assert table.time_partitioning is not None
    assert (table.time_partitioning.type_, table.time_partitioning.field) == ("MONTH", "session_date")
    assert table.clustering_fields == ["symbol"]
    assert table.description.startswith("Every bar")
    assert all(field.description for field in table.schema)


def test_a_view_keeps_its_text_with_names_that_carry_their_dataset(
    warehouse: BigQueryWarehouse, client: bigquery.Client
) -> None:
    place = f"test-project.{dataset(warehouse)}"
    assert client.get_table(f"{dataset(warehouse)}.dear").view_query == (
        f"-- Dear ones of prices.\nCREATE OR REPLACE VIEW `{place}.dear` AS\n"
        f"SELECT symbol FROM `{place}.prices` WHERE close > 10\n"
    )


def test_provisioning_with_nothing_to_do_is_one_request(
    warehouse: BigQueryWarehouse, bigquery_server: BigQueryServer
) -> None:
    bigquery_server.calls.clear()
    assert warehouse.provision() == []
    assert bigquery_server.calls == {"bigquery.tables.list": 1}


def test_the_dataset_is_made_where_the_url_says_and_jobs_are_found_there(
    open_warehouse: Callable[..., BigQueryWarehouse], bigquery_server: BigQueryServer, client: bigquery.Client
) -> None:
    made = open_warehouse(location="europe-west3")
    made.provision()
    assert client.get_dataset(dataset(made)).location == "europe-west3"
    bigquery_server.fail("job", "1", "1")
    assert append(made, "prices", [price()], "k")
    assert not append(open_warehouse(), "prices", [price()], "k")
    assert stored(made) == 1


def test_a_dataset_in_another_location_is_a_sentence(open_warehouse: Callable[..., BigQueryWarehouse]) -> None:
    open_warehouse(location="EU").provision()
    assert open_warehouse().read("prices").empty
    with pytest.raises(WarehouseUnavailable, match=r"not found in location US\. .* correct TICKERCAST_WAREHOUSE"):
        open_warehouse(location="US").read("prices")


def test_a_column_of_a_type_that_we_never_write_is_a_sentence(
    warehouse: BigQueryWarehouse, client: bigquery.Client
) -> None:
    table = client.get_table(f"{dataset(warehouse)}.prices")
    table.schema = [*table.schema, bigquery.SchemaField("paid", "NUMERIC")]
    client.update_table(table, ["schema"])
    with pytest.raises(SchemaMismatch, match="paid NUMERIC"):
        append(warehouse, "prices", [price()], "k")


def test_provisioning_that_was_cut_off_is_finished_by_the_next_and_is_no_migration(
    open_warehouse: Callable[..., BigQueryWarehouse], bigquery_server: BigQueryServer, caplog: pytest.LogCaptureFixture
) -> None:
    for faults in (["accessDenied"], ["", "accessDenied"]):  # at the label of the table, then at that of the view
        bigquery_server.fail("bigquery.tables.patch", *faults)
        with pytest.raises(EngineUnusable):
            open_warehouse().provision()
    assert open_warehouse().provision() == ["dear"]
    assert MIGRATION not in {record.name for record in caplog.records}
    assert open_warehouse().provision() == []


def test_of_two_migrations_at_once_the_later_is_told_to_try_again(
    warehouse: BigQueryWarehouse, bigquery_server: BigQueryServer, sql: Path
) -> None:
    (sql / "tables" / "prices.sql").write_text((sql / "tables" / "prices.sql").read_text() + "\n-- again")
    bigquery_server.fail("bigquery.tables.patch", "conditionNotMet")
    with pytest.raises(WarehouseUnavailable, match="changed by another process"):
        warehouse.provision()
    assert warehouse.provision() == ["prices"]


# ---------------------------------------------------------------- appending, once


def test_an_append_is_one_load_job_and_one_modification_of_the_table(
    warehouse: BigQueryWarehouse, bigquery_server: BigQueryServer
) -> None:
    bigquery_server.calls.clear()
    append(warehouse, "prices", [price(f"S{number}") for number in range(500)], "k")
    assert bigquery_server.calls == {"bigquery.tables.get": 1, INSERT: 1}
    assert bigquery_server.engine.modifications == {"prices": 1}


def test_a_connection_dropped_after_the_job_was_accepted_stores_once(
    warehouse: BigQueryWarehouse, bigquery_server: BigQueryServer
) -> None:
    bigquery_server.fail(INSERT, "drop", "drop")
    assert append(warehouse, "prices", [price()], "k")
    assert not append(warehouse, "prices", [price()], "k")
    assert stored(warehouse) == 1


def test_a_sender_that_died_after_its_job_was_accepted_has_stored_once(
    open_warehouse: Callable[..., BigQueryWarehouse], bigquery_server: BigQueryServer
) -> None:
    patient = open_warehouse()
    patient.provision()
    first = open_warehouse(patience_s=0.2)
    bigquery_server.fail(INSERT, "drop", *["backendError"] * 20)
    with pytest.raises(WarehouseUnavailable):
        append(first, "prices", [price()], "k")
    bigquery_server.reset()
    assert not append(patient, "prices", [price()], "k")
    assert stored(patient) == 1


def test_many_writers_with_one_key_store_once_whatever_is_dropped_and_whatever_fails(
    warehouse: BigQueryWarehouse, bigquery_server: BigQueryServer
) -> None:
    bigquery_server.fail(INSERT, *["drop", "rateLimitExceeded"] * 3)
    bigquery_server.fail("job", "backendError", "jobBackendError", "1")
    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(lambda _: append(warehouse, "prices", [price()], "k"), range(8)))
    assert sum(taken) == 1
    assert stored(warehouse) == 1


@pytest.mark.parametrize("fault", ["rateLimitExceeded", "internalError", "backendError"])
def test_a_passing_fault_is_tried_again(
    warehouse: BigQueryWarehouse, bigquery_server: BigQueryServer, fault: str
) -> None:
    bigquery_server.fail("bigquery.tables.get", fault)
    bigquery_server.fail(INSERT, fault)
    bigquery_server.fail(QUERY, fault)
    assert append(warehouse, "prices", [price()], "k")
    assert stored(warehouse) == 1
    assert bigquery_server.calls[INSERT] == 2


@pytest.mark.parametrize("fault", ["rateLimitExceeded", "internalError", "backendError", "drop"])
def test_a_fault_that_does_not_pass_is_transient_and_reported_within_the_patience(
    open_warehouse: Callable[..., BigQueryWarehouse], bigquery_server: BigQueryServer, fault: str
) -> None:
    warehouse = open_warehouse(patience_s=0.3)
    bigquery_server.fail("bigquery.tables.list", *[fault] * 20)
    bigquery_server.fail(QUERY, *[fault] * 20)
    with pytest.raises(WarehouseUnavailable, match="does not answer"):
        warehouse.provision()
    with pytest.raises(WarehouseUnavailable, match="does not answer"):
        warehouse.read("prices")


def test_a_job_that_failed_for_a_passing_reason_is_followed_by_another(
    warehouse: BigQueryWarehouse, bigquery_server: BigQueryServer
) -> None:
    bigquery_server.fail("job", "backendError", "jobRateLimitExceeded")
    assert append(warehouse, "prices", [price()], "k")
    assert not append(warehouse, "prices", [price()], "k")
    assert stored(warehouse) == 1


def test_jobs_that_go_on_failing_are_given_up_and_begun_again_by_the_next_delivery(
    warehouse: BigQueryWarehouse, bigquery_server: BigQueryServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    bigquery_server.fail("job", *["backendError"] * 5)
    with pytest.raises(WarehouseUnavailable):
        append(warehouse, "prices", [price()], "k")
    assert append(warehouse, "prices", [price()], "k")
    assert stored(warehouse) == 1


def test_a_job_that_failed_for_good_leaves_the_key_free(
    warehouse: BigQueryWarehouse, bigquery_server: BigQueryServer
) -> None:
    bigquery_server.fail("job", "invalid")
    with pytest.raises(SchemaMismatch, match="does not fit"):
        append(warehouse, "prices", [price()], "k")
    assert append(warehouse, "prices", [price()], "k")
    assert stored(warehouse) == 1


def test_a_slow_job_is_waited_for(warehouse: BigQueryWarehouse, bigquery_server: BigQueryServer) -> None:
    bigquery_server.fail("job", "2", "1")
    assert append(warehouse, "prices", [price()], "k")
    assert bigquery_server.calls["bigquery.jobs.get"] == 2
    assert stored(warehouse) == 1  # the query was found running too


def test_a_job_slower_than_the_patience_is_found_again_by_the_next_delivery(
    open_warehouse: Callable[..., BigQueryWarehouse], bigquery_server: BigQueryServer
) -> None:
    patient = open_warehouse()
    patient.provision()
    impatient = open_warehouse(patience_s=2.0)
    bigquery_server.fail("job", "1000000")
    with pytest.raises(WarehouseUnavailable, match="has not finished"):
        append(impatient, "prices", [price()], "k")
    bigquery_server.engine.finish_jobs()
    assert not append(patient, "prices", [price()], "k")
    assert stored(patient) == 1


def test_a_table_made_again_has_forgotten_its_keys(warehouse: BigQueryWarehouse, client: bigquery.Client) -> None:
    append(warehouse, "prices", [price()], "k")
    client.delete_table(f"{dataset(warehouse)}.prices")
    assert warehouse.provision() == ["prices"]
    assert append(warehouse, "prices", [price()], "k")
    assert stored(warehouse) == 1


def test_a_large_upload_goes_in_pieces(
    warehouse: BigQueryWarehouse, bigquery_server: BigQueryServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("google.cloud.bigquery.client._MAX_MULTIPART_SIZE", 1)
    bigquery_server.fail(INSERT, "drop")
    assert append(warehouse, "prices", [price()], "k")
    assert not append(warehouse, "prices", [price()], "k")
    assert stored(warehouse) == 1


# ---------------------------------------------------------------- errors


def test_beyond_the_daily_quota_the_event_has_to_come_again(
    warehouse: BigQueryWarehouse, bigquery_server: BigQueryServer
) -> None:
    bigquery_server.engine.daily_modifications = 1
    assert append(warehouse, "prices", [price()], "1")
    with pytest.raises(WarehouseUnavailable, match=r"used up a daily quota.*send fewer files"):
        append(warehouse, "prices", [price("META")], "2")
    assert bigquery_server.engine.modifications["prices"] == 2  # it was not tried over and over
    bigquery_server.reset()  # the next day
    assert append(warehouse, "prices", [price("META")], "2")
    assert stored(warehouse) == 2


@pytest.mark.parametrize(
    ("fault", "kind", "sentence"),
    [
        ("accessDenied", EngineUnusable, "refuses access: .*Grant the roles BigQuery Data Editor"),
        ("billingNotEnabled", EngineUnusable, "without billing"),
        ("notFound", WarehouseUnavailable, "has not been set up, or lies in another location"),
        ("invalidQuery", SchemaMismatch, "does not fit the tables"),
        ("quotaExceeded", WarehouseUnavailable, "used up a daily quota"),
    ],
)
def test_a_vendor_s_reason_becomes_one_of_ours(
    warehouse: BigQueryWarehouse,
    bigquery_server: BigQueryServer,
    fault: str,
    kind: type[TickercastError],
    sentence: str,
) -> None:
    for method, ask in {
        "bigquery.tables.list": lambda: BigQueryWarehouse.provision(warehouse),
        "bigquery.tables.get": lambda: append(warehouse, "prices", [price()], "k"),
        INSERT: lambda: append(warehouse, "prices", [price()], "k"),
        QUERY: lambda: warehouse.read("prices"),
    }.items():
        if (method, fault) == ("bigquery.tables.list", "notFound"):
            continue  # which is how a dataset is found missing, and made
        bigquery_server.fail(method, fault)
        with pytest.raises(kind, match=sentence) as caught:
            ask()
        assert "http" not in str(caught.value)


def test_nobody_listening_is_said_and_reported_within_the_patience(sql: Path, waits: list[str]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{free.getsockname()[1]}"
    warehouse = BigQueryWarehouse("test-project", "d", sql, emulator=nobody, patience_s=0.3)
    with pytest.raises(WarehouseUnavailable, match=r"does not answer: ConnectionError at 127\.0\.0\.1:\d+\. Check"):
        warehouse.provision()
    for ask in (
        warehouse.pending,
        lambda: warehouse.revision("prices"),
        lambda: append(warehouse, "prices", [price()], "k"),
    ):
        with pytest.raises(WarehouseUnavailable, match="does not answer: ConnectionError"):
            ask()
    assert waits == ["waiting for bigquery://test-project/d, up to 0 s"] * 4
    with pytest.raises(WarehouseUnavailable, match="does not answer: ConnectionError"):
        warehouse.read("prices")


def test_no_credentials_are_a_sentence(sql: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    with pytest.raises(EngineUnusable, match="gcloud auth application-default login"):
        BigQueryWarehouse("test-project", "d", sql).provision()


@pytest.mark.parametrize("name", ["prices; DROP TABLE prices", "prices` --", "", "other.prices"])
def test_a_malformed_name_is_refused_before_it_is_sent(warehouse: BigQueryWarehouse, name: str) -> None:
    for ask in (
        lambda: warehouse.read(name),
        lambda: warehouse.read("prices", {name: 1}),
        lambda: append(warehouse, name, [price()], "k"),
    ):
        with pytest.raises(SchemaMismatch, match="letters, digits and _"):
            ask()


# ---------------------------------------------------------------- reading


def test_many_rows_come_in_pages(warehouse: BigQueryWarehouse, bigquery_server: BigQueryServer) -> None:
    append(warehouse, "prices", [price(f"S{number}") for number in range(25)], "k")
    bigquery_server.engine.page_rows = 10
    assert sorted(warehouse.read("prices")["symbol"]) == sorted(f"S{number}" for number in range(25))


def test_a_query_slower_than_the_patience_is_cancelled_and_a_sentence(
    open_warehouse: Callable[..., BigQueryWarehouse], bigquery_server: BigQueryServer
) -> None:
    open_warehouse().provision()
    impatient = open_warehouse(query_patience_s=1.0)
    bigquery_server.fail("job", "1000000")
    with pytest.raises(WarehouseUnavailable, match="has not finished"):
        impatient.read("prices")
    assert bigquery_server.calls["bigquery.jobs.cancel"] == 1


def test_a_query_of_a_person_is_waited_for_beyond_the_patience_for_requests(
    open_warehouse: Callable[..., BigQueryWarehouse], bigquery_server: BigQueryServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", WAITING)
    open_warehouse().provision()
    patient = open_warehouse(patience_s=2.0)
    for ask in (lambda: patient.read("prices"), lambda: patient.query("SELECT symbol FROM prices")):
        bigquery_server.fail("job", "3s")
        assert ask().empty
    assert bigquery_server.calls["bigquery.jobs.cancel"] == 0
    assert "waiting for a query of bigquery://test-project/" in caplog.text


def test_maintenance_is_never_cancelled_and_says_which_month_it_is_at(
    bigquery_server: BigQueryServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", WAITING)
    name, url = f"d{uuid.uuid4().hex}", bigquery_server.url
    impatient = BigQueryWarehouse("test-project", name, resource("sql"), emulator=url, query_patience_s=0.5)
    impatient.provision()
    append(impatient, "prices", [price()], "k")
    bigquery_server.fail("job", *["1s"] * 4)
    assert not any(impatient.compact().values())
    assert bigquery_server.calls["bigquery.jobs.cancel"] == 0
    assert re.search(r"compacting \w+ of bigquery://test-project/\w+: 20\d\d-\d\d, 1 of 1", caplog.text)


def test_every_query_is_limited_in_the_bytes_that_it_may_be_billed_for(
    open_warehouse: Callable[..., BigQueryWarehouse], bigquery_server: BigQueryServer
) -> None:
    open_warehouse().provision()
    limited = open_warehouse(max_query_gb=2)
    append(limited, "prices", [price()], "k")
    bigquery_server.engine.query_bytes = 3_000_000_000
    asked = {
        "read": lambda: limited.read("prices"),
        "read_arrow": lambda: limited.read_arrow("prices"),
        "query": lambda: limited.query("SELECT symbol FROM prices"),
        "pages": lambda: limited.query("SELECT * FROM prices ORDER BY symbol"),
    }
    for ask in asked.values():
        with pytest.raises(UsageError, match=r"limit of 2 GB: .*3000000000 or higher.*TICKERCAST_MAX_QUERY_GB"):
            ask()
    assert len(open_warehouse(max_query_gb=3).read("prices")) == 1


def test_a_laptop_imports_nothing_of_google_s(workspace: Path) -> None:
    script = (
        "import sys; from tickercast.app import App; App().provision(); "
        "theirs = ('google.api', 'google.cloud.bigquery', 'google.cloud.storage', 'pandas_gbq'); "
        "assert not [name for name in sys.modules if name.startswith(theirs)]"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


# ---------------------------------------------------------------- the stand-in


@pytest.mark.parametrize(
    ("path", "body", "refusal"),
    [
        ("projects/p/datasets", {"datasetReference": {"projectId": "p", "datasetID": "d"}}, "no field datasetID"),
        ("projects/p/queries", {"query": "SELECT 1", "useLegacySql": "no"}, "boolean was needed"),
        ("projects/p/queries?dryRun=true", {"query": "SELECT 1"}, "no parameter dryRun"),
        ("projects/p/questions", {"query": "SELECT 1"}, "no method POST"),
    ],
)
def test_the_stand_in_refuses_what_google_has_not_published(
    bigquery_server: BigQueryServer, path: str, body: dict[str, Any], refusal: str
) -> None:
    request = urllib.request.Request(f"{bigquery_server.url}/bigquery/v2/{path}", json.dumps(body).encode())
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=10)
    with caught.value as answer:
        assert refusal in json.load(answer)["error"]["message"]
    assert refusal in bigquery_server.refused.pop()


def test_the_stand_in_answers_every_type_as_google_s_client_reads_it(client: bigquery.Client) -> None:
    query = (
        "SELECT 'a' AS s, 1 AS i, CAST(0.1 AS FLOAT64) AS f, TRUE AS b, DATE '2023-07-21' AS d, [1, 2] AS l, "
        "TIMESTAMP '2023-07-21 12:00:00.123456+00' AS t, CAST(NULL AS STRING) AS n"
    )
    for rows in (client.query(query).result(), client.query_and_wait(query)):
        [row] = rows
        at = datetime(2023, 7, 21, 12, 0, 0, 123456, UTC)
        assert tuple(row) == ("a", 1, 0.1, True, date(2023, 7, 21), [1, 2], at, None)


def test_the_stand_in_refuses_a_name_without_a_dataset_and_a_missing_value(
    warehouse: BigQueryWarehouse, client: bigquery.Client
) -> None:
    with pytest.raises(BadRequest, match="must be qualified with a dataset"):
        client.query_and_wait("SELECT * FROM prices", retry=None, job_retry=None)
    file = io.BytesIO()
    pq.write_table(pa.table({"symbol": pa.array([None], pa.string())}), file)
    config = bigquery.LoadJobConfig(
        schema=[bigquery.SchemaField("symbol", "STRING", "REQUIRED")],
        source_format=bigquery.SourceFormat.PARQUET,
        write_disposition=bigquery.WriteDisposition.WRITE_APPEND,
    )
    load = client.load_table_from_file(file, f"{dataset(warehouse)}.prices", rewind=True, job_config=config)
    with pytest.raises(BadRequest, match="Required field symbol cannot be null"):
        load.result()


def test_the_stand_in_creates_a_table_with_rows_by_position_whole_or_not_at_all(
    warehouse: BigQueryWarehouse, client: bigquery.Client
) -> None:
    place, half = f"test-project.{dataset(warehouse)}", "CAST(0.5 AS FLOAT64)"

    def create(name: str, query: str) -> None:
        columns = "(a STRING NOT NULL, l ARRAY<FLOAT64>, d DATE) PARTITION BY DATE_TRUNC(d, MONTH)"
        text = f"CREATE TABLE IF NOT EXISTS `{place}.{name}` {columns} AS\n-- A remark.\n{query.replace('half', half)}"
        client.query_and_wait(text, retry=None, job_retry=None)

    create("made", "SELECT 'x' AS d, [half] AS a, DATE '2023-07-21' AS l UNION ALL SELECT 'y', NULL, NULL")
    create("made", "SELECT 'again', [half], DATE '2023-07-21'")
    rows = client.query_and_wait(f"SELECT a, l FROM `{place}.made` ORDER BY a")
    assert [tuple(row) for row in rows] == [("x", [0.5]), ("y", [])]
    assert [field.mode for field in client.get_table(f"{place}.made").schema] == ["REQUIRED", "REPEATED", "NULLABLE"]
    for query, complaint in {
        "SELECT 'x', [half]": "3 columns are declared, and the query has 2",
        "SELECT 1, [half], DATE '2023-07-21'": "cannot be assigned to a",
        "SELECT 'x', ['text'], DATE '2023-07-21'": "cannot be assigned to l",
        "SELECT CAST(NULL AS STRING), [half], DATE '2023-07-21'": "NOT NULL constraint failed",
    }.items():
        with pytest.raises(BadRequest, match=complaint):
            create("none", query)
        with pytest.raises(NotFound):
            client.get_table(f"{place}.none")


def test_the_stand_in_renames_and_drops_tables_and_adds_columns(
    warehouse: BigQueryWarehouse, client: bigquery.Client
) -> None:
    place = f"test-project.{dataset(warehouse)}"

    def run(text: str) -> None:
        client.query_and_wait(text, retry=None, job_retry=None)

    append(warehouse, "prices", [price()], "k")
    run(f"ALTER TABLE `{place}.prices` RENAME TO `older`")
    for _ in range(2):
        run(f"ALTER TABLE `{place}.older` ADD COLUMN IF NOT EXISTS seen BOOL, ADD COLUMN IF NOT EXISTS word STRING")
    [row] = client.query_and_wait(f"SELECT symbol, seen, word FROM `{place}.older`")
    assert tuple(row) == ("MSFT", None, None)
    with pytest.raises(NotFound):
        run(f"ALTER TABLE `{place}.prices` RENAME TO `older`")
    warehouse.provision()
    with pytest.raises(Conflict, match="Already Exists"):
        run(f"ALTER TABLE `{place}.prices` RENAME TO `older`")
    for _ in range(2):
        run(f"DROP TABLE IF EXISTS `{place}.older`")
    with pytest.raises(NotFound):
        run(f"DROP TABLE `{place}.older`")
    assert stored(warehouse) == 0


def test_the_stand_in_loads_lists_only_with_list_inference(
    client: bigquery.Client, warehouse: BigQueryWarehouse
) -> None:
    place = f"{dataset(warehouse)}.lists"
    client.query_and_wait(f"CREATE TABLE `test-project.{place}` (l ARRAY<FLOAT64>)")

    def load(**options: Any) -> None:
        file = io.BytesIO()
        pq.write_table(pa.table({"l": [[0.5, 1.0], None]}), file)
        append = bigquery.WriteDisposition.WRITE_APPEND
        schema = [bigquery.SchemaField("l", "FLOAT", "REPEATED")]
        config = bigquery.LoadJobConfig(source_format="PARQUET", schema=schema, write_disposition=append, **options)
        client.load_table_from_file(file, place, rewind=True, job_config=config).result()

    with pytest.raises(BadRequest, match="without list inference"):
        load()
    inference = bigquery.ParquetOptions()
    inference.enable_list_inference = True
    load(parquet_options=inference)
    assert [row["l"] for row in client.query_and_wait(f"SELECT l FROM `test-project.{place}`")] == [[0.5, 1.0], []]
