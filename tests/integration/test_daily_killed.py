"""The daily run is killed before and after each of its steps, and run again: the tables are the same.

One run shows what a kill leaves at each boundary: a copy of all files is made there. A real kill (SIGKILL) leaves the
same.
"""

import functools
import os
import re
import shutil
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tests.support.trading import SYMBOLS, Evening, Registry

from tickercast.domain.cards.model_card import CHAMPION, CHAMPION_ALIAS, MODEL, Bundle, RegisteredVersion, read_bundle
from tickercast.ports import RunRecord

pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")

FIRST_STEPS = ("fetch", "catch_up", "collect_results", "finish_decisions", "read_scores", "review_probation")
LAST_STEPS = ("train_challenger", "evaluate_challenger", "decide_promotion", "reforecast", "send_alerts")
STEPS = (*FIRST_STEPS, "check_drift", "plan_training", *LAST_STEPS)
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
    registry = KeptRegistry(folder / "registry")
    return Evening(folder, registry, day=date(2024, 6, 11), calibration=1.0, symbols=SYMBOLS[:3])


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


Reached = Callable[[str], None]
"""What is done at a boundary."""


def _run(folder: Path, reached: Reached = lambda _: None) -> int:
    """Run the day in a process of its own; the signal that ended it."""
    child = os.fork()
    if not child:
        try:
            with pytest.MonkeyPatch.context() as monkeypatch:
                monkeypatch.chdir(folder)
                evening = _evening(folder)
                _watch_within(evening, reached)
                evening.run(lambda job: _watched(job.__name__, job, reached))
            os._exit(0)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else -os.WEXITSTATUS(status)


def _watched(name: str, call: Callable[..., Any], reached: Reached) -> Callable[..., Any]:
    def step(*arguments: Any, **named: Any) -> Any:
        reached(f"before {name}")
        answer = call(*arguments, **named)
        reached(f"after {name}")
        return answer

    return step


def _watch_within(evening: Evening, reached: Reached) -> None:
    """Watch the step that decides: the pointer, which is the last write, the row, and the alias."""
    models = evening.app.models.store
    write, append = models.write, evening.warehouse.append

    def watched_write(name: str, data: bytes, **named: Any) -> int:
        made: int = (_watched("store.write", write, reached) if name == CHAMPION else write)(name, data, **named)
        return made

    def watched_append(table: str, rows: pd.DataFrame, *, key: str) -> bool:
        made: bool = (_watched("warehouse.append", append, reached) if table == "retrains" else append)(
            table, rows, key=key
        )
        return made

    models.write = watched_write  # type: ignore[method-assign]
    evening.warehouse.append = watched_append  # type: ignore[method-assign]
    evening.registry.set_alias = _watched("set_alias", evening.registry.set_alias, reached)  # type: ignore[method-assign]


@dataclass(frozen=True)
class Past:
    """An evening that nothing disturbed.

    Attributes:
        folder: where its bucket, warehouse and registry were; a day goes on in the same place.
        copies: what this folder held when a boundary was reached first, which is what a kill leaves.
        tables: what it ended with.
    """

    folder: Path
    copies: Path
    tables: Mapping[str, Any]

    def put_back(self, boundary: str) -> None:
        shutil.rmtree(self.folder)
        shutil.copytree(self.copies / boundary, self.folder)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Past:
    folder, copies = tmp_path_factory.mktemp("undisturbed"), tmp_path_factory.mktemp("copies")

    def copied(boundary: str) -> None:
        if not (copies / boundary).exists():
            shutil.copytree(folder, copies / boundary)

    _evening(folder).begin(calibration=2.4)
    shutil.copytree(folder, copies / "begun")
    assert _run(folder, copied) == 0
    return Past(folder, copies, _tables(folder))


@pytest.mark.parametrize("boundary", [*BOUNDARIES, *WITHIN])
def test_a_day_that_was_killed_ends_like_one_that_was_not(boundary: str, undisturbed: Past) -> None:
    undisturbed.put_back(boundary)
    assert _run(undisturbed.folder) == 0
    _assert_same(_tables(undisturbed.folder), undisturbed.tables)


def test_a_kill_leaves_what_was_copied(undisturbed: Past) -> None:
    def kill(boundary: str) -> None:
        if boundary == "before set_alias":
            os.kill(os.getpid(), signal.SIGKILL)

    undisturbed.put_back("begun")
    assert _run(undisturbed.folder, kill) == signal.SIGKILL
    left, copied = (_files(folder) for folder in (undisturbed.folder, undisturbed.copies / "before set_alias"))
    assert left == copied
    assert _run(undisturbed.folder) == 0
    _assert_same(_tables(undisturbed.folder), undisturbed.tables)


def _files(folder: Path) -> set[str]:
    """The names of all files, without what differs from run to run in them."""
    named = (str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())
    return {re.sub(r"[0-9a-f]{8,}", "*", name) for name in named}


def _assert_same(tables: Mapping[str, Any], undisturbed: Mapping[str, Any]) -> None:
    assert undisturbed["served"][0].version == "2", "the undisturbed day promotes"
    for name, expected in undisturbed.items():
        if isinstance(expected, pd.DataFrame):
            pd.testing.assert_frame_equal(tables[name], expected, obj=name)
        else:
            assert tables[name] == expected, name
