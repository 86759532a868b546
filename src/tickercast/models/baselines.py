"""Baselines: the usual volatility models, which learn nothing, or next to nothing, and cost no time.

All of them leave the median at the last close, or nearly so, and differ in the width of the cone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from tickercast.domain.bars import Bars, tails
from tickercast.domain.distribution import student5
from tickercast.domain.forecast import BASELINE_VERSION, QUANTILES, RANDOM_WALK
from tickercast.domain.frequency import DAILY
from tickercast.domain.learning import features
from tickercast.errors import TooFewSessions

Floats = NDArray[np.float64]

_LEVELS = np.array(QUANTILES)


@dataclass(frozen=True)
class RandomWalk:
    """Log-returns are Gaussian with mean 0 and σ60·√step: the best guess of tomorrow's close is today's.

    It needs no training and is forecast beside every champion, so that skill can be measured at any later time.

    >>> RandomWalk().name, RandomWalk().predict([]).shape
    ('random-walk', (0, 10, 13))
    """

    horizon: int = DAILY.horizon
    name: str = RANDOM_WALK
    version: str = BASELINE_VERSION
    min_sessions: int = 61

    def predict(self, series: Sequence[Bars]) -> Floats:
        """Predict every series from its last bar; see `Predictor.predict`.

        Raises:
            TooFewSessions: a series is shorter than `min_sessions`.
        """
        features.check_length(series, self.min_sessions)
        closes = tails(series, ["adj_close"], self.min_sessions)["adj_close"]
        returns = np.diff(np.log(closes))
        gaussian = np.array([NormalDist().inv_cdf(level) for level in QUANTILES])
        return _cone(np.sqrt(np.mean(returns**2, axis=1)), gaussian, self.horizon)


@dataclass(frozen=True)
class EwmaT:
    """RiskMetrics σ (λ = 0.94), Student's t with five degrees of freedom, √step.

    >>> EwmaT().name, EwmaT().predict([]).shape
    ('ewma-t', (0, 10, 13))
    """

    horizon: int = DAILY.horizon
    name: str = "ewma-t"
    version: str = BASELINE_VERSION
    min_sessions: int = features.MIN_SESSIONS

    def predict(self, series: Sequence[Bars]) -> Floats:
        """Predict every series from its last bar; see `Predictor.predict`."""
        return _cone(features.latest(series).sigma_ewma, student5(_LEVELS), self.horizon)


@dataclass(frozen=True)
class EwmaFhs:
    """Filtered historical simulation: the same σ times pooled quantiles of the past, the best of the fast baselines.

    It is Barone-Adesi, Giannopoulos and Vosper, VaR without correlations for portfolios of derivative securities
    (Journal of Futures Markets, 1999), with an EWMA filter.

    Attributes:
        quantiles: `(horizon, len(QUANTILES))`, of log-returns over σ·√step.
    """

    quantiles: Floats
    name: str = "ewma-fhs"
    version: str = BASELINE_VERSION
    min_sessions: int = features.MIN_SESSIONS

    @classmethod
    def fit(cls, series: Sequence[Bars], through: date, horizon: int = DAILY.horizon) -> "EwmaFhs":
        """Pool the standardised returns of all series; nothing after `through` is used.

        Raises:
            TooFewSessions: no series reaches back far enough.
        """
        parts = [_standardised(bars, through, horizon) for bars in series]
        pooled = np.concatenate([np.empty((0, horizon)), *parts])
        if not len(pooled):
            raise TooFewSessions(
                f"No symbol has {features.MIN_SESSIONS + horizon} sessions up to {through}, and past returns were "
                "needed to set the quantiles of ewma-fhs. Give data that begins earlier, or a later first date."
            )
        return cls(np.quantile(pooled, _LEVELS, axis=0).T)

    @property
    def horizon(self) -> int:
        """The number of steps of a forecast."""
        return len(self.quantiles)

    def predict(self, series: Sequence[Bars]) -> Floats:
        """Predict every series from its last bar; see `Predictor.predict`."""
        return _cone(features.latest(series).sigma_ewma, self.quantiles, self.horizon)


@dataclass(frozen=True)
class HistoricalSimulation:
    """The quantiles of the last 250 log-returns, √step.

    >>> HistoricalSimulation().name, HistoricalSimulation().predict([]).shape
    ('historical-simulation', (0, 10, 13))
    """

    horizon: int = DAILY.horizon
    name: str = "historical-simulation"
    version: str = BASELINE_VERSION
    min_sessions: int = 251

    def predict(self, series: Sequence[Bars]) -> Floats:
        """Predict every series from its last bar; see `Predictor.predict`."""
        features.check_length(series, self.min_sessions)
        quantiles = [np.quantile(log_returns(bars, self.min_sessions), _LEVELS) for bars in series]
        return _cone(np.ones(len(series)), np.array(quantiles).reshape(-1, 1, len(_LEVELS)), self.horizon)


def log_returns(bars: Bars, sessions: int) -> Floats:
    """The log-returns between the last `sessions` closes, dividends and spin-offs taken out: `(sessions − 1,)`."""
    return np.diff(np.log(bars.columns["adj_close"][-sessions:]))


def _root(horizon: int) -> Floats:
    return np.sqrt(np.arange(1, horizon + 1))


def _cone(sigma: Floats, quantiles: Floats, horizon: int) -> Floats:
    """sigma·√step times the quantiles: `(n, horizon, len(QUANTILES))`."""
    cone: Floats = sigma[:, None, None] * _root(horizon)[:, None] * quantiles
    return cone


def _standardised(bars: Bars, through: date, horizon: int) -> Floats:
    known = bars.through(through)
    if len(known) < features.MIN_SESSIONS + horizon:
        return np.empty((0, horizon))
    panel = features.panel(known)
    at = np.arange(features.MIN_SESSIONS - 1, len(known) - horizon)
    moves = panel.log_close[at[:, None] + np.arange(1, horizon + 1)] - panel.log_close[at, None]
    standardised: Floats = moves / (panel.sigma_ewma[at, None] * _root(horizon))
    return standardised
