"""Events that end their instance: known by what they leave behind, and given up at the third attempt.

A file that takes all memory, or crashes a library, ends the process before any reason is stored; the platform delivers
its event again, and each attempt ends whatever else the instance was handling. So an attempt is noted before the work,
and the note is removed by whoever survives it. A small plain CSV that comes at once is not noted, which saves most
events two writes; it is when it comes again.
"""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from tickercast.domain.objects import note_of
from tickercast.errors import EndsItsProcess, ObjectNotFound, PreconditionFailed, TickercastError
from tickercast.ports import ObjectFinalized, ObjectStore

log = logging.getLogger(__name__)

MOST_ATTEMPTS = 2
"""Attempts that may end their process; the next one is a rejection."""

APART = timedelta(seconds=10)
"""Deliveries that are closer than that are one attempt: the platform waits at least as long after a failed one."""

_SMALL = 1_000_000


@dataclass(frozen=True)
class _Note:
    attempts: int
    started_at: datetime


@contextmanager
def noted(event: ObjectFinalized, store: ObjectStore, now: datetime) -> Iterator[int]:
    """Note that an event was started for as long as the block runs; the note stays if the process ends in it.

    Yields:
        The number of earlier attempts that have ended their process, as far as they were noted.

    Raises:
        EndsItsProcess: the event was started too often, and never came to an end.
        StoreUnavailable: try again.
    """
    name = note_of(event.name, event.generation)
    generation = store.generation(name) if _is_new_or_large(event, now) else None
    if generation is None:
        yield 0
        return
    before = _read(name, store, generation) if generation else None
    if before and before.attempts >= MOST_ATTEMPTS and now - before.started_at >= APART:
        store.delete(name, generation=generation)
        raise EndsItsProcess(
            f"{event.name} was started {before.attempts} times, and each time the function's instance ended before it "
            "had an answer: it ran out of memory or time, or a library crashed. Split the file or write it anew, or "
            f"give the function more memory; then: tickercast replay {event.name}."
        )
    again = before is not None and now - before.started_at < APART
    attempts = min((before.attempts if before else 0) + (not again), MOST_ATTEMPTS)
    started_at = before.started_at if before and again else now
    note = {"object": event.name, "generation": event.generation, "attempts": attempts}
    data = json.dumps(note | {"started_at": started_at.isoformat()}).encode()
    with suppress(PreconditionFailed):  # another delivery came at the same moment, and has noted it
        generation = store.write(name, data, if_generation=generation)
    try:
        yield before.attempts if before and not again else 0
    except (Exception, KeyboardInterrupt):  # who stops a watch ends no process that the file would end
        _forget(name, store, generation)
        raise
    _forget(name, store, generation)


def _is_new_or_large(event: ObjectFinalized, now: datetime) -> bool:
    plain = event.name.lower().endswith(".csv") and 0 < event.size < _SMALL
    return not plain or event.written_at is None or now - event.written_at >= APART


def _read(name: str, store: ObjectStore, generation: str) -> _Note | None:
    try:
        stored = json.loads(store.read(name, generation=generation))
        return _Note(int(stored["attempts"]), datetime.fromisoformat(stored["started_at"]))
    except (ObjectNotFound, ValueError, KeyError, TypeError):  # it has ended meanwhile, or is damaged
        return None


def _forget(name: str, store: ObjectStore, generation: str) -> None:
    try:
        store.delete(name, generation=generation)
    except TickercastError as error:  # the work is done; a note that stays is counted once too often
        log.warning("The note about a started event, %s, cannot be removed: %s", name, error)
