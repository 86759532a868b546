"""The function over Google's own clients and stand-ins that refuse requests, lose answers and fail jobs, then a count.

Each event is delivered until it is acknowledged, as the platform does; then the rows of every event are counted.
"""

import logging
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
from cloudevents.conversion import to_binary
from cloudevents.http import CloudEvent
from functions_framework import create_app
from tests.support.bigquery_server import BigQueryServer
from tests.support.storage_server import COPY, GET, INSERT, StorageServer

from tickercast import config, engines
from tickercast.app import App
from tickercast.config import Settings
from tickercast.ports import FINALIZED

_STORAGE = {
    GET: ("429", "500", "503", "drop", "409"),
    INSERT: ("429", "503", "drop"),
    COPY: ("503", "drop"),
}
_WAREHOUSE = {
    "bigquery.jobs.insert": ("backendError", "rateLimitExceeded", "drop", "accessDenied"),
    "bigquery.jobs.query": ("backendError", "drop", "accessDenied"),
    "bigquery.tables.get": ("internalError", "drop", "accessDenied"),
    "job": ("backendError", "jobInternalError", "1"),
}
MOST_DELIVERIES = 40


@dataclass
class Counted:
    """The counts of a run with faults.

    Attributes:
        events: the number of events that were sent.
        deliveries: the number of deliveries, those made again included.
        faults: the number of faults that were ordered.
        lost: events of which rows are missing, or that were never acknowledged.
        doubled: events of which there are more rows than there should be.
        tracebacks: answers that no error of ours explains.
    """

    events: int = 0
    deliveries: int = 0
    faults: int = 0
    lost: int = 0
    doubled: int = 0
    tracebacks: int = 0
    answers: Counter[int] = field(default_factory=Counter)


def run(files: Sequence[tuple[str, bytes, int]], chance: random.Random, *, faults_an_event: float) -> Counted:
    """Send files through faults of both services, and count what is stored.

    Args:
        files: name, content and how many symbols are forecast from it, each name once.
        chance: decides on the faults.
        faults_an_event: how many are ordered before each delivery, on average.
    """
    logging.getLogger("tickercast").addHandler(logging.NullHandler())  # refused files are no news
    storage, warehouse = StorageServer(), BigQueryServer()
    try:
        storage.make_bucket("faults")
        settings = Settings(
            bucket="gs://faults",
            warehouse="bigquery://test-project/faults",
            storage_emulator_host=storage.url,
            bigquery_emulator_host=warehouse.url,
        )
        with config.using(settings):
            App(settings).provision()
            return _deliver(files, settings, storage, warehouse, chance, faults_an_event)
    finally:
        storage.close()
        warehouse.close()


def _deliver(
    files: Sequence[tuple[str, bytes, int]],
    settings: Settings,
    storage: StorageServer,
    warehouse: BigQueryServer,
    chance: random.Random,
    faults_an_event: float,
) -> Counted:
    counted = Counted(events=len(files))
    client = create_app("forecast", str(_SOURCE), "cloudevent").test_client()  # type: ignore[no-untyped-call]
    store = engines.object_store(settings)
    unanswered: set[str] = set()
    for name, data, _ in files:
        storage.announced.clear()
        store.write(name, data)
        event = storage.announced[0]
        for _ in range(MOST_DELIVERIES):
            counted.faults += order(_STORAGE, storage.fail, chance, faults_an_event / 2)
            counted.faults += order(_WAREHOUSE, warehouse.fail, chance, faults_an_event / 2)
            attributes = {"id": "1", "type": FINALIZED, "source": "//storage.googleapis.com/faults"}
            headers, body = to_binary(CloudEvent(attributes, dict(event)))
            status = client.post("/", headers=headers, data=body).status_code
            counted.deliveries += 1
            counted.answers[status] += 1
            counted.tracebacks += status == 500
            if status == 200:
                break
        else:
            unanswered.add(name)
    storage.reset()
    warehouse.reset()
    compare(files, unanswered, settings, counted)
    return counted


def order(known: Mapping[str, tuple[str, ...]], fail: Callable[..., None], chance: random.Random, share: float) -> int:
    """Order one of the known faults, or none, and return how many were ordered."""
    if chance.random() >= share:
        return 0
    where = chance.choice(sorted(known))
    fail(where, chance.choice(known[where]))
    return 1


def compare(
    files: Sequence[tuple[str, bytes, int]], unanswered: set[str], settings: Settings, counted: Counted
) -> None:
    """Count the events of which rows are missing, or of which there are too many."""
    tables = engines.warehouse(settings)
    ledger = _rows(tables.read("ingestions", columns=["object", "symbol"]))
    forecasts = _rows(tables.read("forecasts", columns=["object", "symbol"]))
    for name, _, symbols in files:
        told, made, wanted = ledger.get(name, 0), forecasts.get(name, 0), 20 * symbols
        counted.lost += bool(name in unanswered or not told or made < wanted)
        counted.doubled += bool(told > max(symbols, 1) or made > wanted)


def _rows(table: pd.DataFrame) -> dict[str, int]:
    return {str(name): int(count) for name, count in table.groupby("object").size().items()}


_SOURCE: Path = config.resource("cloud_function") / "main.py"
