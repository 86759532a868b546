"""A registry numbers versions, keeps what belongs to them, and moves aliases."""

import json
import logging
from datetime import date
from hashlib import sha256
from pathlib import Path

import pytest

from tickercast.backends.registry_mlflow import MlflowRegistry
from tickercast.domain import features
from tickercast.domain.bundle import Bundle, read_bundle
from tickercast.errors import BundleError, UsageError

pytest.importorskip("mlflow")
pytest.importorskip("onnx")

SHIPPED = Path(features.__file__).parents[1] / "shipped/models/tickercast-lstm/1"

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> MlflowRegistry:
    return MlflowRegistry(f"sqlite:///{tmp_path_factory.mktemp('registry')}/new/mlflow.db")


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    whole = read_bundle((SHIPPED / "model.onnx").read_bytes(), (SHIPPED / "model.json").read_bytes())
    return whole.registered(version="", run_id="")


@pytest.fixture(scope="module")
def first(registry: MlflowRegistry, bundle: Bundle) -> Bundle:
    return registry.register(bundle, parameters={"seeds": "1,2"}, artifacts={"MODEL_CARD.md": b"# a card\n"})


def folder(registry: MlflowRegistry) -> Path:
    return Path(registry.url.removeprefix("sqlite:///")).parent


def test_the_first_version_is_one_and_the_network_is_unchanged(first: Bundle, bundle: Bundle) -> None:
    assert first.card.version == "1"
    assert first.card.run_id
    assert first.onnx == bundle.onnx


def test_the_next_version_takes_the_alias_challenger_and_leaves_the_champion(
    registry: MlflowRegistry, bundle: Bundle, first: Bundle
) -> None:
    registry.set_alias(first.card.name, "champion", first.card.version)
    second = registry.register(bundle, parameters={}, artifacts={})
    assert second.card.version == "2"
    assert registry.aliased(bundle.card.name, "challenger") == "2"
    assert registry.aliased(bundle.card.name, "champion") == "1"


def test_the_run_keeps_parameters_metrics_and_files(registry: MlflowRegistry, first: Bundle) -> None:
    import mlflow

    run = mlflow.MlflowClient(registry.url).get_run(first.card.run_id)
    assert run.data.params["seeds"] == "1,2"
    assert run.data.metrics == pytest.approx(first.card.metrics)
    stored = next(folder(registry).glob(f"mlartifacts/{first.card.run_id}/artifacts/model.json"))
    assert json.loads(stored.read_text())["run_id"] == first.card.run_id
    assert (stored.parent / "MODEL_CARD.md").read_bytes() == b"# a card\n"


def test_the_registered_model_is_the_network_with_its_signature(registry: MlflowRegistry, first: Bundle) -> None:
    import mlflow

    model = mlflow.models.get_model_info(f"models:/{first.card.name}/1")
    assert [spec.name for spec in model.signature.inputs] == ["steps", "statics"]
    assert list(folder(registry).glob("mlartifacts/models/*/artifacts/model.onnx"))


def test_an_alias_that_nobody_has_is_none(registry: MlflowRegistry) -> None:
    assert registry.aliased("unheard-of", "champion") is None


def test_a_version_that_does_not_exist_cannot_become_champion(registry: MlflowRegistry, first: Bundle) -> None:
    with pytest.raises(BundleError, match="Name a registered version"):
        registry.set_alias(first.card.name, "champion", "99")


def test_what_is_not_onnx_is_refused(registry: MlflowRegistry, bundle: Bundle) -> None:
    garbage = b"not a network"
    card = bundle.card.model_copy(update={"sha256": sha256(garbage).hexdigest(), "trained_through": date(2010, 1, 1)})
    with pytest.raises(BundleError, match="not ONNX"):
        registry.register(Bundle(garbage, card), parameters={}, artifacts={})


def test_registering_says_nothing(
    registry: MlflowRegistry, bundle: Bundle, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        registry.register(bundle, parameters={}, artifacts={})
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


def test_a_version_that_was_never_registered_is_a_sentence(registry: MlflowRegistry, first: Bundle) -> None:
    with pytest.raises(BundleError, match="Name a registered version"):
        registry.bundle(first.card.name, "99")
