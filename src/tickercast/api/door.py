"""The outer layer of every request: first host, size, token, quota and cached answers; last headers, metrics, usage."""

import asyncio
import hashlib
import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

from fastapi import FastAPI

from tickercast.api import problems
from tickercast.api.answers import wants_csv
from tickercast.api.problems import Problem
from tickercast.api.service import Service
from tickercast.app import callers
from tickercast.domain.symbols import parse_symbol
from tickercast.domain.text import shown
from tickercast.domain.tokens import Scope
from tickercast.errors import QuotaSpent, TickercastError, UsageError
from tickercast.jobs.access.gate import OPEN, Admitted, next_month

log = logging.getLogger(__name__)

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

LARGEST_BODY = 8_000_000
"""The bytes that a body may have."""

PUBLIC = frozenset({"/healthz", "/readyz", "/openapi.json"})
"""The paths that are answered without a token: they say nothing of symbols, forecasts or people."""

_UNCHARGED = frozenset({"/metrics", "/v1/usage", "/validate_api_key"})
_OF_SYMBOL = frozenset({"/v1/forecasts", "/v1/indicators", "/v1/odds", "/v1/skill"})
_ODDS = "/v1/odds/"
_UNKEPT = ("/v1/usage", "/v1/tickets/", "/metrics")
_BODY_PATIENCE_S = 30.0
_MOST_KEPT, _LARGEST_KEPT = 1_000, 200_000
_SAFE = [(b"x-content-type-options", b"nosniff"), (b"vary", b"accept, authorization")]
_KEPT_HEADERS = [(b"cache-control", b"private, no-cache"), *_SAFE]


@dataclass(frozen=True)
class _Kept:
    """A kept answer of 200."""

    revision: str
    route: str
    etag: bytes
    kind: bytes
    body: bytes


class Door:
    """The application that a server runs.

    Args:
        inside: the routes.
        service: the objects that routes share.
        is_local: whether the server listens on this machine alone, and so may be open without tokens.
    """

    def __init__(self, inside: FastAPI, service: Service, *, is_local: bool) -> None:
        self.inside = inside
        self._service = service
        self._is_local = is_local
        self._kept: OrderedDict[tuple[str, bytes, bool], _Kept] = OrderedDict()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.inside(scope, receive, send)
            return
        call = _Call(scope, send)
        try:
            await self._answer(call, receive)
        except TickercastError as error:
            await call.refuse(_of(error, self._service))
        except Problem as problem:
            await call.refuse(problem)
        except Exception:
            log.exception("%s %s failed", call.method, call.path)
            if not call.status:
                await call.refuse(Problem(500, "The server failed unexpectedly; its log says why. Try again later."))
        self._note(call)

    async def _answer(self, call: "_Call", receive: Receive) -> None:
        if call.path not in PUBLIC:
            call.admitted = await self._admit(call)
        call.scope["tickercast.admitted"] = call.admitted
        key = call.path, call.query, call.wants_csv
        keeps = call.reads and call.path.startswith("/v1/") and not call.path.startswith(_UNKEPT)
        ages = call.path.startswith(_ODDS)
        revision = await self._service.revision(_symbol_of(call.path), ages=ages) if keeps else ""
        kept = self._kept.get(key) if keeps else None
        if kept is None or kept.revision != revision:
            body = await _body(call, receive)
            if not keeps:
                await self.inside(call.scope, _again(body, receive), call.send)
                return
            kept = await self._made(call, key, revision, _again(body, receive))
        if kept:
            call.route = kept.route
            await call.give(kept)

    async def _admit(self, call: "_Call") -> Admitted:
        text, gate = call.token(), self._service.gate
        scope = None if call.path == "/metrics" else (Scope.READ if call.reads else Scope.FORECAST)
        how = {"charged": call.path not in _UNCHARGED, "in_address": call.token_in_query}
        admitted = gate.admit_from_memory(text, scope, **how)
        if admitted is None:
            admitted = await asyncio.to_thread(gate.admit, text, scope, **how)
        if admitted.token is None:
            _check_caller(call, is_local=self._is_local)
        return admitted

    async def _made(self, call: "_Call", key: tuple[str, bytes, bool], revision: str, receive: Receive) -> _Kept | None:
        """Let the routes answer; None where they answered with something that is not kept."""
        head: list[Message] = []
        parts: list[bytes] = []

        async def take(message: Message) -> None:
            if message["type"] == "http.response.start":
                head.append(message)
            else:
                parts.append(message.get("body", b""))

        await self.inside(call.scope, receive, take)
        headers, body = dict(head[0]["headers"]), b"".join(parts)
        if head[0]["status"] != HTTPStatus.OK:
            await call.send(head[0])
            await call.send({"type": "http.response.body", "body": body})
            return None
        etag = f'"{hashlib.sha256(body).hexdigest()[:24]}"'.encode()
        route = getattr(call.scope.get("route"), "path", call.path)
        made = _Kept(revision, route, etag, headers[b"content-type"], body)
        if len(body) <= _LARGEST_KEPT:
            self._kept[key] = made
            self._kept.move_to_end(key)
            if len(self._kept) > _MOST_KEPT:
                self._kept.popitem(last=False)
        return made

    def _note(self, call: "_Call") -> None:
        route = call.route or getattr(call.scope.get("route"), "path", "") or "none"
        seconds = time.perf_counter() - call.started
        method = call.method if call.method in ("GET", "HEAD", "POST") else "other"
        self._service.metrics.note(method, route, call.status, seconds)
        token = call.admitted.token or self._service.gate.known(call.token())
        if token or route.startswith(("/v1/", "/v2/")):
            self._service.usage.note(
                token.id if token else "", token.owner if token else "", route, call.status, seconds
            )


