"""Shared parts of all commands: printing, progress, and the reading of dates and lists of symbols."""

import atexit
import codecs
import gc
import io
import logging
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from tickercast import config, disk, logs
from tickercast.cli import completion
from tickercast.errors import TickercastError, UsageError, behind
from tickercast.plain import printable, without_secrets
from tickercast.show.fitting import spelt

if TYPE_CHECKING:
    from rich.progress import Progress

    from tickercast.app import App
    from tickercast.domain.frequency import Frequency

SOME_FAILED, NOTHING_WORKED, INTERRUPTED = 1, 2, 130

DAILY_SOURCES = "yahoo, sample, simulated, or a CSV/Parquet file or folder"
HOURLY_SOURCES = "binance, simulated, or a file or folder"
"""The sources of bars, as every `--source` names them."""

Source = Annotated[
    str,
    typer.Option(
        "--source",
        metavar="SOURCE",
        help=f"{DAILY_SOURCES}.",
        show_default="TICKERCAST_SOURCE, else yahoo",
        autocompletion=completion.sources,
    ),
]
AnySource = Annotated[
    str,
    typer.Option(
        "--source",
        metavar="SOURCE",
        help=f"{DAILY_SOURCES}; hourly: {HOURLY_SOURCES}.",
        show_default="TICKERCAST_SOURCE, else yahoo; hourly: binance",
        autocompletion=completion.sources,
    ),
]
Every = Annotated[
    str, typer.Option("--every", metavar="1d|1h", help="The bars: of sessions, or of the hours of coins, UTC.")
]
SymbolsFile = Annotated[str, typer.Option(metavar="FILE", help="A file of symbols, one a line.")]

_TABLE_WIDTH = 140
_FIRST_YEAR = 1900


