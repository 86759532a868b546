"""The hourly run: tables of the month, the newest hour's forecast, and what came true."""

import functools
import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import typer
from tests.support.hourly import Memory, make_hours
from tests.support.warehouse_rows import append, ingestion, score

from tickercast.app import App
from tickercast.cli.hourly import print_hour
from tickercast.config import Settings
from tickercast.domain.bars import Bars
from tickercast.domain.cards.model_card import Bundle, Pointer
from tickercast.domain.forecast import Role
from tickercast.domain.frequency import HOURLY
from tickercast.domain.measures.drift import OF_HOURS, DriftFinding
from tickercast.errors import LeaseHeld, LeaseLost, SourceUnavailable, UsageError
from tickercast.jobs.champion.decisions import Decided
from tickercast.jobs.daily.lease import TERM, Lease, lease
from tickercast.jobs.hourly import run_hour as run_hour_module
from tickercast.jobs.hourly.refresh import Refreshed, refresh
from tickercast.jobs.hourly.run_hour import Hour, Upkeep
from tickercast.jobs.operations.alerts import SentAlerts
from tickercast.jobs.operations.drift import DriftCheck
from tickercast.model_store import ModelStore
from tickercast.models.hourly.volatility import fit
from tickercast.ports import DriftReport
from tickercast.show.day import upkeep_lines

YEAR = 24 * 420
"""Hours from 2022-01-03 on: a year and the history before it."""

NOW = datetime(2023, 2, 3, 10, 2, tzinfo=UTC)


class Site(App):
    """An application whose clock and source are the test's."""

    def __init__(self, folder: Path, series: list[Bars]) -> None:
        settings = Settings(bucket=f"file://{folder}/bucket", warehouse=f"duckdb://{folder}/w.duckdb")
        self.moment, self.held = NOW, Memory(series)
        super().__init__(settings, now=lambda: self.moment)

    def source_of(self, source: str, frequency: object) -> Memory:
        return self.held


@pytest.fixture(scope="module")
def coins() -> list[Bars]:
    return [make_hours(symbol, hours=YEAR, seed=seed) for symbol, seed in (("BTCUSDT", 1), ("ETHUSDT", 2))]


@pytest.fixture
def app(tmp_path: Path, coins: list[Bars]) -> Site:
    """An application whose models have been looked after today."""
    site = Site(tmp_path, coins)
    site.models.store.write("decisions/hourly/2023-02-02/upkeep.json", b"{}")
    return site


class Plain:
    """A reporter that draws nothing."""

    def report(self, seen: pd.DataFrame, sample: pd.DataFrame, findings: Sequence[DriftFinding]) -> DriftReport:
        assert set(seen.columns) == set(sample.columns) == {finding.name for finding in findings}
        return DriftReport(b"<html>", b"{}")


@pytest.fixture(scope="module")
def looked_after(tmp_path_factory: pytest.TempPathFactory, coins: list[Bars]) -> tuple[Site, Hour]:
    """An application that ran in an hour of January and in one of February, and the latter."""
    site = Site(tmp_path_factory.mktemp("hours"), coins)
    site.__dict__["drift_reporter"] = Plain()
    site.models.store.write("decisions/hourly/2023-01-25/upkeep.json", b"{}")
    site.moment = NOW - timedelta(days=8)
    site.run_hour(["BTCUSDT", "ETHUSDT"])
    site.moment = NOW
    return site, site.run_hour(["BTCUSDT", "ETHUSDT"])


def test_a_day_of_hours_is_checked_for_drift_once(looked_after: tuple[Site, Hour]) -> None:
    app, hour = looked_after
    found = hour.upkeep.drift
    assert isinstance(found, DriftCheck)
    assert (found.day, found.model_name, found.model_version) == (date(2023, 2, 2), "har-season", "3")
    rows = app.tables.read("drift")
    assert set(rows["frequency"]) == {"1h"}
    assert set(rows["name"]) == set(OF_HOURS.columns)
    assert not found.reasons, "the coins are simulated by the process that was learned from"
    daily = app.tables.read("drift_daily", {"frequency": "1h"})
    assert dict(zip(daily["kind"], daily["n"], strict=True)) == {"input": 18, "prediction": 4}
    again = app.check_drift(["BTCUSDT", "ETHUSDT"], frequency=HOURLY)
    assert not again.new
    assert again.rows.equals(found.rows)
    hour = app.run_hour(["BTCUSDT", "ETHUSDT"])
    assert hour.upkeep == Upkeep()


