"""The figures of the benchmarks, written to `benchmarks/NAME.json`."""

import json
import os
import platform
import resource
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

PROJECT = Path(__file__).parents[1]

OLD = "b11c44e"
"""The commit that figures are compared with: the last one that stored the bars of every file."""


def write(name: str, figures: Mapping[str, float]) -> None:
    """Write the figures with commit, machine and date, and print them."""
    report = {
        "figures": {figure: _rounded(value) for figure, value in figures.items()},
        "commit": _git("describe", "--always", "--dirty"),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "date": datetime.now(UTC).date().isoformat(),
    }
    text = json.dumps(report, indent=2) + "\n"
    (PROJECT / "benchmarks" / f"{name}.json").write_text(text)
    print(text, end="")


def environment() -> dict[str, str]:
    """The environment for measured processes: without settings of tickercast and MLflow, and with compiled modules."""
    left_out = ("TICKERCAST_", "MLFLOW_", "PYTHONDONTWRITEBYTECODE")
    return {name: value for name, value in os.environ.items() if not name.startswith(left_out)}


@contextmanager
def old_commit() -> Iterator[Path]:
    """A checkout of `OLD`, for as long as the block runs."""
    with tempfile.TemporaryDirectory() as folder:
        old = Path(folder) / "old"
        subprocess.run(["git", "worktree", "add", "--detach", str(old), OLD], cwd=PROJECT, check=True)
        try:
            yield old
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", str(old)], cwd=PROJECT, check=True)


def cpu_s(who: int = resource.RUSAGE_SELF) -> float:
    """The processor time that this process, or its children that have ended, has used."""
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


def _rounded(value: float) -> float:
    """Round to four decimals, or to two digits if that leaves nothing."""
    return round(value, 4) if abs(value) >= 1e-3 else float(f"{value:.1e}")


def _git(*words: str) -> str:
    return subprocess.run(["git", *words], cwd=PROJECT, capture_output=True, text=True, check=True).stdout.strip()
