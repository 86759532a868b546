"""A venue with faults, and runs of the job `trade` that are killed between any two of their steps.

The venue lives outside of what is killed, as a real one does. Answers get lost, orders never arrive, some are filled in
two parts, some are refused; whatever happens, a second world that is never disturbed decides the same.
"""

import hashlib
import os
import shutil
import signal
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from tests.support.place import empty_warehouse

from tickercast.app import App, variants_of
from tickercast.backends.object_store.local import LocalObjectStore
from tickercast.backends.warehouse.duckdb import DuckDBWarehouse
from tickercast.config import Settings, resource
from tickercast.domain.bars import Bars
from tickercast.domain.calendar import sessions_between
from tickercast.domain.frequency import DAILY
from tickercast.domain.trading.limits import Limits
from tickercast.domain.trading.orders import (
    ZERO,
    Account,
    Clock,
    Fill,
    Order,
    OrderReport,
    Position,
    Rules,
    Side,
    Status,
)
from tickercast.domain.trading.signals import Known, Panel, panel
from tickercast.domain.trading.strategy import Decision, Targets, Variant, variant
from tickercast.errors import BrokerUnavailable, OrderRefused, StatusUnknown, Transient
from tickercast.jobs.trading.halt import adopt_positions, halt_trading, resume_trading
from tickercast.jobs.trading.trade import Traded, trade
from tickercast.ports import Warehouse
from tickercast.reading.trading import read_held, read_venues

SYMBOLS = ("AAPL", "IBM", "MSFT")
ACCOUNT = "fake://desk"
DAYS = sessions_between("MSFT", date(2023, 7, 3), date(2023, 7, 31))


class Killed(BaseException):
    """A process that is gone: nothing in it may catch this."""


def chance(*words: object) -> float:
    """A number from 0 to 1 that is the same for the same words."""
    digest = hashlib.sha256(repr(words).encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


@dataclass
class Venue:
    """A venue that fills at each day's open; faults are drawn for each order that is sent, if there is a generator."""

    faults: Random | None = None
    day: date = DAYS[0]
    skew: timedelta = timedelta(0)
    orders: dict[str, OrderReport] = field(default_factory=dict)
    url: str = ACCOUNT
    simulated: bool = False
    injected: int = 0
    refused: set[str] = field(default_factory=set)

    def price(self, symbol: str) -> Decimal:
        return Decimal(round(100 + 20 * chance(symbol, self.day), 2)).quantize(Decimal("0.01"))

    def account(self) -> Account:
        cash = Decimal(100_000) - sum(
            ((fill.quantity if report.side is Side.BUY else -fill.quantity) * fill.price + fill.fee)
            for report in self.orders.values()
            for fill in report.fills
        )
        equity = cash + sum((each.quantity * each.price for each in self.positions()), ZERO)
        return Account("desk", "USD", cash, equity, 2 * equity)

    def positions(self) -> Sequence[Position]:
        held: dict[str, Decimal] = {}
        for report in self.orders.values():
            amount = sum((fill.quantity for fill in report.fills), ZERO)
            held[report.symbol] = held.get(report.symbol, ZERO) + (amount if report.side is Side.BUY else -amount)
        return [Position(name, amount, None, self.price(name)) for name, amount in sorted(held.items()) if amount]

    def open_orders(self) -> Sequence[OrderReport]:
        return [report for report in self.orders.values() if report.status.open]

    def submit(self, order: Order) -> OrderReport:
        fault = self.faults.random() if self.faults is not None else 1.0
        self.injected += fault < 0.5
        if fault < 0.1:
            raise BrokerUnavailable("The venue refuses calls for a minute. Try again.")
        if fault < 0.25:
            raise StatusUnknown("The answer is lost, and the order never came.")
        if order.client_id in self.orders:
            raise StatusUnknown("A duplicate: the venue has this client id.")
        if chance("refused", order.symbol, self.day) < 0.1:
            self.refused.add(order.client_id)
            raise OrderRefused("The venue will not take it.")
        self.orders[order.client_id] = self._report(order, Status.ACCEPTED, ())
        if fault < 0.5:
            raise StatusUnknown("The answer is lost, and the order came; a 504 says as much.")
        return self.orders[order.client_id]

    def _report(self, order: Order, status: Status, fills: Sequence[Fill]) -> OrderReport:
        filled = sum((fill.quantity for fill in fills), ZERO)
        name, at = order.client_id, self.now
        return OrderReport(name, f"v-{name}", order.symbol, order.side, order.quantity, filled, status, "", fills, at)

    def order(self, client_id: str, symbol: str) -> OrderReport | None:
        return self.orders.get(client_id)

    def cancel(self, client_id: str, symbol: str) -> None:
        report = self.orders.get(client_id)
        if report is not None and report.status.open:
            self.orders[client_id] = replace(report, status=Status.CANCELLED)

    @property
    def now(self) -> datetime:
        return datetime.combine(self.day, time(22), UTC)

    def clock(self) -> Clock:
        return Clock(self.now + self.skew, False, self.now + timedelta(hours=15))

    def rules(self, symbols: Sequence[str]) -> Mapping[str, Rules]:
        return {symbol: Rules(symbol, lot=Decimal("0.01"), least_value=Decimal(5)) for symbol in symbols}

    def open_session(self, day: date) -> None:
        """Fill what is open at the day's prices, a part of it in two days."""
        self.day = day
        for name, report in self.orders.items():
            if not report.status.open:
                continue
            rest = report.quantity - report.filled
            partial = report.status is Status.ACCEPTED and chance("partial", report.symbol, day) < 0.2
            amount = (rest / 2).quantize(Decimal("0.01")) if partial else rest
            price = self.price(report.symbol)
            fill = Fill(f"{name}/{day}", amount, price, Decimal("0.001") * amount * price, self.now)
            filled = report.filled + amount
            status = Status.FILLED if filled == report.quantity else Status.PARTIALLY_FILLED
            self.orders[name] = replace(report, fills=[*report.fills, fill], filled=filled, status=status)

    def reset(self) -> None:
        """Forget everything, as test networks do."""
        self.orders.clear()


class Steps:
    """Calls of the warehouse and the venue, each of which may be the last; it ends before a call or after it.

    Args:
        wrapped: what is called.
        shared: `calls`, counted over all that share it by two a call, and `kill`: the call before which it ends, or one
            more, after which.
        die: what ends it.
    """

    def __init__(self, wrapped: Any, shared: dict[str, int], die: Callable[[], object]) -> None:
        self._wrapped = wrapped
        self._shared = shared
        self._die = die

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._wrapped, name)
        if not callable(found):
            return found

        def step(*args: Any, **kwargs: Any) -> Any:
            number = self._shared["calls"]
            self._shared["calls"] += 2
            if number == self._shared["kill"]:
                self._die()
            made = found(*args, **kwargs)
            if number + 1 == self._shared["kill"]:
                self._die()
            return made

        return step


