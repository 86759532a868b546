"""Joint scenarios of several symbols over all steps, with the stored distribution of each step.

What moves together is taken from the past: a path draws as many past sessions as it has steps, the same for all
symbols, and cumulates their returns. That orders the paths of each symbol and step, and the stored quantiles are put in
their order (the Schaake shuffle: Clark, Gangopadhyay, Hay, Rajagopalan and Wilby, Journal of Hydrometeorology 2004). So
each step has exactly the stored distribution, and the order is that of real markets.

Symbols move together the more, the larger the market's part in their moves is. So each past return is split into the
part of the market, which is the mean of the symbols, and the symbol's own; each part is scaled from its σ then to its σ
now (filtered historical simulation: Barone-Adesi, Giannopoulos and Vosper, Journal of Futures Markets 1999). Each
session counts as two: what symbols did on their own could as well have gone the other way, all of them at once, while
the market falls faster than it rises. Sessions before which markets were about as volatile as they are now are drawn
more often. After a gap of more than a month in its bars, a symbol's σ begins again, and the return over the gap is no
session. Each is drawn for a date, whatever step that is of a symbol: so symbols of different exchanges move together
on the dates that they share. The high of a session lies above the higher of both closes by a past session's excess,
scaled to the width that the forecast gives the step.

>>> from tickercast.domain.distribution import student5
>>> levels = np.array([[0.01], [0.03]]) * student5(np.array(QUANTILES))
>>> rng = np.random.default_rng(1)
>>> excess = np.abs(rng.normal(size=(500, 1)))
>>> moves = rng.normal(size=(500, 1))
>>> past = Past(moves, moves, excess, excess, np.full(500, 1 / 500))
>>> made = paths(past, levels[None], seed=7)
>>> made.close.shape, bool((made.high >= made.close).all())
((1, 2, 1999), True)
>>> np.allclose(levels_of(made.close[0, 1], QUANTILES), levels[1], atol=1e-8)
True
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import date

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tickercast.domain.bars import LONGEST_GAP, Bars
from tickercast.domain.distribution import quantile
from tickercast.domain.forecast import QUANTILES
from tickercast.domain.learning.features import EWMA_DECAY
from tickercast.errors import TooFewSessions

Floats = NDArray[np.float64]

COUNT = 1999
"""Paths: the n-th lowest of them is the quantile at n/2000, so that each stored one is met exactly."""

SESSIONS = 2500
"""The past sessions that paths are drawn from, at most."""

ENOUGH = 1250
"""Fewer past sessions know too little of the tails."""

FEWEST = 250
"""The fewest sessions in common from which paths are made."""

_ALIKE = 0.5  # the difference of log σ at which a session is drawn .6 times as often
_FLOOR = 1e-3
_BETA_DECAY = 0.995  # the decay a session of a symbol's beta to the market
_MARKET = 0.1  # the added weight of the market's part: ten sessions of stocks from 2012 to 2018 ask for it
_WARM_UP = 60  # returns from which σ begins
_FEWEST_BARS = _WARM_UP + 2
_CHUNK = 50  # symbols at a time: their paths take 40 MB
_WIDTH = (QUANTILES.index(0.1), QUANTILES.index(0.9))


@dataclass(frozen=True)
class Residuals:
    """The standardised sessions of one symbol; each knows only what came before it.

    Attributes:
        sessions: `(n,)`, dates.
        close: `(n,)`, the log-return over the σ of the session before, RiskMetrics' with λ 0.94.
        high: `(n,)`, by how much the session's high lay above the higher of both closes, over the same σ.
        low: `(n,)`, by how much its low lay below the lower of them.
        sigma: `(n,)`, σ after the session.
    """

    sessions: NDArray[np.datetime64]
    close: Floats
    high: Floats
    low: Floats
    sigma: Floats


@dataclass(frozen=True)
class Past:
    """The sessions that several symbols have in common, standardised.

    Attributes:
        close: `(sessions, symbols)`, each session's log-return as it would be now, over the symbol's σ now.
        mirrored: `(sessions, symbols)`, the same with each symbol's own part turned round.
        high: `(sessions, symbols)`, as in `Residuals`.
        low: `(sessions, symbols)`, as in `Residuals`.
        weight: `(sessions,)`, the chance that each is drawn; they add up to 1.
    """

    close: Floats
    mirrored: Floats
    high: Floats
    low: Floats
    weight: Floats

    def __len__(self) -> int:
        return len(self.close)


@dataclass(frozen=True)
class Paths:
    """Joint scenarios: log-returns from the last close, float32 arrays `(symbols, steps, paths)`.

    Attributes:
        close: the closes.
        high: the session's highs, never below the closes at either end of it.
        low: the session's lows.
    """

    close: NDArray[np.float32]
    high: NDArray[np.float32]
    low: NDArray[np.float32]


def residuals(series: Sequence[Bars]) -> list[Residuals]:
    """Standardise the sessions of each series, dividends and splits taken out.

    Raises:
        TooFewSessions: a series has nowhere 62 sessions without a gap of more than a month.
    """
    return [_residuals(bars) for bars in series]


def _residuals(bars: Bars) -> Residuals:
    stretches = bars.stretches
    parts = [_of_stretch(each) for each in stretches if len(each) >= _FEWEST_BARS]
    if not parts:
        between = " between two gaps of more than a month" if len(stretches) > 1 else ""
        raise TooFewSessions(
            f"{bars.symbol} has {max(map(len, stretches))} session(s){between}: at least {_FEWEST_BARS} were needed "
            "for paths. Give it an earlier first date."
        )
    if len(parts) == 1:
        return parts[0]
    names = [each.name for each in fields(Residuals)]
    return Residuals(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def _of_stretch(bars: Bars) -> Residuals:
    columns = bars.columns
    scale = np.log(columns["adj_close"] / columns["close"])
    high, low, close = (np.log(columns[name]) + scale for name in ("high", "low", "close"))
    returns = np.diff(close)
    squares = returns**2
    sigma = _sigma(squares[_WARM_UP:, None], squares[:_WARM_UP].mean())[:, 0]
    upper, lower = np.maximum(close[1:], close[:-1]), np.minimum(close[1:], close[:-1])
    high, low = np.maximum(high[1:] - upper, 0), np.maximum(lower - low[1:], 0)
    close, high, low = (values[_WARM_UP:] / sigma[:-1] for values in (returns, high, low))
    return Residuals(columns["session_date"][1 + _WARM_UP :], close, high, low, sigma[1:])


def _sigma(squares: Floats, start: float | Floats) -> Floats:
    """σ before each session and after the last, RiskMetrics': `(n + 1, symbols)` from squares `(n, symbols)`."""
    found: Floats = np.sqrt(np.maximum(_decayed(squares, start, EWMA_DECAY), 1e-12))
    return found


