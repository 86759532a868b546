"""Review a champion on probation: compare it with the version that it replaced, by the closes that came true."""

from datetime import date, datetime

import pandas as pd

from tickercast.domain.calendar import sessions_between
from tickercast.domain.market import Market
from tickercast.domain.promotion import review
from tickercast.jobs.champion.decisions import Decided, carry_out, decisions, recorded_decision
from tickercast.jobs.champion.scores import Scores
from tickercast.model_store import ModelStore
from tickercast.ports import ModelRegistry, Warehouse


def review_probation(
    market: Market,
    scores: Scores,
    *,
    models: ModelStore,
    registry: ModelRegistry,
    warehouse: Warehouse,
    now: datetime,
) -> Decided | str:
    """Roll a champion on probation back, confirm it, or wait, by the rule of `domain.promotion`.

    Returns:
        The decision, or why there was none.

    Raises:
        PreconditionFailed: another version is served by now.
        Transient: try again.
    """
    pointer = models.pointer()
    before = recorded_decision(models, pointer.name, market.day, "rollback")
    if before is not None:
        return carry_out(before, models=models, registry=registry, warehouse=warehouse, now=now)
    if not pointer.shadow:
        return f"version {pointer.version} is not on probation"
    earlier = decisions(warehouse, pointer.name)
    action, reason = review(scores.vs_shadow, _sessions_since(earlier, "promoted", market) or 0)
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
        candidate_version=pointer.shadow,
        origins=scores.vs_shadow.origins if scores.vs_shadow else 0,
        pinball_ratio=ratio[0],
        pinball_ratio_lo=ratio[1],
        pinball_ratio_hi=ratio[2],
        walk_ratio=scores.vs_walk.ratio[0] if scores.vs_walk else None,
        coverage_80=None if pd.isna(scores.coverage_80) else scores.coverage_80,
    )
    return carry_out(decided, models=models, registry=registry, warehouse=warehouse, now=now)


def sessions_since_rollback(market: Market, warehouse: Warehouse, name: str) -> int | None:
    """Sessions since a champion was last rolled back; None if none ever was.

    Raises:
        WarehouseUnavailable: try again.
    """
    return _sessions_since(decisions(warehouse, name), "rolled back", market)


def _sessions_since(earlier: pd.DataFrame, decision: str, market: Market) -> int | None:
    days: list[date] = [day.date() for day in earlier[earlier["decision"] == decision]["day"]]
    if not days:
        return None
    return len(sessions_between(market.symbols[0], days[-1], market.day)) - 1
