"""Tables on terminals of any width: nothing is cut, and no line runs over the edge."""

import io
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime

import pandas as pd
import pytest
from rich.console import Console, RenderableType
from rich.text import Text
from tests.unit.test_tables import CUTOFF, made

from tickercast.domain.alerts import Alert
from tickercast.domain.forecast import Forecast
from tickercast.domain.measures.calibration import Calibration
from tickercast.jobs.operations.doctor import Check
from tickercast.reading.ledger import Entry
from tickercast.reading.overview import Row
from tickercast.show import tables
from tickercast.show.fitting import Table
from tickercast.show.overview import overview_table

NAME = "ohlc/2023-07-22/a-batch-of-a-broker-0001.parquet"


def printed(renderable: RenderableType, width: int, *, is_terminal: bool = True) -> list[str]:
    console = Console(file=io.StringIO(), width=width, force_terminal=is_terminal, color_system=None)
    with console.capture() as capture:
        console.print(renderable)
    return [line.rstrip() for line in capture.get().splitlines()]


def dear() -> Forecast:
    """A forecast with prices of four digits."""
    forecast = made()
    names = ("close_median", "close_lo_80", "close_hi_80", "close_lo_95", "close_hi_95")
    steps = [replace(step, **{name: 18.9 * getattr(step, name) for name in names}) for step in forecast.steps]
    return replace(forecast, last_close=1890.0, steps=tuple(steps))


def row(symbol: str) -> Row:
    return Row(
        symbol=symbol,
        cutoff=CUTOFF,
        last_close=30_123.45,
        change=-0.012,
        sessions=10,
        target_date=date(2023, 8, 4),
        close_median=30_200.0,
        close_lo_80=28_000.0,
        close_hi_80=32_000.0,
        lo_80=-0.0705,
        hi_80=0.0623,
        width_rank=0.37,
        widths=tuple(0.1 + 0.001 * week for week in range(51)),
        chance_higher=0.551,
        coverage_80=0.79,
        n=1200,
        verdict="too early",
        findings="gap: no bar of 2023-07-03",
        doubtful=True,
        simulated=False,
        model_name="lstm",
        model_version="3",
        age_days=3,
        state="stale",
        missed=1,
        freshness="1 session has closed since 2023-07-21: this forecast is stale.",
    )


def entry() -> Entry:
    moment = datetime(2023, 7, 22, 12, tzinfo=UTC)
    return Entry(
        object=NAME,
        generation="1690000000000000",
        symbol="MSFT",
        status="rejected",
        reason="MSFT: Close has 3 bars without a number: a number was needed in each of them. Correct the file.",
        findings="",
        rows=10,
        cutoff=None,
        received_at=moment,
    )


TABLES: dict[str, Callable[[], RenderableType]] = {
    "forecast": lambda: tables.forecast_table(dear(), None, "file:///x"),
    "forecast with what followed": lambda: tables.forecast_table(dear(), {CUTOFF: 1.0}, "file:///x"),
    "summary": lambda: tables.summary_table([dear(), dear()]),
    "overview": lambda: overview_table([row("ETH-USD"), row("MSFT")]),
    "ledger": lambda: tables.entries_table([entry()]),
    "doctor": lambda: tables.checks_table([Check("warehouse", "duckdb:///a/b/c.duckdb", "3 ingestions", well=True)]),
    "alerts": lambda: tables.alerts_table([Alert("stale:MSFT", "warning", "MSFT has no fresh forecast", "A text.")]),
    "query": lambda: tables.rows_table(pd.DataFrame({f"a_long_name_{n}": [1234567.25] for n in range(6)})),
}


@pytest.mark.parametrize("width", [40, 80, 100])
@pytest.mark.parametrize("name", TABLES)
def test_no_line_is_longer_than_the_terminal_and_no_cell_is_cut(name: str, width: int) -> None:
    lines = printed(TABLES[name](), width)
    assert max(map(len, lines)) <= width
    assert not [line for line in lines if "…" in line.replace(" … ", "")]


def test_a_forecast_loses_the_95_percent_interval_first() -> None:
    wide, narrow, phone = ("\n".join(printed(TABLES["forecast"](), width)) for width in (100, 60, 40))
    assert "95% interval" in wide
    assert "95% interval" not in narrow
    assert "change" in narrow
    assert "change" not in phone
    for text in (wide, narrow, phone):
        assert "07-31" in text
        assert "1,795.50 … 1,984.50" in text


def test_the_overview_keeps_symbol_close_and_state_on_the_narrowest() -> None:
    heads = [printed(TABLES["overview"](), width)[1].split() for width in (150, 80, 40)]
    assert heads[2] == ["symbol", "close", "±", "state"]
    assert {"day", "higher", "state"} <= set(heads[1])
    assert "verdict" in heads[0]
    phone = "\n".join(printed(TABLES["overview"](), 40))
    assert "30,123.45" in phone
    assert "stale" in phone
    assert "1 session has closed" in " ".join(phone.split())


def test_the_overview_says_whose_intervals_have_not_held() -> None:
    narrow = Calibration("MSFT", 7_430, 0.69, 0.64, 0.74, 39, "too narrow")
    right = Calibration("ETH-USD", 7_430, 0.79, 0.76, 0.82, 39, "holds")
    text = "\n".join(printed(overview_table([row("ETH-USD"), row("MSFT")], [narrow, right]), 150))
    assert "MSFT: too narrow: the 80% intervals held 69% (64% to 74%) of 7,430 closes in 39 blocks of 28 days" in text
    assert "ETH-USD: holds" not in text


def test_a_row_that_does_not_fit_is_a_block_of_lines() -> None:
    lines = printed(TABLES["ledger"](), 60)
    assert "status" in lines[5]
    assert "rejected" in lines[5]
    assert "1690000000000000" in "".join(lines)
    assert not [line for line in printed(TABLES["query"](), 40) if "1234" in line and "a_long" not in line]


def test_a_pipe_gets_the_table() -> None:
    lines = printed(TABLES["ledger"](), 140, is_terminal=False)
    assert NAME in lines[3]
    table = Table(title=Text("title"))
    table.add_column("number", no_wrap=True)
    table.add_row("1" * 50)
    assert not any(line.startswith("number  ") for line in printed(table, 20, is_terminal=False))
