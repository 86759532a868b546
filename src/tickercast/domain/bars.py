"""The daily bars of one symbol.

>>> days = pd.to_datetime(["2023-07-20", "2023-07-21"])
>>> frame = pd.DataFrame({"session_date": days, "close": [11.0, 12.0]})
>>> bars = History("MSFT", frame)
>>> bars.cutoff, bars.last_close
(datetime.date(2023, 7, 21), 12.0)
>>> bars.until(date(2023, 7, 20)).last_close
11.0
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cached_property

import numpy as np
import pandas as pd

from tickercast.errors import NoRecentBars, Permanent

BAR_COLUMNS = ("session_date", "open", "high", "low", "close", "adj_close", "volume")
"""The columns of `History.bars`, in this order."""

STALE_AFTER = timedelta(days=7)
"""A last bar older than this before `as_of` is not a history to forecast from."""

SIMULATED = "simulated"
"""The one note that a history may carry: its bars are made up."""

_ONE_DAY = timedelta(days=1)


@dataclass(frozen=True)
class History:
    """The daily bars of one symbol, oldest first, one a session.

    Attributes:
        symbol: the series, as Yahoo spells it.
        bars: columns `BAR_COLUMNS`; `session_date` is datetime64, prices are in the symbol's
            currency, `adj_close` equals `close` and `volume` is NaN where the source has none.
        source_note: `SIMULATED` where the bars are made up, else empty.
    """

    symbol: str
    bars: pd.DataFrame
    source_note: str = ""

    def __len__(self) -> int:
        return len(self.bars)

    @cached_property
    def cutoff(self) -> date:
        """The last session: the forecast origin."""
        return pd.Timestamp(self.bars["session_date"].to_numpy()[-1]).date()

    @cached_property
    def last_close(self) -> float:
        """The close at the cutoff, in the symbol's currency."""
        return float(self.bars["close"].to_numpy()[-1])

    def until(self, as_of: date) -> "History":
        """The same history without what lies after `as_of`.

        Raises:
            NoRecentBars: nothing remains, or the last bar is older than `STALE_AFTER`.
        """
        known = self if len(self) and self.cutoff <= as_of else self._first(self._count_before(as_of + _ONE_DAY))
        if not len(known):
            raise NoRecentBars(
                f"{self.symbol} has no bar on or before {as_of}: its first is of "
                f"{self.bars['session_date'].iloc[0].date()}. Name a later date."
            )
        if as_of - known.cutoff > STALE_AFTER:
            raise NoRecentBars(
                f"{self.symbol} is stale: its last bar before {as_of} is of {known.cutoff}, and one of the "
                f"{STALE_AFTER.days} days before was needed. Name a date up to {known.cutoff + STALE_AFTER}, "
                "or a source with newer bars."
            )
        return known

    def since(self, first: date) -> "History":
        """The same history without what lies before `first`; it may be empty."""
        return History(self.symbol, self.bars.iloc[self._count_before(first) :], self.source_note)

    def _first(self, count: int) -> "History":
        return History(self.symbol, self.bars.iloc[:count], self.source_note)

    def _count_before(self, day: date) -> int:
        return int(np.searchsorted(self.bars["session_date"].to_numpy(), np.datetime64(day)))


@dataclass(frozen=True)
class Reading:
    """What a file or a source gave: the good histories, and for each bad symbol the reason."""

    histories: Mapping[str, History] = field(default_factory=dict)
    failures: Mapping[str, Permanent] = field(default_factory=dict)


def bars_of(histories: Sequence[History]) -> pd.DataFrame:
    """The bars of one or more histories below each other: columns `BAR_COLUMNS` and `symbol`, a categorical."""
    numbers = np.repeat(np.arange(len(histories)), [len(history) for history in histories])
    symbols = pd.Categorical.from_codes(numbers, pd.Index([history.symbol for history in histories]))
    return pd.concat([history.bars for history in histories], ignore_index=True).assign(symbol=symbols)
