"""The function through the door that the platform uses: functions-framework's own application."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from cloudevents.conversion import to_binary, to_structured
from cloudevents.http import CloudEvent
from functions_framework import create_app

from tickercast import config, engines
from tickercast.app import App
from tickercast.domain.bars import Bars
from tickercast.domain.price_files import to_csv
from tickercast.ports import ObjectStore, Warehouse

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


def finalized(name: str, generation: int) -> dict[str, str]:
    return {"bucket": "bucket", "name": name, "generation": str(generation), "size": "1"}


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
    assert set(stored["generation"]) == {str(generation)}


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
