"""Put a rejected file back, or remove it from quarantine."""

from datetime import datetime

from tickercast.domain import objects
from tickercast.errors import ObjectNotFound, UsageError
from tickercast.ports import ObjectStore
from tickercast.reading.quarantine import Quarantined, find


def release(name: str, store: ObjectStore) -> tuple[str, str]:
    """Put a file back under its old name, as a new generation, and remove it from quarantine.

    It comes right after the write that was rejected, so that what is newer than that stays on top. Doing so again after
    an interruption writes nothing twice.

    Args:
        name: the name of the file in quarantine.
        store: where it is.

    Returns:
        The name and the live generation.

    Raises:
        UsageError: no such file is in quarantine, or a newer one has its name.
        PreconditionFailed: somebody else wrote under its name in between.
        Transient: try again.
    """
    kept = find(name, store)
    data, live = store.read(kept.name), store.generation(kept.object)
    if live in ("", kept.generation):
        metadata = objects.repeating(_written_at(kept, store))
        live = store.write(kept.object, data, if_generation=live, metadata=metadata)
    elif store.read(kept.object, generation=live) != data:
        raise UsageError(
            f"{kept.object} has been sent again since, as generation {live}: an older file must not replace a newer "
            "one. Leave this one in quarantine, or send it as a new file."
        )
    drop(kept.name, store)
    return kept.object, live


def _written_at(kept: Quarantined, store: ObjectStore) -> datetime:
    """The time at which a file was written, or put into quarantine where nothing else is known any more."""
    try:
        return store.written_at(kept.object, generation=kept.generation)
    except ObjectNotFound:
        return store.written_at(kept.name, generation=store.generation(kept.name))


def drop(name: str, store: ObjectStore) -> None:
    """Remove a file, its reason and the note that its event was started; nothing happens if they are not there.

    Raises:
        StoreUnavailable: try again.
    """
    handled = objects.unquarantined(name)
    for kept in (name, objects.reason_of(name), *([objects.note_of(*handled)] if handled else [])):
        generation = store.generation(kept)
        if generation:
            store.delete(kept, generation=generation)
