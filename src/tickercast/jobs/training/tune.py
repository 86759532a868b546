"""Tune: look for the recipe whose networks do best on the validation blocks, in a study that can be gone on with."""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Protocol

from tickercast.domain.bars import History
from tickercast.domain.dataset import Dataset, dataset
from tickercast.domain.recipe import Epoch, Recipe, to_json
from tickercast.errors import Permanent
from tickercast.jobs.training.train import teachers
from tickercast.ports import MarketData, Pruned, RecipeSearch, RunRecord, StudyLog, StudyTracker, Trial

SEEDS = (1, 2)
"""Two networks a trial, validated on two fifths of the sessions: five would take as long as a whole training, and all
trials share seeds and blocks, so that most of the noise of either cancels out between them."""

_SCHEME = 1  # to be raised whenever losses or recipes of older studies are no longer comparable


class Lessons(Protocol):
    """What is learned from, prepared once: `tickercast.models.lstm.training.Lessons`."""

    @property
    def default(self) -> Recipe:
        """The recipe of a training for which none is named."""

    def attempt(self, recipe: Recipe, seeds: Sequence[int], on_epoch: Callable[[Epoch], None]) -> float:
        """Trains one network a seed and gives their loss on validation blocks."""


class Prepare(Protocol):
    """Makes lessons of histories: `tickercast.models.lstm.training.prepare`."""

    def __call__(self, histories: Sequence[History], *, trained_through: date) -> Lessons:
        """Looks at nothing after `trained_through`."""


@dataclass(frozen=True)
class Tuned:
    """What came out of a study.

    Attributes:
        study: its name.
        trials: all that have finished, in their order; the first one's recipe is the default.
    """

    study: str
    trials: Sequence[Trial]

    @property
    def default(self) -> Trial:
        """The trial of the default recipe."""
        return self.trials[0]

    @property
    def best(self) -> Trial:
        """The trial with the least loss; of equal ones the first, so that nothing changes for nothing."""
        return min(self.trials, key=lambda trial: math.inf if trial.loss is None else trial.loss)

    @property
    def pruned(self) -> int:
        """How many trials were given up early."""
        return sum(trial.loss is None for trial in self.trials)


def tune(
    source: MarketData,
    symbols: Sequence[str],
    first: date,
    trained_through: date,
    *,
    trials: int,
    prepare: Prepare,
    search: RecipeSearch,
    tracker: StudyTracker,
    is_over: Callable[[], bool] = lambda: False,
    on_progress: Callable[[float, Tuned], None] = lambda done, tuned: None,
    on_failure: Callable[[str, Permanent], None] = lambda symbol, reason: None,
) -> Tuned:
    """Tries recipes until a study has enough finished trials.

    The study's name is made of the data and the last date: the same ones go on with the same study.

    Args:
        source: where the bars come from.
        symbols: what to learn from.
        first: the first date fetched.
        trained_through: the last date fetched, and used.
        trials: that shall have finished, those of earlier calls included.
        prepare: cuts histories into what is learned from.
        search: proposes the recipes.
        tracker: where the study can be looked at.
        is_over: asked after each trial whether time is up; the study can be gone on with.
        on_progress: called with the trials done, parts of the current one included, and with what has come out so far.
        on_failure: called with each symbol that the source could not give, and why.

    Raises:
        TooFewSessions: there is too little to learn from.
        SourceUnavailable, UsageError: the source, or the file of studies, cannot be read.
        StoreUnavailable: the tracker does not answer.
    """
    histories = teachers(source, symbols, first, trained_through, on_failure)
    lessons = prepare(histories, trained_through=trained_through)
    data = dataset(source.name, histories, trained_through)
    tuned = Tuned(study_name(data, trained_through), [])
    common = RunRecord(
        {"seeds": ",".join(map(str, SEEDS)), "trained_through": trained_through}, datasets={"training": data}
    )
    with tracker.study(tuned.study, common) as log:

        def attempt(number: int, recipe: Recipe, judge: Callable[[Epoch], None]) -> float:
            def told(share: float) -> None:
                on_progress(len(tuned.trials) + share, tuned)

            return _attempt(lessons, number, recipe, judge, log, told)

        for trial in search.run(tuned.study, lessons.default, attempt, trials=trials):
            tuned = Tuned(tuned.study, [*tuned.trials, trial])
            on_progress(len(tuned.trials), tuned)
            if is_over():
                break
        log.result(_result(tuned))
    return tuned


def study_name(data: Dataset, trained_through: date) -> str:
    """The name under which a study is kept and found again."""
    return f"recipe-{_SCHEME}-{trained_through}-{data.sha256[:12]}"


def _attempt(
    lessons: Lessons,
    number: int,
    recipe: Recipe,
    judge: Callable[[Epoch], None],
    log: StudyLog,
    told: Callable[[float], None],
) -> float:
    """Tries one recipe and logs it, pruned or not; an interrupted one leaves nothing in the log."""
    curves: dict[str, list[float]] = {}

    def on_epoch(epoch: Epoch) -> None:
        for name, value in epoch.losses.items():
            curves.setdefault(f"seed_{epoch.seed}/{name}", []).append(value)
        told((epoch.fold + epoch.share) / len(SEEDS))
        judge(epoch)

    try:
        loss = lessons.attempt(recipe, SEEDS, on_epoch)
        if not math.isfinite(loss):
            raise Pruned
    except Pruned:
        log.trial(number, RunRecord(asdict(recipe), curves=curves), pruned=True)
        raise
    log.trial(number, RunRecord(asdict(recipe), {"validation_sp": loss}, curves), pruned=False)
    return loss


def _result(tuned: Tuned) -> RunRecord:
    default, best = tuned.default.loss, tuned.best.loss
    losses = {"validation_sp_default": default, "validation_sp": best}
    counts = {"trials": float(len(tuned.trials)), "pruned": float(tuned.pruned), "best_trial": float(tuned.best.number)}
    return RunRecord(
        metrics=counts | {name: value for name, value in losses.items() if value is not None},
        artifacts={"recipe.json": to_json(tuned.best.recipe).encode()},
    )
