"""The dashboard as its user runs it: a process on a free port, over a folder of a demonstration."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from tests.support import clock, demo

CHROMIUM = Path("/usr/bin/chromium")


@dataclass(frozen=True)
class Dashboard:
    """A running dashboard.

    Attributes:
        url: where it is.
        log: what it has printed.
    """

    url: str
    log: Path

    @property
    def port(self) -> int:
        """The port of this machine at which it listens."""
        return int(self.url.rpartition(":")[2])


@contextmanager
def serving(
    folder: Path, more: Mapping[str, str] | None = None, now: datetime | None = None, port: int = 0
) -> Iterator[Dashboard]:
    """Serve the dashboard over the bucket and the warehouse in a folder, until the block is left.

    Args:
        folder: of a demonstration.
        more: further settings, such as those of a login, which people use by the name `localhost`.
        now: the time at which its clock begins; this machine's by default.
        port: the port, such as that of a server that has ended; a free one by default.
    """
    settings = demo.settings_of(folder)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TICKERCAST_")}
    environment |= {"TICKERCAST_BUCKET": settings.bucket, "TICKERCAST_WAREHOUSE": settings.warehouse}
    environment |= more or {}
    port = port or free_port()
    log = folder / f"dashboard-{port}.log"
    program = [clock.__file__, f"{now:%Y-%m-%dT%H:%M}"] if now else ["-m", "tickercast"]
    command = [sys.executable, *program, "dashboard", "--port", str(port)]
    with log.open("wb") as printed:
        process = subprocess.Popen(command, env=environment, cwd=folder, stdout=printed, stderr=subprocess.STDOUT)
        try:
            made = Dashboard(f"http://{'localhost' if more else '127.0.0.1'}:{port}", log)
            _wait(made, process)
            yield made
        finally:
            process.terminate()
            process.wait(timeout=30)


def free_port() -> int:
    """A port of this machine that nobody listens at."""
    with socket.socket() as any_port:
        any_port.bind(("127.0.0.1", 0))
        return int(any_port.getsockname()[1])


def _wait(made: Dashboard, process: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        if process.poll() is not None:
            raise AssertionError(f"the dashboard ended: {made.log.read_text()}")
        try:
            with urllib.request.urlopen(f"{made.url}/_stcore/health", timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    raise AssertionError("the dashboard did not answer within a minute")
