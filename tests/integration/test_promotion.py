"""From a registered challenger to what is served, with the real registry and store."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
from tests.support.trading import shipped_bundle
from typer.testing import CliRunner

from tickercast import config, engines
from tickercast.app import App
from tickercast.backends.object_store.local import LocalObjectStore
from tickercast.backends.registry.mlflow import MlflowRegistry
from tickercast.cli import app as cli
from tickercast.domain.cards.model_card import CHALLENGER_ALIAS, CHAMPION_ALIAS, MODEL, Bundle, Pointer
from tickercast.domain.measures.evaluation import loss_ratio
from tickercast.domain.measures.promotion import Decision, Evidence
from tickercast.errors import BundleError, Permanent, PreconditionFailed, UsageError
from tickercast.jobs.champion.promote import Comparison, compare, promote, publish
from tickercast.jobs.daily.retrain import Contest
from tickercast.jobs.training.seed import follow, seed
from tickercast.model_store import ModelStore
from tickercast.models import catalogue
from tickercast.ports import ModelRegistry, RunRecord
from tickercast.show.day import task_line

if TYPE_CHECKING:
    from mlflow import MlflowClient

pytest.importorskip("mlflow")
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")

NOW = datetime(2013, 3, 1, tzinfo=UTC)
SYMBOLS = ["AAPL", "GOOG", "IBM", "MSFT"]
FIRST, LAST = date(2011, 1, 3), date(2013, 2, 28)
UNSEEN = date(2010, 12, 31)
"""When the training of these tests' versions is said to end, so that the sample's last years can compare them."""


@pytest.fixture
def registry(workspace: Path) -> ModelRegistry:
    made = App().registry
    made.register(shipped(version="", run_id=""), RunRecord(trained_here=False))
    made.set_alias(MODEL, CHAMPION_ALIAS, "1")
    return made


@pytest.fixture
def models(workspace: Path) -> ModelStore:
    made = ModelStore(LocalObjectStore(workspace / "bucket"), config.resource("shipped"))
    bundle = shipped()
    made.write(bundle)
    made.point(Pointer(name=bundle.card.name, version=bundle.card.version))
    return made


@pytest.fixture
def challenge(registry: ModelRegistry, models: ModelStore) -> Callable[..., Decision]:
    def run(
        bundle: Bundle, first: date = FIRST, on_progress: Callable[[int, int], object] = lambda done, total: None
    ) -> Decision:
        return promote(
            bundle,
            models.champion(),
            engines.market_data("sample"),
            SYMBOLS,
            first,
            LAST,
            load=catalogue.load_bundle,
            baselines=catalogue.promotion_baselines,
            models=models,
            registry=registry,
            on_progress=on_progress,  # type: ignore[arg-type]
        )

    return run


def compared(
    challenger: Bundle,
    champion: Bundle,
    symbols: Sequence[str],
    on_failure: Callable[[str, Permanent], None] = lambda symbol, reason: None,
) -> Comparison:
    return compare(
        challenger,
        champion,
        engines.market_data("sample"),
        symbols,
        FIRST,
        LAST,
        load=catalogue.load_bundle,
        baselines=catalogue.promotion_baselines,
        on_failure=on_failure,
    )


def shipped(**changes: object) -> Bundle:
    """The shipped network with another card."""
    bundle = shipped_bundle()
    return replace(bundle, card=bundle.card.model_copy(update={"trained_through": UNSEEN, **changes}))


def registered(registry: ModelRegistry, **changes: object) -> Bundle:
    """A further version."""
    changed = shipped(**{"version": "", "run_id": "", **changes})
    return registry.register(changed, RunRecord())


def mlflow_client(workspace: Path) -> "MlflowClient":
    """MLflow's own client of the registry; it keeps a connection for each spelling of a URI."""
    import mlflow

    (workspace / ".tickercast").mkdir(exist_ok=True)
    url = f"sqlite:///{workspace}/.tickercast/mlflow.db"
    return mlflow.MlflowClient(url, url)


