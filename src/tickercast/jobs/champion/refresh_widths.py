"""Let the champion's intervals follow what its earlier ones held."""

from collections.abc import Callable
from datetime import date

from tickercast.domain.cards.model_card import Bundle
from tickercast.domain.forecast import InformedPredictor, Predictor
from tickercast.domain.learning.market import Market
from tickercast.domain.learning.widths import Widths, measure_widths
from tickercast.model_store import ModelStore
from tickercast.ports import Warehouse
from tickercast.reading.events import results_days

_FIRST = date(2000, 1, 1)


def refresh_widths(
    market: Market, *, models: ModelStore, load: Callable[[Bundle], Predictor], warehouse: Warehouse
) -> Widths | None:
    """Learn the factors of the watchlist and its asset classes, and serve them with the champion.

    The champion forecasts again from the last two years of each symbol, with the results days that were known then, so
    that a new champion need not wait for forecasts of its own to come due.

    Args:
        market: the bars.
        models: where the champion is served from.
        load: loads a bundle.
        warehouse: where results days are stored.

    Returns:
        What is served; None if the champion's intervals do not follow earlier ones, or there is nothing to learn from.

    Raises:
        PreconditionFailed: another version is served by now.
        Transient: try again.
    """
    decided_at, pointer = models.generation(), models.pointer()
    model = load(models.read(pointer.name, pointer.version))
    series = [bars for bars in market.source.reading.bars.values() if not bars.simulated]
    if not (isinstance(model, InformedPredictor) and model.adapts and series):
        return None
    results = results_days(market.symbols, _FIRST, market.day, warehouse=warehouse)
    served = pointer.widths
    found = measure_widths(model.informed(results), series, served)
    if served.through and found.through and found.through < served.through:
        return served  # a day of the past was run again
    if found != served:
        models.point(pointer.model_copy(update={"widths": found}), replacing=decided_at)
    return found
