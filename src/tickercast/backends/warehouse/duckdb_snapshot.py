"""Queries that somebody typed: on a copy of a DuckDB file, within limits, and without a way out of it.

Whoever reads a DuckDB file keeps all writers from it. A query of unknown length therefore reads a copy, which is made
while the engine keeps them away, and which leaves nothing behind: its files are removed as soon as they are open.
"""

import os
import resource
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa

from tickercast.backends.warehouse.duckdb_checkpoints import engines_descriptor
from tickercast.errors import UsageError
from tickercast.ports import QueryLimits

BESIDE = ("", ".wal", ".wal.checkpoint", ".wal.recovery")
"""The endings of a DuckDB file and of those that the engine writes beside it."""

_FLOATS = "ieee_floating_point_ops"
"""The engine's setting by which 1 / 0, LN(0) and the like are errors, as in BigQuery, if it is off."""

_PART = 1 << 20


def confine(engine: duckdb.DuckDBPyConnection, files: Sequence[Path], *settings: str) -> None:
    """Leave an engine access to these files alone: to no other file, no network, no extension, no variable of Python.

    Args:
        engine: the engine.
        files: the databases; what the engine writes beside them is included.
        settings: the settings that can be changed from now on.
    """
    paths = [f"{file}{ending}" for file in files for ending in BESIDE]
    engine.execute("SET GLOBAL autoinstall_known_extensions = false")
    engine.execute("SET GLOBAL autoload_known_extensions = false")
    engine.execute(f"SET GLOBAL allowed_paths = [{', '.join(map(_text, paths))}]")
    engine.execute("SET GLOBAL enable_external_access = false")
    engine.execute(f"SET GLOBAL allowed_configs = [{', '.join(map(_text, settings))}]")
    engine.execute("SET GLOBAL lock_configuration = true")


@contextmanager
def snapshot(path: Path) -> Iterator[Path]:
    """Copy a file and its log beside it, or among temporary files where nothing can be written there.

    Args:
        path: a file that is attached, so that nobody writes it; the copy is removed after the block.

    Raises:
        UsageError: no space is left for the copy.
    """
    beside = path.parent if os.access(path.parent, os.W_OK) else None
    folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=beside))
    try:
        copy = folder / path.name
        with copy.open("wb") as file:
            for part in _parts(engines_descriptor(path)):
                file.write(part)
        with suppress(FileNotFoundError):
            shutil.copyfile(f"{path}.wal", f"{copy}.wal")
        yield copy
    except OSError as error:
        raise UsageError(
            f"A query reads a copy of {path}, which cannot be made in {folder.parent}: {error.strerror}. "
            "Free some space, or check the permissions."
        ) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _parts(descriptor: int) -> Iterator[bytes]:
    start = 0
    while part := os.pread(descriptor, _PART, start):
        yield part
        start += len(part)


def opened(copy: Path, limits: QueryLimits) -> duckdb.DuckDBPyConnection:
    """An engine over a copy, read-only and with nowhere to write."""
    engine = duckdb.connect(config={"temp_directory": "", "memory_limit": f"{limits.memory_mb}MB"})
    try:
        engine.execute("SET GLOBAL TimeZone = 'UTC'")
        confine(engine, [copy], _FLOATS)
        engine.execute("ATTACH ? AS warehouse (READ_ONLY)", [str(copy)])
        engine.execute("USE warehouse")
    except BaseException:
        engine.close()
        raise
    return engine


def answer(
    engine: duckdb.DuckDBPyConnection, statement: str, values: Mapping[str, Any], limits: QueryLimits
) -> pd.DataFrame:
    """Answer one query that `answerable` has translated.

    On Linux, no thread of this process gets more memory meanwhile than the limits allow.

    Raises:
        UsageError: the query takes longer, or more memory, than the limits allow.
        the query does not fit the tables.
    """
    timer = threading.Timer(limits.seconds, engine.interrupt)
    timer.daemon = True
    timer.start()
    try:
        # The engine counts an answer only as a table, and the texts that functions make not at all.
        with memory_bounded(limits), _PROCESS.bounded(limits.memory_mb):
            engine.execute(f"SET GLOBAL {_FLOATS} = false")
            engine.execute(f"CREATE TEMP TABLE answer AS {statement}", dict(values))
            described = engine.execute("DESCRIBE temp.answer").fetchall()
            sums = [f"{_quoted(name)}::BIGINT AS {_quoted(name)}" for name, kind, *_ in described if kind == "HUGEINT"]
            replaced = f" REPLACE ({', '.join(sums)})" if sums else ""
            return engine.execute(f"SELECT *{replaced} FROM temp.answer").df()  # noqa: S608
    except duckdb.InterruptException as error:
        raise UsageError(
            f"The query was ended after {limits.seconds:g} s. Ask for less, or raise TICKERCAST_QUERY_TIMEOUT_S."
        ) from error
    finally:
        timer.cancel()


@contextmanager
def memory_bounded(limits: QueryLimits) -> Iterator[None]:
    """Say in a sentence that a query needs more memory than it may take.

    Raises:
        UsageError: the query needs more memory than it may take.
    """
    try:
        yield
    except (duckdb.OutOfMemoryException, MemoryError) as error:
        raise UsageError(
            f"The query needs more than the {limits.memory_mb:,} MB that it may take. Ask for less, "
            "or raise TICKERCAST_QUERY_MEMORY_MB."
        ) from error


class _Process:
    """The memory that this process may take while it answers queries, of which several may be at work.

    Linux refuses more to every thread of the process; other systems keep no such limit, so that there is none. Arrow
    takes its memory from the system meanwhile: its own allocator first reserves 1 GB, which would count as taken.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._queries = 0
        self._before = 0, 0
        self._pool: pa.MemoryPool | None = None

    @contextmanager
    def bounded(self, megabytes: int) -> Iterator[None]:
        """Let the process take that many megabytes more inside the block, and no more than it may anyhow."""
        if sys.platform != "linux":
            yield
            return
        with self._lock:
            self._begin(megabytes << 20)
        try:
            yield
        finally:
            with self._lock:
                self._end()

    def _begin(self, more: int) -> None:
        soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
        wanted = _data_bytes() + more
        if self._queries:
            wanted = max(wanted, soft)  # which another query has set
        else:
            self._before, self._pool = (soft, hard), pa.default_memory_pool()
            pa.set_memory_pool(pa.system_memory_pool())
        self._queries += 1
        allowed = [each for each in self._before if each != resource.RLIM_INFINITY]
        resource.setrlimit(resource.RLIMIT_DATA, (min([wanted, *allowed]), hard))

    def _end(self) -> None:
        self._queries -= 1
        if not self._queries:
            resource.setrlimit(resource.RLIMIT_DATA, self._before)
            pa.set_memory_pool(self._pool)


_PROCESS = _Process()


def _data_bytes() -> int:
    """The bytes of this process that count towards `RLIMIT_DATA`."""
    return int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()


def _quoted(identifier: str) -> str:
    return '"' + identifier.replace('"', '""') + '"'


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
