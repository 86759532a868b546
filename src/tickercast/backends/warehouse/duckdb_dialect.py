"""Queries that somebody typed, translated to DuckDB so that the figures are BigQuery's.

What sqlglot translates alike is listed in `_ALIKE`; what it does not is rewritten by a function of `_REWRITTEN`. Every
other function is refused by name, so that none answers otherwise than BigQuery without a word.
`tests/contract/test_dialect.py` asks both engines.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

import sqlglot
from sqlglot import expressions as sql

from tickercast.backends.warehouse.sql import parsed
from tickercast.errors import UsageError


def answerable(text: str) -> str:
    """Translate a query of BigQuery's dialect to DuckDB's.

    Args:
        text: one query.

    Raises:
        UsageError: it uses a function, or a form of one, to which DuckDB has no answer like BigQuery's.
    """
    tree = parsed(text)
    for select in tree.find_all(sql.Select):
        _name_what_is_selected(select)
    for node in reversed(list(tree.walk(bfs=False))):
        above, key, index = node.parent, node.arg_key, node.index
        made = _rewritten(node)
        if made is not node and above and key:
            above.set(key, made, index)
    return tree.sql("duckdb", unsupported_level=sqlglot.ErrorLevel.IGNORE)


def _rewritten(node: sql.Expr) -> sql.Expr:
    rewrite = _REWRITTEN.get(type(node).__name__)
    if rewrite:
        return rewrite(node)
    if isinstance(node, (sql.Func, sql.SafeFunc)) and type(node).__name__ not in _ALIKE:
        raise _refused(node)
    return node


def _refused(node: sql.Expr, use: str = "") -> UsageError:
    """The error for a function, or, if `use` says another form of it, for its form."""
    name = _name(node)
    form = " in this form" if use else ""
    return UsageError(
        f"DuckDB does not answer {name}{form} as BigQuery does. "
        f"{_sentence(use or _INSTEAD.get(name, 'leave it out'))}, or ask a warehouse on BigQuery."
    )


def _sentence(use: str) -> str:
    return use[0].upper() + use[1:]


def _name(node: sql.Expr) -> str:
    found = re.match(r"[\w.]+", node.sql("bigquery"))
    return found[0].upper() if found else type(node).__name__


_INSTEAD = {
    "APPROX_QUANTILES": "use PERCENTILE_CONT(…, 0.5) OVER ()",
    "APPROX_TOP_COUNT": "use COUNT(*) with GROUP BY, ORDER BY and LIMIT",
    "ARRAY_FIRST": "use …[OFFSET(0)]",
    "ARRAY_INCLUDES": "use … IN UNNEST(…)",
    "ARRAY_LAST": "use ARRAY_REVERSE(…)[OFFSET(0)]",
    "CONTAINS_SUBSTR": "use LOWER(…) LIKE",
    "IEEE_DIVIDE": "use SAFE_DIVIDE",
    "TIME": "use FORMAT_TIMESTAMP('%T', …)",
}
"""The way to do without a function that is refused."""


def _duckdb(text: str, **given: Any) -> sql.Expr:
    """An expression of DuckDB's, with expressions in the places of `:name`."""

    def filled(node: sql.Expr) -> sql.Expr:
        return given[node.name].copy() if isinstance(node, sql.Placeholder) and node.name in given else node

    made: sql.Expr = sqlglot.parse_one(text, read="duckdb").transform(filled)
    return made


# ---------------------------------------------------------------- names


def _name_what_is_selected(select: sql.Select) -> None:
    """Put expressions for names in GROUP BY and QUALIFY, which are those of the answer for BigQuery first."""
    made = {each.alias.lower(): each.this for each in select.expressions if isinstance(each, sql.Alias)}
    group, qualify = select.args.get("group"), select.args.get("qualify")
    for term in [*(group.expressions if group else ()), *(qualify.find_all(sql.Column) if qualify else ())]:
        if isinstance(term, sql.Column) and not term.table and term.name.lower() in made:
            named = made[term.name.lower()].copy()
            named = _long(named) if named.is_int else named  # not the place of a column
            if not (term.find_ancestor(sql.Window) and named.find(sql.Window)):
                term.replace(sql.paren(named, copy=False) if isinstance(named, sql.Binary) else named)


