"""The network's inputs about results days: how far away the next one is, and how much the last ones moved the price.

A source that gives only the day leaves open whether the results came before the open or after the close, so that the
close of that session or of the next one answers. The symbol's own last results days say which is likelier.

>>> len(RESULTS_FEATURES)
15
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tickercast.domain.bars import Bars, tails
from tickercast.domain.calendar import session_closes
from tickercast.domain.events import FARTHEST, KNOWN, NOTHING, PREDICTED, ResultsDays, ResultsInputs, latest_inputs
from tickercast.domain.frequency import DAILY
from tickercast.domain.learning.features import EWMA_DECAY, HORIZON

Floats = NDArray[np.float64]
Floats32 = NDArray[np.float32]
Rows = NDArray[np.intp]

RESULTS_FEATURES = (
    *(f"results_by_{step}" for step in range(1, HORIZON + 1)),
    "results_mean_move",
    "results_largest_move",
    "results_recent",
    "results_predicted",
    "results_known",
)
"""The static inputs about results days, in their order; all are 0 where nothing is known.

With J² the mean square of the last five results days' moves over σ60, drawn towards that of other symbols,
`results_by_3` is the logarithm of the volatility up to step 3 over its usual one,
½·log(1 + F·(J² − 1)·(σ60/σEWMA)²/3), where F is the chance that the price will have answered to the next results by
then. The next two are the mean and the largest of those moves, `results_recent` the share of σEWMA² that is the answer
to the last results, `results_predicted` 1 where the coming day is predicted, and `results_known` 1 where there is
anything to go by.
"""

LIFT = slice(0, HORIZON)
"""The place of `results_by_1` … among them."""

TAIL = 450
"""Sessions that decide these inputs at the last one; older ones change nothing."""

_SIGMA = 60
_LARGEST_MOVE = 12.0
_USUAL_SHARE, _USUAL_WEIGHT = 0.58, 2.0  # the share of results days whose move came on the day itself; worth two days
_LEAST = 2  # past results days
_USUAL_SQUARE, _SQUARE_WEIGHT = 10.9, 2.0  # the mean square of moves over σ60, stocks up to 2018; worth two days
_FIRST_MISS = -6
_MISSES = np.array(
    [0.038, 0.016, 0.011, 0.015, 0.023, 0.061, 0.454, 0.094, 0.066, 0.052, 0.03, 0.084, 0.014, 0.009, 0.033]
)
"""The shares of results that come −6 … 8 sessions after last year's day plus 364 days, of stocks up to 2018."""

_LEAST_CHANCE = 0.02  # below it a predicted day is given up
_NEVER = 1 << 20
_SIGMA_FLOOR = 1e-6
_LONG_AGO = np.datetime64("0001-01-01")


def results_features(bars: Bars, at: Rows, sigma60: Floats, sigma_ewma: Floats, days: ResultsDays | None) -> Floats32:
    """Compute the inputs about results days at some sessions of a series; each sees only what was known at its close.

    Args:
        bars: the series.
        at: `(n,)`, rows of the bars, none before the 61st.
        sigma60: `(n,)`, root mean square of sixty log-returns there; see `features.Panel`.
        sigma_ewma: `(n,)`, RiskMetrics σ there.
        days: the results days of the symbol; None where there are none.

    Returns:
        `(n, len(RESULTS_FEATURES))`.

    Raises:
        CalendarError: the symbol's exchange is not known.
    """
    if days is None or not len(days) or not len(at):
        return np.zeros((len(at), len(RESULTS_FEATURES)), np.float32)
    cutoffs = bars.columns["session_date"][at]
    known = days.inputs(cutoffs, session_closes(bars.symbol, cutoffs))
    start, end = max(int(at.min()) + 1 - TAIL, 0), int(at.max()) + 1
    squares = _squares(bars.columns["adj_close"][None, start:end])
    rows = np.searchsorted(bars.columns["session_date"][start:end], known.last)
    only = np.zeros(len(at), np.intp)
    return _features(_past(_answers(squares, only, known.last, rows, at - start, only)), sigma60, sigma_ewma, known)


