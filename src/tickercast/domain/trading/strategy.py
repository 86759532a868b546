"""Strategies: pure functions from what is known at a moment to target weights, each with its reason.

A weight is a share of equity: 0.5 holds half of it, −0.5 is short by half. NaN leaves a position as it is. Long and
short positions together are worth at most the equity: what is bought beside others is cut to the room that they leave.
A variant is a strategy with its parameters; its hash names both, so that two results can be told apart.

>>> parse("direction:margin=0.02").name, parse("direction").hash == parse("direction:margin=0").hash
('direction:margin=0.02', True)
>>> sorted(STRATEGIES)
['always-flat', 'buy-and-hold', 'direction', 'interval-momentum', 'prophet-trend', 'volatility-target']
"""

import difflib
import hashlib
import inspect
import json
import math
import re
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tickercast.domain.frequency import stamp
from tickercast.domain.text import one_line, shown
from tickercast.domain.trading.signals import Floats, Known, Panel
from tickercast.errors import TickercastError, UsageError

FORECAST, DIRECTION, PROPHET = "forecast", "direction", "prophet"
"""The inputs of a strategy beside bars."""

_HALF_80 = 1.2815515655446004
"""Half the width of a Gaussian's 80% interval, in standard deviations."""

_CLOSED = 30
"""Moments at which others have bars and an exchange has none, at most, one after another."""

_SLASH = re.compile(r"[/\\]")


@dataclass(frozen=True)
class Decision:
    """The decision of a strategy at a moment, for n symbols.

    Attributes:
        weights: `(n,)`, shares of equity; NaN leaves a position as it is.
        reason: gives the reason, by the number of the symbol.
    """

    weights: Floats
    reason: Callable[[int], str]


Decide = Callable[..., Decision]
"""A strategy: `decide(known, *, parameter=default, …)`; parameters are numbers, whole ones where annotated as `int`."""


# ---------------------------------------------------------------- built in


def buy_and_hold(known: Known) -> Decision:
    """Buy the same share of every symbol once, and keep it."""
    bought = known.held != 0
    weights = np.where(bought, np.nan, known.share)
    return Decision(weights, lambda n: "held" if bought[n] else f"bought once, {known.share:.0%} of equity")


def always_flat(known: Known) -> Decision:
    """Hold nothing: what every other strategy has to beat."""
    return Decision(np.zeros(len(known.symbols)), lambda n: "always flat")


def interval_momentum(known: Known, *, span: int = 10, threshold: float = 0.5, short: float = 0) -> Decision:
    """Hold what has moved up, in units of its own forecast interval.

    Args:
        known: the bars and signals at the moment.
        span: bars of the symbol in the move.
        threshold: the least move, in half widths of the 80% interval of as many bars.
        short: 1 to be short by as much of what has moved down.
    """
    half = _per_bar(known) * math.sqrt(span)
    scaled = np.log(known.closes[:, -1] / _close_before(known.closes, span)) / half
    weights = _sides(scaled, threshold, short) * known.share
    return _while_recent(
        known, weights, lambda n: f"moved {scaled[n]:+.2f} half widths of its 80% interval in {span} bars"
    )


def direction(known: Known, *, margin: float = 0, short: float = 1) -> Decision:
    """Hold the likelier direction of the next bar.

    Args:
        known: the bars and signals at the moment.
        margin: the least distance of the chance from one half.
        short: 1 to be short where down is likelier, 0 to be flat.
    """
    lean = known.prob_up - 0.5
    up, down = lean >= margin, lean < -margin
    weights = (up.astype(np.float64) - short * down) * known.share

    def reason(n: int) -> str:
        if np.isnan(lean[n]):
            doubt = known.doubts[n]
            return f"its newest forecast is doubtful: {doubt}" if doubt else "no direction is known"
        return f"the next bar closes higher with a chance of {known.prob_up[n]:.1%}"

    return Decision(weights, reason)


def prophet_trend(known: Known, *, threshold: float = 0, short: float = 0) -> Decision:
    """Hold what lies below Prophet's trend line.

    Args:
        known: the bars and signals at the moment.
        threshold: the least log-return up to the line.
        short: 1 to be short by as much of what lies above it.
    """
    weights = _sides(known.trend, threshold, short) * known.share
    return _while_recent(known, weights, lambda n: f"Prophet's line is {np.expm1(known.trend[n]):+.1%} away")


