"""The Cloud Storage engine over a network that fails; its client talks to a strict stand-in."""

import gc
import itertools
import json
import socket
import time
import urllib.request
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from google.api_core.retry import retry_unary
from tests.support.storage_server import CHUNK, COPY, DELETE, GET, INSERT, LIST, StorageServer

from tickercast import engines
from tickercast.backends.object_store.gcs import GcsObjectStore
from tickercast.config import Settings
from tickercast.errors import (
    EngineUnusable,
    ObjectNotFound,
    PreconditionFailed,
    StoreUnavailable,
    TickercastError,
    UsageError,
)

NAME = "ohlc/2023-07-22/MSFT.csv"
KEPT = "quarantine/ohlc/2023-07-22/MSFT.1.csv"
unread_answers = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
"""Google's client leaves the answers to failed downloads unread, and their sockets to the garbage collector."""

LARGE = bytes(9 * 2**20)
"""More than the eight megabytes that the client sends in one request."""


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client's own policy waits for seconds between its attempts; the rest of it is kept."""
    monkeypatch.setattr(retry_unary, "exponential_sleep_generator", lambda *_, **__: itertools.repeat(0.01))


@pytest.fixture
def open_store(storage_server: StorageServer) -> Callable[..., GcsObjectStore]:
    name = f"b{uuid.uuid4().hex}"
    storage_server.make_bucket(name)
    return lambda **options: GcsObjectStore(name, emulator=storage_server.url, **options)


@pytest.fixture
def store(open_store: Callable[..., GcsObjectStore]) -> GcsObjectStore:
    return open_store()


def generations(server: StorageServer) -> list[str]:
    """The finished generations, each of which is an event."""
    return [made["generation"] for made in server.announced]


# ---------------------------------------------------------------- one write, one generation


def test_a_new_object_is_one_request(store: GcsObjectStore, storage_server: StorageServer) -> None:
    store.write(NAME, b"bars")
    assert storage_server.calls == {INSERT: 1}


def test_an_event_says_what_was_written(store: GcsObjectStore, storage_server: StorageServer) -> None:
    store.write(NAME, b"bars", metadata={"as_of": "2023-07-22"})
    store.write("models/champion.json", b"{}")
    bars, pointer = storage_server.announced
    assert (bars["bucket"], bars["name"], bars["size"]) == (store.bucket, NAME, "4")
    assert bars["metadata"]["as_of"] == "2023-07-22"
    assert (bars["contentType"], pointer["contentType"]) == ("text/csv", "application/json")


@pytest.mark.parametrize(("data", "step"), [(b"bars", INSERT), (LARGE, INSERT), (LARGE, CHUNK)])
@pytest.mark.parametrize("if_generation", [None, ""])
def test_a_connection_dropped_after_the_object_was_stored_makes_one_generation(
    store: GcsObjectStore, storage_server: StorageServer, data: bytes, step: str, if_generation: str | None
) -> None:
    storage_server.fail(step, "drop")
    made = store.write(NAME, data, if_generation=if_generation)
    assert generations(storage_server) == [made]
    assert store.read(NAME) == data


def test_a_connection_dropped_after_an_object_was_replaced_makes_one_generation(
    store: GcsObjectStore, storage_server: StorageServer
) -> None:
    first = store.write(NAME, b"old")
    storage_server.fail(INSERT, "", "drop")
    second = store.write(NAME, b"new")
    assert generations(storage_server) == [first, second]


def test_another_s_write_is_never_taken_for_one_s_own(store: GcsObjectStore, storage_server: StorageServer) -> None:
    theirs = store.write(NAME, b"bars", if_generation="")
    storage_server.fail(INSERT, "503", "503")
    with pytest.raises(PreconditionFailed, match=f"is at generation {theirs}, and None was expected"):
        store.write(NAME, b"bars", if_generation="")


@pytest.mark.parametrize("fault", ["429", "500", "502", "503", "504", "408"])
@pytest.mark.parametrize(("data", "step"), [(b"bars", INSERT), (LARGE, CHUNK)])
def test_an_upload_that_meets_a_passing_fault_is_sent_again(
    store: GcsObjectStore, storage_server: StorageServer, data: bytes, step: str, fault: str
) -> None:
    storage_server.fail(step, fault, fault)
    made = store.write(NAME, data)
    assert generations(storage_server) == [made]
    assert storage_server.calls[step] == 3


