"""A stand-in for Alpaca's paper trading, with the JSON of its documentation, which refuses and fails as it does."""

import json
import re
import uuid
from datetime import datetime, timedelta
from decimal import Decimal
from http.client import HTTPMessage
from typing import Any

from tests.support.stand_in import Answer, as_json
from tests.support.venues.exchange import KEY, SECRET, ZERO, Placed, VenueServer

_FIELDS = {
    *("symbol", "qty", "side", "type", "time_in_force", "client_order_id"),
    *("order_class", "take_profit", "stop_loss"),
}
_OPEN = ("new", "partially_filled", "held")
_WORKING = (*_OPEN, "pending_cancel")
_ACTIVITIES = {"after", "until", "direction", "page_size", "page_token"}
_ORDERS = {"status", "nested", "direction", "limit", "after", "symbols"}


class AlpacaServer(VenueServer):
    """Serves account, assets, clock, positions, orders, fills and last trades.

    Attributes:
        assets: what an asset is beside the usual, by symbol.
        is_open: whether New York's session is on.
        cancels: whether it takes orders back at once; else `take_back` does, as after hours.
        page_size: the most that a list of fills holds.
        sent: the fields of the orders that arrived.
        number: of the account.
    """

    def __init__(self) -> None:
        self.assets: dict[str, dict[str, Any]] = {"PENNY": {"fractionable": False, "shortable": False}}
        self.is_open = True
        self.cancels = True
        self.page_size = 100
        self.sent: list[dict[str, Any]] = []
        self.number = "PA3ABCDEF789"
        self.tier = {"crypto_tier": 2}
        super().__init__("100000", **{"MSFT": "420.55", "BRK.B": "410.1", "PENNY": "0.5", "BTC/USD": "67000.5"})

    def is_submit(self, verb: str, path: str) -> bool:
        return (verb, path) == ("POST", "/v2/orders")

    def refusal(self, status: int) -> Answer:
        if status == 401:
            return _error(40110000, "request is not authorized", 401)
        if status == 429:
            return Answer(
                429, b'{"code": 42910000, "message": "rate limit exceeded"}', {"X-RateLimit-Reset": "1718028000"}
            )
        return _error(status * 100_000, f"refused with {status}", status)

    def serve(self, verb: str, path: str, asked: dict[str, str], headers: HTTPMessage, content: bytes) -> Answer:
        if (headers["APCA-API-KEY-ID"], headers["APCA-API-SECRET-KEY"]) != (KEY, SECRET):
            return self.refusal(401)
        below = path.removeprefix("/v2/").split("/")
        done = self._serve_orders(verb, below, asked, content) or (self._serve(below, asked) if verb == "GET" else None)
        return done or _error(40410000, f"endpoint not found: {verb} {path} {asked}", 404)

    def _serve(self, below: list[str], asked: dict[str, str]) -> Answer | None:
        match below:
            case ["account"]:
                return as_json(self._account())
            case ["account", "activities", "FILL"] if set(asked) <= _ACTIVITIES:
                return as_json(self._activities(asked))
            case ["clock"]:
                return as_json(self._clock())
            case ["assets", *name]:
                return self._asset("/".join(name))
            case ["positions"]:
                return as_json([self._position(name, size) for name, size in self.held.items()])
            case ["stocks", symbol, "trades", "latest"] if symbol in self.prices:
                trade = {"t": _written(self.now), "x": "V", "p": float(self.prices[symbol]), "s": 100, "z": "C"}
                return as_json({"symbol": symbol, "trade": trade})
        return None

    def _serve_orders(self, verb: str, below: list[str], asked: dict[str, str], content: bytes) -> Answer | None:
        match verb, below:
            case "GET", ["orders"] if set(asked) <= _ORDERS:
                return as_json(self._orders(asked))
            case "GET", ["orders:by_client_order_id"]:
                placed = self.found(asked["client_order_id"])
                return as_json(self._order(placed)) if placed else _missing(asked["client_order_id"])
            case "GET", ["orders", number] if set(asked) <= {"nested"}:
                return as_json(self._order(self._by_id(number), nested=asked.get("nested") == "true"))
            case "DELETE", ["orders", number]:
                return self._cancel(self._by_id(number))
            case "POST", ["orders"]:
                return self._submit(json.loads(content))
        return None

    def meet(self, placed: Placed, kind: str) -> None:
        """Let the price meet one exit of a bracket, which cancels the other."""
        for leg in placed.legs:
            if leg.kind == kind:
                self.fill(leg, leg.quantity)
            else:
                self.end(leg, "canceled")

    def take_back(self) -> None:
        """Take back the orders that wait for it."""
        for placed in self.orders:
            if placed.status == "pending_cancel":
                self.end(placed, "canceled")

    # ------------------------------------------------------------ orders

    def _submit(self, fields: dict[str, Any]) -> Answer:
        self.sent.append(fields)
        self.posts.append(fields["client_order_id"])
        symbol, quantity = fields["symbol"], Decimal(fields["qty"])
        is_crypto, is_bracket = "/" in symbol, fields.get("order_class") == "bracket"
        if set(fields) - _FIELDS or not isinstance(fields["qty"], str) or quantity <= 0:
            return _error(40010001, f"unexpected fields: {sorted(fields)}", 400)
        if self.found(fields["client_order_id"]):
            return _error(40010001, "client_order_id must be unique", 422)
        if symbol not in self.prices:
            return _error(42210000, f'asset "{symbol}" not found', 422)
        if fields["time_in_force"] != ("gtc" if is_crypto or is_bracket else "day"):
            return _error(42210000, "invalid crypto time_in_force", 422)
        if is_bracket and (is_crypto or quantity % 1):
            return _error(42210000, "fractional orders must be simple orders", 422)
        held = self.held.get(symbol, ZERO)
        if quantity % 1 and (held < 0 or (fields["side"] == "sell" and quantity > held)):
            return _error(42210000, "fractional orders are not allowed to short", 422)
        cost = quantity * self.prices[symbol] * (1 if fields["side"] == "buy" else 0)
        if cost > self.cash:
            return _error(40310000, "insufficient buying power", 403)
        placed = self.place(fields["client_order_id"], symbol, fields["side"], quantity, "market")
        if is_bracket:
            placed.more = {"order_class": "bracket"}
            self._hang(placed, fields)
        answered = Placed(**vars(placed) | {"status": "pending_new", "parts": []})
        return as_json(self._order(answered, nested=is_bracket))

    def _hang(self, placed: Placed, fields: dict[str, Any]) -> None:
        side = "sell" if placed.side == "buy" else "buy"
        for kind, prices in (("limit", fields["take_profit"]), ("stop_limit", fields["stop_loss"])):
            leg = self.place(str(uuid.uuid4()), placed.symbol, side, placed.quantity, kind)
            leg.more = {"order_class": "bracket", **prices}
            leg.status = "held" if kind == "stop_limit" or not placed.parts else "new"
            placed.legs.append(leg)

    def _cancel(self, placed: Placed) -> Answer:
        if placed.status not in _OPEN:
            return _error(42210000, f'order is already in "{placed.status}" state', 422)
        pair = next((each for each in self.orders if placed in each.legs), placed)
        for each in [placed, *pair.legs]:
            if each.status in _OPEN:
                self.end(each, "canceled" if self.cancels else "pending_cancel")
        return Answer(204)

    def _orders(self, asked: dict[str, str]) -> list[dict[str, Any]]:
        nested = asked.get("nested") == "true"
        legs = [leg for each in self.orders for leg in each.legs]
        seen = [each for each in self.orders if not (nested and each in legs)]
        if asked.get("status") == "open":
            seen = [each for each in seen if each.status in _WORKING]
        if "symbols" in asked:
            seen = [each for each in seen if each.symbol in asked["symbols"].split(",")]
        if "after" in asked:
            seen = [each for each in seen if each.created > datetime.fromisoformat(asked["after"])]
        assert asked["direction"] == "asc"
        return [self._order(each, nested=nested) for each in seen[: int(asked["limit"])]]

    def _order(self, placed: Placed, *, nested: bool = False) -> dict[str, Any]:
        paid = sum((part.quantity * part.price for part in placed.parts), ZERO)
        return {
            "id": _id(placed.number),
            "client_order_id": placed.client_id,
            "created_at": _written(placed.created),
            "updated_at": _written(placed.updated),
            "submitted_at": _written(placed.created),
            "filled_at": _written(placed.updated) if placed.status == "filled" else None,
            "expired_at": None,
            "canceled_at": _written(placed.updated) if placed.status == "canceled" else None,
            "failed_at": None,
            "replaced_at": None,
            "replaced_by": None,
            "replaces": None,
            "asset_id": str(uuid.uuid5(uuid.NAMESPACE_DNS, placed.symbol)),
            "symbol": placed.symbol,
            "asset_class": "crypto" if "/" in placed.symbol else "us_equity",
            "notional": None,
            "qty": str(placed.quantity),
            "filled_qty": str(placed.filled),
            "filled_avg_price": str(paid / placed.filled) if placed.filled else None,
            "order_class": placed.more.get("order_class", ""),
            "order_type": placed.kind,
            "type": placed.kind,
            "side": placed.side,
            "time_in_force": "day",
            "limit_price": placed.more.get("limit_price"),
            "stop_price": placed.more.get("stop_price"),
            "status": placed.status,
            "extended_hours": False,
            "legs": [self._order(leg) for leg in placed.legs] if nested and placed.legs else None,
            "trail_percent": None,
            "trail_price": None,
            "hwm": None,
            "subtag": None,
            "source": None,
        }

    def _by_id(self, number: str) -> Placed:
        return next(each for each in self.orders if _id(each.number) == number)

    def _activities(self, asked: dict[str, str]) -> list[dict[str, Any]]:
        first, last = (datetime.fromisoformat(asked[name]) for name in ("after", "until"))
        parts = [(each, part) for each in self.orders for part in each.parts if self.told and first < part.at < last]
        seen = [_activity(each, part) for each, part in sorted(parts, key=lambda pair: pair[1].at)]
        assert asked["direction"] == "asc"
        ids = [each["id"] for each in seen]
        start = ids.index(asked["page_token"]) + 1 if "page_token" in asked else 0
        return seen[start:][: int(asked["page_size"])]

    # ------------------------------------------------------------ the account

    def fee(self, placed: Placed, quantity: Decimal, price: Decimal) -> tuple[Decimal, str]:
        """The fee of the second tier: 22 bps of the coins or money received."""
        if "/" not in placed.symbol:
            return ZERO, ""
        got = quantity if placed.side == "buy" else quantity * price
        return got * Decimal("0.0022"), placed.symbol if placed.side == "buy" else "USD"

    def add(self, name: str, quantity: Decimal) -> None:
        if name == "USD":
            self.cash += quantity
        else:
            super().add(name, quantity)

    def _account(self) -> dict[str, Any]:
        worth = sum((size * self.prices[name] for name, size in self.held.items()), ZERO)
        return {
            "id": str(uuid.uuid5(uuid.NAMESPACE_DNS, "account")),
            "account_number": self.number,
            "status": "ACTIVE",
            "crypto_status": "ACTIVE",
            **self.tier,
            "currency": "USD",
            "buying_power": str(self.cash * 2),
            "cash": str(self.cash),
            "equity": str(self.cash + worth),
            "portfolio_value": str(self.cash + worth),
            "pattern_day_trader": False,
            "trading_blocked": False,
            "account_blocked": False,
            "created_at": "2023-01-01T18:20:20.272275Z",
            "multiplier": "2",
            "shorting_enabled": True,
        }

    def _position(self, name: str, size: Decimal) -> dict[str, Any]:
        return {
            "asset_id": str(uuid.uuid5(uuid.NAMESPACE_DNS, name)),
            "symbol": name.replace("/", ""),  # positions of coins are spelled without it
            "exchange": "CRYPTO" if "/" in name else "NASDAQ",
            "asset_class": "crypto" if "/" in name else "us_equity",
            "avg_entry_price": str(self.averages.get(name, self.prices[name])),
            "qty": str(size),
            "side": "long" if size > 0 else "short",
            "market_value": str(size * self.prices[name]),
            "cost_basis": str(size * self.averages.get(name, self.prices[name])),
            "current_price": str(self.prices[name]),
            "lastday_price": str(self.prices[name]),
            "qty_available": str(size),
        }

    def _clock(self) -> dict[str, Any]:
        there = self.now - timedelta(hours=4)
        return {
            "timestamp": f"{there:%Y-%m-%dT%H:%M:%S.%f}123-04:00",
            "is_open": self.is_open,
            "next_open": "2024-06-11T09:30:00-04:00",
            "next_close": "2024-06-10T16:00:00-04:00",
        }

    def _asset(self, name: str) -> Answer:
        if name not in self.prices:
            return _missing(name)
        is_crypto = "/" in name
        asset = {
            "id": str(uuid.uuid5(uuid.NAMESPACE_DNS, name)),
            "class": "crypto" if is_crypto else "us_equity",
            "exchange": "CRYPTO" if is_crypto else "NASDAQ",
            "symbol": name,
            "name": name,
            "status": "active",
            "tradable": True,
            "marginable": not is_crypto,
            "shortable": not is_crypto,
            "easy_to_borrow": not is_crypto,
            "fractionable": True,
        }
        if is_crypto:
            asset |= {"min_order_size": "0.000014925", "min_trade_increment": "0.000000001", "price_increment": "0.5"}
        return as_json(asset | self.assets.get(name, {}))


def _activity(placed: Placed, part: Any) -> dict[str, Any]:
    done = sum((each.quantity for each in placed.parts if each.fill_id <= part.fill_id), ZERO)
    return {
        "activity_type": "FILL",
        "id": f"{part.at:%Y%m%d%H%M%S}000::{_id(part.fill_id)}",
        "cum_qty": str(done),
        "leaves_qty": str(placed.quantity - done),
        "price": str(part.price),
        "qty": str(part.quantity),
        "side": placed.side,
        "symbol": placed.symbol,
        "transaction_time": re.sub(r"\+00:00$", "Z", part.at.isoformat(timespec="milliseconds")),
        "order_id": _id(placed.number),
        "type": "fill" if done == placed.quantity else "partial_fill",
    }


def _error(code: int, message: str, status: int) -> Answer:
    return as_json({"code": code, "message": message}, status)


def _missing(name: str) -> Answer:
    return _error(40410000, f"order or asset not found for {name}", 404)


def _id(number: int) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, str(number)))


def _written(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%S.%f}714Z"
