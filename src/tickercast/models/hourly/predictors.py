"""The hourly models as predictors, and their monthly refresh.

All leave the median at the last close and differ in the width of the cone.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from tickercast.domain.bars import Bars
from tickercast.domain.cards.model_card import HAR_SEASON, NO_NETWORK, Bundle, ModelCard
from tickercast.domain.distribution import student5
from tickercast.domain.forecast import QUANTILES, RANDOM_WALK, RollingPredictor
from tickercast.domain.hourly import hour_features, hours
from tickercast.domain.hourly.hour_features import Floats, Panel, Rows
from tickercast.domain.hourly.hour_tables import HourTables
from tickercast.domain.hourly.hours import HORIZON
from tickercast.errors import BundleError
from tickercast.models.hourly.volatility import ROOTS, Volatility, fit, simple_sigma

EWMA_SEASON = "ewma-season"
"""The simple model with a season."""

Months = Callable[[np.datetime64], HourTables]
"""Gives the tables that a forecast at a moment may use."""


class HourlyPredictor(ABC):
    """A model of hourly bars: it answers `HORIZON` steps, from `hours.LEAST` hours of history on."""

    name: str
    version: str

    @property
    def horizon(self) -> int:
        """The number of steps of a forecast."""
        return HORIZON

    @property
    def min_sessions(self) -> int:
        """The shortest history that it accepts, in hours."""
        return hours.LEAST

    def predict(self, series: Sequence[Bars]) -> Floats:
        """Predict every series from its last bar; see `Predictor.predict`.

        Raises:
            TooFewSessions: a series reaches back less than `hours.LEAST` hours.
        """
        hours.check_history(series)
        answers = [self.predict_at(bars, np.array([len(bars) - 1])) for bars in series]
        return np.concatenate([np.empty((0, HORIZON, len(QUANTILES))), *answers])

    @abstractmethod
    def predict_at(self, bars: Bars, at: Rows) -> Floats:
        """Predict from several bars of one series; see `RollingPredictor.predict_at`."""


@dataclass(frozen=True)
class HourlyEwmaT(HourlyPredictor):
    """RiskMetrics σ (λ = 0.94) of hourly returns, Student's t with five degrees of freedom, √step: the yardstick."""

    name: str = "ewma-t"
    version: str = "1"

    def predict_at(self, bars: Bars, at: Rows) -> Floats:
        """Predict from several bars of one series; see `RollingPredictor.predict_at`."""
        panel = hour_features.panel(bars, np.ones(hours.WEEK))
        sigma = np.sqrt(hour_features.ewma(panel.squared, 0.94))[panel.grid.rows[at]]
        cone: Floats = (sigma[:, None] * ROOTS)[..., None] * student5(np.array(QUANTILES))
        return cone


@dataclass(frozen=True)
class HourlyRandomWalk(HourlyPredictor):
    """Hourly log-returns are Gaussian with mean 0 and σ60·√step: what skill is measured against."""

    name: str = RANDOM_WALK
    version: str = "1"

    def predict_at(self, bars: Bars, at: Rows) -> Floats:
        """Predict from several bars of one series; see `RollingPredictor.predict_at`."""
        panel = hour_features.panel(bars, np.ones(hours.WEEK))
        gaussian = np.array([NormalDist().inv_cdf(level) for level in QUANTILES])
        cone: Floats = (panel.sigma60[panel.grid.rows[at]][:, None] * ROOTS)[..., None] * gaussian
        return cone


BASELINES = {model.name: model for model in (HourlyRandomWalk, HourlyEwmaT)}
"""The models that need neither a bundle nor a fit."""


@dataclass(frozen=True)
class EwmaSeason(HourlyPredictor):
    """Two moving averages of squared returns (λ .94 and .995), times the season, with quantiles of the past year.

    Attributes:
        tables: learned from the past; see `volatility.fit`.
        card: the model card it came with; None for one that was just learned.
    """

    tables: HourTables
    name: str = EWMA_SEASON
    version: str = "1"
    card: ModelCard | None = None

    def predict_at(self, bars: Bars, at: Rows) -> Floats:
        """Predict from several bars of one series; see `RollingPredictor.predict_at`."""
        volatility = Volatility(self.tables)
        return simple_cone(volatility, *_at(volatility, bars, at))


