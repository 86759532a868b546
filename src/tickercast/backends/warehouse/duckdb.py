"""The warehouse on a laptop: one DuckDB file.

DuckDB lets one process at a time hold the file. Each call attaches it, works and detaches it again, and waits while
another process holds it, so a dashboard and any number of functions can share it. The engine stays open: attaching the
file takes 5 ms, opening an engine 13.
"""

import os
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, nullcontext, suppress
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeVar

import duckdb
import pandas as pd
import pyarrow as pa
from filelock import FileLock, Timeout
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_delay, wait_random_exponential

from tickercast import disk, logs, memory, traffic
from tickercast.backends.warehouse.duckdb_checkpoints import SETTINGS, Checkpoints, is_made, whole
from tickercast.backends.warehouse.duckdb_errors import (
    WRONG_QUERY,
    check_log,
    held,
    holder,
    is_locked,
    one_line,
    translated,
)
from tickercast.backends.warehouse.duckdb_frames import framed
from tickercast.backends.warehouse.duckdb_snapshot import answer, confine, memory_bounded, opened, snapshot
from tickercast.backends.warehouse.sql import (
    ADDED_UP,
    BEFORE,
    FINISHED,
    REWRITTEN,
    Column,
    SqlObject,
    additions,
    announce_migration,
    checked_query,
    column_names,
    drops,
    from_duckdb,
    missing_columns,
    of_this_release,
    order_of,
    outdated,
    pending,
    read_compactions,
    read_migration,
    read_objects,
    read_rewrites,
    to_duckdb,
    what_remains,
)
from tickercast.config import private_folder
from tickercast.errors import EngineUnusable, NotSetUp, SchemaMismatch, UsageError, WarehouseUnavailable
from tickercast.ports import Between, QueryLimits

Result = TypeVar("Result")

_LOCKS: dict[Path, threading.RLock] = {}
"""The lock of each file: threads that used it concurrently would meet each other's half-closed handles."""

_OPEN: "weakref.WeakSet[DuckDBWarehouse]" = weakref.WeakSet()
"""The warehouses with an open engine."""

_UNNOTICED_S = 0.3
"""The seconds that another process may hold the file before the wait is announced."""

_BATCH_ROWS = 100_000

_MUCH = 1 << 23
"""Bytes; to store them takes as much memory as to read a file of them, so what is free goes back to the system."""

_KEPT_MEMORY = "allocator_bulk_deallocation_flush_threshold"
"""The setting for how much the engine keeps of what it frees: low, it costs an event of few rows 9% of its time."""

_BREAK = "\n"
"""Between texts that are given to a query as one, which takes two thirds of the time of a list."""

_INTERNAL_TABLES = """
CREATE TABLE IF NOT EXISTS _appends (key VARCHAR NOT NULL, appended_at TIMESTAMPTZ DEFAULT now());
CREATE TABLE IF NOT EXISTS _objects (name VARCHAR NOT NULL, sha256 VARCHAR NOT NULL);
"""
"""The tables of our own bookkeeping. They have no primary key, which one transaction at a time does not need: DuckDB
has lost entries of indexes when it replayed a log (duckdb/duckdb#23848)."""

_HELD = """
SELECT table_name FROM duckdb_tables() WHERE database_name = current_database() AND schema_name = 'main'
UNION ALL
SELECT view_name FROM duckdb_views() WHERE database_name = current_database() AND schema_name = 'main'
"""
"""The tables and views that are there."""

_COPIED = """
SELECT schema_name, table_name, list(column_name ORDER BY column_index) AS columns
FROM duckdb_tables() JOIN duckdb_columns() USING (database_name, schema_name, table_name, table_oid)
WHERE database_name = 'fresh' AND NOT is_generated
GROUP BY schema_name, table_name, table_oid ORDER BY table_oid
"""
"""The tables of a copied schema, each after those that its keys refer to, with the columns that take values."""


