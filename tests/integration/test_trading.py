"""Trading on paper from start to end: the account is the backtest's, halts and limits hold, and nothing is live."""

import json
import math
import re
import shlex
import shutil
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
import typer
from click.testing import Result
from tests.support.trading import SYMBOLS as SYMBOLS_OF_EVENING
from tests.support.trading import Evening
from typer.testing import CliRunner

from tickercast.app import App, variants_of
from tickercast.backends.brokers.paper import Paper
from tickercast.cli import app as cli
from tickercast.cli.daily import print_day
from tickercast.config import Settings, changed
from tickercast.domain.bars import Bars
from tickercast.domain.calendar import sessions_between
from tickercast.domain.files.price_files import to_csv
from tickercast.domain.frequency import DAILY, HOURLY
from tickercast.domain.measures.promotion import Condition, training
from tickercast.domain.trading.limits import Cause
from tickercast.domain.trading.orders import Order, Side
from tickercast.domain.trading.signals import Known
from tickercast.domain.trading.strategy import Decision, Variant, variant
from tickercast.domain.trading.strategy_backtest import Costs
from tickercast.domain.trading.universe import always
from tickercast.errors import UsageError
from tickercast.jobs.operations.alerts import SentAlerts
from tickercast.jobs.trading.halt import Adopted
from tickercast.show.day import traded_lines
from tickercast.show.sentences import NOT_ADVICE

SYMBOLS = ["MSFT", "AAPL"]
DAYS = sessions_between("MSFT", date(2012, 7, 23), date(2012, 8, 1))


