"""Engines: one table a port, from URL scheme or name to the engine behind it.

This is the only module that imports concrete backends, and it does so when one is opened, never at import. To add an
engine, write it in `backends` and name it in the table of its port.
"""

import difflib
import functools
import importlib.util
import re
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import parse_qsl, urlsplit

from pydantic import SecretStr

from tickercast import config, disk
from tickercast.config import Settings
from tickercast.domain.frequency import DAILY, Frequency
from tickercast.errors import UsageError, not_installed
from tickercast.plain import without_secrets
from tickercast.ports import (
    Broker,
    DriftReporter,
    DropFolder,
    MarketData,
    Notifier,
    ObjectFinalized,
    ObjectStore,
    PolledBucket,
    RecipeSearch,
    ResultsSource,
    Tearsheet,
    Warehouse,
)

if TYPE_CHECKING:
    from prefect import Task
    from prefect.task_runners import TaskRunner

    from tickercast.backends import flow_prefect
    from tickercast.backends.object_store.s3 import S3ObjectStore
    from tickercast.backends.registry.bucket import BucketRegistry
    from tickercast.backends.registry.mlflow import MlflowRegistry
    from tickercast.backends.s3_events import Message
    from tickercast.domain.bars import Bars
    from tickercast.domain.learning.boosting import Boosting
    from tickercast.domain.learning.recipe import Recipe
    from tickercast.domain.measures.evaluation import Spread
    from tickercast.jobs.operations.copy_tables import Table
    from tickercast.jobs.training.train import Fit
    from tickercast.jobs.training.train_direction import Boost
    from tickercast.jobs.training.train_hourly import HourlyModels
    from tickercast.jobs.training.tune import Prepare

R = TypeVar("R")

_TRAINING = ("tensorflow", "mlflow", "tf2onnx", "optuna")
_SQLITE = "sqlite:///"
_EVENT_QUERY_S = 60.0  # after which an event's query is cancelled, and the event delivered again
_BUCKETS = "file://PATH, gs://BUCKET or s3://BUCKET"

Deliver = Callable[[Mapping[str, Any]], None]
"""Carries the event of a finished write to the forecast function."""


# ---------------------------------------------------------------- object stores


def _local_store(url: str, setting: str, settings: Settings, deliver: Deliver | None) -> ObjectStore:
    from tickercast.backends.object_store.local import LocalObjectStore

    return LocalObjectStore(_path(url, setting, _BUCKETS), deliver)


def _gcs(url: str, setting: str, settings: Settings, deliver: Deliver | None) -> ObjectStore:
    named = re.fullmatch(r"gs://([a-z0-9][a-z0-9._-]{1,220}[a-z0-9])/?", url)
    if named is None:
        raise UsageError(f"{setting} is {url!r}: gs://BUCKET was needed, with no folder behind its name. Correct it.")
    config.silence_telemetry()
    from tickercast.backends.object_store.gcs import GcsObjectStore  # 0.25 s that a laptop does not pay

    return GcsObjectStore(named[1], emulator=settings.storage_emulator_host)


def _s3(url: str, setting: str, settings: Settings, deliver: Deliver | None) -> "S3ObjectStore":
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    endpoint = options.pop("endpoint", "")
    region, versioning = options.pop("region", ""), options.pop("versioning", "")
    named = re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", parts.netloc)
    if not named or parts.path.strip("/") or options or versioning not in ("", "none"):
        raise UsageError(
            f"{setting} is {url!r}: s3://BUCKET was needed, with no folder behind its name, and if they are needed "
            "?endpoint=https://HOST, &region=REGION and &versioning=none. Correct it."
        )
    if endpoint and not re.fullmatch(r"https?://[a-zA-Z0-9.-]+(:\d+)?|https?://\[[0-9a-f:]+\](:\d+)?", endpoint):
        raise UsageError(
            f"{setting} names the endpoint {without_secrets(endpoint)[:80]!r}: https://HOST or https://HOST:PORT was "
            "needed; keys belong in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. Correct it."
        )
    if not importlib.util.find_spec("botocore"):
        raise not_installed(f"{setting} is {url!r}, which", ["botocore"], "aws")
    from tickercast.backends.object_store.s3 import S3ObjectStore  # 0.25 s that nobody else pays

    return S3ObjectStore(parts.netloc, endpoint=endpoint, region=region, versioned=versioning != "none")


