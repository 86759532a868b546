"""Measure the forecast function as the platform serves it: cold, warm, with 500 symbols, with thousands, and attacked.

Each function is a separate process under functions-framework, over a local bucket and DuckDB, and answers CloudEvents
over HTTP. The alternatives are measured in the same run, in turns: the same function with TensorFlow and the Keras
model that the shipped ONNX file would be exported from, and three statistical models that are fitted to each symbol,
which are compared by processor time, children included.

The attack is a file of the largest size that is read, in each of the shapes of `benchmarks/adversarial.py`: what the
worst of them takes, a MB of the largest size, is in `attack.json`, and the deployment's memory follows it.

`bench_serving.py quick` runs a tenth of it in a minute and writes nothing; `bench_serving.py attack` runs that alone.
"""

import os
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np

from benchmarks import report
from benchmarks.adversarial import SHAPES, SINGLE
from tickercast import config, engines
from tickercast.app import App
from tickercast.backends import events
from tickercast.domain.bars import LOOKBACK, Bars, Reading
from tickercast.domain.forecast import Predictor
from tickercast.domain.learning.recipe import Recipe
from tickercast.jobs.requests.upload import BATCH, Upload, batches, upload
from tickercast.models import catalogue
from tickercast.ports import MarketData

AS_OF = date(2023, 7, 21)
FUNCTION = report.PROJECT / "cloud_function" / "main.py"
WITH_TENSORFLOW = Path(__file__).parent / "function_with_tensorflow.py"
FITTED = {"auto-arima": 6, "auto-ets": 12, "prophet": 4}
"""The models that are fitted to each symbol, and the symbols of a round."""

_PATIENCE_S = 60.0
_SETTLED = 5  # events after which memory should no longer grow


@dataclass(frozen=True)
class Size:
    """The extent of a measurement.

    Attributes:
        pairs: cold starts of each function, after one that fills the caches.
        warm: events of one symbol.
        rounds: rounds of 500 symbols in one event, and of fits of the statistical models.
        batch: symbols in the large batch.
        attack: megabytes of the files that are made to be costly, at most as many as are read.
    """

    pairs: int = 7
    warm: int = 200
    rounds: int = 5
    batch: int = 10_000
    attack: int = 64


QUICK = Size(pairs=1, warm=20, rounds=1, batch=4000, attack=6)


