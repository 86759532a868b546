"""The venues' own faults, rules and spellings: what is raised, how often an order was sent, what is said of it then."""

import itertools
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import requests
from tests.support.stand_in import Answer, as_json
from tests.support.venues.alpaca_server import AlpacaServer
from tests.support.venues.binance_server import BinanceTestnetServer
from tests.support.venues.exchange import KEY, SECRET, SUBMIT, VenueServer

from tickercast import config, engines
from tickercast.backends.brokers import alpaca, binance
from tickercast.backends.brokers.alpaca import AlpacaPaper
from tickercast.backends.brokers.binance import BinanceTestnet
from tickercast.config import Settings
from tickercast.domain.trading.orders import Bracket, Order, Side, Status, exit_id
from tickercast.errors import (
    BrokerUnavailable,
    EngineUnusable,
    OrderRefused,
    StatusUnknown,
    TickercastError,
    Unauthenticated,
    UsageError,
)
from tickercast.ports import Broker

PATIENT, QUICK = (9.0, 9.0), (9.0, 0.2)
BRACKET = Bracket(stop=Decimal("0.02"), limit=Decimal("0.03"), take=Decimal("0.40"))
NOTHING: Any = None


@dataclass
class Venue:
    """A broker at its stand-in; `slept` is what it has waited."""

    broker: Broker
    server: Any
    symbol: str
    slept: list[float]
    count: Iterator[int]

    def order(self, size: str = "1", side: Side = Side.BUY) -> Order:
        return Order(f"order-{next(self.count)}", self.symbol, side, Decimal(size))


def venue_of(kind: str) -> Venue:
    slept: list[float] = []
    if kind == "alpaca":
        alpacas = AlpacaServer()
        broker: Broker = AlpacaPaper(KEY, SECRET, stand_in=alpacas.url, timeout=PATIENT)
        return Venue(broker, alpacas, "MSFT", slept, itertools.count(1))
    binances = BinanceTestnetServer()
    broker = BinanceTestnet(
        KEY, SECRET, symbols=["BTCUSDT"], stand_in=binances.url, timeout=PATIENT, ticks=lambda: 0.0, sleep=slept.append
    )
    return Venue(broker, binances, "BTCUSDT", slept, itertools.count(1))


@pytest.fixture(params=["alpaca", "binance"])
def venue(request: pytest.FixtureRequest) -> Iterator[Venue]:
    made = venue_of(request.param)
    yield made
    made.server.close()


@pytest.fixture
def at_alpaca() -> Iterator[Venue]:
    made = venue_of("alpaca")
    yield made
    made.server.close()


@pytest.fixture
def at_binance() -> Iterator[Venue]:
    made = venue_of("binance")
    yield made
    made.server.close()


def session_of(broker: Any) -> requests.Session:
    session: requests.Session = broker._session if isinstance(broker, BinanceTestnet) else broker._client._session
    return session


def order_fault(venue: Venue, operation: str, fault: str) -> None:
    """Order a fault; of an answer that is slow, and of no other, the client is soon tired."""
    venue.server.fail(operation, fault)
    if fault != "slow":
        return
    verb, _, path = ("POST / " if operation == SUBMIT else operation).partition(" ")
    adapter: Any = session_of(venue.broker).get_adapter("http://")
    send = adapter.send

    def hurried(request: requests.PreparedRequest, *given: Any, **options: Any) -> requests.Response:
        adapter._timeout = QUICK if request.method == verb and path.strip() in str(request.url) else PATIENT
        answer: requests.Response = send(request, *given, **options)
        return answer

    adapter.send = hurried


def size_of(venue: Venue) -> str:
    return "1" if venue.symbol == "MSFT" else "0.01"


# ---------------------------------------------------------------- orders whose answer is lost


@pytest.mark.parametrize("fault", ["lost", "cut", "damaged", "slow", "500", "502", "503", "504"])
def test_an_order_that_was_taken_and_not_answered_is_unknown_and_then_known(venue: Venue, fault: str) -> None:
    order = venue.order(size_of(venue))
    order_fault(venue, SUBMIT, fault)
    with pytest.raises(StatusUnknown, match=rf"has taken order {order.client_id} is not known: .*by its id.*\.$"):
        venue.broker.submit(order)
    venue.server.released.set()
    assert venue.server.posts == [order.client_id]
    report = venue.broker.order(order.client_id, order.symbol)
    assert report is not None
    assert (report.status, report.filled) == (Status.FILLED, order.quantity)
    assert (venue.server.posts, venue.slept) == ([order.client_id], [])


def test_an_order_that_was_lost_on_its_way_is_unknown_and_then_known_not_to_be_there(venue: Venue) -> None:
    venue.server.fail(SUBMIT, "drop")
    order = venue.order(size_of(venue))
    with pytest.raises(StatusUnknown):
        venue.broker.submit(order)
    assert venue.broker.order(order.client_id, order.symbol) is None
    assert venue.server.posts == []
    venue.broker.submit(order)
    assert venue.server.posts == [order.client_id]


