"""The network, its losses, and the ensemble of several networks.

The network does not learn quantiles from scratch. It starts as filtered historical simulation, today's EWMA volatility
times the quantiles c of the standardised returns in training, and learns by how much to stretch them:

    z = c50 + exp(s)·exp(k_side)·(cτ − c50)          in units of σEWMA·√step

s (one a step) and k (one a step and side) start at zero and are bounded; so quantiles cannot cross and the worst case
stays close to the baseline. The median is the training drift: the network does not forecast direction (see
docs/reading-intervals.md).

Where results days are known, a second part adds to s and k. It is trained on the frozen first part, so that a series of
which nothing is known is forecast exactly as by a network that never heard of results.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops
from numpy.typing import NDArray

from tickercast.domain.forecast import QUANTILES
from tickercast.domain.learning import features
from tickercast.domain.learning.features import HORIZON
from tickercast.domain.learning.recipe import Recipe
from tickercast.domain.learning.results_features import RESULTS_FEATURES
from tickercast.models.lstm.examples import Examples

Floats32 = NDArray[np.float32]
Tensor: TypeAlias = Any  # a Keras tensor, symbolic or eager

_RESULTS_DROPOUT = 0.1

INPUTS = ("steps", "statics")
"""The names of the network's inputs, in order."""


@dataclass(frozen=True)
class Constants:
    """Statistics of a network's training examples, which enter its arithmetic as constants.

    Layers that hold them would be exported to ONNX as further inputs.

    Attributes:
        steps: `(2, features)`, the means of the inputs and the factors that scale them.
        statics: `(2, statics)`, the means of the static inputs and the factors that scale them.
        below: `(HORIZON, quantiles)`, the training quantiles less their median; zero above it.
        above: `(HORIZON, quantiles)`, the training quantiles less their median; zero below it.
        median: `(HORIZON, 1)`, the training medians.
    """

    steps: Floats32
    statics: Floats32
    below: Floats32
    above: Floats32
    median: Floats32

    @classmethod
    def of(cls, training: Examples) -> "Constants":
        """Take them from the examples."""
        c = np.quantile(training.returns, QUANTILES, axis=0).T.astype(np.float32)
        median = c[:, QUANTILES.index(0.5), None]
        return cls(
            moments_of(training.steps.reshape(-1, training.steps.shape[-1])),
            moments_of(training.statics),
            np.minimum(c - median, 0),
            np.maximum(c - median, 0),
            median,
        )

    @property
    def untrained(self) -> Floats32:
        """The answer of a network that has learned nothing: `(HORIZON, quantiles)`."""
        return self.below + self.above + self.median


def moments_of(seen: Floats32) -> Floats32:
    """The means of inputs `(n, features)`, and the factors that scale them: `(2, features)`."""
    mean, deviation = seen.mean(axis=0, dtype=np.float64), seen.std(axis=0, dtype=np.float64)
    return np.stack([mean, 1 / np.maximum(deviation, 0.05)]).astype(np.float32)


def core(recipe: Recipe) -> keras.Model:
    """Build the part that learns: standardised (steps, statics) to s, k below and k above, each `(n, HORIZON)`."""
    steps, statics = _inputs()
    recurrent = layers.LSTM(recipe.units)(steps)
    skip = layers.Flatten()(layers.Cropping1D((features.WINDOW - 1, 0))(steps))
    joined = layers.Concatenate()([recurrent, skip, statics])
    hidden = layers.Dense(recipe.hidden, "silu")(layers.Dropout(recipe.dropout)(joined))
    return keras.Model([steps, statics], heads(hidden, recipe, HORIZON))


def heads(hidden: Tensor, recipe: Recipe, horizon: int) -> list[Tensor]:
    """Answer s, k below and k above, each `(n, horizon)`, bounded and at first zero.

    The layers have names of their own: TensorFlow adds the gradients of layers with one input in the order of names.
    Keras would number the layers by process, and `dense_10` sorts before `dense_9`: the last digits of a network would
    depend on how many layers had been built before it.
    """
    return [
        bounded(layers.Dense(horizon, kernel_initializer="zeros", name=f"head_{number}")(hidden), bound)
        for number, bound in enumerate((recipe.stretch, recipe.skew, recipe.skew))
    ]


