"""BigQuery's methods, as far as the warehouse needs them, executed by DuckDB.

A job id is accepted once; types and NOT NULL are checked; a view has to name datasets; modifications are counted;
UPDATE and DELETE need a WHERE; a query's parameters have to be declared; an array that is NULL is stored as an empty
one, and read from Parquet only with list inference.
"""

import functools
import itertools
import json
import re
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import sqlglot
from sqlglot import expressions as sql

from tickercast.backends.warehouse import sql as project_sql
from tickercast.backends.warehouse.sql import to_duckdb

columns = functools.cache(project_sql.columns)

_KINDS = {"INT64": "INTEGER", "FLOAT64": "FLOAT", "BOOL": "BOOLEAN"}
_SQL_KINDS = {kind: name for name, kind in _KINDS.items()}
_STATUS = {
    "accessDenied": 403,
    "backendError": 503,
    "conditionNotMet": 412,
    "duplicate": 409,
    "internalError": 500,
    "notFound": 404,
    "notImplemented": 501,
    "quotaExceeded": 403,
    "rateLimitExceeded": 403,
}
"""The others answer 400."""


_PROCESSED = "20971520"
"""Bytes that every query reads: 20 MiB."""


class Failure(Exception):
    """An answer that is an error, with BigQuery's reason code."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.status = _STATUS.get(reason, 400)

    def body(self) -> dict[str, Any]:
        said = {"reason": self.reason, "message": str(self), "domain": "global"}
        return {"error": {"code": self.status, "message": str(self), "errors": [said]}}

    def result(self) -> dict[str, str]:
        return {"reason": self.reason, "message": str(self)}


@dataclass
class Request:
    """A request: the method's id, the parameters of path and query, and the body."""

    method: str
    path: Mapping[str, str]
    query: Mapping[str, str]
    body: dict[str, Any]
    data: bytes = b""
    etag: str = ""


@dataclass
class Job:
    """A job: what the API shows of it, and the rows that a query gave."""

    resource: dict[str, Any]
    polls: int = 0
    ready_at: float = 0.0
    failure: Failure | None = None
    answer: pa.Table | int | None = None

    def seen(self) -> dict[str, Any]:
        """The resource as the next poll finds it."""
        self.polls -= 1
        running = self.polls >= 0 or time.monotonic() < self.ready_at
        status: dict[str, Any] = {"state": "RUNNING" if running else "DONE"}
        if self.failure and not running:
            status |= {"errorResult": self.failure.result(), "errors": [self.failure.result()]}
        return self.resource | {"status": status}


