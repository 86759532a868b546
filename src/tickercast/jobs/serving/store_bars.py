"""Find the bars of a file that the warehouse lacks; see `domain.stored_bars`.

Events of a symbol may be handled at once and in any order. Each file is announced, with its first and last bar,
before anything is compared, unless nobody else can write meanwhile. So of two files at once at least one sees the
other: a newer file stores all that it shares with an older one that is not finished, and an older one stores nothing
that a newer one holds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tickercast.domain.bars import Bars
from tickercast.domain.frequency import Frequency
from tickercast.domain.objects import origin_of
from tickercast.domain.stored_bars import (
    Basis,
    Columns,
    Ints,
    Mask,
    basis,
    columns_of,
    differ,
    digests,
    joined,
    of_month_keys,
    places,
    rebased,
)
from tickercast.errors import WarehouseUnavailable
from tickercast.jobs.serving.stored_rows import File, Stored
from tickercast.ports import Between

_UNFINISHED = timedelta(days=2)
"""The age of a file from which its event has ended, or has been given up.

A replay has the age of the write that it repeats. Of a file that is handled at the same instant, and is the first since
to hold the same sessions, it may go unseen."""


@dataclass(frozen=True)
class News:
    """The rows that a file adds to the warehouse, without the columns that name the file.

    Attributes:
        prices: rows of the table `prices`.
        digests: rows of the table `digests`.
        counts: the number of the file's own bars among them, by symbol.
        changed: the file's bars that are new or corrected, and not only on another basis.
        corrected: `(changed,)`, whether each was stored before.
        known: `(symbols,)`, whether anything was stored about each symbol: a new one has no forecasts to score.
        last: the number of the file's last bar of each symbol.
        later: the numbers of the symbols that may have stored bars after it.
    """

    prices: pa.Table
    digests: pa.Table
    counts: Mapping[str, int]
    changed: Columns
    corrected: Mask
    known: Mask
    last: Ints
    later: Ints


def spans(series: Sequence[Bars]) -> pa.Table:
    """The rows of the table `spans` that announce a file, without the columns that name it."""
    frequency = series[0].frequency
    ends = {name: np.array([bars.ends[row] for bars in series]) for name, row in _SPAN.items()}
    dates = {name: pa.array(frequency.dates(values)) for name, values in ends.items()}
    moments = {frequency.key(name): pa.array(values.astype("datetime64[us]"), _MOMENT) for name, values in ends.items()}
    return pa.table(
        {
            "symbol": _terms(np.arange(len(series)), [bars.symbol for bars in series]),
            "frequency": _same(frequency.name, len(series)),
            **({} if frequency.is_daily else moments),
            **dates,
            "simulated": pa.array([bars.simulated for bars in series], pa.bool_()),
        }
    )


_SPAN = {"first_session": 0, "last_session": -1}
_MOMENT = pa.timestamp("us", "UTC")


def news(file: File, series: Sequence[Bars], stored: Stored, *, now: datetime) -> News:
    """Compare the bars of an announced file with those that are stored.

    Args:
        file: the file; rows of its own, from an earlier delivery, do not count as stored.
        series: the bars of the file.
        stored: the stored rows of its symbols.
        now: the time.

    Raises:
        WarehouseUnavailable: try again.
    """
    comparison = _Comparison(file, series, stored)
    comparison.mark_what_others_hold(now)
    comparison.compare()
    return comparison.news()


class _Comparison:
    def __init__(self, file: File, series: Sequence[Bars], stored: Stored) -> None:
        self._file, self._stored = file, stored
        self._simulated = np.array([bars.simulated for bars in series], bool)
        self._bars = columns_of(series)
        self._frequency: Frequency = stored.frequency
        self._months = digests(self._bars)
        self._rows = np.cumsum([0, *(len(bars) for bars in series)])
        self._superseded = np.zeros(len(self._bars), bool)  # a newer file holds them
        self._forced = np.zeros(len(self._bars), bool)  # an older file that is not finished holds them
        self._waiting: set[int] = set()  # symbols with a newer file that is not finished
        self._followed: list[Columns] = []  # stored bars before the file's first and after its last, on its basis

    def mark_what_others_hold(self, now: datetime) -> None:
        """Mark the bars that newer files hold, and those that unfinished older ones may store."""
        others, finished = self._stored.spans(now - _UNFINISHED)
        newer = others.order > others.own
        matter = np.flatnonzero(newer | ~finished)
        first, last = (self._frequency.numbers(others[self._frequency.key(name)][matter]) for name in _SPAN)
        for row, start, end in zip(matter, first, last, strict=True):
            number = int(others.number[row])
            rows = self._between(number, start, end)
            (self._superseded if newer[row] else self._forced)[rows] = True
            if newer[row] and not finished[row]:
                self._waiting.add(number)

    def compare(self) -> None:
        """Find the bars that are new or differ, and bring what is stored before or after them to one basis."""
        unlike = self._unlike()
        self._held, newer, backfilled = self._read(unlike)
        at = np.full(len(self._bars), -1)
        place = places(self._held.key, self._bars.key)
        at[place[place >= 0]] = np.flatnonzero(place >= 0)
        self._lacking = self._held.take(place < 0)
        rows = np.flatnonzero(at >= 0)
        stored = self._held.take(at[rows])
        other = differ(self._bars.take(rows), stored)
        self._superseded[rows[newer[at[rows]]]] = True
        self._new = unlike & (at < 0)
        self._new[rows[other]] = True
        if self._file.rank.live:  # or a later backfill could replace the bar
            self._new[rows[backfilled[at[rows]]]] = True
        self._corrected = np.zeros(len(self._bars), bool)
        self._corrected[rows[other]] = True
        self._new = (self._new | self._forced) & ~self._superseded
        changed = {
            int(number): self._basis(int(number), rows, stored, unlike)
            for number in set(self._bars.symbol[rows[other]])
        }
        changed = {number: found for number, found in changed.items() if not found.is_same}
        # A split within the file's bars may have been stored as a move: then the bars after it are on its basis.
        self._left_behind = np.zeros(len(self._bars), bool)  # their moves from bars that are rebased are others now
        self._stay: set[int] = set()  # symbols whose later bars do not follow
        for number, found in changed.items():
            left, right = np.searchsorted(stored.symbol, [number, number + 1])
            part, shared = stored.take(slice(left, right)), rows[left:right]
            bars = self._bars.take(shared)
            self._corrected[shared] = differ(bars, rebased(part, found))
            own, alike = np.arange(*self._rows[number : number + 2]), ~unlike
            if alike[own].any() or basis(bars, part, newest=True).is_same:
                self._stay.add(number)
            if found.is_split:
                self._left_behind[own] = alike[own]
                self._left_behind[shared] = self._corrected[shared]
        self._left_behind &= ~self._superseded
        self._fresh = at < 0
        behind = {number for number in changed if self._superseded[self._rows[number] : self._rows[number + 1]].any()}
        self._follow({number: found for number, found in changed.items() if number not in behind})
        for number in sorted(behind):
            self._adopt(number, changed[number])

    def news(self) -> News:
        """The rows to append."""
        new, changed = _chosen(self._new), _chosen(self._new & (self._fresh | self._corrected) | self._left_behind)
        added = self._bars.take(new)
        counts = np.bincount(added.symbol, minlength=len(self._stored.symbols))
        return News(
            self._prices(joined([added, *self._followed]) if self._followed else added),
            self._digests(),
            dict(zip(self._stored.symbols, map(int, counts), strict=True)),
            Columns(self._bars.symbol[changed], self._bars.number[changed], {}, self._frequency),
            ~self._fresh[changed] | self._left_behind[changed],
            self._is_known(),
            self._bars.number[self._rows[1:] - 1],
            self._later(),
        )

    def _is_known(self) -> Mask:
        known = np.zeros(len(self._stored.symbols), bool)
        known[self._known_number] = known[self._held.symbol] = True
        return known

    def _later(self) -> Ints:
        last = self._bars.take(self._rows[1:] - 1)
        later = np.zeros(len(last), bool)
        held = self._held
        later[held.symbol[held.number > last.number[held.symbol]]] = True
        number, month = self._known_number, self._known
        later[number[month > last.month[number]]] = True
        unknown = np.setdiff1d(np.unique(held.symbol), number)  # rows of an earlier release have no digests
        later[unknown] = True
        return np.flatnonzero(later)

    def _between(self, number: int, first: int, last: int) -> slice:
        start, end = self._rows[number], self._rows[number + 1]
        left, right = np.searchsorted(self._bars.number[start:end], [first, last + 1])
        return slice(start + left, start + right)

    def _unlike(self) -> Mask:
        """The bars of the months whose digest is not the stored one, and those that are stored in any case."""
        known, self._known = self._stored.digests()
        self._known_number = known.number
        mine = self._months
        at = places(mine.key, self._known)
        digest = known.table["digest"]
        exact, digest = digest.is_valid().to_numpy(), digest.fill_null(0).to_numpy()
        same = at >= 0
        seen = at[same]
        same[same] = exact[seen] & (digest[seen] == mine.digest[same]) & (known["bars"][seen] == mine.count[same])
        forced = np.logical_or.reduceat(self._forced, mine.start)
        return (~same | forced).repeat(mine.count)

    def _read(self, rows: Mask) -> tuple[Columns, Mask, Mask]:
        if not rows.any():
            return self._bars.take([]), np.empty(0, bool), np.empty(0, bool)
        numbers = np.unique(self._bars.symbol[rows])
        return self._stored.bars(numbers, *_ranges(self._bars.dates[rows]))

    def _basis(self, number: int, rows: Ints, stored: Columns, unlike: Mask) -> Basis:
        left, right = np.searchsorted(stored.symbol, [number, number + 1])
        if not unlike[self._rows[number] : rows[left]].all():  # an earlier month is stored as the file has it
            return Basis()
        return basis(self._bars.take(rows[left:right]), stored.take(slice(left, right)))

    def _follow(self, changed: Mapping[int, Basis]) -> None:
        """Bring the stored bars before the file's first, and after its last unless they are, to the file's basis."""
        if not changed:
            return
        numbers = np.array(sorted(changed), np.int64)
        first, last = self._bars.number[self._rows[numbers]], self._bars.number[self._rows[numbers + 1] - 1]
        older, *_ = self._stored.bars(numbers, Between(None, self._frequency.date_of(int(first.max()) - 1)))
        later, *_ = self._stored.bars(numbers, Between(self._frequency.date_of(int(last.min()) + 1), None))
        for number, start, end in zip(numbers, first, last, strict=True):
            for stored, beyond in ((older, older.number < start), (later, later.number > end)):
                if stored is later and number in self._stay:
                    continue
                rows = np.flatnonzero((stored.symbol == number) & beyond)
                if len(rows):
                    self._followed.append(rebased(stored.take(rows), changed[int(number)]))

    def _adopt(self, number: int, found: Basis) -> None:
        """Bring what the file adds to the basis of the newer files."""
        rows = np.arange(self._rows[number], self._rows[number + 1])
        rows = rows[self._new[rows]]
        if not len(rows):
            return
        if number in self._waiting:
            raise WarehouseUnavailable(
                f"A newer file with {self._stored.symbols[number]} is being stored, and {self._file.object} has to "
                "wait for it. Try again."
            )
        for name, values in rebased(self._bars.take(rows), found.inverse).values.items():
            whole = self._bars.values[name].copy()  # the file's bars may share it
            whole[rows] = values
            self._bars.values[name] = whole

    def _prices(self, bars: Columns) -> pa.Table:
        # By month: a query for few months then reads little else. Column by column: a first file has many rows.
        order = np.argsort(bars.dates.astype("datetime64[M]"), kind="stable")
        symbol, ends = bars.symbol[order], bars.ends[order]
        columns = {
            "symbol": _terms(symbol, self._stored.symbols),
            "frequency": _same(self._frequency.name, len(bars)),
            "session_date": pa.array(self._frequency.dates(ends)),
            "closed_at": pa.array(self._frequency.closes(self._stored.symbols, symbol, ends), _MOMENT),
            "simulated": pa.array(self._simulated[symbol], pa.bool_()),
            "origin": _same(str(origin_of(self._file.object)), len(bars)),
        }
        del symbol, ends
        columns |= {name: pa.array(bars.values[name][order]) for name in ("open", "high", "low", "close")}
        adjusted = bars.values["factor"][order]
        adjusted *= columns["close"].to_numpy()
        columns |= {"adj_close": pa.array(adjusted)}
        columns |= {"volume": pa.array(bars.values["volume"][order], from_pandas=True)}
        return pa.table(columns)

    def _digests(self) -> pa.Table:
        mine = self._months
        mixed = np.full(len(mine.key), not self._file.rank.live)
        at = places(self._lacking.month, mine.key)
        mixed[at[at >= 0]] = True
        mixed |= np.logical_or.reduceat(self._superseded, mine.start)
        changed = np.logical_or.reduceat(self._new, mine.start)
        followed, bars = np.unique(np.concatenate([[], *(part.month for part in self._followed)]), return_counts=True)
        behind = ~np.isin(followed, mine.key[changed])
        key = np.concatenate([mine.key[changed], followed[behind]]).astype(np.int64)
        numbers, month = of_month_keys(key)
        mixed = np.concatenate([mixed[changed], np.ones(behind.sum(), bool)])
        digest = np.concatenate([mine.digest[changed], np.zeros(behind.sum(), np.int64)])
        return pa.table(
            {
                "symbol": _terms(numbers, self._stored.symbols),
                "frequency": _same(self._frequency.name, len(key)),
                "month": pa.array(month.astype("datetime64[D]")),
                "simulated": self._simulated[numbers],
                "bars": np.concatenate([mine.count[changed], bars[behind]]).astype(np.int64),
                "digest": pa.array(digest, mask=mixed),
            }
        )


def _chosen(rows: Mask) -> Ints | slice:
    """The index that takes the rows from an array: a first file's are all new, and are not copied."""
    return slice(None) if rows.all() else np.flatnonzero(rows)


def _terms(numbers: Ints, texts: Sequence[str]) -> pa.Array:
    return pa.DictionaryArray.from_arrays(numbers.astype(np.int32), pa.array(texts, pa.string()))


def _same(text: str, count: int) -> pa.Array:
    return pa.DictionaryArray.from_arrays(np.zeros(count, np.int8), [text])


def _ranges(found: NDArray[np.datetime64]) -> list[Between]:
    """Sessions as ranges of whole months: one, or two with the widest gap between them, the oldest and the newest."""
    wanted = np.unique(found.astype("datetime64[M]"))
    gaps = np.diff(wanted).astype(np.int64)
    split = int(gaps.argmax()) + 1 if len(gaps) and gaps.max() > 1 else len(wanted)
    parts = [part for part in (wanted[:split], wanted[split:]) if len(part)]
    return [
        Between(part[0].astype("datetime64[D]").item(), ((part[-1] + 1).astype("datetime64[D]") - 1).item())
        for part in parts
    ]
