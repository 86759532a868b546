"""Train: fetch histories, fit a model, measure it on what it has not seen, register it."""

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any, Protocol

import numpy as np
import pandas as pd

from tickercast.domain import recipe as recipes
from tickercast.domain.bars import History
from tickercast.domain.calendar import asset_class
from tickercast.domain.dataset import dataset
from tickercast.domain.drift import to_json
from tickercast.domain.evaluation import backtest, by, report
from tickercast.domain.forecast import HORIZON, Predictor, RollingPredictor
from tickercast.domain.model_card import Bundle, ModelCard
from tickercast.domain.recipe import Recipe
from tickercast.domain.reference import learners, make_reference, observe
from tickercast.errors import Permanent, TooFewSessions, UsageError
from tickercast.jobs.training.evaluate import Peers
from tickercast.ports import MarketData, ModelRegistry, RunRecord

Picture = Callable[[Mapping[str, Any], Mapping[str, Mapping[str, Any]]], bytes]
"""Draws a backtest: its report, and the measures of each peer by step, as PNG."""


class Fitted(RollingPredictor, Protocol):
    """What training gives: a predictor of which a bundle can be made."""

    @property
    def parameters(self) -> Mapping[str, Any]:
        """What it was trained with."""

    @property
    def curves(self) -> Mapping[str, Sequence[float]]:
        """Its losses by epoch."""

    @property
    def model(self) -> Any:
        """The network as its framework holds it."""

    def bundle(self) -> Bundle:
        """The model as files."""


class Fit(Protocol):
    """A training: `tickercast.models.lstm.training.fit`."""

    def __call__(
        self,
        histories: Sequence[History],
        *,
        trained_through: date,
        seeds: Sequence[int],
        on_progress: Callable[[int, int], None],
        recipe: Recipe | None = None,
    ) -> Fitted:
        """Learns from what lies on or before `trained_through`, by a recipe or by what suits the data."""


def train(
    source: MarketData,
    symbols: Sequence[str],
    first: date,
    last: date,
    trained_through: date,
    *,
    fit: Fit,
    peers: Peers,
    registry: ModelRegistry | None = None,
    picture: Picture | None = None,
    seeds: Sequence[int] = (1, 2, 3, 4, 5),
    recipe: Recipe | None = None,
    hold_out: int = 0,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    on_failure: Callable[[str, Permanent], None] = lambda symbol, reason: None,
) -> Bundle:
    """Trains a model and registers it.

    Args:
        source: where the bars come from.
        symbols: what to learn from.
        first: the first date fetched.
        last: the last date fetched.
        trained_through: the last date that the model may learn from; what follows, up to `last`, measures it.
        fit: the training.
        peers: what to compare it with.
        registry: where to register the bundle; None registers nothing.
        picture: draws the backtest for the registry.
        seeds: of the networks that are averaged.
        recipe: how they are trained; None leaves the choice to `fit`.
        hold_out: every so many-th symbol is not learned from and measures the model; with 0 the later dates of all do.
        on_progress: called with the epochs done and their total.
        on_failure: called with each symbol that the source could not give, and why.

    Returns:
        The bundle, with its version and run id if it was registered.

    Raises:
        TooFewSessions: there is too little to learn from.
        SourceUnavailable: the source as a whole cannot be read.
        UsageError: neither can it, or `hold_out` leaves nothing to train with or to measure.
        BundleError: the trained network cannot be exported.
    """
    histories = teachers(source, symbols, first, last, on_failure)
    held = held_out([history.symbol for history in histories], hold_out)
    if hold_out == 1 or (hold_out and not held):
        raise UsageError(
            f"Holding out one symbol in {hold_out} of {len(histories)} leaves none to train on or none to measure the "
            "model on, and both were needed. Name more symbols, or another number."
        )
    learned = [history for history in histories if history.symbol not in held]
    marked = fingerprint(source.name, learned, trained_through, seeds, recipe)
    fitted = fit(learned, trained_through=trained_through, seeds=seeds, on_progress=on_progress, recipe=recipe)
    bundle = fitted.bundle()
    tables = {
        prefix: evaluate(fitted, peers(group, trained_through), group, trained_through, last)
        for prefix, group in exams(histories, held).items()
    }
    described = bundle.card.model_copy(
        update={
            "metrics": {
                f"{prefix}{name}": value for prefix in tables for name, value in measures(tables[prefix]).items()
            },
            "trained_on": f"source {source.name}: {bundle.card.trained_on}{_kept_back(held)}",
            "hold_out": hold_out,
            "fingerprint": marked,
        }
    )
    bundle = refer(replace(bundle, card=described), fitted, learned)
    if registry is None:
        return bundle
    parameters = {"source": source.name, "symbols": ",".join(symbols)[:500], "hold_out": hold_out}
    record = RunRecord(
        parameters=dict(fitted.parameters) | parameters,
        curves=fitted.curves,
        datasets={
            "training": dataset(source.name, learned, trained_through),
            "evaluation": dataset(source.name, histories, last),
        },
        artifacts={"MODEL_CARD.md": describe(described).encode(), **figures(tables[""], picture)},
        network=fitted.model,
    )
    return registry.register(bundle, record)


