"""`paper://`: a simulated exchange on stored bars, which is always there.

All it keeps are the orders that it got, each once by its client id, in the table `paper_orders`. What became of them
follows from these and the stored bars; what was told before and stored in `fills` and `order_events` stays as it was.
Nothing can be half done: whatever is killed, the next call sees the same exchange.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pandas as pd

from tickercast.domain.calendar import session_opens
from tickercast.domain.closes import with_closes
from tickercast.domain.frequency import DAILY, Frequency
from tickercast.domain.trading.orders import (
    Account,
    Clock,
    Fill,
    Order,
    OrderReport,
    Position,
    Rules,
    Side,
    Status,
    exit_id,
)
from tickercast.domain.trading.paper import (
    BASES,
    LEAST_VALUE,
    REACH,
    Bases,
    Exchange,
    Part,
    Sent,
    Series,
    State,
    Terms,
    bases,
    lasting,
)
from tickercast.domain.trading.signals import bars_a_year, before, next_opens, traded_value
from tickercast.errors import OrderRefused, UsageError
from tickercast.ports import Between, Warehouse

_BARS = ["symbol", "session_date", "closed_at", "open", "high", "low", "close", "adj_close", "volume"]
_HOUR = timedelta(hours=1)
_FOUND = timedelta(days=10)  # the span in which the newest bar is looked for
_DIGITS = 12  # of a quantity that was summed up from floats: a last digit too little would cost a lot


@dataclass
class Paper:
    """The `Broker` port over stored bars; see `tickercast.ports`.

    Args:
        url: the URL, as the user named it.
        account_id: the id of the account.
        warehouse: the warehouse of bars and orders.
        now: the time, UTC: nothing that closed later is seen.
        frequency: the frequency of the bars that fill orders.
        terms: the terms of the exchange.
    """

    url: str
    account_id: str
    warehouse: Warehouse
    now: datetime
    frequency: Frequency = DAILY
    terms: Terms = field(default_factory=Terms)
    simulated: bool = True
    _seen: tuple[datetime, Exchange] | None = field(default=None, init=False, repr=False)

    def account(self) -> Account:
        """The account, at the newest closes.

        Raises:
            UsageError: the account had another capital, cost of borrowing or currency, or bars of another frequency
                before, or a held symbol has no bars any more.
        """
        made = self._exchange()
        return Account(
            self.account_id, self.terms.currency, _exact(made.cash), _exact(made.equity), _exact(made.buying_power)
        )

    def positions(self) -> Sequence[Position]:
        """All that is held, by symbol."""
        made = self._exchange()
        return [
            Position(symbol, _exact(round(amount, _DIGITS)), None, _exact(made.price(symbol)))
            for symbol, amount in made.positions.items()
        ]

    def open_orders(self) -> Sequence[OrderReport]:
        """The orders that wait for a bar, and the exits of brackets."""
        return [
            _report(state, self._is_filling(state)) for state in self._exchange().orders.values() if state.status.open
        ]

    def submit(self, order: Order) -> OrderReport:
        """Take an order, once: the same client id again is the same order."""
        kept = self._bases(order.symbol)
        if not kept:
            raise OrderRefused(
                f"No {self.frequency.noun} of {order.symbol} is stored up to {self.now:%Y-%m-%d %H:%M} UTC, and the "
                f"simulated exchange needs bars to fill orders. Run: tickercast forecast {order.symbol}."
            )
        exits = order.bracket
        self._append(
            order.client_id,
            "submit",
            order.symbol,
            side=order.side.value,
            quantity=float(order.quantity),
            stop=float(exits.stop) if exits else None,
            stop_limit=float(exits.limit) if exits else None,
            take=float(exits.take) if exits else None,
            **kept,
        )
        found = self.order(order.client_id, order.symbol)
        assert found is not None, "it is stored"
        return found

    def order(self, client_id: str, symbol: str) -> OrderReport | None:
        """The state of an order or of the exit of its bracket."""
        state = self._exchange().orders.get(client_id)
        return _report(state, self._is_filling(state)) if state else None

    def cancel(self, client_id: str, symbol: str) -> None:
        """Take an order back that no open has met yet."""
        state = self._exchange().orders.get(client_id)
        if state is not None and state.status.open and not self._is_filling(state):
            self._append(client_id, "cancel", state.sent.symbol)

    def clock(self) -> Clock:
        """The time; orders are taken at any time."""
        return Clock(self.now, True, self.now)

    def rules(self, symbols: Sequence[str]) -> Mapping[str, Rules]:
        """Fractions are traded, but no dust; what is not held and has no recent bar is left out."""
        recent, held = self._bars(symbols, self.now - _FOUND), self._exchange().positions
        lot = _exact(self.terms.lot)
        return {
            symbol: Rules(symbol, lot=lot, tick=Decimal(0), least_value=LEAST_VALUE, tradable=symbol in recent)
            for symbol in symbols
            if symbol in recent or symbol in held
        }

    def _is_filling(self, state: State) -> bool:
        """Whether an order that waits has met an open by now: its bar, which tells the price, has not ended."""
        if state.client_id != state.sent.client_id or not state.status.open:
            return False
        [opened] = next_opens(state.sent.symbol, self.frequency, np.array([state.sent.at], "datetime64[us]"))
        return bool(opened <= np.datetime64(_naive(self.now)))

    # ------------------------------------------------------------ what is stored

    def _append(self, client_id: str, action: str, symbol: str, **more: Any) -> None:
        row = {
            "account": self.account_id,
            "client_id": client_id,
            "action": action,
            "symbol": symbol,
            "frequency": self.frequency.name,
            **more,
            "received_at": pd.Timestamp(self.now),
        }
        key = f"paper_orders/{self.account_id}/{client_id}/{action}"
        self.warehouse.append("paper_orders", pd.DataFrame([row]), key=key)
        self._seen = None

    @cached_property
    def _terms(self) -> Terms:
        """The terms, once it is known that the account's past was on those that last, and on bars of this frequency."""
        account = f"paper://{self.account_id}"
        rows = self.warehouse.read("account_states", {"account": account}, ["broker", "frequency", "recorded_at"])
        if rows.empty:
            return self.terms
        newest = rows.sort_values("recorded_at").iloc[-1]
        if newest["frequency"] != self.frequency.name:
            raise UsageError(
                f"{account} has traded on bars of {newest['frequency']}, and bars of {self.frequency} were named: an "
                "account of its own was needed for them. Name another one, as in paper://NAME, or leave --every as it "
                "was."
            )
        now, before = (lasting(urlsplit(url).query) for url in (self.url, newest["broker"]))
        changed = [name for name in now if now[name] != before[name]]
        if changed:
            said, then = (" and ".join(f"{name}={_said(values[name])}" for name in changed) for values in (now, before))
            raise UsageError(
                f"{account} is named with {said}, and its past is on {then}: the same was needed, or the past would "
                f"change. Name {account}?{then.replace(' and ', '&')}, or another account."
            )
        return self.terms

    def _exchange(self) -> Exchange:
        """The exchange at this moment: only an order changes it, since the bars of a moment are what they are."""
        if self._seen is None or self._seen[0] != self.now:
            self._seen = self.now, self._read()
        return self._seen[1]

    def _read(self) -> Exchange:
        with self.warehouse.session():
            rows = self.warehouse.read("paper_orders", {"account": self.account_id, "frequency": self.frequency.name})
            sent = self._sent(rows) if len(rows) else []
            series: Mapping[str, Series] = {}
            if sent:
                first = min(one.at for one in sent) - before(self.frequency)  # as far as a backtest reads
                series = self._bars(sorted({one.symbol for one in sent}), first)
        made = Exchange(series, sent, self._terms, _naive(self.now))
        if lost := sorted(made.positions.keys() - series.keys()):
            raise UsageError(
                f"paper://{self.account_id} holds {lost[0]}, and no {self.frequency.noun} of it is stored up to "
                f"{self.now:%Y-%m-%d %H:%M} UTC: its bars were needed to value it. Run: tickercast forecast {lost[0]}."
            )
        return made

    def _sent(self, rows: pd.DataFrame) -> list[Sent]:
        account = f"paper://{self.account_id}"
        parts = _parts(self.warehouse.read("fills", {"account": account}))
        ended = _ended(self.warehouse.read("order_events", {"account": account}, ["client_id", "status"]))
        cancelled = set(rows.loc[rows["action"] == "cancel", "client_id"])
        orders = rows[rows["action"] == "submit"].sort_values(["received_at", "client_id"])
        return [
            replace(
                _order(row),
                cancelled=row["client_id"] in cancelled,
                exit_cancelled=exit_id(row["client_id"]) in cancelled,
                parts=parts.get(row["client_id"], ()),
                ended=ended.get(row["client_id"]),
                exit_parts=parts.get(exit_id(row["client_id"]), ()),
                exit_ended=ended.get(exit_id(row["client_id"])),
            )
            for row in orders.to_dict("records")
        ]

    def _bases(self, symbol: str) -> dict[str, Any]:
        """The closes that are kept beside an order; none without a recent bar."""
        held = self._bars([symbol], self.now - REACH).get(symbol)
        if held is None or held.closes_at[-1] < np.datetime64(_naive(self.now - _FOUND)):
            return {}
        return bases(held.closes_at, held.close)

    def _bars(self, symbols: Sequence[str], first: datetime) -> dict[str, Series]:
        where = {
            "symbol": list(symbols),
            "frequency": self.frequency.name,
            "session_date": Between(first.date(), self.now.date()),
        }
        rows = with_closes(self.warehouse.read("latest_prices", where, _BARS), self.frequency)
        rows = rows[rows["closed_at"] <= pd.Timestamp(self.now)].sort_values("closed_at")
        return {str(symbol): self._series(str(symbol), bars) for symbol, bars in rows.groupby("symbol")}

    def _series(self, symbol: str, bars: pd.DataFrame) -> Series:
        closes_at = bars["closed_at"].dt.tz_convert(None).to_numpy().astype("datetime64[us]")
        if self.frequency.is_daily:
            opens_at = session_opens(symbol, bars["session_date"].to_numpy().astype("datetime64[D]"))
        else:
            opens_at = closes_at - np.timedelta64(_HOUR)
        factor = (bars["adj_close"] / bars["close"]).to_numpy(np.float64)
        opens, highs, lows = (bars[name].to_numpy(np.float64) * factor for name in ("open", "high", "low"))
        return Series(
            opens_at,
            closes_at,
            opens,
            highs,
            lows,
            bars["adj_close"].to_numpy(np.float64),
            traded_value(*(bars[name].to_numpy(np.float64, na_value=np.nan) for name in ("volume", "close"))),
            bars_a_year(symbol, self.frequency),
        )


