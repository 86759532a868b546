"""A model registry behind MLflow: a SQLite file with a folder of artifacts beside it, or a tracking server.

MLflow takes seconds to import and only training needs it, so it is imported when a method runs.
"""

import functools
import json
import logging
import sqlite3
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from filelock import FileLock, Timeout

from tickercast import config, logs
from tickercast.backends.registry import mlflow_errors, provenance
from tickercast.domain.cards.model_card import (
    CHALLENGER_ALIAS,
    DIRECTION_KIND,
    Bundle,
    ModelCard,
    RegisteredVersion,
    graph_shapes,
    read_bundle,
    read_card,
)
from tickercast.domain.cards.model_page import describe, verdict
from tickercast.domain.frequency import DAILY, HOURLY
from tickercast.domain.learning.dataset import Dataset
from tickercast.errors import BundleError, StoreUnavailable, TickercastError, UsageError
from tickercast.plain import without_secrets
from tickercast.ports import RunRecord, StudyLog

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.models import ModelSignature
    from onnx import ModelProto

EXPERIMENT = "tickercast"

_SQLITE = "sqlite:///"
_MAKING_S = 120.0
_CLOUD_RUN = ".run.app"

log = logging.getLogger(__name__)


def log_failure(version: str, reason: BundleError) -> None:
    """Write to the log that a version cannot be read, and why."""
    log.warning("Version %s is left out: %s", version, reason)


