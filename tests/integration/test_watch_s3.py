"""Buckets that send no events: they are polled, and each write is handled once."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from tests.support.s3_server import PUT, VERSIONS, S3Server
from typer.testing import CliRunner

pytest.importorskip("botocore", reason="the extra aws is not installed")

from tickercast.app import App
from tickercast.backends.object_store.s3 import S3ObjectStore
from tickercast.cli import app as cli
from tickercast.config import Settings
from tickercast.domain.bars import Bars
from tickercast.domain.files.price_files import to_csv
from tickercast.errors import EngineUnusable, TickercastError, UsageError
from tickercast.jobs.requests.send_file import Sent

NAME = "ohlc/2023-07-22/MSFT.csv"


class Watched:
    """A bucket of the stand-in, and looks into it."""

    def __init__(self, folder: Path, store: S3ObjectStore, server: S3Server) -> None:
        self.store = store
        versioning = "" if store.keeps_generations else "&versioning=none"
        self.bucket = f"{store.url}?endpoint={server.url}{versioning}"
        self.warehouse = f"duckdb://{folder}/warehouse.duckdb"
        self.pauses: list[float] = []

    def app(self) -> App:
        return App(Settings(bucket=self.bucket, warehouse=self.warehouse))

    def look(self, times: int = 1, app: App | None = None) -> list[Sent | TickercastError]:
        """The files that are seen in so many looks."""

        class Over(Exception):
            pass

        def pause(seconds: float) -> None:
            self.pauses.append(seconds)
            if len(self.pauses) % times == 0:
                raise Over

        seen: list[Sent | TickercastError] = []
        with suppress(Over):
            for each in (app or self.app()).watch(pause=pause):
                seen.append(each)
        return seen

    def ledger(self) -> list[tuple[str, str]]:
        rows = self.app().tables.read("ingestions").sort_values("written_at")
        return list(zip(rows["generation"], rows["status"], strict=True))


@pytest.fixture(params=[True, False], ids=["versions", "no versions"])
def watched(
    request: pytest.FixtureRequest, workspace: Path, make_s3_store: Callable[..., S3ObjectStore], s3_server: S3Server
) -> Watched:
    return Watched(workspace, make_s3_store(versioned=request.param), s3_server)


def test_each_write_is_handled_once_by_any_number_of_watchers(watched: Watched, make_bars: Callable[..., Bars]) -> None:
    first = watched.store.write(NAME, to_csv([make_bars()]))
    watched.store.write("models/other.csv", b"no prices")
    assert watched.look(2) == [Sent(NAME, NAME, first)]
    assert watched.look() == []
    second = watched.store.write(NAME, to_csv([make_bars(seed=8)]))
    assert watched.look() == [Sent(NAME, NAME, second)]
    assert watched.ledger() == [(first, "forecast"), (second, "forecast")]


def test_a_write_that_was_replaced_between_two_looks_is_accounted_for(
    workspace: Path, make_s3_store: Callable[..., S3ObjectStore], s3_server: S3Server, make_bars: Callable[..., Bars]
) -> None:
    watched = Watched(workspace, make_s3_store(), s3_server)
    first, second = (watched.store.write(NAME, to_csv([make_bars(seed=seed)])) for seed in (7, 8))
    watched.look()
    assert watched.ledger() == [(first, "superseded"), (second, "forecast")]


def test_an_odd_name_is_rejected_and_does_not_hold_back_the_others(
    watched: Watched, make_bars: Callable[..., Bars], s3_server: S3Server
) -> None:
    odd = "ohlc/2023-07-22//MSFT.csv"
    client = watched.store._client()  # as a program does that knows none of our rules for names
    client.put_object(Bucket=watched.store.bucket, Key=odd, Body=b"no prices")
    watched.store.write(NAME, to_csv([make_bars()]))
    assert {sent.object for sent in watched.look() if isinstance(sent, Sent)} == {odd, NAME}
    assert sorted(status for _, status in watched.ledger()) == ["forecast", "rejected"]
    [entry] = watched.app().failed_ingestions()
    assert (entry.object, entry.status) == (odd, "rejected")


def test_what_fails_is_handled_at_a_later_look_and_the_pauses_grow(
    workspace: Path,
    make_s3_store: Callable[..., S3ObjectStore],
    s3_server: S3Server,
    make_bars: Callable[..., Bars],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    watched = Watched(workspace, make_s3_store(), s3_server)
    made = watched.store.write(NAME, to_csv([make_bars()]))
    app, handle, fails = watched.app(), App.handle, [RuntimeError("a bug"), RuntimeError("a bug")]

    def sometimes(self: App, event: Any) -> Any:
        if fails:
            raise fails.pop()
        return handle(self, event)

    monkeypatch.setattr(App, "handle", sometimes)
    *failed, sent = watched.look(3, app)
    assert ["It is tried again" in str(each) for each in failed] == [True, True]
    assert sent == Sent(NAME, NAME, made)
    assert watched.pauses == [20, 40, 10]
    assert watched.ledger() == [(made, "forecast")]


def test_results_days_arrive_too(watched: Watched) -> None:
    watched.store.write("events/MSFT.csv", b"date,session\n2023-07-25,after\n")
    watched.look()
    assert [status for _, status in watched.ledger()] == ["stored"]
    assert watched.app().tables.read("events")["symbol"].tolist() == ["MSFT"]


def test_a_bucket_that_is_closed_ends_the_watch_with_a_sentence(
    workspace: Path, make_s3_store: Callable[..., S3ObjectStore], s3_server: S3Server
) -> None:
    watched = Watched(workspace, make_s3_store(), s3_server)
    app = watched.app()
    app.provision()
    s3_server.fail(VERSIONS, "403 AccessDenied")
    with pytest.raises(EngineUnusable, match="refuses access"):
        next(app.watch(pause=lambda _: None))


def test_another_bucket_has_nothing_to_watch() -> None:
    with pytest.raises(UsageError, match=r"file://FOLDER or s3://BUCKET was needed"):
        next(App(Settings(bucket="gs://bucket")).watch())


def test_ctrl_c_ends_the_command(watched: Watched, make_bars: Callable[..., Bars]) -> None:
    watched.app().provision()
    watched.store.write(NAME, to_csv([make_bars()]))
    process = subprocess.Popen(
        [sys.executable, "-m", "tickercast", "watch", watched.bucket],
        env=os.environ | {"TICKERCAST_WAREHOUSE": watched.warehouse, "COLUMNS": "200"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout
    try:
        said = ""
        while "forecast" not in said.partition("Ctrl-C")[2]:
            line = process.stdout.readline()
            assert line, said
            said += line
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    assert process.returncode == 0
    assert "Traceback" not in said + rest
    assert re.search(r"watching s3://\S+; Ctrl-C ends it", said)
    assert [status for _, status in watched.ledger()] == ["forecast"]


def test_the_doctor_asks_the_bucket(watched: Watched, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TICKERCAST_BUCKET", watched.bucket)
    monkeypatch.setenv("TICKERCAST_WAREHOUSE", watched.warehouse)
    monkeypatch.setenv("TICKERCAST_SOURCE", "simulated")
    monkeypatch.setenv("COLUMNS", "400")  # no sentence is broken
    watched.store.write("note", b"")
    said = CliRunner().invoke(cli, ["doctor"]).output
    assert re.search(r"object store.*objects", said)
    assert "tickercast watch" in " ".join(said.split())
    s3_server.fail(PUT, *["403 AccessDenied"] * 9)
    said = CliRunner().invoke(cli, ["doctor"]).output
    assert "refuses access" in " ".join(said.split())


def test_a_forecast_waits_for_the_watcher_and_the_model_store_may_be_in_s3_too(
    watched: Watched, make_bars: Callable[..., Bars], price_folder: Callable[..., Path]
) -> None:
    app = App(
        Settings(
            bucket=watched.bucket, model_bucket=watched.bucket, warehouse=watched.warehouse, source=str(price_folder())
        )
    )
    app.forecast("MSFT", date(2023, 7, 22), wait=None)
    [sent] = watched.look()
    assert isinstance(sent, Sent)
    made = app.forecast("MSFT", date(2023, 7, 22), wait=None)
    watched.look()
    assert [status for _, status in watched.ledger()] == ["forecast", "forecast"]
    assert made.uploads[0].generation == watched.ledger()[1][0]
    champion = app.models.pointer()
    assert app.models.read(champion.name, champion.version).card.version == champion.version
