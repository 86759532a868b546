r"""The CSV contract: read a file of bars, one symbol or many, and write one.

>>> text = b"Date,Open,High,Low,Close\n2023-07-20,10,12,9,11\n2023-07-21,11,13,10,12\n"
>>> read_csv(text, symbol="MSFT").bars["MSFT"].cutoff
datetime.date(2023, 7, 21)
"""

import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from csv import Error as CsvError
from csv import reader
from dataclasses import dataclass
from datetime import date
from itertools import islice
from types import MappingProxyType

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import csv

from tickercast.domain.bars import BAR_COLUMNS, Bars, Reading
from tickercast.domain.symbols import parse_symbol
from tickercast.errors import InvalidBars, Permanent

_SIMULATED = "simulated"  # in the column Source
_PRICES = ("open", "high", "low", "close")
_YEARS = (1900, 2100)
_MOST_COLUMNS = 1_000
_WIDEST = 1e15  # between the lowest and the highest price: more cannot be a series of prices
_BLANKS = ("", "nan", "null", "none", "<na>")
_ROUNDING = 1e-4
_DATE = re.compile(r"^\s*(\d{4}-?\d\d-?\d\d)(?:[T ]\d\d:\d\d\S*)?\s*$")
_SYMBOL = re.compile(r"[A-Z0-9^](?:[.=-]?[A-Z0-9^])*")


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
    return _faultless(data, symbol) or read_frame(_texts(data), symbol=symbol)


def _faultless(data: bytes, symbol: str | None) -> Reading | None:
    """Read a file as numbers, which takes a fraction of the time and memory; a faulty file is read as text instead."""
    table = _plain_table(data, {"session_date": _TERMS, "symbol": _TERMS, "source": _TERMS} | _NUMBERS)
    if table is None:
        return None
    try:
        reading = read_frame(table.to_pandas(split_blocks=True, self_destruct=True), symbol=symbol)
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
    return _only(frame, (frame != "").any(axis="columns").to_numpy())


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
    header = data.removeprefix(b"\xef\xbb\xbf").partition(b"\n")[0].rstrip(b"\r").decode(errors="replace").split(",")
    if "" in header or len(set(header)) < len(header):
        return None
    columns = {name: kinds.get(_column_name(name), pa.string()) for name in header}
    options = csv.ConvertOptions(column_types=columns, strings_can_be_null=False, null_values=[""])
    serially = csv.ReadOptions(use_threads=False)  # several parts of the file at once cost memory, and save little
    try:
        # Arrow's own pool would keep what is freed.
        pool = pa.system_memory_pool()
        table = csv.read_csv(pa.BufferReader(data), serially, convert_options=options, memory_pool=pool)
        return table if table.column_names == header and table.num_rows else None
    except ValueError:
        return None


def read_frame(frame: pd.DataFrame, *, symbol: str | None = None) -> Reading:
    """Read a table of bars with the CSV's columns; see `read_csv`.

    Raises:
        InvalidBars: a column is missing, or there is no row.
    """
    frame = frame.set_axis([_column_name(name) for name in frame.columns], axis="columns")
    _check_columns(frame, symbol)
    if frame.empty:
        raise InvalidBars("The file has a header and no bar: at least one row was needed.")
    if "symbol" not in frame:
        frame = frame.assign(symbol=symbol)
    return _reading(frame)


def to_csv(series: Iterable[Bars]) -> bytes:
    """Write bars as one CSV, with Yahoo's column names."""
    written = list(series)
    sizes = [len(bars) for bars in written]
    columns: dict[str, pa.Array] = {
        name: pa.array(np.concatenate([bars.frame[name].to_numpy() for bars in written]), from_pandas=True)
        for name in BAR_COLUMNS[1:]
    }
    days = np.concatenate([bars.frame["session_date"].to_numpy() for bars in written]).astype("datetime64[D]")
    columns = {"session_date": pa.array(days), **columns}
    columns["symbol"] = pa.array(np.repeat([bars.symbol for bars in written], sizes))
    if any(bars.simulated for bars in written):
        columns["source"] = pa.array(np.repeat([_SIMULATED if bars.simulated else "" for bars in written], sizes))
    text = io.BytesIO(",".join(_TITLES[name] for name in columns).encode() + b"\n")
    text.seek(0, io.SEEK_END)
    options = csv.WriteOptions(include_header=False, quoting_style="none")
    csv.write_csv(pa.table(columns), text, options)
    return text.getvalue()


_TITLES = {
    "session_date": "Date",
    "open": "Open",
    "high": "High",
    "low": "Low",
    "close": "Close",
    "adj_close": "Adj Close",
    "volume": "Volume",
    "symbol": "Symbol",
    "source": "Source",
}


