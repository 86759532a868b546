"""Gather: fetch all that a day's work needs of the market at once, and say what is odd about it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

import pandas as pd

from tickercast.domain.bars import SIMULATED, History, Reading
from tickercast.domain.calendar import is_over
from tickercast.domain.quality import RECENT, Finding, findings
from tickercast.errors import NoRecentBars, Permanent
from tickercast.ports import MarketData, Warehouse

_ONE_DAY = timedelta(days=1)


class Gathered:
    """Market data that were fetched already: a source of its own for whatever comes after.

    Args:
        name: the source that they came from.
        reading: its bars.
    """

    def __init__(self, name: str, reading: Reading) -> None:
        self.name = name
        self.reading = reading

    @property
    def simulated(self) -> bool:
        """Whether the bars are made up."""
        return self.name == SIMULATED

    def fetch(self, symbols: Sequence[str], first: date, last: date, *, advance: Callable[[int], None]) -> Reading:
        """The bars from `first` to `last`; see `MarketData.fetch`."""
        found: dict[str, History] = {}
        failures: dict[str, Permanent] = {}
        for symbol in symbols:
            try:
                found[symbol] = self._between(symbol, first, last)
            except Permanent as error:
                failures[symbol] = error
            advance(1)
        return Reading(found, failures)

    def _between(self, symbol: str, first: date, last: date) -> History:
        if symbol not in self.reading.histories:
            raise self.reading.failures.get(symbol) or NoRecentBars(f"{symbol} was not fetched. Name it.")
        history = self.reading.histories[symbol].since(first)
        bars = history.bars[history.bars["session_date"] <= pd.Timestamp(last)]
        if bars.empty:
            raise NoRecentBars(f"{symbol} has no bar from {first} to {last} in {self.name}. Name other dates.")
        return History(symbol, bars, history.source_note)


@dataclass(frozen=True)
class Market:
    """What was gathered.

    Attributes:
        source: the bars, up to the last session that has closed.
        day: the newest session of any symbol.
        failures: the reason for each symbol that has none, or no recent one.
        findings: what is odd about the others.
    """

    source: Gathered
    day: date
    failures: Mapping[str, Permanent] = field(default_factory=dict)
    findings: Sequence[Finding] = ()

    @property
    def symbols(self) -> list[str]:
        """Those that have bars."""
        return list(self.source.reading.histories)

    def first(self) -> date:
        """The first session of any symbol."""
        days: list[date] = [one.bars["session_date"].dt.date.iloc[0] for one in self.source.reading.histories.values()]
        return min(days)

    def rebased(self) -> set[str]:
        """The symbols whose whole history stands on another basis than what is stored."""
        return {found.symbol for found in self.findings if found.check == "rebased"}


def gather(
    symbols: Sequence[str],
    first: date,
    as_of: date,
    *,
    source: MarketData,
    warehouse: Warehouse,
    now: datetime,
    advance: Callable[[int], None] = lambda _: None,
) -> Market:
    """Fetches the whole history of each symbol up to its last session that has closed, and looks at its newest bars.

    Args:
        symbols: the watchlist, without duplicates.
        first: the first date fetched.
        as_of: the last date wanted.
        source: where the bars come from.
        warehouse: holds the closes that came before.
        now: the time.
        advance: called with the number of symbols fetched since the last call.

    Raises:
        NoRecentBars: there is nothing of any symbol.
        Transient: the source or the warehouse does not answer.
    """
    reading = source.fetch(symbols, first, as_of, advance=advance)
    histories: dict[str, History] = {}
    failures = dict(reading.failures)
    for symbol, history in reading.histories.items():
        try:
            histories[symbol] = _closed(history.until(as_of), now)
        except Permanent as error:
            failures[symbol] = error
    if not histories:
        first_reason = next(iter(failures.values()), "no symbol was named")
        raise NoRecentBars(f"{source.name} gave bars of none of {len(symbols)} symbols up to {as_of}: {first_reason}")
    known = _known(list(histories), as_of, source.name == SIMULATED, warehouse)
    odd = [found for one in histories.values() for found in findings(one, as_of, known.get(one.symbol, _NONE))]
    day = max(history.cutoff for history in histories.values())
    return Market(Gathered(source.name, Reading(histories, failures)), day, failures, odd)


_NONE = pd.Series(dtype=float, index=pd.DatetimeIndex([]))


def _closed(history: History, now: datetime) -> History:
    over = is_over(history.symbol, history.cutoff, now)
    return history if over else history.until(history.cutoff - _ONE_DAY)


def _known(symbols: Sequence[str], as_of: date, simulated: bool, warehouse: Warehouse) -> dict[str, pd.Series]:
    days = [day.date() for day in pd.date_range(as_of - RECENT, as_of)]
    rows = warehouse.read("latest_prices", {"symbol": list(symbols), "session_date": days, "simulated": simulated})
    return {str(symbol): of.set_index("session_date")["close"] for symbol, of in rows.groupby("symbol")}
