"""Commands about models: train, tune, evaluate, and choose which one is served."""

import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from tickercast.cli import completion, outputs
from tickercast.cli.commands import Commands
from tickercast.cli.terminal import (
    DAILY_SOURCES,
    HOURLY_SOURCES,
    SOME_FAILED,
    AnySource,
    Every,
    Source,
    SymbolsFile,
    bar,
    complain,
    day_of,
    open_app,
    print_table,
    say,
    say_how_far,
    some_symbols_of,
    step_of,
    today,
)
from tickercast.errors import UsageError

if TYPE_CHECKING:
    from tickercast.domain.findings import Finding, Findings
    from tickercast.domain.learning.recipe import Recipe
    from tickercast.ports import StudyResult

app = Commands()

_SAMPLE_THROUGH, _EVALUATED = "2010-12-31", timedelta(days=2 * 365)
_DEFAULT_THROUGH = f"two years ago; {_SAMPLE_THROUGH} for the sample"

Tickers = Annotated[
    list[str] | None,
    typer.Argument(
        autocompletion=completion.symbols,
        metavar="[TICKER]...",
        help="The symbols to train on.",
        show_default="all that the source holds",
    ),
]
Data = Annotated[
    str,
    typer.Option("--source", metavar="SOURCE", help=f"{DAILY_SOURCES}.", autocompletion=completion.sources),
]
AnyData = Annotated[
    str,
    typer.Option(
        "--source",
        metavar="SOURCE",
        help=f"{DAILY_SOURCES}; hourly: {HOURLY_SOURCES}.",
        autocompletion=completion.sources,
    ),
]
First = Annotated[str, typer.Option("--from", metavar="DATE", help="The first date to forecast from.")]
Last = Annotated[str, typer.Option("--to", metavar="DATE", help="The last date to forecast from.")]
Events = Annotated[
    str,
    typer.Option(
        metavar="FILE|stored", help="Results days: a CSV file with symbol and date, or those in the warehouse."
    ),
]


@app.command(epilog="Example: tickercast train --source sample --through 2010-12-31 --out DIR")
def train(
    tickers: Tickers = None,
    source: AnySource = "",
    through: Annotated[
        str,
        typer.Option(
            metavar="DATE",
            help="The last date to train on; later dates evaluate the model.",
            show_default=_DEFAULT_THROUGH,
        ),
    ] = "",
    recipe: Annotated[
        str,
        typer.Option(
            metavar="FILE", help="A recipe written by tune, as JSON.", show_default="one that suits the amount of data"
        ),
    ] = "",
    hold_out: Annotated[
        int,
        typer.Option(metavar="N", min=0, help="Hold out every N-th symbol for evaluation; 0 holds out none."),
    ] = 0,
    events: Events = "",
    seeds: Annotated[
        int, typer.Option(metavar="N", min=0, max=99, help="Networks to average.", show_default="5; hourly: 3")
    ] = 0,
    every: Annotated[
        str, typer.Option(metavar="1d|1h", help="The bars: 1h trains har-season, and networks on top of it.")
    ] = "1d",
    direction: Annotated[
        bool, typer.Option("--direction", help="With --every 1h: train the model of the next hour's direction.")
    ] = False,
    trials: Annotated[
        int, typer.Option(metavar="N", min=0, help="With --direction: recipes to try, including earlier runs.")
    ] = 0,
    when_due: Annotated[
        bool, typer.Option("--when-due", help="With --direction: train only when due, and serve the result.")
    ] = False,
    out: Annotated[
        str, typer.Option(metavar="DIR", help="Also write the registered bundle below DIR, to models/NAME/VERSION.")
    ] = "",
) -> None:
    """Train the LSTM, and register it as the challenger.

    It is registered in MLflow; --out writes its ONNX bundle.
    """
    from tickercast.domain.frequency import frequency_of
    from tickercast.model_store import publishable
    from tickercast.show.tables import card_table

    if not frequency_of(every).is_daily:
        if recipe or hold_out or events:
            raise UsageError(
                "--recipe, --hold-out and --events are for daily bars: leave them out, or leave --every 1h out."
            )
        if when_due and not direction:
            raise UsageError("--when-due is for the direction model: add --direction, or leave it out.")
        if when_due and (through or trials or seeds or out):
            raise UsageError(
                "--when-due learns up to now, by the usual recipe, and serves what it trains: leave out --through, "
                "--trials, --seeds and --out, or leave --when-due out."
            )
        if direction and seeds:
            raise UsageError("--seeds is for networks, and --direction grows trees: leave one of them out.")
        if trials and not direction:
            raise UsageError("--trials is for the direction model: add --direction, or leave it out.")
        if when_due:
            _refit_direction(tickers or [], source)
            return
        outputs.check_folder("--out", out)
        _write(_train_hourly(tickers or [], source, through, seeds, direction, trials), out)
        return
    if direction or trials or when_due:
        raise UsageError("--direction, --trials and --when-due need hourly bars: add --every 1h, or leave them out.")
    outputs.check_folder("--out", out)
    service, chosen = open_app(), _recipe(recipe)
    with _telling() as on_findings, bar("epochs", total=1) as progress:
        bundle = service.train(
            some_symbols_of(tickers or []),
            _through(through, source or service.settings.source),
            source=source,
            recipe=chosen,
            hold_out=hold_out,
            events=events,
            seeds=range(1, (seeds or 5) + 1),
            on_progress=progress.set,
            on_failure=lambda symbol, reason: complain(f"{symbol}: {reason}"),
            on_findings=on_findings,
        )
    print_table(card_table(bundle.card))
    _write(publishable(bundle), out, "tickercast backtest --model")


