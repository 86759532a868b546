"""Numbers as people and vendors write them: `$1,234.50`, `1.234,50`, `4.95M`, and nothing as `-`, `N/A` or `null`.

Which of comma and point separates thousands is decided by all numbers of a file together; where these leave it open, by
its other columns. Volumes that show it themselves may be written in another way than prices.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tickercast.domain.asset_classes import CRYPTO, FX, asset_class
from tickercast.domain.files import refusals
from tickercast.domain.files.price_dates import is_day_first
from tickercast.domain.files.price_titles import BLANKS, MULTIPLES, TITLES
from tickercast.domain.spelling import CURRENCIES, STABLE
from tickercast.domain.text import shown
from tickercast.errors import InvalidBars

_BLANK = r"[\s\x{a0}\x{2007}\x{2009}\x{202f}]"
_SIGNS = "|".join(
    [r"(?:[A-Z]{1,2})?\$", "[€£¥₹₩₽₺₫฿₪₱₦₴]", r"Rs\.?", "zł", "Kč", r"kr\.?", "Ft", *sorted(CURRENCIES), *STABLE]
)
_MONEY = rf"^[-+]?{_BLANK}*(?:{_SIGNS}){_BLANK}*[\d.,]|\d{_BLANK}*(?:{_SIGNS})$"
_GROUPED = r"^[-+]?(?:(?:[1-9]\d{{0,2}}(?:{0}\d{{3}})+|{2}\d+)(?:{1}\d*)?|{1}\d+)(?:[eE][-+]?\d+)?$"
_LAKHS = r"[1-9]\d?(?:,\d\d)+,\d{3}|"  # thousands as in India: 12,34,567
_WITH_POINT, _WITH_COMMA = _GROUPED.format(",", r"\.", _LAKHS), _GROUPED.format(r"\.", ",", "")
_ONE_GROUP = r"^[-+]?[1-9]\d{0,2}\.\d{3}$"
_FRACTION = rf"^[-+]?\d+[.,]\d+{_BLANK}?%?$"
_SWISS, _NO_32NDS = r"\d['’]\d", r"['’]\d\d[49]|['’](?:3[2-9]|[4-9]\d)\d|['’]\d{3}['’.,]"
_TIMES = MULTIPLES | {"t": 1e12}
_SUFFIX = rf"(?i)^(.*\d[.,]?){_BLANK}*({'|'.join(sorted(_TIMES, key=len, reverse=True))})\.?{_BLANK}*$"
_A_LOOK = 50  # cells
_FEW = 20  # cells
_ROUNDING = 1e-6


@dataclass(frozen=True)
class Numbers:
    """The numbers of a column.

    Attributes:
        values: `(rows,)`; NaN where there is none.
        empty: `(rows,)`, where the cell is empty, rather than unreadable.
    """

    values: NDArray[np.float64]
    empty: NDArray[np.bool_]


@dataclass(frozen=True)
class Beside:
    """Further texts of a file that may show how its numbers are written.

    Attributes:
        columns: the texts of its further columns.
        dates: the texts of its dates.
        may_have_commas: whether a cell may hold a comma.
        symbols: the symbols whose volumes are counted in ones, as far as their titles say.
    """

    columns: Sequence[pa.ChunkedArray] = ()
    dates: Sequence[str] = ()
    may_have_commas: bool = True
    symbols: Sequence[str] = ()

    @property
    def are_whole(self) -> bool:
        """Whether volumes are whole numbers, as of shares: those of coins are not."""
        return bool(self.symbols) and not {asset_class(symbol) for symbol in self.symbols} & {CRYPTO, FX}


NOTHING_BESIDE = Beside()


def read_numbers(
    columns: Mapping[str, pa.ChunkedArray], titles: Mapping[str, str] = TITLES, beside: Beside = NOTHING_BESIDE
) -> dict[str, Numbers]:
    """Read the texts of the columns of a file.

    >>> found = read_numbers({"close": pa.chunked_array([["1.234,50", "-"]])})["close"]
    >>> float(found.values[0]), found.empty.tolist()
    (1234.5, [False, True])

    Args:
        columns: texts, by column.
        titles: the file's own titles of the columns.
        beside: the further texts of the file.

    Returns:
        The numbers by column, without volumes that are amounts of money.

    Raises:
        InvalidBars: a comma, a point or an apostrophe may separate thousands as well as something else.
    """
    found: dict[str, Numbers] = {}
    grouped, in_groups = beside.may_have_commas, False
    try:  # one by one: the texts of a column are let go before those of the next are made
        for name, text in _each(columns):
            found[name] = _numbers(text.cast(pa.float64()), text)
            grouped = grouped and _may_be_grouped(text)
            in_groups = in_groups or (name == "volume" and _in_one_group(text) is not None and beside.are_whole)
    except pa.ArrowInvalid:
        grouped = True
    if not grouped and not in_groups:
        return found
    texts = dict(_each(columns))
    if "volume" in texts and (pc.mean(pc.match_substring_regex(texts["volume"], _MONEY)).as_py() or 0) > 0.5:
        del texts["volume"]
    _check_32nds(texts, titles)
    plain = {name: _ungrouped(text if name == "volume" else _without_signs(text)) for name, text in texts.items()}
    times = {"volume": _multiples(plain["volume"])} if "volume" in plain else {}
    plain |= {name: pc.replace_substring_regex(plain[name], _SUFFIX, r"\1") for name in times}
    suffixed = [name for name in times if times[name] is not None]
    comma = _decimal_commas(plain, titles, beside, suffixed)
    return {name: _numbers(_cast(text, comma[name], times.get(name)), texts[name]) for name, text in plain.items()}


def have_suffixes(volumes: pa.ChunkedArray) -> bool:
    """Whether volumes are written as 4.95M, which says more than their title."""
    return bool(pc.any(pc.match_substring_regex(volumes.cast(pa.string()), _SUFFIX)).as_py())


def _each(columns: Mapping[str, pa.ChunkedArray]) -> Iterator[tuple[str, pa.ChunkedArray]]:
    """The texts of each column without blanks around them, null where there is none."""
    for name, column in columns.items():
        text = pc.utf8_trim_whitespace(column.cast(pa.string()).fill_null(""))
        blank = pc.is_in(pc.utf8_lower(text), pa.array(BLANKS))
        yield name, pc.if_else(blank, pa.scalar(None, pa.string()), text)


def _numbers(values: pa.ChunkedArray, text: pa.ChunkedArray) -> Numbers:
    return Numbers(values.to_numpy().astype(np.float64), pc.is_null(text).to_numpy())


def _without_signs(text: pa.ChunkedArray) -> pa.ChunkedArray:
    if not pc.any(pc.match_substring_regex(text, r"[^\d.,]")).as_py():
        return text
    signs = rf"^([-+]?){_BLANK}*(?:{_SIGNS}){_BLANK}*|{_BLANK}*(?:{_SIGNS})$"
    return pc.replace_substring_regex(text, signs, r"\1")


def _ungrouped(text: pa.ChunkedArray) -> pa.ChunkedArray:
    """Numbers without Swiss and French thousands marks; a group has three digits, or it is none."""
    if not pc.any(pc.match_substring_regex(text, r"\d['’\x{a0}\x{2007}\x{2009}\x{202f} ]\d")).as_py():
        return text
    for _ in range(5):
        text = pc.replace_substring_regex(
            text, r"^([-+]?\d{1,3}(?:\d{3})*)['’\x{a0}\x{2007}\x{2009}\x{202f} ](\d{3})(\D|$)", r"\1\2\3"
        )
    return text


def _may_be_grouped(text: pa.ChunkedArray) -> bool:
    """Whether every point may separate thousands: prices of three decimals look so."""
    for part in (text.slice(0, _A_LOOK), text):
        marked = part.filter(pc.match_substring(part, "."))
        if len(marked) and not pc.all(pc.match_substring_regex(marked, _ONE_GROUP)).as_py():
            return False
    return True


def _check_32nds(columns: Mapping[str, pa.ChunkedArray], titles: Mapping[str, str]) -> None:
    """Refuse prices such as 118'140: 118 and 14/32 of a bond, or 118,140 as the Swiss write it."""
    seen: tuple[str, str] | None = None
    for name, text in columns.items():
        if name == "volume":
            continue
        quoted = text.filter(pc.match_substring_regex(text, _SWISS))
        if pc.any(pc.match_substring_regex(quoted, _NO_32NDS)).as_py():
            return
        if len(quoted) and seen is None:
            seen = name, quoted[0].as_py()
    if seen:
        raise refusals.IN_32NDS(column=titles.get(seen[0], seen[0]), seen=shown(seen[1], 40))