@dataclass
class Engine:
    """The state, and a method for each of the API's that the warehouse needs."""

    page_rows: int = 5000
    query_bytes: int = 0
    daily_modifications: int = 1500
    faults: dict[str, deque[str]] = field(default_factory=dict)
    modifications: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._lock = threading.RLock()
        self._connection = duckdb.connect()
        self._connection.execute("SET TimeZone = 'UTC'")
        self._projects: set[str] = set()
        self._datasets: dict[tuple[str, str], dict[str, Any]] = {}
        self._tables: dict[tuple[str, str, str], dict[str, Any]] = {}
        self._jobs: dict[tuple[str, str], Job] = {}
        self._numbers = itertools.count(1)

    def close(self) -> None:
        self._connection.close()

    def handle(self, request: Request) -> dict[str, Any]:
        name = request.method.removeprefix("bigquery.").replace(".", "_")
        handler: Callable[[Request], dict[str, Any]] | None = getattr(self, name, None)
        if handler is None:
            raise Failure("notImplemented", f"{request.method} is not played here")
        with self._lock:
            return handler(request)

    def datasets_get(self, request: Request) -> dict[str, Any]:
        return self._dataset(request.path["projectId"], request.path["datasetId"])

    def datasets_insert(self, request: Request) -> dict[str, Any]:
        named = request.body["datasetReference"]
        key = (named["projectId"], named["datasetId"])
        if key in self._datasets:
            raise Failure("duplicate", f"Already Exists: Dataset {key[0]}:{key[1]}")
        if key[0] not in self._projects:
            self._connection.execute(f"ATTACH ':memory:' AS \"{key[0]}\"")
            self._projects.add(key[0])
        self._connection.execute(f'CREATE SCHEMA "{key[0]}"."{key[1]}"')
        self._datasets[key] = request.body | {
            "id": ":".join(key),
            "location": request.body.get("location") or "US",
            "creationTime": _now(),
        }
        return self._datasets[key]

    def datasets_delete(self, request: Request) -> dict[str, Any]:
        key = (request.path["projectId"], request.path["datasetId"])
        self._dataset(*key)
        if request.query.get("deleteContents") != "true":
            raise Failure("resourceInUse", f"Dataset {key[0]}:{key[1]} is still in use")
        self._connection.execute(f'DROP SCHEMA "{key[0]}"."{key[1]}" CASCADE')
        self._tables = {name: table for name, table in self._tables.items() if name[:2] != key}
        del self._datasets[key]
        return {}

    def tables_list(self, request: Request) -> dict[str, Any]:
        owner = (request.path["projectId"], request.path["datasetId"])
        self._dataset(*owner)
        shown = ("id", "tableReference", "type", "labels", "creationTime")
        listed = [
            {name: table[name] for name in shown if name in table}
            for key, table in self._tables.items()
            if key[:2] == owner
        ]
        return {"tables": listed, "totalItems": len(listed)}

    def tables_get(self, request: Request) -> dict[str, Any]:
        table = self._stored(request)
        if table.get("type") != "TABLE":  # a view, or the anonymous table of a result
            return table
        [[rows]] = self._connection.execute(f"SELECT count(*) FROM {_quoted(table)}").fetchall()
        return {"lastModifiedTime": table["creationTime"], **table, "numRows": str(rows)}

    def _stored(self, request: Request) -> dict[str, Any]:
        return self._table(request.path["projectId"], request.path["datasetId"], request.path["tableId"])

    def tables_patch(self, request: Request) -> dict[str, Any]:
        table = self._stored(request)
        if request.etag not in ("", table["etag"]):
            raise Failure("conditionNotMet", "Precondition check failed.")
        for column in request.body.get("schema", {}).get("fields", ()):
            column |= {"type": _KINDS.get(column["type"], column["type"]), "mode": column.get("mode") or "NULLABLE"}
        if "schema" in request.body:
            self._add_columns(table, request.body["schema"]["fields"])
        table |= {name: value for name, value in request.body.items() if name in ("schema", "labels", "description")}
        table["etag"] = f"etag-{next(self._numbers)}"
        return table

    def tables_delete(self, request: Request) -> dict[str, Any]:
        table = self._stored(request)
        self._connection.execute(f"DROP {table['type']} {_quoted(table)}")
        del self._tables[_key(table)]
        return {}

    def jobs_insert(self, request: Request) -> dict[str, Any]:
        job = self._accepted(request.path["projectId"], request.body)
        try:
            self._befall(job)
            if "load" in request.body["configuration"]:
                loaded = self._load(request.body["configuration"]["load"], request.data)
                job.resource["statistics"]["load"] = {"outputBytes": str(loaded)}
            else:
                job.answer = self._query(request.body["configuration"]["query"])
        except Failure as failure:
            job.failure = failure
        return job.seen()

    def jobs_get(self, request: Request) -> dict[str, Any]:
        return self._job(request).seen()

    def jobs_query(self, request: Request) -> dict[str, Any]:
        reference = {"location": request.body.get("location")}
        body = {"jobReference": reference, "configuration": {"query": {"query": request.body["query"]}}}
        if (most := int(request.body.get("maximumBytesBilled", 0))) < self.query_bytes:
            refused = f"Query exceeded limit for bytes billed: {most}. {self.query_bytes} or higher required."
            raise Failure("bytesBilledLimitExceeded", refused)
        answer = self._query(request.body)
        job = self._accepted(request.path["projectId"], body)
        job.answer = answer
        self._befall(job)
        return self._page(job, request.query)

    def jobs_getQueryResults(self, request: Request) -> dict[str, Any]:  # noqa: N802
        job = self._job(request)
        job.polls -= 1
        return self._page(job, request.query)

    def jobs_cancel(self, request: Request) -> dict[str, Any]:
        return {"job": self._job(request).seen()}

    def fault(self, name: str) -> str:
        """The next fault that was ordered under a name, or nothing."""
        waiting = self.faults.get(name)
        return waiting.popleft() if waiting else ""

    def copy(self, project: str, source: str, target: str) -> None:
        """Make a dataset with the tables and views of another, which have no rows, as if the same calls had made it."""

        def renamed(made: dict[str, Any]) -> dict[str, Any]:
            return dict(json.loads(json.dumps(made).replace(source, target)))

        with self._lock:
            self._datasets[(project, target)] = renamed(self._dataset(project, source))
            self._connection.execute(f'CREATE SCHEMA "{project}"."{target}"')
            of_source = "database_name = $project AND schema_name = $source"
            stated = self._connection.execute(
                f"SELECT table_name, sql FROM duckdb_tables() WHERE {of_source}", {"project": project, "source": source}
            )
            tables = dict(stated.fetchall())
            for table in [table for key, table in self._tables.items() if key[:2] == (project, source)]:
                made = renamed(table)
                if made["type"] == "VIEW":
                    self._connection.execute(_to_duckdb(made["view"]["query"]))
                else:
                    text = tables[_key(table)[2]].removeprefix(f"CREATE TABLE {source}.")
                    self._connection.execute(f'CREATE TABLE "{project}"."{target}".{text}')
                self._tables[_key(made)] = made

    def finish_jobs(self) -> None:
        """Let the next poll find every job done."""
        with self._lock:
            for job in self._jobs.values():
                job.polls, job.ready_at = 0, 0.0

    # ------------------------------------------------------------ jobs

    def _accepted(self, project: str, body: Mapping[str, Any]) -> Job:
        job_id = body["jobReference"].get("jobId") or f"job-{next(self._numbers)}"
        location = body["jobReference"].get("location") or "US"
        if (project, job_id) in self._jobs:
            raise Failure("duplicate", f"Already Exists: Job {project}:{location}.{job_id}")
        reference = {"projectId": project, "jobId": job_id, "location": location}
        statistics = {name: _now() for name in ("creationTime", "startTime", "endTime")}
        resource = {"id": f"{project}:{location}.{job_id}", "jobReference": reference, "statistics": statistics}
        made = Job(resource | {"configuration": body["configuration"]})
        self._jobs[(project, job_id)] = made
        return made

    def _befall(self, job: Job) -> None:
        fault = self.fault("job")
        if seconds := re.fullmatch(r"([\d.]+)s", fault):
            job.ready_at = time.monotonic() + float(seconds[1])
            return
        if fault and not fault.isdigit():
            raise Failure(fault, "The job failed on demand")
        job.polls = int(fault or 0)

    def _job(self, request: Request) -> Job:
        job = self._jobs.get((request.path["projectId"], request.path["jobId"]))
        if job is None or job.resource["jobReference"]["location"] != request.query.get("location", "US"):
            raise Failure("notFound", f"Not found: Job {request.path['projectId']}:{request.path['jobId']}")
        return job

    def _load(self, config: Mapping[str, Any], data: bytes) -> int:
        """Append the rows of a file, and return their size."""
        named = config["destinationTable"]
        table = self._table(named["projectId"], named["datasetId"], named["tableId"])
        self.modifications[named["tableId"]] += 1
        if self.modifications[named["tableId"]] > self.daily_modifications:
            raise Failure("quotaExceeded", "Quota exceeded: Your table exceeded quota for imports or query appends")
        if config.get("writeDisposition") != "WRITE_APPEND" or config["sourceFormat"] != "PARQUET":
            raise Failure("notImplemented", "Only Parquet that is appended is loaded here")
        rows = pq.read_table(pa.BufferReader(data))
        _refuse_misfits(rows, config["schema"]["fields"], table)
        lists = [column.name for column in rows.schema if pa.types.is_list(column.type)]
        if lists and not config.get("parquetOptions", {}).get("enableListInference"):
            raise Failure("invalid", f"Provided Schema does not match: {lists[0]} is a RECORD without list inference")
        self._connection.register("loaded", rows)
        values = "".join(f', COALESCE("{name}", []) AS "{name}"' for name in lists)
        loaded = f"SELECT * EXCLUDE ({', '.join(lists)}){values}" if lists else "SELECT *"
        self._connection.execute(f"INSERT INTO {_quoted(table)} BY NAME {loaded} FROM loaded")
        table["lastModifiedTime"] = _now()
        self._connection.unregister("loaded")
        return int(rows.nbytes)

    # ------------------------------------------------------------ queries

    def _query(self, asked: Mapping[str, Any]) -> pa.Table | int | None:
        """The result of a query: rows, how many an UPDATE or DELETE has changed, or nothing."""
        try:
            tree: Any = _parsed(asked["query"]).copy()
            text = asked["query"]
            if "defaultDataset" in asked:
                text = _within(tree, asked["defaultDataset"])
            self._refuse_strange_names(tree, asked.get("location"))
            if isinstance(tree, sql.Create):
                self._create(tree, text)
                return None
            if isinstance(tree, sql.Alter):
                self._alter(tree)
                return None
            if isinstance(tree, sql.Drop):
                self._drop(tree)
                return None
            given = _given(tree, asked)
            if isinstance(tree, sql.Update | sql.Delete | sql.Merge):
                return self._modify(tree, text, given)
            if not isinstance(tree, sql.Query):
                raise Failure("notImplemented", f"{tree.key} is not played here")
            rows = self._connection.sql(_to_duckdb(text), params=given).to_arrow_table()
            if twice := sorted({name for name in rows.column_names if rows.column_names.count(name) > 1}):
                found = ", ".join(twice)
                raise Failure("invalidQuery", f"Duplicate column names in the result are not supported. Found: {found}")
            return rows
        except (duckdb.Error, sqlglot.errors.SqlglotError) as error:
            raise Failure("invalidQuery", str(error)) from error

    def _refuse_strange_names(self, tree: sql.Expression, location: str | None) -> None:
        inner = {common.alias for common in tree.find_all(sql.CTE)}
        for table in tree.find_all(sql.Table):
            if not table.name or (table.name in inner and not table.db) or isinstance(table.parent, sql.AlterRename):
                continue
            if not table.db:
                raise Failure("invalid", f'Table "{table.name}" must be qualified with a dataset (e.g. dataset.table).')
            lies_in = self._dataset(table.catalog, table.db)["location"]
            if location not in (None, lies_in):
                place = f"{table.catalog}:{table.db}"
                raise Failure("notFound", f"Not found: Dataset {place} was not found in location {location}")
            created = isinstance(tree, sql.Create) and table.find_ancestor(sql.Select) is None
            optional = isinstance(tree, sql.Drop) and tree.args.get("exists")
            if not created and not optional and (table.catalog, table.db, table.name) not in self._tables:
                place = f"{table.catalog}:{table.db}.{table.name}"
                raise Failure("notFound", f"Not found: Table {place} was not found in location {lies_in}")

    def _create(self, tree: sql.Create, text: str) -> None:
        target = tree.find(sql.Table)
        assert target is not None
        reference = _reference(target)
        key = (target.catalog, target.db, target.name)
        if key in self._tables and tree.args.get("exists"):
            return
        if tree.kind == "TABLE" and tree.expression:
            self._create_with_rows(tree, _fields(text))
        else:
            self._connection.execute(_to_duckdb(text))
        self._tables[key] = {
            "id": f"{target.catalog}:{target.db}.{target.name}",
            "tableReference": reference,
            "type": tree.kind,
            "creationTime": _now(),
            "etag": f"etag-{next(self._numbers)}",
            "location": self._datasets[key[:2]]["location"],
            "numBytes": "0",
            **_properties(tree),
            **({"schema": {"fields": _fields(text)}} if tree.kind == "TABLE" else {"view": {"query": text}}),
        }

    def _create_with_rows(self, tree: sql.Create, fields: Sequence[Mapping[str, Any]]) -> None:
        """Create a table with the rows of a query, whose columns are matched by position; or nothing."""
        query = _to_duckdb(tree.expression.sql("bigquery"))
        given = _in_utc(self._connection.sql(query).to_arrow_table())
        if len(given.schema) != len(fields):
            raise Failure("invalidQuery", f"{len(fields)} columns are declared, and the query has {len(given.schema)}")
        for found, wanted in zip(given.schema, fields, strict=True):
            _refuse_other_type(found.type, wanted)
        empty = tree.copy()
        empty.set("expression", None)
        lists = [pa.types.is_list(found.type) for found in given.schema]
        names = [f"c{number}" for number in range(len(fields))]
        values = [f"COALESCE({name}, [])" if is_list else name for name, is_list in zip(names, lists, strict=True)]
        target = _quoted({"tableReference": _reference(next(tree.find_all(sql.Table)))})
        self._connection.register("given", given.rename_columns(names))
        self._connection.begin()
        try:
            self._connection.execute(_to_duckdb(empty.sql("bigquery")))
            self._connection.execute(f"INSERT INTO {target} SELECT {', '.join(values)} FROM given")
        except duckdb.Error:
            self._connection.rollback()
            raise
        finally:
            self._connection.unregister("given")
        self._connection.commit()

    def _drop(self, tree: sql.Drop) -> None:
        [named] = tree.args["tables"]
        key = (named.catalog, named.db, named.name)
        if key not in self._tables:
            return  # only after IF EXISTS, or the name would have been refused
        if tree.args["kind"] != self._tables[key]["type"]:
            raise Failure("invalidQuery", f"{named.name} is not a {tree.args['kind']}")
        self._connection.execute(f"DROP {tree.args['kind']} {_quoted(self._tables.pop(key))}")

    def _rename(self, table: dict[str, Any], name: str) -> None:
        project, dataset, _ = key = _key(table)
        if (project, dataset, name) in self._tables:
            raise Failure("duplicate", f"Already Exists: Table {project}:{dataset}.{name}")
        self._connection.execute(f'ALTER TABLE {_quoted(table)} RENAME TO "{name}"')
        reference = {"projectId": project, "datasetId": dataset, "tableId": name}
        self._tables[project, dataset, name] = self._tables.pop(key) | {
            "id": f"{project}:{dataset}.{name}",
            "tableReference": reference,
            "etag": f"etag-{next(self._numbers)}",
        }

    def _alter(self, tree: sql.Alter) -> None:
        table = self._named(tree.this)
        for action in tree.args["actions"]:
            if isinstance(action, sql.AlterRename) and table["type"] == "TABLE":
                self._rename(table, action.this.name)
                return
            if isinstance(action, sql.ColumnDef) and table["type"] == "TABLE":
                self._add_column(table, action)
                continue
            if not isinstance(action, sql.Drop) or action.args["kind"] != "COLUMN" or table["type"] != "TABLE":
                raise Failure("notImplemented", "Only columns of tables are added or dropped here")
            self._drop_column(table, action.args["tables"][0].name, quietly=bool(action.args["exists"]))

    def _add_column(self, table: dict[str, Any], column: sql.ColumnDef) -> None:
        if any(known["name"] == column.name for known in table["schema"]["fields"]):
            if column.args.get("exists"):
                return
            raise Failure("invalidQuery", f"Column already exists: {column.name}")
        kind = column.args["kind"].sql("bigquery")
        fields = [*table["schema"]["fields"], {"name": column.name, "type": _KINDS.get(kind, kind), "mode": "NULLABLE"}]
        self._add_columns(table, fields)
        table |= {"schema": {"fields": fields}, "etag": f"etag-{next(self._numbers)}"}

    def _drop_column(self, table: dict[str, Any], name: str, *, quietly: bool) -> None:
        fields = table["schema"]["fields"]
        kept = [known for known in fields if known["name"] != name]
        if len(kept) == len(fields):
            if quietly:
                return
            raise Failure("invalidQuery", f"Column not found in table {table['id']}: {name}")
        if name in (table.get("timePartitioning", {}).get("field"), *table.get("clustering", {}).get("fields", ())):
            raise Failure("invalidQuery", f"ALTER TABLE DROP COLUMN cannot drop the partitioned or clustered {name}")
        if not kept:
            raise Failure("invalidQuery", f"ALTER TABLE DROP COLUMN cannot drop the only column of {table['id']}")
        self._connection.execute(f'ALTER TABLE {_quoted(table)} DROP COLUMN "{name}"')
        table |= {"schema": {"fields": kept}, "etag": f"etag-{next(self._numbers)}"}

    def _modify(self, tree: sql.Update | sql.Delete | sql.Merge, text: str, given: Mapping[str, Any]) -> int:
        """The number of rows that an UPDATE, DELETE or MERGE has changed."""
        table = self._named(tree.this)
        if table.get("type") != "TABLE":  # a view, or the anonymous table of a result
            raise Failure("invalidQuery", f"{table['id']} is not a table, and its rows cannot be changed")
        if not isinstance(tree, sql.Merge) and not tree.args.get("where"):
            raise Failure("invalidQuery", f"{tree.key.upper()} must have a WHERE clause")
        if isinstance(tree, sql.Update):
            self._refuse_wrong_values(tree, table, given)
        changed = int(self._connection.execute(_to_duckdb(text), dict(given)).fetchall()[0][0])
        table["etag"] = f"etag-{next(self._numbers)}"
        return changed

    def _refuse_wrong_values(self, tree: sql.Update, table: Mapping[str, Any], given: Mapping[str, Any]) -> None:
        """Refuse an UPDATE that sets a value of another type; only an INT64 may become a FLOAT64."""
        stored = {known["name"]: known for known in table["schema"]["fields"]}
        names = [assigned.this.name for assigned in tree.expressions]
        if len(set(names)) < len(names):
            raise Failure("invalidQuery", f"UPDATE sets a column of {table['id']} twice")
        values = [assigned.expression.copy() for assigned in tree.expressions]
        probe = sql.select(*values).from_(tree.this.copy()).limit(0).sql("bigquery")
        found = self._connection.sql(_to_duckdb(probe), params=dict(given)).to_arrow_table().schema
        for name, value, column in zip(names, values, found, strict=True):
            if name not in stored:
                raise Failure("invalidQuery", f"Column {name} is not present in {table['id']}")
            if not isinstance(value, sql.Null):
                _refuse_other_type(column.type, stored[name])

    def _page(self, job: Job, query: Mapping[str, str]) -> dict[str, Any]:
        reference = job.resource["jobReference"]
        if job.polls > 0 or time.monotonic() < job.ready_at:
            return {"jobReference": reference, "jobComplete": False}
        page: dict[str, Any] = {"jobReference": reference, "jobComplete": True, "totalBytesProcessed": _PROCESSED}
        if isinstance(job.answer, int):
            return page | {"numDmlAffectedRows": str(job.answer)}
        if job.answer is None:
            return page
        self._name_destination(job)
        first = int(query.get("pageToken") or query.get("startIndex") or 0)
        rows = job.answer.slice(first, min(int(query.get("maxResults", self.page_rows)), self.page_rows))
        page |= {"schema": _schema(job.answer.schema), "totalRows": str(len(job.answer))}
        page |= {"rows": _encoded(rows)} if len(rows) else {}
        more = first + len(rows) < len(job.answer) and len(rows)
        return page | ({"pageToken": str(first + len(rows))} if more else {})

    def _name_destination(self, job: Job) -> None:
        """Results lie in an anonymous table, which pandas-gbq asks for the size of."""
        reference = job.resource["jobReference"]
        named = {"projectId": reference["projectId"], "datasetId": "_anonymous", "tableId": reference["jobId"]}
        job.resource["configuration"]["query"]["destinationTable"] = named
        self._tables[_key({"tableReference": named})] = {"tableReference": named, "numBytes": "0"}

    # ------------------------------------------------------------ tables

    def _dataset(self, project: str, dataset: str) -> dict[str, Any]:
        if (project, dataset) not in self._datasets:
            raise Failure("notFound", f"Not found: Dataset {project}:{dataset}")
        return self._datasets[(project, dataset)]

    def _table(self, project: str, dataset: str, table: str) -> dict[str, Any]:
        if (project, dataset, table) not in self._tables:
            raise Failure("notFound", f"Not found: Table {project}:{dataset}.{table}")
        return self._tables[(project, dataset, table)]

    def _named(self, table: sql.Table) -> dict[str, Any]:
        return self._table(table.catalog, table.db, table.name)

    def _add_columns(self, table: Mapping[str, Any], fields: Sequence[Mapping[str, Any]]) -> None:
        stored = {known["name"]: known for known in table["schema"]["fields"]}
        if set(stored) - {wanted["name"] for wanted in fields}:
            raise Failure("invalid", "Provided Schema does not match: a field is missing in new schema")
        for wanted in fields:
            known = stored.get(wanted["name"])
            if known and (known["type"], known["mode"]) != (wanted["type"], wanted["mode"]):
                raise Failure("invalid", f"Provided Schema does not match: {wanted['name']} has changed")
            if known is None and wanted["mode"] == "REQUIRED":
                raise Failure("invalid", "Cannot add required fields to an existing schema")
            if known is None:
                kind = _SQL_KINDS.get(wanted["type"], wanted["type"])
                kind = f"ARRAY<{kind}>" if wanted["mode"] == "REPEATED" else kind
                statement = f"ALTER TABLE t ADD COLUMN {wanted['name']} {kind}"
                self._connection.execute(_to_duckdb(statement).replace(" t ", f" {_quoted(table)} ", 1))


