"""The check for drift, from rows of the warehouse to rows and a page, once however often it is asked for."""

import json
import multiprocessing
import os
import shutil
import signal
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.support.bigquery_server import BigQueryServer
from tests.support.faults import Fault, Stepped, Steps
from tests.support.trading import shipped_bundle
from tests.support.warehouse_rows import append, score_all, span
from typer.testing import CliRunner

from tickercast import config, engines
from tickercast.backends.object_store.local import LocalObjectStore
from tickercast.backends.warehouse.duckdb import DuckDBWarehouse
from tickercast.backends.warehouse.sql import read_rewrites
from tickercast.cli import app
from tickercast.config import Settings
from tickercast.domain.bars import Bars
from tickercast.domain.cards.model_card import Bundle, Pointer
from tickercast.domain.forecast import Prediction, Role
from tickercast.domain.forecast import rows as forecast_rows
from tickercast.domain.frequency import DAILY
from tickercast.domain.learning.features import HORIZON, panel
from tickercast.domain.measures.drift import COLUMNS, COVERAGE, INPUTS, LOSS, ORIGINS, WIDTHS, DriftFinding
from tickercast.errors import StoreUnavailable, TooFewSessions, UsageError, WarehouseUnavailable
from tickercast.jobs.operations import drift
from tickercast.jobs.operations.drift import BACKTEST_RATIO, DriftCheck, check_drift
from tickercast.model_store import ModelStore
from tickercast.models import catalogue
from tickercast.models.baselines import RandomWalk
from tickercast.ports import DriftReport, ObjectStore, Warehouse

SYMBOLS = ["AAPL", "GOOG", "IBM", "MSFT"]
DAY = date(2012, 8, 15)
NOW = datetime(2012, 8, 15, 22, tzinfo=UTC)
UNSEEN = date(2010, 12, 31)
"""When the training of the champion of these tests is said to end, so that the sample holds forecasts of later days."""
CHROMIUM = Path("/usr/bin/chromium")


class Plain:
    """A reporter that says which columns it was given, in no time."""

    def report(self, seen: pd.DataFrame, sample: pd.DataFrame, findings: Sequence[DriftFinding]) -> DriftReport:
        names = {finding.name for finding in findings}
        assert names == set(seen.columns) == set(sample.columns)
        return DriftReport(b"<html>a page</html>", json.dumps(sorted(names)).encode())


def bundle(**changes: object) -> Bundle:
    shipped = shipped_bundle()
    return replace(shipped, card=shipped.card.model_copy(update={"trained_through": UNSEEN, **changes}))


def ports(folder: Path) -> tuple[LocalObjectStore, DuckDBWarehouse]:
    return LocalObjectStore(folder / "bucket"), DuckDBWarehouse(folder / "warehouse.duckdb", sql=config.resource("sql"))


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bucket with a champion, and a warehouse with bars and forecasts of the sample's sessions up to `DAY`."""
    folder = tmp_path_factory.mktemp("filled")
    store, warehouse = ports(folder)
    warehouse.provision()
    serve(store, bundle())
    whole = engines.market_data("sample").fetch(SYMBOLS, date(2009, 8, 1), date(2013, 2, 28), advance=lambda _: None)
    for bars in whole.bars.values():
        add(warehouse, bars, f"ohlc/{DAY}/{bars.symbol}.csv")
    warehouse.append("forecasts", forecasts(whole.bars.values()), key="forecasts")
    score_all(warehouse)
    return folder


def serve(store: ObjectStore, made: Bundle) -> None:
    models = models_of(store)
    models.write(made)
    models.point(Pointer(name=made.card.name, version=made.card.version))


def models_of(store: ObjectStore) -> ModelStore:
    return ModelStore(store, config.resource("shipped"))


def add(warehouse: Warehouse, bars: Bars, name: str, day: date = DAY) -> None:
    file = {"object": name, "generation": "1", "written_at": NOW}
    known = {"symbol": bars.symbol, "frequency": "1d", "simulated": bars.simulated, "origin": "live", **file}
    frame = bars.until(day).frame.assign(**known, ingested_at=NOW)
    append(
        warehouse,
        "spans",
        [span(bars.symbol, first_session=bars.first, last_session=day, simulated=bars.simulated, **file)],
        f"spans/{name}",
    )
    warehouse.append("prices", frame.assign(session_date=frame["session_date"].dt.date), key=name)
    entry = {**known, "status": "forecast", "origin": "live"}
    more = {"rows": len(frame), "rows_new": len(frame), "cutoff": day, "model_version": "1"}
    arrival = {"event_id": "1", "received_at": NOW, "duration_ms": 1.0}
    warehouse.append("ingestions", pd.DataFrame([entry | more | arrival]), key=f"ingestions/{name}")


