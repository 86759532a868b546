"""Stored forecasts as joint paths: what odds and portfolios are answered from."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tickercast.domain.bars import BAR_COLUMNS, Bars
from tickercast.domain.calendar import sessions_between
from tickercast.domain.forecast import Forecast
from tickercast.domain.frequency import DAILY, DAYS
from tickercast.domain.outlook.odds import Odds, Ways, check_chance, check_prices
from tickercast.domain.outlook.paths import Paths, Residuals, past, paths, residuals, seed_of, steps_by, valuation_dates
from tickercast.domain.text import quoted
from tickercast.errors import TooFewSessions, UsageError
from tickercast.ports import Between, Warehouse
from tickercast.reading.forecasts import forecasts_of, newest_forecasts, with_remarks
from tickercast.reading.views import no_days

YEARS = timedelta(days=11 * 365)
"""The span of the bars that are read: 2,500 sessions, and those before from which σ begins."""

_STALE = timedelta(days=10)
"""The largest lag of the shared cutoff behind the newest of one; an older one is taken where it is asked for."""


@dataclass(frozen=True)
class Outlook:
    """The stored forecasts of several symbols from one cutoff, and joint paths of them.

    Attributes:
        forecasts: the champion's forecasts, one a symbol.
        paths: joint paths, the symbols in the same order.
        sessions: the past sessions that they are drawn from.
    """

    forecasts: Sequence[Forecast]
    paths: Paths
    sessions: int

    @property
    def cutoff(self) -> date:
        """The forecast origin."""
        return self.forecasts[0].cutoff

    @property
    def dates(self) -> list[date]:
        """The first dates on which any symbol trades, as many as each has steps."""
        found: list[date] = self._dates.tolist()
        return found

    @property
    def steps(self) -> NDArray[np.intp]:
        """`(symbols, dates)`, the last step of each symbol on or before each date; 0 before its first."""
        return steps_by(self._dates, targets(self.forecasts))

    @property
    def closes(self) -> NDArray[np.float32]:
        """`(symbols, dates, paths)`, log-returns to each symbol's last close on or before each date."""
        close = self.paths.close
        begun = np.concatenate([np.zeros_like(close[:, :1]), close], axis=1)
        return np.take_along_axis(begun, self.steps[:, :, None], axis=1)

    @property
    def apart(self) -> bool:
        """Whether some symbol does not trade on one of the dates."""
        return bool((self.steps[:, -1] < len(self.dates)).any())

    @property
    def session(self) -> NDArray[np.float64] | None:
        """`(symbols, paths)`, the log-returns of the first date on which all trade; None if there is no such date."""
        trading = np.diff(self.steps, axis=1, prepend=0).all(axis=0)
        moves: NDArray[np.float64] = np.diff(self.closes.astype(np.float64), axis=1, prepend=0)
        return moves[:, trading.argmax()] if trading.any() else None

    @property
    def log_returns(self) -> NDArray[np.float64]:
        """`(symbols, steps, len(QUANTILES))`, the stored quantiles."""
        return log_returns(self.forecasts)

    @property
    def _dates(self) -> NDArray[np.datetime64]:
        return valuation_dates(targets(self.forecasts), self.paths.close.shape[1])

    def frame(self) -> pd.DataFrame:
        """One row a symbol, path and step: symbol, cutoff, path, step, target_date, close, high, low, in currency."""
        symbols, steps, count = self.paths.close.shape
        last = np.array([made.last_close for made in self.forecasts])[:, None, None]
        columns = {name: (last * np.exp(getattr(self.paths, name))).ravel() for name in ("close", "high", "low")}
        names = np.repeat([made.symbol for made in self.forecasts], steps * count)
        return pd.DataFrame(
            {
                "symbol": names,
                "cutoff": np.datetime64(self.cutoff, "us"),
                "path": np.tile(np.arange(1, count + 1), symbols * steps),
                "step": np.tile(np.repeat(np.arange(1, steps + 1), count), symbols),
                "target_date": targets(self.forecasts).astype(DAYS).ravel().repeat(count),
                **columns,
            }
        )


