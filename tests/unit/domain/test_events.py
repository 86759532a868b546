from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from tickercast.domain.calendar import session_closes, session_days
from tickercast.domain.events import (
    FARTHEST,
    KNOWN,
    NOTHING,
    PREDICTED,
    ResultsDay,
    ResultsDays,
    expected,
    latest_inputs,
)

QUARTERS = [
    ("2022-01-25", "after", "2022-01-25T21:05"),
    ("2022-04-26", "after", "2022-04-26T20:05"),
    ("2022-07-26", "after", "2022-07-26T20:05"),
    ("2022-10-25", "after", "2022-10-25T20:05"),
]


def inputs(days, *cutoffs):
    cutoffs = np.array(cutoffs, "datetime64[D]")
    return days.inputs(cutoffs, session_closes(days.symbol, cutoffs))


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_results_after_the_close_act_on_the_next_session_and_before_the_open_on_the_same():
    for session, date_, effect in [
        ("after", "2023-07-25", date(2023, 7, 26)),
        ("before", "2023-07-25", date(2023, 7, 25)),
        ("unknown", "2023-07-25", date(2023, 7, 25)),
        ("after", "2023-07-21", date(2023, 7, 24)),  # a Friday
        ("unknown", "2023-07-22", date(2023, 7, 24)),  # a Saturday
    ]:
        days = ResultsDays.of("MSFT", [(date_, session, "2023-07-01T12:00")])
        [coming] = days.as_known(at("2023-07-20T20:00")).coming
        assert (coming.effect, coming.is_predicted) == (effect, False)


def test_each_step_says_how_many_sessions_lie_between_it_and_the_nearest_results_day():
    days = ResultsDays.of("MSFT", [("2023-07-25", "after", "2023-07-01T12:00")])
    seen = inputs(days, "2023-07-21")
    assert seen.offsets.tolist() == [[2, 1, 0, -1, -2, -3, -4, -5, -6, -7]]  # 07-24, 07-25, 07-26 …
    assert (seen.knowledge == KNOWN).all()
    assert inputs(days, "2023-05-01").offsets.tolist() == [[FARTHEST] * 10]


def test_a_symbol_without_results_days_says_that_nothing_is_known():
    for days in (ResultsDays.of("MSFT", []), ResultsDays.of("MSFT", [("2023-07-25", "after", "2023-07-25T20:05")])):
        seen = inputs(days, "2023-07-21")
        assert (seen.offsets == FARTHEST).all()
        assert (seen.knowledge == NOTHING).all()
        assert np.isnat(seen.last).all()


def test_a_coming_day_is_predicted_from_last_years_and_a_known_one_takes_its_place():
    days = ResultsDays.of("MSFT", QUARTERS)
    coming = days.as_known(at("2023-07-21T20:00")).coming
    assert [(day.day, day.session, day.is_predicted) for day in coming] == [
        (date(2023, 7, 25), "after", True),
        (date(2023, 10, 24), "after", True),
    ]
    assert (inputs(days, "2023-07-21").knowledge == PREDICTED).all()
    announced = ResultsDays.of("MSFT", [*QUARTERS, ("2023-07-27", "before", "2023-07-06T12:00")])
    coming = announced.as_known(at("2023-07-21T20:00")).coming
    assert [(day.day, day.session, day.is_predicted) for day in coming] == [(date(2023, 7, 27), "before", False)]
    assert (inputs(announced, "2023-07-21").knowledge == KNOWN).all()


def test_a_predicted_day_is_moved_to_a_session():
    days = ResultsDays.of("MSFT", [("2022-07-05", "before", "2022-07-05T11:00")])  # + 364 days: Independence Day
    [coming] = days.as_known(at("2023-06-20T20:00")).coming
    assert (coming.day, coming.effect) == (date(2023, 7, 5), date(2023, 7, 5))


def test_results_that_came_early_are_not_predicted_again():
    early = ResultsDays.of("MSFT", [*QUARTERS, ("2023-07-18", "after", "2023-07-18T20:05")])
    coming = early.as_known(at("2023-07-21T20:00")).coming
    assert [day.day for day in coming] == [date(2023, 10, 24), date(2024, 7, 16)]
    assert inputs(early, "2023-07-21").offsets[0, 0] == -3


