"""Companions are stored and scored beside the champion, which neither fails nor waits for them."""

import subprocess
import sys
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from tests.support.place import AT, Champion, Place, RandomWalk
from tests.support.warehouse_rows import append, forecast, ingestion

from tickercast.app import App
from tickercast.cli import run
from tickercast.config import Settings
from tickercast.domain.bars import Bars
from tickercast.domain.files.price_files import to_csv
from tickercast.domain.forecast import QUANTILES, Role, Served
from tickercast.errors import UsageError, WarehouseUnavailable
from tickercast.jobs.requests.request_forecast import request_forecast
from tickercast.jobs.serving.attempts import noted
from tickercast.jobs.serving.handle_event import Limits
from tickercast.reading.forecasts import stored_forecasts

MakeBars = Callable[..., Bars]
NAME = "ohlc/2023-07-22/batch-0001.csv"


class Beside(Champion):
    """A companion that answers as it is told."""

    name = "beside"
    version = "1"

    def __init__(self, answer: Callable[[Bars], NDArray[np.float64]] | None = None) -> None:
        self._answer = answer
        self.asked: list[str] = []

    def predict(self, series: Sequence[Bars]) -> NDArray[np.float64]:
        self.asked += [bars.symbol for bars in series]
        return np.array([self._answer(bars) for bars in series]) if self._answer else super().predict(series)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def serve(place: Place, *companions: Champion) -> None:
    beside = [Served(model, Role.COMPANION) for model in companions]
    place.served = lambda: [Served(Champion(), Role.CHAMPION), Served(RandomWalk(), Role.BASELINE), *beside]


def send(place: Place, make_bars: MakeBars, *symbols: str) -> None:
    series = [make_bars(symbol=symbol) for symbol in symbols]
    outcome = place.handle(place.upload(NAME, to_csv(series)))
    assert not outcome.failures


def made(place: Place) -> dict[str, set[str]]:
    """The symbols that each model has forecast, of which each has all steps."""
    rows = place.warehouse.read("forecasts")
    assert set(rows.groupby(["model_name", "symbol"]).size()) == {10}
    return {str(name): set(found["symbol"]) for name, found in rows.groupby("model_name")}


def findings(place: Place) -> dict[str, str | None]:
    rows = place.warehouse.read("ingestions")
    assert set(rows["status"]) == {"forecast"}
    return dict(zip(rows["symbol"], rows["findings"], strict=True))


def test_a_companion_is_stored_with_its_role(place: Place, make_bars: MakeBars) -> None:
    serve(place, Beside())
    send(place, make_bars, "MSFT", "META")
    assert made(place) == {name: {"MSFT", "META"} for name in ("champion", "random-walk", "beside")}
    rows = place.warehouse.read("latest_forecasts", {"model_name": "beside"})
    assert set(rows["role"]) == {"companion"}
    assert place.warehouse.read("ingestions")["findings"].isna().all()


def test_the_current_forecasts_hold_one_champion_and_each_model_in_the_role_that_it_has_now(
    place: Place, make_bars: MakeBars
) -> None:
    serve(place, Beside())
    send(place, make_bars, "MSFT")
    champion, walk, beside = place.served()
    swapped = [replace(beside, role=Role.CHAMPION), walk, replace(champion, role=Role.COMPANION)]

    def current() -> dict[str, set[str]]:
        rows = place.warehouse.read("latest_forecasts")
        assert len(rows) == 30
        return {str(role): set(found["model_name"]) for role, found in rows.groupby("role")}

    assert current() == {"champion": {"champion"}, "companion": {"beside"}, "baseline": {"random-walk"}}
    place.served = lambda: swapped
    bars = make_bars(symbol="MSFT", last=date(2023, 7, 24), sessions=401)
    place.now += timedelta(days=3)
    place.handle(place.upload("ohlc/2023-07-24/MSFT.csv", to_csv([bars])))
    assert current() == {"champion": {"beside"}, "companion": {"champion"}, "baseline": {"random-walk"}}