@dataclass(frozen=True)
class SymbolOdds:
    """The chances of one symbol's prices, in its currency.

    Each answer is a table of one row a step, with the columns step, target_date, `ends`: of that session's close;
    `closes`: of some close up to it; and `touches`: of some high up to it (below: some low), which reaches the price.

    Attributes:
        outlook: the forecast and the paths of the symbol.
        odds: the chances, by log-return from the last close.
    """

    outlook: Outlook
    odds: Odds

    def above(self, price: float) -> pd.DataFrame:
        """The chances, as shares, to end above a price, to close above it once, and to touch it.

        Raises:
            UsageError: it is no price.
        """
        return self._frame(self.odds.above(self.log_return(price)))

    def below(self, price: float) -> pd.DataFrame:
        """The chances, as shares, to end below a price, to close below it once, and to touch it.

        Raises:
            UsageError: it is no price.
        """
        return self._frame(self.odds.below(self.log_return(price)))

    def between(self, low: float, high: float) -> pd.DataFrame:
        """The chances, as shares, to end between two prices, and that all closes, all highs and lows stay there.

        Raises:
            UsageError: one is no price, or the higher one comes first.
        """
        check_prices(low, high)
        return self._frame(self.odds.between(self.log_return(low), self.log_return(high)))

    def prices(self, chance: float, *, below: bool = False) -> pd.DataFrame:
        """The prices that are exceeded with a chance.

        Args:
            chance: a share, such as 0.1.
            below: whether they are undercut with it instead.

        Raises:
            UsageError: the chance is too small or too large for paths to tell, or an argument is of another type.
        """
        check_chance(chance)
        if not isinstance(below, bool | np.bool_):
            raise UsageError(f"below is {quoted(below)}: True or False was needed. Give that.")
        steps = range(1, len(self.made.steps) + 1)
        levels = [self.odds.level(chance, step=step, below=below) for step in steps]
        ways = (np.array([getattr(each, way) for each in levels]) for way in ("ends", "closes", "touches"))
        return self._frame(Ways(*(self.made.last_close * np.exp(each) for each in ways)))

    def _frame(self, ways: Ways[NDArray[np.float64]]) -> pd.DataFrame:
        steps = self.made.steps
        dates = np.array([step.target_date for step in steps], DAYS)
        columns = {"step": [step.step for step in steps], "target_date": dates}
        return pd.DataFrame({**columns, "ends": ways.ends, "closes": ways.closes, "touches": ways.touches})

    @property
    def made(self) -> Forecast:
        """The forecast."""
        return self.outlook.forecasts[0]

    def log_return(self, price: float) -> float:
        """The log-return from the last close to a price in the symbol's currency.

        Raises:
            UsageError: it is no price.
        """
        check_prices(price)
        return float(np.log(price / self.made.last_close))


def odds_of(found: Outlook) -> SymbolOdds:
    """The chances of the one symbol of an outlook."""
    return SymbolOdds(found, Odds(found.paths, found.log_returns[0]))


def outlook(symbols: Sequence[str], as_of: date | None, *, warehouse: Warehouse) -> Outlook:
    """Draw joint paths of the newest forecasts from a cutoff that all symbols share.

    Args:
        symbols: the series, each once.
        as_of: the last cutoff wanted; None: the newest there is.
        warehouse: where forecasts and prices are.

    Raises:
        UsageError: the symbols have no forecasts from a common cutoff.
        TooFewSessions: too little is known of how they move.
        WarehouseUnavailable: try again.
    """
    forecasts = _forecasts(symbols, as_of, warehouse)
    cutoff = forecasts[0].cutoff
    return drawn(forecasts, residuals(stored_bars(symbols, cutoff - YEARS, cutoff, warehouse)))


def drawn(forecasts: Sequence[Forecast], every: Sequence[Residuals]) -> Outlook:
    """Draw joint paths of forecasts from one cutoff.

    Args:
        forecasts: one a symbol.
        every: the standardised past of each symbol, in the same order.

    Raises:
        TooFewSessions: too little is known of how they move.
    """
    cutoff = forecasts[0].cutoff
    known = past(every, cutoff)
    made = paths(known, log_returns(forecasts), targets=targets(forecasts), seed=seed_of(cutoff))
    return Outlook(forecasts, made, len(known))


def targets(forecasts: Sequence[Forecast]) -> NDArray[np.datetime64]:
    """The dates that several forecasts are for: `(symbols, steps)`."""
    return np.array([[step.target_date for step in made.steps] for made in forecasts], "datetime64[D]")


