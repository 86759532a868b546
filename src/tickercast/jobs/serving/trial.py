"""Predict with models that are served, and refuse what no forecast can be made of.

A damaged network may load and answer NaN. Whoever serves it learns of that from one trial forecast, and an event that
meets it fails: nothing is stored, and the same event makes the forecasts once another version is served.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tickercast.domain.bars import Bars
from tickercast.domain.forecast import Predictor, checked
from tickercast.domain.frequency import Frequency
from tickercast.errors import BundleError, UsageError


def answers(model: Predictor, series: Sequence[Bars], remedy: str) -> NDArray[np.float64]:
    """Predict every series by a model that is served.

    Args:
        model: the model.
        series: n of them, none shorter than `min_sessions`.
        remedy: what to do if its answers are no forecasts, as a sentence.

    Returns:
        `(n, horizon, len(QUANTILES))`, as `Predictor.predict`.

    Raises:
        BundleError: these are no finite log-returns of that shape, or they fall from one quantile to the next.
    """
    made = model.predict(series)
    try:
        return checked(model, made, len(series), remedy)
    except UsageError as error:
        raise BundleError(str(error)) from error


def try_out(model: Predictor, frequency: Frequency, remedy: str) -> None:
    """Make one forecast of made-up bars, which is stored nowhere.

    Args:
        model: the model.
        frequency: of the bars.
        remedy: what to do if it fails, as a sentence.

    Raises:
        BundleError: no forecast can be made of what it answers.
    """
    answers(model, [_daily(model.min_sessions) if frequency.is_daily else _hourly()], remedy)


def serve_another(frequency: Frequency) -> str:
    """The remedy for a champion that makes no forecasts."""
    every = "" if frequency.is_daily else f" --every {frequency}"
    return f"Serve another version: tickercast rollback{every}."


def _daily(sessions: int) -> Bars:
    days = np.datetime64("2000-01-03", "D") + np.arange(sessions)
    prices = _prices(sessions)
    return Bars(_SYMBOL, {"session_date": days, **prices, "adj_close": prices["close"], "volume": np.ones(sessions)})


def _hourly() -> Bars:
    from tickercast.domain.hourly.hours import WANTED, hourly_bars

    ends = np.datetime64("2000-01-03T01", "h") + np.arange(WANTED)
    return hourly_bars(_SYMBOL, ends, _prices(WANTED), np.ones(WANTED))


def _prices(count: int) -> dict[str, NDArray[np.float64]]:
    """Prices near 100 that move by about a percent, all others within the bar of their close."""
    close = 100 * np.exp(0.01 * np.sin(np.arange(count)))
    return {"open": close, "high": 1.005 * close, "low": 0.995 * close, "close": close}


_SYMBOL = "TRIAL"