# ---------------------------------------------------------------- numbers and texts


def _literal(node: sql.Expr) -> sql.Expr:
    """A number with a point is a FLOAT64, where DuckDB takes it for an exact decimal; every other one is an INT64."""
    if not node.is_string and re.fullmatch(r"\d+", node.name):
        return _integer(node, node.name)
    if node.is_string or not re.fullmatch(r"\d*\.\d*", node.name):
        return node
    return sql.Literal.number(f"{float(node.name)!r}e0" if "e" not in repr(float(node.name)) else node.name + "e0")


def _hexadecimal(node: sql.Expr) -> sql.Expr:
    return _integer(node, str(int(node.name, 16))) if node.args.get("is_integer") else node


_LARGEST = 2**63 - 1
_SMALL = 4_000_000  # more days than there are dates, to which DuckDB adds numbers of 32 bits alone
_OPERATIONS = (
    *(sql.Add, sql.Sub, sql.Mul, sql.Neg, sql.Paren, sql.SafeAdd, sql.SafeSubtract, sql.SafeMultiply, sql.Abs),
    *(sql.Alias, sql.Select, sql.Array, sql.PropertyEQ, sql.Struct, sql.If, sql.Case, sql.Coalesce, sql.Nullif),
    *(sql.Greatest, sql.Least),
)


def _integer(node: sql.Expr, digits: str) -> sql.Expr:
    """A large number has 64 bits wherever something is worked out with it: DuckDB gives it 32 as long as it fits.

    So has one that a recursion begins with, since what follows has its type.
    """
    of_least = int(digits) == _LARGEST + 1 and isinstance(node.parent, sql.Neg)
    if int(digits) > _LARGEST and not of_least:
        raise UsageError(
            f"{node.sql('bigquery')} is no INT64: one is {_LARGEST} at most. Write it as a FLOAT64, {digits}.0."
        )
    number = sql.Literal.number(digits)
    named_by = node.find_ancestor(sql.With) if isinstance(node.parent, sql.Alias) else None
    is_long = int(digits) >= _SMALL and isinstance(node.parent, _OPERATIONS) and not of_least
    return _long(number) if is_long or (named_by and named_by.recursive) else number


def _long(number: sql.Expr) -> sql.Expr:
    return _duckdb("CAST(:x AS BIGINT)", x=number)


def _product(node: sql.Expr) -> sql.Expr:
    """A product has 64 bits: of two numbers of 32 DuckDB's has 32, too."""
    for operand in (node.this, node.expression):
        if isinstance(operand, sql.Literal):
            if operand.is_int:
                operand.replace(_long(operand))
            return node
    return _duckdb(":a * CAST(1 AS BIGINT) * :b", a=_closed(node.this), b=_closed(node.expression))


_LEFT = """
CASE WHEN :n < 0 THEN ERROR('The bits are moved by a negative number.')
     WHEN :n > 63 THEN :x & 0
     ELSE CAST(
       ((CAST(:x AS HUGEINT) * CAST(POW(2, :n) AS HUGEINT) + 9223372036854775808) % 18446744073709551616
         + 18446744073709551616) % 18446744073709551616 - 9223372036854775808 AS BIGINT) END
"""
_RIGHT = """
CASE WHEN :n < 0 THEN ERROR('The bits are moved by a negative number.')
     WHEN :n > 63 THEN :x & 0
     WHEN :n = 0 OR :x >= 0 THEN CAST(:x AS BIGINT) >> :n
     ELSE (CAST(:x AS BIGINT) >> :n) & (9223372036854775807 >> (:n - 1)) END
"""


def _shift(to: str) -> Callable[[sql.Expr], sql.Expr]:
    """Bits that are moved out are lost, and zeros follow, where DuckDB keeps the sign or fails."""

    def rewritten(node: sql.Expr) -> sql.Expr:
        return sql.paren(_duckdb(to, x=_closed(node.this), n=_closed(node.expression)), copy=False)

    return rewritten


