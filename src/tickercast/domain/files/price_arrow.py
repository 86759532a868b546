"""Arrow tables of bars, of texts or numbers, as rows of the contract in `price_rows`; and the table that is written."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tickercast.domain.bars import Bars, Reading, bars_of
from tickercast.domain.files import refusals
from tickercast.domain.files.price_dates import (
    Stamps,
    at_times,
    instants,
    of_instants,
    read_clock,
    read_stamps,
    session_moments,
)
from tickercast.domain.files.price_limits import LARGEST, MOST_NAMES, check_dates, check_symbols, check_text
from tickercast.domain.files.price_numbers import Beside, Numbers, have_suffixes, read_numbers
from tickercast.domain.files.price_rows import SIMULATED, WHOLE, Ints, Rows, Window, read_rows
from tickercast.domain.files.price_titles import CLOSED_AT, PRICES, TITLES, Part, layout, title_key, volume_unit
from tickercast.domain.findings import NOTHING_FOUND, Finding, Findings, reported, sentence
from tickercast.domain.frequency import DAILY, Frequency
from tickercast.domain.spelling import agree, in_yahoos_spelling, is_word, symbol_in
from tickercast.domain.symbols import is_symbol, named_after
from tickercast.domain.text import shown

TERMS = pa.dictionary(pa.int32(), pa.string())
"""The type of texts that are repeated."""

_LONGEST_FINDING = 1000  # letters
_TITLES = "header"  # names the symbols where no column does
_NUMBERS = (*PRICES, "adj_close", "volume")


@dataclass(frozen=True)
class Asked:
    """The request for a file: its name, the symbols and the bars that are wanted, and its limits.

    Attributes:
        name: the file's name without its ending, which may be the symbol.
        symbols: the symbols that are wanted; None: all.
        window: the bars that are used, and so judged.
        largest: bytes of the largest file, on which other limits depend.
        ending: the ending of a file of its kind.
        frequency: the frequency of the bars.
    """

    name: str = ""
    symbols: Collection[str] | None = None
    window: Window = WHOLE
    largest: int = LARGEST
    ending: str = ".csv"
    frequency: Frequency = DAILY

    @property
    def symbol(self) -> str | None:
        """The symbol that the file's name says."""
        return named_after(self.name)


def read_frame(frame: pd.DataFrame, *, symbol: str = "", window: Window = WHOLE) -> Reading:
    """Read a table of bars with the CSV's columns; see `price_files.read_prices`.

    Raises:
        InvalidBars: a column is missing, or there is no row.
    """
    plain = frame.set_axis([str(at) for at in range(frame.shape[1])], axis="columns")
    table = pa.Table.from_pandas(plain, preserve_index=False)
    return read_columns([(part, table) for part in layout(list(frame.columns), symbol)], Asked(symbol, window=window))


def read_columns(parts: Sequence[tuple[Part, pa.Table]], asked: Asked, *, may_have_commas: bool = True) -> Reading:
    """Read the columns of a file, of whatever types.

    Args:
        parts: where the columns of all symbols are, or those of each.
        asked: the request for the file.
        may_have_commas: whether a cell may hold a comma.

    Raises:
        InvalidBars: the file has no row or no symbol, or its name says another symbol than its columns.
    """
    table, titles = _joined([(part, _selected(part, table)) for part, table in parts])
    if not len(table):
        raise refusals.NO_BAR()
    check_text(sum(map(_text_size, table.columns)))
    table, titles = _dated(table, titles, asked.frequency)
    numbers, names = _symbols(table, asked, titles)
    read = [asked.symbols is None or name in asked.symbols for name in names]
    others = tuple(name for name, is_read in zip(names, read, strict=True) if not is_read)
    wanted = np.append(np.array(read, bool), False)[numbers]
    if not wanted.all():
        if others and not wanted.any():
            return Reading(others=others)
        table = table.filter(pa.array(wanted))
        if not len(table):
            raise refusals.NO_BAR()
        kept, numbers = np.unique(numbers[wanted], return_inverse=True)
        names = [names[number] for number in kept]
    check_symbols(len(names))
    beside = Beside(_further(parts), may_have_commas=may_have_commas, symbols=names)
    rows = _rows(table, titles, numbers, names, asked.frequency, beside)
    reading = read_rows(rows, asked.window)
    findings = _with_reported(reading, _reported(table, numbers, names))
    is_money = "volume" in table.column_names and "volume" not in rows.columns
    for part, _ in parts:
        if unread := titles["volume"] if is_money and "volume" in part.columns else part.unread:
            owner = in_yahoos_spelling(part.symbol.upper()) if part.symbol and len(parts) > 1 else None
            findings = _with_unread([name for name in reading.bars if owner in (None, name)], findings, unread)
    return replace(reading, findings=findings, others=others)


