r"""CSV files that people write, with titles in the first line: holdings, members, symbols.

>>> titles, lines = titled_lines("Symbol, Shares\nMSFT, 100\n", "holdings.csv")
>>> titles, lines
(['symbol', 'shares'], [(2, {'symbol': 'MSFT', 'shares': '100'})])
"""

import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tickercast.domain.text import one_line
from tickercast.errors import UsageError


def titled_lines(text: str, name: str) -> tuple[list[str], list[tuple[int, dict[Any, Any]]]]:
    """The titles of a text, in lower case, and each line below them: its number, and its cells by title.

    A cell that a line lacks is None; cells that it has too many are a list under the key None.

    Args:
        text: the content of the file.
        name: the name of the file, for errors.

    Raises:
        UsageError: the text is not CSV.
    """
    reader = csv.DictReader(io.StringIO(text.lstrip("\ufeff"), newline=None), skipinitialspace=True)
    with read_as_csv(name):
        titles = [(title or "").strip().lower() for title in reader.fieldnames or []]
        reader.fieldnames = titles
        return titles, [(reader.line_num, line) for line in reader]


@contextmanager
def read_as_csv(name: str) -> Iterator[None]:
    """Say in a sentence that what the block reads is not CSV.

    Raises:
        UsageError: the block read something that is not CSV.
    """
    try:
        yield
    except csv.Error as error:
        raise UsageError(
            f"{name} is not CSV ({one_line(error)}): lines of cells of at most {csv.field_size_limit():,} letters were "
            "needed, each quote closed. Correct it."
        ) from error
