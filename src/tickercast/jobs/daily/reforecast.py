"""Make the newest forecasts again after the champion has changed."""

from collections.abc import Iterator

import pandas as pd

from tickercast.domain import objects
from tickercast.domain.cards.model_card import Pointer
from tickercast.domain.forecast import BASELINE_VERSION, Role
from tickercast.domain.frequency import DAILY
from tickercast.domain.learning.market import Market
from tickercast.jobs.requests.upload import Upload
from tickercast.ports import ObjectStore, Warehouse

_LEDGER = ["symbol", "cutoff", "written_at", "generation", "object", "model_version"]
_MADE = ["symbol", "object", "generation", "model_name", "model_version"]


def reforecast(market: Market, pointer: Pointer, *, store: ObjectStore, warehouse: Warehouse) -> list[Upload]:
    """Write the files of the newest forecasts again if they were made by another model than the served one.

    The function serves a new champion within a minute, and the old one until then. So call this when that minute has
    passed.

    Returns:
        The uploads, each for the symbols whose newest forecast it brings.

    Raises:
        PreconditionFailed: another writer changed a file at the same moment.
        Transient: the store or the warehouse does not answer.
    """
    return list(_repeated(outdated_files(market, pointer, warehouse), store))


def _repeated(files: dict[tuple[str, str], tuple[str, ...]], store: ObjectStore) -> Iterator[Upload]:
    """Write files again that are still live: other symbols in them may have newer files, which stay newer."""
    for (name, generation), symbols in files.items():
        if store.generation(name) == generation:
            again = objects.repeating(store.written_at(name, generation=generation))
            content = store.read(name, generation=generation)
            yield Upload(name, store.write(name, content, if_generation=generation, metadata=again), symbols)


def outdated_files(market: Market, pointer: Pointer, warehouse: Warehouse) -> dict[tuple[str, str], tuple[str, ...]]:
    """The files whose forecasts are the newest of their symbols, by another model: object and generation to symbols.

    The ledger knows versions alone. Where a baseline is served, or has the same version, the forecasts say which model
    made them. Simulated bars do not count beside a real market, nor the reverse.

    Raises:
        WarehouseUnavailable: try again.
    """
    kind = {"frequency": DAILY.name, "status": "forecast", "simulated": market.source.simulated}
    ledger = warehouse.read("ingestions", {"symbol": market.symbols, **kind}, _LEDGER)
    newest = ledger.sort_values(["cutoff", "written_at", "generation"]).groupby("symbol").tail(1)
    if newest.empty:
        return {}
    if pointer.baseline or pointer.version == BASELINE_VERSION:
        newest = _made(newest, warehouse)
        is_current = newest["model_name"] == (pointer.baseline or pointer.name)
    else:
        is_current = pd.Series(True, index=newest.index)
    if not pointer.baseline:
        is_current &= newest["model_version"] == pointer.version
    old = newest[~is_current]
    files: dict[tuple[str, str], tuple[str, ...]] = {}
    for symbol, name, generation in zip(old["symbol"], old["object"], old["generation"], strict=True):
        files[name, generation] = (*files.get((name, generation), ()), symbol)
    return files


def _made(newest: pd.DataFrame, warehouse: Warehouse) -> pd.DataFrame:
    """The rows of the ledger with the model of each, as its forecasts have it."""
    wanted = {"symbol": list(newest["symbol"]), "cutoff": list(newest["cutoff"].dt.date.unique())}
    made = warehouse.read("forecasts", {**wanted, "frequency": DAILY.name, "role": Role.CHAMPION, "step": 1}, _MADE)
    return newest.drop(columns="model_version").merge(made, on=["symbol", "object", "generation"])
