"""Trading at the venues from start to end: the real clients, all faults, and the venue's positions at the end."""

import itertools
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.support.venues.alpaca_server import AlpacaServer, _id
from tests.support.venues.binance_server import BinanceTestnetServer
from tests.support.venues.exchange import KEY, SECRET, SUBMIT

from tickercast.app import App
from tickercast.backends.brokers import alpaca, binance
from tickercast.backends.brokers.binance import BinanceTestnet
from tickercast.config import Settings, changed
from tickercast.domain.frequency import DAILY
from tickercast.domain.trading.signals import Known
from tickercast.domain.trading.strategy import Decision, variant
from tickercast.errors import Transient, UsageError
from tickercast.jobs.trading import trade as job
from tickercast.jobs.trading.halt import Adopted

DAYS = [date(2012, 7, 23) + timedelta(days=n) for n in range(3)]
FAULTS = ("lost", "504", "drop", "", "429", "damaged", "cut", "500")


def turning(known: Known) -> Decision:
    """More and less by turns."""
    share = (0.4, 0.1, 0.3, 0.0)[known.cutoff.toordinal() % 4]
    return Decision([share] * len(known.symbols), lambda n: "its turn")


@dataclass
class Desk:
    """An application that trades at a stand-in, by the stand-in's clock; `share` is wanted of each symbol, if set."""

    service: App
    server: Any
    broker: str
    symbols: list[str]
    share: float | None = None

    def trade(self, name: str = "turning", *, bracket: bool = False) -> Any:
        """Run until it is through, as a flow does."""
        for _ in range(12):
            try:
                return self.service.trade(variant(name, self.decide), self.broker, self.symbols, bracket=bracket)
            except Transient:
                continue
        raise AssertionError("it never got through")

    def decide(self, known: Known) -> Decision:
        if self.share is None:
            return turning(known)
        return Decision([self.share] * len(known.symbols), lambda n: "as told")

    def evening(self, day: date) -> None:
        self.server.now = datetime.combine(day, time(23, 59), UTC)

    def fits(self) -> bool:
        """Whether what is stored is what the venue holds."""
        rows = self.service.tables.read("positions")
        ours = {row.symbol: Decimal(repr(row.quantity)) for row in rows.itertuples()}
        theirs = {self.spelled(name): size for name, size in self.server.held.items() if self.spelled(name)}
        return ours.keys() == theirs.keys() and all(abs(ours[name] - theirs[name]) < Decimal("1e-9") for name in ours)

    def spelled(self, name: str) -> str:
        own = {"MSFT": "MSFT", "AAPL": "AAPL", "BTC": "BTC-USD", "ETH": "ETH-USD"}
        return own.get(name, "")


def stored(home: Path, source: str, symbols: list[str]) -> Path:
    service = App(Settings(home=str(home), source=source))
    for day in DAYS:
        service.forecast(symbols, day)
    return home


@pytest.fixture(scope="module")
def stocks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stored(tmp_path_factory.mktemp("stocks"), "sample", ["MSFT", "AAPL"])


@pytest.fixture(scope="module")
def coins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stored(tmp_path_factory.mktemp("coins"), "simulated", ["BTC-USD", "ETH-USD"])


def settings_at(home: Path) -> Settings:
    keys = {f"{venue}_{part}": value for venue in ("alpaca", "binance_testnet") for part, value in PARTS}
    return Settings(home=str(home), **keys)  # type: ignore[arg-type]


PARTS = (("key", KEY), ("secret", SECRET))


