"""Typed queries mean on DuckDB what they mean to Google's reference engine, or are refused.

`tests/support/dialect/*.txt` lists what people write over such tables, one expression or query a line.
"""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tickercast.backends.warehouse.duckdb import DuckDBWarehouse
from tickercast.config import resource
from tickercast.errors import UsageError
from tickercast.ports import QueryLimits

FOLDER = Path(__file__).parents[1] / "support" / "dialect"
LIMITS = QueryLimits(seconds=60, memory_mb=1024)
ROWS = """
t AS (
  SELECT 0 AS row, 3 AS i, 1.239 AS f, CAST(NULL AS INT64) AS n, 'AAPL' AS s, TRUE AS b, DATE '2018-01-07' AS d,
    DATE '2019-03-15' AS d2, TIMESTAMP '2018-01-07 20:50:30.123456+00' AS ts, TIMESTAMP '2018-01-09 02:10:00+00' AS ts2
  UNION ALL SELECT 1, -7, -2.5, 5, ' msft\\n', FALSE, DATE '2018-12-31', DATE '2018-12-29',
    TIMESTAMP '2018-12-31 23:59:59.999999+00', TIMESTAMP '2018-12-31 18:00:00+00'
  UNION ALL SELECT 2, 12, 2.345, NULL, 'größe %', NULL, DATE '2021-01-03', DATE '2021-01-04',
    TIMESTAMP '2021-01-03 00:00:00+00', TIMESTAMP '2021-01-04 03:30:15.5+00'
  UNION ALL SELECT 3, 2, 123456789012345680.0, 0, '', TRUE, DATE '2020-02-29', DATE '2024-02-29',
    TIMESTAMP '2020-06-29 12:00:00+00', TIMESTAMP '2020-06-30 11:59:59+00'
  UNION ALL SELECT 4, 1, 0.7999999999999999, 2, 'a_b c-9', FALSE, DATE '2024-12-30', DATE '2025-01-06',
    TIMESTAMP '2024-03-10 07:30:00+00', TIMESTAMP '2024-03-11 06:30:00+00'
  UNION ALL SELECT 5, 5, 1e15, 9, NULL, FALSE, DATE '2016-01-01', DATE '2015-12-27',
    TIMESTAMP '2016-01-01 04:05:06+00', TIMESTAMP '2015-01-01 04:05:06+00'
  UNION ALL SELECT 6, NULL, NULL, 1, 'x', NULL, NULL, DATE '2017-01-01', NULL, TIMESTAMP '2017-01-01 04:05:06+00'
),
r AS (
  SELECT 'a' AS k, 1 AS x, 1.5 AS f, CAST(NULL AS INT64) AS n
  UNION ALL SELECT 'a', 4, 2.25, NULL
  UNION ALL SELECT 'b', 2, 3.75, NULL
  UNION ALL SELECT 'b', 2, 4.5, NULL
  UNION ALL SELECT 'b', NULL, 5.125, NULL
  UNION ALL SELECT 'c', 7, -6.0, NULL
)"""

Ask = Callable[[str], pd.DataFrame]


@pytest.fixture(scope="module")
def zeta(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Ask:
    pytest.importorskip("zetasql")
    from tests.support.zeta import Zeta

    cache = getattr(pytestconfig, "cache", None)
    engine = Zeta(resource("sql"), cache=cache.mkdir("zetasql") if cache else tmp_path_factory.mktemp("zetasql"))
    return lambda query: engine.read(query, {})


@pytest.fixture(scope="module")
def duckdb(tmp_path_factory: pytest.TempPathFactory) -> Ask:
    warehouse = DuckDBWarehouse(tmp_path_factory.mktemp("warehouse") / "warehouse.duckdb", resource("sql"))
    warehouse.provision()
    return lambda query: warehouse.query(query, limits=LIMITS)


def lines(name: str) -> list[str]:
    return (FOLDER / f"{name}.txt").read_text(encoding="utf-8").splitlines()


def plain(value: Any) -> Any:
    """A value without the types of the two engines' frames: missing ones are None, days moments without a zone."""
    if isinstance(value, list | tuple) or hasattr(value, "tolist"):
        given = value.tolist() if hasattr(value, "tolist") else value
        return [plain(one) for one in given] if isinstance(given, list | tuple) else plain(given)
    if value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and math.isnan(value)):
        return None
    return float(f"{value:.14g}") if isinstance(value, float | int) and not isinstance(value, bool) else str(value)


def columns(answer: pd.DataFrame) -> dict[str, list[Any]]:
    return {str(name): [plain(value) for value in answer[name]] for name in answer.columns}


@pytest.mark.parametrize(
    ("kind", "source"), [("expressions", "t ORDER BY row"), ("aggregates", "r"), ("windows", "r ORDER BY f")]
)
def test_each_expression_gives_the_same_on_both_engines(kind: str, source: str, zeta: Ask, duckdb: Ask) -> None:
    given = lines(kind)
    selected = ",\n".join(f"{expression} AS v{number}" for number, expression in enumerate(given))
    query = f"WITH {ROWS} SELECT {selected} FROM {source}".replace(
        " FROM r ORDER", " FROM r WINDOW w AS (ORDER BY f) ORDER"
    )
    expected, found = columns(zeta(query)), columns(duckdb(query))
    wrong = {given[int(name[1:])]: (found[name], values) for name, values in expected.items() if found[name] != values}
    assert len(expected) == len(given)
    assert wrong == {}


