"""Joint paths, the odds and the portfolios made of them, and the distribution between stored quantiles."""

from datetime import date

import numpy as np
import pytest
from scipy import stats

from tickercast.domain.bars import Bars
from tickercast.domain.distribution import probability, quantile, student5
from tickercast.domain.forecast import QUANTILES
from tickercast.domain.outlook.odds import LEAST_CHANCE, Odds, check_chance
from tickercast.domain.outlook.paths import (
    COUNT,
    FEWEST,
    Past,
    Paths,
    levels_of,
    past,
    paths,
    residuals,
    seed_of,
    steps_by,
    valuation_dates,
)
from tickercast.domain.outlook.portfolio import christoffersen, correlation, kupiec, risk, shares
from tickercast.errors import TooFewSessions

LEVELS = np.array(QUANTILES)
STEPS = 10


def series(symbol: str, sessions: int, seed: int, market: np.ndarray) -> Bars:
    rng = np.random.default_rng(seed)
    close = 50 * np.exp(np.cumsum(0.01 * (market[-sessions:] + 0.5 * rng.normal(size=sessions))))
    opened = close * np.exp(0.002 * rng.normal(size=sessions))
    high = np.maximum(opened, close) * np.exp(0.004 * rng.exponential(size=sessions))
    low = np.minimum(opened, close) * np.exp(-0.004 * rng.exponential(size=sessions))
    days = np.busday_offset("2015-01-01", np.arange(1600), roll="forward")[-sessions:]
    columns = {"open": opened, "high": high, "low": low, "close": close, "adj_close": close}
    return Bars(symbol, {"session_date": days, **columns, "volume": np.full(sessions, 1e6)})


@pytest.fixture(scope="module")
def watched() -> list[Bars]:
    market = np.random.default_rng(0).normal(size=1600)
    return [series(f"S{seed}", 1600 - 20 * seed, seed, market) for seed in range(1, 5)]


@pytest.fixture(scope="module")
def quantiles() -> np.ndarray:
    sigma = np.array([0.01, 0.012, 0.02, 0.03])[:, None, None] * np.sqrt(np.arange(1, STEPS + 1))[:, None]
    return sigma * student5(LEVELS) + 0.001