def run(*words: str) -> Result:
    return CliRunner(env={"COLUMNS": "140"}).invoke(cli, list(words))


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forecasts of every session, made once."""
    home = tmp_path_factory.mktemp("trading")
    service = App(Settings(home=str(home), source="sample"))
    for day in DAYS:
        service.forecast(SYMBOLS, day)
    return home


@pytest.fixture
def service(stored: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> App:
    shutil.copytree(stored, workspace / "home")
    monkeypatch.setenv("TICKERCAST_HOME", str(workspace / "home"))
    return App()


def turning(known: Known) -> Decision:
    """Long and short by turns, and sometimes nothing."""
    sides = np.array([[0.3, -0.2], [-0.25, -0.2], [0.0, 0.3], [np.nan, -0.1]])[known.cutoff.toordinal() % 4]
    return Decision(sides, lambda n: "its turn")


NAMED = variants_of(["volatility-target:target=0.1", "buy-and-hold", "interval-momentum:span=3,threshold=0,short=1"])


@pytest.mark.parametrize("made", [*NAMED, variant("turning", turning)])
def test_a_live_account_is_that_of_the_backtest(service: App, made: Variant) -> None:
    for day in DAYS:
        done = service.trade(made, symbols=SYMBOLS, as_of=day)
        assert done.halt is None
    account = service.tables.read("equity").sort_values("cutoff")
    expected = service.strategy_backtest([made], DAYS[0], DAYS[-1], symbols=SYMBOLS, costs=Costs()).results[0].net
    assert account["equity"].to_numpy() == pytest.approx(expected.equity, rel=1e-11)
    fills = service.tables.read("fills")
    assert len(fills) >= expected.orders
    weights = {
        row.symbol: row.value / account["equity"].iloc[-1] for row in service.tables.read("positions").itertuples()
    }
    assert [weights.get(symbol, 0.0) for symbol in sorted(SYMBOLS)] == pytest.approx(
        expected.weights[-1].tolist(), rel=1e-9
    )


@pytest.mark.parametrize(
    ("beside", "filled"),
    [
        ("MSFT", [27, 30, 31]),  # Friday's order waited for Monday
        ("CL=F", [29]),  # Thursday's came when Friday's session had begun, and waited for that of Sunday evening
    ],
)
def test_a_live_account_of_two_calendars_is_that_of_the_backtest(
    service: App, beside: str, filled: Sequence[int]
) -> None:
    symbols, days = [beside, "BTC-USD"], [date(2012, 7, 26) + timedelta(days=each) for each in range(6)]
    for day in (days[0], days[-1]):
        service.forecast([each for each in symbols if each != "MSFT"], day, source="simulated")

    def sides(known: Known) -> Decision:
        return Decision([0.3, -0.6, -0.2, 0.4, -0.5, 0.1][days.index(known.cutoff)] * np.array([1.0, -0.5]), str)

    made = variant("sides", sides)
    for day in days:
        assert service.trade(made, symbols=symbols, as_of=day).halt is None
    account = service.tables.read("equity").sort_values("cutoff")
    expected = service.strategy_backtest([made], days[0], days[-1], symbols=symbols).results[0].net
    assert account["equity"].to_numpy() == pytest.approx(expected.equity, rel=1e-11)
    fills = service.tables.read("fills", {"symbol": beside}).sort_values("filled_at")
    assert list(fills["filled_at"].dt.day.unique()) == filled


def test_a_stock_is_decided_at_the_weekend_in_a_live_account_as_in_the_backtest(service: App) -> None:
    days = [date(2012, 7, 26) + timedelta(days=each) for each in range(6)]  # from a Thursday
    for day in (days[0], days[-1]):
        service.forecast(["BTC-USD"], day, source="simulated")
    sides = {
        "AAPL": (0.2, math.nan, 0.4, 0.1, 0.3, 0.0),  # Saturday's order waits
        "BTC-USD": (0.2, 0.4, 0.1, 0.6, -0.5, 0.1),
        "MSFT": (0.3, 0.0, 0.4, 0.2, 0.1, 0.0),  # Friday's does
    }
    weights, symbols = np.array(list(sides.values())), list(sides)
    made = variant("sides", lambda known: Decision(weights[:, days.index(known.cutoff)], str))
    for day in days:
        assert service.trade(made, symbols=symbols, as_of=day).halt is None
    account = service.tables.read("equity").sort_values("cutoff")
    expected = service.strategy_backtest([made], days[0], days[-1], symbols=symbols).results[0].net
    assert account["equity"].to_numpy() == pytest.approx(expected.equity, rel=1e-11)
    filled = service.tables.read("fills").groupby("symbol")["filled_at"].agg(lambda at: sorted(at.dt.day))
    assert [filled[symbol] for symbol in ("AAPL", "MSFT")] == [[27, 30, 31], [27, 30, 31]]


def test_a_run_at_the_weekend_makes_up_for_that_of_friday_once(service: App) -> None:
    [made], symbols = variants_of(["volatility-target"]), [*SYMBOLS, "BTC-USD"]
    friday = service.trade(made, "paper://whole", SYMBOLS, as_of=date(2012, 7, 27))
    service.forecast(["BTC-USD"], date(2012, 7, 29), source="simulated")
    done = service.trade(made, "paper://late", symbols, as_of=date(2012, 7, 29))
    assert {each.planned.symbol for each in done.sent} == set(symbols)
    orders = service.tables.read("orders").groupby("symbol")
    assert all(len(set(orders.get_group(symbol)["cutoff_at"])) == 1 for symbol in SYMBOLS)  # those of Friday's close
    reasons = {each.planned.symbol: each.planned.reason for each in friday.sent}
    assert reasons.items() <= {each.planned.symbol: each.planned.reason for each in done.sent}.items()
    again = service.trade(made, "paper://late", symbols, as_of=date(2012, 7, 29))
    assert (list(again.sent), dict(again.left)) == ([], {})


def test_volumes_bound_a_live_account_as_they_bound_that_of_the_backtest(service: App, workspace: Path) -> None:
    with duckdb.connect(workspace / "home" / "warehouse.duckdb") as connection:
        connection.execute("UPDATE prices SET volume = 0 WHERE symbol = 'AAPL'")  # reports none
        connection.execute(
            "UPDATE prices SET volume = 0 WHERE symbol = 'MSFT' AND session_date > '2012-07-01'"
        )  # quiet
    [made] = variants_of(["buy-and-hold"])
    for day in DAYS:
        service.trade(made, symbols=SYMBOLS, as_of=day)
    account = service.tables.read("equity").sort_values("cutoff")
    expected = service.strategy_backtest([made], DAYS[0], DAYS[-1], symbols=SYMBOLS, costs=Costs()).results[0].net
    assert account["equity"].to_numpy() == pytest.approx(expected.equity, rel=1e-11)
    assert set(service.tables.read("fills")["symbol"]) == {"AAPL"}
    assert (expected.capped, expected.unfilled) == (0, len(DAYS) - 1)


def test_an_order_is_filled_when_its_exchange_opens(service: App) -> None:
    [made] = variants_of(["buy-and-hold"])
    for day in DAYS[:2]:
        service.trade(made, symbols=SYMBOLS, as_of=day)
    opened = datetime.combine(DAYS[1], time(13, 30), UTC)  # New York's summer
    assert set(service.tables.read("fills")["filled_at"]) == {opened}


def test_a_second_run_orders_nothing_and_a_dry_run_stores_nothing(service: App) -> None:
    words = ("trade", "--strategy", "volatility-target", "--symbols", "MSFT,AAPL", "--as-of", str(DAYS[0]))
    dry = run(*words, "--dry-run")
    assert dry.exit_code == 0, dry.output
    assert "nothing was stored or sent" in dry.stdout
    assert len(service.tables.read("orders")) == len(service.tables.read("account_states")) == 0
    first, second = run(*words), run(*words)
    assert first.exit_code == second.exit_code == 0
    assert "No order was needed." in second.stdout
    assert NOT_ADVICE in first.stdout
    orders = service.tables.read("orders")
    assert sorted(orders["symbol"]) == ["AAPL", "MSFT"]
    assert (orders["client_id"].str.len() <= 36).all()
    assert len(service.tables.read("paper_orders")) == 2
    shown = json.loads(run("trade", "status", "--json").stdout)
    assert [each["status"] for each in shown["open_orders"]] == ["accepted", "accepted"]


def test_a_person_halts_and_resumes(service: App) -> None:
    words = ("trade", "--strategy", "volatility-target", "--symbols", "MSFT,AAPL", "--as-of")
    halted = run("trade", "halt", "--strategy", "volatility-target")
    assert halted.exit_code == 0, halted.output
    refused = run(*words, str(DAYS[0]))
    assert refused.exit_code == 1
    assert "HALTED: A person halted it." in refused.stdout
    assert service.tables.read("orders").empty
    assert "HALTED, volatility-target" in run("trade", "status").stdout
    other = run("trade", "--strategy", "buy-and-hold", "--symbols", "MSFT", "--as-of", str(DAYS[0]))
    assert other.exit_code == 0, other.output
    misplaced = run("trade", "--strategy", "volatility-target", "resume")
    assert "Run: tickercast trade resume --strategy volatility-target." in str(misplaced.exception)
    assert run("trade", "resume", "--strategy", "volatility-target").exit_code == 0
    assert run(*words, str(DAYS[0])).exit_code == 0
    assert len(service.tables.read("orders")) == 3


def test_orders_that_were_filled_before_a_halt_are_stored_and_not_said_to_be_taken_back(service: App) -> None:
    [held] = variants_of(["volatility-target"])
    service.trade(held, symbols=SYMBOLS, as_of=DAYS[0])
    assert "paper://volatility-target: no open order taken back, 2 had been filled" in run("trade", "halt").output
    fills = service.tables.read("fills")
    assert sorted(fills["symbol"]) == sorted(SYMBOLS)
    assert json.loads(run("trade", "status", "--json").stdout)["open_orders"] == []
    assert "paper://volatility-target: no order was open" in run("trade", "halt").output
    service.resume_trading()
    service.trade(held, symbols=SYMBOLS, as_of=DAYS[1])
    assert sorted(service.tables.read("fills")["fill_id"]) == sorted(fills["fill_id"])


def test_orders_that_a_halt_takes_back_are_gone_and_the_next_bar_decides_anew(service: App) -> None:
    held, other = variants_of(["volatility-target", "buy-and-hold"])
    clock = [datetime.combine(DAYS[0], time(21), UTC)]
    live = App(now=lambda: clock[0])
    live.trade(held, "paper://shared", SYMBOLS)
    assert live.halt_trading() == {"paper://shared": "2 open orders taken back"}
    assert live.trading_status().orders.empty
    assert live.halt_trading() == {"paper://shared": "no order was open"}
    clock[0] += timedelta(minutes=1)
    live.resume_trading()
    done = live.trade(held, "paper://shared", SYMBOLS)
    assert not done.sent
    why = "its order of this bar is cancelled, and the next bar decides anew"
    assert done.left == dict.fromkeys(SYMBOLS, why)
    shown = run("trade", "--strategy", "volatility-target", "--broker", "paper://shared", "--as-of", str(DAYS[0]))
    assert f"No order was sent.\nAAPL: {why}.\nMSFT: {why}.\n" in shown.stdout
    assert len(live.trade(other, "paper://shared", SYMBOLS, dry=True).sent) == 2
    clock[0] += timedelta(days=1)
    assert len(live.trade(held, "paper://shared", SYMBOLS).sent) == 2
    assert live.tables.read("fills").empty


def test_who_is_not_known_is_not_halted(service: App) -> None:
    for words, said in (
        (("--strategy", "volatility-targt"), "'volatility-targt' is no strategy"),
        (("--account", "paper://nosuch"), "No account paper://nosuch has traded: none has"),
    ):
        for order in ("halt", "resume"):
            refused = run("trade", order, *words)
            assert isinstance(refused.exception, UsageError)
            assert said in str(refused.exception)
    assert service.tables.read("trading_events").empty


def test_a_halted_strategy_is_halted_with_its_variants(service: App) -> None:
    service.halt_trading(strategy="volatility-target")
    variant_of_it, other = variants_of(["volatility-target:target=0.1", "buy-and-hold"])
    assert service.trade(variant_of_it, symbols=SYMBOLS, as_of=DAYS[0]).halt is not None
    assert service.trade(other, symbols=SYMBOLS, as_of=DAYS[0]).halt is None


def test_what_an_open_order_is_filled_with_is_not_adopted_too(service: App) -> None:
    held = variants_of(["buy-and-hold"])[0]
    service.trade(held, symbols=SYMBOLS, as_of=DAYS[0])
    assert service.resume_trading(adopt=True) == {"paper://buy-and-hold": Adopted({}, [])}
    assert len(service.tables.read("fills")) == 2
    for day in DAYS[1:3]:
        assert service.trade(held, symbols=SYMBOLS, as_of=day).halt is None
    assert not service.tables.read("fills")["fill_id"].str.startswith("adopted").any()


def test_daily_bars_of_an_earlier_release_which_say_no_close_are_traded_on(service: App) -> None:
    with duckdb.connect(service.settings.home_folder / "warehouse.duckdb") as connection:
        connection.execute("UPDATE prices SET closed_at = NULL")
    service, held = App(), variants_of(["buy-and-hold"])[0]
    for day in DAYS[:2]:
        done = service.trade(held, symbols=SYMBOLS, as_of=day)
    assert done.left == {}
    fills = service.tables.read("fills")
    assert {*fills["symbol"]} == {*SYMBOLS}
    assert fills["basis"].notna().all()
    assert {*service.trading_status().positions["symbol"]} == {*SYMBOLS}


def test_a_stop_closes_positions_and_halts_until_somebody_resumes(
    service: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TICKERCAST_TRADE_LIMITS", "stop=0.0001")
    service, held = App(), variants_of(["buy-and-hold"])[0]
    halts = []
    for day in DAYS[:5]:
        done = service.trade(held, symbols=SYMBOLS, as_of=day)
        halts.append(done.halt is not None)
    first = halts.index(True)
    assert all(halts[first:])
    assert service.tables.read("positions").empty
    events = service.tables.read("trading_events")
    assert list(events["cause"]) == ["stop"]
    assert "its stop is at 0.01%" in events["reason"].iloc[0]
    alerts = {alert.key: alert for alert in service.open_alerts()}
    assert alerts["trading:paper://buy-and-hold/buy-and-hold"].severity == "failure"
    service.resume_trading(strategy="buy-and-hold")
    assert service.trade(held, symbols=SYMBOLS, as_of=DAYS[5]).halt is None


def test_a_stop_counts_the_loss_of_the_first_bar_after_a_resume(service: App, monkeypatch: pytest.MonkeyPatch) -> None:
    [held] = variants_of(["buy-and-hold"])
    for day in DAYS[:2]:
        service.trade(held, symbols=SYMBOLS, as_of=day)
    service.halt_trading()
    service.resume_trading()
    equity = service.trade(held, symbols=SYMBOLS, as_of=DAYS[2], dry=True).state.equity
    [before] = service.tables.read("account_states", {"cutoff": DAYS[1]}, ["equity"])["equity"]
    loss = 1 - float(equity) / before
    assert loss > 0
    monkeypatch.setenv("TICKERCAST_TRADE_LIMITS", f"stop={loss * 0.99}")
    halt = App().trade(held, symbols=SYMBOLS, as_of=DAYS[2]).halt
    assert halt is not None
    assert halt.cause is Cause.STOP


def test_limits_cut_orders_and_are_kept(service: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TICKERCAST_TRADE_LIMITS", "position=0.2,turnover=0.3,orders=5")
    done = App().trade(variants_of(["buy-and-hold"])[0], symbols=SYMBOLS, as_of=DAYS[0])
    assert sum(float(each.planned.value) for each in done.sent) == pytest.approx(30_000)
    events = service.tables.read("trading_events")
    assert sorted(events["cause"]) == ["position", "position", "turnover"]
    assert set(events["action"]) == {"limit"}


def test_a_bracket_is_met_and_the_position_is_gone(service: App) -> None:
    made = variants_of(["buy-and-hold"])[0]
    for day in DAYS:
        service.trade(made, symbols=SYMBOLS, as_of=day, bracket=True)
    fills = service.tables.read("fills")
    exits = fills[fills["client_id"].str.endswith("-exit")]
    assert list(exits["symbol"]) == ["AAPL"]
    bars = service.tables.read("latest_prices", {"symbol": "AAPL"}).sort_values("session_date")
    entry = fills[(fills["symbol"] == "AAPL") & (fills["side"] == "buy")].iloc[0]
    assert exits["price"].iloc[0] <= entry["price"] * 0.98
    assert exits["price"].iloc[0] >= entry["price"] * 0.97
    assert bars["low"].min() <= exits["price"].iloc[0]


def test_an_account_is_one_strategys_and_time_does_not_run_back(service: App) -> None:
    held, other = variants_of(["buy-and-hold", "always-flat"])
    service.trade(held, "paper://shared", SYMBOLS, as_of=DAYS[1])
    service.trade(held, "paper://shared", SYMBOLS, as_of=DAYS[2])
    with pytest.raises(UsageError, match="an account of its own was needed for always-flat"):
        service.trade(other, "paper://shared", SYMBOLS, as_of=DAYS[3])
    with pytest.raises(UsageError, match="a later one was needed"):
        service.trade(held, "paper://shared", SYMBOLS, as_of=date(2012, 7, 23))


@pytest.mark.parametrize("refused", [DAYS[0], DAYS[2]])
def test_a_run_before_the_newest_decision_is_refused_and_stores_nothing(service: App, refused: date) -> None:
    [held] = variants_of(["buy-and-hold"])
    for day in (DAYS[1], DAYS[3]):  # the second one decides on a later bar, and orders nothing
        service.trade(held, symbols=SYMBOLS, as_of=day)
    before = {table: len(service.tables.read(table)) for table in ("account_states", "orders", "paper_orders")}
    for dry in (False, True):
        said = f"paper://buy-and-hold has decided on the bars of 2012-07-26, and the newest bar is of {refused}"
        with pytest.raises(UsageError, match=f"{said}: a later one was needed"):
            service.trade(held, symbols=SYMBOLS, as_of=refused, dry=dry)
    assert {table: len(service.tables.read(table)) for table in before} == before


def test_an_open_order_keeps_other_strategies_out_of_an_account(service: App) -> None:
    held, other = variants_of(["buy-and-hold", "volatility-target"])
    service.trade(held, "paper://shared", SYMBOLS, as_of=DAYS[0])
    said = "paper://shared has an open order of AAPL for buy-and-hold on bars of 1d"
    with pytest.raises(UsageError, match=said):
        service.trade(other, "paper://shared", SYMBOLS, as_of=DAYS[0])
    assert set(service.tables.read("orders")["strategy"]) == {"buy-and-hold"}


def test_what_two_strategies_of_one_account_hold_is_added_up(service: App) -> None:
    [held] = variants_of(["buy-and-hold"])
    for day in DAYS[:2]:
        service.trade(held, "paper://shared", SYMBOLS, as_of=day)
    service.trade(held, "paper://other", ["AAPL"], as_of=DAYS[1])
    service.trade(held, "paper://other", ["AAPL"], as_of=DAYS[2])
    mixed = service.tables.read("fills", {"account": "paper://other"})  # as earlier versions let it come
    mixed = mixed.assign(account="paper://shared", strategy="volatility-target", fill_id="mixed")
    service.tables.append("fills", mixed, key="mixed")
    with pytest.raises(UsageError, match="for volatility-target on bars of 1d"):
        service.trade(held, "paper://shared", SYMBOLS, as_of=DAYS[2])
    [adopted] = service.resume_trading(account="paper://shared", adopt=True).values()
    assert adopted.changes == {"AAPL": -Decimal(repr(float(mixed["quantity"].iloc[0])))}
    assert service.resume_trading(account="paper://shared", adopt=True) == {"paper://shared": Adopted({}, [])}


@pytest.mark.parametrize(
    ("named", "account"),
    [
        ("buy-and-hold@paper://x always-flat@paper://x?capital=2000", "paper://x"),
        ("buy-and-hold@paper:// always-flat@paper://buy-and-hold", "paper://buy-and-hold"),
        ("buy-and-hold@alpaca-paper:// always-flat@alpaca-paper://", "alpaca-paper://"),
    ],
)
def test_a_setting_that_names_an_account_twice_is_refused(named: str, account: str) -> None:
    said = f"TICKERCAST_TRADE names {account} for buy-and-hold and for always-flat: an account of its own was needed"
    with pytest.raises(UsageError, match=said):
        App(Settings(trade=named)).trades(DAILY)


@pytest.mark.parametrize(
    ("later", "said"),
    [
        ("?borrow_bps=10", "capital=100000 and borrow_bps=10, and its past is on capital=20000 and borrow_bps=50"),
        ("", "paper://x is named with capital=100000, and its past is on capital=20000"),
    ],
)
def test_what_the_past_of_an_account_depends_on_does_not_change(service: App, later: str, said: str) -> None:
    [held] = variants_of(["buy-and-hold"])
    service.trade(held, "paper://x?capital=20000", SYMBOLS, as_of=DAYS[0])
    for dry in (True, False):
        with pytest.raises(UsageError, match=said):
            service.trade(held, f"paper://x{later}", SYMBOLS, as_of=DAYS[1], dry=dry)
    assert len(service.tables.read("account_states")) == 1
    done = service.trade(held, "paper://x?capital=20000.0", SYMBOLS, as_of=DAYS[1])
    assert float(done.state.equity) == pytest.approx(20_000, rel=0.05)


def test_the_bars_of_an_account_keep_their_frequency(service: App) -> None:
    [flat] = variants_of(["always-flat"])
    service.trade(flat, "paper://x", SYMBOLS, as_of=DAYS[0])
    with pytest.raises(UsageError, match=r"paper://x has traded on bars of 1d, and bars of 1h were named: an account"):
        service.trade(flat, "paper://x", SYMBOLS, frequency=HOURLY)


def test_costs_of_later_fills_may_change_and_leave_the_past_as_it_was(service: App) -> None:
    [held] = variants_of(["buy-and-hold"])
    service.trade(held, "paper://x", SYMBOLS, as_of=DAYS[0])
    before = service.trade(held, "paper://x", SYMBOLS, as_of=DAYS[1]).state
    dear = "paper://x?fees_bps=500&slippage_bps=500&capacity=0.5&lot=1"
    after = service.trade(held, dear, SYMBOLS, as_of=DAYS[1], dry=True).state
    assert after == before


def test_a_named_symbol_without_signals_stops_the_run_and_a_member_without_them_is_named(service: App) -> None:
    [held] = variants_of(["buy-and-hold"])
    with pytest.raises(UsageError, match=r"NOPE cannot be traded: no signal is stored from .* Nothing was ordered"):
        service.trade(held, symbols=["AAPL", "NOPE"], as_of=DAYS[0])
    assert service.tables.read("orders").empty
    done = service.trade(held, members=always(["AAPL", "NOPE"]), as_of=DAYS[0])
    assert [each.planned.symbol for each in done.sent] == ["AAPL"]
    assert done.left == {"NOPE": "no signal is stored from 2012-06-08 to 2012-07-23"}


def test_pence_are_not_bought_with_dollars(service: App, workspace: Path) -> None:
    first = date(2010, 1, 4)
    frame = service.market_data("sample").fetch(["MSFT"], first, DAYS[0], advance=lambda _: None)["MSFT"].frame
    in_london = frame["session_date"].dt.date.isin(sessions_between("VOD.L", first, DAYS[0]))
    (workspace / "london").mkdir()
    (workspace / "london" / "VOD.L.csv").write_bytes(to_csv([Bars("VOD.L", frame[in_london].reset_index(drop=True))]))
    service.forecast(["VOD.L"], DAYS[0], source=str(workspace / "london"))
    [made], named = variants_of(["buy-and-hold"]), [*SYMBOLS, "VOD.L"]
    why = "is quoted in GBp, and the account is in USD"
    with pytest.raises(UsageError, match=rf"^VOD\.L cannot be traded: VOD\.L {why}, .*paper://NAME\?currency=GBp\.$"):
        service.trade(made, symbols=named, as_of=DAYS[0])
    assert service.tables.read("orders").empty
    for members in (always(named), None):  # a watchlist; and all that have signals
        done = service.trade(made, members=members, as_of=DAYS[0], dry=True)
        assert {each.planned.symbol for each in done.sent} == set(SYMBOLS)
        assert done.left == {"VOD.L": f"it {why}"}
    done = service.trade(made, "paper://london?currency=GBp", ["VOD.L"], as_of=DAYS[0])
    assert (done.state.currency, len(done.sent)) == ("GBp", 1)
    with pytest.raises(UsageError, match="named with currency=USD, and its past is on currency=GBp"):
        service.trade(made, "paper://london", ["VOD.L"], as_of=DAYS[0])


def test_a_run_that_was_killed_between_orders_orders_the_rest_as_it_would_have(
    service: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    [held] = variants_of(["buy-and-hold"])
    whole = service.trade(held, "paper://whole", SYMBOLS, as_of=DAYS[0])

    def killed(venue: Paper, order: Order) -> None:
        submit(venue, order)
        raise KeyboardInterrupt

    submit = Paper.submit
    monkeypatch.setattr(Paper, "submit", killed)
    with pytest.raises(KeyboardInterrupt):
        service.trade(held, "paper://killed", SYMBOLS, as_of=DAYS[0])
    monkeypatch.setattr(Paper, "submit", submit)
    [rest] = service.trade(held, "paper://killed", SYMBOLS, as_of=DAYS[0]).sent
    expected = float(whole.sent[1].planned.quantity)
    assert float(rest.planned.quantity) == pytest.approx(expected, rel=1e-9)  # lots of what was sent before


def test_a_position_in_a_symbol_that_stops_trading_is_named_each_day(service: App, workspace: Path) -> None:
    [held] = variants_of(["buy-and-hold"])
    for day in DAYS[:2]:
        assert not service.trade(held, symbols=SYMBOLS, as_of=day).left
    with duckdb.connect(workspace / "home" / "warehouse.duckdb") as connection:
        connection.execute("DELETE FROM prices WHERE symbol = 'AAPL' AND session_date > ?", [DAYS[1]])
        connection.execute("DELETE FROM forecasts WHERE symbol = 'AAPL' AND cutoff > ?", [DAYS[1]])
    why = "it has no bar since 2012-07-24, and its position stays as it is"
    for day in (DAYS[2], DAYS[-1]):
        done = service.trade(held, symbols=SYMBOLS, as_of=day)
        assert done.left == {"AAPL": why}
    assert f"; AAPL: {why}" in next(iter(traded_lines({"": done})))
    shown = run("trade", "--strategy", "buy-and-hold", "--symbols", "MSFT,AAPL", "--as-of", str(DAYS[-1]))
    assert "No order was sent.\nAAPL: it has no bar since 2012-07-24" in shown.stdout
    flat = service.strategy_targets(variants_of(["always-flat"]), SYMBOLS, DAYS[-1]).wanted
    assert [reason for _, reason in flat[0][1]] == ["it has no bar since 2012-07-24", "always flat"]


def test_an_order_that_no_bar_follows_is_named_until_it_has_expired(service: App, workspace: Path) -> None:
    [held] = variants_of(["buy-and-hold"])
    service.trade(held, symbols=SYMBOLS, as_of=DAYS[0])
    with duckdb.connect(workspace / "home" / "warehouse.duckdb") as connection:
        connection.execute("DELETE FROM prices WHERE symbol = 'AAPL' AND session_date > ?", [DAYS[0]])
        connection.execute("DELETE FROM forecasts WHERE symbol = 'AAPL' AND cutoff > ?", [DAYS[0]])
    for symbols in (SYMBOLS, ["MSFT"]):  # it has another name, or none
        done = service.trade(held, symbols=symbols, as_of=DAYS[1])
        assert done.left == {"AAPL": "it has no bar since 2012-07-23, and its order of 2012-07-23 is still open"}
    for dry in (True, False):
        done = service.trade(held, symbols=["MSFT"], as_of=DAYS[-1], dry=dry)
        assert done.left == {"AAPL": "its order of 2012-07-23 expired: no bar followed"}
    assert not service.trade(held, symbols=["MSFT"], as_of=DAYS[-1]).left


def test_what_a_bar_did_not_fill_is_named_where_nothing_more_is_ordered(service: App) -> None:
    weights = {DAYS[0]: 0.5, DAYS[1]: math.nan}
    made = variant("once", lambda known: Decision(np.full(1, weights[known.cutoff]), str))
    service.trade(made, "paper://x?capital=1e10", ["MSFT"], as_of=DAYS[0])
    left = service.trade(made, "paper://x?capital=1e10", ["MSFT"], as_of=DAYS[1]).left
    why = r"1% of the bar's volume was filled, the rest lapsed"
    assert re.fullmatch(rf"its order of 2012-07-23 expired with [\d,]+ of [\d,]+ filled: {why}", left["MSFT"])


def test_a_symbol_whose_newest_forecast_is_doubtful_is_named_with_what_is_odd(service: App, workspace: Path) -> None:
    [made, held] = variants_of(["volatility-target", "buy-and-hold"])
    service.trade(made, symbols=SYMBOLS, as_of=DAYS[0])
    with duckdb.connect(workspace / "home" / "warehouse.duckdb") as connection:
        connection.execute("UPDATE forecasts SET doubtful = TRUE WHERE symbol = 'MSFT' AND cutoff > ?", [DAYS[0]])
        connection.execute("UPDATE ingestions SET findings = 'jump' WHERE symbol = 'MSFT'")
    why = "its newest forecast is doubtful, and does not count: jump"
    assert service.trade(made, symbols=SYMBOLS, as_of=DAYS[1]).left["MSFT"] == why
    [(_, wanted)] = service.strategy_targets(made, SYMBOLS, DAYS[1]).wanted
    assert wanted[1][1] == "left as it is, since its newest forecast is doubtful: jump"
    assert not service.trade(held, "paper://x", SYMBOLS, as_of=DAYS[1]).left  # it reads no forecast
    with duckdb.connect(workspace / "home" / "warehouse.duckdb") as connection:
        connection.execute("UPDATE forecasts SET doubtful = TRUE WHERE symbol = 'MSFT'")
    done = service.trade(made, symbols=SYMBOLS, as_of=DAYS[2])
    [sold] = [each.planned for each in done.sent if each.planned.symbol == "MSFT"]
    assert (sold.leg, sold.reason) == ("exit", "its newest forecast is doubtful: jump")
    assert "MSFT" not in done.left
    assert service.trade(made, symbols=SYMBOLS, as_of=DAYS[3]).left["MSFT"] == why


def test_a_position_whose_bars_are_lost_is_a_sentence(service: App, workspace: Path) -> None:
    [held] = variants_of(["buy-and-hold"])
    for day in DAYS[:2]:
        service.trade(held, symbols=SYMBOLS, as_of=day)
    with duckdb.connect(workspace / "home" / "warehouse.duckdb") as connection:
        connection.execute("DELETE FROM prices WHERE symbol = 'AAPL'")
    with pytest.raises(
        UsageError, match=r"holds AAPL, and no session of it is stored .* Run: tickercast forecast AAPL"
    ):
        App().trade(held, symbols=["MSFT"], as_of=DAYS[2])


def test_dust_on_the_simulated_exchange_is_not_fetched_however_old_its_bars_are(service: App) -> None:
    [held] = variants_of(["buy-and-hold"])
    found = []
    for day, broker in zip(DAYS, ("paper://x?capital=50", "paper://x?capital=50&lot=10"), strict=False):
        service.trade(held, broker, SYMBOLS, as_of=day)
        service.settings = changed(service.settings, {"trade": f"buy-and-hold@{broker}"})
        found.append(service.held_on_paper(DAILY))
    assert found == [sorted(SYMBOLS), []]
    assert set(service.tables.read("positions")["symbol"]) == set(SYMBOLS)


def test_what_is_worth_less_than_a_millionth_is_no_holding_and_takes_no_order(service: App, workspace: Path) -> None:
    held, flat = variants_of(["buy-and-hold", "always-flat"])
    for day in DAYS[:2]:
        service.trade(held, "paper://x", SYMBOLS, as_of=day)
    with duckdb.connect(workspace / "home" / "warehouse.duckdb") as connection:
        connection.execute("UPDATE fills SET quantity = 1.2e-9")  # the rest of a lot, after a split
    done = service.trade(flat, "paper://x", SYMBOLS, as_of=DAYS[2])
    assert (done.halt, list(done.sent), dict(done.left)) == (None, [], {})
    assert service.tables.read("positions").empty


def test_a_position_of_the_simulated_exchange_loses_no_lot_to_the_last_digit_of_a_sum(service: App) -> None:
    opened = [datetime.combine(day, time(20), UTC) for day in DAYS[:2]]
    venue, later = (Paper("paper://x", "x", service.warehouse, moment) for moment in opened)
    for number, quantity in enumerate(("0.7", "0.1")):  # 0.7999999999999999 as floats
        venue.submit(Order(str(number), "MSFT", Side.BUY, Decimal(quantity)))
    assert [each.quantity for each in later.positions()] == [Decimal("0.8")]


def test_a_stock_at_the_weekend_is_not_missed(service: App) -> None:
    [held] = variants_of(["buy-and-hold"])
    for day in DAYS[3:5]:  # a Thursday and a Friday
        service.trade(held, "paper://mixed", SYMBOLS, as_of=day)
    service.forecast(["BTC-USD"], date(2012, 7, 28), source="simulated")
    done = service.trade(held, "paper://mixed", [*SYMBOLS, "BTC-USD"], as_of=date(2012, 7, 28))
    assert done.cutoff == date(2012, 7, 28)
    assert not done.left


def test_a_coin_whose_day_is_open_is_decided_on_its_newest_bar_beside_a_stock(workspace: Path) -> None:
    evening = datetime(2024, 3, 18, 22, 30, tzinfo=UTC)
    app = App(Settings(home=str(workspace / "home"), source="simulated"), now=lambda: evening)
    [made], both = variants_of(["volatility-target"]), ["AAPL", "BTC-USD"]
    app.forecast(both, evening.date())
    [(_, wanted)] = app.strategy_targets([made], both).wanted
    assert all(weight > 0 for weight, _ in wanted)
    done = app.trade(made, "paper://mixed", both)
    assert {each.planned.symbol: each.planned.weight for each in done.sent} == {
        symbol: weight for symbol, (weight, _) in zip(both, wanted, strict=True)
    }
    assert not done.left
    assert not app.trade(made, "paper://mixed", both).sent
    orders = app.tables.read("orders")
    decided = {row.symbol: (row.cutoff.date(), row.cutoff_at) for row in orders.itertuples()}
    closed, ended = datetime(2024, 3, 18, 20, tzinfo=UTC), datetime(2024, 3, 18, tzinfo=UTC)
    assert decided == {"AAPL": (date(2024, 3, 18), closed), "BTC-USD": (date(2024, 3, 17), ended)}
    assert list(app.tables.read("account_states")["cutoff_at"]) == [closed]  # the end of the coin's day is to come
    app.trade(made, "paper://named", both, as_of=evening.date())
    received = app.tables.read("paper_orders", {"account": "named"})["received_at"]
    assert set(received) == {evening}  # and not at the end of the coin's day, which is to come


def test_orders_last_as_long_as_the_bars_that_each_was_decided_on(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, weight, both = [datetime(2024, 3, 18, 22, 30, tzinfo=UTC)], [0.2], ["MSFT", "BTC-USD"]
    app = App(Settings(home=str(workspace / "home"), source="simulated"), now=lambda: clock[0])
    made = variant("even", lambda known: Decision(np.full(len(known.symbols), weight[0]), str))
    app.forecast(both, date(2024, 3, 18))
    submit = Paper.submit
    with monkeypatch.context() as killed:

        def sent(venue: Paper, order: Order) -> Any:
            return submit(venue, order) if order.symbol == "BTC-USD" else 1 / 0

        killed.setattr(Paper, "submit", sent)
        with pytest.raises(ZeroDivisionError):
            app.trade(made, symbols=both)  # the stock's order is kept, and was never sent
    clock[0], weight[0] = datetime(2024, 3, 19, 0, 30, tzinfo=UTC), 0.3
    app.forecast(["BTC-USD"], date(2024, 3, 18))  # its day has ended, and the stock's newest bar is what it was
    done = app.trade(made, symbols=both)
    states = app.tables.read("order_events").sort_values("written_at").groupby("symbol")["status"].last()
    assert dict(states) == {"MSFT": "accepted", "BTC-USD": "accepted"}
    assert [(each.planned.symbol, each.planned.leg) for each in done.sent] == [("MSFT", "entry"), ("BTC-USD", "entry")]


MONDAY = date(2024, 3, 11)


@pytest.fixture(scope="module")
def stored_evenings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Simulated bars up to a Friday, and forecasts of it, of its Monday and of the Friday before."""
    home = tmp_path_factory.mktemp("evenings")
    app = App(Settings(home=str(home), source="simulated"))
    for days in (-3, 0, 4):
        app.forecast(["BTC-USD", "MSFT", "CL=F"], MONDAY + timedelta(days))
    return home


