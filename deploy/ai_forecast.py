"""Print the query of `sql/scheduled/ai_forecast.sql` as a job of BigQuery's API, for Cloud Scheduler to start.

python deploy/ai_forecast.py PROJECT DATASET LOCATION
"""

import json
import sys
from pathlib import Path
from typing import Any

MOST_BILLED = 20 * 10**9
"""Bytes that one run may be billed for; one that needs more is refused, and nothing is billed."""

_TEXT = Path(__file__).parents[1] / "sql" / "scheduled" / "ai_forecast.sql"


def job(project: str, dataset: str, location: str) -> dict[str, Any]:
    """The body of `bigquery.jobs.insert`.

    >>> job("my-project", "tickercast", "europe-west3")["configuration"]["query"]["defaultDataset"]
    {'projectId': 'my-project', 'datasetId': 'tickercast'}
    """
    query = {
        "query": _TEXT.read_text(encoding="utf-8"),
        "useLegacySql": False,
        "defaultDataset": {"projectId": project, "datasetId": dataset},
        "maximumBytesBilled": str(MOST_BILLED),
    }
    return {
        "configuration": {"query": query, "labels": {"tickercast": "ai-forecast"}},
        "jobReference": {"projectId": project, "location": location},
    }


if __name__ == "__main__":
    print(json.dumps(job(*sys.argv[1:4]), indent=2))
