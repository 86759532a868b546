"""Exchange calendars: which one a symbol has, its sessions, and when one is over."""

from collections.abc import Iterator
from dataclasses import fields
from datetime import UTC, date, datetime, timedelta
from typing import Any

import exchange_calendars
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from tickercast import calendar_file
from tickercast.domain import calendar
from tickercast.domain.bars import Bars
from tickercast.domain.calendar import (
    calendar_name,
    ending_calendars,
    half_holidays,
    holidays_known_until,
    is_over,
    newest_closed,
    next_sessions,
    parse_day,
    session_closes,
    session_days,
    session_opens,
    sessions_between,
)
from tickercast.domain.files.price_files import read_prices, to_csv
from tickercast.domain.quality import findings
from tickercast.errors import CalendarError, UsageError


@pytest.mark.parametrize(
    ("symbol", "name"),
    [
        ("MSFT", "XNYS"),
        ("BRK-B", "XNYS"),
        ("BAC-PL", "XNYS"),
        ("VOD.L", "XLON"),
        ("MC.PA", "XPAR"),
        ("SAP.DE", "XETR"),
        ("7203.T", "XTKS"),
        ("0700.HK", "XHKG"),
        ("600519.SS", "XSHG"),
        ("000001.SZ", "XSHG"),
        ("005930.KS", "XKRX"),
        ("035720.KQ", "XKRX"),
        ("REI-UN.TO", "XTSE"),
        ("RELIANCE.NS", "XBOM"),
        ("PETR4.SA", "BVMF"),
        ("BTC-USD", "24/7"),
        ("BTC-EUR", "24/7"),
        ("SOL-BTC", "24/7"),
        ("EURUSD=X", "24/5"),
        ("JPY=X", "24/5"),
        ("GC=F", "CMES"),
        ("KC=F", "IEPA"),
        ("CLF24.NYM", "CMES"),
        ("^GSPC", "XNYS"),
        ("^VIX", "XNYS"),
        ("^FTSE", "XLON"),
        ("^N225", "XTKS"),
        ("^SET.BK", "XBKK"),
    ],
)
def test_a_symbol_trades_where_its_spelling_says(symbol: str, name: str) -> None:
    assert calendar_name(symbol) == name


def test_every_calendar_named_here_exists_in_the_library() -> None:
    named = {*calendar._YAHOO, calendar.NEW_YORK, calendar.ALWAYS_OPEN, calendar.WEEKDAYS}

    assert named <= set(exchange_calendars.get_calendar_names(include_aliases=False))


@pytest.mark.parametrize("name", ["XNYS", "XLON", "XTKS", "XHKG", "XBOM", "CMES", "24/7"])
def test_a_calendar_of_few_years_is_the_librarys(name: str) -> None:
    first, last = date(2022, 1, 1), date(2023, 12, 31)
    ours = calendar._calendar(name, first, last)
    theirs = type(ours)(start=first.isoformat(), end=last.isoformat())  # with all holidays from 1970 to 2200
    pd.testing.assert_series_equal(ours.closes, theirs.closes, check_freq=False)


def test_no_suffix_or_index_is_listed_twice() -> None:
    spellings = " ".join(calendar._YAHOO.values()).split()

    assert len(spellings) == len(set(spellings))


@pytest.mark.parametrize(
    ("symbol", "cutoff", "first", "last"),
    [
        ("MSFT", date(2023, 7, 21), date(2023, 7, 24), date(2023, 8, 4)),
        ("MSFT", date(2023, 7, 22), date(2023, 7, 24), date(2023, 8, 4)),
        ("BRK-B", date(2023, 7, 21), date(2023, 7, 24), date(2023, 8, 4)),
        ("ETH-USD", date(2023, 7, 22), date(2023, 7, 23), date(2023, 8, 1)),
        ("BTC-EUR", date(2023, 12, 24), date(2023, 12, 25), date(2024, 1, 3)),
        ("EURUSD=X", date(2023, 7, 21), date(2023, 7, 24), date(2023, 8, 4)),
        ("0700.HK", date(2024, 2, 9), date(2024, 2, 14), date(2024, 2, 27)),
    ],
)
def test_the_next_ten_sessions_are_those_of_the_exchange(symbol: str, cutoff: date, first: date, last: date) -> None:
    sessions = next_sessions(symbol, cutoff, 10)

    assert len(sessions) == 10
    assert (sessions[0], sessions[-1]) == (first, last)
    assert list(sessions) == sorted(set(sessions))


