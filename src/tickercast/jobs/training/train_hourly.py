"""Train the hourly models: the tables of `har-season`, an LSTM and its plain twin, and decide which is the champion."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any, Protocol

import pandas as pd

from tickercast.domain.bars import Bars
from tickercast.domain.cards.model_card import BASELINE, Bundle, Pointer, ServedModel
from tickercast.domain.cards.model_page import describe
from tickercast.domain.forecast import Role, RollingPredictor
from tickercast.domain.frequency import HOURLY
from tickercast.domain.learning.dataset import Dataset, dataset
from tickercast.domain.measures.evaluation import by_group, loss_ratio, rolling_losses, summary
from tickercast.domain.measures.intervals import Interval, figures
from tickercast.domain.measures.promotion import Decision, decide_network
from tickercast.errors import Permanent, TooFewSessions
from tickercast.jobs.training.registration import register
from tickercast.jobs.training.train import arguments, training_bars
from tickercast.ports import MarketData, ModelRegistry, RunRecord

SEEDS = (1, 2, 3)
"""The seeds of the networks that are averaged."""

HALF_YEAR = timedelta(days=181)

_STEPS = (1, 6, 24)  # the steps whose coverage a card shows


class Network(Protocol):
    """A trained network that can be exported."""

    @property
    def parameters(self) -> Mapping[str, Any]:
        """The inputs of the training."""

    @property
    def model(self) -> Any:
        """The network as its framework holds it."""

    def bundle(self) -> Bundle:
        """The model as files."""


class HourlyModels(Protocol):
    """The models to train: `tickercast.app.hourly_models`."""

    def tables(self, through: date) -> tuple[Bundle, Bundle]:
        """The bundles of `har-season` and `ewma-season`, learned from the year up to a date."""

    def network(self, through: date, *, recurrent: bool, seeds: Sequence[int]) -> Network:
        """The LSTM, or its twin, trained up to a date."""

    def refreshed(self, bundle: Bundle) -> RollingPredictor:
        """The model of a bundle, with its tables refreshed monthly."""

    @property
    def yardstick(self) -> RollingPredictor:
        """EWMA-t."""


@dataclass(frozen=True)
class HourlyTraining:
    """The result of a training.

    Attributes:
        champion: the bundle that is served.
        others: the bundles that are served beside it, each in its role.
        decision: whether the LSTM is the champion, and why.
    """

    champion: Bundle
    others: Sequence[tuple[Bundle, Role]]
    decision: Decision

    @property
    def bundles(self) -> list[Bundle]:
        """All of them, the champion first."""
        return [self.champion, *(bundle for bundle, _ in self.others)]

    @property
    def pointer(self) -> Pointer:
        """The pointer at them."""
        served = tuple(
            ServedModel(name=bundle.card.name, version=bundle.card.version, role=role) for bundle, role in self.others
        )
        return Pointer(name=self.champion.card.name, version=self.champion.card.version, served=(BASELINE, *served))


@dataclass
class _Evaluations:
    """Losses on some dates, with the yardstick beside the models."""

    series: Sequence[Bars]
    models: HourlyModels
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)

    def on(self, bundles: Sequence[Bundle], first: date, last: date) -> Mapping[str, pd.DataFrame]:
        made = {bundle.card.name: self.models.refreshed(bundle) for bundle in bundles}
        return rolling_losses({**made, "ewma-t": self.models.yardstick}, self.series, first, last, every=1)


def train_hourly(
    source: MarketData,
    symbols: Sequence[str],
    first: date,
    last: date,
    through: date,
    *,
    models: Callable[[Sequence[Bars]], HourlyModels],
    registry: ModelRegistry | None = None,
    seeds: Sequence[int] = SEEDS,
    patience: timedelta = timedelta(0),
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    on_failure: Callable[[str, Permanent], None] = lambda symbol, reason: None,
) -> HourlyTraining:
    """Train all hourly models, measure them on later dates, and register them.

    The LSTM becomes the champion only against `har-season` on two half-years; see `promotion.decide_network`.

    Args:
        source: where the hourly bars come from.
        symbols: the symbols to train on.
        first: the first date fetched.
        last: the last date fetched.
        through: the last date that the models may learn from; later dates, up to `last`, measure them.
        models: the models to train, for the bars that were fetched.
        registry: where to register the bundles; None registers nothing.
        seeds: one seed for each of the networks that are averaged.
        patience: the time limit for waiting where the registry does not answer.
        on_progress: called with the steps done and their total.
        on_failure: called with each symbol that the source could not give, and why.

    Raises:
        TooFewSessions: there is too little to learn from, or no hour to measure on.
        SourceUnavailable, UsageError: the source as a whole cannot be read.
        BundleError: a trained network cannot be exported.
    """
    series = training_bars(source, symbols, first, last, on_failure)
    made = models(series)
    steps = iter(range(1, _TOTAL + 1))

    def tick() -> None:
        on_progress(next(steps), _TOTAL)

    har, ewma = made.tables(through)
    earlier = made.network(through - HALF_YEAR, recurrent=True, seeds=seeds).bundle()
    tick()
    networks = []
    for recurrent in (True, False):
        networks.append(made.network(through, recurrent=recurrent, seeds=seeds))
        tick()
    lstm, plain = (network.bundle() for network in networks)
    evaluations = _Evaluations(series, made)
    since = through - HALF_YEAR + timedelta(days=1)
    before = evaluations.on([earlier, har], since, through)
    after = evaluations.on([lstm, plain, har, ewma], through + timedelta(days=1), last)
    if after[har.card.name].empty or before[har.card.name].empty:
        raise TooFewSessions(
            f"No hour of the half-years before and after {through} can be forecast in {source.name}, and both were "
            "needed to decide. Give bars that begin earlier and end later, or another date."
        )
    tick()
    decision, decided = _decide(lstm, har, before, after, through)
    measured = {name: _measures(name, after) for name in after if name != "ewma-t"}
    measured[lstm.card.name] |= decided
    given = arguments(symbols, f"--seeds {len(seeds)}")
    bundles = {
        bundle.card.name: _described(bundle, measured, source.name, given) for bundle in (lstm, plain, har, ewma)
    }
    if registry is not None:
        data = {
            "training": dataset(source.name, series, through),
            "evaluation": dataset(source.name, series, last, since=since),
        }
        for name, network in zip(
            [lstm.card.name, plain.card.name, har.card.name, ewma.card.name], [*networks, None, None], strict=True
        ):
            record = _record(bundles[name], network, source, symbols, data)
            bundles[name] = register(registry, bundles[name], record, patience=patience)
    tick()
    winner, other = (lstm, har) if decision.promote else (har, lstm)
    others = [(other, Role.COMPANION), (plain, Role.COMPANION), (ewma, Role.BASELINE)]
    return HourlyTraining(
        bundles[winner.card.name], [(bundles[bundle.card.name], role) for bundle, role in others], decision
    )


_TOTAL = 5


def _decide(
    lstm: Bundle, har: Bundle, before: Mapping[str, pd.DataFrame], after: Mapping[str, pd.DataFrame], through: date
) -> tuple[Decision, dict[str, float]]:
    """The decision, and what it rests on, as a card holds it."""
    end = pd.Timestamp(through + HALF_YEAR + timedelta(days=1))
    halves = {"before": before, "after": {name: table[table["cutoff"] <= end] for name, table in after.items()}}
    ratios: dict[str, Interval] = {}
    shown: dict[str, float] = {}
    for half, tables in halves.items():
        pair = [tables[bundle.card.name].reset_index(drop=True) for bundle in (lstm, har)]
        ratios[half] = loss_ratio(pair[0], pair[1], "sp", frequency=HOURLY)
        shown |= figures(f"{half}_sp_vs_har_season", ratios[half])
    return decide_network(ratios["before"], ratios["after"]), shown


def _measures(name: str, tables: Mapping[str, pd.DataFrame]) -> dict[str, float]:
    own = tables[name]
    steps = by_group(own, "step")
    found = summary(own) | {f"coverage_80_h{step}": steps[str(step)]["coverage_80"] for step in _STEPS}
    for other, table in tables.items():
        if other != name:
            for loss in ("sp", "w95"):
                ratio = loss_ratio(own, table, loss, frequency=HOURLY)
                found |= figures(f"{loss}_vs_{other.replace('-', '_')}", ratio)
    return found


def _described(bundle: Bundle, measured: Mapping[str, dict[str, float]], source: str, given: str) -> Bundle:
    card = bundle.card
    trained_on = f"source {source}: {card.trained_on}"
    metrics = {measure: round(value, 4) for measure, value in measured[card.name].items()}
    words = {"metrics": metrics, "trained_on": trained_on, "arguments": given}
    return replace(bundle, card=card.model_copy(update=words))


def _record(
    bundle: Bundle, network: Network | None, source: MarketData, symbols: Sequence[str], data: Mapping[str, Dataset]
) -> RunRecord:
    return RunRecord(
        parameters=(dict(network.parameters) if network else {})
        | {"source": source.name, "symbols": ",".join(symbols)[:500]},
        datasets=data,
        artifacts={"MODEL_CARD.md": describe(bundle.card).encode()},
        network=network.model if network else None,
    )
