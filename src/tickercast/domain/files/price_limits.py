"""The limits of a price file: whatever costs more is refused before the work is done.

A small file can hold hundreds of thousands of symbols, millions of rows, or texts that only a dictionary makes small.
Daily bars of thousands of symbols are far below these limits.
"""

from tickercast.domain.files import refusals
from tickercast.domain.frequency import DAILY, HOURLY, Frequency
from tickercast.errors import BeyondLimits

LARGEST = 256_000_000
"""Bytes of a file, unpacked; the function reads fewer."""

MOST_ROWS = 3_000_000
MOST_COLUMNS = 1_000

_BYTES_A_ROW = 48  # as a row of a symbol, a date and prices has: few bytes cannot stand for many rows
_CELLS_A_ROW = 12

MOST_SYMBOLS = 5_000
"""Symbols that are read from one file."""

MOST_NAMES = 50_000
"""Different texts in the column of symbols, of which those that are wanted may be few."""

MOST_DATES = {DAILY: 100_000, HOURLY: 300_000}
"""Different texts in the column of dates: more than any exchange has had sessions, or any coin hours."""

MOST_UNEVEN = 10_000
"""Rows that are longer or shorter than the header, each of which is read by itself."""

LARGEST_TEXT = 128_000_000
"""Bytes of the texts of all cells in the columns that are read."""


def check_rows(rows: int, columns: int, largest: int = LARGEST) -> None:
    """Check how many rows and cells there are.

    Args:
        rows: the number of rows in the file.
        columns: the number of columns of each row.
        largest: bytes of the largest file, on which it depends how many rows are read.

    Raises:
        BeyondLimits: more than are read.
    """
    most = min(MOST_ROWS, largest // _BYTES_A_ROW)
    if rows > most or rows * columns > most * _CELLS_A_ROW:
        places = {"most_rows": most, "most_cells": most * _CELLS_A_ROW}
        raise BeyondLimits(str(refusals.TOO_MANY_ROWS(rows=rows, columns=columns, **places)))


def check_symbols(count: int, most: int = MOST_SYMBOLS) -> None:
    """Check how many symbols there are.

    Raises:
        BeyondLimits: more than are read.
    """
    if count > most:
        raise BeyondLimits(str(refusals.TOO_MANY_SYMBOLS(count=count, most=MOST_SYMBOLS)))


def check_dates(count: int, column: str, frequency: Frequency) -> None:
    """Check how many different dates, or moments, there are.

    Raises:
        BeyondLimits: more than are read.
    """
    if count > (most := MOST_DATES[frequency]):
        bars, interval = ("daily", "day") if frequency.is_daily else ("hourly", "hour")
        error = refusals.TOO_MANY_DATES(column=column, count=count, most=most, bars=bars, interval=interval)
        raise BeyondLimits(str(error))


def check_text(size: int) -> None:
    """Check how long the texts of all cells are together, in bytes.

    Raises:
        BeyondLimits: longer than what is read.
    """
    if size > LARGEST_TEXT:
        raise BeyondLimits(str(refusals.TOO_MUCH_TEXT(size=size / 1e6, most=LARGEST_TEXT / 1e6)))
