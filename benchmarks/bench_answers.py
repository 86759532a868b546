"""Measure odds, paths and portfolios on symbols and dates that the champion was not trained on.

    python -m benchmarks.bench_answers DATA

DATA is the folder that the champion was trained from, with the results days in `events/results.csv`. The symbols that
the training held out are forecast after the last date that the champion has seen, as the service does it: with the
results days that were announced and the widths that were learned by then. Odds are asked of every tenth session, for
levels of half to two ten-session σ above and below the last close; portfolios of one session are valued every second
session, those of ten every fourth. `…_unannounced` is of forecasts without any results day.
"""

import argparse
import resource
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks import report
from benchmarks.bench_accuracy import read, read_results
from tickercast.app import App
from tickercast.domain.bars import Bars
from tickercast.domain.distribution import probability, quantile, student5
from tickercast.domain.events import ResultsDays
from tickercast.domain.forecast import QUANTILES, InformedPredictor
from tickercast.domain.learning import features
from tickercast.domain.learning.widths import Widths, rolling_factors, stretched
from tickercast.domain.measures import metrics
from tickercast.domain.outlook.odds import Odds
from tickercast.domain.outlook.paths import (
    COUNT,
    ENOUGH,
    SESSIONS,
    Past,
    Residuals,
    levels_of,
    past,
    paths,
    residuals,
    seed_of,
)
from tickercast.jobs.training.train import evaluation_groups, held_out
from tickercast.models import catalogue

Floats = NDArray[np.float64]

STEPS = 10
EVERY = 10  # sessions between the origins of odds
EVERY_PORTFOLIO = {1: 2, STEPS: 4}  # those between the origins of portfolios, by how many sessions these are held
SIGMAS = (-2.0, -1.5, -1.0, -0.5, 0.5, 1.0, 1.5, 2.0)  # ten-session σ from the last close
FEW = 30  # holdings of the smaller portfolio
PORTFOLIOS = 8  # random ones of each kind
LARGEST = 500  # symbols whose paths are timed
BLOCK = 30  # sessions of a block of the bootstrap
TENTHS, SMALLEST = 10, 0.01  # bins of stated chance, and the share of all cases from which one counts
LEVELS = np.array(QUANTILES)
UNANNOUNCED = ("pinball_long_short_vs_filtered_historical", "pinball_long_vs_filtered_historical")


@dataclass(frozen=True)
class Data:
    """The data on the measured symbols, on their common sessions.

    Attributes:
        sessions: `(n,)`, dates.
        residuals: one a symbol.
        log: log of the adjusted open, high, low and close: arrays `(n, symbols)`.
        sigma: `(n, symbols)`, RiskMetrics σ.
        origins: `(m,)`, rows that the champion has not seen, with ten sessions after them.
        quantiles: `(m, symbols, 10, 13)`, the champion's forecasts there.
    """

    sessions: NDArray[np.datetime64]
    residuals: Sequence[Residuals]
    log: dict[str, Floats]
    sigma: Floats
    origins: NDArray[np.intp]
    quantiles: Floats

    def past(self, row: int, symbols: Sequence[int] | None = None) -> Past:
        """The past at a row."""
        chosen = self.residuals if symbols is None else [self.residuals[number] for number in symbols]
        return past(chosen, self.date(row))

    def date(self, row: int) -> date:
        """The date of a row."""
        found: date = self.sessions[row].astype("datetime64[D]").item()
        return found


