r"""One symbol's daily bars, and the contract that a CSV of them must keep.

>>> text = b"Date,Open,High,Low,Close\n2023-07-20,10,12,9,11\n2023-07-21,11,13,10,12\n"
>>> history = read_csv(text, symbol="MSFT").histories["MSFT"]
>>> history.cutoff, history.last_close
(datetime.date(2023, 7, 21), 12.0)
>>> history.until(date(2023, 7, 20)).last_close
11.0
"""

import io
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta

import numpy as np
import pandas as pd

from tickercast.errors import InvalidBars, NoRecentBars, Permanent, UsageError

BAR_COLUMNS = ("session_date", "open", "high", "low", "close", "adj_close", "volume")
"""The columns of `History.bars`, in this order."""

STALE_AFTER = timedelta(days=7)
"""A last bar older than this before `as_of` is not a history to forecast from."""

SIMULATED = "simulated"
"""The one note that a history may carry: its bars are made up."""

_PRICES = ("open", "high", "low", "close")
_YEARS = (1900, 2100)
_WIDEST = 1e15  # between the lowest and the highest price: more is no history of prices
_BLANKS = ("", "nan", "null", "none", "<na>")
_ROUNDING = 1e-4
_DATE = re.compile(r"^\s*(\d{4}-?\d\d-?\d\d)(?:[T ]\d\d:\d\d\S*)?\s*$")
_SYMBOL = re.compile(r"[A-Z0-9^](?:[.=-]?[A-Z0-9^])*")
_LONGEST_SYMBOL = 20


def parse_symbol(text: str) -> str:
    """Checks a symbol as Yahoo spells it and returns it in upper case.

    >>> parse_symbol("brk-b")
    'BRK-B'

    Raises:
        UsageError: the text could not be a symbol (it may be a path, or SQL).
    """
    symbol = text.strip().upper()
    if not (text.isascii() and len(symbol) <= _LONGEST_SYMBOL and _SYMBOL.fullmatch(symbol)):
        raise UsageError(
            f"{text[:40]!r} is not a symbol: up to 20 letters, digits and single . - = ^ were needed, "
            "as Yahoo spells them (MSFT, BRK-B, VOD.L, ETH-USD)."
        )
    return symbol


@dataclass(frozen=True)
class History:
    """The daily bars of one symbol, oldest first, one a session.

    Attributes:
        symbol: the series, as Yahoo spells it.
        bars: columns `BAR_COLUMNS`; `session_date` is datetime64, prices are in the symbol's
            currency, `adj_close` equals `close` and `volume` is NaN where the source has none.
        source_note: `SIMULATED` where the bars are made up, else empty.
    """

    symbol: str
    bars: pd.DataFrame
    source_note: str = ""

    def __len__(self) -> int:
        return len(self.bars)

    @property
    def cutoff(self) -> date:
        """The last session: the forecast origin."""
        return _as_date(self.bars["session_date"].iloc[-1])

    @property
    def last_close(self) -> float:
        """The close at the cutoff, in the symbol's currency."""
        return float(self.bars["close"].iloc[-1])

    def until(self, as_of: date) -> "History":
        """The same history without what lies after `as_of`.

        Raises:
            NoRecentBars: nothing remains, or the last bar is older than `STALE_AFTER`.
        """
        known = self.bars[self.bars["session_date"] <= pd.Timestamp(as_of)]
        if known.empty:
            raise NoRecentBars(
                f"{self.symbol} has no bar on or before {as_of}: its first is of "
                f"{_as_date(self.bars['session_date'].iloc[0])}. Name a later date."
            )
        last = _as_date(known["session_date"].iloc[-1])
        if as_of - last > STALE_AFTER:
            raise NoRecentBars(
                f"{self.symbol} is stale: its last bar before {as_of} is of {last}, and one of the "
                f"{STALE_AFTER.days} days before was needed. Name a date up to {last + STALE_AFTER}, "
                "or a source with newer bars."
            )
        return History(self.symbol, known, self.source_note)

    def since(self, first: date) -> "History":
        """The same history without what lies before `first`; it may be empty."""
        return History(self.symbol, self.bars[self.bars["session_date"] >= pd.Timestamp(first)], self.source_note)


@dataclass(frozen=True)
class Reading:
    """What a file or a source gave: the good histories, and for each bad symbol the reason."""

    histories: Mapping[str, History] = field(default_factory=dict)
    failures: Mapping[str, Permanent] = field(default_factory=dict)


def read_csv(data: bytes, *, symbol: str | None = None) -> Reading:
    """Reads a CSV of the contract, which may hold many symbols.

    Header names match whatever their case, spaces or underscores; extra columns are ignored.

    Args:
        data: the file.
        symbol: the symbol of a file that has no `Symbol` column.

    Returns:
        The valid histories, and the reason for each symbol that is not.

    Raises:
        InvalidBars: nothing in the file can be used.
    """
    if b"\x00" in data:
        raise InvalidBars(
            "The file is binary: a CSV with the header Date,Open,High,Low,Close was needed. Send it as CSV."
        )
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
    return read_frame(frame[(frame != "").any(axis="columns")], symbol=symbol)


