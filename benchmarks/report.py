"""The figures of the benchmarks, written to `benchmarks/NAME.json`."""

import json
import os
import platform
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

PROJECT = Path(__file__).parents[1]


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
    """The environment without the settings of tickercast and MLflow, for the measured processes."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("TICKERCAST_", "MLFLOW_"))}


def _rounded(value: float) -> float:
    """Round to four decimals, or to two digits if that leaves nothing."""
    return round(value, 4) if abs(value) >= 1e-3 else float(f"{value:.1e}")


def _git(*words: str) -> str:
    return subprocess.run(["git", *words], cwd=PROJECT, capture_output=True, text=True, check=True).stdout.strip()
