"""Watch the folder of a local bucket: send what is copied there, and what was never forecast, until Ctrl-C."""

import math
from collections.abc import Callable, Iterable, Iterator

from tickercast.domain import objects
from tickercast.errors import TickercastError
from tickercast.jobs.requests.send_file import Sent
from tickercast.ports import DropFolder
from tickercast.reading.ledger import Entry

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 10.0, 300.0


def watch_folder(
    drops: DropFolder,
    *,
    send: Callable[[str], Sent | None],
    unaccounted: Callable[[], Iterable[Entry]],
    clock: Callable[[], float],
) -> Iterator[Sent | TickercastError]:
    """Send each dropped file once, however many watch the folder.

    A file whose watcher was killed, or whose event failed, is in the bucket, and the ledger does not hold it: it is
    announced again at the start, and with growing pauses after a failure; one that has changed meanwhile is sent at
    once. The ledger accepts a write once.

    Args:
        drops: the folder.
        send: sends a dropped file; None where somebody else has sent it.
        unaccounted: the files in the bucket that the ledger does not hold.
        clock: seconds.

    Yields:
        What was sent, or why a file could not be.

    Raises:
        StoreUnavailable: the folder cannot be read.
    """
    pause, due = _FIRST_PAUSE_S, clock()
    late: dict[str, tuple[int, ...]] = {}  # what could not be sent, as it was then
    for names in drops.wait():
        failed, is_due = False, due <= clock()
        if is_due:
            for found in _announced_again(drops, unaccounted):
                failed = failed or isinstance(found, TickercastError)
                yield found
            names, late = list(dict.fromkeys([*names, *late])), {}
        states = {name: drops.state(name) for name in names}
        names = [name for name in names if late.get(name) != states[name]]  # the others wait until they are due
        for name in sorted(names, key=lambda name: not objects.is_upload(name)):  # the others may be moved beside them
            try:
                sent = send(name)
            except TickercastError as error:
                late[name] = states[name]
                yield error
            else:
                late.pop(name, None)
                if sent:
                    yield sent
        failed = failed or bool(late)
        if is_due:
            pause = min(2 * pause, _LONGEST_PAUSE_S) if failed else _FIRST_PAUSE_S
            due = clock() + pause if failed else math.inf
        elif failed:
            due = min(due, clock() + pause)


def _announced_again(drops: DropFolder, unaccounted: Callable[[], Iterable[Entry]]) -> Iterator[Sent | TickercastError]:
    try:
        entries = unaccounted()
    except TickercastError as error:
        yield error
        return
    for entry in entries:
        try:
            drops.announce(entry.object, generation=entry.generation)
        except TickercastError as error:
            yield error
        else:
            yield Sent(entry.object, entry.object, entry.generation)
