"""Which files are forecast again: those whose newest forecasts another model made than the one that is served."""

from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from tickercast.backends.object_store.local import LocalObjectStore
from tickercast.domain.cards.model_card import Pointer
from tickercast.jobs.daily import reforecast
from tickercast.models.baselines import EwmaT

CUTOFF = date(2023, 7, 21)
MADE_BY = {"OWN": ("tickercast-lstm", "7"), "OLD": ("tickercast-lstm", "6"), "BASE": (EwmaT.name, EwmaT.version)}
MARKET: Any = SimpleNamespace(symbols=list(MADE_BY), source=SimpleNamespace(simulated=False))


class Tables:
    """The ledger, and the forecasts that it accounts for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def read(self, name: str, where: Any, columns: list[str]) -> pd.DataFrame:
        self.asked.append(name)
        rows = [
            {
                **{"symbol": symbol, "cutoff": pd.Timestamp(CUTOFF), "written_at": pd.Timestamp(CUTOFF, tz="UTC")},
                **{"object": f"ohlc/2023-07-21/{symbol}.csv", "generation": "1"},
                **{"model_name": model, "model_version": version},
            }
            for symbol, (model, version) in MADE_BY.items()
        ]
        return pd.DataFrame(rows)[columns]


def outdated(pointer: Pointer) -> tuple[list[str], list[str]]:
    tables: Any = Tables()
    files = reforecast.outdated_files(MARKET, pointer, tables)
    return sorted(symbol for symbols in files.values() for symbol in symbols), tables.asked


@pytest.mark.parametrize(
    ("version", "baseline", "wanted", "asked"),
    [
        ("7", "", ["BASE", "OLD"], ["ingestions"]),
        ("6", "", ["BASE", "OWN"], ["ingestions"]),
        ("1", "", ["BASE", "OLD", "OWN"], ["ingestions", "forecasts"]),
        ("7", EwmaT.name, ["OLD", "OWN"], ["ingestions", "forecasts"]),
    ],
)
def test_the_forecasts_are_read_only_where_versions_do_not_tell(
    version: str, baseline: str, wanted: list[str], asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pointer = Pointer(name="tickercast-lstm", version=version, baseline=baseline)
    assert outdated(pointer) == (wanted, asked)
    monkeypatch.setattr(reforecast, "BASELINE_VERSION", version)  # so that they are read
    assert outdated(pointer) == (wanted, ["ingestions", "forecasts"])


def test_a_file_that_is_forecast_again_stays_below_what_is_newer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = LocalObjectStore(tmp_path)
    older, newer = (store.write(f"ohlc/2023-07-21/{name}.csv", b"bars") for name in ("batch-0001", "MSFT"))
    files = {("ohlc/2023-07-21/batch-0001.csv", older): ("META",), ("ohlc/2023-07-21/GONE.csv", "1"): ("GONE",)}
    monkeypatch.setattr(reforecast, "outdated_files", lambda *_: files)
    nothing: Any = None
    [again] = reforecast.reforecast(MARKET, nothing, store=store, warehouse=nothing)
    assert (again.symbols, again.generation > newer) == (("META",), True)
    assert store.written_at(again.object, generation=again.generation) < store.written_at(
        "ohlc/2023-07-21/MSFT.csv", generation=newer
    )
