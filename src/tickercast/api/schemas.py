"""The requests and answers of the API, as its OpenAPI description shows them; a forecast is what `--json` prints."""

import re
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    WithJsonSchema,
    create_model,
)

from tickercast.domain.symbols import parse_symbol

FREQUENCIES = Literal["1d", "1h"]
MOST_BARS = 5_000
"""The bars that one request may hold: twenty years of sessions."""

_SYMBOL = {"minLength": 1, "maxLength": 20, "pattern": r"^[A-Za-z0-9^]([.=\-]?[A-Za-z0-9^])*$"}
Symbol = Annotated[str, AfterValidator(parse_symbol), Field(json_schema_extra=dict(_SYMBOL), examples=["MSFT"])]
"""A symbol as Yahoo spells it, in either case."""

LOWEST, HIGHEST = 1e-12, 1e12
"""The prices that are taken, in the symbol's currency."""


Price = Annotated[float, Field(ge=LOWEST, le=HIGHEST, allow_inf_nan=False, strict=True)]

_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_FIRST_YEAR, _LAST_YEAR = 1900, 2100


def _day(value: object) -> date:
    """A day; a number is none, which pydantic would take for seconds since 1970, as a text too."""
    try:
        if not _DATE.fullmatch(str(value)):
            raise ValueError
        found = date.fromisoformat(str(value))
    except ValueError as error:
        raise ValueError("a date of the calendar written YYYY-MM-DD") from error
    return _in_range(found)


def _cutoff(value: object) -> date:
    """A day, or a moment in UTC, naive."""
    text = str(value).upper()
    try:
        if _DATE.fullmatch(text):
            found = date.fromisoformat(text)
        elif re.match(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d", text):
            moment = datetime.fromisoformat(text)
            found = moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
        else:
            raise ValueError
    except (ValueError, OverflowError) as error:
        raise ValueError("a date of the calendar written YYYY-MM-DD, or of hours a moment YYYY-MM-DDTHH:MM,") from error
    return _in_range(found)


def _in_range(day: date) -> date:
    if not _FIRST_YEAR <= day.year <= _LAST_YEAR:
        raise ValueError(f"a date from {_FIRST_YEAR} to {_LAST_YEAR}")
    return day


Day = Annotated[date, PlainValidator(_day), WithJsonSchema({"type": "string", "format": "date"})]
"""A day."""

Cutoff = Annotated[
    date,
    PlainValidator(_cutoff),
    WithJsonSchema({"type": "string", "anyOf": [{"format": "date"}, {"format": "date-time"}]}),
]
"""The origin of a forecast: a day, or a moment in UTC, naive."""


SeenInTraining = Annotated[
    str,
    Field(
        description="What it means that the record counts forecasts of dates that the model was trained on; empty "
        "where it counts none.",
        examples=[""],
    ),
]
"""A warning about a record, in sentences."""


class Problem(BaseModel):
    """An error, by RFC 9457."""

    type: str = "about:blank"
    title: str = Field(examples=["Not Found"])
    status: int = Field(examples=[404])
    detail: str = Field(
        description="What was seen, what was needed, what to do.",
        examples=["MSFT has no forecast at frequency 1d: one was needed. Request it."],
    )
    instance: str = Field(examples=["/v1/forecasts/MSFT"])


class Step(BaseModel):
    """The forecast of one close, in the symbol's currency."""

    step: int
    target_date: date
    target_at: datetime | None = Field(None, description="Of hourly bars: the end of the bar forecast.")
    close_median: float
    close_lo_80: float
    close_hi_80: float
    close_lo_95: float
    close_hi_95: float
    quantiles: dict[str, float] | None = Field(None, description="Thirteen by level, where they are stored.")


class Forecast(BaseModel):
    """A forecast; those with a default are there where they say something."""

    symbol: str
    as_of: date | datetime
    cutoff: date
    last_close: float
    model_name: str
    model_version: str
    object: str = Field(description="The file it was made from; empty where nothing was stored.")
    generation: str
    forecast: list[Step]
    frequency: str = "1d"
    cutoff_at: datetime | None = Field(None, description="Of hourly bars: the end of the last one.")
    simulated: bool = False
    findings: str = ""
    doubtful: bool = False
    results: dict[str, Any] | None = Field(None, description="The results day that the forecast counts with.")

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "symbol": "MSFT",
                "as_of": "2023-07-22",
                "cutoff": "2023-07-21",
                "last_close": 343.77,
                "model_name": "tickercast-lstm",
                "model_version": "1",
                "object": "ohlc/2023-07-22/MSFT.csv",
                "generation": "1690000000000000",
                "forecast": [
                    {
                        "step": 1,
                        "target_date": "2023-07-24",
                        "close_median": 343.9,
                        "close_lo_80": 337.6,
                        "close_hi_80": 350.1,
                        "close_lo_95": 332.2,
                        "close_hi_95": 355.4,
                    }
                ],
            }
        }
    )


class Bar(BaseModel):
    """A bar, in the symbol's currency."""

    model_config = ConfigDict(extra="forbid")

    date: Day
    open: Price
    high: Price
    low: Price
    close: Price
    adj_close: Price | None = None
    volume: Annotated[float, Field(ge=0, le=1e18, allow_inf_nan=False, strict=True)] | None = None


