"""Exchange calendars: the exchange that a symbol trades on, and its sessions.

>>> [str(day) for day in next_sessions("MSFT", date(2023, 7, 22), 3)]
['2023-07-24', '2023-07-25', '2023-07-26']
>>> [str(day) for day in next_sessions("ETH-USD", date(2023, 7, 22), 3)]
['2023-07-23', '2023-07-24', '2023-07-25']

Symbols are spelled as Yahoo spells them, and calendars are named as exchange_calendars names them.
"""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from numbers import Integral
from threading import Lock
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from tickercast import calendar_file
from tickercast.calendar_file import Years
from tickercast.domain import spelling
from tickercast.domain.text import one_line, quoted
from tickercast.errors import CalendarError, UsageError

if TYPE_CHECKING:
    from exchange_calendars import ExchangeCalendar
    from pandas import Timestamp

_YEARS = (1900, 2100)

NEW_YORK, ALWAYS_OPEN, WEEKDAYS = "XNYS", "24/7", "24/5"
"""The calendars of symbols without a suffix, of crypto pairs, and of currencies."""

_YAHOO = {
    # America
    "XTSE": ".TO .V .CN .NE ^GSPTSE",
    "XMEX": ".MX ^MXX",
    "BVMF": ".SA ^BVSP",
    "XBUE": ".BA ^MERV",
    "XSGO": ".SN ^IPSA",
    "XBOG": ".CL",
    "XLIM": ".LM",
    "CMES": ".CBT .CME .CMX .NYM",
    "IEPA": ".NYB",
    # Europe
    "XLON": ".L .IL .AQ .XC ^FTSE ^FTMC ^FTAS",
    "XDUB": ".IR ^ISEQ",
    "XPAR": ".PA .NX ^FCHI ^SBF120",
    "XAMS": ".AS ^AEX",
    "XBRU": ".BR ^BFX",
    "XLIS": ".LS",
    "XMIL": ".MI .TI",
    "XMAD": ".MC ^IBEX",
    "XSWX": ".SW ^SSMI",
    "XWBO": ".VI ^ATX",
    "XETR": ".DE ^GDAXI ^MDAXI ^SDAXI ^TECDAX ^STOXX ^STOXX50E",
    "XFRA": ".F .BE .BM .HA .MU",  # Berlin, Bremen, Hannover and Munich keep Frankfurt's holidays
    "XDUS": ".DU",
    "XHAM": ".HM",
    "XSTU": ".SG",
    "XSTO": ".ST ^OMX ^OMXSPI",
    "XOSL": ".OL ^OSEAX",
    "XCSE": ".CO ^OMXC20 ^OMXC25",
    "XHEL": ".HE ^OMXH25",
    "XICE": ".IC",
    "XTAL": ".TL",
    "XRIS": ".RG",
    "XLIT": ".VS",
    "XWAR": ".WA",
    "XPRA": ".PR",
    "XBUD": ".BD",
    "XBSE": ".RO",
    "ASEX": ".AT",
    "XIST": ".IS",
    "XMOS": ".ME",
    # Asia, Africa and Oceania
    "XTKS": ".T ^N225",
    "XHKG": ".HK ^HSI ^HSCE",
    "XSHG": ".SS .SZ",  # Shenzhen keeps Shanghai's holidays
    "XKRX": ".KS .KQ ^KS11 ^KS200 ^KQ11",
    "XTAI": ".TW .TWO ^TWII",
    "XSES": ".SI ^STI",
    "XBOM": ".BO .NS ^BSESN ^NSEI ^NSEBANK",  # the National Stock Exchange keeps Bombay's holidays
    "XIDX": ".JK ^JKSE",
    "XBKK": ".BK",
    "XKLS": ".KL ^KLSE",
    "XPHS": ".PS",
    "XKAR": ".KA",
    "XTAE": ".TA",
    "XSAU": ".SR",
    "XJSE": ".JO",
    "XASX": ".AX .XA ^AXJO ^AORD",
    "XNZE": ".NZ ^NZ50",
}
"""Yahoo's suffixes and best-known indices by calendar; an index that is missing is treated as American."""

CALENDARS = (*_YAHOO, NEW_YORK, ALWAYS_OPEN, WEEKDAYS)
"""The names of all calendars."""

