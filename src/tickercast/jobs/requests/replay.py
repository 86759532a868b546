"""Replay a file: have the function handle it once more.

An event cannot be repeated: each is handled once, and the ledger holds one answer to it. So a replay writes the same
content again under the same name. That is a new generation with an event of its own, whose answer stands in the ledger
beside the old one. Its metadata give the time of the write that it repeats: what is newer than that stays on top.
"""

from dataclasses import dataclass

from tickercast.domain import objects
from tickercast.errors import UsageError
from tickercast.jobs.requests.quarantine import drop
from tickercast.ports import ObjectStore, Warehouse
from tickercast.reading.ledger import DONE


@dataclass(frozen=True)
class Replayed:
    """The result of a replay.

    Attributes:
        object: the file.
        generation: the version that counts now.
        sent: whether that version is new; a file that was forecast whole is not sent again.
    """

    object: str
    generation: str
    sent: bool


def replay(wanted: str, *, store: ObjectStore, warehouse: Warehouse) -> Replayed:
    """Send the live generation of a file again, unless all of it has been forecast.

    Args:
        wanted: the object's name; `#GENERATION` behind it makes sure that no other generation is sent.
        store: where the file is.
        warehouse: where the function stores.

    Raises:
        UsageError: there is no such file, or another generation of it is live.
        PreconditionFailed: somebody else wrote the file in between.
        Transient: try again.
    """
    name, generation = _live(wanted, store)
    ledger = warehouse.read("ingestions", {"object": name, "generation": generation})
    if not ledger.empty and ledger["status"].isin(DONE).all():
        return Replayed(name, generation, sent=False)
    metadata = objects.repeating(store.written_at(name, generation=generation))
    content = store.read(name, generation=generation)
    sent = store.write(name, content, if_generation=generation, metadata=metadata)
    drop(objects.quarantine_name(name, generation), store)
    return Replayed(name, sent, sent=True)


def _live(wanted: str, store: ObjectStore) -> tuple[str, str]:
    name, _, generation = wanted.partition("#")
    if not objects.is_upload(name):
        raise UsageError(
            f"{name[:80]!r} is no file that is handled: {objects.PRICES}YYYY-MM-DD/SYMBOL.csv or .parquet, or "
            "events/NAME.csv, was needed. tickercast ingestions lists them."
        )
    live = store.generation(name)
    if not live:
        raise UsageError(f"{store.url} holds no {name}. tickercast ingestions lists what was sent.")
    if generation and generation != str(live):
        raise UsageError(
            f"{name} is at generation {live}, and {generation[:20]} was asked for: an older file must not replace a "
            f"newer one. Replay {name}, or send the older bars again as a new file."
        )
    return name, live
