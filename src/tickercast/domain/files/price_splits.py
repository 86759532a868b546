"""Splits that the prices of a file do not show: told by the adjusted closes, or guessed from a shift of the prices.

>>> closes, adjusted = np.array([400.0, 404.0, 102.0]), np.array([100.0, 101.0, 102.0])
>>> splits(np.zeros(3, int), closes, adjusted)
(array([2]), array([4.]))
>>> later_splits(np.zeros(3, int), np.array([2]), np.array([4.0]))
array([4., 4., 1.])
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

UNITS = 100
"""The pence of a pound, which some series are mixed of."""

_AROUND = 5  # bars before and after a split
_NEAR_WHOLE, _NEAR_HALF = 2e-3, 2e-6
"""The relative distances from a ratio of whole numbers, and from one such as 3:2.

Spin-offs and dividends of a third of the price are real, and the factor of one came to 1.49998: only rounding may keep
a split of 3:2 from its ratio."""

_BESIDE = 0.01
"""The share of a dividend on the day of a split of whole numbers, which the factor takes in as well.

Among 658,000 bars of 122 series, the factors of spin-offs and special dividends are 1.50, 1.80, 2.61 and 6.21: only its
exact ratio tells a split of 3:2 from the first of them."""

_LEAST = 1.4  # no smaller ratio is told from a dividend
_DECIMALS = (2, 3, 4, 5)  # decimals of rounded adjusted closes; further ones matter little
_COARSEST = 0.01  # the relative rounding of adjusted closes that still tell a ratio

_RATIOS = {"3:2": 1.5} | {f"{ratio}:1": ratio for ratio in (2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 20, 25, 30, 40, 50, UNITS)}
_NEAR_OPEN, _NEAR_CLOSE = 0.04, 0.12  # log-distances of a split's first open and close from its ratio
_NEAR_LEVEL = 0.3  # and of the closes that follow from those before
_NEAR_SMALLEST = 0.02  # the tolerance of the open after a split of 3:2: real gaps of its size are not rare


def jumps(numbers: Ints, factors: Floats) -> Ints:
    """The bars whose factor from close to adjusted close differs from that of the bar before as a split's does.

    Those where either is missing are among them, so that a file without any needs no further look.

    Args:
        numbers: `(bars,)`, the number of each bar's symbol, sorted.
        factors: `(bars,)`.
    """
    times = factors[1:] / factors[:-1]
    at = np.flatnonzero(~((times <= _LEAST) & (times >= 1 / _LEAST))) + 1
    found: Ints = at[numbers[at] == numbers[at - 1]]
    return found


def misfits(numbers: Ints, opens: Floats, closes: Floats, adjusted: Floats) -> dict[int, tuple[str, float]]:
    """Find the bars whose close and adjusted close do not fit each other, so that one of them is wrong.

    The factor from the close to the adjusted close moves by splits and dividends alone, and these never take it back.
    Where it comes back within `_AROUND` bars, those between are wrong. Where fewer bars than that follow, or came
    before, only the open can tell: of a split or dividend, it moves as the close does. And adjusted closes are those
    of the newest shares, so that the factor moves to 1 at the end of a series, and hardly ever away from it.

    Args:
        numbers: `(bars,)`, the number of each bar's symbol, sorted.
        opens: `(bars,)`.
        closes: `(bars,)`, positive.
        adjusted: `(bars,)`, positive.

    Returns:
        By the place of each bar: the column that is wrong, and its value as a multiple of those around it.
    """
    factors, rounding = np.log(adjusted / closes), _rounding(closes) + _rounding(adjusted)
    wrong = np.zeros(len(numbers), bool)
    for length in range(1, _AROUND + 1):  # the shortest first: a bar in another unit may follow a split
        rows = np.flatnonzero(~wrong)
        wrong[rows[_excursions(numbers[rows], factors[rows], rounding[rows], length)]] = True
    rows = np.flatnonzero(~wrong)
    wrong[rows[_unshown(numbers[rows], opens[rows], closes[rows], factors[rows], rounding[rows])]] = True
    return _as_multiples(numbers, closes, adjusted, wrong) if wrong.any() else {}


def _steps(numbers: Ints, factors: Floats, rounding: Floats) -> tuple[Ints, Floats]:
    """The bars whose logarithmic factor differs from that of the bar before as a split's does, and by how much."""
    steps = np.diff(factors)
    large = np.abs(steps) > np.log(_LEAST) + 2 * (rounding[1:] + rounding[:-1])
    at = np.flatnonzero(large & (numbers[1:] == numbers[:-1]))
    return at + 1, steps[at]