_CALENDARS = {spelling: name for name, spellings in _YAHOO.items() for spelling in spellings.split()}

_WITH_HALF_HOLIDAYS = frozenset({"CMES", "IEPA"})
"""Exchanges of futures, which trade until noon, or not at all, on New York's holidays.

What they trade then counts as the next session's, so that vendors give these days no bar: from 2007 to 2022 CL=F and
GC=F have none of the 99, and lack but 2 and 3 of all other sessions. The library has them as sessions.
"""

_SOFT_COMMODITIES = frozenset({"KC", "CC", "CT", "SB", "OJ", "DX"})
"""Futures that Yahoo quotes from ICE in New York; its others are CME Group's."""

_QUOTE_CURRENCIES = (
    "USD EUR GBP JPY CHF CAD AUD NZD CNY HKD SGD KRW INR TWD IDR THB PHP MYR VND RUB UAH TRY ILS AED ZAR NGN "
    "SEK NOK DKK PLN CZK HUF RON BRL MXN ARS CLP COP USDT USDC DAI BTC ETH BNB"
)
"""The right side of a crypto pair; in BRK-B or BAC-PL it is a share class."""

_BUILDING = Lock()  # the years of pandas' holidays are those of the whole process

LONGEST_CLOSURE = timedelta(days=15)
"""No exchange closes for longer."""

_YEARS_BEFORE = 4
_TIME_ZONES = timedelta(days=1)  # a session that is over everywhere
_LAST_TIMESTAMP = date(2261, 12, 31)  # the last day of pandas' nanoseconds
_ASSUMED_YEARS = 2  # beyond the known holidays: what is published each autumn may come late
_HABIT_YEARS, _OFTEN = 10, 5  # years, and times in them, of a day of the year that is a fixed holiday


def check_range(first: date, last: date) -> None:
    """Refuse a range of dates, or of moments, that ends before it begins.

    Raises:
        UsageError: `first` is after `last`.
    """
    if first > last:
        raise UsageError(f"The first date, {first}, is after the last, {last}. Swap them.")


def check_every(every: int) -> None:
    """Refuse a distance between origins, in bars, that is none.

    Raises:
        UsageError: `every` is no whole number, or below 1.
    """
    if isinstance(every, bool) or not isinstance(every, Integral):
        seen = f"the text {every!r:.20}" if isinstance(every, str) else quoted(every, 20)
        raise UsageError(f"every is {seen}: a whole number was needed, 1 or more, such as 5. Give one.")
    if every < 1:
        raise UsageError(
            f"Every {str(every)[:20]} bars was asked for: every 1 or more was needed. Name another number."
        )


def from_numpy(day: Any) -> Any:
    """A date or moment of numpy, or of a column of dates, as Python's; anything else as it is.

    >>> from_numpy(np.datetime64("2023-07-22")), from_numpy(np.datetime64("2023-07-22T14", "ns"))
    (datetime.date(2023, 7, 22), datetime.datetime(2023, 7, 22, 14, 0))
    """
    if not isinstance(day, np.datetime64) or np.isnat(day):
        return day
    counts_days = np.datetime_data(day.dtype)[0] in ("Y", "M", "W", "D")
    return day.astype("datetime64[D]" if counts_days else "datetime64[us]").item()


def parse_day(day: date | np.datetime64 | str, name: str = "") -> date:
    """A date, or one that is written YYYY-MM-DD.

    >>> parse_day("2023-07-22")
    datetime.date(2023, 7, 22)

    Args:
        day: the date; of a moment its date is taken.
        name: the argument that it was given as, for errors.

    Raises:
        UsageError: the text is not a date, or out of range.
    """
    seen = f"{name} is {quoted(day)}, which" if name else quoted(day)
    try:
        given = from_numpy(day)
        found = given if isinstance(given, date) else date.fromisoformat(given)
        if found != found:  # NaT
            raise ValueError(found)
    except (TypeError, ValueError) as error:
        raise UsageError(f"{seen} is not a date: YYYY-MM-DD was needed, as in 2023-07-22.") from error
    first, last = _YEARS
    if not first <= found.year <= last:
        raise UsageError(f"{seen} is out of range: a date from {first} to {last} was needed.")
    return found.date() if isinstance(found, datetime) else found


