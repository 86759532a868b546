"""The contract of a price file: which rows are bars, and in which words the others are refused.

Files and tables of any kind come here as `Rows`, all symbols at once: a file of hundreds costs little more than the
longest of its columns.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tickercast.domain.bars import BAR_COLUMNS, Bars, Reading
from tickercast.domain.symbols import parse_symbol
from tickercast.errors import InvalidBars, Permanent

Numbers = NDArray[np.intp]
Mask = NDArray[np.bool_]

PRICES = ("open", "high", "low", "close")

TITLES = {
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
"""The titles of the columns that are read and written, as Yahoo spells them."""

SIMULATED = "simulated"
"""The word in the column Source of bars that were generated."""

_YEARS = (1900, 2100)
_FIRST_DAY, _LAST_DAY = np.datetime64(f"{_YEARS[0]}-01-01"), np.datetime64(f"{_YEARS[1]}-12-31")
_WIDEST = 1e15  # between the lowest and the highest price: more cannot be a series of prices
_ROUNDING = 1e-4


@dataclass(frozen=True)
class Rows:
    """The rows of a file, in its order; each array is `(rows,)`.

    Attributes:
        numbers: the number of each row's symbol.
        names: the symbols, numbered from 0 on.
        columns: `session_date` and prices, and where the file has them `adj_close` and `volume`; a value that cannot be
            read is NaT or NaN.
        empty: for the two columns that may be empty, which of their values are.
        simulated: the rows that are marked as simulated.
        cell: the text of a value, by its column and row, to be quoted.
    """

    numbers: Numbers
    names: Sequence[str]
    columns: Mapping[str, NDArray[Any]]
    empty: Mapping[str, Mask]
    simulated: Mask
    cell: Callable[[str, int], str]


@dataclass(frozen=True)
class _Check:
    """A rule of the contract: the rows that break it, and the message about a symbol and its bad rows."""

    bad: Mask
    say: Callable[[str, Numbers], InvalidBars]


def read_rows(rows: Rows) -> Reading:
    """Read the bars of every symbol; the first rule that a symbol breaks is the reason why it is refused."""
    columns = _completed(rows)
    order = _order(rows.numbers, columns["session_date"])
    with np.errstate(over="ignore", invalid="ignore"):
        checks = [check for check in _checks(rows, columns, order) if check.bad.any()]
    if order is not None:
        columns = {name: values[order] for name, values in columns.items()}
    count = len(rows.names)
    ends = np.cumsum(np.bincount(rows.numbers, minlength=count)).tolist()
    simulated = _having(rows.numbers, rows.simulated, count)
    broken = np.logical_or.reduce([np.zeros(count, bool), *(_having(rows.numbers, one.bad, count) for one in checks)])
    series: dict[str, Bars] = {}
    failures: dict[str, Permanent] = {}
    for number, (name, start, end) in enumerate(zip(rows.names, [0, *ends], ends, strict=False)):
        try:
            symbol = parse_symbol(name)
            if broken[number]:
                own_rows = np.arange(start, end) if order is None else np.sort(order[start:end])
                raise _first_failure(symbol, own_rows, checks)
        except Permanent as error:
            failures[shown(name, 40)] = error
        else:
            own = {column: values[start:end] for column, values in columns.items()}
            series[symbol] = Bars(symbol, own, bool(simulated[number]))
    return Reading(series, failures)


def numbered(codes: NDArray[np.integer[Any]], spellings: Iterable[object]) -> tuple[Numbers, list[str]]:
    """Number the symbols in the order in which they appear: −1 for a row without any, and the symbols.

    Args:
        codes: the number of each row's spelling, −1 for none.
        spellings: as the file has them; several may be one symbol.
    """
    stripped = [str(spelling).strip() for spelling in spellings]
    # Upper case changes some letters into others, and one symbol must not become another: mſft is not MSFT.
    symbols, names = pd.factorize(np.array([name.upper() if name.isascii() else name for name in stripped], object))
    numbers, appearing = pd.factorize(np.append(symbols, -1)[codes], use_na_sentinel=False)
    absent = np.flatnonzero(appearing == -1)
    if len(absent):  # a gap in the numbers is closed
        numbers = np.where(numbers == absent[0], -1, numbers - (numbers > absent[0]))
        appearing = np.delete(appearing, absent)
    return numbers, [str(names[code]) for code in appearing]


def column_name(title: object) -> str:
    """The name of the column with a title, whose case, spaces and underscores do not matter.

    >>> column_name("Adj Close"), column_name("DATE"), column_name("Dividends")
    ('adj_close', 'session_date', 'dividends')
    """
    name = re.sub(r"[ _]+", "_", str(title).strip().lower())
    return {"date": "session_date", "adjclose": "adj_close"}.get(name, name)


def check_columns(names: Sequence[str], symbol: str | None) -> None:
    """Refuse a file in which a needed column is missing, or one that is read is there twice.

    Raises:
        InvalidBars: in the titles of the file.
    """
    needed = ["session_date", *PRICES] + ([] if symbol else ["symbol"])
    missing = [TITLES[name] for name in needed if name not in names]
    if missing:
        raise InvalidBars(
            f"The file has no column {', '.join(missing)}{_separator(names)}: Date, Open, High, Low, Close were "
            "needed, and Symbol unless the object is named SYMBOL.csv. "
            f"It has {shown(', '.join(names[:12]), 200) or 'none'}."
        )
    doubled = [name for number, name in enumerate(names) if name in TITLES and name in names[:number]]
    if doubled:
        raise InvalidBars(f"The file has more than one column {TITLES[doubled[0]]}: one was needed.")


def shown(seen: object, longest: int) -> str:
    """Text from a file, safe to quote: nothing in it moves a terminal's cursor or reverses text."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in str(seen)[:longest])


