"""Answers as JSON or as CSV: dates as ISO 8601, unknown values as null or an empty cell."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime
from typing import Any

import pandas as pd
from starlette.responses import Response

from tickercast import plain
from tickercast.api.wording import findings_for_callers
from tickercast.domain.forecast import Forecast
from tickercast.show.tables import forecast_values

CSV, JSON = "text/csv", "application/json"


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as plain values.

    >>> day = pd.Timestamp("2023-07-21")
    >>> records(pd.DataFrame({"day": [day], "at": [day.tz_localize("UTC")], "x": [float("nan")], "n": [1]}))
    [{'day': '2023-07-21', 'at': '2023-07-21T00:00:00+00:00', 'x': None, 'n': 1}]
    """
    columns = {str(name): _plain(values) for name, values in frame.items()}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _plain(values: "pd.Series[Any]") -> list[Any]:
    if isinstance(values.dtype, pd.DatetimeTZDtype):
        return [None if pd.isna(one) else one.isoformat() for one in values]
    if values.dtype.kind == "M":
        return [None if pd.isna(one) else one.date().isoformat() for one in values]
    return [None if one is pd.NA or one != one else one for one in values.tolist()]  # NaN


def answer(found: Any, *, csv: bool, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Answer with a value, or with rows.

    Args:
        found: rows as a frame, or plain values; only rows can be CSV.
        csv: whether the caller asked for CSV.
        status: the status of the answer.
        headers: further headers.
    """
    if csv and isinstance(found, pd.DataFrame):
        return Response(plain.csv(_written(found)), status, headers, f"{CSV}; charset=utf-8")
    body = records(found) if isinstance(found, pd.DataFrame) else found
    text = json.dumps(body, allow_nan=False, separators=(",", ":"), default=_default)
    return Response(text, status, headers, JSON)


def forecast_answer(made: Forecast, as_of: date, addresses: Mapping[str, str]) -> Response:
    """Answer with a forecast as JSON, its findings in words for callers.

    Args:
        made: the forecast.
        as_of: the date for which it was requested.
        addresses: the words that stand in place of the server's own addresses.
    """
    findings = findings_for_callers(made.findings, addresses)
    return answer(forecast_values(replace(made, findings=findings), as_of), csv=False)


def wants_csv(accept: str, query: Mapping[str, str]) -> bool:
    """Whether a request asks for CSV.

    >>> wants_csv("text/csv, */*;q=0.1", {}), wants_csv("*/*", {}), wants_csv("*/*", {"format": "csv"})
    (True, False, True)
    """
    if "format" in query:
        return query["format"] == "csv"
    return bool(accept) and _weight(accept, CSV) > max(_weight(accept, JSON), _weight(accept, "*/*"))


def _weight(accept: str, kind: str) -> float:
    for part in accept.split(","):
        named, _, rest = part.strip().partition(";")
        if named.strip().lower() == kind:
            try:
                return float(rest.partition("q=")[2] or 1)
            except ValueError:
                return 0.0
    return 0.0


def _written(frame: pd.DataFrame) -> pd.DataFrame:
    dated = {name: _plain(values) for name, values in frame.items() if values.dtype.kind == "M"}
    zoned = {name: _plain(values) for name, values in frame.items() if isinstance(values.dtype, pd.DatetimeTZDtype)}
    return frame.assign(**{str(name): values for name, values in {**dated, **zoned}.items()})


def _default(value: object) -> object:
    if isinstance(value, date | datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} is no JSON")
