"""The names of the objects in the bucket.

Prices lie in `ohlc/YYYY-MM-DD/` or `ohlc/1d/YYYY-MM-DD/`, hourly ones in `ohlc/1h/YYYY-MM-DDTHH/`: the last bar that
may be used, UTC.

>>> found = parse("ohlc/2023-07-22/MSFT.csv")
>>> str(found.as_of), found.name, str(found.origin), str(found.frequency)
('2023-07-22', 'MSFT', 'live', '1d')
>>> found = parse("ohlc/1h/2023-07-22T14/batch-0007.parquet")
>>> str(found.as_of), found.name, str(found.frequency)
('2023-07-22 14:00:00', '', '1h')
>>> is_upload("models/champion.json"), is_upload("ohlc/2023-07-22/MSFT.csv"), is_upload("ohlc/2023-07-22/")
(False, True, False)
>>> str(parse(backfill(date(2023, 7, 21), ["MSFT", "AAPL"])).origin)
'backfill'
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from urllib.parse import quote, unquote

from tickercast.domain.forecast import Origin
from tickercast.domain.frequency import DAILY, HOURLY, Frequency
from tickercast.domain.symbols import named_after
from tickercast.domain.text import shown
from tickercast.errors import UsageError

PRICES = "ohlc/"
EVENTS = "events/"
QUARANTINE = "quarantine/"

UPLOADS = (PRICES, EVENTS)
"""The folders of files that the function handles."""

REPEATS = "tickercast-repeats"
"""The metadata key of a write that repeats an older one: the time of that."""

_BATCH = re.compile(r"batch-\d{4,}")
_BACKFILL = re.compile(r"backfill-[0-9a-f]{8}")
_QUARANTINED = re.compile(rf"{QUARANTINE}(.+)\.(\d+|v-[^./]+)(\.(?!v-)[^./\d][^./]*)?")
_NUMBER = re.compile(r"\d+", re.ASCII)
_FORMAT = re.compile(r"\.(csv|csv\.gz|csv\.zip|zip|parquet)$", re.IGNORECASE)
_ENDING = re.compile(r"\.(?!v-)[^./\d][^./]*$")


@dataclass(frozen=True)
class PriceObject:
    """The parts of an uploaded file's name.

    Attributes:
        as_of: the date that the user typed; a moment, UTC and naive, where bars are hourly.
        name: the file's own name, its symbol where no column names it; empty for a batch.
        origin: whether its forecast is live, or a backfill.
        frequency: the frequency of the bars.
    """

    as_of: date
    name: str
    origin: Origin = Origin.LIVE
    frequency: Frequency = DAILY

    @property
    def symbol(self) -> str | None:
        """The symbol that the name is; None if it is none."""
        return named_after(self.name)


def is_events(name: str) -> bool:
    """Whether an object lies where files of events do, in whatever case, and is no folder."""
    return name.lower().startswith(EVENTS) and not name.endswith("/")


def is_upload(name: str) -> bool:
    """Whether an object lies where files of prices or events do, in whatever case, and is no folder."""
    return name.lower().startswith(UPLOADS) and not name.endswith("/")


def check_events(name: str) -> None:
    """Check the name of a file of events.

    Raises:
        UsageError: the name is malformed.
    """
    if not (name.startswith(EVENTS) and name.endswith(".csv")):
        raise UsageError(
            f"{shown(name, 80)!r} was seen, and {EVENTS}NAME.csv was needed. Rename the file and send it again."
        )


def events_of(day: date, source: str, content: bytes) -> str:
    """The name for events that were fetched; the same ones of a day have the same name.

    >>> events_of(date(2023, 7, 22), "sec", b"symbol,date")
    'events/2023-07-22/sec-eded9380.csv'
    """
    return f"{EVENTS}{day}/{source}-{hashlib.sha256(content).hexdigest()[:8]}.csv"


def parse(name: str) -> PriceObject:
    """Read the name of a file of prices.

    Raises:
        UsageError: the name is malformed.
    """
    found = _FORMAT.search(name)
    if found and name.startswith(PRICES):
        *folders, stem = name[: found.start()].removeprefix(PRICES).split("/")
        frequency = frequency_of(name)
        as_of = _as_of(folders)
        if as_of and _BACKFILL.fullmatch(stem):
            return PriceObject(as_of, "", Origin.BACKFILL, frequency)
        if as_of and stem:
            return PriceObject(as_of, "" if _BATCH.fullmatch(stem) else stem, frequency=frequency)
    raise UsageError(
        f"{shown(name, 80)!r} was seen, and ohlc/YYYY-MM-DD/SYMBOL.csv or ohlc/1d/YYYY-MM-DD/SYMBOL.csv was needed, "
        "for hourly bars ohlc/1h/YYYY-MM-DDTHH/SYMBOL.csv, or one of these with .csv.gz, .zip or .parquet. Rename the "
        "file and send it again, or: tickercast upload FILE."
    )


def frequency_of(name: str) -> Frequency:
    """The frequency that a name states, even a malformed one."""
    return HOURLY if name.startswith(f"{PRICES}{HOURLY}/") else DAILY


def origin_of(name: str) -> Origin:
    """The origin that a name states, even a malformed one."""
    return Origin.BACKFILL if _BACKFILL.match(name.rpartition("/")[2]) else Origin.LIVE


def single(as_of: date, symbol: str, frequency: Frequency = DAILY) -> str:
    """The name for the bars of one symbol, which people can read."""
    return sent(as_of, symbol, ".csv", frequency)


def batch(as_of: date, number: int, ending: str = ".parquet", frequency: Frequency = DAILY) -> str:
    """The name for the bars of several symbols.

    >>> batch(date(2023, 7, 22), 7)
    'ohlc/2023-07-22/batch-0007.parquet'
    """
    return f"{batches(as_of, frequency)}{number:04d}{ending}"


def sent(as_of: date, name: str, ending: str, frequency: Frequency = DAILY) -> str:
    """The name for a file that a person sends.

    >>> sent(date(2023, 7, 22), "MSFT", ".csv.gz")
    'ohlc/2023-07-22/MSFT.csv.gz'
    >>> sent(datetime(2023, 7, 22, 14), "BTCUSDT", ".csv", HOURLY)
    'ohlc/1h/2023-07-22T14/BTCUSDT.csv'
    """
    return f"{PRICES}{frequency.folder(as_of)}/{name}{ending}"


def batches(as_of: date, frequency: Frequency = DAILY) -> str:
    """The beginning of the names of the batches of a day or hour."""
    return sent(as_of, "batch-", "", frequency)


def backfill(as_of: date, symbols: Iterable[str], frequency: Frequency = DAILY) -> str:
    """The name for the bars of a backfill; the same symbols have the same name.

    >>> backfill(date(2023, 7, 21), ["MSFT", "AAPL"])
    'ohlc/2023-07-21/backfill-455ff68c.parquet'
    """
    digest = hashlib.sha256(" ".join(sorted(symbols)).encode()).hexdigest()
    return sent(as_of, f"backfill-{digest[:8]}", ".parquet", frequency)


def batch_number(name: str) -> int:
    """The number in the name of a batch, 0 for any other name."""
    stem = _FORMAT.sub("", name.rpartition("/")[2])
    return int(stem.removeprefix("batch-")) if _BATCH.fullmatch(stem) else 0


def drift_report(day: date, name: str, version: str, digest: str) -> str:
    """The name for the page about the drift of a day; the same figures lie beside it, ending in `.json`.

    >>> drift_report(date(2020, 3, 5), "tickercast-lstm", "1", "0a6812a9")
    'reports/drift/2020-03-05/tickercast-lstm-1-0a6812a9.html'
    """
    return f"reports/drift/{day}/{name}-{version}-{digest}.html"


def repeating(written_at: datetime) -> dict[str, str]:
    """The metadata of a write that repeats one of an earlier time, so that it comes right after that, and is no newer.

    >>> repeating(datetime.fromisoformat("2023-07-22T12:00:00+00:00"))
    {'tickercast-repeats': '2023-07-22T12:00:00.000001+00:00'}
    """
    return {REPEATS: (written_at + timedelta(microseconds=1)).isoformat()}


def quarantine_name(name: str, generation: str) -> str:
    """The name under which a rejected file is kept; its reason lies beside it, ending in `.reason.json`.

    >>> quarantine_name("ohlc/2023-07-22/MSFT.csv", "1690000000000000")
    'quarantine/ohlc/2023-07-22/MSFT.1690000000000000.csv'
    >>> quarantine_name("ohlc/2023-07-22/MSFT.csv", "Kf.3/x")
    'quarantine/ohlc/2023-07-22/MSFT.v-Kf%2E3%2Fx.csv'
    """
    ending = _ENDING.search(name)
    stem = name[: ending.start()] if ending else name
    text = generation if _NUMBER.fullmatch(generation) else "v-" + quote(generation, safe="").replace(".", "%2E")
    return f"{QUARANTINE}{stem}.{text}{ending[0] if ending else ''}"


def reason_of(name: str) -> str:
    """The name under which the reason for a quarantined file is kept.

    >>> reason_of("quarantine/ohlc/2023-07-22/MSFT.1690000000000000.csv")
    'quarantine/ohlc/2023-07-22/MSFT.1690000000000000.reason.json'
    """
    return _ENDING.sub("", name) + ".reason.json"


def note_of(name: str, generation: str) -> str:
    """The name of the note that an event was started; it is in quarantine, where alone the function may write.

    >>> note_of("ohlc/2023-07-22/MSFT.csv", "1690000000000000")
    'quarantine/started-e659cb671915895896c74a7ea7257af5'
    """
    return f"{QUARANTINE}started-{hashlib.sha256(f'{name}#{generation}'.encode()).hexdigest()[:32]}"


def unquarantined(name: str) -> tuple[str, str] | None:
    """The name and generation that a quarantined file had; None for any other name.

    >>> unquarantined("quarantine/ohlc/2023-07-22/MSFT.1690000000000000.csv")
    ('ohlc/2023-07-22/MSFT.csv', '1690000000000000')
    >>> unquarantined("quarantine/ohlc/2023-07-22/MSFT.v-Kf%2E3%2Fx.csv")
    ('ohlc/2023-07-22/MSFT.csv', 'Kf.3/x')
    """
    found = _QUARANTINED.fullmatch(name)
    return (f"{found[1]}{found[3] or ''}", unquote(found[2].removeprefix("v-"))) if found else None


def _as_of(folders: Sequence[str]) -> date | None:
    """The date in the folders between `ohlc/` and the file's own name; None if they are malformed."""
    match folders:
        case [day] | [DAILY.name, day]:
            return _parsed(day, date.fromisoformat, DAILY)
        case [HOURLY.name, moment]:
            return _parsed(f"{HOURLY}/{moment}", lambda text: datetime.fromisoformat(text[3:]), HOURLY)
    return None


def _parsed(text: str, parse: Callable[[str], date], frequency: Frequency) -> date | None:
    try:
        found = parse(text)
    except ValueError:
        return None
    return found if frequency.folder(found) == text else None
