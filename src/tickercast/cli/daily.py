"""The command of the day: fetch, forecast, score, retrain and alert, without Prefect."""

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from tickercast.cli.terminal import (
    SOME_FAILED,
    Source,
    SymbolsFile,
    bar,
    complain,
    day_of,
    open_app,
    say,
    some_symbols_of,
)

if TYPE_CHECKING:
    from tickercast.jobs.daily.run_day import Day

__all__ = ["AsOf", "Schedule", "Serve", "Source", "SymbolsFile", "Watchlist", "day_of", "print_day", "some_symbols_of"]

app = typer.Typer(rich_markup_mode=None)

Watchlist = Annotated[
    list[str] | None,
    typer.Argument(metavar="[TICKER]...", help="The watchlist.", show_default="TICKERCAST_WATCHLIST"),
]
AsOf = Annotated[str, typer.Option(metavar="DATE", help="The last date to forecast from.", show_default="today")]

Serve = Annotated[bool, typer.Option("--serve", help="Run every trading day, under a Prefect server.")]
Schedule = Annotated[str, typer.Option("--cron", help="The schedule, in the time zone of the first symbol's exchange.")]


@app.command(epilog="Example: tickercast daily MSFT AAPL --source sample --as-of 2012-08-15")
def daily(
    tickers: Watchlist = None,
    source: Source = "",
    symbols_file: SymbolsFile = "",
    as_of: AsOf = "",
    wait: Annotated[
        int, typer.Option(metavar="MINUTES", min=0, help="Wait up to that long for another run to end.")
    ] = 0,
) -> None:
    """Run the day: fetch bars, forecast, score, check drift, retrain, promote what is better, and send alerts.

    A day that was interrupted goes on where it was; a day that is done finds nothing left to do.
    """
    symbols = some_symbols_of(tickers or [], symbols_file)
    with bar("running the day", total=1) as progress:
        done = open_app().run_day(
            symbols,
            day_of(as_of) if as_of else None,
            source=source,
            patience=timedelta(minutes=wait),
            on_progress=lambda epochs, total: progress.set(epochs, total, "training"),
        )
    print_day(done)


def print_day(day: "Day") -> None:
    """Print the results of a day, and exit with 1 if something could not be done."""
    from tickercast.show.day import day_lines

    for line in day_lines(day):
        say(line)
    for name, reason in day.failures.items():
        complain(f"{name}: {reason}")
    say(f"{day.market.day} is done{': nothing was left to do' if day.idle else ''}.")
    if day.failures:
        raise typer.Exit(SOME_FAILED)
