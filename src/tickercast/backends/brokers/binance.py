"""Binance's spot test network, by the few signed requests that trading takes.

Binance's own client, binance-sdk-spot, needs a newer certifi and pydantic than are pinned here, so the requests are
made with `requests`: HMAC-SHA256 over the parameters, as Binance's documentation of its REST API says.

What is special about the venue:

- It takes a client id again once the first order of that id is filled, as an order at the market is at once. So an
  order is asked for before it is sent; the same process never sends an id twice.
- A request is looked at for `recvWindow` after its timestamp, and refused later. So an order whose answer was lost, and
  of which nothing is known, is asked for again when that time is over.
- It takes its fee in what is bought, in coins too: the quantity of a fill is what the fill changed the balance by, and
  its fee is that many coins at the fill's price. A fee in a third coin is valued at that minute's price.
- An account begins with an allowance of some four hundred coins. About once a month the network is reset: balances are
  the allowance again, and no order is known any more.
"""

import hashlib
import hmac
import json
import re
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

import requests

from tickercast.backends.brokers.venue import (
    TIMEOUT_S,
    UNREADABLE,
    as_far_as_reported,
    asking,
    decimal,
    milliseconds,
    origin_of,
    paused,
    session,
    silent,
    status_of,
    unknown,
    words,
)
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
from tickercast.errors import (
    EngineUnusable,
    OrderRefused,
    StatusUnknown,
    TickercastError,
    Unauthenticated,
    UsageError,
)

ORIGIN = "https://testnet.binance.vision"
"""The address of the test network; nothing here names the live venue."""

NAME = "Binance's test network"

QUOTE = "USDT"
"""The currency in which coins are bought."""

WINDOW_S = 5.0
"""Seconds after which a request that has not arrived is refused; less than an answer is waited for."""

_STATUSES = {
    "NEW": Status.ACCEPTED,
    "PENDING_NEW": Status.ACCEPTED,
    "PENDING_CANCEL": Status.ACCEPTED,
    "PARTIALLY_FILLED": Status.PARTIALLY_FILLED,
    "FILLED": Status.FILLED,
    "CANCELED": Status.CANCELLED,
    "REJECTED": Status.REJECTED,
    "EXPIRED": Status.EXPIRED,
    "EXPIRED_IN_MATCH": Status.EXPIRED,
}
_WRONG_KEYS = {-1002, -1022, -2014, -2015}
_ASKED_TOO_OFTEN = {-1003, -1015}
_MAYBE_TAKEN = {-1000, -1001, -1006, -1007}
_CLOCK, _BAD_SYMBOL, _REJECTED, _CANNOT_CANCEL, _NO_SUCH_ORDER = -1021, -1121, -2010, -2011, -2013
_NOT_LOOKED_AT = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.IM_A_TEAPOT, HTTPStatus.FORBIDDEN}  # 403: its firewall
_HELD = {"omitZeroBalances": "true"}
_PAGE = 1000
_MARGIN_S = 1.0


