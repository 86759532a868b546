"""Review a champion on probation: compare it with the version that it replaced, by the closes that came true."""

from datetime import date, datetime, timedelta

import pandas as pd

from tickercast.domain.calendar import calendar_name, sessions_between
from tickercast.domain.cards.model_card import Pointer
from tickercast.domain.learning.market import Market
from tickercast.domain.measures.promotion import review
from tickercast.jobs.champion.decisions import (
    Decided,
    carry_out,
    decided_later,
    decisions,
    ratio_figures,
    recorded_decision,
)
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
    """Roll a champion on probation back, confirm it, or wait, by the rule of `domain.measures.promotion`.

    Returns:
        The decision, or why there was none.

    Raises:
        PreconditionFailed: the pointer changed in this moment; try again.
        Transient: try again.
    """
    pointer = models.pointer()
    before = recorded_decision(models, pointer.name, market.day, "rollback")
    if before is not None:
        return carry_out(before, models=models, registry=registry, warehouse=warehouse, now=now)
    if not pointer.shadow:
        return f"version {pointer.version} is not on probation"
    earlier = decisions(warehouse, pointer.name)
    if later := decided_later(earlier, market.day):
        return later
    begun = _promoted(earlier, pointer.version, market.day) or scores.beside_shadow_since
    action, reason = review(scores.vs_shadow, _sessions(market, begun) if begun else 0)
    if action == "waiting":
        return reason
    decided = Decided(
        day=market.day,
        kind="rollback",
        decision=action,
        reason=reason,
        model_name=pointer.name,
        champion_version=pointer.version,
        candidate_version=pointer.shadow,
        origins=scores.vs_shadow.origins if scores.vs_shadow else 0,
        **ratio_figures(scores.vs_shadow.ratio if scores.vs_shadow else None),
        walk_ratio=scores.vs_walk.ratio[0] if scores.vs_walk else None,
        coverage_80=None if pd.isna(scores.coverage_80) else scores.coverage_80,
    )
    return carry_out(decided, models=models, registry=registry, warehouse=warehouse, now=now)


def sessions_since_rollback(market: Market, earlier: pd.DataFrame, pointer: Pointer) -> int | None:
    """Sessions since a champion was last rolled back, by a row of `retrains` or by hand; None if none ever was.

    Whatever was rolled back by hand stays so for the days before, too: who did it knew better.
    """
    decided = _last_day(earlier, "rolled back", market.day)
    by_hand = pointer.rolled_back_at.date() if pointer.rolled_back_at else None
    days = [day for day in (decided, by_hand) if day]
    return _sessions(market, max(days)) if days else None


def _promoted(earlier: pd.DataFrame, version: str, through: date) -> date | None:
    """The day of a version's last promotion by a decision; None where it was promoted by hand."""
    return _last_day(earlier[earlier["candidate_version"] == version], "promoted", through)


def _last_day(earlier: pd.DataFrame, decision: str, through: date) -> date | None:
    """The last day up to one on which a decision was made."""
    days = earlier[(earlier["decision"] == decision) & (earlier["day"] <= pd.Timestamp(through))]["day"]
    return None if days.empty else pd.Timestamp(days.iloc[-1]).date()


def _sessions(market: Market, since: date) -> int:
    """The sessions after a day up to the market's, at the exchange of the watchlist that has had the fewest."""
    exchanges = {calendar_name(symbol): symbol for symbol in market.symbols}
    after = since + timedelta(days=1)
    return min(len(sessions_between(symbol, after, market.day)) for symbol in exchanges.values())
