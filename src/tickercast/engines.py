"""Settings become ports here, when asked and never at import: the only importer of concrete backends."""

import difflib
import functools
import importlib.util
import re
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tickercast import config, logs
from tickercast.config import Settings
from tickercast.domain import model_card as bundles
from tickercast.domain.bars import History
from tickercast.domain.forecast import Predictor, RollingPredictor
from tickercast.domain.model_card import Bundle
from tickercast.domain.recipe import Recipe
from tickercast.errors import UsageError
from tickercast.jobs.champion.model_store import read_champion, read_pointer, read_version
from tickercast.jobs.daily.desk import Desk
from tickercast.jobs.daily.fetch import Market
from tickercast.jobs.daily.retrain import FIRST, SEEDS
from tickercast.jobs.operations.provision import provision
from tickercast.jobs.requests.ledger import Patience
from tickercast.jobs.serving.champion_cache import REFRESH_AFTER_S, Served
from tickercast.jobs.serving.handle_event import Limits, Outcome
from tickercast.jobs.serving.handle_event import forecast as answer
from tickercast.jobs.serving.past_models import Published
from tickercast.jobs.training.train import Fit, Picture
from tickercast.jobs.training.tune import Prepare, tune
from tickercast.ports import (
    FINALIZED,
    DriftReporter,
    MarketData,
    ModelRegistry,
    Notifier,
    ObjectFinalized,
    ObjectStore,
    RecipeSearch,
    RunRecord,
    StudyTracker,
    Warehouse,
)

if TYPE_CHECKING:
    from tickercast.backends.registry.mlflow import MlflowRegistry

_TRAINING = ("tensorflow", "mlflow", "tf2onnx", "optuna")
_SQLITE = "sqlite:///"
_LARGEST_INT64 = 2**63 - 1
_LONGEST_NAME = 1024

SOURCES = ("yahoo", "sample", "simulated")
"""The market data sources that have a name; any other word is the path of a folder or file."""

SLOW_PEERS = ("garch", "auto-arima", "auto-ets", "auto-theta", "prophet")
"""The models that a backtest compares with on request; each fits every origin anew."""


def object_store(settings: Settings, *, announce: bool = True) -> ObjectStore:
    """The bucket.

    Args:
        settings: where it is.
        announce: whether a write is followed by its event, where the store has to see to that itself.

    Raises:
        UsageError: no engine is known for the URL.
    """
    return _open_store(settings.bucket, "TICKERCAST_BUCKET", settings, announce=announce)


def model_store(settings: Settings) -> ObjectStore:
    """The bucket of the published models, which is the same one unless another is set; its writes make no events.

    Raises:
        UsageError: no engine is known for the URL.
    """
    if settings.model_bucket:
        return _open_store(settings.model_bucket, "TICKERCAST_MODEL_BUCKET", settings, announce=False)
    return object_store(settings, announce=False)


def warehouse(settings: Settings) -> Warehouse:
    """The tables and views.

    Raises:
        UsageError: no engine is known for the URL.
    """
    if settings.warehouse.startswith("bigquery:"):
        return _bigquery(settings)
    from tickercast.backends.warehouse.duckdb import DuckDBWarehouse

    path = _local_path(settings.warehouse, "duckdb", "TICKERCAST_WAREHOUSE", other=" or bigquery://PROJECT/DATASET")
    return DuckDBWarehouse(path, sql=config.resource("sql"))


def statement(name: str) -> str:
    """The statement that creates a table or view, in BigQuery's dialect.

    Raises:
        UsageError: there is none of that name.
    """
    from tickercast.backends.warehouse.sql import read_objects

    found = {made.name: made.text for made in read_objects(config.resource("sql"))}
    if name not in found:
        close = difflib.get_close_matches(name, found, n=1)
        hint = f"Did you mean {close[0]}?" if close else "Name one of these."
        raise UsageError(f"There is no table or view {name[:40]!r}: {', '.join(sorted(found))} are there. {hint}")
    return found[name]


