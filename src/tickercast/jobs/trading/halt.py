"""Halt trading on paper, and let it go on: what a person does, and the next run obeys at once."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

import pandas as pd

from tickercast.domain.frequency import Frequency, frequency_of
from tickercast.domain.trading.limits import Action, Cause, TradingEvent
from tickercast.domain.trading.orders import ZERO, Order, Status
from tickercast.errors import TickercastError, UsageError
from tickercast.jobs.trading.trade import Reconciliation, account_of, alone, exact, record_event
from tickercast.ports import Broker, ObjectStore, Warehouse
from tickercast.reading.trading import Venue, read_book, read_held, read_venues

_LEAST = Decimal("1e-9")


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
        What became of the open orders, those that could not be taken back by name, or why a venue could not be asked,
        by account.

    Raises:
        WarehouseUnavailable: try again; trading is not halted.
    """
    reason = "A person halted it. Positions stay as they are; tickercast trade resume lets it go on."
    event = TradingEvent(account, strategy, Action.HALT, Cause.PERSON, reason, None, now)
    record_event(event, warehouse, now.isoformat())
    found: dict[str, str] = {}
    for venue in read_venues(warehouse):
        if event.is_about(venue.account, venue.strategy):
            try:
                found[venue.account] = _taken_back(venue, warehouse, open_broker, now)
            except TickercastError as error:
                found[venue.account] = f"what became of open orders is not known: {error}"
    return found


def _taken_back(venue: Venue, warehouse: Warehouse, open_broker: Callable[[Venue], Broker], now: datetime) -> str:
    """Take the open orders of an account back, each by itself, store what became of them, and say it."""
    book = read_book(venue.account, warehouse)
    waiting = [each.order for each in book.intents if not each.ended]
    if not waiting:
        return "no order was open"
    broker = open_broker(venue)
    failed = {order.client_id: why for order in waiting if (why := _why_not(broker, order))}
    check_account(venue, broker)
    ours = Reconciliation(broker, venue.account, warehouse, frequency_of(venue.frequency), lambda: now, dry=False)
    for intent in book.intents:
        try:
            ours.collect(replace(book, intents=[intent]))
        except TickercastError as error:
            failed.setdefault(intent.order.client_id, str(error))
    stored = {each.order.client_id: each for each in read_book(venue.account, warehouse).intents}
    unsure = [order for order in waiting if order.client_id in failed and not stored[order.client_id].ended]
    known = Counter(stored[order.client_id].status for order in waiting if order not in unsure)
    if not unsure:
        return became(known)
    said = "; ".join(f"{each.side} {each.quantity:f} {each.symbol} ({failed[each.client_id]})" for each in unsure)
    return f"{became(known)}; not known to be taken back: {said}. Run tickercast trade halt again."


def _why_not(broker: Broker, order: Order) -> str:
    """Take an order back; why that failed, if it did."""
    try:
        broker.cancel(order.client_id, order.symbol)
    except TickercastError as error:
        return str(error)
    return ""


def check_account(venue: Venue, broker: Broker) -> None:
    """Refuse a broker that opens another account than the one that was traded in.

    Raises:
        UsageError: its keys are another account's.
        Transient: the venue does not answer.
    """
    opened = account_of(broker, broker.account())
    if opened != venue.account:
        raise UsageError(
            f"The keys open {opened}, and those of {venue.account} were needed, where {venue.strategy} has traded. Set "
            f"them, or name the account that is open: --account {opened}."
        )


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
    """Resume trading; the stop is measured from now.

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
        taken_over: the symbols that other strategies held there by our fills, and the account's strategy holds now.
    """

    changes: Mapping[str, Decimal]
    left: Sequence[str]
    taken_over: Sequence[str] = ()


def adopt_positions(
    venue: Venue,
    broker: Broker,
    *,
    frequency: Frequency,
    warehouse: Warehouse,
    store: ObjectStore,
    now: Callable[[], datetime],
) -> Adopted:
    """Take the positions of a venue as they are, where they differ from our fills.

    What the venue says of our own orders is stored first; a symbol with an open order is left as it is. The account's
    newest strategy holds all that is there then, what another one held by our fills, too.

    Args:
        venue: the account and its newest strategy.
        broker: the venue.
        frequency: the frequency of the bars.
        warehouse: where fills are kept.
        store: where the lock of the account is.
        now: the clock.

    Raises:
        UsageError: the broker opens another account.
        LeaseHeld: a run trades in the account.
        Transient: an engine or the venue does not answer.
    """
    check_account(venue, broker)
    account, own = venue.account, (venue.strategy, venue.frequency)
    added: dict[str, Decimal] = {}
    left: list[str] = []
    taken_over: list[str] = []
    with alone(account, store, now):
        ours = Reconciliation(broker, account, warehouse, frequency, now, dry=False)
        moving = ours.collect(read_book(account, warehouse)).moving
        theirs, at = {each.symbol: each for each in broker.positions()}, now()
        held, hashes = read_held(account, warehouse), _hashes(account, warehouse) | {own: venue.strategy_hash}
        known = {
            (str(row["strategy"]), str(row["frequency"]), str(row["symbol"])): exact(row["quantity"])
            for row in held.to_dict("records")
        }
        for symbol in sorted({*theirs, *held["symbol"]}):
            wanted = {each[:2]: ZERO for each in known if each[2] == symbol}
            wanted[own] = theirs[symbol].quantity if symbol in theirs else ZERO
            changes = {owner: amount - known.get((*owner, symbol), ZERO) for owner, amount in wanted.items()}
            changes = {owner: change for owner, change in changes.items() if abs(change) > _LEAST}
            if changes and symbol in moving:
                left.append(symbol)
                continue
            for owner, change in changes.items():
                name = f"adopted-{at:%Y%m%dT%H%M%S}-{symbol}{'' if owner == own else f'-{owner[0]}-{owner[1]}'}"
                average = theirs[symbol].average_price if owner == own and symbol in theirs else None
                row = {
                    "fill_id": name,
                    "client_id": name,
                    "account": account,
                    "strategy": owner[0],
                    "strategy_hash": hashes[owner],
                    "frequency": owner[1],
                    "symbol": symbol,
                    "side": "buy" if change > 0 else "sell",
                    "quantity": float(abs(change)),
                    "price": float(average or ZERO),  # of the position; 0 where the venue says none
                    "fee": 0.0,
                    "filled_at": pd.Timestamp(at),
                    "written_at": pd.Timestamp(at),
                }
                warehouse.append("fills", pd.DataFrame([row]), key=f"fills/{account}/{name}")
            if abs(total := sum(changes.values(), ZERO)) > _LEAST:
                added[symbol] = total
            if changes.keys() - {own}:
                taken_over.append(symbol)
    return Adopted(added, left, tuple(taken_over))


def _hashes(account: str, warehouse: Warehouse) -> dict[tuple[str, str], str]:
    """The newest hash of each strategy and frequency that has fills in an account."""
    names = ["strategy", "frequency", "strategy_hash", "written_at"]
    rows = warehouse.read("fills", {"account": account}, names).sort_values("written_at", kind="stable")
    return {(str(row["strategy"]), str(row["frequency"])): str(row["strategy_hash"]) for row in rows.to_dict("records")}