def forecasts(series: Any) -> pd.DataFrame:
    champion = catalogue.load_bundle(bundle())
    made: list[Prediction] = []
    for bars in series:
        sessions = bars.frame["session_date"].dt.date.tolist()
        last = sessions.index(DAY)
        for at in range(last - ORIGINS - HORIZON - 9, last + 1):
            known = bars.rows(0, at + 1)
            for one, role in ((champion, Role.CHAMPION), (RandomWalk(), Role.BASELINE)):
                targets = tuple(sessions[at + 1 : at + 1 + HORIZON])
                quantiles = one.predict([known])[0]
                origin = (bars.symbol, sessions[at], known.last_close, targets)
                made.append(Prediction(*origin, quantiles, one.name, one.version, role))
    table = forecast_rows(made).to_pandas()
    return table.assign(origin="live", object=f"ohlc/{DAY}/all.csv", generation="1", written_at=NOW, created_at=NOW)


@pytest.fixture
def place(filled: Path, tmp_path: Path) -> tuple[ObjectStore, Warehouse]:
    shutil.copytree(filled, tmp_path / "place")
    return ports(tmp_path / "place")


def run(place: tuple[Any, Any], symbols: Sequence[str] = SYMBOLS, day: date = DAY, **changes: Any) -> DriftCheck:
    given = {"load": catalogue.load_bundle, "reporter": Plain(), "now": NOW} | changes
    return check_drift(day, symbols, store=place[0], models=models_of(place[0]), warehouse=place[1], **given)


def rows(place: tuple[Any, Warehouse]) -> pd.DataFrame:
    return place[1].read("drift").sort_values("name", ignore_index=True)


def test_the_newest_session_is_found_however_old_it_is(place: tuple[Any, Any]) -> None:
    for later in (0, 5, 13, 14, 15, 900):
        assert drift._newest(place[1], SYMBOLS, DAY + timedelta(days=later), DAILY) == DAY
    assert drift._newest(place[1], ["NONE"], DAY, DAILY) == DAY


# ---------------------------------------------------------------- what is found


def test_a_day_has_a_row_for_every_input_width_and_measure_and_names_its_report(place: tuple[Any, Any]) -> None:
    found = run(place)
    assert (found.day, found.model_version, found.new, found.skipped) == (DAY, "1", True, {})
    stored = rows(place)
    by_kind = {kind: set(group["name"]) for kind, group in stored.groupby("kind")}
    assert by_kind == {"input": set(INPUTS), "prediction": set(WIDTHS), "performance": {LOSS, COVERAGE}}
    assert set(stored["report"]) == {found.report}
    assert place[0].read(found.report) == b"<html>a page</html>"
    assert json.loads(place[0].read(found.report.replace(".html", ".json"))) == sorted([*COLUMNS, LOSS, COVERAGE])
    assert found.drifted == bool(stored["drifted"].any())
    assert len(found.reasons) == stored["drifted"].sum()
    assert place[1].read("drift_daily")["n"].sum() == len(stored)


def test_the_performance_is_that_of_the_last_resolved_origins_as_the_view_scores_them(place: tuple[Any, Any]) -> None:
    run(place)
    stored = rows(place).set_index("name")
    scores = place[1].read("forecast_scores", {"model_name": "tickercast-lstm"})
    whole = scores.groupby(["symbol", "cutoff"]).filter(lambda group: len(group) == HORIZON)
    last = whole[whole["cutoff"].isin(np.sort(whole["cutoff"].unique())[-ORIGINS:])]
    assert len(last) == ORIGINS * HORIZON * len(SYMBOLS)
    ratio = (last["loss"] / last["scale"]).sum() / (last["walk_loss"] / last["scale"]).sum()
    assert stored.loc[LOSS, "score"] == pytest.approx(ratio)
    assert stored.loc[COVERAGE, "score"] == pytest.approx(last["inside_80"].mean())


def test_the_widths_are_those_that_were_stored_and_not_those_that_should_have_been(place: tuple[Any, Any]) -> None:
    honest = run(place).rows.set_index("name").loc["width_5", "score"]
    serve(place[0], bundle(version="2"))
    wide = place[1].read("forecasts", {"model_name": "tickercast-lstm", "cutoff": DAY})
    wide = wide.assign(close_hi_95=wide["close_hi_95"] * 1e6, generation="2", model_version="2")
    place[1].append("forecasts", wide, key="wide")
    assert run(place).rows.set_index("name").loc["width_5", "score"] > honest + 5


