"""Handle an event: from an uploaded file to prices, forecasts and the ledger, once, whatever happens."""

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from tests.support.place import AT, Champion, Place, RandomWalk

from tickercast import calendar_file
from tickercast.domain import calendar
from tickercast.domain.bars import Bars
from tickercast.domain.files.price_files import to_csv, to_parquet
from tickercast.domain.forecast import Role, Served
from tickercast.domain.objects import backfill
from tickercast.errors import BundleError, ModelUnavailable, StoreUnavailable, Transient, WarehouseUnavailable
from tickercast.jobs.serving import handle_event
from tickercast.jobs.serving.handle_event import Limits, Outcome
from tickercast.ports import ObjectFinalized
from tickercast.reading.overview import overview

MakeBars = Callable[..., Bars]
NAME = "ohlc/2023-07-22/MSFT.csv"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_an_upload_becomes_prices_two_forecasts_and_an_entry_in_the_ledger(place: Place, make_bars: MakeBars) -> None:
    bars = make_bars()
    outcome = place.handle(place.upload("ohlc/2023-07-22/MSFT.csv", to_csv([bars])))
    assert not outcome.failures
    stored = place.warehouse.read("forecasts", {"model_name": "champion"}).sort_values("step")
    assert list(stored["target_date"].dt.date)[::9] == [date(2023, 7, 24), date(2023, 8, 4)]
    assert stored["close_hi_95"].iloc[0] == pytest.approx(bars.last_close * np.exp(0.2))
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


class Damaged(Champion):
    def predict(self, series: Sequence[Bars]) -> NDArray[np.float64]:
        made = super().predict(series)
        made[-1, 0, 0] = np.nan
        return made


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        (NAME, r"Serve another version: tickercast rollback\.$"),
        (
            backfill(date(2023, 7, 22), ["MSFT"]),
            r"tickercast rollback\. Or delete models/champion/7 from the bucket, if",
        ),
    ],
)
def test_a_champion_that_answers_no_numbers_fails_the_event_until_another_is_served(
    place: Place, make_bars: MakeBars, name: str, remedy: str
) -> None:
    sound, place.served = place.served, lambda: [Served(Damaged(), Role.CHAMPION), Served(RandomWalk(), Role.BASELINE)]
    event = place.upload(name, to_csv([make_bars()]) if name == NAME else to_parquet([make_bars()]))
    with pytest.raises(BundleError, match=f"champion 7 gave quantiles that are not finite, .*{remedy}"):
        place.handle(event)
    assert not any(place.counts().values())
    place.served = sound
    assert not place.handle(event).failures
    assert place.counts()["forecasts"] == 20


def test_an_event_that_no_champion_could_handle_for_a_day_is_given_up_with_the_reason(
    place: Place, make_bars: MakeBars
) -> None:
    place.served = lambda: [Served(Damaged(), Role.CHAMPION)]
    event, place.now = place.upload(NAME, to_csv([make_bars()])), AT + timedelta(hours=25)
    [reason] = place.handle(event).failures.values()
    assert "tickercast rollback. When that is fixed: tickercast replay ohlc/" in str(reason)
    assert place.warehouse.read("ingestions")["status"].tolist() == ["rejected"]


