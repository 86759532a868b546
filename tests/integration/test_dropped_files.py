"""Files of one's own: sent with `upload`, or copied into the folder of the local bucket and found there."""

import json
import math
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from signal import SIGINT, SIGTERM, Signals
from typing import Any, cast

import pytest

from tickercast.app import App
from tickercast.backends.object_store.drops import Drops
from tickercast.backends.object_store.local import LocalObjectStore
from tickercast.config import Settings
from tickercast.domain.bars import Bars
from tickercast.domain.files.price_files import to_csv, to_parquet
from tickercast.errors import EngineUnusable, FunctionUnavailable, PreconditionFailed, TickercastError, UsageError
from tickercast.jobs.requests.send_drop import send_drop
from tickercast.jobs.requests.send_file import Sent
from tickercast.jobs.requests.watch_folder import watch_folder
from tickercast.ports import DropFolder
from tickercast.reading.ledger import Entry

MakeBars = Callable[..., Bars]
DAY = date(2023, 7, 22)
NAME = "ohlc/2023-07-22/MSFT.csv"


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
    assert Drops(LocalObjectStore(tmp_path / "bucket")).links() == {}


def test_what_the_store_wrote_is_no_dropped_file_and_whatever_is_copied_over_it_is_one(tmp_path: Path) -> None:
    store = LocalObjectStore(tmp_path)
    drops, live = Drops(store), tmp_path / NAME
    for content in (b"a", b"b"):
        store.write(NAME, content)
    assert drops.names() == []
    for content in (b"c", b"a"):  # a correction of the same size within the same second, and the version before
        live.write_bytes(content)
        assert drops.names() == [NAME]
    live.write_bytes(b"b")
    assert drops.names() == []
    newest = max((tmp_path / ".generations" / NAME).glob("*[0-9]"))
    assert newest.stat().st_mtime_ns == live.stat().st_mtime_ns  # the next look need not read them


def test_files_with_the_whole_seconds_of_an_archive_are_told_apart_by_their_contents(tmp_path: Path) -> None:
    drops, live = Drops(LocalObjectStore(tmp_path)), tmp_path / NAME
    live.parent.mkdir(parents=True)
    for content in (b"one", b"two"):
        live.write_bytes(content)
        os.utime(live, (1_600_000_000, 1_600_000_000))
        assert drops.names() == [NAME]
        assert drops.adopt(NAME, NAME)
        assert drops.names() == []


def test_a_file_that_is_copied_while_another_is_sent_is_kept_and_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, live = LocalObjectStore(tmp_path), tmp_path / NAME
    drops, described = Drops(store), LocalObjectStore._resource
    live.parent.mkdir(parents=True)
    live.write_bytes(b"first")

    def copied_meanwhile(self: LocalObjectStore, *given: Any) -> dict[str, Any]:
        live.write_bytes(b"a later one")
        return described(self, *given)

    with monkeypatch.context() as patched:
        patched.setattr(LocalObjectStore, "_resource", copied_meanwhile)
        assert send_drop(NAME, drops=drops, store=store, today=DAY)
    assert (store.read(NAME), live.read_bytes(), drops.names()) == (b"first", b"a later one", [NAME])


@pytest.mark.parametrize("seconds", [-3600, 3600])
def test_a_file_with_a_time_of_its_own_is_found_whatever_it_is(tmp_path: Path, seconds: int) -> None:
    live = tmp_path / NAME
    live.parent.mkdir(parents=True)
    live.write_bytes(b"bars")
    os.utime(live, (time.time() + seconds,) * 2)
    looks = Drops(LocalObjectStore(tmp_path)).wait()
    assert next(looks) == [NAME]


@pytest.mark.parametrize(
    ("name", "symbols", "sent_as"),
    [
        (NAME, ["MSFT"], NAME),
        ("events/days.csv", [], "events/days.csv"),
        ("MSFT.csv", ["MSFT"], NAME),
        ("mine/all.csv", ["AAPL", "MSFT"], "ohlc/2023-07-22/batch-0001.csv"),
    ],
)
def test_a_file_that_two_watches_have_found_is_sent_once(
    tmp_path: Path, make_bars: MakeBars, name: str, symbols: list[str], sent_as: str
) -> None:
    announced: list[str] = []
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_bytes(to_csv([make_bars(symbol) for symbol in symbols]) if symbols else b"date\n")
    stores = [LocalObjectStore(tmp_path, lambda resource: announced.append(resource["name"])) for _ in range(2)]
    watches = [Drops(store) for store in stores]
    assert [drops.names() for drops in watches] == [[name], [name]]
    first, second = (
        send_drop(name, drops=drops, store=store, today=DAY) for drops, store in zip(watches, stores, strict=True)
    )
    assert (first and first.object, second) == (sent_as, None)
    assert announced == [sent_as]
    assert [drops.names() for drops in watches] == [[], []]
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.csv") if path.is_file()] == [sent_as]


