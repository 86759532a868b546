"""The object store on Amazon S3, and on whatever else speaks its protocol.

A generation is S3's version id, an opaque text. A name's versions come in the order of their writing, so two of one
second, which is all that S3's clock tells apart, have times that differ by a microsecond.

Preconditions compare ETags, which equal contents share. So a write asks which version is live before it names the ETag
that it replaces, and carries an id of its own: where an answer is lost, the writer finds its version by that id
before it tries again, since a repeated request could be accepted a second time. A content that is to replace its equal
cannot be told from it at all: such a write, a replay's, is made by one writer at a time, who holds a lock.

A store without versions, such as Cloudflare R2 or Garage, is used with `?versioning=none`: a generation is made of ETag
and write id there, and what is replaced is gone.
"""

import base64
import functools
import hashlib
import itertools
import random
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import botocore.loaders
import botocore.session
from botocore.config import Config
from botocore.exceptions import ClientError

from tickercast import logs
from tickercast.backends.object_store import names as object_names
from tickercast.backends.object_store.s3_errors import translated
from tickercast.errors import EngineUnusable, NotOffered, ObjectNotFound, PreconditionFailed, StoreUnavailable
from tickercast.ports import ObjectFinalized

_WRITE_ID = "tickercast-write"
"""The metadata key of a write's id: after a lost answer, the writer recognises the version as its own."""

_MD5 = "tickercast-md5"
"""The metadata key of a content's MD5: an ETag is that only without encryption by key."""

_ATTEMPTS = 40
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 5.0
_LOCKED_FOR = timedelta(minutes=5)
_REQUESTS_AT_ONCE = 16
_PAGE = 100
_MARKED = 10  # versions among which a writer looks for its own
_REGION = "us-east-1"  # the region of a store that has none

_Made = TypeVar("_Made")


@dataclass(frozen=True)
class _Version:
    """A version of an object, as a list or the object's own head describes it."""

    name: str
    generation: str
    etag: str
    size: int
    modified: datetime
    write_id: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)


