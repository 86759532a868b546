"""The commands that show the status of files, and the wait of the main command, through the command line."""

import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from tickercast import config, engines
from tickercast.app import App
from tickercast.backends import events
from tickercast.backends.object_store.local import LocalObjectStore
from tickercast.cli import app
from tickercast.errors import FunctionUnavailable, StoreUnavailable, UsageError
from tickercast.jobs.requests import results
from tickercast.jobs.requests.replay import Replayed

if TYPE_CHECKING:
    from tests.support.storage_server import StorageServer

NAME = "ohlc/2023-07-22/MSFT.csv"
BUCKET = Path(".tickercast/bucket")

Run = Callable[..., Result]
MakeFolder = Callable[..., Path]


@pytest.fixture
def run(workspace: Path) -> Run:
    def call(*words: object) -> Result:
        return CliRunner().invoke(app, [str(word) for word in words])

    return call


class Remote:
    """A bucket whose events a thread delivers, late or never, as on Google Cloud."""

    def __init__(self, after_s: float | None) -> None:
        self.after_s = after_s
        self.timers: list[threading.Timer] = []
        self._deliver = events.in_process(config.resource("cloud_function") / "main.py", target="forecast")

    def announce(self, described: Mapping[str, Any]) -> None:
        if self.after_s is not None and str(described["name"]).startswith("ohlc/"):
            self.timers.append(threading.Timer(self.after_s, self._deliver, [described]))
            self.timers[-1].start()

    def open(self, settings: object, *, announce: bool = True) -> LocalObjectStore:
        return LocalObjectStore(BUCKET, self.announce if announce else None)


@pytest.fixture
def remote(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[float | None], Remote]:
    def make(after_s: float | None) -> Remote:
        made = Remote(after_s)
        monkeypatch.setattr(engines, "object_store", made.open)
        monkeypatch.setattr(engines, "delivers_at_once", lambda _: False)
        return made

    return make


def name_in_quarantine(text: str) -> str:
    return re.findall(r"quarantine/\S+\.csv", text)[0]


def bad_file(content: bytes = b"Date,Open\n2023-07-21,1\n") -> int:
    """Lets a bad file be uploaded by other means than ours."""
    return engines.object_store(config.load()).write(NAME, content)


def test_the_forecast_of_a_function_that_comes_late_is_waited_for(
    run: Run, price_folder: MakeFolder, remote: Callable[[float | None], Remote]
) -> None:
    late = remote(0.5)
    done = run("forecast", "MSFT", "2023-07-22", "--source", price_folder())
    assert done.exit_code == 0, done.output
    assert "2023-08-04" in done.stdout
    assert len(late.timers) == 1


def test_the_reason_of_a_function_that_comes_late_is_shown(
    run: Run, price_folder: MakeFolder, remote: Callable[[float | None], Remote]
) -> None:
    remote(0.5)
    done = run("forecast", "MSFT", "2023-07-22", "--source", price_folder(sessions=30))
    assert (done.exit_code, done.stdout) == (2, "")
    assert "MSFT has 30 sessions up to 2023-07-21" in done.stderr


def test_a_function_that_never_comes_is_a_sentence_that_says_what_to_do(
    run: Run, price_folder: MakeFolder, remote: Callable[[float | None], Remote]
) -> None:
    remote(None)
    done = run("forecast", "MSFT", "2023-07-22", "--source", price_folder(), "--wait", "0.3")
    assert isinstance(done.exception, FunctionUnavailable)
    assert f"tickercast ingestions {NAME}" in str(done.exception)
    listed = run("ingestions", "--failed").stdout
    assert NAME in listed
    assert "unaccounted" in listed


def test_without_waiting_the_file_is_sent_and_left_to_the_function(
    run: Run, price_folder: MakeFolder, remote: Callable[[float | None], Remote]
) -> None:
    remote(None)
    done = run("forecast", "MSFT", "2023-07-22", "--source", price_folder(), "--no-wait")
    assert done.exit_code == 0
    assert f"was sent. Look at its status with: tickercast ingestions {NAME}" in done.stdout
    done = run("forecast", "MSFT", "2023-07-22", "--source", price_folder(), "--no-wait", "--json")
    assert (done.exit_code, done.stdout) == (0, "[]\n")
    assert "was sent" in run("replay", NAME, "--no-wait").stdout


def test_the_progress_bar_shows_the_wait(
    run: Run, remote: Callable[[float | None], Remote], monkeypatch: pytest.MonkeyPatch
) -> None:
    remote(None)
    labels: list[str] = []
    monkeypatch.setattr("tickercast.cli.terminal.Bar.say", lambda _, label: labels.append(label))
    bad_file()
    assert run("replay", NAME, "--wait", "1").exit_code == 1
    assert labels[0] == "waiting for the function: 0 s of 1 s"


