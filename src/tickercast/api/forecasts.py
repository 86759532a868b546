"""Routes for requests: forecasts on the path of every file, or at once and without a trace."""

import base64
import binascii
import csv
import io
import logging
from collections.abc import Callable
from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response

from tickercast.api import schemas
from tickercast.api.answers import answer, forecast_answer
from tickercast.api.problems import Problem, refuse_repeated
from tickercast.api.schemas import Bar, ForecastRequest
from tickercast.api.service import Result, service_of
from tickercast.api.wording import findings_for_callers, for_callers
from tickercast.domain import objects
from tickercast.domain.calendar import parse_day
from tickercast.errors import (
    EngineUnusable,
    InvalidBars,
    NoRecentBars,
    SourceUnavailable,
    TickercastError,
    UnknownSymbol,
    UsageError,
)

log = logging.getLogger(__name__)

router = APIRouter(tags=["forecast"])

_OF_SOURCE = (UnknownSymbol, NoRecentBars, InvalidBars, UsageError, SourceUnavailable)
"""The errors where the server fetches bars, and cannot."""

_COLUMNS = ("Date", "Open", "High", "Low", "Close", "Adj Close", "Volume")


async def _nothing_repeated(request: Request) -> None:
    await service_of(request).work(refuse_repeated, await request.body())


@router.post(
    "/v1/forecasts",
    status_code=202,
    dependencies=[Depends(_nothing_repeated)],
    response_model=schemas.Ticket,
    responses={200: {"model": schemas.Forecast, "description": "With `store=false`: the forecast, stored nowhere."}},
)
async def request_forecast(
    request: Request,
    asked: ForecastRequest,
    store: Annotated[bool, Query(description="Whether the bars and the forecast are stored.")] = True,
) -> Response:
    """Request a forecast. The bars become a file, whose event forecasts them; the ticket says what became of it."""
    service = service_of(request)
    data = _csv(asked.bars) if asked.bars else b""
    as_of = parse_day(asked.as_of or service.app.now().date())
    if not store:
        made = await service.work(_ask, service.app.forecast_unstored, data, asked.symbol, as_of)
        return forecast_answer(made, as_of, service.addresses)
    sent = await service.work(_ask, service.app.send, data, asked.symbol, as_of)
    service.look_again()
    ticket = _ticket(sent.object, sent.generation)
    url = f"/v1/tickets/{ticket}"
    values = {"ticket": ticket, "url": url, "symbol": asked.symbol}
    values |= {"object": sent.object, "generation": sent.generation}
    return answer(values, csv=False, status=202, headers={"Location": url, "Retry-After": "1"})


@router.get("/v1/tickets/{ticket}", response_model=schemas.TicketState)
async def ticket(request: Request, ticket: str) -> Response:
    """The status of a request: `pending` until its event has been handled."""
    service = service_of(request)
    name, generation = _named(ticket)
    entries = await service.work(service.app.entries_of, name, generation)
    values: dict[str, Any] = {"ticket": ticket, "status": "pending"}
    if not entries:
        return answer(values, csv=False, headers={"Retry-After": "1"})
    service.look_again()
    one = next((entry for entry in entries if entry.status == "forecast"), entries[0])
    values |= {
        "status": one.status,
        "symbol": one.symbol,
        "cutoff": one.cutoff,
        "reason": for_callers(one.reason, service.addresses),
        "findings": findings_for_callers(one.findings, service.addresses),
        "url": f"/v1/forecasts/{one.symbol}?cutoff={one.cutoff}" if one.status == "forecast" else None,
    }
    return answer(values, csv=False)


def _ask(use: Callable[[bytes, str, date], Result], data: bytes, symbol: str, as_of: date) -> Result:
    try:
        return use(data, symbol, as_of)
    except _OF_SOURCE as error:
        if data:
            raise
        raise _of_source(error, symbol) from error


def _of_source(error: TickercastError, symbol: str) -> TickercastError:
    """The same error for a caller, who has not chosen the source and cannot mend it; symbol and date are valid."""
    source = "The server's source of prices"
    if isinstance(error, UnknownSymbol):
        return UnknownSymbol(
            f"{source} does not know {symbol}: bars, or a symbol that it knows, were needed. Send bars along, or "
            "correct the symbol."
        )
    if isinstance(error, NoRecentBars):
        return error.of(source)
    if isinstance(error, SourceUnavailable):
        log.warning("%s", error)
        return type(error)(f"{source} does not answer: bars were needed. Try again later, or send bars along.")
    if isinstance(error, UsageError | InvalidBars):
        log.warning("%s", error)
        return EngineUnusable(
            f"The server cannot fetch bars of {symbol}, which were needed; its log says why. Send bars along, or tell "
            "whoever runs the server."
        )
    return error


def _csv(bars: list[Bar]) -> bytes:
    unadjusted = [bar.date for bar in bars if bar.adj_close is None]
    if 0 < len(unadjusted) < len(bars):
        raise Problem(
            422,
            f"body.bars: adj_close is missing in {len(unadjusted):,} of {len(bars):,} bars, the first of "
            f"{min(unadjusted)}: it was needed in all or in none. Add it, or leave it out of all.",
        )
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    columns = [*_COLUMNS[:5], "Volume"] if unadjusted else _COLUMNS
    writer.writerow(columns)
    for bar in bars:
        adjusted = [bar.adj_close] if "Adj Close" in columns else []
        writer.writerow([bar.date, bar.open, bar.high, bar.low, bar.close, *adjusted, bar.volume])
    return text.getvalue().encode()


def _ticket(name: str, generation: object) -> str:
    """The name and version of a file as one word of an address.

    >>> _named(_ticket("ohlc/2023-07-22/MSFT.csv", 7))
    ('ohlc/2023-07-22/MSFT.csv', '7')
    """
    return base64.urlsafe_b64encode(f"{name}#{generation}".encode()).decode().rstrip("=")


def _named(ticket: str) -> tuple[str, str]:
    unknown = Problem(404, "The ticket is not known: one that POST /v1/forecasts answered was needed. Send it whole.")
    try:
        text = base64.b64decode(ticket + "=" * (-len(ticket) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise unknown from error
    name, _, generation = text.rpartition("#")
    try:
        objects.parse(name)
    except UsageError as error:
        raise unknown from error
    if not generation.isprintable() or not generation or _ticket(name, generation) != ticket:
        raise unknown
    return name, generation