class Terminal(Console):
    """The console of all output: what it prints is data, in which no markup is obeyed and no control character stays.

    Args:
        stderr: whether it is standard error.
        width: the least width of a line, in letters, where it is no terminal.
    """

    def __init__(self, *, stderr: bool = False, width: int = 0) -> None:
        super().__init__(stderr=stderr, markup=False, emoji=False, highlight=False)
        if width > self.width and not self.is_terminal:
            self.width = width

    def print(self, *objects: Any, **options: Any) -> None:
        """Print something, in simpler letters where the terminal has no others."""
        super().print(*(objects if self._has_all_letters else [spelt(each, _SIMPLER) for each in objects]), **options)

    @property
    def _has_all_letters(self) -> bool:
        return self.encoding.startswith("utf")

    def render_str(self, text: str, **options: Any) -> Text:
        """Clean a text before its width counts."""
        return super().render_str(printable(text), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        """Render something, and clean whatever text comes of it."""
        for segment in super().render(renderable, options):
            if "…" in segment.text and not self._has_all_letters:  # where a line was cut: as wide as that
                segment = segment._replace(text=segment.text.replace("…", "."))
            if segment.control or segment.text.isprintable():
                yield segment
            else:
                yield segment._replace(text=printable(segment.text))


class Bar:
    """A progress bar on a terminal, and nothing on a pipe."""

    def __init__(self, progress: "Progress", label: str, total: int | None) -> None:
        self._progress = progress
        self._label = label
        self._task = progress.add_task(label, total=total)

    def advance(self, count: int) -> None:
        """Move the bar by `count`."""
        self._progress.advance(self._task, count)

    def say(self, label: str) -> None:
        """Change the label."""
        self._label = label
        self._progress.update(self._task, description=label)

    def set(self, done: float, total: int, label: str | None = None) -> None:
        """Set the position, and the label if one is given."""
        self._label = label or self._label
        self._progress.update(self._task, completed=done, total=total, description=label)

    def wait(self, sentence: str) -> None:
        """Show what an engine waits for in place of the label, until it says that this is over."""
        self._progress.update(self._task, description=sentence or self._label)


@contextmanager
def bar(label: str, total: int | None = None) -> Iterator[Bar]:
    """Show that something is running, and how far it is if there is a total."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn

    console = Terminal(stderr=True)
    moves = console.is_terminal and not console.is_dumb_terminal
    columns = [
        SpinnerColumn("dots" if console.encoding.startswith("utf") else "line"),
        TextColumn("{task.description}", markup=False),
    ]
    if total is not None:
        columns += [BarColumn(), MofNCompleteColumn()]
    with Progress(*columns, console=console, transient=True, disable=not moves) as progress:
        made = Bar(progress, label, total)
        with logs.showing(made.wait) if moves else nullcontext():
            yield made


def open_app(bucket: str = "") -> "App":
    """The application over the settings of the environment, but for another data bucket if one is named."""
    from tickercast.app import App  # half a second of imports that `--help` does not need

    if not gc.isenabled():
        gc.freeze()
        gc.enable()
    settings = config.changed(config.load(), {"bucket": bucket}) if bucket else config.load()
    if other := settings.other_home:
        complain(
            f"{other} is not used, since the home is {settings.home_folder}: TICKERCAST_HOME={other} would use it."
        )
    return App(settings)


def print_table(table: RenderableType, width: int = _TABLE_WIDTH, *, soft_wrap: bool = False) -> None:
    """Print a table; on a terminal it fits, see `show.fitting`."""
    Terminal(width=width).print(table, soft_wrap=soft_wrap)


def say(sentence: str) -> None:
    """Print a sentence."""
    Terminal(width=_TABLE_WIDTH).print(without_secrets(sentence), soft_wrap=True)


def complain(sentence: str) -> None:
    """Print a sentence on standard error."""
    Terminal(stderr=True).print(without_secrets(sentence), style="red", soft_wrap=True)


class _Lines(logging.Handler):
    """Prints the lines of a log on standard error."""

    def emit(self, record: logging.LogRecord) -> None:
        Terminal(stderr=True).print(without_secrets(self.format(record)), soft_wrap=True)


def print_log(log: logging.Logger, *, on_terminal: bool) -> None:
    """Print the lines of a log on standard error from now on.

    Args:
        log: the log.
        on_terminal: whether to do so on a terminal, too.
    """
    if on_terminal or not sys.stderr.isatty():
        log.addHandler(_Lines())


@contextmanager
def log_written(service: "App") -> Iterator[None]:
    """Write the log of a server or a job inside the block; other commands say all there is to say themselves.

    It is JSON on standard output where the settings or the platform ask for that, and text on standard error elsewhere,
    without the lines of a function in this process on what went well: the command prints that.
    """
    log = logging.getLogger("tickercast")
    log.removeHandler(_SILENCE)
    service.set_up_logs()
    lines = _Lines()
    lines.setFormatter(logs.TextFormatter())
    lines.addFilter(_is_news)
    if not log.handlers:
        log.addHandler(lines)
        log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(lines)


def _is_news(record: logging.LogRecord) -> bool:
    """Whether a line says what the command does not print anyhow."""
    is_routine = record.name == logs.FUNCTION and record.levelno < logging.WARNING
    return not is_routine and record.name not in (logs.WAITING, logs.MIGRATION)


_SILENCE = logging.NullHandler()
"""Keeps Python from printing the lines of a log that nobody has asked for."""


def print_data(text: str) -> None:
    """Print JSON, CSV or SQL, as a program reads it."""
    sys.stdout.write(printable(text))


def say_how_far(sentence: str) -> None:
    """Print what was done before an error; after Ctrl-C it becomes part of the last line."""
    if sys.exc_info()[0] is KeyboardInterrupt:
        _DONE[:] = [sentence]
    else:
        complain(sentence)


_DONE: list[str] = []


def guarded(command: Callable[[], object]) -> NoReturn:
    """Run a command to the end of the process: whatever goes wrong in it ends in one sentence."""
    _set_up_streams()
    config.keep_files_private()
    logging.getLogger("tickercast").addHandler(_SILENCE)
    print_log(logging.getLogger(logs.MIGRATION), on_terminal=True)
    atexit.register(_mute)
    try:
        with logs.showing(_complain_once()):
            code = _code_of(command)
    except KeyboardInterrupt:
        code = INTERRUPTED
    except Exception as error:
        code = _code_after(error)
    if code == INTERRUPTED:
        complain(" ".join(["Interrupted.", *_DONE]))
    sys.exit(code)


def _code_after(error: Exception) -> int:
    """Say what went wrong, unless it was Ctrl-C: an import that it stops may end in an ImportError; the exit code."""
    if any(isinstance(each, KeyboardInterrupt) for each in behind(error)):
        return INTERRUPTED
    if isinstance(error, BrokenPipeError):  # the reader has seen enough
        _drop_output()
        return SOME_FAILED
    if isinstance(error, TickercastError):
        complain(str(error))
    elif isinstance(error, OSError):
        complain(_of_system(error))
    else:  # a fault of our own must not end in a traceback on the user's screen
        complain(f"tickercast failed unexpectedly. {logs.kept(error)}")
    return NOTHING_WORKED


def _code_of(command: Callable[[], object]) -> int:
    """Run a command and write out what it printed, since a full disk shows only then; its exit code."""
    try:
        command()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    else:
        code = 0
    sys.stdout.flush()
    return code


def _of_system(error: OSError) -> str:
    """The sentence for an error that no engine has claimed: of the output, or of a file."""
    try:
        sys.stdout.flush()
    except OSError:
        _drop_output()
    if error.errno is None:  # an error of a connection
        return f"A connection failed: {disk.reason(error)}. Check the network, then try again."
    return str(disk.fault("A file or the output", error, UsageError))


def _drop_output() -> None:
    """Let what cannot be printed go: the interpreter would try once more, and complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _complain_once() -> Callable[[str], None]:
    """Print each sentence on what is waited for once, where no bar shows it."""
    said: set[str] = set()

    def show(sentence: str) -> None:
        told = re.sub(r" \(\d+ s\)$", "", sentence)  # how long it has been waited for changes with every second
        if told and told not in said:
            complain(told)
        said.add(told)

    return show


def _set_up_streams() -> None:
    """Let terminals that lack a letter show a simpler one, and let Ctrl-C interrupt rather than end at once."""
    codecs.register_error("tickercast", _simpler)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="tickercast")
    in_main = threading.current_thread() is threading.main_thread()
    if in_main and signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


