"""Trading on paper as it is stored: intents, what venues said, fills, halts and accounts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd

from tickercast.domain.closes import with_closes
from tickercast.domain.frequency import frequency_of
from tickercast.domain.trading.limits import Action, Cause, TradingEvent, halted
from tickercast.domain.trading.orders import Bracket, Order, Side, Status, exit_id
from tickercast.domain.trading.paper import BASES, growth
from tickercast.ports import Between, Warehouse

LAPSED = "lapsed"
"""The status of an intent that was never sent, because its time was over."""

_ENDED = {status.value for status in Status if not status.open} | {LAPSED}


@dataclass(frozen=True)
class Intent:
    """An order that was meant to be sent.

    Attributes:
        order: the order, as it goes to the broker.
        strategy: the name of the strategy.
        strategy_hash: the hash of the strategy's variant.
        frequency: the name of the bars' frequency.
        leg: `exit` or `entry`.
        cutoff: the date of the bar on whose close it was decided.
        cutoff_at: the time from which that close was known.
        value: quantity times the price that was seen.
        status: the newest stored status; empty where the venue has reported nothing.
        filled: the quantity that was filled by then.
        exit_status: the newest stored status of the exit of its bracket; empty where there is none.
        written_at: the time at which it was stored.
        weight: the share of equity that was wanted; NaN where nobody said.
        equity: the equity of the account then.
        reason: the reason why it was wanted.
    """

    order: Order
    strategy: str
    strategy_hash: str
    frequency: str
    leg: str
    cutoff: date
    cutoff_at: datetime
    value: float
    status: str
    filled: float
    exit_status: str
    written_at: datetime
    weight: float
    equity: float
    reason: str

    @property
    def ended(self) -> bool:
        """Whether nothing can happen to it any more."""
        return self.status in _ENDED

    @property
    def rest(self) -> Decimal:
        """The quantity that is not filled by then; negative of a sale."""
        rest = self.order.quantity - _decimal(self.filled)
        return rest if self.order.side is Side.BUY else -rest

    @property
    def placed(self) -> float:
        """The value that is bought or sold, or may still be."""
        quantity = float(self.order.quantity)
        at_work = quantity if self.status and not self.ended else self.filled
        return self.value * at_work / quantity

    @property
    def exit_open(self) -> bool:
        """Whether its bracket may still be met."""
        return self.order.bracket is not None and self.filled > 0 and self.exit_status not in _ENDED


@dataclass(frozen=True)
class Book:
    """The stored orders and fills of an account.

    Attributes:
        account: the id of the account.
        intents: the orders that were meant to be sent, the oldest first.
        fills: the ids of the fills.
        known: the events, as client id, status and quantity filled.
    """

    account: str
    intents: Sequence[Intent]
    fills: frozenset[str]
    known: frozenset[tuple[str, str, float]]


def read_book(account: str, warehouse: Warehouse) -> Book:
    """Read what is stored of an account.

    Raises:
        WarehouseUnavailable: try again.
    """
    where = {"account": account}
    orders = warehouse.read("orders", where).sort_values(["cutoff_at", "written_at", "client_id"])
    events = warehouse.read("order_events", where).sort_values(["filled", "reported_at", "written_at"])
    fills = warehouse.read("fills", where, ["fill_id"])
    newest: dict[str, tuple[str, float]] = {}
    for row in events.to_dict("records"):
        if newest.get(row["client_id"], ("", 0.0))[0] not in _ENDED:
            newest[row["client_id"]] = (row["status"], float(row["filled"]))
    known = zip(events["client_id"], events["status"], events["filled"].astype(float), strict=True)
    intents = [_intent(row, newest) for row in orders.to_dict("records")]
    return Book(account, intents, frozenset(fills["fill_id"]), frozenset(known))


def _intent(row: Mapping[Any, Any], newest: Mapping[str, tuple[str, float]]) -> Intent:
    exits = [_decimal(row[name]) for name in ("stop", "stop_limit", "take") if pd.notna(row[name])]
    bracket = Bracket(*exits) if len(exits) == 3 else None
    order = Order(row["client_id"], row["symbol"], Side(row["side"]), _decimal(row["quantity"]), bracket)
    status, filled = newest.get(row["client_id"], ("", 0.0))
    return Intent(
        order,
        row["strategy"],
        row["strategy_hash"],
        row["frequency"],
        row["leg"],
        row["cutoff"].date(),
        row["cutoff_at"].to_pydatetime(),
        float(row["quantity"]) * float(row["price"]),
        status,
        filled,
        newest.get(exit_id(row["client_id"]), ("", 0.0))[0],
        row["written_at"].to_pydatetime(),
        float(row["target_weight"]),
        float(row["equity"]),
        row["reason"],
    )


def read_trading_events(warehouse: Warehouse, account: str | None = None) -> list[TradingEvent]:
    """Read halts, resumes and limits, the oldest first: those about one account, or all.

    Raises:
        WarehouseUnavailable: try again.
    """
    rows = warehouse.read("trading_events", None if account is None else {"account": ["", account]})
    made = [
        TradingEvent(
            row["account"],
            row["strategy"],
            Action(row["action"]),
            Cause(row["cause"]),
            row["reason"],
            None if pd.isna(row["cutoff_at"]) else row["cutoff_at"].to_pydatetime(),
            row["happened_at"].to_pydatetime(),
        )
        for row in rows.to_dict("records")
    ]
    return sorted(made, key=lambda event: event.happened_at)


@dataclass(frozen=True)
class Venue:
    """An account that a strategy trades in.

    Attributes:
        account: the id of the account.
        broker: the URL of the broker, as it was named.
        strategy: the name of the strategy.
        strategy_hash: the hash of the strategy's variant.
        frequency: the name of the bars' frequency.
    """

    account: str
    broker: str
    strategy: str
    strategy_hash: str
    frequency: str


def read_venues(warehouse: Warehouse) -> list[Venue]:
    """Every account that was traded in, with the newest strategy in it.

    Raises:
        WarehouseUnavailable: try again.
    """
    names = ["account", "broker", "strategy", "strategy_hash", "frequency"]
    rows = warehouse.read("account_states", None, [*names, "recorded_at"]).sort_values("recorded_at")
    newest = rows.drop_duplicates("account", keep="last").sort_values("account")
    return [Venue(*(str(row[name]) for name in names)) for row in newest.to_dict("records")]


def read_equity(account: str, strategy: str, warehouse: Warehouse) -> pd.DataFrame:
    """The equity of a strategy, the oldest bar first: `cutoff_at, equity, recorded_at`.

    Raises:
        WarehouseUnavailable: try again.
    """
    where = {"account": account, "strategy": strategy}
    rows = warehouse.read("account_states", where, ["cutoff_at", "equity", "recorded_at"])
    return rows.sort_values(["cutoff_at", "recorded_at"], ignore_index=True)


def read_waiting(account: str, warehouse: Warehouse) -> set[str]:
    """The symbols of which an account has an order that has not ended.

    Raises:
        WarehouseUnavailable: try again.
    """
    return {each.order.symbol for each in read_book(account, warehouse).intents if not each.ended}


def read_held(account: str, warehouse: Warehouse) -> pd.DataFrame:
    """The holdings of an account by our own fills, as the view `positions`: `symbol, quantity, strategy, frequency`.

    It reads the bars of these fills alone, where the view reads all, and leaves out no dust for its value.

    Raises:
        WarehouseUnavailable: try again.
    """
    keys = ["strategy", "frequency", "symbol"]
    kept = [name for pair in BASES.values() for name in pair]
    rows = warehouse.read("fills", {"account": account}, [*keys, "side", "quantity", *kept])
    signed = rows["quantity"].where(rows["side"] == "buy", -rows["quantity"])
    summed = rows.assign(quantity=signed * _factors(rows, warehouse)).groupby(keys)["quantity"].sum()
    return summed[summed.abs() > _LEAST].reset_index()


def _factors(rows: pd.DataFrame, warehouse: Warehouse) -> "pd.Series[float]":
    """The factor by which each quantity has grown since, where the past of a simulated exchange's bars was rebased."""
    factors = pd.Series(1.0, rows.index)
    moments = [at for _, at in BASES.values()]
    for frequency, based in rows[rows["basis_at"].notna()].groupby("frequency"):
        days = Between((based[moments].min().min() - _A_DAY).date(), based["basis_at"].max().date())
        where = {"symbol": sorted(set(based["symbol"])), "frequency": frequency, "session_date": days}
        bars = warehouse.read("latest_prices", where, ["symbol", "session_date", "closed_at", "adj_close"])
        bars = with_closes(bars, frequency_of(str(frequency)))
        now = bars.set_index(["symbol", "closed_at"])["adj_close"]
        ratios = {
            close: based[close] / now.reindex(pd.MultiIndex.from_frame(based[["symbol", at]])).to_numpy()
            for close, at in BASES.values()
        }
        grown = [growth(row[np.isfinite(row)]) for row in pd.DataFrame(ratios).to_numpy(np.float64)]
        factors.loc[based.index] = np.array(grown)
    return factors


