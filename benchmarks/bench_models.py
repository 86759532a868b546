"""Compare the models of hourly bars, and that of the next hour's direction, on months that nothing was tuned on.

`python -m benchmarks.bench_models HOURS` reads the hourly bars of BTCUSDT and ETHUSDT in the folder HOURS, forecasts
from every hour from July 2022 on, and writes `benchmarks/models.json`. All tables are refreshed monthly from the year
before, but those of `ewma_season`, which are of the year before the test. `_lo` and `_hi` are the ends of 95%
intervals: over weeks of both coins for the distribution, over days of Bitcoin for the direction.
`companions_500_symbols_s` is how long one file of 500 symbols takes when Prophet is served beside the champion.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks import report
from tickercast import config, engines
from tickercast.app import App
from tickercast.backends.registry.optuna import BOOSTING, BOOSTING_USUAL, OptunaSearch
from tickercast.domain.bars import Bars
from tickercast.domain.forecast import RollingPredictor
from tickercast.domain.frequency import HOURLY
from tickercast.domain.hourly.direction_inputs import Asked, Questions, questions
from tickercast.domain.learning.boosting import USUAL, Boosting
from tickercast.domain.measures.direction import scores
from tickercast.domain.measures.direction import summary as summary_of_directions
from tickercast.domain.measures.evaluation import by_group, loss_ratio, rolling_losses, summary
from tickercast.jobs.training.train_direction import SIZES, train_direction
from tickercast.models import catalogue
from tickercast.models.boosted import training as boosted
from tickercast.models.hourly.predictors import EwmaSeason
from tickercast.models.hourly.volatility import fit
from tickercast.models.lstm.hourly import fit as fit_network
from tickercast.models.lstm.hourly import onnx_difference
from tickercast.ports import MarketData

COINS = ("BTCUSDT", "ETHUSDT")
ASKED = "BTCUSDT"
FIRST, THROUGH = date(2000, 1, 1), date(2022, 6, 30)
TRIALS = 25
NETWORK = "tickercast-lstm-1h"


def main() -> None:
    """Run every part, and write `models.json`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("hours", type=Path, help="the folder of hourly bars")
    config.silence_telemetry()
    config.set_up_tensorflow()
    source = engines.hourly_data(str(parser.parse_args().hours), config.load())
    reading = source.fetch(COINS, FIRST, date.today(), advance=lambda _: None)
    if reading.failures:
        sys.exit("\n".join(map(str, reading.failures.values())))
    series = list(reading.bars.values())
    recipe, usual = (_recipe(source, usual) for usual in (False, True))
    figures = _distribution(series) | _directions(series, recipe, usual)
    figures |= {"onnx_max_abs_diff": _parity(series, recipe), "companions_500_symbols_s": companions_seconds()}
    report.write("models", figures)


# ---------------------------------------------------------------- the distribution


def _distribution(series: Sequence[Bars]) -> dict[str, float]:
    tables = _losses(series)
    own = tables["champion"]
    steps, quarters = by_group(own, "step"), by_group(own, "quarter").values()
    full = [quarter["coverage_80"] for quarter in quarters if quarter["n"] >= _FULL_QUARTER]
    measured = summary(own)
    return {
        "hourly_n": measured["n"],
        **_ratio(tables, "champion", "ewma_t", "hourly_sp_vs_ewma_t"),
        **_ratio(tables, "champion", "ewma_season", "hourly_sp_vs_ewma_season"),
        **_ratio(tables, "champion", "ewma_season_refreshed", "hourly_sp_vs_ewma_season_refreshed"),
        **_ratio(tables, "lstm", "har", "hourly_lstm_vs_har"),
        **_ratio(tables, "plain", "har", "hourly_plain_vs_har"),
        **_ratio(tables, "champion", "ewma_t", "hourly_w95_vs_ewma_t", loss="w95"),
        "hourly_coverage_80": measured["coverage_80"],
        "hourly_coverage_80_h1": steps["1"]["coverage_80"],
        "hourly_coverage_80_h6": steps["6"]["coverage_80"],
        "hourly_coverage_80_h24": steps["24"]["coverage_80"],
        "hourly_coverage_80_min_quarter": min(full),
        "hourly_coverage_80_max_quarter": max(full),
        "hourly_coverage_95": measured["coverage_95"],
    }


_FULL_QUARTER = 3000  # origins of both coins, of the 4,400 of a whole quarter


