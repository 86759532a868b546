"""Keep two runs of the same work apart, by an object that names the holder of the lease.

The holder writes it again while it works. If the holder was killed, the next run begins at once on the same machine,
where its process is known to be gone, and `TERM` after the last write elsewhere. Both times are the store's, as the
clocks of two machines differ. A holder that could not renew its lease for so long learns that it is lost.
"""

import contextlib
import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from tickercast.errors import LeaseHeld, LeaseLost, ObjectNotFound, PreconditionFailed, TickercastError
from tickercast.ports import ObjectStore

log = logging.getLogger(__name__)

TERM = timedelta(minutes=10)
"""The time for which a lease holds unless it is renewed."""

_RENEWALS = 4  # a term
_PAUSE_S = 5.0
_BOOT = Path("/proc/sys/kernel/random/boot_id")  # tells containers apart that share a host's name
_HELD: set[tuple[str, str]] = set()  # the stores and names of the leases that this process holds, or asks for
_CHANGING = threading.Lock()


class Lease(BaseModel):
    """The content of a lease's object.

    Attributes:
        machine: the machine of the holder.
        process: its process there.
        until: the end unless it is renewed, by the clock of the holder, which alone goes by it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    machine: str
    process: int = Field(gt=0, lt=2**31)
    until: AwareDatetime

    @property
    def is_ours(self) -> bool:
        """Whether this process wrote it, of which no two threads hold one lease."""
        return self.machine == _machine() and self.process == os.getpid()


class Hold:
    """A lease that this process has taken.

    Args:
        store: the store of the lease.
        name: the name of the lease's object.
        work: the work in words.
        now: the clock.

    Raises:
        LeaseHeld: another run holds it.
        StoreUnavailable: try again.
    """

    def __init__(self, store: ObjectStore, name: str, work: str, now: Callable[[], datetime]) -> None:
        self._store, self._name, self._work, self._now = store, name, work, now
        self._lost = ""
        self._renewing = threading.Lock()
        self._key = store.url, name
        with _CHANGING:
            if self._key in _HELD:
                raise LeaseHeld(f"Another run of {work} holds the lock in this process. Wait for it.")
            _HELD.add(self._key)
        try:
            self._generation, self._until = self._take()
        except BaseException:
            _HELD.discard(self._key)
            raise

    def check(self) -> None:
        """Check that no other run may have begun the work, before something that two of them must not do.

        Raises:
            LeaseLost: one may have.
        """
        with self._renewing:
            if not self._lost and self._now() >= self._until:  # such as after the sleep of a laptop
                self._renew()
            if self._lost:
                raise LeaseLost(f"{self._lost} This one stops; the other, or the next one, does what is left.")
            if self._now() >= self._until:
                raise LeaseLost(
                    f"The lock of {self._work} ended at {self._end} and cannot be renewed: another run may "
                    "have begun. This one stops; run it again once the bucket answers."
                )

    def keep(self, over: threading.Event) -> None:
        """Renew it until an event is set, or it is lost."""
        while not over.wait(TERM.total_seconds() / _RENEWALS) and not self._lost:
            with self._renewing:
                self._renew()

    def give_back(self) -> None:
        """Delete its object, unless that is another run's by now."""
        try:
            live = self._store.generation(self._name)
            if self._is_ours(live):
                self._store.delete(self._name, generation=live)
        except TickercastError as error:
            log.warning("The lock of %s stays until %s, as it cannot be deleted: %s", self._work, self._end, error)
        finally:
            _HELD.discard(self._key)  # only now: a thread that takes it over would lose it to the deletion

    def _take(self) -> tuple[str, datetime]:
        live = self._store.generation(self._name)
        holder = _read(self._store, self._name, live) if live else None
        if holder is not None and not _is_gone(holder) and (left := self._left(live)) > timedelta(0):
            raise LeaseHeld(
                f"Another run of {self._work} holds the lock on {holder.machine} (process {holder.process}). Wait for "
                f"it; if it is gone, the next run can begin at {self._now() + left:%H:%M} UTC."
            )
        try:
            return self._write(live)
        except PreconditionFailed as error:
            raise self._met() from error

    def _left(self, generation: str) -> timedelta:
        """The time for which another run's lease still holds; the store's clock may have been put back meanwhile."""
        now = self._store_time()
        try:
            return TERM - abs(now - self._store.written_at(self._name, generation=generation))
        except ObjectNotFound:  # it was given back, or renewed in a store that keeps no generations
            return timedelta(0)

    def _store_time(self) -> datetime:
        """The store's time, which a write of our own tells; all who ask write the same object."""
        asked = f"{self._name}.asked"
        own = self._store.write(asked, uuid.uuid4().bytes)
        try:
            return self._store.written_at(asked, generation=own)
        except ObjectNotFound as error:  # another one asked meanwhile, in a store that keeps no generations
            raise self._met() from error
        finally:
            self._store.delete(asked, generation=own)

    def _met(self) -> LeaseHeld:
        return LeaseHeld(f"Another run of {self._work} began at the same moment. Wait for it.")

    def _renew(self) -> None:
        """Renew it once; where that fails, it is tried again later, unless another run has taken it."""
        try:
            try:
                self._generation, self._until = self._write(self._generation)
            except PreconditionFailed:  # by another run, or by a renewal of ours whose answer was lost
                live = self._store.generation(self._name)
                if not self._is_ours(live):
                    raise
                self._generation, self._until = self._write(live)
        except PreconditionFailed:
            self._lost = f"The lock of {self._work} is another run's by now, or was deleted."
            log.warning("%s", self._lost)
        except TickercastError as error:
            log.warning("The lock of %s cannot be renewed now, and holds until %s: %s", self._work, self._end, error)

    def _write(self, generation: str) -> tuple[str, datetime]:
        until = self._now() + TERM
        content = Lease(machine=_machine(), process=os.getpid(), until=until).model_dump_json().encode()
        return self._store.write(self._name, content, if_generation=generation), until

    @property
    def _end(self) -> str:
        return f"{self._until:%H:%M} UTC"

    def _is_ours(self, generation: str) -> bool:
        holder = _read(self._store, self._name, generation) if generation else None
        return holder is not None and holder.is_ours


