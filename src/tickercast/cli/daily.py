"""The command of the day: fetch, forecast, score, retrain and alert, without Prefect."""

import functools
import logging
import time
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tickercast.cli import completion
from tickercast.cli.commands import Commands
from tickercast.cli.terminal import (
    SOME_FAILED,
    Source,
    SymbolsFile,
    bar,
    complain,
    day_of,
    log_written,
    open_app,
    print_log,
    say,
    some_symbols_of,
)

if TYPE_CHECKING:
    from tickercast.jobs.daily.run_day import Day

__all__ = [
    "AsOf",
    "Schedule",
    "Serve",
    "Source",
    "SymbolsFile",
    "Watchlist",
    "day_of",
    "print_day",
    "print_tasks",
    "some_symbols_of",
    "telling",
]

app = Commands()

Watchlist = Annotated[
    list[str] | None,
    typer.Argument(
        autocompletion=completion.symbols,
        metavar="[TICKER]...",
        help="The watchlist.",
        show_default="TICKERCAST_WATCHLIST",
    ),
]
AsOf = Annotated[
    str, typer.Option(metavar="DATE", help="The last date to forecast from, in UTC.", show_default="today")
]

Serve = Annotated[bool, typer.Option("--serve", help="Run every trading day, under a Prefect server.")]
Schedule = Annotated[
    str, typer.Option("--cron", metavar="CRON", help="The schedule, in the time zone of the first symbol's exchange.")
]


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
    """Run the day: fetch, forecast, score, retrain, alert.

    It checks drift, too, and promotes what is better. A day that was interrupted goes on where it was; a day that is
    done finds nothing left to do.
    """
    symbols = some_symbols_of(tickers or [], symbols_file)
    print_tasks()
    service = open_app()
    with bar("running the day", total=1) as progress, log_written(service):
        done = service.run_day(
            symbols,
            day_of(as_of) if as_of else None,
            source=source,
            wrap=functools.partial(telling, on_start=progress.say),
            patience=timedelta(minutes=wait),
            on_progress=lambda epochs, total: progress.set(epochs, total, "training"),
        )
    print_day(done)


def telling(job: Callable[..., Any], on_start: Callable[[str], None] = lambda name: None) -> Callable[..., Any]:
    """The same job, with a log line on what it did.

    Args:
        job: a job of the day.
        on_start: called with its name when it begins.
    """
    from tickercast.show.day import task_line

    @functools.wraps(job)
    def told(*args: Any, **kwargs: Any) -> Any:
        on_start(job.__name__.replace("_", " "))
        started = time.monotonic()
        try:
            result = job(*args, **kwargs)
        except Exception as error:
            _log.error("%s: %s", job.__name__, error)
            raise
        _log.info("%s", task_line(job.__name__, result, time.monotonic() - started))
        return result

    return told


def print_tasks(*, on_terminal: bool = False) -> None:
    """Print the line of each task on standard error.

    Args:
        on_terminal: whether to do so on a terminal too, where no bar shows how far the day is.
    """
    _log.setLevel(logging.INFO)
    _log.propagate = False
    if not _log.handlers:
        print_log(_log, on_terminal=on_terminal)


_log = logging.getLogger("tickercast.day")


def print_day(day: "Day") -> None:
    """Print the results of a day, and exit with 1 if something could not be done."""
    from tickercast.show.day import day_lines, undone_line

    for line in day_lines(day):
        say(line)
    for name, reason in day.failures.items():
        complain(f"{name}: {reason}")
    if day.undone:
        complain(undone_line(day.undone))
    in_part = " in part" if day.failures or day.undone else ""
    say(f"{day.market.day} is done{in_part}{': no forecast was left to make' if day.idle else ''}.")
    if in_part:
        raise typer.Exit(SOME_FAILED)
