"""Hourly bars in files: a folder of Parquet and CSV files, or one such file; see `domain.files.price_files`.

A symbol may lie in several files; of an hour that two have, the later one's bar counts, by their names.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cached_property
from pathlib import Path

from tickercast.domain.bars import Bars, Reading
from tickercast.domain.files.hour_files import in_order
from tickercast.domain.files.price_files import first_symbol, name_without_ending, read_prices
from tickercast.domain.findings import Finding
from tickercast.domain.frequency import HOURLY
from tickercast.domain.hourly.hours import finished
from tickercast.domain.symbols import named_after
from tickercast.domain.text import one_line
from tickercast.errors import InvalidBars, NoRecentBars, Permanent, UnknownSymbol, UsageError

ENDINGS = (".parquet", ".csv", ".csv.gz", ".zip")
"""The endings of the files that are read."""


@dataclass(frozen=True)
class _Contents:
    """The contents of the files: the bars of each symbol file by file, what is odd, and why one cannot be read."""

    series: dict[str, list[Bars]] = field(default_factory=dict)
    findings: dict[str, list[Finding]] = field(default_factory=dict)
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
        return sorted({*self._contents.series, *self._contents.failures})

    def fetch(self, symbols: Sequence[str], first: date, last: date, *, advance: Callable[[int], None]) -> Reading:
        """Read the bars of the symbols, without unfinished hours; see `ports.MarketData`."""
        series: dict[str, Bars] = {}
        failures: dict[str, Permanent] = {}
        findings: dict[str, Sequence[Finding]] = {}
        for symbol in symbols:
            try:
                whole = self._whole(symbol)
                series[symbol] = self._inside(whole[symbol], first, last)
                findings[symbol] = whole.findings.get(symbol, ())
            except Permanent as error:
                failures[symbol] = error
            advance(1)
        return Reading(series, failures, {symbol: found for symbol, found in findings.items() if found})

    def _whole(self, symbol: str) -> Reading:
        """All bars of a symbol, and what is odd in one file or in all together."""
        if symbol in self._contents.failures:
            raise self._contents.failures[symbol]
        if symbol not in self._contents.series:
            raise UnknownSymbol(
                f"{self._path} does not hold {symbol}: it has {', '.join(self.symbols()[:8])}. Name one of those, "
                "spelled as in the files."
            )
        found, odd = self._contents.series[symbol], self._contents.findings[symbol]
        if len(found) == 1:
            return Reading({symbol: found[0]}, {}, {symbol: odd})
        together = in_order(found)
        return Reading(together.bars, together.failures, {symbol: [*odd, *together.findings.get(symbol, ())]})

    def _inside(self, bars: Bars, first: date, last: date) -> Bars:
        inside = finished(bars, self._now()).since(first).through(last)
        if not len(inside):
            raise NoRecentBars(
                f"{self._path} has no finished hour of {bars.symbol} from {first} to {last}: at least one was needed. "
                "Name other dates."
            )
        return inside

    @cached_property
    def _contents(self) -> "_Contents":
        found = _Contents()
        for path in self._files():
            try:
                reading = _read(path)
            except InvalidBars as error:  # other files may be whole, but not the symbol that this one is called after
                stem = name_without_ending(path.name)
                found.failures[named_after(stem) or stem.upper()] = _of_file(path, error)
                continue
            for symbol, bars in reading.bars.items():
                found.series.setdefault(symbol, []).append(bars)
                found.findings.setdefault(symbol, []).extend(reading.findings.get(symbol, ()))
            found.failures.update({symbol: _of_file(path, error) for symbol, error in reading.failures.items()})
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


def _read(path: Path) -> Reading:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InvalidBars(f"{error.strerror}. Check its permissions.") from error
    # A file that names its symbols itself may be called anything.
    name = "" if first_symbol(data) else name_without_ending(path.name)
    return read_prices(data, symbol=name, frequency=HOURLY)


def _of_file(path: Path, error: Permanent) -> InvalidBars:
    return InvalidBars(f"{path.name} cannot be read as hourly bars: {one_line(error, 400)}")
