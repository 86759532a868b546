import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tickercast.backends.object_store_local import LocalObjectStore
from tickercast.backends.warehouse_duckdb import DuckDBWarehouse
from tickercast.config import resource
from tickercast.domain.forecast import HORIZON, QUANTILES
from tickercast.domain.history import SIMULATED, History, to_csv
from tickercast.errors import Transient, WarehouseUnavailable
from tickercast.jobs.forecast import Outcome, forecast
from tickercast.ports import ObjectFinalized

AT = datetime(2023, 7, 22, 12, tzinfo=UTC)
MakeHistory = Callable[..., History]


class Champion:
    name = "champion"
    version = "7"
    min_sessions = 100

    def predict(self, histories: Sequence[History]) -> NDArray[np.float64]:
        quantiles = np.linspace(-0.2, 0.2, len(QUANTILES))
        return np.broadcast_to(quantiles, (len(histories), HORIZON, len(QUANTILES))).copy()


class RandomWalk(Champion):
    name = "random-walk"
    version = "1"


class Place:
    """A bucket, a warehouse, and the function between them."""

    def __init__(self, folder: Path) -> None:
        self.store = LocalObjectStore(folder / "bucket")
        self.warehouse = DuckDBWarehouse(folder / "w.duckdb", resource("sql"))
        self.warehouse.provision()

    def upload(self, name: str, data: bytes) -> ObjectFinalized:
        return ObjectFinalized("bucket", name, self.store.write(name, data), len(data), "event-1")

    def handle(self, event: ObjectFinalized) -> Outcome:
        return forecast(
            event,
            store=self.store,
            warehouse=self.warehouse,
            predictors=lambda: [Champion(), RandomWalk()],
            now=lambda: AT,
        )

    def counts(self) -> dict[str, int]:
        tables = ("prices", "forecasts", "ingestions", "latest_prices", "latest_forecasts", "predicted_prices")
        return {name: len(self.warehouse.read(name)) for name in tables}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_an_upload_becomes_prices_two_forecasts_and_a_line_in_the_ledger(
    place: Place, make_history: MakeHistory
) -> None:
    history = make_history()
    outcome = place.handle(place.upload("ohlc/2023-07-22/MSFT.csv", to_csv([history])))
    assert not outcome.failures
    stored = place.warehouse.read("forecasts", {"model_name": "champion"}).sort_values("step")
    assert list(stored["target_date"].dt.date)[::9] == [date(2023, 7, 24), date(2023, 8, 4)]
    assert stored["close_hi_95"].iloc[0] == pytest.approx(history.last_close * np.exp(0.2))
    [row] = place.warehouse.read("ingestions").to_dict("records")
    assert (row["symbol"], row["status"], row["rows"], row["model_version"]) == ("MSFT", "forecast", 400, "7")
    assert row["cutoff"].date() == date(2023, 7, 21)
    assert place.counts() == {
        "prices": 400,
        "forecasts": 20,
        "ingestions": 1,
        "latest_prices": 400,
        "latest_forecasts": 20,
        "predicted_prices": 100,
    }


def test_an_event_that_comes_again_changes_nothing(place: Place, make_history: MakeHistory) -> None:
    event = place.upload("ohlc/2023-07-22/MSFT.csv", to_csv([make_history()]))
    place.handle(event)
    before = place.counts()
    place.handle(event)
    assert place.counts() == before


def test_a_second_upload_is_a_second_vintage_and_doubles_no_row_of_a_view(
    place: Place, make_history: MakeHistory
) -> None:
    for _ in range(2):
        place.handle(place.upload("ohlc/2023-07-22/MSFT.csv", to_csv([make_history()])))
    assert place.counts() == {
        "prices": 800,
        "forecasts": 40,
        "ingestions": 2,
        "latest_prices": 400,
        "latest_forecasts": 20,
        "predicted_prices": 100,
    }


def test_events_in_the_wrong_order_leave_the_newer_file_on_top(place: Place, make_history: MakeHistory) -> None:
    older = place.upload("ohlc/2023-07-22/MSFT.csv", to_csv([make_history(seed=1)]))
    newer = place.upload("ohlc/2023-07-22/MSFT.csv", to_csv([make_history(seed=2)]))
    place.handle(newer)
    place.handle(older)
    assert set(place.warehouse.read("latest_prices")["generation"]) == {newer.generation}
    assert set(place.warehouse.read("latest_forecasts")["generation"]) == {newer.generation}


