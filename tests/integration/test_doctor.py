"""The doctor asks all engines at once, and an engine that says nothing holds nobody up."""

import os
import re
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tickercast import engines, logs
from tickercast.app import App, operations
from tickercast.backends.warehouse.duckdb import DuckDBWarehouse
from tickercast.config import Settings
from tickercast.domain.bars import Bars
from tickercast.domain.forecast import Role, Served
from tickercast.errors import EngineUnusable, Outdated, UsageError, WarehouseUnavailable
from tickercast.jobs.operations.doctor import Probe, check_engines
from tickercast.models.baselines import RandomWalk

if TYPE_CHECKING:
    from tests.support.storage_server import StorageServer

FIRST_RELEASE = Path(__file__).parents[1] / "support" / "first_edition"


def refuses() -> str:
    raise WarehouseUnavailable("It does not answer.")


def test_a_file_that_was_stored_while_the_clock_was_ahead_is_told(tmp_path: Path) -> None:
    settings = Settings(bucket=f"file://{tmp_path}/bucket", warehouse=f"duckdb://{tmp_path}/w.duckdb", source="sample")
    app = App(settings)
    app.forecast(["MSFT"], "2012-08-15")
    assert app._warehouse_says() == "1 ingestion"
    app.now = lambda: datetime.now(UTC) - timedelta(hours=1)
    with pytest.raises(UsageError, match="which is still to come: a clock was ahead"):
        app._warehouse_says()


def test_engines_are_asked_side_by_side_and_answer_in_order() -> None:
    together = threading.Barrier(3, timeout=10)

    def ask() -> str:
        together.wait()  # nobody passes before all three are asked
        return "here"

    probes = [Probe("a", "there", ask), Probe("b", "there", ask), Probe("c", "there", ask), Probe("d", "x", refuses)]
    checks = list(check_engines(probes))
    assert [(check.name, check.answer, check.well) for check in checks] == [
        ("a", "here", True),
        ("b", "here", True),
        ("c", "here", True),
        ("d", "It does not answer.", False),
    ]


def test_an_engine_that_says_nothing_is_given_up_and_what_it_waits_for_is_said() -> None:
    over = threading.Event()

    def waits() -> str:
        logs.waiting("the file is held by python (process 7)")
        over.wait()
        return ""

    def silent() -> str:
        over.wait()
        return ""

    missing: list[Sequence[str]] = []
    probes = [Probe("a", "", waits), Probe("b", "", silent), Probe("c", "", lambda: "here")]
    checks = list(check_engines(probes, patience_s=0.2, on_wait=missing.append))
    over.set()
    assert [check.well for check in checks] == [False, False, True]
    assert checks[0].answer == "It has not answered within 0 s: the file is held by python (process 7)."
    assert "Check that it is there" in checks[1].answer
    assert missing[-1] == ["a", "b"]


def test_a_fault_of_our_own_is_not_taken_for_an_answer() -> None:
    def broken() -> str:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(check_engines([Probe("a", "", broken)]))


def test_an_error_that_parts_of_an_engine_share_is_said_once() -> None:
    probes = [Probe("store", "s", refuses), Probe("champion", "c", refuses), Probe("source", "x", lambda: "here")]
    checks = list(check_engines([*probes, Probe("companions", "d", refuses)]))
    assert [(check.answer, check.well) for check in checks] == [
        ("It does not answer.", False),
        ("the same as store", False),
        ("here", True),
        ("the same as store", False),
    ]


def test_nothing_is_made_by_asking(workspace: Path) -> None:
    app = App(Settings(source="sample", models="champion,ewma-t,xgb-direction"))
    checks = {check.name: check for check in app.doctor()}
    assert all(check.well for check in checks.values())
    assert checks["warehouse"].answer == "no tables yet: the first forecast makes them"
    assert checks["champion"].answer.startswith("none is published yet: the first forecast publishes tickercast-lstm")
    assert checks["companions"].answer.startswith("ewma-t, ")
    assert not [*workspace.rglob("*.duckdb"), *workspace.rglob("*champion*")]


