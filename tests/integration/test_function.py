"""The function through the door that the platform uses: functions-framework's own application."""

import base64
import gzip
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
from cloudevents.conversion import to_binary, to_structured
from cloudevents.http import CloudEvent
from functions_framework import create_app
from requests.adapters import HTTPAdapter
from tests.support.mlflow_server import free_port
from urllib3.util.retry import Retry

from tickercast import config, engines
from tickercast.app import App
from tickercast.domain.bars import Bars
from tickercast.domain.files.price_files import to_csv
from tickercast.ports import FINALIZED, ObjectStore, Warehouse

SOURCE = config.resource("cloud_function") / "main.py"
NAME = "ohlc/2023-07-22/MSFT.csv"

Send = Callable[..., Any]


@pytest.fixture
def store(workspace: Path) -> ObjectStore:
    return engines.object_store(config.load(), announce=False)


@pytest.fixture
def warehouse(store: ObjectStore) -> Warehouse:
    return App().warehouse


@pytest.fixture
def send(workspace: Path) -> Send:
    client = create_app("forecast", str(SOURCE), "cloudevent").test_client()

    def call(data: Mapping[str, Any], encode: Callable[..., Any] = to_binary, event_id: str = "1") -> Any:
        attributes = {
            "id": event_id,
            "type": "google.cloud.storage.object.v1.finalized",
            "source": "//storage.googleapis.com/projects/_/buckets/bucket",
            "subject": f"objects/{data.get('name')}",
        }
        headers, body = encode(CloudEvent(attributes, dict(data)))
        return client.post("/", headers=headers, data=body)

    return call


def test_an_event_of_another_type_is_acknowledged_and_not_handled(
    store: ObjectStore, warehouse: Warehouse, make_bars: Callable[..., Bars]
) -> None:
    generation = store.write(NAME, to_csv([make_bars()]))
    attributes = {"type": "google.cloud.storage.object.v1.deleted", "source": "//storage.googleapis.com/x", "id": "1"}
    headers, body = to_binary(CloudEvent(attributes, finalized(NAME, generation)))
    client = create_app("forecast", str(SOURCE), "cloudevent").test_client()
    assert client.post("/", headers=headers, data=body).status_code == 200
    assert warehouse.read("forecasts").empty


def finalized(name: str, generation: str) -> dict[str, str]:
    return {"bucket": "bucket", "name": name, "generation": generation, "size": "1"}


@pytest.mark.parametrize("encode", [to_binary, to_structured])
def test_an_event_becomes_a_forecast(
    send: Send,
    store: ObjectStore,
    warehouse: Warehouse,
    make_bars: Callable[..., Bars],
    encode: Callable[..., Any],
) -> None:
    generation = store.write(NAME, to_csv([make_bars()]))
    assert send(finalized(NAME, generation), encode).status_code == 200
    stored = warehouse.read("latest_forecasts", {"role": "champion"})
    assert sorted(stored["step"]) == list(range(1, 11))
    assert set(stored["generation"]) == {generation}


def test_an_event_with_an_odd_size_and_time_becomes_a_forecast(
    send: Send, store: ObjectStore, warehouse: Warehouse, make_bars: Callable[..., Bars]
) -> None:
    generation = store.write(NAME, to_csv([make_bars()]))
    assert send({**finalized(NAME, generation), "size": "abc", "timeCreated": "yesterday"}).status_code == 200
    assert list(warehouse.read("ingestions")["status"]) == ["forecast"]


def test_one_write_that_is_announced_twice_under_two_ids_is_handled_once(
    send: Send, store: ObjectStore, warehouse: Warehouse, make_bars: Callable[..., Bars]
) -> None:
    generation = store.write(NAME, to_csv([make_bars()]))
    for event_id in ("1", "2", "1"):
        assert send(finalized(NAME, generation), event_id=event_id).status_code == 200
    assert len(warehouse.read("forecasts")) == 20
    assert list(warehouse.read("ingestions")["event_id"]) == ["1"]


def test_a_bad_file_is_acknowledged_and_its_reason_stored(send: Send, store: ObjectStore, warehouse: Warehouse) -> None:
    generation = store.write(NAME, b"not,a,price\n1,2,3\n")
    assert send(finalized(NAME, generation)).status_code == 200
    [row] = warehouse.read("ingestions").to_dict("records")
    assert row["status"] == "rejected"
    assert "Open, High, Low, Close" in row["reason"]


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"bucket": "bucket", "name": NAME},
        *({"bucket": "bucket", "name": NAME, "generation": odd} for odd in ("x", 0, -1, 2**63, 1e400, None)),
        {"bucket": "bucket", "name": "ohlc/2023-07-22/\0.csv", "generation": 1},
    ],
)
def test_an_event_without_an_object_is_acknowledged_and_not_retried(
    send: Send, warehouse: Warehouse, data: Mapping[str, Any]
) -> None:
    assert send(data).status_code == 200
    assert warehouse.read("ingestions").empty


def post(headers: Mapping[str, str], body: bytes) -> int:
    client = create_app("forecast", str(SOURCE), "cloudevent").test_client()
    status: int = client.post("/", headers=headers, data=body).status_code
    return status


def encoded(name: str, generation: str, encode: Callable[..., Any]) -> tuple[dict[str, str], bytes]:
    attributes = {"id": "1", "type": FINALIZED, "source": "//storage.googleapis.com/projects/_/buckets/bucket"}
    headers, body = encode(CloudEvent(attributes, finalized(name, generation)))
    return dict(headers), body


