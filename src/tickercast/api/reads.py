"""Routes for reading: forecasts, records, indicators, odds, and the overview of all symbols."""

import math
from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, Any, Literal

import pandas as pd
from fastapi import APIRouter, Query, Request, Response

from tickercast.api import schemas
from tickercast.api.answers import answer, forecast_answer, wants_csv
from tickercast.api.problems import Problem
from tickercast.api.schemas import FREQUENCIES, HIGHEST, LOWEST, Cutoff, Day, Symbol
from tickercast.api.service import Service, service_of
from tickercast.api.wording import findings_for_callers, for_callers
from tickercast.app import App
from tickercast.app.access import StoredForecast
from tickercast.domain.frequency import DAILY, HOURLY, frequency_of
from tickercast.domain.text import rounded
from tickercast.errors import ObjectNotFound, UsageError
from tickercast.reading import views
from tickercast.reading.track_record import Seen
from tickercast.show.answers import ages_of, notes
from tickercast.show.overview import overview_frame
from tickercast.show.sentences import had_seen_of

router = APIRouter(tags=["read"])

CSV: dict[int | str, dict[str, Any]] = {200: {"content": {"text/csv": {"schema": {"type": "string"}}}}}
"""The other content type of a route whose answer is rows."""

Format = Annotated[
    Literal["json", "csv"] | None,
    Query(alias="format", description="`csv` for programs that send no header Accept."),
]
Frequency = Annotated[FREQUENCIES, Query(description="How far the bars lie apart: `1d` days, `1h` hours.")]
Level = Annotated[
    float | None, Query(ge=LOWEST, le=HIGHEST, allow_inf_nan=False, description="A price in the symbol's currency.")
]


def rows(request: Request, found: Any) -> Response:
    """Answer with rows, as JSON or CSV."""
    return answer(found, csv=wants_csv(request.headers.get("accept", ""), request.query_params))


@router.get("/v1/forecasts/{symbol}", response_model=schemas.Forecast, responses=CSV)
async def forecast(
    request: Request,
    symbol: Symbol,
    model: Annotated[str, Query(max_length=80, description="The model; `champion` by default.")] = "",
    cutoff: Annotated[
        Cutoff | None,
        Query(description="The forecast origin, the newest by default: a day, or of hourly bars a moment, too (UTC)."),
    ] = None,
    frequency: Frequency = "1d",
    kind: Format = None,
) -> Response:
    """The current forecast of a symbol, or that from a cutoff; as CSV one row a step."""
    if isinstance(cutoff, datetime) and frequency_of(frequency).is_daily:
        raise Problem(
            422, f"cutoff={cutoff.isoformat()} is a moment: of daily bars a day was needed. Leave the time out."
        )
    service = service_of(request)
    found = await _stored(service, symbol, frequency, model=model, cutoff=cutoff)
    if wants_csv(request.headers.get("accept", ""), request.query_params):
        return answer(found.made.frame(), csv=True)
    return forecast_answer(found.made, found.as_of, service.addresses)


@router.get("/v1/skill/{symbol}", response_model=schemas.SKILL, responses=CSV)
async def skill(request: Request, symbol: Symbol, frequency: Frequency = "1d", kind: Format = None) -> Response:
    """The record of every model on a symbol against the random walk's: over all steps (step null), and by step."""
    service = service_of(request)
    wanted = {"symbol": symbol, "frequency": frequency}
    found = await service.work(service.app.tables.read, "forecast_skill", wanted)
    if found.empty:
        await _stored(service, symbol, frequency)  # says so if there is none
        raise ObjectNotFound(
            f"No forecast of {symbol} at frequency {frequency} that counts has come true yet: one was needed. Ask "
            "again once the bars that follow have arrived."
        )
    seen = await service.work(service.app.seen_in_training, [symbol], frequency, role=None)
    found = _with_seen(found, seen, ["role", "model_name"], service)
    return rows(request, _whole(found, "step").sort_values(["role", "model_name", "step"], na_position="first"))


@router.get("/v1/symbols", response_model=list[schemas.SymbolRow], responses=CSV)
async def symbols(request: Request, kind: Format = None) -> Response:
    """The symbols that have been forecast, with the newest cutoff of each."""
    service = service_of(request)
    return rows(request, (await service.work(views.freshness, service.app.tables)).sort_values("symbol"))


@router.get("/v1/indicators/{symbol}", response_model=schemas.INDICATORS, responses=CSV)
async def indicators(
    request: Request,
    symbol: Symbol,
    first: Annotated[Day | None, Query(description="The first session wanted.")] = None,
    last: Annotated[Day | None, Query(description="The last session wanted.")] = None,
    sessions: Annotated[int, Query(ge=1, le=5000, description="The most sessions, counted from the last.")] = 250,
    frequency: Frequency = "1d",
    kind: Format = None,
) -> Response:
    """The newest bars of a symbol with their indicators, the oldest first."""
    if first is not None and last is not None and first > last:
        raise Problem(422, f"first={first} is after last={last}: a range was needed. Swap them.")
    service = service_of(request)
    wanted: dict[str, Any] = {"symbol": symbol, "frequency": frequency}
    found = await service.work(service.app.tables.read, "indicators", wanted)
    if found.empty:
        raise ObjectNotFound(
            f"{symbol} has no bars at frequency {frequency}: a symbol that /v1/symbols lists at that frequency was "
            "needed. Name one, or the other frequency."
        )
    found = found.sort_values(["session_date", "closed_at"])
    days = found["session_date"]
    inside = found[(days >= pd.Timestamp(first or date.min)) & (days <= pd.Timestamp(last or date.max))]
    if inside.empty:
        raise ObjectNotFound(
            f"{symbol} has no bars in that range: it has them from {days.iloc[0].date()} to {days.iloc[-1].date()}. "
            "Name other dates."
        )
    return rows(request, inside.tail(sessions))


