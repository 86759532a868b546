"""The requests in which a bucket's events arrive, read as the attributes and data of a CloudEvent.

Eventarc sends CloudEvents, in binary or structured mode; a bucket's own notification comes by Pub/Sub, as a plain push
or wrapped in a CloudEvent of Pub/Sub. Any of them may be compressed.
"""

import base64
import binascii
import json
import zlib
from collections.abc import Mapping
from typing import Any

from cloudevents.exceptions import GenericException
from cloudevents.http import from_http

from tickercast.backends import announced
from tickercast.domain.text import shown
from tickercast.errors import EventUnreadable, UsageError
from tickercast.ports import FINALIZED, ObjectFinalized

_LARGEST = 1 << 20  # bytes: an event names an object and does not hold it
_OF_PUBSUB = "google.cloud.pubsub.topic.v1.messagePublished"
_TYPES = {"OBJECT_FINALIZE": FINALIZED}

Event = tuple[Mapping[str, Any], Mapping[str, Any]]


def read(headers: Mapping[str, str], body: bytes) -> Event:
    """Read the attributes and the data of an event.

    Args:
        headers: the headers of the request.
        body: the body of the request.

    Returns:
        Attributes, of which at least `id` and `type` are there, and data, which is empty where there is none.

    Raises:
        EventUnreadable: the body is empty, truncated or not an event; the sender has to deliver it again.
    """
    body = _plain(headers, body)
    if not body:
        raise EventUnreadable("An event came without a body: a JSON object was needed. It has to be delivered again.")
    try:
        if not any(name.lower() == "ce-type" for name in headers):
            message = _message(json.loads(body))
            if message is not None:
                return _notification(message)
        event = from_http(dict(headers), body)
        data = event.get_data()
        if event["type"] in (FINALIZED, _OF_PUBSUB) and isinstance(data, (bytes, str)):  # JSON that is cut off
            data = json.loads(data)
        if event["type"] == _OF_PUBSUB and (message := _message(data)) is not None:
            return _notification(message)
    except (GenericException, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise EventUnreadable(
            f"The body of an event cannot be read ({len(body)} bytes, {type(error).__name__}): the JSON of a "
            "CloudEvent or of a Pub/Sub push was needed. It has to be delivered again, whole."
        ) from error
    return event.get_attributes(), data if isinstance(data, Mapping) else {}


def object_finalized(attributes: Mapping[str, Any], data: Mapping[str, Any]) -> ObjectFinalized:
    """Read a CloudEvent of type `google.cloud.storage.object.v1.finalized`.

    Args:
        attributes: the attributes that `read` returns.
        data: the data that `read` returns.

    Raises:
        UsageError: the event is of another type, or has no bucket, name or generation.
    """
    if attributes["type"] != FINALIZED:
        raise UsageError(
            f"The event {shown(str(attributes['id']), 40)!r} is of type {shown(str(attributes['type']), 80)!r}: one of "
            f"type {FINALIZED} was needed. Send the events of a bucket's finalized objects."
        )
    return announced.write(
        attributes["id"],
        bucket=data.get("bucket"),
        name=data.get("name"),
        generation=data.get("generation"),
        numbered=True,
        size=data.get("size"),
        times=(data.get("timeCreated"), attributes.get("time")),
    )


def _plain(headers: Mapping[str, str], body: bytes) -> bytes:
    encoding = next((value for name, value in headers.items() if name.lower() == "content-encoding"), "").lower()
    if encoding in ("", "identity"):
        return body
    if encoding not in ("gzip", "x-gzip"):
        raise EventUnreadable(f"An event came in the encoding {encoding[:20]!r}: none, or gzip, was needed.")
    try:
        stream = zlib.decompressobj(wbits=31)
        plain = stream.decompress(body, _LARGEST)
    except zlib.error as error:
        raise EventUnreadable(f"The gzip of an event is damaged ({error}). It has to be delivered again.") from error
    if not stream.eof:
        raise EventUnreadable(
            f"The gzip of an event is truncated, or holds more than {_LARGEST:,} bytes. It has to be delivered again."
        )
    return plain


def _message(body: Any) -> Mapping[str, Any] | None:
    """The message of a Pub/Sub push; None if it is none of a bucket's notification."""
    message = body.get("message") if isinstance(body, Mapping) else None
    if isinstance(message, Mapping) and "eventType" in (message.get("attributes") or {}):
        return message
    return None


def _notification(message: Mapping[str, Any]) -> Event:
    """Read a bucket's notification: its attributes name the object, and its data, if there is any, describes it."""
    given = message["attributes"]
    try:
        described = json.loads(base64.b64decode(message.get("data") or "e30=", validate=True))
    except (binascii.Error, ValueError) as error:
        raise EventUnreadable("The data of a Pub/Sub message are truncated. It has to be delivered again.") from error
    named = {"bucket": given["bucketId"], "name": given["objectId"], "generation": given["objectGeneration"]}
    event_type = _TYPES.get(given["eventType"], f"notification of {given['eventType']}")
    attributes = {"id": message.get("messageId") or message.get("message_id") or "", "type": event_type}
    if moment := given.get("eventTime"):
        attributes["time"] = moment
    return attributes, {**(described if isinstance(described, Mapping) else {}), **named}
