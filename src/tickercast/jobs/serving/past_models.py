"""Choose the model for a backfill: one that had not seen the date.

A champion that was trained on the date and on what followed would only repeat it. So the newest published version that
was trained before the cutoff takes its place; if there is none, the champion forecasts and is marked. A version that
was rolled back is not taken: it was shown, or thought, to be worse.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date

from tickercast.domain.cards.model_card import Bundle, ModelCard, Pointer, trained_before
from tickercast.domain.forecast import Predictor, Role, Served, informed
from tickercast.domain.learning.widths import Widths
from tickercast.errors import BundleError
from tickercast.model_store import ModelStore

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Lineup:
    """The models that answer one event.

    Attributes:
        models: the champion first.
        champion_has_seen: whether the champion was trained on the cutoff.
        note: a remark for the ledger.
    """

    models: Sequence[Served]
    champion_has_seen: bool = False
    note: str = ""

    @property
    def min_sessions(self) -> int:
        """The shortest series that is forecast: the champion decides, and models that need more are left out."""
        return self.models[0].model.min_sessions


class PastModels:
    """The published versions of the champion's model, each read when it is first needed.

    Args:
        models: where they are published.
        served: gives the models that are served, the champion first.
        load: loads a bundle.
    """

    def __init__(
        self, models: ModelStore, served: Callable[[], Sequence[Served]], load: Callable[[Bundle], Predictor]
    ) -> None:
        self._models = models
        self._served = served
        self._load = load
        self._seen_generation = ""
        self._cards: dict[str, ModelCard] = {}
        self._loaded: dict[tuple[str, str], Predictor] = {}

    def __call__(self, cutoff: date) -> Lineup:
        """The models for a cutoff.

        Raises:
            ModelUnavailable: nothing is published.
            BundleError: the version that is chosen is damaged, or the pointer is.
            StoreUnavailable: try again.
        """
        champion, *others = self._served()
        # Its widths were learned from what followed the cutoff.
        champion = replace(champion, model=informed(champion.model, {}, Widths()))
        beside = [served for served in others if served.role is Role.BASELINE]
        cards = self._published(champion.model.name)
        if not cards and not self._models.versions(champion.model.name):
            return Lineup(
                [champion, *beside], note=f"backfilled: {champion.model.name} is a baseline, and has seen nothing"
            )
        card = trained_before(cards.values(), cutoff)
        if card is None:
            card = cards.get(champion.model.version) or self._models.card(champion.model.name, champion.model.version)
            note = f"the model has seen this date: {card.name} {card.version} was trained through"
            return Lineup(
                [champion, *beside],
                True,
                f"{note} {card.trained_through}",
            )
        chosen = champion.model if card.version == champion.model.version else self._version(card)
        note = f"backfilled: {card.name} {card.version} was trained through {card.trained_through}"
        return Lineup([Served(chosen, Role.CHAMPION), *beside], note=note)

    def _published(self, name: str) -> dict[str, ModelCard]:
        """The cards by version, without damaged ones; they are listed again when the pointer has moved."""
        generation = self._models.generation()
        if generation != self._seen_generation:
            published = self._models.versions(name)
            kept = _not_rolled_back(published, self._models.pointer()) if published else []
            known = {version: card for version, card in self._cards.items() if card.name == name}
            cards = {version: known.get(version) or self._card(name, version) for version in kept}
            self._cards = {version: card for version, card in cards.items() if card}
            self._seen_generation = generation
        return self._cards

    def _card(self, name: str, version: str) -> ModelCard | None:
        try:
            return self._models.card(name, version)
        except BundleError as error:
            log.warning("Version %s makes no backfill: %s", version, error)
            return None

    def _version(self, card: ModelCard) -> Predictor:
        key = card.name, card.version
        if key not in self._loaded:
            self._loaded[key] = self._load(self._models.read(card.name, card.version))
        return self._loaded[key]


def _not_rolled_back(published: Sequence[str], pointer: Pointer) -> list[str]:
    """The published versions without those that the pointer has forgotten: it names all that were served, and stayed.

    Pointers of 0.2.0 named none that were served before, so versions older than the first one that is named are kept.
    """
    named = {pointer.version, pointer.shadow, *pointer.former} & set(published)
    first = min(map(int, named), default=0)
    return [version for version in published if version in named or int(version) < first]
