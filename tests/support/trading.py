"""A small exchange, the forecast function and a desk on top of them, all by one clock that a test sets."""

import functools
import importlib.util
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tickercast import engines as bootstrap
from tickercast.backends.object_store.local import LocalObjectStore
from tickercast.backends.warehouse.duckdb import DuckDBWarehouse
from tickercast.config import resource
from tickercast.domain.bars import History, Reading
from tickercast.domain.forecast import Predictor
from tickercast.domain.model_card import CHALLENGER_ALIAS, CHAMPION_ALIAS, Bundle, RegisteredVersion
from tickercast.domain.recipe import Recipe
from tickercast.errors import BundleError, UnknownSymbol
from tickercast.jobs.champion.model_store import point_champion, write_bundle
from tickercast.jobs.daily.desk import Desk
from tickercast.jobs.requests.ledger import NO_PATIENCE
from tickercast.jobs.serving.handle_event import forecast
from tickercast.jobs.serving.past_models import Published
from tickercast.ports import DriftReport, ModelRegistry, Notifier, ObjectFinalized, RunRecord

SYMBOLS = ("AAA", "BBB", "CCC", "DDD", "EEE", "FFF", "GGG", "HHH")
LISTED = date(2020, 1, 2)
LAST = date(2024, 12, 31)
PROJECT = Path(__file__).parents[2]


class Exchange:
    """Bars of made-up companies that pass for real ones: nothing says that they are simulated.

    Args:
        storm: from this date on all prices fall, each day by three of the usual standard deviations.
    """

    name = "exchange"

    def __init__(self, storm: date = date.max) -> None:
        self.known_through = LAST
        self.delisted: dict[str, date] = {}
        self.splits: dict[str, date] = {}
        drawn = _drawn()
        self._bars = {symbol: _in_storm(drawn[symbol].bars, storm) for symbol in SYMBOLS}

    def fetch(self, symbols: Sequence[str], first: date, last: date, *, advance: Callable[[int], None]) -> Reading:
        histories: dict[str, History] = {}
        failures: dict[str, Any] = {}
        for symbol in symbols:
            advance(1)
            if self.delisted.get(symbol, date.max) <= self.known_through:
                failures[symbol] = UnknownSymbol(f"{symbol} is not listed any more. Leave it out.")
            else:
                histories[symbol] = self._history(symbol, first, min(last, self.known_through))
        return Reading(histories, failures)

    def _history(self, symbol: str, first: date, last: date) -> History:
        bars = self._bars[symbol]
        days = bars["session_date"]
        wanted = bars[(days >= pd.Timestamp(first)) & (days <= pd.Timestamp(last))].reset_index(drop=True)
        if self.splits.get(symbol, date.max) <= self.known_through:
            wanted = wanted.assign(**{name: wanted[name] / 2 for name in _PRICES})
        return History(symbol, wanted)


_PRICES = ("open", "high", "low", "close", "adj_close")


@functools.cache
def _drawn() -> Mapping[str, History]:
    reading = bootstrap.market_data("simulated").fetch(SYMBOLS, LISTED, LAST, advance=lambda _: None)
    return reading.histories


def _in_storm(bars: pd.DataFrame, storm: date) -> pd.DataFrame:
    """The bars, with prices that fall by three per cent more a day from a date on."""
    days = np.cumsum(bars["session_date"] >= pd.Timestamp(storm))
    return bars.assign(**{name: bars[name] * np.exp(-0.03 * days) for name in _PRICES})


class Fitted:
    """The shipped network with another factor round its median, as if a training had found that."""

    def __init__(self, trained_through: date, calibration: float) -> None:
        shipped = bootstrap.shipped_bundle()
        changes = {"version": "", "run_id": "", "trained_through": trained_through, "calibration": calibration}
        self._bundle = replace(shipped, card=shipped.card.model_copy(update=changes))
        self._model = bootstrap.load_bundle(self._bundle)
        self.name, self.version, self.min_sessions = "tickercast-lstm", "", self._model.min_sessions
        self.parameters: Mapping[str, Any] = {"calibration": calibration}
        self.curves: Mapping[str, Sequence[float]] = {}
        self.model = None

    def bundle(self) -> Bundle:
        return self._bundle

    def predict(self, histories: Sequence[History]) -> NDArray[np.float64]:
        return self._model.predict(histories)

    def predict_at(self, history: History, at: NDArray[np.intp]) -> NDArray[np.float64]:
        return self._model.predict_at(history, at)


