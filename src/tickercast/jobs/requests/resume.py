"""Resume an interrupted run: find the symbols that need not be sent again.

An interrupted run leaves whole files behind and nothing else; the next one sends the rest. So does one whose source
refused further requests, so that the same command goes on later.
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta

from tickercast.domain import objects
from tickercast.domain.calendar import LONGEST_CLOSURE, is_over, sessions_between
from tickercast.domain.frequency import DAILY
from tickercast.errors import CalendarError, UsageError
from tickercast.jobs.requests.upload import Upload
from tickercast.ports import Warehouse

MANY = 50
"""A run of more symbols is resumed; fewer are asked for by hand, and are always sent."""


def forecast_before(
    symbols: Sequence[str], as_of: date, *, warehouse: Warehouse, now: datetime, simulated: bool
) -> list[Upload]:
    """Find the uploads for `as_of` that led to forecasts of some of the symbols.

    A forecast counts unless a session up to `as_of` has closed since: then there is a newer bar to forecast from.
    Forecasts of simulated bars do not count if real ones are wanted, nor the reverse.

    Args:
        symbols: the symbols wanted.
        as_of: the date that they are wanted for.
        warehouse: where the ledger is.
        now: the time.
        simulated: whether simulated bars are wanted.

    Returns:
        An upload for each file, with those of its symbols that count; each symbol is in the newest file only.

    Raises:
        WarehouseUnavailable: try again.
    """
    where = {"symbol": list(symbols), "frequency": DAILY.name, "status": "forecast", "simulated": simulated}
    ledger = warehouse.read("ingestions", where)
    ledger = ledger.sort_values(["written_at", "generation"])
    found: dict[str, tuple[str, str]] = {}
    columns = (ledger[name] for name in ("symbol", "object", "generation", "received_at"))
    for symbol, name, generation, received_at in zip(*columns, strict=True):
        if _is_of(name, as_of) and not _has_closed_since(symbol, as_of, received_at.to_pydatetime(), now):
            found[symbol] = name, generation
    files: dict[tuple[str, str], list[str]] = {}
    for symbol in symbols:
        if symbol in found:
            files.setdefault(found[symbol], []).append(symbol)
    return [Upload(*file, tuple(held)) for file, held in files.items()]


def _is_of(name: str, as_of: date) -> bool:
    try:
        return objects.parse(name).as_of == as_of
    except UsageError:
        return False


def _has_closed_since(symbol: str, as_of: date, then: datetime, now: datetime) -> bool:
    if as_of < then.date() - timedelta(days=1):  # that day was over everywhere
        return False
    try:
        sessions = sessions_between(symbol, as_of - LONGEST_CLOSURE, as_of)
        newest = next((session for session in reversed(sessions) if is_over(symbol, session, now)), None)
        return newest is not None and not is_over(symbol, newest, then)
    except CalendarError:
        return True
