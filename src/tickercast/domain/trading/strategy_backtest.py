"""Backtest target weights: decide on a close, fill at the next open, pay for it.

Orders are sized at the close on which they are decided, and filled at the open of the symbol's next bar, worse by the
slippage: one that is decided on a Friday waits for its exchange's Monday, whatever else trades at the weekend, and ends
after seven days. One that has met its open counts as filled where its bar has not ended yet, as a future's beside a
coin at midnight. Fees are paid on both sides, short positions pay for what they borrow, at most a share of a bar's
traded value is filled (the rest lapses, and is decided again), and whoever holds a symbol that stops trading loses a
part of it.

>>> simple_returns(np.array([100.0, 110.0, 99.0])).round(4).tolist()
[0.1, -0.1]
>>> round(drawdown(np.array([100.0, 110.0, 99.0])), 4)
0.1
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from numbers import Real
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from tickercast.domain.findings import NOTHING_FOUND, Findings
from tickercast.domain.frequency import Ends
from tickercast.domain.measures.bootstrap import expanded
from tickercast.domain.text import shown
from tickercast.domain.trading.signals import LATE, Bools, Floats, Panel
from tickercast.domain.trading.strategy import Variant
from tickercast.errors import Permanent, UsageError

DRAWS = 1000
"""The number of draws of the bootstrap."""

LEAST_BLOCKS = 8
"""The fewest blocks from which an interval is drawn."""

CAPITAL = 100_000.0
"""The equity at the beginning, in currency: small beside the volume of a liquid symbol."""

EXPIRES_AFTER = timedelta(days=7)
"""An order whose symbol has not opened for so long has ended."""

_EXPIRES_AFTER = np.timedelta64(EXPIRES_AFTER)
_EULER = 0.5772156649015329
_NORMAL = NormalDist()


@dataclass(frozen=True)
class Costs:
    """The costs of trading, and its limits.

    Attributes:
        fees_bps: the fees in basis points of the value of each trade, on both sides.
        slippage_bps: the distance of a fill from the open, to the worse side, in basis points.
        borrow_bps: the cost of short positions a year, in basis points of their value.
        capacity: the largest part of a bar's traded value that is filled.
        delisting_loss: the part of a long position that is lost where a symbol stops trading: 30% is what Shumway
            (Journal of Finance 1997) found for delistings for bad performance.
        lot: orders are cut to multiples of so many shares; 0: fractions are traded.
        band: a change of weight that is smaller is not traded, but to close a position.
        buying_power: the part of the buying power that entries use, as prices move until they are filled; infinite:
            they are never cut.

    Raises:
        UsageError: one of them is no number, or out of range.
    """

    fees_bps: float = 10.0
    slippage_bps: float = 5.0
    borrow_bps: float = 50.0
    capacity: float = 0.01
    delisting_loss: float = 0.3
    lot: float = 0.0
    band: float = 0.01
    buying_power: float = 0.95

    def __post_init__(self) -> None:
        for name, (least, most) in _LIMITS.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, Real) or not least <= float(value) <= most:
                end = f"to {most:,.15g}" if math.isfinite(most) else "on"
                raise UsageError(
                    f"{name} is {shown(repr(value), 40)}: a number from {least:g} {end} was needed. Give that."
                )

    @property
    def none(self) -> "Costs":
        """The same limits without any cost."""
        return replace(self, fees_bps=0.0, slippage_bps=0.0, borrow_bps=0.0)

    def most(self, value: Floats, prices: Floats, lot: float) -> Floats:
        """The shares that a bar fills at most, in whole lots; infinite where its volume is not known.

        Args:
            value: the value traded in the bar, in currency, as `signals.traded_value` gives it.
            prices: the prices at which the shares are filled.
            lot: the shares of a lot; 0: fractions are traded.
        """
        found = self.capacity * np.where(np.isfinite(value), value, np.inf) / prices
        return np.floor(found / lot) * lot if lot else found


_LIMITS: Mapping[str, tuple[float, float]] = {
    "fees_bps": (0, 10_000),
    "slippage_bps": (0, 10_000),
    "borrow_bps": (0, 1_000_000),
    "capacity": (0.0001, 1),
    "delisting_loss": (0, 1),
    "lot": (0, 1e15),
    "band": (0, 1),
    "buying_power": (0, math.inf),
}
"""The least and the largest value of each of `Costs`."""

Weigh = Callable[[int, Floats], Floats]
"""Target weights `(n,)` at a row of the panel, from the weights that are held."""


@dataclass(frozen=True, eq=False)
class Run:
    """A simulated account.

    Attributes:
        ends: `(T,)`, the bars.
        equity: `(T,)`, at each close, in currency.
        weights: `(T, n)`, positions at each close, in shares of equity.
        traded: `(T,)`, value traded at each open, in shares of equity.
        orders: the number of orders that were filled, in whole or in part.
        capped: the number of them that were filled in part, up to the capacity.
        unfilled: the number of other orders, which met a bar whose capacity was nothing.
        delisted: the symbols that stopped trading while they were held.
    """

    ends: Ends
    equity: Floats
    weights: Floats
    traded: Floats
    orders: int
    capped: int
    unfilled: int
    delisted: Sequence[str]


def simulate(
    panel: Panel, weigh: Weigh, costs: Costs, *, start: int = 0, every: int = 1, capital: float = CAPITAL
) -> Run:
    """Trade target weights.

    Args:
        panel: the bars.
        weigh: decides after each `every`-th close.
        costs: the costs of trading.
        start: the row of the first decision; strategies may read the bars before it.
        every: bars from one decision to the next.
        capital: the equity at the beginning, in currency.
    """
    marks, gone = _filled(panel.close), _gone(panel)
    equity, waiting = capital, list[_Orders]()
    account = _Account(capital, np.zeros(len(panel.symbols)))
    count = len(panel) - start
    found = np.empty(count), np.zeros((count, len(panel.symbols))), np.zeros(count)
    borrow = costs.borrow_bps / 1e4 / panel.bars_a_year
    any_gone: Bools = np.asarray(gone.any(axis=1))
    for number, row in enumerate(range(start, len(panel))):
        if waiting:
            traded, waiting = account.fill(waiting, panel, row, costs)
            waiting = [(decided, np.where(gone[row], 0.0, orders)) for decided, orders in waiting]
            found[2][number] = traded / equity
        if any_gone[row]:
            account.settle(gone[row], marks[row], costs)
        value = account.shares * marks[row]
        account.cash += float((borrow * np.minimum(value, 0))[np.isfinite(panel.close[row])].sum())
        equity = account.cash + value.sum()
        if equity <= 0:  # nothing is left to trade with
            found[0][number:] = 0.0
            break
        found[0][number], found[1][number] = equity, value / equity
        if number % every == 0:
            met, busy = _met(waiting, panel, row)
            wanted = weigh(row, (account.shares + met) * marks[row] / equity)
            new = changes(wanted, account.shares + met, equity, marks[row], panel.decided_close[row], costs)
            new[busy] = 0.0
            after = sum((orders for _, orders in waiting), account.shares)
            new = _within_power(new, after, equity, marks[row], costs)
            waiting += [(row, new)] if new.any() else []
    names = [panel.symbols[number] for number in sorted(account.delisted)]
    return Run(panel.ends[start:], *found, account.filled, account.capped, account.unfilled, names)


_Orders = tuple[int, Floats]
"""Orders that wait for a bar: the row on which they were decided, and `(n,)` shares."""


class _Account:
    """Cash, shares, and what became of orders."""

    def __init__(self, cash: float, shares: Floats) -> None:
        self.cash = cash
        self.shares = shares
        self.filled = self.capped = self.unfilled = 0
        self.delisted: set[int] = set()

    def fill(self, waiting: Sequence[_Orders], panel: Panel, row: int, costs: Costs) -> tuple[float, list[_Orders]]:
        """Fill orders at the opens of a moment, the oldest first; the value that was traded, and what still waits."""
        there = np.isfinite(panel.open[row])
        prices = np.where(there, panel.open[row], 1.0)
        most = costs.most(panel.value[row], prices, costs.lot)
        traded, left = 0.0, list[_Orders]()
        for decided, orders in waiting:
            waited = panel.opens_at[row] - panel.moments[decided]
            due = there & (waited >= -LATE) & (waited <= _EXPIRES_AFTER)
            amount = np.where(due, orders, 0.0)
            size = np.abs(amount)
            cut = size > most
            if cut.any():
                self.capped += int(np.count_nonzero(cut & (most > 0)))
                self.unfilled += int(np.count_nonzero(cut & (most == 0)))
                size = np.minimum(size, most)
                amount = np.copysign(size, amount)
            most = most - size
            paid = amount * prices * (1 + np.sign(amount) * costs.slippage_bps / 1e4)
            value = float(np.abs(paid).sum())
            self.cash -= float(paid.sum()) + costs.fees_bps / 1e4 * value
            self.shares = self.shares + amount
            self.filled += int(np.count_nonzero(size))
            traded += value
            if panel.moments[row] - panel.moments[decided] > _EXPIRES_AFTER:
                continue
            unmet = np.where(due, 0.0, orders)
            if unmet.any():
                left.append((decided, unmet))
        return traded, left

    def settle(self, gone: Bools, marks: Floats, costs: Costs) -> None:
        """Close what is held of symbols that trade no more: long positions lose a part, all pay the fees."""
        held = np.where(gone, self.shares, 0.0)
        value = held * np.where(held != 0, marks, 0.0)
        kept = np.where(value > 0, 1 - costs.delisting_loss, 1.0)
        self.cash += float((value * kept).sum()) - costs.fees_bps / 1e4 * float(np.abs(value).sum())
        self.delisted |= set(np.flatnonzero(held).tolist())
        self.shares = self.shares - held


def _met(waiting: Sequence[_Orders], panel: Panel, row: int) -> tuple[Floats, Bools]:
    """The shares of orders that have met their open at a moment, and the symbols of which nothing is decided then.

    What has met its open counts as filled, as a venue has filled it by then, though its price is not known before the
    bar has ended. What waits for its open is filled first, and so is all while the exchange rests.
    """
    met, busy = np.zeros(len(panel.symbols)), np.zeros(len(panel.symbols), bool)
    for decided, orders in waiting:
        has_opened = panel.next_opens[decided] <= panel.moments[row]
        met += np.where(has_opened, orders, 0.0)
        busy |= (orders != 0) & (~has_opened | panel.rests[row])
    return met, busy


def changes(weights: Floats, shares: Floats, equity: float, marks: Floats, closes: Floats, costs: Costs) -> Floats:
    """Shares to trade towards target weights; none of symbols without a bar that was due, or where the target is NaN.

    Args:
        weights: `(n,)`, shares of equity.
        shares: `(n,)`, the held shares.
        equity: the equity in currency.
        marks: `(n,)`, the newest closes.
        closes: `(n,)`, the closes of the bars that are decided on; NaN where a symbol has none.
        costs: the costs, with the band and the lot.
    """
    able = np.isfinite(weights) & np.isfinite(closes)
    wanted = np.where(able, weights, 0.0) * equity / np.where(able, marks, 1.0)
    change = np.where(able, wanted - shares, 0.0)
    if costs.band:
        small = np.abs(change) * np.where(able, marks, 0.0) < costs.band * equity
        change[small & (wanted != 0)] = 0.0
    if costs.lot:
        change = np.trunc(change / costs.lot) * costs.lot
    return change


def _within_power(orders: Floats, shares: Floats, equity: float, marks: Floats, costs: Costs) -> Floats:
    """Cut what makes positions larger to the part of the buying power that is used, once exits are filled.

    Args:
        orders: `(n,)`, the orders that were decided now.
        shares: `(n,)`, the shares that are held once the orders before them are filled.
        equity: the equity in currency.
        marks: `(n,)`, the newest closes.
        costs: the costs, with the part and the lot.
    """
    if math.isinf(costs.buying_power):
        return orders
    after = shares + orders
    kept = np.where(shares * after > 0, np.minimum(np.abs(shares), np.abs(after)), 0.0)
    larger = np.abs(after) - kept
    wanted, room = float(larger @ marks), costs.buying_power * max(equity - float(kept @ marks), 0.0)
    if wanted <= room:
        return orders
    entries = np.sign(after) * larger
    cut = entries * (room / wanted)
    if costs.lot:
        cut = np.trunc(cut / costs.lot) * costs.lot
    found: Floats = orders - entries + cut
    return found


def _filled(close: Floats) -> Floats:
    """The newest close at each moment; 0 before the first, when nothing can be held."""
    rows = np.where(np.isfinite(close), np.arange(len(close))[:, None], -1)
    newest = np.maximum.accumulate(rows, axis=0)
    return np.where(newest >= 0, np.take_along_axis(close, np.maximum(newest, 0), axis=0), 0.0)


def _gone(panel: Panel) -> Bools:
    """Flag the moments after which a symbol counts as delisted, without a bar for long and for good: `(T, n)`."""
    stale_after = np.timedelta64(panel.frequency.stale_after)
    found = np.zeros(panel.close.shape, bool)
    for column in range(len(panel.symbols)):
        [known] = np.nonzero(np.isfinite(panel.close[:, column]))
        if len(known):
            found[known[-1] + 1 :, column] = (panel.ends[known[-1] + 1 :] - panel.ends[known[-1]]) > stale_after
    return found


# ---------------------------------------------------------------- measures


@dataclass(frozen=True)
class Interval:
    """A measure with its 95% interval; NaN where there is too little to draw one from."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Result:
    """The performance of a variant in a backtest.

    Attributes:
        variant: the strategy with its parameters.
        net: the account after costs.
        gross: the account without costs.
        bars_a_year: the bars a year of the account, to annualise by; see `Panel.rows_a_year`.
        sharpe: the Sharpe ratio of the net returns, a year, with its interval from a block bootstrap.
        haircut: the Sharpe ratio a year that the best of so many variants without skill would show (Bailey and López de
            Prado, Journal of Portfolio Management 2014).
        deflated: the Sharpe ratio less the haircut, with its interval.
        probability: the chance that the true Sharpe ratio is above 0 after deflation: their deflated Sharpe ratio.
    """

    variant: Variant
    net: Run
    gross: Run
    bars_a_year: float
    sharpe: Interval
    haircut: float
    deflated: Interval
    probability: float

    @property
    def has_edge(self) -> bool:
        """Whether the whole deflated interval is above 0."""
        return bool(self.deflated.low > 0)

    @property
    def net_return(self) -> float:
        """The return of the whole time, after costs."""
        return float(self.net.equity[-1] / self.net.equity[0] - 1)

    @property
    def gross_return(self) -> float:
        """The return of the whole time, before costs."""
        return float(self.gross.equity[-1] / self.gross.equity[0] - 1)

    @property
    def turnover(self) -> float:
        """Value traded a year, in shares of equity."""
        return float(self.net.traded.sum() * self.bars_a_year / len(self.net.ends))

    @property
    def drawdown(self) -> float:
        """The largest loss since a former peak, after costs."""
        return drawdown(self.net.equity)

    @property
    def break_even_bps(self) -> float:
        """The cost a side at which nothing is earned; NaN where nothing is traded."""
        return break_even_bps(self.gross)


