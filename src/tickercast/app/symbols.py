"""Files of symbols and of holdings, on this machine or in the data bucket."""

from pathlib import Path

from tickercast import config, engines
from tickercast.config import Settings
from tickercast.errors import ObjectNotFound, UsageError


def read_symbols(path: str, settings: Settings | None = None) -> list[str]:
    """Read a file of symbols, separated by blanks, commas or lines; `#` begins a comment. No path means no symbols.

    Args:
        path: of a file, or the URL of an object in the data bucket.
        settings: where the data bucket is; those of the environment by default.

    Raises:
        UsageError: it cannot be read, or is empty.
        StoreUnavailable: try again.
    """
    if not path:
        return []
    lines = read_text(path, "symbols", settings).splitlines()
    words = [word for line in lines for word in line.partition("#")[0].replace(",", " ").split()]
    if not words:
        raise UsageError(f"{path} holds no symbol: one a line was needed.")
    return words


def read_text(path: str, what: str, settings: Settings | None = None) -> str:
    """Read a text file, without its byte order mark.

    Args:
        path: of a file, or the URL of an object in the data bucket.
        what: the file holds, for errors.
        settings: where the data bucket is; those of the environment by default.

    Raises:
        UsageError: it cannot be read.
        StoreUnavailable: try again.
    """
    try:
        content = _object(path, what, settings or config.load()) if "://" in path else Path(path).read_bytes()
        return content.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise UsageError(f"{path} cannot be read: {reason}. A text file of {what} was needed; name one.") from error


def _object(url: str, what: str, settings: Settings) -> bytes:
    bucket = f"{settings.bucket.partition('?')[0].rstrip('/')}/"
    if not url.startswith(bucket):
        raise UsageError(f"{url} is not in the data bucket: {bucket}NAME or the path of a file was needed. Correct it.")
    store = engines.object_store(settings, announce=False)
    try:
        return store.read(url.removeprefix(bucket))
    except ObjectNotFound as error:
        raise UsageError(
            f"There is no {url}: a text file of {what} was needed. Write it there, or name another."
        ) from error
