"""Drives the real function through faults, then compares all that it stored with a run that had none.

The platform's part is played by a process of its own, which forks an instance of the function, passes deliveries on to
it and forks another where one is killed. An instance is cloud_function/main.py behind functions-framework, with each
call of a port being a step: before or after any of them it can be killed (SIGKILL), be refused by the engine, fail for
a reason of its own or be held up. A delivery that is not acknowledged is made again, as the platform does.

    site = Site(folder)                               # a bucket, a warehouse, and a second pair of them without faults
    event = site.upload("ohlc/2023-07-22/MSFT.csv", data)
    site.deliver([Delivery(event, [Fault(3, "kill")]), Delivery(event)])
    site.difference() == Difference()

`S3Site` is the same over a stand-in of S3 and aws_function/main.py, which is given each record as a message of a queue.
"""

import functools
import json
import os
import random
import runpy
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd

from tickercast import config, engines
from tickercast.app import App
from tickercast.backends.object_store.local import LocalObjectStore
from tickercast.backends.warehouse.duckdb import DuckDBWarehouse
from tickercast.domain.measures.scores import SUMS
from tickercast.errors import StoreUnavailable, WarehouseUnavailable
from tickercast.ports import FINALIZED, ObjectStore

KINDS = ("kill", "unavailable", "bug", "slow")
"""The faults at a step; the first three keep the event from being acknowledged."""

ALARM = "alarm"
"""A kill that is not at a step: the instance dies so many seconds after the delivery, whatever it does then."""

_FILE = ["object", "generation"]
_PAIR = ["symbol", "role", "model_name", "cutoff", "cutoff_at", "step", "simulated"]
_ONCE = {
    "spans": [*_FILE, "symbol"],
    "prices": [*_FILE, "symbol", "session_date", "closed_at"],
    "digests": [*_FILE, "symbol", "month"],
    "forecasts": [*_FILE, "symbol", "role", "model_name", "step"],
    "scores": ["basis", *_PAIR],
    "ingestions": [*_FILE, "symbol"],
}
"""The columns by which a table holds a row once at most, whatever happens."""

_COUNTS = {
    "spans": _ONCE["spans"],
    "prices": ["symbol", "session_date", "closed_at", "simulated"],
    "forecasts": _ONCE["forecasts"],
    "scores": _PAIR,
    "skill_blocks": ["model_name", "model_version", "role", "symbol", "step", "block", "month", "has_scale"],
    "ingestions": _ONCE["ingestions"],
}
"""The columns that name a row that counts, in any order of events; whether a row that does not count is there depends
on it."""

_EVERY_REVISION = "score_revisions"
"""The view with the scores that no longer count, too, and so with other rows in another order of events."""

_BY_ORDER = ["rows_new", "bars_new", "revision", "basis", "scored_at"]
_CLOCKS = [
    *("ingested_at", "created_at", "received_at", "announced_at", "duration_ms", "event_id", "day", "backfilled"),
    *("last_received_at", "first_made_at", "last_made_at", "bytes_loaded", "bytes_queried"),
]
_CLOCK_PREFIXES = ("duration_ms_", "usd")
_MOST_DELIVERIES = 60
_SLOW_S = 0.05
_TOLERANCE = 1e-9


@dataclass(frozen=True)
class Fault:
    """A fault at a step of a delivery.

    Attributes:
        step: which call of a port, from 0 on; for an alarm the microseconds after which it goes off.
        kind: one of `KINDS`, or `ALARM`.
        after: whether the call has had its effect by then, and only its answer is lost.
    """

    step: int
    kind: str
    after: bool = False


@dataclass(frozen=True)
class Delivery:
    """An event, and what happens at its first delivery, its second, and so on; later ones are undisturbed."""

    event: Mapping[str, Any]
    faults: Sequence[Fault] = ()