class MlflowRegistry:
    """Runs of one experiment, and the versions of the registered models.

    >>> MlflowRegistry("sqlite:///.tickercast/mlflow.db").url
    'sqlite:///.tickercast/mlflow.db'
    """

    def __init__(self, url: str, *, artifacts: str = "") -> None:
        """Remember where the registry is; nothing is opened or created yet.

        Args:
            url: MLflow's tracking URI: `sqlite:///FILE` or `http(s)://HOST`.
            artifacts: where the artifacts of a SQLite file are kept; in a folder beside it by default.

        Raises:
            UsageError: the URL is neither.
        """
        if url == _SQLITE or not (url.startswith(_SQLITE) or config.is_address(url)):
            raise UsageError(
                f"MLFLOW_TRACKING_URI is {without_secrets(url)[:80]!r}: sqlite:///FILE, http(s)://HOST of an MLflow "
                "server or bucket://FOLDER/NAME.db was needed. Correct it."
            )
        self._url, self._kept_in = url, artifacts
        self._reached = False

    @property
    def url(self) -> str:
        """The URL of the registry, as the user configured it."""
        return self._url

    def register(self, bundle: Bundle, record: RunRecord) -> Bundle:
        """Register a bundle as the next version of its name; see `ModelRegistry.register`.

        The new version takes the alias `challenger` and keeps it until the next one is registered. It is created once
        its run has ended and holds all files: whatever ends this earlier leaves a run and no version.

        Raises:
            BundleError: the network is not valid ONNX, or the reference is missing.
            StoreUnavailable: the registry does not answer.
        """
        card = bundle.card
        bundle.check_whole()
        with _quiet(), self._client() as client:
            with self._run(client) as run_id:
                source, model_id = _log_models(run_id, bundle, record)
                parameters = _card_parameters(card) | dict(record.parameters)
                metrics = card.metrics | dict(record.metrics)
                _log(client, run_id, replace(record, parameters=parameters, metrics=metrics))
                _log_bundle(client, run_id, bundle.registered(version="", run_id=run_id))
            _create_if_missing(client, card.name)
            made = _make_version(
                client,
                card.name,
                source=source,
                tags=_filters(card),
                run_id=run_id,
                model_id=model_id,
                description=describe(card)[:_DESCRIPTION],
            )
            registered = bundle.registered(version=made, run_id=run_id)
            self._name(client, registered.card)
        return registered

    def _name(self, client: "MlflowClient", card: ModelCard) -> None:
        """Show a new version's number with its run, and move the alias: the version can be read without either."""
        try:
            with self._client():
                _describe(client, card.run_id, card)
                client.set_registered_model_alias(card.name, CHALLENGER_ALIAS, card.version)
        except TickercastError as error:  # it is registered: to fail now would have it registered again
            log.warning(
                "%s %s is registered, and may lack the alias %s. The reason: %s",
                card.name,
                card.version,
                CHALLENGER_ALIAS,
                error,
            )

    @contextmanager
    def study(self, name: str, record: RunRecord) -> Iterator[StudyLog]:
        """Open the run of a study, in which its trials are nested; see `StudyTracker.study`."""
        with _quiet(), self._client(at_work=True) as client:
            experiment_id = self._experiment(client)
            run_id = _open_study(client, experiment_id, name, record)
            status = "FAILED"
            try:
                yield _Study(client, experiment_id, run_id)
                status = "FINISHED"
            except KeyboardInterrupt:
                status = "KILLED"
                raise
            finally:
                client.set_terminated(run_id, status)

    def bundle(self, name: str, version: str) -> Bundle:
        """Read a registered version back, to the byte."""
        with _quiet(), self._client() as client:
            read = self._files(name, version, client.get_model_version(name, version).run_id)
            return read_bundle(
                _card_file(read.card()),
                lambda: read("model.onnx"),
                lambda: read("reference.json"),
                remedy=read.remedy,
            )

    def versions(
        self, name: str, *, on_failure: Callable[[str, BundleError], None] = log_failure
    ) -> Sequence[RegisteredVersion]:
        """All versions of a model that can be read, newest first; see `ModelRegistry.versions`."""
        if self._is_new():
            return []
        listed: list[RegisteredVersion] = []
        with _quiet(), self._client() as client:
            found = client.search_model_versions(f"name = '{name}'")
            aliases = self._aliases(client, name)
            for made in sorted(found, key=lambda made: -int(made.version)):
                version = str(made.version)
                read = self._files(name, version, made.run_id)
                try:
                    card = read.card()
                except BundleError as error:
                    on_failure(version, error)
                    continue
                named = tuple(alias for alias, at in sorted(aliases.items()) if at == version)
                listed.append(
                    RegisteredVersion(card, datetime.fromtimestamp(made.creation_timestamp / 1000, UTC), named)
                )
        return listed

    def newest(self, name: str) -> int:
        """The greatest number that a version has or that is left out; see `ModelRegistry.newest`."""
        if self._is_new():
            return 0
        with _quiet(), self._client() as client:
            made = client.search_model_versions(f"name = '{name}'")
            return max([_left_out(client, name), *(int(version.version) for version in made)])

    def number_after(self, name: str, number: int) -> None:
        """Leave out all numbers up to one; see `ModelRegistry.number_after`."""
        with _quiet(), self._client() as client:
            _create_if_missing(client, name)
            client.set_registered_model_tag(name, _LEFT_OUT, str(number))

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other processes from doing the same to a file meanwhile; see `ModelRegistry.alone`."""
        with _quiet(), self._client():
            pass  # which makes the folder of the file
        with self._alone():
            yield

    def _files(self, name: str, version: str, run_id: str | None) -> "_Files":
        return _Files(name, version, run_id, self._url)

    def aliased(self, name: str, alias: str) -> str | None:
        """The version that an alias names, or None."""
        if self._is_new():
            return None
        with _quiet(), self._client() as client:
            return self._aliases(client, name).get(alias)

    def set_alias(self, name: str, alias: str, version: str) -> None:
        """Point an alias at a version."""
        with _quiet(), self._client() as client:
            client.set_registered_model_alias(name, alias, version)

    def _aliases(self, client: "MlflowClient", name: str) -> dict[str, str]:
        found = client.search_registered_models(f"name = '{name}'")  # versions come without their aliases
        return {alias: str(version) for alias, version in found[0].aliases.items()} if found else {}

    @contextmanager
    def _client(self, *, at_work: bool = False) -> Iterator["MlflowClient"]:
        """Open MLflow's client, try its file or server once before, and translate the errors of the block.

        Args:
            at_work: whether the block does more than wait for MLflow.
        """
        uri = self._url
        if self._url.startswith(_SQLITE):
            mlflow_errors.check_file(self._file(), self._url)
            uri = f"{_SQLITE}{self._file().resolve()}"  # MLflow keeps a connection for each spelling of a URI
        elif not self._reached:
            with self._waiting():
                mlflow_errors.check_server(self._url)
            self._reached = True
        config.bound_mlflow()
        import mlflow
        from alembic.util import CommandError
        from mlflow.exceptions import MlflowException
        from requests import RequestException
        from sqlalchemy.exc import SQLAlchemyError

        for name in ("mlflow", "alembic"):
            logging.getLogger(name).setLevel(logging.CRITICAL)  # it logs tracebacks of what it raises
        mlflow.set_tracking_uri(uri)
        mlflow.set_registry_uri(uri)
        if (urlsplit(uri).hostname or "").endswith(_CLOUD_RUN):
            audience = f"https://{urlsplit(uri).hostname}"
            _identity(audience)  # MLflow itself would only warn, and send the request without it
            _send_identity(audience)
        try:
            if self._url.startswith(_SQLITE) and not self._reached:
                self._make_tables()
                self._reached = True
            with nullcontext() if at_work or self._url.startswith(_SQLITE) else self._waiting():
                yield mlflow.MlflowClient()
        except (MlflowException, SQLAlchemyError, CommandError, RequestException, sqlite3.Error, OSError) as error:
            raise mlflow_errors.translated(error, self._url) from error

    def _make_tables(self) -> None:
        """Let MLflow find its tables, or make them, while no other process does: two would fail each other's steps."""
        import mlflow

        with self._alone():
            client = mlflow.MlflowClient()
            client.search_experiments(max_results=1)
            client.search_registered_models(max_results=1)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other processes from making in a file what the block makes there; a server sees to that itself.

        Raises:
            StoreUnavailable: another process has not made it in two minutes.
        """
        if not self._url.startswith(_SQLITE):
            yield
            return
        try:
            self._lock.acquire(timeout=_MAKING_S)
        except Timeout as error:
            raise StoreUnavailable(
                f"{self._file()} has been in the making by another process for two minutes. Wait until that has ended, "
                "then try again."
            ) from error
        try:
            yield
        finally:
            self._lock.release()

    @functools.cached_property
    def _lock(self) -> FileLock:
        """The lock of the file, which its holder may take again."""
        return FileLock(f"{self._file()}.lock", mode=0o600)

    def _waiting(self) -> AbstractContextManager[None]:
        return logs.waiting_for(f"waiting for MLflow at {self._url}")

    @contextmanager
    def _run(self, client: "MlflowClient") -> Iterator[str]:
        """Start a run of the experiment; it is marked as failed if the block raises."""
        import mlflow

        with mlflow.start_run(experiment_id=self._experiment(client)) as run:
            yield run.info.run_id

    def _experiment(self, client: "MlflowClient") -> str:
        found = client.get_experiment_by_name(EXPERIMENT)
        made = str(found.experiment_id) if found else self._new_experiment(client)
        if not found or found.tags.get(_KIND) != _MODEL_TRAINING:
            client.set_experiment_tag(made, _KIND, _MODEL_TRAINING)
        return made

    def _new_experiment(self, client: "MlflowClient") -> str:
        with self._alone():
            found = client.get_experiment_by_name(EXPERIMENT)  # another process was faster
            return str(found.experiment_id if found else client.create_experiment(EXPERIMENT, self._artifacts()))

    def _artifacts(self) -> str | None:
        """The place of a SQLite file's artifacts; None for a server, which has its own."""
        if not self._url.startswith(_SQLITE):
            return None
        if self._kept_in:
            return self._kept_in
        return (self._file().resolve().parent / "mlartifacts").as_uri()

    def _is_new(self) -> bool:
        """Whether it is a file that is not there yet, which MLflow would make to read it."""
        try:
            return self._url.startswith(_SQLITE) and not self._file().exists()
        except OSError:  # which is said when it is opened
            return False

    def _file(self) -> Path:
        return Path(self._url.removeprefix(_SQLITE))


