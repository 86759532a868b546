"""The names of the objects in the bucket.

>>> parse("ohlc/2023-07-22/MSFT.csv")
PriceObject(as_of=datetime.date(2023, 7, 22), name='MSFT', origin=<Origin.LIVE: 'live'>)
>>> parse("ohlc/2023-07-22/batch-0007.parquet")
PriceObject(as_of=datetime.date(2023, 7, 22), name='', origin=<Origin.LIVE: 'live'>)
>>> is_prices("models/champion.json"), is_prices("ohlc/2023-07-22/MSFT.csv"), is_prices("ohlc/2023-07-22/")
(False, True, False)
>>> str(parse(backfill(date(2023, 7, 21), ["MSFT", "AAPL"])).origin)
'backfill'
"""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from tickercast.domain.forecast import Origin
from tickercast.domain.symbols import parse_symbol
from tickercast.domain.text import shown
from tickercast.errors import UsageError

PRICES = "ohlc/"
EVENTS = "events/"
QUARANTINE = "quarantine/"

_BATCH = re.compile(r"batch-\d{4,}")
_BACKFILL = re.compile(r"backfill-[0-9a-f]{8}")
_QUARANTINED = re.compile(rf"{QUARANTINE}(.+)\.(\d+)(\.[^./\d][^./]*)?")
_FORMAT = re.compile(r"\.(csv|csv\.gz|csv\.zip|zip|parquet)$", re.IGNORECASE)
_ENDING = re.compile(r"\.[^./\d][^./]*$")


@dataclass(frozen=True)
class PriceObject:
    """The parts of an uploaded file's name.

    Attributes:
        as_of: the date that the user typed.
        name: what the file is called, its symbol where no column names it; empty for a batch.
        origin: whether its forecast is live, or a backfill.
    """

    as_of: date
    name: str
    origin: Origin = Origin.LIVE

    @property
    def symbol(self) -> str | None:
        """The symbol that the name is; None if it is none."""
        try:
            return parse_symbol(self.name)
        except UsageError:
            return None


def is_prices(name: str) -> bool:
    """Whether an object lies where files of prices do, in whatever case, and is no folder; any other is ignored."""
    return name.lower().startswith(PRICES) and not name.endswith("/")


def is_events(name: str) -> bool:
    """Whether an object lies where files of events do, in whatever case, and is no folder."""
    return name.lower().startswith(EVENTS) and not name.endswith("/")


def is_upload(name: str) -> bool:
    """Whether an object is a file that the function handles: of prices, or of events.

    >>> is_upload("ohlc/2023-07-22/MSFT.csv"), is_upload("events/MSFT.csv"), is_upload("models/champion.json")
    (True, True, False)
    """
    return is_prices(name) or is_events(name)


def check_events(name: str) -> None:
    """Check the name of a file of events.

    Raises:
        UsageError: it is malformed.
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
        match name[: found.start()].removeprefix(PRICES).split("/"):
            case [day, stem] if _is_date(day) and _BACKFILL.fullmatch(stem):
                return PriceObject(date.fromisoformat(day), "", Origin.BACKFILL)
            case [day, stem] if _is_date(day) and stem:
                return PriceObject(date.fromisoformat(day), "" if _BATCH.fullmatch(stem) else stem)
    raise UsageError(
        f"{shown(name, 80)!r} was seen, and ohlc/YYYY-MM-DD/SYMBOL.csv, .csv.gz, .zip or .parquet was needed. "
        "Rename the file and send it again, or: tickercast upload FILE."
    )


def origin_of(name: str) -> Origin:
    """The origin that a name states, even a malformed one."""
    return Origin.BACKFILL if _BACKFILL.match(name.rpartition("/")[2]) else Origin.LIVE


def single(as_of: date, symbol: str) -> str:
    """The name for the bars of one symbol, which people can read."""
    return f"{PRICES}{as_of}/{symbol}.csv"


def batch(as_of: date, number: int, ending: str = ".parquet") -> str:
    """The name for the bars of several symbols.

    >>> batch(date(2023, 7, 22), 7)
    'ohlc/2023-07-22/batch-0007.parquet'
    """
    return f"{batches(as_of)}{number:04d}{ending}"


def sent(as_of: date, name: str, ending: str) -> str:
    """The name for a file that a person sends.

    >>> sent(date(2023, 7, 22), "MSFT", ".csv.gz")
    'ohlc/2023-07-22/MSFT.csv.gz'
    """
    return f"{PRICES}{as_of}/{name}{ending}"


def batches(as_of: date) -> str:
    """The beginning of the names of a day's batches."""
    return f"{PRICES}{as_of}/batch-"


def backfill(as_of: date, symbols: Iterable[str]) -> str:
    """The name for the bars of a backfill; the same symbols have the same name.

    >>> backfill(date(2023, 7, 21), ["MSFT", "AAPL"])
    'ohlc/2023-07-21/backfill-455ff68c.parquet'
    """
    digest = hashlib.sha256(" ".join(sorted(symbols)).encode()).hexdigest()
    return f"{PRICES}{as_of}/backfill-{digest[:8]}.parquet"


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


def quarantine_name(name: str, generation: int) -> str:
    """The name under which a rejected file is kept; its reason lies beside it, ending in `.reason.json`.

    >>> quarantine_name("ohlc/2023-07-22/MSFT.csv", 1690000000000000)
    'quarantine/ohlc/2023-07-22/MSFT.1690000000000000.csv'
    """
    ending = _ENDING.search(name)
    stem = name[: ending.start()] if ending else name
    return f"{QUARANTINE}{stem}.{generation}{ending[0] if ending else ''}"


def reason_of(name: str) -> str:
    """The name under which the reason for a quarantined file is kept.

    >>> reason_of("quarantine/ohlc/2023-07-22/MSFT.1690000000000000.csv")
    'quarantine/ohlc/2023-07-22/MSFT.1690000000000000.reason.json'
    """
    return _ENDING.sub("", name) + ".reason.json"


def unquarantined(name: str) -> tuple[str, int] | None:
    """The name and generation that a quarantined file had; None for any other name.

    >>> unquarantined("quarantine/ohlc/2023-07-22/MSFT.1690000000000000.csv")
    ('ohlc/2023-07-22/MSFT.csv', 1690000000000000)
    """
    found = _QUARANTINED.fullmatch(name)
    return (f"{found[1]}{found[3] or ''}", int(found[2])) if found else None


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
