"""The statistical models: fitted to one series at a time, as their users fit them, and available to a backtest.

Each fits the log of `adj_close` anew for every series, in tens of milliseconds, so a backtest uses them only on request
and on a sample of its origins. Their packages are optional, and imported only where a model is created or fitted.

GARCH sees the last 1,000 sessions, which it needs to estimate how its variance follows shocks. The others give all of
their past the same width, and a year serves each of them best: on 37 American stocks, 2010 to 2018, ETS reached 1.010
of the loss of EWMA-t with 251 sessions, 1.028 with 500 and 1.055 with 1,000.

A fit that does not converge still gives an answer, which counts as the model's own. A fit that fails, or whose answer
is not a distribution, raises an error that names symbol and cutoff: leaving it out would flatter the model in a
backtest.

One fit runs at a time, whatever thread asks for it: warnings, and NumPy's generator, from which two of the packages
draw, belong to the whole process.
"""

import importlib.util
import logging
import tempfile
import threading
import warnings
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tickercast.domain import calendar
from tickercast.domain.bars import Bars
from tickercast.domain.forecast import BASELINE_VERSION, QUANTILES
from tickercast.domain.frequency import DAILY
from tickercast.domain.learning.features import check_length
from tickercast.errors import Permanent, not_installed
from tickercast.models.baselines import log_returns

Floats = NDArray[np.float64]

_YEAR = 251  # sessions
_FITTING = threading.Lock()
_NOISY = ("cmdstanpy", "prophet", "prophet.models", "prophet.plot")  # the packages' loggers
_LEVELS = np.array(QUANTILES)
_INTERVALS = [round(abs(200 * level - 100)) for level in QUANTILES]
"""The interval that each quantile bounds, in percent: 95 for 0.025 and 0.975."""


class _StatisticalModel(ABC):
    """The base of the statistical models, which fit the last `tail` sessions of one series after another, silently.

    Attributes:
        tail: the most sessions that a fit uses.
        package: the package that implements the model.
    """

    name: str
    version = BASELINE_VERSION
    min_sessions = _YEAR  # as historical simulation needs, so that a backtest has the same origins
    tail: int = _YEAR
    package: str

    def __init__(self, horizon: int = DAILY.horizon) -> None:
        """Check that the package is installed.

        Raises:
            UsageError: the package is not installed.
        """
        self.horizon = horizon
        if importlib.util.find_spec(self.package) is None:
            raise not_installed(f"The model {self.name}", [self.package], "peers")

    def predict(self, series: Sequence[Bars]) -> Floats:
        """Fit and predict every series from its last bar; see `Predictor.predict`.

        Raises:
            TooFewSessions: a series is shorter than `min_sessions`.
            Permanent: a fit failed.
        """
        check_length(series, self.min_sessions)
        made = [self._checked(bars) for bars in series]
        return np.array(made).reshape(-1, self.horizon, len(_LEVELS))

    def _checked(self, bars: Bars) -> Floats:
        try:
            with _FITTING, _silence(), _seeded(_seed(bars)):
                quantiles = self._quantiles(bars)
        except Permanent:
            raise
        except Exception as error:  # whatever the package raises
            raise self._failure(bars, f"{type(error).__name__}: {error}") from error
        if not (np.isfinite(quantiles).all() and (np.diff(quantiles) > 0).all()):
            raise self._failure(bars, "its quantiles are not finite and rising")
        return quantiles

    def _failure(self, bars: Bars, reason: str) -> Permanent:
        return Permanent(
            f"The model {self.name} cannot be fitted to {bars.symbol} up to {bars.cutoff} ({reason[:200]}). "
            "Leave out the symbol or the model."
        )

    @abstractmethod
    def _quantiles(self, bars: Bars) -> Floats:
        """The quantiles of the log-returns from the last close, `(horizon, len(QUANTILES))`."""


class Garch(_StatisticalModel):
    """GARCH(1,1) of Bollerslev (Journal of Econometrics, 1986), Student's t, constant mean, by maximum likelihood.

    Returns are in percent, where the optimiser works best. The sum of several returns has no closed form: with
    t shocks and a variance that follows them, its tails lie between those of t and Gauss, so σ·√step times either
    would be wrong. Its quantiles are drawn from 10,000 paths, each used with its mirror image, since
    shocks are symmetric and the variance ignores their sign. The seed depends only on symbol and cutoff.
    """

    name = "garch"
    tail = 1000
    package = "arch"
    paths = 10_000

    def _quantiles(self, bars: Bars) -> Floats:
        from arch.univariate import GARCH, ConstantMean, StudentsT

        # The seed goes to the distribution: `random_state` of `forecast` has no effect on a simulation.
        shocks = StudentsT(seed=_seed(bars))
        model = ConstantMean(100 * log_returns(bars, self.tail), volatility=GARCH(1, 0, 1), distribution=shocks)
        fitted = model.fit(disp="off", show_warning=False)
        drawn = fitted.forecast(horizon=self.horizon, method="simulation", simulations=self.paths)
        drift = fitted.params["mu"] * np.arange(1, self.horizon + 1)[:, None]
        moves = np.cumsum(np.asarray(drawn.simulations.values)[0], axis=1).T - drift
        quantiles: Floats = (drift + np.quantile(np.hstack([moves, -moves]), _LEVELS, axis=1).T) / 100
        return quantiles


