"""The frequency of a series, and its consequences: horizon, calendar, bars a year.

>>> DAILY.name, DAILY.horizon
('1d', 10)
>>> [str(day) for day in DAILY.next_steps("MSFT", date(2023, 7, 21), 2)]
['2023-07-24', '2023-07-25']
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from tickercast.domain.calendar import calendar_name, next_sessions, session_closes


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

    def closes(
        self, symbols: Sequence[str], number: NDArray[np.int64], sessions: NDArray[np.datetime64]
    ) -> NDArray[np.datetime64]:
        """From when the closes of bars are known; see `calendar.session_closes`.

        Args:
            symbols: the series.
            number: `(n,)`, the place of each bar's symbol among them.
            sessions: `(n,)`.

        Raises:
            CalendarError: the exchange of a symbol is not known.
        """
        closes = np.empty(len(sessions), "datetime64[us]")
        exchanges = np.array([calendar_name(symbol) for symbol in symbols])
        for exchange in sorted(set(exchanges)):
            [rows] = np.nonzero((exchanges == exchange)[number])
            one = symbols[int(np.argmax(exchanges == exchange))]
            closes[rows] = session_closes(one, sessions[rows])
        return closes


DAILY = Frequency("1d", horizon=10, bars_a_year=252)
HOURLY = Frequency("1h", horizon=24, bars_a_year=8766)