OBJECT_STORES: Mapping[str, Callable[[str, str, Settings, Deliver | None], ObjectStore]] = {
    "file": _local_store,
    "gs": _gcs,
    "s3": _s3,
}
"""Object stores by URL scheme."""


def object_store(settings: Settings, *, announce: bool = True) -> ObjectStore:
    """Open the data bucket.

    Args:
        settings: where it is.
        announce: whether a write is followed by its event, if the store has to see to that itself.

    Raises:
        UsageError: no engine is known for the URL.
    """
    return _open_store(settings.bucket, "TICKERCAST_BUCKET", settings, announce=announce)


def model_bucket(settings: Settings) -> ObjectStore:
    """Open the bucket of the published models: the data bucket unless another is set. Its writes make no events.

    Raises:
        UsageError: no engine is known for the URL.
    """
    if settings.model_bucket:
        return _open_store(settings.model_bucket, "TICKERCAST_MODEL_BUCKET", settings, announce=False)
    return object_store(settings, announce=False)


def drop_folder(store: ObjectStore) -> DropFolder | None:
    """The folder of a local bucket, where people drop files; None for a bucket that is none."""
    from tickercast.backends.object_store.local import LocalObjectStore

    if not isinstance(store, LocalObjectStore):
        return None
    from tickercast.backends.object_store.drops import Drops

    return Drops(store)


def polled_bucket(settings: Settings) -> PolledBucket | None:
    """The data bucket, if it may be one that sends no events; None for any other.

    Raises:
        UsageError: the URL of the bucket is not valid.
    """
    if not settings.bucket.startswith("s3:"):
        return None
    return _s3(settings.bucket, "TICKERCAST_BUCKET", settings, None)


def delivers_at_once(settings: Settings) -> bool:
    """Whether a write returns only after the forecast function has answered its event."""
    return settings.bucket.partition(":")[0] == "file"


def _open_store(url: str, setting: str, settings: Settings, *, announce: bool) -> ObjectStore:
    scheme = _scheme(OBJECT_STORES, url, setting, _BUCKETS)
    return OBJECT_STORES[scheme](url, setting, settings, _deliver(settings) if announce else None)


def _deliver(settings: Settings) -> Deliver:
    from tickercast.backends import events

    if settings.function_url:
        return events.over_http(settings.function_url)
    deliver = events.in_process(config.resource("cloud_function") / "main.py", target="forecast")

    def with_these_settings(described: Mapping[str, Any]) -> None:
        with config.using(settings):
            deliver(described)

    return with_these_settings


# ---------------------------------------------------------------- warehouses


def _duckdb(settings: Settings, patient: bool) -> Warehouse:
    from tickercast.backends.warehouse.duckdb import DuckDBWarehouse

    path = _path(settings.warehouse, "TICKERCAST_WAREHOUSE", "duckdb://PATH or bigquery://PROJECT/DATASET")
    if "?" in str(path):
        raise UsageError(
            f"The warehouse is {path}, and DuckDB reads a ? as the end of a file's name: a path without one was "
            "needed. Name another file in TICKERCAST_WAREHOUSE, or another folder in TICKERCAST_HOME."
        )
    return DuckDBWarehouse(path, sql=config.resource("sql"))


def _bigquery(settings: Settings, patient: bool) -> Warehouse:
    named = re.fullmatch(r"bigquery://([a-z0-9.:-]+)/(\w+)(?:\?location=([\w-]+))?", settings.warehouse, re.ASCII)
    if named is None:
        raise UsageError(
            f"TICKERCAST_WAREHOUSE is {settings.warehouse!r}: bigquery://PROJECT/DATASET was needed, with "
            "?location=EU behind it if the dataset is not in the United States. Correct it."
        )
    from tickercast.backends.warehouse.bigquery import BigQueryWarehouse  # 1 s that a laptop does not pay

    project, dataset, location = named.groups(default="")
    return BigQueryWarehouse(
        project,
        dataset,
        config.resource("sql"),
        location=location,
        emulator=settings.bigquery_emulator_host,
        query_patience_s=None if patient else _EVENT_QUERY_S,
        max_query_gb=settings.max_query_gb,
    )


