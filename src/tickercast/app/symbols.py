"""Files of symbols."""

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
    try:
        content = _object(path, settings or config.load()) if "://" in path else Path(path).read_bytes()
        lines = content.decode("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read as a text file of symbols: {error}. Name another.") from error
    words = [word for line in lines for word in line.partition("#")[0].replace(",", " ").split()]
    if not words:
        raise UsageError(f"{path} holds no symbol: one a line was needed.")
    return words


def _object(url: str, settings: Settings) -> bytes:
    bucket = f"{settings.bucket.partition('?')[0].rstrip('/')}/"
    if not url.startswith(bucket):
        raise UsageError(f"{url} is not in the data bucket: {bucket}NAME or the path of a file was needed. Correct it.")
    store = engines.object_store(settings, announce=False)
    try:
        return store.read(url.removeprefix(bucket))
    except ObjectNotFound as error:
        raise UsageError(f"There is no watchlist {url}. Write one there, a symbol a line, or name another.") from error
