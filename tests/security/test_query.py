"""`tickercast query` reaches the tables and nothing else, and keeps nobody waiting."""

import resource
import subprocess
import sys
import threading
from contextlib import ExitStack
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from tests.support.warehouse_rows import append, ingestion

from tickercast.backends.warehouse import duckdb_snapshot
from tickercast.backends.warehouse.duckdb import DuckDBWarehouse
from tickercast.config import resource as stored
from tickercast.errors import UsageError
from tickercast.ports import QueryLimits

LIMITS = QueryLimits(seconds=30, memory_mb=256)
FOREVER = "SELECT SUM(a * b) AS s FROM UNNEST(GENERATE_ARRAY(1, 500000)) AS a, UNNEST(GENERATE_ARRAY(1, 500000)) AS b"
ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits the memory of a process")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("warehouse")


@pytest.fixture(scope="module")
def warehouse(folder: Path) -> DuckDBWarehouse:
    made = DuckDBWarehouse(folder / "warehouse.duckdb", stored("sql"), patience_s=5)
    made.provision()
    append(made, "ingestions", [ingestion()], key="one")
    return made


READS = (
    "SELECT * FROM read_text('{file}')",
    "SELECT * FROM read_blob('{file}')",
    "SELECT * FROM read_csv('{file}', header = FALSE)",
    "SELECT * FROM parquet_scan('{file}')",
    "SELECT * FROM read_json('{file}')",
    "SELECT * FROM read_json_auto('{file}')",
    "SELECT * FROM sniff_csv('{file}')",
    "SELECT * FROM glob('{folder}/*')",
    "SELECT * FROM `{file}`",
    "SELECT * FROM query('SELECT * FROM read_text(''{file}'')')",
    "SELECT * FROM read_text('http://127.0.0.1:9/secret')",
    "SELECT * FROM read_csv('s3://bucket/secret.csv')",
    "SELECT * FROM duckdb_secrets()",
)


@pytest.mark.parametrize("limits", [LIMITS, None], ids=["typed", "our own"])
@pytest.mark.parametrize("attack", READS)
def test_a_query_reads_no_file_and_no_network(
    warehouse: DuckDBWarehouse, tmp_path: Path, attack: str, limits: QueryLimits | None
) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("planted,secret\n1,2\n")
    with pytest.raises(UsageError, match=r"does not fit|cannot be read|does not answer") as error:
        warehouse.query(attack.format(file=secret, folder=tmp_path), limits=limits)
    assert "planted" not in str(error.value)


def test_a_query_reads_no_variable_of_python(warehouse: DuckDBWarehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duckdb_snapshot, "planted", pd.DataFrame({"secret": ["password"]}), raising=False)
    with pytest.raises(UsageError):
        warehouse.query("SELECT * FROM planted", limits=LIMITS)


