"""A champion that is shown to be worse than a baseline makes place for it, and a challenger can win the place back."""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from tests.support.place import Place
from tests.support.trading import SYMBOLS, Evening

from tickercast.domain.bars import Bars, Reading
from tickercast.domain.cards.model_card import CHAMPION_ALIAS, MODEL, Pointer
from tickercast.domain.files.price_files import to_csv
from tickercast.domain.forecast import Role
from tickercast.domain.frequency import DAILY
from tickercast.domain.learning.market import FetchedBars, Market
from tickercast.errors import BundleError, UsageError
from tickercast.jobs.champion.decisions import Decided, carry_out
from tickercast.jobs.daily.reforecast import outdated_files
from tickercast.models import catalogue
from tickercast.models.baselines import EwmaT
from tickercast.show import report, sentences

FIRST, SECOND = date(2024, 6, 10), date(2024, 6, 11)


class Wide(EwmaT):
    """The baseline, three times as wide, so that few origins show a good network to be better, and a bad one worse."""

    def predict(self, series: Sequence[Bars]) -> NDArray[np.float64]:
        return 3 * super().predict(series)

    def predict_at(self, bars: Bars, at: NDArray[np.intp]) -> NDArray[np.float64]:
        return 3 * super().predict_at(bars, at)


@pytest.fixture(scope="module")
def demoted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Evening]:
    """An exchange on the evening after a champion with intervals eight times too wide was demoted."""
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(tmp_path_factory.mktemp("demotion"))
        patched.setattr(catalogue, "BASELINES", {"random-walk": catalogue.BASELINES["random-walk"], "ewma-t": Wide})
        evening = Evening(Path.cwd(), day=FIRST, calibration=8.5, may_demote=True)
        evening.begin(calibration=8.0)
        evening.run()
        yield evening


@pytest.fixture
def evening(demoted: Evening) -> Iterator[Evening]:
    """The same, whose pointer is put back after the test."""
    pointer = demoted.app.models.pointer()
    yield demoted
    demoted.app.models.point(pointer)


def test_the_baseline_is_served_and_the_champion_goes_on_beside_it(demoted: Evening) -> None:
    pointer = demoted.app.models.pointer()
    assert (pointer.name, pointer.version, pointer.baseline, pointer.shadow) == (MODEL, "1", "ewma-t", "")
    assert demoted.registry.aliased(MODEL, CHAMPION_ALIAS) == "1"
    made = demoted.warehouse.read("forecasts")
    newest = made[made["written_at"] == made["written_at"].max()]
    roles = newest[["model_name", "role"]].drop_duplicates().itertuples(index=False, name=None)
    assert set(roles) == {("ewma-t", "champion"), (MODEL, "companion"), ("random-walk", "baseline")}
    assert set(newest.loc[newest["role"] == "champion", "symbol"]) == set(SYMBOLS)
    shown = demoted.warehouse.read("champion_forecasts")
    assert set(shown["model_name"]) == {"ewma-t"}
    assert demoted.run().idle


def test_the_decision_says_what_it_rests_on(demoted: Evening) -> None:
    [row] = demoted.warehouse.read("retrains").to_dict("records")
    assert (row["decision"], row["champion_version"], row["candidate_version"]) == ("demoted", "1", "ewma-t")
    assert 1 < row["pinball_ratio_lo"] < row["pinball_ratio"] < row["pinball_ratio_hi"]
    assert row["walk_ratio"] > 1
    assert row["coverage_80"] > 0.9
    assert row["reason"].startswith("the champion is shown to be worse than ewma-t: ratio ")


def test_everybody_is_told(demoted: Evening) -> None:
    [alert] = [alert for alert in demoted.app.open_alerts() if alert.kind == "champion"]
    assert alert.severity == "warning"
    assert alert.title == f"The baseline ewma-t is served in the place of {MODEL} 1"
    assert alert.text.startswith("demoted: the champion is shown to be worse than ewma-t")
    said = demoted.app._champion_says()
    assert said == f"ewma-t, a baseline, is served in the place of {MODEL} version 1, which was shown to be worse"
    [made] = demoted.app.forecast(SYMBOLS[0], FIRST, actual=True)
    details = demoted.app.details(made)
    assert (made.model_name, details.card) == ("ewma-t", None)
    assert details.demotion is not None
    sentence = sentences.stands_in(details.demotion)
    assert sentence.startswith(f"Made by a baseline: {MODEL} version 1 was shown to be worse than ewma-t on 2024-06-10")
    page = report.page([details], "file://bucket")
    assert sentence in page
    assert "It is served in the champion&#39;s place, and scored." in page


