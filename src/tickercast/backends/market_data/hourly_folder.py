"""Hourly bars in files: a folder of Parquet and CSV files, or one such file.

A file names its symbols in a column `symbol`, or is called `SYMBOL.csv` or `SYMBOL.parquet`. Files of Binance's archive
are read as they are: `SYMBOL-1h-2023-07.zip` or `.csv`, headerless, in the columns of klines. A symbol may lie in
several files. Moments are those at which hours open, UTC.
"""

import io
import re
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cached_property
from pathlib import Path
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
from tickercast.domain.hours import PRICES, finished, gaps, hourly_bars
from tickercast.domain.text import one_line
from tickercast.errors import InvalidBars, NoRecentBars, Permanent, UnknownSymbol, UsageError

ENDINGS = (".parquet", ".csv", ".csv.gz", ".zip")
"""Of the files that are read."""

_KLINES = ("opened_at", *PRICES, "volume")  # the first columns of the archive; the others are not read
_OPENED_AT = ("opened_at", "open_time", "date", "datetime", "timestamp", "time")
_HOUR = np.timedelta64(1, "h")
_MICROSECONDS = 10**14  # a smaller number counts milliseconds, as the archive did until 2025
_FIRST_MOMENT = np.datetime64("1990-01-01", "us")


_Part = Mapping[str, NDArray[Any]]  # the columns of a symbol in one file


@dataclass(frozen=True)
class _Contents:
    """The contents of the files: the parts of each symbol, and why a symbol cannot be read."""

    parts: dict[str, list[_Part]] = field(default_factory=dict)
    failures: dict[str, InvalidBars] = field(default_factory=dict)


