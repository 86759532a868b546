"""Desk: all that a day's work needs, in one hand, so that its steps take one argument instead of ten."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from tickercast.domain.forecast import RollingPredictor
from tickercast.domain.model_card import Bundle
from tickercast.jobs.daily.retrain import Tuning
from tickercast.jobs.requests.ledger import Patience
from tickercast.jobs.training.evaluate import Peers
from tickercast.jobs.training.train import Fit, Picture
from tickercast.ports import DriftReporter, MarketData, ModelRegistry, Notifier, ObjectStore, Warehouse


@dataclass(frozen=True)
class Desk:
    """Ports and functions, chosen by `bootstrap.desk`.

    Attributes:
        source: where the bars come from.
        store: the bucket; a write is followed by its event.
        models: the bucket of the published models, which may be the same.
        taken_over: gives the bucket again when the function has had the time to take a new champion over.
        warehouse: tables and views, ready for use.
        registry: the trained models.
        fit: the training.
        tuning: the bounded search for a recipe.
        seeds: of the networks of a training.
        load: makes a predictor of a bundle.
        peers: what a training is measured beside.
        yardstick: what a promotion is measured beside.
        picture: draws a comparison.
        reporter: draws what has drifted.
        notifiers: those who are told what is wrong; nobody where none are configured.
        patience: how long to wait for the function.
        now: the clock.
    """

    source: MarketData
    store: ObjectStore
    models: ObjectStore
    taken_over: Callable[[], ObjectStore]
    warehouse: Warehouse
    registry: ModelRegistry
    fit: Fit
    tuning: Tuning
    seeds: Sequence[int]
    load: Callable[[Bundle], RollingPredictor]
    peers: Peers
    yardstick: Peers
    picture: Picture
    reporter: DriftReporter
    notifiers: Sequence[Notifier]
    patience: Callable[[], Patience]
    now: Callable[[], datetime]
