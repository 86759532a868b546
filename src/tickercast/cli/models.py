"""Commands about models: train, tune, measure, and choose which one is served."""

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated

import typer

from tickercast import config
from tickercast import engines as bootstrap
from tickercast.cli.terminal import SOME_FAILED, bar, complain, day_of, say, terminal, words_of
from tickercast.domain.evaluation import by, report
from tickercast.domain.model_card import CHALLENGER_ALIAS, MODEL
from tickercast.domain.recipe import Recipe, read_recipe, to_json
from tickercast.domain.symbols import parse_symbol
from tickercast.errors import UsageError
from tickercast.jobs.champion.model_store import publishable, published_versions, read_champion, read_pointer
from tickercast.jobs.champion.model_store import rollback as roll_back
from tickercast.jobs.champion.promote import promote as promote_model
from tickercast.jobs.champion.promote import publish as publish_model
from tickercast.jobs.training.evaluate import backtest as run_backtest
from tickercast.jobs.training.train import train as train_model
from tickercast.jobs.training.tune import tune as tune_recipe
from tickercast.ports import ModelRegistry, ObjectStore
from tickercast.show import chart
from tickercast.show import tables as screen

app = typer.Typer(rich_markup_mode=None)

_FIRST_TRAINING_YEAR = 2000
_SAMPLE_THROUGH, _MEASURED = "2010-12-31", timedelta(days=2 * 365)
_USUAL_THROUGH = f"two years ago; {_SAMPLE_THROUGH} for the sample"

Tickers = Annotated[
    list[str] | None,
    typer.Argument(metavar="TICKER", help="What to learn from; if none is named, all that the source holds."),
]
Bars = Annotated[
    str,
    typer.Option(
        "--source",
        "--data",
        help="yahoo, sample, simulated, or a folder of CSV or Parquet files.",
        show_default="yahoo",
    ),
]


@app.command(epilog="Example: tickercast train --source sample --through 2010-12-31 --out DIR")
def train(
    tickers: Tickers = None,
    source: Bars = "",
    through: Annotated[
        str,
        typer.Option(
            metavar="DATE",
            help="The last date to learn from; what follows measures the model.",
            show_default=_USUAL_THROUGH,
        ),
    ] = "",
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
    seeds: Annotated[int, typer.Option(metavar="N", min=1, max=99, help="Average so many networks.")] = 5,
    out: Annotated[str, typer.Option(metavar="DIR", help="Write the registered bundle there too.")] = "",
) -> None:
    """Train the LSTM, register it in MLflow as the challenger, and write its ONNX bundle."""
    settings = config.load()
    name, chosen = source or settings.source, _recipe(recipe)
    symbols = [parse_symbol(word) for word in tickers or []] or bootstrap.known_symbols(name)
    fit, registry, learned_through = (
        bootstrap.trainer(),
        bootstrap.model_registry(settings),
        _learned_through(through, name),
    )
    bootstrap.seed(registry)
    with bar("epochs", total=1) as progress:
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
            seeds=range(1, seeds + 1),
            hold_out=hold_out,
            on_progress=progress.set,
            on_failure=lambda symbol, reason: complain(f"{symbol}: {reason}"),
        )
    terminal().print(screen.card_table(bundle.card))
    if out:
        for path, content in publishable(bundle).items():
            (Path(out) / path).parent.mkdir(parents=True, exist_ok=True)
            (Path(out) / path).write_bytes(content)
        say(f"written to {out}")