@dataclass(frozen=True)
class HarSeason(HourlyPredictor):
    """A regression of the coming variance on past ones (log-HAR), times the season, with quantiles of the past year.

    Where the history is shorter than `hours.WANTED` it forecasts as `EwmaSeason` does.

    Attributes:
        tables: learned from the past; see `volatility.fit`.
        card: the model card it came with; None for one that was just learned.
    """

    tables: HourTables
    name: str = HAR_SEASON
    version: str = "1"
    card: ModelCard | None = None

    def predict_at(self, bars: Bars, at: Rows) -> Floats:
        """Predict from several bars of one series; see `RollingPredictor.predict_at`."""
        volatility = Volatility(self.tables)
        panel, rows = _at(volatility, bars, at)
        quantiles = simple_cone(volatility, panel, rows)
        full = bars.spans[at] >= hours.WANTED
        quantiles[full] = volatility.har_sigma(panel, rows[full])[..., None] * volatility.har_quantiles
        return quantiles


def table_bundle(name: str, tables: HourTables, *, trained_on: str, trained_through: date) -> Bundle:
    """The bundle of a model that is all in its card.

    Args:
        name: `HAR_SEASON` or `EWMA_SEASON`, which is the kind of the bundle, too.
        tables: learned from the past.
        trained_on: the symbols and dates of the training, in words.
        trained_through: the last date that was used.
    """
    card = ModelCard(
        kind=name,
        name=name,
        sha256=NO_NETWORK,
        features=hour_features.INPUTS,
        statics=(),
        window=hours.WANTED,
        horizon=HORIZON,
        quantiles=QUANTILES,
        calibration=1.0,
        min_sessions=hours.LEAST,
        trained_on=trained_on,
        trained_through=trained_through,
        metrics={},
        hour_tables=tables,
    )
    return Bundle(b"", card)


def load_tables(bundle: Bundle) -> RollingPredictor:
    """The model of a bundle of kind `har-season` or `ewma-season`.

    Raises:
        BundleError: the card holds no tables, or was made for other inputs.
    """
    card = bundle.card
    make = HarSeason if card.kind == HAR_SEASON else EwmaSeason
    return make(card_tables(card), card.name, card.version, card)


def card_tables(card: ModelCard) -> HourTables:
    """The tables of a card.

    Raises:
        BundleError: the card holds no tables, or was made for other inputs.
    """
    if card.hour_tables is None or (card.features, card.quantiles) != (hour_features.INPUTS, QUANTILES):
        raise BundleError(
            f"{card.name} {card.version} is of kind {card.kind}, and its card holds no tables for the inputs that this "
            "release computes. Serve another version, or install the release that trained it."
        )
    return card.hour_tables


def simple_cone(volatility: Volatility, panel: Panel, rows: Rows) -> Floats:
    """The quantiles of the simple model: `(rows, HORIZON, quantiles)`."""
    cone: Floats = simple_sigma(panel, rows)[..., None] * volatility.simple_quantiles
    return cone


def _at(volatility: Volatility, bars: Bars, at: Rows) -> tuple[Panel, Rows]:
    panel = volatility.panel(bars)
    return panel, panel.grid.rows[at]


# ---------------------------------------------------------------- refresh


@dataclass(frozen=True)
class MonthlyTables:
    """Tables learned at the beginning of each month from the year before, when they are first asked for.

    Attributes:
        series: the series that they are learned from.
    """

    series: Sequence[Bars]
    _made: dict[np.datetime64, HourTables] = field(default_factory=dict)

    def __call__(self, moment: np.datetime64) -> HourTables:
        """The tables that a forecast at `moment` may use.

        Raises:
            TooFewSessions: the series do not reach back far enough.
        """
        month = moment.astype("datetime64[M]")
        if month not in self._made:
            self._made[month] = fit(self.series, month.astype("datetime64[h]"))
        return self._made[month]


@dataclass(frozen=True)
class Refreshed(HourlyPredictor):
    """A model whose tables are refreshed at the beginning of each month.

    Attributes:
        name: the model's name.
        tables: gives the tables of a moment.
        make: creates the model from tables.
        version: the model's version.
        card: the card of the network that reads the tables, whose `trained_through` is the date up to which the network
            itself learned; None for a model without a network.
    """

    name: str
    tables: Months
    make: Callable[[HourTables], RollingPredictor]
    version: str = "1"
    card: ModelCard | None = None

    def predict_at(self, bars: Bars, at: Rows) -> Floats:
        """Predict from several bars of one series, each by the tables of its month."""
        month: NDArray[np.datetime64] = bars.columns["closed_at"][at].astype("datetime64[M]")
        quantiles = np.empty((len(at), HORIZON, len(QUANTILES)))
        for one in np.unique(month):
            quantiles[month == one] = self.make(self.tables(one)).predict_at(bars, at[month == one])
        return quantiles
