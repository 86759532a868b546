"""The titles of a price file: which column holds what, for one symbol or for several.

>>> [part] = layout(["Date", "Close/Last", "Volume", "Open", "High", "Low"])
>>> part.columns["close"], part.columns["session_date"]
(1, 0)
>>> [(part.symbol, part.columns["close"]) for part in layout(["Date", "A.Open", "A.High", "A.Low", "A.Close"])]
[('A', 4)]
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tickercast.domain.files import refusals
from tickercast.domain.spelling import COINS, CURRENCIES, STABLE, in_yahoos_spelling
from tickercast.domain.text import shown

PRICES = ("open", "high", "low", "close")

BLANKS = (
    *("", "-", "--", "–", "—", ".", "n/a", "#n/a", "#n/a n/a", "#n/a n.a.", "n.a.", "n.a", "na", "nan", "null", "none"),
    *("<na>", "nil", "\\n"),
)
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
    "session_date": "date sessiondate tradedate tradingdate exchangedate",
    "open": "open openprice openingprice priceopen",
    "high": "high highprice pricehigh",
    "low": "low lowprice pricelow",
    "close": "close closelast closeprice closingprice priceclose",
    "adj_close": "adjclose adjustedclose adjusted adjcloseprice adjustedcloseprice closeadj closeadjusted",
    "volume": "volume tickvol tickvolume sharestraded totaltradedquantity noofshares numberofshares",
    "symbol": "symbol ticker tic tscode",
    "source": "source simulated",
    "findings": "findings",
}
"""The titles that are understood, without case, blanks and points."""

WEAKER = {
    "session_date": "datetime timestamp opentime openedat gmttime localtime tradingday day time unix unixtimestamp "
    "epoch index indexlevel0 unnamed:0",
    "close": "last lastprice latest price",
    "volume": "vol volumeof basevolume baseassetvolume",
    "symbol": "code name",
}
"""Titles that count where none of the others is there; the first of them that is there."""

CLOSED_AT = "closedat"
"""The title of the ends of hours, as this project's tables have them beside the UTC days on which they open."""

_COLUMNS = {title: column for column, titles in ALIASES.items() for title in titles.split()}
_WEAK = {title: (column, rank) for column, titles in WEAKER.items() for rank, title in enumerate(titles.split(), 1)}
_FIELDS = {
    title: column
    for title, column in [*_COLUMNS.items(), *((title, column) for title, (column, _) in _WEAK.items())]
    if column in (*PRICES, "adj_close", "volume") and title != "volumeof"
}
_CODES = CURRENCIES | frozenset(STABLE)
_MONEY = frozenset(name.lower() for name in (*_CODES, "currency"))
_NO_TICKERS = _MONEY | frozenset(
    re.findall(
        r"\S+",
        "px bid ask mid trade trades $ € £ ¥ pts points price prices value number numeric float float32 float64 double "
        "decimal real int int64 integer bigint object str string gbx pence cents adj adjusted raw rth eth local utc "
        "nasdaq nyse lse",
    )
)
"""Words that stand with the titles of prices and are no ticker: whose prices they are, their unit, or their type."""

_OF_TRADES = frozenset({"px", "trade", "trades"})

MULTIPLES = {
    word: times
    for times, words in {
        1e2: "hundred hundreds",
        1e3: "k th thd ths tsd thousand thousands",
        1e5: "lakh lakhs lac lacs",
        1e6: "m mm mn mln mil mill mio million millions",
        1e7: "cr crore crores",
        1e9: "b bn bln mrd bil billion billions",
    }.items()
    for word in words.split()
}
"""The factors of words and letters beside a volume."""

_OF_SHARES = frozenset(
    re.findall(
        r"\S+",
        "share shares shs stock stocks unit units contract contracts coin coins token tokens tick ticks piece pieces "
        "pcs stück stk titres titoli acciones acoes ações no nos number qty quantity count total traded base in of the "
        "x s numeric float float32 float64 double decimal real int int32 int64 integer bigint object str string",
    )
)
"""Words in the title of a volume that leave it one of shares: what is counted, or the type of its numbers."""

