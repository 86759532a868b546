"""A forecast is a value: ten target dates, and the quantiles of the close at each.

>>> flat = np.zeros((HORIZON, len(QUANTILES)))
>>> targets = tuple(date(2023, 8, day) for day in range(1, 11))
>>> rows([Forecast("MSFT", date(2023, 7, 31), 335.92, targets, flat, "random-walk", "1")])["close_median"].tolist()[:2]
[335.92, 335.92]
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tickercast.domain.bars import History

HORIZON = 10
"""Steps of a forecast, in sessions of the symbol's own exchange."""

RANDOM_WALK = "random-walk"
"""The name of the model that every other one is measured against."""

SHADOW = "shadow"
"""The name under which a former champion's forecasts are stored beside those of the one that replaced it."""

QUANTILES = (0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.975)
"""The probabilities that every model answers, and is measured at."""

LEVELS = {
    "close_median": 0.5,
    "close_lo_80": 0.1,
    "close_hi_80": 0.9,
    "close_lo_95": 0.025,
    "close_hi_95": 0.975,
}
"""The stored quantiles: column name to probability."""

_STORED = [QUANTILES.index(level) for level in LEVELS.values()]


class Predictor(Protocol):
    """A model that is ready to predict; an untrained one has another type."""

    @property
    def name(self) -> str:
        """The registered model's name."""

    @property
    def version(self) -> str:
        """The registered version."""

    @property
    def min_sessions(self) -> int:
        """The shortest history that it takes."""

    def predict(self, histories: Sequence[History]) -> NDArray[np.float64]:
        """Predicts every history from its last bar.

        Args:
            histories: n of them, none shorter than `min_sessions`.

        Returns:
            `(n, HORIZON, len(QUANTILES))`: quantiles of the log-return from the last close to the close of
            each step, in the order of `QUANTILES`.
        """


class RollingPredictor(Predictor, Protocol):
    """A model that can also predict from many sessions of one history at once, which is much faster."""

    def predict_at(self, history: History, at: NDArray[np.intp]) -> NDArray[np.float64]:
        """Predicts from several bars, from each as `predict` would from a history that ends there.

        Args:
            history: the bars.
            at: `(n,)`, rows of the bars, none before the `min_sessions`-th.

        Returns:
            `(n, HORIZON, len(QUANTILES))`, as `predict` gives them.
        """


def stored(quantiles: NDArray[np.float64]) -> NDArray[np.float64]:
    """Picks what is stored, in the order of `LEVELS`: `(..., len(QUANTILES))` to `(..., len(LEVELS))`."""
    picked: NDArray[np.float64] = quantiles[..., _STORED]
    return picked


@dataclass(frozen=True)
class Forecast:
    """The distribution of the next ten closes of one symbol, by one model.

    Attributes:
        symbol: the series.
        cutoff: the forecast origin.
        last_close: the close there, in the symbol's currency.
        target_dates: the next `HORIZON` sessions.
        log_returns: `(HORIZON, len(QUANTILES))`, quantiles in the order of `QUANTILES`.
        model_name: who made it.
        model_version: which version of it.
    """

    symbol: str
    cutoff: date
    last_close: float
    target_dates: tuple[date, ...]
    log_returns: NDArray[np.float64]
    model_name: str
    model_version: str


def rows(forecasts: Sequence[Forecast]) -> pd.DataFrame:
    """The rows of the `forecasts` table: one a forecast and step, in that order, with the table's column names."""
    last_closes = np.array([made.last_close for made in forecasts])
    log_returns = np.array([made.log_returns for made in forecasts]).reshape(-1, HORIZON, len(QUANTILES))
    closes = last_closes[:, None, None] * np.exp(stored(log_returns))
    once = pd.DataFrame(
        {
            "symbol": [made.symbol for made in forecasts],
            "cutoff": [made.cutoff for made in forecasts],
            "last_close": last_closes,
            "model_name": [made.model_name for made in forecasts],
            "model_version": [made.model_version for made in forecasts],
        }
    )
    return once.loc[once.index.repeat(HORIZON)].assign(
        step=np.tile(np.arange(1, HORIZON + 1), len(once)),
        target_date=[day for made in forecasts for day in made.target_dates],
        **dict(zip(LEVELS, closes.reshape(-1, len(LEVELS)).T, strict=True)),
    )