def _forecasts(symbols: Sequence[str], as_of: date | None, warehouse: Warehouse) -> list[Forecast]:
    where = {"symbol": list(symbols), "frequency": DAILY.name}
    newest = warehouse.read("latest_forecasts", {**where, "role": "champion"}, ["symbol", "cutoff", "simulated"])
    missing = sorted(set(symbols) - set(newest["symbol"]))
    if missing:
        raise UsageError(
            f"{', '.join(missing)} has no stored forecast of days: one was needed. {no_days(missing, warehouse)}"
        )
    last = as_of or newest["cutoff"].max().date()
    in_use = newest[["symbol", "simulated"]].drop_duplicates()  # simulated ones only of symbols that have no others
    rows = newest_forecasts({"symbol": list(symbols), "cutoff": Between(last - _STALE, last)}, warehouse)
    rows = rows.merge(in_use)
    shared = _shared(rows, symbols)
    if shared is None:
        before = {**where, "step": 1, "cutoff": Between(None, last)}
        older = warehouse.read("champion_forecasts", before, ["symbol", "cutoff", "simulated"]).merge(in_use)
        raise UsageError(_no_cutoff(symbols, last, _shared(older, symbols)))
    found = forecasts_of(with_remarks(rows[rows["cutoff"] == shared], warehouse))
    for made in found.values():
        if not all(step.quantiles for step in made.steps):
            raise UsageError(
                f"The forecast of {made.symbol} from {made.cutoff} was stored by an earlier release, without its whole "
                f"distribution, which was needed. Run: tickercast forecast {made.symbol} {made.cutoff}."
            )
    return [found[symbol] for symbol in symbols]


def _shared(rows: pd.DataFrame, symbols: Sequence[str]) -> pd.Timestamp | None:
    """The newest cutoff from which all symbols have a forecast among some rows."""
    counted = rows.groupby("cutoff")["symbol"].nunique()
    found = counted[counted == len(symbols)].index
    return found.max() if len(found) else None


def _no_cutoff(symbols: Sequence[str], last: date, older: pd.Timestamp | None) -> str:
    """The message where no cutoff shortly before a date is shared, with the newest older one that is."""
    named = symbols[0] if len(symbols) == 1 else f"all of {', '.join(symbols)}"
    other = "" if older is None else f"; or ask for {older.date()}, the newest date before that has them"
    sessions = [set(sessions_between(symbol, last - _STALE, last)) for symbol in symbols]
    day = max(set.intersection(*sessions), default=last)  # on another one, cutoffs would be apart
    return (
        f"No cutoff from {last - _STALE} to {last} has stored forecasts of {named}, and one was needed. Run: "
        f"tickercast forecast {' '.join(symbols)} {day}{other}."
    )


def stored_bars(symbols: Sequence[str], first: date, last: date, warehouse: Warehouse) -> list[Bars]:
    """The stored daily bars of each symbol from a date to another.

    Raises:
        TooFewSessions: a symbol has no stored bars there.
        WarehouseUnavailable: try again.
    """
    where = {"symbol": list(symbols), "frequency": DAILY.name, "session_date": Between(first, last)}
    held = warehouse.read("latest_prices", where).sort_values("session_date")
    by_symbol = {str(symbol): rows for symbol, rows in held.groupby("symbol")}
    missing = [symbol for symbol in symbols if symbol not in by_symbol]
    if missing:
        named = " ".join(missing)
        raise TooFewSessions(
            f"No bars of {named} from {first} to {last} are in use, and paths are drawn from them: simulated ones are "
            f"left out once a symbol has real ones. Run: tickercast forecast {named} DATE."
        )
    return [
        Bars(symbol, by_symbol[symbol][list(BAR_COLUMNS)], simulated=bool(by_symbol[symbol]["simulated"].any()))
        for symbol in symbols
    ]


def log_returns(forecasts: Sequence[Forecast]) -> NDArray[np.float64]:
    """The stored quantiles of several forecasts, as log-returns from the last close: `(symbols, steps, levels)`."""
    closes = np.array([[step.quantiles for step in made.steps] for made in forecasts])
    found: NDArray[np.float64] = np.log(closes / np.array([made.last_close for made in forecasts])[:, None, None])
    return found