class TestPaths:
    def test_each_step_has_exactly_the_stored_distribution(self, watched, quantiles):
        made = paths(past(residuals(watched), watched[0].cutoff), quantiles, seed=1)

        ordered = np.sort(made.close, axis=-1)
        at = np.round(LEVELS * (COUNT + 1)).astype(int) - 1
        assert np.abs(ordered[..., at] - quantiles).max() < 1e-6

    def test_nothing_after_the_cutoff_has_an_influence(self, watched, quantiles):
        cutoff = watched[0].columns["session_date"][-101].astype(date)
        changed = [
            Bars(bars.symbol, {**bars.columns, "close": np.where(_after(bars, cutoff), 7.0, bars.columns["close"])})
            for bars in watched
        ]
        cut = [bars.through(cutoff) for bars in watched]

        made = [paths(past(residuals(each), cutoff), quantiles, seed=1) for each in (watched, changed, cut)]

        for other in made[1:]:
            np.testing.assert_array_equal(made[0].close, other.close)
            np.testing.assert_array_equal(made[0].high, other.high)

    def test_symbols_move_together_as_they_did(self, watched, quantiles):
        known = past(residuals(watched), watched[0].cutoff)

        together = correlation(paths(known, quantiles, seed=1).close[:, 0])
        apart = correlation(paths(_shuffled_by_symbol(known), quantiles, seed=1).close[:, 0])

        was = np.corrcoef(known.close.T)
        assert np.abs(together - was).max() < 0.08  # ranks, not moves, are kept
        assert np.abs(apart - np.eye(4)).max() < 0.1

    @pytest.mark.parametrize(("market", "together"), [(0.3, 0.26), (1.0, 0.8), (3.0, 0.97)])
    def test_symbols_move_together_the_more_the_larger_the_market_s_moves_are_now(self, market, together):
        rng = np.random.default_rng(3)
        size = np.where(np.arange(1600) < 1500, 1.0, market)
        shared = rng.normal(size=1600)
        made = [_moved(f"S{n}", size * shared + 0.5 * rng.normal(size=1600)) for n in range(8)]

        known = past(residuals(made), made[0].cutoff)

        found = np.corrcoef(known.close.T)[~np.eye(8, dtype=bool)]
        assert found.mean() == pytest.approx(together, abs=0.05)
        assert known.close.std(axis=0) == pytest.approx(1, abs=0.15)

    def test_what_symbols_did_on_their_own_is_turned_round_in_every_other_draw(self, watched):
        known = past(residuals(watched), watched[0].cutoff)
        alone = past(residuals(watched[:1]), watched[0].cutoff)

        market, own = (known.close + known.mirrored) / 2, (known.close - known.mirrored) / 2
        assert np.linalg.matrix_rank(market, tol=1e-9) == 1
        assert np.corrcoef(own.T)[~np.eye(4, dtype=bool)].max() < 0
        np.testing.assert_allclose(alone.close, alone.mirrored)

    def test_draws_that_are_turned_round_come_as_often(self):
        moves = np.linspace(-1, 1, 300)[:, None] * [1.0, 1.0]
        known = Past(moves, moves * [1.0, -1.0], np.abs(moves), np.abs(moves), np.full(300, 1 / 300))

        made = paths(known, np.tile(0.02 * student5(LEVELS), (2, 1, 1)), seed=3)

        assert abs(correlation(made.close[:, 0])[0, 1]) < 0.02

    def test_a_symbol_on_its_own_keeps_the_order_of_its_standardised_returns(self, watched):
        alone = residuals(watched[:1])

        known = past(alone, watched[0].cutoff)

        assert stats.spearmanr(known.close[:, 0], alone[0].close[-len(known) :]).statistic > 0.995

    def test_highs_and_lows_enclose_the_closes_of_their_session(self, watched, quantiles):
        made = paths(past(residuals(watched), watched[0].cutoff), quantiles, seed=1)

        before = np.concatenate([np.zeros_like(made.close[:, :1]), made.close[:, :-1]], axis=1)
        assert (made.high >= np.maximum(before, made.close)).all()
        assert (made.low <= np.minimum(before, made.close)).all()

    def test_the_same_question_has_the_same_answer(self, watched, quantiles):
        known = past(residuals(watched), watched[0].cutoff)

        first, again = (paths(known, quantiles, seed=seed_of(date(2023, 7, 21))) for _ in range(2))

        np.testing.assert_array_equal(first.low, again.low)
        assert seed_of(date(2023, 7, 21)) != seed_of(date(2023, 7, 24))

    def test_more_symbols_than_are_drawn_at_a_time(self):
        rng = np.random.default_rng(1)
        moves = rng.normal(size=(300, 1)).repeat(120, axis=1)
        known = Past(moves, moves, np.abs(moves), np.abs(moves), np.full(300, 1 / 300))

        made = paths(known, np.tile(0.02 * student5(LEVELS), (120, 2, 1)), seed=3)

        np.testing.assert_array_equal(made.close[0], made.close[119])

    def test_steps_on_one_date_draw_one_past_session(self, watched, quantiles):
        known = past(residuals(watched[:2]), watched[0].cutoff)
        days = np.arange("2023-06-03", "2023-06-17", dtype="datetime64[D]")
        coin, stock = days[:STEPS], days[np.is_busday(days)]

        every = paths(known, quantiles[:2], seed=1)
        same = paths(known, quantiles[:2], seed=1, targets=np.stack([stock, stock]))
        apart = paths(known, quantiles[:2], seed=1, targets=np.stack([stock, coin]))

        np.testing.assert_array_equal(same.close, every.close)
        np.testing.assert_array_equal(same.low, every.low)
        moves = np.diff(apart.close, axis=1, prepend=0)
        on_monday = correlation(np.stack([moves[0, 0], moves[1, 2]]))[0, 1]
        assert on_monday == pytest.approx(correlation(every.close[:, 0])[0, 1], abs=0.1)
        assert abs(correlation(np.stack([moves[0, 0], moves[1, 0]]))[0, 1]) < 0.1  # a Monday and a Saturday

    def test_the_dates_of_symbols_of_different_calendars(self):
        coin = np.arange("2023-06-03", "2023-06-06", dtype="datetime64[D]")
        stock = np.array(["2023-06-05", "2023-06-06", "2023-06-07"], "datetime64[D]")
        targets = np.stack([stock, coin])

        dates = valuation_dates(targets, 3)

        np.testing.assert_array_equal(dates, coin)
        np.testing.assert_array_equal(valuation_dates(targets[::-1], 3), coin)
        assert steps_by(dates, targets).tolist() == [[0, 0, 1], [1, 2, 3]]

    def test_sessions_of_a_like_volatility_are_drawn_more_often(self, watched):
        every = residuals(watched)
        known = past(every, watched[0].cutoff)

        level = np.log(np.stack([one.sigma[-len(known) :] for one in every])).mean(axis=0)
        distance = np.abs(level[:-1] - level[-1])
        assert known.weight[1:][distance < 0.05].min() > known.weight[1:][distance > 0.3].max()
        assert known.weight.sum() == pytest.approx(1)

    def test_after_a_gap_symbols_move_together_as_they_did_and_their_widths_begin_again(self, watched):
        whole = [residuals([bars])[0] for bars in watched]
        broken = residuals([_without(bars, 900, 1200) for bars in watched])

        for before, after, bars in zip(whole, broken, watched, strict=True):
            days = bars.columns["session_date"]
            expected = np.r_[days[61:900], days[1261:]]
            np.testing.assert_array_equal(after.sessions, expected)
            again = residuals([bars.rows(1200, len(bars))])[0]
            np.testing.assert_array_equal(after.close[-len(again.close) :], again.close)
            np.testing.assert_array_equal(after.close[:839], before.close[:839])
        was, now = (np.corrcoef(past(each, watched[0].cutoff).close.T) for each in (whole, broken))
        assert np.abs(now - was).max() < 0.05

    @pytest.mark.parametrize(("since", "said"), [(61, "fewer than 62 since"), (62, "")])
    def test_too_few_sessions_since_a_gap_are_refused(self, watched, since, said):
        broken = [_without(bars, 1000, len(bars) - since) for bars in watched[:2]]
        known = residuals(broken)

        if said:
            with pytest.raises(TooFewSessions, match=said):
                past(known, broken[0].cutoff)
        else:
            assert past(known, broken[0].cutoff).close.shape == (920, 2)

    def test_nothing_but_short_stretches_is_refused(self, watched):
        bars = _without(watched[0].rows(0, 200), 40, 150)

        with pytest.raises(TooFewSessions, match=r"S1 has 50 session\(s\) between two gaps of more than a month"):
            residuals([bars])

    def test_symbols_with_too_little_in_common_are_refused(self, watched):
        young = watched[0].rows(len(watched[0]) - 200, len(watched[0]))

        with pytest.raises(TooFewSessions, match=rf"139 sessions up to .* of all 2 .* at least {FEWEST} were needed"):
            past(residuals([watched[1], young]), young.cutoff)
        with pytest.raises(
            TooFewSessions, match=r"^200 sessions up to .* of the symbol: at least 311 were needed, 61 to"
        ):
            past(residuals([young]), young.cutoff)
        with pytest.raises(TooFewSessions, match="S1 has 40 session"):
            residuals([watched[0].rows(0, 40)])


