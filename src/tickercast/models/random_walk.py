"""The random walk: tomorrow's best guess is today's close, and uncertainty grows with the root of time.

It needs no training and is forecast beside every champion, so that skill can be computed for ever after.
"""

from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from tickercast.domain.bars import History
from tickercast.domain.features import check_length
from tickercast.domain.forecast import HORIZON, QUANTILES, RANDOM_WALK

MIN_SESSIONS = 61
"""Sixty log-returns."""


class RandomWalk:
    """Log-returns are Gaussian with mean 0 and σ60·√step.

    >>> RandomWalk().name, RandomWalk().predict([]).shape
    ('random-walk', (0, 10, 13))
    """

    name = RANDOM_WALK
    version = "1"
    min_sessions = MIN_SESSIONS

    def predict(self, histories: Sequence[History]) -> NDArray[np.float64]:
        """Predicts every history from its last bar; see `Predictor.predict`.

        Raises:
            TooFewSessions: a history is shorter than `min_sessions`.
        """
        check_length(histories, self.min_sessions)
        sigma = _sigma60(histories)
        steps = np.sqrt(np.arange(1, HORIZON + 1))
        gaussian = np.array([NormalDist().inv_cdf(level) for level in QUANTILES])
        quantiles: NDArray[np.float64] = sigma[:, None, None] * steps[:, None] * gaussian
        return quantiles


def _sigma60(histories: Sequence[History]) -> NDArray[np.float64]:
    """Root mean square of the last sixty log-returns of each, dividends and spin-offs taken out: `(n,)`."""
    closes = np.array([history.bars["adj_close"].to_numpy()[-MIN_SESSIONS:] for history in histories])
    log_returns = np.diff(np.log(closes.reshape(-1, MIN_SESSIONS)))
    sigma: NDArray[np.float64] = np.sqrt(np.mean(log_returns**2, axis=1))
    return sigma
