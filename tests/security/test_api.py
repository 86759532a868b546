"""Attacks on the API: every route without, with a wrong, an expired, a revoked and an under-scoped token."""

import json
import logging
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.support.api_client import Client, client

from tickercast.api import launch
from tickercast.api.door import PUBLIC
from tickercast.app import App
from tickercast.backends.warehouse.duckdb import DuckDBWarehouse
from tickercast.config import Settings
from tickercast.domain.tokens import Scope
from tickercast.errors import UsageError

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)


class Now:
    at = NOW

    def __call__(self) -> datetime:
        return self.at


@pytest.fixture(scope="module")
def now() -> Now:
    return Now()


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory, now: Now) -> App:
    folder = tmp_path_factory.mktemp("api")
    made = App(
        Settings(bucket=f"file://{folder}/bucket", warehouse=f"duckdb://{folder}/w.duckdb", source="sample"), now=now
    )
    made.forecast("MSFT", "2012-08-15")
    return made


@pytest.fixture(scope="module")
def tokens(app: App, now: Now) -> dict[str, str]:
    both, soon = [Scope.READ, Scope.FORECAST], NOW + timedelta(seconds=1)
    made = {
        "whole": app.create_token("whole", both)[1],
        "reads": app.create_token("reads", [Scope.READ])[1],
        "forecasts": app.create_token("forecasts", [Scope.FORECAST])[1],
        "expired": app.create_token("expired", both, expires_at=soon)[1],
        "revoked": app.create_token("revoked", both)[1],
        "few": app.create_token("few", both, per_month=2)[1],
    }
    app.revoke_token("revoked")
    now.at = soon
    return made | {"none": "", "wrong": made["whole"][:-1] + ("a" if made["whole"][-1] != "a" else "b")}


@pytest.fixture(scope="module")
def door(app: App, tokens: dict[str, str]) -> Iterator[Client]:
    with client(app, needs_tokens=True, is_local=False) as found:
        yield found


def routes(door: Client) -> list[tuple[str, str]]:
    described = door.door.inside.openapi()["paths"]
    words = {"symbol": "MSFT", "ticket": "b2hsYy8yMDEyLTA4LTE1L01TRlQuY3N2IzE"}
    return [
        (method.upper(), re.sub(r"\{(\w+)\}", lambda found: words[found[1]], path))
        for path, methods in described.items()
        for method in methods
    ]


def body_of(method: str) -> dict[str, Any]:
    return {"json": {"symbol": "MSFT", "as_of": "2012-08-15"}} if method == "POST" else {}


@pytest.mark.parametrize("kind", ["none", "wrong", "expired", "revoked"])
def test_no_route_opens_to_what_is_no_valid_token(door: Client, tokens: dict[str, str], kind: str) -> None:
    asked = routes(door)
    assert len(asked) >= 12
    for method, path in [*asked, ("GET", "/v1/nothing"), ("POST", "/nothing"), ("DELETE", "/v1/forecasts")]:
        answered = door.using(tokens[kind]).request(method, path, **body_of(method))
        if path in PUBLIC:
            assert answered.status_code == 200
            continue
        assert answered.status_code == 401, (method, path)
        assert answered.headers["www-authenticate"].startswith("Bearer")
        assert answered.headers["content-type"] == "application/problem+json"
        assert "343" not in answered.text


def test_no_refusal_and_no_description_names_a_command_of_the_servers_terminal(
    door: Client, tokens: dict[str, str], open_app: App
) -> None:
    said = [door.using(tokens[kind]).get("/v1/symbols").text for kind in ("none", "wrong", "expired", "revoked")]
    said += [door.using(tokens["reads"]).post("/v1/forecasts", json={}).text]
    said += [json.dumps(door.door.inside.openapi())]
    with client(open_app) as found:
        said += [found.get("/v1/symbols", headers={"Host": "192.0.2.1"}).text]
    assert not [each for each in said if re.search(r"tickercast [a-z]|--[a-z]|TICKERCAST_", each)]


def test_no_route_opens_to_a_token_for_other_things(door: Client, tokens: dict[str, str]) -> None:
    for method, path in routes(door):
        if path in PUBLIC or path == "/metrics":
            continue
        under = tokens["forecasts" if method == "GET" else "reads"]
        answered = door.using(under).request(method, path, **body_of(method))
        assert answered.status_code == 403, (method, path)
        assert "was needed" in answered.json()["detail"]
        assert method != "GET" or door.using(under).request("HEAD", path).status_code == 403


def test_every_route_opens_to_a_token_that_is_for_it(door: Client, tokens: dict[str, str]) -> None:
    for method, path in routes(door):
        answered = door.using(tokens["whole"]).request(method, path, **body_of(method))
        assert answered.status_code not in (401, 403), (method, path)


