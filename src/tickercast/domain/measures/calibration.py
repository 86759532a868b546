"""Whether the 80% intervals of a symbol hold what they state; the view `calibration` decides it.

>>> row = Calibration("NVDA", 7_430, 0.69, 0.64, 0.74, 39, NARROW)
>>> row.flagged
True
>>> row.closes
'7,430 closes in 39 blocks of 28 days'
"""

from dataclasses import dataclass

NARROW, WIDE, AS_STATED, TOO_EARLY = "too narrow", "too wide", "as stated", "too early"


@dataclass(frozen=True)
class Calibration:
    """The share of a symbol's closes inside the 80% interval, over its last three years.

    Attributes:
        symbol: the series.
        n: closes that have come true, over all steps.
        coverage_80: the share of them inside.
        coverage_80_lo: the lower end of its 95% interval; NaN where it is too early.
        coverage_80_hi: the upper end.
        blocks: the number of 28-day blocks of cutoffs that these closes are from.
        calibration: `too narrow`, `too wide`, `as stated` or `too early`.
    """

    symbol: str
    n: int
    coverage_80: float
    coverage_80_lo: float
    coverage_80_hi: float
    blocks: int
    calibration: str

    @property
    def flagged(self) -> bool:
        """Whether the intervals are shown to be too narrow or too wide."""
        return self.calibration in (NARROW, WIDE)

    @property
    def closes(self) -> str:
        """The number of counted closes, and their span; a block begins before the first cutoff in it."""
        return f"{self.n:,} closes in {self.blocks} block{'s' * (self.blocks != 1)} of 28 days"
