"""Seed a registry: register what comes with the package, so that what is trained later has numbers of its own."""

from contextlib import suppress

from tickercast.domain.cards.model_card import CHAMPION_ALIAS, Bundle
from tickercast.errors import BundleError
from tickercast.model_store import ModelStore
from tickercast.ports import ModelRegistry, RunRecord


def seed(registry: ModelRegistry, models: ModelStore) -> None:
    """Register each shipped model as the first version of its name, where the registry has none; see `follow`, too.

    A version that cannot be read counts: it has taken the number, and another would not be the first.

    Args:
        registry: where versions are registered.
        models: the models of a frequency, or those of directions.

    Raises:
        BundleError: the pointer is corrupt.
        StoreUnavailable: try again.
    """
    shipped = list(models.shipped_bundles())
    for bundle in shipped:
        if not _is_known(registry, bundle):
            registry.register(bundle, RunRecord({"source": "shipped with the package"}, trained_here=False))
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
    served = models.pointer() if models.generation() else models.shipped_pointer
    if registry.aliased(served.name, CHAMPION_ALIAS) != served.version:
        with suppress(BundleError):  # it was deleted there, or never registered, as the tables of each month are not
            registry.set_alias(served.name, CHAMPION_ALIAS, served.version)


def _is_known(registry: ModelRegistry, bundle: Bundle) -> bool:
    """Whether the registry has a version of a bundle's name, whether it can be read or not."""
    unreadable: dict[str, BundleError] = {}
    return bool(registry.versions(bundle.card.name, on_failure=unreadable.__setitem__) or unreadable)