def test_a_rejected_file_is_listed_shown_replayed_and_released(run: Run) -> None:
    assert "The ledger has no such entries yet." in run("ingestions").stdout
    assert "Nothing has failed." in run("ingestions", "--failed").stdout
    assert "Nothing is in quarantine." in run("quarantine", "list").stdout
    generation = bad_file(b"Date,Open\n2023-07-21,\x1b[31m1\n")
    for words in (["ingestions"], ["ingestions", f"{NAME}#{generation}"], ["ingestions", "--failed"]):
        listed = run(*words).stdout
        assert f"{NAME}#{generation}" in listed, words
        assert "rejected" in listed
        assert "no column High" in listed
    listed = run("quarantine", "list").stdout
    shown = run("quarantine", "show", name_in_quarantine(listed)).stdout
    assert f"was {NAME}#{generation}, rejected 20" in shown
    assert "no column High" in shown
    assert "2023-07-21,·[31m1" in shown
    replayed = run("replay", NAME)
    assert replayed.exit_code == 1
    assert "no column High" in replayed.stdout
    released = run("quarantine", "release", name_in_quarantine(run("quarantine", "list").stdout))
    assert released.exit_code == 1
    assert f"{NAME}#" in released.stdout
    assert "rejected" in released.stdout


def test_what_was_forecast_is_not_sent_again_and_what_failed_is(run: Run, price_folder: MakeFolder) -> None:
    run("forecast", "META", "2023-07-22", "--source", price_folder(["META"]))
    assert "has been handled; nothing was sent" in run("replay", "ohlc/2023-07-22/META.csv").stdout
    assert "Nothing has failed." in run("replay", "--failed").stdout
    lost = (price_folder(["MSFT"]) / "MSFT.csv").read_bytes()
    engines.object_store(config.load(), announce=False).write(NAME, lost)
    done = run("replay", "--failed")
    assert done.exit_code == 0, done.output
    assert re.search(rf"{NAME}#\d+ +MSFT +forecast +2023-07-21", done.stdout)
    assert "META" not in done.stdout


def test_a_replay_of_all_that_failed_ends(run: Run) -> None:
    run("ingestions")  # sets the warehouse up
    bad_file()
    assert "no column High" in run("replay", "--failed").stdout
    done = run("replay", "--failed")
    assert done.exit_code == 0
    assert "was not sent: rejected twice for the same reason." in done.stdout
    assert f"tickercast replay {NAME} sends it as it is." in done.stdout


def test_the_ledger_is_cut_where_it_gets_long(run: Run, price_folder: MakeFolder) -> None:
    run("forecast", "MSFT", "META", "2023-07-22", "--source", price_folder(["MSFT", "META"]))
    run("forecast", "MMM", "2023-07-22", "--source", price_folder(["MMM"]))
    cut = run("ingestions", "--limit", "1").stdout
    assert "2 more: --limit 3 shows them." in cut
    assert "MMM" in cut
    assert "MSFT" not in cut
    assert (
        "1 more: --limit 2 shows them."
        in run("ingestions", "--limit", "1", "ohlc/2023-07-22/batch-0001.parquet").stdout
    )


@pytest.mark.parametrize("words", [["replay"], ["replay", NAME, "--failed"]])
def test_a_replay_wants_one_thing(run: Run, words: Sequence[str]) -> None:
    assert isinstance(run(*words).exception, UsageError)


