"""Callers that hold connections of the API's server: half a request, none, or an answer that nobody takes."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest

uvicorn = pytest.importorskip("uvicorn", reason="the extra api is not installed")
pytest.importorskip("httptools", reason="the extra api is not installed")

from tickercast.api import connections, launch  # noqa: E402  # which need them

REQUEST = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
HALF = REQUEST[:-10]
HALF_A_BODY = b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n\r\n{"
Connect = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]


def with_server(
    monkeypatch: pytest.MonkeyPatch, body: bytes, act: Callable[[Connect, set[Any]], Awaitable[None]]
) -> None:
    """Let callers act on a server that is set up as `tickercast serve` does, and has one answer to all."""
    given: dict[str, Any] = {}

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            pass
        headers = [(b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        monkeypatch.setattr(connections, "REQUEST_S", 0.01)  # from now on
        await send({"type": "http.response.body", "body": body})

    async def run() -> None:
        loop = asyncio.get_running_loop()
        monkeypatch.setattr(launch, "door", lambda *_: answer)
        monkeypatch.setattr(uvicorn, "run", lambda app, **options: given.update(options, app=app))
        launch.serve(None, "127.0.0.1", 0)  # type: ignore[arg-type]
        config, state = uvicorn.Config(**given), uvicorn.server.ServerState()
        config.load()
        made = config.http_protocol_class
        server = await loop.create_server(
            lambda: made(config=config, server_state=state, app_state={}, _loop=loop), "127.0.0.1", 0
        )
        writers: list[asyncio.StreamWriter] = []

        async def connect() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writers.append(writer)
            return reader, writer

        async with server, asyncio.timeout(20):
            try:
                await act(connect, state.connections)
            finally:
                for writer in writers:
                    writer.close()
                    with suppress(ConnectionError):
                        await writer.wait_closed()

    asyncio.run(run())


@pytest.mark.parametrize("sent", [b"", HALF, b"\r\n"])
def test_a_connection_without_a_whole_request_is_dropped(monkeypatch: pytest.MonkeyPatch, sent: bytes) -> None:
    monkeypatch.setattr(connections, "REQUEST_S", 0.01)

    async def act(connect: Connect, open_ones: set[Any]) -> None:
        reader, writer = await connect()
        writer.write(sent)
        assert await reader.read() == b""
        assert not open_ones

    with_server(monkeypatch, b"", act)


def test_what_is_no_http_is_refused_in_the_form_of_every_error(monkeypatch: pytest.MonkeyPatch) -> None:
    async def act(connect: Connect, open_ones: set[Any]) -> None:
        reader, writer = await connect()
        writer.write(b"hello\r\n\r\n")
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        assert b"content-type: application/problem+json" in head
        assert json.loads(body)["detail"].startswith("The request is no HTTP/1.1: a request line and headers were")

    with_server(monkeypatch, b"", act)


@pytest.mark.parametrize("then", [HALF, b"\r\n"])
def test_so_is_one_that_sends_no_second_one_whole(monkeypatch: pytest.MonkeyPatch, then: bytes) -> None:
    async def act(connect: Connect, open_ones: set[Any]) -> None:
        reader, writer = await connect()
        writer.write(REQUEST)
        assert (await reader.readuntil(b"all")).startswith(b"HTTP/1.1 200")
        writer.write(then)
        assert await reader.read() == b""
        assert not open_ones

    with_server(monkeypatch, b"all", act)


def test_so_is_one_that_does_not_take_its_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "ANSWER_S", 0.01)

    async def act(connect: Connect, open_ones: set[Any]) -> None:
        _, writer = await connect()
        writer.write(REQUEST)
        while not open_ones:
            await asyncio.sleep(0)
        while open_ones:
            await asyncio.sleep(0.01)

    with_server(monkeypatch, b" " * 50_000_000, act)


@pytest.mark.parametrize("sent", [HALF, HALF_A_BODY])
def test_a_new_one_takes_the_place_of_the_one_that_waited_longest(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, sent: bytes
) -> None:
    monkeypatch.setattr(connections, "most_connections", lambda: 2)
    monkeypatch.setattr(connections, "_REPORTED_EVERY_S", 0.0)
    caplog.set_level(logging.WARNING, "tickercast")

    async def act(connect: Connect, _: set[Any]) -> None:
        held = [await connect() for _ in range(2)]
        for _, caller in held:
            caller.write(sent)
        await asyncio.sleep(0.05)  # until the server has read both
        reader, writer = await connect()
        assert await held[0][0].read() == b""
        writer.write(REQUEST)
        assert (await reader.readuntil(b"all")).startswith(b"HTTP/1.1 200")
        assert not held[1][0].at_eof()

    with_server(monkeypatch, b"all", act)
    assert caplog.messages[0] == (
        "1 connection was dropped, the first from 127.0.0.1: 1 made room for new ones. If that goes on, keep that "
        "caller out. At most 2 may be open, half of `ulimit -n`."
    )
