"""The S3 engine over a network that fails; botocore talks to a strict stand-in."""

import inspect
import re
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, tzinfo
from typing import Any

import pytest
from tests.support.s3_server import COPY, DELETE, GET, LIST, PUT, VERSIONING, VERSIONS, S3Server

botocore = pytest.importorskip("botocore", reason="the extra aws is not installed")

from botocore import exceptions as boto  # noqa: E402

from tickercast import engines  # noqa: E402
from tickercast.backends.object_store import s3  # noqa: E402
from tickercast.backends.object_store.s3 import S3ObjectStore  # noqa: E402
from tickercast.backends.object_store.s3_errors import translated  # noqa: E402
from tickercast.config import Settings  # noqa: E402
from tickercast.errors import (  # noqa: E402
    EngineUnusable,
    PreconditionFailed,
    StoreUnavailable,
    TickercastError,
    UsageError,
)

NAME = "ohlc/2023-07-22/MSFT.csv"
KEPT = "quarantine/ohlc/2023-07-22/MSFT.v-1.csv"
SECRET = "a-secret-that-nothing-may-show"

Make = Callable[..., S3ObjectStore]


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3, "_FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr(s3, "_LONGEST_PAUSE_S", 0.01)


@pytest.fixture(params=[True, False], ids=["versions", "no versions"])
def store(request: pytest.FixtureRequest, make_s3_store: Make) -> S3ObjectStore:
    return make_s3_store(versioned=request.param)


# ---------------------------------------------------------------- one write, one version


@pytest.mark.parametrize("if_generation", [None, ""])
@pytest.mark.parametrize("fault", ["drop", "500", "503", "409", "429", "400 RequestTimeout"])
def test_a_write_that_meets_a_passing_fault_makes_one_version(
    store: S3ObjectStore, s3_server: S3Server, fault: str, if_generation: str | None
) -> None:
    s3_server.fail(PUT, fault, fault if fault != "drop" else "")
    made = store.write(NAME, b"bars", if_generation=if_generation)
    assert len(s3_server.announced) == 1
    assert store.generation(NAME) == made
    assert store.read(NAME, generation=made) == b"bars"


@pytest.mark.parametrize("faults", [["drop"], ["", "drop"]], ids=["of its lock", "of itself"])
def test_a_lost_answer_to_a_write_of_the_same_content_makes_no_second_version(
    store: S3ObjectStore, s3_server: S3Server, faults: list[str]
) -> None:
    first = store.write(NAME, b"bars")
    s3_server.fail(PUT, *faults)
    second = store.write(NAME, b"bars", if_generation=first)
    assert first != second == store.generation(NAME)
    assert [record["s3"]["object"]["key"] for record in s3_server.announced].count(NAME) == 2


def test_a_write_whose_answer_was_lost_is_found_below_a_newer_one(make_s3_store: Make, s3_server: S3Server) -> None:
    store = make_s3_store()

    def overtake(record: Any) -> None:
        s3_server.trigger = lambda _: None
        newer.append(store.write(NAME, b"newer"))

    newer: list[str] = []
    s3_server.trigger = overtake
    s3_server.fail(PUT, "drop")
    mine = store.write(NAME, b"mine")
    assert store.read(NAME, generation=mine) == b"mine"
    assert store.generation(NAME) == newer[0]
    assert len(s3_server.announced) == 2


def test_another_s_write_is_never_taken_for_one_s_own(store: S3ObjectStore, s3_server: S3Server) -> None:
    store.write(NAME, b"bars", if_generation="")
    s3_server.fail(PUT, "503")
    with pytest.raises(PreconditionFailed, match="and None was expected"):
        store.write(NAME, b"bars", if_generation="")


def test_many_writers_through_a_bad_network_end_with_a_version_each(make_s3_store: Make, s3_server: S3Server) -> None:
    store = make_s3_store()
    s3_server.fail(PUT, *["drop", "", "503", "409"] * 3)
    with ThreadPoolExecutor(3) as pool:
        made = list(pool.map(lambda number: store.write(NAME, str(number).encode()), range(6)))
    announced = [record["s3"]["object"]["versionId"] for record in s3_server.announced]
    assert sorted(made) == sorted(announced)


