r"""Price files: CSV and Parquet, one symbol or many, from and to bytes.

>>> text = b"Date,Open,High,Low,Close\n2023-07-20,10,12,9,11\n2023-07-21,11,13,10,12\n"
>>> bars = read_prices(text, symbol="MSFT").bars["MSFT"]
>>> bars.cutoff
datetime.date(2023, 7, 21)
>>> read_prices(to_parquet([bars])).bars["MSFT"].last_close
12.0
"""

from tickercast.domain.bars import Reading
from tickercast.domain.price_csv import read_csv, to_csv
from tickercast.domain.price_parquet import first_rows, is_parquet, read_parquet, to_parquet
from tickercast.domain.price_tables import read_frame

__all__ = ["first_lines", "read_csv", "read_frame", "read_prices", "to_csv", "to_parquet"]

_A_LOOK = 4000  # bytes


def read_prices(data: bytes, *, symbol: str | None = None) -> Reading:
    """Read a file, as CSV or Parquet by its first bytes, whatever its name.

    Args:
        data: the file.
        symbol: the symbol of a file that has no `Symbol` column.

    Returns:
        The valid bars by symbol, and the reason for each other symbol.

    Raises:
        InvalidBars: nothing in the file can be used.
    """
    return (read_parquet if is_parquet(data) else read_csv)(data, symbol=symbol)


def first_lines(data: bytes, count: int) -> list[str]:
    """The first lines of any file, to be looked at; those of Parquet as CSV would have them, none if it is damaged."""
    text = first_rows(data, count - 1) if is_parquet(data) else data[:_A_LOOK].decode(errors="replace")
    return text.splitlines()[:count]
