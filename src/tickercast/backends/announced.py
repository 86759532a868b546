"""A finished write as its bucket announces it, whichever bucket that is.

Bucket, name and generation are the event's key and have to be right. Size and time only advise: a file is measured when
it is read, and the store knows when it was written. So an event whose size or time cannot be read is handled without.
"""

from collections.abc import Iterable
from datetime import UTC, datetime

from tickercast.domain.text import shown
from tickercast.errors import UsageError
from tickercast.ports import ObjectFinalized

_LARGEST_INT64 = 2**63 - 1
_LONGEST_TEXT = 1024
_TEXT = f"printable text of at most {_LONGEST_TEXT} bytes"


def write(
    event_id: object,
    *,
    bucket: object,
    name: object,
    generation: object,
    numbered: bool,
    size: object,
    times: Iterable[object],
) -> ObjectFinalized:
    """Check an event's claims about a write.

    Args:
        event_id: the id of the event, for the logs.
        bucket: the name of the bucket.
        name: the name of the object.
        generation: the generation that the write made.
        numbered: whether a generation is a number, as Cloud Storage's; else it is a text, empty where none is reported.
        size: the size in bytes; anything else counts as 0, for unknown.
        times: times of the write, in ISO 8601; the first that can be read counts.

    Raises:
        UsageError: bucket, name or generation is missing or cannot be one.
    """
    fits, needed = (_is_number, "a positive whole number") if numbered else (_is_version, _TEXT)
    _check(event_id, "bucket", bucket, _is_text(bucket), _TEXT)
    _check(event_id, "name", name, _is_text(name), _TEXT)
    _check(event_id, "generation", generation, fits(generation), needed)
    return ObjectFinalized(
        bucket=str(bucket),
        name=str(name),
        generation=str(generation),
        size=int(str(size)) if _is_number(size) else 0,
        event_id=str(event_id or ""),
        written_at=next((moment for time in times if (moment := _moment(time))), None),
    )


def _check(event_id: object, field: str, given: object, fits: bool, needed: str) -> None:
    if fits:
        return
    seen = f"no {field}" if given is None else f"the {field} {shown(str(given), 80)!r}"
    advice = "Rename the object." if field == "name" and given else "Send the events that a bucket sends."
    raise UsageError(
        f"The event {shown(str(event_id or ''), 40)!r} of a finished write has {seen}: {needed} was needed. Nothing is "
        f"stored of it. {advice}"
    )


def _is_text(given: object) -> bool:
    return isinstance(given, str) and given.isprintable() and 0 < len(given.encode()) <= _LONGEST_TEXT


def _is_version(given: object) -> bool:
    return given == "" or _is_text(given)


def _is_number(given: object) -> bool:
    number = given if isinstance(given, str) else repr(given)
    return number.isascii() and number.isdecimal() and len(number) < 20 and 0 < int(number) <= _LARGEST_INT64


def _moment(given: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(given))
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