def _excursions(numbers: Ints, factors: Floats, rounding: Floats, length: int) -> Ints:
    """The bars at which the factor is away for `length` bars, and back then."""
    at, steps = _steps(numbers, factors, rounding)
    inside = at + length < len(numbers)
    at, steps = at[inside], steps[inside]
    back = numbers[at + length] == numbers[at]
    back &= np.abs(factors[at + length] - factors[at - 1]) < np.abs(steps) / 2
    found: Ints = (at[back][:, None] + np.arange(length)).ravel()
    return found


def _unshown(numbers: Ints, opens: Floats, closes: Floats, factors: Floats, rounding: Floats) -> Ints:
    """The bars near the ends of their series whose factor differs from that of the others, and nothing shows why."""
    at, steps = _steps(numbers, factors, rounding)
    starts, ends = (np.searchsorted(numbers, numbers[at], side) for side in ("left", "right"))
    half = np.abs(steps) / 2
    gap, move = np.log(opens[at] / closes[at - 1]), np.log(opens[at] / opens[at - 1])
    late = ends - at < _AROUND
    early = ~late & (at - starts < _AROUND) & ~(np.abs(move + steps) < half)
    late &= ~(np.abs(gap + steps) < half) | (np.abs(factors[at - 1]) < half)
    firsts, lasts = np.append(at[late], starts[early]), np.append(ends[late], at[early])
    bars = firsts[:, None] + np.arange(_AROUND)
    found: Ints = bars[bars < lasts[:, None]]
    return found


def _as_multiples(
    numbers: Ints, closes: Floats, adjusted: Floats, wrong: NDArray[np.bool_]
) -> dict[int, tuple[str, float]]:
    """The one of the two columns that is wrong at some bars, and its value as a multiple of the nearest other bar's."""
    at, others = np.flatnonzero(wrong), np.flatnonzero(~wrong)  # each symbol has some of these
    places = np.searchsorted(others, at)
    before, after = others[np.maximum(places - 1, 0)], others[np.minimum(places, len(others) - 1)]
    near = np.where(numbers[before] == numbers[at], before, after)
    times, adjusted_times = closes[at] / closes[near], adjusted[at] / adjusted[near]
    is_close = np.abs(np.log(times)) >= np.abs(np.log(adjusted_times))
    return {
        int(at[one]): ("close", float(times[one])) if is_close[one] else ("adj_close", float(adjusted_times[one]))
        for one in range(len(at))
    }


def splits(numbers: Ints, closes: Floats, adjusted: Floats) -> tuple[Ints, Floats]:
    """Find the splits for which adjusted closes are adjusted, and closes are not.

    The factor from the close to the adjusted close then jumps by the split's ratio, and the closes move by it. A
    dividend moves both, too, but hardly ever by such a ratio; where only one of them moves, the file is wrong in
    another way. A small dividend on a split's day is part of the jump.

    Args:
        numbers: `(bars,)`, the number of each bar's symbol, sorted.
        closes: `(bars,)`, positive.
        adjusted: `(bars,)`, positive.

    Returns:
        The places of the first bars after splits, and the new shares for an old one: less than 1 of a reverse split.
    """
    factors = adjusted / closes
    at = jumps(numbers, factors)
    if not len(at):
        return at, np.empty(0)
    jump = factors[at] / factors[at - 1]
    times = np.maximum(jump, 1 / jump)
    ratio = np.where(times < 2.75, np.rint(2 * times) / 2, np.rint(times))
    is_whole = ratio == np.rint(ratio)
    near, beyond = np.where(is_whole, _NEAR_WHOLE, _NEAR_HALF), np.where(is_whole, _BESIDE, _NEAR_HALF)
    rounding = _resolution(numbers, adjusted, at) * (0.5 / adjusted[at - 1] + 0.5 / adjusted[at])
    ratio = np.where(jump > 1, ratio, 1 / ratio)
    off = jump / ratio - 1
    fits = (off > -near - rounding) & (off < beyond + rounding) & (rounding < _COARSEST)
    by, half = np.log(ratio), np.abs(np.log(ratio)) / 2  # the closes move rather by the ratio than not at all
    fits &= np.abs(np.log(closes[at] / closes[at - 1]) + by) < half
    fits &= np.abs(_shift(numbers, closes, at) + by) < half
    return at[fits], ratio[fits]


