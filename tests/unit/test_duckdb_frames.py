"""Rows as a data frame are what DuckDB's own conversion makes of them."""

import duckdb
import pandas as pd
import pytest

from tickercast.backends.warehouse.duckdb_frames import framed

TYPES = {
    "BIGINT": ("9007199254740993", "-1"),
    "INTEGER": ("1", "2"),
    "HUGEINT": ("1", "2"),
    "DECIMAL(9, 2)": ("1.25", "2"),
    "DOUBLE": ("1.5", "'NaN'"),
    "BOOLEAN": ("TRUE", "FALSE"),
    "VARCHAR": ("'MSFT'", "''"),
    "DATE": ("'2023-07-21'", "'1901-02-03'"),
    "TIMESTAMP": ("'2023-07-21 20:00:00.000001'", "'1901-02-03'"),
    "TIMESTAMPTZ": ("'2023-07-21 20:00:00.000001+00'", "'1901-02-03 00:00:00+00'"),
}


MISSING = ["none", "one", "all", "no rows"]


@pytest.mark.parametrize(("kind", "missing"), [(kind, one) for kind in TYPES for one in MISSING])
def test_each_type_is_as_duckdb_gives_it(kind: str, missing: str) -> None:
    first, second = TYPES[kind]
    one = "NULL" if missing == "all" else first
    other = "NULL" if missing in {"all", "one"} else second
    where = "FALSE" if missing == "no rows" else "TRUE"
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        statement = f"SELECT * FROM (VALUES ({one}::{kind}, 1), ({other}::{kind}, 2)) t(value, row) WHERE {where}"
        expected = connection.execute(statement).df()
        found = framed(connection.sql(statement).to_arrow_table())

    pd.testing.assert_frame_equal(found, expected)


def test_lists_are_arrays() -> None:
    with duckdb.connect() as connection:
        found = framed(connection.sql("SELECT [1.0, 2.5]::DOUBLE[] AS value").to_arrow_table())

    assert [one.tolist() for one in found["value"]] == [[1.0, 2.5]]
