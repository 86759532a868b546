"""A stand-in for Binance's public klines, which fails as it does."""

import json
from collections.abc import Callable
from http.client import HTTPMessage
from urllib.parse import parse_qs, urlsplit

from tests.support.stand_in import Answer, StandIn, as_json

HOUR_MS = 3_600_000
ASKED_FOR = {"symbol", "interval", "startTime", "endTime", "limit"}


class BinanceServer(StandIn):
    """Serves `/api/v3/klines`: at most 1,000 bars, oldest first, the last one unfinished and changing.

    Attributes:
        bars: by symbol, rows of open time, open, high, low, close and volume.
        failures: answers to give first, one a request; None is a lost connection.
        used: the weight that the answers say is used.
        requests: the parameters of each request.
    """

    def __init__(self) -> None:
        super().__init__()
        self.bars: dict[str, list[list[float]]] = {}
        self.failures: list[Answer | None] = []
        self.used = 2
        self.requests: list[dict[str, str]] = []
        self.on_request: Callable[[], None] = lambda: None

    def answer(self, verb: str, url: str, headers: HTTPMessage, content: bytes) -> Answer | None:
        parts = urlsplit(url)
        asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
        self.requests.append(asked)
        self.on_request()
        if self.failures:
            return self.failures.pop(0)
        if verb != "GET" or parts.path != "/api/v3/klines" or not set(asked) <= ASKED_FOR or asked["interval"] != "1h":
            return as_json({"code": -1102, "msg": "Malformed request."}, 400)
        if asked["symbol"] not in self.bars:
            return as_json({"code": -1121, "msg": "Invalid symbol."}, 400)
        start, end, limit = (int(asked[name]) for name in ("startTime", "endTime", "limit"))
        rows = [row for row in self.bars[asked["symbol"]] if start <= row[0] <= end][: min(limit, 1000)]
        klines = [
            [int(row[0]), *(f"{value:.8f}" for value in row[1:]), int(row[0]) + HOUR_MS - 1, "0", 1, "0", "0", "0"]
            for row in rows
        ]
        return Answer(200, json.dumps(klines).encode(), {"X-MBX-USED-WEIGHT-1M": str(self.used)})


def refusal(status: int, retry_after: int | None = None) -> Answer:
    headers = {"Retry-After": str(retry_after)} if retry_after is not None else {}
    return as_json({"code": -1003, "msg": "Too much request weight used."}, status, headers)