@pytest.mark.parametrize(
    ("symbol", "cutoff", "closed", "opened"),
    [
        (
            "MSFT",
            date(2023, 11, 22),
            date(2023, 11, 23),
            date(2023, 11, 24),
        ),  # Thanksgiving; an early close is a session
        ("VOD.L", date(2023, 8, 25), date(2023, 8, 28), date(2023, 8, 29)),  # bank holiday
        ("7203.T", date(2024, 5, 2), date(2024, 5, 6), date(2024, 5, 7)),  # Golden Week
        ("0700.HK", date(2024, 2, 9), date(2024, 2, 13), date(2024, 2, 14)),  # Chinese New Year
        ("MSFT", date(2023, 12, 29), date(2024, 1, 1), date(2024, 1, 2)),
        ("CL=F", date(2021, 9, 3), date(2021, 9, 6), date(2021, 9, 7)),  # Labor Day, which gets no close
        ("KC=F", date(2023, 1, 13), date(2023, 1, 16), date(2023, 1, 17)),  # Martin Luther King's
        ("CLF24.NYM", date(2023, 11, 22), date(2023, 11, 23), date(2023, 11, 24)),
    ],
)
def test_holidays_are_not_sessions(symbol: str, cutoff: date, closed: date, opened: date) -> None:
    sessions = next_sessions(symbol, cutoff, 5)

    assert closed not in sessions
    assert sessions[0] == opened


@pytest.mark.parametrize("symbol", ["CL=F", "KC=F"])
def test_futures_have_the_sessions_of_new_york_with_their_own_closes(symbol: str) -> None:
    first, last = np.datetime64("2001-01-01"), np.datetime64("2026-12-31")
    days = session_days(symbol, first, last)
    assert np.array_equal(days, session_days("MSFT", first, last))
    closes = session_closes(symbol, days)
    assert (closes >= session_closes("MSFT", days)).all()
    assert (closes > session_closes("MSFT", days)).mean() > 0.95  # some early closes are the same
    halves = half_holidays(symbol, first, last)
    assert not np.isin(halves, days).any()
    assert 6 <= len(halves) / 26 <= 7
    assert not len(half_holidays("MSFT", first, last))


def with_half_holidays(symbol: str, first: np.datetime64, last: np.datetime64) -> NDArray[np.datetime64]:
    return np.union1d(session_days(symbol, first, last), half_holidays(symbol, first, last))


@pytest.mark.parametrize("of", [session_days, with_half_holidays])
def test_futures_may_have_bars_of_half_holidays_or_none(make_bars: Any, of: Any) -> None:
    days = of("CL=F", np.datetime64("2021-05-03"), np.datetime64("2021-09-07"))
    frame = make_bars("CL=F", last=date(2021, 9, 7), sessions=len(days)).frame.assign(session_date=days)
    reading = read_prices(to_csv([Bars("CL=F", frame)]), symbol="CL=F")
    assert np.array_equal(reading.bars["CL=F"].columns["session_date"].astype("datetime64[D]"), days)
    assert not reading.findings.get("CL=F")
    assert not [one for one in findings(reading.bars["CL=F"], date(2021, 9, 7), now=NOW) if one.check == "gap"]


def test_a_calendar_is_used_up_to_the_last_year_that_is_known() -> None:
    assert next_sessions("0700.HK", date(2049, 12, 1), 3)[0] == date(2049, 12, 2)


@pytest.mark.parametrize(
    ("symbol", "cutoff", "words"),
    [
        ("0700.HK", date(2051, 12, 28), ["XHKG", "2049", "2 more years are assumed", "exchange_calendars"]),
        ("7203.T", date(1990, 1, 4), ["XTKS", "1997"]),
        ("MSFT", date(9999, 12, 31), ["XNYS", "9999-12-31"]),
        ("FOO.XX", date(2023, 7, 21), ["FOO.XX", ".XX", "another exchange"]),
        ("BRK.B", date(2023, 7, 21), [".B", "BRK-B"]),
    ],
)
def test_sessions_that_are_not_known_are_refused_in_a_sentence(symbol: str, cutoff: date, words: list[str]) -> None:
    with pytest.raises(CalendarError) as refused:
        next_sessions(symbol, cutoff, 10)

    assert all(word in str(refused.value) for word in words)
    assert "\n" not in str(refused.value)


