"""Seed a registry: register what comes with the package, so that what is trained later has numbers of its own."""

from contextlib import suppress

from tickercast.domain.cards.model_card import CHAMPION_ALIAS, Bundle
from tickercast.errors import BundleError
from tickercast.model_store import ModelStore
from tickercast.ports import ModelRegistry, RunRecord


def seed(registry: ModelRegistry, models: ModelStore) -> None:
    """Register each shipped model as the first version of its name, where the registry has none; see `follow`, too.

    A version that cannot be read counts: it has taken the number, and another would not be the first. Where newer
    versions are published than the registry has, as after its loss, what is registered later gets numbers after theirs.

    Args:
        registry: where versions are registered.
        models: the models of a frequency, or those of directions.

    Raises:
        BundleError: the pointer is corrupt.
        StoreUnavailable: try again.
    """
    shipped = list(models.shipped_bundles())
    if any(_is_behind(registry, models, bundle) for bundle in shipped):
        with registry.alone():
            for bundle in shipped:
                _seed(registry, models, bundle)
    if shipped and registry.aliased(models.shipped_pointer.name, CHAMPION_ALIAS) is None:
        follow(registry, models)


def follow(registry: ModelRegistry, models: ModelStore) -> None:
    """Let the alias `champion` name the version that the pointer serves, where the registry holds that.

    Args:
        registry: where versions are registered.
        models: where they are served from.

    Raises:
        BundleError: the pointer is corrupt.
        StoreUnavailable: try again.
    """
    is_published = bool(models.generation())
    served = models.pointer() if is_published else models.shipped_pointer
    if registry.aliased(served.name, CHAMPION_ALIAS) == served.version:
        return
    with suppress(BundleError):  # it was deleted there, or never registered, as the tables of each month are not
        registered = registry.bundle(served.name, served.version)
        if not (is_published and models.differs(registered.card)):
            registry.set_alias(served.name, CHAMPION_ALIAS, served.version)


def _is_behind(registry: ModelRegistry, models: ModelStore, shipped: Bundle) -> bool:
    """Whether the registry has no version of a shipped model's name, or older ones than are published."""
    return registry.newest(shipped.card.name) < max(_published(models, shipped), 1)


def _seed(registry: ModelRegistry, models: ModelStore, shipped: Bundle) -> None:
    name, published = shipped.card.name, _published(models, shipped)
    is_taken = published > 0 and models.differs(shipped.card)
    if not registry.newest(name) and not is_taken:
        registry.register(shipped, RunRecord({"source": "shipped with the package"}, trained_here=False))
    if registry.newest(name) < published:
        registry.number_after(name, published)


def _published(models: ModelStore, shipped: Bundle) -> int:
    """The newest published number of a shipped model's name; 0 of tables of hours, which are not registered."""
    versions = [] if shipped.card.hour_tables else models.versions(shipped.card.name)
    return max(map(int, versions), default=0)