def fingerprint(
    source: str, learned: Sequence[History], through: date, seeds: Sequence[int], recipe: Recipe | None
) -> str:
    """Sha256 of what a training is made of: the same one need not be done twice.

    Args:
        source: where the bars came from.
        learned: the bars; those after `through` make no difference.
        through: the last date learned from.
        seeds: of the networks.
        recipe: as it was named, None for the usual one.

    Raises:
        TooFewSessions: there is nothing to learn from.
    """
    data = dataset(source, learned, through).sha256
    parts = [data, str(through), ",".join(map(str, seeds)), recipes.to_json(recipe) if recipe else ""]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def teachers(
    source: MarketData, symbols: Sequence[str], first: date, last: date, on_failure: Callable[[str, Permanent], None]
) -> list[History]:
    """Fetches what there is to learn from.

    Args:
        source: where the bars come from.
        symbols: what to fetch.
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
    if not reading.histories:
        raise TooFewSessions(
            f"{source.name} gave no bars of {', '.join(symbols)[:80]} from {first} to {last}: at least one symbol was "
            "needed to learn from. Name other symbols or dates."
        )
    return list(reading.histories.values())


def refer(bundle: Bundle, model: RollingPredictor, learned: Sequence[History]) -> Bundle:
    """The same bundle with a reference of its training, from which drift can be told.

    Args:
        bundle: what was trained; its card states the last date that it has learned from.
        model: the same, ready to predict.
        learned: what it was trained on; of assets that only set the calibration of their class nothing is kept.

    Raises:
        TooFewSessions: the training is too short to tell drift from it.
    """
    last = np.datetime64(bundle.card.trained_through)
    teaching = set(learners(history.symbol for history in learned))
    known = [replace(one, bars=one.bars[one.bars["session_date"] <= last]) for one in learned if one.symbol in teaching]
    observed = [observe(history, model) for history in known if len(history) >= model.min_sessions]
    return bundle.referred(to_json(make_reference(observed)))


# ---------------------------------------------------------------- measuring


def held_out(symbols: Iterable[str], every: int) -> frozenset[str]:
    """Every so many-th symbol in alphabetical order, of those with closing hours; none where `every` is 0.

    >>> sorted(held_out(["A", "B", "BTC-USD", "C", "D"], 2))
    ['B', 'D']
    """
    ordered = sorted(symbol for symbol in symbols if not asset_class(symbol))
    return frozenset(ordered[every - 1 :: every] if every else [])


def _kept_back(held: Collection[str]) -> str:
    return f"; held out to measure it: {', '.join(sorted(held))}" if held else ""


def exams(histories: Sequence[History], held: Collection[str]) -> dict[str, list[History]]:
    """What measures a model: the symbols held out, or all where none are; other asset classes apart.

    Returns:
        The histories by the prefix of their measures: ``, and for example `crypto_`.
    """
    groups: dict[str, list[History]] = {}
    for history in histories:
        name = asset_class(history.symbol)
        if name or not held or history.symbol in held:
            groups.setdefault(f"{name}_" if name else "", []).append(history)
    return groups if "" in groups else {"": list(histories)}


def evaluate(
    model: Predictor, peers: Sequence[Predictor], histories: Sequence[History], after: date, last: date
) -> dict[str, pd.DataFrame]:
    """Forecasts from origins that the model has not seen, with its peers beside it.

    Args:
        model: what to measure.
        peers: what to compare it with.
        histories: they may reach as far back as they like.
        after: the last date that the model has seen.
        last: the last date that may be an origin.

    Returns:
        Their tables of losses, the model's first; empty ones where there is no origin.
    """
    models = {model.name: model, **{peer.name: peer for peer in peers}}
    return backtest(models, histories, after + timedelta(days=1), last)


def measures(tables: Mapping[str, pd.DataFrame]) -> dict[str, float]:
    """What a card holds of a backtest.

    Returns:
        `n` origins, the overall measures, and for each peer and loss the ratio (below 1 is better) with the ends of
        its 95 % interval in `…_lo` and `…_hi`; only `n` where there is no origin.
    """
    if next(iter(tables.values())).empty:
        return {"n": 0.0}
    told = report(tables)
    measured = dict(told["overall"])
    for peer, ratios in told["ratios"].items():
        for loss, values in ratios.items():
            name = f"{loss}_vs_{peer.replace('-', '_')}"
            measured |= dict(zip((name, f"{name}_lo", f"{name}_hi"), values, strict=True))
    return {name: round(value, 4) for name, value in measured.items()}


def figures(tables: Mapping[str, pd.DataFrame], picture: Picture | None) -> dict[str, bytes]:
    """What a registry keeps of a backtest: its report with a summary of each symbol, and the picture, by file name."""
    (_, own), *peers = tables.items()
    if own.empty:
        return {}
    told = report(tables) | {"by_symbol": by(own, "symbol")}
    drawn = {"backtest.png": picture(told, {name: by(table, "step") for name, table in peers})} if picture else {}
    return {"backtest.json": (json.dumps(told, indent=2) + "\n").encode(), **drawn}


# ---------------------------------------------------------------- describing


def describe(card: ModelCard) -> str:
    """The card as a page for people, in Markdown."""
    return _PAGE.format(
        title=f"{card.name} {card.version}".strip(),
        card=card,
        rows=_rows(card.metrics, ""),
        others="".join(_OTHERS.format(name=name, rows=_rows(card.metrics, f"{name}_")) for name in card.calibrations),
        symbols=" and symbols that it was not trained on" if card.hold_out else "",
        hold_out=f" --hold-out {card.hold_out}" if card.hold_out else "",
        weaknesses="\n".join(f"- {sentence}" for sentence in weaknesses(card)),
        count=len(card.features),
        statics=len(card.statics),
        levels=", ".join(f"{level:g}" for level in card.quantiles),
        run=f" · run `{card.run_id}`" if card.run_id else "",
    )


def weaknesses(card: ModelCard) -> list[str]:
    """What a model is not good for, one sentence each."""
    classes = _CALIBRATED.format(" and ".join(card.calibrations)) if card.calibrations else _UNCALIBRATED
    return [*(sentence.format(card=card) for sentence in _WEAKNESSES), classes]


def _rows(measures: Mapping[str, float], prefix: str) -> str:
    return "\n".join(f"| {words} | {_measured(measures, prefix + name)} |" for name, words in _MEASURES.items())


def _measured(measures: Mapping[str, float], name: str) -> str:
    if name not in measures:
        return "–"
    interval = f" [{measures[f'{name}_lo']:g}, {measures[f'{name}_hi']:g}]" if f"{name}_lo" in measures else ""
    return f"{measures[name]:g}{interval}"


_MEASURES = {
    "n": f"origins, every {HORIZON} sessions of each symbol",
    "sp": "scaled pinball loss",
    "sp_vs_ewma_t": "… relative to EWMA-t (RiskMetrics σ, Student t₅, √step)",
    "sp_vs_ewma_fhs": "… relative to filtered historical simulation (the same σ, pooled quantiles of the past)",
    "sp_vs_historical_simulation": "… relative to historical simulation (250 sessions)",
    "sp_vs_random_walk": "… relative to the random walk (Gaussian, σ60·√step)",
    "w95_vs_ewma_t": "Winkler score of the 95 % interval relative to EWMA-t",
    "coverage_80": "coverage of the 80 % interval",
    "coverage_95": "coverage of the 95 % interval",
    "mae_vs_naive": "mean absolute error of the median relative to the last close",
}

_OTHERS = """
| {name}: the network of the other symbols, its widths calibrated apart | |
|---|---|
{rows}
"""

_WEAKNESSES = (
    "Saying whether a price will rise or fall, or trading on the median.",
    "Horizons beyond {card.horizon} sessions, intraday bars, or options: the joint distribution over steps is not "
    "modelled.",
    "Events announced in advance, splits or halts that the bars do not show yet.",
)

_CALIBRATED = (
    "Assets unlike its training: thinly traded names, and classes other than stocks and {}, whose few symbols leave "
    "the calibration of their tails uncertain."
)

_UNCALIBRATED = "Assets unlike its training: on cryptocurrencies and thinly traded names the intervals are too narrow."

_PAGE = """# {title}

A small LSTM ensemble that forecasts the **distribution** of the next {card.horizon} sessions' closes of one symbol.
It reads {count} ratios of each of the last {card.window} sessions and {statics} static inputs, all in the series' own
units, and stretches the quantiles of its training returns around today's EWMA volatility. Its median is the last close
plus the training drift: it does not claim to know the direction.

- trained on: {card.trained_on}
- last date seen: {card.trained_through}; everything below was measured on later dates
- shortest history: {card.min_sessions} sessions
- quantiles: {levels}; stretched round the median by {card.calibration:g}, for other asset classes by step and quantile
- sha256 of model.onnx: `{card.sha256}`{run}

## Measured

| on dates after {card.trained_through}{symbols} | |
|---|---|
{rows}
{others}
Ratios below 1 are better than the baseline; the brackets are 95 % intervals, drawn over symbols and blocks of sessions.

## How to repeat it

    tickercast train --data SOURCE --through {card.trained_through}{hold_out} --out DIR

The same data, seeds and libraries give the same metrics to three decimals. The network starts as filtered historical
simulation; every seed holds back other blocks of sessions for validation, purged on both sides.

## What it is not good for

{weaknesses}
"""
