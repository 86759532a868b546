"""Seed a registry: register what comes with the package, so that what is trained later has numbers of its own."""

from tickercast.domain.cards.model_card import CHAMPION_ALIAS
from tickercast.model_store import ModelStore
from tickercast.ports import ModelRegistry, RunRecord


def seed(registry: ModelRegistry, models: ModelStore) -> None:
    """Register each shipped model as the first version of its name, where the registry has none.

    Args:
        registry: where versions are registered.
        models: the models of a frequency, or those of directions.

    Raises:
        StoreUnavailable: try again.
    """
    for bundle in models.shipped_bundles():
        if not registry.versions(bundle.card.name):
            record = RunRecord({"source": "shipped with the package"}, trained_here=False)
            card = registry.register(bundle, record).card
            if card.name == models.shipped_pointer.name:
                registry.set_alias(card.name, CHAMPION_ALIAS, card.version)
