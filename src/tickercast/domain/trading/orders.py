"""Orders, and what a venue says of them: values that trading and every broker share.

Prices, quantities and cash are decimals, as venues give them; times are UTC.

>>> rules = Rules("BTCUSDT", lot=Decimal("0.00001"), tick=Decimal("0.01"), least_value=Decimal(5))
>>> rules.quantity(Decimal("0.123456789")), rules.price(Decimal("64123.4567"))
(Decimal('0.12345'), Decimal('64123.45'))
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import ROUND_DOWN, Decimal
from enum import StrEnum

ZERO = Decimal(0)


def client_id(*parts: str) -> str:
    """Our own id of a decision's order: 28 letters that any other part would change.

    >>> client_id("paper://a", "e08b207e", "MSFT", "2023-07-21", "entry")
    '037550d2f5c103cc6bc0e36b3482'
    """
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:28]


def exit_id(client_id: str) -> str:
    """The id under which a venue knows the exit of an order's bracket, whichever of its two prices is met.

    >>> exit_id("037550d2f5c103cc6bc0e36b3482")
    '037550d2f5c103cc6bc0e36b3482-exit'
    """
    return f"{client_id}-exit"


class Side(StrEnum):
    """The direction of an order."""

    BUY = "buy"
    SELL = "sell"


class Status(StrEnum):
    """The progress of an order at the venue."""

    ACCEPTED = "accepted"
    """The venue has it, and nothing is filled."""

    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCELLED = "cancelled"
    """Taken back by us or by the venue; what was filled before stays filled."""

    EXPIRED = "expired"
    REJECTED = "rejected"

    @property
    def open(self) -> bool:
        """Whether the venue may still fill it."""
        return self in (Status.ACCEPTED, Status.PARTIALLY_FILLED)


@dataclass(frozen=True)
class Bracket:
    """Exits that go with an entry, as parts of its price, both positive; the first that is met cancels the other.

    Attributes:
        stop: the distance against the entry at which the stop starts, such as .02.
        limit: the distance against the entry up to which the stop still fills, such as .03.
        take: the distance in favour of the entry at which the profit is taken, such as .40.
    """

    stop: Decimal
    limit: Decimal
    take: Decimal


@dataclass(frozen=True)
class Order:
    """An order at the market, to be filled once.

    Attributes:
        client_id: our own id, at most 36 letters, digits and hyphens: the venue takes it once.
        symbol: the symbol as it is stored here, such as `MSFT` or `BTC-USD`; a broker spells it as its venue does.
        side: buy or sell.
        quantity: shares or coins, positive, within the venue's rules.
        bracket: exits that go with it; None where there are none.
    """

    client_id: str
    symbol: str
    side: Side
    quantity: Decimal
    bracket: Bracket | None = None


@dataclass(frozen=True)
class Fill:
    """A part of an order that was filled.

    Attributes:
        fill_id: the venue's id of it; where it has none, the client id and the quantity filled up to then.
        quantity: positive; where the venue takes its fee in what is traded, what the fill changed the position by.
        price: the price paid or received for one.
        fee: the fee in the account's currency; 0 where the venue takes none. A buy costs quantity × price + fee.
        filled_at: the venue's time.
    """

    fill_id: str
    quantity: Decimal
    price: Decimal
    fee: Decimal
    filled_at: datetime


@dataclass(frozen=True)
class OrderReport:
    """The report of a venue on an order.

    Attributes:
        client_id: the client id of the order.
        venue_id: the venue's own id.
        symbol: the symbol as it is stored here.
        side: buy or sell.
        quantity: the ordered quantity.
        filled: the quantity that is filled by now.
        status: the status of the order.
        reason: why it was rejected, in the venue's words; else empty.
        fills: the parts, the oldest first.
        reported_at: the venue's time of this state.
        filling: whether an open has come that fills it, at a price that is not known yet: it cannot be taken back.
    """

    client_id: str
    venue_id: str
    symbol: str
    side: Side
    quantity: Decimal
    filled: Decimal
    status: Status
    reason: str
    fills: Sequence[Fill]
    reported_at: datetime
    filling: bool = False


@dataclass(frozen=True)
class Position:
    """The position in a symbol.

    Attributes:
        symbol: the symbol as it is stored here.
        quantity: the quantity; negative for a short position, never 0.
        average_price: the average price paid for one; None where the venue does not say.
        price: the venue's last price; 0 where it has none any more.
    """

    symbol: str
    quantity: Decimal
    average_price: Decimal | None
    price: Decimal


@dataclass(frozen=True)
class Account:
    """The account at a venue.

    Attributes:
        account_id: the id of the account, as far as it may be shown.
        currency: the currency of all amounts, such as `USD`.
        cash: the cash that is not invested; negative where it is borrowed.
        equity: the value of cash and positions.
        buying_power: the value that may be bought now.
    """

    account_id: str
    currency: str
    cash: Decimal
    equity: Decimal
    buying_power: Decimal


@dataclass(frozen=True)
class Clock:
    """A venue's time and session.

    Attributes:
        now: the venue's own time.
        open: whether it trades now.
        next_open: when it opens next; the time itself where it never closes.
    """

    now: datetime
    open: bool
    next_open: datetime


@dataclass(frozen=True)
class Rules:
    """The demands of a venue on orders in a symbol.

    Attributes:
        symbol: the symbol as it is stored here.
        lot: quantities are multiples of it.
        tick: prices are multiples of it.
        least_quantity: the smallest quantity.
        least_value: the smallest quantity times price.
        most_quantity: the largest quantity of one order; 0 where there is no bound.
        tradable: whether it trades there at all.
        shortable: whether short positions are allowed.
        short_lot: quantities that make a short position larger or smaller are multiples of it; 0 where `lot` counts.
    """

    symbol: str
    lot: Decimal = Decimal(1)
    tick: Decimal = Decimal("0.01")
    least_quantity: Decimal = ZERO
    least_value: Decimal = ZERO
    most_quantity: Decimal = ZERO
    tradable: bool = True
    shortable: bool = True
    short_lot: Decimal = ZERO

    @property
    def when_short(self) -> "Rules":
        """The rules of orders that make a short position larger or smaller."""
        lot = self.short_lot or self.lot
        return replace(self, lot=lot, least_quantity=max(self.least_quantity, self.short_lot))

    def quantity(self, wanted: Decimal) -> Decimal:
        """Cut a positive quantity to whole lots."""
        return _cut(wanted, self.lot)

    def takes(self, quantity: Decimal, price: Decimal) -> bool:
        """Whether an order of what is left of a quantity in whole lots is large enough; a price of 0 is not known."""
        whole = self.quantity(quantity)
        return whole > 0 and whole >= self.least_quantity and (not price or whole * price >= self.least_value)

    def price(self, wanted: Decimal) -> Decimal:
        """Cut a price to whole ticks."""
        return _cut(wanted, self.tick)


def _cut(value: Decimal, step: Decimal) -> Decimal:
    return (value / step).to_integral_value(ROUND_DOWN) * step if step else value
