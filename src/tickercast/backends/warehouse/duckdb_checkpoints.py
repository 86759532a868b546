"""Checkpoints of a DuckDB file that a kill cannot damage.

A checkpoint moves what was appended from the log beside the file into the file, and rewrites the blocks of metadata in
place: killed in that moment, it leaves a file that does not open. So nothing is moved until the log is long, and then
only while a copy of these blocks and of the log is kept, from which the next writer restores them. Rows that would make
the log long go straight into the file: their transaction's commit is a checkpoint, which writes them once, not twice.
"""

import logging
import os
import shutil
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import duckdb

log = logging.getLogger(__name__)

SETTINGS: dict[str, str | int | float | list[str]] = {
    "checkpoint_on_detach": "DISABLED",
    "wal_autocheckpoint": "1TB",
    "auto_checkpoint_skip_wal_threshold": 0,
    "max_vacuum_tasks": 0,
    "write_buffer_row_group_count": 1,
}
"""The engine's settings that leave it to us when a checkpoint is made."""

LONGEST_LOG = 1 << 18
"""Bytes: whoever opens the file replays the log, which takes 20 ms a megabyte."""

_HEADERS = "headers"
_HEADER_BYTES = 3 * 4096
"""The main header, and two that name the blocks of metadata; of these the one with the higher iteration counts."""


class Checkpoints:
    """The checkpoints of one file, for the only process that writes it.

    Args:
        path: the file; its log and the copies are beside it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.log = path.with_name(f"{path.name}.wal")
        self.kept = path.with_name(f"{path.name}.kept")

    def make(self, connection: duckdb.DuckDBPyConnection, *, even_if_short: bool = False) -> bool:
        """Move the log into the file if it is long.

        Args:
            connection: a connection to the file, attached for writing as `warehouse`, with nothing uncommitted.
            even_if_short: move it in any case.

        Returns:
            Whether the log is short now; it grows on where there is no space for the copy.
        """
        if self._log_bytes() <= (0 if even_if_short else LONGEST_LOG):
            return True
        if not self._kept(connection):
            return False
        connection.execute("CHECKPOINT warehouse")
        self._forget()
        return True

    def commit(self, connection: duckdb.DuckDBPyConnection, size: int) -> None:
        """Commit a transaction: to the log, or straight into the file if the log would become long.

        Args:
            connection: a connection to the file, attached for writing as `warehouse`, with the transaction; no other is
                open.
            size: the number of bytes that the transaction appends, about.
        """
        with connection.cursor() as beside:
            if self._log_bytes() + size <= LONGEST_LOG or not self._kept(beside):
                connection.commit()
                return
            beside.execute("SET GLOBAL wal_autocheckpoint = '0B'")
            connection.commit()
            beside.execute(f"SET GLOBAL wal_autocheckpoint = '{SETTINGS['wal_autocheckpoint']}'")
        self._forget()

    def _log_bytes(self) -> int:
        return self.log.stat().st_size if self.log.exists() else 0

    def _kept(self, connection: duckdb.DuckDBPyConnection) -> bool:
        """Keep a copy of what a checkpoint rewrites; false if there is no space for it."""
        rows = connection.execute("SELECT DISTINCT block_id FROM pragma_metadata_info('warehouse')").fetchall()
        try:
            self._keep([block for (block,) in rows])
        except OSError as error:
            log.warning("%s is left with a long log: %s", self._path, error.strerror)
            return False
        return True

    def restore(self) -> None:
        """Undo a checkpoint that was interrupted; one that has written its header is whole, and a lost file is left.

        Raises:
            OSError: the file cannot be written.
        """
        if not (self.kept.exists() and is_made(self._path)):
            return
        headers = (self.kept / _HEADERS).read_bytes()
        if self._at(_iteration(headers)):
            with self._path.open("r+b") as file:
                for block in self.kept.glob("*.block"):
                    file.seek(len(headers) + int(block.stem) * _block_bytes(headers))
                    file.write(block.read_bytes())
                file.flush()
                os.fsync(file.fileno())
            with suppress(FileNotFoundError):  # it is back already
                (self.kept / self.log.name).replace(self.log)  # a full disk has no room for a copy
        self._forget()

    def _at(self, iteration: int) -> bool:
        with self._path.open("rb") as file:
            return _iteration(file.read(_HEADER_BYTES)) == iteration

    def _keep(self, blocks: Iterable[int]) -> None:
        copy = self.kept.with_name(f"{self.kept.name}.part")
        shutil.rmtree(copy, ignore_errors=True)
        try:
            copy.mkdir()
            file = engines_descriptor(self._path)
            headers = os.pread(file, _HEADER_BYTES, 0)
            (copy / _HEADERS).write_bytes(headers)
            size = _block_bytes(headers)
            for block in blocks:
                (copy / f"{block}.block").write_bytes(os.pread(file, size, _HEADER_BYTES + block * size))
            if self.log.exists():
                shutil.copyfile(self.log, copy / self.log.name)
            else:
                (copy / self.log.name).touch()  # a log without entries
            copy.rename(self.kept)
        except OSError:
            shutil.rmtree(copy, ignore_errors=True)
            raise

    def _forget(self) -> None:
        gone = self.kept.with_name(f"{self.kept.name}.gone")
        shutil.rmtree(gone, ignore_errors=True)
        self.kept.rename(gone)
        shutil.rmtree(gone)


def is_made(path: Path) -> bool:
    """Whether a file is there and holds anything: whoever was killed while it made one may have left it empty."""
    return path.exists() and not (path.is_file() and path.stat().st_size == 0)


@contextmanager
def whole(path: Path) -> Iterator[None]:
    """Leave no part of a file that the block makes, such as on a full disk: it would be taken for a damaged one.

    Raises:
        OSError: an empty file is there, and cannot be removed.
    """
    if is_made(path):
        yield
        return
    path.unlink(missing_ok=True)
    try:
        yield
    except duckdb.Error:
        with suppress(OSError):
            if path.stat().st_size < _HEADER_BYTES:
                path.unlink()
        raise


def engines_descriptor(path: Path) -> int:
    """The descriptor by which the engine holds the file: to close one of our own would give up the engine's lock.

    Raises:
        OSError: the engine of this process does not hold it.
    """
    held = path.stat()
    for number in Path("/dev/fd").iterdir():
        try:
            found = os.fstat(int(number.name))
        except OSError:  # the listing itself failed
            continue
        if (found.st_dev, found.st_ino) == (held.st_dev, held.st_ino):
            return int(number.name)
    raise OSError(0, "the engine does not hold it")


def _iteration(headers: bytes) -> int:
    iterations: list[int] = [struct.unpack_from("<Q", headers, start + 8)[0] for start in (4096, 8192)]
    return max(iterations)


def _block_bytes(headers: bytes) -> int:
    size: int = struct.unpack_from("<Q", headers, 4096 + 40)[0]
    return size
