"""The start of a process: Ctrl-C ends it with one line from here on, also while everything else is imported."""

import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

INTERRUPTED = 130


def end_on_interrupt() -> None:
    """End the process with one line on Ctrl-C, unless it was started in the background, where nobody means it."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, _end)


def run(argv: Sequence[str] | None = None) -> NoReturn:
    """Run the command line, and exit.

    Args:
        argv: the words after the program's name; those of the process by default.
    """
    end_on_interrupt()
    from tickercast import cli  # half a second

    try:
        cli.run(argv)
    finally:
        end_on_interrupt()  # while the interpreter ends
        sys.stderr.flush()


def _end(number: int, frame: FrameType | None) -> NoReturn:
    os.write(2, b"Interrupted.\n")
    os._exit(INTERRUPTED)
