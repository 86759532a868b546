"""The overview: one row a symbol, with what its current forecast says and how far that can be trusted."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tickercast.domain.distribution import probability
from tickercast.domain.frequency import DAILY
from tickercast.domain.freshness import State, freshness
from tickercast.domain.learning.width import usual_widths
from tickercast.errors import UsageError
from tickercast.ports import Warehouse
from tickercast.reading.queries import ask

KEPT_FOR = timedelta(days=100)
"""A symbol is left out if its forecast is older than the newest of real bars, or the date asked for, by more."""

_A_YEAR_OF_BARS = timedelta(days=460)  # 250 sessions, and 60 from which the first volatility is known
_SPARK_EVERY = 5  # sessions
_LONG_AGO = date(1970, 1, 1)


@dataclass(frozen=True)
class Row:
    """The current state of one symbol, by the champion.

    Attributes:
        symbol: the series.
        cutoff: the forecast origin.
        last_close: the close there, in the symbol's currency.
        change: the change from the close before, as a share; None where that is not known.
        sessions: the number of sessions that the forecast reaches.
        target_date: the last session forecast.
        close_median: the point forecast for it.
        close_lo_80: the lower end of the 80% interval for it.
        close_hi_80: the upper end of the 80% interval for it.
        lo_80: the lower end relative to the last close, as a share.
        hi_80: the upper end relative to the last close, as a share.
        width_rank: the share of the year's sessions whose volatility gave a narrower interval than this one; None where
            fewer than 61 sessions are stored.
        widths: the widths of these intervals of the year, by RiskMetrics, as shares of the close from end to end: one a
            week, the oldest first; then the forecast's own. Empty where `width_rank` is None.
        chance_higher: the chance that the close then lies above the last close; None where thirteen quantiles are not
            stored.
        coverage_80: the share of past closes inside the 80% interval; None where none has come true.
        n: closes that have come true.
        verdict: the verdict of the view `forecast_skill`.
        findings: the oddities of the bars; empty if there are none.
        doubtful: whether a finding touches the width.
        simulated: whether the bars were simulated.
        model_name: the champion.
        model_version: the version of the champion.
        age_days: days from the cutoff to the day of asking.
        state: `fresh`, `due`, `stale` or `expired`; see `domain.freshness`.
        missed: the sessions that have closed since the cutoff.
        freshness: the state in a sentence.
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
    width_rank: float | None
    widths: tuple[float, ...]
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
    state: State
    missed: int
    freshness: str

    @property
    def width_80(self) -> float:
        """The width of the 80% interval, as a share of the last close."""
        return self.hi_80 - self.lo_80


COLUMNS = [name for name in Row.__dataclass_fields__ if name != "widths"]
"""The columns of `frame`: all but the series of widths."""

TITLES = {
    "symbol": "symbol",
    "cutoff": "cutoff",
    "close": "last_close",
    "day": "change",
    "80% range": "width_80",
    "±": "width_80",
    "higher": "chance_higher",
    "width in its year": "width_rank",
    "held 80%": "coverage_80",
    "verdict": "verdict",
    "findings": "findings",
    "state": "state",
}
"""The titles of the columns that people see, and the value of a row by which each sorts."""


def overview(
    warehouse: Warehouse, *, now: datetime, symbols: Sequence[str] = (), as_of: date | None = None
) -> list[Row]:
    """One row a symbol, by name.

    Args:
        warehouse: where forecasts and prices are.
        now: the time.
        symbols: the symbols to read, however old their forecasts are; by default all whose are not too old, see
            `KEPT_FOR`.
        as_of: the last cutoff that counts; the newest of all symbols by default. The record is that of today.

    Raises:
        WarehouseUnavailable: try again.
    """
    newest = (as_of, as_of) if as_of else _newest_cutoffs(warehouse)
    if newest is None:
        return []
    until, real = newest
    since = _LONG_AGO if symbols and not as_of else real - KEPT_FOR
    found = ask(
        warehouse,
        "overview",
        since=since,
        until=until,
        first_bar=since - _A_YEAR_OF_BARS,
        every=not symbols,
        symbols=list(symbols) or [""],  # BigQuery reads the type of a parameter off its values
    )
    return [_row(values, now) for values in found.to_dict("records")]


