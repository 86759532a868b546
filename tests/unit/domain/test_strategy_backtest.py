"""The account of a backtest, worked by hand; its measures; and what strategies decide."""

import math
from collections.abc import Sequence
from dataclasses import fields, replace
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pytest
from tests.support.hourly import make_hours

from tickercast.domain.bars import Bars
from tickercast.domain.findings import Finding
from tickercast.domain.trading.signals import FIELDS, Known, Panel, Signals, panel, unbroken_from
from tickercast.domain.trading.strategy import STRATEGIES, Decision, Variant, _close_before, parse, variant
from tickercast.domain.trading.strategy_backtest import (
    Backtest,
    Costs,
    Result,
    backtest,
    block_of,
    break_even_bps,
    changes,
    error_of,
    haircut,
    sharpe_interval,
    simple_returns,
    simulate,
)
from tickercast.domain.trading.universe import Members, read_members
from tickercast.errors import UsageError, WarehouseUnavailable
from tickercast.show.strategies import notes, verdict

FREE = Costs(fees_bps=0, slippage_bps=0, borrow_bps=0, capacity=1, delisting_loss=0, band=0, buying_power=1)
FIRST = np.datetime64("2021-01-04", "D")


def bars(
    symbol: str, opens: Any, closes: Any, *, first: int = 0, volume: float = 1e9, days: Sequence[int] = ()
) -> Bars:
    opens, closes = np.asarray(opens, float), np.asarray(closes, float)
    days = FIRST + (np.asarray(days) if len(days) else first + np.arange(len(closes)))
    ends = np.maximum(opens, closes), np.minimum(opens, closes)
    columns = {"session_date": days, "open": opens, "high": ends[0], "low": ends[1], "close": closes}
    return Bars(symbol, {**columns, "adj_close": closes, "volume": np.full(len(closes), volume)})


def weekdays(symbol: str, count: int, *, closed: Sequence[int] = ()) -> Bars:
    """Bars of a price of 10 on the weekdays of so many days."""
    days = [day for day in range(count) if day % 7 < 5 and day not in closed]
    return bars(symbol, [10] * len(days), [10] * len(days), days=days)


def random_panel(symbols: int = 3, count: int = 120, *, seed: int = 1) -> Panel:
    random, series, signals = np.random.default_rng(seed), [], []
    for number in range(symbols):
        closes = 50 * np.exp(np.cumsum(0.02 * random.standard_normal(count)))
        made = bars(f"S{number}", closes * np.exp(0.005 * random.standard_normal(count)), closes, first=number)
        values = {name: random.standard_normal(count) for name in FIELDS} | {"steps": np.full(count, 5.0)}
        width = 0.02 + 0.05 * random.random(count)
        values |= {"low": -width, "high": width, "prob_up": random.random(count)}
        kept = np.flatnonzero(random.random(count) < 0.8)
        flags = np.zeros(len(kept), bool)
        known = {name: each[kept] for name, each in values.items()}
        signals.append(Signals(made.symbol, made.ends[kept], known, flags, flags))
        series.append(made)
    return panel(series, signals)


def held_at(*weights: float) -> Any:
    return lambda row, held: np.array([weights[min(row, len(weights) - 1)]])


def test_what_is_open_yet_is_read_at_its_newest_bar_and_what_is_closed_at_the_last_moment() -> None:
    stock, coin = bars("MSFT", [10, 11, 12], [10, 11, 12]), bars("ETH-USD", [20, 21], [20, 21])
    values = {name: np.array([0.5]) for name in FIELDS}
    made = panel([stock, coin], [Signals("ETH-USD", coin.ends[-1:], values, np.zeros(1, bool), np.zeros(1, bool))])
    evening, midnight = datetime(2021, 1, 6, 22, 30, tzinfo=UTC), datetime(2021, 1, 7, tzinfo=UTC)
    days = [date(2021, 1, 5), date(2021, 1, 6)]
    assert made.bars_at(evening) == days[::-1]
    assert made.bars_at(midnight) == [days[1]] * 2
    known, closed = (made.known_at(moment, np.zeros(2)) for moment in (evening, midnight))
    np.testing.assert_array_equal(known.closes, [[10, 11, 12], [np.nan, 20, 21]])
    assert (known.expected[1], known.age[1]) == (0.5, 0)
    np.testing.assert_array_equal(closed.closes, [[10, 11, 12], [20, 21, np.nan]])
    assert np.isnan(closed.expected[1])