@dataclass(frozen=True, eq=False)
class Backtest:
    """Variants that were backtested side by side.

    Attributes:
        results: one a variant.
        panel: the bars and signals, those before the first decision included.
        start: the row of the first decision.
        costs: the costs of trading.
        every: bars from one decision to the next.
        tried: the number of variants that were tried in all.
        point_in_time: whether it was known who was in the universe on each date.
        failures: the reason for each symbol that was left out.
        findings: the findings on bars that were left out or changed on reading, by symbol.
    """

    results: Sequence[Result]
    panel: Panel
    start: int
    costs: Costs
    every: int
    tried: int
    point_in_time: bool
    failures: Mapping[str, Permanent]
    findings: Findings


def backtest(
    panel: Panel,
    variants: Sequence[Variant],
    costs: Costs,
    *,
    start: int = 0,
    every: int = 1,
    tried: int = 0,
    point_in_time: bool = False,
    failures: Mapping[str, Permanent] | None = None,
    findings: Findings = NOTHING_FOUND,
) -> Backtest:
    """Backtest variants side by side.

    Args:
        panel: bars and signals.
        variants: the variants, at least one.
        costs: the costs of trading.
        start: the row of the first decision.
        every: bars from one decision to the next.
        tried: the number of variants that were tried in all; at least as many as there are here.
        point_in_time: whether it was known who was in the universe on each date.
        failures: the reason for each symbol that was left out.
        findings: the findings on bars that were left out or changed on reading, by symbol.
    """
    counted = max(tried, len(variants))
    results = _judged(panel, variants, costs, start, every, counted)
    return Backtest(results, panel, start, costs, every, counted, point_in_time, failures or {}, findings)


