"""The daily bars of one symbol.

>>> days = pd.to_datetime(["2023-07-20", "2023-07-21"])
>>> frame = pd.DataFrame({"session_date": days, "close": [11.0, 12.0]})
>>> bars = Bars("MSFT", frame)
>>> bars.cutoff, bars.last_close
(datetime.date(2023, 7, 21), 12.0)
>>> bars.until(date(2023, 7, 20)).last_close
11.0
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cached_property

import numpy as np
import pandas as pd

from tickercast.errors import NoRecentBars, Permanent

BAR_COLUMNS = ("session_date", "open", "high", "low", "close", "adj_close", "volume")
"""The columns of `Bars.frame`, in this order."""

STALE_AFTER = timedelta(days=7)
"""A series whose last bar is older than this before `as_of` cannot be forecast."""

_ONE_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Bars:
    """The daily bars of one symbol, oldest first, one a session.

    Attributes:
        symbol: the series, as Yahoo spells it.
        frame: columns `BAR_COLUMNS`; `session_date` is datetime64, prices are in the symbol's
            currency, `adj_close` equals `close` and `volume` is NaN where the source has none.
        simulated: whether the bars were generated rather than traded.
    """

    symbol: str
    frame: pd.DataFrame
    simulated: bool = False

    def __len__(self) -> int:
        return len(self.frame)

    @cached_property
    def cutoff(self) -> date:
        """The last session: the forecast origin."""
        return pd.Timestamp(self.frame["session_date"].to_numpy()[-1]).date()

    @cached_property
    def last_close(self) -> float:
        """The close at the cutoff, in the symbol's currency."""
        return float(self.frame["close"].to_numpy()[-1])

    def until(self, as_of: date) -> "Bars":
        """The same bars without those after `as_of`.

        Raises:
            NoRecentBars: nothing remains, or the last bar is older than `STALE_AFTER`.
        """
        known = self if len(self) and self.cutoff <= as_of else self._first(self._count_before(as_of + _ONE_DAY))
        if not len(known):
            raise NoRecentBars(
                f"{self.symbol} has no bar on or before {as_of}: its first is of "
                f"{self.frame['session_date'].iloc[0].date()}. Name a later date."
            )
        if as_of - known.cutoff > STALE_AFTER:
            raise NoRecentBars(
                f"{self.symbol} is stale: its last bar before {as_of} is of {known.cutoff}, and one of the "
                f"{STALE_AFTER.days} days before was needed. Name a date up to {known.cutoff + STALE_AFTER}, "
                "or a source with newer bars."
            )
        return known

    def since(self, first: date) -> "Bars":
        """The same bars without those before `first`; there may be none."""
        return Bars(self.symbol, self.frame.iloc[self._count_before(first) :], self.simulated)

    def _first(self, count: int) -> "Bars":
        return Bars(self.symbol, self.frame.iloc[:count], self.simulated)

    def _count_before(self, day: date) -> int:
        return int(np.searchsorted(self.frame["session_date"].to_numpy(), np.datetime64(day)))


@dataclass(frozen=True)
class Reading(Mapping[str, "Bars"]):
    """The content of a file or the answer of a source: a mapping of symbols to their bars.

    Attributes:
        bars: the symbols that could be read.
        failures: the reason for each symbol that could not, which is raised when that symbol is asked for.
    """

    bars: Mapping[str, Bars] = field(default_factory=dict)
    failures: Mapping[str, Permanent] = field(default_factory=dict)

    def __getitem__(self, symbol: str) -> Bars:
        if symbol in self.failures:
            raise self.failures[symbol]
        return self.bars[symbol]

    def __iter__(self) -> Iterator[str]:
        return iter(self.bars)

    def __len__(self) -> int:
        return len(self.bars)


def bars_of(series: Sequence[Bars]) -> pd.DataFrame:
    """The bars of one or more symbols below each other: columns `BAR_COLUMNS` and `symbol`, a categorical."""
    numbers = np.repeat(np.arange(len(series)), [len(bars) for bars in series])
    symbols = pd.Categorical.from_codes(numbers, pd.Index([bars.symbol for bars in series]))
    return pd.concat([bars.frame for bars in series], ignore_index=True).assign(symbol=symbols)
