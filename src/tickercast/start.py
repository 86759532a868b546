"""The start of a process: Ctrl-C ends it with one line from here on, also while everything else is imported."""

import atexit
import os
import signal
import sys
import threading
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
    _open_closed_streams()
    from tickercast import cli  # half a second

    try:
        cli.run(argv)
    except SystemExit as ended:
        end_on_interrupt()  # while the process ends
        _leave(int(ended.code or 0))


def _open_closed_streams() -> None:
    """Let what a closed stream would get be dropped; a file that was opened in its place would get it otherwise."""
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is None:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            setattr(sys, name, open(number, mode, closefd=False))  # noqa: SIM115


def _leave(code: int) -> NoReturn:
    """End the process as Python would, except that the interpreter is not taken down.

    A daemon thread, such as that of an engine which has not answered the doctor, may still be in native code; DuckDB's
    aborts the process when it finds no interpreter to come back to.
    """
    if code != INTERRUPTED:
        # Waits for the threads that are no daemons, as multiprocessing does.
        threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)


def _end(number: int, frame: FrameType | None) -> NoReturn:
    os.write(2, b"Interrupted.\n")
    os._exit(INTERRUPTED)
