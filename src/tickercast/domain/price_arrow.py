"""A typed Arrow table of bars, as rows of the contract in `price_rows`, and the table that is written."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from tickercast.domain.bars import Bars, Reading, bars_of
from tickercast.domain.price_rows import (
    PRICES,
    SIMULATED,
    TITLES,
    Numbers,
    Rows,
    check_columns,
    column_name,
    numbered,
    read_rows,
)
from tickercast.domain.price_tables import parse_dates


def read_table(table: pa.Table, *, symbol: str | None = None) -> Reading:
    """Read a table of bars with the CSV's columns; see `price_files.read_prices`.

    Args:
        table: dates are dates or texts, prices and volume are numbers, symbol and source are texts; texts are
            dictionaries.
        symbol: the symbol of a table that has no such column.

    Raises:
        InvalidBars: a column is missing.
    """
    table = table.rename_columns([column_name(name) for name in table.column_names])
    check_columns(table.column_names, symbol)
    codes, spellings = _terms(table["symbol"]) if "symbol" in table.column_names else _one_term(len(table), symbol)
    numbers, names = numbered(codes, spellings)
    if (numbers < 0).any():
        table, numbers = table.filter(pa.array(numbers >= 0)), numbers[numbers >= 0]
    optional = [name for name in ("adj_close", "volume") if name in table.column_names]
    columns: dict[str, NDArray[Any]] = {name: table[name].to_numpy() for name in (*PRICES, *optional)}
    columns["session_date"] = _days(table["session_date"])
    empty = {name: np.isnan(columns[name]) for name in optional}
    simulated = np.zeros(len(table), bool)
    if "source" in table.column_names:
        sources, words = _terms(table["source"])
        simulated = np.append(np.array([word == SIMULATED for word in words], bool), False)[sources]

    def cell(name: str, row: int) -> str:
        if name == "session_date" and not pa.types.is_dictionary(table[name].type):
            return str(columns[name][row])  # Python's dates end with the year 9999
        value = table[name][int(row)].as_py()
        return "" if value is None else str(value)

    return read_rows(Rows(numbers, names, columns, empty, simulated, cell))


def as_table(series: Sequence[Bars]) -> pa.Table:
    """The table that a file holds, with Yahoo's titles; the column Source is there if any bars are simulated."""
    table = bars_of(series)
    simulated = table["simulated"].to_numpy()
    table = table.drop_columns("simulated")
    if simulated.any():
        words = pa.DictionaryArray.from_arrays(simulated.astype(np.int32), ["", SIMULATED])
        table = table.append_column("source", words)
    return table.rename_columns([TITLES[name] for name in table.column_names])


def _terms(column: pa.ChunkedArray) -> tuple[Numbers, list[str]]:
    """The number of each row's text, −1 for none, and the texts."""
    whole = column.unify_dictionaries().combine_chunks()
    return whole.indices.fill_null(-1).to_numpy(), whole.dictionary.to_pylist()


def _one_term(rows: int, text: str | None) -> tuple[Numbers, list[str]]:
    return np.zeros(rows, np.intp), [str(text)]


def _days(column: pa.ChunkedArray) -> NDArray[np.datetime64]:
    if pa.types.is_dictionary(column.type):
        codes, texts = _terms(column)
        return np.append(parse_dates(pd.Series(texts, dtype=object)), np.datetime64("NaT", "D"))[codes]
    days: NDArray[np.datetime64] = column.to_numpy().astype("datetime64[D]")
    return days
