"""A search for recipes behind Optuna: studies in a SQLite file.

The recipe that a trial tries depends only on the finished trials, not on the clock or on interruptions: for each trial
the sampler is seeded again, with the number of finished ones.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any, Generic

from filelock import FileLock, Timeout

from tickercast import disk
from tickercast.domain.learning.recipe import Epoch
from tickercast.errors import StoreUnavailable, UsageError
from tickercast.ports import Attempt, Pruned, RecipeT, Trial

if TYPE_CHECKING:
    import optuna

SEED = 1
RANDOM_TRIALS = 6
"""Trials drawn at random before the sampler learns from them and before any is pruned."""


class OptunaSearch(Generic[RecipeT]):
    """Studies in one SQLite file; one process at a time runs them.

    >>> OptunaSearch(Path(".tickercast/tuning.db"), NETWORK).url
    'sqlite:///.tickercast/tuning.db'
    """

    def __init__(self, path: Path, space: "Space") -> None:
        """Remember where the studies are and which fields they vary; nothing is opened or created yet."""
        self._path = path
        self._space = space

    @property
    def url(self) -> str:
        """The URL of the studies."""
        return f"sqlite:///{self._path}"

    def run(self, study: str, default: RecipeT, attempt: Attempt[RecipeT], *, trials: int) -> Iterator[Trial[RecipeT]]:
        """Yield the finished trials of a study, then run more until there are enough; see `RecipeSearch.run`."""
        from optuna.trial import TrialState

        with self._locked():
            opened = self._open(study)
            for stale in opened.get_trials(states=(TrialState.RUNNING,)):  # left by a killed process
                opened.tell(stale.number, state=TrialState.FAIL)
            finished = opened.get_trials(states=(TrialState.COMPLETE, TrialState.PRUNED))
            for found in finished:
                yield _trial(found, default)
            for count in range(len(finished), trials):
                yield _run_trial(opened, count, default, attempt, self._space)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the lock of the file; the system releases it when a process dies."""
        lock = FileLock(f"{self._path}.lock")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=0)
        except Timeout as error:
            raise UsageError(
                f"{self.url} is in use by another `tickercast tune`: one at a time was needed. Wait for it or stop it."
            ) from error
        except OSError as error:
            raise disk.fault(self.url, error, StoreUnavailable) from error
        try:
            yield
        finally:
            lock.release()

    def _open(self, name: str) -> "optuna.Study":
        import optuna
        from sqlalchemy.exc import SQLAlchemyError

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        try:
            return optuna.create_study(
                storage=self.url,
                study_name=name,
                load_if_exists=True,
                pruner=optuna.pruners.MedianPruner(n_startup_trials=RANDOM_TRIALS, n_min_trials=3),
            )
        except (optuna.exceptions.OptunaError, SQLAlchemyError, RuntimeError) as error:
            message = " ".join(str(error).split())[:160]
            raise UsageError(
                f"{self.url} holds no studies that this Optuna can read: {message}. Move the file away."
            ) from error


def _run_trial(
    study: "optuna.Study", count: int, default: RecipeT, attempt: Attempt[RecipeT], space: "Space"
) -> Trial[RecipeT]:
    """Run one trial, the one after `count` finished ones."""
    import optuna
    from optuna.trial import TrialState

    if not count and not study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
        study.enqueue_trial({name: getattr(default, name) for name in space})
    study.sampler = optuna.samplers.TPESampler(seed=SEED + count, n_startup_trials=RANDOM_TRIALS)
    trial = study.ask()
    recipe = _proposed(trial, default, space)
    try:
        loss = attempt(trial.number, recipe, _pruning_callback(trial))
    except Pruned:
        study.tell(trial, state=TrialState.PRUNED)
        return Trial(trial.number, recipe, None)
    except BaseException:  # interrupted or failed: the trial does not count and is run again
        study.tell(trial, state=TrialState.FAIL)
        raise
    study.tell(trial, loss)
    return Trial(trial.number, recipe, loss)


Space = Mapping[str, Callable[["optuna.Trial", str], Any]]
"""The fields of a recipe that are varied, and how a value is proposed."""