def test_a_companion_that_fails_on_a_symbol_leaves_a_finding_there_and_no_doubt(
    place: Place, make_bars: MakeBars
) -> None:
    def answer(bars: Bars) -> NDArray[np.float64]:
        if bars.symbol == "META":
            raise RuntimeError("no\nconvergence; none at all")
        return np.tile(np.linspace(-0.1, 0.1, len(QUANTILES)), (10, 1))

    serve(place, Beside(answer))
    send(place, make_bars, "MSFT", "META")
    assert made(place)["beside"] == {"MSFT"}
    assert made(place)["champion"] == {"MSFT", "META"}
    said = findings(place)
    assert said["META"] == "companion: beside made no forecast: RuntimeError: no convergence; none at all"
    assert pd.isna(said["MSFT"])
    assert not place.warehouse.read("forecasts")["doubtful"].any()


@pytest.mark.parametrize(
    "answer",
    [
        np.zeros((9, len(QUANTILES))),
        np.full((10, len(QUANTILES)), np.nan),
        np.full((10, len(QUANTILES)), 1000.0),
        np.tile(np.linspace(0.1, -0.1, len(QUANTILES)), (10, 1)),
    ],
)
def test_what_is_no_distribution_is_not_stored(place: Place, make_bars: MakeBars, answer: NDArray[np.float64]) -> None:
    serve(place, Beside(lambda bars: answer))
    send(place, make_bars, "MSFT")
    assert made(place) == {"champion": {"MSFT"}, "random-walk": {"MSFT"}}
    assert "beside made no forecast: its " in str(findings(place)["MSFT"])


def test_a_series_too_short_for_a_companion_is_forecast_by_the_champion(place: Place, make_bars: MakeBars) -> None:
    longer = Beside()
    longer.min_sessions = 401
    serve(place, longer)
    send(place, make_bars, "MSFT")
    assert findings(place)["MSFT"] == ("companion: beside made no forecast: it needs 401 sessions, and 400 were sent")
    assert not longer.asked


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """Opened when the test is over, so that no thread stays."""
    opened = threading.Event()
    yield opened
    opened.set()
    for thread in threading.enumerate():
        if thread.name == "companions":
            thread.join(10)


def test_a_companion_that_hangs_is_left_behind_with_what_it_has_done(
    place: Place, make_bars: MakeBars, gate: threading.Event
) -> None:
    def answer(bars: Bars) -> NDArray[np.float64]:
        if bars.symbol == "META":
            gate.wait()
        return np.tile(np.linspace(-0.1, 0.1, len(QUANTILES)), (10, 1))

    slow, starved = Beside(answer), Beside()
    starved.name = "starved"
    serve(place, slow, starved)
    place.limits = Limits(companions=timedelta(seconds=0.2))
    send(place, make_bars, "IBM", "META", "MSFT")
    assert made(place)["champion"] == {"IBM", "META", "MSFT"}
    assert made(place)["beside"] == {"IBM"}
    assert "starved" not in made(place)
    said = findings(place)
    assert "beside made no forecast: it was not ready after 0.2 s" in str(said["MSFT"])
    assert "raise TICKERCAST_COMPANION_DEADLINE_S; companion: starved made no" in str(said["META"])
    assert "beside" not in str(said["IBM"])
    gate.set()
    for thread in threading.enumerate():
        if thread.name == "companions":
            thread.join(10)
    assert (slow.asked, starved.asked) == (["IBM", "META"], [])  # it stops once its fit has ended


def test_an_event_that_comes_again_under_another_list_changes_nothing(place: Place, make_bars: MakeBars) -> None:
    serve(place, Beside())
    event = place.upload(NAME, to_csv([make_bars()]))
    place.handle(event)
    before = place.counts()
    other = Beside()
    other.name = "other"
    serve(place, other)
    assert place.handle(event).status == "duplicate"
    assert place.counts() == before
    assert not other.asked


