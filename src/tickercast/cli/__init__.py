"""The command line: argv becomes one job, and the job an exit code. The only place that prints.

Exit codes: 0 all went well, 1 some symbols failed, 2 wrong usage or nothing worked.
"""

import io
import logging
import sys
import tempfile
import traceback
from collections.abc import Sequence
from typing import Annotated, NoReturn

import typer

from tickercast import __version__, config, screen
from tickercast import doctor as doctor_checks
from tickercast.cli import forecasts, looks, models, tables
from tickercast.cli.talk import NOTHING_WORKED, SOME_FAILED, bar, complain, say, terminal
from tickercast.errors import TickercastError

app = typer.Typer(
    rich_markup_mode=None,
    no_args_is_help=True,
    add_completion=False,
)
for group in (forecasts, models, tables, looks):
    app.add_typer(group.app)


def _version(wanted: bool) -> None:
    if wanted:
        say(f"tickercast {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Calibrated forecasts of the next ten trading sessions."""


@app.command(epilog="Example: tickercast doctor")
def doctor() -> None:
    """Say which engines are configured, and whether each answers."""
    with bar("asking the engines"):
        checks = list(doctor_checks.checks(config.load()))
    terminal().print(screen.checks_table(checks))
    if not all(well for *_, well in checks):
        raise typer.Exit(SOME_FAILED)


def run(argv: Sequence[str] | None = None) -> NoReturn:
    """Runs the command line and leaves the process.

    Args:
        argv: the words after the program's name; those of the process where none are given.
    """
    logging.getLogger("tickercast").addHandler(logging.NullHandler())
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that knows no «…» shows a question mark
    try:
        app(argv, prog_name="tickercast")
    except TickercastError as error:
        complain(str(error))
    except OSError as error:
        complain(f"A file or the output cannot be written: {error.strerror}. Check the disk and the rights.")
    except Exception:  # the last resort: a fault of ours must not end in a traceback on the user's screen
        with tempfile.NamedTemporaryFile("w", prefix="tickercast-", suffix=".log", delete=False) as file:
            traceback.print_exc(file=file)
        complain(f"tickercast failed in a way that it should not have. What it knows is in {file.name}.")
    sys.exit(NOTHING_WORKED)