_TERMS = pa.dictionary(pa.int32(), pa.string())
_NUMBERS = dict.fromkeys((*_PRICES, "adj_close", "volume"), pa.float64())

_Rows = NDArray[np.intp]
_Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class _Check:
    """A rule of the contract: the rows that break it, and the message about a symbol and its bad rows."""

    bad: _Mask
    say: Callable[[str, _Rows], InvalidBars]


def _reading(frame: pd.DataFrame) -> Reading:
    """Read all symbols at once: a file of hundreds costs little more than the longest of its columns."""
    numbers, names = _numbered(frame["symbol"])
    frame, numbers = _only(frame, numbers >= 0), numbers[numbers >= 0]
    bars = _bars(frame, numbers)
    checks = list(_checks(frame, bars, numbers))
    order = np.lexsort((bars["session_date"].to_numpy(), numbers))
    ends = np.cumsum(np.bincount(numbers, minlength=len(names)))
    bars = bars if (np.diff(order) == 1).all() else bars.take(order)
    simulated = np.isin(np.arange(len(names)), numbers[_is_simulated(frame)])
    broken = np.isin(np.arange(len(names)), numbers[np.logical_or.reduce([check.bad for check in checks])])
    series: dict[str, Bars] = {}
    failures: dict[str, Permanent] = {}
    for number, name in enumerate(map(str, names)):
        start, end = int(ends[number - 1]) if number else 0, int(ends[number])
        try:
            symbol = parse_symbol(name)
            if broken[number]:
                raise _first_failure(symbol, np.sort(order[start:end]), checks)
        except Permanent as error:
            failures[_shown(name, 40)] = error
        else:
            known = bars.iloc[start:end]
            known.index = pd.RangeIndex(end - start)
            series[symbol] = Bars(symbol, known, bool(simulated[number]))
    return Reading(series, failures)


def _numbered(symbols: pd.Series) -> tuple[_Rows, Sequence[str]]:
    """The number of each row's symbol, −1 if it has none, and the symbols."""
    codes, different = pd.factorize(symbols)
    stripped = pd.Series(different).astype(str).str.strip()
    # Upper case changes some letters into others, and one symbol must not become another: mſft is not MSFT.
    again, names = pd.factorize(np.array([name.upper() if name.isascii() else name for name in stripped], object))
    return np.append(again, -1)[codes], list(names)


def _only(frame: pd.DataFrame, wanted: _Mask) -> pd.DataFrame:
    """Select rows, without a copy if they are all; the texts of a large file are most of the function's memory."""
    return frame if wanted.all() else frame[wanted]


def _first_failure(symbol: str, rows: _Rows, checks: Iterable[_Check]) -> InvalidBars:
    check = next(check for check in checks if check.bad[rows].any())
    return check.say(symbol, rows[check.bad[rows]])


def _bars(frame: pd.DataFrame, numbers: _Rows) -> pd.DataFrame:
    """The columns `BAR_COLUMNS` in the order of the file; unreadable values are NaT or NaN."""
    columns = {"session_date": _dates(frame["session_date"])} | {name: _numbers(frame[name]) for name in _PRICES}
    columns["adj_close"] = columns["close"]
    if "adj_close" in frame:
        adjusted = _numbers(frame["adj_close"])
        given = ~_is_price(adjusted)
        given[given] = ~_blank(frame["adj_close"][given])
        has_any = np.isin(numbers, numbers[given | _is_price(adjusted)])
        columns["adj_close"] = np.where(has_any, adjusted, columns["close"])
    columns["volume"] = _numbers(frame["volume"]) if "volume" in frame else np.full(len(frame), np.nan)
    return pd.DataFrame(columns)