def test_where_an_exchange_has_no_session_a_symbol_is_known_and_traded_by_its_newest_bar() -> None:
    stock = bars("MSFT", [10, 11, 12], [10, 11, 12], days=[3, 4, 7])  # Thursday, Friday, Monday
    values, flags = {name: np.full(1, 0.5) for name in FIELDS}, np.zeros(1, bool)
    coin, signals = bars("BTC-USD", [10] * 7, [10] * 7, first=3), Signals("MSFT", stock.ends[1:2], values, flags, flags)
    made = panel([stock, coin], [signals])
    seen = [made.known(row, np.zeros(2)) for row in range(7)]
    assert [each.expected[0] for each in seen[1:4]] == [0.5] * 3
    np.testing.assert_array_equal(seen[3].closes, [[np.nan, np.nan, 10, 11], [10] * 4])
    np.testing.assert_array_equal(seen[4].closes[0], [10, 11, np.nan, np.nan, 12])
    assert np.isnan(seen[5].closes[0, -1])  # Tuesday's bar is missing
    np.testing.assert_array_equal(made.decided_close[:, 0], [10, 11, 11, 11, 12, np.nan, np.nan])
    sunday = panel([stock.rows(0, 2), coin.rows(0, 4)], [signals])
    assert sunday.bars_at(datetime(2021, 1, 11, tzinfo=UTC)) == [date(2021, 1, 8), date(2021, 1, 10)]
    run = simulate(made, lambda row, held: np.array([0.5 if row == 2 else math.nan, math.nan]), FREE, capital=1000.0)
    assert np.flatnonzero(run.traded).tolist() == [4]  # Saturday's order, at Monday's open


# ---------------------------------------------------------------- the account


def test_a_close_decides_and_the_next_open_fills_with_fees_and_slippage_on_both_sides() -> None:
    made = panel([bars("A", [10, 11, 12], [10, 12, 13])])
    costs = replace(FREE, fees_bps=10, slippage_bps=5)
    run = simulate(made, held_at(1.0, 0.0, 0.0), costs, capital=1000.0)
    bought, sold = 100 * 11 * 1.0005, 100 * 12 * 0.9995
    after_buying = 1000 - bought * 1.001
    assert run.equity.tolist() == pytest.approx([1000, after_buying + 100 * 12, after_buying + sold * 0.999], rel=1e-12)
    assert run.traded.tolist() == pytest.approx([0, bought / 1000, sold / run.equity[1]], rel=1e-12)
    assert run.weights[1, 0] == pytest.approx(1200 / run.equity[1])
    assert run.orders == 2


def test_a_short_position_gains_from_a_fall_and_pays_for_what_it_borrows() -> None:
    made = panel([bars("A", [10, 10, 8], [10, 10, 8])])
    run = simulate(made, held_at(-1.0, math.nan, math.nan), FREE, capital=1000.0)
    assert run.equity.tolist() == [1000, 1000, 1200]
    paid = simulate(made, held_at(-1.0, math.nan), replace(FREE, borrow_bps=252), capital=1000.0)
    assert paid.equity[1] == pytest.approx(1000 - 1000 * 0.0252 / 252)


def test_a_short_position_pays_for_the_bars_of_its_own_calendar() -> None:
    made = panel([weekdays("MSFT", 14), bars("BTC-USD", [10] * 14, [10] * 14)])
    for column, days, year in ((0, 9, 252), (1, 13, 365)):
        short = np.where(np.arange(2) == column, -1.0, 0.0)
        costs = replace(FREE, borrow_bps=100)
        run = simulate(made, lambda row, held, short=short: np.where(held, math.nan, short), costs, capital=1000.0)
        assert 1000 - run.equity[-1] == pytest.approx(days * 10 / year)


def test_at_most_a_share_of_the_volume_is_filled_and_the_rest_is_decided_again() -> None:
    made = panel([bars("A", [10] * 4, [10] * 4, volume=2000)])
    run = simulate(made, held_at(1.0), replace(FREE, capacity=0.01), capital=1000.0)
    assert (run.weights[:, 0] * 100).round(9).tolist() == [0, 20, 40, 60]
    assert run.capped == 3


def test_a_series_whose_volumes_are_all_0_reports_none_and_bounds_no_order() -> None:
    made = panel([bars("EURUSD=X", [10] * 3, [10] * 3, volume=0), bars("A", [10] * 3, [10] * 3, volume=0)])
    run = simulate(made, lambda row, held: np.array([0.5, 0.0]), replace(FREE, capacity=0.01), capital=1000.0)
    assert run.weights[:, 0].tolist() == [0, 0.5, 0.5]
    assert (run.orders, run.capped, run.unfilled) == (1, 0, 0)


def test_a_bar_of_no_volume_in_a_series_that_has_volumes_fills_nothing_and_is_counted_apart() -> None:
    quiet = bars("A", [10] * 4, [10] * 4)
    quiet.columns["volume"][1:3] = [0, 2000]
    made, costs = panel([quiet, bars("B", [10] * 4, [10] * 4, volume=0)]), replace(FREE, capacity=0.01)
    run = simulate(made, lambda row, held: np.array([0.5, 0.0]), costs, capital=1000.0)
    assert (run.weights[:, 0] * 100).round(9).tolist() == [0, 0, 20, 50]
    assert (run.orders, run.capped, run.unfilled) == (2, 1, 1)
    said = list(notes(backtest(made, [variant("half", lambda known: Decision(np.array([0.5, 0.0]), str))], costs)))
    assert "B has no volumes: no order in it was cut." in said
    assert "2 of 3 orders of half were cut to 1.0% of the bar's volume, 1 of them to nothing." in said


