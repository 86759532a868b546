"""Value at risk of a portfolio beside its gains: stored forecasts of the past valued by today's holdings."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tickercast.domain.bars import Bars
from tickercast.domain.forecast import Forecast
from tickercast.domain.frequency import DAILY
from tickercast.domain.outlook.paths import Residuals, residuals, steps_by, valuation_dates
from tickercast.domain.outlook.portfolio import risk
from tickercast.domain.outlook.risk_record import Record, record
from tickercast.errors import TooFewSessions
from tickercast.ports import Between, Warehouse
from tickercast.reading.forecasts import COLUMNS, forecasts_of
from tickercast.reading.holdings import Holdings, valued
from tickercast.reading.outlook import YEARS, drawn, stored_bars, targets
from tickercast.reading.queries import ask

LEVELS = (0.95, 0.99)
"""The confidences of the values at risk that are recorded."""

_AFTER = timedelta(days=40)
"""Ten sessions lie within so many days."""

Period = tuple[date, int, date]
"""A cutoff, the step up to which a portfolio is held from there, and its date."""


@dataclass(frozen=True)
class PortfolioRecord:
    """The record of a portfolio.

    Attributes:
        rows: one a cutoff and step: `cutoff, step, target_date, currency, value, value_at_risk_95, value_at_risk_99,
            expected_shortfall_95, gain, simulated, counts`.
        records: the tests of the values at risk, by step and confidence; empty if nothing counts.
    """

    rows: pd.DataFrame
    records: Sequence[Record]

    @property
    def simulated(self) -> bool:
        """Whether a row was made from simulated bars."""
        return bool(self.rows["simulated"].any())


def digest_of(held: Holdings) -> str:
    """The name of the same holdings in any order: 16 hexadecimal digits."""
    lines = sorted(f"{each.symbol},{each.shares!r},{each.fx}" for each in held.holdings)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def portfolio_record(
    held: Holdings, first: date = date.min, last: date = date.max, *, warehouse: Warehouse
) -> PortfolioRecord:
    """Read the record of a portfolio as far as it is stored, of the cutoffs from `first` to `last`.

    Raises:
        WarehouseUnavailable: try again.
    """
    rows = ask(warehouse, "portfolio_scores", portfolio=digest_of(held))
    rows = rows[(rows["cutoff"].dt.date >= first) & (rows["cutoff"].dt.date <= last)].reset_index(drop=True)
    counted = rows[rows["counts"]]
    steps = sorted(set(counted["step"].astype(int)))
    return PortfolioRecord(
        rows, [_record(counted[counted["step"] == step], step, level) for step in steps for level in LEVELS]
    )


def _record(rows: pd.DataFrame, step: int, level: float) -> Record:
    """The record of periods that do not overlap: each begins when the one before has ended."""
    kept, end = [], date.min
    for number, (cutoff, target) in enumerate(zip(rows["cutoff"].dt.date, rows["target_date"].dt.date, strict=True)):
        if cutoff >= end:
            kept.append(number)
            end = target
    chosen = rows.iloc[kept]
    breached = chosen["gain"] < -chosen[f"value_at_risk_{level:.0%}".removesuffix("%")]
    return record(breached.to_numpy(bool), level, step=step)


@dataclass(frozen=True)
class Past:
    """The stored forecasts of a portfolio's symbols, and the prices around them.

    Attributes:
        held: the portfolio.
        cutoffs: the cutoffs from which all symbols have a forecast, and that are not done, the oldest first.
        rows: the forecasts, by cutoff.
        bars: the bars of each symbol, in the order of `held.symbols`.
        known: the standardised past from which paths are drawn, in the same order.
    """

    held: Holdings
    cutoffs: Sequence[date]
    rows: Mapping[date, pd.DataFrame]
    bars: Sequence[Bars]
    known: Sequence[Residuals]


def read_past(held: Holdings, first: date, last: date, done: Set[Period], *, warehouse: Warehouse) -> Past:
    """Read what the scores of a portfolio are made from.

    Args:
        held: the portfolio.
        first: the first cutoff wanted.
        last: the last cutoff.
        done: the periods that are scored already.
        warehouse: where forecasts and prices are.

    Raises:
        TooFewSessions: too little is known of how the symbols move.
        WarehouseUnavailable: try again.
    """
    where: dict[str, Any] = {"symbol": held.symbols, "frequency": DAILY.name}
    found = warehouse.read("champion_forecasts", {**where, "cutoff": Between(first, last)}, COLUMNS)
    found = found[np.array([np.ndim(listed) == 1 for listed in found["quantiles"]], bool)]
    found = found[found["simulated"] == found.groupby("symbol")["simulated"].transform("min")]
    by_cutoff: dict[date, pd.DataFrame] = dict(iter(found.groupby(found["cutoff"].dt.date)))
    cutoffs = sorted(
        cutoff
        for cutoff, rows in by_cutoff.items()
        if rows["symbol"].nunique() == len(held.symbols)
        and not set(_periods(cutoff, rows["target_date"].to_numpy("datetime64[D]"), int(rows["step"].max()))) <= done
    )
    if not cutoffs:
        return Past(held, (), {}, (), ())
    bars = stored_bars(held.symbols, cutoffs[0] - YEARS, cutoffs[-1] + _AFTER, warehouse)
    return Past(held, cutoffs, by_cutoff, bars, residuals(bars))


def _periods(cutoff: date, targets: NDArray[np.datetime64], horizon: int) -> Sequence[Period]:
    """The periods that are scored: up to the first date, and up to that of the horizon."""
    dates = valuation_dates(targets, horizon).tolist()
    return [(cutoff, step, dates[step - 1]) for step in (1, horizon)]


def scores(found: Past, done: Set[Period], advance: Callable[[], None]) -> Iterator[dict[str, Any]]:
    """Score each period that has ended: one row a cutoff and step, without the columns of the portfolio.

    Args:
        found: the forecasts and prices, as `read_past` returns them.
        done: the periods that are scored already.
        advance: called after each cutoff.
    """
    ends = [dict(zip(bars.ends.tolist(), bars.columns["close"].tolist(), strict=True)) for bars in found.bars]
    for cutoff in found.cutoffs:
        made = forecasts_of(found.rows[cutoff])
        forecasts = [made[symbol] for symbol in found.held.symbols]
        with suppress(TooFewSessions):  # the young symbols of a portfolio leave out its first years
            yield from _of_cutoff(found, forecasts, ends, done)
        advance()


def _of_cutoff(
    found: Past, forecasts: Sequence[Forecast], ends: Sequence[Mapping[date, float]], done: Set[Period]
) -> Iterator[dict[str, Any]]:
    cutoff, sessions = forecasts[0].cutoff, targets(forecasts)
    wanted = [period for period in _periods(cutoff, sessions, sessions.shape[1]) if period not in done]
    came = {(step, day): _came(cutoff, sessions, ends, day) for _, step, day in wanted}
    if all(moves is None for moves in came.values()):
        return
    outlook = drawn(forecasts, found.known)
    closes = np.array([by_day[cutoff] for by_day in ends])
    said = valued(found.held, outlook, closes)
    for (step, day), moves in came.items():
        if moves is None:
            continue
        gains = said.gains[step - 1]
        usual, rare = (risk(gains, level) for level in LEVELS)
        yield {
            "cutoff": cutoff,
            "step": step,
            "target_date": day,
            "currency": found.held.currency,
            "value": float(said.exposures.sum()),
            "value_at_risk_95": usual.value_at_risk,
            "value_at_risk_99": rare.value_at_risk,
            "expected_shortfall_95": usual.expected_shortfall,
            "gain": float(said.gain(moves)),
            "simulated": any(made.simulated for made in forecasts),
            "counts": not any(made.model_has_seen or made.doubtful for made in forecasts),
        }


def _came(
    cutoff: date, sessions: NDArray[np.datetime64], ends: Sequence[Mapping[date, float]], day: date
) -> NDArray[np.float64] | None:
    """The growth of each symbol from the cutoff to its last session by a date; None while a close is missing.

    Args:
        cutoff: the forecast origin.
        sessions: `(symbols, steps)`, those that are forecast.
        ends: the closes of each symbol by their dates.
        day: the date.

    Returns:
        `(symbols,)`; 1 of one that has not traded by then.
    """
    steps = steps_by(np.array([day], "datetime64[D]"), sessions)[:, 0]
    lasts = [each[step - 1] if step else cutoff for each, step in zip(sessions.tolist(), steps, strict=True)]
    pairs = [(by_day.get(cutoff), by_day.get(last)) for by_day, last in zip(ends, lasts, strict=True)]
    known = [(start, end) for start, end in pairs if start is not None and end is not None]
    return np.array([end / start for start, end in known]) if len(known) == len(pairs) else None
