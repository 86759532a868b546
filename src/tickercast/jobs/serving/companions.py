"""Forecast with the companions, which can neither fail the champion nor hold it up beyond a deadline.

Their rows are stored in the same write as the champion's. Whatever one of them cannot forecast in time is left out, and
a finding in the ledger says so.
"""

import contextvars
import logging
import threading
from collections.abc import Sequence
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from tickercast.domain.bars import Bars
from tickercast.domain.findings import Finding, no_forecast
from tickercast.domain.forecast import QUANTILES, Predictor, Served
from tickercast.errors import Permanent

log = logging.getLogger(__name__)

LogReturns = NDArray[np.float64]
"""`(horizon, len(QUANTILES))`, from the last close."""

_LARGEST = 20.0  # a log-return, a factor of five hundred million


def predict_beside(
    companions: Sequence[Served], series: Sequence[Bars], deadline: timedelta | None
) -> tuple[list[tuple[Served, int, LogReturns]], list[Finding]]:
    """Forecast every series with every companion, one after the other, in the order of the companions.

    A fit cannot be interrupted, so one that hangs is left to end in its own thread.

    Args:
        companions: the models.
        series: the series, up to the cutoff.
        deadline: the time limit for all of them together; None leaves them out, because an earlier attempt has ended
            its process and one of them may have been why.

    Returns:
        Each forecast with its model and the number of its series, and a finding for each that is missing.
    """
    if not companions or not series:
        return [], []
    if deadline is None:
        return _sorted_out(companions, series, {}, _CRASHED)
    answers: dict[tuple[int, int], LogReturns | str] = {}
    over = threading.Event()

    def work() -> None:
        for number, served in enumerate(companions):
            for place, bars in enumerate(series):
                if over.is_set():
                    return
                answers[number, place] = _answer(served.model, bars)

    within = contextvars.copy_context()
    thread = threading.Thread(target=within.run, args=(work,), name="companions", daemon=True)
    thread.start()
    thread.join(deadline.total_seconds())
    over.set()
    late = (
        f"it was not ready after {deadline.total_seconds():g} s, which all companions of a file share. Name fewer in "
        "TICKERCAST_MODELS, or raise TICKERCAST_COMPANION_DEADLINE_S"
    )
    return _sorted_out(companions, series, dict(answers), late)


_CRASHED = (
    "an earlier attempt at the file has ended the function's instance, and a companion may have been why. Give the "
    "function more memory, or name fewer in TICKERCAST_MODELS"
)


def _answer(model: Predictor, bars: Bars) -> LogReturns | str:
    """A forecast, or why there is none."""
    if bars.span < model.min_sessions:
        return f"it needs {model.min_sessions} {bars.frequency.noun}s, and {bars.span} were sent"
    try:
        return _checked(model.predict([bars])[0], model.horizon)
    except Permanent as error:
        return str(error)
    except Exception as error:  # any error of the package that the model uses
        log.warning("%s failed on %s", model.name, bars.symbol, exc_info=True)
        return f"{type(error).__name__}: {error}"


def _checked(log_returns: LogReturns, horizon: int) -> LogReturns:
    wanted = (horizon, len(QUANTILES))
    if log_returns.shape != wanted:
        raise Permanent(f"its forecast has the shape {log_returns.shape}, and {wanted} was needed")
    if not (np.abs(log_returns) < _LARGEST).all() or (np.diff(log_returns) < 0).any():
        raise Permanent("its quantiles are not finite and rising")
    return log_returns


def _sorted_out(
    companions: Sequence[Served],
    series: Sequence[Bars],
    answers: dict[tuple[int, int], LogReturns | str],
    otherwise: str,
) -> tuple[list[tuple[Served, int, LogReturns]], list[Finding]]:
    """The forecasts, and a finding for each that is missing, with a reason for those that have none of their own."""
    made: list[tuple[Served, int, LogReturns]] = []
    missing: list[Finding] = []
    for number, served in enumerate(companions):
        for place, bars in enumerate(series):
            answer = answers.get((number, place), otherwise)
            if not isinstance(answer, str):
                made.append((served, place, answer))
                continue
            missing.append(no_forecast(bars.symbol, served.model.name, answer))
        absent = sum((number, place) not in answers for place in range(len(series)))
        if absent:
            log.warning("%s made no forecast of %d symbols: %s", served.model.name, absent, otherwise)
    return made, missing