def market_data(name: str) -> MarketData:
    """The source that a user names: one of `SOURCES`, or the path of a folder or file.

    Raises:
        UsageError: it is neither.
    """
    match name:
        case "yahoo":
            from tickercast.backends.market_data.yahoo import Yahoo

            return Yahoo()
        case "sample":
            from tickercast.backends.market_data.sample import Sample

            return Sample()
        case "simulated":
            from tickercast.backends.market_data.simulated import Simulated

            return Simulated()
    if not _exists(Path(name).expanduser()):
        raise UsageError(
            f"The source {name[:80]!r} is neither {', '.join(SOURCES)} nor a folder or file that can be read. "
            "Name one of them."
        )
    from tickercast.backends.market_data.folder import Folder

    return Folder(Path(name).expanduser())


def drift_reporter() -> DriftReporter:
    """What draws reports about drift; it needs the extras of the daily flow.

    Raises:
        UsageError: Evidently is not installed.
    """
    config.silence_telemetry()
    if not importlib.util.find_spec("evidently"):
        raise UsageError("Reports about drift need evidently, which this environment lacks. Run `make setup-dev`.")
    from tickercast.backends.drift_evidently import EvidentlyReporter

    return EvidentlyReporter()


def model_registry(settings: Settings) -> ModelRegistry:
    """The MLflow registry; it needs the training extras.

    Raises:
        UsageError: MLflow is not installed.
    """
    return _mlflow(settings)


def require_training() -> None:
    """Checks that the training extras are installed.

    Raises:
        UsageError: they are not.
    """
    if not can_train():
        raise UsageError(
            f"Training needs {', '.join(_TRAINING)}, which this light environment lacks. Run `make setup-dev`."
        )


def can_train() -> bool:
    """Whether the training extras are installed."""
    return all(importlib.util.find_spec(name) for name in _TRAINING)


def seed(registry: ModelRegistry) -> None:
    """Registers the shipped champion as the first version of an empty registry, so that later numbers are new ones."""
    if registry.versions(bundles.MODEL) or not (config.resource("shipped") / bundles.CHAMPION).is_file():
        return
    first = registry.register(
        shipped_bundle(), RunRecord(parameters={"source": "shipped with the package"}, trained_here=False)
    )
    registry.set_alias(bundles.MODEL, bundles.CHAMPION_ALIAS, first.card.version)


def trainer() -> Fit:
    """The training of the LSTM; it needs the training extras.

    Raises:
        UsageError: TensorFlow is not installed.
    """
    require_training()
    config.silence_tensorflow()
    from tickercast.models.lstm import training as lstm

    return lstm.fit


def preparer() -> Prepare:
    """What prepares the LSTM's trainings in a study of recipes; it needs the training extras.

    Raises:
        UsageError: TensorFlow is not installed.
    """
    require_training()
    config.silence_tensorflow()
    from tickercast.models.lstm import training as lstm

    return lstm.prepare


def recipe_search(settings: Settings) -> RecipeSearch:
    """The studies of recipes, in a file beside MLflow's, or in `.tickercast` where MLflow is a server."""
    from tickercast.backends.registry.optuna import OptunaSearch

    url = settings.mlflow_tracking_uri
    folder = Path(url.removeprefix(_SQLITE)).parent if url.startswith(_SQLITE) else Path(".tickercast")
    return OptunaSearch(folder / "tuning.db")


def study_tracker(settings: Settings) -> StudyTracker:
    """Where studies can be looked at: the same MLflow as the model registry's.

    Raises:
        UsageError: MLflow is not installed.
    """
    return _mlflow(settings)


def known_symbols(name: str) -> Sequence[str]:
    """All symbols that a source holds, where they can be counted: in the sample and in a folder or file.

    Raises:
        UsageError: they cannot.
    """
    from tickercast.backends.market_data.folder import Folder
    from tickercast.backends.market_data.sample import SYMBOLS

    source = market_data(name)
    if isinstance(source, Folder):
        return source.symbols()
    if name == "sample":
        return SYMBOLS
    raise UsageError(f"The source {name} has no list of its symbols: name some, or a file of them.")