def _identity(audience: str) -> str:
    """The token that Cloud Run asks its callers for.

    Raises:
        StoreUnavailable: no credentials give such a token.
    """
    import google.auth.transport.requests
    from google.auth.exceptions import GoogleAuthError
    from google.oauth2 import id_token

    try:
        request = google.auth.transport.requests.Request()
        return str(id_token.fetch_id_token(request, audience))  # type: ignore[no-untyped-call]
    except GoogleAuthError as error:
        raise StoreUnavailable(
            f"MLflow at {audience} asks for the token of a service account, and there is none: "
            f"{' '.join(str(error).split())}. Run this as one that may call it."
        ) from error


@functools.cache
def _send_identity(audience: str) -> None:
    """Send that token in a header of its own: MLflow's password takes the usual one."""
    from mlflow.tracking.request_header import registry
    from mlflow.tracking.request_header.abstract_request_header_provider import RequestHeaderProvider

    class Identity(RequestHeaderProvider):
        """The header."""

        def in_context(self) -> bool:
            return True

        def request_headers(self) -> dict[str, str]:
            return {"X-Serverless-Authorization": f"Bearer {_identity(audience)}"}

    providers: Any = registry._request_header_provider_registry
    providers.register(Identity)


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress the warnings of MLflow and of its dependencies."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _parsed(bundle: Bundle) -> "ModelProto":
    import onnx

    try:
        return onnx.load_model_from_string(bundle.onnx)
    except Exception as error:  # a DecodeError of protobuf, which onnx installs
        raise BundleError(f"The network of {bundle.card.name} is not ONNX: {error}. Train it again.") from error


