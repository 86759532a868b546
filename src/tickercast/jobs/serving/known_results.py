"""Read the results days of the symbols in a file, in one query."""

from collections.abc import Mapping, Sequence

from tickercast.domain.asset_classes import is_stock
from tickercast.domain.bars import Bars
from tickercast.domain.events import ResultsDays
from tickercast.ports import Warehouse
from tickercast.reading.events import results_days


def known_results(series: Sequence[Bars], warehouse: Warehouse) -> Mapping[str, ResultsDays]:
    """The results days of those series that may have any, by symbol; none of simulated bars.

    What became known after a series' cutoff is among them; `ResultsDays` leaves it out.

    Args:
        series: the series, up to their cutoffs.
        warehouse: where events are stored.

    Raises:
        WarehouseUnavailable: try again.
    """
    asked = [bars for bars in series if is_stock(bars.symbol) and not bars.simulated]
    cutoffs = [bars.cutoff for bars in asked]
    symbols = [bars.symbol for bars in asked]
    return results_days(symbols, min(cutoffs), max(cutoffs), warehouse=warehouse) if asked else {}
