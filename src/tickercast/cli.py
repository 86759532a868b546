"""The command line: argv becomes one job, and the job an exit code. The only place that prints.

Exit codes: 0 all went well, 1 some symbols failed, 2 wrong usage or nothing worked.
"""

import functools
import io
import logging
import sys
import tempfile
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn

from tickercast import __version__, bootstrap, chart, config, screen
from tickercast import doctor as doctor_checks
from tickercast.config import Settings
from tickercast.domain.backtest import by, report
from tickercast.domain.bundle import CHALLENGER_ALIAS, MODEL
from tickercast.domain.history import parse_symbol
from tickercast.domain.recipe import Recipe, read_recipe, to_json
from tickercast.errors import Permanent, TickercastError, UsageError
from tickercast.jobs import quarantine as quarantining
from tickercast.jobs.account import Patience, accounted, entries, failed
from tickercast.jobs.backtest import backtest as run_backtest
from tickercast.jobs.collect import Collected, collect
from tickercast.jobs.compare import compare, learned_through
from tickercast.jobs.promote import promote as promote_model
from tickercast.jobs.promote import publish as publish_model
from tickercast.jobs.publish import publishable, published_versions, read_champion, read_pointer
from tickercast.jobs.publish import rollback as roll_back
from tickercast.jobs.replay import Replayed
from tickercast.jobs.replay import replay as replay_object
from tickercast.jobs.train import train as train_model
from tickercast.jobs.tune import tune as tune_recipe
from tickercast.jobs.upload import upload
from tickercast.ports import ModelRegistry, ObjectStore, Warehouse

SOME_FAILED, NOTHING_WORKED = 1, 2
_TABLE_WIDTH = 140
_FIRST_YEAR = 1900
_FIRST_TRAINING_YEAR = 2000
_AT_ONCE_S = 20.0  # where the function has answered already, and only another command's may be under way

Wait = Annotated[float, typer.Option(min=0, metavar="SECONDS", help="How long to wait for a remote function.")]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Send, and leave the function to itself.")]

app = typer.Typer(
    rich_markup_mode=None,
    no_args_is_help=True,
    add_completion=False,
)
quarantine = typer.Typer(rich_markup_mode=None, no_args_is_help=True, help="List, show and release rejected files.")
app.add_typer(quarantine, name="quarantine", epilog="Example: tickercast quarantine list")


def _version(wanted: bool) -> None:
    if wanted:
        _say(f"tickercast {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Calibrated forecasts of the next ten trading sessions."""


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
    wait: Wait = 60,
    no_wait: NoWait = False,
) -> None:
    """Forecast the ten sessions that follow a date, and store the forecast."""
    settings = config.load()
    symbols, as_of, refused = _request(words or [], symbols_file)
    data = bootstrap.market_data(source or settings.source)
    store = bootstrap.object_store(settings)
    warehouse = bootstrap.provisioned(store, bootstrap.warehouse(settings))
    with _progress(f"forecasting with bars from {data.name}", len(symbols) if len(symbols) > 1 else None) as progress:
        uploaded = upload(symbols, as_of, source=data, store=store, now=datetime.now(UTC), advance=progress.advance)
    left_alone = no_wait and not bootstrap.delivers_at_once(settings)
    collected = Collected()
    if uploaded.object and not left_alone:
        with _waiting(settings, wait) as patience:
            collected = collect(uploaded, warehouse=warehouse, patience=patience)
    followed = compare(collected.forecasts, source=data) if actual else None
    learned = learned_through(collected.forecasts, store=store) if actual else {}
    if as_json:
        print(screen.to_json(collected.forecasts, as_of))
    else:
        _show(collected, followed, learned, store.url, warehouse.url)
        if uploaded.object and left_alone:
            _say_sent(uploaded.object, uploaded.generation)
    worked = bool(collected.forecasts or (uploaded.object and left_alone))
    _finish(worked, {**uploaded.failures, **collected.failures}, refused)


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
    warehouse = bootstrap.provisioned(store, bootstrap.warehouse(settings))
    name = name.partition("#")[0]
    if only_failed:
        found = [entry for entry in failed(store, warehouse) if name in ("", entry.object)]
    else:
        found = entries(warehouse.read("ingestions", {"object": name} if name else None))
    if not found:
        _say("Nothing has failed." if only_failed else "The ledger holds nothing of that yet.")
        return
    _console().print(screen.entries_table(found[:limit]), soft_wrap=True)
    if len(found) > limit:
        _say(f"{len(found) - limit} more: --limit {len(found)} shows them.")


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
    warehouse = bootstrap.provisioned(store, bootstrap.warehouse(settings))
    names = list(dict.fromkeys(entry.object for entry in failed(store, warehouse))) if all_failed else [name]
    if not names:
        _say("Nothing has failed.")
    with _progress("sending", len(names) if len(names) > 1 else None) as progress:
        sent: list[Replayed] = []
        for each in names:
            sent.append(replay_object(each, store=store, warehouse=warehouse))
            progress.advance(1)
    for done in sent:
        if not done.sent:
            _say(f"{done.object}#{done.generation} has been forecast; nothing was sent.")
    _finish_sent([(done.object, done.generation) for done in sent if done.sent], settings, warehouse, wait, no_wait)