@pytest.fixture
def at_alpaca(stocks: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    server = AlpacaServer()
    server.prices = {"MSFT": Decimal("29.25"), "AAPL": Decimal("21.5")}
    monkeypatch.setattr(alpaca, "ORIGIN", server.url)
    monkeypatch.setattr(alpaca, "DATA_ORIGIN", server.url)
    home = Path(shutil.copytree(stocks, workspace / "home"))
    yield Desk(App(settings_at(home), now=lambda: server.now), server, "alpaca-paper://", ["MSFT", "AAPL"])
    server.close()


@pytest.fixture
def at_binance(coins: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    server = BinanceTestnetServer()
    server.by_own_clock = True
    monkeypatch.setattr(binance, "ORIGIN", server.url)
    monkeypatch.setitem(BinanceTestnet.__init__.__kwdefaults__, "sleep", lambda _: None)
    home = Path(shutil.copytree(coins, workspace / "home"))
    symbols = ["BTC-USD", "ETH-USD"]
    url = f"binance-testnet://?symbols={','.join(symbols)}"
    service = App(settings_at(home), now=lambda: server.now)
    closes = service.tables.read("latest_prices").sort_values("closed_at").groupby("symbol")["close"].last()
    server.prices |= {f"{name[:3]}USDT": Decimal(f"{closes[name]:.2f}") for name in symbols}
    yield Desk(service, server, url, symbols)
    server.close()


def test_through_all_faults_alpaca_holds_what_is_stored(at_alpaca: Desk) -> None:
    at_alpaca.server.fail(SUBMIT, *itertools.islice(itertools.cycle(FAULTS), 24))
    at_alpaca.server.fail("GET /v2/account", "", "504", "", "lost")
    at_alpaca.server.fail("GET /v2/orders:by_client_order_id", "", "500", "", "429")
    for day in DAYS:
        at_alpaca.evening(day)
        done = at_alpaca.trade()
        assert done.halt is None, done.halt
    ids = [each.client_id for each in at_alpaca.server.orders]
    assert len(ids) == len(set(ids)) >= 3
    assert at_alpaca.fits()
    assert sorted(at_alpaca.service.tables.read("orders")["client_id"]) == sorted(ids)


def test_through_all_faults_binance_holds_what_is_stored(at_binance: Desk) -> None:
    server = at_binance.server
    server.fee_rate = Decimal("0.001")
    at_binance.evening(DAYS[0])
    first = at_binance.trade()
    assert "1.00000000 BTC-USD, where our fills make 0" in first.halt.reason
    at_binance.service.resume_trading(adopt=True)
    server.fail(SUBMIT, *itertools.islice(itertools.cycle((*FAULTS, "1007")), 24))
    for day in DAYS:
        at_binance.evening(day)
        done = at_binance.trade()
        assert done.halt is None, done.halt
    ids = [each.client_id for each in server.orders]
    assert len(ids) == len(set(ids)) >= 3
    assert at_binance.fits()


@pytest.fixture
def desk_at_binance(at_binance: Desk) -> Desk:
    at_binance.server.allowance = {}
    at_binance.server.begin()
    return at_binance


@pytest.fixture(params=["at_alpaca", "desk_at_binance"])
def desk(request: pytest.FixtureRequest) -> Desk:
    made: Desk = request.getfixturevalue(request.param)
    return made


def test_an_order_that_is_sent_again_counts_once(desk: Desk) -> None:
    sides = []
    for day, desk.share in zip(DAYS[1:], (0.4, 0.1), strict=True):
        desk.server.fail(SUBMIT, "429")
        desk.evening(day)
        desk.trade()
        sides.append([each.side for each in desk.server.orders])
    assert sides == [["buy"] * 2, ["buy"] * 2 + ["sell"] * 2]
    assert desk.fits()


def test_fills_that_are_told_late_count_once(desk: Desk) -> None:
    desk.server.told, desk.share = False, 0.4
    desk.evening(DAYS[1])
    for _ in range(2):
        assert desk.trade().left == {}
    desk.server.told = True
    desk.trade()
    assert [each.side for each in desk.server.orders] == ["buy"] * 2
    assert desk.fits()


def test_an_order_that_is_filled_during_a_run_counts_once(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.server.share, desk.share = Decimal(0), 0.4
    desk.evening(DAYS[1])
    desk.trade()
    decide = desk.service.strategy_targets

    def filled(*given: Any, **more: Any) -> Any:
        desk.server.complete()
        return decide(*given, **more)

    monkeypatch.setattr(desk.service, "strategy_targets", filled)
    desk.trade()
    assert [each.side for each in desk.server.orders] == ["buy"] * 2
    assert desk.fits()


def test_what_is_larger_than_the_venue_takes_at_once_is_ordered_in_parts(desk_at_binance: Desk) -> None:
    server = desk_at_binance.server
    lots = next(each for each in server.filters if each["filterType"] == "MARKET_LOT_SIZE")
    for day, desk_at_binance.share in zip(DAYS[1:], (0.4, 0.0), strict=True):
        lots["maxQty"] = "50"
        server.fail(SUBMIT, "", "429")
        desk_at_binance.evening(day)
        assert desk_at_binance.trade().left == {}
    sizes = [(each.side, each.quantity) for each in server.orders if each.symbol == "BTCUSDT"]
    assert [(side, size == 50) for side, size in sizes] == [
        (s, whole) for s in ("buy", "sell") for whole in (True, False)
    ]
    assert server.held == {}


def test_dust_that_no_order_can_sell_keeps_no_other_strategy_out(desk_at_binance: Desk) -> None:
    server = desk_at_binance.server
    server.fee_rate = Decimal("0.001")
    for day, desk_at_binance.share in zip(DAYS, (0.4, 0.0, 0.2), strict=True):
        desk_at_binance.evening(day)
        if day == DAYS[1]:
            with pytest.raises(UsageError, match=r"holds BTC-USD for turning.*close the positions on the venue's page"):
                desk_at_binance.trade("other")
        done = desk_at_binance.trade("other" if day == DAYS[2] else "turning")
        assert len(done.sent) == 2
        assert 0 < min(server.held.values()) < Decimal("0.00001") or day != DAYS[1]
    assert desk_at_binance.trade("other").halt is None


def test_dust_is_named_once_and_not_fetched_any_more(desk_at_binance: Desk, caplog: pytest.LogCaptureFixture) -> None:
    desk, server = desk_at_binance, desk_at_binance.server
    app = desk.service
    app.settings = changed(app.settings, {"trade": f"always-flat@{desk.broker}"})
    server.fee_rate = Decimal("0.001")
    named = []
    for day, desk.share in zip(DAYS, (0.4, 0.0, 0.0), strict=True):
        desk.evening(day)
        named.append(dict(desk.trade().left))
        named.append(app.held_on_paper(DAILY))
    dust = {f"{name[:3]}-USD": size for name, size in server.held.items() if name != "USDT"}
    said = {name: f"{size:.8f} of it remain, and the venue takes no order of so little" for name, size in dust.items()}
    assert named == [{}, desk.symbols, said, [], {}, []]
    desk.symbols = ["ETH-USD"]
    assert desk.trade().left == {}
    server.fail("GET /api/v3/account", "504")
    assert app.held_on_paper(DAILY) == ["BTC-USD", "ETH-USD"]
    assert "Whether binance-testnet://" in caplog.text


def test_entries_that_the_buying_power_does_not_suffice_for_are_named(
    at_alpaca: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = at_alpaca.server._account
    monkeypatch.setattr(at_alpaca.server, "_account", lambda: account() | {"buying_power": "0"})
    at_alpaca.evening(DAYS[1])
    done = at_alpaca.trade()
    assert (done.sent, done.left) == (
        [],
        dict.fromkeys(("AAPL", "MSFT"), "a buying power of 0.00 does not suffice for it"),
    )


def test_a_reset_of_the_test_network_halts_with_a_sentence(at_binance: Desk) -> None:
    at_binance.evening(DAYS[0])
    at_binance.trade()
    at_binance.service.resume_trading(adopt=True)
    at_binance.trade()
    assert at_binance.server.orders
    assert at_binance.fits()
    at_binance.server.begin()
    at_binance.evening(DAYS[1])
    halted = at_binance.trade().halt
    assert "whether it was reset" in halted.reason
    at_binance.service.resume_trading(adopt=True)
    assert at_binance.trade().halt is None
    assert at_binance.fits()


def test_a_coin_that_is_held_and_not_listed_any_more_is_named_and_the_others_trade_on(desk_at_binance: Desk) -> None:
    desk_at_binance.share = 0.4
    desk_at_binance.evening(DAYS[1])
    equity = desk_at_binance.trade().state.equity
    del desk_at_binance.server.prices["ETHUSDT"]
    desk_at_binance.share = 0.2
    desk_at_binance.evening(DAYS[2])
    done = desk_at_binance.trade()
    assert done.halt is None
    assert [each.planned.symbol for each in done.sent] == ["BTC-USD"]
    assert done.left == {"ETH-USD": "it does not trade at the venue now"}
    assert float(done.state.equity) == pytest.approx(float(equity), rel=0.1)
    desk_at_binance.share = 0.4
    assert "the venue has no price of it any more" in desk_at_binance.trade().left["ETH-USD"]


def test_a_bracket_at_alpaca_is_met_and_known(at_alpaca: Desk) -> None:
    at_alpaca.server.assets = {name: {"fractionable": False} for name in at_alpaca.symbols}
    at_alpaca.evening(DAYS[1])
    at_alpaca.trade(bracket=True)
    entries = [each for each in at_alpaca.server.orders if each.legs]
    assert len(entries) == 2
    at_alpaca.server.meet(entries[0], "stop_limit")
    at_alpaca.evening(DAYS[2])
    assert at_alpaca.trade().halt is None
    assert at_alpaca.fits()


@pytest.mark.parametrize("in_time", [True, False])
def test_a_position_is_closed_once_the_exits_of_its_bracket_are_gone(
    at_alpaca: Desk, monkeypatch: pytest.MonkeyPatch, in_time: bool
) -> None:
    server, slept = at_alpaca.server, list[float]()

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if in_time:
            server.take_back()

    monkeypatch.setitem(job.trade.__kwdefaults__, "sleep", sleep)
    server.assets = {name: {"fractionable": False} for name in at_alpaca.symbols}
    at_alpaca.evening(DAYS[1])
    at_alpaca.trade(bracket=True)
    server.cancels, at_alpaca.share = False, 0.0
    at_alpaca.evening(DAYS[2])
    done = at_alpaca.trade(bracket=True)
    if in_time:
        assert (len(done.sent), done.left, len(slept)) == (2, {}, 1)
    else:
        assert (done.sent, sorted(done.left), len(slept)) == ([], ["AAPL", "MSFT"], 5)
        assert "until then it may have no stop, and its position stays" in done.left["MSFT"]
        server.take_back()
        done = at_alpaca.trade(bracket=True)
        assert len(done.sent) == 2
    assert server.held == {}


def test_a_stop_names_what_it_cannot_close(at_alpaca: Desk) -> None:
    server = at_alpaca.server
    at_alpaca.evening(DAYS[1])
    at_alpaca.trade()
    server.prices = {name: price * Decimal("0.3") for name, price in server.prices.items()}
    server.assets = {"MSFT": {"tradable": False}}
    at_alpaca.evening(DAYS[2])
    done = at_alpaca.trade()
    assert "Its positions are being closed." in done.halt.reason
    assert [each.planned.symbol for each in done.sent] == ["AAPL"]
    assert done.left == {"MSFT": "it does not trade at the venue now; its position is not closed"}


def test_alpaca_gets_whole_shares_of_short_positions(at_alpaca: Desk) -> None:
    for day, at_alpaca.share in zip(DAYS, (-0.3, -0.1, 0.2), strict=True):
        at_alpaca.evening(day)
        assert {each.status for each in at_alpaca.trade().sent} == {"accepted"}
    sizes = [(each.side, each.quantity % 1 == 0) for each in at_alpaca.server.orders]
    assert sizes == [("sell", True)] * 2 + [("buy", True)] * 4 + [("buy", False)] * 2
    assert at_alpaca.fits()


def test_a_person_takes_open_orders_back_at_the_venue(at_alpaca: Desk) -> None:
    at_alpaca.server.share = Decimal(0)
    at_alpaca.evening(DAYS[1])
    at_alpaca.trade()
    said = at_alpaca.service.halt_trading()
    assert list(said.values()) == ["2 open orders taken back"]
    assert {each.status for each in at_alpaca.server.orders} == {"canceled"}


@pytest.mark.parametrize(("fault", "asked"), [("500", "DELETE"), ("drop", "GET by id"), ("drop", "DELETE")])
def test_each_open_order_is_taken_back_whatever_becomes_of_another(at_alpaca: Desk, fault: str, asked: str) -> None:
    server = at_alpaca.server
    server.share = Decimal(0)
    at_alpaca.evening(DAYS[1])
    at_alpaca.trade()
    path = f"DELETE /v2/orders/{_id(server.orders[0].number)}"
    server.fail(path if asked == "DELETE" else "GET /v2/orders:by_client_order_id", fault)
    [said] = at_alpaca.service.halt_trading().values()
    states = [each.status for each in server.orders]
    if fault == "500":  # it was done
        assert (said, states) == ("2 open orders taken back", ["canceled"] * 2)
        return
    assert states == ["new", "canceled"]
    assert said.startswith("1 open order taken back; not known to be taken back: buy ")
    assert "AAPL (Alpaca's paper trading does not answer" in said
    assert said.endswith(". Run tickercast trade halt again.")
    [said] = at_alpaca.service.halt_trading().values()
    assert said == "1 open order taken back"


def test_another_account_of_the_venue_is_not_taken_for_the_one_that_was_traded_in(at_alpaca: Desk) -> None:
    server = at_alpaca.server
    server.share = Decimal(0)
    at_alpaca.evening(DAYS[1])
    at_alpaca.trade("first")
    events = at_alpaca.service.tables.read("order_events")
    server.begin()
    server.number = "PA9NEW00999"
    refused = "The keys open alpaca-paper://…999, and those of alpaca-paper://…789 were needed, where first has traded."
    [said] = at_alpaca.service.halt_trading().values()
    assert said.startswith(f"what became of open orders is not known: {refused}")
    assert len(at_alpaca.service.tables.read("order_events")) == len(events)
    server.prices["KO"], server.held["KO"] = Decimal(60), Decimal(5)
    at_alpaca.evening(DAYS[2])
    at_alpaca.service.resume_trading()
    assert "holds 5 KO" in at_alpaca.trade("second").halt.reason
    with pytest.raises(UsageError, match=f"{refused} Set them, or name the account that is open"):
        at_alpaca.service.resume_trading(adopt=True)
    adopted = at_alpaca.service.resume_trading(adopt=True, account="alpaca-paper://…999")
    assert adopted == {"alpaca-paper://…999": Adopted({"KO": Decimal(5)}, [])}
    assert at_alpaca.trade("second").halt is None


def test_what_fills_of_another_strategy_made_is_taken_over(at_alpaca: Desk) -> None:
    tables = at_alpaca.service.tables
    at_alpaca.evening(DAYS[1])
    at_alpaca.trade()
    fills = tables.read("fills", {"symbol": "MSFT"}).assign(fill_id="adopted-before", symbol="KO", strategy="other")
    tables.append("fills", fills, key="mixed")
    at_alpaca.server.prices["KO"] = Decimal(60)
    at_alpaca.server.held["KO"] = Decimal(repr(float(fills["quantity"].iloc[0])))
    with pytest.raises(UsageError, match="holds KO for other"):
        at_alpaca.trade()
    [adopted] = at_alpaca.service.resume_trading(adopt=True).values()
    assert adopted == Adopted({}, [], ("KO",))
    assert {*tables.read("positions")["strategy"]} == {"turning"}
    assert [each.planned.symbol for each in at_alpaca.trade().sent] == ["KO"]


def test_a_position_that_was_sold_by_hand_and_adopted_has_the_gain_of_what_was_bought_since(at_alpaca: Desk) -> None:
    server = at_alpaca.server
    at_alpaca.evening(DAYS[1])
    at_alpaca.trade()
    server.cash += server.held.pop("MSFT") * server.prices["MSFT"]
    server.held["AAPL"] *= 2  # split
    server.averages["AAPL"] /= 2
    server.prices["AAPL"] /= 2
    at_alpaca.share = 0.4
    at_alpaca.evening(DAYS[2])
    assert at_alpaca.trade().halt is not None
    server.now += timedelta(seconds=1)
    at_alpaca.service.resume_trading(adopt=True)
    assert at_alpaca.trade().halt is None
    held = at_alpaca.service.tables.read("positions").set_index("symbol")
    for symbol, price in (("MSFT", 29.25), ("AAPL", 21.5 / 2)):
        row = held.loc[symbol]
        assert row["gain"] == pytest.approx(row["quantity"] * (row["last_close"] - price))


def test_a_position_with_an_open_order_is_left_and_named_when_positions_are_adopted(at_alpaca: Desk) -> None:
    server = at_alpaca.server
    server.share = Decimal(0)
    at_alpaca.evening(DAYS[1])
    at_alpaca.trade()
    server.prices["KO"] = Decimal(60)
    server.held |= {"MSFT": Decimal(3), "KO": Decimal(2)}
    [adopted] = at_alpaca.service.resume_trading(adopt=True).values()
    assert adopted == Adopted({"KO": Decimal(2)}, ["MSFT"])
    at_alpaca.service.halt_trading()
    [adopted] = at_alpaca.service.resume_trading(adopt=True).values()
    assert adopted == Adopted({"MSFT": Decimal(3)}, [])
