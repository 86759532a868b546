"""The function on AWS Lambda over botocore and a stand-in of S3 that refuses requests and loses answers, then a count.

A batch holds a new event and an older one again; what the function reports as failed is delivered again.
"""

import json
import logging
import os
import random
import runpy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.support.faults import LambdaContext
from tests.support.http_faults import MOST_DELIVERIES, Counted, compare, order
from tests.support.s3_server import COPY, DELETE, GET, PUT, VERSIONS, S3Server

from tickercast import config, engines
from tickercast.app import App
from tickercast.config import Settings

_FUNCTION = Path(__file__).parents[2] / "aws_function" / "main.py"
_WRITES = {PUT: ("drop", "503", "409")}
_ANYTHING = {
    GET: ("429", "500", "503", "drop", "cut", "409"),
    PUT: ("500", "503", "409", "drop"),
    COPY: ("503", "409", "drop"),
    DELETE: ("503", "drop"),
    VERSIONS: ("503", "drop", "403 AccessDenied", "400 ExpiredToken"),
}


def run(files: Sequence[tuple[str, bytes, int]], chance: random.Random, *, faults_an_event: float) -> Counted:
    """Send files through faults of S3, and count what is stored in DuckDB.

    Args:
        files: name, content and how many symbols are forecast from it, each name once.
        chance: decides on the faults, and on what is delivered twice.
        faults_an_event: how many are ordered before each write and each delivery, on average; at most one.
    """
    logging.getLogger("tickercast").addHandler(logging.NullHandler())  # refused files are no news
    server = S3Server()
    try:
        name = server.make_bucket()
        with TemporaryDirectory() as folder, keys():
            bucket = f"s3://{name}?endpoint={server.url}"
            settings = Settings(bucket=bucket, warehouse=f"duckdb://{folder}/warehouse.duckdb")
            with config.using(settings):
                App(settings).provision()
                return _deliver(files, settings, server, chance, faults_an_event)
    finally:
        server.close()


@contextmanager
def keys() -> Iterator[None]:
    """Keys for the stand-in, in place of any of this machine."""
    ours = {"AWS_ACCESS_KEY_ID": "AKIATICKERCASTTEST00", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": "us-east-1"}
    before = {name: os.environ[name] for name in ours if name in os.environ}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name in ours:
            del os.environ[name]
        os.environ.update(before)


def _deliver(
    files: Sequence[tuple[str, bytes, int]],
    settings: Settings,
    server: S3Server,
    chance: random.Random,
    faults_an_event: float,
) -> Counted:
    counted = Counted(events=len(files))
    store, handler = engines.object_store(settings), runpy.run_path(str(_FUNCTION))["handler"]
    unanswered: set[str] = set()
    sent: list[dict[str, Any]] = []
    for name, data, _ in files:
        counted.faults += order(_WRITES, server.fail, chance, faults_an_event)
        before = len(server.announced)
        store.write(name, data)
        sent += server.announced[before:]
        pending = {"new": sent[-1], "again": chance.choice(sent)}
        for _ in range(MOST_DELIVERIES):
            counted.faults += order(_ANYTHING, server.fail, chance, faults_an_event)
            failed = _failed(handler, pending)
            counted.deliveries += len(pending)
            counted.answers[503] += len(failed)
            pending = {item: record for item, record in pending.items() if item in failed}
            if not pending:
                break
        else:
            unanswered.add(name)
    announced = [record for record in server.announced if record["s3"]["object"]["key"].startswith("ohlc/")]
    counted.doubled += len(announced) - len(files)  # writes that were made twice
    server.reset()
    compare(files, unanswered, settings, counted)
    return counted


def _failed(handler: Any, pending: dict[str, dict[str, Any]]) -> set[str]:
    bodies = {item: json.dumps({"Records": [record]}) for item, record in pending.items()}
    batch = [{"messageId": item, "eventSource": "aws:sqs", "body": body} for item, body in bodies.items()]
    return {each["itemIdentifier"] for each in handler({"Records": batch}, LambdaContext())["batchItemFailures"]}
