"""A Python for gcloud and bq that holds their imports: a call costs a fork instead of a start-up."""

import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

HERE = Path(__file__).parent


class WarmPython:
    """Processes that run gcloud and bq until they are closed or this process ends.

    Args:
        folder: a new one, for their sockets.
        environment: the one that gcloud and bq will be called with.

    Attributes:
        path: the file for CLOUDSDK_PYTHON to name.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        folder.mkdir()
        self.path = folder / "python"
        client = (sys.executable, "-I", "-S", HERE / "warm_client.py", folder)
        self.path.write_text(f'#!/bin/sh\nexec {shlex.join(map(str, client))} "$@"\n')
        self.path.chmod(0o755)
        self._server = subprocess.Popen(
            ["gcloud", folder],
            cwd=HERE,
            env={**environment, "CLOUDSDK_PYTHON_ARGS": "-S warm_server.py"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the callers, and their calls end with them
        )
        with self._server.stdout as said:
            if said.readline() != b"ready\n":
                self.close()
                raise RuntimeError("gcloud's launcher did not start warm_server.py")

    def close(self) -> None:
        self._server.stdin.close()
        self._server.wait()
