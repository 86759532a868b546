"""The warehouse on a laptop: one DuckDB file.

DuckDB lets one process at a time hold the file. Each call attaches it, works and detaches it again, and waits while
another process holds it, so a dashboard and any number of functions can share it. The engine stays open: attaching the
file takes 2 ms, opening an engine 13.

A checkpoint moves what was appended from the log beside the file into the file, and rewrites a block of it in place:
killed in that moment, it leaves a file that does not open. So nothing is moved until the log is long, and then only
while a copy of both is kept, from which the next call restores them if the copy is still there.
"""

import os
import re
import shutil
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, TypeVar

import duckdb
import pandas as pd
import pyarrow as pa
from filelock import FileLock, Timeout
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_random

from tickercast.backends.warehouse.sql import (
    Column,
    SqlObject,
    checked_query,
    from_duckdb,
    missing_columns,
    pending,
    read_compactions,
    read_migration,
    read_objects,
    to_duckdb,
)
from tickercast.errors import SchemaMismatch, TickercastError, UsageError, WarehouseUnavailable

Result = TypeVar("Result")

_LOCKS: dict[Path, threading.Lock] = {}
"""The lock of each file: threads that used it concurrently would meet each other's half-closed handles."""

_OPEN: "weakref.WeakSet[DuckDBWarehouse]" = weakref.WeakSet()
"""The warehouses with an open engine."""

_WRONG_QUERY = (
    duckdb.CatalogException,
    duckdb.BinderException,
    duckdb.ParserException,
    duckdb.InvalidInputException,  # a parameter without a value
)

_INTERNAL_TABLES = """
CREATE TABLE IF NOT EXISTS _appends (key VARCHAR NOT NULL, appended_at TIMESTAMPTZ DEFAULT now());
CREATE TABLE IF NOT EXISTS _objects (name VARCHAR NOT NULL, sha256 VARCHAR NOT NULL);
"""
"""Without a primary key, which one transaction at a time does not need: DuckDB has lost entries of indexes when it
replayed a log (duckdb/duckdb#23848)."""

_LONGEST_LOG = 1 << 20
"""Bytes: every call replays the log, which takes 5 ms a megabyte."""

_ENGINE: dict[str, str | int | float | list[str]] = {
    "checkpoint_on_detach": "DISABLED",
    "wal_autocheckpoint": "1TB",
    "auto_checkpoint_skip_wal_threshold": 1 << 40,
}
"""Settings that leave it to us when a checkpoint is made."""