def notification(name: str, generation: str, *, data: bool = True) -> bytes:
    """A push of Pub/Sub for a notification that a bucket was told to send to a topic."""
    told = {"bucketId": "bucket", "objectId": name, "objectGeneration": generation, "eventType": "OBJECT_FINALIZE"}
    resource = base64.b64encode(json.dumps(finalized(name, generation)).encode()).decode()
    message = {"attributes": told, "messageId": "7", "publishTime": "2023-07-22T10:00:00Z"}
    return json.dumps({"message": message | ({"data": resource} if data else {}), "subscription": "s"}).encode()


@pytest.mark.parametrize("encode", [to_binary, to_structured])
def test_a_truncated_body_is_refused_wherever_it_ends(workspace: Path, encode: Callable[..., Any]) -> None:
    headers, body = encoded(NAME, 1, encode)
    client = create_app("forecast", str(SOURCE), "cloudevent").test_client()
    answers = {client.post("/", headers=headers, data=body[:end]).status_code for end in range(len(body))}
    assert answers == {400}


def test_a_truncated_notification_is_refused_wherever_it_ends(workspace: Path) -> None:
    body = notification(NAME, 1)
    client = create_app("forecast", str(SOURCE), "cloudevent").test_client()
    ends = range(len(body))
    answers = {client.post("/", data=body[:end], content_type="application/json").status_code for end in ends}
    assert answers == {400}


@pytest.mark.parametrize("data", [True, False])
def test_a_notification_of_the_bucket_by_plain_push_becomes_a_forecast(
    store: ObjectStore, warehouse: Warehouse, make_bars: Callable[..., Bars], data: bool
) -> None:
    generation = store.write(NAME, to_csv([make_bars()]))
    assert post({"Content-Type": "application/json"}, notification(NAME, generation, data=data)) == 200
    [row] = warehouse.read("ingestions").to_dict("records")
    assert (row["status"], row["event_id"]) == ("forecast", "7")


def test_a_notification_of_a_deletion_is_acknowledged_and_not_handled(workspace: Path, warehouse: Warehouse) -> None:
    body = notification(NAME, 1).replace(b"OBJECT_FINALIZE", b"OBJECT_DELETE")
    assert post({"Content-Type": "application/json"}, body) == 200
    assert warehouse.read("ingestions").empty


@pytest.mark.parametrize("encode", [to_binary, to_structured])
def test_a_compressed_event_becomes_a_forecast_and_a_truncated_one_is_refused(
    store: ObjectStore, warehouse: Warehouse, make_bars: Callable[..., Bars], encode: Callable[..., Any]
) -> None:
    generation = store.write(NAME, to_csv([make_bars()]))
    headers, body = encoded(NAME, generation, encode)
    packed = {**headers, "Content-Encoding": "gzip"}
    assert post(packed, gzip.compress(body)[:-9]) == 400
    assert post(packed, body) == 400
    assert post(packed, gzip.compress(b" " * 2_000_000 + body)) == 400
    assert post({**headers, "Content-Encoding": "br"}, body) == 400
    assert warehouse.read("ingestions").empty
    assert post(packed, gzip.compress(body)) == 200
    assert list(warehouse.read("ingestions")["status"]) == ["forecast"]


def test_what_is_no_post_is_not_an_event(workspace: Path) -> None:
    assert create_app("forecast", str(SOURCE), "cloudevent").test_client().get("/").status_code == 405


def test_sigterm_in_the_middle_of_an_event_lets_it_finish(
    workspace: Path, store: ObjectStore, warehouse: Warehouse, make_bars: Callable[..., Bars]
) -> None:
    generation = store.write(NAME, to_csv([make_bars()]))
    port = free_port()
    server = subprocess.Popen(
        [
            *(Path(sys.executable).with_name("functions-framework"), "--source", SOURCE, "--target", "forecast"),
            *("--signature-type", "cloudevent", "--host", "127.0.0.1", "--port", str(port)),
        ],
        env=os.environ | {"TICKERCAST_LOG_FORMAT": "json"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert server.stdout is not None
    try:
        with requests.Session() as patient:
            patient.mount(
                "http://", HTTPAdapter(max_retries=Retry(total=None, connect=200, backoff_factor=0.1, backoff_max=0.2))
            )
            assert patient.get(f"http://127.0.0.1:{port}").status_code == 405
        headers, body = encoded(NAME, generation, to_binary)
        with ThreadPoolExecutor(1) as pool:
            with warehouse.session():  # the event waits for the file
                answer = pool.submit(requests.post, f"http://127.0.0.1:{port}", data=body, headers=headers, timeout=60)
                assert any("waiting for it" in line for line in server.stdout)
                server.terminate()
            status = answer.result().status_code
        assert status == 200
        assert list(warehouse.read("ingestions")["status"]) == ["forecast"]
    finally:
        server.kill()
        server.communicate()


def test_without_a_champion_the_event_is_to_be_delivered_again(
    send: Send, store: ObjectStore, make_bars: Callable[..., Bars]
) -> None:
    engines.warehouse(config.load()).provision()
    generation = store.write(NAME, to_csv([make_bars()]))
    answer = send(finalized(NAME, generation))
    assert answer.status_code == 503
    assert "models/champion.json" in answer.get_data(as_text=True)


def test_the_function_answers_with_neither_tensorflow_nor_mlflow_nor_what_only_flows_and_pages_need() -> None:
    script = (
        "import sys; from functions_framework import create_app; "
        f"create_app('forecast', {str(SOURCE)!r}, 'cloudevent'); "
        "import tickercast.models.onnx, tickercast.backends.warehouse.duckdb; "
        "print(sorted({'tensorflow', 'keras', 'mlflow', 'prefect', 'evidently', 'streamlit', 'matplotlib', 'yfinance'}"
        " & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=os.environ, check=True)
    assert done.stdout.strip() == "[]"
