"""The ports of the application, opened when they are first used, and the warehouse made ready."""

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from functools import cached_property
from typing import Any

import pandas as pd

from tickercast import config, engines, logs
from tickercast.app.symbols import read_symbols, read_text
from tickercast.config import Settings
from tickercast.domain.bars import Bars
from tickercast.domain.cards.model_card import DIRECTION as DIRECTION_POINTER
from tickercast.domain.cards.model_card import Bundle
from tickercast.domain.forecast import Predictor, RollingPredictor, Served
from tickercast.domain.frequency import DAILY, HOURLY, Frequency, frequency_of
from tickercast.domain.measures.direction import DIRECTION
from tickercast.domain.symbols import Symbols, one_or_more, parse_symbols
from tickercast.domain.watchlist import symbols_in
from tickercast.errors import UsageError
from tickercast.jobs.operations import provision as provisioning
from tickercast.jobs.requests.results import Patience
from tickercast.model_store import ModelStore
from tickercast.models import catalogue
from tickercast.plain import first_of
from tickercast.ports import (
    DriftReporter,
    DropFolder,
    MarketData,
    ModelRegistry,
    Notifier,
    ObjectStore,
    PolledBucket,
    QueryLimits,
    Tearsheet,
    Warehouse,
)
from tickercast.reading.universes import newest_universe

WAIT_S = 60.0
"""The seconds that a request waits for a remote function."""

_AT_ONCE_S = 20.0  # the function has answered already, and only another process may still be at it
_DAY_S = 540.0


def nothing(*_: Any) -> None:
    """Ignore progress."""


