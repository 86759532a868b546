"""Freshness: how old a forecast is, by its exchange's calendar and against the clock.

It is the one rule: alerts follow from it, and every page, table and answer shows it. Weekends and holidays make no
forecast old, since no session closes on them.

>>> from datetime import UTC
>>> friday, now = date(2023, 7, 21), datetime(2023, 7, 23, 12, tzinfo=UTC)
>>> freshness("MSFT", friday, now)
Freshness(state='fresh', missed=0, sentence='No session has closed since 2023-07-21: this forecast is fresh.')
>>> freshness("MSFT", friday, datetime(2023, 7, 24, 21, tzinfo=UTC)).sentence
'The session of 2023-07-24 has just closed: a new forecast is due.'
>>> freshness("MSFT", friday, datetime(2023, 7, 25, 12, tzinfo=UTC)).sentence
'1 session has closed since 2023-07-21: this forecast is stale.'
>>> freshness("MSFT", friday, datetime(2023, 8, 5, tzinfo=UTC)).sentence
'10 sessions have closed since 2023-07-21: this forecast has expired.'
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal

from tickercast.domain.calendar import ALWAYS_OPEN, WEEKDAYS, calendar_name, is_over, newest_closed, sessions_between
from tickercast.domain.forecast import Forecast
from tickercast.domain.frequency import DAILY, HOURLY, stamp
from tickercast.errors import CalendarError

State = Literal["fresh", "due", "stale", "expired", "unknown"]
"""The states by rising age; `unknown` only where the exchange's sessions are not known on these dates."""

GRACE = timedelta(hours=3)
"""The time after a session's close that its forecast may take: sources have the bar later, and runs take time."""

STALE_HOURS = 3
"""Hours without a forecast from which on an hourly forecast is stale."""

_ROUND_THE_CLOCK = (ALWAYS_OPEN, WEEKDAYS)
_ONE_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Freshness:
    """The freshness of a forecast.

    Attributes:
        state: `fresh`: no session has closed, or hour ended, since its origin; `due`: the newest has, and its forecast
            may be under way; `stale`: a newer forecast is missing; `expired`: every date that it forecasts is over.
        missed: sessions that have closed, or hours that have ended, since its origin.
        sentence: the state as a sentence for people.
    """

    state: State
    missed: int
    sentence: str

    @property
    def is_missing(self) -> bool:
        """Whether there should be a newer forecast."""
        return self.state in ("stale", "expired")


def freshness_of(made: Forecast, now: datetime) -> Freshness:
    """Judge how old a forecast is, daily or hourly."""
    if made.cutoff_at is not None:
        return hourly_freshness(made.cutoff_at, now, hours=made.horizon)
    return freshness(made.symbol, made.cutoff, now, sessions=made.horizon)


def freshness(
    symbol: str, cutoff: date, now: datetime, *, sessions: int = DAILY.horizon, grace: timedelta = GRACE
) -> Freshness:
    """Judge how old a daily forecast is.

    One session may be missed until `grace` after its close. Symbols that trade round the clock close at midnight, UTC,
    while a daily run is at any hour: there, the next midnight ends it.

    Args:
        symbol: the series.
        cutoff: the origin of the newest forecast.
        now: the time.
        sessions: the number of sessions that the forecast reaches.
        grace: how long a session's forecast may be under way after its close; 0 once a run has ended.
    """
    try:
        newest = newest_closed(symbol, now)
        missed = sessions_between(symbol, cutoff + _ONE_DAY, newest) if newest else ()
        in_time = len(missed) == 1 and _in_time(symbol, missed[0], now, grace)
    except CalendarError as error:
        return Freshness("unknown", 0, f"Whether this forecast is fresh is not known: {error}")
    if not missed:
        return Freshness("fresh", 0, f"No session has closed since {cutoff}: this forecast is fresh.")
    closed = f"{len(missed):,} {'session has' if len(missed) == 1 else 'sessions have'} closed since {cutoff}"
    if len(missed) >= sessions:
        return Freshness("expired", len(missed), f"{closed}: this forecast has expired.")
    if in_time:
        return Freshness("due", 1, f"The session of {missed[0]} has just closed: a new forecast is due.")
    return Freshness("stale", len(missed), f"{closed}: this forecast is stale.")


def hourly_freshness(cutoff_at: datetime, now: datetime, *, hours: int = HOURLY.horizon) -> Freshness:
    """Judge how old an hourly forecast is.

    >>> from datetime import UTC
    >>> ended = datetime(2023, 7, 22, 14, tzinfo=UTC)
    >>> [hourly_freshness(ended, ended + timedelta(hours=hours)).state for hours in (0.5, 1, 3, 24)]
    ['fresh', 'due', 'stale', 'expired']

    Args:
        cutoff_at: the end of the last hour that the forecast knew, UTC.
        now: the time.
        hours: the number of hours that the forecast reaches.
    """
    missed = (now - cutoff_at) // timedelta(hours=1)
    if missed < 1:
        return Freshness("fresh", 0, f"No hour has ended since {stamp(cutoff_at)} UTC: this forecast is fresh.")
    ended = f"{missed:,} {'hour has' if missed == 1 else 'hours have'} ended since {stamp(cutoff_at)} UTC"
    if missed >= hours:
        return Freshness("expired", missed, f"{ended}: this forecast has expired.")
    if missed < STALE_HOURS:
        return Freshness("due", missed, f"{ended}: a new forecast is due.")
    return Freshness("stale", missed, f"{ended}: this forecast is stale.")


def _in_time(symbol: str, session: date, now: datetime, grace: timedelta) -> bool:
    return not is_over(symbol, session, now - grace) or (bool(grace) and calendar_name(symbol) in _ROUND_THE_CLOCK)