def _refuse_misfits(rows: pa.Table, fields: Sequence[Mapping[str, Any]], table: Mapping[str, Any]) -> None:
    stored = {known["name"]: known for known in table["schema"]["fields"]}
    for sent in fields:
        known = stored.get(sent["name"])
        if known is None or (known["type"], known["mode"]) != (sent["type"], sent.get("mode", "NULLABLE")):
            raise Failure("invalid", f"Provided Schema does not match Table {table['id']}: field {sent['name']}")
    for name, column in zip(rows.column_names, rows.columns, strict=True):
        if name not in stored or _place(column.type) != (stored[name]["type"], stored[name]["mode"] == "REPEATED"):
            raise Failure("invalid", f"Parquet column '{name}' has type {column.type}, which does not match the target")
    for name, known in stored.items():
        if known["mode"] == "REQUIRED" and (name not in rows.column_names or rows[name].null_count):
            raise Failure("invalid", f"Required field {name} cannot be null")


def _in_utc(rows: pa.Table) -> pa.Table:
    """DuckDB's counterpart of TIMESTAMP_MICROS has no zone; Google's analyser checks that we use no DATETIME."""
    kinds = [pa.timestamp("us", "UTC") if pa.types.is_timestamp(kind) else kind for kind in rows.schema.types]
    return rows.cast(pa.schema(list(zip(rows.column_names, kinds, strict=True))))


