"""Keep the served models loaded, and follow the pointer without ever being without a champion."""

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

from tickercast.errors import Permanent, TickercastError
from tickercast.model_store import ModelStore

log = logging.getLogger(__name__)


class Model(Protocol):
    """A model as the log names it."""

    @property
    def name(self) -> str:
        """The registered model's name."""

    @property
    def version(self) -> str:
        """The registered version."""


class Loaded(Protocol):
    """A model that is ready, in whatever it is served as."""

    @property
    def model(self) -> Model:
        """The model."""


M = TypeVar("M", bound=Loaded)

REFRESH_AFTER_S = 60.0
"""The time for which a champion is served before the pointer is checked again, in seconds."""


class ChampionCache(Generic[M]):
    """The models that are served; several threads may ask at once.

    The pointer's generation is checked at most once a minute. If the check fails, or the pointer names models that
    cannot be served, the earlier models stay.

    Args:
        models: where the pointer is.
        load: reads the published champion and the models beside it.
        clock: seconds, never decreasing.
    """

    def __init__(self, models: ModelStore, load: Callable[[], Sequence[M]], clock: Callable[[], float]) -> None:
        self._store = models
        self._load = load
        self._clock = clock
        self._lock = threading.Lock()
        self._models: Sequence[M] = ()
        self._generation = ""
        self._checked_at = 0.0

    def __call__(self) -> Sequence[M]:
        """The models, the champion first.

        Raises:
            ModelUnavailable: there has never been a champion.
            BundleError: the first one is damaged.
            StoreUnavailable: try again.
        """
        if not self._models:
            with self._lock:
                if not self._models:
                    self._take_over()
        elif self._is_due() and self._lock.acquire(blocking=False):
            try:
                if self._is_due():
                    self._refresh()
            finally:
                self._lock.release()
        return self._models

    def _is_due(self) -> bool:
        return self._clock() - self._checked_at >= REFRESH_AFTER_S

    def _refresh(self) -> None:
        """Check the pointer; other threads meanwhile use the models they have."""
        self._checked_at = self._clock()
        try:
            if self._store.generation() != self._generation:
                self._take_over()
        except TickercastError as error:
            level = logging.ERROR if isinstance(error, Permanent) else logging.WARNING
            champion = self._models[0].model
            log.log(level, "The champion cannot be refreshed, %s %s stays: %s", champion.name, champion.version, error)

    def _take_over(self) -> None:
        # Read before the champion: a pointer that moves in between is seen at the next check.
        generation = self._store.generation()
        self._models = self._load()
        self._generation = generation
        self._checked_at = self._clock()
