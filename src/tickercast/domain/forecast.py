"""A forecast: the distribution of the closes that follow a cutoff.

>>> targets = (date(2023, 8, 1), date(2023, 8, 2))
>>> flat = Prediction("MSFT", date(2023, 7, 31), 335.92, targets, np.zeros((2, len(QUANTILES))), "random-walk", "1")
>>> made = flat.forecast()
>>> made.horizon, made.steps[1].close_median
(2, 335.92)
>>> made.frame()[["step", "close_lo_80", "close_hi_80"]].to_dict("list")
{'step': [1, 2], 'close_lo_80': [335.92, 335.92], 'close_hi_80': [335.92, 335.92]}
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from tickercast.domain.bars import Bars
from tickercast.domain.events import ResultsDay, ResultsDays
from tickercast.domain.frequency import DAILY, DAYS, MOMENTS, Frequency
from tickercast.domain.text import is_number, quoted
from tickercast.errors import UsageError

if TYPE_CHECKING:
    from tickercast.domain.learning.widths import Widths

RANDOM_WALK = "random-walk"
"""The name of the model that every other one is measured against."""

QUANTILES = (0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.975)
"""The probabilities at which every model forecasts and is measured."""

LEVELS = {
    "close_median": 0.5,
    "close_lo_80": 0.1,
    "close_hi_80": 0.9,
    "close_lo_95": 0.025,
    "close_hi_95": 0.975,
}
"""The stored quantiles: column name to probability."""

CLOSE_DIGITS, END_DIGITS = 8, 7
"""The significant digits of a stored median, and of an interval's end: less than half the space of all of them."""

_DIGITS = {name: CLOSE_DIGITS if name == "close_median" else END_DIGITS for name in LEVELS}
_LARGEST = 100  # the largest log-return: no price moves so far, and beyond some 700 it would be infinite, or 0
_MOMENT = pa.timestamp("us", "UTC")
_STORED = [QUANTILES.index(level) for level in LEVELS.values()]

BASELINE_VERSION = "1"
"""The version of every model that is not registered; a registered one may have it, too."""


class Role(StrEnum):
    """The role of a forecast."""

    CHAMPION = "champion"
    """The one that people see."""
    COMPANION = "companion"
    """Served beside the champion, and scored."""
    BASELINE = "baseline"
    """The measure of all other models."""
    SHADOW = "shadow"
    """A former champion that still forecasts while its successor is on probation."""


class Origin(StrEnum):
    """The origin of a request."""

    LIVE = "live"
    """For the newest bar at that time."""
    BACKFILL = "backfill"
    """For a date long past."""


class Predictor(Protocol):
    """A model that is ready to predict; an untrained one has another type."""

    @property
    def name(self) -> str:
        """The registered model's name."""

    @property
    def version(self) -> str:
        """The registered version."""

    @property
    def horizon(self) -> int:
        """The number of steps of a forecast."""

    @property
    def min_sessions(self) -> int:
        """The shortest series that it accepts, in sessions."""

    def predict(self, series: Sequence[Bars]) -> NDArray[np.float64]:
        """Predict every series from its last bar.

        Args:
            series: n of them, none shorter than `min_sessions`.

        Returns:
            `(n, horizon, len(QUANTILES))`: quantiles of the log-return from the last close to the close of each step,
            in the order of `QUANTILES`.
        """


@runtime_checkable
class RollingPredictor(Predictor, Protocol):
    """A model that can also predict from many sessions of one series at once, which is much faster."""

    def predict_at(self, bars: Bars, at: NDArray[np.intp]) -> NDArray[np.float64]:
        """Predict from several bars, from each as `predict` would from a series that ends there.

        Args:
            bars: the series.
            at: `(n,)`, rows of the bars, none before the `min_sessions`-th.

        Returns:
            `(n, horizon, len(QUANTILES))`, as `predict` gives them.
        """


@runtime_checkable
class InformedPredictor(RollingPredictor, Protocol):
    """A model that can use more than the bars."""

    @property
    def adapts(self) -> bool:
        """Whether its intervals follow what earlier ones held; see `domain.learning.widths`."""

    def informed(self, results: Mapping[str, ResultsDays], widths: "Widths | None" = None) -> "InformedPredictor":
        """The same model with results days by symbol, and with factors around the median.

        Each forecast uses only the results days that were known by its cutoff.
        """

    def results_lift(self, bars: Bars, at: NDArray[np.intp]) -> NDArray[np.float64]:
        """The rise of the volatility of several forecasts through coming results, as the model knew it there.

        Args:
            bars: the series.
            at: `(n,)`, rows of the bars, as in `predict_at`.

        Returns:
            `(n, horizon)`: the logarithm of the volatility up to each step over its usual one; 0 where no results are
            expected by then, or the model does not read them.
        """


