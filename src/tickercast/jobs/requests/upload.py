"""Upload bars: one file, and so one event, for up to 500 symbols."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from tickercast.domain import objects
from tickercast.domain.bars import Bars, Reading
from tickercast.domain.calendar import is_over
from tickercast.domain.files.price_files import to_csv, to_parquet
from tickercast.domain.findings import LEFT_OUT, Finding, Findings
from tickercast.domain.forecast import Origin
from tickercast.domain.frequency import DAILY, Frequency
from tickercast.errors import NoRecentBars, Permanent
from tickercast.jobs.requests.send_file import write_batch
from tickercast.ports import MarketData, ObjectStore

BATCH = 500
"""Symbols in one file: their three years are 17 MB of Parquet, which the function forecasts and stores in a second and
in 400 MB. More symbols in a file would save no time, and need proportionally more memory."""

_ONE_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Upload:
    """An uploaded file.

    Attributes:
        object: the object's name, empty if no symbol could be uploaded.
        generation: the version of the object.
        symbols: the symbols in the file.
        failures: the reason for each other symbol.
    """

    object: str = ""
    generation: str = ""
    symbols: tuple[str, ...] = ()
    failures: Mapping[str, Permanent] = field(default_factory=dict)


def batches(symbols: Sequence[str]) -> Iterator[Sequence[str]]:
    """Split symbols into parts of `BATCH`, each for one upload."""
    return (symbols[start : start + BATCH] for start in range(0, len(symbols), BATCH))


def upload(
    symbols: Sequence[str],
    as_of: date,
    *,
    source: MarketData,
    store: ObjectStore,
    now: datetime,
    lookback: timedelta | None = None,
    frequency: Frequency = DAILY,
    advance: Callable[[int], None] = lambda _: None,
    origin: Origin = Origin.LIVE,
) -> Upload:
    """Fetch the bars up to `as_of` and write them as one object, so that one event follows.

    What is odd about the bars as the source gave them is in the file, too, since they no longer show it.

    Args:
        symbols: the symbols, as Yahoo spells them, without duplicates.
        as_of: the last date wanted, or moment (UTC, naive) of hourly bars.
        source: where the bars come from.
        store: where the file goes.
        now: the time; the bar of a session or hour that has not closed yet is left out.
        lookback: the span of the bars to send; that of the frequency by default.
        frequency: the frequency of the bars.
        advance: called with the number of symbols fetched since the last call.
        origin: whether the request is live or a backfill; the object's name shows it.

    Raises:
        Transient: the source or the store does not answer.
    """
    found = _fetch(symbols, as_of, source, now, lookback or frequency.lookback, advance)
    if not found.bars:
        return Upload(failures=found.failures)
    write = _write_backfill if origin is Origin.BACKFILL else _write
    name, generation = write(store, as_of, list(found.bars.values()), found.findings, frequency)
    return Upload(name, generation, tuple(found.bars), found.failures)


def fetch_file(symbol: str, as_of: date, *, source: MarketData, now: datetime) -> bytes:
    """Fetch the daily bars of one symbol, as the file that `upload` would write.

    Args:
        symbol: the symbol, as Yahoo spells it.
        as_of: the last date wanted.
        source: where the bars come from.
        now: the time; the bar of a session that has not closed yet is left out.

    Raises:
        Permanent: the source has no such bars.
        SourceUnavailable: try again.
    """
    found = _fetch([symbol], as_of, source, now, DAILY.lookback, lambda _: None)
    if symbol not in found.bars and symbol not in found.failures:
        raise NoRecentBars(f"The source has no bars of {symbol} up to {as_of}. Name another symbol or date.")
    return to_csv([found[symbol]], found.findings)


def _fetch(
    symbols: Sequence[str],
    as_of: date,
    source: MarketData,
    now: datetime,
    lookback: timedelta,
    advance: Callable[[int], None],
) -> Reading:
    reading = source.fetch(symbols, _day(as_of - lookback), _day(as_of), advance=advance)
    current, failures, unfinished = _current(reading.bars, as_of, now)
    findings = {symbol: [*reading.findings.get(symbol, ()), *unfinished.get(symbol, ())] for symbol in current}
    return Reading(current, {**reading.failures, **failures}, findings)


def _current(
    found: Mapping[str, Bars], as_of: date, now: datetime
) -> tuple[dict[str, Bars], dict[str, Permanent], dict[str, list[Finding]]]:
    current: dict[str, Bars] = {}
    failures: dict[str, Permanent] = {}
    unfinished: dict[str, list[Finding]] = {}
    for symbol, bars in found.items():
        try:
            known = bars.until(as_of)
            if bars.frequency.is_daily and not is_over(symbol, known.cutoff, now):  # sources drop unfinished hours
                unfinished[symbol] = [Finding(symbol, LEFT_OUT, f"the session of {known.cutoff} had not closed")]
                known = known.until(known.cutoff - _ONE_DAY)
            current[symbol] = known
        except Permanent as error:
            failures[symbol] = error
    return current, failures, unfinished


def _day(moment: date) -> date:
    return moment.date() if isinstance(moment, datetime) else moment


def _write_backfill(
    store: ObjectStore, as_of: date, series: Sequence[Bars], findings: Findings, frequency: Frequency
) -> tuple[str, str]:
    """Write a backfill, which replaces itself when it is sent again: a file whose event was lost is superseded."""
    name = objects.backfill(as_of, (bars.symbol for bars in series), frequency)
    return name, store.write(name, parquet_of(series, findings, frequency))


def _write(
    store: ObjectStore, as_of: date, series: Sequence[Bars], findings: Findings, frequency: Frequency
) -> tuple[str, str]:
    if len(series) == 1:
        name = objects.single(as_of, series[0].symbol, frequency)
        return name, store.write(name, _csv(series, findings, frequency))
    return write_batch(store, as_of, parquet_of(series, findings, frequency), frequency=frequency)


def _csv(series: Sequence[Bars], findings: Findings, frequency: Frequency) -> bytes:
    if frequency.is_daily:
        return to_csv(series, findings)
    from tickercast.domain.files.hour_files import hours_csv

    return hours_csv(series, findings)


def parquet_of(series: Sequence[Bars], findings: Findings, frequency: Frequency) -> bytes:
    """Bars, and what is odd about them, as a file in Parquet."""
    if frequency.is_daily:
        return to_parquet(series, findings)
    from tickercast.domain.files.hour_files import hours_parquet

    return hours_parquet(series, findings)
