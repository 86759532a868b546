"""Requests that schemathesis makes up from the description: no 5xx, and no answer that does not fit it."""

import importlib.util
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.support.api_server import serving

from tickercast.app import App
from tickercast.config import Settings
from tickercast.domain.tokens import Scope

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not importlib.util.find_spec("schemathesis"), reason="schemathesis is not installed"),
    pytest.mark.skipif(not importlib.util.find_spec("uvicorn"), reason="the extra api is not installed"),
]

_UNASKED = "positive_data_acceptance"
"""A check that is left out: no schema can say whether a symbol, a price or bars will do."""


@pytest.fixture
def server(workspace: Path) -> Iterator[tuple[str, str]]:
    """A served API with two symbols, and a token for it."""
    urls = {"bucket": f"file://{workspace}/bucket", "warehouse": f"duckdb://{workspace}/w.duckdb", "source": "sample"}
    app = App(Settings(**urls))
    app.forecast(["MSFT", "AAPL"], "2012-08-15")
    _, token = app.create_token("made-up", list(Scope))
    with serving(workspace, urls) as url:
        yield url, token


def test_no_request_that_is_made_up_finds_a_fault(server: tuple[str, str], workspace: Path) -> None:
    url, token = server
    words = ["run", f"{url}/openapi.json", "--header", f"Authorization: Bearer {token}", "--seed", "1"]
    words += ["--checks", "all", "--exclude-checks", _UNASKED, "--phases", "examples,coverage,fuzzing"]
    words += ["--max-examples", "15", "--suppress-health-check", "all", "--continue-on-failure", "--no-color"]
    run = [sys.executable, "-m", "schemathesis.cli", *words]
    done = subprocess.run(run, capture_output=True, text=True, cwd=workspace)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    [made] = re.findall(r"(\d+) generated", done.stdout)
    assert int(made) > 300
    described = httpx.get(f"{url}/openapi.json").json()
    [selected] = re.findall(r"Selected: (\d+)/(\d+)", done.stdout)
    assert selected == (str(operations(described)), str(operations(described)))


def operations(described: dict[str, dict[str, object]]) -> int:
    return sum(len(json.loads(json.dumps(methods))) for methods in described["paths"].values())
