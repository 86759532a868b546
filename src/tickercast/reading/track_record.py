"""The record of a model, and everything else that a report shows beside a forecast."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cache, partial
from typing import Any

import pandas as pd

from tickercast.domain.bars import LONGEST_GAP
from tickercast.domain.cards.model_card import ModelCard
from tickercast.domain.forecast import Forecast, Role
from tickercast.domain.frequency import DAILY, Frequency
from tickercast.domain.measures.scores import BLOCK_DAYS
from tickercast.errors import BundleError, ModelUnavailable
from tickercast.model_store import ModelStore
from tickercast.ports import Between, Warehouse
from tickercast.reading.queries import ask

SESSIONS = 90
"""The sessions that a chart shows before the cutoff."""

TOO_EARLY = "too early"
"""The verdict where there is not enough to judge by."""

BLOCKS = 8
"""The blocks of 28 days that the view `forecast_skill` needs for a verdict."""

FLAGS = ("simulated", "model_has_seen", "doubtful")
"""The columns of a forecast that keep it from counting in a record."""

_IN_CURRENCY = (
    *("open", "high", "low", "close", "sma_5", "sma_15", "sma_20", "sma_50", "ema_12", "ema_26"),
    *("macd", "macd_signal", "macd_histogram", "bollinger_lower", "bollinger_upper", "atr_14"),
)


@dataclass(frozen=True)
class TrackRecord:
    """The score of a model's forecasts of one symbol, from the view `forecast_skill`.

    Attributes:
        verdict: `better`, `no edge` or `worse` than the random walk, or `too early`.
        n: closes that have come true, over all steps.
        n_backfilled: the number of these closes that were known already when they were forecast.
        blocks: the number of 28-day blocks that these closes lie in.
        pinball_ratio: the loss relative to the random walk's; NaN where nothing has come true.
        pinball_ratio_lo: the lower end of its 95% interval; NaN where it is too early.
        pinball_ratio_hi: the upper end of its 95% interval.
        coverage_80: share of the closes inside the 80% interval.
        coverage_95: share of the closes inside the 95% interval.
        uncounted: where none counts, the closes that have come true all the same, by why; see `uncounted`.
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
    uncounted: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class ForecastDetails:
    """A forecast with everything that a report shows beside it.

    Attributes:
        made: the forecast.
        bars: up to `SESSIONS` rows of the view `indicators` up to the cutoff, oldest first, in the prices of the
            forecast's own file; empty where the warehouse holds no such bars.
        record: the model's record on the symbol; None where the bars are simulated.
        card: the card of the model; None for a model that is not trained.
        actual: the closes that followed, by date or end of the hour; None where they were not asked for.
        demotion: the row of `retrains` by which the model, a baseline, came into the champion's place; None of another.
    """

    made: Forecast
    bars: pd.DataFrame
    record: TrackRecord | None
    card: ModelCard | None
    actual: Mapping[date, float] | None = None
    demotion: Mapping[str, Any] | None = None


def details(
    made: Forecast, actual: Mapping[date, float] | None, *, warehouse: Warehouse, models: ModelStore
) -> ForecastDetails:
    """Read what a report shows beside a forecast.

    Args:
        made: the forecast.
        actual: the closes that followed, where they were asked for.
        warehouse: where it is stored.
        models: where its model is published.

    Raises:
        ModelUnavailable, BundleError: the model's version is missing or damaged.
        WarehouseUnavailable, StoreUnavailable: try again.
    """
    card = _card(made, models)
    bars, record = bars_before(made, warehouse=warehouse), track_record(made, warehouse=warehouse)
    daily = made.frequency.is_daily
    is_baseline = made.role is Role.CHAMPION and (card is None or not daily)
    by = None
    if is_baseline:
        decided = warehouse.read("retrains", {"decision": "demoted"})
        by = demotion(made.model_name, decided[decided["frequency"].fillna(DAILY.name) == made.frequency.name])
    return ForecastDetails(made, bars, record, card, actual, by)


def demotion(model: str, decisions: pd.DataFrame) -> Mapping[str, Any] | None:
    """The newest decision by which a baseline came into the champion's place; None of any other model.

    Args:
        model: the model whose forecast in the champion's role is shown.
        decisions: rows of `retrains`.
    """
    found = decisions[(decisions["decision"] == "demoted") & (decisions["candidate_version"] == model)]
    if found.empty:
        return None
    newest = found.sort_values(["day", "created_at"]).iloc[-1]
    return {str(name): value for name, value in newest.items()}


