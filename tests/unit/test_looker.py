"""The links to Looker Studio."""

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from tickercast.errors import UsageError
from tickercast.show.looker import VIEWS, report_urls

PROJECT = Path(__file__).parents[2]


@pytest.mark.parametrize("suffix", ["", "?location=europe-west3"])
def test_the_address_names_the_view_and_no_alias(suffix: str) -> None:
    parts = urlsplit(report_urls(f"bigquery://my-project/tickercast{suffix}")["predicted_prices"])
    assert (parts.netloc, parts.path) == ("lookerstudio.google.com", "/reporting/create")
    assert parse_qs(parts.query) == {
        "c.mode": ["edit"],
        "r.reportName": ["tickercast: prices and forecasts"],
        "ds.connector": ["bigQuery"],
        "ds.type": ["TABLE"],
        "ds.projectId": ["my-project"],
        "ds.datasetId": ["tickercast"],
        "ds.tableId": ["predicted_prices"],
        "ds.billingProjectId": ["my-project"],
    }


def test_every_report_is_on_a_view_that_is_there() -> None:
    assert {path.stem for path in (PROJECT / "sql" / "views").glob("*.sql")} >= set(VIEWS)


@pytest.mark.parametrize("url", ["duckdb://.tickercast/warehouse.duckdb", "bigquery://my-project", "bigquery://a b/c"])
def test_a_warehouse_that_looker_studio_cannot_read_is_a_sentence(url: str) -> None:
    with pytest.raises(UsageError, match="Looker Studio reads BigQuery only"):
        report_urls(url)
