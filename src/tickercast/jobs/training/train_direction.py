"""Train the model of the next hour's direction: search for a recipe, walk forward over later months, register."""

import math
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from datetime import date, timedelta
from typing import Any, Protocol

import numpy as np

from tickercast.domain.cards.model_card import Bundle
from tickercast.domain.cards.model_page import describe
from tickercast.domain.hourly.direction_inputs import Asked, Questions, questions
from tickercast.domain.learning.boosting import Boosting
from tickercast.domain.learning.dataset import Dataset, dataset
from tickercast.domain.learning.recipe import Epoch
from tickercast.domain.measures.direction import summary
from tickercast.errors import Permanent
from tickercast.jobs.training.registration import register
from tickercast.jobs.training.train import arguments, training_bars
from tickercast.jobs.training.train_hourly import Network
from tickercast.ports import (
    MarketData,
    ModelRegistry,
    Pruned,
    RecipeSearch,
    RunRecord,
    StudyLog,
    StudyResult,
    StudyTracker,
)

SIZES = (0.0008, 0.002, 0.005, 0.01)
"""The sizes of moves, as log-returns, between which hit rates are shown."""

VALIDATION_MONTHS = 6
"""Months before the end of the training on which recipes are compared."""

_SCHEME = 1  # raise it when losses or recipes of older studies are no longer comparable


class Boost(Protocol):
    """The training: `tickercast.models.boosted.training`."""

    def fit(self, series: Sequence[Questions], recipe: Boosting, until: np.datetime64) -> Network:
        """Grow trees from the window that ends at a moment."""

    def walk_forward(
        self,
        series: Sequence[Questions],
        recipe: Boosting,
        first: np.datetime64,
        end: np.datetime64,
        *,
        asked: Sequence[str] = (),
    ) -> Asked:
        """Forecast every hour of some months, each by trees grown from the window before it."""

    def brier(
        self,
        series: Sequence[Questions],
        recipe: Boosting,
        first: np.datetime64,
        end: np.datetime64,
        *,
        asked: Sequence[str] = (),
        on_epoch: Callable[[Epoch], None],
    ) -> float:
        """The Brier score of a recipe on some months; what the callback raises ends it."""


@dataclass(frozen=True)
class DirectionTraining:
    """The result of a training.

    Attributes:
        bundle: the trees, with version and run id if they were registered.
        study: the search for their recipe; None if one was given.
        report: everything about the forecasts of later months; see `domain.measures.direction.summary`.
    """

    bundle: Bundle
    study: StudyResult[Boosting] | None
    report: dict[str, Any]


def train_direction(
    source: MarketData,
    symbols: Sequence[str],
    first: date,
    last: date,
    through: date,
    *,
    boost: Boost,
    search: RecipeSearch[Boosting] | None = None,
    tracker: StudyTracker | None = None,
    registry: ModelRegistry | None = None,
    trials: int = 0,
    recipe: Boosting | None = None,
    asked: Sequence[str] = (),
    patience: timedelta = timedelta(0),
    on_progress: Callable[[float, int], None] = lambda done, total: None,
    on_failure: Callable[[str, Permanent], None] = lambda symbol, reason: None,
) -> DirectionTraining:
    """Train the direction model.

    Recipes are compared on the last months up to `through`, which the model then learns from, too; it is measured on
    the months after it, grown again each month by the recipe that was chosen.

    Args:
        source: where the hourly bars come from.
        symbols: the symbols to learn from, together.
        first: the first date fetched.
        last: the last date fetched.
        through: the last date that may be learned from; the months after it measure the model.
        boost: the training.
        search: proposes recipes.
        tracker: shows the study.
        registry: where to register the bundle; None registers nothing.
        trials: recipes to try, those of earlier calls included; 0 trains by the default.
        recipe: the default, which is tried first.
        asked: the symbols whose direction is measured; all by default.
        patience: the time limit for waiting where the registry does not answer.
        on_progress: called with the trials done and their total.
        on_failure: called with each symbol that the source could not give, and why.

    Raises:
        TooFewSessions: there is too little to learn from or to measure on.
        SourceUnavailable, UsageError: the source as a whole, or the file of studies, cannot be read.
        BundleError: the trees cannot be exported.
    """
    series = training_bars(source, symbols, first, last, on_failure)
    asking = [questions(bars) for bars in series]
    data = dataset(source.name, series, through)
    chosen, study = recipe or Boosting(), None
    if trials and search:
        study = _study(asking, chosen, through, trials, boost, search, tracker, data, asked, on_progress)
        chosen = study.best.recipe
    end = np.datetime64(through + timedelta(days=1), "h")
    fitted = boost.fit(asking, chosen, end)
    month = (end - np.timedelta64(1, "h")).astype("datetime64[M]") + 1  # the first that was not learned from at all
    made = boost.walk_forward(asking, chosen, month, _last_month(asking), asked=asked)
    report = summary(made.probability, made.up, made.move, made.closed_at, SIZES)
    metrics = {name: round(value, 5) for name, value in report.items() if isinstance(value, int | float)}
    bundle = fitted.bundle()
    given = arguments(symbols, *([f"--trials {trials}"] if study else []))
    words = {"metrics": metrics, "trained_on": f"source {source.name}: {bundle.card.trained_on}", "arguments": given}
    bundle = replace(bundle, card=bundle.card.model_copy(update=words))
    if registry is not None:
        measured = [bars for bars in series if not asked or bars.symbol in asked]
        evaluation = dataset(source.name, measured, last, since=month.astype("datetime64[D]").item())
        record = RunRecord(
            parameters=dict(fitted.parameters) | {"source": source.name, "symbols": ",".join(symbols)[:500]},
            datasets={"training": data, "evaluation": evaluation},
            artifacts={"MODEL_CARD.md": describe(bundle.card).encode()},
        )
        bundle = register(registry, bundle, record, patience=patience)
    return DirectionTraining(bundle, study, report)


