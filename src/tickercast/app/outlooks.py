"""Use cases that answer from stored forecasts: odds, joint paths and the risk of a portfolio."""

import math
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path

from tickercast.app.ports import Ports, nothing
from tickercast.app.symbols import read_text
from tickercast.domain.calendar import parse_day
from tickercast.domain.forecast import Forecast
from tickercast.domain.learning.width import Width, width_of
from tickercast.domain.symbols import Symbols, parse_symbols
from tickercast.errors import UsageError
from tickercast.jobs.operations.score_portfolio import EARLIEST, score_portfolio
from tickercast.reading.holdings import Holdings, PortfolioOutlook, read_holdings, valued
from tickercast.reading.outlook import YEARS, Outlook, SymbolOdds, odds_of, outlook, stored_bars
from tickercast.reading.portfolio_record import PortfolioRecord, portfolio_record


class Outlooks(Ports):
    """Odds, paths and portfolios."""

    def paths(self, symbols: Symbols, as_of: date | str | None = None) -> Outlook:
        """Joint paths of the stored forecasts of several symbols, as `Outlook`; see `domain.outlook.paths`.

        Args:
            symbols: one or several; each needs a stored forecast.
            as_of: the last cutoff wanted; the newest that all share by default.

        Raises:
            UsageError: no symbol is named, or no forecasts from one cutoff are stored of all of them.
            TooFewSessions: too little is known of how they move.
            Transient: an engine does not answer.
        """
        wanted = parse_symbols(symbols)
        if not wanted:
            raise UsageError("No symbol was named, and at least one was needed. Name one, such as MSFT.")
        return outlook(wanted, parse_day(as_of) if as_of else None, warehouse=self.tables)

    def odds(self, symbol: str, as_of: date | str | None = None) -> SymbolOdds:
        """The chances of a symbol's prices from its stored forecast, as `SymbolOdds`; see `domain.outlook.odds`.

        Args:
            symbol: it needs a stored forecast.
            as_of: the last cutoff wanted; the newest by default.

        Raises:
            UsageError, TooFewSessions, Transient: as `paths`.
        """
        return odds_of(self.paths(symbol, as_of))

    def portfolio(self, file: str | Path, as_of: date | str | None = None) -> PortfolioOutlook:
        """The distribution of a portfolio's value; see `domain.outlook.portfolio`.

        Args:
            file: `symbol,shares[,fx]`; see `reading.holdings`.
            as_of: the last cutoff wanted.

        Raises:
            UsageError: the file is no portfolio, or no forecasts from one cutoff are stored of all holdings.
            TooFewSessions, Transient: as `paths`.
        """
        return self.portfolio_of(read_text(str(file), "holdings", self.settings), Path(file).name, as_of)

    def portfolio_of(self, text: str, name: str, as_of: date | str | None = None) -> PortfolioOutlook:
        """The same for the content of a file.

        Raises:
            UsageError, TooFewSessions, Transient: as `portfolio`.
        """
        held = read_holdings(text, name)
        return valued(held, self.paths(held.symbols, as_of))

    def score_portfolio(
        self,
        file: str | Path,
        first: date | str | None = None,
        last: date | str | None = None,
        *,
        on_progress: Callable[[int, int], None] = nothing,
    ) -> PortfolioRecord:
        """Count how often a portfolio lost more than was said; see `jobs.operations.score_portfolio`.

        Args:
            file: the file of holdings, as in `portfolio`.
            first: the first cutoff wanted; that of all by default.
            last: the last cutoff wanted; likewise.
            on_progress: called with the cutoffs done and their total.

        Raises:
            UsageError, TooFewSessions, Transient: as `portfolio`.
        """
        [(name, held)] = self._holdings([str(file)])
        return score_portfolio(
            held,
            name,
            EARLIEST if first is None else parse_day(first),
            date.max if last is None else parse_day(last),
            warehouse=self.warehouse,
            now=self.now(),
            on_progress=on_progress,
        )

    def portfolio_record_of(self, text: str, name: str) -> PortfolioRecord:
        """The record of a portfolio as far as it is stored.

        Raises:
            UsageError: the text is no portfolio.
            Transient: an engine does not answer.
        """
        return portfolio_record(read_holdings(text, name), warehouse=self.tables)

    def portfolios(self) -> Sequence[tuple[str, Holdings]]:
        """The portfolios of `TICKERCAST_PORTFOLIOS`, by the names of their files.

        Raises:
            UsageError: one cannot be read.
            Transient: an engine does not answer.
        """
        return self._holdings([word.strip() for word in self.settings.portfolios.split(",") if word.strip()])

    def _holdings(self, files: Sequence[str]) -> list[tuple[str, Holdings]]:
        named = [(file, file.rpartition("/")[2]) for file in files]
        return [(name, read_holdings(read_text(file, "holdings", self.settings), name)) for file, name in named]

    def why(self, made: Forecast) -> Width:
        """The factors of the width of a daily forecast's last 80% interval; see `domain.learning.width`.

        Raises:
            UsageError: the forecast is of hours.
            TooFewSessions: too few of the symbol's bars are stored.
            Transient: an engine does not answer.
        """
        if not made.frequency.is_daily:
            raise UsageError(
                f"The forecast of {made.symbol} is of hours, and --why explains one of days. Leave it out."
            )
        step = made.steps[-1]
        width = math.log(step.close_hi_80 / step.close_lo_80)
        [bars] = stored_bars([made.symbol], made.cutoff - YEARS, made.cutoff, self.tables)
        return width_of(bars, width, step=step.step)
