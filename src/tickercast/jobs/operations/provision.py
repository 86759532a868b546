"""Make ready what a forecast needs: tables, views, and a published champion. Safe to repeat."""

from collections.abc import Callable
from contextlib import suppress

from tickercast.domain.model_card import CHAMPION, Bundle
from tickercast.errors import PreconditionFailed
from tickercast.jobs.champion.model_store import point_champion, write_bundle
from tickercast.ports import ObjectStore, Warehouse


def provision(*, store: ObjectStore, warehouse: Warehouse, shipped: Callable[[], Bundle]) -> list[str]:
    """Creates what is missing, and publishes the shipped champion where none has been published.

    Returns:
        The names of what was created or changed.

    Raises:
        SchemaMismatch: a table of an older version is in the way.
        Transient: try again.
    """
    made = warehouse.provision()
    if store.generation(CHAMPION):
        return made
    bundle = shipped()
    write_bundle(store, bundle)
    with suppress(PreconditionFailed):  # another first command was faster
        point_champion(store, bundle.card.name, bundle.card.version, replacing=0)
    return [*made, CHAMPION]


def pending(*, store: ObjectStore, warehouse: Warehouse) -> dict[str, str]:
    """What `provision` would do: what is `missing` or `changed`, by name.

    Raises:
        Transient: try again.
    """
    lacking = {} if store.generation(CHAMPION) else {CHAMPION: "missing"}
    return warehouse.pending() | lacking
