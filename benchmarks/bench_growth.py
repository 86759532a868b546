"""Measure a warehouse that takes a daily file for a year: its rows, its size, and how long its views take.

Every day a file with the last 756 bars of each symbol is handled, as the function does. Each symbol has four dividends
and a split a year, which rebase its past. The warehouse is compacted once a week, as the daily run does. The time of a
view is this process's time on all processors, from a closed file to a pandas frame, the median of nine; a `…_ratio` is
that of the last day over the twentieth.

BigQuery bills bytes: `bigquery_…_8000_year` are the bytes of the columns that the queries name, at 8,000 symbols after
a year, with the rows that were counted here. A filter on the symbol reads at least ten megabytes a table.
"""

import argparse
import resource as limits
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from exchange_calendars import get_calendar

from benchmarks import report
from tickercast.app import App
from tickercast.backends.object_store.local import LocalObjectStore
from tickercast.backends.warehouse.duckdb import DuckDBWarehouse
from tickercast.config import Settings, resource
from tickercast.domain import objects
from tickercast.domain.bars import Bars
from tickercast.domain.files.price_files import to_parquet
from tickercast.ports import ObjectFinalized
from tickercast.reading.views import coverage, models, skill

SESSIONS = 756
RUNS = 9
EARLY = 20
_PRICES = ["open", "high", "low", "close", "adj_close"]
_ONE = "S007"
_ROW_BYTES = {"prices": 120, "spans": 30, "forecasts": 190, "skill_blocks": 150}
"""The bytes a row of the columns that the views of a refresh name; texts as BigQuery counts them."""


def main() -> None:
    """Fill a warehouse day by day and write `growth.json`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--symbols", type=int, default=500)
    parser.add_argument("--days", type=int, default=250)
    size = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report.write("growth", measure(Path(folder), size.symbols, size.days))


def measure(folder: Path, symbols: int, days: int) -> dict[str, float]:
    """Handle the days, and measure after the twentieth and the last."""
    settings = Settings(bucket=f"file://{folder}/bucket", warehouse=f"duckdb://{folder}/warehouse.duckdb")
    app, store = App(settings), LocalObjectStore(folder / "bucket")
    app.provision()
    warehouse = DuckDBWarehouse(folder / "warehouse.duckdb", resource("sql"))
    figures: dict[str, float] = {}
    counts, used = [], []
    for day, series in enumerate(_days(symbols, days), start=1):
        name, data = objects.batch(series[0].cutoff, 1), to_parquet(series)
        event = ObjectFinalized("bucket", name, store.write(name, data), len(data))
        started = time.process_time()
        outcome = app.handle(event)
        used.append(time.process_time() - started)
        assert len(outcome.series) == symbols, outcome.failures
        store.delete(name, generation=event.generation)
        if day % 5 == 0:
            warehouse.compact(until=datetime.now(UTC))
        counts.append(_count(warehouse, "prices"))
        if day in (EARLY, days):
            figures |= _timed(warehouse, day)
        print(f"day {day}: {counts[-1]:,} bars, {used[-1]:.2f} s", end="\r", flush=True)
    size_mb = sum(file.stat().st_size for file in folder.glob("warehouse.duckdb*") if file.is_file()) / 1e6
    scale = 8000 / symbols
    rows = {table: _count(warehouse, table) * scale for table in _ROW_BYTES}
    megabytes = {table: rows[table] * size / 1e6 for table, size in _ROW_BYTES.items()}
    figures |= _ratios(figures, days)
    return figures | {
        "price_rows": counts[-1],
        "file_mb": size_mb,
        "append_rows_a_day": float(np.median([added for added in np.diff(counts) if added > 0])),
        "event_cpu_s_day_20": statistics.median(used[EARLY - 5 : EARLY]),
        "event_cpu_s_last": statistics.median(used[-5:]),
        "bigquery_refresh_mb_8000_year": sum(
            max(10.0, megabytes[table] / 8000) for table in ("prices", "spans", "forecasts")
        ),
        "bigquery_track_record_mb_8000_year": 3 * megabytes["skill_blocks"] + megabytes["forecasts"] / 10,
        "rss_mb": limits.getrusage(limits.RUSAGE_SELF).ru_maxrss / 1000,
    }


def _days(symbols: int, days: int) -> Iterator[list[Bars]]:
    random = np.random.default_rng(1)
    sessions = get_calendar("XNYS", start="2015-01-02", end="2023-07-21").sessions[-SESSIONS - days :]
    names = [f"S{number:03d}" for number in range(symbols)]
    walks, events = {}, {}
    for name in names:
        close = np.round(100 * np.exp(np.cumsum(random.normal(0, 0.02, len(sessions)))), 2)
        bars = {"open": close * 0.999, "high": close * 1.012, "low": close * 0.988, "close": close, "adj_close": close}
        volume = random.integers(1_000_000, 9_000_000, len(sessions)).astype(float)
        walks[name] = pd.DataFrame({"session_date": sessions, **bars, "volume": volume})
        kinds = ["split"] + ["dividend"] * 4
        events[name] = dict(zip(random.choice(np.arange(1, 251), 5, replace=False), kinds, strict=True))
    for day in range(days):
        series = []
        for name in names:
            kind = events[name].get(day)
            if kind == "split":
                walks[name][_PRICES] *= 0.5
                walks[name]["volume"] *= 2
            elif kind == "dividend":
                past = walks[name].index < SESSIONS + day - 1
                walks[name].loc[past, "adj_close"] *= 0.995
            series.append(Bars(name, walks[name].iloc[day : SESSIONS + day]))
        yield series


def _timed(warehouse: DuckDBWarehouse, day: int) -> dict[str, float]:
    def track_record() -> None:
        skill(warehouse)
        coverage(warehouse)
        models(warehouse)

    work: dict[str, Callable[[], Any]] = {
        "latest_prices_s": lambda: warehouse.read("latest_prices"),
        "latest_prices_one_s": lambda: warehouse.read("latest_prices", {"symbol": _ONE}),
        "predicted_prices_one_s": lambda: warehouse.read("predicted_prices", {"symbol": _ONE}),
        "indicators_one_s": lambda: warehouse.read("indicators", {"symbol": _ONE}),
        "scores_one_s": lambda: warehouse.read("forecast_scores", {"symbol": _ONE}),
        "skill_one_s": lambda: warehouse.read("forecast_skill", {"symbol": _ONE}),
        "track_record_s": track_record,
    }
    return {f"{name}_day_{day}": _seconds(each) for name, each in work.items()}


def _ratios(figures: Mapping[str, float], days: int) -> dict[str, float]:
    early, last = f"_s_day_{EARLY}", f"_s_day_{days}"
    names = [name.removesuffix(early) for name in figures if name.endswith(early)]
    return {f"{name}_ratio": figures[name + last] / figures[name + early] for name in names}


def _seconds(work: Callable[[], Any]) -> float:
    times = []
    for _ in range(RUNS):
        started = time.process_time()
        work()
        times.append(time.process_time() - started)
    return statistics.median(times)


def _count(warehouse: DuckDBWarehouse, table: str) -> int:
    return int(warehouse.query(f"SELECT COUNT(*) AS n FROM {table}")["n"].iloc[0])  # noqa: S608


if __name__ == "__main__":
    main()
