"""The network's inputs: ratios in the series' own units, so that one network serves every symbol.

Bars are first rescaled by adj_close/close, which frees returns of splits, dividends and spin-offs. Every value at a
session is a fixed sequence of element-wise operations on a fixed number of sessions up to it; so cutting later
bars changes no bit, and neither does cutting bars more than `TAIL` sessions before.

>>> len(STEP_FEATURES), len(STATIC_FEATURES)
(11, 20)
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tickercast.domain.bars import Bars, tails
from tickercast.errors import TooFewSessions

Floats = NDArray[np.float64]
Floats32 = NDArray[np.float32]

HORIZON = 10
"""Steps ahead that the static inputs describe."""

WINDOW = 30
"""Steps that the network reads, in sessions."""

MIN_SESSIONS = WINDOW + 61
"""The shortest series that can be forecast: sixty returns lie before the first step of its window."""

TAIL = 320
"""Sessions that decide the inputs of the last one; older ones change nothing."""

STEP_FEATURES = (
    "return",
    "abs_return",
    "overnight_gap",
    "parkinson",
    "garman_klass_5",
    "sigma_5",
    "sigma_20",
    "sigma_ewma",
    "sigma_60_to_250",
    "volume_z",
    "volatility_level",
)
"""The inputs of each step, in their order."""

STATIC_FEATURES = tuple(f"echo_{name}_{step}" for name in ("quarter", "year") for step in range(1, HORIZON + 1))
"""The inputs of each forecast, in their order.

Companies report once a quarter, so large moves return after 63 sessions. `echo_quarter_3` is the mean over lags 63, 126
and 189, `echo_year_3` the value at lag 252, of the largest |return|/σ within two sessions of the one that lies so long
before step 3. It is 0 where the series does not reach that far back.
"""

EWMA_DECAY = 0.94
"""RiskMetrics' λ for daily data (J.P. Morgan/Reuters, RiskMetrics Technical Document, 1996)."""

_COLUMNS = ("open", "high", "low", "close", "volume", "adj_close")
_EWMA_WINDOW = 256
_VOLUMES = 60
_BATCH = 128  # series at once: their columns fit in a processor's cache
_QUARTERS = (63, 126, 189)
_YEAR = 252
_NEIGHBOURHOOD = 2
_SIGMA_FLOOR = 1e-6
_TYPICAL_SIGMA = 0.02
_BOUND = 6.0
_LOG_BOUND = 3.0
_USUAL_RANGES = (-0.28, 0.07)  # 5% and 98% quantiles of the year's log ratio, the sample's stocks up to 2010


_SETTLED = ("=F", "=X")  # Yahoo's closes of futures and currencies are settlements and fixings
_NARROW, _NARROW_SESSIONS = -0.6, 120  # the mean log ratio of the range to σ60 below which ranges say nothing of closes
_PARKINSON_OF_CLOSES = (-0.217, 0.354, -0.093, 0.551)
_GARMAN_KLASS_OF_CLOSES = (-0.109, 0.293, -0.004, 0.482)
"""Regressions on 1, sigma_5, sigma_20 and sigma_ewma, over the sessions of 74 stocks up to 2018."""


@dataclass(frozen=True)
class Panel:
    """The inputs at every session of one series, for training.

    Attributes:
        steps: `(sessions, len(STEP_FEATURES))`, in the series' own units; meaningful from session 61.
        statics: `(sessions, len(STATIC_FEATURES))`.
        sigma_ewma: `(sessions,)`, RiskMetrics σ of a session's log-return.
        sigma60: `(sessions,)`, root mean square of sixty log-returns.
        log_close: `(sessions,)`, logarithm of the rescaled close.
        range_variance: `(sessions,)`, the session's variance from its overnight gap and range.
    """

    steps: Floats32
    statics: Floats32
    sigma_ewma: Floats
    sigma60: Floats
    log_close: Floats
    range_variance: Floats

    def windows(self, origins: NDArray[np.intp]) -> Floats32:
        """The network's windows that end at the given sessions: `(origins, WINDOW, len(STEP_FEATURES))`."""
        windows: Floats32 = self.steps[origins[:, None] + np.arange(1 - WINDOW, 1)]
        return windows