def _judged(
    panel: Panel, variants: Sequence[Variant], costs: Costs, start: int, every: int, tried: int
) -> list[Result]:
    runs = []
    for one in variants:

        def weigh(row: int, held: Floats, one: Variant = one) -> Floats:
            return one(panel.known(row, held)).weights

        net = simulate(panel, weigh, costs, start=start, every=every)
        gross = net if costs == costs.none else simulate(panel, weigh, costs.none, start=start, every=every)
        runs.append((net, gross))
    returns = [simple_returns(net.equity) for net, _ in runs]
    spread = float(np.std([_ratio(each) for each in returns], ddof=1)) if len(returns) > 1 else 0.0
    a_year = panel.rows_a_year(start)
    year = math.sqrt(a_year)
    results = []
    for one, (net, gross), each in zip(variants, runs, returns, strict=True):
        ratio = _ratio(each)
        cut = haircut(tried, max(spread, error_of(each)))
        found = sharpe_interval(each, block_of(panel))
        sharpe = Interval(*(value * year for value in (found.value, found.low, found.high)))
        deflated = Interval(*(value - cut * year for value in (sharpe.value, sharpe.low, sharpe.high)))
        chance = probabilistic_sharpe(each, cut) if ratio else 0.5
        results.append(Result(one, net, gross, a_year, sharpe, cut * year, deflated, chance))
    return results


