"""Backfills: forecasts of past sessions, through the same job, by models that have not seen the date, and once."""

import functools
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tests.support.place import Champion, Place, RandomWalk
from tests.support.trading import shipped_bundle

from tickercast import engines
from tickercast.backends.market_data.folder import Folder
from tickercast.backends.object_store.local import LocalObjectStore
from tickercast.config import resource
from tickercast.domain.bars import Bars
from tickercast.domain.cards.model_card import Bundle, Pointer
from tickercast.domain.files.price_files import to_csv
from tickercast.domain.forecast import Origin, Predictor, Role, Served
from tickercast.errors import BundleError, StoreUnavailable, UsageError
from tickercast.jobs.requests.backfill import Backfilled, BackfillPlan, Part, plan_backfill, send_part
from tickercast.jobs.serving.past_models import Lineup, PastModels
from tickercast.model_store import ModelStore

NOW = datetime(2023, 8, 1, tzinfo=UTC)
FIRST, LAST = date(2023, 7, 3), date(2023, 7, 14)  # nine sessions: the fourth is a holiday
FLOW = Path(__file__).parents[2] / "flows" / "backfill.py"
HAS_SEEN = "the model has seen this date"

MakeFolder = Callable[..., Path]


class Answered(LocalObjectStore):
    """A bucket whose events the place handles at once."""

    def __init__(self, folder: Path, place: Place) -> None:
        super().__init__(folder, lambda described: place.handle(place.arrived(described["name"])))


class Backfill:
    """A place, and what is needed to backfill it."""

    def __init__(self, folder: Path, source: Path) -> None:
        self.place = Place(folder)
        self.place.now = NOW
        self.store = Answered(folder / "bucket", self.place)
        self.source: Any = Folder(source)

    def plan(self, *symbols: str, first: date = FIRST, last: date = LAST, **more: Any) -> BackfillPlan:
        return plan_backfill(symbols, first, last, warehouse=self.place.warehouse, now=NOW, **more)

    def run(self, *symbols: str, **more: Any) -> list[Backfilled]:
        ports = {"source": self.source, "store": self.store, "warehouse": self.place.warehouse}
        return [made for part in self.plan(*symbols, **more).parts for made in send_part(part, **ports, now=NOW)]


@pytest.fixture
def backfill(tmp_path: Path, price_folder: MakeFolder) -> Backfill:
    return Backfill(tmp_path, price_folder(["MSFT", "AAPL"], last=date(2023, 7, 31), sessions=600))


def test_every_session_is_forecast_from_by_all_models_and_accounted_for(backfill: Backfill) -> None:
    made = backfill.run("MSFT", "AAPL")
    assert [each.status for each in made] == ["forecast"] * 18
    forecasts = backfill.place.warehouse.read("forecasts")
    assert sorted(forecasts["cutoff"].dt.date.unique())[0] == FIRST
    assert len(forecasts) == 9 * 2 * 2 * 10
    assert set(forecasts["origin"]) == {Origin.BACKFILL}
    ledger = backfill.place.warehouse.read("ingestions")
    assert list(ledger["origin"]) == [Origin.BACKFILL] * 18
    scores = backfill.place.warehouse.read("forecast_scores")
    assert len(scores)
    assert scores["backfilled"].all()


def test_what_the_ledger_holds_is_not_sent_again(backfill: Backfill) -> None:
    backfill.run("MSFT", every=3)
    stored = backfill.place.counts()
    again = backfill.plan("MSFT", every=3)
    assert (again.parts, again.forecast_before) == ((), 3)
    rest = backfill.plan("MSFT")
    assert (sum(map(len, rest.parts)), rest.forecast_before) == (6, 3)
    assert backfill.place.counts() == stored


def test_a_session_that_was_forecast_at_the_time_is_left_alone(backfill: Backfill) -> None:
    bars = backfill.source.fetch(["MSFT"], date(2020, 1, 1), FIRST, advance=lambda _: None).bars["MSFT"]
    backfill.place.handle(backfill.place.upload(f"ohlc/{FIRST}/MSFT.csv", to_csv([bars])))
    assert FIRST not in {day for part in backfill.plan("MSFT").parts for day, _ in part.origins}