@quarantine.command("list", epilog="Example: tickercast quarantine list")
def quarantine_list() -> None:
    """List the rejected files that are kept, with their reasons."""
    kept = quarantining.quarantined(bootstrap.object_store(config.load()))
    if kept:
        _console().print(screen.quarantine_table(kept), soft_wrap=True)
    else:
        _say("Nothing is in quarantine.")


@quarantine.command(
    "show", epilog="Example: tickercast quarantine show quarantine/ohlc/2023-07-22/MSFT.1690000000000000.csv"
)
def quarantine_show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="As quarantine list gives it.")],
) -> None:
    """Show why a file was rejected, and how it begins."""
    store = bootstrap.object_store(config.load())
    kept = quarantining.find(name, store)
    _console().print(screen.quarantined(kept, store.read(kept.name)), soft_wrap=True)


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
    warehouse = bootstrap.provisioned(store, bootstrap.warehouse(settings))
    _finish_sent([quarantining.release(name, store)], settings, warehouse, wait, no_wait)


@app.command(epilog="Example: tickercast train --source sample --through 2010-12-31 --out DIR")
def train(
    tickers: Annotated[
        list[str] | None,
        typer.Argument(metavar="TICKER", help="What to learn from; if none is named, all that the source holds."),
    ] = None,
    source: Annotated[
        str,
        typer.Option(
            "--source",
            "--data",
            help="yahoo, sample, simulated, or a folder of CSV or Parquet files.",
            show_default="yahoo",
        ),
    ] = "",
    through: Annotated[
        str, typer.Option(metavar="DATE", help="The last date to learn from; what follows measures the model.")
    ] = "2010-12-31",
    recipe: Annotated[
        str,
        typer.Option(metavar="FILE", help="What tune found, as JSON.", show_default="what suits the amount of data"),
    ] = "",
    hold_out: Annotated[
        int,
        typer.Option(
            metavar="N", min=0, help="Learn from no N-th symbol, and measure the model on these; 0: from all."
        ),
    ] = 0,
    out: Annotated[str, typer.Option(metavar="DIR", help="Write the registered bundle there too.")] = "",
) -> None:
    """Train the LSTM, register it in MLflow as the challenger, and write its ONNX bundle."""
    settings = config.load()
    name, chosen = source or settings.source, _recipe(recipe)
    symbols = [parse_symbol(word) for word in tickers or []] or bootstrap.known_symbols(name)
    fit, registry, learned_through = bootstrap.trainer(), bootstrap.model_registry(settings), _as_of(through)
    bootstrap.seed(registry)
    with _progress("epochs", total=1) as progress:
        bundle = train_model(
            bootstrap.market_data(name),
            symbols,
            date(_FIRST_TRAINING_YEAR, 1, 1),
            date.today(),
            learned_through,
            fit=fit,
            peers=bootstrap.peers,
            registry=registry,
            picture=chart.backtest_png,
            recipe=chosen,
            hold_out=hold_out,
            on_progress=progress.set,
            on_failure=lambda symbol, reason: _complain(f"{symbol}: {reason}"),
        )
    _console().print(screen.card_table(bundle.card))
    if out:
        for path, content in publishable(bundle).items():
            (Path(out) / path).parent.mkdir(parents=True, exist_ok=True)
            (Path(out) / path).write_bytes(content)
        _say(f"written to {out}")


