"""Oddities in bars: a person should know of them, and they keep no forecast from being made."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tickercast.domain.bars import Bars, tails
from tickercast.domain.calendar import calendar_name, holidays_known_until, newest_closed, next_sessions, session_days
from tickercast.domain.findings import Finding
from tickercast.domain.frequency import DAILY, Ends, said
from tickercast.errors import CalendarError

RECENT = timedelta(days=90)
"""The span of days that is checked; older bars were checked before."""


@dataclass(frozen=True)
class Oddity:
    """The limits from which a bar is odd, and the words for them.

    Attributes:
        jump: the number of standard deviations from which a return is more likely an error than a move.
        halted: the number of bars in a row without any move from which trading seems to have been halted.
        at: the word before what names a bar.
        span: the span of bars that is checked, in words.
    """

    jump: float
    halted: int
    at: str
    span: str


OF_DAYS = Oddity(10.0, 3, "on", f"{RECENT.days} days")
"""The limits for daily bars."""

_SIGMA_WINDOW = 60
_REBASED = 0.02  # a restated close is a different basis beyond this; dividends and corrections stay below
_NAMED = 3  # days that a finding names

Days = NDArray[np.datetime64]


def findings(bars: Bars, as_of: date, *, now: datetime) -> list[Finding]:
    """Check the newest bars of one symbol.

    Args:
        bars: the symbol's bars up to `as_of`.
        as_of: the date asked for.
        now: the time; sessions that have not closed are not missed.
    """
    [found] = findings_of([bars], as_of, now=now)
    return found


def findings_of(series: Sequence[Bars], as_of: date, *, now: datetime) -> list[list[Finding]]:
    """The same of many symbols, which are looked over together: most are in order."""
    first = np.datetime64(as_of - RECENT, "D")
    known: dict[tuple[str, bytes], list[tuple[str, str, bool]]] = {}
    found: list[list[Finding]] = []
    for bars, odd in zip(series, _may_be_odd(series), strict=True):
        newest = bars.columns["session_date"][-RECENT.days - 1 :]
        try:
            key = calendar_name(bars.symbol), newest.tobytes()  # symbols of an exchange mostly have the same sessions
        except CalendarError:  # the forecast needs the calendar, and says what is wrong with it
            said = []
        else:
            if key not in known:
                known[key] = [*_missing(bars.symbol, newest, first, as_of, now), *_assumed(bars.symbol, bars.cutoff)]
            said = known[key]
        found.append([Finding(bars.symbol, *one) for one in said])
        if odd:
            found[-1] += oddities(bars, int(np.searchsorted(bars.columns["session_date"], first)), OF_DAYS)
    return found


def oddities(bars: Bars, start: int, of: Oddity) -> Iterator[Finding]:
    """Look over the bars from a row on: for jumps, halts, and bars without volume."""
    recent = bars.rows(start, len(bars))
    if len(recent):
        yield from _jumps(bars, start, of)
        yield from _halted(recent, of)
        yield from _silent(recent, of)


def _may_be_odd(series: Sequence[Bars]) -> NDArray[np.bool_]:
    """Whether `oddities` may find something: a look over the newest bars of all."""
    recent = RECENT.days + 2
    rows = recent + _SIGMA_WINDOW
    columns = tails(series, ("close", "high", "low", "volume"), recent)
    returns = np.diff(np.log(tails(series, ("adj_close",), rows)["adj_close"]), axis=1)
    sums = np.cumsum(np.stack([returns, returns**2]), axis=2)
    before = np.pad(sums, ((0, 0), (0, 0), (1, 0)))[:, :, :-_SIGMA_WINDOW]
    mean, square = (sums[:, :, _SIGMA_WINDOW - 1 :] - before) / _SIGMA_WINDOW
    usual = np.sqrt(np.maximum(square - mean**2, 0.0))[:, :-1]
    jumped = (np.abs(returns[:, _SIGMA_WINDOW:]) > 0.99 * OF_DAYS.jump * usual).any(axis=1)
    close = columns["close"]
    still = ((close[:, 1:] == close[:, :-1]) & (columns["high"] == columns["low"])[:, 1:]).any(axis=1)
    short = np.array([len(bars) < rows for bars in series], bool)
    odd: NDArray[np.bool_] = short | jumped | still | (columns["volume"] == 0).any(axis=1)
    return odd


def rebased(bars: Bars, known: pd.Series) -> float | None:
    """The factor between the closes and the stored ones; None if they agree.

    Args:
        bars: the bars.
        known: the stored closes by session date.

    >>> days = pd.to_datetime(["2023-07-20", "2023-07-21"])
    >>> columns = {"session_date": days.to_numpy(), "close": np.array([50.0, 51.0])}
    >>> rebased(Bars("MSFT", columns), pd.Series([100.0, 102.0], index=days))
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


