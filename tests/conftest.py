"""Fixtures that several folders of tests share."""

import functools
import logging
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from tickercast import config, logs
from tickercast.domain.bars import Bars
from tickercast.domain.calendar import sessions_between

if TYPE_CHECKING:
    from streamlit.testing.v1 import AppTest

    from tests.support.bigquery_server import BigQueryServer
    from tests.support.s3_server import S3Server
    from tests.support.storage_server import StorageServer
    from tickercast.backends.object_store.s3 import S3ObjectStore

PROJECT = Path(__file__).parents[1]
collect_ignore = ["support/nixtla_calls.py"]
"""Runs in an environment of its own, as a script: the one that holds Nixtla's client."""

REAL_PROJECT = os.environ.pop("TICKERCAST_TEST_PROJECT", "")
"""A Google Cloud project that the contract suite may use; out of the environment, since it is no setting of ours."""

REAL_S3 = os.environ.pop("TICKERCAST_TEST_S3", "")
"""A bucket that the contract suite may empty, as TICKERCAST_BUCKET would name it."""

config.silence_telemetry()  # for the tests that import an engine without bootstrap


@pytest.fixture(autouse=True)
def _log_as_before() -> Iterator[None]:
    """Leave the logger of the package as it was, whatever a test, or a command that it runs, sets up."""
    log = logging.getLogger("tickercast")
    before = (log.handlers[:], log.level, log.propagate)
    yield
    log.handlers[:], log.level, log.propagate = before


@pytest.fixture(autouse=True)
def _environment_as_before() -> Iterator[None]:
    """Leave the environment as it was, whatever a test, or a command that it runs in this process, sets."""
    before = dict(os.environ)
    yield
    for name in os.environ.keys() - before.keys():
        del os.environ[name]
    os.environ.update(before)


@pytest.fixture(scope="session", autouse=True)
def _mlflow_tables(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Copy MLflow's tables, which take it a second to make, into each new file from the second on."""
    from tickercast.backends.registry.mlflow import MlflowRegistry

    kept, alone = tmp_path_factory.mktemp("mlflow") / "mlflow.db", MlflowRegistry._alone

    @contextmanager
    def with_tables(registry: MlflowRegistry) -> "Iterator[None]":
        with alone(registry):
            file = registry._file()
            is_new = registry._url.startswith("sqlite:///") and not (file.exists() and file.stat().st_size)
            if is_new and kept.exists():
                shutil.copyfile(kept, file)
            yield
            if is_new and not kept.exists():
                shutil.copyfile(file, kept)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MlflowRegistry, "_alone", with_tables)
        yield


@pytest.fixture(scope="session")
def app_test() -> "Iterator[type[AppTest]]":
    """Streamlit's runner of pages; it looks for components in all installed packages once, not for each page."""
    pytest.importorskip("streamlit")
    from streamlit.components.v2 import manifest_scanner
    from streamlit.testing.v1 import AppTest

    with pytest.MonkeyPatch.context() as patch:
        scan = functools.cache(manifest_scanner.scan_component_manifests)
        patch.setattr(manifest_scanner, "scan_component_manifests", scan)
        yield AppTest


@pytest.fixture(scope="session", autouse=True)
def _provisioned_file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Copy the empty warehouse of today, which takes DuckDB 0.2 s to make, into each new file from the second on."""
    from tickercast.backends.warehouse.duckdb import DuckDBWarehouse

    kept, provision = tmp_path_factory.mktemp("duckdb") / "warehouse.duckdb", DuckDBWarehouse.provision
    made: list[str] = []

    def copied(warehouse: DuckDBWarehouse) -> list[str]:
        path, parts = warehouse._path, warehouse._checkpoints
        is_new = not any(part.exists() for part in (path, parts.log, parts.kept))
        if warehouse._sql != config.resource("sql") or not is_new:
            return provision(warehouse)
        if not made:
            made.extend(provision(DuckDBWarehouse(kept, warehouse._sql)))
        with suppress(OSError):  # which the engine says in its words
            config.private_folder(path.parent)
            with warehouse._only_writer():
                if not path.exists():
                    shutil.copyfile(kept, path)
                    return list(made)
        return provision(warehouse)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DuckDBWarehouse, "provision", copied)
        yield


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder, with none of our settings in the environment."""
    for name in list(os.environ):
        if name.startswith("TICKERCAST_") or name == "MLFLOW_TRACKING_URI":
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def google_project() -> str:
    """The Google Cloud project in TICKERCAST_TEST_PROJECT; without one the test is skipped."""
    if not REAL_PROJECT:
        pytest.skip("TICKERCAST_TEST_PROJECT names no Google Cloud project")
    return REAL_PROJECT


@pytest.fixture(scope="session")
def one_bigquery_server() -> "Iterator[BigQueryServer]":
    from tests.support.bigquery_server import BigQueryServer

    server = BigQueryServer()
    yield server
    server.close()


@pytest.fixture
def bigquery_server(
    one_bigquery_server: "BigQueryServer", monkeypatch: pytest.MonkeyPatch
) -> "Iterator[BigQueryServer]":
    """A stand-in for BigQuery, which the environment names; the test fails where a request was none of Google's."""
    one_bigquery_server.reset()
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", one_bigquery_server.url)
    yield one_bigquery_server
    assert one_bigquery_server.refused == []


