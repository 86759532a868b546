"""Files of events: stored once, as far as they say something new, or refused with a reason."""

import json
import uuid
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import Result
from tests.support.place import Champion, Place
from tests.support.sec_server import SecServer
from tests.support.trading import SYMBOLS, Evening, Registry
from typer.testing import CliRunner

from tickercast.app import App
from tickercast.backends.warehouse.bigquery import BigQueryWarehouse
from tickercast.cli import app as cli
from tickercast.config import resource
from tickercast.domain import objects
from tickercast.domain.bars import Bars
from tickercast.domain.files.price_files import to_csv, to_parquet
from tickercast.domain.forecast import Role, Served
from tickercast.errors import UsageError, WarehouseUnavailable
from tickercast.jobs.daily.run_day import _events, _Steps
from tickercast.reading.events import results_days
from tickercast.reading.forecasts import stored_forecasts
from tickercast.show.day import day_lines

NAME = "events/MSFT.csv"


class Frozen(datetime):
    """The clock of the evening that is played."""

    @classmethod
    def now(cls, tz=None):
        return datetime(2024, 6, 11, 22, 30, tzinfo=UTC)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def send(place: Place, text: str, name: str = NAME):
    return place.handle(place.upload(name, text.encode()))


def entry(place: Place, name: str = NAME):
    return place.warehouse.read("ingestions", {"object": name}).sort_values("written_at").to_dict("records")[-1]


def stored(place: Place):
    rows = place.warehouse.read("events").sort_values(["date", "known_at"])
    return [f"{row.date:%m-%d} {row.session}" for row in rows.itertuples()]


def test_a_file_of_events_becomes_rows_and_an_entry_in_the_ledger(place: Place) -> None:
    outcome = send(place, "date,session\n2023-04-25,after\n2023-07-25,after\n")
    assert not outcome.failures
    assert (entry(place)["status"], entry(place)["reason"]) == ("stored", "2 events, 2 of them new")
    known = results_days(["MSFT", "AAPL"], date(2023, 7, 21), date(2023, 7, 21), warehouse=place.warehouse)
    assert list(known) == ["MSFT"]
    assert known["MSFT"].dates.astype(str).tolist() == ["2023-04-25", "2023-07-25"]


def test_an_event_that_comes_again_changes_nothing_even_after_a_crash(place: Place, monkeypatch) -> None:
    event = place.upload(NAME, b"date\n2023-04-25\n")
    append = place.warehouse.append

    def fails_at_the_ledger(table, rows, *, key):
        if table == "ingestions":
            raise WarehouseUnavailable("The power is off.")
        return append(table, rows, key=key)

    with monkeypatch.context() as patched:
        patched.setattr(place.warehouse, "append", fails_at_the_ledger)
        with pytest.raises(WarehouseUnavailable):
            place.handle(event)
    for _ in range(2):
        place.handle(event)
    assert stored(place) == ["04-25 unknown"]
    assert len(place.warehouse.read("ingestions")) == 1
    assert entry(place)["reason"] == "1 events, 1 of them new"


def test_a_file_that_says_the_same_adds_nothing_and_a_day_that_moves_back_is_new_again(place: Place) -> None:
    header = "symbol,date,session,known_at\n"
    send(place, f"{header}MSFT,2023-07-25,after,2023-07-01\n")
    send(place, f"{header}MSFT,2023-07-25,after,2023-07-02\n", "events/again.csv")
    assert entry(place, "events/again.csv")["reason"] == "1 events, 0 of them new"
    send(place, f"{header}MSFT,2023-08-01,after,2023-07-03\n")
    send(place, f"{header}MSFT,2023-07-25,after,2023-07-04\n")
    assert stored(place) == ["07-25 after", "07-25 after", "08-01 after"]
    [days] = results_days(["MSFT"], date(2023, 7, 21), date(2023, 7, 21), warehouse=place.warehouse).values()
    coming = days.as_known(place.now).coming
    assert [day.day for day in coming] == [date(2023, 7, 25)]


def test_a_source_that_knew_of_a_day_earlier_than_was_told_adds_that(place: Place) -> None:
    header = "symbol,date,session,known_at\n"
    send(place, f"{header}MSFT,2023-07-25,after,2023-07-10\n")
    send(place, f"{header}MSFT,2023-07-25,after,2023-07-06\n")
    assert entry(place)["reason"] == "1 events, 1 of them new"
    [days] = results_days(["MSFT"], date(2023, 7, 7), date(2023, 7, 7), warehouse=place.warehouse).values()
    assert [day.day for day in days.as_known(datetime(2023, 7, 7, 21, tzinfo=UTC)).coming] == [date(2023, 7, 25)]


