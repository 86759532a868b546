"""A warehouse for demonstrations: the bundled sample, forecast every other week, with one of everything else."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd

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


def settings_of(folder: Path) -> Settings:
    """The settings of a demonstration in a folder."""
    return Settings(bucket=f"file://{folder}/bucket", warehouse=f"duckdb://{folder}/warehouse.duckdb")


def fill(folder: Path, *, cutoffs: int = CUTOFFS) -> Warehouse:
    """Forecast the sample every other week, simulate a symbol, send a bad file, and store decisions and drift."""
    app = App(settings_of(folder))
    store, warehouse, handle = app.silent_store, app.warehouse, app.handle
    for back in reversed(range(cutoffs)):
        handle(send(store, SYMBOLS, LAST - timedelta(weeks=2 * back), engines.market_data("sample")))
    handle(send(store, [SIMULATED], LAST, engines.market_data("simulated")))
    handle(
        _event(store, "ohlc/2012-12-14/TORN.csv", store.write("ohlc/2012-12-14/TORN.csv", b"Date,Open\n2012-12-14,"))
    )
    store.write(REPORT, b"<!doctype html><html lang=en><title>Drift</title><h1>Drift of 2012-12-14</h1></html>")
    warehouse.append("retrains", pd.DataFrame(_decisions()), key="demo/retrains")
    warehouse.append("drift", pd.DataFrame(_drift()), key="demo/drift")
    return warehouse


def send(store: ObjectStore, symbols: Sequence[str], as_of: date, source: MarketData) -> ObjectFinalized:
    """Upload bars, and return the event that announces them."""
    now = datetime(2013, 6, 1, tzinfo=UTC)
    sent = upload(symbols, as_of, source=source, store=store, now=now)
    return _event(store, sent.object, sent.generation)


def _event(store: ObjectStore, name: str, generation: str) -> ObjectFinalized:
    return ObjectFinalized(store.bucket, name, generation, written_at=datetime.now(UTC))


def _decisions() -> list[dict[str, Any]]:
    common = {
        "kind": "promotion",
        "training": "refitted",
        "model_name": "tickercast-lstm",
        "champion_version": "1",
        "created_at": datetime(2012, 12, 14, 22, tzinfo=UTC),
    }
    kept = {
        "day": date(2012, 12, 13),
        "decision": "kept",
        "reason": "The challenger's loss is 1.004 of the champion's, 0.998 to 1.011: not below 1.",
        "candidate_version": "2",
        "origins": 240,
        "pinball_ratio": 1.004,
    }
    promoted = {
        "day": date(2012, 12, 14),
        "decision": "promoted",
        "reason": "The challenger's loss is 0.991 of the champion's, 0.984 to 0.997: wholly below 1.",
        "candidate_version": "3",
        "origins": 240,
        "pinball_ratio": 0.991,
    }
    return [common | kept, common | promoted]


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