class TestDistribution:
    @pytest.mark.parametrize("level", [0.0005, 0.025, 0.07, 0.5, 0.83, 0.975, 0.999])
    def test_quantile_and_probability_are_inverse(self, level, quantiles):
        value = quantile(quantiles[2, 4], np.array([level]))

        assert probability(quantiles[2, 4], value) == pytest.approx(level, rel=1e-9)

    def test_a_student_is_met_between_its_quantiles_and_beyond(self):
        levels = np.array([0.001, 0.01, 0.33, 0.99, 0.9999])

        expected = stats.t.ppf(levels, 5) * np.sqrt(3 / 5)
        np.testing.assert_allclose(quantile(student5(LEVELS), levels), expected, rtol=1e-9)

    def test_a_price_that_never_moves(self):
        flat = np.zeros(len(LEVELS))

        assert probability(flat, np.array([-1e-9, 0.0, 1e-9])).round(6).tolist() == [0.0, 1.0, 1.0]
        assert quantile(flat, np.array([0.01, 0.6])).tolist() == [0.0, 0.0]


@pytest.fixture(scope="module")
def odds(watched, quantiles) -> Odds:
    made = paths(past(residuals(watched[:1]), watched[0].cutoff), quantiles[:1], seed=1)
    return Odds(made, quantiles[0])