@dataclass
class Tally:
    """The counts of a run in which events were delivered.

    Attributes:
        deliveries: all, those made again included.
        kills: instances that died.
        faults: what happened, by kind; kills and alarms too.
        answers: HTTP statuses.
        steps: the calls of the last delivery that was acknowledged.
    """

    deliveries: int = 0
    kills: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    answers: Counter[int] = field(default_factory=Counter)
    steps: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Difference:
    """How what was stored differs from the run without faults; all zero and empty where nothing does.

    Attributes:
        rows_lost: rows of the tables that only the other run has.
        rows_doubled: rows that only this one has.
        rows_unasked: rows of a symbol that the ledger does not call forecast.
        unaccounted: the files that the ledger does not hold.
        views: those with other rows.
    """

    rows_lost: int = 0
    rows_doubled: int = 0
    rows_unasked: int = 0
    unaccounted: tuple[str, ...] = ()
    views: tuple[str, ...] = ()


# ---------------------------------------------------------------- the instance


class Steps:
    """Counts the calls of one delivery and lets happen what is planned for them."""

    def __init__(self) -> None:
        self.begin(())

    def begin(self, faults: Iterable[Fault]) -> None:
        self.calls: list[str] = []
        self.happened: list[str] = []
        self._planned = {(fault.step, fault.after): fault.kind for fault in faults if fault.kind != ALARM}

    def take(self, call: Callable[..., Any], name: str, refusal: type[Exception]) -> Callable[..., Any]:
        def step(*arguments: Any, **named: Any) -> Any:
            number = len(self.calls)
            self.calls.append(name)
            self._happen(number, False, refusal)
            answer = call(*arguments, **named)
            self._happen(number, True, refusal)
            return answer

        return step

    def _happen(self, number: int, after: bool, refusal: type[Exception]) -> None:
        kind = self._planned.pop((number, after), None)
        self.happened += [kind] if kind else []
        if kind == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif kind == "unavailable":
            raise refusal("The engine answered 503, as planned. Try again.")
        elif kind == "bug":
            raise RuntimeError("a fault of our own, as planned")
        elif kind == "slow":
            time.sleep(_SLOW_S)


class Stepped:
    """A port whose every call is a step."""

    def __init__(self, port: Any, steps: Steps, refusal: type[Exception]) -> None:
        self._port, self._steps, self._refusal = port, steps, refusal

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._port, name)
        return self._step(found, name) if callable(found) else found

    @contextmanager
    def session(self, *, together: bool = False) -> Iterator[bool]:
        """Opening and closing a session are steps of their own; so are the calls in between."""
        with ExitStack() as held:
            yield self._step(lambda: held.enter_context(self._port.session(together=together)), "session")()
            self._step(held.close, "close")()

    def _step(self, call: Callable[..., Any], name: str) -> Callable[..., Any]:
        kind = type(self._port).__name__.removeprefix("Local").removeprefix("DuckDB")
        return self._steps.take(call, f"{kind}.{name}", self._refusal)


Post = Callable[[Mapping[str, Any]], int]
"""Delivers an event to the function, and returns the status of its answer."""


def _instance(post: Post, orders: int, answers: int) -> None:
    """Answers deliveries until it dies or there are no more."""
    steps = Steps()
    store, warehouse = engines.object_store, engines.warehouse
    engines.object_store = lambda *given, **named: Stepped(store(*given, **named), steps, StoreUnavailable)
    engines.warehouse = lambda *given, **named: Stepped(warehouse(*given, **named), steps, WarehouseUnavailable)
    with os.fdopen(orders) as lines, os.fdopen(answers, "w") as out:
        for line in lines:
            order = json.loads(line)
            faults = [Fault(**fault) for fault in order["faults"]]
            steps.begin(faults)
            for alarm in (fault for fault in faults if fault.kind == ALARM):
                signal.setitimer(signal.ITIMER_REAL, alarm.step / 1e6)  # undisposed, it kills at once
            status = post(order["event"])
            signal.setitimer(signal.ITIMER_REAL, 0)
            said = {"status": status, "steps": steps.calls, "happened": steps.happened}
            print(json.dumps(said), file=out, flush=True)


