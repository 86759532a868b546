"""The object store on a laptop: a folder that keeps generations and announces each finished write.

    {root}/ohlc/2023-07-22/MSFT.csv                            the live content, for people to look at
    {root}/.generations/ohlc/2023-07-22/MSFT.csv/{n}           every generation's content
    {root}/.generations/ohlc/2023-07-22/MSFT.csv/{n}.json      and its metadata: a StorageObjectData
    {root}/.generations/ohlc/2023-07-22/MSFT.csv/{n}.deleted   in place of both, after a delete

A generation exists once its whole content has been renamed into place, and is gone once its `.deleted` is there: a
process that is killed meanwhile leaves files that count no more, which a repeated delete removes. Its text is the
number of microseconds since 1970, as Cloud Storage's is, and numbers never repeat or decrease: the highest is kept,
also of a deleted generation. It has the modification time of the live content, by which a file that somebody has copied
over that is known.
"""

import base64
import contextlib
import hashlib
import itertools
import json
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from tickercast import disk
from tickercast.backends.object_store import names as object_names
from tickercast.config import private_folder
from tickercast.errors import (
    EngineUnusable,
    InvalidName,
    ObjectNotFound,
    PreconditionFailed,
    StoreUnavailable,
    UsageError,
)

GENERATIONS = ".generations"
"""The folder of all generations, below the bucket's."""

_DELETED = ".deleted"
_EPOCH = datetime.fromtimestamp(0, UTC)
_LOCK_PATIENCE_S = 30.0
_LONGEST_PART = 200
_SECOND_NS = 1_000_000_000


