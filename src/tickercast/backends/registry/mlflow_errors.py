"""Translation of the errors of MLflow, and of SQLAlchemy, SQLite and requests below it, to those of tickercast.

MLflow tries to open a SQLite file ten times in a hundred seconds, whatever is wrong with it, and a server eight times
in five minutes. So the file and the server are tried once before.
"""

import re
import socket
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

from tickercast import disk
from tickercast.errors import BundleError, EngineUnusable, StoreUnavailable, TickercastError, UsageError
from tickercast.plain import shortened

_CONNECT_S = 10.0

_OLD_SCHEMA = r"database schema.*found version (?P<found>\w+).*expected (?P<expected>\w+)"
_LATER_SCHEMA = r"locate revision identified by '(?P<found>\w+)'"

_TRANSLATIONS: Sequence[tuple[str, type[TickercastError], str]] = (
    (
        _LATER_SCHEMA,
        EngineUnusable,
        "MLflow at {url} has the database schema of a newer MLflow ({found}, which MLflow {ours} does not know). "
        "Upgrade the package mlflow; runs and models stay.",
    ),
    (
        _OLD_SCHEMA,
        EngineUnusable,
        "MLflow at {url} has the database schema of an older MLflow ({found}; MLflow {ours} needs {expected}). Back "
        "the database up, then run `mlflow db upgrade {database}`; runs and models stay.",
    ),
    (
        r"RESOURCE_DOES_NOT_EXIST|INVALID_PARAMETER_VALUE|RESOURCE_ALREADY_EXISTS",
        BundleError,
        "MLflow at {url} refuses: {message}. Name a registered version.",
    ),
    (
        r"UNAUTHENTICATED|PERMISSION_DENIED|CUSTOMER_UNAUTHORIZED|error code 40[13]",
        UsageError,
        "MLflow at {url} refuses access: {message}. Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or run "
        "as somebody who may call it.",
    ),
    (
        r"not a database|malformed|disk image",
        EngineUnusable,
        "{file} is damaged, or not a database of MLflow: {message}. Move it away, and keep it; the next training makes "
        "a new one, and the champion that is served stays. Or name another in MLFLOW_TRACKING_URI.",
    ),
    (r"No space left|disk is full", EngineUnusable, "{full}"),
    (r"readonly database|unable to open database|(?i:permission denied)", EngineUnusable, "{closed}"),
    (
        r"database is locked",
        StoreUnavailable,
        "{file} is held by another process. Wait until that training or page of MLflow has ended, then try again.",
    ),
    (
        r"ENDPOINT_NOT_FOUND|error code 404|not in a valid JSON",
        UsageError,
        "At {url} is no MLflow server: {message}. Correct MLFLOW_TRACKING_URI.",
    ),
    (
        r"(?i)InvalidUrl|No connection adapters|Failed to parse|SSL|certificate",
        UsageError,
        "MLflow at {url} cannot be reached: {message}. Correct MLFLOW_TRACKING_URI.",
    ),
)
"""The first match counts: a pattern for "code: message", our error, and its text."""


def translated(error: Exception, url: str) -> TickercastError:
    """The error of tickercast for one of MLflow or of a library below it.

    Args:
        error: the error of MLflow, or of a library below it.
        url: the URL of the registry.
    """
    import mlflow

    file = url.removeprefix("sqlite:///")
    message = _one_line(error)
    given = {"url": url, "message": message, "file": file, "ours": mlflow.__version__}
    given |= {"full": disk.full(url), "closed": disk.closed(file)}
    given["database"] = url if file != url else "URI, with the URI of the server's database"
    if (found := re.search(_OLD_SCHEMA, str(error), re.DOTALL)) and not _knows(found["found"]):
        error = ValueError(f"locate revision identified by '{found['found']}'")
    seen = f"{getattr(error, 'error_code', type(error).__name__)}: {error}"
    for pattern, kind, text in _TRANSLATIONS:
        if matched := re.search(pattern, " ".join(seen.split())):
            return kind(text.format(**given, **matched.groupdict()))
    if isinstance(error, OSError) and error.errno:
        return disk.fault(f"MLflow at {url}", error, StoreUnavailable)
    return StoreUnavailable(f"MLflow at {url} does not answer: {message}. Try again, or set MLFLOW_TRACKING_URI.")


def check_file(file: Path, url: str) -> None:
    """Check that a SQLite file can be opened, where there is one, and a new one be made, where there is none.

    Raises:
        EngineUnusable: the file is no database, or cannot be opened.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        if not file.exists():
            return
        with file.open("r+b"):
            pass
        with closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=rw", uri=True)) as database:
            database.execute("SELECT count(*) FROM sqlite_master").fetchall()
    except OSError as error:
        raise disk.fault(f"MLflow at {url}", error, StoreUnavailable) from error
    except sqlite3.Error as error:
        raise translated(error, url) from error


def check_server(url: str) -> None:
    """Check that somebody listens at a server's address, unless a proxy stands before it.

    Raises:
        StoreUnavailable: nobody does.
    """
    import requests.utils

    parts = urlsplit(url)
    if requests.utils.get_environ_proxies(url, no_proxy=None):
        return
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
        socket.create_connection((parts.hostname or "", port), timeout=_CONNECT_S).close()
    except ValueError as error:  # its text may hold a part of a password
        raise UsageError(f"{url} is no address of a server. Correct MLFLOW_TRACKING_URI.") from error
    except OSError as error:
        said = "nobody answered" if isinstance(error, TimeoutError) else _one_line(error)
        raise StoreUnavailable(
            f"No MLflow server can be reached at {url}: {said}. Start it, or correct MLFLOW_TRACKING_URI."
        ) from error


def _knows(revision: str) -> bool:
    """Whether the MLflow that is installed has a migration to a revision of its database."""
    import mlflow

    return any((Path(mlflow.__file__).parent / "store" / "db_migrations" / "versions").glob(f"*{revision}*"))


def _one_line(error: Exception) -> str:
    """The message of the innermost library, without the request, statement and links around it."""
    said = str(getattr(error, "orig", None) or (error.strerror if isinstance(error, OSError) else "") or error)
    if cause := re.search(r"Caused by \w+\(([\"'])(.*)\1\)", said, re.DOTALL):  # urllib3's message in the request
        said = cause[2].rpartition("): ")[2]
    if inner := re.search(r"\w+Error\(-?\d+, ['\"]([^'\"]+)", said):  # the operating system's message in that
        said = inner[1]
    said = re.sub(r"\(Background on this error.*|\[SQL:.*|<[^>]+>", " ", said, flags=re.DOTALL)
    return shortened(said, 300) or type(error).__name__
