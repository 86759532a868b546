"""The first look on the command line: several symbols, the overview, the watchlist, exports and completion."""

import csv
import json
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from tickercast import cli
from tickercast.app import App
from tickercast.backends.object_store.local import LocalObjectStore
from tickercast.cli import completion
from tickercast.cli.terminal import day_of
from tickercast.config import Settings
from tickercast.domain.watchlist import symbols_in
from tickercast.errors import UsageError
from tickercast.reading.overview import TITLES

SYMBOLS = ["AAPL", "GOOG", "IBM", "MSFT"]
Command = Callable[..., Result]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with forecasts of four symbols."""
    folder = tmp_path_factory.mktemp("home")
    App(Settings(home=str(folder), source="sample")).forecast(SYMBOLS, "2012-08-15")
    return folder


@pytest.fixture
def command(home: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run a command in another folder than the home."""
    monkeypatch.setenv("TICKERCAST_HOME", str(home))
    monkeypatch.setenv("TICKERCAST_SOURCE", "sample")

    def run(*words: str, code: int = 0) -> Result:
        done = CliRunner().invoke(cli.app, list(words))
        said = f"{done.stdout}{done.stderr}{done.exception if code == 0 else ''}"
        assert done.exit_code == code, said
        return done

    return run


# ---------------------------------------------------------------- several symbols


def test_several_symbols_are_one_row_each_also_with_commas(command: Command, home: Path) -> None:
    shown = command("forecast", "MSFT,AAPL", "2012-08-15").stdout
    assert [line.split()[0] for line in shown.splitlines() if " 2012-08-15 " in line] == ["MSFT", "AAPL"]
    assert "2012-08-16" not in shown
    assert f"duckdb://{home}/warehouse.duckdb" in shown
    full = command("forecast", "MSFT,AAPL", "2012-08-15", "--full").stdout
    assert full.count("2012-08-16") == 2
    assert full.index("80% range") < full.index("2012-08-16")


def test_what_followed_several_symbols_is_a_sentence_each(command: Command) -> None:
    shown = command("forecast", "MSFT", "AAPL", "2012-08-15", "--actual").stdout
    assert "MSFT  Of the 10 closes that followed, 8 (80%) were inside the 80% interval" in shown
    assert "AAPL  Of the 10 closes that followed" in shown
    assert shown.count("The model was trained on dates up to 2018-12-31") == 1


def test_an_expired_forecast_says_so_unless_what_followed_is_shown(command: Command) -> None:
    assert (
        "sessions have closed since 2012-08-15: this forecast has expired."
        in command("forecast", "MSFT", "2012-08-15").stdout
    )
    assert "has expired" not in command("forecast", "MSFT", "2012-08-15", "--actual").stdout


