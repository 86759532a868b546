"""Numbers as people and vendors write them: `$1,234.50`, `1.234,50`, `4.95M`, and nothing as `-`, `N/A` or `null`.

Which of comma and point separates thousands is decided by all numbers of a file together; where these leave it open, by
its other columns.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tickercast.domain.files import refusals
from tickercast.domain.files.price_dates import is_day_first
from tickercast.domain.files.price_titles import BLANKS, TITLES
from tickercast.domain.text import shown

_SIGNS = "[$€£¥₹]"
_GROUPED = r"^[-+]?(?:(?:[1-9]\d{{0,2}}(?:{0}\d{{3}})+|\d+)(?:{1}\d*)?|{1}\d+)(?:[eE][-+]?\d+)?$"
_WITH_POINT, _WITH_COMMA = _GROUPED.format(",", r"\."), _GROUPED.format(r"\.", ",")
_ONE_GROUP = r"^[-+]?[1-9]\d{0,2}\.\d{3}$"
_FRACTION = r"^[-+]?\d+[.,]\d+\s?%?$"
_SWISS, _NO_32NDS = r"\d['’]\d", r"['’]\d\d[49]|['’](?:3[2-9]|[4-9]\d)\d|['’]\d{3}['’.,]"
_SUFFIX = r"^(.*\d[.,]?)\s*[KkMmBbTt]\s*$"
_TIMES = {"k": 1e3, "m": 1e6, "b": 1e9, "t": 1e12}
_A_LOOK = 50  # cells


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
    """

    columns: Sequence[pa.ChunkedArray] = ()
    dates: Sequence[str] = ()
    may_have_commas: bool = True


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

    Raises:
        InvalidBars: a comma, a point or an apostrophe may separate thousands as well as something else.
    """
    found: dict[str, Numbers] = {}
    grouped = beside.may_have_commas
    try:  # one by one: the texts of a column are let go before those of the next are made
        for name, text in _each(columns):
            found[name] = _numbers(text.cast(pa.float64()), text)
            grouped = grouped and _may_be_grouped(text)
    except pa.ArrowInvalid:
        grouped = True
    if not grouped:
        return found
    texts = dict(_each(columns))
    _check_32nds(texts, titles)
    plain = {name: _without_signs(text) for name, text in texts.items()}
    times = {"volume": _multiples(plain["volume"])} if "volume" in plain else {}
    plain |= {name: pc.replace_substring_regex(plain[name], _SUFFIX, r"\1") for name in times}
    comma = _has_decimal_comma(plain, titles, beside)
    return {name: _numbers(_cast(text, comma, times.get(name)), texts[name]) for name, text in plain.items()}


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
    text = pc.replace_substring_regex(text, rf"^([-+]?)\s*{_SIGNS}\s*|\s*{_SIGNS}$", r"\1")
    # Swiss and French thousands; a group has three digits, or it is none.
    for _ in range(5):
        text = pc.replace_substring_regex(text, r"^([-+]?\d{1,3}(?:\d{3})*)['’\x{a0}\x{202f} ](\d{3})(\D|$)", r"\1\2\3")
    return text


def _may_be_grouped(text: pa.ChunkedArray) -> bool:
    """Whether every point may separate thousands: prices of three decimals look so."""
    for part in (text.slice(0, _A_LOOK), text):
        marked = part.filter(pc.match_substring(part, "."))
        if not pc.all(pc.match_substring_regex(marked, _ONE_GROUP)).as_py():
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


def _has_decimal_comma(columns: Mapping[str, pa.ChunkedArray], titles: Mapping[str, str], beside: Beside) -> bool:
    points = commas = 0
    unsure: dict[str, tuple[str, str]] = {}
    for name, text in columns.items():
        marked = text.filter(pc.match_substring_regex(text, r"[.,]"))
        point, comma = pc.match_substring_regex(marked, _WITH_POINT), pc.match_substring_regex(marked, _WITH_COMMA)
        points += pc.sum(pc.and_not(point, comma)).as_py() or 0
        commas += pc.sum(pc.and_not(comma, point)).as_py() or 0
        either = marked.filter(pc.and_(point, comma))
        for mark in ",.":
            of_mark = either.filter(pc.match_substring(either, mark))
            if len(of_mark):
                unsure.setdefault(mark, (name, of_mark[0].as_py()))
    if unsure and points == commas == 0:
        points, commas = _fractions(beside.columns)
    if points == commas == 0:
        for mark, refusal in ((",", refusals.TWO_COMMAS), (".", refusals.TWO_POINTS)):
            if mark in unsure and (mark == "," or (beside.may_have_commas and is_day_first(beside.dates))):
                name, seen = unsure[mark]
                raise refusal(column=titles.get(name, name), seen=shown(seen, 40))
    return commas > points


def _fractions(columns: Sequence[pa.ChunkedArray]) -> tuple[int, int]:
    """The cells, such as -0.53% and -0,53%, whose decimal mark is a point, and those whose is a comma."""
    points = commas = 0
    for column in columns:
        text = pc.utf8_trim_whitespace(column.cast(pa.string()))
        text = pc.replace_substring_regex(text.filter(pc.match_substring_regex(text, _FRACTION)), r"\s?%$", "")
        point, comma = pc.match_substring_regex(text, _WITH_POINT), pc.match_substring_regex(text, _WITH_COMMA)
        points += pc.sum(pc.and_not(point, comma)).as_py() or 0
        commas += pc.sum(pc.and_not(comma, point)).as_py() or 0
    return points, commas


def _multiples(text: pa.ChunkedArray) -> pa.ChunkedArray | None:
    """The factor in the last letter of each volume; None if no volume has such a letter."""
    if not have_suffixes(text):
        return None
    suffix = pc.utf8_lower(pc.utf8_slice_codeunits(text, -1))
    return pc.fill_null(pc.take(pa.array(_TIMES.values()), pc.index_in(suffix, pa.array(_TIMES))), 1.0)


def _cast(text: pa.ChunkedArray, comma: bool, times: pa.ChunkedArray | None) -> pa.ChunkedArray:
    grouped, decimal, pattern = (".", ",", _WITH_COMMA) if comma else (",", ".", _WITH_POINT)
    readable = pc.match_substring_regex(text, pattern)
    text = pc.replace_substring(pc.replace_substring(text, grouped, ""), decimal, ".")
    readable = pc.or_(readable, pc.is_in(pc.utf8_lower(text), pa.array(["inf", "-inf", "infinity"])))
    values = pc.if_else(readable, text, pa.scalar(None, pa.string())).cast(pa.float64())
    return values if times is None else pc.multiply(values, times)
