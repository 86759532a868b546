"""Results days from a person's own CSV file; see `domain.files.event_files`."""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from tickercast.domain.files.event_files import read_events
from tickercast.errors import NoResults, Permanent, UsageError
from tickercast.ports import ResultsReading


class ResultsFile:
    """A file of events.

    Args:
        path: where it is.
        now: the clock.
    """

    def __init__(self, path: Path, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._path, self._now = path, now

    is_file = True

    @property
    def name(self) -> str:
        """The path of the file, as text."""
        return str(self._path)

    def all_rows(self) -> pa.Table:
        """Read the rows of all symbols; columns as `domain.files.event_files.SCHEMA` has them.

        Raises:
            UsageError: the file cannot be read.
            InvalidBars: the file is not in the expected format.
        """
        try:
            data = self._path.read_bytes()
        except OSError as error:
            raise UsageError(f"{self._path} cannot be read: {error.strerror}. Name another file.") from error
        return read_events(data, self._path.name, self._now())

    def fetch(self, symbols: Sequence[str], since: date, *, advance: Callable[[int], None]) -> ResultsReading:
        """Read the rows of some symbols; see `ports.ResultsSource`.

        Raises:
            UsageError: the file cannot be read.
            InvalidBars: the file is not in the expected format.
        """
        rows = self.all_rows()
        rows = rows.filter(pc.is_in(rows["symbol"], pc.cast(list(symbols), rows.schema.field("symbol").type)))
        rows = rows.filter(pc.greater_equal(rows["date"], since))
        held = set(rows["symbol"].to_pylist())
        when = f" since {since}" if since > date.min else ""
        missing: dict[str, Permanent] = {
            symbol: NoResults(f"{self._path} has no results day of {symbol}{when}. Add some, or name another.")
            for symbol in symbols
            if symbol not in held
        }
        advance(len(symbols))
        return ResultsReading(rows, missing)
