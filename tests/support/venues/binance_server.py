"""A stand-in for Binance's spot test network, with the JSON of its documentation, which fails as it does."""

import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from http.client import HTTPMessage
from typing import Any
from urllib.parse import quote_plus

from tests.support.stand_in import Answer, as_json
from tests.support.venues.exchange import KEY, SECRET, ZERO, Placed, VenueServer

_SIGNED = {"recvWindow", "timestamp", "signature"}
_STATUSES = {
    "new": "NEW",
    "partially_filled": "PARTIALLY_FILLED",
    "filled": "FILLED",
    "canceled": "CANCELED",
    "expired": "EXPIRED",
}
_SUBMITTED = {"symbol", "side", "type", "quantity", "newClientOrderId", "newOrderRespType"}
_COINS = {"BTCUSDT": "67000.50", "ETHUSDT": "3500.25", "BNBUSDT": "600.00"}


class BinanceTestnetServer(VenueServer):
    """Serves account, prices, filters, orders and trades; every account begins with an allowance of coins.

    Attributes:
        fee_rate: of a fill.
        fee_coin: what fees are paid in; empty: what is bought.
        skew: how far the venue's clock is ahead of this machine's.
        by_own_clock: whether the time is that of the orders instead, for a day that was.
        filters: of each pair.
    """

    def __init__(self) -> None:
        self.fee_rate = ZERO
        self.fee_coin = ""
        self.skew = timedelta()
        self.by_own_clock = False
        self.filters: list[dict[str, Any]] = [
            {
                "filterType": "PRICE_FILTER",
                "minPrice": "0.01000000",
                "maxPrice": "1000000.00",
                "tickSize": "0.01000000",
            },
            {"filterType": "LOT_SIZE", "minQty": "0.00001000", "maxQty": "9000.00000000", "stepSize": "0.00001000"},
            {"filterType": "MARKET_LOT_SIZE", "minQty": "0.00000000", "maxQty": "118.19", "stepSize": "0.00000000"},
            {"filterType": "NOTIONAL", "minNotional": "5.00000000", "applyMinToMarket": True, "maxNotional": "9000000"},
        ]
        super().__init__("10000", **_COINS)
        self.allowance = {"BTC": Decimal(1), "ETH": Decimal(100), "BNB": Decimal(1000), "ODD": Decimal(5)}
        self.begin()

    def is_submit(self, verb: str, path: str) -> bool:
        return (verb, path) == ("POST", "/api/v3/order")

    def refusal(self, status: int) -> Answer:
        if status in (418, 429):
            body = {"code": -1003, "msg": "Too much request weight used; current limit is 6000 per 1 MINUTE."}
            return as_json(body, status, {"Retry-After": "7"})
        if status == 401:
            return _error(-2015, "Invalid API-key, IP, or permissions for action.", 401)
        if status == 1007:
            return _error(-1007, "Timeout waiting for response from backend server. Execution status unknown.", 408)
        if status in (403, 451):
            return Answer(status, b"<html>blocked</html>")
        return _error(-1013, f"refused with {status}", status)

    def serve(self, verb: str, path: str, asked: dict[str, str], headers: HTTPMessage, content: bytes) -> Answer:
        below = path.removeprefix("/api/v3/")
        known = (self._serve_anybody(below, asked) if verb == "GET" else None) or self._wrong(asked, headers)
        named = {name: value for name, value in asked.items() if name not in _SIGNED}
        return known or self._serve(verb, below, named) or Answer(404, b"<html>not found</html>")

    def _serve_anybody(self, below: str, asked: dict[str, str]) -> Answer | None:
        match below:
            case "time":
                return as_json({"serverTime": self._clock_ms()})
            case "exchangeInfo":
                return self._info(json.loads(asked["symbols"]))
            case "ticker/price":
                return as_json([{"symbol": pair, "price": str(price)} for pair, price in self.prices.items()])
            case "klines":
                at, price = int(asked["endTime"]), str(self.prices[asked["symbol"]])
                return as_json([[at - 60_000, price, price, price, price, "1", at, "1", 1, "1", "1", "0"]])
        return None

    def _serve(self, verb: str, below: str, named: dict[str, str]) -> Answer | None:
        match verb, below:
            case "GET", "account":
                return as_json(self._account())
            case "GET", "openOrders":
                return as_json(
                    [self._order(each) for each in self.orders if each.status in ("new", "partially_filled")]
                )
            case "GET", "myTrades":
                return as_json(self._trades(named))
            case "POST", "order":
                return self._submit(named)
            case ("GET" | "DELETE") as how, "order":
                if named["symbol"] not in self.prices:
                    return _error(-1121, "Invalid symbol.", 400)
                placed = self.found(named["origClientOrderId"])
                if how == "DELETE":
                    return self._cancel(placed)
                return as_json(self._order(placed)) if placed else _error(-2013, "Order does not exist.", 400)
        return None

    def _wrong(self, asked: dict[str, str], headers: HTTPMessage) -> Answer | None:
        if headers["X-MBX-APIKEY"] != KEY:
            return _error(-2015, "Invalid API-key, IP, or permissions for action.", 401)
        signed = "&".join(f"{name}={quote_plus(value)}" for name, value in asked.items() if name != "signature")
        if not hmac.compare_digest(
            hmac.new(SECRET.encode(), signed.encode(), hashlib.sha256).hexdigest(), asked["signature"]
        ):
            return _error(-1022, "Signature for this request is not valid.", 400)
        behind = self._clock_ms() - int(asked["timestamp"])
        if not -1000 < behind <= int(asked["recvWindow"]):
            return _error(-1021, "Timestamp for this request is outside of the recvWindow.", 400)
        return None

    # ------------------------------------------------------------ orders

    def _submit(self, named: dict[str, str]) -> Answer:
        self.posts.append(named["newClientOrderId"])
        if set(named) != _SUBMITTED or named["type"] != "MARKET":
            return _error(-1104, "Not all sent parameters were read.", 400)
        if named["symbol"] not in self.prices:
            return _error(-1121, "Invalid symbol.", 400)
        before = self.found(named["newClientOrderId"])
        if before and before.status in ("new", "partially_filled"):
            return _error(-2010, "Duplicate order sent.", 400)
        quantity, side = Decimal(named["quantity"]), named["side"].lower()
        coin, price = self.coin(named["symbol"]), self.prices[named["symbol"]]
        if quantity % Decimal("0.00001"):
            return _error(-1013, "Filter failure: LOT_SIZE", 400)
        if quantity * price < 5:
            return _error(-1013, "Filter failure: NOTIONAL", 400)
        if (side == "buy" and quantity * price > self.cash) or (
            side == "sell" and quantity > self.held.get(coin, ZERO)
        ):
            return _error(-2010, "Account has insufficient balance for requested action.", 400)
        placed = self.place(named["newClientOrderId"], named["symbol"], side, quantity, "market")
        answered = self._order(placed) | {"transactTime": _ms(placed.updated)}
        return as_json({name: value for name, value in answered.items() if name not in ("time", "updateTime")})

    def _cancel(self, placed: Placed | None) -> Answer:
        if placed is None or placed.status not in ("new", "partially_filled"):
            return _error(-2011, "Unknown order sent.", 400)
        self.end(placed, "canceled")
        return as_json(self._order(placed))

    def _order(self, placed: Placed) -> dict[str, Any]:
        paid = sum((part.quantity * part.price for part in placed.parts), ZERO)
        return {
            "symbol": placed.symbol,
            "orderId": placed.number,
            "orderListId": -1,
            "clientOrderId": placed.client_id,
            "price": "0.00000000",
            "origQty": f"{placed.quantity:.8f}",
            "executedQty": f"{placed.filled:.8f}",
            "cummulativeQuoteQty": f"{paid:.8f}",
            "status": _STATUSES.get(placed.status, placed.status.upper()),
            "timeInForce": "GTC",
            "type": "MARKET",
            "side": placed.side.upper(),
            "stopPrice": "0.00000000",
            "icebergQty": "0.00000000",
            "time": _ms(placed.created),
            "updateTime": _ms(placed.updated),
            "isWorking": True,
            "workingTime": _ms(placed.created),
            "origQuoteOrderQty": "0.00000000",
            "selfTradePreventionMode": "EXPIRE_MAKER",
        }

    def _trades(self, named: dict[str, str]) -> list[dict[str, Any]]:
        placed = next(each for each in self.orders if each.number == int(named["orderId"]))
        parts = [part for part in placed.parts if self.told and part.fill_id >= int(named.get("fromId", 0))]
        return [
            {
                "symbol": placed.symbol,
                "id": part.fill_id,
                "orderId": placed.number,
                "orderListId": -1,
                "price": f"{part.price:.8f}",
                "qty": f"{part.quantity:.8f}",
                "quoteQty": f"{part.quantity * part.price:.8f}",
                "commission": f"{part.fee:.8f}",
                "commissionAsset": part.fee_in,
                "time": _ms(part.at),
                "isBuyer": placed.side == "buy",
                "isMaker": False,
                "isBestMatch": True,
            }
            for part in parts[: int(named["limit"])]
        ]

    def fee(self, placed: Placed, quantity: Decimal, price: Decimal) -> tuple[Decimal, str]:
        paid_in = self.fee_coin or (self.coin(placed.symbol) if placed.side == "buy" else "USDT")
        worth = {"USDT": quantity * price, self.coin(placed.symbol): quantity}
        amount = worth.get(paid_in, quantity * price / self.prices.get(f"{paid_in}USDT", price))
        return (amount * self.fee_rate).quantize(Decimal("1e-8")), paid_in

    def add(self, name: str, quantity: Decimal) -> None:
        if name == "USDT":
            self.cash += quantity
        else:
            super().add(name, quantity)

    # ------------------------------------------------------------ the account

    def coin(self, symbol: str) -> str:
        return symbol.removesuffix("USDT")

    def _account(self) -> dict[str, Any]:
        held = {"USDT": self.cash, **self.held}
        return {
            "makerCommission": 0,
            "takerCommission": 0,
            "canTrade": True,
            "updateTime": _ms(self.now),
            "accountType": "SPOT",
            "balances": [{"asset": name, "free": f"{size:.8f}", "locked": "0.00000000"} for name, size in held.items()],
            "permissions": ["SPOT"],
            "uid": 354937868,
        }

    def _info(self, pairs: list[str]) -> Answer:
        if set(pairs) - set(self.prices):
            return _error(-1121, "Invalid symbol.", 400)
        listed = [
            {
                "symbol": pair,
                "status": "TRADING",
                "baseAsset": self.coin(pair),
                "quoteAsset": "USDT",
                "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT"],
                "isSpotTradingAllowed": True,
                "filters": self.filters,
            }
            for pair in pairs
        ]
        return as_json({"timezone": "UTC", "serverTime": self._clock_ms(), "symbols": listed})

    def _clock_ms(self) -> int:
        return _ms(self.now if self.by_own_clock else datetime.now(UTC) + self.skew)


def _error(code: int, message: str, status: int) -> Answer:
    return as_json({"code": code, "msg": message}, status)


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)
