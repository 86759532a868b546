"""Measure the API as a program meets it: reads, forecasts that are not stored, its start, and a race for a quota.

The server runs under uvicorn over a local bucket and DuckDB, with tokens and a quota. What it is compared with is
measured in the same run, in turns: the same server with a constant answer from FastAPI, by processor time a request,
and the forecast function, from the start of the process to its first answer.

Reads are 50 symbols' forecasts, records and indicators, the overview and the list of symbols, after one of each. Then
ten more files are handled, one at a time: `fresh` are all first reads after each, and `changed` those of them whose
answer the file changes, so that it is worked out again; their processor time is compared with that of the questions
themselves, asked without the API.
"""

import http.client
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from benchmarks import report
from benchmarks.bench_serving import FUNCTION, Function
from tickercast import engines
from tickercast.app import App
from tickercast.backends import events
from tickercast.config import Settings
from tickercast.domain.bars import LOOKBACK
from tickercast.domain.tokens import Scope
from tickercast.reading import views

AS_OF = date(2023, 7, 21)
SYMBOLS = [f"SYM{number}" for number in range(50)]
FILES = 10
READS, FORECASTS, ROUNDS, ROUND, STARTS = 5_000, 300, 5, 2_000, 5
LIMIT, CALLS = 1_000, 800  # of a quota, and of each of the two that race for it

_PATIENCE_S = 60.0


class Server:
    """A process that serves HTTP on this machine, from its start on.

    Args:
        words: the command, without the port.
        folder: where it runs.
        environment: additional environment variables.
    """

    def __init__(self, words: Sequence[str], folder: Path, environment: Mapping[str, str], *more: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.started = time.perf_counter()
        command = [sys.executable, "-m", *words, str(self.port), *more]
        self.process = subprocess.Popen(command, cwd=folder, env=report.environment() | dict(environment))

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait()

    def connect(self) -> http.client.HTTPConnection:
        """A connection, once the server listens."""
        until = time.perf_counter() + _PATIENCE_S
        while time.perf_counter() < until:
            made = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_PATIENCE_S)
            try:
                made.connect()
            except ConnectionRefusedError:
                time.sleep(0.005)
                continue
            made.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return made
        raise TimeoutError("the server does not answer")

    def processor_s(self) -> float:
        """The processor time that it has taken, in seconds."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Workspace:
    """A bucket and warehouse with some symbols, and tokens."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        bucket, warehouse, source = f"file://{folder}/bucket", f"duckdb://{folder}/w.duckdb", "simulated"
        self.app = App(Settings(bucket=bucket, warehouse=warehouse, source=source))
        self.environment = {
            "TICKERCAST_BUCKET": bucket,
            "TICKERCAST_WAREHOUSE": warehouse,
            "TICKERCAST_SOURCE": source,
        }
        self.app.forecast(SYMBOLS, AS_OF)

    def serve(self) -> Server:
        """Serve the API over it."""
        return Server(["tickercast", "serve", "--port"], self.folder, self.environment)

    def token(self, owner: str, per_month: int) -> dict[str, str]:
        """Make a token, as a header."""
        return {"Authorization": f"Bearer {self.app.create_token(owner, list(Scope), per_month=per_month)[1]}"}


def ask(to: http.client.HTTPConnection, path: str, headers: Mapping[str, str], body: Any = None) -> tuple[int, bytes]:
    """Ask once, and read the answer."""
    given = json.dumps(body).encode() if body is not None else None
    to.request("POST" if given else "GET", path, given, dict(headers) | {"Content-Type": "application/json"})
    answer = to.getresponse()
    return answer.status, answer.read()


def timed_ms(to: http.client.HTTPConnection, paths: Sequence[str], headers: Mapping[str, str]) -> list[float]:
    """The time of each of some reads, in milliseconds."""
    taken: list[float] = []
    for path in paths:
        begin = time.perf_counter()
        status, _ = ask(to, path, headers)
        taken.append((time.perf_counter() - begin) * 1e3)
        assert status == 200, (path, status)
    return taken


def reads(space: Workspace, headers: Mapping[str, str]) -> dict[str, float]:
    """Time reads of one connection, and forecasts of given bars."""
    kinds = ("forecasts", "skill", "indicators")
    paths = [f"/v1/{kind}/{symbol}" for symbol in SYMBOLS for kind in kinds] + ["/v1/overview", "/v1/symbols"]
    with space.serve() as server:
        to = server.connect()
        timed_ms(to, paths, headers)
        warm = timed_ms(to, [paths[number % len(paths)] for number in range(READS)], headers)
        fresh, changed, processor_s = list[float](), list[float](), 0.0
        for symbol in SYMBOLS[:FILES]:
            space.app.forecast(symbol, AS_OF)
            time.sleep(1)  # the revision is looked up twice a second
            own = [path for path in paths if path.endswith((f"/{symbol}", "/overview", "/symbols"))]
            before = server.processor_s()
            taken = timed_ms(to, own, headers)
            processor_s += server.processor_s() - before
            changed += taken
            fresh += taken + timed_ms(to, [path for path in paths if path not in own], headers)
        made = forecasts(space, to, headers)
    return {
        "read_p50_ms": statistics.median(warm),
        "read_p99_ms": percentile(warm, 99),
        "read_fresh_p50_ms": statistics.median(fresh),
        "read_fresh_p99_ms": percentile(fresh, 99),
        "read_changed_p50_ms": statistics.median(changed),
        "read_changed_p99_ms": percentile(changed, 99),
        "read_changed_processor_ms": processor_s * 1e3 / len(changed),
        "questions_processor_ms": questions_ms(space.app),
        "forecast_store_false_p50_ms": statistics.median(made),
        "forecast_store_false_p99_ms": percentile(made, 99),
    }


