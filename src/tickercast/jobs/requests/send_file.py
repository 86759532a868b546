"""Send a person's file as it is, under the name that its content and its own name ask for."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date

from tickercast.domain import objects
from tickercast.domain.files.price_files import check_one_symbol, first_symbol, last_symbol, name_without_ending
from tickercast.domain.frequency import DAILY, Frequency
from tickercast.domain.spelling import agree, is_word
from tickercast.domain.symbols import named_after, parse_symbol
from tickercast.errors import InvalidBars, PreconditionFailed
from tickercast.ports import ObjectStore

_STARTS = {b"PAR1": ".parquet", b"\x1f\x8b": ".csv.gz", b"PK": ".zip"}
_FREE_NAME_ATTEMPTS = 100

Write = Callable[[str, str | None], str]


@dataclass(frozen=True)
class Sent:
    """A file that was sent.

    Attributes:
        file: the person's name for the file.
        object: the object's name.
        generation: the version of it.
    """

    file: str
    object: str
    generation: str


def send_file(
    file: str, data: bytes, as_of: date, *, symbol: str = "", store: ObjectStore, frequency: Frequency = DAILY
) -> Sent:
    """Write a file into the bucket, so that an event follows.

    Args:
        file: the name of the file, without a folder.
        data: the content of the file.
        as_of: the last date wanted, or moment (UTC, naive) of hourly bars.
        symbol: the symbol of the bars; by default the one in the file, or else its name.
        store: where it goes.
        frequency: the frequency of the bars in the file.

    Raises:
        UsageError: `symbol` is none, or the file holds several.
        StoreUnavailable: try again.
    """
    return place_file(
        file,
        data,
        as_of,
        lambda name, replaced: store.write(name, data, if_generation=replaced),
        symbol=symbol,
        store=store,
        frequency=frequency,
    )


def place_file(
    file: str,
    data: bytes,
    as_of: date,
    write: Write,
    *,
    symbol: str = "",
    store: ObjectStore,
    frequency: Frequency = DAILY,
) -> Sent:
    """Choose the name of a file in the bucket, and have it written there.

    Args:
        file: the name of the file, without a folder.
        data: the content of the file.
        as_of: the last date wanted, or moment (UTC, naive) of hourly bars.
        write: called with a name and the generation that has to be live, empty for none, None for any; it returns the
            new one.
        symbol: the symbol of the bars; by default the one in the file, or else its name.
        store: where it goes.
        frequency: the frequency of the bars in the file.

    Raises:
        UsageError: `symbol` is none, or the file holds several.
        StoreUnavailable: try again.
    """
    ending = next((ending for start, ending in _STARTS.items() if data.startswith(start)), ".csv")
    name = _given(symbol, data) if symbol else _name(name_without_ending(file), data, frequency)
    if name:
        wanted = objects.sent(as_of, name, ending, frequency)
        return Sent(file, wanted, write(wanted, None))
    return Sent(file, *_place_batch(write, store, as_of, ending, frequency))


def write_batch(
    store: ObjectStore,
    as_of: date,
    data: bytes,
    ending: str = ".parquet",
    frequency: Frequency = DAILY,
    metadata: Mapping[str, str] | None = None,
) -> tuple[str, str]:
    """Write a file of several symbols under the next free name, and return that and its generation.

    Raises:
        PreconditionFailed: other runs took a hundred names meanwhile.
        StoreUnavailable: try again.
    """

    def write(name: str, replaced: str | None) -> str:
        return store.write(name, data, if_generation=replaced, metadata=metadata)

    return _place_batch(write, store, as_of, ending, frequency)


def _place_batch(write: Write, store: ObjectStore, as_of: date, ending: str, frequency: Frequency) -> tuple[str, str]:
    existing = store.names(objects.batches(as_of, frequency))
    first = max(map(objects.batch_number, existing), default=0) + 1
    for number in range(first, first + _FREE_NAME_ATTEMPTS):
        name = objects.batch(as_of, number, ending, frequency)
        try:
            return name, write(name, "")
        except PreconditionFailed:
            continue  # another run took the name in between
    raise PreconditionFailed(f"{_FREE_NAME_ATTEMPTS} batch names after {first} were taken. Run the command again.")


def _given(symbol: str, data: bytes) -> str:
    symbol = parse_symbol(symbol)
    with suppress(InvalidBars):  # the function says why
        check_one_symbol(data, symbol)
    return symbol


def _name(stem: str, data: bytes, frequency: Frequency) -> str:
    """The name of a file in the bucket; empty for a batch, which names its symbols itself."""
    stem = stem.replace("/", "_").strip() or "file"
    named = named_after(stem) or ""
    try:
        first, last = first_symbol(data), last_symbol(data)
    except InvalidBars:  # the function says why
        first = last = None
    if first is None:
        return named or stem
    if last != first or not frequency.is_daily:
        return ""
    return "" if not named or (is_word(stem) and not agree(named, first)) else named
