"""The overview: one row a symbol, with what its current forecast says and how far that can be trusted."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from tickercast.domain.distribution import probability
from tickercast.domain.forecast import Role
from tickercast.domain.frequency import DAILY, Frequency
from tickercast.ports import Between, Warehouse
from tickercast.reading.queries import ask

KEPT_FOR = timedelta(days=100)
"""A symbol whose newest forecast is older than the newest of all by more is left out."""


@dataclass(frozen=True)
class Row:
    """The current state of one symbol, by the champion.

    Attributes:
        symbol: the series.
        cutoff: the forecast origin.
        last_close: the close there, in the symbol's currency.
        change: from the close before, as a share; None where that is not known.
        sessions: how far ahead the forecast reaches.
        target_date: the last session forecast.
        close_median: the point forecast for it.
        close_lo_80: the lower end of the 80% interval for it.
        close_hi_80: its upper end.
        lo_80: the lower end relative to the last close, as a share.
        hi_80: the upper end.
        chance_higher: that the close then lies above the last close; None where thirteen quantiles are not stored.
        coverage_80: the share of past closes inside the 80% interval; None where none has come true.
        n: closes that have come true.
        verdict: as in the view `forecast_skill`.
        findings: what is odd about the bars; empty if nothing is.
        doubtful: whether a finding touches the width.
        simulated: whether the bars were simulated.
        model_name: the champion.
        model_version: its version.
        age_days: days from the cutoff to the day of asking.
    """

    symbol: str
    cutoff: date
    last_close: float
    change: float | None
    sessions: int
    target_date: date
    close_median: float
    close_lo_80: float
    close_hi_80: float
    lo_80: float
    hi_80: float
    chance_higher: float | None
    coverage_80: float | None
    n: int
    verdict: str
    findings: str
    doubtful: bool
    simulated: bool
    model_name: str
    model_version: str
    age_days: int


def overview(warehouse: Warehouse, *, now: datetime, frequency: Frequency = DAILY) -> list[Row]:
    """One row a symbol that is still forecast, by name.

    Raises:
        WarehouseUnavailable: try again.
    """
    [newest] = ask(warehouse, "newest_cutoff", frequency=frequency.name)["cutoff"]
    if pd.isna(newest):
        return []
    since = newest.date() - KEPT_FOR
    found = ask(warehouse, "overview", frequency=frequency.name, since=since)
    if found.empty:
        return []
    wanted = {
        "symbol": found["symbol"].tolist(),
        "cutoff": Between(since, None),
        "object": sorted(set(found["object"])),
        "step": sorted(set(found["sessions"].tolist())),
        "role": Role.CHAMPION,
        "frequency": frequency.name,
    }
    lists = warehouse.read("forecasts", wanted, [*_MADE, "quantiles"]).rename(columns={"step": "sessions"})
    whole = found.merge(lists.drop_duplicates(_KEY), on=_KEY, how="left")
    return [_row(values, now.date()) for values in whole.to_dict("records")]


_KEY = ["symbol", "cutoff", "sessions", "object", "generation", "model_name"]
_MADE = ["symbol", "cutoff", "step", "object", "generation", "model_name"]


def _row(values: dict[Any, Any], today: date) -> Row:
    last, cutoff = float(values["last_close"]), values["cutoff"].date()
    low, high = float(values["close_lo_80"]), float(values["close_hi_80"])
    return Row(
        symbol=values["symbol"],
        cutoff=cutoff,
        last_close=last,
        change=_number(values["change"]),
        sessions=int(values["sessions"]),
        target_date=values["target_date"].date(),
        close_median=float(values["close_median"]),
        close_lo_80=low,
        close_hi_80=high,
        lo_80=low / last - 1,
        hi_80=high / last - 1,
        chance_higher=_chance_higher(values["quantiles"]),
        coverage_80=_number(values["coverage_80"]),
        n=int(_number(values["n"]) or 0),
        verdict=values["verdict"],
        findings=values["findings"] if isinstance(values["findings"], str) else "",
        doubtful=bool(values["doubtful"]),
        simulated=bool(values["simulated"]),
        model_name=values["model_name"],
        model_version=values["model_version"],
        age_days=(today - cutoff).days,
    )


def _number(value: Any) -> float | None:
    return None if pd.isna(value) else float(value)


def _chance_higher(quantiles: Sequence[float] | float | None) -> float | None:
    if quantiles is None or isinstance(quantiles, float) or not len(quantiles):
        return None
    return float(1 - probability(np.asarray(quantiles, float), np.zeros(1))[0])