def test_an_event_that_failed_halfway_ends_with_one_forecast_of_each_model(
    place: Place, make_bars: MakeBars, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(place, Beside())
    event = place.upload(NAME, to_csv([make_bars()]))
    append, broken = place.warehouse.append, [True]

    def fail_once(table: str, *args: object, **options: object) -> None:
        if table == "ingestions" and broken:
            broken.clear()
            raise WarehouseUnavailable("gone")
        append(table, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(place.warehouse, "append", fail_once)
    with pytest.raises(WarehouseUnavailable):
        place.handle(event)
    place.handle(event)
    assert made(place) == {name: {"MSFT"} for name in ("champion", "random-walk", "beside")}
    assert len(place.warehouse.read("ingestions")) == 1


@pytest.mark.parametrize("interrupted", ["scores", "ingestions"])
def test_an_event_that_comes_again_halfway_under_another_list_scores_what_was_stored(
    place: Place, make_bars: MakeBars, monkeypatch: pytest.MonkeyPatch, interrupted: str
) -> None:
    monkeypatch.setattr(place.warehouse, "session", lambda **_: nullcontext(False))  # as on BigQuery
    serve(place, Beside())
    event = place.upload("ohlc/2023-06-15/batch-0001.csv", to_csv([make_bars()]))  # whose closes are in the file
    together, append, broken = place.warehouse.append_together, place.warehouse.append, [True]

    def fail_once(tables: Collection[str]) -> None:
        if interrupted in tables and broken:
            broken.clear()
            raise WarehouseUnavailable("gone")

    def append_together(rows: Any, *, key: str) -> None:
        fail_once(rows)
        together(rows, key=key)

    def append_one(table: str, rows: Any, *, key: str) -> bool:
        fail_once([table])
        return append(table, rows, key=key)

    monkeypatch.setattr(place.warehouse, "append_together", append_together)
    monkeypatch.setattr(place.warehouse, "append", append_one)
    with pytest.raises(WarehouseUnavailable):
        place.handle(event)
    other = Beside()
    other.name = "other"
    serve(place, other)
    place.handle(event)
    assert set(made(place)) == {"champion", "random-walk", "beside"}
    scored = place.warehouse.read("forecast_scores").groupby("model_name").size()
    assert scored.to_dict() == {"champion": 10, "random-walk": 10, "beside": 10}


def test_a_companion_that_ends_the_process_is_left_out_of_the_next_attempt(place: Place, make_bars: MakeBars) -> None:
    def crash(bars: Bars) -> NDArray[np.float64]:
        raise AssertionError("asked again")

    crashing = Beside(crash)
    serve(place, crashing)
    event = replace(place.upload(NAME, to_csv([make_bars()])), size=0)
    attempt = noted(event, place.store, AT)
    attempt.__enter__()  # the process ends here
    place.now = AT + timedelta(minutes=1)
    assert not place.handle(event).failures
    assert not crashing.asked
    assert made(place) == {"champion": {"MSFT"}, "random-walk": {"MSFT"}}
    assert "an earlier attempt at the file has ended the function's instance" in str(findings(place)["MSFT"])


# ---------------------------------------------------------------- the setting


def open_in(folder: Path, models: str) -> App:
    settings = Settings(
        bucket=f"file://{folder}/bucket", warehouse=f"duckdb://{folder}/w.duckdb", source="sample", models=models
    )
    return App(settings)


def test_the_models_of_the_setting_are_forecast_and_one_is_shown(tmp_path: Path) -> None:
    app = open_in(tmp_path, "champion,historical-simulation, ewma-t")
    shown = app.forecast(["MSFT", "IBM"], "2012-08-15", model="ewma-t", actual=True)
    assert [(one.symbol, one.model_name, one.role) for one in shown] == [
        ("MSFT", "ewma-t", Role.COMPANION),
        ("IBM", "ewma-t", Role.COMPANION),
    ]
    assert shown.trained_through == {}
    page = app.details(shown[0], {})
    assert page.card is None
    stored = app.query("SELECT DISTINCT model_name, role FROM forecasts ORDER BY model_name").to_dict("split")["data"]
    assert stored == [
        ["ewma-t", "companion"],
        ["historical-simulation", "companion"],
        ["random-walk", "baseline"],
        ["tickercast-lstm", "champion"],
    ]


def test_a_models_own_forecast_is_neither_a_shadows_nor_one_made_in_hindsight(place: Place) -> None:
    rows = [
        forecast(model_name="prophet", role="companion", generation="1", close_median=101.0),
        forecast(model_name="prophet", role="champion", origin="backfill", generation="2", close_median=102.0),
        forecast(model_name="prophet", role="shadow", generation="3", close_median=103.0),
    ]
    append(place.warehouse, "forecasts", rows, "forecasts/1")
    entry = ingestion(symbol="MSFT", status="forecast", simulated=False, cutoff=date(2023, 7, 21))
    append(place.warehouse, "ingestions", [entry], "ingestions/1")
    found = stored_forecasts(place.warehouse.read("ingestions"), place.warehouse, model="prophet")
    assert found["MSFT"].steps[0].close_median == 101.0


def test_a_model_that_this_process_does_not_serve_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    app = open_in(tmp_path, "champion,historical-simulation")
    named = "champion,historical-simulation"
    with pytest.raises(UsageError, match=f"ewma-t is not served: TICKERCAST_MODELS is {named}. Set it to {named},ewma"):
        app.forecast(["MSFT"], "2012-08-15", model="ewma-t")
    assert app.ingestions() == ([], 0)
    assert not list((tmp_path / "bucket").rglob("*.csv*"))
    for model in ("random-walk", "historical-simulation"):
        [made] = app.forecast(["MSFT"], "2012-08-15", model=model)
        assert made.model_name == model


def test_a_model_that_did_not_forecast_is_a_reason(tmp_path: Path) -> None:
    app = open_in(tmp_path, "champion")
    made = request_forecast(
        ["MSFT"],
        date(2012, 8, 15),
        source=app.market_data(),
        store=app.store,
        warehouse=app.warehouse,
        models=app.models,
        now=app.now,
        patience=app.patience,
        model="ewma-t",
    )
    assert not made
    assert str(made.failures["MSFT"]).startswith("MSFT is forecast by the champion, and not by ewma-t: it was not")


def test_a_package_that_is_missing_leaves_a_finding_and_doctor_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tickercast.models.statistical.importlib.util.find_spec", lambda name: None)
    app = open_in(tmp_path, "champion,prophet")
    made = app.forecast(["MSFT"], "2012-08-15")
    assert made[0].model_name == "tickercast-lstm"
    assert "companion: prophet made no forecast: The model prophet needs prophet, which" in made[0].findings
    said = {check.name: check for check in app.doctor()}["companions"]
    assert not said.well
    assert "prophet needs prophet" in said.answer


@pytest.mark.parametrize(
    ("listed", "said"),
    [
        ("champion,ewma-t,historical-simulation", "ewma-t, historical-simulation"),
        ("champion", "none: only the champion and the random walk are served"),
    ],
)
def test_doctor_lists_the_companions(tmp_path: Path, listed: str, said: str) -> None:
    check = {check.name: check for check in open_in(tmp_path, listed).doctor()}["companions"]
    assert (check.well, check.answer) == (True, said)


@pytest.mark.parametrize(
    ("listed", "said"),
    [
        (
            "champion,profet",
            "TICKERCAST_MODELS names 'profet', and models are served by the names champion",
        ),
        ("ewma-t", "TICKERCAST_MODELS is 'ewma-t', without the champion, which is always served. Add champion to it."),
    ],
)
def test_a_list_that_cannot_be_served_is_one_sentence_at_start(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], listed: str, said: str
) -> None:
    monkeypatch.setenv("TICKERCAST_MODELS", listed)
    with pytest.raises(SystemExit) as left:
        run(["forecast", "MSFT", "2012-08-15", "--source", "sample"])
    assert left.value.code == 2
    assert said in " ".join(capsys.readouterr().err.split())
    assert list(workspace.iterdir()) == []


def test_a_model_that_nobody_serves_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"'profet' is no model that can be served: .* Did you mean prophet\?"):
        open_in(tmp_path, "champion").forecast(["MSFT"], "2012-08-15", model="profet")


def test_without_companions_nothing_of_theirs_is_imported(tmp_path: Path) -> None:
    script = (
        "import sys; from tickercast.app import App; "
        "App().forecast(['MSFT'], '2012-08-15', source='sample'); "
        "print(sorted(sys.modules.keys() & {'prophet', 'statsforecast', 'arch', 'tickercast.models.statistical'}))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
