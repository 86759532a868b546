"""Carries the local object store's events to the forecast function, as Eventarc does in the cloud.

Both ways send a CloudEvent in binary mode to functions-framework's own application: over HTTP to a server
that runs, or in this process.
"""

import html
import re
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cloudevents.conversion import to_binary
from cloudevents.http import CloudEvent

from tickercast.errors import FunctionUnavailable
from tickercast.ports import FINALIZED

_TIMEOUT_S = 540.0


def in_process(source: Path, target: str) -> Callable[[Mapping[str, Any]], None]:
    """Deliver to the function in a file, which is loaded when the first event comes.

    Args:
        source: the Python file that the platform would run.
        target: the function's name in it.
    """
    client: Any = None

    def deliver(described: Mapping[str, Any]) -> None:
        nonlocal client
        if client is None:
            from functions_framework import create_app  # Flask and all: 0.25 s, for the first event only

            app = create_app(target, str(source), "cloudevent")  # type: ignore[no-untyped-call]
            client = app.test_client()
        headers, body = to_binary(_event(described))
        answer = client.post("/", headers=headers, data=body)
        _check(answer.status_code, answer.get_data(as_text=True), str(source))

    return deliver


def over_http(url: str) -> Callable[[Mapping[str, Any]], None]:
    """Deliver to a function that is served at a URL."""

    def deliver(described: Mapping[str, Any]) -> None:
        import requests  # 0.1 s that the in-process way does not pay

        headers, body = to_binary(_event(described))
        try:
            answer = requests.post(url, headers=headers, data=body, timeout=_TIMEOUT_S)
        except requests.RequestException as error:
            raise _absent(url) from error
        _check(answer.status_code, answer.text, url)

    return deliver


def ping(url: str) -> str:
    """Ask a served function whether it is there.

    Raises:
        FunctionUnavailable: nothing answers.
    """
    import requests

    try:
        return f"answers with status {requests.get(url, timeout=5).status_code}"
    except requests.RequestException as error:
        raise _absent(url) from error


def _absent(url: str) -> FunctionUnavailable:
    return FunctionUnavailable(
        f"No function answers at {url}. Start it with `make function`, or unset TICKERCAST_FUNCTION_URL."
    )


def _event(described: Mapping[str, Any]) -> CloudEvent:
    bucket, name = described["bucket"], described["name"]
    attributes = {
        "id": str(uuid.uuid4()),
        "type": FINALIZED,
        "source": f"//storage.googleapis.com/projects/_/buckets/{bucket}",
        "subject": f"objects/{name}",
        "time": described["timeCreated"],
        "bucket": bucket,
        "datacontenttype": "application/json",
    }
    return CloudEvent(attributes, dict(described))


def _check(status: int, body: str, where: str) -> None:
    if status >= 300:
        said = " ".join(
            html.unescape(re.sub(r"<title>.*?</title>|<h1>.*?</h1>|<[^>]+>", " ", body, flags=re.S)).split()
        )
        raise FunctionUnavailable(f"The function at {where} answered {status}: {said[:300]}")