def _post(client: Any, event: Mapping[str, Any]) -> int:
    """Deliver an event to the function on Cloud Run."""
    attributes = {"ce-id": "1", "ce-source": "//storage.googleapis.com/b", "ce-specversion": "1.0"}
    headers = attributes | {"ce-type": FINALIZED, "content-type": "application/json"} | event["headers"]
    return int(client.post("/", headers=headers, data=json.dumps(event["data"])).status_code)


class LambdaContext:
    """The context that Lambda gives with a call."""

    aws_request_id = "1"

    @staticmethod
    def get_remaining_time_in_millis() -> int:
        return 300_000


def _queued(handler: Any, event: Mapping[str, Any]) -> int:
    """Deliver an event to the function on AWS Lambda, as the message of a queue."""
    body = json.dumps({"Records": [event["data"]]})
    failed = handler({"Records": [{"messageId": "1", "eventSource": "aws:sqs", "body": body}]}, LambdaContext())
    return 503 if failed["batchItemFailures"] else 200


# ---------------------------------------------------------------- the platform


class _Forked:
    """An instance in a process of its own."""

    def __init__(self, post: Post) -> None:
        (orders, to), (back, answers) = os.pipe(), os.pipe()
        self._pid = os.fork()
        if not self._pid:
            os.close(to)
            os.close(back)
            try:
                _instance(post, orders, answers)
            finally:
                os._exit(0)
        os.close(orders)
        os.close(answers)
        self._to, self._back = os.fdopen(to, "w"), os.fdopen(back)

    def answer(self, order: str) -> str:
        """The answer of the instance, or nothing where it died of the order."""
        self._to.write(order)
        self._to.flush()
        said = self._back.readline()
        if not said:
            self.close()
        return said

    def close(self) -> None:
        self._to.close()
        self._back.close()
        os.waitpid(self._pid, 0)


def _on_google() -> Post:
    from functions_framework import create_app

    source = str(config.resource("cloud_function") / "main.py")
    client = create_app("forecast", source, "cloudevent").test_client()  # type: ignore[no-untyped-call]
    return functools.partial(_post, client)


def _on_aws() -> Post:
    import tickercast.backends.object_store.s3  # noqa: F401

    return functools.partial(
        _queued, runpy.run_path(str(Path(__file__).parents[2] / "aws_function/main.py"))["handler"]
    )


def _platform(where: str) -> None:
    """Reads orders from standard input; it imports all that an instance needs, and opens nothing itself."""
    import tickercast.backends.warehouse.duckdb
    import tickercast.models.onnx  # noqa: F401

    post = {"google": _on_google, "aws": _on_aws}[where]()
    instance: _Forked | None = None
    for order in sys.stdin:
        instance = instance or _Forked(post)
        said = instance.answer(order)
        instance = instance if said else None
        sys.stdout.write(said or "{}\n")
        sys.stdout.flush()
    if instance:
        instance.close()


class Platform:
    """Delivers events to the function, each until it is acknowledged.

    Args:
        settings: name bucket and warehouse.
        log: where the function's log goes.
        where: `google` or `aws`, whose function it is.
    """

    def __init__(self, settings: config.Settings, log: Path, where: str = "google") -> None:
        others = {name: value for name, value in os.environ.items() if not name.startswith("TICKERCAST_")}
        named = {"TICKERCAST_BUCKET": settings.bucket, "TICKERCAST_WAREHOUSE": settings.warehouse}
        paths = os.pathsep.join(str(Path(__file__).parents[2] / folder) for folder in ("src", "."))
        self.log = log
        with self.log.open("w") as said:
            self._process = subprocess.Popen(
                [sys.executable, __file__, where],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=said,
                text=True,
                env=others | named | {"PYTHONPATH": paths},
            )
        self.tally = Tally()

    def deliver(self, delivery: Delivery) -> int:
        """Delivers an event, and again until it is acknowledged; returns the last status."""
        left = list(delivery.faults)
        for _ in range(_MOST_DELIVERIES):
            said = self._once(delivery.event, left[:1])
            left = left[1:]
            if said.get("status") == 200:
                self.tally.steps = said["steps"]
                return 200
        return int(said.get("status", 0))

    def _once(self, event: Mapping[str, Any], faults: Sequence[Fault]) -> dict[str, Any]:
        assert self._process.stdin
        assert self._process.stdout
        order = {"event": event, "faults": [asdict(fault) for fault in faults]}
        print(json.dumps(order), file=self._process.stdin, flush=True)
        said: dict[str, Any] = json.loads(self._process.stdout.readline())
        self.tally.deliveries += 1
        self.tally.kills += not said
        self.tally.faults.update(said.get("happened") or [fault.kind for fault in faults if not said])
        self.tally.answers[said.get("status", 0)] += 1
        return said

    def close(self) -> None:
        self._process.communicate()


