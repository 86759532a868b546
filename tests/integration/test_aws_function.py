"""The function on AWS Lambda, behind the runtime client of Amazon and a stand-in for its API."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.lambda_runtime import Function, LambdaRuntime
from tests.support.s3_server import GET, S3Server

pytest.importorskip("awslambdaric", reason="the extra aws is not installed")

from tickercast import engines
from tickercast.app import App
from tickercast.backends.object_store.s3 import S3ObjectStore
from tickercast.config import Settings
from tickercast.domain.bars import Bars
from tickercast.domain.files.price_files import to_csv

NAME = "ohlc/2023-07-22/BRK B.csv"


class Place:
    """A bucket of the stand-in, a DuckDB file, and the function between them."""

    def __init__(self, folder: Path, store: S3ObjectStore, server: S3Server) -> None:
        self.server, self.store = server, store
        self.settings = {
            "TICKERCAST_BUCKET": f"{store.url}?endpoint={server.url}",
            "TICKERCAST_WAREHOUSE": f"duckdb://{folder}/warehouse.duckdb",
        }
        keys = {name: os.environ[name] for name in os.environ if name.startswith("AWS_")}
        self.app = App(
            Settings(bucket=self.settings["TICKERCAST_BUCKET"], warehouse=self.settings["TICKERCAST_WAREHOUSE"])
        )
        self.app.provision()
        self.runtime = LambdaRuntime()
        self.function = Function(self.runtime, folder, keys | self.settings)

    def upload(self, name: str, data: bytes) -> dict[str, Any]:
        """Write a file, and return S3's record of it."""
        before = len(self.server.announced)
        self.store.write(name, data)
        return self.server.announced[before]

    def ledger(self) -> dict[str, list[str]]:
        rows = engines.warehouse(self.app.settings).read("ingestions")
        return {name: list(found["status"]) for name, found in rows.groupby("object")}

    def close(self) -> None:
        self.function.close()
        self.runtime.close()


@pytest.fixture
def place(workspace: Path, make_s3_store: Callable[..., S3ObjectStore], s3_server: S3Server) -> Iterator[Place]:
    made = Place(workspace, make_s3_store(), s3_server)
    yield made
    made.close()


def queued(*records: dict[str, Any]) -> dict[str, Any]:
    return {
        "Records": [
            {"messageId": f"m{number}", "eventSource": "aws:sqs", "body": json.dumps({"Records": [record]})}
            for number, record in enumerate(records)
        ]
    }


def test_a_batch_fails_message_by_message_and_each_write_is_handled_once(
    place: Place, make_bars: Callable[..., Bars], s3_server: S3Server
) -> None:
    whole = place.upload(NAME, to_csv([make_bars("BRK-B")]))
    bad = place.upload("ohlc/2023-07-22/MSFT.csv", b"not,a,price\n1,2,3\n")
    assert "+" in whole["s3"]["object"]["key"]
    assert place.runtime.invoke({"Service": "Amazon S3", "Event": "s3:TestEvent"}) == {"batchItemFailures": []}
    batch = queued(whole, bad)
    batch["Records"].append({"messageId": "broken", "eventSource": "aws:sqs", "body": "{"})
    assert place.runtime.invoke(batch) == {"batchItemFailures": [{"itemIdentifier": "broken"}]}
    assert place.ledger() == {NAME: ["forecast"], "ohlc/2023-07-22/MSFT.csv": ["rejected"]}
    assert place.runtime.invoke(queued(bad, whole, whole)) == {"batchItemFailures": []}
    assert place.runtime.invoke({"Records": [whole]}) == {"batchItemFailures": []}
    assert place.ledger() == {NAME: ["forecast"], "ohlc/2023-07-22/MSFT.csv": ["rejected"]}
    kept = [name for name in place.store.names("quarantine/") if name.endswith(".csv")]
    assert place.app.quarantined()[0].object == "ohlc/2023-07-22/MSFT.csv"
    assert kept == [f"quarantine/ohlc/2023-07-22/MSFT.v-{bad['s3']['object']['versionId']}.csv"]
    again = place.upload(NAME, to_csv([make_bars("BRK-B", seed=8)]))
    s3_server.fail(GET, "403 AccessDenied", "403 AccessDenied")
    assert place.runtime.invoke(queued(again)) == {"batchItemFailures": [{"itemIdentifier": "m0"}]}
    with pytest.raises(RuntimeError, match="refuses access"):
        place.runtime.invoke({"Records": [again]})
    place.runtime.remaining_s = 30
    assert place.runtime.invoke(queued(again, whole)) == {"batchItemFailures": [{"itemIdentifier": "m1"}]}
    assert place.ledger()[NAME] == ["forecast", "forecast"]
    log = place.function.log.read_text()
    assert '"symbol": "BRK-B"' in log
    assert os.environ["AWS_SECRET_ACCESS_KEY"] not in log


def test_an_event_with_an_odd_size_and_time_becomes_a_forecast(place: Place, make_bars: Callable[..., Bars]) -> None:
    written = place.upload(NAME, to_csv([make_bars("BRK-B")]))
    written["s3"]["object"]["size"], written["eventTime"] = "abc", None
    assert place.runtime.invoke(queued(written)) == {"batchItemFailures": []}
    assert place.ledger() == {NAME: ["forecast"]}


def test_an_event_without_a_version_means_what_is_live(place: Place, make_bars: Callable[..., Bars]) -> None:
    written = place.upload(NAME, to_csv([make_bars("BRK-B")]))
    del written["s3"]["object"]["versionId"]
    gone = json.loads(json.dumps(written).replace("BRK+B", "GONE"))
    assert place.runtime.invoke(queued(written, written, gone)) == {"batchItemFailures": []}
    assert place.ledger() == {NAME: ["forecast"]}
