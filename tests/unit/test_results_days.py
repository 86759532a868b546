"""Sources of results days, against canned answers: the SEC's over HTTP, Yahoo's calendar, and a file."""

import json
import warnings
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from curl_cffi import requests
from tests.support.sec_server import SecServer
from tests.support.stand_in import Answer

from tickercast import engines
from tickercast.backends.results_days.file import ResultsFile
from tickercast.backends.results_days.sec import Sec
from tickercast.backends.results_days.yahoo import YahooResults
from tickercast.config import Settings
from tickercast.errors import InvalidBars, NoResults, RateLimited, SourceUnavailable, UnknownSymbol, UsageError

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import yfinance

SINCE = date(2021, 1, 1)
AGENT = "Jane Doe jane@example.com"
INSIDER = ("2023-07-05", "2023-07-06T00:31:07.000Z", "4", "")  # 20:31 in New York if it is UTC
MICROSOFT = [
    INSIDER,
    ("2023-07-25", "2023-07-25T20:05:43.000Z", "8-K", "2.02,9.01"),
    ("2023-07-25", "2023-07-25T20:40:00.000Z", "8-K/A", "2.02"),
    ("2023-06-01", "2023-06-01T20:40:00.000Z", "8-K", "5.02"),
    ("2023-01-25", "2023-01-24T21:06:00.000Z", "8-K", "2.02"),
]
HESS = [  # New York's clock, though it ends in Z
    ("2025-04-30", "2025-04-30T07:30:32.000Z", "8-K", "2.02"),
    ("2025-04-29", "2025-04-29T06:10:00.000Z", "4", ""),
]


@pytest.fixture
def server() -> Iterator[SecServer]:
    made = SecServer()
    made.companies = {"MSFT": list(MICROSOFT), "HES": list(HESS), "BRK-B": [INSIDER]}
    yield made
    made.close()


class Clock:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now, self.slept = 0.0, []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def sec(server: SecServer, clock: Clock | None = None) -> Sec:
    clock = clock or Clock()
    return Sec(AGENT, url=server.url, data_url=server.url, sleep=clock.sleep, clock=lambda: clock.now)


def ask(source, *symbols: str, since: date = SINCE):
    return source.fetch(symbols, since, advance=lambda _: None)


def told(reading):
    return [
        (row["symbol"], str(row["date"]), row["session"], f"{row['known_at']:%m-%d %H:%M}")
        for row in reading.rows.to_pylist()
    ]


def test_a_company_s_8_k_with_item_2_02_is_a_results_day_known_from_its_acceptance(server: SecServer) -> None:
    reading = ask(sec(server), "MSFT")
    assert told(reading) == [
        ("MSFT", "2023-07-25", "after", "07-25 20:05"),
        ("MSFT", "2023-01-24", "after", "01-24 21:06"),  # the filing's own date is a day late
    ]
    assert set(reading.rows["source"].to_pylist()) == {"sec"}
    assert {agent for _, agent in server.requests} == {AGENT}


def test_a_company_whose_moments_are_of_new_york_s_clock_is_recognised(server: SecServer) -> None:
    assert told(ask(sec(server), "HES")) == [("HES", "2025-04-30", "before", "04-30 11:30")]


def test_where_the_clock_cannot_be_told_the_session_stays_unknown_and_the_later_moment_counts(
    server: SecServer,
) -> None:
    server.companies["HES"] = [("2025-04-30", "2025-04-30T12:30:32.000Z", "8-K", "2.02")]
    assert told(ask(sec(server), "HES")) == [("HES", "2025-04-30", "unknown", "04-30 16:30")]


def test_older_filings_are_read_as_far_as_they_are_wanted(server: SecServer) -> None:
    server.old["MSFT"] = [("2019-07-18", "2019-07-18T20:05:00.000Z", "8-K", "2.02")]
    assert len(ask(sec(server), "MSFT").rows) == 2
    assert len(server.requests) == 2
    assert len(ask(sec(server), "MSFT", since=date(2019, 1, 1)).rows) == 3