def test_an_order_that_no_connection_carried_was_not_sent(venue: Venue) -> None:
    venue.server.close()
    order = venue.order(size_of(venue))
    with pytest.raises(BrokerUnavailable, match=r"\.$") as raised:
        venue.broker.submit(order)
    assert not isinstance(raised.value, StatusUnknown)


def test_an_order_that_came_too_often_was_not_looked_at(venue: Venue) -> None:
    venue.server.fail(SUBMIT, "429")
    order = venue.order(size_of(venue))
    with pytest.raises(BrokerUnavailable, match=r"asked too often.*Try again (in 7 s|at 14:00:00 UTC)\.") as raised:
        venue.broker.submit(order)
    assert not isinstance(raised.value, StatusUnknown)
    assert venue.server.calls[SUBMIT] == 1
    assert venue.broker.order(order.client_id, order.symbol) is None


@pytest.mark.parametrize("fault", ["400", "404", "422"])
def test_an_order_that_the_venue_refuses_is_refused_in_its_words(venue: Venue, fault: str) -> None:
    venue.server.fail(SUBMIT, fault)
    with pytest.raises(OrderRefused, match=rf"refuses order order-1: refused with {fault}\. Nothing was ordered\."):
        venue.broker.submit(venue.order(size_of(venue)))
    assert venue.server.calls[SUBMIT] == 1


def test_a_duplicate_is_asked_for(venue: Venue) -> None:
    order = venue.order(size_of(venue))
    venue.broker.submit(order)
    with pytest.raises(StatusUnknown, match=r"of this id (already|was sent before)"):
        venue.broker.submit(order)
    assert len(venue.server.orders) == 1


def test_an_order_is_not_ended_before_its_fills_are_told(venue: Venue) -> None:
    venue.server.told = False
    order = venue.order(size_of(venue))
    venue.broker.submit(order)
    early = venue.broker.order(order.client_id, order.symbol)
    venue.server.told = True
    late = venue.broker.order(order.client_id, order.symbol)
    assert early is not None
    assert late is not None
    assert (early.status, early.filled, list(early.fills)) == (Status.ACCEPTED, Decimal(0), [])
    assert (late.status, late.filled) == (Status.FILLED, order.quantity)


def test_parts_are_told_once_each(venue: Venue) -> None:
    venue.server.share = Decimal("0.4")
    order = venue.order(size_of(venue))
    venue.broker.submit(order)
    first = venue.broker.order(order.client_id, order.symbol)
    venue.server.complete()
    second = venue.broker.order(order.client_id, order.symbol)
    assert first is not None
    assert second is not None
    assert first.status is Status.PARTIALLY_FILLED
    assert list(second.fills[:1]) == list(first.fills)
    assert [fill.quantity / order.quantity for fill in second.fills] == [Decimal("0.4"), Decimal("0.6")]


# ---------------------------------------------------------------- questions

ASKED: dict[str, Callable[[Venue], object]] = {
    "account": lambda venue: venue.broker.account(),
    "positions": lambda venue: venue.broker.positions(),
    "open orders": lambda venue: venue.broker.open_orders(),
    "order": lambda venue: venue.broker.order("order-1", venue.symbol),
    "cancel": lambda venue: venue.broker.cancel("order-1", venue.symbol),
    "rules": lambda venue: venue.broker.rules([venue.symbol]),
    "clock": lambda venue: venue.broker.clock(),
}


def first_call(venue: Venue, ask: Callable[[Venue], object]) -> str:
    """The operation that a question begins with."""
    venue.server.calls.clear()
    ask(venue)
    return str(next(iter(venue.server.calls)))


@pytest.mark.parametrize("name", ASKED)
@pytest.mark.parametrize("fault", ["lost", "cut", "damaged", "slow", "500", "504", "429", "401", "400"])
def test_a_question_that_fails_is_a_sentence_and_asked_once(venue: Venue, name: str, fault: str) -> None:
    venue.broker.submit(venue.order(size_of(venue)))
    operation = first_call(venue, ASKED[name])
    venue.server.calls.clear()
    order_fault(venue, operation, fault)
    wanted = {"401": Unauthenticated, "400": EngineUnusable}.get(fault, BrokerUnavailable)
    with pytest.raises(wanted, match=r"\.$") as raised:
        ASKED[name](venue)
    assert not isinstance(raised.value, StatusUnknown)
    assert "\n" not in str(raised.value)
    assert venue.server.calls[operation] == 1


