"""The DuckDB engine: it shares its file, and says what is wrong with it."""

import errno
import os
import re
import subprocess
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from tests.support.warehouse_rows import append, ingestion, price, span

from tickercast import memory
from tickercast.backends.warehouse import duckdb as engine
from tickercast.backends.warehouse import duckdb_checkpoints
from tickercast.backends.warehouse.duckdb import DuckDBWarehouse
from tickercast.config import resource
from tickercast.errors import EngineUnusable, NotSetUp, Outdated, SchemaMismatch, TickercastError, WarehouseUnavailable
from tickercast.logs import WAITING
from tickercast.ports import QueryLimits


def test_a_file_of_another_kind_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not a database, and long enough to be read as one " * 100)
    with pytest.raises(EngineUnusable, match="not a DuckDB file"):
        DuckDBWarehouse(tmp_path / "notes.txt", resource("sql")).provision()


def test_an_empty_file_is_one_that_is_still_to_be_made(tmp_path: Path) -> None:
    file = tmp_path / "w.duckdb"
    file.touch()
    warehouse = DuckDBWarehouse(file, resource("sql"))
    assert set(warehouse.pending().values()) == {"missing"}
    with pytest.raises(NotSetUp, match="has not been set up"):
        warehouse.read("prices")
    with pytest.raises(NotSetUp, match="has not been set up"):
        warehouse.query("SELECT 1 AS one", limits=QueryLimits(10.0, 500))
    warehouse.provision()
    assert append(warehouse, "prices", [price()], "k")


@pytest.mark.parametrize("is_there", [False, True])
def test_a_link_leads_to_the_file(tmp_path: Path, is_there: bool) -> None:
    place, link = tmp_path / "disk" / "w.duckdb", tmp_path / "w.duckdb"
    place.parent.mkdir()
    link.symlink_to(place)
    if is_there:
        place.touch()
    for stored in (1, 0):
        warehouse = DuckDBWarehouse(link, resource("sql"))
        warehouse.provision()
        assert append(warehouse, "prices", [price()], "k") == stored
        warehouse.close()
    assert warehouse.url == f"duckdb://{link}"
    assert link.is_symlink()
    assert place.stat().st_size
    assert not [path for path in tmp_path.iterdir() if path not in (link, place.parent)]


def test_a_file_in_the_place_of_its_folder_does_not_pass_by_itself(tmp_path: Path) -> None:
    (tmp_path / "taken").touch()
    warehouse = DuckDBWarehouse(tmp_path / "taken" / "w.duckdb", sql=resource("sql"))
    with pytest.raises(EngineUnusable, match=r"cannot be used: Not a directory\. Name another place\."):
        warehouse.provision()


