"""Measure the shipped champion on symbols and dates that it was not trained on, beside models that users might pick.

    python -m benchmarks.bench_accuracy DATA

DATA is the folder that the champion was trained from (see its card), with the results days in `events/results.csv`: the
symbols that the training held out, and the other asset classes, are forecast after the last date that the champion has
seen. Origins begin at another session for each symbol. The slower statistical models are fitted on a sample of the
origins. The former champion is in `benchmarks/previous`. Then the training itself is measured: its loss against the
true distribution of simulated series.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks import report
from tickercast import config, engines
from tickercast.app import App
from tickercast.backends.market_data.simulated import Oracle
from tickercast.backends.results_days.file import ResultsFile
from tickercast.domain.bars import Bars
from tickercast.domain.cards.model_card import read_bundle
from tickercast.domain.events import ResultsDays
from tickercast.domain.forecast import RANDOM_WALK, Predictor
from tickercast.domain.measures.evaluation import (
    INSIDE,
    by_group,
    evaluation_report,
    loss_ratio,
    rolling_losses,
    summary,
)
from tickercast.domain.measures.promotion import Evidence, decide
from tickercast.jobs.training.train import evaluation_groups, held_out
from tickercast.models import catalogue
from tickercast.models.onnx import OnnxModel
from tickercast.reading.events import of_rows
from tickercast.show import chart

PREVIOUS = report.PROJECT / "benchmarks" / "previous"
FAST_ENOUGH = ("garch",)  # to forecast from every origin
SLOW = ("auto-arima", "auto-ets", "auto-theta", "prophet")
RIVALS = ("ewma-fhs", "historical-simulation", *FAST_ENOUGH, *SLOW)
SAMPLE = 500  # origins
FIRST = date(2000, 1, 1)
FULL_YEAR = 200  # origins, over all symbols, from which on a year counts as full
SEEDS = (1, 2, 3, 4, 5)
SIMULATED_SYMBOLS, SIMULATED_THROUGH, SIMULATED_LAST = 40, date(2012, 12, 31), date(2022, 12, 1)
USUAL_COVERAGE = 0.76, 0.84  # of the 80% interval of a symbol

Tables = Mapping[str, pd.DataFrame]


def main() -> None:
    """Run every part, and write `accuracy.json` with `accuracy.png` beside it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the folder that the champion was trained from")
    parser.add_argument("--quick", action="store_true", help="leave out the slow models, and what is simulated")
    config.silence_telemetry()
    config.set_up_tensorflow()
    given = parser.parse_args()
    series, results = read(str(given.data)), read_results(given.data)
    champion = App().models.shipped
    through = champion.card.trained_through
    model = catalogue.load_bundle(champion)
    fixed = _Fixed(champion)
    held = held_out([bars.symbol for bars in series], champion.card.hold_out)
    unseen = evaluation_groups(series, held)
    figures = _stocks(model, fixed, unseen.pop(""), through, results)
    if not given.quick:
        figures |= _slow(model, evaluation_groups(series, held)[""], through, results)
        figures["sp_vs_best_peer"] = max(figures[f"sp_vs_{_underscored(name)}"] for name in RIVALS)
    for prefix, group in unseen.items():
        figures |= _class(model, group, through, prefix)
    report.write("accuracy", figures if given.quick else figures | _simulated())


def read(data: str) -> Sequence[Bars]:
    """Read the bars of a folder, or exit with the reasons why not."""
    _report(f"reading {data}")
    source = engines.market_data(data)
    reading = source.fetch(source.symbols(), FIRST, date.today(), advance=lambda _: None)
    if reading.failures:
        sys.exit("\n".join(map(str, reading.failures.values())))
    return list(reading.bars.values())


def read_results(data: Path) -> Mapping[str, ResultsDays]:
    """The results days in the folder that the champion was trained from, by symbol."""
    return of_rows(ResultsFile(data / "events" / "results.csv", now=lambda: datetime.now(UTC)).all_rows())


# ---------------------------------------------------------------- the champion


