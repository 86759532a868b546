"""Which files are forecast again: those whose newest forecasts another model made than the one that is served."""

from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from tests.support.place import Place

from tickercast.backends.object_store.local import LocalObjectStore
from tickercast.domain import objects
from tickercast.domain.bars import Reading
from tickercast.domain.cards.model_card import Pointer
from tickercast.domain.files.price_files import to_parquet
from tickercast.domain.learning.market import FetchedBars, Market
from tickercast.jobs.daily import reforecast
from tickercast.models.baselines import EwmaT

CUTOFF = date(2023, 7, 21)
EVENING, NEXT = datetime(2023, 7, 21, 22, tzinfo=UTC), datetime(2023, 7, 24, 22, tzinfo=UTC)
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
                **{"symbol": symbol, "cutoff": pd.Timestamp(CUTOFF), "written_at": pd.Timestamp(EVENING)},
                **{"object": f"ohlc/2023-07-21/{symbol}.csv", "generation": "1"},
                **{"model_name": model, "model_version": version},
            }
            for symbol, (model, version) in MADE_BY.items()
        ]
        return pd.DataFrame(rows)[columns]


def outdated(pointer: Pointer) -> tuple[list[str], list[str]]:
    tables: Any = Tables()
    files = reforecast.outdated_files(MARKET, pointer, tables, EVENING)
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
    tmp_path: Path, make_bars: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = LocalObjectStore(tmp_path)
    data = to_parquet([make_bars("META"), make_bars("MSFT")])
    older, newer = (store.write(f"ohlc/2023-07-21/{name}.parquet", data) for name in ("batch-0001", "MSFT"))
    files = {("ohlc/2023-07-21/batch-0001.parquet", older): ("META",), ("ohlc/2023-07-21/GONE.csv", "1"): ("GONE",)}
    monkeypatch.setattr(reforecast, "outdated_files", lambda *_: files)
    nothing: Any = None
    [again] = reforecast.reforecast(MARKET, nothing, store=store, warehouse=nothing, now=EVENING)
    assert (again.object, again.symbols) == ("ohlc/2023-07-21/batch-0002.parquet", ("META",))
    assert store.written_at(again.object, generation=again.generation) < store.written_at(
        "ohlc/2023-07-21/MSFT.parquet", generation=newer
    )


def test_only_what_another_model_forecast_and_what_has_not_come_true_is_forecast_again(
    tmp_path: Path, make_bars: Any
) -> None:
    place = Place(tmp_path)
    symbols = ("MSFT", "ETH-USD", "7203.T")
    [before, bars] = ([make_bars(symbol, last=last) for symbol in symbols] for last in (date(2023, 7, 20), CUTOFF))
    place.now = EVENING
    for number, sent in enumerate((before, bars[:1]), start=1):
        name = f"ohlc/{sent[0].cutoff}/batch-{number:04d}.parquet"
        place.store.write(name, to_parquet(sent), metadata=objects.repeating(EVENING))
        assert not place.handle(place.arrived(name)).failures
    market = Market(FetchedBars("given", False, Reading({one.symbol: one for one in bars})), CUTOFF)
    new = Pointer(name="champion", version="8")

    def again(now: datetime) -> dict[str, tuple[str, ...]]:
        return {
            name: symbols for (name, _), symbols in reforecast.outdated_files(market, new, place.warehouse, now).items()
        }

    old, newest = "ohlc/2023-07-20/batch-0001.parquet", "ohlc/2023-07-21/batch-0002.parquet"
    assert again(EVENING) == {newest: ("MSFT",), old: ("ETH-USD", "7203.T")}  # Tokyo's was made after its first close
    assert again(NEXT) == {old: ("7203.T",)}
    made = place.warehouse.read("forecasts")
    sent = reforecast.reforecast(market, new, store=place.store, warehouse=place.warehouse, now=EVENING)
    assert not any(place.handle(place.arrived(each.object)).failures for each in sent)
    more = place.warehouse.read("forecasts", {"step": 1, "role": "champion"}).merge(
        made[["object", "generation"]].drop_duplicates(), how="left", indicator=True
    )
    more = more[more["_merge"] == "left_only"]
    assert set(zip(more["symbol"], more["cutoff"].dt.date, strict=True)) == {
        ("MSFT", CUTOFF),
        ("ETH-USD", date(2023, 7, 20)),
        ("7203.T", date(2023, 7, 20)),
    }
