"""Check bars, or forecast them at once, with the champion that events are handled with, and store nothing."""

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


def check_file(
    data: bytes, symbol: str, as_of: date, *, served: Callable[[], Sequence[Served]], now: datetime, largest: int
) -> None:
    """Check that a file of one symbol can be forecast, as an event does.

    Args:
        data: the file.
        symbol: the symbol of the bars in the file.
        as_of: forecast from the last session on or before this date.
        served: gives the models, the champion first.
        now: the time.
        largest: bytes that the file may have.

    Raises:
        InvalidBars, NoRecentBars, TooFewSessions, CalendarError: the bars cannot be forecast.
        BundleError: the champion is damaged.
        ModelUnavailable, StoreUnavailable: try again.
    """
    _known(data, symbol, as_of, served()[0].model, now, largest)


def forecast_file(
    data: bytes,
    symbol: str,
    as_of: date,
    *,
    served: Callable[[], Sequence[Served]],
    warehouse: Warehouse,
    now: datetime,
    largest: int,
) -> Forecast:
    """Forecast what a file of one symbol holds, after the checks that an event makes.

    Args:
        data: the file.
        symbol: the symbol of the bars in the file.
        as_of: forecast from the last session on or before this date.
        served: gives the models, the champion first.
        warehouse: where results days are stored.
        now: the time.
        largest: bytes that the file may have.

    Raises:
        InvalidBars, NoRecentBars, TooFewSessions, CalendarError: the bars cannot be forecast.
        BundleError: the champion is damaged.
        ModelUnavailable, StoreUnavailable, WarehouseUnavailable: try again.
    """
    champion = served()[0]
    known, targets, left_out = _known(data, symbol, as_of, champion.model, now, largest)
    results = known_results([known], warehouse)
    model = informed(champion.model, results)
    [odd] = findings_of([known], as_of, now=now)
    found = [*left_out, *odd, *class_findings(model, known.symbol)]
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


def _known(
    data: bytes, symbol: str, as_of: date, model: Predictor, now: datetime, largest: int
) -> tuple[Bars, tuple[date, ...], Sequence[Finding]]:
    """The bars up to the cutoff, the sessions that follow, and the findings of the reading."""
    reading = read_prices(data, symbol=symbol, window=Window(as_of - LOOKBACK, as_of, now), largest=largest)
    known = reading[symbol].until(as_of)
    if len(known) < model.min_sessions:
        raise TooFewSessions(
            f"{symbol} has {len(known)} sessions up to {known.cutoff}, and the model needs {model.min_sessions}. "
            "Name a later date, or send older sessions, too."
        )
    return known, DAILY.next_steps(symbol, known.cutoff, model.horizon), reading.findings.get(symbol, ())


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