_NO_VOLUME = frozenset(re.findall(r"\S+", "% avg average change chg delta ma ema sma pct rank ratio weighted"))
_NO_COINS = frozenset(re.findall(r"\S+", "LOT LOTS HAND HANDS VALUE MONEY CASH RS TURN AMT AMOUNT"))
_VOLUME = re.compile(r"vol(?:ume)?\.?[ _,/]*(?:[(\[]([^()\[\]]*)[)\]]|(?<=[ _,/])([^()\[\]]*))", re.IGNORECASE)
_OF_MONEY = frozenset({"quotevolume", "quoteassetvolume", "dollarvolume", "turnover"})
_MARKED = re.compile(r"\^[A-Z0-9]+|(\^?[A-Z0-9]+)[.=-][A-Z0-9.=-]*[A-Z][A-Z0-9]*")
_OF_SYMBOL = re.compile(
    r"vol(?:ume)?(?:[ _.]+|(?=[(\[]))[(\[]?([\w^=./-]+)[)\]]?|([\w^=./-]+?)[ _.]+vol(?:ume)?\.?", re.IGNORECASE
)
_UNIT = re.compile(r"\d+(?:[.,']\d{3})*|[^\W\d_]+\d*|[$€£¥₹₩₽%]")
_POWER = re.compile(r"10*|0+")
_COIN = re.compile(r"[A-Z][A-Z0-9]{1,4}")
_TUPLE = re.compile(r"""\(\s*(['"])(.*?)\1\s*,\s*(['"])(.*?)\3\s*\)""")
_SYMBOL_FIRST = re.compile(r"([A-Z0-9^][A-Z0-9^=-]*(?:\.[A-Z0-9]+)?)[._ ]([A-Za-z. _]+(?:[(\[][^()\[\]]*[)\]])?)")
_FIELD_FIRST = re.compile(
    r"([A-Za-z]+\.?(?:[. _][Cc]lose)?(?:[ _]?[(\[][^()\[\]]*[)\]])?)[._ ]([A-Z0-9^][A-Z0-9^=.-]*)"
)
_IN_BRACKETS = re.compile(r"(.+)[(\[]([A-Z0-9^][A-Z0-9^=.-]*)[)\]]")
_LONGEST = 200  # letters of a title that are looked at
_NO_SYMBOLS = frozenset({"ADJ", "ADJ.", "ADJUSTED", "PREV", "PREV.", "PREVIOUS", "PRE", "DAY", "AVG", "VWAP", "SPLIT"})


@dataclass(frozen=True)
class Part:
    """The columns of one symbol, or of all symbols where one column names them.

    Attributes:
        symbol: the symbol that the titles name; None if they name none.
        columns: the position of each column, by its name; `time` is a time of day beside the dates, and `closed_at`
            the end of an hour.
        titles: the file's own title of each column.
        unread: the title of a volume whose unit is not known to be shares, where there is no other; empty if there is
            none.
    """

    symbol: str | None
    columns: Mapping[str, int]
    titles: Mapping[str, str]
    unread: str = ""


def title_key(title: object) -> str:
    """A title without what does not matter: case, blanks, points, underscores, a number before and a unit behind.

    >>> title_key(" Adj. Close**"), title_key("1. open"), title_key("<TICKVOL>"), title_key("Close (USD)")
    ('adjclose', 'open', 'tickvol', 'close')
    """
    text = str(title)[:_LONGEST].strip()
    unit = _unit(text)
    if unit:
        return "" if volume_unit(text) is None else "volumeof"
    plain = re.sub(r"^\d+[a-z]?\.\s+", "", text.lower())
    bare, _, unit = plain.removesuffix(")").rpartition("(") if plain.endswith(")") else (plain, "", "")
    key = _squeezed(bare)
    scaled = any(_multiple(word) not in (None, 1.0) for word in _UNIT.findall(unit))
    if _COLUMNS.get(key) == "volume":
        return key if volume_unit(text) is not None else ""
    return _squeezed(plain) if scaled else key