def predictor(name: str, store: ObjectStore) -> Predictor:
    """The model that a user names: `champion`, a baseline, a slow peer, or the folder of a bundle.

    Raises:
        UsageError: it is none of them, or its package is not installed.
        BundleError: the bundle is damaged.
    """
    from tickercast.models.baselines import EwmaT, HistoricalSimulation
    from tickercast.models.random_walk import RandomWalk

    simple: dict[str, Predictor] = {made.name: made for made in (RandomWalk(), EwmaT(), HistoricalSimulation())}
    if name == "champion":
        return load_bundle(read_champion(store))
    if name in simple:
        return simple[name]
    if name in SLOW_PEERS:
        return peer(name)
    folder = Path(name)
    if not (folder / "model.onnx").is_file() or not (folder / "model.json").is_file():
        raise UsageError(
            f"{name!r} is no model: champion, {', '.join([*simple, *SLOW_PEERS])}, or a folder with model.onnx and "
            "model.json was needed."
        )
    return load_bundle(bundles.read_bundle((folder / "model.onnx").read_bytes(), (folder / "model.json").read_bytes()))


def trained_through(model: Predictor) -> date | None:
    """The last date that a trained model has seen; None for one that learns from each history alone."""
    card = getattr(model, "card", None)
    return card.trained_through if isinstance(card, bundles.ModelCard) else None


def peer(name: str) -> Predictor:
    """One of `SLOW_PEERS`.

    Raises:
        UsageError: it is none of them, or its package is not installed.
    """
    from tickercast.models import statistical as slow

    made = {model.name: model for model in slow.ALL}
    if name not in made:
        close = difflib.get_close_matches(name, SLOW_PEERS, n=1)
        hint = f"did you mean {close[0]}?" if close else "name one of them."
        raise UsageError(f"{name[:40]!r} is no slow peer, and one of {', '.join(SLOW_PEERS)} was needed: {hint}")
    return made[name]()


def peers(histories: Sequence[History], through: date, *, slow: Sequence[Predictor] = ()) -> Sequence[Predictor]:
    """The baselines that any model is compared with, which learn from nothing after a date; then the slow ones."""
    from tickercast.models.baselines import EwmaFhs, EwmaT, HistoricalSimulation
    from tickercast.models.random_walk import RandomWalk

    return [EwmaT(), EwmaFhs.fit(histories, through), HistoricalSimulation(), RandomWalk(), *slow]


def yardstick(histories: Sequence[History], through: date) -> Sequence[Predictor]:
    """The one baseline that a promotion asks for; it learns from nothing, so both arguments are left alone."""
    from tickercast.models.random_walk import RandomWalk

    return [RandomWalk()]


def shipped_bundle() -> Bundle:
    """The champion that comes with the package."""
    folder = config.resource("shipped")
    pointer = bundles.Pointer.model_validate_json((folder / bundles.CHAMPION).read_bytes())
    version = folder / bundles.folder(pointer.name, pointer.version)
    return bundles.read_bundle(
        (version / "model.onnx").read_bytes(),
        (version / "model.json").read_bytes(),
        (version / "reference.json").read_bytes,
    )


def load_bundle(bundle: Bundle) -> RollingPredictor:
    """A bundle that is ready to predict.

    Raises:
        BundleError: it was made for other inputs, or the network cannot be loaded.
    """
    config.silence_telemetry()  # onnxruntime reads it when it is imported
    from tickercast.models.onnx import ServedModel

    return ServedModel(bundle)


def predictors(store: ObjectStore) -> Sequence[Predictor]:
    """The published champion, the random walk beside it, and a former champion for as long as it may come back.

    Raises:
        ModelUnavailable: none has been published.
        BundleError: what has been published is damaged.
    """
    from tickercast.models.random_walk import RandomWalk
    from tickercast.models.shadow import Shadow

    pointer = read_pointer(store)
    former = [pointer.shadow] if pointer.shadow else []
    return [
        load_bundle(read_version(store, pointer.name, pointer.version)),
        RandomWalk(),
        *(Shadow(load_bundle(read_version(store, pointer.name, version))) for version in former),
    ]


