"""Plans of orders, limits, and the simulated exchange, all by value."""

import math
import re
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from tickercast.config import Settings
from tickercast.domain.trading.limits import (
    Action,
    Cause,
    Limits,
    TradingEvent,
    allowed,
    clipped,
    halted,
    parse_limits,
    stopped,
)
from tickercast.domain.trading.orders import Bracket, Rules, Side, Status, exit_id
from tickercast.domain.trading.paper import Exchange, Part, Sent, Series, Terms
from tickercast.domain.trading.plan import ENTRY, EXIT, Plan, Want, fitted, plan
from tickercast.domain.trading.strategy_backtest import Costs
from tickercast.errors import UsageError

RULES = {"A": Rules("A"), "B": Rules("B", lot=Decimal("0.001"), least_value=Decimal(10), most_quantity=Decimal(5))}


def want(symbol: str, weight: float, mark: float = 10.0, **more: Any) -> Want:
    return Want(symbol, weight, "why", mark, more.get("close", mark))


def said(made: Plan) -> list[tuple[str, str, str, str]]:
    return [(each.symbol, each.leg, each.side.value, str(each.quantity)) for each in made.orders]


@pytest.mark.parametrize(
    ("weight", "held", "expected"),
    [
        (0.5, "0", [("A", ENTRY, "buy", "50")]),
        (0.5, "20", [("A", ENTRY, "buy", "30")]),
        (0.2, "50", [("A", EXIT, "sell", "30")]),
        (0.0, "50.5", [("A", EXIT, "sell", "50")]),
        (0.0, "1", [("A", EXIT, "sell", "1")]),
        (-0.3, "20", [("A", EXIT, "sell", "20"), ("A", ENTRY, "sell", "30")]),
        (0.3, "-20", [("A", EXIT, "buy", "20"), ("A", ENTRY, "buy", "30")]),
        (-0.1, "-30", [("A", EXIT, "buy", "20")]),
        (math.nan, "30", []),
        (0.505, "50", []),  # within the band
        (0.0, "0.4", []),  # less than a lot
    ],
)
def test_the_difference_to_what_is_wanted_is_ordered(weight: float, held: str, expected: list[Any]) -> None:
    made = plan([want("A", weight)], {"A": Decimal(held)}, Decimal(1000), RULES)
    assert said(made) == expected


def test_exits_come_first_and_rules_of_the_venue_hold() -> None:
    wants = [want("A", 0.5), want("B", 0.005, 0.1), want("C", 0.5), want("B", 0.9, 100.0)]
    made = plan([wants[0], want("B", 0.0, 100.0)], {"B": Decimal("1.2345")}, Decimal(1000), RULES)
    assert said(made) == [("B", EXIT, "sell", "1.234"), ("A", ENTRY, "buy", "50")]
    small = plan([replace(wants[1], weight=0.02, mark=100.0, close=100.0)], {}, Decimal(400), RULES)
    assert small.left == {"B": "0.08 at 100 is less than the venue takes"}
    large = plan([wants[3]], {}, Decimal(1000), RULES)
    assert [(each.part, each.quantity) for each in large.orders] == [(1, 5), (2, 4)]
    huge = plan([wants[3]], {}, Decimal(20_000), RULES)
    assert (len(huge.orders), len({each.part for each in huge.orders})) == (20, 20)
    assert huge.left == {"B": "the venue takes 5 at once; the rest, 80, waits for the next bar"}
    assert plan([wants[2]], {}, Decimal(1000), RULES).left == {"C": "it does not trade at the venue now"}
    flat = {"A": replace(RULES["A"], shortable=False)}
    assert plan([want("A", -0.5)], {}, Decimal(1000), flat).left == {"A": "the venue allows no short position in it"}
    assert not said(plan([want("A", 0.5, close=math.nan)], {}, Decimal(1000), RULES))


