"""The command that shows directions of the next hour."""

from typing import Annotated

import typer

from tickercast.cli import completion
from tickercast.cli.commands import Commands
from tickercast.cli.terminal import SOME_FAILED, complain, open_app, print_data, print_table

app = Commands()


@app.command(epilog="Example: tickercast directions BTCUSDT")
def directions(
    tickers: Annotated[
        list[str] | None,
        typer.Argument(
            autocompletion=completion.symbols,
            metavar="[TICKER]...",
            help="Only these, and their record.",
            show_default="all that have one",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the numbers as JSON.")] = False,
) -> None:
    """Show how likely the next hour closes higher, with its record.

    Directions are made with each hourly file if TICKERCAST_MODELS names xgb-direction. Exit code 1: none is stored, or
    none for a named symbol.
    """
    from tickercast.show.directions import directions_json, directions_table

    service, wanted = open_app(), [ticker.upper() for ticker in tickers or ()]
    found = service.directions(wanted)
    if as_json:
        print_data(directions_json(found) + "\n")
    elif len(found.newest):
        print_table(directions_table(found), soft_wrap=True)
    missing = [symbol for symbol in wanted if symbol not in set(found.newest["symbol"])]
    if not missing and len(found.newest):
        return
    known = sorted(set(service.directions().newest["symbol"]))
    if known:
        complain(f"No direction of {', '.join(missing)} is stored; there are {', '.join(known)}.")
    else:
        complain(
            "No direction is stored. Set TICKERCAST_MODELS=champion,xgb-direction where the function runs, then: "
            "tickercast forecast BTCUSDT --every 1h."
        )
    raise typer.Exit(SOME_FAILED)