def test_a_backfill_that_was_stopped_is_resumed_and_leaves_nothing_behind(
    backfill: Backfill, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle, calls = backfill.place.handle, iter([None, None, StoreUnavailable("It was stopped.")])

    def stopped(event: Any) -> Any:
        if error := next(calls, None):
            raise error
        return handle(event)

    with monkeypatch.context() as patch:
        patch.setattr(backfill.place, "handle", stopped)
        with pytest.raises(StoreUnavailable):
            backfill.run("MSFT")
    names = backfill.store.names("ohlc/")
    assert len(names) == 3
    backfill.run("MSFT")
    assert set(names) <= set(backfill.store.names("ohlc/"))
    assert len(backfill.store.names("ohlc/")) == 9
    assert len(backfill.place.warehouse.read("ingestions")) == 9


def test_a_part_begins_no_further_file_once_it_is_to_end_and_the_rest_is_sent_later(backfill: Backfill) -> None:
    ports = {"source": backfill.source, "store": backfill.store, "warehouse": backfill.place.warehouse}
    [part] = backfill.plan("MSFT").parts
    sent: list[int] = []
    done = send_part(part, **ports, now=NOW, advance=sent.append, is_over=lambda: len(sent) == 2)
    assert [made.as_of for made in done] == [day for day, _ in part.origins[:2]]
    assert send_part(part, **ports, now=NOW, is_over=lambda: True) == []
    [rest] = backfill.plan("MSFT").parts
    assert rest.origins == part.origins[2:]


def test_sessions_that_have_not_closed_and_unknown_exchanges_are_left_out(backfill: Backfill) -> None:
    planned = backfill.plan("MSFT", "MSFT.XX", last=date(2023, 12, 31))
    assert max(day for part in planned.parts for day, _ in part.origins) == date(2023, 7, 31)
    assert list(planned.failures) == ["MSFT.XX"]


def test_dates_in_the_wrong_order_are_a_sentence(backfill: Backfill) -> None:
    with pytest.raises(UsageError, match="Swap them"):
        backfill.plan("MSFT", first=LAST, last=FIRST)


def test_a_symbol_without_bars_fails_by_name_and_a_short_history_is_rejected_once(
    backfill: Backfill, make_bars: Callable[..., Bars], tmp_path: Path
) -> None:
    (tmp_path / "prices" / "FB.csv").write_bytes(to_csv([make_bars("FB", last=date(2023, 7, 31), sessions=60)]))
    made = backfill.run("FB", "IBM", first=LAST)
    assert {each.symbol: each.status for each in made} == {"FB": "rejected", "IBM": "failed"}
    again = backfill.plan("FB", "IBM", first=LAST)
    assert again.rejected_before == 1
    assert [part.symbols for part in again.parts] == [("IBM",)]


def test_a_part_fetches_its_bars_once(backfill: Backfill, monkeypatch: pytest.MonkeyPatch) -> None:
    fetched: list[Sequence[str]] = []
    fetch = backfill.source.fetch

    def count(symbols: Sequence[str], *dates: date, advance: Any) -> Any:
        fetched.append(symbols)
        return fetch(symbols, *dates, advance=advance)

    monkeypatch.setattr(backfill.source, "fetch", count)
    backfill.run("MSFT", "AAPL")
    assert fetched == [("MSFT", "AAPL")]


def test_simulated_bars_keep_their_mark(backfill: Backfill) -> None:
    backfill.source = engines.market_data("simulated")
    made = backfill.run("MSFT", every=4, simulated=True)
    assert {each.status for each in made} == {"forecast"}
    for table in ("prices", "forecasts", "ingestions"):
        assert backfill.place.warehouse.read(table)["simulated"].all(), table
    assert backfill.place.warehouse.read("latest_prices")["simulated"].all()
    assert sum(map(len, backfill.plan("MSFT", every=4).parts)) == 3


def test_hindsight_replaces_neither_the_prices_nor_the_forecasts_of_the_time(
    backfill: Backfill, make_bars: Callable[..., Bars]
) -> None:
    place = backfill.place
    live = make_bars("MSFT", last=LAST, seed=99)
    place.handle(place.upload(f"ohlc/{LAST}/MSFT.csv", to_csv([live])))
    views = ("latest_prices", "latest_forecasts", "forecast_history")
    before = {name: place.warehouse.read(name, {"symbol": "MSFT"}) for name in views}
    ports = {"source": backfill.source, "store": backfill.store, "warehouse": place.warehouse}
    send_part(Part(("MSFT",), ((FIRST, ("MSFT",)), (LAST, ("MSFT",)))), **ports, now=NOW)
    order = {"latest_prices": ["session_date"]}
    for name in views:
        after = place.warehouse.read(name, {"symbol": "MSFT"})
        kept = after.merge(before[name][["object", "generation"]].drop_duplicates())
        key = order.get(name, ["model_name", "cutoff", "step"])
        pd.testing.assert_frame_equal(
            kept.sort_values(key, ignore_index=True), before[name].sort_values(key, ignore_index=True)
        )
    shown = {name: place.warehouse.read(name) for name in views}
    assert place.warehouse.compact()["forecasts"] == 20
    for name in views:
        assert len(place.warehouse.read(name)) == len(shown[name])


# ---------------------------------------------------------------- which model


@functools.cache
def shipped() -> Bundle:
    return shipped_bundle()


class Versions:
    """A bucket with published versions of the model."""

    def __init__(self, folder: Path) -> None:
        self.store = LocalObjectStore(folder / "models")
        self.models = ModelStore(self.store, resource("shipped"))
        self.loaded: list[str] = []
        self.champion = ""

    def publish(self, version: str, through: date) -> None:
        card = shipped().card.model_copy(update={"version": version, "trained_through": through})
        self.models.write(replace(shipped(), card=card))
        self.models.point(Pointer(name=card.name, version=version))
        self.champion = version

    def load(self, bundle: Bundle) -> Predictor:
        self.loaded.append(bundle.card.version)
        return self._model(bundle.card.version)

    def served(self) -> Sequence[Served]:
        return [
            Served(self._model(self.champion), Role.CHAMPION),
            Served(RandomWalk(), Role.BASELINE),
            Served(self._model("1"), Role.SHADOW),
        ]

    def _model(self, version: str) -> Champion:
        model = Champion()
        model.name, model.version = shipped().card.name, version
        return model


@pytest.fixture
def versions(tmp_path: Path) -> Versions:
    made = Versions(tmp_path)
    made.publish("1", date(2010, 12, 31))
    made.publish("2", date(2015, 12, 31))
    made.publish("3", date(2018, 12, 31))
    return made


@pytest.mark.parametrize(
    ("origin", "version", "note"),
    [
        (date(2019, 1, 1), "3", "backfilled: tickercast-lstm 3 was trained through 2018-12-31"),
        (date(2018, 12, 31), "2", "backfilled: tickercast-lstm 2 was trained through 2015-12-31"),
        (date(2011, 1, 3), "1", "backfilled: tickercast-lstm 1 was trained through 2010-12-31"),
        (date(2010, 12, 31), "3", f"{HAS_SEEN}: tickercast-lstm 3 was trained through 2018-12-31"),
    ],
)
def test_the_newest_version_that_has_not_seen_the_origin_forecasts_or_else_the_champion_is_labelled(
    versions: Versions, origin: date, version: str, note: str
) -> None:
    lineup = PastModels(versions.models, versions.served, versions.load)(origin)
    assert [(served.model.name, served.model.version, served.role) for served in lineup.models] == [
        ("tickercast-lstm", version, Role.CHAMPION),
        ("random-walk", "1", Role.BASELINE),
    ]
    assert lineup.note == note
    assert lineup.champion_has_seen == note.startswith(HAS_SEEN)


def test_a_version_is_loaded_once_and_one_that_is_published_later_is_found(versions: Versions) -> None:
    past = PastModels(versions.models, versions.served, versions.load)
    for _ in range(2):
        past(date(2016, 1, 4))
    assert versions.loaded == ["2"]
    versions.publish("4", date(2012, 12, 31))
    assert past(date(2016, 1, 4)).models[0].model.version == "4"


def test_a_version_that_was_rolled_back_makes_no_backfill(versions: Versions) -> None:
    versions.models.point(Pointer(name="tickercast-lstm", version="1").pointing("2").pointing("3"))
    past = PastModels(versions.models, versions.served, versions.load)
    assert past(date(2019, 1, 1)).models[0].model.version == "3"
    versions.champion = versions.models.rollback(now=NOW).card.version
    assert past(date(2019, 1, 1)).models[0].model.version == "2"
    versions.publish("4", date(2020, 12, 31))
    versions.models.point(Pointer(name="tickercast-lstm", version="1").pointing("2").pointing("4"))
    assert [past(date(2019 + 2 * each, 1, 1)).models[0].model.version for each in (0, 1)] == ["2", "4"]


def test_a_pointer_that_names_nothing_served_before_keeps_older_versions(versions: Versions) -> None:
    versions.models.point(Pointer(name="tickercast-lstm", version="2"))
    versions.champion = "2"
    past = PastModels(versions.models, versions.served, versions.load)
    assert [past(date(year, 1, 1)).models[0].model.version for year in (2012, 2019)] == ["1", "2"]


@pytest.mark.parametrize("file", ["model.onnx", "model.json"])
def test_a_damaged_version_stops_no_backfill_that_it_would_not_make(
    versions: Versions, caplog: pytest.LogCaptureFixture, file: str
) -> None:
    versions.store.write(f"models/tickercast-lstm/2/{file}", b"truncated")
    past = PastModels(versions.models, versions.served, versions.load)
    assert [past(date(year, 1, 1)).models[0].model.version for year in (2012, 2019)] == ["1", "3"]
    is_card = file == "model.json"
    assert ("Version 2 makes no backfill: model.json does not parse" in caplog.text) == is_card
    if is_card:
        assert past(date(2017, 1, 3)).models[0].model.version == "1"
    else:
        with pytest.raises(BundleError, match=r"The ONNX file of tickercast-lstm 2 has sha256 .* tickercast publish"):
            past(date(2017, 1, 3))


def test_another_champion_is_not_taken_for_versions_of_the_one_before(versions: Versions) -> None:
    served = list[Served]()
    past = PastModels(versions.models, lambda: served, versions.load)
    served[:] = versions.served()
    past(date(2016, 1, 4))
    card = shipped().card.model_copy(update={"name": "other", "version": "2", "trained_through": date(2012, 12, 31)})
    versions.models.write(replace(shipped(), card=card))
    versions.models.point(Pointer(name="other", version="2"))
    model = Champion()
    model.name, model.version = "other", "2"
    served[:] = [Served(model, Role.CHAMPION)]
    assert past(date(2016, 1, 4)).note == "backfilled: other 2 was trained through 2012-12-31"


def test_the_label_reaches_the_ledger_and_the_report(backfill: Backfill, versions: Versions) -> None:
    backfill.place.past = PastModels(versions.models, versions.served, versions.load)
    (made,) = backfill.run("MSFT", first=LAST)
    assert not made.model_has_seen
    versions.publish("4", date(2023, 7, 31))
    for version in ("1", "2", "3"):
        card = f"models/{shipped().card.name}/{version}/model.json"
        versions.store.delete(card, generation=versions.store.generation(card))
    backfill.place.past = PastModels(versions.models, versions.served, versions.load)
    (made,) = backfill.run("AAPL", first=LAST)
    assert made.model_has_seen
    ledger = backfill.place.warehouse.read("ingestions", {"symbol": "AAPL"})
    assert list(ledger["reason"]) == [f"{HAS_SEEN}: tickercast-lstm 4 was trained through 2023-07-31"]
    assert list(ledger["model_version"]) == ["4"]


@pytest.mark.parametrize("has_seen", [False, True])
def test_what_the_model_has_seen_shows_no_skill(backfill: Backfill, has_seen: bool) -> None:
    models = [Served(Champion(), Role.CHAMPION), Served(RandomWalk(), Role.BASELINE)]
    backfill.place.past = lambda _: Lineup(models, champion_has_seen=has_seen)
    backfill.run("MSFT")
    warehouse = backfill.place.warehouse
    champion = {"role": Role.CHAMPION}
    assert warehouse.read("forecast_scores", champion)["model_has_seen"].eq(has_seen).all()
    assert not warehouse.read("forecast_scores", {"role": Role.BASELINE})["model_has_seen"].any()
    for view in ("forecast_skill", "coverage"):
        assert warehouse.read(view, champion).empty is has_seen
    assert (warehouse.read("model_history", champion)["n_scored"].sum() == 0) == has_seen


# ---------------------------------------------------------------- the flow


def flow(workspace: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    known = {name: value for name, value in os.environ.items() if not name.startswith(("TICKERCAST_", "PREFECT_"))}
    return subprocess.run(
        [sys.executable, str(FLOW), *words], cwd=workspace, env=known, capture_output=True, text=True, check=False
    )


@pytest.mark.slow
def test_the_flow_backfills_on_two_dask_workers_and_then_has_nothing_left_to_do(workspace: Path) -> None:
    pytest.importorskip("prefect_dask")
    words = ("MSFT", "--from", "2012-01-03", "--to", "2012-04-30", "--every", "2", "--source", "sample")
    first = flow(workspace, *words, "--dask", "--workers", "2")
    assert first.returncode == 0, first.stderr
    assert f"41 forecasts: {HAS_SEEN}: tickercast-lstm 1 was trained through 2018-12-31" in first.stdout
    assert "show nothing of its skill" in first.stderr
    assert "distributed" not in first.stderr
    again = flow(workspace, *words)
    assert again.stdout.splitlines()[-1] == "Nothing is left to do."
    bad = flow(workspace, "../x", "--from", "2012-01-03", "--to", "2012-04-30")
    assert (bad.returncode, bad.stderr.count("\n")) == (2, 1)
    assert "is not a symbol" in bad.stderr