_A_DAY = timedelta(days=1)
_LEAST = 1e-9


def _decimal(value: float) -> Decimal:
    return Decimal(repr(float(value)))


@dataclass(frozen=True, eq=False)
class TradingStatus:
    """The holdings and orders of accounts, as they are stored.

    Attributes:
        accounts: one row an account, from the view `equity`: the newest bar, with `halted`, why it is halted or empty.
        positions: the rows of the view `positions`.
        orders: the orders that have not ended: `account, strategy, symbol, leg, side, quantity, status, cutoff_at`.
        halt: why everything is halted; empty while it is not.
    """

    accounts: pd.DataFrame
    positions: pd.DataFrame
    orders: pd.DataFrame
    halt: str


def read_status(warehouse: Warehouse) -> TradingStatus:
    """Read what accounts hold.

    Raises:
        WarehouseUnavailable: try again.
    """
    events = read_trading_events(warehouse)
    rows = warehouse.read("equity").sort_values(["account", "cutoff_at"])
    newest = rows.drop_duplicates("account", keep="last", ignore_index=True)
    halts = [halted(events, row["account"], row["strategy"]) for row in newest.to_dict("records")]
    whole = halted([event for event in events if not event.account and not event.strategy], "", "")
    if newest.empty:
        return TradingStatus(newest.assign(halted=""), newest, newest, whole.reason if whole else "")
    waiting = [
        {
            "account": account,
            "strategy": each.strategy,
            "symbol": each.order.symbol,
            "leg": each.leg,
            "side": each.order.side.value,
            "quantity": float(each.order.quantity),
            "status": each.status or "not confirmed",
            "cutoff_at": each.cutoff_at,
        }
        for account in newest["account"]
        for each in read_book(account, warehouse).intents
        if not each.ended
    ]
    return TradingStatus(
        newest.assign(halted=[each.reason if each else "" for each in halts]),
        warehouse.read("positions").sort_values(["account", "symbol"], ignore_index=True),
        pd.DataFrame(waiting),
        whole.reason if whole else "",
    )
