"""The universes that were chosen, as they are stored."""

from tickercast.ports import Warehouse


def newest_universe(warehouse: Warehouse) -> list[str]:
    """The symbols of the newest universe, those of the highest rank first; none if none was chosen.

    Raises:
        WarehouseUnavailable: try again.
    """
    rows = warehouse.read("universes", None, ["as_of", "rank", "symbol", "created_at"])
    newest = rows[rows["as_of"] == rows["as_of"].max()]
    chosen = newest[newest["created_at"] == newest["created_at"].max()].sort_values("rank")
    return [str(symbol) for symbol in chosen["symbol"]]
