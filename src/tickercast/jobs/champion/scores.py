"""Read the scores of the last weeks: how the champion compares with the random walk and with its shadow."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import pandas as pd

from tickercast.domain.forecast import Role
from tickercast.domain.frequency import DAILY
from tickercast.domain.learning.market import Market
from tickercast.domain.measures.promotion import Condition, Realised
from tickercast.domain.measures.realised import realised
from tickercast.domain.symbols import sample_symbols
from tickercast.model_store import ModelStore
from tickercast.ports import Warehouse

WINDOW = timedelta(days=60)
"""The cutoffs that are scored: some forty sessions."""


@dataclass(frozen=True)
class Scores:
    """The realised scores of the champion.

    Attributes:
        vs_walk: the champion's loss against the random walk's; None if too few closes have come true.
        coverage_80: the coverage of its 80% intervals; NaN if none has come true.
        vs_shadow: the champion's loss against its predecessor's, since it was promoted; None if too few closes have
            come true, or without a shadow.
        beside_shadow_since: the first date from which both have made a forecast of a close that came true; None if
            there is none.
    """

    vs_walk: Realised | None
    coverage_80: float
    vs_shadow: Realised | None
    beside_shadow_since: date | None = None

    def condition(self, drift: tuple[str, ...] = (), losses: Sequence[str] = ()) -> Condition:
        """The condition of the champion, on which the kind of the next training depends."""
        return Condition(self.vs_walk, self.coverage_80, drift, losses)


def read_scores(market: Market, *, models: ModelStore, warehouse: Warehouse) -> Scores:
    """Read the scores of the watchlist's forecasts that have come true, of a sample if the watchlist is long.

    They are of what is served: of the version of the champion, whose forecasts from dates that it was trained on do not
    count, or of the baseline in its place. Those of a version that was rolled back count no longer.

    Raises:
        ModelUnavailable, BundleError: there is no champion, or it is damaged.
        Transient: the store or the warehouse does not answer.
    """
    pointer = models.pointer()
    name = pointer.baseline or pointer.name
    rows = _rows(market, warehouse)
    rows = rows[(rows["scale"] > 0) & (rows["target_date"] <= pd.Timestamp(market.day))]
    rows = rows.assign(own=rows["loss"] / rows["scale"], walk=rows["walk_loss"] / rows["scale"])
    own = rows[(rows["role"] == Role.CHAMPION) & (rows["model_name"] == name)]
    if not pointer.baseline:
        own = own[own["model_version"] == pointer.version]
    paired = _beside_shadow(rows, own, pointer.shadow)
    seen = None if pointer.baseline else pd.Timestamp(models.champion().card.trained_through)
    unseen = own if seen is None else own[own["cutoff"] > seen]
    return Scores(
        realised(unseen, "own", "walk"),
        float(unseen["inside_80"].astype(float).mean()),
        realised(paired, "own", "own_shadow"),
        None if paired.empty else pd.Timestamp(paired["cutoff"].min()).date(),
    )


def _rows(market: Market, warehouse: Warehouse) -> pd.DataFrame:
    cutoffs: list[date] = [day.date() for day in pd.date_range(market.day - WINDOW, market.day)]
    flags = {"simulated": market.source.simulated, "doubtful": False}
    wanted = {"symbol": sample_symbols(market.symbols), "frequency": DAILY.name, "cutoff": cutoffs, **flags}
    return warehouse.read("forecast_scores", wanted, _SCORE)


_SCORE = [
    *("symbol", "cutoff", "step", "target_date", "role", "model_name", "model_version"),
    *("scale", "loss", "walk_loss", "inside_80", "generation"),
]


def _beside_shadow(rows: pd.DataFrame, own: pd.DataFrame, version: str) -> pd.DataFrame:
    """The champion's forecasts and those of its shadow from the same file, in pairs."""
    shadow = rows[(rows["role"] == Role.SHADOW) & (rows["model_version"] == version)]
    step = ["symbol", "cutoff", "step", "target_date"]
    return own.merge(shadow[[*step, "generation", "own"]], on=[*step, "generation"], suffixes=("", "_shadow"))
