"""A registry on Cloud Run gets the token that Cloud Run asks for, beside MLflow's own password."""

import pytest

from tickercast.backends.registry import mlflow as registry
from tickercast.backends.registry.mlflow import MlflowRegistry
from tickercast.errors import StoreUnavailable

pytest.importorskip("mlflow")

URL = "https://tickercast-mlflow-1.europe-west3.run.app"

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> object:
    """Forget what a test has registered with MLflow."""
    from mlflow.tracking.request_header.registry import _request_header_provider_registry as providers

    before = list(providers._registry)
    registry._send_identity.cache_clear()
    monkeypatch.setattr(registry.mlflow_errors, "check_server", lambda url: None)  # none of them is there
    yield
    providers._registry[:] = before
    registry._send_identity.cache_clear()


def headers(url: str) -> dict[str, str]:
    from mlflow.tracking.request_header.registry import resolve_request_headers

    with MlflowRegistry(url)._client():
        return resolve_request_headers()


def test_the_token_is_for_this_server_and_in_a_header_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(
        "google.oauth2.id_token.fetch_id_token", lambda request, audience: asked.append(audience) or "T"
    )
    found = headers(URL)
    assert found["X-Serverless-Authorization"] == "Bearer T"
    assert "Authorization" not in found
    assert set(asked) == {URL}


def test_no_other_server_gets_a_token() -> None:
    assert "X-Serverless-Authorization" not in headers("https://mlflow.example.org")


def test_no_credentials_are_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    from google.auth.exceptions import DefaultCredentialsError

    def none(request: object, audience: str) -> str:
        raise DefaultCredentialsError("Neither metadata server nor key")

    monkeypatch.setattr("google.oauth2.id_token.fetch_id_token", none)
    with pytest.raises(StoreUnavailable, match="asks for the token of a service account, and there is none: Neither"):
        MlflowRegistry(URL).versions("any")
