"""Measures the shipped champion on symbols and dates that it was not trained on, beside what users would pick instead.

    python benchmarks/bench_accuracy.py DATA

DATA is the folder that the champion was trained from (see its card): the symbols that the training held out, and the
crypto pairs, are forecast after the last date that it has seen. Slow peers are fitted on a sample of the windows. Then
the training itself is measured: against the true distribution of made-up series, by the clock, and Keras against ONNX.
"""

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks import report
from tickercast import config, engines
from tickercast.backends.market_data.simulated import Oracle
from tickercast.domain.bars import Bars
from tickercast.domain.calendar import asset_class
from tickercast.domain.evaluation import by, compare, summary
from tickercast.domain.evaluation import report as summarised
from tickercast.domain.forecast import Predictor
from tickercast.jobs.training.train import exams, held_out
from tickercast.models.onnx import OnnxModel
from tickercast.show import chart

FAST_ENOUGH = ("garch",)  # for every window
SLOW = ("auto-arima", "auto-ets", "auto-theta", "prophet")
RIVALS = ("ewma-fhs", "historical-simulation", *FAST_ENOUGH, *SLOW)
SAMPLE = 500  # windows
FIRST = date(2000, 1, 1)
FULL_YEAR = 200  # origins of a year that counts as full, over all symbols
TIMED_SYMBOLS, SEEDS = 100, (1, 2, 3, 4, 5)
SIMULATED_SYMBOLS, SIMULATED_THROUGH, SIMULATED_LAST = 40, date(2012, 12, 31), date(2022, 12, 1)


