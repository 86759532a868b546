"""The cost of forecasts, as a table and as JSON."""

import json
from typing import Any

import pandas as pd
from rich.console import Group, RenderableType
from rich.text import Text

from tickercast.show.fitting import Table

_AMOUNTS = ("usd_compute", "usd_queries", "usd_storage", "usd")
_TITLES = ("day", "files", "forecasts", "median ms", "95% ms", "USD", "USD for 1,000")


def costs_table(rows: pd.DataFrame, days: int) -> RenderableType:
    """One row a day, and all of them together.

    Args:
        rows: rows from `App.costs`.
        days: the number of days that were asked for.
    """
    if rows.empty:
        return Text(f"No file was forecast from in the last {days} days. Name more: --days N.")
    table = Table(show_footer=True)
    sums = rows[["files", "forecasts", *_AMOUNTS]].sum()
    footer = ("together", *_counts(sums), "", "", *_paid(sums))
    for title, below in zip(_TITLES, footer, strict=True):
        table.add_column(title, below, justify="left" if title == "day" else "right", no_wrap=True)
    for _, row in rows.iterrows():
        times = (f"{row[name]:,.0f}" for name in ("duration_ms_p50", "duration_ms_p95"))
        table.add_row(f"{row['day']:%Y-%m-%d}", *_counts(row), *times, *_paid(row))
    parts = {"compute": "usd_compute", "queries": "usd_queries", "a month of storage": "usd_storage"}
    shares = ", ".join(f"{sums[name] / sums['usd']:.0%} {part}" for part, name in parts.items())
    notes = [f"{shares}: at list prices, before what is free each month."]
    if rows["estimated"].any():
        notes.append("Handled outside of a cloud: compute as if on an instance of 2 GiB and one vCPU there.")
    return Group(table, *(Text(note, style="dim") for note in notes))


def costs_json(rows: pd.DataFrame) -> str:
    """The same, in a stable machine-readable form."""
    days = [{**row, "day": f"{row['day']:%Y-%m-%d}"} for row in rows.to_dict("records")]
    return json.dumps(days, indent=2) + "\n"


def _counts(row: "pd.Series[Any]") -> tuple[str, str]:
    return f"{row['files']:,.0f}", f"{row['forecasts']:,.0f}"


def _paid(row: "pd.Series[Any]") -> tuple[str, str]:
    return _usd(row["usd"]), _usd(1000 * row["usd"] / row["forecasts"])


def _usd(amount: float) -> str:
    return f"{amount:,.2f}" if amount >= 1 else f"{amount:.6f}"
