"""Backtest five scenarios with zipline-reloaded, and keep what it gives in `benchmarks/zipline.json`.

`PYTHON benchmarks/zipline_fixtures.py`, where PYTHON is that of an environment of its own with zipline-reloaded 3.2.1,
which needs an older pandas. Orders are sized at a close and filled at the next open; what is not filled is cancelled
before the next decision. `speed` is the processor time of its backtest of fifty symbols, which are not kept.
"""

import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

FOLDER = tempfile.mkdtemp()
os.environ["ZIPLINE_ROOT"] = FOLDER

from zipline import run_algorithm  # noqa: E402  # it reads the folder when it is imported
from zipline.api import (  # noqa: E402
    cancel_order,
    get_open_orders,
    order_target_percent,
    set_commission,
    set_slippage,
    symbol,
)
from zipline.data import bundles  # noqa: E402
from zipline.finance.commission import PerDollar  # noqa: E402
from zipline.finance.slippage import SlippageModel  # noqa: E402
from zipline.utils.calendar_utils import get_calendar  # noqa: E402

CAPITAL = 1_000_000.0
SCENARIOS: dict[str, dict[str, float]] = {
    "one-symbol": {"symbols": 1, "fees_bps": 0, "slippage_bps": 0, "capacity": 1, "short": 0},
    "fees": {"symbols": 4, "fees_bps": 10, "slippage_bps": 0, "capacity": 1, "short": 0},
    "fees-and-slippage": {"symbols": 4, "fees_bps": 10, "slippage_bps": 5, "capacity": 1, "short": 0},
    "long-and-short": {"symbols": 4, "fees_bps": 10, "slippage_bps": 5, "capacity": 1, "short": 1},
    "little-volume": {"symbols": 3, "fees_bps": 10, "slippage_bps": 5, "capacity": 0.01, "short": 1},
}
SPEED: dict[str, float] = {"symbols": 50, "fees_bps": 10, "slippage_bps": 5, "capacity": 1, "short": 1}


class NextOpen(SlippageModel):  # type: ignore[misc]
    """Fills at the open, worse by some basis points, up to a share of the volume."""

    def __init__(self, bps: float, capacity: float) -> None:
        super().__init__()
        self.bps, self.capacity = bps, capacity

    def process_order(self, data: Any, order: Any) -> tuple[float, int]:
        """Fill one order."""
        most = int(self.capacity * data.current(order.asset, "volume") * data.current(order.asset, "close")
                   / data.current(order.asset, "open"))  # fmt: skip
        amount = int(np.clip(order.open_amount, -most, most))
        price = data.current(order.asset, "open")
        return price * (1 + np.sign(amount) * self.bps / 1e4), amount


def scenario(number: int, settings: dict[str, float], days: int) -> dict[str, Any]:
    """Bars and weights, made from a seed."""
    random = np.random.default_rng(number)
    symbols = int(settings["symbols"])
    sessions = get_calendar("NYSE").sessions_in_range(pd.Timestamp("2012-01-03"), pd.Timestamp("2016-12-30"))[:days]
    close = np.round(40 * np.exp(np.cumsum(0.02 * random.standard_normal((days, symbols)), axis=0)), 2)
    opens = np.round(close * np.exp(0.01 * random.standard_normal((days, symbols))), 2)
    volume = random.integers(100_000, 400_000, (days, symbols))
    sides = np.sign(random.standard_normal((days, symbols))) if settings["short"] else np.ones((days, symbols))
    weights = np.round(sides * random.dirichlet(np.ones(symbols) * 2, days), 4)
    if settings["symbols"] == 1:
        weights = np.where(np.arange(days)[:, None] % 20 < 10, 0.9, 0.0)
    return {"days": [str(day.date()) for day in sessions], "open": opens, "close": close, "volume": volume,
            "weights": weights}  # fmt: skip


def with_zipline(name: str, made: dict[str, Any], settings: dict[str, float]) -> tuple[list[float], float]:
    """The equity at each close, and the seconds of processor time."""
    days = pd.DatetimeIndex(made["days"])
    symbols = [f"S{number}" for number in range(made["close"].shape[1])]

    def ingest(environ: Any, assets: Any, minutes: Any, daily: Any, adjustments: Any, *rest: Any) -> None:
        listed = pd.DataFrame({"symbol": symbols, "start_date": days[0], "end_date": days[-1],
                               "auto_close_date": days[-1] + pd.Timedelta(days=30), "exchange": "NYSE"})  # fmt: skip
        frames = (
            (number, pd.DataFrame({
                "open": made["open"][:, number], "close": made["close"][:, number],
                "high": np.maximum(made["open"], made["close"])[:, number],
                "low": np.minimum(made["open"], made["close"])[:, number],
                "volume": made["volume"][:, number],
            }, index=days))
            for number in range(len(symbols))
        )  # fmt: skip
        daily.write(frames)
        assets.write(equities=listed, exchanges=pd.DataFrame({"exchange": ["NYSE"], "country_code": ["US"]}))
        adjustments.write()

    bundles.register(name, ingest, calendar_name="NYSE", start_session=days[0], end_session=days[-1])
    bundles.ingest(name)

    def initialize(context: Any) -> None:
        context.row = 0
        context.assets = [symbol(each) for each in symbols]
        set_slippage(NextOpen(settings["slippage_bps"], settings["capacity"]))
        set_commission(PerDollar(settings["fees_bps"] / 1e4))

    def handle_data(context: Any, data: Any) -> None:
        for orders in get_open_orders().values():
            for order in orders:
                cancel_order(order)
        for asset, weight in zip(context.assets, made["weights"][context.row], strict=True):
            order_target_percent(asset, weight)
        context.row += 1

    flat = pd.Series(0.0, index=days.tz_localize("UTC"))
    started = time.process_time()
    found = run_algorithm(days[0], days[-1], initialize, CAPITAL, handle_data, bundle=name, benchmark_returns=flat)
    return found["portfolio_value"].tolist(), time.process_time() - started


def main() -> None:
    """Run every scenario."""
    kept = {}
    for number, (name, settings) in enumerate(SCENARIOS.items(), start=1):
        made = scenario(number, settings, 90)
        equity, _ = with_zipline(name, made, settings)
        arrays = {key: made[key].tolist() for key in ("open", "close", "volume", "weights")}
        kept[name] = {"settings": settings, "days": made["days"], **arrays, "equity": equity}
    _, seconds = with_zipline("speed", scenario(0, SPEED, 250), SPEED)
    whole = {"capital": CAPITAL, "scenarios": kept, "speed": {"symbols": 50, "bars": 250, "seconds": round(seconds, 3)}}
    (Path(__file__).parent / "zipline.json").write_text(json.dumps(whole, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
