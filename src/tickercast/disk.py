"""Faults of disks and folders, which are the same under every engine that keeps files."""

import errno
import os
from pathlib import Path

from tickercast.errors import EngineUnusable, TickercastError

_FULL = (errno.ENOSPC, errno.EDQUOT)
_CLOSED = (errno.EACCES, errno.EPERM)
_EFFECTIVE = os.access in os.supports_effective_ids


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
        EngineUnusable: one of them, or the folder in which it would be made, is closed or read-only.
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