_TEXT = """
CASE WHEN TYPEOF(:x) <> 'DOUBLE' THEN CAST(:x AS TEXT)
     WHEN CAST(PRINTF('%.15g', TRY_CAST(CAST(:x AS TEXT) AS DOUBLE)) AS DOUBLE) = TRY_CAST(CAST(:x AS TEXT) AS DOUBLE)
     THEN PRINTF('%.15g', TRY_CAST(CAST(:x AS TEXT) AS DOUBLE) + 0)
     ELSE PRINTF('%.17g', TRY_CAST(CAST(:x AS TEXT) AS DOUBLE)) END
"""

_INTEGER = r"""
CASE WHEN TYPEOF(:x) = 'DOUBLE' THEN CAST(ROUND(TRY_CAST(CAST(:x AS TEXT) AS DOUBLE)) AS BIGINT)
     WHEN TYPEOF(:x) = 'VARCHAR' AND NOT REGEXP_FULL_MATCH(CAST(:x AS TEXT), '\s*[-+]?(\d+|0[xX][0-9a-fA-F]+)\s*')
     THEN CAST(CONCAT('not an INT64: ', CAST(:x AS TEXT)) AS BIGINT)
     ELSE CAST(:x AS BIGINT) END
"""


def _cast(node: sql.Expr) -> sql.Expr:
    kind = node.args["to"]
    if node.args.get("format") or not kind.is_type(*_CASTS):
        raise _refused(node, "cast to STRING, INT64, FLOAT64, BOOL, DATE, DATETIME or TIMESTAMP, without FORMAT")
    if kind.is_type("TEXT"):
        made = _duckdb(_TEXT, x=node.this)
    elif kind.is_type("BIGINT"):
        made = _duckdb(_INTEGER, x=node.this)
    else:
        return node
    return _tried(made) if isinstance(node, sql.TryCast) else made


_CASTS = ("TEXT", "BIGINT", "DOUBLE", "BOOLEAN", "DATE", "TIMESTAMP", "TIMESTAMPTZ", "DATETIME", "ARRAY", "STRUCT")


_OF_MANY_ROWS = (sql.AggFunc, sql.Window, sql.Filter, sql.IgnoreNulls, sql.RespectNulls, sql.Subquery, sql.Exists)


def _tried(node: sql.Expr) -> sql.Expr:
    """NULL where an expression fails; what DuckDB does not try, such as an aggregate, is worked out before."""
    before: dict[str, sql.Expr] = {}

    def named(part: sql.Expr) -> sql.Expr:
        if not isinstance(part, _OF_MANY_ROWS):
            return part
        name = next((name for name, made in before.items() if made == part), f"_{len(before)}")
        before.setdefault(name, part)
        return sql.column(name, table="_before")

    tried = sql.Anonymous(this="TRY", expressions=[node.transform(named)])
    if not before:
        return tried
    fields = [sql.PropertyEQ(this=sql.to_identifier(name), expression=part) for name, part in before.items()]
    made = "LIST_EXTRACT(LIST_TRANSFORM([:before], LAMBDA _before : :tried), 1)"
    return _duckdb(made, before=sql.Struct(expressions=fields), tried=tried)


def _safe(node: sql.Expr) -> sql.Expr:
    return _tried(node.this)


def _safe_arithmetic(sign: str) -> Callable[[sql.Expr], sql.Expr]:
    of_two = f":a * CAST(1 AS BIGINT) {sign} :b" if sign == "*" else f":a {sign} :b"
    return lambda node: _tried(_duckdb(of_two, a=_closed(node.this), b=_closed(node.expression)))


def _closed(node: sql.Expr) -> sql.Expr:
    return sql.paren(node, copy=False) if isinstance(node, sql.Binary) else node


_ROUNDED = """
CASE WHEN ABS(CAST(:x AS DOUBLE)) < 1e17
     THEN CAST(ROUND(CAST(PRINTF('%.20f', CAST(:x AS DOUBLE)) AS DECIMAL(38, 20)), :digits) AS DOUBLE)
     ELSE CAST(:x AS DOUBLE) END
"""