def volume_unit(title: str) -> float | None:
    """The number of shares that one in a column of volumes stands for; None if its title says that it is not shares.

    >>> [volume_unit(title) for title in ("Volume (M)", "Vol. in thousands", "Volume BRK-B", "Volume (zł)")]
    [1000000.0, 1000.0, 1.0, None]
    """
    unit = _unit(title) or title.strip().removesuffix(")").partition("(")[2]
    if (marked := _MARKED.fullmatch(unit)) and marked[1] not in _CODES | _NO_COINS:
        return 1.0  # a symbol such as VOD.L
    coins = "" if title.isupper() else unit
    times = 1.0
    for word in _UNIT.findall(unit):
        multiple = _multiple(word)
        if multiple:
            times *= multiple
        elif word.lower() not in _OF_SHARES and not _is_coin(word, coins):
            return None
    return times


def is_unread_volume(title: object) -> bool:
    """Whether a column may be a volume in a unit that is not known.

    >>> [is_unread_volume(title) for title in ("Volume (PLN)", "Quote Volume", "Volume", "Volume change")]
    [True, True, False, False]
    """
    text = str(title)[:_LONGEST].strip()
    key = _squeezed(text.lower().partition("(")[0])
    if key in _OF_MONEY:
        return True
    is_volume = bool(_unit(text)) or _COLUMNS.get(key) == "volume"
    return is_volume and volume_unit(text) is None and _NO_VOLUME.isdisjoint(_UNIT.findall(text.lower()))


def _unit(title: str) -> str:
    """The words behind the word volume in a title."""
    found = _VOLUME.fullmatch(title.strip())
    return (found[1] or found[2] or "").strip() if found else ""


def _multiple(word: str) -> float | None:
    """The factor of a word for a number: `10,000` and `0,000` say ten thousand; None for any other word."""
    digits = re.sub(r"\D", "", word)
    if word[0].isdigit():
        return 10.0 ** (len(digits) - digits.startswith("1")) if _POWER.fullmatch(digits) else None
    return MULTIPLES.get(word.lower())


def _is_coin(word: str, unit: str) -> bool:
    """Whether a word of a unit is a coin rather than money: a few capital letters among small ones, or a known coin."""
    if word.upper() in COINS:
        return True
    known = word in _NO_COINS or word.lower() in _NO_VOLUME or word[-3:] in CURRENCIES or word in STABLE
    return word in unit and _COIN.fullmatch(word) is not None and not known


def _squeezed(text: str) -> str:
    return re.sub(r"[\s_.<>*\"'/-]+", "", text)


def column_of(title: object) -> str:
    """The column that a title may name; empty if it names none."""
    key = title_key(title)
    return _COLUMNS.get(key) or _WEAK.get(key, ("", 0))[0]


def known(titles: Sequence[object]) -> int:
    """The number of different columns of a price file that the titles may name."""
    found = set(map(column_of, titles))
    of_tickers = {pair for pair in map(_pair, titles) if pair} | {pair for pair in map(_qualified, titles) if pair}
    return max(len(found - {""}), len(of_tickers))