def test_results_that_do_not_come_on_the_predicted_day_are_overdue():
    days = ResultsDays.of("MSFT", QUARTERS)
    late = inputs(days, "2023-07-28", "2023-08-15")
    assert late.offsets[0, :3].tolist() == [-3, -4, -5]  # predicted for 07-25 after the close
    assert late.offsets[1].tolist() == [FARTHEST] * 10  # given up after ten sessions
    assert (late.knowledge == PREDICTED).all()
    assert [day.day for day in days.as_known(at("2023-07-28T20:00")).coming] == [date(2023, 10, 24)]
    assert said(days, "2023-07-25") == ResultsDay(date(2023, 7, 25), "after", date(2023, 7, 26), is_predicted=True)
    for cutoff in ("2023-07-26", "2023-07-28", "2023-08-08"):
        assert said(days, cutoff) == ResultsDay(date(2023, 7, 25), "after", None, is_predicted=True)
    assert said(days, "2023-08-09") is None
    assert said(ResultsDays.of("MSFT", [*QUARTERS, ("2023-07-27", "after", "2023-07-27T20:05")]), "2023-07-28") is None


def said(days, cutoff):
    """The results day of a forecast, from the stored ones."""
    cutoff = np.datetime64(cutoff)
    [found] = expected([days], np.array([cutoff]), session_closes("MSFT", np.array([cutoff])))
    targets = session_days("MSFT", cutoff + 1, cutoff + 30)[:10].tolist()
    if found:
        assert found == ResultsDay.among(
            targets, cutoff.item(), found.day, found.session, is_predicted=found.is_predicted
        )
    return found


def test_a_day_that_was_moved_counts_once_where_it_was_moved_to():
    moved = ResultsDays.of(
        "MSFT", [("2023-07-25", "unknown", "2023-06-01T12:00"), ("2023-08-01", "unknown", "2023-07-10T12:00")]
    )
    before = moved.as_known(at("2023-07-03T20:00")).coming
    after = moved.as_known(at("2023-07-21T20:00")).coming
    assert [day.day for day in before] == [date(2023, 7, 25)]
    assert [day.day for day in after] == [date(2023, 8, 1)]


def test_a_report_takes_the_place_of_its_announcement_and_the_first_of_two_reports_counts():
    days = ResultsDays.of(
        "MSFT",
        [
            ("2023-07-25", "unknown", "2023-07-01T12:00"),
            ("2023-07-26", "before", "2023-07-26T11:00"),
            ("2023-07-27", "after", "2023-07-27T21:00"),
        ],
    )
    assert days.as_known(at("2023-08-01T20:00")).past == (date(2023, 7, 26),)
    told_twice = ResultsDays.of(
        "MSFT", [("2023-07-25", "after", "2023-07-01T12:00"), ("2023-07-25", "unknown", "2023-07-02T12:00")]
    )
    assert [day.session for day in told_twice.as_known(at("2023-07-21T20:00")).coming] == ["after"]


def test_what_was_filed_after_the_close_of_the_cutoff_is_still_to_come_where_it_was_announced():
    announced = ResultsDays.of(
        "MSFT", [("2023-07-25", "after", "2023-07-06T12:00"), ("2023-07-25", "after", "2023-07-25T20:05")]
    )
    assert inputs(announced, "2023-07-25").offsets[0, 0] == 0
    assert inputs(announced, "2023-07-26").offsets[0, 0] == -1


def test_the_last_results_days_are_those_that_were_known_newest_first():
    days = ResultsDays.of("MSFT", QUARTERS)
    last = inputs(days, "2022-10-25", "2022-10-26").last
    assert last[0].astype(str).tolist() == ["2022-07-27", "2022-04-27", "2022-01-26", "NaT", "NaT"]
    assert last[1].astype(str).tolist() == ["2022-10-26", "2022-07-27", "2022-04-27", "2022-01-26", "NaT"]


def test_crypto_and_unknown_years_do_no_harm():
    assert inputs(ResultsDays.of("BTC-USD", [("2023-07-25", "unknown", "2023-07-01")]), "2023-07-21").offsets[0, 3] == 0
    far = ResultsDays.of("MSFT", [("1850-01-01", "after", "1850-01-01"), ("2199-01-05", "after", "2023-01-01")])
    assert (inputs(far, "2023-07-21").knowledge != PREDICTED).all()


def _cut(days, moment):
    kept = days.known_at <= moment
    return ResultsDays(days.symbol, days.dates[kept], days.sessions[kept], days.known_at[kept])


