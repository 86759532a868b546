"""The common part of the stand-ins for Google's services: they answer HTTP on a free port of this machine."""

import json
import selectors
import socket
import ssl
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.client import HTTPMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Answer:
    """A response; a `Content-Length` among the headers that promises more than the content holds cuts it off."""

    status: int = 200
    content: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


_HANDSHAKE = b"\x16"  # how a client begins to speak TLS


class StandIn:
    """A server that listens until it is closed.

    Attributes:
        tls: the key and certificate for clients that insist on TLS.
    """

    tls: ssl.SSLContext | None = None

    def __init__(self) -> None:
        self._server = _Listener(("127.0.0.1", 0), _Handler)
        self._server.stand_in = self
        self._end, self._ended = socket.socketpair()
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._end.close()
        self._thread.join()
        self._server.server_close()

    def _listen(self) -> None:
        """Answer until the end is closed; `serve_forever` would look for that only now and then."""
        with selectors.DefaultSelector() as selector, self._ended:
            selector.register(self._server, selectors.EVENT_READ)
            selector.register(self._ended, selectors.EVENT_READ)
            while all(key.fileobj is self._server for key, _ in selector.select()):
                self._server.handle_request()

    def answer(self, verb: str, url: str, headers: HTTPMessage, content: bytes) -> Answer | None:
        """The answer to a request; none at all is a lost connection."""
        raise NotImplementedError


class StoreStandIn(StandIn):
    """A stand-in of an object store, which announces its writes and fails on demand.

    Attributes:
        refused: what it does not play.
        calls: how often each operation was called.
        announced: what the store says of each finished write, in order.
        trigger: what is called with each of them, before the write is answered.
    """

    def __init__(self) -> None:
        super().__init__()
        self.refused: list[str] = []
        self.calls: Counter[str] = Counter()
        self.announced: list[dict[str, Any]] = []
        self.trigger: Callable[[Mapping[str, Any]], None] = lambda _: None
        self._faults: dict[str, deque[str]] = {}

    def fail(self, operation: str, *faults: str) -> None:
        """Order faults, one for each of the next calls of an operation.

        Args:
            operation: the store's name for it.
            faults: a status, with a text behind it or not (`403 Rate limit exceeded`); `drop`: the work is done and the
                answer lost; `cut`: half of the content is sent; `spoil`: a byte of the content is another on its way
                here or there; `slow`: the answer takes a second; empty: none.
        """
        self._faults.setdefault(operation, deque()).extend(faults)

    def reset(self) -> None:
        """Forget what was ordered and counted; buckets stay."""
        self._faults.clear()
        self.calls.clear()
        self.refused.clear()
        self.announced.clear()
        self.trigger = lambda _: None

    def fault(self, operation: str) -> str:
        """The fault that was ordered for a call of an operation."""
        ordered = self._faults.get(operation)
        fault = ordered.popleft() if ordered else ""
        if fault == "slow":
            time.sleep(1)
        return fault

    def announce(self, made: dict[str, Any]) -> None:
        """Say that a write is finished."""
        self.announced.append(made)
        self.trigger(made)


def spoilt(done: Answer, fault: str) -> Answer | None:
    """The rest of an answer after a fault; nothing of one that is lost."""
    match fault:
        case "drop":
            return None
        case "cut":
            length = {"Content-Length": str(len(done.content))}
            return Answer(done.status, done.content[: len(done.content) // 2], done.headers | length)
        case "spoil":
            return Answer(done.status, b"\0" + done.content[1:], done.headers)
    return done


def as_json(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    kind = {"Content-Type": "application/json; charset=UTF-8"}
    return Answer(status, json.dumps(body).encode(), kind | dict(headers or {}))


def split(headers: HTTPMessage, content: bytes) -> tuple[dict[str, Any], bytes, str]:
    """The JSON of a request, and the data with their type that come with it in a multipart upload."""
    boundary = headers.get_param("boundary")
    if not boundary:
        return json.loads(content) if content else {}, b"", ""
    _, first, second, _ = content.split(f"--{boundary}".encode())
    (_, body), (kind, data) = (part.split(b"\r\n\r\n", 1) for part in (first, second))
    return json.loads(body), data.removesuffix(b"\r\n"), kind.decode().strip().partition(": ")[2]


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    stand_in: StandIn

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that has gone is nothing to print."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _Listener

    def _answer(self) -> None:
        assert isinstance(self.headers, HTTPMessage)
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        answer = self.server.stand_in.answer(self.command, self.path, self.headers, content)
        if answer is None:
            self._hang_up()
            return
        self.send_response(answer.status)
        for name, value in ({"Content-Length": str(len(answer.content))} | answer.headers).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        self.wfile.write(answer.content)
        if "Content-Length" in answer.headers:
            self.wfile.flush()
            self._hang_up()

    def _hang_up(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def do_CONNECT(self) -> None:
        """A client that takes the stand-in for its proxy goes on with plain HTTP, or with TLS if there is a key."""
        self.send_response(200)
        self.end_headers()
        self.wfile.flush()
        if self.server.stand_in.tls and self.connection.recv(1, socket.MSG_PEEK) == _HANDSHAKE:
            self.connection = self.server.stand_in.tls.wrap_socket(self.connection, server_side=True)
            self.setup_files()

    def handle_expect_100(self) -> bool:
        """Clients wait a second for this answer before they send the content anyway."""
        going_on = super().handle_expect_100()
        self.wfile.flush()
        return going_on

    def finish(self) -> None:
        super().finish()
        self.connection.close()

    def setup_files(self) -> None:
        self.rfile = self.connection.makefile("rb", self.rbufsize)
        self.wfile = self.connection.makefile("wb", self.wbufsize)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _answer  # noqa: N815

    def log_message(self, *args: Any) -> None:
        """Log nothing."""