def _refuse_other_type(found: pa.DataType, wanted: Mapping[str, Any]) -> None:
    """Refuse a value that a column cannot store; only an INT64 may become a FLOAT64."""
    place = (wanted["type"], wanted["mode"] == "REPEATED")
    if _place(found) not in {place} | ({("INTEGER", False)} if place == ("FLOAT", False) else set()):
        kinds = f"type {found} cannot be assigned to {wanted['name']}, which has type {wanted['type']}"
        raise Failure("invalidQuery", f"Value of {kinds}")


def _fields(text: str) -> list[dict[str, Any]]:
    made = []
    for column in columns(project_sql.SqlObject("", is_view=False, text=text)):
        kind = column.kind.removeprefix("ARRAY<").removesuffix(">")
        mode = "REPEATED" if kind != column.kind else "REQUIRED" if column.required else "NULLABLE"
        described = {"type": _KINDS.get(kind, kind), "mode": mode, "description": column.description}
        made.append({"name": column.name} | described)
    return made


def _properties(tree: sql.Create) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for option in tree.args["properties"].expressions if tree.args.get("properties") else ():
        match option:
            case sql.PartitionedByProperty(this=truncated):
                column = truncated.find(sql.Column).name
                found["timePartitioning"] = {"type": truncated.text("unit"), "field": column}
            case sql.ClusterProperty():
                found["clustering"] = {"fields": [column.name for column in option.expressions]}
            case sql.Property():
                found[option.name] = option.text("value")
    return found


