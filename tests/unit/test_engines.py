"""The engines: which one a URL or a name opens, and the sentence where there is none."""

import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import SecretStr

from tickercast import config, engines
from tickercast.config import Settings
from tickercast.errors import UsageError


@pytest.mark.parametrize(
    ("url", "opened"),
    [
        ("bigquery://my-project/forecasts", "bigquery://my-project/forecasts"),
        ("bigquery://example.com:my-project/f_1?location=europe-west3", "bigquery://example.com:my-project/f_1"),
        ("duckdb:///some/where.duckdb", "duckdb:///some/where.duckdb"),
    ],
)
def test_a_url_opens_the_engine_that_it_names_and_connects_to_nothing(url: str, opened: str) -> None:
    assert engines.warehouse(Settings(warehouse=url)).url == opened


@pytest.mark.parametrize(
    "url",
    [
        "bigquery://my-project",
        "bigquery://my-project/",
        "bigquery:/my-project/forecasts",
        "bigquery:///forecasts",
        "bigquery://my-project/fore-casts",
        "bigquery://my-project/forecasts/prices",
        "bigquery://My Project/forecasts",
        "bigquery://my-project/forecasts?region=EU",
        "bigquery://my-project/forecasts?location=",
        "bigquery://my-project/forecasts\n",
    ],
)
def test_a_bigquery_url_that_names_no_dataset_is_a_sentence(url: str) -> None:
    with pytest.raises(UsageError, match="bigquery://PROJECT/DATASET was needed"):
        engines.warehouse(Settings(warehouse=url))


@pytest.mark.parametrize(
    ("url", "opened"),
    [
        ("gs://my-bucket", "gs://my-bucket"),
        ("gs://my_bucket.example.com/", "gs://my_bucket.example.com"),
        ("file:///some/where", "file:///some/where"),
    ],
)
def test_a_url_opens_the_store_that_it_names_and_connects_to_nothing(url: str, opened: str) -> None:
    assert engines.object_store(Settings(bucket=url)).url == opened


@pytest.mark.parametrize(
    "url", ["gs://", "gs:/bucket", "gs://b", "gs://My-Bucket", "gs://bucket/prefix", "gs://-bucket", "gs://bucket\n"]
)
def test_a_storage_url_that_names_no_bucket_is_a_sentence(url: str) -> None:
    with pytest.raises(UsageError, match="gs://BUCKET was needed"):
        engines.object_store(Settings(bucket=url))


@pytest.mark.parametrize("url", ["ftp://bucket", "file://", "bucket"])
def test_another_store_is_answered_with_those_that_there_are(url: str) -> None:
    with pytest.raises(UsageError, match="file://PATH, gs://BUCKET or s3://BUCKET was needed"):
        engines.object_store(Settings(bucket=url))


def test_a_warehouse_of_whose_name_duckdb_would_read_a_part_is_refused() -> None:
    with pytest.raises(UsageError, match=r"The warehouse is /a\?b/w\.duckdb, .* a path without one was needed"):
        engines.warehouse(Settings(warehouse="duckdb:///a?b/w.duckdb"))


@pytest.mark.parametrize("url", ["postgres://somewhere", "duckdb://", "warehouse.duckdb", "bigqueri://p/d"])
def test_another_url_is_answered_with_those_that_there_are(url: str, workspace: Path) -> None:
    with pytest.raises(UsageError, match="duckdb://PATH or bigquery://PROJECT/DATASET was needed"):
        engines.warehouse(Settings(warehouse=url))


def test_models_lie_in_the_data_bucket_unless_another_is_set() -> None:
    assert engines.model_bucket(Settings(bucket="file:///data")).url == "file:///data"
    assert engines.model_bucket(Settings(bucket="file://data", model_bucket="gs://models")).url == "gs://models"
    with pytest.raises(UsageError, match="TICKERCAST_MODEL_BUCKET is 'models'"):
        engines.model_bucket(Settings(model_bucket="models"))


