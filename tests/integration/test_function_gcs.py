"""The function on Cloud Storage: Google's client, a strict stand-in's events, functions-framework's application."""

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from cloudevents.conversion import to_binary
from cloudevents.http import CloudEvent
from functions_framework import create_app
from tests.support.storage_server import COPY, GET, INSERT, StorageServer

from tickercast import config, engines
from tickercast.app import App
from tickercast.domain.bars import Bars
from tickercast.domain.cards.model_card import CHAMPION
from tickercast.domain.files.price_files import to_csv
from tickercast.jobs.requests.upload import upload
from tickercast.ports import FINALIZED, ObjectStore, Warehouse

NAME = "ohlc/2023-07-22/MSFT.csv"

Send = Callable[[Mapping[str, Any]], int]


@pytest.fixture
def store(workspace: Path, storage_server: StorageServer, monkeypatch: pytest.MonkeyPatch) -> ObjectStore:
    storage_server.make_bucket(workspace.name.replace("_", "-"))
    monkeypatch.setenv("TICKERCAST_BUCKET", f"gs://{workspace.name.replace('_', '-')}")
    return engines.object_store(config.load())


@pytest.fixture
def warehouse(store: ObjectStore) -> Warehouse:
    return App().warehouse


@pytest.fixture
def send(store: ObjectStore) -> Send:
    """Deliver the event of a finished write, and return the function's status."""
    client = create_app("forecast", str(config.resource("cloud_function") / "main.py"), "cloudevent").test_client()

    def call(finalized: Mapping[str, Any]) -> int:
        attributes = {"id": "1", "type": FINALIZED, "source": f"//storage.googleapis.com/{finalized['bucket']}"}
        headers, body = to_binary(CloudEvent(attributes, dict(finalized)))
        return int(client.post("/", headers=headers, data=body).status_code)

    return call


def test_what_was_uploaded_through_a_bad_network_is_one_event_and_one_forecast(
    store: ObjectStore, warehouse: Warehouse, storage_server: StorageServer, send: Send
) -> None:
    storage_server.announced.clear()
    storage_server.fail(INSERT, "drop")
    source = engines.market_data("sample")
    uploaded = upload(["MSFT", "IBM"], date(2012, 8, 15), source=source, store=store, now=datetime.now(UTC))
    [event] = storage_server.announced
    assert (event["name"], event["generation"]) == (uploaded.object, uploaded.generation)
    for _ in range(2):
        assert send(event) == 200
    stored = warehouse.read("forecasts", {"generation": uploaded.generation})
    assert stored.groupby("symbol").size().to_dict() == {"IBM": 20, "MSFT": 20}


def test_a_bad_file_is_quarantined_and_what_that_writes_is_ignored(
    store: ObjectStore, warehouse: Warehouse, storage_server: StorageServer, send: Send
) -> None:
    generation = store.write(NAME, b"not,a,price\n1,2,3\n")
    storage_server.fail(COPY, "drop")
    for event in storage_server.announced:  # grows while the function answers
        assert send(event) == 200
    assert storage_server.calls[COPY] == 2
    kept, reason = store.names("quarantine/")
    assert store.read(kept) == b"not,a,price\n1,2,3\n"
    assert b"Open, High, Low, Close" in store.read(reason)
    assert list(warehouse.read("ingestions")["generation"]) == [generation]


def test_the_event_of_a_file_that_was_replaced_is_superseded(
    store: ObjectStore,
    warehouse: Warehouse,
    storage_server: StorageServer,
    send: Send,
    make_bars: Callable[..., Bars],
) -> None:
    storage_server.announced.clear()
    store.write(NAME, b"not,a,price\n1,2,3\n")
    store.write(NAME, to_csv([make_bars()]))
    assert [send(event) for event in storage_server.announced] == [200, 200]
    assert sorted(warehouse.read("ingestions")["status"]) == ["forecast", "superseded"]


def test_while_the_bucket_does_not_answer_the_event_is_to_be_delivered_again(
    store: ObjectStore,
    warehouse: Warehouse,
    storage_server: StorageServer,
    send: Send,
    make_bars: Callable[..., Bars],
) -> None:
    store.write(NAME, to_csv([make_bars()]))
    storage_server.fail(GET, "409")
    assert send(storage_server.announced[-1]) == 503
    assert warehouse.read("ingestions").empty
    assert send(storage_server.announced[-1]) == 200
    assert list(warehouse.read("ingestions")["status"]) == ["forecast"]


def test_provisioning_publishes_the_shipped_champion_once(store: ObjectStore, storage_server: StorageServer) -> None:
    for _ in range(2):
        App().provision()
    assert [made["name"] for made in storage_server.announced].count(CHAMPION) == 1


def test_of_two_first_commands_the_slower_leaves_the_champion_of_the_faster_alone(
    store: ObjectStore, storage_server: StorageServer
) -> None:
    def overtake(made: Mapping[str, Any]) -> None:
        if made["name"].endswith("model.json"):
            App().provision()

    storage_server.trigger = overtake
    App().provision()
    assert [made["name"] for made in storage_server.announced].count(CHAMPION) == 1


def test_doctor_asks_the_bucket(store: ObjectStore, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TICKERCAST_SOURCE", "simulated")
    checks = {check.name: (check.answer, check.well) for check in App().doctor()}
    assert checks["object store"] == ("11 objects", True)
    assert checks["champion"] == ("tickercast-lstm version 1", True)


def test_doctor_says_what_to_do_about_a_missing_bucket(
    store: ObjectStore, storage_server: StorageServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TICKERCAST_BUCKET", "gs://nowhere")
    check = next(App().doctor())
    assert (check.where, check.well) == ("gs://nowhere", False)
    assert "Create the bucket" in check.answer
