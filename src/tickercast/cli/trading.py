"""Commands that trade strategies on paper, halt and resume them, and show what they hold."""

import json
from typing import Annotated

import typer

from tickercast.cli.commands import Commands
from tickercast.cli.strategies import AsJson, EveryBar, FromFile, Symbols, UniverseFile
from tickercast.cli.terminal import (
    SymbolsFile,
    bar,
    complain,
    moment_of,
    open_app,
    print_data,
    print_table,
    say,
    some_symbols_of,
)
from tickercast.errors import UsageError

app = Commands(invoke_without_command=True)

Account = Annotated[
    str, typer.Option(metavar="ACCOUNT", help="As tickercast trade status shows it.", show_default="all")
]
Strategy = Annotated[
    str, typer.Option(metavar="NAME", help="A strategy, as NAME or NAME:parameter=value,…", show_default="all")
]


@app.callback(epilog="Example: tickercast trade --strategy volatility-target --symbols MSFT,AAPL --dry-run")
def trade(
    context: typer.Context,
    strategy: Annotated[
        str, typer.Option(metavar="NAME", help="The strategy, as NAME or NAME:parameter=value,parameter=value.")
    ] = "",
    from_file: FromFile = None,
    broker: Annotated[
        str,
        typer.Option(
            metavar="URL",
            help="Where paper is traded: paper:// or paper://ACCOUNT on stored bars, alpaca-paper://, binance-testnet://.",
        ),
    ] = "paper://",
    symbols: Symbols = "",
    symbols_file: SymbolsFile = "",
    members: UniverseFile = "",
    every: EveryBar = "1d",
    bracket: Annotated[
        bool, typer.Option("--bracket", help="Add exits to entries: stop at -2%, filled down to -3%, and take at +40%.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the orders; store and send nothing.")] = False,
    as_of: Annotated[
        str,
        typer.Option(
            metavar="DATE",
            help="Decide after this session, or hour (UTC), on paper:// alone.",
            show_default="the newest",
        ),
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Trade a strategy on paper: order the difference to what it wants.

    --strategy or --from-file is required. An account is reconciled first. A run that was killed, or that runs twice,
    orders nothing twice.
    """
    if context.invoked_subcommand is not None:
        if strategy or from_file:
            word = context.invoked_subcommand
            raise UsageError(
                f"--strategy stands before {word}, and was needed behind it. Run: tickercast trade {word} --strategy "
                f"{strategy or 'NAME'}."
            )
        return
    from tickercast.app import variants_of
    from tickercast.domain.frequency import frequency_of
    from tickercast.show import trading as show

    found = variants_of([strategy] if strategy else [], from_file or [])
    if len(found) != 1:
        raise UsageError(
            "Several strategies were named: one was needed, in an account of its own. Run one after another."
        )
    service, frequency = open_app(), frequency_of(every)
    with bar("trading on paper"):
        done = service.trade(
            found[0],
            broker,
            some_symbols_of(symbols.replace(",", " ").split(), symbols_file),
            frequency=frequency,
            members=service.members(members) if members else None,
            bracket=bracket,
            dry=dry_run,
            as_of=moment_of(as_of, frequency) if as_of else None,
        )
    if as_json:
        print_data(json.dumps(show.traded_json(done), indent=2) + "\n")
    else:
        print_table(show.traded_table(done), soft_wrap=True)
    if done.halt is not None:
        raise typer.Exit(1)


@app.command(epilog="Example: tickercast trade halt --strategy volatility-target")
def halt(strategy: Strategy = "", account: Account = "") -> None:
    """Halt trading at once, and take open orders back.

    Positions stay, with the exits of their brackets. Whatever runs now sends no further order.
    """
    cancelled = open_app().halt_trading(account=account, strategy=strategy)
    say(f"halted: {strategy or 'every strategy'} in {account or 'every account'}")
    for name, became in cancelled.items():
        say(f"{name}: {became}")


@app.command(epilog="Example: tickercast trade resume --strategy volatility-target")
def resume(
    strategy: Strategy = "",
    account: Account = "",
    adopt: Annotated[
        bool, typer.Option("--adopt", help="Take the venue's positions as they are, where they differ from the fills.")
    ] = False,
) -> None:
    """Resume trading; the stop is measured from now."""
    adopted = open_app().resume_trading(account=account, strategy=strategy, adopt=adopt)
    for name, positions in adopted.items():
        for symbol, change in positions.changes.items():
            say(f"{name}: {change:+f} {symbol} adopted")
        if positions.taken_over:
            say(f"{name}: {', '.join(positions.taken_over)} taken over from another strategy")
        if positions.left:
            complain(
                f"{name}: nothing was adopted of {', '.join(positions.left)}, where an order is open. Run the same "
                "command again when it has ended."
            )
    say(f"resumed: {strategy or 'every strategy'} in {account or 'every account'}")


@app.command(epilog="Example: tickercast trade status")
def status(as_json: AsJson = False) -> None:
    """Show accounts, positions, open orders and halts."""
    from tickercast.show import trading as show

    found = open_app().trading_status()
    if as_json:
        print_data(json.dumps(show.status_json(found), indent=2) + "\n")
    else:
        print_table(show.status_table(found), soft_wrap=True)
