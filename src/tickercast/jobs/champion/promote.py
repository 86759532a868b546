"""Compare a challenger with the champion, and promote it if it is measurably better."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import pandas as pd

from tickercast.domain.cards.model_card import CHAMPION_ALIAS, Bundle, Pointer
from tickercast.domain.events import ResultsDays
from tickercast.domain.forecast import RANDOM_WALK, Predictor
from tickercast.domain.measures.evaluation import loss_ratio, summary
from tickercast.domain.measures.promotion import Decision, Evidence, decide
from tickercast.errors import ModelUnavailable, Permanent, UsageError
from tickercast.jobs.serving.trial import try_out
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
    on_failure: Callable[[str, Permanent], None] = lambda symbol, reason: None,
) -> Decision:
    """Compare both on the same origins, decide by `domain.measures.promotion`, and serve the challenger if it won.

    The champion that it replaces goes on forecasting as its shadow, as after a promotion by the daily run. A champion
    that is shown to be worse than a baseline makes place for that, and a challenger is compared with a baseline that is
    served already; neither leaves a shadow.

    Args:
        challenger: a registered version.
        champion: the version that is served, or whose place a baseline has taken.
        source: where the bars come from.
        symbols: the symbols to forecast.
        first: the first date that may be an origin; neither model may have seen it.
        last: the last date that may be an origin.
        load: loads a bundle.
        baselines: the random walk among them, and those that can be served.
        models: where the champion is published.
        registry: where the alias `champion` follows.
        results: the results days by symbol; each model reads those that it can.
        on_progress: called with the forecasts made and their total.
        on_failure: called with each symbol that is left out, and why.

    Raises:
        UsageError: there is nothing to compare, or a model was trained on the dates.
        BundleError: the challenger's number was published with other content.
        Permanent: no symbol can be read; the reason of the first.
        PreconditionFailed: another version is served by now.
        Transient: try again.
    """
    compared_with, served = models.generation(), models.pointer()
    models.check_number(challenger.card)
    _check(challenger, champion, first, served.baseline)
    comparison = compare(
        challenger,
        champion,
        source,
        symbols,
        first,
        last,
        load=load,
        baselines=baselines,
        served_baseline=served.baseline,
        results=results,
        on_progress=on_progress,
        on_failure=on_failure,
    )
    decision = decide(comparison.evidence)
    if decision.promote:
        shadow = "" if served.baseline else served.version
        publish(challenger, models=models, registry=registry, load=load, replacing=compared_with, shadow=shadow)
    elif decision.action == "demoted":
        baseline = comparison.evidence.baseline
        ratio = loss_ratio(comparison.tables[baseline], comparison.tables[RANDOM_WALK], "sp")[0]
        models.point(served.demoted(baseline, ratio), replacing=compared_with)
    return decision


@dataclass(frozen=True)
class Comparison:
    """A challenger beside what is served.

    Attributes:
        evidence: the result.
        tables: the losses of `challenger`, of `champion` unless a baseline is served, and of the baselines.
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
    served_baseline: str = "",
    results: Mapping[str, ResultsDays] | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    on_failure: Callable[[str, Permanent], None] = lambda symbol, reason: None,
) -> Comparison:
    """Evaluate both on the same origins; see `promote`.

    Args:
        challenger: a registered version.
        champion: the version that is served, or whose place a baseline has taken.
        source: where the bars come from.
        symbols: the symbols to forecast.
        first: the first date that may be an origin.
        last: the last date that may be an origin.
        load: loads a bundle.
        baselines: the random walk among them, and those that can be served.
        served_baseline: the baseline in the champion's place, with which the challenger is compared then.
        results: the results days of the symbols, as they were known at each time.
        on_progress: called with the forecasts made and their total.
        on_failure: called with each symbol that is left out, and why.

    Raises:
        NoRecentBars: there is no origin.
        Permanent: no symbol can be read; the reason of the first.
        Transient: try again.
    """
    bundles = {"challenger": challenger} if served_baseline else {"challenger": challenger, "champion": champion}
    pair = {name: load(bundle) for name, bundle in bundles.items()}
    tables = evaluate(
        source,
        symbols,
        first,
        last,
        models=pair,
        baselines=baselines,
        results=results,
        on_progress=on_progress,
        on_failure=on_failure,
    )
    own, served = tables["challenger"], tables[served_baseline or "champion"]
    baseline = served_baseline or _best_baseline(tables)
    measured = summary(own)
    fresher = challenger.card.trained_through - champion.card.trained_through
    evidence = Evidence(
        origins=round(measured["n"]),
        vs_champion=loss_ratio(own, served, "sp"),
        vs_random_walk=loss_ratio(own, tables[RANDOM_WALK], "sp"),
        coverage_80=measured["coverage_80"],
        fresher_days=0 if served_baseline else fresher.days,
        baseline=baseline,
        vs_baseline=loss_ratio(own, tables[baseline], "sp") if baseline else None,
        champion_vs_baseline=loss_ratio(served, tables[baseline], "sp") if baseline and not served_baseline else None,
    )
    return Comparison(evidence, tables)


def _best_baseline(tables: Mapping[str, pd.DataFrame]) -> str:
    """The baseline with the least loss, without the random walk, which everything is measured against; else empty."""
    names = [name for name in tables if name not in ("challenger", "champion", RANDOM_WALK)]
    return min(names, key=lambda name: float(tables[name]["sp"].mean()), default="")


def publish(
    bundle: Bundle,
    *,
    models: ModelStore,
    registry: ModelRegistry,
    load: Callable[[Bundle], Predictor],
    replacing: str | None = None,
    shadow: str = "",
) -> Pointer | None:
    """Serve a registered version, if it makes a trial forecast; the switch is one write of the pointer.

    Whoever is on probation has no way back from then on.

    Args:
        bundle: the version.
        models: where it is served from.
        registry: where the alias `champion` follows.
        load: loads a bundle.
        replacing: the pointer's generation when this was decided; None replaces any.
        shadow: the version that goes on forecasting beside it, on whose scores its probation depends; empty for none.

    Returns:
        The pointer that was replaced; None where there was none.

    Raises:
        BundleError: the version does not load or makes no forecast, or was published with other content.
        PreconditionFailed: the pointer has changed since.
        Transient: try again.
    """
    card = bundle.card
    try_out(load(bundle), models.frequency, "So it is not served. Train it again, or name another version.")
    models.write(bundle)
    before: Pointer | None = None
    try:
        before = models.pointer()
        pointer = before.model_copy(update={"name": card.name}).pointing(card.version, shadow=shadow)
    except ModelUnavailable:  # the first one
        pointer = Pointer(name=card.name, version=card.version)
    models.point(pointer, replacing=replacing)
    registry.set_alias(card.name, CHAMPION_ALIAS, card.version)
    return before


def _check(challenger: Bundle, champion: Bundle, first: date, served_baseline: str) -> None:
    if challenger.card.version == champion.card.version and not served_baseline:
        raise UsageError(f"Version {challenger.card.version} is served already. Train another, or name one.")
    pair = (("challenger", challenger), *(() if served_baseline else (("champion", champion),)))
    for role, bundle in pair:
        if first <= bundle.card.trained_through:
            raise UsageError(
                f"The {role} was trained through {bundle.card.trained_through}, and {first} is not after that: dates "
                "that neither model has seen were needed. Name a later --from."
            )