def test_without_enough_resolved_forecasts_nothing_is_said_of_performance(place: tuple[Any, Any]) -> None:
    serve(place[0], bundle(version="2"))
    found = run(place)
    assert found.model_version == "2"
    assert set(found.rows["kind"]) == {"input", "prediction"}
    assert found.unmeasured == (
        "Performance was not measured: 20 forecast origins of the last 60 days whose closes are all known were needed."
    )
    assert run(place, day=date(2012, 8, 14)).unmeasured == found.unmeasured


def test_while_a_baseline_is_served_the_performance_is_the_baselines(place: tuple[Any, Any]) -> None:
    store, warehouse = place
    of_champion = run(place, day=date(2012, 8, 14)).rows.set_index("name")
    champions = warehouse.read("forecasts", {"model_name": "tickercast-lstm"})
    wide = champions.assign(
        generation="2",
        written_at=NOW + timedelta(hours=1),
        model_name="ewma-t",
        close_lo_80=champions["close_lo_80"] * 0.9,
        close_hi_80=champions["close_hi_80"] * 1.1,
    )
    warehouse.append("forecasts", wide, key="of the baseline")
    again = warehouse.query(read_rewrites(config.resource("sql"))["scores"])
    warehouse.append("scores", again[again["model_name"] == "ewma-t"], key="its scores")
    models_of(store).point(Pointer(name="tickercast-lstm", version="1").demoted("ewma-t", 0.8))

    found = run(place).rows.set_index("name")

    last = warehouse.read("forecast_scores", {"model_name": "ewma-t"})
    last = last.groupby(["symbol", "cutoff"]).filter(lambda group: len(group) == HORIZON)
    last = last[last["cutoff"].isin(np.sort(last["cutoff"].unique())[-ORIGINS:])]
    ratio = (last["loss"] / last["scale"]).sum() / (last["walk_loss"] / last["scale"]).sum()
    assert set(found.loc[[LOSS, COVERAGE], "model_name"]) == {"ewma-t"}
    assert set(found.drop([LOSS, COVERAGE])["model_name"]) == {"tickercast-lstm"}
    assert found.loc[LOSS, "score"] == pytest.approx(ratio)
    assert found.loc[COVERAGE, "score"] == pytest.approx(last["inside_80"].mean())
    margin = of_champion.loc[LOSS, "threshold"] / bundle().card.metrics[BACKTEST_RATIO]
    assert found.loc[LOSS, "threshold"] == pytest.approx(0.8 * margin)

    models_of(store).point(Pointer(name="tickercast-lstm", version="1").demoted("ewma-t", None))
    unmeasured = run(place, day=date(2012, 8, 10)).rows
    assert set(unmeasured.loc[unmeasured["kind"] == "performance", "name"]) == {COVERAGE}


def test_the_served_baseline_is_named_where_its_performance_cannot_be_measured(place: tuple[Any, Any]) -> None:
    models_of(place[0]).point(Pointer(name="tickercast-lstm", version="1").demoted("ewma-t", 0.8))
    for new in (True, False):
        found = run(place)
        assert (found.new, found.model_name, found.served) == (new, "tickercast-lstm", "ewma-t")
        assert found.unmeasured.startswith("Performance was not measured: 20 forecast origins")


def test_the_inputs_are_those_of_the_last_ten_sessions(place: tuple[Any, Any]) -> None:
    caught: list[pd.DataFrame] = []

    class Catching(Plain):
        def report(self, seen: pd.DataFrame, sample: pd.DataFrame, findings: Sequence[DriftFinding]) -> DriftReport:
            caught.append(seen)
            return super().report(seen, sample, findings)

    run(place, reporter=Catching())
    bars = engines.market_data("sample").fetch(["AAPL"], date(2009, 8, 1), DAY, advance=lambda _: None)
    steps = panel(bars.bars["AAPL"]).steps[-10:]
    seen = caught[0].loc[:9, list(INPUTS[: steps.shape[1]])].to_numpy()
    np.testing.assert_allclose(seen, steps, rtol=1e-6)


def test_simulated_bars_play_no_part_beside_real_ones_and_are_marked_where_they_are_alone(
    place: tuple[Any, Any],
) -> None:
    simulated = engines.market_data("simulated").fetch(["ZZZ"], date(2009, 8, 1), DAY, advance=lambda _: None)
    name = f"ohlc/{DAY}/ZZZ.csv"
    add(place[1], simulated.bars["ZZZ"], name)
    alone = run(place, ["ZZZ"])
    assert alone.simulated
    assert set(alone.rows["simulated"]) == {True}
    beside = run(place, [*SYMBOLS, "ZZZ"])
    assert not beside.simulated
    assert set(beside.rows["simulated"]) == {False}
    assert beside.new
    assert list(beside.skipped) == ["ZZZ"]
    assert len(place[1].read("drift_daily")) == len(place[1].query("SELECT DISTINCT kind FROM drift"))