def test_bars_after_the_date_are_stored_and_not_used(place: Place, make_history: MakeHistory) -> None:
    history = make_history(last=date(2023, 8, 4))
    place.handle(place.upload("ohlc/2023-07-22/MSFT.csv", to_csv([history])))
    stored = place.warehouse.read("forecasts")
    assert set(stored["cutoff"].dt.date) == {date(2023, 7, 21)}
    assert stored["last_close"].unique() == pytest.approx([history.until(date(2023, 7, 22)).last_close])
    assert len(place.warehouse.read("prices")) == 400


def test_one_bad_symbol_does_not_sink_the_others(place: Place, make_history: MakeHistory) -> None:
    good, short = make_history("MSFT"), make_history("META", sessions=30)
    event = place.upload("ohlc/2023-07-22/batch-0001.csv", to_csv([good, short]))
    outcome = place.handle(event)
    assert list(outcome.failures) == ["META"]
    ledger = place.warehouse.read("ingestions").set_index("symbol")
    assert dict(ledger["status"]) == {"MSFT": "forecast", "META": "rejected"}
    assert ledger.loc["META", "reason"] == str(outcome.failures["META"])
    assert "30 sessions" in str(outcome.failures["META"])
    assert set(place.warehouse.read("prices")["symbol"]) == {"MSFT"}
    kept = f"quarantine/ohlc/2023-07-22/batch-0001.{event.generation}"
    assert place.store.read(f"{kept}.csv") == place.store.read(event.name)
    assert json.loads(place.store.read(f"{kept}.reason.json"))["reasons"][0]["symbol"] == "META"


