"""Copy the rows of one warehouse into another, whatever their engines: a laptop's into the cloud, or back."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

import numpy as np
import pandas as pd

from tickercast.errors import Outdated, UsageError, WarehouseUnavailable
from tickercast.jobs.operations.provision import publish_prices
from tickercast.plain import first_of
from tickercast.ports import Between, Warehouse

_CHUNK_ROWS = 250_000
"""Rows that are copied at once, unless a single day has more: some 100 MB of forecasts."""

_ANOTHER = "Name another in TICKERCAST_WAREHOUSE."

_COUNTS = {"ARRAY<FLOAT64>": "COUNTIF(ARRAY_LENGTH({0}) > 0)"}  # BigQuery stores an empty one for none

_SUMS = {
    "STRING": "SUM(LENGTH({0}))",
    "INT64": "SUM({0})",
    "FLOAT64": "SUM(ABS({0}))",  # whose order changes nothing that counts, as no terms cancel out
    "BOOL": "COUNTIF({0})",
    "DATE": "SUM(UNIX_DATE({0}))",
    "TIMESTAMP": "MAX(UNIX_MICROS({0}))",
    "ARRAY<FLOAT64>": "COALESCE(SUM(ARRAY_LENGTH({0})), 0)",
}
"""The sum over the values of a column that is compared, by the column's type."""


@dataclass(frozen=True)
class Table:
    """A table whose rows have a day.

    Attributes:
        name: the name of the table.
        dated_by: the column of days or of moments.
        columns: the types of its columns, by name, as BigQuery's SQL spells them.
    """

    name: str
    dated_by: str
    columns: Mapping[str, str]

    def days(self, warehouse: Warehouse) -> pd.DataFrame:
        """The number of rows, of values in each column, and a sum of these values, by day."""
        sums = [
            f"{_COUNTS.get(kind, 'COUNT({0})')} AS n{number}, {_SUMS[kind]} AS s{number}".format(f"`{name}`")
            for number, (name, kind) in enumerate(self.columns.items())
        ]
        measures = ", ".join([f"CAST(`{self.dated_by}` AS DATE) AS day", "COUNT(*) AS n", *sums])
        return warehouse.query(f"SELECT {measures} FROM {self.name} GROUP BY 1 ORDER BY 1")  # noqa: S608


def copy_tables(
    source: Warehouse, target: Warehouse, tables: Sequence[Table], *, on_chunk: Callable[[str, int], None]
) -> dict[str, int]:
    """Copy all rows, some days at a time, and compare both sides.

    An interrupted call is continued by the same one: what was copied is left alone. Nobody may write to either
    meanwhile. List prices are not copied: each release publishes its own.

    Args:
        source: where the rows are.
        target: where they go; its tables are created.
        tables: the tables to copy.
        on_chunk: called with a table and the number of its rows copied so far.

    Returns:
        The rows copied now, by table.

    Raises:
        UsageError: both are the same, the source has no tables, or the target holds rows that the source does not.
        Outdated: the source is of another release.
        WarehouseUnavailable: rows changed meanwhile, or an engine does not answer: try again.
    """
    _check_source(source, target, tables)
    if "changed" in target.pending().values():
        raise UsageError(f"{target.url} is of another release, and an empty warehouse was needed. {_ANOTHER}")
    if target.provision():
        publish_prices(target)
    held = {table.name: (table.days(source), table.days(target)) for table in tables}
    for name, (wanted, found) in held.items():
        if not _is_part(found, wanted):
            raise UsageError(
                f"{target.url} holds rows of {name} that {source.url} does not hold, and an empty warehouse was "
                f"needed, or one that an interrupted copy has filled. {_ANOTHER}"
            )
    copied = {table.name: _copy(table, *held[table.name], source, target, on_chunk) for table in tables}
    for table in tables:
        wanted, found = table.days(source), table.days(target)
        if len(wanted) != len(found) or not _is_part(found, wanted):
            raise WarehouseUnavailable(
                f"The rows of {table.name} in {source.url} and {target.url} differ after the copy: one of them was "
                "written to meanwhile. Stop what writes, remove the copy, and copy again."
            )
    return copied


def _check_source(source: Warehouse, target: Warehouse, tables: Sequence[Table]) -> None:
    if source.url == target.url:
        raise UsageError(f"{source.url} was to be copied into itself. {_ANOTHER}")
    lacking = {name: how for name, how in source.pending().items() if name in {table.name for table in tables}}
    if len(lacking) == len(tables) and "changed" not in lacking.values():
        raise UsageError(f"{source.url} holds no tables of tickercast. Name the warehouse that holds the rows.")
    if lacking:
        raise Outdated(
            f"{source.url} is of another release: {first_of(sorted(lacking), 3)} "
            f"{'differ' if len(lacking) > 1 else 'differs'}. Run `tickercast provision` with "
            f"TICKERCAST_WAREHOUSE={source.url}, which keeps every row; then copy."
        )


def _is_part(found: pd.DataFrame, wanted: pd.DataFrame) -> bool:
    """Whether the days of `found` are among those of `wanted`, and alike."""
    same = wanted.set_index("day").reindex(found["day"])
    left, right = (side.to_numpy(dtype=float, na_value=np.nan) for side in (found.drop(columns="day"), same))
    return bool(np.isclose(left, right, rtol=1e-9, atol=0.0, equal_nan=True).all())


def _copy(
    table: Table,
    wanted: pd.DataFrame,
    found: pd.DataFrame,
    source: Warehouse,
    target: Warehouse,
    on_chunk: Callable[[str, int], None],
) -> int:
    rows = 0
    for days in _chunks(wanted):
        if days.isin(found["day"]).any():
            continue
        first, last = days.iloc[0], days.iloc[-1]
        span = Between(first.date(), last.date())
        if table.columns[table.dated_by] == "TIMESTAMP":
            span = Between(_midnight(first), _midnight(last) + timedelta(days=1, microseconds=-1))
        chunk = source.read_arrow(table.name, {table.dated_by: span}, list(table.columns))
        target.append(table.name, chunk, key=f"{table.name}/copied/{source.url}/{first.date()}/{last.date()}")
        rows += len(chunk)
        on_chunk(table.name, rows)
    return rows


def _midnight(day: pd.Timestamp) -> datetime:
    return datetime.combine(day.date(), time(), UTC)


def _chunks(wanted: pd.DataFrame) -> list[pd.Series]:
    """The days that are copied at once, the same at each call: a day goes with those before it that have few rows."""
    number = (wanted["n"].cumsum() - 1) // _CHUNK_ROWS
    return [days for _, days in wanted["day"].groupby(number)]
