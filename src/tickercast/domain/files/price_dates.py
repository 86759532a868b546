"""Dates as people and vendors write them, and the session, or the moment in UTC, that each stands for.

How a column is written is decided for the whole of it: day and month by the days above 12, times of day by what they
are at the exchange.

>>> stamps = read_stamps(["21/07/2023", "03/07/2023"])
>>> [str(day) for day in stamps.wall.astype("datetime64[D]")]
['2023-07-21', '2023-07-03']
"""

import calendar
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tickercast.domain.calendar import time_zone
from tickercast.domain.files import refusals
from tickercast.domain.text import shown
from tickercast.errors import CalendarError

Days = NDArray[np.datetime64]
Seconds = NDArray[np.datetime64]

_TIME = (
    r"(?:[T ,]+(?P<hour>\d{1,2}):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.,]\d+)?)?(?:\s*(?P<half>[AaPp])\.?[Mm]\.?)?)?"
)
_ZONE = r"\s*(?P<zone>Z|UTC|GMT|(?:UTC|GMT)?[+-]\d\d(?::?\d\d)?)?"
_YEAR_FIRST = re.compile(rf"(?P<year>\d{{4}})(?P<mark>[-/.])(?P<month>\d\d?)(?P=mark)(?P<day>\d\d?){_TIME}{_ZONE}")
_COMPACT = re.compile(
    r"(?P<year>\d{4})(?P<month>\d\d)(?P<day>\d\d)(?:[ T](?P<hour>\d\d):?(?P<minute>\d\d):?(?P<second>\d\d)?)?"
)
_TIMED_DIGITS = re.compile(
    r"(?P<year>(?:19|20)\d\d)(?P<month>0[1-9]|1[0-2])(?P<day>0[1-9]|[12]\d|3[01])"
    r"(?P<hour>[01]\d|2[0-3])(?:(?P<minute>[0-5]\d)(?P<second>[0-5]\d)?)?(?:\.0+)?"
)
_YEAR_LAST = re.compile(rf"(?P<one>\d\d?)(?P<mark>[-/.])(?P<two>\d\d?)(?P=mark)(?P<year>\d{{4}}|\d\d){_TIME}{_ZONE}")
_WORDS = (
    re.compile(rf"(?P<day>\d\d?)[-/ .]*(?P<word>[A-Za-z]{{3,9}})\.?[-/ .,]*(?P<year>\d{{4}}|\d\d){_TIME}{_ZONE}"),
    re.compile(rf"(?P<word>[A-Za-z]{{3,9}})\.?[-/ ]*(?P<day>\d\d?)[-/ ,]+(?P<year>\d{{4}}){_TIME}{_ZONE}"),
)
_WEEKDAY = re.compile(r"(?:mon|tue|tues|wed|wednes|thu|thur|thurs|fri|sat|satur|sun)(?:day)?\.?,?\s+", re.IGNORECASE)
_EPOCH = re.compile(r"(\d{9,10}|\d{12,13}|\d{15,16}|\d{18,19})(?:\.\d+)?")
_INTEGER = re.compile(r"(-?)(\d{1,19})(?:\.\d+)?")
_DIGITS = {10: 0, 13: 3, 16: 6, 19: 9}  # digits of a number since 1970, and the power of ten of its seconds
_CLOCK = re.compile(
    r"(?P<hour>\d{1,2})(?::(?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.,]\d+)?)?)?(?:\s*(?P<half>[AaPp])\.?[Mm]\.?)?"
    + _ZONE
)
_CLOCK_DIGITS = re.compile(r"(\d{1,6})(?:\.0+)?")
_MONTHS = [name.lower() for name in calendar.month_name[1:]]
_ISO = re.compile(r"(?P<time>\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d)?)?)(?P<zone>Z|[+-]\d\d:\d\d)?")
_CENTURY = 69  # two digits from here on are of the twentieth
_DAY = 86_400  # seconds
_NO_TIME = np.timedelta64(0, "s")


@dataclass(frozen=True)
class Stamps:
    """The dates and times in a column, each different text once.

    Attributes:
        wall: `(n,)`, date and time as written, NaT where the text is no date.
        offset: `(n,)`, minutes by which that is before UTC; NaN where no zone is written.
    """

    wall: Seconds
    offset: NDArray[np.float64]


@dataclass(frozen=True)
class Clock:
    """The times of day in a column, each different text once.

    Attributes:
        time: `(n,)`, the time since midnight, up to 24:00, NaT where the text is no time.
        offset: `(n,)`, minutes by which that is before UTC; NaN where no zone is written.
    """

    time: NDArray[np.timedelta64]
    offset: NDArray[np.float64]


