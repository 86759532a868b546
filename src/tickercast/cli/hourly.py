"""The command of the hour: refresh the tables when a month begins, forecast, and score what has come true."""

from typing import TYPE_CHECKING, Annotated

import typer

from tickercast.cli.commands import Commands
from tickercast.cli.terminal import (
    HOURLY_SOURCES,
    NOTHING_WORKED,
    SOME_FAILED,
    SymbolsFile,
    bar,
    complain,
    log_written,
    open_app,
    say,
)

if TYPE_CHECKING:
    from tickercast.jobs.hourly.run_hour import Hour

__all__ = ["Coins", "HourlySource", "Serve", "SymbolsFile", "print_hour"]

app = Commands()

Coins = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[SYMBOL]...",
        help="Coins as the exchange spells them, such as BTCUSDT.",
        show_default="TICKERCAST_HOURLY_WATCHLIST",
    ),
]
HourlySource = Annotated[
    str,
    typer.Option(
        "--source",
        metavar="SOURCE",
        help=f"{HOURLY_SOURCES}.",
        show_default="TICKERCAST_SOURCE, else binance",
    ),
]
Serve = Annotated[bool, typer.Option("--serve", help="Run every hour, under a Prefect server.")]


@app.command(epilog="Example: tickercast hourly BTCUSDT ETHUSDT --source simulated")
def hourly(
    symbols: Coins = None,
    source: HourlySource = "",
    symbols_file: SymbolsFile = "",
    wait: Annotated[float, typer.Option(min=0, metavar="SECONDS", help="How long to wait for a remote function.")] = 60,
) -> None:
    """Run the hour: forecast from it, and score what came true.

    Tables are refreshed when a month begins. An hour that was missed is not lost: the next one's file brings its bars,
    and its scores.
    """
    from tickercast.app import read_symbols

    words = [*(symbols or []), *read_symbols(symbols_file)]
    service = open_app()
    with bar("running the hour"), log_written(service):
        done = service.run_hour(words, source=source, wait=wait)
    print_hour(done)


def print_hour(hour: "Hour") -> None:
    """Print the results of an hour, and exit with 1 if something could not be done."""
    from tickercast.domain.text import about
    from tickercast.show.day import traded_lines, undone_line, upkeep_lines

    made = hour.made
    if hour.refreshed and hour.refreshed.versions:
        say(f"tables learned up to {hour.refreshed.through} are served: {', '.join(hour.refreshed.versions)}")
    for line in (*upkeep_lines(hour.upkeep), *traded_lines(hour.traded)):
        say(line)
    if hour.remark:
        complain(f"The tables were not refreshed: {hour.remark}")
    for forecast in made:
        say(f"{forecast.symbol} is forecast from {forecast.end:%Y-%m-%d %H:%M} UTC by {forecast.model_name}")
        if forecast.findings:
            complain(f"{forecast.symbol}: {forecast.findings}")
    for name, reason in hour.failures.items():
        complain(about(name, reason))
    if hour.undone:
        complain(undone_line(hour.undone))
    if hour.failures or hour.undone:
        raise typer.Exit(SOME_FAILED if made else NOTHING_WORKED)