def _decimal_commas(
    columns: Mapping[str, pa.ChunkedArray], titles: Mapping[str, str], beside: Beside, suffixed: Sequence[str]
) -> dict[str, bool]:
    """Whether a comma separates decimals, in each column: in all alike, but for volumes that show their thousands."""
    prices = {name: text for name, text in columns.items() if name != "volume"}
    volumes = columns.get("volume", pa.chunked_array([], pa.string()))
    several, one = _in_groups(volumes), None if suffixed else _in_one_group(volumes)
    mark = several or (one if one and beside.are_whole else None)
    if mark is None:
        return dict.fromkeys(columns, _has_decimal_comma(columns, titles, beside, suffixed))
    sure = {name: _sure(text) for name, text in prices.items()}
    either = _either(sure)
    if several is None or not either or any(_votes(sure, either[0], suffixed)):
        comma = _has_decimal_comma(prices, titles, beside, suffixed)
    else:
        comma = _has_decimal_comma(columns, titles, beside, suffixed)
        if comma and either[0] == "." and not (is_day_first(beside.dates) or _fractions(beside.columns)[1]):
            raise _two_readings(either, titles)
    return dict.fromkeys(prices, comma) | {"volume": mark == "."}


def _in_groups(volumes: pa.ChunkedArray) -> str | None:
    """The mark between the thousands of volumes such as 1.234.567, if no cell has it otherwise; else None."""
    sure = _sure(volumes)
    for mark, others in ((".", sure.points), (",", sure.commas)):
        shape = rf"^[1-9]\d{{0,2}}(?:[{mark}]\d{{3}}){{2,}}$"
        if not others and pc.any(pc.match_substring_regex(volumes, shape)).as_py():
            return mark
    return None


