"""The function takes events from senders, and none from a page in a browser or about a write that never was."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cloudevents.conversion import to_binary, to_structured
from cloudevents.http import CloudEvent
from functions_framework import create_app
from tests.support.place import AT, Place

from tickercast import config, engines
from tickercast.app import App
from tickercast.domain.bars import Bars
from tickercast.domain.files.price_files import to_csv
from tickercast.errors import WarehouseUnavailable
from tickercast.ports import ObjectFinalized, Warehouse

SOURCE = config.resource("cloud_function") / "main.py"
NAME = "ohlc/2023-07-22/MSFT.csv"


@pytest.fixture
def warehouse(workspace: Path) -> Warehouse:
    return App().warehouse


@pytest.fixture
def event(warehouse: Warehouse, make_bars: Callable[..., Bars]) -> CloudEvent:
    generation = engines.object_store(config.load(), announce=False).write(NAME, to_csv([make_bars()]))
    attributes = {"type": "google.cloud.storage.object.v1.finalized", "source": "//storage.googleapis.com/x", "id": "1"}
    return CloudEvent(attributes, {"bucket": "bucket", "name": NAME, "generation": generation})


def post(event: CloudEvent, more: dict[str, str], encode: Callable[..., Any] = to_structured) -> Any:
    headers, body = encode(event)
    known = {name.lower(): value for name, value in headers.items()} | {name.lower(): v for name, v in more.items()}
    return create_app("forecast", str(SOURCE), "cloudevent").test_client().post("/", headers=known, data=body)


@pytest.mark.parametrize(
    ("headers", "status", "said"),
    [
        ({"Origin": "http://evil.example"}, 403, "comes from a page"),
        ({"Origin": "null"}, 403, "comes from a page"),
        ({"Origin": "http://localhost:8080"}, 403, "comes from a page"),  # the function serves no pages
        ({"Sec-Fetch-Site": "cross-site"}, 403, "comes from a page"),
        ({"Sec-Fetch-Site": "same-site"}, 403, "comes from a page"),
        ({"Content-Type": "text/plain"}, 415, "a CloudEvent's was needed"),
        ({"Content-Type": "text/plain;charset=UTF-8"}, 415, "a CloudEvent's was needed"),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415, "a CloudEvent's was needed"),
        ({"Content-Type": "multipart/form-data; boundary=x"}, 415, "a CloudEvent's was needed"),
        ({"Content-Type": ""}, 415, "a CloudEvent's was needed"),
        ({"Host": "evil.example"}, 421, "this machine's own name was needed"),
        ({"Host": "evil.example:8080"}, 421, "this machine's own name was needed"),
        ({"Host": "localhost.evil.example"}, 421, "this machine's own name was needed"),
        ({"Host": "localhost@evil.example"}, 421, "this machine's own name was needed"),
        ({"Host": ""}, 421, "this machine's own name was needed"),
    ],
)
@pytest.mark.parametrize("encode", [to_structured, to_binary])
def test_a_request_of_a_page_is_refused_and_stores_nothing(
    event: CloudEvent, warehouse: Warehouse, headers: dict[str, str], status: int, said: str, encode: Callable[..., Any]
) -> None:
    if encode is to_binary and headers.get("Content-Type") == "":
        pytest.skip("the headers of a binary event are those that no page sends")
    answer = post(event, headers, encode)
    assert answer.status_code == status
    assert said in answer.get_data(as_text=True).replace("&#39;", "'")
    assert warehouse.read("ingestions").empty


@pytest.mark.parametrize("host", ["localhost", "localhost:8080", "127.0.0.1:8080", "[::1]:8080", "LOCALHOST"])
def test_a_sender_on_this_machine_is_served(event: CloudEvent, warehouse: Warehouse, host: str) -> None:
    assert post(event, {"Host": host}).status_code == 200
    assert len(warehouse.read("ingestions")) == 1


def test_other_names_are_named(event: CloudEvent, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TICKERCAST_FUNCTION_HOSTS", "function, forecasts.internal")
    assert post(event, {"Host": "function:8080"}).status_code == 200


def test_cloud_run_calls_by_its_own_names(event: CloudEvent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("K_SERVICE", "forecast")
    monkeypatch.setenv("TICKERCAST_LOG_FORMAT", "text")
    assert post(event, {"Host": "forecast-abc-ew.a.run.app"}).status_code == 200


# ---------------------------------------------------------------- writes that never were


@pytest.mark.parametrize(
    "name", [NAME, "ohlc/2023-07-22/never.csv", "ohlc/2023-07-22/batch-0001.parquet", "ohlc/odd name"]
)
def test_a_write_that_never_was_is_not_accounted_for(tmp_path: Path, make_bars: Callable[..., Bars], name: str) -> None:
    place = Place(tmp_path)
    real = place.upload(NAME, to_csv([make_bars()]))
    number = int(real.generation)
    for generation in map(str, (1, number - 1, number + 1, 2**62, "v/../x")):
        outcome = place.handle(ObjectFinalized("bucket", name, generation, 1, "1", AT))
        assert outcome.status == "ignored"
        assert "Nothing is stored of it" in str(outcome.failures[None])
    assert place.warehouse.read("ingestions").empty
    assert place.store.names("quarantine/") == []


def test_the_real_event_is_handled_after_a_forged_one(tmp_path: Path, make_bars: Callable[..., Bars]) -> None:
    place = Place(tmp_path)
    first = place.upload(NAME, to_csv([make_bars()]))
    place.handle(ObjectFinalized("bucket", NAME, str(int(first.generation) + 1_000_000), 1, "1", AT))
    assert [one.bars.symbol for one in place.handle(first).series] == ["MSFT"]


def test_a_forged_event_that_fails_for_a_day_is_not_accounted_for_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Place(tmp_path)
    old = AT.replace(year=2020)
    with monkeypatch.context() as patch:
        patch.setattr(place.warehouse, "read_arrow", lambda *_: (_ for _ in ()).throw(WarehouseUnavailable("down")))
        outcome = place.handle(ObjectFinalized("bucket", NAME, "7", 1, "1", old))
    assert outcome.status == "ignored"
    assert place.warehouse.read("ingestions").empty


def test_the_log_of_a_refusal_is_one_line(event: CloudEvent, capfd: pytest.CaptureFixture[str]) -> None:
    """A caller cannot write log lines of its own."""
    from tickercast import logs

    logs.set_up("")
    post(event, {"Sec-Fetch-Site": "\x1b[31mred"})
    lines = [line for line in capfd.readouterr().out.splitlines() if "refused" in line]
    assert len(lines) == 1
    assert "\x1b" not in json.loads(lines[0])["message"]