@contextmanager
def _telling() -> "Iterator[Callable[[Findings], None]]":
    """Take what was left out of bars or changed when they were read, and say it once the work is done."""
    from tickercast.show.sentences import odd_bars

    odd: dict[str, Sequence[Finding]] = {}
    yield odd.update
    for line in odd_bars(odd):
        complain(line)


def _refit_direction(tickers: list[str], source: str) -> None:
    """Grow the trees of the direction model again if that is due, and say what came of it."""
    with bar("growing trees"):
        done = open_app().refit_direction(some_symbols_of(tickers), source=source)
    say(f"xgb-direction: {done.reason}")
    if done.comparison:
        say(done.comparison)
        say(
            f"version {done.version} {'is served now' if done.is_new else 'stays: the new trees are shown to be worse'}"
        )


def _train_hourly(
    tickers: list[str], source: str, through: str, seeds: int, direction: bool, trials: int
) -> dict[str, bytes]:
    """Train the models of hourly bars, show what they are, and return the files of their bundles."""
    from tickercast.domain.cards.model_card import pointer_object
    from tickercast.domain.frequency import HOURLY
    from tickercast.model_store import described, pointer_json
    from tickercast.show.tables import card_table

    service = open_app()
    symbols, last = some_symbols_of(tickers), _through(through, source)

    def on_failure(symbol: str, reason: Exception) -> None:
        complain(f"{symbol}: {reason}")

    if direction:
        with _telling() as on_findings, bar("trials", total=max(trials, 1)) as progress:
            made = service.train_direction(
                symbols,
                last,
                source=source,
                trials=trials,
                on_progress=lambda done, total: progress.set(done, total),
                on_failure=on_failure,
                on_findings=on_findings,
            )
        print_table(card_table(made.bundle.card))
        say(f"{made.bundle.card.name} is {made.report['verdict']}")
        return described(made.bundle)
    with _telling() as on_findings, bar("steps", total=1) as progress:
        trained = service.train_hourly(
            symbols,
            last,
            source=source,
            seeds=range(1, (seeds or 3) + 1),
            on_progress=progress.set,
            on_failure=on_failure,
            on_findings=on_findings,
        )
    for bundle in trained.bundles:
        print_table(card_table(bundle.card))
    say(f"{trained.champion.card.name} is the champion: the LSTM is {trained.decision.reason}")
    files = {path: content for bundle in trained.bundles for path, content in described(bundle).items()}
    return files | {pointer_object(HOURLY): pointer_json(trained.pointer)}


def _write(files: Mapping[str, bytes], out: str, use: str = "") -> None:
    """Write the files to a folder if one is named, and say in which folders the bundles are, and what takes them."""
    if out:
        written = [outputs.write_file(Path(out) / path, content) for path, content in files.items()]
        folders = ", ".join(str(path.parent) for path in written if path.name == "model.json")
        say(f"written to {folders}{f', for: {use} {folders}' if use else ''}")


