"""Check that no model looks ahead: cut all data at an origin, make the models anew, and compare their forecasts."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from tickercast.domain.bars import Bars, series_of
from tickercast.domain.calendar import check_range
from tickercast.domain.events import ResultsDays
from tickercast.domain.forecast import Predictor, RollingPredictor, checked, informed
from tickercast.domain.frequency import HOURLY
from tickercast.domain.measures.evaluation import labelled, rolling_origins, why_no_origin
from tickercast.errors import NoRecentBars, Permanent
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
    results: Mapping[str, ResultsDays] | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    on_failure: Callable[[str, Permanent], None] = lambda symbol, reason: None,
) -> Mapping[str, float]:
    """Compare forecasts from whole series with those from series that end at the origin, once a month and symbol.

    The cut series, and the results days that were known at the close of the origin, are all that a model can see,
    whatever it learns from them, so that tables are checked, too.

    Args:
        source: where the bars come from.
        symbols: the symbols to forecast.
        first: the first date that may be an origin.
        last: the last date that may be an origin.
        build: makes the models.
        results: the results days by symbol; a model that reads them sees these.
        on_progress: called with the origins checked and their total.
        on_failure: called with each symbol that the source could not give, and why.

    Returns:
        The largest absolute difference of a log-return by label of the models, over steps, quantiles and origins;
        anything but 0 is a leak.

    Raises:
        NoRecentBars: there is no origin.
        Permanent: no symbol can be read; the reason of the first.
        UsageError: `first` is after `last`.
        SourceUnavailable, UsageError: the source as a whole cannot be read.
    """
    check_range(first, last)
    reading = source.fetch(symbols, _EARLIEST, last + _AFTER, advance=lambda _: None)
    series, days = series_of(reading, on_failure), results or {}

    def made(known: Sequence[Bars], known_days: Mapping[str, ResultsDays]) -> Mapping[str, Predictor]:
        return {label: informed(model, known_days) for label, model in labelled(build(known)).items()}

    whole = made(series, days)
    needed, [horizon] = max(model.min_sessions for model in whole.values()), {one.horizon for one in whole.values()}
    found = [rolling_origins(bars, first, last, every=1, needed=needed, horizon=horizon) for bars in series]
    chosen = [(origins.bars, int(row)) for origins in found for row in _monthly(origins.bars, origins.positions)]
    if not chosen:
        raise NoRecentBars(
            f"No origin of the {len(symbols)} symbol(s) lies from {first} to {last} in {source.name}: "
            f"{why_no_origin(series[0], first, last, every=1, needed=needed, horizon=horizon)}. Name other dates, or a "
            "source with more."
        )
    worst = dict.fromkeys(whole, 0.0)
    for number, (bars, row) in enumerate(chosen, start=1):
        cut = [_until(one, bars, row) for one in series]
        [own] = [one for one in cut if one.symbol == bars.symbol]
        [close] = bars.frequency.closes([bars.symbol], np.zeros(1, np.intp), bars.ends[[row]])
        known_days = {symbol: known.known_by(close) for symbol, known in days.items()}
        for label, again in made([one for one in cut if len(one)], known_days).items():
            difference = float(np.abs(_at(whole[label], bars, row) - _at(again, own, row)).max())
            worst[label] = max(worst[label], difference)
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
        return checked(model, model.predict_at(bars, np.array([row])), 1)
    return checked(model, model.predict([bars.rows(0, row + 1)]), 1)
