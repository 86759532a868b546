"""Market data in files: a folder of CSV and Parquet files, or one such file.

`SYMBOL.csv` and `SYMBOL.parquet`, in upper or lower case, hold one symbol. Every other file must have a symbol column
and may hold many symbols; it is opened only for symbols that have no file of their own.
"""

import csv
import difflib
import glob
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pandas as pd
from duckdb import ColumnExpression, ConstantExpression, StarExpression

from tickercast.domain.bars import Bars, Reading
from tickercast.domain.price_files import read_csv, read_frame
from tickercast.domain.symbols import parse_symbol
from tickercast.errors import InvalidBars, NoRecentBars, Permanent, UnknownSymbol, UsageError

_EXTENSIONS = (".csv", ".parquet")
_NAMED = 8  # symbols listed in a message


@dataclass(frozen=True)
class _Contents:
    """The contents of a file: all its symbols, and the bars of those that were asked for."""

    path: Path
    symbols: frozenset[str] = frozenset()
    reading: Reading = field(default_factory=Reading)
    error: InvalidBars | None = None


class Folder:
    """The daily bars in a folder's files; its subfolders are not read."""

    simulated = False

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def name(self) -> str:
        """The path, as given."""
        return str(self._path)

    def fetch(self, symbols: Sequence[str], first: date, last: date, *, advance: Callable[[int], None]) -> Reading:
        """Read only the files that can hold those symbols; see `ports.MarketData`."""
        files = self._files()
        own = {symbol: [file for file in files if file.stem.upper() == symbol] for symbol in symbols}
        others = [symbol for symbol in symbols if not own[symbol]]
        single = [file for file in files if others and _holds_one_symbol(file)]
        shared = [_open(file, others, first, last) for file in files if others and file not in single]
        series: dict[str, Bars] = {}
        failures: dict[str, Permanent] = {}
        for symbol in symbols:
            try:
                contents = [_open(file, [symbol], first, last) for file in own[symbol]] or shared
                bars = self._pick(symbol, contents, single)
                series[symbol] = self._in_range(bars, first, last)
            except Permanent as error:
                failures[symbol] = error
            advance(1)
        return Reading(series, failures)

    def symbols(self) -> list[str]:
        """All symbols that the files hold, sorted.

        Raises:
            UsageError: the folder does not exist, or holds no price file.
        """
        named: set[str] = set()
        for file in self._files():
            owner = _symbol_in_name(file)
            named |= {owner} if owner and _holds_one_symbol(file) else _open(file, [], date.min, date.min).symbols
        return sorted(named)

    def _files(self) -> list[Path]:
        if not self._path.exists():
            raise UsageError(
                f"The source {self._path} does not exist: a folder of .csv or .parquet files, or one such file, was "
                "needed. Check the path, or name another source: --source yahoo or --source sample."
            )
        try:
            candidates = sorted(self._path.iterdir()) if self._path.is_dir() else [self._path]
        except OSError as error:
            raise UsageError(
                f"The source {self._path} cannot be read: {error.strerror}. Check its permissions."
            ) from error
        files = [path for path in candidates if path.suffix.lower() in _EXTENSIONS]
        if not files:
            raise UsageError(f"The source {self._path} holds no .csv or .parquet file: one was needed. Check the path.")
        return files

    def _pick(self, symbol: str, contents: Sequence[_Contents], single: Sequence[Path]) -> Bars:
        holding = [content for content in contents if symbol in content.symbols]
        if len(holding) > 1:
            raise InvalidBars(
                f"{symbol} is in {holding[0].path.name} and in {holding[1].path.name}: one file was needed. "
                "Move one of them away."
            )
        if holding:
            return _bars(symbol, holding[0])
        for content in contents:
            if content.error:
                raise content.error
        raise self._unknown(symbol, contents, single)

    def _unknown(self, symbol: str, contents: Sequence[_Contents], single: Sequence[Path]) -> UnknownSymbol:
        named = {file.stem.upper() for file in single}
        known = sorted(named.union(*(content.symbols for content in contents)))
        close = difflib.get_close_matches(symbol, known, n=1)
        more = f" and {len(known) - _NAMED} more" if len(known) > _NAMED else ""
        return UnknownSymbol(
            f"{self._path} does not hold {symbol}: it has {', '.join(known[:_NAMED])}{more}. "
            + (f"Did you mean {close[0]}? " if close else "")
            + "Name one of those, or another source: --source yahoo or --source simulated."
        )

    def _in_range(self, bars: Bars, first: date, last: date) -> Bars:
        inside = bars.since(first).through(last)
        if not len(inside):
            raise NoRecentBars(
                f"{self._path} has {bars.symbol} from {bars.first} to {bars.cutoff}, and bars from "
                f"{first} to {last} were needed. Name a date in that range, or a source with other bars."
            )
        return inside


