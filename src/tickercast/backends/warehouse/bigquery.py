"""The warehouse on Google Cloud: one BigQuery dataset.

An append is one load job, whose id is derived from the key: BigQuery accepts an id once and remembers it for 180 days.
A load job stores all of its rows or none. A failed job is followed by one whose id ends in `-2`, and so on; all writers
try the same ids in the same order, and the first success ends the sequence.

Limits, from Google's documentation, and what happens beyond them:

- 1,500 modifications of a table a day; a load job counts as one even if it fails, however many symbols it
  stores.
- 30,000 modified partitions of a table a day; twenty years of prices touch 240 months, whether for one symbol or
  for a thousand: 125 such files a day.
- 100,000 load jobs of a project a day. Beyond any of these three: `quotaExceeded`, raised as `WarehouseUnavailable`,
  so the event is delivered again; nothing is lost as long as the platform does that (24 hours).
- 4,000 partitions a job, which are 333 years; beyond: `SchemaMismatch`.
- Five changes of a table's or view's definition in ten seconds; beyond: `rateLimitExceeded`, retried here.
  Provisioning changes only what differs; appends and reads change no definition.
"""

import contextvars
import functools
import hashlib
import io
import itertools
import numbers
import random
import re
import time
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pandas_gbq
import pyarrow as pa
import pyarrow.parquet as pq
from google.api_core import exceptions as api
from google.api_core.retry import Retry
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery
from google.cloud.bigquery.table import RowIterator

from tickercast import logs, traffic
from tickercast.backends.warehouse.bigquery_errors import is_transient, one_line, translated
from tickercast.backends.warehouse.sql import (
    ADDED_UP,
    BEFORE,
    FINISHED,
    REWRITTEN,
    Column,
    SqlObject,
    additions,
    announce_migration,
    checked_query,
    column_names,
    columns,
    dated_by,
    drops,
    missing_columns,
    of_this_release,
    outdated,
    pending,
    qualified,
    read_compactions,
    read_migration,
    read_objects,
    read_rewrites,
)
from tickercast.errors import SchemaMismatch
from tickercast.ports import Between, QueryLimits

_SQL_HASH = "tickercast_sql"
"""The label with the hash of an object's SQL file: a list of the tables shows what has changed."""

_SENDER_ID = "tickercast_append"
"""The label with the id of a load job's sender: after a lost answer, the sender recognises the job as its own."""

_ATTEMPTS = 5
"""Load jobs of one append that may fail for a transient reason before it gives up."""

_KINDS = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL"}
"""SQL's names of types, where the API has others."""

_ARROW = {
    "STRING": pa.string(),
    "INT64": pa.int64(),
    "FLOAT64": pa.float64(),
    "BOOL": pa.bool_(),
    "DATE": pa.date32(),
    "TIMESTAMP": pa.timestamp("us", tz="UTC"),
    "ARRAY<FLOAT64>": pa.list_(pa.float64()),
}
_LEGACY = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL"}
"""Types of an answer by their older names, which the API still uses."""
_PARAMETERS: Sequence[tuple[type, str]] = (
    (str, "STRING"),
    (bool, "BOOL"),
    (numbers.Integral, "INT64"),
    (numbers.Real, "FLOAT64"),
    (datetime, "TIMESTAMP"),
    (date, "DATE"),
)
"""Query parameters by the type of a value; the first match counts, since a bool is an integer, a datetime a date."""


def _arrow_type(field: bigquery.SchemaField) -> pa.DataType:
    kind = _LEGACY.get(field.field_type, field.field_type)
    return _ARROW[f"ARRAY<{kind}>" if field.mode == "REPEATED" else kind]