def test_many_writers_of_one_name_through_a_bad_network_end_with_a_generation_each(
    store: GcsObjectStore, storage_server: StorageServer
) -> None:
    storage_server.fail(INSERT, *["drop", "", "503"] * 6)
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda number: store.write(NAME, str(number).encode()), range(8)))
    assert len(set(made)) == 8
    assert set(made) <= set(generations(storage_server))


def test_one_of_many_first_writers_through_a_bad_network_wins(
    store: GcsObjectStore, storage_server: StorageServer
) -> None:
    def write(number: int) -> str:
        try:
            return store.write(NAME, b"the same", if_generation="")
        except PreconditionFailed:
            return ""

    storage_server.fail(INSERT, *["drop", "503"] * 8)
    with ThreadPoolExecutor(4) as pool:
        assert [made for made in pool.map(write, range(12)) if made] == generations(storage_server)
    assert len(generations(storage_server)) == 1


def test_a_name_that_others_go_on_replacing_is_given_up(store: GcsObjectStore, storage_server: StorageServer) -> None:
    storage_server.fail(INSERT, *["412"] * 20)
    with pytest.raises(StoreUnavailable, match="replaced by other writers 20 times"):
        store.write(NAME, b"bars")


def test_an_upload_that_was_damaged_on_its_way_is_not_stored(
    store: GcsObjectStore, storage_server: StorageServer
) -> None:
    for data, step in ((b"bars", INSERT), (b"bars" + LARGE, CHUNK)):
        storage_server.fail(step, "spoil")
        with pytest.raises(StoreUnavailable, match="damaged between"):
            store.write(NAME, data)
    assert generations(storage_server) == []


# ---------------------------------------------------------------- reading, copying, deleting


@unread_answers
@pytest.mark.parametrize("fault", ["drop", "cut", "503", "429"])
def test_a_read_that_was_cut_off_is_resumed(store: GcsObjectStore, storage_server: StorageServer, fault: str) -> None:
    data = bytes(range(256)) * 1000
    store.write(NAME, data)
    storage_server.fail(GET, fault, fault)
    assert store.read(NAME) == data
    gc.collect()


def test_what_was_damaged_on_its_way_is_not_read(store: GcsObjectStore, storage_server: StorageServer) -> None:
    store.write(NAME, b"bars")
    storage_server.fail(GET, "spoil")
    with pytest.raises(StoreUnavailable, match="damaged between"):
        store.read(NAME)


def test_without_versioning_a_generation_that_was_replaced_is_gone(store: GcsObjectStore) -> None:
    first, _ = store.write(NAME, b"old"), store.write(NAME, b"new")
    for ask in (lambda: store.read(NAME, generation=first), lambda: store.copy(NAME, KEPT, generation=first)):
        with pytest.raises(ObjectNotFound, match=f"holds no {NAME} at generation {first}"):
            ask()


@pytest.mark.parametrize("fault", ["drop", "503"])
def test_a_copy_that_is_asked_for_again_makes_one_generation(
    store: GcsObjectStore, storage_server: StorageServer, fault: str
) -> None:
    generation = store.write(NAME, b"bars", metadata={"as_of": "2023-07-22"})
    storage_server.fail(COPY, fault)
    copied = store.copy(NAME, KEPT, generation=generation)
    assert generations(storage_server) == [generation, copied]
    assert storage_server.announced[1]["contentType"] == "text/csv"
    assert storage_server.announced[1]["metadata"]["as_of"] == "2023-07-22"


def test_a_delete_that_is_asked_for_again_is_done(store: GcsObjectStore, storage_server: StorageServer) -> None:
    generation = store.write(NAME, b"bars")
    storage_server.fail(DELETE, "503", "drop")
    store.delete(NAME, generation=generation)
    assert store.generation(NAME) == ""


def test_many_names_come_in_pages_and_a_page_that_failed_is_asked_for_again(
    store: GcsObjectStore, storage_server: StorageServer
) -> None:
    names = [f"ohlc/2023-07-22/batch-{number:04d}.csv" for number in range(5)]
    for name in names:
        store.write(name, b"bars")
    storage_server.fail(LIST, "", "503")
    assert store.names("ohlc/") == names
    assert storage_server.calls[LIST] == 4


# ---------------------------------------------------------------- what does not pass


