"""A terminal that knows ASCII alone gets every table in letters of its own, laid out for them."""

import ast
import io
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from rich.console import Group, RenderableType
from rich.text import Text

from tickercast.cli import terminal
from tickercast.show import fitting

SOURCES = Path(terminal.__file__).parents[1]
READS = {"price_csv.py", "price_numbers.py", "price_titles.py", "titled_csv.py"}
"""Modules whose letters are those of files."""


def texts(module: Path) -> Iterator[str]:
    """The strings of a module that are no docstrings."""
    nodes = list(ast.walk(ast.parse(module.read_text(encoding="utf-8"))))
    documents = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    yield from (
        node.value
        for node in nodes
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documents
    )


def test_every_letter_that_is_printed_has_one_of_ascii() -> None:
    modules = [path for path in SOURCES.rglob("*.py") if path.name not in READS and "dashboard" not in path.parts]
    found = {letter for module in modules for text in texts(module) for letter in text if not letter.isascii()}
    assert "…" in found
    assert {letter for letter in found if ord(letter) not in terminal._SIMPLER} == set()
    assert "".join(terminal._SIMPLER.values()).isascii()


def printed(monkeypatch: pytest.MonkeyPatch, shown: RenderableType, width: int = 40) -> list[str]:
    """The lines of a terminal that refuses every other letter."""
    kept = io.BytesIO()
    stream = io.TextIOWrapper(kept, encoding="ascii", errors="strict")
    monkeypatch.setattr(stream, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdout", stream)
    for name, value in {"COLUMNS": str(width), "TERM": "xterm"}.items():
        monkeypatch.setenv(name, value)
    terminal.print_table(shown)
    stream.flush()
    return re.sub(r"\x1b\[[\d;]*m", "", kept.getvalue().decode()).splitlines()


def ranges(columns: Sequence[str]) -> fitting.Table:
    table = fitting.Table(title="ranges ±")
    for name in columns:
        table.add_column(name, no_wrap=True)
    table.add_row(*[Text.assemble(("28.77 … 31.77", "red")), "– ≤ –"][: len(columns)])
    return table


@pytest.mark.parametrize("width", [26, 40])
def test_a_table_is_laid_out_for_the_letters_that_it_shows(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    lines = printed(monkeypatch, Group(ranges(["80% range", "±"]), Text("too long a note … " * 4)), width)
    title, _, heads, rule, row, *_ = [line.rstrip() for line in lines]
    assert title == "ranges +-"
    assert heads.split("  ")[-1].strip() == "+-"
    assert rule.strip() == "-" * (len(rule) - 1)
    assert row == " 28.77 .. 31.77   - <= -"
    assert "note .." in " ".join(lines)
    assert max(map(len, lines)) <= width


def test_of_several_tables_the_widest_that_fits_in_ascii_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    tables = fitting.Widest([ranges(["80% range", "±"]), ranges(["80% range"])])
    assert "- <= -" in " ".join(printed(monkeypatch, tables, 40))
    narrow = printed(monkeypatch, tables, 21)
    assert "- <= -" not in " ".join(narrow)
    assert " 28.77 .. 31.77 " in narrow


def test_a_line_that_is_cut_stays_as_wide_as_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    [line] = printed(monkeypatch, Group(Text("a" * 50, no_wrap=True, overflow="ellipsis")), 20)
    assert line == "a" * 19 + "."