@lru_cache(maxsize=4096)
def calendar_name(symbol: str) -> str:
    """The name of the symbol's exchange calendar.

    >>> calendar_name("VOD.L"), calendar_name("BRK-B"), calendar_name("ETH-USD"), calendar_name("EURUSD=X")
    ('XLON', 'XNYS', '24/7', '24/5')

    Raises:
        CalendarError: the sessions of the suffix's exchange are not known.
    """
    if "." in symbol:
        return _of_suffix(symbol)
    if symbol.endswith("=X"):
        return WEEKDAYS
    if symbol.endswith("=F"):
        return "IEPA" if symbol.removesuffix("=F") in _SOFT_COMMODITIES else "CMES"
    if "-" in symbol and symbol.rpartition("-")[2] in _QUOTE_CURRENCIES.split():
        return ALWAYS_OPEN
    if symbol not in _CALENDARS and (meant := spelling.advice(symbol)):
        raise CalendarError(
            f"{symbol} is not as Yahoo spells symbols, and so its exchange cannot be told: {meant} was probably meant. "
            "Use that spelling."
        )
    return _CALENDARS.get(symbol, NEW_YORK)


def next_sessions(symbol: str, cutoff: date, count: int) -> tuple[date, ...]:
    """The first `count` sessions of the symbol's exchange strictly after `cutoff`; early closes are sessions.

    Raises:
        CalendarError: the symbol's exchange is not known, or its holidays are not known for those dates.
    """
    return _next_sessions(calendar_name(symbol), cutoff, count)


def is_over(symbol: str, session: date, now: datetime) -> bool:
    """Whether a session has closed, so that its bar is whole; crypto's closes at midnight UTC.

    >>> from datetime import UTC
    >>> is_over("MSFT", date(2023, 7, 21), datetime(2023, 7, 21, 19, 59, tzinfo=UTC))
    False
    >>> is_over("MSFT", date(2023, 7, 21), datetime(2023, 7, 21, 20, 0, tzinfo=UTC))
    True

    Raises:
        CalendarError: the symbol's exchange is not known, or its holidays are not known for that date.
    """
    if now.date() - session > _TIME_ZONES:
        return True
    name = calendar_name(symbol)
    years = _of_years(name, (session - LONGEST_CLOSURE).year, session.year)
    at = bisect_left(years.sessions, session)
    if not at or years.last < session:
        raise _unknown_dates(name, session, 1)
    if at == len(years.sessions) or years.sessions[at] != session:
        return now.date() > session
    return bool(years.closes[at] <= _utc(now))


def time_zone(symbol: str) -> str:
    """The time zone of the symbol's exchange.

    >>> time_zone("MSFT"), time_zone("VOD.L"), time_zone("ETH-USD")
    ('America/New_York', 'Europe/London', 'UTC')

    Raises:
        CalendarError: the symbol's exchange is not known.
    """
    return _of_years(calendar_name(symbol), 2022, 2022).time_zone


def newest_closed(symbol: str, now: datetime) -> date | None:
    """The newest session that has closed; None if none has for weeks.

    >>> from datetime import UTC
    >>> str(newest_closed("MSFT", datetime(2023, 7, 24, 19, 59, tzinfo=UTC)))
    '2023-07-21'
    >>> str(newest_closed("ETH-USD", datetime(2023, 7, 24, 19, 59, tzinfo=UTC)))
    '2023-07-23'

    Raises:
        CalendarError: the symbol's exchange is not known, or its holidays are not known for that date.
    """
    name, earliest = calendar_name(symbol), now.date() - LONGEST_CLOSURE
    years = _of_years(name, earliest.year, now.year)
    if years.last < now.date():
        raise _unknown_dates(name, now.date(), 1)
    over = int(np.searchsorted(years.closes, _utc(now), side="right"))
    return years.sessions[over - 1] if over and years.sessions[over - 1] >= earliest else None


def session_closes(symbol: str, sessions: NDArray[np.datetime64]) -> NDArray[np.datetime64]:
    """The times from which the closes of sessions are known: datetime64[us], UTC.

    A date on which the exchange had no session by its calendar counts as closed at midnight, UTC.

    Args:
        symbol: the series.
        sessions: `(n,)`, dates in any order.

    Raises:
        CalendarError: the symbol's exchange is not known.
    """
    return _moments(symbol, sessions, "closes", midnight=1)


