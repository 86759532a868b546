"""The bytes that BigQuery would bill for a query, from its text and the sizes of the tables.

BigQuery's rules: of each table the columns that the query names, whole, in the partitions that a filter on the
partitioning column leaves; ten megabytes at least for each table. Two assumptions: a table that a query names twice is
counted once; and a filter on the symbol is billed as the share of the symbols that it names, which is what clustering
gives in a table whose blocks are sorted, though BigQuery promises no number. A filter on a symbol, frequency or date
passes through our views, which partition their windows by it, except for those of `UNREACHED`;
`tests/contract/test_views.py` checks the plans.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.optimizer import pushdown_projections, qualify, scope

SQL = Path(__file__).parents[1] / "sql"
LEAST = 10e6
"""The bytes that a table costs at least."""

UNREACHED = {
    "anomalies": (("symbol",), "`cutoff`: the others of the day are its market"),
    "calibration": (("since", "through"), "`symbol`"),
    "champion_forecasts": (("target_date",), "`cutoff`, from some weeks before"),
    "champion_scores": (("target_date",), "`cutoff`, from some weeks before"),
    "drift_daily": (("frequency",), "`day`"),
    "equity": (("frequency", "cutoff"), "nothing: a drawdown counts from the first row; the table is small"),
    "forecast_costs": (("symbol", "frequency", "cutoff"), "nothing: symbols share the cost of a file"),
    "forecast_history": (("target_date",), "`cutoff`, from some weeks before"),
    "forecast_scores": (("target_date",), "`cutoff`, from some weeks before"),
    "indicators": (("session_date",), "`symbol`: a mean needs the bars before; without indicators, `latest_prices`"),
    "latest_directions": (("cutoff",), "`symbol`; for other dates than the newest, `direction_scores`"),
    "latest_forecasts": (("cutoff", "target_date"), "`symbol`; for other dates than the newest, `forecast_history`"),
    "model_history": (("first_cutoff", "last_cutoff"), "`frequency`"),
    "predicted_prices": (("date", "cutoff"), "`symbol`; for a date, `latest_prices` and `forecast_history`"),
}
"""The columns of each view that hold a symbol, frequency or date whose filter does not reach the tables, and what
narrows a query instead. A filter on any other such column does; see docs/views.md."""

_FIXED = {"INT64": 8, "FLOAT64": 8, "DATE": 8, "TIMESTAMP": 8, "BOOL": 1, "ARRAY<FLOAT64>": 104}
_TEXTS = {"symbol": 4, "frequency": 2, "model_name": 15, "model_version": 2, "role": 8, "object": 33, "generation": 16}
_TEXTS |= {"status": 8, "reason": 0, "findings": 0, "event_id": 20, "basis": 50, "origin": 4, "kind": 9, "name": 10}
_TEXTS |= {"grain": 4}
_OTHER_TEXT = 12


@dataclass(frozen=True)
class Sizes:
    """A warehouse of that many symbols after that many daily files, compacted once a week.

    Attributes:
        symbols: the number of symbols.
        sessions: the daily files since the start.
        last: the last session.
        bars: the bars of the first file, a symbol.
    """

    symbols: int
    sessions: int = 250
    last: date = date(2026, 11, 25)
    bars: int = 756

    def rows(self, table: str) -> float:
        """The rows of a table; growth.json has counted the bars, the others follow from what an event appends."""
        forecasts = self.sessions * 10 * 2
        a_symbol = {
            "prices": self.bars + self.sessions,
            "spans": self.sessions,
            "forecasts": forecasts,
            "scores": forecasts,
            "skill_blocks": 2 * (10 + 1) * 2 * self.sessions / 21,  # of each step, and over all of them
            "forecast_counts": 2 * self.sessions / 21,
            "ingestions": self.sessions,
            "digests": self.bars / 21 + self.sessions,
            "events": (self.bars + 2 * self.sessions) / 63,  # four reports a year, from now on announced before
        }
        alone = {"drift": 40 * self.sessions, "retrains": self.sessions, "trading_events": self.sessions}
        return alone[table] if table in alone else a_symbol[table] * self.symbols

    def months(self, table: str) -> float:
        """The months that a table's partitions cover."""
        sessions = self.bars + self.sessions if table in ("prices", "digests", "events") else self.sessions
        return max(1.0, sessions / 21)


@dataclass(frozen=True)
class Query:
    """A query that was recorded.

    Attributes:
        text: the text in BigQuery's dialect, over plain or qualified names.
        filters: the condition on each column: a value, or a list of values; a range is a list of its two ends, and
            several ranges are a list of such lists.
        share: the share that is read of the values of a list of symbols, so that a recording of few symbols stands for
            many.
    """

    text: str
    filters: Mapping[str, Any]
    share: float = 1.0


