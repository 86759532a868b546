"""Decide about each call of the API: who calls, may it, and has it calls left. Most calls are decided from memory.

The list of tokens is read again when it is five seconds old, and calls are leased some at a time. While the model store
does not answer, the tokens that are known go on for a minute; what they use meanwhile is taken from the next lease.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime, timedelta

from tickercast.domain.tokens import Scope, Token, TokenList, month_of
from tickercast.errors import (
    OutOfScope,
    QuotaSpent,
    StoreUnavailable,
    TickercastError,
    Transient,
    Unauthenticated,
)
from tickercast.jobs.access.quota import lease_calls, leased_calls, return_calls
from tickercast.jobs.access.tokens import read_tokens
from tickercast.ports import ObjectStore

READ_AFTER_S = 5.0
"""The age, in seconds, at which the list of tokens is read again, and for calls that do not count a token's quota, too;
a revoked token still opens as long."""

KNOWN_FOR_S = 60.0
"""The time for which the known tokens go on while the model store does not answer, in seconds."""

_SPENT_FOR_S = 60.0  # after which a spent quota is looked at again: another instance may have given calls back
_FIRST_WAIT_S = 20.0
_WAIT_S = 2.0  # for the store, where what is known would do

Clock = Callable[[], float]
_Key = tuple[str, str]  # the id of a token, and a month


@dataclass(frozen=True)
class Admitted:
    """A call that is let in.

    Attributes:
        token: the token of the caller; None where no token is needed.
        left: the calls that its quota still has, as far as this instance knows; None without a limit, and while the
            store has not said it.
    """

    token: Token | None = None
    left: int | None = None


OPEN = Admitted()


@dataclass
class _Held:
    """The calls of a token's month that this instance has leased and not used; below 0 they are owed."""

    calls: int = 0
    unleased: int | None = None  # the calls that no instance has leased, as the store said last
    asked_at: float = float("-inf")  # when it said so
    spent_until: float = float("-inf")

    @property
    def left(self) -> int | None:
        """The calls that the quota still has; None while the store has not said it."""
        return None if self.unleased is None else max(0, self.unleased + self.calls)