# ---------------------------------------------------------------- values


def _type(kind: pa.DataType) -> str:
    tests: Sequence[tuple[Callable[[pa.DataType], bool], str]] = (
        (pa.types.is_integer, "INTEGER"),
        (pa.types.is_floating, "FLOAT"),
        (pa.types.is_decimal, "NUMERIC"),
        (pa.types.is_string, "STRING"),
        (pa.types.is_boolean, "BOOLEAN"),
        (pa.types.is_date, "DATE"),
        (lambda kind: pa.types.is_timestamp(kind) and kind.tz is not None, "TIMESTAMP"),
    )
    return next(name for test, name in tests if test(kind))


def _place(kind: pa.DataType) -> tuple[str, bool]:
    """The type of a column, and whether it is repeated."""
    return (_type(kind.value_type), True) if pa.types.is_list(kind) else (_type(kind), False)


def _schema(schema: pa.Schema) -> dict[str, Any]:
    places = {column.name: _place(column.type) for column in schema}
    return {
        "fields": [
            {"name": name, "type": kind, "mode": "REPEATED" if repeated else "NULLABLE"}
            for name, (kind, repeated) in places.items()
        ]
    }


def _encoded(rows: pa.Table) -> list[dict[str, Any]]:
    cells = [_cells(column) for column in rows.columns]
    return [{"f": [{"v": value} for value in row]} for row in zip(*cells, strict=True)]


