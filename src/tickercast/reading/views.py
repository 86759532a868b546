"""The questions that the dashboard asks: one a function, each answered by a frame.

Most read a view as it is. A question about one symbol stays fast with hundreds of symbols, since every view that it
reads can be filtered by symbol. `frequency` is that of the bars; those of hours have the moments at which they end
(UTC, naive) where those of sessions have dates.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pandas as pd

from tickercast.domain.events import ResultsDay
from tickercast.domain.forecast import LEVELS, RANDOM_WALK, Role
from tickercast.domain.frequency import DAILY, HOURLY, frequency_of
from tickercast.ports import Between, Warehouse
from tickercast.reading import track_record
from tickercast.reading.forecasts import expected_results
from tickercast.reading.queries import ask

LISTED = 500
"""The rows of the ledger that are read; `tickercast ingestions` lists all."""

FORECAST = (
    *("symbol", "frequency", "cutoff", "cutoff_at", "step", "target_date", "target_at", "last_close", *LEVELS),
    *("model_name", "model_version", "origin", "simulated", "model_has_seen", "doubtful"),
    *("object", "generation", "written_at", "created_at"),
)
"""The columns of a forecast that pages show; the whole distribution would be most of its bytes."""


def frequencies(warehouse: Warehouse) -> list[str]:
    """The frequencies of which something has been forecast: `1d`, `1h`."""
    return list(ask(warehouse, "frequencies")["frequency"])


def symbols(warehouse: Warehouse, frequency: str = DAILY.name) -> list[str]:
    """The symbols that have been forecast, by name."""
    return list(ask(warehouse, "symbols", frequency=frequency)["symbol"])


def no_days(missing: Sequence[str], warehouse: Warehouse) -> str:
    """The remedy for symbols without a forecast of days: where those of hours are, and how one of days is made.

    Args:
        missing: the symbols.
        warehouse: where forecasts are.

    Raises:
        WarehouseUnavailable: try again.
    """
    known = set(symbols(warehouse, HOURLY.name))
    hours = [symbol for symbol in missing if symbol in known]
    others = [symbol for symbol in missing if symbol not in known]
    said = [f"Of hours {', '.join(hours)} has some: tickercast dashboard shows them."] if hours else []
    return " ".join([*said, f"Run: tickercast forecast {' '.join(others)} DATE."] if others else said)


def bars(warehouse: Warehouse, symbol: str, frequency: str = DAILY.name) -> pd.DataFrame:
    """All bars of a symbol with their indicators, the oldest first; see the view `indicators`."""
    found = _by_ends(warehouse.read("indicators", {"symbol": symbol, "frequency": frequency}), frequency)
    return found.sort_values("session_date", ignore_index=True)


def champion_forecasts(warehouse: Warehouse, symbol: str, frequency: str = DAILY.name) -> pd.DataFrame:
    """The champion's forecasts of a symbol, the oldest cutoff first; simulated ones only if there are no others."""
    found = _by_ends(
        warehouse.read("champion_forecasts", {"symbol": symbol, "frequency": frequency}, FORECAST), frequency
    )
    return _in_use(found).sort_values(["cutoff", "step"], ignore_index=True)


def companion_forecasts(warehouse: Warehouse, symbol: str, frequency: str = DAILY.name) -> pd.DataFrame:
    """The forecasts of a symbol by the models beside the champion, the oldest cutoff first, likewise."""
    where = {"symbol": symbol, "frequency": frequency, "role": Role.COMPANION}
    found = _by_ends(warehouse.read("forecast_history", where, [*FORECAST, "role"]), frequency)
    return _in_use(found).sort_values(["model_name", "cutoff", "step"], ignore_index=True)


def quantiles(
    warehouse: Warehouse, symbol: str, made: tuple[str, str, str], near: date, frequency: str = DAILY.name
) -> pd.DataFrame:
    """The quantiles of one forecast as log-returns: `step`, `quantiles`; no row where an earlier release stored none.

    Args:
        warehouse: where the tables are.
        symbol: the series.
        made: the file, its generation, and the model.
        near: the date of the cutoff, give or take a day.
        frequency: the frequency of the bars.
    """
    name, generation, model = made
    where = {"symbol": symbol, "frequency": frequency, "object": name, "generation": generation, "model_name": model}
    day = timedelta(days=1)
    rows = warehouse.read("forecasts", {**where, "cutoff": Between(near - day, near + day)}, ["step", "quantiles"])
    return rows.dropna(subset="quantiles").drop_duplicates("step")


@dataclass(frozen=True)
class Remarks:
    """The remarks of the ledger about a symbol in one file.

    Attributes:
        findings: the oddities of the bars; empty if there are none.
        results: the results day that the forecast expected; None if it expected none.
    """

    findings: str
    results: ResultsDay | None


def remarks(warehouse: Warehouse, symbol: str, name: str, generation: str, targets: Sequence[pd.Timestamp]) -> Remarks:
    """The remarks of the ledger about a forecast of a symbol, by its file and its target dates."""
    rows = warehouse.read("ingestions", {"object": name, "generation": generation, "symbol": symbol})
    days = [day.date() for day in targets]
    expected = [expected_results(row, days) for row in rows.to_dict("records")]
    return Remarks("; ".join(rows["findings"].dropna().unique()), next(filter(None, expected), None))


def random_walk(warehouse: Warehouse, symbol: str, frequency: str = DAILY.name) -> pd.DataFrame:
    """The random walk's forecasts of a symbol, likewise."""
    where = {"symbol": symbol, "frequency": frequency, "model_name": RANDOM_WALK}
    return _in_use(_by_ends(warehouse.read("forecast_history", where, [*FORECAST, "role"]), frequency))


