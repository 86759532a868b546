"""Export what is stored: rows of a view in a Parquet file, batch by batch."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tickercast import disk
from tickercast.domain.calendar import check_range
from tickercast.domain.frequency import Frequency
from tickercast.errors import Outdated, UsageError
from tickercast.plain import first_of
from tickercast.ports import Between, QueryLimits, Warehouse

VIEWS: Mapping[str, tuple[str, str]] = {
    "forecasts": ("forecast_history", "cutoff"),
    "prices": ("latest_prices", "session_date"),
    "scores": ("forecast_scores", "cutoff"),
}
"""The view of each kind, and the column of its dates."""


@dataclass(frozen=True)
class Exported:
    """A file that was written.

    Attributes:
        path: the absolute path of the file.
        view: the view whose rows the file holds.
        rows: the number of rows.
    """

    path: Path
    view: str
    rows: int


def export(
    kind: str,
    path: Path,
    *,
    first: date | None,
    last: date | None,
    symbols: Sequence[str],
    frequency: Frequency | None,
    warehouse: Warehouse,
    limits: QueryLimits,
    advance: Callable[[int], None],
) -> Exported:
    """Write the rows of a range of dates; the file is there once it is whole.

    Args:
        kind: a key of `VIEWS`.
        path: the file.
        first: the first cutoff or session; None: the oldest.
        last: the last one; None: the newest.
        symbols: the symbols to export; all if there are none.
        frequency: the frequency of the bars; None: any.
        warehouse: where the rows are.
        limits: the memory that the engine may take.
        advance: called with the number of rows written so far.

    Raises:
        UsageError: the kind is unknown, nothing is stored of a symbol, or the file cannot be written.
        Outdated: the warehouse is of another release, whose views have other columns.
        WarehouseUnavailable: try again.
    """
    if kind not in VIEWS:
        raise UsageError(f"{kind[:40]!r} cannot be exported: {', '.join(VIEWS)} can. Name one of them.")
    check_range(first or date.min, last or date.max)
    if changed := sorted(name for name, how in warehouse.pending().items() if how == "changed"):
        raise Outdated(
            f"{warehouse.url} is of another release: {first_of(changed, 3)} "
            f"{'differ' if len(changed) > 1 else 'differs'}, and the columns of this one were needed. Run `tickercast "
            "provision`, which keeps every row; then export."
        )
    view, dates = VIEWS[kind]
    where: dict[str, Any] = {"frequency": frequency.name} if frequency else {}
    where |= {dates: Between(first, last)} if first or last else {}
    where |= {"symbol": list(symbols)} if symbols else {}
    rows, seen = 0, set[str]()
    with warehouse.stream(view, where, limits=limits) as reader, _whole(path, reader.schema) as write:
        for batch in reader:
            write(batch)
            rows += batch.num_rows
            seen.update(batch["symbol"].unique().to_pylist() if symbols else ())
            advance(rows)
        if missing := [symbol for symbol in symbols if symbol not in seen]:
            raise UsageError(
                f"{view} has no such rows of {', '.join(missing)}, and some of each symbol were needed, so {path} was "
                "not written. Leave it out, or ask for other dates; tickercast overview lists the symbols."
            )
    return Exported(path.absolute(), view, rows)


@contextmanager
def _whole(path: Path, schema: pa.Schema) -> Iterator[Callable[[pa.RecordBatch], None]]:
    """Write batches to a file that is there at the end of the block; an error leaves what was there."""
    if path.exists() and not path.is_file():
        raise UsageError(f"{path} exists and is not a file, and a file was needed. Name another.")
    with _said(path), disk.whole(path) as part:
        writer = pq.ParquetWriter(part, schema, compression="zstd")

        def write(batch: pa.RecordBatch) -> None:
            with _said(path):
                writer.write_batch(batch)

        try:
            yield write
        finally:
            writer.close()


@contextmanager
def _said(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise disk.fault(str(path), error, UsageError) from error