# ---------------------------------------------------------------- the site


class Site:
    """A bucket and a warehouse that go through faults, and their copies that do not."""

    def __init__(self, folder: Path) -> None:
        self._folders = {name: folder / name for name in ("faulty", "clean")}
        faulty = self._folders["faulty"]
        self.store: ObjectStore = LocalObjectStore(faulty / "bucket")
        App(_settings(faulty)).provision()
        shutil.copytree(faulty, self._folders["clean"])
        self.written: list[tuple[str, str]] = []

    @functools.cached_property
    def platforms(self) -> dict[str, Platform]:
        """A platform for each of the two."""
        return {name: Platform(_settings(path), path / "bucket.log") for name, path in self._folders.items()}

    @property
    def tally(self) -> Tally:
        """The counts of the run with faults."""
        return self.platforms["faulty"].tally

    def folder(self, site: str) -> Path:
        """Where bucket and warehouse of the `faulty` or the `clean` site are."""
        return self._folders[site]

    def upload(self, name: str, data: bytes, *, skew: timedelta = timedelta()) -> dict[str, Any]:
        """Writes a file and returns its event, whose sender's clock is wrong by so much."""
        generation = self.store.write(name, data)
        described = {"bucket": "bucket", "name": name, "generation": generation, "size": str(len(data))}
        event = {"headers": {"ce-time": (datetime.now(UTC) + skew).isoformat()}, "data": described}
        self.written.append((generation, name))
        return event

    def deliver(self, deliveries: Iterable[Delivery]) -> None:
        """Delivers in this order to the site with faults, and each event once, as they were written, to the other."""
        faulty, clean = self._folders["faulty"], self._folders["clean"]
        for part in ("bucket/ohlc", "bucket/.generations/ohlc"):
            shutil.copytree(faulty / part, clean / part, dirs_exist_ok=True)
        planned = list(deliveries)
        known = {_written(delivery.event): Delivery(delivery.event) for delivery in planned}
        undisturbed = [known[written] for written in sorted(known)]
        with ThreadPoolExecutor(1) as beside:
            other = beside.submit(_all, self.platforms["clean"], undisturbed)
            _all(self.platforms["faulty"], planned)
            other.result()

    def read(self, name: str, site: str = "faulty") -> pd.DataFrame:
        """The rows of a table or view."""
        return self._contents(site, [name])[name]

    def difference(self) -> Difference:
        """Compares all that counts of what both hold."""
        names = (path.stem for path in sorted(config.resource("sql").glob("views/*.sql")))
        views = [name for name in names if name != _EVERY_REVISION]
        faulty, clean = (self._contents(site, [*_ONCE, "skill_blocks", *views]) for site in ("faulty", "clean"))
        counts = {table: [_that_count(table, rows[table]) for rows in (faulty, clean)] for table in _COUNTS}
        unlike = [_unlike(seen, wanted, _COUNTS[table]) for table, (seen, wanted) in counts.items()]
        repeated = sum(int(faulty[table].duplicated(key).sum()) for table, key in _ONCE.items())
        held = set(zip(faulty["ingestions"]["generation"], faulty["ingestions"]["object"], strict=True))
        return Difference(
            rows_lost=sum(lost for lost, _ in unlike),
            rows_doubled=sum(added for _, added in unlike) + repeated,
            rows_unasked=sum(_unasked(faulty[table], faulty["ingestions"]) for table in ("prices", "forecasts")),
            unaccounted=tuple(sorted(name for generation, name in self.written if (generation, name) not in held)),
            views=tuple(view for view in views if _differs(_comparable(faulty[view]), _comparable(clean[view]))),
        )

    def quarantined(self, site: str = "faulty") -> list[str]:
        """The rejected files that are kept."""
        return LocalObjectStore(self._folders[site] / "bucket").names("quarantine/")

    def _contents(self, site: str, names: Sequence[str]) -> dict[str, pd.DataFrame]:
        """All from one opened file, which is many times as fast as the port."""
        with duckdb.connect(self._folders[site] / "warehouse.duckdb") as connection:
            connection.execute("SET TimeZone = 'UTC'")
            return {name: connection.table(name).df() for name in names}

    def close(self) -> None:
        """Ends both platforms."""
        if "platforms" in vars(self):
            for platform in self.platforms.values():
                platform.close()


