"""Files that people copy into the folder of a local bucket by hand: no event follows them, so they are found here."""

import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tickercast import disk
from tickercast.backends.object_store.local import GENERATIONS, check_root, refusal_of_link
from tickercast.domain import objects
from tickercast.domain.files.price_files import ENDINGS
from tickercast.errors import StoreUnavailable, UsageError

_OWN = frozenset({"models", "quarantine", "reports", "access", "locks"})
_QUIET_S = 0.2  # a file that has not changed for so long has been copied whole
_LOOK_MS = 100
_SAME_WRITE_S = 5.0  # between a generation and the live copy of it


class Drops:
    """The files in a bucket's folder that were not written through the object store.

    Args:
        root: the folder.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def names(self) -> list[str]:
        """The files that were dropped and not sent yet, by their paths below the folder, sorted.

        Raises:
            StoreUnavailable: the folder cannot be read.
        """
        found = self._found(lambda path: path.is_file() and not path.is_symlink())
        return [name for name, path in found.items() if not self._is_written(name, path)]

    def links(self) -> dict[str, str]:
        """The links where dropped files would be, by their paths below the folder, and why they are not followed.

        Raises:
            StoreUnavailable: the folder cannot be read.
        """
        return {name: refusal_of_link(path) for name, path in self._found(Path.is_symlink).items()}

    def _found(self, wanted: Callable[[Path], bool]) -> dict[str, Path]:
        """The files and folders in the place for dropped files, by name, sorted."""
        try:
            check_root(self._root)
            paths = [path for path in self._root.rglob("*") if wanted(path)]
        except OSError as error:
            raise disk.fault(f"file://{self._root}", error, StoreUnavailable) from error
        named = {path.relative_to(self._root).as_posix(): path for path in sorted(paths)}
        return {name: path for name, path in named.items() if _may_be_dropped(name, is_folder=path.is_dir())}

    def read(self, name: str) -> bytes:
        """The content of a dropped file.

        Raises:
            UsageError: the file is gone, or cannot be read.
        """
        try:
            return (self._root / name).read_bytes()
        except OSError as error:
            raise UsageError(f"{self._root / name} cannot be read: {error.strerror}. Copy it again.") from error

    def remove(self, name: str) -> None:
        """Remove a dropped file whose content has been sent under another name."""
        (self._root / name).unlink(missing_ok=True)

    def wait(self) -> Iterator[list[str]]:
        """Yield the names of dropped files, those that are there already first, until Ctrl-C."""
        from watchfiles import watch

        logging.getLogger("watchfiles").setLevel(logging.ERROR)  # it would report Ctrl-C
        self.names()  # a folder that cannot be read is said first
        self._root.mkdir(parents=True, exist_ok=True)
        pending = True
        for changes in watch(
            self._root, debounce=_LOOK_MS, rust_timeout=_LOOK_MS, yield_on_timeout=True, raise_interrupt=False
        ):
            pending = pending or any(GENERATIONS not in Path(path).parts for _, path in changes)
            if pending:
                names = self.names()
                whole = [name for name in names if self._is_quiet(name)]
                pending = len(whole) < len(names)
                if whole:
                    yield whole

    def _is_quiet(self, name: str) -> bool:
        try:
            return time.time() - (self._root / name).stat().st_mtime > _QUIET_S
        except OSError:
            return False

    def _is_written(self, name: str, path: Path) -> bool:
        """Whether it was written through the object store."""
        kept = [file for file in (self._root / GENERATIONS / name).glob("*") if file.name.isdigit()]
        return any(_is_copy(path, file) for file in kept)


def _may_be_dropped(name: str, *, is_folder: bool) -> bool:
    parts = name.split("/")
    if parts[0] in _OWN or any(part.startswith(".") for part in parts):
        return False
    return is_folder or objects.is_upload(name) or name.lower().endswith(ENDINGS)


def _is_copy(live: Path, kept: Path) -> bool:
    """Whether a file is the live copy of a generation, perhaps of one that was replaced a moment ago."""
    try:
        mine, its = live.stat(), kept.stat()
        if mine.st_size != its.st_size:
            return False
        return abs(mine.st_mtime - its.st_mtime) < _SAME_WRITE_S or live.read_bytes() == kept.read_bytes()
    except OSError:  # it has been replaced meanwhile
        return True
