"""Commands about results days."""

from typing import Annotated

import typer

from tickercast.cli import completion
from tickercast.cli.commands import Commands
from tickercast.cli.forecasts import NoWait, Wait, complain_of, finish_sent
from tickercast.cli.terminal import NOTHING_WORKED, SOME_FAILED, SymbolsFile, bar, open_app, print_table, say
from tickercast.domain.symbols import parse_symbols
from tickercast.errors import UsageError

app = Commands(no_args_is_help=True, help="Fetch and list the days on which companies report.")

Symbols = Annotated[
    list[str] | None,
    typer.Argument(
        autocompletion=completion.symbols, metavar="TICKER...", help="Symbols as Yahoo spells them.", show_default=False
    ),
]
SomeSymbols = Annotated[
    list[str] | None,
    typer.Argument(autocompletion=completion.symbols, metavar="[TICKER]...", help="Only these.", show_default="all"),
]


@app.command("fetch", epilog="Example: tickercast events fetch MSFT MMM --source sec")
def events_fetch(
    words: Symbols = None,
    source: Annotated[
        str,
        typer.Option(
            metavar="NAME|FILE",
            help="sec (needs TICKERCAST_SEC_USER_AGENT), yahoo, or a CSV file with symbol and date.",
            show_default="TICKERCAST_EVENTS_SOURCE",
        ),
    ] = "",
    since: Annotated[
        str, typer.Option(metavar="DATE", help="The first date wanted.", show_default="three years ago; all of a file")
    ] = "",
    symbols_file: SymbolsFile = "",
    wait: Wait = 60,
    no_wait: NoWait = False,
) -> None:
    """Ask a source when companies report, and store what is new."""
    from tickercast.app import read_symbols

    symbols = parse_symbols([*(words or []), *read_symbols(symbols_file)])
    if not symbols:
        raise UsageError("No ticker was given, and one was needed: tickercast events fetch MSFT --source sec.")
    service = open_app()
    with bar("asking for results days", len(symbols) if len(symbols) > 1 else None) as progress:
        fetched = service.fetch_events(symbols, source=source, since=since or None, advance=progress.advance)
    complain_of(fetched.failures)
    if fetched.object:
        finish_sent([(fetched.object, fetched.generation)], service, wait, no_wait=no_wait)
    elif not fetched.failures:
        say("The source knows of no day that is announced, so nothing was sent.")
    if fetched.failures:
        raise typer.Exit(SOME_FAILED if fetched.object else NOTHING_WORKED)


@app.command("list", epilog="Example: tickercast events list MSFT")
def events_list(
    words: SomeSymbols = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, help="The number of lines, latest dates first.")] = 50,
) -> None:
    """List the results days that are stored, or predicted from those."""
    from tickercast.show.tables import events_table

    service = open_app()
    rows, count = service.events(words or [], limit=limit)
    symbols = parse_symbols(words or [])
    if not count:
        of = f" of {', '.join(symbols)}" if symbols else ""
        say(f"No results day{of} is stored: tickercast events fetch {' '.join(symbols) or 'MSFT'} --source sec.")
        return
    print_table(events_table(rows), soft_wrap=True)
    if count > limit:
        say(f"{count - limit} more: --limit {count} shows them.")
    for symbol in symbols:
        for day in service.known_results(symbol).coming[:1]:
            say(f"{symbol}: results expected {day}")