def volatility_target(known: Known, *, target: float = 0.15, most: float = 1) -> Decision:
    """Hold every symbol, less of it where its forecast interval is wide.

    Args:
        known: the bars and signals at the moment.
        target: the volatility a year that a position may have.
        most: the largest part of an equal share.
    """
    sigma = _per_bar(known) / _HALF_80 * np.sqrt(known.bars_a_year)
    weights = np.minimum(target / np.where(sigma > 0, sigma, np.nan), most) * known.share
    return _while_recent(known, weights, lambda n: f"its forecast interval means {sigma[n]:.0%} volatility a year")


def _per_bar(known: Known) -> Floats:
    """Half the width of the 80% interval of one bar, by the square root of time: `(n,)`, log-return."""
    half: Floats = (known.high - known.low) / 2 / np.sqrt(known.steps)
    return half


def _close_before(closes: Floats, bars: int) -> Floats:
    """The close so many bars of each symbol before its newest one: `(n,)`; NaN where there is none."""
    backwards = closes[:, : -2 * bars - _CLOSED : -1]  # a stock has two bars in three days, and an exchange closes
    counted = np.isfinite(backwards).cumsum(axis=1)
    at = (counted > bars).argmax(axis=1)
    return np.where(counted[:, -1] > bars, backwards[np.arange(len(at)), at], np.nan)


def _sides(score: Floats, threshold: float, short: float) -> Floats:
    side: Floats = (score > threshold).astype(np.float64) - short * (score < -threshold)
    return np.where(np.isfinite(score), side, np.nan)


def _while_recent(known: Known, weights: Floats, reason: Callable[[int], str]) -> Decision:
    """Leave positions as they are between forecasts, and close them once the newest has ended."""
    over = ~(known.age < known.steps)
    missing = np.isnan(weights)

    def said(n: int) -> str:
        if not missing[n]:
            return reason(n)
        doubt, is_first = known.doubts[n], np.isinf(known.age[n])
        if not over[n]:
            return f"left as it is, since its newest forecast is doubtful: {doubt}" if doubt else _LEFT
        if doubt:
            ended = "" if is_first else "its last forecast that counts has ended, and "
            return f"{ended}its newest forecast is doubtful: {doubt}"
        return "no forecast is known" if is_first else "its newest forecast has ended"

    return Decision(np.where(missing & over, 0.0, weights), said)


_LEFT = "no new forecast: left as it is"


@dataclass(frozen=True)
class Strategy:
    """A strategy that is built in.

    Attributes:
        decide: the function.
        reads: the inputs that it needs beside bars.
        limits: the least and the largest value of its parameters.
    """

    decide: Decide
    reads: tuple[str, ...] = ()
    limits: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def summary(self) -> str:
        """The summary of the strategy, in a sentence."""
        return inspect.cleandoc(self.decide.__doc__ or "").split("\n")[0]


STRATEGIES: Mapping[str, Strategy] = {
    "buy-and-hold": Strategy(buy_and_hold),
    "always-flat": Strategy(always_flat),
    "interval-momentum": Strategy(
        interval_momentum, (FORECAST,), {"span": (1, 1000), "threshold": (0, 100), "short": (0, 1)}
    ),
    "direction": Strategy(direction, (DIRECTION,), {"margin": (0, 0.5), "short": (0, 1)}),
    "prophet-trend": Strategy(prophet_trend, (PROPHET,), {"threshold": (0, 100), "short": (0, 1)}),
    "volatility-target": Strategy(volatility_target, (FORECAST,), {"target": (0.001, 10), "most": (0, 1)}),
}
"""The built-in strategies, by name."""


# ---------------------------------------------------------------- variants