def test_simulated_bars_of_later_days_do_not_hide_the_real_ones(place: tuple[Any, Any]) -> None:
    later = engines.market_data("simulated").fetch(["AAPL"], date(2020, 1, 2), date(2020, 6, 1), advance=lambda _: None)
    add(place[1], later.bars["AAPL"], "ohlc/2020-06-01/AAPL.csv", date(2020, 6, 1))
    found = run(place, day=date(2020, 6, 1))
    assert (found.day, found.simulated) == (DAY, False)


def test_what_cannot_be_checked_is_left_out_with_a_reason(place: tuple[Any, Any]) -> None:
    found = run(place, ["MSFT", "NEW", "BTC-USD"])
    assert found.skipped == {
        "NEW": f"NEW has no recent bars up to {DAY} in the warehouse.",
        "BTC-USD": "BTC-USD is of another asset class than the champion's training.",
    }


def test_bars_from_before_a_gap_play_no_part(place: tuple[Any, Any]) -> None:
    bars = engines.market_data("sample").fetch(["GOOG"], date(2009, 8, 1), DAY, advance=lambda _: None).bars["GOOG"]
    kept = np.r_[: len(bars) - 110, len(bars) - 60 : len(bars)]
    add(place[1], Bars("XOM", {name: each[kept] for name, each in bars.columns.items()}), f"ohlc/{DAY}/XOM.csv")
    said = f"XOM has 60 session(s) up to {DAY} since a gap of more than a month: at least"
    assert run(place, ["MSFT", "XOM"]).skipped["XOM"].startswith(said)


def test_nothing_to_check_is_a_sentence(place: tuple[Any, Any]) -> None:
    with pytest.raises(TooFewSessions, match=f"NEW has no recent bars up to {DAY} in the warehouse"):
        run(place, ["NEW"])
    with pytest.raises(
        TooFewSessions,
        match=r"No symbol of 4 can be checked on 2001-01-01: AAPL has no recent bars up to 2001-01-01 .* a later day",
    ):
        run(place, day=date(2001, 1, 1))


def test_a_champion_without_a_reference_is_a_sentence(place: tuple[Any, Any]) -> None:
    made = bundle()
    serve(place[0], Bundle(made.onnx, made.card.model_copy(update={"version": "2", "reference_sha256": ""})))
    with pytest.raises(UsageError, match=r"tickercast-lstm 2 has no reference.*newer version"):
        run(place)


def test_bigquery_gives_the_same_verdict_once(place: tuple[Any, Any], bigquery_server: BigQueryServer) -> None:
    settings = Settings(
        warehouse=f"bigquery://test-project/d{uuid.uuid4().hex}", BIGQUERY_EMULATOR_HOST=bigquery_server.url
    )
    other = engines.warehouse(settings)
    other.provision()
    for table in ("spans", "prices", "forecasts", "scores", "skill_blocks"):
        other.append(table, place[1].read(table), key=table)
    names = ["name", "method", "score", "threshold", "drifted"]
    there, again, here = (run((place[0], warehouse)) for warehouse in (other, other, place[1]))
    assert (there.new, again.new) == (True, False)
    assert bigquery_server.engine.modifications["drift"] == 1
    pd.testing.assert_frame_equal(
        *(found.rows[names].sort_values("name", ignore_index=True) for found in (again, here)), rtol=1e-9
    )


# ---------------------------------------------------------------- once


def test_a_day_is_checked_once_however_often_it_is_asked_for(place: tuple[Any, Any]) -> None:
    first = run(place)
    again = run(place, SYMBOLS[:2], now=NOW.replace(hour=23), reporter=None, load=None)
    assert not again.new
    assert (again.report, again.reasons) == (first.report, first.reasons)
    assert len(rows(place)) == len(first.rows)
    assert len(place[0].names("reports/")) == 2


def test_a_failure_before_or_after_any_step_leaves_the_same_rows_and_reports(place: tuple[Any, Any]) -> None:
    steps, model, failures = Steps(), catalogue.load_bundle(bundle()), 0
    stepped = (Stepped(place[0], steps, StoreUnavailable), Stepped(place[1], steps, WarehouseUnavailable))
    for number in range(20):
        for after in (False, True):
            steps.begin([Fault(number, "unavailable", after)])
            with suppress(StoreUnavailable, WarehouseUnavailable):
                run(stepped, load=lambda _: model)
            failures += len(steps.happened)
    found = run(place)
    assert failures > 20
    assert len(rows(place)) == len(COLUMNS) + 2
    assert rows(place)["name"].is_unique
    assert place[0].names("reports/") == [found.report, found.report.replace(".html", ".json")]


