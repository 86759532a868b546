"""Decisions beside those of later days, and beside what somebody has chosen by hand."""

from datetime import UTC, date, datetime
from pathlib import Path

import pandas as pd
import pytest
from tests.support.trading import SYMBOLS, Evening, Fitted

from tickercast.domain.bars import Bars, Reading
from tickercast.domain.cards.model_card import CHAMPION_ALIAS, MODEL, Pointer
from tickercast.domain.frequency import DAILY
from tickercast.domain.learning.market import FetchedBars, Market
from tickercast.domain.measures.promotion import Condition, Realised
from tickercast.errors import StoreUnavailable
from tickercast.jobs.champion.decisions import Decided, carry_out, decided_by, decisions, finish_decisions
from tickercast.jobs.champion.probation import review_probation, sessions_since_rollback
from tickercast.jobs.champion.scores import Scores, read_scores
from tickercast.jobs.daily.retrain import TrainingPlan, plan_training, train_challenger
from tickercast.ports import RunRecord
from tickercast.show.day import day_lines

DAY, LATER = date(2024, 6, 10), date(2024, 6, 13)
NO_SCORES = Scores(None, float("nan"), None)
OVERTAKEN = "a later day, 2024-06-13, has been decided already"


@pytest.fixture
def evening(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Evening:
    """An evening with version 1 as the champion, and versions 2 and 3 published."""
    monkeypatch.chdir(tmp_path)
    made = Evening(tmp_path, day=DAY)
    made.begin(calibration=1.0)
    for _ in range(2):
        made.app.models.write(made.registry.register(Fitted(date(2022, 12, 30), 1.0).bundle(), RunRecord()))
    return made


def market(evening: Evening, day: date = DAY) -> Market:
    reading = evening.exchange.fetch(SYMBOLS, date(2000, 1, 1), day, advance=lambda _: None)
    return Market(FetchedBars("exchange", False, reading), day)


def decision(day: date, action: str, champion: str, candidate: str = "", **more: object) -> Decided:
    kind = "rollback" if action in ("rolled back", "confirmed") else "promotion"
    known = {"day": day, "kind": kind, "decision": action, "reason": "measured", "model_name": MODEL}
    return Decided.model_validate(known | {"champion_version": champion, "candidate_version": candidate or None} | more)


def record(evening: Evening, made: Decided) -> Decided:
    evening.day = made.day
    models, registry, warehouse = evening.app.models, evening.registry, evening.warehouse
    return carry_out(made, models=models, registry=registry, warehouse=warehouse, now=evening.now())


def planned(evening: Evening, day: date) -> TrainingPlan:
    condition = Condition(None, float("nan"))
    return plan_training(market(evening, day), condition, models=evening.app.models, warehouse=evening.warehouse)


def rows(evening: Evening) -> list[tuple[object, ...]]:
    found = evening.warehouse.read("retrains").sort_values(["day", "created_at"])
    return [(row.day.date(), row.decision, row.reason) for row in found.itertuples()]


def test_the_alias_of_the_registry_follows_what_is_served_each_day(evening: Evening) -> None:
    """A rollback reaches no registry, and a version that is deleted there takes the alias with it."""
    record(evening, decision(DAY, "promoted", "1", "2"))
    assert evening.registry.aliased(MODEL, CHAMPION_ALIAS) == "2"
    evening.app.models.rollback(now=evening.now())
    evening.run()
    assert evening.registry.aliased(MODEL, CHAMPION_ALIAS) == evening.app.models.pointer().version == "1"


def test_a_winner_of_an_evening_after_the_registry_was_lost_is_served_under_a_number_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = Evening(tmp_path, day=DAY)
    before.begin(calibration=3.0)
    evening = Evening(tmp_path, day=DAY, calibration=1.0)
    assert evening.run().decided.decision == "promoted"
    assert evening.app.models.pointer().version == evening.registry.aliased(MODEL, CHAMPION_ALIAS) == "2"
    assert rows(evening)[-1][1] == "promoted"


def test_a_challenger_whose_number_was_published_with_other_content_is_registered_again(evening: Evening) -> None:
    def train() -> str:
        made = train_challenger(
            market(evening),
            TrainingPlan(True, "", through=date(2023, 6, 30)),
            fit=evening.fit,
            tuning=lambda *_: pytest.fail("nothing is tuned"),
            baselines=evening.app.evaluation_baselines,
            models=evening.app.models,
            registry=evening.registry,
            warehouse=evening.warehouse,
            picture=evening.app.draw_evaluation,
            seeds=(1,),
        )
        return made.card.version

    assert train() == train() == "4"
    other = Fitted(date(2022, 12, 30), 1.5).bundle().registered(version="4", run_id="of another registry")
    evening.app.models.write(other)
    evening.calibration = 2.0  # of a further training
    assert train() == train() == "5"
    assert evening.registry.bundle(MODEL, "5").card.calibration == 1.0


# ---------------------------------------------------------------- a later day


def test_nothing_is_trained_or_promoted_for_an_earlier_day_than_one_that_is_decided(evening: Evening) -> None:
    record(evening, decision(LATER, "kept", "1"))
    plan = planned(evening, DAY)
    assert (plan.wanted, plan.why) == (False, OVERTAKEN)
    kept = record(evening, decision(DAY, "promoted", "1", "2"))
    assert (kept.decision, kept.reason) == ("kept", OVERTAKEN)
    assert evening.app.models.pointer().version == "1"
    assert rows(evening) == [(DAY, "kept", OVERTAKEN), (LATER, "kept", "measured")]


def test_no_probation_is_reviewed_for_an_earlier_day(evening: Evening) -> None:
    record(evening, decision(LATER, "promoted", "1", "2"))
    found = review_probation(
        market(evening),
        NO_SCORES,
        models=evening.app.models,
        registry=evening.registry,
        warehouse=evening.warehouse,
        now=evening.now(),
    )
    assert found == OVERTAKEN


@pytest.mark.parametrize(
    ("served_later", "row"), [("1", (DAY, "kept", OVERTAKEN)), ("2", (DAY, "promoted", "measured"))]
)
def test_a_decision_that_was_interrupted_says_whether_it_was_carried_out(
    evening: Evening, served_later: str, row: tuple[object, ...]
) -> None:
    evening.app.models.point(Pointer(name=MODEL, version=served_later))
    made = decision(DAY, "promoted", "1", "2")
    name = f"decisions/{MODEL}/{DAY}/promotion.json"
    evening.app.models.store.write(name, made.model_dump_json().encode(), if_generation="")
    record(evening, decision(LATER, "kept", served_later))
    record(evening, made)
    assert rows(evening)[0] == row
    assert evening.app.models.pointer().version == served_later


# ---------------------------------------------------------------- a run that was interrupted


def interrupted(evening: Evening, monkeypatch: pytest.MonkeyPatch, made: Decided, where: str) -> None:
    """Make a decision, and end the run before the pointer or before the row."""

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        if where == "before the pointer":
            patched.setattr(evening.app.models, "point", killed)
        patched.setattr(evening.warehouse, "append", killed)
        with pytest.raises(KeyboardInterrupt):
            record(evening, made)


def finished(evening: Evening, day: date) -> Decided | None:
    evening.day = day
    return finish_decisions(models=evening.app.models, warehouse=evening.warehouse, now=evening.now())


WHERE = pytest.mark.parametrize("where", ["before the pointer", "before the row"])


@WHERE
def test_a_promotion_that_was_interrupted_is_finished_by_the_run_of_the_next_day(
    evening: Evening, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    record(evening, decision(date(2024, 6, 7), "kept", "1"))
    interrupted(evening, monkeypatch, decision(DAY, "promoted", "1", "2"), where)
    evening.day, evening.may_train = date(2024, 6, 11), False
    day = evening.run()
    assert day.finished is not None
    assert "finished    2024-06-10, promoted: measured" in [*day_lines(day)]
    pointer = evening.app.models.pointer()
    assert (pointer.version, pointer.shadow) == ("2", "1")
    assert evening.registry.aliased(MODEL, CHAMPION_ALIAS) == "2"
    assert rows(evening)[1] == (DAY, "promoted", "measured")
    [created] = evening.warehouse.read("retrains", {"day": DAY})["created_at"]
    assert created == datetime(2024, 6, 10, 22, 30, tzinfo=UTC)
    assert finished(evening, date(2024, 6, 12)) is None


@WHERE
def test_ten_sessions_of_pause_follow_a_rollback_that_was_interrupted(
    evening: Evening, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    record(evening, decision(date(2024, 6, 7), "promoted", "1", "2"))
    interrupted(evening, monkeypatch, decision(DAY, "rolled back", "2", "1"), where)
    assert finished(evening, LATER).decision == "rolled back"
    assert (evening.app.models.pointer().version, evening.app.models.pointer().shadow) == ("1", "")
    assert planned(evening, LATER).why == "3 sessions after a rollback, and 10 were needed"
    assert [row[:2] for row in rows(evening)] == [(date(2024, 6, 7), "promoted"), (DAY, "rolled back")]


@WHERE
@pytest.mark.parametrize("again", [DAY, LATER])
def test_a_rollback_by_hand_is_not_undone_by_a_decision_from_before_it(
    evening: Evening, monkeypatch: pytest.MonkeyPatch, where: str, again: date
) -> None:
    evening.app.models.point(Pointer(name=MODEL, version="3").pointing("1"))
    interrupted(evening, monkeypatch, decision(DAY, "promoted", "1", "2"), where)
    evening.day = date(2024, 6, 11)
    for back in ("3", "1"):
        assert evening.app.rollback(back).card.version == back
    assert finished(evening, again).reason == f"{MODEL} 1 has been chosen by hand since"
    assert rows(evening) == [(DAY, "kept", f"{MODEL} 1 has been chosen by hand since")]
    assert evening.app.models.pointer().version == "1"


def test_what_was_published_by_hand_stays_and_the_day_can_be_repeated(
    evening: Evening, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = decision(DAY, "promoted", "1", "2")
    interrupted(evening, monkeypatch, made, "before the pointer")
    evening.app.models.point(evening.app.models.pointer().pointing("3"))
    for _ in range(2):
        assert record(evening, made).decision in ("kept", "promoted")
        assert evening.app.models.pointer().version == "3"
    assert rows(evening) == [(DAY, "kept", f"{MODEL} 3 has been chosen by hand since")]


def test_a_registry_that_fails_leaves_no_decision_without_a_row(
    evening: Evening, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(*_: object) -> None:
        raise StoreUnavailable("The registry does not answer. Try again.")

    monkeypatch.setattr(evening.registry, "set_alias", silent)
    with pytest.raises(StoreUnavailable):
        record(evening, decision(DAY, "promoted", "1", "2"))
    assert rows(evening) == [(DAY, "promoted", "measured")]


def test_only_recent_records_are_looked_at_and_the_newest_alone_moves_the_pointer(evening: Evening) -> None:
    """Nothing has a row, as in a warehouse that begins anew."""
    for day, champion, candidate in ((date(2024, 5, 9), "1", "2"), (DAY, "1", "3"), (LATER, "1", "2")):
        made = decision(day, "promoted", champion, candidate)
        name = f"decisions/{MODEL}/{day}/promotion.json"
        evening.app.models.store.write(name, made.model_dump_json().encode(), if_generation="")
    evening.app.models.store.write(f"decisions/{MODEL}/notes.txt", b"by somebody")
    assert finished(evening, LATER).candidate_version == "2"
    assert rows(evening) == [(DAY, "kept", OVERTAKEN), (LATER, "promoted", "measured")]
    assert evening.app.models.pointer().version == "2"


# ---------------------------------------------------------------- a rollback


def test_a_rollback_by_hand_is_not_undone_for_ten_sessions(evening: Evening) -> None:
    evening.app.models.point(Pointer(name=MODEL, version="1").pointing("2"))
    assert evening.app.rollback().card.version == "1"
    assert planned(evening, date(2024, 6, 7)).why == "0 sessions after a rollback, and 10 were needed"
    assert planned(evening, DAY).why == "0 sessions after a rollback, and 10 were needed"
    assert planned(evening, date(2024, 6, 24)).why == "9 sessions after a rollback, and 10 were needed"
    assert planned(evening, date(2024, 6, 25)).wanted


def test_the_later_of_two_rollbacks_counts_and_none_of_a_later_day(evening: Evening) -> None:
    def since(day: date, pointer: Pointer) -> int | None:
        return sessions_since_rollback(market(evening, day), decisions(evening.warehouse, MODEL), pointer)

    record(evening, decision(DAY, "promoted", "1", "2"))
    record(evening, decision(LATER, "rolled back", "2", "1"))
    pointer = evening.app.models.pointer()
    by_hand = pointer.model_copy(update={"rolled_back_at": datetime(2024, 6, 15, 12, tzinfo=UTC)})  # a Saturday
    assert since(date(2024, 6, 12), pointer) is None
    assert since(date(2024, 6, 17), pointer) == 2
    assert since(date(2024, 6, 17), by_hand) == 1


@pytest.mark.parametrize("watched", [("AAA", "ETH-USD"), ("ETH-USD", "AAA")])
def test_sessions_are_those_of_the_exchange_with_the_fewest_however_symbols_are_ordered(
    evening: Evening, watched: tuple[str, ...]
) -> None:
    """From Monday, 10 June to Monday, 24 June: 14 days, and 9 sessions in New York, closed on the 19th."""
    known = market(evening, date(2024, 6, 24)).source.reading.bars["AAA"]
    bars = {symbol: Bars(symbol, known.frame) for symbol in watched}
    mixed = Market(FetchedBars("exchange", False, Reading(bars, {})), date(2024, 6, 24))
    by_hand = Pointer(name=MODEL, version="1").model_copy(
        update={"rolled_back_at": datetime(2024, 6, 10, 12, tzinfo=UTC)}
    )
    assert sessions_since_rollback(mixed, decisions(evening.warehouse, MODEL), by_hand) == 9


def test_a_rollback_goes_to_what_was_served_and_not_to_what_was_rolled_back(evening: Evening) -> None:
    record(evening, decision(DAY, "promoted", "1", "2"))
    record(evening, decision(date(2024, 6, 11), "rolled back", "2", "1"))
    record(evening, decision(date(2024, 6, 12), "promoted", "1", "3"))
    assert evening.app.rollback().card.version == "1"


# ---------------------------------------------------------------- who decided


def why(evening: Evening) -> str:
    return decided_by(evening.app.models.pointer(), DAILY, evening.warehouse)


def test_the_reason_of_what_is_served_is_that_of_the_newest_decision(evening: Evening) -> None:
    models = evening.app.models
    record(evening, decision(DAY, "promoted", "1", "2", reason="better"))
    assert why(evening) == "promoted: better"
    record(evening, decision(date(2024, 6, 11), "rolled back", "2", "1", reason="worse"))
    assert why(evening) == "rolled back: worse"
    record(evening, decision(date(2024, 6, 12), "promoted", "1", "3", reason="fresher"))
    record(evening, decision(LATER, "confirmed", "3", "1"))
    assert why(evening) == "promoted: fresher"
    models.point(models.pointer().pointing("2"))
    assert why(evening) == "", "version 2 was published by hand, and its promotion is long past"
    models.point(models.pointer().pointing("1"))
    assert why(evening) == ""


def test_what_somebody_went_back_to_was_decided_by_no_flow(evening: Evening) -> None:
    record(evening, decision(DAY, "promoted", "1", "2"))
    evening.day = LATER
    evening.app.rollback()
    evening.app.rollback("2")
    assert why(evening) == ""


# ---------------------------------------------------------------- the scores


def test_dates_that_the_champion_was_trained_on_and_closes_without_a_scale_count_for_no_score(evening: Evening) -> None:
    """The champion was trained through 2022-12-30; the walk's interval of the tenth step has no width."""

    class Stored:
        def read(self, *_: object) -> pd.DataFrame:
            steps = pd.DataFrame({"step": range(1, 11), "scale": [0.04] * 9 + [0.0]})
            steps["target_date"] = pd.bdate_range("2023-01-04", periods=10)
            known = {"symbol": "AAA", "role": "champion", "model_name": MODEL, "model_version": "1", "generation": "1"}
            rows = steps.assign(**known, walk_loss=0.01, inside_80=True)
            seen, unseen = pd.Timestamp("2022-12-30"), pd.Timestamp("2023-01-03")
            return pd.concat([rows.assign(cutoff=seen, loss=0.5), rows.assign(cutoff=unseen, loss=0.02)])

    found = read_scores(market(evening, date(2023, 2, 1)), models=evening.app.models, warehouse=Stored())
    assert found.vs_walk == Realised(9, 1, (2.0, 2.0, 2.0))


def scored(evening: Evening, *made: tuple[str, str, str, float]) -> Scores:
    """The scores of forecasts by role, version, first cutoff and loss; the walk's loss is 0.01."""

    class Stored:
        def read(self, *_: object) -> pd.DataFrame:
            found = []
            for role, version, cutoff, loss in made:
                steps = pd.DataFrame({"step": range(1, 11), "scale": 0.04, "walk_loss": 0.01, "inside_80": True})
                steps["target_date"] = pd.bdate_range(cutoff, periods=11)[1:]
                known = {"symbol": "AAA", "model_name": MODEL, "generation": cutoff, "cutoff": pd.Timestamp(cutoff)}
                found.append(steps.assign(**known, role=role, model_version=version, loss=loss))
            return pd.concat(found)

    return read_scores(market(evening, DAY), models=evening.app.models, warehouse=Stored())


def test_the_scores_are_of_the_served_version_alone(evening: Evening) -> None:
    """Version 2 was rolled back; whether the next training is tuned depends on what is served again."""
    found = scored(evening, ("champion", "2", "2024-05-13", 0.09), ("champion", "1", "2024-05-06", 0.005))
    assert found.vs_walk == Realised(10, 1, (0.5, 0.5, 0.5))
    assert scored(evening, ("champion", "2", "2024-05-13", 0.09)).vs_walk is None


def test_the_probation_of_a_promotion_by_hand_begins_with_the_first_forecasts_of_both(evening: Evening) -> None:
    evening.app.models.point(Pointer(name=MODEL, version="1").pointing("2", shadow="1"))
    pairs = [(role, number, "2024-05-06", 0.01) for role, number in (("champion", "2"), ("shadow", "1"))]
    found = scored(evening, *pairs)
    services = {"models": evening.app.models, "registry": evening.registry, "warehouse": evening.warehouse}

    def reviewed(day: date) -> Decided | str:
        return review_probation(market(evening, day), found, **services, now=evening.now())

    assert str(reviewed(date(2024, 5, 31))).startswith("on probation for 2 more sessions")
    assert reviewed(date(2024, 6, 4)).decision == "confirmed"
    assert evening.app.models.pointer().shadow == ""


# ---------------------------------------------------------------- a demotion


def test_a_demotion_keeps_the_ratio_of_the_baseline(evening: Evening) -> None:
    record(evening, decision(DAY, "demoted", "1", "ewma-t", walk_ratio=1.0, pinball_ratio=1.25))
    pointer = evening.app.models.pointer()
    assert (pointer.baseline, pointer.baseline_ratio) == ("ewma-t", 0.8)
    assert pointer.pointing("2").baseline_ratio is None
