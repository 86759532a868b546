"""The titles of a price file: which column holds what, for one symbol or for several.

>>> [part] = layout(["Date", "Close/Last", "Volume", "Open", "High", "Low"])
>>> part.columns["close"], part.columns["session_date"]
(1, 0)
>>> [(part.symbol, part.columns["close"]) for part in layout(["Date", "A.Open", "A.High", "A.Low", "A.Close"])]
[('A', 4)]
"""

import math
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tickercast.domain.files import refusals
from tickercast.domain.text import shown

PRICES = ("open", "high", "low", "close")

BLANKS = ("", "-", "--", "—", "n/a", "#n/a", "na", "nan", "null", "none", "<na>", "nil", ".")
"""The words for no value, in lower case."""

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
    "findings": "Findings",
}
"""The titles of the columns that are read and written, as Yahoo spells them."""

ALIASES = {
    "session_date": "date sessiondate datetime timestamp tradedate tradingdate tradingday day opentime openedat "
    "gmttime localtime",
    "open": "open openprice openingprice",
    "high": "high highprice",
    "low": "low lowprice",
    "close": "close closelast last price closeprice lastprice closingprice",
    "adj_close": "adjclose adjustedclose adjusted adjcloseprice adjustedcloseprice closeadj closeadjusted",
    "volume": "volume tickvol tickvolume sharestraded totaltradedquantity noofshares",
    "symbol": "symbol ticker tic tscode",
    "source": "source simulated",
    "findings": "findings",
}
"""The titles that are understood, without case, blanks and points."""

WEAKER = {
    "session_date": "time unix unixtimestamp epoch index unnamed:0",
    "volume": "vol volumeof",
    "symbol": "name code",
}
"""Titles that count where none of the others is there; the first of them that is there."""

_COLUMNS = {title: column for column, titles in ALIASES.items() for title in titles.split()}
_WEAK = {title: (column, rank) for column, titles in WEAKER.items() for rank, title in enumerate(titles.split())}
_FIELDS = {title: column for title, column in _COLUMNS.items() if column in (*PRICES, "adj_close", "volume")} | {
    "vol": "volume"
}
_MONEY = frozenset(
    re.findall(r"\w+", "usd eur gbp jpy chf cad aud nzd cny krw inr try brl usdt usdc busd fdusd tusd dai currency")
)
_NO_TICKERS = _MONEY | frozenset(
    re.findall(
        r"\S+",
        "px bid ask mid trade trades $ € £ ¥ pts points price prices value number numeric float float32 float64 double "
        "decimal real int int64 integer bigint object str string",
    )
)
"""Words that stand with the titles of prices and are no ticker: whose prices they are, their unit, or their type."""

_MULTIPLES = {
    word: times
    for times, words in {
        1e2: "00 100 hundred hundreds",
        1e3: "000 1000 k th thd ths tsd thousand thousands",
        1e5: "lakh lakhs",
        1e6: "000000 1000000 m mm mn mln mil mill mio million millions",
        1e7: "cr crore crores",
        1e9: "b bn bln billion billions",
    }.items()
    for word in words.split()
}
_NO_SHARES = frozenset(
    re.findall(
        r"\S+", "$ € £ ¥ ₹ % t lot lots hand hands avg average change chg delta ma ema sma pct rank ratio weighted"
    )
)  # with a volume: the unit is money or unknown, or it is no volume
_VOLUME = re.compile(r"vol(?:ume)?\.?[ _,/]*(?:[(\[]([^()\[\]]*)[)\]]|(?<=[ _,/])([^()\[\]]*))")
_UNIT = re.compile(r"[a-z]+|\d+|[$€£¥₹%]")
_TUPLE = re.compile(r"""\(\s*(['"])(.*?)\1\s*,\s*(['"])(.*?)\3\s*\)""")
_SYMBOL_FIRST = re.compile(r"([A-Z0-9^][A-Z0-9^=-]*(?:\.[A-Z0-9]+)?)[._ ]([A-Za-z. _]+)")
_FIELD_FIRST = re.compile(r"([A-Za-z]+(?:[. _][Cc]lose)?)[._ ]([A-Z0-9^][A-Z0-9^=.-]*)")
_LONGEST = 200  # letters of a title that are looked at
_NO_SYMBOLS = frozenset({"ADJ", "ADJ.", "ADJUSTED", "PREV", "PREV.", "PREVIOUS", "PRE", "DAY", "AVG", "VWAP", "SPLIT"})


