"""A bucket, a warehouse and the function's job between them."""

import functools
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from tickercast.backends.object_store.local import LocalObjectStore
from tickercast.backends.warehouse.duckdb import DuckDBWarehouse
from tickercast.config import resource
from tickercast.domain.bars import Bars
from tickercast.domain.forecast import QUANTILES, Role, Served
from tickercast.jobs.serving.handle_event import Limits, Outcome, handle_event
from tickercast.jobs.serving.past_models import Lineup
from tickercast.ports import ObjectFinalized

AT = datetime(2023, 7, 22, 12, tzinfo=UTC)


class Champion:
    name = "champion"
    version = "7"
    horizon = 10
    min_sessions = 100

    def predict(self, series: Sequence[Bars]) -> NDArray[np.float64]:
        quantiles = np.linspace(-0.2, 0.2, len(QUANTILES))
        return np.broadcast_to(quantiles, (len(series), self.horizon, len(QUANTILES))).copy()


class RandomWalk(Champion):
    name = "random-walk"
    version = "1"


@functools.cache
def empty_warehouse() -> bytes:
    """Tables and views without rows, made once."""
    with TemporaryDirectory() as folder:
        DuckDBWarehouse(Path(folder) / "w.duckdb", resource("sql")).provision()
        return (Path(folder) / "w.duckdb").read_bytes()


class Place:
    """A bucket, a warehouse, and the function between them."""

    def __init__(self, folder: Path) -> None:
        self.store = LocalObjectStore(folder / "bucket")
        (folder / "w.duckdb").write_bytes(empty_warehouse())
        self.warehouse = DuckDBWarehouse(folder / "w.duckdb", resource("sql"))
        self.limits = Limits()
        self.now = AT
        self.served: Callable[[], Sequence[Served]] = lambda: [
            Served(Champion(), Role.CHAMPION),
            Served(RandomWalk(), Role.BASELINE),
        ]
        self.past: Callable[[date], Lineup] = lambda _: Lineup(self.served(), note="backfilled")

    def upload(self, name: str, data: bytes) -> ObjectFinalized:
        return ObjectFinalized("bucket", name, self.store.write(name, data), len(data), "event-1", AT)

    def handle(self, event: ObjectFinalized) -> Outcome:
        return handle_event(
            event,
            store=self.store,
            warehouse=self.warehouse,
            served=lambda _: self.served(),
            past=lambda _, cutoff: self.past(cutoff),
            now=lambda: self.now,
            limits=self.limits,
        )

    def arrived(self, name: str) -> ObjectFinalized:
        """The event of an object's live generation."""
        return ObjectFinalized("bucket", name, self.store.generation(name), written_at=AT)

    def counts(self) -> dict[str, int]:
        tables = ("prices", "forecasts", "ingestions", "latest_prices", "latest_forecasts", "predicted_prices")
        return {name: len(self.warehouse.read(name)) for name in tables}
