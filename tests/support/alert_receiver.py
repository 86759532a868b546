"""A receiver of alerts and digests on this machine, which Apprise reaches as `json://`."""

import json
from http.client import HTTPMessage
from typing import Any

from tests.support.stand_in import Answer, StandIn

SECRET = "hunter2hunter2"


class Receiver(StandIn):
    """Takes Apprise's JSON messages.

    Attributes:
        status: of its answers; it keeps the messages that it answers with 200.
        asked: how often it was asked.
        messages: what it has taken.
    """

    def __init__(self) -> None:
        super().__init__()
        self.status = 200
        self.asked = 0
        self.messages: list[dict[str, Any]] = []

    def answer(self, verb: str, url: str, headers: HTTPMessage, content: bytes) -> Answer | None:
        self.asked += 1
        if self.status == 200:
            self.messages.append(json.loads(content))
        return Answer(self.status)

    @property
    def apprise_url(self) -> str:
        return self.url.replace("http://", f"json://user:{SECRET}@")
