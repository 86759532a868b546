from pathlib import Path

import pytest

from tickercast import engines
from tickercast.config import Settings
from tickercast.errors import UsageError


@pytest.mark.parametrize(
    ("url", "opened"),
    [
        ("bigquery://my-project/forecasts", "bigquery://my-project/forecasts"),
        ("bigquery://example.com:my-project/f_1?location=europe-west3", "bigquery://example.com:my-project/f_1"),
        ("duckdb://some/where.duckdb", "duckdb://some/where.duckdb"),
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
        ("file://some/where", "file://some/where"),
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


@pytest.mark.parametrize("url", ["s3://bucket", "file://", "bucket"])
def test_another_store_is_answered_with_those_that_there_are(url: str) -> None:
    with pytest.raises(UsageError, match="file://PATH or gs://BUCKET was needed"):
        engines.object_store(Settings(bucket=url))


@pytest.mark.parametrize("url", ["postgres://somewhere", "duckdb://", "warehouse.duckdb", "bigqueri://p/d"])
def test_another_url_is_answered_with_those_that_there_are(url: str, workspace: Path) -> None:
    with pytest.raises(UsageError, match="duckdb://PATH or bigquery://PROJECT/DATASET was needed"):
        engines.warehouse(Settings(warehouse=url))
