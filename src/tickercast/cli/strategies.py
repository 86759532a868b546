"""Commands that choose a universe, and show and backtest strategies."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tickercast.cli import completion, outputs
from tickercast.cli.commands import Commands
from tickercast.cli.terminal import (
    DAILY_SOURCES,
    HOURLY_SOURCES,
    SymbolsFile,
    bar,
    day_of,
    moment_of,
    open_app,
    print_data,
    print_table,
    say,
    some_symbols_of,
    step_of,
)
from tickercast.errors import UsageError

if TYPE_CHECKING:
    from tickercast.domain.trading.strategy import Variant

app = Commands()
strategy = Commands(no_args_is_help=True, help="Strategies on paper: what they want, and what they would earn.")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]
Names = Annotated[
    list[str] | None,
    typer.Argument(metavar="NAME...", help="Strategies, as NAME or NAME:parameter=value,parameter=value."),
]
FromFile = Annotated[
    list[str] | None,
    typer.Option(metavar="FILE.py:FUNCTION", help="A strategy of your own, which is run as it is; may be repeated."),
]
Symbols = Annotated[
    str, typer.Option(metavar="TICKERS", help="Symbols, separated by commas.", show_default="all that there are")
]
UniverseFile = Annotated[
    str, typer.Option("--universe", metavar="FILE", help="A CSV file of symbol,from,to: who was a member when.")
]
EveryBar = Annotated[str, typer.Option("--every", metavar="1d|1h", help="The bars: of sessions, or of hours, UTC.")]


@app.command(epilog="Example: tickercast universe --from members.csv --top 20 --by return --over 60 --as-of 2022-12-30")
def universe(
    members: Annotated[str, typer.Option("--from", metavar="FILE", help="A CSV file of symbol, and perhaps from,to.")],
    top: Annotated[int, typer.Option(metavar="N", min=1, max=10_000, help="How many symbols to take.")] = 20,
    by: Annotated[
        str, typer.Option(metavar="return|volatility|volume|skill", help="What they are ranked by, highest first.")
    ] = "return",
    over: Annotated[int, typer.Option(metavar="N", min=2, max=2_500, help="The sessions that are looked at.")] = 60,
    as_of: Annotated[
        str, typer.Option(metavar="DATE", help="The last date whose bars may be used.", show_default="today")
    ] = "",
    keep: Annotated[
        str, typer.Option(metavar="FILE", help="A CSV file of symbol,shares: what is held stays on the list.")
    ] = "",
    source: Annotated[
        str,
        typer.Option(
            "--source",
            metavar="SOURCE",
            help=f"{DAILY_SOURCES}; or stored: the bars of the warehouse.",
            show_default="TICKERCAST_SOURCE, else yahoo",
            autocompletion=completion.sources,
        ),
    ] = "",
    out: Annotated[str, typer.Option(metavar="FILE", help="Where the watchlist is written.")] = "watchlist.txt",
    as_json: AsJson = False,
) -> None:
    """Choose a watchlist from members by a rule.

    It is written to a file that the daily run takes, and stored in the table `universes`. Uses no bar after --as-of.
    """
    from tickercast.domain.trading.universe import RULES
    from tickercast.show import strategies as show

    if by not in RULES:
        raise UsageError(f"--by is {by[:20]!r}: {', '.join(RULES)} was needed.")
    _spare(out)
    outputs.check_file("--out", out)
    with bar("ranking members"):
        found = open_app().universe(
            members, day_of(as_of) if as_of else None, by=by, over=over, top=top, keep=keep, source=source
        )
    outputs.write_file(out, show.watchlist(found).encode())
    if as_json:
        print_data(json.dumps(show.universe_json(found), indent=2) + "\n")
        return
    print_table(show.universe_table(found), soft_wrap=True)
    say(
        f"written: {out}. The daily run takes it: tickercast daily --symbols-file {out}, or TICKERCAST_WATCHLIST={out}."
    )


@strategy.command(name="list", epilog="Example: tickercast strategy list")
def listed() -> None:
    """List the strategies that are built in, with their parameters."""
    from tickercast.show import strategies as show

    print_table(show.strategies_table(), soft_wrap=True)


@strategy.command(epilog="Example: tickercast strategy signals volatility-target interval-momentum --symbols MSFT,AAPL")
def signals(
    names: Names = None,
    from_file: FromFile = None,
    symbols: Symbols = "",
    symbols_file: SymbolsFile = "",
    members: UniverseFile = "",
    as_of: Annotated[
        str,
        typer.Option(metavar="DATE", help="The last cutoff of a forecast; hourly: a moment, UTC.", show_default="now"),
    ] = "",
    every: EveryBar = "1d",
    as_json: AsJson = False,
) -> None:
    """Show what strategies want to hold now, and why.

    NAME or --from-file is required.
    """
    from tickercast.domain.frequency import frequency_of
    from tickercast.show import strategies as show

    variants, service, frequency = _variants(names, from_file), open_app(), frequency_of(every)
    last = moment_of(as_of, frequency) if as_of else None
    until = last.replace(tzinfo=UTC) if isinstance(last, datetime) else None
    found = service.strategy_targets(
        variants,
        some_symbols_of(symbols.replace(",", " ").split(), symbols_file),
        until.date() if until else last,
        frequency=frequency,
        members=service.members(members) if members else None,
        until=until,
    )
    if as_json:
        print_data(json.dumps(show.targets_json(found), indent=2) + "\n")
    else:
        print_table(show.targets_table(found), soft_wrap=True)


@strategy.command(
    epilog="Example: tickercast strategy backtest volatility-target --from 2011-01-03 --to 2012-06-28 --source sample"
)
def backtest(
    first: Annotated[str, typer.Option("--from", metavar="DATE", help="The first date of a decision.")],
    last: Annotated[str, typer.Option("--to", metavar="DATE", help="The last date.")],
    names: Names = None,
    from_file: FromFile = None,
    symbols: Symbols = "",
    symbols_file: SymbolsFile = "",
    members: UniverseFile = "",
    source: Annotated[
        str,
        typer.Option(
            "--source",
            metavar="SOURCE",
            help=f"Walk forward through these bars: {DAILY_SOURCES}; hourly: {HOURLY_SOURCES}; or stored: the bars of "
            "the warehouse.",
            autocompletion=completion.sources,
            show_default="none: stored forecasts are read",
        ),
    ] = "",
    every: Annotated[
        str, typer.Option(metavar="N|Nh", help="Decide after every N-th session, or every N-th hour of hourly bars.")
    ] = "1",
    fees_bps: Annotated[
        float, typer.Option(metavar="BPS", min=0, max=1000, help="Fees of each trade, in basis points.")
    ] = 10.0,
    slippage_bps: Annotated[
        float,
        typer.Option(metavar="BPS", min=0, max=1000, help="How much worse than the open a fill is, in basis points."),
    ] = 5.0,
    borrow_bps: Annotated[
        float, typer.Option(metavar="BPS", min=0, max=10_000, help="What short positions pay a year, in basis points.")
    ] = 50.0,
    capacity: Annotated[
        float,
        typer.Option(metavar="SHARE", min=0.0001, max=1, help="The largest part of a bar's volume that is filled."),
    ] = 0.01,
    delisting_loss: Annotated[
        float,
        typer.Option(metavar="SHARE", min=0, max=1, help="The part of a long position that is lost when trading ends."),
    ] = 0.3,
    tried: Annotated[
        int, typer.Option(metavar="N", min=0, help="All variants tried so far, if more than are named here.")
    ] = 0,
    out: Annotated[
        str, typer.Option(metavar="FILE", help="Write equity, drawdown and weights by bar to a CSV file.")
    ] = "",
    report: Annotated[
        str, typer.Option(metavar="FILE", help="Write a page with the accounts and their months as HTML.")
    ] = "",
    tearsheet: Annotated[
        str,
        typer.Option(metavar="FILE", help="Write quantstats' page of the first strategy, beside the second, as HTML."),
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Backtest strategies side by side, after costs.

    They decide on a close, and fill at the next open. A sentence for each says whether it has an edge after costs. NAME
    or --from-file is required.
    """
    from tickercast.domain.trading.strategy_backtest import Costs
    from tickercast.show import strategies as show

    begins, ends = day_of(first), day_of(last)
    if begins >= ends:
        raise UsageError(f"--from {begins} is not before --to {ends}: an earlier date was needed.")
    frequency, step = step_of(every)
    outputs.check_file("--out", out, outputs.TABLE)
    outputs.check_file("--report", report, outputs.PAGE)
    outputs.check_file("--tearsheet", tearsheet, outputs.PAGE)
    variants, service = _variants(names, from_file), open_app()
    with bar("walking forward", total=1) as progress:
        found = service.strategy_backtest(
            variants,
            begins,
            ends,
            symbols=some_symbols_of(symbols.replace(",", " ").split(), symbols_file),
            members=service.members(members) if members else None,
            source=source,
            frequency=frequency,
            step=step,
            costs=Costs(fees_bps, slippage_bps, borrow_bps, capacity, delisting_loss),
            tried=tried,
            on_progress=progress.set,
        )
    if out:
        outputs.write_file(out, show.accounts(found).to_csv(index=False).encode())
    if report:
        outputs.write_file(report, show.page(found).encode())
    if tearsheet:
        outputs.write_file(tearsheet, service.strategy_tearsheet(found).encode())
    if as_json:
        print_data(json.dumps(show.backtest_json(found), indent=2) + "\n")
        return
    print_table(show.backtest_table(found), soft_wrap=True)
    for written in filter(None, (out, report, tearsheet)):
        say(f"written: {written}")


def _variants(names: list[str] | None, from_file: list[str] | None) -> "list[Variant]":
    from tickercast.app import variants_of

    return variants_of(names or [], from_file or [])


def _spare(path: str) -> None:
    """Refuse to replace a file that `universe` has not written."""
    try:
        begins = Path(path).expanduser().read_text(encoding="utf-8", errors="replace")[: len(_FIRST_LINE)]
    except OSError:
        return
    if begins != _FIRST_LINE:
        raise UsageError(
            f"{path} exists, and is no watchlist that tickercast universe has written. Name another file with --out."
        )


_FIRST_LINE = "# top "  # with which a written watchlist begins
