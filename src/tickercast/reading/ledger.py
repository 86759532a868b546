"""The ledger: the status of every file that was sent, one entry a symbol."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

import pandas as pd

from tickercast.domain import objects
from tickercast.domain.forecast import Origin
from tickercast.domain.frequency import DAILY
from tickercast.errors import EngineUnusable, InvalidName
from tickercast.ports import ObjectStore, Warehouse
from tickercast.reading.queries import ask

DONE = ("forecast", "stored")
"""The statuses of what was handled whole: of prices, and of events."""

UNACCOUNTED = "unaccounted"
"""The status of a file that the ledger does not hold: its event is under way, or was lost."""

DROPPED = "dropped"
"""The status of a file that was copied into the folder of a local bucket: nothing has been told of it."""

_REQUESTS_AT_ONCE = 16
_NAMED = 5_000
"""The most files that a read names, since requests to BigQuery are bounded; of more, the whole ledger is read."""

_COLUMNS = [
    *("object", "generation", "written_at", "symbol", "frequency", "status", "reason", "findings", "origin"),
    *("simulated", "rows", "cutoff", "cutoff_at", "received_at"),
]
_PREFIXES = [each for prefix in (objects.PRICES, objects.EVENTS) for each in (prefix, prefix.upper())]


@dataclass(frozen=True)
class Entry:
    """The status of one symbol of a file.

    Attributes:
        object: the file.
        generation: the version of it.
        symbol: the series; None stands for the whole file.
        status: the status in the ledger, or `UNACCOUNTED` or `DROPPED`.
        reason: why it was rejected, or a remark on the forecast.
        cutoff: the forecast origin, where it was forecast: a session, or the end of an hour, UTC.
        received_at: the time at which the event of the file arrived.
        findings: the oddities of the bars.
        rows: the bars in the file.
        rejected_before: whether it was rejected for the same reason before, so that sending it again does not help.
    """

    object: str
    generation: str
    symbol: str | None
    status: str
    reason: str = ""
    cutoff: date | None = None
    received_at: datetime | None = None
    findings: str = ""
    rows: int = 0
    rejected_before: bool = False


def entries(ledger: pd.DataFrame) -> list[Entry]:
    """Rows of the ledger as values, the newest first."""
    return list(_entries(ledger.sort_values(["received_at", "object", "generation"], ascending=[False, True, False])))


def newest(warehouse: Warehouse, limit: int, name: str = "") -> tuple[list[Entry], int]:
    """The newest entries, at most `limit` unless one object's are asked for, and how many there are.

    Args:
        warehouse: where the ledger is.
        limit: the most that are wanted.
        name: `OBJECT` or `OBJECT#GENERATION`; empty: all.

    Raises:
        WarehouseUnavailable: try again.
    """
    if name:
        found = of_object(name, entries(warehouse.read("ingestions", {"object": [name, _without_generation(name)]})))
        return found, len(found)
    return entries(ask(warehouse, "ledger_newest", rows=limit)), count_entries(warehouse)


def of_object(wanted: str, found: Sequence[Entry]) -> list[Entry]:
    """The entries of `OBJECT` or `OBJECT#GENERATION`, whichever a text with a # means."""
    of = {name: [entry for entry in found if entry.object == name] for name in (wanted, _without_generation(wanted))}
    return of[wanted] or of[_without_generation(wanted)]


def _without_generation(wanted: str) -> str:
    name, mark, _ = wanted.rpartition("#")
    return name if mark else wanted


def count_entries(warehouse: Warehouse) -> int:
    """The number of entries in the ledger.

    Raises:
        WarehouseUnavailable: try again.
    """
    [count] = ask(warehouse, "ledger_count")["entries"]
    return int(count)


def check_kept(store: ObjectStore, warehouse: Warehouse, copied: Sequence[str]) -> None:
    """Check that a bucket that the ledger has entries of is not empty.

    An empty one is asked again after the ledger, for another command may have filled both meanwhile.

    Args:
        store: the bucket.
        warehouse: where the ledger is.
        copied: files in the folder of a local bucket that it has no generation of.

    Raises:
        EngineUnusable: the bucket is empty, or its folder was copied without the generations.
        StoreUnavailable, WarehouseUnavailable: try again.
    """
    if not store.names("", limit=1) and (count := count_entries(warehouse)) and not store.names("", limit=1):
        if copied:
            raise EngineUnusable(
                f"{store.url} holds {len(copied):,} files and no generation of any, and the ledger has entries about "
                "files of a bucket: its folder .generations was not copied, or was removed. Copy it there too."
            )
        raise EngineUnusable(lost(f"{store.url} holds nothing", count))


def lost(seen: str, count: int) -> str:
    """The sentence on a bucket that is not the one that the warehouse was filled from.

    >>> lost("file:///mnt/bucket holds nothing", 1)[:84]
    'file:///mnt/bucket holds nothing, and the ledger has 1 entry about files of a bucket'
    """
    entries = "1 entry" if count == 1 else f"{count:,} entries"
    return (
        f"{seen}, and the ledger has {entries} about files of a bucket: its disk is not mounted, it was emptied, or "
        "another was meant. Mount it, or name it in TICKERCAST_BUCKET; or begin anew: tickercast provision publishes "
        "the shipped models."
    )


