"""Measure strategies: the account beside zipline's, coins, the direction of Bitcoin after costs, and a large universe.

`python -m benchmarks.bench_strategies HOURS` reads the hourly bars of BTCUSDT in the folder HOURS and writes
`benchmarks/strategies.json`. `equity_vs_zipline_max_rel_diff` and `speed_vs_zipline` compare with what
`zipline_fixtures.py` kept; a speed is a ratio of processor times. `coin_edges_of_1000` counts the coins that are given
an edge where trading is free. `btc_direction_…` walks the shipped model, as it is, through the hours after its
training, and `universe_8000_s` ranks 8,000 stored symbols by their return. `kills` are runs of `tickercast trade` that
were ended before or after each of their calls, in turn, at a venue with faults, and a few processes that got SIGKILL;
`orders_doubled`, `orders_lost` and `positions_that_differ` compare with a world that was never disturbed.
"""

import argparse
import json
import math
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tests.support import trading_faults

from benchmarks import report
from tickercast import config
from tickercast.app import App, variants_of
from tickercast.domain.bars import Bars
from tickercast.domain.calendar import sessions_between
from tickercast.domain.frequency import HOURLY
from tickercast.domain.trading.signals import Known, Panel, panel
from tickercast.domain.trading.strategy import Decision, variant
from tickercast.domain.trading.strategy_backtest import Costs, Run, backtest, simulate

FREE = Costs(fees_bps=0, slippage_bps=0, borrow_bps=0, buying_power=math.inf)
FIRST, LAST = date(2022, 7, 1), date(2023, 8, 31)
SYMBOLS, KILLS = 8000, 1000


def main() -> None:
    """Run every part, and write `strategies.json`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("hours", type=Path, help="the folder of hourly bars")
    hours = parser.parse_args().hours
    kept = json.loads((report.PROJECT / "benchmarks" / "zipline.json").read_text())
    figures = {
        "equity_vs_zipline_max_rel_diff": difference(kept),
        "speed_vs_zipline": _speed(kept["speed"]),
        "coin_edges_of_1000": float(sum(map(_coin_has_edge, range(1000)))),
        **_bitcoin(hours),
        "universe_8000_s": _universe(),
        **trading_kills(),
    }
    report.write("strategies", figures)


def difference(kept: Mapping[str, Any]) -> float:
    """The largest relative difference of an equity from zipline's, over all scenarios and days."""
    return max(
        float(np.abs(account(each, kept["capital"]).equity / np.array(each["equity"]) - 1).max())
        for each in kept["scenarios"].values()
    )


def account(kept: Mapping[str, Any], capital: float) -> Run:
    """The same scenario, traded by us in whole shares."""
    made, settings = _panel(*(np.array(kept[name], float) for name in ("open", "close", "volume"))), kept["settings"]
    weights = np.array(kept["weights"])
    costs = Costs(
        settings["fees_bps"], settings["slippage_bps"], 0, settings["capacity"], 0, lot=1, band=0, buying_power=math.inf
    )
    return simulate(made, lambda row, held: weights[row], costs, capital=capital)


def _panel(opens: Any, close: Any, volume: Any) -> Panel:
    days = np.datetime64("2012-01-03") + np.arange(len(close))
    series = []
    for number in range(close.shape[1]):
        prices = {"open": opens[:, number], "close": close[:, number], "adj_close": close[:, number]}
        ends = {"high": np.maximum(opens, close)[:, number], "low": np.minimum(opens, close)[:, number]}
        columns = {"session_date": days, **prices, **ends, "volume": volume[:, number].astype(float)}
        series.append(Bars(f"S{number}", columns))
    return panel(series)


def _speed(kept: Mapping[str, Any]) -> float:
    random = np.random.default_rng(0)
    shape = kept["bars"], kept["symbols"]
    close = np.round(40 * np.exp(np.cumsum(0.02 * random.standard_normal(shape), axis=0)), 2)
    made = _panel(close, close, np.full(shape, 3e5))
    weights = np.sign(random.standard_normal(shape)) / kept["symbols"]
    costs, best = Costs(10, 5, 0, 1, 0, lot=1, band=0, buying_power=math.inf), float("inf")
    for _ in range(5):
        started = time.process_time()
        simulate(made, lambda row, held: weights[row], costs, capital=1e6)
        best = min(best, time.process_time() - started)
    return float(kept["seconds"]) / best