@pytest.fixture
def evenings(stored_evenings: Path, workspace: Path) -> Callable[[list[datetime]], App]:
    """An application at the time that a list holds."""
    shutil.copytree(stored_evenings, workspace / "home")
    return lambda clock: App(Settings(home=str(workspace / "home")), now=lambda: clock[0])


def by_turns(weights: Sequence[float], first: date) -> Variant:
    """A weight for each day from the first on, shared by all symbols."""

    def decide(known: Known) -> Decision:
        return Decision(np.full(len(known.symbols), weights[(known.cutoff - first).days] * known.share), str)

    return variant("by-turns", decide)


@pytest.mark.parametrize(
    ("symbols", "evening", "newest"),
    [
        (["BTC-USD"], time(18, 30), timedelta(days=1)),  # the coin's day ends at midnight
        (["BTC-USD", "MSFT"], time(22, 30), timedelta(0)),
        (["CL=F"], time(22, 30), timedelta(0)),  # the next session has begun half an hour before
    ],
)
def test_what_is_being_filled_counts_so_that_each_evening_orders(
    evenings: Any, symbols: list[str], evening: time, newest: timedelta
) -> None:
    weights, clock = [0.4, -0.3, 0.3, 0.1], [datetime.combine(MONDAY, evening, UTC)]
    app, made, ordered = evenings(clock), by_turns(weights, MONDAY - newest), dict.fromkeys(symbols, Decimal(0))
    for weight in weights:
        done = app.trade(made, symbols=symbols)
        assert not done.left
        prices = {each.planned.symbol: each.planned.price for each in done.sent}
        for each in done.sent:
            ordered[each.planned.symbol] += each.planned.quantity * (1 if each.planned.side is Side.BUY else -1)
        reached = [float(ordered[symbol] * prices[symbol] / done.state.equity) for symbol in symbols]
        assert reached == pytest.approx([weight / len(symbols)] * len(symbols), rel=1e-6)
        clock[0] += timedelta(days=1)