class BigQueryWarehouse:
    """The `Warehouse` port over a BigQuery dataset; see `tickercast.ports`.

    Args:
        project: the project that holds the dataset and pays for the jobs.
        dataset: the dataset; `provision` creates it.
        sql: the folder with `tables/` and `views/`.
        location: where to create the dataset, for example `EU`; empty: BigQuery's default.
        emulator: the URL of a BigQuery emulator, called without credentials; empty: BigQuery itself.
        patience_s: the time limit of a request with its retries, and of a load job.
        query_patience_s: the time after which a query is cancelled; None: never. Maintenance is never cancelled.
        max_query_gb: the gigabytes that a query may be billed for; one that needs more is refused unpaid.
    """

    def __init__(
        self,
        project: str,
        dataset: str,
        sql: Path,
        *,
        location: str = "",
        emulator: str = "",
        patience_s: float = 60.0,
        query_patience_s: float | None = None,
        max_query_gb: float = 1000.0,
    ) -> None:
        self._dataset = bigquery.DatasetReference(project, dataset)
        self._sql = sql
        self._names = functools.cache(functools.partial(column_names, sql))
        self._location = location
        self._emulator = emulator
        self._patience_s = patience_s
        self._query_patience_s = query_patience_s
        self._max_query_gb = max_query_gb
        self._retry = Retry(predicate=is_transient, initial=0.25, maximum=20.0, multiplier=2.0, timeout=patience_s)
        self._patience: dict[str, Any] = {"retry": self._retry, "timeout": patience_s}

    @property
    def url(self) -> str:
        """The URL of the warehouse."""
        return f"bigquery://{self._dataset.project}/{self._dataset.dataset_id}"

    def provision(self) -> list[str]:
        """Create what is missing, and add columns to tables and replace views whose file has changed."""
        with self._translated():
            objects = read_objects(self._sql)
            applied = self._applied()
            if not applied:
                self._create_dataset()
            before = self._set_aside(applied, pending(objects, applied, _sql_hash))
            changed = pending(objects, applied, _sql_hash)
            for each in objects:
                if changed.get(each.name) == "changed" and not each.is_view:
                    self._missing_columns(each, self._table(each.name))
            older = [each for each in objects if not self._is_just_made(each, applied)]
            announce_migration(self.url, older, changed, before)
            names = [*(each.name for each in objects), *before]
            for table in before:
                added = additions(self._sql, table.removesuffix(BEFORE))
                adds = ", ".join(f"ADD COLUMN IF NOT EXISTS `{column.name}` {column.kind}" for column in added)
                self._maintain(f"ALTER TABLE `{self._path}.{table}` {adds}")
            for each in objects:
                if each.name in changed:
                    self._apply(each, names, exists=changed[each.name] == "changed", rewrites=bool(before))
            for table in before:
                self._maintain(f"DROP TABLE IF EXISTS `{self._path}.{table}`")
        return list({**changed, **dict.fromkeys(table.removesuffix(BEFORE) for table in before)})

    def _set_aside(self, applied: dict[str, str], changed: Collection[str]) -> list[str]:
        """Rename the tables of earlier releases, so that their rows can be rewritten; returns their new names."""
        for table in REWRITTEN:
            older = table in applied and table in changed and f"{table}{BEFORE}" not in applied
            if older and self._is_of_earlier_release(table):
                self._maintain(f"ALTER TABLE `{self._path}.{table}` RENAME TO `{table}{BEFORE}`")
                applied[f"{table}{BEFORE}"] = applied.pop(table)
        return _aside(applied)

    def _is_just_made(self, found: SqlObject, applied: Mapping[str, str]) -> bool:
        """Whether a table or view is as its file defines it, but for the label that a process is about to set."""
        if applied.get(found.name) != "":
            return False
        return found.is_view or {field.name for field in self._table(found.name).schema} == {
            one.name for one in columns(found)
        }

    def _is_of_earlier_release(self, table: str) -> bool:
        stored = self._table(table)
        return any(field.name == "generation" and field.field_type == "INTEGER" for field in stored.schema)

    def append(self, table: str, rows: pa.Table | pd.DataFrame, *, key: str) -> bool:
        """Append rows with one load job, unless a job with the key's id has stored them."""
        if not len(rows):
            return False
        with self._translated(table):
            stored = self._table(table)
            return self._load_once(stored, _parquet(rows, stored, self.url), _job_id(stored, key))

    def revision(self, table: str) -> str:
        """The time at which the table was last modified, by its description, which costs nothing."""
        with self._translated(table):
            stored = self._table(table)
        return f"{stored.modified:%Y%m%d%H%M%S%f}-{stored.num_rows}"

    def revisions(self, table: str, *, by: str) -> dict[str, str]:
        """The number of the table's rows for each value of a column, of which alone the bytes are billed."""
        column = f"`{self._checked(by)}`"
        counting = f"SELECT {column} AS value, COUNT(*) AS n FROM `{self._reference(table)}`"  # noqa: S608
        found = self.query(f"{counting} WHERE {column} IS NOT NULL GROUP BY 1")
        return {str(value): str(count) for value, count in zip(found["value"], found["n"], strict=True)}

    def session(self, *, together: bool = False) -> AbstractContextManager[bool]:
        """Do nothing: calls share a client in any case."""
        return nullcontext(False)

    def append_together(self, rows: Mapping[str, pa.Table | pd.DataFrame], *, key: str) -> None:
        """Append rows to several tables, with a load job each that run at once."""
        with ThreadPoolExecutor(len(rows) or 1) as pool:
            jobs = [
                pool.submit(contextvars.copy_context().run, self.append, table, added, key=f"{table}/{key}")
                for table, added in rows.items()
            ]
        for job in jobs:
            job.result()

    def read(
        self, name: str, where: Mapping[str, Any] | None = None, columns: Sequence[str] | None = None
    ) -> pd.DataFrame:
        """Read the rows of a table or view, with the types that DuckDB gives them."""
        statement, parameters = self._select(name, where, columns)
        values = [parameter.to_api_repr() for parameter in parameters]
        return self._read(statement, {"parameterMode": "NAMED", "queryParameters": values})

    def read_arrow(
        self, name: str, where: Mapping[str, Any] | None = None, columns: Sequence[str] | None = None
    ) -> pa.Table:
        """Read the rows of a table or view as an Arrow table."""
        statement, parameters = self._select(name, where, columns)
        given = bigquery.QueryJobConfig(query_parameters=parameters)
        with self._translated(statement):
            rows = self._client.query_and_wait(statement, job_config=given)
            return rows.to_arrow(create_bqstorage_client=False)

    @contextmanager
    def stream(
        self, name: str, where: Mapping[str, Any] | None = None, *, limits: QueryLimits
    ) -> Iterator[pa.RecordBatchReader]:
        """Read the rows of a table or view batch by batch, as pages arrive."""
        statement, parameters = self._select(name, where, None)
        given = bigquery.QueryJobConfig(query_parameters=parameters)
        with self._translated(statement):
            rows = self._client.query_and_wait(statement, job_config=given)
            schema = pa.schema([(field.name, _arrow_type(field)) for field in rows.schema])
            batches = (batch.cast(schema) for batch in rows.to_arrow_iterable())
            yield pa.RecordBatchReader.from_batches(schema, batches)

    def _select(
        self, name: str, where: Mapping[str, Any] | None, columns: Sequence[str] | None
    ) -> tuple[str, list[bigquery.ScalarQueryParameter | bigquery.ArrayQueryParameter]]:
        terms, parameters = [], []
        for number, (column, value) in enumerate((where or {}).items()):
            term, given = _term(f"p{number}", self._checked(column), value)
            terms.append(term)
            parameters += given
        condition = f" WHERE {' AND '.join(terms)}" if terms else ""
        named = columns or self._names(name)
        wanted = ", ".join(f"`{self._checked(column)}`" for column in named) or "*"
        return f"SELECT {wanted} FROM `{self._reference(name)}`{condition}", parameters  # noqa: S608

    def query(
        self, text: str, parameters: Mapping[str, Any] | None = None, *, limits: QueryLimits | None = None
    ) -> pd.DataFrame:
        """Answer a query; plain names refer to the dataset."""
        values = [_parameter(name, value).to_api_repr() for name, value in (parameters or {}).items()]
        named = {"parameterMode": "NAMED", "queryParameters": values} if values else {}
        ends = {"jobTimeoutMs": str(round(limits.seconds * 1000))} if limits else {}
        return self._read(checked_query(text), {"defaultDataset": self._dataset.to_api_repr(), **named}, ends)

    def pending(self) -> dict[str, str]:
        """The tables and views that are missing or whose file has changed."""
        with self._translated():
            applied = self._applied()
            lacking = pending(read_objects(self._sql), applied, _sql_hash)
            return lacking | {name.removesuffix(BEFORE): "changed" for name in _aside(applied)}

    def compact(self, *, until: datetime | None = None) -> dict[str, int]:
        """Drop rows with a statement a table and month, which ignores rows appended meanwhile.

        Interrupted, the next call goes on: months that are done have nothing left to drop.
        """
        objects = {found.name: found for found in read_objects(self._sql)}
        dropped: dict[str, int] = {}
        if lacking := self.pending():
            raise outdated(self.url, lacking)
        with self._translated():
            until = until or datetime.now(UTC) - FINISHED
            if "skill_blocks" in objects:
                [added_up] = self._maintain(qualified(ADDED_UP, list(objects), self._path))
                until = max(until, added_up["newest"] or until)
            moment = _parameter("until", until)
            for table, text in read_compactions(self._sql).items():
                months = self._months(objects[table]) if "@first" in text else [[]]
                counts = []
                for number, ends in enumerate(months, start=1):
                    part = f": {ends[0].value:%Y-%m}, {number} of {len(months)}" if ends else ""
                    logs.waiting(f"compacting {table} of {self.url}{part}")
                    given = [*ends, moment] if "@until" in text else ends
                    done = self._maintain(qualified(text, list(objects), self._path), given)
                    counts.append(done.num_dml_affected_rows)
                dropped |= {table: sum(count or 0 for count in counts)} if drops(text) else {}
        return dropped

    def _maintain(
        self,
        statement: str,
        parameters: Sequence[bigquery.ScalarQueryParameter | bigquery.ArrayQueryParameter] = (),
    ) -> RowIterator:
        """Run a statement of maintenance until it ends, however long that takes; interrupted, it is run again."""
        given = bigquery.QueryJobConfig(query_parameters=list(parameters))
        return self._client.query_and_wait(statement, job_config=given, to_its_end=True)

    def _months(self, table: SqlObject) -> list[list[bigquery.ScalarQueryParameter]]:
        """The first and last day of each month that a table has rows of, as parameters."""
        column = dated_by(table)
        month = f"CAST(DATE_TRUNC({column}, MONTH) AS DATE)"
        statement = f"SELECT DISTINCT {month} AS month FROM `{self._path}.{table.name}`"  # noqa: S608
        months = sorted(row["month"] for row in self._maintain(statement))
        ends = [(month, (month + timedelta(days=31)).replace(day=1) - timedelta(days=1)) for month in months]
        of_type = functools.partial(bigquery.ScalarQueryParameter, type_="DATE")
        return [[of_type("first", value=first), of_type("last", value=last)] for first, last in ends]

    def _read(self, statement: str, settings: Mapping[str, Any], more: Mapping[str, Any] | None = None) -> pd.DataFrame:
        with self._translated(statement):
            read = pandas_gbq.read_gbq(
                statement,
                configuration={"query": dict(settings), **(more or {})},
                location=self._location or None,
                progress_bar_type=None,
                bigquery_client=self._client,
            )
        return _like_duckdb(read)

    @property
    def _path(self) -> str:
        return f"{self._dataset.project}.{self._dataset.dataset_id}"

    @functools.cached_property
    def _client(self) -> "_Client":
        made = _Client(
            project=self._dataset.project,
            location=self._location or None,
            credentials=AnonymousCredentials() if self._emulator else None,  # type: ignore[no-untyped-call]
            client_options={"api_endpoint": self._emulator} if self._emulator else None,
        )
        made.url = self.url
        made.patience, made.query_patience_s = self._patience, self._query_patience_s
        made.most_bytes = round(self._max_query_gb * 1e9)
        return made

    def _table(self, name: str) -> bigquery.Table:
        with self._waiting():
            return self._client.get_table(self._reference(name), **self._patience)

    def _updated(self, table: bigquery.Table, field: str) -> bigquery.Table:
        with self._waiting():
            return self._client.update_table(table, [field], **self._patience)

    def _waiting(self) -> AbstractContextManager[None]:
        return logs.waiting_for(f"waiting for {self.url}, up to {self._patience_s:.0f} s")

    def _reference(self, name: str) -> bigquery.TableReference:
        return self._dataset.table(self._checked(name))

    def _checked(self, name: str) -> str:
        if not re.fullmatch(r"[A-Za-z_]\w{0,199}", name, re.ASCII):
            raise SchemaMismatch(
                f"{name!r} cannot be a name in {self.url}: letters, digits and _ were needed. Correct it."
            )
        return name

    def _applied(self) -> dict[str, str]:
        """Read the label of each table and view; there are none without a dataset."""
        try:
            with self._waiting():
                listed = list(self._client.list_tables(self._dataset, **self._patience))
        except api.NotFound:
            return {}
        return {table.table_id: table.labels.get(_SQL_HASH, "") for table in listed}

    def _create_dataset(self) -> None:
        made = bigquery.Dataset(self._dataset)
        made.location = self._location or None
        made.description = "Forecasts of market prices, made by tickercast"
        with self._waiting():
            self._client.create_dataset(made, exists_ok=True, **self._patience)

    def _apply(self, found: SqlObject, names: Collection[str], *, exists: bool, rewrites: bool) -> None:
        changed = bigquery.Table(self._reference(found.name))
        if found.is_view or not exists:
            rows = read_rewrites(self._sql).get(found.name) if rewrites else None
            text = f"{found.text}AS\n{rows}" if rows else found.text
            self._maintain(qualified(text, names, self._path))
        else:
            changed = self._migrated(found, names)
        changed.labels = {_SQL_HASH: _sql_hash(found)}
        self._updated(changed, "labels")

    def _migrated(self, found: SqlObject, names: Collection[str]) -> bigquery.Table:
        """Add the columns that the table's file defines, and fill those of rows from earlier releases."""
        migration = read_migration(self._sql, found.name)
        table = self._table(found.name)
        stored = [field.name for field in table.schema]
        if missing := self._missing_columns(found, table):
            table.schema = [*table.schema, *map(_field, missing)]
            table = self._updated(table, "schema")
        if migration and migration.applies(stored):
            self._maintain(qualified(migration.text, names, self._path))
            for name in migration.retires:
                drop = f"ALTER TABLE `{self._path}.{found.name}` DROP COLUMN IF EXISTS `{name}`"
                self._maintain(drop)
            table = self._table(found.name)
        return table

    def _missing_columns(self, found: SqlObject, stored: bigquery.Table) -> list[Column]:
        migration = read_migration(self._sql, found.name)
        retired = migration.retires if migration else ()
        return missing_columns(found, list(map(_column, stored.schema)), self.url, retired)

    def _load_once(self, stored: bigquery.Table, data: bytes, job_id: str) -> bool:
        sender_id = uuid.uuid4().hex
        failures = 0
        numbers = itertools.count(2)
        next_id = job_id
        while True:
            with self._waiting():
                job = self._begin(stored, data, next_id, sender_id)
            ours = bool(job.labels.get(_SENDER_ID) == sender_id)
            try:
                with self._waiting():
                    job.result(**self._patience)
                traffic.loaded(int(job.output_bytes or 0) if ours else 0)
                return ours
            except api.GoogleAPICallError as error:
                if not job.error_result:
                    raise
                if ours:
                    failures += 1
                    self._wait_or_give_up(error, failures)
            next_id = f"{job_id}-{next(numbers)}"

    def _wait_or_give_up(self, error: api.GoogleAPICallError, failures: int) -> None:
        if failures == _ATTEMPTS or not is_transient(error):
            raise error
        time.sleep(random.uniform(0, 0.25 * 2**failures))  # noqa: S311

    def _begin(self, stored: bigquery.Table, data: bytes, job_id: str, sender_id: str) -> bigquery.LoadJob:
        """Begin a load job, or find the one that already has the id."""
        lists = bigquery.ParquetOptions()  # type: ignore[no-untyped-call]
        lists.enable_list_inference = True  # or an array would arrive as a record
        config = bigquery.LoadJobConfig(
            parquet_options=lists,
            source_format=bigquery.SourceFormat.PARQUET,
            schema=stored.schema,
            write_disposition=bigquery.WriteDisposition.WRITE_APPEND,
            create_disposition=bigquery.CreateDisposition.CREATE_NEVER,
            labels={_SENDER_ID: sender_id},
        )

        def begin() -> bigquery.LoadJob:
            return self._client.load_table_from_file(
                io.BytesIO(data),
                stored.reference,
                size=len(data),
                num_retries=0,
                job_id=job_id,
                location=stored.location,
                job_config=config,
                timeout=self._patience_s,
            )

        try:
            return self._retry(begin)()
        except api.Conflict:
            # A job may not be found just after it was accepted.
            patient = self._retry.with_predicate(lambda error: isinstance(error, api.NotFound) or is_transient(error))
            found = self._client.get_job(job_id, location=stored.location, retry=patient, timeout=self._patience_s)
            assert isinstance(found, bigquery.LoadJob), "nobody else makes such ids"
            return found

    @contextmanager
    def _translated(self, statement: str = "") -> Iterator[None]:
        with (
            of_this_release(self.url, statement, self._sql, self.pending) if statement else nullcontext(),
            translated(self.url, self._patience_s, self._max_query_gb),
        ):
            yield