@contextlib.contextmanager
def lease(
    store: ObjectStore,
    work: str,
    *,
    now: Callable[[], datetime],
    patience: timedelta = timedelta(0),
    said: str = "",
) -> Iterator[Hold]:
    """Hold the lease of some work for as long as the block runs.

    Args:
        store: where leases are kept.
        work: the name of the work, which becomes part of an object's name.
        now: the clock.
        patience: the time limit for waiting while another run holds the lease.
        said: the work in words, for whoever is refused; its name by default.

    Yields:
        The hold, which tells whether the lease is lost.

    Raises:
        LeaseHeld: another run holds it.
        StoreUnavailable: try again.
    """
    hold = _take_patiently(store, f"locks/{work}.json", said or work, now, patience)
    over = threading.Event()
    keeper = threading.Thread(target=hold.keep, args=(over,), daemon=True)
    keeper.start()
    try:
        yield hold
    finally:
        over.set()
        keeper.join()
        hold.give_back()


def _take_patiently(store: ObjectStore, name: str, work: str, now: Callable[[], datetime], patience: timedelta) -> Hold:
    until = now() + patience
    while True:
        try:
            return Hold(store, name, work, now)
        except LeaseHeld:
            if now() >= until:
                raise
            time.sleep(min(_PAUSE_S, max((until - now()).total_seconds(), 0)))


def _read(store: ObjectStore, name: str, generation: str) -> Lease | None:
    try:
        return Lease.model_validate_json(store.read(name, generation=generation))
    except (ObjectNotFound, ValidationError):
        return None


def _machine() -> str:
    boot = _BOOT.read_text().strip()[:8] if _BOOT.exists() else ""
    return f"{socket.gethostname()} {boot}".strip()


def _is_gone(holder: Lease) -> bool:
    """Whether the holder ran on this machine and has ended; nothing is known of another machine's processes."""
    if holder.machine != _machine():
        return False
    if holder.is_ours:  # and left over, as no thread of this process holds it
        return True
    try:
        os.kill(holder.process, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    return False
