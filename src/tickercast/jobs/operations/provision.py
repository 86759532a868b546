"""Provision: create the tables, views and published champion that a forecast needs. Safe to repeat."""

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime

import pyarrow as pa

from tickercast.config import resource
from tickercast.errors import EngineUnusable, ModelUnavailable, PreconditionFailed
from tickercast.model_store import ModelStore
from tickercast.ports import Warehouse
from tickercast.reading.ledger import count_entries, lost


def provision(*, models: Sequence[ModelStore], warehouse: Warehouse) -> list[str]:
    """Create what is missing, and publish the shipped champion of each frequency if none has been published.

    The models come first: so the ledger has no entry before a model is published, whichever of several first commands
    is stopped.

    Args:
        models: the published models, by frequency.
        warehouse: where tables and views are created.

    Returns:
        The names of everything that was created or changed.

    Raises:
        SchemaMismatch: a table of another shape is in the way.
        BundleError: the pointer at a champion is corrupt.
        Transient: try again.
    """
    published = [each.pointer_name for each in models if publish_shipped(each)]
    made = warehouse.provision()
    if made:
        publish_prices(warehouse)
    return [*made, *published]


def make_ready(*, models: Sequence[ModelStore], warehouse: Warehouse) -> None:
    """Provision, unless `check_published` finds the bucket to be lost.

    the stores of the models, as in `provision`.

    Raises:
        EngineUnusable: the bucket is lost.
        SchemaMismatch: a table of another shape is in the way.
        BundleError: the pointer at a champion is corrupt.
        Transient: try again.
    """
    check_published(models, warehouse)
    provision(models=models, warehouse=warehouse)


def check_published(models: Sequence[ModelStore], warehouse: Warehouse) -> None:
    """Check that a model is published where the ledger has entries.

    The bucket is asked again after the ledger, for another first command may have published it and made the entries.

    Raises:
        EngineUnusable: none is; then the bucket is lost, or another.
        Transient: try again.
    """
    if not models or _any_published(models) or warehouse.pending().get("ingestions") == "missing":
        return
    if (count := count_entries(warehouse)) and not _any_published(models):
        raise EngineUnusable(lost(f"{models[0].url} holds no published model", count))


def _any_published(models: Sequence[ModelStore]) -> bool:
    return any(each.generation() for each in models)


def complete(*, models: Sequence[ModelStore], warehouse: Warehouse) -> None:
    """Provision where tables or views are missing, unless one that is there would be changed.

    So a command that only reads finds everything in a new warehouse, and leaves that of an earlier release as it is.

    Args:
        models: the stores of the models, as in `provision`.
        warehouse: the warehouse, as in `provision`.

    Raises:
        EngineUnusable: the bucket is lost.
        BundleError: the pointer at a champion is corrupt.
        Transient: try again.
    """
    lacking = warehouse.pending()
    if lacking and "changed" not in lacking.values():
        make_ready(models=models, warehouse=warehouse)


def publish_prices(warehouse: Warehouse) -> None:
    """Store the list prices that this release knows, once.

    Raises:
        Transient: try again.
    """
    import pyarrow.csv as pa_csv  # not needed to serve

    content = (resource("sql") / "list_prices.tsv").read_bytes()
    rows = pa_csv.read_csv(
        pa.BufferReader(content),
        parse_options=pa_csv.ParseOptions(delimiter="\t"),
        convert_options=pa_csv.ConvertOptions(
            column_types={"value": pa.float64(), "free": pa.float64(), "date": pa.string()},
        ),
    )
    listed = rows.append_column(
        "listed_at", pa.repeat(pa.scalar(datetime.now(UTC), pa.timestamp("us", "UTC")), len(rows))
    )
    warehouse.append("list_prices", listed, key=f"list_prices/{hashlib.sha256(content).hexdigest()[:16]}")


def publish_shipped(models: ModelStore) -> bool:
    """Publish the shipped champion and the models beside it if none has been published; whether that was so.

    Raises:
        BundleError: one has been published, and its pointer is corrupt.
        Transient: try again.
    """
    if models.generation():
        models.pointer()
        return False
    for bundle in models.shipped_bundles():
        models.write(bundle)
    with suppress(PreconditionFailed):  # another first command was faster
        models.point(models.shipped_pointer, replacing="")
    return True


def pending(*, models: Sequence[ModelStore], warehouse: Warehouse) -> dict[str, str]:
    """Everything that `provision` would create or change: `missing` or `changed`, by name.

    Raises:
        BundleError: the pointer at a champion is corrupt.
        Transient: try again.
    """
    lacking = {}
    for each in models:
        try:
            each.pointer()
        except ModelUnavailable:
            lacking[each.pointer_name] = "missing"
    return warehouse.pending() | lacking
