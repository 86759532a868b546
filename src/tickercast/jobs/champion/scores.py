"""Score: how the forecasts of the last weeks have come out, by the warehouse's own record."""

from dataclasses import dataclass
from datetime import date, timedelta

import pandas as pd

from tickercast.domain.forecast import SHADOW
from tickercast.domain.promotion import Condition, Realised
from tickercast.domain.realised import realised
from tickercast.jobs.champion.model_store import read_champion, read_pointer
from tickercast.jobs.daily.fetch import Market
from tickercast.ports import ObjectStore, Warehouse

WINDOW = timedelta(days=60)
"""Of cutoffs that are looked at: some forty sessions."""


@dataclass(frozen=True)
class Scores:
    """What has come true.

    Attributes:
        vs_walk: the served model's loss against the random walk's; None where too little has come true.
        coverage_80: of its 80 % intervals there; NaN where nothing has come true.
        vs_shadow: the champion's loss against the one that it replaced, since then; None likewise, or without one.
    """

    vs_walk: Realised | None
    coverage_80: float
    vs_shadow: Realised | None

    def condition(self, drift: tuple[str, ...] = ()) -> Condition:
        """What the choice of a training needs of it."""
        return Condition(self.vs_walk, self.coverage_80, drift)


def score(market: Market, *, store: ObjectStore, warehouse: Warehouse) -> Scores:
    """Reads the scores of the watchlist's forecasts that have come true.

    Forecasts from dates on which the champion was trained count for nothing.

    Raises:
        ModelUnavailable, BundleError: there is no champion, or it is damaged.
        Transient: the store or the warehouse does not answer.
    """
    pointer, champion = read_pointer(store), read_champion(store)
    rows = _rows(market, warehouse)
    rows = rows[(rows["scale"] > 0) & (rows["target_date"] <= pd.Timestamp(market.day))]
    rows = rows.assign(own=rows["loss"] / rows["scale"], walk=rows["walk_loss"] / rows["scale"])
    own = rows[rows["model_name"] == pointer.name]
    seen = pd.Timestamp(champion.card.trained_through)
    unseen = own[own["cutoff"] > seen]
    return Scores(
        realised(unseen, "own", "walk"),
        float(unseen["inside_80"].astype(float).mean()),
        _against_shadow(rows, own[own["model_version"] == pointer.version], pointer.shadow),
    )


def _rows(market: Market, warehouse: Warehouse) -> pd.DataFrame:
    cutoffs: list[date] = [day.date() for day in pd.date_range(market.day - WINDOW, market.day)]
    wanted = {"symbol": market.symbols, "cutoff": cutoffs, "simulated": market.source.simulated}
    return warehouse.read("forecast_scores", wanted)


def _against_shadow(rows: pd.DataFrame, own: pd.DataFrame, version: str) -> Realised | None:
    shadow = rows[(rows["model_name"] == SHADOW) & (rows["model_version"] == version)]
    step = ["symbol", "cutoff", "step", "target_date"]
    paired = own.merge(shadow[[*step, "generation", "own"]], on=[*step, "generation"], suffixes=("", "_shadow"))
    return realised(paired, "own", "own_shadow")
