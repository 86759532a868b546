"""The data of a training or evaluation: bars identified by one hash."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from tickercast.domain.bars import BAR_COLUMNS, Bars
from tickercast.errors import TooFewSessions


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


def dataset(source: str, series: Sequence[Bars], through: date, *, since: date | None = None) -> Dataset:
    """Describe the bars on or before `through`, of an evaluation those from `since` on.

    Raises:
        TooFewSessions: no series has a bar on or before `through`.
    """
    used = [_between(bars, since, through) for bars in sorted(series, key=lambda one: one.symbol)]
    used = [bars for bars in used if len(bars)]
    if not used:
        span = f"on or before {through}" if since is None else f"from {since} to {through}"
        raise TooFewSessions(f"{source} has no bar {span}: at least one was needed. Give a later date.")
    return Dataset(
        source=source,
        sha256=_sha256(used),
        first=min(bars.first for bars in used),
        last=max(bars.cutoff for bars in used),
        symbols=tuple(bars.symbol for bars in used),
        rows=sum(map(len, used)),
    )


def _between(bars: Bars, since: date | None, through: date) -> Bars:
    until = bars.through(through)
    return until if since is None else until.since(since)


def _sha256(used: Sequence[Bars]) -> str:
    """Hash little-endian bytes, with one NaN for all, since the bits of NaNs may differ."""
    total = hashlib.sha256()
    for bars in used:
        values = np.column_stack([bars.columns[name] for name in BAR_COLUMNS[1:]])
        total.update(f"{bars.symbol}\0{len(bars)}\0".encode())
        total.update(bars.columns["session_date"].astype("<i8").tobytes())
        total.update(np.where(np.isnan(values), np.nan, values).astype("<f8").tobytes())
    return total.hexdigest()