class S3ObjectStore:
    """The `ObjectStore` port over an S3 bucket; see `tickercast.ports`.

    Args:
        bucket: the bucket's name; it has to exist.
        endpoint: the URL of another store than Amazon's.
        region: the region of the bucket; empty: that of AWS's own settings.
        versioned: whether it keeps versions; if it could, it has to.
        patience_s: the time limit of a request, and of its repetitions.
    """

    def __init__(
        self, bucket: str, *, endpoint: str = "", region: str = "", versioned: bool = True, patience_s: float = 60.0
    ) -> None:
        self._name = bucket
        self._endpoint = endpoint
        self._region = region
        self._patience_s = patience_s
        self._opening = threading.Lock()
        self.keeps_generations = versioned

    @property
    def url(self) -> str:
        """The URL of the bucket."""
        return f"s3://{self._name}"

    @property
    def bucket(self) -> str:
        """The bucket's name."""
        return self._name

    def write(
        self, name: str, data: bytes, *, if_generation: str | None = None, metadata: Mapping[str, str] | None = None
    ) -> str:
        """Write a whole object and return its generation; the bucket announces it."""
        object_names.check_name(name)
        write_id, md5 = uuid.uuid4().hex, hashlib.md5(data, usedforsecurity=False).digest()

        def put(replaced: _Version | None) -> str:
            answer = self._call(
                "put_object",
                Key=name,
                Body=data,
                ContentType=object_names.content_type(name),
                ContentMD5=base64.b64encode(md5).decode(),
                Metadata={**(metadata or {}), _WRITE_ID: write_id, _MD5: md5.hex()},
                **_condition(replaced),
            )
            return self._made(answer["ETag"], answer.get("VersionId", ""), write_id)

        def made(_: _Version | None) -> str:
            return self._written_by(name, write_id)

        if if_generation and self._has_equal(name, md5.hex()):
            with self._alone(name):
                return self._write_once(name, put, made, if_generation)
        return self._write_once(name, put, made, if_generation)

    def read(self, name: str, *, generation: str | None = None) -> bytes:
        """Read an object, or an older generation of it."""
        object_names.check_name(name)
        wanted = {} if generation is None or not self.keeps_generations else {"VersionId": generation or "none"}

        def get() -> tuple[dict[str, Any], bytes]:
            answer = self._call("get_object", Key=name, **wanted)
            return answer, answer["Body"].read()

        found, content = self._asked(get, name, generation)
        if generation is not None and not wanted and self._described(name, found).generation != generation:
            raise ObjectNotFound(f"{self.url} holds no {name} at generation {generation}. Send it again.")
        if _is_damaged(found, content):
            raise StoreUnavailable(f"{name} was damaged between here and {self.url}: its checksum differs. Try again.")
        return content

    def generation(self, name: str) -> str:
        """The live generation of an object, empty where it does not exist."""
        return _generation(self._live(name))

    def written_at(self, name: str, *, generation: str) -> datetime:
        """The time at which a generation of an object was written, or the write that it repeats."""
        if not self.keeps_generations:
            live = self._stat(name, generation)
            return object_names.first_written(live.metadata, live.modified)
        found: _Version | None = None
        earlier = 0  # earlier writes of the same second, as far as S3's clock tells
        for version in self._versions(name):
            if found is None:
                found = version if version.generation == generation else None
            elif version.modified == found.modified:
                earlier += 1
            else:
                break
        if found is None:
            raise self._not_found(name, generation)
        head = self._ask("head_object", name, VersionId=generation)
        return object_names.first_written(head["Metadata"], found.modified + timedelta(microseconds=earlier))

    def names(self, prefix: str, *, limit: int | None = None) -> list[str]:
        """The names of the live objects that start with `prefix`, sorted; at most the first `limit`."""
        return sorted(found["Key"] for found in itertools.islice(self._listed(prefix), limit))

    def generations(self, prefix: str) -> dict[str, str]:
        """The live generations of the live objects that start with `prefix`, by name."""
        return {version.name: version.generation for version in self._all_live(prefix)}

    def times(self, prefix: str) -> dict[str, datetime]:
        """The write times of the live objects that start with `prefix`, by name."""
        return {found["Key"]: found["LastModified"] for found in self._listed(prefix)}

    def arrivals(self, prefix: str) -> Iterator[ObjectFinalized]:
        """All versions below a prefix, of one name the newest first, or what is live where there are no versions."""
        for version in self._versions(prefix, exactly=False) if self.keeps_generations else self._all_live(prefix):
            yield ObjectFinalized(self._name, version.name, version.generation, version.size, "", version.modified)

    def check(self) -> None:
        """Check that of two first writers of a name the second is refused; some stores ignore preconditions."""
        name = f"locks/check-{uuid.uuid4().hex}"
        try:
            with self._translated(name):
                for _ in range(2):
                    self._call("put_object", Key=name, Body=b"", IfNoneMatch="*")
        except PreconditionFailed:
            return
        finally:
            self._remove(name)
        raise EngineUnusable(
            f"{self.url} let a second writer replace what a first one had just written: a store that refuses it was "
            "needed, as Amazon S3 does (If-None-Match), since leases and the champion depend on it. Use another store, "
            "or a newer release of this one."
        )

    def copy(self, name: str, to: str, *, generation: str) -> str:
        """Copy a generation of an object inside the bucket, without downloading it where the store lets us."""
        object_names.check_name(to)
        source = self._stat(name, generation)
        where = {"Bucket": self._name, "Key": name} | ({"VersionId": generation} if self.keeps_generations else {})

        def is_there(live: _Version | None) -> str:
            return live.generation if live and (live.etag, live.size) == (source.etag, source.size) else ""

        def copy(replaced: _Version | None) -> str:
            answer = self._call(
                "copy_object",
                Key=to,
                CopySource=where,
                CopySourceIfMatch=source.etag,
                **_condition(replaced),
            )
            if not self.keeps_generations:
                return self.generation(to)
            return self._made(answer["CopyObjectResult"]["ETag"], answer.get("VersionId", ""), "")

        try:
            return is_there(self._live(to)) or self._write_once(to, copy, is_there)
        except NotOffered:  # some stores know preconditions of writes, and none of copies
            return self.write(to, self.read(name, generation=generation))

    def delete(self, name: str, *, generation: str) -> None:
        """Delete a generation of an object; nothing happens if it is gone.

        S3 makes the version before it live again, unless a marker says that there is nothing.
        """
        object_names.check_name(name)
        if not generation:
            return
        newest = list(itertools.islice(self._versions(name), 2)) if self.keeps_generations else []
        if not self.keeps_generations:
            if self.generation(name) == generation:
                self._ask("delete_object", name)
            return
        marker = ""
        if newest and newest[0].generation == generation and self.generation(name) == generation:
            marked = self._ask("delete_object", name)
            marker = marked.get("VersionId", "")
        self._delete_version(name, generation)
        now = next(self._versions(name), None)
        if marker and now is not None and now not in newest:  # somebody wrote it before the marker was there
            self._delete_version(name, marker)

    # ---------------------------------------------------------------- one write, one version

    def _write_once(
        self,
        name: str,
        write: Callable[[_Version | None], str],
        ours: Callable[[_Version | None], str],
        if_generation: str | None = None,
    ) -> str:
        """Make a version in place of another; after a failure, an earlier request may have been carried out.

        Args:
            name: the object.
            write: writes it in place of a version, and returns the generation.
            ours: the generation that an earlier request has made, given the live version; empty if there is none.
            if_generation: the generation that has to be live, as for `ObjectStore.write`; None: any.
        """
        over = time.monotonic() + self._patience_s
        replaced = self._live(name) if if_generation else None
        for pause in itertools.islice(_pauses(), _ATTEMPTS):
            if if_generation is not None and _generation(replaced) != if_generation:
                raise PreconditionFailed(
                    f"{name} is at generation {_generation(replaced) or None}, and "
                    f"{if_generation or None} was expected."
                )
            try:
                with self._waiting(), self._translated(name):
                    return write(replaced)
            except (PreconditionFailed, ObjectNotFound, StoreUnavailable) as error:
                before, replaced = replaced, self._live(name)
                if made := ours(replaced):
                    return made
                if (
                    isinstance(error, ObjectNotFound) and replaced == before
                ):  # not what was to be replaced, but a source
                    raise
                if isinstance(error, StoreUnavailable):
                    if time.monotonic() + pause > over:
                        raise
                    with self._waiting():
                        time.sleep(pause)
        raise StoreUnavailable(f"{name} in {self.url} was replaced by other writers {_ATTEMPTS} times. Try again.")

    def _has_equal(self, name: str, md5: str) -> bool:
        live = self._live(name)
        return live is not None and live.etag.strip('"') == md5

    @contextmanager
    def _alone(self, name: str) -> Iterator[None]:
        """Hold the lock of a name; one that is older than any request may last is nobody's any more."""
        lock = f"locks/replace-{hashlib.sha256(name.encode()).hexdigest()[:16]}"
        over = time.monotonic() + self._patience_s
        for pause in _pauses():
            try:
                held = self.write(lock, b"", if_generation="")
                break
            except PreconditionFailed:
                holder = self._live(lock)
            if holder and datetime.now(UTC) - holder.modified > _LOCKED_FOR:
                self._let_go(lock, holder.generation)
            elif time.monotonic() + pause > over:
                raise StoreUnavailable(f"{name} in {self.url} is being replaced by another writer. Try again.")
            else:
                with logs.waiting_for(f"waiting for another writer of {name} in {self.url}"):
                    time.sleep(pause)
        try:
            yield
        finally:
            with suppress(StoreUnavailable):  # it expires
                self._let_go(lock, held)

    def _let_go(self, lock: str, generation: str) -> None:
        if self.keeps_generations:
            self._delete_version(lock, generation)
        else:
            self._ask("delete_object", lock)

    def _made(self, etag: str, generation: str, write_id: str) -> str:
        if not self.keeps_generations:
            return _own_generation(etag, write_id)
        if not generation:
            raise self._without_versions("off")
        return generation

    def _written_by(self, name: str, write_id: str) -> str:
        """The generation that a write made, empty if it made none."""
        if not self.keeps_generations:
            live = self._live(name)
            return live.generation if live and live.write_id == write_id else ""
        for version in itertools.islice(self._versions(name), _MARKED):
            with suppress(ObjectNotFound):  # it was deleted meanwhile
                head = self._ask("head_object", name, VersionId=version.generation)
                if head["Metadata"].get(_WRITE_ID) == write_id:
                    return version.generation
        return ""

    # ---------------------------------------------------------------- what is there

    def _live(self, name: str) -> _Version | None:
        object_names.check_name(name)
        if not self.keeps_generations:
            return self._head(name)
        try:
            return next(self._versions(name, page=1, live=True), None)
        except ObjectNotFound:
            return None

    def _all_live(self, prefix: str) -> Iterator[_Version]:
        if self.keeps_generations:
            yield from self._versions(prefix, exactly=False, live=True)
            return
        with ThreadPoolExecutor(_REQUESTS_AT_ONCE) as pool:  # the metadata, which tell a generation, are in no listing
            yield from filter(None, pool.map(self._head, [each["Key"] for each in self._listed(prefix)]))

    def _head(self, name: str) -> _Version | None:
        """The object of a store without versions, whatever others have named it."""
        try:
            return self._described(name, self._ask("head_object", name))
        except ObjectNotFound:
            return None

    def _stat(self, name: str, generation: str) -> _Version:
        object_names.check_name(name)
        if self.keeps_generations:
            found = next((each for each in self._versions(name) if each.generation == generation), None)
        else:
            live = self._live(name)
            found = live if live and live.generation == generation else None
        if found is None:
            raise self._not_found(name, generation)
        return found

    def _described(self, name: str, head: Mapping[str, Any]) -> _Version:
        write_id = head["Metadata"].get(_WRITE_ID, "")
        made_by = write_id or f"{head['LastModified']:%Y%m%d%H%M%S}"
        generation = _own_generation(head["ETag"], made_by)
        described = head["ETag"], head["ContentLength"], head["LastModified"]
        return _Version(name, generation, *described, write_id, head["Metadata"])

    def _versions(
        self, name: str, *, exactly: bool = True, page: int = _PAGE, live: bool = False
    ) -> Iterator[_Version]:
        """The versions of an object, or of all whose names begin so; the newest of a name first.

        Args:
            name: the object, or the prefix.
            exactly: whether only that object is wanted.
            page: the number of versions in one request.
            live: whether only live versions are wanted.
        """
        if exactly:
            object_names.check_name(name)
        after: dict[str, str] = {}
        while True:
            listed = self._list("list_object_versions", name, MaxKeys=page if exactly else 1000, **after)
            for found in listed.get("Versions", []):
                if exactly and found["Key"] != name:
                    return
                if not live or found["IsLatest"]:
                    yield _Version(
                        found["Key"],
                        found["VersionId"],
                        found["ETag"],
                        found["Size"],
                        found["LastModified"].astimezone(UTC),
                    )
            if (live and exactly) or not listed.get("IsTruncated"):
                return
            after = {"KeyMarker": listed["NextKeyMarker"], "VersionIdMarker": listed.get("NextVersionIdMarker", "")}
            if exactly and after["KeyMarker"] != name:
                return

    def _listed(self, prefix: str) -> Iterator[dict[str, Any]]:
        after: dict[str, str] = {}
        while True:
            listed = self._list("list_objects_v2", prefix, **after)
            yield from listed.get("Contents", [])
            if not listed.get("IsTruncated"):
                return
            after = {"ContinuationToken": listed["NextContinuationToken"]}

    def _remove(self, name: str) -> None:
        """Remove an object of no other's with all its versions."""
        versions = [version.generation for version in self._versions(name)] if self.keeps_generations else []
        for generation in versions:
            self._delete_version(name, generation)
        if not self.keeps_generations:
            self._ask("delete_object", name)

    def _delete_version(self, name: str, generation: str) -> None:
        try:
            self._ask("delete_object", name, VersionId=generation)
        except ObjectNotFound:
            return

    # ---------------------------------------------------------------- requests

    def _ask(self, operation: str, name: str, **more: Any) -> dict[str, Any]:
        return self._asked(lambda: self._call(operation, Key=name, **more), name)

    def _list(self, operation: str, prefix: str, **more: Any) -> dict[str, Any]:
        return self._asked(lambda: self._call(operation, Prefix=prefix, **more), f"{prefix}*")

    def _call(self, operation: str, **more: Any) -> dict[str, Any]:
        answer: dict[str, Any] = getattr(self._s3, operation)(Bucket=self._name, **more)
        return answer

    def _asked(self, ask: Callable[[], _Made], name: str, generation: str | None = None) -> _Made:
        """The answer to a request that may be repeated, and is while it fails for a reason that may pass."""
        over = time.monotonic() + self._patience_s
        with self._waiting():
            for pause in _pauses():
                try:
                    with self._translated(name, generation):
                        return ask()
                except StoreUnavailable:
                    if time.monotonic() + pause > over:
                        raise
                time.sleep(pause)
        raise AssertionError  # the pauses never end

    def _waiting(self) -> AbstractContextManager[None]:
        return logs.waiting_for(f"waiting for {self.url}, up to {self._patience_s:.0f} s")

    @functools.cached_property
    def _s3(self) -> Any:
        """The client, once the bucket has been seen to keep versions."""
        with self._opening:
            made = self._client()
            if self.keeps_generations:
                try:
                    state = made.get_bucket_versioning(Bucket=self._name).get("Status", "off")
                except ClientError as error:
                    if error.response.get("Error", {}).get("Code") != "NotImplemented":
                        raise
                    state = "not offered"
                if state != "Enabled":
                    raise self._without_versions(state.lower())
            return made

    def _client(self) -> Any:
        session = botocore.session.Session()
        session.register_component("data_loader", _loader(session.get_config_variable("data_path")))
        region = self._region or session.get_config_variable("region") or _REGION
        config = Config(
            connect_timeout=min(10.0, self._patience_s),
            read_timeout=self._patience_s,
            max_pool_connections=32,
            retries={"mode": "standard", "total_max_attempts": 1},  # a write must not be repeated unseen
            s3={"addressing_style": "path"} if self._endpoint else {},
            request_checksum_calculation="when_required",  # others than Amazon's do not know the newer ones
            response_checksum_validation="when_required",
        )
        return session.create_client("s3", region_name=region, endpoint_url=self._endpoint or None, config=config)

    def _without_versions(self, state: str) -> EngineUnusable:
        return EngineUnusable(
            f"{self.url} keeps no versions (versioning is {state}): one was needed for each write, which events name. "
            f"Run: aws s3api put-bucket-versioning --bucket {self._name} --versioning-configuration Status=Enabled; "
            "where the store has none, put ?versioning=none behind the bucket's name."
        )

    def _not_found(self, name: str, generation: str) -> ObjectNotFound:
        return ObjectNotFound(f"{self.url} holds no {name} at generation {generation}. Send it again.")

    def _translated(self, name: str, generation: str | None = None) -> AbstractContextManager[None]:
        return translated(self.url, f"{name} at generation {generation}" if generation else name)