def checked(
    model: Predictor, quantiles: object, count: int, remedy: str = "Correct it, or take another version."
) -> NDArray[np.float64]:
    """Check a model's quantiles, and return them as an array: a damaged network answers NaN.

    Args:
        model: the model.
        quantiles: the quantiles that the model returned.
        count: the number of forecasts that the model was asked for.
        remedy: what to do if no forecasts can be made of them, as a sentence.

    Returns:
        `(count, horizon, len(QUANTILES))`, the same quantiles.

    Raises:
        UsageError: these are no numbers of that shape, not log-returns, or fall from one quantile to the next.
    """
    wanted = (count, model.horizon, len(QUANTILES))
    who = f"{model.name} {model.version}"
    needed = f"{who} gave quantiles {{}}: {{}} was needed, that is (forecasts, horizon, quantiles). {remedy}"
    try:
        given = np.asarray(quantiles)
        if given.dtype.kind not in "fiuO":  # complex numbers, texts and dates would become floats without a word
            raise TypeError(given.dtype)
        made = given.astype(np.float64, copy=False)
    except (TypeError, ValueError) as error:
        no_numbers = needed.format("that are no array of real numbers", f"an array of shape {wanted}")
        raise UsageError(no_numbers) from error
    if made.shape != wanted:
        raise UsageError(needed.format(f"of shape {made.shape}", wanted))
    if not -_LARGEST <= made.min(initial=0) <= made.max(initial=0) <= _LARGEST:  # NaN is neither
        raise UsageError(
            f"{who} gave quantiles that are not finite, or beyond ±{_LARGEST}: log-returns were needed, such as 0.01 "
            f"for 1%. {remedy}"
        )
    if (made[..., 1:] < made[..., :-1]).any():
        raise UsageError(
            f"{who} gave quantiles that fall: from the one at {QUANTILES[0]} to the one at {QUANTILES[-1]} none may be "
            f"below the one before. {remedy}"
        )
    return made


def informed(model: Predictor, results: Mapping[str, ResultsDays], widths: "Widths | None" = None) -> Predictor:
    """A model with what it may know beside the bars; the same model where it uses nothing else."""
    return model.informed(results, widths) if isinstance(model, InformedPredictor) else model


@dataclass(frozen=True)
class Served:
    """A model that is served, in its role."""

    model: Predictor
    role: Role


@dataclass(frozen=True)
class Step:
    """The forecast of one close, in the symbol's currency.

    Attributes:
        step: 1 … horizon.
        target_date: the session forecast.
        close_median: the point forecast.
        close_lo_80: the lower end of the 80% interval.
        close_hi_80: the upper end of the 80% interval.
        close_lo_95: the lower end of the 95% interval.
        close_hi_95: the upper end of the 95% interval.
        target_at: the moment (UTC) at which the hour forecast ends; None where a session is.
        quantiles: the closes at the probabilities `QUANTILES`; empty of the random walk, and where only the intervals
            are stored.
    """

    step: int
    target_date: date
    close_median: float
    close_lo_80: float
    close_hi_80: float
    close_lo_95: float
    close_hi_95: float
    target_at: datetime | None = None
    quantiles: tuple[float, ...] = ()

    @property
    def end(self) -> date:
        """The session, or the end of the hour, that is forecast."""
        return self.target_at or self.target_date

    def interval(self, level: int) -> tuple[float, float]:
        """Both ends of the 80 or 95% interval.

        Raises:
            UsageError: the level is another.
        """
        if level == 80:
            return self.close_lo_80, self.close_hi_80
        if level == 95:
            return self.close_lo_95, self.close_hi_95
        raise UsageError(f"An interval's level is {level!r}: 80 or 95 was needed. Name one of them.")

    def covers(self, close: float, level: int) -> bool:
        """Whether a close lies inside the 80 or 95% interval.

        Raises:
            UsageError: the level is another, or the close is no number.
        """
        if not is_number(close):
            raise UsageError(f"The close is {quoted(close)}: a number was needed, such as 24.5. Give one.")
        low, high = self.interval(level)
        return low <= close <= high


