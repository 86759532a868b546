r"""Price files: CSV and Parquet, one symbol or many, from and to bytes.

>>> text = b"Date,Open,High,Low,Close\n2023-07-20,10,12,9,11\n2023-07-21,11,13,10,12\n"
>>> bars = read_prices(text, symbol="MSFT").bars["MSFT"]
>>> bars.cutoff
datetime.date(2023, 7, 21)
>>> read_prices(to_parquet([bars])).bars["MSFT"].last_close
12.0
"""

from collections.abc import Collection, Sequence

from tickercast.domain.bars import Reading
from tickercast.domain.files import price_csv, price_parquet
from tickercast.domain.files.price_arrow import Asked, read_frame
from tickercast.domain.files.price_containers import decoded, is_parquet, unpacked
from tickercast.domain.files.price_csv import head, to_csv
from tickercast.domain.files.price_limits import LARGEST
from tickercast.domain.files.price_parquet import to_parquet
from tickercast.domain.files.price_rows import WHOLE, Window
from tickercast.domain.frequency import DAILY, Frequency
from tickercast.domain.spelling import in_yahoos_spelling
from tickercast.domain.text import shown
from tickercast.errors import InvalidBars, UsageError

__all__ = [
    "ENDINGS",
    "OTHER_ENDINGS",
    "Window",
    "check_one_symbol",
    "first_lines",
    "first_symbol",
    "last_symbol",
    "name_without_ending",
    "of_others",
    "read_frame",
    "read_prices",
    "to_csv",
    "to_parquet",
]

ENDINGS = (".csv.gz", ".csv.zip", ".csv", ".parquet", ".zip", ".gz")
"""The endings of files of prices; what a file is, its content says."""

OTHER_ENDINGS = (".txt", ".tsv", ".xlsx", ".xls")
"""The endings of files that may be prices, and may be anything else."""


_A_LOOK = 4000  # bytes


def read_prices(
    data: bytes,
    *,
    symbol: str = "",
    symbols: Collection[str] | None = None,
    window: Window = WHOLE,
    largest: int = LARGEST,
    frequency: Frequency = DAILY,
) -> Reading:
    """Read a file by its content, whatever its name: CSV, also in gzip or zip, or Parquet.

    Args:
        data: the file.
        symbol: the file's name without its ending, which is the symbol where no column names it.
        symbols: the symbols that are wanted; None: all.
        window: the bars that are used, and so judged; by default three years up to the last bar of each symbol.
        largest: bytes that the file may have unpacked, on which other limits depend; see `price_limits`.
        frequency: the frequency of the bars; bars of hours are stamped with the moment at which each opens, in UTC
            unless they name a zone.

    Returns:
        The valid bars by symbol, the findings about them, and the reason for each other symbol.

    Raises:
        InvalidBars: nothing in the file can be used.
    """
    data = unpacked(data, largest)
    if is_parquet(data):
        return price_parquet.read_parquet(data, Asked(symbol, symbols, window, largest, ".parquet", frequency))
    return price_csv.read_csv(data, Asked(symbol, symbols, window, largest, frequency=frequency))


def first_symbol(data: bytes) -> str | None:
    """The first symbol that a file names itself, in a column or in its titles; None if it names none.

    Raises:
        InvalidBars: the data is no file of prices.
    """
    data = unpacked(data)
    return _spelt(price_parquet.first_symbol(data) if is_parquet(data) else price_csv.first_symbol(data))


def last_symbol(data: bytes) -> str | None:
    """The last symbol that a file names itself, another than the first where it names several; None if it names none.

    Raises:
        InvalidBars: the data is no file of prices.
    """
    data = unpacked(data)
    return _spelt(price_parquet.last_symbol(data) if is_parquet(data) else price_csv.last_symbol(data))


def check_one_symbol(data: bytes, given: str) -> None:
    """Check that a file for which a symbol is given does not name several itself.

    Raises:
        UsageError: the file names several.
        InvalidBars: the data is no file of prices.
    """
    first, last = first_symbol(data), last_symbol(data)
    if first and last and first != last:
        raise of_others([first, last], given)


def of_others(held: Sequence[str], given: str) -> UsageError:
    """The error of a file, or a table, that holds other symbols than the one that was given for it."""
    some = " and ".join(shown(symbol, 40) for symbol in held[:2])
    seen = f"several symbols, such as {some}" if held[1:] else some
    return UsageError(
        f"The file holds {seen}, and {given} was given for it: a file of one symbol was needed. Give no symbol, or a "
        f"file of {given} alone."
    )


def _spelt(found: str | None) -> str | None:
    return in_yahoos_spelling(found.upper()) if found else None


def first_lines(data: bytes, count: int) -> list[str]:
    """The first lines of any file, to be looked at; those of Parquet as CSV would have them, none if it is damaged."""
    try:
        data = unpacked(data)
        text = price_parquet.first_rows(data, count - 1) if is_parquet(data) else head(decoded(data))
    except InvalidBars:
        text = data[:_A_LOOK].decode(errors="replace")
    return text.splitlines()[:count]


def name_without_ending(file_name: str) -> str:
    """A file's name without its ending.

    >>> name_without_ending("VOD.L.csv.gz"), name_without_ending("VOD.L")
    ('VOD.L', 'VOD.L')
    """
    ending = next((ending for ending in (*ENDINGS, *OTHER_ENDINGS) if file_name.lower().endswith(ending)), "")
    return file_name[: len(file_name) - len(ending)]