def latest_results_features(
    series: Sequence[Bars], sigma60: Floats, sigma_ewma: Floats, results: Mapping[str, ResultsDays]
) -> Floats32:
    """Compute the inputs at the last session of each series, the same numbers as `results_features` gives there.

    Args:
        series: n of them.
        sigma60: `(n,)`, as in `results_features`.
        sigma_ewma: `(n,)`.
        results: the results days by symbol.

    Returns:
        `(n, len(RESULTS_FEATURES))`.

    Raises:
        CalendarError: the exchange of a symbol with results days is not known.
    """
    made = np.zeros((len(series), len(RESULTS_FEATURES)), np.float32)
    places = [place for place, bars in enumerate(series) if len(results.get(bars.symbol, ()))] if results else []
    if not places:
        return made
    chosen = [series[place] for place in places]
    cutoffs = np.array([bars.cutoff for bars in chosen], "datetime64[D]")
    symbols = [bars.symbol for bars in chosen]
    closes = DAILY.closes(symbols, np.arange(len(symbols)), cutoffs)
    known = latest_inputs([results[symbol] for symbol in symbols], cutoffs, closes)
    prices, sessions, first = _tails(chosen)
    rows = (sessions[:, None, :] < known.last[:, :, None]).sum(axis=-1)
    at = np.full(len(chosen), TAIL - 1)
    past = _past(_answers(_squares(prices), np.arange(len(chosen)), known.last, rows, at, first))
    made[places] = _features(past, sigma60[places], sigma_ewma[places], known)
    return made


def _tails(series: Sequence[Bars]) -> tuple[Floats, NDArray[np.datetime64], Rows]:
    """The last `TAIL` adjusted closes and sessions of each series, and where a shorter one begins: flat before."""
    columns = tails(series, ("adj_close", "session_date"), TAIL)
    first = np.array([max(TAIL - len(bars), 0) for bars in series])
    sessions = np.where(np.arange(TAIL) < first[:, None], _LONG_AGO, columns["session_date"])
    return columns["adj_close"], sessions, first


def _squares(closes: Floats) -> Floats:
    """The squared log-returns of closes `(k, length)`; the first of each series is 0."""
    log_close = np.log(closes)
    squares = np.zeros(log_close.shape)
    squares[:, 1:] = (log_close[:, 1:] - log_close[:, :-1]) ** 2
    return squares


def _features(past: "_Past", sigma60: Floats, sigma_ewma: Floats, known: ResultsInputs) -> Floats32:
    variance = past.variance * (sigma60 / sigma_ewma) ** 2
    answered = _answered(known, past.same_day)
    made = np.column_stack(
        [
            0.5 * np.log1p(answered * variance[:, None] / np.arange(1, HORIZON + 1)),
            past.mean,
            past.largest,
            np.minimum(past.recent / sigma_ewma**2, 1.0),
            (known.knowledge == PREDICTED).any(axis=1),
            np.ones(len(variance)),
        ]
    )
    is_known = (past.days >= _LEAST) & (known.knowledge != NOTHING).any(axis=1)
    return np.where(is_known[:, None], made, 0.0).astype(np.float32)


class _Answers(NamedTuple):
    """The price's answers to the last results days of n origins, newest first; `(n, LAST)` each, `age` `(n,)`.

    Attributes:
        counted: whether the day counts.
        settled: whether the session after it is known, too.
        on_day: the move of its session over the σ60 before.
        next_day: the same move of the session after; the move of the series' first session, where it is not settled.
        square: the squared log-return of its session.
        next_square: the squared log-return of the session after.
        age: the sessions since the newest one.
    """

    counted: NDArray[np.bool_]
    settled: NDArray[np.bool_]
    on_day: Floats
    next_day: Floats
    square: Floats
    next_square: Floats
    age: Rows


def _answers(squares: Floats, of: Rows, last: NDArray[np.datetime64], rows: Rows, at: Rows, first: Rows) -> _Answers:
    """The price's answers to results days at n origins.

    Args:
        squares: `(k, length)`, the squared log-returns of k series.
        of: `(n,)`, which of them each origin is of.
        last: `(n, LAST)`, the last results days there, NaT where there are fewer.
        rows: `(n, LAST)`, their sessions, or the sessions that follow.
        at: `(n,)`, the origins' sessions.
        first: `(n,)`, where the series begin.
    """
    at, first, of = at[:, None], first[:, None], of[:, None]
    rows = np.where(np.isnat(last), -1, rows)
    counted = (rows > first + _SIGMA) & (rows <= at) & (rows > at - (TAIL - _SIGMA - 2))
    rows = np.where(counted, rows, 0)
    settled = counted & (rows < at)
    following = np.where(settled, rows + 1, 0)
    square, next_square = squares[of, rows], squares[of, following]
    return _Answers(
        counted,
        settled,
        _move(squares, of, rows, first, square),
        _move(squares, of, following, first, next_square),
        square,
        next_square,
        (at - rows)[:, 0],
    )