WAREHOUSES: Mapping[str, Callable[[Settings, bool], Warehouse]] = {"duckdb": _duckdb, "bigquery": _bigquery}
"""Warehouses by URL scheme."""


def warehouse(settings: Settings, *, patient: bool = True) -> Warehouse:
    """Open the tables and views.

    Args:
        settings: where they are.
        patient: whether a query may take as long as it needs, as people's and the daily run's do; an event's may not.

    Raises:
        UsageError: no engine is known for the URL.
    """
    expected = "duckdb://PATH or bigquery://PROJECT/DATASET"
    return WAREHOUSES[_scheme(WAREHOUSES, settings.warehouse, "TICKERCAST_WAREHOUSE", expected)](settings, patient)


def stored_symbols(settings: Settings) -> list[str]:
    """The symbols that have been forecast, where the warehouse is a file that can be read within a second.

    Raises:
        WarehouseUnavailable: the warehouse cannot be read.
    """
    if not settings.warehouse.startswith("duckdb://"):
        return []
    from tickercast.backends.warehouse.duckdb import DuckDBWarehouse
    from tickercast.domain.frequency import DAILY
    from tickercast.reading.queries import ask

    path = _path(settings.warehouse, "TICKERCAST_WAREHOUSE", "duckdb://PATH")
    held = DuckDBWarehouse(path, sql=config.resource("sql"), patience_s=1.0)
    return list(ask(held, "symbols", frequency=DAILY.name)["symbol"])


def statements() -> dict[str, str]:
    """The statements that create the tables and views, by name, in BigQuery's dialect."""
    from tickercast.backends.warehouse.sql import read_objects

    return {made.name: made.text for made in read_objects(config.resource("sql"))}


def dated_tables() -> list["Table"]:
    """The tables whose rows have a day, as their files define them."""
    from tickercast.backends.warehouse.sql import columns, dated_by, read_objects
    from tickercast.jobs.operations.copy_tables import Table

    return [
        Table(found.name, dated_by(found), {column.name: column.kind for column in columns(found)})
        for found in read_objects(config.resource("sql"))
        if not found.is_view and dated_by(found)
    ]


def statement(name: str) -> str:
    """The statement that creates a table or view.

    Raises:
        UsageError: no table or view has that name.
    """
    found = statements()
    if name not in found:
        close = difflib.get_close_matches(name, found, n=1)
        hint = f"Did you mean {close[0]}?" if close else "Name one of these."
        raise UsageError(f"There is no table or view {name[:40]!r}: {', '.join(sorted(found))} are there. {hint}")
    return found[name]


# ---------------------------------------------------------------- market data


def _yahoo(settings: Settings) -> MarketData:
    from tickercast.backends.market_data.yahoo import Yahoo

    return Yahoo(at_once=settings.yahoo_requests, pause_s=settings.yahoo_pause_s)


def _sample(settings: Settings) -> MarketData:
    from tickercast.backends.market_data.sample import Sample

    return Sample()


def _simulated(settings: Settings) -> MarketData:
    from tickercast.backends.market_data.simulated import Simulated

    return Simulated()


SOURCES: Mapping[str, Callable[[Settings], MarketData]] = {"yahoo": _yahoo, "sample": _sample, "simulated": _simulated}
"""Market data sources by name; any other word is the path of a folder or file."""


