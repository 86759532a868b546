"""Hourly bars and forecasts of their directions, as rows of the tables."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

SYMBOLS = ("BTCUSDT", "ETHUSDT")
MODEL = "xgb-direction"
_FIRST = datetime(2023, 4, 20, tzinfo=UTC)
_HOUR = pd.Timedelta(hours=1)


def hours(days: int = 30, a_day: int = 2, *, seed: int = 3) -> dict[str, pd.DataFrame]:
    """Bars of the first hours of some days, and a forecast from each but the last of a day: `prices`, `directions`."""
    random = np.random.default_rng(seed)
    prices, directions = [], []
    for symbol in SYMBOLS:
        opened = [_FIRST + timedelta(days=day, hours=hour) for day in range(days) for hour in range(a_day + 1)]
        move = np.round(0.006 * random.standard_t(4, len(opened)), 6)
        bars = price_rows(symbol, pd.DatetimeIndex(opened) + _HOUR, 1000 * np.exp(np.cumsum(move)))
        prices.append(bars)
        cutoffs = bars[[number % (a_day + 1) < a_day for number in range(len(bars))]]
        stated = np.round(0.5 + 0.1 * np.tanh(random.standard_normal(len(cutoffs))), 6)
        directions.append(direction_rows(symbol, cutoffs["closed_at"], cutoffs["close"], stated))
    return {"prices": pd.concat(prices, ignore_index=True), "directions": pd.concat(directions, ignore_index=True)}


def price_rows(symbol: str, closed_at: Any, close: Any, generation: str = "1", **more: Any) -> pd.DataFrame:
    """Rows of `prices`, one an hour."""
    rows = pd.DataFrame({"closed_at": pd.DatetimeIndex(closed_at), "close": np.asarray(close, float)})
    rows = rows.assign(session_date=(rows["closed_at"] - _HOUR).dt.tz_localize(None).dt.normalize())
    rows = rows.assign(open=rows["close"], high=rows["close"], low=rows["close"], adj_close=rows["close"], volume=1e3)
    named = {"symbol": symbol, "frequency": "1h", "simulated": False, "origin": "live", "ingested_at": _FIRST}
    return rows.assign(**{**named, **_file(symbol, generation), **more})


def direction_rows(
    symbol: str, cutoff_at: Any, last_close: Any, prob_up: Any, generation: str = "1", **more: Any
) -> pd.DataFrame:
    """Rows of `directions`, one an origin."""
    at = pd.DatetimeIndex(cutoff_at)
    rows = pd.DataFrame({"cutoff_at": at, "target_at": at + _HOUR})
    rows = rows.assign(cutoff=(rows["cutoff_at"] - _HOUR).dt.tz_localize(None).dt.normalize())
    rows = rows.assign(last_close=np.asarray(last_close, float), prob_up=np.asarray(prob_up, float))
    named = {
        "symbol": symbol, "frequency": "1h", "step": 1, "model_name": MODEL, "model_version": "1", "role": "companion",
        "origin": "live", "simulated": False, "model_has_seen": False, "doubtful": False, "created_at": _FIRST,
    }  # fmt: skip
    return rows.assign(**{**named, **_file(symbol, generation), **more})


def _file(symbol: str, generation: str) -> Mapping[str, Any]:
    written_at = _FIRST + timedelta(minutes=int(generation))
    return {"object": f"ohlc/1h/{symbol}.csv", "generation": generation, "written_at": written_at}
