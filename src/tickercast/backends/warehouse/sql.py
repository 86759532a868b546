"""The SQL files: one a table or view, in BigQuery's dialect, with unqualified names."""

import hashlib
import logging
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import lru_cache
from graphlib import TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING

from tickercast import logs
from tickercast.errors import NotSetUp, Outdated, SchemaMismatch, UsageError
from tickercast.plain import first_of, shortened

if TYPE_CHECKING:
    from sqlglot import expressions


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        name: the name of the column.
        kind: the type, as BigQuery's SQL spells it.
        required: whether it is NOT NULL.
        description: a description of the content, for people.
    """

    name: str
    kind: str
    required: bool
    description: str = ""

    def fits(self, other: "Column") -> bool:
        """Whether values made for one column can be stored in the other."""
        return (self.kind, self.required) == (other.kind, other.required)

    def __str__(self) -> str:
        return f"{self.name} {self.kind}{' NOT NULL' * self.required}"


@dataclass(frozen=True)
class SqlObject:
    """A table or view, as its file defines it.

    Attributes:
        name: the name of the file and of the table or view.
        is_view: whether it can be replaced without losing rows.
        text: the statement that creates it, in BigQuery's dialect.
    """

    name: str
    is_view: bool
    text: str

    @property
    def sha256(self) -> str:
        """The hash of the text: equal hashes mean equal objects."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def sources(self) -> set[str]:
        """The unqualified names that the statement reads from."""
        return set(re.findall(r"\b(?:FROM|JOIN)\s+(\w+)", self.text))


def columns(table: SqlObject) -> list[Column]:
    """The columns that a table's file defines."""
    import sqlglot
    from sqlglot import expressions

    definitions = sqlglot.parse_one(table.text, read="bigquery").find_all(expressions.ColumnDef)
    return [
        Column(
            definition.name,
            definition.kind.sql("bigquery") if definition.kind else "",
            definition.find(expressions.NotNullColumnConstraint) is not None,
            next((found.text("value") for found in definition.find_all(expressions.Property)), ""),
        )
        for definition in definitions
    ]


def column_names(folder: Path, table: str) -> list[str]:
    """The columns that a table's file defines, by which an earlier release's is told apart; none of a view.

    Args:
        folder: the folder with `tables/`.
        table: the name of a table or view.
    """
    path = folder / "tables" / f"{table}.sql"
    if not path.exists():
        return []
    return [column.name for column in columns(SqlObject(table, is_view=False, text=path.read_text(encoding="utf-8")))]


@dataclass(frozen=True)
class Migration:
    """A repeatable statement that fills new columns in the rows of an earlier release.

    Attributes:
        text: the statement, in BigQuery's dialect.
        retires: columns that are dropped once the statement has run.
    """

    text: str
    retires: tuple[str, ...] = ()

    def applies(self, stored: Collection[str]) -> bool:
        """Whether it has to run on a table with these columns: always, or while a retired one is there."""
        return not self.retires or any(name in stored for name in self.retires)


BEFORE = "_before"
"""The end of the name of a table of an earlier release, while its rows are rewritten."""

_SUMS = re.compile(r"USING \(\s*(.+)\s*\) AS merged\nON FALSE", re.DOTALL)
_EVER = "TIMESTAMP '9999-12-31'"

REWRITTEN = ("prices", "forecasts", "ingestions")
"""The tables whose rows are rewritten: their `generation` was a number."""


def read_rewrites(folder: Path) -> dict[str, str]:
    """The query that gives a table's rows from those of earlier releases, by table.

    It is a migration that is a query, or what the table's compaction adds up.
    """
    texts = {path.stem: path.read_text(encoding="utf-8") for path in sorted((folder / "migrations").glob("*.sql"))}
    sums = {table: _SUMS.search(text) for table, text in read_compactions(folder).items()}
    added_up = {table: of_all_months(found[1]).replace("@until", _EVER) for table, found in sums.items() if found}
    return {table: text for table, text in texts.items() if _is_query(text)} | added_up


