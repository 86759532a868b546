"""The width of an interval as exact factors, whose product it is.

>>> days = np.busday_offset("2020-01-01", np.arange(300), roll="forward")
>>> close = np.exp(np.cumsum(0.01 * np.where(np.arange(300) % 2, 1.0, -1.0)))
>>> bars = Bars("MSFT", {"session_date": days, "close": close, "adj_close": close})
>>> found = width_of(bars, 0.05, step=4)
>>> round(found.usual, 4), round(found.now, 3), round(found.model, 3), round(found.usual * found.now * found.model, 4)
(0.0457, 1.0, 1.093, 0.05)
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tickercast.domain.bars import Bars
from tickercast.domain.distribution import student5
from tickercast.domain.learning.features import EWMA_DECAY
from tickercast.errors import TooFewSessions

YEAR = 250
"""Sessions that are usual."""

_FEWEST = 61
_TENTH = float(student5(np.array([0.9]))[0])


@dataclass(frozen=True)
class Width:
    """An 80% interval's width as a product of three factors.

    Attributes:
        step: the step of the interval.
        width: the width in log-returns, from end to end: `usual · now · model`.
        usual: the width that the volatility of the symbol's year gives, by Student's t and √step.
        now: today's volatility, RiskMetrics', over that of the year.
        model: the factor that the model applies.
        sigma: today's volatility of one session, in log-returns.
        sigmas: `(sessions,)`, the volatility of each session of the year, the oldest first.
    """

    step: int
    width: float
    usual: float
    now: float
    model: float
    sigma: float
    sigmas: tuple[float, ...]

    @property
    def rank(self) -> float:
        """The share of the year's sessions that were calmer than today."""
        return float(np.mean(np.array(self.sigmas) < self.sigma))


def width_of(bars: Bars, width: float, *, step: int) -> Width:
    """Explain a width.

    Args:
        bars: the series up to the cutoff; what lies before a gap of more than a month does not count.
        width: the width of the 80% interval at the step, in log-returns.
        step: the step.

    Raises:
        TooFewSessions: the series has fewer than 61 sessions, or never moves.
    """
    bars = bars.stretches[-1]
    returns = np.diff(np.log(bars.columns["adj_close"][-4 * YEAR :]))
    year = float(np.sqrt(np.mean(returns[-YEAR:] ** 2))) if len(returns) else 0.0
    if len(returns) < _FEWEST - 1 or year == 0:
        raise TooFewSessions(
            f"{bars.symbol} has {len(bars)} session(s) in a row that are stored: at least {_FEWEST} that move were "
            "needed to say why its interval is so wide."
        )
    sigmas = _sigmas(returns).tolist()
    usual = 2 * _TENTH * year * step**0.5
    now = sigmas[-1] / year
    return Width(step, width, usual, now, width / (usual * now), sigmas[-1], tuple(sigmas[-YEAR:]))


def usual_widths(closes: NDArray[np.float64], *, step: int) -> NDArray[np.float64]:
    """The width of the 80% interval that each session's volatility gave, by RiskMetrics, Student's t and √step.

    >>> usual_widths(100 * np.exp(np.cumsum(0.01 * np.where(np.arange(300) % 2, 1.0, -1.0))), step=10)[-1].round(4)
    np.float64(0.0723)

    Args:
        closes: `(n,)`, adjusted, the oldest first.
        step: the number of sessions ahead at which the interval lies.

    Returns:
        Shares of the close, from end to end, of up to `YEAR` sessions; none where fewer than 61 are known, or the
        series never moves.
    """
    returns = np.diff(np.log(closes[-4 * YEAR :]))
    if len(returns) < _FEWEST - 1 or not returns[-YEAR:].any():
        return np.empty(0)
    sigmas = _sigmas(returns)[_FEWEST - 2 :][-YEAR:]
    widths: NDArray[np.float64] = 2 * np.sinh(_TENTH * sigmas * step**0.5)
    return widths


def _sigmas(returns: NDArray[np.float64]) -> NDArray[np.float64]:
    """RiskMetrics' volatility of each of at most some thousand sessions, in log-returns."""
    squares, weights = returns**2, EWMA_DECAY ** np.arange(1, len(returns) + 1)
    variance = weights * (np.mean(squares[: _FEWEST - 1]) + (1 - EWMA_DECAY) * np.cumsum(squares / weights))
    sigmas: NDArray[np.float64] = np.sqrt(variance)
    return sigmas
