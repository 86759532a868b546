"""Dashboard and API of compose.yaml, started as their images start them; refused while anybody could call them."""

import importlib.util
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import requests
from tests.support.compose import Compose
from tests.support.dashboard_server import free_port
from tests.support.login_provider import Person, provider

from tickercast.app import App
from tickercast.config import Settings
from tickercast.domain.tokens import Scope

pytest.importorskip("streamlit")
pytest.importorskip("fastapi")
pytestmark = pytest.mark.slow


@pytest.fixture
def compose(tmp_path: Path) -> Compose:
    return Compose(tmp_path / "machine", {"TICKERCAST_SOURCE": "sample"}, {})


def at_port(compose: Compose, name: str) -> int:
    """Let a service listen at another port than its image says, which may be in use here."""
    *words, _ = compose.command(name)
    port = free_port()
    compose.services[name]["command"] = [*words, str(port)]
    return port


@contextmanager
def started(compose: Compose, name: str, url: str) -> Iterator[None]:
    process = compose.start(name)
    try:
        for _ in range(600):
            assert process.poll() is None, compose.log(name)
            with suppress(requests.ConnectionError):
                if requests.get(url, timeout=30).ok:
                    break
            time.sleep(0.1)
        yield
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=30)


@pytest.mark.parametrize(("name", "said"), [("dashboard", "There is no login"), ("api", "There are no tokens")])
def test_a_service_that_anybody_could_call_ends_with_one_sentence(compose: Compose, name: str, said: str) -> None:
    at_port(compose, name)
    process = compose.start(name)
    assert process.wait(timeout=120) == 2
    [line] = [line for line in compose.log(name).splitlines() if line]
    assert said in line


def test_the_api_answers_whoever_has_a_token(compose: Compose, tmp_path: Path) -> None:
    port = at_port(compose, "api")
    made = compose.environment("api")
    app = App(Settings(bucket=made["TICKERCAST_BUCKET"], warehouse=made["TICKERCAST_WAREHOUSE"], source="sample"))
    _, text = app.create_token("desk", [Scope.READ, Scope.FORECAST])
    url = f"http://127.0.0.1:{port}"
    with started(compose, "api", f"{url}/readyz"):
        login = {"Authorization": f"Bearer {text}"}
        asked = requests.post(
            f"{url}/v1/forecasts", json={"symbol": "MSFT", "as_of": "2012-08-15"}, headers=login, timeout=60
        )
        assert asked.status_code == 202, asked.text
        for _ in range(600):
            became = requests.get(url + asked.headers["Location"], headers=login, timeout=30).json()
            if became["status"] != "pending":
                break
            time.sleep(0.1)
        assert became["status"] == "forecast"
        made_forecast = requests.get(f"{url}/v1/forecasts/MSFT", headers=login, timeout=30).json()
        assert len(made_forecast["forecast"]) == 10
        assert requests.get(f"{url}/v1/overview", timeout=30).status_code == 401


@pytest.mark.skipif(
    not importlib.util.find_spec("oidc_provider_mock"), reason="oidc-provider-mock is not installed: make setup-dev"
)
def test_the_dashboard_answers_whoever_signs_in(compose: Compose) -> None:
    port = at_port(compose, "dashboard")
    url = f"http://localhost:{port}"
    with provider() as settings:
        compose.services["dashboard"]["environment"] |= settings | {"TICKERCAST_DASHBOARD_URL": url}
        with started(compose, "dashboard", f"http://127.0.0.1:{port}/_stcore/health"):
            person = Person(url)
            assert "Sign in to see the forecasts" in person.sees()
            person.sign_in("ann")
            assert "(operator)" in person.sees()
