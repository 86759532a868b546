"""The contract of the model registry: it numbers versions, keeps their files and figures, and moves aliases."""

import json
import logging
import os
import platform
import re
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from tests.support.mlflow_server import CannotStart, create_database, mlflow_server, postgresql

from tickercast import __version__, engines
from tickercast.backends.object_store.local import LocalObjectStore
from tickercast.backends.registry import provenance
from tickercast.backends.registry.bucket import BucketRegistry
from tickercast.backends.registry.mlflow import MlflowRegistry
from tickercast.config import Settings, resource
from tickercast.domain.cards import model_page
from tickercast.domain.cards.model_card import Bundle, read_bundle
from tickercast.domain.frequency import HOURLY
from tickercast.domain.learning import features
from tickercast.domain.learning.dataset import Dataset
from tickercast.errors import BundleError, UsageError
from tickercast.model_store import ModelStore
from tickercast.ports import RunRecord

pytest.importorskip("mlflow")
pytest.importorskip("onnx")

SHIPPED = Path(features.__file__).parents[2] / "shipped/models/tickercast-lstm/1"

DATA = Dataset("sample", "ab" * 32, date(2000, 3, 1), date(2010, 12, 31), ("AAPL", "MSFT"), 5400)

pytestmark = pytest.mark.filterwarnings(
    "ignore::ResourceWarning",
    "ignore::pytest.PytestUnraisableExceptionWarning",
    "ignore::DeprecationWarning",
    "ignore::FutureWarning",
    "ignore::UserWarning",
)


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    """The URL of a PostgreSQL server."""
    with ExitStack() as stack:
        try:
            url = stack.enter_context(postgresql())
        except CannotStart as why:
            pytest.skip(str(why))
        yield url


@pytest.fixture(scope="module", params=["sqlite", "bucket", "server with a folder", "server with a bucket"])
def registry(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowRegistry]:
    folder = tmp_path_factory.mktemp("registry")
    if request.param == "sqlite":
        yield MlflowRegistry(f"sqlite:///{folder}/new/mlflow.db")
        return
    if request.param == "bucket":
        settings = Settings(bucket=f"file://{folder}", MLFLOW_TRACKING_URI="bucket://registry/mlflow.db")
        yield engines.model_registry(settings)
        return
    settings = {"MLFLOW_ARTIFACTS_DESTINATION": str(folder / "files")}
    if request.param == "server with a bucket":
        storage = request.getfixturevalue("one_storage_server")
        storage.make_bucket("mlflow-files")
        settings = {"MLFLOW_ARTIFACTS_DESTINATION": "gs://mlflow-files/of/ours", "STORAGE_EMULATOR_HOST": storage.url}
    name = "files_in_a_" + request.param.rpartition(" ")[2]
    settings["MLFLOW_BACKEND_STORE_URI"] = create_database(request.getfixturevalue("database"), name)
    with mlflow_server(folder, settings) as url:
        yield MlflowRegistry(url)
    if request.param == "server with a bucket":
        assert storage.refused == []


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    names = ("model.onnx", "model.json", "reference.json")
    onnx, card, reference = ((SHIPPED / name).read_bytes() for name in names)
    whole = read_bundle(card, lambda: onnx, lambda: reference, remedy="")
    return whole.registered(version="", run_id="")


@pytest.fixture(scope="module")
def first(registry: MlflowRegistry, bundle: Bundle) -> Bundle:
    return registry.register(
        bundle,
        RunRecord(
            parameters={"seeds": "1,2"},
            curves={"seed_1/val_z_loss": [0.5, 0.4, 0.3]},
            datasets={"training": DATA},
            artifacts={"MODEL_CARD.md": b"# a card\n", "backtest.png": b"a picture"},
            network=network(bundle),
        ),
    )


def network(bundle: Bundle) -> Any:
    """A Keras network of the shape that the card describes."""
    keras = pytest.importorskip("keras", exc_type=ImportError)
    card = bundle.card
    steps = keras.Input((card.window, len(card.features)), name="steps")
    statics = keras.Input((len(card.statics),), name="statics")
    joined = keras.layers.Concatenate()([keras.layers.LSTM(2)(steps), statics])
    flat = keras.layers.Dense(card.horizon * len(card.quantiles))(joined)
    return keras.Model([steps, statics], keras.layers.Reshape((card.horizon, len(card.quantiles)))(flat))


def client_of(registry: MlflowRegistry) -> Any:
    """MLflow's own client, on what the registry has opened last."""
    import mlflow

    registry.versions("none")
    return mlflow.MlflowClient()


