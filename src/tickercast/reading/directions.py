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
        skill: the view `direction_skill`, of all symbols together first; of the symbols that were asked for alone.
        groups: the view `direction_groups`, in the order of the groups: of each symbol that was asked for, or over all.
    """

    newest: pd.DataFrame
    skill: pd.DataFrame
    groups: pd.DataFrame


def directions(warehouse: Warehouse, symbols: Sequence[str] = ()) -> Directions:
    """Read the newest direction of each symbol, and its record.

    Args:
        warehouse: where they are stored.
        symbols: only these, and their record; empty: all, and the record of all together, too.

    Raises:
        WarehouseUnavailable: try again.
    """
    where = {"symbol": list(symbols)} if symbols else None
    newest, skill, groups = (
        warehouse.read(view, where) for view in ("latest_directions", "direction_skill", "direction_groups")
    )
    groups = groups if symbols else groups[groups["symbol"].isna()]
    return Directions(
        newest.sort_values(["symbol", "model_name"], ignore_index=True),
        skill.sort_values(["model_name", "symbol"], na_position="first", ignore_index=True),
        groups.sort_values(["model_name", "symbol", "grouped_by", "place"], ignore_index=True),
    )
