"""Measures the forecast function as the platform serves it: cold, warm, with 500 symbols, and with thousands.

Each function is a process of its own under functions-framework, over a local bucket and DuckDB, and answers CloudEvents
over HTTP. What it is compared with is measured in the same run, in turns: the same function with TensorFlow and the
Keras model that the shipped ONNX file would be exported from, and three models that are fitted anew to each symbol.

`bench_serving.py quick` does a tenth of it in a minute, and leaves `serving.json` alone.
"""

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
from tickercast import config, engines
from tickercast.backends import events
from tickercast.domain.bars import Bars, Reading
from tickercast.domain.forecast import Predictor
from tickercast.domain.recipe import Recipe
from tickercast.jobs.requests.upload import BATCH, LOOKBACK, Upload, batches, upload
from tickercast.ports import MarketData

AS_OF = date(2023, 7, 21)
FUNCTION = report.PROJECT / "cloud_function" / "main.py"
WITH_TENSORFLOW = Path(__file__).parent / "function_with_tensorflow.py"
FITTED = {"auto-arima": 6, "auto-ets": 12, "prophet": 4}
"""The models that are fitted to each symbol, and to how many in a round."""

_PATIENCE_S = 60.0
_SETTLED = 5  # events after which the function's memory is compared


@dataclass(frozen=True)
class Size:
    """How much is measured.

    Attributes:
        pairs: cold starts of each function, after one that fills the caches.
        warm: events of one symbol.
        rounds: of 500 symbols in one event, and of the models that are fitted.
        batch: symbols in the large batch.
    """

    pairs: int = 7
    warm: int = 200
    rounds: int = 5
    batch: int = 10_000


QUICK = Size(pairs=1, warm=20, rounds=1, batch=4000)


