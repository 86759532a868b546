"""Check what the options of setup.sh name, before anything is made, and print one sentence if it cannot be used.

It needs no packages, so that a dry run needs no environment.

    PYTHONPATH=src python deploy/given.py watchlist FILE
    PYTHONPATH=src python deploy/given.py coins BTCUSDT,ETHUSDT
    PYTHONPATH=src python deploy/given.py receivers FILE
"""

import re
import sys
from pathlib import Path

from tickercast.domain.symbols import parse_symbols
from tickercast.domain.watchlist import symbols_in
from tickercast.errors import UsageError

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S+")


def check_watchlist(name: str) -> None:
    """Check a file of symbols, by the rules of `tickercast watchlist`.

    Raises:
        UsageError: the file cannot be read, or holds no symbol, or a word that is none.
    """
    text = _text(name)
    try:
        symbols = parse_symbols(symbols_in(text, name))
    except UsageError as error:
        raise UsageError(f"{name} cannot be the watchlist: {error}") from error
    if not symbols:
        raise UsageError(f"{name} holds no symbol: one a line was needed.")


def check_coins(text: str) -> None:
    """Check coins with commas between.

    Raises:
        UsageError: one is not a symbol.
    """
    parse_symbols(text.split(","))


def check_receivers(name: str) -> None:
    """Check a file of Apprise URLs by their form alone; a URL holds passwords, so none is quoted.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "urls"
    >>> _ = path.write_text("slack://a/b/c")
    >>> check_receivers(str(path))

    Raises:
        UsageError: the file cannot be read, or holds no URL, or a word that is none.
    """
    words = [word.strip(",") for word in _text(name).split()]
    wrong = [at for at, word in enumerate(words, start=1) if not _URL.fullmatch(word)]
    if wrong or not words:
        what = f"Word {wrong[0]} of {name} is no URL" if wrong else f"{name} holds no URL"
        raise UsageError(
            f"{what}: receivers such as mailto://… or slack://… were needed, separated by blanks or lines, and nothing "
            "else. Correct it."
        )


def _text(name: str) -> str:
    try:
        text = Path(name).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise UsageError(f"{name} cannot be read: {reason}. A text file was needed; name one.") from error
    if "\0" in text:
        raise UsageError(f"{name} cannot be read: it has zero bytes in it. A text file was needed; name one.")
    return text


_CHECKS = {"watchlist": check_watchlist, "coins": check_coins, "receivers": check_receivers}


def main(kind: str, given: str) -> None:
    """Check one thing that was given; see the head of this file."""
    try:
        _CHECKS[kind](given)
    except UsageError as error:
        print(error)
        sys.exit(1)


if __name__ == "__main__":
    main(*sys.argv[1:3])