def _raise() -> None:
    raise Killed


def killed_by_a_signal(step: int, service: Callable[[], App], work: Callable[[App], object]) -> bool:
    """Work in a process of its own, which gets SIGKILL at a step of its warehouse; whether it was at work then."""
    child = os.fork()
    if not child:
        try:
            made, shared = service(), {"calls": 0, "kill": step}
            made.__dict__["warehouse"] = Steps(made.warehouse, shared, lambda: os.kill(os.getpid(), signal.SIGKILL))
            work(made)
            os._exit(0)
        except BaseException:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert status == 0 or os.WIFSIGNALED(status)
    return os.WIFSIGNALED(status)


def _weights(known: Known) -> Decision:
    draws = np.array([chance("weight", symbol, known.cutoff) for symbol in known.symbols])
    made = np.where(draws < 0.15, 0.0, np.where(draws < 0.3, np.nan, (draws - 0.5) * 0.6))
    return Decision(made, lambda n: "drawn")


VARIANT: Variant = variant("drawn", _weights)


@dataclass
class World:
    """A warehouse, a venue, and a strategy that trades there day by day."""

    folder: Path
    venue: Venue = field(default_factory=Venue)
    kills: int = 0

    def __post_init__(self) -> None:
        (self.folder / "w.duckdb").write_bytes(empty_warehouse())
        self.warehouse: Warehouse = DuckDBWarehouse(self.folder / "w.duckdb", resource("sql"))
        self.store = LocalObjectStore(self.folder / "bucket")

    def panel(self) -> Panel:
        days = sessions_between("MSFT", date(2023, 6, 1), self.venue.day)
        made = []
        for symbol in SYMBOLS:
            at = [replace(self.venue, day=day).price(symbol) for day in days]
            closes = np.array([float(each) for each in at])
            prices = dict.fromkeys(("open", "high", "low", "close", "adj_close"), closes)
            columns = {"session_date": np.array(days, "datetime64[D]"), **prices, "volume": np.full(len(days), 1e6)}
            made.append(Bars(symbol, columns))
        return panel(made)

    def decide(self, held: Mapping[str, float]) -> Targets:
        made = self.panel()
        known = made.known(len(made) - 1, np.array([held.get(symbol, 0.0) for symbol in SYMBOLS]))
        found = VARIANT(known)
        return Targets(made, [(VARIANT, [(float(each), found.reason(n)) for n, each in enumerate(found.weights)])])

    def trade(self, kill: int = -1, die: Callable[[], object] = _raise) -> Traded:
        """One run, which is killed before or after a call, or something else happens then."""
        shared = {"calls": 0, "kill": kill}
        with self.warehouse.session() if die is _raise else nullcontext():  # another run needs the file meanwhile
            return trade(
                VARIANT,
                self.decide,
                broker=Steps(self.venue, shared, die),
                warehouse=Steps(self.warehouse, shared, die),
                store=self.store,
                frequency=DAILY,
                limits=Limits(stop=0.9, turnover=100, orders=10_000),
                now=lambda: self.venue.now,
            )

    def insist(self, first: int = -1, stride: int = 1) -> Traded:
        """Run until a run ends, after killing it at every `stride`-th step from `first` on; -1: at none."""
        step = first
        for _ in range(10_000):
            try:
                return self.trade(step)
            except Killed:
                self.kills += 1
                step += stride
            except Transient:  # the venue's; the next run may pass this step
                continue
        raise AssertionError("a run did not end")

    def adopt(self) -> None:
        """Take the venue's positions, as a person does after a reset."""
        [venue] = read_venues(self.warehouse)
        adopt_positions(
            venue, self.venue, frequency=DAILY, warehouse=self.warehouse, store=self.store, now=lambda: self.venue.now
        )
        self.resume()

    def halt(self) -> dict[str, str]:
        """Halt trading, as a person does at any time."""
        return halt_trading(
            account="", strategy="", warehouse=self.warehouse, open_broker=lambda _: self.venue, now=self.venue.now
        )

    def resume(self) -> None:
        """Resume trading, as a person does afterwards."""
        at = self.venue.now + timedelta(seconds=1)
        resume_trading(account="", strategy="", warehouse=self.warehouse, now=at)

    def held(self) -> dict[str, float]:
        """The positions by our own fills."""
        rows = read_held(ACCOUNT, self.warehouse)
        return dict(zip(rows["symbol"], rows["quantity"].round(9), strict=True))


