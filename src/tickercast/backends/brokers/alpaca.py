"""Alpaca's paper trading, by alpaca-py.

alpaca-py repeats a request that is answered by 429 or 504, orders too, and waits for an answer without end: here it
repeats nothing, and every request has a timeout. Answers are read as they are sent, since alpaca-py's own types turn
some numbers into floats and refuse values that Alpaca has added.

A client id is taken once and for ever, so an order whose answer was lost can be asked for, or sent anew, without harm.
Alpaca takes no fees of stocks on paper. Of coins it takes the taker's fee of the account's tier from what is got, at
once, and its fills do not say so: here the quantity of a fill is what the fill changed the position by.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from alpaca.common.exceptions import APIError, RetryException
from alpaca.trading.client import TradingClient

from tickercast.backends.brokers.venue import (
    TIMEOUT_S,
    UNREADABLE,
    as_far_as_reported,
    asking,
    decimal,
    moment,
    origin_of,
    paused,
    session,
    silent,
    status_of,
    unknown,
    words,
)
from tickercast.domain.asset_classes import CRYPTO, asset_class
from tickercast.domain.trading.orders import (
    ZERO,
    Account,
    Bracket,
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
from tickercast.errors import BrokerUnavailable, EngineUnusable, OrderRefused, TickercastError, Unauthenticated

ORIGIN = "https://paper-api.alpaca.markets"
"""The address of paper trading; nothing here names the live venue."""

DATA_ORIGIN = "https://data.alpaca.markets"
"""The address of last prices; nothing can be ordered there."""

NAME = "Alpaca's paper trading"

_STATUSES = {
    "partially_filled": Status.PARTIALLY_FILLED,
    "filled": Status.FILLED,
    "canceled": Status.CANCELLED,
    "replaced": Status.CANCELLED,
    "expired": Status.EXPIRED,
    "rejected": Status.REJECTED,
} | dict.fromkeys(
    (
        *("new", "accepted", "pending_new", "accepted_for_bidding", "pending_review", "held", "calculated", "stopped"),
        *("suspended", "done_for_day", "pending_cancel", "pending_replace"),
    ),
    Status.ACCEPTED,
)
_DUPLICATE = re.compile(r"client.?order.?id must be unique", re.IGNORECASE)
_UNKNOWN_KEYS = 40110000
_FRACTION = Decimal("0.000000001")  # the smallest part of a share
_CENT, _PART_OF_A_CENT = Decimal("0.01"), Decimal("0.0001")
_WITH_EXITS = ("bracket", "oto", "oco")
_EXIT = exit_id("")
_TAKER = [Decimal(bps) / 10_000 for bps in (25, 22, 20, 18, 15, 13, 12, 10)]
"""The taker's fee of coins by the account's tier, from 1 on; docs.alpaca.markets, "Crypto fees".