def _coin_has_edge(seed: int) -> bool:
    random = np.random.default_rng(seed)
    close = 50 * np.exp(np.cumsum(0.015 * random.standard_normal((504, 1)), axis=0))
    made = _panel(close, close, np.full(close.shape, 1e9))
    sides = np.where(random.random((504, 1)) < 0.5, 1.0, -1.0)

    def decide(known: Known) -> Decision:
        return Decision(sides[known.closes.shape[1] - 1], lambda n: "a coin")

    return backtest(made, [variant("coin", decide)], FREE).results[0].has_edge


def _bitcoin(hours: Path) -> dict[str, float]:
    variants, found = variants_of(["direction"]), {}
    with tempfile.TemporaryDirectory() as folder:
        app = App(config.Settings(bucket=f"file://{folder}/bucket"))  # where no model was published: the shipped one
        for name, costs in {"gross": FREE, "net_5bps": replace(FREE, fees_bps=5)}.items():
            made = app.strategy_backtest(
                variants, FIRST, LAST, symbols=["BTCUSDT"], source=str(hours), frequency=HOURLY, costs=costs
            )
            found[name] = made.results[0]
    return {
        "btc_direction_gross": found["gross"].net_return,
        "btc_direction_net_5bps": found["net_5bps"].net_return,
        "btc_direction_break_even_bps": found["gross"].break_even_bps,
        "btc_direction_hours": float(len(found["gross"].net.ends)),
        "btc_direction_sharpe_deflated_hi": found["net_5bps"].deflated.high,
    }


def trading_kills() -> dict[str, float]:
    """Kill runs that trade on paper, and count what differs from a world that was never disturbed."""
    found: list[trading_faults.Count] = []
    while sum(each.kills for each in found) < KILLS:
        with tempfile.TemporaryDirectory() as folder:
            found.append(trading_faults.disturbed(Path(folder), 5, seed=len(found)))
    with tempfile.TemporaryDirectory() as folder:
        found.append(trading_faults.signalled(Path(folder), 5))
    return {
        "kills": float(sum(each.kills for each in found)),
        "kills_by_signal": float(found[-1].kills),
        "venue_faults": float(sum(each.faults for each in found)),
        "orders_doubled": float(sum(each.doubled for each in found)),
        "orders_lost": float(sum(each.lost for each in found)),
        "positions_that_differ": float(sum(each.differs for each in found)),
    }


def _universe() -> float:
    last = date(2022, 12, 30)
    days = sessions_between("MSFT", last - timedelta(days=130), last)
    names = [f"T{number:04d}" for number in range(SYMBOLS)]
    with tempfile.TemporaryDirectory() as folder:
        settings = config.Settings(bucket=f"file://{folder}/bucket", warehouse=f"duckdb://{folder}/warehouse.duckdb")
        app, members = App(settings), Path(folder) / "members.csv"
        members.write_text("symbol,from,to\n" + "".join(f"{name},,\n" for name in names))
        app.provision()
        _fill(app, names, days)
        taken = []
        for top in (20, 21, 22):
            started = time.perf_counter()
            made = app.universe(members, last, top=top, source="stored")
            taken.append(time.perf_counter() - started)
        if made.members != SYMBOLS:
            sys.exit(f"{made.members} of {SYMBOLS} symbols were ranked")
    return min(taken)


def _fill(app: App, names: list[str], days: tuple[date, ...]) -> None:
    count = len(days)
    close = np.exp(np.cumsum(0.02 * np.random.default_rng(1).standard_normal((len(names), count)), axis=1)).ravel()
    now = pd.Timestamp("2022-12-31", tz="UTC")
    file: dict[str, Any] = {
        "object": "ohlc/2022-12-30/all.parquet",
        "generation": "1",
        "written_at": now,
        "simulated": False,
    }
    rows = pd.DataFrame({"symbol": np.repeat(names, count), "session_date": pd.to_datetime(list(days) * len(names))})
    prices = dict.fromkeys(("open", "high", "low", "close", "adj_close"), close)
    rows = rows.assign(**prices, volume=1e6, frequency="1d", origin="live", ingested_at=now, **file)
    app.tables.append("prices", rows, key="prices/bench")
    spans = pd.DataFrame({"symbol": names}).assign(
        frequency="1d",
        first_session=pd.Timestamp(days[0]),
        last_session=pd.Timestamp(days[-1]),
        announced_at=now,
        **file,
    )
    app.tables.append("spans", spans, key="spans/bench")


if __name__ == "__main__":
    main()
