"""The calibration of the champion's 80% intervals, a row a symbol."""

from collections.abc import Sequence
from typing import Any

from tickercast.domain.forecast import Role
from tickercast.domain.frequency import DAILY, Frequency
from tickercast.domain.measures.calibration import Calibration
from tickercast.ports import Warehouse

_COLUMNS = ("symbol", "n", "coverage_80", "coverage_80_lo", "coverage_80_hi", "blocks")


def calibrations(
    warehouse: Warehouse, symbols: Sequence[str] | None = None, frequency: Frequency = DAILY
) -> list[Calibration]:
    """The rows of the view `calibration` for the champion, by symbol; of several champions the newest one's.

    Args:
        warehouse: the warehouse with the view.
        symbols: the symbols to read; None: all.
        frequency: the frequency of the bars.

    Raises:
        WarehouseUnavailable: try again.
    """
    where: dict[str, Any] = {"role": Role.CHAMPION, "frequency": frequency.name}
    if symbols is not None:
        where["symbol"] = list(symbols)
    if symbols == []:
        return []
    found = warehouse.read("calibration", where, [*_COLUMNS, "through", "calibration"])
    newest = found.sort_values(["symbol", "through", "n"]).drop_duplicates("symbol", keep="last")
    return [
        Calibration(
            symbol=row["symbol"],
            n=int(row["n"]),
            coverage_80=float(row["coverage_80"]),
            coverage_80_lo=float(row["coverage_80_lo"]),
            coverage_80_hi=float(row["coverage_80_hi"]),
            blocks=int(row["blocks"]),
            calibration=row["calibration"],
        )
        for row in newest.to_dict("records")
    ]
