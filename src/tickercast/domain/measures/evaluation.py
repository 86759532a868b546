"""Rolling-origin evaluation: forecast from many past sessions, and score each forecast by the closes that followed.

Every model forecasts from the same origins, so that losses are compared in pairs. An origin knows the bars up to
its session and nothing else: series are cut there before a model sees them.

>>> ratio_interval(np.ones((2, 5)), np.full((2, 5), 2.0))
(0.5, 0.5, 0.5)
"""

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tickercast.domain.asset_classes import asset_class
from tickercast.domain.bars import Bars
from tickercast.domain.events import ResultsDays
from tickercast.domain.forecast import QUANTILES, InformedPredictor, Predictor, RollingPredictor, checked, informed
from tickercast.domain.frequency import DAILY, DAYS, HOURLY, Frequency
from tickercast.domain.hourly import hour_features
from tickercast.domain.hourly.hours import WEEK
from tickercast.domain.learning.widths import Widths, rolling_factors, stretched
from tickercast.domain.measures import bootstrap, metrics
from tickercast.domain.measures.intervals import Interval

Floats = NDArray[np.float64]

SIGMA_WINDOW = 60
"""Log-returns whose root mean square scales the losses, so that symbols and dates weigh alike."""

BLOCK = 30
"""Sessions of a block of the bootstrap: longer than the horizon, within which errors are dependent."""

DRAWS = 1000
"""The number of draws of the bootstrap."""

INSIDE, OUTSIDE, NOT_KNOWN = "inside", "outside", "not known"
"""Whether results came within the horizon of an origin; not known where no results day of the symbol is."""

_FIRST_BATCH = 8  # origins of a symbol forecast at a time, then twice as many and so on: a slow model shows progress

_STAYS = 1e-9  # log-return up to which a median is the last close
_MEDIAN = QUANTILES.index(0.5)
_ENDS = {80: (QUANTILES.index(0.1), QUANTILES.index(0.9)), 95: (QUANTILES.index(0.025), QUANTILES.index(0.975))}


@dataclass(frozen=True)
class Origins:
    """The origins of one symbol, and the closes that followed.

    Attributes:
        bars: all bars of the symbol.
        positions: `(n,)`, the rows of the bars that are origins.
        actual: `(n, horizon)`, log-returns from the origin's close, free of dividends and spin-offs; NaN where an hour
            has no bar.
        sigma60: `(n,)`, root mean square of the last sixty log-returns at the origin.
    """

    bars: Bars
    positions: NDArray[np.intp]
    actual: Floats
    sigma60: Floats

    @property
    def horizon(self) -> int:
        """Step that followed each origin."""
        return int(self.actual.shape[1])

    def known(self) -> list[Bars]:
        """The series as it was at each origin."""
        return [self.bars.rows(0, at + 1) for at in self.positions]

    def only(self, rows: Sequence[int]) -> "Origins":
        """A selection of the origins, by their numbers."""
        at = np.array(rows, dtype=np.intp)
        return replace(self, positions=self.positions[at], actual=self.actual[at], sigma60=self.sigma60[at])

    @property
    def cutoffs(self) -> NDArray[np.datetime64]:
        """`(n,)`, the dates of the origins, or the ends of their hours."""
        column = "closed_at" if self.bars.frequency == HOURLY else "session_date"
        cutoffs: NDArray[np.datetime64] = self.bars.columns[column][self.positions]
        return cutoffs

    @property
    def days(self) -> NDArray[np.datetime64]:
        """`(n,)`, the dates of the origins: of hours the UTC days on which they open."""
        days: NDArray[np.datetime64] = self.bars.columns["session_date"][self.positions]
        return days


