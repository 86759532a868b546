"""Completion in a shell: symbols, sources, views, models and columns.

Each function gets the word that is being typed. A shell must never show an error or wait for a server, so only what
lies on this machine is asked, and what cannot be read completes nothing.
"""

from collections.abc import Callable, Iterable
from pathlib import Path

from tickercast import config
from tickercast.errors import TickercastError


def _matching(words: Iterable[str], typed: str) -> list[str]:
    return sorted({word for word in words if word.upper().startswith(typed.upper())})


def _none_on_errors(complete: Callable[[str], list[str]]) -> Callable[[str], list[str]]:
    def completed(incomplete: str) -> list[str]:
        try:
            return complete(incomplete)
        except (TickercastError, OSError):
            return []

    return completed


@_none_on_errors
def symbols(incomplete: str) -> list[str]:
    """Symbols of the watchlist and those with stored forecasts; after a comma the next one."""
    from tickercast import engines

    before, comma, typed = incomplete.rpartition(",")
    known = [*_watched(), *engines.stored_symbols(config.load())]
    return [f"{before}{comma}{word}" for word in _matching(known, typed)]


@_none_on_errors
def watched(incomplete: str) -> list[str]:
    """Symbols of the watchlist."""
    return _matching(_watched(), incomplete)


@_none_on_errors
def sources(incomplete: str) -> list[str]:
    """Sources by their names, and folders."""
    from tickercast.engines import HOURLY_SOURCES, SOURCES

    place = Path(incomplete or ".").expanduser()
    folder = place if incomplete.endswith("/") or not incomplete else place.parent
    found = [f"{path}/" for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")]
    return _matching({*SOURCES, *HOURLY_SOURCES}, incomplete) + [path for path in found if path.startswith(incomplete)]


@_none_on_errors
def views(incomplete: str) -> list[str]:
    """Tables and views."""
    files = (path for kind in ("tables", "views") for path in (config.resource("sql") / kind).glob("*.sql"))
    return _matching((path.stem for path in files), incomplete)


@_none_on_errors
def models(incomplete: str) -> list[str]:
    """Models that forecast daily bars without training, and the champion."""
    from tickercast.models.catalogue import BASELINES, CHAMPION, STATISTICAL

    return _matching([CHAMPION, *BASELINES, *STATISTICAL], incomplete)


@_none_on_errors
def peers(incomplete: str) -> list[str]:
    """Statistical models."""
    from tickercast.models.catalogue import STATISTICAL

    return _matching(STATISTICAL, incomplete)


@_none_on_errors
def overview_columns(incomplete: str) -> list[str]:
    """Columns of the overview, also with the - of descending order."""
    from tickercast.reading.overview import COLUMNS, TITLES

    sign = "-" if incomplete.startswith("-") else ""
    return _matching({f"{sign}{name}" for name in (*COLUMNS, *TITLES)}, incomplete)


@_none_on_errors
def states(incomplete: str) -> list[str]:
    """States of a forecast."""
    return _matching(("fresh", "due", "stale", "expired"), incomplete)


@_none_on_errors
def exported(incomplete: str) -> list[str]:
    """The kinds of rows that `export` writes."""
    return _matching(("forecasts", "prices", "scores"), incomplete)


def _watched() -> list[str]:
    from tickercast.app import read_symbols

    path = config.load().watchlist_file
    return [] if "://" in path else [word.upper() for word in read_symbols(path)]