def test_coins_that_are_traded_as_their_day_ends_have_the_account_of_the_backtest(evenings: Any) -> None:
    clock = [datetime.combine(MONDAY, time(0, 2), UTC)]
    app, made = evenings(clock), by_turns([0.4, -0.3, 0.3, 0.1], MONDAY)
    for _ in range(4):
        clock[0] += timedelta(days=1)
        app.trade(made, symbols=["BTC-USD"])
    account = app.tables.read("equity").sort_values("cutoff")
    end = MONDAY + timedelta(days=3)
    expected = app.strategy_backtest([made], MONDAY, end, symbols=["BTC-USD"]).results[0].net
    assert account["equity"].to_numpy() == pytest.approx(expected.equity, rel=1e-11)


def test_what_is_being_filled_counts_as_held_and_is_not_taken_back(evenings: Any) -> None:
    clock, coin = [datetime.combine(MONDAY, time(18, 30), UTC)], ["BTC-USD"]
    app, [held], made = evenings(clock), variants_of(["buy-and-hold"]), by_turns([0.4, 0, 0, 0], MONDAY - timedelta(1))
    for each, broker in ((held, "paper://"), (made, "paper://"), (made, "paper://bracketed")):
        assert len(app.trade(each, broker, coin, bracket=broker == "paper://bracketed").sent) == 1
    clock[0] += timedelta(days=1)
    assert not app.trade(held, symbols=coin).sent
    still_open = {"paper://by-turns": "no open order taken back, 1 still open"}
    assert app.halt_trading(account="paper://by-turns") == still_open
    app.resume_trading(account="paper://by-turns")
    assert [each.planned.side for each in app.trade(made, symbols=coin).sent] == [Side.SELL]
    waits = app.trade(made, "paper://bracketed", coin, bracket=True)  # an exit may have been met meanwhile
    assert waits.left == {"BTC-USD": "its order of 2024-03-10 is still open"}
    clock[0] += timedelta(days=2)
    assert not app.trade(made, symbols=coin).held