def test_without_a_date_it_is_the_last_closed_session(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[date] = []
    monkeypatch.setattr(App, "forecast", lambda _, symbols, as_of, **__: asked.append(as_of) or 1 / 0)
    for words in (["MSFT"], ["MSFT", "today"], ["TODAY", "MSFT"]):
        command("forecast", *words, code=1)
    now = datetime.now(UTC)
    assert asked[0] <= now.date()
    assert asked[0].weekday() < 5
    assert (now.date() - asked[0]).days <= 5
    assert asked[1:] == [now.date()] * 2


@pytest.mark.parametrize("zone", ["Etc/GMT-14", "Etc/GMT+12"])  # one of them has another date than UTC, at any time
def test_today_is_that_of_utc_whatever_the_clock_of_the_machine_says(
    zone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        now = datetime.now(UTC).date()
        assert (day_of("today"), day_of(str(now))) == (now, now)
        with pytest.raises(UsageError, match=f"up to today, {now} in UTC, was needed"):
            day_of(str(now + timedelta(days=1)))
    finally:
        monkeypatch.undo()
        time.tzset()


def test_json_has_the_closes_that_followed(command: Command, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TICKERCAST_HOME", str(workspace))
    [made] = json.loads(command("forecast", "MSFT", "2012-08-15", "--json", "--actual").stdout)
    assert [step["close_actual"] for step in made["forecast"]][:3] == [30.78, 30.9, 30.74]
    [newest] = json.loads(command("forecast", "MSFT", "2013-02-28", "--json", "--actual").stdout)
    assert [step["close_actual"] for step in newest["forecast"]] == [27.95, *[None] * 9]
    [plain] = json.loads(command("forecast", "MSFT", "2012-08-15", "--json").stdout)
    assert "close_actual" not in plain["forecast"][0]


# ---------------------------------------------------------------- overview


def test_the_overview_is_a_table_csv_and_json_of_the_same_rows(command: Command, home: Path) -> None:
    rows = App(Settings(home=str(home))).overview(SYMBOLS, "2012-08-15")
    table = command("overview", *SYMBOLS, "--as-of", "2012-08-15").stdout
    assert "The record is that of today: closes that came true after 2012-08-15 count in it." in table
    listed = list(csv.DictReader(command("overview", "--csv", "--as-of", "2012-08-15").stdout.splitlines()))
    full = json.loads(command("overview", "--json", "--as-of", "2012-08-15").stdout)
    assert [row["symbol"] for row in listed] == [row["symbol"] for row in full] == SYMBOLS
    for row, line, values in zip(rows, listed, full, strict=True):
        assert float(line["close_hi_80"]) == values["close_hi_80"] == row.close_hi_80
        assert values["widths"] == list(row.widths)
        [shown] = [text for text in table.splitlines() if text.startswith(f" {row.symbol} ")]
        assert f"{row.close_lo_80:,.2f} … {row.close_hi_80:,.2f}" in shown
        assert f" {row.chance_higher:.0%} " in shown
        assert f" {row.width_rank:.0%} " in shown
        assert "expired" in shown


def test_the_overview_sorts_and_filters(command: Command) -> None:
    def order(*words: str) -> list[str]:
        lines = command("overview", "--csv", "--as-of", "2012-08-15", *words).stdout.splitlines()
        return [row["symbol"] for row in csv.DictReader(lines)]

    assert order("--sort", "last_close") == order("--sort", "close") == ["MSFT", "IBM", "AAPL", "GOOG"]
    assert order("--sort", "-±") == order("--sort", "-80% range") == ["MSFT", "AAPL", "GOOG", "IBM"]
    for title in TITLES:
        assert sorted(order("--sort", title)) == ["AAPL", "GOOG", "IBM", "MSFT"]
    assert order("--sort", "-last_close", "AAPL,MSFT") == ["AAPL", "MSFT"]
    assert order("--state", "fresh") == []
    assert order("--state", "expired") == SYMBOLS
    assert "None of 4 is fresh." in command("overview", "--state", "fresh", "--as-of", "2012-08-15").stdout


def test_the_overview_names_the_symbols_that_it_leaves_out(
    command: Command, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TICKERCAST_HOME", str(workspace))
    command("forecast", "MSFT", "AAPL", "2012-04-02")
    assert "left out" not in command("overview").output
    command("forecast", "IBM", "2012-08-15")
    said = "2 symbols without a forecast of the 100 days up to the newest are left out: AAPL, MSFT."
    done = command("overview")
    assert f"{said} Name them to see them." in done.stdout
    assert " MSFT " not in done.stdout
    done = command("overview", "--csv")
    assert said in done.stderr
    assert [row["symbol"] for row in csv.DictReader(done.stdout.splitlines())] == ["IBM"]
    assert "left out" not in command("overview", "IBM").output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--sort", "last_clsoe"], "no column 'last_clsoe' to sort by. Did you mean last_close?"),
        (["--sort", "higer"], "no column 'higer' to sort by. Did you mean higher?"),
        (["--sort", "x"], "It has symbol, cutoff, close, day, 80% range, ±, higher, width in its year, held 80%"),
        (["--state", "old"], "--state 'old' is not known: fresh, due, stale, expired are"),
        (["--json", "--csv"], "--json and --csv were given"),
    ],
)
def test_a_wrong_word_ends_in_a_sentence(command: Command, words: list[str], said: str) -> None:
    assert said in str(command("overview", *words, code=1).exception)


def test_symbols_without_a_forecast_are_named(command: Command) -> None:
    done = command("overview", "MSFT", "NVDA", code=1)
    assert "MSFT" in done.stdout
    assert "No forecast of days is stored of NVDA. Run: tickercast forecast NVDA DATE." in done.stderr
    done = command("overview", "IBM", "--as-of", "2000-01-01", code=1)
    assert "No forecast of the 100 days up to 2000-01-01 is stored of IBM" in done.stderr
    assert "Nothing is forecast yet" not in done.output
    assert "Nothing is forecast yet" not in command("overview", "NOPE", code=1).output
    done = command("overview", "--as-of", "2000-01-01")
    assert "No forecast of the 100 days up to 2000-01-01 is stored. Name a later date" in done.output


def test_a_named_symbol_is_shown_however_old_its_forecast_is(
    command: Command, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TICKERCAST_HOME", str(workspace))
    command("forecast", "IBM", "2011-08-15")
    command("forecast", "MSFT", "2012-08-15")
    assert "2011-08-15" not in command("overview").stdout
    assert "2011-08-15" in command("overview", "--csv", "IBM").stdout


# ---------------------------------------------------------------- home


def test_an_unused_home_is_named_and_neither_used_nor_ignored(
    command: Command, workspace: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert command("overview", "MSFT").stderr == ""
    (workspace / ".tickercast").mkdir()
    assert command("overview", "MSFT").stderr == (
        f"{workspace}/.tickercast is not used, since the home is {home}: "
        f"TICKERCAST_HOME={workspace}/.tickercast would use it.\n"
    )
    monkeypatch.delenv("TICKERCAST_HOME")
    (workspace / "below").mkdir()
    monkeypatch.chdir(workspace / "below")
    assert f"{workspace}/.tickercast is not used" in command("watchlist", "list", code=1).stderr


# ---------------------------------------------------------------- watchlist


def test_the_watchlist_is_kept_with_its_comments(
    command: Command, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = workspace / "mine.txt"
    path.write_text("# core\nMSFT, AAPL  # two of them\nBRK-B")
    path.chmod(0o640)
    monkeypatch.setenv("TICKERCAST_WATCHLIST", str(path))
    said = command("watchlist", "add", "nvda,msft", "ETH-USD").stdout
    assert said == f"{path}: 2 added, 1 were there, 5 in all\n"
    assert path.read_text() == "# core\nMSFT, AAPL  # two of them\nBRK-B\nNVDA\nETH-USD\n"
    assert command("watchlist", "list").stdout.split() == ["MSFT", "AAPL", "BRK-B", "NVDA", "ETH-USD"]
    done = command("watchlist", "remove", "aapl", "NVDA", "TSLA", code=1)
    assert "TSLA is not in" in done.stderr
    assert path.read_text() == "# core\nMSFT  # two of them\nBRK-B\nETH-USD\n"
    assert path.stat().st_mode & 0o777 == 0o640
    assert [entry.name for entry in workspace.iterdir()] == ["mine.txt"]


def test_the_first_symbol_makes_the_list_of_the_home_which_the_day_reads(
    workspace: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TICKERCAST_HOME", str(workspace / "new"))
    assert "has no symbols yet" in command("watchlist", "list", code=1).stderr
    command("watchlist", "add", "MSFT")
    assert (workspace / "new" / "watchlist.txt").read_text() == "MSFT\n"
    assert App().watchlist() == ["MSFT"]


def test_a_csv_file_is_imported_by_its_column(
    workspace: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TICKERCAST_WATCHLIST", str(workspace / "mine.txt"))
    (workspace / "holdings.csv").write_text('Name;Ticker;Shares\n"Apple; Inc.";aapl;3\nMicrosoft Corp;MSFT;5\n')
    assert "2 added, 2 in all" in command("watchlist", "import", "holdings.csv").stdout
    assert "0 added, 2 were there" in command("watchlist", "import", "holdings.csv").stdout
    assert (workspace / "mine.txt").read_text() == "AAPL\nMSFT\n"
    shown = command("overview", "--symbols-file", "holdings.csv").stdout
    assert "MSFT" in shown
    monkeypatch.setenv("TICKERCAST_WATCHLIST", str(workspace / "holdings.csv"))
    assert "a list of symbols was needed to change it" in str(command("watchlist", "add", "IBM", code=1).exception)


def test_commands_at_once_lose_nothing(workspace: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TICKERCAST_WATCHLIST", str(workspace / "mine.txt"))
    kept = App().watchlist_file
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda number: kept.add([f"S{number}"]), range(24))) == [[f"S{n}"] for n in range(24)]
    assert sorted(kept.symbols()) == sorted(f"S{number}" for number in range(24))


def test_a_watchlist_in_the_bucket_is_kept_there(
    workspace: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = workspace / "bucket"
    monkeypatch.setenv("TICKERCAST_BUCKET", f"file://{bucket}")
    monkeypatch.setenv("TICKERCAST_WATCHLIST", f"file://{bucket}/watchlist.txt")
    command("watchlist", "add", "MSFT")
    command("watchlist", "add", "AAPL")
    assert LocalObjectStore(bucket).read("watchlist.txt") == b"MSFT\nAAPL\n"


def test_what_is_no_symbol_changes_nothing(workspace: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TICKERCAST_WATCHLIST", str(workspace / "mine.txt"))
    assert "'../x' is not a symbol" in str(command("watchlist", "add", "MSFT", "../x", code=1).exception)
    assert not (workspace / "mine.txt").exists()


@pytest.mark.parametrize(
    ("text", "symbols"),
    [
        ("symbol\nMSFT\n", ["MSFT"]),
        ("Symbols,Name\nMSFT,Microsoft Corp\n,empty\nBRK-B\n", ["MSFT", "BRK-B"]),
        ("# from the broker\nticker\tshares\nMSFT\t1\n", ["MSFT"]),
        ("MSFT AAPL\nMSFT # again\n", ["MSFT", "AAPL"]),
        ("", []),
    ],
)
def test_lists_and_tables_are_told_apart(text: str, symbols: list[str]) -> None:
    assert symbols_in(text) == symbols


# ---------------------------------------------------------------- export


@pytest.mark.parametrize(
    ("kind", "dates", "view"),
    [("forecasts", "cutoff", "forecast_history"), ("prices", "session_date", "latest_prices")],
)
def test_rows_of_a_range_are_written_to_parquet(
    command: Command, home: Path, workspace: Path, kind: str, dates: str, view: str
) -> None:
    first = "2012-08-13"
    said = command(
        "export", kind, "--parquet", "rows.parquet", "--from", first, "--to", "2012-08-15", "--symbol", "MSFT,IBM"
    ).stdout
    written = pq.read_table(workspace / "rows.parquet")
    stored = App(Settings(home=str(home))).tables.read(view, {"symbol": ["MSFT", "IBM"], "frequency": "1d"})
    stored = stored[stored[dates].between(first, "2012-08-15")]
    assert written.num_rows == len(stored) > 0
    assert written.column_names == list(stored.columns)
    assert set(written["symbol"].to_pylist()) == {"IBM", "MSFT"}
    assert said == f"written: {workspace}/rows.parquet, {len(stored)} rows of {view}\n"
    assert [entry.name for entry in workspace.iterdir()] == ["rows.parquet"]


def test_an_export_without_rows_has_the_columns(command: Command, workspace: Path) -> None:
    done = command("export", "scores", "--parquet", "s.parquet", "--to", "2000-01-01")
    assert "0 rows of forecast_scores" in done.stdout
    assert "close_median" in pq.read_table(workspace / "s.parquet").column_names


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["bars", "--parquet", "x.parquet"], "'bars' cannot be exported: forecasts, prices, scores can"),
        (
            ["prices", "--parquet", "no/x.parquet"],
            "--parquet no/x.parquet: there is no folder no. Create it, or name another",
        ),
        (
            ["prices", "--parquet", "x.csv"],
            "--parquet 'x.csv' does not end in .parquet or .pq, which is what is written",
        ),
        (["prices", "--parquet", "x.parquet", "--symbol", "MSFT,NOPE"], "latest_prices has no such rows of NOPE"),
        (["prices", "--parquet", "."], "exists and is not a file"),
        (["prices", "--parquet", "x.parquet", "--from", "2012-01-02", "--to", "2012-01-01"], "is after the last"),
    ],
)
def test_what_cannot_be_exported_is_a_sentence_and_leaves_nothing(
    command: Command, workspace: Path, words: list[str], said: str
) -> None:
    assert said in str(command("export", *words, code=1).exception)
    assert not list(workspace.iterdir())


# ---------------------------------------------------------------- completion and help


def test_a_shell_completes_what_is_there(
    command: Command, home: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (workspace / "prices").mkdir()
    (workspace / "mine.txt").write_text("NVDA\n")
    monkeypatch.setenv("TICKERCAST_WATCHLIST", "mine.txt")
    assert completion.symbols("") == [*SYMBOLS, "NVDA"]
    assert completion.symbols("m") == ["MSFT"]
    assert completion.symbols("IBM,n") == ["IBM,NVDA"]
    assert completion.watched("") == ["NVDA"]
    assert completion.sources("s") == ["sample", "simulated"]
    assert completion.sources("pr") == ["prices/"]
    assert completion.views("forecast_s") == ["forecast_scores", "forecast_skill"]
    assert completion.peers("auto-a") == ["auto-arima"]
    assert "champion" in completion.models("")
    assert completion.overview_columns("-last") == ["-last_close"]
    assert completion.states("ex") == ["expired"]
    assert completion.exported("p") == ["prices"]


def test_completion_is_silent_where_nothing_can_be_read(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert completion.symbols("") == []
    monkeypatch.setenv("TICKERCAST_WATCHLIST", "none.txt")
    assert completion.watched("") == []
    assert completion.sources("no/such/") == []
    monkeypatch.setenv("TICKERCAST_BUKET", "x")
    assert completion.symbols("") == []


def test_bash_is_told_the_symbols(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_TICKERCAST_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "tickercast overview G")
    monkeypatch.setenv("COMP_CWORD", "2")
    done = CliRunner().invoke(cli.app, [], prog_name="tickercast")
    assert done.stdout.split() == ["GOOG"]


def test_the_help_groups_every_command_on_a_line_of_its_own() -> None:
    done = CliRunner().invoke(cli.app, ["-h"])
    listed = [name for names in cli.SECTIONS.values() for name in names.split()]
    commands = typer.main.get_command(cli.app)
    assert sorted(listed) == sorted(commands.commands)  # type: ignore[attr-defined]
    lines = done.stdout[done.stdout.index("Forecasts:") :].splitlines()
    assert "..." not in "".join(lines)
    assert len([line for line in lines if line.startswith("  ")]) == len(listed) + 1  # and the example
    assert max(map(len, lines)) <= 80
    for name in listed:
        assert CliRunner().invoke(cli.app, [name, "-h"]).exit_code == 0


# ---------------------------------------------------------------- a new user


def test_eight_symbols_from_nothing_are_fresh_with_one_command(workspace: Path) -> None:
    symbols = ["AAPL", "AMZN", "GOOG", "META", "MSFT", "NVDA", "TSLA", "ETH-USD"]
    done = CliRunner().invoke(cli.app, ["forecast", ",".join(symbols), "--source", "simulated"])
    assert done.exit_code == 0, done.output
    rows = {line.split()[0]: line.split()[-1] for line in done.stdout.splitlines() if " … " in line}
    assert list(rows) == symbols
    assert set(rows.values()) <= {"fresh", "due"}
    again = CliRunner().invoke(cli.app, ["overview", "--csv"]).stdout
    assert [row["symbol"] for row in csv.DictReader(again.splitlines())] == sorted(symbols)
    assert (workspace / ".tickercast" / "warehouse.duckdb").exists()


def test_the_help_needs_no_library_of_numbers() -> None:
    script = (
        "import sys; from typer.testing import CliRunner; from tickercast import cli;"
        "assert 'overview' in CliRunner().invoke(cli.app, ['-h']).stdout;"
        "print({'pandas', 'numpy', 'pyarrow', 'duckdb'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