def rolling_origins(bars: Bars, first: date, last: date, *, every: int, needed: int, horizon: int) -> Origins:
    """Every `every`-th session from `first` to `last` that has enough bars before it and `horizon` after it.

    Hourly bars are origins at the hours whose number since 1970 is a multiple of `every`.

    Args:
        bars: the symbol's bars; they may reach beyond both dates.
        first: the first date that may be an origin.
        last: the last date that may be an origin.
        every: sessions or hours from one origin to the next; daily origins begin at another of them for each symbol, so
            that the measures of a year do not hang on which dates were drawn.
        needed: sessions or hours that the models need, the origin included.
        horizon: steps that are forecast.
    """
    if bars.frequency == HOURLY:
        return _hourly_origins(bars, first, last, every=every, needed=needed, horizon=horizon)
    dates = bars.columns["session_date"]
    start = int(dates.searchsorted(np.datetime64(first)))
    end = min(int(dates.searchsorted(np.datetime64(last), side="right")), len(bars) - horizon)
    at = np.arange(start + _phase(bars.symbol, min(every, max(end - start, 1))), max(start, end), every)
    at = at[at >= max(needed, SIGMA_WINDOW + 1) - 1]
    log_close = np.log(bars.columns["adj_close"])
    actual = log_close[at[:, None] + np.arange(1, horizon + 1)] - log_close[at, None]
    returns = np.diff(log_close)
    sigma60 = np.array([np.sqrt(np.mean(returns[row - SIGMA_WINDOW : row] ** 2)) for row in at])
    moved = sigma60 > 0  # constant prices can be neither scaled nor forecast
    return Origins(bars, at[moved], actual[moved], sigma60[moved])


def _phase(symbol: str, every: int) -> int:
    """The first origin of a symbol among the first `every` sessions; the same at any time and place.

    >>> _phase("MSFT", 10), _phase("AAPL", 10), _phase("MSFT", 1)
    (7, 9, 0)
    """
    return int.from_bytes(hashlib.sha256(symbol.encode()).digest()[:8]) % int(every)


def _hourly_origins(bars: Bars, first: date, last: date, *, every: int, needed: int, horizon: int) -> Origins:
    measures = hour_features.panel(bars, np.ones(WEEK))
    rows, hours = measures.grid.rows, bars.columns["closed_at"]
    opened = bars.columns["session_date"]
    at = np.flatnonzero(
        (opened >= np.datetime64(first))
        & (opened <= np.datetime64(last))
        & (hours.astype(np.int64) % every == 0)
        & (rows >= max(needed, SIGMA_WINDOW + 1) - 1)
        & (rows + horizon < len(measures.log_close))
        & (measures.sigma60[rows] > 0)
    )
    return Origins(bars, at, measures.moves(rows[at], horizon), measures.sigma60[rows[at]])


def why_no_origin(bars: Bars, first: date, last: date, *, every: int, needed: int, horizon: int) -> str:
    """The reason why `rolling_origins` found none, as a clause that begins with the symbol.

    Args:
        bars: the symbol's bars, as far as the horizon after `last` if there are any.
        first: the first date that may be an origin.
        last: the last date that may be an origin.
        every: sessions or hours from one origin to the next.
        needed: sessions or hours that the models need, the origin included.
        horizon: steps that are forecast.
    """
    symbol, noun, days = bars.symbol, bars.frequency.noun, bars.columns["session_date"]
    if bars.cutoff < first:
        return f"{symbol} ends on {bars.cutoff}"
    if bars.first > last:
        return f"{symbol} begins on {bars.first}"
    inside = np.flatnonzero((days >= np.datetime64(first)) & (days <= np.datetime64(last)))
    if not len(inside):
        return f"{symbol} has no {noun} on these dates"
    hourly = bars.frequency == HOURLY
    rows = hour_features.panel(bars, np.ones(WEEK)).grid.rows if hourly else np.arange(len(bars))
    known, wanted = rows[inside] + 1, max(needed, SIGMA_WINDOW + 1)
    if known[-1] < wanted:
        return f"{symbol} has {known[-1]:,} {noun}s up to the last of these dates, and {wanted:,} were needed"
    start = int(np.searchsorted(known, wanted))
    after = int(rows[-1] + 1 - known[start])
    if after < horizon:
        return f"{symbol} has {after:,} {noun}s after {days[inside[start]]}, and {horizon:,} were needed"
    return (
        f"{symbol} has no {noun} on these dates, among every {every} of them, with {wanted:,} up to it, {horizon:,} "
        "after it, and prices that move"
    )