@pytest.mark.parametrize(
    ("fault", "kind", "sentence"),
    [
        ("400", UsageError, "does not accept .*MSFT.csv"),
        ("401", EngineUnusable, "valid credentials.*gcloud auth application-default login"),
        ("403", EngineUnusable, "refuses access.*Storage Object User"),
        ("403 The billing account is disabled", EngineUnusable, "without billing.*Enable"),
        ("403 Rate limit exceeded", StoreUnavailable, "limits the rate"),
        ("404 The specified bucket does not exist.", EngineUnusable, "not found.*TICKERCAST_BUCKET"),
        ("409", StoreUnavailable, "does not answer: .*Check the network"),
        ("412", StoreUnavailable, "replaced by other writers"),
    ],
)
def test_a_refusal_by_google_becomes_a_sentence(
    store: GcsObjectStore, storage_server: StorageServer, fault: str, kind: type[TickercastError], sentence: str
) -> None:
    storage_server.fail(INSERT, *[fault] * 20)
    with pytest.raises(kind, match=sentence) as caught:
        store.write(NAME, b"bars")
    assert "http" not in str(caught.value)
    assert "{" not in str(caught.value)


@pytest.mark.parametrize("ask", ["write", "read", "names", "generation", "copy", "delete"])
def test_a_missing_bucket_is_a_sentence(storage_server: StorageServer, ask: str) -> None:
    store = GcsObjectStore("nowhere", emulator=storage_server.url)
    calls: dict[str, Callable[[], Any]] = {
        "write": lambda: store.write(NAME, b"bars"),
        "read": lambda: store.read(NAME),
        "names": lambda: store.names(""),
        "generation": lambda: store.generation(NAME),
        "copy": lambda: store.copy(NAME, KEPT, generation="1"),
        "delete": lambda: store.delete(NAME, generation="1"),
    }
    with pytest.raises(EngineUnusable, match=r"gs://nowhere was not found.*Create the bucket, or correct TICKERCAST"):
        calls[ask]()


@unread_answers
@pytest.mark.parametrize("fault", ["503", "drop", "slow"])
def test_a_fault_that_does_not_pass_is_reported_within_the_patience(
    open_store: Callable[..., GcsObjectStore], storage_server: StorageServer, fault: str
) -> None:
    storage_server.fail(GET, *[fault] * 200)
    began = time.monotonic()
    with pytest.raises(StoreUnavailable, match="does not answer"):
        open_store(patience_s=0.4).read(NAME)
    assert time.monotonic() - began < 30  # without a limit of its own: sixty and more
    gc.collect()


def test_nobody_listening_is_said_and_reported_within_the_patience(waits: list[str]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    began = time.monotonic()
    with pytest.raises(StoreUnavailable, match=r"ConnectionError at 127\.0\.0\.1"):
        GcsObjectStore("bucket", emulator=url, patience_s=0.4).write(NAME, b"bars")
    assert waits == ["waiting for gs://bucket, up to 0 s"]
    assert time.monotonic() - began < 30  # without a limit of its own: sixty and more


def test_no_credentials_are_a_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    with pytest.raises(EngineUnusable, match="gcloud auth application-default login"):
        GcsObjectStore("bucket").names("")


# ---------------------------------------------------------------- settings


@pytest.mark.parametrize("scheme", ["http://", ""])
def test_the_setting_opens_the_bucket_on_the_emulator_with_a_scheme_and_without(
    store: GcsObjectStore, storage_server: StorageServer, scheme: str
) -> None:
    host = scheme + storage_server.url.removeprefix("http://")
    opened = engines.object_store(Settings(bucket=store.url, storage_emulator_host=host))
    assert opened.read(NAME, generation=store.write(NAME, b"bars")) == b"bars"


# ---------------------------------------------------------------- the stand-in


@pytest.mark.parametrize(
    ("path", "body", "refusal"),
    [
        ("b/bucket/o/x/copyTo/b/bucket/o/y?ifGeneration=0", {}, "no parameter ifGeneration"),
        ("b", {"name": "bucket", "versionning": {}}, "no field versionning"),
        ("b/bucket/objects", {}, "no method POST"),
    ],
)
def test_the_stand_in_refuses_what_google_has_not_published(
    storage_server: StorageServer, path: str, body: dict[str, Any], refusal: str
) -> None:
    request = urllib.request.Request(f"{storage_server.url}/storage/v1/{path}", json.dumps(body).encode())
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=10)
    with caught.value as answer:
        assert refusal in json.load(answer)["error"]["message"]
    assert refusal in storage_server.refused.pop()
