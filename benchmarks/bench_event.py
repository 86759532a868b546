"""Compare the processor time of an event of 500 symbols with that of commit b11c44e, side by side.

Both handle the same daily files, by turns, each time in a new process: a first file, and three that repeat it but for
one bar a symbol. The figures are medians over the rounds.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import report

ROUNDS, SYMBOLS, DAYS = 5, 500, 4


def main() -> None:
    """Check out the old commit, run both, and write `event.json`."""
    with report.old_commit() as old:
        pairs = [(_run(old), _run(report.PROJECT)) for _ in range(ROUNDS)]
    report.write("event", _figures(pairs))


def _run(checkout: Path) -> dict[str, Any]:
    environment = report.environment() | {"PYTHONPATH": str(checkout / "src"), "TMPDIR": tempfile.gettempdir()}
    command = [sys.executable, str(Path(__file__).with_name("daily_files.py")), str(SYMBOLS), str(DAYS)]
    done = subprocess.run(command, env=os.environ | environment, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _figures(pairs: list[tuple[dict[str, Any], dict[str, Any]]]) -> dict[str, float]:
    def daily(run: dict[str, Any]) -> float:
        return float(statistics.median(run["cpu_s"][1:]))

    return {
        "event_cpu_s": statistics.median(daily(new) for _, new in pairs),
        "event_cpu_s_old": statistics.median(daily(old) for old, _ in pairs),
        "event_cpu_vs_old": statistics.median(daily(new) / daily(old) for old, new in pairs),
        "first_event_cpu_vs_old": statistics.median(new["cpu_s"][0] / old["cpu_s"][0] for old, new in pairs),
        "peak_mib": statistics.median(new["peak_mib"] for _, new in pairs),
        "peak_mib_old": statistics.median(old["peak_mib"] for old, _ in pairs),
    }


if __name__ == "__main__":
    main()