def additions(folder: Path, table: str) -> list[Column]:
    """The columns that the second release had added to a table, which its migration reads: `-- Adds: NAME TYPE, …`."""
    adds = re.match(r"-- Adds: (.+)\n", read_rewrites(folder)[table])
    named = [column.split(" ") for column in adds[1].split(", ")] if adds else []
    return [Column(name, kind, required=False) for name, kind in named]


def read_migration(folder: Path, table: str) -> Migration | None:
    """Read `migrations/{table}.sql`, if there is an update there; its first line may be `-- Retires: COLUMN, …`."""
    path = folder / "migrations" / f"{table}.sql"
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    if not text or _is_query(text):
        return None
    retires = re.match(r"-- Retires: (.+)\n", text)
    return Migration(text, tuple(retires[1].split(", ")) if retires else ())


def _is_query(text: str) -> bool:
    return re.match(r"(--.*\n)*\s*(SELECT|WITH)\b", text) is not None


def missing_columns(
    table: SqlObject, stored: Sequence[Column], url: str, retired: Collection[str] = ()
) -> list[Column]:
    """The columns to add to a stored table, so that it matches its file.

    Args:
        table: the table's file.
        stored: the columns that the warehouse has.
        url: the warehouse, for the message.
        retired: columns that a migration drops.

    Raises:
        SchemaMismatch: adding columns without values is not enough.
    """
    wanted = {column.name: column for column in columns(table)}
    known = {column.name: column for column in stored}
    missing = [column for name, column in wanted.items() if name not in known]
    wrong = [
        *(
            f"{known[name]} was seen and {wanted[name]} was needed"
            for name in known
            if name in wanted and not known[name].fits(wanted[name])
        ),
        *(
            f"{known[name]} was seen and the file has no such column"
            for name in known
            if name not in wanted and name not in retired
        ),
        *(f"{column} was needed and the stored rows have no value for it" for column in missing if column.required),
    ]
    if wrong:
        raise SchemaMismatch(
            f"The table {table.name} in {url} has another shape than sql/tables/{table.name}.sql: {'; '.join(wrong)}. "
            "Only nullable columns can be added. If a later version of tickercast has migrated it, use that one; else "
            "point TICKERCAST_WAREHOUSE elsewhere, or move this table away."
        )
    return missing


def qualified(text: str, names: Collection[str], dataset: str) -> str:
    """Qualify the names of our objects with the dataset, and keep the rest of a statement to the letter.

    BigQuery stores the text of a view, and refuses one with unqualified names.

    Args:
        text: the statement.
        names: the names of all our objects.
        dataset: `project.dataset`.
    """
    import sqlglot
    from sqlglot import expressions

    tree = sqlglot.parse_one(text, read="bigquery")
    ours = set(names) - {inner.alias for inner in tree.find_all(expressions.CTE)}
    places = {table.this.meta["start"] for table in tree.find_all(expressions.Table) if table.name in ours}
    for start in sorted(places, reverse=True):
        name = re.match(r"\w+", text[start:])
        assert name, "our names are plain words"
        text = f"{text[:start]}`{dataset}.{name[0]}`{text[start + name.end() :]}"
    return text


def read_objects(folder: Path) -> list[SqlObject]:
    """Read `tables/*.sql` and `views/*.sql`, each object after those that it, or its rewrite, reads from."""
    objects = {found.name: found for found in _files(folder)}
    texts = read_rewrites(folder)
    readers = {name: [found, replace(found, text=texts.get(name, ""))] for name, found in objects.items()}
    graph = {
        name: (set().union(*(reader.sources for reader in both)) & objects.keys()) - {name}
        for name, both in readers.items()
    }
    return [objects[name] for name in TopologicalSorter(graph).static_order()]


FINISHED = timedelta(hours=26)
"""The age of a file from which its event has ended: later it is given up."""

ADDED_UP = "SELECT MAX(scored_at) AS newest FROM skill_blocks WHERE grain IS NOT NULL"
"""The moment up to which `skill_blocks` holds the sums; a compaction up to an earlier one would add scores twice."""


