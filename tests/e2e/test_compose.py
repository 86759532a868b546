"""compose.yaml runs the day: its commands, service by service, without Docker."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
import requests
from tests.support.compose import BIN, Compose
from tests.support.mlflow_server import CannotStart, create_database, free_port, postgresql

pytest.importorskip("prefect")
pytest.importorskip("mlflow")
pytestmark = pytest.mark.slow

PASSWORD = "a password of ours"


@contextmanager
def running(compose: Compose, name: str, url: str) -> Iterator[None]:
    """A service that answers."""
    process = compose.start(name)
    try:
        for _ in range(900):
            with suppress(requests.RequestException):
                if requests.get(url, timeout=5).status_code < 500:
                    break
            assert process.poll() is None, compose.log(name)[-3000:]
            time.sleep(0.2)
        else:
            raise AssertionError(compose.log(name)[-3000:])
        yield
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture(scope="module")
def compose(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Compose]:
    """The servers of compose.yaml, up to the worker."""
    folder = tmp_path_factory.mktemp("compose")
    ports = {name: free_port() for name in ("prefect", "mlflow", "function", "health")}
    (folder / "watchlist.txt").write_text("MSFT AAPL\n")
    given = {"MLFLOW_ADMIN_PASSWORD": PASSWORD, "MLFLOW_SECRET": "a secret", "POSTGRES_PASSWORD": "unused"}
    given |= {"PREFECT_PASSWORD": PASSWORD}
    given |= {"TICKERCAST_SOURCE": "sample", "WATCHLIST": str(folder / "watchlist.txt")}
    made = Compose(folder / "machine", given, ports)
    prefect, mlflow, worker = (made.services[name] for name in ("prefect", "mlflow", "worker"))
    prefect["command"] += ["--port", str(ports["prefect"])]
    with ExitStack() as stack:
        try:
            database = create_database(stack.enter_context(postgresql()), "compose")
        except CannotStart as why:
            pytest.skip(str(why))
        mlflow["environment"] |= {"MLFLOW_BACKEND_STORE_URI": database, "PORT": str(ports["mlflow"])}
        mlflow["environment"]["MLFLOW_WORKERS"] = "1"
        worker["environment"]["PREFECT_WORKER_WEBSERVER_PORT"] = str(ports["health"])
        here = "http://127.0.0.1"
        stack.enter_context(running(made, "prefect", f"{here}:{ports['prefect']}/api/health"))
        stack.enter_context(running(made, "mlflow", f"{here}:{ports['mlflow']}/health"))
        done = made.start("deploy")
        assert done.wait(120) == 0, made.log("deploy")[-3000:]
        stack.enter_context(running(made, "worker", f"{here}:{ports['health']}/health"))
        yield made


def prefect(compose: Compose, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [BIN / "prefect", *words], env=compose.environment("worker"), capture_output=True, text=True, timeout=500
    )


def test_the_day_is_deployed_and_runs_on_the_worker(compose: Compose) -> None:
    api = compose.environment("worker")["PREFECT_API_URL"]
    login = ("admin", PASSWORD)
    deployed = requests.get(f"{api}/deployments/name/daily/daily", auth=login, timeout=30).json()
    assert deployed["work_pool_name"] == "tickercast"
    assert deployed["schedules"][0]["schedule"] == deployed["schedules"][0]["schedule"] | {
        "cron": "30 18 * * 1-5",
        "timezone": "America/New_York",
    }
    words = "--param", "as_of=2012-08-15", "--watch", "--watch-timeout", "480"
    done = prefect(compose, "deployment", "run", "daily/daily", *words)
    assert done.returncode == 0, done.stdout[-1500:] + compose.log("worker")[-3000:]
    asked = [sys.executable, "-m", "tickercast", "query", "--csv"]
    asked += ["SELECT DISTINCT symbol FROM forecasts ORDER BY symbol"]
    found = subprocess.run(asked, env=compose.environment("worker"), capture_output=True, text=True, timeout=120)
    assert found.stdout.split() == ["symbol", "AAPL", "MSFT"], found.stderr


def test_the_function_answers_as_its_image_starts_it(compose: Compose) -> None:
    port = free_port()
    compose.services["function"]["environment"]["PORT"] = str(port)
    with running(compose, "function", f"http://127.0.0.1:{port}/"):
        pass


def test_volumes_belong_to_the_user_that_writes_them(compose: Compose) -> None:
    dockerfile = (Path(__file__).parents[2] / "Dockerfile").read_text()
    assert "install --directory --owner=1000 --group=1000 /data" in dockerfile
    for name, service in compose.services.items():
        mounts = [mount.split(":")[0] for mount in service.get("volumes", ()) if ":/data" in mount]
        assert set(mounts) <= {"data"}, name
        assert service.get("restart") == (None if name == "deploy" else "unless-stopped"), name