def read_frame(frame: pd.DataFrame, *, symbol: str | None = None) -> Reading:
    """Reads a table of bars with the CSV's columns; see `read_csv`.

    Raises:
        InvalidBars: a column is missing, or there is no row.
    """
    frame = frame.set_axis([_column_name(name) for name in frame.columns], axis="columns")
    _check_columns(frame, symbol)
    if frame.empty:
        raise InvalidBars("The file has a header and no bar: at least one row was needed.")
    if "symbol" not in frame:
        frame = frame.assign(symbol=symbol)
    histories: dict[str, History] = {}
    failures: dict[str, Permanent] = {}
    for name, rows in frame.groupby(frame["symbol"].astype(str).str.strip().str.upper(), sort=False):
        try:
            history = _history(parse_symbol(str(name)), rows)
        except Permanent as error:
            failures[str(name)[:40]] = error
        else:
            histories[history.symbol] = history
    return Reading(histories, failures)


def to_csv(histories: Iterable[History]) -> bytes:
    """Writes histories as one CSV of the contract, header first, in Yahoo's column names."""
    parts = [history.bars.assign(symbol=history.symbol, source=history.source_note or None) for history in histories]
    frame = pd.concat(parts).rename(columns=_TITLES)
    if frame["Source"].isna().all():
        frame = frame.drop(columns="Source")
    text: str = frame.to_csv(index=False, date_format="%Y-%m-%d", lineterminator="\n")
    return text.encode()


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


def _history(symbol: str, rows: pd.DataFrame) -> History:
    dates = pd.to_datetime(_exchange_dates(rows["session_date"]), errors="coerce", format="ISO8601")
    if dates.isna().any():
        raise _invalid(symbol, rows, dates.isna(), "session_date", "is not a date", "YYYY-MM-DD was needed")
    dates = dates.dt.tz_localize(None).dt.normalize().astype("datetime64[s]")
    outside = ~dates.dt.year.between(*_YEARS)
    if outside.any():
        raise _invalid(
            symbol, rows, outside, "session_date", "is no session", "a year from {} to {} was needed".format(*_YEARS)
        )
    duplicated = dates.duplicated()
    if duplicated.any():
        raise InvalidBars(
            f"{symbol} has {int(duplicated.sum())} duplicate date(s), first {_as_date(dates[duplicated].iloc[0])}: "
            "one bar a session was needed. Remove the doubled rows."
        )
    columns = {"session_date": dates} | {name: _prices(symbol, rows, name) for name in _PRICES}
    adjusted = "adj_close" in rows and not _blank(rows["adj_close"]).all()
    columns["adj_close"] = _prices(symbol, rows, "adj_close") if adjusted else columns["close"]
    columns["volume"] = _volumes(symbol, rows)
    bars = pd.DataFrame(columns)
    _check_order(symbol, rows, bars)
    note = SIMULATED if "source" in rows and rows["source"].eq(SIMULATED).any() else ""
    return History(symbol, bars.sort_values("session_date", ignore_index=True), note)


def _exchange_dates(dates: pd.Series) -> pd.Series:
    # Times of day go, and with them offsets, which differ between summer and winter and would not parse together.
    if pd.api.types.is_datetime64_any_dtype(dates):
        return dates
    return dates.astype(str).str.extract(_DATE, expand=False)


def _prices(symbol: str, rows: pd.DataFrame, name: str) -> pd.Series:
    values = pd.to_numeric(rows[name], errors="coerce").astype("float64")
    bad = ~(values.gt(0) & values.lt(np.inf))
    if bad.any():
        raise _invalid(symbol, rows, bad, name, "is not a price", "a finite positive number was needed")
    return values


def _volumes(symbol: str, rows: pd.DataFrame) -> pd.Series:
    if "volume" not in rows:
        return pd.Series(np.nan, index=rows.index)
    values = pd.to_numeric(rows["volume"], errors="coerce").astype("float64")
    bad = ~(values.ge(0) & values.lt(np.inf)) & ~_blank(rows["volume"])
    if bad.any():
        raise _invalid(symbol, rows, bad, "volume", "is not a volume", "a number from 0 on, or nothing, was needed")
    return values


def _blank(values: pd.Series) -> pd.Series:
    return values.astype(str).str.strip().str.lower().isin(_BLANKS)


def _check_order(symbol: str, rows: pd.DataFrame, bars: pd.DataFrame) -> None:
    lowest, highest = bars["low"].min(), bars["high"].max()
    if highest > _WIDEST * lowest:
        raise InvalidBars(
            f"{symbol} ranges from {lowest:g} to {highest:g}: prices of one scale were needed. Mend the file."
        )
    slack = _ROUNDING * bars["close"]
    body = bars[["open", "close"]]
    bad = (bars["low"] > body.min(axis=1) + slack) | (bars["high"] < body.max(axis=1) - slack)
    if bad.any():
        raise _invalid(symbol, rows, bad, "high", "does not fit the bar", "low ≤ open, close ≤ high was needed")


def _invalid(symbol: str, rows: pd.DataFrame, bad: pd.Series, column: str, seen: str, needed: str) -> InvalidBars:
    first = rows[bad].iloc[0]
    return InvalidBars(
        f"{symbol}: {_TITLES[column]} {str(first[column])[:40]!r} of {str(first['session_date'])[:20]} {seen} "
        f"({int(bad.sum())} such row(s)): {needed}. Mend the file and send it again."
    )


def _check_columns(frame: pd.DataFrame, symbol: str | None) -> None:
    needed = ["session_date", *_PRICES] + ([] if symbol else ["symbol"])
    missing = [_TITLES[name] for name in needed if name not in frame]
    if missing:
        raise InvalidBars(
            f"The file has no column {', '.join(missing)}{_separator(frame)}: Date, Open, High, Low, Close were "
            "needed, and Symbol unless the object is named SYMBOL.csv. "
            f"It has {', '.join(map(str, frame.columns[:12]))[:200] or 'none'}."
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
    return " ".join(str(error).split())[:160]
