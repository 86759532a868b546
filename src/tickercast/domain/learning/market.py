"""Bars that were fetched already, as a market data source of their own, and a day's market with its findings."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from tickercast.domain.bars import Bars, Reading
from tickercast.domain.findings import Finding
from tickercast.errors import NoRecentBars, Permanent


@dataclass(frozen=True)
class FetchedBars:
    """Fetched bars; it serves any shorter range of them without asking the source again.

    Attributes:
        name: the source that they came from.
        simulated: whether that generates its bars.
        reading: the bars, and the reason for each symbol without any.
    """

    name: str
    simulated: bool
    reading: Reading

    def symbols(self) -> Sequence[str]:
        """The symbols that have bars."""
        return list(self.reading.bars)

    def fetch(self, symbols: Sequence[str], first: date, last: date, *, advance: Callable[[int], None]) -> Reading:
        """Return the bars from `first` to `last`; see `ports.MarketData.fetch`.

        The findings are of all bars, and so are those of series that end later left out.
        """
        found: dict[str, Bars] = {}
        failures: dict[str, Permanent] = {}
        for symbol in symbols:
            try:
                found[symbol] = self._between(symbol, first, last)
            except Permanent as error:
                failures[symbol] = error
            advance(1)
        whole = {symbol for symbol, bars in found.items() if bars.end == self.reading.bars[symbol].end}
        findings = {symbol: said for symbol, said in self.reading.findings.items() if symbol in whole}
        return Reading(found, failures, findings)

    def _between(self, symbol: str, first: date, last: date) -> Bars:
        if symbol not in self.reading.bars:
            raise self.reading.failures.get(symbol) or NoRecentBars(f"{symbol} was not fetched. Name it.")
        known = self.reading.bars[symbol].since(first).through(last)
        if not len(known):
            raise NoRecentBars(f"{symbol} has no bar from {first} to {last} in {self.name}. Name other dates.")
        return known


@dataclass(frozen=True)
class Market:
    """The bars of a watchlist up to a day.

    Attributes:
        source: the bars, up to the last session that has closed.
        day: the newest session of any symbol.
        failures: the reason for each symbol that has no bars, or no recent ones.
        findings: the oddities of the others.
    """

    source: FetchedBars
    day: date
    failures: Mapping[str, Permanent] = field(default_factory=dict)
    findings: Sequence[Finding] = ()

    @property
    def symbols(self) -> list[str]:
        """The symbols that have bars."""
        return list(self.source.reading.bars)

    def first(self) -> date:
        """The first session of any symbol."""
        return min(bars.first for bars in self.source.reading.bars.values())

    def rebased(self) -> set[str]:
        """The symbols whose fetched bars are on another basis than the stored ones."""
        return {found.symbol for found in self.findings if found.check == "rebased"}
