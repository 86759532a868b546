"""Training of the direction model: sliding windows, walked forward month by month, and the export to ONNX."""

import hashlib
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import onnx
import xgboost
from numpy.typing import NDArray

from tickercast.domain.cards.model_card import DIRECTION_KIND, Bundle, ModelCard
from tickercast.domain.hourly.direction_inputs import INPUTS, LEAST, Asked, Questions
from tickercast.domain.learning.boosting import Boosting, Fold, monthly_folds
from tickercast.domain.learning.recipe import Epoch
from tickercast.domain.measures.direction import COIN, DIRECTION
from tickercast.errors import BundleError, TooFewSessions
from tickercast.models.direction import INPUT, DirectionModel

LEAST_HOURS = 1000
"""The fewest hours that trees are grown from."""

PARITY = 1e-5
"""The most by which a probability may change in the export."""


@dataclass(frozen=True)
class Boosted:
    """Trained trees, and their form for serving.

    Attributes:
        booster: the trees.
        card: the model card; `sha256` is empty until the trees are exported.
        parameters: the hyperparameters.
        sample: inputs on which the export is compared.
    """

    booster: xgboost.Booster
    card: ModelCard
    parameters: Mapping[str, Any]
    sample: NDArray[np.float32]

    @property
    def model(self) -> xgboost.Booster:
        """The trees as XGBoost holds them."""
        return self.booster

    def predict(self, inputs: NDArray[np.float32]) -> NDArray[np.float64]:
        """The probability that the next hour closes higher: `(n,)`, from `(n, len(INPUTS))`."""
        return predict(self.booster, inputs)

    def bundle(self) -> Bundle:
        """Export the trees to ONNX.

        Raises:
            BundleError: the exported trees are invalid, or give other probabilities.
        """
        graph = _export(self.booster)
        bundle = Bundle(graph, self.card.model_copy(update={"sha256": hashlib.sha256(graph).hexdigest()}))
        difference = onnx_difference(self, bundle)
        if difference > PARITY:
            raise BundleError(
                f"The exported trees differ from the trained ones by up to {difference:.1e}: at most {PARITY} was "
                "needed. Report the versions of xgboost, onnxmltools and onnxruntime."
            )
        return bundle


def onnx_difference(trained: Boosted, bundle: Bundle) -> float:
    """The largest difference of a probability between the trees and their export, on real and on random inputs."""
    random = np.random.default_rng(0).normal(size=(1000, len(INPUTS))).astype(np.float32)
    model = DirectionModel(bundle)
    seen = np.concatenate([trained.sample, random])
    return float(np.abs(model.probability(seen) - trained.predict(seen)).max())


def fit(series: Sequence[Questions], recipe: Boosting, until: np.datetime64, *, seed: int = 0) -> Boosted:
    """Grow trees from the window that ends at `until`.

    Args:
        series: the hours of one or more symbols, learned from together.
        recipe: the hyperparameters.
        until: the moment by which the last answer must be known.
        seed: seed of the draws of rows and columns.

    Raises:
        TooFewSessions: the window holds fewer than `LEAST_HOURS` hours.
    """
    known = _window(series, until - np.timedelta64(24 * recipe.days, "h"), until)
    booster = _grow(known, recipe, seed)
    symbols = ", ".join(one.symbol for one in series)
    inputs = np.concatenate([one.inputs for one in known])
    last = (until - np.timedelta64(1, "s")).astype("datetime64[D]").item()
    card = ModelCard(
        kind=DIRECTION_KIND,
        name=DIRECTION,
        sha256="",
        features=INPUTS,
        statics=(),
        window=1,
        horizon=1,
        quantiles=(),
        calibration=1.0,
        min_sessions=LEAST,
        trained_on=f"{symbols}; the {recipe.days} days up to {last}; {len(inputs):,} hours",
        trained_through=last,
        metrics={},
    )
    return Boosted(booster, card, asdict(recipe) | {"seed": seed, "examples": len(inputs)}, inputs[-1000:])


