"""The status of files, and how a file that was rejected or lost is handled once more."""

import threading
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path

import pytest
from tests.support.place import Champion, Place, RandomWalk
from tests.support.storage_server import GET, StorageServer

from tickercast.backends.object_store.gcs import GcsObjectStore
from tickercast.domain import objects
from tickercast.domain.bars import Bars
from tickercast.domain.files.price_files import to_csv, to_parquet
from tickercast.domain.forecast import Role, Served
from tickercast.errors import FunctionUnavailable, PreconditionFailed, UsageError
from tickercast.jobs.requests.quarantine import drop, release
from tickercast.jobs.requests.replay import Replayed, replay
from tickercast.jobs.requests.results import Patience, read_results, wait_for_ledger
from tickercast.jobs.requests.upload import Upload
from tickercast.reading import ledger
from tickercast.reading.ledger import UNACCOUNTED, Entry, entries, failed
from tickercast.reading.quarantine import find, quarantined

NAME = "ohlc/2023-07-22/MSFT.csv"
MakeBars = Callable[..., Bars]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def replayed(place: Place, wanted: str) -> Replayed:
    return replay(wanted, store=place.store, warehouse=place.warehouse, now=place.now, largest=64_000_000)


def again(place: Place, wanted: str = NAME) -> tuple[int, bool]:
    done = replayed(place, wanted)
    if done.sent:
        place.handle(place.arrived(done.object))
    return done.generation, done.sent


class Modest(Champion):
    min_sessions = 50


class ModestWalk(RandomWalk):
    min_sessions = 50


def test_a_replay_of_what_was_forecast_changes_nothing(place: Place, make_bars: MakeBars) -> None:
    event = place.upload(NAME, to_csv([make_bars()]))
    place.handle(event)
    before = place.counts()
    assert again(place) == (event.generation, False)
    assert again(place, f"{NAME}#{event.generation}") == (event.generation, False)
    assert (place.counts(), place.store.generation(NAME)) == (before, event.generation)


def test_a_replay_of_what_was_rejected_gives_a_forecast_once_the_cause_is_gone(
    place: Place, make_bars: MakeBars
) -> None:
    event = place.upload(NAME, to_csv([make_bars(sessions=90)]))
    place.handle(event)
    assert [entry.status for entry in failed(place.store, place.warehouse, [])] == ["rejected"]
    place.served = lambda: [Served(Modest(), Role.CHAMPION), Served(ModestWalk(), Role.BASELINE)]
    generation, sent = again(place)
    assert sent
    assert generation > event.generation
    ledger = place.warehouse.read("ingestions").set_index("generation")["status"]
    assert dict(ledger) == {event.generation: "rejected", generation: "forecast"}
    assert len(place.warehouse.read("latest_forecasts")) == 20
    assert failed(place.store, place.warehouse, []) == []
    assert quarantined(place.store) == []


def test_a_replay_that_is_rejected_again_leaves_one_file_in_quarantine(place: Place) -> None:
    place.handle(place.upload(NAME, b"no prices"))
    generation, _ = again(place)
    [kept] = quarantined(place.store)
    assert (kept.object, kept.generation) == (NAME, generation)


def test_a_replay_leaves_no_note_of_an_event_whose_process_was_killed(place: Place, make_bars: MakeBars) -> None:
    event = place.upload(NAME, to_csv([make_bars()]))
    place.store.write(objects.note_of(event.name, event.generation), b"{}")
    assert again(place)[1]
    assert place.store.names("quarantine/") == []


def test_a_replay_does_not_put_older_bars_on_top_of_newer_ones(place: Place, make_bars: MakeBars) -> None:
    lost = place.upload("ohlc/2023-07-22/batch-0001.csv", to_csv([make_bars()]))
    place.handle(place.upload("ohlc/2023-07-22/batch-0002.csv", to_csv([make_bars(seed=8)])))
    for _ in range(2):
        generation = replayed(place, lost.name).generation
    place.handle(place.arrived(lost.name))
    files = place.warehouse.read("ingestions", {"status": "forecast"}).sort_values("written_at")["object"]
    assert list(files) == ["ohlc/2023-07-22/batch-0001.csv", "ohlc/2023-07-22/batch-0002.csv"]
    assert place.store.written_at(lost.name, generation=generation) > place.store.written_at(
        lost.name, generation=lost.generation
    )
    for view in ("latest_prices", "latest_forecasts"):
        assert set(place.warehouse.read(view)["object"]) == {"ohlc/2023-07-22/batch-0002.csv"}, view


