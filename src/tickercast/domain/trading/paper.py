"""A simulated exchange: orders and bars in, fills, positions and cash out. The same rows give the same account.

An order is filled at the next open of its symbol after it was sent, seven days later at most, with the costs of a
backtest: worse by the slippage, with fees, and all orders of a bar together at most a share of its traded value; the
rest lapses. A bracket's exits are met by the lows and highs of bars; where one bar holds both, the stop counts. Prices
are adjusted for dividends and splits, as a backtest's are: where the past was rebased, quantities follow by the same
factor. It is the median of three bars, so that a correction of one of them is no rebase.

>>> opened = np.array(["2023-07-24T13:30"], "datetime64[us]")
>>> numbers = [np.array([each]) for each in (10.0, 12.0, 9.0, 11.0, 1e6)]
>>> bars = Series(opened, opened + np.timedelta64(390, "m"), *numbers)
>>> sent = Sent("a", "MSFT", Side.BUY, 100.0, datetime(2023, 7, 21, 20))
>>> made = Exchange({"MSFT": bars}, [sent], Terms(Costs(0, 0, 0)), datetime(2023, 7, 24, 21))
>>> made.orders["a"].status.value, made.orders["a"].parts[0].price, made.equity
('filled', 10.0, 100100.0)
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from statistics import median_low
from typing import Any
from urllib.parse import parse_qsl

import numpy as np
from numpy.typing import NDArray

from tickercast.domain.text import shown
from tickercast.domain.trading.currency import CURRENCIES
from tickercast.domain.trading.orders import Side, Status, exit_id
from tickercast.domain.trading.signals import LATE, Floats
from tickercast.domain.trading.strategy_backtest import CAPITAL, EXPIRES_AFTER, Costs

DUST = 1e-9
"""The least position: what the smallest lots leave of quantities that followed a dividend is none."""

LEAST_VALUE = Decimal("0.000001")
"""The least value of an order, in currency: what is worth less is dust, whatever a split has made of its quantity."""

BASES = {0: ("basis", "basis_at"), 20: ("basis_20", "basis_20_at"), 40: ("basis_40", "basis_40_at")}
"""The columns of a close and its time that are kept beside a quantity, by how many bars before the newest it is."""

REACH = timedelta(days=100)
"""The span in which the bars of `BASES` are found, where bars are daily."""

_DIGITS = 12  # of a difference of floats: a last digit too much is none

Moments = NDArray[np.datetime64]

Bases = Sequence[tuple[float, datetime]]
"""Closes as they were known when a quantity was stored, each with the time of its bar, UTC."""


def bases(closes_at: Moments, closes: Floats) -> dict[str, Any]:
    """The closes that are kept beside a quantity, by column; None where there are too few bars.

    Args:
        closes_at: `(k,)`, when each bar closed, UTC, the oldest first.
        closes: `(k,)`, adjusted.
    """
    found: dict[str, Any] = {}
    for back, (close, at) in BASES.items():
        known = back < len(closes)
        found[close] = float(closes[-1 - back]) if known else None
        found[at] = _moment(closes_at[-1 - back]).replace(tzinfo=UTC) if known else None
    return found


def growth(ratios: Sequence[float]) -> float:
    """The factor by which a quantity has grown, from each kept close over the present one: their median; 1 of none.

    >>> growth([2.0, 2.04, 2.0]), growth([])
    (2.0, 1.0)
    """
    return median_low(ratios) if len(ratios) else 1.0


@dataclass(frozen=True)
class Terms:
    """The terms of a simulated exchange: its costs, and the cash that an account begins with.

    Attributes:
        costs: fees, slippage, borrowing and capacity; the rest of it is not used.
        capital: the cash of a new account.
        lot: quantities are multiples of it.
        expires_after: an order whose symbol has not opened for so long has ended.
        currency: the currency of the cash, and of all that is bought.
    """

    costs: Costs = field(default_factory=Costs)
    capital: float = CAPITAL
    lot: float = DUST
    expires_after: timedelta = EXPIRES_AFTER
    currency: str = "USD"


_MOST = {"fees_bps": 1e3, "slippage_bps": 1e3, "borrow_bps": 1e4, "capacity": 1.0, "capital": 1e15, "lot": 1e15}
"""The largest value of each term, those of a backtest's options."""

_POSITIVE = {"capacity", "capital", "lot"}


