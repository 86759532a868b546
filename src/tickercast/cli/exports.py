"""The command that writes what is stored into files of other tools."""

from typing import Annotated

import typer

from tickercast.cli import completion, outputs
from tickercast.cli.commands import Commands
from tickercast.cli.terminal import bar, day_of, open_app, say, some_symbols_of

app = Commands()


@app.command(epilog="Example: tickercast export forecasts --parquet forecasts.parquet --from 2023-01-01 --symbol MSFT")
def export(
    kind: Annotated[
        str,
        typer.Argument(
            metavar="forecasts|prices|scores",
            help="Rows of forecast_history, latest_prices or forecast_scores.",
            autocompletion=completion.exported,
            show_default=False,
        ),
    ],
    parquet: Annotated[str, typer.Option(metavar="FILE", help="The Parquet file to write.", show_default=False)],
    first: Annotated[
        str, typer.Option("--from", metavar="DATE", help="The first cutoff or session.", show_default="the oldest")
    ] = "",
    last: Annotated[
        str, typer.Option("--to", metavar="DATE", help="The last cutoff or session.", show_default="the newest")
    ] = "",
    symbol: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TICKER",
            help="Only this symbol (repeatable).",
            show_default="all",
            autocompletion=completion.symbols,
        ),
    ] = None,
    every: Annotated[str, typer.Option(metavar="1d|1h", help="The frequency of the bars.", show_default="both")] = "",
) -> None:
    """Write forecasts, prices or scores to Parquet."""
    outputs.check_file("--parquet", parquet, outputs.PARQUET)
    service = open_app()
    with bar("reading") as progress:
        done = service.export(
            kind,
            parquet,
            first=day_of(first) if first else None,
            last=day_of(last) if last else None,
            symbols=some_symbols_of(symbol or []),
            frequency=every,
            advance=lambda rows: progress.say(f"{rows:,} rows"),
        )
    say(f"written: {done.path}, {done.rows:,} row{'s' * (done.rows != 1)} of {done.view}")