def _missing(
    symbol: str, newest: Days, first: np.datetime64, as_of: date, now: datetime
) -> Iterator[tuple[str, str, bool]]:
    """Find sessions of the exchange without a bar: after the last bar the series is stale, before it there is a gap."""
    days = newest[newest >= first]
    if not len(days):
        return
    try:
        late, gaps = _missing_days(symbol, days, as_of, now)
    except CalendarError:
        return
    if len(late):
        yield "stale", f"no bar since {days[-1]}: {len(late)} session(s) are missing", False
    if len(gaps):
        yield "gap", f"no bar of {_named(gaps)} ({len(gaps)} in {RECENT.days} days)", True


def _assumed(symbol: str, cutoff: date) -> Iterator[tuple[str, str, bool]]:
    """Find that dates of a forecast are assumed, since the exchange's holidays are not known so far ahead."""
    try:
        last = next_sessions(symbol, cutoff, DAILY.horizon)[-1]
        known_until = holidays_known_until(symbol, last)
    except CalendarError:
        return
    if last > known_until:
        name = calendar_name(symbol)
        text = f"the holidays of {name} after {known_until} are not known: weekdays without fixed holidays were taken"
        yield "calendar", text, False


def _missing_days(symbol: str, days: Days, as_of: date, now: datetime) -> tuple[Days, Days]:
    """The sessions without a bar after the last bar, and before it."""
    last = min(as_of, newest_closed(symbol, now) or as_of) if as_of >= now.date() - timedelta(days=2) else as_of
    sessions = session_days(symbol, days[0], np.datetime64(last, "D"))
    missing = sessions[~np.isin(sessions, days)]
    known_until = np.datetime64(holidays_known_until(symbol, last), "D")
    return missing[missing > days[-1]], missing[(missing < days[-1]) & (missing <= known_until)]


def _jumps(bars: Bars, first: int, of: Oddity) -> Iterator[Finding]:
    start = max(first - _SIGMA_WINDOW - 1, 0)
    returns = np.diff(np.log(bars.columns["adj_close"][start:]))
    if len(returns) <= _SIGMA_WINDOW:
        return
    windows = np.lib.stride_tricks.sliding_window_view(returns, _SIGMA_WINDOW)[:-1]
    moved, usual = returns[_SIGMA_WINDOW:], windows.std(axis=1, ddof=1)
    ends = bars.ends[start + _SIGMA_WINDOW + 1 :]
    for at in np.flatnonzero(np.abs(moved) > of.jump * usual)[-_NAMED:]:
        times = abs(moved[at]) / usual[at] if usual[at] > 0 else np.inf
        text = f"{np.expm1(moved[at]):+.1%} {of.at} {_named(ends[[at]])}, {times:.0f} times the usual"
        yield Finding(bars.symbol, "jump", text, touches_width=True)


def _halted(recent: Bars, of: Oddity) -> Iterator[Finding]:
    """Find bars in a row without any move: the same close as before, and no range."""
    close, high, low = (recent.columns[name] for name in ("close", "high", "low"))
    still = np.append(False, (close[1:] == close[:-1]) & (high[1:] == low[1:]))
    runs = np.flatnonzero(np.diff(np.concatenate([[False], still, [False]]).astype(np.int8)))
    for start, end in runs.reshape(-1, 2):
        if end - start >= of.halted:
            first, last = said(recent.ends[[start, end - 1]])
            text = f"no move for {end - start} {recent.frequency.noun}s from {first} to {last}"
            yield Finding(recent.symbol, "halted", text, touches_width=True)


def _silent(recent: Bars, of: Oddity) -> Iterator[Finding]:
    """Find bars without volume, of a series that has any: currencies and indices have none."""
    volume = recent.columns["volume"]
    silent = recent.ends[volume == 0]
    if len(silent) and (volume > 0).any():
        text = f"nothing was traded {of.at} {_named(silent)} ({len(silent)} in {of.span})"
        yield Finding(recent.symbol, "no volume", text)


def _named(ends: Ends) -> str:
    return ", ".join(said(ends[-_NAMED:]))
