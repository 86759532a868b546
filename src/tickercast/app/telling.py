"""A source of bars that tells what its answers left out or changed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

from tickercast.domain.bars import Reading
from tickercast.domain.findings import Findings
from tickercast.ports import MarketData


@dataclass(frozen=True)
class Telling:
    """The `MarketData` port over another source; see `tickercast.ports`.

    Attributes:
        source: the source of the bars.
        on_findings: called with what each answer left out of bars or changed, by symbol.
    """

    source: MarketData
    on_findings: Callable[[Findings], None]

    @property
    def name(self) -> str:
        """The name of the source, as the user gave it."""
        return self.source.name

    @property
    def simulated(self) -> bool:
        """Whether its bars are generated rather than traded."""
        return self.source.simulated

    def symbols(self) -> Sequence[str]:
        """All symbols that the source holds."""
        return self.source.symbols()

    def fetch(self, symbols: Sequence[str], first: date, last: date, *, advance: Callable[[int], None]) -> Reading:
        """Fetch bars, and tell what was found in them; see `MarketData.fetch`."""
        reading = self.source.fetch(symbols, first, last, advance=advance)
        self.on_findings(reading.findings)
        return reading