@dataclass(frozen=True)
class Variant:
    """A strategy with its parameters.

    Attributes:
        strategy: the name of the strategy.
        decide: the function.
        parameters: every parameter that it has, with its value.
        changed: the parameters that differ from their defaults.
        reads: the inputs that it needs beside bars.
        source: the text of a strategy of one's own, if it is known; empty where it is built in.
    """

    strategy: str
    decide: Decide = field(repr=False, compare=False)
    parameters: Mapping[str, float]
    changed: Mapping[str, float]
    reads: tuple[str, ...] = ()
    source: str = field(default="", repr=False)

    @property
    def name(self) -> str:
        """The strategy and the parameters that were changed."""
        words = ",".join(f"{name}={value:g}" for name, value in self.changed.items())
        return f"{self.strategy}:{words}" if words else self.strategy

    @property
    def hash(self) -> str:
        """Eight letters that another strategy, parameter or text would change."""
        values = {key: float(value) for key, value in self.parameters.items()}
        whole = {"strategy": self.strategy, "parameters": values, "source": self.source}
        return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()[:8]

    def __call__(self, known: Known) -> Decision:
        """Decide, and check what was decided; of a strategy of one's own, every reason, too.

        Raises:
            UsageError: a function of one's own failed, or returned no decision about these symbols.
        """
        with self._in_a_sentence(known):
            made = self.decide(known, **self.parameters)
        weights = _within(_checked(made, known, self.name), known.held)
        reason = made.reason if self.is_built_in else self._reasons(made, known).__getitem__
        return Decision(weights, lambda n: reason(n) if known.member[n] else "no member of the universe")

    @property
    def is_built_in(self) -> bool:
        """Whether the strategy is one of `STRATEGIES`."""
        return self.strategy in STRATEGIES

    def _reasons(self, made: Decision, known: Known) -> Mapping[int, str]:
        """The reason for each member: one that is none is found in a backtest, not only once money depends on it."""
        if not callable(made.reason):
            raise UsageError(
                f"The strategy {shown(self.name, 60)} returned {shown(repr(made.reason), 40)} for its reason on "
                f"{stamp(known.cutoff)}: a function of a symbol's number was needed, such as lambda n: 'above its "
                "mean'. Correct it."
            )
        with self._in_a_sentence(known):
            found = {n: made.reason(n) for n in np.flatnonzero(known.member).tolist()}
        for n, reason in found.items():
            if not isinstance(reason, str):
                raise UsageError(
                    f"The strategy {shown(self.name, 60)} gave {shown(repr(reason), 40)} for its reason to hold "
                    f"{known.symbols[n]} on {stamp(known.cutoff)}: a text was needed. Correct it."
                )
        return found

    @contextmanager
    def _in_a_sentence(self, known: Known) -> Iterator[None]:
        """Say where the code of somebody else failed."""
        try:
            yield
        except TickercastError:
            raise
        except Exception as error:  # whatever the function raises
            if self.is_built_in:
                raise
            frames = [each for each in traceback.extract_tb(error.__traceback__) if each.filename != __file__]
            own = [each for each in frames if each.filename == frames[0].filename]
            at = f", in line {own[-1].lineno} of {_SLASH.split(own[-1].filename)[-1]}" if own else ""
            text = one_line(error, 200).rstrip(".")
            advice = (
                "What a strategy sees cannot be written into: change a copy, such as known.closes.copy()."
                if "read-only" in text
                else "Correct it."
            )
            raise UsageError(
                f"The strategy {shown(self.name, 60)} failed on {stamp(known.cutoff)}{at}: {type(error).__name__}"
                f"{f': {text}' if text else ''}. {advice}"
            ) from error


@dataclass(frozen=True, eq=False)
class Targets:
    """The wanted weights of variants after the newest bar.

    Attributes:
        panel: the bars and signals, the newest last.
        wanted: a weight and its reason by variant, in the order of the panel's symbols; NaN: left as it is.
        missing: the reason for each symbol that was named and is not in the panel.
        doubts: what makes the newest forecast of a symbol doubtful, so that it does not count, by symbol.
    """

    panel: Panel
    wanted: Sequence[tuple[Variant, Sequence[tuple[float, str]]]]
    missing: Mapping[str, str] = field(default_factory=dict)
    doubts: Mapping[str, str] = field(default_factory=dict)


def _checked(made: Any, known: Known, name: str) -> Floats:
    count = len(known.symbols)
    returned, needed = (
        f"The strategy {shown(name, 60)} returned",
        f"on {stamp(known.cutoff)} for {count} symbols: a Decision with {count} numbers for weights was needed. "
        "Correct it.",
    )
    if not isinstance(made, Decision):
        raise UsageError(f"{returned} a {type(made).__name__} {needed}")
    try:
        weights = np.asarray(made.weights, np.float64)
    except (TypeError, ValueError) as error:
        raise UsageError(f"{returned} the weights {shown(repr(made.weights), 60)} {needed}") from error
    if weights.shape != (count,):
        raise UsageError(f"{returned} weights of the shape {weights.shape} {needed}")
    weights = np.where(known.member, weights, 0.0)
    total = float(np.nansum(np.abs(weights)))
    if np.isinf(weights).any() or total > 1 + 1e-9:
        raise UsageError(
            f"The strategy {shown(name, 60)} wants positions of {total:.0%} of equity on {known.cutoff}: 100% at most, "
            "long and short together, was needed. Lower its weights."
        )
    return weights