def artifact(run_id: str, name: str) -> bytes:
    """A file of a run."""
    import mlflow

    return Path(mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path=name)).read_bytes()


def models_of(registry: MlflowRegistry, run_id: str) -> dict[str, str]:
    """The ids of the models that a run has logged, by name."""
    import mlflow

    outputs = client_of(registry).get_run(run_id).outputs.model_outputs
    return {mlflow.get_logged_model(found.model_id).name: found.model_id for found in outputs}


def model_files(registry: MlflowRegistry, model_id: str, path: str | None = None) -> set[str]:
    """The names of a logged model's files and folders."""

    found = client_of(registry).list_logged_model_artifacts(model_id, path)
    inner = [model_files(registry, model_id, each.path) for each in found if each.is_dir]
    return {each.path.rpartition("/")[2] for each in found}.union(*inner)


def test_the_first_version_is_one_and_the_network_is_unchanged(first: Bundle, bundle: Bundle) -> None:
    assert first.card.version == "1"
    assert first.card.run_id
    assert first.onnx == bundle.onnx


def test_the_next_version_takes_the_alias_challenger_and_leaves_the_champion(
    registry: MlflowRegistry, bundle: Bundle, first: Bundle
) -> None:
    registry.set_alias(first.card.name, "champion", first.card.version)
    second = registry.register(bundle, RunRecord())
    assert second.card.version == "2"
    assert registry.aliased(bundle.card.name, "challenger") == "2"
    assert registry.aliased(bundle.card.name, "champion") == "1"


@pytest.mark.parametrize("name", ["har-season", "xgb-direction"])
def test_a_model_of_hourly_bars_is_registered_and_read_back(registry: MlflowRegistry, name: str) -> None:
    store = ModelStore(LocalObjectStore(Path("unused")), resource("shipped"), HOURLY)
    bundle = store.shipped_bundle(name, "1").registered(version="", run_id="")
    made = registry.register(bundle, RunRecord())
    assert made.card.version == "1"
    again = registry.bundle(name, "1")
    assert (again.onnx, again.card) == (bundle.onnx, made.card)
    assert bool(again.onnx) is (name != "har-season")
    assert registry.aliased(name, "challenger") == "1"
    assert [version.card.name for version in registry.versions(name)] == [name]


def test_the_run_keeps_parameters_metrics_and_files(registry: MlflowRegistry, first: Bundle) -> None:

    run = client_of(registry).get_run(first.card.run_id)
    assert run.data.params["seeds"] == "1,2"
    assert run.data.metrics == pytest.approx(first.card.metrics | {"seed_1/val_z_loss": 0.3})
    assert json.loads(artifact(first.card.run_id, "model.json"))["run_id"] == first.card.run_id
    assert artifact(first.card.run_id, "MODEL_CARD.md") == b"# a card\n"


def test_run_and_version_show_the_card_and_have_tags_to_filter_by(registry: MlflowRegistry, first: Bundle) -> None:
    client = client_of(registry)
    version = client.get_model_version(first.card.name, first.card.version)
    run = client.get_run(first.card.run_id)
    experiment = client.get_experiment(run.info.experiment_id)
    page = model_page.describe(first.card)
    assert version.description.startswith(f"# {first.card.name}")
    assert run.data.tags["mlflow.note.content"] == page[:5000]
    assert experiment.tags["mlflow.experimentKind"] == "custom_model_development"
    last = str(first.card.trained_through)
    told = {"frequency": "1d", "verdict": model_page.verdict(first.card), "data_last": last}
    assert told.items() <= version.tags.items()
    assert told.items() <= run.data.tags.items()
    assert run.data.tags["version"] == f"{first.card.name} {first.card.version}"


def test_no_tag_says_what_a_version_is_served_as(registry: MlflowRegistry, bundle: Bundle) -> None:
    """A rollback reaches no registry, so that a tag would go on naming the version that is no longer served."""
    one, other = (registry.register(bundle, RunRecord()).card for _ in range(2))
    registry.set_alias(one.name, "champion", one.version)
    registry.set_alias(one.name, "champion", other.version)
    for made in (one, other):
        assert set(client_of(registry).get_model_version(one.name, made.version).tags) == {
            "frequency",
            "verdict",
            "data_last",
        }


