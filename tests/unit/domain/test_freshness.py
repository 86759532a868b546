"""Freshness: by the calendar and against the clock, and the same rule wherever it is asked."""

from datetime import UTC, date, datetime, timedelta

import pytest

from tickercast.domain.freshness import GRACE, STALE_HOURS, freshness, hourly_freshness

FRIDAY = date(2023, 7, 21)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("symbol", "now", "state", "missed"),
    [
        ("MSFT", "2023-07-21 20:00", "fresh", 0),
        ("MSFT", "2023-07-23 12:00", "fresh", 0),  # a Sunday
        ("MSFT", "2023-07-24 19:59", "fresh", 0),
        ("MSFT", "2023-07-24 20:00", "due", 1),
        ("MSFT", "2023-07-24 22:59", "due", 1),
        ("MSFT", "2023-07-24 23:00", "stale", 1),
        ("MSFT", "2023-07-25 20:00", "stale", 2),
        ("MSFT", "2023-08-04 19:59", "stale", 9),
        ("MSFT", "2023-08-04 20:00", "expired", 10),
        ("MSFT", "2026-11-26 12:00", "expired", 841),
        ("VOD.L", "2023-07-24 19:00", "stale", 1),  # London closed at 15:30, UTC
        ("ETH-USD", "2023-07-22 12:00", "fresh", 0),
        ("ETH-USD", "2023-07-23 00:00", "due", 1),
        ("ETH-USD", "2023-07-23 23:59", "due", 1),
        ("ETH-USD", "2023-07-24 00:00", "stale", 2),
        ("EURUSD=X", "2023-07-23 12:00", "fresh", 0),
    ],
)
def test_states_follow_the_exchange_and_the_clock(symbol: str, now: str, state: str, missed: int) -> None:
    found = freshness(symbol, FRIDAY, at(now))
    assert (found.state, found.missed) == (state, missed)
    assert found.is_missing == (state in ("stale", "expired"))


def test_a_holiday_makes_no_forecast_old() -> None:
    wednesday, thanksgiving = date(2023, 11, 22), at("2023-11-24 12:00")
    assert freshness("MSFT", wednesday, thanksgiving).state == "fresh"
    assert freshness("VOD.L", wednesday, thanksgiving).state == "stale"


def test_nothing_is_under_way_once_a_run_has_ended() -> None:
    closed = at("2023-07-24 20:00")
    assert freshness("MSFT", FRIDAY, closed, grace=timedelta(0)).state == "stale"
    assert freshness("MSFT", FRIDAY, closed + GRACE).state == "stale"
    assert freshness("ETH-USD", FRIDAY, at("2023-07-23 00:00"), grace=timedelta(0)).state == "stale"


def test_a_shorter_forecast_expires_earlier() -> None:
    assert freshness("MSFT", FRIDAY, at("2023-07-28 21:00"), sessions=5).sentence == (
        "5 sessions have closed since 2023-07-21: this forecast has expired."
    )


def test_an_exchange_whose_sessions_are_not_known_is_not_called_fresh() -> None:
    found = freshness("MSFT.XX", FRIDAY, at("2023-07-23 12:00"))
    assert found.state == "unknown"
    assert "MSFT.XX ends in .XX" in found.sentence


def test_hours_are_stale_from_the_hour_at_which_an_alert_opens() -> None:
    ended = at("2023-07-22 14:00")
    assert hourly_freshness(ended, ended + timedelta(hours=STALE_HOURS, seconds=-1)).state == "due"
    found = hourly_freshness(ended, ended + timedelta(hours=STALE_HOURS))
    assert found.sentence == "3 hours have ended since 2023-07-22 14:00 UTC: this forecast is stale."
    assert hourly_freshness(ended, ended + timedelta(days=2)).sentence == (
        "48 hours have ended since 2023-07-22 14:00 UTC: this forecast has expired."
    )