BAD_FILES = {
    "empty": (b"", "empty"),
    "a header and no bar": (b"Date,Open,High,Low,Close\n", "no bar"),
    "a missing column": (b"Date,Open,High,Low\n2023-07-21,1,1,1\n", "Close"),
    "text in a price": (b"Date,Open,High,Low,Close\n2023-07-21,1,1,1,n/a\n", "n/a"),
    "a negative price": (b"Date,Open,High,Low,Close\n2023-07-21,1,1,1,-1\n", "-1"),
    "high below low": (b"Date,Open,High,Low,Close\n2023-07-21,5,4,6,5\n", "low"),
    "duplicate dates": (b"Date,Open,High,Low,Close\n2023-07-21,1,1,1,1\n2023-07-21,1,1,1,1\n", "duplicate"),
    "binary": (b"\x89PNG\r\n\x1a\n\x00\x00", "binary"),
    "not UTF-8": ("Date,Open,High,Low,Close\n2023-07-21,1,1,1,1é\n".encode("latin-1"), "UTF-8"),
    "too old": (b"Date,Open,High,Low,Close\n2020-01-02,1,1,1,1\n", "stale"),
    "only later": (b"Date,Open,High,Low,Close\n2024-01-02,1,1,1,1\n", "no bar on or before"),
    "a bad symbol": (b"Date,Open,High,Low,Close,Symbol\n2023-07-21,1,1,1,1,../../etc/passwd\n", "not a symbol"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_bad_file_ends_in_one_reason_and_not_one_row(place: Place, case: str) -> None:
    data, word = BAD_FILES[case]
    event = place.upload("ohlc/2023-07-22/MSFT.csv", data)
    place.handle(event)
    [row] = place.warehouse.read("ingestions").to_dict("records")
    assert row["status"] == "rejected"
    assert word in row["reason"]
    assert "\n" not in row["reason"]
    assert place.warehouse.read("prices").empty
    assert place.warehouse.read("forecasts").empty
    assert place.store.read(f"quarantine/ohlc/2023-07-22/MSFT.{event.generation}.csv") == data


@pytest.mark.parametrize("name", ["models/champion.json", "quarantine/ohlc/2023-07-22/MSFT.1.csv", "ohlc/notes.txt"])
def test_what_is_no_file_of_prices_is_ignored(place: Place, name: str) -> None:
    assert place.handle(place.upload(name, b"anything")) == Outcome()
    assert place.warehouse.read("ingestions").empty


@pytest.mark.parametrize("name", ["ohlc/MSFT.csv", "ohlc/2023-13-45/MSFT.csv", "ohlc/2023-07-22/a b.csv"])
def test_a_malformed_name_is_rejected_with_a_reason(place: Place, name: str) -> None:
    place.handle(place.upload(name, b"anything"))
    [row] = place.warehouse.read("ingestions").to_dict("records")
    assert row["status"] == "rejected"


def test_a_generation_that_is_gone_is_superseded_and_not_quarantined(place: Place) -> None:
    place.handle(ObjectFinalized("bucket", "ohlc/2023-07-22/MSFT.csv", 12345))
    [row] = place.warehouse.read("ingestions").to_dict("records")
    assert row["status"] == "superseded"
    assert place.store.names("quarantine/") == []


def test_an_exchange_beyond_its_known_calendar_is_a_reason(place: Place, make_history: MakeHistory) -> None:
    history = make_history("600519.SS", last=date(2026, 12, 28))
    outcome = place.handle(place.upload("ohlc/2026-12-28/600519.SS.csv", to_csv([history])))
    assert "2026" in str(outcome.failures["600519.SS"])


@pytest.mark.parametrize("table", ["prices", "forecasts", "ingestions"])
def test_a_fault_between_two_appends_is_mended_by_the_next_delivery(
    place: Place, make_history: MakeHistory, monkeypatch: pytest.MonkeyPatch, table: str
) -> None:
    event = place.upload("ohlc/2023-07-22/MSFT.csv", to_csv([make_history()]))
    whole = place.warehouse.append

    def fail_once(name: str, rows: object, *, key: str) -> bool:
        if name == table:
            raise WarehouseUnavailable("down")
        return whole(name, rows, key=key)  # type: ignore[arg-type]

    with monkeypatch.context() as broken:
        broken.setattr(place.warehouse, "append", fail_once)
        with pytest.raises(Transient):
            place.handle(event)
    place.handle(event)
    assert place.counts()["prices"] == 400
    assert place.counts()["forecasts"] == 20
    assert place.counts()["ingestions"] == 1


def test_simulated_bars_never_replace_real_ones_in_the_views(place: Place, make_history: MakeHistory) -> None:
    real, made_up = make_history(seed=1), replace(make_history(seed=2), source_note=SIMULATED)
    place.handle(place.upload("ohlc/2023-07-22/MSFT.csv", to_csv([real])))
    place.handle(place.upload("ohlc/2023-07-22/MSFT.csv", to_csv([made_up])))
    assert len(place.warehouse.read("latest_prices")) == 400
    for view in ("latest_prices", "latest_forecasts", "predicted_prices"):
        assert not place.warehouse.read(view)["simulated"].any(), view
    history = place.warehouse.read("forecast_history")
    assert dict(history.groupby("simulated").size()) == {False: 20, True: 20}


def test_simulated_bars_are_shown_and_marked_where_there_are_no_others(place: Place, make_history: MakeHistory) -> None:
    place.handle(place.upload("ohlc/2023-07-22/MSFT.csv", to_csv([replace(make_history(), source_note=SIMULATED)])))
    for view in ("latest_prices", "latest_forecasts", "predicted_prices"):
        assert place.warehouse.read(view)["simulated"].all(), view


@pytest.mark.parametrize(
    "name",
    [
        "ohlc/foo/bar.csv",
        "ohlc/../x.csv",
        "ohlc/2023-07-22/../../etc/passwd.csv",
        "ohlc//A.csv",
        f"ohlc/{'x' * 300}.csv",
    ],
)
def test_a_malformed_name_whose_object_is_gone_is_still_accounted_for(place: Place, name: str) -> None:
    place.handle(ObjectFinalized("bucket", name, 1))
    [row] = place.warehouse.read("ingestions").to_dict("records")
    assert row["status"] == "rejected"
    assert place.store.names("quarantine/") == []


def test_an_event_of_another_bucket_is_not_ours(place: Place, make_history: MakeHistory) -> None:
    event = place.upload("ohlc/2023-07-22/MSFT.csv", to_csv([make_history()]))
    outcome = place.handle(replace(event, bucket="elsewhere"))
    assert outcome.status == "ignored"
    assert place.warehouse.read("ingestions").empty