_SIMPLER: Mapping[int, str] = str.maketrans(
    {
        "…": "..",
        "─": "-",
        "━": "-",
        "│": "|",
        "–": "-",
        "—": "-",
        "×": "x",
        "≤": "<=",
        "±": "+-",
        "σ": "s",
        "√": "sqrt ",
    }
    | {
        "₅": "5",
        "·": ".",
        "‹": "<",
        "＠": "@",
        "┊": ":",
        "░": ".",
        "▒": ":",
        "◆": "*",
        "\N{REPLACEMENT CHARACTER}": "?",
        "\N{WORD JOINER}": "",
    }
    | dict(zip("▁▂▃▄▅▆▇█", "_.-:=+*#", strict=True))
)
"""Letters of ASCII for every other that is printed."""


def _simpler(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    letters = error.object[error.start : error.end].translate(_SIMPLER)
    return "".join(letter if letter.isascii() else "?" for letter in letters), error.end


def _mute() -> None:
    """Silence DuckDB's binding, which may still report its functions when the interpreter is gone."""
    sys.stderr.flush()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


def today() -> date:
    """Today's date in UTC, whatever the time zone of the machine: that of the flows, which compare with it."""
    return datetime.now(UTC).date()


def date_of(word: str) -> date:
    """Read a date, which may be one to come, or `today`.

    Raises:
        UsageError: the word is not a date.
    """
    if word.lower() == "today":
        return today()
    try:
        return date.fromisoformat(word)
    except ValueError as error:
        raise UsageError(
            f"{word[:40]!r} is not a date: YYYY-MM-DD or today was needed, as in tickercast forecast MSFT 2023-07-22."
        ) from error


def day_of(word: str) -> date:
    """Read a date up to today in UTC, or `today`.

    Raises:
        UsageError: the word is not a date, or out of range.
    """
    as_of, last = date_of(word), today()
    if as_of.year < _FIRST_YEAR or as_of > last:
        raise UsageError(f"{as_of} is out of range: a date from {_FIRST_YEAR} up to today, {last} in UTC, was needed.")
    return as_of


def moment_of(word: str, frequency: "Frequency", now: datetime | None = None) -> date:
    """Read a date up to today, or for hours a moment up to now, UTC and naive.

    Args:
        word: the word, as the user typed it.
        frequency: the frequency of the bars.
        now: the time.

    Raises:
        UsageError: the word is no such date or moment, or out of range.
    """
    if frequency.is_daily:
        return day_of(word)
    from tickercast.domain.frequency import stamp

    newest = frequency.parse(now or datetime.now(UTC))
    as_of = newest if word.lower() == "today" else frequency.parse(word)
    if as_of > newest and frequency.parse(stamp(newest)[:10]) == as_of:  # the date of today means all of it so far
        return newest
    if as_of.year < _FIRST_YEAR or as_of > newest:
        raise UsageError(f"{word[:40]} is out of range: a moment up to {stamp(newest)}, UTC, was needed.")
    return as_of


def step_of(every: str) -> tuple["Frequency", int]:
    """Read how far origins lie apart: `10` sessions, or `6h`.

    Raises:
        UsageError: the word is neither.
    """
    from tickercast.domain.frequency import DAILY, HOURLY

    number = every.removesuffix("h")
    if not (number.isascii() and number.isdigit() and int(number)):
        raise UsageError(
            f"--every is {every[:20]!r}: a number of sessions, such as 10, or of hours, such as 1h, was needed."
        )
    return HOURLY if every.endswith("h") else DAILY, int(number)


def split(words: Sequence[str]) -> list[str]:
    """The words between blanks and commas.

    >>> split(["MSFT,AAPL", "NVDA,", "IBM"])
    ['MSFT', 'AAPL', 'NVDA', 'IBM']
    """
    return [part for word in words for part in word.split(",") if part]


def symbols_of(words: Sequence[str], symbols_file: str = "") -> list[str]:
    """Read symbols, each once, from words, also with commas between them, and from a file.

    Raises:
        UsageError: one of them is not a symbol, or there are none.
    """
    from tickercast.app import read_symbols
    from tickercast.domain.symbols import parse_symbols

    symbols = parse_symbols([*split(words), *read_symbols(symbols_file)])
    if not symbols:
        raise UsageError("No symbol was given, and at least one was needed, such as MSFT.")
    return symbols


def some_symbols_of(words: Sequence[str], symbols_file: str = "") -> list[str]:
    """Read symbols as `symbols_of` does; there may be none."""
    return symbols_of(words, symbols_file) if words or symbols_file else []
