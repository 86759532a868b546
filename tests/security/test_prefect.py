"""A page of another origin gives Prefect's server no orders: whoever registers a deployment runs commands."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import requests
import yaml
from tests.support.compose import images
from tests.support.mlflow_server import free_port

pytest.importorskip("prefect")

PROJECT = Path(__file__).parents[2]
FOREIGN = {"Origin": "http://evil.example"}
FLOW = {"name": "theirs"}
DEPLOYMENT = {"name": "theirs", "flow_id": "00000000-0000-0000-0000-000000000000", "pull_steps": []}
ORDERS = {
    "/flows/": FLOW,
    "/deployments/": DEPLOYMENT,
    "/deployments/00000000-0000-0000-0000-000000000000/create_flow_run": {},
}
slow = pytest.mark.slow


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("prefect")


@pytest.fixture(scope="module")
def api(home: Path) -> Iterator[str]:
    """The server of `make flow-server`."""
    port = free_port()
    words = ["make", "--no-print-directory", "-C", str(PROJECT), "-o", "setup-dev", "flow-server"]
    known = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    with (home / "server.log").open("w") as log:
        started = subprocess.Popen(
            [*words, f"FLOW_PORT={port}", f"FLOW_HOME={home}"],
            env=known,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        for _ in range(600):
            with suppress(requests.RequestException):
                if requests.get(f"http://127.0.0.1:{port}/api/health", timeout=5).ok:
                    break
            assert started.poll() is None, (home / "server.log").read_text()
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}/api"
    finally:
        with suppress(ProcessLookupError):
            os.killpg(started.pid, signal.SIGTERM)
        started.wait(60)


@pytest.fixture(scope="module")
def login(api: str, home: Path) -> tuple[str, str]:
    user, _, password = (home / "login").read_text().partition(":")
    return user, password


@slow
def test_a_preflight_of_another_origin_is_refused(api: str) -> None:
    asked = FOREIGN | {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    answer = requests.options(f"{api}/deployments/", headers=asked, timeout=30)
    assert answer.status_code == 400
    assert "access-control-allow-origin" not in answer.headers
    own = asked | {"Origin": api.removesuffix("/api")}
    allowed = requests.options(f"{api}/deployments/", headers=own, timeout=30)
    assert allowed.headers["access-control-allow-origin"] == api.removesuffix("/api")


@slow
@pytest.mark.parametrize("kind", ["application/json", "text/plain"])
@pytest.mark.parametrize("path", ORDERS)
def test_an_order_without_the_login_is_refused(api: str, path: str, kind: str) -> None:
    headers = FOREIGN | {"Content-Type": kind}
    assert requests.post(f"{api}{path}", json=ORDERS[path], headers=headers, timeout=30).status_code in (401, 403)


@slow
@pytest.mark.parametrize("path", ORDERS)
def test_an_order_with_the_browsers_login_and_without_a_token_is_refused(
    api: str, login: tuple[str, str], path: str
) -> None:
    answer = requests.post(f"{api}{path}", json=ORDERS[path], headers=FOREIGN, auth=login, timeout=30)
    assert (answer.status_code, answer.json()["detail"]) == (403, "Missing CSRF token.")


@slow
def test_nobody_reads_without_the_login(api: str) -> None:
    for path in (
        "/admin/settings",
        "/csrf-token?client=theirs",
        "/deployments/name/daily/daily",
        "/block_types/slug/secret",
    ):
        assert requests.get(f"{api}{path}", timeout=30).status_code == 401, path


@slow
def test_our_own_client_is_served(api: str, login: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    from deploy.prefect_pool import Api

    monkeypatch.delenv("PREFECT_API_KEY", raising=False)
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", ":".join(login))
    client = Api(api)
    made = client.post("/flows/", {"name": "ours"})
    assert client.get(f"/flows/{made['id']}")["name"] == "ours"


@slow
def test_the_login_is_readable_by_its_owner_alone_and_in_no_process_list(
    api: str, login: tuple[str, str], home: Path
) -> None:
    assert (home / "login").stat().st_mode & 0o077 == 0
    assert len(login[1]) >= 24
    listed = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if _is_readable(path)]
    assert not any(login[1].encode() in words for words in listed)


def _is_readable(path: Path) -> bool:
    try:
        return bool(path.read_bytes())
    except OSError:
        return False


def test_the_server_of_compose_asks_for_a_login_and_its_clients_send_it() -> None:
    services = yaml.safe_load((PROJECT / "compose.yaml").read_text())["services"]
    server = images()["worker"]["ENV"] | services["prefect"]["environment"]
    assert server["PREFECT_SERVER_API_AUTH_STRING"] == "admin:${PREFECT_PASSWORD:?choose a password}"
    assert server["PREFECT_SERVER_CSRF_PROTECTION_ENABLED"] == "true"
    assert server["PREFECT_SERVER_CORS_ALLOWED_ORIGINS"] == "http://127.0.0.1:4200"
    for name, service in services.items():
        if "PREFECT_API_URL" in service.get("environment", {}):
            assert service["environment"]["PREFECT_API_AUTH_STRING"] == server["PREFECT_SERVER_API_AUTH_STRING"], name
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ())), name
