"""Stored forecasts, as typed values."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pandas as pd

from tickercast.domain.bars import Bars
from tickercast.domain.events import ResultsDay
from tickercast.domain.forecast import LEVELS, Forecast, Origin, Role, Step
from tickercast.domain.frequency import DAILY, Frequency, frequency_of
from tickercast.ports import Between, MarketData, Warehouse


def stored_forecasts(ledger: pd.DataFrame, warehouse: Warehouse, *, model: str = "") -> dict[str, Forecast]:
    """Read the forecast of each symbol that rows of the ledger account for.

    If a later run has made another forecast with the same cutoff, the newer one is returned, under its own object and
    generation: it is what was asked for last, whether or not a close of it was known.

    Args:
        ledger: rows with the status `forecast`, one a symbol, of one frequency.
        warehouse: where the forecasts are.
        model: the name of the model whose forecasts are read; empty for the champion.

    Raises:
        WarehouseUnavailable: try again.
    """
    if ledger.empty:
        return {}
    frequency = frequency_of(str(ledger["frequency"].iloc[0]))
    days = list(ledger["cutoff"].dt.date.unique())
    wanted = {"symbol": list(ledger["symbol"]), "cutoff": days}
    key = frequency.key("cutoff")
    found = newest_forecasts(wanted, warehouse, frequency=frequency, model=model)
    found = found.merge(ledger[["symbol", "frequency", key, "simulated", "findings", *RESULTS_COLUMNS]])
    return forecasts_of(found)


def forecasts_of(rows: pd.DataFrame) -> dict[str, Forecast]:
    """The forecast of each symbol from rows with `COLUMNS`, one forecast a symbol."""
    return {str(symbol): _forecast(steps.sort_values("step")) for symbol, steps in rows.groupby("symbol")}


def newest_forecasts(
    where: Mapping[str, Any], warehouse: Warehouse, *, frequency: Frequency = DAILY, model: str = ""
) -> pd.DataFrame:
    """The newest forecast of each symbol and cutoff, whenever it was made, and a backfill only if there is no other.

    The view `champion_forecasts` has the newest that was made before its first close: see docs/vintages.md.

    Args:
        where: the symbols and cutoffs, as of the table `forecasts`.
        warehouse: where the forecasts are.
        frequency: the frequency of the bars.
        model: the name of the model, whose forecasts as a shadow do not count; empty for the champion.

    Returns:
        `COLUMNS` and `role`, of hours `cutoff_at` and `target_at`, too, one row a step; simulated ones apart.

    Raises:
        WarehouseUnavailable: try again.
    """
    columns = [*COLUMNS, *([] if frequency.is_daily else ["cutoff_at", "target_at"])]
    made = {"model_name": model} if model else {"role": Role.CHAMPION}
    rows = warehouse.read("forecasts", {**where, "frequency": frequency.name, **made}, [*columns, *_RANK])
    rows = rows[rows["role"] != Role.SHADOW]
    order = rows.assign(live=rows["origin"] != Origin.BACKFILL).sort_values([*_ORDER, "model_name"])
    one = ["symbol", frequency.key("cutoff"), "simulated"]
    newest = order.drop_duplicates(one, keep="last")[[*one, *_FILE]]
    return rows.merge(newest)[[*columns, "role"]].drop_duplicates([*one, "step"])


def champion_forecasts(cutoffs: Mapping[str, date], warehouse: Warehouse) -> dict[str, Forecast]:
    """The champion's newest daily forecast of each symbol from its cutoff; a simulated one only if there is no other.

    Args:
        cutoffs: the forecast origins, by symbol.
        warehouse: where the forecasts are.

    Raises:
        WarehouseUnavailable: try again.
    """
    if not cutoffs:
        return {}
    where = {
        "symbol": sorted(cutoffs),
        "cutoff": Between(min(cutoffs.values()), max(cutoffs.values())),
    }
    rows = newest_forecasts(where, warehouse)
    rows = rows[rows["cutoff"] == pd.to_datetime(rows["symbol"].map(cutoffs))]
    made = rows[rows["simulated"] == rows.groupby("symbol")["simulated"].transform("all")]
    return forecasts_of(with_remarks(made, warehouse)) if len(made) else {}


def with_remarks(rows: pd.DataFrame, warehouse: Warehouse) -> pd.DataFrame:
    """Rows of stored forecasts with what the ledger says about their files: findings, and `RESULTS_COLUMNS`."""
    file = ["object", "generation", "symbol"]
    where = {"status": "forecast", **{name: sorted(rows[name].unique()) for name in file}}
    said = warehouse.read("ingestions", where, [*file, "findings", *RESULTS_COLUMNS]).drop_duplicates(file)
    return rows.merge(said, how="left")


RESULTS_COLUMNS = ("results_date", "results_session", "results_predicted")
"""The columns of the ledger that say which results day a forecast expected."""

LEDGER_COLUMNS = (
    *("symbol", "frequency", "cutoff", "cutoff_at", "simulated", "findings", "origin", "written_at"),
    *RESULTS_COLUMNS,
)
"""The columns of the ledger by which a symbol's forecast is found."""

