r"""Files of hourly bars: CSV, also in gzip or zip, and Parquet, from and to bytes.

A file names its symbols in a column `symbol`, or is called after the one that it holds. Files of Binance's archive are
read as they are: headerless, in the columns of klines. Moments are those at which hours open, UTC.

>>> text = b"time,open,high,low,close\n2023-07-22 12:00,10,12,9,11\n2023-07-22 13:00,11,13,10,12\n"
>>> bars = read_hours(text, symbol="BTCUSDT").bars["BTCUSDT"]
>>> bars.end, bars.last_close
(datetime.datetime(2023, 7, 22, 14, 0), 12.0)
"""

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet
from numpy.typing import NDArray

from tickercast.domain.bars import Bars, Reading
from tickercast.domain.findings import Finding
from tickercast.domain.hours import PRICES, finished, hourly_bars
from tickercast.domain.price_containers import decoded, is_parquet, unpacked
from tickercast.domain.price_limits import LARGEST, check_rows, check_symbols
from tickercast.domain.price_rows import SIMULATED
from tickercast.domain.symbols import parse_symbol
from tickercast.domain.text import one_line
from tickercast.errors import InvalidBars, NoRecentBars, Permanent

Part = Mapping[str, NDArray[Any]]
"""Columns of a symbol in one file: `opened_at`, prices, `volume` and `simulated`, in the order of its rows."""

_KLINES = ("opened_at", *PRICES, "volume")  # the first columns of the archive; the others are not read
_OPENED_AT = ("opened_at", "open_time", "date", "datetime", "timestamp", "time")
_HOUR, _DAY = np.timedelta64(1, "h"), np.timedelta64(1, "D")
_MICROSECONDS = 10**14  # a smaller number counts milliseconds, as the archive did until 2025
_SECONDS = 10**11  # a smaller number counts seconds
_FIRST_MOMENT = np.datetime64("1990-01-01", "us")
_MICRO = pa.timestamp("us", "UTC")


def read_hours(data: bytes, *, symbol: str = "", now: datetime | None = None, largest: int = LARGEST) -> Reading:
    """Read a file of hourly bars.

    Args:
        data: the file.
        symbol: the file's name without its ending, which is the symbol where no column names it.
        now: the time; hours that have not ended by then are left out, and a finding says so.
        largest: bytes that the file may have unpacked.

    Returns:
        The bars by symbol, what is odd about them, and the reason for each other symbol.

    Raises:
        InvalidBars: nothing in the file can be used.
    """
    series: dict[str, Bars] = {}
    failures: dict[str, Permanent] = {}
    findings: dict[str, Sequence[Finding]] = {}
    for name, part in parts(data, symbol, largest=largest):
        try:
            bars = in_order(parse_symbol(name), [part])
            series[bars.symbol], findings[bars.symbol] = _known(bars, now)
        except Permanent as error:
            failures[name] = error
    if not series and len(failures) == 1:
        [reason] = failures.values()
        raise InvalidBars(str(reason)) from reason
    return Reading(series, failures, {name: found for name, found in findings.items() if found})


def parts(data: bytes, owner: str, *, largest: int = LARGEST) -> list[tuple[str, Part]]:
    """The symbols of a file with the columns of each.

    Args:
        data: the file.
        owner: the symbol where no column names it, or a name that begins with it, as the archive's do.
        largest: bytes that the file may have unpacked.

    Raises:
        InvalidBars: it cannot be read.
    """
    data = unpacked(data, largest)
    try:
        table = _table(data)
        check_rows(len(table), len(table.column_names), largest)
        if "symbol" not in table.column_names:
            return [(owner_of(owner), _columns(table))]
        names = pc.unique(table["symbol"]).to_pylist()
        check_symbols(len(names))
        return [(str(name).upper(), _columns(table.filter(pc.equal(table["symbol"], name)))) for name in names]
    except (pa.ArrowException, KeyError, ValueError, IndexError, OverflowError) as error:
        raise InvalidBars(
            f"The file is no table of hourly bars: {one_line(error)}. A Parquet or CSV file with open, "
            "high, low, close, volume and the UTC moment at which each hour opens was needed. Correct it."
        ) from error


def names_symbols(data: bytes) -> bool:
    """Whether a file has a column of symbols; one that cannot be read has none, and the function says why."""
    try:
        return "symbol" in _table(unpacked(data)).column_names
    except (InvalidBars, pa.ArrowException, KeyError, ValueError, IndexError):
        return False


def owner_of(stem: str) -> str:
    """The symbol that a file is called after.

    >>> owner_of("BTCUSDT-1h-2023-07"), owner_of("btcusdt")
    ('BTCUSDT', 'BTCUSDT')
    """
    archived = re.fullmatch(r"([A-Za-z0-9]+)-1h-[\d-]+", stem)
    return (archived[1] if archived else stem).upper()


