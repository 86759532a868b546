"""Numbers as people and vendors write them: `$1,234.50`, `1.234,50`, `4.95M`, and nothing as `-`, `N/A` or `null`.

Which of comma and point separates thousands is decided by all numbers of a file together.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tickercast.domain import refusals
from tickercast.domain.price_titles import BLANKS, TITLES
from tickercast.domain.text import shown

_SIGNS = "[$€£¥₹]"
_GROUPED = r"^[-+]?(?:\d{{1,3}}(?:{0}\d{{3}})+|\d+)?(?:{1}\d*)?(?:[eE][-+]?\d+)?\s*[KkMmBbTt]?$"
_WITH_POINT, _WITH_COMMA = _GROUPED.format(",", r"\."), _GROUPED.format(r"\.", ",")
_TIMES = {"k": 1e3, "m": 1e6, "b": 1e9, "t": 1e12}


@dataclass(frozen=True)
class Numbers:
    """The numbers of a column.

    Attributes:
        values: `(rows,)`; NaN where there is none.
        empty: `(rows,)`, where the cell is empty, rather than unreadable.
    """

    values: NDArray[np.float64]
    empty: NDArray[np.bool_]


def read_numbers(columns: Mapping[str, pa.ChunkedArray], titles: Mapping[str, str] = TITLES) -> dict[str, Numbers]:
    """Read the texts of the columns of a file.

    >>> found = read_numbers({"close": pa.chunked_array([["1.234,50", "-"]])})["close"]
    >>> float(found.values[0]), found.empty.tolist()
    (1234.5, [False, True])

    Args:
        columns: texts, by column.
        titles: the file's own titles of the columns.

    Raises:
        InvalidBars: commas may separate thousands as well as decimals.
    """
    try:  # one by one: the texts of a column are let go before those of the next are made
        return {name: _numbers(text.cast(pa.float64()), text) for name, text in _each(columns)}
    except pa.ArrowInvalid:
        plain = {name: _without_signs(text) for name, text in _each(columns)}
        comma = _has_decimal_comma(plain, titles)
        return {name: _numbers(_cast(text, comma, suffixed=name == "volume"), text) for name, text in plain.items()}


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


def _has_decimal_comma(columns: Mapping[str, pa.ChunkedArray], titles: Mapping[str, str]) -> bool:
    points = commas = 0
    unsure: tuple[str, str] | None = None
    for name, text in columns.items():
        marked = text.drop_null().filter(pc.match_substring_regex(text.drop_null(), r"[.,]"))
        point, comma = pc.match_substring_regex(marked, _WITH_POINT), pc.match_substring_regex(marked, _WITH_COMMA)
        points += pc.sum(pc.and_not(point, comma)).as_py() or 0
        commas += pc.sum(pc.and_not(comma, point)).as_py() or 0
        either = marked.filter(pc.and_(pc.and_(point, comma), pc.match_substring(marked, ",")))
        if len(either) and unsure is None:
            unsure = name, either[0].as_py()
    if unsure and points == commas == 0:
        raise refusals.TWO_COMMAS(column=titles.get(unsure[0], unsure[0]), seen=shown(unsure[1], 40))
    return commas > points


def _cast(text: pa.ChunkedArray, comma: bool, *, suffixed: bool) -> pa.ChunkedArray:
    grouped, decimal, pattern = (".", ",", _WITH_COMMA) if comma else (",", ".", _WITH_POINT)
    times = 1.0
    if suffixed:
        suffix = pc.utf8_lower(pc.utf8_slice_codeunits(text, -1))
        times = pc.fill_null(pc.take(pa.array(_TIMES.values()), pc.index_in(suffix, pa.array(_TIMES))), 1.0)
        text = pc.replace_substring_regex(text, r"(\d[.,]?)\s*[KkMmBbTt]$", r"\1")
    readable = pc.match_substring_regex(text, pattern)
    text = pc.replace_substring(pc.replace_substring(text, grouped, ""), decimal, ".")
    readable = pc.and_(readable, pc.match_substring_regex(text, r"\d"))
    readable = pc.or_(readable, pc.is_in(pc.utf8_lower(text), pa.array(["inf", "-inf", "infinity"])))
    return pc.multiply(pc.if_else(readable, text, pa.scalar(None, pa.string())).cast(pa.float64()), times)