@dataclass(frozen=True)
class Count:
    """The differences from the world that was never disturbed.

    Attributes:
        kills: runs that were killed.
        faults: faults of the venue.
        doubled: orders or fills that are there twice, or should not be.
        lost: orders that are missing.
        differs: symbols whose position is not the venue's, or not that of the world that was never disturbed.
    """

    kills: int
    faults: int
    doubled: int
    lost: int
    differs: int


def compare(world: World, calm: World) -> Count:
    """Compare a world with the one that was never disturbed."""
    wanted = set(calm.venue.orders) | calm.venue.refused
    made = set(world.venue.orders) | world.venue.refused
    fills = world.warehouse.read("fills")
    ours: dict[str, float] = dict.fromkeys(world.venue.orders, 0.0)
    for name, quantity in zip(fills["client_id"], fills["quantity"], strict=True):
        ours[name] = ours.get(name, 0.0) + quantity
    theirs = {name: float(report.filled) for name, report in world.venue.orders.items()}
    over = sum(ours[name] > theirs.get(name, 0.0) + 1e-9 for name in ours)
    under = sum(ours.get(name, 0.0) < amount - 1e-9 for name, amount in theirs.items())
    intents = world.warehouse.read("orders")["client_id"]
    held, wanted_held = (
        {each.symbol: round(float(each.quantity), 9) for each in one.venue.positions()} for one in (world, calm)
    )
    own = world.held()
    differs = sum(not held.get(name, 0.0) == own.get(name, 0.0) == wanted_held.get(name, 0.0) for name in SYMBOLS)
    doubled = len(made - wanted) + over + int(intents.duplicated().sum())
    return Count(world.kills, world.venue.injected, doubled, len(wanted - made) + under, differs)


def disturbed(folder: Path, days: int, seed: int, *, stride: int = 1) -> Count:
    """Trade for some days in a world whose venue has faults and whose runs are killed, and compare it with a calm one.

    Args:
        folder: an empty one.
        days: how many sessions.
        seed: of the venue's faults.
        stride: a run is killed at each `stride`-th of its steps, one after the other, until it ends.
    """
    for name in ("disturbed", "calm"):
        (folder / name).mkdir()
    world, calm = World(folder / "disturbed", Venue(Random(seed))), World(folder / "calm")
    for number, day in enumerate(DAYS[:days]):
        for one, first in ((world, number % stride), (calm, -1)):
            one.venue.open_session(day)
            one.insist(first, stride)
    for one in (world, calm):
        one.venue.open_session(DAYS[days])
        one.insist()
    return compare(world, calm)


def signalled(folder: Path, stride: int) -> Count:
    """Trade after one session on the simulated exchange, in processes that get SIGKILL at each `stride`-th step."""
    day = date(2012, 8, 1)
    calm, again = (Settings(home=str(folder / name), source="sample") for name in ("calm", "signalled"))
    service = App(calm)
    service.forecast(["MSFT", "AAPL"], day)
    service.tables.close()  # type: ignore[attr-defined]
    shutil.copytree(folder / "calm", folder / "signalled")
    [made] = variants_of(["volatility-target"])

    def work(one: App) -> None:
        one.trade(made, symbols=["MSFT", "AAPL"], as_of=day)

    work(service)
    kills, step = 0, 4
    while killed_by_a_signal(step, lambda: App(again), work):
        kills, step = kills + 1, step + stride
    doubled = lost = 0
    for table in ("orders", "paper_orders"):
        wanted, found = (Counter(App(each).tables.read(table)["client_id"]) for each in (calm, again))
        doubled, lost = doubled + (found - wanted).total(), lost + (wanted - found).total()
    events = App(again).tables.read("order_events")
    return Count(kills, 0, doubled + int(events.duplicated(["client_id", "status"]).sum()), lost, 0)