def failed(store: ObjectStore, warehouse: Warehouse, copied: Sequence[str]) -> list[Entry]:
    """The live files that were not handled whole, rejected or not accounted for, but for symbols that newer ones cover.

    A newer file covers a symbol that was forecast from it, or one of the same day, whatever became of it.

    Args:
        store: the bucket.
        warehouse: where the ledger is.
        copied: files in the folder of a local bucket that it has no generation of.

    Raises:
        EngineUnusable: the bucket is empty, and the ledger is not.
        StoreUnavailable, WarehouseUnavailable: try again.
    """
    listed = (found for prefix in _PREFIXES for found in store.generations(prefix).items())
    live = pd.DataFrame([found for found in listed if objects.is_upload(found[0])], columns=["object", "generation"])
    if live.empty:
        check_kept(store, warehouse, copied)
        return []
    named = {"object": list(live["object"])} if len(live) <= _NAMED else None
    ledger = warehouse.read("ingestions", named, _COLUMNS)
    ledger = ledger[ledger["object"].isin(live["object"])]
    held = live.merge(ledger, on=["object", "generation"], how="left")
    lost, known = held[held["status"].isna()], held[held["status"].notna()]
    bad = known[~known["status"].isin(DONE) & ~_is_covered(known, ledger)]
    with ThreadPoolExecutor(_REQUESTS_AT_ONCE) as pool:
        asked = list(pool.map(lambda name: _live(name, store), lost["object"]))
    return [
        *(replace(entry, rejected_before=_is_repeated(entry, ledger)) for entry in entries(bad)),
        *(
            Entry(name, generation, None, UNACCOUNTED, str(answer) if isinstance(answer, InvalidName) else "")
            for name, generation, answer in zip(lost["object"], lost["generation"], asked, strict=True)
            if answer  # others were deleted meanwhile
        ),
    ]


def _live(name: str, store: ObjectStore) -> str | InvalidName:
    """The live generation of an object, or why the store cannot be asked for it."""
    try:
        return store.generation(name)
    except InvalidName as error:
        return error


def _is_covered(known: pd.DataFrame, ledger: pd.DataFrame) -> "pd.Series[bool]":
    """The rows of live files that newer ones of the same symbol cover; simulated bars cover none with real ones."""
    series = ["symbol", "frequency", "origin"]
    made = ledger[(ledger["status"] == "forecast") & (ledger["origin"] == Origin.LIVE)]
    made = made[made["simulated"] == made.groupby(series)["simulated"].transform("min")]
    newest = made.groupby(series, as_index=False)["written_at"].max()
    forecast = known[series].merge(newest, on=series, how="left")["written_at"].set_axis(known.index)
    days = known.assign(day=known["object"].map(_day))
    same_day = days.groupby([*series, "day"])["written_at"].transform("max")  # nothing for a whole file, without symbol
    return (known["written_at"] < forecast) | (known["written_at"] < same_day)


def _is_repeated(entry: Entry, ledger: pd.DataFrame) -> bool:
    """Whether the ledger has another rejection for the same reason: of a symbol on the same day, or of the file."""
    same = ledger[(ledger["status"] == "rejected") & (ledger["reason"] == entry.reason)]
    if entry.symbol is None:
        return bool((same["object"] == entry.object).sum() > 1)
    same = same[same["symbol"] == entry.symbol]
    return bool((same["object"].map(_day) == _day(entry.object)).sum() > 1)


def _day(name: str) -> str:
    """The folder of a file, which names its day or hour."""
    return name.rpartition("/")[0]


def dropped(names: Iterable[str], links: Mapping[str, str]) -> list[Entry]:
    """The entries of files that were dropped into the folder of a local bucket.

    Args:
        names: the files.
        links: links there, and why they are not followed.
    """
    reason = (
        "It was copied into the bucket's folder, so that no event followed. tickercast replay {!r} sends it, and "
        "tickercast watch sends whatever is copied there."
    )
    reasons = {name: reason.format(name) for name in names} | dict(links)
    return [Entry(name, "", None, DROPPED, why) for name, why in reasons.items()]


def _entries(ledger: pd.DataFrame) -> Iterator[Entry]:
    for row in ledger.to_dict("records"):
        yield Entry(
            object=row["object"],
            generation=row["generation"],
            symbol=row["symbol"] if pd.notna(row["symbol"]) else None,
            status=row["status"],
            reason=row["reason"] if pd.notna(row["reason"]) else "",
            cutoff=_cutoff(row),
            received_at=row["received_at"].to_pydatetime(),
            findings=row["findings"] if pd.notna(row["findings"]) else "",
            rows=int(row["rows"]),
        )


def _cutoff(row: Mapping[Any, Any]) -> date | None:
    if pd.isna(row["cutoff"]):
        return None
    found: date = row["cutoff"].date() if row["frequency"] == DAILY.name else row["cutoff_at"].to_pydatetime()
    return found