@app.command(epilog="Example: tickercast tune --source sample --trials 20 --out recipe.json")
def tune(
    tickers: Annotated[
        list[str] | None,
        typer.Argument(metavar="TICKER", help="What to learn from; if none is named, all that the source holds."),
    ] = None,
    trials: Annotated[int, typer.Option(min=1, help="That shall have finished, those of earlier calls included.")] = 20,
    source: Annotated[
        str,
        typer.Option(
            "--source",
            "--data",
            help="yahoo, sample, simulated, or a folder of CSV or Parquet files.",
            show_default="yahoo",
        ),
    ] = "",
    through: Annotated[str, typer.Option(metavar="DATE", help="The last date to learn from.")] = "2010-12-31",
    out: Annotated[str, typer.Option(metavar="FILE", help="Write the best recipe there, for train.")] = "recipe.json",
) -> None:
    """Search for a better recipe for the LSTM; a search that was stopped goes on where it was."""
    settings = config.load()
    name = source or settings.source
    symbols = [parse_symbol(word) for word in tickers or []] or bootstrap.known_symbols(name)
    prepare, learned_through = bootstrap.preparer(), _as_of(through)
    search, tracker = bootstrap.recipe_search(settings), bootstrap.study_tracker(settings)
    with _progress("trials", total=trials) as progress, _stoppable(search.url):
        tuned = tune_recipe(
            bootstrap.market_data(name),
            symbols,
            date(_FIRST_TRAINING_YEAR, 1, 1),
            learned_through,
            trials=trials,
            prepare=prepare,
            search=search,
            tracker=tracker,
            on_progress=lambda done, tuned: progress.set(done, trials, screen.study_line(tuned)),
            on_failure=lambda symbol, reason: _complain(f"{symbol}: {reason}"),
        )
    _console().print(screen.study_table(tuned))
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    Path(out).write_text(to_json(tuned.best.recipe), encoding="utf-8")
    _say(f"written to {out}, for: tickercast train --recipe {out}")


@app.command(epilog="Example: tickercast backtest --data sample --from 2011-01-01 --to 2013-02-28 --chart backtest.png")
def backtest(
    data: Annotated[str, typer.Option(help="A Parquet or CSV file, a folder of them, or sample.")],
    first: Annotated[str, typer.Option("--from", metavar="DATE", help="The first date to forecast from.")],
    last: Annotated[str, typer.Option("--to", metavar="DATE", help="The last date to forecast from.")],
    every: Annotated[int, typer.Option(min=1, help="Sessions from one origin to the next.")] = 10,
    symbols_file: Annotated[str, typer.Option(metavar="FILE", help="Only these symbols.")] = "",
    model: Annotated[
        str,
        typer.Option(help="champion, random-walk, ewma-t, historical-simulation, a slow peer, or a bundle's folder."),
    ] = "champion",
    peer: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help=f"Add a slow peer (repeatable): {', '.join(bootstrap.SLOW_PEERS)}."),
    ] = None,
    windows: Annotated[
        int, typer.Option(min=0, metavar="N", help="Forecast from N origins drawn at random; 0 means from all.")
    ] = 0,
    json_out: Annotated[str, typer.Option("--json", metavar="OUT", help="Write the figures there as JSON.")] = "",
    chart_out: Annotated[str, typer.Option("--chart", metavar="PNG", help="Draw reliability and loss by step.")] = "",
) -> None:
    """Measure a model on past sessions, beside what users would pick instead."""
    settings = config.load()
    store = bootstrap.object_store(settings)
    bootstrap.provisioned(store, bootstrap.warehouse(settings))
    judged = bootstrap.predictor(model, store)
    slow = [bootstrap.peer(name) for name in peer or []]
    symbols = [parse_symbol(word) for word in _words_of(symbols_file)] or bootstrap.known_symbols(data)
    with _progress("forecasts", total=1) as progress:
        tables = run_backtest(
            bootstrap.market_data(data),
            symbols,
            _as_of(first),
            _as_of(last),
            models={judged.name: judged},
            peers=functools.partial(bootstrap.peers, slow=slow),
            every=every,
            windows=windows or None,
            on_progress=progress.set,
            on_failure=lambda symbol, reason: _complain(str(reason)),
        )
    told = report(tables)
    through = bootstrap.trained_through(judged)
    if through:
        told["trained_through"] = through.isoformat()
    if json_out:
        Path(json_out).write_text(screen.report_json(told), encoding="utf-8")
    if chart_out:
        (_, _), *others = tables.items()
        Path(chart_out).write_bytes(chart.backtest_png(told, {name: by(table, "step") for name, table in others}))
    _console().print(screen.report_table(told))
    if through and through >= _as_of(first):
        _complain(screen.SEEN.format(through))