def in_order(symbol: str, found: Sequence[Part]) -> Bars:
    """The bars of one or more files in the order of time; where two have the same hour, the later file's counts.

    Raises:
        InvalidBars: they are no hourly bars; see `hours.hourly_bars`, or most are a day or more apart.
    """
    columns = {name: np.concatenate([part[name] for part in found]) for name in (*_KLINES, SIMULATED)}
    opened = columns["opened_at"]
    _, last = np.unique(opened[::-1], return_index=True)
    order = len(opened) - 1 - last
    apart = np.diff(opened[order])
    if len(apart) > 1 and np.median(apart) >= _DAY:
        days = int(np.median(apart) // _DAY)
        raise InvalidBars(
            f"{symbol} has bars {'a day' if days == 1 else f'{days} days'} apart: hourly bars were needed. Export it "
            "with the interval of one hour, or give it as daily bars."
        )
    closed_at: NDArray[np.datetime64] = np.add(opened[order], _HOUR)
    prices = {name: columns[name][order] for name in PRICES}
    return hourly_bars(symbol, closed_at, prices, columns["volume"][order], simulated=bool(columns[SIMULATED].any()))


def hours_csv(series: Sequence[Bars]) -> bytes:
    """Hourly bars as CSV, in the columns that `read_hours` reads."""
    buffer = io.BytesIO()
    pyarrow.csv.write_csv(_written(series), buffer)
    return buffer.getvalue()


def hours_parquet(series: Sequence[Bars]) -> bytes:
    """Hourly bars as Parquet, in the columns that `read_hours` reads."""
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(_written(series), buffer, compression="zstd")
    return buffer.getvalue()


def _known(bars: Bars, now: datetime | None) -> tuple[Bars, list[Finding]]:
    if now is None:
        return bars, []
    known = finished(bars, now)
    if not len(known):
        raise NoRecentBars(
            f"{bars.symbol} has no hour that has ended: its first bar opens at {_utc(bars.ends[0] - _HOUR)} UTC. "
            "Send it again later, or bars that begin earlier."
        )
    lacking = len(bars) - len(known)
    text = f"{lacking} hour(s) that had not ended, the first from {_utc(known.ends[-1])} UTC" if lacking else ""
    return known, [Finding(bars.symbol, "left out", text)] if lacking else []


def _written(series: Sequence[Bars]) -> pa.Table:
    return pa.concat_tables(list(_rows(series)))


def _rows(series: Sequence[Bars]) -> Iterator[pa.Table]:
    for bars in series:
        opened = (bars.ends - _HOUR).astype("datetime64[us]")
        yield pa.table(
            {
                "symbol": pa.repeat(bars.symbol, len(bars)),
                "opened_at": pa.array(opened, _MICRO),
                **{name: pa.array(bars.columns[name]) for name in PRICES},
                "volume": pa.array(bars.columns["volume"], from_pandas=True),
                "source": pa.repeat(SIMULATED if bars.simulated else "", len(bars)),
            }
        )


def _table(data: bytes) -> pa.Table:
    if is_parquet(data):
        return _named(pyarrow.parquet.read_table(io.BytesIO(data)))
    text = decoded(data)
    if text[:1].isdigit():
        width = text.split(b"\n", 1)[0].count(b",") + 1
        titles = [*_KLINES, *(f"column_{number}" for number in range(len(_KLINES), width))]
        options = pyarrow.csv.ReadOptions(column_names=titles)
        return _named(pyarrow.csv.read_csv(io.BytesIO(text), read_options=options))
    return _named(pyarrow.csv.read_csv(io.BytesIO(text)))


def _named(table: pa.Table) -> pa.Table:
    """The same table with the names of our columns."""
    lower = [str(name).strip().lower().replace(" ", "_") for name in table.column_names]
    table = table.rename_columns(lower)
    moment = next((name for name in _OPENED_AT if name in lower), None)
    if moment is None:
        raise ValueError(f"no column of moments among {', '.join(lower)[:80]}")
    lacking = [name for name in PRICES if name not in lower]
    if lacking:
        raise ValueError(f"no column {', '.join(lacking)} among {', '.join(lower)[:80]}")
    if "volume" not in lower:
        table = table.append_column("volume", pa.nulls(len(table), pa.float64()))
    return table.rename_columns(["opened_at" if name == moment else name for name in table.column_names])


def _columns(table: pa.Table) -> Part:
    numbers = {name: _floats(table[name], name) for name in (*PRICES, "volume")}
    marked = np.zeros(len(table), bool)
    if "source" in table.column_names and pa.types.is_string(table["source"].type):
        marked = pc.fill_null(pc.equal(table["source"], SIMULATED), False).to_numpy()
    return {"opened_at": _moments(table["opened_at"]), **numbers, SIMULATED: marked}


def _floats(column: pa.ChunkedArray, name: str) -> NDArray[np.float64]:
    try:
        values: NDArray[np.float64] = column.cast(pa.float64()).to_numpy()
        return values
    except pa.ArrowInvalid as error:
        raise ValueError(f"the column {name} holds {one_line(error)}, where numbers were needed") from error


def _moments(column: pa.ChunkedArray) -> NDArray[np.datetime64]:
    """Moments as datetime64[us], from stamps, texts, or numbers of seconds, milliseconds or microseconds."""
    found: NDArray[np.datetime64]
    if column.null_count:
        raise ValueError(f"{column.null_count} rows have no moment")
    if pa.types.is_integer(column.type):
        numbers = column.to_numpy().astype(np.int64)
        factor = np.select([numbers < _SECONDS, numbers < _MICROSECONDS], [1_000_000, 1000], 1)
        found = (numbers * factor).astype("datetime64[us]")
    else:
        if pa.types.is_string(column.type):
            column = pa.chunked_array([pa.array(pd.to_datetime(column.to_pylist(), utc=True).as_unit("us"))])
        found = column.cast(pa.timestamp("us")).to_numpy().astype("datetime64[us]")
    if len(found) and found.min() < _FIRST_MOMENT:
        raise ValueError(f"a moment of {found.min()} is no hour of a market")
    return found


def _utc(moment: np.datetime64) -> str:
    return str(moment.astype("datetime64[m]")).replace("T", " ")