def test_only_a_local_bucket_delivers_its_events_at_once() -> None:
    assert engines.delivers_at_once(Settings(bucket="file://data"))
    assert not engines.delivers_at_once(Settings(bucket="gs://my-bucket"))


def test_a_source_is_a_name_or_a_path(price_folder: Callable[..., Path]) -> None:
    folder = price_folder(["MSFT", "AAPL"])
    assert [engines.market_data(name).name for name in engines.SOURCES] == list(engines.SOURCES)
    assert [engines.market_data(name).simulated for name in ("yahoo", "sample", "simulated")] == [False, False, True]
    assert sorted(engines.market_data(str(folder)).symbols()) == ["AAPL", "MSFT"]
    with pytest.raises(UsageError, match="'nope' is neither yahoo, sample, simulated nor a folder or file"):
        engines.market_data("nope")


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({}, "binance"),
        ({"bucket": "file://b"}, "binance"),
        ({"source": "yahoo"}, "yahoo"),
        ({"source": "prices"}, "prices"),
    ],
)
def test_hours_come_from_the_source_that_is_configured_else_from_binance(changes: dict[str, str], name: str) -> None:
    assert engines.hourly_source(config.changed(Settings(), changes)) == name


def test_a_path_that_cannot_be_is_answered_as_any_other() -> None:
    with pytest.raises(UsageError, match="is neither"):
        engines.market_data("x" * 5000)


@pytest.mark.parametrize(
    ("name", "hint"), [("forecast_skil", "Did you mean forecast_skill"), ("x", "Name one of these")]
)
def test_the_statement_of_a_view_is_found_by_its_name(name: str, hint: str) -> None:
    assert "CREATE OR REPLACE VIEW forecast_skill" in engines.statement("forecast_skill")
    with pytest.raises(UsageError, match=f"There is no table or view '{name}'.*{hint}"):
        engines.statement(name)


@pytest.mark.parametrize(
    ("call", "needed"),
    [
        (lambda: engines.model_registry(Settings()), "Training needs tensorflow"),
        (lambda: engines.recipe_search(Settings()), "Training needs tensorflow"),
        (engines.fit, "Training needs tensorflow"),
        (engines.prepare, "Training needs tensorflow"),
        (engines.drift_reporter, "A drift report needs evidently"),
        (lambda: engines.notifiers(Settings(alert_urls=SecretStr("json://x"))), "TICKERCAST_ALERT_URLS needs apprise"),
    ],
)
def test_a_light_environment_is_told_what_to_install(
    monkeypatch: pytest.MonkeyPatch, call: Callable[[], object], needed: str
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert not engines.can_train()
    with pytest.raises(UsageError, match=rf"{needed}.* Run `make setup-dev`, or `\.venv/bin/pip install -e '\.\["):
        call()


def test_without_urls_nobody_receives_alerts() -> None:
    assert engines.notifiers(Settings()) == []


@pytest.mark.parametrize("url", ["file:x", "http://", "https://a b", "sqlite:///", "databricks"])
def test_a_registry_that_is_none_is_a_sentence_with_every_form(url: str) -> None:
    forms = r"sqlite:///FILE, http\(s\)://HOST of an MLflow server or bucket://FOLDER/NAME\.db was needed"
    with pytest.raises(UsageError, match=rf"^MLFLOW_TRACKING_URI is '{url}': {forms}"):
        engines.model_registry(Settings(mlflow_tracking_uri=url))


@pytest.mark.parametrize(
    ("uri", "url"),
    [
        ("sqlite:///some/mlflow.db", "sqlite:///some/tuning.db"),
        ("http://localhost:5000", "sqlite:////home/tuning.db"),
    ],
)
def test_studies_are_kept_beside_the_registry_or_in_the_home(uri: str, url: str) -> None:
    pytest.importorskip("optuna")
    assert engines.recipe_search(Settings(mlflow_tracking_uri=uri, home="/home")).url == url
