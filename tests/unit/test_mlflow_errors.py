"""Whatever MLflow and the libraries below it raise ends in a sentence, and nothing that cannot pass is waited for."""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import mlflow.exceptions
import pytest
import requests
import sqlalchemy.exc
from alembic.util import CommandError
from filelock import FileLock
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore
from tests.support.mlflow_server import free_port

from tickercast.app import App
from tickercast.backends.registry.mlflow import MlflowRegistry
from tickercast.backends.registry.mlflow_errors import translated
from tickercast.config import Settings
from tickercast.errors import BundleError, EngineUnusable, StoreUnavailable, TickercastError, UsageError


def kinds(module: Any) -> list[type[Exception]]:
    found = [each for each in vars(module).values() if isinstance(each, type) and issubclass(each, Exception)]
    return sorted({each for each in found if not issubclass(each, Warning)}, key=str)


def made(kind: type[Exception]) -> Exception:
    told = {"error_code": "INTERNAL_ERROR", "message": "seen"}
    for arguments in (("seen",), ("seen", {}, ValueError("seen")), ("seen", "SQL", {}, ValueError("seen")), (told,)):
        try:
            return kind(*arguments)
        except (TypeError, AttributeError):
            continue
    return kind.__new__(kind)


@pytest.mark.parametrize(
    "kind",
    [
        *kinds(mlflow.exceptions),
        *kinds(sqlalchemy.exc),
        *kinds(requests.exceptions),
        *kinds(sqlite3),
        *(CommandError, OSError, ConnectionResetError, TimeoutError),
    ],
    ids=lambda kind: f"{kind.__module__}.{kind.__name__}",
)
def test_every_exception_is_a_sentence(kind: type[Exception]) -> None:
    for url in ("sqlite:///runs.db", "http://mlflow.example"):
        error = translated(made(kind), url)
        assert isinstance(error, TickercastError)
        assert str(error).endswith(".")
        assert "None" not in str(error)


@pytest.mark.parametrize("kind", [sqlalchemy.exc.OperationalError, sqlite3.DatabaseError, requests.ConnectionError])
def test_each_call_translates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type[Exception]) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise made(kind)

    (tmp_path / "mlflow.db").touch()  # MLflow makes its tables in it
    registry = MlflowRegistry(f"sqlite:///{tmp_path / 'mlflow.db'}")
    assert registry.versions("m") == []
    for name in ("search_model_versions", "search_registered_models"):
        monkeypatch.setattr(SqlAlchemyStore, name, fail)
    calls: list[Callable[[], Any]] = [
        lambda: registry.versions("m"),
        lambda: registry.aliased("m", "champion"),
    ]
    for call in calls:
        with pytest.raises(StoreUnavailable, match=r"mlflow\.db does not answer: .+\. Try again"):
            call()


# Files that do not mend themselves.


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    file.touch()  # MLflow makes its tables in it
    MlflowRegistry(f"sqlite:///{file}").versions("m")
    return file


def of_revision(whole: Path, file: Path, revision: str) -> None:
    file.write_bytes(whole.read_bytes())
    with closing(sqlite3.connect(file)) as database:
        database.execute("UPDATE alembic_version SET version_num = ?", [revision])
        database.commit()


def test_a_file_that_is_no_database_is_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("no database" * 500)
    with pytest.raises(EngineUnusable, match=r"mlflow\.db is damaged, or not a database.*Move it away"):
        MlflowRegistry(f"sqlite:///{tmp_path / 'mlflow.db'}").versions("m")


def test_the_schema_of_an_older_mlflow_names_the_whole_remedy(whole: Path, tmp_path: Path) -> None:
    file = tmp_path / "mlflow.db"
    of_revision(whole, file, "1bd49d398cd2")
    with pytest.raises(
        EngineUnusable, match=rf"older MLflow .*Back the database up, then run `mlflow db upgrade sqlite:///{file}`"
    ):
        MlflowRegistry(f"sqlite:///{file}").versions("m")


def test_the_schema_of_a_newer_mlflow_asks_for_a_newer_package(whole: Path, tmp_path: Path) -> None:
    of_revision(whole, tmp_path / "mlflow.db", "ffffffffffff")
    with pytest.raises(EngineUnusable, match=r"newer MLflow .*Upgrade the package mlflow"):
        MlflowRegistry(f"sqlite:///{tmp_path / 'mlflow.db'}").versions("m")


def test_a_folder_where_the_file_should_be_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(EngineUnusable, match="Is a directory"):
        MlflowRegistry(f"sqlite:///{tmp_path}").versions("m")


# Servers.


@contextmanager
def server(status: int, body: bytes = b"<html>Sorry</html>") -> Iterator[str]:
    """A server that gives one answer to everything, and counts."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(status)
            self.send_header("Retry-After", "3600")
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_: Any) -> None:
            pass

    asked: list[str] = []
    made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=made.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{made.server_port}"
    finally:
        made.shutdown()
        made.server_close()
    assert len(asked) <= 2


@pytest.mark.parametrize(
    ("status", "error", "words"),
    [
        (200, UsageError, "is no MLflow server"),
        (404, UsageError, "is no MLflow server"),
        (401, UsageError, "MLFLOW_TRACKING_USERNAME"),
        (403, UsageError, "refuses access"),
        (429, StoreUnavailable, "does not answer: too many 429 error responses"),
        (503, StoreUnavailable, "does not answer: too many 503 error responses"),
    ],
)
def test_what_a_server_answers_is_a_sentence_after_one_repetition_at_most(
    status: int, error: type[Exception], words: str
) -> None:
    with server(status) as url, pytest.raises(error, match=words):
        MlflowRegistry(url).versions("m")


def test_a_version_that_is_not_there_is_not_called_passing() -> None:
    body = b'{"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no such version"}'
    with server(404, body) as url, pytest.raises(BundleError, match="no such version"):
        MlflowRegistry(url).bundle("m", "1")


@pytest.mark.parametrize("url", ["http://nowhere.invalid:5000", "http://127.0.0.1:{port}"])
def test_a_server_that_is_not_there_is_said_at_once(url: str) -> None:
    url = url.format(port=free_port())
    with pytest.raises(StoreUnavailable, match=r"No MLflow server can be reached at .*Start it, or correct"):
        MlflowRegistry(url).versions("m")


def test_a_file_that_is_not_there_is_read_as_empty_and_not_made(tmp_path: Path) -> None:
    registry = MlflowRegistry(f"sqlite:///{tmp_path}/home/mlflow.db")
    assert (registry.versions("m"), registry.aliased("m", "champion")) == ([], None)
    assert list(tmp_path.iterdir()) == []


def test_a_list_of_models_in_a_new_home_writes_nothing(tmp_path: Path) -> None:
    app = App(Settings(home=str(tmp_path / "home"), mlflow_tracking_uri=f"sqlite:///{tmp_path}/home/mlflow.db"))
    versions, pointer, published, others = app.registered_models()
    assert (versions, pointer, published, others) == ([], app.models.shipped_pointer, [], [])
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_made_by_one_process_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two that make MLflow's tables at once fail each other's migrations."""
    monkeypatch.setattr("tickercast.backends.registry.mlflow._MAKING_S", 0)
    registry = MlflowRegistry(f"sqlite:///{tmp_path}/mlflow.db")
    with (
        FileLock(tmp_path / "mlflow.db.lock"),
        pytest.raises(StoreUnavailable, match=r"mlflow\.db has been in the making by another process for two minutes"),
    ):
        registry.set_alias("har-season", "champion", "1")
    assert not (tmp_path / "mlflow.db").exists(), "MLflow was not asked for anything yet"
