"""Poll a bucket that sends no events: handle every write that the ledger does not hold, until Ctrl-C."""

import logging
from collections.abc import Callable, Iterator

from tickercast.domain import objects
from tickercast.errors import Permanent, StoreUnavailable, TickercastError
from tickercast.ports import ObjectFinalized, PolledBucket, Warehouse

log = logging.getLogger(__name__)

_LONGEST_PAUSE_S = 300.0

Write = tuple[str, str]


def poll(
    bucket: PolledBucket,
    *,
    warehouse: Warehouse,
    handle: Callable[[ObjectFinalized], object],
    every_s: float,
    pause: Callable[[float], None],
) -> Iterator[ObjectFinalized | TickercastError]:
    """List a bucket again and again, and handle each write once.

    A write that fails is handled again the next time, and the pauses double meanwhile. Several pollers, and a poller
    that is started again, make nothing twice: the ledger accepts a write once.

    Args:
        bucket: lists its writes.
        warehouse: where the ledger is.
        handle: handles an event.
        every_s: seconds between two lists.
        pause: waits so many seconds.

    Yields:
        Each write when it has been handled, or why it could not be.

    Raises:
        Permanent: the bucket cannot be read at all.
    """
    done: set[Write] | None = None
    wait = every_s
    while True:
        failed = False
        try:
            arrived = _arrived(bucket, done or set())
            if done is None:
                done = _accounted_for(warehouse) if arrived else set()
                arrived = [event for event in arrived if _key(event) not in done]
        except TickercastError as error:
            if done is None and isinstance(error, Permanent):
                raise
            failed = True
            yield error
            arrived = []
        for event in arrived:
            try:
                handle(event)
            except TickercastError as error:
                failed = True
                yield error
            except Exception as error:  # one file must not end the handling of all others
                failed = True
                log.exception("%s failed", event.name)
                yield StoreUnavailable(f"{event.name} failed ({type(error).__name__}: {error}). It is tried again.")
            else:
                if done is not None:
                    done.add(_key(event))
                yield event
        wait = min(2 * wait, _LONGEST_PAUSE_S) if failed else every_s
        pause(wait)


def _arrived(bucket: PolledBucket, done: set[Write]) -> list[ObjectFinalized]:
    """The writes that are not done, in the order of their writing."""
    found = [
        event
        for folder in objects.UPLOADS
        for prefix in (folder, folder.upper())
        for event in bucket.arrivals(prefix)
        if _key(event) not in done and objects.is_upload(event.name)
    ]
    found.reverse()  # within one second, the newer is listed first
    return sorted(found, key=lambda event: event.written_at.timestamp() if event.written_at else 0.0)


def _accounted_for(warehouse: Warehouse) -> set[Write]:
    ledger = warehouse.read("ingestions", columns=["object", "generation"])
    return set(zip(ledger["object"], ledger["generation"], strict=True))


def _key(event: ObjectFinalized) -> Write:
    return event.name, event.generation
