"""Simulated market data for any symbol and date: a GJR-GARCH process whose true distribution is known.

A symbol's path depends only on its name and on the sessions of its exchange, so every range is a slice of the same
path. `Oracle` forecasts such a path with the true distribution, which no model can beat: how close a model comes to
it shows, without any market data, whether the model learns what can be learned.
"""

import zlib
from abc import ABC, abstractmethod
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import accumulate

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tickercast.domain import calendar
from tickercast.domain.bars import Bars, Reading
from tickercast.domain.forecast import QUANTILES
from tickercast.domain.frequency import DAILY
from tickercast.errors import NoRecentBars, Permanent, UsageError

EPOCH = date(1990, 1, 1)
"""The first date of a path, unless the exchange's holidays are known only from a later one."""

_START_PRICE = (20.0, 200.0)
_USUAL_VOLUME = (1e6, 5e7)
_CALMEST, _WILDEST, _GRID = 30.0, 300.0, 40  # the oracle's grid: from 1/30 to 300 of the long-run variance
_PATHS = 50_000
_BUSIEST = 10.0  # standard deviations beyond which a move brings no more volume

# The random streams of a symbol, kept apart since draws from a common stream would depend on the path's length.
_SCALES, _INNOVATIONS, _GAPS, _HIGHS, _LOWS, _VOLUMES = range(6)


@dataclass(frozen=True)
class Parameters:
    """The parameters of the process, in log-returns of one session.

        return = mean + √h · z,    z ~ Student's t with `nu` degrees of freedom, scaled to variance one
        next h = omega + (alpha + gamma · [z < 0]) · h · z² + beta · h

    It is the GJR-GARCH(1,1) of Glosten, Jagannathan and Runkle (1993). The defaults are rounded medians of maximum
    likelihood fits to 28 American stocks, 2000–2022 (`mean` is lower: those stocks are survivors).

    Attributes:
        mean: the mean log-return.
        omega: the constant of the variance.
        alpha: the share of a squared shock that carries over to the next variance.
        gamma: the additional share if the shock was negative.
        beta: the share of the variance itself that carries over.
        nu: degrees of freedom.
        overnight: the share of a session's variance that falls between the last close and the open.
        volume_slope: the rise of log-volume for a return of one standard deviation.
        volume_noise: the standard deviation of the rest of log-volume.
    """

    mean: float = 3e-4
    omega: float = 4e-6
    alpha: float = 0.03
    gamma: float = 0.055
    beta: float = 0.93
    nu: float = 5.0
    overnight: float = 0.28
    volume_slope: float = 0.2
    volume_noise: float = 0.39

    @property
    def variance(self) -> float:
        """The long-run variance of a log-return; by default 3.2e-4, a volatility of 28% a year."""
        return self.omega / (1 - self.alpha - self.gamma / 2 - self.beta)


DEFAULTS = Parameters()


