"""Tokens, the gate and quotas, with clocks that the test sets and a store that can be down."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tickercast.backends.object_store.local import LocalObjectStore
from tickercast.domain.tokens import NAME, Scope, Token, new_token, quota_object
from tickercast.errors import (
    EngineUnusable,
    OutOfScope,
    PreconditionFailed,
    QuotaSpent,
    StoreUnavailable,
    Unauthenticated,
    UsageError,
)
from tickercast.jobs.access.gate import KNOWN_FOR_S, READ_AFTER_S, Gate
from tickercast.jobs.access.quota import LEASED_AT_ONCE, lease_calls, leased_calls, return_calls
from tickercast.jobs.access.tokens import add_token, read_tokens, revoke_token

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)


class Store(LocalObjectStore):
    """A bucket that can be down, and that counts what it is asked."""

    is_down = False
    reads = writes = 0

    def read(self, name: str, *, generation: int | None = None) -> bytes:
        self._ask()
        self.reads += 1
        return super().read(name, generation=generation)

    def write(
        self, name: str, data: bytes, *, if_generation: int | None = None, metadata: Mapping[str, str] | None = None
    ) -> int:
        self._ask()
        self.writes += 1
        return super().write(name, data, if_generation=if_generation, metadata=metadata)

    def _ask(self) -> None:
        if self.is_down:
            raise StoreUnavailable("The bucket does not answer. Try again.")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "bucket")


class Clock:
    seconds = 0.0
    now = NOW

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def gate(store: Store, clock: Clock) -> Iterator[Gate]:
    made = Gate(store, needs_tokens=True, now=lambda: clock.now, clock=clock)
    yield made
    store.is_down = False
    made.close()


def made(store: Store, owner: str = "desk", per_month: int | None = None, **more: object) -> tuple[Token, str]:
    token, text = new_token(owner, [Scope.READ], now=NOW, per_month=per_month, **more)  # type: ignore[arg-type]
    add_token(token, store)
    return token, text


# ---------------------------------------------------------------- tokens


def test_only_the_digest_of_a_token_is_stored(store: Store) -> None:
    token, text = made(store)
    stored = store.read(NAME).decode()
    assert text not in stored
    assert text.rpartition("_")[2] not in stored
    assert token.sha256 == hashlib.sha256(text.encode()).hexdigest()
    assert len(text) > 40


def test_equal_contents_are_never_written_twice(store: Store) -> None:
    made(store)
    nonces = {json.loads(store.read(NAME))["nonce"]}
    revoke_token("desk", store, now=NOW)
    nonces.add(json.loads(store.read(NAME))["nonce"])
    assert len(nonces) == 2


def test_two_writers_of_tokens_lose_none(store: Store) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: made(store, f"desk {number}"), range(12)))
    assert {token.owner for token in read_tokens(store).tokens} == {f"desk {number}" for number in range(12)}


@pytest.mark.parametrize(
    ("owner", "options", "said"),
    [
        ("", {}, "no name of an owner"),
        ("a\nb", {}, "no name of an owner"),
        ("x" * 65, {}, "no name of an owner"),
        ("desk", {"per_month": 0}, "0 calls a month"),
        ("desk", {"expires_at": NOW}, "which is past"),
    ],
)
def test_a_token_that_makes_no_sense_is_refused(
    store: Store, owner: str, options: dict[str, object], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        made(store, owner, **options)


def test_an_owner_has_one_valid_token_at_a_time(store: Store) -> None:
    made(store)
    with pytest.raises(UsageError, match="has a token already"):
        made(store)
    revoke_token("desk", store, now=NOW)
    made(store)
    assert [token.state(NOW) for token in read_tokens(store).tokens] == ["revoked", "valid"]


def test_only_what_there_is_can_be_revoked(store: Store) -> None:
    token, _ = made(store)
    with pytest.raises(UsageError, match="is no token's id or owner"):
        revoke_token("other", store, now=NOW)
    assert revoke_token(token.id, store, now=NOW).revoked_at == NOW
    with pytest.raises(UsageError, match="was revoked before"):
        revoke_token(token.id, store, now=NOW)


def test_the_valid_token_of_an_owner_is_revoked_and_not_one_that_has_ended(store: Store) -> None:
    ended, _ = made(store, expires_at=NOW + timedelta(days=1))
    later = NOW + timedelta(days=2)
    valid, _ = new_token("desk", [Scope.READ], now=later)
    add_token(valid, store)
    assert revoke_token("desk", store, now=later).id == valid.id
    assert [token.state(later) for token in read_tokens(store).tokens] == ["expired", "revoked"]
    with pytest.raises(UsageError, match="has ended before: one that tickercast tokens list shows as valid was needed"):
        revoke_token(ended.id, store, now=later)


def test_an_id_is_told_from_an_owner_of_the_same_name(store: Store) -> None:
    desk, _ = new_token("desk", [Scope.READ], now=NOW)
    made(store, desk.id)
    add_token(desk, store)
    assert revoke_token(desk.id, store, now=NOW).owner == "desk"
    assert [token.state(NOW) for token in read_tokens(store).tokens] == ["valid", "revoked"]


def test_a_damaged_list_lets_nobody_in(store: Store, gate: Gate) -> None:
    store.write(NAME, b'{"tokens": [')
    with pytest.raises(EngineUnusable, match="does not parse, so that nobody is let in"):
        gate.admit("tc_00000000_x", Scope.READ)


# ---------------------------------------------------------------- the gate


@pytest.mark.parametrize("text", ["", "nonsense", "tc_", "tc_00000000_x", "x" * 10_000, "é"])
def test_what_is_no_token_opens_nothing(store: Store, gate: Gate, text: str) -> None:
    made(store)
    with pytest.raises(Unauthenticated):
        gate.admit(text, Scope.READ)


def test_a_token_opens_its_scopes_alone(store: Store, gate: Gate) -> None:
    _, text = made(store)
    assert gate.admit(text, Scope.READ).token is not None
    with pytest.raises(OutOfScope, match="is for read: the scope forecast was needed"):
        gate.admit(text, Scope.FORECAST)


def test_only_a_token_that_can_do_nothing_but_read_may_stand_in_an_address(store: Store, gate: Gate) -> None:
    _, text = made(store)
    wider, wide = new_token("notebook", [Scope.READ, Scope.FORECAST], now=NOW)
    add_token(wider, store)
    assert gate.admit(text, Scope.READ, in_address=True).token is not None
    with pytest.raises(OutOfScope, match="is in the address"):
        gate.admit(wide, Scope.READ, in_address=True)


def test_a_server_that_needs_tokens_lets_nobody_in_while_there_are_none(gate: Gate) -> None:
    with pytest.raises(Unauthenticated):
        gate.admit("", Scope.READ)


def test_a_token_ends_on_its_day(store: Store, gate: Gate, clock: Clock) -> None:
    _, text = made(store, expires_at=NOW + timedelta(days=1))
    gate.admit(text, Scope.READ)
    clock.now = NOW + timedelta(days=1)
    with pytest.raises(Unauthenticated, match="ended on 2026-03-11"):
        gate.admit(text, Scope.READ)


def test_a_revoked_token_opens_nothing_five_seconds_later(store: Store, gate: Gate, clock: Clock) -> None:
    _, text = made(store)
    gate.admit(text, Scope.READ)
    revoke_token("desk", store, now=NOW)
    clock.seconds += READ_AFTER_S
    with pytest.raises(Unauthenticated, match="was revoked on 2026-03-10"):
        gate.admit(text, Scope.READ)


def test_without_tokens_a_local_server_is_open_until_the_first_is_made(store: Store, clock: Clock) -> None:
    gate = Gate(store, needs_tokens=False, now=lambda: clock.now, clock=clock)
    assert gate.admit("", Scope.FORECAST).token is None
    _, text = made(store)
    clock.seconds += READ_AFTER_S
    with pytest.raises(Unauthenticated):
        gate.admit("", Scope.READ)
    assert gate.admit(text, Scope.READ).token is not None
    gate.close()


def test_known_tokens_go_on_for_a_minute_while_the_store_is_down(store: Store, gate: Gate, clock: Clock) -> None:
    _, text = made(store)
    gate.admit(text, Scope.READ)
    store.is_down = True
    clock.seconds = KNOWN_FOR_S
    gate.admit(text, Scope.READ)
    with pytest.raises(Unauthenticated):
        gate.admit("tc_00000000_x", Scope.READ)
    clock.seconds = KNOWN_FOR_S + 1
    with pytest.raises(StoreUnavailable):
        gate.admit(text, Scope.READ)
    store.is_down = False
    gate.admit(text, Scope.READ)


def test_a_store_that_is_down_is_not_asked_with_every_call(store: Store, gate: Gate, clock: Clock) -> None:
    _, text = made(store)
    gate.admit(text, Scope.READ)
    store.is_down = True
    clock.seconds = READ_AFTER_S
    for _ in range(100):
        gate.admit(text, Scope.READ)
    assert store.reads == 1
    assert gate.is_ready()


# ---------------------------------------------------------------- quotas


def calls_until_spent(gate: Gate, text: str, most: int = 10_000) -> int:
    for granted in range(most):
        try:
            gate.admit(text, Scope.READ)
        except QuotaSpent:
            return granted
    return most


def test_a_quota_grants_exactly_its_calls_with_few_writes(store: Store, gate: Gate) -> None:
    _, text = made(store, per_month=230)
    before = store.writes
    assert calls_until_spent(gate, text) == 230
    assert store.writes - before < 15
    said = r"used the 230 calls of 2026-03: the next are granted on 2026-04-01"
    with pytest.raises(QuotaSpent, match=said) as refused:
        gate.admit(text, Scope.READ)
    assert refused.value.limit == 230


def test_the_next_month_has_a_quota_of_its_own(store: Store, gate: Gate, clock: Clock) -> None:
    _, text = made(store, per_month=3)
    assert calls_until_spent(gate, text) == 3
    clock.now = datetime(2026, 4, 1, tzinfo=UTC)
    assert calls_until_spent(gate, text) == 3


def test_what_was_leased_and_not_used_is_given_back(store: Store, clock: Clock) -> None:
    token, text = made(store, per_month=1000)
    gate = Gate(store, needs_tokens=True, now=lambda: clock.now, clock=clock)
    assert gate.admit(text, Scope.READ).left == 999
    assert leased_calls(token, "2026-03", store) == LEASED_AT_ONCE
    gate.close()
    assert leased_calls(token, "2026-03", store) == 1


def test_a_call_that_does_not_count_takes_nothing(store: Store, gate: Gate) -> None:
    token, text = made(store, per_month=5)
    for _ in range(20):
        gate.admit(text, Scope.READ, charged=False)
    assert leased_calls(token, "2026-03", store) == 0
    assert calls_until_spent(gate, text) == 5


def test_a_call_that_does_not_count_says_what_earlier_processes_and_others_have_left(
    store: Store, gate: Gate, clock: Clock
) -> None:
    token, text = made(store, per_month=100)
    lease_calls(token, "2026-03", store)  # by a process that was killed
    assert gate.admit(text, Scope.READ, charged=False).left == 50
    assert gate.admit(text, Scope.READ).left == 49
    lease_calls(token, "2026-03", store)  # by another instance
    clock.seconds += READ_AFTER_S
    assert gate.admit(text, Scope.READ, charged=False).left == 100 - leased_calls(token, "2026-03", store) + 24 == 36
    before = store.reads
    for _ in range(20):
        assert gate.admit(text, Scope.READ, charged=False).left == 36
    assert store.reads == before


def test_a_quota_that_the_store_has_never_said_is_not_known(store: Store, gate: Gate, clock: Clock) -> None:
    _, text = made(store, per_month=100)
    _, other = made(store, "notebook")
    gate.admit(other, Scope.READ)
    store.is_down = True
    assert gate.admit(text, Scope.READ, charged=False).left is None
    assert gate.admit(text, Scope.READ).left is None
    store.is_down = False
    clock.seconds = READ_AFTER_S
    assert gate.admit(text, Scope.READ, charged=False).left == 99


def test_calls_made_while_the_store_is_down_are_taken_from_the_next_lease(
    store: Store, gate: Gate, clock: Clock
) -> None:
    token, text = made(store, per_month=100)
    gate.admit(text, Scope.READ)
    leased = leased_calls(token, "2026-03", store)
    for _ in range(leased - 1):
        gate.admit(text, Scope.READ)
    store.is_down = True
    for _ in range(7):
        gate.admit(text, Scope.READ)
    store.is_down = False
    clock.seconds += READ_AFTER_S
    assert calls_until_spent(gate, text) == 100 - leased - 7


def test_calls_that_are_owed_when_the_gate_closes_are_taken_from_the_quota(store: Store, clock: Clock) -> None:
    token, text = made(store, per_month=100)
    gate = Gate(store, needs_tokens=True, now=lambda: clock.now, clock=clock)
    for _ in range(leased := LEASED_AT_ONCE):
        gate.admit(text, Scope.READ)
    store.is_down = True
    for _ in range(7):
        gate.admit(text, Scope.READ)
    store.is_down = False
    gate.close()
    assert leased_calls(token, "2026-03", store) == leased + 7


def test_a_spent_quota_is_looked_at_again_after_a_minute(store: Store, gate: Gate, clock: Clock) -> None:
    token, text = made(store, per_month=3)
    lease_calls(token, "2026-03", store)
    assert calls_until_spent(gate, text) == 1
    return_calls(token, "2026-03", 2, store)  # another instance has ended
    clock.seconds = 59
    assert calls_until_spent(gate, text) == 0
    clock.seconds = 60
    assert calls_until_spent(gate, text) == 2


def test_calls_are_given_back_though_the_count_was_removed_meanwhile(store: Store) -> None:
    token, _ = made(store, per_month=100)
    taken, _ = lease_calls(token, "2026-03", store)
    name = quota_object(token.id, "2026-03")
    store.delete(name, generation=store.generation(name))
    return_calls(token, "2026-03", taken, store)
    assert leased_calls(token, "2026-03", store) == 0


def test_another_writer_between_read_and_write_is_noticed(store: Store) -> None:
    token, _ = made(store, per_month=100)
    pauses: list[float] = []

    class Raced(Store):
        races = 3

        def write(self, name: str, data: bytes, **options: object) -> int:
            if self.races:
                self.races -= 1
                lease_calls(token, "2026-03", store)
            return super().write(name, data, **options)  # type: ignore[arg-type]

    taken, left = lease_calls(token, "2026-03", Raced(store._root), pause=pauses.append)
    assert leased_calls(token, "2026-03", store) == 100 - left
    assert len(pauses) == 3
    assert taken > 0

    class Beaten(Store):
        def write(self, name: str, data: bytes, **options: object) -> str:
            raise PreconditionFailed("Another writer came first.")

    with pytest.raises(StoreUnavailable, match=r"was replaced by other writers 50 times\. Try again\."):
        return_calls(token, "2026-03", 1, Beaten(store._root), pause=pauses.append)


RACE = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from tickercast.backends.object_store.local import LocalObjectStore
from tickercast.domain.tokens import Scope
from tickercast.errors import QuotaSpent
from tickercast.jobs.access.gate import Gate
gate = Gate(LocalObjectStore(Path(sys.argv[1])), needs_tokens=True, now=lambda: datetime(2026, 3, 10, tzinfo=UTC),
            clock=lambda: 0.0)
sys.stdin.readline()
granted = 0
while True:
    try:
        gate.admit(sys.argv[2], Scope.READ)
    except QuotaSpent:
        break
    granted += 1
print(granted)
"""


def test_two_processes_that_race_for_one_quota_are_granted_exactly_its_limit(store: Store, tmp_path: Path) -> None:
    token, text = made(store, per_month=700)
    command = [sys.executable, "-c", RACE, str(tmp_path / "bucket"), text]
    racers = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.flush()
    granted = [int(racer.communicate()[0]) for racer in racers]
    assert sum(granted) == 700
    assert leased_calls(token, "2026-03", store) == 700
    assert store.generation(quota_object(token.id, "2026-03"))
