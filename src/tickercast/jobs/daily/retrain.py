"""Retrain: bring up a challenger on the newest bars, and let it replace the champion if it has earned it.

The last months are kept from the training, for as many origins as the rule of promotion asks for. A day's challenger is
known by the fingerprint of its training, so that it is trained once, however often the day is run.
"""

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal

from tickercast.domain.evaluation import by, report
from tickercast.domain.forecast import HORIZON, Predictor
from tickercast.domain.model_card import MODEL, Bundle
from tickercast.domain.promotion import MIN_ORIGINS, Condition, decide, standstill, training
from tickercast.domain.recipe import Recipe
from tickercast.errors import NoRecentBars, Permanent, PreconditionFailed
from tickercast.jobs.champion.decisions import Decided, recorded, settle
from tickercast.jobs.champion.model_store import read_champion, read_pointer, write_bundle
from tickercast.jobs.champion.probation import sessions_since_rollback
from tickercast.jobs.champion.promote import Judged, judge
from tickercast.jobs.daily.fetch import Market
from tickercast.jobs.training.evaluate import Peers
from tickercast.jobs.training.train import Fit, Picture, fingerprint, train
from tickercast.ports import ModelRegistry, ObjectStore, Warehouse

SEEDS = (1, 2, 3, 4, 5)
FIRST = date(2000, 1, 1)
"""The first date learned from."""

_ORIGINS = round(1.2 * MIN_ORIGINS)
_SHORTEST_HOLD_OUT, _LONGEST_HOLD_OUT = 126, 756  # sessions: half a year, three years
_DAYS_A_SESSION = 365 / 252

Tuning = Callable[[Market, date], Recipe]
"""Finds a recipe in bounded time, from nothing after a date."""


@dataclass(frozen=True)
class Plan:
    """Whether and how a challenger is brought up.

    Attributes:
        wanted: whether it is.
        why: why it is tuned, only refitted, or not wanted.
        training: how.
        through: the last date that it learns from.
    """

    wanted: bool
    why: str
    training: Literal["refitted", "tuned"] = "refitted"
    through: date = date.min


@dataclass(frozen=True)
class Comparison:
    """A challenger beside the champion.

    Attributes:
        challenger: the registered version.
        judged: what a backtest says; None where there is no origin that neither has seen.
        report: the object that holds it, empty without one.
    """

    challenger: Bundle
    judged: Judged | None
    report: str = ""


def plan(
    market: Market, condition: Condition, *, store: ObjectStore, warehouse: Warehouse, enough: int = _ORIGINS
) -> Plan:
    """Decides whether a challenger is wanted, and how it is brought up.

    Args:
        market: the bars.
        condition: how the champion fares.
        store: where it is served from.
        warehouse: what was decided before.
        enough: origins to keep from the training.

    Raises:
        Transient: the store or the warehouse does not answer.
    """
    pointer = read_pointer(store)
    if recorded(store, pointer.name, market.day, "promotion") is not None:
        return Plan(False, f"{market.day} has been decided already")
    idle = standstill(
        on_probation=bool(pointer.shadow), since_rollback=sessions_since_rollback(market, warehouse, pointer.name)
    )
    if idle:
        return Plan(False, idle)
    learned = read_champion(store).card.trained_through
    if learned >= market.day:
        return Plan(False, f"the champion learned through {learned}, so that nothing up to {market.day} can measure it")
    how, why = training(condition)
    long = [history for history in market.source.reading.histories.values() if len(history) >= _LONGEST_HOLD_OUT]
    return Plan(True, why, how, market.day - held_back(max(len(long), 1), enough))