def test_an_order_waits_for_the_next_open_of_its_own_exchange_whatever_trades_meanwhile() -> None:
    stock = bars("MSFT", [10, 10, 11], [10, 10, 12], days=[3, 4, 7])  # Thursday, Friday, Monday
    made = panel([stock, bars("BTC-USD", [10] * 5, [10] * 5, first=3)])

    def weigh(row: int, held: Any) -> Any:
        return np.array([[0, 0], [0.4, 0], [0.9, 0.8], [0, 0.8], [0.4, 0.8]][row])

    run = simulate(made, weigh, FREE, capital=1000.0)
    assert run.traded.tolist() == pytest.approx([0, 0, 0, 0.6, 40 * 11 / 1000])
    assert run.weights[3].tolist() == pytest.approx([0, 0.6])  # what waits has taken its part of the buying power
    assert run.equity.tolist() == pytest.approx([1000, 1000, 1000, 1000, 1040])
    assert run.orders == 2


@pytest.mark.parametrize(("other", "filled"), [("BTC-USD", 2), ("GC=F", 1)])
def test_an_open_before_the_decision_fills_nothing(other: str, filled: int) -> None:
    made = panel([weekdays("CL=F", 4), bars(other, [10] * 4, [10] * 4)])  # its session begins in the evening before
    run = simulate(made, lambda row, held: np.array([-0.4 if row % 2 else 0.4, 0]), FREE, capital=1000.0)
    assert int(np.flatnonzero(run.traded)[0]) == filled
    assert run.weights[filled, 0] == 0.4


def test_an_order_that_finds_no_bar_for_seven_days_has_ended() -> None:
    coin = bars("BTC-USD", [10] * 12, [10] * 12)
    for away, filled in ((7, 1), (8, 0)):
        stock = bars("MSFT", [10] * 3, [10] * 3, days=[0, away, away + 1])
        for beside in ([coin], []):  # whether or not there are bars while it waits
            made = panel([stock, *beside])
            once = np.full(1 + len(beside), math.nan)
            once[0] = 0.4
            run = simulate(made, lambda row, held, once=once: once if not row else once * math.nan, FREE)
            assert (run.orders, run.traded.any()) == (filled, bool(filled))


# ---------------------------------------------------------------- gaps


def test_an_account_is_followed_over_no_gap_of_more_than_a_month() -> None:
    ends = bars("A", [10] * 8, [10] * 8, days=[0, 1, 2, 33, 65, 66, 98, 130]).ends  # gaps after 33, 66 and 98
    assert [unbroken_from(ends[:6], start) for start in (4, 5, 6)] == [4, 4, 4]
    assert unbroken_from(ends[:4], 0) == 0  # a gap of a month is none
    said = r"No bar is known between 2021-03-11 and 2021-04-12, .*end on 2021-03-11, or begin on 2021-04-12,"
    with pytest.raises(UsageError, match=said):
        unbroken_from(ends, 4)


def test_a_symbol_that_was_held_through_a_gap_of_its_own_shows_no_edge_and_is_said() -> None:
    closes = 10 * np.exp(0.002 * np.arange(300) + 0.001 * np.random.default_rng(0).standard_normal(300))
    days = np.r_[0:100, 150:300]
    made = panel([bars("A", closes[days], closes[days], days=days), bars("B", closes, closes)])

    def found(*weights: float) -> Backtest:
        return backtest(made, [variant("fixed", lambda known: Decision(np.array(weights), str))], FREE)

    said = (
        "Without a bar for more than a month: A (2021-04-13 to 2021-06-03). What was held meanwhile kept its last price"
    )
    held, other = found(0.5, 0.5), found(0.0, 0.9)
    for each in (held, other):
        assert each.results[0].has_edge
        assert any(note.startswith(said) for note in notes(each))
    assert "no edge after costs is shown" in verdict(held, held.results[0])
    assert verdict(held, held.results[0]).endswith(
        "but it held A without a bar for more than a month, at its last price."
    )
    assert "above cash after costs" in verdict(other, other.results[0])


def test_a_forecast_from_before_a_gap_has_ended() -> None:
    stock = bars("A", [10] * 5, [10] * 5, days=[0, 1, 40, 41, 42])
    values, flags = {name: np.full(2, 5.0) for name in FIELDS}, np.zeros(2, bool)
    made = panel([stock, bars("B", [10] * 43, [10] * 43)], [Signals("A", stock.ends[[0, 3]], values, flags, flags)])
    assert made.age[[0, 1, 39, 40, 41, 42], 0].tolist() == [0, 1, 1, math.inf, 0, 1]


