"""A warehouse for demonstrations: the bundled sample, forecast every other week, with one of everything else."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pandas as pd
from tests.support.clock import Clock

from tickercast import engines
from tickercast.app import App
from tickercast.config import Settings
from tickercast.jobs.requests.upload import upload
from tickercast.ports import MarketData, ObjectFinalized, ObjectStore, Warehouse

SYMBOLS = ("AAPL", "GOOG", "IBM", "MSFT")
LAST = date(2012, 12, 14)
CUTOFFS = 20
REPORT = "reports/drift/2012-12-14/report.html"
SIMULATED = "DEMO-USD"
TORN = "ohlc/2012-12-14/TORN.csv"


def settings_of(folder: Path) -> Settings:
    """The settings of a demonstration in a folder."""
    return Settings(bucket=f"file://{folder}/bucket", warehouse=f"duckdb://{folder}/warehouse.duckdb")


def morning_after(day: date) -> datetime:
    """When every exchange, and that of coins, has closed its session of a day."""
    return datetime.combine(day, datetime.min.time(), UTC) + timedelta(days=1, hours=6)


def fill_in_its_time(folder: Path) -> None:
    """Fill a folder as `fill` does, each file on the morning after its cutoff."""
    clock = Clock(morning_after(LAST))
    with patch("time.time_ns", clock.time_ns):
        _fill(App(settings_of(folder), now=clock), CUTOFFS, clock)


def fill(folder: Path, *, cutoffs: int = CUTOFFS) -> Warehouse:
    """Forecast the sample every other week, simulate a symbol, send a bad file, and store decisions and drift."""
    return _fill(App(settings_of(folder)), cutoffs, None)


def _fill(app: App, cutoffs: int, clock: Clock | None) -> Warehouse:
    store, warehouse, handle = app.silent_store, app.warehouse, app.handle
    for back in reversed(range(cutoffs)):
        day = LAST - timedelta(weeks=2 * back)
        if clock:
            clock.set(morning_after(day))
        handle(send(store, SYMBOLS, day, engines.market_data("sample"), app.now()))
    handle(send(store, [SIMULATED], LAST, engines.market_data("simulated"), app.now()))
    handle(_event(store, TORN, store.write(TORN, b"Date,Open\n2012-12-14,"), app.now()))
    store.write(REPORT, b"<!doctype html><html lang=en><title>Drift</title><h1>Drift of 2012-12-14</h1></html>")
    warehouse.append("retrains", pd.DataFrame(_decisions()), key="demo/retrains")
    warehouse.append("drift", pd.DataFrame(_drift()), key="demo/drift")
    return warehouse


def send(
    store: ObjectStore, symbols: Sequence[str], as_of: date, source: MarketData, now: datetime | None = None
) -> ObjectFinalized:
    """Upload bars, and return the event that announces them."""
    sent = upload(symbols, as_of, source=source, store=store, now=datetime(2013, 6, 1, tzinfo=UTC))
    return _event(store, sent.object, sent.generation, now or datetime.now(UTC))


def _event(store: ObjectStore, name: str, generation: str, now: datetime) -> ObjectFinalized:
    return ObjectFinalized(store.bucket, name, generation, written_at=now)


def _decisions() -> list[dict[str, Any]]:
    common = {
        "kind": "promotion",
        "training": "refitted",
        "model_name": "tickercast-lstm",
        "champion_version": "1",
        "created_at": datetime(2012, 12, 14, 22, tzinfo=UTC),
    }
    first = {
        "day": date(2012, 12, 13),
        "decision": "kept",
        "reason": "The challenger's loss is 1.004 of the champion's, 0.998 to 1.011: not below 1.",
        "candidate_version": "2",
        "origins": 240,
        "pinball_ratio": 1.004,
    }
    second = {
        "day": date(2012, 12, 14),
        "decision": "kept",
        "reason": "The challenger's loss is 0.997 of the champion's, 0.990 to 1.003: not wholly below 1.",
        "candidate_version": "3",
        "origins": 240,
        "pinball_ratio": 0.997,
    }
    return [common | first, common | second]


def _drift() -> list[dict[str, Any]]:
    named = {"input": ("log_return", "range", "volume_ratio"), "prediction": ("width_80",), "performance": ("loss",)}
    return [
        {
            "day": LAST - timedelta(days=back),
            "kind": kind,
            "name": name,
            "method": "wasserstein",
            "score": 0.04 + 0.012 * number + 0.006 * (30 - back) * (kind == "input"),
            "threshold": 0.1,
            "drifted": 0.04 + 0.012 * number + 0.006 * (30 - back) * (kind == "input") > 0.1,
            "model_name": "tickercast-lstm",
            "model_version": "1",
            "report": REPORT if back == 0 else None,
            "created_at": datetime(2012, 12, 14, 22, tzinfo=UTC),
            "simulated": False,
        }
        for back in range(30)
        for kind, names in named.items()
        for number, name in enumerate(names)
    ]