def _bars(symbol: str, content: _Contents) -> Bars:
    if symbol in content.reading.failures:
        raise InvalidBars(f"{content.path.name}: {content.reading.failures[symbol]}")
    return content.reading.bars[symbol]


def _open(path: Path, symbols: Sequence[str], first: date, last: date) -> _Contents:
    try:
        if path.suffix.lower() == ".csv":
            return _contents(path, read_csv(path.read_bytes(), symbol=_symbol_in_name(path)))
        with duckdb.connect() as connection:
            return _open_parquet(path, connection.read_parquet(glob.escape(str(path))), symbols, first, last)
    except (OSError, duckdb.Error, InvalidBars) as error:
        reason = " ".join(str(error).split())[:300]
        return _Contents(path, error=InvalidBars(f"{path.name} cannot be used: {reason}"))


def _open_parquet(
    path: Path, rows: duckdb.DuckDBPyRelation, symbols: Sequence[str], first: date, last: date
) -> _Contents:
    _refuse_zones(path, rows)
    column = _column(rows, "symbol")
    if column is None:
        frame = _rows_between(rows, first, last).df()
        return _contents(path, read_frame(rows.df() if frame.empty else frame, symbol=_symbol_in_name(path)))
    rows = rows.select(StarExpression(exclude=[column]), ColumnExpression(column).cast("VARCHAR").alias(column))
    spellings = [text for (text,) in rows.select(ColumnExpression(column)).distinct().fetchall() if text]
    wanted = [text for text in spellings if text.strip().upper() in symbols]
    if not wanted:
        return _Contents(path, frozenset(text.strip().upper() for text in spellings))
    frame = _rows_between(_rows_of(rows, column, wanted), first, last).df()
    absent = set(wanted) - set(frame[column])
    if absent:  # all of their rows, since a message names their first and last date
        frame = pd.concat([frame, _rows_of(rows, column, absent).df()])
    return _contents(path, read_frame(frame), spellings)


def _refuse_zones(path: Path, rows: duckdb.DuckDBPyRelation) -> None:
    # Parquet stores only the instant, and in summer midnight in London is the day before in UTC.
    column = _column(rows, "date")
    if column is not None and "TIME ZONE" in str(rows.types[rows.columns.index(column)]):
        raise InvalidBars(
            f"{column} is a timestamp with a time zone, whose day Parquet does not keep: plain "
            "dates were needed. Write them with tz_localize(None)"
        )


def _contents(path: Path, reading: Reading, spellings: Iterable[str] = ()) -> _Contents:
    symbols = {text.strip().upper() for text in spellings}
    return _Contents(path, frozenset(symbols.union(reading.bars, reading.failures)), reading)


def _rows_of(rows: duckdb.DuckDBPyRelation, column: str, spellings: Iterable[str]) -> duckdb.DuckDBPyRelation:
    return rows.filter(ColumnExpression(column).isin(*map(ConstantExpression, spellings)))


def _rows_between(rows: duckdb.DuckDBPyRelation, first: date, last: date) -> duckdb.DuckDBPyRelation:
    column = _column(rows, "date")
    if column is None or not str(rows.types[rows.columns.index(column)]).startswith(("DATE", "TIMESTAMP")):
        return rows
    dates = ColumnExpression(column)
    return rows.filter((dates >= ConstantExpression(first)) & (dates < ConstantExpression(last + timedelta(days=1))))


def _column(rows: duckdb.DuckDBPyRelation, name: str) -> str | None:
    return next((title for title in rows.columns if title.strip().lower() == name), None)


def _symbol_in_name(path: Path) -> str | None:
    try:
        return parse_symbol(path.stem)
    except UsageError:
        return None


def _holds_one_symbol(path: Path) -> bool:
    # The first row decides. An unreadable file counts as shared, so that opening it reports the error.
    owner = _symbol_in_name(path)
    try:
        first = _first_symbol_in_csv(path) if path.suffix.lower() == ".csv" else _first_symbol_in_parquet(path)
    except (OSError, ValueError, csv.Error, duckdb.Error):
        return False
    return owner is not None and first in (None, owner)


def _first_symbol_in_csv(path: Path) -> str | None:
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.reader(file)
        titles = [title.strip().lower() for title in next(rows, [])]
        row = next(rows, [])
    return row[titles.index("symbol")].strip().upper() if "symbol" in titles and len(row) == len(titles) else None


def _first_symbol_in_parquet(path: Path) -> str | None:
    with duckdb.connect() as connection:
        rows = connection.read_parquet(glob.escape(str(path)))
        column = _column(rows, "symbol")
        found = rows.select(ColumnExpression(column)).limit(1).fetchall() if column else []
    return str(found[0][0]).strip().upper() if found else None
