"""Compare a challenger with the champion, and promote it if it is measurably better."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import pandas as pd

from tickercast.domain.evaluation import loss_ratio, summary
from tickercast.domain.events import ResultsDays
from tickercast.domain.forecast import RANDOM_WALK, Predictor
from tickercast.domain.model_card import CHAMPION_ALIAS, Bundle, Pointer
from tickercast.domain.promotion import Decision, Evidence, decide
from tickercast.errors import ModelUnavailable, UsageError
from tickercast.jobs.training.evaluate import Baselines, evaluate
from tickercast.model_store import ModelStore
from tickercast.ports import MarketData, ModelRegistry


def promote(
    challenger: Bundle,
    champion: Bundle,
    source: MarketData,
    symbols: Sequence[str],
    first: date,
    last: date,
    *,
    load: Callable[[Bundle], Predictor],
    baselines: Baselines,
    models: ModelStore,
    registry: ModelRegistry,
    results: Mapping[str, ResultsDays] | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Decision:
    """Compare both on the same origins, decide by `domain.promotion`, and publish the challenger if it won.

    Args:
        challenger: a registered version.
        champion: the version that is served.
        source: where the bars come from.
        symbols: the symbols to forecast.
        first: the first date that may be an origin; neither model may have seen it.
        last: the last date that may be an origin.
        load: loads a bundle.
        baselines: the random walk among them.
        models: where the champion is published.
        registry: where the alias `champion` follows.
        results: the results days by symbol; each model reads those that it can.
        on_progress: called with the forecasts made and their total.

    Raises:
        UsageError: there is nothing to compare, or a model was trained on the dates.
        PreconditionFailed: another version is served by now.
        Transient: try again.
    """
    _check(challenger, champion, first)
    compared_with = models.generation()
    comparison = compare(
        challenger,
        champion,
        source,
        symbols,
        first,
        last,
        load=load,
        baselines=baselines,
        results=results,
        on_progress=on_progress,
    )
    decision = decide(comparison.evidence)
    if decision.promote:
        publish(challenger, models=models, registry=registry, replacing=compared_with)
    return decision


@dataclass(frozen=True)
class Comparison:
    """A challenger beside the champion.

    Attributes:
        evidence: the result.
        tables: the losses of `challenger`, `champion` and the baselines.
    """

    evidence: Evidence
    tables: Mapping[str, pd.DataFrame]


def compare(
    challenger: Bundle,
    champion: Bundle,
    source: MarketData,
    symbols: Sequence[str],
    first: date,
    last: date,
    *,
    load: Callable[[Bundle], Predictor],
    baselines: Baselines,
    results: Mapping[str, ResultsDays] | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Comparison:
    """Evaluate both on the same origins; see `promote`.

    Raises:
        NoRecentBars: there is no origin.
        Transient: try again.
    """
    pair = {"challenger": load(challenger), "champion": load(champion)}
    tables = evaluate(
        source, symbols, first, last, models=pair, baselines=baselines, results=results, on_progress=on_progress
    )
    own = tables["challenger"]
    measured = summary(own)
    evidence = Evidence(
        origins=round(measured["n"]),
        vs_champion=loss_ratio(own, tables["champion"], "sp"),
        vs_random_walk=loss_ratio(own, tables[RANDOM_WALK], "sp"),
        coverage_80=measured["coverage_80"],
        fresher_days=(challenger.card.trained_through - champion.card.trained_through).days,
    )
    return Comparison(evidence, tables)


def publish(bundle: Bundle, *, models: ModelStore, registry: ModelRegistry, replacing: str | None = None) -> None:
    """Serve a registered version; the switch is one write of the pointer.

    Args:
        bundle: the version.
        models: where it is served from.
        registry: where the alias `champion` follows.
        replacing: the pointer's generation when this was decided; None replaces any.

    Raises:
        BundleError: the version was published with other content.
        PreconditionFailed: the pointer has changed since.
        Transient: try again.
    """
    card = bundle.card
    models.write(bundle)
    try:
        pointer = models.pointer().model_copy(update={"name": card.name}).pointing(card.version)
    except ModelUnavailable:  # the first one
        pointer = Pointer(name=card.name, version=card.version)
    models.point(pointer, replacing=replacing)
    registry.set_alias(card.name, CHAMPION_ALIAS, card.version)


def _check(challenger: Bundle, champion: Bundle, first: date) -> None:
    if challenger.card.version == champion.card.version:
        raise UsageError(f"Version {challenger.card.version} is served already. Train another, or name one.")
    for role, bundle in (("challenger", challenger), ("champion", champion)):
        if first <= bundle.card.trained_through:
            raise UsageError(
                f"The {role} was trained through {bundle.card.trained_through}, and {first} is not after that: dates "
                "that neither model has seen were needed. Name a later --from."
            )
