"""The quarantine: the rejected files that are kept, with their reasons."""

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from tickercast.domain import objects
from tickercast.errors import InvalidName, ObjectNotFound, UsageError
from tickercast.ports import ObjectStore

MOST_LISTED = 1_000
"""The files that are listed: the reason of each takes a request."""

_REQUESTS_AT_ONCE = 16
_UNKNOWN = "No reason that can be read is stored beside it."


@dataclass(frozen=True)
class Quarantined:
    """A rejected file.

    Attributes:
        name: the object's name in quarantine.
        object: the name that it had.
        generation: the version that was rejected.
        quarantined_at: when it was rejected, ISO 8601, or empty.
        reasons: one sentence a symbol.
    """

    name: str
    object: str
    generation: str
    quarantined_at: str
    reasons: Sequence[str]


def quarantined(store: ObjectStore) -> list[Quarantined]:
    """The newest files in quarantine, the newest first, `MOST_LISTED` at most.

    Raises:
        StoreUnavailable: try again.
    """
    kept = {name: at for name, at in store.times(objects.QUARANTINE).items() if objects.unquarantined(name)}
    names = sorted(kept, key=lambda name: (kept[name], name), reverse=True)[:MOST_LISTED]
    with ThreadPoolExecutor(_REQUESTS_AT_ONCE) as pool:
        found = [kept for kept in pool.map(lambda name: _listed(name, store), names) if kept]
    return sorted(found, key=lambda kept: kept.quarantined_at, reverse=True)


def _listed(name: str, store: ObjectStore) -> Quarantined | None:
    """A file that a list of the bucket names; None if it was removed meanwhile."""
    was = objects.unquarantined(name)
    try:
        return find(name, store)
    except InvalidName as error:
        return Quarantined(name, *was, "", [str(error)]) if was else None
    except UsageError:
        return None


def find(name: str, store: ObjectStore) -> Quarantined:
    """One file in quarantine.

    Args:
        name: the name of the file, with or without `quarantine/`.
        store: the store of the file.

    Raises:
        UsageError: no file of that name is in quarantine.
        StoreUnavailable: try again.
    """
    name = objects.QUARANTINE + name.removeprefix(objects.QUARANTINE)
    was = objects.unquarantined(name)
    if was is None or not store.generation(name):
        raise UsageError(f"{name[:120]!r} is not in quarantine. tickercast quarantine list names what is.")
    stored = _reason(name, store)
    reasons = stored.get("reasons")
    given = reasons if isinstance(reasons, list) else []
    texts = [reason["reason"] for reason in given if isinstance(reason, dict) and isinstance(reason.get("reason"), str)]
    return Quarantined(name, *was, str(stored.get("quarantined_at") or ""), texts or [_UNKNOWN])


def _reason(name: str, store: ObjectStore) -> dict[str, Any]:
    try:
        stored = json.loads(store.read(objects.reason_of(name)))
    except (ObjectNotFound, ValueError, RecursionError):  # there is none, or it is damaged
        return {}
    return stored if isinstance(stored, dict) else {}
