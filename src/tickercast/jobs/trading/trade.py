"""Trade a strategy on paper, exactly once.

Reconcile, decide, order. The intent of an order is stored before it is sent, under an id that is a hash of account,
strategy, symbol, cutoff and leg; a venue takes such an id once. Whatever is killed, runs twice or loses an answer, the
next run asks the venue by that id before anything else, and sends again only what the venue has never got.
"""

import hashlib
import math
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd

from tickercast.domain.closes import with_closes
from tickercast.domain.frequency import Frequency, stamp
from tickercast.domain.text import rounded
from tickercast.domain.trading.limits import (
    Action,
    Cause,
    Limits,
    TradingEvent,
    allowed,
    clipped,
    halted,
    resumed_at,
    stopped,
)
from tickercast.domain.trading.orders import (
    ZERO,
    Account,
    Bracket,
    Order,
    OrderReport,
    Position,
    Rules,
    Status,
    client_id,
    exit_id,
)
from tickercast.domain.trading.paper import REACH, bases
from tickercast.domain.trading.plan import ENTRY, EXIT, Plan, Planned, Want, fitted, plan
from tickercast.domain.trading.signals import Panel
from tickercast.domain.trading.strategy import Targets, Variant
from tickercast.errors import CalendarError, OrderRefused, StatusUnknown, UsageError
from tickercast.jobs.daily.lease import Hold, lease
from tickercast.plain import first_of
from tickercast.ports import Between, Broker, ObjectStore, Warehouse
from tickercast.reading.trading import (
    LAPSED,
    Book,
    Intent,
    read_book,
    read_equity,
    read_held,
    read_trading_events,
)

SKEW = timedelta(minutes=5)
"""The largest difference between the clock of a venue and ours."""

_ATTEMPTS = 3  # at an order whose answer is lost, and at positions that differ
_LOOKS, _PAUSE_S = 6, 1.0  # at exits that are being taken back
_DAY = timedelta(days=1)
_LEAST = 1e-9
_DIGITS = 12  # of a quantity that was summed up from stored floats

_FORGOTTEN = "the venue does not know it any more"
_MET = "an exit of its bracket was met meanwhile, and the next run counts with it"
_NOT_GONE = (
    "the exits of its bracket are being taken back, which a venue may do at its next open: until then it may have no "
    "stop, and its position stays; the next run of this bar sends the order, later ones decide anew"
)


@dataclass(frozen=True)
class Sent:
    """The result of an order in this run.

    Attributes:
        planned: the order.
        client_id: the client id of the order.
        status: the status at the venue, or `planned` in a dry run.
        reason: the reason why it was refused.
    """

    planned: Planned
    client_id: str
    status: str
    reason: str = ""


@dataclass(frozen=True)
class Traded:
    """The result of a run.

    Attributes:
        variant: the strategy.
        account: the account at the broker.
        simulated: whether the exchange is simulated.
        on_simulated_bars: whether any of the bars are.
        cutoff: the newest bar; None where nothing was decided.
        state: the account after the run.
        held: quantities by symbol, after the run.
        sent: the orders of this run.
        left: why a wanted change was not ordered, by symbol.
        met: the limits that were met.
        halt: the halt that holds; None if it trades.
        dry: whether nothing was stored or sent.
    """

    variant: Variant
    account: str
    simulated: bool
    cutoff: date | None
    state: Account
    held: Mapping[str, Decimal]
    sent: Sequence[Sent] = ()
    left: Mapping[str, str] = field(default_factory=dict)
    met: Sequence[str] = ()
    halt: TradingEvent | None = None
    dry: bool = False
    on_simulated_bars: bool = False


Decide = Callable[[Mapping[str, float]], Targets]
"""Gives the wanted weights of the strategy, from the weights that are held."""


def trade(
    variant: Variant,
    decide: Decide,
    *,
    broker: Broker,
    warehouse: Warehouse,
    store: ObjectStore,
    frequency: Frequency,
    limits: Limits,
    now: Callable[[], datetime],
    bracket: Bracket | None = None,
    dry: bool = False,
    symbols: Sequence[str] = (),
    sleep: Callable[[float], None] = time.sleep,
) -> Traded:
    """Reconcile an account with its venue, and order the difference to what a strategy wants.

    Args:
        variant: the strategy.
        decide: gives the wanted weights, from the weights that are held.
        broker: the venue.
        warehouse: where intents, events and fills are kept.
        store: where the lock of the account is.
        frequency: the frequency of the bars.
        limits: the limits of the strategy.
        now: the clock.
        bracket: the exits of entries; None: none.
        dry: whether to store and send nothing.
        symbols: the symbols that the strategy may hold, anything else is sold; none: whatever has signals.
        sleep: waits for some seconds.

    Raises:
        UsageError: the account is another strategy's, or has decided on a later bar.
        LeaseHeld: another run trades in it.
        Transient: an engine or the venue does not answer, or the lock is lost; the next run goes on where this one
            stopped.
    """
    state = broker.account()
    account = account_of(broker, state)
    with nullcontext() if dry else alone(account, store, now) as hold:
        made = _Run(
            broker, account, warehouse, frequency, now, dry, variant, decide, limits, bracket, symbols, hold, sleep
        )
        with warehouse.session() if broker.simulated else nullcontext():  # a venue's answers take their time
            return made.finish(state)


