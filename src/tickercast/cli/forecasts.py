"""Commands about forecasts and the files that they are made from."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import Annotated

import typer
from rich.console import Console

from tickercast import config
from tickercast import engines as bootstrap
from tickercast.cli import pictures
from tickercast.cli.terminal import NOTHING_WORKED, SOME_FAILED, bar, complain, day_of, say, terminal, words_of
from tickercast.config import Settings
from tickercast.domain.bars import SIMULATED
from tickercast.domain.symbols import parse_symbol
from tickercast.errors import FunctionUnavailable, Permanent, TickercastError, UnknownSymbol, UsageError
from tickercast.jobs.requests import quarantine as quarantining
from tickercast.jobs.requests.ledger import Patience, accounted, entries, failed, newest
from tickercast.jobs.requests.replay import Replayed
from tickercast.jobs.requests.replay import replay as replay_object
from tickercast.jobs.requests.results import Collected, collect_all
from tickercast.jobs.requests.resume import forecast_before
from tickercast.jobs.requests.suggest import suggest
from tickercast.jobs.requests.upload import BATCH, Upload, batches, upload
from tickercast.ports import MarketData, ObjectStore, Warehouse
from tickercast.reading.actuals import compare, learned_through
from tickercast.show import tables as screen

app = typer.Typer(rich_markup_mode=None)


_AT_ONCE_S = 20.0  # where the function has answered already, and only another command's may be under way


Wait = Annotated[float, typer.Option(min=0, metavar="SECONDS", help="How long to wait for a remote function.")]


NoWait = Annotated[bool, typer.Option("--no-wait", help="Send, and leave the function to itself.")]


@app.command(epilog="Example: tickercast forecast META MMM ETH-USD 2023-07-25")
def forecast(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="TICKER... DATE", help="Symbols as Yahoo spells them, then YYYY-MM-DD."),
    ] = None,
    symbols_file: Annotated[str, typer.Option(metavar="FILE", help="More symbols, separated by blanks or lines.")] = "",
    source: Annotated[
        str, typer.Option(help="yahoo, sample, simulated, or a folder of CSV or Parquet files.", show_default="yahoo")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")] = False,
    actual: Annotated[
        bool, typer.Option("--actual", help="Print the closes that followed beside the forecast.")
    ] = False,
    report: Annotated[str, typer.Option(metavar="FILE", help="Write a report there, one HTML page.")] = "",
    chart: Annotated[str, typer.Option(metavar="FILE", help="Draw the forecast there, as PNG.")] = "",
    wait: Wait = 60,
    no_wait: NoWait = False,
    again: Annotated[
        bool, typer.Option("--again", help=f"Of more than {BATCH} symbols, send also those that were forecast before.")
    ] = False,
) -> None:
    """Forecast the ten sessions that follow a date, and store the forecast."""
    settings = config.load()
    symbols, as_of, refused = _request(words or [], symbols_file)
    left_alone = no_wait and not bootstrap.delivers_at_once(settings)
    pictures.check_files(report, chart, len(symbols), left_alone=left_alone)
    data = bootstrap.market_data(source or settings.source)
    store = bootstrap.object_store(settings)
    warehouse = bootstrap.provisioned(bootstrap.model_store(settings), bootstrap.warehouse(settings))
    before: list[Upload] = []
    if len(list(batches(symbols))) > 1 and not again:
        made_up = data.name == SIMULATED
        before = forecast_before(symbols, as_of, warehouse=warehouse, now=datetime.now(UTC), simulated=made_up)
    uploads = _upload(symbols, as_of, before, data, store)
    sent = [uploaded for uploaded in uploads if uploaded.object]
    collected = Collected()
    lost: list[FunctionUnavailable] = []
    if not left_alone:
        with _waiting(settings, wait) as patience:
            collected, lost = collect_all([*before, *sent], symbols, warehouse=warehouse, patience=patience)
    followed = compare(collected.forecasts, source=data) if actual else None
    learned = learned_through(collected.forecasts, store=bootstrap.model_store(settings)) if actual else {}
    if as_json:
        print(screen.to_json(collected.forecasts, as_of))
    else:
        _show(collected, followed, learned, store.url, warehouse)
        for uploaded in sent if left_alone else ():
            _say_sent(uploaded.object, uploaded.generation)
    written = pictures.write_files(
        collected.forecasts,
        followed,
        report_out=report,
        chart_out=chart,
        warehouse=warehouse,
        models=bootstrap.model_store(settings),
        url=store.url,
    )
    for path in () if as_json else written:
        say(f"written: {path}")
    worked = bool(collected.forecasts or (left_alone and (sent or before)))
    failures = {name: reason for uploaded in uploads for name, reason in uploaded.failures.items()}
    _finish(worked, _with_hints({**failures, **collected.failures}, warehouse), refused, lost)


@app.command(epilog="Example: tickercast ingestions --failed")
def ingestions(
    name: Annotated[str, typer.Argument(metavar="[OBJECT]", help="Only this file.", show_default=False)] = "",
    only_failed: Annotated[
        bool, typer.Option("--failed", help="Only files that are in the bucket and have not been forecast whole.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, help="Show so many lines, the newest.")] = 50,
) -> None:
    """List what became of the files that were sent."""
    settings = config.load()
    store = bootstrap.object_store(settings)
    warehouse = bootstrap.provisioned(bootstrap.model_store(settings), bootstrap.warehouse(settings))
    name = name.partition("#")[0]
    if only_failed:
        found = [entry for entry in failed(store, warehouse) if name in ("", entry.object)]
        count = len(found)
    else:
        found, count = newest(warehouse, limit, name)
    if not found:
        say("Nothing has failed." if only_failed else "The ledger holds nothing of that yet.")
        return
    terminal().print(screen.entries_table(found[:limit]), soft_wrap=True)
    if count > limit:
        say(f"{count - limit} more: --limit {count} shows them.")


@app.command(epilog="Example: tickercast replay ohlc/2023-07-22/MSFT.csv")
def replay(
    name: Annotated[
        str, typer.Argument(metavar="[OBJECT]", help="The file, perhaps with #GENERATION.", show_default=False)
    ] = "",
    all_failed: Annotated[bool, typer.Option("--failed", help="Every file that ingestions --failed lists.")] = False,
    wait: Wait = 60,
    no_wait: NoWait = False,
) -> None:
    """Send a file again that was rejected or lost; what has been forecast is left alone."""
    if bool(name) == all_failed:
        raise UsageError("One thing to replay was needed: tickercast replay OBJECT, or tickercast replay --failed.")
    settings = config.load()
    store = bootstrap.object_store(settings)
    warehouse = bootstrap.provisioned(bootstrap.model_store(settings), bootstrap.warehouse(settings))
    names = list(dict.fromkeys(entry.object for entry in failed(store, warehouse))) if all_failed else [name]
    if not names:
        say("Nothing has failed.")
    with bar("sending", len(names) if len(names) > 1 else None) as progress:
        sent: list[Replayed] = []
        for each in names:
            sent.append(replay_object(each, store=store, warehouse=warehouse))
            progress.advance(1)
    for done in sent:
        if not done.sent:
            say(f"{done.object}#{done.generation} has been forecast; nothing was sent.")
    _finish_sent([(done.object, done.generation) for done in sent if done.sent], settings, warehouse, wait, no_wait)


quarantine = typer.Typer(rich_markup_mode=None, no_args_is_help=True, help="List, show and release rejected files.")


app.add_typer(quarantine, name="quarantine", epilog="Example: tickercast quarantine list")


@quarantine.command("list", epilog="Example: tickercast quarantine list")
def quarantine_list() -> None:
    """List the rejected files that are kept, with their reasons."""
    kept = quarantining.quarantined(bootstrap.object_store(config.load()))
    if kept:
        terminal().print(screen.quarantine_table(kept), soft_wrap=True)
    else:
        say("Nothing is in quarantine.")


@quarantine.command(
    "show", epilog="Example: tickercast quarantine show quarantine/ohlc/2023-07-22/MSFT.1690000000000000.csv"
)
def quarantine_show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="As quarantine list gives it.")],
) -> None:
    """Show why a file was rejected, and how it begins."""
    store = bootstrap.object_store(config.load())
    kept = quarantining.find(name, store)
    terminal().print(screen.quarantined(kept, store.read(kept.name)), soft_wrap=True)


@quarantine.command(
    "release", epilog="Example: tickercast quarantine release quarantine/ohlc/2023-07-22/MSFT.1690000000000000.csv"
)
def quarantine_release(
    name: Annotated[str, typer.Argument(metavar="NAME", help="As quarantine list gives it.")],
    wait: Wait = 60,
    no_wait: NoWait = False,
) -> None:
    """Put a file back under the name that it had, so that it is handled again."""
    settings = config.load()
    store = bootstrap.object_store(settings)
    warehouse = bootstrap.provisioned(bootstrap.model_store(settings), bootstrap.warehouse(settings))
    _finish_sent([quarantining.release(name, store)], settings, warehouse, wait, no_wait)


def _request(words: Sequence[str], symbols_file: str) -> tuple[list[str], date, dict[str, Permanent]]:
    """Reads TICKER... DATE; a malformed symbol does not sink the others."""
    if not words:
        raise UsageError("No ticker and no date were given, and both are needed: tickercast forecast MSFT 2023-07-22.")
    as_of = day_of(words[-1])
    symbols: dict[str, None] = {}
    refused: dict[str, Permanent] = {}
    for word in [*words[:-1], *words_of(symbols_file)]:
        try:
            symbols[parse_symbol(word)] = None
        except UsageError as error:
            refused[word] = error
    if not symbols:
        raise next(
            iter(refused.values()), UsageError(f"A date and no ticker was given: tickercast forecast MSFT {as_of}.")
        )
    return list(symbols), as_of, refused


def _show(
    collected: Collected,
    followed: Mapping[str, Mapping[date, float]] | None,
    learned: Mapping[str, date],
    store: str,
    warehouse: Warehouse,
) -> None:
    console, real = terminal(), Console()
    if len(collected.forecasts) >= screen.SUMMARY_FROM:
        console.print(screen.summary_table(collected.forecasts))
    else:
        for made in collected.forecasts:
            actual = followed.get(made.symbol, {}) if followed is not None else None
            through = learned.get(made.symbol, date.min)
            below = pictures.below(made, followed, warehouse, real)
            console.print(screen.forecast_table(made, actual, store, through, below), soft_wrap=True)
    if collected.forecasts:
        console.print(f"prices and forecasts are in {warehouse.url}", style="dim", highlight=False, soft_wrap=True)


def _finish_sent(
    sent: Sequence[tuple[str, int]], settings: Settings, warehouse: Warehouse, wait: float, no_wait: bool
) -> None:
    """Says what became of files that were sent again."""
    if no_wait and not bootstrap.delivers_at_once(settings):
        for name, generation in sent:
            _say_sent(name, generation)
        return
    with _waiting(settings, wait) as patience:
        ledgers = [accounted(*each, warehouse=warehouse, patience=patience) for each in sent]
    found = [entry for ledger in ledgers for entry in entries(ledger)]
    if found:
        terminal().print(screen.entries_table(found), soft_wrap=True)
    for (name, _), ledger in zip(sent, ledgers, strict=True):
        if ledger.empty:
            complain(
                f"{name} was sent, and {patience.seconds:.0f} s later nothing is stored of it. Check that the function "
                f"is deployed and what it logs; look later with tickercast ingestions {name}."
            )
    if any(ledger.empty or not ledger["status"].eq("forecast").all() for ledger in ledgers):
        raise typer.Exit(SOME_FAILED)


def _say_sent(name: str, generation: int) -> None:
    say(f"{name}#{generation} was sent. What becomes of it: tickercast ingestions {name}")


def _upload(
    symbols: Sequence[str], as_of: date, before: Sequence[Upload], data: MarketData, store: ObjectStore
) -> list[Upload]:
    """Sends the symbols that are not accounted for, one file after another."""
    done = {symbol for uploaded in before for symbol in uploaded.symbols}
    rest = [symbol for symbol in symbols if symbol not in done]
    if done:
        complain(
            f"{len(done)} of {len(symbols)} symbols were forecast for {as_of} before and are not sent again; "
            "--again sends them too."
        )
    uploads: list[Upload] = []
    with bar(f"forecasting with bars from {data.name}", len(symbols) if len(symbols) > 1 else None) as progress:
        progress.advance(len(done))
        try:
            for batch in batches(rest):
                uploads.append(
                    upload(batch, as_of, source=data, store=store, now=datetime.now(UTC), advance=progress.advance)
                )
        except (TickercastError, KeyboardInterrupt):
            if uploads:
                sent = sum(len(uploaded.symbols) for uploaded in uploads)
                complain(f"{sent} of {len(rest)} symbols were sent. The same command goes on with the others.")
            raise
    return uploads


def _with_hints(failures: Mapping[str, Permanent], warehouse: Warehouse) -> dict[str, Permanent]:
    """Adds what may have been meant by symbols that the source does not know, where it does not say so itself."""
    unknown = [
        name for name, reason in failures.items() if isinstance(reason, UnknownSymbol) and _MEANT not in str(reason)
    ]
    hints = {
        name: UnknownSymbol(f"{failures[name]} {_MEANT} {known}, which was forecast before?")
        for name, known in suggest(unknown, warehouse=warehouse).items()
    }
    return {**failures, **hints}


_MEANT = "Did you mean"


def _finish(
    worked: bool,
    failures: Mapping[str, Permanent],
    refused: Mapping[str, Permanent],
    lost: Sequence[FunctionUnavailable] = (),
) -> None:
    for gone in lost:
        complain(str(gone))
    for reason in refused.values():
        complain(str(reason))
    for name, reason in failures.items():
        complain(str(reason) if name in str(reason) else f"{name}: {reason}")
    if failures or refused or lost:
        raise typer.Exit(SOME_FAILED if worked else NOTHING_WORKED)


@contextmanager
def _waiting(settings: Settings, seconds: float) -> Iterator[Patience]:
    """Waits before the user's eyes; several waits within share the time."""
    seconds = min(seconds, _AT_ONCE_S) if bootstrap.delivers_at_once(settings) else seconds
    with bar("reading what the function stored") as progress:
        yield Patience(
            seconds, lambda waited: progress.say(f"waiting for the function: {waited:.0f} s of {seconds:.0f} s")
        )