@app.command(epilog="Example: tickercast models")
def models() -> None:
    """List the registered versions, and which one is served."""
    store, registry = _store_and_registry()
    served = read_pointer(store)
    _console().print(screen.models_table(registry.versions(MODEL), served.version, published_versions(store, MODEL)))


@app.command(epilog="Example: tickercast promote --data prices.parquet --from 2022-01-01 --to 2022-12-15")
def promote(
    data: Annotated[str, typer.Option(help="A Parquet or CSV file, a folder of them, or sample.")],
    first: Annotated[
        str, typer.Option("--from", metavar="DATE", help="The first date; neither model may have seen it.")
    ],
    last: Annotated[str, typer.Option("--to", metavar="DATE", help="The last date to forecast from.")],
    version: Annotated[str, typer.Option(help="The challenger.", show_default="the one registered last")] = "",
    symbols_file: Annotated[str, typer.Option(metavar="FILE", help="Only these symbols.")] = "",
) -> None:
    """Compare a challenger with the champion on past sessions, and serve it if it is measurably better.

    Exit code 1 means that the champion stays.
    """
    store, registry = _store_and_registry()
    challenger = registry.bundle(MODEL, version or _aliased(registry, CHALLENGER_ALIAS))
    symbols = [parse_symbol(word) for word in _words_of(symbols_file)] or bootstrap.known_symbols(data)
    with _progress("forecasts", total=1) as progress:
        decision = promote_model(
            challenger,
            read_champion(store),
            bootstrap.market_data(data),
            symbols,
            _as_of(first),
            _as_of(last),
            load=bootstrap.load_bundle,
            peers=bootstrap.yardstick,
            store=store,
            registry=registry,
            on_progress=progress.set,
        )
    verdict = "promoted" if decision.promote else "kept the champion"
    _say(f"{verdict}: version {challenger.card.version} is {decision.reason}")
    if not decision.promote:
        raise typer.Exit(SOME_FAILED)


@app.command(epilog="Example: tickercast publish --version 3")
def publish(
    version: Annotated[str, typer.Option(help="The registered version to serve, without a comparison.")],
) -> None:
    """Serve a registered version, without a comparison."""
    store, registry = _store_and_registry()
    publish_model(registry.bundle(MODEL, version), store=store, registry=registry)
    _say(f"version {version} is served from {store.url}")


@app.command(epilog="Example: tickercast rollback --to 2")
def rollback(
    to: Annotated[str, typer.Option(help="The published version.", show_default="the one before")] = "",
) -> None:
    """Serve an older published version again; needs neither TensorFlow nor MLflow."""
    store = bootstrap.object_store(config.load())
    bundle = roll_back(store, to or None)
    _say(f"version {bundle.card.version} is served from {store.url}")


@app.command(epilog='Example: tickercast query "SELECT symbol, verdict FROM forecast_skill WHERE step IS NULL"')
def query(
    text: Annotated[str, typer.Argument(metavar="SQL", help="One SELECT in BigQuery's dialect, over plain names.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV and nothing else.")] = False,
) -> None:
    """Ask the warehouse, whichever engine is configured."""
    if as_json and as_csv:
        raise UsageError("--json and --csv were given, and one form was needed. Leave one out.")
    found = bootstrap.warehouse(config.load()).query(text)
    if as_json:
        print(found.to_json(orient="records", date_format="iso", double_precision=15, indent=2))
    elif as_csv:
        print(found.to_csv(index=False), end="")
    else:
        _console().print(screen.rows_table(found))


@app.command(epilog="Example: tickercast compact")
def compact() -> None:
    """Drop the rows that newer files have replaced; no view changes, and events may go on coming in."""
    warehouse = bootstrap.warehouse(config.load())
    with _progress(f"compacting {warehouse.url}"):
        dropped = warehouse.compact()
    _say(", ".join(f"{count:,} rows of {table}" for table, count in dropped.items()) + " dropped")


sql_app = typer.Typer(
    name="sql", no_args_is_help=True, rich_markup_mode=None, epilog="Example: tickercast sql show indicators"
)
app.add_typer(sql_app)


@sql_app.callback()
def sql() -> None:
    """Look at the tables and views, and bring the warehouse up to their files."""