def market_data(name: str, settings: Settings | None = None) -> MarketData:
    """Open the source that a user names: one of `SOURCES`, or the path of a folder or file.

    Args:
        name: the name of the source, as the user gives it.
        settings: the settings of the source; those of the environment by default.

    Raises:
        UsageError: the name is neither a source nor a path.
    """
    if name in SOURCES:
        return SOURCES[name](settings or config.load())
    if name in HOURLY_SOURCES:
        raise UsageError(
            f"The source {name} has hours alone, and daily bars were needed. Name another by --source or "
            "TICKERCAST_SOURCE, such as yahoo, or add --every 1h."
        )
    if not _exists(Path(name).expanduser()):
        raise UsageError(
            f"The source {name[:80]!r} is neither {', '.join(SOURCES)} nor a folder or file that can be read. "
            "Name one of them."
        )
    from tickercast.backends.market_data.folder import Folder

    return Folder(Path(name).expanduser())


def _binance_hours(settings: Settings) -> MarketData:
    from tickercast.backends.market_data.binance import Binance

    return Binance(settings.binance_url)


def _simulated_hours(settings: Settings) -> MarketData:
    from tickercast.backends.market_data.simulated_hours import SimulatedHours

    return SimulatedHours()


HOURLY_SOURCES: Mapping[str, Callable[[Settings], MarketData]] = {
    "binance": _binance_hours,
    "simulated": _simulated_hours,
}
"""Sources of hourly bars by name; any other word is the path of a folder or file."""


def hourly_source(settings: Settings) -> str:
    """The source of hourly bars where none is named: the configured one, or binance where none is configured."""
    return settings.source if "source" in settings.model_fields_set else "binance"


def hourly_data(name: str, settings: Settings) -> MarketData:
    """Open the source of hourly bars that a user names: one of `HOURLY_SOURCES`, or the path of a folder or file.

    Raises:
        UsageError: the name is none of them.
    """
    if name in HOURLY_SOURCES:
        return HOURLY_SOURCES[name](settings)
    if name in SOURCES:
        raise UsageError(
            f"The source {name} has daily bars alone, and hours were needed. Name another by --source or "
            "TICKERCAST_SOURCE, such as --source binance."
        )
    from tickercast.backends.market_data.hourly_folder import HourlyFolder

    if not _exists(Path(name).expanduser()):
        raise UsageError(
            f"The source {name[:80]!r} is neither {', '.join(HOURLY_SOURCES)} nor a folder or file that can be read: "
            "hourly bars in Parquet or CSV files, or in those of Binance's archive, were needed. Check the path."
        )
    return HourlyFolder(Path(name).expanduser())


# ---------------------------------------------------------------- results days


def _sec(settings: Settings) -> ResultsSource:
    from tickercast.backends.results_days.sec import Sec

    return Sec(settings.sec_user_agent, url=settings.sec_url, data_url=settings.sec_data_url)


def _yahoo_results(settings: Settings) -> ResultsSource:
    from tickercast.backends.results_days.yahoo import YahooResults

    return YahooResults(at_once=settings.yahoo_requests, pause_s=settings.yahoo_pause_s)


RESULTS_SOURCES: Mapping[str, Callable[[Settings], ResultsSource]] = {"sec": _sec, "yahoo": _yahoo_results}
"""Sources of results days by name; any other word is the path of a file."""


def results_source(name: str, settings: Settings) -> ResultsSource:
    """Open the source of results days that a user names: one of `RESULTS_SOURCES`, or the path of a CSV file.

    Raises:
        UsageError: the name is neither a source nor a path, or a setting is missing.
    """
    if name in RESULTS_SOURCES:
        return RESULTS_SOURCES[name](settings)
    if not _exists(Path(name).expanduser()):
        raise UsageError(
            f"The source {name[:80]!r} is neither {', '.join(RESULTS_SOURCES)}, none nor a file that can be read: CSV "
            "with symbol and date was needed. Name one of them."
        )
    from tickercast.backends.results_days.file import ResultsFile

    return ResultsFile(Path(name).expanduser())


# ---------------------------------------------------------------- brokers


@dataclass(frozen=True)
class Bench:
    """The bench of a simulated exchange: its needs beside the URL; venues need none of it.

    Attributes:
        warehouse: the warehouse of bars and orders.
        now: the time, UTC.
        frequency: the frequency of the bars that fill orders.
        account: the account where the URL names none.
    """

    warehouse: Warehouse
    now: datetime
    frequency: Frequency = DAILY
    account: str = "paper"


