"""The bytes that warehouses load and query, counted for whoever asks.

>>> with counted():
...     loaded(120)
...     queried(30)
...     so_far()
Traffic(loaded=120, queried=30)
>>> loaded(5)
>>> so_far()
Traffic(loaded=0, queried=0)
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass
class Traffic:
    """Bytes since the count began.

    Attributes:
        loaded: the bytes of the rows that were stored: BigQuery's logical size, or Arrow's in memory.
        queried: the bytes that queries are billed for; 0 where nothing is billed.
    """

    loaded: int = 0
    queried: int = 0


_COUNTING: ContextVar[Traffic | None] = ContextVar("tickercast_traffic", default=None)
_LOCK = threading.Lock()


@contextmanager
def counted() -> Iterator[None]:
    """Count from 0 while the block, or the function that this decorates, runs; also in threads with its context."""
    token = _COUNTING.set(Traffic())
    try:
        yield
    finally:
        _COUNTING.reset(token)


def so_far() -> Traffic:
    """The bytes counted so far; zeros outside of a count."""
    return _COUNTING.get() or Traffic()


def loaded(size: int) -> None:
    """Count bytes that were stored."""
    _add(size, 0)


def queried(size: int) -> None:
    """Count bytes that a query is billed for."""
    _add(0, size)


def _add(stored: int, billed: int) -> None:
    counting = _COUNTING.get()
    if counting is not None:
        with _LOCK:
            counting.loaded += stored
            counting.queried += billed
