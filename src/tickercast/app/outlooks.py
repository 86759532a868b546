"""Use cases that answer from stored forecasts: odds, joint paths and the risk of a portfolio."""

import math
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from tickercast.app.ports import Ports
from tickercast.domain.calendar import parse_day
from tickercast.domain.forecast import Forecast
from tickercast.domain.symbols import parse_symbol
from tickercast.domain.width import Width, width_of
from tickercast.errors import UsageError
from tickercast.reading.holdings import PortfolioOutlook, read_holdings, valued
from tickercast.reading.outlook import Outlook, SymbolOdds, odds_of, outlook, stored_bars


class Outlooks(Ports):
    """Odds, paths and portfolios."""

    def paths(self, symbols: str | Sequence[str], as_of: date | str | None = None) -> Outlook:
        """Joint paths of the stored forecasts of several symbols; see `domain.paths`.

        Args:
            symbols: one or several; each needs a stored forecast.
            as_of: the last cutoff wanted; the newest that all share by default.

        Raises:
            UsageError: no forecasts from one cutoff are stored of all of them.
            TooFewSessions: too little is known of how they move.
            Transient: an engine does not answer.
        """
        words = [symbols] if isinstance(symbols, str) else symbols
        wanted = list(dict.fromkeys(parse_symbol(word) for word in words))
        return outlook(wanted, parse_day(as_of) if as_of else None, warehouse=self.tables)

    def odds(self, symbol: str, as_of: date | str | None = None) -> SymbolOdds:
        """The chances of a symbol's prices, from its stored forecast; see `domain.odds`.

        Raises:
            UsageError, TooFewSessions, Transient: as `paths`.
        """
        return odds_of(self.paths(symbol, as_of))

    def portfolio(self, file: str | Path, as_of: date | str | None = None) -> PortfolioOutlook:
        """The distribution of a portfolio's value; see `domain.portfolio`.

        Args:
            file: `symbol,shares[,fx]`; see `reading.holdings`.
            as_of: the last cutoff wanted.

        Raises:
            UsageError: the file is no portfolio, or no forecasts from one cutoff are stored of all holdings.
            TooFewSessions, Transient: as `paths`.
        """
        path = Path(file)
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
            raise UsageError(f"{path} cannot be read: {reason}. Name a file of symbol,shares.") from error
        return self.portfolio_of(text, path.name, as_of)

    def portfolio_of(self, text: str, name: str, as_of: date | str | None = None) -> PortfolioOutlook:
        """The same for the content of a file.

        Raises:
            UsageError, TooFewSessions, Transient: as `portfolio`.
        """
        held = read_holdings(text, name)
        return valued(held, self.paths(held.symbols, as_of))

    def why(self, made: Forecast) -> Width:
        """Why the 80% interval of a daily forecast's last step is as wide as it is; see `domain.width`.

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
        return width_of(stored_bars([made], self.tables)[0], width, step=step.step)