def _paper(url: str, settings: Settings, bench: Bench) -> Broker:
    from tickercast.backends.brokers.paper import Paper
    from tickercast.domain.trading.paper import parse_terms

    parts = urlsplit(url)
    name = parts.netloc or bench.account
    try:
        if parts.path.strip("/") or "#" in url or not re.fullmatch(r"[A-Za-z0-9_-]{1,40}", name):
            raise ValueError("no account is named so")
        terms = parse_terms(parts.query)
    except ValueError as error:
        raise UsageError(
            f"The broker is {without_secrets(url)[:120]!r}, and {error}: paper:// was needed, perhaps with an account "
            "of letters, digits, - and _ behind it, and any of ?capital=100000&fees_bps=10&slippage_bps=5&borrow_bps=50"
            "&capacity=0.01&lot=0.000000001&currency=USD. Correct it."
        ) from error
    return Paper(url, name, bench.warehouse, bench.now, bench.frequency, terms)


def _alpaca(url: str, settings: Settings, bench: Bench) -> Broker:
    if url != "alpaca-paper://":
        raise _more_than_a_scheme("alpaca-paper", "alpaca-paper:// alone", "TICKERCAST_ALPACA")
    keys = _keys(url, settings.alpaca_key, settings.alpaca_secret, "TICKERCAST_ALPACA")
    if not importlib.util.find_spec("alpaca"):
        raise not_installed("alpaca-paper://", ["alpaca-py"], "trade")
    from tickercast.backends.brokers.alpaca import AlpacaPaper

    return AlpacaPaper(*keys)


def _binance(url: str, settings: Settings, bench: Bench) -> Broker:
    named = re.fullmatch(r"binance-testnet://(?:\?symbols=([A-Z0-9-]+(?:,[A-Z0-9-]+)*))?", url)
    if named is None:
        wanted = "binance-testnet://, perhaps with the coins that count as in ?symbols=BTCUSDT,ETHUSDT,"
        raise _more_than_a_scheme("binance-testnet", wanted, "TICKERCAST_BINANCE_TESTNET")
    keys = _keys(
        "binance-testnet://",
        settings.binance_testnet_key,
        settings.binance_testnet_secret,
        "TICKERCAST_BINANCE_TESTNET",
    )
    from tickercast.backends.brokers.binance import BinanceTestnet

    return BinanceTestnet(*keys, symbols=named[1].split(",") if named[1] else [])


def _more_than_a_scheme(scheme: str, wanted: str, setting: str) -> UsageError:
    return UsageError(
        f"The broker begins with {scheme}://, and something stands behind it: {wanted} was needed. Its host is fixed, "
        f"no live venue can be named, and keys belong in {setting}_KEY and {setting}_SECRET."
    )


def _keys(url: str, key: SecretStr, secret: SecretStr, setting: str) -> tuple[str, str]:
    given = {f"{setting}_KEY": key.get_secret_value().strip(), f"{setting}_SECRET": secret.get_secret_value().strip()}
    for name, value in given.items():
        if not (value and value.isascii() and value.isprintable()):
            raise UsageError(
                f"{url} needs the keys of a paper account, and {name} is {'not valid' if value else 'not set'}. Make "
                "keys on the venue's page, and set them."
            )
    return given[f"{setting}_KEY"], given[f"{setting}_SECRET"]


BROKERS: Mapping[str, Callable[[str, Settings, Bench], Broker]] = {
    "paper": _paper,
    "alpaca-paper": _alpaca,
    "binance-testnet": _binance,
}
"""Brokers by URL scheme: all of them trade paper. A live venue has none, and can have none."""


