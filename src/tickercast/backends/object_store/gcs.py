"""The object store on Google Cloud: one Cloud Storage bucket.

The bucket's own trigger announces each finished write, so every generation is an event, and a repeated request must
not create a second one. Each write therefore names the generation that it replaces, at first none. Cloud Storage
refuses a repetition of a write that it has done, and the refused writer recognises the live generation as its own.

Limits, from Google's documentation: one name takes one write a second; beyond that Cloud Storage answers 429, which is
retried here. A replaced generation can be read as long as the bucket's versioning keeps it.
"""

import functools
import itertools
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any

from google.auth.credentials import AnonymousCredentials
from google.cloud import storage
from google.cloud.storage.retry import DEFAULT_RETRY

from tickercast import logs
from tickercast.backends.object_store import names as object_names
from tickercast.backends.object_store.gcs_errors import translated
from tickercast.errors import ObjectNotFound, PreconditionFailed, StoreUnavailable

_WRITE_ID = "tickercast-write"
"""The metadata key of a write's id: after a lost answer, the writer recognises the generation as its own."""

_DIGITS = 20  # more digits than any generation has
_ATTEMPTS = 20
"""The times that other writers may come first before an unconditional write gives up."""


class GcsObjectStore:
    """The `ObjectStore` port over a Cloud Storage bucket; see `tickercast.ports`.

    Args:
        bucket: the bucket's name; it has to exist.
        emulator: the URL of a Cloud Storage emulator, called without credentials; empty: Cloud Storage itself.
        patience_s: the time limit of a request, and of its retries.
    """

    def __init__(self, bucket: str, *, emulator: str = "", patience_s: float = 60.0) -> None:
        self._name = bucket
        self._emulator = emulator
        self._patience: dict[str, Any] = {"retry": DEFAULT_RETRY.with_timeout(patience_s), "timeout": patience_s}

    keeps_generations = False  # unless somebody has switched versions on

    @property
    def url(self) -> str:
        """The URL of the bucket."""
        return f"gs://{self._name}"

    @property
    def bucket(self) -> str:
        """The bucket's name."""
        return self._name

    def write(
        self, name: str, data: bytes, *, if_generation: str | None = None, metadata: Mapping[str, str] | None = None
    ) -> str:
        """Write a whole object and return its generation; the bucket announces it."""
        write_id = uuid.uuid4().hex

        def upload(replaced: int) -> storage.Blob:
            blob = self._blob(name)
            blob.metadata = {**(metadata or {}), _WRITE_ID: write_id}
            blob.upload_from_string(
                data,
                content_type=object_names.content_type(name),
                if_generation_match=replaced,
                checksum="crc32c",
                **self._patience,
            )
            return blob

        return self._write_once(
            name, upload, lambda live: (live.metadata or {}).get(_WRITE_ID) == write_id, if_generation
        )

    def read(self, name: str, *, generation: str | None = None) -> bytes:
        """Read an object, or an older generation of it."""
        with self._asking(name, generation):
            content: bytes = self._blob(name, generation).download_as_bytes(
                raw_download=True, checksum="crc32c", **self._patience
            )
            return content

    def generation(self, name: str) -> str:
        """The live generation of an object, empty where it does not exist."""
        return _generation(self._live(name))

    def written_at(self, name: str, *, generation: str) -> datetime:
        """The time at which a generation of an object was written, or the write that it repeats."""
        blob = self._stat(name, generation)
        return object_names.first_written(blob.metadata or {}, blob.time_created)

    def names(self, prefix: str, *, limit: int | None = None) -> list[str]:
        """The names of the live objects that start with `prefix`, sorted; at most the first `limit`."""
        return sorted(blob.name for blob in self._listed(prefix, "name", limit))

    def generations(self, prefix: str) -> dict[str, str]:
        """The live generations of the live objects that start with `prefix`, by name."""
        return {blob.name: _generation(blob) for blob in self._listed(prefix, "name,generation")}

    def times(self, prefix: str) -> dict[str, datetime]:
        """The write times of the live objects that start with `prefix`, by name."""
        return {blob.name: blob.time_created for blob in self._listed(prefix, "name,timeCreated")}

    def _listed(self, prefix: str, fields: str, limit: int | None = None) -> list[storage.Blob]:
        wanted: dict[str, Any] = {"prefix": prefix, "fields": f"items({fields}),nextPageToken", "max_results": limit}
        with self._asking(f"{prefix}*"):
            listed = self._client.list_blobs(self._name, **wanted, **self._patience)
            return list(itertools.islice(listed, limit))  # an emulator may give more

    def copy(self, name: str, to: str, *, generation: str) -> str:
        """Copy a generation of an object inside the bucket, without downloading it."""
        source = self._stat(name, generation)

        def copy(replaced: int) -> storage.Blob:
            return self._bucket.copy_blob(
                source,
                self._bucket,
                self._blob(to).name,
                source_generation=source.generation,
                if_generation_match=replaced,
                **self._patience,
            )

        return self._write_once(to, copy, lambda live: (live.crc32c, live.size) == (source.crc32c, source.size))

    def delete(self, name: str, *, generation: str) -> None:
        """Delete a generation of an object; nothing happens if it is gone."""
        with suppress(ObjectNotFound), self._asking(name, generation):
            self._blob(name, generation).delete(**self._patience)

    def _write_once(
        self,
        name: str,
        write: Callable[[int], storage.Blob],
        is_ours: Callable[[storage.Blob], bool],
        if_generation: str | None = None,
    ) -> str:
        """Create a generation in place of another; a refusal may mean that an earlier request has succeeded."""
        replaced = if_generation or ""
        for _ in range(_ATTEMPTS):
            try:
                with self._asking(name):
                    return _generation(write(_number(replaced)))
            except PreconditionFailed as refusal:
                live = self._live(name)
                current = _generation(live)
                if live and is_ours(live):
                    return current
                if if_generation is not None:
                    raise PreconditionFailed(
                        f"{name} is at generation {current or None}, and {if_generation or None} was expected."
                    ) from refusal
                replaced = current
        raise StoreUnavailable(f"{name} in {self.url} was replaced by other writers {_ATTEMPTS} times. Try again.")

    def _live(self, name: str) -> storage.Blob | None:
        try:
            return self._stat(name)
        except ObjectNotFound:
            return None

    def _stat(self, name: str, generation: str | None = None) -> storage.Blob:
        with self._asking(name, generation):
            blob = self._blob(name, generation)
            blob.reload(**self._patience)
            return blob

    def _blob(self, name: str, generation: str | None = None) -> storage.Blob:
        object_names.check_name(name)
        return self._bucket.blob(name, generation=None if generation is None else _number(generation))

    @functools.cached_property
    def _bucket(self) -> storage.Bucket:
        return self._client.bucket(self._name)

    @functools.cached_property
    def _client(self) -> storage.Client:
        return storage.Client(
            project=None,  # a bucket name needs no project
            credentials=AnonymousCredentials() if self._emulator else None,  # type: ignore[no-untyped-call]
            client_options={"api_endpoint": self._emulator} if self._emulator else None,
        )

    @contextmanager
    def _asking(self, name: str, generation: str | None = None) -> Iterator[None]:
        """A request for an object, with its repetitions: what is waited for is said, and errors are raised as ours."""
        waiting = logs.waiting_for(f"waiting for {self.url}, up to {self._patience['timeout']:.0f} s")
        with waiting, translated(self.url, name if generation is None else f"{name} at generation {generation}"):
            yield


def _generation(blob: storage.Blob | None) -> str:
    return str(blob.generation) if blob else ""


def _number(generation: str) -> int:
    """The number that Cloud Storage calls a generation by; any other text is that of no object, as -1 is."""
    if not generation:
        return 0
    number = int(generation) if generation.isdecimal() and len(generation) < _DIGITS else -1
    return number or -1