def parse_terms(query: str) -> Terms:
    """Read the query of a URL: any of `_MOST`, as numbers, and `currency`.

    >>> made = parse_terms("capital=20000&currency=JPY")
    >>> made.capital, made.currency
    (20000.0, 'JPY')

    Raises:
        ValueError: one is unknown, named twice, no number, or out of range; it says which.
    """
    given: dict[str, float] = {}
    words = parse_qsl(query, keep_blank_values=True)
    named = [name for name, _ in words]
    currency = dict(words).get("currency", "USD")
    if currency not in CURRENCIES:
        raise ValueError(f"{shown(currency, 20)!r} is no currency that is known here")
    for name, text in words:
        if named.count(name) > 1:
            raise ValueError(f"{shown(name, 20)!r} is named twice")
        if name == "currency":
            continue
        if name not in _MOST:
            raise ValueError(f"{shown(name, 20)!r} is no term")
        number, least = _number(text), "above 0 and up to" if name in _POSITIVE else "0 to"
        if not 0 <= number <= _MOST[name] or (name in _POSITIVE and not number):
            raise ValueError(f"{name}={shown(text, 20)} is outside its range, {least} {_MOST[name]:,.0f}")
        given[name] = number
    usual = Terms()
    capital, lot = given.pop("capital", usual.capital), given.pop("lot", usual.lot)
    return Terms(replace(usual.costs, **given), capital, lot, currency=currency)


def lasting(query: str) -> Mapping[str, float | str]:
    """The terms of a URL's query on which the whole past of an account depends; the others are in its fills.

    >>> lasting("capital=20000&fees_bps=0")
    {'capital': 20000.0, 'borrow_bps': 50.0, 'currency': 'USD'}
    """
    usual = Terms()
    given = dict(parse_qsl(query))
    return {
        "capital": float(given.get("capital", usual.capital)),
        "borrow_bps": float(given.get("borrow_bps", usual.costs.borrow_bps)),
        "currency": given.get("currency", usual.currency),
    }


def _number(text: str) -> float:
    try:
        return float(text.replace("_", "x"))
    except ValueError:
        return math.nan


@dataclass(frozen=True, eq=False)
class Series:
    """The bars of a symbol, the oldest first: `(k,)` each.

    Attributes:
        opens_at: the time from which trades are possible, UTC.
        closes_at: the time from which the close is known, UTC.
        open: the first price, adjusted, as are the other prices.
        high: the highest price.
        low: the lowest price.
        close: the last price.
        value: the traded value, in currency; NaN where the volume is not known.
        bars_a_year: the number of bars a year, by which borrowing is charged.
    """

    opens_at: Moments
    closes_at: Moments
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    value: Floats
    bars_a_year: float = 252.0

    def factor(self, kept: Bases) -> float:
        """The growth factor of a quantity since these closes were known: more than 1 after a split or dividend."""
        ratios = []
        for close, closed_at in kept:
            at = int(self.closes_at.searchsorted(np.datetime64(closed_at)))
            if at < len(self.closes_at) and self.closes_at[at] == np.datetime64(closed_at):
                ratios.append(close / float(self.close[at]))
        return growth(ratios)


@dataclass(frozen=True)
class Part:
    """A fill.

    Attributes:
        quantity: the quantity in the units of that time, positive.
        price: the price of one unit.
        fee: the fee in currency.
        at: the open, or the close of the bar that met an exit's price, UTC.
        bases: closes of bars by then, as they were known when the fill was stored; empty: not stored yet.
    """

    quantity: float
    price: float
    fee: float
    at: datetime
    bases: Bases = ()


@dataclass(frozen=True)
class Sent:
    """An order as the exchange got it.

    Attributes:
        client_id: the sender's id.
        symbol: the series.
        side: buy or sell.
        quantity: positive.
        at: the time at which the order came, UTC.
        exits: the bracket's stop, limit and take, as parts of the entry's price; empty: none.
        cancelled: whether it was taken back before it was filled.
        exit_cancelled: whether its bracket's exit was taken back.
        bases: closes of bars when it came; empty: not known.
        parts: fills that were reported before, which stay as they were.
        ended: the status that was reported before, if that was the last; None: still open.
        exit_parts: fills of its exit that were reported before, which stay as they were.
        exit_ended: the status of its exit that was reported before, if that was the last; None: still open.
    """

    client_id: str
    symbol: str
    side: Side
    quantity: float
    at: datetime
    exits: tuple[float, ...] = ()
    cancelled: bool = False
    exit_cancelled: bool = False
    bases: Bases = ()
    parts: Sequence[Part] = ()
    ended: Status | None = None
    exit_parts: Sequence[Part] = ()
    exit_ended: Status | None = None


