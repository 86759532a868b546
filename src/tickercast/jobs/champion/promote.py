"""Let a challenger replace the champion, if it has earned it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import pandas as pd

from tickercast.domain.evaluation import compare, summary
from tickercast.domain.forecast import RANDOM_WALK, Predictor
from tickercast.domain.model_card import CHAMPION, CHAMPION_ALIAS, Bundle
from tickercast.domain.promotion import Decision, Evidence, decide
from tickercast.errors import UsageError
from tickercast.jobs.champion.model_store import point_champion, write_bundle
from tickercast.jobs.training.evaluate import Peers, backtest
from tickercast.ports import MarketData, ModelRegistry, ObjectStore


def promote(
    challenger: Bundle,
    champion: Bundle,
    source: MarketData,
    symbols: Sequence[str],
    first: date,
    last: date,
    *,
    load: Callable[[Bundle], Predictor],
    peers: Peers,
    store: ObjectStore,
    registry: ModelRegistry,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Decision:
    """Compares both on the same origins, decides by `domain.promotion`, and publishes the challenger if it won.

    Args:
        challenger: a registered version.
        champion: the version that is served.
        source: where the bars come from.
        symbols: what to forecast.
        first: the first date that may be an origin; neither model may have seen it.
        last: the last date that may be an origin.
        load: makes a predictor of a bundle.
        peers: the random walk among them.
        store: where the champion is published.
        registry: where the alias `champion` follows.
        on_progress: called with the forecasts made and their total.

    Raises:
        UsageError: there is nothing to compare, or a model was trained on the dates.
        PreconditionFailed: another version has come to be served meanwhile.
        Transient: try again.
    """
    _check(challenger, champion, first)
    compared_with = store.generation(CHAMPION)
    judged = judge(challenger, champion, source, symbols, first, last, load=load, peers=peers, on_progress=on_progress)
    decision = decide(judged.evidence)
    if decision.promote:
        publish(challenger, store=store, registry=registry, replacing=compared_with)
    return decision


@dataclass(frozen=True)
class Judged:
    """A challenger beside the champion: what it comes to, and the losses of `challenger`, `champion` and peers."""

    evidence: Evidence
    tables: Mapping[str, pd.DataFrame]


def judge(
    challenger: Bundle,
    champion: Bundle,
    source: MarketData,
    symbols: Sequence[str],
    first: date,
    last: date,
    *,
    load: Callable[[Bundle], Predictor],
    peers: Peers,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Judged:
    """Backtests both on the same origins; see `promote`.

    Raises:
        NoRecentBars: there is no origin.
        Transient: try again.
    """
    models = {"challenger": load(challenger), "champion": load(champion)}
    tables = backtest(source, symbols, first, last, models=models, peers=peers, on_progress=on_progress)
    own = tables["challenger"]
    measured = summary(own)
    evidence = Evidence(
        origins=round(measured["n"]),
        vs_champion=compare(own, tables["champion"], "sp"),
        vs_random_walk=compare(own, tables[RANDOM_WALK], "sp"),
        coverage_80=measured["coverage_80"],
        fresher_days=(challenger.card.trained_through - champion.card.trained_through).days,
    )
    return Judged(evidence, tables)


def publish(bundle: Bundle, *, store: ObjectStore, registry: ModelRegistry, replacing: int | None = None) -> None:
    """Makes a registered version the one that is served; the switch is one write of the pointer.

    Args:
        bundle: the version.
        store: where it is served from.
        registry: where the alias `champion` follows.
        replacing: the pointer's generation when this was decided; None replaces any.

    Raises:
        BundleError: the version was published with other content.
        PreconditionFailed: the pointer has changed since.
        Transient: try again.
    """
    write_bundle(store, bundle)
    point_champion(store, bundle.card.name, bundle.card.version, replacing=replacing)
    registry.set_alias(bundle.card.name, CHAMPION_ALIAS, bundle.card.version)


def _check(challenger: Bundle, champion: Bundle, first: date) -> None:
    if challenger.card.version == champion.card.version:
        raise UsageError(f"Version {challenger.card.version} is served already. Train another, or name one.")
    for role, bundle in (("challenger", challenger), ("champion", champion)):
        if first <= bundle.card.trained_through:
            raise UsageError(
                f"The {role} was trained through {bundle.card.trained_through}, and {first} is not after that: dates "
                "that neither model has seen were needed. Name a later --from."
            )