def track_record(made: Forecast, *, warehouse: Warehouse) -> TrackRecord | None:
    """The record of the forecast's model on its symbol; None where the bars are simulated.

    Raises:
        WarehouseUnavailable: try again.
    """
    if made.simulated:
        return None
    where = {"symbol": made.symbol, "frequency": made.frequency.name, "model_name": made.model_name, "role": made.role}
    skill = warehouse.read("forecast_skill", where)
    rows = skill[skill["step"].isna()].to_dict("records")
    if not rows:
        return TrackRecord(uncounted=uncounted(warehouse.read("forecast_scores", where, FLAGS)))
    return _record({str(name): value for name, value in rows[0].items()})


def uncounted(closes: pd.DataFrame) -> dict[str, int]:
    """Count the closes that have come true and do not count in a record, by why.

    >>> flags = {"simulated": False, "model_has_seen": [True, False, False], "doubtful": [True, True, False]}
    >>> uncounted(pd.DataFrame(flags))
    {'model_has_seen': 1, 'doubtful': 1, '': 1}

    Args:
        closes: one a row, or `n` where there is such a column, with the flags of their forecasts; see `FLAGS`.

    Returns:
        The number of closes by the first flag that their forecast has; by an empty text of those that have none, which
        the random walk has no forecast beside.
    """
    numbers, found, left = closes.get("n", pd.Series(1, closes.index)), {}, pd.Series(True, closes.index)
    for flag in FLAGS:
        found[flag] = int(numbers[left & closes[flag]].sum())
        left &= ~closes[flag]
    return {why: n for why, n in (found | {"": int(numbers[left].sum())}).items() if n}


def bars_before(made: Forecast, *, warehouse: Warehouse) -> pd.DataFrame:
    """The bars up to the cutoff, with their indicators; see `ForecastDetails.bars`.

    Where a split has rebased the symbol's bars since, they are brought back to the forecast's prices.

    Raises:
        WarehouseUnavailable: try again.
    """
    held = warehouse.read("indicators", {"symbol": made.symbol, "frequency": made.frequency.name})
    known = held[_known(held, made) & (held["simulated"] == made.simulated)]
    bars = _since_the_last_gap(known.sort_values(_ORDER)).tail(SESSIONS).reset_index(drop=True)
    if not bars.empty and _ends(bars, made).iloc[-1] == made.end:
        names = list(_IN_CURRENCY)
        bars[names] = bars[names] * (made.last_close / bars["close"].iloc[-1])
    return bars


def closes_before(made: Forecast, *, warehouse: Warehouse) -> list[float]:
    """The closes up to the cutoff in the prices of the forecast, oldest first: `SESSIONS` at most.

    Raises:
        WarehouseUnavailable: try again.
    """
    where = {
        "symbol": made.symbol,
        "frequency": made.frequency.name,
        "simulated": made.simulated,
        "session_date": Between(None, made.cutoff),
    }
    held = warehouse.read("latest_prices", where)
    closes = held[_known(held, made)].sort_values(_ORDER)["close"].tail(SESSIONS).to_numpy(float)
    return [float(close) for close in closes * (made.last_close / closes[-1])] if len(closes) else []


def trained_through(forecasts: Sequence[Forecast], *, models: ModelStore) -> dict[str, date]:
    """The last date that the model of each symbol's forecast was trained on; of a trained model only.

    A forecast of dates up to there is no test of the model.

    Args:
        forecasts: one a symbol.
        models: where their models are published.

    Raises:
        ModelUnavailable, BundleError: a version is missing or damaged.
        StoreUnavailable: try again.
    """
    cards = {(made.model_name, made.model_version): _card(made, models) for made in forecasts}
    through = {model: card.trained_through for model, card in cards.items() if card}
    named = {made.symbol: (made.model_name, made.model_version) for made in forecasts}
    return {symbol: through[model] for symbol, model in named.items() if model in through}


@dataclass(frozen=True)
class Seen:
    """A version of a model whose forecasts of dates that it was trained on count in the record of a symbol.

    Attributes:
        symbol: the series.
        role: the role of the forecasts.
        model_name: the name of the model.
        model_version: its version.
        through: the last date that it was trained on; None where that is not known.
        first_cutoff: the origin of its first forecast that counts.
        fault: the reason why `through` is not known.
    """

    symbol: str
    role: str
    model_name: str
    model_version: str
    through: date | None
    first_cutoff: date
    fault: str = ""