def losses(origins: Origins, quantiles: Floats) -> pd.DataFrame:
    """The losses of one model at the origins of one symbol.

    Args:
        origins: n of them.
        quantiles: `(n, horizon, len(QUANTILES))`, log-returns.

    Returns:
        n·horizon rows, fewer where hours have no bar: symbol, cutoff (the session, or the moment at which the hour
        ended, UTC and naive), day (the session, or the UTC day on which the hour opened), step, and the columns `sp`,
        `w80`, `w95` (divided by σ60·√step), `coverage_80`, `coverage_95` (0 or 1), `error`, `naive_error` (log-return),
        `direction` (1 where the median's sign was right, NaN where it states none) and `rank` (how many of the
        quantiles lay below the outcome).
    """
    steps = np.arange(1, origins.horizon + 1)
    unit = origins.sigma60[:, None] * np.sqrt(steps)
    actual = origins.actual / unit
    scaled = quantiles / unit[..., None]
    ends = {level: (scaled[..., low], scaled[..., high]) for level, (low, high) in _ENDS.items()}
    median = quantiles[..., _MEDIAN]
    columns: dict[str, Any] = {
        "sp": metrics.pinball(actual, scaled, np.array(QUANTILES)).mean(axis=-1),
        "w80": metrics.winkler(actual, *ends[80], 0.8),
        "w95": metrics.winkler(actual, *ends[95], 0.95),
        "coverage_80": metrics.covered(actual, *ends[80]),
        "coverage_95": metrics.covered(actual, *ends[95]),
        "error": origins.actual - median,
        "naive_error": origins.actual,
        "direction": np.where(np.abs(median) > _STAYS, np.sign(median) == np.sign(origins.actual), np.nan),
        "rank": (scaled < actual[..., None]).sum(axis=-1),
    }
    table = pd.DataFrame({name: values.reshape(-1) for name, values in columns.items()})
    table.insert(0, "step", np.tile(steps, len(origins.positions)))
    table.insert(0, "day", np.repeat(origins.days.astype(DAYS), len(steps)))
    table.insert(0, "cutoff", np.repeat(origins.cutoffs.astype(DAYS), len(steps)))
    table.insert(0, "symbol", origins.bars.symbol)
    known = np.isfinite(origins.actual).reshape(-1)
    return table if known.all() else table[known]


def labelled(models: Iterable[Predictor]) -> dict[str, Predictor]:
    """Models by the labels under which they are compared: their names, and for further versions these, too.

    Of those with the same name and version the first stays.

    >>> from types import SimpleNamespace as Model
    >>> list(labelled(Model(name=name, version=version) for name, version in ("a1", "b1", "a2", "a1", "b1")))
    ['a', 'b', 'a 2']
    """
    made: dict[str, Predictor] = {}
    for model in models:
        is_further = made.get(model.name, model).version != model.version
        made.setdefault(f"{model.name} {model.version}" if is_further else model.name, model)
    return made


Spread = Callable[[Callable[[Predictor, Origins], Floats], Sequence[Predictor], Sequence[Origins]], Iterator[Floats]]
"""Calls a function with every model for the origins of each symbol, symbol by symbol, and yields the results."""