def held_back(symbols: int, enough: int) -> timedelta:
    """How much is kept from the training, so that so many symbols have enough origins there.

    >>> held_back(5, 120).days, held_back(500, 120).days
    (362, 197)
    """
    sessions = -(-enough // symbols) * HORIZON
    kept = min(max(sessions, _SHORTEST_HOLD_OUT), _LONGEST_HOLD_OUT) + HORIZON
    return timedelta(days=round(kept * _DAYS_A_SESSION))


def bring_up(
    market: Market,
    planned: Plan,
    *,
    fit: Fit,
    tuning: Tuning,
    peers: Peers,
    registry: ModelRegistry,
    picture: Picture,
    seeds: Sequence[int] = SEEDS,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Bundle:
    """Trains and registers a challenger, or finds the one that was registered from the same training.

    Raises:
        TooFewSessions: there is too little to learn from.
        BundleError: the trained network cannot be exported.
        StoreUnavailable: the registry does not answer.
    """
    recipe = tuning(market, planned.through) if planned.training == "tuned" else None
    histories = list(market.source.reading.histories.values())
    marked = fingerprint(market.source.name, histories, planned.through, seeds, recipe)
    for version in registry.versions(MODEL):
        if version.card.fingerprint == marked:
            return registry.bundle(MODEL, version.card.version)
    return train(
        market.source,
        market.symbols,
        FIRST,
        market.day,
        planned.through,
        fit=fit,
        peers=peers,
        registry=registry,
        picture=picture,
        seeds=seeds,
        recipe=recipe,
        on_progress=on_progress,
    )


def evaluate(
    market: Market,
    challenger: Bundle,
    *,
    store: ObjectStore,
    load: Callable[[Bundle], Predictor],
    peers: Peers,
    picture: Picture,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Comparison:
    """Backtests the challenger beside the champion where neither has learned, and keeps the report in the bucket.

    Raises:
        ModelUnavailable, BundleError: there is no champion, or it is damaged.
        Transient: try again.
    """
    champion = read_champion(store)
    first = max(champion.card.trained_through, challenger.card.trained_through) + timedelta(days=1)
    if first >= market.day:
        return Comparison(challenger, None)
    try:
        judged = judge(
            challenger,
            champion,
            market.source,
            market.symbols,
            first,
            market.day,
            load=load,
            peers=peers,
            on_progress=on_progress,
        )
    except NoRecentBars:
        return Comparison(challenger, None)
    return Comparison(challenger, judged, _keep(store, market.day, challenger, judged, picture))


def conclude(
    market: Market,
    planned: Plan,
    comparison: Comparison | Permanent | None,
    *,
    store: ObjectStore,
    registry: ModelRegistry,
    warehouse: Warehouse,
    now: datetime,
) -> Decided:
    """Decides by `domain.promotion`, publishes the challenger if it won, and records the decision.

    Args:
        market: the bars.
        planned: how the challenger was brought up.
        comparison: what came out; the reason where it could not be brought up; None where none was wanted.
        store: where the champion is served from.
        registry: where the alias `champion` follows.
        warehouse: where the decision is kept.
        now: the time.

    Raises:
        PreconditionFailed: another version has come to be served meanwhile.
        Transient: try again.
    """
    pointer = read_pointer(store)
    decided = recorded(store, pointer.name, market.day, "promotion") or _decided(
        market.day, planned, comparison, pointer.name, pointer.version, store
    )
    if decided.decision == "promoted":
        write_bundle(store, registry.bundle(decided.model_name, str(decided.challenger_version)))
    return settle(decided, store=store, registry=registry, warehouse=warehouse, now=now)


def _decided(
    day: date, planned: Plan, comparison: Comparison | Permanent | None, name: str, champion: str, store: ObjectStore
) -> Decided:
    kept = Decided(day=day, kind="promotion", decision="kept", reason="", model_name=name, champion_version=champion)
    if comparison is None:
        return kept.model_copy(update={"reason": planned.why})
    trained = {"training": planned.training, "cause": planned.why}
    if isinstance(comparison, Permanent):
        return kept.model_copy(update={**trained, "reason": f"no challenger: {comparison}"})
    card = comparison.challenger.card
    trained |= {"challenger_version": card.version, "run_id": card.run_id}
    if comparison.judged is None:
        seen = read_champion(store).card.trained_through
        reason = f"no session that neither has seen: the champion learned through {seen}, the challenger through "
        return kept.model_copy(update={**trained, "reason": f"{reason}{card.trained_through}"})
    evidence = comparison.judged.evidence
    decision = decide(evidence)
    ratio, low, high = evidence.vs_champion
    return Decided.model_validate(
        kept.model_dump()
        | trained
        | {
            "decision": "promoted" if decision.promote else "kept",
            "reason": decision.reason,
            "origins": evidence.origins,
            "pinball_ratio": ratio,
            "pinball_ratio_lo": low,
            "pinball_ratio_hi": high,
            "walk_ratio": evidence.vs_random_walk[0],
            "coverage_80": evidence.coverage_80,
            "report": comparison.report,
        }
    )


def _keep(store: ObjectStore, day: date, challenger: Bundle, judged: Judged, picture: Picture) -> str:
    told = report(judged.tables)
    steps = {name: by(table, "step") for name, table in judged.tables.items() if name != "challenger"}
    where = f"reports/promotion/{day}/{challenger.card.name}-{challenger.card.version}"
    for name, content in {
        f"{where}.png": picture(told, steps),
        f"{where}.json": json.dumps(told, indent=2).encode(),
    }.items():
        with suppress(PreconditionFailed):  # a run before came so far
            store.write(name, content, if_generation=0)
    return f"{where}.json"
