"""The view of unusual closes, recomputed from the rows that it reads."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tickercast.backends.warehouse.duckdb import DuckDBWarehouse
from tickercast.config import resource
from tickercast.ports import Between
from tickercast.reading.anomalies import anomalies

MOMENT = datetime(2023, 7, 25, tzinfo=UTC)


def score(symbol: str, actual: float, **changed: Any) -> dict[str, Any]:
    interval = {"close_lo_80": 97.0, "close_hi_80": 103.0, "close_lo_95": 95.0, "close_hi_95": 105.0}
    file = {"object": f"ohlc/1d/2023-07-24/{symbol}.csv", "generation": "1", "written_at": MOMENT, "created_at": MOMENT}
    model = {"model_name": "tickercast-lstm", "model_version": "2", "role": "champion", "origin": "live"}
    flags = {"simulated": False, "model_has_seen": False, "doubtful": False}
    return {
        **{"symbol": symbol, "frequency": "1d", "cutoff": date(2023, 7, 24), "step": 1},
        **{"target_date": date(2023, 7, 25), "last_close": 100.0, "close_median": 100.0, "actual_close": actual},
        **{**interval, **file, **model, **flags, "revision": 1, "basis": "a#1", "scored_at": MOMENT},
        **changed,
    }


@pytest.fixture
def warehouse(tmp_path: Path) -> DuckDBWarehouse:
    made = DuckDBWarehouse(tmp_path / "warehouse.duckdb", resource("sql"))
    made.provision()
    return made


def test_unusual_closes_and_the_market_without_them(warehouse: DuckDBWarehouse) -> None:
    rows = [
        score("FALLS", 93.0),
        score("CALM", 100.5),
        score("LOW", 96.0),
        score("FALLS", 99.0, target_date=date(2023, 7, 26), cutoff=date(2023, 7, 25)),
        score("FALLS", 80.0, step=2, target_date=date(2023, 7, 26)),
        score("FALLS", 80.0, role="baseline", model_name="random-walk"),
        score("MADEUP", 80.0, simulated=True),
    ]
    warehouse.append("scores", pd.DataFrame(rows), key="scores/one")

    found = warehouse.read("anomalies")

    sigma = np.log(103 / 97) / 2.5631
    others = np.mean(np.log([1.005, 0.96])) / sigma
    assert found[["symbol", "actual_close"]].values.tolist() == [["FALLS", 93.0]]
    assert found["sigmas"][0] == pytest.approx(np.log(0.93) / sigma)
    assert found["market_sigmas"][0] == pytest.approx(others)
    assert found["own_sigmas"][0] == pytest.approx(np.log(0.93) / sigma - others)


def test_a_corrected_close_is_judged_as_corrected(warehouse: DuckDBWarehouse) -> None:
    rows = [score("FIXED", 93.0), score("FIXED", 99.0, revision=2), score("BROKEN", 99.0)]
    warehouse.append("scores", pd.DataFrame([*rows, score("BROKEN", 107.0, revision=2)]), key="scores/one")

    found = warehouse.read("anomalies")

    assert found["symbol"].tolist() == ["BROKEN"]
    assert found["market_sigmas"][0] == pytest.approx(np.log(0.99) / (np.log(103 / 97) / 2.5631))


@pytest.mark.parametrize("frequency", ["1d", "1h"])
def test_of_two_champions_with_one_cutoff_the_newer_one_counts_and_is_no_market_of_the_other(
    warehouse: DuckDBWarehouse, frequency: str
) -> None:
    hour = {} if frequency == "1d" else {"cutoff_at": MOMENT, "target_at": MOMENT + timedelta(hours=1)}
    newer = {"model_name": "har-season", "generation": "2", "written_at": MOMENT + timedelta(minutes=1)}
    hindsight = {"model_name": "ewma-t", "origin": "backfill", "written_at": MOMENT + timedelta(days=9)}
    late = {"model_name": "late", "created_at": MOMENT + timedelta(days=9), "written_at": MOMENT + timedelta(days=9)}
    champions = [
        {"close_median": 99.0, "revision": 2},  # the replaced forecast has been scored again, too
        {**newer, "revision": 1, "close_median": 90.0},
        {**newer, "revision": 2},
        {**hindsight, "revision": 3, "close_median": 98.0},
        {**late, "revision": 3, "close_median": 97.0},
    ]
    rows = [score("ALONE", 107.0, frequency=frequency, **hour, **changed) for changed in champions]
    warehouse.append("scores", pd.DataFrame(rows), key="scores/one")

    [found] = warehouse.read("anomalies").to_dict("records")

    assert (found["model_name"], found["close_median"]) == ("har-season", 100.0)
    assert np.isnan(found["market_sigmas"])
    assert found["own_sigmas"] == found["sigmas"]
    told = anomalies(warehouse, {"ALONE": date(2023, 7, 25)})
    assert [each.sigmas for each in told] == ([found["sigmas"]] if frequency == "1d" else [])


def test_alone_a_symbol_has_no_market(warehouse: DuckDBWarehouse) -> None:
    warehouse.append("scores", pd.DataFrame([score("ALONE", 107.0)]), key="scores/one")

    [found] = warehouse.read("anomalies").to_dict("records")

    assert np.isnan(found["market_sigmas"])
    assert found["own_sigmas"] == found["sigmas"] > 2


def test_of_exchanges_that_close_at_different_times_each_session_is_one_market(warehouse: DuckDBWarehouse) -> None:
    closes = {"FALLS": (93.0, 20), "VOD.L": (100.0, 16), "MSFT": (96.0, 20)}
    rows = [
        score(symbol, close, target_at=datetime(2023, 7, 25, hour, tzinfo=UTC))
        for symbol, (close, hour) in closes.items()
    ]
    warehouse.append("scores", pd.DataFrame(rows), key="scores/one")

    [found] = warehouse.read("anomalies").to_dict("records")

    sigma = np.log(103 / 97) / 2.5631
    assert found["symbol"] == "FALLS"
    assert found["market_sigmas"] == pytest.approx(np.log(0.96) / 2 / sigma)


def test_the_session_before_is_all_that_has_to_be_read(
    warehouse: DuckDBWarehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monday, friday = date(2023, 7, 24), date(2023, 7, 21)
    days = {"cutoff": friday, "target_date": monday}
    rows = [
        score("FALLS", 93.0, **days),
        score("CALM", 100.5, **days),
        score("BTC-USD", 90.0, cutoff=date(2023, 7, 23), target_date=monday),
        score("OLD.L", 107.0, cutoff=friday, target_date=monday),
        score("FALLS", 80.0, cutoff=date(2023, 7, 3), target_date=monday, step=14),
    ]
    warehouse.append("scores", pd.DataFrame(rows), key="scores/one")
    last = dict.fromkeys(("FALLS", "CALM", "BTC-USD", "OLD.L"), monday)
    read: list[Any] = []
    ask = DuckDBWarehouse.read

    def reads(self: DuckDBWarehouse, name: str, where: Any, columns: Any) -> pd.DataFrame:
        read.append(where["cutoff"])
        return ask(self, name, where, columns)

    monkeypatch.setattr(DuckDBWarehouse, "read", reads)
    near = anomalies(warehouse, last)
    monkeypatch.setattr("tickercast.reading.anomalies._cutoffs", lambda last: Between(date(2023, 6, 1), monday))
    assert near == anomalies(warehouse, last)
    assert [found.symbol for found in near] == ["BTC-USD", "FALLS", "OLD.L"]
    assert read[0] == Between(friday, date(2023, 7, 23))
