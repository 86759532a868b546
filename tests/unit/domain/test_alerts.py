"""Open alerts follow from the facts, and messages from the open alerts."""

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from tickercast.domain.alerts import (
    Alert,
    Anomaly,
    Champion,
    Coverage,
    Drift,
    Facts,
    MissedHours,
    Rejected,
    Silence,
    Stale,
    after,
    changes,
    message,
    open_alerts,
)
from tickercast.domain.frequency import HOURLY
from tickercast.domain.measures.calibration import Calibration

DAY = date(2023, 7, 21)
DRIFT = Drift("input", DAY, n=10, n_drifted=5, furthest="sigma_20", score=0.3, threshold=0.1, report="drift/x.html")
COVERAGE = Coverage(100, 0.69, date(2023, 1, 3), DAY)
NARROW = Calibration("NVDA", 7_430, 0.69, 0.64, 0.74, 39, "too narrow")
ANOMALY = Anomaly("MSFT", DAY, 100.0, 91.0, 96.0, 104.0, -4.4, -1.2)
STALE = Stale("MSFT", DAY, date(2023, 7, 20), 1)
EVERYTHING = Facts(
    flow="train raised",
    engine="",
    rejected=[Rejected("ohlc/2023-07-21/MSFT.csv", 7, {"MSFT": "MSFT has 3 sessions."})],
    drift=[DRIFT],
    coverage=[COVERAGE],
    calibration=[NARROW],
    anomaly=[ANOMALY],
    stale=[STALE],
    silent=[Silence({DAY: 1})],
    champion=[Champion("tickercast-lstm", "2", "promoted: better")],
)


def keys(facts: Facts) -> list[str]:
    return [alert.key for alert in open_alerts(facts)]


def test_every_kind_of_fact_opens_an_alert_and_failures_come_first() -> None:
    assert keys(EVERYTHING) == [
        "flow:daily",
        "silent:day",
        "rejected:ohlc/2023-07-21/MSFT.csv",
        "drift:input",
        "coverage:80",
        "calibration:NVDA",
        "stale:MSFT",
        "champion:served",
        "anomaly:MSFT:2023-07-21",
    ]
    assert keys(Facts(engine="locked")) == ["engine:warehouse"]
    assert keys(Facts(engine="", tables="drift is missing")) == ["tables:warehouse"]


def test_a_key_begins_with_the_field_that_it_follows_from() -> None:
    for alert in open_alerts(replace(EVERYTHING, engine="locked")):
        assert alert.kind in EVERYTHING.checked


def test_nothing_wrong_opens_nothing() -> None:
    assert keys(Facts("", "", [], [], [], [])) == []
    assert keys(Facts()) == []


def test_a_symbol_whose_intervals_held_too_little_says_over_how_long_and_what_to_do() -> None:
    [alert] = open_alerts(Facts(calibration=[NARROW, replace(NARROW, symbol="MSFT", calibration="as stated")]))
    assert alert.title == "The 80% intervals of NVDA are too narrow"
    assert alert.text.startswith(
        "They held 69% (64% to 74%) of 7,430 closes in 39 blocks of 28 days, and 80% was stated. Read "
    )
    assert "tickercast calibration NVDA" in message(changes([alert], {}, {"calibration"})).text


@pytest.mark.parametrize(("sigmas", "market", "is_open"), [(-4.4, -1.2, True), (-4.4, -2.0, False), (3.1, None, True)])
def test_an_unusual_close_is_an_alert_where_the_market_does_not_explain_it(
    sigmas: float, market: float | None, is_open: bool
) -> None:
    found = open_alerts(Facts(anomaly=[replace(ANOMALY, sigmas=sigmas, market_sigmas=market)]))
    assert bool(found) is is_open


def test_that_a_close_is_no_longer_the_last_one_is_no_news() -> None:
    [alert] = open_alerts(Facts(anomaly=[ANOMALY]))
    assert changes([], {alert.key: alert}, {"anomaly"}).is_quiet
    later = replace(ANOMALY, day=date(2023, 7, 24))
    news = changes(open_alerts(Facts(anomaly=[later])), {alert.key: alert}, {"anomaly"})
    assert message(news).title == "tickercast: 1 new"
    assert list(after({alert.key: alert}, news)) == ["anomaly:MSFT:2023-07-24"]


@pytest.mark.parametrize(
    ("drift", "is_open"),
    [
        (DRIFT, True),
        (replace(DRIFT, n_drifted=1), True),
        (replace(DRIFT, kind="prediction", n_drifted=1), True),
        (replace(DRIFT, kind="performance", n_drifted=1), True),
        (replace(DRIFT, kind="performance", n_drifted=0), False),
    ],
)
def test_any_measure_beyond_its_threshold_is_drift(drift: Drift, is_open: bool) -> None:
    assert (keys(Facts(drift=[drift])) == [f"drift:{drift.kind}"]) is is_open


@pytest.mark.parametrize(
    ("origins", "coverage", "is_open"),
    [(100, 0.69, True), (99, 0.1, False), (100, 0.70, False), (100, 0.90, False), (100, 0.91, True)],
)
def test_coverage_outside_its_band_counts_from_a_hundred_origins_on(
    origins: int, coverage: float, is_open: bool
) -> None:
    found = replace(COVERAGE, origins=origins, coverage_80=coverage)
    assert bool(keys(Facts(coverage=[found]))) is is_open


