"""The queries that a warehouse is asked, recorded while a day, a page or a report does its work."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from deploy.scans import Query

from tickercast.backends.warehouse.duckdb import DuckDBWarehouse
from tickercast.ports import Between


@dataclass
class Recording:
    """The queries so far.

    Attributes:
        queries: those asked outside of an event.
        events: those that the function asked while it handled an event.
        in_event: whether it handles one now.
    """

    queries: list[Query] = field(default_factory=list)
    events: list[Query] = field(default_factory=list)
    in_event: bool = False

    def add(self, text: str, filters: Mapping[str, Any]) -> None:
        """Record a query."""
        (self.events if self.in_event else self.queries).append(Query(text, dict(filters)))


@contextmanager
def recording() -> Iterator[Recording]:
    """Record every query to DuckDB for as long as the block runs; BigQuery would be asked the same."""
    kept = Recording()
    read_arrow, query = DuckDBWarehouse.read_arrow, DuckDBWarehouse.query  # `read` calls the first

    def recorded_arrow(self: Any, name: str, where: Any = None, columns: Any = None) -> Any:
        kept.add(*_selected(name, where, columns))
        return read_arrow(self, name, where, columns)

    def recorded_query(self: Any, text: str, parameters: Mapping[str, Any] | None = None, **more: Any) -> Any:
        since = re.search(r"(\w+) >= (?:TIMESTAMP\()?@since", text)
        named = {"since": since[1] if since else "cutoff", "symbols": "symbol"}
        kept.add(text, {named[name]: value for name, value in (parameters or {}).items() if name in named})
        return query(self, text, parameters, **more)

    DuckDBWarehouse.read_arrow = recorded_arrow  # type: ignore[method-assign]
    DuckDBWarehouse.query = recorded_query  # type: ignore[method-assign]
    try:
        yield kept
    finally:
        DuckDBWarehouse.read_arrow = read_arrow  # type: ignore[method-assign]
        DuckDBWarehouse.query = query  # type: ignore[method-assign]


def _selected(
    name: str, where: Mapping[str, Any] | None, columns: Sequence[str] | None
) -> tuple[str, Mapping[str, Any]]:
    filters = {column: _filter(value) for column, value in (where or {}).items()}
    wanted = ", ".join(columns) if columns else "*"
    return f"SELECT {wanted or 'COUNT(*)'} FROM {name}", filters  # noqa: S608


def _filter(value: Any) -> Any:
    if isinstance(value, Between):
        return [value.first, value.last]
    return [_filter(each) for each in value] if isinstance(value, list) else value
