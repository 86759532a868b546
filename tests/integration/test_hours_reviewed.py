"""The review of the served hourly model: decided once a month, on the half-year before."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from tests.support.hourly import Memory, make_hours

from tickercast.backends.object_store.local import LocalObjectStore
from tickercast.backends.warehouse.duckdb import DuckDBWarehouse
from tickercast.config import resource
from tickercast.domain.bars import Bars
from tickercast.domain.cards.model_card import HOURLY_NETWORK, Bundle
from tickercast.domain.forecast import Predictor, Role
from tickercast.domain.frequency import HOURLY
from tickercast.domain.hourly.hour_features import Floats, Rows
from tickercast.domain.measures.promotion import Decision
from tickercast.errors import UsageError
from tickercast.jobs.champion.decisions import Decided, decided_by
from tickercast.jobs.hourly.refresh import refresh
from tickercast.jobs.hourly.retrain import retrain_networks
from tickercast.jobs.hourly.review import review_champion
from tickercast.jobs.operations.provision import publish_shipped
from tickercast.jobs.training.train_hourly import HourlyTraining
from tickercast.model_store import ModelStore
from tickercast.models import catalogue
from tickercast.models.hourly.predictors import BASELINES, HourlyEwmaT
from tickercast.models.hourly.volatility import fit

NOW = datetime(2022, 12, 1, 0, 2, tzinfo=UTC)


@dataclass(frozen=True)
class Scaled(HourlyEwmaT):
    """EWMA-t with intervals so many times as wide."""

    factor: float = 1.0

    def predict_at(self, bars: Bars, at: Rows) -> Floats:
        return self.factor * super().predict_at(bars, at)


class Place:
    """A store with the shipped models, a warehouse, and models as wide as a test wants them."""

    def __init__(self, folder: Path, coins: Sequence[Bars]) -> None:
        self.warehouse = DuckDBWarehouse(folder / "w.duckdb", sql=resource("sql"))
        self.warehouse.provision()
        self.models = ModelStore(LocalObjectStore(folder / "bucket"), resource("shipped"), HOURLY)
        publish_shipped(self.models)
        self.source = Memory(coins)
        self.factors: dict[str, float] = {}

    def review(self, now: datetime = NOW, **factors: float) -> Decided:
        decided = self.reviewed(now, **factors)
        assert isinstance(decided, Decided)
        return decided

    def reviewed(self, now: datetime = NOW, **factors: float) -> Decided | str:
        wide = {name.replace("_", "-"): factor for name, factor in factors.items()}

        def evaluated(bundles: Sequence[Bundle], series: Sequence[Bars]) -> list[Predictor]:
            made = [Scaled(bundle.card.name, factor=wide.get(bundle.card.name, 2.0)) for bundle in bundles]
            return [*made, *(Scaled(name, factor=wide.get(name, 2.5)) for name in BASELINES)]

        return review_champion(
            ["BTCUSDT"], source=self.source, models=self.models, warehouse=self.warehouse, evaluated=evaluated, now=now
        )


@pytest.fixture(scope="module")
def coins() -> list[Bars]:
    return [make_hours("BTCUSDT", hours=24 * 400, seed=1)]


@pytest.fixture
def place(tmp_path: Path, coins: list[Bars]) -> Place:
    return Place(tmp_path, coins)


def test_a_champion_that_is_shown_to_be_worse_makes_place_for_the_best_baseline_and_wins_it_back(place: Place) -> None:
    before = place.models.pointer()
    decided = place.review(har_season=3.0, ewma_season=1.0)
    assert (decided.decision, decided.candidate_version, decided.day) == ("demoted", "ewma-season", date(2022, 11, 30))
    assert decided.reason.startswith("har-season is shown to be worse than ewma-season: ratio ")
    pointer = place.models.pointer()
    assert (pointer.name, pointer.baseline) == ("har-season", "ewma-season")
    assert pointer.baseline_ratio
    assert decided_by(pointer, HOURLY, place.warehouse) == f"demoted: {decided.reason}"
    champion, *others = catalogue.served_models(place.models)
    assert (champion.model.name, champion.role) == ("ewma-season", Role.CHAMPION)
    assert {(one.model.name, one.role) for one in others} >= {
        ("har-season", Role.COMPANION),
        ("random-walk", Role.BASELINE),
    }
    assert "ewma-season" not in {one.model.name for one in others}
    assert catalogue.named("champion", place.models).name == "ewma-season"
    [row] = place.warehouse.read("retrains").to_dict("records")
    assert (row["decision"], row["frequency"]) == ("demoted", "1h")
    assert place.reviewed(har_season=1.0) == "the half-year to 2022-11-30 has been reviewed: demoted"

    later = NOW + timedelta(days=31)
    kept = place.review(later, har_season=3.0, ewma_season=1.0)
    assert kept.decision == "kept"
    back = place.review(later + timedelta(days=31), har_season=1.0, ewma_season=3.0)
    assert (back.decision, back.candidate_version) == ("promoted", "har-season")
    assert place.models.pointer().same_as(before)


def test_a_decision_that_was_interrupted_is_carried_out_by_the_next_review(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(place.warehouse, "append", killed)
        with pytest.raises(KeyboardInterrupt):
            place.review(har_season=3.0, ewma_season=1.0)
    decided = place.review(har_season=1.0)
    assert (decided.decision, place.models.pointer().baseline) == ("demoted", "ewma-season")
    assert list(place.warehouse.read("retrains")["decision"]) == ["demoted"]


def test_a_refresh_keeps_the_baseline_in_the_champions_place(place: Place, coins: list[Bars]) -> None:
    place.models.point(place.models.pointer().demoted("ewma-season", 0.98))
    done = refresh(["BTCUSDT"], source=place.source, models=place.models, fit=fit, load=catalogue.load_bundle, now=NOW)
    assert "ewma-season 2" in done.versions
    pointer = place.models.pointer()
    assert (pointer.name, pointer.version, pointer.baseline) == ("har-season", "2", "ewma-season")
    assert catalogue.served_models(place.models)[0].model.version == "2"
    assert place.models.reference(place.models.champion().card).limits
    card = place.models.read(HOURLY_NETWORK, "2").card
    assert (card.trained_through, card.network_through) == (date(2022, 11, 30), date(2022, 6, 30))


def test_what_was_gone_back_to_by_hand_stays_until_a_month_begins(place: Place) -> None:
    def refreshed(now: datetime) -> Sequence[str]:
        named = {"source": place.source, "models": place.models, "fit": fit, "load": catalogue.load_bundle}
        return refresh(["BTCUSDT"], now=now, **named).versions  # type: ignore[arg-type]

    assert refreshed(NOW)
    assert place.models.rollback(now=NOW).card.version == "1"
    assert refreshed(NOW) == ()
    reviewed = review_champion(
        ["BTCUSDT"],
        source=place.source,
        models=place.models,
        warehouse=place.warehouse,
        evaluated=lambda bundles, series: [],
        now=NOW,
    )
    assert reviewed == "har-season 1 was chosen by hand in this month, and is reviewed in the next"
    said = retrain_networks(["BTCUSDT"], train=lambda *_: pytest.fail("trained"), models=place.models, now=NOW)
    assert said.startswith("somebody went back")
    assert "har-season 3" in refreshed(NOW + timedelta(days=31))
    assert place.models.pointer().former == ("1",)
    assert place.models.rollback(now=NOW).card.version == "1"


def test_going_back_from_a_companion_that_became_the_champion_serves_the_model_before(place: Place) -> None:
    place.models.point(place.models.pointer().exchanged(HOURLY_NETWORK))
    assert place.models.rollback(now=NOW).card.name == "har-season"
    assert place.models.pointer().former == ()
    assert place.models.rollback(HOURLY_NETWORK, now=NOW).card.name == HOURLY_NETWORK
    assert place.models.rollback(now=NOW).card.name == "har-season"
    beside = f"of which 1 is served, and beside it {HOURLY_NETWORK}, tickercast-plain-1h: an older version was needed"
    with pytest.raises(UsageError, match=rf"{beside} to roll back to\. Name one with --to"):
        place.models.rollback(now=NOW)
    with pytest.raises(UsageError, match="ewma-season was needed"):
        place.models.rollback("ewma-season", now=NOW)


def test_the_network_takes_the_place_by_two_half_years_and_the_regression_takes_it_back(place: Place) -> None:
    shipped = place.models.read(HOURLY_NETWORK, "1")
    early = shipped.card.model_copy(update={"version": "2", "trained_through": date(2022, 5, 1)})
    place.models.write(Bundle(shipped.onnx, early.model_copy(update={"metrics": BETTER}), b""))
    pointer = place.models.pointer()
    served = [one.model_copy(update={"version": "2"}) if one.name == HOURLY_NETWORK else one for one in pointer.served]
    place.models.point(pointer.model_copy(update={"served": tuple(served)}))
    decided = place.review(har_season=2.0, tickercast_lstm_1h=1.0)
    assert (decided.decision, decided.candidate_version) == ("promoted", HOURLY_NETWORK)
    pointer = place.models.pointer()
    assert (pointer.name, pointer.version) == (HOURLY_NETWORK, "2")
    assert decided_by(pointer, HOURLY, place.warehouse) == f"promoted: {decided.reason}"
    assert [one.role for one in pointer.served if one.name == "har-season"] == [Role.COMPANION]
    back = place.review(NOW + timedelta(days=31), har_season=1.0, tickercast_lstm_1h=2.0)
    assert (back.decision, back.candidate_version) == ("promoted", "har-season")
    assert place.models.pointer().name == "har-season"


BETTER = {"before_sp_vs_har_season": 0.99, "before_sp_vs_har_season_lo": 0.98, "before_sp_vs_har_season_hi": 0.999}


def test_a_network_that_has_learned_from_the_half_year_cannot_challenge(place: Place) -> None:
    decided = place.review(har_season=2.0, tickercast_lstm_1h=1.0)
    assert decided.decision == "kept"
    assert "cannot challenge: it learned up to 2022-06-30, and the half-year after 2022-06-02" in decided.reason


def test_too_short_a_source_decides_nothing_and_says_so(place: Place, coins: list[Bars]) -> None:
    place.source = Memory([coins[0].rows(0, 1000)])
    decided = place.review()
    assert (decided.decision, decided.origins) == ("kept", 0)
    assert decided.reason.startswith("nothing could be measured: ")


def test_the_networks_are_trained_again_each_half_year_and_keep_their_roles(place: Place) -> None:
    asked: list[date] = []

    def train(symbols: Sequence[str], through: date) -> HourlyTraining:
        asked.append(through)
        bundle = place.models.read(HOURLY_NETWORK, "1")
        card = bundle.card.model_copy(update={"trained_through": through, "version": "9", "run_id": "abc"})
        return HourlyTraining(replace(bundle, card=card), [], Decision("kept", "why"))

    def run(now: datetime) -> str:
        return retrain_networks(["BTCUSDT"], train=train, models=place.models, now=now)

    assert run(NOW) == "the networks learned up to 2022-06-30: nothing was due"
    said = run(datetime(2023, 7, 1, 0, 2, tzinfo=UTC))
    assert said == f"trained up to 2022-12-31: {HOURLY_NETWORK} 2"
    assert asked == [date(2022, 12, 31)]
    card = place.models.read(HOURLY_NETWORK, "2").card
    before = place.models.read(HOURLY_NETWORK, "1").card
    assert (card.network_through, card.trained_through, card.run_id) == (asked[0], before.trained_through, "abc")
    assert card.hour_tables == before.hour_tables
    assert {one.name: one.version for one in place.models.pointer().served}[HOURLY_NETWORK] == "2"
