"""The dashboard asks BigQuery, which a stand-in plays, what it asks DuckDB, and gets the same answers."""

import uuid
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tests.support.bigquery_server import BigQueryServer
from tests.support.place import Place

from tickercast import engines
from tickercast.config import Settings
from tickercast.domain.bars import Bars
from tickercast.domain.files.price_files import to_csv
from tickercast.errors import WarehouseUnavailable
from tickercast.ports import Warehouse
from tickercast.reading import views
from tickercast.reading.calibration import calibrations

Ask = Callable[[Warehouse], pd.DataFrame]

QUESTIONS: dict[str, Ask] = {
    "symbols": lambda one: pd.DataFrame({"symbol": views.symbols(one)}),
    "bars": lambda one: views.bars(one, "MSFT"),
    "champion_forecasts": lambda one: views.champion_forecasts(one, "MSFT"),
    "random_walk": lambda one: views.random_walk(one, "MSFT"),
    "histogram": lambda one: views.histogram(one, "MSFT"),
    "quantiles": lambda one: _quantiles(one),
    "calibrations": lambda one: pd.DataFrame(map(asdict, calibrations(one))),
    "champion_skill": lambda one: views.champion_skill(one, "MSFT"),
    "skill": views.skill,
    "coverage": views.coverage,
    "models": views.models,
    "health": views.health,
    "not_forecast": views.not_forecast,
    "freshness": views.freshness,
    "decisions": views.decisions,
    "drift": views.drift,
}


def _quantiles(one: Warehouse) -> pd.DataFrame:
    first = views.champion_forecasts(one, "MSFT").iloc[-1]
    made = (first["object"], first["generation"], first["model_name"])
    found = views.quantiles(one, "MSFT", made, first["cutoff"].date())
    assert len(found) == 10
    return found.assign(quantiles=found["quantiles"].map(list))


def on_bigquery(server: BigQueryServer) -> Warehouse:
    url = f"bigquery://test-project/d{uuid.uuid4().hex}"
    return engines.warehouse(Settings(warehouse=url, bigquery_emulator_host=server.url))


def test_every_question_has_the_same_answer_on_both_engines(
    tmp_path: Path, make_bars: Callable[..., Bars], bigquery_server: BigQueryServer
) -> None:
    place = Place(tmp_path)
    place.now = datetime(2023, 8, 19, tzinfo=UTC)
    bars = make_bars(last=date(2023, 8, 18), sessions=160)
    for day in (date(2023, 7, 14), date(2023, 8, 18)):
        place.handle(place.upload(f"ohlc/{day}/MSFT.csv", to_csv([bars.until(day)])))
    place.handle(place.upload("ohlc/2023-08-18/TORN.csv", b"Date,Open\n"))
    cloud = on_bigquery(bigquery_server)
    cloud.provision()
    for table in ("spans", "prices", "digests", "forecasts", "scores", "skill_blocks", "ingestions"):
        assert cloud.append(table, place.warehouse.read(table), key=table)
    for name, ask in QUESTIONS.items():
        there, here = (_in_order(ask(one)) for one in (cloud, place.warehouse))
        assert list(there.columns) == list(here.columns), name
        pd.testing.assert_frame_equal(there, here, check_dtype=False, rtol=1e-9, obj=name)


def _in_order(found: pd.DataFrame) -> pd.DataFrame:
    keys: Any = [name for name in ("symbol", "model_name", "role", "cutoff", "step", "month") if name in found]
    ordered = found.sort_values(keys, ignore_index=True) if keys else found
    return ordered.dropna(axis="columns", how="all").reindex(columns=found.columns)  # one kind of nothing


def test_a_dataset_that_is_not_there_is_a_sentence(bigquery_server: BigQueryServer) -> None:
    with pytest.raises(WarehouseUnavailable, match="has not been set up"):
        views.symbols(on_bigquery(bigquery_server))