def questions_ms(app: App) -> float:
    """The mean processor time of the questions behind the answers that a file changes, in milliseconds."""
    taken = list[float]()
    for symbol in SYMBOLS[: FILES + 1]:
        wanted = {"symbol": symbol, "frequency": "1d"}
        begin = time.process_time()
        app.stored_forecast(symbol)
        app.tables.read("forecast_skill", wanted)
        app.tables.read("indicators", wanted)
        app.overview()
        views.freshness(app.tables)
        taken.append((time.process_time() - begin) * 1e3 / 5)
    return statistics.mean(taken[1:])  # the first imports


def forecasts(space: Workspace, to: http.client.HTTPConnection, headers: Mapping[str, str]) -> list[float]:
    """Time forecasts of three years of bars that are not stored, in milliseconds."""
    bars = space.app.market_data().fetch(SYMBOLS[:1], AS_OF - LOOKBACK, AS_OF, advance=lambda _: None)[SYMBOLS[0]]
    frame = bars.frame.assign(date=bars.frame["session_date"].dt.strftime("%Y-%m-%d")).drop(columns="session_date")
    body = {"symbol": SYMBOLS[0], "as_of": AS_OF.isoformat(), "bars": frame.to_dict("records")}
    taken: list[float] = []
    for number in range(FORECASTS + 5):
        begin = time.perf_counter()
        status, answer = ask(to, "/v1/forecasts?store=false", headers, body)
        assert status == 200, answer
        if number >= 5:
            taken.append((time.perf_counter() - begin) * 1e3)
    return taken


def beside_fastapi(space: Workspace, headers: Mapping[str, str]) -> dict[str, float]:
    """Compare the processor time of a read with that of a constant answer, in turns."""
    path = f"/v1/forecasts/{SYMBOLS[0]}"
    ours, bare = list[float](), list[float]()
    with space.serve() as server:
        _, answer = ask(server.connect(), path, headers)
        (space.folder / "answer").write_bytes(answer)
        with Server(["benchmarks.bare_api"], space.folder, {}, str(space.folder / "answer")) as other:
            timed_ms(other.connect(), [path] * 200, headers)
            for _ in range(ROUNDS):
                for one, taken in ((server, ours), (other, bare)):
                    connection, before = one.connect(), one.processor_s()  # an idle connection is closed
                    timed_ms(connection, [path] * ROUND, headers)
                    taken.append(one.processor_s() - before)
    return {
        "requests_a_processor_s": ROUND / statistics.median(ours),
        "requests_s_vs_bare_fastapi": statistics.median(bare) / statistics.median(ours),
    }


def starts(space: Workspace, headers: Mapping[str, str]) -> dict[str, float]:
    """Compare the time from a start to the first answer with the function's, in turns."""
    api, function = list[float](), list[float]()
    store = engines.object_store(space.app.settings, announce=False)
    content = store.read(f"ohlc/{AS_OF}/{SYMBOLS[0]}.csv")
    for number in range(STARTS + 1):
        with space.serve() as server:
            timed_ms(server.connect(), [f"/v1/forecasts/{SYMBOLS[0]}"], headers)
            api.append(time.perf_counter() - server.started)
        with Function(FUNCTION, space.folder, space.environment) as served:
            name = f"ohlc/{AS_OF}/START{number}.csv"
            generation = store.write(name, content)
            served.wait()
            events.over_http(served.url)(described(space, name, generation, len(content)))
            function.append(time.perf_counter() - served.started)
    return {
        "start_s": statistics.median(api[1:]),
        "start_of_function_s": statistics.median(function[1:]),
        "start_vs_function": statistics.median(api[1:]) / statistics.median(function[1:]),
    }


def described(space: Workspace, name: str, generation: str, size: int) -> dict[str, Any]:
    """The object of an event, as a bucket announces it."""
    bucket = space.app.store.bucket
    written = {"timeCreated": datetime.now(UTC).isoformat()}
    return {"bucket": bucket, "name": name, "generation": generation, "size": str(size), **written}


def race(space: Workspace) -> dict[str, float]:
    """Let two servers grant the calls of one quota at once."""
    headers = space.token("race", LIMIT)
    granted: list[int] = []
    with two(space) as servers:
        connections = [server.connect() for server in servers for _ in range(2)]

        def call(to: http.client.HTTPConnection) -> None:
            path = "/v1/symbols"
            granted.append(sum(ask(to, path, headers)[0] == 200 for _ in range(CALLS)))

        threads = [threading.Thread(target=call, args=(to,)) for to in connections]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return {"quota_granted": sum(granted), "quota_limit": LIMIT}


@contextmanager
def two(space: Workspace) -> Iterator[tuple[Server, Server]]:
    """Two servers over the same bucket."""
    with space.serve() as one, space.serve() as other:
        yield one, other


def percentile(taken: Sequence[float], at: int) -> float:
    """A percentile of times."""
    return statistics.quantiles(taken, n=100, method="inclusive")[at - 1]


def main() -> None:
    """Measure everything and write `api.json`."""
    with tempfile.TemporaryDirectory() as folder:
        space = Workspace(Path(folder))
        headers = space.token("bench", 10**6)
        figures = reads(space, headers) | beside_fastapi(space, headers) | starts(space, headers) | race(space)
    report.write("api", figures)


if __name__ == "__main__":
    main()