def _decayed(values: Floats, start: float | Floats, decay: float) -> Floats:
    """The exponentially weighted mean before each of `(n, symbols)` and after the last: `(n + 1, symbols)`."""
    begun = np.vstack([np.broadcast_to(start, values.shape[1:]), values])
    found: Floats = pd.DataFrame(begun).ewm(alpha=1 - decay, adjust=False).mean().to_numpy()
    return found


def past(every: Sequence[Residuals], cutoff: date, sessions: int = SESSIONS) -> Past:
    """The last sessions up to a cutoff that all symbols have in common.

    Args:
        every: one a symbol.
        cutoff: the forecast origin; nothing after it is used.
        sessions: the largest number of sessions.

    Raises:
        TooFewSessions: fewer than `FEWEST` sessions are common to all symbols, or σ has not begun again since a gap.
    """
    common = every[0].sessions
    for one in every[1:]:
        common = common if np.array_equal(common, one.sessions) else np.intersect1d(common, one.sessions)
    common = common[: int(common.searchsorted(np.datetime64(cutoff), side="right"))][-sessions:]
    if len(common) < FEWEST:
        raise _too_few(len(common), cutoff, len(every))
    if common[-1] < np.datetime64(cutoff) - np.timedelta64(LONGEST_GAP):
        whose = "the symbol" if len(every) == 1 else f"one of {len(every)} symbols"
        raise TooFewSessions(
            f"The bars of {whose} have a gap of more than a month between {common[-1]} and {cutoff}, and fewer than "
            f"{_FEWEST_BARS} since: so many were needed to begin its width again. Load the prices of the gap."
        )
    rows = [one.sessions.searchsorted(common) for one in every]
    level = np.mean([np.log(one.sigma[at]) for one, at in zip(every, rows, strict=True)], axis=0)
    weight = _FLOOR + np.exp(-0.5 * ((np.append(level[:1], level[:-1]) - level[-1]) / _ALIKE) ** 2)
    close, high, low = (
        np.stack([getattr(one, name)[at] for one, at in zip(every, rows, strict=True)], axis=1)
        for name in ("close", "high", "low")
    )
    return Past(*_as_now(close), high, low, weight / weight.sum())