def rolling_losses(
    models: Mapping[str, Predictor],
    series: Sequence[Bars],
    first: date,
    last: date,
    *,
    every: int = DAILY.horizon,
    windows: int | None = None,
    results: Mapping[str, ResultsDays] | None = None,
    spread: Spread | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, pd.DataFrame]:
    """Forecast with every model from the same origins of every symbol, and score the forecasts.

    A model sees the series as it was at each origin; one whose intervals follow what earlier ones held sees the
    forecasts that had come due there. A `RollingPredictor` of hourly bars sees the series whole, and
    `jobs.training.leaks` checks that it does not look ahead.

    Args:
        models: the models to compare, by label; all of one horizon.
        series: the symbols, with bars from well before `first` to the horizon after `last`.
        first: the first date that may be an origin.
        last: the last date that may be an origin.
        every: sessions or hours from one origin to the next.
        windows: the number of origins to forecast from, drawn by `sample`; None means all.
        results: the results days by symbol; a model that reads them sees at each origin those that were known there.
        spread: makes the forecasts of each model and symbol elsewhere; None makes them here, one after the other.
        on_progress: called with the forecasts made and their total, which several models share.

    Returns:
        For each name its `losses`, row by row for the same origins, with the columns `class` (the asset class) and
        `results` (`inside`, `outside` or `not known`); empty tables where there is no origin.

    Raises:
        UsageError: no forecast can be made of what a model gave; see `forecast.checked`.
    """
    known = results or {}
    informed_models = {name: informed(model, known, Widths()) for name, model in models.items()}
    needed = max(model.min_sessions for model in models.values())
    [horizon] = {model.horizon for model in models.values()}
    found = [rolling_origins(bars, first, last, every=every, needed=needed, horizon=horizon) for bars in series]
    if windows is not None:
        found = sample(found, windows)
    total = len(models) * sum(len(origins.positions) for origins in found)
    done = 0

    def report_progress(count: int) -> None:
        nonlocal done
        done += count
        on_progress(done, total)

    parts: dict[str, list[pd.DataFrame]] = {name: [] for name in models}
    found = [origins for origins in found if len(origins.positions)]
    marks = [_marks(origins, known.get(origins.bars.symbol)) for origins in found]
    factors = {name: _factors(model, found) for name, model in informed_models.items()}
    made = _predictions(list(informed_models.values()), found, spread, report_progress)
    for number, (origins, marked) in enumerate(zip(found, marks, strict=True)):
        for name in informed_models:
            quantiles = stretched(next(made), factors[name][number])
            scored = losses(origins, quantiles)
            parts[name].append(scored.assign(**{key: values[scored.index] for key, values in marked.items()}))
    return {name: pd.concat(tables, ignore_index=True) if tables else pd.DataFrame() for name, tables in parts.items()}


def _predictions(
    models: Sequence[Predictor], found: Sequence[Origins], spread: Spread | None, advance: Callable[[int], None]
) -> Iterator[Floats]:
    """The quantiles of every model at the origins of each symbol, symbol by symbol."""
    if spread is None:
        for origins in found:
            for model in models:
                yield _predict(model, origins, advance)
        return
    for quantiles in spread(_predict, models, found):
        advance(len(quantiles))
        yield quantiles


def _factors(model: Predictor, found: Sequence[Origins]) -> list[Floats]:
    """The factors of a model's intervals, at each origin of each symbol and for each step."""
    if isinstance(model, InformedPredictor) and model.adapts:
        return rolling_factors(model, [one.bars for one in found], [one.positions for one in found])
    return [np.ones((len(one.positions), one.horizon)) for one in found]


def _marks(origins: Origins, days: ResultsDays | None) -> dict[str, NDArray[Any]]:
    """The class and the results window of each row of `losses`."""
    count = len(origins.positions)
    place = np.full(count, NOT_KNOWN, dtype=object)
    if days is not None and len(days):
        inside = days.came_within(origins.bars.columns["session_date"], origins.positions, origins.horizon)
        place = np.where(inside, INSIDE, OUTSIDE).astype(object)
    return {
        "class": np.full(count * origins.horizon, asset_class(origins.bars.symbol), dtype=object),
        "results": np.repeat(place, origins.horizon),
    }


def sample(found: Sequence[Origins], windows: int, *, seed: int = 0) -> list[Origins]:
    """Draw origins of all symbols at random, every one as likely as another and none twice.

    Args:
        found: the origins of each symbol, each symbol once; in which order makes no difference to what is drawn.
        windows: the number of origins to draw; all are, where there are no more. A smaller draw is a part of a greater
            one.
        seed: seed of the draw.

    Returns:
        As many as `found`, in its order; those of which nothing was drawn are empty.
    """
    every = sorted((origins.bars.symbol, row) for origins in found for row in range(len(origins.positions)))
    drawn = {every[at] for at in np.random.default_rng(seed).permutation(len(every))[:windows]}
    return [
        origins.only([row for row in range(len(origins.positions)) if (origins.bars.symbol, row) in drawn])
        for origins in found
    ]