class LocalObjectStore:
    """The `ObjectStore` port over a folder; see `tickercast.ports`.

    Args:
        root: the folder; it is created on first use.
        announce: called with the StorageObjectData of each finished write; None: writes are not announced.
    """

    def __init__(self, root: Path, announce: Callable[[Mapping[str, Any]], None] | None = None) -> None:
        self._root = root
        self._announce = announce

    keeps_generations = True

    @property
    def url(self) -> str:
        """The URL of the bucket."""
        return f"file://{self._root}"

    @property
    def root(self) -> Path:
        """The folder."""
        return self._root

    @property
    def bucket(self) -> str:
        """The folder's own name."""
        return self._root.resolve().name

    def write(
        self, name: str, data: bytes, *, if_generation: str | None = None, metadata: Mapping[str, str] | None = None
    ) -> str:
        """Write a whole object, announce it, and return its generation; a write that fails leaves nothing of it."""
        live = self._live(name)
        with self._locked():
            self._check_generation(name, if_generation)
            self._check_free(live)
            resource = self._resource(name, data, metadata or {})
            written_ns = int(resource["generation"]) * 1000  # which no copy by hand has, however soon it follows
            with _beside(live, data) as copy, self._committed(resource, data, written_ns):
                os.utime(copy, ns=(written_ns, written_ns))
                copy.replace(live)
        if self._announce:
            self._announce(resource)
        return str(resource["generation"])

    def adopt(self, dropped: str, name: str, *, if_generation: str | None = None) -> str:
        """Make a file that was copied into the folder the newest generation of an object, and announce it.

        The file becomes the live content as it is: what is copied over it meanwhile stays there, to be adopted next.

        Args:
            dropped: the path of the file below the folder.
            name: the object, whose place the file takes.
            if_generation: as in `write`.

        Returns:
            The generation; empty where the file is gone, or has been adopted.

        Raises:
            PreconditionFailed: another generation is live, or another file that was copied is in that place.
            StoreUnavailable: try again.
        """
        file, live = self._live(dropped), self._live(name)
        with self._locked():
            if not _is_own_file(file) or self.holds(dropped):
                return ""
            self._check_generation(name, if_generation)
            self._check_free(live)
            if file != live:
                if live.exists() and not self.holds(name):
                    raise PreconditionFailed(
                        f"{live} was copied there too, and has not been sent. Send it first: tickercast replay {name}."
                    )
                private_folder(live.parent)
                shutil.move(file, live)
            with live.open("rb") as content:
                modified_ns, data = os.fstat(content.fileno()).st_mtime_ns, content.read()
            resource = self._resource(name, data, {})
            with self._committed(resource, data, modified_ns):
                pass
        if self._announce:
            self._announce(resource)
        return str(resource["generation"])

    def announce(self, name: str, *, generation: str) -> None:
        """Announce a generation of an object once more.

        Raises:
            ObjectNotFound: it is gone.
        """
        if self._announce:
            self._announce(self._described(name, generation))

    def holds(self, name: str) -> bool:
        """Whether the file in the place of an object is its newest generation, or one that a killed write left there.

        Raises:
            OSError: the folder cannot be read.
        """
        folder = self._root / GENERATIONS / name
        kept = [path for path in folder.glob("*") if path.name.isdigit() and _is_own_file(path)]
        return bool(kept) and _is_copy(self._root / name, sorted(kept, key=lambda path: int(path.name)))

    def read(self, name: str, *, generation: str | None = None) -> bytes:
        """Read an object, or an older generation of it."""
        wanted = self.generation(name) if generation is None else generation
        with self._translated():
            try:
                return self._inside(self._kept(name, wanted)).read_bytes()
            except FileNotFoundError as error:
                at = f" at generation {wanted}" if wanted else ""
                raise ObjectNotFound(f"{self.url} holds no {name}{at}. Send it again.") from error

    def generation(self, name: str) -> str:
        """The live generation of an object, empty where it does not exist."""
        listed = self._listed(name)
        highest = str(_highest(listed))
        return highest if highest in listed and f"{highest}{_DELETED}" not in listed else ""

    def written_at(self, name: str, *, generation: str) -> datetime:
        """The time at which a generation of an object was written, or the write that it repeats."""
        described = self._described(name, generation)
        return object_names.first_written(described["metadata"], datetime.fromisoformat(described["timeCreated"]))

    def names(self, prefix: str, *, limit: int | None = None) -> list[str]:
        """The names of the live objects that start with `prefix`, sorted; at most the first `limit`."""
        kept = self._root / GENERATIONS
        with self._translated():
            if kept.exists():
                next(kept.iterdir(), None)  # fails if unreadable, where rglob would skip it
            numbered = [path for path in kept.rglob("*") if path.name.isdigit() and _is_own_file(path)]
        written = {path.parent.relative_to(kept).as_posix() for path in numbered}
        found = (name for name in sorted(written) if name.startswith(prefix) and self._is_live(name))
        return list(itertools.islice(found, limit))

    def generations(self, prefix: str) -> dict[str, str]:
        """The live generations of the live objects that start with `prefix`, by name."""
        found = ((name, self.generation(name)) for name in self.names(prefix))
        return {name: generation for name, generation in found if generation}  # others were deleted in between

    def times(self, prefix: str) -> dict[str, datetime]:
        """The write times of the live objects that start with `prefix`, by name."""
        found = {}
        for name in self.names(prefix):
            with contextlib.suppress(ObjectNotFound):  # deleted in between
                found[name] = self.written_at(name, generation=self.generation(name))
        return found

    def copy(self, name: str, to: str, *, generation: str) -> str:
        """Copy a generation of an object inside the folder."""
        data = self.read(name, generation=generation)
        current = self.generation(to)
        if current and self.read(to, generation=current) == data:
            return current
        try:
            return self.write(to, data, if_generation=current)
        except PreconditionFailed:  # another writer came first, perhaps with the same content
            return self.copy(name, to, generation=generation)

    def delete(self, name: str, *, generation: str) -> None:
        """Delete a generation of an object; of one that is gone, remove what an interrupted delete has left."""
        content = self._numbered(name, generation)
        with self._locked():
            if not content.is_file():
                return
            _replace(self._numbered(name, generation, _DELETED), b"")
            if int(generation) == _highest(self._listed(name)):
                self._live(name).unlink(missing_ok=True)
            self._numbered(name, generation, ".json").unlink(missing_ok=True)
            content.unlink()  # last: by it the live copy is known
            self._forget_deleted(name)

    def _forget_deleted(self, name: str) -> None:
        """Remove the marks of deleted generations of which nothing is left, but for that of the highest number."""
        listed = self._listed(name)
        newest = str(_highest(listed))
        for number in {each.removesuffix(_DELETED) for each in listed if each.endswith(_DELETED)} - listed - {newest}:
            self._numbered(name, number, _DELETED).unlink(missing_ok=True)

    def _is_live(self, name: str) -> bool:
        """Whether a name is a live object's; a link in its place, which `Drops.links` names, is none."""
        try:
            return bool(self.generation(name))
        except UsageError:
            return False

    def _listed(self, name: str) -> set[str]:
        folder = self._folder(name)
        with self._translated():
            # A folder may be named like a number too: models/tickercast-lstm/1.
            return {path.name for path in folder.iterdir() if _is_own_file(path)} if folder.is_dir() else set()

    def _check_generation(self, name: str, wanted: str | None) -> None:
        current = self.generation(name)
        if wanted not in (None, current):
            raise PreconditionFailed(f"{name} is at generation {current or None}, and {wanted or None} was expected.")

    @contextlib.contextmanager
    def _committed(self, resource: Mapping[str, Any], data: bytes, modified_ns: int) -> Iterator[None]:
        """Store a generation, and take it back if the rest of its write fails.

        Args:
            resource: its description.
            data: its content.
            modified_ns: the modification time of the live content, in nanoseconds since 1970.
        """
        name, generation = resource["name"], resource["generation"]
        content, described = self._numbered(name, generation), self._numbered(name, generation, ".json")
        try:
            _replace(described, json.dumps(resource).encode())
            _replace(content, data)
            os.utime(content, ns=(modified_ns, modified_ns))
            yield
        except BaseException:
            content.unlink(missing_ok=True)
            described.unlink(missing_ok=True)
            raise

    def _check_free(self, live: Path) -> None:
        """Check that nothing lies where the live content and the folders above it belong.

        Raises:
            EngineUnusable: a folder is in its place, or a file in that of a folder.
        """
        advice = "Move it away, then run the same command again."
        if live.is_dir():
            raise EngineUnusable(f"{live} is a folder: a file was needed. {advice}")
        name = live.relative_to(self._root)
        for folder in (self._root / above for above in name.parents):
            if folder.is_file():
                raise EngineUnusable(f"{folder} is a file: a folder was needed for {name}. {advice}")

    def _described(self, name: str, generation: str) -> dict[str, Any]:
        with self._translated():
            try:
                described: dict[str, Any] = json.loads(self._kept(name, generation, ".json").read_bytes())
                return described
            except FileNotFoundError as error:
                raise ObjectNotFound(
                    f"{self.url} holds no {name} at generation {generation}. Send it again."
                ) from error

    def _resource(self, name: str, data: bytes, metadata: Mapping[str, str]) -> dict[str, Any]:
        generation = str(max(time.time_ns() // 1000, _highest(self._listed(name)) + 1))
        bucket, written = self.bucket, (_EPOCH + timedelta(microseconds=int(generation))).isoformat()
        return {
            "kind": "storage#object",
            "id": f"{bucket}/{name}/{generation}",
            "bucket": bucket,
            "name": name,
            "generation": generation,
            "metageneration": "1",
            "contentType": object_names.content_type(name),
            "size": str(len(data)),
            "md5Hash": base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode(),
            "timeCreated": written,
            "updated": written,
            "metadata": dict(metadata),
        }

    def _live(self, name: str) -> Path:
        object_names.check_name(name)
        if any(len(part.encode()) > _LONGEST_PART for part in name.split("/")):
            raise InvalidName(
                f"{name[:60]!r}… is too long for a file's name: at most {_LONGEST_PART} bytes were needed."
            )
        return self._inside(self._root / name)

    def _folder(self, name: str) -> Path:
        self._live(name)
        return self._inside(self._root / GENERATIONS / name)

    def _numbered(self, name: str, generation: str, ending: str = "") -> Path:
        """The file of a generation; a text that is no number names one that is not there."""
        return self._folder(name) / f"{generation if generation.isdecimal() else 0}{ending}"

    def _kept(self, name: str, generation: str, ending: str = "") -> Path:
        """The file of a generation that was not deleted.

        Raises:
            FileNotFoundError: it was deleted.
        """
        if self._numbered(name, generation, _DELETED).exists():
            raise FileNotFoundError(generation)
        return self._numbered(name, generation, ending)

    def _inside(self, path: Path) -> Path:
        """The path, unless a link on its way leads elsewhere."""
        for part in (path, *path.parents):
            if part == self._root:
                return path
            if part.is_symlink():
                raise UsageError(refusal_of_link(part))
        return path

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        with self._translated():
            private_folder(self._root)
            try:
                with FileLock(self._root / ".lock", timeout=_LOCK_PATIENCE_S, mode=0o600):
                    yield
            except Timeout as error:
                raise StoreUnavailable(
                    f"{self.url} has been locked for {_LOCK_PATIENCE_S:.0f} s. Try again."
                ) from error

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            check_root(self._root)
            yield
        except OSError as error:
            raise disk.fault(self.url, error, StoreUnavailable) from error


def check_root(root: Path) -> None:
    """Check that a bucket's folder is one, if it is there.

    Raises:
        EngineUnusable: the path is a file.
        OSError: the path cannot be looked at.
    """
    try:
        found = root.stat()
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(found.st_mode):
        raise EngineUnusable(
            f"{root} is a file: a folder was needed. Move it away, or set TICKERCAST_BUCKET to another."
        )


def refusal_of_link(path: Path) -> str:
    """The reason why a link is not followed."""
    return (
        f"{path} is a link, and the folder of a bucket holds files and folders alone: what it leads to may lie "
        "outside. Remove the link."
    )


def _is_own_file(path: Path) -> bool:
    """Whether it is a file of the folder's own, and no link to one that may lie outside."""
    return path.is_file() and not path.is_symlink()


def _is_copy(live: Path, kept: Sequence[Path]) -> bool:
    """Whether a file is the copy of the last of some generations, or of an older one and untouched since the last.

    Where only the contents show it, the generation gets the file's time, which spares the next look to read them.
    """
    *older, newest = kept
    try:
        mine, last = live.stat(), newest.stat()
        if _is_same(mine, last):
            return True
        if mine.st_size == last.st_size and live.read_bytes() == newest.read_bytes():
            with contextlib.suppress(OSError):  # a bucket that may only be read is compared anew each time
                os.utime(newest, ns=(mine.st_mtime_ns, mine.st_mtime_ns))
            return True
        return mine.st_ctime_ns <= last.st_ctime_ns and any(_is_same(mine, path.stat()) for path in older)
    except FileNotFoundError:  # it has been replaced meanwhile
        return True
    except OSError:
        return False


def _is_same(one: os.stat_result, other: os.stat_result) -> bool:
    """Whether size and time prove that two contents are one: whole seconds, which archives have, prove nothing."""
    known = one.st_mtime_ns % _SECOND_NS != 0
    return known and (one.st_size, one.st_mtime_ns) == (other.st_size, other.st_mtime_ns)


def _highest(listed: Iterable[str]) -> int:
    """The highest generation number given so far, deleted ones included."""
    numbers = (name.removesuffix(_DELETED) for name in listed)
    return max((int(number) for number in numbers if number.isdigit()), default=0)


def _replace(path: Path, data: bytes) -> None:
    """Write a file atomically: it holds the old content or the new, never a part."""
    with _beside(path, data) as written:
        written.replace(path)


@contextlib.contextmanager
def _beside(path: Path, data: bytes) -> Iterator[Path]:
    """A temporary file with some content in the folder of a path, which it is to replace; at the end it is gone."""
    private_folder(path.parent)
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".")
    except OSError as error:
        error.filename = str(path.parent)  # it names a file that never was
        raise
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        yield Path(temporary)
    finally:
        Path(temporary).unlink(missing_ok=True)
