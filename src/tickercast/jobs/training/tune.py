"""Tune the recipe of a training: search for the one whose networks do best on the validation blocks.

A study can be interrupted at any time and resumed.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import date
from typing import Protocol

from tickercast.domain.bars import Bars
from tickercast.domain.learning.dataset import Dataset, dataset
from tickercast.domain.learning.recipe import Epoch, Recipe, recipe_json
from tickercast.errors import Permanent
from tickercast.jobs.training.train import training_bars
from tickercast.ports import MarketData, Pruned, RecipeSearch, RunRecord, StudyLog, StudyResult, StudyTracker

SEEDS = (1, 2)
"""Two networks a trial, validated on two fifths of the sessions. Five would take as long as a whole training, and all
trials share seeds and blocks, so that most of their noise cancels out."""

_SCHEME = 1  # raise it when losses or recipes of older studies are no longer comparable


class TrainingSet(Protocol):
    """The examples of a training, prepared once: `tickercast.models.lstm.training.TrainingSet`."""

    @property
    def default(self) -> Recipe:
        """The recipe that suits the number of examples."""

    def validation_loss(self, recipe: Recipe, seeds: Sequence[int], on_epoch: Callable[[Epoch], None]) -> float:
        """Train one network a seed and return their loss on the validation blocks."""


class Prepare(Protocol):
    """Cuts series into examples: `tickercast.models.lstm.training.prepare`."""

    def __call__(self, series: Sequence[Bars], *, trained_through: date) -> TrainingSet:
        """Use nothing after `trained_through`."""


def tune(
    source: MarketData,
    symbols: Sequence[str],
    first: date,
    trained_through: date,
    *,
    trials: int,
    prepare: Prepare,
    search: RecipeSearch[Recipe],
    tracker: StudyTracker,
    is_over: Callable[[], bool] = lambda: False,
    on_progress: Callable[[float, StudyResult[Recipe]], None] = lambda done, result: None,
    on_failure: Callable[[str, Permanent], None] = lambda symbol, reason: None,
) -> StudyResult[Recipe]:
    """Run trials until a study has enough finished ones.

    The study's name is derived from the data and the last date: the same inputs resume the same study.

    Args:
        source: where the bars come from.
        symbols: the symbols to train on.
        first: the first date fetched.
        trained_through: the last date fetched, and used.
        trials: total to finish, including those of earlier calls.
        prepare: cuts series into examples.
        search: proposes the recipes.
        tracker: shows the study.
        is_over: asked after each trial; once it answers yes, no further trial is begun, and the study can be resumed.
        on_progress: called with the trials done, a part of the current one included, and with the result so far.
        on_failure: called with each symbol that the source could not give, and why.

    Raises:
        TooFewSessions: there are too few sessions to train on.
        SourceUnavailable, UsageError: the source, or the file of studies, cannot be read.
        StoreUnavailable: the tracker does not answer.
    """
    series = training_bars(source, symbols, first, trained_through, on_failure)
    training_set = prepare(series, trained_through=trained_through)
    data = dataset(source.name, series, trained_through)
    result: StudyResult[Recipe] = StudyResult(study_name(data, trained_through), [])
    common = RunRecord(
        {"seeds": ",".join(map(str, SEEDS)), "trained_through": trained_through}, datasets={"training": data}
    )
    with tracker.study(result.study, common) as log:

        def attempt(number: int, recipe: Recipe, judge: Callable[[Epoch], None]) -> float:
            def report_progress(share: float) -> None:
                on_progress(len(result.trials) + share, result)

            return _attempt(training_set, number, recipe, judge, log, report_progress)

        for trial in search.run(result.study, training_set.default, attempt, trials=trials):
            result = StudyResult(result.study, [*result.trials, trial])
            on_progress(len(result.trials), result)
            if is_over():
                break
        log.result(_result(result))
    return result


def study_name(data: Dataset, trained_through: date) -> str:
    """The name under which a study is kept and found again."""
    return f"recipe-{_SCHEME}-{trained_through}-{data.sha256[:12]}"


def _attempt(
    training_set: TrainingSet,
    number: int,
    recipe: Recipe,
    judge: Callable[[Epoch], None],
    log: StudyLog,
    on_progress: Callable[[float], None],
) -> float:
    """Run one trial and log it, pruned or not; an interrupted one leaves nothing in the log."""
    curves: dict[str, list[float]] = {}

    def on_epoch(epoch: Epoch) -> None:
        for name, value in epoch.losses.items():
            curves.setdefault(f"seed_{epoch.seed}/{name}", []).append(value)
        on_progress((epoch.fold + epoch.share) / len(SEEDS))
        judge(epoch)

    try:
        loss = training_set.validation_loss(recipe, SEEDS, on_epoch)
        if not math.isfinite(loss):
            raise Pruned
    except Pruned:
        log.trial(number, RunRecord(asdict(recipe), curves=curves), pruned=True)
        raise
    log.trial(number, RunRecord(asdict(recipe), {"validation_sp": loss}, curves), pruned=False)
    return loss


def _result(result: StudyResult[Recipe]) -> RunRecord:
    default, best = result.default.loss, result.best.loss
    losses = {"validation_sp_default": default, "validation_sp": best}
    counts = {
        "trials": float(len(result.trials)),
        "pruned": float(result.pruned),
        "best_trial": float(result.best.number),
    }
    return RunRecord(
        metrics={name: float(count) for name, count in counts.items()}
        | {name: value for name, value in losses.items() if value is not None},
        artifacts={"recipe.json": recipe_json(result.best.recipe).encode()},
    )
