"""`setup.sh cloud --prefect URL`: the day is registered on a work pool of a real Prefect server."""

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from tests.support.mlflow_server import free_port

pytest.importorskip("prefect")
pytestmark = pytest.mark.slow

PROJECT = Path(__file__).parents[2]
SETTINGS = """--region=europe-west3
--service-account=tickercast-trainer@my-project.iam.gserviceaccount.com
--command=tickercast
--set-env-vars=TICKERCAST_BUCKET=gs://my-project-tickercast-data
--args=daily,--wait=20
--cpu=2
--memory=8Gi
"""
WORDS = ["--image", "here/worker@sha256:12", "--time-zone", "America/New_York", "--label", "abc-America/New_York"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder, port = tmp_path_factory.mktemp("prefect"), free_port()
    environment = os.environ | {"PREFECT_HOME": str(folder), "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
    prefect = Path(sys.executable).parent / "prefect"
    with (folder / "log").open("w") as log:
        command = [prefect, "server", "start", "--host", "127.0.0.1", "--port", str(port)]
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            for _ in range(600):
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/api/health", timeout=5).close()
                    break
                except OSError:
                    time.sleep(0.2)
            yield f"http://127.0.0.1:{port}/api"
        finally:
            process.terminate()
            process.wait(30)


def run(url: str, what: str, *words: str, said: str = "") -> subprocess.CompletedProcess[str]:
    script = PROJECT / "deploy" / "prefect_pool.py"
    return subprocess.run(
        [sys.executable, script, what, "--url", url, *words], input=said, capture_output=True, text=True, timeout=60
    )


def test_the_deployment_is_registered_once_with_the_settings_of_the_job(server: str) -> None:
    assert run(server, "label").stdout == "\n"
    for _ in range(2):
        done = run(server, "register", *WORDS, said=SETTINGS)
        assert (done.returncode, done.stderr) == (0, "")
    assert run(server, "label").stdout == "abc-America/New_York\n"
    found = requests.get(f"{server}/deployments/name/daily/evening", timeout=30).json()
    assert found["work_pool_name"] == "tickercast"
    assert found["entrypoint"] == "flows/daily.py:daily"
    [schedule] = found["schedules"]
    assert (schedule["schedule"]["cron"], schedule["schedule"]["timezone"]) == ("30 18 * * 1-5", "America/New_York")
    assert found["job_variables"] == {
        "image": "here/worker@sha256:12",
        "region": "europe-west3",
        "service_account_name": "tickercast-trainer@my-project.iam.gserviceaccount.com",
        "env": {"TICKERCAST_BUCKET": "gs://my-project-tickercast-data"},
        "cpu": "2000m",
        "memory": "8Gi",
        "timeout": 21600,
    }
    pool = requests.get(f"{server}/work_pools/tickercast", timeout=30).json()
    assert pool["type"] == "cloud-run-v2"


def test_what_cannot_be_registered_is_one_sentence(server: str) -> None:
    deaf = run("http://127.0.0.1:9/api", "label")
    assert (deaf.returncode, deaf.stderr.count("\n")) == (1, 1)
    assert "does not answer (ConnectionError). Check --prefect and the network." in deaf.stderr
    wrong = run(server, "register", *WORDS, said=f"{SETTINGS}--set-secrets=TICKERCAST_ALERT_URLS=urls:latest\n")
    assert (wrong.returncode, wrong.stderr.count("\n")) == (1, 1)
    assert "has no env_from_secrets: one for Cloud Run v2 that has them was needed" in wrong.stderr
