"""The check of bars that somebody made of columns of his own; those of files and sources were checked when read.

>>> days = np.array(["2023-07-20", "2023-07-21"], "datetime64[D]")
>>> bars = Bars("MSFT", {"session_date": days, **dict.fromkeys(BAR_COLUMNS[1:], np.array([11.0, 12.0]))})
>>> check_bars([bars], datetime(2023, 7, 22, tzinfo=UTC))
"""

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from tickercast.domain.bars import BAR_COLUMNS, LOOKBACK, TIMES, Bars, lacking, of_other_values
from tickercast.domain.files.price_checks import check_clock, check_clock_of_hours, check_sessions, not_hourly
from tickercast.domain.frequency import said
from tickercast.domain.symbols import is_symbol
from tickercast.domain.text import shown
from tickercast.errors import InvalidBars

_PRICES = ("open", "high", "low", "close", "adj_close")
_ROUNDING = 1e-9  # the overshoot that calculated prices may have


def check_bars(series: Sequence[Bars], now: datetime) -> None:
    """Refuse bars of which no forecast should be made.

    Missing sessions refuse none: a file may have had them without prices.

    Args:
        series: the bars of one or more symbols.
        now: the time.

    Raises:
        InvalidBars: a symbol is none; a column is missing, or of another type or length; the bars are not in the order
            of time; a price is no number above zero; open or close is not between low and high; a volume is no number
            from zero on, nor NaN; days are more than a week ahead; or, of the last three years, the bars are of days
            when the exchange was closed, or one a week or longer, or hourly ones are not an hour apart.
    """
    for bars in series:
        if not (isinstance(bars.symbol, str) and is_symbol(bars.symbol)):
            raise InvalidBars(
                f"Bars are of {shown(bars.symbol, 40)!r}: a symbol in upper case was needed, such as MSFT or BRK-B. "
                "Give them one."
            )
        _check_types(bars)
        _check_order(bars)
        _check_prices(bars)
        if len(bars):
            _check_times(bars, now)


def _check_types(bars: Bars) -> None:
    names = BAR_COLUMNS if bars.frequency.is_daily else (*BAR_COLUMNS, "closed_at")
    if missing := [name for name in names if name not in bars.columns]:
        raise lacking(bars.symbol, missing)
    for name in names:
        values = bars.columns[name]
        if not isinstance(values, np.ndarray):
            raise of_other_values(bars.symbol, name, f"a {type(values).__name__}")
        if values.shape != (len(bars),):
            raise of_other_values(bars.symbol, name, f"an array of shape {values.shape} beside {len(bars)} dates")
        if not (values.dtype == TIMES[name] if name in TIMES else values.dtype.kind in "fiu"):
            raise of_other_values(bars.symbol, name, f"an array of {values.dtype}")


def _check_order(bars: Bars) -> None:
    if np.isnat(bars.ends).any():
        raise InvalidBars(f"{bars.symbol} has a bar without a date: one was needed. Leave out that bar.")
    late = np.flatnonzero(bars.ends[1:] <= bars.ends[:-1])
    if len(late):
        before, after = said(bars.ends[late[0] : late[0] + 2])
        raise InvalidBars(
            f"{bars.symbol} has the bar of {after} after that of {before}: bars in the order of time, each once, were "
            "needed. Sort them and leave repeats out."
        )


def _check_prices(bars: Bars) -> None:
    columns = bars.columns
    for name in _PRICES:
        _check(bars, name, (columns[name] > 0) & (columns[name] < np.inf), "a number above zero")
    volume = columns["volume"]
    _check(bars, "volume", ((volume >= 0) & (volume < np.inf)) | np.isnan(volume), "a number from zero on, or NaN,")
    opened, high, low, close = (columns[name] for name in _PRICES[:4])
    above, below = np.maximum(opened, close) * (1 - _ROUNDING), np.minimum(opened, close) * (1 + _ROUNDING)
    _check(bars, "high", high >= above, "no less than open and close")
    _check(bars, "low", low <= below, "no more than open and close")


def _check_times(bars: Bars, now: datetime) -> None:
    symbol, ends = bars.symbol, bars.ends
    judged = ends >= ends[-1] - np.timedelta64(LOOKBACK)
    if bars.frequency.is_daily:
        every_day = np.arange(ends[0], ends[-1] + 1)
        today = np.datetime64(now.astimezone(UTC).date())
        _, ahead = check_clock(symbol, ends[ends > today], now)
        refused, _ = check_sessions([symbol], np.zeros(len(ends), np.intp), ends, judged, lambda _: every_day)
        found = ahead or refused.get(0)
    else:
        _, ahead = check_clock_of_hours(symbol, ends, now)
        found = ahead or not_hourly(symbol, ends[judged])
    if found:
        raise found


def _check(bars: Bars, name: str, is_right: NDArray[np.bool_], needed: str) -> None:
    if is_right.all():
        return
    row = int(np.argmin(is_right))
    [bar] = said(bars.ends[row : row + 1])
    raise InvalidBars(
        f"{bars.symbol} has the {name} {bars.columns[name][row]} in the bar of {bar}: {needed} was needed. Correct or "
        "leave out that bar."
    )