def read_stamps(texts: Sequence[str], title: str = "Date") -> Stamps:
    """Read the texts of a column.

    Args:
        texts: each different text once.
        title: the file's title of the column.

    Raises:
        InvalidBars: day and month cannot be told apart.
    """
    alike = _iso(texts) or _epochs(texts)
    if alike is not None:
        return alike
    digits = _digits_since_1970(texts)
    found = [_match(text, digits) for text in texts]
    day_first = _is_day_first(texts, found, title)
    wall = np.full(len(texts), np.datetime64("NaT", "s"))
    offset = np.full(len(texts), np.nan)
    for at, match in enumerate(found):
        if match is None:
            continue
        if match.re in (_EPOCH, _INTEGER):
            wall[at], offset[at] = _moment(match, digits), 0.0
        else:
            wall[at], offset[at] = _wall(match, day_first), _offset(match)
    return Stamps(wall, offset)


def of_instants(instants: Seconds, zone: str) -> Stamps:
    """The stamps of instants in UTC that were written in a time zone."""
    local = pd.DatetimeIndex(instants).tz_localize("UTC").tz_convert(zone).tz_localize(None)
    wall = local.to_numpy().astype("datetime64[s]")
    return Stamps(wall, (wall - instants.astype("datetime64[s]")).astype(np.float64) / 60)


def session_moments(
    stamps: Stamps, codes: NDArray[np.integer], numbers: NDArray[np.integer], names: Sequence[str]
) -> Seconds:
    """The date and time of each row at its exchange.

    Midnight, in whatever zone, stands for a date. Any other time with a zone is an instant, and the exchange's own day
    counts: the midnights of Tokyo, written in UTC, are those of the day before. A midnight is an instant, too, if its
    symbol's other ones have the same time of day at the exchange.

    Args:
        stamps: the stamps of the column.
        codes: `(rows,)`, the stamp of each row, −1 for none.
        numbers: `(rows,)`, the number of each row's symbol.
        names: the symbols.

    Returns:
        `(rows,)`; NaT where there is none.
    """
    wall = np.append(stamps.wall, np.datetime64("NaT", "s"))
    moments: Seconds = wall[codes]
    timed = np.append(_timed(stamps), False)
    zoned = np.append(~np.isnan(stamps.offset), False)
    if not (timed & zoned).any():
        return moments
    minutes = np.append(np.nan_to_num(stamps.offset), 0.0)
    instants = wall - (minutes * 60).astype("timedelta64[s]")
    has_instants = np.zeros(len(names), bool)
    has_instants[numbers[(timed & zoned)[codes]]] = True
    zones, zone = np.unique([_zone(name) for name in names], return_inverse=True)
    for place, name in enumerate(zones):
        rows = np.flatnonzero((has_instants & (zone == place))[numbers] & zoned[codes])
        local = of_instants(instants[codes[rows]], str(name)).wall
        is_instant = timed[codes[rows]] | _at_a_time_of_others(local, numbers[rows], timed[codes[rows]])
        moments[rows[is_instant]] = local[is_instant]
    return moments


