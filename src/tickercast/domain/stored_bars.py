"""The choice of a file's bars to store: those that are new, and those that differ from what is stored already.

A file of three years repeats what the file before it held, but for its last bar. A digest for each symbol and month
tells which months may differ; only their stored bars are read and compared. Of several bars of a time the newest
file's counts, and a backfill's only if there is no other: so a late file adds what newer ones lack, and changes nothing
else.

A split or a dividend rebases the past: then the file's bars are stored again, and bars before and after those of the
file follow by the same factors, so that a series is always on one basis.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tickercast.domain.bars import Bars, below_each_other
from tickercast.domain.frequency import Frequency

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

TOLERANCE = 1e-6
"""The relative difference that makes another bar; the adjustment is compared as the factor adj_close / close."""

VALUES = ("open", "high", "low", "close", "factor", "volume")
"""The compared values of a bar."""

_DIGEST_BITS = np.uint64(30)
"""The number of mantissa bits, of 52, to drop: 2^-22 is finer than the tolerance, so equal digests mean equal bars."""

_HALF = np.uint64(1 << 29)
_FACTORS = np.array(
    [
        0x9E3779B97F4A7C15,
        0xBF58476D1CE4E5B9,
        0x94D049BB133111EB,
        0xFF51AFD7ED558CCD,
        0xC4CEB9FE1A85EC53,
        0xC2B2AE3D27D4EB4F,
        0x165667B19E3779F9,
    ],
    np.uint64,
)
"""Odd and unrelated, as in SplitMix64, MurmurHash3 and xxHash: changes of two values cannot make up for each other."""

_MIXER = np.uint64(0xD6E8FEB86659FD93)
_AT_ONCE = 1 << 15  # bars that are hashed together: they stay in the processor's cache
_COMPARED = 5  # sessions whose ratios give the factor of a rebase
_EPOCH = np.datetime64("1900-01-01", "M")  # no bar is older
MOST = 1 << 20
"""A bound above the bars of a series, by their numbers: days since 1900, or hours since 1970."""

_MONTHS = 1 << 16  # more than there are months


@dataclass(frozen=True, order=True)
class Rank:
    """The order of files: of two bars of a time, that of the higher one counts."""

    live: bool
    written_at: datetime
    generation: str


@dataclass(frozen=True)
class Columns:
    """Bars of several symbols below each other, by symbol and time.

    Attributes:
        symbol: `(n,)`, the number of each bar's symbol.
        number: `(n,)`, the number of each bar; see `Frequency.numbers`.
        values: an array `(n,)` for each of `VALUES`.
        frequency: the frequency of the bars.
    """

    symbol: Ints
    number: Ints
    values: dict[str, Floats]
    frequency: Frequency

    def __len__(self) -> int:
        return len(self.number)

    @property
    def key(self) -> Ints:
        """`(n,)`, a number for symbol and bar, in their order."""
        return self.symbol * MOST + self.number

    @property
    def month(self) -> Ints:
        """`(n,)`, a number for symbol and month, in their order."""
        return month_keys(self.symbol, self.dates)

    @property
    def ends(self) -> NDArray[np.datetime64]:
        """`(n,)`, the end of each bar."""
        return self.frequency.ends_of(self.number)

    @property
    def dates(self) -> NDArray[np.datetime64]:
        """`(n,)`, the date of each bar as datetime64[D]."""
        return self.frequency.dates(self.ends)

    def take(self, rows: Any) -> "Columns":
        """The bars of some rows."""
        values = {name: values[rows] for name, values in self.values.items()}
        return Columns(self.symbol[rows], self.number[rows], values, self.frequency)


@dataclass(frozen=True)
class Months:
    """The digests of the months of `Columns`.

    Attributes:
        key: `(m,)`, the number of each symbol's month.
        start: `(m,)`, its first row.
        count: `(m,)`, its bars.
        digest: `(m,)`, the sum of the hashes of these.
    """

    key: Ints
    start: Ints
    count: Ints
    digest: Ints


def month_keys(symbol: Ints, dates: NDArray[np.datetime64]) -> Ints:
    """A number for symbol and month, in their order."""
    if not len(dates):
        return np.empty(0, np.int64)
    day = dates.astype("datetime64[D]", copy=False).view(np.int64)  # numpy is slow with dates
    first = day.min()
    every = np.arange(first, day.max() + 1).astype("datetime64[D]").astype("datetime64[M]")  # many bars share a date
    month = (every - _EPOCH).astype(np.int64)
    keys: Ints = symbol * _MONTHS + month[day - first]
    return keys


def of_month_keys(keys: Ints) -> tuple[Ints, NDArray[np.datetime64]]:
    """The symbols and months, as datetime64[M], of such numbers."""
    return keys // _MONTHS, _EPOCH + keys % _MONTHS


def joined(parts: Sequence[Columns]) -> Columns:
    """Several columns below each other, sorted."""
    values = {name: np.concatenate([part.values[name] for part in parts]) for name in VALUES}
    symbol, number = (np.concatenate([getattr(part, name) for part in parts]) for name in ("symbol", "number"))
    whole = Columns(symbol, number, values, parts[0].frequency)
    return whole.take(np.argsort(whole.key))


def columns_of(series: Sequence[Bars]) -> Columns:
    """The bars of a file; a symbol's number is its place in the file."""
    frequency = series[0].frequency
    columns = below_each_other(series)
    values = {name: columns[name] for name in ("open", "high", "low", "close", "volume")}
    values["factor"] = columns["adj_close"] / columns["close"]
    symbol = np.arange(len(series)).repeat([len(bars) for bars in series])
    return Columns(symbol, frequency.numbers(columns[frequency.key("session_date")]), values, frequency)


