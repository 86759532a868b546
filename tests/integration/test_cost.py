"""The bill: its bytes are those that recorded queries would scan by BigQuery's rules, and it follows what is asked."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from benchmarks import bench_cost
from benchmarks.recorded_queries import Recording
from deploy import cost
from deploy.scans import LEAST, Query, Sizes, billed, scans

PROJECT = Path(__file__).parents[2]
NEAR = 0.3
"""How far the bill's round numbers may be from what was counted."""
DAY = 2e9
"""The bytes that the day may read of 8,000 symbols after a year."""


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Recording, date, list[Query], list[Query]]:
    return *bench_cost.day(tmp_path_factory.mktemp("day")), *bench_cost.pages(tmp_path_factory.mktemp("pages"))


@pytest.mark.parametrize("symbols", [500, 8000])
def test_the_bills_bytes_are_those_of_the_recorded_queries(symbols: int, recorded: tuple) -> None:
    kept, last, page, record = recorded
    sizes, plan = Sizes(symbols, last=last), cost.Plan(symbols)
    told = cost.scanned(plan, cost.read())
    counted = {
        "refresh": bench_cost.page_bytes(page, sizes),
        "track_record": sum(billed(query, sizes) for query in record),
        "flow": bench_cost.flow_bytes(kept, sizes),
        "events": bench_cost.event_bytes(kept, sizes),
    }
    for name, found in counted.items():
        assert told[name] * 1e6 == pytest.approx(found, rel=NEAR), name


def test_the_committed_figures_are_those_of_the_queries_of_today(recorded: tuple) -> None:
    kept, last, page, record = recorded
    figures: Mapping[str, float] = json.loads((PROJECT / "benchmarks" / "cost.json").read_text())["figures"]
    sizes = Sizes(8000, last=last)
    assert figures["bytes_refresh_one_symbol_8000_year"] == pytest.approx(bench_cost.page_bytes(page, sizes))
    assert figures["bytes_track_record_8000_year"] == pytest.approx(sum(billed(query, sizes) for query in record))
    assert figures["bytes_daily_flow_8000_year"] == pytest.approx(bench_cost.flow_bytes(kept, sizes))
    assert figures["bytes_daily_flow_8000_year"] <= DAY
    read = f"The day reads {figures['bytes_daily_flow_8000_year'] / 1e9:.2f} GB at 8,000 symbols after a year"
    assert read in " ".join((PROJECT / "docs" / "cost.md").read_text().split())
    for symbols in cost.SYMBOLS:
        assert figures[f"usd_month_{symbols}"] == pytest.approx(cost.total(cost.Plan(symbols)), abs=0.01)


def test_the_speed_of_the_function_is_the_one_that_was_measured_last() -> None:
    figure = cost.read()["symbols_a_second"]
    serving = json.loads((PROJECT / figure.source).read_text())
    assert (figure.value, figure.date) == (round(serving["figures"]["symbols_per_second_500"]), serving["date"])


def test_eight_thousand_symbols_cost_at_most_forty_dollars_all_told() -> None:
    asked = cost.Plan(8000, refreshes=50, track_records=20)
    assert cost.total(asked) <= 40
    assert cost.total(replace(asked, with_mlflow=True)) <= 40


def test_the_bill_follows_what_is_asked() -> None:
    bills = [cost.total(cost.Plan(symbols)) for symbols in cost.SYMBOLS]
    assert bills == sorted(bills)
    busy = cost.total(cost.Plan(8000, track_records=200))
    assert busy > 4 * cost.total(cost.Plan(8000, track_records=20))
    assert cost.total(cost.Plan(8000, day_memory_gib=32)) > cost.total(cost.Plan(8000))


def test_a_budget_that_is_too_small_is_said() -> None:
    assert "The budget of 10 USD is less than 8,000 symbols cost" in cost.table([cost.Plan(8000)], budget=10)
    assert "The budget" not in cost.table([cost.Plan(8000)], budget=100)


@pytest.mark.parametrize(
    ("query", "table", "columns", "share"),
    [
        (Query("SELECT close FROM prices", {}), "prices", ("close",), 1.0),
        (Query("SELECT close FROM prices", {"symbol": "A"}), "prices", ("close",), 1 / 8000),
        (Query("SELECT close FROM prices", {"symbol": ["A"]}, share=0.5), "prices", ("close",), 0.5),
        (Query("SELECT symbol, SUM(n) AS n FROM coverage GROUP BY symbol", {}), "skill_blocks", None, 1.0),
    ],
)
def test_a_query_is_billed_for_its_columns_and_the_symbols_that_it_names(
    query: Query, table: str, columns: tuple[str, ...] | None, share: float
) -> None:
    sizes = Sizes(8000)
    found = [scan for scan in scans(query, sizes) if scan.table == table]
    assert found
    if columns:
        assert found[0].columns == columns
        assert found[0].read == max(LEAST, share * sizes.rows("prices") * 8)


def test_partitions_that_a_filter_leaves_out_are_not_billed() -> None:
    sizes = Sizes(8000)
    whole = billed(Query("SELECT * FROM prices", {}), sizes)
    month = billed(Query("SELECT * FROM prices", {"session_date": [date(2026, 11, 1), None]}), sizes)
    assert whole / 30 < month < whole / 20
    ranges = [[date(2026, 11, 1), date(2026, 11, 25)], [date(2023, 11, 1), date(2023, 11, 25)]]
    two = billed(Query("SELECT * FROM prices", {"session_date": ranges}), sizes)
    assert two == pytest.approx(2 * month)


def test_a_filter_that_a_view_does_not_pass_on_saves_nothing() -> None:
    sizes, day = Sizes(8000), {"cutoff": [date(2026, 11, 1), None]}
    assert billed(Query("SELECT symbol FROM latest_forecasts", day), sizes) == billed(
        Query("SELECT symbol FROM latest_forecasts", {}), sizes
    )
    assert (
        billed(Query("SELECT symbol FROM forecast_history", day), sizes)
        < 1e9
        < billed(Query("SELECT symbol FROM forecast_history", {}), sizes)
    )


def test_a_table_costs_ten_megabytes_at_least() -> None:
    assert billed(Query("SELECT close FROM prices", {}), Sizes(1)) == 10e6
