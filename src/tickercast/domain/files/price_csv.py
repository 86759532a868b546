"""CSV files of bars, as people have them and as single symbols are sent."""

import csv
import functools
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from tickercast.domain.bars import Bars, Reading
from tickercast.domain.files import refusals
from tickercast.domain.files.price_arrow import TERMS, Asked, as_table, read_columns
from tickercast.domain.files.price_containers import decoded
from tickercast.domain.files.price_limits import MOST_COLUMNS, MOST_UNEVEN, check_rows
from tickercast.domain.files.price_numbers import may_be_in_one_group
from tickercast.domain.files.price_titles import PRICES, TITLES, Part, column_of, known, layout, stacked
from tickercast.domain.findings import NOTHING_FOUND, Findings
from tickercast.domain.text import one_line, shown
from tickercast.errors import BeyondLimits, InvalidBars

_SEPARATORS = (",", ";", "\t", "|")
_BEFORE = 20  # lines that may stand before the header
_HEAD = 64_000  # bytes in which the header is looked for
_LONGEST_ROW = 1_000_000  # bytes
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n|$)")
_NUMBERS = (*PRICES, "adj_close", "volume")
_TAIL, _ENOUGH = 1 << 20, 20  # bytes, and cells of a symbol, with which the last one is compared
_REPEATED = ("session_date", "symbol", "source", "findings")
_KINDS = dict.fromkeys(_REPEATED, TERMS) | dict.fromkeys(_NUMBERS, pa.float64())
_KLINE = ("open time", "open", "high", "low", "close", "volume", "close time")
_BARS = ("date", "open", "high", "low", "close", "volume")
_NUMBER = r"[-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?"
_IS_NUMBER = re.compile(rf"\s*{_NUMBER}\s*").fullmatch
_IS_VALUE = re.compile(r"\s*[$€£]?[-+]?\d[\d.,]*\s*").fullmatch
_EVENT = re.compile(r"\b(?:dividends?|(?:stock )?splits?|capital gains?|distributions?)\W*$", re.IGNORECASE)
_KLINES = 12  # columns of Binance's, the seventh of which is the moment at which each closes
_SAMPLED, _AS_A_PRICE = 200, 0.05  # rows; and the logarithm by which a share of the close moves, or lies above it
_DAY, _EPOCH = re.compile(r"\d{4}[-./]\d\d[-./]\d\d.*|\d{8}"), re.compile(r"\d{10}|\d{13}|\d{16}")


@dataclass(frozen=True)
class Header:
    """The beginning of a CSV.

    Attributes:
        separator: the separator between its cells.
        parts: the parts of its columns.
        width: the number of its titles.
        start: the place of the first bar, in bytes.
    """

    separator: str
    parts: Sequence[Part]
    width: int
    start: int


def read_csv(data: bytes, asked: Asked) -> Reading:
    """Read a CSV; see `price_files.read_prices`.

    Raises:
        InvalidBars: nothing in the file can be used.
    """
    check_rows(_line_count(data), len(PRICES), asked.largest)
    if data.rstrip(b"\0")[-1:] not in (b"\r", b"\n"):
        _check_end(decoded(data), asked.symbol)
    reading = _faultless(data, asked)
    if reading is not None:
        return reading
    pa.system_memory_pool().release_unused()  # the memory that the first attempt has left
    text = decoded(data)
    header = read_header(head(text), asked.symbol)
    table = _body(text, header, asked.largest)
    pa.system_memory_pool().release_unused()
    may_have_commas = header.separator != "," or text.find(b'"', header.start) >= 0
    return read_columns([(part, table) for part in header.parts], asked, may_have_commas=may_have_commas)


def _check_end(text: bytes, symbol: str | None) -> None:
    """Refuse a text without a line end whose last cell may be cut off.

    That is a number, date or time shorter than all others of its symbol, or the beginning of a symbol without a bar of
    the last row's date.

    Raises:
        InvalidBars: the number may be cut off, or the text has no header of prices.
    """
    header = read_header(head(text), symbol)
    *lines, end = text[max(header.start, len(text) - _TAIL) :].decode(errors="replace").splitlines() or [""]
    last = end.split(header.separator)
    at = len(last) - 1
    part, column = next(
        ((part, name) for part in header.parts for name, place in part.columns.items() if place == at), (None, "")
    )
    if part is None or '"' in end:
        return
    name, cell = part.columns.get("symbol", 0), last[at].strip()
    rows = [row for row in (line.split(header.separator) for line in lines) if len(row) == len(last)]
    if column == "symbol":
        day = part.columns["session_date"]
        of_the_day = {row[at].strip() for row in rows if row[day] == last[day]}
        seen = [row[at].strip() for row in rows]
        whole = next((each for each in reversed(seen) if each.startswith(cell) and each not in of_the_day), "")
        if whole and cell not in seen:
            raise refusals.CUT_OFF_SYMBOL(row=shown(end, 60), cell=shown(cell, 40), whole=shown(whole, 40))
    elif column in ("session_date", "time") or re.fullmatch(_NUMBER, cell):
        of_symbol = [row for row in rows if "symbol" not in part.columns or row[name] == last[name]]
        lengths = [len(row[at].strip()) for row in of_symbol if row[at].strip()]
        if len(lengths) >= _ENOUGH and len(cell) < min(lengths):
            raise refusals.CUT_OFF(row=shown(end, 60), cell=cell)


