"""An event whose bucket refuses to answer stays unanswered: a refusal is no word about the object."""

import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.support.place import Place
from tests.support.storage_server import COPY, GET, StorageServer

from tickercast.backends.object_store.gcs import GcsObjectStore
from tickercast.domain.bars import Bars
from tickercast.domain.files.price_files import to_csv
from tickercast.errors import EngineUnusable
from tickercast.jobs.operations.alerts import _is_live
from tickercast.ports import ObjectFinalized, ObjectStore

AT = datetime(2023, 7, 22, 12, tzinfo=UTC)
NAME = "ohlc/2023-07-22/MSFT.csv"
REFUSALS = {
    "gs": ("403", "403 The billing account is disabled", "404 The specified bucket does not exist.", "401"),
    "s3": ("403 AccessDenied", "403 InvalidAccessKeyId", "404 NoSuchBucket", "400 ExpiredToken"),
}


@pytest.fixture(params=["gs", "s3"])
def refusing(request: pytest.FixtureRequest) -> tuple[ObjectStore, Callable[..., None], dict[str, str]]:
    """A store, what orders refusals, and the names of its operations."""
    if request.param == "gs":
        server: StorageServer = request.getfixturevalue("storage_server")
        name = f"b{uuid.uuid4().hex}"
        server.make_bucket(name)
        return GcsObjectStore(name, emulator=server.url), server.fail, {"live": GET, "copy": COPY}
    store = request.getfixturevalue("make_s3_store")()
    return store, request.getfixturevalue("s3_server").fail, {"live": "ListObjectVersions", "copy": "CopyObject"}


def place_of(tmp_path: Path, store: ObjectStore) -> Place:
    place = Place(tmp_path)
    place.store = store  # type: ignore[assignment]
    return place


def sent(place: Place, data: bytes) -> ObjectFinalized:
    generation = place.store.write(NAME, data)
    return ObjectFinalized(place.store.bucket, NAME, generation, len(data), "1", AT)


@pytest.mark.parametrize("number", range(4))
def test_a_refusal_is_not_taken_for_a_deleted_file(
    refusing: Any, tmp_path: Path, make_bars: Callable[..., Bars], number: int
) -> None:
    store, fail, operations = refusing
    refusal = REFUSALS["gs" if isinstance(store, GcsObjectStore) else "s3"][number]
    place = place_of(tmp_path, store)
    event = sent(place, to_csv([make_bars()]))
    fail(operations["live"], refusal)
    with pytest.raises(EngineUnusable):
        place.handle(event)
    assert place.warehouse.read("ingestions").empty
    assert [one.bars.symbol for one in place.handle(event).series] == ["MSFT"]


def test_a_quarantine_that_is_refused_is_filled_by_the_next_delivery(refusing: Any, tmp_path: Path) -> None:
    store, fail, operations = refusing
    place = place_of(tmp_path, store)
    event = sent(place, b"not,a,price\n1,2,3\n")
    fail(operations["copy"], "403 AccessDenied" if operations["copy"] == "CopyObject" else "403")
    with pytest.raises(EngineUnusable):
        place.handle(event)
    assert place.warehouse.read("ingestions").empty
    assert place.handle(event).status == "rejected"
    assert len(store.names("quarantine/")) == 2


def test_a_rejected_file_is_not_settled_by_a_refusal(refusing: Any, tmp_path: Path) -> None:
    store, fail, operations = refusing
    generation = store.write(NAME, b"x")
    fail(operations["live"], "403 AccessDenied" if operations["copy"] == "CopyObject" else "403")
    with pytest.raises(EngineUnusable):
        _is_live(NAME, generation, store)
    assert _is_live(NAME, generation, store)
    assert not _is_live("a/../b", "1", store)
