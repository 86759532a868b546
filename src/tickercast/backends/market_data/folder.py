"""Market data in files: a folder of CSV and Parquet files, or one such file.

`SYMBOL.csv` and `SYMBOL.parquet`, in upper or lower case, hold one symbol. Every other file must name its symbols
itself and may hold many; it is opened only for symbols that have no file of their own. A `.txt` or `.tsv` counts if it
has the columns of prices.
"""

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path

from tickercast.domain.bars import Bars, Reading
from tickercast.domain.files.price_files import (
    ENDINGS,
    OTHER_ENDINGS,
    Window,
    first_symbol,
    name_without_ending,
    read_prices,
)
from tickercast.domain.findings import Finding
from tickercast.domain.spelling import agree
from tickercast.domain.symbols import named_after
from tickercast.errors import InvalidBars, Permanent, UnknownSymbol, UsageError
from tickercast.plain import first_of

_NAMED = 8  # symbols listed in a message


@dataclass(frozen=True)
class _Contents:
    """The contents of a file: the bars of the symbols that were asked for, and which others it holds."""

    path: Path
    reading: Reading = field(default_factory=Reading)
    error: InvalidBars | None = None

    @property
    def symbols(self) -> frozenset[str]:
        return frozenset([*self.reading.bars, *self.reading.failures, *self.reading.others])


class Folder:
    """The daily bars in a folder's files; its subfolders are not read."""

    simulated = False

    def __init__(self, path: Path, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._path = path
        self._now = now

    @property
    def name(self) -> str:
        """The path, as given."""
        return str(self._path)

    def fetch(self, symbols: Sequence[str], first: date, last: date, *, advance: Callable[[int], None]) -> Reading:
        """Read only the files that can hold those symbols; see `ports.MarketData`."""
        files, window = self._files(symbols), Window(first, last, self._now())
        own = {symbol: [file for file in files if _symbol_in_name(file) == symbol] for symbol in symbols}
        others = [symbol for symbol in symbols if not own[symbol]]
        single = [file for file in files if others and _holds_one_symbol(file)]
        shared = [_open(file, others, window) for file in files if others and file not in single]
        series: dict[str, Bars] = {}
        failures: dict[str, Permanent] = {}
        findings: dict[str, Sequence[Finding]] = {}
        for symbol in symbols:
            try:
                contents = [_open(file, [symbol], window) for file in own[symbol]] or shared
                content = self._pick(symbol, contents, single)
                series[symbol] = content.reading.bars[symbol].between(first, last, str(self._path))
                findings[symbol] = content.reading.findings.get(symbol, ())
            except Permanent as error:
                failures[symbol] = error
            advance(1)
        return Reading(series, failures, {symbol: found for symbol, found in findings.items() if found})

    def symbols(self) -> list[str]:
        """All symbols that the files hold, sorted.

        Raises:
            UsageError: the folder does not exist, or holds no price file.
        """
        named: set[str] = set()
        for file in self._files():
            owner = _symbol_in_name(file)
            named |= {owner} if owner and _holds_one_symbol(file) else _open(file, [], Window()).symbols
        return sorted(named)

    def _files(self, symbols: Sequence[str] = ()) -> list[Path]:
        """The files of prices; of other endings, those named after one of some symbols, and texts of prices."""
        if not self._path.exists():
            raise UsageError(
                f"The source {self._path} does not exist: a folder of .csv or .parquet files, or one such file, was "
                "needed. Check the path, or name another source: --source yahoo or --source sample."
            )
        try:
            candidates = sorted(self._path.iterdir()) if self._path.is_dir() else [self._path]
        except OSError as error:
            raise UsageError(
                f"The source {self._path} cannot be read: {error.strerror}. Check its permissions."
            ) from error
        files = [
            path
            for path in candidates
            if path.name.lower().endswith(ENDINGS)
            or (path.name.lower().endswith(OTHER_ENDINGS) and (_symbol_in_name(path) in symbols or _has_prices(path)))
        ]
        if not files:
            raise UsageError(
                f"The source {self._path} holds no file of prices: one that ends in .csv or .parquet, or a .txt or "
                ".tsv with Date, Open, High, Low, Close, was needed. Check the path."
            )
        return files

    def _pick(self, symbol: str, contents: Sequence[_Contents], single: Sequence[Path]) -> _Contents:
        holding = [content for content in contents if symbol in content.symbols]
        if len(holding) > 1:
            raise InvalidBars(
                f"{symbol} is in {holding[0].path.name} and in {holding[1].path.name}: one file was needed. "
                "Move one of them away."
            )
        if holding and symbol in holding[0].reading.failures:
            raise InvalidBars(f"{holding[0].path.name}: {holding[0].reading.failures[symbol]}")
        if holding:
            return holding[0]
        for content in contents:
            if content.error:
                raise content.error
        raise self._unknown(symbol, contents, single)

    def _unknown(self, symbol: str, contents: Sequence[_Contents], single: Sequence[Path]) -> UnknownSymbol:
        named = {owner for file in single if (owner := _symbol_in_name(file))}
        known = sorted(named.union(*(content.symbols for content in contents)))
        close = difflib.get_close_matches(symbol, known, n=1)
        return UnknownSymbol(
            f"{self._path} does not hold {symbol}: it has {first_of(known, _NAMED)}. "
            + (f"Did you mean {close[0]}? " if close else "")
            + "Name one of those, or another source: --source yahoo or --source simulated.",
            meant=close[0] if close else "",
        )


def _open(path: Path, symbols: Sequence[str], window: Window) -> _Contents:
    try:
        # A file that names its symbols itself may be called anything; one that does not, only by its symbol.
        owner = _symbol_in_name(path)
        name = _stem(path) if owner is None or owner in symbols else ""
        return _Contents(path, read_prices(path.read_bytes(), symbol=name, symbols=symbols, window=window))
    except (OSError, InvalidBars) as error:
        reason = " ".join(str(error).split())
        return _Contents(path, error=InvalidBars(f"{path.name} cannot be used: {reason}"))


def _stem(path: Path) -> str:
    return name_without_ending(path.name)


def _symbol_in_name(path: Path) -> str | None:
    return named_after(_stem(path))


def _has_prices(path: Path) -> bool:
    """Whether a file has the columns of prices."""
    try:
        first_symbol(path.read_bytes())
    except (OSError, InvalidBars):
        return False
    return True


def _holds_one_symbol(path: Path) -> bool:
    # The first row decides. An unreadable file counts as shared, so that opening it reports the error.
    owner = _symbol_in_name(path)
    try:
        first = first_symbol(path.read_bytes())
    except (OSError, InvalidBars):
        return False
    return owner is not None and (first is None or agree(owner, first))
