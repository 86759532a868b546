"""The three calls that Nixtla's client makes to forecast: `NixtlaClient(api_key=TOKEN, base_url=…).forecast(df, h=10)`.

It sends closes and nothing else, so that the model is `ewma-t`, which needs no more: the champion wants bars.
Source: nixtla 0.9.0, `nixtla_client.py` and `_payloads.py`.
"""

from typing import Annotated, Any

import numpy as np
import pyarrow as pa
from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tickercast.api.answers import answer
from tickercast.api.problems import Problem, of_validation, refuse_repeated
from tickercast.api.service import Service, service_of
from tickercast.domain.distribution import quantile
from tickercast.domain.frequency import DAILY
from tickercast.domain.text import rounded

router = APIRouter(tags=["nixtla"])

INPUT_SIZE = 750
"""The closes of a series that the client sends: three years."""

_MOST_SERIES = 500
_MOST_LEVELS = 99  # the client sends one for each quantile: every percentile
_LARGEST = 64_000_000  # bytes, unpacked


class Series(BaseModel):
    """The closes of one or more series, below each other."""

    model_config = ConfigDict(extra="ignore")

    y: list[Annotated[float, Field(gt=0, lt=1e12, allow_inf_nan=False)]]
    sizes: Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=1, max_length=_MOST_SERIES)]
    X: list[Any] | None = None
    X_future: list[Any] | None = None


class NixtlaRequest(BaseModel):
    """The request of the client; a field that does not bear on closes is ignored if it asks for nothing."""

    model_config = ConfigDict(extra="ignore")

    series: Series
    h: Annotated[int, Field(ge=1, le=DAILY.horizon, description="Steps: the model is measured for ten.")]
    freq: Annotated[str, Field(max_length=20)]
    level: Annotated[list[Annotated[float, Field(ge=0, lt=100)]], Field(max_length=_MOST_LEVELS)] | None = None
    model: str = ""
    finetune_steps: Annotated[int, Field(ge=0, le=0, description="There is nothing to tune.")] = 0


class NixtlaForecast(BaseModel):
    """Medians and intervals, the steps of each series below each other."""

    mean: list[float]
    intervals: dict[str, list[float]] | None
    weights_x: None = None


class Detail(BaseModel):
    """An answer in the form of that client."""

    detail: Any


@router.get("/validate_api_key", response_model=Detail)
async def validate_api_key(request: Request) -> Response:
    """Whether the token is valid; it counts as no call."""
    admitted = request.scope["tickercast.admitted"]
    owner = admitted.token.owner if admitted.token else "anybody on this machine"
    return answer({"detail": f"The token of {owner} is valid."}, csv=False)


@router.get("/model_params", response_model=Detail)
async def model_params(
    model: Annotated[str, Query(max_length=80)] = "", freq: Annotated[str, Query(max_length=20)] = ""
) -> Response:
    """The number of closes that the model wants, and its horizon."""
    return answer({"detail": {"input_size": INPUT_SIZE, "horizon": DAILY.horizon}}, csv=False)


REFERENCE = "#/components/schemas/{model}"
"""The place of the schemas in a description."""

_SCHEMA = {"$ref": REFERENCE.format(model=NixtlaRequest.__name__)}
_BODY = {"requestBody": {"required": True, "content": {"application/json": {"schema": _SCHEMA}}}}


@router.post("/v2/forecast", response_model=NixtlaForecast, openapi_extra=_BODY)
async def forecast(request: Request) -> Response:
    """Forecast closes by EWMA-t; large bodies come in zstd."""
    service = service_of(request)
    body = await request.body()
    packed = request.headers.get("content-encoding", "") == "zstd"
    return answer(await service.work(_forecast, service, body, packed), csv=False)


def _forecast(service: Service, body: bytes, packed: bool) -> dict[str, Any]:
    asked = _read(_unpacked(body) if packed else body)
    if sum(asked.series.sizes) != len(asked.series.y):
        raise Problem(
            422,
            f"sizes say {sum(asked.series.sizes)} closes, and y holds {len(asked.series.y)}: as many were needed. "
            "Correct one of them.",
        )
    if asked.series.X or asked.series.X_future:
        raise Problem(422, "Exogenous columns were sent: closes alone are forecast from. Leave the others out.")
    ends = np.cumsum(asked.series.sizes)
    closes = np.split(np.array(asked.series.y), ends[:-1])
    returns = service.app.forecast_closes(closes, asked.h)
    last = np.array([one[-1] for one in closes])

    def at(level: float) -> list[float]:
        found = last[:, None] * np.exp(quantile(returns, np.array([level]))[..., 0])
        return [float(value) for value in found.ravel()]

    sides = {"lo": -1, "hi": 1}
    intervals = {
        f"{side}-{rounded(level, 15)}": at(0.5 + sign * level / 200)
        for level in dict.fromkeys(asked.level or ())
        for side, sign in sides.items()
    }
    return {"mean": at(0.5), "intervals": intervals or None, "weights_x": None}


def _unpacked(body: bytes) -> bytes:
    try:
        with pa.input_stream(pa.BufferReader(body), compression="zstd") as stream:
            found: bytes = stream.read(_LARGEST + 1)
    except (OSError, pa.ArrowInvalid) as error:
        raise Problem(400, "The body is no zstd, which its Content-Encoding says: send it whole, or plain.") from error
    if len(found) > _LARGEST:
        raise Problem(413, f"The body has more than {_LARGEST // 1_000_000} MB unpacked. Send fewer series.")
    return found


def _read(body: bytes) -> NixtlaRequest:
    try:
        found = NixtlaRequest.model_validate_json(body, strict=True)
    except ValidationError as error:
        raise of_validation([{**one, "loc": ("body", *one["loc"])} for one in error.errors()]) from error
    refuse_repeated(body)
    return found