def function(settings: Settings | None = None) -> Callable[[ObjectFinalized], Outcome]:
    """The forecast function with its ports; it reads the champion at its first event and keeps it fresh."""
    settings = settings or config.load()
    if settings.log_format == "json" or (settings.log_format == "auto" and config.on_cloud_run()):
        logs.set_up(settings.google_cloud_project)
    store = object_store(settings, announce=False)
    models = model_store(settings) if settings.model_bucket else store
    served = Served(models, lambda: predictors(models), time.monotonic)
    return functools.partial(
        answer,
        store=store,
        warehouse=warehouse(settings),
        predictors=served,
        past=Published(models, served, load_bundle),
        now=lambda: datetime.now(UTC),
        limits=Limits(int(settings.max_file_mb * 1e6), timedelta(hours=settings.max_event_age_h)),
    )


def desk(settings: Settings, source: str, *, picture: Picture, now: Callable[[], datetime]) -> Desk:
    """All that a day's work needs, with tables, views and a first champion made ready.

    Args:
        settings: where everything is.
        source: the market data, as the user names them.
        picture: draws a comparison.
        now: the clock.

    Raises:
        UsageError: an engine is not known or not installed.
        Transient: an engine does not answer.
    """
    store, models = object_store(settings), model_store(settings)
    registry, fit = model_registry(settings), trainer()
    tables = provisioned(models, warehouse(settings))
    seed(registry)
    return Desk(
        source=market_data(source),
        store=store,
        models=models,
        taken_over=functools.partial(_taken_over, settings),
        warehouse=tables,
        registry=registry,
        fit=fit,
        tuning=functools.partial(_tuned, settings, now),
        seeds=SEEDS,
        load=load_bundle,
        peers=peers,
        yardstick=yardstick,
        picture=picture,
        reporter=drift_reporter(),
        notifiers=notifiers(settings),
        patience=lambda: Patience(_AT_ONCE_S if delivers_at_once(settings) else _REMOTE_S),
        now=now,
    )


_AT_ONCE_S, _REMOTE_S = 20.0, 540.0
_TUNING_TRIALS, _TUNING_TIME = 8, timedelta(minutes=30)


def _taken_over(settings: Settings) -> ObjectStore:
    """A function in this process is made anew with its store; another one looks at the pointer once a minute."""
    if settings.function_url or not delivers_at_once(settings):
        time.sleep(REFRESH_AFTER_S + 5)
    return object_store(settings)


def _tuned(settings: Settings, now: Callable[[], datetime], market: Market, through: date) -> Recipe:
    until = now() + _TUNING_TIME
    tuned = tune(
        market.source,
        market.symbols,
        FIRST,
        through,
        trials=_TUNING_TRIALS,
        prepare=preparer(),
        search=recipe_search(settings),
        tracker=study_tracker(settings),
        is_over=lambda: now() >= until,
    )
    return tuned.best.recipe


class Ports(NamedTuple):
    """What most jobs take."""

    source: MarketData
    store: ObjectStore
    warehouse: Warehouse


@functools.cache
def ports(settings: Settings, source: str = "") -> Ports:
    """The ports by name, opened once a process: a local store loads the function, which takes seconds.

    Args:
        settings: where they are.
        source: the market data; the configured ones where none are named.

    Raises:
        UsageError: no engine is known for a URL, or the source is none.
    """
    store = object_store(settings)
    return Ports(market_data(source or settings.source), store, provisioned(model_store(settings), warehouse(settings)))


def delivers_at_once(settings: Settings) -> bool:
    """Whether a write returns only after the forecast function has answered its event."""
    return not settings.bucket.startswith("gs:")


def object_finalized(attributes: Mapping[str, Any], data: Mapping[str, Any]) -> ObjectFinalized:
    """Reads a CloudEvent of type `google.cloud.storage.object.v1.finalized`.

    Raises:
        UsageError: it is no such event.
    """
    try:
        made = ObjectFinalized(
            bucket=str(data["bucket"]),
            name=str(data["name"]),
            generation=int(data["generation"]),
            size=int(data.get("size", 0)),
            event_id=str(attributes["id"]),
            written_at=_moment(attributes.get("time")) or _moment(data.get("timeCreated")),
        )
        if attributes["type"] == FINALIZED and 0 < made.generation <= _LARGEST_INT64 and _is_name(made.name):
            return made
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError):
        pass
    raise UsageError(
        f"The event {str(attributes.get('id'))[:40]!r} is of type {str(attributes.get('type'))[:80]!r}: one of type "
        f"{FINALIZED} with bucket, name and generation was needed. Send the events of a bucket's finalized objects."
    )