class _StatsForecast(_StatisticalModel):
    """The base of the models from statsforecast.

    The log price is taken relative to the last close. That makes the forecast independent of the currency's unit, and
    keeps multiplicative errors, which mean nothing on a log scale, out of the search. Errors are Gaussian: the mean is
    the median, and a quantile lies half the width of its prediction interval from it.
    """

    package = "statsforecast"

    def _quantiles(self, bars: Bars) -> Floats:
        log_close = _log_close(bars, self.tail)
        levels = sorted(set(_INTERVALS) - {0})
        made = self._model().forecast(y=log_close - log_close[-1], h=self.horizon, level=levels)
        half = {level: (np.asarray(made[f"hi-{level}"]) - np.asarray(made[f"lo-{level}"])) / 2 for level in levels}
        half[0] = np.zeros(self.horizon)
        mean = np.asarray(made["mean"], dtype=np.float64)
        columns = [
            mean + np.sign(level - 0.5) * half[interval] for level, interval in zip(QUANTILES, _INTERVALS, strict=True)
        ]
        return np.column_stack(columns)

    @abstractmethod
    def _model(self) -> Any:
        """Create the model, not yet fitted."""


class AutoArima(_StatsForecast):
    """ARIMA with orders by Hyndman and Khandakar (Journal of Statistical Software, 2008)."""

    name = "auto-arima"

    def _model(self) -> Any:
        from statsforecast.models import AutoARIMA

        return AutoARIMA(season_length=1)


class AutoEts(_StatsForecast):
    """Exponential smoothing, its form by Hyndman, Koehler, Snyder and Grose (Int. Journal of Forecasting, 2002)."""

    name = "auto-ets"

    def _model(self) -> Any:
        from statsforecast.models import AutoETS

        return AutoETS(season_length=1)


class AutoTheta(_StatsForecast):
    """The Theta method, its form by Fiorucci and others (International Journal of Forecasting, 2016)."""

    name = "auto-theta"

    def _model(self) -> Any:
        from statsforecast.models import AutoTheta

        return AutoTheta(season_length=1)


class Prophet(_StatisticalModel):
    """Prophet of Taylor and Letham (The American Statistician, 2018) with its defaults, on session dates.

    Trend and seasons are extrapolated from a fitted curve, not from the last close. With less than two years
    of data, as here, its defaults have no yearly season. Quantiles are those of its own draws; the seed depends only on
    symbol and cutoff.
    """

    name = "prophet"
    package = "prophet"
    draws = 2000

    def _quantiles(self, bars: Bars) -> Floats:
        import prophet

        log_close = _log_close(bars, self.tail)
        past = pd.DataFrame({"ds": bars.columns["session_date"][-self.tail :], "y": log_close})
        targets = calendar.next_sessions(bars.symbol, bars.cutoff, self.horizon)
        model = prophet.Prophet(uncertainty_samples=self.draws)
        with tempfile.TemporaryDirectory(
            prefix="tickercast-"
        ) as folder:  # otherwise each fit leaves files until the process ends
            model.fit(past, seed=1, output_dir=folder)
        drawn = model.predictive_samples(pd.DataFrame({"ds": pd.to_datetime(list(targets))}))["yhat"]
        quantiles: Floats = np.quantile(drawn, _LEVELS, axis=1).T - log_close[-1]
        return quantiles


ALL: tuple[type[_StatisticalModel], ...] = (Garch, AutoArima, AutoEts, AutoTheta, Prophet)
"""Every statistical model."""


def _log_close(bars: Bars, sessions: int) -> Floats:
    """The log of the last `sessions` closes, adjusted for dividends and spin-offs."""
    log_close: Floats = np.log(bars.columns["adj_close"][-sessions:])
    return log_close


def _seed(bars: Bars) -> int:
    return zlib.crc32(f"{bars.symbol} {bars.cutoff}".encode())


@contextmanager
def _silence() -> Iterator[None]:
    """Suppress warnings and logs of a fit: only its answer counts. Loggers of others go on."""
    noisy = [logging.getLogger(name) for name in _NOISY]
    before = [logger.disabled for logger in noisy]
    for logger in noisy:
        logger.disabled = True
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, disabled in zip(noisy, before, strict=True):
            logger.disabled = disabled


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed NumPy's global generator, which two of the packages draw from, and restore its state afterwards."""
    state = np.random.get_state()
    np.random.seed(seed)
    try:
        yield
    finally:
        np.random.set_state(state)
