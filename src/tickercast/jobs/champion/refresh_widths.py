"""Let the intervals of the champion, and of its shadow, follow what their earlier ones held."""

from collections.abc import Callable, Sequence
from datetime import date

from tickercast.domain.bars import Bars
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

    The version that a champion on probation replaced gets its own, too: or wider or narrower intervals alone could
    decide between them. A champion in whose place a baseline is served goes on learning. Each forecasts again
    from the last two years of each symbol, with the results days that were known then, so that a new champion need not
    wait for forecasts of its own to come due.

    Args:
        market: the bars.
        models: where the champion is served from.
        load: loads a bundle.
        warehouse: where results days are stored.

    Returns:
        The champion's; None if its intervals do not follow earlier ones, or there is nothing to learn from.

    Raises:
        PreconditionFailed: another version is served by now.
        Transient: try again.
    """
    decided_at, pointer = models.generation(), models.pointer()
    versions = [pointer.version, *([pointer.shadow] if pointer.shadow else [])]
    loaded = {version: load(models.read(pointer.name, version)) for version in versions}
    adapting = {one: made for one, made in loaded.items() if isinstance(made, InformedPredictor) and made.adapts}
    series = [bars for bars in market.source.reading.bars.values() if not bars.simulated]
    if not (adapting and series):
        return None
    results = results_days(market.symbols, _FIRST, market.day, warehouse=warehouse)
    learned = pointer
    for version, model in adapting.items():
        learned = learned.learned(version, _measured(model.informed(results), series, pointer.widths_of(version)))
    if learned != pointer:
        models.point(learned, replacing=decided_at)
    return learned.widths if pointer.version in adapting else None


def _measured(model: InformedPredictor, series: Sequence[Bars], served: Widths) -> Widths:
    found = measure_widths(model, series, served)
    is_older = served.through and found.through and found.through < served.through  # a day of the past was run again
    return served if is_older else found
