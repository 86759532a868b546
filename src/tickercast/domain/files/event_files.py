r"""Files of events: CSV with the days on which companies report their results.

>>> from datetime import UTC, datetime
>>> data = b"date,session\n2023-07-25,after\n"
>>> read_events(data, "events/MSFT.csv", datetime(2023, 7, 1, 12, tzinfo=UTC)).to_pylist()[0]["symbol"]
'MSFT'

A day without `known_at` counts as known from the file's writing if it is to come, and else from its own end.
"""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa

from tickercast.domain.calendar import calendar_name
from tickercast.domain.events import AFTER, BEFORE, RESULTS, UNKNOWN
from tickercast.domain.symbols import parse_symbol
from tickercast.domain.text import shown
from tickercast.errors import InvalidBars, Permanent

SCHEMA = pa.schema(
    {
        "symbol": pa.string(),
        "date": pa.date32(),
        "session": pa.string(),
        "kind": pa.string(),
        "source": pa.string(),
        "known_at": pa.timestamp("us", "UTC"),
    }
)
"""The columns of events, as files and the table have them."""

COLUMNS = tuple(SCHEMA.names)
"""The header of a file; all but `date` may be missing, and `symbol` where the file is named after it."""

_SESSIONS = {BEFORE: BEFORE, AFTER: AFTER, UNKNOWN: UNKNOWN, "": UNKNOWN, "bmo": BEFORE, "amc": AFTER, "dmh": UNKNOWN}
_LONGEST_SOURCE = 40
_MOST_LINES = 200_000  # as many as the function's memory holds
_NEEDED = "a header with symbol and date, and perhaps session, known_at, kind and source, was needed"
_YEARS = (1900, 2100)
_DAY = timedelta(days=1)


def read_events(data: bytes, name: str, written_at: datetime) -> pa.Table:
    """Read a file of events whole, or refuse it.

    Args:
        data: the content of the file, CSV in UTF-8.
        name: the name of the file; where it has no column `symbol`, all rows are of the symbol that it is named after.
        written_at: the time of the write.

    Returns:
        Rows of `SCHEMA`, without duplicates, in the file's order.

    Raises:
        InvalidBars: a line cannot be read, the message names the first; two contradict each other; or there are too
            many.
    """
    count = max(data.count(b"\n"), data.count(b"\r"))
    if count > _MOST_LINES:
        raise InvalidBars(
            f"{name} has {count:,} lines, and at most {_MOST_LINES:,} are read. Split it into several files."
        )
    lines = csv.reader(io.StringIO(_text(data, name), newline=""), strict=True)
    try:
        header = [title.strip().lower() for title in next(lines, [])]
        _check_header(header, name)
        rows: dict[int, dict[str, Any]] = {}
        for line in _filled(lines, len(header), name):
            cells, number = dict(zip(header, line, strict=False)), lines.line_num
            rows[number] = _row(cells, f"{name}, line {number}", name, written_at)
    except csv.Error as error:
        raise InvalidBars(f"{name}, line {lines.line_num} is not CSV ({error}): {_NEEDED}. Write it anew.") from error
    if not rows:
        raise InvalidBars(f"{name} has no events below its header: at least one was needed. Add them.")
    _check_sessions(rows, name)
    return pa.Table.from_pylist(list({tuple(row.values()): row for row in rows.values()}.values()), SCHEMA)


def write_events(rows: pa.Table) -> bytes:
    """The file of some events; `read_events` gives the same rows."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows.select(COLUMNS).to_pylist():
        writer.writerow([*(row[name] for name in COLUMNS[:-1]), row["known_at"].isoformat()])
    return text.getvalue().encode()


def known_from(day: date, written_at: datetime) -> datetime:
    """The time from which an undated day counts as known: the end of a past one, the file's writing for others."""
    end = datetime(day.year, day.month, day.day, tzinfo=UTC) + _DAY
    return min(end, written_at)