def test_the_run_keeps_losses_by_epoch(registry: MlflowRegistry, first: Bundle) -> None:

    bars = client_of(registry).get_metric_history(first.card.run_id, "seed_1/val_z_loss")
    assert [(metric.step, metric.value) for metric in bars] == [(1, 0.5), (2, 0.4), (3, 0.3)]


def test_the_run_names_the_data_of_its_training(registry: MlflowRegistry, first: Bundle) -> None:

    run = client_of(registry).get_run(first.card.run_id)
    tags = {name: value for name, value in run.data.tags.items() if name.startswith("data.training.")}
    assert tags == {
        "data.training.source": "sample",
        "data.training.sha256": "ab" * 32,
        "data.training.first": "2000-03-01",
        "data.training.last": "2010-12-31",
        "data.training.symbols": "2",
        "data.training.rows": "5400",
    }
    (used,) = run.inputs.dataset_inputs
    assert used.tags[0].value == "training"
    assert (used.dataset.name, used.dataset.digest) == ("sample", ("ab" * 32)[:36])
    assert json.loads(used.dataset.profile)["rows"] == 5400


def test_the_run_names_its_code_and_its_libraries(registry: MlflowRegistry, first: Bundle) -> None:
    import numpy as np

    run = client_of(registry).get_run(first.card.run_id)
    assert run.data.tags["tickercast"] == __version__
    assert run.data.tags["numpy"] == np.__version__
    assert run.data.tags["python"] == platform.python_version()
    listed = artifact(first.card.run_id, "environment.txt").decode()
    assert f"\nnumpy=={np.__version__}\n" in listed


def test_a_model_trained_elsewhere_names_no_library_of_this_machine(registry: MlflowRegistry, bundle: Bundle) -> None:

    made = registry.register(bundle, RunRecord(trained_here=False))
    assert "numpy" not in client_of(registry).get_run(made.card.run_id).data.tags
    files = {each.path for each in client_of(registry).list_artifacts(made.card.run_id)}
    assert "environment.txt" not in files
    assert "model.json" in files


def test_the_commit_is_that_of_the_checkout_and_absent_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org"]
    (tmp_path / "file").write_text("one")
    monkeypatch.setattr(provenance, "_CHECKOUT", tmp_path)
    assert provenance._commit.__wrapped__() == {}
    for words in (["init", "--quiet"], ["add", "file"], ["commit", "--quiet", "--message", "one"]):
        subprocess.run([*git, *words], cwd=tmp_path, check=True)
    clean = provenance._commit.__wrapped__()
    assert len(clean["mlflow.source.git.commit"]) == 40
    assert clean["mlflow.source.git.dirty"] == "false"
    (tmp_path / "file").write_text("two")
    assert provenance._commit.__wrapped__()["mlflow.source.git.dirty"] == "true"
    monkeypatch.setenv("PATH", "")
    assert provenance._commit.__wrapped__() == {}


def test_the_keras_network_is_kept_with_its_signature_and_nothing_is_pickled(
    registry: MlflowRegistry, bundle: Bundle, first: Bundle
) -> None:
    import mlflow
    import numpy as np

    models = models_of(registry, first.card.run_id)
    assert set(models) == {"tickercast-lstm", "tickercast-lstm-keras"}
    uri = f"models:/{models['tickercast-lstm-keras']}"
    assert [spec.name for spec in mlflow.models.get_model_info(uri).signature.inputs] == ["steps", "statics"]
    card, random = bundle.card, np.random.default_rng(0)
    steps = random.normal(size=(3, card.window, len(card.features))).astype(np.float32)
    statics = random.normal(size=(3, len(card.statics))).astype(np.float32)
    assert mlflow.keras.load_model(uri)([steps, statics]).shape == (3, card.horizon, len(card.quantiles))
    kept = model_files(registry, models["tickercast-lstm-keras"])
    assert "model.keras" in kept
    assert not {name for name in kept if "pickle" in name or name.endswith((".pkl", ".joblib"))}