def simple_returns(equity: Floats) -> Floats:
    """Simple returns from bar to bar: `(T − 1,)`; 0 once nothing is left."""
    before = equity[:-1]
    found: Floats = np.divide(equity[1:], before, out=np.ones(len(before)), where=before > 0) - 1
    return found


def drawdown(equity: Floats) -> float:
    """The largest loss since a former peak, as a share of it."""
    return float((1 - equity / np.maximum.accumulate(equity)).max())


def break_even_bps(gross: Run) -> float:
    """The cost a side at which log-growth is 0, in basis points, to first order: growth over turnover.

    NaN where nothing is traded, or nothing is left.
    """
    turnover = float(gross.traded.sum())
    if not turnover or gross.equity[-1] <= 0:
        return math.nan
    return float(1e4 * np.log(gross.equity[-1] / gross.equity[0]) / turnover)


def block_of(panel: Panel) -> int:
    """Bars of a block of the bootstrap: a month of sessions, a week of hours."""
    return 21 if panel.frequency.is_daily else 168


def sharpe_interval(returns: Floats, block: int, *, draws: int = DRAWS) -> Interval:
    """The Sharpe ratio of a bar and its 95% interval, from a bootstrap over blocks, expanded; see `bootstrap.expanded`.

    Args:
        returns: `(T,)`, of each bar.
        block: bars of a block, within which returns are dependent.
        draws: the number of draws of the bootstrap.
    """
    count = len(returns) // block
    value = _ratio(returns)
    if count < LEAST_BLOCKS:
        return Interval(value, math.nan, math.nan)
    whole = returns[len(returns) - count * block :].reshape(count, block)
    sums, squares = whole.sum(axis=1), (whole**2).sum(axis=1)
    drawn = np.random.default_rng(0).multinomial(count, np.full(count, 1 / count), draws)
    mean, square = drawn @ sums / whole.size, drawn @ squares / whole.size
    spread = np.sqrt(np.maximum(square - mean**2, 0))
    ratios = np.divide(mean, spread, out=np.zeros(draws), where=spread > 0)
    low, high = np.quantile(ratios, expanded(count))
    return Interval(value, float(low), float(high))