@sql_app.command("diff", epilog="Example: tickercast sql diff")
def sql_diff() -> None:
    """List what is missing in the warehouse or has changed; exit code 1 where there is something."""
    warehouse = bootstrap.warehouse(config.load())
    pending = warehouse.pending()
    for name, how in pending.items():
        _say(f"{how}  {name}")
    if pending:
        raise typer.Exit(SOME_FAILED)
    _say(f"{warehouse.url} has every table and view as its file states it")


@sql_app.command("apply", epilog="Example: tickercast sql apply")
def sql_apply() -> None:
    """Create what is missing, and replace views whose file has changed; no row is lost."""
    warehouse = bootstrap.warehouse(config.load())
    with _progress(f"applying sql to {warehouse.url}"):
        applied = warehouse.provision()
    _say(f"applied: {', '.join(applied)}" if applied else f"nothing to apply to {warehouse.url}")


@sql_app.command("show", epilog="Example: tickercast sql show indicators")
def sql_show(name: Annotated[str, typer.Argument(metavar="NAME", help="A table or view.")]) -> None:
    """Print the statement behind a table or view."""
    print(bootstrap.statement(name), end="")


@app.command(epilog="Example: tickercast doctor")
def doctor() -> None:
    """Say which engines are configured, and whether each answers."""
    with _progress("asking the engines"):
        checks = list(doctor_checks.checks(config.load()))
    _console().print(screen.checks_table(checks))
    if not all(well for *_, well in checks):
        raise typer.Exit(SOME_FAILED)


def run(argv: Sequence[str] | None = None) -> NoReturn:
    """Runs the command line and leaves the process.

    Args:
        argv: the words after the program's name; those of the process where none are given.
    """
    logging.getLogger("tickercast").addHandler(logging.NullHandler())
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that knows no «…» shows a question mark
    try:
        app(argv, prog_name="tickercast")
    except TickercastError as error:
        _complain(str(error))
    except OSError as error:
        _complain(f"A file or the output cannot be written: {error.strerror}. Check the disk and the rights.")
    except Exception:  # the last resort: a fault of ours must not end in a traceback on the user's screen
        with tempfile.NamedTemporaryFile("w", prefix="tickercast-", suffix=".log", delete=False) as file:
            traceback.print_exc(file=file)
        _complain(f"tickercast failed in a way that it should not have. What it knows is in {file.name}.")
    sys.exit(NOTHING_WORKED)


def _store_and_registry() -> tuple[ObjectStore, ModelRegistry]:
    settings = config.load()
    store, registry = bootstrap.object_store(settings), bootstrap.model_registry(settings)
    bootstrap.provisioned(store, bootstrap.warehouse(settings))
    return store, registry


def _aliased(registry: ModelRegistry, alias: str) -> str:
    version = registry.aliased(MODEL, alias)
    if version is None:
        raise UsageError(f"{registry.url} has no {alias} of {MODEL}. Train one: tickercast train --source sample.")
    return version


def _request(words: Sequence[str], symbols_file: str) -> tuple[list[str], date, dict[str, Permanent]]:
    """Reads TICKER... DATE; a malformed symbol does not sink the others."""
    if not words:
        raise UsageError("No ticker and no date were given, and both are needed: tickercast forecast MSFT 2023-07-22.")
    as_of = _as_of(words[-1])
    symbols: dict[str, None] = {}
    refused: dict[str, Permanent] = {}
    for word in [*words[:-1], *_words_of(symbols_file)]:
        try:
            symbols[parse_symbol(word)] = None
        except UsageError as error:
            refused[word] = error
    if not symbols:
        raise next(
            iter(refused.values()), UsageError(f"A date and no ticker was given: tickercast forecast MSFT {as_of}.")
        )
    return list(symbols), as_of, refused


def _as_of(word: str) -> date:
    try:
        as_of = date.fromisoformat(word)
    except ValueError as error:
        raise UsageError(
            f"{word[:40]!r} is not a date: one was needed as the last word, written YYYY-MM-DD, "
            "as in tickercast forecast MSFT 2023-07-22."
        ) from error
    if as_of.year < _FIRST_YEAR or as_of > date.today():
        raise UsageError(f"{as_of} is out of range: a date from {_FIRST_YEAR} up to today, {date.today()}, was needed.")
    return as_of


def _recipe(path: str) -> Recipe | None:
    if not path:
        return None
    try:
        return read_recipe(Path(path).read_bytes())
    except OSError as error:
        raise UsageError(f"{path} cannot be read as a recipe: {error.strerror}. Name what tune has written.") from error


