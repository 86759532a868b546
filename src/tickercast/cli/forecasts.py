"""Commands about forecasts and the files they are made from."""

import re
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from tickercast.cli import completion
from tickercast.cli.commands import Commands
from tickercast.cli.terminal import (
    NOTHING_WORKED,
    SOME_FAILED,
    AnySource,
    Every,
    SymbolsFile,
    bar,
    complain,
    log_written,
    moment_of,
    open_app,
    print_data,
    print_table,
    say,
    say_how_far,
    split,
)
from tickercast.domain.text import is_named, shown
from tickercast.errors import CalendarError, EngineUnusable, Permanent, TickercastError, Transient, UsageError
from tickercast.plain import first_of

if TYPE_CHECKING:
    from tickercast.app import App
    from tickercast.domain.frequency import Frequency
    from tickercast.jobs.requests.request_forecast import Requested
    from tickercast.jobs.requests.results import Patience

app = Commands()

_NAMED = 20  # symbols or files before a reason that many share
_LONGEST = 1_000  # letters of their names
_Sent = TypeVar("_Sent")

Wait = Annotated[float, typer.Option(min=0, metavar="SECONDS", help="How long to wait for a remote function.")]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Send, and do not wait for a remote function.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="As quarantine list shows it.")]


@app.command(epilog="Example: tickercast forecast META MMM ETH-USD 2023-07-25")
def forecast(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="TICKER... [DATE]",
            help="Symbols as Yahoo spells them, then YYYY-MM-DD, today, or nothing for the last session that has "
            "closed; with --every 1h coins such as BTCUSDT, then 'YYYY-MM-DD HH:MM', UTC, a date for its last "
            "hour, or nothing for the hour that has just ended.",
            autocompletion=completion.symbols,
        ),
    ] = None,
    symbols_file: SymbolsFile = "",
    source: AnySource = "",
    every: Every = "1d",
    model: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Show this model's forecast; TICKERCAST_MODELS must name it.",
            show_default="champion",
            autocompletion=completion.models,
        ),
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")] = False,
    actual: Annotated[
        bool, typer.Option("--actual", help="Show the closes that followed beside the forecast.")
    ] = False,
    full: Annotated[bool, typer.Option("--full", help="With several symbols, also show each one's table.")] = False,
    why: Annotated[bool, typer.Option("--why", help="Say why the interval is as wide as it is.")] = False,
    report: Annotated[str, typer.Option(metavar="FILE", help="Write a report to FILE, one HTML page.")] = "",
    chart: Annotated[str, typer.Option(metavar="FILE", help="Draw the forecast to FILE, a PNG.")] = "",
    wait: Wait = 60,
    no_wait: NoWait = False,
    again: Annotated[
        bool,
        typer.Option("--again", help="With more than 50 symbols, also send those already forecast for this date."),
    ] = False,
) -> None:
    """Forecast the sessions after a date, or 24 hours.

    One symbol: a table with one row per session. Several: the overview, one row per symbol. TICKER or --symbols-file is
    required.
    """
    from tickercast.domain.frequency import frequency_of

    frequency = frequency_of(every)
    symbols, as_of = _request(words or [], symbols_file, frequency)
    service = open_app()
    unattended = no_wait and not service.delivers_at_once
    from tickercast.cli import pictures

    pictures.check_files(report, chart, len(symbols), unattended=unattended)
    label = f"forecasting with bars from {service.source_of(source, frequency).name}"
    with bar(label, len(symbols) if len(symbols) > 1 else None) as progress:
        made = service.forecast(
            symbols,
            as_of,
            source=source,
            model=model,
            wait=None if unattended else wait,
            again=again,
            actual=actual,
            frequency=every,
            advance=progress.advance,
            on_wait=lambda waited: progress.say(f"waiting for the function: {waited:.0f} s of {wait:.0f} s"),
            on_resume=lambda done: complain(
                f"{done} of {len(symbols)} symbols were forecast for {as_of} before and are not sent again; "
                "--again sends them too."
            ),
            on_interrupt=say_how_far,
        )
    if as_json:
        from tickercast.show.tables import forecasts_json

        widths = {one.symbol: service.why(one) for one in made} if why else {}
        print_data(forecasts_json(made, as_of, widths, made.actual) + "\n")
    else:
        _show(made, service, as_of, why=why, full=full, is_champion=not model)
        for uploaded in made.uploads if unattended else ():
            _say_sent(uploaded.object, uploaded.generation)
    for one in made:
        if one.findings:
            complain(f"{one.symbol}: {one.findings}")
    for path in pictures.write_files(made, service, report, chart):
        if not as_json:
            say(f"written: {path}")
    _finish(made, worked=bool(made or (unattended and (made.uploads or made.forecast_before))))


