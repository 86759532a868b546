"""The server: its routes, their description, and what it does when it begins and ends."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from tickercast.api import forecasts, health, nixtla, problems, reads, schemas
from tickercast.api.door import PUBLIC, Door
from tickercast.api.problems import Problem
from tickercast.api.service import Service
from tickercast.app import App
from tickercast.errors import TickercastError
from tickercast.jobs.access.usage import APPENDED_EVERY_S
from tickercast.version import __version__

log = logging.getLogger(__name__)

_DESCRIPTION = """Calibrated forecasts of the next ten trading sessions, their record, and the odds that follow.

A token goes into the header `Authorization: Bearer TOKEN`; whoever runs the server makes one. Answers are CSV
with `Accept: text/csv` or `format=csv`. Errors are `application/problem+json`."""
_ERRORS: dict[int | str, dict[str, Any]] = {
    status: {
        "description": text,
        "content": {problems.MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    for status, text in (
        (400, "The body is no JSON."),
        (401, "The token is missing, wrong, expired or revoked."),
        (403, "The token is for other things, or the request comes from a page."),
        (404, "There is no such thing."),
        (413, "The body is too large."),
        (421, "The request is for another host."),
        (422, "A word or a bar is not valid, or cannot be forecast."),
        (429, "The token has no calls left this month."),
        (
            503,
            "An engine does not answer: try again. Or what is stored is damaged: whoever runs the server has to act.",
        ),
    )
}


def make(app: App, *, needs_tokens: bool, is_local: bool, append_every_s: float = APPENDED_EVERY_S) -> Door:
    """The API over an application.

    Args:
        app: the application.
        needs_tokens: whether a call without a token is refused even while there are no tokens.
        is_local: whether the server listens on this machine alone.
        append_every_s: seconds between two bundles of usage.
    """
    service = Service(app, app.gate(needs_tokens=needs_tokens), app.usage_log())

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        beginning = inside.state.beginning = asyncio.create_task(asyncio.to_thread(_begin, app))
        appending = asyncio.create_task(_append_usage(service, append_every_s))
        try:
            yield
        finally:
            await beginning
            appending.cancel()
            with suppress(asyncio.CancelledError):
                await appending
            await asyncio.to_thread(service.usage.append, app.tables)
            await asyncio.to_thread(service.gate.close)

    inside = FastAPI(
        title="tickercast",
        version=__version__,
        description=_DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,  # its page loads scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,  # behind TLS it would lead to plain HTTP, with the token that stands in the address
        dependencies=[Depends(_only_known_words)],
        responses=_ERRORS,
    )
    inside.state.service = service
    inside.add_exception_handler(TickercastError, _answered(lambda error: problems.of_error(error, service.addresses)))
    inside.add_exception_handler(Problem, _answered(lambda error: error))
    inside.add_exception_handler(
        RequestValidationError, _answered(lambda error: problems.of_validation(error.errors()))
    )
    inside.add_exception_handler(HTTPException, _answered(_of_http))
    for module in (reads, forecasts, health, nixtla):
        inside.include_router(module.router)
    inside.openapi = lambda: description(inside)  # type: ignore[method-assign]
    return Door(inside, service, is_local=is_local)


def description(inside: FastAPI) -> dict[str, Any]:
    """The OpenAPI description, which names the errors and says which routes need a token."""
    if inside.openapi_schema is None:
        found = FastAPI.openapi(inside)
        parts = found["components"]
        parts["schemas"]["Problem"] = schemas.Problem.model_json_schema()
        asked = nixtla.NixtlaRequest.model_json_schema(ref_template=nixtla.REFERENCE)
        parts["schemas"] |= {**asked.pop("$defs"), nixtla.NixtlaRequest.__name__: asked}
        for unused in ("HTTPValidationError", "ValidationError"):
            parts["schemas"].pop(unused, None)
        parts["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        for path, methods in found["paths"].items():
            for operation in methods.values():
                operation["security"] = [] if path in PUBLIC else [{"token": []}]
                operation["responses"]["422"] = _ERRORS[422]
        inside.openapi_schema = found
    return inside.openapi_schema


def _begin(app: App) -> None:
    """Make tables and a champion where they are missing, and load what the first forecast needs; reads need no wait."""
    try:
        app.make_ready()
        app.champion()
    except TickercastError as error:  # /readyz says it until it passes
        log.warning("%s", error)


async def _append_usage(service: Service, every_s: float) -> None:
    while True:
        await asyncio.sleep(every_s)
        await asyncio.to_thread(service.usage.append, service.app.tables)


async def _only_known_words(request: Request) -> None:
    """Refuse a word in the query that means nothing here, most likely one that is misspelt, or that is there twice."""
    known = {word.alias for word in request.scope["route"].dependant.query_params} | {"token"}
    for word in request.query_params:
        if word not in known:
            there = ", ".join(sorted(known - {"token"})) or "none"
            raise Problem(
                422, f"{word[:40]!r} is no parameter here: one of {there} was needed. Correct or leave it out."
            )
        if (count := len(request.query_params.getlist(word))) > 1:
            raise Problem(422, f"{word} is given {count} times, and once was needed. Leave out all but one.")


def _answered(problem_of: Callable[[Any], Problem]) -> Callable[[Request, Exception], Response]:
    def answered(request: Request, error: Exception) -> Response:
        problem = problem_of(error)
        body = problem.body(request.url.path)
        return Response(body, problem.status, dict(problem.headers), problems.MEDIA_TYPE)

    return answered


def _of_http(error: HTTPException) -> Problem:
    if error.status_code == 400:  # FastAPI's, of bytes that are no text, and of brackets in thousands of others
        return problems.no_json()
    if error.status_code == 404:
        return Problem(404, "There is no such address: one that /openapi.json lists was needed. Correct it.")
    if error.status_code == 405:
        named = set((error.headers or {}).get("Allow", "").split(", "))
        allowed = sorted(named | {"HEAD"} if "GET" in named else named)  # `door` answers both
        detail = f"The method is not for this address: {' or '.join(allowed)} was needed. Use that."
        return Problem(405, detail, {"Allow": ", ".join(allowed)})
    detail = "The request cannot be answered: one that /openapi.json describes was needed. Correct it."
    return Problem(error.status_code, detail, error.headers or {})
