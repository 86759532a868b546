"""Directions of the next hour, and how they have scored: what anybody reads of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from tickercast.ports import Warehouse


@dataclass(frozen=True)
class Directions:
    """Directions and their record; every frame is empty where nothing is stored.

    Attributes:
        newest: a row of the view `latest_directions` for each symbol, by symbol.
        skill: the view `direction_skill`, of all symbols together first.
        groups: the view `direction_groups` over all symbols, in the order of the groups.
    """

    newest: pd.DataFrame
    skill: pd.DataFrame
    groups: pd.DataFrame


def directions(warehouse: Warehouse, symbols: Sequence[str] = ()) -> Directions:
    """Read the newest direction of each symbol, and the record of all.

    Args:
        warehouse: where they are stored.
        symbols: only these; empty: all.

    Raises:
        WarehouseUnavailable: try again.
    """
    newest = warehouse.read("latest_directions", {"symbol": list(symbols)} if symbols else None)
    skill = warehouse.read("direction_skill")
    groups = warehouse.read("direction_groups")
    return Directions(
        newest.sort_values(["symbol", "model_name"], ignore_index=True),
        skill.sort_values(["model_name", "symbol"], na_position="first", ignore_index=True),
        groups[groups["symbol"].isna()].sort_values(["model_name", "grouped_by", "place"], ignore_index=True),
    )
