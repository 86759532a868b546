"""The catalogue: the model behind a name, and the loader behind the kind of a bundle.

To add a model that needs no training, name it in `BASELINES`; to add one that is trained, give its cards a new `kind`
and name the loader in `LOADERS`.
"""

import difflib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tickercast import config
from tickercast.domain.bars import Bars
from tickercast.domain.cards.model_card import (
    HAR_SEASON,
    HOURLY_KIND,
    Bundle,
    ModelCard,
    Pointer,
    ServedModel,
    learned_through,
    read_bundle,
)
from tickercast.domain.forecast import (
    BASELINE_VERSION,
    RANDOM_WALK,
    Predictor,
    Role,
    RollingPredictor,
    Served,
    informed,
)
from tickercast.domain.frequency import DAILY, Frequency
from tickercast.domain.measures.direction import DIRECTION
from tickercast.errors import BundleError, UsageError
from tickercast.model_store import ModelStore
from tickercast.models.baselines import EwmaFhs, EwmaT, HistoricalSimulation, RandomWalk

if TYPE_CHECKING:
    from tickercast.domain.hourly.hour_tables import HourTables
    from tickercast.models.direction import DirectionModel
    from tickercast.models.hourly.predictors import MonthlyTables

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


def _hourly_tables(bundle: Bundle) -> RollingPredictor:
    from tickercast.models.hourly.predictors import load_tables

    return load_tables(bundle)


def _hourly_network(bundle: Bundle) -> RollingPredictor:
    config.silence_telemetry()
    from tickercast.models.hourly.network import OnnxHourly

    return OnnxHourly.load(bundle)


LOADERS: Mapping[str, Callable[[Bundle], RollingPredictor]] = {
    "lstm": _lstm,
    "har-season": _hourly_tables,
    "ewma-season": _hourly_tables,
    HOURLY_KIND: _hourly_network,
}
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


def companion_names(listed: str) -> tuple[str, ...]:
    """The models beside the champion that a list names, in its order, that of directions among them.

    Args:
        listed: names with commas between, `champion` among them.

    Raises:
        UsageError: a name is no model that is served, or the champion is missing.

    >>> companion_names("champion, ewma-t,prophet,ewma-t")
    ('ewma-t', 'prophet')
    """
    names = [word.strip() for word in listed.split(",") if word.strip()]
    known = (CHAMPION, *BASELINES, *STATISTICAL, DIRECTION)
    for name in names:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"Did you mean {close[0]}?" if close else "Correct or remove it."
            raise UsageError(
                f"TICKERCAST_MODELS names {name[:40]!r}, and models are served by the names {', '.join(known)}. {hint}"
            )
    if CHAMPION not in names:
        raise UsageError(
            f"TICKERCAST_MODELS is {listed[:80]!r}, without the champion, which is always served. Add {CHAMPION} to it."
        )
    return tuple(dict.fromkeys(name for name in names if name != CHAMPION))


def served_models(models: ModelStore, companions: Sequence[str] = ()) -> list[Served]:
    """The published champion, then the models that are served beside it.

    Where a baseline has taken the champion's place, it comes first in the champion's role, and the champion goes on as
    a companion, so that its record does. Each version of its model has the widths that were learned for it.

    Args:
        models: where the pointer names them.
        companions: further models that need no bundle; one that the pointer names, too, is served once, in the role
            that the pointer gives it. Of hourly bars only those are served that there are for these.

    Raises:
        ModelUnavailable: none has been published.
        BundleError: a published version is damaged.
        StoreUnavailable: try again.
    """
    pointer = models.pointer()
    trained = informed(load_bundle(models.read(pointer.name, pointer.version)), {}, pointer.widths)
    champion = Served(_standing_in(pointer, models) if pointer.baseline else trained, Role.CHAMPION)
    demoted = [Served(trained, Role.COMPANION)] if pointer.baseline else []
    others = [one for one in pointer.served if one.name != pointer.baseline or one.name == RANDOM_WALK]
    beside = [Served(_beside(one, pointer, models), one.role) for one in others]
    named_there = {one.name for one in pointer.served} | {pointer.baseline}
    known = companions if models.frequency.is_daily else [name for name in companions if name in _hourly_baselines()]
    further = [Served(companion(name, models.frequency), Role.COMPANION) for name in known if name not in named_there]
    return [champion, *beside, *demoted, *further]


