"""Renew: have the newest forecasts made again by a champion that has just come to be served."""

from tickercast.jobs.daily.fetch import Market
from tickercast.jobs.requests.upload import Upload
from tickercast.ports import ObjectStore, Warehouse


def renew(market: Market, version: str, *, store: ObjectStore, warehouse: Warehouse) -> list[Upload]:
    """Writes the files of the newest forecasts again, where another version than the one that is served made them.

    The function takes a new champion over within a minute; until then it would answer with the old one. So call this
    when that minute has passed.

    Returns:
        The uploads, each for the symbols whose newest forecast it brings.

    Raises:
        PreconditionFailed: somebody wrote a file at the same moment.
        Transient: the store or the warehouse does not answer.
    """
    files = outdated(market, version, warehouse)
    return [
        Upload(name, store.write(name, store.read(name, generation=generation), if_generation=generation), symbols)
        for (name, generation), symbols in files.items()
        if store.generation(name) == generation
    ]


def outdated(market: Market, version: str, warehouse: Warehouse) -> dict[tuple[str, int], tuple[str, ...]]:
    """The files whose forecasts are the newest of their symbols and not by a version: object and generation to symbols.

    Raises:
        WarehouseUnavailable: try again.
    """
    ledger = warehouse.read("ingestions", {"symbol": market.symbols, "status": "forecast"})
    newest = ledger.sort_values(["cutoff", "generation"]).groupby("symbol").tail(1)
    old = newest[newest["model_version"] != version]
    files: dict[tuple[str, int], tuple[str, ...]] = {}
    for symbol, name, generation in zip(old["symbol"], old["object"], old["generation"], strict=True):
        files[name, int(generation)] = (*files.get((name, int(generation)), ()), symbol)
    return files
