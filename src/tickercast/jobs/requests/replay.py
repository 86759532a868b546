"""Replay a file: have the function handle it once more.

An event cannot be repeated: each is handled once, and the ledger holds one answer to it. So a replay writes the same
content again under the same name. That is a new generation with an event of its own, whose answer stands in the ledger
beside the old one. Its metadata give the time of the write that it repeats: what is newer than that stays on top.

Of a file that was forecast in part, the rest is sent as a file of its own.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from tickercast.domain import objects
from tickercast.domain.bars import Reading
from tickercast.domain.files.price_files import Window, read_prices
from tickercast.domain.forecast import Origin
from tickercast.errors import InvalidBars, PreconditionFailed, UsageError
from tickercast.jobs.requests.quarantine import drop
from tickercast.jobs.requests.send_file import write_batch
from tickercast.jobs.requests.upload import parquet_of
from tickercast.ports import ObjectStore, Warehouse
from tickercast.reading.ledger import DONE

_OVERTAKEN = "is newer than the version that was listed; nothing was sent."


@dataclass(frozen=True)
class Replayed:
    """The result of a replay.

    Attributes:
        object: the file that was sent, or would have been.
        generation: the version of it that counts now.
        kept_back: why nothing was sent; empty if something was.
    """

    object: str
    generation: str
    kept_back: str = ""

    @property
    def sent(self) -> bool:
        """Whether that version is new."""
        return not self.kept_back


def replay(
    wanted: str, *, store: ObjectStore, warehouse: Warehouse, now: datetime, largest: int, listed: str = ""
) -> Replayed:
    """Send what the live generation of a file holds again, but for what has been forecast.

    Args:
        wanted: the object's name; `#GENERATION` behind it makes sure that no other generation is sent.
        store: where the file is.
        warehouse: where the function stores.
        now: the time.
        largest: bytes that a file may have unpacked.
        listed: the generation that a list gave for the name `wanted`; nothing is sent if another is live by now, which
            somebody else has sent.

    Raises:
        UsageError: no such file is in the store, or another generation of it is live than was asked for.
        PreconditionFailed: somebody else wrote the file in between.
        Transient: try again.
    """
    name, generation = _live(wanted, store)
    if listed and listed != generation:
        return Replayed(name, generation, _OVERTAKEN)
    try:
        return _replay(name, generation, store, warehouse, now, largest)
    except PreconditionFailed:
        if not listed:
            raise
        return Replayed(name, store.generation(name), _OVERTAKEN)


def _replay(
    name: str, generation: str, store: ObjectStore, warehouse: Warehouse, now: datetime, largest: int
) -> Replayed:
    ledger = warehouse.read("ingestions", {"object": name, "generation": generation})
    done = ledger["symbol"][ledger["status"].isin(DONE)]
    if len(done) and len(done) == len(ledger):
        return Replayed(name, generation, "has been handled; nothing was sent.")
    metadata = objects.repeating(store.written_at(name, generation=generation))
    content = store.read(name, generation=generation)
    if done.empty:
        sent = Replayed(name, store.write(name, content, if_generation=generation, metadata=metadata))
    else:
        sent = _send_rest(name, generation, content, set(done), store, metadata, now, largest)
    if sent.sent:
        drop(objects.quarantine_name(name, generation), store)
    return sent


def _send_rest(
    name: str,
    generation: str,
    content: bytes,
    done: Collection[str],
    store: ObjectStore,
    metadata: dict[str, str],
    now: datetime,
    largest: int,
) -> Replayed:
    """Send the symbols of a file that are not done as a file of their own; the file itself stays as it is."""
    described = objects.parse(name)
    as_of, frequency = described.as_of, described.frequency
    window = Window(as_of - frequency.lookback, as_of, now)
    try:
        reading = read_prices(content, symbol=described.name, window=window, largest=largest, frequency=frequency)
    except InvalidBars as error:
        reading = Reading(failures={name: error})
    rest = [bars for symbol, bars in reading.bars.items() if symbol not in done]
    if not rest:
        reasons = " ".join(str(error) for error in list(reading.failures.values())[:3])
        why = f"was forecast but for what cannot be read, and nothing was sent. {reasons}"
        return Replayed(name, generation, why)
    data = parquet_of(rest, reading.findings, frequency)
    if described.origin is Origin.LIVE:
        return Replayed(*write_batch(store, as_of, data, frequency=frequency, metadata=metadata))
    own = objects.backfill(as_of, (bars.symbol for bars in rest), frequency)
    if live := store.generation(own):
        return Replayed(name, generation, f"was forecast but for what {own}#{live} holds; nothing was sent.")
    return Replayed(own, store.write(own, data, if_generation="", metadata=metadata))


def _live(wanted: str, store: ObjectStore) -> tuple[str, str]:
    name, generation = _named(wanted, store)
    if not objects.is_upload(name):
        raise UsageError(
            f"{name[:80]!r} is no file that is handled: {objects.PRICES}YYYY-MM-DD/SYMBOL.csv or .parquet, or "
            "events/NAME.csv, was needed. tickercast ingestions lists them."
        )
    live = store.generation(name)
    if not live:
        raise UsageError(f"{store.url} holds no {wanted}. tickercast ingestions lists what was sent.")
    if generation and generation != str(live):
        raise UsageError(
            f"{name} is at generation {live}, and {generation[:20]} was asked for: an older file must not replace a "
            f"newer one. Replay {name}, or send the older bars again as a new file."
        )
    return name, live


def _named(wanted: str, store: ObjectStore) -> tuple[str, str]:
    """The name and the generation that `OBJECT#GENERATION` asks for; the name may hold a # of its own."""
    name, mark, generation = wanted.rpartition("#")
    if not mark or (objects.is_upload(wanted) and store.generation(wanted)):
        return wanted, ""
    return name, generation
