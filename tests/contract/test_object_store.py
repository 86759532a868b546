"""The contract of the object stores, checked on each of them.

Google's own client talks to the strict stand-in of `tests/support/storage_server.py`, to gcp-storage-emulator, and to
any other emulator that STORAGE_EMULATOR_HOST names; with TICKERCAST_TEST_PROJECT set and credentials at hand the same
tests run on Google Cloud, in a bucket that is created and deleted for each. botocore talks to the strict stand-in of
`tests/support/s3_server.py`, to s3rver, and to the bucket that TICKERCAST_TEST_S3 names, which is emptied.
"""

import errno
import functools
import itertools
import re
import socket
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from gcp_storage_emulator.server import create_server
from google.api_core import exceptions as api
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

from tickercast.backends.object_store.drops import Drops
from tickercast.backends.object_store.gcs import GcsObjectStore
from tickercast.backends.object_store.local import LocalObjectStore
from tickercast.domain.objects import REPEATS, repeating
from tickercast.errors import EngineUnusable, LeaseHeld, ObjectNotFound, PreconditionFailed, UsageError
from tickercast.jobs.daily import lease as leases
from tickercast.jobs.daily.lease import TERM, Lease, lease
from tickercast.ports import ObjectStore

NAME = "ohlc/2023-07-22/MSFT.csv"
COPY = "quarantine/ohlc/2023-07-22/MSFT.1.csv"

PRECONDITIONS, GENERATIONS = "preconditions", "old generations"
LACKS = {
    "gcp-storage-emulator": {PRECONDITIONS, GENERATIONS},
    "S3 without versions": {GENERATIONS},
    "s3rver": {GENERATIONS, PRECONDITIONS},
}
"""The abilities that an emulator lacks; another one is asked."""