_LEAST_BILLED = 10 * 2**20
"""Bytes that a query is billed for at least, if it reads any."""


class _Client(bigquery.Client):
    """Bounds every query, in the time of its requests, its own time and the bytes that it may be billed for.

    pandas-gbq sets no bounds, and the library's own deadlines are ten and forty minutes.
    """

    url: str
    patience: Mapping[str, Any]
    query_patience_s: float | None
    most_bytes: int

    def query_and_wait(self, query: str, *, to_its_end: bool = False, **options: Any) -> RowIterator:
        retry, timeout = self.patience["retry"], self.patience["timeout"]
        wait = None if to_its_end else self.query_patience_s
        config = options.get("job_config") or bigquery.QueryJobConfig()
        config.maximum_bytes_billed = self.most_bytes
        bounds = {"retry": retry, "job_retry": retry, "api_timeout": timeout, "wait_timeout": wait}
        with logs.waiting_for(f"waiting for a query of {self.url}"):
            rows = super().query_and_wait(query, **options | bounds | {"job_config": config})
        processed = int(rows.total_bytes_processed or 0)
        traffic.queried(max(processed, _LEAST_BILLED) if processed else 0)
        return rows


def _aside(applied: Collection[str]) -> list[str]:
    """The tables of an earlier release whose rows are being rewritten, or were before a migration was interrupted."""
    return [f"{table}{BEFORE}" for table in REWRITTEN if f"{table}{BEFORE}" in applied]


