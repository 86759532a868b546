"""Make the newest forecasts again after the champion has changed."""

from tickercast.domain.frequency import DAILY
from tickercast.domain.market import Market
from tickercast.jobs.requests.upload import Upload
from tickercast.ports import ObjectStore, Warehouse

_LEDGER = ["symbol", "cutoff", "written_at", "generation", "model_version", "object"]


def reforecast(market: Market, version: str, *, store: ObjectStore, warehouse: Warehouse) -> list[Upload]:
    """Write the files of the newest forecasts again if they were made by another version than the served one.

    The function serves a new champion within a minute, and the old one until then. So call this when that minute has
    passed.

    Returns:
        The uploads, each for the symbols whose newest forecast it brings.

    Raises:
        PreconditionFailed: another writer changed a file at the same moment.
        Transient: the store or the warehouse does not answer.
    """
    files = outdated_files(market, version, warehouse)
    return [
        Upload(name, store.write(name, store.read(name, generation=generation), if_generation=generation), symbols)
        for (name, generation), symbols in files.items()
        if store.generation(name) == generation
    ]


def outdated_files(market: Market, version: str, warehouse: Warehouse) -> dict[tuple[str, str], tuple[str, ...]]:
    """The files whose forecasts are the newest of their symbols, by another version: object and generation to symbols.

    Raises:
        WarehouseUnavailable: try again.
    """
    where = {"symbol": market.symbols, "frequency": DAILY.name, "status": "forecast"}
    ledger = warehouse.read("ingestions", where, _LEDGER)
    newest = ledger.sort_values(["cutoff", "written_at", "generation"]).groupby("symbol").tail(1)
    old = newest[newest["model_version"] != version]
    files: dict[tuple[str, str], tuple[str, ...]] = {}
    for symbol, name, generation in zip(old["symbol"], old["object"], old["generation"], strict=True):
        files[name, generation] = (*files.get((name, generation), ()), symbol)
    return files