def _within(weights: Floats, held: Floats) -> Floats:
    """Cut weights to the room that positions leave which stay as they are."""
    kept = np.isnan(weights)
    wanted, room = float(np.nansum(np.abs(weights))), max(1 - float(np.abs(held[kept]).sum()), 0.0)
    return weights * min(1.0, room / wanted) if wanted else weights


def parse(text: str) -> Variant:
    """Read a variant of a built-in strategy: `NAME` or `NAME:parameter=value,…`.

    Raises:
        UsageError: no such strategy or parameter is known, or its value is beyond the limits.
    """
    name, _, words = text.strip().partition(":")
    if name not in STRATEGIES:
        close = difflib.get_close_matches(name, STRATEGIES, n=1)
        hint = f"Did you mean {close[0]}?" if close else "Name one of these."
        raise UsageError(f"{shown(name, 40)!r} is no strategy: {', '.join(STRATEGIES)} was needed. {hint}")
    found = STRATEGIES[name]
    made = variant(name, found.decide, words, found.reads)
    for key, (least, most) in found.limits.items():
        value = made.parameters[key]
        if not least <= value <= most:
            raise UsageError(
                f"{key}={value:g} of {name} is out of range: a number from {least:g} to {most:g} was needed."
            )
    return made


def variant(
    name: str, decide: Decide, words: str = "", reads: Sequence[str] = (FORECAST, DIRECTION), source: str = ""
) -> Variant:
    """A strategy with parameters as words: `parameter=value,…`.

    Raises:
        UsageError: the strategy has no such parameter, the words name one twice, one has no number for its default,
            or no whole number where it is annotated as `int`.
    """
    _check_function(name, decide)
    usual, whole = _defaults(name, decide), _counts(decide)
    given: dict[str, float] = {}
    for word in filter(None, (word.strip() for word in words.split(","))):
        key, _, value = word.partition("=")
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if key not in usual or not math.isfinite(number):
            listed = ", ".join(f"{key}={value:g}" for key, value in usual.items()) or "none"
            raise UsageError(
                f"{shown(word, 40)!r} is no parameter of {name}: NAME=NUMBER was needed, and it has {listed}. "
                f"Correct or leave it out."
            )
        if key in given:
            raise UsageError(
                f"{shown(words, 80)!r} names {key} twice: each parameter of {name} was needed once at most. "
                "Leave one out."
            )
        if key in whole and number % 1:
            raise UsageError(
                f"{shown(word, 40)!r} of {name} is no whole number: one was needed, such as {key}={usual[key]:g}. "
                "Round it."
            )
        given[key] = int(number) if key in whole else number
    changed = {key: value for key, value in given.items() if value != usual[key]}
    return Variant(name, decide, usual | given, changed, tuple(reads), source)


def _check_function(name: str, decide: Decide) -> None:
    """Refuse what cannot be called as `decide(known)`."""
    needed = f"def {name.rpartition('.')[2]}(known) was needed. Correct it."
    if inspect.iscoroutinefunction(decide) or inspect.isasyncgenfunction(decide):
        raise UsageError(f"{name} is an async function: {needed}")
    try:
        parameters = list(inspect.signature(decide).parameters.values())
    except (TypeError, ValueError) as error:
        raise UsageError(f"The parameters of {name} are not known: {needed}") from error
    if not parameters or parameters[0].kind is inspect.Parameter.KEYWORD_ONLY:
        raise UsageError(f"{name} cannot be called with what is known: {needed}")


def _defaults(name: str, decide: Decide) -> dict[str, float]:
    _, *parameters = inspect.signature(decide).parameters.values()
    whole = _counts(decide)
    odd = [each.name for each in parameters if not isinstance(each.default, int if each.name in whole else int | float)]
    if odd:
        raise UsageError(
            f"The parameter {odd[0]} of {name} has no number for its default: one was needed, a whole one where it is "
            f"annotated as int, as in def decide(known, *, {odd[0]}=1.0) or {odd[0]}: int = 10."
        )
    return {each.name: int(each.default) if each.name in whole else float(each.default) for each in parameters}


def _counts(decide: Decide) -> set[str]:
    """The parameters that are annotated as whole numbers."""
    parameters = inspect.signature(decide).parameters.values()
    return {each.name for each in parameters if each.annotation in (int, "int")}