@dataclass
class Registry:
    """A registry in memory, for tests that are not about MLflow."""

    url: str = "memory://"
    bundles: list[Bundle] = field(default_factory=list)
    aliases: dict[str, str] = field(default_factory=dict)

    def register(self, bundle: Bundle, record: RunRecord) -> Bundle:
        version = str(len(self.bundles) + 1)
        self.bundles.append(bundle.registered(version=version, run_id=f"run-{version}"))
        self.aliases[CHALLENGER_ALIAS] = version
        return self.bundles[-1]

    def bundle(self, name: str, version: str) -> Bundle:
        if not 0 < int(version) <= len(self.bundles):
            raise BundleError(f"There is no version {version}.")
        return self.bundles[int(version) - 1]

    def versions(self, name: str) -> Sequence[RegisteredVersion]:
        at = datetime(2024, 1, 1, tzinfo=UTC)
        return [RegisteredVersion(bundle.card, at, ()) for bundle in reversed(self.bundles)]

    def aliased(self, name: str, alias: str) -> str | None:
        return self.aliases.get(alias)

    def set_alias(self, name: str, alias: str, version: str) -> None:
        self.aliases[alias] = version


class Reporter:
    """Draws nothing: what is stored does not depend on it."""

    def report(self, seen: pd.DataFrame, sample: pd.DataFrame, findings: Sequence[Any]) -> DriftReport:
        return DriftReport(b"<html></html>", b"{}")


@dataclass
class Evening:
    """The desk of an evening; `day` is the clock, `calibration` what the next training finds.

    Args:
        folder: where bucket and warehouse are.
        registry: where trainings are registered.
        storm: see `Exchange`.
    """

    folder: Path
    registry: ModelRegistry = field(default_factory=Registry)
    storm: date = date.max
    day: date = date(2024, 6, 10)
    calibration: float = 1.0
    tuned: list[date] = field(default_factory=list)
    notifiers: list[Notifier] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.exchange = Exchange(self.storm)
        self.warehouse = DuckDBWarehouse(self.folder / "w.duckdb", resource("sql"))
        self.store = LocalObjectStore(self.folder / "bucket", self._deliver)

    def begin(self, calibration: float) -> None:
        """Makes tables and views, and publishes a first champion."""
        self.warehouse.provision()
        first = self.registry.register(Fitted(date(2022, 12, 30), calibration).bundle(), RunRecord())
        self.registry.set_alias(first.card.name, CHAMPION_ALIAS, first.card.version)
        write_bundle(self.store, first)
        point_champion(self.store, first.card.name, first.card.version)

    def now(self) -> datetime:
        return datetime.combine(self.day, time(22, 30), UTC)

    def desk(self) -> Desk:
        return Desk(
            source=self.exchange,
            store=self.store,
            models=self.store,
            taken_over=lambda: self.store,
            warehouse=self.warehouse,
            registry=self.registry,
            fit=self._fit,
            tuning=self._tune,
            seeds=(1,),
            load=bootstrap.load_bundle,
            peers=bootstrap.yardstick,
            yardstick=bootstrap.yardstick,
            picture=lambda report, peers: b"png",
            reporter=Reporter(),
            notifiers=self.notifiers,
            patience=lambda: NO_PATIENCE,
            now=self.now,
        )

    def _fit(
        self,
        histories: Sequence[History],
        *,
        trained_through: date,
        seeds: Sequence[int],
        on_progress: Callable[[int, int], None],
        recipe: Recipe | None = None,
    ) -> Fitted:
        return Fitted(trained_through, self.calibration)

    def _tune(self, market: Any, through: date) -> Recipe:
        self.tuned.append(self.day)
        return Recipe()

    def _deliver(self, described: Mapping[str, Any]) -> None:
        name, generation = described["name"], int(described["generation"])
        forecast(
            ObjectFinalized(described["bucket"], name, generation, event_id="event", written_at=self.now()),
            store=self.store,
            warehouse=self.warehouse,
            predictors=self._predictors,
            past=Published(self.store, self._predictors, bootstrap.load_bundle),
            now=self.now,
        )

    def _predictors(self) -> Sequence[Predictor]:
        return bootstrap.predictors(self.store)


Around = Callable[[str, Callable[..., Any]], Any]


def plain_flow(evening: Evening, monkeypatch: Any, around: Around | None = None) -> Callable[[], Any]:
    """The daily flow as a plain function, with its tasks and without Prefect: what it does, and not who drives it.

    Args:
        evening: gives the desk.
        monkeypatch: puts everything back after the test.
        around: makes of each task's name and function what is called instead.
    """
    module = flow_module()
    from prefect import Task

    for name, made in list(vars(module).items()):
        if isinstance(made, Task):
            monkeypatch.setattr(module, name, around(name, made.fn) if around else made.fn)
    for artifact in ("create_table_artifact", "create_markdown_artifact"):
        monkeypatch.setattr(module, artifact, lambda *_, **__: None)
    monkeypatch.setattr(bootstrap, "desk", lambda *_, **__: evening.desk())

    def run() -> Any:
        return module.daily_retrain.fn(list(SYMBOLS), evening.day, "exchange")

    return run


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