@dataclass(frozen=True)
class Part:
    """The columns of one symbol, or of all symbols where one column names them.

    Attributes:
        symbol: the symbol that the titles name; None if they name none.
        columns: the position of each column, by its name; `time` is a time of day beside the dates.
        titles: the file's own title of each column.
    """

    symbol: str | None
    columns: Mapping[str, int]
    titles: Mapping[str, str]


def title_key(title: object) -> str:
    """A title without what does not matter: case, blanks, points, underscores, a number before and a unit behind.

    >>> title_key(" Adj. Close**"), title_key("1. open"), title_key("<TICKVOL>"), title_key("Close (USD)")
    ('adjclose', 'open', 'tickvol', 'close')
    """
    text = str(title)[:_LONGEST].strip().lower()
    volume = _VOLUME.fullmatch(text)
    if volume:
        unit = volume[1] or volume[2] or ""
        if not (_MONEY | _NO_SHARES).isdisjoint(_words(unit)):
            return ""
        if re.fullmatch(r"[a-z0-9]+", unit) or not _MULTIPLES.keys().isdisjoint(_words(unit)[:1]):
            return "volumeof"
    plain = re.sub(r"^\d+[a-z]?\.\s+", "", text)
    bare, _, unit = plain.removesuffix(")").rpartition("(") if plain.endswith(")") else (plain, "", "")
    key = _squeezed(bare)
    scaled = not _MULTIPLES.keys().isdisjoint(_words(unit)) and _COLUMNS.get(key) != "volume"
    return _squeezed(plain) if scaled else key


def volume_unit(title: str) -> float:
    """The number of shares that the unit in the title of a volume stands for.

    >>> volume_unit("Volume (M)"), volume_unit("Vol. in thousands"), volume_unit("Volume BTC")
    (1000000.0, 1000.0, 1.0)
    """
    return math.prod(_MULTIPLES.get(word, 1.0) for word in _words(title.lower()))


def _words(unit: str) -> list[str]:
    """The words of a unit, without those that say nothing."""
    return [word for word in _UNIT.findall(unit) if word not in ("in", "of", "x", "s")]


def _squeezed(text: str) -> str:
    return re.sub(r"[\s_.<>*\"'/-]+", "", text)


def column_of(title: object) -> str:
    """The column that a title names without doubt; empty if it names none."""
    return _COLUMNS.get(title_key(title), "")


def known(titles: Sequence[object]) -> int:
    """The number of different columns of a price file that the titles may name."""
    found = {_COLUMNS.get(key) or _WEAK.get(key, ("", 0))[0] for key in map(title_key, titles)}
    of_tickers = {pair for pair in map(_pair, titles) if pair} | {pair for pair in map(_qualified, titles) if pair}
    return max(len(found - {""}), len(of_tickers))


def layout(titles: Sequence[object]) -> list[Part]:
    """Find the columns by their titles.

    Args:
        titles: one a column; a title may be a pair of a field and a ticker, or a text that spells one.

    Returns:
        One part, or one for each ticker in the titles.

    Raises:
        InvalidBars: a column is missing, or there are two for one.
    """
    pairs = [_pair(title) for title in titles]
    if any(pairs):
        return _by_ticker(titles, pairs)
    named = [_qualified(title) for title in titles]
    tickers = {pair[1] for pair in named if pair and pair[0] in PRICES}
    columns = _columns(titles)
    if tickers and not set(PRICES) & set(columns):
        if not _are_no_tickers(tickers):
            return _by_ticker(titles, named)
        columns = _columns(titles, [_beside(*pair) for pair in zip(titles, named, strict=True)])
    _check_missing(columns, titles)
    return [Part(None, columns, {name: shown(titles[at], 40).strip() for name, at in columns.items()})]


