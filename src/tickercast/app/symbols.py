"""Files of symbols and of holdings, on this machine or in the data bucket."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from tickercast import config, disk, engines
from tickercast.app.arguments import checks_arguments
from tickercast.config import Settings
from tickercast.domain import watchlist
from tickercast.domain.symbols import Symbols, parse_symbols
from tickercast.errors import ObjectNotFound, PreconditionFailed, StoreUnavailable, UsageError

_ATTEMPTS, _PATIENCE_S = 5, 10.0


def read_symbols(path: str, settings: Settings | None = None) -> list[str]:
    """Read a file of symbols: separated by blanks, commas or lines with `#` comments, or a column of a CSV file.

    No path means no symbols; see `domain.watchlist`.

    Args:
        path: the path of a file, or the URL of an object in the data bucket.
        settings: where the data bucket is; those of the environment by default.

    Raises:
        UsageError: the file cannot be read, is empty, or has a header and is not CSV.
        StoreUnavailable: try again.
    """
    if not path:
        return []
    words = watchlist.symbols_in(read_text(path, "symbols", settings), path)
    if not words:
        raise UsageError(f"{path} holds no symbol: one a line was needed.")
    return words


@checks_arguments
@dataclass(frozen=True)
class WatchlistFile:
    """The file of the watchlist, which people may edit as well.

    Attributes:
        path: the path of the file, or the URL of an object in the data bucket.
        settings: where the data bucket is.
    """

    path: str
    settings: Settings

    def symbols(self) -> list[str]:
        """The symbols in it, in upper case; none if there is no such file yet.

        Raises:
            UsageError: the file cannot be read, or holds a word that is no symbol.
            StoreUnavailable: try again.
        """
        return parse_symbols(watchlist.symbols_in(self._read()[0], self.path))

    def add(self, symbols: Symbols) -> list[str]:
        """Add symbols at its end, and return those that it lacked; everything else in it stays as it is.

        Raises:
            UsageError: the file is a CSV file, or cannot be read or written.
            StoreUnavailable: try again.
        """
        return self._change(symbols, watchlist.with_symbols)

    def remove(self, symbols: Symbols) -> list[str]:
        """Remove symbols, and return those that were in it; comments stay.

        Raises:
            UsageError, StoreUnavailable: as `add`.
        """
        return self._change(symbols, watchlist.without_symbols)

    def _change(self, symbols: Symbols, change: Callable[[str, Sequence[str]], str]) -> list[str]:
        wanted = parse_symbols(symbols)
        with self._alone():
            return self._changed(wanted, change)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other commands of this machine from changing the list meanwhile."""
        config.private_folder(self.settings.home_folder)
        try:
            with FileLock(self.settings.home_folder / "watchlist.lock", timeout=_PATIENCE_S, mode=0o600):
                yield
        except Timeout as error:
            raise StoreUnavailable(f"Another command has been changing {self.path}. Try again.") from error

    def _changed(self, wanted: Sequence[str], change: Callable[[str, Sequence[str]], str]) -> list[str]:
        for _ in range(_ATTEMPTS):
            text, generation = self._read()
            if watchlist.is_table(text):
                raise UsageError(
                    f"{self.path} is a CSV file with a header, and a list of symbols was needed to change it. Edit the "
                    "file, or set TICKERCAST_WATCHLIST to another one and import this one: tickercast watchlist import "
                    f"{self.path}."
                )
            made = change(text, wanted)
            if made == text:
                return []
            with suppress(PreconditionFailed):  # changed in between
                self._write(made, generation)
                before, after = ({word.upper() for word in watchlist.symbols_in(one)} for one in (text, made))
                return [symbol for symbol in wanted if (symbol in before) != (symbol in after)]
        raise StoreUnavailable(f"{self.path} was replaced by other writers {_ATTEMPTS} times. Try again.")

    def _read(self) -> tuple[str, str]:
        if "://" not in self.path and not Path(self.path).exists():
            return "", ""
        return _read(self.path, "symbols", self.settings, may_lack=True)

    def _write(self, text: str, generation: str) -> None:
        if "://" in self.path:
            store = engines.object_store(self.settings, announce=False)
            store.write(_name(self.path, self.settings), text.encode(), if_generation=generation)
            return
        path = Path(self.path).resolve()  # a link stays one
        try:
            config.private_folder(path.parent)
            disk.write(path, text.encode())
        except OSError as error:
            raise disk.fault(str(path), error, UsageError) from error


def read_text(path: str, what: str, settings: Settings | None = None) -> str:
    """Read a text file, without its byte order mark.

    Args:
        path: the path of a file, or the URL of an object in the data bucket.
        what: the content of the file, for errors.
        settings: where the data bucket is; those of the environment by default.

    Raises:
        UsageError: the file cannot be read.
        StoreUnavailable: try again.
    """
    return _read(path, what, settings or config.load())[0]


def _read(path: str, what: str, settings: Settings, *, may_lack: bool = False) -> tuple[str, str]:
    """The text of a file, and its generation if it is an object."""
    generation = ""
    try:
        if "://" not in path:
            text = Path(path).read_text(encoding="utf-8-sig")
        else:
            name, store = _name(path, settings), engines.object_store(settings, announce=False)
            generation = store.generation(name)
            if not generation and may_lack:
                return "", ""
            text = store.read(name, generation=generation or None).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise UsageError(f"{path} cannot be read: {reason}. A text file of {what} was needed; name one.") from error
    except ObjectNotFound as error:
        raise UsageError(
            f"There is no {path}: a text file of {what} was needed. Write it there, or name another."
        ) from error
    if "\0" in text:
        raise UsageError(f"{path} cannot be read: it has zero bytes in it. A text file of {what} was needed; name one.")
    return text, generation


def _name(url: str, settings: Settings) -> str:
    bucket = f"{settings.bucket.partition('?')[0].rstrip('/')}/"
    if not url.startswith(bucket):
        raise UsageError(f"{url} is not in the data bucket: {bucket}NAME or the path of a file was needed. Correct it.")
    return url.removeprefix(bucket)
