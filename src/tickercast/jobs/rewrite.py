"""Change an object that others change, too: read, change, write if nobody else has written meanwhile, and again."""

import random
import time
from collections.abc import Callable

from tickercast.errors import ObjectNotFound, PreconditionFailed, StoreUnavailable
from tickercast.ports import ObjectStore

_ATTEMPTS = 50
_LONGEST_PAUSE_S = 0.05


def rewrite(
    name: str,
    store: ObjectStore,
    change: Callable[[bytes], bytes | None],
    *,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Write a changed object in place of the one that was read.

    Args:
        name: the name of the object.
        store: the bucket.
        change: makes the new content of the old, which is empty where there is none; None leaves it as it is. It is
            called again with what another writer has stored meanwhile.
        pause: waits some seconds after another writer came first.

    Raises:
        StoreUnavailable: others were faster each time, or the bucket does not answer; try again.
    """
    for _ in range(_ATTEMPTS):
        generation = store.generation(name)
        try:
            made = change(store.read(name, generation=generation) if generation else b"")
        except ObjectNotFound:
            continue  # it was replaced in between
        if made is None:
            return
        try:
            store.write(name, made, if_generation=generation)
        except PreconditionFailed:
            pause(random.uniform(0, _LONGEST_PAUSE_S))  # noqa: S311  # only to part those that collide
            continue
        return
    raise StoreUnavailable(f"{name} in {store.url} was replaced by other writers {_ATTEMPTS} times. Try again.")