def _stocks(
    model: Predictor, fixed: Predictor, series: Sequence[Bars], through: date, results: Mapping[str, ResultsDays]
) -> dict[str, float]:
    """The stocks: with announced results days, with predicted ones, with none, and with widths that do not follow."""
    peers = [*catalogue.evaluation_baselines(series, through), *map(catalogue.statistical, FAST_ENOUGH)]
    previous = _previous()
    announced = {symbol: days.announced() for symbol, days in results.items()}
    tables = _tables(model, [fixed, *peers, previous], series, through, results=announced)
    own, former, unfollowed = tables[model.name], tables[previous.name], tables[fixed.name]
    by_step = {peer.name: by_group(tables[peer.name], "step") for peer in peers}
    drawn = {name: table for name, table in tables.items() if name not in (previous.name, fixed.name)}
    (report.PROJECT / "benchmarks" / "accuracy.png").write_bytes(
        chart.evaluation_png(evaluation_report(drawn), by_step)
    )
    reported = {symbol: days.reported() for symbol, days in results.items()}
    predicted = _tables(model, [], series, through, results=reported)[model.name].assign(results=own["results"])
    unaware = _tables(model, [], series, through)[model.name].assign(results=own["results"])
    years = [measured for measured in by_group(own, "year").values() if measured["n"] >= FULL_YEAR]
    steps = by_group(own, "step").values()
    measured = summary(own)
    return {
        "n": measured["n"],
        **_ratio(tables, model.name, "ewma-t", "sp"),
        **_ratio(tables, model.name, "ewma-fhs", "sp"),
        **{f"sp_vs_{_underscored(peer.name)}": loss_ratio(own, tables[peer.name], "sp")[0] for peer in peers[2:]},
        **_ratio(tables, model.name, "ewma-t", "w95"),
        "coverage_80": measured["coverage_80"],
        "coverage_95": measured["coverage_95"],
        "coverage_80_min_year": min(year["coverage_80"] for year in years),
        "coverage_80_max_year": max(year["coverage_80"] for year in years),
        "coverage_80_min_step": min(step["coverage_80"] for step in steps),
        "coverage_80_max_step": max(step["coverage_80"] for step in steps),
        "mae_vs_naive": measured["mae_vs_naive"],
        "mae_vs_naive_max_year": max(year["mae_vs_naive"] for year in years),
        "symbols_outside_76_84": _outside(own),
        **_windows(own, former, predicted, unaware),
        **_against_previous(tables, own, former, unaware),
        **_without_factors(tables, unfollowed, own),
    }


def _without_factors(tables: Tables, unfollowed: pd.DataFrame, own: pd.DataFrame) -> dict[str, float]:
    """The network as it answers where no daily run keeps factors of widths."""
    measured = summary(unfollowed)
    years = [year["coverage_80"] for year in by_group(unfollowed, "year").values() if year["n"] >= FULL_YEAR]
    return {
        "fixed_coverage_80": measured["coverage_80"],
        "fixed_coverage_95": measured["coverage_95"],
        "fixed_coverage_80_min_year": min(years),
        "fixed_coverage_80_max_year": max(years),
        "fixed_sp_vs_following": loss_ratio(unfollowed, own, "sp")[0],
        "fixed_sp_vs_ewma_t": loss_ratio(unfollowed, tables["ewma-t"], "sp")[0],
        "fixed_sp_vs_ewma_fhs": loss_ratio(unfollowed, tables["ewma-fhs"], "sp")[0],
        "fixed_w95_vs_ewma_t": loss_ratio(unfollowed, tables["ewma-t"], "w95")[0],
        "fixed_symbols_outside_76_84": _outside(unfollowed),
    }


def _windows(
    own: pd.DataFrame, former: pd.DataFrame, predicted: pd.DataFrame, unaware: pd.DataFrame
) -> dict[str, float]:
    """The origins with results inside their horizon."""
    inside = (own["results"] == INSIDE).to_numpy()
    measured = summary(own[inside])
    return {
        "results_n": measured["n"],
        "results_coverage_80": measured["coverage_80"],
        "results_coverage_95": measured["coverage_95"],
        "results_predicted_coverage_80": summary(predicted[inside])["coverage_80"],
        "results_previous_coverage_80": summary(former[inside])["coverage_80"],
        "results_previous_coverage_95": summary(former[inside])["coverage_95"],
        "results_sp_vs_previous": loss_ratio(own, former, "sp")[0],
        "results_predicted_sp_vs_previous": loss_ratio(predicted, former, "sp")[0],
        "results_sp_vs_none": loss_ratio(own, unaware, "sp")[0],
        "results_predicted_sp_vs_none": loss_ratio(predicted, unaware, "sp")[0],
    }


