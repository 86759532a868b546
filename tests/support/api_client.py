"""The API without a server: its application, asked on a loop of its own."""

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from typing import Any

import httpx
import pytest

from tickercast.app import App

pytest.importorskip("fastapi", reason="the extra api is not installed")
pytest.importorskip("prometheus_client", reason="the extra api is not installed")

from tickercast.api.door import Door
from tickercast.api.server import make

URL = "http://127.0.0.1:8700"


class Client:
    """Asks an application, one request after the other; `together` asks several at once.

    Args:
        door: the application.
        runner: the loop.
        token: sent with every request, unless it is empty.
    """

    def __init__(self, door: Door, runner: asyncio.Runner, token: str = "") -> None:
        self.door = door
        self.runner = runner
        self.token = token
        transport = httpx.ASGITransport(door, raise_app_exceptions=False)  # type: ignore[arg-type]
        self._http = httpx.AsyncClient(transport=transport, base_url=URL)

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        return self.runner.run(self._request(method, path, **options))

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        return self.request("POST", path, **options)

    def together(self, path: str, times: int) -> list[httpx.Response]:
        async def all_of_them() -> list[httpx.Response]:
            return list(await asyncio.gather(*(self._request("GET", path) for _ in range(times))))

        return self.runner.run(all_of_them())

    def using(self, token: str) -> "Client":
        return Client(self.door, self.runner, token)

    async def _request(self, method: str, path: str, **options: Any) -> httpx.Response:
        headers = dict(options.pop("headers", {}))
        if self.token:
            headers.setdefault("Authorization", f"Bearer {self.token}")
        return await self._http.request(method, path, headers=headers, **options)


@contextmanager
def client(app: App, *, needs_tokens: bool = False, is_local: bool = True) -> Iterator[Client]:
    """The API of an application, from its begin to its end."""
    with asyncio.Runner() as runner:
        door = make(app, needs_tokens=needs_tokens, is_local=is_local)
        stack = AsyncExitStack()
        inside = door.inside
        runner.run(stack.enter_async_context(inside.router.lifespan_context(inside)))
        runner.run(asyncio.wait_for(inside.state.beginning, 60))
        try:
            yield Client(door, runner)
        finally:
            runner.run(stack.aclose())