@pytest.mark.parametrize(("weight", "left"), [(0.5, 850.0), (-0.5, 1000.0)])  # of a short position nothing is gained
def test_whoever_holds_a_symbol_that_stops_trading_loses_a_part_once_that_is_known(weight: float, left: float) -> None:
    made = panel([bars("A", [10] * 3, [10] * 3), bars("B", [10] * 30, [10] * 30)])

    def half(row: int, held: Any) -> Any:
        return np.array([weight, math.nan])

    run = simulate(made, half, replace(FREE, delisting_loss=0.3), capital=1000.0)
    assert run.equity[9] == 1000  # seven days after its last bar nobody knows yet
    assert run.equity[10:].tolist() == [left] * 20
    assert run.delisted == ["A"]


def test_an_account_without_anything_left_trades_no_more() -> None:
    made = panel([bars("A", [10, 10, 25, 10], [10, 10, 25, 10])])
    run = simulate(made, held_at(-1.0, math.nan), FREE, capital=1000.0)
    assert run.equity.tolist() == [1000, 1000, 0, 0]
    assert simple_returns(run.equity).tolist() == [0, -1, 0]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"fees_bps": -5}, "fees_bps is -5: a number from 0 to 10,000 was needed."),
        ({"fees_bps": math.nan}, "fees_bps is nan: a number from 0 to 10,000 was needed."),
        ({"slippage_bps": "5"}, "slippage_bps is '5': a number from 0 to 10,000 was needed."),
        ({"borrow_bps": True}, "borrow_bps is True: a number from 0 to 1,000,000 was needed."),
        ({"capacity": 0}, "capacity is 0: a number from 0.0001 to 1 was needed."),
        ({"delisting_loss": 2}, "delisting_loss is 2: a number from 0 to 1 was needed."),
        ({"lot": -1}, "lot is -1: a number from 0 to"),
        ({"band": math.inf}, "band is inf: a number from 0 to 1 was needed."),
        ({"buying_power": -1}, "buying_power is -1: a number from 0 on was needed."),
    ],
)
def test_costs_that_cannot_be_are_refused(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError) as refused:
        Costs(**given)
    assert sentence in str(refused.value)


def test_small_changes_are_not_traded_but_positions_are_closed() -> None:
    made = panel([bars("A", [10] * 4, [10] * 4)])
    run = simulate(made, held_at(0.5, 0.505, 0.0), replace(FREE, band=0.01), capital=1000.0)
    assert run.weights[:, 0].tolist() == [0, 0.5, 0.5, 0]
    assert run.orders == 2
    price, little = np.array([10.0]), np.array([0.5])  # half a share, of 0.5% of the equity
    for wanted, change in ((0.0, -0.5), (0.001, 0.0)):
        found = changes(np.array([wanted]), little, 1000.0, price, price, replace(FREE, band=0.01))
        assert found.tolist() == [change]


def test_entries_take_a_part_of_the_buying_power_that_exits_leave() -> None:
    made = panel([bars("A", [10] * 3, [10] * 3), bars("B", [10] * 3, [10] * 3)])
    weights = np.array([[0.6, 0.4], [-0.5, 0.38], [math.nan, math.nan]])
    run = simulate(made, lambda row, held: weights[row], replace(FREE, buying_power=0.95), capital=1000.0)
    assert run.weights[1] == pytest.approx([0.57, 0.38])
    assert run.weights[2] == pytest.approx([-0.5, 0.38])
    whole = simulate(made, lambda row, held: weights[row], replace(FREE, buying_power=0.5, lot=7), capital=1000.0)
    assert (whole.weights[1] * 100).tolist() == pytest.approx([28, 14])


# ---------------------------------------------------------------- no look-ahead


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize("end", [40, 77])
def test_cutting_the_future_off_changes_nothing_before(name: str, end: int) -> None:
    whole = random_panel()
    one, costs = parse(name), Costs(band=0)
    full, cut = (backtest(each, [one], costs, start=20, every=2).results[0] for each in (whole, whole.rows(0, end)))
    assert cut.net.equity.tolist() == full.net.equity[: end - 20].tolist()
    assert cut.net.weights.tolist() == full.net.weights[: end - 20].tolist()


def test_a_panel_of_cut_bars_is_the_beginning_of_the_whole_one() -> None:
    long, short = bars("A", [10] * 40, [10] * 40), bars("B", [5] * 12, [5] * 12)
    later = panel([long, short])
    for end in (10, 13, 18, 25):
        day = (FIRST + end - 1).item()
        made = panel([long.through(day), short.through(day)])
        assert made.member.tolist() == later.member[:end].tolist()
    assert later.member[:, 1].tolist() == [True] * 19 + [False] * 21


def test_a_strategy_sees_no_bar_after_its_moment() -> None:
    seen = []

    def spy(known: Known) -> Decision:
        seen.append((known.closes.shape[1], known.cutoff))
        return Decision(np.zeros(3), lambda n: "")

    made = random_panel()
    backtest(made, [variant("spy", spy)], FREE, start=5)
    assert seen == [(row + 1, made.ends[row].item()) for row in range(5, len(made))]