def test_a_study_is_a_run_with_its_trials_nested_in_it(registry: MlflowRegistry) -> None:
    with registry.study("recipe-a", RunRecord({"seeds": "1,2"}, datasets={"training": DATA})) as log:
        log.trial(0, RunRecord({"units": 32}, {"validation_sp": 0.5}, {"seed_1/loss": [0.7, 0.6]}), pruned=False)
        log.trial(1, RunRecord({"units": 8}, curves={"seed_1/loss": [0.9]}), pruned=True)
        log.result(RunRecord(metrics={"validation_sp": 0.5}, artifacts={"recipe.json": b"{}"}))
    parent, (complete, pruned) = runs(registry, "recipe-a")
    assert parent.info.status == "FINISHED"
    assert parent.data.params == {"seeds": "1,2"}
    assert parent.data.metrics == {"validation_sp": 0.5}
    assert (complete.info.run_name, complete.info.status, complete.data.tags["state"]) == (
        "trial 0",
        "FINISHED",
        "complete",
    )
    assert complete.data.params == {"units": "32"}
    assert complete.data.metrics == {"validation_sp": 0.5, "seed_1/loss": 0.6}
    assert (pruned.info.run_name, pruned.info.status, pruned.data.tags["state"]) == ("trial 1", "KILLED", "pruned")
    assert "validation_sp" not in pruned.data.metrics


def test_a_resumed_study_has_one_run(registry: MlflowRegistry) -> None:
    def begin(number: int) -> None:
        with registry.study("recipe-b", RunRecord({"seeds": "1,2"})) as log:
            log.trial(number, RunRecord(), pruned=False)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        begin(0)
    assert runs(registry, "recipe-b")[0].info.status == "KILLED"
    with pytest.raises(KeyboardInterrupt):
        begin(1)
    assert [run.info.run_name for run in runs(registry, "recipe-b")[1]] == ["trial 0", "trial 1"]
    with registry.study("recipe-b", RunRecord({"seeds": "1,2"})):
        assert runs(registry, "recipe-b")[0].info.status == "RUNNING"
    assert runs(registry, "recipe-b")[0].info.status == "FINISHED"


def runs(registry: MlflowRegistry, study: str) -> tuple[Any, list[Any]]:
    """The run of a study, and those nested in it by name."""

    client = client_of(registry)
    experiment = client.get_experiment_by_name("tickercast").experiment_id
    (parent,) = client.search_runs([experiment], f"tags.`tickercast.study` = '{study}'")
    nested = client.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'")
    return parent, sorted(nested, key=lambda run: run.info.run_name)


def test_the_registered_model_is_the_network_with_its_signature(registry: MlflowRegistry, first: Bundle) -> None:
    import mlflow

    model = mlflow.models.get_model_info(f"models:/{first.card.name}/1")
    assert [spec.name for spec in model.signature.inputs] == ["steps", "statics"]
    assert "model.onnx" in model_files(registry, models_of(registry, first.card.run_id)[first.card.name])


def test_an_unused_alias_is_none(registry: MlflowRegistry) -> None:
    assert registry.aliased("unheard-of", "champion") is None


def test_a_version_that_does_not_exist_cannot_become_champion(registry: MlflowRegistry, first: Bundle) -> None:
    with pytest.raises(BundleError, match="Name a registered version"):
        registry.set_alias(first.card.name, "champion", "99")


def test_what_is_not_onnx_is_refused(registry: MlflowRegistry, bundle: Bundle) -> None:
    garbage = b"not a network"
    card = bundle.card.model_copy(update={"sha256": sha256(garbage).hexdigest(), "trained_through": date(2010, 1, 1)})
    with pytest.raises(BundleError, match="not ONNX"):
        registry.register(Bundle(garbage, card, bundle.reference), RunRecord())


def test_registering_prints_nothing(
    registry: MlflowRegistry, bundle: Bundle, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        registry.register(bundle, RunRecord())
    assert capfd.readouterr() == ("", "")
    assert caplog.text == ""


@pytest.mark.parametrize("url", ["mlruns", "file:///mlruns", "sqlite:///"])
def test_a_url_that_is_no_registry_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="MLFLOW_TRACKING_URI"):
        MlflowRegistry(url)


def test_a_version_is_read_back_to_the_byte(registry: MlflowRegistry, first: Bundle) -> None:
    assert registry.bundle(first.card.name, first.card.version) == first


def test_versions_are_listed_newest_first_with_their_aliases(registry: MlflowRegistry, first: Bundle) -> None:
    listed = registry.versions(first.card.name)
    numbers = [int(version.card.version) for version in listed]
    assert numbers == sorted(numbers, reverse=True)
    assert listed[-1].card == first.card
    assert "challenger" in listed[0].aliases
    assert registry.versions("unheard-of") == []


def test_an_unregistered_version_is_a_sentence(registry: MlflowRegistry, first: Bundle) -> None:
    with pytest.raises(BundleError, match="Name a registered version"):
        registry.bundle(first.card.name, "99")