def test_simulated_bars_expect_no_results(place: Place, make_bars) -> None:
    send(place, "date,session,known_at\n2023-07-27,before,2023-07-01\n")
    simulated = Bars("MSFT", make_bars().columns, simulated=True)
    [one] = place.handle(place.upload("ohlc/2023-07-22/MSFT.csv", to_csv([simulated]))).series
    assert one.results is None


def test_a_bad_file_is_kept_in_quarantine_and_can_be_mended(place: Place) -> None:
    outcome = send(place, "date,session\n2023-07-25,noon\n")
    assert outcome.status == "rejected"
    assert entry(place)["status"] == "rejected"
    assert "before, after or unknown was needed" in entry(place)["reason"]
    assert [name for name in place.store.names("quarantine/") if name.endswith(".csv")]
    send(place, "date,session\n2023-07-25,after\n")
    assert entry(place)["status"] == "stored"


@pytest.mark.parametrize("name", ["events/MSFT.parquet", "Events/MSFT.csv", "events/MSFT"])
def test_whatever_lies_under_events_is_accounted_for(place: Place, name: str) -> None:
    send(place, "date\n2023-07-25\n", name)
    assert entry(place, name)["status"] == "rejected"
    assert "events/NAME.csv was needed" in entry(place, name)["reason"]


def test_a_file_that_was_replaced_before_it_was_read_is_superseded(place: Place) -> None:
    first = place.upload(NAME, b"date\n2023-07-25\n")
    place.upload(NAME, b"date\n2023-07-26\n")
    assert place.handle(first).status == "superseded"
    assert not len(place.warehouse.read("events"))


def test_a_forecast_says_which_results_day_was_known_at_its_cutoff(place: Place, make_bars) -> None:
    known = "date,session,known_at\n2022-07-26,after,2022-07-26T20:05Z\n2023-07-27,before,2023-07-21T20:00:01Z\n"
    send(place, known)
    send(place, known, "events/AAPL.csv")
    send(place, "date,session,known_at\n2023-07-27,before,2023-07-21T19:59Z\n", "events/MMM.csv")
    send(place, "date,known_at\n2023-07-25,2023-07-01\n", "events/BTC-USD.csv")
    bars = [make_bars(symbol) for symbol in ("MSFT", "MMM", "IBM")] + [make_bars("BTC-USD", sessions=450)]
    outcome = place.handle(place.upload("ohlc/2023-07-22/batch-0001.csv", to_csv(bars)))
    assert {one.bars.symbol: str(one.results) for one in outcome.series} == {
        "MSFT": "2023-07-25 (after the close; predicted from its own past dates)",  # the other was known a second late
        "MMM": "2023-07-27 (before the open)",
        "IBM": "None",
        "BTC-USD": "None",
    }
    ledger = place.warehouse.read("ingestions", {"status": "forecast"}).set_index("symbol")
    assert ledger["results_predicted"].map(str, na_action=None).to_dict() == {
        "MSFT": "True",
        "MMM": "False",
        "IBM": "<NA>",
        "BTC-USD": "<NA>",
    }
    made = stored_forecasts(ledger.reset_index(), place.warehouse)
    assert str(made["MMM"].results) == "2023-07-27 (before the open)"
    assert made["MMM"].results.effect == date(2023, 7, 27)
    assert made["IBM"].results is None


def test_a_backfill_uses_what_was_known_at_its_cutoff_and_nothing_later(place: Place, make_bars) -> None:
    send(place, "date,session,known_at\n2023-07-27,before,2023-07-21T20:00:01Z\n")
    name = objects.backfill(date(2023, 7, 21), ["MSFT"])
    assert place.handle(place.upload(name, to_parquet([make_bars()]))).series[0].results is None
    later = make_bars(last=date(2023, 7, 24))
    name = objects.backfill(date(2023, 7, 24), ["MSFT"])
    place.now = datetime(2023, 7, 25, 12, tzinfo=UTC)
    [one] = place.handle(place.upload(name, to_parquet([later]))).series
    assert str(one.results) == "2023-07-27 (before the open)"


