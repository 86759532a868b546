"""Files of one's own: sent with `upload`, or copied into the folder of the local bucket and found there."""

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import date
from pathlib import Path
from signal import SIGINT, SIGTERM, Signals

import pytest

from tickercast.app import App
from tickercast.backends.object_store.drops import Drops
from tickercast.backends.object_store.local import LocalObjectStore
from tickercast.config import Settings
from tickercast.domain.bars import Bars
from tickercast.domain.files.price_files import to_csv, to_parquet
from tickercast.errors import EngineUnusable, UsageError

MakeBars = Callable[..., Bars]
DAY = date(2023, 7, 22)


@pytest.fixture
def app(workspace: Path) -> App:
    return App(Settings(bucket=f"file://{workspace}/bucket", warehouse=f"duckdb://{workspace}/w.duckdb"))


def status(app: App, name: str) -> list[tuple[str | None, str]]:
    return [(entry.symbol, entry.status) for entry in app.ingestions(name)[0]]


@pytest.mark.parametrize(
    ("file", "symbol", "wanted"),
    [
        ("MSFT.csv", "", "ohlc/2023-07-22/MSFT.csv"),
        ("export (3).txt", "msft", "ohlc/2023-07-22/MSFT.csv"),
        ("prices.csv", "", "ohlc/2023-07-22/batch-0001.csv"),
        ("all-bars.parquet", "", "ohlc/2023-07-22/batch-0001.parquet"),
    ],
)
def test_a_file_is_sent_under_the_name_that_its_content_asks_for(
    app: App, workspace: Path, make_bars: MakeBars, file: str, symbol: str, wanted: str
) -> None:
    (workspace / file).write_bytes((to_parquet if file.endswith("parquet") else to_csv)([make_bars()]))
    sent = app.upload(workspace / file, DAY, symbol=symbol)
    assert sent.object == wanted
    assert status(app, wanted) == [("MSFT", "forecast")]


def test_a_file_that_says_another_symbol_than_its_name_is_refused(
    app: App, workspace: Path, make_bars: MakeBars
) -> None:
    (workspace / "META.csv").write_bytes(to_csv([make_bars()]))
    sent = app.upload(workspace / "META.csv", DAY)
    [entry] = app.ingestions(sent.object)[0]
    assert entry.status == "rejected"
    assert "named META, or that was given for it, and its column Symbol says MSFT" in entry.reason
    with pytest.raises(UsageError, match="cannot be read"):
        app.upload(workspace / "nothing.csv", DAY)


def test_files_that_were_copied_by_hand_are_named_and_sent(app: App, make_bars: MakeBars, workspace: Path) -> None:
    app.provision()
    folder = workspace / "bucket" / "ohlc" / "2023-07-22"
    folder.mkdir(parents=True)
    (folder / "MSFT.csv").write_bytes(to_csv([make_bars()]))
    (workspace / "bucket" / "META.csv").write_bytes(to_csv([make_bars("META")]))
    assert [(entry.object, entry.status) for entry in app.failed_ingestions()] == [
        ("META.csv", "dropped"),
        ("ohlc/2023-07-22/MSFT.csv", "dropped"),
    ]
    assert "tickercast replay" in app.failed_ingestions()[0].reason
    first = next(iter(app.doctor()))
    assert not first.well
    assert "META.csv, ohlc/2023-07-22/MSFT.csv were copied into the folder" in first.answer
    assert app.replay("ohlc/2023-07-22/MSFT.csv").sent
    assert status(app, "ohlc/2023-07-22/MSFT.csv") == [("MSFT", "forecast")]
    sent = app.replay("META.csv")
    assert sent.object == f"ohlc/{app.now().date()}/META.csv"
    assert app.dropped() == []
    assert next(iter(app.doctor())).well


def test_a_bucket_that_was_copied_without_its_generations_has_one_diagnosis(app: App, workspace: Path) -> None:
    app.forecast("MSFT", "2012-08-15", source="sample")
    shutil.rmtree(workspace / "bucket" / ".generations")
    said = "no generation of any, and the ledger has entries .* its folder .generations was not copied, or was removed"
    with pytest.raises(EngineUnusable, match=said):
        app.failed_ingestions()
    first = next(iter(app.doctor()))
    assert not first.well
    assert re.search(said, first.answer)


@pytest.mark.parametrize("name", ["ohlc/2023-07-22/AAPL.csv", "ohlc", "AAPL.CSV", "mine", "events/2023.csv"])
def test_a_link_is_not_followed_and_named_with_the_reason(
    app: App, make_bars: MakeBars, workspace: Path, name: str
) -> None:
    app.provision()
    (workspace / "elsewhere").mkdir()
    (workspace / "elsewhere" / "AAPL.csv").write_bytes(to_csv([make_bars("AAPL")]))
    link = workspace / "bucket" / name
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(workspace / "elsewhere" / ("" if "." not in name else "AAPL.csv"))
    [entry] = app.failed_ingestions()
    assert (entry.object, entry.status) == (name, "dropped")
    assert entry.reason.startswith(f"{link} is a link, and the folder of a bucket holds files and folders alone")
    first = next(iter(app.doctor()))
    assert (first.well, first.answer) == (False, entry.reason)
    assert app.dropped() == []
    link.unlink()
    assert app.failed_ingestions() == []
    assert next(iter(app.doctor())).well


