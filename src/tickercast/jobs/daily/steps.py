"""Steps of a run that may fail and never stop it: what each gives, or why it gives nothing."""

import functools
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import ParamSpec, TypeVar

from tickercast import logs
from tickercast.errors import (
    AccessDenied,
    BundleError,
    EngineUnusable,
    InvalidBars,
    Permanent,
    SchemaMismatch,
    TickercastError,
    UsageError,
)
from tickercast.ports import Wrap

P = ParamSpec("P")
R = TypeVar("R")

log = logging.getLogger(__name__)

_STAY = (UsageError, EngineUnusable, SchemaMismatch, BundleError, InvalidBars, AccessDenied)


class Lasting(str):
    """The reason why a step gave nothing, where it stays until somebody acts, such as a wrong setting."""

    __slots__ = ()


def or_reason(job: Callable[P, R], wrap: Wrap) -> Callable[P, R | str]:
    """Make of a job the step that is called instead, with errors as their reasons; what may pass is tried again before.

    Args:
        job: the job.
        wrap: turns a job into a step, which tries it again where it fails for a transient reason.
    """

    @functools.wraps(job)
    def attempt(*args: P.args, **kwargs: P.kwargs) -> R | str:
        try:
            return job(*args, **kwargs)
        except Permanent as error:
            return reason(error)

    return lambda *args, **kwargs: said(lambda: wrap(attempt)(*args, **kwargs))


def said(step: Callable[[], R]) -> R | str:
    """The result of a step, or the reason why there is none."""
    try:
        return step()
    except Exception as error:
        return reason(error)


def reason(error: Exception) -> str:
    """The error in words, `Lasting` if it stays; the traceback of a fault of our own is kept in a file."""
    if not isinstance(error, TickercastError):
        return Lasting(f"it failed unexpectedly. {logs.kept(error)}")
    return Lasting(error) if isinstance(error, _STAY) else str(error)


def undone(steps: Mapping[str, object]) -> dict[str, str]:
    """The steps that gave nothing and will give nothing until somebody acts, each with the reason."""
    return {name: str(found) for name, found in steps.items() if isinstance(found, Lasting)}


def held_beside(symbols: Sequence[str], held: Callable[[], Sequence[str]]) -> list[str]:
    """The symbols that are held or ordered on paper beside a watchlist: each needs bars to be sold, filled and valued.

    Whatever fails there is logged, and never stops a run: the trade itself says it.

    Args:
        symbols: the watchlist.
        held: gives what is held or ordered.
    """
    found = said(held)
    if isinstance(found, str):
        log.warning("What is held on paper is not fetched: %s", found)
        return []
    return [symbol for symbol in found if symbol not in symbols]