def session_opens(symbol: str, sessions: NDArray[np.datetime64]) -> NDArray[np.datetime64]:
    """The opening times of sessions: datetime64[us], UTC; where trading goes on at night, on the day before.

    A date on which the exchange had no session by its calendar counts as opened at midnight, UTC.

    >>> days = np.array(["2026-07-01", "2026-11-27"], "datetime64[D]")
    >>> [str(moment)[:16] for moment in session_opens("MSFT", days)]
    ['2026-07-01T13:30', '2026-11-27T14:30']

    Args:
        symbol: the series.
        sessions: `(n,)`, dates in any order.

    Raises:
        CalendarError: the symbol's exchange is not known.
    """
    return _moments(symbol, sessions, "opens", midnight=0)


def _moments(symbol: str, sessions: NDArray[np.datetime64], part: str, *, midnight: int) -> NDArray[np.datetime64]:
    if not len(sessions):
        return np.empty(0, "datetime64[us]")
    numbers = sessions.astype("datetime64[D]").view(np.int64)
    first = numbers.min()
    days = np.arange(first, numbers.max() + 1).astype("datetime64[D]")  # many bars share a date
    years = _of_years(calendar_name(symbol), days[0].item().year, days[-1].item().year)
    moments = (days + midnight).astype("datetime64[us]")
    known = slice(*np.searchsorted(years.days, [days[0], days[-1] + 1]))
    moments[(years.days[known] - days[0]).astype(np.int64)] = getattr(years, part)[known]
    found: NDArray[np.datetime64] = moments[numbers - first]
    return found


def sessions_between(symbol: str, first: date, last: date) -> tuple[date, ...]:
    """The sessions of the symbol's exchange from `first` to `last`, as far as the exchange's holidays are known.

    Raises:
        CalendarError: the symbol's exchange is not known.
    """
    sessions = _of_years(calendar_name(symbol), first.year, last.year).sessions
    return sessions[bisect_left(sessions, first) : bisect_right(sessions, last)]


def session_days(symbol: str, first: np.datetime64, last: np.datetime64) -> NDArray[np.datetime64]:
    """The same sessions as `sessions_between`: datetime64[D], sorted.

    Raises:
        CalendarError: the symbol's exchange is not known.
    """
    years: tuple[int, ...] = tuple(day.astype(object).year for day in (first, last))
    days = _of_years(calendar_name(symbol), *years).days
    return days[np.searchsorted(days, first) : np.searchsorted(days, last, "right")]


def half_holidays(symbol: str, first: np.datetime64, last: np.datetime64) -> NDArray[np.datetime64]:
    """The days on which a futures exchange trades until noon, without a close of its own: datetime64[D], sorted.

    They are no sessions. Most vendors leave them out; some have bars of them.

    >>> half_holidays("CL=F", np.datetime64("2021-08-16"), np.datetime64("2021-09-30"))
    array(['2021-09-06'], dtype='datetime64[D]')

    Raises:
        CalendarError: the symbol's exchange is not known.
    """
    years: tuple[int, ...] = tuple(day.astype(object).year for day in (first, last))
    days = _of_years(calendar_name(symbol), *years).half_holidays
    return days[np.searchsorted(days, first) : np.searchsorted(days, last, "right")]


def holidays_known_until(symbol: str, day: date) -> date:
    """The last date whose holidays at the symbol's exchange are known, as far as that matters for a date.

    Later sessions are assumed: the exchange's weekdays without its fixed holidays.

    >>> holidays_known_until("MSFT", date(2023, 7, 21)) >= date(2023, 7, 21)
    True

    Raises:
        CalendarError: the symbol's exchange is not known.
    """
    return _of_years(calendar_name(symbol), day.year, day.year).known_until


def ending_calendars(symbols: Iterable[str], before: date) -> dict[str, date]:
    """The exchanges of some symbols whose holidays are known only up to a date before the one given, by name."""
    names = set()
    for symbol in symbols:
        with suppress(CalendarError):
            names.add(calendar_name(symbol))
    return {name: until for name in sorted(names) if (until := _bounds(name)[1]) < before}


