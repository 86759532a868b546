"""The network's inputs from results days are those known at each close, and nothing else."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from tickercast.domain.bars import Bars
from tickercast.domain.events import ResultsDays
from tickercast.domain.learning import features
from tickercast.domain.learning.results_features import (
    RESULTS_FEATURES,
    TAIL,
    latest_results_features,
    results_features,
)

MakeBars = Callable[..., Bars]
BY_STEP = slice(0, features.HORIZON)
MEAN, LARGEST, RECENT, PREDICTED, KNOWN = range(features.HORIZON, len(RESULTS_FEATURES))


def quarterly(bars: Bars, last: int, *, sessions: str = "after", count: int = 10, every: int = 63) -> ResultsDays:
    """Reports every 63 sessions up to row `last`, each known at nine in the evening."""
    days = [bars.columns["session_date"][last - every * back].item() for back in range(count)]
    return ResultsDays.of(bars.symbol, [(day, sessions, f"{day}T21:00") for day in days])


def seen(bars: Bars, at: Any, days: ResultsDays | None) -> np.ndarray:
    panel, rows = features.panel(bars), np.atleast_1d(at)
    return results_features(bars, rows, panel.sigma60[rows], panel.sigma_ewma[rows], days)


def shaken(bars: Bars, rows: list[int], by: float) -> Bars:
    """The same bars with a jump at some rows that stays."""
    factor = np.ones(len(bars))
    for row in rows:
        factor[row:] *= by
    prices = ("open", "high", "low", "close", "adj_close")
    return Bars(bars.symbol, bars.frame.assign(**{name: bars.frame[name] * factor for name in prices}))


def test_nothing_known_gives_zeros(make_bars: MakeBars) -> None:
    bars = make_bars(sessions=700)
    assert not seen(bars, [300, 699], None).any()
    assert not seen(bars, [300, 699], ResultsDays.of("MSFT", [])).any()
    assert not seen(bars, 699, quarterly(bars, 650, count=1)).any()


def test_the_chance_rises_when_the_price_can_answer(make_bars: MakeBars) -> None:
    base = make_bars(sessions=700)
    bars = shaken(base, [604 - 63 * back + 1 for back in range(8)], 1.2)
    day = base.columns["session_date"][604].item()
    past = [(str(d), "after", f"{d}T21:00") for d in quarterly(base, 604 - 63, count=8).dates]
    days = ResultsDays.of("MSFT", [*past, (day, "after", f"{day - timedelta(days=20)}T12:00")])
    [row] = seen(bars, 600, days)
    assert row[PREDICTED] == 0
    assert row[KNOWN] == 1
    assert not row[:4].any()
    assert (row[4:10] > 0.5).all()
    assert row[LARGEST] >= row[MEAN] > 5


def test_after_results_of_the_day_itself_the_next_day_answers_where_it_usually_does(make_bars: MakeBars) -> None:
    base = make_bars(sessions=700)
    days, past = quarterly(base, 600, sessions="unknown"), [600 - 63 * back for back in range(1, 9)]
    at_once, a_day_later = (shaken(base, [row + late for row in past], 1.2) for late in (0, 1))
    [[expected], [answered]] = (seen(bars, 600, days)[:, 0] for bars in (a_day_later, at_once))
    assert expected > 1.5 * answered > 0


@pytest.mark.parametrize("origin", [500, 560, 604, 605, 628, 640, 699])
def test_serving_sees_the_very_numbers_of_training_and_no_future(make_bars: MakeBars, origin: int) -> None:
    bars = make_bars(sessions=700)
    days = quarterly(bars, 690)
    known = bars.rows(0, origin + 1)
    inputs = features.latest([known])
    whole, *_ = seen(bars, [origin, 699], days)
    [served] = latest_results_features([known], inputs.sigma60, inputs.sigma_ewma, {"MSFT": days})
    np.testing.assert_array_equal(whole, served)
    day = known.cutoff
    [then] = seen(bars, origin, days.known_by(day))
    np.testing.assert_array_equal(whole, then)


@pytest.mark.parametrize(("every", "count"), [(63, 10), (220, 4)])
def test_older_bars_than_the_tail_change_nothing(make_bars: MakeBars, every: int, count: int) -> None:
    bars = make_bars(sessions=1000)
    days = quarterly(bars, 960, count=count, every=every)
    short = bars.rows(len(bars) - TAIL, len(bars))
    *_, whole = seen(bars, [500, len(bars) - 1], days)
    np.testing.assert_array_equal(whole, seen(short, TAIL - 1, days)[0])


def test_company_changes_nothing(make_bars: MakeBars) -> None:
    series = [make_bars(symbol, sessions=700, seed=seed) for seed, symbol in enumerate(("MSFT", "AAPL", "BTC-USD"))]
    results = {bars.symbol: quarterly(bars, 600 + 20 * n) for n, bars in enumerate(series[:2])}
    inputs = features.latest(series)
    together = latest_results_features(series, inputs.sigma60, inputs.sigma_ewma, results)
    assert not together[2].any()
    for row, bars in enumerate(series[:2]):
        np.testing.assert_array_equal(together[row], seen(bars, len(bars) - 1, results[bars.symbol])[0])


def test_without_an_announcement_the_day_is_predicted(make_bars: MakeBars) -> None:
    bars = make_bars(sessions=700)
    days = quarterly(bars, 599)
    marked = seen(bars, np.arange(640, 672), days)
    assert marked[:, PREDICTED].any()
    assert (marked[:, KNOWN] == 1).all()


def test_recent_results_are_told_from_other_moves(make_bars: MakeBars) -> None:
    base = make_bars(sessions=700)
    bars = shaken(base, [601], 1.3)
    days = quarterly(base, 600)
    [before], [after], [later] = (seen(bars, at, days) for at in (599, 602, 640))
    assert after[RECENT] > 0.5 > later[RECENT]
    assert before[RECENT] < 0.1