@dataclass(frozen=True)
class Inputs:
    """The inputs at the last session of n series, for serving.

    Attributes:
        steps: `(n, WINDOW, len(STEP_FEATURES))`.
        statics: `(n, len(STATIC_FEATURES))`.
        sigma_ewma: `(n,)`, RiskMetrics σ of a session's log-return.
        sigma60: `(n,)`, root mean square of sixty log-returns.
    """

    steps: Floats32
    statics: Floats32
    sigma_ewma: Floats
    sigma60: Floats


def panel(bars: Bars) -> Panel:
    """Compute the inputs at every session of a series.

    Raises:
        TooFewSessions: the series is shorter than `MIN_SESSIONS`.
    """
    check_length([bars], MIN_SESSIONS)
    inputs = _inputs(_stack([bars], [len(bars)], len(bars)), [len(bars)], steps=len(bars), origins=len(bars))
    return Panel(*(values[0] for values in inputs))


def latest(series: Sequence[Bars]) -> Inputs:
    """Compute the inputs at the last session of each series, the same numbers as `panel` gives there.

    Raises:
        TooFewSessions: a series is shorter than `MIN_SESSIONS`.
    """
    check_length(series, MIN_SESSIONS)
    made = Inputs(
        np.empty((len(series), WINDOW, len(STEP_FEATURES)), np.float32),
        np.empty((len(series), len(STATIC_FEATURES)), np.float32),
        np.empty(len(series)),
        np.empty(len(series)),
    )
    for start in range(0, len(series), _BATCH):
        rows = slice(start, start + _BATCH)
        sizes = [len(bars) for bars in series[rows]]
        bars = _stack(series[rows], sizes, min(TAIL, max(sizes)))
        steps, statics, sigma_ewma, sigma60, *_ = _inputs(bars, sizes, steps=WINDOW, origins=1)
        made.steps[rows], made.statics[rows] = steps, statics[:, 0]
        made.sigma_ewma[rows], made.sigma60[rows] = sigma_ewma[:, 0], sigma60[:, 0]
    return made


def check_length(series: Sequence[Bars], needed: int) -> None:
    """Refuse series that are too short.

    Raises:
        TooFewSessions: a series is too short; it names the first.
    """
    for bars in series:
        if bars.span < needed:
            raise TooFewSessions(
                f"{bars.symbol} has {bars.span} {bars.frequency.noun}(s): at least {needed} were needed to forecast. "
                "Give it an earlier first date."
            )


def _stack(series: Sequence[Bars], sizes: Sequence[int], length: int) -> dict[str, Floats]:
    """The last `length` bars of each series, `(n, length)` a column; before its first bar a flat price."""
    columns = tails(series, _COLUMNS, length)
    if min(sizes) < length:
        before = np.arange(length) < length - np.array(sizes)[:, None]
        flat = dict.fromkeys(("open", "high", "low"), columns["close"]) | {"volume": np.zeros(before.shape)}
        columns |= {name: np.where(before, values, columns[name]) for name, values in flat.items()}
    settled = np.array([float(bars.symbol.endswith(_SETTLED)) for bars in series])
    return columns | {"settled": settled}


