"""The dashboard's server: it answers to its own names alone, in no frame of others, and its pages load nothing else.

Whoever has not signed in can load the login, and give nothing.

Streamlit checks the host of its connections; here that of every request is checked, since a name that somebody points
to this machine would make their page and ours one origin.
"""

from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse
from streamlit import config
from streamlit.starlette import App

from tickercast.config import load
from tickercast.dashboard import gate
from tickercast.dashboard.sign_in import people_of, sign_in_of
from tickercast.dashboard.sign_in_routes import routes

POLICY = (
    "frame-ancestors 'none'; object-src 'none'; base-uri 'self'; form-action 'self'; connect-src 'self'; "
    "img-src 'self' data: blob:; media-src 'self'; font-src 'self' data:; worker-src 'self' blob:"
)
"""The content policy of a page: where it may be framed, send to and load from; others' texts may hold picture
addresses."""

_HEADERS = {
    "content-security-policy": POLICY,
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}

_CLOSED = ("/_stcore/upload_file/", "/_stcore/metrics")
_IS_HTTPS = load().dashboard_url.startswith("https:")


class Policies:
    """Adds the policies to every answer.

    Args:
        app: the application that answers.
    """

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        """Answer one request."""

        async def with_policies(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                own = [(name.encode(), value.encode()) for name, value in _HEADERS.items()]
                others = [pair for pair in message["headers"] if pair[0].lower().decode() not in _HEADERS]
                message["headers"] = [*(_secured(*pair) for pair in others), *own]
            await send(message)

        await self._app(scope, receive, with_policies)


class Closed:
    """Keeps what is not part of the login from whoever may not open the dashboard.

    Args:
        app: the application that answers.
    """

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        """Answer one request."""
        is_closed = scope["type"] == "http" and scope["path"].startswith(_CLOSED)
        if is_closed and not await run_in_threadpool(gate.admits, HTTPConnection(scope)):
            answer = PlainTextResponse(
                "You may not do this: a login that opens the dashboard was needed. Sign in.", 403
            )
            await answer(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def _secured(name: bytes, value: bytes) -> tuple[bytes, bytes]:
    """A header of an answer: where people come by https, their cookies go by nothing else."""
    is_cookie = name.lower() == b"set-cookie" and b"secure" not in value.lower()
    return name, value + b"; Secure" if is_cookie and _IS_HTTPS else value


_sign_in = sign_in_of(load(), config.get_option("server.port"))
app = App(
    Path(__file__).with_name("app.py"),
    routes=routes(_sign_in, people_of(load())) if _sign_in else None,
    middleware=[
        Middleware(Policies),
        Middleware(
            TrustedHostMiddleware, allowed_hosts=config.get_option("server.allowedHosts") or ["*"], www_redirect=False
        ),
        Middleware(Closed),
    ],
)
