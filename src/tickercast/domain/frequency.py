"""The frequency of a series, and its consequences: horizon, calendar, bars a year.

>>> DAILY.name, DAILY.horizon
('1d', 10)
>>> [str(day) for day in DAILY.next_steps("MSFT", date(2023, 7, 21), 2)]
['2023-07-24', '2023-07-25']
"""

from dataclasses import dataclass
from datetime import date

from tickercast.domain.calendar import next_sessions


@dataclass(frozen=True)
class Frequency:
    """A bar interval.

    Attributes:
        name: as tables, object names and users spell it.
        horizon: steps of a forecast, unless a model says otherwise.
        bars_a_year: to annualise by, on an exchange with closing hours.
    """

    name: str
    horizon: int
    bars_a_year: float

    def __str__(self) -> str:
        return self.name

    def next_steps(self, symbol: str, cutoff: date, count: int) -> tuple[date, ...]:
        """The `count` bars that follow a cutoff, on the calendar of the symbol's exchange.

        Raises:
            CalendarError: the exchange, or its holidays on those dates, are not known.
        """
        return next_sessions(symbol, cutoff, count)


DAILY = Frequency("1d", horizon=10, bars_a_year=252)
