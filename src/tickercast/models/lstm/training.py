"""Training: one network a seed on purged blocks of sessions, then their ensemble and its calibration."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date

import numpy as np
import tensorflow as tf

from tickercast.domain.asset_classes import ETF, FOREIGN_STOCK, INDEX, STOCK, asset_class, is_stock
from tickercast.domain.bars import Bars
from tickercast.domain.cards.model_card import MODEL, ModelCard
from tickercast.domain.events import ResultsDays
from tickercast.domain.forecast import QUANTILES
from tickercast.domain.learning import features
from tickercast.domain.learning.features import HORIZON
from tickercast.domain.learning.recipe import Epoch, Recipe
from tickercast.errors import TooFewSessions
from tickercast.models.lstm.calibration import (
    ClassCalibration,
    Fold,
    answer,
    calibrated,
    example_losses,
    scaled_pinball,
    shrunk_drift,
    untrained_pinball,
)
from tickercast.models.lstm.calibration import calibration as calibrate
from tickercast.models.lstm.examples import ANNOUNCED, NEEDED, PREDICTED, Examples, examples, split
from tickercast.models.lstm.export import Trained
from tickercast.models.lstm.network import Constants, ensemble, network
from tickercast.models.lstm.results import knowing, train_results
from tickercast.models.lstm.trainer import Pass, Trainer
from tickercast.models.onnx import STATICS


@dataclass(frozen=True)
class TrainingSet:
    """The examples of a training, prepared once for any number of trainings.

    Attributes:
        training_bars: the series that the networks learn from.
        calibration_bars: the series of the other asset classes, by class; they only set the calibration of their class.
        examples: the examples of `training_bars`.
        trained_through: the last date that is used.
    """

    training_bars: Sequence[Bars]
    calibration_bars: Mapping[str, Sequence[Bars]]
    examples: Examples
    trained_through: date

    @property
    def default(self) -> Recipe:
        """The recipe that suits the number of examples."""
        return Recipe.of_size(len(self.examples))

    def sampled(self, recipe: Recipe) -> Examples:
        """The examples that a recipe trains on.

        Raises:
            TooFewSessions: there are too few sessions to hold some out for validation.
        """
        if self.examples.day.max() < recipe.folds * recipe.block:
            raise TooFewSessions(
                f"The series have {self.examples.day.max() + 1 + NEEDED} sessions up to {self.trained_through}: "
                f"more than {recipe.folds * recipe.block + NEEDED} were needed to hold some back for validation. "
                "Give earlier dates."
            )
        return self.examples[self.examples.day % recipe.every == 0]

    def train(self, recipe: Recipe, seeds: Sequence[int], on_epoch: Callable[[Epoch], None]) -> list[Fold]:
        """Train one network a seed, each validated on other blocks of sessions.

        Raises:
            TooFewSessions: see `sampled`.
        """
        tf.get_logger().setLevel("ERROR")
        tf.config.experimental.enable_op_determinism()
        sampled, trainer = self.sampled(recipe), Trainer(recipe)
        return [train_one(trainer, sampled, fold, seed, on_epoch) for fold, seed in enumerate(seeds)]

    def validation_loss(self, recipe: Recipe, seeds: Sequence[int], on_epoch: Callable[[Epoch], None]) -> float:
        """Train with a recipe and return the scaled pinball loss on the validation blocks, as `fit` reports it.

        Args:
            recipe: the hyperparameters.
            seeds: one network each.
            on_epoch: called after each epoch; whatever it raises ends the training.

        Raises:
            TooFewSessions: see `sampled`.
        """
        folds = self.train(recipe, seeds, on_epoch)
        return scaled_pinball(folds, calibrate(folds))


def prepare(
    series: Sequence[Bars], *, trained_through: date, results: Mapping[str, ResultsDays] | None = None
) -> TrainingSet:
    """Cut the series into examples.

    Where there are stocks, only these train the networks: other assets set the calibration of their class.

    Args:
        series: the series to learn from; bars after `trained_through` are ignored.
        trained_through: the last date that is used.
        results: the results days by symbol.

    Raises:
        TooFewSessions: the series are too short.
    """
    training_bars, calibration_bars = _by_class(series)
    return TrainingSet(
        training_bars, calibration_bars, examples(training_bars, trained_through, results), trained_through
    )


def fit(
    series: Sequence[Bars],
    *,
    trained_through: date,
    seeds: Sequence[int],
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    recipe: Recipe | None = None,
    results: Mapping[str, ResultsDays] | None = None,
) -> Trained:
    """Train one network a seed and average them. The same data and seeds give the same model.

    Args:
        series: the series to learn from; see `prepare`.
        trained_through: the last date that is used.
        seeds: one or more; five are a good ensemble.
        on_progress: called with the epochs done and their total.
        recipe: the hyperparameters; by default those that suit the number of examples.
        results: the results days by symbol; without any the networks do not read them.

    Raises:
        TooFewSessions: the series are too short, or too few.
    """
    known = {symbol: days.known_by(trained_through) for symbol, days in (results or {}).items()}
    training_set = prepare(series, trained_through=trained_through, results=known)
    chosen = recipe or training_set.default

    def tick(epoch: Epoch) -> None:
        on_progress(round((epoch.fold + epoch.share) * chosen.epochs), len(seeds) * chosen.epochs)

    folds = training_set.train(chosen, seeds, tick)
    model = ensemble([fold.model for fold in folds])
    calibration = calibrate(folds)
    found = {name: calibrated(model, group, trained_through) for name, group in training_set.calibration_bars.items()}
    calibrations = {name: one for name, one in found.items() if one}
    drift = shrunk_drift(training_set.examples)
    reads_results = model.inputs[1].shape[1] > len(features.STATIC_FEATURES)
    count = len(training_set.sampled(chosen))
    card = ModelCard(
        name=MODEL,
        sha256="",
        features=features.STEP_FEATURES,
        statics=STATICS if reads_results else features.STATIC_FEATURES,
        window=features.WINDOW,
        horizon=HORIZON,
        quantiles=QUANTILES,
        calibration=calibration,
        calibrations={name: one.factors for name, one in calibrations.items()},
        past_quantiles={name: one.past for name, one in calibrations.items()},
        drift=dict.fromkeys(_STOCK_LIKE, drift) | {name: one.drift for name, one in calibrations.items()},
        adapts=True,
        min_sessions=features.MIN_SESSIONS,
        trained_on=_in_words(training_set.training_bars, trained_through, count)
        + _calibrated_on(training_set.calibration_bars, calibrations),
        trained_through=trained_through,
        metrics={},
    )
    parameters = asdict(chosen) | {
        "seeds": ",".join(map(str, seeds)),
        "examples": count,
        "validation_sp": round(scaled_pinball(folds, calibration), 6),
        "validation_sp_untrained": round(untrained_pinball(folds), 6),
        **(_results_pinball(folds) if reads_results else {}),
    }
    return Trained(model, card, parameters, _curves(seeds, folds))


def _results_pinball(folds: Sequence[Fold]) -> dict[str, float]:
    """Scaled pinball loss on the validation blocks with results days that are predicted, and with announced ones."""
    views = {"predicted": PREDICTED, "announced": ANNOUNCED}
    losses = {
        name: [example_losses(answer(fold.model, fold.validation, view), fold.validation) for fold in folds]
        for name, view in views.items()
    }
    return {
        f"validation_sp_results_{name}": round(float(np.concatenate(all_).mean()), 6) for name, all_ in losses.items()
    }


def _curves(seeds: Sequence[int], folds: Sequence[Fold]) -> dict[str, Sequence[float]]:
    return {
        f"seed_{seed}/{name}": values
        for seed, fold in zip(seeds, folds, strict=True)
        for name, values in fold.curves.items()
    }


def _by_class(series: Sequence[Bars]) -> tuple[Sequence[Bars], Mapping[str, Sequence[Bars]]]:
    """Split the series into those that train the networks and those of the other asset classes, by class."""
    groups: dict[str, list[Bars]] = {}
    for bars in series:
        groups.setdefault("" if is_stock(bars.symbol) else asset_class(bars.symbol), []).append(bars)
    training_bars = groups.pop("", [])
    if funds := [*groups.get(ETF, []), *groups.get(INDEX, [])]:
        groups |= {ETF: funds, INDEX: funds}  # an index moves as the funds that hold it
    return (training_bars, groups) if training_bars else (series, {})


def train_one(trainer: Trainer, examples: Examples, fold: int, seed: int, on_epoch: Callable[[Epoch], None]) -> Fold:
    """Train one network on all blocks of sessions but the fold's, and keep its best epoch on those."""
    recipe = trainer.recipe
    rows, held = split(examples.day, fold, recipe)
    training, validation = examples[rows], examples[held]
    constants = Constants.of(training)
    untrained = constants.untrained.astype(np.float64)
    initial = float(example_losses(untrained[None], validation).mean())
    best: Pass | None = None
    lowest, waited = math.inf, 0
    curves: dict[str, list[float]] = {}
    learned = trainer.start(seed)
    for number, done in enumerate(trainer.passes(training, validation, constants)):
        loss = done.losses["val_z_loss"]
        waited += 1
        if best is None or loss < lowest:
            best, waited = done, 0
        lowest = min(lowest, loss)
        for name, value in done.losses.items():
            curves.setdefault(name, []).append(value)
        on_epoch(Epoch(fold, seed, (number + 1) / recipe.epochs, lowest / initial, done.losses))
        if waited >= recipe.patience:
            break
    assert best
    learned.set_weights(best.weights)
    # All networks of an ensemble have the same inputs, so that a fold of which no example knows results reads them too.
    results = train_results(learned, training, constants, recipe, seed) if len(knowing(examples)) else None
    return Fold(network(learned, constants, results), best.z.astype(np.float64), untrained, validation, curves)


_STOCK_LIKE = (STOCK, FOREIGN_STOCK, ETF, INDEX)  # classes with the drift of stocks unless they have their own
_NAMED = 100  # symbols listed on a card


def _in_words(series: Sequence[Bars], trained_through: date, count: int) -> str:
    used = [bars for bars in series if len(bars.through(trained_through)) >= NEEDED]
    names = ", ".join(bars.symbol for bars in used) if len(used) <= _NAMED else f"{len(used)} symbols"
    first = min(bars.first for bars in used)
    return f"{names}; {first:%Y-%m-%d} to {trained_through}; {count:,} origins"


def _calibrated_on(calibration_bars: Mapping[str, Sequence[Bars]], calibrations: Mapping[str, ClassCalibration]) -> str:
    parts = [
        f"; {name} intervals calibrated on {', '.join(bars.symbol for bars in group)} up to the same date"
        for name, group in calibration_bars.items()
        if name in calibrations
    ]
    return "".join(parts)