@app.command(epilog="Example: tickercast upload MSFT.csv --as-of 2023-07-22")
def upload(
    files: Annotated[
        list[str], typer.Argument(metavar="FILE...", help="CSV, also in gzip or zip, or Parquet.", show_default=False)
    ],
    as_of: Annotated[
        str,
        typer.Option(
            metavar="DATE",
            help="The last date to forecast from; hourly: 'YYYY-MM-DD HH:MM', or a date for its last hour.",
            show_default="today",
        ),
    ] = "",
    every: Every = "1d",
    symbol: Annotated[
        str,
        typer.Option(metavar="SYMBOL", help="What the file holds.", show_default="what it says itself, or its name"),
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print the ledger's rows as JSON and nothing else.")] = False,
    wait: Wait = 60,
    no_wait: NoWait = False,
) -> None:
    """Send files of your own, and show the status of each symbol."""
    from tickercast.domain.frequency import frequency_of

    frequency = frequency_of(every)
    last = moment_of(as_of, frequency) if as_of else None
    if symbol and len(files) > 1:
        raise UsageError(
            f"--symbol {symbol} was given for {len(files)} files, and one was needed. Send them one by one."
        )
    service = open_app()
    done, failures = _each(files, lambda file: service.upload(file, last, symbol=symbol, frequency=every))
    sent = [(uploaded.object, uploaded.generation) for uploaded in done]
    finish_sent(sent, service, wait, no_wait=no_wait, as_json=as_json, failures=failures)


@app.command(epilog="Example: tickercast watch 's3://bars?endpoint=https://s3.example.org'")
def watch(
    bucket: Annotated[
        str,
        typer.Argument(metavar="[BUCKET]", help="file://FOLDER or s3://BUCKET.", show_default="TICKERCAST_BUCKET"),
    ] = "",
    every: Annotated[
        float,
        typer.Option(metavar="SECONDS", min=1, max=3600, help="Seconds between two listings of an S3 bucket."),
    ] = 10,
    wait: Wait = 60,
) -> None:
    """Forecast every file that arrives in a bucket, until Ctrl-C.

    The bucket is a local folder or on S3. An S3 bucket is listed again and again: for stores that send no events. What
    is in the ledger is not handled again.
    """
    from tickercast.show.tables import entries_table

    for ending in (signal.SIGINT, signal.SIGTERM):  # a shell that starts it in the background ignores the first
        signal.signal(ending, signal.default_int_handler)
    service = open_app(bucket)
    say(f"watching {service.store.url}; Ctrl-C ends it")
    with log_written(service), suppress(KeyboardInterrupt):
        for sent in service.watch(every):
            if isinstance(sent, TickercastError):
                complain(str(sent))
                continue
            entries = service.wait_for_entries(sent.object, sent.generation, service.patience(wait))
            if entries:
                print_table(entries_table(entries), soft_wrap=True)
            else:
                _complain_of_silence(sent.object, wait)


@app.command(epilog="Example: tickercast ingestions --failed")
def ingestions(
    name: Annotated[str, typer.Argument(metavar="[OBJECT]", help="Only this file.", show_default=False)] = "",
    only_failed: Annotated[
        bool, typer.Option("--failed", help="Only files in the bucket that were not forecast whole.")
    ] = False,
    limit: Annotated[int, typer.Option(metavar="N", min=1, help="The number of lines, newest first.")] = 50,
) -> None:
    """List the status of the files that were sent."""
    from tickercast.reading.ledger import of_object
    from tickercast.show.tables import entries_table

    service = open_app()
    if only_failed:
        found = service.failed_ingestions()
        found = of_object(name, found) if name else found
        count = len(found)
    else:
        found, count = service.ingestions(name, limit=limit)
    if not found:
        say("Nothing has failed." if only_failed else "The ledger has no such entries yet.")
        return
    print_table(entries_table(found[:limit]), soft_wrap=True)
    if count > limit:
        say(f"{count - limit} more: --limit {count} shows them.")


@app.command(epilog="Example: tickercast replay ohlc/2023-07-22/MSFT.csv")
def replay(
    name: Annotated[
        str, typer.Argument(metavar="[OBJECT]", help="The file, optionally with #GENERATION.", show_default=False)
    ] = "",
    all_failed: Annotated[bool, typer.Option("--failed", help="Every file that ingestions --failed lists.")] = False,
    wait: Wait = 60,
    no_wait: NoWait = False,
) -> None:
    """Send what was rejected or lost again.

    OBJECT or --failed is required. Skips what has been forecast: of a file forecast in part, sends the rest as its own
    file. --failed also skips files rejected twice for the same reason.
    """
    if bool(name) == all_failed:
        raise UsageError("One thing to replay was needed: tickercast replay OBJECT, or tickercast replay --failed.")
    service = open_app()
    failed = service.failed_ingestions() if all_failed else []
    listed = {entry.object: entry.generation for entry in failed if not entry.rejected_before}
    if all_failed and not failed:
        say("Nothing has failed.")
    for entry in failed:
        if entry.object not in listed:
            say(f"{entry.object}#{entry.generation} was not sent: rejected twice for the same reason. {entry.reason}")
            say(f"Correct it and send it again; tickercast replay {entry.object} sends it as it is.")
    names = list(listed) if all_failed else [name]
    done, failures = _each(names, lambda each: service.replay(each, listed=listed.get(each, "")))
    for replayed in done:
        if not replayed.sent:
            say(f"{replayed.object}#{replayed.generation} {replayed.kept_back}")
    sent = [(replayed.object, replayed.generation) for replayed in done if replayed.sent]
    finish_sent(sent, service, wait, no_wait=no_wait, failures=failures)


quarantine = Commands(no_args_is_help=True, help="List, show and release rejected files.")
app.add_typer(quarantine, name="quarantine", epilog="Example: tickercast quarantine list")


@quarantine.command("list", epilog="Example: tickercast quarantine list")
def quarantine_list() -> None:
    """List the rejected files that are kept, with their reasons."""
    from tickercast.reading.quarantine import MOST_LISTED
    from tickercast.show.tables import quarantine_table

    kept = open_app().quarantined()
    if kept:
        print_table(quarantine_table(kept), soft_wrap=True)
        if len(kept) == MOST_LISTED:
            say(f"The newest {MOST_LISTED:,} are listed; there may be older ones.")
    else:
        say("Nothing is in quarantine.")


@quarantine.command(
    "show", epilog="Example: tickercast quarantine show quarantine/ohlc/2023-07-22/MSFT.1690000000000000.csv"
)
def quarantine_show(name: Name) -> None:
    """Show why a file was rejected, and its first lines."""
    from tickercast.show.tables import quarantined_file

    print_table(quarantined_file(*open_app().quarantined_file(name)), soft_wrap=True)


@quarantine.command(
    "release", epilog="Example: tickercast quarantine release quarantine/ohlc/2023-07-22/MSFT.1690000000000000.csv"
)
def quarantine_release(name: Name, wait: Wait = 60, no_wait: NoWait = False) -> None:
    """Put a file back under its old name, so that it is handled again."""
    service = open_app()
    finish_sent([service.release(name)], service, wait, no_wait=no_wait)


def _request(words: Sequence[str], symbols_file: str, frequency: "Frequency") -> tuple[list[str], date]:
    """Read TICKER... DATE; whether each is a symbol is checked later, so that one does not sink the others."""
    from tickercast.app import read_symbols

    words = _with_moment(split(words))
    dates = [word for word in words if _DATE.match(word)]
    if len(dates) > 1:
        raise UsageError(f"{dates[0]} and {dates[1]} were given, and one date was needed. Leave one out.")
    symbols = list(dict.fromkeys([*(word for word in words if word not in dates), *read_symbols(symbols_file)]))
    as_of = moment_of(dates[0], frequency) if dates else None
    if not symbols:
        given = f"A date and no ticker was given: tickercast forecast MSFT {as_of}." if as_of else _NO_TICKER
        raise UsageError(given)
    return symbols, as_of or _newest(symbols, frequency)


_DATE = re.compile(r"today$|\d+$|\d+[-/.]\d+[-/.]\d", re.IGNORECASE)
_NO_TICKER = "No ticker was given, and at least one was needed: tickercast forecast MSFT, or MSFT 2023-07-22."


def _with_moment(words: Sequence[str]) -> Sequence[str]:
    """The words with the moment as one: date and time may be two."""
    if len(words) > 1 and re.match(r"\d{4}-", words[-2]) and re.match(r"\d\d?:", words[-1]):
        return [*words[:-2], f"{words[-2]} {words[-1]}"]
    return words


def _newest(symbols: Sequence[str], frequency: "Frequency") -> date:
    """The last session of any of the symbols that has closed, or the hour that has just ended."""
    from tickercast.domain.calendar import newest_closed
    from tickercast.domain.symbols import parse_symbol

    now = datetime.now(UTC)
    if not frequency.is_daily:
        return frequency.parse(now)
    closed: list[date] = []
    for symbol in symbols:
        with suppress(UsageError, CalendarError):  # its forecast says the fault
            closed += filter(None, [newest_closed(parse_symbol(symbol), now)])
    return max(closed, default=now.date())


def _show(made: "Requested", service: "App", as_of: date, *, why: bool, full: bool, is_champion: bool) -> None:
    from rich.text import Text

    from tickercast.cli import pictures
    from tickercast.show import tables
    from tickercast.show.sentences import SEEN

    if len(made) > 1:
        print_table(pictures.overview(made.forecasts, service, as_of, is_champion=is_champion))
        for forecast in made if not full else ():
            for sentence in pictures.about(forecast, made.actual, service, why=why):
                print_table(sentence, soft_wrap=True)
        for through in pictures.seen(made) if not full else ():
            print_table(Text(SEEN.format(through), style="yellow"), soft_wrap=True)
    if len(made) == 1 or full:
        for forecast in made:
            closes = made.actual.get(forecast.symbol, {}) if made.actual is not None else None
            through = made.trained_through.get(forecast.symbol, date.min)
            below = pictures.below(forecast, closes, service, why=why)
            print_table(tables.forecast_table(forecast, closes, service.store.url, through, below), soft_wrap=True)
    if made:
        stored = f"prices and forecasts are in {service.tables.url}"
        print_table(Text(stored, style="dim"), soft_wrap=True)


def _finish(made: "Requested", *, worked: bool) -> None:
    for gone in made.lost:
        complain(str(gone))
    complain_of(made.failures)
    if made.failures or made.lost:
        raise typer.Exit(SOME_FAILED if worked else NOTHING_WORKED)


def _each(names: Sequence[str], send: Callable[[str], _Sent]) -> tuple[list[_Sent], dict[str, TickercastError]]:
    """Send files one by one, and return what was sent, and why others were not.

    One that fails does not hold back the others, unless an engine does not answer. If it is the only one, its error is
    raised.
    """
    done: list[_Sent] = []
    failures: dict[str, TickercastError] = {}
    with bar("sending", len(names) if len(names) > 1 else None) as progress:
        for number, name in enumerate(names):
            try:
                done.append(send(name))
            except KeyboardInterrupt:
                say_how_far(f"{len(done)} of {len(names)} files were sent.")
                raise
            except (Transient, EngineUnusable) as error:  # as it would fail for all others
                if len(names) == 1:
                    raise
                failures |= dict.fromkeys(names[number:], error)
                break
            except Permanent as error:
                if len(names) == 1:
                    raise
                failures[name] = error
            progress.advance(1)
    return done, failures


def complain_of(failures: Mapping[str, TickercastError]) -> None:
    """Print each reason once, before it the symbols that it does not name itself."""
    symbols: dict[str, list[str]] = {}
    for name, reason in failures.items():
        symbols.setdefault(str(reason), []).extend([] if is_named(name, str(reason)) else [name])
    for sentence, names in symbols.items():
        complain(f"{shown(first_of(names, _NAMED), _LONGEST)}: {sentence}" if names else sentence)


def finish_sent(
    sent: Sequence[tuple[str, str]],
    service: "App",
    wait: float,
    *,
    no_wait: bool,
    as_json: bool = False,
    failures: Mapping[str, TickercastError] = MappingProxyType({}),
) -> None:
    """Show the status of files that were sent, and why others were not."""
    complain_of(failures)
    is_whole = not failures
    if no_wait and not service.delivers_at_once:
        for name, generation in sent:
            _say_sent(name, generation)
    else:
        is_whole &= _show_sent(sent, service, wait, as_json=as_json)
    if not is_whole:
        raise typer.Exit(SOME_FAILED if sent else NOTHING_WORKED)


def _show_sent(sent: Sequence[tuple[str, str]], service: "App", wait: float, *, as_json: bool) -> bool:
    """Show the status of files, and return whether all of it was forecast."""
    from tickercast.reading.ledger import DONE
    from tickercast.show.tables import entries_json, entries_table

    with _waiting(service, wait) as patience:
        found = [(name, service.wait_for_entries(name, generation, patience)) for name, generation in sent]
    entries = [entry for _, of_file in found for entry in of_file]
    if as_json:
        print_data(entries_json(entries) + "\n")
        for entry in entries:
            if entry.findings:
                complain(f"{entry.symbol}: {entry.findings}")
    elif entries:
        print_table(entries_table(entries), soft_wrap=True)
    for name, of_file in found:
        if not of_file:
            _complain_of_silence(name, patience.seconds)
    return all(of_file and all(entry.status in DONE for entry in of_file) for _, of_file in found)


def _complain_of_silence(name: str, seconds: float) -> None:
    complain(
        f"{name} was sent, and {seconds:.0f} s later nothing is stored for it. Check that the function is deployed and "
        f"what it logs; look later with tickercast ingestions {name}."
    )


def _say_sent(name: str, generation: str) -> None:
    say(f"{name}#{generation} was sent. Look at its status with: tickercast ingestions {name}")


@contextmanager
def _waiting(service: "App", seconds: float) -> "Iterator[Patience]":
    """Show the wait; several waits within share the time."""
    with bar("reading the results") as progress:
        yield service.patience(
            seconds, lambda waited: progress.say(f"waiting for the function: {waited:.0f} s of {seconds:.0f} s")
        )
