"""A finding: something odd about bars that does not keep them from being forecast."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

LEFT_OUT = "left out"
"""The check of what a reading left out."""


@dataclass(frozen=True)
class Finding:
    """Something odd about the bars of one symbol.

    Attributes:
        symbol: the series.
        check: a word or two for its kind, such as `gap`, `jump` or `left out`.
        text: the oddity in words, with the dates.
        touches_width: whether it may have made the intervals of a forecast from these bars too wide or too narrow.
    """

    symbol: str
    check: str
    text: str
    touches_width: bool = False

    def __str__(self) -> str:
        return f"{self.check}: {self.text}"


Findings = Mapping[str, Sequence[Finding]]
"""The findings about the bars of each symbol."""

NOTHING_FOUND: Findings = MappingProxyType({})


def reported(symbol: str, text: str) -> Finding:
    """A finding reported by a file's sender in the column Findings.

    >>> str(reported("MSFT", "gap: no bar of 2023-07-03; halted: no trade for 5 days"))
    'gap: no bar of 2023-07-03; halted: no trade for 5 days'
    """
    check, _, rest = text.partition(": ")
    return Finding(symbol, check, rest) if rest else Finding(symbol, "note", text)


def no_forecast(symbol: str, model: str, why: str) -> Finding:
    """A finding that a model made no forecast beside the champion's, with the reason.

    >>> str(no_forecast("MSFT", "prophet", "no convergence."))
    'companion: prophet made no forecast: no convergence'
    """
    return Finding(symbol, "companion", f"{model} made no forecast: {' '.join(why.split()).rstrip('.')}")


def has_no_forecast(model: str, told: str) -> bool:
    """Whether findings, as the ledger keeps them, say that a model made no forecast.

    >>> [has_no_forecast(model, "gap: x; companion: ewma-t made no forecast: y") for model in ("ewma-t", "t")]
    [True, False]
    """
    return f"; {no_forecast('', model, '')}" in f"; {told}"


def sentence(found: Iterable[Finding]) -> str:
    """The findings about one symbol in a line, as the ledger keeps them; empty if there are none.

    >>> sentence([Finding("MSFT", "gap", "no bar of 2023-07-03"), Finding("MSFT", "halted", "no trade for 5 days")])
    'gap: no bar of 2023-07-03; halted: no trade for 5 days'
    """
    return "; ".join(map(str, found))