def simulate(
    symbol: str, count: int, parameters: Parameters = DEFAULTS
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Simulate the process behind a symbol's bars, from its first session on.

    Args:
        symbol: the symbol, whose name seeds the path.
        count: sessions.
        parameters: the parameters of the process.

    Returns:
        `(count,)` log-returns, and `(count + 1,)` conditional variances: variance i is that of return i as
        known before it, so the last one belongs to the coming session.
    """
    t = _stream(symbol, _INNOVATIONS).standard_t(parameters.nu, count)
    z = t * np.sqrt((parameters.nu - 2) / parameters.nu)
    # A shock √h·z has the sign of z: the next variance is linear in h, with factors known beforehand.
    factors = parameters.beta + (parameters.alpha + parameters.gamma * (z < 0)) * z**2
    path = accumulate(factors.tolist(), lambda h, factor: parameters.omega + factor * h, initial=parameters.variance)
    h = np.fromiter(path, np.float64, count + 1)
    return parameters.mean + np.sqrt(h[:-1]) * z, h


class Generated(ABC):
    """A source of generated bars of any symbol, marked as simulated."""

    name = "simulated"
    simulated = True

    @abstractmethod
    def generated(self, symbol: str, first: date, last: date) -> Bars:
        """Generate the bars of a symbol in a range.

        Raises:
            NoRecentBars: there are none.
        """

    def symbols(self) -> Sequence[str]:
        """Refuse to list symbols: any can be simulated.

        Raises:
            UsageError: always.
        """
        raise UsageError("The source simulated cannot list its symbols. Name some, or give a file of symbols.")

    def fetch(self, symbols: Sequence[str], first: date, last: date, *, advance: Callable[[int], None]) -> Reading:
        """Simulate each symbol and return the range asked for; see `ports.MarketData`."""
        series: dict[str, Bars] = {}
        failures: dict[str, Permanent] = {}
        for symbol in symbols:
            try:
                series[symbol] = self.generated(symbol, first, last)
            except Permanent as error:
                failures[symbol] = error
            advance(1)
        return Reading(series, failures)


class Simulated(Generated):
    """Generated daily bars."""

    def __init__(self, parameters: Parameters = DEFAULTS) -> None:
        self._parameters = parameters

    def generated(self, symbol: str, first: date, last: date) -> Bars:
        """The sessions of a range, of a path that begins at `EPOCH`."""
        sessions = calendar.sessions_between(symbol, EPOCH, last)
        start = bisect_left(sessions, first)
        if start == len(sessions):
            raise NoRecentBars(
                f"No session of {symbol} can be simulated between {first} and {last}: one on or after {EPOCH}, in the "
                "years for which its exchange's holidays are known, was needed. Name another date."
            )
        process = self._parameters
        if calendar.calendar_name(symbol) in (calendar.ALWAYS_OPEN, calendar.WEEKDAYS):
            process = replace(process, overnight=0.0)
        bars = _bars(symbol, len(sessions), start, process)
        bars.insert(0, "session_date", np.array(sessions[start:], dtype="datetime64[s]"))
        return Bars(symbol, bars, simulated=True)


class Oracle:
    """The true distribution of simulated bars, as a predictor; see `domain.forecast.Predictor`.

    It knows the process and the variance of the next return. The quantiles of the sum of ten returns have no closed
    form: they are drawn once for a grid of variances, and interpolated.
    """

    name = "oracle"
    version = "1"
    horizon = DAILY.horizon
    min_sessions = 1

    def __init__(self, parameters: Parameters = DEFAULTS) -> None:
        self._parameters = parameters
        self._grid = np.geomspace(parameters.variance / _CALMEST, parameters.variance * _WILDEST, _GRID)
        self._quantiles = _drawn_quantiles(self._grid, parameters)

    def predict(self, series: Sequence[Bars]) -> NDArray[np.float64]:
        """Return the true quantiles of the log-returns that follow each series; see `Predictor.predict`.

        Raises:
            UsageError: a series is not simulated.
        """
        _check(series)
        at = np.interp(np.log(self._variances(series)), np.log(self._grid), np.arange(_GRID))
        low = np.minimum(at.astype(np.intp), _GRID - 2)
        share = (at - low)[:, None, None]
        quantiles: NDArray[np.float64] = (1 - share) * self._quantiles[low] + share * self._quantiles[low + 1]
        return quantiles

    def _variances(self, series: Sequence[Bars]) -> NDArray[np.float64]:
        """The variance of the return that follows each series: `(n,)`."""
        variances = np.empty(len(series))
        for symbol in {bars.symbol for bars in series}:
            rows = [row for row, bars in enumerate(series) if bars.symbol == symbol]
            cutoffs = [series[row].cutoff for row in rows]
            sessions = calendar.sessions_between(symbol, EPOCH, max(cutoffs))
            _, path = simulate(symbol, len(sessions), self._parameters)
            variances[rows] = path[[bisect_right(sessions, cutoff) for cutoff in cutoffs]]
        return variances


def _check(series: Sequence[Bars]) -> None:
    for bars in series:
        if not bars.simulated:
            raise UsageError(
                f"The bars of {bars.symbol} are real, and the oracle knows the simulated ones only. "
                "Name the source simulated."
            )


def _drawn_quantiles(variances: NDArray[np.float64], process: Parameters) -> NDArray[np.float64]:
    """The quantiles of the log-return over each of the next sessions: `(variances, horizon, quantiles)`."""
    t = np.random.default_rng(0).standard_t(process.nu, (DAILY.horizon, _PATHS))
    t *= np.sqrt((process.nu - 2) / process.nu)
    factors = process.beta + (process.alpha + process.gamma * (t < 0)) * t**2
    quantiles = np.empty((len(variances), DAILY.horizon, len(QUANTILES)))
    for row, variance in enumerate(variances):
        h, total = np.full(_PATHS, variance), np.zeros(_PATHS)
        for step in range(DAILY.horizon):
            total += process.mean + np.sqrt(h) * t[step]
            quantiles[row, step] = np.quantile(total, QUANTILES)
            h = process.omega + factors[step] * h
    return quantiles


def _bars(symbol: str, count: int, start: int, process: Parameters) -> pd.DataFrame:
    returns, h = simulate(symbol, count, process)
    start_price, usual_volume = np.exp(_stream(symbol, _SCALES).uniform(*np.log([_START_PRICE, _USUAL_VOLUME]).T))
    closes = start_price * np.exp(np.concatenate([[0.0], np.cumsum(returns)]))[start:]
    returns, h = returns[start:], h[start:-1]
    gaps = _gaps(returns, h, process.overnight, _stream(symbol, _GAPS).standard_normal(count)[start:])
    day, day_variance = returns - gaps, (1 - process.overnight) * h
    opens = closes[:-1] * np.exp(gaps)
    highs = opens * np.exp(_maximum(day, day_variance, _stream(symbol, _HIGHS).random(count)[start:]))
    lows = opens * np.exp(-_maximum(-day, day_variance, _stream(symbol, _LOWS).random(count)[start:]))
    surprise = np.minimum(np.abs(returns) / np.sqrt(process.variance), _BUSIEST)
    noise = _stream(symbol, _VOLUMES).standard_normal(count)[start:]
    volume = usual_volume * np.exp(process.volume_slope * surprise + process.volume_noise * noise)
    prices = np.column_stack([opens, highs, lows, closes[1:], closes[1:]]).round(8)
    bars = pd.DataFrame(prices, columns=["open", "high", "low", "close", "adj_close"])
    return bars.assign(volume=volume.round())


def _gaps(
    ends: NDArray[np.float64], variance: NDArray[np.float64], share: float, normal: NDArray[np.float64]
) -> NDArray[np.float64]:
    # The position of Brownian paths that end at `ends`, after that share of their variance.
    return share * ends + np.sqrt(share * (1 - share) * variance) * normal


def _maximum(
    ends: NDArray[np.float64], variance: NDArray[np.float64], uniform: NDArray[np.float64]
) -> NDArray[np.float64]:
    # The maximum of Brownian paths that end at `ends`: P(maximum > x) = exp(-2 x (x - end) / variance), solved for x.
    maximum: NDArray[np.float64] = (ends + np.sqrt(ends**2 - 2 * variance * np.log1p(-uniform))) / 2
    return maximum


def _stream(symbol: str, purpose: int) -> np.random.Generator:
    return np.random.default_rng([zlib.crc32(symbol.encode()), purpose])