def test_a_kept_answer_is_not_given_to_others(door: Client, tokens: dict[str, str]) -> None:
    assert door.using(tokens["whole"]).get("/v1/forecasts/MSFT").status_code == 200
    assert door.get("/v1/forecasts/MSFT").status_code == 401
    etag = door.using(tokens["whole"]).get("/v1/forecasts/MSFT").headers["etag"]
    assert door.get("/v1/forecasts/MSFT", headers={"If-None-Match": etag}).status_code == 401


def test_a_spent_quota_says_when_the_next_calls_are_granted(door: Client, tokens: dict[str, str]) -> None:
    few = door.using(tokens["few"])
    left = [few.get("/v1/symbols").headers["ratelimit-remaining"] for _ in range(2)]
    assert left == ["1", "0"]
    answered = few.get("/v1/symbols")
    assert answered.status_code == 429
    seconds = int(answered.headers["retry-after"])
    assert NOW + timedelta(seconds=seconds + 1) == datetime(2026, 4, 1, tzinfo=UTC)
    assert answered.headers["ratelimit-remaining"] == "0"
    assert few.get("/v1/usage").status_code == 200


def test_calls_at_the_same_time_are_granted_no_more_than_the_quota(app: App, door: Client) -> None:
    _, text = app.create_token("many", [Scope.READ], per_month=60)
    door.door.inside.state.service.gate._tried_at = float("-inf")
    statuses = [answered.status_code for answered in door.using(text).together("/v1/symbols", 100)]
    assert (statuses.count(200), statuses.count(429)) == (60, 40)


def test_a_token_in_an_address_is_for_csv_and_reading_alone(door: Client, tokens: dict[str, str]) -> None:
    assert door.get(f"/v1/symbols?format=csv&token={tokens['reads']}").status_code == 200
    assert door.get(f"/v1/symbols?format=csv&token={tokens['whole']}").status_code == 403
    assert door.get(f"/v1/symbols?token={tokens['reads']}").status_code == 401
    posted = door.post(f"/v1/forecasts?format=csv&token={tokens['forecasts']}", json={"symbol": "MSFT"})
    assert posted.status_code == 401


def test_no_answer_and_no_log_holds_a_token(
    door: Client, tokens: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for kind in ("whole", "wrong", "revoked"):
        for path in ("/v1/usage", "/metrics", "/openapi.json", "/v1/nothing", f"/v1/symbols?format=csv&token={kind}"):
            answered = door.using(tokens[kind]).get(path)
            assert tokens[kind] not in answered.text
            assert all(tokens[kind] not in value for value in answered.headers.values())
    assert not any(text and text in caplog.text for text in tokens.values())


def test_the_stored_tokens_are_of_no_use(app: App, door: Client) -> None:
    for token in json.loads(app.models.store.read("access/tokens.json"))["tokens"]:
        for text in (token["sha256"], f"tc_{token['id']}_{token['sha256']}"):
            assert door.using(text).get("/v1/symbols").status_code == 401


# ---------------------------------------------------------------- without tokens


@pytest.fixture
def open_app(workspace: Path) -> App:
    return App(Settings(bucket=f"file://{workspace}/b", warehouse=f"duckdb://{workspace}/w.duckdb", source="sample"))


def test_without_tokens_no_other_address_is_served(open_app: App) -> None:
    for host in ("0.0.0.0", "192.0.2.1", "::"):
        with pytest.raises(UsageError, match="anybody could call the API"):
            launch.require(open_app, host, 8700)
    launch.require(open_app, "127.0.0.1", 0)


def test_a_warehouse_of_an_earlier_release_is_not_served_and_not_migrated(open_app: App, workspace: Path) -> None:
    DuckDBWarehouse(workspace / "w.duckdb", Path(__file__).parents[1] / "support" / "first_edition").provision()
    before = open_app.tables.pending()
    with pytest.raises(UsageError, match=r"is of another release: .* more differ, .*tickercast provision"):
        launch.require(open_app, "127.0.0.1", 0)
    assert open_app.tables.pending() == before
    open_app.provision()
    launch.require(open_app, "127.0.0.1", 0)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 421),
        ({"Host": "127.0.0.1.evil.example:8700"}, 421),
        ({"Host": "user@127.0.0.1"}, 421),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Host": "localhost:8700"}, 202),
        ({"Host": "[::1]:8700"}, 202),
        ({"Sec-Fetch-Site": "none"}, 202),
    ],
)
def test_no_page_in_a_browser_calls_an_open_server(open_app: App, headers: dict[str, str], status: int) -> None:
    with client(open_app) as found:
        asked = {"symbol": "MSFT", "as_of": "2012-08-15"}
        answered = found.post("/v1/forecasts", json=asked, headers=headers)
        assert answered.status_code == status
        assert bool(open_app.store.names("ohlc/")) == (status == 202)