@pytest.fixture(scope="session")
def storage_emulator() -> Iterator[str]:
    """gcp-storage-emulator on a free port, in memory."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with create_server("127.0.0.1", port, in_memory=True):
        yield f"http://127.0.0.1:{port}"


STORES = [
    *("local", "strict", "gcp-storage-emulator", "another emulator", "Google Cloud"),
    *("S3", "S3 without versions", "s3rver", "another S3"),
]


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ObjectStore]:
    """An empty store; a test that asks for what it lacks is skipped."""
    urls = {"strict": "storage_server", "gcp-storage-emulator": "storage_emulator", "another emulator": "other_storage"}
    if request.param == "local":
        yield LocalObjectStore(tmp_path / "bucket")
        return
    if "s3" in request.param.lower():
        skip_for_lack(request, LACKS.get(request.param, set()))
        if request.param.startswith("S3"):
            yield request.getfixturevalue("make_s3_store")(versioned=request.param == "S3")
        else:
            yield request.getfixturevalue("s3rver" if request.param == "s3rver" else "other_s3")
        return
    project = request.getfixturevalue("google_project") if request.param == "Google Cloud" else "test-project"
    url = request.getfixturevalue(urls[request.param]) if request.param in urls else ""
    emulator = getattr(url, "url", url)
    with bucket(project, emulator) as made:
        lacks = lacking(made) if request.param == "another emulator" else LACKS.get(request.param, set())
        skip_for_lack(request, lacks)
        yield GcsObjectStore(made.name, emulator=emulator)


def skip_for_lack(request: pytest.FixtureRequest, lacks: set[str]) -> None:
    for marker in request.node.iter_markers("needs"):
        if lacks & set(marker.args):
            pytest.skip(f"{request.param} has no {' and '.join(sorted(lacks & set(marker.args)))}")


@contextmanager
def bucket(project: str, emulator: str) -> Iterator[storage.Bucket]:
    """A versioned bucket, deleted with its content afterwards."""
    client = storage.Client(
        project,
        credentials=AnonymousCredentials() if emulator else None,
        client_options={"api_endpoint": emulator} if emulator else None,
    )
    made = client.bucket(f"tickercast-test-{uuid.uuid4().hex}")
    made.versioning_enabled = True
    made.create()
    yield made
    for blob in list(made.list_blobs(versions=True)):
        made.blob(blob.name, generation=blob.generation).delete()
    made.delete()
    client.close()


def lacking(made: storage.Bucket) -> set[str]:
    """The features that an unknown emulator lacks."""
    lacks = set()
    probe = made.blob("probe")
    probe.upload_from_string(b"1", if_generation_match=0)
    try:
        made.blob("probe").upload_from_string(b"2", if_generation_match=0)
        lacks.add(PRECONDITIONS)
    except api.PreconditionFailed:
        made.blob("probe").upload_from_string(b"2")
    try:
        if made.blob("probe", generation=probe.generation).download_as_bytes() != b"1":
            lacks.add(GENERATIONS)
    except api.NotFound:
        lacks.add(GENERATIONS)
    made.blob("probe").delete()
    return lacks


def test_what_was_written_is_read(store: ObjectStore) -> None:
    generation = store.write(NAME, b"bars")
    assert store.read(NAME) == b"bars"
    assert store.read(NAME, generation=generation) == b"bars"
    assert store.generation(NAME) == generation


@pytest.mark.parametrize("size", [0, 9 * 2**20])
def test_empty_and_large_content_is_kept_to_the_byte(store: ObjectStore, size: int) -> None:
    data = bytes(range(256)) * (size // 256)
    store.write(NAME, data)
    assert store.read(NAME) == data


@pytest.mark.parametrize("name", ["ohlc/2023-07-22/^GSPC.csv", "ohlc/2023-07-22/BRK B=+&?#%2F:é.csv"])
def test_any_letters_of_a_name_are_kept(store: ObjectStore, name: str) -> None:
    generation = store.write(name, b"bars")
    assert store.names("ohlc/") == [name]
    assert store.read(name, generation=generation) == b"bars"


def test_the_newest_generation_is_read_by_default(store: ObjectStore) -> None:
    first, second = store.write(NAME, b"old"), store.write(NAME, b"new")
    assert first != second == store.generation(NAME)
    assert store.read(NAME) == b"new"


@pytest.mark.needs(PRECONDITIONS)
@pytest.mark.parametrize("minutes", [-11, 11])
def test_a_lease_holds_by_the_clock_of_the_store(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch, minutes: int
) -> None:
    theirs = datetime.now(UTC) + timedelta(minutes=minutes)
    held = Lease(machine="another", process=1, until=theirs + TERM)
    store.write("locks/daily.json", held.model_dump_json().encode())
    with (
        pytest.raises(LeaseHeld, match="holds the lock on another"),
        lease(store, "daily", now=lambda: datetime.now(UTC)),
    ):
        pass
    assert store.names("locks/") == ["locks/daily.json"]
    with monkeypatch.context() as later:
        later.setattr(leases, "TERM", timedelta(0))
        took = leases.Hold(store, "locks/daily.json", "daily", lambda: datetime.now(UTC))
    took.give_back()
    assert store.names("locks/") == []


@pytest.mark.needs(GENERATIONS)
def test_an_older_generation_can_still_be_read(store: ObjectStore) -> None:
    first, _ = store.write(NAME, b"old"), store.write(NAME, b"new")
    assert store.read(NAME, generation=first) == b"old"


def test_what_does_not_exist_has_no_generation_and_cannot_be_read(store: ObjectStore) -> None:
    assert store.generation(NAME) == ""
    with pytest.raises(ObjectNotFound, match="MSFT"):
        store.read(NAME)


@pytest.mark.needs(GENERATIONS)
def test_a_generation_that_does_not_exist_cannot_be_read(store: ObjectStore) -> None:
    store.write(NAME, b"bars")
    for other in ("1", "no-such-generation", "../../x", "9" * 30):
        with pytest.raises(ObjectNotFound, match=f"generation {other}" if other.isalnum() else NAME):
            store.read(NAME, generation=other)


@pytest.mark.needs(GENERATIONS)
def test_each_generation_has_the_time_of_its_writing(store: ObjectStore) -> None:
    first, second = store.write(NAME, b"1"), store.write(NAME, b"2")
    before, after = store.written_at(NAME, generation=first), store.written_at(NAME, generation=second)
    assert before.utcoffset() == after.utcoffset() == timedelta()
    assert before < after
    assert abs(datetime.now(UTC) - after) < timedelta(minutes=5)
    assert store.written_at(NAME, generation=first) == before


@pytest.mark.needs(GENERATIONS)
def test_a_write_that_repeats_an_older_one_comes_right_after_it(store: ObjectStore) -> None:
    older = store.written_at(NAME, generation=store.write(NAME, b"1")) - timedelta(days=3)
    again = store.write(NAME, b"1", metadata=repeating(older))
    assert store.written_at(NAME, generation=again) == older + timedelta(microseconds=1)


@pytest.mark.parametrize("text", ["2999-01-01T00:00:00+00:00", "2020-01-01T00:00:00", "yesterday"])
def test_a_time_that_no_repeated_write_can_have_does_not_count(store: ObjectStore, text: str) -> None:
    generation = store.write(NAME, b"1", metadata={REPEATS: text})
    assert abs(datetime.now(UTC) - store.written_at(NAME, generation=generation)) < timedelta(minutes=5)


@pytest.mark.needs(GENERATIONS)
def test_what_is_not_there_has_no_time_of_writing(store: ObjectStore) -> None:
    with pytest.raises(ObjectNotFound):
        store.written_at(NAME, generation="1")
    generation = store.write(NAME, b"1")
    with pytest.raises(ObjectNotFound):
        store.written_at(NAME, generation="2")
    store.delete(NAME, generation=generation)
    with pytest.raises(ObjectNotFound):
        store.written_at(NAME, generation=generation)


@pytest.mark.needs(PRECONDITIONS)
def test_a_write_with_the_wrong_precondition_changes_nothing(store: ObjectStore) -> None:
    generation = store.write(NAME, b"bars", if_generation="")
    for wrong in ("", "1"):
        with pytest.raises(PreconditionFailed, match=re.escape(generation)):
            store.write(NAME, b"other", if_generation=wrong)
    assert store.read(NAME) == b"bars"
    assert store.write(NAME, b"next", if_generation=generation) == store.generation(NAME) != generation


@pytest.mark.needs(PRECONDITIONS)
def test_a_write_is_refused_although_the_content_that_it_replaces_is_back(store: ObjectStore) -> None:
    decided_at = store.write(NAME, b"a")
    store.write(NAME, b"b")
    store.write(NAME, b"a")
    with pytest.raises(PreconditionFailed):
        store.write(NAME, b"c", if_generation=decided_at)
    assert store.read(NAME) == b"a"


@pytest.mark.needs(PRECONDITIONS)
def test_only_one_of_many_first_writers_wins(store: ObjectStore) -> None:
    def write(number: int) -> bool:
        try:
            store.write(NAME, b"the same", if_generation="")
        except PreconditionFailed:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(write, range(32))) == 1


def test_each_of_many_writers_without_a_precondition_makes_one_generation(store: ObjectStore) -> None:
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda number: store.write(NAME, str(number).encode()), range(12)))
    assert len(set(made)) == 12
    assert store.generation(NAME) in made


def test_names_are_listed_by_prefix_and_sorted(store: ObjectStore) -> None:
    assert store.names("") == []
    for name in ("b/2.csv", "a/1.csv", "b/1.csv", "b/10.csv", "b/c/3.csv"):
        store.write(name, b"")
    assert store.names("b/") == sorted(store.times("b/")) == ["b/1.csv", "b/10.csv", "b/2.csv", "b/c/3.csv"]
    assert store.names("") == ["a/1.csv", "b/1.csv", "b/10.csv", "b/2.csv", "b/c/3.csv"]
    assert store.names("b/", limit=2) == ["b/1.csv", "b/10.csv"]


def test_live_generations_are_listed_by_prefix(store: ObjectStore) -> None:
    names = ["b/1.csv", "b/2.csv", "b/gone.csv"]
    for name in ("a/1.csv", *names, "b/2.csv"):
        store.write(name, b"bars")
    store.write("b/2.csv", b"other bars")
    store.delete("b/gone.csv", generation=store.generation("b/gone.csv"))
    assert store.generations("b/") == {name: store.generation(name) for name in names[:2]}
    assert store.generations("c/") == {}


def test_a_folder_of_objects_is_no_object(store: ObjectStore) -> None:
    store.write("models/lstm/1/model.onnx", b"network")
    assert store.names("") == store.names("models/") == ["models/lstm/1/model.onnx"]
    assert store.generation("models/lstm") == store.generation("models/lstm/1") == ""


@pytest.mark.parametrize("name", ["../outside.csv", "/etc/passwd", "a/../../b", "", "a//b", ".generations/x"])
def test_a_name_that_leaves_the_bucket_is_refused(store: ObjectStore, name: str) -> None:
    generation = store.write(NAME, b"bars")
    with pytest.raises(UsageError, match="not an object name"):
        store.write(name, b"")
    with pytest.raises(UsageError, match="not an object name"):
        store.read(name)
    with pytest.raises(UsageError, match="not an object name"):
        store.copy(NAME, name, generation=generation)
    with pytest.raises(UsageError, match="not an object name"):
        store.written_at(name, generation=generation)
    assert store.names("") == [NAME]


def test_a_copy_holds_the_same_and_leaves_the_original(store: ObjectStore) -> None:
    generation = store.write(NAME, b"bars")
    copied = store.copy(NAME, COPY, generation=generation)
    assert store.read(COPY, generation=copied) == store.read(NAME, generation=generation) == b"bars"
    assert store.names("") == [NAME, COPY]


@pytest.mark.needs(PRECONDITIONS)
def test_an_existing_copy_is_not_made_again(store: ObjectStore) -> None:
    generation = store.write(NAME, b"bars")
    assert store.copy(NAME, COPY, generation=generation) == store.copy(NAME, COPY, generation=generation)


@pytest.mark.needs(PRECONDITIONS)
def test_concurrent_copies_of_the_same_content_make_one_generation(store: ObjectStore) -> None:
    generation = store.write(NAME, b"bars")
    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(lambda _: store.copy(NAME, COPY, generation=generation), range(8)))) == 1


@pytest.mark.needs(PRECONDITIONS)
def test_a_copy_replaces_other_content(store: ObjectStore) -> None:
    generation, before = store.write(NAME, b"bars"), store.write(COPY, b"other")
    assert store.copy(NAME, COPY, generation=generation) == store.generation(COPY) != before
    assert store.read(COPY) == b"bars"


@pytest.mark.needs(GENERATIONS)
def test_a_copy_is_of_the_named_generation(store: ObjectStore) -> None:
    first, _ = store.write(NAME, b"old"), store.write(NAME, b"new")
    store.copy(NAME, COPY, generation=first)
    assert store.read(COPY) == b"old"


@pytest.mark.needs(GENERATIONS)
def test_a_generation_that_is_gone_cannot_be_copied(store: ObjectStore) -> None:
    generation = store.write(NAME, b"bars")
    store.delete(NAME, generation=generation)
    store.write(NAME, b"later")
    with pytest.raises(ObjectNotFound, match=re.escape(generation)):
        store.copy(NAME, COPY, generation=generation)
    assert store.generation(COPY) == ""


def test_what_was_deleted_is_gone_and_can_be_deleted_again(store: ObjectStore) -> None:
    generation = store.write(NAME, b"bars")
    store.delete(NAME, generation=generation)
    store.delete(NAME, generation=generation)
    assert store.generation(NAME) == ""
    assert store.names("") == []
    with pytest.raises(ObjectNotFound):
        store.read(NAME)
    assert store.write(NAME, b"again", if_generation="") == store.generation(NAME) != generation


@pytest.mark.needs(GENERATIONS)
def test_a_delete_touches_no_other_generation(store: ObjectStore) -> None:
    first, second = store.write(NAME, b"old"), store.write(NAME, b"new")
    store.delete(NAME, generation=first)
    assert store.read(NAME) == b"new"
    with pytest.raises(ObjectNotFound):
        store.read(NAME, generation=first)
    third = store.write(NAME, b"newest")
    store.delete(NAME, generation=third)
    assert store.generation(NAME) == ""
    assert store.read(NAME, generation=second) == b"new"


def test_a_finished_write_is_announced_as_cloud_storage_does(tmp_path: Path) -> None:
    announced: list[Mapping[str, Any]] = []
    store = LocalObjectStore(tmp_path / "bucket", announced.append)
    generation = store.write(NAME, b"bars", metadata={"as_of": "2023-07-22"})
    [described] = announced
    assert described["bucket"] == "bucket"
    assert described["name"] == NAME
    assert described["generation"] == generation
    assert described["size"] == "4"
    assert described["contentType"] == "text/csv"
    assert described["metadata"] == {"as_of": "2023-07-22"}


def test_a_deleted_object_is_no_longer_a_file_of_its_name(tmp_path: Path) -> None:
    store = LocalObjectStore(tmp_path / "bucket")
    store.delete(NAME, generation=store.write(NAME, b"bars"))
    assert not (tmp_path / "bucket" / NAME).exists()


def test_the_file_of_a_name_outlives_an_older_generation(tmp_path: Path) -> None:
    store = LocalObjectStore(tmp_path / "bucket")
    older, _ = store.write("a/b.csv", b"one"), store.write("a/b.csv", b"two")
    store.delete("a/b.csv", generation=older)
    assert (tmp_path / "bucket" / "a" / "b.csv").read_bytes() == b"two"


class Killed(BaseException):
    """The end of a process, which does nothing from then on."""


def killed_at_each_step(
    monkeypatch: pytest.MonkeyPatch, root: Path, work: Callable[[LocalObjectStore, str], object]
) -> Iterator[tuple[Path, str]]:
    """Work on an object until the first file changes, until the second and so on, and once to the end.

    Yields:
        A folder of its own for each, and the generation that was live.
    """
    for steps in itertools.count():
        store, left, is_done = LocalObjectStore(root / str(steps)), iter(range(steps)), False
        generation = store.write(NAME, b"bars")

        def step(*given: Any, do: Callable[..., Any], left: Iterator[int] = left, **named: Any) -> Any:
            if next(left, None) is None:
                raise Killed
            return do(*given, **named)

        with monkeypatch.context() as patched, suppress(Killed):
            for name in ("unlink", "replace"):
                patched.setattr(Path, name, functools.partialmethod(step, do=getattr(Path, name)))
            work(store, generation)
            is_done = True
        yield root / store.bucket, generation
        if is_done:
            return


def test_a_delete_that_is_killed_leaves_the_whole_object_or_none_of_it_and_the_next_finishes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = []
    for folder, generation in killed_at_each_step(
        monkeypatch, tmp_path, lambda store, generation: store.delete(NAME, generation=generation)
    ):
        store, live = LocalObjectStore(folder), folder / NAME
        gone.append(store.names("") == [])
        if gone[-1]:
            for ask in (store.read, store.written_at):
                with pytest.raises(ObjectNotFound):
                    ask(NAME, generation=generation)
        else:
            assert (store.generation(NAME), store.read(NAME), live.read_bytes()) == (generation, b"bars", b"bars")
        assert Drops(LocalObjectStore(folder)).names() == []
        store.delete(NAME, generation=generation)
        kept = [path.name for path in (folder / ".generations" / NAME).iterdir() if not path.name.startswith(".")]
        assert (kept, live.exists()) == ([f"{generation}.deleted"], False)
        assert store.write(NAME, b"again", if_generation="") > generation
    assert gone == sorted(gone)
    assert {*gone} == {False, True}


def test_of_deleted_generations_the_highest_number_is_kept_and_no_number_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = LocalObjectStore(tmp_path)
    monkeypatch.setattr(time, "time_ns", lambda: 10**18)  # a clock that stands still, and so is put back
    given = []
    for _ in range(3):
        given += [store.write(NAME, b"bars"), store.write(NAME, b"newer bars")]
        for generation in given[-2:]:
            store.delete(NAME, generation=generation)
            with pytest.raises(ObjectNotFound):
                store.read(NAME, generation=generation)
        kept = [path.name for path in (tmp_path / ".generations" / NAME).iterdir()]
        assert (kept, store.generation(NAME)) == ([f"{given[-1]}.deleted"], "")
    assert given == sorted({*given})


def test_a_write_that_is_killed_leaves_the_old_object_or_the_new_and_the_next_finishes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for folder, generation in killed_at_each_step(
        monkeypatch, tmp_path, lambda store, _: store.write(NAME, b"newer bars")
    ):
        store = LocalObjectStore(folder)
        found.append(store.read(NAME))
        assert (store.read(NAME, generation=generation), Drops(LocalObjectStore(folder)).names()) == (b"bars", [])
        store.write(NAME, b"newer bars")
        assert (store.read(NAME), (folder / NAME).read_bytes()) == (b"newer bars", b"newer bars")
    assert found == sorted(found)
    assert {*found} == {b"bars", b"newer bars"}


def test_generations_rise_while_the_clock_stands_still(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time_ns", lambda: 5_000)
    store = LocalObjectStore(tmp_path / "bucket")
    assert [store.write("a", b"one"), store.write("a", b"two"), store.read("a")] == ["5", "6", b"two"]


def test_the_live_content_is_a_file_of_its_name(tmp_path: Path) -> None:
    LocalObjectStore(tmp_path / "bucket").write(NAME, b"bars")
    assert (tmp_path / "bucket" / NAME).read_bytes() == b"bars"


def test_a_file_in_the_place_of_a_folder_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "bucket").write_text("a file is in the way")
    with pytest.raises(EngineUnusable, match="is a file: a folder was needed"):
        LocalObjectStore(tmp_path / "bucket").write(NAME, b"bars")


@pytest.mark.parametrize(
    ("in_the_way", "name", "sentence"),
    [
        (f"{NAME}/a.csv", NAME, f"{NAME} is a folder: a file was needed. Move it away"),
        ("a.csv", "a.csv/b.csv", "a.csv is a file: a folder was needed for a.csv/b.csv. Move it away"),
    ],
)
def test_a_write_to_a_place_that_is_taken_says_what_is_in_the_way_and_leaves_nothing(
    tmp_path: Path, in_the_way: str, name: str, sentence: str
) -> None:
    other = tmp_path / in_the_way
    other.parent.mkdir(parents=True, exist_ok=True)
    other.touch()
    store = LocalObjectStore(tmp_path, announce=lambda _: pytest.fail("announced"))
    with pytest.raises(EngineUnusable, match=f"{tmp_path}/{sentence}"):
        store.write(name, b"bars")
    assert (store.names(""), store.generation(name)) == ([], "")


@pytest.mark.parametrize("failing", [1, 2, 3])
def test_a_write_that_fails_at_any_of_its_files_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    announced: list[Mapping[str, Any]] = []
    store = LocalObjectStore(tmp_path, announced.append)
    first = store.write(NAME, b"old")
    replaced: list[Path] = []
    replace = Path.replace

    def full(path: Path, target: Path) -> Path:
        replaced.append(target)
        if len(replaced) == failing:
            raise OSError(errno.ENOSPC, "No space left on device", str(target))
        return replace(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", full)
        with pytest.raises(EngineUnusable, match="the disk is full"):
            store.write(NAME, b"new")
    assert (store.generation(NAME), store.read(NAME)) == (first, b"old")
    assert (tmp_path / NAME).read_bytes() == b"old"
    files = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert files == {"MSFT.csv", first, f"{first}.json"} | ({".lock"} & files)
    store.write(NAME, b"new", if_generation=first)
    assert [each["size"] for each in announced] == ["3", "3"]


def test_a_folder_that_is_closed_is_named_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(**given: object) -> tuple[int, str]:
        raise PermissionError(errno.EACCES, "Permission denied", f"{given['dir']}/.g7y_8ayl")

    monkeypatch.setattr(tempfile, "mkstemp", closed)
    with pytest.raises(EngineUnusable, match=rf"\({tmp_path}/ohlc/2023-07-22\) is closed to this user"):
        LocalObjectStore(tmp_path).write(NAME, b"bars")
