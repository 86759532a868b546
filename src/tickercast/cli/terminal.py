"""What all commands share: how they print, show progress, and read dates and lists of symbols."""

import atexit
import io
import logging
import os
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import NoReturn

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn

from tickercast.domain.symbols import parse_symbol
from tickercast.errors import TickercastError, UsageError

SOME_FAILED, NOTHING_WORKED = 1, 2
_TABLE_WIDTH = 140
_FIRST_YEAR = 1900


class Bar:
    """A progress bar on a terminal, and nothing on a pipe."""

    def __init__(self, progress: Progress, label: str, total: int | None) -> None:
        self._progress = progress
        self._task = progress.add_task(label, total=total)

    def advance(self, count: int) -> None:
        """Moves the bar by `count` and shows at once that something happened."""
        self._progress.advance(self._task, count)

    def say(self, label: str) -> None:
        """Changes what the bar is called."""
        self._progress.update(self._task, description=label)

    def set(self, done: float, total: int, label: str | None = None) -> None:
        """Puts the bar where it belongs, and changes what stands before it."""
        self._progress.update(self._task, completed=done, total=total, description=label)


@contextmanager
def bar(label: str, total: int | None = None) -> Iterator[Bar]:
    """Shows that something is under way, and how far if there is a total."""
    columns = [SpinnerColumn(), TextColumn("{task.description}")]
    if total is not None:
        columns += [BarColumn(), MofNCompleteColumn()]
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        yield Bar(progress, label, total)


def terminal(width: int = _TABLE_WIDTH) -> Console:
    """Where tables go; on a terminal that is narrower than they are their lines wrap, and no digit is lost."""
    return Console(width=max(Console().width, width))


def say(sentence: str) -> None:
    """Prints a sentence."""
    terminal().print(sentence, markup=False, highlight=False, soft_wrap=True)


def complain(sentence: str) -> None:
    """Prints a sentence on standard error."""
    Console(stderr=True).print(sentence, style="red", markup=False, highlight=False, soft_wrap=True)


def guarded(command: Callable[[], object]) -> NoReturn:
    """Runs a command to the end of the process: whatever goes wrong in it ends in one sentence."""
    logging.getLogger("tickercast").addHandler(logging.NullHandler())
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that knows no «…» shows a question mark
    atexit.register(_mute)
    try:
        command()
    except TickercastError as error:
        complain(str(error))
    except OSError as error:
        complain(f"A file or the output cannot be written: {error.strerror}. Check the disk and the rights.")
    except Exception:  # the last resort: a fault of ours must not end in a traceback on the user's screen
        with tempfile.NamedTemporaryFile("w", prefix="tickercast-", suffix=".log", delete=False) as file:
            traceback.print_exc(file=file)
        complain(f"tickercast failed in a way that it should not have. What it knows is in {file.name}.")
    sys.exit(NOTHING_WORKED)


def _mute() -> None:
    """When the interpreter is gone, DuckDB's binding may still say which of its functions were left."""
    sys.stderr.flush()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


def day_of(word: str) -> date:
    """Reads a date up to today.

    Raises:
        UsageError: it is none.
    """
    try:
        as_of = date.fromisoformat(word)
    except ValueError as error:
        raise UsageError(
            f"{word[:40]!r} is not a date: one was needed as the last word, written YYYY-MM-DD, "
            "as in tickercast forecast MSFT 2023-07-22."
        ) from error
    if as_of.year < _FIRST_YEAR or as_of > date.today():
        raise UsageError(f"{as_of} is out of range: a date from {_FIRST_YEAR} up to today, {date.today()}, was needed.")
    return as_of


def symbols_of(words: Sequence[str], symbols_file: str = "") -> list[str]:
    """Reads symbols, each once, from words and from a file.

    Raises:
        UsageError: one of them is none, or there is none.
    """
    symbols = list(dict.fromkeys(parse_symbol(word) for word in [*words, *words_of(symbols_file)]))
    if not symbols:
        raise UsageError("No symbol was given, and at least one was needed, such as MSFT.")
    return symbols


def words_of(symbols_file: str) -> list[str]:
    """Reads a file of symbols; no name means none.

    Raises:
        UsageError: it cannot be read, or is empty.
    """
    if not symbols_file:
        return []
    try:
        lines = Path(symbols_file).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{symbols_file} cannot be read as a text file of symbols: {error}. Name another.") from error
    words = [word for line in lines for word in line.partition("#")[0].replace(",", " ").split()]
    if not words:
        raise UsageError(f"{symbols_file} holds no symbol: one a line was needed.")
    return words
