"""The data of a training or evaluation: bars identified by one hash."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from tickercast.domain.bars import BAR_COLUMNS, Bars
from tickercast.errors import TooFewSessions

Dates = NDArray[np.datetime64]


@dataclass(frozen=True)
class Dataset:
    """A description of the bars of several symbols.

    Attributes:
        source: where they came from, as the user named it.
        sha256: over symbols, session dates and values; neither the order of the symbols nor the machine matters.
        first: the first session of any symbol.
        last: the last session of any symbol.
        symbols: the symbols that have bars.
        rows: the number of bars.
    """

    source: str
    sha256: str
    first: date
    last: date
    symbols: tuple[str, ...]
    rows: int


def dataset(source: str, series: Sequence[Bars], through: date) -> Dataset:
    """Describe the bars on or before `through`.

    Raises:
        TooFewSessions: no series has a bar on or before `through`.
    """
    used = [(bars, _dates(bars, through)) for bars in sorted(series, key=lambda one: one.symbol)]
    used = [(bars, dates) for bars, dates in used if len(dates)]
    if not used:
        raise TooFewSessions(f"{source} has no bar on or before {through}: at least one was needed. Give a later date.")
    return Dataset(
        source=source,
        sha256=_sha256(used),
        first=min(dates[0] for _, dates in used).item(),
        last=max(dates[-1] for _, dates in used).item(),
        symbols=tuple(bars.symbol for bars, _ in used),
        rows=sum(len(dates) for _, dates in used),
    )


def _dates(bars: Bars, through: date) -> Dates:
    dates: Dates = bars.through(through).columns["session_date"]
    return dates


def _sha256(used: Sequence[tuple[Bars, Dates]]) -> str:
    """Hash little-endian bytes, with one NaN for all, since the bits of NaNs may differ."""
    total = hashlib.sha256()
    for bars, dates in used:
        values = np.column_stack([bars.columns[name][: len(dates)] for name in BAR_COLUMNS[1:]])
        total.update(f"{bars.symbol}\0{len(dates)}\0".encode())
        total.update(dates.astype("<i8").tobytes())
        total.update(np.where(np.isnan(values), np.nan, values).astype("<f8").tobytes())
    return total.hexdigest()
