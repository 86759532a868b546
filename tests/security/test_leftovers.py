"""Damaged and planted files in the folders harm nothing else, and end in a sentence."""

import configparser
import json
import os
import subprocess
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.support.place import Place

from tickercast.backends.object_store.drops import Drops
from tickercast.backends.object_store.local import LocalObjectStore
from tickercast.domain.bars import Bars
from tickercast.domain.files.price_files import to_csv
from tickercast.errors import LeaseHeld, TickercastError, UsageError
from tickercast.jobs.daily.lease import lease
from tickercast.reading.quarantine import quarantined

PROJECT = Path(__file__).parents[2]
NOW = datetime(2023, 7, 22, 12, tzinfo=UTC)
NAME = "ohlc/2023-07-22/MSFT.csv"
DAMAGED = [
    b"",
    b"{",
    b"[]",
    b"null",
    b"\xff\xfe",
    b'{"reasons": 1}',
    b'{"reasons": [1, {}, {"reason": 7}]}',
    b"[" * 100_000,
]


# ---------------------------------------------------------------- damaged files


@pytest.mark.parametrize("content", DAMAGED)
def test_one_damaged_reason_hides_no_other_file(tmp_path: Path, content: bytes) -> None:
    store = LocalObjectStore(tmp_path / "bucket")
    for symbol, reason in (("A", content), ("B", json.dumps({"reasons": [{"reason": "It is empty."}]}).encode())):
        store.write(f"quarantine/ohlc/2023-07-22/{symbol}.1.csv", b"")
        store.write(f"quarantine/ohlc/2023-07-22/{symbol}.1.reason.json", reason)
    found = {kept.object[-5:-4]: list(kept.reasons) for kept in quarantined(store)}
    assert found == {"A": ["No reason that can be read is stored beside it."], "B": ["It is empty."]}


@pytest.mark.parametrize(
    "content",
    [
        *DAMAGED,
        b'{"machine": "x", "process": 0, "until": "2023-07-22T12:10:00Z"}',
        b'{"machine": "x", "process": -1, "until": "2023-07-22T12:10:00Z"}',
        b'{"machine": "x", "process": 99999999999, "until": "2023-07-22T12:10:00Z"}',
    ],
)
def test_a_damaged_lease_stops_nobody(tmp_path: Path, content: bytes) -> None:
    store = LocalObjectStore(tmp_path / "bucket")
    store.write("locks/daily.json", content)
    with lease(store, "daily", now=lambda: NOW):
        assert store.generation("locks/daily.json")


def test_a_whole_lease_is_held(tmp_path: Path) -> None:
    store = LocalObjectStore(tmp_path / "bucket")
    until = (NOW + timedelta(minutes=1)).isoformat()
    store.write("locks/daily.json", json.dumps({"machine": "x", "process": 1, "until": until}).encode())
    with pytest.raises(LeaseHeld), lease(store, "daily", now=lambda: NOW):
        pass


@pytest.mark.parametrize("content", DAMAGED)
def test_a_damaged_pointer_is_a_sentence(tmp_path: Path, content: bytes) -> None:
    from tickercast import config
    from tickercast.app import App

    app = App(config.Settings(bucket=f"file://{tmp_path}/bucket", warehouse=f"duckdb://{tmp_path}/w.duckdb"))
    app.silent_store.write("models/champion.json", content)
    with pytest.raises(TickercastError, match=r"champion\.json"):
        app.served_models()


@pytest.mark.parametrize("content", [b"", b"not a database" * 100])
def test_damaged_studies_are_a_sentence(tmp_path: Path, content: bytes) -> None:
    pytest.importorskip("optuna")
    from tickercast.backends.registry.optuna import NETWORK, OptunaSearch
    from tickercast.domain.learning.recipe import Recipe

    path = tmp_path / "tuning.db"
    path.write_bytes(content)

    def attempt(*_: object) -> float:
        return 1.0

    trials = OptunaSearch(path, NETWORK).run("study", Recipe(), attempt, trials=1)
    if content:
        with pytest.raises(UsageError, match="Move the file away"):
            list(trials)
    else:
        assert len(list(trials)) == 1


def test_a_full_quarantine_is_listed_up_to_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tickercast.reading.quarantine.MOST_LISTED", 3)
    store = LocalObjectStore(tmp_path / "bucket")
    for number in range(1, 12):
        store.write(f"quarantine/ohlc/2023-07-22/A.{number}.csv", b"")
    read: list[str] = []
    real = store.read
    monkeypatch.setattr(store, "read", lambda name, **more: read.append(name) or real(name, **more))
    assert [kept.generation for kept in quarantined(store)] == ["11", "10", "9"]
    assert len(read) == 3


