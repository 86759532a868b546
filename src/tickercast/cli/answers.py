"""Commands that answer from stored forecasts: odds, paths and the risk of a portfolio."""

import json
from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from tickercast.cli import completion, outputs
from tickercast.cli.commands import Commands
from tickercast.cli.terminal import (
    SymbolsFile,
    bar,
    date_of,
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

AsOf = Annotated[
    str, typer.Option(metavar="DATE", help="The last cutoff of the forecast.", show_default="the newest stored")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]


@app.command(epilog="Example: tickercast odds MSFT 360 --by 2023-08-04")
def odds(
    symbol: Annotated[
        str, typer.Argument(autocompletion=completion.symbols, metavar="TICKER", help="The symbol, as Yahoo spells it.")
    ],
    level: Annotated[float | None, typer.Argument(metavar="[PRICE]", help="The price to end above or touch.")] = None,
    by: Annotated[
        str, typer.Option(metavar="DATE", help="The last date that counts.", show_default="the whole horizon")
    ] = "",
    below: Annotated[bool, typer.Option("--below", help="Ask for prices below PRICE.")] = False,
    between: Annotated[
        tuple[float, float] | None, typer.Option(metavar="LOW HIGH", help="Ask whether prices stay between two.")
    ] = None,
    chance: Annotated[
        float | None,
        typer.Option(metavar="SHARE", help="Ask for the prices that have this chance, such as 0.1."),
    ] = None,
    as_of: AsOf = "",
    as_json: AsJson = False,
) -> None:
    """Show the chance of a price, day by day.

    For each date, three chances: to end beyond PRICE, to close beyond it at least once, to touch it. Give PRICE,
    --between or --chance.
    """
    from tickercast.domain.outlook.odds import check_chance, check_prices
    from tickercast.show import answers

    if sum(each is not None for each in (level, between, chance)) != 1:
        raise UsageError(
            "One question was needed: a PRICE, --between LOW HIGH, or --chance SHARE; as in tickercast odds MSFT 360."
        )
    if below and between:
        raise UsageError("--below and --between were given, and one of them was needed.")
    if chance is not None:
        check_chance(chance)
    check_prices(*(between or ([] if level is None else [level])))
    last = date_of(by) if by else None
    asked = answers.Question(level, between, chance, below=below)
    with bar("drawing paths"):
        service = open_app()
        found = service.odds(symbol, day_of(as_of) if as_of else None)
    ages = [] if as_of else answers.ages_of(found.outlook, service.now())
    steps = _steps(found.outlook.dates, last, symbol)
    rows = answers.odds_rows(found, asked, steps)
    if as_json:
        print_data(json.dumps(answers.odds_json(found, asked, rows, ages), indent=2) + "\n")
    else:
        print_table(answers.odds_table(found, asked, rows, ages), soft_wrap=True)


@app.command(epilog="Example: tickercast paths MSFT AAPL --parquet paths.parquet")
def paths(
    words: Annotated[
        list[str] | None,
        typer.Argument(autocompletion=completion.symbols, metavar="TICKER...", help="Symbols with stored forecasts."),
    ] = None,
    parquet: Annotated[
        str, typer.Option(metavar="FILE", help="Write every path to FILE, a row a symbol and step.")
    ] = "",
    symbols_file: SymbolsFile = "",
    as_of: AsOf = "",
) -> None:
    """Draw joint paths of several symbols.

    Each step has exactly the stored distribution. TICKER or --symbols-file is required.
    """
    from tickercast.show import answers

    symbols = symbols_of(words or [], symbols_file)
    outputs.check_file("--parquet", parquet, outputs.PARQUET)
    with bar("drawing paths"):
        service = open_app()
        found = service.paths(symbols, day_of(as_of) if as_of else None)
    print_table(answers.paths_table(found, [] if as_of else answers.ages_of(found, service.now())))
    if parquet:
        say(f"written: {outputs.write_file(parquet, found.frame().to_parquet(index=False))}")


@app.command(epilog="Example: tickercast portfolio holdings.csv")
def portfolio(
    holdings: Annotated[str, typer.Argument(metavar="FILE", help="A CSV file of symbol,shares.", show_default=False)],
    as_of: AsOf = "",
    record: Annotated[
        bool,
        typer.Option(
            "--record", help="Count how often past losses exceeded the stated value at risk, and show that instead."
        ),
    ] = False,
    first: Annotated[
        str,
        typer.Option(
            "--from", metavar="DATE", help="The first cutoff that is counted.", show_default="the first stored"
        ),
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Show what a portfolio can gain and lose, step by step.

    Also shows each holding's share of the risk.
    """
    from tickercast.show import answers

    if first and not record:
        raise UsageError("--from was given without --record, which it belongs to. Give both, or --as-of DATE.")
    if record:
        _record(holdings, first, as_of, as_json=as_json)
        return
    with bar("drawing paths"):
        service = open_app()
        found = service.portfolio(holdings, day_of(as_of) if as_of else None)
    ages = [] if as_of else answers.ages_of(found.outlook, service.now())
    if as_json:
        print_data(json.dumps(answers.portfolio_json(found, ages), indent=2) + "\n")
    else:
        print_table(answers.portfolio_table(found, ages), soft_wrap=True)


@app.command(epilog="Example: tickercast report MSFT AAPL --holdings holdings.csv")
def report(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            autocompletion=completion.symbols,
            metavar="[TICKER]...",
            help="Symbols.",
            show_default="those that are held, or all that are still forecast",
        ),
    ] = None,
    out: Annotated[str, typer.Option(metavar="FILE", help="The file, one HTML page.")] = "report.html",
    holdings: Annotated[
        str, typer.Option(metavar="FILE", help="Show the risk of this portfolio too, a CSV file of symbol,shares.")
    ] = "",
    symbols_file: SymbolsFile = "",
    as_of: AsOf = "",
) -> None:
    """Write a report of stored daily forecasts.

    Overview, portfolio, and for each symbol chart, width, record and indicators.
    """
    symbols = some_symbols_of(words or [], symbols_file)
    outputs.check_file("--out", out, outputs.PAGE)
    with bar("drawing"):
        page = open_app().stored_report(symbols, day_of(as_of) if as_of else None, holdings=holdings)
    say(f"written: {outputs.write_file(out, page.encode()).resolve()}")


def _record(holdings: str, first: str, last: str, *, as_json: bool) -> None:
    from tickercast.show import answers

    limits = {"first": day_of(first)} if first else {}
    limits |= {"last": day_of(last)} if last else {}
    with bar("counting", total=1) as progress:
        found = open_app().score_portfolio(
            holdings, **limits, on_progress=lambda done, total: progress.set(done, total)
        )
    if as_json:
        print_data(json.dumps(answers.record_json(found), indent=2) + "\n")
    else:
        print_table(answers.record_table(found, Path(holdings).name), soft_wrap=True)


def _steps(targets: list[date], last: date | None, symbol: str) -> int:
    """The number of steps that lie on or before a date."""
    if last is None:
        return len(targets)
    if not targets[0] <= last <= targets[-1]:
        raise UsageError(
            f"--by {last} is outside the forecast of {symbol}, which reaches from {targets[0]} to {targets[-1]}: a "
            "date between them was needed."
        )
    return sum(target <= last for target in targets)