class HourlyFolder:
    """The hourly bars in a folder's files; its subfolders are not read."""

    simulated = False

    def __init__(self, path: Path, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._path = path
        self._now = now

    @property
    def name(self) -> str:
        """The path, as given."""
        return str(self._path)

    def symbols(self) -> list[str]:
        """All symbols that the files hold, sorted.

        Raises:
            UsageError: the folder does not exist, or holds no such file.
        """
        return sorted({*self._contents.parts, *self._contents.failures})

    def fetch(self, symbols: Sequence[str], first: date, last: date, *, advance: Callable[[int], None]) -> Reading:
        """Read the bars of the symbols, without unfinished hours; see `ports.MarketData`."""
        series: dict[str, Bars] = {}
        failures: dict[str, Permanent] = {}
        findings: dict[str, Sequence[Finding]] = {}
        for symbol in symbols:
            try:
                series[symbol] = self._bars(symbol, first, last)
                findings[symbol] = list(gaps(series[symbol]))
            except Permanent as error:
                failures[symbol] = error
            advance(1)
        return Reading(series, failures, {symbol: found for symbol, found in findings.items() if found})

    def _bars(self, symbol: str, first: date, last: date) -> Bars:
        if symbol in self._contents.failures:
            raise self._contents.failures[symbol]
        if symbol not in self._contents.parts:
            raise UnknownSymbol(
                f"{self._path} does not hold {symbol}: it has {', '.join(self.symbols()[:8])}. Name one of those, "
                "spelled as in the files."
            )
        bars = finished(_in_order(symbol, self._contents.parts[symbol]), self._now())
        inside = bars.since(first).through(last)
        if not len(inside):
            raise NoRecentBars(
                f"{self._path} has no finished hour of {symbol} from {first} to {last}: at least one was needed. "
                "Name other dates."
            )
        return inside

    @cached_property
    def _contents(self) -> "_Contents":
        found = _Contents()
        for path in self._files():
            try:
                for symbol, part in _read(path):
                    found.parts.setdefault(symbol, []).append(part)
            except (
                InvalidBars
            ) as error:  # the other files may be whole, but not the symbol that this one is called after
                found.failures[_owner(path)] = error
        return found

    def _files(self) -> list[Path]:
        try:
            candidates = sorted(self._path.iterdir()) if self._path.is_dir() else [self._path]
        except OSError as error:
            raise UsageError(
                f"The source {self._path} cannot be read: {error.strerror}. Check its permissions."
            ) from error
        files = [path for path in candidates if path.name.lower().endswith(ENDINGS)]
        if not files or not all(path.exists() for path in files):
            raise UsageError(
                f"The source {self._path} holds no file of hourly bars: one that ends in {', '.join(ENDINGS)} was "
                "needed. Check the path."
            )
        return files


def _owner(path: Path) -> str:
    """The symbol that a file is called after."""
    owner = re.match(r"[A-Za-z0-9]+", path.name)
    return owner.group().upper() if owner else path.stem


def _read(path: Path) -> list[tuple[str, _Part]]:
    """The symbols of a file with the columns of each.

    Raises:
        InvalidBars: it cannot be read.
    """
    try:
        table = _table(path)
        if "symbol" not in table.column_names:
            return [(_owner(path), _columns(table))]
        names = pc.unique(table["symbol"]).to_pylist()
        return [(str(name).upper(), _columns(table.filter(pc.equal(table["symbol"], name)))) for name in names]
    except (OSError, pa.ArrowException, zipfile.BadZipFile, KeyError, ValueError, IndexError) as error:
        raise InvalidBars(
            f"{path.name} cannot be read as hourly bars: {one_line(error)}. A Parquet or CSV file with open, high, "
            "low, close, volume and the UTC moment at which each hour opens was needed. Correct it, or move it away."
        ) from error


def _columns(table: pa.Table) -> _Part:
    numbers = {name: table[name].cast(pa.float64()).to_numpy() for name in (*PRICES, "volume")}
    return {"opened_at": _moments(table["opened_at"]), **numbers}


def _table(path: Path) -> pa.Table:
    name, content = path.name.lower(), path.read_bytes()
    if name.endswith(".parquet"):
        return _named(pyarrow.parquet.read_table(io.BytesIO(content)))
    if name.endswith(".zip"):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            content = archive.read(archive.namelist()[0])
    elif name.endswith(".gz"):
        content = pa.CompressedInputStream(io.BytesIO(content), "gzip").read()
    if content[:1].isdigit():
        width = content.split(b"\n", 1)[0].count(b",") + 1
        titles = [*_KLINES, *(f"column_{number}" for number in range(len(_KLINES), width))]
        return _named(
            pyarrow.csv.read_csv(io.BytesIO(content), read_options=pyarrow.csv.ReadOptions(column_names=titles))
        )
    return _named(pyarrow.csv.read_csv(io.BytesIO(content)))


def _named(table: pa.Table) -> pa.Table:
    """The same table with the names of our columns."""
    lower = [name.strip().lower().replace(" ", "_") for name in table.column_names]
    table = table.rename_columns(lower)
    moment = next((name for name in _OPENED_AT if name in lower), None)
    if moment is None:
        raise KeyError(f"no column of moments among {', '.join(lower)[:80]}")
    if "volume" not in lower:
        table = table.append_column("volume", pa.nulls(len(table), pa.float64()))
    return table.rename_columns(["opened_at" if name == moment else name for name in table.column_names])


def _in_order(symbol: str, parts: Sequence[_Part]) -> Bars:
    """The bars of some files in the order of time; where two have the same hour, the later file's counts."""
    columns = {name: np.concatenate([part[name] for part in parts]) for name in ("opened_at", *PRICES, "volume")}
    opened = columns["opened_at"]
    _, last = np.unique(opened[::-1], return_index=True)
    order = len(opened) - 1 - last
    closed_at: NDArray[np.datetime64] = np.add(opened[order], _HOUR)
    prices = {name: columns[name][order] for name in PRICES}
    return hourly_bars(symbol, closed_at, prices, columns["volume"][order])


def _moments(column: pa.ChunkedArray) -> NDArray[np.datetime64]:
    """Moments as datetime64[us], from stamps, texts, or the archive's milli- or microseconds."""
    found: NDArray[np.datetime64]
    if pa.types.is_integer(column.type):
        numbers = column.to_numpy().astype(np.int64)
        found = np.where(numbers < _MICROSECONDS, numbers * 1000, numbers).astype("datetime64[us]")
    else:
        if pa.types.is_string(column.type):
            column = pa.chunked_array([pa.array(pd.to_datetime(column.to_pylist(), utc=True).as_unit("us"))])
        found = column.cast(pa.timestamp("us")).to_numpy().astype("datetime64[us]")
    if len(found) and found.min() < _FIRST_MOMENT:
        raise ValueError(f"a moment of {found.min()} is no hour of a market")
    return found
