"""The events of S3 as a function on AWS Lambda receives them.

S3 calls the function itself, or by way of EventBridge, SQS or SNS. Keys are URL-encoded in S3's own notifications and
plain in EventBridge's. A bucket sends a test event when its notifications are switched on.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote_plus

from tickercast.domain.text import shown
from tickercast.errors import EventUnreadable, TickercastError, UsageError
from tickercast.ports import ObjectFinalized

_LONGEST_NAME = 1024
_CREATED = "ObjectCreated:"


@dataclass(frozen=True)
class Message:
    """What is acknowledged as one.

    Attributes:
        item: the id of a message of a queue; empty for a call that is acknowledged as a whole.
        writes: the finished writes that it announces, each of which may be the reason why one cannot be read.
    """

    item: str
    writes: Sequence[ObjectFinalized | TickercastError]


def read(event: Any) -> list[Message]:
    """Read what a call announces; nothing for a test event, or for events of another kind.

    Args:
        event: as Lambda gives it.

    Raises:
        EventUnreadable: it is none of S3's events.
    """
    records = event.get("Records") if isinstance(event, Mapping) else None
    if isinstance(records, list) and any(
        isinstance(one, Mapping) and one.get("eventSource") == "aws:sqs" for one in records
    ):
        return [_message(record) for record in records]
    return [Message("", list(_writes(event)))]


def _message(record: Mapping[str, Any]) -> Message:
    item = str(record.get("messageId") or "")
    try:
        return Message(item, list(_writes(json.loads(record["body"]))))
    except EventUnreadable as error:
        return Message(item, [error])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        return Message(item, [_unreadable(type(error).__name__)])


def _writes(body: Any) -> Iterator[ObjectFinalized | TickercastError]:
    try:
        if body.get("Event") == "s3:TestEvent":
            return
        if body.get("source") == "aws.s3":
            if body["detail-type"] == "Object Created":
                yield _of_eventbridge(body)
        elif body.get("Type") == "Notification":
            yield from _writes(json.loads(body["Message"]))
        else:
            for record in body["Records"]:
                if record.get("EventSource") == "aws:sns":
                    yield from _writes(json.loads(record["Sns"]["Message"]))
                elif record["eventName"].startswith(_CREATED):
                    yield _of_s3(record)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _unreadable(type(error).__name__) from error


def _of_s3(record: Mapping[str, Any]) -> ObjectFinalized | TickercastError:
    written, event_id = record["s3"], record.get("responseElements", {}).get("x-amz-request-id", "")
    described = written["object"]
    name = unquote_plus(described["key"])
    return _finalized(
        written["bucket"]["name"], name, described.get("versionId"), described, event_id, record["eventTime"]
    )


def _of_eventbridge(event: Mapping[str, Any]) -> ObjectFinalized | TickercastError:
    detail = event["detail"]
    described = detail["object"]
    name, version = described["key"], described.get("version-id")
    return _finalized(detail["bucket"]["name"], name, version, described, event["id"], event["time"])


def _finalized(
    bucket: Any, name: Any, version: Any, described: Mapping[str, Any], event_id: Any, at: Any
) -> ObjectFinalized | TickercastError:
    generation = str(version or "")
    names_an_object = isinstance(name, str) and name.isprintable() and 0 < len(name.encode()) <= _LONGEST_NAME
    if not names_an_object or not generation.isprintable() or len(generation) > _LONGEST_NAME:
        return UsageError(
            f"The event {str(event_id)[:40]!r} names the object {shown(str(name), 80)!r}: a printable name of at most "
            f"{_LONGEST_NAME} bytes was needed. Nothing is stored of it. Rename the object."
        )
    moment = datetime.fromisoformat(str(at))
    written_at = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return ObjectFinalized(str(bucket), name, generation, int(described.get("size", 0)), str(event_id), written_at)


def _unreadable(what: str) -> EventUnreadable:
    return EventUnreadable(
        f"An event cannot be read ({what}): a notification of S3 was needed, by itself or by way of EventBridge, SQS "
        "or SNS. It has to be delivered again, whole."
    )
