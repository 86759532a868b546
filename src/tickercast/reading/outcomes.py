"""The previous session's forecasts, and those that end with the newest, beside the closes that came true."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from tickercast.domain.frequency import DAILY
from tickercast.ports import Warehouse
from tickercast.reading.queries import ask


@dataclass(frozen=True)
class Outcome:
    """A close beside a forecast of it.

    Attributes:
        symbol: the series.
        day: the session of the close.
        step: the number of sessions from the forecast to the close: 1, or the whole horizon.
        last_close: the close that it was forecast from.
        close: the close that came true.
        interval_80: the ends of the 80% interval.
        interval_95: the ends of the 95% interval.
        inside_80: whether the close is inside the 80% interval.
        inside_95: whether the close is inside the 95% interval.
    """

    symbol: str
    day: date
    step: int
    last_close: float
    close: float
    interval_80: tuple[float, float]
    interval_95: tuple[float, float]
    inside_80: bool
    inside_95: bool


def outcomes(warehouse: Warehouse, last: Mapping[str, date]) -> list[Outcome]:
    """The closes of one session of each symbol beside the champion's forecasts of one and of ten sessions before.

    Args:
        warehouse: where scores are.
        last: the session wanted, by symbol.

    Raises:
        WarehouseUnavailable: try again.
    """
    if not last:
        return []
    days = {"since": min(last.values()), "until": max(last.values())}
    rows = ask(warehouse, "outcomes", symbols=sorted(last), steps=DAILY.horizon, **days).to_dict("records")
    return [
        Outcome(
            symbol=row["symbol"],
            day=row["target_date"].date(),
            step=int(row["step"]),
            last_close=float(row["last_close"]),
            close=float(row["actual_close"]),
            interval_80=(float(row["close_lo_80"]), float(row["close_hi_80"])),
            interval_95=(float(row["close_lo_95"]), float(row["close_hi_95"])),
            inside_80=bool(row["inside_80"]),
            inside_95=bool(row["inside_95"]),
        )
        for row in rows
        if last[row["symbol"]] == row["target_date"].date()
    ]