def _round(node: sql.Expr) -> sql.Expr:
    """BigQuery rounds the number itself, DuckDB a product of it: 2.675 is a little less than that."""
    digits = node.args.get("decimals")
    if not digits or (isinstance(digits, sql.Neg) and digits.this.is_int):
        return node
    if not digits.is_int or digits.to_py() > 15:
        raise _refused(node, "write the number of digits out, up to 15")
    return _duckdb(_ROUNDED, x=node.this, digits=digits)


def _trunc(node: sql.Expr) -> sql.Expr:
    if node.args.get("decimals"):
        raise _refused(node, "use ROUND, or TRUNC without a number of digits")
    return node


def _position(node: sql.Expr) -> sql.Expr:
    start = node.args.get("position")
    if node.args.get("occurrence") or (start and not (start.is_int and start.to_py() > 0)):
        raise _refused(node, "take the first occurrence, from a position that is written out")
    return node


def _extracted(node: sql.Expr) -> sql.Expr:
    if node.args.get("position") or node.args.get("occurrence"):
        raise _refused(node, "give a text and a pattern alone")
    return node


def _finite(node: sql.Expr) -> sql.Expr:
    """Fail where the result is too large, as BigQuery does."""
    beyond = "CASE WHEN ISINF(:x) THEN ERROR('The result of EXP or POW is too large.') ELSE :x END"
    return _duckdb(beyond, x=node)


def _whole_units(node: sql.Expr, microseconds: int) -> sql.Expr:
    """BigQuery leaves out the rest, where DuckDB rounds."""
    return _duckdb(f"CAST(FLOOR(EPOCH_US(:x) / {microseconds}) AS BIGINT)", x=node.this)


def _substring(node: sql.Expr) -> sql.Expr:
    """Take the position 0, and one before the text, for the first, as BigQuery does."""
    start = node.args["start"]
    at = _duckdb("CASE WHEN :at = 0 OR :at < -LENGTH(:x) THEN 1 ELSE :at END", at=_closed(start), x=node.this)
    length = node.args.get("length")
    if length and not (length.is_int and length.to_py() >= 0):
        checked = "CASE WHEN :n < 0 THEN ERROR('The length of a SUBSTR is negative.') ELSE :n END"
        node.set("length", _duckdb(checked, n=_closed(length)))
    if not (start.is_int and start.to_py() > 0):
        node.set("start", at)
    return node


def _trim(node: sql.Expr) -> sql.Expr:
    """Trim every kind of space where no letters are given; DuckDB trims blanks alone."""
    if not node.expression:
        node.set("expression", _duckdb("CHR(32) || CHR(9) || CHR(10) || CHR(11) || CHR(12) || CHR(13) || CHR(160)"))
    return node


def _like(node: sql.Expr) -> sql.Expr:
    """A backslash escapes in BigQuery's patterns."""
    if isinstance(node.parent, sql.Escape):
        return node
    if isinstance(node.expression, (sql.Any, sql.All)):
        raise UsageError(
            "DuckDB does not answer LIKE ANY and LIKE ALL as BigQuery does. Write one LIKE for each pattern, or ask a "
            "warehouse on BigQuery."
        )
    return sql.Escape(this=node, expression=sql.Literal.string("\\"))


_SPEC = re.compile(r"%(?P<flags>['+0-]*)(?P<size>\d*(?:\.\d+)?)(?P<kind>[a-zA-Z%])")


def _format(node: sql.Expr) -> sql.Expr:
    if not node.this.is_string:
        raise _refused(node, "write the format out")
    given, end = list(node.expressions), 0
    parts: list[sql.Expr] = []
    needed = "give a value for each of %d, %i, %x, %o, %f, %e, %g, %s and %t, without *"
    for spec in _SPEC.finditer(node.this.name):
        parts += [sql.Literal.string(node.this.name[end : spec.start()])]
        end = spec.end()
        if spec["kind"] == "%":
            parts += [sql.Literal.string("%")]
        elif not given or spec["kind"] not in "dixofFeEgGst" or _is_unknown(spec):
            raise _refused(node, needed)
        else:
            parts += [_formatted(spec, given.pop(0))]
    rest = node.this.name[end:]
    if given or any(
        "%" in part.name for part in [sql.Literal.string(rest), *parts] if part.is_string and part.name != "%"
    ):
        raise _refused(node, needed)
    return _joined([*parts, sql.Literal.string(rest)])


