"""Ask every configured engine whether it answers, side by side."""

import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from tickercast import logs
from tickercast.errors import TickercastError
from tickercast.plain import without_secrets

PATIENCE_S = 8.0
"""The time that an engine may take to answer, so that all is said within ten seconds of the command."""


@dataclass(frozen=True)
class Probe:
    """An engine to ask.

    Attributes:
        name: the kind of engine.
        where: the URL of the engine.
        ask: asks it; returns its answer, or raises a `TickercastError`.
    """

    name: str
    where: str
    ask: Callable[[], str]


@dataclass(frozen=True)
class Check:
    """The answer of an engine.

    Attributes:
        name: the kind of engine.
        where: the URL of the engine.
        answer: the answer of the engine, or the error.
        well: whether it answered.
    """

    name: str
    where: str
    answer: str
    well: bool


def check_engines(
    probes: Sequence[Probe],
    *,
    patience_s: float = PATIENCE_S,
    on_wait: Callable[[Sequence[str]], None] = lambda names: None,
) -> Iterator[Check]:
    """Ask all engines at once, and give their answers in the order of the probes.

    Args:
        probes: the engines.
        patience_s: the time limit for all answers together, in seconds.
        on_wait: called with the names of those that have not answered, whenever that changes.
    """
    answered: queue.SimpleQueue[tuple[int, Check | BaseException]] = queue.SimpleQueue()

    waits: dict[int, str] = {}

    def ask(number: int, probe: Probe) -> None:
        with logs.showing(lambda sentence: waits.update({number: sentence}), in_this_thread=True):
            try:
                answered.put((number, _check(probe)))
            except BaseException as error:  # raised again where the answers are awaited
                answered.put((number, error))

    for number, probe in enumerate(probes):
        threading.Thread(target=ask, args=(number, probe), daemon=True).start()
    found: dict[int, Check] = {}
    out_of_time = threading.Event()

    def give_up() -> None:
        out_of_time.set()
        answered.put((-1, _NONE))

    timer = threading.Timer(patience_s, give_up)
    timer.daemon = True
    timer.start()
    while len(found) < len(probes) and not out_of_time.is_set():
        on_wait([probe.name for number, probe in enumerate(probes) if number not in found])
        number, check = answered.get()
        if isinstance(check, BaseException):
            raise check
        if number >= 0:
            found[number] = check
    timer.cancel()
    yield from _each_once(
        found.get(number) or _unanswered(probe, patience_s, waits.get(number, ""))
        for number, probe in enumerate(probes)
    )


def _each_once(checks: Iterable[Check]) -> Iterator[Check]:
    """Say an error once: parts of one engine fail for the same reason."""
    said: dict[str, str] = {}
    for check in checks:
        if check.well or said.setdefault(check.answer, check.name) == check.name:
            yield check
        else:
            yield replace(check, answer=f"the same as {said[check.answer]}")


_NONE = Check("", "", "", False)


def _check(probe: Probe) -> Check:
    where = without_secrets(probe.where)
    try:
        return Check(probe.name, where, probe.ask(), True)
    except TickercastError as error:
        return Check(probe.name, where, str(error), False)


def _unanswered(probe: Probe, patience_s: float, waits: str) -> Check:
    return Check(probe.name, without_secrets(probe.where), _silent(patience_s, waits), False)


def _silent(patience_s: float, waits: str) -> str:
    if waits:
        return f"It has not answered within {patience_s:.0f} s: {waits}."
    return (
        f"It has not answered within {patience_s:.0f} s. Check that it is there and that the network lets it be "
        "reached; an engine that is used for the first time may need longer: then ask again."
    )
