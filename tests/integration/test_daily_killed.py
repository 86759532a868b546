"""The daily run is killed (SIGKILL) before and after each of its steps, and run again: the tables are the same."""

import functools
import os
import signal
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tests.support.trading import Evening, Registry

from tickercast.domain.cards.model_card import CHAMPION, CHAMPION_ALIAS, MODEL, Bundle, RegisteredVersion, read_bundle
from tickercast.ports import RunRecord

pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")

FIRST_STEPS = ("fetch", "catch_up", "collect_results", "read_scores", "review_probation", "check_drift")
LAST_STEPS = ("train_challenger", "evaluate_challenger", "decide_promotion", "reforecast", "send_alerts")
STEPS = (*FIRST_STEPS, "plan_training", *LAST_STEPS)
BOUNDARIES = [*(f"before {step}" for step in STEPS), "after send_alerts"]
WITHIN = [f"{when} {call}" for call in ("store.write", "warehouse.append", "set_alias") for when in ("before", "after")]

CLOCKS = ["created_at", "received_at", "ingested_at", "duration_ms", "event_id", "generation", "written_at"]
CLOCKS += ["bytes_loaded", "bytes_queried"]  # of the last attempt


class KeptRegistry(Registry):
    """The registry in memory, kept in files too, so that another process finds what this one registered."""

    def __init__(self, folder: Path) -> None:
        super().__init__(url=str(folder))
        self._folder = folder
        folder.mkdir(exist_ok=True)
        for number in range(1, len(list(folder.glob("*.onnx"))) + 1):
            network, card = self._file(number, "onnx"), self._file(number, "json")
            self.bundles.append(
                read_bundle(
                    card,
                    functools.partial(bytes, network),
                    functools.partial(self._file, number, "reference"),
                    remedy="",
                )
            )
        self.aliases = {file.name: file.read_text() for file in folder.glob("ch*")}

    def register(self, bundle: Bundle, record: RunRecord) -> Bundle:
        made = super().register(bundle, record)
        where = self._folder / made.card.version
        where.with_suffix(".json").write_text(made.card.model_dump_json())
        where.with_suffix(".reference").write_bytes(made.reference)
        where.with_suffix(".onnx").write_bytes(made.onnx)
        return made

    def versions(self, name: str, **_: object) -> list[RegisteredVersion]:
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
    plain = {name: rows.drop(columns=CLOCKS, errors="ignore") for name, rows in read.items()}
    pointer = evening.app.models.pointer().model_copy(update={"nonce": ""})
    served = pointer, evening.registry.aliased(MODEL, CHAMPION_ALIAS)
    ordered = {name: list(rows.columns.difference(["quantiles"], sort=False)) for name, rows in plain.items()}
    return {name: rows.sort_values(ordered[name], ignore_index=True) for name, rows in plain.items()} | {
        "served": served,
        "registered": len(evening.registry.versions(MODEL)),
        "locks": evening.store.names("locks/"),
    }


def _run(folder: Path, kill: str = "") -> int:
    """Run the day in a process of its own, and kill it at a boundary; the signal that ended it."""
    child = os.fork()
    if not child:
        try:
            with pytest.MonkeyPatch.context() as monkeypatch:
                monkeypatch.chdir(folder)
                evening = _evening(folder)
                _kill_within(evening, kill)
                evening.run(lambda job: _deadly(job.__name__, job, kill))
            os._exit(0)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else -os.WEXITSTATUS(status)


def _deadly(name: str, call: Callable[..., Any], kill: str) -> Callable[..., Any]:
    def step(*arguments: Any, **named: Any) -> Any:
        if kill == f"before {name}":
            os.kill(os.getpid(), signal.SIGKILL)
        answer = call(*arguments, **named)
        if kill == f"after {name}":
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    return step


def _kill_within(evening: Evening, kill: str) -> None:
    """Kill within the step that decides: at the pointer, which is the last write, at the row, and at the alias."""
    models = evening.app.models.store
    write, append = models.write, evening.warehouse.append

    def deadly_write(name: str, data: bytes, **named: Any) -> int:
        made: int = _deadly("store.write" if name == CHAMPION else "", write, kill)(name, data, **named)
        return made

    def deadly_append(table: str, rows: pd.DataFrame, *, key: str) -> bool:
        made: bool = _deadly("warehouse.append" if table == "retrains" else "", append, kill)(table, rows, key=key)
        return made

    models.write = deadly_write  # type: ignore[method-assign]
    evening.warehouse.append = deadly_append  # type: ignore[method-assign]
    evening.registry.set_alias = _deadly("set_alias", evening.registry.set_alias, kill)  # type: ignore[method-assign]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("undisturbed")
    _evening(folder).begin(calibration=2.4)
    assert _run(folder) == 0
    return _tables(folder)


@pytest.mark.parametrize("boundary", [*BOUNDARIES, *WITHIN])
def test_a_day_that_was_killed_ends_like_one_that_was_not(
    boundary: str, undisturbed: dict[str, Any], tmp_path: Path
) -> None:
    _evening(tmp_path).begin(calibration=2.4)
    assert _run(tmp_path, boundary) == signal.SIGKILL
    assert _run(tmp_path) == 0
    tables = _tables(tmp_path)
    assert undisturbed["served"][0].version == "2", "the undisturbed day promotes"
    for name, expected in undisturbed.items():
        if isinstance(expected, pd.DataFrame):
            pd.testing.assert_frame_equal(tables[name], expected, obj=name)
        else:
            assert tables[name] == expected, name
