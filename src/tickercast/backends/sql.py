"""The project's one SQL source: a file an object, in BigQuery's dialect, with unqualified names."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path


@dataclass(frozen=True)
class SqlObject:
    """A table or view, as its file states it.

    Attributes:
        name: the file's name, which is the object's.
        is_view: whether it may be replaced without losing a row.
        text: the statement that creates it, in BigQuery's dialect.
    """

    name: str
    is_view: bool
    text: str

    @property
    def sha256(self) -> str:
        """Of the text: the same hash, the same object."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def names(self, other: str) -> bool:
        """Whether the statement speaks of another object."""
        return re.search(rf"\b(FROM|JOIN)\s+{other}\b", self.text) is not None


def read_objects(folder: Path) -> list[SqlObject]:
    """Reads `tables/*.sql` and `views/*.sql`, each object after those that it reads from."""
    objects = {found.name: found for found in _files(folder)}
    graph = {
        name: {other for other in objects if other != name and found.names(other)} for name, found in objects.items()
    }
    return [objects[name] for name in TopologicalSorter(graph).static_order()]


def to_duckdb(text: str) -> str:
    """Translates a statement of BigQuery's dialect to DuckDB's.

    Partitioning, clustering and descriptions have no counterpart there and are dropped.
    """
    import sqlglot  # 0.1 s that a warehouse with nothing to apply does not pay

    return sqlglot.transpile(text, read="bigquery", write="duckdb", unsupported_level=sqlglot.ErrorLevel.IGNORE)[0]


def _files(folder: Path) -> Iterator[SqlObject]:
    for kind in ("tables", "views"):
        for path in sorted((folder / kind).glob("*.sql")):
            yield SqlObject(path.stem, kind == "views", path.read_text(encoding="utf-8"))
