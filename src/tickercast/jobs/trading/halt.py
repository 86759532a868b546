"""Halt trading on paper, and let it go on: what a person does, and the next run obeys at once."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

import pandas as pd

from tickercast.domain.frequency import Frequency, frequency_of
from tickercast.domain.trading.orders import ZERO, Status
from tickercast.domain.trading.risk import Action, Cause, TradingEvent
from tickercast.errors import TickercastError
from tickercast.jobs.trading.trade import Reconciliation, account_of, alone, record_event
from tickercast.ports import Broker, ObjectStore, Warehouse
from tickercast.reading.trading import Venue, read_book, read_venues


def halt_trading(
    *,
    account: str,
    strategy: str,
    warehouse: Warehouse,
    open_broker: Callable[[Venue], Broker],
    now: datetime,
) -> dict[str, str]:
    """Halt trading, then take open orders back; positions and the exits of brackets stay.

    What became of the orders is stored: some may have been filled by then.

    Args:
        account: empty for every one.
        strategy: empty for every one.
        warehouse: where halts are kept.
        open_broker: opens the broker of an account.
        now: the time.

    Returns:
        What became of the open orders, or why a venue could not be asked, by account.

    Raises:
        WarehouseUnavailable: try again; trading is not halted.
    """
    reason = "A person halted it. Positions stay as they are; tickercast trade resume lets it go on."
    event = TradingEvent(account, strategy, Action.HALT, Cause.PERSON, reason, None, now)
    record_event(event, warehouse, now.isoformat())
    found: dict[str, str] = {}
    for venue in read_venues(warehouse):
        if event.is_about(venue.account, venue.strategy):
            found[venue.account] = _taken_back(venue, warehouse, open_broker, now)
    return found


def _taken_back(venue: Venue, warehouse: Warehouse, open_broker: Callable[[Venue], Broker], now: datetime) -> str:
    """Take the open orders of an account back, store what became of them, and say it."""
    book = read_book(venue.account, warehouse)
    waiting = [each.order for each in book.intents if not each.ended]
    if not waiting:
        return "no order was open"
    try:
        broker = open_broker(venue)
        for order in waiting:
            broker.cancel(order.client_id, order.symbol)
    except TickercastError as error:
        return f"open orders could not be taken back: {error}"
    every = frequency_of(venue.frequency)
    try:
        Reconciliation(broker, venue.account, warehouse, every, lambda: now, dry=False).collect(book)
        stored = {each.order.client_id: each.status for each in read_book(venue.account, warehouse).intents}
    except TickercastError as error:
        return f"open orders were to be taken back, and what became of them is not known: {error}"
    return became(Counter(stored[order.client_id] for order in waiting))


def became(counts: Mapping[str, int]) -> str:
    """The sentence about orders that were to be taken back, by status; orders that no venue got do not count.

    >>> became({"cancelled": 1, "filled": 2}), became({"accepted": 2}), became({"": 1})
    ('1 open order taken back, 2 had been filled', 'no open order taken back, 2 still open', 'no order was open')
    """
    known = {status: counts[status] for status in Status if counts.get(status)}
    if not known:
        return "no order was open"
    taken = known.pop(Status.CANCELLED, 0)
    others = (f", {count} {_BECAME[status]}" for status, count in known.items())
    return f"{taken or 'no'} open order{'s' * (taken > 1)} taken back{''.join(others)}"


_BECAME = {
    Status.ACCEPTED: "still open",
    Status.PARTIALLY_FILLED: "still open and filled in part",
    Status.FILLED: "had been filled",
    Status.EXPIRED: "had expired",
    Status.REJECTED: "had been rejected",
}


def resume_trading(*, account: str, strategy: str, warehouse: Warehouse, now: datetime) -> None:
    """Let trading go on; the stop counts from here.

    Raises:
        WarehouseUnavailable: try again.
    """
    event = TradingEvent(account, strategy, Action.RESUME, Cause.PERSON, "A person resumed it.", None, now)
    record_event(event, warehouse, now.isoformat())


@dataclass(frozen=True)
class Adopted:
    """The result of adopting positions that differed from our fills.

    Attributes:
        changes: the quantity added to ours, by symbol.
        left: the symbols with an open order, which were left as they are.
    """

    changes: Mapping[str, Decimal]
    left: Sequence[str]


def adopt_positions(
    venue: Venue,
    broker: Broker,
    *,
    every: Frequency,
    warehouse: Warehouse,
    store: ObjectStore,
    now: Callable[[], datetime],
) -> Adopted:
    """Take the positions of a venue as they are, where they differ from our fills.

    What the venue says of our own orders is stored first; a symbol with an open order is left as it is.

    Args:
        venue: the account and its strategy.
        broker: the venue.
        every: the frequency of the bars.
        warehouse: where fills are kept.
        store: where the lock of the account is.
        now: the clock.

    Raises:
        LeaseHeld: a run trades in the account.
        Transient: an engine or the venue does not answer.
    """
    account = account_of(broker, broker.account())
    added: dict[str, Decimal] = {}
    left: list[str] = []
    with alone(account, store, now):
        ours = Reconciliation(broker, account, warehouse, every, now, dry=False)
        _, moving = ours.collect(read_book(account, warehouse))
        known, theirs = ours.held(), {each.symbol: each for each in broker.positions()}
        at = now()
        for symbol in sorted({*known, *theirs}):
            change = (theirs[symbol].quantity if symbol in theirs else ZERO) - known.get(symbol, ZERO)
            if abs(change) <= Decimal("1e-9"):
                continue
            if symbol in moving:
                left.append(symbol)
                continue
            added[symbol] = change
            name = f"adopted-{at:%Y%m%dT%H%M%S}-{symbol}"
            row = {
                "fill_id": name,
                "client_id": name,
                "account": account,
                "strategy": venue.strategy,
                "strategy_hash": venue.strategy_hash,
                "frequency": every.name,
                "symbol": symbol,
                "side": "buy" if change > 0 else "sell",
                "quantity": float(abs(change)),
                "price": float(theirs[symbol].price) if symbol in theirs else 0.0,
                "fee": 0.0,
                "filled_at": pd.Timestamp(at),
                "written_at": pd.Timestamp(at),
            }
            warehouse.append("fills", pd.DataFrame([row]), key=f"fills/{account}/{name}")
    return Adopted(added, left)
