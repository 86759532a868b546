"""The dashboard's page of strategies, run by Streamlit's own test without a browser, and its figures."""

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from tickercast.app import App, variants_of
from tickercast.cli import app
from tickercast.dashboard import state
from tickercast.dashboard.palette import DARK, LIGHT
from tickercast.dashboard.strategy_figures import drawdown_figure, equity_figure, positions_figure
from tickercast.domain.trading.strategy_backtest import Costs
from tickercast.show.strategies import accounts


def page() -> None:
    from tickercast.dashboard import strategies_page

    strategies_page.show()


@pytest.fixture
def stored(workspace: Path) -> App:
    state.st.cache_data.clear()
    state.st.cache_resource.clear()
    app = App()
    for day in ("2012-07-26", "2012-07-30", "2012-08-01"):
        app.forecast(["MSFT", "AAPL"], day, source="sample")
    return app


def test_the_page_shows_verdicts_accounts_and_when_what_was_wanted(stored: App, app_test: Any) -> None:
    shown = app_test.from_function(page, default_timeout=60).run()
    assert not shown.exception
    assert not shown.error
    told = " ".join(each.value for each in shown.markdown)
    assert "volatility-target: no edge after costs" in told
    assert {"### Equity", "### Drawdown", "### Positions", "### What they wanted to hold after 2012-08-01"} <= {
        each.value for each in shown.markdown
    }
    assert "0 of 2 forecasts fresh: 2 expired" in told
    assert any("From the bars up to 2012-08-01, in shares of equity." in each.value for each in shown.caption)
    assert any("survivors only" in each.value for each in shown.caption)
    assert any("Not investment advice" in each.value for each in shown.caption)
    shown.text_input(key="strategy_symbols").set_value("").run()
    assert [each.value for each in shown.info] == ["Choose a strategy, a symbol, and two dates."]


def test_what_is_wanted_now_is_the_answer_of_the_command(
    stored: App, app_test: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored.forecast(["MSFT"], "2012-08-10", source="sample")
    now = App(now=lambda: datetime(2012, 8, 16, 22, tzinfo=UTC))
    monkeypatch.setattr(state, "_app", lambda: now)
    shown = app_test.from_function(page, default_timeout=60).run()
    assert not shown.exception
    told = [each.value for each in shown.markdown]
    assert "### What they want to hold now" in told
    assert any("0 of 2 forecasts fresh: 1 stale, 1 expired" in each for each in told)
    done = CliRunner().invoke(app, ["strategy", "signals", "volatility-target", "--as-of", "2012-08-16", "--json"])
    answer = json.loads(done.stdout)
    assert any(f"From the bars up to {answer['cutoff']}," in each.value for each in shown.caption)
    [table] = [each.value for each in shown.get("html") if "The weight that each strategy wants" in each.value]
    reasons = [each["reason"] for each in answer["strategies"][0]["targets"]]
    assert reasons[0] == "it has no bar since 2012-08-01"
    assert all(f"<td>{reason}</td>" in table for reason in reasons)


def test_the_page_leaves_simulated_signals_out_and_says_so(stored: App, app_test: Any) -> None:
    stored.forecast(["MSFT"], date(2012, 9, 14), source="simulated")
    shown = app_test.from_function(page, default_timeout=60).run()
    assert not shown.exception
    days = shown.date_input(key="strategy_days")
    assert days.value == (date(2012, 7, 26), date(2012, 8, 1))
    days.set_value((date(2012, 9, 10), date(2012, 9, 14))).run()
    assert not shown.exception
    assert any("Simulated ones are left out once a symbol has real bars." in each.value for each in shown.error)


def test_the_page_shows_what_is_held_on_paper_and_what_is_halted(stored: App, app_test: Any) -> None:
    assert "### On paper" not in [
        each.value for each in app_test.from_function(page, default_timeout=60).run().markdown
    ]
    [made] = variants_of(["buy-and-hold"])
    stored.trade(made, symbols=["MSFT", "AAPL"], as_of=date(2012, 7, 30))
    stored.halt_trading(strategy="buy-and-hold")
    state.st.cache_data.clear()
    shown = app_test.from_function(page, default_timeout=60).run()
    assert not shown.exception
    assert "### On paper" in [each.value for each in shown.markdown]
    [halted] = shown.error
    assert "HALTED, buy-and-hold in paper://buy-and-hold: A person halted it." in halted.value.replace("\\", "")


def test_the_figures_are_the_accounts() -> None:
    found = App().strategy_backtest(
        variants_of(["buy-and-hold", "always-flat"]),
        date(2012, 1, 3),
        date(2012, 6, 28),
        source="sample",
        symbols=["MSFT", "IBM"],
        costs=Costs(),
    )
    rows, net = accounts(found), found.results[0].net
    equity, before, *_ = equity_figure(rows, LIGHT).data
    np.testing.assert_allclose(equity.y, net.equity / net.equity[0] - 1)
    np.testing.assert_allclose(before.y, found.results[0].gross.equity / net.equity[0] - 1)
    [lost, flat] = drawdown_figure(rows, DARK).data
    assert -min(lost.y) == pytest.approx(found.results[0].drawdown)
    assert set(flat.y) == {0}
    held = positions_figure(rows, LIGHT).data
    assert [each.name for each in held] == ["buy-and-hold, long", "always-flat, long"]
    np.testing.assert_allclose(held[0].y, net.weights.sum(axis=1))
