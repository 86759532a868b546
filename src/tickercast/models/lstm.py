"""The network and its training; the only module that imports TensorFlow.

It reads from top to bottom: what it learns from, the network, its loss, the training of one seed, the ensemble of
several, and what becomes of them: a predictor, a `.keras` file, or a bundle whose ONNX graph gives the same numbers.

The network does not learn quantiles from nothing. It starts as «filtered historical simulation», today's EWMA
volatility times the quantiles c of the standardised returns in training, and learns by how much to stretch them:

    z = c50 + exp(s)·exp(k_side)·(cτ − c50)          in units of σEWMA·√step

s (one a step) and k (one a step and side) start at zero and are bounded; so quantiles cannot cross and the worst case
stays close to the baseline. The median is the training drift: nobody forecasts the direction (see README).
"""

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any, TypeAlias

import keras
import numpy as np
import onnx
import tensorflow as tf
import tf2onnx
from keras import layers, ops
from numpy.typing import NDArray

from tickercast.domain import features
from tickercast.domain.bundle import Bundle, ModelCard
from tickercast.domain.calendar import asset_class
from tickercast.domain.forecast import HORIZON, QUANTILES
from tickercast.domain.history import History
from tickercast.domain.metrics import pinball
from tickercast.domain.recipe import Epoch, Recipe
from tickercast.errors import BundleError, TooFewSessions
from tickercast.models import served

NAME = "tickercast-lstm"

Floats = NDArray[np.float64]
Floats32 = NDArray[np.float32]
Table: TypeAlias = tuple[tuple[float, ...], ...]
Tensor: TypeAlias = Any  # of Keras, symbolic or eager


# ---------------------------------------------------------------- what it learns from


@dataclass(frozen=True)
class Examples:
    """Origins with their inputs and with what followed.

    Attributes:
        steps: `(n, WINDOW, features)`.
        statics: `(n, statics)`.
        returns: `(n, HORIZON)`, what followed, in units of σEWMA·√step.
        volatility: `(n, HORIZON)`, log of the range volatility up to each step over σEWMA.
        weight: `(n,)`, σEWMA/σ60: turns the loss into the scaled pinball of `domain.metrics`.
        day: `(n,)`, the origin's number among the sessions of all symbols, from the first origin on.
    """

    steps: Floats32
    statics: Floats32
    returns: Floats32
    volatility: Floats32
    weight: Floats32
    day: NDArray[np.intp]

    def __len__(self) -> int:
        return len(self.day)

    def __getitem__(self, rows: NDArray[Any]) -> "Examples":
        return Examples(*(getattr(self, name)[rows] for name in _FIELDS))


def examples(histories: Sequence[History], trained_through: date) -> Examples:
    """Cuts every history into examples whose ten targets all lie on or before `trained_through`.

    Raises:
        TooFewSessions: no history is long enough.
    """
    known = [_through(history, trained_through) for history in histories]
    known = [history for history in known if len(history) >= _NEEDED]
    if not known:
        raise TooFewSessions(
            f"None of {len(histories)} symbol(s) has {_NEEDED} sessions on or before {trained_through}: at least one "
            "was needed to train. Give earlier dates or other symbols."
        )
    calendar = np.unique(np.concatenate([history.bars["session_date"].to_numpy() for history in known]))
    parts = [_examples(history, calendar) for history in known]
    together = Examples(*(np.concatenate([getattr(part, name) for part in parts]) for name in _FIELDS))
    return replace(together, day=together.day - together.day.min())


