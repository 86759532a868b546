"""Ask every configured engine whether it answers."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from tickercast.errors import TickercastError
from tickercast.plain import without_secrets


@dataclass(frozen=True)
class Probe:
    """An engine to ask.

    Attributes:
        name: what it is.
        where: where it is.
        ask: asks it; returns its answer, or raises a `TickercastError`.
    """

    name: str
    where: str
    ask: Callable[[], str]


@dataclass(frozen=True)
class Check:
    """The answer of an engine.

    Attributes:
        name: what it is.
        where: where it is.
        answer: its answer, or the error.
        well: whether it answered.
    """

    name: str
    where: str
    answer: str
    well: bool


def check_engines(parts: Iterable[Probe]) -> Iterator[Check]:
    """Ask each engine in turn."""
    for part in parts:
        where = without_secrets(part.where)
        try:
            yield Check(part.name, where, part.ask(), True)
        except TickercastError as error:
            yield Check(part.name, where, str(error), False)