def alone(account: str, store: ObjectStore, now: Callable[[], datetime]) -> AbstractContextManager[Hold]:
    """Keep other runs out of an account.

    Raises:
        LeaseHeld: one is at work there.
    """
    return lease(store, f"trading-{client_id(account)[:12]}", now=now, said=f"trading in {account}")


def account_of(broker: Broker, state: Account) -> str:
    """The name of an account in tables: the scheme of its broker, and its id there."""
    return f"{broker.url.partition('://')[0]}://{state.account_id}"


def dust_at(broker: Broker, symbols: Collection[str]) -> Callable[[str, Decimal], bool]:
    """Say of quantities of some symbols whether a venue takes no order that sells so little; it is asked once.

    Raises:
        Unauthenticated: the venue refuses the keys.
        BrokerUnavailable: try again.
    """
    prices = {each.symbol: each.price for each in broker.positions()} if symbols else {}
    rules = broker.rules(sorted(symbols)) if symbols else {}

    def is_dust(symbol: str, quantity: Decimal) -> bool:
        if symbol not in rules:  # nobody knows
            return False
        rule = rules[symbol] if quantity > 0 else rules[symbol].when_short
        return not rule.takes(abs(quantity), prices.get(symbol, ZERO))

    return is_dust


@dataclass(frozen=True)
class Collected:
    """A venue's report on the orders that had not ended.

    Attributes:
        pending: the orders that it never got.
        moving: the symbols of which it has an open order.
        filling: the open orders that an open has met, at a price that is not known yet.
        unfilled: what became of the orders that have ended without being filled in whole, by symbol.
    """

    pending: Sequence[Intent]
    moving: Collection[str]
    filling: Sequence[Intent]
    unfilled: Mapping[str, str]


@dataclass
class Reconciliation:
    """Brings what is stored of an account up to what its venue says.

    Attributes:
        broker: the venue.
        account: the name of the account in the tables; see `account_of`.
        warehouse: where intents, events and fills are kept.
        frequency: the frequency of the bars.
        now: the clock.
        dry: whether to store nothing.
    """

    broker: Broker
    account: str
    warehouse: Warehouse
    frequency: Frequency
    now: Callable[[], datetime]
    dry: bool

    def collect(self, book: Book) -> Collected:
        """Store what the venue says of open orders."""
        pending: list[Intent] = []
        moving: set[str] = set()
        filling: list[Intent] = []
        unfilled: dict[str, str] = {}

        def ended(intent: Intent, status: Status, filled: float, reason: str) -> None:
            symbol, said = intent.order.symbol, self._became(intent, status, filled, reason)
            unfilled[symbol] = f"{unfilled[symbol]}; {said}" if symbol in unfilled else said

        for intent in book.intents:
            filled = intent.filled
            if not intent.ended:
                report = self.broker.order(intent.order.client_id, intent.order.symbol)
                if report is not None:
                    self._store(report, intent, book)
                    filled = float(report.filled)
                    moving |= {intent.order.symbol} if report.status.open else set()
                    filling += [intent] if report.filling else []
                    if not report.status.open and report.status is not Status.FILLED:
                        ended(intent, report.status, filled, report.reason)
                elif intent.status:
                    self._store_event(intent, Status.EXPIRED, _FORGOTTEN, self.now(), filled)
                    ended(intent, Status.EXPIRED, filled, _FORGOTTEN)
                else:
                    pending.append(intent)
            if replace(intent, filled=filled).exit_open:
                report = self.broker.order(exit_id(intent.order.client_id), intent.order.symbol)
                if report is not None:
                    self._store(report, intent, book)
        return Collected(pending, moving, filling, unfilled)

    def _bar(self, intent: Intent) -> str:
        """The name of the bar on which an order was decided."""
        return stamp(intent.cutoff if self.frequency.is_daily else intent.cutoff_at)

    def _became(self, intent: Intent, status: Status, filled: float, reason: str) -> str:
        what = "expired" if status is Status.EXPIRED else f"was {status}"
        part = f" with {rounded(filled)} of {rounded(float(intent.order.quantity))} filled" if filled else ""
        return f"its order of {self._bar(intent)} {what}{part}{f': {reason}' if reason else ''}"

    def held(self) -> dict[str, Decimal]:
        """The quantities that our fills make, by symbol."""
        summed = read_held(self.account, self.warehouse).groupby("symbol")["quantity"].sum()
        return {str(symbol): exact(quantity) for symbol, quantity in summed.items()}

    def _store(self, report: OrderReport, intent: Intent, book: Book) -> None:
        """Store the fills that are new, then the state."""
        if self.dry:
            return
        for fill in report.fills:
            if fill.fill_id in book.fills:
                continue
            row = {
                "fill_id": fill.fill_id,
                "client_id": report.client_id,
                "account": self.account,
                "strategy": intent.strategy,
                "strategy_hash": intent.strategy_hash,
                "frequency": self.frequency.name,
                "symbol": report.symbol,
                "side": report.side.value,
                "quantity": float(fill.quantity),
                "price": float(fill.price),
                "fee": float(fill.fee),
                **(self._bases(report.symbol, fill.filled_at) if self.broker.simulated else {}),
                "filled_at": pd.Timestamp(fill.filled_at),
                "written_at": pd.Timestamp(self.now()),
            }
            self._append("fills", row, fill.fill_id)
        if (report.client_id, report.status.value, float(report.filled)) not in book.known:
            filled = float(report.filled)
            self._store_event(
                replace(intent, order=replace(intent.order, client_id=report.client_id)),
                report.status,
                report.reason,
                report.reported_at,
                filled,
                report.venue_id,
            )

    def _store_event(
        self, intent: Intent, status: str, reason: str, at: datetime, filled: float = 0.0, venue_id: str | None = None
    ) -> None:
        row = {
            "client_id": intent.order.client_id,
            "account": self.account,
            "symbol": intent.order.symbol,
            "status": str(status),
            "venue_id": venue_id,
            "filled": filled,
            "reason": reason or None,
            "reported_at": pd.Timestamp(at),
            "written_at": pd.Timestamp(self.now()),
        }
        self._append("order_events", row, f"{intent.order.client_id}/{status}/{filled!r}")

    def _append(self, table: str, row: Mapping[str, Any], key: str) -> bool:
        if self.dry:
            return False
        return self.warehouse.append(table, pd.DataFrame([row]), key=f"{table}/{self.account}/{key}")

    def _bases(self, symbol: str, at: datetime) -> dict[str, Any]:
        days = Between((at - REACH).date(), at.date())
        where = {"symbol": symbol, "frequency": self.frequency.name, "session_date": days}
        rows = self.warehouse.read("latest_prices", where, ["symbol", "session_date", "closed_at", "adj_close"])
        rows = with_closes(rows, self.frequency)
        rows = rows[rows["closed_at"] <= pd.Timestamp(at)].sort_values("closed_at")
        closes_at = rows["closed_at"].dt.tz_convert(None).to_numpy().astype("datetime64[us]")
        return bases(closes_at, rows["adj_close"].to_numpy(np.float64))