@pytest.mark.parametrize(
    "attack",
    [
        "INSERT INTO ingestions SELECT * FROM ingestions",
        "DELETE FROM ingestions WHERE TRUE",
        "UPDATE ingestions SET reason = 'x' WHERE TRUE",
        "DROP TABLE ingestions",
        "CREATE TABLE t AS SELECT 1 AS a",
        "ALTER TABLE ingestions ADD COLUMN a INT64",
        "TRUNCATE TABLE ingestions",
        "COPY ingestions TO 'x.csv'",
        "EXPORT DATABASE 'x'",
        "ATTACH 'x.db' AS x",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "SELECT 1; DROP TABLE ingestions",
        "WITH a AS (SELECT 1) DELETE FROM ingestions WHERE TRUE",
        "WITH a AS (DELETE FROM ingestions RETURNING *) SELECT * FROM a",
        "WITH a AS (UPDATE ingestions SET reason = 'x' RETURNING *) SELECT * FROM a",
        "SELECT * FROM (WITH a AS (INSERT INTO ingestions SELECT * FROM ingestions RETURNING *) SELECT * FROM a)",
    ],
)
def test_a_query_changes_nothing(warehouse: DuckDBWarehouse, attack: str, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(UsageError, match=r"is not one query that only reads|cannot be read"):
        warehouse.query(attack, limits=LIMITS)
    assert len(warehouse.read("ingestions")) == 1
    assert not caplog.messages  # the parser has its say as well


def test_an_endless_query_ends(warehouse: DuckDBWarehouse) -> None:
    with pytest.raises(UsageError, match=r"ended after 0\.2 s.*TICKERCAST_QUERY_TIMEOUT_S"):
        warehouse.query(FOREVER, limits=QueryLimits(seconds=0.2, memory_mb=256))


@pytest.mark.parametrize(
    "attack",
    [
        "SELECT STRING_AGG(REPEAT('x', 1000), '') AS s FROM UNNEST(GENERATE_ARRAY(1, 1000000)) AS a",
        "SELECT a, REPEAT('x', 1000) AS s FROM UNNEST(GENERATE_ARRAY(1, 1000000)) AS a",  # the answer is what is large
        pytest.param("SELECT LENGTH(REPEAT('x', 1000000000)) AS n", marks=ON_LINUX),  # which the engine does not count
        pytest.param("SELECT REPEAT('x', 1000000000) AS s", marks=ON_LINUX),
    ],
)
def test_a_query_does_not_take_all_memory(warehouse: DuckDBWarehouse, attack: str) -> None:
    with pytest.raises(UsageError, match=r"more than the 100 MB.*TICKERCAST_QUERY_MEMORY_MB"):
        warehouse.query(attack, limits=QueryLimits(seconds=60, memory_mb=100))


@ON_LINUX
def test_after_the_last_query_the_process_may_take_what_it_might_before() -> None:
    before, pool = resource.getrlimit(resource.RLIMIT_DATA), pa.default_memory_pool().backend_name
    with ExitStack() as first, ExitStack() as second:
        limits = []
        for query, megabytes in ((first, 1_000), (second, 2_000)):
            query.enter_context(duckdb_snapshot._PROCESS.bounded(megabytes))
            limits.append(resource.getrlimit(resource.RLIMIT_DATA)[0])
        first.close()
        limits.append(resource.getrlimit(resource.RLIMIT_DATA)[0])
    assert resource.RLIM_INFINITY != limits[0] < limits[1] == limits[2]
    assert (resource.getrlimit(resource.RLIMIT_DATA), pa.default_memory_pool().backend_name) == (before, pool)


_FEW_TEXTS = """
from tickercast.backends.warehouse.duckdb_snapshot import _PROCESS, _data_bytes
import pyarrow as pa
with _PROCESS.bounded(1024):
    before = _data_bytes()
    kept = pa.array(["a text"])
    print(_data_bytes() - before)
"""


@ON_LINUX
def test_a_query_for_few_texts_takes_little_memory() -> None:
    """Arrow's own allocator takes 1 GB at once, for the first value of a process."""
    found = subprocess.run([sys.executable, "-c", _FEW_TEXTS], capture_output=True, text=True, check=True, timeout=60)
    assert int(found.stdout) < 16 << 20


def test_a_query_leaves_no_copy_behind(warehouse: DuckDBWarehouse, folder: Path) -> None:
    before = sorted(path.name for path in folder.iterdir())
    warehouse.query("SELECT 1 AS a", limits=LIMITS)
    with pytest.raises(UsageError):
        warehouse.query(FOREVER, limits=QueryLimits(seconds=0.1, memory_mb=64))
    assert sorted(path.name for path in folder.iterdir()) == sorted({*before, "warehouse.duckdb.lock"})


def test_a_long_query_lets_others_write(warehouse: DuckDBWarehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """The query is still at work when the append returns; one that held the file would make it fail after 5 s."""
    from tickercast.backends.warehouse import duckdb as engine

    asked, written = threading.Event(), threading.Event()
    real = engine.answer

    def slow(*given: object) -> pd.DataFrame:
        asked.set()
        assert written.wait(30)
        return real(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(engine, "answer", slow)
    found: list[pd.DataFrame] = []
    count = "SELECT COUNT(*) AS n FROM ingestions"
    reader = threading.Thread(target=lambda: found.append(warehouse.query(count, limits=LIMITS)))
    reader.start()
    assert asked.wait(30)
    append(warehouse, "ingestions", [ingestion(object="ohlc/2023-07-22/AAPL.csv")], key="two")
    written.set()
    reader.join(30)
    assert found[0]["n"].tolist() == [1]  # the rows of when it was asked
    assert warehouse.query(count, limits=LIMITS)["n"].tolist() == [2]
