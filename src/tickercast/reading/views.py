"""What the pages ask the warehouse: one question a function, each a frame, in BigQuery's dialect for both engines.

The pages read views, and the ledger `ingestions` and the decisions `retrains`, which are as people read them. What a
page asks for one symbol stays fast with hundreds of symbols, since every view it reads can be cut to one.
"""

import numpy as np
import pandas as pd

from tickercast.domain.forecast import LEVELS
from tickercast.ports import Warehouse

NOT_CHAMPIONS = ("random-walk", "shadow")
"""Names in `forecasts` that no champion has: the baseline, and a former champion that is kept for comparison."""

LISTED = 500
"""Lines of the ledger that are looked at; `tickercast ingestions` lists all."""


def symbols(warehouse: Warehouse) -> list[str]:
    """The symbols that have been forecast, by name."""
    text = "SELECT DISTINCT symbol FROM ingestions WHERE status = 'forecast' AND symbol IS NOT NULL ORDER BY symbol"
    return list(warehouse.query(text)["symbol"])


def bars(warehouse: Warehouse, symbol: str) -> pd.DataFrame:
    """All sessions of a symbol with their indicators, the oldest first; see the view `indicators`."""
    return warehouse.read("indicators", {"symbol": symbol}).sort_values("session_date", ignore_index=True)


def forecasts(warehouse: Warehouse, symbol: str) -> pd.DataFrame:
    """Every forecast of a symbol by the newest of each cutoff; made-up ones only where there is no other."""
    found = warehouse.read("forecast_history", {"symbol": symbol})
    kept = found[found["simulated"] == found["simulated"].all()]
    return kept.sort_values(["cutoff", "model_name", "step"], ignore_index=True)


def histogram(warehouse: Warehouse, symbol: str) -> pd.DataFrame:
    """Where the last 250 closes of a symbol lie."""
    return warehouse.read("price_histogram", {"symbol": symbol}).sort_values("bin", ignore_index=True)


def skill_of(warehouse: Warehouse, symbol: str) -> pd.DataFrame:
    """The rows of `forecast_skill` of one symbol."""
    return warehouse.read("forecast_skill", {"symbol": symbol})


def skill(warehouse: Warehouse) -> pd.DataFrame:
    """Skill of every model, over all and by symbol or by step; not by both."""
    return warehouse.query("SELECT * FROM forecast_skill WHERE symbol IS NULL OR step IS NULL")


def coverage(warehouse: Warehouse) -> pd.DataFrame:
    """How often the intervals of each model held, by month, over all symbols."""
    return warehouse.query("SELECT * FROM coverage WHERE symbol IS NULL ORDER BY month")


def models(warehouse: Warehouse) -> pd.DataFrame:
    """Each version of a model, the newest first."""
    found = warehouse.read("model_history")
    return found.sort_values(["last_made_at", "model_name"], ascending=[False, True], ignore_index=True)


def health(warehouse: Warehouse) -> pd.DataFrame:
    """What arrived on each day, and how long it took."""
    return warehouse.read("ingestion_health").sort_values("day", ignore_index=True)


def not_forecast(warehouse: Warehouse) -> pd.DataFrame:
    """The newest lines of the ledger that are no forecast, with their reasons."""
    order = f"ORDER BY received_at DESC, object, symbol LIMIT {LISTED}"
    wanted = "received_at, object, generation, symbol, status, reason"
    return warehouse.query(f"SELECT {wanted} FROM ingestions WHERE status != 'forecast' {order}")  # noqa: S608


def freshness(warehouse: Warehouse) -> pd.DataFrame:
    """For each symbol the newest session that was forecast from, and when; the stalest first."""
    return warehouse.query(
        "SELECT symbol, MAX(cutoff) AS cutoff, MAX(received_at) AS received_at FROM ingestions "
        "WHERE status = 'forecast' AND symbol IS NOT NULL GROUP BY symbol ORDER BY cutoff, received_at, symbol"
    )


def decisions(warehouse: Warehouse) -> pd.DataFrame:
    """What the daily flow decided about the served model, the newest first."""
    found = warehouse.read("retrains")
    return found.sort_values(["day", "created_at"], ascending=False, ignore_index=True)


def drift(warehouse: Warehouse) -> pd.DataFrame:
    """How much had drifted on each day, by kind."""
    return warehouse.read("drift_daily").sort_values(["day", "kind"], ignore_index=True)


def champion_of(found: pd.DataFrame) -> pd.DataFrame:
    """The champion's forecasts alone: of several models with one cutoff the one whose file came last.

    Args:
        found: from `forecasts`.
    """
    champions = found[~found["model_name"].isin(NOT_CHAMPIONS)]
    order = champions.sort_values(["cutoff", "generation", "model_name"], ascending=[True, False, True])
    served = order.drop_duplicates("cutoff")[["cutoff", "model_name"]]
    return champions.merge(served, on=["cutoff", "model_name"]).sort_values(["cutoff", "step"], ignore_index=True)


def with_actuals(vintages: pd.DataFrame, known: pd.DataFrame) -> pd.DataFrame:
    """Forecasts beside the closes that came true, in today's basis.

    A split rebases a symbol's history: a forecast from before it is multiplied by what that did to its last close.

    Args:
        vintages: forecasts of one symbol.
        known: its sessions, from `bars`.

    Returns:
        The same rows with `actual`, NaN where it is not known yet, and `inside`: `80 %`, `95 %`, `outside` or empty.
    """
    close = known.set_index("session_date")["close"]
    factor = (vintages["cutoff"].map(close) / vintages["last_close"]).fillna(1.0)
    prices = ["last_close", *LEVELS]
    rebased = vintages.assign(**{name: vintages[name] * factor for name in prices})
    actual = rebased["target_date"].map(close).astype(float)
    inside = [actual.between(rebased[f"close_lo_{level}"], rebased[f"close_hi_{level}"]) for level in (80, 95)]
    said = np.select([actual.isna(), *inside], ["", "80 %", "95 %"], default="outside")
    return rebased.assign(actual=actual, inside=said)


def apart(vintages: pd.DataFrame, before: pd.Timestamp) -> pd.DataFrame:
    """Of earlier vintages those that do not overlap, going back from a date: each ends where the next one begins."""
    kept = []
    last_targets = vintages.groupby("cutoff")["target_date"].max()
    for cutoff, last_target in last_targets.sort_index(ascending=False).items():
        if last_target <= before:
            kept.append(cutoff)
            before = pd.Timestamp(cutoff)  # type: ignore[arg-type]
    return vintages[vintages["cutoff"].isin(kept)]
