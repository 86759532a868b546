"""A stand-in for the Runtime API of AWS Lambda, and a function behind it that runs in Amazon's own runtime client."""

import json
import os
import queue
import subprocess
import sys
import time
from collections.abc import Mapping
from http.client import HTTPMessage
from pathlib import Path
from typing import Any

from tests.support.stand_in import Answer, StandIn, as_json

_VERSION = "/2018-06-01/runtime/invocation/"
_PATIENCE_S = 60.0


class LambdaRuntime(StandIn):
    """The Runtime API: it hands an event to the function, and takes its answer or its error.

    Attributes:
        remaining_s: the time that an invocation has.
    """

    def __init__(self) -> None:
        super().__init__()
        self.remaining_s = 300.0
        self._events: queue.Queue[tuple[str, Any]] = queue.Queue()
        self._answers: queue.Queue[tuple[str, str, Any]] = queue.Queue()
        self._number = 0

    def invoke(self, event: Any) -> Any:
        """The function's answer to an event.

        Raises:
            RuntimeError: the function failed.
        """
        self._number += 1
        self._events.put((f"invocation-{self._number}", event))
        _, kind, body = self._answers.get(timeout=_PATIENCE_S)
        if kind != "response":
            raise RuntimeError(f"{kind}: {body}")
        return body

    def answer(self, verb: str, url: str, headers: HTTPMessage, content: bytes) -> Answer | None:
        if verb == "GET" and url == f"{_VERSION}next":
            try:
                name, event = self._events.get(timeout=_PATIENCE_S)
            except queue.Empty:
                return None
            if not name:
                return None
            told = {
                "Content-Type": "application/json",  # with anything behind it the client does not read JSON
                "Lambda-Runtime-Aws-Request-Id": name,
                "Lambda-Runtime-Deadline-Ms": str(int((time.time() + self.remaining_s) * 1000)),
                "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:us-east-1:000000000000:function:forecast",
            }
            return as_json(event, headers=told)
        name, _, kind = url.removeprefix(_VERSION).partition("/")
        self._answers.put((name, kind, json.loads(content) if content else None))
        return as_json({"status": "OK"}, 202)

    def close(self) -> None:
        self._events.put(("", None))
        super().close()


class Function:
    """The Lambda function in a process of its own.

    Args:
        runtime: the Runtime API.
        folder: where its log is written.
        settings: its environment.
    """

    def __init__(self, runtime: LambdaRuntime, folder: Path, settings: Mapping[str, str]) -> None:
        project = Path(__file__).parents[2]
        others = {name: value for name, value in os.environ.items() if not name.startswith("TICKERCAST_")}
        told = {
            "AWS_LAMBDA_RUNTIME_API": runtime.url.removeprefix("http://"),
            "AWS_LAMBDA_FUNCTION_NAME": "forecast",
            "LAMBDA_TASK_ROOT": str(project / "aws_function"),
            "PYTHONPATH": os.pathsep.join(str(path) for path in (project / "aws_function", project / "src")),
        }
        self.log = folder / "function.log"
        with self.log.open("w") as said:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "awslambdaric", "main.handler"],
                env=others | told | dict(settings),
                cwd=folder,
                stdout=said,
                stderr=subprocess.STDOUT,
            )

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