def _examples(history: History, calendar: NDArray[np.datetime64]) -> Examples:
    panel = features.panel(history)
    origins = np.arange(features.MIN_SESSIONS - 1, len(history) - HORIZON)
    steps = np.arange(1, HORIZON + 1)
    ahead = origins[:, None] + steps
    sigma = panel.sigma_ewma[origins, None]
    moves = panel.log_close[ahead] - panel.log_close[origins, None]
    variance = np.cumsum(panel.range_variance[ahead], axis=1) / steps
    return Examples(
        panel.windows(origins),
        panel.statics[origins],
        (moves / (sigma * np.sqrt(steps))).clip(-25, 25).astype(np.float32),
        (0.5 * np.log(variance / sigma**2 + 1e-4)).astype(np.float32),
        (panel.sigma_ewma / panel.sigma60)[origins].astype(np.float32),
        np.searchsorted(calendar, history.bars["session_date"].to_numpy())[origins],
    )


_NEEDED = features.MIN_SESSIONS + HORIZON
_FIELDS = tuple(Examples.__dataclass_fields__)


def _through(history: History, last: date) -> History:
    return History(history.symbol, history.bars[history.bars["session_date"] <= np.datetime64(last)])


def split(day: NDArray[np.intp], fold: int, recipe: Recipe) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Divides examples into those to train on and those to validate with, both `(n,)`.

    Whole blocks of sessions validate, and what lies within `WINDOW + HORIZON` sessions of one is used for neither, so
    that no side's targets lie in the other's windows (purging: López de Prado, Advances in Financial Machine Learning,
    2018).
    """
    held: NDArray[np.bool_] = np.arange(day.max() + 1) // recipe.block % recipe.folds == fold % recipe.folds
    purge = features.WINDOW + HORIZON
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(held, purge), 2 * purge + 1)
    near: NDArray[np.bool_] = np.asarray(windows.any(axis=-1))
    return ~near[day], held[day]


# ---------------------------------------------------------------- the network


def network(learned: Examples, recipe: Recipe) -> keras.Model:
    """Builds the untrained network: (steps, statics) to z, `(n, HORIZON, quantiles)`, and s, `(n, HORIZON)`.

    Standardisation and training quantiles are constants in its arithmetic: layers that hold them would be exported
    to ONNX as further inputs.
    """
    c = np.quantile(learned.returns, QUANTILES, axis=0).T.astype(np.float32)
    median = c[:, QUANTILES.index(0.5), None]
    below, above = np.minimum(c - median, 0), np.maximum(c - median, 0)

    steps = keras.Input((features.WINDOW, len(features.STEP_FEATURES)), name="steps")
    statics = keras.Input((len(features.STATIC_FEATURES),), name="statics")
    x = _standardised(steps, learned.steps.reshape(-1, learned.steps.shape[-1]))
    recurrent = layers.LSTM(recipe.units)(x)
    skip = layers.Flatten()(layers.Cropping1D((features.WINDOW - 1, 0))(x))
    joined = layers.Concatenate()([recurrent, skip, _standardised(statics, learned.statics)])
    hidden = layers.Dense(recipe.hidden, "silu")(layers.Dropout(recipe.dropout)(joined))
    s = _bounded(layers.Dense(HORIZON, kernel_initializer="zeros")(hidden), recipe.stretch)
    down = _bounded(layers.Dense(HORIZON, kernel_initializer="zeros")(hidden), recipe.skew)
    up = _bounded(layers.Dense(HORIZON, kernel_initializer="zeros")(hidden), recipe.skew)
    lower = ops.expand_dims(ops.exp(s + down), -1) * below
    upper = ops.expand_dims(ops.exp(s + up), -1) * above
    z = layers.Identity(name="z")(lower + upper + median)
    return keras.Model([steps, statics], [z, layers.Identity(name="s")(s)])


def _standardised(values: Tensor, seen: Floats32) -> Tensor:
    mean, deviation = seen.mean(axis=0, dtype=np.float64), seen.std(axis=0, dtype=np.float64)
    return (values - mean.astype(np.float32)) * (1 / np.maximum(deviation, 0.05)).astype(np.float32)


def _bounded(values: Tensor, bound: float) -> Tensor:
    return ops.tanh(values / bound) * bound


# ---------------------------------------------------------------- its loss


def quantile_loss(actual: Tensor, z: Tensor) -> Tensor:
    """Pinball loss averaged over quantiles and steps; actual `(n, HORIZON)`, z `(n, HORIZON, quantiles)`."""
    levels = np.array(QUANTILES, np.float32)
    error = ops.expand_dims(actual, -1) - z
    return ops.mean(ops.maximum(levels * error, (levels - 1) * error), axis=(1, 2))


def volatility_loss(actual: Tensor, s: Tensor) -> Tensor:
    """Huber loss of s against the log of the volatility that followed; both `(n, HORIZON)`."""
    return keras.losses.huber(actual, s, delta=1.0)


# ---------------------------------------------------------------- the training


@dataclass(frozen=True)
class Fold:
    """One trained network, and how it did on the blocks that it has not seen.

    Attributes:
        model: (steps, statics) to z.
        z: `(n, HORIZON, quantiles)`, what it answers for the validation examples.
        untrained: `(HORIZON, quantiles)`, what it answered before the training.
        validation: n examples.
        curves: every loss by epoch, by Keras's name for it; `val_…` is on the validation blocks.
    """

    model: keras.Model
    z: Floats
    untrained: Floats
    validation: Examples
    curves: Mapping[str, Sequence[float]]


@dataclass(frozen=True)
class Lessons:
    """What is learned from, prepared once for as many trainings as are wanted.

    Attributes:
        teachers: the histories that the networks learn from.
        apart: those of the other asset classes, by class.
        everything: the examples of the teachers.
        trained_through: the last date of which anything is used.
    """

    teachers: Sequence[History]
    apart: Mapping[str, Sequence[History]]
    everything: Examples
    trained_through: date

    @property
    def default(self) -> Recipe:
        """The recipe that suits the number of examples."""
        return Recipe.of_size(len(self.everything))

    def taken(self, recipe: Recipe) -> Examples:
        """The examples that are learned from by a recipe.

        Raises:
            TooFewSessions: none could be held back for validation.
        """
        if self.everything.day.max() < recipe.folds * recipe.block:
            raise TooFewSessions(
                f"The histories have {self.everything.day.max() + 1 + _NEEDED} sessions up to {self.trained_through}: "
                f"more than {recipe.folds * recipe.block + _NEEDED} were needed to hold some back for validation. "
                "Give earlier dates."
            )
        return self.everything[self.everything.day % recipe.every == 0]

    def train(self, recipe: Recipe, seeds: Sequence[int], on_epoch: Callable[[Epoch], None]) -> list[Fold]:
        """Trains one network a seed, each validated on other blocks of sessions.

        Raises:
            TooFewSessions: see `taken`.
        """
        tf.get_logger().setLevel("ERROR")
        tf.config.experimental.enable_op_determinism()
        taken = self.taken(recipe)
        return [train_one(taken, fold, seed, recipe, on_epoch) for fold, seed in enumerate(seeds)]

    def attempt(self, recipe: Recipe, seeds: Sequence[int], on_epoch: Callable[[Epoch], None]) -> float:
        """What a recipe is worth: the scaled pinball loss on the validation blocks, as `fit` states it.

        Args:
            recipe: what is tried.
            seeds: one network each.
            on_epoch: called after each epoch; whatever it raises ends the attempt.

        Raises:
            TooFewSessions: see `taken`.
        """
        folds = self.train(recipe, seeds, on_epoch)
        return _scaled_pinball(folds, _calibration(folds))


def prepare(histories: Sequence[History], *, trained_through: date) -> Lessons:
    """Cuts the histories into examples.

    Assets that trade round the clock do not train the networks where there are others: they only set the calibration
    of their class.

    Args:
        histories: what to learn from; bars after `trained_through` are not looked at.
        trained_through: the last date of which anything is used.

    Raises:
        TooFewSessions: the histories are too short.
    """
    teachers, apart = _by_class(histories)
    return Lessons(teachers, apart, examples(teachers, trained_through), trained_through)


def fit(
    histories: Sequence[History],
    *,
    trained_through: date,
    seeds: Sequence[int],
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    recipe: Recipe | None = None,
) -> "Trained":
    """Trains one network a seed and averages them. The same data and seeds give the same model.

    Args:
        histories: what to learn from; see `prepare`.
        trained_through: the last date of which anything is used.
        seeds: one or more; five are a good ensemble.
        on_progress: called with the epochs done and their total.
        recipe: what can be turned; by default what suits the number of examples.

    Raises:
        TooFewSessions: the histories are too short, or too few.
    """
    lessons = prepare(histories, trained_through=trained_through)
    chosen = recipe or lessons.default

    def tick(epoch: Epoch) -> None:
        on_progress(round((epoch.fold + epoch.share) * chosen.epochs), len(seeds) * chosen.epochs)

    folds = lessons.train(chosen, seeds, tick)
    model = _ensemble([fold.model for fold in folds])
    calibration = _calibration(folds)
    calibrations = {name: _calibrated(model, group, trained_through) for name, group in lessons.apart.items()}
    count = len(lessons.taken(chosen))
    card = ModelCard(
        name=NAME,
        sha256="",
        features=features.STEP_FEATURES,
        statics=features.STATIC_FEATURES,
        window=features.WINDOW,
        horizon=HORIZON,
        quantiles=QUANTILES,
        calibration=calibration,
        calibrations={name: table for name, table in calibrations.items() if table},
        min_sessions=features.MIN_SESSIONS,
        trained_on=_in_words(lessons.teachers, trained_through, count) + _calibrated_on(lessons.apart, calibrations),
        trained_through=trained_through,
        metrics={},
    )
    parameters = asdict(chosen) | {
        "seeds": ",".join(map(str, seeds)),
        "examples": count,
        "validation_sp": round(_scaled_pinball(folds, calibration), 6),
        "validation_sp_untrained": round(_untrained_pinball(folds), 6),
    }
    return Trained(model, card, parameters, _curves(seeds, folds))


def _curves(seeds: Sequence[int], folds: Sequence[Fold]) -> dict[str, Sequence[float]]:
    return {
        f"seed_{seed}/{name}": values
        for seed, fold in zip(seeds, folds, strict=True)
        for name, values in fold.curves.items()
    }


def _by_class(histories: Sequence[History]) -> tuple[Sequence[History], Mapping[str, Sequence[History]]]:
    """Those that the networks learn from, and the other asset classes by name."""
    groups: dict[str, list[History]] = {}
    for history in histories:
        groups.setdefault(asset_class(history.symbol), []).append(history)
    teachers = groups.pop("", [])
    return (teachers, groups) if teachers else (histories, {})


def train_one(everything: Examples, fold: int, seed: int, recipe: Recipe, on_epoch: Callable[[Epoch], None]) -> Fold:
    """Trains one network on all blocks of sessions but the fold's; its best epoch on those is kept."""
    rows, held = split(everything.day, fold, recipe)
    learned, validation = everything[rows], everything[held]
    keras.utils.set_random_seed(seed)
    model = network(learned, recipe)
    answers = keras.Model(model.inputs, model.outputs[0], name=f"fold_{fold}")
    untrained = _answer(answers, validation[np.arange(len(validation)) < 1])[0]
    steps = recipe.epochs * -(-len(learned) // recipe.batch)
    model.compile(
        keras.optimizers.AdamW(
            keras.optimizers.schedules.CosineDecay(recipe.rate, steps), weight_decay=recipe.decay, clipnorm=1.0
        ),
        loss=[quantile_loss, volatility_loss],
        loss_weights=[1.0, recipe.volatility_weight],
    )
    centre = learned.volatility.mean(axis=0)
    began, best = float(_losses(untrained[None], validation).mean()), math.inf

    def tell(number: int, losses: Mapping[str, float]) -> None:
        nonlocal best
        best = min(best, losses["val_z_loss"])
        on_epoch(Epoch(fold, seed, (number + 1) / recipe.epochs, best / began, dict(losses)))

    inputs, targets, weights = _arrays(learned, centre)
    seen = model.fit(
        inputs,
        targets,
        sample_weight=weights,
        batch_size=recipe.batch,
        epochs=recipe.epochs,
        validation_data=_arrays(validation, centre),
        callbacks=[
            keras.callbacks.EarlyStopping(
                "val_z_loss", mode="min", patience=recipe.patience, restore_best_weights=True
            ),
            keras.callbacks.LambdaCallback(on_epoch_end=tell),
        ],
        verbose=0,
    )
    return Fold(answers, _answer(answers, validation), untrained, validation, seen.history)


def _arrays(some: Examples, centre: Floats32) -> tuple[Any, Any, Any]:
    return [some.steps, some.statics], [some.returns, some.volatility - centre], [some.weight, some.weight]


def _answer(model: keras.Model, some: Examples) -> Floats:
    """The network's z, without the tracing of `model.predict`."""
    parts = [
        model([some.steps[start : start + 1024], some.statics[start : start + 1024]], training=False)
        for start in range(0, len(some), 1024)
    ]
    return np.concatenate(parts).astype(np.float64)


def _calibration(folds: Sequence[Fold]) -> float:
    """The factor round the median that would have been best on the validation blocks, half-shrunk to 1."""
    factors = np.linspace(0.8, 1.3, 51)
    best = factors[np.argmin([_scaled_pinball(folds, float(factor)) for factor in factors])]
    return round(float(1 + (best - 1) / 2), 4)


def _calibrated(model: keras.Model, histories: Sequence[History], trained_through: date) -> Table:
    """The calibration of an asset class: the factor round the median for each step and quantile.

    Half of what the smoothed factors say is taken, as for the pooled factor: tails change from one market to the next
    (crypto's grew thinner after 2020).

    Returns:
        `(HORIZON, quantiles)`, or nothing where there are fewer than `_FEW` examples.
    """
    if sum(max(len(_through(history, trained_through)) - _NEEDED + 1, 0) for history in histories) < _FEW:
        return ()
    some = examples(histories, trained_through)
    factors = _smoothed(*_best_factors(_answer(model, some), some))
    return tuple(tuple(row) for row in (1 + (factors - 1) / 2).round(4).tolist())


def _smoothed(best: Floats, typical: Floats) -> Floats:
    """Regresses the logarithm of the factors on 1, log step, t and t², with t growing towards the tails.

    Factors of each step and quantile alone are noisy. Crypto has heavier tails than stocks, the more so the further
    ahead; of the forms that were tried this one did best on blocks of crypto sessions (2014 to 2020) left out.

    Args:
        best: `(HORIZON, quantiles)`, the factors.
        typical: `(HORIZON, quantiles)`, the distances from the median that they scale.
    """
    middle = QUANTILES.index(0.5)
    step, level = (grid.ravel() for grid in np.meshgrid(np.arange(1, HORIZON + 1), QUANTILES, indexing="ij"))
    tail = -np.log(1 - np.abs(2 * level - 1))
    terms = np.stack([np.ones_like(tail), np.log(step), tail, tail**2], axis=1)
    weight = np.sqrt(typical.ravel())[:, None]
    fitted = np.linalg.lstsq(terms * weight, np.log(best).reshape(-1, 1) * weight, rcond=None)[0]
    reach = np.exp(terms @ fitted).reshape(best.shape) * typical
    reach[:, middle:] = np.maximum.accumulate(reach[:, middle:], axis=1)  # so that quantiles do not cross
    reach[:, middle::-1] = np.maximum.accumulate(reach[:, middle::-1], axis=1)
    factors: Floats = np.where(typical > 0, reach / np.where(typical > 0, typical, 1), 1.0).clip(0.5, 2)
    return factors


def _best_factors(z: Floats, some: Examples) -> tuple[Floats, Floats]:
    """The factor of each step and quantile that minimises its loss, and the mean distance that it scales.

    With u the distance of what followed from the median, in units of the quantile's own, the loss is a pinball loss of
    u with weights; so its minimum is a weighted quantile of u.
    """
    middle = QUANTILES.index(0.5)
    distance = np.abs(z - z[:, :, middle, None])
    moved = some.returns - z[:, :, middle]
    best = np.ones(z.shape[1:])
    for step, index in np.ndindex(best.shape):
        if index != middle:
            weight = some.weight * distance[:, step, index]
            u = moved[:, step] / distance[:, step, index]
            order = np.argsort(u)
            share = np.cumsum(weight[order]) / weight.sum()
            found = u[order[min(int(np.searchsorted(share, QUANTILES[index])), len(u) - 1)]]
            best[step, index] = np.clip(found if index > middle else -found, 0.5, 2)
    return best, distance.mean(axis=0)


_FEW = 1000  # examples; 130 factors of four numbers need some years


def _scaled_pinball(folds: Sequence[Fold], calibration: float) -> float:
    middle = QUANTILES.index(0.5)
    losses = []
    for fold in folds:
        median = fold.z[:, :, middle, None]
        losses.append(_losses(median + calibration * (fold.z - median), fold.validation))
    return float(np.concatenate(losses).mean())


def _untrained_pinball(folds: Sequence[Fold]) -> float:
    return float(np.concatenate([_losses(fold.untrained[None], fold.validation) for fold in folds]).mean())


def _losses(z: Floats, some: Examples) -> Floats:
    loss: Floats = pinball(some.returns.astype(np.float64), z, np.array(QUANTILES)).mean(axis=(1, 2)) * some.weight
    return loss


def _ensemble(models: Sequence[keras.Model]) -> keras.Model:
    """One network that averages the z of several."""
    inputs = [keras.Input(tensor.shape[1:], name=name) for name, tensor in zip(_INPUTS, models[0].inputs, strict=True)]
    answers = [model(inputs) for model in models]
    return keras.Model(inputs, layers.Average()(answers) if len(answers) > 1 else answers[0])


_INPUTS = ("steps", "statics")


_NAMED = 100  # symbols that a card lists


def _in_words(histories: Sequence[History], trained_through: date, count: int) -> str:
    used = [history for history in histories if len(_through(history, trained_through)) >= _NEEDED]
    names = ", ".join(history.symbol for history in used) if len(used) <= _NAMED else f"{len(used)} symbols"
    first = min(history.bars["session_date"].iloc[0] for history in used)
    return f"{names}; {first:%Y-%m-%d} to {trained_through}; {count:,} origins"


def _calibrated_on(apart: Mapping[str, Sequence[History]], calibrations: Mapping[str, Table]) -> str:
    parts = [
        f"; {name} intervals calibrated on {', '.join(history.symbol for history in group)} up to the same date"
        for name, group in apart.items()
        if calibrations[name]
    ]
    return "".join(parts)


# ---------------------------------------------------------------- what becomes of it


@dataclass(frozen=True)
class Trained:
    """A trained network: a predictor, and what bundles are made of.

    Attributes:
        model: (steps, statics) to z.
        card: its description; `sha256` is empty until there is an ONNX file.
        parameters: the recipe, the seeds, and the loss on the validation blocks.
        curves: the losses by epoch, as `seed_1/val_z_loss`; of a network that was read from a file there are none.
    """

    model: keras.Model
    card: ModelCard
    parameters: Mapping[str, Any]
    curves: Mapping[str, Sequence[float]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The registered model's name."""
        return self.card.name

    @property
    def version(self) -> str:
        """Empty: it is not registered."""
        return self.card.version

    @property
    def min_sessions(self) -> int:
        """The shortest history that it takes."""
        return self.card.min_sessions

    def predict(self, histories: Sequence[History]) -> Floats:
        """Predicts every history from its last bar; see `Predictor.predict`.

        Raises:
            TooFewSessions: a history is shorter than `min_sessions`.
        """
        inputs = features.latest(histories)
        parts = [np.empty((0, HORIZON, len(QUANTILES)), np.float32)]
        for start in range(0, len(histories), served.BATCH):
            rows = slice(start, start + served.BATCH)
            parts.append(self.model([inputs.steps[rows], inputs.statics[rows]], training=False).numpy())
        symbols = [history.symbol for history in histories]
        return served.log_returns(np.concatenate(parts), inputs.sigma_ewma, symbols, self.card)

    def predict_at(self, history: History, at: NDArray[np.intp]) -> Floats:
        """Predicts from several sessions of one history; see `RollingPredictor.predict_at`."""
        return served.rolling(
            lambda steps, statics: self.model([steps, statics], training=False).numpy(), history, at, self.card
        )

    def bundle(self) -> Bundle:
        """Exports the network to ONNX.

        Raises:
            BundleError: the exported network is invalid, or answers differently.
        """
        graph = _export(self.model)
        card = self.card.model_copy(update={"sha256": hashlib.sha256(graph).hexdigest()})
        bundle = Bundle(graph, card)
        check_parity(self, bundle)
        return bundle

    def save(self, path: Path) -> None:
        """Writes the Keras model to `path`, which ends in .keras, and its description to a .json beside it."""
        self.model.save(path)
        text = json.dumps({"card": self.card.model_dump(mode="json"), "parameters": dict(self.parameters)}, indent=2)
        path.with_suffix(".json").write_text(text)


def load_keras(path: Path) -> Trained:
    """Reads what `Trained.save` wrote; nothing is unpickled.

    Raises:
        BundleError: the files are not there or do not parse.
    """
    try:
        beside = json.loads(path.with_suffix(".json").read_text())
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
        return Trained(model, ModelCard.model_validate(beside["card"]), beside["parameters"])
    except (OSError, ValueError, KeyError) as error:
        raise BundleError(
            f"{path} and its .json do not hold a saved network: {' '.join(str(error).split())[:160]}. Save it again."
        ) from error


def check_parity(trained: Trained, bundle: Bundle) -> None:
    """Compares the ONNX network's answers with the Keras network's, in batches of 1, 7 and 500.

    Raises:
        BundleError: they differ by more than 1e-5 and by more than 1e-3 of the value.
    """
    random = np.random.default_rng(0)
    model = served.ServedModel(bundle)
    for size in (1, 7, 500):
        steps = random.normal(size=(size, *trained.model.inputs[0].shape[1:])).astype(np.float32)
        statics = random.normal(size=(size, *trained.model.inputs[1].shape[1:])).astype(np.float32)
        ours = trained.model([steps, statics], training=False).numpy()
        theirs = model.answer(steps, statics)
        if not np.allclose(theirs, ours, rtol=1e-3, atol=1e-5):
            raise BundleError(
                f"The exported network differs from the trained one by up to {np.abs(theirs - ours).max():.1e} in a "
                f"batch of {size}: at most 1e-5 was needed. Report the versions of tensorflow, tf2onnx and onnxruntime."
            )


def _export(model: keras.Model) -> bytes:
    signature = [
        tf.TensorSpec((None, *tensor.shape[1:]), tf.float32, name=name)
        for name, tensor in zip(_INPUTS, model.inputs, strict=True)
    ]

    @tf.function(input_signature=signature)  # type: ignore[untyped-decorator]
    def network(steps: Tensor, statics: Tensor) -> Tensor:
        return {served.OUTPUT: model([steps, statics], training=False)}

    proto, _ = tf2onnx.convert.from_function(network, input_signature=signature, opset=17)
    try:
        onnx.checker.check_model(proto, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise BundleError(
            f"tf2onnx exported an invalid network: {' '.join(str(error).split())[:160]}. "
            "Install the pinned versions of tensorflow, tf2onnx and onnx."
        ) from error
    return bytes(proto.SerializeToString())