def _too_few(common: int, cutoff: date, symbols: int) -> TooFewSessions:
    first = _WARM_UP + 1
    if symbols == 1:
        return TooFewSessions(
            f"{common + first} sessions up to {cutoff} are known of the symbol: at least {FEWEST + first} were needed, "
            f"{first} to begin its width with and {FEWEST} to draw paths from. Load earlier prices."
        )
    return TooFewSessions(
        f"{common} sessions up to {cutoff} are known of all {symbols} symbols, beyond the first {first} of each, with "
        f"which its width begins: at least {FEWEST} were needed, to see how they move together. Leave out the "
        "youngest, or load earlier prices."
    )


def _as_now(close: Floats) -> tuple[Floats, Floats]:
    """Past standardised returns as they would be now, with σ 1, and mirrored: `(sessions, symbols)` each."""
    market = close.mean(axis=1, keepdims=True)
    together, alone = close * market, market**2
    beta = _decayed(together, together[:_WARM_UP].mean(axis=0), _BETA_DECAY) / np.maximum(
        _decayed(alone, alone[:_WARM_UP].mean(axis=0), _BETA_DECAY), 1e-12
    )
    parts = (market, close - beta[:-1] * market)
    sigma = [_sigma(part**2, (part[:_WARM_UP] ** 2).mean(axis=0)) for part in parts]
    common, own = (part / before[:-1] * before[-1] for part, before in zip(parts, sigma, strict=True))
    reaction = (1 + _MARKET * (1 - 1 / close.shape[1])) * beta[-1]  # the mean of a few is in part their own
    scale = np.sqrt((reaction * sigma[0][-1]) ** 2 + sigma[1][-1] ** 2)
    return (reaction * common + own) / scale, (reaction * common - own) / scale


def valuation_dates(targets: NDArray[np.datetime64], count: int) -> NDArray[np.datetime64]:
    """The first dates on which any of several symbols trades.

    With as many of them as each symbol has steps, none lies beyond a forecast.

    Args:
        targets: the dates of all steps of all symbols, of any shape.
        count: the number of dates to return.

    >>> stock, coin = (np.array(days, "datetime64[D]") for days in (["2023-06-05", "2023-06-06"], ["2023-06-03"]))
    >>> valuation_dates(np.concatenate([stock, coin]), 2).astype(str).tolist()
    ['2023-06-03', '2023-06-05']
    """
    return np.unique(targets)[:count]


def steps_by(dates: NDArray[np.datetime64], targets: NDArray[np.datetime64]) -> NDArray[np.intp]:
    """The last step of each symbol on or before each date; 0 before its first: `(n, dates)`.

    Args:
        dates: `(dates,)`.
        targets: `(n, steps)`.
    """
    return np.stack([each.searchsorted(dates, side="right") for each in targets])