def test_a_link_in_the_place_of_a_file_does_not_hide_the_others(app: App, workspace: Path) -> None:
    app.provision()
    store = app.silent_store
    for symbol in ("AAPL", "MSFT"):
        store.write(f"ohlc/2023-07-22/{symbol}.csv", b"no prices")
    link = workspace / "bucket" / "ohlc/2023-07-22/AAPL.csv"
    link.unlink()
    link.symlink_to(workspace / "elsewhere.csv")
    assert [(entry.object, entry.status) for entry in app.failed_ingestions()] == [
        ("ohlc/2023-07-22/MSFT.csv", "unaccounted"),
        ("ohlc/2023-07-22/AAPL.csv", "dropped"),
    ]
    with pytest.raises(UsageError, match="is a link"):
        app.replay("ohlc/2023-07-22/AAPL.csv")


@pytest.mark.parametrize("name", ["models/mine", ".hidden", "README", "quarantine/2023.csv"])
def test_a_link_where_no_file_is_looked_for_is_none_of_ours(tmp_path: Path, name: str) -> None:
    (tmp_path / "bucket" / name).parent.mkdir(parents=True)
    (tmp_path / "bucket" / name).symlink_to(tmp_path / "nothing")
    assert Drops(tmp_path / "bucket").links() == {}


def test_what_the_store_wrote_is_never_taken_for_a_dropped_file(tmp_path: Path) -> None:
    store, drops = LocalObjectStore(tmp_path), Drops(tmp_path)
    for content in (b"a", b"bb"):
        store.write("ohlc/2023-07-22/MSFT.csv", content)
    assert drops.names() == []
    old = (tmp_path / ".generations/ohlc/2023-07-22/MSFT.csv").glob("*[0-9]")
    shutil.copy(min(old), tmp_path / "ohlc/2023-07-22/MSFT.csv")  # as in the midst of a write
    assert drops.names() == []
    (tmp_path / "ohlc/2023-07-22/MSFT.csv").write_bytes(b"another")
    assert drops.names() == ["ohlc/2023-07-22/MSFT.csv"]


@pytest.mark.parametrize("ending", [SIGINT, SIGTERM])
def test_a_file_copied_into_a_watched_bucket_is_forecast_within_moments(
    app: App, make_bars: MakeBars, workspace: Path, ending: Signals
) -> None:
    app.provision()
    environment = os.environ | {
        "TICKERCAST_BUCKET": app.settings.bucket,
        "TICKERCAST_WAREHOUSE": app.settings.warehouse,
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    command = [sys.executable, "-m", "tickercast", "watch"]
    with subprocess.Popen(command, env=environment, cwd=workspace, stdout=subprocess.PIPE, text=True) as watching:
        assert watching.stdout is not None
        give_up = threading.Timer(60, watching.kill)  # so that no line is waited for in vain
        give_up.start()
        assert "watching" in watching.stdout.readline()
        folder = workspace / "bucket" / "ohlc" / "2023-07-22"
        folder.mkdir(parents=True)
        (folder / "MSFT.csv").write_bytes(to_csv([make_bars()]))
        shown = ""
        while "forecast" not in shown and watching.poll() is None:
            shown += watching.stdout.readline()
        watching.send_signal(ending)
        assert watching.wait(20) == 0
        give_up.cancel()
    assert "MSFT" in shown
    assert status(app, "ohlc/2023-07-22/MSFT.csv") == [("MSFT", "forecast")]


def test_the_rows_of_the_ledger_are_printed_as_json(app: App, make_bars: MakeBars, workspace: Path) -> None:
    (workspace / "MSFT.csv").write_bytes(to_csv([Bars("MSFT", make_bars().frame.drop(index=[390]))]))
    environment = os.environ | {
        "TICKERCAST_BUCKET": app.settings.bucket,
        "TICKERCAST_WAREHOUSE": app.settings.warehouse,
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    command = [sys.executable, "-m", "tickercast", "upload", "MSFT.csv", "--as-of", "2023-07-22", "--json"]
    done = subprocess.run(command, env=environment, cwd=workspace, capture_output=True, text=True, check=True)
    [row] = json.loads(done.stdout)
    assert (row["symbol"], row["status"], row["rows"], row["cutoff"]) == ("MSFT", "forecast", 399, "2023-07-21")
    assert row["findings"].startswith("gap: no bar of ")
    assert row["findings"] in " ".join(done.stderr.split())
