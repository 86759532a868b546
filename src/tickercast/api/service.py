"""Shared objects of the routes: the application, the gate, usage, metrics, and work that may take time."""

import asyncio
import functools
import time
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

import anyio
import anyio.to_thread
from starlette.requests import Request

from tickercast.api.metrics import Metrics
from tickercast.api.problems import Problem
from tickercast.app import App
from tickercast.config import Settings
from tickercast.jobs.access.gate import Gate
from tickercast.jobs.access.usage import Usage

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

LIMIT_S = 30.0
"""Seconds that the work for one request may take."""

_LOCAL = ("file", "duckdb", "sqlite")  # the schemes of paths
_REVISION_FOR_S = 0.5  # as long an answer may miss a file that was just handled


class Service:
    """One instance of the API.

    Args:
        app: the application.
        gate: decides about each call.
        usage: counts them.
        limit_s: seconds that the work for one request may take.
        clock: seconds, never decreasing.
    """

    def __init__(
        self,
        app: App,
        gate: Gate,
        usage: Usage,
        *,
        limit_s: float = LIMIT_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.app = app
        self.gate = gate
        self.usage = usage
        self.metrics = Metrics()
        self.addresses = addresses_of(app.settings)
        self.limit_s = limit_s
        self._clock = clock
        self._revision = ""
        self._of_symbols: dict[str, str] | None = None
        self._revised_at = float("-inf")
        self._revising = asyncio.Lock()

    async def work(
        self, ask: Callable[Arguments, Result], *arguments: Arguments.args, **options: Arguments.kwargs
    ) -> Result:
        """Do what may block in a thread, and give it up where it takes too long.

        Raises:
            Problem: the work took longer than `limit_s`.
        """
        with anyio.move_on_after(self.limit_s):
            return await anyio.to_thread.run_sync(functools.partial(ask, *arguments, **options), abandon_on_cancel=True)
        raise Problem(
            503,
            f"The answer took longer than {self.limit_s:.0f} s, and was given up. Ask for less, or try again.",
            {"Retry-After": "10"},
        )

    async def revision(self, symbol: str = "", *, ages: bool = False) -> str:
        """A text that changes with every file that is handled, looked up twice a second at most.

        Args:
            symbol: only files that hold it count; empty: all.
            ages: whether an answer about a symbol says how old its forecast is; all about every symbol do.
        """
        is_old = self._clock() - self._revised_at > _REVISION_FOR_S
        if is_old or (symbol and self._of_symbols is None):
            async with self._revising:
                if self._clock() - self._revised_at > _REVISION_FOR_S:
                    found = await self.work(self.app.revision)
                    if found != self._revision:
                        self._revision, self._of_symbols = found, None
                    self._revised_at = self._clock()
                if symbol and self._of_symbols is None:
                    self._of_symbols = await self.work(self.app.revisions)
        now = self.app.now()
        moment = f"{now:%Y-%m-%dT%H:%M}" if ages or not symbol else f"{now.date()}"
        return f"{(self._of_symbols or {}).get(symbol, '') if symbol else self._revision}/{moment}"

    def look_again(self) -> None:
        """Look the revision up with the next request."""
        self._revised_at = float("-inf")


def addresses_of(settings: Settings) -> dict[str, str]:
    """The words that callers read in place of the server's addresses and folders, the longest first.

    >>> found = addresses_of(Settings(home="/srv/home", warehouse="duckdb:////srv/home/x.duckdb", source="yahoo"))
    >>> found["//srv/home/x.duckdb"], "yahoo" in found
    ('the warehouse', False)
    >>> found = addresses_of(Settings(home="/srv/home", warehouse="bigquery://project/forecasts"))
    >>> found["bigquery://project/forecasts"], "/forecasts" in found
    ('the warehouse', False)
    >>> found = addresses_of(Settings(bucket="file://files", source="~/prices"))
    >>> found[str(Path("files").absolute())], found[str(Path.home() / "prices")]
    ('the bucket', 'the source')
    """
    named = {
        settings.bucket: "the bucket",
        settings.model_bucket: "the bucket of the models",
        settings.warehouse: "the warehouse",
        settings.source: "the source",
        settings.mlflow_tracking_uri: "the model registry",
        str(settings.home_folder): "the server's folder",
    }
    found = {form: name for address, name in named.items() for form in _forms(address) if "/" in form}
    return {address: found[address] for address in sorted(found, key=len, reverse=True) if len(address) > 1}


def _forms(address: str) -> list[str]:
    """An address as it is set, and as messages have the path in it."""
    scheme, separator, rest = address.partition("://")
    if not separator:
        return [address, str(Path(address).expanduser())]
    if scheme not in _LOCAL:
        return [address]
    path = Path(rest.removeprefix("/") if scheme == "sqlite" else rest).expanduser()
    return [address, str(path), str(path.absolute())]


def service_of(request: Request) -> Service:
    """The service that a request is for."""
    service: Service = request.app.state.service
    return service