def left_out(rows: Sequence[Row], newest: pd.DataFrame) -> list[str]:
    """The symbols that the overview of all has not, since their forecasts are too old, by name.

    Args:
        rows: the overview of all symbols.
        newest: the age of each symbol's newest forecast, from `reading.views.freshness`.
    """
    if not rows:
        return []
    is_old = newest["cutoff"].dt.date < newest_session(rows) - KEPT_FOR
    return sorted(newest.loc[is_old & (newest["frequency"] == DAILY.name), "symbol"])


def newest_session(rows: Sequence[Row]) -> date:
    """The newest cutoff of an overview; of simulated bars only if there are no others."""
    return max((not row.simulated, row.cutoff) for row in rows)[1]


def frame(rows: Sequence[Row]) -> pd.DataFrame:
    """The overview as one row a symbol, without the series of widths, for CSV and JSON."""
    return pd.DataFrame([{name: getattr(row, name) for name in COLUMNS} for row in rows], columns=COLUMNS)


def ordered(rows: Sequence[Row], column: str) -> list[Row]:
    """The rows by a column of `frame` or one of `TITLES`, in descending order if a `-` precedes its name.

    Unknown values come last.

    Raises:
        UsageError: no column has that name.
    """
    asked = column.removeprefix("-")
    name = TITLES.get(asked, asked)
    if asked not in TITLES and name not in COLUMNS:
        close = difflib.get_close_matches(asked, [*TITLES, *COLUMNS], n=1)
        further = ", ".join(each for each in COLUMNS if each not in TITLES)
        hint = f"Did you mean {close[0]}?" if close else f"It has {', '.join(TITLES)}; in --csv also {further}."
        raise UsageError(f"The overview has no column {asked[:40]!r} to sort by. {hint}")
    known = sorted((row for row in rows if getattr(row, name) is not None), key=lambda row: row.symbol)
    known.sort(key=lambda row: getattr(row, name), reverse=column.startswith("-"))
    return [*known, *(row for row in rows if getattr(row, name) is None)]


def _newest_cutoffs(warehouse: Warehouse) -> tuple[date, date] | None:
    """The newest cutoff of all symbols, and the one by which symbols are left out: simulated bars hide no real ones."""
    [newest] = ask(warehouse, "newest_cutoff", frequency=DAILY.name).to_dict("records")
    return None if pd.isna(newest["cutoff"]) else (newest["cutoff"].date(), newest["real_cutoff"].date())


def _row(values: Mapping[Any, Any], now: datetime) -> Row:
    last, cutoff = float(values["last_close"]), values["cutoff"].date()
    low, high = float(values["close_lo_80"]), float(values["close_hi_80"])
    sessions = int(values["sessions"])
    usual = usual_widths(_numbers(values["closes"]), step=sessions)
    width = (high - low) / last
    current = freshness(values["symbol"], cutoff, now, sessions=sessions)
    return Row(
        symbol=values["symbol"],
        cutoff=cutoff,
        last_close=last,
        change=_number(values["change"]),
        sessions=sessions,
        target_date=values["target_date"].date(),
        close_median=float(values["close_median"]),
        close_lo_80=low,
        close_hi_80=high,
        lo_80=low / last - 1,
        hi_80=high / last - 1,
        width_rank=float(np.mean(usual < width)) if len(usual) else None,
        widths=(*usual[::-_SPARK_EVERY][::-1].tolist(), width) if len(usual) else (),
        chance_higher=_chance_higher(_numbers(values["quantiles"])),
        coverage_80=_number(values["coverage_80"]),
        n=int(_number(values["n"]) or 0),
        verdict=values["verdict"],
        findings=values["findings"] if isinstance(values["findings"], str) else "",
        doubtful=bool(values["doubtful"]),
        simulated=bool(values["simulated"]),
        model_name=values["model_name"],
        model_version=values["model_version"],
        age_days=(now.date() - cutoff).days,
        state=current.state,
        missed=current.missed,
        freshness=current.sentence,
    )


def _number(value: Any) -> float | None:
    return None if pd.isna(value) else float(value)


def _numbers(value: Any) -> NDArray[np.float64]:
    """An array of a table; engines disagree on how they spell one that is missing."""
    return np.empty(0) if value is None or np.ndim(value) == 0 else np.asarray(value, np.float64)


def _chance_higher(quantiles: NDArray[np.float64]) -> float | None:
    return float(1 - probability(quantiles, np.zeros(1))[0]) if len(quantiles) else None
