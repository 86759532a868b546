"""Fetch the bars of the watchlist once for the whole day, and check them for oddities."""

from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta

import pandas as pd

from tickercast.domain.bars import Bars, Reading
from tickercast.domain.calendar import is_over
from tickercast.domain.frequency import DAILY
from tickercast.domain.learning.market import FetchedBars, Market
from tickercast.domain.quality import RECENT, findings, rebasing
from tickercast.errors import NoRecentBars, Permanent
from tickercast.ports import MarketData, Warehouse

_ONE_DAY = timedelta(days=1)


def fetch(
    symbols: Sequence[str],
    first: date,
    as_of: date,
    *,
    source: MarketData,
    warehouse: Warehouse,
    now: datetime,
    advance: Callable[[int], None] = lambda _: None,
) -> Market:
    """Fetch each symbol's bars up to its last session that has closed, and check the newest ones.

    Args:
        symbols: the watchlist, without duplicates.
        first: the first date fetched.
        as_of: the last date wanted.
        source: where the bars come from.
        warehouse: holds the closes of earlier days.
        now: the time.
        advance: called with the number of symbols fetched since the last call.

    Raises:
        NoRecentBars: the source has no bars of any symbol.
        Transient: the source or the warehouse does not answer.
    """
    reading = source.fetch(symbols, first, as_of, advance=advance)
    found: dict[str, Bars] = {}
    failures = dict(reading.failures)
    for symbol, bars in reading.bars.items():
        try:
            found[symbol] = _closed(bars.until(as_of), now)
        except Permanent as error:
            failures[symbol] = error
    if not found:
        first_reason = next(iter(failures.values()), "no symbol was named")
        raise NoRecentBars(
            f"{source.name} gave no bars up to {as_of} for any of {len(symbols)} symbols: {first_reason}"
        )
    known = _stored_closes(list(found), as_of, source.simulated, warehouse)
    odd = [finding for one in found.values() for finding in reading.findings.get(one.symbol, ())]
    odd += [finding for one in found.values() for finding in findings(one, as_of, now=now)]
    odd += [finding for one in found.values() for finding in rebasing(one, known.get(one.symbol, _NONE))]
    day = max(bars.cutoff for bars in found.values())
    return Market(
        FetchedBars(source.name, source.simulated, Reading(found, failures, reading.findings)), day, failures, odd
    )


_NONE = pd.Series(dtype=float, index=pd.DatetimeIndex([]))


def _closed(bars: Bars, now: datetime) -> Bars:
    return bars if is_over(bars.symbol, bars.cutoff, now) else bars.until(bars.cutoff - _ONE_DAY)


def _stored_closes(symbols: Sequence[str], as_of: date, simulated: bool, warehouse: Warehouse) -> dict[str, pd.Series]:
    days = [day.date() for day in pd.date_range(as_of - RECENT, as_of)]
    where = {"symbol": list(symbols), "frequency": DAILY.name, "session_date": days, "simulated": simulated}
    rows = warehouse.read("latest_prices", where, ["symbol", "session_date", "close"])
    return {str(symbol): of.set_index("session_date")["close"] for symbol, of in rows.groupby("symbol")}