@pytest.mark.parametrize(
    ("weight", "held", "expected"),
    [
        (-0.255, "0", [("A", ENTRY, "sell", "25")]),
        (-0.255, "10.5", [("A", EXIT, "sell", "10.5"), ("A", ENTRY, "sell", "25")]),
        (-0.105, "-25", [("A", EXIT, "buy", "14")]),
        (0.105, "-25", [("A", EXIT, "buy", "25"), ("A", ENTRY, "buy", "10.5")]),
        (0.255, "0", [("A", ENTRY, "buy", "25.5")]),
    ],
)
def test_a_venue_may_take_shorts_in_whole_shares_alone(weight: float, held: str, expected: list[Any]) -> None:
    rules = {"A": Rules("A", lot=Decimal("0.1"), short_lot=Decimal(1))}
    assert said(plan([want("A", weight)], {"A": Decimal(held)}, Decimal(1000), rules)) == expected


def test_what_is_open_or_has_a_bracket_stays_until_it_is_to_be_closed() -> None:
    held, bracket = {"A": Decimal(50)}, Bracket(Decimal("0.02"), Decimal("0.03"), Decimal("0.4"))
    given: dict[str, Any] = {"bracketed": {"A": "id"}, "bracket": bracket}
    assert "bracket" in plan([want("A", 0.2)], held, Decimal(1000), RULES, **given).left["A"]
    assert said(plan([want("A", 0.0)], held, Decimal(1000), RULES, **given)) == [("A", EXIT, "sell", "50")]
    closing = plan([want("A", -0.2)], held, Decimal(1000), RULES, **given)
    assert [each.bracket for each in closing.orders] == [None, bracket]
    busy = plan([want("A", 0.2)], held, Decimal(1000), RULES, busy={"A": "its order is still open"})
    assert (said(busy), busy.left) == ([], {"A": "its order is still open"})


def test_a_position_is_closed_to_the_last_digit_that_the_venue_takes() -> None:
    rules, held = {"A": Rules("A", lot=Decimal("1e-20"))}, "0.12345678901234567890"
    assert said(plan([want("A", 0.0)], {"A": Decimal(held)}, Decimal(1), rules)) == [("A", EXIT, "sell", held)]


def test_entries_take_at_most_95_percent_of_the_buying_power() -> None:
    made = plan([want("A", 0.5), want("B", 0.4, 100.0)], {}, Decimal(1000), RULES)
    assert fitted(made.orders, Decimal(2000)).orders == made.orders
    cut = fitted(made.orders, Decimal(500)).orders
    assert sum(each.value for each in cut) <= Decimal(475)
    assert [str(each.quantity) for each in cut] == ["26", "2.111"]
    why = "a buying power of 0.00 does not suffice for it"
    assert fitted(made.orders, Decimal(0)) == Plan([], {"A": why, "B": why})


def test_entries_are_cut_alike_whether_or_not_a_run_was_killed_between_them() -> None:
    rules = {symbol: Rules(symbol, lot=Decimal("0.001")) for symbol in "ABC"}
    orders = plan([want("A", 0.5), want("B", 0.3), want("C", 0.2)], {}, Decimal(1000), rules).orders
    whole = fitted(orders, Decimal(800)).orders
    first = whole[0].value
    assert fitted(orders[1:], 800 - first, first).orders == whole[1:]
    assert fitted(orders[1:], Decimal(0), Decimal(800)).orders == []


# ---------------------------------------------------------------- risk

AT = datetime(2023, 7, 21, 20, tzinfo=UTC)


def event(action: Action, hours: int, account: str = "", strategy: str = "") -> TradingEvent:
    return TradingEvent(account, strategy, action, Cause.PERSON, "why", None, AT + timedelta(hours=hours))


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([], False),
        ([event(Action.HALT, 0)], True),
        ([event(Action.HALT, 0), event(Action.RESUME, 1)], False),
        ([event(Action.HALT, 0), event(Action.RESUME, 1, strategy="mine")], False),
        ([event(Action.HALT, 0), event(Action.RESUME, 1, strategy="other")], True),
        ([event(Action.HALT, 0, "paper://b")], False),
        ([event(Action.HALT, 0, "paper://a", "mine"), event(Action.LIMIT, 1)], True),
        ([event(Action.RESUME, 1), event(Action.HALT, 2, "paper://a")], True),
    ],
)
def test_the_last_halt_or_resume_counts(events: list[TradingEvent], expected: bool) -> None:
    assert (halted(reversed(events), "paper://a", "mine") is not None) == expected


