"""Time the main command as a whole process, against the same job with TensorFlow in the function's place.

Both read one CSV, upload it, handle the event and print the table; the second loads the Keras model that the shipped
ONNX file would be exported from. Runs alternate, so that a noisy machine affects both alike.

The processor time of the command, and of `tickercast --help`, is compared with that of commit b11c44e, by turns.

A fresh clone is timed too, with empty caches, from `git clone` to the table of `make demo`.
"""

import resource
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

from benchmarks import report
from tickercast import config, engines
from tickercast.domain.bars import Bars
from tickercast.domain.files.price_files import to_csv
from tickercast.domain.learning.recipe import Recipe

RUNS = 9
AS_OF = date(2012, 8, 15)
HERE = Path(__file__).parent


def main() -> None:
    """Run both benchmarks and write `main.json`."""
    with tempfile.TemporaryDirectory() as folder:
        workspace = Path(folder)
        prices, keras_model = _prepare(workspace)
        arguments = ["MSFT", AS_OF.isoformat(), "--source", str(prices)]
        figures = _beside_the_old(arguments, workspace)
        ours = [sys.executable, str(report.PROJECT / "src" / "main.py"), *arguments]
        theirs = [sys.executable, str(HERE / "main_with_tensorflow.py"), str(keras_model), *arguments]
        pairs = [(_seconds(ours, workspace), _seconds(theirs, workspace)) for _ in range(RUNS + 1)][1:]
    figures |= {
        "main_command_s": statistics.median(own for own, _ in pairs),
        "main_with_tensorflow_s": statistics.median(other for _, other in pairs),
        "main_vs_tensorflow": statistics.median(own / other for own, other in pairs),
    }
    report.write("main", figures | _fresh_clone())


def _beside_the_old(arguments: list[str], workspace: Path) -> dict[str, float]:
    ratios: dict[str, list[float]] = {"main_cpu_vs_old": [], "help_cpu_vs_old": []}
    with report.old_commit() as old:
        for _ in range(RUNS + 1):
            used = [
                {
                    "main_cpu_vs_old": _cpu_s(checkout, [str(checkout / "src" / "main.py"), *arguments], workspace),
                    "help_cpu_vs_old": _cpu_s(checkout, ["-c", _HELP.format(_entry(checkout))], workspace),
                }
                for checkout in (old, report.PROJECT)
            ]
            for name, found in ratios.items():
                found.append(used[1][name] / used[0][name])
    return {name: statistics.median(found[1:]) for name, found in ratios.items()}


_HELP = "import sys; sys.argv = ['tickercast', '--help']; from tickercast.{} import run; run()"


def _entry(checkout: Path) -> str:
    """The module behind the command `tickercast`."""
    return "start" if (checkout / "src" / "tickercast" / "start.py").exists() else "cli"


def _cpu_s(checkout: Path, words: list[str], workspace: Path) -> float:
    """The processor time of a command and its children, in a folder that it shares with no other commit."""
    folder = workspace / ("ours" if checkout == report.PROJECT else "old")
    folder.mkdir(exist_ok=True)
    before = report.cpu_s(resource.RUSAGE_CHILDREN)
    environment = report.environment() | {"PYTHONPATH": str(checkout / "src")}
    subprocess.run([sys.executable, *words], cwd=folder, env=environment, stdout=subprocess.DEVNULL, check=True)
    return report.cpu_s(resource.RUSAGE_CHILDREN) - before


def _prepare(workspace: Path) -> tuple[Path, Path]:
    config.set_up_tensorflow()
    from tickercast.models.lstm import training as lstm

    reading = engines.market_data("sample").fetch(["MSFT"], date(2000, 1, 1), AS_OF, advance=lambda _: None)
    bars: Bars = reading.bars["MSFT"]
    prices = workspace / "prices"
    prices.mkdir()
    (prices / "MSFT.csv").write_bytes(to_csv([bars]))
    keras_model = workspace / "model.keras"
    lstm.fit([bars], trained_through=AS_OF, seeds=range(5), recipe=Recipe(epochs=1)).save(keras_model)
    return prices, keras_model


def _seconds(command: list[str], workspace: Path) -> float:
    started = time.perf_counter()
    subprocess.run(command, cwd=workspace, env=report.environment(), stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - started


def _fresh_clone() -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        caches = {"UV_CACHE_DIR": f"{folder}/uv-cache", "PIP_NO_CACHE_DIR": "1"}
        clone = Path(folder) / "tickercast"
        started = time.perf_counter()
        subprocess.run(["git", "clone", "--quiet", str(report.PROJECT), str(clone)], check=True)
        environment = report.environment() | caches
        subprocess.run(["make", "demo"], cwd=clone, env=environment, stdout=subprocess.DEVNULL, check=True)
        elapsed = time.perf_counter() - started
        size = sum(path.lstat().st_size for path in (clone / ".venv").rglob("*"))
        return {"clone_to_table_s": elapsed, "light_environment_mb": size / 1e6}


if __name__ == "__main__":
    main()