def main() -> None:
    """Runs every part and writes `accuracy.json`, and `accuracy.png` beside it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the folder that the champion was trained from")
    config.silence_telemetry()
    config.silence_tensorflow()
    series = _histories(str(parser.parse_args().data))
    champion = engines.shipped_bundle()
    through = champion.card.trained_through
    model = engines.load_bundle(champion)
    held = held_out([bars.symbol for bars in series], champion.card.hold_out)
    unseen = exams(series, held)
    stocks = [bars for bars in series if not asset_class(bars.symbol)]
    figures = _stocks(model, unseen[""], through) | _slow(model, unseen[""], through)
    figures["sp_vs_best_peer"] = max(figures[f"sp_vs_{_plain(name)}"] for name in RIVALS)
    figures |= _crypto(model, unseen["crypto_"], through)
    report.write("accuracy", figures | _simulated() | _training(stocks[:TIMED_SYMBOLS], through))


def _histories(data: str) -> Sequence[Bars]:
    _say(f"reading {data}")
    reading = engines.market_data(data).fetch(engines.known_symbols(data), FIRST, date.today(), advance=lambda _: None)
    if reading.failures:
        sys.exit("\n".join(map(str, reading.failures.values())))
    return list(reading.bars.values())


# ---------------------------------------------------------------- the champion


def _stocks(model: Predictor, series: Sequence[Bars], through: date) -> dict[str, float]:
    peers = [*engines.peers(series, through), *map(engines.peer, FAST_ENOUGH)]
    tables = _tables(model, peers, series, through)
    picture = chart.backtest_png(summarised(tables), {peer.name: by(tables[peer.name], "step") for peer in peers})
    (report.PROJECT / "benchmarks" / "accuracy.png").write_bytes(picture)
    own = tables[model.name]
    years = [measured for measured in by(own, "year").values() if measured["n"] >= FULL_YEAR]
    steps = by(own, "step").values()
    measured = summary(own)
    return {
        "n": measured["n"],
        **_ratio(tables, model.name, "ewma-t", "sp"),
        **{f"sp_vs_{_plain(peer.name)}": compare(own, tables[peer.name], "sp")[0] for peer in peers[1:]},
        **_ratio(tables, model.name, "ewma-t", "w95"),
        "coverage_80": measured["coverage_80"],
        "coverage_95": measured["coverage_95"],
        "coverage_80_min_year": min(year["coverage_80"] for year in years),
        "coverage_80_max_year": max(year["coverage_80"] for year in years),
        "coverage_80_min_step": min(step["coverage_80"] for step in steps),
        "coverage_80_max_step": max(step["coverage_80"] for step in steps),
        "mae_vs_naive": measured["mae_vs_naive"],
        "mae_vs_naive_max_year": max(year["mae_vs_naive"] for year in years),
    }


def _slow(model: Predictor, series: Sequence[Bars], through: date) -> dict[str, float]:
    tables = _tables(model, [engines.peer(name) for name in SLOW], series, through, windows=SAMPLE)
    ratios = {f"sp_vs_{_plain(name)}": compare(tables[model.name], tables[name], "sp")[0] for name in SLOW}
    return {"n_slow": summary(tables[model.name])["n"], **ratios}


def _crypto(model: Predictor, series: Sequence[Bars], through: date) -> dict[str, float]:
    tables = _tables(model, engines.peers(series, through), series, through)
    measured = summary(tables[model.name])
    return {
        "crypto_n": measured["n"],
        **{f"crypto_{name}": value for name, value in _ratio(tables, model.name, "ewma-t", "sp").items()},
        "crypto_coverage_80": measured["coverage_80"],
        "crypto_coverage_95": measured["coverage_95"],
    }


def _tables(
    model: Predictor, peers: Sequence[Predictor], series: Sequence[Bars], through: date, **sampled: Any
) -> Mapping[str, pd.DataFrame]:
    _say(f"{len(series)} symbols after {through}: {', '.join(peer.name for peer in peers)}")
    models = {one.name: one for one in (model, *peers)}
    return backtest(models, series, through + timedelta(days=1), date.today(), **sampled)


# ---------------------------------------------------------------- the training


def _simulated() -> dict[str, float]:
    from tickercast.models.lstm import training as lstm

    symbols = [f"SIM{number}" for number in range(2 * SIMULATED_SYMBOLS)]
    source = engines.market_data("simulated")
    series = list(source.fetch(symbols, FIRST, SIMULATED_LAST, advance=lambda _: None).bars.values())
    _say(f"training on {SIMULATED_SYMBOLS} made-up symbols through {SIMULATED_THROUGH}")
    trained = lstm.fit(series[:SIMULATED_SYMBOLS], trained_through=SIMULATED_THROUGH, seeds=SEEDS)
    tables = _tables(OnnxModel(trained.bundle()), [Oracle()], series[SIMULATED_SYMBOLS:], SIMULATED_THROUGH)
    return {"simulated_vs_oracle": compare(tables[trained.name], tables[Oracle.name], "sp")[0]}


def _training(series: Sequence[Bars], through: date) -> dict[str, float]:
    from tickercast.models.lstm import training as lstm
    from tickercast.models.lstm.examples import examples

    _say(f"training {len(SEEDS)} seeds on {len(series)} symbols")
    started = time.perf_counter()
    trained = lstm.fit(series, trained_through=through, seeds=SEEDS)
    elapsed = time.perf_counter() - started
    served = OnnxModel(trained.bundle())
    some = examples(series[:5], through)[np.arange(500)]
    theirs = served.answer(some.steps, some.statics)
    ours = trained.model([some.steps, some.statics], training=False).numpy()
    return {"train_5_seeds_100_symbols_s": elapsed, "onnx_max_abs_diff": float(np.abs(theirs - ours).max())}


# ---------------------------------------------------------------- words


def _ratio(tables: Mapping[str, pd.DataFrame], own: str, peer: str, loss: str) -> dict[str, float]:
    name = f"{loss}_vs_{_plain(peer)}"
    return dict(zip((name, f"{name}_lo", f"{name}_hi"), compare(tables[own], tables[peer], loss), strict=True))


def _plain(name: str) -> str:
    return name.replace("-", "_")


def _say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