def test_one_calendar_is_built_for_many_symbols_cutoffs_and_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    read = []
    real = calendar_file.read
    monkeypatch.setattr(calendar_file, "read", lambda *arguments: read.append(arguments) or real(*arguments))
    monkeypatch.setattr(calendar, "_BUILT", {})
    calendar._next_sessions.cache_clear()

    for day in range(1, 29):
        for symbol in ("MSFT", "AAPL", "BRK-B"):
            next_sessions(symbol, date(2023, 6, day), 10)
    session_closes("MSFT", np.arange("2020-07-01", "2023-08-10", dtype="datetime64[D]"))
    assert is_over("AAPL", date(2023, 6, 28), datetime(2023, 6, 28, 21, tzinfo=UTC))

    assert read == [("XNYS", 2019, 2023)]


def test_the_calendar_of_futures_takes_no_other_years_of_new_york(monkeypatch: pytest.MonkeyPatch) -> None:
    read = []
    real = calendar_file.read
    monkeypatch.setattr(calendar_file, "read", lambda *arguments: read.append(arguments) or real(*arguments))
    monkeypatch.setattr(calendar, "_BUILT", {})

    sessions_between("CL=F", date(2004, 1, 2), date(2023, 6, 1))

    assert read == [("CMES", 2000, 2023), ("XNYS", 2000, 2023)]


def test_a_calendar_grows_to_the_years_that_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calendar, "_BUILT", {})
    for first, last in ((date(2023, 6, 1), date(2023, 6, 30)), (date(2005, 6, 1), date(2005, 6, 30))):
        assert sessions_between("MSFT", first, last)[0] == first

    assert sessions_between("MSFT", date(2022, 12, 30), date(2023, 1, 3)) == (date(2022, 12, 30), date(2023, 1, 3))
    assert calendar._BUILT["XNYS"].first_year == 2001


def test_the_file_of_calendars_is_of_the_pinned_library() -> None:
    assert all(calendar_file.read(name, 2023, 2023) for name in calendar.CALENDARS), "run make calendars"


@pytest.mark.parametrize(
    "name",
    [
        *("XNYS", "XSHG", "XSAU"),
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in calendar.CALENDARS
            if name not in ("XNYS", "XSHG", "XSAU")
        ),
    ],
)
@pytest.mark.parametrize(("first", "last"), [(2000, 2030), (2024, 2027)])
def test_the_file_of_calendars_says_what_the_library_does(name: str, first: int, last: int) -> None:
    read, built = calendar_file.read(name, first, last), calendar.build(name, first, last)

    assert read is not None
    for part in fields(built):
        assert np.array_equal(getattr(read, part.name), getattr(built, part.name)), part.name


def test_other_years_and_another_release_of_the_library_are_not_read_from_the_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert calendar_file.read("XNYS", 1999, 2023) is None
    assert calendar_file.read("XNYS", 2023, 2031) is None

    monkeypatch.setattr(calendar_file, "version", lambda _: "4.99")
    monkeypatch.setattr(calendar, "_BUILT", {})

    assert calendar_file.read("XNYS", 2023, 2023) is None
    assert sessions_between("MSFT", date(2023, 7, 3), date(2023, 7, 5)) == (date(2023, 7, 3), date(2023, 7, 5))


@pytest.mark.parametrize(
    ("symbol", "day", "opened"),
    [
        ("MSFT", "2026-07-01", "2026-07-01T13:30"),
        ("MSFT", "2026-11-27", "2026-11-27T14:30"),  # a half day
        ("VOD.L", "2026-07-01", "2026-07-01T07:00"),
        ("7203.T", "2026-07-01", "2026-07-01T00:00"),
        ("AIR.NZ", "2026-07-01", "2026-06-30T22:00"),
        ("GC=F", "2026-07-01", "2026-06-30T22:00"),
        ("BTC-USD", "2026-07-01", "2026-07-01T00:00"),
        ("MSFT", "2026-07-04", "2026-07-04T00:00"),  # no session
        ("0700.HK", "2050-05-31", "2050-05-31T01:30"),  # assumed
    ],
)
def test_a_session_opens_when_its_exchange_does(symbol: str, day: str, opened: str) -> None:
    assert session_opens(symbol, np.array([day], "datetime64[D]")) == np.datetime64(opened)


