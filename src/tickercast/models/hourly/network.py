"""The hourly networks as they are served: ONNX on top of `har-season`, run by onnxruntime.

A network answers by which factors the regression's quantiles are stretched, so that a refresh of the tables moves
its base, too, and it needs no training for that.
"""

from abc import abstractmethod
from dataclasses import dataclass, replace

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from tickercast.domain.bars import Bars
from tickercast.domain.cards.model_card import Bundle, ModelCard, graph_shapes
from tickercast.domain.forecast import QUANTILES
from tickercast.domain.hourly import hour_features, hours
from tickercast.domain.hourly.hour_features import Floats, Panel, Rows
from tickercast.domain.hourly.hour_tables import HourTables
from tickercast.domain.hourly.hours import HORIZON
from tickercast.errors import BundleError
from tickercast.models.hourly.predictors import HourlyPredictor, simple_cone
from tickercast.models.hourly.volatility import Volatility
from tickercast.models.onnx import open_session

Floats32 = NDArray[np.float32]

WINDOW = 72
"""Hours that a network reads one by one."""

STEP_INPUTS = ("move", "abs_move", "log_variance", "place_in_range", "volume", "season")
"""The inputs of each hour, in their order."""

STATIC_INPUTS = (
    *(name for name in hour_features.INPUTS if name != hour_features.LEVEL),
    *(f"season_ahead_{step}" for step in range(1, HORIZON + 1)),
)
"""The inputs of each forecast, in their order: those of the regression but the level, since a network trained on wild
years would be lost in a calm one, and the season that is known to come."""

OUTPUT = "factors"
"""The network's output: `(n, HORIZON, quantiles)`, what the regression's quantiles are multiplied by."""

BATCH = 512
"""Forecasts in one call of the network."""


def network_inputs(panel: Panel, rows: Rows) -> tuple[Floats32, Floats32]:
    """The inputs of a network: `(rows, WINDOW, len(STEP_INPUTS))` and `(rows, len(STATIC_INPUTS))`.

    Args:
        panel: the measures of a series.
        rows: rows of the panel's grid, none before the `WINDOW`-th.
    """
    made, season = panel.grid, panel.season[panel.grid.cell]
    week = np.sqrt(hour_features.mean(panel.variance, hours.WEEK) + 1e-14)
    move = np.sqrt(np.nan_to_num(panel.squared)) * np.sign(np.diff(panel.log_close, prepend=panel.log_close[0])) / week
    spread = np.log(made.high / made.low)
    place = np.where(spread > 0, np.log(made.close / made.low) / np.where(spread > 0, spread, 1), 0.5) - 0.5
    variance = np.log(np.nan_to_num(panel.variance, nan=0.0) + 1e-14) - 2 * np.log(week)
    volume = np.log1p(made.volume) - np.log1p(hour_features.mean(made.volume, hours.WEEK))
    columns = [
        move.clip(-8, 8),
        np.abs(move).clip(0, 8),
        variance.clip(-6, 6),
        place,
        volume.clip(-4, 4),
        np.log(season),
    ]
    steps = np.stack(columns, axis=1).astype(np.float32)
    ahead = np.log(panel.season[hours.cells(hours.next_hours(made.closed_at[rows]).reshape(-1))]).reshape(-1, HORIZON)
    kept = [number for number, name in enumerate(hour_features.INPUTS) if name != hour_features.LEVEL]
    statics = np.concatenate([hour_features.inputs(panel, rows)[:, kept], ahead], axis=1).astype(np.float32)
    return steps[rows[:, None] + np.arange(1 - WINDOW, 1)], statics


class HourlyNetwork(HourlyPredictor):
    """A network with its model card and tables; a subclass says how the network is run.

    Where the history is shorter than `hours.WANTED` the simple model forecasts.

    Attributes:
        card: the model card.
        tables: the tables of the regression whose intervals the network stretches.
    """

    card: ModelCard
    tables: HourTables

    @abstractmethod
    def answer(self, steps: Floats32, statics: Floats32) -> Floats32:
        """Run the network: from `(n, WINDOW, inputs)` and `(n, inputs)` to `(n, HORIZON, quantiles)`."""

    @property
    def name(self) -> str:  # type: ignore[override]
        """The registered model's name."""
        return self.card.name

    @property
    def version(self) -> str:  # type: ignore[override]
        """The registered version; empty if it is not registered."""
        return self.card.version

    def predict_at(self, bars: Bars, at: Rows) -> Floats:
        """Predict from several bars of one series; see `RollingPredictor.predict_at`."""
        volatility = Volatility(self.tables)
        panel = volatility.panel(bars)
        rows = panel.grid.rows[at]
        quantiles = simple_cone(volatility, panel, rows)
        full = np.flatnonzero(bars.spans[at] >= hours.WANTED)
        for start in range(0, len(full), BATCH):
            chosen = full[start : start + BATCH]
            factors = self.answer(*network_inputs(panel, rows[chosen]))
            base = volatility.har_sigma(panel, rows[chosen])[..., None] * volatility.har_quantiles
            quantiles[chosen] = base * factors
        return quantiles


@dataclass(frozen=True)
class OnnxHourly(HourlyNetwork):
    """A bundle of kind `lstm-1h` that is ready to predict."""

    card: ModelCard
    tables: HourTables
    session: onnxruntime.InferenceSession

    @classmethod
    def load(cls, bundle: Bundle) -> "OnnxHourly":
        """Load the network.

        Raises:
            BundleError: the bundle was made for other inputs, or the network cannot be loaded.
        """
        card = bundle.card
        needed = {
            "features": STEP_INPUTS,
            "statics": STATIC_INPUTS,
            "window": WINDOW,
            "horizon": HORIZON,
            "quantiles": QUANTILES,
        }
        for name, ours in needed.items():
            if getattr(card, name) != ours:
                raise BundleError(
                    f"{card.name} {card.version} was trained with other {name} than this tickercast computes. "
                    "Serve a version trained by this release, or install the release that trained it."
                )
        if card.hour_tables is None:
            raise BundleError(f"The card of {card.name} {card.version} holds no tables. Serve another version.")
        session = open_session(bundle)
        seen = {node.name: tuple(node.shape[1:]) for node in (*session.get_inputs(), *session.get_outputs())}
        shapes = {name: shape for part in graph_shapes(card) for name, shape in part.items()}
        if seen != shapes:
            raise BundleError(
                f"The network of {card.name} {card.version} has inputs and outputs {seen}, and {shapes} were needed. "
                "Serve another version."
            )
        return cls(card, card.hour_tables, session)

    def refreshed(self, tables: HourTables) -> "OnnxHourly":
        """The same network on newer tables."""
        return replace(self, tables=tables)

    def answer(self, steps: Floats32, statics: Floats32) -> Floats32:
        """Run the network; see `HourlyNetwork.answer`."""
        factors: Floats32 = self.session.run([OUTPUT], {"steps": steps, "statics": statics})[0]
        return factors