@pytest.fixture
def as_a_user(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of a user who is not root, as whom the test goes on."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)  # MLflow leaves it behind
    with tempfile.TemporaryDirectory() as folder:
        user = os.geteuid()
        if user == 0:
            os.chown(folder, 65534, 65534)
            os.seteuid(65534)
        try:
            yield Path(folder)
        finally:
            os.seteuid(user)


def test_what_cannot_be_written_is_told_though_it_can_be_read(as_a_user: Path) -> None:
    app = App(Settings(home=str(as_a_user / "home"), source="sample"))
    settings = app.settings
    places = (settings.bucket, settings.warehouse, settings.mlflow_tracking_uri)
    for url in places:
        engines.check_writable(url)  # what is missing can be made
    assert not (as_a_user / "home").exists()
    app.store.write("models/x", b"x")
    app.warehouse  # noqa: B018
    Path(settings.mlflow_tracking_uri.removeprefix("sqlite:///")).touch()
    for url in places:
        engines.check_writable(url)
    within = sorted((as_a_user / "home").rglob("*"), reverse=True)
    for path in [*within, as_a_user / "home"]:
        path.chmod(0o500 if path.is_dir() else 0o400)
    try:
        for url in places:
            with pytest.raises(EngineUnusable, match=rf"^{url}.* is closed to this user: permission denied"):
                engines.check_writable(url)
        asked = {check.name: check for check in app.doctor()}
        assert [name for name in ("object store", "warehouse", "champion") if not asked[name].well] == [
            "object store",
            "warehouse",
            "champion",
        ]
    finally:
        for path in [as_a_user / "home", *reversed(within)]:
            path.chmod(0o700)
    (as_a_user / "home" / "bucket" / ".generations" / "models").chmod(0o500)  # as one that root has made
    with pytest.raises(EngineUnusable, match=r"\(.*/\.generations/models\) is closed to this user"):
        engines.check_writable(settings.bucket)
    (as_a_user / "home" / "bucket" / ".generations" / "models").chmod(0o700)
    for url, lock in ((settings.bucket, "bucket/.lock"), (settings.warehouse, "warehouse.duckdb.lock")):
        (as_a_user / "home" / lock).touch()
        (as_a_user / "home" / lock).chmod(0)
        with pytest.raises(EngineUnusable, match=rf"\(.*/{lock}\) is closed to this user"):
            engines.check_writable(url)


def test_a_full_disk_is_told_by_every_engine_on_it(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = App(Settings(source="sample"))
    app.provision()
    found = os.statvfs(workspace)
    monkeypatch.setattr(os, "statvfs", lambda path: os.statvfs_result([*found[:4], 20, *found[5:]]))
    said = {check.name: check for check in app.doctor()}
    for name in ("object store", "warehouse", "champion"):
        assert not said[name].well
    assert "cannot be written: the disk is full" in said["warehouse"].answer


def test_a_damaged_warehouse_leaves_bucket_and_champion_well(workspace: Path) -> None:
    app = App(Settings(source="sample"))
    file = Path(app.tables.url.removeprefix("duckdb://"))
    file.parent.mkdir()
    file.write_text("a text " * 1000)
    said = {check.name: check for check in app.doctor()}
    assert "is not a DuckDB file" in said["warehouse"].answer
    assert (said["object store"].answer, said["object store"].well) == ("0 objects", True)
    assert said["champion"].answer.startswith("none is published yet")


def test_of_a_large_bucket_not_every_object_is_counted(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = App(Settings(source="sample"))
    monkeypatch.setattr(operations, "_COUNTED", 2)
    for number, said in enumerate(("0 objects", "1 objects", "2 objects", "more than 2 objects")):
        assert next(iter(app.doctor())).answer == said
        app.store.write(f"models/{number}", b"")


def test_engines_elsewhere_are_not_asked_whether_they_can_be_written() -> None:
    for url in ("gs://bars", "s3://bars", "bigquery://p/d", "https://mlflow.example", "bucket://r/m.db", "ftp://x"):
        engines.check_writable(url)


def test_a_warehouse_of_an_earlier_release_is_named_and_migrated_by_what_writes_alone(workspace: Path) -> None:
    app = App(Settings(source="sample"))
    path = Path(app.tables.url.removeprefix("duckdb://"))
    path.parent.mkdir(parents=True, exist_ok=True)
    DuckDBWarehouse(path, FIRST_RELEASE).provision()
    lacking = app.pending()
    assert "changed" in lacking.values()
    [found] = [check for check in app.doctor() if check.name == "warehouse"]
    assert not found.well
    assert re.match(r"\d+ of its tables and views are missing or of another release\. Run", found.answer)
    reads: list[Callable[[], object]] = [
        app.ingestions,
        app.failed_ingestions,
        app.calibrations,
        app.digest,
        app.directions,
        app.events,
        lambda: app.costs(date(2023, 7, 21)),
        lambda: app.strategy_targets([], ["MSFT"], date(2023, 7, 21)),
        lambda: app.known_results("MSFT"),
    ]
    with pytest.raises(Outdated, match="Run `tickercast provision`"):
        app.trading_status()
    for read in reads:
        with suppress(Outdated):  # what they read has not changed in all
            read()
    assert "Run `tickercast provision`" in next(alert.text for alert in app.open_alerts() if alert.kind == "tables")
    assert app.pending() == lacking
    app.forecast("MSFT", "2012-08-15")
    assert app.pending() == {}
    for read in reads[:-2]:
        read()


def test_a_bucket_elsewhere_calls_a_function_elsewhere(workspace: Path, storage_server: "StorageServer") -> None:
    settings = Settings(bucket="gs://bars", source="sample", storage_emulator_host=storage_server.url)
    [found] = [check for check in App(settings).doctor() if check.name == "function"]
    assert (found.where, found.well) == ("gs://bars", True)
    assert found.answer.startswith("called by the bucket's notifications on Google Cloud")


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"trade": "nosuch@paper://"}, "'nosuch' is no strategy"),
        ({"trade_limits": "foo"}, "foo"),
        ({"retrain_below": "7"}, "SHARE/LAST"),
        ({"retrain_on_losses": "x"}, "SHARE/LAST"),
        ({"universe": "nofile.csv"}, "nofile.csv"),
        ({"portfolios": "nofile.csv"}, "nofile.csv"),
        ({"hourly_watchlist": "nofile.txt"}, "nofile.txt"),
        ({"events_source": "foo"}, "'foo' is neither"),
        ({"trade": "volatility-target@bogus://"}, "bogus://"),
        ({"trade": "volatility-target@alpaca-paper://"}, "TICKERCAST_ALPACA_KEY"),
        ({"trade": "volatility-target@paper://a", "trade_hourly": "direction@paper://a"}, "both name paper://a"),
        ({"trade": "buy-and-hold@paper://"}, "1 strategy on paper, 0 portfolios"),
    ],
)
def test_what_only_the_flows_read_is_read(workspace: Path, setting: dict[str, str], said: str) -> None:
    [found] = [
        check for check in App(Settings(source="sample", **setting)).doctor() if check.name == "work of the flows"
    ]
    assert said in found.answer
    assert found.well == (said == "1 strategy on paper, 0 portfolios")
    assert found.where == ", ".join(f"TICKERCAST_{name.upper()}" for name in setting)


