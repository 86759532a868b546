"""S3: no key is in an error, a log or an address, and an event is believed as far as the store confirms it."""

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

pytest.importorskip("botocore", reason="the extra aws is not installed")

from tests.support.place import Place
from tests.support.s3_server import GET, S3Server

from tickercast import engines
from tickercast.backends import s3_events
from tickercast.backends.object_store import s3
from tickercast.backends.object_store.s3 import S3ObjectStore
from tickercast.config import Settings
from tickercast.domain.bars import Bars
from tickercast.domain.files.price_files import to_csv
from tickercast.errors import TickercastError, UsageError
from tickercast.jobs.serving.handle_event import Limits
from tickercast.ports import ObjectFinalized

NAME = "ohlc/2023-07-22/MSFT.csv"
SECRET = "a-secret-that-nothing-may-show"
AT = datetime(2023, 7, 22, 12, tzinfo=UTC)

Make = Callable[..., S3ObjectStore]


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3, "_FIRST_PAUSE_S", 0.001)


@pytest.fixture(params=[True, False], ids=["versions", "no versions"])
def place(request: pytest.FixtureRequest, tmp_path: Path, make_s3_store: Make) -> Place:
    made = Place(tmp_path)
    made.store = make_s3_store(versioned=request.param)
    return made


def event(place: Place, name: str, generation: str, size: int = 1) -> ObjectFinalized:
    return ObjectFinalized(place.store.bucket, name, generation, size, "1", AT)


# ---------------------------------------------------------------- keys


def test_no_credential_is_in_errors_or_logs(
    make_s3_store: Make, s3_server: S3Server, caplog: pytest.LogCaptureFixture
) -> None:
    store = make_s3_store(patience_s=0.1)
    with caplog.at_level(logging.INFO):
        for fault in ("403 SignatureDoesNotMatch", "503", "drop", "403 AccessDenied"):
            s3_server.fail(GET, *[fault] * 200)
            with pytest.raises(TickercastError) as caught:
                store.read(NAME)
            s3_server.reset()
            assert SECRET not in repr(caught.value) + str(caught.value)
    assert SECRET not in caplog.text
    assert "AKIA" not in caplog.text
    assert SECRET not in repr(vars(store))


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("s3://", "s3://BUCKET was needed"),
        ("s3://bucket/folder", "no folder"),
        ("s3://Bucket", "s3://BUCKET"),
        ("s3://bucket?regoin=x", "&region=REGION"),
        ("s3://bucket?versioning=off", "versioning=none"),
        ("s3://key:secret@bucket", "s3://BUCKET"),
        ("s3://bucket?endpoint=host", "https://HOST"),
        ("s3://bucket?endpoint=https://key:secret@host", "keys belong in AWS_ACCESS_KEY_ID"),
        ("s3://bucket?endpoint=https://host/path", "https://HOST"),
    ],
)
def test_a_wrong_address_is_a_sentence_without_its_secret(url: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence) as caught:
        engines.object_store(Settings(bucket=url))
    assert "key:secret" not in str(caught.value)


# ---------------------------------------------------------------- events


@pytest.mark.parametrize("name", [NAME, "ohlc/2023-07-22/never.csv", "ohlc/odd name"])
def test_a_write_that_never_was_is_not_accounted_for(place: Place, make_bars: Callable[..., Bars], name: str) -> None:
    real = place.store.write(NAME, to_csv([make_bars()]))
    for forged in ("1", "null", "../x", real[:-1], "x" * 1000):
        outcome = place.handle(event(place, name, forged))
        replaced = name == NAME and not place.store.keeps_generations  # as far as can be told without versions
        assert outcome.status == ("superseded" if replaced else "ignored")
    assert place.warehouse.read("forecasts").empty
    assert place.store.names("quarantine/") == []
    assert [one.bars.symbol for one in place.handle(event(place, NAME, real)).series] == ["MSFT"]


def test_a_file_that_is_too_large_is_rejected_unread(place: Place, s3_server: S3Server) -> None:
    place.limits = Limits(largest_file=1000)
    generation = place.store.write(NAME, b"x" * 2000)
    outcome = place.handle(event(place, NAME, generation, 2000))
    assert "at most 0.001 are read" in str(next(iter(outcome.failures.values())))
    assert s3_server.calls[GET] == 0
    assert [name for name in place.store.names("quarantine/") if name.endswith(".csv")]


@pytest.mark.parametrize("name", ["ohlc/../x.csv", "ohlc//A.csv", "ohlc/2023-07-22/../../models/champion.json"])
def test_a_name_that_leads_elsewhere_is_rejected_and_nothing_is_written(place: Place, name: str) -> None:
    record = {
        "eventName": "ObjectCreated:Put",
        "eventTime": AT.isoformat(),
        "s3": {"bucket": {"name": place.store.bucket}, "object": {"key": name, "versionId": "v", "size": 1}},
    }
    [message] = s3_events.read({"Records": [record]})
    [written] = message.writes
    assert isinstance(written, ObjectFinalized)
    outcome = place.handle(written)
    assert outcome.status == "rejected"
    assert place.store.names("") == []