def test_an_empty_registry_begins_with_the_shipped_champion(workspace: Path) -> None:
    app = App()
    for _ in range(2):
        seed(app.registry, app.models)
    [first] = app.registry.versions(MODEL)
    assert first.card.sha256 == shipped_bundle().card.sha256
    assert "champion" in first.aliases


@pytest.mark.parametrize(
    ("job", "champion", "others"),
    [
        ("train_hourly", "har-season", ["tickercast-lstm-1h", "tickercast-plain-1h", "ewma-season"]),
        ("train_direction", "xgb-direction", []),
    ],
)
def test_a_training_of_hourly_models_numbers_on_from_the_shipped_ones(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, job: str, champion: str, others: list[str]
) -> None:
    app, trained = App(), list[Bundle]()

    def train(*_: object, registry: ModelRegistry, **__: object) -> None:
        trained[:] = [registry.register(registry.bundle(name, "1"), RunRecord()) for name in (champion, *others)]

    monkeypatch.setattr(f"tickercast.jobs.training.{job}.{job}", train)
    more = {"trials": 0} if job == "train_direction" else {}
    getattr(app, job)(["BTCUSDT"], date(2022, 12, 31), source="simulated", **more)
    assert [bundle.card.version for bundle in trained] == ["2"] * len(trained)
    store = app.direction_store if job == "train_direction" else app.hourly_store
    for name in (champion, *others):
        _, first = app.registry.versions(name)
        assert first.card.model_copy(update={"run_id": ""}) == store.shipped_bundle(name, "1").card.model_copy(
            update={"run_id": ""}
        )
        assert first.aliases == (("champion",) if name == champion else ())


def test_models_that_are_to_be_shipped_get_the_first_number(workspace: Path) -> None:
    app = App()
    store = app.hourly_store
    (workspace / "models").mkdir()
    seed(app.registry, ModelStore(store.store, workspace, store.frequency))
    assert not app.registry.versions("har-season")


def test_a_registry_that_was_seeded_by_half_gets_the_alias(workspace: Path) -> None:
    app = App()
    made = app.registry.register(app.models.shipped, RunRecord())
    assert app.registry.aliased(MODEL, CHAMPION_ALIAS) is None
    seed(app.registry, app.models)
    assert [found.card for found in app.registry.versions(MODEL)] == [made.card]
    assert app.registry.aliased(MODEL, CHAMPION_ALIAS) == "1"


def test_a_version_that_was_never_finished_is_told_and_has_taken_its_number(workspace: Path) -> None:
    """A release that made the version before its files left such ones where a registration was killed."""
    app, told, client = App(), dict[str, str](), mlflow_client(workspace)
    run = client.create_run("0").info.run_id
    client.create_registered_model(MODEL)
    client.create_model_version(MODEL, f"runs:/{run}/model.json", run)
    seed(app.registry, app.models)
    versions = app.registry.versions(MODEL, on_failure=lambda version, why: told.update({version: str(why)}))
    assert versions == []
    assert told == {
        "1": f"{MODEL} 1 was never finished: its run {run} in MLflow at {app.registry.url} ended before it had a "
        "model.json. Train again, and delete that version in MLflow."
    }


def test_the_alias_follows_the_pointer_even_where_a_served_version_was_deleted(
    workspace: Path, registry: ModelRegistry, models: ModelStore
) -> None:
    second = registered(registry)
    publish(second, models=models, registry=registry, load=catalogue.load_bundle)
    mlflow_client(workspace).delete_model_version(MODEL, "2")
    follow(registry, models)
    assert registry.aliased(MODEL, CHAMPION_ALIAS) is None
    models.rollback(now=NOW)
    follow(registry, models)
    assert registry.aliased(MODEL, CHAMPION_ALIAS) == "1"


