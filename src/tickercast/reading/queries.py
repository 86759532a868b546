"""The SQL that Python asks: `sql/queries/*.sql`, in BigQuery's dialect for both engines."""

import functools
from typing import Any

import pandas as pd

from tickercast.config import resource
from tickercast.ports import Warehouse


def ask(warehouse: Warehouse, name: str, **parameters: Any) -> pd.DataFrame:
    """Answer a query of `sql/queries`.

    Args:
        warehouse: where the tables are.
        name: the file, without `.sql`.
        parameters: the values of its `@name`s.

    Raises:
        WarehouseUnavailable: try again.
    """
    return warehouse.query(_text(name), parameters)


@functools.cache
def _text(name: str) -> str:
    return (resource("sql") / "queries" / f"{name}.sql").read_text(encoding="utf-8")
