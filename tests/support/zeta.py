"""Google's own SQL analyser and reference engine, over the project's SQL and rows of pandas.

`zetasql` is their WebAssembly build. Compiling it takes half a minute; the compiled module is kept in pytest's cache.
"""

import ctypes
import functools
import math
import re
from collections.abc import Container, Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import sqlglot
import zetasql
from filelock import FileLock
from sqlglot import expressions as sql
from wasmtime import Engine, Module
from zetasql.core import wasm_client
from zetasql.wasi import get_wasm_path
from zetasql.wasi._pb2.zetasql.local_service import local_service_pb2 as service
from zetasql.wasi._pb2.zetasql.proto import options_pb2
from zetasql.wasi._pb2.zetasql.public import options_pb2 as modes_pb2
from zetasql.wasi._pb2.zetasql.public import type_pb2
from zetasql.wasi._pb2.zetasql.resolved_ast import resolved_node_kind_pb2 as statements

from tickercast.backends.warehouse.bigquery import _parameter_type
from tickercast.backends.warehouse.sql import SqlObject, read_objects

EPOCH = date(1970, 1, 1)
_KINDS = {
    "STRING": type_pb2.TYPE_STRING,
    "INT64": type_pb2.TYPE_INT64,
    "FLOAT64": type_pb2.TYPE_DOUBLE,
    "BOOL": type_pb2.TYPE_BOOL,
    "DATE": type_pb2.TYPE_DATE,
    "TIMESTAMP": type_pb2.TYPE_TIMESTAMP,
    "ARRAY<FLOAT64>": type_pb2.TYPE_ARRAY,
}


_NAMES = {type_pb2.TypeKind.Name(number): kind for kind, number in _KINDS.items()}


