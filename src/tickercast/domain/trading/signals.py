"""Bars and signals of several symbols on one axis of time, for strategies to read.

A signal is what a forecast said at its origin: the median and the 80% interval of its last step, the chance that the
next bar closes higher, and Prophet's median. A strategy sees one moment at a time, and nothing after it.

>>> days = np.array(["2023-07-20", "2023-07-21"], "datetime64[D]")
>>> bars = Bars("MSFT", {"session_date": days, **{name: np.array([11.0, 12.0]) for name in _PRICES}})
>>> made = panel([bars])
>>> made.known(1, np.zeros(1)).closes.tolist(), made.known(0, np.zeros(1)).closes.tolist()
([[11.0, 12.0]], [[11.0]])
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, date, datetime, timedelta
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tickercast.domain.asset_classes import CRYPTO, asset_class
from tickercast.domain.bars import Bars, restarts
from tickercast.domain.calendar import LONGEST_CLOSURE, calendar_name, session_closes, session_days, session_opens
from tickercast.domain.forecast import QUANTILES
from tickercast.domain.frequency import Ends, Frequency, stamp
from tickercast.errors import CalendarError, UsageError

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Texts = NDArray[np.object_]

FIELDS = ("steps", "expected", "low", "high", "prob_up", "trend")
"""The numbers of a signal: steps of the forecast; log-returns up to its last step, of the median and of both ends of
the 80% interval; the chance that the next bar closes higher; the log-return of Prophet's median."""

LATE = np.timedelta64(5, "m")
"""The delay up to which an order is still filled at an open: a run that begins when an hour has ended comes in time."""

_PRICES = ("open", "high", "low", "close", "adj_close", "volume")
_YEAR = np.timedelta64(365, "D")
_CLOSED = np.timedelta64(LONGEST_CLOSURE)
_NEVER = np.datetime64("9999-01-01T00:00", "us")
_LOW, _MEDIAN, _HIGH = (QUANTILES.index(level) for level in (0.1, 0.5, 0.9))


