"""Compact the warehouse once a week, so that its cost follows bars and forecasts, not files."""

from datetime import date

from tickercast.ports import Warehouse

_FRIDAY = 4


def is_due(day: date) -> bool:
    """Whether the run for a day compacts.

    >>> is_due(date(2023, 7, 21)), is_due(date(2023, 7, 24))
    (True, False)
    """
    return day.weekday() == _FRIDAY


def compact_warehouse(*, warehouse: Warehouse) -> dict[str, int]:
    """Drop the rows that count no more, and return how many, by table.

    Raises:
        WarehouseUnavailable: try again.
    """
    return dict(warehouse.compact())