@pytest.mark.parametrize("content", ["null", "[]", "{}", "[1]", '{"balances": 1}', '"x"', "[[[", "NaN"])
@pytest.mark.parametrize("name", ASKED)
def test_an_answer_of_something_else_is_a_sentence(
    venue: Venue, name: str, content: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = requests.Response()
    answer.status_code, answer._content = 200, content.encode()
    monkeypatch.setattr(requests.Session, "request", lambda *_, **__: answer)
    try:
        ASKED[name](venue)
    except BrokerUnavailable as error:
        assert re.search(r"its answer cannot be read \(\w+\)\. Try again later\.$", str(error))  # noqa: PT017


def test_a_number_that_is_missing_is_a_sentence_and_no_zero(
    at_alpaca: Venue, at_binance: Venue, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = at_alpaca.server._account
    monkeypatch.setattr(at_alpaca.server, "_account", lambda: account() | {"equity": None})
    at_binance.broker.submit(at_binance.order("0.01"))
    monkeypatch.setitem(at_binance.server.prices, "BTCUSDT", "")
    for venue in (at_alpaca, at_binance):
        with pytest.raises(BrokerUnavailable, match=r"its answer cannot be read \(InvalidOperation\)"):
            venue.broker.account()


def test_wrong_keys_are_said_without_the_keys(venue: Venue) -> None:
    secret = "planted-secret"
    broker: Broker = (
        AlpacaPaper("planted-key", secret, stand_in=venue.server.url)
        if venue.symbol == "MSFT"
        else BinanceTestnet("planted-key", secret, stand_in=venue.server.url)
    )
    for ask in (broker.account, lambda: broker.submit(venue.order(size_of(venue)))):
        with pytest.raises(Unauthenticated, match=r"refuses the keys .*_KEY and TICKERCAST_\w+_SECRET.*\.$") as raised:
            ask()
        assert "planted" not in str(raised.value)
    assert "planted" not in repr(broker)


def test_a_venue_that_repeats_the_keys_is_not_quoted_with_them(venue: Venue, monkeypatch: pytest.MonkeyPatch) -> None:
    def repeated(status: int) -> Any:
        return as_json({"code": status, "msg": f"no {KEY} or {SECRET}", "message": f"no {KEY} or {SECRET}"}, status)

    monkeypatch.setattr(venue.server, "refusal", repeated)
    venue.server.fail(SUBMIT, "400")
    with pytest.raises(OrderRefused, match=r"no \*\*\* or \*\*\*") as raised:
        venue.broker.submit(venue.order(size_of(venue)))
    assert KEY not in str(raised.value)


# ---------------------------------------------------------------- no live venue


LIVE = [
    "https://api.alpaca.markets",
    "https://api.binance.com",
    "http://localhost:1",
    "http://127.0.0.1:80@live.example",
]


@pytest.mark.parametrize(
    "place", [*LIVE, "http://127.0.0.1.example:80", "http://127.0.0.1:80/x", "https://127.0.0.1:1"]
)
def test_a_stand_in_is_on_this_machine(place: str) -> None:
    for opened in (AlpacaPaper, BinanceTestnet):
        with pytest.raises(UsageError, match=r"http://127\.0\.0\.1:PORT was needed"):
            opened(KEY, SECRET, stand_in=place)


KEYS = Settings(
    alpaca_key="k",
    alpaca_secret="s",
    binance_testnet_key="k",
    binance_testnet_secret="s",  # type: ignore[arg-type]
)


@pytest.mark.parametrize(
    "url",
    [
        *LIVE,
        "binance-testnet://?symbols=BTCUSDT&url=https://api.binance.com",
        "alpaca://",
        "binance://",
        "alpaca-live://",
        *("alpaca-paper://api.alpaca.markets", "alpaca-paper://key:pl4nted@api.alpaca.markets", "alpaca-paper:///v2"),
        *("binance-testnet://api.binance.com", "binance-testnet://?url=https://api.binance.com", "alpaca-paper://#x"),
    ],
)
def test_the_url_of_a_live_venue_or_of_any_host_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match=r"(cannot be configured|no live venue can be named).*\.$") as raised:
        engines.broker(url, KEYS, NOTHING)
    assert "pl4nted" not in str(raised.value)


@pytest.mark.parametrize("scheme", ["alpaca-paper", "binance-testnet"])
def test_nothing_in_the_environment_leads_elsewhere(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "APCA_API_BASE_URL",
        "APCA_API_DATA_URL",
        "ALPACA_BASE_URL",
        "BINANCE_URL",
        "BASE_URL",
        "TICKERCAST_X",
    ):
        monkeypatch.setenv(name, "https://api.alpaca.markets")
    monkeypatch.setenv("APCA_API_KEY_ID", "live-key")
    monkeypatch.setenv("APCA_API_SECRET_KEY", "live-secret")
    settings = config.changed(KEYS, {"binance_url": "https://api.binance.com"})
    asked: list[requests.PreparedRequest] = []

    def send(adapter: object, request: requests.PreparedRequest, **_: Any) -> requests.Response:
        asked.append(request)
        raise requests.ConnectionError("seen")

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", send)
    broker = engines.broker(f"{scheme}://", settings, engines.Bench(NOTHING, datetime(2024, 6, 10, tzinfo=UTC)))
    for ask in (broker.account, broker.clock, broker.open_orders, lambda: broker.order("x", "BTC-USD")):
        with pytest.raises(BrokerUnavailable):
            ask()
    hosts = {str(request.url).split("/")[2] for request in asked}
    assert hosts == {{"alpaca-paper": "paper-api.alpaca.markets", "binance-testnet": "testnet.binance.vision"}[scheme]}
    assert "live-" not in str([dict(request.headers) for request in asked])


def test_a_redirect_is_not_followed(venue: Venue, monkeypatch: pytest.MonkeyPatch) -> None:
    moved = Answer(307, b"", {"Location": "http://127.0.0.1:9/v2/orders"})
    monkeypatch.setattr(venue.server, "serve", lambda *_: moved)
    with pytest.raises(BrokerUnavailable, match="does not answer"):
        venue.broker.account()


def test_a_session_reaches_its_own_place_alone(venue: Venue) -> None:
    session = session_of(venue.broker)
    with pytest.raises(UsageError, match=r"api\.alpaca\.markets was about to be sent"):
        session.get("https://api.alpaca.markets/v2/account")


def test_the_logins_of_netrc_are_given_to_nobody(venue: Venue, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "netrc").write_text("default login someone password pl4nted\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    seen: list[str] = []
    serve = venue.server.serve
    monkeypatch.setattr(venue.server, "serve", lambda *given: (seen.append(str(given[3])), serve(*given))[1])
    venue.broker.clock()
    assert "Authorization" not in "".join(seen)


# ---------------------------------------------------------------- opening


@pytest.mark.parametrize(
    ("url", "missing", "name"),
    [
        ("alpaca-paper://", "alpaca_key", "TICKERCAST_ALPACA_KEY is not set"),
        ("alpaca-paper://", "alpaca_secret", "TICKERCAST_ALPACA_SECRET is not set"),
        ("binance-testnet://", "binance_testnet_key", "TICKERCAST_BINANCE_TESTNET_KEY is not set"),
        ("binance-testnet://", "binance_testnet_secret", "TICKERCAST_BINANCE_TESTNET_SECRET is not set"),
    ],
)
def test_missing_keys_are_named(url: str, missing: str, name: str) -> None:
    with pytest.raises(UsageError, match=rf"{name}\. Make keys"):
        engines.broker(url, config.changed(KEYS, {missing: " "}), NOTHING)


def test_the_coins_that_count_are_named_in_the_url() -> None:
    broker = engines.broker("binance-testnet://?symbols=BTC-USD,ETHUSDT", KEYS, NOTHING)
    assert broker.url == "binance-testnet://?symbols=BTC-USD,ETHUSDT"
    with pytest.raises(UsageError, match="does not trade BTC-EUR"):
        engines.broker("binance-testnet://?symbols=BTC-EUR", KEYS, NOTHING)


def test_a_key_that_no_header_can_hold_is_not_valid() -> None:
    with pytest.raises(UsageError, match=r"TICKERCAST_ALPACA_KEY is not valid\. Make keys"):
        engines.broker("alpaca-paper://", config.changed(KEYS, {"alpaca_key": "a\nb"}), NOTHING)


def test_keys_are_read_from_files(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tickercast_alpaca_secret").write_text("from-a-file\n")
    monkeypatch.setattr(config, "SECRETS", tmp_path)
    settings = config.load()
    assert settings.alpaca_secret.get_secret_value().strip() == "from-a-file"
    assert "from-a-file" not in repr(settings)


def test_without_alpaca_py_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(
        UsageError,
        match=r"alpaca-py, which is not installed\. Run `make setup-dev`, or `\.venv/bin/pip install -e '\.\[trade\]",
    ):
        engines.broker("alpaca-paper://", KEYS, NOTHING)


# ---------------------------------------------------------------- Alpaca


def test_quantities_and_prices_go_to_alpaca_as_they_are(at_alpaca: Venue) -> None:
    order = Order("exact", "BTC-USD", Side.BUY, Decimal("0.123456789"))
    at_alpaca.broker.submit(order)
    [sent] = at_alpaca.server.sent
    assert sent == {
        "symbol": "BTC/USD",
        "qty": "0.123456789",
        "side": "buy",
        "type": "market",
        "time_in_force": "gtc",
        "client_order_id": "exact",
    }
    [position] = at_alpaca.broker.positions()
    assert position.symbol == "BTC-USD"


def test_the_fee_of_a_coin_is_taken_from_what_is_got(at_alpaca: Venue) -> None:
    orders = [Order(f"c-{side}", "BTC-USD", side, Decimal("0.1")) for side in (Side.BUY, Side.SELL)]
    at_alpaca.server.add("BTC/USD", Decimal(1))
    before = at_alpaca.broker.account().cash
    reports = []
    for order in orders:
        at_alpaca.broker.submit(order)
        reports.append(at_alpaca.broker.order(order.client_id, order.symbol))
    [bought], [sold] = (report.fills if report else [] for report in reports)
    assert [report and (report.status, report.filled) for report in reports] == [(Status.FILLED, Decimal("0.1"))] * 2
    assert (bought.quantity, sold.quantity) == (Decimal("0.1") * Decimal("0.9978"), Decimal("0.1"))
    assert bought.fee == sold.fee == Decimal("0.1") * Decimal("67000.5") * Decimal("0.0022")
    spent = bought.quantity * bought.price + bought.fee - sold.quantity * sold.price + sold.fee
    assert before - at_alpaca.broker.account().cash == spent
    [position] = at_alpaca.broker.positions()
    assert position.quantity == 1 + bought.quantity - sold.quantity


@pytest.mark.parametrize(
    ("tier", "rate"), [({}, "0.0025"), ({"crypto_tier": 0}, "0.0025"), ({"crypto_tier": 9}, "0.0010")]
)
def test_a_coin_costs_the_fee_of_the_first_tier_before_there_is_one_and_of_the_last_beyond(
    at_alpaca: Venue, tier: dict[str, int], rate: str
) -> None:
    at_alpaca.server.tier = tier
    at_alpaca.broker.submit(Order("tier", "BTC-USD", Side.BUY, Decimal("0.1")))
    report = at_alpaca.broker.order("tier", "BTC-USD")
    assert report is not None
    assert [fill.fee for fill in report.fills] == [Decimal("0.1") * Decimal("67000.5") * Decimal(rate)]


@pytest.mark.parametrize(
    ("symbol", "side", "take", "stop", "limit"),
    [
        ("MSFT", Side.BUY, "588.77", "412.13", "407.93"),
        ("MSFT", Side.SELL, "252.33", "428.96", "433.16"),
        ("PENNY", Side.BUY, "0.700", "0.490", "0.485"),
    ],
)
def test_a_bracket_is_round_the_last_trade(
    at_alpaca: Venue, symbol: str, side: Side, take: str, stop: str, limit: str
) -> None:
    at_alpaca.broker.submit(Order("b-1", symbol, side, Decimal(2), BRACKET))
    [sent] = at_alpaca.server.sent
    assert (sent["order_class"], sent["time_in_force"]) == ("bracket", "gtc")
    assert (sent["take_profit"], sent["stop_loss"]) == (
        {"limit_price": take},
        {"stop_price": stop, "limit_price": limit},
    )


@pytest.mark.parametrize("kind", ["limit", "stop_limit"])
def test_the_exit_that_was_met_is_the_exit(at_alpaca: Venue, kind: str) -> None:
    order = Order("b-1", "MSFT", Side.BUY, Decimal(2), BRACKET)
    at_alpaca.broker.submit(order)
    at_alpaca.server.meet(at_alpaca.server.orders[0], kind)
    leaving = at_alpaca.broker.order(exit_id("b-1"), "MSFT")
    assert leaving is not None
    assert (leaving.status, leaving.filled, leaving.side) == (Status.FILLED, Decimal(2), Side.SELL)
    assert [fill.quantity for fill in leaving.fills] == [Decimal(2)]
    assert list(at_alpaca.broker.open_orders()) == []
    assert list(at_alpaca.broker.positions()) == []


def test_exits_that_wait_for_their_entry_are_not_there_yet(at_alpaca: Venue) -> None:
    at_alpaca.server.share = Decimal(0)
    at_alpaca.broker.submit(Order("b-1", "MSFT", Side.BUY, Decimal(2), BRACKET))
    assert at_alpaca.broker.order(exit_id("b-1"), "MSFT") is None
    assert [each.client_id for each in at_alpaca.broker.open_orders()] == ["b-1"]
    at_alpaca.broker.cancel("b-1", "MSFT")
    assert list(at_alpaca.broker.open_orders()) == []


@pytest.mark.parametrize(
    ("symbol", "size", "why"),
    [("BTC-USD", "1", "no bracket with a coin"), ("MSFT", "1.5", "with whole shares alone"), ("VOD.L", "1", "VOD.L")],
)
def test_what_alpaca_cannot_bracket_or_trade_is_not_sent(at_alpaca: Venue, symbol: str, size: str, why: str) -> None:
    with pytest.raises(OrderRefused, match=why):
        at_alpaca.broker.submit(Order("b-1", symbol, Side.BUY, Decimal(size), BRACKET))
    assert at_alpaca.server.calls[SUBMIT] == 0


def test_a_bracket_without_a_last_trade_is_not_sent(at_alpaca: Venue) -> None:
    at_alpaca.server.fail("GET /v2/stocks/MSFT/trades/latest", "504")
    with pytest.raises(BrokerUnavailable) as raised:
        at_alpaca.broker.submit(Order("b-1", "MSFT", Side.BUY, Decimal(1), BRACKET))
    assert not isinstance(raised.value, StatusUnknown)
    assert at_alpaca.server.posts == []


def test_shares_sold_short_are_negative(at_alpaca: Venue) -> None:
    at_alpaca.broker.submit(Order("s-1", "MSFT", Side.SELL, Decimal(3)))
    [position] = at_alpaca.broker.positions()
    assert (position.quantity, position.price) == (Decimal(-3), Decimal("420.55"))


def test_the_rules_of_an_asset_are_alpacas(at_alpaca: Venue) -> None:
    rules = at_alpaca.broker.rules(["MSFT", "PENNY", "BTC-USD", "BRK-B"])
    assert (rules["MSFT"].lot, rules["MSFT"].least_value) == (Decimal("1E-9"), Decimal(1))
    assert (rules["PENNY"].lot, rules["PENNY"].shortable) == (Decimal(1), False)
    coin = rules["BTC-USD"]
    assert (coin.lot, coin.tick, coin.least_quantity) == (Decimal("1E-9"), Decimal("0.5"), Decimal("0.000014925"))
    assert not coin.shortable
    at_alpaca.server.assets["MSFT"] = {"status": "inactive", "easy_to_borrow": False}
    again = at_alpaca.broker.rules(["MSFT"])["MSFT"]
    assert (again.tradable, again.shortable) == (False, False)


def test_too_little_money_is_no_wrong_key(at_alpaca: Venue) -> None:
    with pytest.raises(OrderRefused, match="insufficient buying power"):
        at_alpaca.broker.submit(Order("m-1", "MSFT", Side.BUY, Decimal(10_000)))


def test_fills_and_orders_are_read_page_by_page(at_alpaca: Venue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alpaca, "_FILLS_PAGE", 2)
    monkeypatch.setattr(alpaca, "_PAGE", 2)
    at_alpaca.server.share = Decimal("0.2")
    order = at_alpaca.order("10")
    at_alpaca.broker.submit(order)
    for _ in range(4):
        at_alpaca.server.fill(at_alpaca.server.orders[0], Decimal(1))
    report = at_alpaca.broker.order(order.client_id, order.symbol)
    assert report is not None
    assert [fill.quantity for fill in report.fills] == [Decimal(2), *[Decimal(1)] * 4]
    for _ in range(4):
        at_alpaca.broker.submit(at_alpaca.order("10"))
    assert len(at_alpaca.broker.open_orders()) == 5


def test_a_page_of_somebody_else_does_not_say_that_an_order_never_came(
    at_alpaca: Venue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(at_alpaca.server, "refusal", lambda status: Answer(status, b"<html>not found</html>"))
    at_alpaca.server.fail("GET /v2/orders:by_client_order_id", "404")
    with pytest.raises(BrokerUnavailable, match="HTTP 404"):
        at_alpaca.broker.order("order-1", "MSFT")


def test_new_yorks_clock_is_utc_here(at_alpaca: Venue) -> None:
    clock = at_alpaca.broker.clock()
    assert clock.now == datetime(2024, 6, 10, 14, 0, 0, 123, tzinfo=UTC).replace(microsecond=0)
    assert (clock.open, clock.next_open) == (True, datetime(2024, 6, 11, 13, 30, tzinfo=UTC))


# ---------------------------------------------------------------- Binance


def test_a_status_that_binance_itself_does_not_know_is_unknown(at_binance: Venue) -> None:
    at_binance.server.fail(SUBMIT, "1007")
    order = at_binance.order("0.01")
    with pytest.raises(StatusUnknown, match="Execution status unknown"):
        at_binance.broker.submit(order)
    report = at_binance.broker.order(order.client_id, order.symbol)
    assert report is not None
    assert report.status is Status.FILLED
    assert at_binance.server.posts == [order.client_id]


def test_an_order_that_may_be_on_its_way_is_waited_for(at_binance: Venue) -> None:
    at_binance.server.fail(SUBMIT, "drop")
    order = at_binance.order("0.01")
    with pytest.raises(StatusUnknown):
        at_binance.broker.submit(order)
    with pytest.raises(StatusUnknown, match="was sent before"):
        at_binance.broker.submit(order)

    def arrive(seconds: float) -> None:
        at_binance.slept.append(seconds)
        at_binance.server.place(order.client_id, "BTCUSDT", "buy", order.quantity, "market")

    at_binance.broker._sleep = arrive  # type: ignore[attr-defined]
    report = at_binance.broker.order(order.client_id, order.symbol)
    assert report is not None
    assert report.filled == order.quantity
    assert at_binance.slept == [6.0]


def test_an_id_of_a_filled_order_is_not_sent_again_by_another_process(at_binance: Venue) -> None:
    order = at_binance.order("0.01")
    at_binance.broker.submit(order)
    again = BinanceTestnet(KEY, SECRET, stand_in=at_binance.server.url)
    with pytest.raises(StatusUnknown, match="was sent before"):
        again.submit(order)
    assert at_binance.server.posts == [order.client_id]


def test_an_id_of_an_open_order_is_refused_as_a_duplicate(at_binance: Venue, monkeypatch: pytest.MonkeyPatch) -> None:
    at_binance.server.share = Decimal(0)
    order = at_binance.order("0.01")
    at_binance.broker.submit(order)
    monkeypatch.setattr(at_binance.broker, "_find", lambda *_: None)  # as if both asked at the same moment
    with pytest.raises(StatusUnknown, match="of this id already"):
        at_binance.broker.submit(order)
    assert len(at_binance.server.orders) == 1


@pytest.mark.parametrize("hours", [-3, 3])
def test_a_clock_that_is_wrong_takes_the_servers_time(at_binance: Venue, hours: int) -> None:
    at_binance.server.skew = timedelta(hours=hours)
    order = at_binance.order("0.01")
    at_binance.broker.submit(order)
    assert at_binance.server.posts == [order.client_id]
    report = at_binance.broker.order(order.client_id, order.symbol)
    assert report is not None
    assert report.status is Status.FILLED


def test_a_clock_that_stays_wrong_is_said(at_binance: Venue, monkeypatch: pytest.MonkeyPatch) -> None:
    at_binance.server.skew = timedelta(hours=1)
    monkeypatch.setattr(at_binance.broker, "_server_time", lambda: 0)
    with pytest.raises(BrokerUnavailable, match="too old when it arrives") as raised:
        at_binance.broker.submit(at_binance.order("0.01"))
    assert not isinstance(raised.value, StatusUnknown)
    assert at_binance.server.posts == []


def test_a_ban_says_when_it_ends(at_binance: Venue) -> None:
    at_binance.server.fail("GET /api/v3/account", "418")
    with pytest.raises(BrokerUnavailable, match=r"Try again in 7 s\."):
        at_binance.broker.account()


def test_a_region_that_is_refused_is_said(at_binance: Venue) -> None:
    at_binance.server.fail("GET /api/v3/time", "451")
    with pytest.raises(EngineUnusable, match=r"this region \(HTTP 451\)"):
        at_binance.broker.clock()


def test_a_firewall_has_looked_at_nothing(at_binance: Venue) -> None:
    at_binance.server.fail(SUBMIT, "403")
    with pytest.raises(BrokerUnavailable, match="asked too often") as raised:
        at_binance.broker.submit(at_binance.order("0.01"))
    assert not isinstance(raised.value, StatusUnknown)


@pytest.mark.parametrize(
    ("coin", "held", "fee"),
    [("", "0.00999", "0.6700050"), ("USDT", "0.01", "0.67000500"), ("BNB", "0.01", "0.670008")],
)
def test_a_fee_is_in_usdt_and_the_quantity_is_what_is_held(at_binance: Venue, coin: str, held: str, fee: str) -> None:
    at_binance.server.allowance = {"BNB": Decimal(1)}
    at_binance.server.begin()
    at_binance.server.fee_rate, at_binance.server.fee_coin = Decimal("0.001"), coin
    order = at_binance.order("0.01")
    at_binance.broker.submit(order)
    report = at_binance.broker.order(order.client_id, order.symbol)
    assert report is not None
    [fill] = report.fills
    assert (fill.quantity, report.filled, report.status) == (Decimal(held), Decimal("0.01"), Status.FILLED)
    assert float(fill.fee) == pytest.approx(float(fee), rel=1e-9)
    assert [position.quantity for position in at_binance.broker.positions()] == [Decimal(held)]
    if coin != "BNB":
        assert 10_000 - at_binance.broker.account().cash == fill.quantity * fill.price + fill.fee


def test_a_fee_of_a_sale_is_taken_from_what_is_got(at_binance: Venue) -> None:
    at_binance.server.fee_rate = Decimal("0.001")
    order = at_binance.order("0.01", Side.SELL)
    at_binance.broker.submit(order)
    report = at_binance.broker.order(order.client_id, order.symbol)
    assert report is not None
    [fill] = report.fills
    assert at_binance.broker.account().cash - 10_000 == fill.quantity * fill.price - fill.fee


def test_a_reset_of_the_network_shows_the_allowance_and_no_orders(at_binance: Venue) -> None:
    order = at_binance.order("0.05")
    at_binance.broker.submit(order)
    assert [(each.symbol, each.quantity) for each in at_binance.broker.positions()] == [("BTCUSDT", Decimal("1.05"))]
    at_binance.server.begin()
    assert [(each.symbol, each.quantity) for each in at_binance.broker.positions()] == [("BTCUSDT", Decimal(1))]
    assert at_binance.broker.order(order.client_id, order.symbol) is None
    assert at_binance.broker.account().cash == Decimal(10_000)


def test_without_symbols_every_coin_that_trades_against_usdt_counts(at_binance: Venue) -> None:
    broker = BinanceTestnet(KEY, SECRET, stand_in=at_binance.server.url)
    assert [each.symbol for each in broker.positions()] == ["BNBUSDT", "BTCUSDT", "ETHUSDT"]
    account = broker.account()
    assert account.equity == Decimal("10000") + Decimal("67000.50") + 100 * Decimal("3500.25") + 1000 * Decimal(600)
    assert (account.currency, account.account_id) == ("USDT", "…868")


def test_coins_are_spelled_as_they_are_stored(at_binance: Venue) -> None:
    broker = BinanceTestnet(KEY, SECRET, symbols=["BTC-USD", "ETHUSDT"], stand_in=at_binance.server.url)
    assert [each.symbol for each in broker.positions()] == ["BTC-USD", "ETHUSDT"]
    assert list(broker.rules(["BTC-USD", "ETH-USDT", "BTC-EUR", "MSFT", "ZZZ-USD"])) == ["BTC-USD", "ETH-USDT"]
    with pytest.raises(UsageError, match="does not trade BTC-EUR"):
        broker.order("x", "BTC-EUR")


def test_the_filters_of_a_pair_are_its_rules(at_binance: Venue) -> None:
    rules = at_binance.broker.rules(["BTCUSDT"])["BTCUSDT"]
    assert (rules.lot, rules.tick, rules.least_quantity) == (Decimal("1E-5"), Decimal("0.01"), Decimal("1E-5"))
    assert (rules.least_value, rules.most_quantity, rules.shortable) == (Decimal(5), Decimal("118.19"), False)
    at_binance.server.filters = [
        {"filterType": "LOT_SIZE", "minQty": "1.00", "maxQty": "0.00", "stepSize": "1.00"},
        {"filterType": "MIN_NOTIONAL", "minNotional": "10.0", "applyToMarket": True, "avgPriceMins": 5},
        {"filterType": "NOTIONAL", "minNotional": "50.0", "applyMinToMarket": False},
    ]
    again = at_binance.broker.rules(["BTCUSDT"])["BTCUSDT"]
    assert (again.lot, again.tick, again.least_value) == (Decimal(1), Decimal(0), Decimal(10))
    assert (again.most_quantity, again.price(Decimal("1.234"))) == (Decimal(0), Decimal("1.234"))


def test_trades_are_read_page_by_page(at_binance: Venue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binance, "_PAGE", 2)
    at_binance.server.share = Decimal("0.2")
    order = at_binance.order("0.05")
    at_binance.broker.submit(order)
    for _ in range(4):
        at_binance.server.fill(at_binance.server.orders[0], Decimal("0.01"))
    report = at_binance.broker.order(order.client_id, order.symbol)
    assert report is not None
    assert [fill.quantity for fill in report.fills] == [Decimal("0.01")] * 5


def test_a_market_order_that_found_too_few_sellers_has_expired(at_binance: Venue) -> None:
    at_binance.server.share = Decimal("0.4")
    order = at_binance.order("0.05")
    at_binance.broker.submit(order)
    at_binance.server.end(at_binance.server.orders[0], "expired")
    report = at_binance.broker.order(order.client_id, order.symbol)
    assert report is not None
    assert (report.status, report.filled) == (Status.EXPIRED, Decimal("0.02"))


# ---------------------------------------------------------------- many faults


def test_after_any_faults_the_venue_holds_each_order_once(venue: Venue) -> None:
    """Trade as the jobs do: order; ask when unsure; order again only what the venue has never got."""
    faults = ("", "lost", "drop", "504", "429", "damaged", "cut", "500")
    venue.server.fail(SUBMIT, *(faults * 6))
    wanted = [venue.order("1" if venue.symbol == "MSFT" else "0.001") for _ in range(24)]
    for order in wanted:
        for _ in range(8):
            try:
                venue.broker.submit(order)
                break
            except StatusUnknown:
                if venue.broker.order(order.client_id, order.symbol) is not None:
                    break
            except TickercastError:
                continue
    assert [each.client_id for each in venue.server.orders] == [order.client_id for order in wanted]
    reports = [venue.broker.order(order.client_id, order.symbol) for order in wanted]
    told = sum((fill.quantity for report in reports if report for fill in report.fills), Decimal(0))
    allowance = venue.server.allowance.get("BTC", Decimal(0))
    assert [each.quantity for each in venue.broker.positions()] == [told + allowance]


def test_a_stand_in_leaves_nothing_running() -> None:
    before = set(threading.enumerate())
    server: VenueServer = AlpacaServer()
    assert set(threading.enumerate()) - before
    server.close()
    assert not set(threading.enumerate()) - before


def test_a_status_that_the_venue_has_added_counts_as_open(venue: Venue) -> None:
    venue.server.share = Decimal(0)
    order = venue.order("0.1")
    venue.broker.submit(order)
    [placed] = venue.server.orders
    placed.status = "some_new_state"
    report = venue.broker.order(order.client_id, order.symbol)
    assert report is not None
    assert report.status is Status.ACCEPTED
    assert report.reason.endswith("which is not known here and counts as open")
    venue.broker.cancel(order.client_id, order.symbol)
