"""The connections of the server, which no caller may hold for long without a whole request.

uvicorn closes a connection that is silent after an answer, and no other: it would keep one without a request, or with
half of one, and one whose caller does not take the answer.
"""

import asyncio
import logging
import resource
from collections import Counter
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from tickercast.api.problems import MEDIA_TYPE, Problem

log = logging.getLogger(__name__)

REQUEST_S = 30.0
"""Seconds in which the first line and the headers of a request have to come, from the connection or the last answer."""

ANSWER_S = 120.0
"""Seconds in which a caller has to take what it was sent."""

_REPORTED_EVERY_S = 10.0
_MOST = 2_000


def most_connections() -> int:
    """The connections that may be open at once: half the files that this process may open, and at most 2,000."""
    return min(_MOST, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2)


class Watch:
    """Knows which connections wait for a request, and reports those that were dropped, with one line in ten seconds.

    Args:
        most: the connections that may be open at once.

    Attributes:
        waiting: those that wait for a request, the longest first.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.waiting: dict[Connection, None] = {}
        self._reasons = Counter[str]()

    def note(self, reason: str, caller: str, loop: asyncio.AbstractEventLoop) -> None:
        """Count one connection.

        Args:
            reason: why it was dropped, as a clause.
            caller: the address at its other end.
            loop: the loop of the server.
        """
        if not self._reasons:
            loop.call_later(_REPORTED_EVERY_S, self._report, caller)
        self._reasons[reason] += 1

    def _report(self, caller: str) -> None:
        count = self._reasons.total()
        reasons = ", ".join(f"{each:,} {reason}" for reason, each in self._reasons.items())
        self._reasons.clear()
        log.warning(
            "%s dropped, the first from %s: %s. If that goes on, keep that caller out. At most %s may be open, half of "
            "`ulimit -n`.",
            "1 connection was" if count == 1 else f"{count:,} connections were",
            caller,
            reasons,
            f"{self.most:,}",
        )


class Connection(HttpToolsProtocol):
    """A connection with a time limit for each request and answer.

    Beyond the most that may be open, each new one takes the place of the one that has waited longest for a request.

    Args:
        watch: that of all connections.
        given: the arguments of uvicorn.
    """

    def __init__(self, watch: Watch, **given: Any) -> None:
        super().__init__(**given)
        self._watch = watch
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for a request, and make room."""
        super().connection_made(transport)
        self._wait()
        if len(self.connections) > self._watch.most:
            next(iter(self._watch.waiting))._drop("made room for new ones")

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        super().connection_lost(exc)
        self._rest()

    def send_400_response(self, msg: str) -> None:
        """Refuse what does not parse, in the form of every other error."""
        problem = Problem(400, "The request is no HTTP/1.1: a request line and headers were needed. Correct it.")
        body = problem.body("")
        kind = f"content-type: {MEDIA_TYPE}".encode()
        head = [STATUS_LINE[400].strip(), kind, b"content-length: %d" % len(body), b"connection: close"]
        self.transport.write(b"\r\n".join([*head, b"", body]))
        self.transport.close()

    def on_headers_complete(self) -> None:
        """Begin the work for a request; the API gives its body a time limit of its own."""
        self._stop()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Keep the place from here on: the request is whole."""
        self._rest()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Wait for the next request, unless it has come."""
        super().on_response_complete()
        if self._is_at_work() or self.flow.write_paused:
            return
        self._wait()

    def pause_writing(self) -> None:
        """Wait until the caller has taken what it was sent."""
        super().pause_writing()
        self._rest()
        self._timer = self.loop.call_later(ANSWER_S, self._drop, f"took no answer within {ANSWER_S:.0f} s")

    def resume_writing(self) -> None:
        """Wait for the next request, unless there is work to do."""
        super().resume_writing()
        self._rest()
        if not self._is_at_work():
            self._wait()

    def _is_at_work(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _wait(self) -> None:
        self._rest()
        self._watch.waiting[self] = None
        self._timer = self.loop.call_later(REQUEST_S, self._drop, f"sent no whole request within {REQUEST_S:.0f} s")

    def _rest(self) -> None:
        self._watch.waiting.pop(self, None)
        self._stop()

    def _stop(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _drop(self, reason: str) -> None:
        self._rest()
        self.connections.discard(self)
        self._watch.note(reason, self.client[0] if self.client else "an unknown address", self.loop)
        self.transport.abort()
