"""Translation of DuckDB's errors to those of tickercast: by type, then by message.

A state of the file that does not pass by itself is `EngineUnusable`, so that nothing is retried, and its sentence says
the way out. What is in the file and not in the log is safe in all of them, and what is lost with a log or a file is in
the bucket, from which `tickercast replay --failed` forecasts it again.
"""

import re
from collections.abc import Sequence
from pathlib import Path

import duckdb

from tickercast import disk
from tickercast.backends.warehouse.duckdb_checkpoints import is_made
from tickercast.errors import EngineUnusable, NotSetUp, SchemaMismatch, TickercastError, WarehouseUnavailable
from tickercast.plain import shortened

LOCKED = re.compile(r"set lock|Conflicting lock")
_HOLDER = re.compile(r"held in (.+?) \(PID (\d+)\)")

_BACK = "`tickercast replay --failed` then forecasts again what only {lost} held, from the files in the bucket."

_DAMAGED_LOG = (
    "{path}.wal, the log with the newest rows of the warehouse, is damaged: {message}. Move this file away, and "
    "keep it; "
) + _BACK.format(lost="the log")

_NO_FILE = (
    "{path} is missing or empty, and its newest rows are in {left}. Put the file back as it was at that moment; or "
    "move {left} away, and keep it; "
) + _BACK.format(lost="the log")

_LOG_BEGINS = b"d\x00be\x00"
"""The first entry says the version: DuckDB takes a log that begins otherwise for one that was being written, and drops
it."""

_TRANSLATIONS: Sequence[tuple[type[Exception], str, type[TickercastError], str]] = (
    (
        duckdb.Error,
        r"storage version number (?P<version>\d+).*between (?P<first>\d+) and (?P<last>\d+).*"
        r"newer (?:development )?version",
        EngineUnusable,
        "{path} was written by a newer DuckDB (storage version {version}; {ours}, which is installed, reads {first} to "
        "{last}). Upgrade the package duckdb; or copy the file with the DuckDB that wrote it, and name the copy in "
        "TICKERCAST_WAREHOUSE: ATTACH '{quoted}' AS newer; ATTACH 'copy.duckdb' AS older (STORAGE_VERSION "
        "'{storage}'); COPY FROM DATABASE newer TO older;",
    ),
    (
        duckdb.Error,
        r"storage version number (?P<version>\d+).*between (?P<first>\d+) and (?P<last>\d+)."
        r"(?:.*created with (?P<writer>.+?)\. )?",
        EngineUnusable,
        "{path} was written by {writer} (storage version {version}; {ours}, which is installed, reads {first} to "
        "{last}). Open the file with that version, and run EXPORT DATABASE 'folder'. Delete the lines of "
        "folder/schema.sql that begin with CREATE VIEW. With {ours} open a new file, run IMPORT DATABASE 'folder', "
        "name the file in TICKERCAST_WAREHOUSE, and run `tickercast provision`, which makes the views.",
    ),
    (
        duckdb.Error,
        r"WAL (?:checkpoint iteration )?does not match",
        EngineUnusable,
        "{path} and its log {path}.wal, with the newest rows, are not of one moment: one of them was copied or "
        "restored without the other. Put both back as they were at one moment; or move the log away, and keep it; "
        + _BACK.format(lost="the log"),
    ),
    (
        duckdb.Error,
        r"replaying WAL",
        EngineUnusable,
        _DAMAGED_LOG,
    ),
    (
        duckdb.Error,
        r"is not a valid DuckDB",
        EngineUnusable,
        "{path} is not a DuckDB file. Name another in TICKERCAST_WAREHOUSE; or, if it should hold the warehouse, move "
        "it and {path}.wal away: " + _BACK.format(lost="they"),
    ),
    (
        duckdb.Error,
        r"Corrupt database file|read enough bytes|invalid magic|Malformed|unserializ|deserializ",
        EngineUnusable,
        "{path} is damaged: {message}. Move it and {path}.wal away, and keep both; " + _BACK.format(lost="they"),
    ),
    (duckdb.Error, r"No space left|quota exceeded|max_temp_directory_size", EngineUnusable, "{full}"),
    (
        duckdb.Error,
        r"(?i)permission denied|operation not permitted|read-only file system|read-only mode",
        EngineUnusable,
        "{closed}",
    ),
    (
        duckdb.Error,
        r"Is a directory|Not a directory|File name too long|encrypt",
        EngineUnusable,
        "{path} cannot be opened: {message}. Name another file in TICKERCAST_WAREHOUSE.",
    ),
    (
        duckdb.OutOfMemoryException,
        "",
        EngineUnusable,
        "{url} needs more memory than there is: {message}. Ask for fewer rows or symbols at a time, or free memory.",
    ),
    (
        duckdb.CatalogException,
        "",
        NotSetUp,
        "{url} has not been set up: {message}. Run any forecast, or `tickercast provision`.",
    ),
    (
        duckdb.OperationalError,
        r"No such file|does not exist",
        NotSetUp,
        "{url} has not been set up. Run any forecast, or `tickercast provision`.",
    ),
    *(
        (kind, "", SchemaMismatch, "The request does not fit the tables of {url}: {message}.")
        for kind in (
            duckdb.ConstraintException,
            duckdb.ConversionException,
            duckdb.BinderException,
            duckdb.DataError,
            duckdb.IntegrityError,
            duckdb.NotSupportedError,
            duckdb.ParserException,
            duckdb.InvalidInputException,
        )
    ),
    (
        duckdb.InterruptException,
        "",
        WarehouseUnavailable,
        "{url} was interrupted in its work. Nothing is half stored: run the same command again.",
    ),
    (
        duckdb.InternalError,
        "",
        WarehouseUnavailable,
        "{url} hit a fault of {ours} itself: {message}. Run the same command again; if it stays, install another "
        "release of the package duckdb.",
    ),
)
"""The first match counts: an error's type, a pattern for its message, our error, and its text."""

