"""Which files are forecast again: those whose newest forecasts another model made than the one that is served."""

from datetime import date
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from tickercast.domain.model_card import Pointer
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
