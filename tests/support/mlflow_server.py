"""A real `mlflow server` over a real PostgreSQL, both of which run as long as the block that uses them."""

import importlib.util
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

PASSWORD = "open-sesame"
_PATIENCE_S = 90.0


class CannotStart(Exception):
    """Why there is no PostgreSQL, or no server, on this machine."""


@contextmanager
def postgresql() -> Iterator[str]:
    """A PostgreSQL on a free port, with a password; its URL without the database's name.

    It does not run as root: where we are root, it runs as nobody.
    """
    programs = _programs()
    user = pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="tickercast-pg-"))
    secret = folder / "password"
    secret.write_text(PASSWORD)
    if user is not None:
        for path in (folder, secret):
            os.chown(path, user, -1)
    try:
        port = free_port()
        _run(
            user,
            programs / "initdb",
            "--auth=scram-sha-256",
            f"--pwfile={secret}",
            "--username=mlflow",
            "-N",
            "-D",
            folder / "data",
        )
        options = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories={folder} -c fsync=off"
        _run(user, programs / "pg_ctl", "-D", folder / "data", "-l", folder / "log", "-o", options, "-w", "start")
        try:
            yield f"postgresql://mlflow:{PASSWORD}@127.0.0.1:{port}"
        finally:
            _run(user, programs / "pg_ctl", "-D", folder / "data", "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def create_database(url: str, name: str) -> str:
    """Makes an empty database; gives its URL."""
    import psycopg2

    connection = psycopg2.connect(f"{url}/postgres")
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
    connection.close()
    return f"{url}/{name}"


@contextmanager
def mlflow_server(folder: Path, settings: Mapping[str, str]) -> Iterator[str]:
    """The server as `make mlflow-server` starts it, configured by its environment; gives its URL once it answers."""
    port = free_port()
    known = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    fixed = {"MLFLOW_PORT": str(port), "MLFLOW_WORKERS": "1", "PATH": f"{Path(sys.executable).parent}:{known['PATH']}"}
    log = folder / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["make", "--no-print-directory", "-C", str(Path(__file__).parents[2]), "-o", "setup-dev", "mlflow-server"],
            env=known | fixed | dict(settings),
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait_for(f"http://127.0.0.1:{port}/health", process, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, 15)
        try:
            process.wait(10)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, 9)  # its children, should they outlive it
            process.wait()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _programs() -> Path:
    found = importlib.util.find_spec("pgserver")
    carried = [Path(found.origin).parent / "pginstall/bin"] if found and found.origin else []
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for folder in (*carried, *installed):
        if (folder / "initdb").exists():
            return folder
    raise CannotStart("neither the wheel pgserver nor Debian's postgresql is installed")


def _run(user: int | None, *words: object) -> None:
    try:
        # Its server keeps what it inherits: a pipe would be held open for as long as that lives.
        with tempfile.TemporaryFile() as output:
            done = subprocess.run(
                [str(word) for word in words], user=user, cwd="/", stdout=output, stderr=output, timeout=60, check=False
            )
            output.seek(0)
            said = output.read().decode(errors="replace")
    except (OSError, subprocess.SubprocessError) as error:
        raise CannotStart(f"PostgreSQL does not start here: {error}") from error
    if done.returncode:
        raise CannotStart(f"PostgreSQL does not start here: {said[-300:]}")


def _wait_for(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError), urllib.request.urlopen(url, timeout=5):
            return
        time.sleep(0.1)
    raise AssertionError(f"mlflow server does not answer: {log.read_text()[-2000:]}")