@dataclass
class _Run(Reconciliation):
    variant: Variant
    decide: Decide
    limits: Limits
    bracket: Bracket | None
    symbols: Sequence[str]
    hold: Hold | None
    sleep: Callable[[float], None]
    filling: Sequence[Intent] = field(default=(), init=False)
    unfilled: Mapping[str, str] = field(default_factory=dict, init=False)

    def finish(self, state: Account) -> Traded:
        clock = self.broker.clock()
        if not self.broker.simulated and abs(clock.now - self.now()) > SKEW:
            raise UsageError(
                f"The clock of {self.account} is at {clock.now:%Y-%m-%d %H:%M:%S} UTC, and ours at "
                f"{self.now():%Y-%m-%d %H:%M:%S}: less than {SKEW.seconds // 60} minutes between them were needed. Set "
                "ours."
            )
        self._is_ours_alone()
        before = self.held()
        pending, mismatch = self._reconcile()
        made = Traded(self.variant, self.account, self.broker.simulated, None, state, self.held(), dry=self.dry)
        events = read_trading_events(self.warehouse, self.account)
        halt = halted(events, self.account, self.variant.name)
        if mismatch and halt is None:
            halt = self._event(
                Action.HALT, Cause.MISMATCH, mismatch, None, resumed_at(events, self.account, self.variant.name)
            )
        state = self.broker.account()
        targets = self.decide(self._weights(state))
        cutoff_at = self._cutoff_at(targets)
        self._check_follows(targets)
        state = self._valued(state, targets)
        self._record(state, targets, cutoff_at)
        halt = halt or self._stop(events, state, cutoff_at)
        cutoff, on_simulated = targets.panel.ends[-1].item(), targets.panel.simulated
        made = replace(made, cutoff=cutoff, state=state, halt=halt, on_simulated_bars=on_simulated)
        if halt is not None and halt.cause is not Cause.STOP:
            return made
        made = self._order(made, targets, cutoff_at, pending)
        if self.dry:
            return made
        unfilled = self.collect(read_book(self.account, self.warehouse)).unfilled
        held = self.held()
        left = {**unfilled, **made.left, **self._remains(before, held)}
        return replace(made, state=self._valued(self.broker.account(), targets), held=held, left=left)

    def _remains(self, before: Mapping[str, Decimal], held: Mapping[str, Decimal]) -> dict[str, str]:
        """The rest of a position that no order can sell, after a sale of this run or one that it heard of."""
        smaller = {symbol: rest for symbol, rest in held.items() if abs(rest) < abs(before.get(symbol, ZERO))}
        is_dust = dust_at(self.broker, smaller)
        return {
            symbol: f"{rounded(float(rest))} of it remain, and the venue takes no order of so little"
            for symbol, rest in smaller.items()
            if is_dust(symbol, rest)
        }

    # ------------------------------------------------------------ reconcile

    def _is_ours_alone(self) -> None:
        """Refuse an account in which another strategy has an open order or a position that can be closed."""
        own = (self.variant.name, self.frequency.name)
        held = read_held(self.account, self.warehouse)
        others = held[(held["strategy"] != own[0]) | (held["frequency"] != own[1])].to_dict("records")
        is_dust = dust_at(self.broker, {row["symbol"] for row in others})
        used = [
            ("holds", row["symbol"], row["strategy"], row["frequency"])
            for row in others
            if not is_dust(row["symbol"], exact(row["quantity"]))
        ]
        used += [
            ("has an open order of", each.order.symbol, each.strategy, each.frequency)
            for each in read_book(self.account, self.warehouse).intents
            if not each.ended and (each.strategy, each.frequency) != own
        ]
        if used:
            what, symbol, strategy, frequency = used[0]
            raise UsageError(
                f"{self.account} {what} {symbol} for {strategy} on bars of {frequency}: an account of its own was "
                f"needed for {self.variant.name} on bars of {self.frequency}. {self._own_account()}"
            )

    def _own_account(self) -> str:
        if self.broker.simulated:
            return "Name another one, as in paper://NAME."
        return (
            "Keys have one account at a venue: set those of another one, or run tickercast trade halt, close the "
            "positions on the venue's page, and run tickercast trade resume --adopt."
        )

    def _reconcile(self) -> tuple[Sequence[Intent], str]:
        """Ask for every order that may have moved; those never received, and what does not fit."""
        for _ in range(_ATTEMPTS):  # a fill may come between two answers
            found = self.collect(read_book(self.account, self.warehouse))
            self.filling, self.unfilled = found.filling, {**self.unfilled, **found.unfilled}
            mismatch = self._mismatch(found.moving)
            if not mismatch:
                break
        return found.pending, mismatch

    def _positions(self) -> list[Position]:
        """The positions once the orders that are being filled have been, at the newest closes."""
        held = {each.symbol: each for each in self.broker.positions()}
        for intent in self.filling:
            symbol = intent.order.symbol
            before = held.get(symbol) or Position(symbol, ZERO, None, self._newest_close(intent))
            held[symbol] = replace(before, quantity=round(before.quantity + intent.rest, _DIGITS))
        return [held[symbol] for symbol in sorted(held) if held[symbol].quantity]

    def _newest_close(self, intent: Intent) -> Decimal:
        """The newest close of an order's symbol; the price that was seen where there is none."""
        close = self._bases(intent.order.symbol, self.broker.clock().now).get("basis")
        return exact(intent.value) / intent.order.quantity if close is None else exact(close)

    def _mismatch(self, moving: Iterable[str]) -> str:
        """The difference between the positions of the venue and ours, in a sentence."""
        ours, theirs = self.held(), {each.symbol: each.quantity for each in self.broker.positions()}
        odd = [
            f"{theirs.get(symbol, ZERO):f} {symbol}, where our fills make {ours.get(symbol, ZERO):f}"
            for symbol in sorted({*ours, *theirs} - set(moving))
            if abs(theirs.get(symbol, ZERO) - ours.get(symbol, ZERO)) > _tolerance(theirs.get(symbol, ZERO))
        ]
        if not odd or self.dry:
            return ""
        return (
            f"{self.account} holds {first_of(odd, 3, '; ')}. Find out who traded there, or whether it was reset or a "
            "share was split; then tickercast trade resume --adopt takes the venue's positions as they are."
        )

    def _weights(self, state: Account) -> dict[str, float]:
        if state.equity <= 0:
            return {}
        return {each.symbol: float(each.quantity * each.price / state.equity) for each in self._positions()}

    def _valued(self, state: Account, targets: Targets) -> Account:
        """The account with what the venue has no price of any more at its last close: a delisting is no loss."""
        panel = targets.panel
        unpriced = {each.symbol: each.quantity for each in self.broker.positions() if not each.price}
        marks = [
            (symbol, self._mark(panel.close[:, n])) for n, symbol in enumerate(panel.symbols) if symbol in unpriced
        ]
        worth = sum((unpriced[symbol] * exact(mark) for symbol, mark in marks if math.isfinite(mark)), ZERO)
        return replace(state, equity=state.equity + worth)

    def _check_follows(self, targets: Targets) -> None:
        """Refuse a decision on an older bar than the newest one: it would be made with hindsight."""
        newest, end = self._recorded().index.max(), targets.panel.ends[-1].item()
        if newest > pd.Timestamp(end):
            decided = stamp(newest.date() if self.frequency.is_daily else newest)
            raise UsageError(
                f"{self.account} has decided on the bars of {decided}, and the newest bar is of {stamp(end)}: a later "
                "one was needed. Fetch the newer bars, or name another account."
            )

    def _recorded(self) -> "pd.Series[Any]":
        """The time at which a state of the account was first stored for a bar, by bar."""
        rows = self.warehouse.read("account_states", {"account": self.account}, ["cutoff", "cutoff_at", "recorded_at"])
        bars = rows["cutoff"] if self.frequency.is_daily else rows["cutoff_at"].dt.tz_convert(None)
        return rows["recorded_at"].groupby(bars).min()

    def _older(self, book: Book, panel: Panel) -> set[str]:
        """The orders that runs at earlier moments sent, of symbols whose exchange has had no session since."""
        begun = self._recorded().get(pd.Timestamp(panel.ends[-1].item()), pd.Timestamp(self.now()))
        return {
            each.order.client_id
            for each in book.intents
            if each.order.symbol in panel.resting and each.written_at < begun
        }

    # ------------------------------------------------------------ what is stored

    def _record(self, state: Account, targets: Targets, cutoff_at: datetime) -> None:
        end = targets.panel.ends[-1:]
        row = {
            "account": self.account,
            "broker": self.broker.url,
            "strategy": self.variant.name,
            "strategy_hash": self.variant.hash,
            "frequency": self.frequency.name,
            "cutoff": pd.Timestamp(self.frequency.dates(end)[0]),
            "cutoff_at": pd.Timestamp(cutoff_at),
            "currency": state.currency,
            "cash": float(state.cash),
            "equity": float(state.equity),
            "simulated": self.broker.simulated or targets.panel.simulated,
            "recorded_at": pd.Timestamp(self.now()),
        }
        self._append("account_states", row, f"{self.variant.name}/{stamp(end[0].item())}")

    def _event(
        self, action: Action, cause: Cause, reason: str, cutoff_at: datetime | None, since: datetime | None
    ) -> TradingEvent:
        made = TradingEvent(self.account, self.variant.name, action, cause, reason, cutoff_at, self.now())
        record_event(made, self.warehouse, f"{cutoff_at}/{since}") if not self.dry else None
        return made

    # ------------------------------------------------------------ decide

    def _stop(self, events: Sequence[TradingEvent], state: Account, cutoff_at: datetime) -> TradingEvent | None:
        since = resumed_at(events, self.account, self.variant.name)
        rows = read_equity(self.account, self.variant.name, self.warehouse).sort_values("recorded_at", kind="stable")
        if since is not None:  # the newest state by then is what a loss is counted from
            rows = rows.iloc[max(int((rows["recorded_at"] < pd.Timestamp(since)).sum()) - 1, 0) :]
        why = stopped([*rows["equity"].astype(float), float(state.equity)], self.limits)
        if not why:
            return None
        said = f"{why} Its positions are being closed. Look into it, then run tickercast trade resume."
        return self._event(Action.HALT, Cause.STOP, said, cutoff_at, since)

    def _cutoff_at(self, targets: Targets) -> datetime:
        """The time from which the closes of the newest bars were known: those that are there."""
        panel = targets.panel
        closed = zip(panel.symbols, np.isfinite(panel.close[-1]), strict=True)
        return max(self._closed_at(symbol, panel.ends[-1:]) for symbol, is_there in closed if is_there)

    def _decided_at(self, symbol: str, bar: date, cutoff_at: datetime) -> datetime:
        """The time from which the close was known on which a symbol is decided, the cutoff at the latest.

        It names the decision: orders of one symbol that have the same were decided on the same bar.
        """
        return min(self._closed_at(symbol, self.frequency.ends([bar])), cutoff_at)

    def _closed_at(self, symbol: str, end: Any) -> datetime:
        closed: datetime = (
            self.frequency.closes([symbol], np.zeros(1, np.int64), end)[0].astype("datetime64[us]").item()
        )
        return closed.replace(tzinfo=UTC)

    def _wants(self, made: Traded, targets: Targets, bars: Mapping[str, date]) -> tuple[list[Want], list[str]]:
        """The wanted weights of the panel's symbols and of all else that is held, within the largest position."""
        panel, [(_, wanted)] = targets.panel, targets.wanted
        weights = np.array([weight for weight, _ in wanted])
        limited = clipped(weights, self.limits)
        met = [
            f"{symbol}: {weight:+.0%} of equity was wanted, of at most {self.limits.position:.0%}."
            for symbol, weight, cut in zip(panel.symbols, weights, limited, strict=True)
            if not math.isnan(weight) and weight != cut
        ]
        end, wants = panel.ends[-1].item(), []
        for n, symbol in enumerate(panel.symbols):
            mark = self._mark(panel.close[:, n])
            close = float(panel.close[-1, n]) if bars[symbol] == end else mark
            wants.append(Want(symbol, float(limited[n]), wanted[n][1], mark, close))
        for each in self._positions():
            if each.symbol not in panel.symbols:
                gone = bool(self.symbols) and each.symbol not in self.symbols
                weight, price = 0.0 if gone else math.nan, float(each.price) or math.nan
                wants.append(Want(each.symbol, weight, "no member of the universe", price, price))
        if made.halt is not None:
            wants = [replace(want, weight=0.0, reason=made.halt.reason) for want in wants]
        return wants, met

    def _mark(self, closes: Any) -> float:
        known = closes[np.isfinite(closes)]
        return float(known[-1]) if len(known) else math.nan

    def _late(self, symbol: str, bar: date, now: datetime) -> str:
        """The reason why a bar is too old to trade on; empty if it is not."""
        try:
            following = self.frequency.next_steps(symbol, bar, 1)[0]
        except CalendarError as error:
            return str(error)
        if self._closed_at(symbol, self.frequency.ends([following])) > now:
            return ""
        return f"its newest bar is of {stamp(bar)}, and the next one has ended: nothing is decided on it now"

    # ------------------------------------------------------------ order

    def _order(self, made: Traded, targets: Targets, cutoff_at: datetime, pending: Sequence[Intent]) -> Traded:
        now = self.broker.clock().now
        panel = targets.panel
        bars = dict.fromkeys((each.symbol for each in self._positions()), panel.ends[-1].item())
        bars |= zip(panel.symbols, panel.bars_at(now), strict=True)
        decided = {symbol: self._decided_at(symbol, bar, cutoff_at) for symbol, bar in bars.items()}
        late = {symbol: why for symbol in panel.symbols if (why := self._late(symbol, bars[symbol], now))}
        sent = [self._send_again(intent, decided, late) for intent in pending]
        book = read_book(self.account, self.warehouse)
        wants, over = self._wants(made, targets, bars)
        older = self._older(book, panel)
        planned = self._planned(wants, made, book, decided, late, older)
        recent = [each for each in book.intents if each.cutoff_at > decided.get(each.order.symbol, cutoff_at) - _DAY]
        spent = sum((exact(each.value) for each in recent if each.leg == ENTRY), ZERO)
        known = {each.order.client_id: each for each in book.intents}
        ordered = [(each, known.get(self._id(each, bars[each.symbol]))) for each in planned.orders]
        new = [each for each, before in ordered if before is None]
        ended = {
            each.symbol: f"its order of this bar is {before.status}, and the next bar decides anew"
            for each, before in ordered
            if before is not None and before.status
        }
        within = allowed(new, made.state.equity, spent, len(recent), self.limits)
        met = [(Cause.POSITION, each) for each in over] + list(within.met)
        for cause, said in met:
            self._event(Action.LIMIT, cause, said, cutoff_at, None)
        kept = self._kept({each.symbol for each in within.orders}, book)
        exits = [each for each in within.orders if each.leg == EXIT and each.symbol not in kept]
        entries = [each for each in within.orders if each.leg == ENTRY and each.symbol not in kept]
        equity = made.state.equity
        sent += [self._send(each, bars[each.symbol], decided[each.symbol], equity) for each in exits]
        if entries:
            same = [each for each in book.intents if each.cutoff_at == decided.get(each.order.symbol)]
            now_sent = [each for each in same if each.order.client_id not in older]
            placed = sum(each.placed for each in now_sent if each.leg == ENTRY)
            fit = fitted(entries, self.broker.account().buying_power, exact(placed))
            kept |= fit.left
            sent += [self._send(each, bars[each.symbol], decided[each.symbol], equity) for each in fit.orders]
        done = [each for each in sent if each is not None]
        halt = made.halt or self._halted()
        moving = {each.planned.symbol for each in done}
        stuck = {symbol: why for symbol, why in self._stuck(targets, bars).items() if symbol not in moving}
        why_not = {**planned.left, **ended}
        if made.halt is not None:  # a stop closes what it can
            held = {each.symbol for each in self._positions()} - moving
            why_not |= {each: f"{why_not[each]}; its position is not closed" for each in held & why_not.keys()}
        left = {**self._doubtful(targets, moving), **targets.missing, **stuck, **why_not, **kept}
        for symbol in self.unfilled.keys() - moving - ended.keys():
            left[symbol] = "; ".join(filter(None, [self.unfilled[symbol], left.get(symbol)]))
        return replace(made, sent=done, left=left, met=[said for _, said in met], halt=halt)

    def _stuck(self, targets: Targets, bars: Mapping[str, date]) -> dict[str, str]:
        """The reason to order nothing of a held symbol or a member, by symbol: a bar was due, and is missing."""
        panel, positions = targets.panel, self._positions()
        amounts = {each.symbol: each.quantity for each in positions}
        is_there = {each.symbol for each in self.broker.positions()}
        waiting = {each.order.symbol: f"its order of {self._bar(each)} is still open" for each in self.filling}
        is_dust = dust_at(self.broker, amounts.keys() - {*panel.symbols})
        held = {symbol for symbol, amount in amounts.items() if not is_dust(symbol, amount)}
        found = {symbol: targets.missing.get(symbol, "no signal of it is known") for symbol in held - {*panel.symbols}}
        for symbol, bar, is_member in zip(panel.symbols, panel.newest, panel.member[-1], strict=True):
            if (symbol in held or is_member) and bar is not None and self._is_overdue(symbol, bar, bars[symbol]):
                found[symbol] = f"it has no bar since {stamp(bar)}"
        found |= {each.symbol: "the venue has no price of it any more" for each in positions if not each.price}
        stays = dict.fromkeys(held & is_there, "its position stays as it is")
        left = {symbol: waiting.get(symbol) or stays.get(symbol, "nothing is ordered of it") for symbol in found}
        return {symbol: f"{why}, and {left[symbol]}" for symbol, why in found.items()}

    def _doubtful(self, targets: Targets, moving: Collection[str]) -> dict[str, str]:
        """The reason to order nothing of a member that has no forecast that counts, by symbol."""
        panel, doubts = targets.panel, targets.doubts if self.variant.reads else {}
        return {
            symbol: f"its newest forecast is doubtful, and does not count: {doubts[symbol]}"
            for symbol, is_member in zip(panel.symbols, panel.member[-1], strict=True)
            if is_member and symbol in doubts and symbol not in moving
        }

    def _is_overdue(self, symbol: str, bar: date, end: date) -> bool:
        """Whether a bar was due by the newest moment: none is of a stock at the weekend."""
        try:
            return self.frequency.next_steps(symbol, bar, 1)[0] <= end
        except CalendarError:
            return bar < end

    def _planned(
        self,
        wants: Sequence[Want],
        made: Traded,
        book: Book,
        decided: Mapping[str, datetime],
        late: Mapping[str, str],
        older: Collection[str],
    ) -> Plan:
        held = {each.symbol: each.quantity for each in self._positions()}
        busy, resting, waiting = dict(late), dict[str, Decimal](), set[str]()
        filling = {each.order.client_id for each in self.filling if each.order.bracket is None}  # no exit is met yet
        for intent in book.intents:
            if intent.status and not intent.ended:
                symbol = intent.order.symbol
                waiting |= {symbol} if intent.order.client_id in older else set()
                if intent.cutoff_at == decided.get(symbol) or intent.order.client_id in filling:
                    resting[symbol] = resting.get(symbol, ZERO) + intent.rest
                else:
                    busy[symbol] = f"its order of {self._bar(intent)} is still open"
        if resting:  # counted as if it were filled, onto our own fills: the venue may hold what it has not told yet
            ours = self.held()
            held |= {symbol: round(ours.get(symbol, ZERO) + rest, _DIGITS) for symbol, rest in resting.items()}
        if made.halt is None:  # what waits is filled first, as in a backtest, once all of its decision is ordered
            cut = _cut_short([each for each in book.intents if each.cutoff_at == decided.get(each.order.symbol)])
            begun = [
                replace(want, weight=each.weight * each.equity / float(made.state.equity), reason=each.reason)
                for want in wants
                if want.symbol in waiting and (each := cut.get(want.symbol)) is not None
            ]
            wants = [want for want in wants if want.symbol not in waiting] + begun
        rules = self.broker.rules(sorted({want.symbol for want in wants}))
        bracketed = {each.order.symbol: each.order.client_id for each in book.intents if each.exit_open}
        return plan(wants, held, made.state.equity, rules, busy=busy, bracketed=bracketed, bracket=self.bracket)

    def _id(self, planned: Planned, bar: date) -> str:
        leg = planned.leg if planned.part == 1 else f"{planned.leg}-{planned.part}"
        return client_id(self.account, self.variant.hash, self.frequency.name, planned.symbol, stamp(bar), leg)

    def _send(self, planned: Planned, bar: date, decided_at: datetime, equity: Decimal) -> Sent | None:
        """Store an intent, and send its order; None where somebody has halted trading."""
        name = self._id(planned, bar)
        if self.dry:
            return Sent(planned, name, "planned")
        self._check_is_alone()
        if self._is_halted_now():
            return None
        bracket, cutoff = planned.bracket, self.frequency.dates(self.frequency.ends([bar]))[0]
        row = {
            "client_id": name,
            "account": self.account,
            "broker": self.broker.url,
            "strategy": self.variant.name,
            "strategy_hash": self.variant.hash,
            "frequency": self.frequency.name,
            "symbol": planned.symbol,
            "cutoff": pd.Timestamp(cutoff),
            "cutoff_at": pd.Timestamp(decided_at),
            "leg": planned.leg,
            "side": planned.side.value,
            "quantity": float(planned.quantity),
            "stop": float(bracket.stop) if bracket else None,
            "stop_limit": float(bracket.limit) if bracket else None,
            "take": float(bracket.take) if bracket else None,
            "target_weight": None if math.isnan(planned.weight) else planned.weight,
            "reason": planned.reason,
            "price": float(planned.price),
            "equity": float(equity),
            "written_at": pd.Timestamp(self.now()),
        }
        order = Order(name, planned.symbol, planned.side, planned.quantity, bracket)
        value = float(planned.value)
        name_of = self.variant.name, self.variant.hash, self.frequency.name
        decision = planned.weight, float(equity), planned.reason
        intent = Intent(
            order, *name_of, planned.leg, cutoff.item(), decided_at, value, "", 0.0, "", self.now(), *decision
        )
        if not self._append("orders", row, name):  # another run was faster, and its intent counts
            stored = read_book(self.account, self.warehouse).intents
            intent = next((each for each in stored if each.order.client_id == name), intent)
        return self._submit(intent, planned)

    def _kept(self, symbols: Collection[str], book: Book) -> dict[str, str]:
        """Take back the exits of brackets, for which a venue keeps positions, and wait; why symbols are left."""
        exits = [each for each in book.intents if each.exit_open and each.order.symbol in symbols]
        if self.dry or not exits or self._is_halted_now():
            return {}
        self._check_is_alone()
        for each in exits:
            self.broker.cancel(exit_id(each.order.client_id), each.order.symbol)
        for look in range(_LOOKS):
            if look:
                self.sleep(_PAUSE_S)
            kept = {each.order.symbol: why for each in exits if (why := self._why_kept(each, book))}
            if _NOT_GONE not in kept.values():
                break
        return kept

    def _why_kept(self, intent: Intent, book: Book) -> str:
        report = self.broker.order(exit_id(intent.order.client_id), intent.order.symbol)
        if report is None:
            return ""
        self._store(report, intent, book)
        if report.filled:
            return _MET
        return _NOT_GONE if report.status.open else ""

    def _send_again(self, intent: Intent, decided: Mapping[str, datetime], late: Mapping[str, str]) -> Sent | None:
        """Send what the venue never got, as long as its time has not passed; else it has lapsed."""
        planned = _as_planned(intent)
        if intent.cutoff_at != decided.get(intent.order.symbol) or intent.order.symbol in late:
            self._store_event(intent, LAPSED, "it was never sent, and its time is over", self.now())
            return Sent(planned, intent.order.client_id, LAPSED, "it was never sent, and its time is over")
        if self.dry:
            return Sent(planned, intent.order.client_id, "planned")
        return None if self._is_halted_now() else self._submit(intent, planned)

    def _submit(self, intent: Intent, planned: Planned) -> Sent:
        """Send an order, and find out what became of it; it is sent again only where the venue does not know it."""
        name = intent.order.client_id
        for _ in range(_ATTEMPTS):
            self._check_is_alone()
            try:
                report: OrderReport | None = self.broker.submit(intent.order)
            except OrderRefused as error:
                self._store_event(intent, Status.REJECTED, str(error), self.now())
                return Sent(planned, name, Status.REJECTED, str(error))
            except StatusUnknown:
                report = self.broker.order(name, intent.order.symbol)
            if report is not None:
                self._store(report, intent, Book(self.account, (), frozenset(), frozenset()))
                return Sent(planned, name, report.status, report.reason)
        raise StatusUnknown(
            f"{self.account} lost {_ATTEMPTS} answers to the order {name} of {intent.order.symbol}, and does not know "
            "it. It is kept: run tickercast trade again, which asks for it first."
        )

    def _check_is_alone(self) -> None:
        if self.hold is not None:
            self.hold.check()

    def _halted(self) -> TradingEvent | None:
        return halted(read_trading_events(self.warehouse, self.account), self.account, self.variant.name)

    def _is_halted_now(self) -> bool:
        found = self._halted()
        return found is not None and found.cause is not Cause.STOP


