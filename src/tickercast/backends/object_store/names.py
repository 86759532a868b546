"""The rules for object names, the same for every object store."""

from pathlib import PurePosixPath

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
        InvalidName: it does not.
    """
    parts = name.split("/")
    if any(part in ("", ".", "..") for part in parts) or name.startswith(".") or not name.isprintable():
        raise InvalidName(f"{name[:60]!r} is not an object name: a printable relative path without . or .. was needed.")


def content_type(name: str) -> str:
    """The media type of an object, by the extension of its name."""
    return _CONTENT_TYPES.get(PurePosixPath(name).suffix, "application/octet-stream")