def test_versions_of_one_second_have_times_in_their_order(make_s3_store: Make) -> None:
    store = make_s3_store()
    made = [store.write(NAME, str(number).encode()) for number in range(6)]
    times = [store.written_at(NAME, generation=generation) for generation in made]
    assert times == sorted(set(times))
    assert {found.generation for found in store.arrivals("ohlc/")} == set(made)


def rivals(store: S3ObjectStore, monkeypatch: pytest.MonkeyPatch, generation: str) -> list[str | Exception]:
    """The results of two that replace one generation by its equal, where both have looked before either writes."""
    both, look = threading.Barrier(2), store._has_equal

    def seen(name: str, md5: str) -> bool:
        found = look(name, md5)
        both.wait(timeout=30)
        return found

    def replace(_: int) -> str | Exception:
        try:
            return store.write(NAME, b"bars", if_generation=generation)
        except PreconditionFailed as refused:
            return refused

    monkeypatch.setattr(store, "_has_equal", seen)
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(replace, range(2)))


def test_of_two_that_replace_a_content_by_its_equal_one_is_refused(
    store: S3ObjectStore, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = store.write(NAME, b"bars")
    before = len(s3_server.announced)
    became = rivals(store, monkeypatch, first)
    assert sorted(type(one).__name__ for one in became) == ["PreconditionFailed", "str"]
    written = [record["s3"]["object"]["key"] for record in s3_server.announced[before:]]
    assert written.count(NAME) == 1
    assert store.names("locks/") == []


def test_the_lock_of_a_writer_that_died_is_taken_over_and_of_one_that_lives_is_not(
    make_s3_store: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = make_s3_store()
    first = store.write(NAME, b"bars")
    locked = store._alone(NAME)
    locked.__enter__()  # and never left
    with monkeypatch.context() as impatient:
        impatient.setattr(store, "_patience_s", 1.0)
        with pytest.raises(StoreUnavailable, match="is being replaced by another writer"):
            store.write(NAME, b"bars", if_generation=first)

    class Later(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:
            return datetime.now(tz) + timedelta(minutes=6)

    monkeypatch.setattr(s3, "datetime", Later)
    assert store.generation(NAME) == first
    assert store.write(NAME, b"bars", if_generation=first) == store.generation(NAME) != first
    assert store.names("locks/") == []


def test_a_name_that_others_go_on_replacing_is_given_up(store: S3ObjectStore, s3_server: S3Server) -> None:
    s3_server.fail(PUT, *["412"] * 40)
    with pytest.raises(StoreUnavailable, match="replaced by other writers 40 times"):
        store.write(NAME, b"bars")


def test_a_delete_hides_no_write_that_came_between(
    make_s3_store: Make, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = make_s3_store()
    first, other = store.write(NAME, b"old"), make_s3_store()
    other._name = store._name
    ask = store._ask

    def overtaken(operation: str, name: str, **more: Any) -> Any:
        if operation == "delete_object" and "VersionId" not in more:
            other.write(NAME, b"new")
        return ask(operation, name, **more)

    monkeypatch.setattr(store, "_ask", overtaken)
    store.delete(NAME, generation=first)
    assert store.read(NAME) == b"new"


# ---------------------------------------------------------------- reading and copying


@pytest.mark.parametrize("fault", ["drop", "cut", "503", "429"])
def test_a_read_that_was_cut_off_is_done_again(store: S3ObjectStore, s3_server: S3Server, fault: str) -> None:
    data = bytes(range(256)) * 1000
    store.write(NAME, data)
    s3_server.fail(GET, fault, fault)
    assert store.read(NAME) == data


def test_what_was_damaged_on_its_way_is_neither_stored_nor_read(store: S3ObjectStore, s3_server: S3Server) -> None:
    s3_server.fail(PUT, *["spoil"] * 2)
    store.write(NAME, b"bars")
    assert store.read(NAME) == b"bars"
    s3_server.fail(GET, "spoil")
    with pytest.raises(StoreUnavailable, match="damaged between"):
        store.read(NAME)


@pytest.mark.parametrize("fault", ["drop", "503", "501"])
def test_a_copy_that_is_asked_for_again_makes_one_version(
    store: S3ObjectStore, s3_server: S3Server, fault: str
) -> None:
    generation = store.write(NAME, b"bars")
    s3_server.fail(COPY, fault)
    copied = store.copy(NAME, KEPT, generation=generation)
    assert store.generation(KEPT) == copied
    assert store.read(KEPT) == b"bars"
    assert len(s3_server.announced) == 2


def test_many_names_come_in_pages(make_s3_store: Make, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    store = make_s3_store()
    ask = store._call
    monkeypatch.setattr(
        store,
        "_call",
        lambda operation, **more: ask(operation, **(more | {"MaxKeys": 2} if operation.startswith("list") else more)),
    )
    names = [f"ohlc/2023-07-22/batch-{number:04d}.csv" for number in range(5)]
    for name in names:
        store.write(name, b"bars")
    s3_server.fail(LIST, "", "503")
    assert store.names("ohlc/") == names
    assert [found.name for found in store.arrivals("ohlc/")] == names


def test_an_object_of_another_writer_is_read_and_replaced(make_s3_store: Make) -> None:
    for versioned in (True, False):
        store = make_s3_store(versioned=versioned)
        store._s3.put_object(Bucket=store.bucket, Key=NAME, Body=b"theirs")
        live = store.generation(NAME)
        assert store.read(NAME, generation=live) == b"theirs"
        assert store.write(NAME, b"ours", if_generation=live) != live


# ---------------------------------------------------------------- what does not pass


@pytest.mark.parametrize("state", ["", "Suspended"])
def test_a_bucket_without_versions_is_one_sentence(s3_server: S3Server, state: str) -> None:
    name = s3_server.make_bucket(versioning=state)
    store = S3ObjectStore(name, endpoint=s3_server.url)
    with pytest.raises(EngineUnusable, match=r"keeps no versions .*put-bucket-versioning.*\?versioning=none") as caught:
        store.write(NAME, b"bars")
    assert str(caught.value).count(". ") == 1
    assert s3_server.calls[PUT] == 0


def test_a_store_that_has_never_heard_of_versions_is_the_same_sentence(
    make_s3_store: Make, s3_server: S3Server
) -> None:
    s3_server.fail(VERSIONING, "501")
    with pytest.raises(EngineUnusable, match="versioning is not offered"):
        make_s3_store().names("")


@pytest.mark.parametrize(
    ("fault", "kind", "sentence"),
    [
        ("400 InvalidArgument", UsageError, "does not accept .*MSFT.csv"),
        ("400 ExpiredToken The provided token has expired.", EngineUnusable, "accept the credentials.*aws sso login"),
        ("403 InvalidAccessKeyId", EngineUnusable, "does not accept the credentials"),
        ("403 SignatureDoesNotMatch", EngineUnusable, "does not accept the credentials"),
        ("403 RequestTimeTooSkewed", EngineUnusable, "clock.*Set the clock"),
        ("403 AccessDenied", EngineUnusable, "refuses access.*s3:PutObject"),
        ("404 NoSuchBucket", EngineUnusable, "not found.*TICKERCAST_BUCKET"),
        ("301 PermanentRedirect", EngineUnusable, "another region.*region=REGION"),
        ("501", EngineUnusable, "does not offer"),
    ],
)
def test_a_refusal_becomes_a_sentence(
    make_s3_store: Make, s3_server: S3Server, fault: str, kind: type[TickercastError], sentence: str
) -> None:
    store = make_s3_store()
    s3_server.fail(PUT, *[fault] * 3)
    with pytest.raises(kind, match=sentence) as caught:
        store.write(NAME, b"bars")
    assert "http" not in str(caught.value)
    assert "<" not in str(caught.value)


def test_an_expired_token_is_no_missing_object(store: S3ObjectStore, s3_server: S3Server) -> None:
    """An event of an object that seems to be gone would be acknowledged."""
    store.write(NAME, b"bars")
    expired = ["400 ExpiredToken The provided token has expired."] * 3
    for operation in (VERSIONS, "HeadObject"):
        s3_server.fail(operation, *expired)
    with pytest.raises((EngineUnusable, UsageError)):
        store.generation(NAME)


def test_a_fault_that_does_not_pass_is_reported_within_the_patience(make_s3_store: Make, s3_server: S3Server) -> None:
    store = make_s3_store(patience_s=0.2)
    for operation, ask in (
        (GET, lambda: store.read(NAME)),
        (PUT, lambda: store.write(NAME, b"")),
        (DELETE, lambda: store._delete_version(NAME, "x")),
    ):
        s3_server.fail(operation, *["503"] * 1000)
        with pytest.raises(StoreUnavailable, match=r"limits the rate|does not answer"):
            ask()


def test_nobody_listening_is_a_sentence(s3_server: S3Server, waits: list[str]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        store = S3ObjectStore("nobody", endpoint=f"http://127.0.0.1:{free.getsockname()[1]}", patience_s=0.1)
        for ask in (lambda: store.write(NAME, b"bars"), lambda: store.names("ohlc/")):
            with pytest.raises(StoreUnavailable, match="does not answer: Could not connect"):
                ask()
            assert set(waits) == {"waiting for s3://nobody, up to 0 s"}
            waits.clear()


def test_no_credentials_are_a_sentence(make_s3_store: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with pytest.raises(EngineUnusable, match=r"valid credentials.*AWS_ACCESS_KEY_ID"):
        make_s3_store().names("")


def test_a_store_that_ignores_preconditions_is_found_by_its_check(
    make_s3_store: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = make_s3_store()
    store.check()
    assert store.names("") == []
    call = store._call
    monkeypatch.setattr(
        store,
        "_call",
        lambda operation, IfNoneMatch="", **more: call(operation, **more),  # noqa: N803
    )
    with pytest.raises(EngineUnusable, match="let a second writer replace"):
        store.check()
    assert store.names("") == []


_REQUIRED: dict[str, Any] = {
    "error": OSError("x"),
    "error_msg": "x",
    "report": "x",
    "endpoint_url": "https://host/key?X-Amz-Signature=abc",
    "proxy_url": "http://user:pass@host",
    "actual_bytes": 1,
    "expected_bytes": 2,
    "last_response": {},
}


def _raised() -> list[Exception]:
    """One of every class of error that botocore has."""
    made: list[Exception] = []
    for kind in vars(boto).values():
        if not isinstance(kind, type) or not issubclass(kind, (boto.BotoCoreError, boto.ClientError)):
            continue
        if issubclass(kind, boto.ClientError):
            made.append(kind({"Error": {"Code": "Odd", "Message": "x"}}, "PutObject"))
            continue
        words = {*re.findall(r"\{(\w+)", kind.fmt), *list(inspect.signature(kind.__init__).parameters)[1:]}
        made.append(kind(**{name: _REQUIRED.get(name, "x") for name in sorted(words - {"args", "kwargs"})}))
    return made


@pytest.mark.parametrize("error", _raised(), ids=lambda error: type(error).__name__)
def test_every_error_of_botocore_ends_in_a_sentence(error: Exception) -> None:
    with pytest.raises(TickercastError) as caught, translated("s3://bucket", NAME):
        raise error
    said = str(caught.value)
    assert said.startswith(("s3://bucket ", NAME))
    assert said.endswith(".")
    assert "\n" not in said
    assert "Signature=" not in said
    assert "user:pass" not in said


# ---------------------------------------------------------------- settings


def test_the_setting_opens_the_bucket(make_s3_store: Make, s3_server: S3Server) -> None:
    made = make_s3_store(versioned=False)
    url = f"{made.url}?endpoint={s3_server.url}&region=eu-central-1&versioning=none"
    for opened in (engines.object_store(Settings(bucket=url)), engines.model_bucket(Settings(model_bucket=url))):
        assert opened.url == made.url
        assert opened.read(NAME, generation=opened.write(NAME, b"bars")) == b"bars"
