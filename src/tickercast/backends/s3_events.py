"""The events of S3 as a function on AWS Lambda receives them.

S3 calls the function itself, or by way of EventBridge, SQS or SNS. Keys are URL-encoded in S3's own notifications and
plain in EventBridge's. A bucket sends a test event when its notifications are switched on.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus

from tickercast.backends import announced
from tickercast.errors import EventUnreadable, TickercastError, UsageError
from tickercast.ports import ObjectFinalized

_CREATED = "ObjectCreated:"


@dataclass(frozen=True)
class Message:
    """A unit of acknowledgement: a message of a queue, or a whole call.

    Attributes:
        item: the id of a message of a queue; empty for a call that is acknowledged as a whole.
        writes: the finished writes that it announces, each of which may be the reason why one cannot be read.
    """

    item: str
    writes: Sequence[ObjectFinalized | TickercastError]


def read(event: Any) -> list[Message]:
    """Read what a call announces; nothing for a test event, or for events of another kind.

    Args:
        event: the event, as Lambda gives it.

    Raises:
        EventUnreadable: the call is none of S3's events.
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
        return Message(item, [_unreadable(error)])


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
        raise _unreadable(error) from error


def _of_s3(record: Mapping[str, Any]) -> ObjectFinalized | TickercastError:
    written, answered = record["s3"], record.get("responseElements") or {}
    described = written["object"]
    key = described.get("key")
    name = unquote_plus(key) if isinstance(key, str) else key
    return _finalized(
        answered.get("x-amz-request-id"),
        written["bucket"],
        name,
        described.get("versionId"),
        described,
        record.get("eventTime"),
    )


def _of_eventbridge(event: Mapping[str, Any]) -> ObjectFinalized | TickercastError:
    detail = event["detail"]
    described = detail["object"]
    name, version = described.get("key"), described.get("version-id")
    return _finalized(event.get("id"), detail["bucket"], name, version, described, event.get("time"))


def _finalized(
    event_id: Any, bucket: Mapping[str, Any], name: Any, version: Any, described: Mapping[str, Any], at: Any
) -> ObjectFinalized | TickercastError:
    try:
        return announced.write(
            event_id,
            bucket=bucket.get("name"),
            name=name,
            generation="" if version is None else version,
            numbered=False,
            size=described.get("size"),
            times=(at,),
        )
    except UsageError as error:
        return error


def _unreadable(error: Exception) -> EventUnreadable:
    what = f"it has no {error}" if isinstance(error, KeyError) else type(error).__name__
    return EventUnreadable(
        f"An event cannot be read ({what}): a notification of S3 was needed, by itself or by way of EventBridge, SQS "
        "or SNS. It has to be delivered again, whole."
    )
