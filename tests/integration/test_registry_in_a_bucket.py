"""The registry in a bucket: killed holders, lost leases and lost writes leave it whole."""

import functools
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tickercast import engines
from tickercast.backends.object_store.local import LocalObjectStore
from tickercast.config import Settings
from tickercast.domain.cards.model_card import MODEL, Bundle, read_bundle
from tickercast.domain.learning import features
from tickercast.errors import LeaseHeld, StoreUnavailable, UsageError
from tickercast.jobs.daily import lease as leases
from tickercast.ports import RunRecord

pytest.importorskip("mlflow")
pytest.importorskip("onnx")

from tickercast.backends.registry.bucket import BucketRegistry

SHIPPED = Path(features.__file__).parents[2] / "shipped/models/tickercast-lstm/1"
NAME = "registry/mlflow.db"

pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    network, card, reference = (
        (SHIPPED / name).read_bytes() for name in ("model.onnx", "model.json", "reference.json")
    )
    return read_bundle(card, lambda: network, lambda: reference, remedy="").registered(version="", run_id="")


@contextmanager
def free() -> Iterator[None]:
    yield


def opened(folder: Path) -> BucketRegistry:
    made = engines.model_registry(Settings(bucket=f"file://{folder}", MLFLOW_TRACKING_URI=f"bucket://{NAME}"))
    assert isinstance(made, BucketRegistry)
    return made


def in_another_process(work: Callable[[], None]) -> int:
    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    process.join(120)
    return process.exitcode or 0


def numbers(registry: BucketRegistry) -> list[str]:
    return [found.card.version for found in registry.versions(MODEL)]


def killed_around_the_write(folder: Path, bundle: Bundle, when: str) -> None:
    """Register, and be killed before or after the registry's own write."""
    written = LocalObjectStore.write

    def write(self: LocalObjectStore, name: str, data: bytes, **options: object) -> int:
        if name == NAME and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        made = written(self, name, data, **options)
        if name == NAME:
            os.kill(os.getpid(), signal.SIGKILL)
        return made

    LocalObjectStore.write = write
    opened(folder).register(bundle, RunRecord())


def test_another_machine_finds_what_was_registered_and_no_lock_is_left(tmp_path: Path, bundle: Bundle) -> None:
    first = opened(tmp_path).register(bundle, RunRecord(artifacts={"MODEL_CARD.md": b"# a card\n"}))
    other = opened(tmp_path)
    assert numbers(other) == ["1"]
    assert other.bundle(MODEL, "1") == first
    assert LocalObjectStore(tmp_path).names("locks/") == []


@pytest.mark.parametrize(("when", "left"), [("before", []), ("after", ["1"])])
def test_a_killed_holder_leaves_the_registry_whole_and_the_next_one_goes_on(
    tmp_path: Path, bundle: Bundle, when: str, left: list[str]
) -> None:
    killed = functools.partial(killed_around_the_write, tmp_path, bundle, when)
    assert in_another_process(killed) == -signal.SIGKILL
    assert LocalObjectStore(tmp_path).names("locks/") == ["locks/registry.json"]
    registry = opened(tmp_path)
    assert numbers(registry) == left
    registry.register(bundle, RunRecord())
    assert numbers(opened(tmp_path)) == [str(len(left) + 1), *left]
    assert LocalObjectStore(tmp_path).names("locks/") == []


def test_who_lost_the_lease_is_refused_and_changes_nothing(tmp_path: Path, bundle: Bundle) -> None:
    store = LocalObjectStore(tmp_path)
    slow, fast = (BucketRegistry(f"bucket://{NAME}", store, free) for _ in range(2))
    slow.register(bundle, RunRecord())

    def overtaken() -> None:
        with slow.study("a study", RunRecord()):
            fast.register(bundle, RunRecord())

    with pytest.raises(StoreUnavailable, match=r"was changed by another run, which took over the lease\. Try again"):
        overtaken()
    assert numbers(opened(tmp_path)) == ["2", "1"]
    slow.set_alias(MODEL, "champion", "2")
    assert fast.aliased(MODEL, "champion") == "2"


def test_a_run_waits_for_the_holder_and_then_takes_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, clock, pauses = LocalObjectStore(tmp_path), [datetime(2024, 6, 11, tzinfo=UTC)], []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        clock[0] += timedelta(seconds=seconds)

    began = clock[0]
    monkeypatch.setattr(leases.time, "sleep", pause)
    monkeypatch.setattr(store, "written_at", lambda name, **_: began if name == "locks/registry.json" else clock[0])
    elsewhere = leases.Lease(machine="another", process=1, until=clock[0] + leases.TERM)
    store.write("locks/registry.json", elsewhere.model_dump_json().encode())
    take = functools.partial(leases.lease, store, "registry", now=lambda: clock[0])
    with pytest.raises(LeaseHeld, match="holds the lock on another"), take(patience=timedelta(minutes=1)):
        raise AssertionError("another holds it")
    assert sum(pauses) == 60
    with take(patience=2 * leases.TERM):
        assert clock[0] >= elsewhere.until


@pytest.mark.parametrize("url", ["bucket://", "bucket:///mlflow.db", "bucket://../mlflow.db", "bucket://registry"])
def test_a_url_that_names_no_file_is_a_sentence(tmp_path: Path, url: str) -> None:
    with pytest.raises(UsageError, match=r"^MLFLOW_TRACKING_URI is .*: bucket://FOLDER/NAME\.db, .* was needed"):
        engines.model_registry(Settings(bucket=f"file://{tmp_path}", MLFLOW_TRACKING_URI=url))