@app.command(epilog="Example: tickercast tune --source sample --trials 20 --out recipe.json")
def tune(
    tickers: Tickers = None,
    trials: Annotated[
        int, typer.Option(metavar="N", min=1, help="Total trials to finish, including earlier runs.")
    ] = 20,
    source: Source = "",
    through: Annotated[
        str, typer.Option(metavar="DATE", help="The last date to train on.", show_default=_DEFAULT_THROUGH)
    ] = "",
    out: Annotated[str, typer.Option(metavar="FILE", help="Write the best recipe to FILE, for train.")] = "recipe.json",
) -> None:
    """Search for a better recipe for the LSTM.

    An interrupted search is resumed.
    """
    from tickercast.domain.learning.recipe import recipe_json
    from tickercast.show.tables import study_line, study_table

    outputs.check_file("--out", out, makes_folder=True)
    service = open_app()
    with (
        _telling() as on_findings,
        bar("trials", total=trials) as progress,
        _resumable(service.studies_url) as end_if_asked,
    ):

        def on_progress(done: float, study: "StudyResult[Recipe]") -> None:
            progress.set(done, trials, study_line(study))
            end_if_asked()

        study = service.tune(
            some_symbols_of(tickers or []),
            _through(through, source or service.settings.source),
            trials=trials,
            source=source,
            on_progress=on_progress,
            on_failure=lambda symbol, reason: complain(f"{symbol}: {reason}"),
            on_findings=on_findings,
        )
    print_table(study_table(study))
    outputs.write_file(out, recipe_json(study.best.recipe).encode())
    say(f"written to {out}, for: tickercast train --recipe {out}")


@app.command(
    epilog="Example: tickercast backtest --source sample --from 2011-01-01 --to 2013-02-28 --chart backtest.png"
)
def backtest(
    source: AnyData,
    first: First,
    last: Last,
    every: Annotated[
        str,
        typer.Option(
            metavar="N|Nh",
            help="Forecast from every N-th session; 1h: from every hour of hourly bars.",
            show_default="10",
        ),
    ] = "",
    symbols_file: SymbolsFile = "",
    model: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="champion, random-walk, ewma-t, historical-simulation, a statistical model, or a bundle's folder; "
            "hourly: champion, har-season, ewma-season, ewma-t, tickercast-lstm-1h or tickercast-plain-1h "
            "(repeatable: others are compared with the first).",
            show_default="champion",
            autocompletion=completion.models,
        ),
    ] = None,
    peer: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Also compare with a statistical model: garch, auto-arima, auto-ets, auto-theta or prophet "
            "(repeatable).",
            autocompletion=completion.peers,
        ),
    ] = None,
    windows: Annotated[int, typer.Option(min=0, metavar="N", help="Draw N origins at random; 0 takes all.")] = 0,
    events: Events = "",
    dask: Annotated[
        str,
        typer.Option(
            metavar="N|ADDRESS", help="Spread the forecasts over N processes, or over the cluster of a Dask scheduler."
        ),
    ] = "",
    check_leaks: Annotated[
        bool, typer.Option("--check-leaks", help="Only check that no forecast changes when later bars are cut off.")
    ] = False,
    json_out: Annotated[str, typer.Option("--json", metavar="FILE", help="Write the figures to FILE, as JSON.")] = "",
    chart_out: Annotated[
        str, typer.Option("--chart", metavar="FILE", help="Draw reliability and loss by step to FILE, a PNG.")
    ] = "",
) -> None:
    """Evaluate a model on past sessions, beside the baselines."""
    from tickercast.domain.frequency import HOURLY
    from tickercast.domain.measures.evaluation import by_group, evaluation_report, report_json
    from tickercast.models.catalogue import trained_through
    from tickercast.show import sentences, tables

    service, names = open_app(), [*(model or ["champion"]), *(peer or [])]
    frequency, step = step_of(every or "10")
    begin, end, symbols = day_of(first), day_of(last), some_symbols_of([], symbols_file)
    if frequency == HOURLY and (dask or events):
        raise UsageError("--dask and --events are for daily bars. Leave them out, or leave out --every 1h.")
    if check_leaks:
        if json_out or chart_out or windows or dask or every not in ("", "1h"):
            raise UsageError(
                "--check-leaks takes an origin of each month, in this process, and writes no figures and draws no "
                "chart: leave out --windows, --dask, --json and --chart, and --every but for --every 1h."
            )
        with _telling() as on_findings, bar("origins", total=1) as progress:
            worst = service.leaks(
                names,
                begin,
                end,
                source=source,
                symbols=symbols,
                frequency=frequency,
                events=events,
                on_progress=progress.set,
                on_failure=lambda symbol, reason: complain(f"{symbol}: {reason}"),
                on_findings=on_findings,
            )
        _print_leaks(worst)
        return

    outputs.check_file("--json", json_out, makes_folder=True)
    outputs.check_file("--chart", chart_out, outputs.PICTURE, makes_folder=True)
    left_out: dict[str, str] = {}

    def on_failure(symbol: str, reason: Exception) -> None:
        left_out[symbol] = str(reason)

    with _telling() as on_findings, bar("forecasts", total=1) as progress:
        losses, compared = service.evaluate(
            names,
            begin,
            end,
            source=source,
            symbols=symbols,
            frequency=frequency,
            every=step,
            windows=windows or None,
            events=events,
            dask=dask,
            on_progress=progress.set,
            on_failure=on_failure,
            on_findings=on_findings,
        )
    report = evaluation_report(losses, frequency)
    report["versions"] = {label: one.version for label, one in compared.items()}
    report["left_out"] = left_out
    through = trained_through(compared[report["model"]])
    if through:
        report["trained_through"] = through.isoformat()
    print_table(tables.report_table(report))
    if through and through >= day_of(first):
        complain(sentences.SEEN.format(through))
    if json_out:
        outputs.write_file(json_out, report_json(report).encode())
    if chart_out:
        (_, _), *others = losses.items()
        steps = {name: by_group(table, "step") for name, table in others}
        outputs.write_file(chart_out, service.draw_evaluation(report, steps))


