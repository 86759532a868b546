"""Train a model: fetch bars, fit, evaluate on unseen dates, register."""

import hashlib
import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any, Protocol

import pandas as pd

from tickercast.domain.asset_classes import asset_class, is_stock
from tickercast.domain.bars import Bars
from tickercast.domain.cards.model_card import Bundle
from tickercast.domain.cards.model_page import describe
from tickercast.domain.events import ResultsDays
from tickercast.domain.forecast import Predictor, RollingPredictor
from tickercast.domain.learning.dataset import dataset
from tickercast.domain.learning.recipe import Recipe, recipe_json
from tickercast.domain.measures.drift import reference_json
from tickercast.domain.measures.evaluation import by_group, evaluation_report, labelled, report_json, rolling_losses
from tickercast.domain.measures.intervals import figures
from tickercast.domain.measures.reference import learners, make_reference, observe
from tickercast.errors import Permanent, TooFewSessions, UsageError
from tickercast.jobs.training.evaluate import Baselines
from tickercast.jobs.training.registration import register
from tickercast.ports import MarketData, ModelRegistry, RunRecord

Picture = Callable[[Mapping[str, Any], Mapping[str, Mapping[str, Any]]], bytes]
"""Draws an evaluation as PNG: its report, and the measures of each baseline by step."""


class Fitted(RollingPredictor, Protocol):
    """A trained predictor that can be exported as a bundle."""

    @property
    def parameters(self) -> Mapping[str, Any]:
        """The inputs of the training."""

    @property
    def curves(self) -> Mapping[str, Sequence[float]]:
        """The losses of the model by epoch."""

    @property
    def model(self) -> Any:
        """The network as its framework holds it."""

    def bundle(self) -> Bundle:
        """The model as files."""


class Fit(Protocol):
    """A training: `tickercast.models.lstm.training.fit`."""

    def __call__(
        self,
        series: Sequence[Bars],
        *,
        trained_through: date,
        seeds: Sequence[int],
        on_progress: Callable[[int, int], None],
        recipe: Recipe | None = None,
        results: Mapping[str, ResultsDays] | None = None,
    ) -> Fitted:
        """Learn from the bars and results days on or before `trained_through`, by a recipe or one that suits them."""


def train(
    source: MarketData,
    symbols: Sequence[str],
    first: date,
    last: date,
    trained_through: date,
    *,
    fit: Fit,
    baselines: Baselines,
    registry: ModelRegistry | None = None,
    picture: Picture | None = None,
    seeds: Sequence[int] = (1, 2, 3, 4, 5),
    recipe: Recipe | None = None,
    hold_out: int = 0,
    results: Mapping[str, ResultsDays] | None = None,
    patience: timedelta = timedelta(0),
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    on_failure: Callable[[str, Permanent], None] = lambda symbol, reason: None,
) -> Bundle:
    """Train a model and register it.

    Args:
        source: where the bars come from.
        symbols: the symbols to train on.
        first: the first date fetched.
        last: the last date fetched.
        trained_through: the last date that the model may learn from; later dates, up to `last`, evaluate it.
        fit: the training.
        baselines: the models to compare it with.
        registry: where to register the bundle; None registers nothing.
        picture: draws the evaluation for the registry.
        seeds: one seed for each of the networks that are averaged.
        recipe: the hyperparameters; None leaves the choice to `fit`.
        hold_out: hold out every N-th symbol for evaluation; with 0 the later dates of all symbols evaluate the model.
        results: the results days by symbol, to learn from and to evaluate with; None for a network that reads none.
        patience: the time limit for waiting where the registry does not answer.
        on_progress: called with the epochs done and their total.
        on_failure: called with each symbol that the source could not give, and why.

    Returns:
        The bundle, with its version and run id if it was registered.

    Raises:
        TooFewSessions: there is too little to learn from.
        SourceUnavailable: the source as a whole does not answer.
        UsageError: the source as a whole cannot be read, or `hold_out` leaves no symbol to train or to evaluate on.
        BundleError: the trained network cannot be exported.
    """
    series = training_bars(source, symbols, first, last, on_failure)
    held = held_out([bars.symbol for bars in series], hold_out)
    if hold_out == 1 or (hold_out and not held):
        raise UsageError(
            f"Holding out one symbol in {hold_out} of {len(series)} leaves none to train on or none to evaluate "
            "on, and both were needed. Name more symbols, or another number."
        )
    learned = [bars for bars in series if bars.symbol not in held]
    known = results or {}
    digest = fingerprint(source.name, learned, trained_through, seeds, recipe, known)
    fitted = fit(
        learned, trained_through=trained_through, seeds=seeds, on_progress=on_progress, recipe=recipe, results=known
    )
    bundle = fitted.bundle()
    options = [*(["--recipe FILE"] if recipe else []), *(["--events FILE"] if known else [])]
    groups = evaluation_groups(series, held)
    tables = {
        prefix: evaluate_unseen(fitted, baselines(group, trained_through), group, trained_through, last, known)
        for prefix, group in groups.items()
    }
    described = bundle.card.model_copy(
        update={
            "metrics": {
                f"{prefix}{name}": value for prefix in tables for name, value in measures(tables[prefix]).items()
            },
            "trained_on": f"source {source.name}: {bundle.card.trained_on}{_held_out_in_words(held)}",
            "hold_out": hold_out,
            "arguments": arguments(symbols, *options, f"--seeds {len(seeds)}"),
            "fingerprint": digest,
        }
    )
    bundle = with_reference(replace(bundle, card=described), fitted, learned)
    if registry is None:
        return bundle
    parameters = {"source": source.name, "symbols": ",".join(symbols)[:500], "hold_out": hold_out}
    evaluated = [bars for prefix, group in groups.items() for bars in group if described.metrics[f"{prefix}n"]]
    since = trained_through + timedelta(days=1)
    record = RunRecord(
        parameters=dict(fitted.parameters) | parameters,
        curves=fitted.curves,
        datasets={
            "training": dataset(source.name, learned, trained_through),
            **({"evaluation": dataset(source.name, evaluated, last, since=since)} if evaluated else {}),
        },
        artifacts={"MODEL_CARD.md": describe(described).encode(), **evaluation_files(tables[""], picture)},
        network=fitted.model,
    )
    return register(registry, bundle, record, patience=patience)


