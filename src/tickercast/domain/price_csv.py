"""CSV files of bars, as people have them and as single symbols are sent."""

import io
from collections.abc import Mapping, Sequence
from csv import Error as CsvError
from csv import reader
from itertools import islice
from types import MappingProxyType

import pandas as pd
import pyarrow as pa
from pyarrow import csv

from tickercast.domain.bars import Bars, Reading
from tickercast.domain.price_arrow import as_table, read_table
from tickercast.domain.price_rows import PRICES, column_name, shown
from tickercast.domain.price_tables import only, read_frame
from tickercast.errors import InvalidBars

_MOST_COLUMNS = 1_000
_TERMS = pa.dictionary(pa.int32(), pa.string())
_NUMBERS = dict.fromkeys((*PRICES, "adj_close", "volume"), pa.float64())
_KINDS = {"session_date": _TERMS, "symbol": _TERMS, "source": _TERMS} | _NUMBERS


def read_csv(data: bytes, *, symbol: str | None = None) -> Reading:
    """Read a CSV, which may hold many symbols.

    The case of header names, and their spaces and underscores, do not matter; extra columns are ignored.

    Args:
        data: the file.
        symbol: the symbol of a file that has no `Symbol` column.

    Returns:
        The valid bars by symbol, and the reason for each other symbol.

    Raises:
        InvalidBars: nothing in the file can be used.
    """
    if b"\x00" in data:
        raise InvalidBars(
            "The file is binary: a CSV with the header Date,Open,High,Low,Close was needed. Send it as CSV."
        )
    _check_width(data)
    reading = _faultless(data, symbol)
    return reading if reading is not None else read_frame(_texts(data), symbol=symbol)


def to_csv(series: Sequence[Bars]) -> bytes:
    """Write bars as one CSV, with Yahoo's column names."""
    table = as_table(series)
    text = io.BytesIO(",".join(table.column_names).encode() + b"\n")
    text.seek(0, io.SEEK_END)
    plain = [pa.field(one.name, pa.string() if one.type == _TERMS else one.type) for one in table.schema]
    options = csv.WriteOptions(include_header=False, quoting_style="none")
    csv.write_csv(table.cast(pa.schema(plain)), text, options)
    return text.getvalue()


def _faultless(data: bytes, symbol: str | None) -> Reading | None:
    """Read a file as numbers, which takes a fraction of the time and memory; a faulty file is read as text instead."""
    table = _plain_table(data, _KINDS)
    if table is None:
        return None
    try:
        reading = read_table(table, symbol=symbol)
    except InvalidBars:
        return None
    return None if reading.failures else reading


def _texts(data: bytes) -> pd.DataFrame:
    table = _plain_table(data)
    if table is not None:
        return _without_blanks(table.to_pandas(split_blocks=True, self_destruct=True))
    try:
        frame = pd.read_csv(io.BytesIO(data), dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidBars("The file is not UTF-8 text: a CSV was needed. Save it as CSV in UTF-8.") from error
    except pd.errors.EmptyDataError as error:
        raise InvalidBars("The file is empty: a header and at least one bar were needed.") from error
    except (pd.errors.ParserError, ValueError) as error:
        raise InvalidBars(
            f"The file does not parse as CSV: {_one_line(error)}. Check its quotes and commas."
        ) from error
    return _without_blanks(frame)


def _without_blanks(frame: pd.DataFrame) -> pd.DataFrame:
    return only(frame, (frame != "").any(axis="columns").to_numpy())


def _check_width(data: bytes) -> None:
    """Refuse files that pandas would take minutes for; it takes the number of columns from the first two rows."""
    lines = reader(io.TextIOWrapper(io.BytesIO(data), encoding="latin-1", newline=""))
    rows = (line for line in lines if len(line) > 1 or "".join(line).strip())
    try:
        widest = max(map(len, islice(rows, 2)), default=0)
    except CsvError as error:
        raise InvalidBars(
            f"The file does not parse as CSV: {_one_line(error)}. Check its quotes and commas."
        ) from error
    if widest > _MOST_COLUMNS:
        raise InvalidBars(
            f"The file has {widest:,} columns, and at most {_MOST_COLUMNS:,} are read: Date, Open, High, Low, Close "
            "were needed, one row a symbol and session. Send it so."
        )


def _plain_table(data: bytes, kinds: Mapping[str, pa.DataType] = MappingProxyType({})) -> pa.Table | None:
    """A CSV without quotes, all of whose rows are as long as its header: Arrow reads those much faster.

    Args:
        data: the file.
        kinds: the types of columns other than text; a value that does not fit makes the result None.
    """
    if b'"' in data:
        return None
    first_line = data[: data.find(b"\n") + 1 or None].removeprefix(b"\xef\xbb\xbf")
    header = first_line.rstrip(b"\r\n").decode(errors="replace").split(",")
    if "" in header or len(set(header)) < len(header):
        return None
    columns = {name: kinds.get(column_name(name), pa.string()) for name in header}
    options = csv.ConvertOptions(column_types=columns, strings_can_be_null=False, null_values=[""])
    serially = csv.ReadOptions(use_threads=False)  # several parts of the file at once cost memory, and save little
    try:
        # Arrow's own pool would keep what is freed.
        pool = pa.system_memory_pool()
        table = csv.read_csv(pa.BufferReader(data), serially, convert_options=options, memory_pool=pool)
        return table if table.column_names == header and table.num_rows else None
    except ValueError:
        return None


def _one_line(error: Exception) -> str:
    return shown(" ".join(str(error).split()), 160)