class Zeta:
    """The reference engine with the project's tables; views are expanded as common table expressions.

    Args:
        folder: the project's SQL.
        cache: where the compiled engine is kept.
        more: further tables.
    """

    def __init__(self, folder: Path, cache: Path, more: Iterable[SqlObject] = ()) -> None:
        self._objects = {found.name: found for found in [*more, *read_objects(folder)]}
        self._client = _client(cache)
        features = self._call(
            "GetLanguageOptions",
            service.LanguageOptionsRequest(maximum_features=True),
            options_pb2.LanguageOptionsProto,
        )
        features.product_mode = modes_pb2.PRODUCT_EXTERNAL
        features.supported_statement_kinds.extend(
            (statements.RESOLVED_QUERY_STMT, statements.RESOLVED_UPDATE_STMT, statements.RESOLVED_DELETE_STMT)
        )
        self._options = options_pb2.AnalyzerOptionsProto(language_options=features, default_timezone="UTC")

    def columns(self, query: str, parameters: Mapping[str, Any] | None = None) -> dict[str, str]:
        """Analyse a query, and return its columns with their types; nothing is executed."""
        prepared = self._prepared(query, {}, parameters or {})
        self._call("UnprepareQuery", service.UnprepareQueryRequest(prepared_query_id=prepared.prepared_query_id))
        return {column.name: type_pb2.TypeKind.Name(column.type.type_kind) for column in prepared.columns}

    def read(
        self, query: str, tables: Mapping[str, pd.DataFrame], parameters: Mapping[str, Any] | None = None
    ) -> pd.DataFrame:
        """Execute a query over the rows of some tables, or views whose rows are known; the other tables are empty."""
        given = parameters or {}
        prepared = self._prepared(query, tables, given)
        request = service.EvaluateQueryRequest(prepared_query_id=prepared.prepared_query_id)
        for name, value in given.items():
            slot = request.params.add(name=name).value
            if isinstance(value, list):
                for one in value:
                    _set(slot.array_value.element.add(), one, _kind(one))
            else:
                _set(slot, value, _kind(value))
        answer = self._call("EvaluateQuery", request, service.EvaluateQueryResponse)
        kinds = [column.type.type_kind for column in prepared.columns]
        rows = [
            [_python(cell, kind) for cell, kind in zip(row.cell, kinds, strict=True)]
            for row in answer.content.table_data.row
        ]
        self._call("UnprepareQuery", service.UnprepareQueryRequest(prepared_query_id=prepared.prepared_query_id))
        return pd.DataFrame(rows, columns=[column.name for column in prepared.columns])

    def modify(
        self, statement: str, table: str, tables: Mapping[str, pd.DataFrame], retired: Mapping[str, str] | None = None
    ) -> pd.DataFrame:
        """Execute an UPDATE or DELETE of a table, and return all its rows afterwards.

        The engine identifies rows by a primary key. Our tables have none, so each gets a column more here.

        Args:
            statement: the UPDATE or DELETE.
            table: the table that it changes.
            tables: rows of tables; the others are empty.
            retired: columns that the table still has and its file no longer states, with their types.
        """
        columns = {**schema(self._objects[table]), **(retired or {})}
        request = service.EvaluateModifyRequest(sql=statement, options=self._options)
        self._describe(request, tables, {table: columns}, numbered=True)
        answer = self._call("EvaluateModify", request, service.EvaluateModifyResponse)
        assert answer.table_name == table
        rows = {number: row.cell for number, row in enumerate(request.table_content[table].table_data.row)}
        for row in answer.content:
            number = row.old_primary_key[0].int64_value
            if row.operation == service.EvaluateModifyResponse.Row.UPDATE:
                rows[number] = row.cell
            else:
                del rows[number]
        kinds = [_KINDS[kind] for kind in columns.values()]
        cells = [map(_python, row[: len(kinds)], kinds) for row in rows.values()]
        return pd.DataFrame(cells, columns=list(columns))

    def _prepared(self, query: str, tables: Mapping[str, pd.DataFrame], parameters: Mapping[str, Any]) -> Any:
        request = service.PrepareQueryRequest(sql=self._expanded(query, tables), options=self._options)
        for name, value in parameters.items():
            kind = request.options.query_parameters.add(name=name).type
            if isinstance(value, list):
                kind.type_kind = type_pb2.TYPE_ARRAY
                kind = kind.array_type.element_type
                value = value[0]
            kind.type_kind = _KINDS[_kind(value)]
        self._describe(request, tables)
        return self._call("PrepareQuery", request, service.PrepareQueryResponse).prepared

    def _describe(
        self,
        request: Any,
        tables: Mapping[str, pd.DataFrame],
        columns: Mapping[str, Mapping[str, str]] | None = None,
        *,
        numbered: bool = False,
    ) -> None:
        """Add the tables that a request's statement names, with rows; `columns` replaces those of a table's file."""
        named = set(re.findall(r"\w+", request.sql))
        catalog = request.simple_catalog
        catalog.name = "project"
        catalog.builtin_function_options.language_options.CopyFrom(self._options.language_options)
        for found in self._objects.values():
            if found.name not in named:
                continue
            if not found.is_view:
                kinds = (columns or {}).get(found.name) or schema(found)
                _declare(catalog.table.add(), found.name, kinds, numbered)
                _fill(request.table_content[found.name], kinds, tables.get(found.name), numbered)
            elif found.name in tables:
                kinds = {name: _NAMES[kind] for name, kind in self.columns(f"SELECT * FROM {found.name}").items()}
                _declare(catalog.table.add(), found.name, kinds, numbered)
                _fill(request.table_content[found.name], kinds, tables[found.name], numbered)

    def _expanded(self, query: str, known: Container[str]) -> str:
        """The query, preceded by the views that it reads from, directly or not, and whose rows are not known."""
        needed: list[SqlObject] = []
        for found in reversed(self._objects.values()):
            readers = [SqlObject("", is_view=False, text=query), *needed]
            if found.is_view and found.name not in known and any(found.name in reader.sources for reader in readers):
                needed.append(found)
        if not needed:
            return query
        views = ", ".join(f"{found.name} AS (\n{body(found)}\n)" for found in reversed(needed))
        start = re.match(r"(--.*\n)*(WITH\b)?", query)
        assert start is not None
        return f"WITH {views}{',' if start[2] else ''}\n{query[start.end() :]}"

    def _call(self, name: str, request: Any, response: Any = None) -> Any:
        answer = self._client._call_grpc_method(f"ZetaSqlLocalService_{name}", request.SerializeToString())
        return response.FromString(answer) if response else None


def body(view: SqlObject) -> str:
    """The query of a view's statement."""
    head, _, query = view.text.partition(f"CREATE OR REPLACE VIEW {view.name} AS\n")
    assert query, head
    return query


