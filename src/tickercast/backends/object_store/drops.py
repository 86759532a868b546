"""Files that people copy into the folder of a local bucket by hand: no event follows them, so they are found here."""

import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tickercast import disk
from tickercast.backends.object_store.local import GENERATIONS, LocalObjectStore, check_root, refusal_of_link
from tickercast.domain import objects
from tickercast.domain.files.price_files import ENDINGS
from tickercast.errors import ObjectNotFound, StoreUnavailable, UsageError

_OWN = frozenset({"access", "alerts", "locks", "models", "quarantine", "reports"})
_QUIET_S = 0.2  # a file that has not changed for so long has been copied whole
_LOOK_MS = 100


class Drops:
    """The files in a bucket's folder that were not written through the object store.

    Args:
        store: the bucket.
    """

    def __init__(self, store: LocalObjectStore) -> None:
        self._store = store
        self._root = store.root

    def names(self) -> list[str]:
        """The files that were dropped and not sent yet, by their paths below the folder, sorted.

        Raises:
            StoreUnavailable: the folder cannot be read.
        """
        found = self._found(lambda path: path.is_file() and not path.is_symlink())
        return [name for name in found if not self._store.holds(name)]

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
            ObjectNotFound: the file is gone.
            UsageError: it cannot be read.
        """
        file = self._root / name
        try:
            return file.read_bytes()
        except FileNotFoundError as error:
            raise ObjectNotFound(f"{file} is gone. Copy it there again.") from error
        except OSError as error:
            raise disk.fault(str(file), error, UsageError) from error

    def state(self, name: str) -> tuple[int, ...]:
        """The size of a dropped file and the times of its last changes, in nanoseconds; empty where it is gone."""
        try:
            found = (self._root / name).stat()
        except OSError:
            return ()
        return found.st_size, found.st_mtime_ns, found.st_ctime_ns

    def adopt(self, name: str, to: str, *, if_generation: str | None = None) -> str:
        """Make a dropped file the newest generation of an object; see `LocalObjectStore.adopt`."""
        return self._store.adopt(name, to, if_generation=if_generation)

    def announce(self, name: str, *, generation: str) -> None:
        """Announce a generation of an object once more; see `LocalObjectStore.announce`."""
        self._store.announce(name, generation=generation)

    def wait(self) -> Iterator[list[str]]:
        """Yield the names of dropped files at each look, those that are there already first, until Ctrl-C."""
        from watchfiles import watch

        logging.getLogger("watchfiles").setLevel(logging.ERROR)  # it would report Ctrl-C
        self.names()  # a folder that cannot be read is said first
        self._root.mkdir(parents=True, exist_ok=True)
        pending = True
        for changes in watch(
            self._root, debounce=_LOOK_MS, rust_timeout=_LOOK_MS, yield_on_timeout=True, raise_interrupt=False
        ):
            pending = pending or any(GENERATIONS not in Path(path).parts for _, path in changes)
            names = self.names() if pending else []
            whole = [name for name in names if self._is_quiet(name)]
            pending = len(whole) < len(names)
            yield whole

    def _is_quiet(self, name: str) -> bool:
        try:
            age_s = time.time() - (self._root / name).stat().st_mtime
            return not 0 <= age_s <= _QUIET_S  # a time to come was given to a file that is whole
        except OSError:
            return False


def _may_be_dropped(name: str, *, is_folder: bool) -> bool:
    parts = name.split("/")
    if parts[0] in _OWN or any(part.startswith(".") for part in parts):
        return False
    return is_folder or objects.is_upload(name) or name.lower().endswith(ENDINGS)
