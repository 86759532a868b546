"""Count what BigQuery would bill, from the queries that a day, a dashboard and a track record really ask.

A day is run twice on a small exchange, and the queries of the second, usual one are recorded, as are those of a
symbol's page and of the track record. `deploy/scans.py` counts their bytes in a warehouse of 8,000 symbols after a
year. The bill of `deploy/cost.py` is made of the same numbers.
"""

import math
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

from deploy import cost
from deploy.scans import Query, Sizes, billed, scans
from tests.support.trading import SYMBOLS, Evening

from benchmarks import report
from benchmarks.recorded_queries import Recording, recording
from tickercast.domain.symbols import MOST_SAMPLED
from tickercast.jobs.requests.upload import BATCH
from tickercast.reading import views
from tickercast.reading.calibration import calibrations
from tickercast.reading.track_record import seen_in_training

_SAMPLED = (
    *("FROM forecast_scores", "FROM champion_scores", "FROM forecast_history", "open, high, low"),
    "FROM prices WHERE symbol IN",
)
"""The words in queries that ask about a sample of the symbols."""

_FEW = 250
"""Symbols whose newest day has as many origins as the alert about coverage looks at."""


def day(folder: Path) -> tuple[Recording, date]:
    """The queries of a usual evening, and its date."""
    evening = Evening(folder)
    evening.begin(1.0)
    evening.run()
    evening.day += timedelta(days=1)
    with recording() as kept:
        deliver = evening.deliver

        def handle(described: object) -> None:
            kept.in_event = True
            try:
                deliver(described)  # type: ignore[arg-type]
            finally:
                kept.in_event = False

        evening.app.__dict__.pop("store", None)
        evening.deliver = handle  # type: ignore[method-assign]
        evening.run()
    return kept, evening.day


def pages(folder: Path) -> tuple[list[Query], list[Query]]:
    """The queries of one symbol's page, and those of the track record."""
    evening = Evening(folder)
    warehouse, models = evening.warehouse, evening.app.models
    warehouse.provision()
    one = SYMBOLS[0]
    with recording() as page:
        asked = (views.bars, views.champion_forecasts, views.companion_forecasts, views.histogram, views.champion_skill)
        for ask in asked:
            ask(warehouse, one)
        views.quantiles(
            warehouse, one, ("ohlc/1d/2023-07-22/batch-0001.csv", "1", "tickercast-lstm"), date(2023, 7, 21)
        )
        calibrations(warehouse, [one])
        seen_in_training([one], warehouse=warehouse, models=models)
        views.symbols(warehouse)
        views.freshness(warehouse)
    with recording() as record:
        for every in (views.skill, views.coverage, views.models):
            every(warehouse)
        seen_in_training(None, warehouse=warehouse, models=models)
    return page.queries, record.queries


def page_bytes(page: Sequence[Query], sizes: Sizes) -> float:
    """The bytes that a refresh of one symbol's page reads."""
    return sum(billed(replace(query, share=1 / sizes.symbols), sizes) for query in page)


def flow_bytes(kept: Recording, sizes: Sizes) -> float:
    """The bytes that the day itself reads."""
    total = 0.0
    coverage = [query for query in kept.queries if "80% interval" in query.text]
    for query in kept.queries:
        if query in coverage[1:] and sizes.symbols > _FEW:
            continue  # asked again further back, only where few symbols have few origins
        sampled = any(name in query.text for name in _SAMPLED)
        share = min(1.0, MOST_SAMPLED / sizes.symbols) if sampled else 1.0
        if "object" in query.filters:
            share = 1 / sizes.sessions  # all files of the day
        total += billed(replace(query, share=share), sizes)
    return total


def event_bytes(kept: Recording, sizes: Sizes) -> float:
    """The bytes that the function reads for all files of a day."""
    files, batch = math.ceil(sizes.symbols / BATCH), min(1.0, BATCH / sizes.symbols)
    return files * sum(billed(replace(query, share=batch), sizes) for query in kept.events)


def measure() -> dict[str, float]:
    """The figures of cost.json, and the bytes that figures.tsv holds."""
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as other:
        kept, last = day(Path(folder))
        page, record = pages(Path(other))
    sizes = Sizes(8000, last=last)
    bills = {symbols: cost.total(cost.Plan(symbols)) for symbols in cost.SYMBOLS}
    return {f"usd_month_{symbols}": bill for symbols, bill in bills.items()} | {
        "bytes_refresh_one_symbol_8000_year": page_bytes(page, sizes),
        "bytes_track_record_8000_year": sum(billed(query, sizes) for query in record),
        "bytes_daily_flow_8000_year": flow_bytes(kept, sizes),
        "bytes_events_8000_year": event_bytes(kept, sizes),
    }


def explain() -> None:
    """Print each query with its bytes, the largest first."""
    with tempfile.TemporaryDirectory() as folder:
        kept, last = day(Path(folder))
    sizes = Sizes(8000, last=last)
    for what, queries in (("flow", kept.queries), ("events", kept.events)):
        for query in sorted(queries, key=lambda one: -billed(one, sizes)):
            read = [(scan.table, len(scan.columns), round(scan.read / 1e6)) for scan in scans(query, sizes)]
            print(
                what, round(billed(query, sizes) / 1e6), query.text[:90].replace("\n", " "), list(query.filters), read
            )


if __name__ == "__main__":
    report.write("cost", measure())