class Listener(Champion):
    """A champion that reads results days, and keeps what it is told."""

    adapts = False

    def __init__(self, told: list[Any]) -> None:
        self.told = told

    def informed(self, results: Any, widths: Any = None) -> "Listener":
        self.told.append({symbol: days.dates.astype(str).tolist() for symbol, days in results.items()})
        return self

    def predict_at(self, bars: Bars, at: Any) -> Any:
        raise NotImplementedError

    def results_lift(self, bars: Bars, at: Any) -> Any:
        raise NotImplementedError


@pytest.mark.parametrize("name", ["ohlc/2023-07-22/batch-0001.parquet", objects.backfill(date(2023, 7, 21), ["MSFT"])])
def test_a_model_that_reads_results_days_is_told_those_of_its_symbols(place: Place, make_bars, name: str) -> None:
    told: list[Any] = []
    place.served = lambda: [Served(Listener(told), Role.CHAMPION)]
    send(place, "date\n2023-04-25\n2023-07-25\n")
    send(place, "date\n2023-04-26\n", "events/AAPL.csv")
    place.handle(place.upload(name, to_parquet([make_bars("MSFT"), make_bars("IBM")])))
    assert told[-1] == {"MSFT": ["2023-04-25", "2023-07-25"]}


# ---------------------------------------------------------------- fetching


@pytest.fixture
def sec(monkeypatch: pytest.MonkeyPatch) -> Iterator[SecServer]:
    server = SecServer()
    server.companies = {
        "MSFT": [
            ("2012-05-17", "2012-05-17T20:05:00.000Z", "8-K", "2.02"),
            ("2011-08-18", "2011-08-18T20:05:00.000Z", "8-K", "2.02"),
            ("2012-07-05", "2012-07-06T00:31:07.000Z", "4", ""),
        ]
    }
    monkeypatch.setenv("TICKERCAST_SEC_URL", server.url)
    monkeypatch.setenv("TICKERCAST_SEC_DATA_URL", server.url)
    monkeypatch.setenv("TICKERCAST_SEC_USER_AGENT", "Jane Doe jane@example.com")
    yield server
    server.close()


def run(*words: str) -> Result:
    return CliRunner().invoke(cli, list(words))


def test_results_days_are_fetched_listed_and_said_by_the_next_forecast(workspace: Path, sec: SecServer) -> None:
    assert "No results day is stored: tickercast events fetch MSFT" in run("events", "list").output
    fetched = run("events", "fetch", "MSFT", "VOD.L", "--source", "sec", "--since", "2011-01-01")
    assert fetched.exit_code == 1
    assert "2 events, 2 of them new" in fetched.stdout
    assert "The SEC lists no company VOD.L" in fetched.stderr
    assert "No results day of IBM is stored: tickercast events fetch IBM" in run("events", "list", "ibm").output
    again = run("events", "fetch", "MSFT", "--source", "sec", "--since", "2011-01-01")
    assert again.exit_code == 0
    assert "2 events, 0 of them new" in again.stdout
    listed = run("events", "list", "msft")
    assert listed.exit_code == 0
    assert listed.stdout.count("after") == 2
    said = run("forecast", "MSFT", "2012-08-15", "--source", "sample")
    expected = "results expected 2012-08-16 (after the close; predicted from its own past dates), inside this horizon"
    assert expected in said.stdout
    as_json = json.loads(run("forecast", "MSFT", "2012-08-15", "--source", "sample", "--json").stdout)
    assert as_json[0]["results"]["target_date"] == "2012-08-17"


def test_a_file_of_one_s_own_is_a_source_too(workspace: Path) -> None:
    (workspace / "mine.csv").write_text("symbol,date\nMSFT,2012-08-16\n")
    assert run("events", "fetch", "MSFT", "--source", "mine.csv").exit_code == 0
    assert "events/" in run("events", "list").stdout


def test_a_source_that_gives_nothing_is_said(workspace: Path, sec: SecServer, monkeypatch) -> None:
    nothing = run("events", "fetch", "VOD.L", "--source", "sec")
    assert nothing.exit_code == 2
    assert "The SEC lists no company VOD.L" in nothing.stderr
    monkeypatch.delenv("TICKERCAST_SEC_USER_AGENT")
    unset = run("events", "fetch", "MSFT", "--source", "sec")
    assert unset.exit_code != 0
    assert isinstance(unset.exception, UsageError)
    monkeypatch.setenv("TICKERCAST_SOURCE", "sample")
    none = run("events", "fetch", "MSFT")
    assert "No source of results days is configured" in str(none.exception)


