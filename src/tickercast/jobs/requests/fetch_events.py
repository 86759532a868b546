"""Fetch results days from a source, and send them as a file, so that an event stores them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path

from tickercast.domain import objects
from tickercast.domain.files.event_files import write_events
from tickercast.errors import Permanent
from tickercast.ports import ObjectStore, ResultsSource

PAST = timedelta(days=3 * 365)
"""The past that a service is asked for, unless a date is given: a prediction needs a year, five past days more."""


@dataclass(frozen=True)
class FetchedEvents:
    """The result of asking a source for results days.

    Attributes:
        symbols: the symbols of which the source gave results days.
        failures: the reason for each symbol that the source knows nothing of.
        object: the file that was sent; empty if there was nothing to send.
        generation: the version of that file.
    """

    symbols: Sequence[str] = ()
    failures: Mapping[str, Permanent] = field(default_factory=dict)
    object: str = ""
    generation: str = ""


def fetch_events(
    symbols: Sequence[str],
    *,
    source: ResultsSource,
    store: ObjectStore,
    now: datetime,
    since: date | None = None,
    advance: Callable[[int], None] = lambda _: None,
) -> FetchedEvents:
    """Ask a source for the results days of some symbols, and send what it knows as one file.

    Args:
        symbols: the symbols, as Yahoo spells them, without duplicates.
        source: the source.
        store: where the file goes.
        now: the time.
        since: the first date wanted; three years back by default, and all that a file has.
        advance: called with the number of symbols done since the last call.

    Raises:
        SourceUnavailable: the source as a whole does not answer; nothing was sent.
        UsageError, InvalidBars: it cannot be read.
        StoreUnavailable: try again.
    """
    usual = date.min if source.is_file else now.date() - PAST
    reading = source.fetch(symbols, since or usual, advance=advance)
    if not len(reading.rows):
        return FetchedEvents(failures=reading.failures)
    data = write_events(reading.rows)
    name = objects.events_of(now.date(), Path(source.name).stem, data)
    named = sorted(set(reading.rows["symbol"].to_pylist()))
    return FetchedEvents(named, reading.failures, name, store.write(name, data))