@pytest.mark.parametrize(
    ("hours", "coverage", "is_open"), [(503, 0.5, False), (504, 0.69, True), (672, 0.85, False), (672, 0.91, True)]
)
def test_coverage_of_hours_counts_from_three_weeks_on(hours: int, coverage: float, is_open: bool) -> None:
    found = replace(COVERAGE, origins=hours, coverage_80=coverage, frequency=HOURLY)
    assert keys(Facts(coverage=[found])) == (["coverage:80-1h"] if is_open else [])


def test_alerts_of_hours_have_keys_and_titles_of_their_own() -> None:
    drift = Drift("performance", DAY, 2, 1, "loss_to_walk", 1.1, 1.0, "", HOURLY)
    served = Champion("har-season", "3", "No flow decided it.", "ewma-season", HOURLY)
    found = {alert.key: alert.title for alert in open_alerts(Facts(drift=[drift], champion=[served]))}
    assert found == {
        "drift:performance-1h": "The hourly performance has drifted",
        "champion:served-1h": "The baseline ewma-season is served for hours in the place of har-season 3",
    }


def test_staleness_becomes_a_failure_after_five_sessions() -> None:
    severities = [open_alerts(Facts(stale=[replace(STALE, missed=missed)]))[0].severity for missed in (0, 1, 4, 5)]
    assert severities == ["warning", "warning", "warning", "failure"]


def test_the_first_check_sends_all_and_the_second_nothing() -> None:
    found = open_alerts(EVERYTHING)
    first = changes(found, {}, EVERYTHING.checked)
    assert first.new == found
    assert changes(found, after({}, first), EVERYTHING.checked).is_quiet


def test_figures_that_move_are_not_sent_again_but_a_title_or_severity_is() -> None:
    sent = after({}, changes(open_alerts(Facts(stale=[STALE])), {}, {"stale"}))
    moved = open_alerts(Facts(stale=[replace(STALE, newest=date(2023, 7, 24), missed=2)]))
    assert changes(moved, sent, {"stale"}).is_quiet
    worse = open_alerts(Facts(stale=[replace(STALE, missed=5)]))
    assert changes(worse, sent, {"stale"}).changed == worse
    assert after(sent, changes(worse, sent, {"stale"})) == {"stale:MSFT": worse[0]}


def test_what_is_over_is_sent_once() -> None:
    sent = {alert.key: alert for alert in open_alerts(Facts(stale=[STALE]))}
    news = changes([], sent, {"stale"})
    assert [alert.key for alert in news.resolved] == ["stale:MSFT"]
    assert after(sent, news) == {}


def test_what_was_not_checked_is_neither_open_nor_over() -> None:
    sent = {alert.key: alert for alert in open_alerts(EVERYTHING)}
    assert changes([], sent, Facts(engine="locked").checked).is_quiet
    assert after(sent, changes([], sent, set())) == sent


def test_a_message_is_as_urgent_as_its_worst_alert_and_says_what_is_over() -> None:
    over = Alert("stale:AAPL", "failure", "AAPL has no fresh forecast", "")
    news = changes(open_alerts(replace(EVERYTHING, flow="")), {over.key: over}, {"stale"})
    made = message(news)
    assert made.severity == "failure"
    assert made.title == "tickercast: 8 new, 1 over"
    assert made.text.splitlines()[-1] == "over: AAPL has no fresh forecast."
    assert message(changes([], {over.key: over}, {"stale"})).severity == "success"


def test_a_message_stays_short_however_much_is_wrong() -> None:
    long = [Rejected(f"ohlc/2023-07-21/S{n}.csv", n, {"": "x" * 5000}) for n in range(500)]
    made = message(changes(open_alerts(Facts(rejected=long)), {}, {"rejected"}))
    assert made.text.endswith("… and 480 more: tickercast alerts lists what is open.")
    assert len(made.text) < 10_000


@pytest.mark.parametrize(
    ("missed", "severity", "title"),
    [
        (2, None, ""),
        (3, "warning", "BTCUSDT has no fresh hourly forecast"),
        (24, "failure", "BTCUSDT has had no hourly forecast for a day or more"),
    ],
)
def test_a_coin_is_stale_from_three_hours_on_and_a_failure_from_a_day(
    missed: int, severity: str | None, title: str
) -> None:
    coin = MissedHours("BTCUSDT", datetime(2023, 7, 22, 14, tzinfo=UTC), missed)
    found = [(alert.severity, alert.title) for alert in open_alerts(Facts(hours=[coin]))]
    assert found == ([(severity, title)] if severity else [])


def test_a_coin_that_was_never_forecast_is_a_warning() -> None:
    [alert] = open_alerts(Facts(hours=[MissedHours("BTCUSDT", None, 0)]))
    assert (alert.severity, alert.title) == ("warning", "BTCUSDT has no fresh hourly forecast")
    assert alert.text.startswith("It has never been forecast by the hour. ")


def test_a_high_price_is_written_out() -> None:
    made = Anomaly("BRK-A", DAY, 600_000.0, 612_345.6, 590_000.0, 610_000.0, 3.9, 0.2)
    [alert] = open_alerts(Facts(anomaly=[made]))
    assert "+2.1% to 612,345.60; the session before, 590,000.00 to 610,000.00 was expected." in alert.text