def summary(table: pd.DataFrame) -> dict[str, float]:
    """The measures of a table of losses: `n` origins, mean losses, coverages, and errors relative to naive.

    MAE and RMSE are of log-returns, relative to those of the last close. `direction_stated` is the share of medians
    that leave the last close, and so state a direction; of these alone are `direction`, the share of right signs, and
    `always_up`, that of the rises, which always guessing up would get. Both are left out where none is stated.
    """
    naive, stated = table["naive_error"], table["direction"].notna()
    directions = {
        "direction": float(table.loc[stated, "direction"].mean()),
        "always_up": float((naive[stated] > 0).mean()),
    }
    return {
        "n": len(table) / table["step"].nunique(),
        **{name: float(table[name].mean()) for name in ("sp", "w80", "w95", "coverage_80", "coverage_95")},
        "mae_vs_naive": float(table["error"].abs().mean() / naive.abs().mean()),
        "rmse_vs_naive": float(np.sqrt((table["error"] ** 2).mean() / (naive**2).mean())),
        "direction_stated": float(stated.mean()),
        **(directions if stated.any() else {}),
    }


def loss_ratio(table: pd.DataFrame, other: pd.DataFrame, loss: str, *, frequency: Frequency = DAILY) -> Interval:
    """The ratio of a model's loss to another's on the same origins, and its 95% interval.

    The few coins of hourly bars move together, so that weeks of all of them are drawn there.

    Args:
        table: the model's losses.
        other: the losses of the other model, row by row for the same origins and steps.
        loss: the column.
        frequency: the frequency of the bars.

    Raises:
        ValueError: the rows are not those of the same origins.
    """
    keys = ["symbol", "cutoff", "step"]
    if not table[keys].equals(other[keys]):
        raise ValueError("two tables of losses can be compared only row by row, and their origins differ")
    hourly = frequency == HOURLY
    symbols = np.zeros(len(table), np.intp) if hourly else pd.factorize(table["symbol"])[0]
    blocks = _weeks(table["cutoff"]) if hourly else _blocks(table["cutoff"])
    return ratio_interval(_sums(symbols, blocks, table[loss]), _sums(symbols, blocks, other[loss]))


def ratio_interval(own: Floats, other: Floats, *, draws: int = DRAWS, seed: int = 0) -> Interval:
    """The ratio of two sums of paired losses, and its 95% interval.

    Symbols and blocks of sessions are drawn with replacement, both at once, since errors are dependent along either
    (the pigeonhole bootstrap of Owen, Annals of Applied Statistics 2007, over the moving blocks of Künsch 1989). What
    the symbols of a block share is one observation, so that few blocks prove little: the percentiles are expanded; see
    `bootstrap.ends`.

    Args:
        own: `(symbols, blocks)`, sums of the model's losses.
        other: `(symbols, blocks)`, sums of the other model's.
        draws: the number of draws of the bootstrap.
        seed: seed of the bootstrap.

    Returns:
        The ratio and the ends of its interval, which are 0 and ∞ where there are fewer than `bootstrap.LEAST` blocks.
    """
    if own.shape[1] < bootstrap.LEAST:
        return float(own.sum() / other.sum()), 0.0, math.inf
    random = np.random.default_rng(seed)
    rows, columns = own.shape
    by_symbol = random.multinomial(rows, np.full(rows, 1 / rows), draws)
    by_block = random.multinomial(columns, np.full(columns, 1 / columns), draws)
    drawn = [((by_symbol @ sums) * by_block).sum(axis=1) for sums in (own, other)]
    hit = drawn[1] > 0  # where origins are few, a draw of symbols and blocks may hold none of them, and says nothing
    low, high = np.quantile(drawn[0][hit] / drawn[1][hit], bootstrap.ends(columns))
    return float(own.sum() / other.sum()), float(low), float(high)


def evaluation_report(tables: Mapping[str, pd.DataFrame], frequency: Frequency = DAILY) -> dict[str, Any]:
    """The report on the first model of an evaluation; the others are its baselines.

    Args:
        tables: the losses of each model.
        frequency: the frequency of the bars.

    Returns:
        `model`, `frequency`, `symbols`, `first_cutoff` and `last_cutoff` (dates; of hours the UTC days on which they
        open), `overall`, `ratios` (for each baseline and loss: ratio and 95% interval), `by_year`, `by_step`,
        `by_class`, `results_window` where results days are known, and `reliability`.
    """
    (name, table), *baselines = tables.items()
    return {
        "model": name,
        "frequency": frequency.name,
        "symbols": sorted(table["symbol"].unique()),
        "first_cutoff": str(table["day"].min().date()),
        "last_cutoff": str(table["day"].max().date()),
        "overall": summary(table),
        "ratios": {
            baseline: {loss: list(loss_ratio(table, other, loss, frequency=frequency)) for loss in ("sp", "w95")}
            for baseline, other in baselines
        },
        "by_year": by_group(table, "year"),
        "by_step": by_group(table, "step"),
        "by_class": _rows(tables, "class", frequency),
        "results_window": {
            window: row for window, row in _rows(tables, "results", frequency).items() if window != NOT_KNOWN
        },
        "reliability": dict(zip(map(str, QUANTILES), reliability(table).tolist(), strict=True)),
    }