def seen_in_training(
    symbols: Sequence[str] | None,
    frequency: Frequency = DAILY,
    *,
    warehouse: Warehouse,
    models: ModelStore,
    role: Role | None = Role.CHAMPION,
    recent: bool = False,
) -> list[Seen]:
    """Find the records that rest on dates that the model was trained on: forecasts that were requested for them.

    Args:
        symbols: the symbols to look at; None: all.
        frequency: the frequency of the bars.
        warehouse: where the scores are.
        models: where the versions are published.
        role: the role of the forecasts; None: every role.
        recent: whether to look only at the blocks of the view `calibration`, not at the whole record.

    Raises:
        StoreUnavailable, WarehouseUnavailable: try again.
    """
    asked = {"frequency": frequency.name, "every": symbols is None, "symbols": list(symbols or [""])}
    found = ask(warehouse, "counted_blocks", **asked)
    found = found.assign(block=found["first_recent_block" if recent else "first_block"]).dropna(subset="block")
    trained = cache(partial(_trained, models=models))
    suspects: dict[tuple[Any, ...], tuple[date | None, str]] = {}
    for row in found.to_dict("records") if role is None else found[found["role"] == role].to_dict("records"):
        last, fault = trained(row["model_name"], row["model_version"])
        if fault or (last and _begins(row["block"]) <= last):
            suspects[tuple(row[name] for name in _COUNTED)] = last, fault
    if not suspects:
        return []
    blocks = [key[-1] for key in suspects]
    firsts = ask(
        warehouse,
        "first_counted",
        frequency=frequency.name,
        symbols=sorted({key[0] for key in suspects}),
        first=_begins(min(blocks)),
        last=_begins(max(blocks) + 1) - timedelta(days=1),
    )
    seen: list[Seen] = []
    for row in firsts.to_dict("records"):
        first = row["first_cutoff"].date()
        last, fault = suspects.get(tuple(row[name] for name in _COUNTED), (None, ""))
        if fault or (last and first <= last):
            named = {name: row[name] for name in ("symbol", "role", "model_name", "model_version")}
            seen.append(Seen(**named, through=last, first_cutoff=first, fault=fault))
    return seen


_COUNTED = ("symbol", "role", "model_name", "model_version", "block")


def _begins(block: int) -> date:
    """The first day of a block of 28 days, which are counted from 1970."""
    return date(1970, 1, 1) + timedelta(days=BLOCK_DAYS * int(block))


def _trained(name: str, version: str, models: ModelStore) -> tuple[date | None, str]:
    """The last date that a version was trained on, or the reason why it is not known."""
    try:
        return models.trained_through(name, version), ""
    except (BundleError, ModelUnavailable) as error:
        return None, str(error)


def _card(made: Forecast, models: ModelStore) -> ModelCard | None:
    """The card of a forecast's model; None of a baseline, or a model beside the champion that was never published."""
    is_published = made.role is Role.CHAMPION and made.model_name == models.pointer().name
    if not is_published and not models.versions(made.model_name):
        return None
    return models.read(made.model_name, made.model_version).card


def _ends(bars: pd.DataFrame, made: Forecast) -> pd.Series:
    return bars["session_date"].dt.date if made.frequency.is_daily else bars["closed_at"]


def _known(bars: pd.DataFrame, made: Forecast) -> pd.Series:
    """The bars up to the cutoff."""
    known: pd.Series = _ends(bars, made) <= made.end
    return known


_ORDER = ["session_date", "closed_at"]


def _since_the_last_gap(bars: pd.DataFrame) -> pd.DataFrame:
    """Drop the bars before the last gap, which files of different dates leave: a chart must not draw over one."""
    stretch = (bars["session_date"].diff() > LONGEST_GAP).cumsum()
    return bars[stretch == stretch.max()]


def _record(row: Mapping[str, Any]) -> TrackRecord:
    counts = {name: int(row[name]) for name in ("n", "n_backfilled", "blocks")}
    names = ("pinball_ratio", "pinball_ratio_lo", "pinball_ratio_hi", "coverage_80", "coverage_95")
    values: dict[str, Any] = {name: float(row[name]) if pd.notna(row[name]) else float("nan") for name in names}
    return TrackRecord(row["verdict"], **counts | values)