def seed_of(cutoff: date) -> int:
    """The seed of the paths from a cutoff, so that the same question has the same answer on any machine."""
    return int.from_bytes(hashlib.sha256(cutoff.isoformat().encode()).digest()[:8], "big")


def paths(
    known: Past, quantiles: Floats, *, seed: int, count: int = COUNT, targets: NDArray[np.datetime64] | None = None
) -> Paths:
    """Draw joint scenarios.

    Args:
        known: the past of n symbols.
        quantiles: `(n, steps, len(QUANTILES))`, stored log-returns since the last close, the symbols in the same order.
        seed: seed of the draw; see `seed_of`.
        count: the number of paths.
        targets: `(n, steps)`, the date of each step; None: each step is on one date for all.
    """
    symbols, steps = quantiles.shape[:2]
    targets = np.tile(np.arange(steps), (symbols, 1)) if targets is None else targets
    dates = np.unique(targets)
    places = dates.searchsorted(targets)
    rng = np.random.default_rng(seed)
    weight = np.concatenate([known.weight, known.weight]) / 2
    each = np.searchsorted(weight.cumsum(), (np.arange(count) + 0.5) / count).clip(max=len(weight) - 1)
    drawn = np.stack([rng.permutation(each) for _ in dates])
    made = Paths(*(np.empty((symbols, steps, count), np.float32) for _ in range(3)))
    for start in range(0, symbols, _CHUNK):
        chunk = slice(start, start + _CHUNK)
        taken = [drawn[place] for place in places[chunk]]
        moves = _taken(np.concatenate([known.close[:, chunk], known.mirrored[:, chunk]]), taken)
        sessions = [each % len(known) for each in taken]
        above, below = (_taken(excess[:, chunk], sessions) for excess in (known.high, known.low))
        made.close[chunk], made.high[chunk], made.low[chunk] = _shuffled(moves, above, below, quantiles[chunk])
    return made


def levels_of(drawn: Floats, chances: float | Sequence[float]) -> Floats:
    """The quantiles of paths: the n-th lowest of `COUNT` lies at n/(COUNT + 1), where it was put.

    Args:
        drawn: `(..., paths)`, in any unit.
        chances: the probabilities of the quantiles.

    Returns:
        In their unit, `(...)` for one chance, `(chances, ...)` for several.
    """
    found: Floats = np.quantile(drawn, chances, axis=-1, method="weibull")
    return found


def _taken(values: Floats, taken: Sequence[NDArray[np.intp]]) -> Floats:
    """The rows of `(sessions, symbols)` drawn for each symbol's steps and paths: `(symbols, steps, paths)`."""
    return np.stack([column.take(drawn) for column, drawn in zip(values.T.copy(), taken, strict=True)])


def _shuffled(moves: Floats, above: Floats, below: Floats, quantiles: Floats) -> tuple[Floats, Floats, Floats]:
    """Closes, highs and lows `(symbols, steps, paths)` from standardised moves and excesses of that shape."""
    count = moves.shape[-1]
    cumulated = np.cumsum(moves, axis=1)
    order = np.argsort(cumulated, axis=-1)
    close = np.empty(moves.shape)
    np.put_along_axis(close, order, quantile(quantiles, np.arange(1, count + 1) / (count + 1)), axis=-1)
    tenths = order[..., [round(level * (count + 1)) - 1 for level in (0.1, 0.9)]]
    past_width = np.diff(np.take_along_axis(cumulated, tenths, axis=-1), axis=-1)
    width = quantiles[..., _WIDTH[1]] - quantiles[..., _WIDTH[0]]
    sigma = np.divide(width[..., None], past_width, out=np.zeros_like(past_width), where=past_width > 0)
    before = np.concatenate([np.zeros_like(close[:, :1]), close[:, :-1]], axis=1)
    return close, np.maximum(before, close) + above * sigma, np.minimum(before, close) - below * sigma
