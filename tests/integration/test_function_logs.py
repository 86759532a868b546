"""The log lines of the function, as Cloud Logging reads them."""

import json
import logging
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from cloudevents.conversion import to_binary
from cloudevents.http import CloudEvent
from functions_framework import create_app

from tickercast import config, engines, logs
from tickercast.app import App
from tickercast.domain.bars import Bars
from tickercast.domain.files.price_files import to_csv
from tickercast.errors import UsageError
from tickercast.ports import FINALIZED, ObjectStore, Warehouse

SOURCE = config.resource("cloud_function") / "main.py"
NAME = "ohlc/2023-07-22/batch-0001.csv"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"

Send = Callable[..., int]
Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def send(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Send:
    """Sends events to a function that believes it is on Cloud Run."""
    monkeypatch.setenv("K_SERVICE", "forecast")
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "my-project")
    client = create_app("forecast", str(SOURCE), "cloudevent").test_client()

    def call(data: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> int:
        attributes = {"id": "event-1", "type": FINALIZED, "source": "//storage.googleapis.com/x"}
        ours, body = to_binary(CloudEvent(attributes, dict(data)))
        return int(client.post("/", headers={**ours, **(headers or {})}, data=body).status_code)

    return call


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Lines:
    return lambda: [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.fixture
def store(workspace: Path) -> ObjectStore:
    return engines.object_store(config.load(), announce=False)


@pytest.fixture
def warehouse(store: ObjectStore) -> Warehouse:
    return App().warehouse


def finalized(generation: str) -> dict[str, str]:
    return {"bucket": "bucket", "name": NAME, "generation": generation, "size": "1"}


@pytest.mark.parametrize(
    "headers", [{"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}, {"X-Cloud-Trace-Context": f"{TRACE}/123;o=1"}]
)
def test_each_symbol_is_one_line_in_cloud_loggings_fields(
    send: Send,
    lines: Lines,
    store: ObjectStore,
    warehouse: Warehouse,
    make_bars: Callable[..., Bars],
    headers: dict[str, str],
) -> None:
    generation = store.write(NAME, to_csv([make_bars(), make_bars("META", sessions=9)]))
    assert send(finalized(generation), headers) == 200
    good, bad = lines()
    for line in (good, bad):
        assert line[logs.TRACE] == f"projects/my-project/traces/{TRACE}"
        assert (line["object"], line["generation"], line["event_id"]) == (NAME, generation, "event-1")
        assert line["duration_ms"] > 0
    assert (good["severity"], good["symbol"], good["status"]) == ("INFO", "MSFT", "forecast")
    assert (bad["severity"], bad["symbol"], bad["status"]) == ("WARNING", "META", "rejected")
    assert "9 sessions" in bad["message"]


@pytest.mark.parametrize(("on_cloud_run", "chosen"), [(False, ""), (False, "text"), (True, "text")])
def test_outside_cloud_run_each_symbol_is_a_line_of_text_with_its_time_and_severity(
    send: Send,
    store: ObjectStore,
    warehouse: Warehouse,
    make_bars: Callable[..., Bars],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    on_cloud_run: bool,
    chosen: str,
) -> None:
    if not on_cloud_run:
        monkeypatch.delenv("K_SERVICE")
    monkeypatch.setenv("TICKERCAST_LOG_FORMAT", chosen)
    generation = store.write(NAME, to_csv([make_bars(), make_bars("META", sessions=9)]))
    attributes = {"id": "event-1", "type": FINALIZED, "source": "//storage.googleapis.com/x"}
    headers, body = to_binary(CloudEvent(attributes, finalized(generation)))
    client = create_app("forecast", str(SOURCE), "cloudevent").test_client()
    assert client.post("/", headers=headers, data=body, base_url="http://127.0.0.1").status_code == 200
    assert client.post("/", data="x", base_url="http://127.0.0.1").status_code == 415
    printed = capsys.readouterr()
    assert not printed.out
    good, bad, refused = printed.err.splitlines()
    assert re.fullmatch(rf"[\d-]+ [\d:,]+ INFO {NAME}: MSFT is forecast from 2023-07-21", good)
    assert re.match(rf"[\d-]+ [\d:,]+ WARNING {NAME}: rejected: .*9 sessions", bad)
    assert re.match(r"[\d-]+ [\d:,]+ WARNING refused: The request has the content type", refused)


def test_the_function_in_the_process_of_an_application_leaves_its_logging_alone(
    workspace: Path, make_bars: Callable[..., Bars]
) -> None:
    log = logging.getLogger("tickercast")
    before = (log.handlers[:], log.level, log.propagate)
    App().warehouse  # noqa: B018
    engines.object_store(config.load()).write(NAME, to_csv([make_bars("META", sessions=9)]))
    assert App().tables.read("ingestions")["status"].tolist() == ["rejected"]
    assert (log.handlers, log.level, log.propagate) == before


def test_a_duplicate_is_one_line_and_another_object_is_none(
    send: Send, lines: Lines, store: ObjectStore, warehouse: Warehouse, make_bars: Callable[..., Bars]
) -> None:
    generation = store.write(NAME, to_csv([make_bars()]))
    send(finalized(generation))
    lines()
    send(finalized(generation))
    assert [line["status"] for line in lines()] == ["duplicate"]
    send({**finalized(generation), "name": "models/champion.json"})
    assert lines() == []


def test_an_event_that_is_to_be_delivered_again_is_an_error_line(
    send: Send, lines: Lines, store: ObjectStore, make_bars: Callable[..., Bars]
) -> None:
    engines.warehouse(config.load()).provision()
    generation = store.write(NAME, to_csv([make_bars()]))
    assert send(finalized(generation)) == 503
    [line] = lines()
    assert (line["severity"], line["status"], line["object"]) == ("ERROR", "retry", NAME)
    assert "models/champion.json" in line["message"]
    assert logs.TRACE not in line


def test_an_event_of_another_shape_is_an_error_line(send: Send, lines: Lines) -> None:
    assert send({"bucket": "bucket"}) == 200
    [line] = lines()
    assert (line["severity"], line["event_id"]) == ("ERROR", "event-1")
    assert "was needed" in line["message"]


def test_a_wrong_setting_loses_no_event(send: Send, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TICKERCAST_BUKET", "file://x")
    assert send(finalized(1)) == 503
    assert send({}) == 503


@pytest.mark.parametrize(
    ("attributes", "data", "written_at"),
    [
        ({"time": "2023-07-22T10:00:00Z"}, {"timeCreated": "2023-07-22T09:59:59Z"}, "2023-07-22T09:59:59+00:00"),
        ({"time": "2023-07-22T10:00:00.123Z"}, {"timeCreated": "nonsense"}, "2023-07-22T10:00:00.123000+00:00"),
        ({}, {"timeCreated": "2023-07-22T10:00:00"}, "2023-07-22T10:00:00+00:00"),
        ({}, {}, None),
    ],
)
def test_an_event_says_when_its_object_was_written(
    attributes: dict[str, str], data: dict[str, str], written_at: str | None
) -> None:
    made = engines.object_finalized({"id": "1", "type": FINALIZED, **attributes}, {**finalized(7), **data})
    assert (made.written_at and made.written_at.isoformat()) == written_at


@pytest.mark.parametrize("size", ["abc", None, -1, 1e400, 10**400])
def test_a_file_is_read_whatever_its_event_says_of_its_size(size: Any) -> None:
    made = engines.object_finalized({"id": "1", "type": FINALIZED}, {**finalized("7"), "size": size})
    assert (made.generation, made.size) == ("7", 0)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({"bucket": None}, "has no bucket: printable text of at most 1024 bytes was needed"),
        ({"name": "a\nb"}, "has the name 'a�b': printable text of at most 1024 bytes was needed"),
        ({"generation": "abc"}, "has the generation 'abc': a positive whole number was needed"),
        ({"generation": 1.5}, "has the generation '1.5': a positive whole number was needed"),
    ],
)
def test_an_event_that_cannot_be_names_the_field(data: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError) as caught:
        engines.object_finalized({"id": "1", "type": FINALIZED}, {**finalized("7"), **data})
    assert sentence in str(caught.value)


def test_a_traceback_is_part_of_its_line() -> None:
    try:
        raise ValueError("odd")
    except ValueError as error:
        record = logging.LogRecord("t", logging.ERROR, "", 0, "it failed", (), (ValueError, error, error.__traceback__))
    line = json.loads(logs.JsonFormatter("").format(record))
    assert line["message"].startswith("it failed\nTraceback")
    assert "ValueError: odd" in line["message"]


def test_a_line_of_text_is_one_line_without_secrets_and_its_traceback_follows() -> None:
    try:
        raise ValueError("https://me:pw@host")
    except ValueError as error:
        failed = (ValueError, error, error.__traceback__)
    record = logging.LogRecord("t", logging.ERROR, "", 0, "a\nb\x1b[1m at https://me:pw@host", (), failed)
    first, second, *rest = logs.TextFormatter().format(record).splitlines()
    assert first.endswith(" ERROR a b\N{REPLACEMENT CHARACTER}[1m at https://***@host")
    assert second.startswith("Traceback")
    assert rest[-1] == "ValueError: https://***@host"


def test_a_process_that_has_decided_where_its_lines_go_is_left_alone() -> None:
    log = logging.getLogger("tickercast")
    log.addHandler(logging.NullHandler())
    before = log.handlers[:]
    logs.set_up("my-project")
    assert log.handlers == before
