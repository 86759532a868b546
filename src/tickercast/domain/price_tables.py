"""A pandas table of bars, of text or of numbers, as rows of the contract in `price_rows`."""

import re
from contextlib import suppress

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tickercast.domain.bars import Reading
from tickercast.domain.price_rows import PRICES, SIMULATED, Mask, Rows, check_columns, column_name, numbered, read_rows
from tickercast.errors import InvalidBars

_BLANKS = ("", "nan", "null", "none", "<na>")
_DATE = re.compile(r"^\s*(\d{4}-?\d\d-?\d\d)(?:[T ]\d\d:\d\d\S*)?\s*$")


def read_frame(frame: pd.DataFrame, *, symbol: str | None = None) -> Reading:
    """Read a table of bars with the CSV's columns; see `price_files.read_csv`.

    Raises:
        InvalidBars: a column is missing, or there is no row.
    """
    frame = frame.set_axis([column_name(name) for name in frame.columns], axis="columns")
    check_columns(list(frame.columns), symbol)
    if frame.empty:
        raise InvalidBars("The file has a header and no bar: at least one row was needed.")
    if "symbol" not in frame:
        frame = frame.assign(symbol=symbol)
    numbers, names = numbered(*pd.factorize(frame["symbol"]))
    frame, numbers = only(frame, numbers >= 0), numbers[numbers >= 0]
    columns = {"session_date": parse_dates(frame["session_date"])} | {name: _numbers(frame[name]) for name in PRICES}
    optional = {name: _numbers(frame[name]) for name in ("adj_close", "volume") if name in frame}
    empty = {name: _empty(frame[name], values) for name, values in optional.items()}
    simulated = frame["source"].eq(SIMULATED).to_numpy(bool) if "source" in frame else np.zeros(len(frame), bool)
    return read_rows(
        Rows(numbers, names, columns | optional, empty, simulated, lambda name, row: str(frame.iloc[row][name]))
    )


def only(frame: pd.DataFrame, wanted: Mask) -> pd.DataFrame:
    """Select rows, without a copy if they are all; the texts of a large file are most of the function's memory."""
    return frame if wanted.all() else frame[wanted]


def parse_dates(values: pd.Series) -> NDArray[np.datetime64]:
    """Parse dates. Symbols share most of them, so that each is parsed once."""
    codes, different = pd.factorize(values)
    dates = pd.to_datetime(_exchange_dates(pd.Series(different)), errors="coerce", format="ISO8601")
    days = dates.dt.tz_localize(None).dt.normalize().to_numpy().astype("datetime64[D]")
    return np.append(days, np.datetime64("NaT", "D"))[codes]  # a missing value has the code −1


def _exchange_dates(dates: pd.Series) -> pd.Series:
    # Times of day are dropped, and with them offsets, which differ between summer and winter.
    if pd.api.types.is_datetime64_any_dtype(dates):
        return dates
    return dates.astype(str).str.extract(_DATE, expand=False)


def _numbers(values: pd.Series) -> NDArray[np.float64]:
    if isinstance(values.dtype, pd.StringDtype):
        with suppress(ValueError):  # Arrow's parser is fast, and takes all or nothing
            return np.asarray(values.astype("Float64").to_numpy(np.float64, na_value=np.nan))
    return np.asarray(pd.to_numeric(values, errors="coerce"), dtype=np.float64)


def _empty(values: pd.Series, numbers: NDArray[np.float64]) -> Mask:
    """Which values are empty rather than unreadable."""
    empty = np.isnan(numbers)
    empty[empty] = values[empty].astype(str).str.strip().str.lower().isin(_BLANKS).to_numpy()
    return empty