def stacked(rows: Sequence[Sequence[str]]) -> tuple[list[object], int] | None:
    """Read a header of two or three rows, as pandas writes the columns of several tickers.

    Args:
        rows: the first rows of the file, split into cells.

    Returns:
        The titles, as pairs of a field and a ticker, and the number of rows; None if the header is one row.
    """
    if len(rows) < 2 or len(rows[0]) != len(rows[1]):
        return None
    for fields, tickers in (rows[:2], rows[1::-1]):
        pairs = [(field.strip(), ticker.strip()) for field, ticker in zip(fields[1:], tickers[1:], strict=True)]
        known_fields = [pair for pair in pairs if title_key(pair[0]) in _FIELDS]
        priced = [(column, ticker) for field, ticker in pairs if (column := _FIELDS.get(title_key(field))) in PRICES]
        third = len(rows) > 2 and not any(cell.strip() for cell in rows[2][1:])
        firsts = [row[0] for row in (rows[2 if third else 0], *rows[:2]) if title_key(row[0]) in _COLUMNS]
        titles = [*firsts, "Date"][:1]
        if {column for column, _ in priced} == set(PRICES) and _are_no_tickers({ticker for _, ticker in priced}):
            return [*titles, *(_with_unit(*pair) for pair in pairs)], 2 + third
        is_whole = any(all((column, ticker) in priced for column in PRICES) for _, ticker in priced)
        if is_whole and all(_is_ticker(ticker) for _, ticker in known_fields):
            return [*titles, *pairs], 2 + third
    return None


def _with_unit(field: str, unit: str) -> str:
    """A title of a file with a row of units: that of a volume has its own."""
    return f"{field} ({unit})" if unit and _FIELDS.get(title_key(field)) == "volume" else field


def _check_missing(columns: Mapping[str, int], titles: Sequence[object]) -> None:
    missing = [TITLES[name] for name in ("session_date", *PRICES) if name not in columns]
    if missing == [TITLES[name] for name in PRICES] and {str(title).strip().lower() for title in titles} <= _OF_RESULTS:
        raise refusals.RESULTS_DAYS()
    if missing:
        seen = ", ".join(str(title).strip() for title in titles[:12] if str(title).strip())
        raise refusals.MISSING_COLUMN(missing=", ".join(missing), seen=shown(seen, 200) or "none")


_OF_RESULTS = frozenset({"symbol", "date", "session", "known_at", "kind", "source"})  # as in `event_files`


def _is_ticker(text: str) -> bool:
    """Whether a cell may be a ticker: it has a letter, and is neither a field nor a word for nothing."""
    known = title_key(text) in _FIELDS or text.lower() in BLANKS
    return not known and re.fullmatch(r"[\d.=/^-]*[A-Za-z^][\w.=/^-]*", text) is not None


def _are_no_tickers(words: Collection[str]) -> bool:
    return {word.lower() for word in words} <= _NO_TICKERS


def _beside(title: object, pair: tuple[str, str] | None) -> object:
    """A title without the word beside it that is no ticker, but for volumes in money, or of offers alone."""
    if pair is None or not _are_no_tickers(pair[1:]) or (pair[0] == "volume" and not pair[1].startswith(("PX", "TR"))):
        return title
    return TITLES[pair[0]]


