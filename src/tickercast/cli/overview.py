"""The commands of the first look: the overview, and the watchlist behind it."""

from collections.abc import Callable, Sequence
from typing import Annotated

import typer

from tickercast.cli import completion
from tickercast.cli.commands import Commands
from tickercast.cli.terminal import (
    SOME_FAILED,
    SymbolsFile,
    bar,
    complain,
    day_of,
    open_app,
    print_data,
    print_table,
    say,
    some_symbols_of,
    symbols_of,
)
from tickercast.errors import UsageError

app = Commands()

Symbols = Annotated[
    list[str],
    typer.Argument(
        metavar="TICKER...", help="Symbols as Yahoo spells them.", autocompletion=completion.symbols, show_default=False
    ),
]
_STATES = ("fresh", "due", "stale", "expired")


@app.command(epilog="Example: tickercast overview --sort -chance_higher")
def overview(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[TICKER]...",
            help="Symbols with stored forecasts.",
            show_default="all with a forecast of the 100 days up to the newest",
            autocompletion=completion.symbols,
        ),
    ] = None,
    symbols_file: SymbolsFile = "",
    as_of: Annotated[
        str,
        typer.Option(
            metavar="DATE",
            help="The last cutoff of the forecasts; their record stays that of today.",
            show_default="the newest stored",
        ),
    ] = "",
    sort: Annotated[
        str,
        typer.Option(
            metavar="COLUMN",
            help="Sort by a column, by its title or its name in --csv; with - before it, the largest first.",
            autocompletion=completion.overview_columns,
        ),
    ] = "symbol",
    state: Annotated[
        str,
        typer.Option(metavar="STATE", help="Only fresh, due, stale or expired ones.", autocompletion=completion.states),
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV and nothing else.")] = False,
) -> None:
    """Show all symbols at a glance, one row each."""
    from tickercast import plain
    from tickercast.domain.frequency import HOURLY
    from tickercast.reading.overview import KEPT_FOR, ordered
    from tickercast.show.overview import overview_frame, overview_json, overview_table

    if as_json and as_csv:
        raise UsageError("--json and --csv were given, and one form was needed. Leave one out.")
    if state and state not in _STATES:
        raise UsageError(f"--state {state[:20]!r} is not known: {', '.join(_STATES)} are. Name one of them.")
    symbols = some_symbols_of(words or [], symbols_file)
    service = open_app()
    with bar("reading"):
        found = service.overview(symbols, day_of(as_of) if as_of else None)
    of = f" of the {KEPT_FOR.days} days up to {as_of}" if as_of else " of days"
    rows = [row for row in ordered(found, sort) if not state or row.state == state]
    shown = [row.symbol for row in rows]
    seen = service.seen_in_training(shown) if rows else ()
    if as_json:
        print_data(overview_json(rows, seen) + "\n")
    elif as_csv:
        print_data(plain.csv(overview_frame(rows, seen)))
    elif rows:
        print_table(overview_table(rows, service.calibrations(shown), as_of, seen))
    elif found:
        say(f"None of {len(found):,} is {state}.")
    elif not symbols and as_of:
        say(f"No forecast{of} is stored. Name a later date, or leave --as-of out.")
    elif not symbols:
        _say_nothing_is_forecast(service.forecast_symbols(HOURLY))
    left_out = [] if symbols or as_of else service.left_out_of_overview(found)
    _name_left_out(left_out, complain if as_json or as_csv else say)
    missing = [symbol for symbol in symbols if symbol not in {row.symbol for row in found}]
    if missing:
        complain(f"No forecast{of} is stored of {', '.join(missing)}. {service.no_days(missing)}")
        raise typer.Exit(SOME_FAILED)


def _say_nothing_is_forecast(hourly: Sequence[str]) -> None:
    """Say that the overview, which is of days, is empty, and where the forecasts of hours are."""
    if hourly:
        say(f"Only hours are forecast yet, of {', '.join(hourly)}: tickercast dashboard shows them.")
        say("The overview shows daily forecasts: tickercast forecast MSFT AAPL.")
    else:
        say("Nothing is forecast yet: tickercast forecast MSFT AAPL.")


def _name_left_out(names: Sequence[str], tell: Callable[[str], None]) -> None:
    """Name the symbols that the overview of all has not."""
    from tickercast.show.overview import left_out_sentence

    if names:
        tell(f"{left_out_sentence(names)} Name them to see them.")


watchlist = Commands(no_args_is_help=True, help="Keep the list of symbols of the daily run.")
app.add_typer(watchlist, name="watchlist", epilog="Example: tickercast watchlist add MSFT AAPL")


@watchlist.command("add", epilog="Example: tickercast watchlist add MSFT,AAPL ETH-USD")
def watchlist_add(words: Symbols) -> None:
    """Add symbols at the end of the list."""
    _added(symbols_of(words))


@watchlist.command("remove", epilog="Example: tickercast watchlist remove AAPL")
def watchlist_remove(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="TICKER...", help="Symbols in the list.", autocompletion=completion.watched, show_default=False
        ),
    ],
) -> None:
    """Remove symbols from the list; comments stay."""
    kept, symbols = open_app().watchlist_file, symbols_of(words)
    gone = kept.remove(symbols)
    for symbol in symbols:
        if symbol not in gone:
            complain(f"{symbol} is not in {kept.path}.")
    say(f"{kept.path}: {len(gone)} removed, {len(kept.symbols())} left")
    if len(gone) < len(symbols):
        raise typer.Exit(SOME_FAILED)


@watchlist.command("list", epilog="Example: tickercast watchlist list")
def watchlist_list() -> None:
    """Print the symbols, one a line."""
    kept = open_app().watchlist_file
    symbols = kept.symbols()
    if not symbols:
        complain(f"{kept.path} has no symbols yet: tickercast watchlist add MSFT AAPL.")
        raise typer.Exit(SOME_FAILED)
    print_data("".join(f"{symbol}\n" for symbol in symbols))


@watchlist.command("import", epilog="Example: tickercast watchlist import holdings.csv")
def watchlist_import(
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="A list of symbols, or a CSV file with a column symbol or ticker.",
            show_default=False,
        ),
    ],
) -> None:
    """Add the symbols of another file."""
    from tickercast.app import read_symbols

    _added(symbols_of(read_symbols(file)))


def _added(symbols: list[str]) -> None:
    kept = open_app().watchlist_file
    added = kept.add(symbols)
    known = len(symbols) - len(added)
    say(f"{kept.path}: {len(added)} added{f', {known} were there' if known else ''}, {len(kept.symbols())} in all")
