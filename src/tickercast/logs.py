"""Log lines: in the fields of Cloud Logging, one JSON object a line, on standard output; or as text.

The fields of the event at hand are set once, and every line inside the block carries them:

    with logs.fields(object="ohlc/2023-07-22/MSFT.csv", generation=7):
        log.warning("…")
"""

import json
import logging
import re
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from tickercast.plain import printable, without_secrets

TRACE = "logging.googleapis.com/trace"
"""The field by which Cloud Logging groups the lines of a request."""

_FIELDS: ContextVar[Mapping[str, object]] = ContextVar("tickercast_log_fields")
_TRACE_HEADERS = {
    "traceparent": re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-"),
    "x-cloud-trace-context": re.compile(r"([0-9a-f]{32})(?:/|;|$)"),
}


def set_up(project: str, *, as_json: bool = True) -> None:
    """Write the lines of this package, unless the process has set up its own logging.

    The command line does: its standard output is for results.

    Args:
        project: the Google Cloud project whose traces the lines belong to, or empty.
        as_json: write JSON to standard output; otherwise text to standard error.
    """
    log = logging.getLogger("tickercast")
    if log.handlers:
        return
    handler = logging.StreamHandler(sys.stdout if as_json else sys.stderr)
    handler.setFormatter(JsonFormatter(project) if as_json else TextFormatter())
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False


WAITING = "tickercast.waiting"
"""The logger of what an engine waits for."""

MIGRATION = "tickercast.migration"
"""The logger of what is done to a warehouse of another release, or answered from one; commands print its lines."""

FUNCTION = "tickercast.function"
"""The logger of what becomes of each event; people who run the function in their own process see its warnings alone."""

Show = Callable[[str], None]
"""Shows people what is waited for; an empty sentence says that it is over."""

_SHOWN: list[Show] = []
_OF_THREAD = threading.local()


def waiting(sentence: str, show: Show | None = None) -> None:
    """Say what is waited for, and how long at most.

    Args:
        sentence: the reason for the wait; empty once it is over.
        show: shows the sentence; by default the display of this thread.
    """
    if sentence:
        logging.getLogger(WAITING).info("%s", sentence)
    (show or _shown())(sentence)


@contextmanager
def waiting_for(sentence: str) -> Iterator[None]:
    """Say what is waited for if the block takes longer than a moment."""
    show, over, started = _shown(), threading.Event(), time.monotonic()

    def tell() -> None:
        if not over.wait(1.0):
            waiting(sentence, show)
        while not over.wait(1.0):
            show(f"{sentence} ({time.monotonic() - started:.0f} s)")

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield
    finally:
        over.set()
        teller.join()
        waiting("")


@contextmanager
def showing(show: Show, *, in_this_thread: bool = False) -> Iterator[None]:
    """Show people inside the block what is waited for, in place of who showed it before.

    Args:
        show: shows it.
        in_this_thread: whether to show only what is waited for in this thread.
    """
    if in_this_thread:
        _OF_THREAD.show = show
        try:
            yield
        finally:
            del _OF_THREAD.show
        return
    before = list(_SHOWN)
    _SHOWN[:] = [show]
    try:
        yield
    finally:
        _SHOWN[:] = before


def _shown() -> Show:
    last = _SHOWN[-1] if _SHOWN else lambda sentence: None
    found: Show = getattr(_OF_THREAD, "show", last)
    return found


@contextmanager
def fields(**known: object) -> Iterator[None]:
    """Add fields to every line that is logged inside the block, in this thread."""
    token = _FIELDS.set({**_FIELDS.get({}), **known})
    try:
        yield
    finally:
        _FIELDS.reset(token)


def kept(error: BaseException) -> str:
    """Keep the traceback of an error that nobody expected in a file, and say where."""
    try:
        with tempfile.NamedTemporaryFile("w", prefix="tickercast-", suffix=".log", delete=False) as file:
            file.write(without_secrets("".join(traceback.format_exception(error))))
    except OSError as fault:
        return f"The details could not be written to a file: {fault}."
    return f"The details are in {file.name}."


def trace_id(headers: Iterable[tuple[str, str]]) -> str:
    """The trace that a request belongs to; empty if its headers name none.

    >>> trace_id([("Traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")])
    '4bf92f3577b34da6a3ce929d0e0e4736'
    >>> trace_id([("Traceparent", "none")])
    ''
    """
    known = {name.lower(): value for name, value in headers}
    found = (pattern.match(known.get(name, "")) for name, pattern in _TRACE_HEADERS.items())
    return next((match[1] for match in found if match), "")


class TextFormatter(logging.Formatter):
    """A line of text with its time, its severity and, where an event is at hand, the name of its object."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        """Format one line, without what may follow it: a traceback."""
        name = _FIELDS.get({}).get("object")
        said = " ".join((f"{name}: {record.message}" if name else record.message).splitlines())
        record.message = without_secrets(printable(said))
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:  # noqa: N802
        """Format a traceback."""
        return without_secrets(super().formatException(ei))


class JsonFormatter(logging.Formatter):
    """One JSON object a line, with `severity`, `message`, `time` and the fields of the event at hand.

    Args:
        project: the Google Cloud project that the field `trace` belongs to; if empty, the field stays as it is.
    """

    def __init__(self, project: str) -> None:
        super().__init__()
        self._project = project

    def format(self, record: logging.LogRecord) -> str:
        """Format one line; a traceback becomes part of the message, where Error Reporting looks for it."""
        message = record.getMessage()
        if record.exc_info:
            message = f"{message}\n{self.formatException(record.exc_info)}"
        message = without_secrets(printable(message))
        known = dict(_FIELDS.get({}))
        if self._project and known.get("trace"):
            known[TRACE] = f"projects/{self._project}/traces/{known.pop('trace')}"
        line = {
            "severity": record.levelname,
            "message": message,
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "logger": record.name,
            **{
                name: printable(value) if isinstance(value, str) else value
                for name, value in known.items()
                if value not in (None, "")
            },
        }
        return json.dumps(line, ensure_ascii=False, default=str)