def first_symbol(data: bytes) -> str | None:
    """The first symbol that a CSV names itself, by its beginning; None if it names none.

    Raises:
        InvalidBars: the file has no header of prices.
    """
    text = head(decoded(data))
    header = read_header(text)
    return _symbol(header, header.parts[0], _LINE.findall(text.encode()[header.start :].decode()))


def last_symbol(data: bytes) -> str | None:
    """The last symbol that a CSV names itself; None if it names none.

    Raises:
        InvalidBars: the file has no header of prices.
    """
    text = decoded(data)
    header = read_header(head(text))
    end = text[max(header.start, len(text) - _HEAD) :].decode(errors="ignore")
    return _symbol(header, header.parts[-1], reversed(_LINE.findall(end)))


def _symbol(header: Header, part: Part, lines: Iterable[str]) -> str | None:
    """The symbol in a part's titles, or else that of the first line which has one."""
    if part.symbol or "symbol" not in part.columns:
        return part.symbol
    at = part.columns["symbol"]
    rows = (_cells(line, header.separator) for line in lines)
    return next((symbol for row in rows if len(row) > at and (symbol := row[at].strip())), None)


def read_header(text: str, symbol: str | None = None) -> Header:
    """Find the header, the separator and the columns, in a file whose name may say its symbol.

    Raises:
        InvalidBars: a column is missing, or there are two for one.
    """
    lines = [line for line in _LINE.findall(text) if line]
    for mark in _SEPARATORS:
        first = next((row for row in (_cells(line, mark) for line in lines) if "".join(row).strip()), [])
        titles = _headerless(first)
        if titles:
            _check_volume(titles, [_cells(line, mark) for line in lines[:_SAMPLED]])
            return Header(mark, layout(titles), len(titles), 0)
    candidates = [
        (known(_cells(line, mark)), -at, -rank)
        for at, line in enumerate(lines[:_BEFORE])
        for rank, mark in enumerate(_SEPARATORS)
    ]
    count, at, rank = max(candidates, key=lambda found: (found[0] if found[0] > 1 else 0, *found[1:]))
    at, separator = -at, _SEPARATORS[-rank]
    if count > 1:
        return _titled(lines, at, separator, symbol)
    separator = max(_SEPARATORS, key=lambda mark: len(_cells(lines[0], mark)))
    cells = _cells(lines[0], separator)
    _check_width([cells])
    _check_titles(lines[0], cells, separator)
    return Header(separator, layout(cells), len(cells), _size(lines[:1]))


def head(text: bytes) -> str:
    """The beginning of a text in UTF-8, up to where a letter ends."""
    return text[:_HEAD].decode(errors="ignore")


def to_csv(series: Sequence[Bars], findings: Findings = NOTHING_FOUND) -> bytes:
    """Write bars as one CSV, with Yahoo's column names, and the findings about them in the column Findings."""
    table = as_table(series, findings)
    text = io.BytesIO(",".join(table.column_names).encode() + b"\n")
    text.seek(0, io.SEEK_END)
    plain = [pa.field(one.name, pa.string() if one.type == TERMS else one.type) for one in table.schema]
    quoting = "needed" if TITLES["findings"] in table.column_names else "none"
    options = arrow_csv.WriteOptions(include_header=False, quoting_style=quoting)
    arrow_csv.write_csv(table.cast(pa.schema(plain)), text, options)
    return text.getvalue()


# A faultless file is read as numbers, which takes a fraction of the time and memory.


def _faultless(data: bytes, asked: Asked) -> Reading | None:
    """Read a file whose every cell is of its column's type; None if it is none, or if it is refused.

    A refusal quotes the file's own text, and so comes from reading it as text.
    """
    table = _plain_table(data, asked.largest)
    if table is None:
        return None
    try:
        [part] = layout(table.column_names, asked.symbol)
        volumes = table.column(part.columns["volume"]) if "volume" in part.columns else None
        if volumes is not None and volumes.type == pa.float64() and may_be_in_one_group(volumes.to_numpy()):
            return None
        reading = read_columns([(part, table)], asked)
    except BeyondLimits:
        raise
    except (InvalidBars, ValueError):
        return None
    return None if reading.failures else reading


