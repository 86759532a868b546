"""The frequency of a series, and its consequences: horizon, calendar, bars a year, and what names a bar.

A daily bar is named by the date of its session at its exchange, an hourly one by the moment at which it ends, UTC. Both
are its *end*, and a number that grows by one from bar to bar stands for it where bars are compared.

>>> DAILY.name, DAILY.horizon
('1d', 10)
>>> [str(day) for day in DAILY.next_steps("MSFT", date(2023, 7, 21), 2)]
['2023-07-24', '2023-07-25']
>>> [str(moment) for moment in HOURLY.next_steps("BTCUSDT", datetime(2023, 7, 21, 23), 2)]
['2023-07-22 00:00:00', '2023-07-22 01:00:00']
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from tickercast.domain.calendar import calendar_name, from_numpy, next_sessions, parse_day, session_closes
from tickercast.errors import UsageError

Ends = NDArray[np.datetime64]
"""The ends of bars: sessions as datetime64[D], or the ends of hours as datetime64[h], UTC."""

DAYS: Final = "datetime64[us]"
"""The type of dates in frames, as a warehouse answers with them."""

MOMENTS: Final = "datetime64[us, UTC]"
"""The type of moments in frames."""

_FIRST_DAY = np.datetime64("1900-01-01", "D").astype(np.int64)  # no session is older
_HOUR = np.timedelta64(1, "h")
_MOMENTS = {
    "session_date": "closed_at",
    "cutoff": "cutoff_at",
    "target_date": "target_at",
    "first_session": "first_closed_at",
    "last_session": "last_closed_at",
}
_MIDNIGHT = timedelta(days=1)


@dataclass(frozen=True, repr=False)
class Frequency:
    """A bar interval.

    Attributes:
        name: the name in tables, object names and arguments.
        horizon: steps of a forecast, unless a model says otherwise.
        bars_a_year: the factor to annualise by, on an exchange with closing hours.
        unit: the numpy unit in which the ends of bars are counted.
        noun: the noun for the span of a bar.
        lookback: the span of the bars for a forecast.
        stale_after: a series whose last bar is older than this before `as_of` cannot be forecast.
        longest_horizon: the bars' numbers from a cutoff to its last target, at most.
        most_filled: the longest gap, in bars, that costs nothing when it is filled.
    """

    name: str
    horizon: int
    bars_a_year: float
    unit: Literal["D", "h"]
    noun: str
    lookback: timedelta
    stale_after: timedelta
    longest_horizon: int
    most_filled: int

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"Frequency({self.name!r})"

    @property
    def is_daily(self) -> bool:
        """Whether bars are named by dates."""
        return self.unit == "D"

    @property
    def longest_forecast(self) -> timedelta:
        """The time from a cutoff to its last target, at most.

        >>> DAILY.longest_forecast.days, HOURLY.longest_forecast.days
        (45, 1)
        """
        span: timedelta = np.timedelta64(self.longest_horizon, self.unit).item()
        return span

    def next_steps(self, symbol: str, cutoff: date, count: int) -> tuple[date, ...]:
        """The ends of the `count` bars that follow a cutoff, on the calendar of the symbol's exchange.

        Raises:
            CalendarError: the exchange, or its holidays on those dates, are not known.
        """
        if self.is_daily:
            return next_sessions(symbol, cutoff, count)
        assert isinstance(cutoff, datetime), "hours end at moments"
        return tuple(cutoff + timedelta(hours=step) for step in range(1, count + 1))

    def closes(
        self, symbols: Sequence[str], number: NDArray[np.int64], ends: NDArray[np.datetime64]
    ) -> NDArray[np.datetime64]:
        """The times from which the closes of bars are known; see `calendar.session_closes`.

        Args:
            symbols: the series.
            number: `(n,)`, the place of each bar's symbol among them.
            ends: `(n,)`.

        Raises:
            CalendarError: the exchange of a symbol is not known.
        """
        if not self.is_daily:
            return ends.astype("datetime64[us]")
        exchanges = np.array([calendar_name(symbol) for symbol in symbols])
        different = sorted(set(exchanges))
        if len(different) == 1:
            return session_closes(symbols[0], ends)
        closes = np.empty(len(ends), "datetime64[us]")
        for exchange in different:
            rows = (exchanges == exchange)[number]
            one = symbols[int(np.argmax(exchanges == exchange))]
            closes[rows] = session_closes(one, ends[rows])
        return closes

    def key(self, column: str) -> str:
        """The column that names a bar, by the one with its date.

        >>> DAILY.key("cutoff"), HOURLY.key("cutoff")
        ('cutoff', 'cutoff_at')
        """
        return column if self.is_daily else _MOMENTS[column]

    def keys(self, *columns: str) -> tuple[str, ...]:
        """The columns with dates, and beside them those that name bars where dates do not."""
        return columns if self.is_daily else (*columns, *(self.key(column) for column in columns))

    def ends(self, values: Sequence[date]) -> Ends:
        """The ends of bars from dates, or from naive moments."""
        different = {value: np.datetime64(value, self.unit) for value in set(values)}  # numpy takes 2 µs for each
        return np.array([different[value] for value in values], f"datetime64[{self.unit}]")

    def numbers(self, ends: NDArray[np.datetime64]) -> NDArray[np.int64]:
        """The numbers of bars by their ends: days since 1900, or hours since 1970."""
        counted: NDArray[np.int64] = ends.astype(f"datetime64[{self.unit}]", copy=False).view(np.int64)
        return counted - (_FIRST_DAY if self.is_daily else 1)

    def ends_of(self, numbers: NDArray[np.int64]) -> Ends:
        """The ends of bars by their numbers."""
        counted: Ends = np.asarray(numbers + (_FIRST_DAY if self.is_daily else 1)).view(f"datetime64[{self.unit}]")
        return counted

    def dates(self, ends: NDArray[np.datetime64]) -> NDArray[np.datetime64]:
        """The dates of bars by their ends: an hour's is the UTC day on which it opens."""
        if self.is_daily:
            return ends.astype("datetime64[D]", copy=False)
        opened: NDArray[np.datetime64] = np.subtract(ends.astype("datetime64[h]"), _HOUR)
        return opened.astype("datetime64[D]")

    def date_of(self, number: int) -> date:
        """The date of one bar by its number."""
        day: date = self.dates(self.ends_of(np.array([number])))[0].item()
        return day

    def parse(self, text: date | np.datetime64 | str) -> date:
        """Read a user's last bar to use: a date, or for hours a moment, UTC.

        A date alone means all of its hours.

        >>> HOURLY.parse("2023-07-22 14:00"), HOURLY.parse("2023-07-22")
        (datetime.datetime(2023, 7, 22, 14, 0), datetime.datetime(2023, 7, 23, 0, 0))
        >>> HOURLY.parse("2023-07-22T16:30+02:00")
        datetime.datetime(2023, 7, 22, 14, 0)

        Raises:
            UsageError: the text is neither a date nor a moment, or out of range.
        """
        if self.is_daily:
            return parse_day(text)
        text = from_numpy(text)
        if isinstance(text, str) and len(text.strip()) > len("2023-07-22"):
            text = _moment(text.strip())
        if isinstance(text, datetime):
            parse_day(text)
            utc = text.astimezone(UTC).replace(tzinfo=None) if text.tzinfo else text
            return utc.replace(minute=0, second=0, microsecond=0)
        return datetime.combine(parse_day(text), datetime.min.time()) + _MIDNIGHT

    def folder(self, as_of: date) -> str:
        """The folder of objects' names for the frequency and the date or moment that the user typed.

        >>> DAILY.folder(date(2023, 7, 22)), HOURLY.folder(datetime(2023, 7, 22, 14))
        ('2023-07-22', '1h/2023-07-22T14')
        """
        return as_of.isoformat() if self.is_daily else f"{self.name}/{as_of:%Y-%m-%dT%H}"