# ---------------------------------------------------------------- links


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "1").write_bytes(b"secret")
    (tmp_path / "bucket" / ".generations" / "ohlc").mkdir(parents=True)
    return tmp_path / "outside"


@pytest.mark.parametrize("link", ["ohlc/2023-07-22", ".generations/ohlc/2023-07-22", f".generations/{NAME}", "ohlc"])
def test_a_write_follows_no_link_out_of_the_bucket(tmp_path: Path, outside: Path, link: str) -> None:
    place = tmp_path / "bucket" / link
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(outside, target_is_directory=True)
    store = LocalObjectStore(tmp_path / "bucket")
    with pytest.raises(UsageError, match="is a link"):
        store.write(NAME, b"bars")
    with pytest.raises(UsageError, match="is a link"):
        store.read(NAME, generation="1")
    assert [path.name for path in outside.iterdir()] == ["1"]
    assert store.names("") == []


def test_a_generation_that_is_a_link_is_none(tmp_path: Path, outside: Path) -> None:
    folder = tmp_path / "bucket" / ".generations" / NAME
    folder.mkdir(parents=True)
    (folder / "7").symlink_to(outside / "1")
    store = LocalObjectStore(tmp_path / "bucket")
    assert store.names("") == []
    assert store.generation(NAME) == ""
    with pytest.raises(UsageError, match="is a link"):
        store.read(NAME, generation="7")


def test_a_dropped_link_is_not_sent(tmp_path: Path, outside: Path) -> None:
    bucket = tmp_path / "bucket"
    (bucket / "secret.csv").symlink_to(outside / "1")
    (bucket / "folder").symlink_to(outside, target_is_directory=True)
    (outside / "more.csv").write_bytes(b"secret")
    (bucket / "MSFT.csv").write_bytes(b"bars")
    assert Drops(LocalObjectStore(bucket)).names() == ["MSFT.csv"]


def test_a_bucket_may_be_a_link_itself(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "bucket").symlink_to(tmp_path / "disk", target_is_directory=True)
    announced: list[Mapping[str, Any]] = []
    store = LocalObjectStore(tmp_path / "bucket", announced.append)
    assert store.read(NAME, generation=store.write(NAME, b"bars")) == b"bars"
    assert [event["bucket"] for event in announced] == [store.bucket] == ["disk"]


@pytest.mark.parametrize(
    "name", ["../x", "ohlc/../../x", "/etc/passwd", "ohlc//x", ".generations/x", "ohlc/./x", "ohlc/\0x", ".lock", ""]
)
def test_no_name_leads_out_of_the_bucket(tmp_path: Path, name: str) -> None:
    store = LocalObjectStore(tmp_path / "bucket")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UsageError):
        store.write(name, b"bars")
    assert [path for path in sorted(tmp_path.rglob("*")) if path.name != ".lock"] in (before, [tmp_path / "bucket"])


# ---------------------------------------------------------------- passwords with a %


def test_a_password_may_have_a_percent_sign(tmp_path: Path) -> None:
    """MLflow's server reads the password that was set, and its arguments hold none of it."""
    database, password = "postgresql://mlflow:a%40b%25c@host/mlflow", "100%(sure)s %% of it"
    (tmp_path / "mlflow").write_text('#!/bin/sh\ncat "$MLFLOW_AUTH_CONFIG_PATH"\necho "arguments: $*"\n')
    (tmp_path / "mlflow").chmod(0o755)
    given = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "TMPDIR": str(tmp_path),
        "MLFLOW_BACKEND_STORE_URI": database,
        "MLFLOW_ARTIFACTS_DESTINATION": "gs://bucket/mlflow",
        "MLFLOW_ADMIN_PASSWORD": password,
        "MLFLOW_FLASK_SERVER_SECRET_KEY": "key",
    }
    script = [PROJECT / "deploy" / "mlflow-server.sh"]
    done = subprocess.run(script, env=given, capture_output=True, text=True, check=True)
    text, _, arguments = done.stdout.partition("arguments: ")
    read = configparser.ConfigParser()
    read.read_string(text)
    assert read["mlflow"]["database_uri"] == database
    assert read["mlflow"]["admin_password"] == password
    assert "a%40b" not in arguments


# ---------------------------------------------------------------- neighbours


def test_a_bad_file_harms_no_other(tmp_path: Path, make_bars: Callable[..., Bars]) -> None:
    place = Place(tmp_path)
    bad = place.upload("ohlc/2023-07-22/AAPL.csv", b"\x00" * 1000)
    good = place.upload(NAME, to_csv([make_bars()]))
    assert place.handle(bad).failures
    assert [one.bars.symbol for one in place.handle(good).series] == ["MSFT"]