def broker(url: str, settings: Settings, bench: Bench) -> Broker:
    """Open the broker that a user names.

    Args:
        url: the URL of the broker, such as `paper://`.
        settings: the settings, with a venue's keys.
        bench: the bench of a simulated exchange.

    Raises:
        UsageError: no engine is known for the URL, as for that of any live venue.
    """
    scheme, separator, _ = url.partition("://")
    if scheme not in BROKERS or not separator:
        known = ", ".join(f"{name}://" for name in BROKERS)
        raise UsageError(
            f"The broker is {without_secrets(url)[:80]!r}: one of {known} was needed. All of them trade paper: a venue "
            "where money is at stake cannot be configured. Correct it."
        )
    return BROKERS[scheme](url, settings, bench)


# ---------------------------------------------------------------- training


def model_registry(settings: Settings) -> "MlflowRegistry | BucketRegistry":
    """Open the MLflow registry, which shows the studies of recipes too.

    Raises:
        UsageError: the training extras are not installed, or no engine is known for the URL.
    """
    config.silence_telemetry()
    require_training()
    if settings.mlflow_tracking_uri.startswith("bucket:"):
        from tickercast.backends.registry.bucket import BucketRegistry
        from tickercast.jobs.daily.lease import TERM, lease

        store = model_bucket(settings)
        hold = functools.partial(lease, store, "registry", now=lambda: datetime.now(UTC), patience=2 * TERM)
        return BucketRegistry(settings.mlflow_tracking_uri, store, hold)
    from tickercast.backends.registry.mlflow import MlflowRegistry

    return MlflowRegistry(settings.mlflow_tracking_uri)


def registry_is_new(settings: Settings) -> bool:
    """Whether the registry is a file that is not there yet; MLflow takes some seconds to make it."""
    url = settings.mlflow_tracking_uri
    return url.startswith(_SQLITE) and not _exists(Path(url.removeprefix(_SQLITE)))


def recipe_search(settings: Settings) -> "RecipeSearch[Recipe]":
    """Open the studies of recipes, in a file beside MLflow's, or in the home if MLflow's is elsewhere.

    Raises:
        UsageError: the training extras are not installed.
    """
    require_training()
    from tickercast.backends.registry.optuna import NETWORK, OptunaSearch

    return OptunaSearch(_studies(settings), NETWORK)


def boosting_search(settings: Settings, *, usual: bool = False) -> "RecipeSearch[Boosting]":
    """Open the studies of boosted trees, in the same file.

    Args:
        settings: where MLflow's file is.
        usual: search the ranges that are usual; else shallower trees, too.

    Raises:
        UsageError: Optuna or XGBoost is not installed.
    """
    require_boosting()
    from tickercast.backends.registry.optuna import BOOSTING, BOOSTING_USUAL, OptunaSearch

    return OptunaSearch(_studies(settings), BOOSTING_USUAL if usual else BOOSTING)


def _studies(settings: Settings) -> Path:
    url = settings.mlflow_tracking_uri
    folder = Path(url.removeprefix(_SQLITE)).parent if url.startswith(_SQLITE) else settings.home_folder
    return folder / "tuning.db"


def can_train() -> bool:
    """Whether the training extras are installed."""
    return all(importlib.util.find_spec(name) for name in _TRAINING)


def require_training() -> None:
    """Check that the training extras are installed.

    Raises:
        UsageError: a package of the training extras is not installed.
    """
    if not can_train():
        raise not_installed("Training", _TRAINING, "train")


_BOOSTING = ("mlflow", "onnx", "onnxmltools", "optuna", "xgboost")


def require_boosting() -> None:
    """Check that boosted trees can be trained.

    Raises:
        UsageError: a library is not installed.
    """
    if not all(importlib.util.find_spec(name) for name in _BOOSTING):
        raise not_installed("Training the direction model", _BOOSTING, "train,boost")


def boost() -> "Boost":
    """The training of the direction model.

    Raises:
        UsageError: a library is not installed.
    """
    require_boosting()
    from tickercast.models.boosted import training

    return training


def hourly_models(series: "Sequence[Bars]") -> "HourlyModels":
    """The training of the hourly models.

    Raises:
        UsageError: the training extras are not installed.
    """
    require_training()
    config.set_up_tensorflow()
    from tickercast.models.lstm.hourly import HourlyTrainer

    return HourlyTrainer.of(series)


