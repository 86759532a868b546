import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from tickercast.backends.s3_events import read
from tickercast.errors import EventUnreadable, UsageError
from tickercast.ports import ObjectFinalized

AT = datetime(2023, 7, 22, 12, tzinfo=UTC)


def record(key: str = "ohlc/2023-07-22/MSFT.csv", name: str = "ObjectCreated:Put", **changes: Any) -> dict[str, Any]:
    written = {"key": key, "size": 4, "eTag": "x", "versionId": "v.1/x", "sequencer": "0055"} | changes
    return {
        "eventSource": "aws:s3",
        "eventName": name,
        "eventTime": "2023-07-22T12:00:00.000Z",
        "responseElements": {"x-amz-request-id": "R1"},
        "s3": {"bucket": {"name": "bars"}, "object": written},
    }


def eventbridge(key: str = "ohlc/2023-07-22/MSFT.csv", kind: str = "Object Created") -> dict[str, Any]:
    written = {"key": key, "size": 4, "etag": "x", "version-id": "v.1/x", "sequencer": "0055"}
    detail = {"bucket": {"name": "bars"}, "object": written}
    return {"id": "R1", "source": "aws.s3", "detail-type": kind, "time": "2023-07-22T12:00:00Z", "detail": detail}


def queued(*bodies: object) -> dict[str, Any]:
    texts = [body if isinstance(body, str) else json.dumps(body) for body in bodies]
    return {
        "Records": [
            {"messageId": f"m{number}", "eventSource": "aws:sqs", "body": text} for number, text in enumerate(texts)
        ]
    }


def announced(name: str = "ohlc/2023-07-22/MSFT.csv") -> ObjectFinalized:
    return ObjectFinalized("bars", name, "v.1/x", 4, "R1", AT)


NOTIFIED = {"Records": [record()]}
BY_SNS = {"Records": [{"EventSource": "aws:sns", "Sns": {"Message": json.dumps(NOTIFIED)}}]}


@pytest.mark.parametrize("event", [NOTIFIED, eventbridge(), BY_SNS])
def test_a_call_announces_a_write(event: dict[str, Any]) -> None:
    [message] = read(event)
    assert (message.item, message.writes) == ("", [announced()])


@pytest.mark.parametrize("body", [NOTIFIED, eventbridge(), {"Type": "Notification", "Message": json.dumps(NOTIFIED)}])
def test_a_message_of_a_queue_announces_a_write(body: dict[str, Any]) -> None:
    [first, second] = read(queued(body, body))
    assert (first.item, second.item) == ("m0", "m1")
    assert first.writes == second.writes == [announced()]


def test_keys_are_decoded_where_s3_encodes_them() -> None:
    [message] = read({"Records": [record("ohlc/2023-07-22/BRK+B%3D%2B%26%C3%A9.csv")]})
    assert message.writes == [announced("ohlc/2023-07-22/BRK B=+&é.csv")]
    [message] = read(eventbridge("ohlc/2023-07-22/BRK+B%3D.csv"))
    assert message.writes == [announced("ohlc/2023-07-22/BRK+B%3D.csv")]


def test_a_write_without_its_version_is_announced_without_a_generation() -> None:
    unversioned = record()
    del unversioned["s3"]["object"]["versionId"]
    [message] = read({"Records": [unversioned]})
    assert [write.generation for write in message.writes if isinstance(write, ObjectFinalized)] == [""]


TEST = {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "bars"}


@pytest.mark.parametrize(
    "event", [TEST, eventbridge(kind="Object Deleted"), {"Records": [record(name="ObjectRemoved:Delete")]}]
)
def test_a_test_event_and_other_events_announce_nothing(event: dict[str, Any]) -> None:
    assert [message.writes for message in read(event)] == [[]]
    assert [message.writes for message in read(queued(event))] == [[]]


@pytest.mark.parametrize(
    "event",
    [
        None,
        [],
        "x",
        {},
        {"Records": None},
        {"Records": [{}]},
        {"Records": [{"eventSource": "aws:s3"}]},
        {"a": {"b": 1}},
    ],
)
def test_anything_else_cannot_be_read(event: Any) -> None:
    with pytest.raises(EventUnreadable, match="a notification of S3 was needed"):
        read(event)


def test_what_a_notification_lacks_is_named() -> None:
    with pytest.raises(EventUnreadable, match="it has no 'object'"):
        read({"Records": [record() | {"s3": {"bucket": {"name": "bars"}}}]})


@pytest.mark.parametrize("body", ["", "{", "null", "[]", '{"Records": [{"s3": {}}]}', "[" * 100_000])
def test_a_message_that_cannot_be_read_fails_alone(body: str) -> None:
    broken, whole = read(queued(body, NOTIFIED))
    assert isinstance(broken.writes[0], EventUnreadable)
    assert whole.writes == [announced()]


@pytest.mark.parametrize("size", ["x", None, float("inf"), -1, 10**30])
def test_a_size_that_cannot_be_read_is_done_without(size: Any) -> None:
    [message] = read({"Records": [record(size=size)]})
    assert message.writes == [replace(announced(), size=0)]


@pytest.mark.parametrize("at", [None, "yesterday", "0001-01-01T00:00:00+14:00"])
def test_a_time_that_cannot_be_read_is_done_without(at: Any) -> None:
    for event in ({"Records": [record() | {"eventTime": at}]}, eventbridge() | {"time": at}):
        [message] = read(event)
        assert message.writes == [replace(announced(), written_at=None)]


def test_an_event_without_its_id_is_read() -> None:
    [message] = read({"Records": [record() | {"responseElements": None}]})
    assert message.writes == [replace(announced(), event_id="")]


@pytest.mark.parametrize(
    ("event", "seen"),
    [
        (record(key=None), "no name"),
        (record(versionId=5), "the generation '5'"),
        (record() | {"s3": record()["s3"] | {"bucket": {}}}, "no bucket"),
    ],
)
def test_a_field_that_cannot_be_is_named_and_not_delivered_again(event: dict[str, Any], seen: str) -> None:
    [message] = read(queued({"Records": [event]}))
    [reason] = message.writes
    assert isinstance(reason, UsageError)
    assert f"has {seen}: printable text of at most 1024 bytes was needed" in str(reason)


@pytest.mark.parametrize("key", ["", "a%00b", "x" * 1025, "%E2%80%AE"])
def test_a_name_that_no_object_has_is_a_reason_and_not_delivered_again(key: str) -> None:
    [message] = read({"Records": [record(key)]})
    assert isinstance(message.writes[0], UsageError)
