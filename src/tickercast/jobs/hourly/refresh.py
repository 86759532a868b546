"""Refresh the tables of the hourly models at the beginning of each month, from the year before.

A refresh is a new version of each served model: the tables are new, the network is the one of the version before. The
champion has a reference for the drift check, from the same year. The pointer moves to all of them in one write.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import numpy as np

from tickercast.domain.bars import Bars
from tickercast.domain.cards.model_card import HOURLY_KIND, Bundle, Pointer, ServedModel, learned_through
from tickercast.domain.forecast import Role, RollingPredictor
from tickercast.domain.hourly.hour_tables import HourTables
from tickercast.domain.measures.drift import OF_HOURS, reference_json
from tickercast.domain.measures.reference import make_reference, observe_hours
from tickercast.errors import PreconditionFailed, TooFewSessions
from tickercast.jobs.training.train import training_bars
from tickercast.model_store import ModelStore
from tickercast.ports import MarketData

YEAR = timedelta(days=365 + 32)
"""The span that is fetched: the year that tables are learned from, and the history before its first hour."""

Fit = Callable[[Sequence[Bars], np.datetime64], HourTables]
"""Learns tables from hours that end by a moment: `models.hourly.volatility.fit`."""


@dataclass(frozen=True)
class Refreshed:
    """The result of a refresh.

    Attributes:
        through: the last date that the served tables were learned from.
        versions: the models that are served with new tables, with their versions; empty if nothing was due.
    """

    through: date
    versions: Sequence[str] = ()


def refresh(
    symbols: Sequence[str],
    *,
    source: MarketData,
    models: ModelStore,
    fit: Fit,
    load: Callable[[Bundle], RollingPredictor],
    now: datetime,
) -> Refreshed:
    """Publish new tables if a month has begun since those that are served, and nobody has gone back by hand in it.

    Args:
        symbols: the symbols whose bars the tables are learned from.
        source: where they come from; simulated ones are not learned from.
        models: the published models of hourly bars.
        fit: learns the tables.
        load: loads a bundle.
        now: the time.

    Raises:
        TooFewSessions: the source does not reach back far enough; the earlier tables stay.
        ModelUnavailable, BundleError: nothing is published, or it is damaged.
        Transient: try again.
    """
    moment = now.astimezone(UTC).replace(tzinfo=None)
    month = np.datetime64(moment, "M")
    through: date = (month.astype("datetime64[D]") - np.timedelta64(1, "D")).item()
    generation, pointer = models.generation(), models.pointer()
    served = _bundles(models, pointer)
    stale = [bundle for bundle in served if bundle.card.hour_tables and bundle.card.trained_through < through]
    if not stale or source.simulated or pointer.returned_in_month(now):
        return _as_served(served, through)
    series = training_bars(source, symbols, through - YEAR, through, lambda *_: None)
    tables = fit(series, month.astype("datetime64[h]"))
    made = {}
    for bundle in stale:
        new = renewed(bundle, next_version(models, bundle.card.name), tables, through)
        made[bundle.card.name] = _referred(new, series, load) if bundle.card.name == pointer.name else new
        models.write(made[bundle.card.name])
    try:
        models.point(repointed(pointer, made), replacing=generation)
    except PreconditionFailed:  # another run was faster, or somebody has chosen another champion
        return _as_served(_bundles(models, models.pointer()), through)
    return Refreshed(through, [f"{name} {bundle.card.version}" for name, bundle in made.items()])


_UNPUBLISHED = ("random-walk", "ewma-t")


def _bundles(models: ModelStore, pointer: Pointer) -> list[Bundle]:
    """The models that a pointer names and that have bundles, the champion first."""
    served = [ServedModel(name=pointer.name, version=pointer.version, role=Role.CHAMPION), *pointer.served]
    return [models.read(one.name, one.version) for one in served if one.name not in _UNPUBLISHED]


def _as_served(served: Sequence[Bundle], otherwise: date) -> Refreshed:
    """The served models, without anything new."""
    return Refreshed(min((bundle.card.trained_through for bundle in served), default=otherwise))


def renewed(bundle: Bundle, version: str, tables: HourTables, through: date) -> Bundle:
    """The same model with newer tables, as a version of its own.

    Args:
        bundle: the version before.
        version: the version of the new model.
        tables: the new tables.
        through: the last date that they were learned from.
    """
    has_network = bundle.card.kind == HOURLY_KIND
    newer = {"version": version, "hour_tables": tables, "trained_through": through, "reference_sha256": ""}
    learned = {"network_through": learned_through(bundle.card)} if has_network else {"run_id": ""}
    return Bundle(bundle.onnx, bundle.card.model_copy(update=newer | learned))


def next_version(models: ModelStore, name: str) -> str:
    """The version that a new bundle of a model gets."""
    return str(max(map(int, models.versions(name)), default=0) + 1)


def _referred(bundle: Bundle, series: Sequence[Bars], load: Callable[[Bundle], RollingPredictor]) -> Bundle:
    """The bundle with a reference of the year that its tables were learned from; without, where that is too short."""
    tables, model = bundle.card.hour_tables, load(bundle)
    assert tables, "it was given tables"
    try:
        observed = [observe_hours(bars, model, np.array(tables.season)) for bars in series]
        return bundle.referred(reference_json(make_reference(observed, of=OF_HOURS)))
    except TooFewSessions:
        return bundle


def repointed(pointer: Pointer, made: dict[str, Bundle]) -> Pointer:
    """The pointer at newer versions of the same models, in the same roles.

    Args:
        pointer: the pointer.
        made: the newer versions by name; the others stay.
    """

    def version(name: str, before: str) -> str:
        return made[name].card.version if name in made else before

    served = tuple(one.model_copy(update={"version": version(one.name, one.version)}) for one in pointer.served)
    newer = version(pointer.name, pointer.version)
    former = pointer.former if newer == pointer.version else (*pointer.former, pointer.version)
    return pointer.model_copy(update={"version": newer, "served": served, "former": former})