def test_symbols_that_the_sec_does_not_know_are_named_and_the_others_go_on(server: SecServer) -> None:
    reading = ask(sec(server), "VOD.L", "BRK-B", "MSFT")
    assert len(reading.rows) == 2
    assert isinstance(reading.failures["VOD.L"], UnknownSymbol)
    assert "no 8-K with item 2.02 of BRK-B since 2021-01-01" in str(reading.failures["BRK-B"])


def test_at_most_ten_requests_a_second_are_sent(server: SecServer) -> None:
    clock = Clock()
    ask(sec(server, clock), *["MSFT"] * 30)
    assert len(server.requests) / clock.now <= 10


@pytest.mark.parametrize("status", [403, 429])
def test_a_refusal_is_not_answered_by_asking_again(server: SecServer, status: int) -> None:
    server.failures = [Answer(status, b"Request Rate Threshold Exceeded")]
    with pytest.raises(RateLimited, match=rf"HTTP {status}.*TICKERCAST_SEC_USER_AGENT, wait ten minutes"):
        ask(sec(server), "MSFT")
    assert len(server.requests) == 1


def test_what_was_answered_before_a_refusal_is_kept(server: SecServer) -> None:
    source = sec(server)

    def advance(_: int) -> None:
        server.failures = [Answer(429)]

    reading = source.fetch(["MSFT", "HES", "BRK-B"], SINCE, advance=advance)
    assert len(reading.rows) == 2
    assert set(reading.failures) == {"HES", "BRK-B"}
    assert "HES was not asked for: The SEC refuses" in str(reading.failures["HES"])
    assert len(server.requests) == 3


@pytest.mark.parametrize("failure", [None, Answer(503)])
def test_a_passing_failure_is_waited_for_and_a_lasting_one_is_said(server: SecServer, failure: Answer | None) -> None:
    server.failures = [failure] * 2
    assert len(ask(sec(server), "MSFT").rows) == 2
    server.failures = [failure] * 3
    with pytest.raises(SourceUnavailable, match="does not give its list of companies"):
        ask(sec(server), "MSFT")


@pytest.mark.parametrize("answer", [Answer(200, b"<html>"), Answer(200, b"[]"), Answer(200, b'{"0": {}}')])
def test_an_answer_of_another_kind_is_said(server: SecServer, answer: Answer) -> None:
    server.failures = [answer]
    with pytest.raises(SourceUnavailable, match="something else than its list of companies"):
        ask(sec(server), "MSFT")


def test_filings_that_cannot_be_read_or_are_not_there_fail_their_company_alone(server: SecServer) -> None:
    server.companies["HES"] = [("2025-04-30", "yesterday", "8-K", "2.02")]
    server.companies["GONE"] = []
    reading = ask(sec(server), "HES", "GONE", "MSFT")
    assert len(reading.rows) == 2
    assert "the filings of HES cannot be read (ValueError)" in str(reading.failures["HES"])


@pytest.mark.parametrize(("agent", "seen"), [("", "is not set"), ("Jane Doe", "is 'Jane Doe'"), ("a@b.c\nX: 1", "is ")])
def test_the_sec_is_not_asked_by_somebody_without_a_name_and_an_address(agent: str, seen: str) -> None:
    with pytest.raises(UsageError, match=f"TICKERCAST_SEC_USER_AGENT {seen}"):
        engines.results_source("sec", Settings(sec_user_agent=agent))


# ---------------------------------------------------------------- Yahoo's calendar

NOW = datetime(2023, 7, 10, 12, tzinfo=UTC)