def layout(titles: Sequence[object], symbol: str | None = None) -> list[Part]:
    """Find the columns by their titles.

    Args:
        titles: one a column; a title may be a pair of a field and a ticker, or a text that spells one.
        symbol: the symbol that the file's name says, if any: a volume beside it is the file's.

    Returns:
        One part, or one for each ticker in the titles.

    Raises:
        InvalidBars: a column is missing, or there are two for one.
    """
    pairs = [_pair(title) for title in titles]
    if any(pairs):
        return _by_ticker(titles, pairs)
    bracketed = _bracketed(titles)
    if bracketed:
        return _by_ticker(titles, bracketed)
    named = [_qualified(title) for title in titles]
    tickers = {pair[1] for pair in named if pair and pair[0] in PRICES}
    columns = _columns(titles)
    if tickers and not set(PRICES) & set(columns):
        if not _are_no_tickers(tickers) or ("volume" not in columns and _are_prefixes(titles, named)):
            return _by_ticker(titles, _with_volumes(titles, named, tickers))
        columns = _columns(titles, [_beside(*pair) for pair in zip(titles, named, strict=True)])
    _check_missing(columns, titles)
    of_symbol = [at for at, title in enumerate(titles) if symbol and _is_volume_of(title, symbol)]
    if of_symbol and ("volume" not in columns or title_key(titles[columns["volume"]]) == "volumeof"):
        columns["volume"] = of_symbol[0]
    beside = {title for title, pair in zip(titles, named, strict=True) if pair and pair[0] == "volume"}
    unread = next((shown(title, 40).strip() for title in titles if is_unread_volume(title) or title in beside), "")
    own = {name: shown(titles[at], 40).strip() for name, at in columns.items()}
    return [Part(None, columns, own, "" if "volume" in columns else unread)]


def _is_volume_of(title: object, symbol: str) -> bool:
    """Whether a title has the word volume and the symbol, or the coin that is first in the symbol's pair.

    >>> [_is_volume_of(title, "ETHBTC") for title in ("ethbtc_volume", "Volume ETH", "Volume BTC", "Volume")]
    [True, True, False, False]
    """
    found = _OF_SYMBOL.fullmatch(str(title)[:_LONGEST].strip())
    word = (found[1] or found[2]).upper() if found else ""
    if not word or word.lower() in MULTIPLES:
        return False
    rest = symbol.removeprefix(word).removeprefix("-") if symbol.startswith(word) else ""
    return in_yahoos_spelling(word) == symbol or rest in _CODES | COINS


def _with_volumes(
    titles: Sequence[object], named: Sequence[tuple[str, str] | None], tickers: Collection[str]
) -> list[tuple[str, str] | None]:
    """The fields and tickers in titles, and those of further volumes: `Volume USD MSFT`, or of one ticker `Volume`."""
    alone = next(iter(tickers)) if len(tickers) == 1 else ""
    pairs = []
    for title, pair in zip(titles, named, strict=True):
        text = str(title)[:_LONGEST].strip()
        split = (text.rpartition(mark) for mark in " _.")
        field, ticker = next(((head, tail) for head, _, tail in split if tail in tickers), (text, alone))
        is_volume = column_of(field) == "volume" or is_unread_volume(field)
        is_further = is_volume and ticker and (pair is None or pair[1] not in tickers)
        pairs.append((field, ticker) if is_further else pair)
    return pairs


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
        firsts = [row[0] for row in (rows[2 if third else 0], *rows[:2]) if column_of(row[0]) == "session_date"]
        titles = [*firsts, "Date"][:1]
        are_units = _are_no_tickers({ticker for _, ticker in priced}) and not _are_codes(
            known_fields, tickers[0], third
        )
        if {column for column, _ in priced} == set(PRICES) and are_units:
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


def _are_codes(pairs: Sequence[tuple[str, str]], first: str, indexed: bool) -> bool:
    """Whether the codes of currencies in a row of the header are tickers, as NOK and COP are: volumes have no currency.

    Args:
        pairs: the field and the word of each column of prices and volumes.
        first: the first cell of the row.
        indexed: whether a row follows that names the index alone, as pandas writes it below tickers.
    """
    words = {word for _, word in pairs}
    is_named = title_key(first).removesuffix("s") in ("ticker", "symbol")
    has_volume = any(_FIELDS.get(title_key(field)) == "volume" for field, _ in pairs)
    is_of_all = has_volume and len(words) == 1 and column_of(first or "Date") == "session_date"
    return words <= _CODES and (indexed or is_named or is_of_all)