def test_the_library_fetches_and_lists_results_days(workspace: Path, sec: SecServer) -> None:
    app = App()
    fetched = app.fetch_events("MSFT", source="sec", since="2011-01-01")
    assert (list(fetched.symbols), fetched.failures) == (["MSFT"], {})
    rows, count = app.events(["MSFT"], limit=1)
    assert (len(rows), count) == (1, 2)
    assert [str(day) for day in app.known_results("MSFT").past] == []  # the clock says 2026: long ago


# ---------------------------------------------------------------- the daily run


def evening(folder: Path) -> Evening:
    made = Evening(folder, Registry(), day=date(2024, 6, 11), may_train=False)
    made.begin(1.0)
    return made


def test_the_daily_run_keeps_the_results_days_of_the_watchlist(workspace: Path, monkeypatch) -> None:
    (workspace / "mine.csv").write_text(f"symbol,date,session\n{SYMBOLS[0]},2024-06-18,after\n")
    monkeypatch.setenv("TICKERCAST_EVENTS_SOURCE", str(workspace / "mine.csv"))
    monkeypatch.setattr("tickercast.backends.results_days.file.datetime", Frozen)
    today = evening(workspace)
    day = today.run()
    assert list(day.events.symbols) == [SYMBOLS[0]]
    assert f"events      results days of 1 symbol; none of {len(SYMBOLS) - 1} symbols" in list(day_lines(day))
    assert today.warehouse.read("events")["symbol"].tolist() == [SYMBOLS[0]]


def steps_of(services: App, last: date) -> _Steps:
    return _Steps(services, lambda job: job, SimpleNamespace(check=lambda: None), services.now().date(), last)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("nowhere.csv", "nor a file that can be read"),
        ("sec", "TICKERCAST_SEC_USER_AGENT is not set"),
        ("none", "no source of them is configured"),
    ],
)
def test_results_days_that_cannot_be_had_never_stop_the_day(workspace: Path, monkeypatch, source, said) -> None:
    monkeypatch.setenv("TICKERCAST_EVENTS_SOURCE", source)
    services = App()
    market = SimpleNamespace(symbols=["MSFT"], source=SimpleNamespace(name="yahoo"))
    today = services.now().date()
    assert said in _events(steps_of(services, today), market)
    assert "a source tells what is known today" in _events(steps_of(services, date(2020, 1, 2)), market)


def test_a_fault_of_the_source_itself_never_stops_the_day(workspace: Path, monkeypatch) -> None:
    class Broken:
        name = "broken"
        is_file = False

        def fetch(self, symbols, since, *, advance):
            raise ZeroDivisionError("a bug")

    services = App()
    monkeypatch.setattr(services, "results_source", lambda **_: Broken())
    market = SimpleNamespace(symbols=["MSFT"], source=SimpleNamespace(name="yahoo"))
    said, _, kept = _events(steps_of(services, services.now().date()), market).rpartition(" ")
    assert said == "it failed unexpectedly. The details are in"
    assert "ZeroDivisionError: a bug" in Path(kept.removesuffix(".")).read_text()


# ---------------------------------------------------------------- BigQuery


def test_events_are_stored_and_read_on_bigquery_too(tmp_path: Path, bigquery_server, make_bars) -> None:
    place = Place(tmp_path)
    emulator, dataset = bigquery_server.url, f"d{uuid.uuid4().hex}"
    place.warehouse = BigQueryWarehouse("test-project", dataset, resource("sql"), emulator=emulator)
    place.warehouse.provision()
    event = place.upload(
        NAME, b"date,session,known_at\n2023-07-27,before,2023-07-06\n2022-07-26,after,2022-07-26T20:05Z\n"
    )
    for _ in range(2):
        place.handle(event)
    assert len(place.warehouse.read("events")) == 2
    assert place.warehouse.read("ingestions")["reason"].tolist() == ["2 events, 2 of them new"]
    [one] = place.handle(place.upload("ohlc/2023-07-22/MSFT.csv", to_csv([make_bars()]))).series
    assert str(one.results) == "2023-07-27 (before the open)"
    known = results_days(["MSFT"], date(2023, 7, 21), date(2023, 7, 21), warehouse=place.warehouse)
    assert sorted(known["MSFT"].sessions.tolist()) == ["after", "before"]