class Gate:
    """The decisions; several threads may ask at once.

    Args:
        store: the model store.
        needs_tokens: whether a call without a token is refused even while there are no tokens.
        now: the clock of expiry and months.
        clock: seconds, never decreasing.
    """

    def __init__(self, store: ObjectStore, *, needs_tokens: bool, now: Callable[[], datetime], clock: Clock) -> None:
        self._store = store
        self._needs_tokens = needs_tokens
        self._now = now
        self._clock = clock
        self._tokens: TokenList | None = None
        self._read_at = self._tried_at = float("-inf")
        self._held: dict[_Key, _Held] = {}
        self._failed_at = float("-inf")
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="gate")
        self._reading: Future[None] | None = None
        self._asking: dict[tuple[Callable[[Token, _Key], None], _Key], Future[None]] = {}

    def is_ready(self) -> bool:
        """Whether most calls can be decided without asking the store."""
        now = self._clock()
        return self._tokens is not None and now - self._tried_at < READ_AFTER_S and now - self._read_at <= KNOWN_FOR_S

    def admit(self, text: str, scope: Scope | None, *, charged: bool = True, in_address: bool = False) -> Admitted:
        """Let a call in, and take it from its quota; what is refused costs nothing.

        Args:
            text: the text of the token; empty if there is none.
            scope: the scope that the call needs; None: any.
            charged: whether the call counts.
            in_address: whether the token stands in the address of the call.

        Raises:
            the call is refused.
        """
        admitted = self._decide(self._known(), text, scope, charged, in_address)
        assert admitted is not None  # it blocks
        return admitted

    def admit_from_memory(
        self, text: str, scope: Scope | None, *, charged: bool = True, in_address: bool = False
    ) -> Admitted | None:
        """The same where the store need not be asked, and so nothing blocks; None where it has to be.

        Raises:
            Unauthenticated, OutOfScope, QuotaSpent: it is refused.
        """
        if self._tokens is None or not self.is_ready():
            return None
        return self._decide(self._tokens, text, scope, charged, in_address, blocks=False)

    def known(self, text: str) -> Token | None:
        """The token of a text, valid or not, as far as it is known without asking the store."""
        return self._tokens.find(text) if self._tokens and text else None

    def _decide(
        self, known: TokenList, text: str, scope: Scope | None, charged: bool, in_address: bool, *, blocks: bool = True
    ) -> Admitted | None:
        if not self._needs_tokens and not known.tokens:
            return OPEN
        token = self._valid(text, known)
        if scope is not None and scope not in token.scopes:
            raise OutOfScope(
                f"The token of {token.owner} is for {' and '.join(token.scopes)}: the scope {scope} was needed. Use "
                "another token."
            )
        if in_address and tuple(token.scopes) != (Scope.READ,):
            raise OutOfScope(
                f"The token of {token.owner} is in the address, where programs write it down: one whose only scope is "
                "read was needed. Send others in the header Authorization."
            )
        if token.per_month is None:
            return Admitted(token)
        return self._take(token, blocks=blocks) if charged else self._look(token, blocks=blocks)

    def close(self) -> None:
        """Give back the calls that were leased and not used."""
        self._pool.shutdown(wait=True)
        tokens = {token.id: token for token in (self._tokens.tokens if self._tokens else ())}
        with self._lock:
            held, self._held = self._held, {}
        for (number, month), one in held.items():
            if one.calls and number in tokens:
                try:
                    return_calls(tokens[number], month, one.calls, self._store)
                except TickercastError:  # they stay leased: never more than a lease
                    continue

    # ------------------------------------------------------------ the list of tokens

    def _known(self) -> TokenList:
        if not self.is_ready():
            with self._lock:
                if self._reading is None or self._reading.done():
                    self._reading = self._pool.submit(self._read)
                reading = self._reading
            wait([reading], _FIRST_WAIT_S if self._tokens is None else _WAIT_S)
            if self._tokens is None or self._clock() - self._read_at > KNOWN_FOR_S:
                failed = reading.exception() if reading.done() else None
                raise failed or StoreUnavailable(
                    f"{self._store.url} does not answer, so that tokens cannot be checked. Try again."
                )
        return self._tokens or TokenList()

    def _read(self) -> None:
        try:
            found = read_tokens(self._store)
            self._tokens, self._read_at = found, self._clock()
        finally:
            self._tried_at = self._clock()

    def _valid(self, text: str, known: TokenList) -> Token:
        if not text:
            raise Unauthenticated(
                "The call has no token: a header Authorization: Bearer TOKEN was needed. Ask whoever runs the server "
                "for one."
            )
        token = known.find(text)
        if token is None:
            raise Unauthenticated(
                "The token is not known: one of this server was needed. Correct it, or ask whoever runs the server."
            )
        state = token.state(self._now())
        if state != "valid":
            when = token.revoked_at if state == "revoked" else token.expires_at
            raise Unauthenticated(
                f"The token of {token.owner} {'was revoked' if state == 'revoked' else 'ended'} on {when:%Y-%m-%d}: a "
                "valid one was needed. Ask for another."
            )
        return token

    # ------------------------------------------------------------ calls

    def _take(self, token: Token, *, blocks: bool) -> Admitted | None:
        """Take a call; None where a lease is needed that must not be waited for."""
        key = token.id, month_of(self._now())
        while True:
            with self._lock:
                held = self._held.setdefault(key, _Held())
                if held.calls > 0:
                    held.calls -= 1
                    return Admitted(token, held.left)
                if held.spent_until > self._clock():
                    raise self._spent(token)
            if not blocks:
                return None
            if not self._ask(self._lease, token, key):  # the store does not answer, and the token is known
                with self._lock:
                    held.calls -= 1
                    return Admitted(token, held.left)

    def _look(self, token: Token, *, blocks: bool) -> Admitted | None:
        """Admit a call that does not count; None where the store is to be asked, and must not be waited for."""
        key = token.id, month_of(self._now())
        with self._lock:
            held = self._held.setdefault(key, _Held())
            is_old = self._clock() - held.asked_at >= READ_AFTER_S
        if is_old and not blocks:
            return None
        if is_old:
            self._ask(self._read_quota, token, key)
        with self._lock:
            return Admitted(token, held.left)

    def _ask(self, what: Callable[[Token, _Key], None], token: Token, key: _Key) -> bool:
        """Ask the store about a quota, once for all who wait for the same, and return whether it answered.

        Raises:
            EngineUnusable: the quota is damaged.
            StoreUnavailable: the store has not answered for too long.
        """
        is_patient = self._clock() - self._failed_at >= READ_AFTER_S
        if is_patient:
            with self._lock:
                if (what, key) not in self._asking:
                    self._asking[what, key] = self._pool.submit(self._ask_now, what, token, key)
                asking = self._asking[what, key]
            done, _ = wait([asking], _WAIT_S)
            error = asking.exception() if done else None
            if done and error is None:
                return True
            if error is not None and not isinstance(error, Transient):
                raise error
            self._failed_at = self._clock()
        if self._clock() - self._read_at > KNOWN_FOR_S:
            raise StoreUnavailable(f"{self._store.url} does not answer, so that calls cannot be counted. Try again.")
        return False

    def _ask_now(self, what: Callable[[Token, _Key], None], token: Token, key: _Key) -> None:
        try:
            what(token, key)
        finally:
            with self._lock:
                self._asking.pop((what, key), None)

    def _lease(self, token: Token, key: _Key) -> None:
        taken, unleased = lease_calls(token, key[1], self._store)
        with self._lock:
            held = self._held.setdefault(key, _Held())
            held.calls, held.unleased, held.asked_at = held.calls + taken, unleased, self._clock()
            if not taken:
                held.spent_until = self._clock() + _SPENT_FOR_S

    def _read_quota(self, token: Token, key: _Key) -> None:
        began = self._clock()
        leased = leased_calls(token, key[1], self._store)
        with self._lock:
            held = self._held.setdefault(key, _Held())
            if held.asked_at < began:  # no lease came in between
                held.unleased, held.asked_at = max(0, (token.per_month or 0) - leased), self._clock()

    def _spent(self, token: Token) -> QuotaSpent:
        resets = next_month(self._now())
        return QuotaSpent(
            f"{token.owner} has used the {token.per_month:,} calls of {month_of(self._now())}: the next are granted on "
            f"{resets:%Y-%m-%d}. Wait, or ask for a token with more.",
            token.per_month or 0,
        )


def next_month(now: datetime) -> datetime:
    """The first moment of the next month, UTC.

    >>> next_month(datetime.fromisoformat("2026-12-31T10:00:00+00:00")).isoformat()
    '2027-01-01T00:00:00+00:00'
    """
    first = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return (first + timedelta(days=32)).replace(day=1)