def _signature(card: ModelCard) -> "ModelSignature":
    import numpy as np
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema, TensorSpec

    float32 = np.dtype(np.float32)

    def tensors(shapes: Mapping[str, tuple[int, ...]]) -> Schema:
        specifications: list[ColSpec | TensorSpec] = [
            TensorSpec(float32, (-1, *shape), name) for name, shape in shapes.items()
        ]
        return Schema(specifications)

    inputs, outputs = map(tensors, graph_shapes(card))
    return ModelSignature(inputs, outputs)


def _log_models(run_id: str, bundle: Bundle, record: RunRecord) -> tuple[str, str | None]:
    """Log the networks as MLflow's models, and return the source of the version and the id of its model."""
    import mlflow

    card = bundle.card
    if record.network is not None:
        # A .keras file is a zip of JSON and weights: unlike MLflow's other flavours this one pickles nothing.
        mlflow.keras.log_model(
            record.network,
            name=f"{card.name}-keras",
            signature=_signature(card),
            pip_requirements=provenance.requirements("keras", "tensorflow", "tensorflow-cpu"),
        )
    if not bundle.onnx:
        return f"runs:/{run_id}/model.json", None  # a model that is all in its card
    model = mlflow.onnx.log_model(
        _parsed(bundle),
        name=card.name,
        signature=_signature(card),
        pip_requirements=["onnxruntime", "numpy"],
        save_as_external_data=False,
    )
    return model.model_uri, model.model_id


def _card_parameters(card: ModelCard) -> dict[str, Any]:
    return {
        "calibration": card.calibration,
        "calibrated_apart": ", ".join(card.calibrations) or "none",
        "trained_on": card.trained_on,
        "trained_through": card.trained_through,
    }


_KIND, _MODEL_TRAINING = "mlflow.experimentKind", "custom_model_development"
_NOTE, _DESCRIPTION = "mlflow.note.content", 5000


def _filters(card: ModelCard) -> dict[str, str]:
    """The tags of a version that people filter by: what stays true of it, so not whether it is served."""
    frequency = HOURLY if card.kind == DIRECTION_KIND or card.hour_tables else DAILY
    return {"frequency": frequency.name, "verdict": verdict(card), "data_last": str(card.trained_through)}