@router.get("/v1/odds/{symbol}", response_model=schemas.Odds, responses=CSV)
async def odds(
    request: Request, symbol: Symbol, above: Level = None, below: Level = None, kind: Format = None
) -> Response:
    """The chance of being above a price, below one, or, with both, between `above` and `below`, by daily step."""
    service = service_of(request)
    if above is None and below is None:
        raise Problem(422, "No price was named: above=PRICE or below=PRICE was needed, or both for a range. Name one.")
    if above is not None and below is not None and above >= below:
        seen = f"above={rounded(above, 15)} is not less than below={rounded(below, 15)}"
        raise Problem(422, f"{seen}: a range was needed. Swap them.")
    try:
        found = await service.work(_chances, service.app, symbol, above, below)
    except UsageError:
        await _stored(service, symbol, DAILY.name)  # says so if there is none
        raise
    if wants_csv(request.headers.get("accept", ""), request.query_params):
        return answer(pd.DataFrame(found["chances"]), csv=True)
    return answer(found, csv=False)


@router.get("/v1/overview", response_model=list[schemas.Overview], responses=CSV)
async def overview(request: Request, kind: Format = None) -> Response:
    """One row a symbol: what its current daily forecast says, and how far that can be trusted.

    A symbol without a daily forecast of the 100 days up to the newest of all is left out; `/v1/symbols` has it.
    """
    service = service_of(request)
    shown = await service.work(service.app.overview)
    seen = await service.work(service.app.seen_in_training, [row.symbol for row in shown])
    found = overview_frame(shown, seen)
    said = {
        "findings": [findings_for_callers(one, service.addresses) for one in found["findings"]],
        "seen_in_training": [for_callers(one, service.addresses) for one in found["seen_in_training"]],
    }
    return rows(request, found.assign(**said))


@router.get("/v1/models", response_model=schemas.MODELS, responses=CSV)
async def models(request: Request, frequency: Frequency = "1d", kind: Format = None) -> Response:
    """Each version of a model in each role, the newest first; of hourly models with `frequency=1h`."""
    service = service_of(request)
    found = await service.work(views.models, service.app.tables, frequency)
    seen = await service.work(service.app.seen_in_training, None, frequency, role=None)
    return rows(request, _with_seen(found, seen, ["role", "model_name", "model_version"], service))


async def _stored(service: Service, symbol: str, frequency: str, **which: Any) -> StoredForecast:
    """A stored forecast; where there is none, the error names those at the other frequency."""
    try:
        return await service.work(service.app.stored_forecast, symbol, frequency=frequency, **which)
    except ObjectNotFound as error:
        other = HOURLY if frequency_of(frequency).is_daily else DAILY
        wanted = {"symbol": symbol, "status": "forecast", "frequency": other.name}
        held = await service.work(service.app.tables.read, "ingestions", wanted, ["symbol"])
        if held.empty:
            raise
        kind = "daily" if other.is_daily else "hourly"
        raise ObjectNotFound(
            f"{error} Its {kind} forecasts are at /v1/forecasts/{symbol}?frequency={other}."
        ) from error


def _with_seen(found: pd.DataFrame, seen: Sequence[Seen], keys: Sequence[str], service: Service) -> pd.DataFrame:
    """Rows of records, with a column that says whether they rest on dates that the model was trained on."""
    said = [
        for_callers(had_seen_of(seen, **dict(zip(keys, row, strict=True))), service.addresses)
        for row in found[list(keys)].itertuples(index=False)
    ]
    return found.assign(seen_in_training=said)


def _whole(found: pd.DataFrame, column: str) -> pd.DataFrame:
    """Rows whose column of whole numbers, some unknown, stays one."""
    return found.assign(**{column: found[column].astype("Int64")})


def _chances(app: App, symbol: str, above: float | None, below: float | None) -> dict[str, Any]:
    found = app.odds(symbol)
    made = found.made
    low, high = (None if price is None else math.log(price / made.last_close) for price in (above, below))
    if low is not None and high is not None:
        ways = found.odds.between(low, high)
    elif low is not None:
        ways = found.odds.above(low)
    else:
        assert high is not None
        ways = found.odds.below(high)
    dates = [step.target_date for step in made.steps]
    steps = zip(dates, ways.ends, ways.closes, ways.touches, strict=True)
    return {
        "symbol": made.symbol,
        "cutoff": made.cutoff,
        "last_close": made.last_close,
        "model_name": made.model_name,
        "model_version": made.model_version,
        "above": above,
        "below": below,
        "simulated": made.simulated,
        "past_sessions": found.outlook.sessions,
        "remarks": [str(each) for each in (*ages_of(found.outlook, app.now()), *notes(found.outlook))],
        "chances": [
            {"step": step, "target_date": day.isoformat(), **_rounded(ends=ends, closes=closes, touches=touches)}
            for step, (day, ends, closes, touches) in enumerate(steps, start=1)
        ],
    }


def _rounded(**chances: float) -> dict[str, float]:
    return {name: round(min(1.0, max(0.0, float(chance))), 4) for name, chance in chances.items()}