class Function:
    """A served function, from the start of its process on.

    Args:
        source: the Python file that is served.
        workspace: the folder of its bucket and warehouse.
        environment: additional environment variables.
    """

    def __init__(self, source: Path, workspace: Path, environment: Mapping[str, str] | None = None) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        options = ["--source", str(source), "--target", "forecast", "--signature-type", "cloudevent"]
        options += ["--host", "127.0.0.1", "--port", str(port)]
        self.started = time.perf_counter()
        self._process = subprocess.Popen(
            [Path(sys.executable).with_name("functions-framework"), *options],
            cwd=workspace,
            env=report.environment() | dict(environment or {}),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def __enter__(self) -> "Function":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()

    def wait(self) -> None:
        """Wait until the function listens."""
        host, _, port = self.url.removeprefix("http://").partition(":")
        while time.perf_counter() - self.started < _PATIENCE_S:
            with socket.socket() as probe:
                if probe.connect_ex((host, int(port))) == 0:
                    return
            time.sleep(0.005)
        raise TimeoutError(f"{self.url} does not answer")

    def cpu_s(self) -> float:
        """The processor time that the server has used so far, in all of its processes."""
        return sum(_cpu_s(pid) for pid in _family(self._process.pid))

    def rss_mib(self, field: str = "VmHWM") -> float:
        """The memory of the server's largest process, which answers: its peak, or with `VmRSS` the present one."""
        return max(_rss_mib(pid, field) for pid in _family(self._process.pid))


class Prefetched:
    """Market data that is in memory, so that simulating it takes no time."""

    name = "simulated"
    simulated = True

    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    def symbols(self) -> Sequence[str]:
        """All symbols in memory."""
        return list(self._reading.bars)

    def fetch(self, symbols: Sequence[str], first: date, last: date, *, advance: object) -> Reading:
        """Return the bars in memory."""
        return Reading({symbol: self._reading.bars[symbol] for symbol in symbols})


class Workspace:
    """A bucket with a champion, and a warehouse with tables; events are sent by `announce` only."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings = config.Settings(
            bucket=f"file://{folder}/.tickercast/bucket", warehouse=f"duckdb://{folder}/.tickercast/warehouse.duckdb"
        )
        app = App(self.settings)
        self.store, self.warehouse = app.silent_store, app.warehouse

    def upload(self, source: MarketData, symbols: Sequence[str]) -> Upload:
        """Write the bars without announcing them."""
        return upload(symbols, AS_OF, source=source, store=self.store, now=datetime.now(UTC))

    def announce(self, sent: Upload, function: Function) -> float:
        """Send the event of an upload, and return the seconds until the function answers, with everything stored."""
        resource = {
            "bucket": self.store.bucket,
            "name": sent.object,
            "generation": sent.generation,
            "timeCreated": datetime.now(UTC).isoformat(),
        }
        deliver = events.over_http(function.url)
        started = time.perf_counter()
        deliver(resource)
        elapsed = time.perf_counter() - started
        stored = self.warehouse.read("ingestions", {"object": sent.object, "generation": sent.generation})
        if list(stored["status"]) != ["forecast"] * len(sent.symbols):
            raise RuntimeError(f"{len(stored)} of {len(sent.symbols)} symbols were accounted for")
        return elapsed

    def answered(self, name: str, generation: str, function: Function) -> float:
        """Send the event of any file, and return the seconds until it ends in forecasts or reasons."""
        resource = {"bucket": self.store.bucket, "name": name, "generation": generation}
        started = time.perf_counter()
        events.over_http(function.url)(resource | {"timeCreated": datetime.now(UTC).isoformat()})
        elapsed = time.perf_counter() - started
        if self.warehouse.read("ingestions", {"object": name, "generation": generation}).empty:
            raise RuntimeError(f"{name} is not accounted for")
        return elapsed

    def visible(self, sent: Upload, function: Function) -> float:
        """Send the event of one symbol, and return the seconds until its row is in the view."""
        [symbol] = sent.symbols
        answered = self.announce(sent, function)
        started = time.perf_counter()
        rows = self.warehouse.read("latest_forecasts", {"symbol": symbol})
        elapsed = time.perf_counter() - started
        if set(rows["generation"]) != {sent.generation}:
            raise RuntimeError(f"the forecast of {sent.object}#{sent.generation} is not visible")
        return answered + elapsed


def main() -> None:
    """Run every part and write `serving.json`."""
    quick = sys.argv[1:] == ["quick"]
    size = QUICK if quick else Size()
    if sys.argv[1:] == ["attack"]:
        report.write("attack", _worst(size))
        return
    with tempfile.TemporaryDirectory() as folder:
        figures = _cold(Path(folder), size) | _warm(size) | _fitted(size) | _batch(size)
    worst = _worst(size)
    if quick:
        print({name: round(value, 3) for name, value in (figures | worst).items()})
    else:
        report.write("serving", figures)
        report.write("attack", worst)


def _cold(folder: Path, size: Size) -> dict[str, float]:
    source = _prefetched(["MSFT"])
    environment = {"BENCH_KERAS_MODEL": str(_keras_model(folder, source))}
    pairs = [
        (_first_forecast(FUNCTION, source, {}), _first_forecast(WITH_TENSORFLOW, source, environment))
        for _ in range(size.pairs + 1)
    ][1:]
    return {
        "cold_s": statistics.median(own for (own, _), _ in pairs),
        "cold_with_tensorflow_s": statistics.median(other for _, (other, _) in pairs),
        "cold_time_vs_tensorflow": statistics.median(own / other for (own, _), (other, _) in pairs),
        "cold_rss_mib": statistics.median(own for (_, own), _ in pairs),
        "cold_rss_with_tensorflow_mib": statistics.median(other for _, (_, other) in pairs),
        "cold_memory_vs_tensorflow": statistics.median(own / other for (_, own), (_, other) in pairs),
    }


def _first_forecast(function: Path, source: MarketData, environment: Mapping[str, str]) -> tuple[float, float]:
    """Seconds from the start of a function's process to its first stored forecast, and its peak memory."""
    with _workspace() as workspace, Function(function, workspace.folder, environment) as served:
        sent = workspace.upload(source, ["MSFT"])
        served.wait()
        workspace.announce(sent, served)
        return time.perf_counter() - served.started, served.rss_mib()


def _warm(size: Size) -> dict[str, float]:
    source = _prefetched(["MSFT"])
    with _workspace() as workspace, Function(FUNCTION, workspace.folder) as served:
        served.wait()
        workspace.announce(workspace.upload(source, ["MSFT"]), served)
        seconds = [workspace.visible(workspace.upload(source, ["MSFT"]), served) for _ in range(size.warm)]
    p50, p99 = np.quantile(seconds, [0.5, 0.99])
    return {"warm_p50_ms": 1000 * float(p50), "warm_p99_ms": 1000 * float(p99)}


def _fitted(size: Size) -> dict[str, float]:
    """Run rounds of 500 symbols in one event, each beside fits of the statistical models to some of the symbols."""
    symbols = _symbols(BATCH)
    source = _prefetched(symbols)
    series = list(source.fetch(symbols, AS_OF, AS_OF, advance=None).bars.values())
    models = {name: catalogue.statistical(name) for name in FITTED}
    for model in models.values():
        model.predict(series[:1])  # imports the package, and compiles what the first fit compiles
    rates: list[float] = []
    ratios: dict[str, list[float]] = {name: [] for name in FITTED}
    with _workspace() as workspace, Function(FUNCTION, workspace.folder) as served:
        served.wait()
        workspace.announce(workspace.upload(source, symbols[:1]), served)
        for number in range(size.rounds):
            sent, before = workspace.upload(source, symbols), served.cpu_s()
            rates.append(BATCH / workspace.announce(sent, served))
            used = (served.cpu_s() - before) / BATCH
            for name, model in models.items():
                count = FITTED[name]
                ratios[name].append(_fit(model, series[number * count :][:count]) / count / used)
    speedups = {f"speedup_vs_{name.replace('-', '')}": statistics.median(found) for name, found in ratios.items()}
    return {"symbols_per_second_500": statistics.median(rates), **speedups}


def _fit(model: Predictor, series: Sequence[Bars]) -> float:
    """The processor time of fits, children included: Stan is one."""
    started = _own_cpu_s()
    model.predict(series)
    return _own_cpu_s() - started


def _own_cpu_s() -> float:
    return report.cpu_s() + report.cpu_s(resource.RUSAGE_CHILDREN)


def _batch(size: Size) -> dict[str, float]:
    """Run thousands of symbols, 500 an event; the time includes writing and reading the CSV, and storing the rows."""
    seconds: list[float] = []
    memory: list[float] = []
    with _workspace() as workspace, Function(FUNCTION, workspace.folder) as served:
        served.wait()
        for symbols in batches(_symbols(size.batch)):
            source = _prefetched(symbols)
            started = time.perf_counter()
            workspace.announce(workspace.upload(source, symbols), served)
            seconds.append(time.perf_counter() - started)
            memory.append(served.rss_mib("VmRSS"))
        peak = served.rss_mib()
    return {
        "batch_10000_s": sum(seconds),
        "batch_10000_rss_mib": peak,
        "batch_rss_after_5_events_mib": memory[_SETTLED - 1],
        "batch_rss_at_the_end_mib": memory[-1],
    }


def _worst(size: Size) -> dict[str, float]:
    """Send a file of each costly shape to a function of its own; one that it does not answer ends the measurement."""
    memory: dict[str, float] = {}
    seconds: dict[str, float] = {}
    for shape, make in SHAPES.items():
        with _workspace() as workspace, Function(FUNCTION, workspace.folder) as served:
            served.wait()
            workspace.announce(workspace.upload(_prefetched(["MSFT"]), ["MSFT"]), served)
            before = served.rss_mib("VmRSS")
            ending = ".parquet" if "parquet" in shape else ".csv"
            name = f"ohlc/{AS_OF}/{'MSFT' if shape in SINGLE else 'batch-0001'}{ending}"
            generation = workspace.store.write(name, make(size.attack * 990_000))
            seconds[shape] = workspace.answered(name, generation, served)
            memory[shape] = served.rss_mib() - before
        print(f"{shape:18} {seconds[shape]:6.1f} s {memory[shape]:6.0f} MiB", file=sys.stderr)
    return {
        "worst_mib_per_mb": max(memory.values()) / size.attack,
        "worst_s_per_mb": max(seconds.values()) / size.attack,
        "worst_mib": max(memory.values()),
        "worst_s": max(seconds.values()),
    }


def _prefetched(symbols: Sequence[str]) -> Prefetched:
    simulated = engines.market_data("simulated")
    return Prefetched(simulated.fetch(symbols, AS_OF - LOOKBACK, AS_OF, advance=lambda _: None))


def _symbols(count: int) -> list[str]:
    return [f"S{number:05}" for number in range(count)]


def _keras_model(folder: Path, source: Prefetched) -> Path:
    config.set_up_tensorflow()
    from tickercast.models.lstm import training as lstm

    [bars] = source.fetch(["MSFT"], AS_OF, AS_OF, advance=None).bars.values()
    path = folder / "model.keras"
    lstm.fit([bars], trained_through=AS_OF, seeds=range(5), recipe=Recipe(epochs=1)).save(path)
    return path


@contextmanager
def _workspace() -> Iterator[Workspace]:
    with tempfile.TemporaryDirectory() as folder:
        yield Workspace(Path(folder))


def _family(pid: int) -> Iterator[int]:
    yield pid
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        yield from _family(int(child))


def _cpu_s(pid: int) -> float:
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def _rss_mib(pid: int, field: str) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024


if __name__ == "__main__":
    main()
