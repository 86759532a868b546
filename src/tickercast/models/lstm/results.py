"""The training of the part of a network that reads results days, on top of a core that has learned everything else."""

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tickercast.domain.learning.features import HORIZON
from tickercast.domain.learning.recipe import Recipe
from tickercast.models.lstm.examples import VIEWS, Examples, batches
from tickercast.models.lstm.network import (
    Constants,
    Floats32,
    Tensor,
    moments_of,
    quantile_loss,
    results_core,
    standardised,
    stretched,
)

_ROWS = 4096


def train_results(
    learned: keras.Model, training: Examples, constants: Constants, recipe: Recipe, seed: int
) -> tuple[keras.Model, Floats32]:
    """Learn what results days add to the answers of a core, which stays as it is.

    In each pass an example knows the coming results day as announced or as predicted, at random.

    Args:
        learned: the core.
        training: the examples; those that know of no results teach nothing.
        constants: the statistics of the core's training examples.
        recipe: the hyperparameters.
        seed: seed of the initial weights and of the draws.

    Returns:
        The results core and the moments of its inputs; it adds nothing where no example knows of results.
    """
    training = training[knowing(training)]
    batch = min(recipe.batch, max(len(training), 1))
    keras.utils.set_random_seed(seed)
    random = np.random.default_rng(seed)
    moments = moments_of(training.results.reshape(-1, training.results.shape[-1]))
    inputs = standardised(training.results, moments)
    base = _answers(learned, training, constants)
    branch, optimizer = (
        results_core(recipe),
        keras.optimizers.AdamW(recipe.rate, weight_decay=recipe.decay, clipnorm=1.0),
    )
    weights = branch.trainable_variables
    optimizer.build(weights)

    @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
    def step(known: Tensor, core: Tensor, returns: Tensor, weight: Tensor, rate: Tensor) -> None:
        with tf.GradientTape() as tape:
            s, down, up = tf.split(core + branch(known, training=True), 3, axis=1)
            z = stretched(s, down, up, constants.below, constants.above, constants.median)
            loss = tf.reduce_mean(weight * quantile_loss(returns, z))
        optimizer.learning_rate = rate
        optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))

    count, done = len(training), 0
    steps = recipe.results_epochs * (count // batch)
    for _ in range(recipe.results_epochs):
        order = random.permutation(count)
        known = inputs[np.arange(count), random.integers(len(VIEWS), size=count)]
        for rows in batches(count // batch * batch, batch):
            at = order[rows]
            rate = np.float32(recipe.rate * (1 + np.cos(np.pi * done / steps)) / 2)
            step(known[at], base[at], training.returns[at], training.weight[at], tf.constant(rate))
            done += 1
    return branch, moments


def knowing(sample: Examples) -> NDArray[np.intp]:
    """The numbers of the examples that know of results days."""
    return np.flatnonzero(sample.results[:, :, -1].all(axis=1))


def _answers(learned: keras.Model, sample: Examples, constants: Constants) -> Floats32:
    """The core's s, k below and k above, side by side: `(n, 3·HORIZON)`."""
    run = tf.function(lambda steps, statics: learned([steps, statics], training=False), reduce_retracing=True)
    made = np.empty((len(sample), 3 * HORIZON), np.float32)
    for rows in batches(len(sample), _ROWS):
        steps = standardised(sample.steps[rows], constants.steps)
        parts = run(tf.constant(steps), tf.constant(standardised(sample.statics[rows], constants.statics)))
        made[rows] = np.concatenate([part.numpy() for part in parts], axis=1)
    return made