WRITER = """
import sys, pandas as pd
from pathlib import Path
from tickercast.backends.warehouse import duckdb as engine
from tickercast.backends.warehouse import duckdb_checkpoints
from tickercast.backends.warehouse.duckdb import DuckDBWarehouse
warehouse = DuckDBWarehouse(Path(sys.argv[1]), Path(sys.argv[2]))
warehouse.provision()
for number in range(20):
    now = pd.Timestamp.now("UTC")
    row = {"object": "o", "generation": str(number), "written_at": now, "frequency": "1d", "status": "forecast",
           "origin": "live", "rows": 0, "rows_new": 0, "received_at": now, "duration_ms": 0.0, "event_id": sys.argv[3]}
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


def test_a_file_that_stays_locked_is_waited_for_and_its_holder_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_UNNOTICED_S", 0.0)
    caplog.set_level("INFO", WAITING)
    path = tmp_path / "w.duckdb"
    DuckDBWarehouse(path, resource("sql")).provision()
    script = "import sys, duckdb; held = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"
    holder = subprocess.Popen(
        [sys.executable, "-c", script, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        warehouse = DuckDBWarehouse(path, resource("sql"), patience_s=1.0)
        program = rf"held by python[\d.]* \(process {holder.pid}\)"
        for work in (lambda: warehouse.read("prices"), lambda: warehouse.append("prices", PRICE, key="k")):
            caplog.clear()
            with pytest.raises(WarehouseUnavailable, match=program):
                work()
            assert re.search(rf"{program}; waiting for it, up to 1 s", caplog.messages[0])
        assert holder.stdin is not None
        holder.stdin.close()


def test_a_writer_that_waits_for_another_names_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", WAITING)
    path = tmp_path / "w.duckdb"
    script = WRITER.replace(
        "for number", "with warehouse.session():\n  print('held', flush=True); sys.stdin.read()\nfor number"
    )
    command = [sys.executable, "-c", script, str(path), str(resource("sql")), "a"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(WarehouseUnavailable, match=rf"held by python[\d.]* \(process {holder.pid}\) for 0 s"):
            DuckDBWarehouse(path, resource("sql"), patience_s=0.1).append("prices", PRICE, key="k")
        holder.communicate("")
    assert f"(process {holder.pid}); waiting for it" in caplog.messages[0]


def test_a_program_that_looks_at_the_file_while_its_tables_are_made_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    duckdb.connect(tmp_path / "w.duckdb").close()
    warehouse = DuckDBWarehouse(tmp_path / "w.duckdb", resource("sql"))
    attached, seen = warehouse._attached, list[bool]()

    def met(reads: bool) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
        seen.append(reads)
        if len(seen) == 2:
            raise duckdb.IOException("IO Error: Could not set lock on file: Conflicting lock is held in python (PID 1)")
        return attached(reads)

    monkeypatch.setattr(warehouse, "_attached", met)
    assert warehouse.provision()
    assert seen == [False, False, False]
    assert not warehouse.pending()


PRICE = pd.DataFrame([price()])


def named_exceptions() -> list[type[duckdb.Error]]:
    found = [each for each in vars(duckdb).values() if isinstance(each, type) and issubclass(each, duckdb.Error)]
    return sorted(set(found), key=str)


@pytest.mark.parametrize("kind", named_exceptions(), ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("call", ["provision", "read", "append", "query", "pending", "compact"])
def test_every_exception_of_duckdb_ends_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type[duckdb.Error], call: str
) -> None:
    def fail(*_: object) -> None:
        raise kind(f"{kind.__name__} Error: what DuckDB says\n\nPossible solutions:\n* a setting")

    (tmp_path / "w.duckdb").write_text("some file")
    warehouse = DuckDBWarehouse(tmp_path / "w.duckdb", resource("sql"))
    monkeypatch.setattr(warehouse, "_connect", fail)
    arguments = {"read": ["prices"], "append": ["prices", PRICE], "query": ["SELECT 1 AS one"]}.get(call, [])
    with pytest.raises(TickercastError) as raised:
        getattr(warehouse, call)(*arguments, **{"key": "k"} if call == "append" else {})
    assert str(raised.value).endswith(".")
    assert "Possible solutions" not in str(raised.value)


def test_duckdb_gets_each_table_with_the_columns_that_its_file_names(tmp_path: Path) -> None:
    path = tmp_path / "w.duckdb"
    DuckDBWarehouse(path, resource("sql")).provision()
    with duckdb.connect(path) as connection:
        described = dict(connection.execute("SELECT column_name, column_type FROM (DESCRIBE forecasts)").fetchall())
    assert described["step"] == "BIGINT"
    assert described["generation"] == "VARCHAR"
    assert described["quantiles"] == "DOUBLE[]"
    assert described["cutoff"] == "DATE"
    assert described["created_at"] == "TIMESTAMP WITH TIME ZONE"


def test_tables_and_views_that_were_dropped_are_missed_made_again_and_filled(tmp_path: Path) -> None:
    warehouse = DuckDBWarehouse(tmp_path / "warehouse.duckdb", resource("sql"))
    warehouse.provision()
    for table, row in (("spans", span()), ("prices", price()), ("ingestions", ingestion())):
        append(warehouse, table, [row], f"{table}/bucket/a#1")
    with duckdb.connect(tmp_path / "warehouse.duckdb") as connection:
        connection.execute("DROP VIEW latest_prices; DROP TABLE prices")
    missing = dict.fromkeys(("latest_prices", "prices"), "missing")
    assert warehouse.pending() == missing
    with pytest.raises(Outdated, match=r"latest_prices is missing or changed\. Run `tickercast provision`"):
        warehouse.query("SELECT symbol FROM latest_prices")
    assert {*warehouse.provision()} == {*missing}
    assert warehouse.pending() == {}
    assert append(warehouse, "prices", [price()], "prices/bucket/a#1")
    assert not append(warehouse, "ingestions", [ingestion()], "ingestions/bucket/a#1")
    assert len(warehouse.read("latest_prices")) == 1


def test_what_is_pending_is_found_without_making_a_file_or_changing_one(tmp_path: Path) -> None:
    path = tmp_path / "warehouse.duckdb"
    warehouse = DuckDBWarehouse(path, resource("sql"))
    assert set(warehouse.pending().values()) == {"missing"}
    assert not list(tmp_path.iterdir())
    with duckdb.connect(path) as connection:
        connection.execute("CREATE TABLE _appends (key VARCHAR PRIMARY KEY)")
    before = path.read_bytes()
    assert set(warehouse.pending().values()) == {"missing"}
    assert path.read_bytes() == before


THEIRS = """
CREATE TABLE notes (symbol VARCHAR PRIMARY KEY, note VARCHAR DEFAULT 'none', length INT AS (strlen(note)));
INSERT INTO notes (symbol, note) VALUES ('MSFT', 'watch'), ('AAPL', NULL);
CREATE INDEX by_note ON notes (note);
CREATE SEQUENCE numbers START 5;
CREATE TABLE "more notes" (id BIGINT DEFAULT nextval('numbers'), symbol VARCHAR REFERENCES notes (symbol));
INSERT INTO "more notes" (symbol) VALUES ('MSFT');
CREATE SCHEMA mine;
CREATE TABLE mine.prices AS SELECT 1 AS one;
CREATE TYPE mood AS ENUM ('good', 'bad');
CREATE TABLE moods AS SELECT 'good'::mood AS mood;
CREATE MACRO twice(x) AS 2 * x;
CREATE VIEW a_note AS SELECT twice(close) AS double FROM latest_prices JOIN notes USING (symbol);
"""
"""Tables and views that somebody may have put beside ours."""


def their_rows(path: Path) -> list[list[tuple[object, ...]]]:
    asked = ("notes", '"more notes"', "mine.prices", "moods", "a_note")
    with duckdb.connect(path) as connection:
        rows = [connection.execute(f"FROM {name}").fetchall() for name in asked]
        return [*rows, connection.execute("SELECT index_name FROM duckdb_indexes()").fetchall()]


def test_compacting_keeps_what_is_not_ours(tmp_path: Path) -> None:
    path = tmp_path / "warehouse.duckdb"
    warehouse = DuckDBWarehouse(path, resource("sql"))
    warehouse.provision()
    append(warehouse, "spans", [span()], "spans")
    for generation in "12":
        append(warehouse, "prices", [price(generation=generation, close=float(generation))], generation)
    with duckdb.connect(path) as connection:
        connection.execute(THEIRS)
    before = their_rows(path)
    assert warehouse.compact()["prices"] == 1
    assert their_rows(path) == before
    assert before[-2:] == [[(4.0,)], [("by_note",)]]
    with duckdb.connect(path) as connection:
        assert connection.execute("SELECT nextval('numbers')").fetchall() == [(6,)]
    assert warehouse.pending() == {}


def test_a_process_that_was_forked_off_can_use_the_warehouse_and_end(tmp_path: Path) -> None:
    script = """
