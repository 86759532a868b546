"""The files that commands write: refused before the work, if they could not be written after it."""

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tickercast import disk
from tickercast.errors import UsageError

PAGE, PICTURE, TABLE, PARQUET = (".html", ".htm"), (".png",), (".csv",), (".parquet", ".pq")
"""The endings of files' names, by content."""


def check_file(option: str, name: str, endings: Sequence[str] = (), *, makes_folder: bool = False) -> None:
    """Refuse a file that could not be written; it is tried, and all is left as it was.

    Args:
        option: the option that names the file.
        name: the file; none is asked for where it is empty.
        endings: the permitted endings of its name; any if there are none.
        makes_folder: whether its folder will be made if there is none.

    Raises:
        UsageError: the name has none of the endings, there is no such folder, or something that is not a file is in the
            way.
        EngineUnusable: the system refuses to write it.
    """
    if not name:
        return
    path = Path(name).expanduser()
    try:
        path = _place(path)
        if not makes_folder and not path.parent.is_dir():
            raise UsageError(f"{option} {path}: there is no folder {path.parent}. Create it, or name another.")
        exists = path.exists()
        if exists and not path.is_file():
            raise UsageError(f"{option} {path} exists and is not a file, and a file was needed. Name another.")
    except OSError as error:
        raise UsageError(f"{option} {str(path)[:80]!r} cannot be a file: {error.strerror}. Name another.") from error
    if endings and Path(name).suffix.lower() not in endings:
        raise UsageError(
            f"{option} {name[:80]!r} does not end in {' or '.join(endings)}, which is what is written. Name it "
            f"NAME{endings[0]}."
        )
    try:
        with _for_now(path.parent):
            path.open("ab").close()
            if not exists:
                path.unlink()
    except OSError as error:
        raise disk.fault(f"{option} {path}", error, UsageError) from error


def check_folder(option: str, name: str) -> None:
    """Refuse a folder in which no file could be written; it is tried, and all is left as it was.

    Args:
        option: the option that names the folder.
        name: the folder; none is asked for where it is empty.

    Raises:
        UsageError, EngineUnusable: it cannot be made, or the system refuses to write in it.
    """
    if not name:
        return
    path = Path(name).expanduser()
    try:
        with _for_now(path):
            tempfile.TemporaryFile(dir=path).close()
    except OSError as error:
        raise disk.fault(f"{option} {path}", error, UsageError) from error


def write_file(name: str | Path, content: bytes) -> Path:
    """Write a file whole or not at all, make its folder if there is none, and return its path.

    Raises:
        UsageError, EngineUnusable: it cannot be written.
    """
    path = Path(name).expanduser()
    try:
        path = _place(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        disk.write(path, content)
    except OSError as error:
        raise disk.fault(str(path), error, UsageError) from error
    return path


def _place(path: Path) -> Path:
    """The place of a file: a link leads to it."""
    leads_on = path.is_symlink() and (path.is_file() or not path.exists())  # not to a pipe, which has no name
    return Path(os.path.realpath(path)) if leads_on else path


@contextmanager
def _for_now(folder: Path) -> Iterator[None]:
    """Make a folder for as long as the block takes, unless it is there."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    made: list[Path] = []
    try:
        for each in reversed(missing):
            each.mkdir()
            made.append(each)
        yield
    finally:
        for each in reversed(made):
            each.rmdir()