@pytest.mark.parametrize("is_deleted", [False, True])
def test_a_release_does_not_put_older_bars_on_top_of_newer_ones(
    place: Place, make_bars: MakeBars, is_deleted: bool
) -> None:
    event = place.upload("ohlc/2023-07-22/batch-0001.csv", to_csv([make_bars(sessions=90)]))
    place.handle(event)
    if is_deleted:
        place.store.delete(event.name, generation=event.generation)
    place.handle(place.upload("ohlc/2023-07-22/batch-0002.csv", to_csv([make_bars(seed=8)])))
    place.served = lambda: [Served(Modest(), Role.CHAMPION), Served(ModestWalk(), Role.BASELINE)]
    release(quarantined(place.store)[0].name, place.store)
    place.handle(place.arrived(event.name))
    assert set(place.warehouse.read("ingestions", {"object": event.name})["status"]) == {"rejected", "forecast"}
    for view in ("latest_prices", "latest_forecasts"):
        assert set(place.warehouse.read(view)["object"]) == {"ohlc/2023-07-22/batch-0002.csv"}, view


def test_a_file_whose_event_was_lost_is_replayed(place: Place, make_bars: MakeBars) -> None:
    event = place.upload(NAME, to_csv([make_bars()]))
    assert failed(place.store, place.warehouse, []) == [Entry(NAME, event.generation, None, UNACCOUNTED)]
    generation, sent = again(place)
    assert sent
    place.handle(event)  # the lost event comes after all
    assert set(place.warehouse.read("latest_forecasts")["generation"]) == {generation}
    assert dict(place.warehouse.read("ingestions").set_index("generation")["status"]) == {
        generation: "forecast",
        event.generation: "superseded",
    }


@pytest.mark.parametrize(
    ("wanted", "sentence"),
    [
        ("models/champion.json", "is no file that is handled"),
        ("../../etc/passwd", "is no file that is handled"),
        ("ohlc/2023-07-22/NONE.csv", "holds no ohlc/2023-07-22/NONE.csv"),
        (f"{NAME}#5", "and 5 was asked for: an older file must not replace a newer one"),
        (f"{NAME}#x", "and x was asked for"),
    ],
)
def test_a_file_that_cannot_be_replayed_is_a_sentence(place: Place, wanted: str, sentence: str) -> None:
    place.upload(NAME, b"no prices")
    with pytest.raises(UsageError, match=sentence):
        replayed(place, wanted)


def test_a_name_with_a_mark_of_its_own_is_replayed(place: Place) -> None:
    name = "ohlc/2023-07-22/x#y.csv"
    event = place.upload(name, b"no prices")
    place.handle(event)
    done = replayed(place, f"{name}#{event.generation}")
    assert (done.object, done.sent) == (name, True)
    assert replayed(place, name).object == name
    place.store.delete(name, generation=place.store.generation(name))
    with pytest.raises(UsageError, match=f"holds no {name}"):
        replayed(place, name)