def test_a_stop_counts_from_the_start() -> None:
    assert stopped([100, 150, 81], Limits()) == ""
    assert stopped([100, 150, 80], Limits()).startswith("It has lost 20.0%")
    assert stopped([80], Limits()) == ""


def test_limits_of_a_day_cut_entries_and_never_the_size_of_exits() -> None:
    held = {"A": Decimal(90)}
    orders = plan([want("A", 0.0), want("B", 0.4, 100.0)], held, Decimal(1000), RULES).orders
    free = allowed(orders, Decimal(1000), Decimal(0), 0, Limits())
    assert (list(free.orders), free.met) == (list(orders), [])
    few = allowed(orders, Decimal(1000), Decimal(0), 9, Limits(orders=10))
    assert [each.leg for each in few.orders] == [EXIT]
    assert few.met == [(Cause.ORDERS, "11 orders of 24 hours were wanted, and at most 10 may be sent.")]
    lowered = allowed(orders, Decimal(1000), Decimal(0), 11, Limits(orders=10))
    assert lowered.orders == []
    cut = allowed(orders, Decimal(1000), Decimal(1800), 0, Limits())
    assert [each.quantity for each in cut.orders] == [90, 2]
    assert cut.met == [(Cause.TURNOVER, "Entries of 220% of equity in 24 hours were wanted, of at most 200%.")]
    np.testing.assert_array_equal(clipped(np.array([0.9, -0.9, np.nan]), Limits(position=0.5)), [0.5, -0.5, np.nan])


@pytest.mark.parametrize(
    "text", ["stop=1", "stop=0", "loss=0.2", "orders=many", "orders=0.5", "position=-1", "stop", "stop=0.1,stop=0.9"]
)
def test_a_wrong_limit_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(UsageError, match="TICKERCAST_TRADE_LIMITS names"):
        parse_limits(text)


def test_the_setting_names_the_limits_that_hold_where_none_is_named() -> None:
    [named] = re.findall(r"trade_limits: .*?`(.*?)`", Settings.__doc__ or "")
    assert (parse_limits(named), parse_limits("")) == (Limits(), Limits())
    assert {part.partition("=")[0] for part in named.split(",")} == {each.name for each in fields(Limits)}


# ---------------------------------------------------------------- the simulated exchange

OPENS = np.array(["2023-07-24T13:30", "2023-07-25T13:30", "2023-07-26T13:30"], "datetime64[us]")
EVENING = datetime(2023, 7, 21, 20, 30)
FREE = Costs(0, 0, 0, 1.0)


def series(opens: list[float], highs: list[float], lows: list[float], value: float = 1e9) -> Series:
    count = len(opens)
    numbers = [np.array(each, float) for each in (opens, highs, lows)]
    closes_at = OPENS[:count] + np.timedelta64(390, "m")
    return Series(OPENS[:count], closes_at, *numbers, numbers[0], np.full(count, value))


def exchange(bars: Series, sent: Sent, costs: Costs = FREE) -> Exchange:
    return Exchange({"A": bars}, [sent], Terms(costs), datetime(2023, 7, 26, 20))