class _Call:
    """One request and its answer; HEAD asks for what GET does, and gets it without its body (RFC 9110)."""

    def __init__(self, scope: Message, send: Send) -> None:
        self.started = time.perf_counter()
        self.method: str = scope["method"]
        self.reads = self.method in ("GET", "HEAD")
        self.scope = {**scope, "method": "GET"} if self.reads else scope
        self.path: str = scope["path"]
        self.query: bytes = scope.get("query_string", b"")
        self.headers: Mapping[bytes, bytes] = dict(scope["headers"])
        self.admitted = OPEN
        self.route = ""
        self.status = 0
        self.token_in_query = False
        self._send = _without_body(send) if self.method == "HEAD" else send
        words = dict(parse_qsl(self.query.decode("latin-1"))) if self.query else {}
        self._words = words
        self.wants_csv = wants_csv(self.header(b"accept"), words)

    def header(self, name: bytes) -> str:
        return str(self.headers.get(name, b""), "latin-1")

    def token(self) -> str:
        """The text of the caller's token: in a header; or, for programs that send none, in the address of a CSV."""
        kind, _, text = self.header(b"authorization").partition(" ")
        if kind.lower() == "bearer":
            return text.strip()
        if self.reads and self.wants_csv and "token" in self._words:
            self.token_in_query = True
            return str(self._words["token"])
        return ""

    async def send(self, message: Message) -> None:
        """Send a part of an answer of the routes, with the headers that all have."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            others = [pair for pair in message["headers"] if pair[0] not in (b"cache-control",)]
            message = {**message, "headers": [*others, (b"cache-control", b"no-store"), *_SAFE, *self._limits()]}
        await self._send(message)

    async def give(self, kept: _Kept) -> None:
        """Send a kept answer, or say that the caller's copy is still right."""
        known = self.headers.get(b"if-none-match", b"")
        same = known == b"*" or kept.etag in [each.strip().removeprefix(b"W/") for each in known.split(b",")]
        self.status = 304 if same else 200
        headers = [(b"etag", kept.etag), *_KEPT_HEADERS, *self._limits()]
        if not same:
            headers += [(b"content-type", kept.kind), (b"content-length", b"%d" % len(kept.body))]
        await self._send({"type": "http.response.start", "status": self.status, "headers": headers})
        await self._send({"type": "http.response.body", "body": b"" if same else kept.body})

    async def refuse(self, problem: Problem) -> None:
        body = problem.body(self.path)
        headers = [
            (b"content-type", problems.MEDIA_TYPE.encode()),
            (b"content-length", str(len(body)).encode()),
            *((name.lower().encode(), value.encode()) for name, value in problem.headers.items()),
        ]
        await self.send({"type": "http.response.start", "status": problem.status, "headers": headers})
        await self._send({"type": "http.response.body", "body": body})

    def _limits(self) -> list[tuple[bytes, bytes]]:
        token, left = self.admitted.token, self.admitted.left
        if token is None or left is None:
            return []
        return [(b"ratelimit-limit", b"%d" % (token.per_month or 0)), (b"ratelimit-remaining", b"%d" % left)]