def _cells(column: pa.ChunkedArray) -> list[Any]:
    """Everything is text on the wire; timestamps are microseconds, as all clients of today ask for."""
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("us", tz="UTC")).cast(pa.int64())
    nothing: Any = [] if pa.types.is_list(column.type) else None
    return [_cell(nothing if value is None else value) for value in column.to_pylist()]


def _cell(value: Any) -> Any:
    if isinstance(value, list):
        return [{"v": _cell(inner)} for inner in value]
    if isinstance(value, bool):
        return str(value).lower()
    return None if value is None else str(value)


def _given(tree: sql.Expression, asked: Mapping[str, Any]) -> dict[str, Any]:
    """The values of the parameters that a statement names; what it does not name is ignored."""
    declared = {named["name"]: named for named in asked.get("queryParameters", [])}
    if declared and asked.get("parameterMode") != "NAMED":
        raise Failure("invalid", "Named parameters need the parameter mode NAMED")
    used = {parameter.name for parameter in tree.find_all(sql.Parameter)}
    for name in used - set(declared):
        raise Failure("invalidQuery", f"Query parameter '{name}' not found")
    for limit in tree.find_all(sql.Limit):
        if isinstance(limit.expression, sql.Parameter):
            kind = declared[limit.expression.name]["parameterType"]["type"]
            if kind != "INT64":
                raise Failure("invalidQuery", f"LIMIT expects an integer literal or parameter, and {kind} was given")
    return {name: _value(declared[name]) for name in used}