@dataclass(frozen=True, eq=False)
class Signals:
    """The signals of one symbol, the oldest first.

    Attributes:
        symbol: the series.
        ends: `(k,)`, the forecast origins: sessions, or the ends of hours.
        values: `(k,)` for each of `FIELDS`; NaN where it is not known.
        seen: `(k,)`, whether the model was trained on the origin.
        backfilled: `(k,)`, whether the forecast was made when its future was known.
        doubts: what makes each doubtful forecast so, by its origin; a doubtful forecast is no signal.
    """

    symbol: str
    ends: Ends
    values: Mapping[str, Floats]
    seen: Bools
    backfilled: Bools
    doubts: Mapping[np.datetime64, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Known:
    """The bars and signals that a strategy may read at one moment, of n symbols.

    Its arrays cannot be written into, for all strategies read the same ones: change a copy.

    Attributes:
        symbols: the n symbols.
        cutoff: the last session, or the end of the last hour, UTC.
        closes: `(n, bars)`, closes up to that one, adjusted for dividends; NaN where there is no bar. The last is each
            symbol's newest, NaN where a bar that was due is missing.
        steps: `(n,)`, the horizon of the newest forecast, in bars; NaN where there is no forecast.
        age: `(n,)`, the symbol's bars since that forecast was made; infinite before the first, and after a gap of more
            than a month.
        expected: `(n,)`, the log-return of its median up to its last step; NaN but where it was made at this moment.
        low: `(n,)`, the log-return of the lower end of its 80% interval, likewise.
        high: `(n,)`, the log-return of the upper end, likewise.
        prob_up: `(n,)`, the chance that the next bar closes higher, likewise.
        trend: `(n,)`, the log-return of Prophet's median up to its last step, likewise.
        member: `(n,)`, whether the symbol is in the universe.
        held: `(n,)`, the weights that are held, in shares of equity; negative for short positions.
        bars_a_year: `(n,)`, the bars a year, to annualise by: 252 sessions, 365 days of a coin, or hours.
        doubts: `(n,)`, texts: what makes the newest forecast doubtful, so that it does not count; else empty.
    """

    symbols: Sequence[str]
    cutoff: date
    closes: Floats
    steps: Floats
    age: Floats
    expected: Floats
    low: Floats
    high: Floats
    prob_up: Floats
    trend: Floats
    member: Bools
    held: Floats
    bars_a_year: Floats
    doubts: Texts

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if isinstance(value, np.ndarray):
                seen = value.view()
                seen.flags.writeable = False
                object.__setattr__(self, each.name, seen)

    @property
    def share(self) -> float:
        """The weight of each member, if all weigh alike."""
        return 1 / max(int(self.member.sum()), 1)


@dataclass(frozen=True, eq=False)
class Panel:
    """Bars and signals of n symbols at T moments; NaN where a symbol has none.

    Attributes:
        symbols: the n symbols.
        frequency: the frequency of the bars.
        ends: `(T,)`, the date or end of each bar, which names it.
        open: `(T, n)`, the first price, adjusted for dividends and splits as `close` is.
        close: `(T, n)`, the last price.
        value: `(T, n)`, the value traded in the bar, in currency, as `traded_value` gives it; NaN if not known.
        signals: `(T, n)` for each of `FIELDS`, the signal at each moment.
        age: `(T, n)`, bars of the symbol since its newest forecast; infinite before the first, and after a gap of more
            than a month.
        member: `(T, n)`, whether the symbol was in the universe.
        seen: `(T, n)`, whether a signal is of a date that its model was trained on.
        backfilled: `(T, n)`, whether the forecast was made when its future was known.
        doubts: `(T, n)`, texts: what makes the forecast of each moment doubtful, which is no signal then; else empty.
        simulated: whether any bars were generated.
    """

    symbols: Sequence[str]
    frequency: Frequency
    ends: Ends
    open: Floats
    close: Floats
    value: Floats
    signals: Mapping[str, Floats]
    age: Floats
    member: Bools
    seen: Bools = field(repr=False)
    backfilled: Bools = field(repr=False)
    doubts: Texts = field(repr=False)
    simulated: bool = False

    def __len__(self) -> int:
        return len(self.ends)

    @cached_property
    def bars_a_year(self) -> Floats:
        """`(n,)`, the bars of each symbol a year, by its own calendar."""
        return np.array([bars_a_year(symbol, self.frequency) for symbol in self.symbols])

    def rows_a_year(self, start: int) -> float:
        """The moments a year from row `start`: the bars of a symbol, or as they are dated where calendars differ.

        Of fewer than a year, rows before `start` are counted, too.
        """
        if not self.frequency.is_daily or len(set(map(_calendar, self.symbols))) == 1:
            return float(self.bars_a_year[0])
        first = min(start, int(self.ends.searchsorted(self.ends[-1] - _YEAR)))
        return float((len(self) - 1 - first) * (_YEAR / (self.ends[-1] - self.ends[first])))

    @cached_property
    def moments(self) -> Ends:
        """`(T,)`, when it is decided, UTC: at the last close of all, at midnight where no calendar is known."""
        if not self.frequency.is_daily:
            return self.ends.astype("datetime64[us]")
        known = {name: symbol for symbol in self.symbols if (name := _calendar(symbol)) != symbol}
        closes = [session_closes(symbol, self.ends) for symbol in known.values()]
        found: Ends = np.max(closes, axis=0) if closes else (self.ends + 1).astype("datetime64[us]")
        return found

    @cached_property
    def opens_at(self) -> NDArray[np.datetime64]:
        """`(T, n)`, when each bar opens, UTC: the session of a future begins in the evening before."""
        if not self.frequency.is_daily:
            return np.repeat((self.moments - np.timedelta64(1, "h"))[:, None], len(self.symbols), axis=1)
        return self._by_calendar(lambda symbol: session_opens(symbol, self.ends), self.ends)

    @cached_property
    def next_opens(self) -> NDArray[np.datetime64]:
        """`(T, n)`, the first open of each symbol's exchange that an order of a moment meets; see `next_opens`."""
        return self._by_calendar(lambda symbol: next_opens(symbol, self.frequency, self.moments), self.moments)

    def _by_calendar(
        self, read: Callable[[str], NDArray[np.datetime64]], unknown: NDArray[np.datetime64]
    ) -> NDArray[np.datetime64]:
        """The times of each symbol, read once for all symbols of a calendar: `(T, n)`."""
        read_once = {name: read(symbol) for symbol in self.symbols if (name := _calendar(symbol)) != symbol}
        columns = [read_once.get(_calendar(symbol), unknown) for symbol in self.symbols]
        return np.stack([column.astype("datetime64[us]") for column in columns], axis=1)

    @property
    def made(self) -> Bools:
        """`(T, n)`, where there is any signal."""
        found: Bools = np.isfinite(self.signals["expected"]) | np.isfinite(self.signals["prob_up"])
        return found | np.isfinite(self.signals["trend"])

    @cached_property
    def _newest_doubts(self) -> Texts:
        """`(T, n)`, the doubts about the newest forecast at each moment; empty where it counts."""
        doubtful = self.doubts != ""
        if not doubtful.any():
            return self.doubts
        newest, counted = _newest(doubtful), _newest(np.isfinite(self.signals["steps"]) & (self.age == 0))
        found: Texts = np.where(newest > counted, np.take_along_axis(self.doubts, np.maximum(newest, 0), axis=0), "")
        return found

    @cached_property
    def _decided(self) -> NDArray[np.intp]:
        """`(T, n)`, the row of the bar on which each symbol is decided at each moment.

        It is the moment's own; but where an exchange has no session, as at the weekend beside a coin, the newest one.
        """
        found = np.repeat(np.arange(len(self))[:, None], len(self.symbols), axis=1)
        if self.frequency.is_daily:
            for column in np.flatnonzero(np.isnan(self.close).any(axis=0)).tolist():
                try:
                    sessions = session_days(self.symbols[column], self.ends[0], self.ends[-1])
                except CalendarError:  # nobody knows whether a bar was due
                    continue
                newest = _newest(np.isfinite(self.close[:, column, None]))[:, 0]
                passed = sessions.searchsorted(self.ends, side="right")
                is_current = (newest >= 0) & (passed == passed[newest])
                found[:, column] = np.where(is_current, newest, found[:, column])
        return found

    @cached_property
    def rests(self) -> Bools:
        """`(T, n)`, whether the exchange had no session at a moment, and none since the symbol's newest bar."""
        found: Bools = self._decided != np.arange(len(self))[:, None]
        return found

    @property
    def resting(self) -> set[str]:
        """The symbols that rest at the last moment."""
        return {symbol for symbol, rests in zip(self.symbols, self.rests[-1], strict=True) if rests}

    @cached_property
    def decided_close(self) -> Floats:
        """`(T, n)`, the close on which each symbol is decided at each moment; NaN where it has no bar that was due."""
        return np.take_along_axis(self.close, self._decided, axis=0)

    def known(self, row: int, held: Floats) -> Known:
        """The knowledge of a strategy once the last bar of a moment has closed.

        A symbol whose exchange had no session then is decided on its newest bar.
        """
        return self._known(row, self._decided[row], held)

    def _known(self, row: int, rows: NDArray[np.intp], held: Floats) -> Known:
        """The knowledge at a moment, of each symbol at the row of a bar of its own, which is put last."""
        columns = np.arange(len(self.symbols))
        closes = self.close[: row + 1].T
        if (rows != row).any():
            closes = np.full(closes.shape, np.nan)
            for newest in np.unique(rows).tolist():
                closes[rows == newest, row - newest :] = self.close[: newest + 1, rows == newest].T
        end: date = self.ends[row].item()
        return Known(
            tuple(self.symbols),
            end,
            closes,
            **{name: values[rows, columns] for name, values in self.signals.items()},
            age=self.age[rows, columns],
            member=self.member[rows, columns],
            held=held,
            bars_a_year=self.bars_a_year,
            doubts=self._newest_doubts[rows, columns],
        )

    def known_at(self, moment: datetime, held: Floats) -> Known:
        """The knowledge of a strategy at a time after the newest bar.

        It is that of the last moment, but of a symbol whose bar is still open that of its newest one that has closed.

        Args:
            moment: the time, UTC; see `bars_at`.
            held: `(n,)`, the weights that are held.
        """
        return self._known(len(self) - 1, self._rows_at(moment), held)

    def bars_at(self, moment: datetime) -> list[date]:
        """The bar of each symbol, by its name, that is decided on at a time after the newest bar.

        It is that of the last moment, as in a backtest; but where the bar of a symbol has not closed by then, as a
        coin's while the stocks beside it have closed, it is the newest one that has.

        Args:
            moment: the time, UTC.
        """
        return [self.ends[row].item() for row in self._rows_at(moment)]

    def _rows_at(self, moment: datetime) -> NDArray[np.intp]:
        """`(n,)`, the row of the bar of each symbol that is decided on at a time."""
        found: Bools = np.isnan(self.close[-1]) & np.isfinite(self.close).any(axis=0)
        absent = [symbol for symbol, is_absent in zip(self.symbols, found, strict=True) if is_absent]
        closes = self.frequency.closes(absent, np.arange(len(absent)), np.repeat(self.ends[-1:], len(absent)))
        found[found] = closes > np.datetime64(moment.astimezone(UTC).replace(tzinfo=None))  # open yet
        return np.where(found, self._newest_rows, self._decided[-1])

    @property
    def _newest_rows(self) -> NDArray[np.intp]:
        """`(n,)`, the row of the newest bar of each symbol; the last one where it has none."""
        found: NDArray[np.intp] = len(self) - 1 - np.isfinite(self.close)[::-1].argmax(axis=0)
        return found

    @property
    def newest(self) -> list[date | None]:
        """The name of each symbol's newest bar; None where it has none."""
        rows = self._newest_rows
        known = np.isfinite(self.close[rows, np.arange(len(rows))])
        return [self.ends[row].item() if found else None for row, found in zip(rows, known, strict=True)]

    @property
    def ended(self) -> Mapping[str, str]:
        """The reason why a symbol counts as one that trades no more at the last moment, by symbol."""
        stale_after = self.frequency.stale_after
        return {
            symbol: f"it has no bar since {stamp(bar)}"
            for symbol, bar in zip(self.symbols, self.newest, strict=True)
            if bar is not None and self.ends[-1].item() - bar > stale_after
        }

    def gaps(self, start: int) -> list[tuple[int, int, int]]:
        """The gaps of more than a month from row `start`: the column of the symbol, and the rows of the bars around."""
        found = []
        for column in range(len(self.symbols)):
            rows = start + np.flatnonzero(np.isfinite(self.close[start:, column]))
            found += [(column, int(rows[at - 1]), int(rows[at])) for at in restarts(self.ends[rows])]
        return found

    def rows(self, start: int, end: int) -> "Panel":
        """The moments from row `start` to before row `end`."""
        cut = {
            name: getattr(self, name)[start:end]
            for name in ("ends", "open", "close", "value", "age", "member", "seen", "backfilled", "doubts")
        }
        return replace(self, **cut, signals={name: values[start:end] for name, values in self.signals.items()})


def bars_a_year(symbol: str, frequency: Frequency) -> float:
    """The bars of a symbol a year, by its own calendar: a coin trades every day.

    >>> from tickercast.domain.frequency import DAILY
    >>> bars_a_year("MSFT", DAILY), bars_a_year("BTC-USD", DAILY)
    (252.0, 365.0)
    """
    return 365.0 if frequency.is_daily and asset_class(symbol) == CRYPTO else float(frequency.bars_a_year)


def next_opens(symbol: str, frequency: Frequency, moments: NDArray[np.datetime64]) -> NDArray[np.datetime64]:
    """The first open that an order meets, sent at each of some moments: `(k,)`, by the calendar alone.

    An order that has met an open is filled there, at a price that a daily bar tells only once it has ended.

    >>> from tickercast.domain.frequency import DAILY
    >>> [str(at)[:16] for at in next_opens("CL=F", DAILY, np.array(["2024-07-12T22:05", "2024-07-15T22:05"], "M8[us]"))]
    ['2024-07-14T22:00', '2024-07-15T22:00']

    Args:
        symbol: the series.
        frequency: the frequency of the bars.
        moments: `(k,)`, UTC, sorted.

    Raises:
        CalendarError: the exchange of the symbol is not known.
    """
    first = moments - LATE
    if not frequency.is_daily:
        hours = first.astype("datetime64[h]")
        return np.where(hours < first, hours + 1, hours).astype("datetime64[us]")
    days = session_days(symbol, first[0].astype("datetime64[D]"), (moments[-1] + _CLOSED).astype("datetime64[D]"))
    opens = np.append(session_opens(symbol, days), _NEVER)
    found: NDArray[np.datetime64] = opens[opens.searchsorted(first)]
    return found


def before(frequency: Frequency) -> timedelta:
    """The span of bars before a first decision, for strategies that look back: about 250 sessions or hours."""
    return timedelta(days=370) if frequency.is_daily else timedelta(hours=250)


def traded_value(volume: Floats, close: Floats) -> Floats:
    """The value traded in each bar of a series, in its currency: `(k,)`; NaN where the volume is not known.

    A series whose volumes are all 0 reports none, as currencies do; in any other, 0 is a bar in which nothing traded.

    >>> traded_value(np.array([0.0, 5.0]), np.array([2.0, 3.0])).tolist()
    [0.0, 15.0]
    >>> traded_value(np.zeros(2), np.array([2.0, 3.0])).tolist()
    [nan, nan]
    """
    return volume * close if (volume > 0).any() else np.full(len(close), np.nan)


def panel(series: Sequence[Bars], signals: Sequence[Signals] = (), member: Mapping[str, Bools] | None = None) -> Panel:
    """Put bars and signals on one axis.

    Args:
        series: the bars of one frequency, one series a symbol.
        signals: the signals of any of these symbols.
        member: `(bars,)` by symbol, whether each of its bars is one of a member; a symbol without any is always one.
    """
    ends = np.unique(np.concatenate([bars.ends for bars in series]))
    shape = (len(ends), len(series))
    prices = {name: np.full(shape, np.nan) for name in ("open", "close", "value")}
    found = {name: np.full(shape, np.nan) for name in FIELDS}
    members = np.zeros(shape, bool)
    flags = {name: np.zeros(shape, bool) for name in ("seen", "backfilled")}
    doubts = np.full(shape, "", object)
    by_symbol = {one.symbol: one for one in signals}
    for column, bars in enumerate(series):
        rows = ends.searchsorted(bars.ends)
        factor = bars.columns["adj_close"] / bars.columns["close"]
        prices["open"][rows, column] = bars.columns["open"] * factor
        prices["close"][rows, column] = bars.columns["adj_close"]
        prices["value"][rows, column] = traded_value(bars.columns["volume"], bars.columns["close"])
        members[rows, column] = (member or {}).get(bars.symbol, True)
        if bars.symbol in by_symbol:
            one = by_symbol[bars.symbol]
            [known] = np.nonzero(np.isin(one.ends, bars.ends))
            rows = ends.searchsorted(one.ends[known])
            for name in FIELDS:
                found[name][rows, column] = one.values[name][known]
            flags["seen"][rows, column], flags["backfilled"][rows, column] = one.seen[known], one.backfilled[known]
            for end, doubt in one.doubts.items():
                if (bars.ends == end).any():
                    doubts[ends.searchsorted(end), column] = doubt
    steps, age = _carried(found["steps"], prices["close"], ends)
    members = _still(members, prices["close"], ends, np.timedelta64(series[0].frequency.stale_after))
    return Panel(
        [bars.symbol for bars in series],
        series[0].frequency,
        ends,
        **prices,
        signals={**found, "steps": steps},
        age=age,
        member=members,
        **flags,
        doubts=doubts,
        simulated=any(bars.simulated for bars in series),
    )


def unbroken_from(ends: Ends, start: int) -> int:
    """The first of the bars that lead up to row `start` without a gap of more than a month.

    Args:
        ends: `(T,)`, the bars of a panel.
        start: the row of the first decision.

    Raises:
        UsageError: there is such a gap after it, over which no account can be followed.
    """
    rows = restarts(ends)
    if len(later := rows[rows > start]):
        last, following = (stamp(ends[row].item()) for row in (later[0] - 1, later[0]))
        raise UsageError(
            f"No bar is known between {last} and {following}, and an account needs bars without a gap of more than a "
            f"month. Let the backtest end on {last}, or begin on {following}, or load the bars between."
        )
    return int(rows[-1]) if len(rows) else 0


def last_steps(quantiles: Floats) -> dict[str, Floats]:
    """The signals of some forecasts.

    Args:
        quantiles: `(k, horizon, len(QUANTILES))`, log-returns.
    """
    last = quantiles[:, -1]
    return {
        "steps": np.full(len(last), float(quantiles.shape[1])),
        "expected": last[:, _MEDIAN],
        "low": last[:, _LOW],
        "high": last[:, _HIGH],
    }


def _calendar(symbol: str) -> str:
    """The calendar of a symbol: its exchange, or the symbol itself where that is not known."""
    try:
        return calendar_name(symbol)
    except CalendarError:
        return symbol


def _still(member: Bools, close: Floats, ends: Ends, stale_after: np.timedelta64) -> Bools:
    """Whether a symbol is a member where it has no bar: as at its newest one, while that is recent."""
    newest = _newest(np.isfinite(close))
    last = np.maximum(newest, 0)
    recent = (newest >= 0) & (ends[:, None] - ends[last] <= stale_after)
    found: Bools = np.take_along_axis(member, last, axis=0) & recent
    return found


def _newest(there: Bools) -> NDArray[np.intp]:
    """The newest row at each moment where something is there: `(T, n)`; -1 before the first."""
    found: NDArray[np.intp] = np.maximum.accumulate(np.where(there, np.arange(len(there))[:, None], -1), axis=0)
    return found


def _carried(steps: Floats, close: Floats, ends: Ends) -> tuple[Floats, Floats]:
    """The horizon of the newest forecast at each moment, and the bars of its symbol since it was made."""
    there = np.isfinite(close)
    newest = _newest(np.isfinite(steps))
    made = np.maximum(newest, 0)
    bars = there.cumsum(axis=0)
    age = (bars - np.take_along_axis(bars, made, axis=0)).astype(np.float64)
    for column, known in enumerate(there.T):
        rows = np.flatnonzero(known)
        for row in rows[restarts(ends[rows])].tolist():
            age[row:, column][made[row:, column] < row] = np.inf
    carried = np.take_along_axis(steps, made, axis=0)
    return np.where(newest >= 0, carried, np.nan), np.where(newest >= 0, age, np.inf)