def test_a_member_without_the_newest_bar_is_named(service: App, workspace: Path) -> None:
    with duckdb.connect(workspace / "home" / "warehouse.duckdb") as connection:
        connection.execute("DELETE FROM prices WHERE symbol = 'AAPL' AND session_date > ?", [DAYS[1]])
    done = service.trade(variants_of(["buy-and-hold"])[0], symbols=SYMBOLS, as_of=DAYS[2])
    assert [each.planned.symbol for each in done.sent] == ["MSFT"]
    assert done.left == {"AAPL": "it has no bar since 2012-07-24, and nothing is ordered of it"}


def test_what_left_the_universe_is_sold(service: App) -> None:
    held: Any = variants_of(["buy-and-hold"])[0]
    service.trade(held, symbols=SYMBOLS, as_of=DAYS[0])
    done = service.trade(held, symbols=["MSFT"], as_of=DAYS[1])
    [sold] = [each for each in done.sent if each.planned.symbol == "AAPL"]
    assert (sold.planned.leg, sold.planned.reason) == ("exit", "no member of the universe")
    service.trade(held, symbols=["MSFT"], as_of=DAYS[2])
    assert list(service.tables.read("positions")["symbol"]) == ["MSFT"]


def test_the_daily_run_trades_what_the_settings_name_and_reads_results_on_paper(tmp_path: Path) -> None:
    evening = Evening(tmp_path, may_train=False)
    evening.begin(1.0)
    changes = {"trade": "buy-and-hold@paper:// volatility-target:target=0.1@paper://calm", "retrain_on_losses": "1/1"}
    evening.app.settings = changed(evening.app.settings, changes)
    first, again = evening.run(), evening.run()
    lines = list(traded_lines(first.traded))
    assert lines[0] == "on paper    paper://buy-and-hold: buy-and-hold, 8 orders, equity 100,000.00 USD"
    assert lines[1].startswith("on paper    paper://calm: volatility-target:target=0.1, ")
    assert all(", 0 orders, " in line for line in traded_lines(again.traded))
    evening.day = date(2024, 6, 11)
    evening.run()
    assert len(evening.warehouse.read("positions", {"account": "paper://buy-and-hold"})) == 8
    equity = evening.warehouse.read("equity", {"account": "paper://buy-and-hold"}).sort_values("cutoff")
    loses = equity["gain"].iloc[-1] <= 0
    said = "buy-and-hold gained in 0 of its last 1 results"
    assert (said in evening.app.trading_losses()) == loses
    digest = evening.app.digest(SYMBOLS_OF_EVENING)
    assert digest is not None
    letter = evening.app.write_digest(digest)
    assert f"paper://buy-and-hold, buy-and-hold: {equity['equity'].iloc[-1]:,.2f} USD" in letter.text
    assert "<h2>On paper</h2>" in letter.html
    past = evening.app.run_day(SYMBOLS_OF_EVENING, date(2024, 6, 10), source="exchange")
    assert list(traded_lines(past.traded)) == [
        "on paper    nothing is ordered for 2024-06-10: orders follow today's bars, and today is 2024-06-11 in UTC"
    ]


