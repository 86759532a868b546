"""Whether the server lives and can answer, its measures, and the calls of a token."""

from datetime import UTC
from typing import Any

from fastapi import APIRouter, Request, Response

from tickercast.api import metrics, schemas
from tickercast.api.answers import answer, records
from tickercast.api.service import Service, service_of
from tickercast.errors import ObjectNotFound, TickercastError

router = APIRouter(tags=["operate"])


@router.get("/healthz", response_model=schemas.State)
async def healthz() -> Response:
    """Whether the process answers; it asks nothing else."""
    return answer({"status": "ok"}, csv=False)


@router.get("/readyz", response_model=schemas.State)
async def readyz(request: Request) -> Response:
    """Whether model store, warehouse and champion answer."""
    service = service_of(request)
    await service.work(_check, service)
    return answer({"status": "ok"}, csv=False)


@router.get(
    "/metrics", responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}}, response_class=Response
)
async def measures(request: Request) -> Response:
    """Requests, latency, the age of the newest file and the champion's version, as Prometheus reads them."""
    service = service_of(request)
    return Response(await service.work(_measures, service), media_type=metrics.MEDIA_TYPE)


@router.get("/v1/usage", response_model=schemas.Usage)
async def usage(request: Request) -> Response:
    """The calls of the token that asks, and its quota; it counts as none."""
    admitted = request.scope["tickercast.admitted"]
    if admitted.token is None:
        raise ObjectNotFound("The server needs no tokens, so that no usage is kept by token. Make one to count calls.")
    service = service_of(request)
    return answer(await service.work(_usage, service, admitted.token), csv=False)


def _check(service: Service) -> None:
    service.app.tokens()
    service.app.revision()
    service.app.champion()


def _measures(service: Service) -> bytes:
    age: float | None = None
    champion: tuple[str, str] | None = None
    try:
        newest = service.app.newest_ingestion()
        age = (service.app.now().astimezone(UTC) - newest).total_seconds() if newest else None
        champion = service.app.champion()
    except TickercastError:  # the measures of the server itself still count
        pass
    return service.metrics.text(age_s=age, champion=champion)


def _usage(service: Service, token: Any) -> dict[str, Any]:
    return {
        "token": token.id,
        "owner": token.owner,
        "scopes": list(token.scopes),
        "per_month": token.per_month,
        "leased": service.app.leased_calls(token) if token.per_month else 0,
        "calls": records(service.app.usage_of(token.id)),
        "not_appended": service.usage.calls(token.id),
    }
