"""Count the calls of the API, and append them in bundles: one row a token, route and status, not one a call."""

import logging
import threading
import uuid
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

import pyarrow as pa

from tickercast.errors import TickercastError
from tickercast.ports import Warehouse

log = logging.getLogger(__name__)

APPENDED_EVERY_S = 300.0
"""Seconds between two bundles: BigQuery takes 1,500 load jobs a table and day, from all instances together."""

_MOST_WAITING = 100

_SCHEMA = pa.schema(
    {
        "day": pa.date32(),
        "token_id": pa.string(),
        "owner": pa.string(),
        "route": pa.string(),
        "status": pa.int64(),
        "calls": pa.int64(),
        "seconds": pa.float64(),
        "instance": pa.string(),
        "first_at": pa.timestamp("us", "UTC"),
        "last_at": pa.timestamp("us", "UTC"),
    }
)


@dataclass
class _Count:
    calls: int = 0
    seconds: float = 0.0
    first_at: datetime | None = None
    last_at: datetime | None = None


@dataclass(frozen=True)
class _Bundle:
    key: str
    rows: pa.Table


@dataclass
class Usage:
    """The calls that this instance has answered and not appended yet; several threads may note.

    Attributes:
        now: the clock.
        instance: the name of the instance in the rows.
    """

    now: Callable[[], datetime]
    instance: str = field(default_factory=lambda: uuid.uuid4().hex[:12])

    def __post_init__(self) -> None:
        self._counts: dict[tuple[str, str, str, int], _Count] = defaultdict(_Count)
        self._waiting: list[_Bundle] = []
        self._number = 0
        self._lock = threading.Lock()
        self._appending = threading.Lock()

    def note(self, token: str, owner: str, route: str, status: int, seconds: float) -> None:
        """Count one call.

        Args:
            token: the id of the token; empty where none was needed.
            owner: the owner of the token.
            route: the route as the API declares it, for example `/v1/forecasts/{symbol}`; `none` where the call did not
                reach one.
            status: the status of the answer.
            seconds: the duration of the call, in seconds.
        """
        now = self.now()
        with self._lock:
            count = self._counts[token, owner, route, status]
            count.calls += 1
            count.seconds += seconds
            count.first_at = count.first_at or now
            count.last_at = now

    def calls(self, token: str) -> int:
        """The calls of a token that no row accounts for yet."""
        with self._lock:
            noted = sum(count.calls for key, count in self._counts.items() if key[0] == token)
            bundles = list(self._waiting)
        for bundle in bundles:
            pairs = zip(bundle.rows["token_id"].to_pylist(), bundle.rows["calls"].to_pylist(), strict=True)
            noted += sum(calls for one, calls in pairs if one == token)
        return noted

    def append(self, warehouse: Warehouse) -> None:
        """Append what was noted; whatever the warehouse does not take now is kept for the next time."""
        with self._appending:
            with self._lock:
                if self._counts and len(self._waiting) < _MOST_WAITING:
                    self._number += 1
                    self._waiting.append(_Bundle(f"usage/{self.instance}/{self._number}", self._rows()))
                    self._counts.clear()
                waiting = list(self._waiting)
            for bundle in waiting:
                try:
                    warehouse.append("usage", bundle.rows, key=bundle.key)
                except TickercastError as error:
                    log.warning("%d rows of usage are kept for later: %s", len(bundle.rows), error)
                    return
                with self._lock:
                    self._waiting.remove(bundle)

    def _rows(self) -> pa.Table:
        return pa.Table.from_pylist(
            [
                {
                    "day": count.first_at.date() if count.first_at else None,
                    "token_id": token,
                    "owner": owner,
                    "route": route,
                    "status": status,
                    "calls": count.calls,
                    "seconds": round(count.seconds, 6),
                    "instance": self.instance,
                    "first_at": count.first_at,
                    "last_at": count.last_at,
                }
                for (token, owner, route, status), count in self._counts.items()
            ],
            _SCHEMA,
        )
