"""The rules for objects, the same for every object store."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import PurePosixPath

from tickercast.domain.objects import REPEATS
from tickercast.errors import InvalidName

_CONTENT_TYPES = {
    ".csv": "text/csv",
    ".json": "application/json",
    ".md": "text/markdown",
    ".parquet": "application/vnd.apache.parquet",
}


def check_name(name: str) -> None:
    """Check that a name stays inside the bucket: in the local store, names are paths.

    Raises:
        InvalidName: the name is empty, hidden, not printable, or leaves the bucket.
    """
    parts = name.split("/")
    if any(part in ("", ".", "..") for part in parts) or name.startswith(".") or not name.isprintable():
        raise InvalidName(
            f"{name[:80]!r} is not an object name: a printable relative path without empty parts, . or .. was needed. "
            "Rename the object."
        )


def content_type(name: str) -> str:
    """The media type of an object, by the extension of its name."""
    return _CONTENT_TYPES.get(PurePosixPath(name).suffix, "application/octet-stream")


def first_written(metadata: Mapping[str, str], written_at: datetime) -> datetime:
    """The time of an object's write, or of the write that it repeats.

    A text that cannot be of a repetition does not count.

    Args:
        metadata: the metadata of the object.
        written_at: the time of the write, by the store's clock.
    """
    try:
        repeated = datetime.fromisoformat(metadata.get(REPEATS, ""))
    except ValueError:
        return written_at
    return min(repeated, written_at) if repeated.tzinfo else written_at