def _losses(series: Sequence[Bars]) -> Mapping[str, pd.DataFrame]:
    store = App().hourly_store
    names = {
        "champion": catalogue.CHAMPION,
        "har": "har-season",
        "ewma_season_refreshed": "ewma-season",
        "ewma_t": "ewma-t",
        "lstm": NETWORK,
        "plain": "tickercast-plain-1h",
    }
    models: dict[str, RollingPredictor] = {key: catalogue.hourly(name, store, series) for key, name in names.items()}
    before = fit(series, np.datetime64(THROUGH, "h") + np.timedelta64(24, "h"))
    _report(f"forecasting from every hour after {THROUGH}: {', '.join(names.values())}")
    return rolling_losses(
        models | {"ewma_season": EwmaSeason(before)}, series, THROUGH + timedelta(days=1), date.today(), every=1
    )


def _ratio(
    tables: Mapping[str, pd.DataFrame], own: str, other: str, name: str, *, loss: str = "sp"
) -> dict[str, float]:
    found = loss_ratio(tables[own], tables[other], loss, frequency=HOURLY)
    return dict(zip((name, f"{name}_lo", f"{name}_hi"), found, strict=True))


# ---------------------------------------------------------------- the direction


def _recipe(source: MarketData, usual: bool) -> Boosting:
    """The best recipe on the months before the test."""
    _report(f"{TRIALS} trials of boosted trees{' in the usual ranges' if usual else ''}")
    with tempfile.TemporaryDirectory() as folder:
        made = train_direction(
            source,
            COINS,
            FIRST,
            date.today(),
            THROUGH,
            boost=boosted,
            search=OptunaSearch(Path(folder) / "tuning.db", BOOSTING_USUAL if usual else BOOSTING),
            trials=TRIALS,
            recipe=USUAL if usual else Boosting(),
            on_progress=lambda done, total: _report(f"{done:.0f} of {total}"),
        )
    assert made.study
    _report(f"found {made.study.best.recipe}")
    return made.study.best.recipe


def _directions(series: Sequence[Bars], recipe: Boosting, usual: Boosting) -> dict[str, float]:
    asking = [questions(bars) for bars in series]
    made = _forecast(asking, recipe)
    found = summary_of_directions(made.probability, made.up, made.move, made.closed_at, SIZES)
    groups = enumerate(found["hit_rate_by_size"], start=1)
    return {
        **{f"direction_{name}": value for name, value in found.items() if isinstance(value, int | float)},
        "direction_brier_wide_space": _brier(asking, usual),
        "direction_brier_usual_recipe": _brier(asking, USUAL),
        **{f"direction_hit_rate_size_{number}": group["observed"] for number, group in groups},
    }


def _brier(asking: Sequence[Questions], recipe: Boosting) -> float:
    made = _forecast(asking, recipe)
    return scores(made.probability, made.up).brier


def _forecast(asking: Sequence[Questions], recipe: Boosting) -> Asked:
    """Forecasts of every hour of Bitcoin after the training, by trees that are grown again each month."""
    start = np.datetime64(THROUGH + timedelta(days=1), "M")
    end = max(one.closed_at[-1] for one in asking).astype("datetime64[M]") + 1
    return boosted.walk_forward(asking, recipe, start, end, asked=[ASKED])


# ---------------------------------------------------------------- the export


def _parity(series: Sequence[Bars], recipe: Boosting) -> float:
    """The largest difference between what was trained and its ONNX form: of a probability, or of a factor."""
    _report("comparing exported models with trained ones")
    network = fit_network(series, THROUGH, seeds=(1,), recurrent=True)
    asking = [questions(bars) for bars in series]
    trees = boosted.fit(asking, recipe, np.datetime64(THROUGH + timedelta(days=1), "h"))
    return max(onnx_difference(network, network.bundle()), boosted.onnx_difference(trees, trees.bundle()))


# ---------------------------------------------------------------- companions


def companions_seconds(symbols: int = 500) -> float:
    """The seconds in which a file of simulated daily bars is forecast by the champion and by Prophet, and stored."""
    _report(f"forecasting {symbols} symbols with Prophet beside the champion")
    with tempfile.TemporaryDirectory() as folder:
        settings = config.Settings(
            bucket=f"file://{folder}/bucket",
            warehouse=f"duckdb://{folder}/warehouse.duckdb",
            source="simulated",
            models="champion,prophet",
            companion_deadline_s=240,
        )
        app, started = App(settings), time.perf_counter()
        names = [f"T{number:03d}" for number in range(symbols)]
        made = app.forecast(names, date(2023, 7, 21), model="prophet")
        took = time.perf_counter() - started
    if len(made) != symbols:
        sys.exit(f"Prophet forecast {len(made)} of {symbols} symbols: {next(iter(made.failures.values()), '')}")
    return took


def _report(progress: str) -> None:
    print(progress, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