def record_event(event: TradingEvent, warehouse: Warehouse, key: str) -> None:
    """Store a halt, a resume or a limit once by its key."""
    row = {
        "account": event.account,
        "strategy": event.strategy,
        "action": event.action.value,
        "cause": event.cause.value,
        "reason": event.reason,
        "cutoff_at": None if event.cutoff_at is None else pd.Timestamp(event.cutoff_at),
        "happened_at": pd.Timestamp(event.happened_at),
    }
    digest = hashlib.sha256(f"{event.reason}/{key}".encode()).hexdigest()[:16]
    name = f"trading_events/{event.account}/{event.strategy}/{event.action}/{event.cause}/{digest}"
    frame = pd.DataFrame([row]).astype({"cutoff_at": "datetime64[us, UTC]"})
    warehouse.append("trading_events", frame, key=name)


def _cut_short(intents: Sequence[Intent]) -> dict[str, Intent]:
    """The exits, by symbol, of positions that are to be turned round, and whose entries no run has stored."""
    exits = [each for each in intents if each.leg == EXIT and each.weight * float(each.rest) > 0]
    entered = {each.order.symbol for each in intents if each.leg == ENTRY}
    return {each.order.symbol: each for each in exits if each.order.symbol not in entered}


def _as_planned(intent: Intent) -> Planned:
    price = exact(intent.value) / intent.order.quantity
    order: Order = intent.order
    return Planned(
        order.symbol, intent.leg, order.side, order.quantity, price, math.nan, "", Rules(order.symbol), order.bracket
    )


def _tolerance(quantity: Decimal) -> Decimal:
    return exact(_LEAST) * max(abs(quantity), Decimal(1))


def exact(value: float) -> Decimal:
    """A stored number as the decimal that it is written as."""
    return Decimal(repr(float(value)))
