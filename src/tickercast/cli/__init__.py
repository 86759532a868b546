"""The command line: argv becomes one job, and the job an exit code. The only place that prints.

Exit codes: 0 all went well, 1 some symbols failed, 2 wrong usage or nothing worked.
"""

from collections.abc import Sequence
from typing import Annotated, NoReturn

import typer

from tickercast import __version__, config
from tickercast.cli import alerting, forecasts, models
from tickercast.cli import dashboard as looks
from tickercast.cli import operations as drift
from tickercast.cli import warehouse as tables
from tickercast.cli.terminal import SOME_FAILED, bar, guarded, say, terminal
from tickercast.jobs.operations import doctor as doctor_checks
from tickercast.show import tables as screen

app = typer.Typer(
    rich_markup_mode=None,
    no_args_is_help=True,
    epilog="Example: tickercast forecast MSFT 2023-07-22",
)
for group in (forecasts, models, tables, drift, alerting, looks):
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


def run(argv: Sequence[str] | None = None, door: typer.Typer = app, name: str = "tickercast") -> NoReturn:
    """Runs the command line, or another door's, and leaves the process.

    Args:
        argv: the words after the program's name; those of the process where none are given.
        door: what reads them.
        name: the program's, as its help shows it.
    """
    guarded(lambda: door(argv, prog_name=name))
