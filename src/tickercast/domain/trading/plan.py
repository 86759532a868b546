"""Orders from target weights: the difference to what is held, within a venue's rules. All by value, in decimals.

Exits, which make a position smaller, come before entries, which make one larger; an order that would turn a position
round is one of each. Only so much is bought as the buying power allows.

>>> rules = {"MSFT": Rules("MSFT")}
>>> want = Want("MSFT", 0.5, "half of it", mark=33.0, close=33.0)
>>> made = plan([want], {"MSFT": Decimal(100)}, Decimal(10_000), rules)
>>> [(each.leg, each.side.value, str(each.quantity)) for each in made.orders]
[('entry', 'buy', '51')]
>>> made = plan([replace(want, weight=-0.1)], {"MSFT": Decimal(100)}, Decimal(10_000), rules)
>>> [(each.leg, each.side.value, str(each.quantity)) for each in made.orders]
[('exit', 'sell', '100'), ('entry', 'sell', '30')]
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

import numpy as np

from tickercast.domain.text import rounded
from tickercast.domain.trading.orders import ZERO, Bracket, Rules, Side
from tickercast.domain.trading.strategy_backtest import Costs, changes

EXIT, ENTRY = "exit", "entry"
"""The legs of a change: one that makes a position smaller, and one that makes it larger."""

BUYING_POWER = Decimal(repr(Costs().buying_power))
"""The part of the buying power that is used, as in a backtest."""

BRACKET = Bracket(Decimal("0.02"), Decimal("0.03"), Decimal("0.40"))
"""The exits of `--bracket`."""

_MOST_PARTS = 20  # of an order that is larger than the venue takes at once

BAND = Costs().band
"""A smaller change of weight is not traded, but to close a position."""


@dataclass(frozen=True)
class Want:
    """The wanted weight of a symbol.

    Attributes:
        symbol: the series.
        weight: the share of equity; NaN: left as it is.
        reason: the reason.
        mark: the newest close.
        close: the close of the newest bar; NaN where the symbol has none.
    """

    symbol: str
    weight: float
    reason: str
    mark: float
    close: float


@dataclass(frozen=True)
class Planned:
    """An order that is to be sent.

    Attributes:
        symbol: the series.
        leg: `exit` or `entry`.
        side: buy or sell.
        quantity: within the venue's rules.
        price: the newest close.
        weight: the share of equity that is wanted; NaN where nobody said.
        reason: the reason.
        rules: the rules of the venue.
        bracket: exits that go with it.
        part: of an order that is larger than the venue takes at once, from 1 on.
    """

    symbol: str
    leg: str
    side: Side
    quantity: Decimal
    price: Decimal
    weight: float
    reason: str
    rules: Rules
    bracket: Bracket | None = None
    part: int = 1

    @property
    def value(self) -> Decimal:
        """Quantity times price."""
        return self.quantity * self.price

    def scaled(self, factor: Decimal) -> "Planned":
        """The same for a part of the quantity, 0 where that is too small for the venue."""
        return replace(self, quantity=_valid(self.quantity * factor, self.price, self.rules)[0])


@dataclass(frozen=True)
class Plan:
    """The orders that lead to the target weights.

    Attributes:
        orders: exits first, then entries, each by symbol.
        left: why a wanted change is not ordered, by symbol.
    """

    orders: Sequence[Planned]
    left: Mapping[str, str]


def plan(
    wants: Sequence[Want],
    held: Mapping[str, Decimal],
    equity: Decimal,
    rules: Mapping[str, Rules],
    *,
    busy: Mapping[str, str] | None = None,
    bracketed: Mapping[str, str] | None = None,
    bracket: Bracket | None = None,
) -> Plan:
    """Plan orders.

    Args:
        wants: the wanted weight of each symbol.
        held: quantities by symbol.
        equity: the equity of the account.
        rules: the rules of the venue, by symbol.
        busy: the reason why nothing is ordered of a symbol, by symbol.
        bracketed: symbols whose position has the exits of a bracket at the venue, by the entry's client id: it stays as
            it is until the strategy wants it closed or turned round.
        bracket: exits for entries.
    """
    orders: list[Planned] = []
    left: dict[str, str] = {}
    for want, change in zip(wants, _changes(wants, held, equity), strict=True):
        if not change:
            continue
        symbol, now = want.symbol, held.get(want.symbol, ZERO)
        if symbol in (busy or {}):
            left[symbol] = (busy or {})[symbol]
        elif symbol in (bracketed or {}) and want.weight * float(now) > 0:
            left[symbol] = "its position has a bracket, and stays as it is until that is met or it is to be closed"
        elif symbol not in rules or not rules[symbol].tradable:
            left[symbol] = "it does not trade at the venue now"
        else:
            for leg, amount in _legs(now, change, closes=want.weight == 0):
                is_short = (leg == ENTRY) == (amount < 0)
                rule = rules[symbol].when_short if is_short else rules[symbol]
                if leg == EXIT and not rule.takes(abs(now), Decimal(repr(want.mark))):
                    continue  # dust: the venue does not take all of it, either
                parts, why = _planned(want, leg, amount, rule, bracket if leg == ENTRY else None)
                orders += parts
                left |= {symbol: why} if why else {}
    ranked = sorted(orders, key=lambda each: (each.leg != EXIT, each.symbol, each.part))
    return Plan(ranked, left)


def fitted(entries: Sequence[Planned], buying_power: Decimal, placed: Decimal = ZERO) -> Plan:
    """Cut entries to the part of the buying power that is used; what is too small then is left.

    Args:
        entries: the entries that are still to be sent.
        buying_power: the buying power that the venue reports now.
        placed: the value of entries of the same decision that were sent before, as by a run that was killed: each is
            cut as if all were sent together.
    """
    total = sum((each.value for each in entries), ZERO)
    room = max(BUYING_POWER * (buying_power + placed) - placed, ZERO)
    if total <= room:
        return Plan(entries, {})
    cut = [each.scaled(room / total) for each in entries]
    sent = [each for each in cut if each.quantity > 0]
    why = f"a buying power of {buying_power:,.2f} does not suffice for it"
    return Plan(sent, dict.fromkeys({each.symbol for each in cut} - {each.symbol for each in sent}, why))


def _changes(wants: Sequence[Want], held: Mapping[str, Decimal], equity: Decimal) -> list[float]:
    """The change of each symbol, as a backtest would order it."""
    columns = [[each.weight for each in wants], [float(held.get(each.symbol, ZERO)) for each in wants]]
    columns += [[each.mark for each in wants], [each.close for each in wants]]
    weights, shares, marks, closes = (np.array(column, np.float64) for column in columns)
    return [float(each) for each in changes(weights, shares, float(equity), marks, closes, Costs(band=BAND))]


def _legs(held: Decimal, change: float, *, closes: bool) -> list[tuple[str, Decimal]]:
    """The signed amounts of exit and entry; a position that is to be closed is closed to the last digit."""
    amount = -held if closes else Decimal(repr(change))
    if held * amount >= 0:
        return [(ENTRY, amount)]
    if abs(amount) <= abs(held):
        return [(EXIT, amount)]
    return [(EXIT, -held), (ENTRY, amount + held)]


def _planned(want: Want, leg: str, amount: Decimal, rules: Rules, bracket: Bracket | None) -> tuple[list[Planned], str]:
    """The orders of a leg, more than one where the venue takes only so much at once; why some of it is not ordered."""
    side = Side.BUY if amount > 0 else Side.SELL
    if leg == ENTRY and side is Side.SELL and not rules.shortable:
        return [], "the venue allows no short position in it"
    price = Decimal(repr(want.mark))
    rest, why = _valid(abs(amount), price, rules)
    most = rules.quantity(rules.most_quantity) or rest
    made: list[Planned] = []
    while rest and len(made) < _MOST_PARTS:
        part, why = _valid(min(rest, most), price, rules)
        if not part:
            break
        order = Planned(want.symbol, leg, side, part, price, want.weight, want.reason, rules, bracket, len(made) + 1)
        made.append(order)
        rest -= part
    if made and rest and not why:
        why = (
            f"the venue takes {rounded(float(most))} at once; the rest, {rounded(float(rest))}, waits for the next bar"
        )
    return made, why


def _valid(quantity: Decimal, price: Decimal, rules: Rules) -> tuple[Decimal, str]:
    """A quantity within a venue's rules; 0, and why, where there is none."""
    if rules.takes(quantity, price):
        return rules.quantity(quantity), ""
    return ZERO, f"{rounded(float(quantity))} at {rounded(float(price))} is less than the venue takes"