def _rows(
    table: pa.Table,
    titles: dict[str, str],
    numbers: Ints,
    names: Sequence[str],
    frequency: Frequency,
    beside: Beside,
) -> Rows:
    moments = _moments(table, titles, numbers, names, frequency)
    columns = _numbers(table, titles, frequency, beside)
    return Rows(
        numbers,
        names,
        moments,
        columns,
        _simulated(table, titles),
        _quoting(table, moments, frequency),
        titles,
        frequency,
    )


def as_table(series: Sequence[Bars], findings: Findings = NOTHING_FOUND) -> pa.Table:
    """The table that a file holds, with Yahoo's titles.

    The column Source is there if any bars are simulated, and the column Findings if there are any about the bars: in
    the first row of each symbol.
    """
    table = bars_of(series)
    simulated = table["simulated"].to_numpy()
    table = table.drop_columns("simulated")
    if simulated.any():
        words = pa.DictionaryArray.from_arrays(simulated.astype(np.int32), ["", SIMULATED])
        table = table.append_column("source", words)
    if any(findings.values()):
        table = table.append_column("findings", findings_column(series, findings))
    return table.rename_columns([TITLES[name] for name in table.column_names])


def findings_column(series: Sequence[Bars], findings: Findings) -> pa.DictionaryArray:
    """The findings about the bars of each symbol, in its first row."""
    sizes = [len(bars) for bars in series]
    numbers = np.zeros(sum(sizes), np.int32)
    numbers[np.cumsum([0, *sizes[:-1]])] = np.arange(1, len(series) + 1)
    said = [sentence(findings.get(bars.symbol, ())) for bars in series]
    return pa.DictionaryArray.from_arrays(numbers, ["", *said])


def _selected(part: Part, table: pa.Table) -> pa.Table:
    return pa.table({name: table.column(at) for name, at in part.columns.items()})


def _further(parts: Sequence[tuple[Part, pa.Table]]) -> list[pa.ChunkedArray]:
    """The texts in columns of a file that are not read."""
    used = {at for part, _ in parts for at in part.columns.values()}
    table = parts[0][1]
    return [column for at, column in enumerate(table.columns) if at not in used and _is_text(column.type)]


def _joined(parts: Sequence[tuple[Part, pa.Table]]) -> tuple[pa.Table, dict[str, str]]:
    """One table of all parts, with the symbols of their titles in a column."""
    titles = {name: title for part, _ in parts for name, title in part.titles.items()}
    if len(parts) == 1 and parts[0][0].symbol is None:
        return parts[0][1], titles
    tables = []
    for part, table in parts:
        empty = [_is_blank(table[name]) for name in PRICES]
        table = table.filter(pc.invert(pc.and_(pc.and_(*empty[:2]), pc.and_(*empty[2:]))))  # days of other symbols
        words = pa.DictionaryArray.from_arrays(np.zeros(len(table), np.int32), [part.symbol])
        tables.append(table.append_column("symbol", words))
    return pa.concat_tables(tables, promote_options="permissive").unify_dictionaries(), titles | {"symbol": _TITLES}


