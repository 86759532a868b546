"""Hourly bars in files: a folder of Parquet and CSV files, or one such file; see `domain.hour_files`.

A symbol may lie in several files.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cached_property
from pathlib import Path

from tickercast.domain.bars import Bars, Reading
from tickercast.domain.findings import Finding
from tickercast.domain.hour_files import Part, in_order, owner_of, parts
from tickercast.domain.hours import finished, gaps
from tickercast.domain.price_files import name_without_ending
from tickercast.domain.text import one_line
from tickercast.errors import InvalidBars, NoRecentBars, Permanent, UnknownSymbol, UsageError

ENDINGS = (".parquet", ".csv", ".csv.gz", ".zip")
"""Of the files that are read."""


@dataclass(frozen=True)
class _Contents:
    """The contents of the files: the parts of each symbol, and why a symbol cannot be read."""

    parts: dict[str, list[Part]] = field(default_factory=dict)
    failures: dict[str, InvalidBars] = field(default_factory=dict)


class HourlyFolder:
    """The hourly bars in a folder's files; its subfolders are not read."""

    simulated = False

    def __init__(self, path: Path, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._path = path
        self._now = now

    @property
    def name(self) -> str:
        """The path, as given."""
        return str(self._path)

    def symbols(self) -> list[str]:
        """All symbols that the files hold, sorted.

        Raises:
            UsageError: the folder does not exist, or holds no such file.
        """
        return sorted({*self._contents.parts, *self._contents.failures})

    def fetch(self, symbols: Sequence[str], first: date, last: date, *, advance: Callable[[int], None]) -> Reading:
        """Read the bars of the symbols, without unfinished hours; see `ports.MarketData`."""
        series: dict[str, Bars] = {}
        failures: dict[str, Permanent] = {}
        findings: dict[str, Sequence[Finding]] = {}
        for symbol in symbols:
            try:
                series[symbol] = self._bars(symbol, first, last)
                findings[symbol] = list(gaps(series[symbol]))
            except Permanent as error:
                failures[symbol] = error
            advance(1)
        return Reading(series, failures, {symbol: found for symbol, found in findings.items() if found})

    def _bars(self, symbol: str, first: date, last: date) -> Bars:
        if symbol in self._contents.failures:
            raise self._contents.failures[symbol]
        if symbol not in self._contents.parts:
            raise UnknownSymbol(
                f"{self._path} does not hold {symbol}: it has {', '.join(self.symbols()[:8])}. Name one of those, "
                "spelled as in the files."
            )
        bars = finished(in_order(symbol, self._contents.parts[symbol]), self._now())
        inside = bars.since(first).through(last)
        if not len(inside):
            raise NoRecentBars(
                f"{self._path} has no finished hour of {symbol} from {first} to {last}: at least one was needed. "
                "Name other dates."
            )
        return inside

    @cached_property
    def _contents(self) -> "_Contents":
        found = _Contents()
        for path in self._files():
            try:
                for symbol, part in _parts(path):
                    found.parts.setdefault(symbol, []).append(part)
            except InvalidBars as error:  # other files may be whole, but not the symbol that this one is called after
                found.failures[owner_of(name_without_ending(path.name))] = error
        return found

    def _files(self) -> list[Path]:
        try:
            candidates = sorted(self._path.iterdir()) if self._path.is_dir() else [self._path]
        except OSError as error:
            raise UsageError(
                f"The source {self._path} cannot be read: {error.strerror}. Check its permissions."
            ) from error
        files = [path for path in candidates if path.name.lower().endswith(ENDINGS)]
        if not files or not all(path.exists() for path in files):
            raise UsageError(
                f"The source {self._path} holds no file of hourly bars: one that ends in {', '.join(ENDINGS)} was "
                "needed. Check the path."
            )
        return files


def _parts(path: Path) -> list[tuple[str, Part]]:
    try:
        return parts(path.read_bytes(), name_without_ending(path.name))
    except OSError as error:
        raise InvalidBars(f"{path.name} cannot be read: {error.strerror}. Check its permissions.") from error
    except InvalidBars as error:
        raise InvalidBars(f"{path.name} cannot be read as hourly bars: {one_line(error, 300)}") from error