def _inputs(
    bars: dict[str, Floats], sizes: Sequence[int], *, steps: int, origins: int
) -> tuple[Floats32, Floats32, Floats, Floats, Floats, Floats]:
    """The fields of `Panel`, each with a leading axis of series.

    Args:
        bars: the columns that `_stack` returns.
        sizes: the length of each series.
        steps: the number of last sessions whose step inputs are computed.
        origins: the number of last sessions whose other inputs are computed, at most `steps`.
    """
    length = bars["close"].shape[1]
    close, body = np.log(bars["adj_close"]), np.log(bars["close"] / bars["open"])
    span = np.log(bars["high"] / bars["low"])
    returns_before = np.array(sizes)[:, None] - length + np.arange(length, dtype=np.float64)  # numpy casts slowly
    returns = np.where(returns_before > 0, close - _lagged(close, 1), 0.0)
    gap = np.where(returns_before > 0, returns - body, 0.0)
    garman_klass = 0.5 * span**2 - (2 * np.log(2) - 1) * body**2
    squares, ranges = _Sums(returns**2), _Sums(garman_klass)

    def sigma(window: int, last: int = steps, until: int = length) -> Floats:
        count = np.clip(returns_before[:, until - last : until], 1, window)
        return _root(squares.over(window, last, length - until) / count)

    sigma60, before = sigma(60), returns_before[:, -steps:]
    weights = (1 - EWMA_DECAY ** np.clip(before, 1, _EWMA_WINDOW)) / (1 - EWMA_DECAY)
    sigma_ewma = _root(_decaying_sums(returns[:, 1 - _EWMA_WINDOW - steps :] ** 2, steps) / weights)
    year, week = sigma(250), ranges.over(5, steps)
    usual = _range_correction(_root(ranges.over(250, steps) / np.clip(before, 1, 250)), year)
    made = [
        np.clip(returns[:, -steps:] / sigma60, -_BOUND, _BOUND),
        np.clip(np.abs(returns[:, -steps:]) / sigma60, 0, _BOUND),
        np.clip(gap[:, -steps:] / sigma60, -_BOUND, _BOUND),
        _log_ratio(span[:, -steps:] / np.sqrt(4 * np.log(2)), sigma60, usual),
        _log_ratio(_root(week / 5), sigma60, usual),
        _log_ratio(sigma(5), sigma60),
        _log_ratio(sigma(20), sigma60),
        _log_ratio(sigma_ewma, sigma60),
        _log_ratio(sigma60, year),
        _volume_z(bars["volume"], steps),
        np.clip(np.log(sigma60 / _TYPICAL_SIGMA) / 0.5, -_BOUND, _BOUND),
    ]
    if bars["settled"].any():
        _replace_narrow(made, bars["settled"] > 0, span, sigma(60, length), returns_before)

    def surprise(last: int, until: int) -> Floats:
        rows = slice(until - last, until)
        sizes = np.minimum(np.abs(returns[:, rows]) / sigma(60, last, until - 1), _BOUND)
        return np.where(returns_before[:, rows] > 60, sizes, 0.0)

    echoes = _echoes(surprise, length, origins)
    return (
        np.stack(made, axis=-1, dtype=np.float32, casting="same_kind"),
        np.stack(echoes, axis=-1, dtype=np.float32, casting="same_kind"),
        sigma_ewma[:, -origins:],
        sigma60[:, -origins:],
        close[:, -origins:],
        gap[:, -origins:] ** 2 + np.maximum(garman_klass[:, -origins:], 0.0),
    )


def _replace_narrow(
    made: list[Floats], settled: NDArray[np.bool_], ranges: Floats, sigma60: Floats, before: Floats
) -> None:
    """Replace the range inputs of futures and currencies by what stocks' closes say of them, where ranges are narrow.

    A settlement or fixing is taken outside of the trading that the range describes, and many of such bars are flat.
    """
    steps = made[0].shape[1]
    log_ranges = _log_ratio(ranges / np.sqrt(4 * np.log(2)), sigma60)
    count = np.clip(before[:, -steps:], 1, _NARROW_SESSIONS)
    narrow = settled[:, None] & (_Sums(log_ranges).over(_NARROW_SESSIONS, steps) / count < _NARROW)
    closes = [np.ones_like(made[0]), *(made[STEP_FEATURES.index(f"sigma_{name}")] for name in ("5", "20", "ewma"))]
    for name, weights in (("parkinson", _PARKINSON_OF_CLOSES), ("garman_klass_5", _GARMAN_KLASS_OF_CLOSES)):
        at = STEP_FEATURES.index(name)
        fitted = sum(weight * values for weight, values in zip(weights, closes, strict=True))
        made[at] = np.where(narrow, fitted, made[at])


def _echoes(surprise: Callable[[int, int], Floats], length: int, origins: int) -> list[Floats]:
    """The static inputs, each `(n, origins)`; see `STATIC_FEATURES`.

    Args:
        surprise: gives |return|/σ at a number of sessions up to one, `(n, last)`; those are few where origins are.
        length: sessions.
        origins: the number of last sessions whose inputs are computed.
    """
    wide = 2 * _NEIGHBOURHOOD

    def around(lag: int) -> Floats:
        """The largest surprises around one lag before each step: `(n, origins + HORIZON - 1)`, by session."""
        until, wanted = length - lag + HORIZON + _NEIGHBOURHOOD, origins + HORIZON - 1 + wide
        found = surprise(min(wanted, max(until - 1, 0)), until)  # the first session has none
        if found.shape[1] < wanted:
            found = np.pad(found, ((0, 0), (wanted - found.shape[1], 0)))
        largest: Floats = np.maximum.reduce([found[:, back : wanted - wide + back] for back in range(wide + 1)])
        return largest

    quarters = sum((around(lag) for lag in _QUARTERS), np.zeros(1)) / len(_QUARTERS)
    year = around(_YEAR)
    return [echo[:, step : step + origins] for echo in (quarters, year) for step in range(HORIZON)]