def test_a_strategy_writes_into_nothing_that_others_read() -> None:
    made, refused = random_panel(), set[str]()
    names = {each.name for each in fields(Known)} - {"symbols", "cutoff"}

    def writes(known: Known) -> Decision:
        for name in names:
            with pytest.raises(ValueError, match="read-only"):
                getattr(known, name)[...] = 0
            refused.add(name)
        known.closes.copy()[np.isnan(known.closes)] = 0
        assert isinstance(known.symbols, tuple)
        return Decision(np.full(3, known.share), lambda n: "")

    backtest(made, [variant("writes", writes)], FREE, start=5)
    writes(made.known_at(datetime(2021, 6, 1, tzinfo=UTC), np.zeros(3)))
    assert refused == names


# ---------------------------------------------------------------- strategies


def known(**more: Any) -> Known:
    nan = np.full(2, math.nan)
    usual: dict[str, Any] = dict.fromkeys(("steps", "expected", "low", "high", "prob_up", "trend"), nan)
    usual |= {
        "age": np.full(2, math.inf),
        "member": np.ones(2, bool),
        "held": np.zeros(2),
        "bars_a_year": np.full(2, 252.0),
        "doubts": np.full(2, "", object),
    }
    return Known(("A", "B"), date(2023, 7, 21), **{**usual, "closes": np.full((2, 30), 10.0), **more})


def test_a_direction_is_long_short_or_flat() -> None:
    found = parse("direction")(known(prob_up=np.array([0.53, math.nan])))
    assert found.weights.tolist() == [0.5, 0]
    assert [found.reason(n) for n in (0, 1)] == [
        "the next bar closes higher with a chance of 53.0%",
        "no direction is known",
    ]
    doubtful = parse("direction")(known(prob_up=np.full(2, math.nan), doubts=np.array(["gap", ""], object)))
    assert [doubtful.reason(n) for n in (0, 1)] == ["its newest forecast is doubtful: gap", "no direction is known"]
    assert parse("direction")(known(prob_up=np.array([0.5, 0.49]))).weights.tolist() == [0.5, -0.5]
    assert parse("direction:margin=0.02,short=0")(known(prob_up=np.array([0.51, 0.4]))).weights.tolist() == [0, 0]


def test_a_wide_interval_is_held_less_of() -> None:
    now = {"steps": np.full(2, 10.0), "age": np.zeros(2)}
    half = np.array([0.3, 0.6]) / math.sqrt(252) * math.sqrt(10) * 1.2815515655446004
    found = parse("volatility-target:target=0.15")(known(low=-half, high=half, **now))
    assert found.weights.tolist() == pytest.approx([0.25, 0.125])
    assert found.reason(0) == "its forecast interval means 30% volatility a year"


def test_the_volatility_a_year_of_each_symbol_is_by_its_own_calendar() -> None:
    made = panel([bars("MSFT", [10], [10]), bars("BTC-USD", [10], [10])])
    now = {"steps": np.full(2, 10.0), "age": np.zeros(2), "bars_a_year": made.known(0, np.zeros(2)).bars_a_year}
    half = 0.3 / np.sqrt([252, 365]) * math.sqrt(10) * 1.2815515655446004
    found = parse("volatility-target:target=0.15")(known(low=-half, high=half, **now))
    assert found.weights.tolist() == pytest.approx([0.25, 0.25])


def test_a_move_and_a_forecast_count_the_bars_of_their_own_symbol() -> None:
    stock, days = weekdays("MSFT", 26), np.arange(26)
    stock.columns["adj_close"][:] = 10 + np.arange(len(stock))
    flags, values = np.zeros(1, bool), {name: np.ones(1) for name in FIELDS}
    made = panel([stock, bars("BTC-USD", 1 + days, 1 + days)], [Signals("MSFT", stock.ends[1:2], values, flags, flags)])
    assert made.age[[0, 1, 4, 6, 7, 25], 0].tolist() == [math.inf, 0, 3, 3, 4, 18]
    last = made.known(25, np.zeros(2))
    assert _close_before(last.closes, 3).tolist() == [10 + 19 - 3, 26 - 3]
    assert np.isnan(_close_before(last.closes, 20)).tolist() == [True, False]


def test_a_move_counts_in_half_widths_of_its_own_interval() -> None:
    closes = np.full((2, 30), 10.0)
    closes[:, -1] = 10 * math.exp(0.05), 10 * math.exp(-0.05)
    now = {"steps": np.full(2, 10.0), "age": np.zeros(2), "low": np.full(2, -0.04), "high": np.full(2, 0.04)}
    assert parse("interval-momentum")(known(closes=closes, **now)).weights.tolist() == [0.5, 0]
    assert parse("interval-momentum:short=1")(known(closes=closes, **now)).weights.tolist() == [0.5, -0.5]
    assert parse("interval-momentum:threshold=2")(known(closes=closes, **now)).weights.tolist() == [0, 0]