def _text(data: bytes, name: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidBars(f"{name} is not text in UTF-8: CSV was needed, and {_NEEDED}. Save it as CSV.") from error


def _check_header(header: Sequence[str], name: str) -> None:
    unknown = [title for title in header if title not in COLUMNS]
    twice = len(set(header)) < len(header)
    if "date" not in header or unknown or twice or not ("symbol" in header or _named_after(name)):
        raise InvalidBars(
            f"{name} begins with {shown(','.join(header), 80)!r}: {_NEEDED}, or a file that is named after its symbol. "
            "Correct the header."
        )


def _filled(lines: Iterator[list[str]], width: int, name: str) -> Iterator[list[str]]:
    for number, line in enumerate(lines, start=2):
        if not any(cell.strip() for cell in line):
            continue
        if len(line) != width:
            raise InvalidBars(
                f"{name}, line {number} has {len(line)} cells, and its header has {width}. Correct that line."
            )
        yield line


def _row(cells: dict[str, str], where: str, name: str, written_at: datetime) -> dict[str, Any]:
    values = {title: cell.strip() for title, cell in cells.items()}
    try:
        symbol = parse_symbol(values.get("symbol", _named_after(name)))
        calendar_name(symbol)
    except Permanent as error:
        raise InvalidBars(f"{where}: {error}") from error
    day = _day(values["date"], where)
    return {
        "symbol": symbol,
        "date": day,
        "session": _session(values.get("session", ""), where),
        "kind": _kind(values.get("kind", ""), where),
        "source": _source(values.get("source", ""), where),
        "known_at": _known_at(values.get("known_at", ""), day, where, written_at),
    }


def _check_sessions(rows: Mapping[int, dict[str, Any]], name: str) -> None:
    """Check that no two rows tell at one moment of two sessions of a day, of which only chance could choose."""
    sessions: dict[tuple[Any, ...], tuple[int, str]] = {}
    for number, row in rows.items():
        if row["session"] == UNKNOWN:
            continue
        first, session = sessions.setdefault((row["symbol"], row["date"], row["known_at"]), (number, row["session"]))
        if session != row["session"]:
            raise InvalidBars(
                f"{name}, lines {first} and {number} say that {row['symbol']} reports on {row['date']} both {session} "
                f"and {row['session']}, and were known at the same time: one session was needed. Remove one of them, "
                "or give the newer a later known_at."
            )


def _day(text: str, where: str) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        raise InvalidBars(f"{where} has the date {shown(text, 40)!r}: YYYY-MM-DD was needed. Correct it.") from error
    if not _YEARS[0] <= day.year <= _YEARS[1]:
        raise InvalidBars(f"{where} has the date {day}: one from {_YEARS[0]} to {_YEARS[1]} was needed. Correct it.")
    return day


def _session(text: str, where: str) -> str:
    if text.lower() not in _SESSIONS:
        raise InvalidBars(
            f"{where} has the session {shown(text, 40)!r}: before, after or unknown was needed (or bmo, amc). "
            "Correct it."
        )
    return _SESSIONS[text.lower()]


def _kind(text: str, where: str) -> str:
    if text not in ("", RESULTS):
        raise InvalidBars(f"{where} has the kind {shown(text, 40)!r}: only {RESULTS} is known. Remove that line.")
    return RESULTS


def _source(text: str, where: str) -> str:
    if len(text) > _LONGEST_SOURCE or not text.isprintable():
        raise InvalidBars(
            f"{where} has the source {shown(text, 60)!r}: a name of up to {_LONGEST_SOURCE} characters was needed. "
            "Shorten it."
        )
    return text or "file"


def _known_at(text: str, day: date, where: str, written_at: datetime) -> datetime:
    if not text:
        return known_from(day, written_at)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidBars(
            f"{where} has known_at {shown(text, 40)!r}: a moment such as 2023-07-06T12:00:00Z was needed. Correct it."
        ) from error
    moment = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    if not _YEARS[0] <= moment.year or moment > written_at:
        raise InvalidBars(
            f"{where} was known at {moment:%Y-%m-%d %H:%M} UTC by its own word, and the file was written at "
            f"{written_at:%Y-%m-%d %H:%M} UTC: nobody knows a thing before. Correct known_at, or leave it empty."
        )
    return moment


def _named_after(name: str) -> str:
    stem = name.rpartition("/")[2].removesuffix(".csv")
    try:
        return parse_symbol(stem)
    except Permanent:
        return ""