def network(
    learned: keras.Model, constants: Constants, results: tuple[keras.Model, Floats32] | None = None
) -> keras.Model:
    """Build the network around its core: (steps, statics) to z, `(n, HORIZON, quantiles)`.

    Args:
        learned: the core.
        constants: the statistics of the core's training examples.
        results: the results core and the moments of its inputs; with them the statics end with `RESULTS_FEATURES`.
    """
    steps, statics = _inputs()
    given = statics if results is None else keras.Input((statics.shape[1] + len(RESULTS_FEATURES),), name="statics")
    echoes = given[:, : statics.shape[1]]
    s, down, up = learned([standardised(steps, constants.steps), standardised(echoes, constants.statics)])
    if results:
        branch, moments = results
        known = given[:, statics.shape[1] :]
        added = branch(standardised(known, moments)) * known[:, -1:]
        s, down, up = (
            base + added[:, part * HORIZON : (part + 1) * HORIZON] for part, base in enumerate((s, down, up))
        )
    z = stretched(s, down, up, constants.below, constants.above, constants.median)
    return keras.Model([steps, given], layers.Identity(name="z")(z))


def results_core(recipe: Recipe) -> keras.Model:
    """Build the part that reads results days: standardised `(n, RESULTS_FEATURES)` to what it adds to s, k and k.

    Returns:
        `(n, 3·HORIZON)`, bounded as s is, and zero at the start.
    """
    known = keras.Input((len(RESULTS_FEATURES),))
    hidden = layers.Dense(recipe.results_hidden, "silu")(layers.Dropout(_RESULTS_DROPOUT)(known))
    return keras.Model(known, bounded(layers.Dense(3 * HORIZON, kernel_initializer="zeros")(hidden), recipe.stretch))


def _inputs() -> tuple[Tensor, Tensor]:
    return (
        keras.Input((features.WINDOW, len(features.STEP_FEATURES)), name="steps"),
        keras.Input((len(features.STATIC_FEATURES),), name="statics"),
    )


def standardised(values: Tensor, moments: Floats32) -> Tensor:
    """Take off the mean and scale; values `(…, features)`, moments `(2, features)`."""
    mean, factor = moments
    return (values - mean) * factor


def stretched(s: Tensor, down: Tensor, up: Tensor, below: Tensor, above: Tensor, median: Tensor) -> Tensor:
    """Stretch the training quantiles by a core's answer: z, `(n, HORIZON, quantiles)`; see `Constants`."""
    lower = ops.expand_dims(ops.exp(s + down), -1) * below
    upper = ops.expand_dims(ops.exp(s + up), -1) * above
    return lower + upper + median


def bounded(values: Tensor, bound: float) -> Tensor:
    """Keep values within ±bound, smoothly."""
    return ops.tanh(values / bound) * bound


def quantile_loss(actual: Tensor, z: Tensor) -> Tensor:
    """Pinball loss averaged over quantiles and steps; actual `(n, HORIZON)`, z `(n, HORIZON, quantiles)`."""
    levels = np.array(QUANTILES, np.float32)
    error = ops.expand_dims(actual, -1) - z
    return ops.mean(ops.maximum(levels * error, (levels - 1) * error), axis=(1, 2))


def volatility_loss(actual: Tensor, s: Tensor) -> Tensor:
    """Huber loss of s against the log of the volatility that followed; both `(n, HORIZON)`."""
    return keras.losses.huber(actual, s, delta=1.0)


def ensemble(models: Sequence[keras.Model]) -> keras.Model:
    """Combine several networks into one, which averages their z."""
    inputs = [keras.Input(tensor.shape[1:], name=name) for name, tensor in zip(INPUTS, models[0].inputs, strict=True)]
    answers = [model(inputs) for model in models]
    return keras.Model(inputs, layers.Average()(answers) if len(answers) > 1 else answers[0])


def signature(model: keras.Model) -> list[tf.TensorSpec]:
    """The specifications of the network's inputs, of any number of rows."""
    return [
        tf.TensorSpec((None, *tensor.shape[1:]), tf.float32, name=name)
        for name, tensor in zip(INPUTS, model.inputs, strict=True)
    ]


def compiled(model: keras.Model) -> Callable[[Floats32, Floats32], Tensor]:
    """The network as a function of (steps, statics), in one graph for every number of rows."""

    @tf.function(input_signature=signature(model))  # type: ignore[untyped-decorator]
    def answer(steps: Tensor, statics: Tensor) -> Tensor:
        return model([steps, statics], training=False)

    return answer  # type: ignore[no-any-return]
