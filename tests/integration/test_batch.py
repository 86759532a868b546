"""Many symbols: several files, one event each, and a run that resumes where it was stopped."""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
from click.testing import Result
from tests.support.place import Place
from typer.testing import CliRunner

from tickercast import config, engines
from tickercast.backends.object_store.local import LocalObjectStore
from tickercast.cli import app
from tickercast.errors import FunctionUnavailable, StoreUnavailable
from tickercast.jobs.requests import request_forecast as requesting
from tickercast.jobs.requests import upload as uploading
from tickercast.jobs.requests.results import Answers, read_all_results, read_answers
from tickercast.jobs.requests.resume import forecast_before
from tickercast.jobs.requests.upload import Upload

SYMBOLS = [f"S{number}" for number in range(7)]
AS_OF = date(2023, 7, 22)
Run = Callable[..., Result]


@pytest.fixture
def run(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The main command with simulated bars for the symbols of a file, three in a batch."""
    monkeypatch.setattr(uploading, "BATCH", 3)
    monkeypatch.setattr(requesting, "MANY", 3)

    def call(*words: str, symbols: list[str] = SYMBOLS) -> Result:
        (workspace / "symbols.txt").write_text("\n".join(symbols))
        fixed = ["forecast", str(AS_OF), "--symbols-file", "symbols.txt", "--source", "simulated", "--json"]
        return CliRunner().invoke(app, [*fixed, *words])

    return call


def ledger() -> pd.DataFrame:
    return engines.warehouse(config.load()).read("ingestions")


def forecasts(done: Result) -> list[str]:
    return [made["symbol"] for made in json.loads(done.stdout)]


@pytest.fixture
def stopped(run: Run, monkeypatch: pytest.MonkeyPatch) -> Result:
    """A run whose store failed at the second batch."""
    whole = LocalObjectStore.write

    def fail(store: LocalObjectStore, name: str, *rest: bytes, **options: int) -> int:
        if name.endswith("batch-0002.parquet"):
            raise StoreUnavailable("The store is down.")
        return whole(store, name, *rest, **options)  # type: ignore[arg-type]

    with monkeypatch.context() as broken:
        broken.setattr(LocalObjectStore, "write", fail)
        return run()


def test_each_batch_is_one_file_and_one_event(run: Run) -> None:
    done = run()
    assert done.exit_code == 0
    assert forecasts(done) == SYMBOLS
    assert dict(ledger().groupby("object").size()) == {
        "ohlc/2023-07-22/batch-0001.parquet": 3,
        "ohlc/2023-07-22/batch-0002.parquet": 3,
        "ohlc/2023-07-22/S6.csv": 1,
    }
    assert ledger()["event_id"].nunique() == 3


def test_bad_symbols_are_reported_at_the_end_and_the_others_are_forecast(run: Run) -> None:
    done = run(symbols=[*SYMBOLS[:2], "A.NOWHERE", *SYMBOLS[2:], "../x"])
    assert done.exit_code == 1
    assert forecasts(done) == SYMBOLS
    assert "A.NOWHERE ends in .NOWHERE" in done.stderr
    assert "'../x' is not a symbol" in done.stderr


def test_a_run_that_was_stopped_says_how_far_it_came_and_the_same_command_resumes_it(run: Run, stopped: Result) -> None:
    assert isinstance(stopped.exception, StoreUnavailable)
    assert "3 of 7 symbols were sent. The same command sends the others." in stopped.stderr
    assert list(ledger()["symbol"]) == SYMBOLS[:3]
    done = run()
    assert done.exit_code == 0
    assert "3 of 7 symbols were forecast for 2023-07-22 before" in done.stderr
    assert forecasts(done) == SYMBOLS
    assert sorted(ledger()["symbol"]) == SYMBOLS


def test_a_run_that_was_finished_sends_nothing_and_shows_all(run: Run) -> None:
    first = run()
    second = run()
    assert second.exit_code == 0
    assert second.stdout == first.stdout
    assert len(ledger()) == len(SYMBOLS)


def test_again_sends_all_again(run: Run) -> None:
    run()
    assert forecasts(run("--again")) == SYMBOLS
    assert len(ledger()) == 2 * len(SYMBOLS)


def test_a_single_batch_is_always_sent_again(run: Run) -> None:
    for _ in range(2):
        assert forecasts(run(symbols=SYMBOLS[:3])) == SYMBOLS[:3]
    assert len(ledger()) == 6


def answered(
    place: Place, *, name: str = "ohlc/2023-07-21/batch-0001.csv", generation: int = 1, **columns: object
) -> None:
    row = {
        "object": name,
        "generation": str(generation),
        "written_at": datetime(2023, 7, 21, 20, tzinfo=UTC) + timedelta(minutes=generation),
        "symbol": "MSFT",
        "frequency": "1d",
        "status": "forecast",
        "reason": None,
        "origin": "live",
        "simulated": False,
        "rows": 400,
        "rows_new": 400,
    }
    row |= {"received_at": datetime(2023, 7, 21, 21, tzinfo=UTC), "duration_ms": 1.0} | columns
    place.warehouse.append("ingestions", pd.DataFrame([row]), key=f"{name}#{generation}{columns}")


def found(place: Place, *, simulated: bool = False, as_of: date = date(2023, 7, 21)) -> list[Upload]:
    now = datetime(2023, 7, 22, 9, tzinfo=UTC)
    return forecast_before(["AAPL", "MSFT"], as_of, warehouse=place.warehouse, now=now, simulated=simulated)


def test_what_was_forecast_for_the_date_is_found_in_its_newest_file(tmp_path: Path) -> None:
    place = Place(tmp_path)
    for generation in (1, 3, 2):
        answered(place, generation=generation)
    assert found(place) == [Upload("ohlc/2023-07-21/batch-0001.csv", "3", ("MSFT",))]


@pytest.mark.parametrize(
    "columns",
    [
        {"status": "rejected"},
        {"symbol": "META"},
        {"simulated": True},
        {"name": "ohlc/2023-07-20/batch-0001.csv"},
        {"name": "elsewhere.csv"},
        {"received_at": datetime(2023, 7, 21, 19, 59, tzinfo=UTC)},
    ],
    ids=["rejected", "of another symbol", "simulated", "for another date", "oddly named", "before the last close"],
)
def test_only_a_forecast_for_the_date_with_its_last_bar_counts(tmp_path: Path, columns: dict[str, object]) -> None:
    place = Place(tmp_path)
    answered(place, **columns)  # type: ignore[arg-type]
    assert found(place) == []


def test_where_simulated_bars_are_wanted_only_those_count(tmp_path: Path) -> None:
    place = Place(tmp_path)
    answered(place, generation=1, simulated=True)
    answered(place, generation=2)
    assert [upload.generation for upload in found(place, simulated=True)] == ["1"]


def test_an_upload_that_is_not_accounted_for_does_not_sink_the_others(run: Run) -> None:
    run(symbols=SYMBOLS[:3])
    [(name, generation)] = set(zip(ledger()["object"], ledger()["generation"], strict=True))
    there, lost = Upload(name, generation, tuple(SYMBOLS[:3])), Upload("ohlc/2023-07-22/X.csv", "1", ("X",))
    warehouse = engines.warehouse(config.load())
    results, reasons = read_all_results([lost, there], ["S2", "X", "S0", "S1"], warehouse=warehouse)
    assert [made.symbol for made in results.forecasts] == ["S2", "S0", "S1"]
    assert "neither a forecast nor a reason is stored for X" in str(reasons[0])
    answers, lost_again = read_answers([lost, there], ["S2", "X", "S0", "S1"], warehouse=warehouse)
    assert answers == Answers([made.symbol for made in results.forecasts], results.failures, 3)
    assert [str(reason) for reason in lost_again] == [str(reason) for reason in reasons]
    for read in (read_all_results, read_answers):
        with pytest.raises(FunctionUnavailable):
            read([lost], ["X"], warehouse=warehouse)
        nothing, none = read([], ["X"], warehouse=warehouse)
        assert (list(nothing.failures), none) == ([], [])
