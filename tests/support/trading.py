"""A small exchange, the forecast function and the daily run on top of them, all by one clock that a test sets."""

import functools
import importlib.util
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tickercast import engines
from tickercast.app import App
from tickercast.backends.object_store.local import LocalObjectStore
from tickercast.config import Settings, resource
from tickercast.domain.bars import Bars, Reading
from tickercast.domain.cards.model_card import CHALLENGER_ALIAS, CHAMPION_ALIAS, Bundle, Pointer, RegisteredVersion
from tickercast.domain.events import ResultsDays
from tickercast.domain.learning.recipe import Recipe
from tickercast.errors import BundleError, UnknownSymbol
from tickercast.jobs.daily.retrain import TrainingPlan, plan_training
from tickercast.jobs.daily.run_day import Day
from tickercast.jobs.requests.results import NO_PATIENCE, Patience
from tickercast.model_store import ModelStore
from tickercast.models import catalogue
from tickercast.models.baselines import RandomWalk
from tickercast.ports import DriftReport, ModelRegistry, Notifier, ObjectFinalized, RunRecord, Wrap

SYMBOLS = ("AAA", "BBB", "CCC", "DDD", "EEE", "FFF", "GGG", "HHH")
LISTED = date(2020, 1, 2)
LAST = date(2024, 12, 31)
PROJECT = Path(__file__).parents[2]


class Exchange:
    """Simulated bars that pass for real ones.

    Args:
        storm: from this date on all prices fall, each day by three of the usual standard deviations.
    """

    name = "exchange"
    simulated = False

    def __init__(self, storm: date = date.max) -> None:
        self.known_through = LAST
        self.delisted: dict[str, date] = {}
        self.splits: dict[str, date] = {}
        drawn = _drawn()
        self._bars = {symbol: _in_storm(drawn[symbol].frame, storm) for symbol in SYMBOLS}

    def symbols(self) -> Sequence[str]:
        return SYMBOLS

    def fetch(self, symbols: Sequence[str], first: date, last: date, *, advance: Callable[[int], None]) -> Reading:
        series: dict[str, Bars] = {}
        failures: dict[str, Any] = {}
        for symbol in symbols:
            advance(1)
            if self.delisted.get(symbol, date.max) <= self.known_through:
                failures[symbol] = UnknownSymbol(f"{symbol} is not listed any more. Leave it out.")
            else:
                series[symbol] = self._between(symbol, first, min(last, self.known_through))
        return Reading(series, failures)

    def _between(self, symbol: str, first: date, last: date) -> Bars:
        bars = self._bars[symbol]
        days = bars["session_date"]
        wanted = bars[(days >= pd.Timestamp(first)) & (days <= pd.Timestamp(last))].reset_index(drop=True)
        if self.splits.get(symbol, date.max) <= self.known_through:
            wanted = wanted.assign(**{name: wanted[name] / 2 for name in _PRICES})
        return Bars(symbol, wanted)


_PRICES = ("open", "high", "low", "close", "adj_close")


@functools.cache
def _drawn() -> Mapping[str, Bars]:
    reading = engines.market_data("simulated").fetch(SYMBOLS, LISTED, LAST, advance=lambda _: None)
    return reading.bars


def _in_storm(bars: pd.DataFrame, storm: date) -> pd.DataFrame:
    """The bars, with prices that fall by three per cent more a day from a date on."""
    days = np.cumsum(bars["session_date"] >= pd.Timestamp(storm))
    return bars.assign(**{name: bars[name] * np.exp(-0.03 * days) for name in _PRICES})


def shipped_bundle(name: str = "") -> Bundle:
    """A model that comes with the package; the champion of days by default."""
    store = ModelStore(LocalObjectStore(Path("unused")), resource("shipped"))
    return store.shipped_bundle(name, "1") if name else store.shipped


class Fitted:
    """The shipped network with another factor round its median, as if a training had found that."""

    def __init__(self, trained_through: date, calibration: float) -> None:
        shipped = shipped_bundle()
        changes = {"version": "", "run_id": "", "trained_through": trained_through, "calibration": calibration}
        changes |= {"adapts": False}  # or widths that follow would make good what the calibration spoils
        self._bundle = replace(shipped, card=shipped.card.model_copy(update=changes))
        self._model = catalogue.load_bundle(self._bundle)
        self.name, self.version = "tickercast-lstm", ""
        self.horizon, self.min_sessions = self._model.horizon, self._model.min_sessions
        self.parameters: Mapping[str, Any] = {"calibration": calibration}
        self.curves: Mapping[str, Sequence[float]] = {}
        self.model = None

    def bundle(self) -> Bundle:
        return self._bundle

    def predict(self, series: Sequence[Bars]) -> NDArray[np.float64]:
        return self._model.predict(series)

    def predict_at(self, bars: Bars, at: NDArray[np.intp]) -> NDArray[np.float64]:
        return self._model.predict_at(bars, at)


@dataclass
class Registry:
    """A registry in memory, for tests that are not about MLflow."""

    url: str = "memory://"
    bundles: list[Bundle] = field(default_factory=list)
    aliases: dict[str, str] = field(default_factory=dict)
    left_out: int = 0

    def register(self, bundle: Bundle, record: RunRecord) -> Bundle:
        version = str(self.newest(bundle.card.name) + 1)
        self.bundles.append(bundle.registered(version=version, run_id=f"run-{version}"))
        self.aliases[CHALLENGER_ALIAS] = version
        return self.bundles[-1]

    def bundle(self, name: str, version: str) -> Bundle:
        found = [bundle for bundle in self.bundles if bundle.card.version == version]
        if not found:
            raise BundleError(f"There is no version {version}.")
        return found[0]

    def versions(self, name: str, **_: object) -> Sequence[RegisteredVersion]:
        at = datetime(2024, 1, 1, tzinfo=UTC)
        return [RegisteredVersion(bundle.card, at, ()) for bundle in reversed(self.bundles)]

    def aliased(self, name: str, alias: str) -> str | None:
        return self.aliases.get(alias)

    def set_alias(self, name: str, alias: str, version: str) -> None:
        self.aliases[alias] = version

    def newest(self, name: str) -> int:
        return max([len(self.bundles), self.left_out, *(int(bundle.card.version) for bundle in self.bundles)])

    def number_after(self, name: str, number: int) -> None:
        self.left_out = number

    def alone(self) -> AbstractContextManager[None]:
        return nullcontext()