def error_of(returns: Floats) -> float:
    """The standard error of a Sharpe ratio of a bar (Mertens 2002), skewness and kurtosis counted."""
    ratio, skew, kurtosis = _ratio(returns), *_moments(returns)
    return math.sqrt(max(1 - skew * ratio + (kurtosis - 1) / 4 * ratio**2, 0) / max(len(returns) - 1, 1))


def probabilistic_sharpe(returns: Floats, above: float) -> float:
    """The probability that the true Sharpe ratio of a bar is above another (Bailey and López de Prado 2012)."""
    error = error_of(returns)
    return _NORMAL.cdf((_ratio(returns) - above) / error) if error else 0.5


def haircut(tried: int, spread: float) -> float:
    """The Sharpe ratio that the best of some variants without skill is expected to show.

    Bailey and López de Prado, The Deflated Sharpe Ratio, Journal of Portfolio Management 2014.

    Args:
        tried: the number of variants.
        spread: the standard deviation of their Sharpe ratios.

    >>> haircut(1, 1.0), round(haircut(10, 1.0), 3), round(haircut(100, 1.0), 3)
    (0.0, 1.575, 2.531)
    """
    if tried <= 1:
        return 0.0
    first, second = (_NORMAL.inv_cdf(1 - 1 / each) for each in (tried, tried * math.e))
    return spread * ((1 - _EULER) * first + _EULER * second)


def _ratio(returns: Floats) -> float:
    spread = float(returns.std()) if len(returns) else 0.0
    return float(returns.mean()) / spread if spread > 1e-15 else 0.0


def _moments(returns: NDArray[np.float64]) -> tuple[float, float]:
    """Skewness and kurtosis; a Gaussian's where nothing moves."""
    spread = float(returns.std()) if len(returns) else 0.0
    if spread <= 1e-15:
        return 0.0, 3.0
    scaled = (returns - returns.mean()) / spread
    return float((scaled**3).mean()), float((scaled**4).mean())
