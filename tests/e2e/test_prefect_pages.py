"""The daily flow under a Prefect server: its pages show what the tables hold, and ask no other server."""

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import pytest
from tests.support.dashboard_server import CHROMIUM
from tests.support.mlflow_server import free_port
from tests.support.trading import PROJECT

from tickercast import config, engines

pytest.importorskip("prefect")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not CHROMIUM.exists(), reason=f"{CHROMIUM} is not installed")]

_PATIENCE_S = 180.0
_PATIENCE_MS = 60_000
_BIN = Path(sys.executable).parent


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("prefect")


@pytest.fixture(scope="module")
def environment(folder: Path) -> dict[str, str]:
    """The environment without our settings; Prefect's home is below the folder."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("TICKERCAST_", "PREFECT_"))}
    plain.pop("MLFLOW_TRACKING_URI", None)
    return plain | {"PREFECT_HOME": str(folder / "home"), "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}


@pytest.fixture(scope="module")
def server(folder: Path, environment: dict[str, str]) -> Iterator[str]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [_BIN / "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    with (folder / "server.log").open("w") as log:
        started = subprocess.Popen(
            command, cwd=folder, env=environment | {"PREFECT_API_URL": f"{url}/api"}, stdout=log, stderr=log
        )
        try:
            _wait(f"{url}/api/health")
            yield url
        finally:
            started.terminate()
            started.wait(30)


@pytest.fixture(scope="module")
def said(folder: Path, environment: dict[str, str], server: str) -> str:
    """The output of a day of the flow on the sample."""
    words = ["AAPL", "GOOG", "IBM", "MSFT", "--source", "sample", "--as-of", "2012-08-15"]
    done = subprocess.run(
        [sys.executable, PROJECT / "flows" / "daily.py", *words],
        cwd=folder,
        env=environment | {"PREFECT_API_URL": f"{server}/api"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def tables(folder: Path, said: str) -> dict[str, Any]:
    settings = config.Settings(warehouse=f"duckdb://{folder}/.tickercast/warehouse.duckdb")
    warehouse = engines.warehouse(settings)
    return {name: warehouse.read(name) for name in ("retrains", "drift")}


@pytest.fixture(scope="module")
def page(server: str) -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    outside: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        made = browser.new_page()
        made.set_default_timeout(_PATIENCE_MS)
        made.on("request", lambda asked: _is_outside(asked.url) and outside.append(asked.url))
        yield made
        browser.close()
    assert not outside


def test_the_run_is_listed_as_completed(said: str, server: str, page: Any) -> None:
    page.goto(f"{server}/runs")
    page.get_by_text("daily", exact=True).first.wait_for()
    page.get_by_text("Completed").first.wait_for()


def test_the_decision_on_the_page_is_that_of_the_table(tables: dict[str, Any], server: str, page: Any) -> None:
    [row] = tables["retrains"].to_dict("records")
    page.goto(f"{server}/artifacts/key/decision")
    page.get_by_text(f"{row['decision']}: {row['reason']}").first.wait_for()


def test_the_drift_on_the_page_is_that_of_the_table(tables: dict[str, Any], server: str, page: Any) -> None:
    page.goto(f"{server}/artifacts/key/drift")
    page.get_by_text(tables["drift"]["report"].iloc[0]).first.wait_for()


def test_what_was_printed_is_what_is_stored(said: str, tables: dict[str, Any]) -> None:
    [row] = tables["retrains"].to_dict("records")
    assert f"decision    {row['decision']}: {row['reason']}\n" in said
    assert tables["drift"]["report"].iloc[0] in said


def _wait(url: str) -> None:
    until = time.monotonic() + _PATIENCE_S
    while time.monotonic() < until:
        try:
            urllib.request.urlopen(url, timeout=5)
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    raise TimeoutError(f"nothing answers at {url}")


def _is_outside(url: str) -> bool:
    return urlparse(url).hostname not in ("127.0.0.1", "localhost", None)