@app.command(epilog="Example: tickercast tune --source sample --trials 20 --out recipe.json")
def tune(
    tickers: Tickers = None,
    trials: Annotated[int, typer.Option(min=1, help="That shall have finished, those of earlier calls included.")] = 20,
    source: Bars = "",
    through: Annotated[
        str, typer.Option(metavar="DATE", help="The last date to learn from.", show_default=_USUAL_THROUGH)
    ] = "",
    out: Annotated[str, typer.Option(metavar="FILE", help="Write the best recipe there, for train.")] = "recipe.json",
) -> None:
    """Search for a better recipe for the LSTM; a search that was stopped goes on where it was."""
    settings = config.load()
    name = source or settings.source
    symbols = [parse_symbol(word) for word in tickers or []] or bootstrap.known_symbols(name)
    prepare, learned_through = bootstrap.preparer(), _learned_through(through, name)
    search, tracker = bootstrap.recipe_search(settings), bootstrap.study_tracker(settings)
    with bar("trials", total=trials) as progress, _stoppable(search.url):
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
            on_failure=lambda symbol, reason: complain(f"{symbol}: {reason}"),
        )
    terminal().print(screen.study_table(tuned))
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    Path(out).write_text(to_json(tuned.best.recipe), encoding="utf-8")
    say(f"written to {out}, for: tickercast train --recipe {out}")


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
    store = bootstrap.model_store(settings)
    bootstrap.provisioned(store, bootstrap.warehouse(settings))
    judged = bootstrap.predictor(model, store)
    slow = [bootstrap.peer(name) for name in peer or []]
    symbols = [parse_symbol(word) for word in words_of(symbols_file)] or bootstrap.known_symbols(data)
    with bar("forecasts", total=1) as progress:
        tables = run_backtest(
            bootstrap.market_data(data),
            symbols,
            day_of(first),
            day_of(last),
            models={judged.name: judged},
            peers=functools.partial(bootstrap.peers, slow=slow),
            every=every,
            windows=windows or None,
            on_progress=progress.set,
            on_failure=lambda symbol, reason: complain(str(reason)),
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
    terminal().print(screen.report_table(told))
    if through and through >= day_of(first):
        complain(screen.SEEN.format(through))


@app.command(epilog="Example: tickercast models")
def models() -> None:
    """List the registered versions, and which one is served."""
    store, registry = _store_and_registry()
    served = read_pointer(store)
    terminal().print(screen.models_table(registry.versions(MODEL), served.version, published_versions(store, MODEL)))


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
    symbols = [parse_symbol(word) for word in words_of(symbols_file)] or bootstrap.known_symbols(data)
    with bar("forecasts", total=1) as progress:
        decision = promote_model(
            challenger,
            read_champion(store),
            bootstrap.market_data(data),
            symbols,
            day_of(first),
            day_of(last),
            load=bootstrap.load_bundle,
            peers=bootstrap.yardstick,
            store=store,
            registry=registry,
            on_progress=progress.set,
        )
    verdict = "promoted" if decision.promote else "kept the champion"
    say(f"{verdict}: version {challenger.card.version} is {decision.reason}")
    if not decision.promote:
        raise typer.Exit(SOME_FAILED)


@app.command(epilog="Example: tickercast publish --version 3")
def publish(
    version: Annotated[str, typer.Option(help="The registered version to serve, without a comparison.")],
) -> None:
    """Serve a registered version, without a comparison."""
    store, registry = _store_and_registry()
    publish_model(registry.bundle(MODEL, version), store=store, registry=registry)
    say(f"version {version} is served from {store.url}")


@app.command(epilog="Example: tickercast rollback --to 2")
def rollback(
    to: Annotated[str, typer.Option(help="The published version.", show_default="the one before")] = "",
) -> None:
    """Serve an older published version again; needs neither TensorFlow nor MLflow."""
    store = bootstrap.model_store(config.load())
    bundle = roll_back(store, to or None)
    say(f"version {bundle.card.version} is served from {store.url}")


def _store_and_registry() -> tuple[ObjectStore, ModelRegistry]:
    settings = config.load()
    store, registry = bootstrap.model_store(settings), bootstrap.model_registry(settings)
    bootstrap.provisioned(store, bootstrap.warehouse(settings))
    return store, registry


def _aliased(registry: ModelRegistry, alias: str) -> str:
    version = registry.aliased(MODEL, alias)
    if version is None:
        raise UsageError(f"{registry.url} has no {alias} of {MODEL}. Train one: tickercast train --source sample.")
    return version


def _learned_through(through: str, source: str) -> date:
    """The date that was asked for, or one that leaves enough sessions to measure the model."""
    if not through and source != "sample":
        return date.today() - _MEASURED
    return day_of(through or _SAMPLE_THROUGH)


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
        complain(f"Stopped. What has finished is kept in {url}: the same command goes on from there.")
        raise typer.Exit(SOME_FAILED) from stop
