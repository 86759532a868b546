"""Quotations in sentences: text from a file or a message, made safe, and numbers as people read them."""

import math
import re
from numbers import Real
from typing import TypeGuard

from tickercast.plain import printable


def shown(seen: object, longest: int) -> str:
    """Text from a file, safe to quote: nothing in it moves a terminal's cursor or reverses text."""
    return printable(str(seen)[:longest]).replace("\n", "\N{REPLACEMENT CHARACTER}")


def quoted(given: object, longest: int = 40) -> str:
    """An argument as a sentence shows it: a text in quotation marks, anything else without.

    >>> quoted("5"), quoted(5), quoted([1, 2]), quoted(None)
    ("'5'", '5', '[1, 2]', 'None')
    """
    return shown(repr(given) if isinstance(given, str) else str(given), longest)


def is_number(value: object) -> TypeGuard[float]:
    """Whether an argument is a real number; a truth value and NaN are none."""
    return isinstance(value, Real) and not isinstance(value, bool) and value == value


def one_line(error: Exception, longest: int = 160) -> str:
    """An error's message as one line, safe to quote."""
    return shown(" ".join(str(error).split()), longest)


def is_named(name: str, sentence: str) -> bool:
    """Whether a sentence names something, rather than another name or a word that its letters are in.

    >>> [is_named("F", one) for one in ("F has no bar.", "For F-B no bar was found.", "No bar of F.")]
    [True, False, True]
    """
    at = sentence.find(name)  # a pattern a name would be compiled for each symbol of a file
    while at >= 0:
        if _MAY_BEGIN.match(sentence, at) and _MAY_END.match(sentence, at + len(name)):
            return True
        at = sentence.find(name, at + 1)
    return False


def about(name: str, sentence: str) -> str:
    """A sentence with the name that it is about before it, unless it names that itself.

    >>> about("F", "No bar was found."), about("F", "No bar of F.")
    ('F: No bar was found.', 'No bar of F.')
    """
    return sentence if is_named(name, sentence) else f"{name}: {sentence}"


_MAY_BEGIN, _MAY_END = re.compile(r"(?<![\w.^-])"), re.compile(r"(?![\w=-]|\.\w)")


def decimals(value: float) -> int:
    """The number of decimals for a price of this size: two from 10 on, and below as many as make five digits.

    >>> [decimals(value) for value in (1891.5, 10.0, 9.5, 1.0312, 0.9969, 0.0001234567, 0.0)]
    [2, 2, 4, 4, 5, 8, 2]
    """
    size = abs(value)
    return 4 - math.floor(math.log10(size)) if 0 < size < 10 else 2


def price(value: float, beside: float | None = None) -> str:
    """A price with as many decimals as its size asks for, or that of the price beside it.

    >>> price(1891.5), price(343.7699890136719), price(0.0001234567), price(-1234567.0)
    ('1,891.50', '343.77', '0.00012346', '-1,234,567.00')
    >>> price(1.0559812), price(0.99686), price(0.99686, beside=1.0326)
    ('1.0560', '0.99686', '0.9969')

    Args:
        value: the price.
        beside: another price of the same symbol, such as its last close, so that both have the same decimals.
    """
    return f"{value:,.{decimals(value if beside is None else beside)}f}"


def rounded(value: float, digits: int = 6) -> str:
    """A number with that many significant digits, or all of those before its point, and never an exponent.

    >>> rounded(1234567.8), rounded(12.5), rounded(0.00001234), rounded(3.0), rounded(1531.2, 3)
    ('1,234,568', '12.5', '0.00001234', '3', '1,531')
    """
    places = digits - 1 - math.floor(math.log10(abs(value))) if value and math.isfinite(value) else 0
    return f"{value:,.{places}f}".rstrip("0").rstrip(".") if places > 0 else f"{value:,.0f}"