def _describe(client: "MlflowClient", run_id: str, card: ModelCard) -> None:
    """Show the card with the run, and tag the run with what people filter by."""
    from mlflow.entities import RunTag

    tags = {_NOTE: describe(card)[:_DESCRIPTION], "version": f"{card.name} {card.version}", **_filters(card)}
    client.log_batch(run_id, tags=[RunTag(*tag) for tag in tags.items()])


def _log_bundle(client: "MlflowClient", run_id: str, bundle: Bundle) -> None:
    """Log the files of a bundle that has no number yet."""
    network = {"model.onnx": bundle.onnx} if bundle.onnx else {}
    reference = {"reference.json": bundle.reference} if bundle.reference else {}
    _log_files(client, run_id, {**network, **reference, "model.json": _card_file(bundle.card)})


def _card_file(card: ModelCard) -> bytes:
    return card.model_dump_json(indent=2).encode()


def _create_if_missing(client: "MlflowClient", name: str) -> None:
    if not client.search_registered_models(f"name = '{name}'"):
        client.create_registered_model(name)


def _make_version(client: "MlflowClient", name: str, **options: Any) -> str:
    """Make a version, and return its number, which MLflow chooses: those that are left out are used up before."""
    left_out = _left_out(client, name)
    while int((made := client.create_model_version(name, **options)).version) <= left_out:
        client.delete_model_version(name, made.version)
    return str(made.version)


_LEFT_OUT = "tickercast.numbers_left_out"


def _left_out(client: "MlflowClient", name: str) -> int:
    """The number up to which a model's versions get none."""
    found = client.search_registered_models(f"name = '{name}'")
    return int(found[0].tags.get(_LEFT_OUT, 0)) if found else 0


@dataclass(frozen=True)
class _Files:
    """The files of a registered version, which lie with the run that made it."""

    model: str
    version: str
    run_id: str | None
    url: str

    @property
    def remedy(self) -> str:
        return f"Restore the artifacts of its run {self.run_id} in MLflow at {self.url}, or train again."

    def card(self) -> ModelCard:
        """Read the card; its number is that of the version, which was made after the file was logged.

        Raises:
            BundleError: the card is gone or damaged.
        """
        return read_card(self("model.json"), self.remedy).model_copy(update={"version": self.version})

    def __call__(self, name: str) -> bytes:
        """Read a file.

        Raises:
            BundleError: the run, or the file among its artifacts, is gone, or never was there.
        """
        import mlflow
        from mlflow.exceptions import MlflowException

        try:
            with tempfile.TemporaryDirectory() as folder:
                return Path(
                    mlflow.artifacts.download_artifacts(run_id=self.run_id, artifact_path=name, dst_path=folder)
                ).read_bytes()
        except MlflowException as error:  # it has the same codes for what is missing and what was asked wrongly
            if not self._lacks(name):
                raise
            named = f"{self.model} {self.version}"
            if self._was_interrupted():
                raise BundleError(
                    f"{named} was never finished: its run {self.run_id} in MLflow at {self.url} ended before it had a "
                    f"{name}. Train again, and delete that version in MLflow."
                ) from error
            raise BundleError(f"{named} has no {name} any more, which was needed to read it. {self.remedy}") from error

    def _was_interrupted(self) -> bool:
        """Whether the run did not come to its end, as those of earlier releases could after they made the version."""
        import mlflow
        from mlflow.exceptions import MlflowException

        try:
            return bool(mlflow.MlflowClient().get_run(str(self.run_id)).info.status != "FINISHED")
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return False
            raise

    def _lacks(self, name: str) -> bool:
        """Whether the run is known to have no such file."""
        import mlflow
        from mlflow.exceptions import MlflowException

        try:
            found = mlflow.artifacts.list_artifacts(run_id=self.run_id)
        except MlflowException as error:
            return bool(error.error_code == "RESOURCE_DOES_NOT_EXIST")
        return name not in {file.path for file in found}