def _order(row: Mapping[Any, Any]) -> Sent:
    exits = tuple(float(row[name]) for name in ("stop", "stop_limit", "take"))
    return Sent(
        row["client_id"],
        row["symbol"],
        Side(row["side"]),
        float(row["quantity"]),
        _naive(row["received_at"]),
        exits if math.isfinite(exits[0]) else (),
        bases=_kept(row),
    )


def _parts(rows: pd.DataFrame) -> dict[str, list[Part]]:
    found: dict[str, list[Part]] = {}
    for row in rows.sort_values(["filled_at", "fill_id"]).to_dict("records"):
        quantity, price, fee = (float(row[name]) for name in ("quantity", "price", "fee"))
        made = Part(quantity, price, fee, _naive(row["filled_at"]), _kept(row))
        found.setdefault(row["client_id"], []).append(made)
    return found


def _kept(row: Mapping[Any, Any]) -> Bases:
    return [(float(row[close]), _naive(row[at])) for close, at in BASES.values() if pd.notna(row[at])]


def _ended(rows: pd.DataFrame) -> dict[str, Status]:
    known = {status.value: status for status in Status if not status.open}
    pairs: Iterable[tuple[str, str]] = zip(rows["client_id"], rows["status"], strict=True)
    return {client_id: known[status] for client_id, status in pairs if status in known}


def _report(state: State, filling: bool) -> OrderReport:
    fills = [
        Fill(f"{state.client_id}/{number}", _exact(part.quantity), _exact(part.price), _exact(part.fee), _utc(part.at))
        for number, part in enumerate(state.parts, start=1)
    ]
    return OrderReport(
        state.client_id,
        f"paper-{state.client_id}",
        state.sent.symbol,
        state.side,
        _exact(state.quantity),
        sum((fill.quantity for fill in fills), Decimal(0)),
        state.status,
        state.reason,
        fills,
        _utc(state.at),
        filling,
    )


def _said(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.12g}"


def _exact(value: float) -> Decimal:
    return Decimal(repr(float(value)))


def _naive(moment: Any) -> datetime:
    made: datetime = pd.Timestamp(moment).to_pydatetime()
    return made.astimezone(UTC).replace(tzinfo=None) if made.tzinfo else made


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC)