def test_sessions_between_two_dates_include_both_ends() -> None:
    assert sessions_between("MSFT", date(2023, 7, 21), date(2023, 7, 24)) == (date(2023, 7, 21), date(2023, 7, 24))


@pytest.mark.parametrize(
    ("symbol", "first", "last"),
    [("7203.T", date(1990, 1, 1), date(1997, 1, 6)), ("0700.HK", date(2051, 12, 29), date(2060, 1, 1))],
)
def test_sessions_between_two_dates_end_where_the_holidays_are_unknown(symbol: str, first: date, last: date) -> None:
    assert len(sessions_between(symbol, first, last)) == 1


@pytest.fixture
def known_to_2025(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A library that knows the holidays of Shanghai, Mumbai and Singapore to the end of 2025."""
    whole = calendar._calendar

    def to_2025(name: str, first: date, last: date) -> Any:
        if last.year > 2025:
            raise ValueError("the calendar ends in 2025")
        return whole(name, first, last)

    monkeypatch.setattr(calendar, "_calendar", to_2025)
    monkeypatch.setattr(calendar_file, "read", lambda *_: None)
    monkeypatch.setattr(calendar, "_bounds", lambda name: (date(1990, 1, 1), date(2025, 12, 31)))
    monkeypatch.setattr(calendar, "_BUILT", {})
    calendar._next_sessions.cache_clear()
    calendar._habits.cache_clear()
    yield
    calendar._next_sessions.cache_clear()
    calendar._habits.cache_clear()


@pytest.mark.parametrize(
    ("symbol", "fixed", "most_missed"),
    [
        ("600519.SS", ["2026-01-01", "2026-05-01", "2026-10-01", "2026-10-07"], 12),
        ("RELIANCE.NS", ["2026-01-26", "2026-05-01", "2026-10-02", "2026-12-25"], 14),
        ("D05.SI", ["2026-01-01", "2026-05-01", "2026-12-25"], 9),
    ],
)
@pytest.mark.usefixtures("known_to_2025")
def test_beyond_the_known_holidays_sessions_are_weekdays_without_fixed_ones(
    symbol: str, fixed: list[str], most_missed: int
) -> None:
    assumed = sessions_between(symbol, date(2026, 1, 1), date(2026, 12, 31))
    assert not {date.fromisoformat(day) for day in fixed} & set(assumed)
    assert all(day.weekday() < 5 for day in assumed)
    assert 245 <= len(assumed) <= 261
    real = exchange_calendars.get_calendar(calendar_name(symbol), start="2026-01-01", end="2026-12-31").sessions.date
    assert len(set(assumed) - set(real)) <= most_missed  # holidays that move with the moon
    assert set(real) <= set(assumed) | {date(2026, 5, 4), date(2026, 5, 5)}
    assert holidays_known_until(symbol, date(2026, 6, 1)) == date(2025, 12, 31)


@pytest.mark.usefixtures("known_to_2025")
def test_assumed_sessions_close_at_the_usual_time_and_follow_a_december_cutoff() -> None:
    assert next_sessions("600519.SS", date(2025, 12, 30), 3) == (date(2025, 12, 31), date(2026, 1, 2), date(2026, 1, 5))
    assert is_over("600519.SS", date(2026, 1, 5), datetime(2026, 1, 5, 7, 0, tzinfo=UTC))
    assert not is_over("600519.SS", date(2026, 1, 5), datetime(2026, 1, 5, 6, 59, tzinfo=UTC))
    assert newest_closed("600519.SS", datetime(2026, 1, 6, 0, 0, tzinfo=UTC)) == date(2026, 1, 5)


@pytest.mark.usefixtures("known_to_2025")
def test_a_forecast_that_reaches_beyond_the_known_holidays_says_so_and_is_not_doubtful(make_bars: Any) -> None:
    bars = make_bars("600519.SS", last=date(2025, 12, 30))
    [found] = [found for found in findings(bars, bars.cutoff, now=NOW) if found.check == "calendar"]
    assert found.text.startswith("the holidays of XSHG after 2025-12-31 are not known")
    assert not found.touches_width
    earlier = make_bars("600519.SS", last=date(2025, 11, 28))
    assert not [found for found in findings(earlier, earlier.cutoff, now=NOW) if found.check == "calendar"]


NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.usefixtures("known_to_2025")
def test_bars_of_a_new_year_are_read_though_a_moving_holiday_is_missing_in_them(make_bars: Any) -> None:
    bars = make_bars("600519.SS", last=date(2026, 3, 10), sessions=130)
    new_year = (bars.frame["session_date"] < "2026-02-16") | (bars.frame["session_date"] > "2026-02-23")
    reading = read_prices(to_csv([Bars("600519.SS", bars.frame[new_year])]), symbol="600519.SS")
    assert reading.bars["600519.SS"].cutoff == date(2026, 3, 10)
    assert not [
        found for found in findings(reading.bars["600519.SS"], date(2026, 3, 10), now=NOW) if found.check == "gap"
    ]


def test_special_sessions_that_the_library_lacks_are_accepted_where_bars_are_there(make_bars: Any) -> None:
    frame = make_bars("RELIANCE.NS", last=date(2026, 2, 6), sessions=520).frame
    special = frame.iloc[[-1, -1, -1]].assign(session_date=pd.to_datetime(["2024-03-02", "2024-05-18", "2026-02-01"]))
    both = pd.concat([frame, special.astype(frame.dtypes)]).sort_values("session_date", ignore_index=True)
    reading = read_prices(to_csv([Bars("RELIANCE.NS", both)]), symbol="RELIANCE.NS")
    days = set(reading.bars["RELIANCE.NS"].frame["session_date"].astype(str))
    assert {"2024-03-02", "2024-05-18", "2026-02-01"} <= days
    assert [found.check for found in reading.findings["RELIANCE.NS"]] == ["closed"]


def test_an_exchange_is_named_before_its_known_holidays_end() -> None:
    last = calendar._bounds("XSHG")[1]
    symbols = ["MSFT", "600519.SS", "NOPE.NOWHERE"]
    assert ending_calendars(symbols, last + timedelta(days=1)) == {"XSHG": last}
    assert ending_calendars(symbols, last) == {}


def test_there_are_no_sessions_between_dates_in_the_wrong_order() -> None:
    assert sessions_between("MSFT", date(2023, 7, 21), date(2020, 7, 21)) == ()


@pytest.mark.parametrize(
    ("symbol", "session", "closes"),
    [
        ("MSFT", date(2023, 7, 21), datetime(2023, 7, 21, 20, tzinfo=UTC)),
        ("MSFT", date(2023, 11, 24), datetime(2023, 11, 24, 18, tzinfo=UTC)),  # the early close after Thanksgiving
        ("7203.T", date(2023, 7, 21), datetime(2023, 7, 21, 6, tzinfo=UTC)),
        ("ETH-USD", date(2023, 7, 22), datetime(2023, 7, 23, tzinfo=UTC)),
        ("MSFT", date(2023, 7, 22), datetime(2023, 7, 23, tzinfo=UTC)),  # a Saturday, which no session closes
    ],
)
def test_a_session_is_over_at_the_close_of_its_own_exchange(symbol: str, session: date, closes: datetime) -> None:
    assert not is_over(symbol, session, closes - timedelta(seconds=1))
    assert is_over(symbol, session, closes)
    assert is_over(symbol, session, closes + timedelta(days=3))


@pytest.mark.parametrize(
    "day",
    [
        *("2023-07-22", date(2023, 7, 22), datetime(2023, 7, 22, 18), pd.Timestamp("2023-07-22")),
        *(np.datetime64("2023-07-22T18", unit) for unit in ("D", "h", "s", "us", "ns")),
    ],
)
def test_a_day_is_a_date_whatever_its_type(day: date | np.datetime64 | str) -> None:
    assert type(parse_day(day)) is date
    assert parse_day(day) == date(2023, 7, 22)


@pytest.mark.parametrize(
    ("day", "said"),
    [
        ("2023-02-30", "'2023-02-30' is not a date: YYYY-MM-DD was needed"),
        ("x" * 99, "is not a date"),
        (5, "^5 is not a date"),
        (None, "^None is not a date"),
        (pd.NaT, "^NaT is not a date"),
        (np.datetime64("NaT"), "^NaT is not a date"),
        (np.datetime64(20000, "Y"), "^21970 is not a date"),
        ("0001-01-01", "'0001-01-01' is out of range: a date from 1900 to 2100 was needed"),
        ("2101-01-01", "is out of range"),
    ],
)
def test_what_is_no_day_is_a_sentence(day: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        parse_day(day)