def _of_suffix(symbol: str) -> str:
    base, _, suffix = symbol.rpartition(".")
    if f".{suffix}" in _CALENDARS:
        return _CALENDARS[f".{suffix}"]
    known = spelling.in_yahoos_spelling(symbol)
    hint = f", or {base}-{suffix} if it is a share class" if len(suffix) == 1 else ""
    hint = f", or {known}, as Yahoo spells it" if known != symbol and not hint else hint
    raise CalendarError(
        f"{symbol} ends in .{suffix}, an exchange whose sessions are not known: no suffix (New York) or one such as "
        f".L .PA .DE .T .HK .AX .TO was needed. Name a listing on another exchange{hint}."
    )


@lru_cache(maxsize=4096)
def _next_sessions(name: str, cutoff: date, count: int) -> tuple[date, ...]:
    try:
        years = (cutoff - LONGEST_CLOSURE).year, (cutoff + LONGEST_CLOSURE + timedelta(days=2 * count)).year
    except OverflowError as error:
        raise _unknown_dates(name, cutoff, count) from error
    sessions = _of_years(name, *years).sessions
    start = bisect_right(sessions, cutoff)
    found = sessions[start : start + count]
    if start == 0 or len(found) < count:  # the holidays before or after are not recorded
        raise _unknown_dates(name, cutoff, count)
    return found


def _unknown_dates(name: str, cutoff: date, count: int) -> CalendarError:
    lower, upper = _bounds(name)
    known = f"from {lower.year if lower else 'long ago'} to {upper.year}"
    return CalendarError(
        f"The holidays of the exchange {name} are known {known}, and {count} session(s) after {cutoff} were needed. "
        f"Those of {_ASSUMED_YEARS} more years are assumed. Upgrade exchange_calendars, or name an earlier date."
    )


_BUILT: dict[str, Years] = {}
"""The calendars by name; each is built again, for more years, when it is asked for one that it lacks."""


def _of_years(name: str, first_year: int, last_year: int) -> Years:
    built = _BUILT.get(name)
    if built is None or first_year < built.first_year or built.last_year < last_year:
        # A year costs hardly more to build than a week, and bars of the years before are likely to follow.
        first, last = first_year - _YEARS_BEFORE, last_year
        if built is not None:
            first, last = min(first, built.first_year), max(last, built.last_year)
        built = _read_or_build(name, first, last)
        if name in _WITH_HALF_HOLIDAYS:
            built = _without_half_holidays(built)
        _BUILT[name] = built
    return built


def _read_or_build(name: str, first_year: int, last_year: int) -> Years:
    return calendar_file.read(name, first_year, last_year) or build(name, first_year, last_year)


def _without_half_holidays(built: Years) -> Years:
    new_york = _read_or_build(NEW_YORK, built.first_year, built.last_year)
    closing = np.isin(built.days, new_york.days)
    days = built.days[closing]
    return replace(
        built,
        last=min(built.last, new_york.last),
        known_until=min(built.known_until, new_york.known_until),
        sessions=tuple(days.tolist()),
        days=days,
        opens=built.opens[closing],
        closes=built.closes[closing],
        half_holidays=built.days[~closing],
    )


def build(name: str, first_year: int, last_year: int) -> Years:
    """The sessions of an exchange in some years, as exchange_calendars works them out.

    Raises:
        CalendarError: exchange_calendars cannot work the sessions out.
    """
    try:
        return _build(name, first_year, last_year)
    except ValueError as error:
        raise _unusable(name, error) from error


def _unusable(name: str, error: Exception) -> CalendarError:
    return CalendarError(
        f"exchange_calendars cannot work out the sessions of {name}: {one_line(error)}. "
        "Install the release that requirements.txt names."
    )