def _sql_hash(found: SqlObject) -> str:
    return found.sha256[:40]


def _job_id(table: bigquery.Table, key: str) -> str:
    """Derive a job's id from the key and from when the table was created: a recreated table has forgotten its keys."""
    scope = f"{table.full_table_id}@{table.created:%Y%m%dT%H%M%S.%f}"
    return "tickercast-" + hashlib.sha256(f"{scope}/{key}".encode()).hexdigest()


def _column(field: bigquery.SchemaField) -> Column:
    kind = _KINDS.get(field.field_type, field.field_type)
    return Column(field.name, f"ARRAY<{kind}>" if field.mode == "REPEATED" else kind, field.mode == "REQUIRED")


def _field(column: Column) -> bigquery.SchemaField:
    kind = column.kind.removeprefix("ARRAY<").removesuffix(">")
    mode = "NULLABLE" if kind == column.kind else "REPEATED"
    return bigquery.SchemaField(column.name, kind, mode, description=column.description)


def _parquet(rows: pa.Table | pd.DataFrame, table: bigquery.Table, url: str) -> bytes:
    """Write the rows as a Parquet file with the table's columns, types and NOT NULLs."""
    columns = [_column(field) for field in table.schema]
    place = f"{table.table_id} in {url}"
    names = rows.column_names if isinstance(rows, pa.Table) else list(rows.columns)
    unknown = set(names) - {column.name for column in columns}
    if unknown:
        raise SchemaMismatch(
            f"{place} has no column {', '.join(sorted(unknown))}. "
            "Run any forecast, which adds the new columns of sql/tables."
        )
    unsupported = [str(column) for column in columns if column.kind not in _ARROW]
    if unsupported:
        raise SchemaMismatch(
            f"{place} has {', '.join(unsupported)}, and sql/tables has no column of that type. Drop it."
        )
    fields = [pa.field(column.name, _ARROW[column.kind], nullable=not column.required) for column in columns]
    arrays = [
        _array(rows[column.name] if column.name in names else [None] * len(rows), column, place) for column in columns
    ]
    buffer = io.BytesIO()
    pq.write_table(pa.table(arrays, schema=pa.schema(fields)), buffer)
    return buffer.getvalue()