@pytest.mark.parametrize(
    ("lows", "highs", "opens", "price"),
    [
        ([99, 99, 97.9], [101] * 3, [100] * 3, 98.0),  # the stop
        ([99, 99, 96], [101, 101, 96.5], [100, 100, 96], None),  # it opens below the limit, and never comes back
        ([99, 95, 96], [101, 96, 98], [100, 95, 96], 97.0),  # it does so the day after
        ([99, 99, 99], [101, 141, 101], [100, 100, 100], 140.0),  # the take
        ([99, 145, 99], [101, 150, 101], [100, 145, 100], 145.0),  # it opens above it
        ([97, 99, 99], [150, 101, 101], [100, 100, 100], 98.0),  # both in one bar: the stop counts
        ([99] * 3, [101] * 3, [100] * 3, None),
    ],
)
@pytest.mark.parametrize("side", list(Side))
def test_a_bracket_is_met_by_lows_and_highs(side: Side, lows: Any, highs: Any, opens: Any, price: Any) -> None:
    if side is Side.SELL:  # the mirror image at 100
        lows, highs, opens = ([200 - each for each in numbers] for numbers in (highs, lows, opens))
        price = None if price is None else 200 - price
    sent = Sent("a", "A", side, 10, EVENING, (0.02, 0.03, 0.40))
    made = exchange(series(opens, highs, lows), sent)
    leaving = made.orders[exit_id("a")]
    assert [part.price for part in leaving.parts] == ([] if price is None else [pytest.approx(price)])
    assert leaving.status is (Status.ACCEPTED if price is None else Status.FILLED)
    assert dict(made.positions) == ({} if price is not None else {"A": 10 if side is Side.BUY else -10})


def test_costs_capacity_and_borrowing_are_those_of_a_backtest() -> None:
    costs = Costs(fees_bps=10, slippage_bps=5, borrow_bps=252, capacity=0.01)
    made = exchange(series([100] * 3, [100] * 3, [100] * 3, value=1e5), Sent("a", "A", Side.SELL, 50, EVENING), costs)
    [part] = made.orders["a"].parts
    assert (part.quantity, part.price, part.fee) == (10, pytest.approx(99.95), pytest.approx(0.9995))
    assert made.orders["a"].status is Status.EXPIRED
    borrowed = 3 * 10 * 100 * 0.0252 / 252
    assert made.cash == pytest.approx(100_000 + 999.5 - 0.9995 - borrowed)
    assert made.buying_power == pytest.approx(made.equity - 1000)


def test_all_orders_that_a_bar_fills_share_its_capacity() -> None:
    costs, bars = replace(FREE, capacity=0.01), series([100] * 3, [100] * 3, [100] * 3, value=1e5)
    later = EVENING + timedelta(days=3)
    held = Sent("held", "A", Side.BUY, 8, EVENING)
    turned = [Sent("exit", "A", Side.SELL, 8, later), Sent("more", "A", Side.SELL, 8, later)]
    made = Exchange({"A": bars}, [held, *turned], Terms(costs), datetime(2023, 7, 26, 20))
    assert [made.orders[name].filled for name in ("held", "exit", "more")] == [8, 8, 2]
    assert made.orders["more"].status is Status.EXPIRED
    assert dict(made.positions) == {"A": -2}


def test_a_short_position_in_a_coin_pays_from_the_day_that_fills_its_order() -> None:
    closes_at = np.arange("2023-07-22", "2023-07-26", dtype="datetime64[D]").astype("datetime64[us]")
    prices = [np.full(4, 100.0)] * 4
    bars = Series(closes_at - np.timedelta64(1, "D"), closes_at, *prices, np.full(4, 1e9), 365.0)
    sent = Sent("a", "A", Side.SELL, 10, datetime(2023, 7, 22))
    made = Exchange({"A": bars}, [sent], Terms(replace(FREE, borrow_bps=100)), datetime(2023, 7, 25))
    assert 100_000 - made.equity == pytest.approx(3 * 10 * 100 * 0.01 / 365)


def test_quantities_follow_a_split_and_fills_that_were_told_stay() -> None:
    bars = series([50] * 3, [50] * 3, [50] * 3)
    before = datetime(2023, 7, 24, 20)
    known = Part(10, 100.0, 1.0, datetime(2023, 7, 24, 13, 30), [(100.0, before)])
    sent = Sent("a", "A", Side.BUY, 10, EVENING, parts=[known], ended=Status.FILLED)
    made = exchange(bars, sent)
    assert dict(made.positions) == {"A": 20}
    assert made.equity == pytest.approx(100_000 - 1)
    waiting = Sent("b", "A", Side.BUY, 10, datetime(2023, 7, 24, 20, 30), bases=[(100.0, before)])
    assert exchange(bars, waiting).positions["A"] == 20


