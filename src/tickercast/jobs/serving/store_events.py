"""Find what a file of events says that is not stored yet.

A source that is asked every day says the same every day; only what is new or has changed becomes a row.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pyarrow as pa

from tickercast.domain.events import SAME_RESULTS
from tickercast.domain.files.event_files import COLUMNS, SCHEMA
from tickercast.jobs.serving.stored_rows import File
from tickercast.ports import Between, Warehouse

_NEAR = timedelta(days=SAME_RESULTS)


def new_events(file: File, rows: pa.Table, warehouse: Warehouse) -> pa.Table:
    """The rows of a file that tell more than what other files have reported.

    A row tells nothing where its source has said the same before, and nothing else about the same results since.

    Args:
        file: the file; what an earlier delivery of it has stored does not count.
        rows: the events in the file.
        warehouse: where events are stored.

    Raises:
        WarehouseUnavailable: try again.
    """
    symbols, days = sorted(set(rows["symbol"].to_pylist())), rows["date"].to_pylist()
    where = {"symbol": symbols, "date": Between(min(days) - _NEAR, max(days) + _NEAR)}
    stored = warehouse.read_arrow("events", where, [*COLUMNS, "object", "generation"]).to_pylist()
    reported: dict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)
    for row in stored:
        if (row["object"], row["generation"]) != (file.object, file.generation):
            reported[_about(row)].append(row)
    found = []
    for row in sorted(rows.to_pylist(), key=lambda row: row["known_at"]):
        if _tells_more(row, reported[_about(row)]):
            found.append(row)
            reported[_about(row)].append(row)
    return pa.Table.from_pylist(found, SCHEMA)


def _about(row: dict[str, Any]) -> tuple[str, ...]:
    return row["symbol"], row["kind"], row["source"]


def _tells_more(row: dict[str, Any], reported: Sequence[dict[str, Any]]) -> bool:
    before = [other for other in reported if abs(other["date"] - row["date"]) < _NEAR]
    before = [other for other in before if other["known_at"] <= row["known_at"]]
    if any(_said(other) == _said(row) and other["known_at"] == row["known_at"] for other in before):
        return False
    newest = max(before, key=lambda other: other["known_at"], default=None)
    return newest is None or _said(newest) != _said(row)


def _said(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["date"], row["session"]