def main() -> None:
    """Run every part, and write `answers.json`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the folder that the champion was trained from")
    folder = parser.parse_args().data
    series, results = read(str(folder)), read_results(folder)
    data, unannounced = (_data(series, each) for each in (results, {}))
    figures = _odds(data) | _portfolios(data, EVERY_PORTFOLIO) | _cost()
    without = _portfolios(unannounced, {1: EVERY_PORTFOLIO[1]})
    report.write("answers", figures | {f"{name}_unannounced": without[name] for name in UNANNOUNCED})


def _data(series: Sequence[Bars], results: Mapping[str, ResultsDays]) -> Data:
    from tickercast import config

    config.silence_telemetry()
    champion = App().models.shipped
    model = catalogue.load_bundle(champion)
    assert isinstance(model, InformedPredictor)
    model = model.informed({symbol: days.announced() for symbol, days in results.items()}, Widths())
    unseen = evaluation_groups(series, held_out([bars.symbol for bars in series], champion.card.hold_out))[""]
    common = unseen[0].columns["session_date"]
    for bars in unseen[1:]:
        common = np.intersect1d(common, bars.columns["session_date"])
    rows = np.arange(len(common))
    origins = rows[(common > np.datetime64(champion.card.trained_through)) & (rows < len(common) - STEPS)]
    log: dict[str, list[Floats]] = {name: [] for name in ("high", "low", "close")}
    sigma, quantiles = [], []
    places = [bars.columns["session_date"].searchsorted(common)[origins] for bars in unseen]
    learned = rolling_factors(model, unseen, places)
    for done, (bars, factors) in enumerate(zip(unseen, learned, strict=True), start=1):
        at = bars.columns["session_date"].searchsorted(common)
        scale = np.log(bars.columns["adj_close"] / bars.columns["close"])
        for name, values in log.items():
            values.append((np.log(bars.columns[name]) + scale)[at])
        sigma.append(features.panel(bars).sigma_ewma[at])
        quantiles.append(stretched(model.predict_at(bars, at[origins]), factors))
        _report(f"forecasting {bars.symbol}, {done} of {len(unseen)}")
    stacked = {name: np.stack(values, axis=1) for name, values in log.items()}
    return Data(common, residuals(unseen), stacked, np.stack(sigma, axis=1), origins, np.stack(quantiles, axis=1))


# ---------------------------------------------------------------- odds


def _odds(data: Data) -> dict[str, float]:
    cases = pd.concat(_cases(data), ignore_index=True)
    figures: dict[str, float] = {
        "n_origins": cases["origin"].nunique(),
        "n_odds": len(cases),
        "years": (data.sessions[-1] - data.sessions[data.origins[0]]).astype(int) / 365.25,
    }
    for way in ("close", "touch"):
        figures[f"{way}_max_error"] = _worst_tenth(cases[way], cases[f"{way}_came"])
        figures[f"{way}_naive_max_error"] = _worst_tenth(cases["ends"], cases[f"{way}_came"])
        for rival in ("twice_marginal", "historical"):
            name = f"{way}_brier_vs_{rival}"
            figures |= dict(
                zip((name, f"{name}_lo", f"{name}_hi"), _brier_ratio(cases, way, f"{way}_{rival}"), strict=True)
            )
    inside = cases.drop_duplicates(["origin", "symbol"])
    return figures | {
        "all_inside_80": float(inside["inside_80"].mean()),
        "all_inside_80_stated": float(inside["inside_80_stated"].mean()),
    }


def _cases(data: Data) -> Iterator[pd.DataFrame]:
    chosen = range(0, len(data.origins), EVERY)
    for done, number in enumerate(chosen, start=1):
        row = int(data.origins[number])
        for symbol in range(data.log["close"].shape[1]):
            yield _asked(data, number, row, symbol)
        if done % 10 == 0:
            _report(f"odds at {done} of {len(chosen)} origins")


def _asked(data: Data, number: int, row: int, symbol: int) -> pd.DataFrame:
    quantiles = data.quantiles[number, symbol]
    made = paths(data.past(row, [symbol]), quantiles[None], seed=seed_of(data.date(row)))
    odds = Odds(made, quantiles)
    start, after = data.log["close"][row, symbol], slice(row + 1, row + 1 + STEPS)
    came = {name: values[after, symbol] - start for name, values in data.log.items()}
    windows = _windows(data, row, symbol)
    rows: list[dict[str, Any]] = []
    for level in SIGMAS:
        at = level * data.sigma[row, symbol] * np.sqrt(STEPS)
        stated = odds.above(at) if level > 0 else odds.below(at)
        side, extreme = (1, "high") if level > 0 else (-1, "low")
        twice = min(2 * float(stated.ends[-1]), 1.0)
        rows.append(
            {
                "ends": stated.ends[-1],
                "close": stated.closes[-1],
                "touch": stated.touches[-1],
                "close_twice_marginal": twice,
                "touch_twice_marginal": twice,
                "close_historical": (side * windows["close"] > side * at).any(axis=1).mean(),
                "touch_historical": (side * windows[extreme] > side * at).any(axis=1).mean(),
                "close_came": bool((side * came["close"] > side * at).any()),
                "touch_came": bool((side * came[extreme] > side * at).any()),
            }
        )
    low, high = quantiles[:, QUANTILES.index(0.1)], quantiles[:, QUANTILES.index(0.9)]
    inside = ((made.close[0] >= low[:, None]) & (made.close[0] <= high[:, None])).all(axis=0).mean()
    held = bool(((came["close"] >= low) & (came["close"] <= high)).all())
    return pd.DataFrame(rows).assign(origin=number, symbol=symbol, inside_80=held, inside_80_stated=inside)


def _windows(data: Data, row: int, symbol: int) -> dict[str, Floats]:
    """Past windows of ten sessions as they were, `(windows, 10)`: plain historical simulation."""
    starts = np.arange(max(row - ENOUGH - STEPS, 0), row - STEPS + 1)
    ahead = starts[:, None] + np.arange(1, STEPS + 1)
    close = data.log["close"][:, symbol]
    return {name: values[ahead, symbol] - close[starts, None] for name, values in data.log.items()}


def _worst_tenth(stated: "pd.Series[float]", came: "pd.Series[bool]") -> float:
    tenth = np.minimum((stated * TENTHS).astype(int), TENTHS - 1)
    table = pd.DataFrame({"stated": stated, "came": came}).groupby(tenth).agg(["mean", "size"])
    counted = table[table["stated", "size"] >= SMALLEST * len(stated)]
    return float((counted["stated", "mean"] - counted["came", "mean"]).abs().max())


def _brier_ratio(cases: pd.DataFrame, way: str, rival: str) -> tuple[float, float, float]:
    came = cases[f"{way}_came"].astype(float)
    losses = pd.DataFrame({"own": (cases[way] - came) ** 2, "rival": (cases[rival] - came) ** 2})
    return _interval(losses.groupby(cases["origin"]).sum().to_numpy(), EVERY)


def _interval(sums: Floats, every: int) -> tuple[float, float, float]:
    """The ratio of two columns' sums over origins, with its 95% interval: a bootstrap over blocks of sessions."""
    blocks = np.add.reduceat(sums, np.arange(0, len(sums), max(BLOCK // every, 1)))
    drawn = np.random.default_rng(1).integers(0, len(blocks), (1000, len(blocks)))
    totals = blocks[drawn].sum(axis=1)
    low, high = np.quantile(totals[:, 0] / totals[:, 1], [0.025, 0.975])
    return float(sums[:, 0].sum() / sums[:, 1].sum()), float(low), float(high)


# ---------------------------------------------------------------- portfolios


def _portfolios(data: Data, held: Mapping[int, int]) -> dict[str, float]:
    weights = _weights(data.log["close"].shape[1])
    figures: dict[str, float] = {}
    for steps, every in held.items():
        table = pd.concat(_valued(data, weights, steps, every), ignore_index=True)
        long_only = table[table["kind"] != "long_short"]
        for level in (95, 99):
            figures[f"var{level}_breaches_{steps}"] = float(long_only[f"breach_{level}"].mean())
            figures[f"var{level}_breaches_{steps}_long_short"] = float(
                table[table["kind"] == "long_short"][f"breach_{level}"].mean()
            )
        if steps == 1:
            figures["n_portfolio_origins"] = table["origin"].nunique()
            figures["var95_breaches_independent"] = float(long_only["breach_independent"].mean())
            figures["var95_breaches_historical"] = float(long_only["breach_historical"].mean())
            figures["var95_breaches_filtered_historical"] = float(long_only["breach_filtered"].mean())
        suffix = "" if steps == 1 else f"_{steps}"
        for kind, part in (("long_short", table[table["kind"] == "long_short"]), ("long", long_only)):
            sums = part.groupby("origin")[["loss", "loss_filtered", "loss_historical"]].sum().to_numpy()
            name = f"pinball_{kind}_vs_filtered_historical{suffix}"
            figures |= dict(zip((name, f"{name}_lo", f"{name}_hi"), _interval(sums[:, [0, 1]], every), strict=True))
            name = f"pinball_{kind}_vs_historical{suffix}"
            figures |= dict(zip((name, f"{name}_lo", f"{name}_hi"), _interval(sums[:, [0, 2]], every), strict=True))
    return figures


def _weights(symbols: int) -> list[tuple[str, Floats]]:
    """All symbols alike, random ones of thirty, and random long and short ones whose sides are equally large."""
    rng = np.random.default_rng(1)
    made = [("all", np.full(symbols, 1 / symbols))]
    for _ in range(PORTFOLIOS):
        few = np.zeros(symbols)
        few[rng.choice(symbols, FEW, replace=False)] = 1 / FEW
        sides = np.zeros(symbols)
        sides[rng.choice(symbols, FEW, replace=False)] = np.repeat([2 / FEW, -2 / FEW], FEW // 2)
        made += [("few", few), ("long_short", sides)]
    return made


def _valued(data: Data, weights: Sequence[tuple[str, Floats]], steps: int, every: int) -> Iterator[pd.DataFrame]:
    chosen = range(0, len(data.origins), every)
    moves = np.expm1(np.diff(data.log["close"], axis=0))
    for done, number in enumerate(chosen, start=1):
        row = int(data.origins[number])
        made = paths(data.past(row), data.quantiles[number][:, :steps], seed=seed_of(data.date(row)))
        close = data.log["close"]
        came = np.expm1(close[row + steps] - close[row])
        together = np.expm1(made.close[:, steps - 1].astype(np.float64))
        alone = np.random.default_rng(1).permuted(together, axis=1)  # as if nothing moved together
        rows = []
        for kind, held in weights:
            value = held @ together
            daily = moves[:row] @ held
            rivals = {
                "filtered": _filtered(daily, steps, data.date(row)),
                "historical": np.convolve(daily, np.ones(steps), "valid")[-ENOUGH:],
                "independent": held @ alone,
            }
            gained = float(held @ came)
            scale = float(np.sqrt(np.mean(daily[-60:] ** 2) * steps))
            own = {f"breach_{level}": gained < levels_of(value, 1 - level / 100) for level in (95, 99)}
            others = {f"breach_{name}": gained < levels_of(each, 0.05) for name, each in rivals.items()}
            losses = {"loss": _loss(value, gained, scale)} | {
                f"loss_{name}": _loss(each, gained, scale) for name, each in rivals.items()
            }
            rows.append({"kind": kind, "origin": number, **own, **others, **losses})
        yield pd.DataFrame(rows)
        if done % 50 == 0:
            _report(f"portfolios of {steps} sessions at {done} of {len(chosen)} origins")


def _filtered(daily: Floats, steps: int, cutoff: date) -> Floats:
    """The portfolio's own filtered historical simulation (Barone-Adesi, Giannopoulos and Vosper 1999)."""
    variance, sigma = float(np.mean(daily[:60] ** 2)), []
    for square in (daily**2).tolist():
        sigma.append(variance**0.5)
        variance = features.EWMA_DECAY * variance + (1 - features.EWMA_DECAY) * square
    standardised = (daily / np.array(sigma))[-ENOUGH:]
    rng = np.random.default_rng(seed_of(cutoff))
    drawn = np.stack([rng.permutation(np.resize(np.arange(len(standardised)), COUNT)) for _ in range(steps)])
    simulated: Floats = standardised[drawn].sum(axis=0) * variance**0.5
    return simulated


def _loss(value: Floats, gained: float, scale: float) -> float:
    return float(metrics.pinball(np.array(gained), levels_of(value, QUANTILES), LEVELS).mean() / scale)


# ---------------------------------------------------------------- cost


def _cost() -> dict[str, float]:
    rng = np.random.default_rng(1)
    close, mirrored, high, low = (rng.normal(size=(SESSIONS, LARGEST)) ** power for power in (1, 1, 2, 2))
    known = Past(close, mirrored, high, low, np.full(SESSIONS, 1 / SESSIONS))
    steps = np.sqrt(np.arange(1, STEPS + 1))[:, None]
    quantiles = rng.uniform(0.01, 0.04, (LARGEST, 1, 1)) * steps * student5(LEVELS)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.process_time()
    made = paths(known, quantiles, seed=1)
    taken = time.process_time() - started
    ordered = np.sort(made.close, axis=-1)
    places = np.round(LEVELS * (ordered.shape[-1] + 1)).astype(int) - 1
    chance = np.array([probability(row, quantile(row, LEVELS)) for row in quantiles[:, -1]])
    return {
        "paths_500_symbols_s": taken,
        "paths_500_symbols_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "paths_500_symbols_before_mib": before / 1024,
        "marginals_max_abs_diff": float(np.abs(ordered[..., places] - quantiles).max()),
        "probability_max_abs_diff": float(np.abs(chance - LEVELS).max()),
    }


def _report(progress: str) -> None:
    print(progress, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
