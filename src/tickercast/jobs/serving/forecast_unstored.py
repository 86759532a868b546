"""Forecast bars at once, with the champion that events are handled with, and store nothing."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, datetime

import numpy as np
from numpy.typing import NDArray

from tickercast.domain.bars import LOOKBACK, Bars
from tickercast.domain.cards.model_card import class_findings
from tickercast.domain.files.price_files import Window, read_prices
from tickercast.domain.findings import Finding, sentence
from tickercast.domain.forecast import Forecast, Prediction, Predictor, Served, checked, informed
from tickercast.domain.frequency import DAILY
from tickercast.domain.quality import findings_of
from tickercast.errors import TooFewSessions
from tickercast.jobs.serving.known_results import known_results
from tickercast.jobs.serving.trial import answers, serve_another
from tickercast.ports import Warehouse
from tickercast.reading.events import expected_days


def forecast_file(
    data: bytes,
    symbol: str,
    as_of: date,
    *,
    served: Callable[[], Sequence[Served]],
    warehouse: Warehouse,
    now: datetime,
) -> Forecast:
    """Forecast what a file of one symbol holds, after the checks that an event makes.

    Args:
        data: the file.
        symbol: the symbol of the bars in the file.
        as_of: forecast from the last session on or before this date.
        served: gives the models, the champion first.
        warehouse: where results days are stored.
        now: the time.

    Raises:
        InvalidBars, NoRecentBars, TooFewSessions, CalendarError: the bars cannot be forecast.
        BundleError: the champion is damaged.
        ModelUnavailable, StoreUnavailable, WarehouseUnavailable: try again.
    """
    reading = read_prices(data, symbol=symbol, window=Window(as_of - LOOKBACK, as_of, now))
    left_out = reading.findings.get(symbol, ())
    return forecast_bars(reading[symbol], as_of, served=served, warehouse=warehouse, now=now, left_out=left_out)


def forecast_closes(closes: Sequence[NDArray[np.float64]], model: Predictor) -> NDArray[np.float64]:
    """Forecast series of closes, by a model that looks at nothing else.

    Args:
        closes: one or more series, `(n,)` each, oldest first.
        model: `ewma-t` or another that needs closes alone.

    Returns:
        As `Predictor.predict`.

    Raises:
        TooFewSessions: a series is shorter than the model needs.
        UsageError: the closes are so far apart that no forecast can be made of them.
    """
    for number, series in enumerate(closes, start=1):
        if len(series) < model.min_sessions:
            raise TooFewSessions(
                f"Series {number} has {len(series)} closes, and {model.name} needs {model.min_sessions}. Send more."
            )
    made = model.predict([_bars_of(series) for series in closes])
    return checked(model, made, len(closes), "Send closes that lie nearer to each other.")


def _bars_of(closes: NDArray[np.float64]) -> Bars:
    days = np.datetime64("2000-01-03", "D") + np.arange(len(closes))
    prices = dict.fromkeys(("open", "high", "low", "close", "adj_close"), closes)
    return Bars("SERIES", {"session_date": days, **prices, "volume": np.full(len(closes), np.nan)})


def forecast_bars(
    bars: Bars,
    as_of: date,
    *,
    served: Callable[[], Sequence[Served]],
    warehouse: Warehouse,
    now: datetime,
    left_out: Sequence[Finding] = (),
) -> Forecast:
    """Forecast the bars of one symbol.

    Args:
        bars: the bars of the symbol; those after `as_of` are not used.
        as_of: forecast from the last session on or before this date.
        served: gives the models, the champion first.
        warehouse: where results days are stored.
        now: the time.
        left_out: the findings of the reading.

    Raises:
        NoRecentBars, TooFewSessions, CalendarError: the bars cannot be forecast.
        BundleError: the champion is damaged.
        ModelUnavailable, StoreUnavailable, WarehouseUnavailable: try again.
    """
    champion, known = served()[0], bars.until(as_of)
    results = known_results([known], warehouse)
    model = informed(champion.model, results)
    if len(known) < model.min_sessions:
        raise TooFewSessions(
            f"{bars.symbol} has {len(known)} sessions up to {known.cutoff}, and the model needs {model.min_sessions}. "
            "Name a later date, or send older sessions, too."
        )
    [odd] = findings_of([known], as_of, now=now)
    found = [*left_out, *odd, *class_findings(model, known.symbol)]
    targets = DAILY.next_steps(known.symbol, known.cutoff, model.horizon)
    [log_returns] = answers(model, [known], serve_another(DAILY))
    made = Prediction(
        known.symbol,
        known.cutoff,
        known.last_close,
        targets,
        log_returns,
        model.name,
        model.version,
        champion.role,
        known.simulated,
        doubtful=any(one.touches_width for one in found),
    ).forecast()
    [day] = expected_days([known], results)
    return replace(made, findings=sentence(found), results=day)
