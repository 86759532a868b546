"""The champion that is served, and how another one takes over."""

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tickercast.backends.object_store.local import LocalObjectStore
from tickercast.domain.cards.model_card import CHAMPION
from tickercast.domain.forecast import Role, Served
from tickercast.errors import BundleError, ModelUnavailable, StoreUnavailable
from tickercast.jobs.serving.champion_cache import ChampionCache


class Scene:
    """A pointer that names a version, a clock, and a count of checks and loads."""

    def __init__(self, folder: Path) -> None:
        self.store = LocalObjectStore(folder)
        self.now = 0.0
        self.checks = 0
        self.loads = 0
        self.fault: Exception | None = None
        self.served = ChampionCache(self, self.load, lambda: self.now)  # type: ignore[arg-type]

    def generation(self) -> str:
        self.checks += 1
        return self.store.generation(CHAMPION)

    def load(self) -> Sequence[Served]:
        self.loads += 1
        if self.fault:
            raise self.fault
        champion: Any = SimpleNamespace(name="champion", version=self.store.read(CHAMPION).decode())
        return [Served(champion, Role.CHAMPION)]

    def publish(self, version: str) -> None:
        self.store.write(CHAMPION, version.encode())

    @property
    def version(self) -> str:
        return self.served()[0].model.version


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    scene = Scene(tmp_path)
    scene.publish("1")
    return scene


def test_the_champion_is_loaded_once(scene: Scene) -> None:
    assert [scene.version for _ in range(3)] == ["1", "1", "1"]
    assert (scene.checks, scene.loads) == (1, 1)


def test_another_champion_takes_over_after_a_minute(scene: Scene) -> None:
    assert scene.version == "1"
    scene.publish("2")
    scene.now = 59.9
    assert scene.version == "1"
    scene.now = 60.0
    assert scene.version == "2"


def test_the_pointer_is_checked_once_a_minute_and_read_only_if_it_moved(scene: Scene) -> None:
    for second in range(0, 180, 2):
        scene.now = float(second)
        assert scene.version == "1"
    assert (scene.checks, scene.loads) == (3, 1)


@pytest.mark.parametrize(
    ("fault", "level"),
    [
        (BundleError("The new champion is damaged."), "ERROR"),
        (ModelUnavailable("The new champion is not there."), "WARNING"),
        (StoreUnavailable("The store is down."), "WARNING"),
    ],
)
def test_a_champion_that_cannot_be_taken_over_leaves_the_old_one_and_is_logged(
    scene: Scene, caplog: pytest.LogCaptureFixture, fault: Exception, level: str
) -> None:
    assert scene.version == "1"
    scene.publish("2")
    scene.fault, scene.now = fault, 60.0
    with caplog.at_level(logging.WARNING, "tickercast"):
        assert [scene.version for _ in range(3)] == ["1", "1", "1"]
    [record] = caplog.records
    assert record.levelname == level
    assert "champion 1 stays" in record.message
    assert str(fault) in record.message
    scene.fault, scene.now = None, 120.0
    assert scene.version == "2"


def test_a_check_that_fails_is_not_repeated_within_the_minute(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    assert scene.version == "1"

    def down() -> int:
        scene.checks += 1
        raise StoreUnavailable("The store is down.")

    monkeypatch.setattr(scene, "generation", down)
    for second in range(60, 120, 10):
        scene.now = float(second)
        assert scene.version == "1"
    assert scene.checks == 2


def test_without_any_champion_the_fault_is_raised_and_tried_anew(scene: Scene) -> None:
    scene.fault = ModelUnavailable("none")
    for _ in range(2):
        with pytest.raises(ModelUnavailable):
            scene.served()
    scene.fault = None
    assert scene.version == "1"


def threads(ask: Callable[[], str], count: int = 8) -> list[str]:
    met = threading.Barrier(count)

    def together(_: int) -> str:
        met.wait(30)
        return ask()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(together, range(count)))


def test_threads_that_start_together_load_one_champion(scene: Scene) -> None:
    assert set(threads(lambda: scene.version)) == {"1"}
    assert scene.loads == 1
    scene.publish("2")
    scene.now = 60.0
    assert set(threads(lambda: scene.version)) <= {"1", "2"}
    assert scene.version == "2"
    assert scene.loads == 2