@pytest.mark.parametrize("seed", range(4))
def test_nothing_that_became_known_after_the_cutoff_has_any_influence(seed):
    random = np.random.default_rng(seed)
    count = 120
    dates = np.datetime64("2018-01-01") + random.integers(0, 1800, count)
    known_at = dates.astype("datetime64[us]") + random.integers(-60 * 86_400, 2 * 86_400, count).astype(
        "timedelta64[s]"
    )
    days = ResultsDays("MSFT", dates, random.choice(["before", "after", "unknown"], count), known_at)
    cutoffs = session_days("MSFT", np.datetime64("2018-06-01"), np.datetime64("2022-12-30"))[::23]
    closes = session_closes("MSFT", cutoffs)
    whole = days.inputs(cutoffs, closes)
    for number, (cutoff, close) in enumerate(zip(cutoffs, closes, strict=True)):
        alone = _cut(days, close).inputs(cutoffs[[number]], closes[[number]])
        for seen, needed in zip(whole, alone, strict=True):
            np.testing.assert_array_equal(seen[number], needed[0])
        moment = close.item().replace(tzinfo=UTC)
        assert days.as_known(moment) == _cut(days, close).as_known(moment)
        assert cutoff == days_of_last_session(moment)


def days_of_last_session(moment):
    sessions = session_days("MSFT", np.datetime64(moment.date() - timedelta(days=9)), np.datetime64(moment.date()))
    return sessions[session_closes("MSFT", sessions) <= np.datetime64(moment.replace(tzinfo=None))][-1]


def test_many_symbols_at_once_read_what_each_reads_alone():
    announced = ("2023-07-27", "before", "2023-07-06T12:00")
    known = [
        ResultsDays.of("MSFT", QUARTERS),
        None,
        ResultsDays.of("MMM", [*QUARTERS, announced]),
        ResultsDays.of("VOD.L", [announced]),
        ResultsDays.of("AAPL", []),
    ]
    cutoffs = np.array(["2023-07-21", "2023-07-21", "2023-07-20", "2023-06-01", "2023-07-21"], "datetime64[D]")
    closes = np.concatenate([session_closes("MSFT", cutoffs[:3]), session_closes("VOD.L", cutoffs[3:])])
    together = latest_inputs(known, cutoffs, closes)
    for number, days in enumerate(known):
        alone = (days or ResultsDays.of("MSFT", [])).inputs(cutoffs[[number]], closes[[number]])
        for seen, needed in zip(together, alone, strict=True):
            np.testing.assert_array_equal(seen[number], needed[0])
    days = [None if day is None else str(day) for day in expected(known, cutoffs, closes)]
    assert days == [
        "2023-07-25 (after the close; predicted from its own past dates)",
        None,
        "2023-07-27 (before the open)",
        None,
        None,
    ]


def test_results_that_act_after_the_horizon_are_not_inside_it():
    days = ResultsDays.of("MSFT", [("2023-08-04", "after", "2023-07-01T12:00")])  # the last of the ten sessions
    cutoffs = np.array(["2023-07-21"], "datetime64[D]")
    closes = session_closes("MSFT", cutoffs)
    assert expected([days], cutoffs, closes) == [None]
    before = ResultsDays.of("MSFT", [("2023-08-04", "before", "2023-07-01T12:00")])
    assert str(expected([before], cutoffs, closes)[0]) == "2023-08-04 (before the open)"


def test_a_day_that_was_announced_came_where_no_report_says_otherwise():
    sessions = session_days("MSFT", np.datetime64("2023-07-03"), np.datetime64("2023-12-29"))
    origins = np.array([np.searchsorted(sessions, np.datetime64(day)) for day in ("2023-07-21", "2023-10-20")])
    announced = [("2023-07-25", "after", "2023-07-06T12:00"), ("2023-10-24", "after", "2023-10-03T12:00")]
    moved = ("2023-11-21", "after", "2023-10-13T12:00")
    report = ("2023-07-18", "after", "2023-07-18T20:05")
    cases = [(announced, [True, True]), ([*announced, moved], [True, False]), ([*announced, report], [False, True])]
    for days, came in cases:
        assert ResultsDays.of("MSFT", days).came_within(sessions, origins, 10).tolist() == came


def test_two_years_of_real_reports_are_predicted_to_a_session():
    filed = (
        "2020-07-22 2020-10-27 2021-01-26 2021-04-27 2021-07-27 2021-10-26 2022-01-25 2022-04-26 2022-07-26 2022-10-25"
    )
    days = ResultsDays.of("MSFT", [(day, "after", f"{day}T21:05") for day in filed.split()])
    truth = ResultsDays(days.symbol, days.dates, days.sessions, days.known_at - np.timedelta64(30, "D"))
    cutoffs = session_days("MSFT", np.datetime64("2021-09-01"), np.datetime64("2022-10-25"))
    predicted, known = inputs(days, *cutoffs), inputs(truth, *cutoffs)
    inside = known.offsets == 0
    assert inside.sum() == 50  # five reports, ten cutoffs before each
    assert (np.abs(predicted.offsets[inside]) <= 1).all()
    assert (predicted.knowledge[inside] == PREDICTED).all()
