"""Shared parts of the venues' stand-ins: an account, orders filled at the last price, and faults on demand."""

import itertools
import threading
from collections import Counter, deque
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from http.client import HTTPMessage
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from tests.support.stand_in import Answer, StandIn

KEY, SECRET = "test-key-1", "test/secret+2"
SUBMIT = "submit"
"""The operation of a new order; the others are verb and path, such as `GET /v2/account`."""

_DONE_BEFORE = {"lost", "cut", "damaged", "slow", "1007", "500", "502", "503", "504"}
ZERO = Decimal(0)


@dataclass
class Part:
    """A fill: the venue's id of it, size, price, fee and the coin it is paid in, and when."""

    fill_id: int
    quantity: Decimal
    price: Decimal
    fee: Decimal
    fee_in: str
    at: datetime


@dataclass
class Placed:
    """An order that the venue has taken."""

    number: int
    client_id: str
    symbol: str
    side: str
    quantity: Decimal
    kind: str
    created: datetime
    updated: datetime
    status: str = "new"
    parts: list[Part] = field(default_factory=list)
    more: dict[str, Any] = field(default_factory=dict)
    legs: list["Placed"] = field(default_factory=list)

    @property
    def filled(self) -> Decimal:
        return sum((part.quantity for part in self.parts), ZERO)


class VenueServer(StandIn):
    """A venue that listens on 127.0.0.1 until it is closed.

    Attributes:
        prices: the last price of each symbol, as the venue spells it; these are all that it trades.
        cash, held: the account.
        averages: what one of each held symbol was bought or sold short for.
        orders: in the order in which they were taken.
        posts: the client ids of the orders that arrived, those that were refused included.
        calls: how often each operation was called.
        now: the venue's clock, which goes on a second with each order.
        share: of an order that is filled at once; the rest waits for `complete`.
        told: whether fills are in the lists of fills yet.
        released: slow answers wait for it.
    """

    def __init__(self, cash: str, **prices: str) -> None:
        self.prices = {symbol: Decimal(price) for symbol, price in prices.items()}
        self.start = Decimal(cash)
        self.allowance: dict[str, Decimal] = {}
        self.posts: list[str] = []
        self.calls: Counter[str] = Counter()
        self.now = datetime(2024, 6, 10, 14, 0, tzinfo=UTC)
        self.share = Decimal(1)
        self.told = True
        self.released = threading.Event()
        self._faults: dict[str, deque[str]] = {}
        self._numbers = itertools.count(1)
        self.begin()
        super().__init__()

    def begin(self) -> None:
        """Give the account its first balances, and forget all orders."""
        self.cash = self.start
        self.held = dict(self.allowance)
        self.averages: dict[str, Decimal] = {}
        self.orders: list[Placed] = []

    def close(self) -> None:
        self.released.set()
        super().close()

    def fail(self, operation: str, *faults: str) -> None:
        """Order faults, one for each of the next calls of an operation.

        Args:
            operation: `SUBMIT`, or a verb and a path.
            faults: `lost`: the work is done and the answer lost; `drop`: the connection ends before; `cut` and
                `damaged`: half of the answer comes, or comes as something else; `slow`: it waits for `released`; `500`
                … `504` and `1007`: the work is done; another status: it is not. Empty: none.
        """
        self._faults.setdefault(operation, deque()).extend(faults)

    def answer(self, verb: str, url: str, headers: HTTPMessage, content: bytes) -> Answer | None:
        parts = urlsplit(url)
        path, asked = unquote(parts.path), dict(parse_qsl(parts.query, keep_blank_values=True))
        operation = SUBMIT if self.is_submit(verb, path) else f"{verb} {path}"
        self.calls[operation] += 1
        ordered = self._faults.get(operation)
        fault = ordered.popleft() if ordered else ""
        if fault == "drop":
            return None
        if fault and fault not in _DONE_BEFORE:
            return self.refusal(int(fault))
        done = self.serve(verb, path, asked, headers, content)
        match fault:
            case "lost":
                return None
            case "cut":
                return Answer(
                    done.status, done.content[: len(done.content) // 2], {"Content-Length": str(len(done.content))}
                )
            case "damaged":
                return Answer(done.status, done.content[: len(done.content) // 2])
            case "slow":
                self.released.wait(30)
            case "1007":
                return self.refusal(1007)
            case "500" | "502" | "503" | "504":
                return Answer(int(fault), b"<html>upstream request timeout</html>")
        return done

    def refusal(self, status: int) -> Answer:
        """How the venue refuses before it looks at a request."""
        raise NotImplementedError

    def is_submit(self, verb: str, path: str) -> bool:
        """Whether a request is a new order."""
        raise NotImplementedError

    def serve(self, verb: str, path: str, asked: dict[str, str], headers: HTTPMessage, content: bytes) -> Answer:
        """Do what is asked for."""
        raise NotImplementedError

    # ------------------------------------------------------------ the exchange

    def place(self, client_id: str, symbol: str, side: str, quantity: Decimal, kind: str) -> Placed:
        """Take an order; one at the market is filled at once."""
        self.now += timedelta(seconds=1)
        placed = Placed(next(self._numbers), client_id, symbol, side, quantity, kind, self.now, self.now)
        self.orders.append(placed)
        if kind == "market":
            self.fill(placed, quantity * self.share)
        return placed

    def fill(self, placed: Placed, quantity: Decimal) -> None:
        """Fill a part of an order, at the last price."""
        if not quantity:
            return
        self.now += timedelta(seconds=1)
        price = self.prices[placed.symbol]
        sign = 1 if placed.side == "buy" else -1
        fee, fee_in = self.fee(placed, quantity, price)
        placed.parts.append(Part(next(self._numbers), quantity, price, fee, fee_in, self.now))
        placed.status = "filled" if placed.filled == placed.quantity else "partially_filled"
        placed.updated = self.now
        self.cash -= sign * quantity * price
        self._average(self.coin(placed.symbol), sign * quantity, price)
        self.add(self.coin(placed.symbol), sign * quantity)
        if fee:
            self.add(fee_in, -fee)

    def complete(self) -> None:
        """Fill the rest of all orders at the market."""
        for placed in self.orders:
            if placed.kind == "market" and placed.status in ("new", "partially_filled"):
                self.fill(placed, placed.quantity - placed.filled)

    def end(self, placed: Placed, status: str) -> None:
        """End an order that is open."""
        self.now += timedelta(seconds=1)
        placed.status, placed.updated = status, self.now

    def fee(self, placed: Placed, quantity: Decimal, price: Decimal) -> tuple[Decimal, str]:
        """The fee of a fill, and the coin it is paid in."""
        return ZERO, ""

    def coin(self, symbol: str) -> str:
        """The name of the holding after a symbol was bought."""
        return symbol

    def _average(self, name: str, change: Decimal, price: Decimal) -> None:
        held = self.held.get(name, ZERO)
        if held * change > 0:
            self.averages[name] = (held * self.averages.get(name, price) + change * price) / (held + change)
        elif abs(change) > abs(held):
            self.averages[name] = price

    def add(self, name: str, quantity: Decimal) -> None:
        """Change what is held."""
        self.held[name] = self.held.get(name, ZERO) + quantity
        if not self.held[name]:
            del self.held[name]

    def found(self, client_id: str) -> Placed | None:
        """The newest order of a client id."""
        return next((each for each in reversed(self.orders) if each.client_id == client_id), None)