def _columns(titles: Sequence[object], plain: Sequence[object] = ()) -> dict[str, int]:
    """The place of each column, by the file's titles, or by the plain ones that these stand for."""
    found: dict[str, int] = {}
    weak: dict[str, tuple[int, int]] = {}
    for at, title in enumerate(titles):
        key = _unnumbered(plain[at] if plain else title)
        if key in _COLUMNS:
            column = _COLUMNS[key]
            if column in found:
                seen = f"{shown(titles[found[column]], 40)} and {shown(title, 40)}"
                raise refusals.DOUBLED_COLUMN(column=TITLES[column], seen=seen)
            found[column] = at
        elif key in _WEAK:
            column, rank = _WEAK[key]
            weak[column] = min(weak.get(column, (rank, at)), (rank, at))
    times = [at for at, title in enumerate(titles) if title_key(title) == "time"]
    for column, (_, at) in weak.items():
        found.setdefault(column, at)
    blank = [at for at, title in enumerate(titles[:1]) if not str(title).strip()]
    if blank:
        found.setdefault("session_date", 0)
    if times and found.get("session_date") != times[0]:
        found["time"] = times[0]
    return found


def _unnumbered(title: object) -> str:
    """The key of a title; that of the first one where pandas has numbered a second one, as in `Close.1`."""
    key, first = title_key(title), re.fullmatch(r"(.+)\.\d+", str(title).strip())
    return title_key(first[1]) if first and title_key(first[1]) in _COLUMNS else key


def _pair(title: object) -> tuple[str, str] | None:
    """The two parts of a title that is a pair, or spells one."""
    if isinstance(title, tuple):
        return (str(title[0]), str(title[1])) if len(title) == 2 else None
    spelt = _TUPLE.fullmatch(str(title)[:_LONGEST].strip())
    return (spelt[2], spelt[4]) if spelt else None


def _qualified(title: object) -> tuple[str, str] | None:
    text = str(title)[:_LONGEST].strip()
    for found, field, ticker in ((_SYMBOL_FIRST.fullmatch(text), 2, 1), (_FIELD_FIRST.fullmatch(text), 1, 2)):
        column = _FIELDS.get(title_key(found[field])) if found else None
        if found and column and found[ticker] not in _NO_SYMBOLS:
            return column, found[ticker]
    return None


def _by_ticker(titles: Sequence[object], pairs: Sequence[tuple[str, str] | None]) -> list[Part]:
    """One part a ticker; the dates are in the column that belongs to none."""
    full = [bool(pair and pair[0] and pair[1]) for pair in pairs]
    halves = [pair[0] or pair[1] if pair else title for title, pair in zip(titles, pairs, strict=True)]
    own = _columns(["-" if is_full else half for half, is_full in zip(halves, full, strict=True)])
    shared = {name: at for name, at in own.items() if name in ("session_date", "time")}
    found: dict[str, dict[str, int]] = {}
    for at, (column, ticker) in _fields(pairs):
        columns = found.setdefault(ticker, {})
        if column in columns:
            raise refusals.DOUBLED_COLUMN(column=f"{TITLES[column]} of {shown(ticker, 40)}", seen="it is there twice")
        columns[column] = at
    parts = []
    for ticker, columns in found.items():
        columns = shared | columns
        named = [f"{TITLES[name]} of {ticker}" for name in columns if name not in shared]
        _check_missing(columns, ["Date"] * ("session_date" in columns) + named)
        parts.append(Part(ticker, columns, {name: TITLES.get(name, name) for name in columns}))
    return parts


def _fields(pairs: Sequence[tuple[str, str] | None]) -> Iterator[tuple[int, tuple[str, str]]]:
    """The columns of prices and volumes, whichever half of their pairs is the field."""
    full = [(at, pair) for at, pair in enumerate(pairs) if pair and pair[0] and pair[1]]
    firsts = sum(title_key(pair[0]) in _FIELDS for _, pair in full)
    seconds = sum(title_key(pair[1]) in _FIELDS for _, pair in full)
    for at, pair in full:
        field, ticker = pair if firsts >= seconds else pair[::-1]
        column = _FIELDS.get(title_key(field))
        if column:
            yield at, (column, ticker.strip())
