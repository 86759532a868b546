"""A lease keeps runs apart: across machines, threads and stores, and when answers of the store are lost."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tickercast.app import App
from tickercast.backends.object_store.local import LocalObjectStore
from tickercast.errors import LeaseHeld, LeaseLost, StoreUnavailable
from tickercast.jobs.daily import lease as leases
from tickercast.jobs.daily.lease import TERM, Hold, Lease, lease
from tickercast.jobs.daily.run_day import _Steps

NAME = "locks/daily.json"
GONE = 2**31 - 1
"""No process has so high a number."""


class Store(LocalObjectStore):
    """A bucket whose writes may fail, before they are stored or after."""

    fails = ""
    on_write: Callable[[], object] = staticmethod(lambda: None)

    def write(self, name, data, *, if_generation=None, metadata=None):  # type: ignore[no-untyped-def]
        if self.fails == "before":
            raise StoreUnavailable("The bucket does not answer. Try again.")
        generation = super().write(name, data, if_generation=if_generation, metadata=metadata)
        self.on_write()
        if self.fails == "after":
            raise StoreUnavailable("The answer was lost. Try again.")
        return generation


class Clock:
    """A clock that stands still until a test moves it."""

    def __init__(self) -> None:
        self.time = datetime(2024, 6, 11, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "bucket")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def held(store: Store, clock: Clock) -> Iterator[Hold]:
    """A lease that nobody renews in the background."""
    with lease(store, "daily", now=clock) as hold:
        yield hold


def renewed(hold: Hold) -> None:
    """Renew a lease as its keeper does each quarter of a term."""
    with hold._renewing:
        hold._renew()


def taken_over(store: LocalObjectStore, clock: Clock) -> None:
    """Let another machine take the lease."""
    other = Lease(machine="another", process=1, until=clock() + TERM)
    store.write(NAME, other.model_dump_json().encode(), if_generation=store.generation(NAME))


def holder(store: LocalObjectStore) -> Lease:
    return Lease.model_validate_json(store.read(NAME))


def test_the_holder_renews_its_lease_while_it_works(
    store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "TERM", timedelta(milliseconds=4))
    renewals = threading.Semaphore(0)
    with lease(store, "daily", now=clock):
        store.on_write = renewals.release
        assert all(renewals.acquire(timeout=10) for _ in range(2))


def test_a_renewal_whose_answer_was_lost_does_not_end_the_renewals(store: Store, clock: Clock, held: Hold) -> None:
    for failing in ("after", "after", "", ""):
        store.fails = failing
        clock.time += TERM / 4
        renewed(held)
    assert holder(store).until == clock() + TERM
    held.check()


def test_a_run_that_lost_its_lease_says_so_and_leaves_it_to_the_next(
    store: Store, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    with lease(store, "daily", now=clock) as hold:
        clock.time += TERM
        taken_over(store, clock)
        with caplog.at_level(logging.WARNING, logger="tickercast"):
            renewed(hold)
        with pytest.raises(LeaseLost, match=r"The lock of daily is another run's by now, or was deleted\. This one"):
            hold.check()
    assert "is another run's by now" in caplog.text
    assert holder(store).machine == "another"
    with (
        pytest.raises(LeaseHeld, match="Another run of daily holds the lock on another"),
        lease(store, "daily", now=clock),
    ):
        pass


def test_a_lease_that_another_run_took_is_noticed_before_the_next_renewal(
    store: Store, clock: Clock, held: Hold
) -> None:
    clock.time += TERM  # such as by the sleep of a laptop
    taken_over(store, clock)
    with pytest.raises(LeaseLost):
        held.check()


def test_a_lease_that_ended_is_renewed_before_the_work_goes_on(store: Store, clock: Clock, held: Hold) -> None:
    clock.time += TERM
    held.check()
    assert holder(store).until == clock() + TERM


def test_a_lease_that_cannot_be_renewed_is_lost_at_its_end(store: Store, clock: Clock, held: Hold) -> None:
    store.fails = "before"
    clock.time += TERM * 0.9
    renewed(held)
    held.check()
    clock.time += TERM * 0.1
    with pytest.raises(LeaseLost, match=r"ended at 12:10 UTC and cannot be renewed: another run may have begun"):
        held.check()
    store.fails = ""
    held.check()


def test_two_threads_do_not_hold_a_lease_together(store: Store, clock: Clock) -> None:
    refused: list[str] = []

    def second() -> None:
        try:
            with lease(store, "daily", now=clock):
                pass
        except LeaseHeld as error:
            refused.append(str(error))

    def meanwhile() -> None:
        store.on_write = lambda: None
        other = threading.Thread(target=second)
        other.start()
        other.join()

    store.on_write = meanwhile  # stored, and the first thread has not yet heard of it
    with lease(store, "daily", now=clock):
        pass
    assert refused == ["Another run of daily holds the lock in this process. Wait for it."]
    with lease(store, "daily", now=clock):
        pass


@pytest.mark.parametrize("minutes", [-68, -11, 9, 68])
def test_the_clocks_of_two_machines_may_differ(
    store: Store, clock: Clock, held: Hold, monkeypatch: pytest.MonkeyPatch, minutes: int
) -> None:
    monkeypatch.setattr(leases, "_machine", lambda: "another")
    monkeypatch.setattr(leases, "_HELD", set())
    theirs = Clock()
    theirs.time += timedelta(minutes=minutes)
    with (
        pytest.raises(LeaseHeld, match="Another run of daily holds the lock on"),
        lease(store, "daily", now=theirs),
    ):
        pass
    assert store.names("locks/") == [NAME]
    held.check()


@pytest.mark.parametrize(
    ("machine", "process", "age", "holds"),
    [
        ("another", 1, TERM * 0.9, True),
        ("another", 1, TERM, False),
        ("another", 1, -TERM, False),  # the store's clock was put back
        ("", 1, TERM * 0.9, True),
        ("", GONE, TERM * 0.9, False),
    ],
)
def test_a_lease_holds_for_a_term_of_the_clock_of_the_store(
    store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch, machine: str, process: int, age: timedelta, holds: bool
) -> None:
    left = Lease(machine=machine or leases._machine(), process=process, until=clock())
    store.write(NAME, left.model_dump_json().encode())
    monkeypatch.setattr(store, "written_at", lambda name, **_: clock() if name == NAME else clock() + age)
    with pytest.raises(LeaseHeld, match="process 1") if holds else nullcontext(), lease(store, "daily", now=clock):
        assert not holds


def test_however_often_a_run_is_refused_one_file_is_left(store: Store, clock: Clock, tmp_path: Path) -> None:
    taken_over(store, clock)
    for _ in range(3):
        with pytest.raises(LeaseHeld, match="holds the lock on another"), lease(store, "daily", now=clock):
            pass
    kept = tmp_path / "bucket" / ".generations" / "locks"
    assert [path.suffix for path in kept.glob("daily.json.*/*")] == [".deleted"]


def test_two_runs_that_ask_at_the_same_moment_are_both_refused(
    store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken_over(store, clock)
    written_at = store.written_at

    def replaced(name: str, *, generation: str) -> datetime:
        """As by a store that keeps no generations, once another run has asked."""
        if name != NAME:
            store.delete(name, generation=generation)
        return written_at(name, generation=generation)

    monkeypatch.setattr(store, "written_at", replaced)
    with pytest.raises(LeaseHeld, match="began at the same moment"), lease(store, "daily", now=clock):
        pass


def test_leases_of_two_stores_are_two(store: Store, clock: Clock, tmp_path: Path) -> None:
    other = LocalObjectStore(tmp_path / "other")
    left_over = Lease(machine=leases._machine(), process=leases.os.getpid(), until=clock() + TERM)
    other.write(NAME, left_over.model_dump_json().encode())  # by a run of this process that has ended
    with lease(store, "daily", now=clock), lease(other, "daily", now=clock):
        assert store.names("locks/") == other.names("locks/") == [NAME]
    assert store.names("locks/") == other.names("locks/") == []


def test_a_lease_that_is_not_given_back_says_so(
    store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise StoreUnavailable("The bucket does not answer. Try again.")

    with lease(store, "daily", now=clock):
        monkeypatch.setattr(store, "delete", fails)
    assert "The lock of daily stays until 12:10 UTC, as it cannot be deleted: The bucket" in caplog.text
    with lease(store, "daily", now=clock):
        pass


def test_a_day_that_lost_its_lease_takes_no_further_step(store: Store, clock: Clock, held: Hold) -> None:
    done: list[str] = []
    steps = _Steps(App(), lambda job: job, held, clock.time.date(), clock.time.date())
    steps(done.append, "fetch")
    clock.time += TERM
    taken_over(store, clock)
    with pytest.raises(LeaseLost):
        steps(done.append, "catch_up")
    assert done == ["fetch"]