def _against_previous(
    tables: Tables, own: pd.DataFrame, former: pd.DataFrame, unaware: pd.DataFrame
) -> dict[str, float]:
    """The former champion on the same origins, and what the rule of promotion says."""
    ratio = loss_ratio(own, former, "sp")
    measured, earlier = summary(own), summary(former)
    walk = loss_ratio(own, tables[RANDOM_WALK], "sp")
    decision = decide(Evidence(round(measured["n"]), ratio, walk, measured["coverage_80"], 0))
    return {
        **dict(
            zip(
                ("sp_vs_previous", "sp_vs_previous_lo", "sp_vs_previous_hi"),
                loss_ratio(unaware, former, "sp"),
                strict=True,
            )
        ),
        **{f"previous_{name}": earlier[name] for name in ("coverage_80", "coverage_95", "mae_vs_naive")},
        "previous_sp_vs_ewma_t": loss_ratio(former, tables["ewma-t"], "sp")[0],
        "previous_sp_vs_ewma_fhs": loss_ratio(former, tables["ewma-fhs"], "sp")[0],
        "previous_w95_vs_ewma_t": loss_ratio(former, tables["ewma-t"], "w95")[0],
        "previous_symbols_outside_76_84": _outside(former),
        "promoted": float(decision.promote),
    }


def _outside(table: pd.DataFrame) -> float:
    """The share of symbols whose 80% intervals held outside of the usual."""
    low, high = USUAL_COVERAGE
    held = [measured["coverage_80"] for measured in by_group(table, "symbol").values()]
    return sum(not low <= share <= high for share in held) / len(held)


def _slow(
    model: Predictor, series: Sequence[Bars], through: date, results: Mapping[str, ResultsDays]
) -> dict[str, float]:
    announced = {symbol: days.announced() for symbol, days in results.items()}
    slow = [catalogue.statistical(name) for name in SLOW]
    tables = _tables(model, slow, series, through, windows=SAMPLE, results=announced)
    figures = {"n_slow": summary(tables[model.name])["n"]}
    for name in SLOW:
        figures |= _ratio(tables, model.name, name, "sp")
    return figures


def _class(model: Predictor, series: Sequence[Bars], through: date, prefix: str) -> dict[str, float]:
    """Another asset class, beside the former champion."""
    previous = _previous()
    tables = _tables(model, [*catalogue.evaluation_baselines(series, through), previous], series, through)
    own = tables[model.name]
    measured, first = summary(own), own["step"] == 1
    figures = {
        "n": measured["n"],
        **_ratio(tables, model.name, "ewma-t", "sp"),
        **_ratio(tables, model.name, "ewma-fhs", "sp"),
        "sp_vs_previous": loss_ratio(own, tables[previous.name], "sp")[0],
        "coverage_80": measured["coverage_80"],
        "coverage_80_step_1": summary(own[first])["coverage_80"],
        "coverage_95": measured["coverage_95"],
        "mae_vs_naive": measured["mae_vs_naive"],
        "previous_coverage_80": summary(tables[previous.name])["coverage_80"],
        "previous_coverage_80_step_1": summary(tables[previous.name][first])["coverage_80"],
    }
    return {f"{prefix}{name}": value for name, value in figures.items()}


class _Previous(OnnxModel):
    """The former champion under a name of its own."""

    name = "previous"


class _Fixed(OnnxModel):
    """The champion whose intervals do not follow what earlier ones held."""

    name = "fixed-widths"
    adapts = False


def _previous() -> Predictor:
    files = (PREVIOUS / "model.json").read_bytes(), (PREVIOUS / "model.onnx").read_bytes
    return _Previous(read_bundle(*files, remedy=f"Check {PREVIOUS} out again."))


def _tables(
    model: Predictor, peers: Sequence[Predictor], series: Sequence[Bars], through: date, **options: Any
) -> Tables:
    _report(f"{len(series)} symbols after {through}: {', '.join(peer.name for peer in peers) or model.name}")
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
