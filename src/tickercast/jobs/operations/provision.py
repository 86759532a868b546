"""Provision: create the tables, views and published champion that a forecast needs. Safe to repeat."""

from contextlib import suppress

from tickercast.domain.model_card import CHAMPION, Pointer
from tickercast.errors import PreconditionFailed
from tickercast.model_store import ModelStore
from tickercast.ports import Warehouse


def provision(*, models: ModelStore, warehouse: Warehouse) -> list[str]:
    """Create what is missing, and publish the shipped champion if none has been published.

    Returns:
        The names of everything that was created or changed.

    Raises:
        SchemaMismatch: a table of another shape is in the way.
        Transient: try again.
    """
    made = warehouse.provision()
    return [*made, CHAMPION] if publish_shipped(models) else made


def publish_shipped(models: ModelStore) -> bool:
    """Publish the shipped champion if none has been published; whether that was so."""
    if models.generation():
        return False
    bundle = models.shipped
    models.write(bundle)
    with suppress(PreconditionFailed):  # another first command was faster
        models.point(Pointer(name=bundle.card.name, version=bundle.card.version), replacing="")
    return True


def pending(*, models: ModelStore, warehouse: Warehouse) -> dict[str, str]:
    """Everything that `provision` would create or change: `missing` or `changed`, by name.

    Raises:
        Transient: try again.
    """
    lacking = {} if models.generation() else {CHAMPION: "missing"}
    return warehouse.pending() | lacking