def test_a_run_is_of_the_day_on_which_it_began_and_trades_after_midnight_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [datetime(2024, 6, 10, 23, 30, tzinfo=UTC)]
    monkeypatch.setattr(Evening, "now", lambda _: clock[0])
    evening = Evening(tmp_path, may_train=False)
    evening.begin(1.0)
    evening.app.settings = changed(evening.app.settings, {"trade": "buy-and-hold@paper://"})

    def wrap(job: Any) -> Any:
        if job.__name__ == "read_scores":  # as after a training
            clock[0] = datetime(2024, 6, 11, 1, 0, tzinfo=UTC)
        return job

    done = evening.app.run_day(SYMBOLS_OF_EVENING, source="exchange", wrap=wrap)
    [line] = traded_lines(done.traded)
    assert line.startswith("on paper    paper://buy-and-hold: buy-and-hold, 8 orders, ")
    assert done.events == "none: no source of them is configured"


@pytest.mark.parametrize("as_of", [None, date(2024, 6, 10), date(2024, 6, 11)])
def test_a_run_that_names_today_looks_for_current_forecasts_as_one_without_a_date(
    tmp_path: Path, as_of: date | None
) -> None:
    evening, asked = Evening(tmp_path, may_train=False), []
    evening.begin(1.0)

    def wrap(job: Any) -> Any:
        return (
            (lambda **named: asked.append(named["watchlist"]) or job(**named)) if job.__name__ == "send_alerts" else job
        )

    evening.app.run_day(SYMBOLS_OF_EVENING, as_of, source="exchange", wrap=wrap)
    assert asked == [list(SYMBOLS_OF_EVENING)]