def _move(squares: Floats, of: Rows, rows: Rows, first: Rows, square: Floats) -> Floats:
    """The moves at some rows over the σ60 before each; 0 at rows before which there is none."""
    before = np.maximum(rows[..., None] + np.arange(-_SIGMA, 0), 0)
    sigma60 = np.sqrt(np.maximum(squares[of[..., None], before].sum(axis=-1) / _SIGMA, _SIGMA_FLOOR**2))
    return np.where(rows >= first + _SIGMA, np.minimum(np.sqrt(square) / sigma60, _LARGEST_MOVE), 0.0)


class _Past(NamedTuple):
    """The last results days of n origins, and how the price answered; `(n,)` each.

    Attributes:
        days: their number.
        mean: the mean move over the σ60 before it.
        largest: the largest move over the σ60 before it.
        variance: the mean square, drawn towards the usual one, less 1; not below 0.
        same_day: the chance that the price answers on the day itself, not on the next one.
        recent: the part of σEWMA² that is the answer to the last one.
    """

    days: Rows
    mean: Floats
    largest: Floats
    variance: Floats
    same_day: Floats
    recent: Floats


def _past(answers: _Answers) -> _Past:
    counted, settled, on_day, next_day = answers[:4]
    size = np.where(counted, np.maximum(on_day, next_day), 0.0)
    count = counted.sum(axis=1)
    divisor, squares = np.maximum(count, 1), (size**2).sum(axis=1)
    seen = (settled & (on_day > next_day)).sum(axis=1)
    same_day = (_USUAL_SHARE * _USUAL_WEIGHT + seen) / (_USUAL_WEIGHT + settled.sum(axis=1))
    answer = same_day * EWMA_DECAY**answers.age * answers.square[:, 0]
    later = (1 - same_day) * EWMA_DECAY ** (answers.age - 1) * answers.next_square[:, 0]
    answer += np.where(settled[:, 0], later, 0.0)
    return _Past(
        count,
        size.sum(axis=1) / divisor,
        size.max(axis=1),
        np.maximum((squares + _SQUARE_WEIGHT * _USUAL_SQUARE) / (count + _SQUARE_WEIGHT) - 1, 0.0),
        same_day,
        np.where(counted[:, 0], (1 - EWMA_DECAY) * answer, 0.0),
    )


def _answered(known: ResultsInputs, same_day: Floats) -> Floats:
    """The chance that the price will have answered to the next results, by each step: `(n, HORIZON)`."""
    steps = np.arange(1, HORIZON + 1)
    place = steps + known.offsets
    near = (np.abs(known.offsets) < FARTHEST) & (known.knowledge == KNOWN)
    next_one = np.where(near & (place >= 0), place, _NEVER).min(axis=1)[:, None]
    sure = _by_step(steps - next_one, same_day)
    sure = np.where(next_one == 0, (1 - same_day)[:, None], sure)  # of results on the origin, if the next day answers
    predicted = known.knowledge[:, -1] == PREDICTED
    if not predicted.any():
        return sure
    misses = np.arange(_FIRST_MISS, _FIRST_MISS + len(_MISSES))
    expected = place[:, -1, None] + misses
    weight = np.where(expected > 0, _MISSES, 0.0)
    late = steps[None, :, None] - expected[:, None, :]
    total = weight.sum(axis=1)
    chance = np.einsum("nm,nsm->ns", weight, _by_step(late, same_day[:, None]))
    is_due = predicted & (np.abs(known.offsets[:, -1]) < FARTHEST) & (total > _LEAST_CHANCE)
    unsure = np.where(is_due[:, None], chance / np.maximum(total, _LEAST_CHANCE)[:, None], 0.0)
    return np.where(predicted[:, None], np.maximum(sure, unsure), sure)


def _by_step(late: NDArray[np.int64], same_day: Floats) -> Floats:
    """The chance of an answer a number of sessions after the results: the day itself is session 0."""
    chance: Floats = np.where(late < 0, 0.0, np.where(late == 0, same_day[:, None], 1.0))
    return chance