def histogram(warehouse: Warehouse, symbol: str, frequency: str = DAILY.name) -> pd.DataFrame:
    """The distribution of the last 250 closes of a symbol."""
    found = warehouse.read("price_histogram", {"symbol": symbol, "frequency": frequency})
    return found.sort_values("bin", ignore_index=True)


def champion_skill(warehouse: Warehouse, symbol: str, frequency: str = DAILY.name) -> pd.DataFrame:
    """The champion's rows of `forecast_skill` for one symbol."""
    return warehouse.read("forecast_skill", {"symbol": symbol, "frequency": frequency, "role": Role.CHAMPION})


def companion_skill(warehouse: Warehouse, symbol: str, frequency: str = DAILY.name) -> pd.DataFrame:
    """The rows of `forecast_skill` for one symbol by the models beside the champion."""
    return warehouse.read("forecast_skill", {"symbol": symbol, "frequency": frequency, "role": Role.COMPANION})


def skill(warehouse: Warehouse, frequency: str = DAILY.name) -> pd.DataFrame:
    """The skill of every model, over all and by symbol or by step, not by both."""
    return ask(warehouse, "skill", frequency=frequency)


def uncounted(warehouse: Warehouse, frequency: str = DAILY.name) -> dict[str, int]:
    """The champion's closes that have come true and, where none counts, why not; see `track_record.uncounted`."""
    return track_record.uncounted(ask(warehouse, "uncounted", frequency=frequency))


def coverage(warehouse: Warehouse, frequency: str = DAILY.name) -> pd.DataFrame:
    """The coverage of each model's intervals by month, over all symbols."""
    return ask(warehouse, "coverage", frequency=frequency)


def models(warehouse: Warehouse, frequency: str = DAILY.name) -> pd.DataFrame:
    """Each version of a model in each role, the newest first."""
    found = warehouse.read("model_history", {"frequency": frequency})
    return found.sort_values(["last_made_at", "model_name"], ascending=[False, True], ignore_index=True)


def health(warehouse: Warehouse) -> pd.DataFrame:
    """The files of each day, and their latency."""
    return warehouse.read("ingestion_health").sort_values("day", ignore_index=True)


def not_forecast(warehouse: Warehouse) -> pd.DataFrame:
    """The newest rows of the ledger that are not forecasts, with their reasons."""
    return ask(warehouse, "ledger_not_forecast", rows=LISTED)


def freshness(warehouse: Warehouse) -> pd.DataFrame:
    """The newest cutoff of each symbol and frequency, and when it arrived; the stalest first.

    Simulated ones count only if there are no others of the symbol.
    """
    return ask(warehouse, "freshness")


def decisions(warehouse: Warehouse) -> pd.DataFrame:
    """The daily flow's decisions on the champion, the newest first."""
    found = warehouse.read("retrains")
    return found.sort_values(["day", "created_at"], ascending=False, ignore_index=True)


def drift(warehouse: Warehouse) -> pd.DataFrame:
    """The drift of each day, by kind."""
    return warehouse.read("drift_daily").sort_values(["day", "kind"], ignore_index=True)


def _in_use(rows: pd.DataFrame) -> pd.DataFrame:
    """The forecasts of one symbol without simulated ones, unless there are no others."""
    return rows[rows["simulated"] == rows["simulated"].all()]


def _by_ends(rows: pd.DataFrame, frequency: str) -> pd.DataFrame:
    """The rows with the ends of bars in place of their dates, where dates do not name them."""
    bars = frequency_of(frequency)
    if bars.is_daily:
        return rows
    named = {name: bars.key(name) for name in ("session_date", "cutoff", "target_date") if name in rows}
    return rows.assign(**{name: rows[key].dt.tz_convert(None).astype("datetime64[us]") for name, key in named.items()})


def with_actuals(vintages: pd.DataFrame, known: pd.DataFrame) -> pd.DataFrame:
    """Join forecasts with the closes that followed, on today's basis.

    A split rebases a symbol's bars: a forecast from before it is multiplied by the factor of its last close.

    Args:
        vintages: forecasts of one symbol.
        known: the bars of the symbol, from `bars`.

    Returns:
        The same rows with `actual`, NaN where it is not known yet, and `inside`: `80%`, `95%`, `outside` or empty.
    """
    close = known.set_index("session_date")["close"]
    factor = (vintages["cutoff"].map(close) / vintages["last_close"]).fillna(1.0)
    prices = ["last_close", *LEVELS]
    rebased = vintages.assign(**{name: vintages[name] * factor for name in prices})
    actual = rebased["target_date"].map(close).astype(float)
    inside = [actual.between(rebased[f"close_lo_{level}"], rebased[f"close_hi_{level}"]) for level in (80, 95)]
    interval = np.select([actual.isna(), *inside], ["", "80%", "95%"], default="outside")
    return rebased.assign(actual=actual, inside=interval)


def apart(vintages: pd.DataFrame, before: pd.Timestamp) -> pd.DataFrame:
    """The earlier vintages that do not overlap, going back from a date: each ends where the next one begins."""
    kept = []
    last_targets = vintages.groupby("cutoff")["target_date"].max()
    for cutoff, last_target in last_targets.sort_index(ascending=False).items():
        if last_target <= before:
            kept.append(cutoff)
            before = pd.Timestamp(cutoff)  # type: ignore[arg-type]
    return vintages[vintages["cutoff"].isin(kept)]
