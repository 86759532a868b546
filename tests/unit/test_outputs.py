"""Files that commands write: what cannot be written is refused before the work."""

from pathlib import Path

import pytest
from tests.support.trading import shipped_bundle
from typer.testing import CliRunner

import tickercast
from tickercast.app import App
from tickercast.cli import app
from tickercast.cli.outputs import check_file, check_folder, write_file
from tickercast.errors import TickercastError

DATES = ("--from", "2011-01-01", "--to", "2012-06-28", "--source", "sample")
STRATEGY = ("strategy", "backtest", "always-flat", *DATES)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("train", "--source", "sample", "--out", "file/D"), "--out file/D cannot be used"),
        (("train", "--source", "hours", "--every", "1h", "--out", "file"), "--out file cannot be used"),
        (("train", "--source", "sample", "--out", "/proc/D"), "--out /proc/D cannot be used"),
        (("tune", "--source", "sample", "--out", "file/r.json"), "--out file/r.json cannot be used"),
        (("backtest", *DATES, "--json", "/proc/x.json"), "--json /proc/x.json cannot be used"),
        (("backtest", *DATES, "--chart", "c.pdf"), "--chart 'c.pdf' does not end in .png"),
        (("universe", "--from", "m.csv", "--out", "nowhere/w.txt"), "there is no folder nowhere"),
        ((*STRATEGY, "--out", "a.xlsx"), "--out 'a.xlsx' does not end in .csv"),
        ((*STRATEGY, "--report", "r.pdf"), "--report 'r.pdf' does not end in .html or .htm"),
        ((*STRATEGY, "--tearsheet", "/proc/t.html"), "--tearsheet /proc/t.html cannot be used"),
        (("digest", "--html", "d.pdf"), "--html 'd.pdf' does not end in .html or .htm"),
        (("digest", "--png", "nowhere/d.png"), "--png nowhere/d.png: there is no folder nowhere"),
        (("paths", "MSFT", "--parquet", "/proc/p.parquet"), "--parquet /proc/p.parquet cannot be used"),
        (("export", "prices", "--parquet", "p.csv"), "--parquet 'p.csv' does not end in .parquet or .pq"),
        (("report", "--out", "/proc/r.html"), "--out /proc/r.html cannot be used"),
        (("forecast", "MSFT", "--chart", "/proc/c.png"), "--chart /proc/c.png cannot be used"),
    ],
)
def test_what_cannot_be_written_is_refused_before_anything_is_opened(
    workspace: Path, words: tuple[str, ...], said: str
) -> None:
    Path("file").write_text("")
    done = CliRunner().invoke(app, words)
    assert isinstance(done.exception, TickercastError)
    assert said in str(done.exception)
    assert [entry.name for entry in workspace.iterdir()] == ["file"]


def test_what_can_be_written_is_left_as_it_was(workspace: Path) -> None:
    Path("old.json").write_text("old")
    check_file("--json", "old.json", makes_folder=True)
    check_file("--json", "made/of/new.json", makes_folder=True)
    check_file("--json", "")
    check_folder("--out", "made/D")
    check_folder("--out", "")
    assert [entry.name for entry in workspace.iterdir()] == ["old.json"]
    assert Path("old.json").read_text() == "old"
    assert write_file("made/of/new.json", b"new").read_bytes() == b"new"


def test_a_trained_bundle_is_where_the_command_says(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(App, "train", lambda self, *words, **more: shipped_bundle())
    done = CliRunner(env={"COLUMNS": "200"}).invoke(app, ["train", "--source", "sample", "--out", "D"])
    folder = "D/models/tickercast-lstm/1"
    assert done.stdout.endswith(f"written to {folder}, for: tickercast backtest --model {folder}\n")
    assert tickercast.load_model(folder).version == "1"
