"""Nixtla's own client forecasts through the API; `make nixtla` makes the environment that it needs."""

import importlib.util
import json
import subprocess
from pathlib import Path

import pytest
from tests.support.api_server import serving

from tickercast.app import App
from tickercast.config import Settings
from tickercast.domain.tokens import Scope

PROJECT = Path(__file__).parents[2]
CLIENT = PROJECT / ".nixtla" / "bin" / "python"

pytestmark = [
    pytest.mark.skipif(not CLIENT.exists(), reason="Nixtla's client is not installed: make nixtla"),
    pytest.mark.skipif(not importlib.util.find_spec("uvicorn"), reason="the extra api is not installed"),
]


def test_the_real_client_validates_its_key_and_forecasts_small_and_large_frames(workspace: Path) -> None:
    urls = {"bucket": f"file://{workspace}/bucket", "warehouse": f"duckdb://{workspace}/w.duckdb", "source": "sample"}
    _, token = App(Settings(**urls)).create_token("nixtla", list(Scope))
    with serving(workspace, urls) as url:
        asked = [CLIENT, PROJECT / "tests" / "support" / "nixtla_calls.py", url, token]
        done = subprocess.run(asked, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    made = json.loads(done.stdout)
    assert made["valid"] is True
    assert made["columns"][:3] == ["unique_id", "ds", "TimeGPT"]
    assert set(made["columns"][3:]) == {f"TimeGPT-{side}-{level}" for side in ("lo", "hi") for level in (80, 95)}
    rows = made["rows"]
    assert rows["unique_id"] == ["AAA"] * 10 + ["BBB"] * 10
    for name, median, low, high in zip(
        rows["unique_id"], rows["TimeGPT"], rows["TimeGPT-lo-80"], rows["TimeGPT-hi-80"], strict=True
    ):
        assert median == pytest.approx(made["last"][name], rel=1e-5)
        assert low < median < high
    same = {10: "TimeGPT-lo-80", 50: "TimeGPT", 90: "TimeGPT-hi-80"}
    assert made["quantiles"] == {f"TimeGPT-q-{percent}": rows[name] for percent, name in same.items()}
    assert made["large"] == [1500, True]