An account that has no tier yet, 0 or none, pays that of the first, which begins at a volume of 0.
"""

_PAGE, _FILLS_PAGE = 500, 100
_SLACK = timedelta(minutes=1)  # the two lists of a venue are not of one moment


class AlpacaPaper:
    """An account of Alpaca's paper trading; see `ports.Broker`.

    Args:
        key: the id of a key for paper trading.
        secret: the secret of the key.
        stand_in: the origin of a stand-in, for tests.
        timeout: seconds to connect, and to wait for an answer.

    Raises:
        UsageError: the stand-in is not on this machine.
    """

    url = "alpaca-paper://"
    simulated = False

    def __init__(self, key: str, secret: str, *, stand_in: str = "", timeout: tuple[float, float] = TIMEOUT_S) -> None:
        origin, self._data = origin_of(ORIGIN, stand_in), origin_of(DATA_ORIGIN, stand_in)
        self._secrets = (key, secret)
        self._client = TradingClient(key, secret, paper=True, raw_data=True, url_override=origin)
        self._client._retry = 0
        self._client._session = session({origin, self._data}, timeout)

    def account(self) -> Account:
        """The account; its number is shown but for the last three characters."""
        with self._translated():
            seen: Any = self._client.get_account()
            return Account(
                account_id=f"…{str(seen['account_number'])[-3:]}",
                currency=str(seen["currency"]),
                cash=decimal(seen["cash"]),
                equity=decimal(seen["equity"]),
                buying_power=decimal(seen["buying_power"]),
            )

    def positions(self) -> Sequence[Position]:
        """All positions, short ones too."""
        with self._translated():
            found: Any = self._client.get_all_positions()
            return sorted((_position(each) for each in found), key=lambda position: position.symbol)

    def open_orders(self) -> Sequence[OrderReport]:
        """The open orders; the two exits of a bracket are one, from its entry's first fill on."""
        with self._translated():
            found = list(self._orders({"status": "open", "nested": "false"}))
            entries = self._entries([each for each in found if each.get("order_class") in _WITH_EXITS])
            fills = self._fills([*found, *(leg for entry in entries.values() for leg in entry["legs"])])
            alone = [_report(each, fills) for each in found if each["id"] not in entries]
            bracketed = {entry["id"]: entry for each in found if (entry := entries.get(each["id"]))}
            exits = [_exit(entry, fills) for entry in bracketed.values()]
            return sorted([*alone, *(each for each in exits if each)], key=lambda report: report.reported_at)

    def submit(self, order: Order) -> OrderReport:
        """Order once: for the day, crypto and orders with a bracket until they are cancelled."""
        symbol = in_alpacas_spelling(order.symbol)
        if not symbol:
            raise OrderRefused(
                f"{NAME} does not trade {order.symbol}: an American stock or fund such as BRK-B, or a coin such as "
                "BTC-USD, was needed. Leave it out."
            )
        is_crypto = asset_class(order.symbol) == CRYPTO
        fields = {
            "symbol": symbol,
            "qty": f"{order.quantity:f}",  # alpaca-py's own request would make a float of it
            "side": order.side.value,
            "type": "market",
            "time_in_force": "gtc" if is_crypto or order.bracket else "day",
            "client_order_id": order.client_id,
        }
        if order.bracket:
            fields |= self._exits(order, symbol, order.bracket, is_crypto=is_crypto)
        with self._translated(order.client_id):
            return _report(self._client.post("/orders", fields), {})

    def order(self, client_id: str, symbol: str) -> OrderReport | None:
        """The state of an order, or of the exits of its bracket, which are one order here."""
        with self._translated():
            if not client_id.endswith(_EXIT):
                found = self._by_client_id(client_id)
                return None if found is None else _report(found, self._fills([found]))
            entry = self._entry(client_id)
            return None if entry is None else _exit(entry, self._fills(entry["legs"]))

    def cancel(self, client_id: str, symbol: str) -> None:
        """Take an order back, with the exits that wait for it."""
        with self._translated():
            if client_id.endswith(_EXIT):
                entry = self._entry(client_id)
                found = list(entry["legs"]) if entry else []
            else:
                found = [each for each in (self._by_client_id(client_id),) if each]
            for each in found:
                if status_of(each["status"], _STATUSES, NAME)[0].open:
                    self._cancel(each["id"])

    def clock(self) -> Clock:
        """New York's session; coins trade at any time."""
        with self._translated():
            seen: Any = self._client.get_clock()
            return Clock(now=moment(seen["timestamp"]), open=bool(seen["is_open"]), next_open=moment(seen["next_open"]))

    def rules(self, symbols: Sequence[str]) -> Mapping[str, Rules]:
        """The rules of each symbol, one request each; only what is easy to borrow is sold short, in whole shares."""
        with self._translated():
            found = {symbol: self._asset(symbol) for symbol in symbols}
            return {symbol: _rules(symbol, asset) for symbol, asset in found.items() if asset is not None}

    def _asset(self, symbol: str) -> Mapping[str, Any] | None:
        spelled = in_alpacas_spelling(symbol)
        try:
            return _mapping(self._client.get_asset(quote(spelled, safe=""))) if spelled else None
        except APIError as error:
            if _is_missing(error):
                return None
            raise

    def _by_client_id(self, client_id: str) -> Mapping[str, Any] | None:
        try:
            return _mapping(self._client.get_order_by_client_id(client_id))
        except APIError as error:
            if _is_missing(error):
                return None
            raise

    def _entry(self, exit_: str) -> Mapping[str, Any] | None:
        """The entry of a bracket with its exits, by their id; None where there is none."""
        found = self._by_client_id(exit_.removesuffix(_EXIT))
        if found is None or found.get("order_class") not in _WITH_EXITS:
            return None
        return _mapping(self._client.get(f"/orders/{found['id']}", {"nested": "true"}))

    def _entries(self, exits: Sequence[Mapping[str, Any]]) -> Mapping[str, Mapping[str, Any]]:
        """The entries to which exits belong, by the exits' ids."""
        if not exits:
            return {}
        first = min(moment(each["created_at"]) for each in exits) - _SLACK
        symbols = ",".join(sorted({each["symbol"] for each in exits}))
        asked = {"status": "all", "nested": "true", "symbols": symbols, "after": _second(first)}
        return {leg["id"]: entry for entry in self._orders(asked) for leg in entry.get("legs") or ()}

    def _cancel(self, venue_id: str) -> None:
        try:
            self._client.cancel_order_by_id(venue_id)
        except APIError as error:  # it has ended meanwhile
            if error.status_code not in (HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY):
                raise

    def _orders(self, asked: Mapping[str, str]) -> Iterator[Mapping[str, Any]]:
        """Orders, the oldest first, page by page."""
        page_asked = {**asked, "direction": "asc", "limit": str(_PAGE)}
        seen: set[str] = set()
        while True:
            page: Any = self._client.get("/orders", page_asked)
            new = [each for each in page if each["id"] not in seen]
            yield from new
            if len(page) < _PAGE or not new:
                return
            seen |= {each["id"] for each in new}
            page_asked["after"] = page[-1]["submitted_at"]

    def _fills(self, orders: Sequence[Mapping[str, Any]]) -> "_Fills":
        """The fills of orders by the venue's id of the order, from the account's activities; the oldest first."""
        wanted = [each for each in orders if decimal(each["filled_qty"]) > ZERO]
        found: dict[str, list[tuple[Decimal, Fill]]] = {each["id"]: [] for each in wanted}
        if not wanted:
            return found
        asked = {
            "after": _second(min(moment(each["submitted_at"]) for each in wanted) - _SLACK),
            "until": _second(max(moment(each["updated_at"]) for each in wanted) + _SLACK),
            "direction": "asc",
            "page_size": str(_FILLS_PAGE),
        }
        coins = {each["id"] for each in wanted if each["asset_class"] == CRYPTO}
        fee = self._fee_of_coins() if coins else ZERO
        while True:
            page: Any = self._client.get("/account/activities/FILL", asked)
            for each in page:
                if each["order_id"] in found:
                    rate = fee if each["order_id"] in coins else ZERO
                    found[each["order_id"]].append((decimal(each["qty"]), _fill(each, rate)))
            if len(page) < _FILLS_PAGE:
                return found
            asked |= {"page_token": page[-1]["id"]}

    def _fee_of_coins(self) -> Decimal:
        account: Any = self._client.get_account()
        tier = int(account.get("crypto_tier") or 0)
        return _TAKER[min(max(tier, 1), len(_TAKER)) - 1]

    def _exits(self, order: Order, symbol: str, bracket: Bracket, *, is_crypto: bool) -> Mapping[str, Any]:
        """The fields of a bracket, its prices round the last trade; nothing is sent where Alpaca takes none."""
        if is_crypto:
            raise OrderRefused(f"{NAME} takes no bracket with a coin such as {order.symbol}. Leave the bracket out.")
        if order.quantity % 1:
            raise OrderRefused(
                f"{NAME} takes a bracket with whole shares alone, and {order.quantity:f} of {order.symbol} were to be "
                "ordered. Round the quantity, or leave the bracket out."
            )
        with self._translated():
            path = f"/stocks/{quote(symbol, safe='')}/trades/latest"
            latest: Any = self._client.get(path, {"feed": "iex"}, base_url=self._data)
            last = decimal(latest["trade"]["p"])
            if last <= ZERO:
                raise ValueError(last)
        tick = _CENT if last >= 1 else _PART_OF_A_CENT
        against = -1 if order.side is Side.BUY else 1
        at = Rules(order.symbol, tick=tick).price
        return {
            "order_class": "bracket",
            "take_profit": {"limit_price": f"{at(last * (1 - against * bracket.take)):f}"},
            "stop_loss": {
                "stop_price": f"{at(last * (1 + against * bracket.stop)):f}",
                "limit_price": f"{at(last * (1 + against * bracket.limit)):f}",
            },
        }

    @contextmanager
    def _translated(self, client_id: str = "") -> Iterator[None]:
        with translated(client_id, *self._secrets):
            yield