def report_json(report: Mapping[str, Any]) -> str:
    """The machine-readable form of an evaluation; the ends of an interval over too short a time are null."""

    def plain(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: plain(each) for key, each in value.items()}
        if isinstance(value, list) and math.inf in value:  # an interval
            return [value[0], None, None]
        if isinstance(value, list | tuple):
            return [plain(each) for each in value]
        return None if isinstance(value, float) and not math.isfinite(value) else value

    return json.dumps(plain(report), indent=2) + "\n"


def _rows(tables: Mapping[str, pd.DataFrame], key: str, frequency: Frequency) -> dict[str, dict[str, Any]]:
    """The summary of each group, with the ratio of the pinball loss to each baseline's and its 95% interval."""
    (_, table), *baselines = tables.items()
    rows: dict[str, dict[str, Any]] = {}
    for group, measured in by_group(table, key).items():
        own = table[key] == group
        rows[group] = measured | {
            f"sp_vs_{baseline.replace('-', '_').replace(' ', '_')}": list(
                loss_ratio(table[own], other[own.to_numpy()], "sp", frequency=frequency)
            )
            for baseline, other in baselines
        }
    return rows


def by_group(table: pd.DataFrame, key: str) -> Mapping[str, dict[str, float]]:
    """The summary for each `year`, `quarter`, `step`, `symbol`, `class` or `results`."""
    periods = {"year": "Y", "quarter": "Q"}
    groups = table["day"].dt.to_period(periods[key]) if key in periods else table[key]
    return {str(group): summary(rows) for group, rows in table.groupby(groups)}


def reliability(table: pd.DataFrame) -> Floats:
    """For each of `QUANTILES`, the share of outcomes below it: `(len(QUANTILES),)`."""
    return np.array([float((table["rank"] <= index).mean()) for index in range(len(QUANTILES))])


def _predict(model: Predictor, origins: Origins, advance: Callable[[int], None] = lambda count: None) -> Floats:
    if origins.bars.frequency == HOURLY and isinstance(model, RollingPredictor):
        quantiles = checked(model, model.predict_at(origins.bars, origins.positions), len(origins.positions))
        advance(len(quantiles))
        return quantiles
    known = origins.known()
    parts: list[Floats] = []
    start, size = 0, _FIRST_BATCH
    while start < len(known):
        asked = known[start : start + size]
        parts.append(checked(model, model.predict(asked), len(asked)))
        advance(len(parts[-1]))
        start, size = start + size, 2 * size
    return np.concatenate(parts)


def _blocks(cutoffs: pd.Series) -> NDArray[np.intp]:
    """Number the blocks of `BLOCK` business days from the first cutoff on, without gaps: `(n,)`.

    They are counted on the calendar, since the distinct cutoffs of a sample lie at no regular distance.
    """
    dates = cutoffs.to_numpy().astype("datetime64[D]")
    return pd.factorize(np.busday_count(dates.min(), dates) // BLOCK)[0]


def _weeks(cutoffs: pd.Series) -> NDArray[np.intp]:
    """Number the weeks from the first cutoff on, without gaps: `(n,)`."""
    hours = cutoffs.to_numpy().astype("datetime64[h]").astype(np.int64)
    numbers: NDArray[np.intp] = pd.factorize((hours - hours.min()) // WEEK)[0]
    return numbers


def _sums(symbols: NDArray[np.intp], blocks: NDArray[np.intp], loss: pd.Series) -> Floats:
    sums = np.zeros((symbols.max() + 1, blocks.max() + 1))
    np.add.at(sums, (symbols, blocks), loss.to_numpy(dtype=np.float64))
    return sums