def _are_prefixes(titles: Sequence[object], named: Sequence[tuple[str, str] | None]) -> bool:
    """Whether the codes of currencies beside the titles are tickers, as in `NOK.Open` and `NOK_Volume`."""
    found = [(str(title).strip(), pair[1]) for title, pair in zip(titles, named, strict=True) if pair]
    return all(word in _CODES and title.startswith((f"{word}.", f"{word}_")) for title, word in found)


def _beside(title: object, pair: tuple[str, str] | None) -> object:
    """A title without the word beside it that is no ticker, but for volumes in money, or of offers alone."""
    if pair is None or not _are_no_tickers(pair[1:]) or (pair[0] == "volume" and pair[1].lower() not in _OF_TRADES):
        return title
    return TITLES.get(pair[0], title)


def _columns(titles: Sequence[object], plain: Sequence[object] = ()) -> dict[str, int]:
    """The place of each column, by the file's titles, or by the plain ones that these stand for."""
    found: dict[str, int] = {}
    ranks: dict[str, int] = {}
    doubled: dict[str, tuple[int, int]] = {}
    for at, title in enumerate(titles):
        key = _unnumbered(plain[at] if plain else title)
        column, rank = (_COLUMNS[key], 0) if key in _COLUMNS else _WEAK.get(key, ("", 0))
        if not column or ranks.get(column, rank) < rank:
            continue
        if ranks.get(column) == rank:
            if rank == 0 or column not in ("volume", "symbol"):
                doubled.setdefault(column, (found[column], at))
            continue
        found[column], ranks[column] = at, rank
        doubled.pop(column, None)
    for column, pair in doubled.items():
        seen = " and ".join(shown(titles[at], 40) for at in pair)
        raise refusals.DOUBLED_COLUMN(column=TITLES[column], seen=seen)
    times = [at for at, title in enumerate(titles) if title_key(title) == "time"]
    blank = [at for at, title in enumerate(titles[:1]) if not str(title).strip()]
    if blank:
        found.setdefault("session_date", 0)
    if times and found.get("session_date") != times[0]:
        found["time"] = times[0]
    ends = [at for at, title in enumerate(titles) if title_key(title) == CLOSED_AT]
    if ends and title_key(titles[found.setdefault("session_date", ends[0])]) in ("sessiondate", CLOSED_AT):
        found["closed_at"] = ends[0]
    return found


def _unnumbered(title: object) -> str:
    """The key of a title; that of the first one where pandas has numbered a second one, as in `Close.1`."""
    key, first = title_key(title), re.fullmatch(r"(.+)\.\d+", str(title).strip())
    of_first = title_key(first[1]) if first else ""
    return of_first if of_first in _COLUMNS or _WEAK.get(of_first, ("", 0))[0] in PRICES else key


def _pair(title: object) -> tuple[str, str] | None:
    """The two parts of a title that is a pair, or spells one."""
    if isinstance(title, tuple):
        return (str(title[0]), str(title[1])) if len(title) == 2 else None
    spelt = _TUPLE.fullmatch(str(title)[:_LONGEST].strip())
    return (spelt[2], spelt[4]) if spelt else None


def _qualified(title: object) -> tuple[str, str] | None:
    """The column that a title spells and the ticker beside it; of a volume with a unit, its title."""
    text = str(title)[:_LONGEST].strip()
    for found, at, ticker in ((_SYMBOL_FIRST.fullmatch(text), 2, 1), (_FIELD_FIRST.fullmatch(text), 1, 2)):
        if found and found[ticker] not in _NO_SYMBOLS:
            key, field = title_key(found[at]), found[at]
            name = field if key == "volumeof" or is_unread_volume(field) else _FIELDS.get(key)
            if name:
                return name, found[ticker]
    return None