def test_a_backfill_is_forecast_by_the_baseline(demoted: Evening) -> None:
    lineup = demoted.app._past_models(DAILY)(date(2020, 1, 2))
    assert [(one.model.name, one.role) for one in lineup.models] == [
        ("ewma-t", Role.CHAMPION),
        ("random-walk", Role.BASELINE),
    ]
    assert not lineup.champion_has_seen


def test_the_companions_of_the_setting_are_served_once(demoted: Evening) -> None:
    names = [one.model.name for one in catalogue.served_models(demoted.app.models, ["ewma-t"])]
    assert names == ["ewma-t", "random-walk", MODEL]


def test_a_challenger_wins_the_place_back_without_a_shadow_and_is_rolled_back(evening: Evening) -> None:
    evening.day, evening.calibration = SECOND, 1.0
    day = evening.run()
    assert day.planned.training == "tuned"
    assert day.decided.decision == "promoted"
    assert day.decided.reason.startswith("better than ewma-t: ratio ")
    assert (day.decided.champion_version, day.decided.candidate_version) == ("ewma-t", "3")
    assert day.reforecast == len(SYMBOLS)
    pointer = evening.app.models.pointer()
    assert (pointer.version, pointer.baseline, pointer.shadow) == ("3", "", "")
    newest = evening.warehouse.read("champion_forecasts", {"cutoff": [SECOND]})
    assert set(newest["model_version"]) == {"3"}
    assert set(newest["model_name"]) == {MODEL}
    [alert] = [alert for alert in evening.app.open_alerts() if alert.kind == "champion"]
    assert (alert.severity, alert.title) == ("info", f"{MODEL} 3 is served")
    assert evening.app.rollback().card.version == "1"
    assert evening.app.models.pointer().baseline == ""


def test_a_rollback_ends_a_demotion(evening: Evening) -> None:
    evening.app.models.point(Pointer(name=MODEL, version="1").demoted("ewma-t", 0.98))
    assert evening.app.rollback().card.version == "1"
    pointer = evening.app.models.pointer()
    assert (pointer.version, pointer.baseline) == ("1", "")
    with pytest.raises(UsageError, match="an older version was needed"):
        evening.app.rollback()


@pytest.mark.parametrize(
    ("decision", "champion", "candidate", "served"),
    [("demoted", "1", "ewma-t", ("1", "ewma-t", "")), ("promoted", "ewma-t", "2", ("2", "", ""))],
)
def test_a_decision_that_was_interrupted_after_the_pointer_is_finished(
    evening: Evening, monkeypatch: pytest.MonkeyPatch, decision: str, champion: str, candidate: str, served: object
) -> None:
    models, registry, warehouse = evening.app.models, evening.registry, evening.warehouse
    trained = Pointer(name=MODEL, version="1")
    models.write(registry.bundle(MODEL, "2"))
    models.point(trained if decision == "demoted" else trained.demoted("ewma-t", 0.98))
    day = date(2024, 7, 1 if decision == "demoted" else 2)
    decided = Decided.model_validate(
        {"day": day, "kind": "promotion", "decision": decision, "reason": "measured", "model_name": MODEL}
        | {"champion_version": champion, "candidate_version": candidate}
    )

    def finish() -> None:
        now = datetime(2024, 7, 3, tzinfo=UTC)
        carry_out(decided, models=models, registry=registry, warehouse=warehouse, now=now)

    with monkeypatch.context() as killed:
        killed.setattr(warehouse, "append", lambda *args, **named: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            finish()
    for _ in range(2):
        finish()
        pointer = models.pointer()
        assert (pointer.version, pointer.baseline, pointer.shadow) == served
    rows = warehouse.read("retrains")
    assert len(rows[rows["day"] == pd.Timestamp(day)]) == 1


def test_a_pointer_at_an_unknown_baseline_is_a_sentence(evening: Evening) -> None:
    evening.app.models.point(Pointer(name=MODEL, version="1").demoted("ewma", 0.98))
    with pytest.raises(BundleError, match=r"names 'ewma' in the champion's place.*tickercast rollback"):
        evening.app.served_models()


def test_a_simulated_forecast_does_not_hide_the_real_one_that_is_made_again(tmp_path: Path, make_bars: Any) -> None:
    place = Place(tmp_path)
    real = make_bars("MSFT", last=date(2023, 7, 20))
    for bars in (real, Bars("MSFT", make_bars("MSFT").columns, simulated=True)):
        place.handle(place.upload(f"ohlc/{bars.cutoff}/MSFT.csv", to_csv([bars])))
    market = Market(FetchedBars("given", False, Reading({"MSFT": real})), real.cutoff)
    old = outdated_files(market, Pointer(name=MODEL, version="99"), place.warehouse, place.now)
    assert [name for name, _ in old] == ["ohlc/2023-07-20/MSFT.csv"]