@dataclass(frozen=True)
class Forecast:
    """A forecast of one symbol by one model.

    Attributes:
        symbol: the series.
        cutoff: the forecast origin.
        last_close: the close there, in the symbol's currency.
        steps: one a target date.
        model_name: the model.
        model_version: the registered version of the model.
        role: the role in which the model is served.
        simulated: whether the bars were simulated.
        model_has_seen: whether it backfills a cutoff that the model was trained on.
        doubtful: whether a finding about the bars touches the width.
        findings: the oddities of the bars; empty if there are none.
        results: the results day inside the horizon, as it was known at the cutoff; None if none was.
        object: the file that it was made from; empty where it is not stored.
        generation: the version of that file.
        frequency: the frequency of the bars.
        cutoff_at: the moment (UTC) at which the hour of the origin ended; None where it is a session.
    """

    symbol: str
    cutoff: date
    last_close: float
    steps: tuple[Step, ...] = field(repr=False)
    model_name: str
    model_version: str
    role: Role = Role.CHAMPION
    simulated: bool = False
    model_has_seen: bool = False
    doubtful: bool = False
    findings: str = ""
    results: ResultsDay | None = None
    object: str = ""
    generation: str = ""
    frequency: Frequency = DAILY
    cutoff_at: datetime | None = None

    @property
    def end(self) -> date:
        """The forecast origin: a session, or the end of an hour."""
        return self.cutoff_at or self.cutoff

    @property
    def horizon(self) -> int:
        """The number of steps."""
        return len(self.steps)

    def frame(self) -> pd.DataFrame:
        """One row a step: symbol, cutoff, last_close, step, target_date, the closes, model_name, model_version.

        The closes are the median and the ends of both intervals. The dates are datetime64[us]. Of hourly bars it has
        `cutoff_at` and `target_at`, too, datetime64[us, UTC].
        """
        return frame_of([self], self.frequency)


def frame_of(forecasts: Sequence[Forecast], frequency: Frequency) -> pd.DataFrame:
    """Forecasts of one frequency below each other, with the columns and types of `Forecast.frame` even if none is."""
    steps = [
        asdict(step)
        | {
            "symbol": made.symbol,
            "cutoff": made.cutoff,
            "cutoff_at": made.cutoff_at,
            "last_close": made.last_close,
            "model_name": made.model_name,
            "model_version": made.model_version,
        }
        for made in forecasts
        for step in made.steps
    ]
    cutoff_at, target_at = ({}, {}) if frequency.is_daily else ({"cutoff_at": MOMENTS}, {"target_at": MOMENTS})
    types: dict[str, str] = {
        "symbol": "str",
        "cutoff": DAYS,
        **cutoff_at,
        "last_close": "float64",
        "step": "int64",
        "target_date": DAYS,
        **dict.fromkeys(LEVELS, "float64"),
        **target_at,
        "model_name": "str",
        "model_version": "str",
    }
    return pd.DataFrame(steps, columns=list(types)).astype(types)


class Prediction(NamedTuple):
    """A model's forecast of one series, in log-returns.

    Attributes:
        symbol: the series.
        cutoff: the forecast origin: a session, or the end of an hour, UTC and naive.
        last_close: the close there, in the symbol's currency.
        targets: `horizon` of them, as the cutoff is.
        log_returns: `(horizon, len(QUANTILES))`, quantiles in the order of `QUANTILES`.
        model_name: the model.
        model_version: the registered version of the model.
        role: the role in which the model is served.
        simulated: whether the bars were simulated.
        model_has_seen: whether it backfills a cutoff that the model was trained on.
        doubtful: whether a finding about the bars touches the width.
        frequency: the frequency of the bars.
    """

    symbol: str
    cutoff: date
    last_close: float
    targets: tuple[date, ...]
    log_returns: NDArray[np.float64]
    model_name: str
    model_version: str
    role: Role = Role.CHAMPION
    simulated: bool = False
    model_has_seen: bool = False
    doubtful: bool = False
    frequency: Frequency = DAILY

    def forecast(self) -> Forecast:
        """The same in prices."""
        whole = self.last_close * np.exp(self.log_returns)
        ends = self.frequency.ends([self.cutoff, *self.targets])
        cutoff, *dates = self.frequency.dates(ends).tolist()
        cutoff_at, *moments = (_utc(end) for end in (self.cutoff, *self.targets))
        steps = tuple(
            Step(
                number,
                day,
                **dict(zip(LEVELS, map(float, stored(row)), strict=True)),
                target_at=at,
                quantiles=() if self.model_name == RANDOM_WALK else tuple(map(float, row)),
            )
            for number, (day, row, at) in enumerate(zip(dates, whole, moments, strict=True), start=1)
        )
        return Forecast(
            self.symbol,
            cutoff,
            self.last_close,
            steps,
            self.model_name,
            self.model_version,
            self.role,
            self.simulated,
            self.model_has_seen,
            self.doubtful,
            frequency=self.frequency,
            cutoff_at=cutoff_at,
        )