def test_what_a_damaged_champion_has_stored_is_neither_scored_nor_shown(
    place: Place, make_bars: MakeBars, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As 0.2.0 stored it."""
    bars = make_bars(sessions=402)
    place.handle(place.upload("ohlc/2023-07-20/MSFT.csv", to_csv([bars.rows(0, 400)])))
    sound, place.served = place.served, lambda: [Served(Damaged(), Role.CHAMPION), Served(RandomWalk(), Role.BASELINE)]
    monkeypatch.setattr(handle_event, "answers", lambda model, series, remedy: np.nan * model.predict(series))
    place.handle(place.upload("ohlc/2023-07-21/MSFT.csv", to_csv([bars.rows(0, 401)])))
    monkeypatch.undo()
    place.served = sound
    assert [row.cutoff for row in overview(place.warehouse, now=AT)] == [bars.ends[399].item()]
    place.handle(place.upload(NAME, to_csv([bars])))
    scores = place.warehouse.read("scores", {"role": "champion"})
    assert set(scores["cutoff"].dt.date) == {bars.ends[399].item()}


def test_an_event_that_comes_again_changes_nothing(place: Place, make_bars: MakeBars) -> None:
    event = place.upload("ohlc/2023-07-22/MSFT.csv", to_csv([make_bars()]))
    place.handle(event)
    before = place.counts()
    place.handle(event)
    assert place.counts() == before


def test_a_second_upload_is_a_second_vintage_of_the_forecasts_and_adds_no_bar(
    place: Place, make_bars: MakeBars
) -> None:
    for _ in range(2):
        place.handle(place.upload("ohlc/2023-07-22/MSFT.csv", to_csv([make_bars()])))
    ledger = place.warehouse.read("ingestions").sort_values("written_at")
    assert ledger[["rows", "rows_new"]].to_numpy().tolist() == [[400, 400], [400, 0]]
    assert place.counts() == {
        "prices": 400,
        "forecasts": 40,
        "ingestions": 2,
        "latest_prices": 400,
        "latest_forecasts": 20,
        "predicted_prices": 100,
    }


def test_a_second_file_adds_only_what_is_new_or_differs(place: Place, make_bars: MakeBars) -> None:
    bars = make_bars(sessions=402)
    place.handle(place.upload("ohlc/2023-07-19/MSFT.csv", to_csv([bars.rows(0, 400)])))
    longer = bars.frame.iloc[2:].copy()
    longer.loc[300, "close"] = longer.loc[300, "low"]
    event = place.upload("ohlc/2023-07-22/MSFT.csv", to_csv([Bars("MSFT", longer)]))
    place.handle(event)
    added = place.warehouse.read("prices", {"generation": event.generation}).sort_values("session_date")
    assert added["close"].tolist() == pytest.approx(longer["close"].loc[[300, 400, 401]].tolist())
    assert place.warehouse.read("ingestions", {"object": event.name})["rows_new"].item() == 3
    latest = place.warehouse.read("latest_prices").sort_values("session_date")
    assert latest["close"].tolist() == pytest.approx([*bars.frame["close"].iloc[:2], *longer["close"]])


def test_after_a_split_the_bars_are_stored_once_more_and_older_ones_follow(place: Place, make_bars: MakeBars) -> None:
    bars = make_bars(sessions=402)
    place.handle(place.upload("ohlc/2023-07-19/MSFT.csv", to_csv([bars.rows(0, 400)])))
    prices = ["open", "high", "low", "close", "adj_close"]
    halved = bars.frame.assign(**{name: bars.frame[name] / 2 for name in prices}, volume=bars.frame["volume"] * 2)
    event = place.upload("ohlc/2023-07-22/MSFT.csv", to_csv([Bars("MSFT", halved.iloc[102:])]))
    place.handle(event)
    ledger = place.warehouse.read("ingestions", {"object": event.name})
    assert ledger[["rows", "rows_new"]].to_numpy().tolist() == [[300, 300]]
    assert len(place.warehouse.read("prices", {"generation": event.generation})) == 402
    latest = place.warehouse.read("latest_prices").sort_values("session_date", ignore_index=True)
    pd.testing.assert_frame_equal(latest[[*prices, "volume"]], halved[[*prices, "volume"]], rtol=1e-6)


def test_events_in_the_wrong_order_leave_the_newer_file_on_top(place: Place, make_bars: MakeBars) -> None:
    older = place.upload("ohlc/2023-07-22/MSFT.csv", to_csv([make_bars(seed=1)]))
    newer = place.upload("ohlc/2023-07-22/MSFT.csv", to_csv([make_bars(seed=2)]))
    place.handle(newer)
    place.handle(older)
    assert set(place.warehouse.read("latest_prices")["generation"]) == {newer.generation}
    assert set(place.warehouse.read("latest_forecasts")["generation"]) == {newer.generation}
    ledger = place.warehouse.read("ingestions").set_index("generation")
    assert dict(ledger["status"]) == {newer.generation: "forecast", older.generation: "superseded"}
    assert f"overwritten by generation {newer.generation}" in ledger.loc[older.generation, "reason"]
    assert place.store.names("quarantine/") == []


def test_bars_after_the_date_are_stored_and_not_used(place: Place, make_bars: MakeBars) -> None:
    bars = make_bars()
    place.handle(place.upload("ohlc/2023-07-15/MSFT.csv", to_csv([bars])))
    stored = place.warehouse.read("forecasts")
    assert set(stored["cutoff"].dt.date) == {date(2023, 7, 14)}
    assert stored["last_close"].unique() == pytest.approx([bars.until(date(2023, 7, 15)).last_close])
    assert len(place.warehouse.read("prices")) == 400


def test_one_bad_symbol_does_not_sink_the_others(place: Place, make_bars: MakeBars) -> None:
    good, short = make_bars("MSFT"), make_bars("META", sessions=30)
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


def test_a_batch_is_the_same_in_parquet(place: Place, make_bars: MakeBars, tmp_path: Path) -> None:
    good, short = make_bars("MSFT"), make_bars("META", sessions=30)
    (tmp_path / "other").mkdir()
    other = Place(tmp_path / "other")
    other.handle(other.upload("ohlc/2023-07-22/batch-0002.csv", to_csv([good, short])))
    event = place.upload("ohlc/2023-07-22/batch-0002.parquet", to_parquet([good, short]))
    assert list(place.handle(event).failures) == ["META"]
    for table in ("prices", "digests", "forecasts"):
        csv, parquet = (
            one.warehouse.read(table).drop(columns=["object", "generation", "written_at"]) for one in (other, place)
        )
        assert len(csv), table
        pd.testing.assert_frame_equal(csv, parquet)
    kept = f"quarantine/ohlc/2023-07-22/batch-0002.{event.generation}"
    assert place.store.read(f"{kept}.parquet") == place.store.read(event.name)
    assert json.loads(place.store.read(f"{kept}.reason.json"))["reasons"][0]["symbol"] == "META"


def test_a_damaged_parquet_file_is_rejected_in_one_sentence(place: Place, make_bars: MakeBars) -> None:
    place.handle(place.upload("ohlc/2023-07-22/batch-0001.parquet", to_parquet([make_bars()])[:-9]))
    [row] = place.warehouse.read("ingestions").to_dict("records")
    assert row["status"] == "rejected"
    assert "begins as Parquet and cannot be read" in row["reason"]
    assert "\n" not in row["reason"]


BAD_FILES = {
    "empty": (b"", "empty"),
    "a header and no bar": (b"Date,Open,High,Low,Close\n", "no bar"),
    "a missing column": (b"Date,Open,High,Low\n2023-07-21,1,1,1\n", "Close"),
    "text in a price": (b"Date,Open,High,Low,Close\n2023-07-21,1,1,1,abc\n", "abc"),
    "a negative price": (b"Date,Open,High,Low,Close\n2023-07-21,1,1,1,-1\n", "-1"),
    "high below low": (b"Date,Open,High,Low,Close\n2023-07-21,5,4,6,5\n", "low"),
    "duplicate dates": (b"Date,Open,High,Low,Close\n2023-07-21,1,1,1,1\n2023-07-21,1,2,1,1\n", "duplicate"),
    "binary": (b"\x89PNG\r\n\x1a\n\x00\x00", "binary"),
    "not UTF-8": ("Date,Open,High,Low,Close\n2023-07-21,1,1,1,1é\n".encode("latin-1"), "UTF-8"),
    "too old": (b"Date,Open,High,Low,Close\n2020-01-02,1,1,1,1\n", "stale"),
    "only later": (b"Date,Open,High,Low,Close\n2024-01-02,1,1,1,1\n", "have not been"),
    "a bad symbol": (b"Date,Open,High,Low,Close,Symbol\n2023-07-21,1,1,1,1,../../etc/passwd\n", "is not a symbol"),
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


@pytest.mark.parametrize("name", ["models/champion.json", "quarantine/ohlc/2023-07-22/MSFT.1.csv", "ohlc/2023-07-22/"])
def test_an_object_that_is_not_a_file_of_prices_is_ignored(place: Place, name: str) -> None:
    assert place.handle(ObjectFinalized("bucket", name, "1", 0, "event-1", AT)) == Outcome()
    assert place.warehouse.read("ingestions").empty


@pytest.mark.parametrize("name", ["MSFT.xlsx", "MSFT.csv ", "MSFT", "notes.txt", "../MSFT.CSV.bak"])
def test_whatever_lies_where_files_of_prices_do_is_accounted_for(place: Place, name: str) -> None:
    for folder in ("ohlc/2023-07-22", "OHLC/2023-07-22"):
        unwritten = ObjectFinalized("bucket", f"{folder}/{name}", "1", 0, "event-1", AT)
        place.handle(unwritten if name.startswith("..") else place.upload(f"{folder}/{name}", b"anything"))
        [row] = place.warehouse.read("ingestions", {"object": f"{folder}/{name}"}).to_dict("records")
        assert row["status"] == "rejected"
        assert "SYMBOL.csv" in row["reason"]


def test_the_case_of_an_ending_does_not_matter(place: Place, make_bars: MakeBars) -> None:
    place.handle(place.upload("ohlc/2023-07-22/MSFT.CSV", to_csv([make_bars()])))
    assert list(place.warehouse.read("ingestions")["status"]) == ["forecast"]


def test_findings_are_in_the_ledger_and_a_doubtful_forecast_is_marked(place: Place, make_bars: MakeBars) -> None:
    bars, whole = make_bars(), make_bars("META")
    gap = Bars("MSFT", bars.frame.drop(index=[395]))
    place.handle(place.upload("ohlc/2023-07-22/batch-0001.csv", to_csv([gap, whole])))
    ledger = place.warehouse.read("ingestions").set_index("symbol")
    assert ledger.loc["MSFT", "findings"] == "gap: no bar of 2023-07-17 (1 in 90 days)"
    assert pd.isna(ledger.loc["META", "findings"])
    made = place.warehouse.read("forecasts").groupby("symbol")["doubtful"].all()
    assert dict(made) == {"MSFT": True, "META": False}


def test_a_doubtful_forecast_counts_in_no_skill(place: Place, make_bars: MakeBars) -> None:
    bars, whole = make_bars(), make_bars("META")
    early = [Bars("MSFT", bars.rows(0, 385).frame.drop(index=[380])), whole.rows(0, 385)]
    place.handle(place.upload(f"ohlc/{early[1].cutoff}/batch-0001.csv", to_csv(early)))
    place.handle(place.upload("ohlc/2023-07-22/batch-0001.csv", to_csv([bars, whole])))
    assert set(place.warehouse.read("scores")["symbol"]) == {"MSFT", "META"}
    skill = place.warehouse.read("forecast_skill").dropna(subset="symbol")
    assert set(skill["symbol"]) == {"META"}
    place.warehouse.compact()
    assert set(place.warehouse.read("skill_blocks")["symbol"]) == {"META"}


@pytest.mark.parametrize(
    "name",
    [
        "ohlc/MSFT.csv",
        "ohlc/2023-13-45/MSFT.csv",
        "ohlc/1D/2023-07-22/MSFT.csv",
        "ohlc/1d/2023-07-22/sub/MSFT.csv",
        "ohlc/notes.txt",
    ],
)
def test_a_malformed_name_is_rejected_with_the_forms_that_were_needed(place: Place, name: str) -> None:
    place.handle(place.upload(name, b"anything"))
    [row] = place.warehouse.read("ingestions").to_dict("records")
    assert row["status"] == "rejected"
    assert "ohlc/YYYY-MM-DD/SYMBOL.csv or ohlc/1d/YYYY-MM-DD/SYMBOL.csv was needed" in row["reason"]


def test_a_daily_name_may_state_its_frequency(place: Place, make_bars: MakeBars) -> None:
    place.handle(place.upload("ohlc/1d/2023-07-22/MSFT.csv", to_csv([make_bars()])))
    [row] = place.warehouse.read("ingestions").to_dict("records")
    assert (row["status"], row["frequency"], row["symbol"]) == ("forecast", "1d", "MSFT")


def test_a_generation_that_is_gone_is_neither_accounted_for_nor_quarantined(place: Place) -> None:
    event = place.upload("ohlc/2023-07-22/MSFT.csv", b"anything")
    place.store.delete(event.name, generation=event.generation)
    assert place.handle(event).status == "ignored"
    assert place.warehouse.read("ingestions").empty
    assert place.store.names("quarantine/") == []


def test_the_event_of_an_object_without_generations_that_is_not_there_is_not_accounted_for(place: Place) -> None:
    assert place.handle(ObjectFinalized("bucket", NAME, "", written_at=AT)).status == "ignored"
    assert place.warehouse.read("ingestions").empty


@pytest.mark.parametrize(("seconds", "status"), [(0, "ignored"), (1, "superseded")])
def test_where_no_generation_is_kept_only_a_later_write_has_replaced_one_that_is_gone(
    place: Place, monkeypatch: pytest.MonkeyPatch, seconds: int, status: str
) -> None:
    gone, live = place.upload(NAME, b"first"), place.upload(NAME, b"second")
    place.store.delete(NAME, generation=gone.generation)
    monkeypatch.setattr(place.store, "keeps_generations", False)
    at = place.store.written_at(NAME, generation=live.generation)
    assert place.handle(replace(gone, written_at=at - timedelta(seconds=seconds))).status == status
    assert len(place.warehouse.read("ingestions")) == seconds


def test_every_model_forecasts_a_series_of_exactly_the_length_that_it_needs(place: Place, make_bars: MakeBars) -> None:
    place.handle(place.upload("ohlc/2023-07-22/MSFT.csv", to_csv([make_bars(sessions=Champion.min_sessions)])))
    assert set(place.warehouse.read("forecasts")["model_name"]) == {"champion", "random-walk"}


def test_an_exchange_is_forecast_a_little_beyond_its_known_calendar_and_not_far(
    place: Place, make_bars: MakeBars, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.now = datetime(2026, 12, 29, tzinfo=UTC)
    bars = make_bars("600519.SS", last=date(2026, 12, 28))
    event = place.upload("ohlc/2026-12-28/600519.SS.csv", to_csv([bars]))
    assert [one.bars.symbol for one in place.handle(event).series] == ["600519.SS"]

    monkeypatch.setattr(calendar, "_ASSUMED_YEARS", 0)
    monkeypatch.setattr(calendar, "_BUILT", {})
    monkeypatch.setattr(calendar_file, "FIRST", date(2030, 1, 1))  # other years are worked out
    calendar._next_sessions.cache_clear()
    event = place.upload("ohlc/2026-12-28/600519.SS.csv", to_csv([bars]) + b"\n")
    assert "2026" in str(place.handle(event).failures["600519.SS"])


@pytest.mark.parametrize("table", ["spans", "prices", "scores", "ingestions"])
def test_a_fault_between_two_appends_is_mended_by_the_next_delivery(
    place: Place, make_bars: MakeBars, monkeypatch: pytest.MonkeyPatch, table: str
) -> None:
    bars = make_bars()
    place.handle(place.upload("ohlc/2023-07-19/MSFT.csv", to_csv([bars.rows(0, 398)])))
    event = place.upload("ohlc/2023-07-22/MSFT.csv", to_csv([bars]))
    append, together = place.warehouse.append, place.warehouse.append_together

    def fail(name: str, rows: Any, *, key: str) -> bool:
        if name == table:
            raise WarehouseUnavailable("down")
        return append(name, rows, key=key)

    def fail_together(rows: Mapping[str, Any], *, key: str) -> None:
        if table in rows:
            raise WarehouseUnavailable("down")
        together(rows, key=key)

    with monkeypatch.context() as broken:
        broken.setattr(place.warehouse, "append", fail)
        broken.setattr(place.warehouse, "append_together", fail_together)
        with pytest.raises(Transient):
            place.handle(event)
    place.handle(event)
    stored = {name: len(place.warehouse.read(name)) for name in ("spans", "prices", "forecasts", "scores")}
    assert stored == {"spans": 2, "prices": 400, "forecasts": 40, "scores": 4}
    assert place.warehouse.read("skill_blocks")["n"].sum() == 4
    assert place.warehouse.read("ingestions").sort_values("written_at")["rows_new"].tolist() == [398, 2]


def test_simulated_bars_never_replace_real_ones_in_the_views(place: Place, make_bars: MakeBars) -> None:
    real, simulated = make_bars(seed=1), replace(make_bars(seed=2), simulated=True)
    place.handle(place.upload("ohlc/2023-07-22/MSFT.csv", to_csv([real])))
    place.handle(place.upload("ohlc/2023-07-22/MSFT.csv", to_csv([simulated])))
    assert len(place.warehouse.read("latest_prices")) == 400
    for view in ("latest_prices", "latest_forecasts", "predicted_prices"):
        assert not place.warehouse.read(view)["simulated"].any(), view
    stored = place.warehouse.read("forecast_history")
    assert dict(stored.groupby("simulated").size()) == {False: 20, True: 20}


def test_simulated_bars_are_shown_and_marked_where_there_are_no_others(place: Place, make_bars: MakeBars) -> None:
    place.handle(place.upload("ohlc/2023-07-22/MSFT.csv", to_csv([replace(make_bars(), simulated=True)])))
    for view in ("latest_prices", "latest_forecasts", "predicted_prices"):
        assert place.warehouse.read(view)["simulated"].all(), view


@pytest.mark.parametrize(
    "name",
    [
        "ohlc/../x.csv",
        "ohlc/2023-07-22/../../etc/passwd.csv",
        "ohlc//A.csv",
        f"ohlc/{'x' * 300}.csv",
    ],
)
def test_a_name_of_which_nothing_can_be_asked_is_still_accounted_for(place: Place, name: str) -> None:
    place.handle(ObjectFinalized("bucket", name, "1"))
    [row] = place.warehouse.read("ingestions").to_dict("records")
    assert row["status"] == "rejected"
    assert place.store.names("quarantine/") == []


def test_an_event_of_another_bucket_is_not_ours(place: Place, make_bars: MakeBars) -> None:
    event = place.upload("ohlc/2023-07-22/MSFT.csv", to_csv([make_bars()]))
    outcome = place.handle(replace(event, bucket="elsewhere"))
    assert outcome.status == "ignored"
    assert place.warehouse.read("ingestions").empty


@pytest.mark.parametrize("size", [None, 0, 1])
def test_a_file_that_is_too_large_is_rejected_whatever_its_event_says(
    place: Place, make_bars: MakeBars, size: int | None
) -> None:
    event = place.upload(NAME, to_csv([make_bars()]))
    place.limits = Limits(largest_file=20_000)
    outcome = place.handle(event if size is None else replace(event, size=size))
    assert "MB, and at most 0.02 are read" in str(outcome.failures["MSFT"])
    assert "TICKERCAST_MAX_FILE_MB" in str(outcome.failures["MSFT"])
    assert place.store.names("quarantine/")
    assert (place.counts()["prices"], place.counts()["ingestions"]) == (0, 1)


def test_a_file_that_says_it_is_too_large_is_not_read(
    place: Place, make_bars: MakeBars, monkeypatch: pytest.MonkeyPatch
) -> None:
    event = place.upload(NAME, to_csv([make_bars()]))
    place.limits = Limits(largest_file=20_000)
    copied = []
    monkeypatch.setattr(place.store, "read", lambda *_, **__: pytest.fail("it was read"))
    monkeypatch.setattr(place.store, "copy", lambda name, to, *, generation: copied.append((name, generation)))
    place.handle(event)
    assert copied == [(NAME, event.generation)]


def late(event: ObjectFinalized, hours: float) -> ObjectFinalized:
    return replace(event, written_at=AT - timedelta(hours=hours))


def no_champion() -> list[Served]:
    raise ModelUnavailable("No champion is there. Publish one.")


def test_an_event_that_fails_for_too_long_is_quarantined_and_accounted_for(place: Place, make_bars: MakeBars) -> None:
    event = place.upload(NAME, to_csv([make_bars()]))
    place.served = no_champion
    for young in (late(event, 23.9), replace(event, written_at=None)):
        with pytest.raises(ModelUnavailable):
            place.handle(young)
    assert place.handle(late(event, 24.1)).status == "rejected"
    [row] = place.warehouse.read("ingestions").to_dict("records")
    assert row["status"] == "rejected"
    assert "No champion is there. Publish one. When that is fixed: tickercast replay" in row["reason"]
    assert place.store.read(f"quarantine/ohlc/2023-07-22/MSFT.{event.generation}.csv") == place.store.read(NAME)


def test_an_old_event_that_does_not_fail_is_forecast(place: Place, make_bars: MakeBars) -> None:
    assert place.handle(late(place.upload(NAME, to_csv([make_bars()])), 1000)).series


def test_with_the_warehouse_down_for_too_long_the_quarantine_alone_accounts_for_the_event(
    place: Place, make_bars: MakeBars, monkeypatch: pytest.MonkeyPatch
) -> None:
    event = place.upload(NAME, to_csv([make_bars()]))

    def down(*_: object, **__: object) -> None:
        raise WarehouseUnavailable("The warehouse is down.")

    with monkeypatch.context() as broken:
        broken.setattr(place.warehouse, "append", down)
        broken.setattr(place.warehouse, "append_together", down)
        broken.setattr(place.warehouse, "read", down)
        assert place.handle(late(event, 25)).status == "rejected"
    kept = json.loads(place.store.read(f"quarantine/ohlc/2023-07-22/MSFT.{event.generation}.reason.json"))
    assert "The warehouse is down." in kept["reasons"][0]["reason"]
    assert place.warehouse.read("ingestions").empty


def test_with_the_store_down_an_old_event_is_still_to_be_delivered_again(
    place: Place, make_bars: MakeBars, monkeypatch: pytest.MonkeyPatch
) -> None:
    event = place.upload(NAME, to_csv([make_bars()]))

    def down(*_: object, **__: object) -> None:
        raise StoreUnavailable("The store is down.")

    for method in ("generation", "written_at", "read", "write", "copy"):
        monkeypatch.setattr(place.store, method, down)
    with pytest.raises(StoreUnavailable):
        place.handle(late(event, 25))


def test_a_fault_of_ours_is_not_retried_for_ever_either(place: Place, make_bars: MakeBars) -> None:
    event = place.upload(NAME, to_csv([make_bars()]))
    place.served = lambda: [object()]  # type: ignore[list-item]
    with pytest.raises(AttributeError):
        place.handle(event)
    place.handle(late(event, 25))
    assert "AttributeError" in place.warehouse.read("ingestions")["reason"].item()


def test_a_duplicate_is_answered_by_the_ledger_alone(
    place: Place, make_bars: MakeBars, monkeypatch: pytest.MonkeyPatch
) -> None:
    event = place.upload(NAME, to_csv([make_bars()]))
    place.handle(event)

    def down(*_: object, **__: object) -> int:
        raise StoreUnavailable("down")

    monkeypatch.setattr(place.store, "read", down)
    monkeypatch.setattr(place.store, "generation", down)
    place.served = no_champion
    assert place.handle(event).status == "duplicate"


def test_a_duplicate_that_comes_late_changes_nothing_though_the_model_is_gone(
    place: Place, make_bars: MakeBars
) -> None:
    event = place.upload(NAME, to_csv([make_bars()]))
    place.handle(event)
    before = place.counts()
    place.served = no_champion
    assert place.handle(late(event, 48)).status == "duplicate"
    assert place.counts() == before
    assert place.store.names("quarantine/") == []


def test_a_duplicate_of_a_rejected_event_changes_nothing_though_the_file_would_be_taken_now(
    place: Place, make_bars: MakeBars
) -> None:
    event = place.upload(NAME, to_csv([make_bars(sessions=90)]))
    place.handle(event)
    kept = {name: place.store.generation(name) for name in place.store.names("quarantine/")}
    assert len(kept) == 2

    class Modest(Champion):
        min_sessions = 50

    place.served = lambda: [Served(Modest(), Role.CHAMPION), Served(Modest(), Role.BASELINE)]
    assert place.handle(event).status == "duplicate"
    assert place.counts() == dict.fromkeys(place.counts(), 0) | {"ingestions": 1}
    assert {name: place.store.generation(name) for name in place.store.names("quarantine/")} == kept


def test_two_deliveries_at_once_are_one_ingestion(place: Place, make_bars: MakeBars) -> None:
    event = place.upload("ohlc/2023-07-22/batch-0001.csv", to_csv([make_bars(), make_bars("META", sessions=9)]))
    met = threading.Barrier(2)

    def together() -> list[Served]:
        met.wait(30)
        return [Served(Champion(), Role.CHAMPION), Served(RandomWalk(), Role.BASELINE)]

    place.served = together
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(place.handle, [event, replace(event, event_id="event-2")]))
    assert (place.counts()["forecasts"], place.counts()["ingestions"]) == (20, 2)
    assert len(place.store.names("quarantine/")) == 2