@contextmanager
def _stoppable(url: str) -> Iterator[None]:
    """Ends with a sentence where the user stops what can be gone on with."""
    try:
        yield
    except KeyboardInterrupt as stop:
        _complain(f"Stopped. What has finished is kept in {url}: the same command goes on from there.")
        raise typer.Exit(SOME_FAILED) from stop


def _words_of(symbols_file: str) -> list[str]:
    if not symbols_file:
        return []
    try:
        lines = Path(symbols_file).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{symbols_file} cannot be read as a text file of symbols: {error}. Name another.") from error
    words = [word for line in lines for word in line.partition("#")[0].replace(",", " ").split()]
    if not words:
        raise UsageError(f"{symbols_file} holds no symbol: one a line was needed.")
    return words


def _show(
    collected: Collected,
    followed: Mapping[str, Mapping[date, float]] | None,
    learned: Mapping[str, date],
    store: str,
    warehouse: str,
) -> None:
    console = _console()
    if len(collected.forecasts) >= screen.SUMMARY_FROM:
        console.print(screen.summary_table(collected.forecasts))
    else:
        for made in collected.forecasts:
            actual = followed.get(made.symbol, {}) if followed is not None else None
            through = learned.get(made.symbol, date.min)
            console.print(screen.forecast_table(made, actual, store, through), soft_wrap=True)
    if collected.forecasts:
        console.print(f"prices and forecasts are in {warehouse}", style="dim", highlight=False, soft_wrap=True)


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
        _console().print(screen.entries_table(found), soft_wrap=True)
    for (name, _), ledger in zip(sent, ledgers, strict=True):
        if ledger.empty:
            _complain(
                f"{name} was sent, and {patience.seconds:.0f} s later nothing is stored of it. Check that the function "
                f"is deployed and what it logs; look later with tickercast ingestions {name}."
            )
    if any(ledger.empty or not ledger["status"].eq("forecast").all() for ledger in ledgers):
        raise typer.Exit(SOME_FAILED)


def _say_sent(name: str, generation: int) -> None:
    _say(f"{name}#{generation} was sent. What becomes of it: tickercast ingestions {name}")


def _finish(worked: bool, failures: Mapping[str, Permanent], refused: Mapping[str, Permanent]) -> None:
    for reason in refused.values():
        _complain(str(reason))
    for name, reason in failures.items():
        _complain(str(reason) if name in str(reason) else f"{name}: {reason}")
    if failures or refused:
        raise typer.Exit(SOME_FAILED if worked else NOTHING_WORKED)


class _Bar:
    """A progress bar on a terminal, and nothing on a pipe."""

    def __init__(self, progress: Progress, label: str, total: int | None) -> None:
        self._progress = progress
        self._task = progress.add_task(label, total=total)

    def advance(self, count: int) -> None:
        """Moves the bar by `count` and shows at once that something happened."""
        self._progress.advance(self._task, count)

    def say(self, label: str) -> None:
        """Changes what the bar is called."""
        self._progress.update(self._task, description=label)

    def set(self, done: float, total: int, label: str | None = None) -> None:
        """Puts the bar where it belongs, and changes what stands before it."""
        self._progress.update(self._task, completed=done, total=total, description=label)


@contextmanager
def _progress(label: str, total: int | None = None) -> Iterator[_Bar]:
    columns = [SpinnerColumn(), TextColumn("{task.description}")]
    if total is not None:
        columns += [BarColumn(), MofNCompleteColumn()]
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        yield _Bar(progress, label, total)


@contextmanager
def _waiting(settings: Settings, seconds: float) -> Iterator[Patience]:
    """Waits before the user's eyes; several waits within share the time."""
    seconds = min(seconds, _AT_ONCE_S) if bootstrap.delivers_at_once(settings) else seconds
    with _progress("reading what the function stored") as progress:
        yield Patience(
            seconds, lambda waited: progress.say(f"waiting for the function: {waited:.0f} s of {seconds:.0f} s")
        )


def _console() -> Console:
    # A table is never cut: on a narrower terminal its lines wrap, and no digit is lost.
    return Console(width=max(Console().width, _TABLE_WIDTH))


def _say(sentence: str) -> None:
    _console().print(sentence, markup=False, highlight=False, soft_wrap=True)


def _complain(sentence: str) -> None:
    Console(stderr=True).print(sentence, style="red", markup=False, highlight=False, soft_wrap=True)
