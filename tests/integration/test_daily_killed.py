"""The daily flow is killed (SIGKILL) before and after each of its tasks, and run again: the tables are the same."""

import functools
import os
import signal
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tests.support.trading import Evening, Registry, plain_flow

from tickercast.domain.model_card import CHAMPION_ALIAS, MODEL, Bundle, RegisteredVersion, read_bundle
from tickercast.jobs.champion.model_store import read_pointer
from tickercast.ports import RunRecord

pytest.importorskip("prefect")
pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")

FIRST_TASKS = ("fetch", "upload", "collect", "hold_to_account", "look_at_probation", "report_drift", "plan_training")
TASKS = (*FIRST_TASKS, "train", "compare", "decide", "refresh", "tell")
BOUNDARIES = [*(f"before {task}" for task in TASKS), "after tell"]
WITHIN = [f"{when} {call}" for call in ("store.write", "warehouse.append", "set_alias") for when in ("before", "after")]

NOT_TOLD = ["created_at", "received_at", "ingested_at", "duration_ms", "event_id", "generation"]


class KeptRegistry(Registry):
    """The registry in memory, but in files: another process finds what this one registered."""

    def __init__(self, folder: Path) -> None:
        super().__init__(url=str(folder))
        self._folder = folder
        folder.mkdir(exist_ok=True)
        for number in range(1, len(list(folder.glob("*.onnx"))) + 1):
            network, card = self._file(number, "onnx"), self._file(number, "json")
            self.bundles.append(read_bundle(network, card, functools.partial(self._file, number, "reference")))
        self.aliases = {file.name: file.read_text() for file in folder.glob("ch*")}

    def register(self, bundle: Bundle, record: RunRecord) -> Bundle:
        made = super().register(bundle, record)
        where = self._folder / made.card.version
        where.with_suffix(".json").write_text(made.card.model_dump_json())
        where.with_suffix(".reference").write_bytes(made.reference)
        where.with_suffix(".onnx").write_bytes(made.onnx)
        return made

    def versions(self, name: str) -> list[RegisteredVersion]:
        return list(super().versions(name))

    def set_alias(self, name: str, alias: str, version: str) -> None:
        super().set_alias(name, alias, version)
        (self._folder / alias).write_text(version)

    def _file(self, number: int, kind: str) -> bytes:
        return (self._folder / f"{number}.{kind}").read_bytes()


def _evening(folder: Path) -> Evening:
    return Evening(folder, KeptRegistry(folder / "registry"), day=date(2024, 6, 11), calibration=1.0)


def _tables(folder: Path) -> dict[str, Any]:
    evening = _evening(folder)
    names = ("latest_prices", "forecast_history", "retrains", "drift")
    read = {name: evening.warehouse.read(name) for name in names}
    read |= {"ledger": evening.warehouse.read("ingestions").drop_duplicates(["symbol", "cutoff", "model_version"])}
    plain = {name: rows.drop(columns=NOT_TOLD, errors="ignore") for name, rows in read.items()}
    served = read_pointer(evening.store), evening.registry.aliased(MODEL, CHAMPION_ALIAS)
    return {name: rows.sort_values(list(rows.columns), ignore_index=True) for name, rows in plain.items()} | {
        "served": served,
        "registered": len(evening.registry.versions(MODEL)),
        "leases": evening.store.names("leases/"),
    }


def _run(folder: Path, kill: str = "") -> int:
    """Runs the day in a process of its own, and kills it at a boundary; the signal that ended it."""
    child = os.fork()
    if not child:
        try:
            with pytest.MonkeyPatch.context() as monkeypatch:
                monkeypatch.chdir(folder)
                evening = _evening(folder)
                _kill_within(evening, kill)
                plain_flow(evening, monkeypatch, lambda name, task: _deadly(name, task, kill))()
            os._exit(0)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else -os.WEXITSTATUS(status)


def _deadly(name: str, call: Callable[..., Any], kill: str, skip: int = 0) -> Callable[..., Any]:
    calls = 0

    def step(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if kill == f"before {name}" and calls > skip:
            os.kill(os.getpid(), signal.SIGKILL)
        answer = call(*arguments, **named)
        if kill == f"after {name}" and calls > skip:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    return step


def _kill_within(evening: Evening, kill: str) -> None:
    """Kills within the task that decides: at the pointer, which is the last write, at the row, and at the alias."""
    pointed, appended = 0, 0
    write, append = evening.store.write, evening.warehouse.append

    def deadly_write(name: str, data: bytes, **named: Any) -> int:
        nonlocal pointed
        pointed = name == "models/champion.json"
        made: int = _deadly("store.write" if pointed else "", write, kill)(name, data, **named)
        return made

    def deadly_append(table: str, rows: pd.DataFrame, *, key: str) -> bool:
        nonlocal appended
        appended = table == "retrains"
        made: bool = _deadly("warehouse.append" if appended else "", append, kill)(table, rows, key=key)
        return made

    evening.store.write = deadly_write  # type: ignore[method-assign]
    evening.warehouse.append = deadly_append  # type: ignore[method-assign]
    evening.registry.set_alias = _deadly("set_alias", evening.registry.set_alias, kill)  # type: ignore[method-assign]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("undisturbed")
    _evening(folder).begin(calibration=1.6)
    assert _run(folder) == 0
    return _tables(folder)


@pytest.mark.parametrize("boundary", [*BOUNDARIES, *WITHIN])
def test_a_day_that_was_killed_ends_like_one_that_was_not(
    boundary: str, undisturbed: dict[str, Any], tmp_path: Path
) -> None:
    _evening(tmp_path).begin(calibration=1.6)
    assert _run(tmp_path, boundary) == signal.SIGKILL
    assert _run(tmp_path) == 0
    tables = _tables(tmp_path)
    assert undisturbed["served"][0].version == "2", "the undisturbed day promotes"
    for name, expected in undisturbed.items():
        if isinstance(expected, pd.DataFrame):
            pd.testing.assert_frame_equal(tables[name], expected, obj=name)
        else:
            assert tables[name] == expected, name