def _is_blank(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_floating(column.type):
        return pc.is_null(column, nan_is_null=True)
    return (
        pc.is_null(column)
        if not _is_text(column.type)
        else pc.equal(pc.utf8_trim_whitespace(column.cast(pa.string())), "")
    )


def _is_text(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_string_view(kind)
        or pa.types.is_dictionary(kind)
    )


# Symbols.


def _symbols(table: pa.Table, asked: Asked, titles: dict[str, str]) -> tuple[Ints, list[str]]:
    """The number of each row's symbol, −1 for none, and the symbols in the order in which they appear."""
    symbol = asked.symbol
    if "symbol" not in table.column_names:
        if symbol is None:
            raise refusals.NO_SYMBOL(advice=f"{symbol_in(asked.name) or 'SYMBOL'}{asked.ending}")
        return np.zeros(len(table), np.intp), [symbol]
    column = _dictionary(table["symbol"])
    check_symbols(len(column.dictionary), MOST_NAMES)
    codes, spellings = _terms(column)
    numbers, names = _numbered(codes, spellings)
    is_owner = symbol is not None and not is_word(asked.name)
    if title_key(titles["symbol"]) == "name":  # a company's name, unless it is written as a ticker is
        tickers = [name.isupper() and is_symbol(in_yahoos_spelling(name.strip())) for name in spellings if name]
        if symbol and is_owner and not (all(tickers) and (len(names) > 1 or agree(symbol, names[0]))):
            return np.zeros(len(table), np.intp), [symbol]
        if not any(tickers):
            raise refusals.NO_SYMBOL(advice=f"{symbol_in(asked.name) or 'SYMBOL'}{asked.ending}")
    if symbol and is_owner and len(names) == 1 and symbol != names[0]:
        if agree(symbol, names[0]):
            names = [symbol]
        elif is_symbol(names[0]):  # any other word is refused with its rows
            raise refusals.OTHER_SYMBOL(
                named=symbol,
                column=titles["symbol"] if titles["symbol"] == _TITLES else f"column {titles['symbol']}",
                seen=shown(names[0], 60),
                advice=names[0] + asked.ending,
            )
    return numbers, names


def _numbered(codes: NDArray[np.integer[Any]], spellings: Sequence[str]) -> tuple[Ints, list[str]]:
    stripped = [spelling.strip() for spelling in spellings]
    # Upper case changes some letters into others, and one symbol must not become another: mſft is not MSFT.
    upper = [in_yahoos_spelling(name.upper()) if name.isascii() else name for name in stripped]
    steps = np.diff(codes)
    if len(set(upper)) == len(upper) == codes[-1] + 1 and not codes[0] and ((steps == 0) | (steps == 1)).all():
        return codes.astype(np.intp), upper  # each symbol's rows follow each other, as in a file of this project
    symbols, names = pd.factorize(np.array(upper, object))
    numbers, appearing = pd.factorize(np.append(symbols, -1)[codes], use_na_sentinel=False)
    absent = np.flatnonzero(appearing == -1)
    if len(absent):  # a gap in the numbers is closed
        numbers = np.where(numbers == absent[0], -1, numbers - (numbers > absent[0]))
        appearing = np.delete(appearing, absent)
    return numbers, [str(names[code]) for code in appearing]


def _dictionary(column: pa.ChunkedArray) -> pa.DictionaryArray:
    if not pa.types.is_dictionary(column.type):
        column = column.cast(pa.string()).dictionary_encode()
    return column.unify_dictionaries().combine_chunks()


def _text_size(column: pa.ChunkedArray) -> int:
    """The bytes of the texts of all cells, each as often as it is there."""
    if not pa.types.is_dictionary(column.type):
        return int(column.nbytes) if _is_text(column.type) else 0
    sizes = (pc.sum(pc.binary_length(part.dictionary).take(part.indices)).as_py() for part in column.chunks)
    return sum(size or 0 for size in sizes)


def _terms(column: pa.ChunkedArray | pa.DictionaryArray) -> tuple[Ints, list[str]]:
    """The number of each row's text, −1 for none, and the texts."""
    whole = column if isinstance(column, pa.DictionaryArray) else _dictionary(column)
    return whole.indices.fill_null(-1).to_numpy(), [text or "" for text in whole.dictionary.to_pylist()]


def _reported(table: pa.Table, numbers: Ints, names: Sequence[str]) -> dict[str, Finding]:
    """The findings in the column Findings, by symbol: the first of its rows that has a text."""
    if "findings" not in table.column_names:
        return {}
    codes, words = _terms(table["findings"])
    rows = np.flatnonzero(np.append([bool(word.strip()) for word in words], False)[codes])
    of, first = np.unique(numbers[rows], return_index=True)
    texts = [shown(words[code].strip(), _LONGEST_FINDING) for code in codes[rows[first]]]
    return {names[number]: reported(names[number], text) for number, text in zip(of, texts, strict=True)}


def _with_reported(reading: Reading, said: Mapping[str, Finding]) -> Findings:
    """The findings of a reading, after those of the file's sender, which are not repeated."""
    found = dict(reading.findings)
    for symbol, one in said.items():
        if symbol in reading.bars:
            found[symbol] = [one, *(own for own in found.get(symbol, ()) if str(own) not in str(one))]
    return found


def _with_unread(symbols: Collection[str], findings: Findings, title: str) -> Findings:
    """The findings, and for each symbol that the file's volumes were left out."""
    text = f"the column {title} was left out, since its unit is not known to be shares"
    return {**findings, **{name: [*findings.get(name, ()), Finding(name, "volume", text)] for name in symbols}}


def _simulated(table: pa.Table, titles: Mapping[str, str]) -> NDArray[np.bool_]:
    if "source" not in table.column_names:
        return np.zeros(len(table), bool)
    sources, words = _terms(table["source"])
    stated = title_key(titles.get("source", "")) == SIMULATED  # as an export of prices has it; else the source is named
    yes = ("true", "1") if stated else (SIMULATED,)
    return np.append(np.array([word.lower() in yes for word in words], bool), False)[sources]


# Dates.


def _dated(table: pa.Table, titles: dict[str, str], frequency: Frequency) -> tuple[pa.Table, dict[str, str]]:
    """The table with its dates alone, or of hours with their ends in place of these, as far as it has them."""
    if "closed_at" not in table.column_names:
        return table, titles
    if frequency.is_daily and title_key(titles["session_date"]) == CLOSED_AT:
        raise refusals.MISSING_COLUMN(missing=TITLES["session_date"], seen=", ".join(titles.values()))
    if not frequency.is_daily:
        at = table.column_names.index("session_date")
        table = table.set_column(at, "session_date", table["closed_at"])
        titles = titles | {"session_date": titles["closed_at"]}
    return table.drop_columns("closed_at"), titles


def _moments(
    table: pa.Table, titles: dict[str, str], numbers: Ints, names: Sequence[str], frequency: Frequency
) -> NDArray[np.datetime64]:
    """The moment of each row: of days the date and time at the exchange, of hours the opening in UTC."""
    if not frequency.is_daily and title_key(titles["session_date"]) == CLOSED_AT:
        return _written_moments(table, titles, numbers, names, frequency) - np.timedelta64(1, "h")
    return _written_moments(table, titles, numbers, names, frequency)


def _written_moments(
    table: pa.Table, titles: dict[str, str], numbers: Ints, names: Sequence[str], frequency: Frequency
) -> NDArray[np.datetime64]:
    column, kind = table["session_date"], table["session_date"].type
    moments: NDArray[np.datetime64]
    if "time" not in table.column_names:
        if pa.types.is_date(kind):
            moments = column.to_numpy().astype("datetime64[D]", copy=False)
            return moments
        if pa.types.is_timestamp(kind) and (kind.tz is None or not frequency.is_daily):
            moments = column.to_numpy().astype("datetime64[s]")
            return moments
    stamps, codes = _stamps(column, titles["session_date"], frequency)
    if "time" in table.column_names:
        clock = _dictionary(table["time"])
        check_dates(len(clock.dictionary), titles.get("time", "Time"), frequency)
        times, texts = _terms(clock)
        stamps, codes = at_times(stamps, codes, read_clock(texts), times, daily=frequency.is_daily)
    return session_moments(stamps, codes, numbers, names) if frequency.is_daily else instants(stamps, codes)


def _stamps(column: pa.ChunkedArray, title: str, frequency: Frequency) -> tuple[Stamps, Ints]:
    """The stamps in a column of dates, each different cell once, and the number of each row's."""
    kind = column.type
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        different, codes = np.unique(column.to_numpy().astype("datetime64[s]"), return_inverse=True)
        if pa.types.is_timestamp(kind) and kind.tz is not None:
            return of_instants(different, kind.tz), codes
        return Stamps(different, np.full(len(different), np.nan)), codes
    dates = _dictionary(_whole(column))
    check_dates(len(dates.dictionary), title, frequency)
    codes, texts = _terms(dates)
    return read_stamps(texts, title), codes


def _whole(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Numbers that stand for dates, without a fraction."""
    return column.cast(pa.int64(), safe=False) if pa.types.is_floating(column.type) else column


def _quoting(table: pa.Table, moments: NDArray[np.datetime64], frequency: Frequency) -> Any:
    timed = "time" in table.column_names and not frequency.is_daily

    def cell(name: str, row: int) -> str:
        is_date = name == "session_date"
        if is_date and not _is_text(table[name].type) and not np.isnat(moments[row]):
            return str(moments[row].astype("datetime64[D]"))  # Python's dates end with the year 9999
        if is_date and timed:
            parts = (table[each].slice(int(row), 1).cast(pa.string())[0].as_py() for each in (name, "time"))
            return " ".join(part or "" for part in parts).strip()
        value = table[name][int(row)].as_py()
        return "" if value is None else str(value)

    return cell


# Prices and volumes.


def _numbers(table: pa.Table, titles: dict[str, str], frequency: Frequency, beside: Beside) -> dict[str, Numbers]:
    """The columns of numbers; hours are not adjusted."""
    found: dict[str, Numbers] = {}
    texts: dict[str, pa.ChunkedArray] = {}
    unit = volume_unit(titles.get("volume", "")) or 1.0
    for name in _NUMBERS:
        if name not in table.column_names or (name == "adj_close" and not frequency.is_daily):
            continue
        column = table[name]
        if _is_text(column.type):
            texts[name] = column
        else:
            values = column.cast(pa.float64()).to_numpy()
            found[name] = Numbers(values, np.isnan(values))
    if texts:
        dates = table["session_date"]
        written = _terms(dates)[1] if _is_text(dates.type) else []
        found |= read_numbers(
            texts, titles, replace(beside, dates=written, symbols=beside.symbols if unit == 1 else ())
        )
    if unit != 1 and "volume" in found and not ("volume" in texts and have_suffixes(texts["volume"])):
        found["volume"] = replace(found["volume"], values=found["volume"].values * unit)
    return found
