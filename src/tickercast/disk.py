"""Files that are written whole or not at all, and faults of disks and folders, the same under every engine."""

import errno
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tickercast.errors import EngineUnusable, TickercastError

_FULL = (errno.ENOSPC, errno.EDQUOT)
_CLOSED = (errno.EACCES, errno.EPERM)
_LEAST = 1 << 20  # bytes; a disk with fewer is full: a file or a transaction of a day takes about as many
_EFFECTIVE = os.access in os.supports_effective_ids
_STANDARD_STREAMS = (1, 2)


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Write a file elsewhere first: it becomes `path` at the end of the block, and an error leaves what was there.

    A link stays one, and a file keeps its group and permissions. A file that must not be replaced is overwritten, and
    gets its old content back if that fails: one with other names, of another user or of a group that this user may not
    give, one in a folder that is closed to this user, and the one that this process prints into.

    Args:
        path: the file; its folder has to exist.

    Yields:
        Where to write it.

    Raises:
        OSError: it cannot be written.
    """
    path = Path(os.path.realpath(path))  # a loop of links fails when it is opened, as an OSError
    exists = path.exists()
    if exists:
        path.open("r+b").close()  # a new file must not take the place of one that is closed to this user
    replaces = not exists or _may_be_replaced(path)
    with _folder(path.parent if replaces else None) as folder:
        part = Path(folder) / "part"
        yield part
        with part.open("rb") as file:
            os.fsync(file.fileno())
        if replaces and (not exists or _made_alike(part, path)):
            part.replace(path)
            return
        kept = Path(shutil.copyfile(path, part.with_name("kept")))
        try:
            _overwrite(path, part)
        except OSError:
            _overwrite(path, kept)
            raise


def write(path: Path, content: bytes) -> None:
    """Write a file whole or not at all; see `whole`.

    Raises:
        OSError: it cannot be written.
    """
    with whole(path) as part:
        part.write_bytes(content)


def _folder(parent: Path | None) -> tempfile.TemporaryDirectory[str]:
    """A folder for the time of a write; None: where the system keeps such."""
    try:
        return tempfile.TemporaryDirectory(prefix=".tickercast-", dir=parent)
    except OSError as error:
        error.filename = str(parent or tempfile.gettempdir())  # it names a folder that never was
        raise


def _may_be_replaced(path: Path) -> bool:
    found = path.stat()
    for stream in _STANDARD_STREAMS:
        with suppress(OSError):  # it is closed
            if os.path.samestat(found, os.fstat(stream)):
                return False
    return (
        found.st_nlink == 1
        and found.st_uid == os.geteuid()
        and os.access(path.parent, os.W_OK | os.X_OK, effective_ids=_EFFECTIVE)
    )


def _made_alike(part: Path, path: Path) -> bool:
    """Give a file the group and permissions of another; false where this user may not."""
    found = path.stat()
    if part.stat().st_gid != found.st_gid:
        try:
            os.chown(part, -1, found.st_gid)
        except OSError:
            return False
    part.chmod(stat.S_IMODE(found.st_mode))
    return True


def _overwrite(path: Path, source: Path) -> None:
    """Give a file the content of another without cutting it first: the blocks that it has are kept for its own."""
    with source.open("rb") as new, path.open("r+b") as file:
        shutil.copyfileobj(new, file)
        file.truncate()


def fault(what: str, error: OSError, otherwise: type[TickercastError]) -> TickercastError:
    """The error for a file that cannot be read or written.

    Args:
        what: the file, folder or engine that was wanted.
        error: the error of the operating system.
        otherwise: the kind of error if nothing is known that would have to be changed.

    Returns:
        `EngineUnusable` for a state that does not pass by itself.
    """
    where = f" ({error.filename})" if error.filename and str(error.filename) not in what else ""
    if error.errno in _FULL:
        return EngineUnusable(full(what))
    if error.errno in _CLOSED:
        return EngineUnusable(closed(f"{what}{where}"))
    if error.errno == errno.EROFS:
        return EngineUnusable(
            f"{what} cannot be written{where}: its file system is read-only. Mount it for writing, or name another."
        )
    if error.errno in (errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP):
        return EngineUnusable(f"{what} cannot be used{where}: {reason(error)}. Name another place.")
    return otherwise(f"{what} cannot be used{where}: {reason(error)}. Check the folder and the disk, then try again.")


def check_writable(what: str, *paths: Path) -> None:
    """Check, without writing, that this user may write files and folders, or make those that are missing.

    Raises:
        EngineUnusable: one of them, or the folder in which it would be made, is closed, read-only, or on a full disk.
    """
    for path in paths:
        there = next(each for each in (path, *path.parents) if os.access(each, os.F_OK, effective_ids=_EFFECTIVE))
        is_folder = there.is_dir()
        if not is_folder and there != path:
            raise fault(what, NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(there)), EngineUnusable)
        wanted = os.R_OK | os.W_OK | (os.X_OK if is_folder else 0)
        if not os.access(there, wanted, effective_ids=_EFFECTIVE):
            number = errno.EROFS if os.statvfs(there).f_flag & os.ST_RDONLY else errno.EACCES
            raise fault(what, OSError(number, os.strerror(number), str(there)), EngineUnusable)
        space = os.statvfs(there)
        if space.f_blocks and space.f_bavail * space.f_frsize < _LEAST:
            raise EngineUnusable(full(what))


def full(what: str) -> str:
    """The sentence on a full disk."""
    return (
        f"{what} cannot be written: the disk is full, or the quota is used up. Free space, then run the same command "
        "again: what was stored before is kept."
    )


def closed(what: str) -> str:
    """The sentence on missing rights."""
    return f"{what} is closed to this user: permission denied. Grant the right to read and write it, or name another."


def reason(error: OSError) -> str:
    """The reason of the operating system, in its own words; never empty."""
    return error.strerror or " ".join(str(error).split())[:200] or type(error).__name__
