"""The hourly networks: an LSTM on top of `har-season`, and its plain twin without recurrence.

    quantile = the regression's quantile · exp(s)·exp(k_side)

s (one a step) and k (one a step and side) start at zero and are bounded, so that an untrained network is the
regression, and quantiles cannot cross. The twin reads the last hour only: whatever the LSTM gains on it is
due to recurrence.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from functools import cached_property
from typing import Any

import keras
import numpy as np
import onnx
import tensorflow as tf
import tf2onnx
from keras import layers, ops
from numpy.typing import NDArray

from tickercast.domain.bars import Bars
from tickercast.domain.cards.model_card import HAR_SEASON, HOURLY_KIND, HOURLY_NETWORK, Bundle, ModelCard
from tickercast.domain.forecast import QUANTILES, RollingPredictor
from tickercast.domain.hourly import hours
from tickercast.domain.hourly.hour_tables import HourTables
from tickercast.domain.hourly.hours import HORIZON, WANTED
from tickercast.domain.learning.recipe import Recipe
from tickercast.errors import BundleError, TooFewSessions
from tickercast.models.hourly.network import OUTPUT, STATIC_INPUTS, STEP_INPUTS, WINDOW, HourlyNetwork, OnnxHourly
from tickercast.models.hourly.network import network_inputs as inputs_of
from tickercast.models.hourly.predictors import (
    EWMA_SEASON,
    EwmaSeason,
    HarSeason,
    HourlyEwmaT,
    MonthlyTables,
    Refreshed,
    table_bundle,
)
from tickercast.models.hourly.volatility import ROOTS, YEAR, Volatility
from tickercast.models.hourly.volatility import fit as fit_tables
from tickercast.models.lstm.network import (
    INPUTS,
    Tensor,
    compiled,
    ensemble,
    heads,
    signature,
    standardised,
    volatility_loss,
)

Floats32 = NDArray[np.float32]

LSTM, PLAIN = HOURLY_NETWORK, "tickercast-plain-1h"
"""The registered names of the LSTM and of its twin."""

RECIPE = Recipe(batch=256, epochs=3, stretch=0.5, skew=0.2)
"""The hyperparameters of both."""

_LOWER = np.array([level < 0.5 for level in QUANTILES], np.float32)
_UPPER = np.array([level > 0.5 for level in QUANTILES], np.float32)


@dataclass(frozen=True)
class HourlyExamples:
    """Origins with their inputs and the returns that followed.

    Attributes:
        steps: `(n, WINDOW, len(STEP_INPUTS))`.
        statics: `(n, len(STATIC_INPUTS))`.
        base: `(n, HORIZON, quantiles)`, the regression's quantiles, in units of σ60·√step.
        returns: `(n, HORIZON)`, the log-returns that followed, in the same units; 0 where an hour has no bar.
        known: `(n, HORIZON)`, 1 where there is one.
        volatility: `(n, HORIZON)`, log of the realised σ over the regression's.
    """

    steps: Floats32
    statics: Floats32
    base: Floats32
    returns: Floats32
    known: Floats32
    volatility: Floats32

    def __len__(self) -> int:
        return len(self.returns)

    def rows(self, chosen: NDArray[np.intp]) -> tuple[Floats32, ...]:
        """The arrays of some origins."""
        return tuple(getattr(self, name)[chosen] for name in self.__dataclass_fields__)


def examples(series: Sequence[Bars], tables: HourTables, through: date) -> HourlyExamples:
    """Every hour with enough history whose targets all lie on or before `through`.

    Raises:
        TooFewSessions: no hour has enough history before and known targets after it.
    """
    volatility = Volatility(tables)
    parts = [_examples(bars, volatility) for bars in (bars.through(through) for bars in series) if len(bars) > WANTED]
    if not sum(map(len, parts)):
        raise TooFewSessions(
            f"No hour up to {through} has {WANTED} hours before it and {HORIZON} after it: at least one was needed to "
            "train. Give bars that begin earlier."
        )
    return HourlyExamples(
        *(np.concatenate([getattr(part, name) for part in parts]) for name in HourlyExamples.__dataclass_fields__)
    )


def _examples(bars: Bars, volatility: Volatility) -> HourlyExamples:
    panel = volatility.panel(bars)
    rows = panel.grid.rows
    rows = rows[(rows >= WANTED - 1) & (rows + HORIZON < len(panel.log_close)) & (panel.sigma60[rows] > 0)]
    unit = panel.sigma60[rows, None] * ROOTS
    sigma = volatility.har_sigma(panel, rows)
    moves = panel.moves(rows)
    variance = np.nan_to_num(panel.variance) * panel.season[panel.grid.cell]
    realised = np.cumsum(variance[rows[:, None] + np.arange(1, HORIZON + 1)], axis=1)
    arrays = (
        (sigma / unit)[..., None] * volatility.har_quantiles,
        np.nan_to_num(moves / unit).clip(-25, 25),
        np.isfinite(moves),
        0.5 * np.log(realised / sigma**2 + 1e-4),
    )
    return HourlyExamples(*inputs_of(panel, rows), *(array.astype(np.float32) for array in arrays))


# ---------------------------------------------------------------- the network


def core(recipe: Recipe, *, recurrent: bool) -> keras.Model:
    """Build the part that learns: standardised (steps, statics) to s, k below and k above, each `(n, HORIZON)`."""
    steps, statics = _inputs()
    skip = layers.Flatten()(layers.Cropping1D((WINDOW - 1, 0))(steps))
    read = [layers.LSTM(recipe.units)(steps)] if recurrent else []
    joined = layers.Concatenate()([*read, skip, statics])
    hidden = layers.Dense(recipe.hidden, "silu")(layers.Dropout(recipe.dropout)(joined))
    return keras.Model([steps, statics], heads(hidden, recipe, HORIZON))


def _inputs() -> tuple[Tensor, Tensor]:
    return (
        keras.Input((WINDOW, len(STEP_INPUTS)), name=INPUTS[0]),
        keras.Input((len(STATIC_INPUTS),), name=INPUTS[1]),
    )


def factors(s: Tensor, down: Tensor, up: Tensor) -> Tensor:
    """The factors of the regression's quantiles: `(n, HORIZON, quantiles)`."""
    return ops.exp(ops.expand_dims(s, -1) + ops.expand_dims(down, -1) * _LOWER + ops.expand_dims(up, -1) * _UPPER)