class BinanceTestnet:
    """An account of Binance's spot test network; see `ports.Broker`.

    Args:
        key: an HMAC key of the test network.
        secret: the secret of the key.
        symbols: the symbols that count, as they are stored (`BTCUSDT` or `BTC-USD`); empty: every coin that is held and
            trades against USDT, spelled `BTCUSDT`.
        stand_in: the origin of a stand-in, for tests.
        timeout: seconds to connect, and to wait for an answer.
        now: this machine's clock.
        ticks: seconds that never run backwards.
        sleep: waits for some seconds.

    Raises:
        UsageError: the stand-in is not on this machine, or a symbol trades against something else than USDT.
    """

    simulated = False

    def __init__(
        self,
        key: str,
        secret: str,
        *,
        symbols: Sequence[str] = (),
        stand_in: str = "",
        timeout: tuple[float, float] = TIMEOUT_S,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        ticks: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.url = f"binance-testnet://{'?symbols=' if symbols else ''}{','.join(symbols)}"
        self._origin = origin_of(ORIGIN, stand_in)
        self._session = session({self._origin}, timeout)
        self._session.headers["X-MBX-APIKEY"] = key
        self._key, self._secret = key, secret
        self._now, self._ticks, self._sleep = now, ticks, sleep
        self._names = {_pair(symbol): symbol for symbol in symbols}
        self._ahead_ms = 0  # the venue's clock before ours
        self._unsure: dict[str, float] = {}  # orders of which nothing is known, and since when

    def account(self) -> Account:
        """The account: USDT, and the coins that count at their last prices."""
        with asking(NAME):
            seen = self._signed("GET", "/api/v3/account", _HELD)
            held = self._held(seen)
            money = next((each for each in seen["balances"] if each["asset"] == QUOTE), {"free": 0, "locked": 0})
            cash = decimal(money["free"]) + decimal(money["locked"])
            return Account(
                account_id=f"…{str(seen['uid'])[-3:]}",
                currency=QUOTE,
                cash=cash,
                equity=cash + sum((each.quantity * each.price for each in held), ZERO),
                buying_power=decimal(money["free"]),
            )

    def positions(self) -> Sequence[Position]:
        """The balances of coins, with what open orders hold; Binance says no average price."""
        with asking(NAME):
            return self._held(self._signed("GET", "/api/v3/account", _HELD))

    def open_orders(self) -> Sequence[OrderReport]:
        """The open orders of all symbols."""
        with asking(NAME):
            found = self._signed("GET", "/api/v3/openOrders", {})
            return [self._report(each, self._trades(each)) for each in sorted(found, key=lambda each: each["time"])]

    def submit(self, order: Order) -> OrderReport:
        """Order once, after asking whether the id is taken; what is filled at once, `order` says."""
        if order.bracket:
            raise OrderRefused(
                f"{NAME} takes no bracket with an order at the market: its lists of orders begin with a limit order. "
                "Leave the bracket out, and let the strategy sell."
            )
        pair = _pair(order.symbol)
        if order.client_id in self._unsure or self._find(order.client_id, pair) is not None:
            raise unknown(NAME, "an order of this id was sent before", order.client_id)
        try:
            with asking(NAME, order.client_id):
                fields = {
                    "symbol": pair,
                    "side": order.side.value.upper(),
                    "type": "MARKET",
                    "quantity": f"{order.quantity:f}",
                    "newClientOrderId": order.client_id,
                    "newOrderRespType": "RESULT",
                }
                seen = self._signed("POST", "/api/v3/order", fields, order=order.client_id)
                return self._report({**seen, "updateTime": seen["transactTime"]}, [], order.symbol)
        except StatusUnknown:
            self._unsure[order.client_id] = self._ticks()
            raise

    def order(self, client_id: str, symbol: str) -> OrderReport | None:
        """The state of an order; one that may still be on its way is waited for."""
        pair = _pair(symbol)
        found = self._find(client_id, pair)
        if found is None and client_id in self._unsure:
            self._sleep(max(self._unsure[client_id] + WINDOW_S + _MARGIN_S - self._ticks(), 0.0))
            found = self._find(client_id, pair)
        self._unsure.pop(client_id, None)
        with asking(NAME):
            return None if found is None else self._report(found, self._trades(found), symbol)

    def cancel(self, client_id: str, symbol: str) -> None:
        """Take an order back."""
        asked = {"symbol": _pair(symbol), "origClientOrderId": client_id}
        self._signed("DELETE", "/api/v3/order", asked, allowed={_CANNOT_CANCEL, _NO_SUCH_ORDER, _BAD_SYMBOL})

    def clock(self) -> Clock:
        """The network's time; it never closes."""
        now = milliseconds(self._server_time())
        return Clock(now=now, open=True, next_open=now)

    def rules(self, symbols: Sequence[str]) -> Mapping[str, Rules]:
        """The rules for orders at the market, by the filters of the symbols; nothing is sold short."""
        pairs = {symbol: _pair(symbol) for symbol in symbols if _PAIR.fullmatch(symbol)}
        with asking(NAME):
            listed = self._listed(sorted(set(pairs.values()))) if pairs else {}
            return {symbol: _rules(symbol, listed[pair]) for symbol, pair in pairs.items() if pair in listed}

    # ------------------------------------------------------------ what is asked

    def _listed(self, pairs: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
        """The exchange's entries for pairs; where it does not know one of them, each is asked for by itself."""
        asked = json.dumps(pairs, separators=(",", ":"))
        seen = self._public("/api/v3/exchangeInfo", allowed={_BAD_SYMBOL}, symbols=asked)
        if seen is not None:
            return {each["symbol"]: each for each in seen["symbols"]}
        return {} if len(pairs) == 1 else {name: each for pair in pairs for name, each in self._listed([pair]).items()}

    def _find(self, client_id: str, pair: str) -> Any:
        asked = {"symbol": pair, "origClientOrderId": client_id}
        return self._signed("GET", "/api/v3/order", asked, allowed={_NO_SUCH_ORDER, _BAD_SYMBOL})

    def _trades(self, order: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
        """The trades of an order, the oldest first, page by page."""
        found: list[Mapping[str, Any]] = []
        asked = {"symbol": order["symbol"], "orderId": str(order["orderId"]), "limit": str(_PAGE)}
        while decimal(order["executedQty"]):
            page = self._signed("GET", "/api/v3/myTrades", asked)
            found += page
            if len(page) < _PAGE:
                break
            asked["fromId"] = str(page[-1]["id"] + 1)
        return found

    def _held(self, account: Mapping[str, Any]) -> Sequence[Position]:
        """The coins that count, sorted by symbol; one that is not listed any more has the price 0."""
        prices = {each["symbol"]: decimal(each["price"]) for each in self._public("/api/v3/ticker/price")}
        sizes = {f"{one['asset']}{QUOTE}": decimal(one["free"]) + decimal(one["locked"]) for one in account["balances"]}
        counted = {pair: size for pair, size in sizes.items() if size and pair in (self._names or prices)}
        held = [
            Position(self._names.get(pair, pair), size, None, prices.get(pair, ZERO)) for pair, size in counted.items()
        ]
        return sorted(held, key=lambda position: position.symbol)

    def _price_at(self, pair: str, when_ms: int) -> Decimal:
        """The last price of a minute."""
        bars = self._public("/api/v3/klines", symbol=pair, interval="1m", endTime=str(when_ms), limit="1")
        return decimal(bars[0][4])

    def _server_time(self) -> int:
        with asking(NAME):
            return int(self._public("/api/v3/time")["serverTime"])

    # ------------------------------------------------------------ what is read

    def _report(self, seen: Mapping[str, Any], trades: Sequence[Mapping[str, Any]], symbol: str = "") -> OrderReport:
        traded = sum((decimal(each["qty"]) for each in trades), ZERO)
        side = Side(seen["side"].lower())
        status, reason = status_of(seen["status"], _STATUSES, NAME)
        status, filled = as_far_as_reported(status, decimal(seen["executedQty"]), traded)
        return OrderReport(
            client_id=str(seen["clientOrderId"]),
            venue_id=str(seen["orderId"]),
            symbol=symbol or self._names.get(seen["symbol"], seen["symbol"]),
            side=side,
            quantity=decimal(seen["origQty"]),
            filled=filled,
            status=status,
            reason=reason,
            fills=[self._fill(seen["symbol"], side, each) for each in trades],
            reported_at=milliseconds(seen["updateTime"]),
        )

    def _fill(self, pair: str, side: Side, trade: Mapping[str, Any]) -> Fill:
        """A trade with its fee in USDT, and the quantity by which it changed the balance of the coin."""
        quantity, price, fee = (decimal(trade[name]) for name in ("qty", "price", "commission"))
        paid_in = f"{trade['commissionAsset']}{QUOTE}"
        if paid_in == pair:
            quantity += -fee if side is Side.BUY else fee
            fee *= price
        elif fee and paid_in != f"{QUOTE}{QUOTE}":
            fee *= self._price_at(paid_in, int(trade["time"]))
        return Fill(f"{pair}-{trade['id']}", quantity, price, fee, milliseconds(trade["time"]))

    # ------------------------------------------------------------ requests

    def _signed(
        self, verb: str, path: str, parameters: Mapping[str, str], *, allowed: Collection[int] = (), order: str = ""
    ) -> Any:
        """The answer to a signed request, None where its code is allowed.

        It is sent anew where it was refused for its time, which is known before anything is done with it.
        """
        with asking(NAME, order):
            answer = self._send_signed(verb, path, parameters)
            if _said(answer)[0] == _CLOCK:
                self._ahead_ms = self._server_time() - self._now_ms()
                answer = self._send_signed(verb, path, parameters)
            return self._content(answer, allowed, order)

    def _send_signed(self, verb: str, path: str, parameters: Mapping[str, str]) -> requests.Response:
        timed = {"recvWindow": f"{WINDOW_S * 1000:.0f}", "timestamp": str(self._now_ms() + self._ahead_ms)}
        text = urlencode({**parameters, **timed})
        signature = hmac.new(self._secret.encode(), text.encode(), hashlib.sha256).hexdigest()
        return self._send(verb, path, f"{text}&signature={signature}")

    def _public(self, path: str, *, allowed: Collection[int] = (), **parameters: str) -> Any:
        with asking(NAME):
            return self._content(self._send("GET", path, urlencode(parameters)), allowed, "")

    def _send(self, verb: str, path: str, text: str) -> requests.Response:
        return self._session.request(verb, f"{self._origin}{path}?{text}", allow_redirects=False)

    def _now_ms(self) -> int:
        return int(self._now().timestamp() * 1000)

    def _content(self, answer: requests.Response, allowed: Collection[int], order: str) -> Any:
        """The content of an answer; None where it is a refusal that is allowed.

        Raises:
            Unauthenticated, OrderRefused, StatusUnknown, BrokerUnavailable: as `ports.Broker.submit` says.
            EngineUnusable: the venue refuses this region, or the question.
        """
        if answer.status_code == HTTPStatus.OK:
            return answer.json()
        code, said = _said(answer)
        if code is not None and code in allowed:
            return None
        raise self._refusal(answer, code, words(said, self._key, self._secret) or "no reason given", order)

    def _refusal(self, answer: requests.Response, code: int | None, said: str, order: str) -> TickercastError:
        status = answer.status_code
        if status in _NOT_LOOKED_AT or code in _ASKED_TOO_OFTEN:
            return paused(NAME, answer.headers.get("Retry-After", ""))
        if status == HTTPStatus.UNAUTHORIZED or code in _WRONG_KEYS:
            return Unauthenticated(
                f"{NAME} refuses the keys ({said}): TICKERCAST_BINANCE_TESTNET_KEY and "
                "TICKERCAST_BINANCE_TESTNET_SECRET of an HMAC key were needed. Make a new one on its page, and set "
                "them."
            )
        if status == HTTPStatus.UNAVAILABLE_FOR_LEGAL_REASONS:
            return EngineUnusable(f"{NAME} refuses requests from this region (HTTP 451). Run this elsewhere.")
        if code == _CLOCK:
            return silent(NAME, f"a request is too old when it arrives, by its own clock, too ({said})")
        refuses = HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR and code is not None
        if not refuses or code in _MAYBE_TAKEN:
            reason = f"HTTP {status}: {said}"
            return unknown(NAME, reason, order) if order else silent(NAME, reason)
        if order and code == _REJECTED and "duplicate" in said.lower():
            return unknown(NAME, "it has an order of this id already", order)
        if order:
            return OrderRefused(f"{NAME} refuses order {order}: {said}. Nothing was ordered.")
        return EngineUnusable(f"{NAME} refuses the question (HTTP {status}: {said}). Install the newest release.")


_PAIR = re.compile(r"([A-Z0-9]{1,16}?)(?:-USDT?|USDT)")


def _pair(symbol: str) -> str:
    """A symbol as Binance spells it.

    >>> _pair("BTC-USD"), _pair("BTCUSDT"), _pair("ETH-USDT")
    ('BTCUSDT', 'BTCUSDT', 'ETHUSDT')

    Raises:
        UsageError: the symbol is no coin against USDT.
    """
    named = _PAIR.fullmatch(symbol)
    if not named:
        raise UsageError(
            f"{NAME} does not trade {symbol[:40]}: a coin against {QUOTE} such as BTCUSDT or BTC-USD was needed. "
            "Leave it out."
        )
    return f"{named[1]}{QUOTE}"


def _said(answer: requests.Response) -> tuple[int | None, str]:
    """The code and the words of a refusal; no code where it is none, or not Binance that speaks."""
    if answer.status_code == HTTPStatus.OK:
        return None, ""
    try:
        body = answer.json()
        return int(body["code"]), str(body["msg"])
    except UNREADABLE:
        return None, answer.text


def _rules(symbol: str, listed: Mapping[str, Any]) -> Rules:
    """The rules of orders at the market, from the filters of a symbol; a filter of 0 is switched off.

    >>> lots = {"filterType": "LOT_SIZE", "minQty": "0.001", "maxQty": "900", "stepSize": "0.001"}
    >>> pair = {"status": "TRADING", "isSpotTradingAllowed": True, "orderTypes": ["MARKET"], "filters": [lots]}
    >>> _rules("BTC-USD", pair).lot
    Decimal('0.001')
    """
    filters = {each["filterType"]: each for each in listed["filters"]}
    lots = [filters[name] for name in ("LOT_SIZE", "MARKET_LOT_SIZE") if name in filters]
    least = [filters[name] for name, applies in _LEAST_VALUE if filters.get(name, {}).get(applies)]
    most = [size for size in (decimal(each["maxQty"]) for each in lots) if size]
    return Rules(
        symbol,
        lot=max((decimal(each["stepSize"]) for each in lots), default=ZERO),  # both are powers of ten
        tick=decimal(filters["PRICE_FILTER"]["tickSize"]) if "PRICE_FILTER" in filters else ZERO,
        least_quantity=max((decimal(each["minQty"]) for each in lots), default=ZERO),
        least_value=max((decimal(each["minNotional"]) for each in least), default=ZERO),
        most_quantity=min(most, default=ZERO),
        tradable=listed["status"] == "TRADING" and listed["isSpotTradingAllowed"] and "MARKET" in listed["orderTypes"],
        shortable=False,
    )


_LEAST_VALUE = (("NOTIONAL", "applyMinToMarket"), ("MIN_NOTIONAL", "applyToMarket"))
"""The filters of an order's least value, and what says that they are for orders at the market."""
