"""The names of the objects in the bucket.

>>> parse("ohlc/2023-07-22/MSFT.csv")
PriceObject(as_of=datetime.date(2023, 7, 22), symbol='MSFT')
>>> parse("ohlc/2023-07-22/batch-0007.csv")
PriceObject(as_of=datetime.date(2023, 7, 22), symbol=None)
>>> parse("models/champion.json") is None
True
"""

import re
from dataclasses import dataclass
from datetime import date

from tickercast.domain.history import parse_symbol
from tickercast.errors import UsageError

PRICES = "ohlc/"
QUARANTINE = "quarantine/"

_BATCH = re.compile(r"batch-\d{4,}")


@dataclass(frozen=True)
class PriceObject:
    """What the name of an uploaded file says.

    Attributes:
        as_of: the date that the user typed.
        symbol: the one symbol of the file, or None for a batch.
    """

    as_of: date
    symbol: str | None


def parse(name: str) -> PriceObject | None:
    """Reads the name of an object; None for what is not a file of prices and has to be ignored.

    Raises:
        UsageError: the name of a file of prices is malformed.
    """
    if not (name.startswith(PRICES) and name.endswith(".csv")):
        return None
    match name.removeprefix(PRICES).removesuffix(".csv").split("/"):
        case [day, stem] if _is_date(day):
            return PriceObject(date.fromisoformat(day), None if _BATCH.fullmatch(stem) else parse_symbol(stem))
    raise UsageError(
        f"{name[:80]!r} was seen, and ohlc/YYYY-MM-DD/SYMBOL.csv was needed. Send the file again so named."
    )


def single(as_of: date, symbol: str) -> str:
    """The name for the bars of one symbol."""
    return f"{PRICES}{as_of}/{symbol}.csv"


def batch(as_of: date, number: int) -> str:
    """The name for the bars of several symbols.

    >>> batch(date(2023, 7, 22), 7)
    'ohlc/2023-07-22/batch-0007.csv'
    """
    return f"{PRICES}{as_of}/batch-{number:04d}.csv"


def batch_number(name: str) -> int:
    """The number in the name of a batch, 0 for any other name."""
    stem = name.rpartition("/")[2].removesuffix(".csv")
    return int(stem.removeprefix("batch-")) if _BATCH.fullmatch(stem) else 0


def quarantined(name: str, generation: int) -> str:
    """The name under which a rejected file is kept; its reason lies beside it, ending in `.reason.json`.

    >>> quarantined("ohlc/2023-07-22/MSFT.csv", 1690000000000000)
    'quarantine/ohlc/2023-07-22/MSFT.1690000000000000.csv'
    """
    return f"{QUARANTINE}{name.removesuffix('.csv')}.{generation}.csv"


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