def read_compactions(folder: Path) -> dict[str, str]:
    """Read `compact/*.sql`: by table, the statement that drops the rows that count no more, or adds rows up.

    It works on the months from `@first` to `@last`; `@until` is the time up to which files were written whose events
    have ended.
    """
    return {path.stem: path.read_text(encoding="utf-8") for path in sorted((folder / "compact").glob("*.sql"))}


def of_all_months(compaction: str) -> str:
    """A compaction of every month at once."""
    return compaction.replace("@first", "DATE '1900-01-01'").replace("@last", "DATE '2200-12-31'")


def dated_by(table: SqlObject) -> str:
    """The column of days or moments by which a table is partitioned by month; empty if there is none."""
    partitioned = re.search(r"PARTITION BY \w+\((\w+)", table.text)
    return partitioned[1] if partitioned else ""


def drops(compaction: str) -> bool:
    """Whether a compaction drops rows; another adds them up."""
    return re.search(r"^DELETE\b", compaction, re.MULTILINE) is not None


def what_remains(compaction: str) -> str:
    """Turn a compaction into a query for the rows that it leaves, in DuckDB's dialect."""
    import sqlglot
    from sqlglot import expressions

    tree = sqlglot.parse_one(of_all_months(compaction), read="bigquery")
    if isinstance(tree, expressions.Delete):
        kept = expressions.select("*").from_(tree.this).where(expressions.not_(tree.args["where"].this))
        return kept.sql("duckdb")
    gone = next(when.args["condition"] for when in tree.args["whens"].expressions if when.args["source"])
    kept = expressions.select("*").from_(tree.this).where(expressions.not_(gone or expressions.true()))
    return f"{tree.args['using'].this.sql('duckdb')} UNION ALL BY NAME {kept.sql('duckdb')}"


def order_of(table: SqlObject) -> list[str]:
    """The columns by which a table is kept in order: those that it is clustered and partitioned by."""
    clustered = re.search(r"CLUSTER BY ([\w, ]+)", table.text)
    dated = dated_by(table)
    names = clustered[1].split(", ") if clustered else []
    return [name.strip() for name in names] + ([dated] if dated else [])


def pending(
    objects: Sequence[SqlObject], applied: Mapping[str, str], fingerprint: Callable[[SqlObject], str]
) -> dict[str, str]:
    """The objects that are `missing` or `changed`, by name.

    Args:
        objects: the tables and views, as their files define them.
        applied: the fingerprints of those in the warehouse, by name.
        fingerprint: the fingerprint that an object should have.
    """
    return {
        each.name: "changed" if each.name in applied else "missing"
        for each in objects
        if applied.get(each.name) != fingerprint(each)
    }


def announce_migration(
    url: str, objects: Sequence[SqlObject], changed: Mapping[str, str], before: Sequence[str]
) -> None:
    """Log which tables of an earlier release are migrated, before it is done: there is no way back.

    Views of another release are replaced without a loss, and named in a line of their own.

    Args:
        url: the warehouse.
        objects: the tables and views, as their files define them.
        changed: the state, `missing` or `changed`, of each table or view that differs, by name.
        before: the tables that were renamed, so that their rows can be rewritten.
    """
    log = logging.getLogger(logs.MIGRATION)
    altered = [each for each in objects if changed.get(each.name) == "changed"]
    tables = {each.name for each in altered if not each.is_view} | {name.removesuffix(BEFORE) for name in before}
    if tables:
        log.warning(
            "%s is of an earlier release: migrating %s. No row is lost; earlier releases may refuse the tables then.",
            url,
            ", ".join(sorted(tables)),
        )
    if views := sorted(each.name for each in altered if each.is_view):
        log.warning("%s has views of another release: renewing %s. No row changes.", url, ", ".join(views))


