"""The contract of the brokers, checked on each of them.

alpaca-py talks to the stand-in of `tests/support/venues/alpaca_server.py`, the client of Binance's test network to that
of `tests/support/venues/binance_server.py`, and the simulated exchange reads stored bars. A broker joins by a fixture
that opens it with some cash, no position that counts, and one symbol whose price stands still.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tests.support.place import empty_warehouse
from tests.support.venues.alpaca_server import AlpacaServer
from tests.support.venues.binance_server import BinanceTestnetServer
from tests.support.venues.exchange import KEY, SECRET
from tests.support.warehouse_rows import price, span

from tickercast import engines
from tickercast.backends.warehouse.duckdb import DuckDBWarehouse
from tickercast.config import resource
from tickercast.domain.calendar import sessions_between
from tickercast.domain.frequency import DAILY
from tickercast.domain.trading.orders import ZERO, Bracket, Order, OrderReport, Side, Status, client_id, exit_id
from tickercast.errors import OrderRefused, StatusUnknown
from tickercast.ports import Broker

PENNY = Decimal("0.00001")  # the simulated exchange counts in floats
BRACKET = Bracket(stop=Decimal("0.02"), limit=Decimal("0.03"), take=Decimal("0.40"))


@dataclass
class Place:
    """A broker to be tested, and what its venue can be made to do.

    Attributes:
        broker: opened.
        symbol: one that it trades.
        unknown: one that it does not.
        size: that can be bought several times.
        wait: lets the venue fill what it has taken.
        hold: makes it fill 40% of the next order and keep the rest open.
        shorts, brackets: whether it takes them.
        too_much: more than its account can pay for; None where it lends without end.
    """

    broker: Broker
    symbol: str
    unknown: str
    size: Decimal
    wait: Callable[[], None]
    hold: Callable[[], None]
    shorts: bool = True
    brackets: bool = True
    too_much: Decimal | None = Decimal(1000)
    count: int = field(default=0)

    def make(self, side: Side = Side.BUY, size: Decimal | None = None, bracket: Bracket | None = None) -> Order:
        self.count += 1
        return Order(client_id(self.broker.url, str(self.count)), self.symbol, side, size or self.size, bracket)

    def done(self, order: Order) -> OrderReport:
        """Order, and what became of it."""
        self.broker.submit(order)
        self.wait()
        report = self.broker.order(order.client_id, order.symbol)
        assert report is not None
        return report

    def held(self) -> Decimal:
        return sum((each.quantity for each in self.broker.positions() if each.symbol == self.symbol), ZERO)


@pytest.fixture
def alpaca() -> Iterator[Place]:
    from tickercast.backends.brokers.alpaca import AlpacaPaper

    server = AlpacaServer()
    broker = AlpacaPaper(KEY, SECRET, stand_in=server.url)
    yield Place(broker, "BRK-B", "ZZZZ", Decimal(10), server.complete, lambda: setattr(server, "share", Decimal("0.4")))
    server.close()


@pytest.fixture
def binance() -> Iterator[Place]:
    from tickercast.backends.brokers.binance import BinanceTestnet

    server = BinanceTestnetServer()
    server.allowance = {}
    server.begin()
    broker = BinanceTestnet(KEY, SECRET, symbols=["BTC-USD"], stand_in=server.url)
    known: Any = {
        "symbol": "BTC-USD",
        "unknown": "ZZZ-USD",
        "size": Decimal("0.01"),
        "shorts": False,
        "brackets": False,
    }
    yield Place(broker, wait=server.complete, hold=lambda: setattr(server, "share", Decimal("0.4")), **known)
    server.close()


@pytest.fixture
def paper(tmp_path: Path) -> Place:
    """Bars that stand still; an order waits for the next session, and `wait` lets that pass."""
    from tickercast.backends.brokers.paper import Paper

    (tmp_path / "w.duckdb").write_bytes(empty_warehouse())
    warehouse = DuckDBWarehouse(tmp_path / "w.duckdb", resource("sql"))
    days = sessions_between("MSFT", date(2023, 7, 3), date(2023, 7, 21))
    closes = [datetime.combine(day, time(20), UTC) for day in days]
    bars = [price("MSFT", day.day, 340.0, closed_at=close, volume=1e8) for day, close in zip(days, closes, strict=True)]
    warehouse.append("prices", pd.DataFrame(bars), key="prices")
    warehouse.append("spans", pd.DataFrame([span("MSFT")]), key="spans")
    broker = Paper("paper://", "contract", warehouse, closes[4], DAILY)

    def wait() -> None:
        broker.now += timedelta(days=1)
        while broker.now not in closes:
            broker.now += timedelta(days=1)

    return Place(broker, "MSFT", "ZZZZ", Decimal(10), wait, lambda: None, too_much=None)


@pytest.fixture(params=["alpaca", "binance", "paper"])
def place(request: pytest.FixtureRequest) -> Place:
    made: Place = request.getfixturevalue(request.param)
    return made


def test_its_url_names_an_engine(place: Place) -> None:
    assert place.broker.url.partition("://")[0] in engines.BROKERS


def test_a_new_account_holds_cash_alone(place: Place) -> None:
    account = place.broker.account()
    assert account.cash == account.equity > ZERO
    assert account.buying_power >= account.cash
    assert account.currency
    assert len(account.account_id) <= 40
    assert (list(place.broker.positions()), list(place.broker.open_orders())) == ([], [])


def test_an_order_is_filled_and_told_part_by_part(place: Place) -> None:
    before = place.broker.account()
    order = place.make()
    report = place.done(order)
    assert (report.client_id, report.symbol, report.side) == (order.client_id, place.symbol, Side.BUY)
    assert (report.status, report.quantity, report.filled) == (Status.FILLED, place.size, place.size)
    assert report.venue_id
    assert report.reason == ""
    assert sum(fill.quantity for fill in report.fills) == place.size
    assert report.reported_at.tzinfo is UTC
    assert all(fill.filled_at.utcoffset() == timedelta(0) for fill in report.fills)
    assert len({fill.fill_id for fill in report.fills}) == len(report.fills) > 0
    assert place.held() == place.size
    paid = sum((fill.quantity * fill.price + fill.fee for fill in report.fills), ZERO)
    assert abs(before.cash - place.broker.account().cash - paid) < PENNY
    [position] = place.broker.positions()
    assert position.price > ZERO


def test_an_order_that_never_came_is_not_known(place: Place) -> None:
    assert place.broker.order(place.make().client_id, place.symbol) is None
    assert place.broker.order(exit_id(place.make().client_id), place.symbol) is None
    assert place.broker.order(place.make().client_id, place.unknown) is None


def test_an_ended_order_is_still_known_to_another_process(place: Place) -> None:
    order = place.make()
    first = place.done(order)
    place.done(place.make(Side.SELL))
    assert place.broker.order(order.client_id, order.symbol) == first


def test_the_same_id_again_is_no_second_order(place: Place) -> None:
    order = place.make()
    place.done(order)
    for _ in range(2):
        with suppress(StatusUnknown):
            assert place.broker.submit(order).client_id == order.client_id
    place.wait()
    assert place.held() == place.size


def test_an_order_that_waits_is_open_until_it_is_taken_back(place: Place) -> None:
    place.hold()
    order = place.make()
    place.broker.submit(order)
    [waiting] = place.broker.open_orders()
    assert (waiting.client_id, waiting.status.open) == (order.client_id, True)
    place.broker.cancel(order.client_id, order.symbol)
    report = place.broker.order(order.client_id, order.symbol)
    assert report is not None
    assert report.status is Status.CANCELLED
    assert report.filled == sum((fill.quantity for fill in report.fills), ZERO) == place.held()
    assert list(place.broker.open_orders()) == []


def test_taking_back_what_has_ended_or_never_was_does_nothing(place: Place) -> None:
    order = place.make()
    report = place.done(order)
    place.broker.cancel(order.client_id, order.symbol)
    place.broker.cancel(place.make().client_id, place.symbol)
    place.broker.cancel(exit_id(order.client_id), place.symbol)
    assert place.broker.order(order.client_id, order.symbol) == report


def test_what_was_bought_is_sold(place: Place) -> None:
    place.done(place.make())
    place.done(place.make(Side.SELL))
    assert list(place.broker.positions()) == []


def test_what_the_venue_will_not_take_it_has_not_taken(place: Place) -> None:
    if place.too_much:
        order = place.make(size=place.too_much)
        with pytest.raises(OrderRefused, match=r"\.$"):
            place.broker.submit(order)
        assert place.broker.order(order.client_id, order.symbol) is None
    with pytest.raises(OrderRefused, match=r"\.$"):
        place.broker.submit(Order("a-1", place.unknown, Side.BUY, place.size))


def test_rules_are_of_the_symbols_that_are_known(place: Place) -> None:
    rules = place.broker.rules([place.symbol, place.unknown, "VOD.L", "^GSPC"])
    assert list(rules) == [place.symbol]
    rule = rules[place.symbol]
    assert rule.symbol == place.symbol
    assert rule.tradable
    assert rule.shortable is place.shorts
    assert rule.quantity(place.size) == place.size
    assert place.broker.rules([]) == {}


def test_the_clock_is_the_venues(place: Place) -> None:
    clock = place.broker.clock()
    assert clock.now.tzinfo is UTC
    assert clock.next_open >= clock.now


def test_a_bracket_is_an_exit_of_its_own(place: Place) -> None:
    order = place.make(bracket=BRACKET)
    if not place.brackets:
        with pytest.raises(OrderRefused, match="takes no bracket"):
            place.broker.submit(order)
        assert place.broker.order(order.client_id, order.symbol) is None
        return
    assert place.done(order).status is Status.FILLED
    leaving = place.broker.order(exit_id(order.client_id), order.symbol)
    assert leaving is not None
    assert (leaving.client_id, leaving.side, leaving.quantity) == (exit_id(order.client_id), Side.SELL, place.size)
    assert leaving.status is Status.ACCEPTED
    assert [each.client_id for each in place.broker.open_orders()] == [exit_id(order.client_id)]
    place.broker.cancel(exit_id(order.client_id), order.symbol)
    gone = place.broker.order(exit_id(order.client_id), order.symbol)
    assert gone is not None
    assert gone.status is Status.CANCELLED
    assert list(place.broker.open_orders()) == []
    assert place.held() == place.size