class Function:
    """A function that is served, from the start of its process on.

    Args:
        source: the Python file that is served.
        workspace: where its bucket and warehouse are.
        environment: its environment variables beside the usual ones.
    """

    def __init__(self, source: Path, workspace: Path, environment: Mapping[str, str] | None = None) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        words = ["--source", str(source), "--target", "forecast", "--signature-type", "cloudevent"]
        self.started = time.perf_counter()
        self._process = subprocess.Popen(
            [Path(sys.executable).with_name("functions-framework"), *words, "--host", "127.0.0.1", "--port", str(port)],
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
        """Waits until something listens, however busy it is with its start."""
        host, _, port = self.url.removeprefix("http://").partition(":")
        while time.perf_counter() - self.started < _PATIENCE_S:
            with socket.socket() as tried:
                if tried.connect_ex((host, int(port))) == 0:
                    return
            time.sleep(0.005)
        raise TimeoutError(f"{self.url} does not answer")

    def rss_mib(self, field: str = "VmHWM") -> float:
        """The memory of the process that answers, the largest of the server's: its peak, or `VmRSS` for now."""
        return max(_rss_mib(pid, field) for pid in _family(self._process.pid))


class Made:
    """Market data that is there already, so that no time goes into making it up."""

    name = "simulated"

    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    def fetch(self, symbols: Sequence[str], first: date, last: date, *, advance: object) -> Reading:
        """Gives what is there."""
        return Reading({symbol: self._reading.bars[symbol] for symbol in symbols})


class Workspace:
    """A bucket with a champion, and a warehouse with tables; nothing is announced but by `deliver`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings = config.Settings(
            bucket=f"file://{folder}/.tickercast/bucket", warehouse=f"duckdb://{folder}/.tickercast/warehouse.duckdb"
        )
        self.store = engines.object_store(self.settings, announce=False)
        self.warehouse = engines.provisioned(self.store, engines.warehouse(self.settings))

    def upload(self, source: MarketData, symbols: Sequence[str]) -> Upload:
        """Writes the bars, and announces nothing."""
        return upload(symbols, AS_OF, source=source, store=self.store, now=datetime.now(UTC))

    def announce(self, sent: Upload, function: Function) -> float:
        """Sends the event of an upload; the seconds to the function's answer, when all is stored."""
        described = {
            "bucket": self.store.bucket,
            "name": sent.object,
            "generation": str(sent.generation),
            "timeCreated": datetime.now(UTC).isoformat(),
        }
        deliver = events.over_http(function.url)
        started = time.perf_counter()
        deliver(described)
        elapsed = time.perf_counter() - started
        stored = self.warehouse.read("ingestions", {"object": sent.object, "generation": sent.generation})
        if list(stored["status"]) != ["forecast"] * len(sent.symbols):
            raise RuntimeError(f"{len(stored)} of {len(sent.symbols)} symbols were accounted for")
        return elapsed

    def visible(self, sent: Upload, function: Function) -> float:
        """Sends the event of one symbol; the seconds to its row in the view."""
        [symbol] = sent.symbols
        answered = self.announce(sent, function)
        started = time.perf_counter()
        rows = self.warehouse.read("latest_forecasts", {"symbol": symbol})
        elapsed = time.perf_counter() - started
        if set(rows["generation"]) != {sent.generation}:
            raise RuntimeError(f"the forecast of {sent.object}#{sent.generation} is not visible")
        return answered + elapsed


def main() -> None:
    """Runs all and writes `serving.json`."""
    quick = sys.argv[1:] == ["quick"]
    size = QUICK if quick else Size()
    with tempfile.TemporaryDirectory() as folder:
        figures = _cold(Path(folder), size) | _warm(size) | _fitted(size) | _batch(size)
    if quick:
        print({name: round(value, 3) for name, value in figures.items()})
    else:
        report.write("serving", figures)


def _cold(folder: Path, size: Size) -> dict[str, float]:
    source = _made(["MSFT"])
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
    with _workspace() as place, Function(function, place.folder, environment) as served:
        sent = place.upload(source, ["MSFT"])
        served.wait()
        place.announce(sent, served)
        return time.perf_counter() - served.started, served.rss_mib()


def _warm(size: Size) -> dict[str, float]:
    source = _made(["MSFT"])
    with _workspace() as place, Function(FUNCTION, place.folder) as served:
        served.wait()
        place.announce(place.upload(source, ["MSFT"]), served)
        seconds = [place.visible(place.upload(source, ["MSFT"]), served) for _ in range(size.warm)]
    p50, p99 = np.quantile(seconds, [0.5, 0.99])
    return {"warm_p50_ms": 1000 * float(p50), "warm_p99_ms": 1000 * float(p99)}


def _fitted(size: Size) -> dict[str, float]:
    """Rounds of 500 symbols in one event, each beside the models that are fitted to some of the same symbols."""
    symbols = _symbols(BATCH)
    source = _made(symbols)
    series = list(source.fetch(symbols, AS_OF, AS_OF, advance=None).bars.values())
    models = {name: engines.peer(name) for name in FITTED}
    for model in models.values():
        model.predict(series[:1])  # imports, and what is compiled at the first fit
    rates: list[float] = []
    ratios: dict[str, list[float]] = {name: [] for name in FITTED}
    with _workspace() as place, Function(FUNCTION, place.folder) as served:
        served.wait()
        place.announce(place.upload(source, symbols[:1]), served)
        for number in range(size.rounds):
            rates.append(BATCH / place.announce(place.upload(source, symbols), served))
            for name, model in models.items():
                count = FITTED[name]
                ratios[name].append(rates[-1] * _fit(model, series[number * count :][:count]) / count)
    speedups = {f"speedup_vs_{name.replace('-', '')}": statistics.median(found) for name, found in ratios.items()}
    return {"symbols_per_second_500": statistics.median(rates), **speedups}


def _fit(model: Predictor, series: Sequence[Bars]) -> float:
    started = time.perf_counter()
    model.predict(series)
    return time.perf_counter() - started


def _batch(size: Size) -> dict[str, float]:
    """Thousands of symbols, 500 an event; the time holds writing and reading the CSV, and storing all."""
    seconds: list[float] = []
    memory: list[float] = []
    with _workspace() as place, Function(FUNCTION, place.folder) as served:
        served.wait()
        for symbols in batches(_symbols(size.batch)):
            source = _made(symbols)
            started = time.perf_counter()
            place.announce(place.upload(source, symbols), served)
            seconds.append(time.perf_counter() - started)
            memory.append(served.rss_mib("VmRSS"))
        peak = served.rss_mib()
    return {
        "batch_10000_s": sum(seconds),
        "batch_10000_rss_mib": peak,
        "batch_rss_after_5_events_mib": memory[_SETTLED - 1],
        "batch_rss_at_the_end_mib": memory[-1],
    }


def _made(symbols: Sequence[str]) -> Made:
    simulated = engines.market_data("simulated")
    return Made(simulated.fetch(symbols, AS_OF - LOOKBACK, AS_OF, advance=lambda _: None))


def _symbols(count: int) -> list[str]:
    return [f"S{number:05}" for number in range(count)]


def _keras_model(folder: Path, source: Made) -> Path:
    config.silence_tensorflow()
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


def _rss_mib(pid: int, field: str) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024


if __name__ == "__main__":
    main()
