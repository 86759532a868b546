"""Grow the trees of the direction model again: each month, and out of turn by a rule.

The default rule wants evidence: the whole 95% interval of the Brier score of the last forecasts above a coin's. A rule
of the kind "fewer than T of the last N were right" takes its place where the settings name one. New trees are served
unless they are shown to be worse than the served ones, by trees that were grown before the last weeks and asked about
them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tickercast.domain.cards.model_card import CHAMPION_ALIAS, Bundle
from tickercast.domain.hourly.direction_inputs import LEAST, Questions, questions
from tickercast.domain.learning.boosting import PURGE, Boosting
from tickercast.domain.learning.dataset import dataset
from tickercast.domain.measures import bootstrap
from tickercast.domain.measures.direction import DIRECTION, RetrainBelow, brier_difference, retrain_on_evidence
from tickercast.errors import UsageError
from tickercast.jobs.training.seed import seed
from tickercast.jobs.training.train import training_bars
from tickercast.jobs.training.train_direction import Boost
from tickercast.model_store import ModelStore
from tickercast.ports import Between, MarketData, ModelRegistry, RunRecord, Warehouse

JUDGED = timedelta(days=30)
"""The newest forecasts on which the default rule looks for evidence."""

COMPARED = timedelta(days=28)
"""The last weeks, on which new trees are compared with the served ones."""

_MARGIN = timedelta(days=LEAST // 24 + 2)  # the history before the first hour that is learned from


class Asked(Protocol):
    """A model that can be asked about many hours at once: `models.direction.DirectionModel`."""

    def probability(self, inputs: NDArray[np.float32]) -> NDArray[np.float64]:
        """The probability that the next hour closes higher: `(n,)`, from `(n, len(INPUTS))`."""


@dataclass(frozen=True)
class Refit:
    """The result.

    Attributes:
        version: the version that is served now.
        reason: why new trees were grown, or why none were.
        comparison: the comparison of the new trees with the served ones, in words; empty where none were grown.
        is_new: whether the new trees are served.
    """

    version: str
    reason: str
    comparison: str = ""
    is_new: bool = False


def why_due(trained_through: date, scored: pd.DataFrame, rule: RetrainBelow | None, now: datetime) -> str:
    """The reason why new trees are due; empty if they are not.

    Args:
        trained_through: the last date that the served trees learned from.
        scored: their forecasts in the view `direction_scores` that count, the oldest first.
        rule: takes the place of the default one.
        now: the time, UTC.

    >>> why_due(date(2023, 6, 29), pd.DataFrame(), None, datetime(2023, 7, 31, 23))
    ''
    >>> why_due(date(2023, 6, 29), pd.DataFrame(), None, datetime(2023, 8, 1, 1))
    'a month has begun since they learned: the last date was 2023-06-29'
    """
    if trained_through < now.date().replace(day=1) - timedelta(days=2):
        return f"a month has begun since they learned: the last date was {trained_through}"
    if scored.empty:
        return ""
    if rule is not None:
        hits = scored["is_right"].to_numpy(bool)
        right = int(hits[-rule.last :].sum())
        return (
            f"{right} of the last {rule.last} directions were right, fewer than {rule.least}"
            if rule.fires(hits)
            else ""
        )
    last = scored[scored["cutoff_at"] > scored["cutoff_at"].max() - JUDGED]
    closed_at = last["cutoff_at"].dt.tz_localize(None).to_numpy().astype("datetime64[h]")
    return retrain_on_evidence(last["prob_up"].to_numpy(), last["went_up"].to_numpy(bool), closed_at)


def refit_direction(
    symbols: Sequence[str],
    *,
    source: MarketData,
    boost: Boost,
    load: Callable[[Bundle], Asked],
    models: ModelStore,
    registry: ModelRegistry,
    warehouse: Warehouse,
    now: datetime,
    rule: RetrainBelow | None = None,
    recipe: Boosting,
) -> Refit:
    """Grow, compare and serve new trees if they are due.

    Args:
        symbols: the symbols to learn from, together.
        source: where the hourly bars come from.
        boost: the training.
        load: loads a bundle.
        models: the published models of directions.
        registry: where versions are registered.
        warehouse: the forecasts that came true.
        now: the time.
        rule: takes the place of the default one.
        recipe: the hyperparameters.

    Raises:
        UsageError: the bars are simulated.
        TooFewSessions: there is too little to learn from.
        PreconditionFailed: another version has come to be served meanwhile.
        Transient: try again.
    """
    generation, served = models.generation(), models.champion()
    if models.pointer().returned_in_month(now):
        by_hand = f"version {served.card.version} was chosen by hand in this month, and stays until the next"
        return Refit(served.card.version, f"nothing was due: {by_hand}")
    moment = now.astimezone(UTC).replace(tzinfo=None)
    reason = why_due(served.card.trained_through, _scored(served, warehouse), rule, moment)
    if not reason:
        return Refit(served.card.version, f"nothing was due: version {served.card.version} learned in this month")
    if source.simulated:
        raise UsageError(
            f"{source.name} has simulated bars, and a served model learns from real ones. Name another --source."
        )
    until = np.datetime64(moment, "h") - np.timedelta64(PURGE, "h")
    first = (until - np.timedelta64(24 * recipe.days, "h")).astype("datetime64[D]").item() - COMPARED - _MARGIN
    series = training_bars(source, symbols, first, moment.date(), lambda *_: None)
    asking = [questions(bars) for bars in series]
    comparison, is_worse = _compare(asking, recipe, until, served, boost, load)
    if is_worse:
        return Refit(served.card.version, reason, comparison)
    fitted = boost.fit(asking, recipe, until)
    bundle = fitted.bundle()
    words = {"trained_on": f"source {source.name}: {bundle.card.trained_on}"}
    bundle = replace(bundle, card=bundle.card.model_copy(update=words))
    seed(registry, models)
    record = RunRecord(
        parameters=dict(fitted.parameters) | {"source": source.name, "symbols": ",".join(symbols)[:500]},
        datasets={"training": dataset(source.name, series, bundle.card.trained_through)},
    )
    bundle = registry.register(bundle, record)
    models.write(bundle)
    models.point(models.pointer().pointing(bundle.card.version), replacing=generation)
    registry.set_alias(DIRECTION, CHAMPION_ALIAS, bundle.card.version)
    return Refit(bundle.card.version, reason, comparison, is_new=True)


def _scored(served: Bundle, warehouse: Warehouse) -> pd.DataFrame:
    """The forecasts of the served version that came true and count, the oldest first."""
    where = {"model_name": served.card.name, "model_version": served.card.version, "model_has_seen": False}
    flags = {"simulated": False, "doubtful": False, "cutoff": Between(served.card.trained_through, None)}
    return warehouse.read("direction_scores", {**where, **flags}).sort_values(
        ["cutoff_at", "symbol"], ignore_index=True
    )


def _compare(
    asking: Sequence[Questions],
    recipe: Boosting,
    until: np.datetime64,
    served: Bundle,
    boost: Boost,
    load: Callable[[Bundle], Asked],
) -> tuple[str, bool]:
    """Compare trees from before the last weeks with the served ones on these: in words, and whether they are worse."""
    begin = until - np.timedelta64(COMPARED, "h")
    earlier = boost.fit(asking, recipe, begin - np.timedelta64(PURGE, "h")).bundle()
    unseen = np.datetime64(served.card.trained_through + timedelta(days=1), "h")
    hours = [one.between(max(begin, unseen), until) for one in asking]
    inputs, up, closed_at = (
        np.concatenate([getattr(one, name) for one in hours]) for name in ("inputs", "up", "closed_at")
    )
    if len(np.unique(closed_at.astype("datetime64[D]"))) < bootstrap.LEAST:
        return "there are no five days that neither has seen, so the new trees were not compared", False
    own, others = load(earlier).probability(inputs), load(served).probability(inputs)
    difference = brier_difference(own, others, up, closed_at)
    found = "{:+.5f} [{:+.5f}, {:+.5f}]".format(*difference)
    return f"Brier score against version {served.card.version} on {len(up):,} hours: {found}", difference[1] > 0