@contextmanager
def translated(client_id: str = "", *secrets: str) -> Iterator[None]:
    """Turn what alpaca-py, its transport and the reading of answers raise into errors of ours.

    Args:
        client_id: the client id of the order that is sent; empty for a question.
        secrets: the texts that are never quoted.

    Raises:
        Unauthenticated, OrderRefused, StatusUnknown, BrokerUnavailable: as `ports.Broker.submit` says.
    """
    with asking(NAME, client_id):
        try:
            yield
        except APIError as error:
            raise _refusal(error, client_id, secrets) from None
        except RetryException:  # the library's own wish to repeat, which is not granted
            raise _failed("it was asked to wait", client_id) from None


def _refusal(error: APIError, client_id: str, secrets: Sequence[str]) -> TickercastError:
    answer = getattr(error.response, "headers", {})
    status = error.status_code or 0
    code, said = _said(error, secrets)
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return paused(NAME, answer.get("Retry-After") or answer.get("X-RateLimit-Reset") or "")
    if status == HTTPStatus.UNAUTHORIZED or (status == HTTPStatus.FORBIDDEN and code in (None, _UNKNOWN_KEYS)):
        return Unauthenticated(
            f"{NAME} refuses the keys (HTTP {status}: {said}): TICKERCAST_ALPACA_KEY and TICKERCAST_ALPACA_SECRET of a "
            "paper account were needed. Make new ones on its page, and set them."
        )
    if client_id and _DUPLICATE.search(said):
        return unknown(NAME, "it has an order of this id already", client_id)
    refuses = HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR and code is not None
    if not refuses or status == HTTPStatus.REQUEST_TIMEOUT:
        return _failed(f"HTTP {status}: {said}", client_id)
    if client_id:
        return OrderRefused(f"{NAME} refuses order {client_id}: {said}. Nothing was ordered.")
    return EngineUnusable(f"{NAME} refuses the question (HTTP {status}: {said}). Look at the account on its page.")


