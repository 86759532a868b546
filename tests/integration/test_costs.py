"""The cost of forecasts: their parts of a file's time, queries and rows, at the prices of one table."""

import csv
import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest
from tests.conftest import PROJECT
from typer.testing import CliRunner

from tickercast import config
from tickercast.app import App
from tickercast.cli import app as cli
from tickercast.jobs.operations.provision import publish_prices

if TYPE_CHECKING:
    from tests.support.bigquery_server import BigQueryServer

SYMBOLS = ("MSFT", "AAPL", "IBM")


def prices() -> dict[str, float]:
    with (PROJECT / "sql" / "list_prices.tsv").open() as lines:
        return {row["name"]: float(row["value"]) for row in csv.DictReader(lines, delimiter="\t")}


def run(*words: str) -> str:
    made = CliRunner().invoke(cli, list(words))
    assert made.exit_code == 0, made.output
    return made.stdout


def test_the_symbols_of_a_file_share_what_it_costs(workspace: Path) -> None:
    run("forecast", *SYMBOLS, "2010-06-30", "--source", "sample")

    ledger = App().tables.read("ingestions")
    costs = App().tables.read("forecast_costs")
    price, seconds = prices(), ledger["duration_ms"].max() / 1000

    assert sorted(costs["symbol"]) == sorted(SYMBOLS)
    compute = (seconds * (price["cpu"] + 2 * price["memory"]) + price["requests"]) / 3
    storage = ledger["bytes_loaded"].max() / 2**30 * price["tables"] / 3
    assert costs["usd_compute"].to_numpy() == pytest.approx(compute)
    assert costs["usd_storage"].to_numpy() == pytest.approx(storage)
    assert costs["usd_queries"].to_numpy() == pytest.approx(0)
    assert costs["usd"].to_numpy() == pytest.approx(compute + storage)
    assert costs["estimated"].all()
    assert ledger["bytes_loaded"].max() > 3 * 750 * 7 * 8  # three years of seven numbers a bar


def test_bigquery_says_what_it_billed(
    bigquery_server: "BigQueryServer", workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TICKERCAST_WAREHOUSE", "bigquery://proj/data")
    monkeypatch.setenv("K_SERVICE", "tickercast")
    run("forecast", "MSFT", "2010-06-30", "--source", "sample")

    [row] = App().tables.read("ingestions").to_dict("records")
    [cost] = App().tables.read("forecast_costs").to_dict("records")
    assert row["bytes_queried"] % (20 * 2**20) == 0
    assert row["bytes_queried"] >= 3 * 20 * 2**20
    assert row["bytes_loaded"] > 750 * 7 * 8
    assert row["memory_mib"] == config.memory_mib()
    assert cost["usd_queries"] == pytest.approx(row["bytes_queried"] / 2**40 * prices()["queries"])
    assert not cost["estimated"]


def test_the_command_adds_up_by_day(workspace: Path) -> None:
    run("forecast", *SYMBOLS, "2010-06-30", "--source", "sample")
    run("forecast", "MSFT", "2010-07-30", "--source", "sample")

    printed, found = run("costs"), json.loads(run("costs", "--json"))
    total = App().tables.read("forecast_costs")["usd"].sum()
    assert sum(day["forecasts"] for day in found) == 4
    assert sum(day["files"] for day in found) == 2
    assert sum(day["usd"] for day in found) == pytest.approx(total)
    assert "compute as if on an instance of 2 GiB" in printed
    assert max(map(len, printed.splitlines())) <= 100


def test_days_without_a_forecast_are_a_sentence(workspace: Path) -> None:
    assert "No file was forecast from in the last 7 days" in run("costs", "--days", "7")


def test_prices_are_listed_once_and_the_newest_counts(workspace: Path) -> None:
    run("forecast", "MSFT", "2010-06-30", "--source", "sample")
    app = App()
    publish_prices(app.warehouse)
    listed = app.tables.read("list_prices")
    assert listed["name"].is_unique
    assert dict(zip(listed["name"], listed["value"], strict=True)) == prices()

    before = app.costs(date(2000, 1, 1))["usd_compute"].sum()
    dearer = listed[listed["name"].isin(["cpu", "memory", "requests"])]
    later = pd.Timestamp(datetime(2100, 1, 1, tzinfo=UTC))
    app.warehouse.append("list_prices", dearer.assign(value=dearer["value"] * 2, listed_at=later), key="list_prices/x")
    assert app.costs(date(2000, 1, 1))["usd_compute"].sum() == pytest.approx(2 * before)


def test_the_memory_of_an_instance_is_known_in_a_cloud(monkeypatch: pytest.MonkeyPatch) -> None:
    assert config.memory_mib() is None
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "tickercast")
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "3008")
    assert config.memory_mib() == 3008
    monkeypatch.delenv("AWS_LAMBDA_FUNCTION_NAME")
    monkeypatch.setenv("K_SERVICE", "tickercast")
    assert (config.memory_mib() or 0) > 256