def _print_leaks(worst: Mapping[str, float]) -> None:
    """Print the largest difference of each model, and end with exit code 1 if one is not zero."""
    for name, difference in worst.items():
        say(f"{name}: {difference:g}")
    looked_ahead = [name for name, difference in worst.items() if difference]
    if looked_ahead:
        complain(f"{', '.join(looked_ahead)}: a forecast changed when later bars were cut off, so it had seen them.")
        raise typer.Exit(SOME_FAILED)


@app.command(epilog="Example: tickercast models --every 1h")
def models(every: Every = "1d") -> None:
    """List the versions of the models, and which of them are served.

    Daily: the registered versions. Hourly: the published ones, with the models served beside the champion.
    """
    from tickercast.domain.frequency import frequency_of
    from tickercast.show.tables import hourly_models_table, models_table

    service = open_app()
    if frequency_of(every).is_daily:
        unreadable: dict[str, Exception] = {}
        found = service.registered_models(on_failure=unreadable.__setitem__)
        for reason in unreadable.values():
            complain(str(reason))
        if not found[0] and not unreadable:
            say("No version is registered yet: the first training creates the registry.")
        print_table(models_table(*found, shipped=service.models.shipped_pointer.version))
    else:
        print_table(hourly_models_table(*service.hourly_versions()))