def provisioned(models: ObjectStore, tables: Warehouse) -> Warehouse:
    """The same warehouse, after tables, views and a champion have been made ready; see `jobs.operations.provision`."""
    provision(store=models, warehouse=tables, shipped=shipped_bundle)
    return tables


def notifiers(settings: Settings) -> Sequence[Notifier]:
    """Those who are told of alerts; nobody where `TICKERCAST_ALERT_URLS` is not set.

    Raises:
        UsageError: a URL is none that Apprise knows, or Apprise is not installed.
    """
    urls = settings.alert_urls.get_secret_value()
    if not urls:
        return []
    if not importlib.util.find_spec("apprise"):
        raise UsageError("Alerts need apprise, which this light environment lacks. Run `make setup-dev`.")
    from tickercast.backends.alerts_apprise import receivers

    return receivers(urls)


def ping_function(url: str) -> str:
    """Asks a served function whether it is there, and returns what it says.

    Raises:
        FunctionUnavailable: nothing answers.
    """
    from tickercast.backends import events

    return events.ping(url)


def _is_name(name: str) -> bool:
    return name.isprintable() and 0 < len(name.encode()) <= _LONGEST_NAME


def _moment(text: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _mlflow(settings: Settings) -> "MlflowRegistry":
    config.silence_telemetry()
    require_training()
    from tickercast.backends.registry.mlflow import MlflowRegistry

    return MlflowRegistry(settings.mlflow_tracking_uri)


def _deliver(settings: Settings) -> Callable[[Mapping[str, Any]], None]:
    from tickercast.backends import events

    if settings.function_url:
        return events.over_http(settings.function_url)
    return events.in_process(config.resource("cloud_function") / "main.py", target="forecast")


def _open_store(url: str, setting: str, settings: Settings, *, announce: bool) -> ObjectStore:
    if url.startswith("gs:"):
        return _gcs(url, setting, settings)
    from tickercast.backends.object_store.local import LocalObjectStore

    root = _local_path(url, "file", setting, other=" or gs://BUCKET")
    return LocalObjectStore(root, _deliver(settings) if announce else None)


def _gcs(url: str, setting: str, settings: Settings) -> ObjectStore:
    named = re.fullmatch(r"gs://([a-z0-9][a-z0-9._-]{1,220}[a-z0-9])/?", url)
    if named is None:
        raise UsageError(f"{setting} is {url!r}: gs://BUCKET was needed, with no folder behind its name.")
    config.silence_telemetry()
    from tickercast.backends.object_store.gcs import GcsObjectStore  # 0.25 s that a laptop does not pay

    emulator = settings.storage_emulator_host
    # Other languages' clients want the variable without a scheme, so that people set it so.
    emulator = emulator if "://" in emulator or not emulator else f"http://{emulator}"
    return GcsObjectStore(named[1], emulator=emulator)


def _bigquery(settings: Settings) -> Warehouse:
    named = re.fullmatch(r"bigquery://([a-z0-9.:-]+)/(\w+)(?:\?location=([\w-]+))?", settings.warehouse, re.ASCII)
    if named is None:
        raise UsageError(
            f"TICKERCAST_WAREHOUSE is {settings.warehouse!r}: bigquery://PROJECT/DATASET was needed, with "
            "?location=EU behind it where the dataset is not to be in the United States."
        )
    from tickercast.backends.warehouse.bigquery import BigQueryWarehouse  # 1 s that a laptop does not pay

    project, dataset, location = named.groups(default="")
    return BigQueryWarehouse(
        project, dataset, config.resource("sql"), location=location, emulator=settings.bigquery_emulator_host
    )


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # no right to look, or no such name can be
        return False


def _local_path(url: str, scheme: str, setting: str, *, other: str = "") -> Path:
    seen, separator, path = url.partition("://")
    if seen != scheme or not separator or not path:
        raise UsageError(f"{setting} is {url!r}: no engine is known for it. {scheme}://PATH{other} was needed.")
    return Path(path).expanduser()