def test_what_lies_below_prophets_line_is_held() -> None:
    now = {"steps": np.full(2, 10.0), "age": np.zeros(2), "trend": np.array([0.02, -0.02])}
    found = parse("prophet-trend")(known(**now))
    assert found.weights.tolist() == [0.5, 0]
    assert found.reason(0) == "Prophet's line is +2.0% away"


@pytest.mark.parametrize(
    ("age", "weight", "reason", "doubted"),
    [
        (
            3.0,
            math.nan,
            "no new forecast: left as it is",
            "left as it is, since its newest forecast is doubtful: jump",
        ),
        (
            10.0,
            0.0,
            "its newest forecast has ended",
            "its last forecast that counts has ended, and its newest forecast is doubtful: jump",
        ),
        (math.inf, 0.0, "no forecast is known", "its newest forecast is doubtful: jump"),
    ],
)
def test_between_forecasts_positions_stay_and_after_the_last_that_counts_they_end(
    age: float, weight: float, reason: str, doubted: str
) -> None:
    now = {"steps": np.full(2, 10.0), "age": np.full(2, age), "doubts": np.array(["", "jump"], object)}
    found = parse("volatility-target")(known(**now))
    assert np.array_equal(found.weights, [weight, weight], equal_nan=True)
    assert [found.reason(n) for n in (0, 1)] == [reason, doubted]


def test_a_doubtful_forecast_is_no_signal_and_is_known_until_one_counts_again() -> None:
    made, values = bars("A", [10] * 6, [10] * 6), {name: np.full(2, 5.0) for name in FIELDS}
    flags, ends = np.zeros(2, bool), made.ends
    doubts = {ends[2]: "jump", ends[3]: "gap"}
    found = panel([made], [Signals("A", ends[[1, 5]], values, flags, flags, doubts)])
    seen = [found.known(row, np.zeros(1)) for row in range(6)]
    assert [each.doubts[0] for each in seen] == ["", "", "jump", "gap", "gap", ""]
    assert [each.age[0] for each in seen[1:]] == [0, 1, 2, 3, 0]
    assert np.isnan(seen[2].expected[0])
    reads = variant("reads", lambda known: Decision(np.zeros(1), str))
    said = "Doubtful forecasts do not count: 2 more that were made from odd bars were left out."
    assert said in list(notes(backtest(found, [reads], FREE)))


def test_a_member_that_left_is_sold() -> None:
    found = parse("buy-and-hold")(known(member=np.array([True, False]), held=np.array([0.5, 0.5])))
    assert np.array_equal(found.weights, [math.nan, 0], equal_nan=True)
    assert found.reason(1) == "no member of the universe"


def test_a_purchase_is_cut_to_the_room_that_positions_leave() -> None:
    found = parse("buy-and-hold")(known(held=np.array([0.8, 0.0])))
    assert np.array_equal(found.weights.round(12), [math.nan, 0.2], equal_nan=True)


