"""The contract of a price file: which rows are bars, which are left out, and which make the file unusable.

Files and tables of any kind come here as `Rows`, all symbols at once: a file of hundreds costs little more than the
longest of its columns. Only the bars of a `Window` are judged, since nothing is forecast from older ones; a faulty row
outside of it is left out.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tickercast.domain.bars import BAR_COLUMNS, LOOKBACK, Bars, Extent, Reading
from tickercast.domain.files import refusals
from tickercast.domain.files.price_checks import (
    EXPLAINED,
    SPIKE,
    check_clock,
    check_clock_of_hours,
    check_sessions,
    check_swapped,
    intraday,
    not_hourly,
    spikes,
)
from tickercast.domain.files.price_numbers import Numbers
from tickercast.domain.files.price_splits import UNITS, jumps, later_splits, misfits, near_split, ratio_in_words, splits
from tickercast.domain.files.price_titles import PRICES, TITLES
from tickercast.domain.findings import LEFT_OUT, Finding
from tickercast.domain.frequency import DAILY, HOURLY, Ends, Frequency, said
from tickercast.domain.symbols import parse_symbol
from tickercast.domain.text import rounded, shown
from tickercast.errors import InvalidBars, NoRecentBars, Permanent

Ints = NDArray[np.intp]
Mask = NDArray[np.bool_]

MOST_FAULTY = 0.01
"""The share of faulty bars beyond which a symbol is refused."""

NEWEST = 5
"""The bars at the end of the window of which none may be faulty."""

WIDEST_OVERSHOOT = 0.005
"""The share by which open or close may lie outside of low and high: these are then widened."""

SIMULATED = "simulated"
"""The word in the column Source of bars that were generated."""

_YEARS = (1900, 2100)
_FIRST_DAY, _LAST_DAY = np.datetime64(f"{_YEARS[0]}-01-01"), np.datetime64(f"{_YEARS[1]}-12-31")
_HOUR = np.timedelta64(1, "h")
_WIDEST = 1e15  # between the lowest and the highest price: more cannot be a series of prices
_ROUNDING = 1e-9
DEAREST = 1e15
"""The highest price that is one: what a float still tells apart by tenths."""

_SMALLEST, _LARGEST = np.nextafter(0.0, 1.0), np.finfo(np.float64).max
_NEVER = np.iinfo(np.int64).max
_NAMED = 3  # days that a finding names
_LOOKED_AT = 100  # rows among which one is chosen to be quoted
_AT_ONCE = 1 << 15  # rows that are judged together: their columns stay in the processor's cache


@dataclass(frozen=True)
class _Words:
    """The words about bars that depend on their frequency.

    Attributes:
        form: the form of a date that can be read.
        late: the words for bars that are not over.
        doubled: the words for rows of which one would be right.
        duplicate: the refusal of such rows.
        split: the refusal of bars on two bases.
    """

    form: str
    late: str
    doubled: str
    duplicate: refusals.Refusal
    split: refusals.Refusal


_WORDS = {
    DAILY: _Words(
        "YYYY-MM-DD",
        "bar(s) of sessions that had not closed",
        "row(s) of doubled dates",
        refusals.DUPLICATE_DATES,
        refusals.SPLIT,
    ),
    HOURLY: _Words(
        "YYYY-MM-DD HH:MM",
        "hour(s) that had not ended",
        "row(s) of doubled hours",
        refusals.DUPLICATE_HOURS,
        refusals.SPLIT_OF_HOURS,
    ),
}


@dataclass(frozen=True)
class Window:
    """The bars that are used, and so judged.

    Attributes:
        first: the first session, or the end of the first hour; three years before the last by default.
        last: the last one; that of each series by default.
        now: the time, if bars of days or hours that have not been are to be found.
    """

    first: date | None = None
    last: date | None = None
    now: datetime | None = None


WHOLE = Window()
"""Three years up to the last bar of each series."""


@dataclass(frozen=True)
class Rows:
    """The rows of a file, in its order; each array is `(rows,)`.

    Attributes:
        numbers: the number of each row's symbol.
        names: the symbols, numbered from 0 on.
        moments: date and time of each row at its exchange, or the moment at which its hour opens, UTC; NaT where there
            is none.
        columns: prices, and where the file has them `adj_close` and `volume`.
        simulated: the rows that are marked as simulated.
        cell: the text of a value, by its column and row, to be quoted.
        titles: the file's own titles of the columns.
        frequency: the frequency of the bars.
    """

    numbers: Ints
    names: Sequence[str]
    moments: NDArray[np.datetime64]
    columns: Mapping[str, Numbers]
    simulated: Mask
    cell: Callable[[str, int], str]
    titles: Mapping[str, str]
    frequency: Frequency = DAILY


def read_rows(rows: Rows, window: Window = WHOLE) -> Reading:
    """Read the bars of every symbol, and say what is odd about them.

    Returns:
        The bars by symbol, what was left out or changed in `findings`, and the reason for each symbol that is refused.
    """
    rows = _sorted(rows)  # and lets go of those in the file's order
    readings: list[Reading] = []
    explain = EXPLAINED
    whole = _bars(rows)
    for start, part in _parts(rows):
        readings.append(_Judge(part, whole, start, window, explain).reading())
        explain = max(explain - len(readings[-1].failures), 0)
    return Reading(
        {symbol: bars for reading in readings for symbol, bars in reading.bars.items()},
        {symbol: error for reading in readings for symbol, error in reading.failures.items()},
        {symbol: found for reading in readings for symbol, found in reading.findings.items()},
    )


def _bars(rows: Rows) -> dict[str, NDArray[Any]]:
    """The columns of bars, as the file has them."""
    found = {name: column.values for name, column in rows.columns.items()}
    found.setdefault("adj_close", found["close"])
    if "volume" not in found:
        found["volume"] = np.full(len(rows.numbers), np.nan)
    days = rows.moments.astype("datetime64[D]", copy=False)
    ends = {} if rows.frequency.is_daily else {"closed_at": rows.moments.astype("datetime64[h]") + _HOUR}
    return {"session_date": days} | {name: found[name] for name in BAR_COLUMNS[1:]} | ends


def _parts(rows: Rows) -> Iterator[tuple[int, Rows]]:
    """The rows of some symbols at a time, and the first of them."""
    ends = _ends(rows)
    first, start = 0, 0
    while first < len(rows.names):
        last = max(int(np.searchsorted(ends, start + _AT_ONCE, "right")), first + 1)
        yield start, _part(rows, first, last, slice(start, int(ends[last - 1])))
        first, start = last, int(ends[last - 1])


def _ends(rows: Rows) -> Ints:
    """The row after the last of each symbol."""
    return np.searchsorted(rows.numbers, np.arange(len(rows.names)), "right")


def _part(rows: Rows, first: int, last: int, own: slice) -> Rows:
    return Rows(
        rows.numbers[own] - first,
        rows.names[first:last],
        rows.moments[own],
        {name: Numbers(found.values[own], found.empty[own]) for name, found in rows.columns.items()},
        rows.simulated[own],
        lambda name, row: rows.cell(name, row + own.start),
        rows.titles,
        rows.frequency,
    )


def _sorted(rows: Rows) -> Rows:
    """The rows by symbol and date."""
    numbers, moments = rows.numbers, rows.moments.view(np.int64)  # numpy compares dates at a third of the speed
    ascending = (numbers[1:] > numbers[:-1]) | ((numbers[1:] == numbers[:-1]) & (moments[1:] >= moments[:-1]))
    if ascending.all() and not np.isnat(rows.moments).any():
        return rows
    order = np.lexsort((rows.moments, rows.numbers))
    columns = {name: Numbers(found.values[order], found.empty[order]) for name, found in rows.columns.items()}
    cell = rows.cell
    return replace(
        rows,
        numbers=rows.numbers[order],
        moments=rows.moments[order],
        columns=columns,
        simulated=rows.simulated[order],
        cell=lambda name, row: cell(name, int(order[row])),
    )


class _Judge:
    """Judges the rows of some symbols of a file; each step leaves out rows, or refuses symbols.

    Args:
        rows: the rows of the symbols.
        whole: the columns of bars of the whole file; those that nothing changes are shared by all symbols.
        start: the place of the first of the rows among them.
        window: the bars that are used.
        explain: refusals that say which exchange the bars are like.
    """

    def __init__(self, rows: Rows, whole: Mapping[str, NDArray[Any]], start: int, window: Window, explain: int) -> None:
        self._rows, self._now, self._explain = rows, window.now, explain
        self._ends = _ends(rows)
        self._starts = np.append(0, self._ends[:-1])
        self._shared = Extent(whole, start, start + len(rows.numbers))
        self._values = dict(self._shared)
        self._frequency, self._words = rows.frequency, _WORDS[rows.frequency]
        self._days = self._values[rows.frequency.key("session_date")]  # hours by their ends
        self._numbers = self._days.view(np.int64)  # numpy compares these three times as fast; no date is the lowest
        self._kept = np.ones(len(rows.numbers), bool)
        self._has_adjusted = self._fill_adjusted()
        self._symbols: dict[int, str] = {}
        self._failures: dict[int, Permanent] = {}
        self._findings: dict[int, list[Finding]] = {}
        self._misfits: dict[int, tuple[str, float]] = {}
        self._judged = self._in_window(window)

    def reading(self) -> Reading:
        """Judge the rows."""
        for number, name in enumerate(self._rows.names):
            try:
                self._symbols[number] = parse_symbol(name)
            except Permanent as error:
                self._failures[number] = error
        for step in (
            self._check_dates,
            self._check_times,
            self._leave_out_empty,
            self._check_swapped,
            self._check_clock,
            self._check_duplicates,
            self._adjust_for_splits,
            self._check_basis,
            self._judge_values,
            *([self._check_calendar] if self._frequency.is_daily else []),
        ):
            with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
                step()
        return self._assembled()

    # The rows that there are.

    def _own(self, number: int) -> slice:
        return slice(int(self._starts[number]), int(self._ends[number]))

    def _alive(self) -> Mask:
        """The rows of the symbols that have not been refused, without those that are left out."""
        if not self._failures:
            return self._kept
        refused = np.zeros(len(self._rows.names), bool)
        refused[list(self._failures)] = True
        return self._kept & ~refused[self._rows.numbers]

    def _having(self, rows: Mask) -> list[int]:
        """The numbers of the symbols that have one of some rows."""
        return [int(number) for number in np.unique(self._rows.numbers[rows])] if rows.any() else []

    def _in_window(self, window: Window) -> Mask:
        """The rows that are judged: those of the window, or of a series that ends before it the last three years."""
        span = np.timedelta64(LOOKBACK).astype(f"timedelta64[{self._frequency.unit}]")
        if window.last is None:
            return self._newest(span)
        unit = self._frequency.unit
        last = np.datetime64(window.last, unit)
        first = np.datetime64(window.first, unit) if window.first else last - span
        judged: Mask = (self._numbers >= first.astype(np.int64)) & (self._numbers <= last.astype(np.int64))
        lacking = ~np.logical_or.reduceat(judged, self._starts)
        if lacking.any():
            judged |= self._newest(span) & lacking.repeat(self._ends - self._starts)
        return judged

    def _newest(self, span: np.timedelta64) -> Mask:
        """The rows of the last days of each series."""
        own_last = np.fmax.reduceat(self._days, self._starts).repeat(self._ends - self._starts)
        newest: Mask = (self._days >= own_last - span) & (self._days <= own_last)
        return newest

    def _fill_adjusted(self) -> Mask:
        """Let the close stand in for the adjusted one of the symbols that have none; returns those that have any."""
        if "adj_close" not in self._rows.columns:
            return np.zeros(len(self._rows.names), bool)
        has_any: Mask = np.logical_or.reduceat(~self._rows.columns["adj_close"].empty, self._starts)
        if not has_any.all():
            lacking = np.repeat(~has_any, self._ends - self._starts)
            self._change("adj_close", np.where(lacking, self._values["close"], self._values["adj_close"]))
        return has_any

    def _change(self, column: str, values: NDArray[np.float64]) -> None:
        """Give the bars of these symbols other values than the file's."""
        self._values[column] = values
        self._shared = Extent(self._values, 0, len(values))

    # How something is said.

    def _title(self, column: str) -> str:
        return self._rows.titles.get(column, TITLES[column])

    def _cell(self, column: str, row: int) -> str:
        return shown(self._rows.cell(column, row), 40)

    def _bar(self, row: int | np.intp) -> str:
        """The bar of a row in words: its date, or the moment at which its hour opens."""
        [bar] = said(self._days[row : row + 1])
        return bar

    def _refuse(self, number: int, error: Permanent) -> None:
        self._failures.setdefault(number, error)

    def _find(self, number: int, check: str, text: str) -> None:
        self._findings.setdefault(number, []).append(Finding(self._rows.names[number], check, text))

    def _leave_out(self, rows: Mask, what: str) -> None:
        """Leave rows out, and say so once a symbol."""
        for number in self._having(rows):
            own = self._own(number)
            days = self._days[own][rows[own]]
            self._find(number, LEFT_OUT, f"{len(days)} {what} ({_named(days)})")
        self._kept &= ~rows

    # The steps.

    def _check_dates(self) -> None:
        ends = self._numbers[np.append(self._starts, self._ends - 1)]  # they are sorted, and no date comes last
        unit = f"datetime64[{self._frequency.unit}]"
        if _within(ends, *(int(day.astype(unit).astype(np.int64)) for day in (_FIRST_DAY, _LAST_DAY))):
            return
        absent = np.isnat(self._days)
        early = (self._days < _FIRST_DAY) | (self._days > _LAST_DAY)
        self._leave_out(early & ~self._judged, f"bar(s) of years before {_YEARS[0]}")
        early &= self._judged
        for bad, refusal in ((absent, refusals.NO_DATE), (early, refusals.NO_SUCH_YEAR)):
            for number in self._having(bad):
                rows = np.flatnonzero(bad[self._own(number)]) + self._own(number).start
                row = next((row for row in rows[:_LOOKED_AT] if self._cell("session_date", row)), rows[0])
                places = {"symbol": self._rows.names[number], "column": self._title("session_date"), "count": len(rows)}
                seen, form = self._cell("session_date", row), self._words.form
                self._refuse(number, refusal(**places, seen=seen, form=form, first=_YEARS[0], last=_YEARS[1]))

    def _check_times(self) -> None:
        """Refuse symbols with several bars a day, by their times of day, and hours that are none."""
        same_day = self._same_day(slice(None))
        self._several = bool(same_day.any())
        if not self._frequency.is_daily:
            self._check_hours()
            return
        if not self._several:
            return
        timed = same_day & np.append(False, np.diff(self._rows.moments) != np.timedelta64(0, "s"))
        for number in self._having(timed & self._judged & self._alive()):
            own = self._own(number)
            refused = intraday(self._rows.names[number], self._rows.moments[own][self._judged[own]])
            if refused:
                self._refuse(number, refused)

    def _check_hours(self) -> None:
        for number in self._having(self._alive()):
            own = self._own(number)
            name, moments = self._rows.names[number], self._rows.moments[own]
            for part in (moments[self._judged[own]], moments):
                if refused := not_hourly(name, part):
                    self._refuse(number, refused)
            off = moments[moments != moments.astype("datetime64[h]")]
            if len(off):
                moment = str(off[0]).replace("T", " ")
                self._refuse(number, refusals.OFF_THE_HOUR(symbol=name, count=len(off), moment=moment))

    def _same_day(self, rows: Ints | slice) -> Mask:
        """The rows, among some, whose symbol has the one before on the same date."""
        numbers, days = self._rows.numbers[rows], self._numbers[rows]
        same = np.zeros(len(days), bool)
        same[1:] = (days[1:] == days[:-1]) & (numbers[1:] == numbers[:-1])
        return same

    def _leave_out_empty(self) -> None:
        empty = np.logical_or.reduce([self._rows.columns[name].empty for name in PRICES])
        if not empty.any():
            return
        prices = self._kept & ~empty
        for number in self._having(self._alive() & empty):
            own = self._own(number)
            if not prices[own].any():
                columns = ", ".join(self._title(name) for name in PRICES)
                count = own.stop - own.start
                self._refuse(number, refusals.NO_PRICES(symbol=self._rows.names[number], count=count, columns=columns))
        self._leave_out(self._alive() & empty, "row(s) without prices")
        self._kept &= ~empty

    def _check_calendar(self) -> None:
        """Refuse symbols whose bars are not of the exchange's sessions.

        Single bars of days when it was closed may be of sessions that its calendar lacks: they are kept, and said. One
        that would be the last bar is left out, since a forecast would begin at it.
        """
        stored = self._from_window_on()
        chosen = self._alive() & stored
        all_or_some = slice(None) if chosen.all() else chosen
        refused, closed = check_sessions(
            self._rows.names,
            self._rows.numbers[all_or_some],
            self._days[all_or_some],
            self._judged[all_or_some],
            lambda number: self._days[self._own(number)][self._judged[self._own(number)]],
            self._explain,
        )
        for number, error in refused.items():
            self._refuse(number, error)
        if not closed.any():
            return
        alive = self._alive()
        odd, out = np.zeros((2, len(alive)), bool)
        odd[np.flatnonzero(chosen)[closed]] = True
        odd &= alive
        for number in self._having(odd):
            own = self._own(number)
            for among in (self._judged, stored):
                bars = np.flatnonzero((alive & among)[own]) + own.start
                out[bars[bars > bars[~odd[bars]].max(initial=-1)]] = True
        self._leave_out(out, "bar(s) of days when the exchange was closed")
        odd &= self._judged & ~out
        for number in self._having(odd):
            days = self._days[self._own(number)][odd[self._own(number)]]
            text = f"{len(days)} bar(s) of days when the exchange was closed by its calendar ({_named(days)})"
            self._find(number, "closed", text)

    def _from_window_on(self) -> Mask:
        """The rows that are judged, and those after them, which are stored to be compared with forecasts."""
        if self._judged.all():
            return self._judged
        count = self._ends - self._starts
        first = np.minimum.reduceat(np.where(self._judged, self._numbers, _NEVER), self._starts)
        return self._numbers >= first.repeat(count)

    def _check_swapped(self) -> None:
        rows, values = self._rows, self._values
        bars = values["session_date"], values["open"], values["close"]
        refused = check_swapped(rows.names, rows.numbers, rows.moments, *bars, self._alive(), self._judged)
        for number, error in refused.items():
            self._refuse(number, error)

    def _check_clock(self) -> None:
        if self._now is None:
            return
        yesterday = (np.datetime64(self._now.date(), "D") - 1).astype(self._days.dtype)
        if self._numbers[self._ends - 1].max() < yesterday.astype(np.int64):
            return
        check = check_clock if self._frequency.is_daily else check_clock_of_hours
        alive = self._alive()
        late = alive & (self._days >= yesterday)
        for number in self._having(late):
            rows = np.flatnonzero(late[self._own(number)]) + self._own(number).start
            unfinished, refused = check(self._rows.names[number], self._days[rows], self._now)
            if refused:
                self._refuse(number, refused)
            elif unfinished.any():
                out = np.zeros(len(alive), bool)
                out[rows[unfinished]] = True
                self._leave_out(out, self._words.late)
                if not (self._frequency.is_daily or self._kept[self._own(number)].any()):
                    self._refuse(number, self._not_ended(number))

    def _not_ended(self, number: int) -> NoRecentBars:
        own = self._own(number)
        return NoRecentBars(
            f"{self._rows.names[number]} has no hour that has ended: its first bar opens at {self._bar(own.start)}. "
            "Send it again later, or bars that begin earlier."
        )

    def _check_duplicates(self) -> None:
        if not self._several:
            return
        rows = np.flatnonzero(self._alive())
        again = self._same_day(rows)
        same = np.ones(len(rows), bool)
        for column in self._values.values():
            values = column[rows]
            with np.errstate(invalid="ignore"):
                same &= np.append(False, (values[1:] == values[:-1]) | (np.isnan(values[1:]) & np.isnan(values[:-1])))
        repeats = np.zeros(len(self._kept), bool)
        repeats[rows[again & same]] = True
        self._leave_out(repeats, "exact repeat(s)")
        rows = np.flatnonzero(self._alive())
        same = self._same_day(rows)
        doubled = np.zeros(len(self._kept), bool)
        doubled[rows[same | np.append(same[1:], False)]] = True  # which of them counts cannot be told
        for number in self._having(doubled & self._judged):
            own = self._own(number)
            days, counts = np.unique(self._days[own][(doubled & self._judged)[own]], return_counts=True)
            places = {"symbol": self._rows.names[number], "count": int(counts.sum()) - len(days)}
            self._refuse(number, self._words.duplicate(**places, day=said(days[:1])[0]))
        self._leave_out(doubled & self._alive(), self._words.doubled)

    def _adjust_for_splits(self) -> None:
        """Bring prices and volumes from before a split to the shares of today, as the adjusted closes are.

        Bars whose close and adjusted close do not fit each other show no split: they are faulty.
        """
        if not self._has_adjusted.any():
            return
        close, adjusted = self._values["close"], self._values["adj_close"]
        if not len(jumps(self._rows.numbers, adjusted / close)):
            return
        usable = self._alive()
        for prices in (close, adjusted):
            if not _within(prices, _SMALLEST, _LARGEST):
                usable = usable & (prices > 0) & (prices < np.inf)
        rows = np.flatnonzero(usable)
        numbers, opens = self._rows.numbers, self._values["open"]
        found = misfits(numbers[rows], opens[rows], close[rows], adjusted[rows])
        self._misfits = {int(rows[at]): misfit for at, misfit in found.items()}
        rows = np.delete(rows, list(found))
        at, ratios = splits(numbers[rows], close[rows], adjusted[rows])
        if not len(at):
            return
        at = rows[at]
        later = later_splits(self._rows.numbers, at, ratios)
        for name in PRICES:
            self._change(name, self._values[name] / later)
        self._change("volume", self._values["volume"] * later)
        for number in np.unique(self._rows.numbers[at]):
            own = np.flatnonzero(self._rows.numbers[at] == number)
            named = [f"{ratio_in_words(ratios[one])} on {self._bar(at[one])}" for one in own[-_NAMED:]]
            basis = f"{self._title('adj_close')} was adjusted for it, and {self._title('close')} was not"
            what = "the prices before were divided by the ratio, and the volumes multiplied by it"
            self._find(int(number), "split", f"{_listed(named, len(own))}: {basis}; {what}")

    def _check_basis(self) -> None:
        """Refuse series that a split, or another unit, has left on two bases."""
        adjusted = self._values["adj_close"]
        with np.errstate(divide="ignore", invalid="ignore"):
            opens = self._values["open"] * (adjusted / self._values["close"])
        can_be = (opens > 0) & (adjusted > 0) & (self._values["close"] > 0)
        can_be &= self._alive() & self._judged
        rows = np.flatnonzero(can_be)
        one = slice(None) if len(rows) == len(can_be) else rows
        found = near_split(self._rows.numbers[one], opens[one], adjusted[one])
        for at, (ratio, move) in found.items():
            row = int(rows[at])
            number = int(self._rows.numbers[row])
            name, day = self._rows.names[number], self._bar(row)
            if str(UNITS) in ratio:
                self._refuse(number, self._say_spike({row: ("close", move)})(row, 1, len(rows)))
            elif not self._has_adjusted[number]:
                times = f"{rounded(move, 3)} times the close before"
                self._refuse(number, self._words.split(symbol=name, day=day, ratio=ratio, move=times))

    def _judge_values(self) -> None:
        alive = self._alive()
        self._lower = np.minimum(self._values["open"], self._values["close"])
        self._upper = np.maximum(self._values["open"], self._values["close"])
        reasons = list(self._faults(alive))
        bad = np.logical_or.reduce([np.zeros(len(alive), bool), *(mask for mask, _ in reasons)])
        self._widen(alive & ~bad)
        found = {row: misfit for row, misfit in self._misfits.items() if alive[row]}
        jumped = np.zeros(len(alive), bool)
        jumped[list(found)] = True
        jumps_alike = spikes(self._rows.numbers, self._values["adj_close"], alive & ~bad & ~jumped)
        jumped[list(jumps_alike)] = True
        found |= {row: ("close", factor) for row, factor in jumps_alike.items()}
        bad |= jumped
        reasons.append((jumped, self._say_spike(found)))
        if not bad.any():
            self._check_scale(alive)
            return
        self._refuse_faulty(alive, bad, reasons, found)
        if "adj_close" in self._rows.columns:
            unadjusted = bad & self._alive() & self._rows.columns["adj_close"].empty
            self._leave_out(unadjusted, f"bar(s) without {self._title('adj_close')}")
        self._leave_out(bad & self._alive(), "zero or impossible bar(s)")
        self._check_scale(self._alive())

    def _faults(self, alive: Mask) -> "Iterator[tuple[Mask, Callable[[int, int, int], InvalidBars]]]":
        """The rows that cannot be bars, and what is said of one, given how many of how many bars are faulty."""
        with np.errstate(invalid="ignore"):
            for name in (*PRICES, "adj_close"):
                values = self._values[name]
                if not _within(values, _SMALLEST, DEAREST):
                    yield alive & ~((values > 0) & (values <= DEAREST)), self._say(refusals.NO_PRICE, name)
            volume = self._values["volume"]
            if "volume" in self._rows.columns and not _within(volume, 0, _LARGEST):
                empty = self._rows.columns["volume"].empty
                yield alive & ~((volume >= 0) & (volume < np.inf)) & ~empty, self._say(refusals.NO_VOLUME, "volume")
            low, high = self._values["low"], self._values["high"]
            lower, upper = self._lower, self._upper
            slack = 1 + WIDEST_OVERSHOOT
            yield alive & ((high * slack < upper) | (high > SPIKE * upper)), self._say(refusals.IMPOSSIBLE, "high")
            yield alive & ((low > lower * slack) | (low * SPIKE < lower)), self._say(refusals.IMPOSSIBLE, "low")

    def _say(self, refusal: refusals.Refusal, column: str) -> Callable[[int, int, int], InvalidBars]:
        def say(row: int, bad: int, total: int) -> InvalidBars:
            places = {"symbol": self._rows.names[self._rows.numbers[row]], "column": self._title(column)}
            day, seen = self._bar(row), self._cell(column, row)
            return refusal(**places, seen=seen, day=day, bad=bad, total=total)

        return say

    def _say_spike(self, found: Mapping[int, tuple[str, float]]) -> Callable[[int, int, int], InvalidBars]:
        def say(row: int, bad: int, total: int) -> InvalidBars:
            column, factor = found[row]
            near = _other_unit(factor)
            refusal = refusals.OTHER_UNIT if near else refusals.SPIKE
            places = {"symbol": self._rows.names[self._rows.numbers[row]], "column": self._title(column)}
            times = near or rounded(factor, 3)
            day, seen = self._bar(row), self._cell(column, row)
            return refusal(**places, seen=seen, day=day, bad=bad, total=total, factor=times)

        return say

    def _refuse_faulty(
        self,
        alive: Mask,
        bad: Mask,
        reasons: Sequence[tuple[Mask, Callable[[int, int, int], InvalidBars]]],
        found: Mapping[int, tuple[str, float]],
    ) -> None:
        """Refuse the symbols that have too many faulty bars, one of the newest, or bars in another unit."""
        for number in self._having(bad & self._judged):
            own = self._own(number)
            rows = np.flatnonzero((alive & self._judged)[own]) + own.start
            faulty = rows[bad[rows]]
            in_other_unit = [row for row in faulty if _other_unit(found.get(int(row), ("", 1.0))[1])]
            newest = faulty[faulty >= rows[-NEWEST:][0]].tolist()
            if len(faulty) <= MOST_FAULTY * len(rows) and not newest and not in_other_unit:
                continue
            row = int([*in_other_unit, *newest, *faulty][0])
            say = next(say for mask, say in reasons if mask[row])
            self._refuse(number, say(row, len(faulty), len(rows)))

    def _widen(self, rows: Mask) -> None:
        """Widen low and high where open or close overshoot them a little."""
        lower, upper = self._lower, self._upper
        with np.errstate(invalid="ignore"):
            low = rows & (self._values["low"] > lower)
            high = rows & (self._values["high"] < upper)
            if not (low.any() or high.any()):
                return
            said = low & (self._values["low"] > lower * (1 + _ROUNDING))
            said |= high & (self._values["high"] * (1 + _ROUNDING) < upper)
        self._change("low", np.where(low, lower, self._values["low"]))
        self._change("high", np.where(high, upper, self._values["high"]))
        for number in self._having(said):
            days = self._days[self._own(number)][said[self._own(number)]]
            share = f"open or close up to {WIDEST_OVERSHOOT:.1%} outside"
            names = f"{self._title('low')} and {self._title('high')}"
            self._find(number, "widened", f"{names} of {len(days)} bar(s) with {share} were widened ({_named(days)})")

    def _check_scale(self, alive: Mask) -> None:
        low, high = self._values["low"], self._values["high"]
        if not alive.all():
            low, high = np.where(alive, low, np.inf), np.where(alive, high, 0.0)
        lowest, highest = np.minimum.reduceat(low, self._starts), np.maximum.reduceat(high, self._starts)
        with np.errstate(over="ignore", invalid="ignore"):
            unscaled = np.flatnonzero(highest > _WIDEST * lowest)
        for number in map(int, unscaled):
            ends = {"low": rounded(lowest[number]), "high": rounded(highest[number])}
            self._refuse(number, refusals.UNSCALED(symbol=self._rows.names[number], **ends))

    def _assembled(self) -> Reading:
        series: dict[str, Bars] = {}
        whole = bool(self._kept.all())
        simulated = np.logical_or.reduceat(self._rows.simulated, self._starts)
        shared, first = self._shared.whole, self._shared.start
        for number, name in enumerate(self._rows.names):
            if number in self._failures:
                continue
            own = self._own(number)
            columns: Mapping[str, NDArray[Any]] = Extent(shared, first + own.start, first + own.stop)
            if not whole and not self._kept[own].all():
                columns = {column: values[self._kept[own]] for column, values in columns.items()}
            if not len(columns["close"]):
                titles = ", ".join(self._title(one) for one in PRICES)
                self._refuse(number, refusals.NO_PRICES(symbol=name, count=own.stop - own.start, columns=titles))
                continue
            symbol = self._symbols[number]
            series[symbol] = Bars(symbol, columns, bool(simulated[number]))
        failures = {shown(self._rows.names[number], 40): error for number, error in sorted(self._failures.items())}
        findings = {
            self._rows.names[number]: tuple(found)
            for number, found in self._findings.items()
            if number not in self._failures
        }
        return Reading(series, failures, findings)


def _within(values: NDArray[Any], first: float, last: float) -> bool:
    """Whether all values are from `first` to `last`, which a look at the extremes tells; NaN is not."""
    return bool(values.min() >= first and values.max() <= last)


def _other_unit(factor: float) -> str:
    """The factor in words, where it is that of pounds to pence; empty otherwise."""
    for times, text in ((float(UNITS), "100"), (1 / UNITS, "1/100")):
        if abs(np.log(factor / times)) < np.log(1.25):
            return text
    return ""


def _named(ends: Ends) -> str:
    """The last of some bars.

    >>> _named(np.array(["2023-07-03", "2023-07-05", "2023-07-06", "2023-07-07"], "datetime64[D]"))
    '2023-07-05, 2023-07-06, 2023-07-07 and 1 before'
    >>> _named(np.array(["2023-07-03T14"], "datetime64[h]"))
    '2023-07-03 13:00 UTC'
    """
    return _listed(said(ends[-_NAMED:]), len(ends))


def _listed(last: Sequence[str], count: int) -> str:
    """The last of `count` things, and how many there are before."""
    more = f" and {count - len(last)} before" if count > len(last) else ""
    return ", ".join(last) + more
