"""Tables that fit the terminal: no cell is cut and no line runs over its edge."""

from collections.abc import Sequence

from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
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
        self._tables = tables

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Render the table that fits."""
        fits = (table for table in self._tables if _needed(table, console, options) <= options.max_width)
        yield next(fits, self._tables[-1])


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
