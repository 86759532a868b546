"""The commands for hourly bars, as a user types them: backtest, its check for leaks, and train."""

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from tests.support.hourly import make_hours, table
from typer.testing import CliRunner, Result

from tickercast.cli import app
from tickercast.errors import UsageError

DATES = ("--from", "2022-05-02", "--to", "2022-06-05")


@pytest.fixture
def run(workspace: Path) -> Callable[..., Result]:
    """Run a command beside a folder `hours` with two coins."""
    coins = [make_hours(hours=4000), make_hours("ETHUSDT", hours=4000, seed=8)]
    (workspace / "hours").mkdir()
    pd.concat([table(one).assign(symbol=one.symbol) for one in coins]).to_parquet("hours/coins.parquet")
    return lambda *words: CliRunner().invoke(app, words)


def test_models_of_hourly_bars_are_compared_on_the_same_hours(run: Callable[..., Result]) -> None:
    words = ("backtest", "--every", "6h", "--source", "hours", *DATES, "--json", "out.json")
    done = run(*words, "--model", "har-season", "--model", "tickercast-plain-1h")
    assert done.exit_code == 0, done.output
    report = json.loads(Path("out.json").read_text())
    assert report["model"] == "har-season"
    assert list(report["ratios"]) == ["tickercast-plain-1h", "ewma-season", "ewma-t"]
    assert report["overall"]["n"] == 2 * 35 * 4
    assert len(report["by_step"]) == 24
    assert report["ratios"]["ewma-t"]["sp"][0] < 1


def test_the_champion_is_judged_by_default(run: Callable[..., Result]) -> None:
    done = run("backtest", "--every", "24h", "--source", "hours", *DATES, "--json", "out.json")
    assert done.exit_code == 0, done.output
    assert json.loads(Path("out.json").read_text())["model"] == "har-season"


def test_no_shipped_model_looks_ahead(run: Callable[..., Result]) -> None:
    done = run(
        *("backtest", "--every", "1h", "--source", "hours", *DATES, "--check-leaks"),
        *("--model", "har-season", "--model", "tickercast-lstm-1h"),
    )
    assert done.exit_code == 0, done.output
    assert set(done.output.split("\n")) >= {"har-season: 0", "tickercast-lstm-1h: 0", "ewma-season: 0", "ewma-t: 0"}


def test_daily_models_are_checked_for_leaks_and_compared_by_name(run: Callable[..., Result]) -> None:
    dates = ("--source", "sample", "--from", "2012-01-03", "--to", "2012-02-28")
    done = run("backtest", *dates, "--check-leaks", "--model", "random-walk")
    assert done.exit_code == 0, done.output
    assert "random-walk: 0" in done.output
    done = run("backtest", *dates, "--model", "ewma-t", "--model", "garch", "--every", "40", "--json", "out.json")
    assert done.exit_code == 0, done.output
    report = json.loads(Path("out.json").read_text())
    assert report["model"] == "ewma-t"
    assert "garch" in report["ratios"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("backtest", "--every", "hourly", "--source", "hours", *DATES), "or of hours, such as 1h, was needed"),
        (("backtest", "--every", "0", "--source", "hours", *DATES), "or of hours, such as 1h, was needed"),
        (
            ("backtest", "--every", "1h", "--source", "nowhere", *DATES),
            "is neither binance, simulated nor a folder",
        ),
        (("backtest", "--every", "1h", "--source", "hours", "--model", "garch", *DATES), "'garch' is not a model"),
        (
            ("backtest", "--every", "1h", "--source", "hours", "--from", "2022-02-01", "--to", "2022-02-05"),
            "No symbol has",
        ),
        (
            ("backtest", "--every", "1h", "--source", "hours", "--from", "2024-01-04", "--to", "2024-01-05"),
            "No origin of",
        ),
        (
            ("train", "--every", "1h", "--through", "2022-06-30"),
            "The source '' is neither binance, simulated nor a folder",
        ),
        (("train", "--every", "1h", "--source", "yahoo"), "The source 'yahoo' is neither binance, simulated nor"),
        (("train", "--every", "5m", "--source", "hours"), "1d or 1h was needed"),
        (("train", "--direction", "--source", "hours"), "--direction and --trials need hourly bars"),
        (
            ("train", "--every", "1h", "--hold-out", "3", "--source", "hours"),
            "--recipe and --hold-out are for daily bars",
        ),
    ],
)
def test_what_makes_no_sense_is_a_sentence(run: Callable[..., Result], words: tuple[str, ...], message: str) -> None:
    done = run(*words)
    assert isinstance(done.exception, UsageError | Exception)
    assert message in " ".join(f"{done.output} {done.exception}".split())
