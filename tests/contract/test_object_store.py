from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tickercast.backends.object_store_local import LocalObjectStore
from tickercast.errors import ObjectNotFound, PreconditionFailed, StoreUnavailable, UsageError
from tickercast.ports import ObjectStore

NAME = "ohlc/2023-07-22/MSFT.csv"

MakeStore = Callable[..., ObjectStore]


@pytest.fixture(params=["local"])
def make_store(request: pytest.FixtureRequest, tmp_path: Path) -> MakeStore:
    match request.param:
        case "local":
            return lambda announce=None: LocalObjectStore(tmp_path / "bucket", announce)
    raise AssertionError(request.param)


def test_what_was_written_is_read(make_store: MakeStore) -> None:
    store = make_store()
    generation = store.write(NAME, b"bars")
    assert store.read(NAME) == b"bars"
    assert store.read(NAME, generation=generation) == b"bars"
    assert store.generation(NAME) == generation


def test_an_older_generation_can_still_be_read(make_store: MakeStore) -> None:
    store = make_store()
    first, second = store.write(NAME, b"old"), store.write(NAME, b"new")
    assert first < second
    assert store.read(NAME, generation=first) == b"old"
    assert store.read(NAME) == b"new"


def test_what_does_not_exist_has_generation_zero_and_cannot_be_read(make_store: MakeStore) -> None:
    store = make_store()
    assert store.generation(NAME) == 0
    with pytest.raises(ObjectNotFound, match="MSFT"):
        store.read(NAME)
    store.write(NAME, b"bars")
    with pytest.raises(ObjectNotFound, match="generation 1"):
        store.read(NAME, generation=1)


def test_a_write_with_the_wrong_precondition_changes_nothing(make_store: MakeStore) -> None:
    store = make_store()
    generation = store.write(NAME, b"bars", if_generation=0)
    for wrong in (0, generation - 1):
        with pytest.raises(PreconditionFailed, match=str(generation)):
            store.write(NAME, b"other", if_generation=wrong)
    assert store.read(NAME) == b"bars"
    assert store.write(NAME, b"next", if_generation=generation) > generation


def test_only_one_of_many_first_writers_wins(make_store: MakeStore) -> None:
    store = make_store()

    def write(number: int) -> bool:
        try:
            store.write(NAME, str(number).encode(), if_generation=0)
        except PreconditionFailed:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(write, range(32))) == 1


def test_names_are_listed_by_prefix_and_sorted(make_store: MakeStore) -> None:
    store = make_store()
    for name in ("b/2.csv", "a/1.csv", "b/1.csv"):
        store.write(name, b"")
    assert store.names("b/") == ["b/1.csv", "b/2.csv"]
    assert store.names("") == ["a/1.csv", "b/1.csv", "b/2.csv"]


@pytest.mark.parametrize("name", ["../outside.csv", "/etc/passwd", "a/../../b", "", "a//b", ".generations/x"])
def test_a_name_that_leaves_the_bucket_is_refused(make_store: MakeStore, name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no object name"):
        make_store().write(name, b"")
    assert not (tmp_path / "bucket").exists()


def test_a_finished_write_is_announced_with_what_cloud_storage_would_say(make_store: MakeStore) -> None:
    announced: list[Mapping[str, Any]] = []
    generation = make_store(announced.append).write(NAME, b"bars", metadata={"as_of": "2023-07-22"})
    [described] = announced
    assert described["bucket"] == "bucket"
    assert described["name"] == NAME
    assert described["generation"] == str(generation)
    assert described["size"] == "4"
    assert described["contentType"] == "text/csv"
    assert described["metadata"] == {"as_of": "2023-07-22"}


def test_the_live_content_lies_where_people_look_for_it(tmp_path: Path) -> None:
    LocalObjectStore(tmp_path / "bucket").write(NAME, b"bars")
    assert (tmp_path / "bucket" / NAME).read_bytes() == b"bars"


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "bucket").write_text("a file is in the way")
    with pytest.raises(StoreUnavailable, match="cannot be used"):
        LocalObjectStore(tmp_path / "bucket").write(NAME, b"bars")