@pytest.mark.parametrize(
    ("weights", "sentence"),
    [
        ([0.8, 0.7], "wants positions of 150% of equity on 2023-07-21: 100% at most"),
        ([1.0], "returned weights of the shape .1,. on 2023-07-21 for 2 symbols: a Decision with 2 numbers for"),
        ([0.5, 0.51], "wants positions of 101% of equity"),
        ([math.inf, 0], "100% at most"),
    ],
)
def test_what_cannot_be_held_is_refused(weights: list[float], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        variant("mine", lambda known: Decision(np.array(weights), lambda n: ""))(known())


def no_reason(n: int) -> str:
    return str(1 / (n - 1))


def half(reason: Any) -> Any:
    return lambda known: Decision(np.full(2, 0.5), reason)


def fills(known: Known) -> Decision:
    known.closes[np.isnan(known.closes)] = 0
    return Decision(np.zeros(2), lambda n: "")


async def later(known: Known) -> Decision:
    return Decision(np.zeros(2), lambda n: "")


@pytest.mark.parametrize(
    ("decide", "sentence"),
    [
        (
            lambda known: 1 / 0,
            "ran failed on 2023-07-21, in line .* of test_strategy_backtest.py: ZeroDivisionError: ",
        ),
        (
            fills,
            "ValueError: .* What a strategy sees cannot be written into: change a copy, such as known.closes",
        ),
        (lambda known: None, "returned a NoneType on 2023-07-21 for 2 symbols: a Decision with 2 numbers for weights"),
        (lambda known: Decision(["a", "b"], str), r"returned the weights \['a', 'b'\] on 2023-07-21 for 2 symbols"),
        (
            half("because"),
            "returned 'because' for its reason on 2023-07-21: a function of a symbol",
        ),
        (half(lambda n: 3), "gave 3 for its reason to hold A on 2023-07-21: a text was needed"),
        (half(no_reason), "failed on 2023-07-21, in line .* of test_strategy_backtest.py: ZeroDivisionError"),
        (later, "my.ran is an async function: def ran.known. was needed"),
        (lambda: None, "my.ran cannot be called with what is known: def ran.known. was needed"),
        (dict, "The parameters of my.ran are not known: def ran.known. was needed"),
    ],
)
def test_a_function_of_one_s_own_that_fails_ends_in_a_sentence_where_it_is_backtested(
    decide: Any, sentence: str
) -> None:
    with pytest.raises(UsageError, match=sentence):
        variant("my.ran", decide)(known())


def test_a_bug_in_a_built_in_strategy_and_an_error_of_an_engine_stay_what_they_are() -> None:
    def asks(known: Known) -> Decision:
        raise WarehouseUnavailable("Try again.")

    with pytest.raises(ZeroDivisionError):
        replace(parse("buy-and-hold"), decide=lambda known: 1 // 0)(known())
    with pytest.raises(WarehouseUnavailable):
        variant("my.asks", asks)(known())


def test_variants_have_names_and_hashes_of_their_parameters() -> None:
    assert parse("direction:margin=0.02").hash != parse("direction").hash
    assert parse("direction:margin=0").name == "direction"
    ours = [variant("my.decide", lambda known: Decision(np.zeros(2), str), source=text) for text in ("a", "b")]
    assert ours[0].hash != ours[1].hash
    for text, sentence in {
        "momentum": "'momentum' is no strategy: .* Did you mean interval-momentum?",
        "direction:edge=1": "'edge=1' is no parameter of direction: NAME=NUMBER was needed, and it has margin=0",
        "direction:margin=x": "'margin=x' is no parameter",
        "interval-momentum:span=2.5": "'span=2.5' of interval-momentum is no whole number: one was needed",
        "interval-momentum:span=-1": "span=-1 of interval-momentum is out of range",
        "volatility-target:target=-1": "target=-1 of volatility-target is out of range: a number from 0.001 to 10 was",
        "volatility-target:target=0.1,target=0.5": "names target twice: each parameter of volatility-target was needed",
    }.items():
        with pytest.raises(UsageError, match=sentence):
            parse(text)
    with pytest.raises(UsageError, match="The parameter size of mine has no number for its default"):
        variant("mine", lambda known, *, size: Decision(np.zeros(2), str))


def test_a_parameter_that_is_annotated_as_int_takes_whole_numbers_alone() -> None:
    def counting(known: Known, *, span: int = 50, share: float = 1) -> Decision:
        return Decision(known.closes[:, -span:].mean(axis=1) * 0 + share / 4, lambda n: f"{span} bars")

    made = variant("mine", counting, "span=2,share=0.5")
    assert made(random_panel(2, 9).known(5, np.zeros(2))).reason(0) == "2 bars"
    with pytest.raises(UsageError, match=r"'span=2\.5' of mine is no whole number: one was needed, such as span=50"):
        variant("mine", counting, "span=2.5")
    with pytest.raises(UsageError, match=r"The parameter span of mine has no number .*, a whole one where it is annot"):
        variant("mine", halved)


def halved(known: Known, *, span: int = 2.5) -> Decision:  # type: ignore[assignment]
    """Its default is no whole number."""
    return Decision(np.zeros(2), str)


# ---------------------------------------------------------------- measures


def test_at_the_break_even_cost_nothing_is_earned() -> None:
    made = random_panel(1, 400)
    flips = np.sign(np.random.default_rng(5).standard_normal(400))
    limits = replace(FREE, band=0.0)
    gross = simulate(made, lambda row, held: flips[row : row + 1], limits)
    net = simulate(made, lambda row, held: flips[row : row + 1], replace(limits, fees_bps=break_even_bps(gross)))
    assert abs(math.log(net.equity[-1] / net.equity[0])) < 0.05 * abs(math.log(gross.equity[-1] / gross.equity[0]))
    assert math.isnan(break_even_bps(simulate(made, held_at(0.0), FREE)))


def test_the_interval_of_a_sharpe_ratio_is_as_wide_as_its_theory() -> None:
    returns = 0.01 * np.random.default_rng(5).standard_normal(21 * 150) + 0.0005
    found = sharpe_interval(returns, 21, draws=5000)
    assert found.value == pytest.approx(returns.mean() / returns.std())
    assert found.high - found.low == pytest.approx(2 * 1.96 * error_of(returns), rel=0.15)
    assert found.low < found.value < found.high
    assert math.isnan(sharpe_interval(returns[: 21 * 7], 21).low)


def test_returns_depend_on_each_other_within_a_month_of_sessions_or_a_week_of_hours() -> None:
    assert block_of(random_panel()) == 21
    assert block_of(panel([make_hours(hours=2)])) == 7 * 24


def test_the_haircut_is_the_best_of_so_many_without_skill() -> None:
    drawn = np.random.default_rng(2).standard_normal((20_000, 30)).max(axis=1)
    assert haircut(30, 1.0) == pytest.approx(drawn.mean(), abs=0.03)


def coin(panel: Panel, seed: int) -> Result:
    random = np.random.default_rng(seed)
    sides = np.sign(random.standard_normal((len(panel), 1)))
    made = variant("coin", lambda known: Decision(sides[known.closes.shape[1] - 1], lambda n: "a coin"))
    return backtest(panel, [made], FREE).results[0]


def test_a_coin_seldom_has_an_edge_even_without_costs() -> None:
    made = random_panel(1, 190)
    assert sum(coin(made, seed).has_edge for seed in range(40)) <= 2


def test_more_trials_need_a_better_result() -> None:
    made = random_panel(count=400)
    one, many = (backtest(made, [parse("buy-and-hold")], FREE, tried=tried).results[0] for tried in (1, 1000))
    assert one.deflated.low == one.sharpe.low
    assert many.deflated.low < one.deflated.low
    assert many.probability < one.probability


def test_the_haircut_grows_with_the_spread_of_what_was_tried_and_is_never_below_that_of_chance() -> None:
    closes = 50 * np.exp(np.cumsum(0.004 + 0.01 * np.random.default_rng(1).standard_normal(300)))
    made = panel([bars("A", closes, closes)])
    sides = [
        variant(f"side{side}", lambda known, side=side: Decision(np.full(1, side), str)) for side in (0.5, -0.5, 0.4)
    ]
    apart = backtest(made, sides[:2], FREE).results
    ratios = [one.sharpe.value for one in apart]
    assert ratios[0] - ratios[1] > 8
    year = math.sqrt(apart[0].bars_a_year)
    expected = haircut(2, (ratios[0] - ratios[1]) / math.sqrt(2))  # the sample deviation of two
    assert [one.haircut for one in apart] == pytest.approx([expected] * 2, rel=1e-9)
    alike = backtest(made, [sides[0], sides[2]], FREE).results
    errors = [haircut(2, error_of(simple_returns(one.net.equity))) * year for one in alike]
    assert [one.haircut for one in alike] == pytest.approx(errors, rel=1e-9)


def test_variants_side_by_side_count_as_tried() -> None:
    found: Backtest = backtest(random_panel(), [parse("buy-and-hold"), parse("always-flat")], FREE)
    assert found.tried == 2
    assert found.results[0].haircut > 0
    flat = found.results[1]
    assert (flat.net_return, flat.turnover, flat.sharpe.value, flat.has_edge) == (0, 0, 0, False)
    assert isinstance(flat.variant, Variant)


@pytest.mark.parametrize(
    ("series", "a_year"),
    [
        ([weekdays("MSFT", 400), weekdays("AAPL", 400)], 252),
        ([bars("BTC-USD", [10] * 400, [10] * 400)], 365),
        ([weekdays("MSFT", 400), bars("BTC-USD", [10] * 400, [10] * 400)], 365),
        ([weekdays("MSFT", 366, closed=range(70, 80)), weekdays("VOD.L", 366)], 261),
    ],
)
def test_an_account_is_annualised_by_its_moments_a_year(series: list[Bars], a_year: float) -> None:
    [made] = backtest(panel(series), [parse("buy-and-hold")], FREE, start=len(panel(series)) - 10).results
    assert made.bars_a_year == pytest.approx(a_year)
    assert made.turnover == pytest.approx(made.net.traded.sum() * a_year / 10)


def test_odd_bars_of_many_symbols_are_counted() -> None:
    odd = {f"S{number}": [Finding(f"S{number}", "widened", "1 bar")] for number in range(10)}
    said = list(notes(backtest(random_panel(), [parse("buy-and-hold")], FREE, findings=odd)))
    assert "S7: widened: 1 bar." in said
    assert said[-1] == "Bars of 2 more symbols were left out or changed when they were read, too."


# ---------------------------------------------------------------- members


def test_members_come_and_go() -> None:
    found: Members = read_members("symbol, from, to\nA,2021-01-05,2021-01-06\nA,2021-01-08,\nB,,\n", "m.csv")
    assert found.when("A", FIRST + np.arange(6)).tolist() == [False, True, True, False, True, True]
    assert found.on(date(2021, 1, 7)) == ["B"]
    assert found.point_in_time
    assert not read_members("symbol\nA\n", "m.csv").point_in_time


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "m.csv begins with nothing: the title symbol was needed"),
        ("ticker\nA\n", "begins with ticker"),
        ("symbol,from\nA,2020-01-01\n", "from,to beside it"),
        ("symbol\n", "m.csv has no member"),
        ("symbol,from,to\nA,2020-13-01,\n", "m.csv, line 2: '2020-13-01' is no date"),
        ("symbol,from,to\nA,2020-02-01,2020-01-01\n", "the member left on 2020-01-01, before it came"),
        ("symbol\n$$\n", "is not a symbol"),
    ],
)
def test_a_file_of_no_members_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(UsageError) as error:
        read_members(text, "m.csv")
    assert sentence in str(error.value)
