"""Run an hour: refresh what is due, then forecast the hour that has just ended, which scores earlier forecasts.

An hour that fails is not lost: the next one's file brings its bars and its scores.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from tickercast.domain.frequency import HOURLY
from tickercast.errors import Permanent
from tickercast.jobs.hourly.refresh import Fit, Refreshed, refresh
from tickercast.jobs.requests.request_forecast import Requested, request_forecast
from tickercast.jobs.requests.results import Patience
from tickercast.model_store import ModelStore
from tickercast.ports import MarketData, ObjectStore, Warehouse


@dataclass(frozen=True)
class Hour:
    """The result of an hour.

    Attributes:
        moment: the end of the hour that was forecast from, UTC and naive.
        made: the forecasts, and the reason for each symbol without one.
        refreshed: the tables that are served; None if they could not be refreshed.
        remark: why the tables are not newer; empty where nothing was due, or they are.
    """

    moment: datetime
    made: Requested
    refreshed: Refreshed | None = None
    remark: str = ""


def run_hour(
    symbols: Sequence[str],
    *,
    source: MarketData,
    store: ObjectStore,
    warehouse: Warehouse,
    models: ModelStore,
    fit: Fit,
    now: Callable[[], datetime],
    patience: Callable[[], Patience],
) -> Hour:
    """Do an hour's work for some symbols.

    Args:
        symbols: as the exchange spells them.
        source: where the bars come from.
        store: where the files go.
        warehouse: where the function stores.
        models: the published models of hourly bars.
        fit: learns tables; see `refresh.Fit`.
        now: the clock.
        patience: starts to wait for the function.

    Raises:
        Transient: an engine does not answer; the next hour catches up.
    """
    refreshed, remark = None, ""
    try:
        refreshed = refresh(symbols, source=source, models=models, fit=fit, now=now())
    except Permanent as error:  # the earlier tables serve on
        remark = str(error)
    moment = HOURLY.parse(now().astimezone(UTC))
    assert isinstance(moment, datetime), "hours end at moments"
    made = request_forecast(
        symbols,
        moment,
        source=source,
        store=store,
        warehouse=warehouse,
        models=models,
        now=now,
        patience=patience,
        frequency=HOURLY,
    )
    return Hour(moment, made, refreshed, remark)