import os, sys
from pathlib import Path
from tickercast.backends.warehouse import duckdb as engine
from tickercast.backends.warehouse import duckdb_checkpoints
from tickercast.backends.warehouse.duckdb import DuckDBWarehouse
warehouse = DuckDBWarehouse(Path(sys.argv[1]), Path(sys.argv[2]))
warehouse.provision()
child = os.fork()
found = len(warehouse.read("prices"))
if child:
    print(found, os.waitpid(child, 0)[1], flush=True)
"""
    command = [sys.executable, "-c", script, str(tmp_path / "w.duckdb"), str(resource("sql"))]
    assert subprocess.run(command, capture_output=True, text=True, timeout=60).stdout == "0 0\n"


def test_a_call_that_failed_leaves_nothing_behind_for_the_next(tmp_path: Path) -> None:
    path = tmp_path / "w.duckdb"
    warehouse = DuckDBWarehouse(path, resource("sql"))
    warehouse.provision()
    rows = pd.DataFrame([{"object": "o", "generation": "1"}])
    for _ in range(2):
        with pytest.raises(SchemaMismatch):
            warehouse.append("ingestions", rows, key="k")
    assert warehouse.read("ingestions").empty
    with duckdb.connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM _appends").fetchall() == [(0,)]


def test_a_warehouse_of_an_earlier_release_loses_the_index_of_its_keys_and_keeps_the_keys(tmp_path: Path) -> None:
    warehouse = DuckDBWarehouse(tmp_path / "warehouse.duckdb", resource("sql"))
    warehouse.provision()
    with duckdb.connect(tmp_path / "warehouse.duckdb") as connection:
        connection.execute("DROP TABLE _appends")
        connection.execute("CREATE TABLE _appends (key VARCHAR PRIMARY KEY, appended_at TIMESTAMPTZ DEFAULT now())")
        connection.execute("INSERT INTO _appends (key) VALUES ('ingestions/bucket/a#1')")
    assert warehouse.provision() == []
    rows = pd.DataFrame([ingestion(object="a")])
    assert not warehouse.append("ingestions", rows, key="ingestions/bucket/a#1")
    with duckdb.connect(tmp_path / "warehouse.duckdb") as connection:
        assert connection.execute("SELECT count(*) FROM duckdb_indexes()").fetchall() == [(0,)]
        assert connection.execute("SELECT key FROM _appends").fetchall() == [("ingestions/bucket/a#1",)]


@pytest.mark.parametrize("straight", [True, False], ids=["straight into the file", "by the log"])
def test_a_checkpoint_that_was_interrupted_leaves_nothing_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, straight: bool
) -> None:
    path = tmp_path / "warehouse.duckdb"
    warehouse = DuckDBWarehouse(path, resource("sql"))
    warehouse.provision()
    append(warehouse, "ingestions", [ingestion(object="before")], "ingestions/bucket/before#1")
    monkeypatch.setattr(duckdb_checkpoints, "LONGEST_LOG", 0)

    killed = DuckDBWarehouse(path, resource("sql"))
    keep = killed._checkpoints._keep
    monkeypatch.setattr(killed._checkpoints, "_keep", lambda blocks: (keep(blocks), sys.exit("killed")))
    if not straight:
        monkeypatch.setattr(killed._checkpoints, "commit", lambda connection, size: connection.commit())
    with pytest.raises(SystemExit):
        append(killed, "ingestions", [ingestion(object="a")], "ingestions/bucket/a#1")
    torn = bytearray(path.read_bytes())
    torn[12288:16384] = bytes(4096)  # the first block, which holds the metadata
    path.write_bytes(torn)
    with pytest.raises(duckdb.Error, match="Corrupt"):
        duckdb.connect(path)

    warehouse = DuckDBWarehouse(path, resource("sql"))
    assert len(warehouse.read("ingestions")) == 1 + (not straight)  # the log had it
    assert append(warehouse, "ingestions", [ingestion(object="a")], "ingestions/bucket/a#1") is straight
    assert set(warehouse.read("ingestions")["object"]) == {"before", "a"}
    assert [file.name for file in tmp_path.glob("*.kept*")] == []


def test_without_space_for_a_copy_the_log_grows_and_nothing_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "warehouse.duckdb"
    warehouse = DuckDBWarehouse(path, resource("sql"))
    warehouse.provision()
    monkeypatch.setattr(duckdb_checkpoints, "LONGEST_LOG", 0)
    monkeypatch.setattr(duckdb_checkpoints.os, "pread", no_space)
    append(warehouse, "prices", [price()], "k")
    with pytest.raises(EngineUnusable, match=r"cannot be compacted: there is no space .* Free some\."):
        warehouse.compact()
    assert path.with_name(f"{path.name}.wal").stat().st_size
    assert [file.name for file in tmp_path.glob("*.kept*")] == []
    assert len(warehouse.read("prices")) == 1


def no_space(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine.FileLock, "acquire", no_space)
    with pytest.raises(EngineUnusable, match=r"cannot be written: the disk is full.*Free space"):
        DuckDBWarehouse(tmp_path / "warehouse.duckdb", resource("sql")).provision()


def test_a_warehouse_on_a_read_only_file_system_is_read_and_queried_and_not_compacted(tmp_path: Path) -> None:
    folder, shown = tmp_path / "home", tmp_path / "read-only"
    shown.mkdir()
    warehouse = DuckDBWarehouse(folder / "warehouse.duckdb", resource("sql"))
    warehouse.provision()
    append(warehouse, "prices", [price()], "k")  # it is in the log
    if subprocess.run(["mount", "--bind", folder, shown], capture_output=True).returncode:
        pytest.skip("only an administrator can mount a folder for reading")
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", shown], check=True)
        reads = DuckDBWarehouse(shown / "warehouse.duckdb", resource("sql"))
        assert len(reads.read("prices")) == 1
        counted = reads.query("SELECT COUNT(*) AS n FROM prices", limits=QueryLimits(10.0, 500))
        assert list(counted["n"]) == [1]
        with reads.stream("prices", limits=QueryLimits(10.0, 500)) as batches:
            assert batches.read_all().num_rows == 1
        with pytest.raises(EngineUnusable, match=r"duckdb cannot be written.*: its file system is read-only"):
            reads.compact()
        reads.close()
    finally:
        subprocess.run(["umount", "--lazy", shown], check=True)


def test_an_interrupt_within_the_engine_is_an_interrupt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    warehouse = DuckDBWarehouse(tmp_path / "w.duckdb", resource("sql"))
    warehouse.provision()

    def interrupted(connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
        raise RuntimeError("Query interrupted")  # as DuckDB says it when Ctrl-C comes between two statements

    monkeypatch.setattr(warehouse, "_pending", interrupted)
    with pytest.raises(KeyboardInterrupt):
        warehouse.pending()
    monkeypatch.undo()
    assert warehouse.pending() == {}


@pytest.mark.parametrize("fits", [True, False])
def test_an_engine_that_stored_many_rows_gives_back_memory_and_keeps_its_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fits: bool
) -> None:
    given_back: list[str] = []
    monkeypatch.setattr(memory, "give_back", lambda: given_back.append("memory"))
    warehouse = DuckDBWarehouse(tmp_path / "w.duckdb", resource("sql"))
    warehouse.provision()
    kept = "SELECT current_setting('allocator_bulk_deallocation_flush_threshold')"
    before = warehouse._connect().execute(kept).fetchone()
    warehouse.append("prices", PRICE, key="few")
    assert not given_back
    many = pa.Table.from_pandas(PRICE, preserve_index=False).take(np.zeros(100_000, int))
    rows = many if fits else many.append_column("unknown", many["close"])
    with nullcontext() if fits else pytest.raises(TickercastError):
        warehouse.append("prices", rows, key="many")
    assert given_back == ["memory", "memory"]
    assert warehouse._connect().execute(kept).fetchone() == before
    assert len(warehouse.read("prices")) == 1 + 100_000 * fits