def arguments(symbols: Sequence[str], *options: str) -> str:
    """The arguments of `tickercast train` for a card, beside the source and the date.

    >>> arguments(["MSFT", "AAPL"], "--seeds 1"), arguments(["A"] * 500)
    ('--seeds 1 MSFT AAPL', 'TICKER ...')
    """
    return " ".join([*options, *(symbols if len(symbols) <= _NAMED else ["TICKER ..."])])


_NAMED = 20  # symbols at most; of more the card says which they are


def fingerprint(
    source: str,
    learned: Sequence[Bars],
    through: date,
    seeds: Sequence[int],
    recipe: Recipe | None,
    results: Mapping[str, ResultsDays],
) -> str:
    """The SHA-256 of the inputs of a training, so that the same training is not done twice.

    Args:
        source: where the bars came from.
        learned: the bars; those after `through` make no difference.
        through: the last date learned from.
        seeds: the seeds of the networks.
        recipe: the given recipe, None for the default.
        results: the results days by symbol; those that were known after `through` make no difference.

    Raises:
        TooFewSessions: there is nothing to learn from.
    """
    data = dataset(source, learned, through).sha256
    days = [results[bars.symbol].known_by(through) for bars in learned if bars.symbol in results]
    parts = [
        *(day.digest for day in days if len(day)),
        data,
        str(through),
        ",".join(map(str, seeds)),
        recipe_json(recipe) if recipe else "",
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def training_bars(
    source: MarketData, symbols: Sequence[str], first: date, last: date, on_failure: Callable[[str, Permanent], None]
) -> list[Bars]:
    """Fetch the bars to train on.

    Args:
        source: where the bars come from.
        symbols: the symbols to fetch.
        first: the first date.
        last: the last date.
        on_failure: called with each symbol that the source could not give, and why.

    Raises:
        TooFewSessions: the source gave no symbol at all.
        SourceUnavailable, UsageError: the source as a whole cannot be read.
    """
    reading = source.fetch(symbols, first, last, advance=lambda _: None)
    for symbol, reason in reading.failures.items():
        on_failure(symbol, reason)
    if not reading.bars:
        raise TooFewSessions(
            f"{source.name} gave no bars of {', '.join(symbols)[:80]} from {first} to {last}: at least one symbol was "
            "needed to train on. Name other symbols or dates."
        )
    return list(reading.bars.values())


def with_reference(bundle: Bundle, model: RollingPredictor, learned: Sequence[Bars]) -> Bundle:
    """The same bundle with a reference of its training, which drift is measured against.

    Args:
        bundle: the trained model; its card states the last date that it was trained on.
        model: the model of the bundle, ready to predict.
        learned: the bars of the training; those of assets that only set the calibration of their class are not kept.

    Raises:
        TooFewSessions: the training is too short to measure drift against.
    """
    last = bundle.card.trained_through
    teaching = set(learners(bars.symbol for bars in learned))
    known = [one.through(last) for one in learned if one.symbol in teaching]
    observed = [observe(bars, model) for bars in known if len(bars) >= model.min_sessions]
    return bundle.referred(reference_json(make_reference(observed)))


# ---------------------------------------------------------------- evaluation


def held_out(symbols: Iterable[str], every: int) -> frozenset[str]:
    """Every N-th symbol in alphabetical order, of the stocks; none if `every` is 0.

    >>> sorted(held_out(["A", "B", "BTC-USD", "C", "D"], 2))
    ['B', 'D']
    """
    ordered = sorted(symbol for symbol in symbols if is_stock(symbol))
    return frozenset(ordered[every - 1 :: every] if every else [])


def _held_out_in_words(held: Collection[str]) -> str:
    return f"; held out for evaluation: {', '.join(sorted(held))}" if held else ""


def evaluation_groups(series: Sequence[Bars], held: Collection[str]) -> dict[str, list[Bars]]:
    """The series to evaluate on: the symbols held out, or all if none are; other asset classes apart.

    Returns:
        The series by the prefix of their measures: ``, and for example `crypto_`.
    """
    groups: dict[str, list[Bars]] = {}
    for bars in series:
        if not is_stock(bars.symbol):
            groups.setdefault(f"{asset_class(bars.symbol)}_", []).append(bars)
        elif not held or bars.symbol in held:
            groups.setdefault("", []).append(bars)
    return groups if "" in groups else {"": list(series)}


def evaluate_unseen(
    model: Predictor,
    baselines: Sequence[Predictor],
    series: Sequence[Bars],
    after: date,
    last: date,
    results: Mapping[str, ResultsDays] | None = None,
) -> dict[str, pd.DataFrame]:
    """Forecast from origins that the model has not seen, with the baselines beside it.

    Args:
        model: the model to evaluate.
        baselines: the models to compare it with.
        series: the series, which may begin at any date.
        after: the last date that the model has seen.
        last: the last date that may be an origin.
        results: the results days by symbol.

    Returns:
        Their tables of losses, the model's first; empty if there is no origin.
    """
    models = labelled([model, *baselines])
    return rolling_losses(models, series, after + timedelta(days=1), last, results=results)


def measures(tables: Mapping[str, pd.DataFrame]) -> dict[str, float]:
    """The measures of an evaluation that a card holds.

    Returns:
        `n` origins, the overall measures, and for each baseline and loss the ratio (below 1 is better) with the
        ends of its 95% interval in `…_lo` and `…_hi`, if the time was long enough for one; only `n` if there is no
        origin.
    """
    if next(iter(tables.values())).empty:
        return {"n": 0.0}
    report = evaluation_report(tables)
    measured = dict(report["overall"])
    for window, row in report["results_window"].items():
        measured |= {f"results_{window}_{name}": row[name] for name in ("n", "coverage_80", "coverage_95")}
    for baseline, ratios in report["ratios"].items():
        for loss, values in ratios.items():
            measured |= figures(f"{loss}_vs_{baseline.replace('-', '_')}", values)
    return {name: round(value, 4) for name, value in measured.items() if math.isfinite(value)}


def evaluation_files(tables: Mapping[str, pd.DataFrame], picture: Picture | None) -> dict[str, bytes]:
    """The files that a registry keeps of an evaluation: its report with a summary of each symbol, and the picture."""
    (_, own), *baselines = tables.items()
    if own.empty:
        return {}
    report = evaluation_report(tables) | {"by_symbol": by_group(own, "symbol")}
    steps = {name: by_group(table, "step") for name, table in baselines}
    drawn = {"backtest.png": picture(report, steps)} if picture else {}
    return {"backtest.json": report_json(report).encode(), **drawn}