def overtaken(app: Site, lock: str) -> None:
    """Let the clock jump, as after a laptop's sleep, and another run have taken a lock meanwhile."""
    app.moment += 2 * TERM
    other = Lease(machine="another", process=1, until=app.moment + TERM)
    app.models.store.write(f"locks/{lock}.json", other.model_dump_json().encode())


def test_an_hour_that_lost_its_lock_stops(app: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_hour_module, "refresh", lambda *_, **__: overtaken(app, run_hour_module.LOCK))
    with pytest.raises(LeaseLost, match=r"is another run's by now, .* This one stops"):
        app.run_hour(["BTCUSDT"])
    assert not app.store.names("ohlc/")
    assert app.models.store.names("locks/") == ["locks/hourly.json"], "that of the other"


def test_an_upkeep_that_lost_its_lock_stops_and_is_left_to_the_next_hour(
    tmp_path: Path, coins: list[Bars], monkeypatch: pytest.MonkeyPatch
) -> None:
    app, steps = Site(tmp_path, coins), list[str]()

    def called(name: str) -> Callable[..., None]:
        return lambda *_, **__: steps.append(name) or overtaken(app, run_hour_module._UPKEEP_LOCK)

    for name in ("check_drift", "retrain_networks", "review_champion", "send_alerts"):
        monkeypatch.setattr(run_hour_module, name, functools.wraps(getattr(run_hour_module, name))(called(name)))
    learning = run_hour_module.Learning(*[called("learning")] * 4)
    done = run_hour_module._look_after(["BTCUSDT"], app.held, app, learning, lambda job: job)
    assert done.left.startswith("left to the next hour. The lock of hourly-upkeep is another run's by now")
    assert len(steps) == 1, "nothing after it was lost"
    assert not app.models.store.names("decisions/"), "the next hour begins it again"


def test_the_spelling_of_a_coin_keeps_its_hours_from_no_check(looked_after: tuple[Site, Hour]) -> None:
    found = looked_after[0].check_drift(["BTCUSDT", "BTC-USD"], frequency=HOURLY)
    assert found.skipped == {"BTC-USD": "BTC-USD has no recent bars up to 2023-02-02 in the warehouse."}


def test_performance_of_hours_is_that_of_the_last_week_of_all_versions(looked_after: tuple[Site, Hour]) -> None:
    app, _ = looked_after
    ends = [datetime(2023, 2, 1, tzinfo=UTC) - timedelta(hours=number) for number in range(168)]
    of = {"frequency": "1h", "role": "champion", "model_name": "har-season", "model_version": "2", "simulated": False}
    of |= {"origin": "live", "model_has_seen": False, "doubtful": False}
    rows = [
        score("BTCUSDT", **of, cutoff=end.date(), cutoff_at=end, step=step, target_date=end.date())
        | {"target_at": end + timedelta(hours=step), "actual_close": 100.0 if step % 2 else 200.0}
        for end in ends
        for step in range(1, 25)
    ]
    append(app.tables, "scores", rows, "scores")
    app.moment += timedelta(days=1)
    found = app.check_drift(["BTCUSDT"], frequency=HOURLY)
    app.moment = NOW
    by_name = found.rows.set_index("name")
    stored = app.tables.read("forecast_scores", {"model_version": "2", "role": "champion", "cutoff_at": ends})
    own, walk = ((stored[name] / stored["scale"]).mean() for name in ("loss", "walk_loss"))
    assert by_name.loc["loss_to_walk", "score"] == pytest.approx(own / walk, rel=0.01)  # one hour was forecast, too
    assert by_name.loc["coverage_80", "score"] == pytest.approx(0.5, abs=0.01)
    assert found.drifted
    forecast = {"symbol": "BTCUSDT", "frequency": "1h", "status": "forecast", "origin": "live", "simulated": False}
    hours = [ingestion(str(number), **forecast, received_at=NOW, cutoff_at=ends[number]) for number in range(24)]
    append(app.tables, "ingestions", hours, "hours")
    alerts = {alert.key: alert for alert in app.open_alerts()}
    assert alerts["drift:performance-1h"].title == "The hourly performance has drifted"
    assert alerts["champion:served-1h"].title == "har-season 3 is served for hours"
    assert "coverage:80-1h" not in alerts, "a week is too short"