def _log(client: "MlflowClient", run_id: str, record: RunRecord) -> None:
    """Log a record without its network, in as few requests as possible."""
    from mlflow.entities import Metric, Param, RunTag

    now = _milliseconds()
    metrics = [Metric(name, value, now, 0) for name, value in record.metrics.items()]
    for name, curve in record.curves.items():
        metrics += [Metric(name, value, now, epoch) for epoch, value in enumerate(curve, start=1)]
    parameters = [Param(name, str(value)) for name, value in record.parameters.items()]
    tags = _data_tags(record.datasets) | (dict(provenance.tags()) if record.trained_here else {})
    client.log_batch(run_id, params=parameters, tags=[RunTag(*tag) for tag in tags.items()])
    for start in range(0, len(metrics), _BATCH):
        client.log_batch(run_id, metrics[start : start + _BATCH])
    _log_datasets(client, run_id, record.datasets)
    environment = {"environment.txt": provenance.environment().encode()} if record.trained_here else {}
    _log_files(client, run_id, dict(record.artifacts) | environment)


_BATCH = 1000  # the most metrics that a tracking server accepts in a request


def _data_tags(datasets: Mapping[str, Dataset]) -> dict[str, str]:
    """The data as tags that can be searched: `data.training.sha256` and the like."""
    return {
        f"data.{context}.{name}": str(value)
        for context, data in datasets.items()
        for name, value in (*_profile(data).items(), ("sha256", data.sha256), ("source", data.source))
    }


def _log_datasets(client: "MlflowClient", run_id: str, datasets: Mapping[str, Dataset]) -> None:
    """Log the data as the datasets that MLflow shows with the run."""
    from mlflow.entities import Dataset as Logged
    from mlflow.entities import DatasetInput, InputTag

    inputs = [
        DatasetInput(
            Logged(
                name=data.source[-500:],
                digest=data.sha256[:_DIGEST],
                source_type="local",
                source=json.dumps({"uri": data.source}),
                profile=json.dumps(_profile(data)),
            ),
            [InputTag("mlflow.data.context", context)],
        )
        for context, data in datasets.items()
    ]
    if inputs:
        client.log_inputs(run_id, inputs)


_DIGEST = 36  # characters that MLflow keeps of a digest; the tags hold the whole hash


def _profile(data: Dataset) -> dict[str, Any]:
    return {"first": str(data.first), "last": str(data.last), "symbols": len(data.symbols), "rows": data.rows}


def _open_study(client: "MlflowClient", experiment_id: str, name: str, record: RunRecord) -> str:
    """Reopen the run of a study, or create it."""
    found = client.search_runs([experiment_id], f"tags.`{_STUDY}` = '{name}'", max_results=1)
    if found:
        client.update_run(found[0].info.run_id, status="RUNNING")
        return str(found[0].info.run_id)
    run = client.create_run(experiment_id, tags={_STUDY: name}, run_name=name)
    _log(client, run.info.run_id, record)
    return str(run.info.run_id)


_STUDY = "tickercast.study"


@dataclass
class _Study:
    """The runs of one study.

    A trial's run is written once the trial has finished, so a killed trial leaves no run that seems to be running.
    """

    client: "MlflowClient"
    experiment_id: str
    run_id: str
    started: int = field(default_factory=lambda: _milliseconds())

    def trial(self, number: int, record: RunRecord, *, pruned: bool) -> None:
        """Record a finished trial as a run nested in the study's; a pruned one is marked as killed."""
        tags = {"mlflow.parentRunId": self.run_id, "state": "pruned" if pruned else "complete"}
        run = self.client.create_run(self.experiment_id, self.started, tags, f"trial {number}")
        _log(self.client, run.info.run_id, record)
        self.client.set_terminated(run.info.run_id, "KILLED" if pruned else "FINISHED")
        self.started = _milliseconds()

    def result(self, record: RunRecord) -> None:
        """Record the result of the study in its own run."""
        _log(self.client, self.run_id, record)


def _milliseconds() -> int:
    return int(datetime.now(UTC).timestamp() * 1000)


def _log_files(client: "MlflowClient", run_id: str, files: Mapping[str, bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            (Path(folder) / name).write_bytes(content)
        if files:
            client.log_artifacts(run_id, folder)