@pytest.fixture
def replaced(registry: ModelRegistry, models: ModelStore, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> App:
    """An application with an empty registry, where versions 1 to 3 are published and 3 is served."""
    for calibration in (1.1, 1.2):
        made = registered(registry, calibration=calibration)
        publish(made, models=models, registry=registry, load=catalogue.load_bundle)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{workspace}/another/mlflow.db")
    monkeypatch.setenv("TICKERCAST_BUCKET", models.url)
    return App()


def test_a_registry_that_was_replaced_numbers_on_from_the_published_versions(replaced: App) -> None:
    for _ in range(2):
        seed(replaced.registry, replaced.models)
        follow(replaced.registry, replaced.models)
    assert replaced.registry.versions(MODEL) == []
    assert replaced.registry.aliased(MODEL, CHAMPION_ALIAS) is None
    made = [registered(replaced.registry).card.version for _ in range(2)]
    assert made == ["4", "5"]
    replaced.publish("4")
    assert replaced.models.pointer().version == replaced.registry.aliased(MODEL, CHAMPION_ALIAS) == "4"
    seed(replaced.registry, replaced.models)
    assert registered(replaced.registry).card.version == "6"


def test_an_older_copy_of_the_registry_numbers_on_from_the_published_versions(replaced: App) -> None:
    old = registered(replaced.registry)
    seed(replaced.registry, replaced.models)
    assert replaced.registry.aliased(MODEL, CHAMPION_ALIAS) is None, "it does not hold what is served"
    assert registered(replaced.registry).card.version == "4"
    assert replaced.registered_models()[3] == []
    assert replaced.registry.bundle(MODEL, "1").card == old.card


def test_another_network_under_a_published_number_is_neither_named_as_served_nor_compared(replaced: App) -> None:
    """Release 0.2.0 gave these numbers twice."""
    for _ in range(3):
        other = registered(replaced.registry, calibration=1.3)
    follow(replaced.registry, replaced.models)
    assert replaced.registry.aliased(MODEL, CHAMPION_ALIAS) is None
    _, pointer, published, others = replaced.registered_models()
    assert (pointer.version, published, others) == ("3", ["1", "2", "3"], ["3", "2", "1"])
    said = (
        rf"models/{MODEL}/3 in .* exists with other content, .* Train again: the new version gets a number of its own\."
    )
    with pytest.raises(BundleError, match=said):
        replaced.promote(FIRST, LAST, source="sample", version=other.card.version)
    with pytest.raises(BundleError, match=said):
        replaced.publish("3")


def test_what_another_first_training_has_registered_meanwhile_is_not_registered_again(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app, alone = App(), MlflowRegistry.alone

    @contextmanager
    def faster(registry: MlflowRegistry) -> Iterator[None]:
        App().registry.register(app.models.shipped, RunRecord())
        with alone(registry):
            yield

    monkeypatch.setattr(MlflowRegistry, "alone", faster)
    seed(app.registry, app.models)
    assert [version.card.version for version in app.registry.versions(MODEL)] == ["1"]


def test_a_bad_challenger_is_refused_and_a_good_one_promoted_and_rolled_back(
    registry: ModelRegistry, models: ModelStore, challenge: Callable[..., Decision]
) -> None:
    bad, good = registered(registry, calibration=2.5), registered(registry)
    refused = challenge(bad)
    assert not refused.promote
    assert models.champion().card.version == "1"
    publish(bad, models=models, registry=registry, load=catalogue.load_bundle)
    won = challenge(good)
    assert won.promote, won.reason
    assert models.champion().card.version == good.card.version == "3"
    assert models.pointer().shadow == "2", "a promotion by hand has a probation, too"
    ended = publish(bad, models=models, registry=registry, load=catalogue.load_bundle)
    assert (ended.version, ended.shadow, models.pointer().shadow) == ("3", "2", "")
    publish(good, models=models, registry=registry, load=catalogue.load_bundle)
    assert registry.aliased(MODEL, CHAMPION_ALIAS) == "3"
    assert models.versions(MODEL) == ["1", "2", "3"]
    assert models.rollback(now=NOW).card.version == "2"
    assert models.rollback("1", now=NOW).card.version == models.champion().card.version == "1"


def test_a_demotion_keeps_what_the_backtest_found_of_the_baseline(
    registry: ModelRegistry, models: ModelStore, challenge: Callable[..., Decision]
) -> None:
    wide, wider = (registered(registry, calibration=factor, adapts=False) for factor in (4.0, 5.0))
    publish(wide, models=models, registry=registry, load=catalogue.load_bundle)
    demoted = challenge(wider)
    assert demoted.action == "demoted", demoted.reason
    comparison = compared(wider, wide, SYMBOLS)
    pointer, tables = models.pointer(), comparison.tables
    assert pointer.baseline == comparison.evidence.baseline
    assert pointer.baseline_ratio == loss_ratio(tables[pointer.baseline], tables["random-walk"], "sp")[0]


def test_a_network_that_answers_no_numbers_is_not_published(registry: ModelRegistry, models: ModelStore) -> None:
    damaged = registry.register(with_nan(shipped(version="", run_id="")), RunRecord())
    with pytest.raises(BundleError, match=rf"{MODEL} 2 gave quantiles that are not finite, .* So it is not served\."):
        publish(damaged, models=models, registry=registry, load=catalogue.load_bundle)
    assert models.versions(MODEL) == ["1"]
    assert registry.aliased(MODEL, CHAMPION_ALIAS) == models.champion().card.version == "1"


def with_nan(bundle: Bundle) -> Bundle:
    """The same bundle with a NaN among the weights of its network."""
    network = onnx.load_model_from_string(bundle.onnx)
    weights = next(one for one in network.graph.initializer if one.data_type == onnx.TensorProto.FLOAT and one.dims)
    values = onnx.numpy_helper.to_array(weights).copy()
    values.flat[0] = np.nan
    weights.CopyFrom(onnx.numpy_helper.from_array(values, weights.name))
    content = network.SerializeToString()
    return Bundle(
        content, bundle.card.model_copy(update={"sha256": hashlib.sha256(content).hexdigest()}), bundle.reference
    )


def test_symbols_that_are_left_out_are_told_and_the_first_reason_is_raised_where_all_are() -> None:
    told: dict[str, str] = {}

    def run(*symbols: str) -> None:
        compared(shipped(), shipped(), symbols, on_failure=lambda symbol, reason: told.update({symbol: str(reason)}))

    run("AAPL", "FB", "NOPE")
    assert set(told) == {"FB", "NOPE"}
    assert "The sample does not hold NOPE: it has AAPL" in told["NOPE"]
    told.clear()
    with pytest.raises(Permanent, match="The sample does not hold NO: it has AAPL"):
        run("NO", "NEVER")
    assert list(told) == ["NEVER"]


def test_the_command_says_who_is_left_out(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def kept(*_: object, on_failure: Callable[[str, Permanent], None], **__: object) -> tuple[Decision, Bundle]:
        on_failure("NOPE", UsageError("The sample does not hold NOPE."))
        return Decision("kept", "not shown to be better"), shipped_bundle()

    monkeypatch.setattr(App, "promote", kept)
    words = ["promote", "--source", "sample", "--from", "2011-06-01", "--to", "2013-02-15"]
    done = CliRunner().invoke(cli, words)
    assert done.stderr == "NOPE: The sample does not hold NOPE.\n"
    assert done.stdout.startswith("kept what is served: version ")


@pytest.fixture
def served(workspace: Path) -> ModelStore:
    """The models of the commands' own bucket, in which version 1 is served."""
    made = App().models
    made.write(made.shipped)
    made.point(Pointer(name=MODEL, version="1"))
    return made


@pytest.mark.usefixtures("served")
def test_publishing_says_that_a_probation_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    before = Pointer(name=MODEL, version="2").pointing("2", shadow="1")
    monkeypatch.setattr(App, "publish", lambda *_: before)
    done = CliRunner().invoke(cli, ["publish", "--version", "3"])
    assert done.exit_code == 0, done.output
    assert "the probation of version 2 has ended, and version 1 is no longer its shadow\n" in done.stdout
    assert "the next daily run learns how wide its intervals have to be" in done.stdout


def test_promoting_says_that_a_probation_begins(served: ModelStore, monkeypatch: pytest.MonkeyPatch) -> None:
    served.point(served.pointer().pointing("1", shadow="2"))
    monkeypatch.setattr(App, "promote", lambda *_, **__: (Decision("promoted", "better"), shipped_bundle()))
    words = ["promote", "--source", "sample", "--from", "2011-06-01", "--to", "2013-02-15"]
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("promoted: version 1 is better\nit is on probation: version 2 goes on forecasting")


def test_the_task_says_what_the_challenger_is_compared_with() -> None:
    def said(comparison: Comparison | None) -> str:
        return task_line("evaluate_challenger", Contest(shipped_bundle(), comparison), 1.0)

    same = (1.0, 0.99, 1.01)
    beside_baseline = Evidence(100, same, same, 0.8, 0, "ewma-t", same)
    beside_champion = Evidence(100, same, same, 0.8, 0, "ewma-t", same, champion_vs_baseline=same)
    assert "version 1 is compared with ewma-t " in said(Comparison(beside_baseline, {}))
    assert "version 1 is compared with the champion " in said(Comparison(beside_champion, {}))
    assert "version 1 cannot be compared: no session is unseen by it and the champion " in said(None)


def test_what_came_to_be_served_during_the_comparison_is_not_replaced(
    registry: ModelRegistry, models: ModelStore, challenge: Callable[..., Decision]
) -> None:
    good, other = registered(registry), registered(registry, calibration=2.5)
    publish(other, models=models, registry=registry, load=catalogue.load_bundle)
    with pytest.raises(PreconditionFailed, match="decide again"):
        challenge(good, on_progress=lambda done, total: done == total and models.rollback("1", now=NOW))
    assert models.champion().card.version == "1"
    assert registry.aliased(MODEL, CHAMPION_ALIAS) == other.card.version


def test_dates_that_a_model_has_seen_are_refused(registry: ModelRegistry, challenge: Callable[..., Decision]) -> None:
    fresher = registered(registry, trained_through=date(2012, 12, 31))
    with pytest.raises(UsageError, match=r"challenger was trained through 2012-12-31.*--from"):
        challenge(fresher)


def test_the_version_registered_last_is_the_challenger_even_without_the_alias(
    registry: ModelRegistry, models: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A training that was killed after it made its version leaves that without the alias."""
    registered(registry)
    fresher = registered(registry, trained_through=date(2012, 12, 31))
    registry.set_alias(MODEL, CHALLENGER_ALIAS, "2")
    monkeypatch.setenv("TICKERCAST_BUCKET", models.url)
    with pytest.raises(UsageError, match=f"challenger was trained through {fresher.card.trained_through}"):
        App().promote(FIRST, LAST, source="sample")


def test_what_is_served_is_no_challenger(challenge: Callable[..., Decision], models: ModelStore) -> None:
    with pytest.raises(UsageError, match="served already"):
        challenge(models.champion())


def test_a_damaged_version_is_not_rolled_back_to_and_the_champion_stays(
    registry: ModelRegistry, models: ModelStore
) -> None:
    publish(registered(registry), models=models, registry=registry, load=catalogue.load_bundle)
    models.store.write(f"models/{MODEL}/1/model.onnx", b"truncated")
    with pytest.raises(BundleError, match="sha256"):
        models.rollback(now=NOW)
    assert models.champion().card.version == "2"


@pytest.mark.parametrize("to", [None, "7", "one"])
def test_a_version_that_was_never_published_is_a_sentence(models: ModelStore, to: str | None) -> None:
    with pytest.raises(UsageError, match="of which 1 is served"):
        models.rollback(to, now=NOW)


def test_publishing_a_version_again_changes_nothing_and_another_under_its_number_is_refused(
    registry: ModelRegistry, models: ModelStore
) -> None:
    publish(shipped(), models=models, registry=registry, load=catalogue.load_bundle)
    assert models.versions(MODEL) == ["1"]
    other = replace(models.champion(), card=models.champion().card.model_copy(update={"calibration": 1.5}))
    with pytest.raises(BundleError, match="never change"):
        models.write(other)
