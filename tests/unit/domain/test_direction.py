"""Scores of direction forecasts, on rows worked by hand, and the rules that say when to retrain."""

import numpy as np
import pytest
from tests.support.hourly import make_hours

from tickercast.domain.hourly.direction_inputs import INPUTS, money_flow, questions, relative_strength
from tickercast.domain.hourly.hours import grid
from tickercast.domain.learning.boosting import monthly_folds
from tickercast.domain.measures.direction import (
    RetrainBelow,
    accuracy_interval,
    break_even,
    brier_interval,
    expected_calibration_error,
    hit_rate_by_size,
    reliability,
    retrain_on_evidence,
    right,
    scores,
    verdict,
)
from tickercast.errors import UsageError

HOURS = np.datetime64("2023-07-22T01", "h") + np.arange(24 * 50)


def test_scores_of_four_forecasts() -> None:
    found = scores(np.array([0.8, 0.6, 0.4, 0.3]), np.array([True, False, False, True]))
    assert found.brier == pytest.approx((0.04 + 0.36 + 0.16 + 0.49) / 4)
    assert found.log_loss == pytest.approx(-np.log([0.8, 0.4, 0.6, 0.3]).mean())
    assert (found.accuracy, found.always_up, found.n) == (0.5, 0.5, 4)
    assert found.calibration_error == pytest.approx((0.2 + 0.6 + 0.4 + 0.7) / 4)


def test_from_one_half_on_up_is_forecast() -> None:
    assert right(np.array([0.5, 0.5, 0.4999]), np.array([True, False, False])).tolist() == [True, False, True]


def test_no_forecast_has_no_score() -> None:
    with pytest.raises(ValueError, match="no forecast was given"):
        scores(np.empty(0), np.empty(0, bool))


def test_groups_of_reliability_are_of_equal_size_and_in_order() -> None:
    random = np.random.default_rng(0)
    stated = random.random(1005)
    groups = reliability(stated, random.random(1005) < stated)
    assert {group.n for group in groups} == {100, 101}
    assert sum(group.n for group in groups) == 1005
    assert all(abs(group.stated - group.observed) < 0.15 for group in groups)
    assert [group.stated for group in groups] == sorted(group.stated for group in groups)


def test_a_perfect_model_has_the_calibration_error_that_is_expected() -> None:
    random = np.random.default_rng(1)
    stated = random.normal(0.5, 0.05, 10_220).clip(0.1, 0.9)
    expected = expected_calibration_error(stated)
    assert expected == pytest.approx(0.0125, abs=0.001)
    found = scores(stated, random.random(len(stated)) < stated).calibration_error
    assert abs(found - expected) < 0.007


def test_hit_rates_by_size_of_move() -> None:
    groups = hit_rate_by_size(np.array([0.6, 0.6, 0.4, 0.7]), np.array([True, False, False, False]),
                              np.array([0.001, 0.02, 0.03, 0.5]), (0.01, 0.1, 1.0))  # fmt: skip
    assert [(group.n, group.observed) for group in groups] == [(1, 1.0), (2, 0.5), (1, 0.0), (0, 0.0)]
    assert groups[1].stated == pytest.approx(0.025)


def test_intervals_are_drawn_over_days() -> None:
    random = np.random.default_rng(2)
    by_day = np.repeat(random.random(50) < 0.5, 24)  # a day's hours all rise or all fall
    stated = np.full(len(by_day), 0.6)
    brier, low, high = brier_interval(stated, by_day, HOURS)
    assert brier == pytest.approx(np.mean((0.6 - by_day) ** 2))
    independent = brier_interval(stated, random.permutation(by_day), HOURS)
    assert high - low > 3 * (independent[2] - independent[1])
    accuracy = accuracy_interval(stated, by_day, HOURS)
    assert accuracy[1] < accuracy[0] == by_day.mean() < accuracy[2]


def test_the_fee_at_which_trading_earns_nothing() -> None:
    probability = np.array([0.6, 0.6, 0.4, 0.6] * 300)
    move = np.array([0.001, 0.001, -0.001, -0.001] * 300)
    fee, low, high = break_even(probability, move, HOURS)
    # 0.002 in four hours for four units traded: two to go short, two to go long again
    assert fee == pytest.approx(5.0, rel=0.01)
    assert low <= fee <= high


def test_the_hour_that_ends_at_midnight_is_of_the_day_before() -> None:
    day, random = HOURS[:24], np.random.default_rng(5)
    stated, up, move = random.random(24), random.random(24) < 0.5, random.normal(size=24)
    for value, low, high in (brier_interval(stated, up, day), break_even(stated, move, day)):
        assert [low, high] == pytest.approx([value, value]), "of a single day there is one draw"
    assert brier_interval(stated, up, day + 1)[1] < brier_interval(stated, up, day + 1)[2]