def _in_one_group(volumes: pa.ChunkedArray) -> str | None:
    """The mark in volumes of shares below a million, such as 950 and 1.234, which have no decimals; else None.

    A few may have three decimals by chance, as after a split of 1:8.
    """
    volumes = volumes.drop_null()
    for mark in (".", ","):
        marked = pc.sum(pc.match_substring(volumes, mark)).as_py() or 0
        shape = rf"^(?:0|[1-9]\d{{0,2}}(?:[{mark}]\d{{3}})?)$"
        if 2 * marked > len(volumes) >= _FEW and pc.all(pc.match_substring_regex(volumes, shape)).as_py():
            return mark
    return None


def may_be_in_one_group(volumes: NDArray[np.float64]) -> bool:
    """Whether volumes that were read as numbers may have been written as `_in_one_group` tells by their texts.

    >>> may_be_in_one_group(np.array([278.998] * 20)), may_be_in_one_group(np.array([278.998, 27.5] * 10 + [0.0001]))
    (True, False)
    """
    known = volumes[~np.isnan(volumes)]
    if len(known) < _FEW or not known.max() < 1000 or (known == np.floor(known)).all():
        return False
    return bool((np.abs(known * 1000 - np.round(known * 1000)) < _ROUNDING).all())


def _has_decimal_comma(
    columns: Mapping[str, pa.ChunkedArray], titles: Mapping[str, str], beside: Beside, suffixed: Sequence[str]
) -> bool:
    """Whether a comma separates decimals.

    Where a mark may separate either, the cells that have it tell, and the others of their columns: a program may have
    written the rest in another way, such as volumes as 69368900.0 beside the prices of a sheet.
    """
    sure = {name: _sure(text) for name, text in columns.items()}
    either = _either(sure)
    if not either:
        return sum(each.commas for each in sure.values()) > sum(each.points for each in sure.values())
    mark = either[0]
    points, commas = _votes(sure, mark, suffixed)
    if points == commas == 0:
        points, commas = _fractions(beside.columns, with_points_alone=mark == ".")
    if points == commas == 0:
        others = any(each.commas for each in sure.values())
        if mark == "," or others or (beside.may_have_commas and is_day_first(beside.dates)):
            raise _two_readings(either, titles)
    return commas > points


@dataclass(frozen=True)
class _Sure:
    """The decimal marks in the cells of a column.

    Attributes:
        points: those that a point for decimals alone explains.
        commas: those that a comma for decimals alone explains.
        has_points: whether any has a point.
        has_commas: whether any has a comma.
        either: a cell that both explain, by the mark in it.
    """

    points: int
    commas: int
    has_points: bool
    has_commas: bool
    either: Mapping[str, str]


