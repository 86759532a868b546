"""Suggest the symbol that was probably meant by one that a source does not know."""

import difflib
from collections.abc import Iterable

from tickercast.domain.frequency import DAILY, Frequency
from tickercast.ports import Warehouse
from tickercast.reading.queries import ask


def suggest(symbols: Iterable[str], *, warehouse: Warehouse, frequency: Frequency = DAILY) -> dict[str, str]:
    """For each symbol the most similar one that has been forecast before, if there is one.

    Raises:
        WarehouseUnavailable: try again.
    """
    wanted = list(symbols)
    if not wanted:
        return {}
    known = list(ask(warehouse, "symbols", frequency=frequency.name)["symbol"])
    found = {symbol: difflib.get_close_matches(symbol, known, n=1) for symbol in wanted}
    return {symbol: close[0] for symbol, close in found.items() if close}
