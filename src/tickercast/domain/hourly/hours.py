"""Hourly bars: the grid of hours that models read, its gaps, and the history that they need.

Hours are UTC. A bar is known by `closed_at`, the moment from which its close was known; steps are counted in hours,
not in rows, so that a missing hour moves no target.

>>> closed_at = np.array(["2023-07-22T01", "2023-07-22T02", "2023-07-22T05"], "datetime64[h]")
>>> bars = hourly_bars("BTCUSDT", closed_at, dict.fromkeys(PRICES, np.array([1.0, 2.0, 3.0])), np.ones(3))
>>> made = grid(bars)
>>> made.close.tolist(), made.observed.tolist()
([1.0, 2.0, 2.0, 2.0, 3.0], [True, True, False, False, True])
>>> [str(found) for found in gaps(bars)]
['filled: no bar for 2 hours from 2023-07-22 02:00 to 2023-07-22 04:00 UTC']
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from tickercast.domain.bars import Bars
from tickercast.domain.findings import Finding
from tickercast.domain.frequency import HOURLY
from tickercast.domain.quality import Oddity
from tickercast.domain.quality import oddities as odd_bars
from tickercast.domain.text import rounded
from tickercast.errors import InvalidBars, TooFewSessions

Floats = NDArray[np.float64]
Hours = NDArray[np.datetime64]

HORIZON = HOURLY.horizon
"""Steps of a forecast, in hours."""

WANTED = 744
"""The history that the full model needs, in hours: 720 for its slowest input and a day more."""

SIMPLE = 336
"""The history from which on the simple model is as good as it gets, in hours: two weeks."""

LEAST = 168
"""The shortest history that is forecast at all, in hours: a week."""

MOST_FILLED = HOURLY.most_filled
"""The longest gap, in hours, that costs nothing when it is filled."""

WEEK = 168
"""Hours of a week."""

OF_HOURS = Oddity(40.0, MOST_FILLED + 1, "at", f"{WANTED} hours")
"""Tails of hours are fat: the largest real move of BTC and ETH in three years was 32 times the usual."""

PRICES = ("open", "high", "low", "close")

_ROUNDING = 1e-9  # the overshoot that calculated prices may have
_MONDAY = 96  # hours from 1970-01-01, a Thursday, to the first Monday
_HOUR = np.timedelta64(1, "h")


def hourly_bars(
    symbol: str, closed_at: Hours, prices: Mapping[str, Floats], volume: Floats, *, simulated: bool = False
) -> Bars:
    """Hourly bars as `Bars`: `closed_at` beside the columns that daily bars have.

    Args:
        symbol: the series, as the exchange spells it.
        closed_at: `(n,)`, the hours' ends, UTC.
        prices: `(n,)` for each of `PRICES`, in the quote currency.
        volume: `(n,)`, in the base currency; NaN where it is not known.
        simulated: whether the bars were generated.

    Raises:
        InvalidBars: the moments are not full hours in order, or a price is no positive number or outside of its range.
    """
    hours = closed_at.astype("datetime64[h]")
    if len(hours) and not np.array_equal(hours.astype(closed_at.dtype), closed_at):
        odd = closed_at[hours.astype(closed_at.dtype) != closed_at][0]
        raise InvalidBars(
            f"{symbol} has a bar that ends at {utc(odd)}: hourly bars that end on the hour were needed. "
            "Give hourly bars, stamped with the UTC hour in which they open."
        )
    late = np.flatnonzero(np.diff(hours) <= np.timedelta64(0, "h"))
    if len(late):
        raise InvalidBars(
            f"{symbol} has a bar that ends at {utc(hours[late[0] + 1])} after the one of {utc(hours[late[0]])}: "
            "one bar an hour, in the order of time, was needed. Sort the bars and leave repeats out."
        )
    for name in PRICES:
        wrong = np.flatnonzero(~(np.isfinite(prices[name]) & (prices[name] > 0)))
        if len(wrong):
            raise InvalidBars(
                f"{symbol} has the {name} {prices[name][wrong[0]]} in the hour that ends at {utc(hours[wrong[0]])}: "
                "a number above zero was needed. Correct or leave out that bar."
            )
    ends = [prices["open"], prices["close"]]
    above, below = np.maximum(*ends) * (1 - _ROUNDING), np.minimum(*ends) * (1 + _ROUNDING)
    torn = np.flatnonzero((prices["high"] < above) | (prices["low"] > below))
    if len(torn):
        seen = ", ".join(f"{name} {rounded(prices[name][torn[0]], 15)}" for name in PRICES)
        raise InvalidBars(
            f"{symbol} has {seen} in the hour that ends at {utc(hours[torn[0]])}: open and close between low and high "
            "were needed. Correct or leave out that bar."
        )
    columns = {name: np.asarray(prices[name], np.float64) for name in PRICES}
    return Bars(
        symbol,
        {
            "session_date": (hours - _HOUR).astype("datetime64[D]"),
            **columns,
            "adj_close": columns["close"],
            "volume": np.asarray(volume, np.float64),
            "closed_at": hours,
        },
        simulated,
    )


def utc(moment: np.datetime64) -> str:
    """A moment in words, to the minute, without its zone.

    >>> utc(np.datetime64("2023-07-22T14"))
    '2023-07-22 14:00'
    """
    return str(moment.astype("datetime64[m]")).replace("T", " ")


def finished(bars: Bars, now: datetime) -> Bars:
    """The same bars without the hours that have not ended yet."""
    moment = np.datetime64(now.astimezone(UTC).replace(tzinfo=None), "us")
    return bars.rows(0, int(np.searchsorted(bars.columns["closed_at"].astype("datetime64[us]"), moment, "right")))


@dataclass(frozen=True)
class Grid:
    """The bars of one symbol on every hour from the first to the last.

    A missing hour has the last close as its prices and no volume.

    Attributes:
        closed_at: `(n,)`, the hours' ends, UTC.
        open: `(n,)`, in the quote currency, like the other prices.
        high: `(n,)`.
        low: `(n,)`.
        close: `(n,)`.
        volume: `(n,)`, in the base currency; 0 where there is no bar.
        observed: `(n,)`, whether there is a bar.
        since: `(n,)`, hours since the bar before; 1 without a gap.
        rows: `(bars,)`, the row of the grid of each bar.
    """

    closed_at: Hours
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    observed: NDArray[np.bool_]
    since: NDArray[np.intp]
    rows: NDArray[np.intp]

    @property
    def cell(self) -> NDArray[np.intp]:
        """`(n,)`, the hour of the week in which each bar opens, 0 for Monday 00:00 UTC."""
        return cells(self.closed_at)


def grid(bars: Bars) -> Grid:
    """Lay the bars on the grid of hours."""
    hours = bars.columns["closed_at"]
    rows = (hours - hours[0]).astype(np.intp)
    count = int(rows[-1]) + 1
    observed = np.zeros(count, bool)
    observed[rows] = True
    known = np.maximum.accumulate(np.where(observed, np.arange(count), 0))  # the last row with a bar
    since = np.ones(count, np.intp)
    since[rows[1:]] = np.diff(rows)
    close = _laid(bars.columns["close"], rows, count)[known]
    filled = {
        name: np.where(observed, _laid(bars.columns[name], rows, count), close) for name in ("open", "high", "low")
    }
    volume = np.nan_to_num(_laid(bars.columns["volume"], rows, count))
    return Grid(
        hours[0] + np.arange(count), **filled, close=close, volume=volume, observed=observed, since=since, rows=rows
    )


def cells(closed_at: Hours) -> NDArray[np.intp]:
    """The hour of the week of bars by their ends: `(n,)`, 0 for the one that opens on Monday 00:00 UTC."""
    opened = closed_at.astype("datetime64[h]").astype(np.int64) - 1
    return ((opened - _MONDAY) % WEEK).astype(np.intp)


def next_hours(closed_at: Hours, count: int = HORIZON) -> Hours:
    """The ends of the hours that follow each cutoff: `(n, count)`."""
    steps = np.arange(1, count + 1).astype("timedelta64[h]")
    found: Hours = np.add(closed_at.astype("datetime64[h]")[:, None], steps)
    return found


def gaps(bars: Bars) -> Iterator[Finding]:
    """The missing hours of the window that models read: up to `MOST_FILLED` are filled; longer ones touch the width."""
    used = bars.rows(max(len(bars) - WANTED, 0), len(bars)).columns["closed_at"]
    for before, after in itertools.pairwise(used):
        missing = int((after - before) / _HOUR) - 1
        if missing:
            hours = "hours" if missing > 1 else "hour"
            span = f"no bar for {missing} {hours} from {utc(before)} to {utc(after - _HOUR)} UTC"
            short = missing <= MOST_FILLED
            yield Finding(bars.symbol, "filled" if short else "gap", span, touches_width=not short)


def check_history(series: Sequence[Bars]) -> None:
    """Refuse series that have a history of less than `LEAST` hours; see `Bars.spans`.

    Raises:
        TooFewSessions: one does; the message names the first.
    """
    for bars in series:
        if bars.span < LEAST:
            raise TooFewSessions(
                f"{bars.symbol} has {bars.span} hours of bars: at least {LEAST} were needed, and {WANTED} are "
                "needed for the full model. Give bars that begin earlier."
            )


def short_history(bars: Bars) -> Finding | None:
    """The finding about a history that is too short for the full model; None if it is long enough."""
    hours = bars.span
    if hours >= WANTED:
        return None
    text = f"{hours} hours of bars, and {WANTED} were wanted: forecast by the simple model"
    return Finding(bars.symbol, "short history", text, touches_width=hours < SIMPLE)


def oddities(known: Bars, as_of: datetime) -> list[Finding]:
    """Warnings about the hours that a forecast is made from.

    Args:
        known: the bars up to the cutoff.
        as_of: the last moment that was asked for, no later than now, UTC and naive.
    """
    newest = odd_bars(known, max(len(known) - WANTED, 0), OF_HOURS)
    return [*_stale(known, as_of), *gaps(known), *newest, *filter(None, [short_history(known)])]


def _stale(known: Bars, as_of: datetime) -> Iterator[Finding]:
    missing = int((np.datetime64(as_of, "h") - known.ends[-1]) / _HOUR)
    if missing > 0:
        yield Finding(known.symbol, "stale", f"no bar since {utc(known.ends[-1])} UTC: {missing} hour(s) are missing")


def _laid(values: Floats, rows: NDArray[np.intp], count: int) -> Floats:
    laid = np.full(count, np.nan)
    laid[rows] = values
    return laid
