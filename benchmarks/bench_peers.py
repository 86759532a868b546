"""Measure the statistical models beside the shipped champion, on origins of unseen stocks.

    python -m benchmarks.bench_peers DATA

DATA is the folder that the champion was trained from. Each model is fitted anew at every origin, so that they are
measured on a sample of the origins that `bench_accuracy` takes. Writes `peers.json`.
"""

import argparse
from pathlib import Path

from benchmarks import report
from benchmarks.bench_accuracy import read
from tickercast import config
from tickercast.app import App
from tickercast.domain.measures.evaluation import loss_ratio, rolling_losses, summary
from tickercast.jobs.training.train import evaluation_groups, held_out
from tickercast.models import catalogue


def main() -> None:
    """Measure, and write `peers.json`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the folder that the champion was trained from")
    parser.add_argument("--origins", type=int, default=500, help="how many to forecast from")
    config.silence_telemetry()
    given = parser.parse_args()
    series = read(str(given.data))
    champion = App().models.shipped
    through = champion.card.trained_through
    model = catalogue.load_bundle(champion)
    unseen = evaluation_groups(series, held_out([bars.symbol for bars in series], champion.card.hold_out))[""]
    peers = [catalogue.statistical(name) for name in catalogue.STATISTICAL]
    models = {one.name: one for one in (model, *catalogue.evaluation_baselines(unseen, through), *peers)}
    last = max(bars.cutoff for bars in unseen)
    tables = rolling_losses(models, unseen, through, last, windows=given.origins)
    own = tables.pop(model.name)
    figures = {"n": summary(own)["n"]}
    for name, table in tables.items():
        ratio = loss_ratio(own, table, "sp")
        key = name.replace("-", "_")
        figures |= dict(zip((f"sp_vs_{key}", f"sp_vs_{key}_lo", f"sp_vs_{key}_hi"), ratio, strict=True))
        measured = summary(table)
        figures |= {f"{key}_coverage_80": measured["coverage_80"], f"{key}_coverage_95": measured["coverage_95"]}
    report.write("peers", figures)


if __name__ == "__main__":
    main()
