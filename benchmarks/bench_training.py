"""Time the training of the champion's network, and compare its Keras form with its ONNX form.

    python -m benchmarks.bench_training DATA

DATA is the folder that the champion was trained from (see its card). Five networks learn from its first 100 stocks up
to the champion's last date; reading the bars is not timed.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import numpy as np

from benchmarks import report
from tickercast import config, engines
from tickercast.app import App
from tickercast.domain.asset_classes import is_stock
from tickercast.domain.bars import Bars
from tickercast.models.onnx import OnnxModel

FIRST = date(2000, 1, 1)
SYMBOLS, SEEDS = 100, (1, 2, 3, 4, 5)


def main() -> None:
    """Train once, and write `training.json`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the folder that the champion was trained from")
    data = str(parser.parse_args().data)
    config.silence_telemetry()
    config.set_up_tensorflow()
    source = engines.market_data(data)
    stocks = [symbol for symbol in source.symbols() if is_stock(symbol)][:SYMBOLS]
    through = App().models.shipped.card.trained_through
    reading = source.fetch(stocks, FIRST, through, advance=lambda _: None)
    if reading.failures:
        sys.exit("\n".join(map(str, reading.failures.values())))
    report.write("training", _training(list(reading.bars.values()), through))


def _training(series: Sequence[Bars], through: date) -> dict[str, float]:
    from tickercast.models.lstm import training as lstm
    from tickercast.models.lstm.examples import examples

    print(f"training {len(SEEDS)} seeds on {len(series)} symbols", file=sys.stderr, flush=True)
    started, worked = time.perf_counter(), time.process_time()
    trained = lstm.fit(series, trained_through=through, seeds=SEEDS)
    elapsed, worked = time.perf_counter() - started, time.process_time() - worked
    served = OnnxModel(trained.bundle())
    sample = examples(series[:5], through)[np.arange(500)]
    theirs = served.answer(sample.steps, sample.statics)
    ours = trained.answer(sample.steps, sample.statics)
    return {
        "train_5_seeds_100_symbols_s": elapsed,
        "train_5_seeds_100_symbols_cpu_s": worked,
        "onnx_max_abs_diff": float(np.abs(theirs - ours).max()),
    }


if __name__ == "__main__":
    main()