def _failed(reason: str, client_id: str) -> BrokerUnavailable:
    return unknown(NAME, reason, client_id) if client_id else silent(NAME, reason)


def _is_missing(error: APIError) -> bool:
    """Whether Alpaca itself says that it has no such thing; a page of somebody between us says nothing."""
    return error.status_code == HTTPStatus.NOT_FOUND and _said(error, ())[0] is not None


def _said(error: APIError, secrets: Sequence[str]) -> tuple[int | None, str]:
    """The code and the words of a refusal; no code where it is not Alpaca that speaks."""
    text = str(error)
    try:
        code, text = int(error.code), str(error.message)
    except UNREADABLE:
        code = None
    return code, words(text, *secrets) or "no reason given"


_Fills = Mapping[str, Sequence[tuple[Decimal, Fill]]]
"""The fills of orders by the venue's id of the order, each with the quantity that was executed."""


def in_alpacas_spelling(symbol: str) -> str:
    """A symbol as Alpaca spells it; empty if it can trade none of that name.

    >>> [in_alpacas_spelling(symbol) for symbol in ("MSFT", "BRK-B", "BAC-PL", "BTC-USD", "VOD.L", "^GSPC")]
    ['MSFT', 'BRK.B', 'BAC.PRL', 'BTC/USD', '', '']
    """
    if asset_class(symbol) == CRYPTO:
        return symbol.replace("-", "/")
    if not re.fullmatch(r"[A-Z0-9]+(-[A-Z]+)?", symbol):
        return ""
    return re.sub(r"-P([A-Z])$", r".PR\1", symbol).replace("-", ".")


