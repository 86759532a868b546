"""Quality: oddities of valid bars, which people should know about.

A wrong price looks like a large move, and a halt like a lost bar: so the bars are forecast all the same.
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
"""The span that is checked; older bars were checked before."""

JUMP = 10.0
"""The number of standard deviations from which a return is more likely an error than a move."""

_SIGMA_WINDOW = 60
_REBASED = 0.02  # a restated close is a different basis beyond this; dividends and corrections stay below


@dataclass(frozen=True)
class Finding:
    """An oddity.

    Attributes:
        symbol: the series.
        check: `stale`, `gap`, `jump`, `rebased` or `no volume`.
        text: in words, with the dates.
    """

    symbol: str
    check: str
    text: str


def findings(bars: Bars, as_of: date, known: pd.Series) -> Iterator[Finding]:
    """Check the newest bars of one symbol.

    Args:
        bars: its bars up to `as_of`.
        as_of: the date asked for; its session has closed.
        known: the stored closes by session date; empty if there are none.
    """
    recent = bars.since(as_of - RECENT)
    for check in (_missing(recent, as_of), _jumps(bars, as_of - RECENT), _silent(recent)):
        yield from check
    factor = rebased(bars, known)
    if factor is not None:
        yield Finding(
            bars.symbol, "rebased", f"closes are {factor:.4g} times those stored before: a split rebased the series"
        )


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


def _missing(recent: Bars, as_of: date) -> Iterator[Finding]:
    """Find sessions of the exchange without a bar: after the last bar the series is stale, before it there is a gap."""
    if not len(recent):
        return
    have = set(recent.columns["session_date"].tolist())
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
