"""Retrain: train a challenger on the newest bars, compare it with the champion, and decide.

The last months are held out of the training, for as many origins as the rule of promotion needs. A day's challenger is
identified by the fingerprint of its training, so it is trained once, however often the day is run.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Literal

from tickercast.domain.cards.model_card import MODEL, Bundle
from tickercast.domain.forecast import RANDOM_WALK, Predictor
from tickercast.domain.frequency import DAILY
from tickercast.domain.learning.market import Market
from tickercast.domain.learning.recipe import Recipe
from tickercast.domain.measures.evaluation import by_group, evaluation_report, loss_ratio, report_json, summary
from tickercast.domain.measures.intervals import Interval
from tickercast.domain.measures.promotion import MIN_ORIGINS, Condition, decide, standstill, training
from tickercast.errors import BundleError, NoRecentBars, Permanent, PreconditionFailed
from tickercast.jobs.champion.decisions import (
    Decided,
    carry_out,
    decided_later,
    decisions,
    ratio_figures,
    recorded_decision,
)
from tickercast.jobs.champion.probation import sessions_since_rollback
from tickercast.jobs.champion.promote import Comparison, compare
from tickercast.jobs.training.evaluate import Baselines
from tickercast.jobs.training.train import Fit, Picture, fingerprint, train
from tickercast.model_store import ModelStore
from tickercast.ports import ModelRegistry, RunRecord, Warehouse
from tickercast.reading.events import results_days

SEEDS = (1, 2, 3, 4, 5)
FIRST = date(2000, 1, 1)
"""The first date trained on."""

_ORIGINS = round(1.2 * MIN_ORIGINS)
_SHORTEST_HOLD_OUT, _LONGEST_HOLD_OUT = 126, 756  # sessions: half a year, three years
_DAYS_A_SESSION = 365 / DAILY.bars_a_year

Tuning = Callable[[Market, date], Recipe]
"""Finds a recipe in bounded time, from nothing after a date."""


@dataclass(frozen=True)
class TrainingPlan:
    """Whether and how a challenger is trained.

    Attributes:
        wanted: whether a challenger is trained.
        why: the reason.
        training: how it is trained: with the served recipe, or with one that is tuned first.
        through: the last date trained on.
    """

    wanted: bool
    why: str
    training: Literal["refitted", "tuned"] = "refitted"
    through: date = date.min


@dataclass(frozen=True)
class Contest:
    """A challenger compared with the champion.

    Attributes:
        challenger: the registered version.
        comparison: the result; None if there is no origin that neither has seen.
        report: the object that holds it, empty without one.
    """

    challenger: Bundle
    comparison: Comparison | None
    report: str = ""


def plan_training(
    market: Market, condition: Condition, *, models: ModelStore, warehouse: Warehouse, enough: int = _ORIGINS
) -> TrainingPlan:
    """Decide whether a challenger is wanted, and how it is trained.

    Args:
        market: the bars.
        condition: the champion's recent scores and drift.
        models: where it is served from.
        warehouse: earlier decisions.
        enough: origins to hold out of the training.

    Raises:
        Transient: the store or the warehouse does not answer.
    """
    pointer = models.pointer()
    if recorded_decision(models, pointer.name, market.day, "promotion") is not None:
        return TrainingPlan(False, f"{market.day} has been decided already")
    earlier = decisions(warehouse, pointer.name)
    if later := decided_later(earlier, market.day):
        return TrainingPlan(False, later)
    idle = standstill(
        on_probation=bool(pointer.shadow), since_rollback=sessions_since_rollback(market, earlier, pointer)
    )
    if idle:
        return TrainingPlan(False, idle)
    how, why = training(condition)
    if pointer.baseline:
        how, why = "tuned", f"{pointer.baseline} is served, since version {pointer.version} was shown to be worse"
    elif (trained := models.champion().card.trained_through) >= market.day:
        return TrainingPlan(
            False, f"the champion was trained through {trained}, and no session up to {market.day} can evaluate it"
        )
    long = [bars for bars in market.source.reading.bars.values() if len(bars) >= _LONGEST_HOLD_OUT]
    return TrainingPlan(True, why, how, market.day - held_out_days(max(len(long), 1), enough))


def held_out_days(symbols: int, enough: int) -> timedelta:
    """The days held out of the training, so that a number of symbols has enough origins in them.

    >>> held_out_days(5, 120).days, held_out_days(500, 120).days
    (362, 197)
    """
    sessions = -(-enough // symbols) * DAILY.horizon
    kept = min(max(sessions, _SHORTEST_HOLD_OUT), _LONGEST_HOLD_OUT) + DAILY.horizon
    return timedelta(days=round(kept * _DAYS_A_SESSION))


def train_challenger(
    market: Market,
    planned: TrainingPlan,
    *,
    fit: Fit,
    tuning: Tuning,
    baselines: Baselines,
    models: ModelStore,
    registry: ModelRegistry,
    warehouse: Warehouse,
    picture: Picture,
    seeds: Sequence[int] = SEEDS,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Bundle:
    """Train and register a challenger, or find the one that was registered from the same training.

    It learns from the results days that are stored, too. One whose number was published with other content, as where
    the registry was replaced, is registered again for a number that can be published.

    Raises:
        TooFewSessions: there are too few sessions to train on.
        BundleError: the trained network cannot be exported.
        StoreUnavailable, WarehouseUnavailable: the registry or the warehouse does not answer.
    """
    recipe = tuning(market, planned.through) if planned.training == "tuned" else None
    series = list(market.source.reading.bars.values())
    results = results_days(market.symbols, FIRST, market.day, warehouse=warehouse)
    digest = fingerprint(market.source.name, series, planned.through, seeds, recipe, results)
    for version in registry.versions(MODEL):
        if version.card.fingerprint == digest:
            with suppress(BundleError):  # damaged, and so trained again
                found = registry.bundle(MODEL, version.card.version)
                return _renumbered(found, registry) if models.differs(found.card) else found
    return train(
        market.source,
        market.symbols,
        FIRST,
        market.day,
        planned.through,
        fit=fit,
        baselines=baselines,
        registry=registry,
        picture=picture,
        seeds=seeds,
        recipe=recipe,
        results=results,
        on_progress=on_progress,
    )


def _renumbered(found: Bundle, registry: ModelRegistry) -> Bundle:
    record = RunRecord({"source": f"version {found.card.version}, whose number is published"}, trained_here=False)
    return registry.register(found, record)


def evaluate_challenger(
    market: Market,
    challenger: Bundle,
    *,
    models: ModelStore,
    load: Callable[[Bundle], Predictor],
    baselines: Baselines,
    warehouse: Warehouse,
    picture: Picture,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Contest:
    """Evaluate the challenger beside what is served on dates that neither was trained on, and keep the report.

    Raises:
        ModelUnavailable, BundleError: there is no champion, or it is damaged.
        Transient: try again.
    """
    champion, baseline = models.champion(), models.pointer().baseline
    seen = [challenger.card.trained_through, *(() if baseline else (champion.card.trained_through,))]
    first = max(seen) + timedelta(days=1)
    if first >= market.day:
        return Contest(challenger, None)
    try:
        comparison = compare(
            challenger,
            champion,
            market.source,
            market.symbols,
            first,
            market.day,
            load=load,
            baselines=baselines,
            served_baseline=baseline,
            results=results_days(market.symbols, first, market.day, warehouse=warehouse),
            on_progress=on_progress,
        )
    except NoRecentBars:
        return Contest(challenger, None)
    return Contest(challenger, comparison, _keep(models, market.day, challenger, comparison, picture))


def decide_promotion(
    market: Market,
    planned: TrainingPlan,
    contest: Contest | Permanent | None,
    *,
    models: ModelStore,
    registry: ModelRegistry,
    warehouse: Warehouse,
    now: datetime,
) -> Decided:
    """Decide by `domain.measures.promotion`, serve the challenger if it won, or a baseline, and record the decision.

    Args:
        market: the bars.
        planned: the plan of the challenger's training.
        contest: the comparison; the reason if the challenger could not be trained; None if none was wanted.
        models: where the champion is served from.
        registry: where the alias `champion` follows.
        warehouse: where the decision is kept.
        now: the time.

    Raises:
        PreconditionFailed: the pointer changed in this moment; try again.
        Transient: try again.
    """
    pointer = models.pointer()
    decided = recorded_decision(models, pointer.name, market.day, "promotion") or _decided(
        market.day, planned, contest, pointer.name, pointer.serving, models
    )
    if decided.decision == "promoted":
        models.write(registry.bundle(decided.model_name, str(decided.candidate_version)))
    return carry_out(decided, models=models, registry=registry, warehouse=warehouse, now=now)


def _decided(
    day: date, planned: TrainingPlan, contest: Contest | Permanent | None, name: str, champion: str, models: ModelStore
) -> Decided:
    kept = Decided(day=day, kind="promotion", decision="kept", reason="", model_name=name, champion_version=champion)
    if contest is None:
        return kept.model_copy(update={"reason": planned.why})
    trained = {"training": planned.training, "cause": planned.why}
    if isinstance(contest, Permanent):
        return kept.model_copy(update={**trained, "reason": f"no challenger: {contest}"})
    card = contest.challenger.card
    trained |= {"candidate_version": card.version, "run_id": card.run_id}
    if contest.comparison is None:
        seen = models.champion().card.trained_through
        reason = (
            f"no session is unseen by both: the champion was trained through {seen}, the challenger through "
            f"{card.trained_through}"
        )
        return kept.model_copy(update={**trained, "reason": reason})
    evidence = contest.comparison.evidence
    decision = decide(evidence)
    decided = kept.model_dump() | trained | {"decision": decision.action, "reason": decision.reason}
    measured = {"origins": evidence.origins, "report": contest.report} | (
        _champion_figures(contest.comparison)
        if decision.action == "demoted"
        else _figures(evidence.vs_champion, evidence.vs_random_walk, evidence.coverage_80)
    )
    return Decided.model_validate(decided | measured)


def _champion_figures(comparison: Comparison) -> dict[str, Any]:
    """The figures of a demotion: of the champion, beside the baseline that takes its place."""
    evidence, own = comparison.evidence, comparison.tables["champion"]
    vs_walk = loss_ratio(own, comparison.tables[RANDOM_WALK], "sp")
    found = _figures(evidence.champion_vs_baseline or (1.0, 1.0, 1.0), vs_walk, summary(own)["coverage_80"])
    return found | {"candidate_version": evidence.baseline}


def _figures(ratio: Interval, vs_walk: Interval, coverage_80: float) -> dict[str, Any]:
    return {**ratio_figures(ratio), "walk_ratio": vs_walk[0], "coverage_80": coverage_80}


def _keep(models: ModelStore, day: date, challenger: Bundle, comparison: Comparison, picture: Picture) -> str:
    report = evaluation_report(comparison.tables)
    steps = {name: by_group(table, "step") for name, table in comparison.tables.items() if name != "challenger"}
    where = f"reports/promotion/{day}/{challenger.card.name}-{challenger.card.version}"
    for name, content in {
        f"{where}.png": picture(report, steps),
        f"{where}.json": report_json(report).encode(),
    }.items():
        with suppress(PreconditionFailed):  # an earlier run got this far
            models.store.write(name, content, if_generation="")
    return f"{where}.json"
