"""Choose the model for a backfill: one that had not seen the date.

A champion that was trained on the date and on what followed would only repeat it. So the newest published version that
was trained before the cutoff takes its place; if there is none, the champion forecasts and is marked.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date

from tickercast.domain.cards.model_card import Bundle, ModelCard, trained_before
from tickercast.domain.forecast import Predictor, Role, Served, informed
from tickercast.domain.learning.widths import Widths
from tickercast.model_store import ModelStore


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
        self._loaded: dict[str, Predictor] = {}

    def __call__(self, cutoff: date) -> Lineup:
        """The models for a cutoff.

        Raises:
            ModelUnavailable: nothing is published.
            BundleError: a published version is damaged.
            StoreUnavailable: try again.
        """
        champion, *others = self._served()
        # Its widths were learned from what followed the cutoff.
        champion = replace(champion, model=informed(champion.model, {}, Widths()))
        beside = [served for served in others if served.role is Role.BASELINE]
        cards = self._published(champion.model.name)
        if not cards:
            return Lineup(
                [champion, *beside], note=f"backfilled: {champion.model.name} is a baseline, and has seen nothing"
            )
        card = trained_before(cards.values(), cutoff)
        if card is None:
            card = cards[champion.model.version]
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
        """The cards by version; they are listed again when the pointer has moved."""
        generation = self._models.generation()
        if generation != self._seen_generation:
            self._cards = {
                version: self._cards.get(version) or self._models.read(name, version).card
                for version in self._models.versions(name)
            }
            self._seen_generation = generation
        return self._cards

    def _version(self, card: ModelCard) -> Predictor:
        if card.version not in self._loaded:
            self._loaded[card.version] = self._load(self._models.read(card.name, card.version))
        return self._loaded[card.version]
