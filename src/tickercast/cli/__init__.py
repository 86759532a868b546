"""The command line: a command parses its words, calls one use case of `App`, and prints the result.

Exit codes: 0 everything succeeded, 1 something failed, 2 wrong usage or nothing worked.
"""

import gc
from collections.abc import Callable, Sequence
from typing import Annotated, NoReturn

import typer

from tickercast.cli import (
    answers,
    api,
    daily,
    dashboard,
    directions,
    events,
    forecasts,
    hourly,
    models,
    operations,
    strategies,
    warehouse,
)
from tickercast.cli.terminal import guarded, say
from tickercast.version import __version__

app = typer.Typer(
    rich_markup_mode=None,
    no_args_is_help=True,
    epilog="Example: tickercast forecast MSFT 2023-07-22",
)
for group in (forecasts, answers, directions, models, warehouse, daily, hourly, operations, strategies, dashboard, api):
    app.add_typer(group.app)
app.add_typer(strategies.strategy, name="strategy", epilog="Example: tickercast strategy list")
app.add_typer(events.app, name="events", epilog="Example: tickercast events list MSFT")


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
    """Calibrated forecasts of the next ten trading sessions, or of the next 24 hours of coins."""


def single_command(command: Callable[..., None], example: str) -> typer.Typer:
    """The commands of a program with one command.

    Args:
        command: the command.
        example: the last line of its help.
    """
    made = typer.Typer(rich_markup_mode=None, add_completion=False)
    made.command(epilog=f"Example: {example}")(command)
    return made


def run(argv: Sequence[str] | None = None, door: typer.Typer = app, name: str = "tickercast") -> NoReturn:
    """Run the command line, or another program's, and exit.

    Args:
        argv: the words after the program's name; those of the process by default.
        door: the commands.
        name: the program's name, as its help shows it.
    """
    gc.disable()  # until `open_app` has imported what it needs: that is no garbage, and looking for some takes long
    guarded(lambda: door(argv, prog_name=name))