class TestLimits:
    def test_the_fewest_sessions_are_enough(self):
        market = np.random.default_rng(0).normal(size=1600)
        enough, few = (series("S1", FEWEST + count, 1, market) for count in (61, 60))

        assert len(past(residuals([enough]), enough.cutoff)) == FEWEST
        with pytest.raises(TooFewSessions):
            past(residuals([few]), few.cutoff)
        assert len(residuals([series("S1", 62, 1, market)])[0].sessions) == 1
        with pytest.raises(TooFewSessions):
            residuals([series("S1", 61, 1, market)])

    def test_lows_are_of_past_lows_and_highs_of_past_highs(self, quantiles):
        moves = np.random.default_rng(1).normal(size=(500, 1))
        excess, none = np.ones((500, 1)), np.zeros((500, 1))
        made = paths(Past(moves, moves, none, excess, np.full(500, 1 / 500)), quantiles[:1], seed=1)

        before = np.concatenate([np.zeros_like(made.close[:, :1]), made.close[:, :-1]], axis=1)
        np.testing.assert_array_equal(made.high, np.maximum(before, made.close))
        assert (made.low < np.minimum(before, made.close)).all()

    def test_a_symbol_that_never_moved_has_its_stored_quantiles(self, quantiles):
        still = np.zeros((500, 1))
        made = paths(Past(still, still, still, still, np.full(500, 1 / 500)), quantiles[:1], seed=1)

        np.testing.assert_array_equal(made.low, np.minimum(made.low, made.close))
        np.testing.assert_allclose(levels_of(made.close[0], QUANTILES), quantiles[0].T, atol=1e-6)

    def test_what_does_not_move_is_correlated_with_nothing(self):
        assert correlation(np.array([[0.0, 0.0, 0.0], [1.0, 2.0, 4.0]])).round(9).tolist() == [[0, 0], [0, 1]]

    def test_the_smallest_chance_is_one(self):
        for chance in (LEAST_CHANCE, 1 - LEAST_CHANCE):
            check_chance(chance)


class TestOdds:
    def test_chances_grow_with_time_and_with_the_ways(self, odds):
        found = odds.above(0.02)

        for chances in (found.closes, found.touches):
            assert (np.diff(chances) >= 0).all()
        assert (found.closes >= found.ends).all()
        assert (found.touches >= found.closes).all()

    @pytest.mark.parametrize("far", [0.001, 0.01, 0.05, 0.2])
    def test_no_way_is_likelier_or_farther_than_one_that_contains_it(self, odds, far):
        for found in (odds.above(far), odds.below(-far)):
            assert found.closes[0] == found.ends[0]
            assert (found.closes >= np.maximum.accumulate(found.ends)).all()
            assert (found.touches >= found.closes).all()
        within = odds.between(-far, far)
        assert within.closes[0] == pytest.approx(within.ends[0])
        assert (within.closes <= within.ends + 1e-12).all()
        assert (within.touches <= within.closes).all()
        for step in (1, 2, 5):
            above, below = odds.level(far / 10, step=step), odds.level(far / 10, step=step, below=True)
            assert above.ends <= above.closes <= above.touches
            assert below.ends >= below.closes >= below.touches

    def test_above_and_below_are_what_is_not_between(self, odds):
        between, above, below = odds.between(-0.01, 0.02), odds.above(0.02), odds.below(-0.01)

        np.testing.assert_allclose(between.ends, 1 - above.ends - below.ends, atol=1e-12)
        assert (between.closes <= 1 - np.maximum(above.closes, below.closes) + 1e-9).all()

    @pytest.mark.parametrize("below", [False, True])
    @pytest.mark.parametrize("way", ["ends", "closes", "touches"])
    def test_the_level_of_a_chance_has_that_chance(self, odds, way, below):
        level = getattr(odds.level(0.1, step=7, below=below), way)

        chance = getattr(odds.below(level) if below else odds.above(level), way)[6]
        assert chance == pytest.approx(0.1, abs=1 / COUNT)

    def test_a_level_lies_where_the_paths_were_put(self, odds):
        highest, lowest = np.sort(odds.made.high[0].max(axis=0)), np.sort(odds.made.low[0].min(axis=0))

        assert odds.level(0.1, step=STEPS).touches == pytest.approx(highest[1800 - 1])
        assert odds.level(0.1, step=STEPS, below=True).touches == pytest.approx(lowest[200 - 1])

    @pytest.mark.parametrize("side", ["above", "below"])
    def test_the_first_close_is_the_first_end_whatever_the_paths_say(self, side):
        odds = made_odds(np.full((2, COUNT), 0.5 if side == "above" else -0.5))

        found = getattr(odds, side)(0.0)
        assert found.closes.tolist() == [found.ends[0], 1.0]
        level = odds.level(0.1, step=1, below=side == "below")
        assert level.closes == level.ends

    @pytest.mark.parametrize(("side", "price"), [("above", 1 / 128), ("below", -1 / 128)])
    def test_a_close_at_a_price_is_not_beyond_it(self, side, price):
        closes = np.zeros((2, COUNT))
        closes[1] = price

        assert getattr(made_odds(closes), side)(price).closes[1] < 0.01
        assert getattr(made_odds(closes), side)(price * 0.99).closes[1] == 1
        within = made_odds(closes).between(-1 / 128, 1 / 128)
        assert min(within.closes[1], within.touches[1]) > 0.99

    def test_the_last_close_is_touched_and_so_is_the_price_of_that_chance(self, odds):
        assert set(odds.above(0.0).touches) == set(odds.below(0.0).touches) == {1.0}
        for below, ways in ((False, odds.above), (True, odds.below)):
            level = odds.level(0.95, step=1, below=below).touches
            assert level == 0.0
            assert ways(level).touches[0] >= 0.95
            assert ways(level).closes[0] == ways(level).ends[0] < 0.6

    @pytest.mark.parametrize("side", ["above", "below"])
    def test_a_price_is_touched_where_it_is_reached(self, side):
        reached = 1 / 128 if side == "above" else -1 / 128
        ways = getattr(made_odds(np.full((2, COUNT), reached)), side)

        assert ways(reached).touches[1] == 1
        assert ways(reached * 1.01).touches[1] < 0.01


