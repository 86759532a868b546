"""Keep two runs of the same work apart, by an object that names the holder and the end of its lease.

The holder renews it while it works. If the holder was killed, the next run begins at once on the same machine, where
its process is known to be gone, and after `TERM` elsewhere.
"""

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from tickercast.errors import ObjectNotFound, PreconditionFailed, TickercastError, UsageError
from tickercast.ports import ObjectStore

TERM = timedelta(minutes=10)
"""How long a lease holds unless it is renewed."""

_RENEWALS = 4  # a term
_PAUSE_S = 5.0
_BOOT = Path("/proc/sys/kernel/random/boot_id")  # tells containers apart that share a host's name
_HELD: set[str] = set()


class LeaseHeld(UsageError):
    """Another run holds the lease."""


class Lease(BaseModel):
    """The content of a lease's object; one that has ended, or whose process is gone, stops nobody."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    machine: str
    process: int = Field(gt=0, lt=2**31)
    until: AwareDatetime


@contextlib.contextmanager
def lease(
    store: ObjectStore,
    work: str,
    *,
    now: Callable[[], datetime],
    patience: timedelta = timedelta(0),
    said: str = "",
) -> Iterator[None]:
    """Hold the lease of some work for as long as the block runs.

    Args:
        store: where leases are kept.
        work: the name of the work, which becomes part of an object's name.
        now: the clock.
        patience: the time limit for waiting while another run holds the lease.
        said: the work in words, for whoever is refused; its name by default.

    Raises:
        UsageError: another run holds it.
        StoreUnavailable: try again.
    """
    name = f"locks/{work}.json"
    held = _take_patiently(store, name, said or work, now, patience)
    over = threading.Event()
    keeper = threading.Thread(target=_keep, args=(store, name, held, now, over), daemon=True)
    keeper.start()
    _HELD.add(name)
    try:
        yield
    finally:
        _HELD.discard(name)
        over.set()
        keeper.join()
        with contextlib.suppress(TickercastError):  # it expires by itself
            store.delete(name, generation=store.generation(name))


def _take_patiently(store: ObjectStore, name: str, work: str, now: Callable[[], datetime], patience: timedelta) -> str:
    until = now() + patience
    while True:
        try:
            return _take(store, name, work, now)
        except LeaseHeld:
            if now() >= until:
                raise
            time.sleep(min(_PAUSE_S, max((until - now()).total_seconds(), 0)))


def _take(store: ObjectStore, name: str, work: str, now: Callable[[], datetime]) -> str:
    live = store.generation(name)
    if live:
        holder = _read(store, name)
        # One that claims more than a term was written by no run.
        if holder is not None and now() < holder.until <= now() + 2 * TERM and not _is_gone(holder, name):
            raise LeaseHeld(
                f"Another run of {work} holds the lock on {holder.machine} (process {holder.process}). Wait for it; if "
                f"it is gone, the next run can begin at {holder.until:%H:%M} UTC."
            )
    try:
        return store.write(name, _ours(now()), if_generation=live)
    except PreconditionFailed as error:
        raise LeaseHeld(f"Another run of {work} began at the same moment. Wait for it.") from error


def _keep(store: ObjectStore, name: str, held: str, now: Callable[[], datetime], over: threading.Event) -> None:
    while not over.wait(TERM.total_seconds() / _RENEWALS):
        with contextlib.suppress(TickercastError):  # tried again a quarter of a term later
            held = store.write(name, _ours(now()), if_generation=held)


def _read(store: ObjectStore, name: str) -> Lease | None:
    try:
        return Lease.model_validate_json(store.read(name))
    except (ObjectNotFound, ValidationError):
        return None


def _ours(now: datetime) -> bytes:
    return Lease(machine=_machine(), process=os.getpid(), until=now + TERM).model_dump_json().encode()


def _machine() -> str:
    boot = _BOOT.read_text().strip()[:8] if _BOOT.exists() else ""
    return f"{socket.gethostname()} {boot}".strip()


def _is_gone(holder: Lease, name: str) -> bool:
    """Whether the holder ran on this machine and has ended; nothing is known of another machine's processes."""
    if holder.machine != _machine():
        return False
    if holder.process == os.getpid():
        return name not in _HELD
    try:
        os.kill(holder.process, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    return False