@pytest.fixture(scope="session")
def other_storage() -> str:
    """The URL in STORAGE_EMULATOR_HOST; without one the test is skipped."""
    if not (host := os.environ.get("STORAGE_EMULATOR_HOST", "")):
        pytest.skip("STORAGE_EMULATOR_HOST names no emulator")
    return host if "://" in host else f"http://{host}"


@pytest.fixture(scope="session")
def one_storage_server() -> "Iterator[StorageServer]":
    from tests.support.storage_server import StorageServer

    server = StorageServer()
    yield server
    server.close()


@pytest.fixture
def storage_server(one_storage_server: "StorageServer", monkeypatch: pytest.MonkeyPatch) -> "Iterator[StorageServer]":
    """A strict stand-in for Cloud Storage, named by the environment; a request that is none of Google's fails."""
    one_storage_server.reset()
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", one_storage_server.url)
    yield one_storage_server
    assert one_storage_server.refused == []


@pytest.fixture(scope="session")
def one_s3_server() -> "Iterator[S3Server]":
    pytest.importorskip("botocore", reason="the extra aws is not installed")
    pytest.importorskip("moto", reason="moto is not installed")
    from tests.support.s3_server import S3Server

    server = S3Server()
    yield server
    server.close()


@pytest.fixture
def s3_server(one_s3_server: "S3Server", monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> "Iterator[S3Server]":
    """A strict stand-in for S3, with keys in the environment; a request that it does not play fails."""
    one_s3_server.reset()
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIATICKERCASTTEST00")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-secret-that-nothing-may-show")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    yield one_s3_server
    assert one_s3_server.refused == []


@pytest.fixture
def make_s3_store(s3_server: "S3Server") -> "Callable[..., S3ObjectStore]":
    """Makes a store over an empty bucket of the stand-in."""
    from tickercast.backends.object_store.s3 import S3ObjectStore

    def make(*, versioned: bool = True, **more: Any) -> S3ObjectStore:
        name = s3_server.make_bucket(versioning="Enabled" if versioned else "")
        return S3ObjectStore(name, endpoint=s3_server.url, versioned=versioned, **more)

    return make


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The sentences on what is waited for, also where that takes no longer than a moment."""
    said: list[str] = []

    @contextmanager
    def waiting_for(sentence: str) -> "Iterator[None]":
        said.append(sentence)
        yield

    monkeypatch.setattr(logs, "waiting_for", waiting_for)
    return said


@pytest.fixture
def s3rver(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> "Iterator[S3ObjectStore]":
    """A store over an empty bucket of s3rver, which has no versions; without it on the path the test is skipped."""
    pytest.importorskip("botocore", reason="the extra aws is not installed")
    from tickercast.backends.object_store.s3 import S3ObjectStore

    if (program := shutil.which("s3rver")) is None:
        pytest.skip("s3rver is not installed: npm install --global s3rver")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "S3RVER")
    options = ["--directory", str(tmp_path), "--address", "127.0.0.1", "--port", "0", "--configure-bucket", "bucket"]
    with subprocess.Popen([program, *options], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        try:
            listening = next(line for line in server.stdout if "listening" in line)
            port = re.findall(r"\d+", listening)[-1]
            yield S3ObjectStore("bucket", endpoint=f"http://127.0.0.1:{port}", versioned=False)
        finally:
            server.kill()


@pytest.fixture
def other_s3() -> "S3ObjectStore":
    """A store over the bucket in TICKERCAST_TEST_S3, emptied; without one the test is skipped."""
    if not REAL_S3:
        pytest.skip("TICKERCAST_TEST_S3 names no bucket")
    from tickercast import engines

    store: Any = engines.polled_bucket(config.Settings(bucket=REAL_S3))
    for found in list(store.arrivals("")):
        store.delete(found.name, generation=found.generation)
    return store


@pytest.fixture(scope="session")
def make_bars() -> Callable[..., Bars]:
    """Makes the history of a symbol: a seeded walk over the sessions of its exchange that ends on a date."""

    def make(symbol: str = "MSFT", *, last: date = date(2023, 7, 21), sessions: int = 400, seed: int = 7) -> Bars:
        random = np.random.default_rng(seed)
        close = 100 * np.exp(np.cumsum(random.normal(0, 0.015, sessions)))
        opened = close * np.exp(random.normal(0, 0.005, sessions))
        high = np.maximum(opened, close) * np.exp(np.abs(random.normal(0, 0.004, sessions)))
        low = np.minimum(opened, close) * np.exp(-np.abs(random.normal(0, 0.004, sessions)))
        known = sessions_between(symbol, last - timedelta(days=2 * sessions + 30), last)
        dates = pd.to_datetime(list(known[-sessions:])).astype("datetime64[s]")
        volume = random.integers(1_000_000, 9_000_000, sessions).astype(float)
        bars = {"session_date": dates, "open": opened, "high": high, "low": low, "close": close}
        return Bars(symbol, pd.DataFrame(bars | {"adj_close": close, "volume": volume}))

    return make


@pytest.fixture
def price_folder(tmp_path: Path, make_bars: Callable[..., Bars]) -> Callable[..., Path]:
    """Makes a folder with one CSV a symbol, as the source `--source DIR` wants it."""

    def make(symbols: Sequence[str] = ("MSFT",), **shape: object) -> Path:
        from tickercast.domain.files.price_files import to_csv

        folder = tmp_path / "prices"
        folder.mkdir(exist_ok=True)
        for seed, symbol in enumerate(symbols):
            (folder / f"{symbol}.csv").write_bytes(to_csv([make_bars(symbol, seed=seed, **shape)]))
        return folder

    return make