NETWORK: Space = {
    "units": lambda trial, name: trial.suggest_int(name, 8, 64, step=8),
    "hidden": lambda trial, name: trial.suggest_int(name, 8, 64, step=8),
    "dropout": lambda trial, name: trial.suggest_float(name, 0, 0.5),
    "rate": lambda trial, name: trial.suggest_float(name, 3e-4, 1e-2, log=True),
    "decay": lambda trial, name: trial.suggest_float(name, 1e-4, 1e-1, log=True),
    "batch": lambda trial, name: trial.suggest_categorical(name, [64, 128, 256, 512]),
    "epochs": lambda trial, name: trial.suggest_int(name, 2, 10),
    "volatility_weight": lambda trial, name: trial.suggest_float(name, 0.01, 1, log=True),
    "stretch": lambda trial, name: trial.suggest_float(name, 0.3, 1.5),
    "skew": lambda trial, name: trial.suggest_float(name, 0.1, 0.8),
}
"""The ranges of the LSTM's recipe; every default lies in its range."""

BOOSTING_USUAL: Space = {
    "trees": lambda trial, name: trial.suggest_int(name, 50, 500, step=10),
    "depth": lambda trial, name: trial.suggest_int(name, 3, 10),
    "rate": lambda trial, name: trial.suggest_float(name, 0.01, 0.3, log=True),
    "rows": lambda trial, name: trial.suggest_float(name, 0.5, 1),
    "columns": lambda trial, name: trial.suggest_float(name, 0.5, 1),
    "least_weight": lambda trial, name: trial.suggest_float(name, 1, 100, log=True),
    "least_gain": lambda trial, name: trial.suggest_float(name, 0, 5),
    "l1": lambda trial, name: trial.suggest_float(name, 1e-3, 10, log=True),
    "l2": lambda trial, name: trial.suggest_float(name, 1e-3, 100, log=True),
    "days": lambda trial, name: trial.suggest_categorical(name, [90, 180, 365]),
}
"""The ranges in which boosted trees are usually tuned."""

BOOSTING: Space = {
    **BOOSTING_USUAL,
    "trees": lambda trial, name: trial.suggest_int(name, 20, 500, step=10),
    "depth": lambda trial, name: trial.suggest_int(name, 1, 10),
}
"""The same with depths 1 to 3 and fewer trees; every default lies in its range."""


def _proposed(trial: "optuna.Trial", default: RecipeT, space: Space) -> RecipeT:
    proposed = {name: suggest(trial, name) for name, suggest in space.items()}
    made: RecipeT = replace(default, **proposed)  # type: ignore[type-var]
    return made


def _trial(found: "optuna.trial.FrozenTrial", default: RecipeT) -> Trial[RecipeT]:
    recipe: RecipeT = replace(default, **found.params)  # type: ignore[type-var]
    return Trial(found.number, recipe, found.value if _complete(found) else None)


def _complete(found: "optuna.trial.FrozenTrial") -> bool:
    return bool(found.state.name == "COMPLETE")  # a pruned trial has a value too: the last one reported


def _pruning_callback(trial: "optuna.Trial") -> Callable[[Epoch], None]:
    """Create the callback that reports a trial's progress and prunes it if it is worse than the median trial.

    The value reported is the mean over the trial's networks. A step is a quarter of a network's epochs: learning rates
    decay over all of them, so recipes of different length are comparable after the same share, not the same number.
    """
    ratios: dict[int, float] = {}
    reported = 0

    def on_epoch(epoch: Epoch) -> None:
        nonlocal reported
        ratios[epoch.fold] = epoch.ratio
        quarter = math.floor(_QUARTERS * epoch.share)
        step = _QUARTERS * epoch.fold + quarter
        if not quarter or step <= reported:
            return
        reported = step
        # The pruner compares the best value of all steps so far. Subtracting 1 for each network keeps it from being
        # the value of an earlier network, whose blocks of sessions may have been easier.
        trial.report(fmean(ratios.values()) - epoch.fold, step)
        if trial.should_prune():
            raise Pruned

    return on_epoch


_QUARTERS = 4