def _value(parameter: Mapping[str, Any]) -> Any:
    kind, value = parameter["parameterType"], parameter["parameterValue"]
    if kind["type"] == "ARRAY":
        return [_scalar(kind["arrayType"]["type"], inner["value"]) for inner in value["arrayValues"]]
    return _scalar(kind["type"], value["value"])


def _scalar(kind: str, text: str) -> Any:
    kinds: Mapping[str, Callable[[str], Any]] = {
        "INT64": int,
        "FLOAT64": float,
        "BOOL": lambda value: value == "true",
        "DATE": date.fromisoformat,
        "TIMESTAMP": datetime.fromisoformat,
        "STRING": str,
    }
    return kinds[kind](text)


@functools.lru_cache(maxsize=256)
def _parsed(query: str) -> sql.Expr:
    return sqlglot.parse_one(query, read="bigquery")


def _to_duckdb(text: str) -> str:
    """The statement in DuckDB's dialect; one that differs in the dataset of a test alone is not translated again."""
    named = list(dict.fromkeys(_OF_A_TEST.findall(text)))
    for number, name in enumerate(named):
        text = text.replace(name, f"dataset_of_a_test_{number}_")
    text = to_duckdb(text)
    for number, name in enumerate(named):
        text = text.replace(f"dataset_of_a_test_{number}_", name)
    return text


_OF_A_TEST = re.compile(r"\b(?:d|tickercast_test_)[0-9a-f]{32}\b")


def _within(tree: sql.Expression, dataset: Mapping[str, str]) -> str:
    """The statement with a default dataset put before its plain names."""
    inner = {common.alias for common in tree.find_all(sql.CTE)}
    for table in tree.find_all(sql.Table):
        if not table.db and table.name not in inner:
            table.set("db", sql.to_identifier(dataset["datasetId"], quoted=True))
            table.set("catalog", sql.to_identifier(dataset["projectId"], quoted=True))
    return tree.sql("bigquery")


def _reference(table: sql.Table) -> dict[str, str]:
    return {"projectId": table.catalog, "datasetId": table.db, "tableId": table.name}


def _key(table: Mapping[str, Any]) -> tuple[str, str, str]:
    named = table["tableReference"]
    return named["projectId"], named["datasetId"], named["tableId"]


def _quoted(table: Mapping[str, Any]) -> str:
    return ".".join(f'"{part}"' for part in _key(table))


def _now() -> str:
    return str(time.time_ns() // 1_000_000)
