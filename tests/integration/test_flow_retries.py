"""Failing tasks in Prefect: a fault that may pass is tried again, and nothing else."""

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


def test_only_what_may_pass_is_tried_again(workspace: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(flows=str(PROJECT / "flows"))],
        cwd=workspace,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip().endswith("tried 1"), done.stderr[-2000:]
