"""What users would pick instead: the usual volatility models, as predictors.

All of them leave the median at the last close, or nearly so, and differ in the width of the cone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from tickercast.domain import features
from tickercast.domain.bars import History
from tickercast.domain.forecast import HORIZON, QUANTILES
from tickercast.errors import TooFewSessions

Floats = NDArray[np.float64]

_ROOT = np.sqrt(np.arange(1, HORIZON + 1))
_LEVELS = np.array(QUANTILES)


class EwmaT:
    """RiskMetrics σ (λ = 0.94), Student's t with five degrees of freedom, √step.

    >>> EwmaT().name, EwmaT().predict([]).shape
    ('ewma-t', (0, 10, 13))
    """

    name = "ewma-t"
    version = "1"
    min_sessions = features.MIN_SESSIONS

    def predict(self, histories: Sequence[History]) -> Floats:
        """Predicts every history from its last bar; see `Predictor.predict`."""
        return _cone(features.latest(histories).sigma_ewma, student5(_LEVELS))


@dataclass(frozen=True)
class EwmaFhs:
    """Filtered historical simulation: the same σ times pooled quantiles of the past, the best of the fast baselines.

    It is Barone-Adesi, Giannopoulos and Vosper, VaR without correlations for portfolios of derivative securities
    (Journal of Futures Markets, 1999), with an EWMA filter.

    Attributes:
        quantiles: `(HORIZON, len(QUANTILES))`, of log-returns over σ·√step.
    """

    quantiles: Floats
    name: str = "ewma-fhs"
    version: str = "1"
    min_sessions: int = features.MIN_SESSIONS

    @classmethod
    def fit(cls, histories: Sequence[History], through: date) -> "EwmaFhs":
        """Pools the standardised returns of all histories; nothing after `through` is used.

        Raises:
            TooFewSessions: no history reaches back far enough.
        """
        parts = [_standardised(history, through) for history in histories]
        pooled = np.concatenate([np.empty((0, HORIZON)), *parts])
        if not len(pooled):
            raise TooFewSessions(
                f"No symbol has {features.MIN_SESSIONS + HORIZON} sessions up to {through}, and past returns were "
                "needed to set the quantiles of ewma-fhs. Give data that begins earlier, or a later first date."
            )
        return cls(np.quantile(pooled, _LEVELS, axis=0).T)

    def predict(self, histories: Sequence[History]) -> Floats:
        """Predicts every history from its last bar; see `Predictor.predict`."""
        return _cone(features.latest(histories).sigma_ewma, self.quantiles)


class HistoricalSimulation:
    """The quantiles of the last 250 log-returns, √step.

    >>> HistoricalSimulation().name, HistoricalSimulation().predict([]).shape
    ('historical-simulation', (0, 10, 13))
    """

    name = "historical-simulation"
    version = "1"
    min_sessions = 251

    def predict(self, histories: Sequence[History]) -> Floats:
        """Predicts every history from its last bar; see `Predictor.predict`."""
        features.check_length(histories, self.min_sessions)
        quantiles = [np.quantile(log_returns(history, self.min_sessions), _LEVELS) for history in histories]
        return _cone(np.ones(len(histories)), np.array(quantiles).reshape(-1, 1, len(_LEVELS)))


def log_returns(history: History, sessions: int) -> Floats:
    """The log-returns between the last `sessions` closes, dividends and spin-offs taken out: `(sessions − 1,)`."""
    return np.diff(np.log(history.bars["adj_close"].to_numpy()[-sessions:]))


def student5(levels: Floats) -> Floats:
    """Quantiles of Student's t with five degrees of freedom, scaled to unit variance.

    Its distribution function is 1/2 + (θ + sin θ·(cos θ + 2/3·cos³ θ))/π with θ = arctan(t/√5) (Abramowitz and Stegun,
    26.7.3); it is inverted by bisection over θ.

    >>> student5(np.array([0.1, 0.9, 0.975])).round(3).tolist()
    [-1.143, 1.143, 1.991]
    """
    low, high = np.full(levels.shape, -np.pi / 2), np.full(levels.shape, np.pi / 2)
    for _ in range(60):
        angle = (low + high) / 2
        below = 0.5 + (angle + np.sin(angle) * (np.cos(angle) + 2 / 3 * np.cos(angle) ** 3)) / np.pi < levels
        low, high = np.where(below, angle, low), np.where(below, high, angle)
    quantiles: Floats = np.sqrt(5) * np.tan((low + high) / 2) * np.sqrt(3 / 5)
    return quantiles


def _cone(sigma: Floats, quantiles: Floats) -> Floats:
    """sigma·√step times the quantiles: `(n, HORIZON, len(QUANTILES))`."""
    cone: Floats = sigma[:, None, None] * _ROOT[:, None] * quantiles
    return cone


def _standardised(history: History, through: date) -> Floats:
    known = History(history.symbol, history.bars[history.bars["session_date"].dt.date <= through])
    if len(known) < features.MIN_SESSIONS + HORIZON:
        return np.empty((0, HORIZON))
    panel = features.panel(known)
    at = np.arange(features.MIN_SESSIONS - 1, len(known) - HORIZON)
    moves = panel.log_close[at[:, None] + np.arange(1, HORIZON + 1)] - panel.log_close[at, None]
    standardised: Floats = moves / (panel.sigma_ewma[at, None] * _ROOT)
    return standardised