@pytest.mark.parametrize("query", lines("queries"))
def test_each_query_gives_the_same_on_both_engines(query: str, zeta: Ask, duckdb: Ask) -> None:
    if query.startswith("WITH ") and not query.startswith("WITH RECURSIVE"):
        query = f"WITH {ROWS}, {query.removeprefix('WITH ')}"
    elif not query.startswith("WITH "):
        query = f"WITH {ROWS} {query}"
    assert columns(duckdb(query)) == columns(zeta(query))


@pytest.mark.parametrize(
    "expression",
    [
        *("1 / i", "MOD(7, i)", "LN(i)", "SQRT(i - 1)", "POW(i, -1)", "EXP(i + 1000)", "CAST('1.5' AS INT64)"),
        *("[1][i + 1]", "9223372036854775807 + i + 1", "-9223372036854775808 - 1 - i", "1 << (i - 1)", "1 >> (i - 1)"),
        *("(i + 4000000000) * 4000000000", "-(i - 9223372036854775807 - 1)", "SUM(i + 9223372036854775807) + 1"),
    ],
)
def test_what_has_no_figure_fails_on_both_engines(expression: str, zeta: Ask, duckdb: Ask) -> None:
    query = f"SELECT {expression} AS v FROM UNNEST([0]) AS i"
    with pytest.raises(Exception, match="OUT_OF_RANGE"):
        zeta(query)
    with pytest.raises(UsageError, match=r"The query does not fit what .* holds: .*\. Correct it\.") as error:
        duckdb(query)
    assert "TRY(" not in str(error.value)


@pytest.mark.parametrize(
    ("expression", "sentence"),
    [
        ("SOUNDEX('a')", r"DuckDB does not answer SOUNDEX as BigQuery does\. Leave it out, or ask a warehouse on BigQ"),
        ("FARM_FINGERPRINT('a')", "does not answer FARM_FINGERPRINT as"),
        ("no_such(1)", "does not answer NO_SUCH as"),
        ("NET.HOST('a')", "does not answer HOST as"),
        ("list_sum([1])", "does not answer LIST_SUM as"),  # a function of DuckDB's own
        ("APPROX_QUANTILES(1, 2)", r"APPROX_QUANTILES as .* Use PERCENTILE_CONT\(…, 0\.5\) OVER \(\), or"),
        ("IEEE_DIVIDE(1, 0)", "Use SAFE_DIVIDE"),
        ("EXTRACT(TIME FROM CURRENT_TIMESTAMP())", "EXTRACT in this form .* Take one of the parts WEEK, DAYOFWEEK,"),
        ("FORMAT_DATE('%k', CURRENT_DATE())", "FORMAT_DATE in this form .* Leave %k out of the format"),
        ("FORMAT_DATE('a', CURRENT_DATE())", "Name a part of the time in the format"),
        ("FORMAT_DATE(f, CURRENT_DATE())", "Write the format out"),
        ("PARSE_DATE('%d', '7')", "Give a format with a year"),
        ("FORMAT(f, 1)", "FORMAT in this form .* Write the format out"),
        ("FORMAT('%T', 1)", "Give a value for each of %d"),
        ("FORMAT('%d')", "Give a value for each of %d"),
        ("""FORMAT("%'9d", 1)""", "Give a value for each of %d"),
        ("CAST(1 AS NUMERIC)", "CAST in this form .* Cast to STRING, INT64"),
        ("CAST(1 AS STRING FORMAT '9')", "without FORMAT"),
        ("ROUND(1.5, i)", "Write the number of digits out"),
        ("TRUNC(1.55, 1)", "Use ROUND"),
        ("INSTR('a', 'b', -1)", "Take the first occurrence"),
        ("REGEXP_EXTRACT('a', 'b', 2)", "Give a text and a pattern alone"),
        ("'a' LIKE ANY ('a', 'b')", "Write one LIKE for each pattern"),
        ("TIMESTAMP_DIFF(ts, ts, MONTH)", "Take DAY, HOUR, MINUTE, SECOND, MILLISECOND or MICROSECOND"),
        ("STRING_AGG(k LIMIT 2)", r"Use ARRAY_TO_STRING\(ARRAY_AGG"),
        (
            "1 FROM (SELECT 1 AS x, 'a' AS k) PIVOT(SUM(x) AS t FOR k IN ('a')) --",
            "Leave the name of the aggregate out",
        ),
        ("(SELECT 1 FROM range(3))", "does not answer RANGE as"),
        (
            "1 < 9223372036854775808",
            r"9223372036854775808 is no INT64: one is 9223372036854775807 at most\. Write it as",
        ),
        ("0xFFFFFFFFFFFFFFFF", r"0xFFFFFFFFFFFFFFFF is no INT64.* a FLOAT64, 18446744073709551615\.0\."),
    ],
)
def test_what_duckdb_cannot_answer_alike_is_refused_in_a_sentence(expression: str, sentence: str, duckdb: Ask) -> None:
    with pytest.raises(UsageError, match=sentence):
        duckdb(f"SELECT {expression} AS v")


def test_a_sum_of_integers_is_one(duckdb: Ask) -> None:
    assert duckdb("SELECT SUM(x) AS total FROM UNNEST([1, 2]) AS x")["total"].dtype == "int64"
