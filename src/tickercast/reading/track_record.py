"""Recall what the warehouse and the bucket hold beside a forecast: the bars before it, its model, and its record."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import pandas as pd

from tickercast.domain.model_card import ModelCard
from tickercast.jobs.champion.model_store import read_version
from tickercast.jobs.requests.results import StoredForecast
from tickercast.ports import ObjectStore, Warehouse

SESSIONS = 90
"""How far back a chart goes, in sessions."""

TOO_EARLY = "too early"
"""The verdict where there is not enough to judge by."""

BLOCKS = 8
"""Of 28 days: the view gives no verdict on fewer."""

_GAP = pd.Timedelta(days=31)  # the view's own

_IN_CURRENCY = (
    *("open", "high", "low", "close", "sma_5", "sma_15", "sma_20", "sma_50", "ema_12", "ema_26"),
    *("macd", "macd_signal", "macd_histogram", "bollinger_lower", "bollinger_upper", "atr_14"),
)


@dataclass(frozen=True)
class TrackRecord:
    """How a model's forecasts of one symbol have fared, as the view `forecast_skill` tells it.

    Attributes:
        verdict: `better`, `no edge` or `worse` than the random walk, or `too early`.
        n: closes that have come true, over all steps.
        n_backfilled: those of them that were known already when they were forecast.
        blocks: of 28 days that these lie in.
        pinball_ratio: the loss relative to the random walk's; NaN where nothing has come true.
        pinball_ratio_lo: where its 95 % interval begins; NaN where it is too early.
        pinball_ratio_hi: where that ends.
        coverage_80: share of the closes inside the 80 % interval.
        coverage_95: share of the closes inside the 95 % interval.
    """

    verdict: str = TOO_EARLY
    n: int = 0
    n_backfilled: int = 0
    blocks: int = 0
    pinball_ratio: float = float("nan")
    pinball_ratio_lo: float = float("nan")
    pinball_ratio_hi: float = float("nan")
    coverage_80: float = float("nan")
    coverage_95: float = float("nan")


@dataclass(frozen=True)
class Recalled:
    """A forecast with all that a report tells beside it.

    Attributes:
        made: the forecast.
        bars: up to `SESSIONS` rows of the view `indicators` up to the cutoff, oldest first, in the prices of the
            forecast's own file; none where the warehouse holds no such bars.
        record: how the model has fared on the symbol; None where the bars are made up.
        card: of the model.
        actual: the closes that followed, by date; None where they were not asked for.
    """

    made: StoredForecast
    bars: pd.DataFrame
    record: TrackRecord | None
    card: ModelCard
    actual: Mapping[date, float] | None = None


def recall(
    made: StoredForecast, actual: Mapping[date, float] | None, *, warehouse: Warehouse, store: ObjectStore
) -> Recalled:
    """Gathers what a report tells of a forecast.

    Args:
        made: the forecast.
        actual: the closes that followed, where they were asked for.
        warehouse: where it is stored.
        store: where its model is published.

    Raises:
        ModelUnavailable, BundleError: the model's version is not there, or damaged.
        WarehouseUnavailable, StoreUnavailable: try again.
    """
    card = read_version(store, made.model_name, made.model_version).card
    return Recalled(made, bars_before(made, warehouse=warehouse), track_record(made, warehouse=warehouse), card, actual)


def track_record(made: StoredForecast, *, warehouse: Warehouse) -> TrackRecord | None:
    """How the forecast's model has fared on its symbol; None where the bars are made up.

    Raises:
        WarehouseUnavailable: try again.
    """
    if made.note:
        return None
    skill = warehouse.read("forecast_skill", {"symbol": made.symbol, "model_name": made.model_name})
    rows = skill[skill["step"].isna()].to_dict("records")
    return _record({str(name): value for name, value in rows[0].items()}) if rows else TrackRecord()


def bars_before(made: StoredForecast, *, warehouse: Warehouse) -> pd.DataFrame:
    """The bars that a forecast stands on, with their indicators; see `Recalled.bars`.

    Where the symbol's bars have been restated since, by a split, they are brought back to the forecast's prices.

    Raises:
        WarehouseUnavailable: try again.
    """
    held = warehouse.read("indicators", {"symbol": made.symbol})
    known = held[(held["session_date"].dt.date <= made.cutoff) & (held["simulated"] == bool(made.note))]
    bars = _since_the_last_gap(known.sort_values("session_date")).tail(SESSIONS).reset_index(drop=True)
    if not bars.empty and bars["session_date"].iloc[-1].date() == made.cutoff:
        names = list(_IN_CURRENCY)
        bars[names] = bars[names] * (made.last_close / bars["close"].iloc[-1])
    return bars


def closes_before(made: StoredForecast, *, warehouse: Warehouse) -> list[float]:
    """The closes of the forecast's own file up to the cutoff, oldest first: `SESSIONS` at most.

    Raises:
        WarehouseUnavailable: try again.
    """
    file = {"symbol": made.symbol, "object": made.object, "generation": made.generation}
    bars = warehouse.read("prices", file).sort_values("session_date")
    closes = bars[bars["session_date"].dt.date <= made.cutoff]["close"].tail(SESSIONS)
    return [float(close) for close in closes]


def _since_the_last_gap(bars: pd.DataFrame) -> pd.DataFrame:
    """Files of different dates leave gaps between them; a chart of sessions must not draw over one."""
    stretch = (bars["session_date"].diff() > _GAP).cumsum()
    return bars[stretch == stretch.max()]


def _record(row: Mapping[str, Any]) -> TrackRecord:
    shares = ("pinball_ratio", "pinball_ratio_lo", "pinball_ratio_hi", "coverage_80", "coverage_95")
    return TrackRecord(
        row["verdict"],
        *(int(row[name]) for name in ("n", "n_backfilled", "blocks")),
        *(float(row[name]) if pd.notna(row[name]) else float("nan") for name in shares),
    )