def _checks(frame: pd.DataFrame, bars: pd.DataFrame, numbers: _Rows) -> Iterator[_Check]:
    """The rules of the contract, in the order in which their breaches are reported."""
    days = bars["session_date"]

    def invalid(column: str, seen: str, needed: str) -> Callable[[str, _Rows], InvalidBars]:
        def say(symbol: str, rows: _Rows) -> InvalidBars:
            first = frame.iloc[rows[0]]
            day = _shown(first["session_date"], 20)
            return InvalidBars(
                f"{symbol}: {_TITLES[column]} {str(first[column])[:40]!r} of {day} {seen} "
                f"({len(rows)} such row(s)): {needed}. Correct the file and send it again."
            )

        return say

    def doubled(symbol: str, rows: _Rows) -> InvalidBars:
        return InvalidBars(
            f"{symbol} has {len(rows)} duplicate date(s), first {_as_date(days.iloc[rows[0]])}: "
            "one bar a session was needed. Remove the duplicate rows."
        )

    def unscaled(symbol: str, rows: _Rows) -> InvalidBars:
        lowest, highest = bars["low"].iloc[rows].min(), bars["high"].iloc[rows].max()
        return InvalidBars(
            f"{symbol} ranges from {lowest:g} to {highest:g}: prices of one scale were needed. Correct the file."
        )

    yield _Check(days.isna().to_numpy(), invalid("session_date", "is not a date", "YYYY-MM-DD was needed"))
    outside = ~days.dt.year.between(*_YEARS).to_numpy()
    years = "a year from {} to {} was needed".format(*_YEARS)
    yield _Check(outside, invalid("session_date", "is no session", years))
    yield _Check(pd.DataFrame({"number": numbers, "day": days.to_numpy()}).duplicated().to_numpy(), doubled)
    for name in (*_PRICES, "adj_close"):
        bad = ~_is_price(bars[name].to_numpy())
        yield _Check(bad, invalid(name, "is not a price", "a finite positive number was needed"))
    if "volume" in frame:
        bad = ~_is_volume(bars["volume"].to_numpy())
        bad[bad] = ~_blank(frame["volume"][bad])
        yield _Check(bad, invalid("volume", "is not a volume", "a number from 0 on, or nothing, was needed"))
    extremes = bars.groupby(numbers)
    yield _Check((extremes["high"].transform("max") > _WIDEST * extremes["low"].transform("min")).to_numpy(), unscaled)
    slack = _ROUNDING * bars["close"]
    lower, upper = np.minimum(bars["open"], bars["close"]), np.maximum(bars["open"], bars["close"])
    bad = ((bars["low"] > lower + slack) | (bars["high"] < upper - slack)).to_numpy()
    yield _Check(bad, invalid("high", "does not fit the bar", "low ≤ open, close ≤ high was needed"))


def _dates(values: pd.Series) -> NDArray[np.datetime64]:
    """Parse dates. Symbols share most of them, so that each is parsed once."""
    codes, different = pd.factorize(values)
    dates = pd.to_datetime(_exchange_dates(pd.Series(different)), errors="coerce", format="ISO8601")
    days = dates.dt.tz_localize(None).dt.normalize().astype("datetime64[s]").to_numpy()
    return np.append(days, np.datetime64("NaT", "s"))[codes]  # a missing value has the code −1


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


def _is_price(values: NDArray[np.float64]) -> _Mask:
    return (values > 0) & (values < np.inf)


def _is_volume(values: NDArray[np.float64]) -> _Mask:
    return (values >= 0) & (values < np.inf)


def _is_simulated(frame: pd.DataFrame) -> _Mask:
    return frame["source"].eq(_SIMULATED).to_numpy(bool) if "source" in frame else np.zeros(len(frame), bool)


def _blank(values: pd.Series) -> _Mask:
    return values.astype(str).str.strip().str.lower().isin(_BLANKS).to_numpy()


def _check_columns(frame: pd.DataFrame, symbol: str | None) -> None:
    needed = ["session_date", *_PRICES] + ([] if symbol else ["symbol"])
    missing = [_TITLES[name] for name in needed if name not in frame]
    if missing:
        raise InvalidBars(
            f"The file has no column {', '.join(missing)}{_separator(frame)}: Date, Open, High, Low, Close were "
            "needed, and Symbol unless the object is named SYMBOL.csv. "
            f"It has {_shown(', '.join(map(str, frame.columns[:12])), 200) or 'none'}."
        )
    doubled = frame.columns[frame.columns.duplicated() & frame.columns.isin(list(_TITLES))]
    if len(doubled):
        raise InvalidBars(f"The file has more than one column {_TITLES[doubled[0]]}: one was needed.")


def _separator(frame: pd.DataFrame) -> str:
    title = str(frame.columns[0]) if len(frame.columns) == 1 else ""
    seen = next((words for mark, words in ((";", "semicolons"), ("\t", "tabs"), ("|", "bars")) if mark in title), None)
    return f", and seems to be separated by {seen} instead of commas" if seen else ""


def _column_name(title: object) -> str:
    name = re.sub(r"[ _]+", "_", str(title).strip().lower())
    return {"date": "session_date", "adjclose": "adj_close"}.get(name, name)


def _as_date(timestamp: pd.Timestamp) -> date:
    return timestamp.date()


def _one_line(error: Exception) -> str:
    return _shown(" ".join(str(error).split()), 160)


def _shown(seen: object, longest: int) -> str:
    """Text from a file, safe to quote: nothing in it moves a terminal's cursor or reverses text."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in str(seen)[:longest])
