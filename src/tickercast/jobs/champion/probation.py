"""Review: hold a new champion against the one that it replaced, by what came true."""

from datetime import date, datetime

import pandas as pd

from tickercast.domain.calendar import sessions_between
from tickercast.domain.promotion import review as rule
from tickercast.jobs.champion.decisions import Decided, decisions, recorded, settle
from tickercast.jobs.champion.model_store import read_pointer
from tickercast.jobs.champion.scores import Scores
from tickercast.jobs.daily.fetch import Market
from tickercast.ports import ModelRegistry, ObjectStore, Warehouse


def review(
    market: Market,
    scores: Scores,
    *,
    store: ObjectStore,
    registry: ModelRegistry,
    warehouse: Warehouse,
    now: datetime,
) -> Decided | str:
    """Rolls a champion on probation back, confirms it, or waits, by `domain.promotion`.

    Returns:
        The decision; or, where nothing was to be decided, why.

    Raises:
        PreconditionFailed: another version has come to be served meanwhile.
        Transient: try again.
    """
    pointer = read_pointer(store)
    before = recorded(store, pointer.name, market.day, "rollback")
    if before is not None:
        return settle(before, store=store, registry=registry, warehouse=warehouse, now=now)
    if not pointer.shadow:
        return f"version {pointer.version} is not on probation"
    history = decisions(warehouse, pointer.name)
    action, reason = rule(scores.vs_shadow, _sessions_since(history, "promoted", market) or 0)
    if action == "waiting":
        return reason
    ratio = scores.vs_shadow.ratio if scores.vs_shadow else (None, None, None)
    decided = Decided(
        day=market.day,
        kind="rollback",
        decision=action,
        reason=reason,
        model_name=pointer.name,
        champion_version=pointer.version,
        challenger_version=pointer.shadow,
        origins=scores.vs_shadow.origins if scores.vs_shadow else 0,
        pinball_ratio=ratio[0],
        pinball_ratio_lo=ratio[1],
        pinball_ratio_hi=ratio[2],
        walk_ratio=scores.vs_walk.ratio[0] if scores.vs_walk else None,
        coverage_80=None if pd.isna(scores.coverage_80) else scores.coverage_80,
    )
    return settle(decided, store=store, registry=registry, warehouse=warehouse, now=now)


def sessions_since_rollback(market: Market, warehouse: Warehouse, name: str) -> int | None:
    """Sessions since a champion was last rolled back, None where none ever was.

    Raises:
        WarehouseUnavailable: try again.
    """
    return _sessions_since(decisions(warehouse, name), "rolled back", market)


def _sessions_since(history: pd.DataFrame, decision: str, market: Market) -> int | None:
    days: list[date] = [day.date() for day in history[history["decision"] == decision]["day"]]
    if not days:
        return None
    return len(sessions_between(market.symbols[0], days[-1], market.day)) - 1
