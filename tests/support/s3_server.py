"""A stand-in for Amazon S3: moto behind a shim that is as strict as S3 where moto is not.

The shim checks the preconditions of writes, copies and deletes, Content-MD5 and that requests are signed; it tells time
in whole seconds, as S3 does; it announces each finished write as S3's events do, with the key URL-encoded, version id
and sequencer; it fails on demand. What it does not play is refused, and kept in `refused`.
"""

import base64
import hashlib
import itertools
import re
import threading
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from http.client import HTTPMessage
from typing import Any
from urllib.parse import parse_qs, quote_plus, unquote, urlsplit

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from tests.support.stand_in import Answer, StoreStandIn, spoilt
from werkzeug.test import Client

PUT, COPY, GET, HEAD, DELETE = "PutObject", "CopyObject", "GetObject", "HeadObject", "DeleteObject"
LIST, VERSIONS, VERSIONING = "ListObjectsV2", "ListObjectVersions", "GetBucketVersioning"

_CODES = {
    400: "InvalidRequest",
    403: "AccessDenied",
    409: "ConditionalRequestConflict",
    412: "PreconditionFailed",
    500: "InternalError",
    501: "NotImplemented",
    503: "SlowDown",
}
_OURS = {
    "Host": "s3.amazonaws.com",
    "Authorization": "AWS4-HMAC-SHA256 Credential=AKIASHIM/20230722/us-east-1/s3/aws4_request, SignedHeaders=host, "
    "Signature=0",
}
_HOP = {"connection", "content-length", "date", "server", "transfer-encoding"}


class S3Server(StoreStandIn):
    """The stand-in, listening on a free port of this machine until it is closed; it announces S3's records.

    A fault's text begins with a code: `403 AccessDenied No.`
    """

    def __init__(self) -> None:
        super().__init__()
        self._numbers = itertools.count(1)
        self._lock = threading.RLock()
        self._moto = Client(DomainDispatcherApplication(create_backend_app))

    def make_bucket(self, *, versioning: str = "Enabled") -> str:
        """Make a bucket, and name it; `versioning` is S3's word for its state, empty where it was never switched on.

        Its name is new: all stand-ins of a process share what moto holds.
        """
        name = f"tickercast-test-{uuid.uuid4().hex}"
        self._ask("PUT", f"/{name}")
        if versioning:
            body = f"<VersioningConfiguration><Status>{versioning}</Status></VersioningConfiguration>"
            self._ask("PUT", f"/{name}?versioning", data=body.encode())
        return name

    def answer(self, verb: str, url: str, headers: HTTPMessage, content: bytes) -> Answer | None:
        """The answer to a request; none at all is a lost connection."""
        parts = urlsplit(url)
        query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        bucket, _, key = unquote(parts.path).lstrip("/").partition("/")
        operation = _operation(verb, key, query, headers)
        self.calls[operation] += 1
        if operation.startswith("?"):
            self.refused.append(f"{operation} {url}")
            return _error(501)
        if not headers.get("Authorization", "").startswith("AWS4-HMAC-SHA256 Credential="):
            return _error(403, "AccessDenied", "Anonymous access is forbidden.")
        fault = self.fault(operation)
        if fault[:1].isdigit():
            status, code, message = [*fault.split(" ", 2), "", ""][:3]
            return _error(int(status), code, message, bodiless=verb == "HEAD")
        if fault == "spoil" and content:
            content, fault = b"\0" + content[1:], ""
        with self._lock:
            refusal = self._refusal(operation, bucket, key, headers, content)
            done = refusal or self._ask(verb, url, dict(headers), content)
            record = self._record(operation, bucket, key, done) if done.status < 300 else None
        if record:
            self.announce(record)
        return spoilt(done, fault)

    def _refusal(self, operation: str, bucket: str, key: str, headers: HTTPMessage, content: bytes) -> Answer | None:
        """The refusal of S3 where moto has none."""
        if operation == PUT:
            md5 = base64.b64encode(hashlib.md5(content).digest()).decode()
            if headers.get("Content-MD5", md5) != md5:
                return _error(400, "BadDigest", "The Content-MD5 you specified did not match what we received.")
        if operation not in (PUT, COPY, DELETE):
            return None
        live = self._ask("HEAD", f"/{bucket}/{quote_plus(key, safe='/')}".replace("+", "%20"))
        etag = live.headers.get("ETag") if live.status == 200 else None
        if headers.get("If-None-Match") == "*" and etag is not None:
            return _error(412)
        wanted = headers.get("If-Match")
        if wanted is not None and wanted != etag:
            return _error(412 if etag else 404, "" if etag else "NoSuchKey")
        return None

    def _record(self, operation: str, bucket: str, key: str, done: Answer) -> dict[str, Any] | None:
        if operation not in (PUT, COPY):
            return None
        live = self._ask("HEAD", f"/{bucket}/{quote_plus(key, safe='/')}".replace("+", "%20"))
        version = {"versionId": live.headers["x-amz-version-id"]} if "x-amz-version-id" in live.headers else {}
        return {
            "eventVersion": "2.1",
            "eventSource": "aws:s3",
            "awsRegion": "us-east-1",
            "eventTime": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "eventName": "ObjectCreated:Put" if operation == PUT else "ObjectCreated:Copy",
            "responseElements": {"x-amz-request-id": f"REQUEST{next(self._numbers)}"},
            "s3": {
                "s3SchemaVersion": "1.0",
                "bucket": {"name": bucket, "arn": f"arn:aws:s3:::{bucket}"},
                "object": {
                    "key": quote_plus(key, safe="/"),
                    "size": int(live.headers["Content-Length"]),
                    "eTag": live.headers["ETag"].strip('"'),
                    "sequencer": f"{next(self._numbers):018X}",
                    **version,
                },
            },
        }

    def _ask(self, verb: str, url: str, headers: Mapping[str, str] | None = None, data: bytes = b"") -> Answer:
        """The answer of moto, in whole seconds."""
        told = {name: value for name, value in (headers or {}).items() if not name.lower().startswith("if-")}
        told = _OURS | {name: value for name, value in told.items() if name not in ("Host", "Expect")}
        done = self._moto.open(url, base_url="http://s3.amazonaws.com", method=verb, headers=told, data=data)
        kept = {name: value for name, value in done.headers.items() if name.lower() not in _HOP or verb == "HEAD"}
        content = re.sub(rb"(<LastModified>[^<]*T\d\d:\d\d:\d\d)(\.\d+)?Z", rb"\1.000Z", done.data)
        return Answer(done.status_code, content, kept)


def _operation(verb: str, key: str, query: Mapping[str, str], headers: HTTPMessage) -> str:
    if key:
        played = {"PUT": COPY if "x-amz-copy-source" in headers else PUT, "GET": GET, "HEAD": HEAD, "DELETE": DELETE}
        if not set(query) - {"versionId", "x-id"} and verb in played:
            return played[verb]
    elif verb == "HEAD":  # where a client thinks that the bucket is in another region
        return "HeadBucket"
    elif verb == "GET":
        for word, operation in (("versions", VERSIONS), ("versioning", VERSIONING), ("list-type", LIST)):
            if word in query:
                return operation
    return f"?{verb}"


def _error(status: int, code: str = "", message: str = "", *, bodiless: bool = False) -> Answer:
    code = code or _CODES.get(status, "InternalError" if status >= 500 else "InvalidRequest")
    body = f"<Error><Code>{code}</Code><Message>{message or 'It failed on demand'}</Message></Error>"
    return Answer(status, b"" if bodiless else body.encode(), {"Content-Type": "application/xml"})