def digests(bars: Columns) -> Months:
    """The digest of each symbol's month: equal ones mean bars that differ by less than the tolerance."""
    month = bars.month
    start = np.flatnonzero(np.append(True, month[1:] != month[:-1])[: len(month)])
    count = np.diff(np.append(start, len(month)))
    hashes = np.empty(len(bars), np.uint64)
    for first in range(0, len(bars), _AT_ONCE):
        rows = slice(first, first + _AT_ONCE)
        hashes[rows] = _hashes(bars.take(rows))
    return Months(month[start], start, count, np.add.reduceat(hashes, start).view(np.int64))


def _hashes(bars: Columns) -> NDArray[np.uint64]:
    """`(n,)`: a linear form of the number and the values, as they are rounded, and mixed once."""
    mixed: NDArray[np.uint64] = bars.number.view(np.uint64) * _FACTORS[0]
    for name, factor in zip(VALUES, _FACTORS[1:], strict=True):
        values = bars.values[name]
        if name == "volume":
            values = np.where(np.isnan(values), -1.0, values)
        rounded = values.view(np.uint64) + _HALF
        rounded >>= _DIGEST_BITS
        rounded *= factor
        mixed += rounded
    mixed ^= mixed >> np.uint64(32)
    mixed *= _MIXER
    mixed ^= mixed >> np.uint64(29)
    return mixed


def newest(bars: Columns, rank: Ints) -> tuple[Columns, Ints]:
    """One bar a symbol and time, that of the highest rank, and its rank.

    Args:
        bars: bars in any order.
        rank: `(n,)`, the place of each bar's file in the order of files.
    """
    order = np.lexsort((rank, bars.key))
    key = bars.key[order]
    kept = order[np.append(key[1:] != key[:-1], True)[: len(key)]]
    return bars.take(kept), rank[kept]


def places(wanted: Ints, among: Ints) -> Ints:
    """The place of each wanted key among sorted ones, −1 where it is not."""
    if not len(among):
        return np.full(len(wanted), -1)
    at = np.minimum(np.searchsorted(among, wanted), len(among) - 1)
    return np.where(among[at] == wanted, at, -1)


def differ(these: Columns, those: Columns) -> Mask:
    """The bars of two columns of equal length that differ by more than the tolerance."""
    other = np.zeros(len(these), bool)
    for name in VALUES:
        a, b = these.values[name], those.values[name]
        other |= ~((np.abs(a - b) <= TOLERANCE * np.abs(b)) | (np.isnan(a) & np.isnan(b)))
    return other


@dataclass(frozen=True)
class Basis:
    """The factors from one basis of prices to another: prices are multiplied, and volumes by a factor of their own."""

    price: float = 1.0
    factor: float = 1.0
    volume: float = 1.0

    @property
    def is_same(self) -> bool:
        """Whether nothing changes."""
        return not self.is_split and abs(self.factor - 1) <= TOLERANCE

    @property
    def is_split(self) -> bool:
        """Whether prices change, and not the adjustment for dividends alone."""
        return abs(self.price - 1) > TOLERANCE

    @property
    def inverse(self) -> "Basis":
        """The way back."""
        return Basis(1 / self.price, 1 / self.factor, 1 / self.volume)


def basis(bars: Columns, stored: Columns, *, newest: bool = False) -> Basis:
    """The factors from stored bars of a symbol to the basis of a file, from the earliest sessions that both hold.

    Args:
        bars: the bars of the file, oldest first.
        stored: the stored bars of the same sessions.
        newest: look at the newest of these sessions instead.
    """
    compared = slice(-_COMPARED, None) if newest else slice(_COMPARED)

    def ratio(name: str) -> float:
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios = bars.values[name][compared] / stored.values[name][compared]
        usable = ratios[np.isfinite(ratios) & (ratios > 0)]
        return float(np.median(usable)) if len(usable) else 1.0

    found = Basis(ratio("close"), ratio("factor"))
    return Basis(found.price, found.factor, ratio("volume")) if found.is_split else found


def rebased(bars: Columns, to: Basis) -> Columns:
    """Bars on another basis."""
    by = {"factor": to.factor, "volume": to.volume}
    values = {name: bars.values[name] * by.get(name, to.price) for name in VALUES}
    return Columns(bars.symbol, bars.number, values, bars.frequency)