def test_a_file_that_is_overwritten_during_its_replay_is_left_alone(
    place: Place, make_bars: MakeBars, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.handle(place.upload(NAME, b"no prices"))
    newer = to_csv([make_bars()])
    read = place.store.read

    def read_slowly(name: str, *, generation: str | None = None) -> bytes:
        data = read(name, generation=generation)
        place.store.write(name, newer)
        return data

    monkeypatch.setattr(place.store, "read", read_slowly)
    with pytest.raises(PreconditionFailed):
        replayed(place, NAME)
    assert read(NAME) == newer


BATCH, REST = "ohlc/2023-07-22/batch-0001.csv", "ohlc/2023-07-22/batch-0002.parquet"


def test_of_a_file_that_was_forecast_in_part_only_the_rest_is_sent(place: Place, make_bars: MakeBars) -> None:
    event = place.upload(BATCH, to_csv([make_bars(), make_bars("META", sessions=90)]))
    place.handle(event)
    done = replayed(place, BATCH)
    assert (done.object, done.sent, place.store.generation(BATCH)) == (REST, True, event.generation)
    place.handle(place.arrived(REST))
    assert [(entry.object, entry.symbol) for entry in failed(place.store, place.warehouse, [])] == [(REST, "META")]
    assert [kept.object for kept in quarantined(place.store)] == [REST]
    assert dict(place.warehouse.read("ingestions").value_counts("symbol")) == {"META": 2, "MSFT": 1}
    place.served = lambda: [Served(Modest(), Role.CHAMPION), Served(ModestWalk(), Role.BASELINE)]
    again(place, REST)
    assert failed(place.store, place.warehouse, []) == []


def test_the_rest_of_a_backfill_is_a_backfill_and_is_sent_once(place: Place, make_bars: MakeBars) -> None:
    name = objects.backfill(date(2023, 7, 21), ["MSFT", "META"])
    place.handle(place.upload(name, to_parquet([make_bars(), make_bars("META", sessions=90)])))
    done = replayed(place, name)
    assert done.object == objects.backfill(date(2023, 7, 21), ["META"])
    assert f"but for what {done.object}#{done.generation} holds" in replayed(place, name).kept_back


def test_what_cannot_be_read_of_a_file_is_not_sent_again(place: Place, make_bars: MakeBars) -> None:
    event = place.upload(BATCH, to_csv([make_bars(), make_bars("META")]) + b"2023-07-21,1,x,1,1,1,1,BAD\n")
    place.handle(event)
    assert [entry.symbol for entry in failed(place.store, place.warehouse, [])] == ["BAD"]
    done = replayed(place, BATCH)
    assert (done.sent, place.store.names("ohlc/")) == (False, [BATCH])
    assert "was forecast but for what cannot be read" in done.kept_back
    assert "BAD: High 'x' of 2023-07-21 is not a price" in done.kept_back


@pytest.mark.parametrize("bars", [b"no prices", None])
def test_what_was_rejected_twice_for_the_same_reason_is_told(
    place: Place, make_bars: MakeBars, bars: bytes | None
) -> None:
    def told() -> list[bool]:
        return [entry.rejected_before for entry in failed(place.store, place.warehouse, [])]

    place.handle(place.upload(BATCH, bars or to_csv([make_bars(), make_bars("META", sessions=90)])))
    assert told() == [False]
    place.handle(place.arrived(replayed(place, BATCH).object))
    assert told() == [True]


@pytest.mark.parametrize(("newer", "is_covered"), [("MSFT.csv", True), ("backfill-00000000.csv", False)])
def test_a_symbol_that_was_forecast_from_a_newer_file_has_not_failed(
    place: Place, make_bars: MakeBars, newer: str, is_covered: bool
) -> None:
    place.handle(place.upload("ohlc/2023-07-20/MSFT.csv", b"no prices"))
    place.handle(place.upload(f"ohlc/2023-07-21/{newer}", to_csv([make_bars()])))
    assert (failed(place.store, place.warehouse, []) == []) == is_covered


@pytest.mark.parametrize("has_real", [True, False])
def test_simulated_bars_cover_no_failure_of_a_symbol_with_real_ones(
    place: Place, make_bars: MakeBars, has_real: bool
) -> None:
    if has_real:
        place.handle(place.upload("ohlc/2023-07-19/MSFT.csv", to_csv([make_bars(last=date(2023, 7, 19))])))
    place.handle(place.upload("ohlc/2023-07-20/MSFT.csv", b"no prices"))
    simulated = Bars("MSFT", make_bars().columns, simulated=True)
    place.handle(place.upload("ohlc/2023-07-21/MSFT.csv", to_csv([simulated])))
    assert len(failed(place.store, place.warehouse, [])) == has_real


def test_the_ledger_is_listed_with_the_newest_entries_first(place: Place, make_bars: MakeBars) -> None:
    place.handle(place.upload("ohlc/2023-07-22/batch-0001.csv", to_csv([make_bars(), make_bars("META", sessions=9)])))
    good, bad = sorted(entries(place.warehouse.read("ingestions")), key=lambda entry: entry.status)
    assert (good.symbol, good.status, good.reason, str(good.cutoff)) == ("MSFT", "forecast", "", "2023-07-21")
    assert (bad.symbol, bad.status, bad.cutoff) == ("META", "rejected", None)
    assert bad.received_at is not None


def test_a_store_is_not_asked_for_each_of_its_files_to_find_those_that_failed(
    place: Place, make_bars: MakeBars, storage_server: StorageServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage_server.make_bucket("bucket")
    place.store = GcsObjectStore("bucket", emulator=storage_server.url)  # type: ignore[assignment]
    for number in range(5):
        place.handle(place.upload(f"ohlc/2023-07-22/batch-000{number}.csv", to_csv([make_bars()])))
    place.handle(place.upload("ohlc/2023-07-22/AAPL.csv", b"no prices"))
    place.upload("ohlc/2023-07-22/META.csv", b"lost")
    storage_server.calls.clear()
    found = failed(place.store, place.warehouse, [])
    assert [(entry.object[-8:], entry.status) for entry in found] == [
        ("AAPL.csv", "rejected"),
        ("META.csv", UNACCOUNTED),
    ]
    assert storage_server.calls[GET] == 1, "of the one that was lost"
    monkeypatch.setattr(ledger, "_NAMED", 3)
    assert failed(place.store, place.warehouse, []) == found
    monkeypatch.setattr(place.store, "generation", lambda name: "")  # deleted since the bucket was listed
    assert failed(place.store, place.warehouse, []) == found[:1]


def test_only_files_of_prices_can_have_failed(place: Place) -> None:
    place.upload("models/champion.json", b"{}")
    assert failed(place.store, place.warehouse, []) == []


def test_a_rejected_file_is_listed_shown_and_released(place: Place) -> None:
    event = place.upload(NAME, b"no prices")
    place.handle(event)
    [kept] = quarantined(place.store)
    assert kept.name == f"quarantine/ohlc/2023-07-22/MSFT.{event.generation}.csv"
    assert (kept.object, kept.generation, kept.quarantined_at[:10]) == (NAME, event.generation, "2023-07-22")
    assert "were needed" in kept.reasons[0]
    assert find(kept.name.removeprefix("quarantine/"), place.store) == kept
    name, generation = release(kept.name, place.store)
    assert name == NAME
    assert generation == place.store.generation(NAME) > event.generation
    assert place.store.read(NAME) == b"no prices"
    assert place.store.names("quarantine/") == []


def test_a_file_that_was_deleted_since_is_released_all_the_same(place: Place) -> None:
    event = place.upload(NAME, b"no prices")
    place.handle(event)
    place.store.delete(NAME, generation=event.generation)
    release(quarantined(place.store)[0].name, place.store)
    assert place.store.read(NAME) == b"no prices"


def test_a_file_that_was_sent_again_since_is_not_put_below_an_older_one(place: Place, make_bars: MakeBars) -> None:
    place.handle(place.upload(NAME, b"no prices"))
    newer = place.upload(NAME, to_csv([make_bars()]))
    [kept] = quarantined(place.store)
    with pytest.raises(UsageError, match=f"sent again since, as generation {newer.generation}"):
        release(kept.name, place.store)
    assert quarantined(place.store) == [kept]


def test_a_release_that_was_interrupted_is_finished_by_the_next(place: Place) -> None:
    place.handle(place.upload(NAME, b"no prices"))
    [kept] = quarantined(place.store)
    generation = place.store.write(NAME, b"no prices")  # as far as the first one came
    assert release(kept.name, place.store) == (NAME, generation)
    assert quarantined(place.store) == []


@pytest.mark.parametrize("name", ["quarantine/none.1.csv", "ohlc/2023-07-22/MSFT.csv", "", "quarantine/x.reason.json"])
def test_a_file_that_is_not_in_quarantine_is_a_sentence(place: Place, name: str) -> None:
    with pytest.raises(UsageError, match="tickercast quarantine list names what is"):
        find(name, place.store)


def test_a_file_that_is_removed_while_the_quarantine_is_listed_does_not_hide_the_others(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (NAME, "ohlc/2023-07-22/META.csv"):
        place.handle(place.upload(name, b"no prices"))
    times = place.store.times

    def then_released(prefix: str) -> dict[str, datetime]:
        found = times(prefix)
        drop(next(name for name in found if "META" in name and name.endswith(".csv")), place.store)
        return found

    monkeypatch.setattr(place.store, "times", then_released)
    assert [kept.object for kept in quarantined(place.store)] == [NAME]


@pytest.mark.parametrize("reason", [None, b"{", b"[]", b'{"reasons": ["x"]}'])
def test_a_file_without_a_readable_reason_is_listed_all_the_same(place: Place, reason: bytes | None) -> None:
    name = "quarantine/ohlc/2023-07-22/MSFT.7.csv"
    place.store.write(name, b"no prices")
    if reason is not None:
        place.store.write("quarantine/ohlc/2023-07-22/MSFT.7.reason.json", reason)
    assert [kept.reasons for kept in quarantined(place.store)] == [["No reason that can be read is stored beside it."]]
    drop(name, place.store)
    drop(name, place.store)
    assert place.store.names("quarantine/") == []


class Hours:
    """A clock that a pause moves on."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []
        self.waits: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds

    def patience(self, seconds: float) -> Patience:
        return Patience(seconds, self.waits.append, lambda: self.now, self.sleep)


def test_a_wait_ends_with_its_time_and_pauses_ever_longer(place: Place) -> None:
    hours = Hours()
    rows = wait_for_ledger(NAME, 1, warehouse=place.warehouse, patience=hours.patience(60))
    assert rows.empty
    assert hours.now == pytest.approx(60)
    assert hours.pauses[:-1] == sorted(hours.pauses[:-1])
    assert max(hours.pauses) == 5.0
    assert hours.waits[0] == 0
    assert len(hours.waits) == len(hours.pauses) < 25


def test_without_patience_the_ledger_is_read_once(place: Place) -> None:
    hours = Hours()
    assert wait_for_ledger(NAME, 1, warehouse=place.warehouse, patience=hours.patience(0)).empty
    assert hours.pauses == []


def test_waits_share_one_time(place: Place) -> None:
    hours = Hours()
    patience = hours.patience(10)
    for _ in range(3):
        wait_for_ledger(NAME, 1, warehouse=place.warehouse, patience=patience)
    assert hours.now == pytest.approx(10)


def test_an_event_that_is_delivered_late_is_waited_for(place: Place, make_bars: MakeBars) -> None:
    event = place.upload(NAME, to_csv([make_bars()]))
    pauses = 0

    def sleep(seconds: float) -> None:
        nonlocal pauses
        pauses += 1
        if pauses == 2:
            function = threading.Thread(target=place.handle, args=[event])
            function.start()
            function.join()

    uploaded = Upload(NAME, event.generation, ("MSFT",))
    made = read_results(uploaded, warehouse=place.warehouse, patience=Patience(60, sleep=sleep))
    assert [forecast.generation for forecast in made.forecasts] == [event.generation]
    assert pauses == 2


def test_an_upload_that_another_one_has_overwritten_shows_the_newer_ones_forecast(
    place: Place, make_bars: MakeBars
) -> None:
    older = place.upload(NAME, to_csv([make_bars()]))
    newer = place.upload(NAME, to_csv([make_bars()]))
    place.handle(older)
    uploaded = Upload(NAME, older.generation, ("MSFT",))

    def sleep(seconds: float) -> None:
        place.handle(newer)

    made = read_results(uploaded, warehouse=place.warehouse, patience=Patience(60, sleep=sleep))
    assert [forecast.generation for forecast in made.forecasts] == [newer.generation]


def test_a_superseded_upload_is_followed_past_newer_ones_that_were_superseded_too(
    place: Place, make_bars: MakeBars
) -> None:
    first, second = (place.upload(NAME, to_csv([make_bars()])) for _ in range(2))
    place.handle(first)
    place.handle(second)
    third, _ = (place.upload(NAME, to_csv([make_bars()])) for _ in range(2))
    place.handle(third)
    made = read_results(Upload(NAME, first.generation, ("MSFT",)), warehouse=place.warehouse)
    assert [forecast.generation for forecast in made.forecasts] == [second.generation]


def test_an_upload_that_was_overwritten_by_nothing_forecast_shows_the_reason(place: Place) -> None:
    older, _ = place.upload(NAME, b"no prices"), place.upload(NAME, b"no prices")
    place.handle(older)
    made = read_results(
        Upload(NAME, older.generation, ("MSFT",)), warehouse=place.warehouse, patience=Hours().patience(5)
    )
    assert "overwritten by generation" in str(made.failures["MSFT"])


def test_after_the_wait_a_sentence_says_where_to_look(place: Place) -> None:
    with pytest.raises(FunctionUnavailable, match=f"60 s later neither .* for MSFT.* tickercast ingestions {NAME}"):
        read_results(Upload(NAME, 1, ("MSFT",)), warehouse=place.warehouse, patience=Hours().patience(60))