def _bracketed(titles: Sequence[object]) -> list[tuple[str, str] | None]:
    """The titles and tickers where each price has one in brackets, as in `Open (MSFT)`; empty where it is a unit."""
    texts = [str(title)[:_LONGEST].strip() for title in titles]
    found = [_IN_BRACKETS.fullmatch(text) for text in texts]
    fields = [_FIELDS.get(title_key(match[1]), "") if match else "" for match in found]
    tickers = {match[2] for match, field in zip(found, fields, strict=True) if match and field in PRICES}
    units = {word for word in tickers if word in COINS or word.isdigit() or _multiple(word)}
    if not tickers or not set(PRICES) <= set(fields) or units or _are_no_tickers(tickers):
        return []
    pairs: list[tuple[str, str] | None] = []
    for text, match in zip(texts, found, strict=True):
        is_volume = column_of(text) == "volume" or is_unread_volume(text)
        if match and match[2] in tickers:
            pairs.append((match[1], match[2]))
        else:
            pairs.append((text, next(iter(tickers))) if is_volume and len(tickers) == 1 else None)
    return pairs


def _by_ticker(titles: Sequence[object], pairs: Sequence[tuple[str, str] | None]) -> list[Part]:
    """One part a ticker; the dates are in the column that belongs to none."""
    full = [bool(pair and pair[0] and pair[1]) for pair in pairs]
    halves = [pair[0] or pair[1] if pair else title for title, pair in zip(titles, pairs, strict=True)]
    own = _columns(["-" if is_full else half for half, is_full in zip(halves, full, strict=True)])
    shared = {name: at for name, at in own.items() if name in ("session_date", "time", "closed_at")}
    fields = list(_fields(pairs))
    found: dict[str, dict[str, int]] = {}
    for at, (field, ticker) in fields:
        column = _FIELDS.get(title_key(field))
        if column:
            columns = found.setdefault(ticker, {})
            if column in columns:
                seen = "it is there twice"
                raise refusals.DOUBLED_COLUMN(column=f"{TITLES[column]} of {shown(ticker, 40)}", seen=seen)
            columns[column] = at
    volumes = _volumes(fields)
    parts = []
    for ticker, columns in found.items():
        at, title, unread = volumes.get(ticker, (-1, "", ""))
        columns = shared | columns | ({"volume": at} if title else {})
        named = [f"{TITLES[name]} of {ticker}" for name in columns if name not in shared]
        _check_missing(columns, ["Date"] * ("session_date" in columns) + named)
        titled = {name: TITLES.get(name, name) for name in columns} | ({"volume": title} if title else {})
        parts.append(Part(ticker, columns, titled, unread))
    return parts


def _volumes(fields: Sequence[tuple[int, tuple[str, str]]]) -> dict[str, tuple[int, str, str]]:
    """The place and the title of each ticker's volume, and that of one which is left out where there is no other.

    Raises:
        InvalidBars: they are in several units.
    """
    found: dict[str, tuple[int, str, str]] = {}
    for is_plain in (True, False):
        for at, (title, ticker) in fields:
            if _FIELDS.get(title_key(title)) == "volume" if is_plain else title_key(title) == "volumeof":
                found.setdefault(ticker, (at, TITLES.get(title, title).strip(), ""))
    units = {volume_unit(title): f"{shown(title, 40)} of {shown(name, 40)}" for name, (_, title, _) in found.items()}
    if len(units) > 1:
        raise refusals.TWO_UNITS(seen=" and ".join([*units.values()][:2]))
    for at, (title, ticker) in fields:
        if is_unread_volume(title):
            found.setdefault(ticker, (at, "", f"{shown(title, 40).strip()} of {shown(ticker, 40)}"))
    return found


def _fields(pairs: Sequence[tuple[str, str] | None]) -> Iterator[tuple[int, tuple[str, str]]]:
    """The titles of columns and their tickers, whichever half of their pairs is the field."""
    full = [(at, pair) for at, pair in enumerate(pairs) if pair and pair[0] and pair[1]]
    firsts = sum(title_key(pair[0]) in _FIELDS for _, pair in full)
    seconds = sum(title_key(pair[1]) in _FIELDS for _, pair in full)
    for at, pair in full:
        field, ticker = pair if firsts >= seconds else pair[::-1]
        yield at, (field, ticker.strip())
