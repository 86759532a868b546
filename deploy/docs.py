"""Writes the parts of docs/ that follow from code and tables: settings, permissions, figures of cost.

python deploy/docs.py
"""

import csv
import re
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from tickercast.config import PREFIX, Settings

PROJECT = Path(__file__).parents[1]
DOCS = PROJECT / "docs"
_CONFIGURATION = """# Settings

Every setting is read from the environment, once. A name that begins with `TICKERCAST_` and is none of these is refused
with the one that was probably meant. This page is generated from `src/tickercast/config.py` by `make docs`.

"""


def configuration() -> str:
    """docs/configuration.md."""
    told = dict(
        re.findall(
            r"^    (?:    )?(\w+): (.+?)(?=\n    (?:    )?\w+: |\n\n|\Z)", _attributes(), re.MULTILINE | re.DOTALL
        )
    )
    rows = [
        (f"`{_variable(name)}`", f"`{field.default}`" if field.default else "", " ".join(told[name].split()))
        for name, field in Settings.model_fields.items()
    ]
    return _CONFIGURATION + table(("setting", "default", "meaning"), rows) + "\n"


def permissions() -> str:
    """The table of permissions."""
    named = {"-": "", "quarantine": "objects under `quarantine/`", "sources": "buckets `gcf-v2-sources-…`"}
    rows = [
        (row["who"], f"`{row['role']}`", row["on"], named[row["condition"]], row["why"])
        for row in _rows("permissions.tsv")
    ]
    return table(("who", "role", "on", "only", "why"), rows)


def figures() -> str:
    """The table of prices and usage."""
    rows = [
        (
            row["name"],
            row["value"],
            row["free"] if row["kind"] == "list price" else "",
            row["unit"],
            row["kind"],
            row["source"],
            row["date"],
        )
        for row in _rows("figures.tsv")
    ]
    return table(("figure", "value", "free a month", "unit", "kind", "source", "date"), rows)


def estimate() -> str:
    """What setup.sh prints."""
    done = subprocess.run(
        [sys.executable, str(PROJECT / "deploy" / "cost.py")], check=True, capture_output=True, text=True
    )
    return f"```text\n{done.stdout.rstrip()}\n```"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table.

    >>> print(table(("a", "b"), [("1", "")]))
    | a | b |
    |---|---|
    | 1 |  |
    """
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def filled(text: str) -> str:
    """A page with its generated parts, each of which stands between two comments that name it."""
    for part in (permissions, figures, estimate):
        mark = f"<!-- {part.__name__} -->"
        if mark in text:
            before, _, after = text.split(mark)
            text = f"{before}{mark}\n{part()}\n{mark}{after}"
    return text


def _attributes() -> str:
    return (Settings.__doc__ or "").partition("Attributes:\n")[2]


def _variable(field: str) -> str:
    alias = Settings.model_fields[field].validation_alias
    return alias if isinstance(alias, str) else PREFIX + field.upper()


def _rows(name: str) -> list[dict[str, str]]:
    return list(csv.DictReader((PROJECT / "deploy" / name).read_text().splitlines(), delimiter="\t"))


def main() -> None:
    """Writes them all."""
    (DOCS / "configuration.md").write_text(configuration())
    for page in DOCS.glob("*.md"):
        page.write_text(filled(page.read_text()))


if __name__ == "__main__":
    main()