class Reporter:
    """Draws nothing: what is stored does not depend on it."""

    def report(self, seen: pd.DataFrame, sample: pd.DataFrame, findings: Sequence[Any]) -> DriftReport:
        return DriftReport(b"<html></html>", b"{}")


class EveningApp(App):
    """The application of an evening, with a small exchange, a registry in memory and trainings that take no time."""

    def __init__(self, evening: "Evening") -> None:
        folder = evening.folder
        settings = Settings(bucket=f"file://{folder}/bucket", warehouse=f"duckdb://{folder}/w.duckdb")
        super().__init__(settings, now=evening.now)
        self.evening = evening
        self.__dict__ |= {"registry": evening.registry, "drift_reporter": Reporter()}  # instead of those of engines

    @property
    def notifiers(self) -> Sequence[Notifier]:
        return self.evening.notifiers

    @functools.cached_property
    def store(self) -> LocalObjectStore:
        return LocalObjectStore(self.evening.folder / "bucket", self.evening.deliver)

    @property
    def fit(self) -> Any:
        return self.evening.fit

    @property
    def seeds(self) -> Sequence[int]:
        return (1,)

    def run_day(self, *given: Any, wrap: Wrap | None = None, **named: Any) -> Day:
        return super().run_day(*given, wrap=wrap if self.evening.may_train else _untrained(wrap), **named)

    def market_data(self, source: str = "") -> Any:
        return self.evening.exchange

    def evaluation_baselines(self, series: Sequence[Bars], through: date) -> Any:
        return [RandomWalk()]

    def promotion_baselines(self, series: Sequence[Bars], through: date) -> Any:
        return catalogue.promotion_baselines(series, through) if self.evening.may_demote else [RandomWalk()]

    def draw_evaluation(self, report: Any, baselines: Any) -> bytes:
        return b"png"

    def tuned_recipe(self, market: Any, through: date) -> Recipe:
        self.evening.tuned.append(self.evening.day)
        return Recipe()

    def patience(self, *_: Any) -> Patience:
        return NO_PATIENCE

    def store_with_new_champion(self) -> LocalObjectStore:
        return self.store


def _untrained(wrap: Wrap | None) -> Wrap:
    """The steps of an evening on which no challenger is wanted."""

    def steps(job: Any) -> Any:
        if job is plan_training:
            return lambda *_, **__: TrainingPlan(False, "no challenger is wanted this evening")
        return wrap(job) if wrap else job

    return steps


@dataclass
class Evening:
    """The day's work on an evening; `day` is the clock, `calibration` the result of the next training.

    Args:
        folder: where bucket and warehouse are.
        registry: where trainings are registered.
        storm: see `Exchange`.
        may_demote: whether a champion is compared with the baselines that can be served.
        may_train: whether a challenger is trained and compared, which takes most of an evening.
        symbols: the watchlist.
    """

    folder: Path
    registry: ModelRegistry = field(default_factory=Registry)
    storm: date = date.max
    day: date = date(2024, 6, 10)
    calibration: float = 1.0
    tuned: list[date] = field(default_factory=list)
    notifiers: list[Notifier] = field(default_factory=list)
    may_demote: bool = False
    may_train: bool = True
    symbols: Sequence[str] = SYMBOLS

    def __post_init__(self) -> None:
        self.exchange = Exchange(self.storm)
        self.app = EveningApp(self)
        self.warehouse = self.app.tables
        self.store = self.app.store

    def begin(self, calibration: float) -> None:
        """Create tables and views, and publish a first champion."""
        self.warehouse.provision()
        first = self.registry.register(Fitted(date(2022, 12, 30), calibration).bundle(), RunRecord())
        self.registry.set_alias(first.card.name, CHAMPION_ALIAS, first.card.version)
        self.app.models.write(first)
        self.app.models.point(Pointer(name=first.card.name, version=first.card.version))

    def now(self) -> datetime:
        return datetime.combine(self.day, time(22, 30), UTC)

    def run(self, wrap: Wrap | None = None) -> Day:
        """Do the evening's work."""
        return self.app.run_day(self.symbols, self.day, source="exchange", wrap=wrap or (lambda job: job))

    def fit(
        self,
        series: Sequence[Bars],
        *,
        trained_through: date,
        seeds: Sequence[int],
        on_progress: Callable[[int, int], None],
        recipe: Recipe | None = None,
        results: Mapping[str, ResultsDays] | None = None,
    ) -> Fitted:
        return Fitted(trained_through, self.calibration)

    def deliver(self, described: Mapping[str, Any]) -> None:
        name, generation = described["name"], described["generation"]
        function = EveningApp(self)  # which has no champion in its cache
        function.handle(ObjectFinalized(described["bucket"], name, generation, event_id="event", written_at=self.now()))


@functools.cache
def flow_module() -> Any:
    """`flows/daily.py`, which lies in no package."""
    path = PROJECT / "flows" / "daily.py"
    spec = importlib.util.spec_from_file_location(f"flows_{path.stem}", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Prefect's own, at import
        spec.loader.exec_module(module)
    return module