def _at_a_time_of_others(local: Seconds, numbers: NDArray[np.integer], others: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The rows whose time of day at the exchange is that of some others of their symbol.

    The midnights of London are 23:00 or 00:00 in UTC; those beside a bar of 20:59 alone are dates.
    """
    seconds = (local - local.astype("datetime64[D]")).astype(np.int64)
    of_symbols = numbers.astype(np.int64) * _DAY + seconds
    return np.isin(of_symbols, of_symbols[others])


def instants(stamps: Stamps, codes: NDArray[np.integer]) -> Seconds:
    """The moment of each row in UTC; where no zone is written, it is UTC.

    Args:
        stamps: the stamps of the column.
        codes: `(rows,)`, the stamp of each row, −1 for none.

    Returns:
        `(rows,)`; NaT where there is none.
    """
    different = stamps.wall - (np.nan_to_num(stamps.offset) * 60).astype("timedelta64[s]")
    moments: Seconds = np.append(different, np.datetime64("NaT", "s"))[codes]
    return moments


def read_clock(texts: Sequence[str]) -> Clock:
    """Read times of day beside the dates: `13:00`, `01:00 PM`, `13:00+02:00`, `13`, `1300` and `130000`.

    >>> [str(time) for time in read_clock(["930", "1600"]).time]
    ['34200 seconds', '57600 seconds']
    """
    digits = [found[1] for text in texts if (found := _CLOCK_DIGITS.fullmatch(text.strip()))]
    width = 2 * ((max(map(len, digits), default=0) + 1) // 2)  # hours alone, or with minutes, or with seconds
    time = np.full(len(texts), np.timedelta64("NaT", "s"))
    offset = np.full(len(texts), np.nan)
    for at, text in enumerate(texts):
        plain = _CLOCK_DIGITS.fullmatch(text.strip())
        match = _CLOCK.fullmatch(":".join(re.findall("..", plain[1].zfill(width))) if plain else text.strip())
        seconds = _seconds(match) if match else None
        if match and seconds is not None and seconds <= _DAY:
            time[at], offset[at] = np.timedelta64(seconds, "s"), _offset(match)
    return Clock(time, offset)


def at_times(
    stamps: Stamps, codes: NDArray[np.integer], clock: Clock, times: NDArray[np.integer], *, daily: bool
) -> tuple[Stamps, NDArray[np.intp]]:
    """Put the times of day beside the dates to these; dates with times of their own are complete without.

    Args:
        stamps: the stamps of the column of dates.
        codes: `(rows,)`, the stamp of each row, −1 for none.
        clock: the times of the column of times.
        times: `(rows,)`, the time of each row, −1 for none.
        daily: whether a time without a zone, or none, leaves the date as it is; no hour is known without one.

    Returns:
        The stamps with times, and that of each row.
    """
    if _timed(stamps).any():
        return stamps, codes.astype(np.intp)
    size = len(clock.time) + 1
    pairs, moments = np.unique((codes + 1) * size + times + 1, return_inverse=True)
    day, at = np.divmod(pairs, size)
    wall = np.append(np.datetime64("NaT", "s"), stamps.wall)[day]
    time = np.append(np.timedelta64("NaT", "s"), clock.time)[at]
    offset = np.append(np.nan, clock.offset)[at]
    if daily:
        time = np.where(np.isnat(time), _NO_TIME, np.minimum(time, np.timedelta64(_DAY - 1, "s")))
    else:
        offset = np.where(np.isnan(offset), np.append(np.nan, stamps.offset)[day], offset)
    return Stamps(wall + time, offset), moments


def _timed(stamps: Stamps) -> NDArray[np.bool_]:
    """Flag the stamps with a time other than midnight."""
    timed: NDArray[np.bool_] = ~np.isnat(stamps.wall) & (stamps.wall != stamps.wall.astype("datetime64[D]"))
    return timed


def _seconds(match: re.Match[str]) -> int | None:
    """The seconds since midnight; None for a time that there is not."""
    parts = match.groupdict()
    hour, minute, second = (int(parts.get(name) or 0) for name in ("hour", "minute", "second"))
    half = (parts.get("half") or "").lower()
    if minute > 59 or second > 59 or (half == "a" and hour > 12):
        return None
    return (hour % 12 + 12 * (half == "p") if half else hour) * 3600 + minute * 60 + second


def is_day_first(texts: Sequence[str]) -> bool:
    """Whether dates are written as 21.07.2023 or 21/07/2023."""
    found = [_match(text) for text in texts]
    return any(match and match.re is _YEAR_LAST for match in found) and _is_day_first(texts, found, "Date")


def _iso(texts: Sequence[str]) -> Stamps | None:
    """Read texts that are all dates, or all moments of one zone, in the form of ISO 8601, as most are; else None.

    >>> found = _iso(["2023-07-22 13:00:00+02:00", "2023-07-22 14:00:00+02:00"])
    >>> [str(moment) for moment in found.wall], found.offset.tolist()
    (['2023-07-22T13:00:00', '2023-07-22T14:00:00'], [120.0, 120.0])
    """
    shape = _ISO.fullmatch(texts[0]) if texts else None
    if not shape or not all(len(text) == shape.end() and text.isascii() for text in texts):
        return None
    letters = np.array(texts, f"S{shape.end()}").view(np.uint8).reshape(len(texts), -1)
    end = shape.end("time")
    is_digit = np.array([at < end and letter.isdigit() for at, letter in enumerate(shape[0])])
    digits = letters[:, is_digit]
    if (letters[:, ~is_digit] != letters[0, ~is_digit]).any() or digits.min() < ord("0") or digits.max() > ord("9"):
        return None
    try:
        wall = np.ascontiguousarray(letters[:, :end]).view(f"S{end}").ravel().astype("datetime64[s]")
    except ValueError:
        return None
    return Stamps(wall, np.full(len(wall), _offset(shape)))


def _epochs(texts: Sequence[str]) -> Stamps | None:
    """Read texts that are all whole seconds, milli-, micro- or nanoseconds since 1970, as exchanges write; else None.

    >>> [str(moment) for moment in _epochs(["1689984000000"]).wall]
    ['2023-07-22T00:00:00']
    """
    size = len(texts[0]) if texts else 0
    if texts and _TIMED_DIGITS.fullmatch(texts[0]):
        return None
    if size not in _DIGITS or not all(len(text) == size and text.isascii() and text.isdigit() for text in texts):
        return None
    wall = np.array([text[: size - _DIGITS[size]] for text in texts]).astype(np.int64)
    return Stamps(wall.astype("datetime64[s]"), np.zeros(len(wall)))


def _digits_since_1970(texts: Sequence[str]) -> int:
    """The most digits that numbers since 1970 in a column have today, if most of its numbers are such; else 0.

    Numbers such as 202307210000 are dates with times, if all are. Those of years before 1974 are shorter, or negative.

    >>> _digits_since_1970(["-252322200", "1689946200"]), _digits_since_1970(["202307210000", "202307220000"])
    (10, 0)
    """
    numbers = [found for text in texts if (found := _INTEGER.fullmatch(text.strip()))]
    sizes = [len(found[2]) for found in numbers]
    for digits in _DIGITS:
        own = [found for found, size in zip(numbers, sizes, strict=True) if digits - 1 <= size <= digits]
        if 2 * len(own) >= len(numbers) > 0 and not all(_TIMED_DIGITS.fullmatch(found[0]) for found in own):
            return digits
    return 0


def _match(text: str, digits: int = 0) -> re.Match[str] | None:
    """Match a date with its form, in a column with numbers since 1970 of so many digits."""
    text = _WEEKDAY.sub("", text.strip(), count=1)
    number = _INTEGER.fullmatch(text) if digits else None
    if number and len(number[2]) <= digits:
        return number
    for pattern in (_YEAR_FIRST, _COMPACT, _TIMED_DIGITS, _YEAR_LAST, *_WORDS, _EPOCH):
        found = pattern.fullmatch(text)
        if found:
            return found
    return None


def _is_day_first(texts: Sequence[str], found: Sequence[re.Match[str] | None], title: str) -> bool:
    either = [(text, match) for text, match in zip(texts, found, strict=True) if match and match.re is _YEAR_LAST]
    day_first = next((text for text, match in either if int(match["one"]) > 12), None)
    month_first = next((text for text, match in either if int(match["two"]) > 12), None)
    if day_first and month_first:
        raise refusals.BOTH_ORDERS(column=title, first=shown(day_first, 30), second=shown(month_first, 30))
    if either and not day_first and not month_first and any(match["mark"] != "." for _, match in either):
        raise refusals.EITHER_ORDER(column=title, seen=shown(either[0][0], 30))
    return month_first is None


def _wall(match: re.Match[str], day_first: bool) -> np.datetime64:
    parts = match.groupdict()
    if match.re is _YEAR_LAST:
        day, month = (match["one"], match["two"]) if day_first else (match["two"], match["one"])
    else:
        day, month = match["day"], parts.get("month") or _month(match["word"])
    year = int(match["year"])
    if len(match["year"]) == 2:
        year += 1900 if year >= _CENTURY else 2000
    seconds = _seconds(match)
    if seconds is None or seconds >= _DAY:
        return np.datetime64("NaT", "s")
    try:
        return np.datetime64(f"{year:04}-{int(month):02}-{int(day):02}", "s") + np.timedelta64(seconds, "s")
    except ValueError:
        return np.datetime64("NaT", "s")


def _month(word: str) -> int:
    """The number of a month's name, or of its first three letters or more; 0 for any other word."""
    names = [number for number, name in enumerate(_MONTHS, start=1) if name.startswith(word.lower())]
    return 9 if word.lower() == "sept" else names[0] if len(names) == 1 else 0


def _offset(match: re.Match[str]) -> float:
    zone = match.groupdict().get("zone")
    if not zone:
        return np.nan
    digits = re.sub(r"\D", "", zone)
    if not digits:
        return 0.0
    minutes = int(digits[:2]) * 60 + int(digits[2:] or 0)
    return float(-minutes if "-" in zone else minutes)


def _moment(match: re.Match[str], digits: int) -> np.datetime64:
    """The moment of a number of seconds, milliseconds, microseconds or nanoseconds since 1970."""
    sign, number = match.groups() if match.re is _INTEGER else ("", match[1])
    scale = next(scale for length, scale in _DIGITS.items() if max(len(number), digits) <= length)
    return np.datetime64(int(sign + number) // 10**scale, "s")


def _zone(symbol: str) -> str:
    """The time zone of a symbol's dates; the days of currencies begin in London."""
    if symbol.endswith("=X"):
        return "Europe/London"
    try:
        return time_zone(symbol)
    except CalendarError:
        return "UTC"
