"""Use cases about results days: fetch and list them."""

from collections.abc import Callable
from datetime import date

import pandas as pd

from tickercast import engines
from tickercast.app.ports import Ports, nothing
from tickercast.domain.calendar import parse_day
from tickercast.domain.events import Known
from tickercast.domain.symbols import Symbols, parse_symbols
from tickercast.errors import UsageError
from tickercast.jobs.requests.fetch_events import FetchedEvents, fetch_events
from tickercast.ports import ResultsSource
from tickercast.reading import events

NO_SOURCE = "none"
"""The name of the source that is never asked."""


class Events(Ports):
    """The days on which companies report."""

    def results_source(self, name: str = "", bars: str = "") -> ResultsSource | None:
        """A source of results days by its name, the configured one by default; None where none is to be asked.

        Args:
            name: `sec`, `yahoo`, the path of a file, or `none`.
            bars: the source of the bars, which decides where nothing else does.

        Raises:
            UsageError: no such source is known, or a setting is missing.
        """
        usual = "yahoo" if (bars or self.settings.source) == "yahoo" else NO_SOURCE
        chosen = name or self.settings.events_source or usual
        return None if chosen == NO_SOURCE else engines.results_source(chosen, self.settings)

    def fetch_events(
        self,
        symbols: Symbols,
        *,
        source: str = "",
        since: date | str | None = None,
        advance: Callable[[int], None] = nothing,
    ) -> FetchedEvents:
        """Ask a source for results days, and send what it knows as one file; see `jobs.requests.fetch_events`.

        Args:
            symbols: one or several, as Yahoo spells them.
            source: `sec`, `yahoo` or the path of a CSV file; the configured one by default.
            since: the first date wanted; three years back by default, and all that a file has.
            advance: called with the number of symbols done since the last call.

        Raises:
            UsageError: a symbol, the date or the source is not valid.
            Transient: an engine does not answer.
        """
        valid = parse_symbols(symbols)
        chosen = self.results_source(source)
        if chosen is None:
            raise UsageError(
                "No source of results days is configured: name one with --source sec, --source yahoo or --source FILE, "
                "or set TICKERCAST_EVENTS_SOURCE."
            )
        self.make_ready()
        return fetch_events(
            valid,
            source=chosen,
            store=self.store,
            now=self.now(),
            since=parse_day(since) if since else None,
            advance=advance,
        )

    def events(self, symbols: Symbols = (), *, limit: int = 50) -> tuple[pd.DataFrame, int]:
        """The stored events of some symbols, or all, the latest dates first, and how many there are.

        Raises:
            WarehouseUnavailable: try again.
        """
        found = events.listed(parse_symbols(symbols), warehouse=self.readable)
        return found.head(limit), len(found)

    def known_results(self, symbol: str) -> Known:
        """The results days of a symbol as they are known now, the coming ones predicted where none is.

        Raises:
            CalendarError: the symbol's exchange is not known.
            WarehouseUnavailable: try again.
        """
        today = self.now().date()
        held = events.results_days([symbol], today, today, warehouse=self.readable)
        return held[symbol].as_known(self.now()) if symbol in held else Known((), ())
