"""Files of symbols."""

from pathlib import Path

from tickercast.errors import UsageError


def read_symbols(path: str) -> list[str]:
    """Read a file of symbols, separated by blanks, commas or lines; `#` begins a comment. No path means no symbols.

    Raises:
        UsageError: it cannot be read, or is empty.
    """
    if not path:
        return []
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read as a text file of symbols: {error}. Name another.") from error
    words = [word for line in lines for word in line.partition("#")[0].replace(",", " ").split()]
    if not words:
        raise UsageError(f"{path} holds no symbol: one a line was needed.")
    return words