class S3Site(Site):
    """A bucket on the stand-in of S3, and two warehouses; the one without faults is filled after the other.

    Both are filled from the same versions, since times of writing, which S3 gives, are compared. What the function puts
    in quarantine is in that bucket, too.
    """

    def __init__(self, folder: Path) -> None:
        from tests.support.s3_server import S3Server

        from tickercast.backends.object_store.s3 import S3ObjectStore

        self._folders = {name: folder / name for name in ("faulty", "clean")}
        self._server = S3Server()
        self._bucket = self._server.make_bucket()
        self.store = S3ObjectStore(self._bucket, endpoint=self._server.url)
        for path in self._folders.values():
            path.mkdir(parents=True)
            App(self._settings(path)).provision()
        self.written = []

    @functools.cached_property
    def platforms(self) -> dict[str, Platform]:
        """A platform for each of the two."""
        return {name: Platform(self._settings(path), path / "log", "aws") for name, path in self._folders.items()}

    def upload(self, name: str, data: bytes, *, skew: timedelta = timedelta()) -> dict[str, Any]:
        """Writes a file and returns its event; a clock that is wrong is the bucket's own, and so is left right."""
        before = len(self._server.announced)
        generation = self.store.write(name, data)
        self.written.append((generation, name))
        [record] = [one for one in self._server.announced[before:] if one["s3"]["object"]["versionId"] == generation]
        return {"headers": {}, "data": record}

    def deliver(self, deliveries: Iterable[Delivery]) -> None:
        """Delivers in this order to the site with faults, then each event once, as they were written, to the other."""
        planned = list(deliveries)
        known = {_of_record(delivery.event): Delivery(delivery.event) for delivery in planned}
        _all(self.platforms["faulty"], planned)
        _all(self.platforms["clean"], [known[written] for written in sorted(known)])

    def quarantined(self, site: str = "faulty") -> list[str]:
        """The rejected files that are kept."""
        return self.store.names("quarantine/")

    def doubled_writes(self) -> int:
        """How many writes below `ohlc/` the bucket has announced beyond those that were made."""
        announced = [one["s3"]["object"]["key"] for one in self._server.announced]
        return len([name for name in announced if name.startswith("ohlc/")]) - len(self.written)

    def close(self) -> None:
        """Ends both platforms, and the stand-in."""
        super().close()
        self._server.close()

    def _settings(self, folder: Path) -> config.Settings:
        bucket = f"s3://{self._bucket}?endpoint={self._server.url}"
        return config.Settings(bucket=bucket, warehouse=f"duckdb://{folder}/warehouse.duckdb")


def shuffled(deliveries: Sequence[Delivery], *, doubled: float, seed: int) -> list[Delivery]:
    """The deliveries with a share of them a second time, undisturbed, all in any order."""
    chance = random.Random(seed)
    again = chance.sample(list(deliveries), round(doubled * len(deliveries)))
    mixed = [*deliveries, *(Delivery(delivery.event) for delivery in again)]
    chance.shuffle(mixed)
    return mixed


def at_every_step(steps: int, kind: str) -> list[Fault]:
    """A fault of a kind before and after each of so many steps."""
    return [Fault(step, kind, after) for step in range(steps) for after in (False, True)]