def test_a_command_whose_function_has_answered_does_not_wait_long(
    run: Run, price_folder: MakeFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    monkeypatch.setattr(results.Patience, "pause", lambda patience, _: waited.append(patience.seconds))
    assert run("forecast", "MSFT", "2023-07-22", "--source", price_folder()).exit_code == 0
    assert waited == []


@contextmanager
def trigger(server: "StorageServer") -> Iterator[None]:
    """Carries the stand-in's events to the function, as Eventarc does."""
    deliver = events.in_process(config.resource("cloud_function") / "main.py", target="forecast")
    over = threading.Event()

    def work() -> None:
        done = 0
        while not over.wait(0.05):
            for described in server.announced[done:]:
                deliver(described)
                done += 1

    eventarc = threading.Thread(target=work)
    eventarc.start()
    try:
        yield
    finally:
        over.set()
        eventarc.join()


def test_on_cloud_storage_a_file_is_forecast_rejected_replayed_and_released(
    run: Run, price_folder: MakeFolder, storage_server: "StorageServer", monkeypatch: pytest.MonkeyPatch
) -> None:
    storage_server.make_bucket("my-bucket")
    monkeypatch.setenv("TICKERCAST_BUCKET", "gs://my-bucket")
    run("ingestions")  # sets tables and champion up
    with trigger(storage_server):
        made = run("forecast", "MSFT", "2023-07-22", "--source", price_folder())
        assert "stored as gs://my-bucket/ohlc/2023-07-22/MSFT.csv#" in made.stdout, made.output
        generation = bad_file()
        warehouse = engines.warehouse(config.load())
        results.wait_for_ledger(NAME, generation, warehouse=warehouse, patience=results.Patience(30))
        replayed = run("replay", NAME)
        assert "no column High" in replayed.stdout, replayed.output
        [kept] = re.findall(r"quarantine/\S+\.csv", run("quarantine", "list").stdout)
        assert generation not in kept
        released = run("quarantine", "release", kept)
        assert (released.exit_code, "rejected" in released.stdout) == (1, True)
    assert len(run("ingestions", "--failed").stdout.split("rejected")) == 2


def test_one_odd_name_does_not_hide_the_others(
    run: Run, storage_server: "StorageServer", monkeypatch: pytest.MonkeyPatch
) -> None:
    storage_server.make_bucket("my-bucket")
    monkeypatch.setenv("TICKERCAST_BUCKET", "gs://my-bucket")
    run("ingestions")  # sets tables and champion up
    doubled, broken, hashed = (f"ohlc/2023-07-07/{name}.csv" for name in ("/AAPL", "AA\nPL", "x#y"))
    for name in (doubled, broken, hashed, NAME):
        written_by_others("my-bucket", name)
    deliver_all(storage_server)
    listed = " ".join(run("ingestions", "--failed").stdout.split())
    sent = run("replay", "--failed", "--no-wait")
    for name in (hashed, NAME):
        assert re.search(rf"{name}#\d+ \S+ rejected – The file has no column High", listed), listed
        assert f"{name}#" in sent.stdout
    assert re.search(rf"{doubled}#\d+ – rejected – '{doubled}' was seen", listed), listed
    unaccounted = r"AA\ufffdPL\.csv#\d+ – unaccounted – 'ohlc/2023-07-07/AA\\nPL\.csv' is not an object name"
    assert re.search(unaccounted, listed), listed
    assert f"'{doubled}' is not an object name" in sent.stderr
    assert "'ohlc/2023-07-07/AA\\nPL.csv' is not an object name" in sent.stderr
    assert sent.exit_code == 1
    assert hashed in run("ingestions", hashed).stdout
    assert hashed in run("ingestions", f"{hashed}#1").stdout
    assert f"{doubled}#" in run("alerts").stdout


def test_a_file_that_cannot_be_replayed_does_not_hold_back_the_others(
    run: Run, remote: Callable[[float | None], Remote], monkeypatch: pytest.MonkeyPatch
) -> None:
    remote(None)
    store = engines.object_store(config.load())
    names = [f"ohlc/2023-07-2{day}/MSFT.csv" for day in (1, 2, 3, 4)]
    for name in names:
        store.write(name, b"Date,Open\n2023-07-21,1\n")
    replay = App.replay

    def slowly(service: App, name: str, *, listed: str = "") -> Replayed:
        if name == names[1]:
            store.delete(name, generation=store.generation(name))
        if name == names[2]:  # another replay of all that failed came first
            store.write(name, store.read(name))
        return replay(service, name, listed=listed)

    monkeypatch.setattr(App, "replay", slowly)
    done = run("replay", "--failed", "--no-wait")
    assert done.exit_code == 1
    assert re.findall(r"(\S+)#\d+ was sent", done.stdout) == [names[0], names[3]]
    assert f"holds no {names[1]}" in done.stderr
    assert re.search(rf"{names[2]}#\d+ is newer than the version that was listed; nothing was sent", done.stdout)


def test_an_engine_that_does_not_answer_ends_a_replay_which_says_what_was_sent(
    run: Run, remote: Callable[[float | None], Remote], monkeypatch: pytest.MonkeyPatch
) -> None:
    remote(None)
    store = engines.object_store(config.load())
    names = [f"ohlc/2023-07-2{day}/MSFT.csv" for day in (1, 2, 3)]
    for name in names:
        store.write(name, b"Date,Open\n2023-07-21,1\n")
    replay = App.replay

    def fails_later(service: App, name: str, *, listed: str = "") -> Replayed:
        if name != names[0]:
            raise StoreUnavailable("The bucket does not answer.")
        return replay(service, name, listed=listed)

    monkeypatch.setattr(App, "replay", fails_later)
    done = run("replay", "--failed", "--no-wait")
    assert done.exit_code == 1
    assert re.findall(r"(\S+)#\d+ was sent", done.stdout) == names[:1]
    assert f"{names[1]}, {names[2]}: The bucket does not answer." in " ".join(done.stderr.split())


def test_a_file_that_cannot_be_sent_does_not_hold_back_the_others(run: Run, price_folder: MakeFolder) -> None:
    good = price_folder(["MSFT"]) / "MSFT.csv"
    done = run("upload", "none.csv", good, "--as-of", "2023-07-22")
    assert done.exit_code == 1
    assert "none.csv cannot be read" in done.stderr
    assert re.search(rf"{NAME}#\d+ +MSFT +forecast", done.stdout)


def written_by_others(bucket: str, name: str) -> None:
    """Write a bad file as a program does that knows none of our rules for names."""
    from google.cloud import storage

    storage.Client.create_anonymous_client().bucket(bucket).blob(name).upload_from_string(b"Date,Open\n2023-07-06,1\n")


def deliver_all(server: "StorageServer") -> None:
    """Carry the stand-in's events to the function; one that it refuses and acknowledges changes nothing."""
    deliver = events.in_process(config.resource("cloud_function") / "main.py", target="forecast")
    for described in server.announced[:]:
        if described["name"].isprintable():
            deliver(described)
