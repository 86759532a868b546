"""Delivery of the local object store's events to the forecast function, as Eventarc does on Google Cloud.

Each event is a CloudEvent in binary mode, sent to the application of functions-framework: over HTTP to a running
server, or in this process.
"""

import html
import re
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cloudevents.conversion import to_binary
from cloudevents.http import CloudEvent

from tickercast import config
from tickercast.errors import FunctionUnavailable
from tickercast.ports import FINALIZED

_TIMEOUT_S = 540.0


def in_process(source: Path, target: str) -> Callable[[Mapping[str, Any]], None]:
    """Create a delivery to the function in a file, which is loaded on the first event.

    Args:
        source: the Python file that the platform would run.
        target: the function's name in that file.
    """
    client: Any = None

    def deliver(resource: Mapping[str, Any]) -> None:
        nonlocal client
        if client is None:
            from functions_framework import create_app  # imports Flask: 0.25 s, on the first event only

            app = create_app(target, str(source), "cloudevent")  # type: ignore[no-untyped-call]
            client = app.test_client()
        headers, body = to_binary(_event(resource))
        answer = client.post("/", headers=headers, data=body)
        _check(answer.status_code, answer.get_data(as_text=True), str(source))

    return deliver


def over_http(url: str) -> Callable[[Mapping[str, Any]], None]:
    """Create a delivery to a function that is served at a URL."""

    def deliver(resource: Mapping[str, Any]) -> None:
        import requests  # takes 0.1 s, which delivery in this process saves

        headers, body = to_binary(_event(resource))
        try:
            answer = requests.post(url, headers=headers, data=body, timeout=_TIMEOUT_S)
        except requests.exceptions.InvalidURL as error:
            raise config.wrong_proxy() from error
        except requests.RequestException as error:
            raise _unreachable(url) from error
        _check(answer.status_code, answer.text, url)

    return deliver


def ping(url: str) -> str:
    """Check that a served function answers, and return its answer in words.

    Raises:
        UsageError: the proxy of this machine is none.
        FunctionUnavailable: nothing answers.
    """
    import requests

    try:
        return f"answers with status {requests.get(url, timeout=5).status_code}"
    except requests.exceptions.InvalidURL as error:
        raise config.wrong_proxy() from error
    except requests.RequestException as error:
        raise _unreachable(url) from error


def _unreachable(url: str) -> FunctionUnavailable:
    return FunctionUnavailable(
        f"No function answers at {url}. Start it with `make function`, or unset TICKERCAST_FUNCTION_URL."
    )


def _event(resource: Mapping[str, Any]) -> CloudEvent:
    bucket, name = resource["bucket"], resource["name"]
    attributes = {
        "id": str(uuid.uuid4()),
        "type": FINALIZED,
        "source": f"//storage.googleapis.com/projects/_/buckets/{bucket}",
        "subject": f"objects/{name}",
        "time": resource["timeCreated"],
        "bucket": bucket,
        "datacontenttype": "application/json",
    }
    return CloudEvent(attributes, dict(resource))


def _check(status: int, body: str, function: str) -> None:
    if status >= 300:
        message = " ".join(
            html.unescape(re.sub(r"<title>.*?</title>|<h1>.*?</h1>|<[^>]+>", " ", body, flags=re.S)).split()
        )
        raise FunctionUnavailable(f"The function at {function} answered {status}: {message[:300]}")