def _is_unknown(spec: re.Match[str]) -> bool:
    """Whether digits are to be grouped in a way that DuckDB does not know."""
    plain = spec["flags"] == "'" and (spec["size"] == "" or spec["size"].startswith("."))
    return "'" in spec["flags"] and not (plain and spec["kind"] in "dif")


def _formatted(spec: re.Match[str], value: sql.Expr) -> sql.Expr:
    if spec["kind"] == "t":
        value = _duckdb("COALESCE(:x, 'NULL')", x=_duckdb(_TEXT, x=value))
    elif spec["kind"] in "fFeEgG":
        value = _duckdb("CAST(:x AS DOUBLE)", x=value)
    elif spec["kind"] in "dixo":
        value = _duckdb("CAST(:x AS BIGINT)", x=value)
    if "'" in spec["flags"]:
        pattern = f"{{:,{spec['size'] or '.6'}f}}" if spec["kind"] == "f" else "{:,}"
        return _duckdb("FORMAT(:f, :x)", f=sql.Literal.string(pattern), x=value)
    kind = {"t": "s", "i": "d"}.get(spec["kind"], spec["kind"])
    pattern = f"%{spec['flags']}{spec['size']}{kind}"
    return _duckdb("PRINTF(:f, :x)", f=sql.Literal.string(pattern), x=value)


def _joined(parts: list[sql.Expr]) -> sql.Expr:
    """The texts one after another; NULL if one is."""
    kept = [part for part in parts if not (part.is_string and part.name == "")] or parts[:1]
    made: sql.Expr = kept[0]
    for part in kept[1:]:
        made = sql.DPipe(this=made, expression=part)
    return sql.paren(made, copy=False)


# ---------------------------------------------------------------- days and moments

_DAYS = ("SUNDAY", "MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY")

_PARTS = {
    "DAYOFWEEK": "EXTRACT(DOW FROM :x) + 1",
    "ISOWEEK": "EXTRACT(WEEK FROM :x)",
    "MILLISECOND": "EXTRACT(MILLISECOND FROM :x) % 1000",
    "MICROSECOND": "EXTRACT(MICROSECOND FROM :x) % 1000000",
    "DATE": "CAST(:x AS DATE)",
    "DATETIME": "CAST(:x AS TIMESTAMP)",
    **{part: f"EXTRACT({part} FROM :x)" for part in ("YEAR", "ISOYEAR", "QUARTER", "MONTH", "DAY")},
    "DAYOFYEAR": "EXTRACT(DOY FROM :x)",
    **{part: f"EXTRACT({part} FROM :x)" for part in ("HOUR", "MINUTE", "SECOND")},
}


def _extract(node: sql.Expr) -> sql.Expr:
    part, value = node.this, node.expression
    named = part.name.upper()
    if isinstance(part, sql.WeekStart) or named == "WEEK":
        first = str(_DAYS.index(part.this.name.upper()) if isinstance(part, sql.WeekStart) else 0)
        week = f"(EXTRACT(DOY FROM :x) + 6 - (EXTRACT(DOW FROM :x) - {first} + 7) % 7) // 7"
        return sql.paren(_duckdb(week, x=value), copy=False)
    if named not in _PARTS:
        raise _refused(node, "take one of the parts " + ", ".join(["WEEK", *_PARTS]))
    return sql.paren(_duckdb(_PARTS[named], x=value), copy=False)


def _same_kind(node: sql.Expr) -> sql.Expr:
    """A day and a number of days, or the first day of its month, is a day, where DuckDB makes it a moment."""
    given = node.this
    if given.is_string or isinstance(given, sql.Null):
        given = _duckdb("CAST(:x AS DATE)", x=given)
        node.set("this", given)
    return _duckdb("CAST_TO_TYPE(:made, :given)", made=node, given=given)


