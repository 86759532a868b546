r"""A file of symbols: a list with comments, or a CSV file whose header names the column of the symbols.

>>> text = "# shares\nMSFT, AAPL  # two\nBRK-B\n"
>>> symbols_in(text)
['MSFT', 'AAPL', 'BRK-B']
>>> with_symbols(text, ["AAPL", "NVDA"])
'# shares\nMSFT, AAPL  # two\nBRK-B\nNVDA\n'
>>> without_symbols(text, ["AAPL", "BRK-B"])
'# shares\nMSFT  # two\n'
>>> symbols_in("Name;Ticker\nMicrosoft Corp;msft\nApple, Inc.;aapl\n")
['msft', 'aapl']
"""

import csv
from collections.abc import Iterator, Sequence

from tickercast.domain.titled_csv import read_as_csv

_HEADINGS = ("symbol", "ticker")
_SEPARATORS = ";\t,|"


def symbols_in(text: str, name: str = "The list of symbols") -> list[str]:
    """The words for symbols in the text of a file, each once, as they are written.

    They are separated by blanks, commas or lines, and `#` begins a comment; or they are the column `symbol` or `ticker`
    of a CSV file.

    Args:
        text: the content of the file.
        name: the name of the file, for errors.

    Raises:
        UsageError: the text has a header, and is not CSV.
    """
    column = _column(text, name)
    words = column if column is not None else [word for line in text.splitlines() for word in _words(line)]
    return list(dict.fromkeys(words))


def is_table(text: str) -> bool:
    """Whether a text is a CSV file with a header."""
    return _place(_filled(text))[1] is not None


def with_symbols(text: str, symbols: Sequence[str]) -> str:
    """A list with the symbols that it lacks at its end, a line each."""
    known = {word.upper() for word in symbols_in(text)}
    added = "".join(f"{symbol}\n" for symbol in symbols if symbol not in known)
    return f"{text}\n{added}" if added and text and not text.endswith("\n") else text + added


def without_symbols(text: str, symbols: Sequence[str]) -> str:
    """A list without some symbols; lines that say nothing else go with them, comments stay."""
    return "".join(_without(text, {symbol.upper() for symbol in symbols}))


def _without(text: str, unwanted: set[str]) -> Iterator[str]:
    for line in text.splitlines(keepends=True):
        words = _words(line)
        kept = [word for word in words if word.upper() not in unwanted]
        if len(kept) == len(words):
            yield line
            continue
        _, mark, comment = line.partition("#")
        if kept or mark:
            remark = f"#{comment}" if mark else "\n"
            yield ", ".join(kept) + ("  " if kept and mark else "") + remark


def _words(line: str) -> list[str]:
    return line.partition("#")[0].replace(",", " ").split()


def _column(text: str, name: str) -> list[str] | None:
    """The cells of the column that a header calls symbols; None where there is no such header."""
    lines = _filled(text)
    separator, at = _place(lines)
    if at is None:
        return None
    with read_as_csv(name):
        rows = list(csv.reader(lines, delimiter=separator))[1:]
    return [row[at].strip() for row in rows if len(row) > at and row[at].strip()]


def _filled(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]


def _place(lines: Sequence[str]) -> tuple[str, int | None]:
    """The separator of a file's cells, and which column its header calls symbols; None where it is no such header."""
    if not lines:
        return "", None
    separator = max(_SEPARATORS, key=lines[0].count)
    try:
        header = next(csv.reader(lines, delimiter=separator))
    except csv.Error:
        return separator, None
    titles = [title.strip().lower().removesuffix("s") for title in header]
    return separator, next((titles.index(heading) for heading in _HEADINGS if heading in titles), None)