class DuckDBWarehouse:
    """The `Warehouse` port over a DuckDB file; see `tickercast.ports`.

    Args:
        path: the file; it is created on first use.
        sql: the folder with `tables/` and `views/`.
        patience_s: how long to wait while another process holds the file.
    """

    def __init__(self, path: Path, sql: Path, *, patience_s: float = 60.0) -> None:
        self._path = path
        self._log = path.with_name(f"{path.name}.wal")
        self._kept = path.with_name(f"{path.name}.kept")
        self._sql = sql
        self._patience_s = patience_s
        self._engine: duckdb.DuckDBPyConnection | None = None

    @property
    def url(self) -> str:
        """Where the tables are."""
        return f"duckdb://{self._path}"

    def provision(self) -> list[str]:
        """Create what is missing, and add columns to tables and replace views whose file has changed."""
        changed = self._attempt(self._provision)
        if changed:
            with _LOCKS[self._path.resolve()], self._only_writer():
                self._checkpoint(longest=0)
        return changed

    def append(self, table: str, rows: pa.Table | pd.DataFrame, *, key: str) -> bool:
        """Append rows and their key in one transaction; nothing happens if the key is known."""
        if not len(rows):
            return False
        return self._attempt(lambda connection: _append(connection, table, rows, key))

    def read(self, name: str, where: Mapping[str, Any] | None = None) -> pd.DataFrame:
        """Read the rows of a table or view."""
        wanted = dict(where or {})
        terms = [
            f"{_quoted(column)} IN (SELECT unnest(?))" if isinstance(value, list) else f"{_quoted(column)} = ?"
            for column, value in wanted.items()
        ]
        statement = f"SELECT * FROM {_quoted(name)}" + (f" WHERE {' AND '.join(terms)}" if terms else "")  # noqa: S608
        return self._attempt(lambda connection: connection.execute(statement, list(wanted.values())).df(), reads=True)

    def query(self, text: str, parameters: Mapping[str, Any] | None = None) -> pd.DataFrame:
        """Answer a query in BigQuery's dialect."""
        statement, values = to_duckdb(checked_query(text)), dict(parameters or {})
        try:
            return self._attempt(lambda connection: connection.execute(statement, values).df(), reads=True)
        except (SchemaMismatch, WarehouseUnavailable) as error:
            if isinstance(error.__cause__, _WRONG_QUERY):
                message = _one_line(error.__cause__)
                raise UsageError(f"The query does not fit what {self.url} holds: {message}. Correct it.") from error
            raise

    def pending(self) -> dict[str, str]:
        """The tables and views that are missing or whose file has changed."""
        return self._attempt(self._pending)

    def compact(self) -> dict[str, int]:
        """Drop the rows that newer files have replaced, in one transaction."""
        return self._attempt(self._compact)

    def _compact(self, connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
        statements = read_compactions(self._sql)
        return {table: connection.execute(to_duckdb(text)).fetchall()[0][0] for table, text in statements.items()}

    def _pending(self, connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
        connection.execute(_INTERNAL_TABLES)
        _drop_primary_keys(connection)
        applied = dict(connection.execute("SELECT name, sha256 FROM _objects").fetchall())
        return pending(read_objects(self._sql), applied, lambda sql_object: sql_object.sha256)

    def _provision(self, connection: duckdb.DuckDBPyConnection) -> list[str]:
        changed = self._pending(connection)
        for found in read_objects(self._sql):
            if found.name in changed:
                if found.is_view or changed[found.name] == "missing":
                    connection.execute(to_duckdb(found.text))
                else:
                    self._alter(connection, found)
                connection.execute("DELETE FROM _objects WHERE name = ?", [found.name])
                connection.execute("INSERT INTO _objects VALUES (?, ?)", [found.name, found.sha256])
        return list(changed)

    def _alter(self, connection: duckdb.DuckDBPyConnection, table: SqlObject) -> None:
        migration = read_migration(self._sql, table.name)
        stored = _columns(connection, table.name)
        retired = migration.retires if migration else ()
        for column in missing_columns(table, stored, self.url, retired):
            connection.execute(to_duckdb(f"ALTER TABLE {table.name} ADD COLUMN `{column.name}` {column.kind}"))
        if migration and migration.applies([column.name for column in stored]):
            connection.execute(to_duckdb(migration.text))
            for name in retired:
                connection.execute(f"ALTER TABLE {table.name} DROP COLUMN {_quoted(name)}")

    def _attempt(self, work: Callable[[duckdb.DuckDBPyConnection], Result], *, reads: bool = False) -> Result:
        try:
            for attempt in Retrying(
                retry=retry_if_exception(_is_transient),
                wait=wait_random(0.005, 0.05),
                stop=stop_after_delay(self._patience_s),
                reraise=True,
            ):
                with attempt, self._transaction(reads) as connection:
                    return work(connection)
        except duckdb.CatalogException as error:
            raise WarehouseUnavailable(
                f"{self.url} has not been set up: {_one_line(error)} Run any forecast."
            ) from error
        except duckdb.Error as error:
            if reads and not self._path.exists():
                raise WarehouseUnavailable(f"{self.url} has not been set up. Run any forecast.") from error
            raise self._translated(error) from error
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _translated(self, error: duckdb.Error) -> TickercastError:
        if isinstance(error, (duckdb.ConstraintException, duckdb.ConversionException, duckdb.BinderException)):
            return SchemaMismatch(f"The request does not fit the tables of {self.url}: {_one_line(error)}.")
        if "not a valid DuckDB" in str(error):
            return UsageError(f"{self._path} is not a DuckDB file: name another in TICKERCAST_WAREHOUSE.")
        if _is_transient(error):
            return WarehouseUnavailable(
                f"{self.url} has been held by another process for {self._patience_s:.0f} s. End that process, or wait."
            )
        return WarehouseUnavailable(f"{self.url} does not answer: {_one_line(error)}. Check the disk, then try again.")

    @contextmanager
    def _transaction(self, reads: bool) -> Iterator[duckdb.DuckDBPyConnection]:
        try:
            if not reads:  # reading does not create a warehouse
                self._path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WarehouseUnavailable(
                f"{self.url} cannot be created: {error.strerror}. Name another file in TICKERCAST_WAREHOUSE."
            ) from error
        with _LOCKS.setdefault(self._path.resolve(), threading.Lock()):
            try:
                with nullcontext() if reads and not self._kept.exists() else self._only_writer():
                    with self._attached(reads) as connection:
                        connection.begin()
                        yield connection
                        connection.commit()
                    if not reads:
                        self._checkpoint()
            except BaseException:
                self.close()  # rolls back, and discards a broken engine
                raise

    @contextmanager
    def _only_writer(self) -> Iterator[None]:
        """Keep other writers out, and restore what an interrupted checkpoint may have damaged."""
        try:
            with FileLock(f"{self._path}.lock", timeout=self._patience_s):
                if self._kept.exists():
                    for file in (self._path, self._log):
                        restored = file.with_name(f"{file.name}.restored")
                        shutil.copyfile(self._kept / file.name, restored)
                        restored.replace(file)
                    self._forget()
                yield
        except Timeout as error:
            raise WarehouseUnavailable(
                f"{self.url} has been held by another process for {self._patience_s:.0f} s. End that process, or wait."
            ) from error

    def _checkpoint(self, longest: int | None = None) -> None:
        """Move a long log into the file, while a copy of both is kept."""
        if not self._log.exists() or self._log.stat().st_size < (_LONGEST_LOG if longest is None else longest):
            return
        copy = self._kept.with_name(f"{self._kept.name}.part")
        shutil.rmtree(copy, ignore_errors=True)
        copy.mkdir()
        for file in (self._path, self._log):
            shutil.copyfile(file, copy / file.name)
        copy.rename(self._kept)
        with self._attached(reads=False) as connection:
            connection.execute("CHECKPOINT warehouse")
        self._forget()

    def _forget(self) -> None:
        gone = self._kept.with_name(f"{self._kept.name}.gone")
        shutil.rmtree(gone, ignore_errors=True)
        self._kept.rename(gone)
        shutil.rmtree(gone)

    @contextmanager
    def _attached(self, reads: bool) -> Iterator[duckdb.DuckDBPyConnection]:
        engine = self._connect()
        engine.execute(f"ATTACH ? AS warehouse{' (READ_ONLY)' if reads else ''}", [str(self._path)])
        with engine.cursor() as connection:
            connection.execute("USE warehouse")
            yield connection
        engine.execute("DETACH warehouse")

    def _connect(self) -> duckdb.DuckDBPyConnection:
        if self._engine is None:
            self._engine = duckdb.connect(config={"temp_directory": f"{self._path}.tmp", **_ENGINE})
            self._engine.execute("SET GLOBAL TimeZone = 'UTC'")
            _OPEN.add(self)
        return self._engine

    def close(self) -> None:
        """Close the engine; the next call opens another."""
        if self._engine is not None:
            self._engine.close()
        self._engine = None


def _close_all() -> None:
    for warehouse in list(_OPEN):
        warehouse.close()


os.register_at_fork(before=_close_all)  # a fork does not copy the engine's threads, without which the child would crash


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


def _append(connection: duckdb.DuckDBPyConnection, table: str, rows: pa.Table | pd.DataFrame, key: str) -> bool:
    accepted = not connection.execute("SELECT 1 FROM _appends WHERE key = ?", [key]).fetchall()
    if accepted:
        connection.execute("INSERT INTO _appends (key) VALUES (?)", [key])
        connection.register("appended_rows", _with_nulls(rows, table))
        connection.execute(f"INSERT INTO {_quoted(table)} BY NAME SELECT * FROM appended_rows")  # noqa: S608
    return accepted


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
        raise SchemaMismatch(f"The rows do not fit the table {table}: {_one_line(error)}.") from error


def _is_transient(error: BaseException) -> bool:
    """Whether another process holds the file, and will release it."""
    return isinstance(error, duckdb.IOException) and re.search("set lock|Conflicting lock", str(error)) is not None


def _quoted(identifier: str) -> str:
    return '"' + identifier.replace('"', '""') + '"'


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