def _plain_table(data: bytes, largest: int) -> pa.Table | None:
    """A CSV without quotes, all of whose rows are as long as its header."""
    if b'"' in data:
        return None
    first_line = data[: data.find(b"\n") + 1 or None].removeprefix(b"\xef\xbb\xbf")
    header = first_line.rstrip(b"\r\n").decode(errors="replace").split(",")
    if "" in header or len(set(header)) < len(header) or len(header) > MOST_COLUMNS or known(header) < len(PRICES):
        return None
    check_rows(_line_count(data), len(header), largest)
    columns = {name: _KINDS.get(column_of(name), pa.string()) for name in header}
    options = arrow_csv.ConvertOptions(column_types=columns, strings_can_be_null=False, null_values=[""])
    serially = arrow_csv.ReadOptions(use_threads=False)  # several parts at once cost memory, and save little
    try:
        # Arrow's own pool would keep what is freed.
        pool = pa.system_memory_pool()
        table = arrow_csv.read_csv(pa.BufferReader(data), serially, convert_options=options, memory_pool=pool)
        return table if table.column_names == header and table.num_rows else None
    except ValueError:
        return None


# Any other file is read as text.


def _titled(lines: Sequence[str], at: int, separator: str, symbol: str | None) -> Header:
    """The header in a line, of which the one above and the two below may be part."""
    for first in (at, at - 1):
        rows = [_cells(line, separator) for line in lines[max(first, 0) : first + 3]]
        _check_width(rows)
        stack = stacked(rows) if first >= 0 else None
        if stack:
            titles, count = stack
            return Header(separator, layout(titles, symbol), len(titles), _size(lines[: first + count]))
    own = _cells(lines[at], separator)
    return Header(separator, layout(own, symbol), len(own), _size(lines[: at + 1]))


def _size(lines: Sequence[str]) -> int:
    return sum(len(line.encode()) for line in lines)


def _cells(line: str, separator: str) -> list[str]:
    try:
        return next(csv.reader([line.rstrip("\r\n")], delimiter=separator), [])
    except csv.Error as error:
        raise refusals.UNPARSED(seen=one_line(error)) from error


def _check_width(rows: Sequence[Sequence[str]]) -> None:
    widest = max(map(len, rows), default=0)
    if widest > MOST_COLUMNS:
        raise refusals.TOO_WIDE(count=widest, most=MOST_COLUMNS)


def _headerless(cells: Sequence[str]) -> list[object]:
    """The titles of files that are known to have none: Binance's klines and MetaTrader's bars; empty for any other."""
    cells = [cell.strip() for cell in cells]
    if (
        len(cells) >= len(_KLINE)
        and _EPOCH.fullmatch(cells[0])
        and all(re.fullmatch(_NUMBER, cell) for cell in cells[1:6])
    ):
        return [*_KLINE, *(f"more {number}" for number in range(len(cells) - len(_KLINE)))]
    if cells and _DAY.fullmatch(cells[0]):
        timed = len(cells) > 1 and re.fullmatch(r"\d\d:\d\d(?::\d\d)?", cells[1]) is not None
        prices = cells[1 + timed :]
        if len(prices) in (5, 6, 7) and all(re.fullmatch(_NUMBER, cell) for cell in prices[:4]):
            more = [f"more {number}" for number in range(len(prices) - 5)]
            return [*_BARS[:1], *(["time"] if timed else []), *_BARS[1:], *more]
    return []


def _check_titles(line: str, cells: Sequence[str], separator: str) -> None:
    """Refuse a first line of values.

    Raises:
        InvalidBars: it has the numbers of a bar.
    """
    if sum(_IS_VALUE(cell) is not None for cell in cells) < len(PRICES):
        return
    timed = len(cells) > len(_BARS) and ":" in cells[1]
    titles = [TITLES["session_date"], *(["Time"] if timed else []), *(TITLES[name] for name in _BARS[1:])]
    mark = "," if separator == "\t" else separator
    row = shown(line.strip().replace("\t", " "), 60)
    raise refusals.HEADERLESS(row=row, titles=mark.join(titles[: max(len(cells), len(_BARS) - 1)]))


def _check_volume(titles: Sequence[object], rows: Sequence[Sequence[str]]) -> None:
    """Refuse rows without a header whose volume moves as the closes do, as an adjusted or an average price does.

    Raises:
        InvalidBars: the volume does, in most of the rows, and no other column can only be a volume.
    """
    at = titles.index("volume")
    numbers = [row for row in rows if len(row) == len(titles) and all(_IS_NUMBER(row[place]) for place in (at - 1, at))]
    pairs = np.array([(float(row[at - 1]), float(row[at])) for row in numbers]).reshape(-1, 2)
    closes, volumes = pairs[(pairs > 0).all(axis=1)].T
    if not len(closes) or (len(titles) == _KLINES and _EPOCH.fullmatch(numbers[0][at + 1].strip())):
        return
    shares = np.log(volumes / closes)
    steps = np.abs(np.diff(shares)) if len(shares) > 1 else np.zeros(1)
    if np.median(steps) < _AS_A_PRICE and np.median(shares) < _AS_A_PRICE:
        raise refusals.NO_HEADER(column=at + 1, seen=shown(numbers[0][at].strip(), 40))


