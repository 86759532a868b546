"""Failures in Prefect: a fault that may pass is tried again, and a run with something undone is shown as failed."""

import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.trading import PROJECT

pytest.importorskip("prefect")

SCRIPT = """
import sys
sys.path[:0] = [{flows!r}]
import daily
from prefect import flow
from tickercast.app import App
from tickercast.errors import SourceUnavailable, UsageError

tried = []

def fails(error):
    tried.append(type(error).__name__)
    if len(tried) < 3 or isinstance(error, UsageError):
        raise error
    return "done"

step = daily.as_task(fails, App()).with_options(retry_delay_seconds=0)

@flow
def passing():
    return step(SourceUnavailable("down"))

@flow
def lasting():
    return step(UsageError("wrong"))

assert passing() == "done"
assert tried == ["SourceUnavailable"] * 3, tried
tried.clear()
try:
    lasting()
except UsageError:
    print("tried", len(tried))
"""


UNDONE = """
import logging, sys
sys.path[:0] = [{flows!r}]
from datetime import datetime
from types import SimpleNamespace
import backfill, daily, hourly, typer
from tickercast import engines
from tickercast.app import App
from tickercast.errors import UsageError
from tickercast.jobs.daily.steps import Lasting
from tickercast.jobs.hourly.run_hour import Hour
from tickercast.jobs.requests.request_forecast import Requested
from tickercast.show import day as show

def page(flow, run, state):
    print(flow.name, "is", state.name, "as", state.message)

def run(command, *words, **options):
    try:
        command(*words, **options)
    except typer.Exit as ended:
        print("exit code", ended.exit_code)

class Log(logging.Handler):
    told = []

    def emit(self, record):
        self.told.append(record.exc_info)

logging.getLogger("prefect.flow_runs").addHandler(Log(logging.ERROR))
days = []
def run_day(self, *_, **__):
    days.append(SimpleNamespace(market=SimpleNamespace(day="2012-08-15"), failures={{}}, idle=False, undone=undone))
    return days[-1]

App.run_day, show.day_lines = run_day, lambda day: ["the lines of the day"]
daily.daily = daily.daily.with_options(retries=1, retry_delay_seconds=0, on_failure=[page], on_completion=[page])
undone = {{"events": "' is neither sec nor yahoo."}}
run(daily.main, ["MSFT"], "sample", as_of="2012-08-15")
print("runs", len(days))
undone = {{}}
run(daily.main, ["MSFT"], "sample", as_of="2012-08-15")

App.run_hour = lambda *_, **__: Hour(
    datetime(2023, 2, 3, 10), Requested(failures={{"BTCUSDT": UsageError("No bar of it.")}}), remark=Lasting("Wrong.")
)
hourly.hourly.on_failure(page)
run(hourly.main, ["BTCUSDT"], "simulated")

def fails(part, source, wait):
    raise UsageError("There is no such source.")

backfill.send_part = engines.flow_task(fails, retried=False)
backfill.backfill.on_failure(page)
with engines.flow_server():
    print(engines.flow_result(backfill.backfill, [["file"]], "sample", 1))
print("tracebacks", [each for each in Log.told if each], "of", len(Log.told))
"""


def run(script: str, workspace: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", script.format(flows=str(PROJECT / "flows"))],
        cwd=workspace,
        capture_output=True,
        text=True,
        check=False,
    )


def test_only_what_may_pass_is_tried_again(workspace: Path) -> None:
    done = run(SCRIPT, workspace)
    assert done.stdout.strip().endswith("tried 1"), done.stderr[-2000:]


def test_a_run_with_something_undone_is_failed_on_the_page_and_printed_whole(workspace: Path) -> None:
    done = run(UNDONE, workspace)
    failed = "Failed as Flow run encountered an exception: Undone:"
    assert done.stdout.splitlines() == [
        f"daily is {failed} events: ' is neither sec nor yahoo",
        "the lines of the day",
        "2012-08-15 is done in part.",
        "exit code 1",
        "runs 2",
        "daily is Completed as None",
        "the lines of the day",
        "2012-08-15 is done.",
        f"hourly is {failed} BTCUSDT: No bar of it. tables: Wrong",
        "exit code 2",
        f"backfill is {failed} part 1: There is no such source",
        "([], [UsageError('There is no such source.')])",
        "tracebacks [] of 4",
    ], done.stderr[-2000:]
    assert "Traceback" not in done.stderr
    assert "Undone until somebody acts, as the lines above say: events." in done.stderr
