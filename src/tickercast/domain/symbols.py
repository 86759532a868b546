"""A symbol: the name of a series, as Yahoo spells it."""

import re

from tickercast.domain.text import shown
from tickercast.errors import UsageError

_SYMBOL = re.compile(r"[A-Z0-9^](?:[.=-]?[A-Z0-9^])*")
_LONGEST_SYMBOL = 20


def parse_symbol(text: str) -> str:
    """Check a symbol as Yahoo spells it, and return it in upper case.

    >>> parse_symbol("brk-b")
    'BRK-B'

    Raises:
        UsageError: the text is not a symbol.
    """
    symbol = text.strip().upper()
    if not (text.isascii() and len(symbol) <= _LONGEST_SYMBOL and _SYMBOL.fullmatch(symbol)):
        raise UsageError(
            f"{shown(text, 40)!r} is not a symbol: up to 20 letters, digits and single . - = ^ were needed, "
            "as Yahoo spells them (MSFT, BRK-B, VOD.L, ETH-USD)."
        )
    return symbol
