"""Files that are made to cost the function as much time or memory as they can, each of any size.

`bench_serving` measures them at the largest size that is read, and `tests/security` sends small ones.
"""

import gzip
import io
import itertools
import string
from collections.abc import Callable, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

AS_OF = "2023-07-21"
"""The last session of the bars, and the date that their names state."""

_TITLES = "Symbol,Date,Open,High,Low,Close\n"
_ROWS = 1_330_000  # as many as are read of the largest file


_SYMBOLS = 5_000  # as many as are read
_BAR = f"{AS_OF},1.00000,1.00000,1.00000,1.00000\n"  # 43 bytes: with a symbol as many as a row has at least


def _days(count: int) -> np.ndarray:
    return np.arange(np.datetime64(AS_OF) - count + 1, np.datetime64(AS_OF) + 1)


def _symbols(count: int) -> list[str]:
    letters = string.ascii_uppercase
    words = map("".join, itertools.product(letters, repeat=4))
    return [word for word, _ in zip(words, range(count), strict=False)]


def _filled(head: str, line: str, size: int) -> bytes:
    return (head + line * (size // len(line.encode()))).encode()


def _parquet(columns: Mapping[str, object], **options: object) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table(dict(columns)), file, **options)
    return file.getvalue()


def one_row_symbols(size: int) -> bytes:
    """As many symbols as there are rows."""
    row = f"{{}},{_BAR}"
    names = itertools.product(string.ascii_uppercase, repeat=5)
    rows = (row.format("".join(name)) for name in names)
    return (_TITLES + "".join(itertools.islice(rows, size // len(row.format("AAAAA"))))).encode()


def other_calendar(size: int) -> bytes:
    """Symbols, each of which is refused since its exchange was closed on some days; no two have the same days."""
    days = [str(day) for day in _days(_ROWS // _SYMBOLS)]
    ends = (days[: 30 + number % (len(days) - 30)] for number in range(_SYMBOLS))
    rows = (f"{n},{day},10,12,9,11\n" for n, some in zip(_symbols(_SYMBOLS), ends, strict=True) for day in some)
    return (_TITLES + "".join(itertools.islice(rows, size // 29))).encode()


def bad_names(size: int) -> bytes:
    """Names that are no symbols, every one another."""
    rows = (f"[/{number % _SYMBOLS:04x}],{_BAR}" for number in range(size // 51))
    return (_TITLES + "".join(rows)).encode()


def ragged(size: int) -> bytes:
    """Rows that are shorter than the header, and so handled one by one."""
    return _filled(_TITLES, f"a,{'b' * 46}\n", size)


def notes(size: int) -> bytes:
    """Rows with one cell, which are left out one by one, as many as are left out."""
    bars = f"MSFT,{_BAR}" * (size // 70)
    return (_TITLES + ("a" * (size // 50_000) + "\n") * 10_000 + bars).encode()


def commas(size: int) -> bytes:
    """A thousand columns, all of them empty."""
    titles = "Date,Open,High,Low,Close," + ",".join(map(str, range(995))) + "\n"
    return _filled(titles, "," * 999 + "\n", min(size, 15_900_000))


def one_row(size: int) -> bytes:
    """One row of commas."""
    return (_TITLES + "," * size).encode()


def one_cell(size: int) -> bytes:
    """One cell in quotes."""
    return (_TITLES + f'MSFT,{AS_OF},1,1,1,"' + "9" * size + '"\n').encode()


def short_rows(size: int) -> bytes:
    """As many rows as there can be, all of one day."""
    return _filled("Date,Open,High,Low,Close\n", "1,1,1,1,1\n", min(size, 10 * _ROWS))


def repeats(size: int) -> bytes:
    """The same bar again and again."""
    return _filled("Date,Open,High,Low,Close\n", f"{AS_OF},1,1,1,1\n", min(size, 19 * _ROWS))


def dates(size: int) -> bytes:
    """As many different dates as are read, none of which is one."""
    rows = (f"x{number % 100_000:07x} Jan,1,1,1,1\n" for number in range(min(size // 21, _ROWS)))
    return ("Date,Open,High,Low,Close\n" + "".join(rows)).encode()


def moments(size: int) -> bytes:
    """Bars of every minute, as many as there can be different ones."""
    count = min(size // 56, 99_000)
    first = np.datetime64(AS_OF, "s") - np.timedelta64(60 * count, "s")
    texts = np.datetime_as_string(first + 60 * np.arange(count)).tolist() * (size // 56 // count)
    return ("Date,Open,High,Low,Close\n" + "".join(f"{text},{_BAR[11:]}" for text in texts)).encode()


def quoted(size: int) -> bytes:
    """Every cell in quotes, with a decimal comma."""
    line = f'"MSFT","{AS_OF}","1,100","1,200","1,000","1,1"\n'
    return _filled(_TITLES, line, size)


def one_emoji(size: int) -> bytes:
    """Plain text but for one letter, which makes Python keep four bytes for each."""
    return _filled(_TITLES, f"MSFT,{_BAR}", size) + "\U0001f4c8,,,,,\n".encode()


def utf_16(size: int) -> bytes:
    """The other encoding that is read."""
    return (_TITLES + f"MSFT,{_BAR}" * (size // 96)).encode("utf-16")


def gzip_bomb(size: int) -> bytes:
    """A file that is a thousand times as large unpacked."""
    return gzip.compress(_filled(_TITLES, f"MSFT,{_BAR}", min(size * 16, 1_000_000_000)), 9)


def gzip_full(size: int) -> bytes:
    """A file as large unpacked as one is that is sent plain."""
    return gzip.compress(_filled(_TITLES, f"MSFT,{_BAR}", size), 1)


def parquet_symbols(size: int) -> bytes:
    """As many symbols as a Parquet file of so many rows can hold."""
    count = min(size // 8, _ROWS)
    ones = np.ones(count)
    names = [f"S{number:x}" for number in range(count)]
    days = pa.array(np.full(count, np.datetime64(AS_OF)))
    return _parquet({"Symbol": names, "Date": days} | dict.fromkeys(("Open", "High", "Low", "Close"), ones))


def parquet_constant(size: int) -> bytes:
    """A Parquet file of a few kilobytes with as many rows as are read."""
    count = min(size, _ROWS)
    ones = np.ones(count)
    words = pa.DictionaryArray.from_arrays(np.zeros(count, np.int32), ["MSFT"])
    days = pa.array(np.full(count, np.datetime64(AS_OF)))
    columns = ("Open", "High", "Low", "Close", "Adj Close", "Volume")
    return _parquet({"Symbol": words, "Date": days} | dict.fromkeys(columns, ones), compression="zstd")


def parquet_texts(size: int) -> bytes:
    """Prices as texts of ten thousand letters, which a dictionary makes small."""
    count = min(size // 4, _ROWS)
    words = pa.DictionaryArray.from_arrays(np.zeros(count, np.int32), ["9" * 10_000])
    days = pa.array(np.full(count, np.datetime64(AS_OF)))
    return _parquet({"Date": days} | dict.fromkeys(("Open", "High", "Low", "Close"), words), compression="zstd")


def parquet_columns(size: int) -> bytes:
    """A Parquet file that is nothing but titles."""
    count = size // 320
    return _parquet({f"c{number}": pa.array([1]) for number in range(count)})


def parquet_groups(size: int) -> bytes:
    """A Parquet file of row groups of one row."""
    count = max(size // 1100, 1)
    ones = np.ones(count)
    days = pa.array(np.full(count, np.datetime64(AS_OF)))
    return _parquet({"Date": days} | dict.fromkeys(("Open", "High", "Low", "Close"), ones), row_group_size=1)


def real(size: int) -> bytes:
    """Bars as they should be: three years of each symbol."""
    from tickercast.domain.calendar import session_days

    days = session_days("MSFT", np.datetime64(AS_OF) - 1095, np.datetime64(AS_OF))
    texts = [str(day) for day in days]
    moves = np.exp(np.cumsum(np.random.default_rng(1).normal(0, 0.01, len(days))))
    bars = [f"{day},{c:.4f},{c * 1.01:.4f},{c * 0.99:.4f},{c:.4f}" for day, c in zip(texts, 100 * moves, strict=True)]
    rows = (f"{name},{bar}\n" for name in _symbols(456_976) for bar in bars)
    return (_TITLES + "".join(itertools.islice(rows, size // 53))).encode()


def real_parquet(size: int) -> bytes:
    """The same in Parquet, of as many symbols as are read, or fewer."""
    from tickercast.domain.files.price_files import read_prices, to_parquet

    reading = read_prices(real(min(size, 200_000)))
    first = next(iter(reading.bars.values()))
    count = min(_ROWS // len(first), max(size // (len(first) * 48), 1))
    series = [type(first)(name, first.columns) for name in _symbols(count)]
    return to_parquet(series)


SHAPES: Mapping[str, Callable[[int], bytes]] = {
    made.__name__: made
    for made in (
        one_row_symbols,
        other_calendar,
        bad_names,
        ragged,
        notes,
        commas,
        one_row,
        one_cell,
        short_rows,
        repeats,
        dates,
        moments,
        quoted,
        one_emoji,
        utf_16,
        gzip_bomb,
        gzip_full,
        parquet_symbols,
        parquet_constant,
        parquet_texts,
        parquet_columns,
        parquet_groups,
        real,
        real_parquet,
    )
}
"""Each makes a file of about so many bytes, or a smaller one that costs as much."""

SINGLE = frozenset(
    {"commas", "short_rows", "repeats", "dates", "moments", "parquet_texts", "parquet_columns", "parquet_groups"}
)
"""The shapes without a column of symbols, whose name has to be one."""