WRONG_QUERY = (
    duckdb.CatalogException,
    duckdb.BinderException,
    duckdb.ParserException,
    duckdb.InvalidInputException,  # a parameter without a value, a division by zero
    duckdb.OutOfRangeException,  # a logarithm of zero, a sum beyond 64 bits
    duckdb.ConversionException,
    duckdb.PermissionException,  # files, the network, extensions
    duckdb.NotImplementedException,
)


def translated(error: duckdb.Error, path: Path, patience_s: float) -> TickercastError:
    """The error of tickercast for one of DuckDB.

    Args:
        error: the error of DuckDB.
        path: the file.
        patience_s: the seconds that were spent waiting for the file while another process held it.
    """
    url, message = f"duckdb://{path}", one_line(error)
    if is_locked(error):
        return held(url, patience_s, holder(error))
    given = {"path": path, "url": url, "message": message, "ours": f"DuckDB {duckdb.__version__}"}
    given |= {"quoted": str(path).replace("'", "''"), "storage": f"v{duckdb.__version__}"}
    given |= {"full": disk.full(url), "closed": disk.closed(str(path))}
    for kind, pattern, ours, text in _TRANSLATIONS:
        found = re.search(pattern, " ".join(str(error).split()))
        if isinstance(error, kind) and found:
            named = {name: value or "another DuckDB" for name, value in found.groupdict().items()}
            return ours(text.format(**given, **named))
    return WarehouseUnavailable(f"{url} does not answer: {message}. Check the disk, then try again.")


def check_log(path: Path) -> None:
    """Look at a file's log, which the engine would drop without a word if it begins otherwise or the file is missing.

    Raises:
        EngineUnusable: the log is no log of DuckDB's, or is there without its file.
    """
    log, kept = path.with_name(f"{path.name}.wal"), path.with_name(f"{path.name}.kept")
    try:
        beginning = _beginning(log)
    except OSError:  # there is none, or the engine says what is wrong with it
        beginning = b""
    if not _LOG_BEGINS.startswith(beginning):
        raise EngineUnusable(_DAMAGED_LOG.format(path=path, message="it does not begin as a log"))
    left = [str(log)] * (beginning == _LOG_BEGINS) + [str(kept)] * kept.exists()
    if left and not is_made(path):
        raise EngineUnusable(_NO_FILE.format(path=path, left=" and ".join(left)))


def _beginning(log: Path) -> bytes:
    with log.open("rb") as file:
        found = file.read(len(_LOG_BEGINS))
        return found if any(found) or any(file.read()) else b""  # zeros: nothing was written yet


def is_locked(error: BaseException) -> bool:
    """Whether another process holds the file, and will release it."""
    return isinstance(error, duckdb.IOException) and LOCKED.search(str(error)) is not None


def holder(error: BaseException) -> str:
    """The program and process that hold the file, as DuckDB names them."""
    found = _HOLDER.search(str(error))
    return f"{Path(found[1]).name} (process {found[2]})" if found else "another process"


def held(url: str, patience_s: float, by: str) -> WarehouseUnavailable:
    """The error for a file that another process did not release."""
    return WarehouseUnavailable(f"{url} has been held by {by} for {patience_s:.0f} s. End that process, or wait.")


def one_line(error: Exception) -> str:
    """The message of DuckDB, without its advice on settings and its links."""
    said = re.split(r"\n\n|\. Use TRY\(", str(error), maxsplit=1)[0]
    return shortened(re.sub(r"^[\w ]+ Error: ", "", said), 200)