@dataclass(frozen=True)
class Scan:
    """A query's scan of one table, in bytes."""

    table: str
    columns: tuple[str, ...]
    read: float


def scans(query: Query, sizes: Sizes) -> list[Scan]:
    """The scans of a query, through views too; a table that it names twice is read once."""
    parsed = sqlglot.parse_one(query.text, dialect="bigquery")
    unreached: set[str] = set()
    for table in parsed.find_all(exp.Table):
        table.set("db", None)
        table.set("catalog", None)
        table.set("this", exp.to_identifier(table.name.rpartition(".")[2]))
        unreached.update(UNREACHED.get(table.name, ((), ""))[0])
    query = replace(query, filters={name: value for name, value in query.filters.items() if name not in unreached})
    expanded = exp.expand(parsed, dict(_views()), dialect="bigquery")
    schema: dict[str, object] = dict(_tables())
    qualified = qualify.qualify(
        expanded, schema=schema, dialect="bigquery", validate_qualify_columns=False, quote_identifiers=False
    )
    root = scope.build_scope(pushdown_projections.pushdown_projections(qualified))
    assert root is not None
    named: dict[str, set[str]] = {}
    for name, read in _reads(root):
        named.setdefault(name, set()).update(read)
    return [
        Scan(table, tuple(sorted(columns)), max(LEAST, _share(table, query, sizes) * _bytes(table, columns, sizes)))
        for table, columns in sorted(named.items())
    ]


def billed(query: Query, sizes: Sizes) -> float:
    """The bytes that a query is billed."""
    return sum(scan.read for scan in scans(query, sizes))


def _reads(part: scope.Scope) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The tables that a part of a query reads, with their columns."""
    for name, (_, of) in part.selected_sources.items():
        if isinstance(of, scope.Scope):
            yield from _reads(of)
        elif of.name in _tables():
            columns = {column.name for column in part.source_columns(name)}
            yield of.name, tuple(sorted(columns & _tables()[of.name].keys()))
    for inner in (*part.set_operation_scopes, *part.subquery_scopes):
        yield from _reads(inner)


def _bytes(table: str, columns: Collection[str], sizes: Sizes) -> float:
    return sizes.rows(table) * sum(_width(name, _tables()[table][name]) for name in columns)


def _width(name: str, kind: str) -> int:
    return _FIXED.get(kind) or 2 + _TEXTS.get(name, _OTHER_TEXT)


def _share(table: str, query: Query, sizes: Sizes) -> float:
    """The part of a table that the filters leave."""
    partitioned, clustered = _layout()[table]
    share = 1.0
    for wanted in [query.filters[name] for name in clustered if name in query.filters][:1]:
        share *= query.share if isinstance(wanted, list) else 1 / sizes.symbols
    if partitioned in query.filters:
        wanted = query.filters[partitioned]
        ranges = wanted if isinstance(wanted, list) and isinstance(wanted[0], list) else [wanted]
        share *= min(1.0, sum(_months(one, sizes) for one in ranges) / sizes.months(table))
    return share


def _months(wanted: Any, sizes: Sizes) -> float:
    """The months of a range."""
    days = [_day(value) for value in (wanted if isinstance(wanted, list) else [wanted, sizes.last]) if value]
    last = sizes.last if len(days) == 1 else max(days)
    return (last - min(days)).days / 30.4 + 1


def _day(value: Any) -> date:
    return value.date() if isinstance(value, datetime) else value


@cache
def _views() -> dict[str, exp.Query]:
    found = {}
    for path in (SQL / "views").glob("*.sql"):
        made = sqlglot.parse_one(path.read_text(), dialect="bigquery")
        found[path.stem] = made.expression
    return found


@cache
def _tables() -> dict[str, dict[str, str]]:
    return {path.stem: dict(_columns(path.read_text())) for path in (SQL / "tables").glob("*.sql")}


def _columns(text: str) -> Iterator[tuple[str, str]]:
    yield from re.findall(r"^  (\w+) ((?:ARRAY<)?[A-Z0-9]+>?)", text, re.MULTILINE)


@cache
def _layout() -> dict[str, tuple[str, list[str]]]:
    """The column of a table's partitions, and those of its clusters, by table."""
    made = {}
    for path in (SQL / "tables").glob("*.sql"):
        text = path.read_text()
        partitioned = re.search(r"PARTITION BY (?:\w+\()?(\w+)", text)
        clustered = re.search(r"CLUSTER BY ([\w, ]+)", text)
        made[path.stem] = (partitioned[1] if partitioned else "", clustered[1].split(", ") if clustered else [])
    return made