DAILY = Frequency("1d", 10, 252, "D", "session", timedelta(days=3 * 365), timedelta(days=7), 45, 0)
"""The model reads about 320 sessions, charts show more; ten sessions with the longest closure of an exchange are 45
days."""

HOURLY = Frequency("1h", 24, 8766, "h", "hour", timedelta(days=32), timedelta(days=1), 24, 6)
"""The full model reads 744 hours; from a bar that is a day old, the whole forecast would lie in the past."""

FREQUENCIES = {frequency.name: frequency for frequency in (DAILY, HOURLY)}
"""The frequencies, by name."""


def frequency_of(name: "Frequency | str") -> Frequency:
    """The frequency of a name; one that is given stays.

    Raises:
        UsageError: no frequency has that name.
    """
    if isinstance(name, Frequency):
        return name
    if not isinstance(name, str) or name not in FREQUENCIES:
        raise UsageError(f"The frequency {str(name)[:20]!r} is not known: {' or '.join(FREQUENCIES)} was needed.")
    return FREQUENCIES[name]


def stamp(end: date) -> str:
    """A date, or a moment in UTC, as people read it.

    >>> stamp(date(2023, 7, 22)), stamp(datetime(2023, 7, 22, 14, tzinfo=UTC))
    ('2023-07-22', '2023-07-22 14:00')
    """
    return f"{end:%Y-%m-%d %H:%M}" if isinstance(end, datetime) else end.isoformat()


def said(ends: Ends) -> list[str]:
    """Bars in words: the dates of days, and of hours the moments at which they open, as files have them.

    >>> said(np.array(["2023-07-22T14"], "datetime64[h]"))
    ['2023-07-22 13:00 UTC']
    """
    if ends.dtype == np.dtype("datetime64[D]"):
        return [str(day) for day in ends]
    opened = np.subtract(ends.astype("datetime64[h]"), _HOUR).astype("datetime64[m]")
    return [f"{str(moment).replace('T', ' ')} UTC" for moment in opened]


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(
            f"{text[:40]!r} is no moment: YYYY-MM-DD HH:MM was needed, UTC, as in 2023-07-22 14:00, or a date."
        ) from error