def _array(values: Any, column: Column, table: str) -> pa.Array | pa.ChunkedArray:
    kind, safe = _ARROW[column.kind], column.kind != "TIMESTAMP"  # which may lose digits below the microsecond
    try:
        if isinstance(values, pa.ChunkedArray):
            array = values.cast(kind, safe=safe)
        else:
            array = pa.array(values, type=kind, from_pandas=True, safe=safe)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        raise SchemaMismatch(f"The rows do not fit the column {column} of {table}: {one_line(error)}.") from error
    if column.required and array.null_count:
        raise SchemaMismatch(
            f"{array.null_count} rows have no value for {column} of {table}. Fill them, or leave them out."
        )
    return array


def _term(
    name: str, column: str, value: Any
) -> tuple[str, list[bigquery.ScalarQueryParameter | bigquery.ArrayQueryParameter]]:
    if isinstance(value, Between):
        ends = [(">=", f"{name}a", value.first), ("<=", f"{name}b", value.last)]
        given = [end for end in ends if end[2] is not None]
        condition = " AND ".join(f"`{column}` {sign} @{name}" for sign, name, _ in given) or "TRUE"
        return condition, [_parameter(name, end) for _, name, end in given]
    if not isinstance(value, list):
        return f"`{column}` = @{name}", [_parameter(name, value)]
    if not value:
        return "FALSE", []
    if isinstance(value[0], Between):
        terms = [_term(f"{name}_{number}", column, each) for number, each in enumerate(value)]
        return f"({' OR '.join(term for term, _ in terms)})", [one for _, given in terms for one in given]
    return f"`{column}` IN UNNEST(@{name})", [_parameter(name, value)]


def _parameter(name: str, value: Any) -> bigquery.ScalarQueryParameter | bigquery.ArrayQueryParameter:
    if isinstance(value, list):
        return bigquery.ArrayQueryParameter(name, _parameter_type(value[0]) if value else "STRING", value)
    return bigquery.ScalarQueryParameter(name, _parameter_type(value), value)


def _parameter_type(value: Any) -> str:
    for kind, name in _PARAMETERS:
        if isinstance(value, kind):
            return name
    raise SchemaMismatch(f"{value!r} is not a text, number, date or time: one was needed.")


def _like_duckdb(rows: pd.DataFrame) -> pd.DataFrame:
    """Convert dates to NumPy's type, and integers and booleans too if no value is missing."""
    kinds = {"dbdate": "datetime64[us]"}
    complete = {"Int64": "int64", "boolean": "bool"}
    return rows.astype(
        {
            name: kinds.get(str(dtype)) or complete[str(dtype)]
            for name, dtype in rows.dtypes.items()
            if str(dtype) in kinds or (str(dtype) in complete and not rows[name].hasnans)
        }
    )
