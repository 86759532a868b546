"""No order reaches a venue where money is at stake, whoever names one."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from tickercast import engines
from tickercast.app import App
from tickercast.cli import app as cli
from tickercast.config import Settings
from tickercast.domain.frequency import DAILY
from tickercast.errors import UsageError


@pytest.mark.parametrize(
    "url",
    [
        "alpaca://api.alpaca.markets",
        "https://api.alpaca.markets",
        "binance://api.binance.com",
        "https://api.binance.com/api/v3",
        "paper://account/folder",
        "paper://?fees=3",
        "paper://?capital=-1",
        "paper://x?capital=1&capital=5",
        "paper://x?fees_bps=20000",
        "paper://x?capacity=2",
        "paper://x?lot=0",
        "paper://x?currency=usd",
        "paper://x#f",
        "paper",
        "",
    ],
)
def test_no_live_venue_can_be_named(workspace: Path, url: str) -> None:
    service = App()
    with pytest.raises(UsageError, match="was needed"):
        engines.broker(url, service.settings, engines.Bench(service.tables, service.now()))


def test_a_live_venue_is_refused_by_command_and_setting_before_anything_is_stored(workspace: Path) -> None:
    url = "alpaca://api.alpaca.markets"
    done = CliRunner().invoke(cli, ["trade", "--strategy", "buy-and-hold", "--broker", url])
    assert isinstance(done.exception, UsageError)
    assert "a venue where money is at stake cannot be configured" in str(done.exception)
    service = App(Settings(trade=f"buy-and-hold@{url}"))
    [(made, named)] = service.trades(DAILY)
    with pytest.raises(UsageError, match="All of them trade paper"):
        service.trade(made, named, ["MSFT"])
    assert service.tables.read("orders").empty