COLUMNS = [
    *("symbol", "frequency", "cutoff", "last_close", "step", "target_date", *LEVELS, "quantiles"),
    *("model_name", "model_version", "simulated", "model_has_seen", "doubtful", "object", "generation"),
]
"""The columns of a champion's forecast that make a `Forecast`; of hours `cutoff_at` and `target_at`, too."""

_RANK = ("role", "origin", "written_at", "created_at")
_ORDER = ("live", "written_at", "generation", "created_at")
_FILE = ("object", "generation", "model_name", "role")


def actual_closes(forecasts: Sequence[Forecast], *, source: MarketData) -> dict[str, Mapping[date, float]]:
    """Fetch the closes from the first target date, or hour, to the last for each symbol as far as the source has them.

    Args:
        forecasts: one a symbol.
        source: where their bars came from, so that splits are adjusted alike.

    Raises:
        Transient: the source does not answer.
    """
    if not forecasts:
        return {}
    first = min(made.steps[0].target_date for made in forecasts)
    last = max(made.steps[-1].target_date for made in forecasts)
    reading = source.fetch([made.symbol for made in forecasts], first, last, advance=lambda _: None)
    return {made.symbol: _followed(made, reading.bars[made.symbol]) for made in forecasts if made.symbol in reading}


def _followed(made: Forecast, bars: Bars) -> dict[date, float]:
    closes = zip(_ends(bars), bars.columns["close"].tolist(), strict=True)
    return {end: close for end, close in closes if made.steps[0].end <= end <= made.steps[-1].end}


def _ends(bars: Bars) -> list[date]:
    ends: list[date] = bars.ends.tolist()
    return ends if bars.frequency.is_daily else [end.replace(tzinfo=UTC) for end in bars.ends.tolist()]


def _moment(row: Mapping[Any, Any], column: str, frequency: Frequency) -> datetime | None:
    if frequency.is_daily:
        return None
    moment: datetime = row[column].to_pydatetime()
    return moment.astimezone(UTC)


def _forecast(rows: pd.DataFrame) -> Forecast:
    first = rows.iloc[0]
    frequency = frequency_of(first["frequency"])
    return Forecast(
        symbol=first["symbol"],
        cutoff=first["cutoff"].date(),
        last_close=float(first["last_close"]),
        steps=tuple(_step(row, frequency) for row in rows.to_dict("records")),
        model_name=first["model_name"],
        model_version=first["model_version"],
        role=Role(first.get("role", Role.CHAMPION)),
        simulated=bool(first["simulated"]),
        model_has_seen=bool(first["model_has_seen"]),
        doubtful=bool(first["doubtful"]),
        findings=first["findings"] if pd.notna(first.get("findings")) else "",
        results=expected_results(first, [day.date() for day in rows["target_date"]]),
        object=first["object"],
        generation=first["generation"],
        frequency=frequency,
        cutoff_at=_moment(first.to_dict(), "cutoff_at", frequency),
    )


def expected_results(row: Mapping[Any, Any] | pd.Series, targets: Sequence[date]) -> ResultsDay | None:
    """The results day that a row of the ledger says its forecast counts with; None if it says none.

    a row with the cutoff and `RESULTS_COLUMNS`; one that was not joined with the ledger has none of these, and the
    answer is None.
    """
    day, session, is_predicted = (row.get(name) for name in RESULTS_COLUMNS)
    if day is None or pd.isna(day):
        return None
    cutoff = row["cutoff"].date()
    return ResultsDay.among(targets, cutoff, day.date(), str(session), is_predicted=bool(is_predicted))


def _step(row: Mapping[Any, Any], frequency: Frequency) -> Step:
    levels = {name: float(row[name]) for name in LEVELS}
    target_at = _moment(row, "target_at", frequency)
    log_returns = row["quantiles"]
    listed = () if log_returns is None or np.ndim(log_returns) == 0 else np.asarray(log_returns, np.float64)
    quantiles = tuple(float(close) for close in row["last_close"] * np.exp(listed))
    return Step(int(row["step"]), row["target_date"].date(), **levels, target_at=target_at, quantiles=quantiles)