def _utc(end: date) -> datetime | None:
    return end.replace(tzinfo=UTC) if isinstance(end, datetime) else None


def stored(quantiles: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pick what is stored, in the order of `LEVELS`: `(..., len(QUANTILES))` to `(..., len(LEVELS))`."""
    picked: NDArray[np.float64] = quantiles[..., _STORED]
    return picked


def to_digits(prices: NDArray[np.float64], digits: int = CLOSE_DIGITS) -> NDArray[np.float64]:
    """Prices above zero, to significant digits.

    >>> to_digits(np.array([332.8999938964844, 0.123456789])).tolist()
    [332.89999, 0.12345679]
    """
    places = digits - 1 - np.floor(np.log10(prices))
    scale = 10.0 ** np.abs(places)
    found: NDArray[np.float64] = np.where(places >= 0, np.rint(prices * scale) / scale, np.rint(prices / scale) * scale)
    return found


def rows(predictions: Sequence[Prediction]) -> pa.Table:
    """The rows of the table `forecasts`: one a prediction and step, in that order, with the table's column names.

    Args:
        predictions: forecasts of one frequency.
    """
    frequency = predictions[0].frequency if predictions else DAILY
    horizons = np.array([len(made.targets) for made in predictions], np.intp)
    numbers = np.repeat(np.arange(len(predictions)), horizons)
    last_closes = np.array([made.last_close for made in predictions])
    log_returns = np.concatenate([np.empty((0, len(QUANTILES))), *(made.log_returns for made in predictions)])
    closes = last_closes[numbers, None] * np.exp(stored(log_returns))
    symbols = [made.symbol for made in predictions]
    cutoffs = frequency.ends([made.cutoff for made in predictions])
    different: dict[tuple[date, ...], int] = {}
    which = [different.setdefault(made.targets, len(different)) for made in predictions]
    ends = [frequency.ends(targets) for targets in different]
    targets = np.concatenate([frequency.ends([]), *(ends[number] for number in which)])
    listed = np.array([made.model_name != RANDOM_WALK for made in predictions], bool)
    once = pa.table(
        {
            "symbol": _terms(symbols),
            "frequency": _terms([frequency.name] * len(predictions)),
            "cutoff": pa.array(frequency.dates(cutoffs)),
            "cutoff_at": pa.array(frequency.closes(symbols, np.arange(len(symbols)), cutoffs), _MOMENT),
            "last_close": last_closes,
            "model_name": _terms([made.model_name for made in predictions]),
            "model_version": _terms([made.model_version for made in predictions]),
            "role": _terms([str(made.role) for made in predictions]),
            "simulated": pa.array([made.simulated for made in predictions], pa.bool_()),
            "model_has_seen": pa.array([made.model_has_seen for made in predictions], pa.bool_()),
            "doubtful": pa.array([made.doubtful for made in predictions], pa.bool_()),
        }
    )
    steps = {
        "step": np.arange(len(numbers)) - np.repeat(np.cumsum(horizons) - horizons, horizons) + 1,
        "target_date": pa.array(frequency.dates(targets)),
        "target_at": pa.array(frequency.closes(symbols, numbers, targets), _MOMENT),
        "quantiles": _lists(log_returns, listed[numbers]),
        **_in_digits(closes, last_closes[numbers]),
    }
    table = once.take(numbers)
    for name, values in steps.items():
        table = table.append_column(name, pa.array(values))
    return table


def _in_digits(closes: NDArray[np.float64], last_closes: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """The columns `LEVELS` of `(rows, len(LEVELS))`; a median that stays at the last close equals it."""
    columns = {name: to_digits(values, _DIGITS[name]) for name, values in zip(LEVELS, closes.T.copy(), strict=True)}
    middle = list(LEVELS).index("close_median")
    stays = closes[:, middle] == last_closes
    return columns | {"close_median": np.where(stays, last_closes, columns["close_median"])}


def _lists(quantiles: NDArray[np.float64], kept: NDArray[np.bool_]) -> pa.Array:
    """One list a row, or none, to six decimals."""
    ends = np.concatenate([[0], np.cumsum(kept)]) * len(QUANTILES)
    values = np.round(quantiles[kept], 6).ravel()
    return pa.ListArray.from_arrays(ends.astype(np.int32), values, mask=pa.array(~kept))


def _terms(texts: Sequence[str]) -> pa.Array:
    return pa.array(texts, pa.string()).dictionary_encode()