@functools.cache
def _loader(path: str | None) -> botocore.loaders.Loader:
    """The reader of boto's descriptions of S3, which every client would parse anew."""
    return botocore.loaders.create_loader(path)


def _condition(replaced: _Version | None) -> dict[str, str]:
    return {"IfMatch": replaced.etag} if replaced else {"IfNoneMatch": "*"}


def _generation(version: _Version | None) -> str:
    return version.generation if version else ""


def _own_generation(etag: str, made_by: str) -> str:
    """The generation of an object in a store without versions."""
    return f"{etag.strip(chr(34))}-{made_by[:14]}"


def _is_damaged(found: Mapping[str, Any], content: bytes) -> bool:
    """Whether a content differs from its MD5, as far as that is known: an ETag is one without encryption by key."""
    etag = found["ETag"].strip('"')
    known = found["Metadata"].get(_MD5, "")
    if not known and len(etag) == 32 and not found.get("ServerSideEncryption", "").startswith("aws:"):
        known = etag if "SSECustomerAlgorithm" not in found else ""
    return bool(known) and hashlib.md5(content, usedforsecurity=False).hexdigest() != known


def _pauses() -> Iterator[float]:
    """Seconds between attempts: they double, and differ among those that failed together."""
    longest = _FIRST_PAUSE_S
    while True:
        yield longest * random.uniform(0.5, 1)  # noqa: S311 - no secret
        longest = min(2 * longest, _LONGEST_PAUSE_S)