@pytest.mark.parametrize(("last_low", "price"), [(49.5, None), (48.9, 49.0)])
def test_the_prices_of_a_bracket_follow_a_split_after_its_fill(last_low: float, price: float | None) -> None:
    known = Part(10, 100.0, 0.0, datetime(2023, 7, 24, 13, 30), [(100.0, datetime(2023, 7, 24, 20))])
    sent = Sent("a", "A", Side.BUY, 10, EVENING, (0.02, 0.03, 0.40), parts=[known], ended=Status.FILLED)
    made = exchange(series([50] * 3, [51] * 3, [49.5, 49.5, last_low]), sent)  # halved since
    found = [(part.quantity, part.price) for part in made.orders[exit_id("a")].parts]
    assert found == ([] if price is None else [(20, price)])


def test_a_correction_of_one_bar_is_no_split() -> None:
    bars = series([102, 100, 100], [102, 100, 100], [102, 100, 100])
    at = [moment.item() for moment in bars.closes_at.astype("datetime64[us]")]
    assert bars.factor([(100.0, each) for each in at]) == 1.0
    assert bars.factor([(200.0, each) for each in at]) == 2.0
    assert bars.factor([(100.0, at[1]), (100.0, datetime(2020, 1, 1))]) == 1.0  # one bar is not stored any more


def test_what_a_dividend_leaves_of_a_lot_is_not_ordered_and_only_dust_is_dropped() -> None:
    bars = series([100] * 3, [100] * 3, [100] * 3)

    def left(kept: float, terms: Terms) -> Exchange:
        sides = ((Side.BUY, 10.0), (Side.SELL, 10.0 - kept))
        at = datetime(2023, 7, 24, 13, 30)
        sent = [
            Sent(side.value, "A", side, size, EVENING, parts=[Part(size, 100.0, 0.0, at)], ended=Status.FILLED)
            for side, size in sides
        ]
        return Exchange({"A": bars}, sent, terms, datetime(2023, 7, 26, 20))

    assert dict(left(7e-10, Terms(FREE)).positions) == {}
    whole = left(0.25, Terms(FREE, lot=1.0))
    assert dict(whole.positions) == {"A": 0.25}
    assert whole.equity == 100_000
    made = plan([want("A", 0.0)], {"A": Decimal("0.25")}, Decimal(1000), RULES)
    assert (said(made), made.left) == ([], {})


def test_an_order_waits_seven_days_for_its_open_whenever_the_bars_come() -> None:
    bars = series([100], [100], [100])
    for waited, status in ((timedelta(days=7), Status.FILLED), (timedelta(days=7, seconds=1), Status.EXPIRED)):
        sent = Sent("a", "A", Side.BUY, 10, datetime(2023, 7, 24, 13, 30) - waited)
        made = exchange(bars, sent).orders["a"]
        assert (made.status, made.filled) == (status, 10 if status is Status.FILLED else 0)
    assert (made.at, made.reason) == (sent.at + timedelta(days=7), "no bar followed")


def test_an_order_waits_for_a_bar_and_ends_without_one() -> None:
    bars = series([100], [100], [100])
    late = Sent("a", "A", Side.BUY, 10, datetime(2023, 7, 24, 14))
    assert exchange(bars, late).orders["a"].status is Status.ACCEPTED
    assert replace(exchange(bars, late), now=datetime(2023, 8, 2)).orders["a"].status is Status.EXPIRED
    assert exchange(bars, replace(late, cancelled=True)).orders["a"].status is Status.CANCELLED
    in_time = replace(late, at=datetime(2023, 7, 24, 13, 34))
    assert exchange(bars, in_time).orders["a"].status is Status.FILLED