def _line_count(data: bytes) -> int:
    return max(data.count(b"\n"), data.count(b"\r"))


def _body(text: bytes, header: Header, largest: int) -> pa.Table:
    """The rows below the header as texts, one column a title, named by its place."""
    if text.count(b'"', header.start) % 2:
        raise refusals.UNPARSED(seen="a quote is opened and not closed")
    first = next((line for line in _LINE.findall(head(text[header.start : header.start + _HEAD])) if line.strip()), "")
    cells = _cells(first, header.separator)
    _check_width([cells])
    width = len(cells) if not any(cell.strip() for cell in cells[header.width :]) else header.width
    names = [str(at) for at in range(max(width, header.width))]
    kinds = dict.fromkeys(names, pa.string()) | {
        str(at): TERMS for part in header.parts for name, at in part.columns.items() if name in _REPEATED
    }
    check_rows(_line_count(text), len(names), largest)
    odd: list[str] = []

    def keep(row: arrow_csv.InvalidRow) -> str:
        odd.append(row.text)
        return "skip" if len(odd) <= MOST_UNEVEN and len(row.text) <= _LONGEST_ROW else "error"

    try:
        table = arrow_csv.read_csv(
            pa.BufferReader(pa.py_buffer(text).slice(header.start)),
            arrow_csv.ReadOptions(column_names=names, use_threads=False, block_size=max(1 << 20, len(first) * 2)),
            arrow_csv.ParseOptions(delimiter=header.separator, invalid_row_handler=keep),
            arrow_csv.ConvertOptions(column_types=kinds, strings_can_be_null=False),
        )
    except ValueError as error:
        if not text[header.start :].strip():
            raise refusals.NO_BAR() from error
        if len(odd) > MOST_UNEVEN:
            raise refusals.UNEVEN(most=MOST_UNEVEN, row=shown(odd[-1].strip(), 60)) from error
        raise refusals.UNPARSED(seen=one_line(error)) from error
    repaired = [row for row in (_repaired(line, names, header) for line in odd) if row]
    if repaired:
        columns = zip(*repaired, strict=True)
        more = pa.table([pa.array(column, pa.string()) for column in columns], names).cast(table.schema)
        table = pa.concat_tables([table, more])
    table = _without_headers(_without_notes(table), header.parts[0])
    if not len(table):
        raise refusals.NO_BAR()
    return table


def _repaired(line: str, names: Sequence[str], header: Header) -> list[str] | None:
    """The cells of a row that is longer or shorter by empty cells, or tells of a dividend; None for a note in one cell.

    Raises:
        InvalidBars: the row has more cells, or fewer, than the header.
    """
    cells = _cells(line, header.separator)
    if sum(bool(cell.strip()) for cell in cells) < 2:
        return None
    is_event = len(cells) < header.width and _EVENT.search(line)  # as Yahoo's page has them between the bars
    if not is_event and (len(cells) < header.width or any(cell.strip() for cell in cells[len(names) :])):
        refusal = refusals.SHORT if len(cells) < header.width else refusals.RAGGED
        raise refusal(row=shown(line.strip(), 60), cells=len(cells), titles=header.width)
    return [*cells, *[""] * len(names)][: len(names)]


def _without_notes(table: pa.Table) -> pa.Table:
    """The rows in which more than one cell has something in it; the others are blank, or notes below the bars."""
    filled = functools.reduce(pc.add, (_filled(column).cast(pa.int16()) for column in table.columns))
    few = pc.less(filled, 2)
    return table.filter(pc.invert(few)) if pc.any(few).as_py() else table


def _without_headers(table: pa.Table, part: Part) -> pa.Table:
    """The rows that are not the header once more, as in files that were joined."""
    again = pc.equal(pc.utf8_trim_whitespace(table.column(part.columns["close"])), part.titles["close"])
    return table.filter(pc.invert(again)) if pc.any(again).as_py() else table


def _filled(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if not pa.types.is_dictionary(column.type):
        return pc.not_equal(pc.utf8_trim_whitespace(column), "")
    whole = column.unify_dictionaries()
    parts = [pc.not_equal(pc.utf8_trim_whitespace(part.dictionary), "").take(part.indices) for part in whole.chunks]
    return pa.chunked_array(parts, pa.bool_())
