"""Directions are stored with the event of an hourly file, once, and scored when the hour comes true."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from tests.support.hourly import make_hours
from tests.support.place import Place
from typer.testing import CliRunner, Result

from tickercast.app import App
from tickercast.cli import directions as commands
from tickercast.config import Settings
from tickercast.domain.bars import Bars
from tickercast.domain.files.hour_files import hours_parquet
from tickercast.domain.frequency import DAILY, HOURLY
from tickercast.domain.hourly.direction_inputs import LEAST
from tickercast.domain.measures.direction import DIRECTION
from tickercast.errors import BundleError, ModelUnavailable, WarehouseUnavailable
from tickercast.jobs.serving.directions import Asked, predict_directions
from tickercast.ports import ObjectFinalized

START = datetime(2022, 1, 3, tzinfo=UTC)
COINS = [make_hours(symbol, hours=LEAST + 30, seed=seed) for symbol, seed in (("BTCUSDT", 1), ("ETHUSDT", 2))]


def site(folder: Path, models: str = f"champion,{DIRECTION}") -> App:
    settings = Settings(bucket=f"file://{folder}/bucket", warehouse=f"duckdb://{folder}/w.duckdb", models=models)
    made = App(settings, now=lambda: START + timedelta(hours=LEAST + 30))
    made.provision()
    return made


def event(app: App, ahead: int, series: Sequence[Bars] = COINS, first: int | None = None) -> ObjectFinalized:
    """The file that holds the bars up to some hours after the first one that can be forecast from."""
    last = LEAST + ahead
    files = [bars.rows(ahead if first is None else first, last) for bars in series]
    name = f"ohlc/1h/{START + timedelta(hours=last):%Y-%m-%dT%H}/batch-0001.parquet"
    generation = app.silent_store.write(name, hours_parquet(files))
    return ObjectFinalized("bucket", name, generation, written_at=app.now())


def stored(app: App, name: str = "directions") -> pd.DataFrame:
    return app.tables.read(name).sort_values(["symbol", "cutoff_at"], ignore_index=True)


def test_an_hourly_file_has_a_direction_for_each_symbol(tmp_path: Path) -> None:
    app = site(tmp_path)
    assert not app.handle(event(app, 0)).failures
    made = stored(app)
    assert list(made["symbol"]) == ["BTCUSDT", "ETHUSDT"]
    assert made["prob_up"].between(0.3, 0.7).all()
    assert set(made["cutoff_at"]) == {pd.Timestamp(START + timedelta(hours=LEAST))}
    assert set(made["target_at"]) == {pd.Timestamp(START + timedelta(hours=LEAST + 1))}
    assert set(made["cutoff"].dt.date) == {date(2022, 2, 2)}
    assert set(made["model_name"] + " " + made["model_version"]) == {f"{DIRECTION} 1"}
    assert made["model_has_seen"].all()  # the shipped model was trained through June 2022
    [one, other] = app.handle(event(app, 1)).series
    assert not one.findings
    assert not other.findings
    assert len(stored(app)) == 4


def test_a_direction_is_that_of_the_bars_up_to_its_hour(tmp_path: Path) -> None:
    app = site(tmp_path)
    app.handle(event(app, 3))
    model = app._direction(HOURLY)
    assert model is not None
    expected = [model.predict([bars.rows(3, LEAST + 3)])[0] for bars in COINS]
    np.testing.assert_allclose(stored(app)["prob_up"], expected, atol=1e-6)


def test_whatever_is_not_asked_for_has_none(tmp_path: Path) -> None:
    app = site(tmp_path, "champion")
    app.handle(event(app, 0))
    assert stored(app).empty
    assert app._direction(HOURLY) is None
    assert not app.silent_store.names("models/direction")
    assert site(tmp_path / "days")._direction(DAILY) is None


def test_the_hours_of_a_day_are_scored_once_in_any_order_twice_and_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sites = [site(tmp_path / name) for name in ("in-order", "shuffled")]
    orders = [list(range(25)), list(np.random.default_rng(2).permutation(25))]
    for app, order in zip(sites, orders, strict=True):
        for number, ahead in enumerate(order):
            one = event(app, int(ahead))
            if app is sites[1] and number % 3 == 0:
                _interrupt(app, one, monkeypatch, "scores" if number % 2 else "ingestions")
            app.handle(one)
            app.handle(one)
    names = ["symbol", "cutoff_at", "prob_up", "actual_close", "move", "went_up", "is_right", "brier", "log_loss"]
    straight, mixed = (stored(app, "direction_scores")[names] for app in sites)
    pd.testing.assert_frame_equal(straight, mixed)
    assert len(straight) == 2 * 24
    assert len(stored(sites[1])) == 2 * 25
    close = COINS[0].columns["close"][LEAST - 1 : LEAST + 24]
    np.testing.assert_allclose(straight["move"][:24], np.diff(np.log(close)), rtol=1e-6)


def _interrupt(app: App, one: ObjectFinalized, monkeypatch: pytest.MonkeyPatch, at: str) -> None:
    """Handle an event up to a write, which fails."""
    tables = app._event_tables
    together, append = tables.append_together, tables.append

    def fail(names: Any) -> None:
        if at in names:
            raise WarehouseUnavailable("gone")

    def append_together(rows: Any, *, key: str) -> None:
        fail(rows)
        together(rows, key=key)

    def append_one(table: str, rows: Any, *, key: str) -> bool:
        fail([table])
        return append(table, rows, key=key)

    with monkeypatch.context() as broken:
        broken.setattr(tables, "append_together", append_together)
        broken.setattr(tables, "append", append_one)
        try:
            app.handle(one)
        except WarehouseUnavailable:
            return
    assert at == "scores", "an event that scores nothing writes no scores"


class Broken:
    name, version, trained_through = DIRECTION, "1", date(2020, 1, 1)

    def __init__(self, answer: float | Exception) -> None:
        self._answer = answer

    def predict(self, series: Sequence[Bars]) -> NDArray[np.float64]:
        if isinstance(self._answer, Exception):
            raise self._answer
        return np.full(len(series), self._answer)


@pytest.mark.parametrize(("days", "has_seen"), [(-1, False), (0, True)])
def test_the_hours_of_the_last_day_that_a_model_learned_from_count_as_seen(days: int, has_seen: bool) -> None:
    model = Broken(0.6)
    model.trained_through = COINS[0].cutoff + timedelta(days=days)
    rows, _ = predict_directions(model, [Asked(COINS[0], is_doubtful=False)])
    assert rows["model_has_seen"].to_pylist() == [has_seen]


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (Broken(RuntimeError("no\nsession")), "xgb-direction made no forecast: RuntimeError: no session"),
        (Broken(float("nan")), "xgb-direction made no forecast: it answered nan, and no probability"),
        (Broken(1.01), "xgb-direction made no forecast: it answered 1.01, and no probability"),
        (BundleError("The trees are damaged."), "no direction is forecast: The trees are damaged"),
        (ModelUnavailable("Nothing is published."), "no direction is forecast: Nothing is published"),
    ],
)
def test_a_model_that_fails_leaves_a_finding_and_the_champion_goes_on(place: Place, model: Any, said: str) -> None:
    def direction(_: object) -> Any:
        if isinstance(model, Exception):
            raise model
        return model

    place.direction = direction
    outcome = place.handle(
        place.upload("ohlc/1h/2022-02-03T00/BTCUSDT.parquet", hours_parquet([COINS[0].rows(0, LEAST)]))
    )
    assert [one.bars.symbol for one in outcome.series] == ["BTCUSDT"]
    assert not outcome.series[0].is_doubtful
    [entry] = place.warehouse.read("ingestions").to_dict("records")
    assert entry["status"] == "forecast"
    assert said in entry["findings"]
    assert place.warehouse.read("directions").empty


def test_a_short_history_has_a_forecast_and_no_direction(tmp_path: Path) -> None:
    app = site(tmp_path)
    outcome = app.handle(event(app, 0, first=300))
    assert not outcome.failures
    assert stored(app).empty
    [finding] = [found for found in outcome.series[0].findings if found.check == "companion"]
    assert finding.text.startswith("xgb-direction made no forecast: BTCUSDT has 444 hours of bars: 744 were needed")


def test_another_version_is_served_once_the_pointer_names_it(tmp_path: Path) -> None:
    app = site(tmp_path)
    shipped = app.direction_store.shipped
    newer = shipped.registered(version="2", run_id="run")
    app.direction_store.write(newer)
    app.direction_store.point(app.direction_store.pointer().pointing("2"))
    app.handle(event(app, 0))
    assert set(stored(app)["model_version"]) == {"2"}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_the_command_says_which_symbols_have_no_direction_and_which_have_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = site(tmp_path)
    monkeypatch.setattr(commands, "open_app", lambda: app)

    def run(*words: str) -> Result:
        return CliRunner().invoke(commands.app, words)

    assert "No direction is stored. Set TICKERCAST_MODELS=" in run("ZZZUSDT").stderr
    app.handle(event(app, 0))
    both, other = run("btcusdt", "ZZZUSDT"), run("ZZZUSDT")
    for done in (both, other):
        assert done.exit_code == 1
        assert done.stderr == "No direction of ZZZUSDT is stored; there are BTCUSDT, ETHUSDT.\n"
    assert "BTCUSDT" in both.stdout
    assert run("BTCUSDT").exit_code == 0