def later_splits(numbers: Ints, at: Ints, ratios: Floats) -> Floats:
    """The shares of today for one of each bar's day.

    Args:
        numbers: `(bars,)`, the number of each bar's symbol, sorted.
        at: `(splits,)`, the first bars after splits.
        ratios: `(splits,)`, new shares for an old one.
    """
    later = np.ones(len(numbers))
    for number in np.unique(numbers[at]):
        start, end = np.searchsorted(numbers, [number, number + 1])
        own = (at >= start) & (at < end)
        ratio = np.ones(end - start)
        ratio[at[own] - start] = ratios[own]
        later[start : end - 1] = np.cumprod(ratio[:0:-1])[::-1]
    return later


def ratio_in_words(ratio: float) -> str:
    """A split's ratio as it is spoken of.

    >>> ratio_in_words(4.0), ratio_in_words(1.5), ratio_in_words(1 / 10)
    ('4:1', '3:2', '1:10')
    """
    halves = round(2 * max(ratio, 1 / ratio))
    new, old = (halves, 2) if halves % 2 else (halves // 2, 1)
    return f"{new}:{old}" if ratio > 1 else f"{old}:{new}"


def near_split(numbers: Ints, opens: NDArray[np.float64], closes: NDArray[np.float64]) -> dict[int, tuple[str, float]]:
    """Find opens that are to the close before as after a split that was not adjusted for.

    Args:
        numbers: `(bars,)`, the number of each bar's symbol, sorted.
        opens: `(bars,)`.
        closes: `(bars,)`.

    Returns:
        By the place of the first bar: the split's ratio in words, and the open as a share of the close before.
    """
    if len(numbers) < 2:
        return {}
    least = min(_RATIOS.values()) * np.exp(-_NEAR_SMALLEST)
    large = (numbers[1:] == numbers[:-1]) & ((opens[1:] > least * closes[:-1]) | (least * opens[1:] < closes[:-1]))
    if not large.any():
        return {}
    at = np.flatnonzero(large) + 1
    gap, move = np.log(opens[at] / closes[at - 1]), np.log(closes[at] / closes[at - 1])
    shift = _shift(numbers, closes, at)
    found: dict[int, tuple[str, float]] = {}
    for words, ratio in _RATIOS.items():
        near = _NEAR_OPEN if ratio >= 2 else _NEAR_SMALLEST
        for by, said in ((-np.log(ratio), words), (np.log(ratio), ":".join(reversed(words.split(":"))))):
            fits = (np.abs(gap - by) < near) & (np.abs(move - by) < _NEAR_CLOSE) & (np.abs(shift - by) < _NEAR_LEVEL)
            for one in np.flatnonzero(fits):
                found[int(at[one])] = said, float(np.exp(gap[one]))
    return found


def _shift(numbers: Ints, closes: Floats, at: Ints) -> Floats:
    """The log-distance of the closes from a bar on from those before it; `at` is no symbol's first bar."""
    levels = _around(numbers, closes, at)
    medians = np.nanmedian(levels.reshape(len(at), 2, _AROUND), axis=2)
    shift: Floats = np.log(medians[:, 1] / medians[:, 0])
    return shift


def _resolution(numbers: Ints, prices: Floats, at: Ints) -> Floats:
    """The last decimal place to which the prices around some bars are rounded; 0 where they have many."""
    resolution: Floats = _last_place(_around(numbers, prices, at)).min(axis=1)
    return resolution


def _rounding(prices: Floats) -> Floats:
    """The relative error of prices by their rounding."""
    rounding: Floats = 0.5 * _last_place(prices) / prices
    return rounding


def _last_place(prices: Floats) -> Floats:
    """The last decimal place of each price; 0 where it has many."""
    found = np.zeros(prices.shape)
    for decimals in reversed(_DECIMALS):
        scaled = prices * 10.0**decimals
        off = np.abs(scaled - np.rint(scaled)) > 1e-4 + 1e-7 * scaled  # prices may have passed through float32
        found[~off] = 10.0**-decimals
    return found


def _around(numbers: Ints, prices: Floats, at: Ints) -> Floats:
    """`(places, 2 * _AROUND)`, the prices before and from some bars on; NaN where the symbol has none."""
    rows = at[:, None] + np.arange(-_AROUND, _AROUND)
    inside = np.clip(rows, 0, len(numbers) - 1)
    own = (rows == inside) & (numbers[inside] == numbers[at][:, None])
    return np.where(own, prices[inside], np.nan)
