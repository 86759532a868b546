"""Account: what became of the files that were sent, by the ledger."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, datetime

import pandas as pd

from tickercast.domain import objects
from tickercast.ports import ObjectStore, Warehouse

UNACCOUNTED = "unaccounted"
"""What a file is called that the ledger does not hold: its event is under way, or was lost."""

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.25, 5.0
_REQUESTS_AT_ONCE = 16


class Patience:
    """How long to wait for the function, from now on; several waits share the time.

    Args:
        seconds: for how long to look again; 0 looks once.
        tell: called before each pause with the seconds that have been waited.
        clock: seconds, never falling.
        sleep: pauses for so many seconds.
    """

    def __init__(
        self,
        seconds: float = 0.0,
        tell: Callable[[float], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.seconds = seconds
        self._tell = tell
        self._clock = clock
        self._sleep = sleep
        self._started = clock()

    def is_over(self) -> bool:
        """Whether all the time has been waited."""
        return self._waited() >= self.seconds

    def pause(self, seconds: float) -> None:
        """Waits, but not beyond the end."""
        waited = self._waited()
        self._tell(waited)
        self._sleep(max(0.0, min(seconds, self.seconds - waited)))

    def _waited(self) -> float:
        return self._clock() - self._started


NO_PATIENCE = Patience()
"""Looks once."""


@dataclass(frozen=True)
class Entry:
    """What became of one symbol of a file.

    Attributes:
        object: the file.
        generation: the version of it.
        symbol: the series; None stands for the whole file.
        status: as the ledger has it, or `UNACCOUNTED`.
        reason: why it was rejected, or what must be known of the bars.
        cutoff: the forecast origin, where it was forecast.
        received_at: when its event arrived.
    """

    object: str
    generation: int
    symbol: str | None
    status: str
    reason: str = ""
    cutoff: date | None = None
    received_at: datetime | None = None


def accounted(name: str, generation: int, *, warehouse: Warehouse, patience: Patience) -> pd.DataFrame:
    """Reads the ledger's rows of one write, waiting for them.

    A write that was superseded is followed to the newest one that was not: that one counts.

    Args:
        name: the object's name.
        generation: the version that was written.
        warehouse: where the function stores.
        patience: how long to wait; then what is there is given, perhaps nothing.

    Raises:
        WarehouseUnavailable: try again.
    """
    pause = _FIRST_PAUSE_S
    while True:
        rows = _newest_answer(warehouse.read("ingestions", {"object": name}), generation)
        if patience.is_over() or not (rows.empty or _is_superseded(rows)):
            return rows
        patience.pause(pause)
        pause = min(pause * 1.5, _LONGEST_PAUSE_S)


def entries(ledger: pd.DataFrame) -> list[Entry]:
    """Rows of the ledger as values, those that came last first."""
    return list(_entries(ledger.sort_values(["received_at", "object", "generation"], ascending=[False, True, False])))


def newest(warehouse: Warehouse, limit: int, name: str = "") -> tuple[list[Entry], int]:
    """The rows of the ledger that came last, at most `limit` unless one object's are asked for, and how many there are.

    Raises:
        WarehouseUnavailable: try again.
    """
    if name:
        found = entries(warehouse.read("ingestions", {"object": name}))
        return found, len(found)
    order = "received_at DESC, object, generation DESC"
    rows = warehouse.query(f"SELECT * FROM ingestions ORDER BY {order} LIMIT {limit:d}")  # noqa: S608
    [count] = warehouse.query("SELECT COUNT(*) AS entries FROM ingestions")["entries"]
    return entries(rows), int(count)


def failed(store: ObjectStore, warehouse: Warehouse) -> list[Entry]:
    """The live files of prices that have not been forecast whole: what was rejected, and what is not accounted for.

    Raises:
        StoreUnavailable, WarehouseUnavailable: try again.
    """
    names = [name for name in store.names(objects.PRICES) if objects.is_prices(name)]
    if not names:
        return []
    with ThreadPoolExecutor(_REQUESTS_AT_ONCE) as pool:
        live = pd.DataFrame({"object": names, "generation": list(pool.map(store.generation, names))})
    held = live.merge(warehouse.read("ingestions", {"object": names}), on=["object", "generation"], how="left")
    lost = held[held["status"].isna()]
    return [
        *entries(held[held["status"].notna() & held["status"].ne("forecast")]),
        *(
            Entry(name, int(generation), None, UNACCOUNTED)
            for name, generation in zip(lost["object"], lost["generation"], strict=True)
        ),
    ]


def _newest_answer(ledger: pd.DataFrame, generation: int) -> pd.DataFrame:
    rows = ledger[ledger["generation"] == generation]
    if rows.empty or not _is_superseded(rows):
        return rows
    later = ledger[(ledger["generation"] > generation) & ledger["status"].ne("superseded")]
    return rows if later.empty else later[later["generation"] == later["generation"].max()]


def _is_superseded(rows: pd.DataFrame) -> bool:
    return bool(rows["status"].eq("superseded").all())


def _entries(ledger: pd.DataFrame) -> Iterator[Entry]:
    for row in ledger.to_dict("records"):
        yield Entry(
            object=row["object"],
            generation=int(row["generation"]),
            symbol=row["symbol"] if pd.notna(row["symbol"]) else None,
            status=row["status"],
            reason=row["reason"] if pd.notna(row["reason"]) else "",
            cutoff=row["cutoff"].date() if pd.notna(row["cutoff"]) else None,
            received_at=row["received_at"].to_pydatetime(),
        )
