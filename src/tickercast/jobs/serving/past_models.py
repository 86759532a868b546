"""Choose the model that an origin in the past is forecast with: one that could have been there.

A champion that was trained on the date and on what followed would only repeat what it has seen. So the newest published
version that was trained before the origin takes its place; where there is none, the champion forecasts and is labelled.
"""

from collections.abc import Callable, Sequence
from datetime import date

from tickercast.domain.forecast import RANDOM_WALK, Predictor
from tickercast.domain.model_card import CHAMPION, HAS_SEEN, Bundle, ModelCard, trained_before
from tickercast.jobs.champion.model_store import published_versions, read_version
from tickercast.ports import ObjectStore


class Published:
    """The published versions of the champion's model, each read when it is first needed.

    Args:
        store: where they are published.
        served: gives the models that are served, the champion first.
        load: makes a bundle ready to predict.
    """

    def __init__(
        self, store: ObjectStore, served: Callable[[], Sequence[Predictor]], load: Callable[[Bundle], Predictor]
    ) -> None:
        self._store = store
        self._served = served
        self._load = load
        self._looked_at = 0
        self._cards: dict[str, ModelCard] = {}
        self._loaded: dict[str, Predictor] = {}

    def __call__(self, origin: date) -> tuple[Sequence[Predictor], str]:
        """The models for an origin, and what must be known of them: whether they have seen the date.

        Raises:
            ModelUnavailable: nothing is published.
            BundleError: a published version is damaged.
            StoreUnavailable: try again.
        """
        champion, *beside = self._served()
        cards = self._published(champion.name)
        card = trained_before(cards.values(), origin)
        if card is None:
            seen = cards[champion.version].trained_through
            note = f"{HAS_SEEN}, {champion.name} {champion.version} was trained through {seen}"
            return [champion, *(model for model in beside if model.name == RANDOM_WALK)], note
        chosen = champion if card.version == champion.version else self._version(card)
        note = f"backfilled: {card.name} {card.version} was trained through {card.trained_through}"
        return [chosen, *(model for model in beside if model.name == RANDOM_WALK)], note

    def _published(self, name: str) -> dict[str, ModelCard]:
        """The cards by version; they are listed anew when the champion's pointer has moved."""
        generation = self._store.generation(CHAMPION)
        if generation != self._looked_at:
            self._cards = {
                version: self._cards.get(version) or read_version(self._store, name, version).card
                for version in published_versions(self._store, name)
            }
            self._looked_at = generation
        return self._cards

    def _version(self, card: ModelCard) -> Predictor:
        if card.version not in self._loaded:
            self._loaded[card.version] = self._load(read_version(self._store, card.name, card.version))
        return self._loaded[card.version]
