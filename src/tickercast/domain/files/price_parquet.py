"""Parquet files of bars: smaller than CSV, and read in a fifth of the time; batches are sent so."""

import io
from collections.abc import Collection, Sequence
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq

from tickercast.domain.bars import Bars, Reading
from tickercast.domain.files import refusals
from tickercast.domain.files.price_arrow import Asked, as_table, read_columns
from tickercast.domain.files.price_limits import LARGEST, MOST_COLUMNS, check_rows
from tickercast.domain.files.price_titles import PRICES, TITLES, layout
from tickercast.domain.findings import NOTHING_FOUND, Findings
from tickercast.domain.text import one_line, shown
from tickercast.errors import InvalidBars

_TEXTS = ("symbol", "source", "findings")
_INFLATION = 4  # times the largest file that a Parquet file may have uncompressed
_END = b"PAR1"
_LARGEST_FOOTER = 16_000_000  # bytes of titles and places


def read_parquet(data: bytes, asked: Asked) -> Reading:
    """Read a Parquet file; see `price_files.read_prices`. Columns that are not needed are not read.

    Raises:
        InvalidBars: the file is damaged or too large, or a column has another type than was needed.
    """
    try:
        titles = _titles(data, asked.largest)
        parts = layout(titles, asked.symbol)
        used = sorted({at for part in parts for at in part.columns.values()})
        times = {titles[part.columns["time"]] for part in parts if "time" in part.columns}
        table = _table(data, [titles[at] for at in used], times)
        places = {at: place for place, at in enumerate(used)}
        moved = [replace(part, columns={name: places[at] for name, at in part.columns.items()}) for part in parts]
        return read_columns([(part, table) for part in moved], asked)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise refusals.DAMAGED_PARQUET(seen=one_line(error)) from error


def first_symbol(data: bytes) -> str | None:
    """The first symbol that a file names itself; None if it names none.

    Raises:
        InvalidBars: the file is damaged, or has no columns of prices.
    """
    return _symbol(data, 0)


def last_symbol(data: bytes) -> str | None:
    """The last symbol that a file names itself; None if it names none.

    Raises:
        InvalidBars: the file is damaged, or has no columns of prices.
    """
    return _symbol(data, -1)


def _symbol(data: bytes, at: int) -> str | None:
    """The symbol of the first part and row, or with -1 of the last ones."""
    try:
        part = layout(titles := _titles(data))[at]
        if part.symbol or "symbol" not in part.columns:
            return part.symbol
        named = {"columns": [titles[part.columns["symbol"]]], "use_threads": False}
        with pq.ParquetFile(pa.BufferReader(data)) as opened:
            groups = [number for number in range(opened.num_row_groups) if opened.metadata.row_group(number).num_rows]
            rows = opened.read_row_group(groups[at], **named) if at else next(opened.iter_batches(1, **named))
            return str(rows.column(0)[at].as_py()).strip()
    except (IndexError, StopIteration, pa.ArrowException, OSError, ValueError) as error:
        raise refusals.DAMAGED_PARQUET(seen=one_line(error)) from error


def first_rows(data: bytes, count: int) -> str:
    """The titles and first rows as CSV; nothing if the file cannot be read."""
    try:
        with pq.ParquetFile(pa.BufferReader(data)) as opened:
            _check_size(opened.metadata)
            batch = next(opened.iter_batches(count, use_threads=False))
    except (InvalidBars, StopIteration, pa.ArrowException, OSError, ValueError):
        return ""
    return str(batch.to_pandas().to_csv(index=False))


def to_parquet(series: Sequence[Bars], findings: Findings = NOTHING_FOUND) -> bytes:
    """Write bars as one Parquet file, with Yahoo's column names, and the findings about them in the column Findings."""
    table = as_table(series, findings)
    # All of it saves time when the file is read: whole columns say so, prices in cents are few different numbers, and
    # compression would make these a fifth smaller at most.
    whole = [field.with_nullable(table[field.name].null_count > 0) for field in table.schema]
    table = table.cast(pa.schema(whole))
    repeated = [TITLES[name] for name in ("session_date", *_TEXTS, *PRICES)]
    compression = {TITLES[name]: "lz4" for name in ("session_date", *_TEXTS, "volume")}
    file = io.BytesIO()
    pq.write_table(table, file, compression=compression, use_dictionary=repeated)
    return file.getvalue()


def _titles(data: bytes, largest: int = LARGEST) -> list[str]:
    if not data.endswith(_END):
        raise refusals.DAMAGED_PARQUET(seen="it is cut off, since its end is not that of such a file")
    footer = int.from_bytes(data[-8:-4], "little")
    if footer > _LARGEST_FOOTER:
        raise refusals.DAMAGED_PARQUET(seen=f"its description has {footer / 1e6:,.0f} MB")
    with pq.ParquetFile(pa.BufferReader(data)) as opened:
        _check_size(opened.metadata, largest)
        return list(opened.schema_arrow.names)


def _table(data: bytes, titles: Sequence[str], times: Collection[str]) -> pa.Table:
    with pq.ParquetFile(pa.BufferReader(data)) as opened:
        kinds = {title: opened.schema_arrow.field(title).type for title in titles}
    for title, kind in kinds.items():
        if not (pa.types.is_time(kind) and title in times):
            _check_kind(title, kind)
    # Texts stay dictionaries, so that no short file becomes a large table.
    texts = [title for title, kind in kinds.items() if _is_text(kind)]
    with pq.ParquetFile(pa.BufferReader(data), read_dictionary=texts) as opened:
        table = opened.read(list(titles), use_threads=False)
    table.validate(full=True)
    return pa.table([_typed(table[title]) for title in titles], names=list(titles))


def _typed(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_null(column.type):
        return column.cast(pa.float64())
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.string())
    if _is_text(column.type) and not pa.types.is_dictionary(column.type):
        return column.cast(pa.string()).dictionary_encode()
    return column


def _is_text(kind: pa.DataType) -> bool:
    values = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(values) or pa.types.is_large_string(values) or pa.types.is_string_view(values))


def _check_kind(title: str, kind: pa.DataType) -> None:
    """Refuse a column of a type that holds neither texts nor numbers nor dates.

    Raises:
        InvalidBars: the column has such a type, in the words of the file.
    """
    types = pa.types
    plain = types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind) or types.is_null(kind)
    if not (plain or types.is_boolean(kind) or _is_text(kind) or types.is_date(kind) or types.is_timestamp(kind)):
        needed = "dates, numbers or texts"
        raise refusals.COLUMN_TYPE(column=shown(title, 40), type=shown(kind, 40), needed=needed)


def _check_size(metadata: pq.FileMetaData, largest: int = LARGEST) -> None:
    """Refuse a file that is small only because it is compressed, before it is read."""
    # Not by column: pyarrow ends the process where the metadata of one are damaged.
    size = sum(metadata.row_group(number).total_byte_size for number in range(metadata.num_row_groups))
    if metadata.num_rows == 0:
        raise refusals.NO_BAR()
    if metadata.num_columns > MOST_COLUMNS:
        raise refusals.TOO_WIDE(count=metadata.num_columns, most=MOST_COLUMNS)
    check_rows(metadata.num_rows, len(PRICES), largest)
    if size > (most := min(LARGEST, _INFLATION * largest)):
        raise refusals.INFLATED(size=size / 1e6, most=most / 1e6)