def outdated(url: str, lacking: Collection[str]) -> Outdated:
    """The error for tables and views that are missing or of another release.

    Args:
        url: the warehouse.
        lacking: their names.
    """
    names = sorted(lacking)
    return Outdated(
        f"{url} is of another release, or incomplete: {first_of(names, 3)} "
        f"{'are' if len(names) > 1 else 'is'} missing or changed. Run `tickercast provision`, which keeps every row."
    )


@contextmanager
def of_this_release(url: str, statement: str, folder: Path, look: Callable[[], Mapping[str, str]]) -> Iterator[None]:
    """Say it where a statement fails for a table or view that is missing or of another release, or for want of any.

    Args:
        url: the warehouse.
        statement: the query, or the name of a table or view.
        folder: the SQL files of all tables and views.
        look: gives the state, `missing` or `changed`, of each table or view that differs, by name.

    Raises:
        Outdated: the statement, or the error, names one of them, and others are there.
        NotSetUp: it does, and none is there.
    """
    try:
        yield
    except (SchemaMismatch, NotSetUp) as error:
        lacking = look()
        said = re.sub(r"(Did you mean|Candidate).*", "", str(error.__cause__ or error))
        named = {*re.findall(r"\w+", f"{statement} {said}")} & {*lacking}
        if not named:
            raise
        if lacking == dict.fromkeys((found.name for found in _files(folder)), "missing"):
            raise NotSetUp(f"{url} has not been set up. Run any forecast, or `tickercast provision`.") from error
        raise outdated(url, named) from error


def checked_query(text: str) -> str:
    """Check that a text is one query that changes nothing, and return it.

    Raises:
        UsageError: the text is not one query, or the query changes something.
    """
    import sqlglot
    from sqlglot import expressions
    from sqlglot.errors import SqlglotError

    logging.getLogger("sqlglot").setLevel(logging.ERROR)  # it warns of what is refused below
    try:
        statements = sqlglot.parse(text, read="bigquery") if isinstance(text, str) else []
    except SqlglotError as error:
        message = shortened(_ANSI_CODES.sub("", str(error)), 200)
        raise UsageError(f"The query cannot be read: {message}. BigQuery's dialect was needed.") from error
    reads = all(
        isinstance(each, expressions.Query)
        and all(isinstance(one.this, expressions.Query) for one in each.find_all(expressions.CTE))
        for each in statements
    )
    if len(statements) != 1 or not reads:
        raise UsageError(
            f"{str(text).strip()[:60]!r} is not one query that only reads: SELECT … or WITH … SELECT … was needed."
        )
    return text


_ANSI_CODES = re.compile(r"\x1b\[\d+m")  # the parser underlines errors for a terminal


@lru_cache(maxsize=256)
def to_duckdb(text: str) -> str:
    """Translate a statement of BigQuery's dialect to DuckDB's.

    Partitioning, clustering and descriptions have no counterpart there and are dropped.
    """
    from sqlglot import ErrorLevel

    return parsed(text).sql("duckdb", unsupported_level=ErrorLevel.IGNORE)


def parsed(text: str) -> "expressions.Expr":
    """Parse a statement of BigQuery's dialect.

    The operands of DIV(a + 1, 2) get parentheses, which sqlglot leaves out of DuckDB's (a + 1) // 2.
    """
    import sqlglot  # takes 0.1 s, which a warehouse with nothing to apply saves
    from sqlglot import expressions

    tree = sqlglot.parse_one(text, read="bigquery")
    for division in tree.find_all(expressions.IntDiv):
        for operand in (division.this, division.expression):
            if isinstance(operand, expressions.Binary):
                operand.replace(expressions.paren(operand.copy(), copy=False))
    return tree


def from_duckdb(kind: str) -> str:
    """Translate a DuckDB type to BigQuery's dialect."""
    from sqlglot import expressions

    return expressions.DataType.build(kind, dialect="duckdb").sql("bigquery")


def _files(folder: Path) -> Iterator[SqlObject]:
    for kind in ("tables", "views"):
        for path in sorted((folder / kind).glob("*.sql")):
            yield SqlObject(path.stem, kind == "views", path.read_text(encoding="utf-8"))