@dataclass(frozen=True)
class State:
    """The state of an order.

    Attributes:
        sent: the order.
        client_id: the id of the order, or that of its exit.
        side: buy or sell.
        quantity: the ordered quantity.
        status: the status of the order.
        parts: the fills of the order.
        at: the time of this state, UTC.
        reason: the reason why the order ended without being filled.
    """

    sent: Sent
    client_id: str
    side: Side
    quantity: float
    status: Status
    parts: Sequence[Part]
    at: datetime
    reason: str = ""

    @property
    def filled(self) -> float:
        """The quantity that is filled by now."""
        return _sum(self.parts)


@dataclass(frozen=True, eq=False)
class Exchange:
    """The account at a moment.

    Attributes:
        series: the bars of each symbol, those that have closed by now.
        sent: all orders, the oldest first.
        terms: the terms of the exchange.
        now: the time, UTC.
    """

    series: Mapping[str, Series]
    sent: Sequence[Sent]
    terms: Terms
    now: datetime
    _none: Series = field(default_factory=lambda: _empty(), repr=False)

    @cached_property
    def orders(self) -> Mapping[str, State]:
        """The state of each order and exit, by client id."""
        found: dict[str, State] = {}
        taken: dict[tuple[str, datetime], float] = {}
        for one in self.sent:
            made = self._entry(one, taken)
            found[one.client_id] = made
            for part in made.parts:
                opened = one.symbol, part.at
                taken[opened] = taken.get(opened, 0.0) + part.quantity * self._bars(one.symbol).factor(part.bases)
            if one.exits and made.parts:
                leaving = self._exit(one, made)
                found[leaving.client_id] = leaving
        return found

    def _entry(self, one: Sent, taken: Mapping[tuple[str, datetime], float]) -> State:
        """The state of an order, beside what earlier ones have taken of the volume of a symbol's bar."""

        def state(status: Status, parts: Sequence[Part], at: datetime, reason: str = "") -> State:
            return State(one, one.client_id, one.side, one.quantity, status, parts, at, reason)

        if one.ended is not None or one.parts:
            ended = one.ended or (Status.FILLED if _sum(one.parts) >= one.quantity - self.terms.lot else Status.EXPIRED)
            return state(ended, one.parts, one.parts[-1].at if one.parts else one.at)
        if one.cancelled:
            return state(Status.CANCELLED, (), one.at, "taken back")
        bars = self._bars(one.symbol)
        at = int(bars.opens_at.searchsorted(np.datetime64(one.at) - LATE))
        last = np.datetime64(one.at + self.terms.expires_after)
        if at == len(bars.opens_at) or bars.opens_at[at] > last:
            if self.now - one.at > self.terms.expires_after:
                return state(Status.EXPIRED, (), one.at + self.terms.expires_after, "no bar followed")
            return state(Status.ACCEPTED, (), one.at)
        wanted = one.quantity * bars.factor(one.bases)
        price, opened = float(bars.open[at]), _moment(bars.opens_at[at])
        most = float(self.terms.costs.most(bars.value[at], bars.open[at], self.terms.lot))
        quantity = min(wanted, round(most - taken.get((one.symbol, opened), 0.0), _DIGITS))
        if quantity <= 0:
            return state(Status.EXPIRED, (), opened, "the bar's volume was too small")
        part = self._part(quantity, price * (1 + _sign(one.side) * self.terms.costs.slippage_bps / 1e4), opened)
        if quantity < wanted:
            share = f"{self.terms.costs.capacity:.0%} of the bar's volume was filled, the rest lapsed"
            return state(Status.EXPIRED, [part], opened, share)
        return state(Status.FILLED, [part], opened)

    def _exit(self, one: Sent, entry: State) -> State:
        """The exit of a bracket: the first bar whose low or high meets one of its prices."""
        side = Side.SELL if one.side is Side.BUY else Side.BUY
        bars, first = self._bars(one.symbol), entry.parts[0]
        scale = bars.factor(first.bases)
        quantity, price = entry.filled * scale, first.price / scale

        def state(status: Status, parts: Sequence[Part], at: datetime, reason: str = "") -> State:
            return State(one, exit_id(one.client_id), side, quantity, status, parts, at, reason)

        if one.exit_ended is not None or one.exit_parts:
            ended = one.exit_ended or Status.FILLED
            return state(ended, one.exit_parts, one.exit_parts[-1].at if one.exit_parts else entry.at)
        if one.exit_cancelled:
            return state(Status.CANCELLED, (), entry.at, "taken back")
        start = int(bars.opens_at.searchsorted(np.datetime64(first.at)))
        met = _met(bars, start, price, one.exits, _sign(one.side), self.terms.costs.slippage_bps / 1e4)
        if met is None:
            return state(Status.ACCEPTED, (), entry.at)
        at, paid, reason = met
        closed = _moment(bars.closes_at[at])
        return state(Status.FILLED, [self._part(quantity, paid, closed)], closed, reason)

    def _part(self, quantity: float, price: float, at: datetime) -> Part:
        return Part(quantity, price, self.terms.costs.fees_bps / 1e4 * quantity * price, at)

    def _bars(self, symbol: str) -> Series:
        return self.series.get(symbol, self._none)

    @cached_property
    def positions(self) -> Mapping[str, float]:
        """The positions now, by symbol; negative for short positions."""
        held: dict[str, float] = {}
        for state in self.orders.values():
            bars = self._bars(state.sent.symbol)
            for part in state.parts:
                amount = _sign(state.side) * part.quantity * bars.factor(part.bases)
                held[state.sent.symbol] = held.get(state.sent.symbol, 0.0) + amount
        return {symbol: amount for symbol, amount in sorted(held.items()) if abs(amount) >= DUST}

    def price(self, symbol: str) -> float:
        """The newest close; NaN where there is none."""
        bars = self._bars(symbol)
        return float(bars.close[-1]) if len(bars.close) else math.nan

    @cached_property
    def cash(self) -> float:
        """The cash that is not invested, after fees and borrowing."""
        paid = sum(
            _sign(state.side) * part.quantity * part.price + part.fee
            for state in self.orders.values()
            for part in state.parts
        )
        return self.terms.capital - paid - sum(map(self._borrowed, {one.symbol for one in self.sent}))

    def _borrowed(self, symbol: str) -> float:
        """The cost of a symbol's short positions up to now."""
        bars = self._bars(symbol)
        steps = np.zeros(len(bars.close) + 1)
        for state in self.orders.values():
            if state.sent.symbol == symbol:
                is_entry = state.client_id == state.sent.client_id  # filled as its bar opens, an exit by its close
                for part in state.parts:
                    amount = _sign(state.side) * part.quantity * bars.factor(part.bases)
                    at = bars.closes_at.searchsorted(np.datetime64(part.at), side="right" if is_entry else "left")
                    steps[int(at)] += amount
        short = np.minimum(np.cumsum(steps)[:-1], 0.0)
        return float(-(short * bars.close).sum() * self.terms.costs.borrow_bps / 1e4 / bars.bars_a_year)

    @cached_property
    def equity(self) -> float:
        """Cash and positions, at the newest closes."""
        return self.cash + sum(amount * self.price(symbol) for symbol, amount in self.positions.items())

    @property
    def buying_power(self) -> float:
        """The equity that is in no position, once all open orders are filled."""
        held = dict(self.positions)
        for state in self.orders.values():
            if state.status is Status.ACCEPTED and state.client_id == state.sent.client_id:
                symbol = state.sent.symbol
                held[symbol] = held.get(symbol, 0.0) + _sign(state.side) * state.quantity
        invested = sum(abs(amount) * self.price(symbol) for symbol, amount in held.items())
        return max(self.equity - invested, 0.0)