def _beside(one: ServedModel, pointer: Pointer, models: ModelStore) -> Predictor:
    """A model beside the champion; its predecessor has widths of its own, so that the two compare."""
    made = _served(one.name, one.version, models)
    return informed(made, {}, pointer.widths_of(one.version)) if one.name == pointer.name else made


def _standing_in(pointer: Pointer, models: ModelStore) -> Predictor:
    """The baseline in the champion's place: one that needs no bundle, or one that is served from a bundle."""
    name, published = pointer.baseline, {one.name: one.version for one in pointer.served if one.role is Role.BASELINE}
    known = BASELINES if models.frequency.is_daily else _hourly_baselines()
    if name in known:
        return _baseline(name, models.frequency)
    if name in published:
        return load_bundle(models.read(name, published[name]))
    raise BundleError(
        f"The pointer names {name[:40]!r} in the champion's place, and one of the baselines {', '.join(known)} "
        "was needed. Run tickercast rollback, which serves the champion again."
    )


def direction_model(models: ModelStore) -> "DirectionModel":
    """The published model of directions.

    Args:
        models: where the pointer names it.

    Raises:
        ModelUnavailable: none has been published.
        BundleError: the published model is damaged, or is no model of directions.
        StoreUnavailable: try again.
    """
    config.silence_telemetry()
    from tickercast.models.direction import DirectionModel  # a function without hourly files does not need it

    return DirectionModel(models.champion())


@dataclass(frozen=True)
class Unavailable:
    """A companion whose package is not installed: it makes no forecast, and says why.

    Attributes:
        name: the model.
        reason: the missing package, and how to install it.
    """

    name: str
    reason: str
    version: str = BASELINE_VERSION
    horizon: int = DAILY.horizon
    min_sessions: int = 0

    def predict(self, series: Sequence[Bars]) -> NDArray[np.float64]:
        """Refuse.

        Raises:
            UsageError: always.
        """
        raise UsageError(self.reason)


def _baseline(name: str, frequency: Frequency) -> Predictor:
    return BASELINES[name]() if frequency.is_daily else _hourly_baselines()[name]()


def _hourly_baselines() -> Mapping[str, Callable[[], Predictor]]:
    from tickercast.models.hourly import predictors  # a function without hourly files does not need them

    return predictors.BASELINES


def companion(name: str, frequency: Frequency) -> Predictor:
    """A model beside the champion that needs no bundle; `Unavailable` where its package is not installed."""
    if name in BASELINES:
        return _baseline(name, frequency)
    try:
        return statistical(name)
    except UsageError as error:
        return Unavailable(name, str(error))


def _served(name: str, version: str, models: ModelStore) -> Predictor:
    if name in BASELINES:
        return _baseline(name, models.frequency)
    if name in STATISTICAL:
        return statistical(name)
    return load_bundle(models.read(name, version))


def named(name: str, models: ModelStore) -> Predictor:
    """The model that a user names: `champion`, a baseline, a statistical model, a published one, or a bundle's folder.

    A published one is the champion's or one beside it, by its own name; what comes with the package stands in for it.

    Raises:
        UsageError: no model has that name, or its package is not installed.
        BundleError: the bundle is damaged.
        ModelUnavailable: no champion has been published.
    """
    if name == CHAMPION:
        served = models.pointer()
        return _standing_in(served, models) if served.baseline else load_bundle(models.champion())
    known = (*BASELINES, *STATISTICAL) if models.frequency.is_daily else tuple(_hourly_baselines())
    if name in known:
        return _baseline(name, models.frequency) if name in BASELINES else statistical(name)
    pointer = models.pointer() if models.generation() else models.shipped_pointer
    published = {pointer.name: pointer.version} | {one.name: one.version for one in pointer.served}
    if name in published:
        read = models.read if models.generation() else models.shipped_bundle
        return load_bundle(read(name, published[name]))
    return load_bundle(_in_folder(name, dict.fromkeys((CHAMPION, *known, *published))))


def _in_folder(name: str, others: Collection[str]) -> Bundle:
    try:
        files = (Path(name) / "model.json").read_bytes(), (Path(name) / "model.onnx").read_bytes
        return read_bundle(*files, remedy="Restore the files in that folder, or name another.")
    except (OSError, ValueError) as error:
        close = difflib.get_close_matches(name, others, n=1)
        hint = f"Did you mean {close[0]}?" if close else "Name one of these."
        raise UsageError(
            f"{name[:80]!r} is not a model: {', '.join(others)}, or a folder with model.onnx and model.json was "
            f"needed. {hint}"
        ) from error


