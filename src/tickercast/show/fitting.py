"""Tables that fit the terminal: no cell is cut and no line runs over its edge."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.table import Table as RichTable
from rich.text import Text

_UNBOUNDED = 10_000
_FOLDED = 20  # letters of a line that is folded


class Table(RichTable):
    """A table without a frame; on a terminal that is too narrow for it, each row becomes a block of lines."""

    def __init__(self, *, title: Text | str | None = None, show_footer: bool = False) -> None:
        super().__init__(
            box=box.SIMPLE_HEAD, pad_edge=False, title=title, title_justify="left", show_footer=show_footer
        )

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Render as a table or as blocks."""
        if not options.is_terminal or _needed(self, console, options) <= options.max_width:
            yield from super().__rich_console__(console, options)
        else:
            yield from _blocks(self)


class Widest:
    """The first of several tables that fits, the widest first; the last one in blocks if none does."""

    def __init__(self, tables: Sequence[Table]) -> None:
        self.tables = tables

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Render the table that fits."""
        fits = (table for table in self.tables if _needed(table, console, options) <= options.max_width)
        yield next(fits, self.tables[-1])


_ASCII_HEAD = box.Box("    \n    \n -- \n    \n    \n    \n    \n    \n", ascii=True)
"""`box.SIMPLE_HEAD` in ASCII; Rich's own box of ASCII has a frame."""


def spelt(shown: RenderableType, letters: Mapping[int, str]) -> RenderableType:
    """The same in letters of ASCII, as wide as they may be: to be asked for before anything is laid out.

    >>> spelt("1 … 2", {ord("…"): ".."})
    '1 .. 2'
    """
    if isinstance(shown, str):
        return shown.translate(letters)
    if isinstance(shown, Text):
        return _text(shown, letters)
    if isinstance(shown, Group):
        return Group(*(spelt(each, letters) for each in shown.renderables))
    if isinstance(shown, Widest):
        return Widest([_table(each, letters) for each in shown.tables])
    return _table(shown, letters) if isinstance(shown, Table) else shown


def _text(text: Text, letters: Mapping[int, str]) -> Text:
    found = [at for at, letter in enumerate(text.plain) if ord(letter) in letters]
    parts = text.divide([edge for at in found for edge in (at, at + 1)])
    for part in parts:
        part.plain = part.plain.translate(letters)
    return text.blank_copy().join(parts)


def _table(table: Table, letters: Mapping[int, str]) -> Table:
    made = copy.copy(table)
    made.box = _ASCII_HEAD
    made.title = None if table.title is None else spelt(table.title, letters)  # type: ignore[assignment]
    made.columns = [
        replace(
            column,
            header=spelt(column.header, letters),
            footer=spelt(column.footer, letters),
            _cells=[spelt(cell, letters) for cell in column.cells],
        )
        for column in table.columns
    ]
    return made


def _needed(table: RichTable, console: Console, options: ConsoleOptions) -> int:
    """The width that a table needs so that nothing is cut: of what may be folded the longest word, or a few letters."""
    wide = options.update(max_width=_UNBOUNDED, no_wrap=False)
    widths = 0
    for column in table.columns:
        cells = [Measurement.get(console, wide, cell) for cell in (column.header, *column.cells, column.footer)]
        needed = max(cell.maximum if column.no_wrap else cell.minimum for cell in cells)
        widths += min(needed, _FOLDED) if column.overflow == "fold" and not column.no_wrap else needed
    return widths + 3 * len(table.columns) - 1


def _blocks(table: RichTable) -> RenderResult:
    if table.title:
        yield Text("")
        yield table.title
    names = [column.header for column in table.columns]
    rows = list(zip(*(column.cells for column in table.columns), strict=True))
    for cells in [*rows, [column.footer for column in table.columns]] if table.show_footer else rows:
        block = RichTable.grid(padding=(0, 2, 0, 0))
        block.add_column(style="dim", no_wrap=True)
        block.add_column(overflow="fold")
        for name, cell in zip(names, cells, strict=True):
            if str(cell):
                block.add_row(name, cell)
        yield Text("")
        yield block
