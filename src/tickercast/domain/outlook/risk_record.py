"""The record of a portfolio's value at risk: how often it was breached, and whether that is what was said.

>>> breached = np.arange(250) % 20 == 0
>>> made = record(breached, 0.95, step=1)
>>> made.days, made.breaches, made.verdict.value
(250, 13, 'as stated')
>>> record(np.arange(250) % 8 == 0, 0.95, step=1).verdict.value
'too often'
>>> record(np.arange(250) // 8 == 3, 0.95, step=1).verdict.value
'in clusters'
>>> record(breached[:60], 0.95, step=1).verdict.value
'too few to tell'
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from tickercast.domain.outlook.portfolio import christoffersen, kupiec

_EXPECTED = 5
"""The breaches that have to be expected before there is a verdict, as for any χ² test."""

_SIGNIFICANT = 0.05


class Verdict(StrEnum):
    """The verdict of the tests."""

    TOO_FEW = "too few to tell"
    TOO_OFTEN = "too often"
    TOO_SELDOM = "too seldom"
    TOGETHER = "in clusters"
    HOLDS = "as stated"


@dataclass(frozen=True)
class Record:
    """The breaches of one value at risk.

    Attributes:
        step: the sessions that the portfolio is held.
        level: the confidence, such as 0.95.
        days: the periods counted, none of which overlap.
        breaches: the number of periods whose loss was larger than the value at risk.
        kupiec: the p-value that breaches come as often as stated.
        christoffersen: the p-value that one breach does not make the next likelier.
        verdict: the verdict of both tests together.
    """

    step: int
    level: float
    days: int
    breaches: int
    kupiec: float
    christoffersen: float
    verdict: Verdict

    @property
    def share(self) -> float:
        """The share of breaches; NaN of no periods."""
        return self.breaches / self.days if self.days else float("nan")


def record(breached: NDArray[np.bool_], level: float, *, step: int) -> Record:
    """Test a value at risk with Kupiec's and Christoffersen's tests, at 5%.

    Args:
        breached: `(days,)`, in order of time, periods that do not overlap.
        level: the confidence, such as 0.95.
        step: the sessions of a period.
    """
    days, breaches, chance = len(breached), int(breached.sum()), 1 - level
    often, together = kupiec(breaches, days, chance), christoffersen(breached)
    return Record(step, level, days, breaches, often, together, _verdict(breached, chance, often, together))


def _verdict(breached: NDArray[np.bool_], chance: float, often: float, together: float) -> Verdict:
    days, breaches = len(breached), int(breached.sum())
    if days * chance < _EXPECTED - 1e-9:
        return Verdict.TOO_FEW
    if often < _SIGNIFICANT:
        return Verdict.TOO_OFTEN if breaches > days * chance else Verdict.TOO_SELDOM
    clustered = int((breached[1:] & breached[:-1]).sum()) > breaches * breaches / days
    return Verdict.TOGETHER if together < _SIGNIFICANT and clustered else Verdict.HOLDS
