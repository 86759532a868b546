"""Count the false alarms of the daily drift check, and the sessions until it detects March 2020.

    python -m benchmarks.bench_drift DATA

DATA is the folder that the champion was trained from (see its card). Watchlists hold symbols that it was not trained
on. False alarms are counted on simulated series, whose process never changes, with a reference made from other
simulated series; and on the quiet years 2013 to 2017, once with the shipped reference, which knows those years from
other symbols, and once with a reference that ends before them. Every session counts as a day.
"""

import argparse
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import numpy as np
from tests.support.drift_days import alarms, judged

from benchmarks import report
from tickercast import config, engines
from tickercast.app import App
from tickercast.domain.bars import Bars
from tickercast.domain.forecast import RollingPredictor
from tickercast.domain.measures.drift import Reference, read_reference
from tickercast.domain.measures.reference import Observed, make_reference, observe
from tickercast.jobs.operations.drift import BACKTEST_RATIO
from tickercast.jobs.training.train import evaluation_groups, held_out
from tickercast.models import catalogue

FIRST = date(2000, 1, 1)
SIZES = (5, 10, 36)
TRAINING_SYMBOLS, WATCHLISTS = 74, 8  # simulated symbols of the reference; watchlists of each size
SIMULATED_THROUGH, SIMULATED_LAST = date(2018, 12, 31), date(2021, 12, 30)
QUIET, BEFORE_QUIET = (date(2013, 1, 2), date(2017, 12, 29)), date(2012, 12, 31)
BEFORE_CRASH, CRASH = (date(2019, 11, 1), date(2020, 2, 19)), (date(2020, 2, 20), date(2020, 4, 30))
LISTED_SINCE = date(2012, 1, 3)  # a watchlist has all its symbols on every day that is counted


def main() -> None:
    """Run every part and write `drift.json`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the folder that the champion was trained from")
    data = str(parser.parse_args().data)
    config.silence_telemetry()
    champion = App().models.shipped
    model, backtest = catalogue.load_bundle(champion), champion.card.metrics[BACKTEST_RATIO]
    series = _fetch(data, engines.market_data(data).symbols(), FIRST, date.today())
    held = held_out([bars.symbol for bars in series], champion.card.hold_out)
    unseen = [observe(bars, model) for bars in evaluation_groups(series, held)[""]]
    trained_on = set(read_reference(champion.reference).symbols)
    training_bars = [bars for bars in series if bars.symbol in trained_on]
    figures = _simulated(model)
    figures |= _quiet("quiet", SIZES, read_reference(champion.reference), unseen, backtest)
    figures |= _quiet("quiet_unseen", SIZES[1:2], _reference(training_bars, model, BEFORE_QUIET), unseen, backtest)
    report.write("drift", figures | _crash(read_reference(champion.reference), unseen, backtest))


def _simulated(model: RollingPredictor) -> dict[str, float]:
    _report("simulated series")
    names = [f"S{number:03d}" for number in range(TRAINING_SYMBOLS + WATCHLISTS * max(SIZES))]
    training = _fetch("simulated", names[:TRAINING_SYMBOLS], FIRST, SIMULATED_THROUGH)
    reference = _reference(training, model, SIMULATED_THROUGH)
    watched = _fetch("simulated", names[TRAINING_SYMBOLS:], date(2017, 1, 3), SIMULATED_LAST)
    others = [observe(bars, model) for bars in watched]
    figures: dict[str, float] = {"simulated_paths": WATCHLISTS}
    for size in SIZES:
        lists = [others[number * max(SIZES) :][:size] for number in range(WATCHLISTS)]
        figures |= _counted(f"simulated_{size}", reference, lists, (date(2019, 1, 2), SIMULATED_LAST), None)
    return figures


def _quiet(
    name: str, sizes: Sequence[int], reference: Reference, unseen: Sequence[Observed], backtest: float
) -> dict[str, float]:
    _report(f"2013 to 2017: {name}")
    figures: dict[str, float] = {}
    for size in sizes:
        figures |= _counted(f"{name}_{size}", reference, _watchlists(unseen, size), QUIET, backtest)
    return figures


def _counted(
    name: str,
    reference: Reference,
    lists: Sequence[Sequence[Observed]],
    days: tuple[date, date],
    backtest: float | None,
) -> dict[str, float]:
    counted = [judged(reference, watched, *days, backtest) for watched in lists]
    shares = [len(alarms(found)) / len(found) for found in counted]
    total = sum(map(len, counted))
    return {
        f"{name}_days": total,
        f"{name}_alarm_share": sum(len(alarms(found)) for found in counted) / total,
        f"{name}_worst_list": max(shares),
    }


def _crash(reference: Reference, unseen: Sequence[Observed], backtest: float) -> dict[str, float]:
    _report("March 2020")
    figures: dict[str, float] = {}
    for size in SIZES:
        lists = _watchlists(unseen, size)
        found = [judged(reference, watched, *CRASH, backtest) for watched in lists]
        sessions = [list(days).index(alarms(days)[0]) + 1 if alarms(days) else len(days) for days in found]
        before = [judged(reference, watched, *BEFORE_CRASH, backtest) for watched in lists]
        figures |= {
            f"march_2020_{size}_sessions": float(np.median(sessions)),
            f"march_2020_{size}_sessions_worst_list": max(sessions),
            f"march_2020_{size}_alarms_since_november": sum(len(alarms(days)) for days in before),
        }
    return figures


def _watchlists(unseen: Sequence[Observed], size: int) -> list[list[Observed]]:
    """Draw watchlists from the symbols that were listed in time; a list of all of them is the only one."""
    listed = [one for one in unseen if one.session_dates[0].item() <= LISTED_SINCE]
    if size >= len(listed):
        return [listed]
    random = np.random.default_rng(size)
    return [[listed[at] for at in random.choice(len(listed), size, replace=False)] for _ in range(WATCHLISTS)]


def _reference(series: Sequence[Bars], model: RollingPredictor, through: date) -> Reference:
    known = [bars.through(through) for bars in series]
    return make_reference([observe(bars, model) for bars in known if len(bars) >= model.min_sessions])


def _fetch(source: str, symbols: Sequence[str], first: date, last: date) -> list[Bars]:
    reading = engines.market_data(source).fetch(symbols, first, last, advance=lambda _: None)
    if reading.failures:
        sys.exit("\n".join(map(str, reading.failures.values())))
    return list(reading.bars.values())


def _report(progress: str) -> None:
    print(progress, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
