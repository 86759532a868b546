"""Make the newest forecasts again after the champion has changed."""

import sys
from collections.abc import Iterator, Sequence
from datetime import date, datetime

import pandas as pd

from tickercast.domain import objects
from tickercast.domain.calendar import is_over
from tickercast.domain.cards.model_card import Pointer
from tickercast.domain.files.price_files import Window, read_prices
from tickercast.domain.forecast import BASELINE_VERSION, Role
from tickercast.domain.frequency import DAILY
from tickercast.domain.learning.market import Market
from tickercast.jobs.requests.send_file import write_batch
from tickercast.jobs.requests.upload import Upload, parquet_of
from tickercast.ports import ObjectStore, Warehouse

_LEDGER = ["symbol", "cutoff", "written_at", "generation", "object", "model_version"]
_MADE = ["symbol", "object", "generation", "model_name", "model_version"]


def reforecast(
    market: Market, pointer: Pointer, *, store: ObjectStore, warehouse: Warehouse, now: datetime
) -> list[Upload]:
    """Send the bars of the newest forecasts again if they were made by another model than the served one.

    The function serves a new champion within a minute, and the old one until then. So call this when that minute has
    passed.

    Returns:
        The uploads, each for the symbols whose newest forecast it brings.

    Raises:
        Permanent: the bars of a file that was forecast are refused by now.
        PreconditionFailed: other writers took the names of the files.
        Transient: the store or the warehouse does not answer.
    """
    return list(_repeated(outdated_files(market, pointer, warehouse, now), store, now))


def _repeated(files: dict[tuple[str, str], tuple[str, ...]], store: ObjectStore, now: datetime) -> Iterator[Upload]:
    """Send some symbols of each file that is still live: the forecasts of its other symbols stay as they are."""
    for (name, generation), symbols in files.items():
        if store.generation(name) == generation:
            again = objects.repeating(store.written_at(name, generation=generation))
            data = _part(name, store.read(name, generation=generation), symbols, now)
            yield Upload(*write_batch(store, objects.parse(name).as_of, data, metadata=again), symbols)


def _part(name: str, content: bytes, symbols: Sequence[str], now: datetime) -> bytes:
    described = objects.parse(name)
    reading = read_prices(
        content,
        symbol=described.name,
        symbols=symbols,
        window=Window(described.as_of - DAILY.lookback, described.as_of, now),
        largest=sys.maxsize,  # the function has read it
    )
    return parquet_of([reading[symbol] for symbol in symbols], reading.findings, DAILY)


def outdated_files(
    market: Market, pointer: Pointer, warehouse: Warehouse, now: datetime
) -> dict[tuple[str, str], tuple[str, ...]]:
    """The files whose forecasts are the newest of their symbols, by another model: object and generation to symbols.

    A forecast whose file was written before its first close stays once that is known: nobody could act on another.
    Simulated bars do not count beside a real market, nor the reverse.

    The ledger knows versions alone. Where a baseline is served, or has the same version, the forecasts say which model
    made them.

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
    files: dict[tuple[str, str], tuple[str, ...]] = {}
    for row in newest[~is_current].to_dict("records"):
        if not _has_come_true(row["symbol"], row["cutoff"].date(), row["written_at"].to_pydatetime(), now):
            vintage = row["object"], row["generation"]
            files[vintage] = (*files.get(vintage, ()), row["symbol"])
    return files


def _has_come_true(symbol: str, cutoff: date, written_at: datetime, now: datetime) -> bool:
    """Whether the first close that a forecast is of became known after its file was written."""
    [first] = DAILY.next_steps(symbol, cutoff, 1)
    return is_over(symbol, first, now) and not is_over(symbol, first, written_at)


def _made(newest: pd.DataFrame, warehouse: Warehouse) -> pd.DataFrame:
    """The rows of the ledger with the model of each, as its forecasts have it."""
    wanted = {"symbol": list(newest["symbol"]), "cutoff": list(newest["cutoff"].dt.date.unique())}
    made = warehouse.read("forecasts", {**wanted, "frequency": DAILY.name, "role": Role.CHAMPION, "step": 1}, _MADE)
    return newest.drop(columns="model_version").merge(made, on=["symbol", "object", "generation"])