def _without_body(send: Send) -> Send:
    async def send_rest(message: Message) -> None:
        await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

    return send_rest


def _symbol_of(path: str) -> str:
    """The symbol on whose files alone an answer depends; empty if it depends on others', too.

    >>> _symbol_of("/v1/skill/brk-b"), _symbol_of("/v1/overview"), _symbol_of("/v1/skill/"), _symbol_of("/v1/tickets/X")
    ('BRK-B', '', '', '')
    """
    head, _, last = path.rpartition("/")
    if head not in _OF_SYMBOL:
        return ""
    with suppress(UsageError):
        return parse_symbol(last)
    return ""


def _check_caller(call: _Call, *, is_local: bool) -> None:
    """Refuse what a page in a browser sends, and other names that lead here: without tokens, nothing else would.

    Raises:
        Problem: the call is refused.
    """
    host = call.header(b"host")
    if not is_local or callers.host_name(host) not in callers.OWN:
        raise Problem(
            421,
            f"The request is for the host {shown(host, 80)!r}: without tokens only this machine's own name is "
            "answered. Call 127.0.0.1, or ask whoever runs the server for a token.",
        )
    origin, site = call.header(b"origin"), call.header(b"sec-fetch-site")
    if origin or site not in ("", "none"):
        seen = shown(origin or f"Sec-Fetch-Site: {site}", 80)
        raise Problem(403, f"The request comes from a page, {seen!r}: a program was needed. Make a token for it.")


def _of(error: TickercastError, service: Service) -> Problem:
    problem = problems.of_error(error, service.addresses)
    if isinstance(error, QuotaSpent):
        now = service.app.now()
        seconds = max(1, int((next_month(now) - now).total_seconds()))
        problem.headers = {
            "Retry-After": str(seconds),
            "RateLimit-Limit": str(error.limit),
            "RateLimit-Remaining": "0",
            "RateLimit-Reset": str(seconds),
        }
    return problem


async def _body(call: _Call, receive: Receive) -> bytes:
    """Read the whole body.

    Raises:
        Problem: the body is too large, or does not arrive.
    """
    too_large = Problem(
        413,
        f"The body has more than {LARGEST_BODY // 1_000_000} MB: a smaller one was needed. Send fewer bars, or put a "
        "file into the bucket.",
    )
    declared = call.header(b"content-length")
    if declared.isdigit() and int(declared) > LARGEST_BODY:
        raise too_large
    parts, size = list[bytes](), 0
    try:
        async with asyncio.timeout(_BODY_PATIENCE_S):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    break
                parts.append(message.get("body", b""))
                size += len(parts[-1])
                if size > LARGEST_BODY:
                    raise too_large
                if not message.get("more_body"):
                    break
    except TimeoutError as error:
        raise Problem(408, f"The body did not come within {_BODY_PATIENCE_S:.0f} s. Send it again.") from error
    return b"".join(parts)


def _again(body: bytes, receive: Receive) -> Receive:
    """Receive a body that has been read, and then what follows it."""
    given = False

    async def once_more() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return once_more
