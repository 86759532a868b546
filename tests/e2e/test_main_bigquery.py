"""The main command with its warehouse on a stand-in for BigQuery."""

import json
import os
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

from tests.support.bigquery_server import BigQueryServer
from tests.support.complaints import complaints

PROJECT = Path(__file__).parents[2]
WORDS = ["MSFT", "IBM", "2012-08-15", "--source", "sample", "--json"]


def forecast(folder: Path, **settings: str) -> Any:
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, str(PROJECT / "src" / "main.py"), *WORDS],
        cwd=folder,
        env=os.environ | settings,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (done.returncode, complaints(done)) == (0, [])
    return [{name: value for name, value in made.items() if name != "generation"} for made in json.loads(done.stdout)]


def test_the_main_command_prints_the_same_on_both_engines(workspace: Path, bigquery_server: BigQueryServer) -> None:
    url = f"bigquery://test-project/d{uuid.uuid4().hex}"
    assert forecast(workspace / "cloud", TICKERCAST_WAREHOUSE=url) == forecast(workspace / "laptop")
    stored = ("list_prices", "spans", "prices", "digests", "forecasts", "ingestions")
    assert bigquery_server.engine.modifications == dict.fromkeys(stored, 1)
