"""Register what was trained, and wait where the registry does not answer: a training may have taken hours."""

import logging
import time
from datetime import timedelta

from tickercast import logs
from tickercast.domain.cards.model_card import Bundle
from tickercast.errors import Transient
from tickercast.ports import ModelRegistry, RunRecord

log = logging.getLogger(__name__)

PATIENCE = timedelta(hours=12)
"""The time limit for waiting after a training that somebody asked for, which is lost then."""

_PAUSE_S = 60.0


def register(registry: ModelRegistry, bundle: Bundle, record: RunRecord, *, patience: timedelta) -> Bundle:
    """Register a trained bundle; while the registry does not answer, try again each minute.

    Args:
        registry: where versions are registered.
        bundle: the trained model.
        record: the rest of the training.
        patience: the time limit for waiting.

    Raises:
        BundleError: the network is not valid ONNX.
        UsageError, EngineUnusable: the registry refuses; see `ModelRegistry.register`.
        Transient: it has not answered for so long.
    """
    until, said = time.monotonic() + patience.total_seconds(), False
    while True:
        try:
            return registry.register(bundle, record)
        except Transient as error:
            if time.monotonic() >= until:
                raise
            hours = patience.total_seconds() / 3600
            sentence = (
                f"{bundle.card.name} is trained and waits to be registered: it is tried again each minute, for "
                f"{hours:g} hours. Leave this running, or the training is lost. {error}"
            )
            if not said:
                log.warning("%s", sentence)
            said = True
            logs.waiting(sentence)
            time.sleep(_PAUSE_S)
            logs.waiting("")
