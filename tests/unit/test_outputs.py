"""Files that commands write: what cannot be written is refused before the work, and all else is written whole."""

import errno
import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support.trading import shipped_bundle
from typer.testing import CliRunner

import tickercast
from tickercast.app import App
from tickercast.cli import app
from tickercast.cli.outputs import check_file, check_folder, write_file
from tickercast.errors import EngineUnusable, TickercastError, UsageError

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


def test_a_link_that_leads_to_no_file_yet_is_left_as_it_was(workspace: Path) -> None:
    Path("link.html").symlink_to("page.html")
    check_file("--out", "link.html")
    assert [entry.name for entry in workspace.iterdir()] == ["link.html"]
    write_file("link.html", b"new")
    assert (Path("link.html").is_symlink(), Path("page.html").read_bytes()) == (True, b"new")


def full(write: Callable[..., Any], part: Callable[[Any], Any]) -> Callable[..., Any]:
    """A function that writes a part of what it is given, and then finds the disk full, the first time."""
    left = [OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))]

    def fails(*given: Any) -> Any:
        if not left:
            return write(*given)
        part(given)
        raise left.pop()

    return fails


@pytest.mark.parametrize("before", [b"old and longer", None])
def test_a_disk_that_fills_up_leaves_the_old_file_or_none(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, before: bytes | None
) -> None:
    page = Path("page.html")
    if before:
        page.write_bytes(before)
    whole = Path.write_bytes
    monkeypatch.setattr(Path, "write_bytes", full(whole, lambda given: whole(given[0], b"ha")))
    with pytest.raises(EngineUnusable, match="the disk is full"):
        write_file("page.html", b"half of it")
    assert [(entry.name, entry.read_bytes()) for entry in workspace.iterdir()] == [("page.html", before)][
        : bool(before)
    ]


def test_a_file_with_two_names_keeps_both_and_its_content_where_the_disk_fills_up(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("page.html").write_bytes(b"old and longer")
    os.link("page.html", "same.html")
    with monkeypatch.context() as patched:
        patched.setattr(shutil, "copyfileobj", full(shutil.copyfileobj, lambda given: given[1].write(b"ha")))
        patched.setattr(shutil, "copyfile", lambda old, new: new.write_bytes(Path(old).read_bytes()) and new)
        with pytest.raises(EngineUnusable, match="the disk is full"):
            write_file("page.html", b"half of it")
    assert Path("same.html").read_bytes() == b"old and longer"
    write_file("page.html", b"new")
    assert Path("same.html").read_bytes() == b"new"
    assert sorted(entry.name for entry in workspace.iterdir()) == ["page.html", "same.html"]


def test_a_new_file_has_the_usual_permissions_and_an_old_one_its_own(workspace: Path) -> None:
    Path("usual").touch()
    Path("own.html").touch()
    Path("own.html").chmod(0o640)
    modes = [stat.S_IMODE(write_file(name, b"new").stat().st_mode) for name in ("new.html", "own.html")]
    assert modes == [stat.S_IMODE(Path("usual").stat().st_mode), 0o640]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file any group")
def test_an_old_file_keeps_its_group(workspace: Path) -> None:
    Path("shared.html").touch()
    os.chown("shared.html", -1, 12345)
    assert write_file("shared.html", b"new").stat().st_gid == 12345


def test_a_link_to_a_pipe_is_refused_by_its_own_name(workspace: Path) -> None:
    ends = os.pipe()
    Path("page.html").symlink_to(f"/dev/fd/{ends[1]}")
    try:
        with pytest.raises(UsageError, match=r"--out page\.html exists and is not a file"):
            check_file("--out", "page.html")
    finally:
        for end in ends:
            os.close(end)


def test_a_trained_bundle_is_where_the_command_says(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(App, "train", lambda self, *words, **more: shipped_bundle())
    done = CliRunner(env={"COLUMNS": "200"}).invoke(app, ["train", "--source", "sample", "--out", "D"])
    folder = "D/models/tickercast-lstm/1"
    assert done.stdout.endswith(f"written to {folder}, for: tickercast backtest --model {folder}\n")
    assert tickercast.load_model(folder).version == "1"