def test_killed_between_the_report_and_the_rows_a_second_run_ends_the_same(place: tuple[Any, Any]) -> None:
    folder = Path(place[0].url.removeprefix("file://")).parent
    process = multiprocessing.get_context("spawn").Process(target=killed_before_the_rows, args=(folder,))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert len(place[0].names("reports/")) == 2
    assert rows(place).empty
    found = run(place)
    assert found.new
    assert place[0].names("reports/") == [found.report, found.report.replace(".html", ".json")]
    assert len(rows(place)) == len(found.rows)


def killed_before_the_rows(folder: Path) -> None:
    store, warehouse = ports(folder)

    class Dying:
        def __getattr__(self, name: str) -> Any:
            return (
                getattr(warehouse, name) if name != "append" else lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
            )

    run((store, Dying()))


# ---------------------------------------------------------------- the page


@pytest.fixture(scope="module")
def drawn(filled: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[tuple[Any, Any], DriftCheck]:
    """A verdict with Evidently's report."""
    pytest.importorskip("evidently")
    folder = tmp_path_factory.mktemp("drawn") / "place"
    shutil.copytree(filled, folder)
    place = ports(folder)
    return place, run(place, reporter=engines.drift_reporter())


def test_evidently_finds_the_scores_and_verdicts_that_are_stored(drawn: tuple[tuple[Any, Any], DriftCheck]) -> None:
    place, found = drawn
    stored_page = json.loads(place[0].read(found.report.replace(".html", ".json")))
    scores = {metric["config"]["column"]: metric["value"] for metric in stored_page["metrics"]}
    stored = rows(place).set_index("name")
    assert scores == pytest.approx(stored["score"].to_dict(), rel=5e-9)  # which has nine significant digits
    failed = sum(test["status"] == "FAIL" for test in stored_page["tests"])
    assert len(stored_page["tests"]) == len(stored)
    assert failed == stored["drifted"].sum()


def test_the_page_opens_offline_and_shows_the_stored_scores(drawn: tuple[tuple[Any, Any], DriftCheck]) -> None:
    playwright = pytest.importorskip("playwright.sync_api")
    if not CHROMIUM.is_file():
        pytest.skip(f"{CHROMIUM} is not there")
    place, found = drawn
    page_file = Path(place[0].url.removeprefix("file://")) / found.report
    asked: list[str] = []
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_context(offline=True).new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.goto(page_file.as_uri())
        page.wait_for_function(f"document.body.innerText.includes({found.rows['name'].iloc[-1]!r})", timeout=120_000)
        page.wait_for_function("document.body.innerText.includes('Drift score: ')", timeout=120_000)
        text = " ".join(page.inner_text("body").split())
        browser.close()
    assert not [url for url in asked if not url.startswith(("file:", "data:", "blob:"))]
    for name, score in zip(found.rows["name"], found.rows["score"], strict=True):
        begins, shows = ("Drift in column '{}'", "Drift score: {:g} ")
        if name not in COLUMNS:
            begins, shows = ("Mean value of '{}'", "current: {:.3f}, ")
        _, _, after = text.partition(begins.format(name))
        assert shows.format(round(score, 3)) in after[:200], name


# ---------------------------------------------------------------- the command


def test_the_command_says_the_verdict_and_where_the_report_lies(
    workspace: Path, filled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(filled, workspace / ".tickercast")
    monkeypatch.setattr(engines, "drift_reporter", Plain)
    first = CliRunner().invoke(app, ["drift", "--day", str(DAY)])
    assert first.exit_code == 0, first.output
    assert "2012-08-15: no drift from tickercast-lstm version 1" in first.stdout
    assert "reports/drift/2012-08-15/tickercast-lstm-1-" in first.stdout
    again = CliRunner().invoke(app, ["drift", "MSFT"])
    assert "from an earlier run" in again.stdout


def test_without_evidently_the_command_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    find: Callable[[str], Any] = engines.importlib.util.find_spec  # type: ignore[attr-defined]
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "evidently" else find(name))
    with pytest.raises(UsageError, match="needs evidently, which is not installed"):
        engines.drift_reporter()


def test_the_champion_that_is_read_for_serving_carries_no_reference(place: tuple[Any, Any]) -> None:
    assert models_of(place[0]).champion().reference == b""
