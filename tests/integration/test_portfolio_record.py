"""The record of a portfolio: what it was said to lose, and lost, counted once."""

import json
import shutil
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import Result
from typer.testing import CliRunner

from tickercast.app import App
from tickercast.cli import app as cli
from tickercast.config import Settings
from tickercast.domain.outlook.risk_record import Verdict, record
from tickercast.errors import UsageError
from tickercast.reading.holdings import read_holdings
from tickercast.reading.portfolio_record import digest_of, portfolio_record

HOLDINGS = "symbol,shares,fx\nMSFT,100,\nVOD.L,-2000,GBPUSD=X\n"
SYMBOLS = ("MSFT", "VOD.L", "GBPUSD=X")
CUTOFFS = ("2023-06-01", "2023-06-02", "2023-06-05", "2023-06-16", "2023-06-29")


def run(*words: str) -> Result:
    return CliRunner().invoke(cli, list(words))


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forecasts of every cutoff, made once."""
    home = tmp_path_factory.mktemp("stored")
    app = App(Settings(home=str(home)))
    for day in CUTOFFS:
        app.forecast(SYMBOLS, day, source="simulated")
    return home


@pytest.fixture
def forecast(stored: Path, workspace: Path) -> Path:
    shutil.copytree(stored, workspace / ".tickercast")
    (workspace / "holdings.csv").write_text(HOLDINGS)
    return workspace


def test_each_period_that_has_ended_is_scored_once(forecast: Path) -> None:
    app = App()
    first = app.score_portfolio("holdings.csv")
    stored = len(app.tables.read("portfolio_scores"))
    again = app.score_portfolio("holdings.csv")

    pd.testing.assert_frame_equal(first.rows, again.rows)
    assert len(app.tables.read("portfolio_scores")) == stored == len(first.rows)
    # a session after the last cutoff, and ten after 2023-06-16, no price is stored
    steps = first.rows.groupby("step")["cutoff"].agg(lambda days: [str(day.date()) for day in days])
    assert steps[1] == list(CUTOFFS[:4])
    assert steps[10] == list(CUTOFFS[:3])
    assert first.rows["counts"].all()
    assert first.simulated

    assert run("forecast", *SYMBOLS, "2023-07-03", "--source", "simulated").exit_code == 0
    later = app.score_portfolio("holdings.csv").rows
    assert len(later) == stored + 2
    pd.testing.assert_frame_equal(
        later.merge(first.rows[["cutoff", "step"]]).reset_index(drop=True), first.rows, check_dtype=False
    )


def test_gains_are_those_of_the_stored_closes(forecast: Path) -> None:
    app = App()
    found = app.score_portfolio("holdings.csv").rows
    close = app.tables.read("latest_prices").pivot_table(index="session_date", columns="symbol", values="close")

    targets = app.tables.read("champion_forecasts").groupby(["cutoff", "symbol"])["target_date"]
    sessions = {key: sorted(days) for key, days in targets}

    def worth(days: dict[str, pd.Timestamp]) -> float:
        prices = {symbol: close.at[day, symbol] for symbol, day in days.items()}
        return float(100 * prices["MSFT"] - 20 * prices["VOD.L"] * prices["GBPUSD=X"])

    for row in found.itertuples():
        before = worth(dict.fromkeys(SYMBOLS, row.cutoff))
        each = {symbol: sessions[row.cutoff, symbol] for symbol in SYMBOLS}  # the markets have holidays of their own
        assert row.target_date == sorted(set().union(*each.values()))[row.step - 1]
        ends = {
            symbol: max([row.cutoff, *(day for day in days if day <= row.target_date)]) for symbol, days in each.items()
        }
        assert row.value == pytest.approx(before)
        assert row.gain == pytest.approx(worth(ends) - before)
    assert found.loc[(found["cutoff"] == "2023-06-16") & (found["step"] == 1), "target_date"].item() == pd.Timestamp(
        "2023-06-19"  # New York was closed
    )


def test_symbols_of_different_calendars_are_valued_on_one_date(workspace: Path) -> None:
    for day in ("2023-06-02", "2023-06-30"):
        assert run("forecast", "MSFT", "BTC-USD", day, "--source", "simulated").exit_code == 0
    (workspace / "one.csv").write_text("symbol,shares\nMSFT,100\nBTC-USD,1\n")
    (workspace / "other.csv").write_text("symbol,shares\nBTC-USD,1\nMSFT,100\n")
    (workspace / "coin.csv").write_text("symbol,shares\nBTC-USD,1\n")

    one, other, coin = (
        pd.DataFrame(json.loads(run("portfolio", name, "--as-of", "2023-06-02", "--json").stdout)["steps"])
        for name in ("one.csv", "other.csv", "coin.csv")
    )
    assert list(one["target_date"]) == [f"2023-06-{day:02}" for day in range(3, 13)]
    pd.testing.assert_frame_equal(one, other)
    np.testing.assert_allclose(one["var_95"][:2], coin["var_95"][:2], rtol=1e-4)  # a weekend: the stock does not move
    assert one["var_95"][2] > coin["var_95"][2]
    assert "until its next session, its last close counts" in run("portfolio", "one.csv").stdout
    assert "until its next session" not in run("portfolio", "coin.csv").stdout

    app = App()
    found = app.score_portfolio("other.csv").rows
    close = app.tables.read("latest_prices").pivot_table(index="session_date", columns="symbol", values="close")
    gains = close["BTC-USD"] + 100 * close["MSFT"].ffill()
    assert [str(day.date()) for day in found["target_date"]] == ["2023-06-03", "2023-06-12"]
    assert list(found["gain"]) == pytest.approx([gains[day] - gains["2023-06-02"] for day in found["target_date"]])
    assert list(found["value_at_risk_95"]) == pytest.approx([one["var_95"][0], one["var_95"][9]])


def test_the_record_is_that_of_the_cutoffs_asked_for(forecast: Path) -> None:
    app, (first, last) = App(), (date.fromisoformat(day) for day in CUTOFFS[1:3])
    whole = app.score_portfolio("holdings.csv").rows
    some = app.score_portfolio("holdings.csv", first, last).rows
    wanted = whole[whole["cutoff"].between(CUTOFFS[1], CUTOFFS[2])].reset_index(drop=True)
    pd.testing.assert_frame_equal(some, wanted)
    with pytest.raises(UsageError, match="Swap them"):
        app.score_portfolio("holdings.csv", last, first)


def test_the_value_at_risk_is_the_one_that_was_shown_then(forecast: Path) -> None:
    found = App().score_portfolio("holdings.csv").rows
    for day in CUTOFFS[:3]:
        shown = json.loads(run("portfolio", "holdings.csv", "--as-of", day, "--json").stdout)
        rows = found[found["cutoff"] == day].set_index("step")
        for step in (1, 10):
            assert rows.loc[step, "value_at_risk_95"] == pytest.approx(shown["steps"][step - 1]["var_95"])
            assert rows.loc[step, "expected_shortfall_95"] == pytest.approx(shown["steps"][step - 1]["es_95"])


def test_a_period_that_an_earlier_release_dated_otherwise_is_scored_again(forecast: Path) -> None:
    app = App()
    right = app.score_portfolio("holdings.csv")
    rows = app.tables.read("portfolio_scores")
    apart = rows["cutoff"] == "2023-06-16"
    earlier = rows.assign(
        target_date=rows["target_date"] + pd.to_timedelta(apart.astype(int), "D"),
        gain=rows["gain"] + apart,
        scored_at=rows["scored_at"] + pd.Timedelta("1s"),
    )
    assert app.warehouse.append("portfolio_scores", earlier[apart], key="portfolio_scores/earlier")
    assert apart.sum() == 1
    held = read_holdings(HOLDINGS, "holdings.csv")
    assert not portfolio_record(held, warehouse=app.tables).rows.equals(right.rows)

    again = App(now=lambda: earlier["scored_at"].max().to_pydatetime() + timedelta(hours=1)).score_portfolio(
        "holdings.csv"
    )

    pd.testing.assert_frame_equal(again.rows, right.rows)
    assert len(app.tables.read("portfolio_scores")) == len(rows) + 2


def test_two_runs_at_one_time_count_once(forecast: Path) -> None:
    app = App()
    found = app.score_portfolio("holdings.csv")
    rows = app.tables.read("portfolio_scores")
    assert app.warehouse.append("portfolio_scores", rows.assign(name="twice"), key="portfolio_scores/another")

    held = read_holdings(HOLDINGS, "holdings.csv")
    pd.testing.assert_frame_equal(portfolio_record(held, warehouse=app.tables).rows, found.rows)


def test_holdings_in_another_order_have_the_same_record() -> None:
    lines = HOLDINGS.splitlines()
    turned = "\n".join([lines[0], lines[2], lines[1]])
    assert digest_of(read_holdings(HOLDINGS, "a.csv")) == digest_of(read_holdings(turned, "b.csv"))
    assert digest_of(read_holdings(HOLDINGS, "a.csv")) != digest_of(read_holdings(HOLDINGS.replace("100", "101"), "a"))


def test_periods_of_ten_sessions_do_not_overlap(forecast: Path) -> None:
    made = App().score_portfolio("holdings.csv")
    periods = {(each.step, each.level): each.days for each in made.records}
    assert periods == {(1, 0.95): 4, (1, 0.99): 4, (10, 0.95): 1, (10, 0.99): 1}
    assert {each.verdict for each in made.records} == {Verdict.TOO_FEW}


def test_periods_that_follow_each_other_all_count_but_for_dates_that_a_model_has_seen() -> None:
    """A gain of -3 is beyond the value at risk of 95% alone; the second period ends as the third begins."""

    class Stored:
        def query(self, *_: Any) -> pd.DataFrame:
            days = pd.to_datetime(["2023-06-01", "2023-06-02", "2023-06-05", "2023-06-06"])
            rows = pd.DataFrame({"cutoff": days[:-1], "target_date": days[1:], "step": 1, "gain": -3.0})
            known = rows.assign(value_at_risk_95=2.0, value_at_risk_99=3.0, simulated=False)
            return known.assign(counts=[False, True, True])

    warehouse: Any = Stored()
    found = portfolio_record(read_holdings(HOLDINGS, "holdings.csv"), warehouse=warehouse)
    assert [(one.level, one.days, one.breaches) for one in found.records] == [(0.95, 2, 2), (0.99, 2, 0)]
    assert len(found.rows) == 3


def test_the_record_in_the_terminal_and_as_json(forecast: Path) -> None:
    printed = run("portfolio", "holdings.csv", "--record").output
    assert "holdings.csv, 2023-06-01 to 2023-06-16" in printed
    assert "too few to tell" in printed
    assert "Periods do not overlap" in printed

    found = json.loads(run("portfolio", "holdings.csv", "--record", "--json").stdout)
    assert found["simulated"] is True
    assert [each["days"] for each in found["records"]] == [4, 4, 1, 1]
    assert len(found["periods"]) == 7


def test_no_record_is_a_sentence(forecast: Path) -> None:
    (forecast / "none.csv").write_text("symbol,shares\nIBM,1\n")
    said = (
        "none.csv: nothing can be counted yet: forecasts of all holdings from one cutoff and the closes that followed"
    )
    assert said in run("portfolio", "none.csv", "--record").output
    failed = run("portfolio", "holdings.csv", "--from", "2023-06-01")
    assert isinstance(failed.exception, UsageError)
    assert "--from was given without --record" in str(failed.exception)


def test_the_day_keeps_the_record_of_the_portfolios_that_are_named(
    forecast: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TICKERCAST_PORTFOLIOS", "holdings.csv")
    [(name, held)] = App().portfolios()
    assert name == "holdings.csv"
    assert held.symbols == list(SYMBOLS)

    monkeypatch.setenv("TICKERCAST_PORTFOLIOS", "holdings.csv, gone.csv")
    with pytest.raises(
        UsageError, match=r"gone\.csv cannot be read: No such file or directory\. A text file of holdings"
    ):
        App().portfolios()


@pytest.mark.parametrize(
    ("breaches", "days", "verdict"),
    [
        (range(0, 250, 20), 250, Verdict.HOLDS),
        (range(0, 250, 8), 250, Verdict.TOO_OFTEN),
        (range(0, 250, 125), 250, Verdict.TOO_SELDOM),
        (range(100, 112), 250, Verdict.TOGETHER),
        (range(0, 99, 2), 99, Verdict.TOO_FEW),
    ],
)
def test_the_verdict_is_that_of_both_tests(breaches: range, days: int, verdict: Verdict) -> None:
    breached = np.isin(np.arange(days), list(breaches))
    assert record(breached, 0.95, step=1).verdict is verdict


def test_a_true_model_is_seldom_blamed() -> None:
    rng = np.random.default_rng(1)
    blamed = [record(rng.random(500) < 0.05, 0.95, step=1).verdict is not Verdict.HOLDS for _ in range(500)]
    assert np.mean(blamed) < 0.1  # two tests at 5%


def test_dates_limit_what_is_counted(forecast: Path) -> None:
    found = App().score_portfolio("holdings.csv", date(2023, 6, 2), date(2023, 6, 5)).rows
    assert sorted({str(day.date()) for day in found["cutoff"]}) == ["2023-06-02", "2023-06-05"]