class ForecastRequest(BaseModel):
    """A symbol with a date, whose bars the server fetches; or a symbol with bars."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"symbol": "MSFT", "as_of": "2023-07-22"},
                {
                    "symbol": "MSFT",
                    "as_of": "2023-07-22",
                    "bars": [{"date": "2023-07-21", "open": 349.1, "high": 351.0, "low": 339.8, "close": 343.8}],
                },
            ]
        },
    )

    symbol: Symbol
    as_of: Day | None = Field(None, description="Forecast from the last bar on or before this date; today by default.")
    bars: Annotated[list[Bar], Field(min_length=1, max_length=MOST_BARS)] | None = None


class Ticket(BaseModel):
    """A request that was accepted."""

    ticket: str
    url: str = Field(
        description="Says what became of it.", examples=["/v1/tickets/b2hsYy8yMDIzLTA3LTIyL01TRlQuY3N2IzE"]
    )
    symbol: str
    object: str
    generation: str


class TicketState(BaseModel):
    """The status of a request."""

    ticket: str
    status: Literal["pending", "forecast", "rejected", "superseded"]
    symbol: str | None = None
    cutoff: date | None = None
    reason: str = Field("", description="Why it was rejected, or a remark on the forecast.")
    findings: str = ""
    url: str | None = Field(None, description="The forecast.")


class SymbolRow(BaseModel):
    """A symbol that was forecast."""

    symbol: str
    frequency: str
    cutoff: date
    cutoff_at: datetime | None
    received_at: datetime


class Overview(BaseModel):
    """The current state of one symbol, by the champion."""

    symbol: str
    cutoff: date
    last_close: float
    change: float | None = Field(description="Since the close before, as a share.")
    sessions: int = Field(description="How far ahead the forecast reaches.")
    target_date: date
    close_median: float
    close_lo_80: float
    close_hi_80: float
    lo_80: float = Field(description="The lower end relative to the last close, as a share.")
    hi_80: float
    width_rank: float | None = Field(
        description="The share of the year's sessions whose volatility gave a narrower interval."
    )
    chance_higher: float | None = Field(description="That the close then lies above the last close.")
    coverage_80: float | None = Field(description="The share of past closes inside the 80% interval.")
    n: int = Field(description="Closes that have come true.")
    verdict: str
    seen_in_training: SeenInTraining
    findings: str
    doubtful: bool
    simulated: bool
    model_name: str
    model_version: str
    age_days: int = Field(description="Days since the cutoff.")
    state: Literal["fresh", "due", "stale", "expired", "unknown"] = Field(
        description="Whether the forecast is fresh, by its exchange's calendar."
    )
    missed: int = Field(description="Sessions that have closed since the cutoff.")
    freshness: str = Field(description="The state in a sentence.")


class Chances(BaseModel):
    """The chances of one step."""

    step: int
    target_date: date
    ends: float = Field(description="That the close of the step lies there.")
    closes: float = Field(description="That some close up to the step does; for a range: that all do.")
    touches: float = Field(description="That some high or low up to the step does; for a range: that all stay inside.")


class Odds(BaseModel):
    """The chances of one symbol's prices."""

    symbol: str
    cutoff: date
    last_close: float
    model_name: str
    model_version: str
    above: float | None
    below: float | None
    simulated: bool
    past_sessions: int = Field(description="The past sessions from which the chances were drawn.")
    remarks: list[str] = Field(
        description="What makes the chances less certain, such as an old forecast, a short past or odd bars, and a "
        "results day ahead."
    )
    chances: list[Chances]


class UsageRow(BaseModel):
    """Calls of one month, route and status."""

    month: date
    route: str
    status: int
    calls: int


class Usage(BaseModel):
    """The calls of the token that asks."""

    token: str
    owner: str
    scopes: list[str]
    per_month: int | None
    leased: int = Field(description="Calls of this month that instances have taken from the quota.")
    calls: list[UsageRow] = Field(description="Those that were appended, since the beginning of last month.")
    not_appended: int = Field(description="Calls that this instance has answered since.")


class State(BaseModel):
    """Whether the server lives, or can answer."""

    status: Literal["ok"]


def _view(name: str, **columns: Any) -> Any:
    """A list of rows, as a type."""
    fields: dict[str, Any] = {column: (kind, ...) for column, kind in columns.items()}
    made = create_model(name, __doc__="A row of the view of that kind; see docs/views.md.", **fields)
    return list[made]


_NUMBERS = (
    *("open", "high", "low", "close", "volume", "sma_5", "sma_15", "sma_20", "sma_50", "ema_12", "ema_26", "macd"),
    *("macd_signal", "macd_histogram", "rsi_14", "bollinger_lower", "bollinger_upper", "atr_14", "volatility_20"),
    "drawdown",
)
INDICATORS = _view(
    "Indicators",
    symbol=str,
    frequency=str,
    session_date=date,
    closed_at=datetime | None,
    **dict.fromkeys(_NUMBERS, float | None),
    simulated=bool,
)
_SHARES = ("pinball_ratio_lo", "pinball_ratio_hi", "mae_ratio", "coverage_80", "coverage_95", "direction")
SKILL = _view(
    "Skill",
    model_name=str,
    role=str,
    symbol=str | None,
    frequency=str,
    step=int | None,
    n=int,
    n_backfilled=int,
    blocks=int,
    pinball_ratio=float | None,
    **dict.fromkeys(_SHARES, float | None),
    verdict=str,
    seen_in_training=SeenInTraining,
)
MODELS = _view(
    "Model",
    model_name=str,
    model_version=str,
    role=str,
    frequency=str,
    first_made_at=datetime,
    last_made_at=datetime,
    first_cutoff=date,
    last_cutoff=date,
    symbols=int,
    forecasts=int,
    n_scored=int,
    pinball_ratio=float | None,
    coverage_80=float | None,
    coverage_95=float | None,
    seen_in_training=SeenInTraining,
)
