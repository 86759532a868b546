"""Hours on BigQuery, which a stand-in plays: the function stores, scores and shows the same as on DuckDB."""

import uuid
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pandas as pd
import pytest
from tests.support.bigquery_server import BigQueryServer
from tests.support.hourly import make_hours
from tests.support.place import AT, Place

from tickercast import engines
from tickercast.config import Settings
from tickercast.domain.files.hour_files import hours_parquet
from tickercast.domain.forecast import Role, Served
from tickercast.models.hourly.predictors import BASELINES
from tickercast.ports import Warehouse
from tickercast.reading import queries, views

HOURS = 200
TABLES = ("prices", "forecasts", "scores", "skill_blocks", "ingestions", "digests", "spans")
CLOCKS = ["ingested_at", "created_at", "announced_at", "received_at", "duration_ms", "written_at", "scored_at"]
CLOCKS += ["bytes_loaded", "bytes_queried"]  # each engine counts in its own way
CLOCKS += ["generation", "basis"]
VIEWS: dict[str, Callable[[Warehouse], pd.DataFrame]] = {
    "bars": lambda one: views.bars(one, "BTCUSDT", "1h"),
    "forecasts": lambda one: views.champion_forecasts(one, "BTCUSDT", "1h"),
    "skill": lambda one: views.skill(one, "1h"),
    "newest hours": lambda one: queries.ask(one, "current_hours", since=date(2020, 1, 1), frequency="1h"),
    "models": lambda one: views.models(one, "1h"),
    "latest": lambda one: one.read("latest_forecasts", {"frequency": "1h"}),
    "predicted": lambda one: one.read("predicted_prices", {"frequency": "1h"}),
    "scores": lambda one: one.read("forecast_scores", {"frequency": "1h"}),
}


@pytest.fixture
def cloud(bigquery_server: BigQueryServer) -> Warehouse:
    url = f"bigquery://test-project/d{uuid.uuid4().hex}"
    made = engines.warehouse(Settings(warehouse=url, bigquery_emulator_host=bigquery_server.url))
    made.provision()
    return made


def hours(folder: Path, warehouse: Warehouse | None = None) -> Warehouse:
    """Five hours of two coins through the function; the third file comes last and twice."""
    folder.mkdir()
    place = Place(folder)
    place.warehouse = warehouse or place.warehouse  # type: ignore[assignment]
    place.served = lambda: [
        Served(BASELINES["ewma-t"](), Role.CHAMPION),
        Served(BASELINES["random-walk"](), Role.BASELINE),
    ]
    begin = (AT - timedelta(hours=HOURS)).date()
    coins = [
        make_hours(name, hours=HOURS + 30, seed=seed, first=begin) for name, seed in (("BTCUSDT", 1), ("ETHUSDT", 2))
    ]
    first = len(coins[0].through(AT.replace(tzinfo=None) - timedelta(hours=4)))
    events = []
    for ahead in range(5):
        known = [bars.rows(ahead, first + ahead) for bars in coins]
        end = AT - timedelta(hours=4 - ahead)
        events.append(place.upload(f"ohlc/1h/{end:%Y-%m-%dT%H}/batch-0001.parquet", hours_parquet(known)))
    for number in (0, 1, 3, 4, 2, 2):
        place.handle(events[number])
    return place.warehouse


def plain(rows: pd.DataFrame) -> pd.DataFrame:
    rows = rows.drop(columns=[*CLOCKS, "quantiles"], errors="ignore")
    moments = rows.select_dtypes(["datetime", "datetimetz"]).columns
    rows = rows.assign(**{name: pd.to_datetime(rows[name], utc=True).dt.strftime("%F %T") for name in moments})
    texts = {name: rows[name].astype(object).fillna("") for name in rows.select_dtypes(["object", "str"]).columns}
    rows = rows.assign(**texts)
    return rows.sort_values(sorted(rows.columns), ignore_index=True)[sorted(rows.columns)]


def test_hours_are_stored_scored_and_shown_alike_on_both_engines(tmp_path: Path, cloud: Warehouse) -> None:
    laptop = hours(tmp_path / "laptop")
    hours(tmp_path / "cloud", cloud)
    for table in TABLES:
        pd.testing.assert_frame_equal(
            plain(cloud.read(table)), plain(laptop.read(table)), check_dtype=False, rtol=1e-9, obj=table
        )
    for name, ask in VIEWS.items():
        pd.testing.assert_frame_equal(plain(ask(cloud)), plain(ask(laptop)), check_dtype=False, rtol=1e-9, obj=name)
    assert len(laptop.read("forecast_scores", {"role": Role.CHAMPION})) == 2 * (4 + 3 + 2 + 1)
