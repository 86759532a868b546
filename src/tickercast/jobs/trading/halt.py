"""Halt trading on paper, and let it go on: what a person does, and the next run obeys at once."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

import pandas as pd

from tickercast.domain.frequency import Frequency
from tickercast.domain.orders import ZERO
from tickercast.domain.risk import Action, Cause, TradingEvent
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
            found[venue.account] = _cancelled(venue, warehouse, open_broker)
    return found


def _cancelled(venue: Venue, warehouse: Warehouse, open_broker: Callable[[Venue], Broker]) -> str:
    waiting = [each for each in read_book(venue.account, warehouse).intents if each.status and not each.ended]
    if not waiting:
        return "no order was open"
    try:
        broker = open_broker(venue)
        for intent in waiting:
            broker.cancel(intent.order.client_id, intent.order.symbol)
    except TickercastError as error:
        return f"open orders could not be taken back: {error}"
    return f"{len(waiting)} open order{'s' * (len(waiting) != 1)} taken back"


def resume_trading(*, account: str, strategy: str, warehouse: Warehouse, now: datetime) -> None:
    """Let trading go on; the stop counts from here.

    Raises:
        WarehouseUnavailable: try again.
    """
    event = TradingEvent(account, strategy, Action.RESUME, Cause.PERSON, "A person resumed it.", None, now)
    record_event(event, warehouse, now.isoformat())


@dataclass(frozen=True)
class Adopted:
    """What became of positions that differed from our fills.

    Attributes:
        changes: what was added to our quantities, by symbol.
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
        every: of the bars.
        warehouse: where fills are kept.
        store: where the lock of the account is.
        now: the clock.

    Raises:
        UsageError: a run trades in the account.
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
