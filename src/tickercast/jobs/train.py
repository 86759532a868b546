"""Train: fetch histories, fit a model, measure it on what it has not seen, register it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from statistics import NormalDist
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tickercast.domain import features, metrics
from tickercast.domain.bundle import Bundle, ModelCard
from tickercast.domain.forecast import HORIZON
from tickercast.domain.history import History
from tickercast.errors import Permanent, TooFewSessions
from tickercast.ports import MarketData, ModelRegistry

EVERY = 10
"""Sessions between two held-out origins."""

Floats = NDArray[np.float64]


class Fitted(Protocol):
    """What training gives: it predicts, and a bundle can be made of it."""

    @property
    def min_sessions(self) -> int:
        """The shortest history that it takes."""

    @property
    def parameters(self) -> Mapping[str, Any]:
        """What it was trained with."""

    def predict(self, histories: Sequence[History]) -> Floats:
        """Quantiles of the log-returns, `(n, HORIZON, len(QUANTILES))`; see `Predictor.predict`."""

    def bundle(self) -> Bundle:
        """The model as files."""


class Fit(Protocol):
    """A training: `tickercast.models.lstm.fit`."""

    def __call__(
        self,
        histories: Sequence[History],
        *,
        trained_through: date,
        seeds: Sequence[int],
        on_progress: Callable[[int, int], None],
    ) -> Fitted:
        """Learns from what lies on or before `trained_through`."""


def train(
    source: MarketData,
    symbols: Sequence[str],
    first: date,
    last: date,
    trained_through: date,
    *,
    fit: Fit,
    registry: ModelRegistry | None = None,
    seeds: Sequence[int] = (1, 2, 3, 4, 5),
    advance: Callable[[int], None] = lambda count: None,
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
        registry: where to register the bundle; None registers nothing.
        seeds: of the networks that are averaged.
        advance: called with the number of symbols fetched since the last call.
        on_progress: called with the epochs done and their total.
        on_failure: called with each symbol that the source could not give, and why.

    Returns:
        The bundle, with its version and run id if it was registered.

    Raises:
        TooFewSessions: there is too little to learn from.
        SourceUnavailable, UsageError: the source as a whole cannot be read.
        BundleError: the trained network cannot be exported.
    """
    reading = source.fetch(symbols, first, last, advance=advance)
    for symbol, reason in reading.failures.items():
        on_failure(symbol, reason)
    histories = list(reading.histories.values())
    if not histories:
        raise TooFewSessions(
            f"{source.name} gave no bars of {', '.join(symbols)[:80]} from {first} to {last}: at least one symbol was "
            "needed to train. Name other symbols or dates."
        )
    fitted = fit(histories, trained_through=trained_through, seeds=seeds, on_progress=on_progress)
    bundle = fitted.bundle()
    measured = evaluate(fitted, bundle.card.quantiles, histories, trained_through)
    trained_on = f"source {source.name}: {bundle.card.trained_on}"
    bundle = replace(bundle, card=bundle.card.model_copy(update={"metrics": measured, "trained_on": trained_on}))
    if registry is None:
        return bundle
    parameters = dict(fitted.parameters) | {"source": source.name, "symbols": ",".join(symbols)[:500]}
    return registry.register(bundle, parameters=parameters, artifacts={"MODEL_CARD.md": describe(bundle.card).encode()})


# ---------------------------------------------------------------- measuring


@dataclass(frozen=True)
class Origin:
    """A forecast origin and what followed.

    Attributes:
        history: the bars up to the origin.
        actual: `(HORIZON,)`, log-returns from the origin's close, free of dividends and splits.
    """

    history: History
    actual: Floats


def origins(history: History, after: date, needed: int, every: int = EVERY) -> Iterator[Origin]:
    """Every `every`-th session after a date that has `needed` bars up to it and `HORIZON` after it."""
    log_close = np.log(history.bars["adj_close"].to_numpy())
    first = int(history.bars["session_date"].searchsorted(np.datetime64(after), side="right"))
    for at in range(max(first, needed - 1), len(history) - HORIZON, every):
        known = History(history.symbol, history.bars.iloc[: at + 1])
        yield Origin(known, log_close[at + 1 : at + 1 + HORIZON] - log_close[at])


def evaluate(model: Fitted, quantiles: Sequence[float], histories: Sequence[History], after: date) -> dict[str, float]:
    """Measures a model on origins that it has not seen, against EWMA-t and the random walk.

    Args:
        model: what to measure.
        quantiles: the levels that it answers.
        histories: they may reach as far back as they like.
        after: the last date that the model has seen.

    Returns:
        `n` origins, `sp`, its ratios to the two baselines (below 1 is better), the ratio of the Winkler score of the
        95 % interval to EWMA-t's, and the coverage of the 80 % and 95 % intervals; only `n` where there is no origin.
    """
    parts = [_losses(model, np.array(quantiles), history, after) for history in histories]
    parts = [part for part in parts if part["sp"].size]
    if not parts:
        return {"n": 0.0}
    means = {name: float(np.concatenate([part[name] for part in parts]).mean()) for name in parts[0]}
    measured = {
        "n": float(sum(part["sp"].size for part in parts)),
        "sp": means["sp"],
        "sp_vs_ewma_t": means["sp"] / means["sp_ewma_t"],
        "sp_vs_random_walk": means["sp"] / means["sp_random_walk"],
        "winkler_95_vs_ewma_t": means["winkler_95"] / means["winkler_95_ewma_t"],
        "coverage_80": means["coverage_80"],
        "coverage_95": means["coverage_95"],
    }
    return {name: round(value, 4) for name, value in measured.items()}