def test_a_dropped_file_does_not_take_the_place_of_another_that_was_not_sent(
    tmp_path: Path, make_bars: MakeBars
) -> None:
    store = LocalObjectStore(tmp_path)
    drops = Drops(store)
    (tmp_path / NAME).parent.mkdir(parents=True)
    for name, seed in (("MSFT.csv", 7), (NAME, 8)):
        (tmp_path / name).write_bytes(to_csv([make_bars(seed=seed)]))
    with pytest.raises(PreconditionFailed, match=f"not been sent. Send it first: tickercast replay {NAME}"):
        send_drop("MSFT.csv", drops=drops, store=store, today=DAY)
    assert drops.names() == ["MSFT.csv", NAME]
    for name in (NAME, "MSFT.csv"):
        assert send_drop(name, drops=drops, store=store, today=DAY)
    assert len([path for path in (tmp_path / ".generations" / NAME).iterdir() if path.name.isdigit()]) == 2


def test_a_watch_begins_with_what_an_earlier_one_was_killed_at(app: App, make_bars: MakeBars) -> None:
    app.provision()
    generation = app.silent_store.write(NAME, to_csv([make_bars()]))
    assert [entry.status for entry in app.failed_ingestions()] == ["unaccounted"]
    assert next(iter(app.watch())) == Sent(NAME, NAME, generation)
    assert status(app, NAME) == [("MSFT", "forecast")]
    assert app.failed_ingestions() == []


class Looks:
    """The folder of a watch: what is dropped at each look, a look each five seconds, and what is announced."""

    def __init__(self, *dropped: list[str]) -> None:
        self.dropped, self.now, self.lost = dropped, 0.0, list[Entry]()
        self.tries: list[tuple[float, str]] = []
        self.changed = math.inf

    def wait(self) -> Iterator[list[str]]:
        for names in self.dropped:
            yield names
            self.now += 5

    def state(self, name: str) -> tuple[int, ...]:
        return (int(self.now >= self.changed),)

    def announce(self, name: str, *, generation: str) -> None:
        self.tries.append((self.now, name))
        if self.now < 60:
            raise FunctionUnavailable("No function answers.")

    def send(self, name: str) -> Sent | None:
        if not self.lost:
            self.lost = [Entry(name, "1", None, "unaccounted")]
            self.announce(name, generation="1")
        return None

    def watch(self) -> list[Sent | TickercastError]:
        found = watch_folder(
            cast(DropFolder, self), send=self.send, unaccounted=lambda: self.lost, clock=lambda: self.now
        )
        return list(found)


def test_a_file_whose_event_failed_is_announced_again_with_growing_pauses() -> None:
    looks = Looks([], [NAME], *[[]] * 30)
    *failed, sent = looks.watch()
    assert [at for at, _ in looks.tries] == [5, 15, 35, 75]
    assert [str(each) for each in failed] == ["No function answers."] * 3
    assert sent == Sent(NAME, NAME, "1")


def test_a_file_that_cannot_be_sent_waits_for_its_turn_while_others_arrive() -> None:
    class Closed(Looks):
        def send(self, name: str) -> Sent | None:
            self.tries.append((self.now, name))
            raise EngineUnusable("It is closed to this user.")

    looks = Closed(*[[NAME]] * 30)
    looks.watch()
    assert [at for at, _ in looks.tries] == [0, 20, 60, 140]
    looks = Closed(*[[NAME]] * 30)
    looks.changed = 95
    looks.watch()
    assert [at for at, _ in looks.tries] == [0, 20, 60, 95, 140], "a file that was mended is sent at once"


def test_a_dropped_file_has_another_state_once_its_content_its_rights_or_its_time_have_changed(tmp_path: Path) -> None:
    drops, file = Drops(LocalObjectStore(tmp_path)), tmp_path / "MSFT.csv"
    states = [drops.state(file.name)]

    def seen() -> tuple[int, ...]:
        states.append(drops.state(file.name))
        return states[-1]

    assert states == [()]
    file.write_bytes(b"no prices")
    assert seen() == drops.state(file.name)
    first = file.stat()
    file.write_bytes(b"prices")
    seen()
    os.utime(file, ns=(first.st_atime_ns, first.st_mtime_ns))
    seen()
    file.write_bytes(b"price 2")
    os.utime(file, ns=(first.st_atime_ns, first.st_mtime_ns))
    seen()
    assert len({*states}) == len(states)


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