def fit() -> "Fit":
    """The training of the LSTM.

    Raises:
        UsageError: the training extras are not installed.
    """
    require_training()
    config.set_up_tensorflow()
    from tickercast.models.lstm import training

    return training.fit


def prepare() -> "Prepare":
    """The preparation of a study of the LSTM's recipes.

    Raises:
        UsageError: the training extras are not installed.
    """
    require_training()
    config.set_up_tensorflow()
    from tickercast.models.lstm import training

    return training.prepare


# ---------------------------------------------------------------- clusters


def spread(dask: str) -> "AbstractContextManager[Spread | None]":
    """Spread the forecasts of an evaluation over processes of this machine, or over a Dask cluster.

    Args:
        dask: the number of processes, or the address of a scheduler; empty: all are made in this process.

    Raises:
        UsageError: Dask is not installed, or no scheduler answers at that address.
    """
    if not dask:
        return nullcontext()
    if not importlib.util.find_spec("distributed"):
        raise not_installed("--dask", ["distributed"], "flow")
    from tickercast.backends import spread_dask

    return spread_dask.spread(dask)


# ---------------------------------------------------------------- flows


def flow_server() -> AbstractContextManager[None]:
    """Run a Prefect flow inside: its server is tried first, and its errors are raised as ours.

    Raises:
        FlowUnavailable: the server cannot be reached.
        UsageError: something else is at its address.
    """
    from tickercast.backends import flow_prefect

    return flow_prefect.server()


def flow_interruptible() -> AbstractContextManager[None]:
    """Let SIGTERM and Ctrl-C interrupt a flow inside at once; see `flow_prefect.interruptible`."""
    from tickercast.backends import flow_prefect

    return flow_prefect.interruptible()


def flow_outcome(result: R, undone: Mapping[str, str]) -> R:
    """The result of a Prefect flow; the run fails with what could not be done, see `flow_prefect.outcome`."""
    from tickercast.backends import flow_prefect

    return flow_prefect.outcome(result, undone)


def flow_result(flow: Callable[..., Any], *words: Any) -> Any:
    """Run a Prefect flow, and return its result, also where something could not be done."""
    from tickercast.backends import flow_prefect

    return flow_prefect.result_of(flow, *words)


def flow_task(
    job: Callable[..., Any],
    *,
    retried: bool,
    artifacts: "Callable[[Any], Iterable[flow_prefect.Artifact]]" = lambda _: (),
) -> "Task[..., Any]":
    """A task of a Prefect flow around a job; see `flow_prefect.as_task`."""
    from tickercast.backends import flow_prefect

    return flow_prefect.as_task(job, retried=retried, artifacts=artifacts)


def flow_runner(workers: int, *, dask: bool) -> "TaskRunner[Any]":
    """The task runner of a Prefect flow, for tasks side by side; see `flow_prefect.task_runner`."""
    from tickercast.backends import flow_prefect

    return flow_prefect.task_runner(workers, dask=dask)


def show_in_flow(logger: str) -> None:
    """Send the lines of a logger to Prefect's page of the run that they are logged in."""
    from tickercast.backends import flow_prefect

    flow_prefect.show_lines_of(logger)


# ---------------------------------------------------------------- people


def drift_reporter() -> DriftReporter:
    """The renderer of drift reports.

    Raises:
        UsageError: Evidently is not installed.
    """
    config.silence_telemetry()
    if not importlib.util.find_spec("evidently"):
        raise not_installed("A drift report", ["evidently"], "flow")
    from tickercast.backends.drift_evidently import EvidentlyReporter

    return EvidentlyReporter()


def tearsheet() -> Tearsheet:
    """The renderer of tear sheets.

    Raises:
        UsageError: quantstats is not installed.
    """
    config.silence_telemetry()
    if not importlib.util.find_spec("quantstats"):
        raise not_installed("A tear sheet", ["quantstats"], "tearsheet")
    from tickercast.backends.tearsheet_quantstats import QuantstatsTearsheet

    return QuantstatsTearsheet()