def _losses(model: Fitted, levels: Floats, history: History, after: date) -> dict[str, Floats]:
    """One value an origin of one symbol, `(origins,)` each."""
    some = list(origins(history, after, max(model.min_sessions, features.MIN_SESSIONS)))
    known = [origin.history for origin in some]
    actual = np.array([origin.actual for origin in some]).reshape(-1, HORIZON)
    inputs = features.latest(known)
    gaussian = np.array([NormalDist().inv_cdf(level) for level in levels])
    forecast = model.predict(known)
    ewma_t = _cone(inputs.sigma_ewma, student5(levels))
    walk = _cone(inputs.sigma60, gaussian)
    unit = _cone(inputs.sigma60, np.ones(1))

    def ends(quantiles: Floats, level: float) -> tuple[Floats, Floats]:
        low, high = (int(np.argmin(np.abs(levels - bound))) for bound in ((1 - level) / 2, (1 + level) / 2))
        return quantiles[:, :, low], quantiles[:, :, high]

    def winkler_95(quantiles: Floats) -> Floats:
        score: Floats = metrics.winkler(actual / unit[:, :, 0], *ends(quantiles / unit, 0.95), 0.95).mean(axis=-1)
        return score

    return {
        "sp": metrics.sp(actual, forecast, levels, inputs.sigma60),
        "sp_ewma_t": metrics.sp(actual, ewma_t, levels, inputs.sigma60),
        "sp_random_walk": metrics.sp(actual, walk, levels, inputs.sigma60),
        "winkler_95": winkler_95(forecast),
        "winkler_95_ewma_t": winkler_95(ewma_t),
        "coverage_80": metrics.coverage(actual, *ends(forecast, 0.8)),
        "coverage_95": metrics.coverage(actual, *ends(forecast, 0.95)),
    }


def _cone(sigma: Floats, quantiles: Floats) -> Floats:
    """sigma·√step times the quantiles: `(n, HORIZON, quantiles)`."""
    cone: Floats = sigma[:, None, None] * np.sqrt(np.arange(1, HORIZON + 1))[:, None] * quantiles
    return cone


def student5(levels: Floats) -> Floats:
    """Quantiles of Student's t with five degrees of freedom, scaled to unit variance.

    Its distribution function is 1/2 + (θ + sin θ·(cos θ + 2/3·cos³ θ))/π with θ = arctan(t/√5) (Abramowitz and Stegun,
    26.7.3); it is inverted by bisection over θ.

    >>> student5(np.array([0.1, 0.9, 0.975])).round(3).tolist()
    [-1.143, 1.143, 1.991]
    """
    low, high = np.full(levels.shape, -np.pi / 2), np.full(levels.shape, np.pi / 2)
    for _ in range(60):
        angle = (low + high) / 2
        below = 0.5 + (angle + np.sin(angle) * (np.cos(angle) + 2 / 3 * np.cos(angle) ** 3)) / np.pi < levels
        low, high = np.where(below, angle, low), np.where(below, high, angle)
    scaled: Floats = np.sqrt(3) * np.tan((low + high) / 2)
    return scaled


# ---------------------------------------------------------------- describing


def describe(card: ModelCard) -> str:
    """The card as a page for people, in Markdown."""
    rows = "\n".join(f"| {_MEASURES[name]} | {value:g} |" for name, value in card.metrics.items() if name in _MEASURES)
    return _PAGE.format(
        title=f"{card.name} {card.version}".strip(),
        card=card,
        rows=rows,
        count=len(card.features),
        statics=len(card.statics),
        levels=", ".join(f"{level:g}" for level in card.quantiles),
        run=f" · run `{card.run_id}`" if card.run_id else "",
    )


_MEASURES = {
    "n": f"origins, every {EVERY} sessions of each symbol",
    "sp": "scaled pinball loss",
    "sp_vs_ewma_t": "… relative to EWMA-t (RiskMetrics σ, Student t₅, √step)",
    "sp_vs_random_walk": "… relative to the random walk (Gaussian, σ60·√step)",
    "winkler_95_vs_ewma_t": "Winkler score of the 95 % interval relative to EWMA-t",
    "coverage_80": "coverage of the 80 % interval",
    "coverage_95": "coverage of the 95 % interval",
}

_PAGE = """# {title}

A small LSTM ensemble that forecasts the **distribution** of the next {card.horizon} sessions' closes of one symbol.
It reads {count} ratios of each of the last {card.window} sessions and {statics} static inputs, all in the series' own
units, and stretches the quantiles of its training returns around today's EWMA volatility. Its median is the last close
plus the training drift: it does not claim to know the direction.

- trained on: {card.trained_on}
- last date seen: {card.trained_through}; everything below was measured on later dates
- shortest history: {card.min_sessions} sessions
- quantiles: {levels}; stretched round the median by {card.calibration:g}
- sha256 of model.onnx: `{card.sha256}`{run}

## Measured

| on dates after {card.trained_through} | |
|---|---|
{rows}

Below 1 is better than the baseline. The symbols are few and move together, so the third decimal is noise.

## How to repeat it

    tickercast train --source SOURCE --through {card.trained_through} --out DIR

The same data, seeds and libraries give the same metrics to three decimals. The network starts as filtered historical
simulation; every seed holds back other blocks of sessions for validation, purged on both sides.

## What it is not good for

- Saying whether a price will rise or fall, or trading on the median.
- Horizons beyond {card.horizon} sessions, intraday bars, or options: the joint distribution over steps is not modelled.
- Events announced in advance, splits or halts that the bars do not show yet.
- Assets unlike its training: on cryptocurrencies and thinly traded names the intervals are too narrow.
"""
