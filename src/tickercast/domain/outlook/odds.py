"""The chances of reaching a price, step by step, from paths of one symbol.

To end beyond a price is a fact of one step's distribution. That some close lies beyond it, or that some high or low
touches it, depends on the whole path: to read the end of an interval as the chance of getting there is wrong by half.

>>> from tickercast.domain.distribution import student5
>>> from tickercast.domain.forecast import QUANTILES
>>> from tickercast.domain.outlook.paths import Past, paths
>>> levels = 0.02 * np.sqrt([[1], [2], [3]]) * student5(np.array(QUANTILES))
>>> rng = np.random.default_rng(1)
>>> excess = 0.4 * rng.exponential(size=(500, 1))
>>> moves = rng.normal(size=(500, 1))
>>> past = Past(moves, moves, excess, excess, np.full(500, 1 / 500))
>>> odds = Odds(paths(past, levels[None], seed=1), levels)
>>> np.round(odds.above(0.03).ends, 2).tolist()
[0.06, 0.11, 0.16]
>>> bool(odds.above(0.03).closes[-1] > 0.16)
True
>>> bool(abs(odds.above(odds.level(0.1, step=3).closes).closes[-1] - 0.1) < 0.001)
True
"""

import math
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from tickercast.domain.distribution import probability, quantile
from tickercast.domain.outlook.paths import Paths, levels_of
from tickercast.domain.text import is_number, quoted
from tickercast.errors import UsageError

Floats = NDArray[np.float64]
Value = TypeVar("Value")


@dataclass(frozen=True)
class Ways(Generic[Value]):
    """One answer for each way to be beyond a price.

    Attributes:
        ends: the close of the step lies beyond it.
        closes: some close up to the step does.
        touches: some high (below: some low) up to the step reaches it; the highs and lows reach the last close.
    """

    ends: Value
    closes: Value
    touches: Value


@dataclass(frozen=True)
class Odds:
    """The chances of one symbol.

    Attributes:
        made: the paths, of one symbol.
        quantiles: `(steps, len(QUANTILES))`, the stored log-returns.
    """

    made: Paths
    quantiles: Floats

    def above(self, log_return: float) -> Ways[Floats]:
        """The chance of being above a log-return from the last close, by step: `(steps,)` each."""
        closes, highs = self._highest()
        return _nested(1 - self._ends_below(log_return), _shares(closes > log_return), _shares(highs >= log_return))

    def below(self, log_return: float) -> Ways[Floats]:
        """The chance of being below it."""
        closes, lows = self._lowest()
        return _nested(self._ends_below(log_return), _shares(closes < log_return), _shares(lows <= log_return))

    def between(self, low: float, high: float) -> Ways[Floats]:
        """The chance that the close ends between two log-returns; that all closes, all highs and lows stay there."""
        ends = self._ends_below(high) - self._ends_below(low)
        pairs = zip(self._lowest(), self._highest(), strict=True)
        outside = (1 - _shares((lows >= low) & (highs <= high)) for lows, highs in pairs)
        ways = _nested(1 - ends, *outside)
        return Ways(ends, 1 - ways.closes, 1 - ways.touches)

    def level(self, chance: float, *, step: int, below: bool = False) -> Ways[float]:
        """The log-return that is exceeded (below: undercut) with a chance, at or up to a step."""
        parts = self._lowest() if below else self._highest()
        at, sign = (chance, -1) if below else (1 - chance, 1)
        ends = np.array([quantile(row, np.array([at]))[0] for row in self.quantiles[:step]])
        ways = _nested(sign * ends, *(sign * levels_of(part[:step], at) for part in parts))
        return Ways(*(sign * float(values[-1]) for values in (ways.ends, ways.closes, ways.touches)))

    def _ends_below(self, log_return: float) -> Floats:
        return np.array([probability(row, np.array([log_return]))[0] for row in self.quantiles])

    def _highest(self) -> tuple[Floats, Floats]:
        return np.maximum.accumulate(self.made.close[0]), np.maximum.accumulate(self.made.high[0])

    def _lowest(self) -> tuple[Floats, Floats]:
        return np.minimum.accumulate(self.made.close[0]), np.minimum.accumulate(self.made.low[0])


LEAST_CHANCE = 0.005
"""The smallest chance that paths can tell: of 2,000, ten."""


def check_prices(*prices: float) -> None:
    """Check the price that chances are asked for, or the lower and the upper end of a range.

    Raises:
        UsageError: one is no price, or the range is none.
    """
    for price in prices:
        if not is_number(price) or not 0 < price < math.inf:
            raise UsageError(f"{quoted(price)} is no price: a finite number above 0 was needed.")
    if sorted(set(prices)) != list(prices):
        raise UsageError(f"{' and '.join(map(str, prices))} are no range: the lower price was needed first.")


def check_chance(chance: float) -> None:
    """Check the chance that prices are asked for.

    Raises:
        UsageError: paths cannot tell it.
    """
    if not is_number(chance) or not LEAST_CHANCE <= chance <= 1 - LEAST_CHANCE:
        seen = f"{chance:g}" if is_number(chance) else quoted(chance)
        raise UsageError(
            f"A chance of {seen} was seen, and a share from {LEAST_CHANCE:g} to {1 - LEAST_CHANCE:g} was needed, "
            "such as 0.1 for 10%: 2,000 paths cannot tell smaller chances apart."
        )


def _nested(ends: Floats, closes: Floats, touches: Floats) -> Ways[Floats]:
    """Let each way be as likely, or its price as far, as those that it contains.

    Ends come from stored quantiles, the others from paths, which are too few to tell small chances: without this, to
    end beyond a price could be likelier than to close there at all. The first close is the first end.
    """
    closes = np.maximum.accumulate(np.maximum(ends, np.append(ends[:1], closes[1:])))
    return Ways(ends, closes, np.maximum(touches, closes))


def _shares(true: NDArray[np.bool_]) -> Floats:
    shares: Floats = true.mean(axis=-1)
    return shares