def _settings(folder: Path) -> config.Settings:
    return config.Settings(bucket=f"file://{folder}/bucket", warehouse=f"duckdb://{folder}/warehouse.duckdb")


def _warehouse(folder: Path) -> DuckDBWarehouse:
    return DuckDBWarehouse(folder / "warehouse.duckdb", config.resource("sql"))


def _written(event: Mapping[str, Any]) -> tuple[str, str]:
    return event["data"]["generation"], event["data"]["name"]


def _of_record(event: Mapping[str, Any]) -> str:
    return str(event["data"]["s3"]["object"]["sequencer"])


def _all(platform: Platform, deliveries: Iterable[Delivery]) -> None:
    for delivery in deliveries:
        status = platform.deliver(delivery)
        assert status == 200, f"{status} for {delivery}: {platform.log.read_text()[-2000:]}"


def _that_count(table: str, rows: pd.DataFrame) -> pd.DataFrame:
    """The rows that a reader sees, of which there is one a key."""
    key = _COUNTS[table]
    if table == "skill_blocks":
        summed = rows.groupby(key, as_index=False)[list(SUMS)].sum()
        return _comparable(summed[summed["n"] > 0])
    if table == "prices":
        live = ~rows["object"].str.contains("/backfill-")
        rows = rows.assign(live=live).sort_values(["live", "written_at", "generation"])
    if table == "scores":
        rows = rows.sort_values(["revision", "scored_at"])
    return _comparable(rows.drop_duplicates(key, keep="last"))


def _unlike(seen: pd.DataFrame, wanted: pd.DataFrame, key: Sequence[str]) -> tuple[int, int]:
    """How many rows only `wanted` has, and how many only `seen`; a row with other values is one of each."""
    both = wanted.merge(seen, on=list(key), how="outer", suffixes=("", "_seen"), indicator="side")
    shared = both[both["side"] == "both"]
    other = pd.Series(False, shared.index)
    for name in wanted.columns.difference(list(key)):
        a, b = shared[name], shared[f"{name}_seen"]
        other |= ~(_near(a, b) if pd.api.types.is_float_dtype(a) else (a == b) | (a.isna() & b.isna()))
    sides = both["side"].value_counts()
    return int(sides["left_only"] + other.sum()), int(sides["right_only"] + other.sum())


def _near(a: pd.Series, b: pd.Series) -> Any:
    return np.isclose(a, b, rtol=_TOLERANCE, atol=_TOLERANCE, equal_nan=True)


def _comparable(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows in a fixed order, without what differs from run to run or with the order of events."""
    names = [str(name) for name in rows.columns]
    left_out = [name for name in names if name in (*_CLOCKS, *_BY_ORDER) or name.startswith(_CLOCK_PREFIXES)]
    if {"session_date", "ingested_at"} <= set(names):  # a bar that several files hold is stored from any of them
        left_out += [*_FILE, "written_at", "origin"]
    rows = rows.drop(columns=left_out, errors="ignore")
    if "quantiles" in rows:
        lists = [tuple(values) if isinstance(values, (list, np.ndarray)) else () for values in rows["quantiles"]]
        rows = rows.assign(quantiles=pd.Series(lists, rows.index))
    numbers = rows.select_dtypes("number").columns
    return rows.sort_values([*rows.columns.difference(numbers, sort=False), *numbers], ignore_index=True)


def _unasked(rows: pd.DataFrame, ledger: pd.DataFrame) -> int:
    key = ["object", "generation", "symbol"]
    accepted = pd.MultiIndex.from_frame(ledger.loc[ledger["status"] == "forecast", key])
    return int((~pd.MultiIndex.from_frame(rows[key]).isin(accepted)).sum())


def _differs(seen: pd.DataFrame, wanted: pd.DataFrame) -> bool:
    try:
        pd.testing.assert_frame_equal(seen, wanted, rtol=_TOLERANCE, atol=_TOLERANCE)
    except AssertionError:
        return True
    return False


if __name__ == "__main__":
    _platform(sys.argv[1])
