"""The start of the API: on the loopback address, or with tokens anywhere."""

import importlib.util
import logging
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from tickercast import config
from tickercast.app import App, callers
from tickercast.errors import TickercastError, UsageError, not_installed
from tickercast.plain import first_of

if TYPE_CHECKING:
    from tickercast.api.door import Door

_NEEDED = ("fastapi", "httptools", "prometheus_client", "uvicorn")


def require(app: App, host: str, port: int) -> None:
    """Check that the API can be served.

    Raises:
        UsageError: its packages are not installed, the port is in use, anybody could call it, or the warehouse is of an
            earlier release.
        StoreUnavailable: whether there are tokens cannot be told; try again.
    """
    missing = [name for name in _NEEDED if not importlib.util.find_spec(name)]
    if missing:
        raise not_installed("The API", missing, "api")
    if host not in callers.OWN and not app.tokens().tokens and not config.on_cloud_run():
        raise UsageError(
            f"There are no tokens, so that anybody could call the API at {host}: 127.0.0.1 was needed, or a token. "
            "Make one first: tickercast tokens create NAME --scopes read,forecast."
        )
    if names := _of_earlier_release(app):
        raise UsageError(
            f"{app.settings.warehouse} is of another release: {first_of(names, 3)} "
            f"{'differ' if len(names) > 1 else 'differs'}, and a server migrates nothing. "
            "Run `tickercast provision`, which keeps every row, and serve then."
        )
    callers.check_port(host, port, "tickercast serve")


def _of_earlier_release(app: App) -> list[str]:
    """The tables and views that `provision` would change; none while the warehouse does not answer."""
    with suppress(TickercastError):  # /readyz says it
        return sorted(name for name, how in app.tables.pending().items() if how == "changed")
    return []


def door(app: App, host: str) -> "Door":
    """The API for a server that listens at an address."""
    from tickercast.api.server import make

    is_local = host in callers.OWN
    return make(app, needs_tokens=not is_local, is_local=is_local)


def serve(app: App, host: str, port: int) -> None:
    """Serve the API until the process is stopped; what its server warns of goes into the log of this package."""
    import uvicorn

    from tickercast.api.connections import Connection, Watch, most_connections

    for name in ("asyncio", "uvicorn"):
        logging.getLogger(name).handlers = [*logging.getLogger("tickercast").handlers]
    uvicorn.run(
        door(app, host),
        host=host,
        port=port,
        http=partial(Connection, Watch(most_connections())),  # type: ignore[arg-type]  # called, like a class
        log_config=None,
        access_log=False,  # an address may hold a token
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=10,
        lifespan="on",
    )