@app.command(epilog="Example: tickercast promote --source prices.parquet --from 2022-01-01 --to 2022-12-15")
def promote(
    source: Data,
    first: Annotated[
        str, typer.Option("--from", metavar="DATE", help="The first date; neither model may have seen it.")
    ],
    last: Last,
    version: Annotated[
        str, typer.Option(metavar="VERSION", help="The challenger.", show_default="the one registered last")
    ] = "",
    symbols_file: SymbolsFile = "",
    events: Events = "",
) -> None:
    """Serve a challenger of daily bars if it is measurably better.

    It is compared with what is served on past sessions. A champion that is shown to be worse than a baseline makes
    place for that. Exit code 1 means that the challenger is not served.
    """
    service = open_app()
    with _telling() as on_findings, bar("forecasts", total=1) as progress:
        decision, challenger = service.promote(
            day_of(first),
            day_of(last),
            source=source,
            version=version,
            symbols=some_symbols_of([], symbols_file),
            events=events,
            on_progress=progress.set,
            on_failure=lambda symbol, reason: complain(f"{symbol}: {reason}"),
            on_findings=on_findings,
        )
    subject = "" if decision.action == "demoted" else f"version {challenger.card.version} is "
    verdict = {"promoted": "promoted", "kept": "kept what is served", "demoted": "demoted"}[decision.action]
    say(f"{verdict}: {subject}{decision.reason}")
    if not decision.promote:
        raise typer.Exit(SOME_FAILED)
    pointer = service.models.pointer()
    if pointer.shadow:
        say(f"it is on probation: version {pointer.shadow} goes on forecasting, and the daily run compares the two")
    if challenger.card.adapts and pointer.widths.through is None:
        say(_UNLEARNT)


@app.command(epilog="Example: tickercast publish --version 3")
def publish(
    version: Annotated[
        str, typer.Option(metavar="VERSION", help="The registered version to serve, without a comparison.")
    ],
) -> None:
    """Serve a registered version of daily bars, without a comparison.

    A probation that is running ends: the version that was replaced forecasts no longer beside its successor.
    """
    service = open_app()
    before = service.publish(version)
    say(f"version {version} is served from {service.models.url}")
    if before and before.shadow:
        say(f"the probation of version {before.version} has ended, and version {before.shadow} is no longer its shadow")
    if service.models.champion().card.adapts and service.models.pointer().widths.through is None:
        say(_UNLEARNT)


@app.command(epilog="Example: tickercast rollback --to 2")
def rollback(
    to: Annotated[
        str,
        typer.Option(
            metavar="VERSION|NAME",
            help="The published version; hourly: also a companion, which takes the champion's place.",
            show_default="the one served before",
        ),
    ] = "",
    every: Every = "1d",
    direction: Annotated[
        bool, typer.Option("--direction", help="With --every 1h: the model of the next hour's direction.")
    ] = False,
) -> None:
    """Serve what was served before, or the champion after a baseline.

    The daily flow promotes nothing for ten sessions after that, and the hourly flow serves nothing newer until a month
    begins. Neither TensorFlow nor MLflow is needed.
    """
    from tickercast.domain.frequency import frequency_of

    frequency, service = frequency_of(every), open_app()
    if direction and frequency.is_daily:
        raise UsageError("--direction needs hourly bars: add --every 1h, or leave it out.")
    card = service.rollback(to or None, frequency=frequency, direction=direction).card
    say(f"{card.name} version {card.version} is served from {service.models.url}")


_UNLEARNT = "the next daily run learns how wide its intervals have to be; forecasts until then have the network's own"


def _through(through: str, source: str) -> date:
    """The date that was given, or one that leaves enough sessions to evaluate the model."""
    if not through and source != "sample":
        return today() - _EVALUATED
    return day_of(through or _SAMPLE_THROUGH)


def _recipe(path: str) -> "Recipe | None":
    from tickercast.domain.learning.recipe import read_recipe

    if not path:
        return None
    try:
        return read_recipe(Path(path).read_bytes())
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read as a recipe: {error.strerror}. Name a file that tune has written."
        ) from error


@contextmanager
def _resumable(url: str) -> Iterator[Callable[[], None]]:
    """Say that a search can be resumed if the user interrupts it.

    TensorFlow bears no exception in the midst of its work, so Ctrl-C is heeded between epochs; a second one at once.

    Yields:
        What ends the search if Ctrl-C was pressed, to be called between epochs.
    """
    pressed = False

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal pressed
        if pressed:
            raise KeyboardInterrupt
        pressed = True
        os.write(2, b"\nEnding after this epoch; Ctrl-C again ends at once.\n")

    def end_if_asked() -> None:
        if pressed:
            raise KeyboardInterrupt

    before = signal.getsignal(signal.SIGINT)
    if before is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, note)
    try:
        yield end_if_asked
        end_if_asked()
    except KeyboardInterrupt:
        say_how_far(f"The finished trials are kept in {url}: the same command resumes the search.")
        raise
    finally:
        signal.signal(signal.SIGINT, before)
