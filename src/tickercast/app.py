"""The application: settings become ports, when they are first used, and ports become use cases.

The command line, the forecast function, the flows and the dashboard call an `App` and nothing below it; so does a
notebook, through `tickercast.open`.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from tickercast import config, engines, logs
from tickercast.config import Settings
from tickercast.domain.alerts import Alert, open_alerts
from tickercast.domain.bars import Bars
from tickercast.domain.forecast import Forecast, Predictor, RollingPredictor, Served
from tickercast.domain.frequency import DAILY
from tickercast.domain.market import FetchedBars, Market
from tickercast.domain.model_card import CHALLENGER_ALIAS, CHAMPION, CHAMPION_ALIAS, MODEL, Bundle, RegisteredVersion
from tickercast.domain.recipe import Recipe
from tickercast.domain.symbols import parse_symbol
from tickercast.errors import Permanent, UsageError
from tickercast.jobs.operations import alerts as alert_jobs
from tickercast.jobs.operations import provision as provisioning
from tickercast.jobs.operations.doctor import Check, Part, check
from tickercast.jobs.operations.drift import DriftCheck, check_drift
from tickercast.jobs.requests import backfill as backfills
from tickercast.jobs.requests import quarantine as quarantines
from tickercast.jobs.requests.backfill import Backfilled, BackfillPlan
from tickercast.jobs.requests.replay import Replayed, replay
from tickercast.jobs.requests.request_forecast import Requested, request_forecast
from tickercast.jobs.requests.results import Patience, wait_for_ledger
from tickercast.jobs.serving.champion_cache import REFRESH_AFTER_S, ChampionCache
from tickercast.jobs.serving.handle_event import Limits, Outcome, handle_event
from tickercast.jobs.serving.past_models import PastModels
from tickercast.model_store import ModelStore
from tickercast.models import catalogue
from tickercast.ports import (
    DriftReporter,
    MarketData,
    ModelRegistry,
    Notifier,
    ObjectFinalized,
    ObjectStore,
    RunRecord,
    StudyResult,
    Warehouse,
)
from tickercast.reading import ledger, quarantine
from tickercast.reading.ledger import Entry
from tickercast.reading.quarantine import Quarantined
from tickercast.reading.queries import ask
from tickercast.reading.track_record import ForecastDetails, TrackRecord, closes_before, details, track_record

if TYPE_CHECKING:
    from tickercast.domain.promotion import Decision
    from tickercast.jobs.daily.run_day import Day, Wrap
    from tickercast.jobs.training.train import Fit

FIRST_TRAINED = date(2000, 1, 1)
"""The first date that is trained on."""

WAIT_S = 60.0
"""How long a request waits for a remote function, in seconds."""

_AT_ONCE_S = 20.0  # the function has answered already, and only another process may still be at it
_DAY_S = 540.0
_TUNING_TRIALS, _TUNING_TIME = 8, timedelta(minutes=30)


def _nothing(*_: Any) -> None:
    pass


class App:
    """The use cases over the configured engines; each engine is opened when it is first needed.

    Args:
        settings: where the engines are; those of the environment by default.
        now: the clock.
    """

    def __init__(self, settings: Settings | None = None, *, now: Callable[[], datetime] | None = None) -> None:
        self.settings = settings or config.load()
        self.now = now or (lambda: datetime.now(UTC))
        self._sources: dict[str, MarketData] = {}

    # ------------------------------------------------------------ engines

    @cached_property
    def store(self) -> ObjectStore:
        """The data bucket; a write is followed by its event."""
        return engines.object_store(self.settings)

    @cached_property
    def silent_store(self) -> ObjectStore:
        """The data bucket, by a handle whose writes make no events."""
        return engines.object_store(self.settings, announce=False)

    @cached_property
    def models(self) -> ModelStore:
        """The model store."""
        bucket = engines.model_bucket(self.settings) if self.settings.model_bucket else self.silent_store
        return ModelStore(bucket, config.resource("shipped"))

    @cached_property
    def tables(self) -> Warehouse:
        """The warehouse as it is."""
        return engines.warehouse(self.settings)

    @cached_property
    def warehouse(self) -> Warehouse:
        """The warehouse, ready for use: tables, views and a champion are created if they are missing."""
        self.provision()
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
    def drift_reporter(self) -> DriftReporter:
        """The renderer of drift reports."""
        return engines.drift_reporter()

    def market_data(self, source: str = "") -> MarketData:
        """A source by its name; the configured one by default.

        Raises:
            UsageError: there is no such source.
        """
        name = source or self.settings.source
        if name not in self._sources:
            self._sources[name] = engines.market_data(name)
        return self._sources[name]

    @property
    def delivers_at_once(self) -> bool:
        """Whether a write returns only after the forecast function has answered its event."""
        return engines.delivers_at_once(self.settings)

    def patience(self, seconds: float = _DAY_S, on_wait: Callable[[float], None] = _nothing) -> Patience:
        """How long to wait for the function, counted from the call.

        Args:
            seconds: for a remote function; one in this process has answered already.
            on_wait: called before each pause with the seconds waited so far.
        """
        return Patience(min(seconds, _AT_ONCE_S) if self.delivers_at_once else seconds, on_wait)

    # ------------------------------------------------------------ forecasts

    def forecast(
        self,
        symbols: Sequence[str],
        as_of: date | str,
        *,
        source: str = "",
        wait: float | None = WAIT_S,
        again: bool = False,
        actual: bool = False,
        advance: Callable[[int], None] = _nothing,
        on_wait: Callable[[float], None] = _nothing,
        on_resume: Callable[[int], None] = _nothing,
        on_interrupt: Callable[[str], None] = _nothing,
    ) -> Requested:
        """Forecast the sessions that follow a date, and store the forecasts.

        Args:
            symbols: as Yahoo spells them.
            as_of: forecast from the last session on or before this date.
            source: the market data; the configured one by default.
            wait: seconds to wait for a remote function; None does not wait for its results.
            again: of more than 500 symbols, whether those that an interrupted run has forecast are sent again.
            actual: whether to fetch the closes that followed.
            advance: called with the number of symbols fetched since the last call.
            on_wait: called with the seconds waited so far for a remote function.
            on_resume: called with the number of symbols that an interrupted run has forecast.
            on_interrupt: called with a sentence if an error or Ctrl-C ends the upload when some files were sent.

        Returns:
            A sequence of `Forecast`, in the order of the symbols, with the reason for each other symbol in `failures`.

        Raises:
            UsageError: the date or source is not valid.
            Transient: an engine does not answer.
        """
        valid: dict[str, None] = {}
        refused: dict[str, Permanent] = {}
        for word in symbols:
            try:
                valid[parse_symbol(word)] = None
            except UsageError as error:
                refused[word] = error
        if not valid:
            return Requested(failures=refused)
        made = request_forecast(
            list(valid),
            _day(as_of),
            source=self.market_data(source),
            store=self.store,
            warehouse=self.warehouse,
            models=self.models,
            now=self.now,
            patience=lambda: self.patience(wait or 0.0, on_wait),
            wait=wait is not None,
            again=again,
            actual=actual,
            advance=advance,
            on_resume=on_resume,
            on_interrupt=on_interrupt,
        )
        return made.refusing(refused)

    def details(self, made: Forecast, actual: Mapping[date, float] | None = None) -> ForecastDetails:
        """Everything that a report shows beside a forecast; see `reading.track_record.details`."""
        return details(made, actual, warehouse=self.tables, models=self.models)

    def track_record(self, made: Forecast) -> TrackRecord | None:
        """The record of a forecast's model on its symbol; None where the bars are simulated."""
        return track_record(made, warehouse=self.tables)

    def closes_before(self, made: Forecast) -> list[float]:
        """The closes up to a forecast's cutoff, oldest first."""
        return closes_before(made, warehouse=self.tables)

    def handle(self, event: ObjectFinalized) -> Outcome:
        """Handle the event of an uploaded file; see `jobs.serving.handle_event`."""
        return handle_event(
            event,
            store=self.silent_store,
            warehouse=self.tables,
            served=self._champion_cache,
            past=self._past_models,
            now=self.now,
            limits=Limits(int(self.settings.max_file_mb * 1e6), timedelta(hours=self.settings.max_event_age_h)),
        )

    def set_up_logs(self) -> None:
        """Send log lines to standard output as JSON, if the settings or Cloud Run ask for that."""
        chosen = self.settings.log_format
        if chosen == "json" or (chosen == "auto" and config.on_cloud_run()):
            logs.set_up(self.settings.google_cloud_project)

    @cached_property
    def _champion_cache(self) -> ChampionCache:
        return ChampionCache(self.models, self.served_models, time.monotonic)

    @cached_property
    def _past_models(self) -> PastModels:
        return PastModels(self.models, self._champion_cache, self.load_bundle)

    # ------------------------------------------------------------ the ledger

    def ingestions(self, name: str = "", *, limit: int = 50) -> tuple[list[Entry], int]:
        """The newest entries of the ledger, or those of one file, and how many there are."""
        return ledger.newest(self.warehouse, limit, name)

    def failed_ingestions(self) -> list[Entry]:
        """The live files that were not forecast whole: rejected, or not accounted for."""
        return ledger.failed(self.store, self.warehouse)

    def replay(self, name: str) -> Replayed:
        """Send a file again, unless all of it has been forecast; see `jobs.requests.replay`."""
        return replay(name, store=self.store, warehouse=self.warehouse)

    def wait_for_entries(self, name: str, generation: int, patience: Patience) -> list[Entry]:
        """Wait for the entries of one write; empty if there are none when the time is up."""
        rows = wait_for_ledger(name, generation, warehouse=self.warehouse, patience=patience)
        return ledger.entries(rows)

    def quarantined(self) -> list[Quarantined]:
        """The files in quarantine, the newest first."""
        return quarantine.quarantined(self.silent_store)

    def quarantined_file(self, name: str) -> tuple[Quarantined, bytes]:
        """A file in quarantine, and its content."""
        found = quarantine.find(name, self.silent_store)
        return found, self.silent_store.read(found.name)

    def release(self, name: str) -> tuple[str, int]:
        """Put a file back under its old name, so that it is handled again; its name and generation."""
        self.provision()
        return quarantines.release(name, self.store)

    # ------------------------------------------------------------ the warehouse

    def query(self, text: str) -> pd.DataFrame:
        """Answer a query in BigQuery's dialect, whichever engine is configured.

        Raises:
            UsageError: it is not one query, or does not fit the tables.
            WarehouseUnavailable: try again.
        """
        return self.tables.query(text)

    def provision(self) -> list[str]:
        """Create the tables, views and champion that are missing or changed, and return their names."""
        return provisioning.provision(models=self.models, warehouse=self.tables)

    def pending(self) -> dict[str, str]:
        """Everything that `provision` would create or change: `missing` or `changed`, by name."""
        return provisioning.pending(models=self.models, warehouse=self.tables)

    # ------------------------------------------------------------ models

    def load_bundle(self, bundle: Bundle) -> RollingPredictor:
        """Load a bundle, ready to predict; see `models.catalogue`."""
        return catalogue.load_bundle(bundle)

    def load_model(self, name: str = catalogue.CHAMPION) -> Predictor:
        """Load the model behind a name; see `models.catalogue.named`."""
        if name == catalogue.CHAMPION and not self.models.generation():
            return self.load_bundle(self.models.shipped)
        return catalogue.named(name, self.models)

    def served_models(self) -> list[Served]:
        """The published champion, then the models that are served beside it."""
        return catalogue.served_models(self.models)

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

    @property
    def fit(self) -> "Fit":
        """The training of the LSTM."""
        return engines.fit()

    @property
    def seeds(self) -> Sequence[int]:
        """The seeds of the networks of a training."""
        from tickercast.jobs.daily.retrain import SEEDS

        return SEEDS

    def train(
        self,
        symbols: Sequence[str],
        through: date,
        *,
        source: str = "",
        recipe: Recipe | None = None,
        hold_out: int = 0,
        seeds: Sequence[int] = (1, 2, 3, 4, 5),
        on_progress: Callable[[int, int], None] = _nothing,
        on_failure: Callable[[str, Permanent], None] = _nothing,
    ) -> Bundle:
        """Train the LSTM and register it as the challenger; see `jobs.training.train`.

        Args:
            symbols: the symbols to train on; empty: all that the source holds.
            through: the last date to train on; later dates evaluate the model.
            source: the market data; the configured one by default.
            recipe: the hyperparameters; by default those that suit the data.
            hold_out: hold out every N-th symbol for evaluation; 0 holds out none.
            seeds: one network each, which are averaged.
            on_progress: called with the epochs done and their total.
            on_failure: called with each symbol that the source could not give, and why.
        """
        from tickercast.jobs.training.train import train

        data, fit = self.market_data(source), self.fit
        symbols = symbols or data.symbols()
        self.seed_registry()
        return train(
            data,
            symbols,
            FIRST_TRAINED,
            self.now().date(),
            through,
            fit=fit,
            baselines=catalogue.evaluation_baselines,
            registry=self.registry,
            picture=self.draw_evaluation,
            seeds=seeds,
            recipe=recipe,
            hold_out=hold_out,
            on_progress=on_progress,
            on_failure=on_failure,
        )

    def tune(
        self,
        symbols: Sequence[str],
        through: date,
        *,
        trials: int,
        source: str | MarketData = "",
        is_over: Callable[[], bool] = lambda: False,
        on_progress: Callable[[float, StudyResult], None] = _nothing,
        on_failure: Callable[[str, Permanent], None] = _nothing,
    ) -> StudyResult:
        """Search for a better recipe for the LSTM; an interrupted search is resumed. See `jobs.training.tune`."""
        from tickercast.jobs.training.tune import tune

        data = self.market_data(source) if isinstance(source, str) else source
        return tune(
            data,
            symbols or data.symbols(),
            FIRST_TRAINED,
            through,
            trials=trials,
            prepare=engines.prepare(),
            search=engines.recipe_search(self.settings),
            tracker=engines.model_registry(self.settings),
            is_over=is_over,
            on_progress=on_progress,
            on_failure=on_failure,
        )

    @property
    def studies_url(self) -> str:
        """Where the studies of recipes are stored."""
        return engines.recipe_search(self.settings).url

    def tuned_recipe(self, market: Market, through: date) -> Recipe:
        """Search for a recipe in bounded time, using nothing after a date."""
        until = self.now() + _TUNING_TIME
        source: FetchedBars = market.source
        study = self.tune(
            market.symbols, through, trials=_TUNING_TRIALS, source=source, is_over=lambda: self.now() >= until
        )
        return study.best.recipe

    def evaluate(
        self,
        model: str,
        first: date,
        last: date,
        *,
        source: str,
        symbols: Sequence[str] = (),
        more: Sequence[str] = (),
        every: int = DAILY.horizon,
        windows: int | None = None,
        on_progress: Callable[[int, int], None] = _nothing,
        on_failure: Callable[[str, Permanent], None] = _nothing,
    ) -> tuple[Mapping[str, pd.DataFrame], Predictor]:
        """Evaluate a model on past sessions, beside the baselines; see `jobs.training.evaluate`.

        Args:
            model: its name; see `models.catalogue.named`.
            first: the first date to forecast from.
            last: the last date to forecast from.
            source: the market data.
            symbols: only these; empty: all that the source holds.
            more: statistical models to compare with, too.
            every: sessions from one origin to the next.
            windows: how many origins to draw at random; None: all.
            on_progress: called with the forecasts made and their total.
            on_failure: called with each symbol that the source could not give, and why.

        Returns:
            The losses of each model, the judged one first, and that model.
        """
        from tickercast.jobs.training.evaluate import evaluate

        judged = self.load_model(model)
        beside = [catalogue.statistical(name) for name in more]
        data = self.market_data(source)
        tables = evaluate(
            data,
            symbols or data.symbols(),
            first,
            last,
            models={judged.name: judged},
            baselines=lambda series, through: catalogue.evaluation_baselines(series, through, more=beside),
            every=every,
            windows=windows,
            on_progress=on_progress,
            on_failure=on_failure,
        )
        return tables, judged

    def registered_models(self) -> tuple[Sequence[RegisteredVersion], str, list[str]]:
        """The registered versions, the served one, and the published ones."""
        self.provision()
        return self.registry.versions(MODEL), self.models.pointer().version, self.models.versions(MODEL)

    def promote(
        self,
        first: date,
        last: date,
        *,
        source: str,
        version: str = "",
        symbols: Sequence[str] = (),
        on_progress: Callable[[int, int], None] = _nothing,
    ) -> "tuple[Decision, Bundle]":
        """Compare a challenger with the champion, and serve it if it is measurably better; see `jobs.champion.promote`.

        Args:
            first: the first date to forecast from; neither model may have seen it.
            last: the last date to forecast from.
            source: the market data.
            version: the challenger; the version registered last by default.
            symbols: only these; empty: all that the source holds.
            on_progress: called with the forecasts made and their total.
        """
        from tickercast.jobs.champion.promote import promote

        self.provision()
        challenger = self.registry.bundle(MODEL, version or self._aliased(CHALLENGER_ALIAS))
        data = self.market_data(source)
        decision = promote(
            challenger,
            self.models.champion(),
            data,
            symbols or data.symbols(),
            first,
            last,
            load=self.load_bundle,
            baselines=catalogue.promotion_baselines,
            models=self.models,
            registry=self.registry,
            on_progress=on_progress,
        )
        return decision, challenger

    def publish(self, version: str) -> None:
        """Serve a registered version, without a comparison."""
        from tickercast.jobs.champion.promote import publish

        self.provision()
        publish(self.registry.bundle(MODEL, version), models=self.models, registry=self.registry)

    def rollback(self, to: str | None = None) -> Bundle:
        """Serve an older published version again, and return it."""
        return self.models.rollback(to)

    def seed_registry(self) -> None:
        """Register the shipped champion as the first version of an empty registry, so that later numbers are new."""
        if self.registry.versions(MODEL) or not (config.resource("shipped") / CHAMPION).is_file():
            return
        record = RunRecord(parameters={"source": "shipped with the package"}, trained_here=False)
        first = self.registry.register(self.models.shipped, record)
        self.registry.set_alias(MODEL, CHAMPION_ALIAS, first.card.version)

    def _aliased(self, alias: str) -> str:
        version = self.registry.aliased(MODEL, alias)
        if version is None:
            raise UsageError(
                f"{self.registry.url} has no {alias} of {MODEL}. Train one: tickercast train --source sample."
            )
        return version

    # ------------------------------------------------------------ the day

    def run_day(
        self,
        symbols: Sequence[str] = (),
        as_of: date | None = None,
        *,
        source: str = "",
        wrap: "Wrap | None" = None,
        on_progress: Callable[[int, int], None] = _nothing,
    ) -> "Day":
        """Do the day's work for a watchlist; see `jobs.daily.run_day`.

        Args:
            symbols: the watchlist; the configured one by default, or all symbols that the source holds.
            as_of: the last date wanted; today by default.
            source: the market data; the configured one by default.
            wrap: makes of each job the step that is called instead.
            on_progress: called with the epochs of a training done and their total.
        """
        from tickercast.jobs.daily.run_day import run_day

        watched = self.watchlist(symbols, source)
        _ = self.fit, self.drift_reporter, self.notifiers, self.warehouse  # whatever is missing is said first
        self.seed_registry()
        steps = {"wrap": wrap} if wrap else {}
        return run_day(watched, as_of, source=self.market_data(source), services=self, on_progress=on_progress, **steps)

    def watchlist(self, symbols: Sequence[str] = (), source: str = "") -> list[str]:
        """The symbols that were named, or those of `TICKERCAST_WATCHLIST`, or all that the source holds.

        Raises:
            UsageError: there are none, or one is not valid.
        """
        words = list(symbols) or read_symbols(self.settings.watchlist)
        if not words:
            try:
                words = list(self.market_data(source).symbols())
            except UsageError as error:
                raise UsageError(
                    f"No symbol was named, and {source or self.settings.source} cannot list its symbols. Name some, or "
                    "set TICKERCAST_WATCHLIST to a file of symbols."
                ) from error
        return list(dict.fromkeys(parse_symbol(word) for word in words))

    def store_with_new_champion(self) -> ObjectStore:
        """The data bucket, once the function serves a champion that was just published.

        A function in this process is made anew with its store; another one checks the pointer once a minute.
        """
        if self.settings.function_url or not self.delivers_at_once:
            time.sleep(REFRESH_AFTER_S + 5)
        return engines.object_store(self.settings)

    # ------------------------------------------------------------ operations

    def check_drift(self, symbols: Sequence[str] = (), day: date | None = None) -> DriftCheck:
        """Compare the newest sessions with the champion's training; see `jobs.operations.drift`.

        Args:
            symbols: the watchlist; all that have been forecast by default.
            day: the last date to check; today by default.
        """
        reporter = self.drift_reporter
        watched = list(symbols) or list(ask(self.warehouse, "symbols")["symbol"])
        if not watched:
            raise UsageError("No symbol has been forecast yet. Name some, after tickercast forecast MSFT 2023-07-22.")
        return check_drift(
            day or self.now().date(),
            watched,
            warehouse=self.warehouse,
            store=self.store,
            models=self.models,
            load=self.load_bundle,
            reporter=reporter,
            now=self.now(),
        )

    def open_alerts(self, watchlist: Sequence[str] | None = None) -> Sequence[Alert]:
        """The open alerts, the most urgent first.

        Args:
            watchlist: the symbols that need a current forecast; None: not checked.
        """
        return open_alerts(
            alert_jobs.gather_facts(
                store=self.silent_store,
                models=self.models,
                warehouse=self.tables,
                now=self.now(),
                watchlist=watchlist,
            )
        )

    def send_alerts(self, watchlist: Sequence[str] | None = None) -> alert_jobs.SentAlerts:
        """Send each receiver the alerts that are new to it; see `jobs.operations.alerts`."""
        return alert_jobs.send_alerts(
            store=self.silent_store,
            models=self.models,
            warehouse=self.tables,
            notifiers=self.notifiers,
            now=self.now(),
            watchlist=watchlist,
        )

    def plan_backfill(
        self, symbols: Sequence[str], first: date, last: date, *, every: int = 1, source: str = ""
    ) -> BackfillPlan:
        """Find the past sessions that have not been forecast from; see `jobs.requests.backfill`."""
        return backfills.plan_backfill(
            symbols,
            first,
            last,
            every=every,
            warehouse=self.warehouse,
            now=self.now(),
            simulated=self.market_data(source).simulated,
        )

    def backfill_part(self, part: backfills.Part, *, source: str = "", wait: float = 0.0) -> list[Backfilled]:
        """Send the files of one part of a backfill, and read their results."""
        return backfills.send_part(
            part,
            source=self.market_data(source),
            store=self.store,
            warehouse=self.warehouse,
            now=self.now(),
            patience=Patience(0.0 if self.delivers_at_once else wait),
        )

    def doctor(self) -> Iterator[Check]:
        """Ask every configured engine whether it answers; tables, views and a champion are created on the way."""
        settings = self.settings
        return check(
            [
                Part("object store", settings.bucket, lambda: f"{len(self.store.names(''))} objects"),
                Part("warehouse", settings.warehouse, lambda: f"{len(self.warehouse.read('ingestions'))} ingestions"),
                Part("champion", CHAMPION, self._champion_says),
                Part("market data", settings.source, self._source_says),
                Part("function", settings.function_url or "in this process", self._function_says),
                Part("alerts", "TICKERCAST_ALERT_URLS", self._alerts_say),
                Part("model registry", settings.mlflow_tracking_uri, self._registry_says),
            ]
        )

    def _champion_says(self) -> str:
        champion = self.served_models()[0].model
        return f"{champion.name} version {champion.version}"

    def _source_says(self) -> str:
        if self.settings.source == "simulated":
            return "generates bars for any symbol"
        if self.settings.source != "yahoo":
            return f"{len(self.market_data().symbols())} symbols"
        today = self.now().date()
        reading = self.market_data().fetch(["SPY"], today - timedelta(days=10), today, advance=_nothing)
        for reason in reading.failures.values():
            raise reason
        return f"SPY up to {reading.bars['SPY'].cutoff}"

    def _function_says(self) -> str:
        if not self.settings.function_url:
            return f"runs {config.resource('cloud_function') / 'main.py'}"
        return engines.ping_function(self.settings.function_url)

    def _alerts_say(self) -> str:
        services = [notifier.service for notifier in self.notifiers]
        return f"go to {', '.join(services)}" if services else "no receivers, so nobody is told"

    def _registry_says(self) -> str:
        if not engines.can_train():
            return "not installed: only training needs it (make setup-dev)"
        return f"{len(self.registry.versions(MODEL))} versions of {MODEL}"


def _day(as_of: date | str) -> date:
    if isinstance(as_of, date):
        return as_of
    try:
        return date.fromisoformat(as_of)
    except ValueError as error:
        raise UsageError(f"{as_of[:40]!r} is not a date: YYYY-MM-DD was needed, as in 2023-07-22.") from error


def read_symbols(path: str) -> list[str]:
    """Read a file of symbols, separated by blanks, commas or lines; `#` begins a comment. No path means no symbols.

    Raises:
        UsageError: it cannot be read, or is empty.
    """
    if not path:
        return []
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read as a text file of symbols: {error}. Name another.") from error
    words = [word for line in lines for word in line.partition("#")[0].replace(",", " ").split()]
    if not words:
        raise UsageError(f"{path} holds no symbol: one a line was needed.")
    return words