def moment(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def calendar(*moments: str, estimated: bool | None = None) -> str:
    earnings = {"earningsDate": [moment(text) for text in moments]}
    earnings |= {} if estimated is None else {"isEarningsDateEstimate": estimated}
    return json.dumps({"quoteSummary": {"result": [{"calendarEvents": {"earnings": earnings}}], "error": None}})


@pytest.fixture
def canned(monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[int, str]]:
    """Let the real yfinance work on canned answers: status and body by symbol."""
    answers: dict[str, tuple[int, str]] = {}

    def request(self: requests.Session, method: str, url: str, **options: object) -> requests.Response:
        response = requests.Response()
        response.url = url
        if "quoteSummary" in url:
            symbol = url.partition("quoteSummary/")[2].partition("?")[0]
            response.status_code, text = answers[symbol]
        else:
            response.status_code, text = 200, "crumb"
        response.ok = response.status_code < 400
        response.content = text.encode()
        return response

    monkeypatch.setattr(requests.Session, "request", request)
    monkeypatch.setattr(yfinance.data.YfData, "_instances", {}, raising=False)
    return answers


def yahoo(*symbols: str):
    return ask(YahooResults(sleep=lambda _: None, now=lambda: NOW), *symbols)


def test_the_announced_day_of_yahoo_s_calendar_is_known_from_now(canned: dict[str, tuple[int, str]]) -> None:
    canned |= {
        "MSFT": (200, calendar("2023-07-25T20:00", estimated=False)),
        "MMM": (200, calendar("2023-07-25T10:30")),
        "IBM": (200, calendar("2023-07-19T00:00")),  # a day without a time
    }
    assert told(yahoo("MSFT", "MMM", "IBM")) == [
        ("MSFT", "2023-07-25", "after", "07-10 12:00"),
        ("MMM", "2023-07-25", "before", "07-10 12:00"),
        ("IBM", "2023-07-19", "unknown", "07-10 12:00"),
    ]


def test_yahoo_s_own_estimates_and_past_days_are_not_kept(canned: dict[str, tuple[int, str]]) -> None:
    canned |= {
        "A": (200, calendar("2023-08-14T10:59", "2023-08-18T12:00")),
        "B": (200, calendar("2023-08-14T10:59", estimated=True)),
        "C": (200, calendar("2023-04-14T10:59", estimated=False)),
    }
    reading = yahoo("A", "B", "C")
    assert told(reading) == []
    assert not reading.failures


def test_a_symbol_without_a_calendar_is_named(canned: dict[str, tuple[int, str]]) -> None:
    canned |= {
        "MSFT": (200, calendar("2023-07-25T20:00")),
        "SPY": (404, '{"quoteSummary":{"result":null,"error":{"code":"Not Found"}}}'),
        "X": (200, calendar()),
        "Y": (200, "{}"),
    }
    reading = yahoo("MSFT", "SPY", "X", "Y")
    assert len(reading.rows) == 1
    assert isinstance(reading.failures["SPY"], NoResults)
    assert "no coming results day of X" in str(reading.failures["X"])
    assert "Yahoo's answer for Y cannot be read" in str(reading.failures["Y"])


def test_yahoo_s_refusal_is_said_and_nothing_more_is_asked(canned: dict[str, tuple[int, str]]) -> None:
    canned |= {"MSFT": (429, "Too Many Requests")}
    with pytest.raises(RateLimited, match="Yahoo's calendar does not answer"):
        yahoo("MSFT", "MMM")


# ---------------------------------------------------------------- a file


def test_the_rows_of_a_file_are_those_of_the_symbols_that_are_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("symbol,date,session\nMSFT,2023-07-25,after\nMSFT,1999-01-20,after\nMMM,2023-07-25,before\n")
    reading = ask(ResultsFile(path, now=lambda: NOW), "MSFT", "AAPL")
    assert told(reading) == [("MSFT", "2023-07-25", "after", "07-10 12:00")]
    assert "no results day of AAPL since 2021-01-01" in str(reading.failures["AAPL"])
    path.write_text("symbol,day\n")
    with pytest.raises(InvalidBars, match=r"mine\.csv begins with 'symbol,day'"):
        ask(ResultsFile(path), "MSFT")
    with pytest.raises(UsageError, match="cannot be read"):
        ask(ResultsFile(tmp_path), "MSFT")


def test_a_word_that_is_no_source_is_refused() -> None:
    with pytest.raises(UsageError, match="neither sec, yahoo, none nor a file"):
        engines.results_source("nasdaq", Settings())
