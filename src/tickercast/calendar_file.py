"""The sessions of every exchange from 2000 to 2030, as exchange_calendars works them out, in a file of the package.

That library and one of its calendars take .3 s of every start, this file 3 ms. It is used only with the release of the
library that it was made with, and for those years; `make calendars` makes it again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

FIRST, LAST = date(2000, 1, 1), date(2030, 12, 31)
"""The dates that the file covers."""

FILE = Path(__file__).parent / "shipped" / "calendars.npz"

_LIBRARY = "exchange_calendars"
_MINUTE = np.timedelta64(1, "m")
_MOMENTS = ("opens", "closes")  # kept as minutes since midnight, UTC, of the session's date


@dataclass(frozen=True)
class Years:
    """The sessions of an exchange in whole years.

    Attributes:
        first_year: the first of the years.
        last_year: the last of the years.
        last: the last date whose sessions are known or assumed.
        known_until: the last date whose holidays are known.
        sessions: the sessions, in order.
        days: the sessions as an array.
        opens: the opening of each session: datetime64[us], UTC; where trading goes on at night, on the day before.
        closes: the time from which each session's close is known: datetime64[us], UTC.
        time_zone: the time zone of the exchange.
        half_holidays: days with trading that are no sessions, since its closes are those of the next session.
    """

    first_year: int
    last_year: int
    last: date
    known_until: date
    sessions: tuple[date, ...]
    days: NDArray[np.datetime64]
    opens: NDArray[np.datetime64]
    closes: NDArray[np.datetime64]
    time_zone: str
    half_holidays: NDArray[np.datetime64] = field(default_factory=lambda: np.empty(0, "datetime64[D]"))


def write(calendars: Mapping[str, Years], path: Path = FILE) -> None:
    """Write the sessions from `FIRST` to `LAST` of calendars, by their names."""
    arrays: dict[str, Any] = {
        "library": np.array(version(_LIBRARY)),
        "names": np.array(list(calendars)),
        "zones": np.array([years.time_zone for years in calendars.values()]),
        "last": np.array([years.last for years in calendars.values()], "datetime64[D]"),
        "known_until": np.array([years.known_until for years in calendars.values()], "datetime64[D]"),
    }
    for number, years in enumerate(calendars.values()):
        arrays[f"days_{number}"] = np.diff(years.days, prepend=np.datetime64(FIRST, "D")).astype(np.int16)
        for part in _MOMENTS:
            arrays[f"{part}_{number}"] = ((getattr(years, part) - years.days) // _MINUTE).astype(np.int16)
    np.savez_compressed(path, **arrays)


def read(name: str, first_year: int, last_year: int) -> Years | None:
    """The sessions of an exchange in some years; None if the file does not tell."""
    if first_year < FIRST.year or last_year > LAST.year:
        return None
    with np.load(FILE, allow_pickle=False) as file:
        number = np.flatnonzero(file["names"] == name)
        if str(file["library"]) != version(_LIBRARY) or not len(number):
            return None
        at = int(number[0])
        days = np.datetime64(FIRST, "D") + np.cumsum(file[f"days_{at}"], dtype=np.int64)
        minutes, zone = [file[f"{part}_{at}"] for part in _MOMENTS], str(file["zones"][at])
        last, known = file["last"][at].item(), file["known_until"][at].item()
    rows = slice(*np.searchsorted(days, [np.datetime64(f"{year}-01-01") for year in (first_year, last_year + 1)]))
    opens, closes = (days[rows].astype("datetime64[us]") + each[rows] * _MINUTE for each in minutes)
    last = min(date(last_year, 12, 31), last)
    sessions, known = tuple(days[rows].tolist()), min(last, known)
    return Years(first_year, last_year, last, known, sessions, days[rows], opens, closes, zone)
