"""Stored forecasts as joint paths: what odds and portfolios are answered from."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tickercast.domain.bars import BAR_COLUMNS, Bars
from tickercast.domain.forecast import Forecast
from tickercast.domain.frequency import DAILY
from tickercast.domain.odds import Odds
from tickercast.domain.paths import Paths, past, paths, residuals, seed_of
from tickercast.errors import UsageError
from tickercast.ports import Between, Warehouse
from tickercast.reading.forecasts import COLUMNS, forecasts_of

YEARS = timedelta(days=11 * 365)
"""The span of the bars that are read: 2,500 sessions, and those before from which σ begins."""

_STALE = timedelta(days=10)
"""How far the cutoff of one symbol may lie behind another's: nothing older is looked for."""


@dataclass(frozen=True)
class Outlook:
    """The stored forecasts of several symbols from one cutoff, and joint paths of them.

    Attributes:
        forecasts: the champion's, one a symbol.
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
    def targets(self) -> list[date]:
        """The sessions of the first symbol that are forecast."""
        return [step.target_date for step in self.forecasts[0].steps]

    @property
    def log_returns(self) -> NDArray[np.float64]:
        """`(symbols, steps, len(QUANTILES))`, the stored quantiles."""
        return log_returns(self.forecasts)

    def step_of(self, day: date) -> int:
        """The last step on or before a date; 0 if there is none."""
        return sum(target <= day for target in self.targets)

    def frame(self) -> pd.DataFrame:
        """One row a symbol, path and step: symbol, cutoff, path, step, target_date, close, high, low, in currency."""
        symbols, steps, count = self.paths.close.shape
        last = np.array([made.last_close for made in self.forecasts])[:, None, None]
        columns = {name: (last * np.exp(getattr(self.paths, name))).ravel() for name in ("close", "high", "low")}
        targets = np.array([[step.target_date for step in made.steps] for made in self.forecasts], "datetime64[s]")
        names = np.repeat([made.symbol for made in self.forecasts], steps * count)
        return pd.DataFrame(
            {
                "symbol": names,
                "cutoff": np.datetime64(self.cutoff, "s"),
                "path": np.tile(np.arange(1, count + 1), symbols * steps),
                "step": np.tile(np.repeat(np.arange(1, steps + 1), count), symbols),
                "target_date": targets.ravel().repeat(count),
                **columns,
            }
        )


@dataclass(frozen=True)
class SymbolOdds:
    """The chances of one symbol.

    Attributes:
        outlook: its forecast and its paths.
        odds: its chances, by log-return from the last close.
    """

    outlook: Outlook
    odds: Odds

    @property
    def made(self) -> Forecast:
        """The forecast."""
        return self.outlook.forecasts[0]

    def log_return(self, price: float) -> float:
        """The log-return from the last close to a price in the symbol's currency."""
        return float(np.log(price / self.made.last_close))

    def price(self, log_return: float) -> float:
        """The price at a log-return from the last close."""
        return float(self.made.last_close * np.exp(log_return))


def odds_of(found: Outlook) -> SymbolOdds:
    """The chances of the first symbol."""
    return SymbolOdds(found, Odds(found.paths, found.log_returns[0]))


def outlook(symbols: Sequence[str], as_of: date | None, *, warehouse: Warehouse) -> Outlook:
    """Draw joint paths of the newest forecasts from a cutoff that all symbols share.

    Args:
        symbols: the series, each once.
        as_of: the last cutoff wanted; None: the newest there is.
        warehouse: where forecasts and prices are.

    Raises:
        UsageError: there is no forecast of all of them from one cutoff.
        TooFewSessions: too little is known of how they move.
        WarehouseUnavailable: try again.
    """
    forecasts = _forecasts(symbols, as_of, warehouse)
    cutoff = forecasts[0].cutoff
    known = past(residuals(stored_bars(forecasts, warehouse)), cutoff)
    return Outlook(forecasts, paths(known, log_returns(forecasts), seed=seed_of(cutoff)), len(known))


def _forecasts(symbols: Sequence[str], as_of: date | None, warehouse: Warehouse) -> list[Forecast]:
    where = {"symbol": list(symbols), "frequency": DAILY.name}
    newest = warehouse.read("latest_forecasts", {**where, "role": "champion"}, ["symbol", "cutoff"])
    missing = sorted(set(symbols) - set(newest["symbol"]))
    if missing:
        raise UsageError(
            f"{', '.join(missing)} has no stored forecast of days: one was needed. Run: tickercast forecast "
            f"{' '.join(missing)} DATE."
        )
    last = as_of or newest["cutoff"].max().date()
    rows = warehouse.read("champion_forecasts", {**where, "cutoff": Between(last - _STALE, last)}, COLUMNS)
    shared = rows.groupby("cutoff")["symbol"].nunique()
    cutoffs = shared[shared == len(symbols)].index
    if not len(cutoffs):
        raise UsageError(
            f"{', '.join(symbols)}: no forecasts from one cutoff between {last - _STALE} and {last} are stored of all "
            f"of them, and they were needed. Run: tickercast forecast {' '.join(symbols)} {last}."
        )
    rows = rows[rows["cutoff"] == cutoffs.max()]
    real = rows.groupby("symbol")["simulated"].transform("min")
    found = forecasts_of(rows[rows["simulated"] == real])
    for made in found.values():
        if not all(step.quantiles for step in made.steps):
            raise UsageError(
                f"The forecast of {made.symbol} from {made.cutoff} was stored by an earlier release, without its whole "
                f"distribution, which was needed. Run: tickercast forecast {made.symbol} {made.cutoff}."
            )
    return [found[symbol] for symbol in symbols]


def stored_bars(forecasts: Sequence[Forecast], warehouse: Warehouse) -> list[Bars]:
    """The stored daily bars of each symbol up to the forecasts' common cutoff, eleven years of them at most."""
    cutoff = forecasts[0].cutoff
    where = {"symbol": [made.symbol for made in forecasts], "frequency": DAILY.name}
    held = warehouse.read("latest_prices", {**where, "session_date": Between(cutoff - YEARS, cutoff)})
    by_symbol = {str(symbol): rows.sort_values("session_date") for symbol, rows in held.groupby("symbol")}
    return [
        Bars(made.symbol, by_symbol[made.symbol][list(BAR_COLUMNS)], simulated=made.simulated) for made in forecasts
    ]


def log_returns(forecasts: Sequence[Forecast]) -> NDArray[np.float64]:
    """The stored quantiles of several forecasts, as log-returns from the last close: `(symbols, steps, levels)`."""
    closes = np.array([[step.quantiles for step in made.steps] for made in forecasts])
    found: NDArray[np.float64] = np.log(closes / np.array([made.last_close for made in forecasts])[:, None, None])
    return found