def _met(
    bars: Series, start: int, entry: float, exits: Sequence[float], sign: float, slippage: float
) -> tuple[int, float, str] | None:
    """The bar that meets an exit, the price, and which it was; prices of a short position are turned round."""
    stop, limit, take = (entry * (sign + part) for part in (-exits[0], -exits[1], exits[2]))
    opens, lows, highs = bars.open * sign, *((bars.low, bars.high) if sign > 0 else (-bars.high, -bars.low))
    resting = False
    for at in range(start, len(bars.close)):
        opened = stop + 1 if at == start else float(opens[at])  # the entry is the first bar's open
        if resting or opened <= stop:
            resting = True
            if max(opened, float(highs[at])) >= limit:
                return at, sign * max(opened, limit), "its stop was passed, and its limit filled"
        elif lows[at] <= stop:
            return at, sign * max(stop - slippage * abs(stop), limit), "its stop was met"
        elif highs[at] >= take:
            return at, sign * max(opened if at > start else take, take), "its take was met"
    return None


def _sum(parts: Sequence[Part]) -> float:
    return sum(part.quantity for part in parts)


def _sign(side: Side) -> float:
    return 1.0 if side is Side.BUY else -1.0


def _moment(at: np.datetime64) -> datetime:
    found: datetime = at.astype("datetime64[us]").item()
    return found


def _empty() -> Series:
    none, prices = np.empty(0, "datetime64[us]"), np.empty(0)
    return Series(none, none, prices, prices, prices, prices, prices)