def in_yahoos_spelling(symbol: str, kind: str) -> str:
    """A symbol of Alpaca as it is stored here.

    >>> in_yahoos_spelling("BRK.B", "us_equity"), in_yahoos_spelling("BTC/USD", "crypto")
    ('BRK-B', 'BTC-USD')
    >>> in_yahoos_spelling("BTCUSD", "crypto"), in_yahoos_spelling("BAC.PRL", "us_equity")
    ('BTC-USD', 'BAC-PL')
    """
    if kind == CRYPTO:  # Alpaca calls it so, too
        return re.sub(r"^([A-Z0-9]+?)/?(USDT|USDC|USD|BTC)$", r"\1-\2", symbol)
    return re.sub(r"\.PR([A-Z])$", r"-P\1", symbol).replace(".", "-")


def _report(seen: Any, fills: _Fills) -> OrderReport:
    """An order as Alpaca gives it, with those of its fills that are known."""
    known = fills.get(seen["id"], ())
    reported = sum((executed for executed, _ in known), ZERO)
    status, reason = status_of(seen["status"], _STATUSES, NAME)
    status, filled = as_far_as_reported(status, decimal(seen["filled_qty"]), reported)
    if status is Status.ACCEPTED and filled:
        status = Status.PARTIALLY_FILLED
    return OrderReport(
        client_id=str(seen["client_order_id"]),
        venue_id=str(seen["id"]),
        symbol=in_yahoos_spelling(seen["symbol"], seen["asset_class"]),
        side=Side(seen["side"]),
        quantity=decimal(seen["qty"] or filled),  # an order of an amount has none
        filled=filled,
        status=status,
        reason=reason,
        fills=[fill for _, fill in known],
        reported_at=moment(seen["updated_at"]),
    )


def _exit(entry: Mapping[str, Any], fills: _Fills) -> OrderReport | None:
    """The exits of a bracket as one order, of which one is filled; None until its entry has a first fill."""
    if not entry["legs"] or not decimal(entry["filled_qty"]):
        return None
    legs = [_report(leg, fills) for leg in entry["legs"]]
    # The one that was filled tells how it ended; else one that is open, since the other may wait for its turn.
    leading = max(legs, key=lambda leg: (leg.filled, leg.status.open))
    return replace(leading, client_id=exit_id(str(entry["client_order_id"])))


def _fill(seen: Mapping[str, Any], rate: Decimal) -> Fill:
    """A fill, and its fee at a rate of what is got: coins for a buy, money for a sale."""
    quantity, price = decimal(seen["qty"]), decimal(seen["price"])
    return Fill(
        fill_id=str(seen["id"]),
        quantity=quantity * (1 - rate) if seen["side"] == "buy" else quantity,
        price=price,
        fee=quantity * price * rate,
        filled_at=moment(seen["transaction_time"]),
    )


def _position(seen: Mapping[str, Any]) -> Position:
    size = abs(decimal(seen["qty"]))
    return Position(
        symbol=in_yahoos_spelling(seen["symbol"], seen["asset_class"]),
        quantity=-size if seen["side"] == "short" else size,
        average_price=decimal(seen["avg_entry_price"]),
        price=decimal(seen["current_price"] or seen["lastday_price"] or 0),  # none of what is not listed any more
    )


def _rules(symbol: str, asset: Mapping[str, Any]) -> Rules:
    tradable = bool(asset["tradable"]) and asset["status"] == "active"
    if asset["class"] == CRYPTO:
        return Rules(
            symbol,
            lot=decimal(asset["min_trade_increment"]),
            tick=decimal(asset["price_increment"]),
            least_quantity=decimal(asset["min_order_size"]),
            tradable=tradable,
            shortable=False,
        )
    fractionable = bool(asset["fractionable"])
    lot = _FRACTION if fractionable else Decimal(1)
    return Rules(
        symbol,
        lot=lot,
        tick=_CENT,
        least_quantity=lot,
        least_value=Decimal(1) if fractionable else ZERO,
        tradable=tradable,
        shortable=bool(asset["shortable"]) and bool(asset["easy_to_borrow"]),
        short_lot=Decimal(1),
    )


def _mapping(seen: Any) -> Mapping[str, Any]:
    if not isinstance(seen, dict):
        raise TypeError(type(seen).__name__)
    return seen


def _second(when: datetime) -> str:
    return f"{when:%Y-%m-%dT%H:%M:%SZ}"
