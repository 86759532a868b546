"""Looker Studio: the URLs that open a new report on a view of the warehouse.

They use its Linking API, which needs only the view's name. Whoever opens one needs permission to read the dataset, and
pays for the queries.
"""

import re
from urllib.parse import urlencode

from tickercast.errors import UsageError

CREATE = "https://lookerstudio.google.com/reporting/create"

VIEWS = {
    "predicted_prices": "tickercast: prices and forecasts",
    "forecast_skill": "tickercast: skill",
    "coverage": "tickercast: coverage",
    "drift_daily": "tickercast: drift",
    "ingestion_health": "tickercast: ingestions",
}
"""The views that have their own report, and its name."""


def report_urls(warehouse_url: str) -> dict[str, str]:
    """The URL that opens a new report, for each view that has one.

    Args:
        warehouse_url: `bigquery://PROJECT/DATASET`, as the setting has it.

    Raises:
        UsageError: the warehouse is not BigQuery, the only one that Looker Studio can read.

    >>> report_urls("bigquery://my-project/tickercast?location=EU")["coverage"].partition("&")[0]
    'https://lookerstudio.google.com/reporting/create?c.mode=edit'
    """
    named = re.fullmatch(r"bigquery://([a-z0-9.:-]+)/(\w+)(?:\?location=[\w-]+)?", warehouse_url, re.ASCII)
    if named is None:
        raise UsageError(
            f"The warehouse is {warehouse_url!r}, and Looker Studio reads BigQuery only: set TICKERCAST_WAREHOUSE to "
            "bigquery://PROJECT/DATASET, or use the local dashboard without --looker."
        )
    project, dataset = named.groups()
    return {view: f"{CREATE}?{urlencode(_parameters(project, dataset, view))}" for view in VIEWS}


def _parameters(project: str, dataset: str, view: str) -> dict[str, str]:
    """The parameters of the Linking API: without a template, a report takes one data source, which has no alias."""
    return {
        "c.mode": "edit",
        "r.reportName": VIEWS[view],
        "ds.connector": "bigQuery",
        "ds.type": "TABLE",
        "ds.projectId": project,
        "ds.datasetId": dataset,
        "ds.tableId": view,
        "ds.billingProjectId": project,
    }
