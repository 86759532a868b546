"""The main command with its bucket on a stand-in for Cloud Storage, whose trigger calls the function."""

import json
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.support.complaints import complaints
from tests.support.storage_server import INSERT, StorageServer

from tickercast import config
from tickercast.backends import events

PROJECT = Path(__file__).parents[2]
WORDS = ["MSFT", "IBM", "2012-08-15", "--source", "sample", "--json"]


@pytest.fixture
def main(workspace: Path) -> Callable[[], Any]:
    def run() -> Any:
        done = subprocess.run(
            [sys.executable, str(PROJECT / "src" / "main.py"), *WORDS], capture_output=True, text=True, timeout=300
        )
        assert (done.returncode, complaints(done)) == (0, [])
        return [
            {name: value for name, value in made.items() if name != "generation"} for made in json.loads(done.stdout)
        ]

    return run


def test_the_main_command_prints_the_same_with_its_bucket_on_cloud_storage(
    workspace: Path, main: Callable[[], Any], storage_server: StorageServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_the_laptop = main()
    (workspace / ".tickercast").rename(workspace / "laptop")
    storage_server.make_bucket("prices")
    monkeypatch.setenv("TICKERCAST_BUCKET", "gs://prices")
    deliver = events.in_process(config.resource("cloud_function") / "main.py", target="forecast")
    storage_server.fail(INSERT, "", "", "", "drop")  # the first three publish the champion
    with ThreadPoolExecutor(1) as trigger:
        storage_server.trigger = lambda made: trigger.submit(deliver, made)
        assert main() == on_the_laptop
    assert [made["name"] for made in storage_server.announced if made["name"].startswith("ohlc/")] == [
        "ohlc/2012-08-15/batch-0001.parquet"
    ]
