"""The direction model: grown on windows, exported without a change, searched for and registered."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.support.hourly import Memory, make_hours

from tickercast.domain.bars import Bars
from tickercast.domain.cards.model_card import Bundle, graph_shapes
from tickercast.domain.cards.model_page import describe
from tickercast.domain.hourly.direction_inputs import INPUTS, Questions, questions
from tickercast.domain.hourly.hours import PRICES, hourly_bars
from tickercast.domain.learning.boosting import USUAL, Boosting
from tickercast.domain.measures.direction import COIN, scores
from tickercast.errors import BundleError, TooFewSessions
from tickercast.jobs.training.train_direction import train_direction
from tickercast.ports import Pruned, RunRecord

pytest.importorskip("xgboost", reason="XGBoost comes with the extra boost")
pytest.importorskip("onnxmltools", reason="onnxmltools comes with the extra boost")
pytest.importorskip("optuna", reason="Optuna comes with the extra train")

from tickercast.backends.registry.optuna import BOOSTING, BOOSTING_USUAL, OptunaSearch
from tickercast.models.boosted import training
from tickercast.models.direction import DirectionModel

FAST = Boosting(trees=20, days=60)
MAY, JULY = np.datetime64("2022-05"), np.datetime64("2022-07")


def reversing(hours: int = 4700, seed: int = 3) -> Bars:
    """A coin whose hours go against the one before, three times in four."""
    random = np.random.default_rng(seed)
    sign = np.ones(hours)
    for row in range(1, hours):
        sign[row] = sign[row - 1] * (-1 if random.random() < 0.75 else 1)
    log_close = 10 + np.cumsum(sign * np.abs(random.normal(0, 0.004, hours)))
    log_open = np.concatenate([[10.0], log_close[:-1]])
    high, low = np.maximum(log_open, log_close) + 0.001, np.minimum(log_open, log_close) - 0.001
    prices = dict(zip(PRICES, map(np.exp, (log_open, high, low, log_close)), strict=True))
    return hourly_bars("REVUSDT", np.datetime64("2022-01-01", "h") + np.arange(1, hours + 1), prices, np.ones(hours))


@pytest.fixture(scope="module")
def asked() -> list[Questions]:
    return [questions(reversing())]


@pytest.fixture(scope="module")
def trained(asked: list[Questions]) -> training.Boosted:
    return training.fit(asked, FAST, np.datetime64("2022-06-01T00"))


def test_trees_find_a_reversal_and_nothing_in_noise(asked: list[Questions]) -> None:
    found = training.walk_forward(asked, FAST, MAY, JULY)
    assert scores(found.probability, found.up).brier < 0.21
    noise = [questions(make_hours(hours=4700))]
    nothing = training.walk_forward(noise, FAST, MAY, JULY)
    assert scores(nothing.probability, nothing.up).brier > COIN - 0.002


def test_a_month_is_forecast_by_what_was_known_before_it(asked: list[Questions]) -> None:
    whole = training.walk_forward(asked, FAST, MAY, JULY)
    cut = [asked[0].only(asked[0].closed_at < np.datetime64("2022-06-01"))]
    may = training.walk_forward(cut, FAST, MAY, np.datetime64("2022-06"))
    np.testing.assert_array_equal(whole.probability[: len(may)], may.probability)
    assert len(may) == 31 * 24


def test_the_export_changes_no_probability(trained: training.Boosted) -> None:
    bundle = trained.bundle()
    assert training.onnx_difference(trained, bundle) < 1e-5
    model = DirectionModel(bundle)
    bars = reversing(hours=900)
    whole = model.predict_at(bars, np.array([800, 899]))
    alone = [model.predict([bars.rows(0, row + 1)])[0] for row in (800, 899)]
    np.testing.assert_allclose(whole, alone, atol=1e-7)
    assert ((whole > 0) & (whole < 1)).all()
    with pytest.raises(TooFewSessions, match="has 743 hours of bars: 744 were needed to forecast a direction"):
        model.predict([bars.rows(0, 743)])


def test_an_export_that_differs_is_no_bundle(trained: training.Boosted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "onnx_difference", lambda *_: 1e-3)
    with pytest.raises(BundleError, match=r"differ from the trained ones by up to 1\.0e-03"):
        trained.bundle()


def test_a_bundle_for_other_inputs_is_refused(trained: training.Boosted) -> None:
    bundle = trained.bundle()
    for changes in ({"kind": "lstm"}, {"features": INPUTS[1:]}, {"min_sessions": 10}):
        with pytest.raises(BundleError, match=r"was needed\. Publish a version that it trained"):
            DirectionModel(replace(bundle, card=bundle.card.model_copy(update=changes)))


def test_too_short_a_window_is_a_sentence(asked: list[Questions]) -> None:
    with pytest.raises(TooFewSessions, match="at least 1000 were needed to grow trees"):
        training.fit(asked, FAST, np.datetime64("2022-02-15T00"))
    with pytest.raises(TooFewSessions, match="No hour from"):
        training.walk_forward(asked, FAST, np.datetime64("2022-07"), np.datetime64("2022-07"))


# ---------------------------------------------------------------- the job


class Log:
    """Keeps what a study records."""

    def __init__(self) -> None:
        self.trials: list[tuple[int, RunRecord, bool]] = []
        self.results: list[RunRecord] = []

    def trial(self, number: int, record: RunRecord, *, pruned: bool) -> None:
        self.trials.append((number, record, pruned))

    def result(self, record: RunRecord) -> None:
        self.results.append(record)


class Tracker:
    def __init__(self) -> None:
        self.log, self.names = Log(), list[str]()

    @contextmanager
    def study(self, name: str, record: RunRecord) -> Iterator[Log]:
        self.names.append(name)
        yield self.log


class Registry:
    """Keeps what is registered."""

    def register(self, bundle: Bundle, record: RunRecord) -> Bundle:
        self.record = record
        return bundle.registered(version="1", run_id="run")


@pytest.fixture
def train(tmp_path: Path) -> Callable[..., Any]:
    def run(trials: int, tracker: Tracker, **options: Any) -> Any:
        coins = [reversing(5500), make_hours("ETHUSDT", hours=5500)]
        through = options.pop("through", date(2022, 6, 30))
        return train_direction(
            Memory(coins),
            ["REVUSDT", "ETHUSDT"],
            date(2000, 1, 1),
            date(2023, 1, 1),
            through,
            boost=training,
            search=OptunaSearch(tmp_path / "tuning.db", BOOSTING),
            tracker=tracker,
            trials=trials,
            recipe=replace(FAST, days=60),
            **options,
        )

    return run


def test_a_training_searches_measures_and_registers(train: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tickercast.jobs.training.train_direction.VALIDATION_MONTHS", 2)
    monkeypatch.setitem(BOOSTING, "days", lambda trial, name: trial.suggest_categorical(name, [60]))
    monkeypatch.setitem(BOOSTING, "trees", lambda trial, name: trial.suggest_int(name, 5, 20))
    tracker, registry = Tracker(), Registry()
    made = train(3, tracker, registry=registry, asked=["REVUSDT"])
    assert [number for number, _, _ in tracker.log.trials] == [0, 1, 2]
    assert (
        tracker.log.results[0].metrics["validation_brier"] <= tracker.log.results[0].metrics["validation_brier_default"]
    )
    assert made.study.best.loss <= made.study.default.loss
    assert made.bundle.card.metrics["brier"] < 0.22
    assert made.report["verdict"].startswith("better than a coin")
    assert registry.record.datasets["training"].last == date(2022, 6, 30)
    evaluated = registry.record.datasets["evaluation"]
    assert (evaluated.first, evaluated.symbols) == (date(2022, 7, 1), ("REVUSDT",))
    page = describe(made.bundle.card)
    assert "## Verdict" in page
    assert "--through 2022-06-30 --trials 3 " in page
    assert "Better than a coin" in page
    again = train(3, Tracker(), asked=["REVUSDT"])
    assert again.study.best == made.study.best  # resumed: nothing is tried twice
    assert again.bundle.onnx == made.bundle.onnx


def test_without_trials_the_default_is_trained(train: Callable[..., Any]) -> None:
    tracker = Tracker()
    made = train(0, tracker)
    assert made.study is None
    assert not tracker.names
    assert f"the {FAST.days} days up to 2022-06-30" in made.bundle.card.trained_on


def test_no_month_that_was_learned_from_measures_the_model(train: Callable[..., Any]) -> None:
    whole, half = (train(0, Tracker(), through=date(2022, month, day)) for month, day in ((6, 30), (6, 15)))
    assert half.report["n"] == whole.report["n"]  # from July on
    assert half.bundle.card.trained_through == date(2022, 6, 15)


def test_defaults_lie_in_the_ranges_that_are_searched() -> None:
    import optuna

    for default, space in ((Boosting(), BOOSTING), (USUAL, BOOSTING_USUAL)):
        fixed = optuna.trial.FixedTrial({name: getattr(default, name) for name in space})
        for name, suggest in space.items():
            assert suggest(fixed, name) == getattr(default, name)


def test_the_graph_s_shapes_are_those_of_its_kind(trained: training.Boosted) -> None:
    assert graph_shapes(trained.card) == ({"inputs": (len(INPUTS),)}, {"probabilities": (2,)})


def test_a_recipe_that_shows_no_promise_is_pruned(asked: list[Questions]) -> None:
    def judge(epoch: Any) -> None:
        assert epoch.losses["brier"] / COIN == epoch.ratio
        raise Pruned

    with pytest.raises(Pruned):
        training.brier(asked, FAST, MAY, JULY, on_epoch=judge)
