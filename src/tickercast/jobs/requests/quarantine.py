"""Put a rejected file back, or remove it from quarantine."""

from tickercast.domain import objects
from tickercast.errors import UsageError
from tickercast.ports import ObjectStore
from tickercast.reading.quarantine import find


def release(name: str, store: ObjectStore) -> tuple[str, str]:
    """Put a file back under its old name, as a new generation, and remove it from quarantine.

    Doing so again after an interruption writes nothing twice.

    Args:
        name: its name in quarantine.
        store: where it is.

    Returns:
        The name and the live generation.

    Raises:
        UsageError: there is no such file, or a newer one has its name.
        PreconditionFailed: somebody else wrote under its name in between.
        Transient: try again.
    """
    kept = find(name, store)
    data, live = store.read(kept.name), store.generation(kept.object)
    if live in ("", kept.generation):
        live = store.write(kept.object, data, if_generation=live)
    elif store.read(kept.object, generation=live) != data:
        raise UsageError(
            f"{kept.object} has been sent again since, as generation {live}: an older file must not replace a newer "
            "one. Leave this one in quarantine, or send it as a new file."
        )
    drop(kept.name, store)
    return kept.object, live


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
