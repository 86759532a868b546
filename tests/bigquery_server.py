"""A stand-in for BigQuery: the real clients talk HTTP to it, and DuckDB executes what they ask for.

It refuses every method, parameter and field that Google's published discovery document does not know, and keeps
each refusal in `refused`; it fails on demand.
"""

import http.client
import itertools
import json
import socket
import threading
from collections import Counter, deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from bigquery_engine import Engine, Failure, Request
from discovery import Discovery, Unpublished

_UNPUBLISHED = {("bigquery.jobs.get", "projection"), ("bigquery.jobs.cancel", "projection")}
"""Parameters that Google's own client sends, which the service takes and the document leaves out."""


class BigQueryServer:
    """The stand-in, listening on a free port of this machine until it is closed.

    Attributes:
        refused: what the discovery document does not know.
        calls: how often each method was called, by its id.
    """

    def __init__(self) -> None:
        self.engine = Engine()
        self.refused: list[str] = []
        self.calls: Counter[str] = Counter()
        self._discovery = Discovery("bigquery.v2", unpublished=_UNPUBLISHED)
        self._uploads: dict[str, dict[str, Any]] = {}
        self._numbers = itertools.count(1)
        self._server = _Listener(("127.0.0.1", 0), _Handler)
        self._server.stand_in = self
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def fail(self, where: str, *faults: str) -> None:
        """Orders faults, one for each of the next calls.

        Args:
            where: a method's id, or `job` for what happens to a job after it was accepted.
            faults: for a method a reason code, or `drop`: the answer is lost after the work was done; for a job a
                reason code, or how often it is found running.
        """
        self.engine.faults.setdefault(where, deque()).extend(faults)

    def reset(self) -> None:
        """Forgets what was ordered and counted; datasets and jobs stay."""
        self.engine.faults.clear()
        self.engine.modifications.clear()
        self.engine.page_rows, self.engine.daily_modifications = 5000, 1500
        self.calls.clear()
        self.refused.clear()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self.engine.close()

    def answer(self, verb: str, url: str, headers: http.client.HTTPMessage, content: bytes) -> tuple[int, Any, str]:
        """Status, body and, for an upload that begins, where it goes on; no body at all is a lost connection."""
        try:
            request = self._understood(verb, url, headers, content)
        except Unpublished as refusal:
            self.refused.append(str(refusal))
            return 400, Failure("invalid", str(refusal)).body(), ""
        if isinstance(request, str):
            return 200, {}, request
        self.calls[request.method] += 1
        try:
            fault = self.engine.fault(request.method)
            if fault not in ("", "drop"):
                raise Failure(fault, "It failed on demand")
            answer = self.engine.handle(request)
        except Failure as failure:
            if failure.reason == "notImplemented":
                self.refused.append(str(failure))
            return failure.status, failure.body(), ""
        except Exception as error:  # a fault of this stand-in: the test has to fail
            self.refused.append(repr(error))
            raise
        return 200, None if fault else answer, ""

    def _understood(self, verb: str, url: str, headers: http.client.HTTPMessage, content: bytes) -> Request | str:
        parts = urlsplit(url)
        query = dict(parse_qsl(parts.query))
        upload = self._uploads.pop(query.pop("upload_id", ""), None)
        method, named = self._discovery.find("POST" if upload else verb, parts.path)
        body, data = _split(headers, content) if upload is None else (upload, content)
        self._discovery.check(method, query, body)
        if query.get("uploadType") == "resumable" and upload is None:
            number = str(next(self._numbers))
            self._uploads[number] = body
            return f"{self.url}{url}&upload_id={number}"
        return Request(method["id"], named, query, body, data, headers.get("If-Match", ""))


def _split(headers: http.client.HTTPMessage, content: bytes) -> tuple[dict[str, Any], bytes]:
    """The JSON of a request, and the data that come with it in a multipart upload."""
    boundary = headers.get_param("boundary")
    if not boundary:
        return json.loads(content) if content else {}, b""
    _, first, second, _ = content.split(f"--{boundary}".encode())
    body, data = (part.split(b"\r\n\r\n", 1)[1].removesuffix(b"\r\n") for part in (first, second))
    return json.loads(body), data


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    stand_in: BigQueryServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that has gone is nothing to print."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _Listener

    def _answer(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        status, body, location = self.server.stand_in.answer(self.command, self.path, self.headers, content)
        if body is None:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        if location:
            self.send_header("Location", location)
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _answer  # noqa: N815

    def log_message(self, *args: Any) -> None:
        """Says nothing."""
