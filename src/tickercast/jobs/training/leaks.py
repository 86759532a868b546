"""Check that no model looks ahead: cut all data at an origin, make the models anew, and compare their forecasts."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from tickercast.domain.bars import Bars
from tickercast.domain.evaluation import rolling_origins
from tickercast.domain.forecast import Predictor, RollingPredictor
from tickercast.domain.frequency import HOURLY
from tickercast.errors import NoRecentBars
from tickercast.ports import MarketData

_EARLIEST = date(1990, 1, 1)
_AFTER = timedelta(days=40)

Build = Callable[[Sequence[Bars]], Sequence[Predictor]]
"""Makes the models from series, from which they may learn."""


def leaks(
    source: MarketData,
    symbols: Sequence[str],
    first: date,
    last: date,
    *,
    build: Build,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Mapping[str, float]:
    """Compare forecasts from whole series with those from series that end at the origin, once a month and symbol.

    The cut series are all that a model can see, whatever it learns from them, so that tables are checked, too.

    Args:
        source: where the bars come from.
        symbols: the symbols to forecast.
        first: the first date that may be an origin.
        last: the last date that may be an origin.
        build: makes the models.
        on_progress: called with the origins checked and their total.

    Returns:
        The largest absolute difference of a log-return by model, over steps, quantiles and origins; anything but 0 is a
        leak.

    Raises:
        NoRecentBars: there is no origin.
        SourceUnavailable, UsageError: the source as a whole cannot be read.
    """
    series = list(source.fetch(symbols, _EARLIEST, last + _AFTER, advance=lambda _: None).bars.values())
    whole = build(series)
    needed, horizon = max(model.min_sessions for model in whole), whole[0].horizon
    found = [rolling_origins(bars, first, last, every=1, needed=needed, horizon=horizon) for bars in series]
    chosen = [(origins.bars, int(row)) for origins in found for row in _monthly(origins.bars, origins.positions)]
    if not chosen:
        raise NoRecentBars(
            f"No bar of {', '.join(symbols)[:80]} from {first} to {last} has {needed} bars before it and {horizon} "
            f"after it in {source.name}. Name other dates, or data that begins earlier."
        )
    worst = dict.fromkeys((model.name for model in whole), 0.0)
    for number, (bars, row) in enumerate(chosen, start=1):
        cut = [_until(one, bars, row) for one in series]
        [own] = [one for one in cut if one.symbol == bars.symbol]
        for model, again in zip(whole, build([one for one in cut if len(one)]), strict=True):
            difference = float(np.abs(_at(model, bars, row) - _at(again, own, row)).max())
            worst[model.name] = max(worst[model.name], difference)
        on_progress(number, len(chosen))
    return worst


def _monthly(bars: Bars, positions: NDArray[np.intp]) -> NDArray[np.intp]:
    """One origin a month, each at another hour and day."""
    months = bars.columns["session_date"][positions].astype("datetime64[M]")
    picked = [np.flatnonzero(months == month) for month in np.unique(months)]
    return positions[[rows[(37 * number) % len(rows)] for number, rows in enumerate(picked, start=1)]]


def _until(one: Bars, origin: Bars, row: int) -> Bars:
    column = "closed_at" if one.frequency == HOURLY else "session_date"
    return one.rows(0, int(np.searchsorted(one.columns[column], origin.columns[column][row], "right")))


def _at(model: Predictor, bars: Bars, row: int) -> NDArray[np.float64]:
    if isinstance(model, RollingPredictor):
        return model.predict_at(bars, np.array([row]))
    return model.predict([bars.rows(0, row + 1)])