def _separator(names: Sequence[str]) -> str:
    title = names[0] if len(names) == 1 else ""
    seen = next((words for mark, words in ((";", "semicolons"), ("\t", "tabs"), ("|", "bars")) if mark in title), None)
    return f", and seems to be separated by {seen} instead of commas" if seen else ""


def _completed(rows: Rows) -> dict[str, NDArray[Any]]:
    """The columns `BAR_COLUMNS`: a symbol without any adjusted close has its close there."""
    columns = {name: rows.columns[name] for name in ("session_date", *PRICES)}
    columns["adj_close"] = columns["close"]
    if "adj_close" in rows.columns:
        adjusted = rows.columns["adj_close"]
        has_any = _having(rows.numbers, ~rows.empty["adj_close"], len(rows.names))[rows.numbers]
        columns["adj_close"] = adjusted if has_any.all() else np.where(has_any, adjusted, columns["close"])
    columns["volume"] = rows.columns.get("volume", np.full(len(rows.numbers), np.nan))
    return {name: columns[name] for name in BAR_COLUMNS}


def _order(numbers: Numbers, days: NDArray[np.datetime64]) -> Numbers | None:
    """The order by symbol and date; None if the rows have it."""
    step = np.diff(numbers)
    if ((step > 0) | ((step == 0) & (np.diff(days) >= np.timedelta64(0, "D")))).all():
        return None
    return np.lexsort((days, numbers))


def _having(numbers: Numbers, rows: Mask, count: int) -> Mask:
    """Which of `count` symbols have any of the rows."""
    found = np.zeros(count, bool)
    found[numbers[rows]] = True
    return found


def _first_failure(symbol: str, own: Numbers, checks: Iterable[_Check]) -> InvalidBars:
    check = next(check for check in checks if check.bad[own].any())
    return check.say(symbol, own[check.bad[own]])


def _checks(rows: Rows, columns: Mapping[str, NDArray[Any]], order: Numbers | None) -> Iterator[_Check]:
    """The rules of the contract, in the order in which their breaches are reported."""
    days, low, high, close = (columns[name] for name in ("session_date", "low", "high", "close"))

    def invalid(column: str, seen: str, needed: str) -> Callable[[str, Numbers], InvalidBars]:
        def say(symbol: str, bad: Numbers) -> InvalidBars:
            day = shown(rows.cell("session_date", bad[0]), 20)
            return InvalidBars(
                f"{symbol}: {TITLES[column]} {rows.cell(column, bad[0])[:40]!r} of {day} {seen} "
                f"({len(bad)} such row(s)): {needed}. Correct the file and send it again."
            )

        return say

    def doubled(symbol: str, bad: Numbers) -> InvalidBars:
        return InvalidBars(
            f"{symbol} has {len(bad)} duplicate date(s), first {days[bad[0]]}: "
            "one bar a session was needed. Remove the duplicate rows."
        )

    def unscaled(symbol: str, bad: Numbers) -> InvalidBars:
        return InvalidBars(
            f"{symbol} ranges from {low[bad].min():g} to {high[bad].max():g}: prices of one scale were needed. "
            "Correct the file."
        )

    yield _Check(np.isnat(days), invalid("session_date", "is not a date", "YYYY-MM-DD was needed"))
    years = "a year from {} to {} was needed".format(*_YEARS)
    yield _Check((days < _FIRST_DAY) | (days > _LAST_DAY), invalid("session_date", "is no session", years))
    yield _Check(_doubled(rows.numbers, days, order), doubled)
    for name in (*PRICES, "adj_close"):
        bad = ~((columns[name] > 0) & (columns[name] < np.inf))
        yield _Check(bad, invalid(name, "is not a price", "a finite positive number was needed"))
    if "volume" in rows.columns:
        volume = columns["volume"]
        bad = ~((volume >= 0) & (volume < np.inf)) & ~rows.empty["volume"]
        yield _Check(bad, invalid("volume", "is not a volume", "a number from 0 on, or nothing, was needed"))
    lowest, highest = np.full(len(rows.names), np.inf), np.zeros(len(rows.names))
    np.minimum.at(lowest, rows.numbers, low)
    np.maximum.at(highest, rows.numbers, high)
    yield _Check((highest > _WIDEST * lowest)[rows.numbers], unscaled)
    slack = _ROUNDING * close
    lower, upper = np.minimum(columns["open"], close), np.maximum(columns["open"], close)
    bad = (low > lower + slack) | (high < upper - slack)
    yield _Check(bad, invalid("high", "does not fit the bar", "low ≤ open, close ≤ high was needed"))


def _doubled(numbers: Numbers, days: NDArray[np.datetime64], order: Numbers | None) -> Mask:
    """The rows whose symbol has a row of the same date before."""
    if order is None:
        again = (np.diff(numbers) == 0) & (np.diff(days) == np.timedelta64(0, "D"))
        return np.concatenate([[False], again])
    doubled = np.zeros(len(numbers), bool)
    again = (np.diff(numbers[order]) == 0) & (np.diff(days[order]) == np.timedelta64(0, "D"))
    doubled[order[1:][again]] = True
    return doubled
