"""Limits of trading on paper: when a strategy halts, and what of a plan is allowed. All by value.

>>> limits = parse_limits("stop=0.1,orders=5")
>>> limits.stop, limits.orders, limits.position
(0.1, 5, 1.0)
>>> stopped([100.0, 120.0, 89.0], limits)
'It has lost 11.0% since its start or its last resume, and its stop is at 10%.'
>>> stopped([100.0, 91.0], limits)
''
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

import numpy as np

from tickercast.domain.text import rounded, shown
from tickercast.domain.trading.plan import ENTRY, Planned
from tickercast.domain.trading.signals import Floats
from tickercast.errors import UsageError


class Cause(StrEnum):
    """The cause of a halt, or of a cut order."""

    PERSON = "person"
    STOP = "stop"
    MISMATCH = "mismatch"
    POSITION = "position"
    TURNOVER = "turnover"
    ORDERS = "orders"


class Action(StrEnum):
    """The kinds of events in the trading of a strategy."""

    HALT = "halt"
    RESUME = "resume"
    LIMIT = "limit"


@dataclass(frozen=True)
class TradingEvent:
    """A halt, a resume, or a limit that was met.

    Attributes:
        account: the account at a broker; empty: every one.
        strategy: the strategy by its name, and all its variants if that has no parameters; empty: every one.
        action: the kind of event.
        cause: the cause.
        reason: the reason, in a sentence.
        cutoff_at: the time from which the close behind the decision was known; None for what a person did.
        happened_at: the time of the event.
    """

    account: str
    strategy: str
    action: Action
    cause: Cause
    reason: str
    cutoff_at: datetime | None
    happened_at: datetime

    def is_about(self, account: str, strategy: str) -> bool:
        """Whether it is about a strategy in an account."""
        return self.account in ("", account) and covers(self.strategy, strategy)


def covers(named: str, strategy: str) -> bool:
    """Whether a strategy is the one that was named, any if none was, or a variant of it.

    >>> covers("volatility-target", "volatility-target:target=0.1"), covers("volatility-target:target=0.1", "x")
    (True, False)
    """
    return named in ("", strategy, strategy.partition(":")[0])


@dataclass(frozen=True)
class Limits:
    """The limits of a strategy on paper.

    Attributes:
        stop: the loss since its start or its last resume, as a share of equity, at which it is closed and halted.
        position: the largest position, long or short, as a share of equity.
        turnover: the value of all entries of 24 hours, in shares of equity.
        orders: the orders of 24 hours.
    """

    stop: float = 0.2
    position: float = 1.0
    turnover: float = 2.0
    orders: int = 100


def parse_limits(text: str) -> Limits:
    """Read limits: `stop=0.2,position=1,turnover=2,orders=100`, any of them.

    Raises:
        UsageError: one is none, named twice, or out of range.
    """
    known = {each.name for each in fields(Limits)}
    given: dict[str, float] = {}
    for word in filter(None, (word.strip() for word in text.split(","))):
        name, _, value = word.partition("=")
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        odd = (name == "stop" and number >= 1) or (name == "orders" and not number.is_integer())
        if name not in known or not 0 < number < math.inf or odd:
            raise UsageError(
                f"TICKERCAST_TRADE_LIMITS names {shown(word, 40)!r}: stop=SHARE below 1, position=SHARE, "
                "turnover=SHARE or orders=WHOLE NUMBER was needed, above 0. Correct it."
            )
        if name in given:
            raise UsageError(
                f"TICKERCAST_TRADE_LIMITS names {name} twice: each limit was needed once at most. Leave one out."
            )
        given[name] = number
    usual = Limits()
    return Limits(
        given.get("stop", usual.stop),
        given.get("position", usual.position),
        given.get("turnover", usual.turnover),
        int(given.get("orders", usual.orders)),
    )


def halted(events: Iterable[TradingEvent], account: str, strategy: str) -> TradingEvent | None:
    """The halt that holds for a strategy in an account; None if it trades. The last halt or resume counts."""
    last = None
    for event in sorted(events, key=lambda each: each.happened_at):
        if event.action is not Action.LIMIT and event.is_about(account, strategy):
            last = event
    return last if last is not None and last.action is Action.HALT else None


def resumed_at(events: Iterable[TradingEvent], account: str, strategy: str) -> datetime | None:
    """The time at which a strategy was last resumed; None if never."""
    moments = [
        event.happened_at for event in events if event.action is Action.RESUME and event.is_about(account, strategy)
    ]
    return max(moments, default=None)


def stopped(equity: Sequence[float], limits: Limits) -> str:
    """The reason why a strategy stops, in a sentence; empty while it does not.

    Args:
        equity: the equity since the start or the last resume, the oldest first.
        limits: the limits, with the stop.
    """
    if len(equity) < 2 or equity[0] <= 0:
        return ""
    if equity[-1] > equity[0] * (1 - limits.stop):
        return ""
    loss = 1 - equity[-1] / equity[0]
    return (
        f"It has lost {loss:.1%} since its start or its last resume, and its stop is at {rounded(100 * limits.stop)}%."
    )


def clipped(weights: Floats, limits: Limits) -> Floats:
    """Target weights `(n,)` within the largest position; NaN stays."""
    found: Floats = np.clip(weights, -limits.position, limits.position)
    return found


@dataclass(frozen=True)
class Allowed:
    """The part of a plan that may be ordered.

    Attributes:
        orders: the orders in the order in which they are sent.
        met: the limits that were met, and a sentence each.
    """

    orders: Sequence[Planned]
    met: Sequence[tuple[Cause, str]]


def allowed(plan: Sequence[Planned], equity: Decimal, spent: Decimal, sent: int, limits: Limits) -> Allowed:
    """Cut a plan to the limits of a day: exits come first and may always be as large as they are.

    Args:
        plan: the orders, exits first.
        equity: the equity of the account.
        spent: the value of the entries of the last 24 hours.
        sent: the orders of the last 24 hours.
        limits: the limits.
    """
    met: list[tuple[Cause, str]] = []
    room = max(limits.orders - sent, 0)
    if len(plan) > room:
        met.append(
            (
                Cause.ORDERS,
                f"{sent + len(plan)} orders of 24 hours were wanted, and at most {limits.orders} may be sent.",
            )
        )
    plan = plan[:room]
    wanted = sum((each.value for each in plan if each.leg == ENTRY), Decimal(0))
    left = max(Decimal(repr(limits.turnover)) * equity - spent, Decimal(0))
    if wanted <= left:
        return Allowed(plan, met)
    share = (spent + wanted) / equity if equity > 0 else Decimal(0)
    met.append(
        (
            Cause.TURNOVER,
            f"Entries of {share:.0%} of equity in 24 hours were wanted, of at most {rounded(100 * limits.turnover)}%.",
        )
    )
    scale = left / wanted
    cut = [each.scaled(scale) if each.leg == ENTRY else each for each in plan]
    return Allowed([each for each in cut if each.quantity > 0], met)
