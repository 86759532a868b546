"""Indices, currencies, futures, funds and foreign shares, by canned answers of Yahoo with their real oddities."""

import warnings
from collections.abc import Callable
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

import tickercast
from tickercast.domain.asset_classes import FOREIGN_STOCK, asset_class
from tickercast.domain.calendar import session_days, time_zone
from tickercast.jobs.requests.request_forecast import Requested

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import yfinance

LEVELS = {
    "^GSPC": 2900.0,
    "EURUSD=X": 1.08,
    "GC=F": 1700.0,
    "CL=F": 30.0,
    "SPY": 290.0,
    "VOD.L": 120.0,  # pence
    "7203.T": 1300.0,
    "0700.HK": 410.0,
    "RELIANCE.NS": 1500.0,
}
FIRST, LAST = np.datetime64("2018-01-02"), np.datetime64("2020-07-24")

Forecast = Callable[..., Requested]


def answer(symbol: str) -> pd.DataFrame:
    """An answer of Yahoo: bars of the exchange's own sessions, and no volume for indices and currencies."""
    days = session_days(symbol, FIRST, LAST)
    random = np.random.default_rng(len(symbol))
    close = LEVELS[symbol] * np.exp(np.cumsum(random.normal(0, 0.008, len(days))))
    opened = close * np.exp(random.normal(0, 0.002, len(days)))
    bars = {"Open": opened, "High": np.maximum(opened, close) * 1.004, "Low": np.minimum(opened, close) * 0.996}
    volume = 0 if symbol.endswith("=X") or symbol.startswith("^") else 1e6
    return pd.DataFrame(bars | {"Close": close, "Adj Close": close, "Volume": volume}, index=pd.DatetimeIndex(days))


def with_oddities(symbol: str) -> pd.DataFrame:
    """The same with what really is in such series."""
    bars = answer(symbol)
    if symbol == "EURUSD=X":  # the close overshoots the high by a little, every few weeks
        rows = np.arange(5, len(bars), 17)
        bars.iloc[rows, 1] = bars.iloc[rows][["Open", "Close"]].max(axis=1) / 1.0003
    if symbol == "GC=F":  # days without a trade are flat
        bars.iloc[::40, :3] = bars.iloc[::40, [3, 3, 3]]
    if symbol == "CL=F":  # the May contract of 2020
        bars.loc["2020-04-20", ["Low", "Close", "Adj Close"]] = [-40.32, -37.63, -37.63]
    if symbol == "RELIANCE.NS":  # a special session that has no prices
        bars.loc[bars.index[100], ["Open", "High", "Low"]] = np.nan
    return bars


@pytest.fixture
def forecast(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Forecast:
    """Forecasts from canned answers, through the local bucket and the function."""

    def ticker(symbol: str, **_: Any) -> Any:
        def history(*, start: str, end: str, **_: Any) -> pd.DataFrame:
            return with_oddities(symbol).loc[start:end].tz_localize(time_zone(symbol))

        return SimpleNamespace(history=history)

    monkeypatch.setattr(yfinance, "Ticker", ticker)
    app = tickercast.open(bucket=f"file://{workspace}/bucket", warehouse=f"duckdb://{workspace}/w.duckdb")
    return lambda symbols, day: app.forecast(symbols, day, source="yahoo")


def test_every_class_of_asset_is_forecast_on_its_own_sessions(forecast: Forecast) -> None:
    made = forecast(list(LEVELS), date(2020, 7, 24))
    assert not made.failures
    assert [one.symbol for one in made] == list(LEVELS)
    for one in made:
        assert one.cutoff == session_days(one.symbol, FIRST, LAST)[-1].item()
        step = one.steps[-1]
        assert 0.5 * one.last_close < step.close_lo_95 < step.close_hi_95 < 2 * one.last_close
    odd = {one.symbol: one.findings for one in made if one.findings}
    unmeasured = {symbol for symbol, said in odd.items() if "not measured for this class: " in said}
    assert unmeasured == {symbol for symbol in LEVELS if asset_class(symbol) == FOREIGN_STOCK}
    assert set(odd) - unmeasured == {"EURUSD=X", "CL=F"}
    assert odd["EURUSD=X"].startswith("widened: Low and High of 40 bar(s)")
    assert odd["CL=F"] == "left out: 1 zero or impossible bar(s) (2020-04-20)"
    assert odd["RELIANCE.NS"].startswith("left out: 1 row(s) without prices")


def test_a_negative_price_among_the_newest_is_refused_with_its_day(forecast: Forecast) -> None:
    made = forecast(["CL=F", "SPY"], date(2020, 4, 22))
    assert [one.symbol for one in made] == ["SPY"]
    assert "of 2020-04-20 is not a price" in str(made.failures["CL=F"])
