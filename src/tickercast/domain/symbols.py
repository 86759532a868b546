"""A symbol: the name of a series, as Yahoo spells it."""

import re
from collections.abc import Iterable, Sequence
from typing import TypeAlias

from tickercast.domain.spelling import in_four_digits, in_yahoos_spelling, is_isin, owner_of
from tickercast.domain.text import shown
from tickercast.errors import UsageError

Symbols: TypeAlias = str | Iterable[str]
"""One symbol, or several: a list, a set, a column of a table."""

_SYMBOL = re.compile(r"[A-Z0-9^](?:[.=-]?[A-Z0-9^])*")
_LONGEST_SYMBOL = 20


def parse_symbol(text: str) -> str:
    """Check a symbol as Yahoo spells it, and return it in upper case.

    >>> parse_symbol("brk-b"), parse_symbol("00700.HK")
    ('BRK-B', '0700.HK')

    Raises:
        UsageError: the text is not a symbol.
    """
    symbol = text.strip().upper()
    if is_isin(symbol):
        raise UsageError(
            f"{symbol!r} is an ISIN: a symbol was needed, as Yahoo spells it (MSFT, BRK-B, VOD.L, ETH-USD). Look up "
            "the listing that you mean, and give its symbol."
        )
    if not (text.isascii() and is_symbol(symbol)):
        raise UsageError(
            f"{shown(text, 40)!r} is not a symbol: up to 20 letters, digits and single . - = ^ were needed, "
            "as Yahoo spells them (MSFT, BRK-B, VOD.L, ETH-USD)."
        )
    return in_four_digits(symbol)


def named_after(stem: str) -> str | None:
    """The symbol that a file is named after, as Yahoo spells it; None if its name is no symbol.

    >>> named_after("msft.us"), named_after("BTCUSDT-1h-2023-07"), named_after("my prices")
    ('MSFT', 'BTCUSDT', None)

    Args:
        stem: the file's name without its ending.
    """
    plain = owner_of(stem.strip())
    try:
        # In a name, an underscore parts words rather than the two sides of a pair.
        is_plain = plain.isascii() and "_" not in plain
        return parse_symbol(in_yahoos_spelling(plain.upper()) if is_plain else plain)
    except UsageError:
        return None


def parse_symbols(symbols: Symbols) -> list[str]:
    """Check symbols as Yahoo spells them, and return them in upper case, each once; a text is one symbol.

    >>> parse_symbols("msft"), parse_symbols(["MSFT", "ibm", "msft"])
    (['MSFT'], ['MSFT', 'IBM'])

    Raises:
        UsageError: a text is not a symbol.
    """
    return list(dict.fromkeys(parse_symbol(text) for text in one_or_more(symbols)))


def one_or_more(symbols: Symbols) -> list[str]:
    """Symbols as a list; a text is one symbol.

    >>> one_or_more("MSFT"), one_or_more(("MSFT", "IBM"))
    (['MSFT'], ['MSFT', 'IBM'])
    """
    return [symbols] if isinstance(symbols, str) else list(symbols)


def is_symbol(text: str) -> bool:
    """Whether a text is a symbol as it is stored.

    >>> is_symbol("BRK-B"), is_symbol("brk-b"), is_symbol("[/x]")
    (True, False, False)
    """
    return len(text) <= _LONGEST_SYMBOL and _SYMBOL.fullmatch(text) is not None and not is_isin(text)


MOST_SAMPLED = 500
"""The symbols that stand for all where a measure is an average over symbols: more would hardly change it."""


def sample_symbols(symbols: Sequence[str]) -> list[str]:
    """Some of the symbols, evenly spaced in their order; all if they are few.

    >>> sample_symbols(["B", "A"]), sample_symbols([f"S{n:03}" for n in range(1000)])[:3]
    (['A', 'B'], ['S000', 'S002', 'S004'])
    """
    ordered = sorted(set(symbols))
    if len(ordered) <= MOST_SAMPLED:
        return ordered
    return [ordered[number * len(ordered) // MOST_SAMPLED] for number in range(MOST_SAMPLED)]
