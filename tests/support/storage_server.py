"""A stand-in for Cloud Storage, as strict as it is with preconditions, generations and checksums.

The real client talks HTTP to it. It refuses every method, parameter and field that Google's published discovery
document does not know, and keeps each refusal in `refused`; it fails on demand.
"""

import base64
import hashlib
import itertools
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.client import HTTPMessage
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import google_crc32c
from tests.support.discovery import Discovery, Unpublished
from tests.support.stand_in import Answer, StoreStandIn, as_json, split, spoilt

GET, INSERT, LIST, COPY, DELETE = (f"storage.objects.{verb}" for verb in ("get", "insert", "list", "copy", "delete"))
CHUNK = f"{INSERT} chunk"
"""The second step of a resumable upload, as `fail` names it."""

REASONS = {
    401: "required",
    403: "forbidden",
    404: "notFound",
    409: "conflict",
    412: "conditionNotMet",
    429: "rateLimitExceeded",
    500: "internalError",
    503: "backendError",
}


class Refusal(Exception):
    """An error that Cloud Storage would answer with."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status

    def answer(self, *, as_text: bool) -> Answer:
        if as_text:
            return Answer(self.status, str(self).encode(), {"Content-Type": "text/html; charset=UTF-8"})
        detail = {"message": str(self), "domain": "global", "reason": REASONS.get(self.status, "invalid")}
        return as_json({"error": {"code": self.status, "message": str(self), "errors": [detail]}}, self.status)


@dataclass
class Request:
    method: str
    named: dict[str, str]
    query: dict[str, str]
    body: dict[str, Any]
    headers: HTTPMessage
    data: bytes = b""
    content_type: str = ""


@dataclass
class Stored:
    resource: dict[str, Any]
    content: bytes


@dataclass
class Bucket:
    versioned: bool = False
    live: dict[str, int] = field(default_factory=dict)
    kept: dict[tuple[str, int], Stored] = field(default_factory=dict)


class StorageServer(StoreStandIn):
    """The stand-in, listening on a free port of this machine until it is closed; it announces a StorageObjectData.

    Attributes:
        page: how many names one page of a list holds.
    """

    def __init__(self) -> None:
        super().__init__()
        self.page = 2
        self._buckets: dict[str, Bucket] = {}
        self._sessions: dict[str, Request | Answer] = {}
        self._numbers = itertools.count(1)
        self._generations = itertools.count(time.time_ns() // 1000)
        self._lock = threading.Lock()
        self._discovery = Discovery("storage.v1")

    def make_bucket(self, name: str, *, versioned: bool = False) -> None:
        self._buckets[name] = Bucket(versioned)

    def answer(self, verb: str, url: str, headers: HTTPMessage, content: bytes) -> Answer | None:
        """The answer to a request; none at all is a lost connection."""
        try:
            request = self._understood(verb, url, headers, content)
        except Unpublished as refusal:
            self.refused.append(str(refusal))
            return Refusal(400, str(refusal)).answer(as_text=False)
        self.calls[request.method] += 1
        fault = self.fault(request.method)
        try:
            if fault[:1].isdigit():
                raise Refusal(int(fault[:3]), fault[4:] or "It failed on demand")
            if fault == "spoil":
                request.data = b"\0" + request.data[1:]
            done = self._handle(request)
        except Refusal as refusal:
            done = refusal.answer(as_text=request.query.get("alt") == "media")
        except Exception as error:  # a fault of this stand-in: the test has to fail
            self.refused.append(repr(error))
            raise
        return spoilt(done, fault)

    def _understood(self, verb: str, url: str, headers: HTTPMessage, content: bytes) -> Request:
        parts = urlsplit(url)
        query = dict(parse_qsl(parts.query))
        session = query.pop("upload_id", "")
        method, named = self._discovery.find("POST" if session else verb, parts.path.removeprefix("/download"))
        body, data, kind = ({}, content, "") if session else split(headers, content)
        self._discovery.check(method, query, body)
        if session:
            return Request(CHUNK, {"session": session}, query, body, headers, data)
        return Request(method["id"], named, query, body, headers, data, kind)

    def _handle(self, request: Request) -> Answer:
        handlers: dict[str, Callable[[Request], Answer]] = {
            "storage.buckets.insert": self._make_bucket,
            "storage.buckets.delete": self._delete_bucket,
            "storage.buckets.get": self._get_bucket,
            GET: self._get,
            LIST: self._list,
            INSERT: self._insert,
            CHUNK: self._chunk,
            COPY: self._copy,
            DELETE: self._delete,
        }
        if request.method not in handlers:
            self.refused.append(f"{request.method} is not played")
            raise Refusal(501, f"{request.method} is not played")
        return handlers[request.method](request)

    def _make_bucket(self, request: Request) -> Answer:
        self.make_bucket(request.body["name"], versioned=request.body.get("versioning", {}).get("enabled", False))
        return as_json({"kind": "storage#bucket", **request.body})

    def _get_bucket(self, request: Request) -> Answer:
        self._bucket(request.named["bucket"])
        return as_json({"kind": "storage#bucket", "name": request.named["bucket"]})

    def _delete_bucket(self, request: Request) -> Answer:
        if self._bucket(request.named["bucket"]).kept:
            raise Refusal(409, "The bucket you tried to delete is not empty.")
        del self._buckets[request.named["bucket"]]
        return Answer(204)

    def _get(self, request: Request) -> Answer:
        with self._lock:
            stored = self._stored(request.named["bucket"], request.named["object"], request.query.get("generation"))
        if request.query.get("alt") != "media":
            return as_json(stored.resource)
        hashes = f"crc32c={stored.resource['crc32c']},md5={stored.resource['md5Hash']}"
        headers = {
            "Content-Type": stored.resource["contentType"],
            "X-Goog-Hash": hashes,
            "X-Goog-Generation": stored.resource["generation"],
        }
        asked = re.fullmatch(r"bytes=(\d+)-", request.headers.get("Range", ""))
        if not asked:
            return Answer(200, stored.content, headers)
        first, size = int(asked[1]), len(stored.content)
        return Answer(206, stored.content[first:], headers | {"Content-Range": f"bytes {first}-{size - 1}/{size}"})

    def _list(self, request: Request) -> Answer:
        bucket = self._bucket(request.named["bucket"])
        after, prefix = request.query.get("pageToken", ""), request.query.get("prefix", "")
        with self._lock:
            if request.query.get("versions") == "True":
                return as_json({"items": [stored.resource for stored in bucket.kept.values()]})
            names = sorted(name for name in bucket.live if name.startswith(prefix) and name > after)
        size = min(self.page, int(request.query.get("maxResults", self.page)))
        page, more = names[:size], {}
        if len(names) > size:
            more = {"nextPageToken": page[-1]}
        folders: list[str] = []
        if delimiter := request.query.get("delimiter"):
            below = {name: name.removeprefix(prefix).partition(delimiter) for name in page}
            folders = sorted({prefix + first + mark for first, mark, _ in below.values() if mark})
            page = [name for name in page if not below[name][1]]
        chosen = re.search(r"items\(([\w,]+)\)", request.query.get("fields", ""))
        with self._lock:
            found = [bucket.kept[name, bucket.live[name]].resource for name in page if name in bucket.live]
        items = [{key: one[key] for key in chosen[1].split(",")} if chosen else one for one in found]
        return as_json({"kind": "storage#objects", "items": items, "prefixes": folders, **more})

    def _insert(self, request: Request) -> Answer:
        self._bucket(request.named["bucket"])
        name = request.body.get("name") or request.query["name"]
        with self._lock:
            if request.query["uploadType"] == "resumable":
                self._check_generation(request, name)
                return self._begin(request)
            made = self._store(request, name, request.content_type, request.data)
        self.announce(made)
        return as_json(made)

    def _begin(self, request: Request) -> Answer:
        session = str(next(self._numbers))
        self._sessions[session] = request
        where = f"{self.url}/upload/storage/v1/b/{request.named['bucket']}/o?uploadType=resumable&upload_id={session}"
        return Answer(200, b"", {"Location": where})

    def _chunk(self, request: Request) -> Answer:
        """The content of a resumable upload, which comes in one piece; sent again, it is answered as before."""
        with self._lock:
            begun = self._sessions[request.named["session"]]
            if isinstance(begun, Answer):
                return begun
            sums = dict(part.split("=", 1) for part in request.headers["X-Goog-Hash"].split(","))
            begun.body |= {"crc32c": sums["crc32c"]}
            kind = begun.headers["X-Upload-Content-Type"]
            made = self._store(begun, begun.body["name"], kind, request.data)
            self._sessions[request.named["session"]] = as_json(made)
        self.announce(made)
        return as_json(made)

    def _copy(self, request: Request) -> Answer:
        named, query = request.named, request.query
        with self._lock:
            source = self._stored(named["sourceBucket"], named["sourceObject"], query.get("sourceGeneration"))
            request.named = {"bucket": named["destinationBucket"]}
            request.body = {"metadata": source.resource["metadata"]}
            made = self._store(request, named["destinationObject"], source.resource["contentType"], source.content)
        self.announce(made)
        return as_json(made)

    def _delete(self, request: Request) -> Answer:
        name = request.named["object"]
        with self._lock:
            bucket = self._bucket(request.named["bucket"])
            stored = self._stored(request.named["bucket"], name, request.query.get("generation"))
            generation = int(stored.resource["generation"])
            del bucket.kept[name, generation]
            if bucket.live.get(name) == generation:
                del bucket.live[name]
        return Answer(204)

    def _store(self, request: Request, name: str, kind: str, content: bytes) -> dict[str, Any]:
        self._check_generation(request, name)
        bucket = self._bucket(request.named["bucket"])
        crc32c = base64.b64encode(google_crc32c.Checksum(content).digest()).decode()  # type: ignore[no-untyped-call]
        if request.body.get("crc32c", crc32c) != crc32c:
            raise Refusal(
                400, f'Provided CRC32C "{request.body["crc32c"]}" doesn\'t match calculated CRC32C "{crc32c}".'
            )
        generation = next(self._generations)
        replaced = bucket.live.get(name, 0)
        if replaced and not bucket.versioned:
            del bucket.kept[name, replaced]
        resource = {
            "kind": "storage#object",
            "id": f"{request.named['bucket']}/{name}/{generation}",
            "bucket": request.named["bucket"],
            "name": name,
            "generation": str(generation),
            "metageneration": "1",
            "contentType": kind,
            "size": str(len(content)),
            "crc32c": crc32c,
            "md5Hash": base64.b64encode(hashlib.md5(content).digest()).decode(),
            "timeCreated": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "metadata": request.body.get("metadata", {}),
        }
        bucket.kept[name, generation] = Stored(resource, content)
        bucket.live[name] = generation
        return resource

    def _check_generation(self, request: Request, name: str) -> None:
        wanted = request.query.get("ifGenerationMatch")
        if wanted is not None and int(wanted) != self._bucket(request.named["bucket"]).live.get(name, 0):
            raise Refusal(412, "At least one of the pre-conditions you specified did not hold.")

    def _stored(self, bucket: str, name: str, generation: str | None) -> Stored:
        there = self._bucket(bucket)
        stored = there.kept.get((name, int(generation or there.live.get(name, 0))))
        if stored is None:
            raise Refusal(404, f"No such object: {bucket}/{name}")
        return stored

    def _bucket(self, name: str) -> Bucket:
        if name not in self._buckets:
            raise Refusal(404, "The specified bucket does not exist.")
        return self._buckets[name]