class Ports:
    """The configured engines behind the ports, and the models that are served.

    Args:
        settings: where the engines are; those of the environment by default.
        now: the clock.

    Attributes:
        companions: the models that the settings name beside the champion.
        serves_direction: whether they name the model of directions, too.

    Raises:
        UsageError: the settings name a model that is not served.
    """

    def __init__(self, settings: Settings | None = None, *, now: Callable[[], datetime] | None = None) -> None:
        self.settings = settings or config.load()
        named = catalogue.companion_names(self.settings.models)
        self.companions = tuple(name for name in named if name != DIRECTION)
        self.serves_direction = DIRECTION in named
        self.now = now or (lambda: datetime.now(UTC))
        self._sources: dict[str, MarketData] = {}

    @cached_property
    def store(self) -> ObjectStore:
        """The data bucket; a write is followed by its event."""
        return engines.object_store(self.settings)

    @cached_property
    def silent_store(self) -> ObjectStore:
        """The data bucket, by a handle whose writes make no events."""
        return engines.object_store(self.settings, announce=False)

    @cached_property
    def drops(self) -> DropFolder | None:
        """The folder of a local bucket, where people drop files; None for another bucket."""
        return engines.drop_folder(self.store)

    @cached_property
    def polled(self) -> PolledBucket | None:
        """The data bucket, if it may be one that sends no events; None for any other."""
        return engines.polled_bucket(self.settings)

    def dropped(self) -> list[str]:
        """The files that were copied into the folder of a local bucket and not sent yet."""
        return self.drops.names() if self.drops else []

    def linked(self) -> dict[str, str]:
        """The links in the folder of a local bucket, which are not followed, and why."""
        return self.drops.links() if self.drops else {}

    @cached_property
    def models(self) -> ModelStore:
        """The model store."""
        return self.models_of(DAILY)

    @cached_property
    def direction_store(self) -> ModelStore:
        """The model store of directions."""
        return ModelStore(self.models.store, config.resource("shipped"), HOURLY, pointer=DIRECTION_POINTER)

    @cached_property
    def hourly_store(self) -> ModelStore:
        """The model store of hourly bars."""
        return self.models_of(HOURLY)

    def models_of(self, frequency: Frequency) -> ModelStore:
        """The model store, whose pointer is that of a frequency."""
        bucket = engines.model_bucket(self.settings) if self.settings.model_bucket else self.silent_store
        return ModelStore(bucket, config.resource("shipped"), frequency)

    @cached_property
    def tables(self) -> Warehouse:
        """The warehouse as it is."""
        return engines.warehouse(self.settings)

    @cached_property
    def readable(self) -> Warehouse:
        """The warehouse for what only reads: what is missing is created, and nothing is migrated."""
        provisioning.complete(models=self._every_store, warehouse=self.tables)
        return self.tables

    @cached_property
    def warehouse(self) -> Warehouse:
        """The warehouse for what writes: tables, views and a champion are created or migrated first."""
        self.make_ready()
        return self.tables

    @cached_property
    def registry(self) -> ModelRegistry:
        """The model registry."""
        return engines.model_registry(self.settings)

    @cached_property
    def notifiers(self) -> Sequence[Notifier]:
        """The receivers of alerts; empty if none are configured."""
        return engines.notifiers(self.settings)

    @cached_property
    def digest_receivers(self) -> Sequence[Notifier]:
        """The receivers of the digest; empty if none are configured."""
        return engines.digest_receivers(self.settings)

    @cached_property
    def drift_reporter(self) -> DriftReporter:
        """The renderer of drift reports."""
        return engines.drift_reporter()

    @cached_property
    def tearsheets(self) -> Tearsheet:
        """The renderer of tear sheets."""
        return engines.tearsheet()

    def source_of(self, source: str, frequency: Frequency) -> MarketData:
        """A source of bars of a frequency; the configured one by default, and binance for hours where none is.

        Raises:
            UsageError: no such source is known, or it has no bars of this frequency.
        """
        if frequency.is_daily:
            return self.market_data(source)
        return engines.hourly_data(source or engines.hourly_source(self.settings), self.settings)

    def market_data(self, source: str = "") -> MarketData:
        """A source of daily bars by its name; the configured one by default.

        no such source is known.
        """
        name = source or self.settings.source
        if name not in self._sources:
            self._sources[name] = engines.market_data(name, self.settings)
        return self._sources[name]

    @property
    def delivers_at_once(self) -> bool:
        """Whether a write returns only after the forecast function has answered its event."""
        return engines.delivers_at_once(self.settings)

    def patience(self, seconds: float = _DAY_S, on_wait: Callable[[float], None] = nothing) -> Patience:
        """The patience with the function, counted from the call.

        Args:
            seconds: the time limit for a remote function; one in this process has answered already.
            on_wait: called before each pause with the seconds waited so far.
        """
        return Patience(min(seconds, _AT_ONCE_S) if self.delivers_at_once else seconds, on_wait)

    def query(self, text: str) -> pd.DataFrame:
        """Answer a query in BigQuery's dialect, whichever engine is configured.

        A warehouse of another release answers in its own columns, and a warning in the log says so once.

        Raises:
            UsageError: the text is not one query, does not fit the tables, or exceeds the limits of `settings`.
            WarehouseUnavailable: try again.
        """
        limits = QueryLimits(self.settings.query_timeout_s, self.settings.query_memory_mb)
        found = self.tables.query(text, limits=limits)
        _ = self._differing
        return found

    @cached_property
    def _differing(self) -> Sequence[str]:
        """The tables and views that are of another release, which a warning in the log names once."""
        names = sorted(name for name, how in self.tables.pending().items() if how == "changed")
        if names:
            logging.getLogger(logs.MIGRATION).warning(
                "%s is of another release: %s %s, and the answer has its columns. `tickercast provision` makes "
                "those of this one, and keeps every row.",
                self.tables.url,
                first_of(names, 3),
                "differ" if len(names) > 1 else "differs",
            )
        return names

    def watched(self, symbols: Symbols | None = None) -> Sequence[str] | None:
        """The symbols that alerts are about: those named, or of the watchlist that is kept; None if there are none."""
        return parse_symbols(self.kept_watchlist() if symbols is None else symbols) or None

    def kept_watchlist(self) -> list[str]:
        """The newest universe where `TICKERCAST_UNIVERSE` is set, else the words of `TICKERCAST_WATCHLIST`."""
        if self.settings.universe:
            return newest_universe(self.readable)
        return read_symbols(self.settings.watchlist_file, self.settings)

    def hourly_watchlist(self, symbols: Symbols = ()) -> list[str]:
        """The coins that were named, or those of `TICKERCAST_HOURLY_WATCHLIST`.

        Raises:
            UsageError: no coin is named, or one is not valid.
        """
        words = one_or_more(symbols) or read_symbols(self.settings.hourly_watchlist, self.settings)
        if not words:
            raise UsageError(
                "No symbol was named, and TICKERCAST_HOURLY_WATCHLIST names no file: at least one coin was needed. "
                "Name some, such as BTCUSDT."
            )
        return parse_symbols(words)

    def watched_coins(self) -> Sequence[str] | None:
        """The coins of `TICKERCAST_HOURLY_WATCHLIST`, perhaps none; None where that names no file.

        Raises:
            UsageError: the file cannot be read, or a symbol is not valid.
        """
        path = self.settings.hourly_watchlist
        return parse_symbols(symbols_in(read_text(path, "symbols", self.settings))) if path else None

    def provision(self) -> list[str]:
        """Create the tables, views and champions that are missing or changed, and return their names."""
        return provisioning.provision(models=self._every_store, warehouse=self.tables)

    def make_ready(self) -> None:
        """Provision for what stores; not in the place of what is lost, see `jobs.operations.provision.make_ready`."""
        provisioning.make_ready(models=self._every_store, warehouse=self.tables)

    def pending(self) -> dict[str, str]:
        """Everything that `provision` would create or change: `missing` or `changed`, by name."""
        return provisioning.pending(models=self._every_store, warehouse=self.tables)

    @property
    def _every_store(self) -> Sequence[ModelStore]:
        return [self.models, self.hourly_store, *([self.direction_store] if self.serves_direction else [])]

    def store_of(self, frequency: Frequency) -> ModelStore:
        """The model store of a frequency."""
        return self.models if frequency.is_daily else self.hourly_store

    def load_bundle(self, bundle: Bundle) -> RollingPredictor:
        """Load a bundle, ready to predict; see `models.catalogue`."""
        return catalogue.load_bundle(bundle)

    def load_model(self, name: str = catalogue.CHAMPION, frequency: Frequency | str = DAILY) -> Predictor:
        """Load the model behind a name; see `models.catalogue.named`."""
        frequency = frequency_of(frequency)
        models = self.store_of(frequency)
        if name == catalogue.CHAMPION and not models.generation():
            return self.load_bundle(models.shipped)
        return catalogue.named(name, models)

    def served_models(self, frequency: Frequency | str = DAILY) -> list[Served]:
        """The published champion of a frequency, then the models that are served beside it."""
        frequency = frequency_of(frequency)
        return catalogue.served_models(self.store_of(frequency), self.companions)

    def evaluation_baselines(self, series: Sequence[Bars], through: date) -> Sequence[Predictor]:
        """The baselines of a training."""
        return catalogue.evaluation_baselines(series, through)

    def promotion_baselines(self, series: Sequence[Bars], through: date) -> Sequence[Predictor]:
        """The baselines of a promotion."""
        return catalogue.promotion_baselines(series, through)

    def draw_evaluation(self, report: Mapping[str, Any], baselines: Mapping[str, Mapping[str, Any]]) -> bytes:
        """Draw an evaluation as PNG."""
        from tickercast.show import chart

        return chart.evaluation_png(report, baselines)