def _study(
    asking: Sequence[Questions],
    default: Boosting,
    through: date,
    trials: int,
    boost: Boost,
    search: RecipeSearch[Boosting],
    tracker: StudyTracker | None,
    data: Dataset,
    asked: Sequence[str],
    on_progress: Callable[[float, int], None],
) -> StudyResult[Boosting]:
    """Try recipes on the last months of the training until enough trials have finished; see `jobs.training.tune`."""
    end = np.datetime64(through + timedelta(days=1), "M")
    first = end - VALIDATION_MONTHS
    name = f"direction-{_SCHEME}-{through}-{data.sha256[:12]}-depth{default.depth}"
    result: StudyResult[Boosting] = StudyResult(name, [])
    record = RunRecord({"trained_through": through, "months": f"{first} to {end - 1}"}, datasets={"training": data})
    with tracker.study(name, record) if tracker else nullcontext() as log:

        def attempt(number: int, recipe: Boosting, judge: Callable[[Epoch], None]) -> float:
            return _attempt(boost, asking, number, recipe, judge, first, end, asked, log)

        for trial in search.run(name, default, attempt, trials=trials):
            result = StudyResult(name, [*result.trials, trial])
            on_progress(len(result.trials), trials)
        if log is not None:
            best = result.best
            losses = {"validation_brier": best.loss, "validation_brier_default": result.default.loss}
            known = {measure: loss for measure, loss in losses.items() if loss is not None}
            log.result(RunRecord(asdict(best.recipe), known | {"trials": float(len(result.trials))}))
    return result


def _attempt(
    boost: Boost,
    asking: Sequence[Questions],
    number: int,
    recipe: Boosting,
    judge: Callable[[Epoch], None],
    first: np.datetime64,
    end: np.datetime64,
    asked: Sequence[str],
    log: StudyLog | None,
) -> float:
    curve: list[float] = []

    def on_epoch(epoch: Epoch) -> None:
        curve.append(epoch.losses["brier"])
        judge(epoch)

    def track(metrics: dict[str, float], *, pruned: bool) -> None:
        if log is not None:
            log.trial(number, RunRecord(asdict(recipe), metrics, {"brier": curve}), pruned=pruned)

    try:
        loss = boost.brier(asking, recipe, first, end, asked=asked, on_epoch=on_epoch)
        if not math.isfinite(loss):
            raise Pruned
    except Pruned:
        track({}, pruned=True)
        raise
    track({"validation_brier": loss}, pruned=False)
    return loss


def _last_month(asking: Sequence[Questions]) -> np.datetime64:
    """The month after the last hour that can be measured."""
    last: np.datetime64 = max(one.closed_at[-1] for one in asking if len(one)).astype("datetime64[M]")
    return last + 1
