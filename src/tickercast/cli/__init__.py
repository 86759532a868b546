"""The command line: a command parses its words, calls one use case of `App`, and prints the result.

Exit codes: 0 everything succeeded, 1 something failed, 2 wrong usage or nothing worked.
"""

import gc
from collections.abc import Callable, Sequence
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from tickercast.cli import (
    answers,
    api,
    daily,
    dashboard,
    directions,
    events,
    exports,
    forecasts,
    hourly,
    models,
    operations,
    overview,
    strategies,
    trading,
    warehouse,
)
from tickercast.cli.commands import Commands
from tickercast.cli.terminal import guarded, say
from tickercast.version import __version__

SECTIONS = {
    "Forecasts": "forecast overview watchlist report odds paths portfolio directions",
    "Files": "upload watch ingestions replay quarantine events export",
    "Every day": "daily hourly digest alerts drift calibration",
    "On paper": "universe strategy trade",
    "Models": "train tune backtest promote models publish rollback",
    "Service": "dashboard serve tokens query sql provision copy compact costs doctor",
}
"""The commands, as the help groups them."""


class _Grouped(TyperGroup):
    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command that is named; a backfill is none, but a flow."""
        if args[0] == "backfill":
            ctx.fail("No such command 'backfill'. A backfill is a flow: python flows/backfill.py --help.")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the commands by section, each with the first sentence of its help."""
        for title, names in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl(
                    [(name, self.commands[name].get_short_help_str(formatter.width)) for name in names.split()],
                    col_max=_NAME_WIDTH,
                )


_NAME_WIDTH = 12
_HELP = {"help_option_names": ["-h", "--help"]}

app = Commands(
    cls=_Grouped,
    context_settings=_HELP,
    no_args_is_help=True,
    epilog="Example: tickercast forecast MSFT 2023-07-22",
)
for group in (
    forecasts,
    overview,
    exports,
    answers,
    directions,
    models,
    warehouse,
    daily,
    hourly,
    operations,
    strategies,
    dashboard,
    api,
):
    app.add_typer(group.app)
app.add_typer(strategies.strategy, name="strategy", epilog="Example: tickercast strategy list")
app.add_typer(
    trading.app,
    name="trade",
    epilog="Example: tickercast trade --strategy volatility-target --symbols MSFT,AAPL --dry-run",
)
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
    made = Commands(add_completion=False, context_settings=_HELP)
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
