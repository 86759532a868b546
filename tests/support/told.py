"""A forecast with everything that a report shows beside it, worked out by hand, for the tests of reports and charts."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
from tests.support.trading import shipped_bundle

from tickercast.domain.bars import Bars
from tickercast.domain.events import ResultsDay
from tickercast.domain.forecast import LEVELS, Forecast, Step
from tickercast.domain.frequency import HOURLY
from tickercast.domain.outlook.paths import Paths
from tickercast.domain.trading.signals import panel
from tickercast.domain.trading.strategy import parse
from tickercast.domain.trading.strategy_backtest import Backtest, Costs, backtest
from tickercast.reading.holdings import PortfolioOutlook, read_holdings, valued
from tickercast.reading.outlook import Outlook
from tickercast.reading.overview import Row
from tickercast.reading.track_record import ForecastDetails, TrackRecord

CUTOFF = date(2023, 7, 21)
RESULTS = ResultsDay(date(2023, 7, 25), "after", date(2023, 7, 26), is_predicted=False)
RECORD = TrackRecord("no edge", 1200, 300, 12, 0.987, 0.951, 1.023, 0.812, 0.949)


def told(
    symbol: str = "MSFT",
    *,
    simulated: bool = False,
    sessions: int = 90,
    actual: dict[date, float] | None = None,
    record: TrackRecord | None = RECORD,
    trained_on: str = "",
    results: ResultsDay | None = None,
) -> ForecastDetails:
    """The forecast of a symbol at 100, with intervals that are ±5 and ±10, after `sessions` bars."""
    targets = [day.date() for day in pd.bdate_range("2023-07-24", periods=10)]
    steps = tuple(Step(step, target, 101.0, 95.0, 105.0, 90.0, 110.0) for step, target in enumerate(targets, start=1))
    made = Forecast(
        symbol,
        CUTOFF,
        100.0,
        steps,
        "lstm",
        "3",
        simulated=simulated,
        results=results,
        object=f"ohlc/2023-07-22/{symbol}.csv",
        generation="5",
    )
    card = shipped_bundle().card
    card = card.model_copy(update={"trained_on": trained_on or card.trained_on})
    return ForecastDetails(made, bars(sessions), record, card, actual)


def told_hours(model: str = "har-season", price: float = 100.0) -> ForecastDetails:
    """The same of a coin at a price by a model of hours, from 14:00 on, after ninety hours, with what followed."""
    daily, cutoff = told("BTCUSDT", sessions=90), datetime(2023, 7, 21, 14, tzinfo=UTC)
    ends = [cutoff + timedelta(hours=step) for step in range(1, 25)]
    levels = {name: getattr(daily.made.steps[0], name) * price / 100 for name in LEVELS}
    first = replace(daily.made.steps[0], **levels)
    steps = tuple(replace(first, step=n, target_date=end.date(), target_at=end) for n, end in enumerate(ends, start=1))
    card = shipped_bundle(model).card
    made = replace(
        daily.made,
        last_close=price,
        steps=steps,
        frequency=HOURLY,
        cutoff_at=cutoff,
        model_name=model,
        model_version=card.version,
    )
    closed = pd.date_range(end=cutoff, periods=90, freq="h")
    prices = {name: daily.bars[name] * price / 100 for name in ("open", "high", "low", "close")}
    bars = daily.bars.assign(**prices, closed_at=closed, atr_14=0.5)
    return replace(daily, made=made, card=card, bars=bars, actual=dict.fromkeys(ends, price))


def backtest_of_two() -> Backtest:
    """Two strategies, one of them with a long name, over two years of a walk in two symbols."""
    random, days = np.random.default_rng(3), np.arange("2021-03-01", "2023-07-01", dtype="datetime64[D]")
    series = []
    for symbol in ("MSFT", "IBM"):
        close = 100 * np.exp(np.cumsum(0.02 * random.standard_normal(len(days))))
        prices = dict.fromkeys(("open", "high", "low", "close", "adj_close"), close)
        series.append(Bars(symbol, {"session_date": days, **prices, "volume": np.full(len(days), 1e6)}))
    named = [parse("buy-and-hold"), parse("volatility-target:target=0.155,most=0.5")]
    return backtest(panel(series, []), named, Costs())


def bars(sessions: int) -> pd.DataFrame:
    """Rows as the view `indicators` gives them, ending at 100 on the cutoff."""
    close = 100 + 3 * np.sin(np.arange(sessions - 1, -1, -1) / 5)
    table: dict[str, Any] = {
        "session_date": pd.bdate_range(end=CUTOFF, periods=sessions),
        "open": np.roll(close, 1),
        "high": close + 2,
        "low": close - 2,
        "close": close,
        "volume": 1e6,
        "macd": -0.25,
        "macd_signal": 0.125,
        "rsi_14": 53.94,
        "volatility_20": 0.185,
        "drawdown": -0.081,
    }
    return pd.DataFrame(table).assign(
        **dict.fromkeys(("sma_20", "sma_50", "ema_12", "ema_26", "bollinger_lower", "bollinger_upper"), 99.5),
        atr_14=None,
    )


def overview_row(symbol: str, **changed: Any) -> Row:
    """The row of the overview that goes with `told`."""
    values: dict[str, Any] = {
        **{"symbol": symbol, "cutoff": CUTOFF, "last_close": 100.0, "change": -0.012, "sessions": 10},
        **{"target_date": date(2023, 8, 4), "close_median": 101.0, "close_lo_80": 95.0, "close_hi_80": 105.0},
        **{"lo_80": -0.05, "hi_80": 0.05, "width_rank": 0.82, "widths": (0.08, 0.09, 0.1), "chance_higher": 0.54},
        **{"coverage_80": 0.69, "n": 1200, "verdict": "no edge", "findings": "", "doubtful": False},
        **{"simulated": False, "model_name": "lstm", "model_version": "3", "age_days": 1},
        **{"state": "fresh", "missed": 0, "freshness": "No session has closed since 2023-07-21."},
    }
    return Row(**values | changed)


def outlook_of_two() -> PortfolioOutlook:
    """A portfolio of two holdings at 100, one of them short, whose paths are walks of 1% a session."""
    moves = np.random.default_rng(1).normal(0, 0.01, (2, 10, 1999)).cumsum(axis=1)
    made = [told("MSFT").made, told("IBM").made]
    held = read_holdings("symbol,shares\nMSFT,1500\nIBM,-200\n", "holdings.csv")
    return valued(held, Outlook(made, Paths(moves, moves + 0.005, moves - 0.005), sessions=1000))
