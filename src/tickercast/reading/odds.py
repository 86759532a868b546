"""What the odds of a symbol are made from: the champion's current distribution, and the bars up to its cutoff."""

from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from tickercast.domain.bars import BAR_COLUMNS, Bars
from tickercast.domain.frequency import DAILY
from tickercast.domain.odds import Odds
from tickercast.domain.paths import past, paths, residuals, seed_of
from tickercast.errors import ObjectNotFound
from tickercast.ports import Between, Warehouse


@dataclass(frozen=True)
class SymbolOdds:
    """The odds of one symbol.

    Attributes:
        symbol: the series.
        cutoff: the forecast origin.
        last_close: the close there, in the symbol's currency.
        target_dates: the sessions forecast.
        odds: chances of log-returns from the last close.
        model_name: the champion.
        model_version: its version.
    """

    symbol: str
    cutoff: date
    last_close: float
    target_dates: tuple[date, ...]
    odds: Odds
    model_name: str
    model_version: str


def symbol_odds(symbol: str, warehouse: Warehouse) -> SymbolOdds:
    """Read a symbol's current forecast and bars, and draw its paths.

    Raises:
        ObjectNotFound: the champion has no current forecast of it with thirteen quantiles.
        TooFewSessions: there are fewer than 250 sessions to draw from.
        WarehouseUnavailable: try again.
    """
    wanted = {"symbol": symbol, "frequency": DAILY.name, "role": "champion"}
    newest = warehouse.read("latest_forecasts", wanted, ["cutoff", "object", "generation", "written_at", "model_name"])
    if newest.empty:
        raise ObjectNotFound(f"{symbol} has no forecast. Request one: tickercast forecast {symbol} YYYY-MM-DD.")
    first = newest.sort_values(["cutoff", "written_at"]).iloc[-1]
    named = {name: first[name] for name in ("object", "generation", "model_name")}
    rows = warehouse.read("forecasts", {**wanted, **named, "cutoff": first["cutoff"].date()}).sort_values("step")
    if rows["quantiles"].isna().any():
        raise ObjectNotFound(
            f"The forecast of {symbol} from {first['cutoff']:%Y-%m-%d} has no thirteen quantiles, as those of earlier "
            "releases: one that has was needed. Request a new one."
        )
    one = rows.iloc[0]
    quantiles = np.stack([np.asarray(each, float) for each in rows["quantiles"]])
    cutoff = one["cutoff"].date()
    bars = _bars(symbol, cutoff, warehouse)
    made = paths(past(residuals([bars]), cutoff), quantiles[None], seed=seed_of(cutoff))
    return SymbolOdds(
        symbol,
        cutoff,
        float(one["last_close"]),
        tuple(day.date() for day in rows["target_date"]),
        Odds(made, quantiles),
        one["model_name"],
        one["model_version"],
    )


def _bars(symbol: str, cutoff: date, warehouse: Warehouse) -> Bars:
    within = {"symbol": symbol, "frequency": DAILY.name, "session_date": Between(None, cutoff)}
    found = warehouse.read("latest_prices", within, list(BAR_COLUMNS)).sort_values("session_date", ignore_index=True)
    days = pd.to_datetime(found["session_date"]).astype("datetime64[s]")
    return Bars(symbol, found.assign(session_date=days, adj_close=found["adj_close"].fillna(found["close"])))
