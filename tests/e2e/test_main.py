"""The main command as its user runs it: a process, a folder, an exit code and its output."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from pathlib import Path

import pytest
from tests.support.complaints import complaints

from tickercast.backends.object_store.local import LocalObjectStore
from tickercast.backends.warehouse.duckdb import DuckDBWarehouse
from tickercast.config import resource

PROJECT = Path(__file__).parents[2]
SHARED = PROJECT.parent / "shared" / "data" / "yahoo_csv"
STEP_KEYS = {
    *("step", "target_date", "close_median", "close_lo_80", "close_hi_80", "close_lo_95", "close_hi_95"),
    "quantiles",
}
FORECAST_KEYS = {
    "symbol",
    "as_of",
    "cutoff",
    "last_close",
    "model_name",
    "model_version",
    "object",
    "generation",
    "forecast",
}

MakeFolder = Callable[..., Path]
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(workspace: Path) -> Run:
    def call(*words: object, door: Sequence[object] = (PROJECT / "src" / "main.py",), **settings: str) -> object:
        return subprocess.run(
            [sys.executable, *map(str, door), *map(str, words)],
            cwd=workspace,
            env=os.environ | settings,
            capture_output=True,
            text=True,
            timeout=300,
        )

    return call  # type: ignore[return-value]


@pytest.fixture
def warehouse(workspace: Path) -> DuckDBWarehouse:
    return DuckDBWarehouse(workspace / ".tickercast" / "warehouse.duckdb", resource("sql"))


def test_a_ticker_and_a_date_become_a_table(run: Run, price_folder: MakeFolder, warehouse: DuckDBWarehouse) -> None:
    done = run("MSFT", "2023-07-22", "--source", price_folder())
    assert (done.returncode, done.stderr) == (0, "")
    assert "cutoff 2023-07-21" in done.stdout
    assert "2023-07-24" in done.stdout
    assert "2023-08-04" in done.stdout
    assert "model tickercast-lstm version" in done.stdout
    assert "ohlc/2023-07-22/MSFT.csv#" in done.stdout
    assert "\x1b" not in done.stdout
    assert set(warehouse.read("latest_forecasts")["model_name"]) == {"tickercast-lstm", "random-walk"}


def test_json_is_the_contract_and_nothing_else(run: Run, price_folder: MakeFolder) -> None:
    done = run("MSFT", "2023-07-22", "--json", "--source", price_folder())
    [made] = json.loads(done.stdout)
    assert set(made) == FORECAST_KEYS
    assert (made["symbol"], made["as_of"], made["cutoff"]) == ("MSFT", "2023-07-22", "2023-07-21")
    assert [step["step"] for step in made["forecast"]] == list(range(1, 11))
    for step in made["forecast"]:
        assert set(step) == STEP_KEYS
        assert step["close_lo_95"] < step["close_lo_80"] < step["close_median"]
        assert step["close_median"] < step["close_hi_80"] < step["close_hi_95"]
    widths = [step["close_hi_95"] - step["close_lo_95"] for step in made["forecast"]]
    assert widths == sorted(widths)


def test_the_same_command_twice_makes_a_second_vintage_and_doubles_no_row(
    run: Run, price_folder: MakeFolder, warehouse: DuckDBWarehouse
) -> None:
    folder = price_folder()
    first, second = (json.loads(run("MSFT", "2023-07-22", "--json", "--source", folder).stdout)[0] for _ in range(2))
    assert first["generation"] < second["generation"]
    assert first["forecast"] == second["forecast"]
    assert len(warehouse.read("forecasts")) == 40
    for view, key in {
        "latest_prices": ["symbol", "session_date"],
        "latest_forecasts": ["symbol", "model_name", "step"],
        "forecast_history": ["symbol", "model_name", "cutoff", "step"],
        "predicted_prices": ["symbol", "date"],
    }.items():
        assert not warehouse.read(view).duplicated(key).any(), view


def test_eight_symbols_are_one_upload_and_one_event(
    run: Run, price_folder: MakeFolder, warehouse: DuckDBWarehouse, workspace: Path
) -> None:
    symbols = ["AAPL", "GOOG", "IBM", "META", "MMM", "MSFT", "NVDA", "SPY"]
    done = run(*symbols, "2023-07-25", "--json", "--source", price_folder(symbols))
    assert [made["symbol"] for made in json.loads(done.stdout)] == symbols
    assert LocalObjectStore(workspace / ".tickercast" / "bucket").names("ohlc/") == [
        "ohlc/2023-07-25/batch-0001.parquet"
    ]
    ledger = warehouse.read("ingestions")
    assert (len(ledger), ledger["event_id"].nunique()) == (8, 1)


def test_symbols_come_from_a_file_too(run: Run, price_folder: MakeFolder, workspace: Path) -> None:
    (workspace / "watchlist.txt").write_text("# mine\nmsft, META\nMSFT  # again\n")
    done = run("2023-07-22", "--symbols-file", "watchlist.txt", "--json", "--source", price_folder(["MSFT", "META"]))
    assert [made["symbol"] for made in json.loads(done.stdout)] == ["MSFT", "META"]


def test_with_some_symbols_bad_the_others_are_forecast_and_the_exit_code_is_one(
    run: Run, price_folder: MakeFolder
) -> None:
    done = run("MSFT", "BOGUS", "../../etc/passwd", "2023-07-22", "--source", price_folder())
    assert done.returncode == 1
    assert "2023-08-04" in done.stdout
    assert "BOGUS" in done.stderr
    assert "'../../etc/passwd' is not a symbol" in done.stderr
    assert len(done.stderr.splitlines()) == 2


BAD_ARGUMENTS = {
    "no argument": ([], "No ticker was given"),
    "two dates": (["MSFT", "2023-07-21", "2023-07-22"], "2023-07-21 and 2023-07-22 were given"),
    "no date, and old data": (["MSFT"], "Name a date that it has"),
    "no ticker": (["2023-07-22"], "no ticker"),
    "bad date": (["MSFT", "2023-02-30"], "'2023-02-30' is not a date"),
    "future date": (["MSFT", "2999-01-01"], "2999-01-01 is out of range"),
    "date before all markets": (["MSFT", "0001-01-01"], "out of range"),
    "a path": (["../../etc/passwd", "2023-07-22"], "is not a symbol"),
    "SQL": (["'; DROP TABLE prices; --", "2023-07-22"], "is not a symbol"),
    "unknown symbol": (["BOGUS", "2023-07-22"], "BOGUS"),
    "before the data": (["MSFT", "1999-01-04"], "MSFT"),
    "long after the data": (["MSFT", "2024-07-22"], "stale"),
    "unknown source": (["MSFT", "2023-07-22", "--source", "nowhere"], "'nowhere' is neither"),
    "missing file of symbols": (["2023-07-22", "--symbols-file", "none.txt"], "none.txt"),
    "unknown option": (["MSFT", "2023-07-22", "--bogus"], "--bogus"),
}


@pytest.mark.parametrize("case", BAD_ARGUMENTS)
def test_a_bad_argument_ends_in_a_sentence_and_writes_nothing(
    run: Run, price_folder: MakeFolder, case: str, workspace: Path
) -> None:
    words, sentence = BAD_ARGUMENTS[case]
    done = run("--source", price_folder(), *words)
    assert done.returncode == 2
    assert done.stdout == ""
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert LocalObjectStore(workspace / ".tickercast" / "bucket").names("ohlc/") == []


HEADER = "Date,Open,High,Low,Close\n"
ROW = "2023-07-21,10,12,9,11\n"
BAD_FILES = {
    "empty": (b"", "empty"),
    "missing column": (b"Date,Open,High,Low\n2023-07-21,1,1,1\n", "no column Close"),
    "text in a price": (f"{HEADER}2023-07-21,10,12,9,eleven\n".encode(), "'eleven'"),
    "negative price": (f"{HEADER}2023-07-21,10,12,-9,11\n".encode(), "'-9'"),
    "high below low": (f"{HEADER}2023-07-21,10,9,12,11\n".encode(), "low ≤ open, close ≤ high"),
    "two bars of a date": (f"{HEADER}{ROW}2023-07-21,10,12,9,10\n".encode(), "duplicate date"),
    "binary": (bytes(range(256)), "binary"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_bad_file_ends_in_a_sentence_and_writes_nothing(run: Run, case: str, workspace: Path) -> None:
    data, sentence = BAD_FILES[case]
    folder = workspace / "prices"
    folder.mkdir()
    (folder / "MSFT.csv").write_bytes(data)
    done = run("MSFT", "2023-07-22", "--source", folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert sentence in done.stderr
    assert "MSFT" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert LocalObjectStore(workspace / ".tickercast" / "bucket").names("ohlc/") == []


def test_thirty_rows_are_refused_by_the_function_with_its_reason(
    run: Run, price_folder: MakeFolder, warehouse: DuckDBWarehouse
) -> None:
    done = run("MSFT", "2023-07-22", "--source", price_folder(sessions=30))
    assert (done.returncode, done.stdout) == (2, "")
    [row] = warehouse.read("ingestions").to_dict("records")
    assert row["status"] == "rejected"
    assert done.stderr == row["reason"] + "\n"
    assert "30 sessions" in row["reason"]
    assert warehouse.read("prices").empty


def test_unsorted_dates_are_put_in_order(run: Run, price_folder: MakeFolder) -> None:
    folder = price_folder()
    ordered = json.loads(run("MSFT", "2023-07-22", "--json", "--source", folder).stdout)[0]["forecast"]
    header, *rows = (folder / "MSFT.csv").read_text().splitlines()
    (folder / "MSFT.csv").write_text("\n".join([header, *reversed(rows)]))
    assert json.loads(run("MSFT", "2023-07-22", "--json", "--source", folder).stdout)[0]["forecast"] == ordered


def test_simulated_bars_are_marked_wherever_they_show(run: Run, warehouse: DuckDBWarehouse) -> None:
    done = run("MSFT", "2023-07-22", "--source", "simulated")
    assert done.returncode == 0
    assert "SIMULATED" in done.stdout
    [made] = json.loads(run("MSFT", "2023-07-22", "--source", "simulated", "--json").stdout)
    assert made["simulated"] is True
    ledger = warehouse.read("ingestions")
    assert list(ledger["simulated"]) == [True, True]
    assert list(ledger["reason"]) == [None, None]
    assert warehouse.read("forecasts")["simulated"].all()


def test_the_sample_shows_the_closes_that_followed(run: Run) -> None:
    done = run("MSFT", "2012-08-15", "--source", "sample", "--actual")
    assert done.returncode == 0
    assert "actual" in done.stdout
    assert "Of the 10 closes that followed" in done.stdout


def test_a_function_that_is_served_over_http_gives_the_same_forecast(
    run: Run, price_folder: MakeFolder, served_function: str
) -> None:
    folder = price_folder()
    over_http = run("MSFT", "2023-07-22", "--json", "--source", folder, TICKERCAST_FUNCTION_URL=served_function)
    assert complaints(over_http) == []
    in_process = run("MSFT", "2023-07-22", "--json", "--source", folder)
    assert json.loads(over_http.stdout)[0]["forecast"] == json.loads(in_process.stdout)[0]["forecast"]


def wait_for(port: int) -> None:
    for _ in range(300):
        with contextlib.suppress(OSError), socket.create_connection(("localhost", port), timeout=1):
            return
        time.sleep(0.1)
    raise AssertionError(f"nothing listens on {port}")


@pytest.fixture
def served_function(workspace: Path) -> Iterator[str]:
    port = 18080 + os.getpid() % 2000
    server = subprocess.Popen(
        [
            *(Path(sys.executable).parent / "functions-framework", "--source", PROJECT / "cloud_function" / "main.py"),
            *("--target", "forecast", "--signature-type", "cloudevent", "--host", "localhost", "--port", str(port)),
        ],
        cwd=workspace,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(port)
        yield f"http://localhost:{port}"
    finally:
        server.terminate()
        server.wait(timeout=30)


def test_an_absent_function_is_a_sentence(run: Run, price_folder: MakeFolder) -> None:
    done = run("MSFT", "2023-07-22", "--source", price_folder(), TICKERCAST_FUNCTION_URL="http://localhost:9")
    assert done.returncode == 2
    assert "No function answers at http://localhost:9" in done.stderr


def test_a_damaged_champion_is_a_sentence_and_nothing_is_stored(
    run: Run, price_folder: MakeFolder, workspace: Path, warehouse: DuckDBWarehouse
) -> None:
    folder = price_folder()
    run("MSFT", "2023-07-22", "--source", folder)
    bucket = workspace / ".tickercast" / "bucket"
    [damaged] = (bucket / ".generations/models/tickercast-lstm/1/model.onnx").glob("*[0-9]")
    damaged.write_bytes(damaged.read_bytes()[:-1])
    done = run("MSFT", "2023-07-22", "--source", folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert "sha256" in done.stderr
    assert "Traceback" not in done.stderr
    assert len(warehouse.read("forecasts")) == 20


def test_the_installed_command_and_the_door_are_one(run: Run, price_folder: MakeFolder) -> None:
    door = ("-m", "tickercast")
    done = run("forecast", "MSFT", "2023-07-22", "--json", "--source", price_folder(), door=door)
    assert json.loads(done.stdout)[0]["cutoff"] == "2023-07-21"


def test_doctor_names_every_engine_and_whether_it_answers(run: Run) -> None:
    done = run("doctor", door=("-m", "tickercast"), TICKERCAST_SOURCE="sample")
    assert done.returncode == 0, done.stdout + done.stderr
    for part in ("object store", "warehouse", "champion", "market data", "function", "model registry"):
        assert part in done.stdout


def test_an_unknown_setting_is_refused(run: Run) -> None:
    done = run("MSFT", "2023-07-22", TICKERCAST_BUKET="file://x")
    assert done.returncode == 2
    assert "did you mean TICKERCAST_BUCKET" in done.stderr


@pytest.mark.skipif(not SHARED.exists(), reason="the shared market data is not beside this checkout")
@pytest.mark.parametrize(
    ("symbol", "cutoff", "last_close", "first", "last"),
    [
        ("MSFT", "2023-07-21", 343.77, "2023-07-24", "2023-08-04"),
        ("ETH-USD", "2023-07-22", None, "2023-07-23", "2023-08-01"),
    ],
)
def test_real_bars_give_the_expected_origin_and_targets(
    run: Run, symbol: str, cutoff: str, last_close: float | None, first: str, last: str
) -> None:
    [made] = json.loads(run(symbol, "2023-07-22", "--json", "--source", SHARED).stdout)
    assert made["cutoff"] == cutoff
    assert last_close is None or round(made["last_close"], 2) == last_close
    dates = [step["target_date"] for step in made["forecast"]]
    assert (dates[0], dates[-1]) == (first, last)
    assert dates == sorted(dates)
    assert all(date.fromisoformat(day) for day in dates)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"TICKERCAST_BUCKET": "ftp://somewhere"}, "TICKERCAST_BUCKET is 'ftp://somewhere': no engine is known"),
        ({"TICKERCAST_WAREHOUSE": "duckdb://in-the-way/w.duckdb"}, "cannot be used"),
        ({"TICKERCAST_BUCKET": f"file://{'x' * 300}"}, "cannot be used"),
        ({"TICKERCAST_SOURCE": "x" * 300}, "is neither yahoo"),
    ],
)
def test_a_setting_that_cannot_work_is_one_sentence(
    run: Run, workspace: Path, settings: dict[str, str], sentence: str
) -> None:
    (workspace / "in-the-way").write_text("a file")
    done = run("MSFT", "2012-08-15", **({"TICKERCAST_SOURCE": "sample"} | settings))
    assert (done.returncode, done.stdout) == (2, "")
    assert sentence in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_doctor_says_no_where_an_engine_cannot_answer(run: Run, workspace: Path) -> None:
    (workspace / "empty").mkdir()
    broken = {"TICKERCAST_BUCKET": "ftp://somewhere", "TICKERCAST_SOURCE": "empty", "MLFLOW_TRACKING_URI": "junk://x"}
    done = run("doctor", door=("-m", "tickercast"), **broken)
    assert (done.returncode, complaints(done)) == (1, [])
    assert done.stdout.count(" NO ") == 6  # the warehouse, alerts and calendars need none of these


def test_a_terminal_that_knows_only_ascii_gets_the_table_all_the_same(run: Run) -> None:
    done = run("MSFT", "2012-08-15", "--source", "sample", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert "2012-08-29" in done.stdout


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_output_that_cannot_be_written_is_a_sentence(workspace: Path) -> None:
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, str(PROJECT / "src" / "main.py"), "MSFT", "2012-08-15", "--source", "sample"]
        done = subprocess.run(command, cwd=workspace, stdout=full, stderr=subprocess.PIPE, text=True, timeout=300)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert "should not have" not in done.stderr


def test_nothing_is_queued_for_telemetry(run: Run, workspace: Path) -> None:
    assert run("MSFT", "2012-08-15", "--source", "sample", HOME=str(workspace / "home")).returncode == 0
    left = [path.name for path in (workspace / "home").rglob("*") if path.is_file()]
    assert not [name for name in left if "onnxruntime" in name or "deviceid" in name]


def test_the_version_is_printed(run: Run) -> None:
    assert run("--version", door=("-m", "tickercast")).stdout.startswith("tickercast 0.")


def test_the_warehouse_is_queried_in_one_dialect_provisioned_and_compacted(run: Run) -> None:
    door = ("-m", "tickercast")
    missing = run("sql", "diff", door=door)
    assert missing.returncode == 1
    assert "missing  indicators" in missing.stdout
    assert "applied: " in run("sql", "apply", door=door).stdout
    assert run("sql", "diff", door=door).returncode == 0
    assert run("sql", "show", "coverage", door=door).stdout == (resource("sql") / "views" / "coverage.sql").read_text()

    run("MSFT", "2012-08-15", "--source", "sample")
    run("MSFT", "2012-09-14", "--source", "sample")
    question = "SELECT model_name, COUNT(*) AS n FROM forecast_scores GROUP BY model_name ORDER BY model_name"
    assert json.loads(run("query", question, "--json", door=door).stdout) == [
        {"model_name": "random-walk", "n": 10},
        {"model_name": "tickercast-lstm", "n": 10},
    ]
    assert run("query", question, "--csv", door=door).stdout == "model_name,n\nrandom-walk,10\ntickercast-lstm,10\n"
    assert "2 rows" in run("query", question, door=door).stdout
    assert "0 rows of prices, 0 rows of scores dropped" in run("compact", door=door).stdout

    wrong = run("query", "DROP TABLE prices", door=door)
    assert wrong.returncode == 2
    assert "is not one query" in wrong.stderr
    assert "Did you mean coverage?" in run("sql", "show", "coverag", door=door).stderr