def _difference(node: sql.Expr) -> sql.Expr:
    """Count whole units between timestamps; between others DuckDB counts borders, as BigQuery does."""
    unit = node.text("unit").upper()
    timed = ("DAY", "HOUR", "MINUTE", "SECOND", "MILLISECOND", "MICROSECOND")
    if isinstance(node, sql.TimestampDiff) and unit not in timed:
        raise _refused(node, f"take {', '.join(timed[:-1])} or {timed[-1]}")
    if unit not in timed or node.this.is_string or node.expression.is_string:
        return node
    given = {"a": node.this, "b": node.expression, "unit": sql.Literal.string(unit.lower())}
    whole = "CASE WHEN TYPEOF(:a) = 'TIMESTAMP WITH TIME ZONE' THEN DATESUB(:unit, :b, :a) ELSE :borders END"
    return _duckdb(whole, **given, borders=node)


def _moments(node: sql.Expr) -> sql.Expr:
    for end in ("start", "end"):
        node.set(end, _duckdb("CAST(:x AS TIMESTAMPTZ)", x=node.args[end]))
    return node


def _in_utc(node: sql.Expr) -> sql.Expr:
    return _duckdb("TIMEZONE('UTC', :x)", x=node) if node.args.get("scale") else node


_STRFTIME = dict.fromkeys("YmdHMSyjaAbBVGUWuwIp", "") | {
    "-d": "LPAD(CAST(DAY(:x) AS TEXT), 2, ' ')",
    "e": "LPAD(CAST(DAY(:x) AS TEXT), 2, ' ')",
    "Q": "CAST(QUARTER(:x) AS TEXT)",
    "s": "CAST(CAST(FLOOR(EPOCH(:x)) AS BIGINT) AS TEXT)",
    "R": "STRFTIME(:x, '%H:%M')",
    "E3S": "STRFTIME(:x, '%S.%g')",
    "E6S": "STRFTIME(:x, '%S.%f')",
    "S.%f": "STRFTIME(:x, '%S.%f')",
    "%": "'%'",
}
"""DuckDB's counterpart of each element of a format; empty: the same."""
_ELEMENT = re.compile(r"%(S\.%f|E[36]S|-d|.)")


def _format_time(node: sql.Expr) -> sql.Expr:
    value, pattern, zone = node.this.this, node.args["format"], node.args.get("zone")
    parts, elements = _split_format(node, pattern, _STRFTIME)
    if isinstance(node.this, sql.TsOrDsToTimestamp):
        value = _duckdb("TIMEZONE(:zone, CAST(:x AS TIMESTAMPTZ))", x=value, zone=zone or sql.Literal.string("UTC"))
    else:
        kind = "DATE" if isinstance(node.this, sql.TsOrDsToDate) else "TIMESTAMP"
        value = _duckdb(f"CAST(:x AS {kind})", x=value)
    made: list[sql.Expr] = []
    for part, element in zip(parts, [*elements, None], strict=True):
        made += [sql.Literal.string(part)]
        if element:
            made += [_duckdb(_STRFTIME[element] or f"STRFTIME(:x, '%{element}')", x=value)]
    return _joined(made)


