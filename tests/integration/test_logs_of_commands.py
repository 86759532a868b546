"""The log lines of servers and jobs that the command line runs, which other commands do not write."""

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from tickercast import cli
from tickercast.api import launch as api
from tickercast.app import App
from tickercast.cli import terminal
from tickercast.dashboard import launch as dashboard

LOG = logging.getLogger("tickercast.somewhere")


def say_something(*_: Any, **__: Any) -> list[Any]:
    logging.getLogger("tickercast.waiting").info("waiting for a lock")  # which commands show by themselves
    logging.getLogger("tickercast.function").info("MSFT is forecast from 2012-08-15")  # which is printed, too
    LOG.info("ann made token 7 of desk")
    LOG.warning("the champion does not parse")
    raise KeyboardInterrupt


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(terminal, "_mute", lambda: None)
    monkeypatch.setattr(api, "require", lambda *_: None)
    monkeypatch.setattr(dashboard, "require", lambda *_: dashboard.Place())
    for module, name in ((api, "serve"), (dashboard, "serve"), (App, "watch"), (App, "run_day"), (App, "run_hour")):
        monkeypatch.setattr(module, name, say_something)
    log = logging.getLogger("tickercast")
    handlers, level, propagates = log.handlers[:], log.level, log.propagate
    yield
    log.handlers[:], log.level, log.propagate = handlers, level, propagates


def run(*words: str) -> None:
    with pytest.raises(SystemExit):
        cli.run(words)


COMMANDS = pytest.mark.parametrize("command", ["serve", "dashboard", "watch", "daily MSFT", "hourly BTCUSDT"])


@pytest.mark.usefixtures("workspace")
@COMMANDS
def test_a_server_or_job_writes_its_log_as_text_on_standard_error(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run(*command.split())
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(" INFO ")[2] for line in lines if " INFO " in line] == ["ann made token 7 of desk"]
    assert [line.partition(" WARNING ")[2] for line in lines if "WARN" in line] == ["the champion does not parse"]


@pytest.mark.usefixtures("workspace")
@COMMANDS
def test_and_as_json_on_standard_output_if_asked_for(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TICKERCAST_LOG_FORMAT", "json")
    run(*command.split())
    printed = capsys.readouterr()
    lines = [json.loads(line) for line in printed.out.splitlines() if line.startswith("{")]
    assert [(line["severity"], line["message"]) for line in lines[-3:]] == [
        ("INFO", "MSFT is forecast from 2012-08-15"),
        ("INFO", "ann made token 7 of desk"),
        ("WARNING", "the champion does not parse"),
    ]
    assert "ann made" not in printed.err


@pytest.mark.usefixtures("workspace")
def test_other_commands_write_no_log(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(App, "tokens", say_something)
    run("tokens", "list")
    printed = capsys.readouterr()
    assert "champion" not in printed.out + printed.err
