"""The catalogue: the model behind a name, and the loader behind the kind of a bundle.

To add a model that needs no training, name it in `BASELINES`; to add one that is trained, give its cards a new `kind`
and name the loader in `LOADERS`.
"""

import difflib
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path

from tickercast import config
from tickercast.domain.bars import Bars
from tickercast.domain.forecast import Predictor, Role, RollingPredictor, Served
from tickercast.domain.model_card import Bundle, ModelCard, read_bundle
from tickercast.errors import BundleError, UsageError
from tickercast.model_store import ModelStore
from tickercast.models.baselines import EwmaFhs, EwmaT, HistoricalSimulation, RandomWalk

CHAMPION = "champion"
"""The name under which users ask for the champion, whichever model that is."""

STATISTICAL = ("garch", "auto-arima", "auto-ets", "auto-theta", "prophet")
"""The models that fit each series anew, in tens of milliseconds; see `models.statistical`."""

BASELINES: Mapping[str, Callable[[], Predictor]] = {
    RandomWalk.name: RandomWalk,
    EwmaT.name: EwmaT,
    HistoricalSimulation.name: HistoricalSimulation,
}
"""The models that need neither a bundle nor a fit."""


def _lstm(bundle: Bundle) -> RollingPredictor:
    config.silence_telemetry()  # onnxruntime reads it when it is imported
    from tickercast.models.onnx import OnnxModel

    return OnnxModel(bundle)


LOADERS: Mapping[str, Callable[[Bundle], RollingPredictor]] = {"lstm": _lstm}
"""The loaders by the `kind` of a model card."""


def load_bundle(bundle: Bundle) -> RollingPredictor:
    """Load a bundle, ready to predict.

    Raises:
        BundleError: no loader knows its kind, it was made for other inputs, or the network cannot be loaded.
    """
    card = bundle.card
    if card.kind not in LOADERS:
        raise BundleError(
            f"{card.name} {card.version} is of kind {card.kind[:40]!r}, and this release loads {', '.join(LOADERS)}. "
            "Install the release that trained it, or publish another version."
        )
    return LOADERS[card.kind](bundle)


def served_models(models: ModelStore) -> list[Served]:
    """The published champion, then the models that are served beside it.

    Raises:
        ModelUnavailable: none has been published.
        BundleError: a published version is damaged.
        StoreUnavailable: try again.
    """
    pointer = models.pointer()
    champion = Served(load_bundle(models.read(pointer.name, pointer.version)), Role.CHAMPION)
    return [champion, *(Served(_served(beside.name, beside.version, models), beside.role) for beside in pointer.served)]


def _served(name: str, version: str, models: ModelStore) -> Predictor:
    if name in BASELINES:
        return BASELINES[name]()
    if name in STATISTICAL:
        return statistical(name)
    return load_bundle(models.read(name, version))


def named(name: str, models: ModelStore) -> Predictor:
    """The model that a user names: `champion`, a baseline, a statistical model, or the folder of a bundle.

    Raises:
        UsageError: it is none of them, or its package is not installed.
        BundleError: the bundle is damaged.
        ModelUnavailable: no champion has been published.
    """
    if name == CHAMPION:
        return load_bundle(models.champion())
    if name in BASELINES:
        return BASELINES[name]()
    if name in STATISTICAL:
        return statistical(name)
    try:
        onnx, card = ((Path(name) / file).read_bytes() for file in ("model.onnx", "model.json"))
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{name[:80]!r} is not a model: {CHAMPION}, {', '.join([*BASELINES, *STATISTICAL])}, or a folder with "
            "model.onnx and model.json was needed. Name one of these."
        ) from error
    return load_bundle(read_bundle(onnx, card))


def statistical(name: str) -> Predictor:
    """One of `STATISTICAL`.

    Raises:
        UsageError: it is none of them, or its package is not installed.
    """
    from tickercast.models.statistical import ALL

    made = {model.name: model for model in ALL}
    if name not in made:
        close = difflib.get_close_matches(name, STATISTICAL, n=1)
        hint = f"Did you mean {close[0]}?" if close else "Name one of them."
        raise UsageError(f"{name[:40]!r} is not one of the models {', '.join(STATISTICAL)}. {hint}")
    return made[name]()


def evaluation_baselines(
    series: Sequence[Bars], through: date, *, more: Sequence[Predictor] = ()
) -> Sequence[Predictor]:
    """The baselines that any model is compared with; they learn from nothing after `through`."""
    return [EwmaT(), EwmaFhs.fit(series, through), HistoricalSimulation(), RandomWalk(), *more]


def promotion_baselines(series: Sequence[Bars], through: date) -> Sequence[Predictor]:
    """The one baseline that a promotion asks for; it learns from nothing, so both arguments are ignored."""
    return [RandomWalk()]


def trained_through(model: Predictor) -> date | None:
    """The last date that a trained model has seen; None for a model that learns from each series alone."""
    card = getattr(model, "card", None)
    return card.trained_through if isinstance(card, ModelCard) else None
