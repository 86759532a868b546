"""The command backtest for daily bars: what it was made of, who was left out, and forecasts on Dask."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from click.testing import Result
from tests.support.trading import shipped_bundle
from typer.testing import CliRunner

from tickercast.app import App
from tickercast.cli import app
from tickercast.domain.bars import Bars
from tickercast.domain.cards.model_card import MODEL
from tickercast.domain.files.price_files import to_csv
from tickercast.errors import TickercastError
from tickercast.model_store import files
from tickercast.models.onnx import OnnxModel

WORDS = ("backtest", "--source", "sample", "--from", "2011-01-01", "--to", "2012-06-28", "--model", "ewma-t")


def run(*more: str) -> Result:
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, [*WORDS, *more])


@pytest.fixture
def symbols(workspace: Path) -> Path:
    (workspace / "symbols.txt").write_text("AAPL MSFT FB NOPE\n")
    return workspace / "symbols.txt"


def test_symbols_dates_versions_and_everybody_left_out_are_printed_with_the_reason(symbols: Path) -> None:
    done = run("--symbols-file", "symbols.txt", "--json", "out.json", "--chart", "out.png", "--every", "20")
    assert done.exit_code == 0, done.output
    report = json.loads(Path("out.json").read_text())
    first, last, count = report["first_cutoff"], report["last_cutoff"], f"{report['overall']['n']:.0f}"
    assert f"ewma-t version 1, {count} origins of 2 symbols, {first} to {last}" in done.stdout
    assert "symbols   AAPL, MSFT" in done.stdout
    assert "versions  ewma-t 1, ewma-fhs 1, historical-simulation 1, random-walk 1" in done.stdout
    assert "left out  2" in done.stdout
    assert "The sample does not hold NOPE" in done.stdout
    said = (
        "No origin lies from 2011-01-01 to 2012-06-28: FB has 29 sessions up to the last of these dates, and 251 were"
    )
    assert said in " ".join(done.stdout.split())
    assert report["symbols"] == ["AAPL", "MSFT"]
    assert report["versions"]["ewma-fhs"] == "1"
    assert set(report["left_out"]) == {"FB", "NOPE"}


@pytest.mark.parametrize("words", [("--windows", "3"), ("--check-leaks",)])
def test_what_was_left_out_of_the_bars_is_said(workspace: Path, words: tuple[str, ...]) -> None:
    day = date(2012, 2, 1)
    fetched = App().market_data("sample").fetch(["AAPL", "MSFT"], date(2010, 1, 4), day, advance=lambda _: None)
    lost = fetched["AAPL"].frame
    lost.loc[40, ["open", "high", "low", "close", "adj_close"]] = -37.0
    (workspace / "odd.csv").write_bytes(to_csv([Bars("AAPL", lost), fetched["MSFT"]]))
    done = run("--source", "odd.csv", "--to", "2011-06-28", *words)
    assert done.exit_code == 0, done.output
    assert done.stderr.count("AAPL: left out: 1 zero or impossible bar(s) (2010-03-03).") == 1
    assert "MSFT: " not in done.stderr


def test_results_windows_are_further_rows(symbols: Path) -> None:
    Path("mine.csv").write_text("symbol,date\n" + "".join(f"AAPL,2011-{month:02d}-19\n" for month in (1, 4, 7, 10)))
    done = run("--symbols-file", "symbols.txt", "--events", "mine.csv")
    assert done.exit_code == 0, done.output
    assert "results inside" in done.stdout
    assert "results outside" in done.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--from", "2012-06-30", "--to", "2012-06-01"), "2012-06-30, is after the last, 2012-06-01. Swap them."),
        (
            ("--from", "2014-01-01", "--to", "2014-06-01"),
            "to 2014-06-01 in sample: MSFT ends on 2013-03-01. Name other",
        ),
        (("--from", "2012-06-02", "--to", "2012-06-03"), "in sample: MSFT has no session on these dates. Name other"),
        (("--from", "2013-02-25", "--to", "2013-02-28"), "MSFT has 4 sessions after 2013-02-25, and 10 were needed."),
        (("--check-leaks", "--from", "2012-06-02", "--to", "2012-06-03"), "MSFT has no session on these dates. Name"),
        (("--events", "sec"), "a CSV file or stored was needed"),
        (("--events", "other.csv"), "other.csv has no results day of the 1 symbol(s)"),
        (("--check-leaks", "--json", "out.json"), "leave out --windows, --dask, --json and --chart"),
        (("--check-leaks", "--chart", "out.png"), "leave out --windows, --dask, --json and --chart"),
        (("--check-leaks", "--windows", "3"), "leave out --windows, --dask, --json and --chart"),
        (("--check-leaks", "--dask", "2"), "leave out --windows, --dask, --json and --chart"),
        (("--check-leaks", "--every", "10"), "and --every but for --every 1h"),
        (("--check-leaks", "--every", "6h"), "and --every but for --every 1h"),
        (("--check-leaks", "--every", "1h", "--events", "other.csv"), "--dask and --events are for daily bars"),
        (("--check-leaks", "--events", "nope.csv"), "nope.csv"),
        (("--check-leaks", "--events", "other.csv"), "other.csv has no results day of the 1 symbol(s)"),
        (("--check-leaks", "--to", "2010-12-31"), "2011-01-01, is after the last, 2010-12-31. Swap them."),
    ],
)
def test_what_cannot_be_evaluated_is_refused_in_a_sentence(workspace: Path, words: tuple[str, ...], said: str) -> None:
    (workspace / "symbols.txt").write_text("MSFT\n")
    (workspace / "other.csv").write_text("symbol,date\nAAPL,2011-07-19\n")
    done = run("--symbols-file", "symbols.txt", *words)
    assert said in str(done.exception)


def write_version_2(folder: Path, calibration: float) -> Path:
    """Write a second version of the champion, whose intervals are wider, and return the folder of its bundle."""
    bundle = shipped_bundle()
    card = bundle.card.model_copy(update={"version": "2", "calibration": calibration})
    for name, content in files(replace(bundle, card=card)).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder / "models" / MODEL / "2"


@pytest.mark.parametrize("words", [(), ("--check-leaks",)])
def test_where_no_symbol_can_be_read_the_reason_of_the_first_is_given(workspace: Path, words: tuple[str, ...]) -> None:
    (workspace / "symbols.txt").write_text("NOPE\n")
    done = run("--symbols-file", "symbols.txt", *words)
    assert done.exit_code != 0
    assert "The sample does not hold NOPE: it has AAPL, " in str(done.exception or done.output)


def test_a_second_version_is_compared_with_the_first(symbols: Path) -> None:
    from matplotlib.axes import Axes

    second, drawn = write_version_2(Path(), 2.5), list[str]()
    original = Axes.plot
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(
            Axes, "plot", lambda *given, **how: (drawn.append(how.get("label", "")), original(*given, **how))
        )
        words = ("--symbols-file", "symbols.txt", "--every", "20", "--json", "out.json", "--chart", "out.png")
        done = CliRunner(env={"COLUMNS": "200"}).invoke(
            app, [*WORDS[:-1], "champion", "--model", "champion", "--model", str(second), *words]
        )
    assert done.exit_code == 0, done.output
    report = json.loads(Path("out.json").read_text())
    label = f"{MODEL} 2"
    assert report["model"] == MODEL
    assert list(report["ratios"])[-1] == label
    assert report["ratios"][label]["sp"][0] < 1
    assert (report["versions"][MODEL], report["versions"][label]) == ("1", "2")
    assert "sp_vs_tickercast_lstm_2" in report["by_class"]["stock"]
    assert f"against {label}" in drawn
    assert f"versions  {MODEL} 1, ewma-t 1" in done.stdout
    assert f"random-walk 1, {label}\n" in done.stdout


def test_two_that_differ_under_one_version_are_refused(symbols: Path) -> None:
    pair = [str(write_version_2(Path(name), width)) for name, width in (("one", 2.5), ("other", 2.6))]
    done = run("--symbols-file", "symbols.txt", "--model", pair[0], "--model", pair[1])
    assert f"Two models are {MODEL} version 2, and they differ" in str(done.exception)


def test_leaks_are_looked_for_with_results_days_and_say_who_is_left_out(
    symbols: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("mine.csv").write_text("symbol,date,session,known_at\nAAPL,2011-07-19,after,2011-07-01\n")
    told: list[set[str]] = []
    original = OnnxModel.informed
    monkeypatch.setattr(
        OnnxModel, "informed", lambda self, days, widths=None: (told.append(set(days)), original(self, days, widths))[1]
    )
    words = ("--symbols-file", "symbols.txt", "--events", "mine.csv", "--check-leaks", "--model", "champion")
    done = run(*words, "--to", "2011-08-28")
    assert done.exit_code == 0, done.output
    assert "tickercast-lstm: 0\n" in done.stdout
    assert told
    assert all(days == {"AAPL"} for days in told)
    assert "The sample does not hold NOPE" in done.stderr


def test_a_folder_that_is_missing_is_made(symbols: Path) -> None:
    words = ("--symbols-file", "symbols.txt", "--every", "40")
    done = run(*words, "--json", "made/of/out.json", "--chart", "other/out.png")
    assert done.exit_code == 0, done.output
    assert json.loads(Path("made/of/out.json").read_text())["model"] == "ewma-t"
    assert Path("other/out.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--json", "file/out.json"), "file/out.json cannot be used"),
        (("--json", "/proc/x.json"), "--json /proc/x.json cannot be used: "),
        (("--chart", "c.pdf"), "--chart 'c.pdf' does not end in .png, which is what is written. Name it NAME.png."),
        (("--chart", "c"), "--chart 'c' does not end in .png"),
    ],
)
def test_a_file_that_cannot_be_written_is_refused_before_the_forecasts(
    symbols: Path, words: tuple[str, ...], said: str
) -> None:
    Path("file").write_text("")
    before = sorted(Path.cwd().iterdir())
    done = run("--symbols-file", "symbols.txt", *words)
    assert not done.stdout
    assert isinstance(done.exception, TickercastError)
    assert said in str(done.exception)
    assert sorted(Path.cwd().iterdir()) == before


def test_one_origin_gives_no_interval(workspace: Path) -> None:
    (workspace / "symbols.txt").write_text("MSFT\n")
    done = run("--symbols-file", "symbols.txt", "--from", "2012-06-28", "--json", "out.json")
    assert "[too short a time]" in done.stdout
    assert json.loads(Path("out.json").read_text())["ratios"]["random-walk"]["sp"][1:] == [None, None]


def test_the_chart_says_what_it_shows(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from matplotlib.figure import Figure

    titles: list[str] = []
    original = Figure.suptitle
    monkeypatch.setattr(
        Figure, "suptitle", lambda self, text, **how: (titles.append(text), original(self, text, **how))
    )
    assert run("--windows", "8", "--chart", "out.png").exit_code == 0
    assert [title.startswith("ewma-t version 1, 8 origins of") for title in titles] == [True]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--dask", "many"), "--dask is 'many': a number of processes"),
        (("--dask", "0"), "--dask is '0'"),
        (("--every", "1h", "--dask", "2"), "--dask and --events are for daily bars"),
    ],
)
def test_a_cluster_that_is_none_is_refused(workspace: Path, words: tuple[str, ...], said: str) -> None:
    done = run(*words)
    assert done.exit_code != 0
    assert said in str(done.exception)


def test_processes_of_dask_give_the_same_figures(symbols: Path) -> None:
    words = [*WORDS, "--symbols-file", "symbols.txt", "--model", "champion", "--every", "30"]
    reports = []
    for more in ([], ["--dask", "2"]):
        command = [sys.executable, "-m", "tickercast", *words, *more, "--json", "out.json"]
        done = subprocess.run(command, capture_output=True, text=True, env=dict(os.environ), timeout=240)
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr
        reports.append(json.loads(Path("out.json").read_text()))
    here, there = reports
    assert there["versions"] == here["versions"]
    assert there["overall"] == pytest.approx(here["overall"])
    assert there["by_step"]["10"] == pytest.approx(here["by_step"]["10"])