def walk_forward(
    series: Sequence[Questions],
    recipe: Boosting,
    first: np.datetime64,
    end: np.datetime64,
    *,
    asked: Sequence[str] = (),
    seed: int = 0,
    on_month: Callable[[float, Asked], None] = lambda share, month: None,
) -> Asked:
    """Forecast every hour of some months, each month by trees that were grown from the window before it.

    Args:
        series: the hours of one or more symbols, learned from together.
        recipe: the hyperparameters.
        first: the first month.
        end: the month after the last.
        asked: the symbols that are forecast; all by default.
        seed: seed of the draws of rows and columns.
        on_month: called after each month with the share of months that are done and the month's forecasts; whatever
            it raises ends the walk.

    Raises:
        TooFewSessions: a window is too short, or no hour can be forecast.
    """
    folds = list(monthly_folds(first, end, recipe.days))
    parts = []
    for number, fold in enumerate(folds, start=1):
        parts.append(_month(series, recipe, fold, asked, seed))
        on_month(number / len(folds), parts[-1])
    made = Asked.joined(parts)
    if not len(made):
        raise TooFewSessions(
            f"No hour from {first} to {end} has {LEAST} hours before it and one after it: at least one was needed to "
            "measure the direction model. Name other months, or give bars that begin earlier."
        )
    return made


def brier(
    series: Sequence[Questions],
    recipe: Boosting,
    first: np.datetime64,
    end: np.datetime64,
    *,
    asked: Sequence[str] = (),
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
) -> float:
    """The Brier score of a recipe on some months; see `walk_forward`.

    Args:
        series: the hours of one or more symbols, learned from together.
        recipe: the hyperparameters.
        first: the first month.
        end: the month after the last.
        asked: the symbols that are forecast; all by default.
        on_epoch: called after each month; whatever it raises ends the walk.
    """
    total, count = 0.0, 0

    def on_month(share: float, month: Asked) -> None:
        nonlocal total, count
        total += float(((month.probability - month.up) ** 2).sum())
        count += len(month)
        so_far = total / max(count, 1)
        on_epoch(Epoch(0, 0, share, so_far / COIN, {"brier": so_far}))

    walk_forward(series, recipe, first, end, asked=asked, on_month=on_month)
    return total / count


def predict(booster: xgboost.Booster, inputs: NDArray[np.float32]) -> NDArray[np.float64]:
    """The probability that the next hour closes higher: `(n,)`."""
    return np.asarray(booster.predict(xgboost.DMatrix(inputs)), np.float64)


def _month(series: Sequence[Questions], recipe: Boosting, fold: Fold, asked: Sequence[str], seed: int) -> Asked:
    booster = _grow(_window(series, fold.learn_after, fold.learn_until), recipe, seed)
    parts = []
    for one in series:
        if not asked or one.symbol in asked:
            month = one.only((one.closed_at >= fold.ask_from) & (one.closed_at < fold.ask_until))
            if len(month):
                parts.append(Asked.of(month, predict(booster, month.inputs)))
    return Asked.joined(parts)


def _window(series: Sequence[Questions], after: np.datetime64, until: np.datetime64) -> list[Questions]:
    known = [one.between(after, until) for one in series]
    hours = sum(map(len, known))
    if hours < LEAST_HOURS:
        raise TooFewSessions(
            f"The window up to {until} holds {hours} hours of {', '.join(one.symbol for one in series)}: at least "
            f"{LEAST_HOURS} were needed to grow trees. Give bars that begin earlier, or a later date."
        )
    return known


def _grow(known: Sequence[Questions], recipe: Boosting, seed: int) -> xgboost.Booster:
    inputs, up = (np.concatenate(parts) for parts in zip(*((one.inputs, one.up) for one in known), strict=True))
    parameters = {
        "objective": "binary:logistic",
        "base_score": 0.5,
        "tree_method": "hist",
        "max_bin": 64,
        "nthread": 1,
        "seed": seed,
        "max_depth": recipe.depth,
        "learning_rate": recipe.rate,
        "subsample": recipe.rows,
        "colsample_bytree": recipe.columns,
        "min_child_weight": recipe.least_weight,
        "gamma": recipe.least_gain,
        "alpha": recipe.l1,
        "lambda": recipe.l2,
    }
    return xgboost.train(parameters, xgboost.DMatrix(inputs, up), recipe.trees)


def _export(booster: xgboost.Booster) -> bytes:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from onnxmltools.convert import convert_xgboost
        from onnxmltools.convert.common.data_types import FloatTensorType

        kind = [(INPUT, FloatTensorType([None, len(INPUTS)]))]
        proto = convert_xgboost(booster, DIRECTION, initial_types=kind, target_opset=15)  # its own name is random
    try:
        onnx.checker.check_model(proto, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise BundleError(
            f"onnxmltools exported invalid trees: {' '.join(str(error).split())[:160]}. "
            "Install the pinned versions of xgboost, onnxmltools and onnx."
        ) from error
    return bytes(proto.SerializeToString())
