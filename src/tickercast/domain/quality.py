"""Oddities in daily bars: a person should know of them, and they keep no forecast from being made."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tickercast.domain.bars import Bars
from tickercast.domain.calendar import newest_closed, session_days
from tickercast.domain.findings import Finding
from tickercast.errors import CalendarError

RECENT = timedelta(days=90)
"""The span that is checked; older bars were checked before."""

JUMP = 10.0
"""The number of standard deviations from which a return is more likely an error than a move."""

HALTED = 3
"""The number of sessions in a row without any move from which trading seems to have been halted."""

_SIGMA_WINDOW = 60
_REBASED = 0.02  # a restated close is a different basis beyond this; dividends and corrections stay below
_NAMED = 3  # days that a finding names


def findings(bars: Bars, as_of: date, *, now: datetime) -> Iterator[Finding]:
    """Check the newest bars of one symbol.

    Args:
        bars: its bars up to `as_of`.
        as_of: the date asked for.
        now: the time; sessions that have not closed are not missed.
    """
    recent = bars.since(as_of - RECENT)
    if len(recent):
        yield from _missing(recent, as_of, now)
        yield from _jumps(bars, len(bars) - len(recent))
        yield from _halted(recent)
        yield from _silent(recent)


def rebased(bars: Bars, known: pd.Series) -> float | None:
    """The factor between the closes and the stored ones; None if they agree.

    Args:
        bars: the bars.
        known: the stored closes by session date.

    >>> days = pd.to_datetime(["2023-07-20", "2023-07-21"])
    >>> bars = pd.DataFrame({"session_date": days, "close": [50.0, 51.0]})
    >>> rebased(Bars("MSFT", bars), pd.Series([100.0, 102.0], index=days))
    0.5
    """
    closes = bars.frame.set_index("session_date")["close"]
    factors = (closes / known).dropna()
    if factors.empty:
        return None
    factor = float(factors.median())
    return factor if abs(np.log(factor)) > _REBASED else None


def rebasing(bars: Bars, known: pd.Series) -> Iterator[Finding]:
    """Find that closes are on another basis than the stored ones; see `rebased`."""
    factor = rebased(bars, known)
    if factor is not None:
        text = f"closes are {factor:.4g} times those stored before: a split rebased the series"
        yield Finding(bars.symbol, "rebased", text)


def _missing(recent: Bars, as_of: date, now: datetime) -> Iterator[Finding]:
    """Find sessions of the exchange without a bar: after the last bar the series is stale, before it there is a gap."""
    days = recent.columns["session_date"]
    try:
        last = (
            min(as_of, newest_closed(recent.symbol, now) or as_of) if as_of >= now.date() - timedelta(days=2) else as_of
        )
        sessions = session_days(recent.symbol, days[0], np.datetime64(last, "D"))
    except CalendarError:
        return
    missing = (
        sessions[~np.isin(sessions, days)] if len(sessions) != len(days) or (sessions != days).any() else sessions[:0]
    )
    late, gaps = missing[missing > days[-1]], missing[missing < days[-1]]
    if len(late):
        text = f"no bar since {recent.cutoff}: {len(late)} session(s) are missing"
        yield Finding(recent.symbol, "stale", text)
    if len(gaps):
        text = f"no bar of {_named(gaps)} ({len(gaps)} in {RECENT.days} days)"
        yield Finding(recent.symbol, "gap", text, touches_width=True)


def _jumps(bars: Bars, first: int) -> Iterator[Finding]:
    start = max(first - _SIGMA_WINDOW - 1, 0)
    returns = np.diff(np.log(bars.columns["adj_close"][start:]))
    if len(returns) <= _SIGMA_WINDOW:
        return
    windows = np.lib.stride_tricks.sliding_window_view(returns, _SIGMA_WINDOW)[:-1]
    moved, usual = returns[_SIGMA_WINDOW:], windows.std(axis=1, ddof=1)
    days = bars.columns["session_date"][start + _SIGMA_WINDOW + 1 :]
    for at in np.flatnonzero(np.abs(moved) > JUMP * usual)[-_NAMED:]:
        times = abs(moved[at]) / usual[at] if usual[at] > 0 else np.inf
        text = f"{np.expm1(moved[at]):+.1%} on {days[at]}, {times:.0f} times the usual"
        yield Finding(bars.symbol, "jump", text, touches_width=True)


def _halted(recent: Bars) -> Iterator[Finding]:
    """Find sessions in a row without any move: the same close as before, and no range."""
    close, high, low = (recent.columns[name] for name in ("close", "high", "low"))
    still = np.append(False, (close[1:] == close[:-1]) & (high[1:] == low[1:]))
    runs = np.flatnonzero(np.diff(np.concatenate([[False], still, [False]]).astype(np.int8)))
    for start, end in runs.reshape(-1, 2):
        if end - start >= HALTED:
            days = recent.columns["session_date"]
            text = f"no move for {end - start} sessions from {days[start]} to {days[end - 1]}"
            yield Finding(recent.symbol, "halted", text, touches_width=True)


def _silent(recent: Bars) -> Iterator[Finding]:
    """Find sessions without volume, of a series that has any: currencies and indices have none."""
    volume = recent.columns["volume"]
    silent = recent.columns["session_date"][volume == 0]
    if len(silent) and (volume > 0).any():
        text = f"nothing was traded on {_named(silent)} ({len(silent)} in {RECENT.days} days)"
        yield Finding(recent.symbol, "no volume", text)


def _named(days: NDArray[np.datetime64]) -> str:
    return ", ".join(map(str, days[-_NAMED:]))