def _either(sure: Mapping[str, _Sure]) -> tuple[str, str, str] | None:
    """A mark that may separate thousands as well as decimals, a comma before a point, its column, and the cell."""
    seen = {mark: (mark, name, cell) for name, each in [*sure.items()][::-1] for mark, cell in each.either.items()}
    return seen.get(",") or seen.get(".")


def _votes(sure: Mapping[str, _Sure], mark: str, suffixed: Sequence[str]) -> tuple[int, int]:
    """The cells that say that a point, and those that a comma separates decimals where the mark may be either."""
    points = sum(each.points for each in sure.values() if mark == "." or each.has_commas)
    commas = sum(each.commas for name, each in sure.items() if mark == "," or each.has_points or name in suffixed)
    return points, commas


def _two_readings(either: tuple[str, str, str], titles: Mapping[str, str]) -> InvalidBars:
    mark, name, seen = either
    refusal = refusals.TWO_COMMAS if mark == "," else refusals.TWO_POINTS
    return refusal(column=titles.get(name, name), seen=shown(seen, 40))


def _sure(text: pa.ChunkedArray) -> _Sure:
    marked = text.filter(pc.match_substring_regex(text, r"[.,]"))
    point, comma = pc.match_substring_regex(marked, _WITH_POINT), pc.match_substring_regex(marked, _WITH_COMMA)
    has_point, has_comma = pc.match_substring(marked, "."), pc.match_substring(marked, ",")
    both = pc.and_(point, comma)
    firsts = {mark: marked.filter(pc.and_(both, has)) for mark, has in ((",", has_comma), (".", has_point))}
    return _Sure(
        pc.sum(pc.and_not(point, comma)).as_py() or 0,
        pc.sum(pc.and_not(comma, point)).as_py() or 0,
        bool(pc.any(has_point).as_py()),
        bool(pc.any(has_comma).as_py()),
        {mark: cells[0].as_py() for mark, cells in firsts.items() if len(cells)},
    )


def _fractions(columns: Sequence[pa.ChunkedArray], *, with_points_alone: bool = False) -> tuple[int, int]:
    """The cells, such as -0.53% and -0,53%, whose decimal mark is a point, and those whose is a comma.

    Args:
        columns: texts.
        with_points_alone: whether a point counts without the sign of a percentage, as a program writes it.
    """
    points = commas = 0
    for column in columns:
        text = pc.utf8_trim_whitespace(column.cast(pa.string()))
        text = text.filter(pc.match_substring_regex(text, _FRACTION))
        if not with_points_alone:
            text = text.filter(pc.match_substring_regex(text, "[,%]"))
        text = pc.replace_substring_regex(text, rf"{_BLANK}?%$", "")
        point, comma = pc.match_substring_regex(text, _WITH_POINT), pc.match_substring_regex(text, _WITH_COMMA)
        points += pc.sum(pc.and_not(point, comma)).as_py() or 0
        commas += pc.sum(pc.and_not(comma, point)).as_py() or 0
    return points, commas


def _multiples(text: pa.ChunkedArray) -> pa.ChunkedArray | None:
    """The factor in the last word of each volume; None if no volume has such a word."""
    if not have_suffixes(text):
        return None
    suffix = pc.utf8_lower(pc.replace_substring_regex(text, _SUFFIX, r"\2"))
    return pc.fill_null(pc.take(pa.array(_TIMES.values()), pc.index_in(suffix, pa.array(_TIMES))), 1.0)


def _cast(text: pa.ChunkedArray, comma: bool, times: pa.ChunkedArray | None) -> pa.ChunkedArray:
    grouped, decimal, pattern = (".", ",", _WITH_COMMA) if comma else (",", ".", _WITH_POINT)
    readable = pc.match_substring_regex(text, pattern)
    text = pc.replace_substring(pc.replace_substring(text, grouped, ""), decimal, ".")
    readable = pc.or_(readable, pc.is_in(pc.utf8_lower(text), pa.array(["inf", "-inf", "infinity"])))
    values = pc.if_else(readable, text, pa.scalar(None, pa.string())).cast(pa.float64())
    return values if times is None else pc.multiply(values, times)