def test_what_left_the_watchlist_is_fetched_until_the_daily_run_has_sold_it(tmp_path: Path) -> None:
    evening = Evening(tmp_path, may_train=False)
    evening.begin(1.0)
    app, asked = evening.app, []
    app.settings = changed(app.settings, {"trade": "buy-and-hold@paper://"})
    evening.run()
    listed = list(SYMBOLS_OF_EVENING[1:])

    def wrap(job: Any) -> Any:
        return (
            (lambda **named: asked.append(named["watchlist"]) or job(**named)) if job.__name__ == "send_alerts" else job
        )

    fetched = []
    for day in sessions_between("MSFT", date(2024, 6, 11), date(2024, 6, 13)):
        evening.day = day
        fetched.append(app.run_day(listed, source="exchange", wrap=wrap).market.symbols)
    held = [*listed, SYMBOLS_OF_EVENING[0]]
    assert fetched == [held, held, listed]  # an open order that buys it, one that sells it, and nothing
    assert asked == [listed] * 3
    [sold] = app.tables.read("orders", {"leg": "exit"}).to_dict("records")
    assert (sold["symbol"], sold["reason"]) == (SYMBOLS_OF_EVENING[0], "no member of the universe")
    assert set(app.tables.read("positions")["symbol"]) == set(listed)


def test_what_left_the_watchlist_and_is_not_listed_any_more_is_named_and_fails_no_day(tmp_path: Path) -> None:
    evening = Evening(tmp_path, may_train=False)
    evening.begin(1.0)
    evening.app.settings = changed(evening.app.settings, {"trade": "buy-and-hold@paper://"})
    for evening.day in (date(2024, 6, 10), date(2024, 6, 11)):
        evening.run()
    gone = SYMBOLS_OF_EVENING[0]
    evening.exchange.delisted[gone] = evening.day = date(2024, 6, 12)
    done = evening.app.run_day(SYMBOLS_OF_EVENING[1:], source="exchange")
    assert not done.failures
    assert f"; {gone}: it has no bar since 2024-06-11, and its position stays as it is" in "".join(
        traded_lines(done.traded)
    )
    evening.app.settings = changed(evening.app.settings, {"trade": ""})  # nothing would sell it
    assert gone not in evening.app.run_day(SYMBOLS_OF_EVENING[1:], source="exchange").market.failures


def test_a_coin_that_left_the_watchlist_is_forecast_until_the_hourly_run_has_sold_it(workspace: Path) -> None:
    clock = [datetime(2023, 7, 20, 3, 2, tzinfo=UTC)]
    app = App(Settings(home=str(workspace / "home"), trade_hourly="buy-and-hold@paper://"), now=lambda: clock[0])
    app.run_hour(["BTCUSDT", "ETHUSDT"], source="simulated")
    made = []
    for hour in (4, 5, 6):
        clock[0] = datetime(2023, 7, 20, hour, 2, tzinfo=UTC)
        made.append([each.symbol for each in app.run_hour(["ETHUSDT"], source="simulated").made])
    assert made == [["ETHUSDT", "BTCUSDT"], ["ETHUSDT", "BTCUSDT"], ["ETHUSDT"]]
    assert list(app.tables.read("positions")["symbol"]) == ["ETHUSDT"]


def test_the_daily_run_chooses_its_universe_and_sells_what_has_left_it(tmp_path: Path) -> None:
    evening = Evening(tmp_path, may_train=False)
    evening.begin(1.0)
    file = tmp_path / "members.csv"
    file.write_text("\n".join(("symbol", *SYMBOLS_OF_EVENING)) + "\n")
    changes = {"universe": f"{file}:by=return,over=2,top=3", "trade": "buy-and-hold@paper://"}
    app = evening.app
    app.settings = changed(app.settings, changes)
    told: list[str] = []

    def wrap(job: Any) -> Any:
        told.append(job.__name__)
        return job

    lists = []
    for day in sessions_between("MSFT", date(2024, 6, 10), date(2024, 6, 13)):
        evening.day = day
        done = app.run_day((), source="exchange", wrap=wrap)
        rows = app.tables.read("universes", {"as_of": day}).sort_values("rank")
        chosen = list(rows.loc[~rows["is_held"], "symbol"])
        assert len(chosen) == 3
        assert sorted(done.market.symbols) == sorted(rows["symbol"])
        assert app.watchlist() == list(rows["symbol"])
        lists.append((set(chosen), set(rows.loc[rows["is_held"], "symbol"])))
    assert told[0] == "choose_universe"
    left = [(now, held) for now, held in lists if held]
    assert left, "somebody has left the first three"
    sold = app.tables.read("orders", {"leg": "exit"})
    assert set(sold["symbol"]) >= left[0][1]
    assert set(sold["reason"]) == {"no member of the universe"}


