"""Measure the shipped champion on symbols and dates that it was not trained on, beside models that users might pick.

    python -m benchmarks.bench_accuracy DATA

DATA is the folder that the champion was trained from (see its card): the symbols that the training held out, and the
crypto pairs, are forecast after the last date that the champion has seen. The slower statistical models are fitted on a
sample of the origins. Then the training itself is measured: its loss against the true distribution of simulated series.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks import report
from tickercast import config, engines
from tickercast.app import App
from tickercast.backends.market_data.simulated import Oracle
from tickercast.domain.bars import Bars
from tickercast.domain.evaluation import by_group, evaluation_report, loss_ratio, rolling_losses, summary
from tickercast.domain.forecast import Predictor
from tickercast.jobs.training.train import evaluation_groups, held_out
from tickercast.models import catalogue
from tickercast.models.onnx import OnnxModel
from tickercast.show import chart

FAST_ENOUGH = ("garch",)  # to forecast from every origin
SLOW = ("auto-arima", "auto-ets", "auto-theta", "prophet")
RIVALS = ("ewma-fhs", "historical-simulation", *FAST_ENOUGH, *SLOW)
SAMPLE = 500  # origins
FIRST = date(2000, 1, 1)
FULL_YEAR = 200  # origins, over all symbols, from which on a year counts as full
SEEDS = (1, 2, 3, 4, 5)
SIMULATED_SYMBOLS, SIMULATED_THROUGH, SIMULATED_LAST = 40, date(2012, 12, 31), date(2022, 12, 1)


def main() -> None:
    """Run every part, and write `accuracy.json` with `accuracy.png` beside it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the folder that the champion was trained from")
    config.silence_telemetry()
    config.set_up_tensorflow()
    series = read(str(parser.parse_args().data))
    champion = App().models.shipped
    through = champion.card.trained_through
    model = catalogue.load_bundle(champion)
    held = held_out([bars.symbol for bars in series], champion.card.hold_out)
    unseen = evaluation_groups(series, held)
    figures = _stocks(model, unseen[""], through) | _slow(model, unseen[""], through)
    figures["sp_vs_best_peer"] = max(figures[f"sp_vs_{_underscored(name)}"] for name in RIVALS)
    figures |= _crypto(model, unseen["crypto_"], through)
    report.write("accuracy", figures | _simulated())


def read(data: str) -> Sequence[Bars]:
    """Read the bars of a folder, or exit with the reasons why not."""
    _report(f"reading {data}")
    source = engines.market_data(data)
    reading = source.fetch(source.symbols(), FIRST, date.today(), advance=lambda _: None)
    if reading.failures:
        sys.exit("\n".join(map(str, reading.failures.values())))
    return list(reading.bars.values())


# ---------------------------------------------------------------- the champion


def _stocks(model: Predictor, series: Sequence[Bars], through: date) -> dict[str, float]:
    peers = [*catalogue.evaluation_baselines(series, through), *map(catalogue.statistical, FAST_ENOUGH)]
    tables = _tables(model, peers, series, through)
    by_step = {peer.name: by_group(tables[peer.name], "step") for peer in peers}
    picture = chart.evaluation_png(evaluation_report(tables), by_step)
    (report.PROJECT / "benchmarks" / "accuracy.png").write_bytes(picture)
    own = tables[model.name]
    years = [measured for measured in by_group(own, "year").values() if measured["n"] >= FULL_YEAR]
    steps = by_group(own, "step").values()
    measured = summary(own)
    return {
        "n": measured["n"],
        **_ratio(tables, model.name, "ewma-t", "sp"),
        **{f"sp_vs_{_underscored(peer.name)}": loss_ratio(own, tables[peer.name], "sp")[0] for peer in peers[1:]},
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
    tables = _tables(model, [catalogue.statistical(name) for name in SLOW], series, through, windows=SAMPLE)
    ratios = {f"sp_vs_{_underscored(name)}": loss_ratio(tables[model.name], tables[name], "sp")[0] for name in SLOW}
    return {"n_slow": summary(tables[model.name])["n"], **ratios}


def _crypto(model: Predictor, series: Sequence[Bars], through: date) -> dict[str, float]:
    tables = _tables(model, catalogue.evaluation_baselines(series, through), series, through)
    measured = summary(tables[model.name])
    return {
        "crypto_n": measured["n"],
        **{f"crypto_{name}": value for name, value in _ratio(tables, model.name, "ewma-t", "sp").items()},
        "crypto_coverage_80": measured["coverage_80"],
        "crypto_coverage_95": measured["coverage_95"],
    }


def _tables(
    model: Predictor, peers: Sequence[Predictor], series: Sequence[Bars], through: date, **options: Any
) -> Mapping[str, pd.DataFrame]:
    _report(f"{len(series)} symbols after {through}: {', '.join(peer.name for peer in peers)}")
    models = {each.name: each for each in (model, *peers)}
    return rolling_losses(models, series, through + timedelta(days=1), date.today(), **options)


# ---------------------------------------------------------------- the training


def _simulated() -> dict[str, float]:
    from tickercast.models.lstm import training as lstm

    symbols = [f"SIM{number}" for number in range(2 * SIMULATED_SYMBOLS)]
    source = engines.market_data("simulated")
    series = list(source.fetch(symbols, FIRST, SIMULATED_LAST, advance=lambda _: None).bars.values())
    _report(f"training on {SIMULATED_SYMBOLS} simulated symbols through {SIMULATED_THROUGH}")
    trained = lstm.fit(series[:SIMULATED_SYMBOLS], trained_through=SIMULATED_THROUGH, seeds=SEEDS)
    tables = _tables(OnnxModel(trained.bundle()), [Oracle()], series[SIMULATED_SYMBOLS:], SIMULATED_THROUGH)
    return {"simulated_vs_oracle": loss_ratio(tables[trained.name], tables[Oracle.name], "sp")[0]}


# ---------------------------------------------------------------- figures


def _ratio(tables: Mapping[str, pd.DataFrame], own: str, peer: str, loss: str) -> dict[str, float]:
    name = f"{loss}_vs_{_underscored(peer)}"
    return dict(zip((name, f"{name}_lo", f"{name}_hi"), loss_ratio(tables[own], tables[peer], loss), strict=True))


def _underscored(name: str) -> str:
    return name.replace("-", "_")


def _report(progress: str) -> None:
    print(progress, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
