"""The steps of a training, in one graph for all seeds.

`keras.Model.fit` traces a graph for every network. The graph here belongs to one core and one optimizer: the first
weights of each seed are put into them, and the trained ones taken out.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tickercast.domain.forecast import QUANTILES
from tickercast.domain.learning.features import HORIZON
from tickercast.domain.learning.recipe import Recipe
from tickercast.models.lstm.examples import Examples, batches
from tickercast.models.lstm.network import (
    Constants,
    Floats32,
    Tensor,
    core,
    quantile_loss,
    signature,
    standardised,
    stretched,
    volatility_loss,
)

_ROWS = 1024  # rows of a batch in validation


@dataclass(frozen=True)
class Pass:
    """A network after a pass over its examples.

    Attributes:
        losses: `loss`, `z_loss` and `s_loss`, means over the pass; the same with `val_`, of the validation examples.
        weights: the weights of the core.
        z: `(n, HORIZON, quantiles)`, its answers for the validation examples.
    """

    losses: Mapping[str, float]
    weights: Sequence[Floats32]
    z: Floats32


class Trainer:
    """Trains networks of one recipe, one after the other."""

    def __init__(self, recipe: Recipe) -> None:
        """Build the core and its optimizer; the first steps trace the graph."""
        self.recipe = recipe
        self._core = core(recipe)
        self._optimizer = keras.optimizers.AdamW(recipe.rate, weight_decay=recipe.decay, clipnorm=1.0)
        self._optimizer.build(self._core.trainable_variables)
        batch, spread = _specifications(self._core)
        rate = tf.TensorSpec((), tf.float32)
        self._step = tf.function(self._take_step, input_signature=[batch, spread, rate])
        self._validate = tf.function(self._losses, input_signature=[batch, spread])

    def start(self, seed: int) -> keras.Model:
        """Begin a network: the core with the first weights of `seed`, which later ones can be put into."""
        keras.utils.set_random_seed(seed)
        first = core(self.recipe)
        for variable, value in zip(self._core.variables, first.variables, strict=True):
            variable.assign(value)
        for variable in self._optimizer.variables:
            variable.assign(tf.zeros_like(variable))
        return first

    def passes(self, training: Examples, validation: Examples, constants: Constants) -> Iterator[Pass]:
        """Train the network that `start` began, one pass over the examples at a time.

        The learning rate decays to 0 as a cosine. All passes take the same batches.
        """
        count, spread = len(training), (constants.below, constants.above, constants.median)
        centre = training.volatility.mean(axis=0)
        training, validation = (_prepared(sample, constants, centre) for sample in (training, validation))
        rates = _rates(self.recipe, -(-count // self.recipe.batch))
        order = tf.random.shuffle(tf.range(count, dtype=tf.int64), seed=0).numpy()
        for epoch in rates:
            totals = np.zeros(2)
            for rows, rate in zip(batches(count, self.recipe.batch), epoch, strict=True):
                batch = training[order[rows]]
                totals += len(batch) * np.array(self._step(_tensors(batch), spread, rate))
            held = [self._validate(_tensors(validation[rows]), spread) for rows in batches(len(validation), _ROWS)]
            z, z_loss, s_loss = (np.concatenate(parts) for parts in zip(*held, strict=True))
            losses = self._named("", *(totals / count)) | self._named("val_", z_loss.mean(), s_loss.mean())
            yield Pass(losses, self._core.get_weights(), z)

    def _take_step(self, batch: Sequence[Tensor], spread: Sequence[Tensor], rate: Tensor) -> tuple[Tensor, Tensor]:
        weights = self._core.trainable_variables
        with tf.GradientTape() as tape:
            z_loss, s_loss = (tf.reduce_mean(loss) for loss in self._losses(batch, spread, training=True)[1:])
            loss = z_loss + self.recipe.volatility_weight * s_loss
        self._optimizer.learning_rate = rate
        self._optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
        return z_loss, s_loss

    def _losses(
        self, batch: Sequence[Tensor], spread: Sequence[Tensor], training: bool = False
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The answers z to a batch, and both losses of each example: `(n,)`."""
        steps, statics, returns, volatility, weight = batch
        s, down, up = self._core([steps, statics], training=training)
        z = stretched(s, down, up, *spread)
        return z, weight * quantile_loss(returns, z), weight * volatility_loss(volatility, s)

    def _named(self, prefix: str, z_loss: float, s_loss: float) -> dict[str, float]:
        loss = z_loss + self.recipe.volatility_weight * s_loss
        return {f"{prefix}loss": float(loss), f"{prefix}z_loss": float(z_loss), f"{prefix}s_loss": float(s_loss)}


def _rates(recipe: Recipe, steps: int) -> NDArray[np.float32]:
    """The learning rates: `(epochs, steps)`."""
    share = np.arange(recipe.epochs * steps) / (recipe.epochs * steps)
    return (recipe.rate * (1 + np.cos(np.pi * share)) / 2).astype(np.float32).reshape(recipe.epochs, steps)


def _prepared(sample: Examples, constants: Constants, centre: Floats32) -> Examples:
    return replace(
        sample,
        steps=standardised(sample.steps, constants.steps),
        statics=standardised(sample.statics, constants.statics),
        volatility=sample.volatility - centre,
    )


def _tensors(sample: Examples) -> tuple[Floats32, ...]:
    return sample.steps, sample.statics, sample.returns, sample.volatility, sample.weight


def _specifications(model: keras.Model) -> tuple[Any, Any]:
    """The inputs of a step: the examples of a batch, and the quantiles that the core's answer stretches."""
    steps, statics = signature(model)
    ahead, each = tf.TensorSpec((None, HORIZON), tf.float32), tf.TensorSpec((None,), tf.float32)
    side, median = (tf.TensorSpec((HORIZON, count), tf.float32) for count in (len(QUANTILES), 1))
    return (steps, statics, ahead, ahead, each), (side, side, median)
