"""A stand-in for BigQuery: the real clients talk HTTP to it, and DuckDB executes what they ask for.

It refuses every method, parameter and field that Google's published discovery document does not know, and keeps
each refusal in `refused`; it fails on demand.
"""

import itertools
from collections import Counter, deque
from http.client import HTTPMessage
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.support.bigquery_engine import Engine, Failure, Request
from tests.support.discovery import Discovery, Unpublished
from tests.support.stand_in import Answer, StandIn, as_json, split

_UNPUBLISHED = {("bigquery.jobs.get", "projection"), ("bigquery.jobs.cancel", "projection")}
"""Parameters that Google's own client sends, which the service takes and the document leaves out."""


class BigQueryServer(StandIn):
    """The stand-in, listening on a free port of this machine until it is closed.

    Attributes:
        refused: what the discovery document does not know.
        calls: how often each method was called, by its id.
    """

    def __init__(self) -> None:
        super().__init__()
        self.engine = Engine()
        self.refused: list[str] = []
        self.calls: Counter[str] = Counter()
        self._discovery = Discovery("bigquery.v2", unpublished=_UNPUBLISHED)
        self._uploads: dict[str, dict[str, Any]] = {}
        self._numbers = itertools.count(1)

    def fail(self, where: str, *faults: str) -> None:
        """Order faults, one for each of the next calls.

        Args:
            where: a method's id, or `job` for what happens to a job after it was accepted.
            faults: for a method a reason code, or `drop`: the answer is lost after the work was done; for a job a
                reason code, how often it is found running, or how long it runs, as `2s`.
        """
        self.engine.faults.setdefault(where, deque()).extend(faults)

    def reset(self) -> None:
        """Forget what was ordered and counted; datasets and jobs stay."""
        self.engine.faults.clear()
        self.engine.modifications.clear()
        self.engine.page_rows, self.engine.daily_modifications = 5000, 1500
        self.engine.query_bytes = 0
        self.calls.clear()
        self.refused.clear()

    def close(self) -> None:
        super().close()
        self.engine.close()

    def answer(self, verb: str, url: str, headers: HTTPMessage, content: bytes) -> Answer | None:
        try:
            request = self._understood(verb, url, headers, content)
        except Unpublished as refusal:
            self.refused.append(str(refusal))
            return as_json(Failure("invalid", str(refusal)).body(), 400)
        if isinstance(request, str):
            return as_json({}, headers={"Location": request})
        self.calls[request.method] += 1
        try:
            fault = self.engine.fault(request.method)
            if fault not in ("", "drop"):
                raise Failure(fault, "It failed on demand")
            answer = self.engine.handle(request)
        except Failure as failure:
            if failure.reason == "notImplemented":
                self.refused.append(str(failure))
            return as_json(failure.body(), failure.status)
        except Exception as error:  # a fault of this stand-in: the test has to fail
            self.refused.append(repr(error))
            raise
        return None if fault else as_json(answer)

    def _understood(self, verb: str, url: str, headers: HTTPMessage, content: bytes) -> Request | str:
        """The request, or for an upload that begins, where it goes on."""
        parts = urlsplit(url)
        query = dict(parse_qsl(parts.query))
        upload = self._uploads.pop(query.pop("upload_id", ""), None)
        method, named = self._discovery.find("POST" if upload else verb, parts.path)
        body, data, _ = split(headers, content) if upload is None else (upload, content, "")
        self._discovery.check(method, query, body)
        if query.get("uploadType") == "resumable" and upload is None:
            number = str(next(self._numbers))
            self._uploads[number] = body
            return f"{self.url}{url}&upload_id={number}"
        return Request(method["id"], named, query, body, data, headers.get("If-Match", ""))