def _volume_z(volume: Floats, steps: int) -> Floats:
    """The z-score of the log-volume among sixty sessions; 0 where there is no volume."""
    volume = volume[:, -(steps + _VOLUMES - 1) :]
    known = np.isfinite(volume) & (volume > 0)
    log = np.where(known, np.log(np.where(known, volume, 1.0)), 0.0)
    count = np.maximum(_Sums(known.astype(np.float64)).over(_VOLUMES, steps), 1.0)
    mean = _Sums(log).over(_VOLUMES, steps) / count
    spread = np.sqrt(np.maximum(_Sums(log**2).over(_VOLUMES, steps) / count - mean**2, 0.05**2))
    return np.where(known[:, -steps:], np.clip((log[:, -steps:] - mean) / spread, -_BOUND, _BOUND), 0.0)


def _decaying_sums(values: Floats, last: int) -> Floats:
    """Σ decay^k·values[t−k] for k < `_EWMA_WINDOW`, a power of two, by doubling, at the `last` sessions."""
    total = values.copy()
    for power in range(_EWMA_WINDOW.bit_length() - 1):
        size = 1 << power
        first, every = total[:, :size].copy(), total.reshape(-1)
        every[size:] += EWMA_DECAY**size * every[:-size]  # all rows as one: numpy takes four times as long row by row
        total[:, :size] = first
    return total[:, -last:]


class _Sums:
    """Rolling sums Σ values[t−k] for k < window, by doubling: 1, 2, 4 … sessions at a time.

    Unlike a running sum, a value at t comes from the same additions, whatever surrounds the window, and however many
    sessions it is asked for. Sums over several windows share the parts of 1, 2, 4 … sessions.
    """

    def __init__(self, values: Floats) -> None:
        self._parts = [values]

    def over(self, window: int, last: int, before: int = 0) -> Floats:
        """The sums over `window` sessions at the `last` sessions before the newest ones: `(n, last)`."""
        total, taken = np.zeros((len(self._parts[0]), last)), before
        for power in range(window.bit_length()):
            if window >> power & 1:
                total += _lagged(self._part(power), taken, last=last)
                taken += 1 << power
        return total

    def _part(self, power: int) -> Floats:
        """The sums over 2^power sessions."""
        while len(self._parts) <= power:
            part, size = self._parts[-1], 1 << len(self._parts) - 1
            whole = np.empty(part.shape)
            every = part.reshape(-1)
            np.add(every[size:], every[:-size], out=whole.reshape(-1)[size:])  # all rows as one: see `_decaying_sums`
            whole[:, :size] = part[:, :size]
            self._parts.append(whole)
        return self._parts[power]


def _lagged(values: Floats, sessions: int, fill: float = 0.0, last: int | None = None) -> Floats:
    """The values of a number of sessions ago, at all or the `last` sessions, and `fill` before the first."""
    length = values.shape[1]
    last = length if last is None else last
    if length >= sessions + last:
        return values[:, length - sessions - last : length - sessions]
    shifted = np.full((len(values), last), fill)
    if length > sessions:
        shifted[:, sessions - length :] = values[:, : length - sessions]
    return shifted


def _root(variance: Floats) -> Floats:
    return np.sqrt(np.maximum(variance, _SIGMA_FLOOR**2))


def _log_ratio(sigma: Floats, base: Floats, correction: Floats | float = 0.0) -> Floats:
    return np.clip(np.log(np.maximum(sigma, _SIGMA_FLOOR) / base) + correction, -_LOG_BOUND, _LOG_BOUND)


def _range_correction(range_sigma: Floats, sigma: Floats) -> Floats:
    """The correction that brings the year's ratio of range to close-to-close volatility into `_USUAL_RANGES`.

    It is 0 for most stocks. Where most moves happen overnight (foreign listings), or only closes are known (funds,
    fixings), ranges are narrow although the market is not calm.
    """
    ratio = np.log(range_sigma / sigma)
    return np.clip(ratio, *_USUAL_RANGES) - ratio