def _split_format(node: sql.Expr, pattern: sql.Expr, known: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """The texts between the elements of a format, and the elements."""
    if not pattern.is_string:
        raise _refused(node, "write the format out")
    found = _ELEMENT.split(pattern.name)
    for element in found[1::2]:
        if element not in known:
            raise _refused(node, f"leave %{element} out of the format")
    if not {*found[1::2]} - {"%"}:
        raise _refused(node, "name a part of the time in the format")
    return found[::2], found[1::2]


def _parse_time(node: sql.Expr) -> sql.Expr:
    _, elements = _split_format(node, node.args["format"], dict.fromkeys("YmdHMSbBy%", ""))
    if not {"Y", "y"} & {*elements}:
        raise _refused(node, "give a format with a year")
    pattern, zone = node.args["format"], node.args.get("zone") or sql.Literal.string("UTC")
    kind = "CAST({} AS DATE)" if isinstance(node, sql.StrToDate) else "{}"
    kind = "TIMEZONE(:zone, {})" if isinstance(node, sql.StrToTime) else kind
    return _duckdb(kind.format("STRPTIME(:x, :f)"), x=node.this, f=pattern, zone=zone)


# ---------------------------------------------------------------- arrays and aggregates


def _element(node: sql.Expr) -> sql.Expr:
    """An index beyond the end is an error, unless it is a SAFE one."""
    if node.args.get("safe") or len(node.expressions) != 1:
        return node
    offset = node.args.get("offset")
    index = _closed(node.expressions[0])
    at = _duckdb(":i + 1", i=index) if offset in (None, 0) else index
    beyond = "CASE WHEN :i NOT BETWEEN 1 AND LEN(:x) THEN ERROR('An array has no element of that index.') "
    return _duckdb(beyond + "ELSE LIST_EXTRACT(:x, :i) END", i=sql.paren(at, copy=False), x=node.this)


def _with_offset(node: sql.Expr) -> sql.Expr:
    """Offsets begin at 0, DuckDB's ordinals at 1."""
    offset = node.args.get("offset")
    if not offset:
        return node
    name = offset if isinstance(offset, sql.Identifier) else sql.to_identifier("offset")
    alias = node.args["alias"].columns[0] if node.args.get("alias") else sql.to_identifier("_element")
    array = node.expressions[0]
    rows = "SELECT UNNEST(:x) AS element, GENERATE_SUBSCRIPTS(:x, 1) - 1 AS place"
    selected = _duckdb(rows, x=array)
    selected.expressions[0].set("alias", alias.copy())
    selected.expressions[1].set("alias", sql.to_identifier(name.name, quoted=True))
    return sql.Subquery(this=selected, alias=sql.TableAlias(this=sql.to_identifier(f"_of_{alias.name}")))


def _array_agg(node: sql.Expr) -> sql.Expr:
    """DuckDB knows no LIMIT within an aggregate."""
    limit = node.this if isinstance(node.this, sql.Limit) else None
    if not limit:
        return node
    node.set("this", limit.this)
    return _duckdb("LIST_SLICE(:x, 1, :n)", x=node, n=limit.expression)


def _ignore_nulls(node: sql.Expr) -> sql.Expr:
    """NULLs are left out before the first elements are taken."""
    gathered = node.this.find(sql.ArrayAgg)
    if not gathered:
        return node
    value: sql.Expr = gathered.this.this if isinstance(gathered.this, sql.Order) else gathered.this
    value = value.expressions[0] if isinstance(value, sql.Distinct) else value
    kept = sql.Filter(this=gathered.copy(), expression=sql.Where(this=value.copy().is_(sql.null()).not_()))
    if gathered is node.this:
        return kept
    gathered.replace(kept)
    inner: sql.Expr = node.this
    return inner


def _string_agg(node: sql.Expr) -> sql.Expr:
    limit = node.this if isinstance(node.this, sql.Limit) else None
    if limit:
        raise _refused(node, "use ARRAY_TO_STRING(ARRAY_AGG(… IGNORE NULLS ORDER BY … LIMIT …), …)")
    return node


def _most(node: sql.Expr, *, of_highest: bool) -> sql.Expr:
    return sql.AnyValue(this=sql.HavingMax(this=node.this, expression=node.expression, max=of_highest))


def _pivot(node: sql.Expr) -> sql.Expr:
    """Refuse named aggregates: their name comes first in a column's name for BigQuery, last for DuckDB."""
    if not node.args.get("unpivot") and any(isinstance(each, sql.Alias) for each in node.expressions):
        raise UsageError(
            "DuckDB does not name the columns of a PIVOT with named aggregates as BigQuery does. Leave the name of the "
            "aggregate out, or ask a warehouse on BigQuery."
        )
    return node


def _distinct_count(node: sql.Expr) -> sql.Expr:
    return sql.Count(this=sql.Distinct(expressions=[node.this]))


_REWRITTEN: Mapping[str, Callable[[Any], sql.Expr]] = {
    "Literal": _literal,
    "HexString": _hexadecimal,
    "Mul": _product,
    "BitwiseLeftShift": _shift(_LEFT),
    "BitwiseRightShift": _shift(_RIGHT),
    "Cast": _cast,
    "TryCast": _cast,
    "SafeFunc": _safe,
    "SafeAdd": _safe_arithmetic("+"),
    "SafeSubtract": _safe_arithmetic("-"),
    "SafeMultiply": _safe_arithmetic("*"),
    "Round": _round,
    "Trunc": _trunc,
    "StrPosition": _position,
    "RegexpExtract": _extracted,
    "RegexpExtractAll": _extracted,
    "RegexpInstr": _extracted,
    "Substring": _substring,
    "GenerateTimestampArray": _moments,
    "Trim": _trim,
    "Like": _like,
    "Format": _format,
    "BitwiseCount": lambda node: _duckdb("CAST(BIT_COUNT(CAST(:x AS BIGINT)) AS BIGINT)", x=node.this),
    "ByteLength": lambda node: _duckdb("OCTET_LENGTH(ENCODE(:x))", x=node.this),
    "Extract": _extract,
    "DateAdd": _same_kind,
    "DateSub": _same_kind,
    "DateTrunc": _same_kind,
    "DateDiff": _difference,
    "DatetimeDiff": _difference,
    "TimestampDiff": _difference,
    "UnixToTime": _in_utc,
    "TimeToStr": _format_time,
    "StrToDate": _parse_time,
    "StrToTime": _parse_time,
    "ParseDatetime": _parse_time,
    "Bracket": _element,
    "Unnest": _with_offset,
    "ArrayAgg": _array_agg,
    "IgnoreNulls": _ignore_nulls,
    "GroupConcat": _string_agg,
    "ApproxDistinct": _distinct_count,
    "Pivot": _pivot,
    "ArgMax": lambda node: _most(node, of_highest=True),
    "ArgMin": lambda node: _most(node, of_highest=False),
    "Exp": _finite,
    "Pow": _finite,
    "UnixMillis": lambda node: _whole_units(node, 1_000),
    "UnixSeconds": lambda node: _whole_units(node, 1_000_000),
}
"""The functions that rewrite an expression, by the name of its class."""

_NAMES = """
Abs Acos And AnyValue Array ArrayConcat ArrayReverse ArraySize ArrayToString Ascii Asin Atan Atan2 Avg BitwiseAndAgg
BitwiseOrAgg BitwiseXorAgg Case Cbrt Ceil Chr Coalesce Concat Corr Cos Count CountIf CovarPop CovarSamp CumeDist
CurrentDate CurrentTimestamp Date DateFromParts DateFromUnixDate Datetime DatetimeAdd DatetimeSub DatetimeTrunc
DenseRank EndsWith Exists FirstValue Floor GenerateDateArray GenerateSeries Greatest Grouping If Initcap IsInf IsNan
JSONExtract JSONExtractScalar Lag LastDay LastValue Lead Least Left Length Levenshtein Ln Log LogicalAnd LogicalOr
Lower LowerHex MD5 MD5Digest Max Min Not NthValue Ntile Nullif Or Pad PercentRank PercentileCont PercentileDisc Pi
Rand Rank RegexpLike RegexpReplace Repeat Replace Reverse Right RowNumber SHA2Digest SafeDivide Sign Sin Split Sqrt
StartsWith Stddev StddevPop StddevSamp Struct Sum Tan Timestamp TimestampAdd TimestampSub TimestampTrunc ToBase64
Translate TsOrDsToDate TsOrDsToDatetime TsOrDsToTimestamp UnixDate UnixMicros Upper Uuid Variance VariancePop
WeekStart Xor
"""
_ALIKE = frozenset(_NAMES.split())
"""The classes of sqlglot's functions whose translation answers as BigQuery does."""
