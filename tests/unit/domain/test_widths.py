"""Intervals follow what earlier ones held, from nothing that was not known by then."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from tickercast.domain.bars import Bars
from tickercast.domain.forecast import QUANTILES
from tickercast.domain.learning.width import width_of
from tickercast.domain.learning.widths import (
    EVERY,
    OWN_SESSIONS,
    ClassFactors,
    class_factors,
    forecasts_due,
    measure_widths,
    rolling_factors,
    stretched,
    symbol_factor,
)
from tickercast.errors import TooFewSessions, UsageError
from tickercast.models.baselines import RandomWalk

MakeBars = Callable[..., Bars]


def test_why_an_interval_is_so_wide_is_told_from_the_sessions_since_a_gap(make_bars: MakeBars) -> None:
    whole = make_bars(sessions=300)
    kept = np.r_[0:100, 150:300]
    closes = np.where(np.arange(300) < 100, 7.0, 1.0) * whole.columns["adj_close"]
    broken = Bars("MSFT", {name: values[kept] for name, values in {**whole.columns, "adj_close": closes}.items()})
    assert width_of(broken, 0.05, step=4) == width_of(whole.rows(150, 300), 0.05, step=4)
    with pytest.raises(TooFewSessions, match=r"MSFT has 50 session\(s\) in a row that are stored"):
        width_of(broken.rows(0, 150), 0.05, step=4)


class Fixed:
    """A model whose intervals are `times` those that hold 80% of a walk with σ .015."""

    name, version, horizon, min_sessions, adapts = "fixed", "1", 10, 61, True

    def __init__(self, times: float, lift: Callable[[Bars, np.ndarray], np.ndarray] | None = None) -> None:
        self._lift = lift
        steps = np.sqrt(np.arange(1, 11))[:, None]
        self._quantiles = times * 0.015 * steps * 1.2816 * np.linspace(-1.5, 1.5, 13)
        self._quantiles[:, [2, 10]] = times * 0.015 * steps * 1.2816 * np.array([-1, 1])

    def predict(self, series: Sequence[Bars]) -> np.ndarray:
        return np.broadcast_to(self._quantiles, (len(series), 10, 13))

    def predict_at(self, bars: Bars, at: np.ndarray) -> np.ndarray:
        return np.broadcast_to(self._quantiles, (len(at), 10, 13))

    def informed(self, results: object, widths: object = None) -> "Fixed":
        return self

    def results_lift(self, bars: Bars, at: np.ndarray) -> np.ndarray:
        return np.zeros((len(at), 10)) if self._lift is None else self._lift(bars, at)


@pytest.mark.parametrize("times", [0.7, 1.0, 1.4])
def test_a_symbol_is_brought_nearer_to_what_holds(make_bars: MakeBars, times: float) -> None:
    series = [make_bars(symbol, sessions=900, seed=seed) for seed, symbol in enumerate(["MSFT", "AAPL", "IBM", "GE"])]
    widths = measure_widths(Fixed(times), series)
    for factor in widths.factors([bars.symbol for bars in series], np.zeros((4, 10))).mean(axis=1):
        assert abs(times * factor - 1) < abs(times - 1) + 0.12
        assert (factor - 1) * (1 - times) >= 0 or abs(factor - 1) < 0.1


def test_nothing_is_learned_from_a_model_that_answers_no_numbers(make_bars: MakeBars) -> None:
    with pytest.raises(UsageError, match="fixed 1 gave quantiles that are not finite"):
        measure_widths(Fixed(np.nan), [make_bars(sessions=900)])


def test_few_forecasts_of_its_own_leave_a_symbol_with_its_class(make_bars: MakeBars) -> None:
    bars = make_bars(sessions=900)
    due = forecasts_due(Fixed(0.5), bars, 61, len(bars) - 1)
    of_class = ClassFactors(np.ones(10), 0.0)
    few, many = (symbol_factor(due, row, of_class) for row in (90, 890))
    assert 1 < few < many
    assert symbol_factor(due, 61, of_class) == 1


def test_symbols_that_were_not_measured_keep_their_widths(make_bars: MakeBars) -> None:
    names = ["MSFT", "AAPL", "IBM", "EURUSD=X"]
    series = [make_bars(name, sessions=900, seed=seed) for seed, name in enumerate(names)]
    served = measure_widths(Fixed(0.7), series)
    few = measure_widths(Fixed(1.4), series[:1], served)
    assert few.classes == served.classes
    assert few.symbols | {"MSFT": 0} == served.symbols | {"MSFT": 0}
    assert few.symbols["MSFT"] < served.symbols["MSFT"]
    most = measure_widths(Fixed(1.4), series[:2], served)
    assert most.classes["fx"] == served.classes["fx"]
    assert max(most.classes["stock"]) < 1 < min(served.classes["stock"])


def test_an_index_follows_the_funds_that_hold_it(make_bars: MakeBars) -> None:
    series = [make_bars(name, sessions=900, seed=seed) for seed, name in enumerate(["SPY", "^GSPC", "EURUSD=X"])]
    widths = measure_widths(Fixed(0.7), series)
    assert set(widths.classes) == {"etf", "fx"}
    fund, index, _ = widths.factors([bars.symbol for bars in series], np.zeros((3, 10)))
    np.testing.assert_allclose(fund / widths.symbols["SPY"], index / widths.symbols["^GSPC"])
    assert widths.factors(["QQQ"], np.zeros((1, 10)))[0].min() > 1


EVERY_RESULTS = 20


def after_results(bars: Bars, at: np.ndarray) -> np.ndarray:
    """A lift of log 2 from every twentieth bar on, for the forecasts that have it ahead."""
    ahead = EVERY_RESULTS - at % EVERY_RESULTS
    return np.log(2) * (np.arange(1, 11) >= ahead[:, None])


def with_results(bars: Bars, times: float) -> Bars:
    """The same moves, but for those of every twentieth bar."""
    frame = bars.frame
    moves = np.diff(np.log(frame["close"]), prepend=np.log(100))
    moves[::EVERY_RESULTS] *= times
    close = np.exp(np.log(100) + np.cumsum(moves))
    prices = ["open", "high", "low", "close", "adj_close"]
    return Bars(bars.symbol, frame.assign(**frame[prices].mul(close / frame["close"], axis=0)))


class Fearful(Fixed):
    """It doubles its intervals from results on."""

    def predict_at(self, bars: Bars, at: np.ndarray) -> np.ndarray:
        return super().predict_at(bars, at) * np.exp(after_results(bars, at))[..., None]


@pytest.mark.parametrize(("kind", "times", "least", "most"), [(Fixed, 5.0, 0.1, 1.0), (Fearful, 1.0, -1.0, -0.1)])
def test_steps_that_results_reach_follow_what_earlier_ones_held(
    make_bars: MakeBars, kind: type[Fixed], times: float, least: float, most: float
) -> None:
    names = ["MSFT", "AAPL", "IBM", "GE", "KO", "PG", "F", "T"]
    series = [with_results(make_bars(name, sessions=900, seed=seed), times) for seed, name in enumerate(names)]
    informed, plain = kind(1.0, after_results), kind(1.0)
    assert least < measure_widths(informed, series).results["stock"] < most
    assert measure_widths(plain, series).results == {}
    assert missed_after_results(informed, series) < missed_after_results(plain, series)


def missed_after_results(model: Fixed, series: Sequence[Bars]) -> float:
    """By how much the 80% intervals of steps that results reach miss 80%."""
    rows, inside = np.arange(600, 890), []
    for bars, factors in zip(series, rolling_factors(model, series, [rows] * len(series)), strict=True):
        ends = stretched(model.predict_at(bars, rows), factors)
        log_close = np.log(bars.columns["close"])
        came = log_close[rows[:, None] + np.arange(1, 11)] - log_close[rows, None]
        held = (ends[..., 2] <= came) & (came <= ends[..., 10])
        inside.append(held[after_results(bars, rows) > 0])
    return abs(float(np.concatenate(inside).mean()) - 0.8)


def test_a_class_that_was_not_measured_keeps_what_it_learned_of_results(make_bars: MakeBars) -> None:
    names = ["MSFT", "AAPL", "IBM", "GE"]
    series = [with_results(make_bars(name, sessions=900, seed=seed), 5.0) for seed, name in enumerate(names)]
    served = measure_widths(Fixed(1.0, after_results), series)
    fund = measure_widths(Fixed(1.0), [make_bars("SPY", sessions=900)], served)
    assert fund.results == served.results == {"stock": served.results["stock"]}


def test_only_what_had_come_due_counts(make_bars: MakeBars) -> None:
    bars = make_bars(sessions=900)
    frame = bars.frame.copy()
    frame.loc[601:, ["open", "high", "low", "close", "adj_close"]] *= 1.5
    model, at = RandomWalk(), [np.array([600, 700])]
    factors, others = (rolling_factors(_Rolling(model), [one], at)[0] for one in (bars, Bars(bars.symbol, frame)))
    np.testing.assert_array_equal(factors[0], others[0])
    assert (factors[1] != others[1]).any(), "though what followed is known at the later origin"


class _Rolling:
    def __init__(self, model: RandomWalk) -> None:
        self._model = model
        self.name, self.version, self.horizon, self.min_sessions = "walk", "1", model.horizon, model.min_sessions
        self.adapts = True

    def predict(self, series: Sequence[Bars]) -> np.ndarray:
        return self._model.predict(series)

    def predict_at(self, bars: Bars, at: np.ndarray) -> np.ndarray:
        return self._model.predict([bars.rows(0, row + 1) for row in at])

    def informed(self, results: object, widths: object = None) -> "_Rolling":
        return self

    def results_lift(self, bars: Bars, at: np.ndarray) -> np.ndarray:
        return np.zeros((len(at), self.horizon))


def test_the_daily_flow_learns_what_a_backtest_does(make_bars: MakeBars) -> None:
    bars = make_bars(sessions=900)
    learned = measure_widths(Fixed(0.8), [bars]).symbols["MSFT"]
    due = forecasts_due(Fixed(0.8), bars, len(bars) - 1 - OWN_SESSIONS, len(bars) - 1)
    of_class = class_factors([due], bars.columns["session_date"][-1], 10)
    assert learned == pytest.approx(symbol_factor(due, len(bars) - 1, of_class), abs=0.01)


def test_forecasts_due_are_those_whose_last_close_is_known(make_bars: MakeBars) -> None:
    bars = make_bars(sessions=400)
    due = forecasts_due(Fixed(1.0), bars, 100, 399)
    assert set(np.diff(due.rows)) == {EVERY}
    assert due.rows[0] >= 100
    assert due.rows[-1] + 10 <= 399
    move = np.log(bars.columns["adj_close"][due.rows[0] + 3] / bars.columns["adj_close"][due.rows[0]])
    assert due.stretch[0, 2] == pytest.approx(abs(move) / (0.015 * np.sqrt(3) * 1.2816))


def test_a_stretch_leaves_the_median(make_bars: MakeBars) -> None:
    quantiles = Fixed(1.0).predict([make_bars()]) + 0.01
    wide = stretched(quantiles, np.full((1, 10), 2.0))
    middle = QUANTILES.index(0.5)
    np.testing.assert_array_equal(wide[..., middle], quantiles[..., middle])
    np.testing.assert_allclose(wide[..., 0] - wide[..., middle], 2 * (quantiles[..., 0] - quantiles[..., middle]))