def _build(name: str, first_year: int, last_year: int) -> Years:
    first, last = date(first_year, 1, 1), date(last_year, 12, 31)
    known = last
    try:
        calendar = _calendar(name, first, last)
    except ValueError:
        lower, upper = _bounds(name)
        last = min(last, date(min(upper.year + _ASSUMED_YEARS, _LAST_TIMESTAMP.year), 12, 31))
        first, known = max(first, lower or first), min(last, upper)
        if first >= known:
            nothing, never = np.empty(0, "datetime64[D]"), np.empty(0, "datetime64[us]")
            return Years(first_year, last_year, last, known, (), nothing, never, never, "UTC")
        calendar = _calendar(name, first, known)
    sessions = tuple(calendar.sessions.date)
    opens, closes = (
        each.dt.tz_localize(None).to_numpy().astype("datetime64[us]") for each in (calendar.opens, calendar.closes)
    )
    if known < last:
        assumed, zone = _assumed_sessions(name, known, last), str(calendar.tz)
        opens = np.append(opens, _usual_moments(assumed, calendar.opens.iloc[-1], sessions[-1], zone))
        closes = np.append(closes, _usual_moments(assumed, calendar.closes.iloc[-1], sessions[-1], zone))
        sessions += assumed
    days = np.array(sessions, "datetime64[D]")
    return Years(first_year, last_year, last, known, sessions, days, opens, closes, str(calendar.tz))


def _assumed_sessions(name: str, known: date, last: date) -> tuple[date, ...]:
    """The weekdays of an exchange after the last date whose holidays are known, without its fixed holidays."""
    weekdays, holidays = _habits(name, known)
    days = (known + timedelta(days=number) for number in range(1, (last - known).days + 1))
    return tuple(day for day in days if day.weekday() in weekdays and (day.month, day.day) not in holidays)


@lru_cache(maxsize=64)
def _habits(name: str, until: date) -> tuple[frozenset[int], frozenset[tuple[int, int]]]:
    """The weekdays with sessions, and the days of the year that never had one, in the last ten years."""
    lower = _bounds(name)[0] or date.min
    calendar = _calendar(name, max(date(until.year - _HABIT_YEARS, 1, 1), lower), until)
    sessions = set(calendar.sessions.date)
    weekdays = frozenset(number for number, trades in enumerate(calendar.weekmask) if trades == "1")
    first = calendar.sessions[0].date()
    days = [first + timedelta(days=number) for number in range((until - first).days + 1)]
    open_days = {(day.month, day.day) for day in days if day in sessions}
    closed = Counter((day.month, day.day) for day in days if day.weekday() in weekdays and day not in sessions)
    return weekdays, frozenset(day for day, times in closed.items() if times >= _OFTEN and day not in open_days)


def _usual_moments(sessions: Iterable[date], known: "Timestamp", session: date, zone: str) -> NDArray[np.datetime64]:
    """Opens or closes of sessions at the time of day of a known one: datetime64[us], UTC."""
    local = known.tz_convert(zone)
    time, apart = local.time(), local.date() - session
    moments = (datetime.combine(day + apart, time, ZoneInfo(zone)).astimezone(UTC) for day in sessions)
    return np.array([moment.replace(tzinfo=None) for moment in moments], "datetime64[us]")


def _utc(moment: datetime) -> np.datetime64:
    return np.datetime64(moment.astimezone(UTC).replace(tzinfo=None), "us")


@lru_cache(maxsize=64)
def _bounds(name: str) -> tuple[date | None, date]:
    # Only a built calendar knows its bounds; every one knows 2022.
    calendar = _calendar(name, date(2022, 1, 1), date(2022, 12, 31))
    lower, upper = calendar.bound_min(), calendar.bound_max()
    return lower and lower.date(), upper.date() if upper else _LAST_TIMESTAMP


def _calendar(name: str, first: date, last: date) -> "ExchangeCalendar":
    import exchange_calendars  # here, since uploads and queries do not need it

    with _holidays_of(first.year - 1, last.year + 1):
        try:
            # Without `start` and `end` twenty years are built.
            return exchange_calendars.get_calendar(name, start=first.isoformat(), end=last.isoformat())
        except exchange_calendars.errors.CalendarError as error:
            raise _unusable(name, error) from error


@contextmanager
def _holidays_of(first_year: int, last_year: int) -> Iterator[None]:
    """Let pandas work out the holidays of those years, rather than of 1970 to 2200: that halves the time."""
    from pandas import Timestamp
    from pandas.tseries.holiday import AbstractHolidayCalendar as Holidays

    with _BUILDING:
        usual = Holidays.start_date, Holidays.end_date
        Holidays.start_date, Holidays.end_date = Timestamp(first_year, 1, 1), Timestamp(last_year, 12, 31)
        try:
            yield
        finally:
            Holidays.start_date, Holidays.end_date = usual
