"""Refresh: serve the published champion, and take over another one without ever being without any."""

import logging
import threading
from collections.abc import Callable, Sequence

from tickercast.domain.forecast import Predictor
from tickercast.domain.model_card import CHAMPION
from tickercast.errors import Permanent, TickercastError
from tickercast.ports import ObjectStore

log = logging.getLogger(__name__)

REFRESH_AFTER_S = 60.0
"""How long a champion is served without a look at the pointer, in seconds."""


class Served:
    """The models that are served; several threads may ask at once.

    The pointer's generation is looked at once a minute at most. Where the look fails, or what it points at cannot be
    served, the champion before stays.

    Args:
        store: where the pointer is.
        load: reads the published champion, and what is served beside it.
        clock: seconds, never falling.
    """

    def __init__(self, store: ObjectStore, load: Callable[[], Sequence[Predictor]], clock: Callable[[], float]) -> None:
        self._store = store
        self._load = load
        self._clock = clock
        self._lock = threading.Lock()
        self._models: Sequence[Predictor] = ()
        self._generation = 0
        self._looked_at = 0.0

    def __call__(self) -> Sequence[Predictor]:
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
        return self._clock() - self._looked_at >= REFRESH_AFTER_S

    def _refresh(self) -> None:
        """While one thread looks, the others go on with what they have."""
        self._looked_at = self._clock()
        try:
            if self._store.generation(CHAMPION) != self._generation:
                self._take_over()
        except TickercastError as error:
            level = logging.ERROR if isinstance(error, Permanent) else logging.WARNING
            champion = self._models[0]
            log.log(level, "The champion cannot be refreshed, %s %s stays: %s", champion.name, champion.version, error)

    def _take_over(self) -> None:
        # Read before the champion: a pointer that moves in between is seen at the next look.
        generation = self._store.generation(CHAMPION)
        self._models = self._load()
        self._generation = generation
        self._looked_at = self._clock()