@pytest.mark.parametrize("bucket", ["http://here/bucket", "ftp://here/bucket"])
def test_a_bucket_that_no_engine_is_known_for_calls_no_function(workspace: Path, bucket: str) -> None:
    settings = Settings(bucket=bucket, warehouse=f"duckdb://{workspace}/w.duckdb", source="sample")
    checks = {check.name: check for check in App(settings).doctor()}
    assert f"TICKERCAST_BUCKET is '{bucket}': no engine is known for it." in checks["object store"].answer
    assert (checks["function"].well, checks["function"].answer) == (False, "the same as object store")


@pytest.mark.parametrize(
    ("below", "sentence"), [("", "is a file: a folder was needed"), ("/sub", "Not a directory. Name another place")]
)
def test_a_file_in_the_place_of_the_bucket_is_said_by_all_that_use_it(
    tmp_path: Path, below: str, sentence: str
) -> None:
    (tmp_path / "afile").touch()
    app = App(Settings(home=str(tmp_path / "home"), bucket=f"file://{tmp_path}/afile{below}"))
    said = {check.name: check for check in app.doctor()}
    assert (said["object store"].well, sentence in said["object store"].answer) == (False, True)
    store = app.silent_store
    uses: list[Callable[[], object]] = [
        *(app.failed_ingestions, app.provision, lambda: next(iter(app.watch())), lambda: store.names("")),
        *(lambda: store.generation("models/x"), lambda: store.write("models/x", b"")),
    ]
    for use in uses:
        with pytest.raises(EngineUnusable, match=sentence):
            use()


def test_a_bucket_that_is_gone_is_not_replaced_until_that_is_asked_for(tmp_path: Path) -> None:
    settings = Settings(home=str(tmp_path / "home"), source="sample")
    App(settings).forecast("MSFT", "2012-08-15")
    bucket = tmp_path / "home" / "bucket"
    bucket.rename(tmp_path / "elsewhere")
    said = {check.name: check for check in App(settings).doctor()}
    assert "holds nothing, and the ledger has 1 entry" in said["object store"].answer
    assert "holds no published model" in said["champion"].answer
    assert (said["object store"].well, said["champion"].well) == (False, False)
    app = App(settings)
    with pytest.raises(EngineUnusable, match="Mount it"):
        app.failed_ingestions()
    with pytest.raises(EngineUnusable, match="holds no published model, and the ledger has 1 entry"):
        app.forecast("MSFT", "2012-08-16")
    with pytest.raises(EngineUnusable, match="holds no published model"):
        _ = app.warehouse
    assert not bucket.exists()
    assert "models/champion.json" in app.provision()
    assert len(app.forecast("MSFT", "2012-08-16")) == 1


def test_a_champion_that_answers_no_numbers_is_not_well(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Damaged(RandomWalk):
        def predict(self, series: Sequence[Bars]) -> np.ndarray:
            return np.nan * super().predict(series)

    app = App(Settings(source="sample"))
    app.provision()
    monkeypatch.setattr(App, "served_models", lambda app: [Served(Damaged(), Role.CHAMPION)])
    [champion] = [check for check in app.doctor() if check.name == "champion"]
    assert not champion.well
    assert champion.answer.endswith("Serve another version: tickercast rollback.")