def notifiers(settings: Settings) -> Sequence[Notifier]:
    """The receivers of alerts; none if `TICKERCAST_ALERT_URLS` is not set.

    Raises:
        UsageError: a URL is not one that Apprise knows, or Apprise is not installed.
    """
    return _receivers(settings.alert_urls.get_secret_value(), "TICKERCAST_ALERT_URLS")


def digest_receivers(settings: Settings) -> Sequence[Notifier]:
    """The receivers of the digest; none if `TICKERCAST_DIGEST_URLS` is not set.

    Raises:
        UsageError: as `notifiers`.
    """
    return _receivers(settings.digest_urls.get_secret_value(), "TICKERCAST_DIGEST_URLS")


def _receivers(urls: str, setting: str) -> Sequence[Notifier]:
    if not urls:
        return []
    if not importlib.util.find_spec("apprise"):
        raise not_installed(setting, ["apprise"], "flow")
    from tickercast.backends.alerts_apprise import receivers

    return receivers(urls, setting)


def ping_function(url: str) -> str:
    """Ask a served function whether it is there, and return its answer.

    Raises:
        FunctionUnavailable: nothing answers.
    """
    from tickercast.backends import events

    return events.ping(url)


# ---------------------------------------------------------------- events


def read_event(headers: Mapping[str, str], body: bytes) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Read the attributes and data of an event from a request: a CloudEvent, or a bucket's Pub/Sub notification.

    Raises:
        EventUnreadable: the event is truncated or damaged, and has to be delivered again.
    """
    from tickercast.backends import event_bodies

    return event_bodies.read(headers, body)


def read_s3_event(event: Any) -> "Sequence[Message]":
    """Read what a call of the function on AWS Lambda announces; nothing for S3's test event.

    Raises:
        EventUnreadable: the call is none of S3's events.
    """
    from tickercast.backends import s3_events

    return s3_events.read(event)


def object_finalized(attributes: Mapping[str, Any], data: Mapping[str, Any]) -> ObjectFinalized:
    """Read a CloudEvent of type `google.cloud.storage.object.v1.finalized`.

    Raises:
        UsageError: the event is of another type, or has no bucket, name or generation.
    """
    from tickercast.backends import event_bodies

    return event_bodies.object_finalized(attributes, data)


# ---------------------------------------------------------------- URLs


def check_writable(url: str) -> None:
    """Check, without writing, that this user may write to an engine of this machine; others are not asked.

    Args:
        url: the URL of a bucket, a warehouse or a registry, `file://`, `duckdb://` or `sqlite:///`.

    Raises:
        EngineUnusable: it, or the folder in which it would be made, is closed, read-only, or on a full disk.
    """
    scheme, _, place = (url.replace(_SQLITE, "sqlite://") if url.startswith(_SQLITE) else url).partition("://")
    if scheme not in ("file", "duckdb", "sqlite") or not place:
        return
    path = Path(place).expanduser().absolute()
    if scheme == "file" and path.is_file():
        return  # the bucket says that itself
    if scheme == "file":
        kept = path / ".generations"
        names = [each.name for each in kept.glob("*")]
        below = (folder / name for folder in (path, kept) for name in ("", *names))
        disk.check_writable(url, path, path / ".lock", *below)
    else:
        disk.check_writable(url, path.parent, path, *([] if scheme == "sqlite" else [Path(f"{path}.lock")]))


def _scheme(known: Container[str], url: str, setting: str, expected: str) -> str:
    scheme = url.partition(":")[0]
    if scheme not in known:
        raise _unknown(url, setting, expected)
    return scheme


def _unknown(url: str, setting: str, expected: str) -> UsageError:
    return UsageError(f"{setting} is {url!r}: no engine is known for it. {expected} was needed. Correct it.")


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # no right to look, or not a possible name
        return False


def _path(url: str, setting: str, expected: str) -> Path:
    _, separator, path = url.partition("://")
    if not separator or not path:
        raise _unknown(url, setting, expected)
    return Path(path).expanduser().absolute()