def hourly(name: str, models: ModelStore, series: Sequence[Bars]) -> RollingPredictor:
    """The model of hourly bars that a user names, with tables that are refreshed monthly.

    Args:
        name: `champion`, `har-season`, `ewma-season`, `ewma-t`, `random-walk`, a network that is served beside the
            champion, or the folder of a bundle.
        models: the models of hourly bars.
        series: the bars that the tables are learned from, each month from the year before.

    Raises:
        UsageError: no model of hourly bars has that name.
        BundleError: the bundle is damaged.
    """
    from tickercast.models.hourly import predictors

    tables = predictors.MonthlyTables(series)
    makers = _table_makers()
    if name in predictors.BASELINES:
        return predictors.BASELINES[name]()
    if name in makers:
        return predictors.Refreshed(name, tables, makers[name])
    beside = models.shipped_pointer.served
    networks = {served.name: served.version for served in beside if served.name not in predictors.BASELINES}
    if name == CHAMPION:
        bundle = models.champion() if models.generation() else models.shipped
    elif name in networks:
        bundle = models.shipped_bundle(name, networks[name])
    else:
        bundle = _in_folder(name, (CHAMPION, *makers, *predictors.BASELINES, *sorted(set(networks) - set(makers))))
    return _refreshed(bundle, tables)


def hourly_evaluation(bundles: Sequence[Bundle], series: Sequence[Bars]) -> Sequence[RollingPredictor]:
    """The models of some bundles of hourly bars with tables of each month, and the baselines that need none.

    Args:
        bundles: the bundles of the models that are served.
        series: the bars that the tables are learned from, each month from the year before.

    Raises:
        UsageError: one is a model of daily bars.
    """
    from tickercast.models.hourly import predictors

    tables = predictors.MonthlyTables(series)
    return [
        *(_refreshed(bundle, tables) for bundle in bundles),
        *(make() for make in predictors.BASELINES.values()),
    ]


def _table_makers() -> "Mapping[str, Callable[[HourTables], RollingPredictor]]":
    from tickercast.models.hourly import predictors

    return {HAR_SEASON: predictors.HarSeason, predictors.EWMA_SEASON: predictors.EwmaSeason}


def _refreshed(bundle: Bundle, tables: "MonthlyTables") -> RollingPredictor:
    from tickercast.models.hourly import predictors

    card, makers = bundle.card, _table_makers()
    make = makers.get(card.kind) or getattr(load_bundle(bundle), "refreshed", None)
    if make is None:
        raise UsageError(
            f"{card.name} {card.version} is a model of daily bars, and one of hourly bars was needed: "
            f"{', '.join(makers)} or {', '.join(predictors.BASELINES)}. Name one of these."
        )
    of_network = card.model_copy(update={"trained_through": learned_through(card)})  # its tables are each month's
    return predictors.Refreshed(card.name, tables, make, card.version, card=None if card.kind in makers else of_network)


def statistical(name: str) -> Predictor:
    """One of `STATISTICAL`.

    Raises:
        UsageError: no statistical model has that name, or its package is not installed.
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


def hourly_baselines() -> Sequence[Predictor]:
    """The baselines of hourly bars that learn from nothing."""
    return [make() for make in _hourly_baselines().values()]


def promotion_baselines(series: Sequence[Bars], through: date) -> Sequence[Predictor]:
    """The random walk, and the baselines that can be served; they learn from nothing, so both arguments are ignored."""
    return [make() for make in BASELINES.values()]


def check_versions(models: Sequence[Predictor]) -> None:
    """Refuse two bundles of one name and version that differ, as those of two registries may.

    Raises:
        UsageError: two bundles of one name and version differ.
    """
    cards = [card for model in models if isinstance(card := getattr(model, "card", None), ModelCard)]
    known: dict[tuple[str, str], ModelCard] = {}
    for card in cards:
        same = known.setdefault((card.name, card.version), card)
        if same.model_copy(update={"run_id": card.run_id}) != card:  # a new registry gives another run id
            raise UsageError(
                f"Two models are {card.name} version {card.version}, and they differ: other names or versions were "
                "needed to tell them apart. Compare each in a command of its own."
            )


def trained_through(model: Predictor) -> date | None:
    """The last date that a trained model has seen; None for a model that learns from each series alone."""
    card = getattr(model, "card", None)
    return card.trained_through if isinstance(card, ModelCard) else None
