"""Suggest what may have been meant by a symbol that a source does not know."""

import difflib
from collections.abc import Iterable

from tickercast.ports import Warehouse


def suggest(symbols: Iterable[str], *, warehouse: Warehouse) -> dict[str, str]:
    """For each symbol the most similar one that has been forecast before, where there is one.

    Raises:
        WarehouseUnavailable: try again.
    """
    wanted = list(symbols)
    if not wanted:
        return {}
    known = warehouse.query("SELECT DISTINCT symbol FROM ingestions WHERE status = 'forecast'")["symbol"].tolist()
    found = {symbol: difflib.get_close_matches(symbol, sorted(known), n=1) for symbol in wanted}
    return {symbol: close[0] for symbol, close in found.items() if close}