@pytest.mark.parametrize(
    ("brier", "accuracy", "words"),
    [
        ((0.258, 0.256, 0.26), (0.51, 0.5, 0.52), "worse than a coin"),
        ((0.2495, 0.248, 0.251), (0.51, 0.5, 0.52), "not shown to be better"),
        ((0.246, 0.245, 0.247), (0.51, 0.49, 0.53), "but not more often right than one direction"),
        ((0.246, 0.245, 0.247), (0.554, 0.546, 0.562), "right in 55.4% of hours"),
    ],
)
def test_the_verdict(brier: tuple[float, float, float], accuracy: tuple[float, float, float], words: str) -> None:
    assert words in verdict(brier, 0.5, accuracy)


def test_a_model_is_compared_with_always_down_where_that_came_more_often() -> None:
    found = verdict((0.246, 0.245, 0.247), 0.4, (0.554, 0.546, 0.562))
    assert "but not more often right than one direction" in found


# ---------------------------------------------------------------- when to retrain


def test_the_rule_fires_on_85_percent_of_coin_windows() -> None:
    rule = RetrainBelow.parse("0.6/24")
    assert rule.least == 15
    coins = np.random.default_rng(3).random((20_000, 24)) < 0.5
    assert np.mean([rule.fires(window) for window in coins]) == pytest.approx(0.846, abs=0.01)


def test_the_rule_waits_until_there_are_enough_and_looks_at_the_last() -> None:
    rule = RetrainBelow(0.6, 5)
    assert not rule.fires([False] * 4)
    assert rule.fires([True] * 20 + [False] * 3 + [True] * 2)
    assert not rule.fires([False] * 20 + [True] * 3 + [False] * 2)
    assert RetrainBelow.parse("0.07/100").least == 7, "though the product is a little more in binary"


@pytest.mark.parametrize("text", ["", "0.6", "0.6/", "24/0.6", "1.2/24", "0/24", "nan/24", "0.6/0", "x" * 100])
def test_a_rule_that_is_none_is_a_sentence(text: str) -> None:
    with pytest.raises(UsageError, match="SHARE/LAST was needed"):
        RetrainBelow.parse(text)


def test_the_default_rule_waits_for_five_whole_days() -> None:
    up = np.random.default_rng(4).random(120) < 0.5
    wrong = np.where(up, 0.3, 0.7)
    assert retrain_on_evidence(wrong[:96], up[:96], HOURS[:96]) == ""
    assert retrain_on_evidence(wrong, up, HOURS[:120])


def test_the_default_rule_fires_on_evidence_alone() -> None:
    random = np.random.default_rng(4)
    up = random.random(len(HOURS)) < 0.5
    assert not retrain_on_evidence(np.full(len(up), 0.5), up, HOURS)
    assert "above a coin's 0.25" in retrain_on_evidence(np.where(up, 0.3, 0.7), up, HOURS)
    fired = 0
    for seed in range(40):
        drawn = np.random.default_rng(seed)
        coin = drawn.random(240) < 0.5
        fired += bool(retrain_on_evidence(drawn.normal(0.5, 0.04, 240), coin, HOURS[:240]))
    assert (
        fired <= 10
    )  # a model that knows nothing and says more than .5 is worse than a coin, and shown to be so seldom


# ---------------------------------------------------------------- inputs and windows


def test_rsi_and_mfi_equal_ta_lib_s() -> None:
    talib = pytest.importorskip("talib")
    made = grid(make_hours(hours=300))
    for span in (7, 14, 21):
        ours = relative_strength(made.close, span)
        np.testing.assert_allclose(ours[span:], talib.RSI(made.close, span)[span:], atol=1e-9)
        flow = talib.MFI(made.high, made.low, made.close, made.volume, span)
        np.testing.assert_allclose(money_flow(made, span)[span:], flow[span:], atol=1e-6)


def test_questions_are_asked_with_what_was_known() -> None:
    bars = make_hours(hours=800)
    asked = questions(bars)
    assert asked.inputs.shape == (800 - 744, len(INPUTS))
    assert np.isfinite(asked.inputs).all()
    cut = questions(bars.rows(0, 781))
    np.testing.assert_array_equal(asked.inputs[: len(cut)], cut.inputs)
    close = bars.columns["close"]
    np.testing.assert_allclose(asked.move, np.diff(np.log(close))[743:])
    assert asked.up.tolist() == (np.diff(close)[743:] > 0).tolist()


def test_windows_slide_and_are_purged() -> None:
    folds = list(monthly_folds(np.datetime64("2022-07"), np.datetime64("2022-10"), 90))
    assert len(folds) == 3
    for fold in folds:
        assert fold.ask_from - fold.learn_until == np.timedelta64(24, "h")
        assert fold.learn_until - fold.learn_after == np.timedelta64(90 * 24, "h")
    bars = make_hours(hours=2000)
    window = questions(bars).between(folds[0].learn_after, folds[0].learn_until)
    assert not len(window)
    some = questions(bars).between(np.datetime64("2022-02-10"), np.datetime64("2022-02-12"))
    assert (str(some.closed_at[0]), str(some.closed_at[-1])) == ("2022-02-10T00", "2022-02-11T23")