def made_odds(closes: np.ndarray) -> Odds:
    """The odds of paths that are not those of the stored quantiles, of which each step has the same narrow ones."""
    made = closes[None].astype(np.float32)
    return Odds(Paths(made, np.maximum(made, 0), np.minimum(made, 0)), np.tile(0.001 * student5(LEVELS), (2, 1)))


class TestPortfolio:
    def test_the_shares_add_up_to_the_shortfall(self, watched, quantiles):
        made = paths(past(residuals(watched), watched[0].cutoff), quantiles, seed=1)
        parts = np.array([100.0, 50.0, -80.0, 20.0])[:, None] * np.expm1(made.close[:, 4].astype(float))

        found = risk(parts.sum(axis=0), 0.95)

        assert shares(parts, found.worst).sum() == pytest.approx(found.expected_shortfall)
        assert found.expected_shortfall > found.value_at_risk > 0
        assert len(found.worst) == 99  # that at the value at risk is the hundredth

    def test_one_holding_has_the_risk_of_its_distribution(self, watched, quantiles):
        made = paths(past(residuals(watched[:1]), watched[0].cutoff), quantiles[:1], seed=1)

        gains = 1000 * np.expm1(made.close[0, 0].astype(float))

        for level in (0.95, 0.975):
            stored = 1000 * np.expm1(quantiles[0, 0, QUANTILES.index(round(1 - level, 3))])
            found = risk(gains, level)
            assert found.value_at_risk == pytest.approx(-stored, rel=1e-6)
            assert found.expected_shortfall == pytest.approx(-gains[gains < 1.0001 * stored].mean())

    @pytest.mark.parametrize(("breaches", "days"), [(0, 100), (5, 100), (20, 100), (100, 100)])
    def test_kupiec_is_the_likelihood_ratio(self, breaches, days):
        def log(chance: float) -> float:
            return float(stats.binom.logpmf(breaches, days, chance))

        expected = stats.chi2.sf(2 * (log(breaches / days) - log(0.05)), 1)
        assert kupiec(breaches, days, 0.05) == pytest.approx(expected)

    def test_breaches_in_a_row_are_noticed(self):
        apart, together = np.zeros(400, bool), np.zeros(400, bool)
        apart[::20], together[100:120] = True, True

        assert christoffersen(together) < 0.001
        assert christoffersen(apart) > 0.1
        assert christoffersen(np.zeros(400, bool)) == 1

    def test_two_breaches_are_in_a_row_on_two_days_that_follow_each_other(self):
        days = np.arange(400) % 40

        assert christoffersen((days == 10) | (days == 11)) < 0.001
        assert christoffersen((days == 10) | (days == 12)) > 0.1


def _moved(symbol: str, moves: np.ndarray) -> Bars:
    close = 50 * np.exp(np.cumsum(0.01 * moves))
    days = np.busday_offset("2015-01-01", np.arange(len(moves)), roll="forward")
    prices = dict.fromkeys(("open", "high", "low", "close", "adj_close"), close)
    return Bars(symbol, {"session_date": days, **prices, "volume": np.full(len(moves), 1e6)})


def _without(bars: Bars, start: int, end: int) -> Bars:
    kept = np.r_[0:start, end : len(bars)]
    return Bars(bars.symbol, {name: values[kept] for name, values in bars.columns.items()})


def _after(bars: Bars, cutoff: date) -> np.ndarray:
    return bars.columns["session_date"] > np.datetime64(cutoff)


def _shuffled_by_symbol(known: Past) -> Past:
    rng = np.random.default_rng(9)
    shuffled = (rng.permuted(moves, axis=0) for moves in (known.close, known.mirrored))
    return Past(*shuffled, known.high, known.low, known.weight)