def test_the_alerts_of_an_hour_are_those_of_the_watchlist(
    looked_after: tuple[Site, Hour], monkeypatch: pytest.MonkeyPatch
) -> None:
    app, _ = looked_after
    asked: list[object] = []
    monkeypatch.setattr(run_hour_module, "send_alerts", lambda **given: asked.append(given["watchlist"]))
    monkeypatch.setattr(app, "watched", lambda: ["MSFT"])
    run_hour_module._alerted(app, lambda job: job)
    assert asked == [["MSFT"]]


def test_what_fails_unexpectedly_is_said_and_stops_neither_the_forecasts_nor_the_steps_after_it(
    app: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise KeyError("brier")

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for name in ("refresh", "check_drift", "recorded_decision", "review_champion"):
        monkeypatch.setattr(run_hour_module, name, broken)
    monkeypatch.setattr(app, "trades", broken)
    app.serves_direction = True
    monkeypatch.setattr(app, "refit_direction", broken)
    app.__dict__["drift_reporter"] = Plain()
    app.moment += timedelta(days=1)  # they were not looked after yet
    hour = app.run_hour(["BTCUSDT"])
    assert len(hour.made) == 1
    done = hour.upkeep
    failed = [hour.remark, *hour.traded.values(), done.refit, done.drift, done.trained, done.decided]
    for said in failed:
        told, _, file = str(said).partition(". The details are in ")
        assert told == "it failed unexpectedly"
        assert Path(file.removesuffix(".")).read_text().rstrip().endswith("KeyError: 'brier'")
    assert len(failed) == 6
    assert list(hour.undone) == ["tables", "directions", "decision", "on paper"]
    with pytest.raises(typer.Exit) as ended:
        print_hour(hour)
    assert ended.value.exit_code == 1
    assert isinstance(done.alerts, SentAlerts)


def test_a_month_of_hours_is_decided_once_and_said(looked_after: tuple[Site, Hour]) -> None:
    app, hour = looked_after
    decided = hour.upkeep.decided
    assert isinstance(decided, Decided)
    assert (decided.decision, decided.day, decided.champion_version) == ("kept", date(2023, 1, 31), "3")
    assert decided.origins > 1000
    [row] = app.tables.read("retrains").to_dict("records")
    assert (row["frequency"], row["model_name"]) == ("1h", "har-season")
    assert hour.upkeep.trained == "the networks learned up to 2022-06-30: nothing was due"
    lines = list(upkeep_lines(hour.upkeep))
    assert [line.split()[0] for line in lines] == ["drift", "training", "decision", "alerts"]
    app.moment += timedelta(days=1)
    again = list(upkeep_lines(app.run_hour(["BTCUSDT", "ETHUSDT"]).upkeep))
    app.moment = NOW
    assert "decision    the half-year to 2023-01-31 has been reviewed: kept" in again


def test_the_first_hour_of_a_month_serves_tables_of_the_year_before_it(app: Site) -> None:
    hour = app.run_hour(["BTCUSDT", "ETHUSDT"])
    assert hour.refreshed
    assert hour.refreshed.through == date(2023, 1, 31)
    assert set(hour.refreshed.versions) == {
        "har-season 2", "ewma-season 2", "tickercast-lstm-1h 2", "tickercast-plain-1h 2"
    }  # fmt: skip
    pointer = app.hourly_store.pointer()
    assert (pointer.name, pointer.version) == ("har-season", "2")
    assert {(one.name, one.version, one.role) for one in pointer.served} == {
        ("random-walk", "1", Role.BASELINE),
        ("ewma-season", "2", Role.BASELINE),
        ("tickercast-lstm-1h", "2", Role.COMPANION),
        ("tickercast-plain-1h", "2", Role.COMPANION),
    }
    bundle = app.hourly_store.champion()
    assert bundle.card.trained_through == date(2023, 1, 31)
    assert bundle.card.hour_tables != app.hourly_store.shipped.card.hour_tables
    assert [made.symbol for made in hour.made] == ["BTCUSDT", "ETHUSDT"]
    assert {made.end for made in hour.made} == {datetime(2023, 2, 3, 10, tzinfo=UTC)}
    assert {made.model_version for made in hour.made} == {"2"}


def test_the_tables_serve_the_whole_month_and_each_hour_scores_the_ones_before(app: Site) -> None:
    app.run_hour(["BTCUSDT"])
    for _ in range(3):
        app.moment += timedelta(hours=1)
        hour = app.run_hour(["BTCUSDT"])
        assert hour.refreshed
        assert not hour.refreshed.versions
    scores = app.tables.read("forecast_scores", {"role": Role.CHAMPION})
    assert len(scores) == 3 + 2 + 1
    app.moment = datetime(2023, 2, 20, tzinfo=UTC)
    assert app.hourly_store.pointer().version == "2"


def test_an_hour_that_was_missed_brings_its_bars_and_scores_with_the_next(app: Site) -> None:
    app.run_hour(["BTCUSDT"])
    app.moment += timedelta(hours=5)
    app.run_hour(["BTCUSDT"])
    assert len(app.tables.read("forecast_scores", {"role": Role.CHAMPION})) == 5


def test_a_source_that_is_too_short_for_new_tables_leaves_the_earlier_ones_and_forecasts(
    tmp_path: Path, coins: list[Bars]
) -> None:
    app = Site(tmp_path, [bars.rows(len(bars) - 24 * 60, len(bars)) for bars in coins])
    hour = app.run_hour(["BTCUSDT"])
    assert "learned from 0 of the hours after 2022-02-01 00:00 up to 2023-02-01 00:00 UTC" in hour.remark
    assert app.hourly_store.pointer().version == "1"
    assert len(hour.made) == 1


def test_a_source_that_does_not_answer_moves_no_pointer_alerts_and_the_next_hour_goes_on(
    app: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = app.held
    sent: list[object] = []
    monkeypatch.setattr(run_hour_module, "send_alerts", lambda **given: sent.append(given["coins"]))
    monkeypatch.setattr(app, "watched_coins", lambda: ["BTCUSDT"])

    class Silent(Memory):
        def fetch(self, *_: object, **__: object) -> object:  # type: ignore[override]
            raise SourceUnavailable("Binance does not answer. Try again.")

    app.held = Silent([])
    with pytest.raises(SourceUnavailable):
        app.run_hour(["BTCUSDT"])
    assert sent == [["BTCUSDT"]]
    app.held = held
    assert app.run_hour(["BTCUSDT"]).refreshed
    np.testing.assert_array_equal(app.tables.read("latest_prices").groupby("symbol").size() > 700, [True])


def test_a_second_run_at_the_same_time_ends_and_stores_nothing(app: Site) -> None:
    with (
        lease(app.hourly_store.store, run_hour_module.LOCK, now=app.now),
        pytest.raises(LeaseHeld, match="Another run of hourly holds the lock"),
    ):
        app.run_hour(["BTCUSDT"])
    assert app.tables.read("forecasts").empty
    assert app.hourly_store.pointer().version == "1"


def test_a_training_that_lasts_holds_up_no_forecast_and_is_not_begun_again(app: Site) -> None:
    app.moment += timedelta(days=1)  # the models were not looked after yet
    with lease(app.hourly_store.store, run_hour_module._UPKEEP_LOCK, now=app.now):
        hour = app.run_hour(["BTCUSDT"])
    assert len(hour.made) == 1
    [line] = upkeep_lines(hour.upkeep)
    assert line.startswith(
        "models      left to the next hour. Another run of hourly-upkeep holds the lock in this process."
    )


def test_tables_that_came_second_are_not_said_to_be_served(app: Site) -> None:
    _ = app.warehouse
    models, point = app.hourly_store, ModelStore.point
    other = models.pointer().model_copy(update={"rolled_back_at": NOW})

    class Late(ModelStore):
        def point(self, pointer: Pointer, *, replacing: str | None = None) -> Bundle:
            point(models, other)
            return super().point(pointer, replacing=replacing)

    models.__class__ = Late
    done = refresh(["BTCUSDT"], source=app.held, models=models, fit=fit, load=app.load_bundle, now=NOW)
    assert done == Refreshed(models.champion().card.trained_through)
    assert models.pointer().version == "1"


def test_no_coin_is_a_sentence(app: Site) -> None:
    with pytest.raises(UsageError, match="TICKERCAST_HOURLY_WATCHLIST names no file: at least one coin"):
        app.run_hour([])