class DuckDBWarehouse:
    """The `Warehouse` port over a DuckDB file; see `tickercast.ports`.

    Args:
        path: the file; it is created on first use.
        sql: the folder with `tables/` and `views/`.
        patience_s: the time limit, in seconds, for waiting while another process holds the file.
    """

    def __init__(self, path: Path, sql: Path, *, patience_s: float = 60.0) -> None:
        self._url = f"duckdb://{path}"
        with suppress(OSError):  # whoever opens it is told that its folder is closed
            path = path.resolve() if path.is_symlink() else path  # its log and its lock are where the file is
        self._path = path
        self._lock = _LOCKS.setdefault(path.resolve(), threading.RLock())
        self._checkpoints = Checkpoints(path)
        self._sql = sql
        self._names = cache(partial(column_names, sql))
        self._patience_s = patience_s
        self._engine: duckdb.DuckDBPyConnection | None = None
        self._shared: duckdb.DuckDBPyConnection | None = None
        self._together = False
        self._failed: BaseException | None = None
        self._uncommitted = 0
        self._until_ended = ExitStack()
        self._waited_for = ""
        self._fresh = path.with_name(f"{path.name}.fresh")
        self._revisions: dict[str, tuple[tuple[int, ...], str]] = {}

    @property
    def url(self) -> str:
        """The URL of the warehouse."""
        return self._url

    def provision(self) -> list[str]:
        """Create what is missing, and add columns to tables and replace views whose file has changed."""
        changed = self._attempt(self._provision)
        if changed:
            with self._lock, self._translating(reads=False):
                for attempt in self._retrying():
                    with attempt, self._file(reads=False, even_if_short=True):
                        pass
        return changed

    def append(self, table: str, rows: pa.Table | pd.DataFrame, *, key: str) -> bool:
        """Append rows and their key in one transaction; nothing happens if the key is known."""
        if not len(rows):
            return False
        return bool(self._append({key: (table, rows)}))

    def append_together(self, rows: Mapping[str, pa.Table | pd.DataFrame], *, key: str) -> None:
        """Append rows to several tables in one transaction."""
        given = {f"{table}/{key}": (table, added) for table, added in rows.items() if len(added)}
        if given:
            self._append(given)

    def _append(self, rows: Mapping[str, tuple[str, pa.Table | pd.DataFrame]]) -> int:
        """Append rows to tables, each under its key; returns the bytes that were appended, 0 if all keys are known."""

        def work(connection: duckdb.DuckDBPyConnection) -> int:
            size = _append(connection, rows, self._until_ended)
            self._uncommitted += size
            return size

        with self._of_this_release(" ".join(table for table, _ in rows.values())):
            size = self._attempt(work)
        traffic.loaded(size)
        return size

    def read(
        self, name: str, where: Mapping[str, Any] | None = None, columns: Sequence[str] | None = None
    ) -> pd.DataFrame:
        """Read the rows of a table or view."""
        return framed(self.read_arrow(name, where, columns))

    def read_arrow(
        self, name: str, where: Mapping[str, Any] | None = None, columns: Sequence[str] | None = None
    ) -> pa.Table:
        """Read the rows of a table or view as an Arrow table."""
        statement, values = _select(name, where, columns or self._names(name))
        with self._of_this_release(name):
            return self._attempt(
                lambda connection: connection.sql(statement, params=values).to_arrow_table(), reads=True
            )

    @contextmanager
    def stream(
        self, name: str, where: Mapping[str, Any] | None = None, *, limits: QueryLimits
    ) -> Iterator[pa.RecordBatchReader]:
        """Read the rows of a table or view batch by batch, from a copy of the file."""
        statement, values = _select(name, where, self._names(name))
        with self._of_this_release(name), self._on_a_copy(limits) as engine, memory_bounded(limits):
            yield engine.sql(statement, params=values).to_arrow_reader(_BATCH_ROWS)

    def query(
        self, text: str, parameters: Mapping[str, Any] | None = None, *, limits: QueryLimits | None = None
    ) -> pd.DataFrame:
        """Answer a query in BigQuery's dialect."""
        translate: Callable[[str], str] = to_duckdb
        if limits:
            from tickercast.backends.warehouse.duckdb_dialect import answerable  # it takes sqlglot, 0.1 s

            translate = answerable
        statement, values = translate(checked_query(text)), dict(parameters or {})
        try:
            with self._of_this_release(text):
                if limits:
                    return self._answer(statement, values, limits)
                return self._attempt(lambda connection: connection.execute(statement, values).df(), reads=True)
        except (SchemaMismatch, WarehouseUnavailable) as error:
            if isinstance(error.__cause__, WRONG_QUERY):
                message = one_line(error.__cause__)
                raise UsageError(f"The query does not fit what {self.url} holds: {message}. Correct it.") from error
            raise

    def _answer(self, statement: str, values: Mapping[str, Any], limits: QueryLimits) -> pd.DataFrame:
        with self._on_a_copy(limits) as engine:
            return answer(engine, statement, values, limits)

    @contextmanager
    def _on_a_copy(self, limits: QueryLimits) -> Iterator[duckdb.DuckDBPyConnection]:
        """Work on a copy of the file, for which writers wait and for nothing else."""
        with self._translating(reads=True):
            with self._lock, self._alone(reads=True):
                engine = self._copied(limits)
            with closing(engine):
                yield engine

    def _copied(self, limits: QueryLimits) -> duckdb.DuckDBPyConnection:
        for attempt in self._retrying():
            with attempt, self._attached(reads=True), snapshot(self._path) as copy:
                return opened(copy, limits)
        raise AssertionError("unreachable: the last attempt returns or raises")

    def revision(self, table: str) -> str:
        """The number of the table's rows, counted again where the file or its log has changed."""
        written, (counted_at, found) = _written(self._path), self._revisions.get(table, (None, ""))
        if counted_at != written:
            counting = f"SELECT count(*) FROM {_quoted(table)}"  # noqa: S608
            with self._of_this_release(table):
                [[count]] = self._attempt(lambda connection: connection.execute(counting).fetchall(), reads=True)
            found = str(count)
            self._revisions[table] = written, found
        return found

    def revisions(self, table: str, *, by: str) -> dict[str, str]:
        """The number of the table's rows for each value of a column."""
        column = _quoted(by)
        counting = f"SELECT {column}, count(*) FROM {_quoted(table)} WHERE {column} IS NOT NULL GROUP BY ALL"  # noqa: S608
        with self._of_this_release(table):
            found = self._attempt(lambda connection: connection.execute(counting).fetchall(), reads=True)
        return {str(value): str(count) for value, count in found}

    def pending(self) -> dict[str, str]:
        """The tables and views that are missing or whose file has changed."""
        if not is_made(self._path):
            check_log(self._path)
            return pending(read_objects(self._sql), {}, lambda sql_object: sql_object.sha256)

        def work(connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
            with connection.cursor() as beside:  # the transaction of a session may have failed
                beside.execute("USE warehouse")
                return self._pending(beside)

        return self._attempt(work, reads=True)

    def _of_this_release(self, statement: str) -> AbstractContextManager[None]:
        return of_this_release(self.url, statement, self._sql, self.pending)

    def compact(self, *, until: datetime | None = None) -> dict[str, int]:
        """Write the rows that count to a new file, in order, and put it in the place of the old one."""
        fresh = self._fresh
        if lacking := self.pending():
            raise outdated(self.url, lacking)
        with self._lock, self._translating(reads=False), self._only_writer():
            fresh.unlink(missing_ok=True)
            try:
                for attempt in self._retrying():
                    with attempt, self._attached(reads=False) as connection:
                        if not self._checkpoints.make(connection, even_if_short=True):  # it would follow the new file
                            raise EngineUnusable(
                                f"{self.url} cannot be compacted: there is no space for a copy of its log. Free some."
                            )
                        connection.execute(f"ATTACH '{_escaped(fresh)}' AS fresh")
                        before = self._refill(connection, until or datetime.now(UTC) - FINISHED)
                        connection.execute("CHECKPOINT fresh")
                        connection.execute("DETACH fresh")
                fresh.replace(self._path)
            finally:
                self.close()
                fresh.unlink(missing_ok=True)
        return before

    def _refill(self, connection: duckdb.DuckDBPyConnection, until: datetime) -> dict[str, int]:
        """Copy whatever the file holds, and of our tables the rows that count, in order."""
        compactions, dropped = read_compactions(self._sql), dict[str, int]()
        orders = {found.name: order_of(found) for found in read_objects(self._sql) if not found.is_view}
        if "skill_blocks" in compactions:
            [[newest]] = connection.execute(ADDED_UP).fetchall()
            until = max(until, newest or until)
        connection.execute("COPY FROM DATABASE warehouse TO fresh (SCHEMA)")
        for schema, name, columns in connection.execute(_COPIED).fetchall():
            table = f"{_quoted(schema)}.{_quoted(name)}"
            ours = orders.get(name) if schema == "main" else None
            compaction = compactions.get(name, "") if ours is not None else ""
            rows = what_remains(compaction) if compaction else f"SELECT * FROM {table}"  # noqa: S608
            wanted, order = ", ".join(map(_quoted, columns)), f" ORDER BY {', '.join(ours)}" if ours else ""
            statement = f"INSERT INTO fresh.{table} BY NAME SELECT {wanted} FROM ({rows}){order}"  # noqa: S608
            [[kept]] = connection.execute(statement, {"until": until} if "$until" in rows else {}).fetchall()
            [[held]] = connection.execute(f"SELECT count(*) FROM {table}").fetchall()  # noqa: S608
            dropped |= {name: held - kept} if drops(compaction) else {}
        return dropped

    def _pending(self, connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
        held = {name for (name,) in connection.execute(_HELD).fetchall()}
        known = connection.execute("SELECT name, sha256 FROM _objects").fetchall() if "_objects" in held else ()
        applied = dict.fromkeys(held, "") | {name: sha256 for name, sha256 in known if name in held}
        return pending(read_objects(self._sql), applied, lambda sql_object: sql_object.sha256)

    def _provision(self, connection: duckdb.DuckDBPyConnection) -> list[str]:
        connection.execute(_INTERNAL_TABLES)
        _drop_primary_keys(connection)
        before = _set_aside(connection)
        rewrites = read_rewrites(self._sql) if before else {}
        for table in before:
            for column in additions(self._sql, table.removesuffix(BEFORE)):
                adds = f"ADD COLUMN IF NOT EXISTS `{column.name}` {column.kind}"
                connection.execute(to_duckdb(f"ALTER TABLE {table} {adds}"))
        changed = self._pending(connection)
        added = {
            found.name: self._missing_columns(connection, found)
            for found in read_objects(self._sql)
            if changed.get(found.name) == "changed" and not found.is_view
        }
        announce_migration(self.url, read_objects(self._sql), changed, before)
        if not before:  # a table that was dropped may get its rows again
            made = [name for name, how in changed.items() if how == "missing"]
            connection.execute("DELETE FROM _appends WHERE list_contains(?, split_part(key, '/', 1))", [made])
        for found in read_objects(self._sql):
            if found.name in changed:
                if found.is_view or changed[found.name] == "missing":
                    connection.execute(to_duckdb(found.text))
                else:
                    self._alter(connection, found, added[found.name])
                if found.name in rewrites:
                    rows = to_duckdb(rewrites[found.name])
                    connection.execute(f"INSERT INTO {_quoted(found.name)} BY NAME {rows}")
                connection.execute("DELETE FROM _objects WHERE name = ?", [found.name])
                connection.execute("INSERT INTO _objects VALUES (?, ?)", [found.name, found.sha256])
        for table in before:
            connection.execute(f"DROP TABLE {table}")
        return list(changed)

    def _missing_columns(self, connection: duckdb.DuckDBPyConnection, table: SqlObject) -> list[Column]:
        migration = read_migration(self._sql, table.name)
        retired = migration.retires if migration else ()
        return missing_columns(table, _columns(connection, table.name), self.url, retired)

    def _alter(self, connection: duckdb.DuckDBPyConnection, table: SqlObject, added: Sequence[Column]) -> None:
        migration = read_migration(self._sql, table.name)
        stored = _columns(connection, table.name)
        for column in added:
            connection.execute(to_duckdb(f"ALTER TABLE {table.name} ADD COLUMN `{column.name}` {column.kind}"))
        if migration and migration.applies([column.name for column in stored]):
            connection.execute(to_duckdb(migration.text))
            for name in migration.retires:
                connection.execute(f"ALTER TABLE {table.name} DROP COLUMN {_quoted(name)}")

    @contextmanager
    def session(self, *, together: bool = False) -> Iterator[bool]:
        """Keep the file for several calls of this thread, which saves most of their time; others wait.

        From then on the engine works on one core: to share the small pieces of an event costs more than it saves. A
        session within one is a part of it.
        """
        with self._lock, self._translating(reads=False), ExitStack() as held:
            if self._shared is not None:
                assert not together, "what a session stores together is not stored with it"
                yield True
                return
            self._connect().execute("SET threads = 1")
            for attempt in self._retrying():
                with attempt:
                    connection = held.enter_context(self._file(reads=False))
            with self._committed(connection) if together else nullcontext():
                self._shared, self._together, self._failed = connection, together, None
                try:
                    yield True
                finally:
                    self._shared, self._together = None, False
                if self._failed:
                    raise self._failed

    def _attempt(self, work: Callable[[duckdb.DuckDBPyConnection], Result], *, reads: bool = False) -> Result:
        with self._translating(reads):
            for attempt in self._retrying():
                with attempt, self._transaction(reads) as connection:
                    return work(connection)
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _retrying(self) -> Retrying:
        return Retrying(
            retry=retry_if_exception(is_locked),
            wait=wait_random_exponential(0.01, max=1.0),
            stop=stop_after_delay(self._patience_s),
            before_sleep=self._say_that_it_waits,
            reraise=True,
        )

    def _say_that_it_waits(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        if error and (state.seconds_since_start or 0.0) > _UNNOTICED_S:
            self._waits_for(holder(error))

    def _waits_for(self, by: str) -> None:
        if self._waited_for != by:
            logs.waiting(f"{self.url} is held by {by}; waiting for it, up to {self._patience_s:.0f} s")
        self._waited_for = by

    @contextmanager
    def _translating(self, reads: bool) -> Iterator[None]:
        try:
            yield
        except duckdb.Error as error:
            self._waited_for = ""  # the next call says it again
            if reads and not is_made(self._path) and not isinstance(error, duckdb.OutOfMemoryException):
                raise NotSetUp(
                    f"{self.url} has not been set up. Run any forecast, or `tickercast provision`."
                ) from error
            raise translated(error, self._path, self._patience_s) from error
        except OSError as error:
            raise disk.fault(self.url, error, WarehouseUnavailable) from error
        except RuntimeError as error:
            if "interrupted" in str(error):  # DuckDB's word for Ctrl-C
                raise KeyboardInterrupt from error
            raise

    @contextmanager
    def _transaction(self, reads: bool) -> Iterator[duckdb.DuckDBPyConnection]:
        with ExitStack() as held:
            held.enter_context(self._lock)
            connection = self._shared or held.enter_context(self._file(reads))
            if self._together:
                try:
                    yield connection
                except BaseException as error:
                    self._failed = error
                    raise
                return
            if not reads:
                held.enter_context(self._committed(connection))
            yield connection

    @contextmanager
    def _committed(self, connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
        connection.begin()
        self._uncommitted = 0
        with ExitStack() as self._until_ended:
            try:
                yield
            except BaseException:
                with suppress(duckdb.Error):
                    connection.rollback()
                raise
            self._checkpoints.commit(connection, self._uncommitted)

    @contextmanager
    def _file(self, reads: bool, *, even_if_short: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
        """Attach the file, and make a checkpoint after it where that is due."""
        if not reads:  # reading does not create a warehouse
            private_folder(self._path.parent)
        try:
            with self._alone(reads), self._attached(reads) as connection:
                yield connection
                if not reads:
                    self._checkpoints.make(connection, even_if_short=even_if_short)
        except BaseException:
            self.close()  # rolls back, and discards a broken engine
            raise

    def _alone(self, reads: bool) -> AbstractContextManager[None]:
        return nullcontext() if reads and not self._checkpoints.kept.exists() else self._only_writer()

    @contextmanager
    def _only_writer(self) -> Iterator[None]:
        """Keep other writers out, and restore what an interrupted checkpoint may have damaged, or one that fails."""
        lock = FileLock(f"{self._path}.lock", mode=0o600)
        self._acquire(lock)
        try:
            self._checkpoints.restore()
            yield
        except Exception:
            if self._checkpoints.kept.exists():  # a checkpoint failed, such as on a full disk
                self.close()
                with suppress(OSError):  # the next writer restores it
                    self._checkpoints.restore()
            raise
        finally:
            lock.release()

    def _acquire(self, lock: FileLock) -> None:
        noticed_s = min(_UNNOTICED_S, self._patience_s)
        try:
            lock.acquire(timeout=noticed_s)
        except Timeout:
            by = self._holder()
            self._waits_for(by)
            try:
                lock.acquire(timeout=self._patience_s - noticed_s)
            except Timeout as error:
                raise held(self.url, self._patience_s, by) from error

    def _holder(self) -> str:
        """The program and process that hold the file; the lock of writers does not name them, but DuckDB does."""
        try:
            with duckdb.connect() as engine:
                engine.execute("ATTACH ? AS held (READ_ONLY)", [str(self._path)])
        except duckdb.Error as error:
            return holder(error)
        return "another process"

    @contextmanager
    def _attached(self, reads: bool) -> Iterator[duckdb.DuckDBPyConnection]:
        engine = self._connect()
        check_log(self._path)
        with nullcontext() if reads else whole(self._path):
            engine.execute(f"ATTACH ? AS warehouse{' (READ_ONLY)' if reads else ''}", [str(self._path)])
        if self._waited_for:
            self._waited_for = ""
            logs.waiting("")
        try:
            with engine.cursor() as connection:
                connection.execute("USE warehouse")
                yield connection
        except BaseException:
            with suppress(duckdb.Error):  # to close the engine with the file attached would make a checkpoint
                engine.execute("DETACH warehouse")
            raise
        engine.execute("DETACH warehouse")

    def _connect(self) -> duckdb.DuckDBPyConnection:
        if self._engine is None:
            self._engine = duckdb.connect(config={"temp_directory": f"{self._path}.tmp", **SETTINGS})
            self._engine.execute("SET GLOBAL TimeZone = 'UTC'")
            confine(self._engine, [self._path, self._fresh], "threads", "wal_autocheckpoint", _KEPT_MEMORY)
            _OPEN.add(self)
        return self._engine

    def close(self) -> None:
        """Close the engine; the next call opens another."""
        if self._engine is not None:
            self._engine.close()
        self._engine = None


def _written(path: Path) -> tuple[int, ...]:
    """The times at which the file and its log were last written, and their sizes."""
    found: list[int] = []
    for part in (path, path.with_name(f"{path.name}.wal")):
        with suppress(FileNotFoundError):
            described = part.stat()
            found += [described.st_ino, described.st_mtime_ns, described.st_size]
    return tuple(found)


def _close_all() -> None:
    for warehouse in list(_OPEN):
        warehouse.close()


os.register_at_fork(before=_close_all)  # a fork does not copy the engine's threads, without which the child would crash


def _set_aside(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Rename the tables of earlier releases, so that their rows can be rewritten; returns their new names."""
    older = connection.execute(
        "SELECT table_name FROM duckdb_columns() WHERE database_name = current_database() "
        "AND column_name = 'generation' AND data_type = 'BIGINT' AND list_contains(?, table_name)",
        [list(REWRITTEN)],
    ).fetchall()
    for (table,) in older:
        connection.execute(f"ALTER TABLE {table} RENAME TO {table}{BEFORE}")
        connection.execute("DELETE FROM _objects WHERE name = ?", [table])
    return [f"{table}{BEFORE}" for (table,) in older]


def _drop_primary_keys(connection: duckdb.DuckDBPyConnection) -> None:
    """Rewrite the tables of an earlier release, which had indexes."""
    keyed = connection.execute(
        "SELECT table_name FROM duckdb_constraints() WHERE database_name = current_database() "
        "AND constraint_type = 'PRIMARY KEY' AND table_name IN ('_appends', '_objects')"
    ).fetchall()
    for (table,) in keyed:
        connection.execute(f"ALTER TABLE {table} RENAME TO {table}_keyed")
        connection.execute(_INTERNAL_TABLES)
        connection.execute(f"INSERT INTO {table} BY NAME SELECT * FROM {table}_keyed")  # noqa: S608
        connection.execute(f"DROP TABLE {table}_keyed")


def _append(
    connection: duckdb.DuckDBPyConnection,
    rows: Mapping[str, tuple[str, pa.Table | pd.DataFrame]],
    until_ended: ExitStack,
) -> int:
    """Append rows and their keys in the transaction of a connection; see `DuckDBWarehouse._append`."""
    marks = ", ".join("?" * len(rows))
    found = connection.execute(f"SELECT key FROM _appends WHERE key IN ({marks})", list(rows)).fetchall()  # noqa: S608
    known = {key for (key,) in found}
    new = [key for key in rows if key not in known]
    if not new:
        return 0
    connection.execute(f"INSERT INTO _appends (key) VALUES {', '.join(['(?)'] * len(new))}", new)  # noqa: S608
    size = 0
    for table, given in (rows[key] for key in new):
        added = _with_nulls(given, table)
        if added.nbytes > _MUCH:
            until_ended.enter_context(_sparing(connection))
        connection.register("appended_rows", added)
        connection.execute(f"INSERT INTO {_quoted(table)} BY NAME SELECT * FROM appended_rows")  # noqa: S608
        size += max(int(added.nbytes), 1)
    return size


@contextmanager
def _sparing(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Give back what was freed, before the engine takes as much and afterwards, and let it keep less meanwhile."""
    memory.give_back()
    connection.execute(f"SET GLOBAL {_KEPT_MEMORY} = '1MB'")
    try:
        yield
    finally:
        with suppress(duckdb.Error):
            connection.execute(f"RESET GLOBAL {_KEPT_MEMORY}")
        memory.give_back()


def _columns(connection: duckdb.DuckDBPyConnection, table: str) -> list[Column]:
    described = connection.execute(f"DESCRIBE {_quoted(table)}").fetchall()
    return [Column(name, from_duckdb(kind), null == "NO") for name, kind, null, *_ in described]


def _with_nulls(rows: pa.Table | pd.DataFrame, table: str) -> pa.Table:
    """Convert rows to Arrow, where a missing value is NULL: to DuckDB, NaN is a number."""
    if isinstance(rows, pa.Table):
        return rows
    try:
        return pa.Table.from_pandas(rows, preserve_index=False)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        raise SchemaMismatch(f"The rows do not fit the table {table}: {one_line(error)}.") from error


def _select(name: str, where: Mapping[str, Any] | None, columns: Sequence[str]) -> tuple[str, list[Any]]:
    terms = [_term(column, value) for column, value in (where or {}).items()]
    condition = " AND ".join(term for term, _ in terms) or "TRUE"
    wanted = ", ".join(map(_quoted, columns)) if columns else "*"
    values = [value for _, given in terms for value in given]
    return f"SELECT {wanted} FROM {_quoted(name)} WHERE {condition}", values  # noqa: S608


def _term(column: str, value: Any) -> tuple[str, list[Any]]:
    if isinstance(value, list) and len(value) == 1:  # to be found by statistics of blocks, in half the time
        return _term(column, value[0])
    if isinstance(value, list) and value and isinstance(value[0], Between):
        terms = [_term(column, each) for each in value]
        return f"({' OR '.join(term for term, _ in terms)})", [one for _, given in terms for one in given]
    if isinstance(value, list) and {*map(type, value)} == {str} and not any(_BREAK in one for one in value):
        return f"{_quoted(column)} IN (SELECT unnest(string_split(?, '{_BREAK}')))", [_BREAK.join(value)]
    if isinstance(value, list):
        return f"{_quoted(column)} IN (SELECT unnest(?))", [value]
    if isinstance(value, Between):
        ends = [(">=", value.first), ("<=", value.last)]
        limits = [f"{_quoted(column)} {sign} ?" for sign, end in ends if end is not None]
        return " AND ".join(limits) or "TRUE", [end for _, end in ends if end is not None]
    return f"{_quoted(column)} = ?", [value]


def _escaped(path: Path) -> str:
    return str(path).replace("'", "''")


def _quoted(identifier: str) -> str:
    return '"' + identifier.replace('"', '""') + '"'