def test_a_universe_that_cannot_be_chosen_is_a_sentence(tmp_path: Path) -> None:
    evening = Evening(tmp_path, may_train=False)
    evening.begin(1.0)
    for universe, said in (
        (f"{tmp_path}/none.csv", "none.csv"),
        ("members.csv:by=luck", "by=return|volatility|volume|skill, over=2 to 2500 and top=1 to 10000 were needed"),
        ("members.csv:best=3", "with 'best=3': FILE:by=return,over=60,top=20 was needed"),
        ("members.csv:top=3,top=5", "by, over and top were needed once each at most"),
    ):
        evening.app.settings = changed(evening.app.settings, {"universe": universe})
        with pytest.raises(UsageError, match=re.escape(said)):
            evening.app.run_day((), source="exchange")


def test_a_wrong_setting_never_stops_the_day_and_fails_it_at_its_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evening = Evening(tmp_path, may_train=False)
    evening.begin(1.0)
    usual, whole = evening.app.settings, {"trade": "buy-and-hold@paper://"}
    for wrong, step, said in (
        ({"trade": "buy-and-hold"}, "on paper", "TICKERCAST_TRADE names 'buy-and-hold': STRATEGY@BROKER was needed"),
        ({"trade": "nostrat@paper://"}, "on paper", "'nostrat' is no strategy"),
        ({"trade": "buy-and-hold@live://"}, "on paper buy-and-hold@live://", "The broker is 'live://'"),
        (whole | {"retrain_on_losses": "x"}, "on paper results", "'x'"),
        (whole | {"portfolios": str(tmp_path / "none.csv")}, "portfolio", "none.csv cannot be read"),
        (whole | {"events_source": str(tmp_path / "none.csv")}, "events", "' is neither sec"),
    ):
        evening.app.settings = changed(usual, wrong)
        done = evening.run()
        assert not done.failures
        assert list(done.undone) == [step]
        assert said in done.undone[step]
        assert isinstance(done.alerts, SentAlerts)
        assert said in next(alert.text for alert in done.alerts.found if alert.key == "flow:daily")
        with pytest.raises(typer.Exit) as ended:
            print_day(done)
        assert ended.value.exit_code == 1
        assert f"Undone until somebody acts, as the lines above say: {step}." in capsys.readouterr().err
    evening.app.settings = changed(usual, whole)
    print_day(evening.run())
    assert " is done: no forecast was left to make." in capsys.readouterr().out


def test_a_fall_on_paper_has_the_next_challenger_tuned() -> None:
    how, why = training(Condition(None, float("nan"), losses=["buy-and-hold gained in 3 of its last 20 results"]))
    assert (how, why) == ("tuned", "on paper: buy-and-hold gained in 3 of its last 20 results")


def test_a_split_changes_units_and_not_what_an_account_is_worth(service: App, workspace: Path) -> None:
    made: Any = variants_of(["buy-and-hold"])[0]
    service.trade(made, symbols=SYMBOLS, as_of=DAYS[0])
    service.trade(made, symbols=SYMBOLS, as_of=DAYS[1])
    before = service.tables.read("positions").set_index("symbol")
    reading = service.market_data("sample").fetch(["MSFT"], date(2010, 1, 4), DAYS[2], advance=lambda _: None)
    frame = reading["MSFT"].frame.copy()
    frame[["open", "high", "low", "close", "adj_close"]] /= 2
    (workspace / "split").mkdir()
    (workspace / "split" / "MSFT.csv").write_bytes(to_csv([Bars("MSFT", frame)]))
    service.forecast(["MSFT"], DAYS[2], source=str(workspace / "split"))
    done = service.trade(made, symbols=SYMBOLS, as_of=DAYS[2])
    assert done.halt is None
    after = service.tables.read("positions").set_index("symbol")
    assert after.loc["MSFT", "quantity"] == pytest.approx(2 * before.loc["MSFT", "quantity"])
    assert float(done.held["MSFT"]) == pytest.approx(after.loc["MSFT", "quantity"])
    account = service.tables.read("equity").sort_values("cutoff")["equity"].to_numpy()
    assert abs(account[-1] / account[-2] - 1) < 0.05


def test_a_correction_of_one_close_changes_no_quantity(service: App, workspace: Path) -> None:
    made: Any = variants_of(["buy-and-hold"])[0]
    for day in DAYS[:2]:
        service.trade(made, symbols=SYMBOLS, as_of=day)
    before = service.tables.read("positions").set_index("symbol")["quantity"]
    reading = service.market_data("sample").fetch(["MSFT"], date(2010, 1, 4), DAYS[2], advance=lambda _: None)
    frame = reading["MSFT"].frame.copy()
    frame.loc[frame["session_date"] == str(DAYS[0]), ["high", "close", "adj_close"]] *= 1.02
    (workspace / "corrected").mkdir()
    (workspace / "corrected" / "MSFT.csv").write_bytes(to_csv([Bars("MSFT", frame)]))
    service.forecast(["MSFT"], DAYS[2], source=str(workspace / "corrected"))
    done = service.trade(made, symbols=SYMBOLS, as_of=DAYS[2], dry=True)
    assert service.tables.read("positions").set_index("symbol")["quantity"].to_dict() == before.to_dict()
    assert {symbol: float(amount) for symbol, amount in done.held.items()} == before.to_dict()


def test_an_hourly_account_is_that_of_the_backtest(workspace: Path) -> None:
    hours = [datetime(2023, 7, 20, hour, 2, tzinfo=UTC) for hour in range(3, 7)]
    clock = [hours[0]]
    named = "volatility-target:target=0.3@paper://"
    service = App(Settings(home=str(workspace / "home"), trade_hourly=named), now=lambda: clock[0])
    for clock[0] in hours:
        [done] = service.run_hour(["BTCUSDT", "ETHUSDT"], source="simulated").traded.values()
        assert not isinstance(done, str)
        assert done.halt is None
    account = service.tables.read("equity").sort_values("cutoff_at")
    assert account["simulated"].all()
    [made] = variants_of(["volatility-target:target=0.3"])
    day, coins = date(2023, 7, 20), ["BTCUSDT", "ETHUSDT"]
    expected = (
        service.strategy_backtest([made], day, day, symbols=coins, frequency=HOURLY, costs=Costs()).results[0].net
    )
    assert account["equity"].to_numpy() == pytest.approx(expected.equity[-len(hours) :], rel=1e-10)
    assert len(service.tables.read("fills")) >= 2
    again = ["trade", "--strategy", made.name, "--broker", "paper://replayed", "--symbols", ",".join(coins)]
    for hour in hours:
        words = [*again, "--every", "1h", "--as-of", f"{hour:%Y-%m-%d %H:00}"]
        ran = CliRunner(env={"TICKERCAST_HOME": str(workspace / "home")}).invoke(cli, words)
        assert ran.exit_code == 0, ran.output
    replayed = service.tables.read("equity", {"account": "paper://replayed"}).sort_values("cutoff_at")
    assert replayed["equity"].to_list() == pytest.approx(account["equity"].to_list(), rel=1e-12)


PAGE = (Path(__file__).parents[2] / "docs" / "paper-trading.md").read_text(encoding="utf-8")


def test_the_page_runs_offline_from_start_to_end(workspace: Path) -> None:
    for body in re.findall(r"^```console\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL):
        shown: list[str] = []
        for line in body.splitlines():
            if not line.startswith("$ "):
                assert line in ["", *shown]
                continue
            words = shlex.split(line.removeprefix("$ tickercast ").removesuffix(" > /dev/null"))
            done = CliRunner(env={"COLUMNS": "120"}).invoke(cli, words)
            assert done.exit_code == 0, done.output
            shown = [each.rstrip() for each in done.stdout.splitlines()]