def network(learned: keras.Model, moments: tuple[Floats32, Floats32]) -> keras.Model:
    """Build the network around its core: (steps, statics) to factors."""
    steps, statics = _inputs()
    made = learned([standardised(steps, moments[0]), standardised(statics, moments[1])])
    return keras.Model([steps, statics], layers.Identity(name=OUTPUT)(factors(*made)))


# ---------------------------------------------------------------- training


def train(sample: HourlyExamples, recipe: Recipe, seeds: Sequence[int], *, recurrent: bool) -> keras.Model:
    """Train one network a seed, and average them. The same examples and seeds give the same network.

    There is no early stopping: blocks of hours held out within the training promised more than later half-years kept.
    """
    tf.get_logger().setLevel("ERROR")
    tf.config.experimental.enable_op_determinism()
    moments = (_moments(sample.steps.reshape(-1, sample.steps.shape[-1])), _moments(sample.statics))
    centre = sample.volatility.mean(axis=0)
    prepared = replace(
        sample,
        steps=standardised(sample.steps, moments[0]),
        statics=standardised(sample.statics, moments[1]),
        volatility=sample.volatility - centre,
    )
    return ensemble([network(_train_one(prepared, recipe, seed, recurrent), moments) for seed in seeds])


def _train_one(sample: HourlyExamples, recipe: Recipe, seed: int, recurrent: bool) -> keras.Model:
    keras.utils.set_random_seed(seed)
    learned = core(recipe, recurrent=recurrent)
    order, batches = np.random.default_rng(seed), -(-len(sample) // recipe.batch)
    total = recipe.epochs * batches
    rate = keras.optimizers.schedules.CosineDecay(recipe.rate, total)
    optimizer = keras.optimizers.AdamW(rate, weight_decay=recipe.decay, clipnorm=1.0)
    optimizer.build(learned.trainable_variables)
    levels = np.array(QUANTILES, np.float32)

    @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
    def step(steps: Tensor, statics: Tensor, base: Tensor, returns: Tensor, known: Tensor, volatility: Tensor) -> None:
        with tf.GradientTape() as tape:
            s, down, up = learned([steps, statics], training=True)
            error = (returns[..., None] - base * factors(s, down, up)) * known[..., None]
            pinball = tf.reduce_mean(tf.maximum(levels * error, (levels - 1) * error))
            loss = pinball + recipe.volatility_weight * tf.reduce_mean(volatility_loss(volatility, s))
        gradients = tape.gradient(loss, learned.trainable_variables)
        optimizer.apply_gradients(zip(gradients, learned.trainable_variables, strict=True))

    for _ in range(recipe.epochs):
        shuffled = order.permutation(len(sample))
        for number in range(batches):
            step(*map(tf.constant, sample.rows(shuffled[number * recipe.batch : (number + 1) * recipe.batch])))
    return learned


def _moments(seen: Floats32) -> Floats32:
    mean, deviation = seen.mean(axis=0, dtype=np.float64), seen.std(axis=0, dtype=np.float64)
    return np.stack([mean, 1 / np.maximum(deviation, 0.05)]).astype(np.float32)


# ---------------------------------------------------------------- export


@dataclass(frozen=True)
class TrainedHourly(HourlyNetwork):
    """A trained network: a predictor that can be exported.

    Attributes:
        model: (steps, statics) to factors.
        card: the model card; `sha256` is empty until the network is exported.
        tables: the tables of the regression whose intervals the network stretches.
        parameters: the recipe, the seeds and the number of examples.
    """

    model: keras.Model
    card: ModelCard
    tables: HourTables
    parameters: dict[str, Any] = field(default_factory=dict)

    def answer(self, steps: Floats32, statics: Floats32) -> Floats32:
        """Run the network; see `HourlyNetwork.answer`."""
        made: Floats32 = self._compiled(steps, statics).numpy()
        return made

    @cached_property
    def _compiled(self) -> Callable[[Floats32, Floats32], Tensor]:
        return compiled(self.model)

    def bundle(self) -> Bundle:
        """Export the network to ONNX.

        Raises:
            BundleError: the exported network is invalid, or gives other answers.
        """
        graph = _export(self.model)
        bundle = Bundle(graph, self.card.model_copy(update={"sha256": hashlib.sha256(graph).hexdigest()}))
        difference = onnx_difference(self, bundle)
        if difference > 1e-5:
            raise BundleError(
                f"The exported network differs from the trained one by up to {difference:.1e}: at most 1e-5 was "
                "needed. Report the versions of tensorflow, tf2onnx and onnxruntime."
            )
        return bundle


def onnx_difference(trained: TrainedHourly, bundle: Bundle) -> float:
    """The largest difference of a factor between the network and its export, in batches of 1, 7 and 500."""
    random = np.random.default_rng(0)
    served = OnnxHourly.load(bundle)
    found = []
    for size in (1, 7, 500):
        steps = random.normal(size=(size, WINDOW, len(STEP_INPUTS))).astype(np.float32)
        statics = random.normal(size=(size, len(STATIC_INPUTS))).astype(np.float32)
        found.append(np.abs(served.answer(steps, statics) - trained.answer(steps, statics)).max())
    return float(max(found))


def fit(
    series: Sequence[Bars], through: date, *, seeds: Sequence[int], recurrent: bool, recipe: Recipe = RECIPE
) -> TrainedHourly:
    """Train the LSTM or its twin.

    It learns on one set of tables from all hours up to `through`. On tables that are refreshed monthly it would learn
    by how much they lag behind a volatility that fell or rose in those years.

    Args:
        series: hourly bars; what ends after `through` is not used.
        through: the last day that is used.
        seeds: one network each, which are averaged.
        recurrent: whether it is the LSTM.
        recipe: the hyperparameters.

    Raises:
        TooFewSessions: too few hours have enough history before and known targets after them.
    """
    end = np.datetime64(through, "h") + np.timedelta64(24, "h")
    first = min(bars.columns["closed_at"][0] for bars in series)
    whole = fit_tables(series, end, hours=int((end - first) / np.timedelta64(1, "h")) + 1)
    sample = examples(series, whole, through)
    model = train(sample, recipe, seeds, recurrent=recurrent)
    newest = fit_tables(series, end)
    symbols = ", ".join(bars.symbol for bars in series)
    card = ModelCard(
        kind=HOURLY_KIND,
        name=LSTM if recurrent else PLAIN,
        sha256="",
        features=STEP_INPUTS,
        statics=STATIC_INPUTS,
        window=WINDOW,
        horizon=HORIZON,
        quantiles=QUANTILES,
        calibration=1.0,
        min_sessions=hours.LEAST,
        trained_on=f"{symbols}; {first.astype('datetime64[D]')} to {through}; {len(sample):,} origins",
        trained_through=through,
        metrics={},
        hour_tables=newest,
    )
    parameters = asdict(recipe) | {"seeds": ",".join(map(str, seeds)), "examples": len(sample), "recurrent": recurrent}
    return TrainedHourly(model, card, newest, parameters)


@dataclass(frozen=True)
class HourlyTrainer:
    """The training of all hourly models from some series, for `jobs.training.train_hourly`.

    Attributes:
        series: hourly bars.
        months: the tables of each month, for the evaluation.
    """

    series: Sequence[Bars]
    months: MonthlyTables

    @classmethod
    def of(cls, series: Sequence[Bars]) -> "HourlyTrainer":
        """The training from some series."""
        return cls(series, MonthlyTables(series))

    def tables(self, through: date) -> tuple[Bundle, Bundle]:
        """The bundles of `har-season` and `ewma-season`, learned from the year up to a date."""
        learned = fit_tables(self.series, np.datetime64(through, "h") + np.timedelta64(24, "h"))
        words = f"{', '.join(bars.symbol for bars in self.series)}; the {YEAR // 24} days up to {through}"
        har, ewma = (
            table_bundle(name, learned, trained_on=words, trained_through=through) for name in (HAR_SEASON, EWMA_SEASON)
        )
        return har, ewma

    def network(self, through: date, *, recurrent: bool, seeds: Sequence[int]) -> TrainedHourly:
        """The LSTM, or its twin, trained up to a date."""
        return fit(self.series, through, seeds=seeds, recurrent=recurrent)

    def refreshed(self, bundle: Bundle) -> RollingPredictor:
        """The model of a bundle, with its tables refreshed monthly."""
        makers = {HAR_SEASON: HarSeason, EWMA_SEASON: EwmaSeason}
        make = makers.get(bundle.card.kind) or OnnxHourly.load(bundle).refreshed
        return Refreshed(bundle.card.name, self.months, make, bundle.card.version)

    @property
    def yardstick(self) -> RollingPredictor:
        """EWMA-t."""
        return HourlyEwmaT()


def _export(model: keras.Model) -> bytes:
    inputs = signature(model)

    @tf.function(input_signature=inputs)  # type: ignore[untyped-decorator]
    def answer(steps: Tensor, statics: Tensor) -> Tensor:
        return {OUTPUT: model([steps, statics], training=False)}

    proto, _ = tf2onnx.convert.from_function(answer, input_signature=inputs, opset=17)
    onnx.checker.check_model(proto, full_check=True)
    return bytes(proto.SerializeToString())
