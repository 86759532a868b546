"""The function's source, installed and started as the platform does it."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
from cloudevents.conversion import to_binary
from cloudevents.http import CloudEvent
from tests.support.bigquery_server import BigQueryServer
from tests.support.storage_server import StorageServer

from tickercast.app import App
from tickercast.domain.bars import Bars
from tickercast.domain.files.price_files import to_csv
from tickercast.ports import FINALIZED

PROJECT = Path(__file__).parents[2]
NAME = "ohlc/2023-07-22/MSFT.csv"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of `make function-bundle`."""
    subprocess.run([sys.executable, "deploy/bundle.py", "function"], cwd=PROJECT, check=True, capture_output=True)
    return Path(shutil.copytree(PROJECT / "dist" / "function", tmp_path_factory.mktemp("deploy") / "workspace"))


@pytest.fixture(scope="module")
def environment(bundle: Path) -> Path:
    """An environment with the requirements of the bundle and nothing else."""
    uv = PROJECT / ".tools" / "bin" / "uv"
    if not uv.exists():
        pytest.skip("uv is not installed in .tools: ./setup.sh does it")
    made = bundle.parent / "environment"
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, made], check=True)
    install = [uv, "pip", "install", "--quiet", "--python", made / "bin" / "python"]
    asked = ["--require-hashes", "--requirement", "requirements.txt"]
    if subprocess.run([*install, "--offline", *asked], cwd=bundle, capture_output=True).returncode:
        done = subprocess.run([*install, "--system-certs", *asked], cwd=bundle, capture_output=True, text=True)
        if done.returncode and "etch" in done.stderr:
            pytest.skip("the packages are in no cache, and there is no package index")
        assert done.returncode == 0, done.stderr
    return made


def test_the_bundle_is_a_file_a_wheel_and_pins_with_hashes(bundle: Path) -> None:
    [wheel] = bundle.glob("*.whl")
    assert {path.name for path in bundle.iterdir()} == {"main.py", "requirements.txt", wheel.name}
    lines = (bundle / "requirements.txt").read_text()
    assert re.search(r"^functions-framework==\S+ ", lines, re.MULTILINE)
    assert re.search(rf"^\./{re.escape(wheel.name)} --hash=sha256:[0-9a-f]{{64}}$", lines, re.MULTILINE)
    pins = re.findall(r"^[a-z0-9-]+==", lines, re.MULTILINE)
    assert len(pins) == len(re.findall(r"^[a-z0-9-]+==.*\\\n +--hash=", lines, re.MULTILINE)) > 50
    assert not {"tensorflow-cpu==", "mlflow==", "pytest==", "hatchling=="} & set(pins)


def test_the_wheel_carries_the_commit_in_its_name(bundle: Path) -> None:
    if not (PROJECT / ".git").exists():
        pytest.skip("this is no clone")
    [wheel] = bundle.glob("*.whl")
    head = subprocess.run(["git", "rev-parse", "--short=12", "HEAD"], cwd=PROJECT, capture_output=True, text=True)
    assert re.fullmatch(
        rf"tickercast-[0-9.]+(dev\d+)?-0g{head.stdout.strip()}(\.d[0-9a-f]{{8}})?-py3-none-any\.whl", wheel.name
    )


@pytest.fixture
def function(
    bundle: Path, environment: Path, bigquery_server: BigQueryServer, storage_server: StorageServer
) -> Iterator[str]:
    """The URL of the function, started by the command that the buildpack gives the container."""
    for use in ("data", "models"):
        storage_server.make_bucket(f"bundle-{use}")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    platform = {"PORT": str(port), "K_SERVICE": "tickercast-forecast", "FUNCTION_TARGET": "forecast"}
    settings = {
        "FUNCTION_SIGNATURE_TYPE": "cloudevent",
        "TICKERCAST_BUCKET": "gs://bundle-data",
        "TICKERCAST_MODEL_BUCKET": "gs://bundle-models",
        "TICKERCAST_WAREHOUSE": "bigquery://test-project/bundle",
        "GOOGLE_CLOUD_PROJECT": "test-project",
        "BIGQUERY_EMULATOR_HOST": bigquery_server.url,
        "STORAGE_EMULATOR_HOST": storage_server.url,
    }
    path = {"PATH": f"{environment / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    log = (bundle.parent / "log").open("w")
    process = subprocess.Popen(
        [environment / "bin" / "functions-framework"],
        cwd=bundle,
        env=path | platform | settings,
        stdout=log,
        stderr=log,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        _wait(url, process)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=60)
        log.close()


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
    """Wait until it listens, as the platform does."""
    while process.poll() is None:
        try:
            requests.get(url, timeout=60)
            return
        except requests.ConnectionError:
            time.sleep(0.05)
    raise AssertionError("the function did not start")


def test_the_installed_bundle_forecasts_what_an_event_announces(
    function: str, bundle: Path, make_bars: Callable[..., Bars], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TICKERCAST_BUCKET", "gs://bundle-data")
    monkeypatch.setenv("TICKERCAST_MODEL_BUCKET", "gs://bundle-models")
    monkeypatch.setenv("TICKERCAST_WAREHOUSE", "bigquery://test-project/bundle")
    app = App()
    warehouse = app.warehouse
    generation = app.store.write(NAME, to_csv([make_bars()]))
    data = {"bucket": "bundle-data", "name": NAME, "generation": generation, "size": "1"}
    headers, body = to_binary(CloudEvent({"id": "1", "type": FINALIZED, "source": "//storage.googleapis.com"}, data))
    trace = {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}
    answer = requests.post(function, headers=dict(headers) | trace, data=body, timeout=300)
    assert answer.status_code == 200
    stored = warehouse.read("forecasts", {"generation": generation})
    assert stored.groupby("role").size().to_dict() == {"baseline": 10, "champion": 10}
    [line] = [json.loads(line) for line in (bundle.parent / "log").read_text().splitlines() if '"symbol"' in line]
    assert line["status"] == "forecast"
    assert line["logging.googleapis.com/trace"] == "projects/test-project/traces/4bf92f3577b34da6a3ce929d0e0e4736"
