"""Probation, the choice of a training, realised losses and oddities of bars: by value."""

from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tickercast.domain.bars import Bars
from tickercast.domain.measures.promotion import PROBATION, Condition, Realised, review, standstill, training
from tickercast.domain.measures.realised import ratio, realised
from tickercast.domain.quality import OF_DAYS, findings, rebased

WORSE, NO_WORSE = Realised(8, 40, (1.3, 1.1, 1.5)), Realised(8, 400, (1.1, 0.9, 1.3))
NOW = datetime(2023, 6, 21, tzinfo=UTC)
NONE = pd.Series(dtype=float, index=pd.DatetimeIndex([]))


@pytest.mark.parametrize(
    ("seen", "sessions", "expected"),
    [
        (WORSE, 5, "rolled back"),
        (WORSE, PROBATION, "rolled back"),
        (NO_WORSE, PROBATION - 1, "waiting"),
        (NO_WORSE, PROBATION, "confirmed"),
        (None, PROBATION, "waiting"),
        (None, 2 * PROBATION, "confirmed"),
    ],
)
def test_a_probation_ends_by_evidence_or_by_time(seen: Realised | None, sessions: int, expected: str) -> None:
    assert review(seen, sessions)[0] == expected


@pytest.mark.parametrize(
    ("condition", "expected", "why"),
    [
        (Condition(None, float("nan")), "refitted", "no reason for another recipe"),
        (Condition(NO_WORSE, 0.8), "refitted", "no reason for another recipe"),
        (Condition(WORSE, 0.8), "tuned", "worse than the random walk's: ratio 1.300"),
        (Condition(NO_WORSE, 0.65), "tuned", "80% intervals covered 65.0% over 400 forecasts"),
        (Condition(Realised(8, 40, (1.0, 0.9, 1.1)), 0.65), "refitted", "no reason for another recipe"),
        (Condition(NO_WORSE, 0.8, ["sigma is 4 times the usual"]), "tuned", "drift: sigma is 4 times the usual"),
    ],
)
def test_a_challenger_is_tuned_where_there_is_a_reason(condition: Condition, expected: str, why: str) -> None:
    how, reason = training(condition)
    assert how == expected
    assert why in reason


def test_nothing_is_promoted_on_probation_or_soon_after_a_rollback() -> None:
    assert "on probation" in standstill(on_probation=True, since_rollback=None)
    assert "3 sessions after a rollback" in standstill(on_probation=False, since_rollback=3)
    assert not standstill(on_probation=False, since_rollback=10)


def test_the_interval_of_a_realised_ratio_equals_the_formula_worked_by_hand() -> None:
    rows = pd.DataFrame({"target_date": range(20), "own": [1.0, 2.0] * 10, "other": 1.0})
    point, low, high = ratio(rows, "own", "other")
    # Residuals -.5, .5, …: 20 · .25 = 5 at lag 0, and ∓(20 - lag)/4 at lag, weighted by 1 - lag/10.
    total = 5 + 2 * sum((1 - lag / 10) * (-1) ** lag * (20 - lag) / 4 for lag in range(1, 10))
    critical = 1.96 + 2.9694 / 2 + 0.416 / 4 - 0.5324 / 8
    assert point == 1.5
    assert high - point == pytest.approx(point - low) == pytest.approx(critical * np.sqrt(total) / 20)


def test_the_interval_allows_for_horizons_that_overlap() -> None:
    """Sixty dates with the dependence of ten-session horizons: 5% are asked, and a plain t-interval misses 50%."""
    random = np.random.default_rng(1)
    misses, plain = 0, 0
    for _ in range(400):
        moving = np.convolve(random.normal(size=69), np.ones(10) / np.sqrt(10), "valid")
        rows = pd.DataFrame({"target_date": range(60), "own": 5 + moving, "other": 5.0})
        _, low, high = ratio(rows, "own", "other")
        misses += not low <= 1 <= high
        plain += abs(moving.mean()) > 2 * moving.std(ddof=1) / np.sqrt(60)
    assert misses / 400 <= 0.12
    assert plain / 400 > 0.4


def test_a_few_dates_are_no_evidence() -> None:
    rows = pd.DataFrame({"symbol": "A", "cutoff": 1, "target_date": range(5), "own": 1.0, "other": 1.0})
    assert realised(rows[:4], "own", "other") is None
    assert realised(rows, "own", "other") == Realised(5, 1, (1.0, 1.0, 1.0))


def _history(closes: list[float], days: pd.DatetimeIndex, volume: Any = 1e6) -> Bars:
    close = np.array(closes)
    prices = dict.fromkeys(("open", "high", "low", "close", "adj_close"), close)
    return Bars("MSFT", pd.DataFrame({"session_date": days, **prices, "volume": volume}))


def _days(count: int) -> pd.DatetimeIndex:
    return pd.bdate_range(end="2023-06-16", periods=count)  # a stretch without a holiday but Memorial Day


def test_a_missing_session_is_a_gap_and_missing_ones_at_the_end_make_a_series_stale() -> None:
    days = _days(12).drop(pd.Timestamp("2023-06-08"))
    found = {one.check: one.text for one in findings(_history([100.0] * 11, days), date(2023, 6, 20), now=NOW)}
    assert "2023-06-08" in found["gap"]
    assert found["stale"] == "no bar since 2023-06-16: 1 session(s) are missing"  # the 19th is a holiday


def test_a_move_of_many_sigmas_and_silent_days_are_told() -> None:
    closes = list(100 * np.exp(np.cumsum(np.tile([0.01, -0.01], 40))))
    closes[-1] *= 1.5
    volume = np.where(np.arange(80) < 78, 1e6, 0.0)
    found = {one.check: one for one in findings(_history(closes, _days(80), volume), date(2023, 6, 16), now=NOW)}
    assert "+48.5% on 2023-06-16" in found["jump"].text
    assert found["jump"].touches_width
    assert found["no volume"].text.startswith("nothing was traded on 2023-06-15, 2023-06-16 (2 ")
    assert not found["no volume"].touches_width
    assert "no volume" not in {
        one.check for one in findings(_history(closes, _days(80), 0.0), date(2023, 6, 16), now=NOW)
    }


def test_sessions_without_any_move_are_a_halt() -> None:
    closes = [*np.linspace(90, 100, 20), *[100.0] * OF_DAYS.halted]
    [found] = findings(_history(closes, _days(20 + OF_DAYS.halted)), date(2023, 6, 16), now=NOW)
    assert (found.check, found.text) == ("halted", "no move for 3 sessions from 2023-06-14 to 2023-06-16")
    assert not list(findings(_history(closes[:-1], _days(19 + OF_DAYS.halted)), date(2023, 6, 16), now=NOW))


def test_a_dividend_does_not_rebase_a_history_and_a_split_does() -> None:
    days = _days(5)
    stored = pd.Series([100.0, 101.0, 102.0], index=days[:3])
    assert rebased(_history([99.5, 100.5, 101.5, 102.0, 103.0], days), stored) is None
    assert rebased(_history([50.0, 50.5, 51.0, 51.5, 52.0], days), stored) == 0.5
    assert rebased(_history([1.0] * 5, days), NONE) is None
