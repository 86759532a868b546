"""A model registry without a server: MLflow's SQLite file, kept in a bucket with its artifacts beside it.

Each change is made on a copy, under a lease, and stored in place of the generation that was copied: a holder that was
killed leaves the registry as it was, and one that lost its lease meanwhile is refused. Artifacts have names of their
own, are never changed, and are stored before the file that names them.
"""

import shutil
import sqlite3
import tempfile
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any

from tickercast.backends.registry.mlflow import MlflowRegistry, log_failure
from tickercast.domain.cards.model_card import Bundle, RegisteredVersion
from tickercast.errors import BundleError, ObjectNotFound, PreconditionFailed, StoreUnavailable, UsageError
from tickercast.ports import ObjectStore, RunRecord, StudyLog

SCHEME = "bucket://"


class BucketRegistry:
    """The `ModelRegistry` and `StudyTracker` ports over one object; see `tickercast.ports`.

    Args:
        url: `bucket://NAME`, where NAME is the object that holds the SQLite file.
        store: the bucket.
        hold: takes the lease that a change needs.

    Raises:
        UsageError: the URL names no object.
    """

    def __init__(self, url: str, store: ObjectStore, hold: Callable[[], AbstractContextManager[object]]) -> None:
        self._name = url.removeprefix(SCHEME)
        if not url.startswith(SCHEME) or not self._name.endswith(".db") or self._name.startswith(("/", ".")):
            raise UsageError(
                f"MLFLOW_TRACKING_URI is {url[:80]!r}: bucket://FOLDER/NAME.db, a file in the bucket of the models, "
                "was needed. Correct it."
            )
        self._url, self._store, self._hold = url, store, hold
        self._folder = Path(tempfile.mkdtemp(prefix="tickercast-registry-"))
        self._close = weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        self._copies = 0
        self._held: MlflowRegistry | None = None
        self._copied: tuple[str, bytes, MlflowRegistry] | None = None

    @property
    def url(self) -> str:
        """The URL of the registry, as the user configured it."""
        return self._url

    def register(self, bundle: Bundle, record: RunRecord) -> Bundle:
        """Register a bundle as the next version of its name; see `ModelRegistry.register`."""
        with self._changed() as registry:
            return registry.register(bundle, record)

    def bundle(self, name: str, version: str) -> Bundle:
        """Read a registered version back, to the byte."""
        return self._current().bundle(name, version)

    def versions(
        self, name: str, *, on_failure: Callable[[str, BundleError], None] = log_failure
    ) -> Sequence[RegisteredVersion]:
        """All versions of a model that can be read, newest first; see `ModelRegistry.versions`."""
        return self._current().versions(name, on_failure=on_failure)

    def aliased(self, name: str, alias: str) -> str | None:
        """The version that an alias names, or None."""
        return self._current().aliased(name, alias)

    def set_alias(self, name: str, alias: str, version: str) -> None:
        """Point an alias at a version."""
        with self._changed() as registry:
            registry.set_alias(name, alias, version)

    def newest(self, name: str) -> int:
        """The greatest number that a version has or that is left out; see `ModelRegistry.newest`."""
        return self._current().newest(name)

    def number_after(self, name: str, number: int) -> None:
        """Leave out all numbers up to one; see `ModelRegistry.number_after`."""
        with self._changed() as registry:
            registry.number_after(name, number)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the registry; see `ModelRegistry.alone`."""
        with self._changed():
            yield

    @contextmanager
    def study(self, name: str, record: RunRecord) -> Iterator[StudyLog]:
        """Open the run of a study and hold the registry meanwhile; see `StudyTracker.study`."""
        with self._changed() as registry, registry.study(name, record) as log:
            yield log

    @contextmanager
    def _changed(self) -> Iterator[MlflowRegistry]:
        """Hold the registry, and store what the block has changed, even if it raises: MLflow keeps failed runs too."""
        if self._held is not None:
            yield self._held
            return
        with self._hold():
            self._held = registry = self._current()
            assert self._copied is not None
            generation, before, _ = self._copied
            self._copied = None
            try:
                yield registry
            finally:
                self._held = None
                after = _content(self._file())
                if after != before:
                    generation = self._replace(after, generation)
                self._copied = generation, after, registry

    def _replace(self, content: bytes, generation: str) -> str:
        try:
            return self._store.write(self._name, content, if_generation=generation)
        except PreconditionFailed as error:
            raise StoreUnavailable(
                f"{self._name} in {self._store.url} was changed by another run, which took over the lease. Try again."
            ) from error

    def _current(self) -> MlflowRegistry:
        """MLflow over a copy of the live generation, or over the one that is being changed."""
        if self._held is not None:
            return self._held
        _serve_artifacts(self._store)
        live = self._store.generation(self._name)
        if self._copied is None or self._copied[0] != live:
            self._copied = self._copy(live)
        return self._copied[2]

    def _copy(self, generation: str) -> tuple[str, bytes, MlflowRegistry]:
        """Copy into a new folder: MLflow keeps connections to a file that it has opened."""
        shutil.rmtree(self._file().parent, ignore_errors=True)
        self._copies += 1
        file = self._file()
        file.parent.mkdir()
        content = b""
        if generation:
            try:
                content = self._store.read(self._name, generation=generation)
            except ObjectNotFound as error:
                raise StoreUnavailable(f"{self._name} in {self._store.url} was just replaced. Try again.") from error
            file.write_bytes(content)
        artifacts = f"{SCHEME}{Path(self._name).parent / 'mlartifacts'}"
        return generation, content, MlflowRegistry(f"sqlite:///{file}", artifacts=artifacts)

    def _file(self) -> Path:
        return self._folder / str(self._copies) / "mlflow.db"


def _content(file: Path) -> bytes:
    """The SQLite file as of its last finished transaction."""
    with closing(sqlite3.connect(file)) as database:
        return database.serialize()


def _serve_artifacts(store: ObjectStore) -> None:
    """Let MLflow keep artifacts in the bucket, whatever kind of bucket it is."""
    from mlflow.entities import FileInfo
    from mlflow.store.artifact.artifact_repo import ArtifactRepository
    from mlflow.store.artifact.artifact_repository_registry import _artifact_repository_registry

    class Artifacts(ArtifactRepository):
        """The artifacts under one address."""

        def log_artifact(self, local_file: str, artifact_path: str | None = None) -> None:
            name = self._named(artifact_path, Path(local_file).name)
            store.write(name, Path(local_file).read_bytes())

        def log_artifacts(self, local_dir: str, artifact_path: str | None = None) -> None:
            folder = Path(local_dir)
            for file in sorted(path for path in folder.rglob("*") if path.is_file()):
                within = file.parent.relative_to(folder)
                self.log_artifact(str(file), str(Path(artifact_path or "") / within))

        def list_artifacts(self, path: str | None = None) -> list[Any]:
            folder = self._named(path)
            children: dict[str, bool] = {}
            for name in store.names(f"{folder}/"):
                child, below, _ = name.removeprefix(f"{folder}/").partition("/")
                children[child] = bool(below)
            below_root = Path(path or "")
            return [FileInfo(str(below_root / child), is_dir, None) for child, is_dir in sorted(children.items())]

        def _download_file(self, remote_file_path: str, local_path: str) -> None:
            Path(local_path).write_bytes(store.read(self._named(remote_file_path)))

        def _named(self, *parts: str | None) -> str:
            root = str(self.artifact_uri).removeprefix(SCHEME)
            return str(Path(root, *(part for part in parts if part)))

    register: Any = _artifact_repository_registry.register
    register(SCHEME.removesuffix("://"), Artifacts)
