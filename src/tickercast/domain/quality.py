"""What is odd about bars that are valid: told to people, and no reason to refuse them.

A wrong price cannot be told from a large move, nor a halt from a lost bar: a forecast is made all the same.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pandas as pd

from tickercast.domain.bars import Bars
from tickercast.domain.calendar import sessions_between
from tickercast.errors import CalendarError

RECENT = timedelta(days=90)
"""How far back is looked: what lies before has been looked at before."""

JUMP = 10.0
"""A return of so many standard deviations of the sixty before is more likely an error than a move."""

_SIGMA_WINDOW = 60
_REBASED = 0.02  # a restated close is a different basis beyond this; dividends and corrections stay below


@dataclass(frozen=True)
class Finding:
    """Something odd.

    Attributes:
        symbol: the series.
        check: `stale`, `gap`, `jump`, `rebased` or `no volume`.
        text: in words, with the dates.
    """

    symbol: str
    check: str
    text: str


def findings(bars: Bars, as_of: date, known: pd.Series) -> Iterator[Finding]:
    """Looks at the newest bars of one symbol.

    Args:
        bars: its bars up to `as_of`.
        as_of: the date that is asked for; its own session has closed.
        known: closes that are stored, by session date; empty where none are.
    """
    recent = bars.since(as_of - RECENT)
    for check in (_missing(recent, as_of), _jumps(bars, as_of - RECENT), _silent(recent)):
        yield from check
    factor = rebased(bars, known)
    if factor is not None:
        yield Finding(
            bars.symbol, "rebased", f"closes are {factor:.4g} times those stored before: a split rebased the history"
        )


def rebased(bars: Bars, known: pd.Series) -> float | None:
    """By which factor the closes differ from those that are stored, None where they do not.

    Args:
        bars: the bars.
        known: closes that are stored, by session date.

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


def _missing(recent: Bars, as_of: date) -> Iterator[Finding]:
    """Sessions of the exchange without a bar: since the last one the series is stale, before it has a gap."""
    if not len(recent):
        return
    have = set(recent.frame["session_date"].dt.date)
    try:
        sessions = sessions_between(recent.symbol, min(have), as_of)
    except CalendarError:
        return
    missing = [session for session in sessions if session not in have]
    late = [session for session in missing if session > recent.cutoff]
    gaps = [session for session in missing if session < recent.cutoff]
    if late:
        yield Finding(recent.symbol, "stale", f"no bar since {recent.cutoff}: {len(late)} session(s) are missing")
    if gaps:
        yield Finding(recent.symbol, "gap", f"no bar of {', '.join(map(str, gaps[-3:]))} ({len(gaps)} in 90 days)")


def _jumps(bars: Bars, first: date) -> Iterator[Finding]:
    log_close = np.log(bars.frame["adj_close"])
    returns = log_close.diff()
    usual = returns.rolling(_SIGMA_WINDOW).std().shift()
    found = bars.frame[(returns.abs() > JUMP * usual) & (bars.frame["session_date"] >= pd.Timestamp(first))]
    for at in found.index[-3:]:
        day, times = bars.frame["session_date"][at].date(), abs(returns[at] / usual[at])
        yield Finding(bars.symbol, "jump", f"{np.expm1(returns[at]):+.1%} on {day}, {times:.0f} times the usual")


def _silent(recent: Bars) -> Iterator[Finding]:
    silent = recent.frame[recent.frame["volume"] == 0]
    if len(silent):
        days = ", ".join(str(day.date()) for day in silent["session_date"].iloc[-3:])
        yield Finding(recent.symbol, "no volume", f"nothing was traded on {days} ({len(silent)} in 90 days)")