def test_a_version_is_whole_as_soon_as_there_is_one(
    registry: MlflowRegistry, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What ends a registration right after MLflow made the version, such as SIGKILL, leaves one that can be read."""
    named = replace(bundle, card=bundle.card.model_copy(update={"name": "cut-short"}))
    client = type(client_of(registry))
    create = client.create_model_version

    def cut(*arguments: Any, **options: Any) -> None:
        create(*arguments, **options)
        raise KeyboardInterrupt

    monkeypatch.setattr(client, "create_model_version", cut)
    with pytest.raises(KeyboardInterrupt):
        registry.register(named, RunRecord())
    [left] = registry.versions("cut-short")
    assert (left.card.version, left.aliases) == ("1", ())
    assert registry.bundle("cut-short", "1") == named.registered(version="1", run_id=left.card.run_id)
    assert client_of(registry).get_run(left.card.run_id).info.status == "FINISHED"


def test_a_version_that_cannot_take_its_alias_is_registered_and_the_log_says_so(
    registry: MlflowRegistry, bundle: Bundle, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from requests import ConnectionError as Unreachable

    def unreachable(*_: Any) -> None:
        raise Unreachable("nobody answered")

    named = replace(bundle, card=bundle.card.model_copy(update={"name": "without-an-alias"}))
    monkeypatch.setattr(type(client_of(registry)), "set_registered_model_alias", unreachable)
    made = registry.register(named, RunRecord())
    assert registry.bundle("without-an-alias", "1") == made
    assert "without-an-alias 1 is registered, and may lack the alias challenger" in caplog.text


def remove(registry: MlflowRegistry, run_id: str, name: str) -> None:
    """Remove a file of a run, as somebody who tidies up would."""
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    uri = client_of(registry).get_run(run_id).info.artifact_uri
    if isinstance(registry, BucketRegistry):
        store, stored = registry._store, f"{uri.removeprefix('bucket://')}/{name}"
        store.delete(stored, generation=store.generation(stored))
    else:
        get_artifact_repository(uri).delete_artifacts(name)


def test_a_version_whose_files_are_damaged_is_a_sentence_and_the_others_are_listed(
    registry: MlflowRegistry, bundle: Bundle, tmp_path: Path
) -> None:
    named = replace(bundle, card=bundle.card.model_copy(update={"name": "damaged"}))
    one, two = (registry.register(named, RunRecord()) for _ in range(2))
    remedy = rf"Restore the artifacts of its run {one.card.run_id} in MLflow at .*, or train again\.$"
    (tmp_path / "model.onnx").write_bytes(bundle.onnx[:20_000])
    client_of(registry).log_artifact(one.card.run_id, str(tmp_path / "model.onnx"))
    with pytest.raises(BundleError, match=rf"^The ONNX file of damaged 1 has sha256 .*: .* {remedy}"):
        registry.bundle("damaged", "1")
    remove(registry, one.card.run_id, "model.onnx")
    with pytest.raises(BundleError, match=rf"^damaged 1 has no model.onnx any more, .*{remedy}"):
        registry.bundle("damaged", "1")
    remove(registry, one.card.run_id, "model.json")
    told: dict[str, str] = {}
    listed = registry.versions("damaged", on_failure=lambda version, why: told.update({version: str(why)}))
    assert [version.card for version in listed] == [two.card]
    assert list(told) == ["1"]
    assert re.search(rf"^damaged 1 has no model.json any more, .*{remedy}", told["1"])
    assert registry.bundle("damaged", "2") == two


def test_a_server_without_its_database_and_files_is_refused_with_a_sentence() -> None:
    words = ["make", "-C", str(Path(__file__).parents[2]), "-o", "setup-dev", "mlflow-server"]
    done = subprocess.run(words, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "MLFLOW_ARTIFACTS_DESTINATION (gs://BUCKET/FOLDER) were needed" in done.stderr


def test_numbers_that_are_left_out_are_given_to_no_version(registry: MlflowRegistry, bundle: Bundle) -> None:
    named = replace(bundle, card=bundle.card.model_copy(update={"name": "left-out"}))
    assert registry.newest("left-out") == 0
    with registry.alone():
        registry.number_after("left-out", 3)
    assert registry.newest("left-out") == 3
    assert registry.aliased("left-out", "challenger") is None
    assert [registry.register(named, RunRecord()).card.version for _ in range(2)] == ["4", "5"]
    assert [found.card.version for found in registry.versions("left-out")] == ["5", "4"]
    assert registry.newest("left-out") == 5
    with pytest.raises(BundleError):
        registry.bundle("left-out", "3")