@functools.cache
def schema(table: SqlObject) -> Mapping[str, str]:
    """The columns of a table's statement, with their types."""
    parsed = sqlglot.parse_one(table.text, read="bigquery")
    return {column.name: column.args["kind"].sql("bigquery") for column in parsed.find_all(sql.ColumnDef)}


def _declare(table: Any, name: str, columns: Mapping[str, str], numbered: bool) -> None:
    table.name = name
    for column_name, kind in columns.items():
        column = table.column.add()
        column.name = column_name
        column.type.type_kind = _KINDS[kind]
        if kind.startswith("ARRAY"):
            column.type.array_type.element_type.type_kind = type_pb2.TYPE_DOUBLE
    if numbered:
        table.primary_key_column_index.append(len(table.column))
        column = table.column.add()
        column.name = "_number"
        column.type.type_kind = type_pb2.TYPE_INT64


def _fill(content: Any, columns: Mapping[str, str], rows: pd.DataFrame | None, numbered: bool) -> None:
    content.table_data.SetInParent()
    if rows is None:
        return
    for number, record in enumerate(rows.to_dict("records")):
        cells = content.table_data.row.add()
        for name, kind in columns.items():
            _set(cells.cell.add(), record.get(name), kind)
        if numbered:
            _set(cells.cell.add(), number, "INT64")


def _kind(value: Any) -> str:
    """The type of a parameter, as the BigQuery engine declares it."""
    return str(_parameter_type(value))


def _set(cell: Any, value: Any, kind: str) -> None:
    if kind == "ARRAY<FLOAT64>" and value is not None:
        for one in value:
            _set(cell.array_value.element.add(), one, "FLOAT64")
        return
    if value is None or value is pd.NaT or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return
    match kind:
        case "STRING":
            cell.string_value = value
        case "INT64":
            cell.int64_value = int(value)
        case "FLOAT64":
            cell.double_value = float(value)
        case "BOOL":
            cell.bool_value = bool(value)
        case "DATE":
            cell.date_value = (_day(value) - EPOCH).days
        case "TIMESTAMP":
            cell.timestamp_value.FromDatetime(value.astimezone(UTC).replace(tzinfo=None))


def _day(value: date) -> date:
    return value.date() if isinstance(value, datetime) else value


def _python(cell: Any, kind: int) -> Any:
    field = cell.WhichOneof("value")
    if field is None:
        return None
    value = getattr(cell, field)
    match kind:
        case type_pb2.TYPE_DATE:
            return pd.Timestamp(EPOCH + timedelta(days=value))
        case type_pb2.TYPE_TIMESTAMP:
            return pd.Timestamp(value.ToDatetime(tzinfo=UTC))
        case type_pb2.TYPE_ARRAY:
            return [one.double_value for one in value.element]
    return value


# ---------------------------------------------------------------- the client, made fast


class _Client(wasm_client.WasmClient):
    """A client that copies memory whole instead of byte by byte."""

    def write_bytes(self, ptr: int, data: bytes) -> None:
        ctypes.memmove(self._address() + ptr, data, len(data))

    def read_bytes(self, ptr: int, size: int) -> bytes:
        return ctypes.string_at(self._address() + ptr, size)

    def _address(self) -> int:
        address = ctypes.cast(
            self.memory.data_ptr(self.store) if _NEEDS_STORE else self.memory.data_ptr(), ctypes.c_void_p
        ).value
        assert address is not None
        return address


_NEEDS_STORE = False


def _client(cache: Path) -> _Client:
    cached = _CachedModule(cache / f"zetasql-{zetasql.__version__}.cwasm")
    original, wasm_client.Module = wasm_client.Module, cached
    try:
        return _Client(get_wasm_path())
    finally:
        wasm_client.Module = original


class _CachedModule:
    def __init__(self, path: Path) -> None:
        self._path = path

    def from_file(self, engine: Engine, source: str) -> Module:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{self._path}.lock"):
            if not self._path.exists():
                partial = self._path.with_suffix(".partial")
                partial.write_bytes(Module.from_file(engine, source).serialize())
                partial.rename(self._path)
        return Module.deserialize_file(engine, str(self._path))
