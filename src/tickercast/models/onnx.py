"""The published network, run by onnxruntime: neither TensorFlow nor MLflow is needed, and nothing is unpickled."""

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from tickercast.domain.asset_classes import asset_class
from tickercast.domain.bars import Bars
from tickercast.domain.cards.model_card import Bundle, ModelCard
from tickercast.domain.events import ResultsDays
from tickercast.domain.forecast import QUANTILES
from tickercast.domain.learning import features
from tickercast.domain.learning.results_features import (
    LIFT,
    RESULTS_FEATURES,
    latest_results_features,
    results_features,
)
from tickercast.domain.learning.widths import Widths, stretched
from tickercast.errors import BundleError, EngineUnusable

BATCH = 64
"""The series in one call of the network; larger batches cost memory and time."""

_LARGEST_DRIFT = 0.05
_PAST_SHARE = 0.3  # the share of past quantiles in the intervals of a class that did not train the network
_STEADIEST = 0.2

OUTPUT = "z"
"""The network's output: `(n, horizon, quantiles)`, in units of σEWMA·√step."""


STATICS = (*features.STATIC_FEATURES, *RESULTS_FEATURES)
"""The static inputs of a network that reads results days; earlier ones take `features.STATIC_FEATURES` alone."""


class NetworkModel(ABC):
    """A network with its model card, as a predictor; a subclass says how the network is run.

    Attributes:
        card: the model card.
        results: the results days that it knows of, by symbol; see `informed`.
        widths: the factors of classes and symbols; see `informed`.
    """

    card: ModelCard
    results: Mapping[str, ResultsDays] = {}
    widths: Widths = Widths()

    @abstractmethod
    def answer(self, steps: NDArray[np.float32], statics: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run the network: from `(n, window, features)` and `(n, statics)` to z, `(n, horizon, quantiles)`."""

    @property
    def name(self) -> str:
        """The registered model's name."""
        return self.card.name

    @property
    def version(self) -> str:
        """The registered version; empty if it is not registered."""
        return self.card.version

    @property
    def horizon(self) -> int:
        """The number of steps of a forecast."""
        return self.card.horizon

    @property
    def min_sessions(self) -> int:
        """The shortest series that it accepts, in sessions."""
        return self.card.min_sessions

    def informed(self, results: Mapping[str, ResultsDays], widths: Widths | None = None) -> Self:
        """The same model with what it may know beside the bars; each forecast uses what was known by its cutoff.

        Args:
            results: the results days by symbol; a network that does not read them ignores them.
            widths: factors around the median that were learned up to a date before the forecasts; None keeps those
                that it has.
        """
        made = copy.copy(self)
        for name, value in (("results", results), ("widths", self.widths if widths is None else widths)):
            object.__setattr__(made, name, value)
        return made

    @property
    def adapts(self) -> bool:
        """Whether its intervals follow what earlier ones held; see `domain.learning.widths`."""
        return self.card.adapts

    @property
    def reads_results(self) -> bool:
        """Whether the network reads results days."""
        return len(self.card.statics) > len(features.STATIC_FEATURES)

    def predict(self, series: Sequence[Bars]) -> NDArray[np.float64]:
        """Predict every series from its last bar; see `Predictor.predict`.

        Raises:
            TooFewSessions: a series is shorter than `min_sessions`.
        """
        features.check_length(series, self.min_sessions)
        inputs = features.latest(series)
        statics, symbols = inputs.statics, [bars.symbol for bars in series]
        lift = np.zeros((len(series), self.horizon), np.float32)
        if self.reads_results:
            known = latest_results_features(series, inputs.sigma60, inputs.sigma_ewma, self.results)
            statics, lift = np.concatenate([statics, known], axis=1), known[:, LIFT]
        z = self._batched(len(series), lambda rows: (inputs.steps[rows], statics[rows]))
        made = to_log_returns(z, inputs.sigma_ewma, symbols, self.card)
        return stretched(made, self.widths.factors(symbols, lift))

    def predict_at(self, bars: Bars, at: NDArray[np.intp]) -> NDArray[np.float64]:
        """Predict from several sessions of one series; see `RollingPredictor.predict_at`."""
        panel = features.panel(bars)
        statics, sigma_ewma = panel.statics[at], panel.sigma_ewma[at]
        lift = np.zeros((len(at), self.horizon), np.float32)
        if self.reads_results:
            known = self._results_features(bars, at, panel)
            statics, lift = np.concatenate([statics, known], axis=1), known[:, LIFT]
        z = self._batched(len(at), lambda rows: (panel.windows(at[rows]), statics[rows]))
        symbols = [bars.symbol] * len(at)
        made = to_log_returns(z, sigma_ewma, symbols, self.card)
        return stretched(made, self.widths.factors(symbols, lift))

    def results_lift(self, bars: Bars, at: NDArray[np.intp]) -> NDArray[np.float64]:
        """The rise of the volatility through coming results; see `InformedPredictor.results_lift`."""
        if not self.reads_results or bars.symbol not in self.results:
            return np.zeros((len(at), self.horizon))
        return self._results_features(bars, at, features.panel(bars))[:, LIFT].astype(np.float64)

    def _results_features(self, bars: Bars, at: NDArray[np.intp], panel: features.Panel) -> NDArray[np.float32]:
        days = self.results.get(bars.symbol)
        return results_features(bars, at, panel.sigma60[at], panel.sigma_ewma[at], days)

    def _batched(
        self, count: int, inputs: Callable[[slice], tuple[NDArray[np.float32], NDArray[np.float32]]]
    ) -> NDArray[np.float32]:
        parts = [np.empty((0, self.horizon, len(self.card.quantiles)), np.float32)]
        for start in range(0, count, BATCH):
            parts.append(self.answer(*inputs(slice(start, min(start + BATCH, count)))))
        return np.concatenate(parts)


class OnnxModel(NetworkModel):
    """A bundle that is ready to predict.

    >>> from importlib.resources import files
    >>> from tickercast.domain.cards.model_card import read_bundle
    >>> shipped = files("tickercast") / "shipped/models/tickercast-lstm/1"
    >>> files = (shipped / "model.json").read_bytes(), (shipped / "model.onnx").read_bytes
    >>> model = OnnxModel(read_bundle(*files, remedy="Install tickercast again."))
    >>> model.name, model.version, model.min_sessions
    ('tickercast-lstm', '1', 91)
    """

    def __init__(self, bundle: Bundle) -> None:
        """Load the network.

        Raises:
            BundleError: the bundle was made for other inputs, or the network cannot be loaded.
        """
        self.card = bundle.card
        self._bundle = bundle
        _check_card(bundle.card)
        self._session = open_session(bundle)
        _check_graph(self._session, bundle.card)

    def __copy__(self) -> Self:
        made = object.__new__(type(self))
        made.__dict__.update(self.__dict__)
        return made

    def __getstate__(self) -> dict[str, Any]:
        """Everything but the loaded network, which another process loads anew."""
        return {name: value for name, value in vars(self).items() if name != "_session"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._session = open_session(self._bundle)

    def answer(self, steps: NDArray[np.float32], statics: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run the network; see `NetworkModel.answer`."""
        try:
            z: NDArray[np.float32] = self._session.run([OUTPUT], {"steps": steps, "statics": statics})[0]
        except Exception as error:  # onnxruntime's errors share no public base class
            said = " ".join(str(error).split())[:160].rstrip(".")
            raise EngineUnusable(
                f"onnxruntime {onnxruntime.__version__} cannot run {self.card.name} {self.card.version} on "
                f"{len(steps)} windows: {said}. Free memory, or serve another version."
            ) from error
        return z


def to_log_returns(
    z: NDArray[np.floating], sigma_ewma: NDArray[np.float64], symbols: Sequence[str], card: ModelCard
) -> NDArray[np.float64]:
    """Turn the network's output into log-returns: median + calibration·σEWMA·√step·(z − z50).

    In a class that did not train the network, three tenths of each interval are that of its own past returns.

    The median is the drift of the asset class, step by step, and at most `_STEADIEST`·σEWMA·√step, so that what hardly
    moves, as a peg, is not forecast to rise. On a card that names no drift it is the network's own z50.

    Args:
        z: `(n, horizon, quantiles)`.
        sigma_ewma: `(n,)`.
        symbols: n symbols, whose asset classes choose drift and calibration.
        card: the model card, for its quantiles, drift and calibration.
    """
    steps = np.arange(1, card.horizon + 1)
    middle = card.quantiles.index(0.5)
    own = z[:, :, middle : middle + 1].astype(np.float64)
    scale = (sigma_ewma[:, None] * np.sqrt(steps))[:, :, None]
    classes = [asset_class(symbol) for symbol in symbols]
    spread: NDArray[np.float64] = scale * _reach(classes, card, z - own)
    if not card.drift:
        return scale * own + spread
    drift = np.array([card.drift.get(name, 0.0) for name in classes])
    return np.minimum(drift[:, None, None] * steps[:, None], _STEADIEST * scale) + spread


def _reach(classes: Sequence[str], card: ModelCard, z: NDArray[np.floating]) -> NDArray[np.float64]:
    """The calibrated distances from the median, in units of σEWMA·√step: `(n, horizon, quantiles)` as z is."""
    shape = (card.horizon, len(card.quantiles))
    tables = [np.full(shape, card.calibration), *map(np.array, card.calibrations.values())]
    pasts = [np.zeros(shape), *(np.array(card.past_quantiles.get(name, np.zeros(shape))) for name in card.calibrations)]
    shares = np.array([0.0, *(_PAST_SHARE * (name in card.past_quantiles) for name in card.calibrations)])
    numbers = {name: number for number, name in enumerate(card.calibrations, start=1)}
    chosen = np.array([numbers.get(name, 0) for name in classes], np.intp)
    share = shares[chosen][:, None, None]
    reach: NDArray[np.float64] = (1 - share) * np.array(tables)[chosen] * z + share * np.array(pasts)[chosen]
    return reach


def _check_card(card: ModelCard) -> None:
    needed = {
        "features": features.STEP_FEATURES,
        "statics": STATICS if len(card.statics) > len(features.STATIC_FEATURES) else features.STATIC_FEATURES,
        "window": features.WINDOW,
        "horizon": features.HORIZON,
        "quantiles": QUANTILES,
    }
    for name, ours in needed.items():
        if getattr(card, name) != ours:
            raise BundleError(
                f"{card.name} {card.version} was trained with other {name} than this tickercast computes "
                f"({_short(getattr(card, name))} instead of {_short(ours)}). "
                "Serve a version trained by this release, or install the release that trained it."
            )
    if card.min_sessions < features.MIN_SESSIONS or not _near_one(card.calibration):
        raise BundleError(
            f"{card.name} {card.version} says min_sessions {card.min_sessions} and calibration {card.calibration}: at "
            f"least {features.MIN_SESSIONS} and a factor near 1 were needed. Serve another version."
        )
    if not all(abs(drift) < _LARGEST_DRIFT for drift in card.drift.values()):
        raise BundleError(
            f"{card.name} {card.version} has a drift of {_short(dict(card.drift))} a session: log-returns below "
            f"{_LARGEST_DRIFT} were needed. Serve another version."
        )
    for name, table in card.calibrations.items():
        if not _is_table(table, card) or not _near_one(*(f for row in table for f in row)):
            raise BundleError(
                f"{card.name} {card.version} has calibrations for {name} that are not {card.horizon} rows of "
                f"{len(card.quantiles)} factors near 1. Serve another version."
            )
    for name, table in card.past_quantiles.items():
        if name not in card.calibrations or not _is_table(table, card) or not (np.diff(table) >= 0).all():
            raise BundleError(
                f"{card.name} {card.version} has past quantiles for {name} that are not {card.horizon} rows of "
                f"{len(card.quantiles)} ascending numbers of a calibrated class. Serve another version."
            )


def _is_table(table: Sequence[Sequence[float]], card: ModelCard) -> bool:
    return len(table) == card.horizon and {len(row) for row in table} == {len(card.quantiles)}


def _near_one(*factors: float) -> bool:
    return all(0.1 < factor < 10 for factor in factors)


def open_session(bundle: Bundle) -> onnxruntime.InferenceSession:
    """Load the graph of a bundle, to run on one thread.

    Raises:
        BundleError: onnxruntime cannot load the graph.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    options.enable_cpu_mem_arena = False
    try:
        return onnxruntime.InferenceSession(bundle.onnx, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors share no public base class
        raise BundleError(
            f"The ONNX file of {bundle.card.name} {bundle.card.version} does not load: "
            f"{' '.join(str(error).split())[:160]}. Serve another version."
        ) from error


def _check_graph(session: onnxruntime.InferenceSession, card: ModelCard) -> None:
    seen = {node.name: tuple(node.shape[1:]) for node in (*session.get_inputs(), *session.get_outputs())}
    needed = {
        "steps": (card.window, len(card.features)),
        "statics": (len(card.statics),),
        OUTPUT: (card.horizon, len(card.quantiles)),
    }
    if seen != needed:
        raise BundleError(
            f"The network of {card.name} {card.version} has inputs and outputs {seen}, and its card says {needed}. "
            "Serve another version."
        )


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
