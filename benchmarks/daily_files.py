"""Handle daily files of many symbols with the tickercast on the path, this commit's or b11c44e's, and print JSON.

    PYTHONPATH=CHECKOUT/src python daily_files.py SYMBOLS DAYS

Each file has the last 756 bars of each symbol. Printed are the processor time of each event, in seconds, and the peak
memory of the process before and after the events, in MiB.
"""

import json
import resource as limits
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from exchange_calendars import get_calendar

from tickercast.config import Settings
from tickercast.domain import objects
from tickercast.ports import ObjectFinalized

SESSIONS = 756


def main(symbols: int, days: int) -> None:
    """Write the files, handle them, and print what they took."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(bucket=f"file://{folder}/bucket", warehouse=f"duckdb://{folder}/warehouse.duckdb")
        store, write, bars, handle = _opened(settings, Path(folder) / "bucket")
        events = []
        for as_of, series in _files(symbols, days, bars):
            name, data = objects.batch(as_of, 1), write(series)
            events.append(ObjectFinalized("bucket", name, store.write(name, data), len(data)))
        before, used = _peak_mib(), []
        for event in events:
            started = _cpu_s()
            handle(event)
            used.append(_cpu_s() - started)
        print(json.dumps({"cpu_s": used, "before_mib": before, "peak_mib": _peak_mib()}))


def _opened(settings: Settings, bucket: Path) -> tuple[Any, Callable[..., bytes], Any, Callable[..., Any]]:
    """A bucket without events, a writer of files, the class of bars and the function: of either commit."""
    try:
        from tickercast.app import App
    except ModuleNotFoundError:
        return _of_b11c44e(settings, bucket)
    from tickercast.backends.object_store.local import LocalObjectStore
    from tickercast.domain.bars import Bars
    from tickercast.domain.files.price_files import to_parquet

    app = App(settings)
    app.set_up_memory()
    app.provision()
    return LocalObjectStore(bucket), to_parquet, Bars, app.handle


def _of_b11c44e(settings: Settings, bucket: Path) -> tuple[Any, Callable[..., bytes], Any, Callable[..., Any]]:
    import importlib

    bootstrap: Any = importlib.import_module("tickercast.bootstrap")
    history: Any = importlib.import_module("tickercast.domain.history")
    local: Any = importlib.import_module("tickercast.backends.object_store_local")
    bootstrap.provisioned(bootstrap.object_store(settings, announce=False), bootstrap.warehouse(settings))
    return local.LocalObjectStore(bucket), history.to_csv, history.History, bootstrap.function(settings)


def _files(symbols: int, days: int, bars: Any) -> Any:
    random = np.random.default_rng(1)
    sessions = get_calendar("XNYS", start="2015-01-02", end="2023-07-21").sessions[-SESSIONS - days :]
    walks = []
    for _ in range(symbols):
        close = np.round(100 * np.exp(np.cumsum(random.normal(0, 0.02, len(sessions)))), 2)
        prices = {"open": np.round(close * 0.999, 2), "high": np.round(close * 1.012, 2)}
        prices |= {"low": np.round(close * 0.988, 2), "close": close, "adj_close": np.round(close * 0.97, 4)}
        volume = random.integers(1_000_000, 9_000_000, len(sessions)).astype(float)
        walks.append(pd.DataFrame({"session_date": sessions, **prices, "volume": volume}))
    for day in range(days):
        rows = slice(day, SESSIONS + day)
        series = [bars(f"S{number:04d}", walk.iloc[rows].reset_index(drop=True)) for number, walk in enumerate(walks)]
        yield sessions[SESSIONS + day - 1].date(), series


def _cpu_s() -> float:
    used = limits.getrusage(limits.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _peak_mib() -> float:
    return limits.getrusage(limits.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
